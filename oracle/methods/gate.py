"""Gate: a weighted mean of last prices, a mark that was one formula and is the middle of three, divided funding.

Published in `methodology/gate.md`. Sources: Gate's blog on the dual-price mechanism, its help articles 22067 (mark) and
22069 (index, 22 September 2025 and later), gate.io/futures/introduction/funding-rate-history, and the announcement of
the funding algorithm of 27 May 2026.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from oracle.core import basket, fair, frame, perpetual
from oracle.core.funding import Rated, damped
from oracle.core.index import Candidate, Cohort, Memory
from oracle.core.mark import Marked, MarkInputs, MarkState
from oracle.core.params import PerpInstrument, Rules, word
from oracle.core.types import NANOS_PER_S, Nanos

ID = "gate"
READS = frame.VENUE_READS


class Own(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is this methodology's alone."""

    weights: basket.Weights = field(default_factory=dict)
    weight_otherwise: basket.WeightOtherwise = 1.0
    mark_rule: Annotated[Literal["funding", "median"], word("mark", "P1 alone, or the median of P1, P2 and last trade")]
    basis_every_ms: fair.BasisEvery = 1_000
    basis_window_ms: fair.BasisWindow = 300_000
    weighing: perpetual.Weighing
    divides: perpetual.Divides


OWN = Own

_2020 = Own(mark_rule="funding", weighing="equal", divides=False)
_2025 = replace(_2020, mark_rule="median")
_2026 = replace(_2025, weighing="linear", divides=True)


def _set(effective_s: int, version: str, own: Own) -> Rules:
    """A dated set with the cap of BTC_USDT."""
    return frame.rules(effective_s * NANOS_PER_S, version, own=own, funding={"sample_ms": 60_000, "cap": 0.003})


SETS: tuple[Rules, ...] = (
    _set(1_606_348_800, "1.0.0", _2020),  # 2020-11-26; the year is assumed
    _set(1_758_499_200, "1.1.0", _2025),  # 2025-09-22, a dated copy
    _set(1_779_811_200, "1.2.0", _2026),  # 2026-05-26 16:00, which is 27 May 2026 00:00 in UTC+8
)


def index(candidates: Sequence[Candidate], memory: Memory, rules: Rules, at_ns: Nanos) -> Cohort:
    """The weighted mean of last prices; a closed market's last one stands (section 6)."""
    own: Own = rules.own
    return basket.mean_vote(basket.parts(candidates, own.weights, basket.last_of, own.weight_otherwise), rules.index)


def mark(memory: MarkState, now: MarkInputs, perp: PerpInstrument) -> Marked:
    """median(P1, P2, last trade) by the running estimate; in the oldest set P1 alone (section 8)."""
    own: Own = perp.rules.own
    if own.mark_rule == "median":
        return fair.three_legs(memory, now, perp, now.funding_rate, own.basis_every_ms, own.basis_window_ms)
    value = fair.funding_leg(now.index, now.funding_rate, now.funding_left)
    return fair.fixed(now, perp, value, funded=value)


sample = perpetual.impact_premium  # [max(0, IB − I) − max(0, I − IA)] / I (section 9)
accrue = perpetual.weighed  # every sample counts the same; since May 2026 the n-th n times (section 9)


def rate(premium: float, rules: Rules) -> Rated:
    """F = clamp([P̄ + clamp(r − P̄, ±C)] ÷ (8/N), ±cap); until May 2026 undivided, r scaled (section 9)."""
    return damped(premium, rules.funding, divides=rules.own.divides)


fund = perpetual.of_mean(rate)  # of the mean premium (section 9)
