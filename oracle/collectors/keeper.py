"""What is known of the health of a line's sources, and what is to be done about it: judged a few times a second.

A source ails when its stream is beyond its deadline (SILENT), its book stands still while its own trades have left it
(FROZEN), or a book that is kept by changes without numbers stands crossed, as one does from which a change was lost
(CROSSED); then it is down until its stream says something that counts, and its ladder says what is done. The venue's
clock is watched by the delays of its messages; a drift is told, and answered with one new connection, because the
venue's clock may really be wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from oracle.collectors.evidence import Evidence
from oracle.collectors.liveness import Channel, Liveness
from oracle.collectors.repair import Happening, Ladder, Phase, Rung
from oracle.collectors.skew import Skew
from oracle.collectors.stats import LineStats
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, BookTop, Nanos, Trade

WAIT_MEDIANS = 3  # gaps that a slow stream may need to show that a repair has helped
WAIT_NS_MAX = 60 * NANOS_PER_S
NEVER_NS = 1 << 62  # a stream that does not keep its pace is not believed
CROSSED_NS = 500 * NANOS_PER_MS  # a sound book is crossed for a moment at the most
DRIFT_NS_MAX = 500 * NANOS_PER_MS
DRIFT_REPAIR_NS = 3_600 * NANOS_PER_S  # no new connection for a drift sooner after the last


class Orders(Struct):
    """What a line has to do now."""

    down: dict[int, str] = field(default_factory=dict)  # sources that ail from now on, and why
    well: list[int] = field(default_factory=list)  # sources whose streams are believed again
    resubscribe: list[int] = field(default_factory=list)
    renew: str = ""  # why a new connection is wanted; empty: none
    alternate: bool = False  # to another endpoint


class Keeper:
    """The health of one line. `symbols`: its sources; `rungs`: which repairs each has; `alive_by`: see Liveness."""

    def __init__(
        self,
        symbols: Mapping[int, str],
        rungs: Mapping[int, Sequence[Rung]],
        alive_by: Mapping[int, Channel] | None,
        stats: LineStats,
        log: Any,
        *,
        keeps_books: bool = False,
    ) -> None:
        self.liveness = Liveness(symbols, alive_by)
        self.skew = Skew()
        self._evidence = Evidence(symbols)
        self._symbols = symbols
        self._ladders = {source: Ladder(have) for source, have in rungs.items()}
        self._down: dict[int, str] = {}
        self._stats, self._log, self._keeps_books = stats, log, keeps_books
        self._crossed_ns: dict[int, Nanos] = {}  # since when
        self._drifting = False
        self._drift_ns: Nanos | None = None

    def heed(self, fact: BookTop | Trade) -> None:
        """Take a fact as evidence of whether its source's book is alive."""
        if isinstance(fact, Trade):
            self._evidence.traded(fact)
        else:
            self._evidence.said(fact)
            if not _is_crossed(fact):
                self._crossed_ns.pop(fact.source, None)
            elif self._keeps_books:
                self._crossed_ns.setdefault(fact.source, fact.recv_ns)

    def polls(self) -> dict[int, Rung]:
        """The sources that want a substitute, and which."""
        return {source: ladder.rung for source, ladder in self._ladders.items() if ladder.polling}

    def is_down(self, source: int) -> bool:
        """Whether the source's stream is silent, or worthless."""
        return source in self._down

    def is_waiting(self, source: int) -> bool:
        """Whether a repair of the source has not helped yet."""
        return self._ladders[source].phase is Phase.WAITING

    def heard_ns(self, source: int) -> Nanos:
        """When the source's stream last said something; 0: not since a repair or a connection began."""
        pulse = self.liveness.pulses[self.liveness.channel(source)][source]
        return pulse.wound_ns if pulse.seen and source not in self._down else 0

    def connected(self, now_ns: Nanos, *, first: bool) -> None:
        """A connection stands; `first`: none did, so that every stream has its whole deadline from here."""
        if first:
            self.liveness.connected(now_ns)
        for ladder in self._ladders.values():
            ladder.on(Happening.CONNECTED, now_ns)

    def lost(self, now_ns: Nanos) -> None:
        """No connection stands any more, or none could be made."""
        for source, ladder in self._ladders.items():
            if ladder.phase is not Phase.WAITING:
                self._stats.stepped(source, Rung.RECONNECTED, now_ns)
            ladder.on(Happening.LOST, now_ns)

    def spoke(self, fact: Any) -> bool:
        """An awaited source spoke. False: that is worth nothing, for its book is no better."""
        source: int = fact.source
        if not self._is_cured(fact):
            return False
        self._down.pop(source, None)
        self._ladders[source].on(Happening.SPOKE, fact.recv_ns)
        return True

    def answered(self, source: int, facts: Iterable[Any], now_ns: Nanos) -> bool:
        """A poll was answered. False: it states a book that is no better."""
        if not all(self._is_cured(fact) for fact in facts):
            return False
        self._ladders[source].on(Happening.ANSWERED, now_ns)
        return True

    def reason(self, source: int) -> str:
        """What brought a source back: its rung; empty where nothing was done."""
        rung = self._ladders[source].rung
        return "" if rung is Rung.STREAM else str(rung)

    def look(self, now_ns: Nanos, *, standing: bool) -> Orders:
        """What is to be done now. `standing`: a connection stands, so that silence means something."""
        orders = Orders()
        if standing:
            for reason, ailing in (
                ("SILENT", self.liveness.silent(now_ns)),
                ("FROZEN", self._evidence.frozen(now_ns)),
                ("CROSSED", [one for one, since_ns in self._crossed_ns.items() if now_ns - since_ns >= CROSSED_NS]),
            ):
                for source in ailing:
                    self._ail(source, reason, now_ns, orders)
            for source in self.liveness.without_trades(now_ns):
                self._miss_trades(source, now_ns, orders)
            self._watch_clock(now_ns, orders)
        for source, ladder in self._ladders.items():
            if ladder.phase is not Phase.WELL:
                pace_ns = self.liveness.pace_ns(source, now_ns)
                step = ladder.later(
                    now_ns, NEVER_NS if pace_ns is None else pace_ns, self._help_ns(source) if standing else 0
                )
                if step is not None:
                    self._step(source, step, now_ns, orders)
        for source, ladder in self._ladders.items():
            self._stats.of(source).rung = ladder.rung
        return orders

    def _is_cured(self, fact: Any) -> bool:
        """Whether a fact of a source is more than what it ails from."""
        ailment = self._down.get(fact.source)
        if ailment is None or ailment == "SILENT" or not isinstance(fact, BookTop):
            return True
        self.heed(fact)
        return fact.source not in self._crossed_ns and fact.source not in self._evidence.frozen(fact.recv_ns)

    def _ail(self, source: int, reason: str, now_ns: Nanos, orders: Orders) -> None:
        ladder = self._ladders[source]
        if source in self._down or ladder.phase is Phase.WAITING:
            return
        self._down[source] = orders.down[source] = reason
        event = f"venue.{reason.lower()}"
        deadline_ms = self.liveness.deadline_ns(source) // NANOS_PER_MS
        channel = self.liveness.channel(source)
        self._log.warning(event, symbol=self._symbols[source], channel=str(channel), deadline_ms=deadline_ms)
        step = ladder.on(Happening.SILENT, now_ns)
        if step is not None:
            self._step(source, step, now_ns, orders)

    def _miss_trades(self, source: int, now_ns: Nanos, orders: Orders) -> None:
        """The book goes on without trades: first ask for them again, then by a new connection, ever less often."""
        ladder, pulse = self._ladders[source], self.liveness.pulses[Channel.TRADE][source]
        if ladder.phase is not Phase.WELL:
            return
        first = pulse.repairs == 0 and ladder.rungs[0] is Rung.RESUBSCRIBED
        self._log.warning("venue.silent", symbol=self._symbols[source], channel=str(Channel.TRADE))
        self.liveness.repaired(source, Channel.TRADE, now_ns)
        self._stats.stepped(source, Rung.RESUBSCRIBED if first else Rung.RECONNECTED, now_ns)
        if first:
            orders.resubscribe.append(source)
        else:
            orders.renew = orders.renew or "SILENT"

    def _step(self, source: int, rung: Rung, now_ns: Nanos, orders: Orders) -> None:
        if rung is Rung.STREAM:
            self.liveness.forgive(source)
            orders.well.append(source)
            return
        self._stats.stepped(source, rung, now_ns)
        self.liveness.repaired(source, self.liveness.channel(source), now_ns)
        if rung is Rung.RESUBSCRIBED:
            orders.resubscribe.append(source)
        elif rung in (Rung.RECONNECTED, Rung.ALTERNATE):
            orders.renew = self._down.get(source, "SILENT")
            orders.alternate = orders.alternate or rung is Rung.ALTERNATE

    def _help_ns(self, source: int) -> int:
        """How long a repair may take to show, on a connection that stands, with this stream's pace."""
        if source not in self._down:
            return self.liveness.deadline_ns(source)  # it was never found silent: its connection was lost
        return min(WAIT_MEDIANS * self.liveness.median_ns(source), WAIT_NS_MAX)

    def _watch_clock(self, now_ns: Nanos, orders: Orders) -> None:
        drift_ns = self.skew.drifting_ns()
        self._stats.offset_ns, self._stats.jitter_ns = self.skew.offset_ns, self.skew.jitter_ns
        if abs(drift_ns) <= DRIFT_NS_MAX:
            self._drifting = self._drifting and abs(drift_ns) > DRIFT_NS_MAX // 2
            return
        if self._drifting:
            return
        self._drifting = True
        self._stats.drifts += 1
        self._log.warning("venue.drifting", drift_ms=drift_ns // NANOS_PER_MS)
        if self._drift_ns is None or now_ns - self._drift_ns >= DRIFT_REPAIR_NS:
            self._drift_ns = now_ns
            orders.renew = orders.renew or "DRIFTING"


def _is_crossed(top: BookTop) -> bool:
    return top.bid >= top.ask > 0.0
