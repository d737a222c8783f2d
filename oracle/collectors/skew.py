"""How far a venue's clock stands from ours, how its messages jitter, and whether its timestamps drift.

A message's delay is its receipt minus its venue time: the clocks' offset, plus the way through the network, plus
whatever queue it stood in. Queues only ever add, so the least delay of a time is the offset plus the shortest way.
A clock that drifts moves the least delay of every second, and moves it for good; jitter moves single messages.

Theory of the drift. The least delay of each second is kept for some minutes, and the last seconds are compared with
those of at least `ASIDE_S` ago (what lies between would be half drifted itself). A drift is what all of the last
seconds agree on: that even the least late of them is later than those before were but for a tenth of them, or that
even the latest is earlier. So one late second, a burst that was held up, or one false stamp is none. What long delays
do by chance is allowed for: n messages that are late by m in the mean are by chance all later than c·m/n less than
once in e^c times (the least of n exponential variables), and messages that hold each other up move the least of a
second by what it usually moves from one second to the next.

It cannot tell a drift from a queue that grows for as long as the drift would take, nor judge a venue that speaks in
fewer than `RECENT_SECONDS` of the last `RECENT_S` seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from oracle.core.types import NANOS_PER_S, Nanos

WINDOW_S = 180  # seconds of which the least delay is kept
RECENT_SECONDS = 4  # finished seconds with messages that must agree
RECENT_S = 8  # and lie no further back than this
ASIDE_S = 15  # from the current second back to the newest that counts as before
BEFORE_MIN = 8  # seconds that must be known before anything is compared
TAIL = 10  # one in so many of the seconds before is taken for an exception, on either side
CHANCE = 10  # times the mean excess, per message of the last seconds
STEPS = 2  # times the usual step of the least delay
DELAYS_REMEMBERED = 256
JITTER_PERCENT = 90


class _Second(NamedTuple):
    number: int  # of unix time
    least_ns: int
    messages: int
    mean_ns: int


class Skew:
    """What the delays of one venue's messages tell. `offset_ns` is None until the first message."""

    def __init__(self) -> None:
        self.offset_ns: int | None = None
        self._seconds: deque[_Second] = deque(maxlen=WINDOW_S)
        self._number = 0
        self._least_ns = self._sum_ns = self._count = 0
        self._drift_ns = 0
        self._delays: list[int] = []
        self._place = 0

    def add(self, delay_ns: int, recv_ns: Nanos) -> None:
        """Take in a message that arrived at `recv_ns`, that much later than the venue says it happened."""
        if len(self._delays) < DELAYS_REMEMBERED:
            self._delays.append(delay_ns)
        else:
            self._delays[self._place] = delay_ns
            self._place = (self._place + 1) % DELAYS_REMEMBERED
        number = recv_ns // NANOS_PER_S
        if number > self._number:
            self._turn(number)
        if not self._count or delay_ns < self._least_ns:
            self._least_ns = delay_ns
            if not self._seconds:
                self.offset_ns = delay_ns
        self._count += 1
        self._sum_ns += delay_ns

    @property
    def jitter_ns(self) -> int | None:
        """How far the 90th percentile of the last delays lies above the least of them; None: nothing was said."""
        if not self._delays:
            return None
        ordered = sorted(self._delays)
        return ordered[(len(ordered) - 1) * JITTER_PERCENT // 100] - ordered[0]

    def drifting_ns(self) -> int:
        """How much later (above 0) or earlier the last seconds are than those before, beyond chance; 0: not known."""
        return self._drift_ns

    def _turn(self, number: int) -> None:
        """A new second begins: file the last one, forget the oldest, and judge."""
        if self._count:
            seconds = self._seconds
            seconds.append(_Second(self._number, self._least_ns, self._count, self._sum_ns // self._count))
            while seconds and seconds[0].number < number - WINDOW_S:
                seconds.popleft()
            if seconds:
                self.offset_ns = min(second.least_ns for second in seconds)
            self._drift_ns = _drift_ns(tuple(seconds), number)
        self._number = number
        self._count = self._sum_ns = 0


def _drift_ns(seconds: Sequence[_Second], now: int) -> int:
    """What the seconds that ended before second `now` agree on."""
    before = [second for second in seconds if second.number <= now - ASIDE_S]
    recent = [second for second in seconds if second.number >= now - RECENT_S][-RECENT_SECONDS:]
    if len(before) < BEFORE_MIN or len(recent) < RECENT_SECONDS:
        return 0
    leasts = sorted(second.least_ns for second in before)
    low_ns, high_ns = leasts[len(leasts) // TAIL], leasts[-1 - len(leasts) // TAIL]
    excess_ns = _middle([second.mean_ns - second.least_ns for second in before])
    step_ns = _middle([abs(one.least_ns - other.least_ns) for one, other in pairwise(before)])
    by_chance_ns = STEPS * step_ns + CHANCE * (excess_ns + step_ns) // sum(second.messages for second in recent)
    later_ns = min(second.least_ns for second in recent) - high_ns
    earlier_ns = low_ns - max(second.least_ns for second in recent)
    return max(0, later_ns - by_chance_ns) - max(0, earlier_ns - by_chance_ns)


def _middle(values: list[int]) -> int:
    values.sort()
    return values[len(values) // 2]
