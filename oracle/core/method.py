"""What a methodology is to the engine: an id, dated parameter sets, and pure functions.

The engine owns order and memory: it applies observations to sources, walks the instruments in dependency order, moves
the ladder, numbers the values. A method owns the arithmetic: how candidates become an index, an index a mark, a book a
premium, samples a rate. It is composed from the functions of `core` where its rule is a shared one. A module with
these names is a Method; one that only makes an index, or only marks and funds, has only those names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeGuard

import msgspec
from msgspec import Struct

from oracle.core.funding import Funded, FundingState, Rated
from oracle.core.index import Candidate, Cohort, Memory
from oracle.core.mark import Marked, MarkInputs, MarkState
from oracle.core.params import PerpInstrument, Rules
from oracle.core.premium import Sampled
from oracle.core.types import Depth, Nanos


class Described(Protocol):
    """What every methodology has: its id, its dated parameter sets, oldest first, and the type of its own parameters.

    `READS` are the shared parameters that its rules read, as dotted names or whole groups (`mark`, `funding.cap`);
    what the engine itself reads for every instrument stands in `core.params.ENGINE_READS`.
    """

    @property
    def ID(self) -> str:
        """Its name: that of its file and of its document."""
        ...

    @property
    def SETS(self) -> tuple[Rules, ...]:
        """Its dated parameter sets, oldest first."""
        ...

    @property
    def OWN(self) -> type[Struct] | None:
        """The type of its own parameters; None: it has none."""
        ...

    @property
    def READS(self) -> tuple[str, ...]:
        """The shared parameters its rules read."""
        ...


class IndexMethod(Described, Protocol):
    """A methodology that makes an index."""

    def index(self, candidates: Sequence[Candidate], memory: Memory, rules: Rules, at_ns: Nanos) -> Cohort:
        """The vote: every candidate gets its verdict, every member its memory, and the accepted ones a price."""
        ...


class PerpMethod(Described, Protocol):
    """A methodology that marks and funds a perpetual."""

    def mark(self, memory: MarkState, now: MarkInputs, perp: PerpInstrument) -> Marked:
        """The mark of a beat, in units of the instrument's scale."""
        ...

    def sample(self, depth: Depth, index: float, mark: float | None, perp: PerpInstrument) -> Sampled:
        """The premium of the platform's book over the index at a grid instant; `mark`: the last published one."""
        ...

    def accrue(self, state: FundingState, instant_ns: Nanos, premium_e10: int, perp: PerpInstrument) -> None:
        """Take a sample into the interval that runs."""
        ...

    def fund(self, state: FundingState, until_ns: Nanos, perp: PerpInstrument) -> Funded:
        """The rate that the samples of the interval up to a time make."""
        ...

    def rate(self, premium: float, rules: Rules) -> Rated:
        """The rate that a mean premium makes: what a simulator shows, and `fund` computes with."""
        ...


def makes_index(method: Described) -> TypeGuard[IndexMethod]:
    """Whether it makes an index."""
    return hasattr(method, "index")


def funds(method: Described) -> TypeGuard[PerpMethod]:
    """Whether it marks and funds a perpetual."""
    return hasattr(method, "fund")


def typed(rules: Rules, method: Described) -> Rules:
    """The rules with `own` as the methodology's own type: a journal gives it back as plain data.

    Raises msgspec.ValidationError when it does not fit the type.
    """
    own: Any = rules.own
    if method.OWN is None or isinstance(own, method.OWN):
        return rules
    return msgspec.structs.replace(rules, own=msgspec.convert(own, method.OWN))
