"""The reducer as a whole: the ladder walked rung by rung, restarts, orders, conversions, and equal bytes for equals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from oracle.core.engine import Engine, decode_state, encode_state
from oracle.core.types import (
    NANOS_PER_S,
    Action,
    Alert,
    AlertKind,
    Beat,
    BookTop,
    ClockReading,
    Command,
    Depth,
    FundingRate,
    IndexValue,
    Link,
    Liquidation,
    MarkPrice,
    PremiumSample,
    Reason,
    Side,
    State,
    Ticker,
    TickerKind,
    Verdict,
    VerdictChange,
)
from oracle.methods import for_world

Make = Callable[..., Any]


def test_it_warms_up_for_ten_seconds_and_then_publishes(rig: Make) -> None:
    r = rig(warm=False)
    r.run(9.9)
    assert r.index().price is None
    assert r.index().state is State.WARMING
    assert Reason.WARMING_UP in r.index().reasons
    assert r.mark().price is None
    r.run(0.3)
    assert r.index().state is State.NORMAL
    assert r.index().price == 5_999_940
    assert r.index().liquidation_ok
    assert r.mark().price is not None


def test_losing_groups_walks_down_the_ladder_at_once_and_up_after_the_dwell(rig: Make) -> None:
    r = rig()
    seen = []
    for name in ("v0", "v1", "v2", "v3", "v4", "v5"):
        r.prices[name] = None
        r.beat(extra=[Link(r.ids[name], False, "closed", r.at_ns)])
        seen.append(r.index().state)
    down = [State.NORMAL, State.NORMAL, State.DEGRADED, State.TWO_GROUPS, State.PERP_IMPLIED, State.PERP_IMPLIED]
    assert seen == down
    assert not r.index().liquidation_ok
    assert r.index().carried_forward
    r.prices["p0"] = r.prices["p1"] = None
    r.run(10.5)
    assert r.index().state is State.LAST_GOOD
    assert r.index().oldest_input_age_ms > 10_000
    r.run(50)
    assert r.index().state is State.HALTED
    assert r.index().price is None
    assert r.mark().price is None
    assert r.index().last_good == pytest.approx(6_000_000, rel=1e-4)
    assert Reason.FALLBACK_TOO_LONG in r.index().reasons
    r.quote_all(60_000.0)
    r.run(29)
    assert r.index().state is State.HALTED
    r.run(2)
    assert r.index().state is State.WARMING
    r.run(10)
    assert r.index().state is State.NORMAL


def test_from_a_fallback_it_rises_to_degraded_after_ten_and_to_normal_after_thirty_more_seconds(rig: Make) -> None:
    r = rig()
    for name in ("v0", "v1", "v2", "v3"):
        r.beat(extra=[Link(r.ids[name], False, "closed", r.at_ns)])
        r.prices[name] = None
    r.beat()
    assert r.index().state is State.TWO_GROUPS
    r.quote_all(60_000.0)
    r.run(9.8)
    assert r.index().state is State.TWO_GROUPS
    assert Reason.RECOVERING in r.index().reasons
    r.run(0.4)
    assert r.index().state is State.DEGRADED
    r.run(29.7)
    assert r.index().state is State.DEGRADED
    r.run(0.6)
    assert r.index().state is State.NORMAL


def test_two_groups_move_no_faster_than_the_slew(rig: Make) -> None:
    r = rig()
    for name in ("v0", "v1", "v2", "v3"):
        r.prices[name] = None
        r.beat(extra=[Link(r.ids[name], False, "closed", r.at_ns)])
    r.prices["v4"] = r.prices["v5"] = 59_000.0
    before = r.index().price
    r.run(1)
    assert r.index().state is State.TWO_GROUPS
    assert Reason.RATE_LIMITED in r.index().reasons
    assert before * (1 - 0.00251) < r.index().price < before * (1 - 0.0024)
    assert r.mark().price == pytest.approx(r.index().price, abs=10)


def test_perpetuals_carry_the_last_good_value_within_a_bound(rig: Make) -> None:
    r = rig()
    for name in [f"v{i}" for i in range(6)]:
        r.prices[name] = None
    r.beat(extra=[Link(r.ids[f"v{i}"], False, "closed", r.at_ns) for i in range(6)])
    r.prices["p0"] *= 0.99
    r.prices["p1"] *= 0.99
    r.run(2)
    assert r.index().state is State.PERP_IMPLIED
    assert r.index().price == pytest.approx(6_000_000 * (1 - 0.0021), rel=1e-4)
    r.run(10)
    assert r.index().price == pytest.approx(6_000_000 * 0.99, rel=1e-4)
    assert r.index().carried_forward


def test_an_outlier_is_out_at_once_and_back_after_a_minute_inside(rig: Make) -> None:
    r = rig()
    r.prices["v0"] = 63_000.0
    tick = r.beat()
    changes = [v for v in tick.values if isinstance(v, VerdictChange)]
    assert [(c.source, c.verdict) for c in changes] == [(0, Verdict.OUTLIER)]
    assert r.index().n_groups == 5
    assert r.index().price == pytest.approx(6_000_000, rel=2e-5)
    r.prices["v0"] = 60_005.0
    r.run(59)
    assert [r.engine.state.indices[0].memory.members[0].verdict] == [Verdict.READMITTING]
    r.run(2)
    assert [r.engine.state.indices[0].memory.members[0].verdict] == [Verdict.USED]


def test_a_book_that_stands_while_the_others_move_is_frozen(rig: Make) -> None:
    r = rig()
    r.prices["v1"] = frozen = r.prices["v1"] + 1.0
    r.beat()
    r.quote_all(60_200.0)
    r.prices["v1"] = frozen
    r.run(14)
    assert r.engine.state.indices[0].memory.members[1].verdict is not Verdict.FROZEN
    r.run(2.5)
    assert r.engine.state.indices[0].memory.members[1].verdict is Verdict.FROZEN


def test_conversions_are_never_one(rig: Make) -> None:
    r = rig(groups=3, usdt=4)
    assert r.index("USDT-USD").state is State.NORMAL
    for name in r.prices:
        if name.startswith("s"):
            r.prices[name] *= 0.95
        elif name.startswith("t"):
            r.prices[name] /= 0.95
    r.run(2)
    assert r.index("USDT-USD").price == pytest.approx(950_000, rel=1e-3)
    assert r.index().price == pytest.approx(6_000_000, rel=1e-3)
    for i in range(4):
        r.prices[f"s{i}"] = None
    r.beat(extra=[Link(r.ids[f"s{i}"], False, "closed", r.at_ns) for i in range(4)])
    r.beat()
    assert r.index().state is State.DEGRADED
    assert r.index().n_groups == 3
    assert Reason.CONVERSION in r.index().reasons


def test_a_jump_stops_liquidation_until_three_seconds_agree(rig: Make) -> None:
    r = rig()
    r.quote_all(64_000.0)
    r.beat()
    assert r.index().price == pytest.approx(6_400_000, rel=1e-4)
    assert Reason.JUMP in r.index().reasons
    assert not r.index().liquidation_ok
    r.run(5)
    assert Reason.JUMP not in r.index().reasons
    assert r.index().liquidation_ok


def test_a_wrong_clock_degrades_and_then_halts(rig: Make) -> None:
    r = rig()
    r.beat(extra=[ClockReading(200_000_000, True, r.at_ns)])
    r.beat()
    assert r.index().state is State.DEGRADED
    r.beat(extra=[ClockReading(-1_100_000_000, True, r.at_ns)])
    r.beat()
    assert r.index().state is State.HALTED
    assert Reason.CLOCK_OFFSET in r.index().reasons


def test_orders_halt_resume_suspend_and_exclude(rig: Make) -> None:
    r = rig()

    def order(action: Action, target: str) -> None:
        r.beat(extra=[Command(action, target, "operator", "drill", r.at_ns)])

    order(Action.SUSPEND, "BTC-USD")
    assert r.index().state is State.SUSPENDED
    assert r.index().price is not None
    assert not r.index().liquidation_ok
    order(Action.UNSUSPEND, "BTC-USD")
    assert r.index().state is State.WARMING
    r.run(11)
    order(Action.EXCLUDE, "v0")
    assert r.engine.state.indices[0].memory.members[0].verdict is Verdict.EXCLUDED
    order(Action.INCLUDE, "v0")
    order(Action.HALT, "*")
    assert r.index().state is State.HALTED
    r.run(120, ms=1000)
    assert r.index().state is State.HALTED
    order(Action.RESUME, "BTC-USD")
    assert r.index().state is State.WARMING


def test_a_start_republishes_nothing_and_keeps_the_samples(rig: Make) -> None:
    r = rig()
    samples = r.engine.state.perps[0].funding.samples
    assert samples > 0
    seq = r.index().seq
    r.at_ns += 8 * NANOS_PER_S
    r.beat(quiet=True, extra=[Command(Action.START, "*", "service", "boot", r.at_ns)])
    assert r.index().price is None
    assert r.index().state is State.WARMING
    assert r.index().seq == seq + 1
    assert r.engine.state.perps[0].funding.samples == samples
    r.quote_all(48_000.0)
    r.run(9)
    assert r.index().price is None
    r.run(2)
    assert r.index().price == pytest.approx(4_800_000, rel=1e-4)


def test_an_interval_settles_exactly_once_with_its_last_sample(rig: Make) -> None:
    r = rig(warm=False)
    r.at_ns -= 30 * NANOS_PER_S
    ticks = r.run(40)
    finals = [v for t in ticks for v in t.values if isinstance(v, FundingRate) and v.final]
    assert len(finals) == 1
    assert finals[0].settles_ns % (28_800 * NANOS_PER_S) == 0
    assert finals[0].index == 5_999_940
    at_settlement = next(t for t in ticks if finals[0] in t.values)
    assert any(isinstance(v, PremiumSample) and v.instant_ns == finals[0].settles_ns for v in at_settlement.values)
    assert Reason.FUNDING_FALLBACK in finals[0].reasons


def test_a_long_outage_settles_every_interval_it_slept_through(rig: Make) -> None:
    r = rig()
    r.at_ns += 3 * 28_800 * NANOS_PER_S
    finals = [v for v in r.beat(quiet=True).values if isinstance(v, FundingRate) and v.final]
    assert [f.settles_ns for f in finals] == sorted({f.settles_ns for f in finals})
    assert len(finals) == 3
    assert all(f.index is None and Reason.LATE in f.reasons for f in finals)


def test_a_silent_platform_leaves_the_mark_with_the_index(rig: Make) -> None:
    r = rig()
    assert r.mark().book_leg is not None
    r.engine_price = None
    r.run(4)
    assert r.mark().book_leg is None
    assert Reason.ENGINE_FEED_STALE in r.mark().reasons
    r.run(28)
    assert r.mark().price == pytest.approx(r.index().price, abs=5)


def test_whatever_the_platform_says_the_mark_stays_in_the_band(rig: Make) -> None:
    r = rig()
    for price in (60_000.0 * 3, 0.01, 1e9, 61_000.0):
        r.engine_price = price
        for _ in range(50):
            r.beat()
            assert abs(r.mark().price / r.index().price - 1) <= 0.015 + 0.05 / 60_000  # half a tick of rounding
    assert any(Reason.CLAMP_BAND in (r.beat(), r.mark().reasons)[1] for _ in range(3)) or r.mark().step_binding


def test_each_state_change_is_an_alert(rig: Make) -> None:
    r = rig()
    tick = r.beat(extra=[Link(r.ids[f"v{i}"], False, "closed", r.at_ns) for i in range(3)])
    alerts = [v for v in tick.values if isinstance(v, Alert)]
    assert [(a.kind, a.target, a.active) for a in alerts] == [(AlertKind.STATE, "BTC-USD", True)]
    assert "NORMAL to DEGRADED" in alerts[0].detail


def test_sequences_have_no_gaps(rig: Make) -> None:
    r = rig()
    seqs = [v.seq for t in r.run(5) for v in t.values if isinstance(v, IndexValue)]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))


def test_only_the_platform_is_traded_through_and_tickers_move_nothing(rig: Make) -> None:
    r = rig()
    before = encode_state(r.engine.state)
    stranger, source = r.ids["v0"], r.ids["engine:BTC-USD-PERP"]
    tick = r.beat(
        1,
        quiet=True,
        extra=[
            Depth(stranger, ((1.0, 1.0),), ((2.0, 1.0),), 0, r.at_ns),
            Liquidation(stranger, 1.0, 1.0, Side.SELL, 0, r.at_ns),
            Ticker(source, TickerKind.INDEX, 1.0, 0, r.at_ns),
        ],
    )
    assert tick.values == ()
    assert r.engine.state.perps[0].depth != Depth(stranger, ((1.0, 1.0),), ((2.0, 1.0),), 0, r.at_ns)
    state = decode_state(before)
    state.seq, state.at_ns = r.engine.state.seq, r.engine.state.at_ns
    assert state.sources[stranger].depth is None
    state.sources[stranger].depth = r.engine.state.sources[stranger].depth
    kept = r.engine.state.sources[stranger].depth
    assert kept is not None
    assert kept.bids == ((1.0, 1.0),)
    assert encode_state(state) == encode_state(r.engine.state)


def test_a_beat_costs_only_what_it_touches(rig: Make) -> None:
    r = rig(usdt=2)

    def instruments(name: str) -> set[str]:
        price = r.prices[name]
        top = BookTop(r.ids[name], price * 0.9999, 1.0, price, 1.0, 0, r.at_ns)
        tick = r.beat(1, quiet=True, extra=[top])
        assert set(tick.quotes) <= {"BTC-USD", "USDT-USD"}
        return {v.instrument for v in tick.values if isinstance(v, IndexValue | MarkPrice)}

    r.prices["engine:BTC-USD-PERP"] = 60_000.0
    assert instruments("v0") == {"BTC-USD", "BTC-USD-PERP"}
    assert instruments("s0") == {"USDT-USD", "BTC-USD", "BTC-USD-PERP"}, "what is quoted in it moves with it"
    assert instruments("engine:BTC-USD-PERP") == {"BTC-USD-PERP"}
    assert r.beat(1, quiet=True).values == ()


def test_an_order_reaches_whom_it_names(rig: Make) -> None:
    r = rig(usdt=2)
    r.beat(extra=[Command(Action.HALT, "BTC-USD", "officer", "drill", r.at_ns)])
    assert (r.index().state, r.index("USDT-USD").state) == (State.HALTED, State.NORMAL)
    before = encode_state(r.engine.state)
    for action, target in ((Action.EXCLUDE, "nobody"), (Action.HALT, "ETH-USD")):
        r.beat(0, quiet=True, extra=[Command(action, target, "officer", "drill", r.at_ns)])
    after, state = r.engine.state, decode_state(before)
    assert [i.rung for i in after.indices] == [i.rung for i in state.indices]
    assert after.sources == state.sources


def test_an_order_in_the_same_beat_hides_nothing_that_is_said_after_it(rig: Make) -> None:
    r = rig()
    before = r.index().price
    for name in r.prices:
        r.prices[name] += 30.0
    order = Command(Action.INCLUDE, "v0", "officer", "drill", r.at_ns)
    r.at_ns += 10_000_000
    r.engine.step(Beat(r.seq + 1, r.at_ns, (order, *r.observations()), 0))
    assert r.engine.state.indices[0].units == before + 3_000


def test_a_beat_older_than_the_last_is_the_callers_mistake(rig: Make) -> None:
    r = rig()
    with pytest.raises(AssertionError):
        r.engine.step(Beat(r.seq + 1, r.at_ns - 1, (), 0))


def test_a_source_that_nobody_uses_is_the_configurations_mistake(rig: Make) -> None:
    world = rig(warm=False).world
    unused = structs.replace(world.indices[0], sources=world.indices[0].sources[1:])
    with pytest.raises(AssertionError):
        Engine(structs.replace(world, indices=(unused,)), for_world(world))
