"""Weighted means and medians: the published examples, and that order and scale mean nothing."""

from __future__ import annotations

from fractions import Fraction
from math import fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.core.weighted import capped, linear_mean, liquidity_mid, plain_mean, weighted_mean, weighted_median

PRICES = st.floats(1e-3, 1e6)
PAIRS = st.lists(st.tuples(PRICES, st.integers(1, 50).map(float)), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("pairs", "lower", "mean"),
    [
        ([(1, 15), (2, 10), (3, 20), (4, 30), (5, 25)], 4, 4),
        ([(1, 49), (2, 1), (3, 25), (4, 25)], 2, 2.5),
        ([(100, 50), (200, 50)], 100, 150),
        ([(100, 10), (200, 20)], 200, 200),
        ([(100, 33), (200, 33), (300, 33)], 200, 200),
        ([(7, 0.5)], 7, 7),
    ],
)
def test_published_examples(pairs: list[tuple[float, float]], lower: float, mean: float) -> None:
    assert weighted_median(pairs) == lower
    assert weighted_median(pairs, mean_on_tie=True) == mean


@given(PAIRS, st.randoms())
def test_order_means_nothing(pairs: list[tuple[float, float]], random) -> None:  # type: ignore[no-untyped-def]
    shuffled = random.sample(pairs, len(pairs))
    assert weighted_median(shuffled) == weighted_median(pairs)
    assert weighted_median(shuffled, mean_on_tie=True) == weighted_median(pairs, mean_on_tie=True)
    assert weighted_mean(shuffled) == weighted_mean(pairs)


@given(PAIRS)
def test_equal_weights_give_the_plain_median_of_whole_counts(pairs: list[tuple[float, float]]) -> None:
    expanded = sorted(price for price, weight in pairs for _ in range(int(weight)))
    middle = (len(expanded) - 1) // 2
    assert weighted_median(pairs) == expanded[middle]


@given(PAIRS)
def test_the_mean_is_the_fractions(pairs: list[tuple[float, float]]) -> None:
    exact = sum(Fraction(p) * Fraction(w) for p, w in pairs) / sum(Fraction(w) for _, w in pairs)
    assert weighted_mean(pairs) == pytest.approx(float(exact), rel=1e-15)
    assert min(p for p, _ in pairs) <= weighted_mean(pairs) <= max(p for p, _ in pairs)


def test_the_mean_of_equal_values_is_that_value() -> None:
    price, weights = 786.85, (10.84, 13.97, 45.82)
    assert fsum(price * weight for weight in weights) / fsum(weights) != price  # one unit in the last place off
    assert weighted_mean([(price, weight) for weight in weights]) == price
    assert plain_mean([0.1] * 3) == 0.1


def test_linear_weights_make_the_latest_the_heaviest() -> None:
    assert linear_mean([0.0001, 0.0002, 0.0003]) == pytest.approx(0.000233333333, abs=1e-12)
    assert linear_mean([0.001, 0.002]) == pytest.approx(0.001666666667, abs=1e-12)
    assert plain_mean([1.0, 2.0, 6.0]) == 3.0


@pytest.mark.parametrize(
    ("value", "centre", "band", "held"),
    [(21_400, 20_000, 0.05, 21_000), (18_800, 20_000, 0.05, 19_000), (20_100, 20_000, 0.05, 20_100)],
)
def test_a_cap_holds_both_ways(value: float, centre: float, band: float, held: float) -> None:
    assert capped(value, centre, band) == held


def test_the_liquidity_mid_leans_to_the_thin_side() -> None:
    assert liquidity_mid(100.0, 3.0, 102.0, 1.0) == 101.5
    assert liquidity_mid(100.0, 0.0, 102.0, 0.0) == 101.0
