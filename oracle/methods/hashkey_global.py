"""HashKey Global: five venues that weigh the same, a median mark, premiums each minute.

Published in `methodology/hashkey_global.md`. Sources: help.hashkey.com 14205661959708 *Funding rate overview* and the
help of HashKey Global, the margin tiers of 8 January 2026, and an observer's record of 22 September 2026. HashKey
Global is a Bermuda venue; nothing here is a precedent of Hong Kong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Struct

from oracle.core import basket, fair, frame, premium
from oracle.core.funding import Funded, FundingState, Rated, damped, margin_cap, mean, take_placed
from oracle.core.funding import fund as fund_mean
from oracle.core.index import Candidate, Cohort, Memory
from oracle.core.mark import Marked, MarkInputs, MarkState
from oracle.core.params import PerpInstrument, Rules, ms, word
from oracle.core.premium import Sampled, margin_notional
from oracle.core.types import NANOS_PER_S, Depth, Nanos

ID = "hashkey_global"
READS = frame.VENUE_READS


class Own(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is this methodology's alone."""

    weights: Annotated[dict[str, float], word("index", "weight of a venue; nobody else counts", "weights")]
    basis_every_ms: Annotated[int, ms("mark", "grid of the basis points", 1_000, 3_600_000)] = 5_000
    basis_window_ms: Annotated[int, ms("mark", "window of the basis average", 1_000, 3_600_000)] = 300_000
    weighing: Annotated[Literal["equal", "linear"], word("funding", "weights of the minutes of a mean (assumed)")] = (
        "equal"
    )


OWN = Own
SETS: tuple[Rules, ...] = (
    frame.rules(
        1_757_548_800 * NANOS_PER_S,  # 2025-09-11
        "1.0.0",
        own=Own(weights=dict.fromkeys(("kraken", "binance", "bybit", "coinbase", "okx"), 0.2)),
        funding={
            "sample_ms": 60_000,
            "impact_notional": margin_notional(200.0, 0.05),
            "cap": margin_cap(0.75, 0.005),
        },
    ),
)


def index(candidates: Sequence[Candidate], memory: Memory, rules: Rules, at_ns: Nanos) -> Cohort:
    """The weighted mean of the venues' prices (section 6)."""
    own: Own = rules.own
    return basket.mean_vote(basket.parts(candidates, own.weights, basket.last_of), rules.index)


def mark(memory: MarkState, now: MarkInputs, perp: PerpInstrument) -> Marked:
    """median(P1, P2, last trade) by the running estimate (section 8)."""
    own: Own = perp.rules.own
    return fair.three_legs(memory, now, perp, now.funding_rate, own.basis_every_ms, own.basis_window_ms)


def sample(depth: Depth, index: float, mark: float | None, perp: PerpInstrument) -> Sampled:
    """[max(0, IB − I) − max(0, I − IA)] / I (section 9)."""
    return premium.of_book(depth, index, perp)


def accrue(state: FundingState, instant_ns: Nanos, premium_e10: int, perp: PerpInstrument) -> None:
    """Every minute counts the same, unless the parameter says otherwise (section 9)."""
    take_placed(state, instant_ns, premium_e10, perp.rules.funding, perp.rules.own.weighing)


def fund(state: FundingState, until_ns: Nanos, perp: PerpInstrument) -> Funded:
    """The rate of the mean of the minutes (section 9)."""
    return fund_mean(state, until_ns, perp.rules.funding, mean(state), lambda p: rate(p, perp.rules))


def rate(premium: float, rules: Rules) -> Rated:
    """F = clamp(P̄ + clamp(r − P̄, ±C), ±cap) (section 9)."""
    return damped(premium, rules.funding)
