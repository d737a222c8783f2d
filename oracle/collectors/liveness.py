"""Which streams of a line have gone silent: a clock for each source and channel, which only its own facts wind.

Heartbeats, pongs, acknowledgements and other symbols' messages never come here, and no channel winds another's clock: a
trade or a ticker never makes a book look alive. A source is alive by its books; one that only ever states depths or
tickers (an index feed) is alive by those, unless whoever configured it knows better.

Theory of the deadline. The longest of the remembered gaps tells how long this stream has honestly been silent, the
median how fast it is; `PEAK_FACTOR` of the one and `MEDIAN_FACTOR` of the other are exceeded by chance less than once
in a month where words come at random (exponential gaps), and bind quickly where they come regularly. The longest is
that of `GAPS_REMEMBERED` gaps, and of `TURN_NS` at the least, twice that at the most: one hiccup of a quick stream is
forgotten, and the habit of a slow one is not. A habit is believed once it has been watched for twice the deadline that
it makes, or, of a quick stream, for `QUICK_GAPS` words without a gap that is long among them.

A source that stayed silent through a repair gets twice the patience before the next, so that a closed market does not
cost its neighbours their line, until it is forgiven. The trades of a living book are watched as well, with more
patience, and only where trades are a habit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from enum import StrEnum

from msgspec import Struct

from oracle.core.maths import median
from oracle.core.types import NANOS_PER_S, BookTop, Depth, Nanos, Ticker, Trade, at_hand

PEAK_FACTOR, MEDIAN_FACTOR = 3, 6
SILENT_NS_MIN = 2_500_000_000
SILENT_NS_MAX = 600 * NANOS_PER_S
OPENING_NS = 5 * NANOS_PER_S  # for the first word of a new connection, where the habit would allow less
UNHEARD_NS = 90 * NANOS_PER_S  # patience with a stream that has never said anything
FIRST_NS = 180 * NANOS_PER_S  # and with one whose habit is not known yet
TRADE_FACTOR = 2  # the patience with trades, against that with books of the same habit
TRADE_NS_MIN = 60 * NANOS_PER_S
PATIENCE_NS_MAX = 3_600 * NANOS_PER_S
GAPS_REMEMBERED = 256
GAPS_NEEDED = 8  # fewer say nothing about a habit
TURN_NS = 600 * NANOS_PER_S
QUICK_GAPS, QUICK_SHARE = 64, 8  # a gap above this share of the time watched is long
REPAIRS_COUNTED = 16  # doublings; beyond it patience is at its ceiling


@at_hand
class Channel(StrEnum):
    """The kinds of facts that a venue streams."""

    BOOK = "book"
    DEPTH = "depth"
    TICKER = "ticker"
    TRADE = "trade"


CHANNELS: Mapping[type, Channel] = {
    BookTop: Channel.BOOK,
    Depth: Channel.DEPTH,
    Ticker: Channel.TICKER,
    Trade: Channel.TRADE,
}
ALIVE_BY = (Channel.BOOK, Channel.DEPTH, Channel.TICKER)  # the first of these that a source ever stated


class Pulse(Struct):
    """The clock of one stream and what is known of its habit."""

    gaps: deque[int]  # ns
    wound_ns: Nanos = 0  # the last word, or the moment from which one is waited for
    first_ns: Nanos = 0  # the first word ever; 0: none yet
    seen: bool = False  # a word came since the connection or the repair: the next gap is the stream's own
    peak_ns: int = 0  # the longest gap that was looked at in this turn
    before_ns: int = 0  # and in the turn before
    turned_ns: Nanos = 0
    looked_ns: Nanos = 0  # the last word that was looked at
    judged_ns: Nanos = -1  # the last word that `habit` was worked out from
    habit: int | None = None
    repairs: int = 0  # in a row

    def beat(self, recv_ns: Nanos) -> None:
        """A word of this stream arrived."""
        if self.seen:
            self.gaps.append(recv_ns - self.wound_ns)
        else:
            self.seen = True
            self.first_ns = self.first_ns or recv_ns
        self.wound_ns = recv_ns

    def look(self, now_ns: Nanos) -> None:
        """Remember the longest gap before it is displaced, and forget that of long ago."""
        if now_ns - self.turned_ns >= TURN_NS:
            self.before_ns, self.peak_ns, self.turned_ns = self.peak_ns, 0, now_ns
            self.judged_ns = -1
        if self.wound_ns != self.looked_ns and self.gaps:
            self.looked_ns = self.wound_ns
            self.peak_ns = max(self.peak_ns, max(self.gaps))

    def habit_ns(self) -> int | None:
        """How long this stream may be silent, in ns; None: its habit is not known yet."""
        if self.judged_ns != self.wound_ns:
            self.judged_ns, self.habit = self.wound_ns, self._habit_ns()
        return self.habit

    def _habit_ns(self) -> int | None:
        if len(self.gaps) < GAPS_NEEDED:
            return None
        peak_ns = max(self.peak_ns, self.before_ns, max(self.gaps))
        wanted_ns = PEAK_FACTOR * peak_ns + MEDIAN_FACTOR * int(median(list(self.gaps)))
        habit_ns = min(max(wanted_ns, SILENT_NS_MIN), SILENT_NS_MAX)
        watched_ns = self.wound_ns - self.first_ns
        quick = len(self.gaps) >= QUICK_GAPS and peak_ns * QUICK_SHARE <= watched_ns >= SILENT_NS_MIN
        return habit_ns if quick or watched_ns >= 2 * habit_ns else None


class Liveness:
    """The clocks of one line's sources. They outlive a connection, so a habit is learned once.

    `alive_by` says of a source by which channel alone it counts as alive.
    """

    def __init__(self, sources: Iterable[int], alive_by: Mapping[int, Channel] | None = None) -> None:
        self._alive_by = dict(alive_by or {})
        self.pulses = {
            channel: {source: Pulse(deque(maxlen=GAPS_REMEMBERED)) for source in sources} for channel in Channel
        }

    def connected(self, now_ns: Nanos) -> None:
        """A connection stands, and none did: every stream has its whole deadline from here."""
        for pulses in self.pulses.values():
            for pulse in pulses.values():
                pulse.wound_ns, pulse.seen = now_ns, False

    def channel(self, source: int) -> Channel:
        """The channel by which the source is alive."""
        declared = self._alive_by.get(source)
        if declared is not None:
            return declared
        return next((channel for channel in ALIVE_BY if self.pulses[channel][source].first_ns), Channel.BOOK)

    def silent(self, now_ns: Nanos) -> tuple[int, ...]:
        """The sources that are beyond their deadline."""
        return tuple(source for source in self.pulses[Channel.BOOK] if self._is_silent(source, now_ns))

    def without_trades(self, now_ns: Nanos) -> tuple[int, ...]:
        """The sources whose trades have ceased beside a stream that goes on."""
        for pulse in self.pulses[Channel.TRADE].values():
            pulse.look(now_ns)
        return tuple(
            source
            for source, pulse in self.pulses[Channel.TRADE].items()
            if now_ns - pulse.wound_ns > TRADE_NS_MIN
            and (habit_ns := pulse.habit_ns()) is not None
            and now_ns - pulse.wound_ns > _patient(max(TRADE_FACTOR * habit_ns, TRADE_NS_MIN), pulse.repairs)
            and not self._is_silent(source, now_ns)
        )

    def repaired(self, source: int, channel: Channel, now_ns: Nanos) -> None:
        """Something is done about a silent stream: it has time from here, and the silence is no habit."""
        pulse = self.pulses[channel][source]
        pulse.repairs += 1
        pulse.wound_ns, pulse.seen = now_ns, False

    def forgive(self, source: int) -> None:
        """The source has been well for a while: its patience is what it was."""
        for pulses in self.pulses.values():
            pulses[source].repairs = 0

    def deadline_ns(self, source: int) -> int:
        """How long this source may be silent, in ns."""
        return _deadline_ns(self.pulses[self.channel(source)][source])

    def pace_ns(self, source: int, now_ns: Nanos) -> int | None:
        """How long it may be silent without any patience for repairs; None: it is silent for longer now."""
        pulse = self.pulses[self.channel(source)][source]
        habit_ns = pulse.habit_ns() or FIRST_NS
        return habit_ns if pulse.seen and now_ns - pulse.wound_ns <= habit_ns else None

    def median_ns(self, source: int) -> int:
        """The median of the gaps that are remembered; 0 while there is none."""
        gaps = self.pulses[self.channel(source)][source].gaps
        return int(median(list(gaps))) if gaps else 0

    def _is_silent(self, source: int, now_ns: Nanos) -> bool:
        pulse = self.pulses[self.channel(source)][source]
        pulse.look(now_ns)
        silence_ns = now_ns - pulse.wound_ns
        return silence_ns > SILENT_NS_MIN and silence_ns > _deadline_ns(pulse)  # the habit is dear, and seldom needed


def _deadline_ns(pulse: Pulse) -> int:
    habit_ns = pulse.habit_ns()
    if habit_ns is None:
        return _patient(FIRST_NS if pulse.first_ns else UNHEARD_NS, pulse.repairs)
    return _patient(habit_ns if pulse.seen else max(habit_ns, OPENING_NS), pulse.repairs)


def _patient(deadline_ns: int, repairs: int) -> int:
    return min(deadline_ns << min(repairs, REPAIRS_COUNTED), PATIENCE_NS_MAX)
