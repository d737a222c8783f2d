"""The arithmetic of the methodology in exact fractions: rounding, medians, averages over time, impact prices."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

MS = 10**6
EXACT = Context(prec=60)


def published(value: Fraction, decimals: int, multiple: int = 1) -> int:
    """Section 9: to six further digits, half to even, and those to the published ones, half to even."""
    fine = round(value * 10 ** (decimals + 6))
    return round(Fraction(fine, 10**6 * multiple)) * multiple


def median(values: Iterable[Fraction]) -> Fraction:
    """The middle one, or the mean of the middle two."""
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def held(value: Fraction, low: Fraction, high: Fraction) -> Fraction:
    """The value within its bounds."""
    return min(max(value, low), high)


class Ema:
    """M1 at sixty digits: num ← num·d + x·t, den ← den·d + t, d = e^(−t/τ)."""

    def __init__(self) -> None:
        self.num = self.den = Decimal(0)
        self.at = 0

    def add(self, x: Fraction, at: int, tau_ms: int) -> None:
        """Let x stand for the whole milliseconds since the last one."""
        t = (at - self.at) // MS if self.at else 0
        if t:
            d = EXACT.exp(EXACT.divide(Decimal(-t), Decimal(tau_ms)))
            exact = EXACT.divide(Decimal(x.numerator), Decimal(x.denominator))
            self.num = EXACT.fma(self.num, d, EXACT.multiply(exact, Decimal(t)))
            self.den = EXACT.fma(self.den, d, Decimal(t))
        self.at = self.at + t * MS if self.at else at

    def value(self) -> Fraction | None:
        """The average, once time has passed."""
        return Fraction(EXACT.divide(self.num, self.den)) if self.den else None

    def halve(self, t: int, half_life_ms: int) -> None:
        """M5: shrink by half each half-life, t ms long, and let the clock go on."""
        half = EXACT.power(Decimal(2), EXACT.divide(Decimal(-t), Decimal(half_life_ms)))
        self.num, self.at = EXACT.multiply(self.num, half), self.at + t * MS


def exact(numbers: Iterable[Any]) -> list[Fraction]:
    """Texts as the numbers they are."""
    return [Fraction(number) for number in numbers]


def impact(levels: list[tuple[Any, Any]], perp: dict[str, Any]) -> Fraction | None:
    """The average price at which the impact notional fills."""
    left = notional = perp["rules"]["funding"]["impact_notional"]
    base = Fraction(0)
    for price, size in map(exact, levels):
        worth = size * perp["contract_size"] * (price if perp["contract"] == "linear" else 1)
        base += min(worth, left) / price
        left -= min(worth, left)
        if not left:
            return Fraction(notional / base)
    return None
