"""CME spot-quoted futures: settlement of the lead month and the daily financing adjustment, as pure functions.

Published in `methodology/cme_spot_quoted.md`. Sources: cmegroup.com, FAQ Spot-Quoted futures and articles of 2025 and
2026; CME Group client systems wiki, Bitcoin (daily and final settlement). The expression for the daily adjustment was
not found: `daily_adjustment` is a reconstruction, and says so. There is no index and no funding that could run live.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_DOWN, ROUND_HALF_UP, Decimal
from typing import Annotated, NamedTuple

from msgspec import Struct, field

from oracle.core import frame
from oracle.core.params import Rules, num, word
from oracle.core.types import NANOS_PER_S
from oracle.core.weighted import weighted_mean

ID = "cme_spot_quoted"
READS = ()


class Own(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is this methodology's alone. Prices are in USD."""

    units: Annotated[dict[str, float], word("contract", "of the base in one contract, by product", "base")] = field(
        default_factory=lambda: {"QBTC": 0.01, "QETH": 0.2, "QSOL": 5.0, "QXRP": 250.0}
    )
    tick: Annotated[float, num("settlement", "tick of the lead month", 1e-6, 1e6, "quote")] = 5.0
    year_days: Annotated[int, num("settlement", "days of a year in the carry calculation", 360, 366, "days")] = 365


OWN = Own
SETS: tuple[Rules, ...] = (
    frame.rules(1_748_736_000 * NANOS_PER_S, "1.0.0", own=Own()),  # 2025-06-01: launched in that month
)


class Settled(NamedTuple):
    """A settlement price, and the tier of the procedure that made it: 1 trades, 2 the book, 3 carry."""

    price: float
    tier: int


def lead_settlement(
    trades: Sequence[tuple[float, float]],
    quotes: Sequence[tuple[float, float]],
    carry: tuple[float, int, float],
    before: float,
    rules: Rules,
) -> Settled:
    """The daily settlement of the lead-month future, from the minute before 15:00 in Chicago.

    Tier 1: the volume-weighted average of the minute's `trades`, each (price, size). Tier 2: the midpoint of its
    `quotes`, each (bid, ask), the last two-sided one. Tier 3: carry from (reference rate, days to expiry, interest
    rate a year). `before` is the settlement of the day before, towards which a tie between two ticks goes.
    """
    own: Own = rules.own
    if trades:
        return Settled(to_tick(weighted_mean(trades), own.tick, before), 1)
    sided = [(bid, ask) for bid, ask in quotes if 0.0 < bid <= ask]
    if sided:
        bid, ask = sided[-1]
        return Settled(to_tick((bid + ask) / 2.0, own.tick, before), 2)
    reference, days, interest = carry
    return Settled(to_tick(reference + days / own.year_days * interest * reference, own.tick, before), 3)


def to_tick(price: float, tick: float, before: float) -> float:
    """The nearest multiple of the tick; of two equally near, the one towards the settlement of the day before."""
    up = before > price
    steps = Decimal(repr(price)) / Decimal(repr(tick))
    return float(steps.quantize(Decimal(1), ROUND_HALF_UP if up else ROUND_HALF_DOWN) * Decimal(repr(tick)))


def cleared_price(spot_equivalent: float, total_adjustment: float) -> float:
    """What a trade at a spot-equivalent price clears at: that price plus the total financing adjustment (published)."""
    return spot_equivalent + total_adjustment


def daily_adjustment(lead: float, spot: float, days_to_expiry: int) -> float:
    """A reconstruction of what a long pays over one calendar day, in USD per unit of the base.

    (S_lead − S_spot) ÷ days to the lead month's expiry: by so much the total financing adjustment falls, the basis
    being given up evenly over the days that are left. CME publishes that the adjustment is derived from the lead
    month's basis, not this expression. Raises ValueError for a day on or after expiry.
    """
    if days_to_expiry < 1:
        raise ValueError(f"days_to_expiry = {days_to_expiry}: the lead month has expired; take the next one")
    return (lead - spot) / days_to_expiry


def overnight(
    product: str, contracts: int, spot_before: float, spot_after: float, adjustment: float, rules: Rules
) -> float:
    """What a position gains from one settlement to the next, in USD: contracts × unit × (Δspot − adjustment).

    `contracts` above zero is long; `adjustment` is what `daily_adjustment` gives, which a long pays while the lead
    month stands above spot. Raises KeyError for a product without a unit.
    """
    own: Own = rules.own
    return contracts * own.units[product] * (spot_after - spot_before - adjustment)
