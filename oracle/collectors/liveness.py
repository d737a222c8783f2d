"""Which sources of a line have gone silent: a clock for each, which only their own books wind.

Heartbeats, pongs, acknowledgements and other symbols' messages never come here. The deadline follows the stream's own
habit: a multiple of its median gap, between a floor and a ceiling. A source that stayed silent through a repair gets
twice the patience before the next one, so that a market which is closed does not cost its neighbours their line; it
is forgiven when it ticks at its old pace again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from msgspec import Struct

from oracle.core.maths import median
from oracle.core.types import NANOS_PER_S, Nanos

GAP_FACTOR = 20
SILENT_NS_MIN = 5 * NANOS_PER_S
SILENT_NS_MAX = 60 * NANOS_PER_S
FIRST_NS = 15 * NANOS_PER_S  # patience with a source whose habit is not known yet
PATIENCE_NS_MAX = 3_600 * NANOS_PER_S
GAPS_REMEMBERED = 32
REPAIRS_COUNTED = 16  # doublings; beyond it patience is at its ceiling
GAPS_NEEDED = 4  # fewer say nothing about a habit


class _Pulse(Struct):
    gaps: deque[int]  # ns
    wound_ns: Nanos = 0  # the last book, or the moment the line stood up
    seen: bool = False  # a book came on this connection
    repairs: int = 0  # reconnections in a row that did not bring this source back


class Liveness:
    """The clocks of one line's sources. They outlive a connection, so a habit is learned once."""

    def __init__(self, sources: Iterable[int]) -> None:
        self._pulses = {source: _Pulse(deque(maxlen=GAPS_REMEMBERED)) for source in sources}

    def connected(self, now_ns: Nanos) -> None:
        """A connection stands: every source has its whole deadline from here."""
        for pulse in self._pulses.values():
            pulse.wound_ns, pulse.seen = now_ns, False

    def said(self, source: int, recv_ns: Nanos) -> None:
        """A book of the source arrived."""
        pulse = self._pulses[source]
        if pulse.seen:
            gap_ns = recv_ns - pulse.wound_ns
            pulse.gaps.append(gap_ns)
            if pulse.repairs and gap_ns <= _habit_ns(pulse):
                pulse.repairs = 0
        else:
            pulse.seen = True  # perhaps only the snapshot that every connection begins with: no sign of life yet
        pulse.wound_ns = recv_ns

    def silent(self, now_ns: Nanos) -> tuple[int, ...]:
        """The sources that are beyond their deadline."""
        return tuple(
            source for source, pulse in self._pulses.items() if now_ns - pulse.wound_ns > self._deadline_ns(pulse)
        )

    def repaired(self, sources: Iterable[int]) -> None:
        """The line is dialled again for these sources' sake."""
        for source in sources:
            self._pulses[source].repairs += 1

    def deadline_ns(self, source: int) -> int:
        """How long this source may be silent, in ns."""
        return self._deadline_ns(self._pulses[source])

    def _deadline_ns(self, pulse: _Pulse) -> int:
        return min(_habit_ns(pulse) << min(pulse.repairs, REPAIRS_COUNTED), PATIENCE_NS_MAX)


def _habit_ns(pulse: _Pulse) -> int:
    if len(pulse.gaps) < GAPS_NEEDED:
        return FIRST_NS
    return min(max(int(GAP_FACTOR * median(list(pulse.gaps))), SILENT_NS_MIN), SILENT_NS_MAX)
