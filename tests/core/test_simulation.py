"""A simulated rate is the settled rate, in other units."""

from __future__ import annotations

import pytest

from oracle.core.simulation import curve, simulated, spread
from oracle.methods import hk1

RULES = hk1.SETS[0]


@pytest.mark.parametrize(
    ("premium", "rate", "binds"),
    [
        (0.0009, 0.0004, "inner_clamp"),
        (0.0003, 0.0001, "flat"),
        (0.0001, 0.0001, "none"),
        (0.01, 0.00375, "cap"),
        (-0.01, -0.00375, "cap"),
    ],
)
def test_the_worked_example_of_the_methodology(premium: float, rate: float, binds: str) -> None:
    made = simulated(hk1, RULES, premium, 60_000.0)
    assert made.rate == pytest.approx(rate, abs=1e-15)
    assert made.per_8h == made.rate, "eight hours are its interval"
    assert made.per_year == pytest.approx(rate * 3 * 365)
    assert made.cost == pytest.approx(rate * 60_000.0)
    assert (made.binds, made.interest, made.interval_ms) == (binds, 0.0001, 28_800_000)


def test_the_curve_never_falls_and_goes_through_zero_premium() -> None:
    premiums = spread(0.005, 101)
    assert (premiums[0], premiums[50], premiums[-1]) == (-0.005, 0.0, 0.005)
    rates = [point.rate for point in curve(hk1, RULES, premiums)]
    assert rates == sorted(rates)
    assert [point.premium for point in curve(hk1, RULES, premiums)] == premiums
