"""OKEx in December 2018: the perpetual swap as it was launched, inverse, with funding twice a day.

Published in `methodology/okex_2018.md`. Source: "OKEx launched Perpetual Swap" of 3 December 2018, with the funding
times as updated on 14 December. It states the funding formula, its times and the tiers of a liquidation; the index, the
mark, the window of the average and the interest are not in it, and are labelled parameters here.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from msgspec import Struct

from oracle.core import fair, frame, premium
from oracle.core.funding import (
    Funded,
    FundingState,
    Rated,
    fund_over,
    interest,
    less_interest,
    remember,
    stamped_ns,
    take,
)
from oracle.core.mark import Marked, MarkInputs, MarkState
from oracle.core.params import PerpInstrument, Rules, ms
from oracle.core.premium import Sampled
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Depth, Nanos
from oracle.core.weighted import plain_mean

ID = "okex_2018"
READS = (
    "mark.feed_stale_ms",
    "mark.feed_lost_ms",
    "funding.sample_ms",
    "funding.interval_ms",
    "funding.coverage_min",
    "funding.interest_per_8h",
    "funding.cap",
)


class Own(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is this methodology's alone."""

    window_ms: Annotated[int, ms("funding", "window of the premium's average (assumed)", 60_000, 86_400_000)] = (
        43_200_000
    )
    lead_ms: Annotated[int, ms("funding", "so long before a settlement its rate is stamped", 0, 3_600_000)] = 60_000
    basis_every_ms: Annotated[int, ms("mark", "grid of the basis points (assumed)", 1_000, 3_600_000)] = 1_000
    basis_window_ms: Annotated[int, ms("mark", "window of the basis average (assumed)", 1_000, 3_600_000)] = 300_000


OWN = Own
SETS: tuple[Rules, ...] = (
    frame.rules(
        1_543_795_200 * NANOS_PER_S,  # 2018-12-03
        "1.0.0",
        own=Own(),
        funding={
            "sample_ms": 60_000,
            "interval_ms": 43_200_000,
            "offset_ms": 7_200_000,
            "interest_per_8h": 0.0,
            "cap": 0.0025,
        },
    ),
)


def mark(memory: MarkState, now: MarkInputs, perp: PerpInstrument) -> Marked:
    """The index plus the average basis, which is assumed: the source gives no formula (section 8)."""
    own: Own = perp.rules.own
    return fair.index_and_basis(memory, now, perp, own.basis_every_ms, own.basis_window_ms)


def sample(depth: Depth, index: float, mark: float | None, perp: PerpInstrument) -> Sampled:
    """((b + a)/2 − I)/I (section 9)."""
    return premium.of_mid(depth, index)


def accrue(state: FundingState, instant_ns: Nanos, premium_e10: int, perp: PerpInstrument) -> None:
    """Note the premium for as long as the window can reach (section 9)."""
    own: Own = perp.rules.own
    take(state, premium_e10)
    remember(state, instant_ns, premium_e10, own.window_ms + own.lead_ms)


def fund(state: FundingState, until_ns: Nanos, perp: PerpInstrument) -> Funded:
    """The rate of the average premium, as it stood `lead_ms` before a settlement (section 9)."""
    rules, own = perp.rules, perp.rules.own
    last_ns = stamped_ns(state, until_ns, rules.funding, own.lead_ms)
    over = last_ns - own.window_ms * NANOS_PER_MS, last_ns
    alone = -interest(rules.funding)
    return fund_over(state, over, rules.funding, plain_mean, lambda p: rate(p, rules), alone)


def rate(premium: float, rules: Rules) -> Rated:
    """F = clamp(P̄ − interest, ±0.25 %) (section 9)."""
    return less_interest(premium, interest(rules.funding), rules.funding.cap)


def position_value(face: Decimal, contracts: int, mark: Decimal) -> Decimal:
    """face × contracts ÷ mark: what a position in an inverse contract is worth, in the asset. `face` is in USD."""
    return face * contracts / mark


def funding_fee(face: Decimal, contracts: int, mark: Decimal, rate: Decimal) -> Decimal:
    """What the longs pay the shorts, in the asset: position value × rate. No live engine keeps positions here."""
    return position_value(face, contracts, mark) * rate


def contracts_to_close(contracts: int, tier_one_max: int) -> int:
    """How many contracts a partial liquidation closes to bring a position down to the first tier of margins."""
    return max(0, contracts - tier_one_max)
