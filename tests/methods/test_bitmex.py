"""BitMEX' protections, 23 of its marks, a rate known one interval ahead. Printed examples: `test_printed.py`."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from oracle.core.fair import funding_leg
from oracle.core.funding import FundingState, start_of_interval
from oracle.core.index import Cohort, Member, Memory
from oracle.core.mark import MarkInputs, MarkState
from oracle.core.params import Rules
from oracle.core.types import NANOS_PER_S, Depth, FundingRate, Reason, State, Verdict
from oracle.methods.bitmex import SETS, accrue, fund, index, limits, mark, rate, sample, stepped

AT = 1_608_300_000 * NANOS_PER_S  # on the grid of five seconds
PLAIN = {"a": 1.0, "b": 1.0, "c": 1.0}
HOUR_NS = 3_600 * NANOS_PER_S


def rules(place: int = -1, weights: Mapping[str, float] = PLAIN) -> Rules:
    return replace(SETS[place], own=replace(SETS[place].own, weights=dict(weights)))


def step(basket, memory: Memory, prices: Mapping[str, float], at_ns: int, of: Rules, silent: str = "") -> Cohort:  # type: ignore[no-untyped-def]
    """One calculation with these last prices; the `silent` have not traded for twenty minutes."""
    candidates, _ = basket(prices, prices)
    for c in candidates:
        c.known.last_trade_ns = at_ns - (1_200 * NANOS_PER_S if c.venue in silent else 0)
    return index(candidates, memory, of, at_ns)


def fresh(count: int = 3) -> Memory:
    return Memory([Member() for _ in range(count)])


def test_a_break_begins_the_time_anew(basket) -> None:  # type: ignore[no-untyped-def]
    memory, of = fresh(), rules(2)
    for minute, a in enumerate([150.0] + [101.0] * 10 + [103.0] + [101.0] * 15):
        step(basket, memory, {"a": a, "b": 100.0, "c": 100.0}, AT + minute * 60 * NANOS_PER_S, of)
    assert memory.members[0].rejected
    prices = {"a": 101.0, "b": 100.0, "c": 100.0}
    assert step(basket, memory, prices, AT + 28 * 60 * NANOS_PER_S, of).price == pytest.approx(301 / 3)


def test_before_the_rule_of_re_entry_nobody_came_back_by_himself(basket) -> None:  # type: ignore[no-untyped-def]
    memory, of = fresh(), rules(0)
    for minute, a in enumerate([150.0] + [100.0] * 60):
        step(basket, memory, {"a": a, "b": 100.0, "c": 100.0}, AT + minute * 60 * NANOS_PER_S, of)
    assert memory.members[0].rejected


@pytest.mark.parametrize(("a", "held"), [(104.9, False), (105.3, False), (110.6, True)])
def test_two_that_disagree_by_five_percent_hold_the_index(basket, a: float, held: bool) -> None:  # type: ignore[no-untyped-def]
    memory, of = fresh(2), rules(weights={"a": 1.0, "b": 1.0})
    assert step(basket, memory, {"a": 100.0, "b": 100.0}, AT, of).price == 100.0
    made = step(basket, memory, {"a": a, "b": 100.0}, AT + 5 * NANOS_PER_S, of)
    assert made.price == (100.0 if held else pytest.approx((a + 100.0) / 2.0))
    assert made.low <= made.price <= made.high


def test_one_that_jumps_by_ten_percent_holds_the_index(basket) -> None:  # type: ignore[no-untyped-def]
    memory, of = fresh(1), rules(weights={"a": 1.0})
    seen = []
    for place, price in enumerate((100.0, 109.0, 121.0, 118.0, 98.0)):
        seen.append(step(basket, memory, {"a": price}, AT + place * 5 * NANOS_PER_S, of).price)
    assert seen == [100.0, 109.0, 109.0, 118.0, 118.0]


def test_one_comes_back_alone_by_the_wider_tolerance(basket) -> None:  # type: ignore[no-untyped-def]
    memory, of = fresh(), rules()
    step(basket, memory, {"a": 100.0, "b": 100.0, "c": 80.0}, AT, of)
    seen = []
    for minute in range(1, 19):  # a and b fall silent; c stands within 10 % of the index that is held
        prices = {"a": 100.0, "b": 100.0, "c": 91.0}
        seen.append(step(basket, memory, prices, AT + minute * 60 * NANOS_PER_S, of, silent="ab").price)
    assert seen == [0.0] * 16 + [91.0] * 2


def test_the_silent_are_removed_after_fifteen_minutes(basket) -> None:  # type: ignore[no-untyped-def]
    memory = fresh()
    prices = {"a": 100.0, "b": 101.0, "c": 102.0}
    assert step(basket, memory, prices, AT, rules(), silent="c").price == 100.5
    assert step(basket, memory, prices, AT + 5 * NANOS_PER_S, rules()).price == 101.0


def test_whoever_never_traded_has_no_last_price(basket) -> None:  # type: ignore[no-untyped-def]
    candidates, memory = basket({"a": 100.0, "b": 101.0})
    for c in candidates:
        c.known.last_trade_ns = 0
    assert index(candidates, memory, rules(), AT) == Cohort()
    assert [c.verdict for c in candidates] == [Verdict.NO_PRICE] * 2


def test_between_two_instants_the_index_stands(basket) -> None:  # type: ignore[no-untyped-def]
    memory, of = fresh(), rules()
    assert step(basket, memory, dict.fromkeys("abc", 100.0), AT, of).price == 100.0
    assert step(basket, memory, dict.fromkeys("abc", 101.0), AT + 4 * NANOS_PER_S, of).price == 100.0
    assert step(basket, memory, dict.fromkeys("abc", 101.0), AT + 5 * NANOS_PER_S, of).price == 101.0


def test_the_weights_of_january_2021(basket) -> None:  # type: ignore[no-untyped-def]
    prices = {"coinbase": 100.0, "bitstamp": 101.0, "kraken": 102.0, "gemini": 103.0, "bittrex": 104.0}
    made = step(basket, fresh(5), prices, AT, SETS[4])
    assert made.price == pytest.approx((3807 * 100 + 2881 * 101 + 2028 * 102 + 734 * 103 + 550 * 104) / 10_000)
    without = {name: price for name, price in prices.items() if name != "bittrex"}
    assert step(basket, fresh(4), without, AT, SETS[4]).price < made.price


@given(st.permutations(list("abcdef")), st.lists(st.floats(90.0, 130.0), min_size=6, max_size=6))
def test_order_means_nothing(basket, names, prices) -> None:  # type: ignore[no-untyped-def]
    by_name = dict(zip("abcdef", prices, strict=True))
    weights = {name: float(place + 1) for place, name in enumerate("abcdef")}
    first = step(basket, fresh(6), by_name, AT, rules(weights=weights)).price
    assert step(basket, fresh(6), {name: by_name[name] for name in names}, AT, rules(weights=weights)).price == first


@given(st.lists(st.floats(90.0, 130.0), min_size=3, max_size=3), st.sampled_from([2.0, 0.5, 1024.0]))
def test_it_scales(basket, prices, factor) -> None:  # type: ignore[no-untyped-def]
    named = dict(zip("abc", prices, strict=True))
    scaled = {name: price * factor for name, price in named.items()}
    first = step(basket, fresh(), named, AT, rules()).price
    assert step(basket, fresh(), scaled, AT, rules()).price == first * factor


@pytest.mark.data
def test_23_of_23_marks_lie_within_half_a_tick(data: Path) -> None:
    with (data / "series" / "bitmex_perpetuals_20210722.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 23
    for row in rows:
        at, settles = (datetime.fromisoformat(row[name]) for name in ("timestamp", "fundingTimestamp"))
        minute = at.replace(second=0)
        left = (settles - minute).total_seconds() / 28_800
        made = funding_leg(float(row["indicativeSettlePrice"]), float(row["fundingRate"]), left)
        assert abs(made - float(row["markPrice"])) <= float(row["tickSize"]) / 2, row["symbol"]
        yearly = Decimal(row["fundingRate"]) * 3 * 365
        assert abs(yearly - Decimal(row["fairBasisRate"])) < Decimal("1e-12")


def test_the_mark_decays_by_the_minute(rig) -> None:  # type: ignore[no-untyped-def]
    perp = rig("bitmex", rules(weights=GROUPS)).world.perps[0]
    values = []
    for second in (0, 59, 60):
        at_ns = start_of_interval(AT, perp.rules.funding) + (4 * 3600 + second) * NANOS_PER_S
        left = 0.5 - second / 28_800
        now = MarkInputs(at_ns, 60_000.0, True, 0, 0.0, 0.0, 0.0, 0.001, left)
        values.append(mark(MarkState(), now, perp).funding_leg)
    assert values == [60_030.0, 60_030.0, pytest.approx(60_000 * (1 + 0.001 * (0.5 - 60 / 28_800)))]


GROUPS = {f"g{n}": 1.0 for n in range(6)}


def depth(bid: float, ask: float, size: float = 100.0) -> Depth:
    return Depth(0, ((bid, size),), ((ask, size),), 0, 0)


@pytest.mark.parametrize(
    ("bid", "ask", "premium"),
    [(60_040.0, 60_050.0, 40 / 60_000), (59_990.0, 60_050.0, 20 / 60_000), (59_900.0, 60_010.0, 10 / 60_000)],
)
def test_the_premium_is_the_basis_inside_the_impact_spread(rig, bid: float, ask: float, premium: float) -> None:  # type: ignore[no-untyped-def]
    perp = rig("bitmex", rules(weights=GROUPS)).world.perps[0]
    made = sample(depth(bid, ask), 60_000.0, 60_020.0, perp)
    assert made.premium == pytest.approx(premium)
    assert made.impact_bid == pytest.approx(bid)
    assert made.impact_ask == pytest.approx(ask)
    assert sample(depth(bid, ask), 60_000.0, None, perp).premium is None


def test_the_impact_notional_is_twenty_coins_of_margin_since_december_2020(rig) -> None:  # type: ignore[no-untyped-def]
    world = rig("bitmex", rules(weights=GROUPS)).world
    for place, enough in ((3, 20.0), (2, 10.0)):
        perp = replace(world.perps[0], rules=SETS[place])
        thin = sample(depth(59_990.0, 60_010.0, enough * 0.99), 60_000.0, 60_000.0, perp)
        assert thin.reasons == [Reason.THIN_BID, Reason.THIN_ASK, Reason.MISSING]
        assert not sample(depth(59_990.0, 60_010.0, enough * 1.01), 60_000.0, 60_000.0, perp).reasons


def test_every_sets_cap_is_a_share_of_its_margins() -> None:
    assert all(of.funding.cap == limits(of.own)[0] for of in SETS)


@given(st.floats(-0.02, 0.02))
def test_the_rate_is_flat_then_follows_then_is_capped(premium: float) -> None:
    made, cap = rate(premium, SETS[-1]), SETS[-1].funding.cap
    assert -cap <= made.rate <= cap
    if abs(premium - 0.0001) <= 0.0005:
        assert made.rate == 0.0001
    mirrored = rate(0.0002 - premium, SETS[-1]).rate - 0.0001
    if not made.cap_binding and abs(mirrored) < cap - 0.0002:
        assert mirrored == pytest.approx(0.0001 - made.rate, abs=1e-12)


def test_a_rate_steps_no_further_than_its_limit() -> None:
    own = SETS[-1].own
    assert stepped(rate(0.01, SETS[-1]), None, own).rate == 0.00375
    assert stepped(rate(0.01, SETS[-1]), -0.002, own).rate == pytest.approx(0.00175)
    assert stepped(rate(0.01, SETS[-1]), -0.002, own).cap_binding
    assert stepped(rate(-0.01, SETS[-1]), 0.001, own).rate == pytest.approx(-0.00275)


def interval(perp, state: FundingState, premium_e10: int, samples: int = 480) -> int:  # type: ignore[no-untyped-def]
    """Run an interval with one premium throughout, settle it twice, go on to the next; the answer is what it paid."""
    for minute in range(samples):
        accrue(state, state.start_ns + (minute + 1) * 60 * NANOS_PER_S, premium_e10, perp)
    until_ns = state.start_ns + 8 * HOUR_NS
    made = fund(state, until_ns, perp)
    assert fund(state, until_ns, perp) == made
    state.start_ns, state.samples, state.sum_e10, state.weight = until_ns, 0, 0, 0
    return made.rate_e8


def test_what_an_interval_makes_the_next_one_pays(rig) -> None:  # type: ignore[no-untyped-def]
    perp = rig("bitmex", rules(weights=GROUPS)).world.perps[0]
    state = FundingState(start_of_interval(AT, perp.rules.funding))
    paid = [interval(perp, state, premium) for premium in (9_000_000, -9_000_000, 100_000_000, 0)]
    assert paid == [10_000, 40_000, -40_000, 335_000]  # the third made 375 000, a step of 375 000 from −40 000 at most
    assert interval(perp, state, 0, samples=100) == 10_000
    assert fund(state, state.start_ns, perp).reasons == [Reason.FUNDING_FALLBACK]
    state.start_ns += 8 * HOUR_NS  # an interval was missed: what was noted counts for another time
    assert fund(state, state.start_ns, perp).rate_e8 == 10_000


def test_a_rate_at_its_limit_is_said_when_it_is_paid(rig) -> None:  # type: ignore[no-untyped-def]
    perp = rig("bitmex", rules(weights=GROUPS)).world.perps[0]
    state = FundingState(start_of_interval(AT, perp.rules.funding))
    interval(perp, state, 100_000_000)
    made = fund(state, state.start_ns, perp)
    assert (made.rate_e8, made.cap_binding, made.reasons) == (375_000, True, [Reason.FUNDING_AT_CAP])


@settings(max_examples=5)
@given(st.integers(0, 23))
def test_intervals_begin_at_four_twelve_and_twenty(hour: int) -> None:
    at_ns = 1_610_668_800 * NANOS_PER_S + hour * HOUR_NS
    start_ns = start_of_interval(at_ns, SETS[-1].funding)
    assert start_ns // HOUR_NS % 24 in (4, 12, 20)
    assert 0 <= at_ns - start_ns < 8 * HOUR_NS


def test_it_can_be_selected(rig) -> None:  # type: ignore[no-untyped-def]
    running = rig("bitmex", rules(weights=GROUPS))
    assert running.index().state is State.NORMAL
    assert running.index().price == pytest.approx(6_000_000, abs=100)
    made = running.mark()
    assert made.funding_leg is not None
    assert abs(made.price - made.funding_leg) <= 5  # rounded to a tick of 0.10
    running.quote_all(60_600.0)
    assert running.index().price == pytest.approx(6_000_000, abs=100)
    running.run(6)
    assert running.index().price == pytest.approx(6_060_000, abs=100)


def test_a_settlement_in_the_engine_fixes_the_next_rate(rig) -> None:  # type: ignore[no-untyped-def]
    running = rig("bitmex", rules(weights=GROUPS))  # 16:00:25 UTC, in the midst of the interval from 12:00
    running.engine_price = 60_100.0
    running.beat(35_000)
    own = running.world.perps[0].rules.own
    assert own.impact_margin / own.initial_margin == 20.0
    ticks = [running.beat(60_000, extra=[thick(running)]) for _ in range(245 + 480)]
    rates = [value for tick in ticks for value in tick.values if isinstance(value, FundingRate)]
    first, second = [value for value in rates if value.final]
    assert (first.settles_ns // HOUR_NS % 24, second.settles_ns // HOUR_NS % 24) == (20, 4)
    assert (first.rate_e8, first.reasons) == (10_000, (Reason.FUNDING_FALLBACK,))  # nobody knew a rate before
    assert (second.rate_e8, second.reasons) == (10_000, (Reason.FUNDING_FALLBACK,))  # half of its maker was missed
    assert (second.samples, second.expected) == (480, 480)
    assert second.premium_mean_e10 is not None
    assert second.premium_mean_e10 == pytest.approx(16_500_000, abs=300_000)
    assert rates[-1].interval_start_ns == second.settles_ns
    assert (
        rates[-1].rate_e8 == round(second.premium_mean_e10 / 100) - 50_000
    )  # P̄ − C, fixed for the eight hours to come
    assert rates[-1].reasons == ()


def thick(running) -> Depth:  # type: ignore[no-untyped-def]
    """A book of the platform that carries the impact notional, a hundred dollars above the index."""
    source = running.world.perps[0].engine_source
    at_ns = running.at_ns + 60_000 * 1_000_000
    return Depth(source, ((60_099.0, 100.0),), ((60_101.0, 100.0),), at_ns, at_ns)
