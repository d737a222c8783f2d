"""The arithmetic every published digit rests on: medians, clamps, decays and the one place where values are rounded.

IEEE doubles with + − × ÷ and comparisons, integers, and a correctly rounded exponential: any language can repeat it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal
from functools import lru_cache

MAD_TO_SIGMA = 1.4826  # 1 / Φ⁻¹(3/4): the MAD of a normal sample estimates its standard deviation
# Finite-sample correction of the MAD (Croux and Rousseeuw 1992, table 1): MAD is too small for few values.
MAD_SMALL_SAMPLE = {3: 1.495, 4: 1.363, 5: 1.206, 6: 1.200, 7: 1.140, 8: 1.129, 9: 1.107}
GUARD_DECIMALS = 6
_GUARD: int = 10**GUARD_DECIMALS
_POWERS = tuple(float(f"1e{k}") for k in range(23))
_EXACT = Context(prec=40)


def median_sorted(values: Sequence[float]) -> float:
    """The median of sorted, non-empty values; of an even count the mean of the middle two."""
    n = len(values)
    half = n >> 1
    return values[half] if n & 1 else (values[half - 1] + values[half]) / 2.0


def median(values: Sequence[float]) -> float:
    """The median of non-empty values in any order."""
    return median_sorted(sorted(values))


def median3(a: float, b: float, c: float) -> float:
    """The middle one of three."""
    if a > b:
        a, b = b, a
    return a if c < a else b if c > b else c


def middle_without(ordered: Sequence[float], place: int) -> tuple[float, float]:
    """The middle two of sorted values (at least two) without the one at `place`; of an odd count the middle, twice."""
    n = len(ordered) - 1
    half = n >> 1
    upper = ordered[half if half < place else half + 1]
    return (upper if n & 1 else ordered[half - 1 if half - 1 < place else half]), upper


def clamp(value: float, low: float, high: float) -> float:
    """`value` held within [low, high]. NaN never comes through: it is held at `low`."""
    if value > high:
        return high
    return value if value >= low else low


def quartile(ordered: Sequence[float], numerator: int) -> float:
    """The `numerator`/4 quantile of sorted, non-empty values, by linear interpolation between the nearest ranks."""
    quarters = (len(ordered) - 1) * numerator
    place, rest = divmod(quarters, 4)
    if rest == 0:
        return ordered[place]
    return ordered[place] + (ordered[place + 1] - ordered[place]) * rest / 4.0


def mad_band(ordered: Sequence[float], centre: float, factor: float) -> float:
    """`factor` robust standard deviations of sorted values around `centre`, as a share of it (HK-1 rule I3)."""
    n = len(ordered)
    small_sample = MAD_SMALL_SAMPLE.get(n) or n / (n - 0.8)
    deviation = median([abs(x - centre) for x in ordered])
    return factor * MAD_TO_SIGMA * small_sample * deviation / centre


def quantise(value: float, decimals: int, multiple: int = 1) -> int:
    """The published integer: `value` in units of 10^-decimals, half to even, a whole multiple of `multiple`.

    The double is first taken to six further decimals, so that a tie which binary fractions cannot hold (60004.015) is
    a tie again; then integers decide. Raises OverflowError or ValueError for infinities and NaN.
    """
    fine = round(value * _POWERS[decimals + GUARD_DECIMALS])
    step = _GUARD * multiple
    units, rest = divmod(fine, step)
    if (twice := rest * 2) >= step and (twice > step or units & 1):
        units += 1
    return units * multiple


def truncated(value: float, decimals: int) -> float:
    """The double nearest to `value` cut off, not rounded, after so many decimals; at least zero.

    As in `quantise` the double is first taken to six further decimals, so that 0.29 is not cut off to 0.28.
    """
    return round(value * _POWERS[decimals + GUARD_DECIMALS]) // _GUARD / _POWERS[decimals]


def towards_zero(numerator: int, denominator: int) -> int:
    """The quotient of integers, the denominator above zero, cut off as C and Go divide: −7/2 is −3."""
    return numerator // denominator if numerator >= 0 else -(-numerator // denominator)


def unscaled(units: int, decimals: int) -> float:
    """The double nearest to a published integer: what later rules compute with."""
    return units / _POWERS[decimals]


def bps_e2(share: float) -> int:
    """A share (0.0025) as published basis points in units of 1e-2 (2500)."""
    return quantise(share * 1e4, 2)


@lru_cache(maxsize=4096)
def decay(elapsed_ms: int, tau_ms: int) -> float:
    """e^(−elapsed/tau), correctly rounded: decimal carries 40 digits, so the last binary one is right."""
    return float(_EXACT.exp(_EXACT.divide(Decimal(-elapsed_ms), Decimal(tau_ms))))


@lru_cache(maxsize=4096)
def halving(elapsed_ms: int, half_life_ms: int) -> float:
    """2^(−elapsed/half_life), correctly rounded in the same way."""
    return float(_EXACT.power(Decimal(2), _EXACT.divide(Decimal(-elapsed_ms), Decimal(half_life_ms))))
