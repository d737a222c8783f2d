"""How a source that has gone silent is repaired: a ladder of rungs, climbed until one helps, and left when all is well.

Theory of operation. Each rung is a repair, and is given its time to help; if it does not, the next one that this
source has is tried. A stream that speaks again is on probation: it is believed once it has been well for a while, and
a relapse before that climbs on instead of beginning anew. Polling is no repair but a substitute: it goes on until the
stream is believed again, and meanwhile the stream is tried in the background, ever less often. The state is a rung and
a phase; what an event does to it stands in one table.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from oracle.core.types import NANOS_PER_S, Nanos, at_hand

STABLE_NS = 30 * NANOS_PER_S  # for so long a stream must have been well at the least before it is believed
RETRY_NS_MIN, RETRY_NS_MAX = 60 * NANOS_PER_S, 600 * NANOS_PER_S  # between two background attempts, doubling


@at_hand
class Rung(StrEnum):
    """What has been done for a source. The order of the members is the order in which they are tried."""

    STREAM = "STREAM"  # nothing: the stream is as it should be
    RESUBSCRIBED = "RESUBSCRIBED"  # on the connection that stands
    RECONNECTED = "RECONNECTED"  # by a new connection
    ALTERNATE = "ALTERNATE"  # by a connection to another endpoint
    REST = "REST"  # the venue's own REST is polled
    CCXT = "CCXT"  # ccxt is polled


@at_hand
class Phase(StrEnum):
    """Where a source stands on its rung."""

    WELL = "WELL"
    WAITING = "WAITING"  # the stream is silent: the repair has not helped yet
    PROBATION = "PROBATION"  # the stream speaks again


@at_hand
class Happening(StrEnum):
    """What a ladder hears of its source."""

    SILENT = "SILENT"  # the stream is beyond its deadline, or what it says is worthless
    LOST = "LOST"  # its connection ended, or could not be made
    CONNECTED = "CONNECTED"  # a connection was made: it has its whole time from here
    SPOKE = "SPOKE"  # the stream said something
    ANSWERED = "ANSWERED"  # a poll was answered


class _Move(StrEnum):
    STAY = "STAY"
    CLIMB = "CLIMB"  # to the next repair
    REDIAL = "REDIAL"  # a new connection is due in any case
    HOPE = "HOPE"
    HOLD = "HOLD"  # the substitute works: its time begins again
    WAIT = "WAIT"  # the repair has only now been done: its time begins again


HELP_NS = {  # how long a rung may take to help
    Rung.RESUBSCRIBED: 3 * NANOS_PER_S,
    Rung.RECONNECTED: 8 * NANOS_PER_S,
    Rung.ALTERNATE: 8 * NANOS_PER_S,
    Rung.REST: 15 * NANOS_PER_S,
    Rung.CCXT: 30 * NANOS_PER_S,
}
POLLS = (Rung.REST, Rung.CCXT)
ORDER = tuple(Rung)

_MOVES = {
    (Phase.WELL, Happening.SILENT): _Move.CLIMB,
    (Phase.WELL, Happening.LOST): _Move.REDIAL,
    (Phase.WELL, Happening.CONNECTED): _Move.STAY,
    (Phase.WELL, Happening.SPOKE): _Move.STAY,
    (Phase.WELL, Happening.ANSWERED): _Move.STAY,
    (Phase.WAITING, Happening.SILENT): _Move.STAY,
    (Phase.WAITING, Happening.LOST): _Move.REDIAL,
    (Phase.WAITING, Happening.CONNECTED): _Move.WAIT,
    (Phase.WAITING, Happening.SPOKE): _Move.HOPE,
    (Phase.WAITING, Happening.ANSWERED): _Move.HOLD,
    (Phase.PROBATION, Happening.SILENT): _Move.CLIMB,
    (Phase.PROBATION, Happening.LOST): _Move.REDIAL,
    (Phase.PROBATION, Happening.CONNECTED): _Move.STAY,
    (Phase.PROBATION, Happening.SPOKE): _Move.STAY,
    (Phase.PROBATION, Happening.ANSWERED): _Move.STAY,
}


class Ladder:
    """Where one source stands. `rungs` are the repairs it has; a new connection is always one of them.

    `on` and `later` answer the rung whose repair is to be done now, STREAM when the source has become well, or None.
    """

    def __init__(self, rungs: Sequence[Rung]) -> None:
        have = {*rungs, Rung.RECONNECTED} - {Rung.STREAM}
        self.rungs = tuple(rung for rung in ORDER if rung in have)
        self.rung, self.phase = Rung.STREAM, Phase.WELL
        self.since_ns: Nanos = 0  # of the phase
        self._tried_ns: Nanos = 0
        self._retry_ns = RETRY_NS_MIN

    @property
    def polling(self) -> bool:
        """Whether a substitute is wanted wherever the stream leaves a hole."""
        return self.rung in POLLS

    def on(self, happening: Happening, now_ns: Nanos) -> Rung | None:
        """Something happened to the source."""
        match _MOVES[self.phase, happening]:
            case _Move.CLIMB:
                return self._climb(now_ns)
            case _Move.REDIAL:
                if self.phase is not Phase.WAITING or self.rung is Rung.RESUBSCRIBED:
                    self._enter(max(self.rung, Rung.RECONNECTED, key=ORDER.index), now_ns)
            case _Move.HOPE:
                self.phase, self.since_ns = Phase.PROBATION, now_ns
            case _Move.HOLD:
                self.since_ns = now_ns if self.rung in POLLS else self.since_ns
            case _Move.WAIT:
                self.since_ns = self.since_ns if self.rung in POLLS else now_ns
        return None

    def later(self, now_ns: Nanos, stable_ns: int = 0, help_ns: int = 0) -> Rung | None:
        """Time has passed.

        `stable_ns`, `help_ns`: for how long this stream must speak until it is believed, and may be silent until a
        repair has failed, where that is more than for any.
        """
        waited_ns = now_ns - self.since_ns
        if self.phase is Phase.PROBATION:
            if waited_ns < max(stable_ns, STABLE_NS):
                return None
            self.rung, self.phase, self.since_ns = Rung.STREAM, Phase.WELL, now_ns
            self._retry_ns = RETRY_NS_MIN
            return Rung.STREAM
        if self.phase is Phase.WELL:
            return None
        patience_ns = HELP_NS[self.rung] if self.rung in POLLS else max(HELP_NS[self.rung], help_ns)
        if waited_ns >= patience_ns and (above := self._above(polls=True)) is not self.rung:
            return self._enter(above, now_ns)
        if self.rung is self.rungs[-1] or self.rung in POLLS:
            return self._again(now_ns)
        return None

    def _climb(self, now_ns: Nanos) -> Rung:
        """The next repair; a substitute that was left too early is taken up again."""
        return self._enter(self._above(polls=False), now_ns)

    def _above(self, *, polls: bool) -> Rung:
        """The next rung. Of two that poll, one that is not answered gives way to the other (`polls`)."""
        if self.rung is Rung.STREAM:
            return self.rungs[0]
        if self.rung in POLLS:
            others = [rung for rung in self.rungs if rung in POLLS and rung is not self.rung]
            return others[0] if polls and others else self.rung
        place = self.rungs.index(self.rung) + 1
        return self.rungs[min(place, len(self.rungs) - 1)]

    def _enter(self, rung: Rung, now_ns: Nanos) -> Rung:
        if rung not in POLLS or self.rung not in POLLS:
            self._tried_ns = now_ns
        self.rung, self.phase, self.since_ns = rung, Phase.WAITING, now_ns
        return rung

    def _again(self, now_ns: Nanos) -> Rung | None:
        """Beyond the last rung, the stream is tried by a new connection now and then."""
        if now_ns - self._tried_ns < self._retry_ns:
            return None
        self._tried_ns = now_ns
        self._retry_ns = min(2 * self._retry_ns, RETRY_NS_MAX)
        return Rung.RECONNECTED
