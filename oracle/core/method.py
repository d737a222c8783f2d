"""What a methodology is to the engine: an id, dated parameter sets, and four pure functions.

The engine owns order and memory: it applies observations to sources, walks the instruments in dependency order, moves
the ladder, numbers the values. A method owns the arithmetic: how candidates become an index, an index a mark, a book a
premium, samples a rate. It is composed from the functions of `core` where its rule is a shared one. A module with
these names is a Method.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from oracle.core.funding import Funded, FundingState
from oracle.core.index import Candidate, Cohort, Member
from oracle.core.mark import Marked, MarkInputs, MarkState
from oracle.core.params import PerpInstrument, Rules
from oracle.core.premium import Sampled
from oracle.core.types import Depth, Nanos


class Method(Protocol):
    """One methodology. `SETS` are its dated parameter sets, oldest first."""

    ID: str
    SETS: tuple[Rules, ...]

    def index(self, candidates: Sequence[Candidate], members: Sequence[Member], rules: Rules, at_ns: Nanos) -> Cohort:
        """The vote: every candidate gets its verdict, every member its memory, and the accepted ones a price."""
        ...

    def mark(self, memory: MarkState, now: MarkInputs, perp: PerpInstrument) -> Marked:
        """The mark of a beat, in units of the instrument's scale."""
        ...

    def sample(self, depth: Depth, index: float, perp: PerpInstrument) -> Sampled:
        """The premium of the platform's book over the index at a grid instant."""
        ...

    def fund(self, state: FundingState, until_ns: Nanos, perp: PerpInstrument) -> Funded:
        """The rate that the samples of the interval up to a time make."""
        ...
