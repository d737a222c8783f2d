"""Which of a venue's redundant lines is believed: what a line says counts when nobody has said it, or later, before.

Lines are numbered by rank, 0 the first choice. Of each source and kind of statement the venue says one sequence; every
line brings it in the same order, but late and with holes. What passed is remembered in order, with how far each line
has come in it, so that a repetition is known even where a venue says several things in one millisecond. What a line
says beyond that is new when its venue time is not older than the newest, or when the line had itself come to the end:
then its own order proves it. So an older statement never replaces a newer one, and a line that never had company is
never filtered. A trade is an event: it is new as often as the line that said it most often has said it.

A statement without a venue time has no place in a sequence: of those the living line of the lowest number has the
word. A line lives for a multiple of the median gap between its statements of this kind, within bounds.

A venue clock that is set back is followed at once by a line that had come to the end, or whose own times went back; by
another only after `STUCK_NS` in which nothing passed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TypeAlias

from msgspec import Struct, field

from oracle.core.maths import median
from oracle.core.types import NANOS_PER_S, BookTop, Depth, Nanos, Side, Ticker, TickerKind, Trade

LINES_MAX = 16
GAP_FACTOR = 8
SILENT_NS_MIN = 2 * NANOS_PER_S
SILENT_NS_MAX = 60 * NANOS_PER_S  # a source that seldom speaks must not bar the other lines for minutes
STUCK_NS = 60 * NANOS_PER_S
SET_BACK_NS_MIN = NANOS_PER_S  # a line's own times that go back by less are disorder, not a clock that was set
GAPS_REMEMBERED = 16
PASSED_REMEMBERED = 64  # statements of a source and kind among which a line that lags is recognised
TRADES_REMEMBERED = 1_024  # of a source: so many at the least, twice as many at the most

_NEW, _DUPLICATE, _OUTDATED = range(3)

State: TypeAlias = BookTop | Depth | Ticker
_Print: TypeAlias = tuple[float, float, Side, Nanos]


class Merge:
    """The lines to one venue as if they were one. Times of receipt must not run backwards from call to call."""

    def __init__(self, sources: Iterable[int]) -> None:
        self._states: dict[int, dict[type | TickerKind, _Sequence]] = {source: {} for source in sources}
        self._trades = {source: _Trades() for source in self._states}
        self.duplicates = 0
        self.outdated = 0

    def passes(self, line: int, event: State | Trade) -> bool:
        """Whether what line number `line` says is new. What is not is counted: as said before, or as older."""
        if isinstance(event, Trade):
            answer = self._trades[event.source].judge(line, event)
        else:
            states = self._states[event.source]
            kind = event.kind if isinstance(event, Ticker) else type(event)
            sequence = states.get(kind)
            if sequence is None:
                sequence = states[kind] = _Sequence()
            answer = sequence.judge(line, event)
        if answer == _NEW:
            return True
        if answer == _DUPLICATE:
            self.duplicates += 1
        else:
            self.outdated += 1
        return False

    def ended(self, line: int) -> None:
        """The line's connection is gone: until it speaks again it has no word, and its old order proves nothing."""
        for source, states in self._states.items():
            for stream in (*states.values(), self._trades[source]):
                stream.end(line)


class _Voice(Struct):
    """One line as it speaks in one stream."""

    gaps: deque[int] = field(default_factory=lambda: deque(maxlen=GAPS_REMEMBERED))  # ns
    heard_ns: Nanos = 0  # 0: never, or its connection ended
    said_ns: Nanos = 0  # the venue time it stated last; 0: none
    place: int = 0  # how many of the statements that passed lie behind it

    def lives(self, now_ns: Nanos) -> bool:
        """Whether the line keeps its habit."""
        if not self.heard_ns:
            return False
        silent_ns = now_ns - self.heard_ns
        if silent_ns <= SILENT_NS_MIN:
            return True
        return bool(self.gaps) and silent_ns <= min(GAP_FACTOR * median(tuple(self.gaps)), SILENT_NS_MAX)


class _Stream:
    """What is common to states and trades: who speaks, and what passed last."""

    def __init__(self) -> None:
        self.voices: list[_Voice] = []
        self.newest_ns: Nanos = 0
        self.passed_ns: Nanos = 0

    def hear(self, line: int, now_ns: Nanos) -> _Voice:
        """Note that the line speaks now."""
        voices = self.voices
        if line >= len(voices):
            assert line < LINES_MAX, line
            voices.extend(_Voice() for _ in range(len(voices), line + 1))
        voice = voices[line]
        if voice.heard_ns:
            voice.gaps.append(now_ns - voice.heard_ns)
        voice.heard_ns = now_ns
        return voice

    def outranked(self, line: int, now_ns: Nanos, timed: bool = False) -> bool:
        """Whether a line of a lower number lives; with `timed`, one that states no times."""
        return any(not (timed and voice.said_ns) and voice.lives(now_ns) for voice in self.voices[:line])

    def alone(self, line: int, now_ns: Nanos) -> bool:
        """Whether no other line lives."""
        return not any(voice.lives(now_ns) for n, voice in enumerate(self.voices) if n != line)

    def end(self, line: int) -> None:
        """Forget that the line lived, and the order of what it said unless it was the only one."""
        if line < len(self.voices):
            voice = self.voices[line]
            voice.heard_ns = 0
            if any(other.heard_ns for other in self.voices):
                voice.place = voice.said_ns = 0


class _Sequence(_Stream):
    """The states of one kind that passed, and how far each line has come among them."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: list[State] = []  # a ring: statement n stands at n % PASSED_REMEMBERED
        self._count = 0

    def judge(self, line: int, event: State) -> int:
        """What an event counts for."""
        now_ns, at_ns = event.recv_ns, event.venue_ns
        voice = self.hear(line, now_ns)
        said_ns, voice.said_ns = voice.said_ns, at_ns
        if line and self.outranked(line, now_ns, at_ns > 0):
            return _DUPLICATE
        if not at_ns:
            return _NEW
        if voice.place == self._count:
            answer = self._after_the_end(line, event)
        elif self._finds(voice, event):
            return _DUPLICATE
        elif at_ns >= self.newest_ns:
            answer = _NEW
        else:
            answer = self._set_back(line, event, said_ns)
        if answer == _NEW:
            self._pass(event)
            voice.place = self._count
        return answer

    def _after_the_end(self, line: int, event: State) -> int:
        """For a line that has said everything that passed."""
        if event.venue_ns > self.newest_ns:
            return _NEW
        if event.venue_ns < self.newest_ns:
            return _OUTDATED if self.outranked(line, event.recv_ns) else _NEW
        again = _same(self._passed[(self._count - 1) % PASSED_REMEMBERED], event)
        return _DUPLICATE if again and not self.alone(line, event.recv_ns) else _NEW

    def _set_back(self, line: int, event: State, said_ns: Nanos) -> int:
        """For what is older than the newest and unknown, of a line that has not come to the end."""
        went_back = said_ns - event.venue_ns >= SET_BACK_NS_MIN and not self.outranked(line, event.recv_ns)
        stuck = event.recv_ns - self.passed_ns > STUCK_NS
        return _NEW if went_back or stuck else _OUTDATED

    def _finds(self, voice: _Voice, event: State) -> bool:
        """Whether the event is among what passed since the line's place; the line then has come so far."""
        passed = self._passed
        for n in range(max(voice.place, self._count - PASSED_REMEMBERED), self._count):
            known = passed[n % PASSED_REMEMBERED]
            if known.venue_ns == event.venue_ns and _same(known, event):
                voice.place = n + 1
                return True
        return False

    def _pass(self, event: State) -> None:
        if self._count < PASSED_REMEMBERED:
            self._passed.append(event)
        else:
            self._passed[self._count % PASSED_REMEMBERED] = event
        self._count += 1
        self.newest_ns, self.passed_ns = event.venue_ns, event.recv_ns


class _Trades(_Stream):
    """How often each line said each of the last trades: in two generations, so that the oldest are forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[_Print, list[int]] = {}
        self._said_before: dict[_Print, list[int]] = {}

    def judge(self, line: int, trade: Trade) -> int:
        """What a trade counts for."""
        now_ns, at_ns = trade.recv_ns, trade.venue_ns
        voice = self.hear(line, now_ns)
        if not at_ns or (line and self.outranked(line, now_ns, timed=True)):
            return _DUPLICATE if self.outranked(line, now_ns) else _NEW
        counts = self._counts((trade.price, trade.size, trade.side, at_ns), line)
        passed = max(counts)
        counts[line] += 1
        reached_ns, voice.said_ns = voice.said_ns, max(voice.said_ns, at_ns)
        if counts[line] <= passed:
            return _DUPLICATE
        if max(reached_ns, at_ns) < self.newest_ns and now_ns - self.passed_ns <= STUCK_NS:
            return _OUTDATED
        self.newest_ns, self.passed_ns = at_ns, now_ns
        return _NEW

    def _counts(self, print_: _Print, line: int) -> list[int]:
        """How often each line said a trade, with a place for this line."""
        counts = self._said.get(print_) or self._said_before.get(print_)
        if counts is None:
            if len(self._said) == TRADES_REMEMBERED:
                self._said, self._said_before = {}, self._said
            counts = self._said[print_] = [0]
        counts.extend([0] * (line + 1 - len(counts)))
        return counts


def _same(one: State, other: State) -> bool:
    """Whether two states of one kind and time say the same."""
    if isinstance(one, BookTop) and isinstance(other, BookTop):
        return (
            one.bid == other.bid
            and one.ask == other.ask
            and one.bid_size == other.bid_size
            and one.ask_size == other.ask_size
        )
    if isinstance(one, Depth) and isinstance(other, Depth):
        return one.bids == other.bids and one.asks == other.asks
    return isinstance(one, Ticker) and isinstance(other, Ticker) and one.price == other.price
