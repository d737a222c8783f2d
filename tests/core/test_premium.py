"""The premium is what it costs to trade the impact notional, and a side that cannot carry it says so."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from oracle.core.params import Contract, PerpInstrument
from oracle.core.premium import (
    Sampled,
    average_fill,
    impact_price,
    margin_notional,
    mid_of_impact,
    of_book,
    of_mark,
    of_mid,
    of_quantity,
    sample,
)
from oracle.core.types import Depth, Reason

Levels = list[tuple[float, float]]
NOTIONAL = 20_000.0
SIZES = st.one_of(st.integers(1, 10_000).map(lambda n: n / 1000), st.integers(1, 20_000).map(float))
LEVELS = st.lists(st.tuples(st.integers(5_990_000, 6_010_000).map(lambda n: n / 100), SIZES), max_size=12)


def exact_impact(levels: Sequence[tuple[float, float]], contract: Contract, contract_size: float) -> Fraction | None:
    """Buy a cent's worth after another, as it were, in exact numbers."""
    left, base = Fraction(NOTIONAL), Fraction(0)
    for price, size in levels:
        worth = Fraction(size) * Fraction(contract_size) * (Fraction(price) if contract is Contract.LINEAR else 1)
        assume(abs(worth - left) > Fraction(1, 1000))
        base += min(worth, left) / Fraction(price)
        left -= min(worth, left)
    return Fraction(NOTIONAL) / base if left == 0 else None


@settings(max_examples=200)
@given(LEVELS, st.sampled_from(Contract), st.sampled_from([1.0, 0.001, 100.0]))
def test_the_impact_price_is_the_average_fill(levels: Levels, contract: Contract, contract_size: float) -> None:
    found, true = impact_price(levels, NOTIONAL, contract, contract_size), exact_impact(levels, contract, contract_size)
    if true is None:
        assert found is None
    else:
        assert found == pytest.approx(float(true), rel=1e-13)


def test_fills_by_hand() -> None:
    levels = [(50_000.0, 0.1), (40_000.0, 1.0)]
    # 5 000 at 50 000 is 0.1, the other 15 000 at 40 000 is 0.375.
    assert impact_price(levels, NOTIONAL, Contract.LINEAR, 1.0) == pytest.approx(20_000 / 0.475)
    assert impact_price(levels, NOTIONAL, Contract.INVERSE, 1.0) is None, "1.1 contracts of one dollar"
    assert impact_price([(50_000.0, 200.0)], NOTIONAL, Contract.INVERSE, 100.0) == 50_000.0
    assert impact_price([], NOTIONAL, Contract.LINEAR, 1.0) is None


@settings(max_examples=100)
@given(LEVELS, LEVELS, st.integers(5_990_000, 6_010_000).map(lambda n: n / 100), st.sampled_from(Contract))
def test_a_sample_is_what_the_rule_says(bids: Levels, asks: Levels, index: float, contract: Contract) -> None:
    made = sample(bids, asks, index, NOTIONAL, contract, 1.0)
    bid, ask = (exact_impact(side, contract, 1.0) for side in (bids, asks))
    assert (made.impact_bid is None, made.impact_ask is None) == (bid is None, ask is None)
    assert (Reason.THIN_BID in made.reasons, Reason.THIN_ASK in made.reasons) == (bid is None, ask is None)
    if bid is None and ask is None:
        assert made.premium is None
        return
    exact_index = Fraction(index)
    above = max(Fraction(0), bid - exact_index) if bid is not None else 0
    below = max(Fraction(0), exact_index - ask) if ask is not None else 0
    assert made.premium == pytest.approx(float((above - below) / exact_index), abs=1e-13)


@pytest.mark.parametrize(
    ("bid", "ask", "premium"),
    [
        (60_030.0, 60_040.0, 0.0005),
        (59_960.0, 59_970.0, -0.0005),
        (59_990.0, 60_010.0, 0.0),  # the index lies within the book: no premium
    ],
)
def test_a_premium_is_the_distance_beyond_the_book(bid: float, ask: float, premium: float) -> None:
    made = sample([(bid, 5.0)], [(ask, 5.0)], 60_000.0, NOTIONAL, Contract.LINEAR, 1.0)
    assert rounded(made) == Sampled(premium, bid, ask)


def rounded(made: Sampled) -> Sampled:
    """A sample to ten digits, as it is published."""
    parts = [None if x is None else round(x, 10) for x in (made.premium, made.impact_bid, made.impact_ask)]
    return Sampled(parts[0], parts[1], parts[2], made.reasons)


def test_a_thin_side_counts_nothing_and_two_thin_sides_are_no_sample() -> None:
    thick, thin = [(60_030.0, 5.0)], [(60_040.0, 0.1)]
    one = sample(thick, thin, 60_000.0, NOTIONAL, Contract.LINEAR, 1.0)
    assert rounded(one) == Sampled(0.0005, 60_030.0, None, [Reason.THIN_ASK])
    other = sample(thin, [(59_970.0, 5.0)], 60_000.0, NOTIONAL, Contract.LINEAR, 1.0)
    assert rounded(other) == Sampled(-0.0005, None, 59_970.0, [Reason.THIN_BID])
    none = sample(thin, thin, 60_000.0, NOTIONAL, Contract.LINEAR, 1.0)
    assert none == Sampled(None, None, None, [Reason.THIN_BID, Reason.THIN_ASK, Reason.MISSING])


BOOK: tuple[Levels, Levels] = ([(99.0, 1e6)], [(103.0, 1e6)])


def test_the_mid_of_impact_has_no_dead_band(worlds) -> None:  # type: ignore[no-untyped-def]
    bids, asks = map(tuple, BOOK)
    made = mid_of_impact(Depth(0, bids, asks, 0, 0), 100.0, NOTIONAL, worlds().perps[0])
    assert (made.impact_bid, made.impact_ask, made.premium) == pytest.approx((99.0, 103.0, 0.01))
    assert made.reasons == []
    assert sample(*BOOK, 100.0, NOTIONAL, Contract.LINEAR, 1.0).premium == 0.0


def test_a_thin_side_leaves_no_mid(worlds) -> None:  # type: ignore[no-untyped-def]
    bids, asks = map(tuple, BOOK)
    perpetual: PerpInstrument = worlds().perps[0]
    made = mid_of_impact(Depth(0, bids, (), 0, 0), 100.0, NOTIONAL, perpetual)
    assert (made.premium, made.impact_ask) == (None, None)
    assert made.impact_bid == pytest.approx(99.0)
    assert made.reasons == [Reason.THIN_ASK, Reason.MISSING]
    other = mid_of_impact(Depth(0, (), asks, 0, 0), 100.0, NOTIONAL, perpetual)
    assert other.reasons == [Reason.THIN_BID, Reason.MISSING]


def test_the_premium_of_a_mark_needs_one() -> None:
    assert of_mark(60_030.0, 60_000.0) == Sampled(0.0005, None, None)
    assert of_mark(None, 60_000.0) == Sampled(None, None, None, [Reason.MISSING, Reason.LEG_MISSING])


def test_a_platforms_book_has_its_instruments_notional(worlds) -> None:  # type: ignore[no-untyped-def]
    perpetual: PerpInstrument = worlds().perps[0]
    depth = Depth(0, ((60_030.0, 20.0),), ((60_040.0, 20.0),), 0, 0)
    assert of_book(depth, 60_000.0, perpetual) == sample(
        depth.bids, depth.asks, 60_000.0, 20_000.0, Contract.LINEAR, 1.0
    )
    greedy = replace(perpetual.rules.funding, impact_notional=1e9)
    thin = of_book(depth, 60_000.0, replace(perpetual, rules=replace(perpetual.rules, funding=greedy)))
    assert thin.reasons == [Reason.THIN_BID, Reason.THIN_ASK, Reason.MISSING]


@pytest.mark.parametrize(
    ("bids", "asks", "premium", "reasons"),
    [
        (((99.0, 1.0),), ((103.0, 1.0),), 0.01, []),
        ((), ((103.0, 1.0),), None, [Reason.THIN_BID, Reason.MISSING]),
        (((99.0, 1.0),), (), None, [Reason.THIN_ASK, Reason.MISSING]),
        (((103.0, 1.0),), ((103.0, 1.0),), None, [Reason.MISSING]),
    ],
)
def test_the_premium_of_the_mid_needs_both_sides(bids, asks, premium, reasons) -> None:  # type: ignore[no-untyped-def]
    assert of_mid(Depth(0, bids, asks, 0, 0), 100.0) == Sampled(premium, None, None, reasons)


@given(LEVELS, st.integers(1, 40_000).map(lambda n: n / 2))
def test_an_average_fill_is_the_formula_in_exact_numbers(levels: Levels, quantity: float) -> None:
    left, paid = Fraction(quantity), Fraction(0)
    for price, size in levels:
        taken = min(Fraction(size), left)
        paid, left = paid + taken * Fraction(price), left - taken
        assume(left == 0 or left > Fraction(1, 1_000))
    found = average_fill(levels, quantity)
    assert found == (None if left else pytest.approx(float(paid / Fraction(quantity)), rel=1e-12))


def test_a_premium_of_a_quantity_takes_no_notion_of_money() -> None:
    depth = Depth(0, ((110.0, 1.0), (90.0, 1.0)), ((120.0, 1.0),), 0, 0)
    assert of_quantity(depth, 99.0, 2.0) == Sampled(1.0 / 99.0, 100.0, None, [Reason.THIN_ASK])
    assert of_quantity(depth, 99.0, 3.0).premium is None


def test_what_a_margin_carries() -> None:
    assert margin_notional(200.0, 0.05) == 4_000.0  # PUB-BNB-1
    assert margin_notional(500.0, 0.1) == 5_000.0  # PUB-DYDX-1
