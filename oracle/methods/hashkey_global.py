"""HashKey Global: five venues that weigh the same, a median mark, premiums each minute.

Published in `methodology/hashkey_global.md`. Sources: help.hashkey.com 14205661959708 *Funding rate overview* and the
help of HashKey Global, the margin tiers of 8 January 2026, and an observer's record of 22 September 2026. HashKey
Global is a Bermuda venue; nothing here is a precedent of Hong Kong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Struct

from oracle.core import basket, fair, frame, perpetual
from oracle.core.funding import Rated, damped, margin_cap
from oracle.core.index import Candidate, Cohort, Memory
from oracle.core.mark import Marked, MarkInputs, MarkState
from oracle.core.params import PerpInstrument, Rules, word
from oracle.core.premium import margin_notional
from oracle.core.types import NANOS_PER_S, Nanos

ID = "hashkey_global"
READS = frame.VENUE_READS


class Own(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is this methodology's alone."""

    weights: basket.OnlyWeights
    basis_every_ms: fair.BasisEvery = 5_000
    basis_window_ms: fair.BasisWindow = 300_000
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


sample = perpetual.impact_premium  # [max(0, IB − I) − max(0, I − IA)] / I (section 9)
accrue = perpetual.weighed  # every minute counts the same, unless the parameter says otherwise (section 9)


def rate(premium: float, rules: Rules) -> Rated:
    """F = clamp(P̄ + clamp(r − P̄, ±C), ±cap) (section 9)."""
    return damped(premium, rules.funding)


fund = perpetual.of_mean(rate)  # of the mean of the minutes (section 9)
