"""Laws of the arithmetic that published digits rest on."""

from __future__ import annotations

import math
import statistics
from decimal import ROUND_HALF_EVEN, Decimal, getcontext
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.core import maths

PRICES = st.floats(1e-3, 1e6, allow_nan=False)


@given(st.lists(PRICES, min_size=1, max_size=20))
def test_the_median_is_the_standard_librarys(values: list[float]) -> None:
    assert maths.median(values) == statistics.median(values)


@given(PRICES, PRICES, PRICES)
def test_the_middle_of_three(a: float, b: float, c: float) -> None:
    assert maths.median3(a, b, c) == sorted((a, b, c))[1]


@given(st.lists(PRICES, min_size=2, max_size=12), st.data())
def test_the_middle_without_one_is_the_middle_of_the_rest(values: list[float], data: st.DataObject) -> None:
    ordered = sorted(values)
    place = data.draw(st.integers(0, len(ordered) - 1))
    rest = ordered[:place] + ordered[place + 1 :]
    assert maths.middle_without(ordered, place) == (statistics.median_low(rest), statistics.median_high(rest))


def test_a_clamp_never_lets_nan_through() -> None:
    assert maths.clamp(math.nan, 0.995, 1.005) == 0.995
    assert maths.clamp(2.0, 0.995, 1.005) == 1.005
    assert maths.clamp(1.0, 0.995, 1.005) == 1.0


@given(st.lists(PRICES, min_size=1, max_size=15))
def test_quartiles_are_numpys_linear_ones(values: list[float]) -> None:
    ordered = sorted(values)
    assert maths.quartile(ordered, 2) == pytest.approx(statistics.median(ordered), rel=1e-12)
    assert ordered[0] <= maths.quartile(ordered, 1) <= maths.quartile(ordered, 3) <= ordered[-1]
    if len(ordered) >= 2:
        low, _, high = statistics.quantiles(ordered, n=4, method="inclusive")
        assert maths.quartile(ordered, 1) == pytest.approx(low, rel=1e-12)
        assert maths.quartile(ordered, 3) == pytest.approx(high, rel=1e-12)


def test_the_band_of_the_published_example() -> None:
    ordered = [59991.0, 60001.0, 60004.0, 60010.0, 60105.0, 64005.0]
    assert maths.mad_band(ordered, 60007.0, 4.0) == pytest.approx(4 * 1.4826 * 1.200 * 11 / 60007)
    many = [float(x) for x in range(100, 112)]
    assert maths.mad_band(many, 105.5, 4.0) == pytest.approx(4 * 1.4826 * 12 / 11.2 * 3 / 105.5)


@pytest.mark.parametrize(
    ("n", "correction"),
    [(3, 1.495), (4, 1.363), (5, 1.206), (6, 1.2), (7, 1.14), (8, 1.129), (9, 1.107), (10, 10 / 9.2), (20, 20 / 19.2)],
)
def test_the_band_corrects_for_few_values(n: int, correction: float) -> None:
    ordered = [100.0 + 2.0 * (k - (n - 1) / 2) for k in range(n)]
    deviation = statistics.median(abs(x - 100.0) for x in ordered)
    assert maths.mad_band(ordered, 100.0, 4.0) == pytest.approx(4 * 1.4826 * correction * deviation / 100)


def exact(value: Fraction, decimals: int, multiple: int = 1) -> int:
    """The rounding rule of the methodology in exact arithmetic."""
    fine = round(value * 10 ** (decimals + 6))
    return round(Fraction(fine, 10**6 * multiple)) * multiple


@given(st.integers(-(10**9), 10**9), st.sampled_from([1, 2, 4]))
def test_ties_of_decimal_prices_go_to_even(cents: int, parts: int) -> None:
    value = Fraction(cents, 100 * parts)
    assert maths.quantise(float(value), 2) == exact(value, 2)


@settings(max_examples=300)
@given(st.floats(1e-6, 1e6), st.sampled_from([0, 2, 6]), st.sampled_from([1, 5, 10, 25]))
def test_rounding_to_ticks_is_the_rule(value: float, decimals: int, tick: int) -> None:
    units = maths.quantise(value, decimals, tick)
    assert units % tick == 0
    assert abs(units - value * 10**decimals) <= tick / 2 + 1e-6 * max(1.0, abs(units))


def test_the_examples_of_rounding() -> None:
    assert maths.quantise(60004.015, 2) == 6000402
    assert maths.quantise(60004.025, 2) == 6000402
    assert maths.quantise(-1.005, 2) == -100
    assert maths.quantise(60029.04, 2, 10) == 6002900
    assert maths.unscaled(6000402, 2) == 60004.02
    assert maths.bps_e2(0.0025) == 2500
    for bad in (math.nan, math.inf):
        with pytest.raises((ValueError, OverflowError)):
            maths.quantise(bad, 2)


@given(st.integers(0, 10_000_000), st.integers(1, 3_600_000))
def test_the_exponential_is_correctly_rounded(elapsed: int, tau: int) -> None:
    getcontext().prec = 60
    true = (Decimal(-elapsed) / Decimal(tau)).exp()
    assert maths.decay(elapsed, tau) == float(true)
    half = (Decimal(2).ln() * Decimal(-elapsed) / Decimal(tau)).exp()
    assert maths.halving(elapsed, tau) == pytest.approx(float(half), rel=1e-15)
    getcontext().prec = 28


def test_half_to_even_is_decimals_own() -> None:
    for text in ("0.125", "0.375", "2.5", "3.5", "-0.125"):
        expected = int(Decimal(text).scaleb(2).quantize(Decimal(1), ROUND_HALF_EVEN))
        assert maths.quantise(float(text), 2) == expected


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**12))
def test_towards_zero_cuts_off(numerator: int, denominator: int) -> None:
    quotient = maths.towards_zero(numerator, denominator)
    assert quotient == math.trunc(Fraction(numerator, denominator))


@given(st.integers(0, 10**9), st.integers(0, 8))
def test_what_has_no_more_decimals_is_not_cut(units: int, decimals: int) -> None:
    assert maths.truncated(units / 10**decimals, decimals) == units / 10**decimals


@given(PRICES, st.integers(0, 6))
def test_a_cut_is_no_rounding(value: float, decimals: int) -> None:
    lost = Fraction(value) - Fraction(maths.truncated(value, decimals))
    assert -Fraction(1, 10 ** (decimals + 5)) <= lost < Fraction(1, 10**decimals)
    assert maths.truncated(0.0052666666, 6) == 0.005266
