"""Pyth's aggregation, its average, and sources that stand in for publishers. Its vectors stand in `test_vectors.py`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from oracle.core.index import Cohort
from oracle.core.types import State, Verdict
from oracle.methods.pyth import INT64_MAX, SETS, Aggregate, Quote, aggregate, average, index

AT = 10**18


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
