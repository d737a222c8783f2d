"""One index, beat by beat: what it publishes beside the price, and who is heard when sources are late or lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from oracle.core.step_index import new_index, order, published
from oracle.core.types import (
    NANOS_PER_MS,
    Action,
    Alert,
    AlertKind,
    IndexValue,
    Link,
    Reason,
    State,
    Verdict,
    VerdictChange,
)
from oracle.methods.hk1 import SETS

Make = Callable[..., Any]
RULES = SETS[0]
VENUES = [f"v{i}" for i in range(8)]


def silence(r: Any, *names: str) -> None:
    """These say nothing more, and their lines are down."""
    for name in names:
        r.prices[name] = None
    r.beat(extra=[Link(r.ids[name], False, "closed", r.at_ns) for name in names])


def eight(rig: Make, lag_ms: int = 20) -> Any:
    """Eight venues that state their event times, warmed up at 60 000."""
    r = rig(groups=8, warm=False)
    r.event_lag_ms = dict.fromkeys(VENUES, lag_ms)
    r.run(25)
    assert r.index().state is State.NORMAL
    return r


def error_bps(r: Any, true: float) -> float:
    return float(abs(r.index().price / 100 / true - 1) * 10_000)


def test_a_fall_that_five_of_eight_report_four_seconds_late(rig: Make) -> None:
    r = eight(rig)
    for name in VENUES[3:]:
        r.event_lag_ms[name] = 4_020
    for name in VENUES[:3]:
        r.prices[name] = 58_200.0
    r.beat()
    assert error_bps(r, 58_200.0) <= 10
    assert r.index().state is State.DEGRADED
    assert {Reason.COHORT_SPLIT, Reason.FEW_GROUPS} <= set(r.index().reasons)
    assert not r.index().liquidation_ok
    verdicts = [member.verdict for member in r.engine.state.indices[0].memory.members]
    assert verdicts == [Verdict.USED] * 3 + [Verdict.STALE] * 5


def test_three_fast_liars_while_the_honest_are_late(rig: Make) -> None:
    r = eight(rig)
    for name in VENUES[3:]:
        r.event_lag_ms[name] = 1_600
    for name in VENUES[:3]:
        r.prices[name] = 63_000.0
    r.beat()
    assert r.index().state is State.DEGRADED
    assert Reason.COHORT_SPLIT in r.index().reasons
    assert not r.index().liquidation_ok
    assert not r.mark().liquidation_ok


@pytest.mark.parametrize("lag_ms", [20, 800])
def test_three_fast_liars_while_the_honest_are_in_time(rig: Make, lag_ms: int) -> None:
    r = eight(rig)
    for name in VENUES[3:]:
        r.event_lag_ms[name] = lag_ms
    for name in VENUES[:3]:
        r.prices[name] = 63_000.0
    r.run(2)
    assert r.index().state is State.NORMAL
    assert r.index().n_groups == 5
    assert error_bps(r, 60_000.0) <= 5


def test_whatever_fewer_than_half_say_the_index_stays_where_the_honest_are(rig: Make) -> None:
    r = rig(groups=7)
    honest = [r.prices[f"v{i}"] for i in range(3, 7)]
    for lie in (1e-6, 1.0, 59_000.0, 60_900.0, 61_000.0, 1e12, 60_000.0):
        for i in range(3):
            r.prices[f"v{i}"] = lie * (1 + i / 1_000)
        r.run(1)
        assert min(honest) - 0.01 <= r.index().price / 100 <= max(honest) + 0.01


def test_a_price_too_small_to_be_seen_is_no_price(rig: Make) -> None:
    r = rig(price=0.012)
    assert r.index().price == 1
    r.quote_all(0.006)
    r.beat()
    assert (r.index().state, r.index().price) == (State.HALTED, None)
    assert Reason.INVARIANT in r.index().reasons


def test_a_change_of_verdict_is_published_once(rig: Make) -> None:
    r = rig()
    changes = [v for v in silence_and_return(r) if isinstance(v, VerdictChange)]
    assert [(c.source, c.previous, c.verdict) for c in changes] == [
        (2, Verdict.USED, Verdict.LINK_DOWN),
        (2, Verdict.LINK_DOWN, Verdict.USED),
    ]


def silence_and_return(r: Any) -> list[Any]:
    price, r.prices["v2"] = r.prices["v2"], None
    values = list(r.beat(extra=[Link(r.ids["v2"], False, "closed", r.at_ns)]).values)
    values += r.beat().values
    r.prices["v2"] = price
    return values + [v for tick in r.run(1) for v in tick.values]


def test_the_age_of_the_oldest_input_is_published_with_the_value(rig: Make) -> None:
    r = rig()
    price, r.prices["v3"] = r.prices["v3"], None
    r.beat(300)
    assert r.index().oldest_input_age_ms == r.mark().oldest_input_age_ms == 300
    r.prices["v3"] = price
    r.beat()
    assert r.index().oldest_input_age_ms == 0


@pytest.mark.parametrize("perps", [True, False])
def test_a_value_that_is_carried_grows_old(rig: Make, perps: bool) -> None:
    r = rig()
    r.prices["v0"] = None
    r.beat(300)
    silence(r, *VENUES[:5], *([] if perps else ["p0", "p1"]))
    assert r.index().state is (State.PERP_IMPLIED if perps else State.LAST_GOOD)
    assert r.index().n_groups == 1, "one source still speaks, and it is nobody's index"
    before = r.index().oldest_input_age_ms
    assert before == 400
    r.run(20)
    assert r.index().carried_forward
    assert r.index().oldest_input_age_ms == r.mark().oldest_input_age_ms == before + 20_000
    assert r.index().last_good_ns == r.at_ns - 20_100 * NANOS_PER_MS


def test_two_groups_are_as_old_as_they_are(rig: Make) -> None:
    r = rig()
    silence(r, *VENUES[:4])
    r.run(5)
    assert r.index().state is State.TWO_GROUPS
    assert r.index().oldest_input_age_ms == r.mark().oldest_input_age_ms == 0


def patient(fallback_ms: int) -> Any:
    """Rules by which a fallback may last."""
    return structs.replace(RULES, ladder=structs.replace(RULES.ladder, fallback_ms_max=fallback_ms))


@pytest.mark.parametrize("state", [State.TWO_GROUPS, State.PERP_IMPLIED])
def test_a_rate_limit_that_binds_is_reported_and_then_shown(rig: Make, state: State) -> None:
    r = rig(rules=patient(300_000))
    silence(r, *VENUES[: 4 if state is State.TWO_GROUPS else 6])
    for name in ("v4", "v5", "p0", "p1"):
        if r.prices[name] is not None:
            r.prices[name] *= 0.5
    ticks = r.run(62, ms=1_000)
    assert r.index().state is state
    assert Reason.RATE_LIMITED in r.index().reasons
    alerts = [v for tick in ticks for v in tick.values if isinstance(v, Alert) and v.kind is AlertKind.CLAMP_BINDING]
    assert [(a.target, a.active) for a in alerts] == [("BTC-USD", True)]
    assert alerts[0].at_ns - alerts[0].since_ns == RULES.ladder.guard_alert_ms * NANOS_PER_MS
    assert (alerts[0].value, alerts[0].detail) == (RULES.ladder.guard_alert_ms, "ms")
    pinned = [v for tick in ticks for v in tick.values if isinstance(v, IndexValue)]
    shown = [Reason.GUARD_PINNED in value.reasons for value in pinned]
    assert shown.index(True) == 60
    assert all(shown[60:])
    r.quote_all(60_000.0)
    ended = [v for tick in r.run(30) for v in tick.values if isinstance(v, Alert) and not v.active]
    assert AlertKind.CLAMP_BINDING in [a.kind for a in ended]
    assert Reason.GUARD_PINNED not in r.index().reasons


def test_a_limit_that_bound_on_one_rung_does_not_bind_on_another(rig: Make) -> None:
    r = rig(rules=patient(300_000))
    silence(r, *VENUES[:4])
    r.prices["v4"] = r.prices["v5"] = 30_000.0
    r.run(2)
    assert Reason.RATE_LIMITED in r.index().reasons
    silence(r, "v4", "v5", "p0", "p1")
    r.run(70, ms=1_000)
    assert r.index().state is State.LAST_GOOD
    assert not {Reason.RATE_LIMITED, Reason.GUARD_PINNED} & set(r.index().reasons)


def test_perpetuals_that_fall_silent_leave_the_last_good_value(rig: Make) -> None:
    r = rig()
    silence(r, *VENUES[:6])
    assert r.index().state is State.PERP_IMPLIED
    r.prices["p0"] = None
    r.run(12)
    assert r.index().state is State.LAST_GOOD
    assert r.index().price == r.index().last_good
    r.prices["p0"] = r.prices["p1"]
    r.run(5)
    assert (r.index().state, r.index().price) == (State.LAST_GOOD, r.index().last_good)


def test_a_halt_forgets_the_jump(rig: Make) -> None:
    r = rig()
    r.quote_all(64_000.0)
    r.beat()
    assert Reason.JUMP in r.index().reasons
    order(r.engine.state.indices[0], Action.HALT, r.at_ns)
    r.beat()
    assert (r.index().price, r.index().last_good_ns) == (None, r.at_ns - 100 * NANOS_PER_MS)
    assert (r.index().oldest_input_age_ms, r.mark().oldest_input_age_ms) == (None, None)
    assert Reason.JUMP not in r.index().reasons
    assert not r.engine.state.indices[0].jumped


def test_a_jump_is_over_when_three_seconds_agree_and_not_before(rig: Make) -> None:
    r = rig()
    held = 0
    for step in range(8):
        r.quote_all(64_000.0 * (1.0 if step % 2 else 1.012))
        r.run(1)
        held += Reason.JUMP in r.index().reasons
    assert held == 8, "each second is far from the one before"
    r.run(3)
    assert Reason.JUMP not in r.index().reasons


@pytest.mark.parametrize("state", list(State))
def test_orders_to_an_index_that_does_not_need_them_change_nothing(rig: Make, state: State) -> None:
    r = rig(warm=False)
    index = new_index(r.world.indices[0])
    index.rung.state = state
    for action in (Action.UNSUSPEND, Action.START, Action.EXCLUDE):
        order(index, action, 1)
    assert index.rung.state is state
    order(index, Action.RESUME, 1)
    assert index.rung.state is (State.WARMING if state is State.HALTED else state)


def test_the_end_of_a_suspension_does_not_end_a_halt(rig: Make) -> None:
    index = new_index(rig(warm=False).world.indices[0])
    index.rung.state = State.HALTED
    order(index, Action.SUSPEND, 1)
    order(index, Action.UNSUSPEND, 2)
    assert (index.rung.state, index.rung.suspended) == (State.HALTED, False)
    order(index, Action.ACKNOWLEDGE, 3)
    assert index.rung.acknowledged


def test_later_rules_compute_with_the_digits_the_public_sees(rig: Make) -> None:
    r = rig()
    assert published(r.engine.state.indices[0], r.world.indices[0]) == r.index().price / 100
    assert published(new_index(r.world.indices[0]), r.world.indices[0]) is None


@pytest.mark.parametrize(
    ("apart_bps", "state", "ok"), [(40, "NORMAL", True), (75, "DEGRADED", True), (150, "DEGRADED", False)]
)
def test_nobody_is_liquidated_while_the_groups_disagree(rig: Make, apart_bps: int, state: str, ok: bool) -> None:
    r = rig()
    for place in range(6):
        r.prices[f"v{place}"] = 60_010.0 * (1 + (place % 2) * 2 * apart_bps / 10_000)
    r.beat()
    assert r.index().n_groups == 6
    assert r.index().confidence_bps_e2 == pytest.approx(apart_bps * 100, rel=0.02)
    assert (r.index().state, r.index().liquidation_ok) == (state, ok)


def test_a_price_of_less_than_one_is_converted_too(rig: Make) -> None:
    r = rig(groups=3, usdt=4, warm=False, price=0.5)
    for name in r.prices:
        if name.startswith("s"):
            r.prices[name] = 0.8
        elif name.startswith("t"):
            r.prices[name] = 0.625
    r.run(35)
    assert r.index().state is State.NORMAL
    assert (r.index().n_groups, r.index().price) == (7, 50)


def test_outside_perpetuals_in_another_currency_are_converted(rig: Make) -> None:
    r = rig(groups=3, usdt=3)
    world = r.world
    sources = tuple(structs.replace(s, quote="USDT") if s.name.startswith("p") else s for s in world.sources)
    r = type(r)(structs.replace(world, sources=sources))
    r.quote_all(60_000.0)
    for i in range(4):
        r.prices[f"s{i}"] = 0.8
    for name in ("t0", "t1", "t2", "p0", "p1"):
        r.prices[name] = 75_000.0
    r.run(25)
    assert r.engine.state.indices[1].perps_then == pytest.approx([60_000.0] * 2, rel=1e-3)
    silence(r, "s0", "s1", "s2", "s3")
    r.beat()
    assert r.engine.state.indices[1].perps_then == [0.0, 0.0], "without a conversion they say nothing"
