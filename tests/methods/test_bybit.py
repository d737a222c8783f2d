"""Bybit's printed sums, the largest markets by volume, the distances of 2019, its mark and its linear minutes."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from oracle.core.funding import FundingState
from oracle.core.index import Cohort
from oracle.core.mark import MarkState
from oracle.core.params import Rules
from oracle.core.types import NANOS_PER_S, Depth, State, Verdict
from oracle.methods.bybit import SETS, accrue, distance_mean, fund, index, mark, rate, sample

AT = 10**18
OLD, NOW = SETS
ANYONE = replace(OLD, own=replace(OLD.own, weights={}, weight_otherwise=1.0, markets_max=8))


def hours(count: int) -> Rules:
    return replace(NOW, funding=replace(NOW.funding, interval_ms=count * 3_600_000))


def test_pub_byb_1_a_price_in_another_currency_is_converted(basket) -> None:  # type: ignore[no-untyped-def]
    candidates, memory = basket({"a": 0.1}, {"a": 0.1})
    candidates[0].rate = 20_000.0
    assert index(candidates, memory, NOW, AT).price == 2_000.0


def test_the_six_largest_markets_count_by_volume(basket) -> None:  # type: ignore[no-untyped-def]
    prices = {name: 100.0 + place for place, name in enumerate("abcdefgh")}
    volumes = {name: float(place + 1) for place, name in enumerate("abcdefgh")}
    candidates, memory = basket(prices, prices)
    rules = replace(NOW, own=replace(NOW.own, weights=volumes))
    made = index(candidates, memory, rules, AT)
    assert made.price == pytest.approx(float(Fraction(sum((100 + n) * (n + 1) for n in range(2, 8)), 33)))
    assert [c.verdict for c in candidates] == [Verdict.UNWEIGHTED] * 2 + [Verdict.USED] * 6
    candidates, memory = basket(prices, prices)
    candidates[7].verdict = Verdict.STALE
    index(candidates, memory, rules, AT)
    assert [c.verdict for c in candidates][:2] == [Verdict.UNWEIGHTED, Verdict.USED], "the next one takes its place"
    assert index([], memory, NOW, AT) == Cohort()


def test_until_2020_whoever_was_far_weighed_less(basket) -> None:  # type: ignore[no-untyped-def]
    prices = {"bitstamp": 100.0, "coinbase": 101.0, "kraken": 102.0, "gemini": 103.0, "binance": 110.0}
    candidates, memory = basket(prices, prices)
    candidates[0].known.last = 90.0
    made = index(candidates, memory, OLD, AT)
    assert candidates[4].verdict is Verdict.UNWEIGHTED
    mean = Fraction(90 + 101 + 102 + 103, 4)
    weights = {price: 1 / (price - mean) ** 2 for price in (90, 101, 102, 103)}
    exact = sum(price * weight for price, weight in weights.items()) / sum(weights.values())
    assert made.price == pytest.approx(float(exact), rel=1e-14)
    assert made.price > float(mean) + 1.0, "the far one has little to say"


@given(st.lists(st.tuples(st.integers(90, 110).map(float), st.integers(1, 9).map(float)), min_size=1, max_size=6))
def test_the_distance_mean_is_the_formula_in_exact_numbers(pairs: list[tuple[float, float]]) -> None:
    exact = [(Fraction(price), Fraction(volume)) for price, volume in pairs]
    centre = sum((p * v for p, v in exact), Fraction()) / sum((v for _, v in exact), Fraction())
    at = [(p, v) for p, v in exact if p == centre]
    weighed: list[tuple[Fraction, Fraction]] = at or [(p, v / (p - centre) ** 2) for p, v in exact]
    true = sum(p * w for p, w in weighed) / sum(w for _, w in weighed)
    assert distance_mean(pairs) == pytest.approx(float(true), rel=1e-12)


def test_a_price_that_stands_for_longer_than_a_minute_is_out_until_it_moves(basket) -> None:  # type: ignore[no-untyped-def]
    memory, seen = basket(dict.fromkeys("ab", 100.0))[1], []
    for second, b in ((0, 101.0), (60, 101.0), (61, 101.0), (90, 101.0), (91, 102.0)):
        candidates, _ = basket({"a": 100.0, "b": 101.0}, {"a": 100.0 + second / 100, "b": b})
        index(candidates, memory, ANYONE, AT + second * NANOS_PER_S)
        seen.append(candidates[1].verdict)
    assert seen == [Verdict.USED, Verdict.USED, Verdict.FROZEN, Verdict.FROZEN, Verdict.USED]
    candidates, _ = basket({"a": 100.0, "b": 101.0}, {"a": 100.0, "b": 102.0})
    index(candidates, memory, NOW, AT + 900 * NANOS_PER_S)
    assert candidates[1].verdict is Verdict.USED, "since 2022 nothing of the kind is published"


@pytest.mark.parametrize("rules", [ANYONE, NOW], ids=["2019", "now"])
@given(prices=st.lists(st.floats(50_000, 70_000), min_size=1, max_size=6), random=st.randoms())
def test_an_average_is_an_average(index_laws, rules: Rules, prices, random) -> None:  # type: ignore[no-untyped-def]
    index_laws(index, rules, prices, random)


def test_the_mark_is_the_middle_of_three(perp, inputs) -> None:  # type: ignore[no-untyped-def]
    memory, instrument = MarkState(), perp("bybit", NOW)
    for second in range(310):
        level = 60_000.0 + second
        made = mark(memory, inputs(second * 1_000, bid=level - 1, ask=level + 1, settled_rate=0.0002), instrument)
    assert made.basis_leg == pytest.approx(60_000.0 + 10 + 299 / 2), "the last 300 seconds"
    assert made.funding_leg == pytest.approx(60_006.0), "by the rate of the last settlement"
    assert (made.book_leg, made.units) == (60_020.0, 6_002_000)


def test_the_premium_is_that_of_the_impact_prices(perp) -> None:  # type: ignore[no-untyped-def]
    book = Depth(0, ((60_030.0, 9.0),), ((60_040.0, 9.0),), 0, 0)
    assert sample(book, 60_000.0, None, perp("bybit", NOW)).premium == pytest.approx(30 / 60_000)


def test_pub_byb_2_the_minutes_of_eight_hours_weigh_115_440(perp) -> None:  # type: ignore[no-untyped-def]
    instrument, state = perp("bybit", NOW), FundingState()
    for minute in range(1, 481):
        accrue(state, minute * 60 * NANOS_PER_S, minute * 10_000, instrument)
    assert state.weight == 115_440
    made = fund(state, 480 * 60 * NANOS_PER_S, instrument)
    exact = Fraction(sum(minute * minute for minute in range(1, 481)) * 10_000, 115_440)
    assert (made.premium_mean_e10, made.samples, made.expected) == (round(exact), 480, 480)
    equal = FundingState()
    for minute in (1, 2):
        accrue(equal, minute * 60 * NANOS_PER_S, minute * 10_000, perp("bybit", OLD))
    assert (equal.weight, equal.sum_e10) == (2, 30_000)


@pytest.mark.parametrize(
    ("count", "premium", "expected"),
    [(8, "0", "0.0001"), (4, "0", "0.00005"), (1, "0", "0.0000125"), (8, "0.0009", "0.0004"), (4, "0.0009", "0.0004"),
     (8, "-0.0006", "-0.0001"), (8, "0.1", "0.00375")],
)  # fmt: skip
def test_interest_is_scaled_and_the_premium_is_not_divided(count: int, premium: str, expected: str) -> None:
    assert abs(Fraction(rate(float(premium), hours(count)).rate) - Fraction(expected)) < Fraction(1, 10**18)


@given(premium=st.floats(-0.01, 0.01), other=st.floats(-0.01, 0.01), count=st.sampled_from([1, 4, 8]))
def test_the_rate_is_a_rate(rate_laws, premium: float, other: float, count: int) -> None:  # type: ignore[no-untyped-def]
    rate_laws(rate, hours(count), premium, other)


def test_it_can_be_selected(rig) -> None:  # type: ignore[no-untyped-def]
    running = rig("bybit", replace(NOW, own=replace(NOW.own, weights={"g0": 45.0})))
    assert running.index().state is State.NORMAL
    own = running.prices["v0"]
    assert running.index().price == pytest.approx(100 * (0.9 * own + 0.1 * 60_000), abs=30)
    assert running.mark().basis_leg == pytest.approx(6_002_500, abs=200)
