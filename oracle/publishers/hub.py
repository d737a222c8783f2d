"""Where journaled ticks become public: the boards that REST reads, and the messages that stream subscribers share.

Theory of operation. `publish` is called on the event loop for each tick after the journal has it. Each instrument's
message is made into bytes at most once, and only if somebody listens or later resumes; ages are appended when a
message is sent, because an old message must not claim the age it had when it was young.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

from oracle.clock import Clock
from oracle.core.params import World
from oracle.core.types import (
    NANOS_PER_MS,
    Alert,
    AlertKind,
    FundingRate,
    IndexValue,
    MarkPrice,
    Nanos,
    PremiumSample,
    State,
    Tick,
    Value,
    VerdictChange,
)
from oracle.core.wire import encode
from oracle.publishers import render
from oracle.publishers.board import IndexBoard
from oracle.publishers.outbox import Outbox
from oracle.publishers.perp_board import PerpBoard
from oracle.publishers.render import Answer, Stamp

HISTORY_MESSAGES_MAX = 5_000
VALUE_AGE_MS_MAX = 3_000
CHANGES_MAX = 1_000
ALERTS_MAX = 1_000
_NO_WORD = re.compile(r"[^a-z0-9_]+")
_EPOCH = re.compile(r"[A-Za-z0-9._:-]*")


class Record:
    """One instrument's share of a tick, kept for resumption. Its bytes are made when first needed."""

    __slots__ = ("_beat", "_board", "_bytes", "_memory", "_values", "at_ns", "seq")

    def __init__(self, board: IndexBoard | PerpBoard, beat: int, values: list[Value]) -> None:
        self._board, self._beat, self._values, self._memory = board, beat, values, board.memory()
        self.seq, self.at_ns = board.seq, board.at_ns
        self._bytes: bytes | None = None

    def message(self, stamp: Stamp, replayed: bool = False) -> bytes:
        """The stream message as it is sent now."""
        if self._bytes is None:
            self._bytes = encode(self._body())[:-1]
        oldest_ms = next((v.oldest_input_age_ms for v in self._values if isinstance(v, IndexValue | MarkPrice)), None)
        age_ms = stamp.age_ms(self.at_ns) or 0
        oldest = "null" if oldest_ms is None else str(oldest_ms + age_ms)
        flag = "true" if replayed else "false"
        tail = f',"epoch":"{stamp.epoch}","age_ms":{age_ms},"oldest_input_age_ms":{oldest},"replayed":{flag}}}'
        return self._bytes + tail.encode()

    def _body(self) -> Answer:
        """The part of the message that does not depend on when it is sent."""
        alerts = [render.alert_body(value) for value in self._values if isinstance(value, Alert)]
        return {
            "type": "value",
            "instrument": self._board.instrument.id,
            "seq": self.seq,
            "ts": self.at_ns // NANOS_PER_MS,
            "beat": self._beat,
            **self._board.share(self._values, self._memory),
            **({"alerts": alerts} if alerts else {}),
        }


class Channel:
    """An instrument's recent messages, and who listens."""

    def __init__(self, history_max: int) -> None:
        self.records: deque[Record] = deque(maxlen=history_max)
        self.outboxes: dict[Outbox, None] = {}


class Counts(NamedTuple):
    """What the hub has done, for metrics."""

    ticks: int
    messages: int
    overflows: int
    withheld: int


class Hub:
    """The public side of one world. Event-loop thread only."""

    def __init__(
        self,
        world: World,
        clock: Clock,
        history_messages_max: int = HISTORY_MESSAGES_MAX,
        *,
        epoch: str = "",
        value_age_ms_max: int = VALUE_AGE_MS_MAX,
        changes_max: int = CHANGES_MAX,
    ) -> None:
        assert _EPOCH.fullmatch(epoch), epoch  # it is written into messages and entity tags as it is
        self.world = world
        self.indices = {i.id: IndexBoard(world, i, changes_max) for i in world.indices}
        self.perps = {p.id: PerpBoard(world, p, self.indices[p.index]) for p in world.perps}
        self.boards: dict[str, IndexBoard | PerpBoard] = {**self.indices, **self.perps}
        self.alerts: dict[tuple[AlertKind, str], Alert] = {}
        self._channels = {name: Channel(history_messages_max) for name in self.boards}
        self._clock, self._epoch, self._value_age_ms_max = clock, epoch, value_age_ms_max
        self._halted: tuple[str, ...] = ()
        self._halted_ns: Nanos = 0
        self._ticks = self._messages = self._overflows = self._withheld = 0

    @property
    def halted(self) -> tuple[str, ...]:
        """Why the service as a whole has halted; empty while it has not."""
        return self._halted

    def counts(self) -> Counts:
        """What has been done so far."""
        return Counts(self._ticks, self._messages, self._overflows, self._withheld)

    def stamp(self) -> Stamp:
        """The moment an answer is given."""
        return Stamp(self._clock.now_ns(), self._epoch, self._value_age_ms_max, self._halted, self._halted_ns)

    def publish(self, tick: Tick) -> None:
        """Make a journaled tick public. After a halt nothing is: what is not vouched for is not said."""
        if self._halted:
            self._withheld += 1
            return
        self._ticks += 1
        shares: dict[str, list[Value]] = {}
        alerts: list[Alert] = []
        for value in tick.values:
            if isinstance(value, Alert):
                alerts.append(value)
            else:
                self._take(value)
                shares.setdefault(value.instrument, []).append(value)
        for alert in alerts:
            self._raise(alert)
            if (share := shares.get(alert.target.split(" ", 1)[0])) is not None:
                share.append(alert)
        for instrument, quotes in tick.quotes.items():
            self.indices[instrument].judge(quotes, tick.at_ns)
        if shares:
            stamp = self.stamp()
            for instrument, share in shares.items():
                self._send(instrument, Record(self.boards[instrument], tick.seq, share), stamp)

    def recall(self, rates: Iterable[FundingRate]) -> None:
        """Settled rates that history remembers from before this process; the latest of each instrument stands."""
        for rate in rates:
            board = self.perps.get(rate.instrument)
            if board and (board.settled is None or board.settled.settles_ns < rate.settles_ns):
                board.settle(rate)

    def halt(self, reason: str) -> None:
        """The service as a whole can no longer vouch for its values. Final: only a new process ends it."""
        word = _NO_WORD.sub("_", reason.lower())
        if word in self._halted:
            return
        self._halted = (*self._halted, word)
        self._halted_ns = self._halted_ns or self._clock.now_ns()
        for instrument, channel in self._channels.items():
            channel.records.clear()
            if channel.outboxes:
                data = self.snapshot(instrument)
                for outbox in list(channel.outboxes):
                    outbox.forget(instrument)
                    outbox.put(data, instrument)

    def subscribe(self, outbox: Outbox, instrument: str, from_seq: int | None = None) -> None:
        """Send an instrument's messages from now on: first a snapshot, or everything since `from_seq`.

        When `from_seq` is no longer (or not yet) known, the gap is told and a snapshot stands for it.
        """
        channel, board = self._channels[instrument], self.boards[instrument]
        records = channel.records
        channel.outboxes[outbox] = None
        known = bool(records) and records[0].seq <= (from_seq or 0) <= records[-1].seq + 1
        if from_seq is not None and known:
            missed = [record for record in records if record.seq >= from_seq]
            outbox.replay(instrument, [partial(self._again, record) for record in missed])
            return
        if from_seq is not None:
            gap = {"type": "gap", "instrument": instrument, "from": from_seq, "to": board.seq}
            outbox.put(encode(gap), instrument)
        outbox.put(self.snapshot(instrument), instrument)

    def unsubscribe(self, outbox: Outbox, instrument: str) -> None:
        """Send nothing more of an instrument."""
        self._channels[instrument].outboxes.pop(outbox, None)
        outbox.forget(instrument)

    def leave(self, outbox: Outbox) -> None:
        """A subscriber has gone."""
        for channel in self._channels.values():
            channel.outboxes.pop(outbox, None)

    def snapshot(self, instrument: str) -> bytes:
        """Everything a subscriber needs to begin with: the same object that REST answers."""
        board = self.boards[instrument]
        answer = board.snapshot(self.stamp())
        return encode({"type": "snapshot", "instrument": instrument, "seq": board.seq, "snapshot": answer})

    def heartbeat(self, instruments: Iterable[str]) -> bytes:
        """Proof of life for whoever subscribed to these: the last seq of each and how old it is."""
        stamp = self.stamp()
        boards = {name: self.boards[name] for name in instruments}
        beat: Answer = {
            "type": "heartbeat",
            "ts": stamp.now_ns // NANOS_PER_MS,
            "last_seq": {name: board.seq for name, board in boards.items()},
            "age_ms": {name: stamp.age_ms(board.at_ns) for name, board in boards.items()},
            "halted": list(stamp.halted),
        }
        return encode(beat)

    def unready(self) -> list[str]:
        """Why the service may not be used; empty when it may."""
        if self._halted:
            return list(self._halted)
        stamp = self.stamp()
        found = []
        for name, board in self.boards.items():
            if stamp.is_stale(board.at_ns):
                found.append(f"{name} is {render.SERVICE_STALE}")
            elif board.state in (State.WARMING, State.HALTED):
                found.append(f"{name} is {board.state.lower()}")
            else:
                return []
        return found

    def active_alerts(self) -> Iterator[Alert]:
        """What surveillance has reported and not yet ended."""
        yield from self.alerts.values()

    def _take(self, value: IndexValue | MarkPrice | PremiumSample | FundingRate | VerdictChange) -> None:
        if isinstance(value, IndexValue):
            self.indices[value.instrument].take(value)
        elif isinstance(value, MarkPrice):
            self.perps[value.instrument].take(value)
        elif isinstance(value, FundingRate):
            self.perps[value.instrument].fund(value)
        elif isinstance(value, PremiumSample):
            self.perps[value.instrument].premium(value)
        else:
            self.indices[value.instrument].changes.append(value)

    def _raise(self, alert: Alert) -> None:
        key = (alert.kind, alert.target)
        self.alerts.pop(key, None)
        if alert.active:
            self.alerts[key] = alert
            if len(self.alerts) > ALERTS_MAX:
                del self.alerts[next(iter(self.alerts))]

    def _send(self, instrument: str, record: Record, stamp: Stamp) -> None:
        channel = self._channels[instrument]
        channel.records.append(record)
        if not channel.outboxes:
            return
        data = record.message(stamp)
        slow = [outbox for outbox in channel.outboxes if not outbox.put(data, instrument)]
        self._messages += len(channel.outboxes)
        for outbox in slow:
            self._overflows += 1
            self.leave(outbox)

    def _again(self, record: Record) -> bytes:
        return record.message(self.stamp(), replayed=True)
