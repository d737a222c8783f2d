"""What Gate's v4 WebSocket says alike of every market: requests, acknowledgements, the envelope, the ping.

The documents, and what they leave open, are named by the files that read a market: `gate` and `gate_futures`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, BookTop, Nanos, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base

PUSH_KEYS = 3  # of an envelope without what may be missing
EVENTS = ("subscribe", "unsubscribe")
UNKNOWN_SYMBOL = 2


class Dialect(Struct, frozen=True):
    """What is a market's own: its name, its channels (tops, then trades, then others), what it calls a symbol."""

    market: str
    channels: tuple[str, ...]
    symbol: str

    @property
    def pong(self) -> str:
        """The channel of the answer to `ping`."""
        return f"{self.market}.pong"

    @property
    def ping(self) -> str:
        """The channel of the client's ping."""
        return f"{self.market}.ping"


class Push(Struct):
    """The envelope of a fact."""

    channel: str
    event: Literal["update"]
    time: int | UnsetType = UNSET
    time_ms: int | UnsetType = UNSET


def check_push(push: Push, channel: str, data: bytes, keys: int) -> None:
    """Raise VenueError unless the push is of this channel and no key in it, of so many in its result, is said twice."""
    if push.channel != channel:
        raise VenueError(Refusal.UNKNOWN_MESSAGE, push.channel[:40])
    if data.count(b'":') != PUSH_KEYS + keys + (push.time is not UNSET) + (push.time_ms is not UNSET):
        base.check_strictly(data)


def check_answer(said: dict[str, Any]) -> None:
    """Raise VenueError when a request is answered with what is wrong with it."""
    error, result = said.get("error"), said.get("result")
    if error is not None or (isinstance(result, dict) and result.get("status") == "fail"):
        raise VenueError(Refusal.VENUE_ERROR, str(error)[:120])


class Session(base.Session):
    """A public connection to one of Gate's markets."""

    dialect: ClassVar[Dialect]
    symbols_max = 100
    words = ('"event":"subscribe"', '"event":"unsubscribe"')

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._unheard = set(self.sources)

    def open(self) -> list[base.Send]:
        """A subscription a symbol and channel, without the time."""
        return self._ask({})

    def idle(self, now_ns: Nanos) -> list[base.Send]:
        """A ping, whose answer shows that a quiet line is alive; what was not heard is asked for again."""
        stamp = stamp_of(now_ns)
        ping = base.Send(dump({**stamp, "channel": self.dialect.ping}))
        return [ping, *self._subscriptions(stamp)]

    def _ask(self, stamp: dict[str, int]) -> list[base.Send]:
        self._unheard = set(self.sources)
        return self._subscriptions(stamp)

    def _subscriptions(self, stamp: dict[str, int]) -> list[base.Send]:
        """A subscription a channel to each symbol of which nothing was heard."""
        return [
            base.Send(dump({**stamp, "channel": channel, "event": "subscribe", "payload": [symbol]}))
            for symbol in self.sources
            if symbol in self._unheard
            for channel in self.dialect.channels
        ]


class Mimic(base.Mimic):
    """One of Gate's markets as the simulator plays it."""

    dialect: ClassVar[Dialect]

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._count = 0

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        """A pong, an acknowledgement of symbols that exist, or what is wrong with the request."""
        said: dict[str, Any] = {"time": now_ns // NANOS_PER_S, "time_ms": now_ns // NANOS_PER_MS}
        try:
            call = msgspec.json.decode(data, type=_Call)
        except msgspec.DecodeError:
            return [_failed(said, "invalid request")]
        said |= {"channel": call.channel, "event": call.event}
        if call.channel == self.dialect.ping:
            return [dump({**said, "channel": self.dialect.pong, "error": None, "result": None})]
        if call.channel not in self.dialect.channels or call.event not in EVENTS:
            return [_failed(said, f"unknown channel {call.channel}")]
        unknown = [symbol for symbol in call.payload if symbol not in self.symbols.values()]
        if unknown:
            return [_failed(said, f"unknown {self.dialect.symbol} {unknown[0]}")]
        return [dump({**said, "payload": call.payload, "result": {"status": "success"}})]

    def speak(self, fact: BookTop | Trade) -> list[str]:
        """One frame of the book ticker or of the trades."""
        self._count += 1
        time_ms = fact.venue_ns // NANOS_PER_MS
        channel = self.dialect.channels[0 if isinstance(fact, BookTop) else 1]
        head = {"time": time_ms // 1_000, "time_ms": time_ms, "channel": channel, "event": "update"}
        return [dump({**head, "result": self.result(fact, self.symbols[fact.source], time_ms)})]

    @abstractmethod
    def result(self, fact: BookTop | Trade, symbol: str, time_ms: int) -> object:
        """What the frame that states this fact has in its envelope."""


class _Call(Struct):
    channel: str
    event: str = ""
    payload: list[str] = []


def stamp_of(now_ns: Nanos) -> dict[str, int]:
    """The time that a request shall bear."""
    return {"time": now_ns // NANOS_PER_S}


def dump(said: dict[str, Any]) -> str:
    """A message as text."""
    return msgspec.json.encode(said).decode()


def _failed(said: dict[str, Any], reason: str) -> str:
    return dump({**said, "error": {"code": UNKNOWN_SYMBOL, "message": reason}, "result": {"status": "fail"}})
