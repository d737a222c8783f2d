"""What HTX (once Huobi) says: tops of book and trades of spot pairs, on its public market WebSocket.

Source: www.htx.com/en-us/opend/newApiPages (WebSocket market data: introduction, `market.$symbol.bbo`,
`market.$symbol.trade.detail`), read 2026-11-21. `bbo` gives the whole top, tick by tick; how it says an empty side is
not documented, and zeros are read as one. Its time is `ts`, when the message was made. Times are milliseconds. Every
frame is a gzip stream; one that is no gzip is read as it stands, so that a simulator may speak plainly. The venue pings
every 5 s and ends the connection when two pings stay without their pong. `direction` of a trade is the taker's.

The first message of `market.$symbol.trade.detail` repeats the last trade, however old, and nothing marks it: a trade
that happened before the venue acknowledged the subscription is of the past. Symbols are lower case: `btcusdt`,
`ethusdt`, `usdcusdt`; a feed may be configured in either. Contracts have other addresses and are not read.

Over REST the top is that of `GET /market/depth` at `step0`, at `ts`, when the answer was made.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from oracle.core.types import NANOS_PER_MS, BookTop, Nanos, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base

URL = "wss://api.huobi.pro/ws"
GZIP = b"\x1f\x8b"
GZIP_WINDOW_BITS = 31  # a gzip header, and the largest window
FRAME_BYTES_MAX = 1 << 20
TOP_KEYS, TRADES_KEYS = 10, 6  # of a complete top, of a message of no trades
TRADES_MAX = 1024  # a message may carry so many
KINDS = ("bbo", "trade.detail")
SIDES = {"buy": Side.BUY, "sell": Side.SELL}
TOP = base.RestTop(
    url="https://api.huobi.pro/market/depth?symbol={symbol}&type=step0&depth=5", lower=True,
    bid="tick.bids.0.0", bid_size="tick.bids.0.1", ask="tick.asks.0.0", ask_size="tick.asks.0.1",
    time="ts", symbol="ch", named="market.{symbol}.depth.step0", fine=("status", '"ok"'), quoted=False,
)  # fmt: skip


class _Top(Struct, gc=False):
    ask: float
    ask_size: float = msgspec.field(name="askSize")
    bid: float
    bid_size: float = msgspec.field(name="bidSize")
    quoted_ms: int = msgspec.field(name="quoteTime")
    symbol: str
    seq: int | UnsetType = msgspec.field(name="seqId", default=UNSET)


class _Tops(Struct):
    topic: str = msgspec.field(name="ch")
    time_ms: int = msgspec.field(name="ts")
    tick: _Top


class _Deal(Struct, gc=False):
    id: Raw  # an integer of any length, and once a string
    time_ms: int = msgspec.field(name="ts")
    size: float = msgspec.field(name="amount")
    price: float
    side: str = msgspec.field(name="direction")
    trade_id: int | UnsetType = msgspec.field(name="tradeId", default=UNSET)


class _Dealt(Struct):
    id: int
    time_ms: int = msgspec.field(name="ts")
    data: list[_Deal]


class _Deals(Struct):
    topic: str = msgspec.field(name="ch")
    time_ms: int = msgspec.field(name="ts")
    tick: _Dealt


class _Other(Struct):
    """What any other message says of itself."""

    ch: str = ""
    ping: int = 0
    status: str = ""
    subbed: str = ""
    unsubbed: str = ""
    ts: int = 0
    code: str = msgspec.field(name="err-code", default="")
    problem: str = msgspec.field(name="err-msg", default="")


_TOP: base.Decoder[_Tops] = base.Decoder(_Tops, (TOP_KEYS,), FRAME_BYTES_MAX)
_DEALS: base.Decoder[_Deals] = base.Decoder(
    _Deals, range(TRADES_KEYS, 1 + TRADES_KEYS + 6 * TRADES_MAX), FRAME_BYTES_MAX
)
_OTHER: base.Decoder[_Other] = base.Decoder(_Other, (1,), FRAME_BYTES_MAX)


class Session(base.Session):
    """A public connection to the spot market."""

    venue = "htx"
    frame_bytes_max = FRAME_BYTES_MAX
    words = ('"sub":', '"unsub":')
    markets = ("spot",)
    tops: ClassVar = {"spot": TOP}

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self.sources = {feed.symbol.lower(): feed.source for feed in feeds}
        if len(self.sources) != len(self.feeds):
            raise ValueError("a session reads a symbol once")
        self._tops = {f"market.{symbol}.bbo": symbol for symbol in self.sources}
        self._trades = {f"market.{symbol}.trade.detail": source for symbol, source in self.sources.items()}
        self._since_ms: dict[str, int] = {}

    def url(self) -> str:
        """The address to dial."""
        return URL

    def open(self) -> list[base.Send]:
        """A subscription a topic."""
        self._since_ms.clear()
        return [base.Send(_dump({"sub": topic, "id": topic})) for topic in (*self._tops, *self._trades)]

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The facts and replies in one frame. Raises VenueError."""
        if data.startswith(GZIP):
            data = _inflated(data)
        if data.startswith(b'{"ch":"market.'):
            if b'.bbo"' in data:
                return [self._read_top(data, recv_ns)]
            if b'.trade.detail"' in data:
                return self._read_trades(data, recv_ns)
        return self._read_other(data, recv_ns)

    def _read_top(self, data: bytes, recv_ns: Nanos) -> BookTop:
        push = _TOP(data)
        said = push.tick
        if said.seq is UNSET:
            base.check_strictly(data)
        symbol = self._tops.get(push.topic)
        if symbol is None or said.symbol != symbol:
            raise self._unasked(push.topic)
        venue_ns = base.event_time(push.time_ms, NANOS_PER_MS, recv_ns)
        return base.top(self.sources[symbol], said.bid, said.bid_size, said.ask, said.ask_size, venue_ns, recv_ns)

    def _read_trades(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        push = _DEALS(data)
        deals = push.tick.data
        if data.count(b'":') != TRADES_KEYS + sum(5 + (deal.trade_id is not UNSET) for deal in deals):
            base.check_strictly(data)
        source = self._trades.get(push.topic)
        if source is None:
            raise self._unasked(push.topic)
        base.event_time(push.time_ms, NANOS_PER_MS, recv_ns)
        since_ms = self._since_ms.get(push.topic, 0)
        return [_trade(source, deal, recv_ns) for deal in reversed(deals) if not 0 <= deal.time_ms < since_ms]

    def _read_other(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said = _OTHER(data)
        if said.ping:
            return [base.Send(_dump({"pong": said.ping}))]
        if said.status == "error" or said.code:
            raise VenueError(Refusal.VENUE_ERROR, f"{said.code} {said.problem}"[:120])
        if said.subbed:
            if said.subbed in self._trades:
                self._since_ms[said.subbed] = base.event_time(said.ts, NANOS_PER_MS, recv_ns) // NANOS_PER_MS
            return []
        if said.unsubbed:
            return []
        if said.ch in self._tops:  # written with spaces: the quick look did not know it
            return [self._read_top(data, recv_ns)]
        if said.ch in self._trades:
            return self._read_trades(data, recv_ns)
        raise self._unasked(said.ch)

    def _unasked(self, topic: str) -> VenueError:
        """Why a topic is refused: for its symbol, or else for its channel."""
        symbol = topic.partition(".")[2].partition(".")[0]
        known = symbol in self.sources and not topic.endswith(".bbo")
        return VenueError(Refusal.UNKNOWN_MESSAGE if known or not symbol else Refusal.UNKNOWN_SYMBOL, topic[:60])


class Mimic(base.Mimic):
    """HTX as the simulator plays it, without the compression: its frames are text."""

    venue = "htx"
    ping_ms = 5_000

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self.symbols = {feed.source: feed.symbol.lower() for feed in feeds}
        self._topics = {f"market.{symbol}.{kind}" for symbol in self.symbols.values() for kind in KINDS}
        self._count = 0

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        """A pong to a ping, an acknowledgement of a topic that exists, or what is wrong with the request."""
        now_ms = now_ns // NANOS_PER_MS
        try:
            call = msgspec.json.decode(data, type=_Call)
        except msgspec.DecodeError:
            return [_failed(now_ms, None, "invalid json string")]
        if call.pong:
            return []
        if call.ping:
            return [_dump({"pong": call.ping})]
        topic = call.sub or call.unsub
        if topic not in self._topics:
            return [_failed(now_ms, call.id, f"invalid topic {topic}")]
        return [_dump({"id": call.id, "status": "ok", "subbed" if call.sub else "unsubbed": topic, "ts": now_ms})]

    def speak(self, fact: BookTop | Trade) -> list[str]:
        """One frame of `bbo` or of `trade.detail`."""
        self._count += 1
        symbol, time_ms = self.symbols[fact.source], fact.venue_ns // NANOS_PER_MS
        if isinstance(fact, BookTop):
            bid = {"bid": _bare(fact.bid), "bidSize": _bare(fact.bid_size)}
            ask = {"ask": _bare(fact.ask), "askSize": _bare(fact.ask_size)}
            top = {"seqId": self._count, **ask, **bid, "quoteTime": time_ms, "symbol": symbol}
            return [_dump({"ch": f"market.{symbol}.bbo", "ts": time_ms, "tick": top})]
        deal = {
            "id": self._count,
            "ts": time_ms,
            "tradeId": self._count,
            "amount": _bare(fact.size),
            "price": _bare(fact.price),
            "direction": "sell" if fact.side is Side.SELL else "buy",
        }
        tick = {"id": self._count, "ts": time_ms, "data": [deal]}
        return [_dump({"ch": f"market.{symbol}.trade.detail", "ts": time_ms, "tick": tick})]

    def heartbeat(self, now_ns: Nanos) -> list[str]:
        """What the client must answer."""
        return [_dump({"ping": now_ns // NANOS_PER_MS})]


class _Call(Struct):
    sub: str = ""
    unsub: str = ""
    id: str | int | None = None
    ping: int = 0
    pong: int = 0


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads a recording made at `url`."""
    return Session(feeds, market)


def _inflated(data: bytes) -> bytes:
    """What a gzip stream holds. Raises VenueError, before it has grown beyond what a frame may be."""
    stream = zlib.decompressobj(GZIP_WINDOW_BITS)
    try:
        plain = stream.decompress(data, FRAME_BYTES_MAX + 1)
    except zlib.error as error:
        raise VenueError(Refusal.NOT_JSON, str(error)[:120]) from None
    if len(plain) > FRAME_BYTES_MAX:
        raise VenueError(Refusal.TOO_LARGE, f"above {FRAME_BYTES_MAX} bytes once inflated")
    if not stream.eof or stream.unused_data:
        raise VenueError(Refusal.NOT_JSON, "not one whole gzip stream")
    return plain


def _trade(source: int, said: _Deal, recv_ns: Nanos) -> Trade:
    side = SIDES.get(said.side)
    if side is None:
        raise VenueError(Refusal.WRONG_SHAPE, said.side[:40])
    venue_ns = base.event_time(said.time_ms, NANOS_PER_MS, recv_ns)
    return Trade(source, base.price(said.price), base.size(said.size), side, venue_ns, recv_ns)


def _bare(value: float) -> Raw:
    """A number as this venue writes it: without quotes."""
    return Raw(base.decimal_text(value).encode())


def _failed(now_ms: int, number: str | int | None, problem: str) -> str:
    return _dump({"id": number, "status": "error", "err-code": "bad-request", "err-msg": problem, "ts": now_ms})


def _dump(said: dict[str, Any]) -> str:
    return msgspec.json.encode(said).decode()
