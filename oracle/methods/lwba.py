"""Liquidity-weighted bid and ask: a size-weighted mean of the visible bids, one of the asks, the mid between them.

Published in `methodology/lwba.md`. Source: Chainlink Data Streams, *Liquidity-weighted bid and ask prices*
(smartcontractkit/documentation). A source stands for a node operator here, and the median of their mids is the index,
as the network reports the median of its operators.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

from msgspec import Struct

from oracle.core import basket, frame
from oracle.core.basket import Sides
from oracle.core.index import Candidate, Cohort, Memory
from oracle.core.params import Rules, ms, num
from oracle.core.types import Nanos, Verdict
from oracle.core.weighted import weighted_mean

ID = "lwba"
READS = ("index.breakdown_bps",)


class Own(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is this methodology's alone."""

    depth_ms: Annotated[int, ms("book", "an older depth gives way to the best levels", 100, 600_000)] = 10_000
    levels: Annotated[int, num("book", "levels of a side that are seen; 0: all", 0, 100_000)] = 0
    operators_min: Annotated[int, num("report", "fewer operators make no report", 1, 100)] = 3


OWN = Own
SETS: tuple[Rules, ...] = (frame.rules(0, "1.0.0", own=Own()),)


class Weighted(NamedTuple):
    """A book's liquidity-weighted prices."""

    bid: float
    ask: float

    @property
    def mid(self) -> float:
        """The middle of the two."""
        return (self.bid + self.ask) / 2.0

    @property
    def spread(self) -> float:
        """Their distance: wide where the size stands far from the best prices."""
        return self.ask - self.bid


def weighted(sides: Sides, levels: int = 0) -> Weighted:
    """Σ price·size / Σ size of each side's best `levels`; 0: of all that is visible."""
    bids, asks = [weighted_mean(side[: levels or None]) for side in (sides.bids, sides.asks)]
    return Weighted(bids, asks)


def index(candidates: Sequence[Candidate], memory: Memory, rules: Rules, at_ns: Nanos) -> Cohort:
    """The median of the sources' liquidity-weighted mids (section 6)."""
    own: Own = rules.own
    found = []
    for part in basket.parts(candidates, {}, otherwise=1.0):
        sides = basket.sides_of(part.who, at_ns, own.depth_ms)
        if isinstance(sides, Verdict):
            part.who.verdict = sides
            continue
        part.price = weighted(sides, own.levels).mid
        found.append(part)
    if len(found) < own.operators_min:
        return Cohort()
    return basket.cohort(found, basket.centre(found), rules.index)
