"""Pyth's aggregation on its program's own vectors, its average, and sources that stand in for publishers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from oracle.core.index import Cohort
from oracle.core.types import State, Verdict
from oracle.methods.pyth import INT64_MAX, SETS, Aggregate, Average, Quote, aggregate, average, index, quoted

AT = 10**18
TEN_TIMES_10100 = [(9900, 10)] + [(10100, 10)] * 10


@pytest.mark.parametrize(
    ("quotes", "expected"),
    [
        pytest.param([(10000, 1000)] * 3, (10000, 1000), id="PUB-PYTH-1"),
        pytest.param([(10000, 1000), (11000, 1000), (10500, 1000)], (10500, 500), id="PUB-PYTH-4"),
        pytest.param([(10000, 1000), (15000, 1000), (20000, 1000)], (15000, 4000), id="PUB-PYTH-5"),
        pytest.param([(100000, 10), (100000, 10), (1000000, 10)], (100010, 899980), id="PUB-PYTH-7"),
        pytest.param([(10000, 10), (10020, 10), (11000, 10), (11020, 10)], (10510, 500), id="PUB-PYTH-9"),
        pytest.param([(10000, 1000), (11000, 200), (11100, 350)], (11000, 250), id="PUB-PYTH-18"),
        pytest.param([(10000000, 5000), (10010000, 5000), (10000000, 1000)], (10001000, 4000), id="PUB-PYTH-22"),
        pytest.param(TEN_TIMES_10100, (10100, 10), id="PUB-PYTH-23"),
        pytest.param([(10000, 0)], None, id="PUB-PYTH-38"),
        pytest.param([(21000000, 100000), (209900000, 1000000)], (115000000, 94900000), id="PUB-PYTH-39"),
    ],
)
def test_the_programs_own_vectors(quotes: list[tuple[int, int]], expected: tuple[int, int] | None) -> None:
    assert aggregate([Quote(*quote) for quote in quotes]) == expected


def test_pub_pyth_ema() -> None:
    said = [(100, 10, 5000), (147, 48, 1), (191, 74, 1), (235, 99, 1), (100, 10, 1)]
    made: Average | None = None
    shown = []
    for price, conf, slots in said:
        made = average(made, Aggregate(price, conf), slots)
        shown.append((made.price, made.conf))
    assert shown == [(100, 10), (108, 16), (116, 22), (124, 27), (114, 20)]


def test_half_of_an_average_is_left_after_its_half_life_of_slots() -> None:
    first = average(None, Aggregate(1_000_000, 1), 0)
    for _ in range(5_921):
        first = average(first, Aggregate(1_000_000, 1), 1)
    halved = first
    for _ in range(5_921):
        halved = average(halved, Aggregate(0, 1), 1)
    assert halved.price_sum / first.price_sum == pytest.approx(0.5, rel=1e-3)
    assert average(first, Aggregate(7, 1), 4_146).price == 7
    assert average(first, Aggregate(7, 1), 4_145).price > 7


def test_an_average_is_cut_off_towards_zero() -> None:
    made = average(average(None, Aggregate(-100, 10), 0), Aggregate(-101, 10), 1)
    assert made.price == -100
    assert average(None, Aggregate(5, 0), 0).price == 5


@pytest.mark.parametrize(
    "quote",
    [Quote(1, 1, 26), Quote(1, 1, 0, False), Quote(1, -1), Quote(INT64_MAX, 1), Quote(-INT64_MAX, 2)],
)
def test_who_is_not_valid_does_not_vote(quote: Quote) -> None:
    assert aggregate([quote]) is None
    assert aggregate([Quote(5, 1), quote]) == (5, 1)
    assert aggregate([Quote(5, 1), quote], publishers_min=2) is None


def test_pub_pyth_fee() -> None:
    price, conf = quoted(50_000.00, 50_000.01, 0.001)
    assert (round(price, 6), round(conf, 6)) == (50_000.005005, 50.005005)
    assert (round(price, 2), round(conf, 3)) == (50_000.01, 50.005)


QUOTES = st.lists(
    st.tuples(st.integers(1, 10**9), st.integers(1, 10**6)).map(lambda said: Quote(*said)), min_size=1, max_size=9
)


@given(QUOTES, st.randoms())
def test_order_means_nothing_and_the_price_lies_among_the_votes(quotes: list[Quote], random) -> None:  # type: ignore[no-untyped-def]
    made = aggregate(quotes)
    assert made == aggregate(random.sample(quotes, len(quotes)))
    assert made is not None
    assert made.conf > 0
    assert min(q.price - q.conf for q in quotes) <= made.price <= max(q.price + q.conf for q in quotes)


@given(QUOTES, st.integers(1, 1_000))
def test_it_scales_to_the_last_unit(quotes: list[Quote], factor: int) -> None:
    made = aggregate(quotes)
    scaled = aggregate([Quote(q.price * factor, q.conf * factor) for q in quotes])
    assert made is not None
    assert scaled is not None
    assert 0 <= scaled.price - made.price * factor <= factor // 2


@given(st.lists(st.integers(10_000, 10_100), min_size=3, max_size=7), st.integers(1, 10**9))
def test_a_minority_cannot_leave_the_honest_votes(prices: list[int], lie: int) -> None:
    honest = [Quote(price, 5) for price in prices]
    made = aggregate([*honest, *[Quote(lie, 5)] * ((len(honest) - 1) // 2)])
    assert made is not None
    assert 10_000 - 5 <= made.price <= 10_100 + 5


def test_sources_are_publishers_with_half_their_spread(basket) -> None:  # type: ignore[no-untyped-def]
    candidates, memory = basket({"a": 100.0, "b": 110.0, "c": 105.0})
    for c in candidates:
        c.bid, c.ask = c.price - 10.0, c.price + 10.0
    made = index(candidates, memory, SETS[0], AT)
    assert (made.price, made.confidence) == (105.0, 5.0 / 105.0)  # PUB-PYTH-4, a hundredth of it
    assert (made.low, made.high) == (90.0, 120.0)
    assert [c.verdict for c in candidates] == [Verdict.USED] * 3


def test_too_few_publishers_make_no_price_and_the_late_are_not_valid(basket) -> None:  # type: ignore[no-untyped-def]
    candidates, memory = basket({"a": 100.0, "b": 110.0, "c": 105.0})
    candidates[2].age_ns = 10_400_000_000
    assert index(candidates, memory, SETS[0], AT) == Cohort()
    assert candidates[2].verdict is Verdict.STALE
    candidates, memory = basket({"a": 100.0, "b": 110.0})
    two = replace(SETS[0], own=replace(SETS[0].own, publishers_min=2))
    assert index(candidates, memory, two, AT).price == pytest.approx(105.0)


def test_a_fee_widens_the_confidence_and_converts(basket) -> None:  # type: ignore[no-untyped-def]
    candidates, memory = basket({"a": 100.0, "b": 100.0, "c": 100.0})
    for c in candidates:
        c.rate = 2.0
    wide = replace(SETS[0], own=replace(SETS[0].own, fee=0.001))
    made = index(candidates, memory, wide, AT)
    assert made.price == pytest.approx(200.0)
    assert made.confidence == pytest.approx(0.001, rel=1e-4)


def test_it_can_be_selected(rig) -> None:  # type: ignore[no-untyped-def]
    running = rig("pyth", SETS[0])
    assert running.index().state is State.NORMAL
    assert running.index().price == pytest.approx(6_000_000, abs=1_000)
    assert running.index().confidence_bps_e2 == pytest.approx(50, abs=40)
