"""Binance USDⓈ-M: a capped mean of last prices, a median mark, premiums that weigh more towards the settlement.

Published in `methodology/binance.md`. Sources: binance.com/support/faq 360033525071 (copies of September 2019 to 2026),
547ba48141474ab3bddc5d7898f97928 (the index, 29 October 2020), 66607f4c63e748568f503fcbd8f08965 (its newest rules) and
the announcement of 16 September 2025.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import Annotated, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from oracle.core import basket, fair, frame, perpetual
from oracle.core.basket import Part
from oracle.core.funding import Rated, damped, margin_cap
from oracle.core.index import Candidate, Cohort, Memory
from oracle.core.mark import Marked, MarkInputs, MarkState
from oracle.core.params import PerpInstrument, Rules, ms, num, word
from oracle.core.premium import margin_notional
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Nanos, Verdict

ID = "binance"
READS = frame.VENUE_READS


class Own(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is this methodology's alone."""

    weights: basket.Weights = field(default_factory=dict)
    weight_otherwise: basket.WeightOtherwise = 1.0
    outliers: Annotated[Literal["drop", "cap"], word("index", "what becomes of a price beyond the band: drop, or cap")]
    band: Annotated[float, num("index", "tolerated distance from the median; of BTC and ETH today 0.01", 0, 1, "ratio")]
    stale_ms: Annotated[int, ms("index", "an older price has no weight", 1_000, 3_600_000)]
    traded_ms: Annotated[int, ms("index", "a silent book's last trade counts while so young; 0: never", 0, 3_600_000)]
    basis_every_ms: fair.BasisEvery
    basis_window_ms: fair.BasisWindow
    divides: perpetual.Divides


OWN = Own


def _set(effective_s: int, version: str, own: Own, cap_share: float = 0.75) -> Rules:
    """A dated set for BTCUSDT: IMR 0.8 % and MMR 0.4 % at 125×, which are from memory (grade D)."""
    funding = {"impact_notional": margin_notional(200.0, 0.008), "cap": margin_cap(cap_share, 0.004)}
    return frame.rules(effective_s * NANOS_PER_S, version, own=own, funding=funding)


_2019 = Own(
    outliers="drop",
    band=0.05,
    stale_ms=10_000,
    traded_ms=10_000,
    basis_every_ms=60_000,
    basis_window_ms=1_800_000,
    divides=False,
)
_FIVE_MINUTES = replace(_2019, basis_every_ms=5_000, basis_window_ms=300_000)
_SHORTER = replace(_FIVE_MINUTES, basis_window_ms=150_000)
_CAPPED = replace(_SHORTER, outliers="cap", traded_ms=0, basis_every_ms=1_000, basis_window_ms=60_000)
_DIVIDED = replace(_CAPPED, basis_window_ms=30_000, divides=True)
_NARROW = replace(_DIVIDED, band=0.03, stale_ms=300_000)

SETS: tuple[Rules, ...] = (
    _set(1_567_987_200, "1.0.0", _2019, cap_share=1.0),  # 2019-09-09, the first article
    _set(1_609_459_200, "1.1.0", _FIVE_MINUTES, cap_share=1.0),  # 2021-01-01, assumed
    _set(1_672_531_200, "1.2.0", _SHORTER),  # 2023-01-01, assumed
    _set(1_738_368_000, "1.3.0", _CAPPED),  # 2025-02-01, the month of the first copy
    _set(1_758_182_460, "1.4.0", _DIVIDED),  # 2025-09-18 08:01, as announced
    _set(1_767_571_200, "1.5.0", _NARROW),  # 2026-01-05, assumed
)


def index(candidates: Sequence[Candidate], memory: Memory, rules: Rules, at_ns: Nanos) -> Cohort:
    """The weighted mean of last prices, with far ones dropped or held by the set's rule (sections 6 and 7)."""
    own: Own = rules.own
    basket.late(candidates, own.stale_ms)
    _revive(candidates, own.traded_ms, at_ns)
    found = basket.parts(candidates, own.weights, basket.last_of, own.weight_otherwise)
    if not found:
        return Cohort()
    if own.outliers == "cap":
        return basket.cohort(found, basket.capped_mean(found, own.band), rules.index)
    centre = basket.centre(found)
    if sum(_far(part, centre, own.band) for part in found) > 1:
        return basket.cohort(found, centre, rules.index)
    return basket.mean_vote(basket.drop(found, centre, own.band), rules.index)


def _far(part: Part, centre: float, band: float) -> bool:
    return abs(part.price / centre - 1.0) > band


def _revive(candidates: Sequence[Candidate], traded_ms: int, at_ns: Nanos) -> None:
    """Let a source whose book has fallen silent count at its last trade, while that is young enough (section 4)."""
    oldest_ns = at_ns - traded_ms * NANOS_PER_MS
    for c in candidates:
        if traded_ms and c.verdict is Verdict.STALE and c.rate > 0.0:
            known = basket.known(c)
            if known.last > 0.0 and known.last_trade_ns >= oldest_ns:
                c.verdict, c.age_ns = None, at_ns - known.last_trade_ns


def mark(memory: MarkState, now: MarkInputs, perp: PerpInstrument) -> Marked:
    """median(P1, P2, last trade), P1 by the rate of the last settlement (section 8)."""
    own: Own = perp.rules.own
    return fair.three_legs(memory, now, perp, fair.last_rate(now), own.basis_every_ms, own.basis_window_ms)


sample = perpetual.impact_premium  # [max(0, IB − I) − max(0, I − IA)] / I (section 9)
accrue = perpetual.linearly  # the n-th sample of an interval counts n times (section 9)


def rate(premium: float, rules: Rules) -> Rated:
    """F = [P̄ + clamp(r − P̄, ±C)] ÷ (8/N), within the cap; before the division, r was that of N hours (section 9)."""
    return damped(premium, rules.funding, divides=rules.own.divides)


fund = perpetual.of_mean(rate)  # of the linearly weighted mean (section 9)


def bounds(bars: Sequence[tuple[float, float]], rules: Rules) -> tuple[float, float]:
    """Between which two rates an interval must settle whose premium index stayed within these (low, high) bars.

    The bars divide the interval evenly, oldest first. Each holds the same number of samples, of which the i-th of the
    interval weighs i; the rate grows with the mean premium, so the lows bound it below and the highs above. No live
    engine needs it: it checks published series of bars against published rates. Raises ValueError when the samples of
    an interval cannot be divided evenly among so many bars.
    """
    samples = rules.funding.interval_ms // rules.funding.sample_ms
    if not bars or samples % len(bars):
        raise ValueError(f"{samples} samples cannot be divided evenly among {len(bars)} bars")
    each = samples // len(bars)
    weights = [each * (each * bar + (each + 1) / 2.0) for bar in range(len(bars))]
    low, high = (fsum(w * bar[side] for w, bar in zip(weights, bars, strict=True)) / fsum(weights) for side in (0, 1))
    return rate(low, rules).rate, rate(high, rules).rate
