"""One venue under one fault: when the oracle knew, when an honest book came again, whether a false one was taken."""

from __future__ import annotations

from collections import deque

from msgspec import Struct

from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, BookTop, Nanos, Verdict
from oracle.simulator.faults import Kind
from oracle.trial.faults import Fault

HONEST_NS = 2 * NANOS_PER_S  # a book that arrives is honest if the venue stated it no longer ago
REMEMBERED = 64
WELL_NS = 3 * NANOS_PER_S  # who has not spoken for longer when a fault begins was not up
COUNTS_FOR = (Verdict.USED, Verdict.UNANCHORED, Verdict.READMITTING, Verdict.CAPPED, Verdict.UNWEIGHTED)


class Outcome(Struct, frozen=True, kw_only=True):
    """A cell of the table. Times are in ms and None where it did not come to that; `outcome` is one word.

    `known`, `missed`, `harmless`, `untimed` as the definitions say; `down`: the venue was not up when the fault began.
    """

    fault: str
    venue: str
    outcome: str
    known_ms: float | None = None
    how: str = ""
    repaired_ms: float | None = None
    age_ms_max: float = 0.0
    false_books: int = 0
    in_time: bool = False


class Ledger:
    """What a market stated of late, so that a book that arrives can be held against it."""

    def __init__(self) -> None:
        self._said: deque[tuple[float, float, Nanos]] = deque(maxlen=REMEMBERED)

    def say(self, top: BookTop, now_ns: Nanos) -> None:
        """The market states its book."""
        self._said.append((top.bid, top.ask, now_ns))

    def clear(self) -> None:
        """What was stated so far is no proof of life any more."""
        self._said.clear()

    def honest(self, top: BookTop) -> bool:
        """Whether the market stated these prices a moment ago, or stands at them still."""
        for place, (bid, ask, at_ns) in enumerate(reversed(self._said)):
            if place and top.recv_ns - at_ns > HONEST_NS:
                return False
            if bid == top.bid and ask == top.ask:
                return True
        return False


class Case:
    """A venue under a fault, as far as one of its symbols shows it."""

    def __init__(self, fault: Fault, venue: str, source: int, timed: bool) -> None:
        self.fault, self.venue, self.source = fault, venue, source
        self.ledger = Ledger()
        self._timed = timed
        self._began_ns = self._ended_ns = self._last_ns = 0
        self._up = False
        self._known_ns = self._repaired_ns = 0
        self._how = ""
        self._age_ns = self._false = 0

    @property
    def going_on(self) -> bool:
        """Whether the fault has begun and nobody knows of it yet."""
        return self._began_ns > 0 and not self._known_ns

    @property
    def settled(self) -> bool:
        """Whether nothing more can come of watching."""
        return self._repaired_ns > 0

    def begin(self, now_ns: Nanos) -> None:
        """The fault begins."""
        self._began_ns = now_ns
        self._up = now_ns - self._last_ns < WELL_NS

    def end(self, now_ns: Nanos) -> None:
        """The fault, which was the venue's, is over."""
        self._ended_ns = now_ns
        self.ledger.clear()

    def know(self, how: str, now_ns: Nanos) -> None:
        """The oracle could tell somebody. The first time counts."""
        if self.going_on and not self._ended_ns:
            self._known_ns, self._how = now_ns, how

    def take(self, top: BookTop) -> None:
        """A book of the symbol arrived."""
        honest = self.ledger.honest(top)
        if self._began_ns and not self._repaired_ns:
            if honest:
                self._age_ns = max(self._age_ns, top.recv_ns - max(self._last_ns, self._began_ns))
            else:
                self._false += self.going_on
            again = self._ended_ns if self.fault.lasts_ms else self._known_ns
            if honest and again and top.recv_ns > again:
                self._repaired_ns = top.recv_ns
        if honest:
            self._last_ns = top.recv_ns

    def outcome(self, now_ns: Nanos) -> Outcome:
        """What came of it."""
        if not self._up:
            return Outcome(fault=self.fault.name, venue=self.venue, outcome="down")
        known_ms = (self._known_ns - self._began_ns) / NANOS_PER_MS if self._known_ns else None
        since_ns = self._ended_ns if self.fault.lasts_ms else self._began_ns
        repaired_ms = (self._repaired_ns - since_ns) / NANOS_PER_MS if self._repaired_ns else None
        age_ms = max(self._age_ns, 0 if self._repaired_ns else now_ns - self._last_ns) / NANOS_PER_MS
        outcome = "known" if self._known_ns else self._unknown(age_ms)
        return Outcome(
            fault=self.fault.name,
            venue=self.venue,
            outcome=outcome,
            known_ms=known_ms,
            how=self._how,
            repaired_ms=repaired_ms,
            age_ms_max=age_ms,
            false_books=self._false,
            in_time=outcome in ("harmless", "untimed") or (known_ms is not None and known_ms <= self.fault.target_ms),
        )

    def _unknown(self, age_ms: float) -> str:
        if self.fault.kind is Kind.DRIFT and not self._timed:
            return "untimed"
        unharmed = not self._false and age_ms <= self.fault.target_ms
        return "harmless" if self.fault.kind is Kind.DROP_HALF and unharmed else "missed"
