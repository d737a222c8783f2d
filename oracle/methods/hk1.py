"""HK-1: the methodology for perpetuals in USD on a licensed Hong Kong platform. Published in `methodology/hk1.md`.

The framework it answers to: SFC, "A high-level framework for virtual asset perpetual contracts", 11 February 2026,
paragraphs 9 and 12 to 15. Each parameter's meaning, unit, range and rule stand in `core.params`. HK-1 is the oracle's
own methodology, so its values are those of the frame (`core.frame`) in which every other one runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from oracle.core import frame
from oracle.core.funding import Funded, FundingState, Rated, dampened, interest, mean, take
from oracle.core.funding import fund as fund_mean
from oracle.core.index import Candidate, Cohort, Memory, judge_anchored, judge_frozen, judge_outliers, vote
from oracle.core.mark import Marked, MarkInputs, MarkState
from oracle.core.mark import mark as median_mark
from oracle.core.params import PerpInstrument, Rules
from oracle.core.premium import Sampled
from oracle.core.premium import sample as impact_sample
from oracle.core.types import Depth, Nanos

ID = "hk1"
OWN = None
READS = ("source", "index", "ladder", "mark", "funding", "surveillance")

SETS: tuple[Rules, ...] = (frame.rules(0, "1.0.0"),)


def index(candidates: Sequence[Candidate], memory: Memory, rules: Rules, at_ns: Nanos) -> Cohort:
    """Freshness, frozen books, outliers, anchoring, then one vote a group (S1 to S9, I2 to I7)."""
    members = memory.members
    fresh = [c for c in candidates if c.verdict is None]
    judge_frozen(fresh, members, rules.source, at_ns)
    valid = [c for c in fresh if c.verdict is None]
    judge_outliers(valid, members, rules.index, at_ns)
    accepted = [c for c in valid if c.verdict is None]
    judge_anchored(accepted, sum([c.traded for c in candidates]), rules.source)
    everyone = accepted if len(accepted) == len(candidates) else [c for c in candidates if c.price > 0.0]
    return vote(accepted, everyone, rules.index)


def mark(memory: MarkState, now: MarkInputs, perp: PerpInstrument) -> Marked:
    """The median of three legs, clamped to a step and to the band (M1 to M8)."""
    return median_mark(memory, now, perp.rules.mark, perp.price_decimals, perp.tick_units)


def sample(depth: Depth, index: float, mark: float | None, perp: PerpInstrument) -> Sampled:
    """The impact premium (F1 and F2)."""
    notional = perp.rules.funding.impact_notional
    return impact_sample(depth.bids, depth.asks, index, notional, perp.contract, perp.contract_size)


def accrue(state: FundingState, instant_ns: Nanos, premium_e10: int, perp: PerpInstrument) -> None:
    """Every sample counts the same (F3)."""
    take(state, premium_e10)


def fund(state: FundingState, until_ns: Nanos, perp: PerpInstrument) -> Funded:
    """The clamped mean premium (F3 to F5)."""
    return fund_mean(state, until_ns, perp.rules.funding, mean(state), lambda premium: rate(premium, perp.rules))


def rate(premium: float, rules: Rules) -> Rated:
    """F = clamp(P̄ + clamp(r − P̄, ±C), ±cap) (F5)."""
    return dampened(premium, interest(rules.funding), rules.funding.inner_clamp, rules.funding.cap)
