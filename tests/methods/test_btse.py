"""BTSE's printed depth, its basis price, the engine of 2020 and the rule of today that halves and waits."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from oracle.core.fair import funding_leg
from oracle.core.funding import FundingState
from oracle.core.index import Cohort
from oracle.core.mark import MarkState
from oracle.core.params import Rules
from oracle.core.types import NANOS_PER_S, Depth, Reason, State, Verdict
from oracle.methods.btse import SETS, accrue, depth_mid, fund, index, mark, rate, sample

AT = 10**18
EIGHT, HOURLY, NOW = SETS
BIDS, ASKS = ((6_584.5, 10_000.0),), ((6_586.0, 3_467.0), (6_587.0, 6_533.0))


def of(rules: Rules, *names: str) -> Rules:
    """The rules with these venues, each weighing the same."""
    return replace(rules, own=replace(rules.own, weights=dict.fromkeys(names, 1.0)))


def test_pub_btse_1_the_depth_of_ten_thousand_contracts() -> None:
    deep = depth_mid(BIDS, ASKS, 10_000.0)
    assert deep is not None
    assert deep == pytest.approx(float((Fraction("6584.5") + Fraction(6586 * 3467 + 6587 * 6533, 10_000)) / 2))
    assert round(deep, 2) == 6_585.58
    assert depth_mid(BIDS, ASKS[:1], 10_000.0) is None
    assert depth_mid((), ASKS, 10_000.0) is None


def test_der_btse_p1_the_basis_of_the_article() -> None:
    assert funding_leg(60_000.0, 0.00015, 155 / 480) == pytest.approx(60_002.90625, abs=1e-9)


def test_in_2020_both_ends_were_left_out(basket) -> None:  # type: ignore[no-untyped-def]
    candidates, memory = basket(
        {"bitfinex": 100.0, "bitstamp": 90.0, "bittrex": 102.0, "coinbase": 130.0, "kraken": 101.0}
    )
    assert index(candidates, memory, EIGHT, AT).price == pytest.approx(101.0)
    assert [c.verdict for c in candidates] == ["USED", "OUTLIER", "USED", "OUTLIER", "USED"]
    candidates, memory = basket({"bitfinex": 100.0, "kraken": 102.0, "binance": 7.0})
    assert index(candidates, memory, EIGHT, AT).price == pytest.approx(101.0), "of two, nobody"


def test_in_2020_a_price_leaned_towards_the_thin_side(basket) -> None:  # type: ignore[no-untyped-def]
    candidates, memory = basket({"kraken": 101.0})
    candidates[0].bid, candidates[0].ask = 100.0, 102.0
    candidates[0].known.bid_size, candidates[0].known.ask_size = 3.0, 1.0
    assert index(candidates, memory, EIGHT, AT).price == 101.5
    candidates[0].verdict = None
    assert index(candidates, memory, of(NOW, "kraken"), AT).price == 101.0


def test_today_a_far_price_is_held_and_halved_and_then_left_out(basket) -> None:  # type: ignore[no-untyped-def]
    prices = {"a": 100.0, "b": 100.0, "c": 120.0}
    memory, seen = basket(prices)[1], []
    for second, far in ((0, 120.0), (29, 120.0), (30, 120.0), (31, 102.0), (32, 120.0)):
        candidates, _ = basket({**prices, "c": far})
        made = index(candidates, memory, of(NOW, "a", "b", "c"), AT + second * NANOS_PER_S)
        seen.append((made.price, candidates[2].verdict))
    held = pytest.approx((100.0 + 100.0 + 103.0 / 2) / 2.5)
    back = pytest.approx(302.0 / 3)
    assert seen == [
        (held, Verdict.CAPPED),
        (held, Verdict.CAPPED),
        (100.0, Verdict.OUTLIER),
        (back, Verdict.USED),
        (held, Verdict.CAPPED),
    ]


def test_an_absence_breaks_the_time_beyond_the_band(basket) -> None:  # type: ignore[no-untyped-def]
    rules, prices = of(NOW, "a", "b", "c"), {"a": 100.0, "b": 100.0, "c": 120.0}
    memory = basket(prices)[1]
    for second in (0, 20, 40):
        candidates, _ = basket(prices)
        if second == 20:
            candidates[2].verdict = Verdict.STALE
        index(candidates, memory, rules, AT + second * NANOS_PER_S)
    assert candidates[2].verdict is Verdict.CAPPED
    assert index([], memory, rules, AT) == Cohort()
    assert memory.notes.numbers == {}


@pytest.mark.parametrize("rules", [EIGHT, NOW], ids=["2020", "now"])
@given(prices=st.lists(st.floats(50_000, 70_000), min_size=1, max_size=7), random=st.randoms())
def test_an_average_is_an_average(index_laws, rules: Rules, prices, random) -> None:  # type: ignore[no-untyped-def]
    index_laws(index, of(rules, *(f"v{place}" for place in range(7))), prices, random)


@pytest.mark.parametrize(
    ("price", "units", "reasons"),
    [
        (6_580.0, 658_056, []),
        (6_720.0, 670_656, []),  # 1.8 % off the liquidity mid of 6 585.61
        (6_740.0, 674_000, [Reason.CLAMP_BAND]),
        (6_400.0, 640_000, [Reason.CLAMP_BAND]),
    ],
)
def test_the_mark_of_2020_is_the_index_and_a_tenth_of_the_depth(perp, inputs, price, units, reasons) -> None:  # type: ignore[no-untyped-def]
    now = inputs(0, index=price, depth=Depth(0, BIDS, ASKS, 0, 0))
    made = mark(MarkState(), now, perp("btse", EIGHT))
    assert (made.reasons, made.band_binding) == (reasons, bool(reasons))
    assert made.units == units


@pytest.mark.parametrize("changed", [{"depth": None}, {"feed_age_ns": None}, {"depth": Depth(0, BIDS, ASKS[:1], 0, 0)}])
def test_without_its_depth_the_mark_of_2020_is_the_index(perp, inputs, changed) -> None:  # type: ignore[no-untyped-def]
    now = inputs(0, **{"index": 6_580.0, "depth": Depth(0, BIDS, ASKS, 0, 0), **changed})
    made = mark(MarkState(), now, perp("btse", HOURLY))
    assert (made.units, made.book_leg) == (658_000, None)
    assert made.reasons[-1] is Reason.LEG_MISSING


def test_the_mark_of_today_is_the_middle_of_three(perp, inputs) -> None:  # type: ignore[no-untyped-def]
    made = mark(MarkState(), inputs(0, settled_rate=0.9), perp("btse", NOW))
    assert (made.basis_leg, made.book_leg, made.units) == (60_010.0, 60_020.0, 6_001_000)
    assert made.funding_leg == pytest.approx(60_003.0), "by the running estimate"


def test_the_premium_of_2020_was_of_contracts_and_is_of_a_notional(perp) -> None:  # type: ignore[no-untyped-def]
    book = Depth(0, BIDS, ASKS, 0, 0)
    made = sample(book, 6_590.0, None, perp("btse", HOURLY))
    assert made.impact_ask == pytest.approx(6_586.6533)
    assert made.premium == pytest.approx((6_586.6533 - 6_590.0) / 6_590.0)
    assert sample(book, 6_590.0, None, perp("btse", NOW)).impact_ask == pytest.approx(6_586.0)


@pytest.mark.parametrize(
    ("rules", "premium", "expected"),
    [
        (EIGHT, "0.0009", "0.0003"),
        (EIGHT, "0.000003", "0.000001"),
        (HOURLY, "0.0012", "0.00005"),
        (HOURLY, "0.00024", "0.00001"),
        (HOURLY, "0.0001", "0.00001"),
        (HOURLY, "-0.0001", "-0.00001"),
        (HOURLY, "0", "0"),
        (HOURLY, "0.9", "0.00375"),
        (NOW, "0.0009", "0.0004"),
        (NOW, "0.0003", "0.0001"),
    ],
)
def test_the_rate_of_its_time(rules: Rules, premium: str, expected: str) -> None:
    assert abs(Fraction(rate(float(premium), rules).rate) - Fraction(expected)) < Fraction(1, 10**18)


@given(premium=st.floats(-0.1, 0.1), other=st.floats(-0.1, 0.1), rules=st.sampled_from(SETS))
def test_the_rate_is_a_rate(rate_laws, premium: float, other: float, rules: Rules) -> None:  # type: ignore[no-untyped-def]
    rate_laws(rate, rules, premium, other)


def test_the_minutes_of_an_hour_make_its_rate(perp) -> None:  # type: ignore[no-untyped-def]
    instrument, state = perp("btse", HOURLY), FundingState()
    for minute in range(1, 61):
        accrue(state, minute * 60 * NANOS_PER_S, minute * 1_000_000, instrument)
    made = fund(state, 3_600 * NANOS_PER_S, instrument)
    assert (made.premium_mean_e10, made.samples, made.expected) == (30_500_000, 60, 60)
    assert made.rate_e8 == round(30_500_000 / 24 / 100)
    nothing = fund(FundingState(), 3_600 * NANOS_PER_S, instrument)
    assert (nothing.rate_e8, nothing.reasons) == (0, [Reason.FUNDING_FALLBACK])


def test_it_can_be_selected(rig) -> None:  # type: ignore[no-untyped-def]
    running = rig("btse", of(NOW, *(f"g{place}" for place in range(6))))
    assert running.index().state is State.NORMAL
    assert running.mark().basis_leg == pytest.approx(6_002_500, abs=200)
    running.prices["v5"] = 66_000.0
    running.run(1)
    held = (5 * 6_000_000 + 6_180_000 / 2) / 5.5
    assert running.index().price == pytest.approx(held, rel=1e-4)
    running.run(30)
    assert running.index().price == pytest.approx(6_000_000, rel=1e-4)
