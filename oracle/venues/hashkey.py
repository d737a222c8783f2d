"""What HashKey Exchange (Hong Kong) says: tops of book and trades, on its public WebSocket v2.

Source: hashkeypro-apidoc.readme.io/reference/public-stream-ws-v2 (addresses, requests, acknowledgements, ping), read
in part 2026-11-21. The pages on the topics were not to be had: the shape of `bbo` is from a capture of the sister
exchange HashKey Global, which has the same grammar, and that of `trade` from what other clients read. Neither has
been seen from this address; what differs is refused. `bbo` gives the whole top, with its next change and not when it
is asked; an empty side is read from zeros. `m` of a trade says that the buyer made, so that the seller took. Whether
a subscription to trades repeats old ones is not known. Times are milliseconds. A request names one symbol. The client
pings every 10 s; the sister exchange ends a line after about 30 s without. Symbols: `BTCUSD`, `ETHUSD`, `BTCHKD`. The
first version of the API is refused.

Over REST the top is that of `quote/v1/depth`, whose shape is from clients of the sister exchange as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from oracle.core.types import NANOS_PER_MS, BookTop, Nanos, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base

URL = "wss://stream-pro.hashkey.com/quote/ws/v2"
TOPICS = ("bbo", "trade")
TOP_KEYS, TRADE_KEYS = 11, 9  # of complete messages without what may be missing
MS_MIN, MS_MAX = 10**12, 10**14  # from 2001 on; another unit is outside, even where nobody knows the time
FINE = "0"
TOP = base.RestTop(
    url="https://api-pro.hashkey.com/quote/v1/depth?symbol={symbol}&limit=1",
    bid="b.0.0", bid_size="b.0.1", ask="a.0.0", ask_size="a.0.1", time="t",
)  # fmt: skip


class _Params(Struct):
    symbol: str


class _Top(Struct, gc=False):
    """Symbol, bid, its size, ask, its size, time, version."""

    s: str
    b: float
    bz: float
    a: float
    az: float
    t: int
    v: Raw


class _Tops(Struct):
    topic: Literal["bbo"]
    params: _Params
    data: _Top


class _Deal(Struct, gc=False):
    """Id, time, price, size, whether the buyer made, symbol."""

    v: Raw
    t: int
    p: float
    q: float
    m: bool
    s: str | UnsetType = UNSET


class _Deals(Struct):
    topic: Literal["trade"]
    params: _Params
    data: _Deal


class _Other(Struct):
    """What any other message says of itself."""

    topic: str = ""
    event: str = ""
    code: str = ""
    msg: str = ""
    desc: str = ""
    pong: int = 0
    first: bool | UnsetType = msgspec.field(name="f", default=UNSET)


_TOP: base.Decoder[_Tops] = base.Decoder(_Tops, (TOP_KEYS,))
_DEAL: base.Decoder[_Deals] = base.Decoder(_Deals, (TRADE_KEYS, TRADE_KEYS + 1))
_OTHER: base.Decoder[_Other] = base.Decoder(_Other, (1,))


class Session(base.Session):
    """A public connection to the spot market."""

    venue = "hashkey"
    ping_ms = 10_000
    markets = ("spot",)
    tops: ClassVar = {"spot": TOP}

    def url(self) -> str:
        """The address to dial."""
        return URL

    def open(self) -> list[base.Send]:
        """A subscription a symbol and topic."""
        return [
            base.Send(_dump({"topic": topic, "event": "sub", "params": {"symbol": symbol}}))
            for symbol in self.sources
            for topic in TOPICS
        ]

    def idle(self, now_ns: Nanos) -> list[base.Send]:
        """The ping that keeps the connection."""
        return [base.Send(_dump({"ping": now_ns // NANOS_PER_MS}))]

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The fact in one frame. Raises VenueError."""
        if b'"data"' in data and b'"sendTime"' not in data:
            if b'"bbo"' in data:
                return [self._read_top(data, recv_ns)]
            if b'"trade"' in data:
                return [self._read_trade(data, recv_ns)]
        _check_other(_OTHER(data))
        return []

    def _read_top(self, data: bytes, recv_ns: Nanos) -> BookTop:
        push = _TOP(data)
        said = push.data
        source, venue_ns = self._source(push.params.symbol, said.s), _time_ns(said.t, recv_ns)
        return base.top(source, said.b, said.bz, said.a, said.az, venue_ns, recv_ns)

    def _read_trade(self, data: bytes, recv_ns: Nanos) -> Trade:
        push = _DEAL(data)
        said = push.data
        if data.count(b'":') != TRADE_KEYS + (said.s is not UNSET):
            base.check_strictly(data)
        symbol = push.params.symbol
        source, venue_ns = self._source(symbol, symbol if said.s is UNSET else said.s), _time_ns(said.t, recv_ns)
        side = Side.SELL if said.m else Side.BUY
        return Trade(source, base.price(said.p), base.size(said.q), side, venue_ns, recv_ns)

    def _source(self, asked: str, said: str) -> int:
        if asked != said:
            raise VenueError(Refusal.UNKNOWN_SYMBOL, f"{said[:40]} as {asked[:40]}")
        return self.source_of(said)


class Mimic(base.Mimic):
    """HashKey as the simulator plays it."""

    venue = "hashkey"

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._count = 0

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        """A pong, an acknowledgement of a topic and symbol that exist, or what is wrong with the request."""
        try:
            call = msgspec.json.decode(data, type=_Call)
        except msgspec.DecodeError:
            return [_dump({"code": "-10001", "desc": "Invalid JSON!"})]
        if call.ping is not UNSET:
            return [_dump({"pong": now_ns // NANOS_PER_MS})]
        if call.topic not in TOPICS or call.event not in ("sub", "cancel"):
            return [_dump({"code": "-10004", "desc": "Invalid topic!"})]
        known = call.params.get("symbol") in self.symbols.values()
        verdict = {"code": FINE, "msg": "Success"} if known else {"code": "-100011", "msg": "Parameter error!"}
        return [_dump({"topic": call.topic, "event": call.event, "params": call.params, **verdict})]

    def speak(self, fact: BookTop | Trade) -> list[str]:
        """One frame of `bbo` or of `trade`."""
        self._count += 1
        symbol, time_ms = self.symbols[fact.source], fact.venue_ns // NANOS_PER_MS
        if isinstance(fact, BookTop):
            bid, bid_size, ask, ask_size = map(base.decimal_text, (fact.bid, fact.bid_size, fact.ask, fact.ask_size))
            top = {"s": symbol, "b": bid, "bz": bid_size, "a": ask, "az": ask_size, "t": time_ms}
            return [_push("bbo", symbol, top | {"v": f"{self._count}_1"})]
        price, size = base.decimal_text(fact.price), base.decimal_text(fact.size)
        deal = {"v": str(self._count), "t": time_ms, "p": price, "q": size, "m": fact.side is Side.SELL}
        return [_push("trade", symbol, deal)]


class _Call(Struct):
    topic: str = ""
    event: str = ""
    params: dict[str, Any] = {}
    ping: Any = UNSET


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads a recording made at `url`."""
    return Session(feeds, market)


def _time_ns(time_ms: int, recv_ns: Nanos) -> Nanos:
    if not MS_MIN <= time_ms < MS_MAX:
        raise VenueError(Refusal.TIME_UNIT, f"{time_ms} ms")
    return base.event_time(time_ms, NANOS_PER_MS, recv_ns)


def _check_other(said: _Other) -> None:
    """Raise VenueError unless the message is an acknowledgement or a pong."""
    if said.first is not UNSET:
        raise VenueError(Refusal.OLD_DIALECT, said.topic[:40])
    if said.code not in ("", FINE):
        raise VenueError(Refusal.VENUE_ERROR, f"{said.code} {said.msg or said.desc}"[:120])
    if not said.code and not said.pong:
        raise VenueError(Refusal.UNKNOWN_MESSAGE, said.topic[:40])


def _push(topic: str, symbol: str, said: dict[str, Any]) -> str:
    return _dump({"topic": topic, "params": {"symbol": symbol}, "data": said})


def _dump(said: dict[str, Any]) -> str:
    return msgspec.json.encode(said).decode()
