"""What a premium would cost: the funding rule of any methodology, asked without a market.

The rate is that of `Method.rate`, the very function that settles; what is added is only its length in time and money.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from oracle.core.funding import EIGHT_HOURS_MS
from oracle.core.method import PerpMethod
from oracle.core.params import Rules

YEAR_MS = 365 * 86_400_000


class Simulated(Struct, frozen=True):
    """A rate in every unit people ask for, as shares; `cost` is what a long of the notional pays in one interval.

    `binds` says which limit made it so: `dead_band` (too small to count), `flat` (it rests at the interest),
    `inner_clamp` (interest has pulled as far as it may), `cap`, or `none` (the formula has no limit there).
    """

    premium: float
    rate: float
    per_8h: float
    per_year: float
    cost: float
    interest: float
    interval_ms: int
    binds: str


def simulated(method: PerpMethod, rules: Rules, premium: float, notional: float) -> Simulated:
    """The rate that a mean premium (a share, in the methodology's own base period) makes under `rules`."""
    made = method.rate(premium, rules)
    interval_ms = rules.funding.interval_ms
    if made.cap_binding:
        binds = "cap"
    elif made.dead:
        binds = "dead_band"
    elif made.inner_binding:
        binds = "inner_clamp"
    else:
        binds = "flat" if made.rate == made.interest and premium != made.interest else "none"
    return Simulated(
        premium=premium,
        rate=made.rate,
        per_8h=made.rate * (EIGHT_HOURS_MS / interval_ms),
        per_year=made.rate * (YEAR_MS / interval_ms),
        cost=made.rate * notional,
        interest=made.interest,
        interval_ms=interval_ms,
        binds=binds,
    )


def curve(method: PerpMethod, rules: Rules, premiums: Sequence[float], notional: float = 1.0) -> list[Simulated]:
    """The rate against the premium, point by point."""
    return [simulated(method, rules, premium, notional) for premium in premiums]


def spread(reach: float, points: int) -> list[float]:
    """`points` premiums, evenly from −reach to +reach, zero among them where their number is odd."""
    return [(2 * n - (points - 1)) * reach / (points - 1) for n in range(points)]
