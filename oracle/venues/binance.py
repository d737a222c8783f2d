"""What Binance says: tops of book, trades and depth, on its spot, USDⓈ-M and COIN-M public streams.

Sources, read 2026-11-21: developers.binance.com/docs/binance-spot-api-docs/web-socket-streams, and for the futures
developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams with its "Important WebSocket
Change Notice": since 2026-04-23 the high-frequency streams (bookTicker, trade, depth) live under /public.

The streams are named in the address, so there is nothing to subscribe. Times are milliseconds. The spot bookTicker
states no time; the futures' states the matching engine's (`T`), which is the one taken everywhere. A futures trade
that is not of type MARKET (insurance fund, ADL, a blank) is no price that anyone quoted, and is passed over. Sizes of
COIN-M are contracts. Over REST the top is that of `ticker/bookTicker`; other hosts are documented for spot only.

Depth is read where a channel for it is given, and on the futures even unasked, because recordings of a perpetual carry
it. The futures' `depth5`, `depth10` and `depth20` are whole books. `depth` is a delta stream that needs a snapshot over
REST: until that is there deltas wait, and from then on the update numbers must join without a gap.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType, field
from msgspec.structs import replace

from oracle.core.book import Book, Levels
from oracle.core.types import NANOS_PER_MS, BookTop, Depth, Nanos, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base

T = TypeVar("T")
DEPTH_LEVELS_MAX = 100  # of a side, in a Depth
KEPT_LEVELS_MAX = 5_000  # of a side, in the book behind it
WAITING_DELTAS_MAX = 4_096  # deltas that may wait for the snapshot: minutes of them
_CHANNELS = ("bookTicker", "trade")
_DELTAS = ("depth", "depth@0ms", "depth@100ms", "depth@500ms")
_SPOT_DEPTHS = (b'@depth"', b"@depth@")
_FUTURES_DEPTHS = (*_SPOT_DEPTHS, b"@depth5", b"@depth10", b"@depth20")
_WHOLE_BOOK = re.compile(r"depth(?:5|10|20)(?:@[0-9]+ms)?")
_READABLE = re.compile(r"bookTicker|trade|aggTrade|depth(?:5|10|20)?(?:@[0-9]+ms)?")

_ADDRESSES = {  # of the streams, of what is asked over REST
    "spot": ("wss://stream.binance.com:9443/stream", "https://api.binance.com/api/v3/"),
    "usdm": ("wss://fstream.binance.com/public/stream", "https://fapi.binance.com/fapi/v1/"),
    "coinm": ("wss://dstream.binance.com/stream", "https://dapi.binance.com/dapi/v1/"),
}
_BEST = base.RestTop(
    url="ticker/bookTicker?symbol={symbol}", symbol="symbol",
    bid="bidPrice", bid_size="bidQty", ask="askPrice", ask_size="askQty",
)  # fmt: skip
_ROW_OF_BEST = {name: "0." + getattr(_BEST, name) for name in ("symbol", "bid", "bid_size", "ask", "ask_size")}
_REST = {
    "spot": _BEST, "usdm": replace(_BEST, time="time"), "coinm": replace(_BEST, **_ROW_OF_BEST, time="0.time"),
}  # fmt: skip


class _Frame(Struct, Generic[T], gc=False):
    stream: str
    data: T


class _Top(Struct, gc=False):
    u: int
    symbol: str = field(name="s")
    bid: float = field(name="b")
    bid_size: float = field(name="B")
    ask: float = field(name="a")
    ask_size: float = field(name="A")


class _TimedTop(_Top, gc=False):
    e: str
    sent_ms: int = field(name="E")
    time_ms: int = field(name="T")


class _Deal(Struct, gc=False):
    e: str
    sent_ms: int = field(name="E")
    symbol: str = field(name="s")
    price: float = field(name="p")
    size: float = field(name="q")
    time_ms: int = field(name="T")
    buyer_is_maker: bool = field(name="m")


class _SingleDeal(_Deal, gc=False):
    t: int
    kind: str = field(name="X", default="")  # the futures' only
    ignored: bool | UnsetType = field(name="M", default=UNSET)  # spot's only


class _Delta(Struct):
    e: str
    sent_ms: int = field(name="E")
    symbol: str = field(name="s")
    first: int = field(name="U")
    last: int = field(name="u")
    bids: list[tuple[float, float]] = field(name="b")
    asks: list[tuple[float, float]] = field(name="a")
    time_ms: int = field(name="T", default=0)
    previous: int = field(name="pu", default=-1)


class _Snapshot(Struct):
    last: int = field(name="lastUpdateId")
    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]
    time_ms: int = field(name="T", default=0)
    symbol: str = ""


_SPOT_TOP: base.Decoder[_Frame[_Top]] = base.Decoder(_Frame[_Top], (8,))
_FUTURES_TOP: base.Decoder[_Frame[_TimedTop]] = base.Decoder(_Frame[_TimedTop], (11,))
_TRADE: base.Decoder[_Frame[_SingleDeal]] = base.Decoder(_Frame[_SingleDeal], (11,))
_AGGREGATE: base.Decoder[_Frame[_Deal]] = base.Decoder(_Frame[_Deal])
_SPOT_DELTA: base.Decoder[_Frame[_Delta]] = base.Decoder(_Frame[_Delta], (9,))
_FUTURES_DELTA: base.Decoder[_Frame[_Delta]] = base.Decoder(_Frame[_Delta], (11,))
_SNAPSHOT: base.Decoder[_Snapshot] = base.Decoder(_Snapshot, (3,))
_ANY: base.Decoder[dict[str, Any]] = base.Decoder(dict[str, Any])


class Session(base.Session):
    """A combined stream. `market` is spot, usdm or coinm; `channels` are stream names without the symbol."""

    venue = "binance"
    symbols_max = 100
    lifetime_ms = 24 * 3600 * 1000
    dials_per_minute_max = 60
    tops: ClassVar = {market: replace(top, url=_ADDRESSES[market][1] + top.url) for market, top in _REST.items()}

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot", channels: Sequence[str] = _CHANNELS) -> None:
        super().__init__(feeds, market)
        self._channels = tuple(channels)
        self._futures = market != "spot"
        self.endpoints = () if self._futures else ("wss://stream.binance.com:443", "wss://data-stream.binance.vision")
        self._streams_url, self._rest_url = _ADDRESSES[market]
        self._delta = _FUTURES_DELTA if self._futures else _SPOT_DELTA
        read = dict.fromkeys((*channels, *(_DELTAS if self._futures else ())))
        self._streams = {_stream(f.symbol, channel): f for f in feeds for channel in read}
        self._keeps_depth = any(c.startswith("depth") for c in read)
        self._books = {f.symbol: _Keeper(self._futures) for f in feeds}

    def url(self) -> str:
        """The address, which names every stream."""
        names = (_stream(f.symbol, channel) for f in self.feeds for channel in self._channels)
        return f"{self._streams_url}?streams={'/'.join(names)}"

    def open(self) -> list[base.Send]:
        """Nothing: the address has said it."""
        return []

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The facts in one frame. Raises VenueError."""
        at = data.find(b"@")
        if data.startswith(b'@bookTicker"', at):
            return [self._read_top(data, recv_ns)]
        if data.startswith(b'@trade"', at):
            return self._read_trade(data, recv_ns)
        if data.startswith(b'@aggTrade"', at):
            frame = _AGGREGATE(data)
            return [self._deal(frame.stream, frame.data, recv_ns)]
        if data.startswith(_FUTURES_DEPTHS if self._futures else _SPOT_DEPTHS, at):
            return self._read_delta(data, recv_ns)
        return self._read_other(data, recv_ns)

    def answer(self, request: base.Request, body: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The book in a depth snapshot, brought up to now by the deltas that waited. Raises VenueError."""
        if request.symbol not in self._books or not self._keeps_depth:
            raise VenueError(Refusal.UNKNOWN_SYMBOL, request.symbol[:40])
        return self._restart(request.symbol, _SNAPSHOT(body), recv_ns)

    def _read_top(self, data: bytes, recv_ns: Nanos) -> BookTop:
        frame: _Frame[_Top] | _Frame[_TimedTop] = _FUTURES_TOP(data) if self._futures else _SPOT_TOP(data)
        said = frame.data
        source = self._feed(frame.stream, said.symbol).source
        venue_ns = base.event_time(said.time_ms, NANOS_PER_MS, recv_ns) if isinstance(said, _TimedTop) else 0
        return base.top(source, said.bid, said.bid_size, said.ask, said.ask_size, venue_ns, recv_ns)

    def _read_trade(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        frame = _TRADE(data)
        said = frame.data
        if not said.kind and said.ignored is UNSET:  # the count of keys proves nothing where both are optional
            base.check_strictly(data)
        if said.kind not in ("", "MARKET"):
            self._feed(frame.stream, said.symbol)
            return []
        return [self._deal(frame.stream, said, recv_ns)]

    def _deal(self, stream: str, said: _Deal, recv_ns: Nanos) -> Trade:
        source = self._feed(stream, said.symbol).source
        venue_ns = base.event_time(said.time_ms, NANOS_PER_MS, recv_ns)
        side = Side.SELL if said.buyer_is_maker else Side.BUY
        return Trade(source, base.price(said.price), base.size(said.size), side, venue_ns, recv_ns)

    def _read_delta(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        frame = self._delta(data)
        said = frame.data
        if self._futures and (not said.time_ms or said.previous < 0):
            base.check_strictly(data)
        feed = self._feed(frame.stream, said.symbol)
        venue_ns = base.event_time(said.time_ms or said.sent_ms, NANOS_PER_MS, recv_ns)
        _check(said.bids, said.asks)
        if _WHOLE_BOOK.fullmatch(frame.stream.partition("@")[2]):
            return [Depth(feed.source, tuple(said.bids), tuple(said.asks), venue_ns, recv_ns)]
        keeper = self._books[feed.symbol]
        if not keeper.asked:
            keeper.asked = True
            keeper.take(said)
            return [base.Request(f"{self._rest_url}depth?symbol={feed.symbol}&limit=1000", feed.symbol)]
        return [keeper.depth(feed.source, venue_ns, recv_ns)] if keeper.take(said) else []

    def _read_other(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said = _ANY(data)
        stream, inner = said.get("stream"), said.get("data", said)
        if isinstance(inner, dict) and inner.get("e") == "serverShutdown":
            return []
        if isinstance(stream, str):
            self._feed(stream, None)
            raise VenueError(Refusal.UNKNOWN_MESSAGE, stream[:60])
        if "lastUpdateId" in said and self._keeps_depth:
            return self._read_snapshot(data, recv_ns)
        if "error" in said or "code" in said:
            raise VenueError(Refusal.VENUE_ERROR, str(said.get("error", said.get("msg")))[:120])
        if "result" in said and "id" in said:
            return []
        raise VenueError(Refusal.UNKNOWN_MESSAGE, ",".join(said)[:80])

    def _read_snapshot(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """A REST answer that stands among the frames: a recording's. It names its market, or there is only one."""
        snapshot = _SNAPSHOT(data)
        symbol = snapshot.symbol or (self.feeds[0].symbol if len(self.feeds) == 1 else "")
        self.source_of(symbol)
        return self._restart(symbol, snapshot, recv_ns)

    def _restart(self, symbol: str, snapshot: _Snapshot, recv_ns: Nanos) -> list[base.Event]:
        venue_ns = base.event_time(snapshot.time_ms, NANOS_PER_MS, recv_ns) if snapshot.time_ms else 0
        _check(snapshot.bids, snapshot.asks)
        keeper = self._books[symbol]
        latest_ms = keeper.restart(snapshot)
        return [keeper.depth(self.sources[symbol], max(venue_ns, latest_ms * NANOS_PER_MS), recv_ns)]

    def _feed(self, stream: str, symbol: str | None) -> base.Feed:
        feed = self._streams.get(stream)
        if feed is None:
            known = any(_stream(f.symbol, "") == stream.partition("@")[0] + "@" for f in self.feeds)
            raise VenueError(Refusal.UNKNOWN_MESSAGE if known else Refusal.UNKNOWN_SYMBOL, stream[:60])
        if symbol is not None and symbol != feed.symbol:
            raise VenueError(Refusal.UNKNOWN_SYMBOL, symbol[:40])
        return feed


class _Keeper:
    """One market's book, kept by the venue's update numbers.

    Spot: a delta begins where the last one ended, plus one. Futures: a delta names the end of the one before it.
    """

    def __init__(self, futures: bool) -> None:
        self.asked = False
        self._futures = futures
        self._book: Book[float] = Book()
        self._last = -1
        self._joined = False
        self._broken = False
        self._waiting: list[_Delta] = []

    def restart(self, snapshot: _Snapshot) -> int:
        """Take a snapshot and every delta that waited for it; the time in ms of the last one applied, or 0.

        Raises VenueError SEQUENCE_GAP when they do not join.
        """
        self._book.bids.replace(snapshot.bids)
        self._book.asks.replace(snapshot.asks)
        self.asked, self._last, self._joined, self._broken = True, snapshot.last, False, False
        waiting, self._waiting = self._waiting, []
        latest_ms = 0
        for delta in waiting:
            if self.take(delta):
                latest_ms = delta.time_ms or delta.sent_ms
        return latest_ms

    def take(self, delta: _Delta) -> bool:
        """Apply a delta. False: it waits, or the snapshot has it already. Raises VenueError."""
        if self._last < 0:
            self._wait(delta)
            return False
        if not self._joined and delta.last < self._last + (0 if self._futures else 1):
            return False
        if not self._joins(delta):
            previous, self._last, self._broken = self._last, -1, True
            raise VenueError(Refusal.SEQUENCE_GAP, f"{delta.first}..{delta.last} after {previous}")
        self._last, self._joined = delta.last, True
        for side, levels in ((self._book.bids, delta.bids), (self._book.asks, delta.asks)):
            _apply(side, levels)
        return True

    def depth(self, source: int, venue_ns: Nanos, recv_ns: Nanos) -> Depth:
        """The best of the book."""
        bids, asks = self._book.bids.first(DEPTH_LEVELS_MAX), self._book.asks.first(DEPTH_LEVELS_MAX)
        return Depth(source, tuple(bids), tuple(asks), venue_ns, recv_ns)

    def _wait(self, delta: _Delta) -> None:
        if self._broken or len(self._waiting) >= WAITING_DELTAS_MAX:
            self._waiting.clear()
            self._broken = True
            raise VenueError(Refusal.NO_SNAPSHOT, delta.symbol[:40])
        self._waiting.append(delta)

    def _joins(self, delta: _Delta) -> bool:
        if self._joined:
            return delta.previous == self._last if self._futures else delta.first == self._last + 1
        reach = self._last if self._futures else self._last + 1
        return delta.first <= reach <= delta.last or delta.previous == self._last


class Mimic(base.Mimic):
    """Binance as the simulator plays it."""

    venue = "binance"

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._futures = market != "spot"
        self._update = 0
        vars(self)["states_book_time"] = self._futures  # a class constant elsewhere: here it is the market's

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        """The acknowledgement of a live subscription, or what is wrong with the request."""
        try:
            asked = msgspec.json.decode(data, type=_Call)
        except msgspec.DecodeError as error:
            return [_dump({"error": {"code": 3, "msg": f"Invalid JSON: {error}"}})]
        if asked.method not in ("SUBSCRIBE", "UNSUBSCRIBE"):
            return [_dump({"error": {"code": 2, "msg": f"unknown variant {asked.method}"}, "id": asked.id})]
        return [_dump({"result": None, "id": asked.id})]

    def speak(self, fact: BookTop | Trade) -> list[str]:
        """One combined-stream frame."""
        self._update += 1
        symbol = self.symbols[fact.source]
        if isinstance(fact, Trade):
            return [_dump({"stream": _stream(symbol, "trade"), "data": self._trade(symbol, fact)})]
        return [_dump({"stream": _stream(symbol, "bookTicker"), "data": self._top(symbol, fact)})]

    def _top(self, symbol: str, fact: BookTop) -> dict[str, object]:
        said: dict[str, object] = {
            "u": self._update, "s": symbol, "b": base.decimal_text(fact.bid), "B": base.decimal_text(fact.bid_size),
            "a": base.decimal_text(fact.ask), "A": base.decimal_text(fact.ask_size),
        }  # fmt: skip
        time_ms = fact.venue_ns // NANOS_PER_MS
        return {"e": "bookTicker", **said, "T": time_ms, "E": time_ms} if self._futures else said

    def _trade(self, symbol: str, fact: Trade) -> dict[str, object]:
        time_ms = fact.venue_ns // NANOS_PER_MS
        said: dict[str, object] = {
            "e": "trade", "E": time_ms, "T": time_ms, "s": symbol, "t": self._update,
            "p": base.decimal_text(fact.price), "q": base.decimal_text(fact.size), "m": fact.side == Side.SELL,
        }  # fmt: skip
        return {**said, "X": "MARKET"} if self._futures else {**said, "M": True}


class _Call(Struct):
    method: str
    id: int | str | None = None


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads a recording made at `url`: its market, and every channel the address names."""
    market = "usdm" if "//fstream." in url else "coinm" if "//dstream." in url else market
    names = url.partition("streams=")[2].partition("&")[0].split("/")
    channels = dict.fromkeys(name.partition("@")[2] for name in names)
    readable = [channel for channel in channels if _READABLE.fullmatch(channel)]
    return Session(feeds, market, readable or _CHANNELS)


def _stream(symbol: str, channel: str) -> str:
    return f"{symbol.lower()}@{channel}"


def _check(*sides: list[tuple[float, float]]) -> None:
    for side in sides:
        for price, size in side:
            base.price(price)
            base.number(size)


def _apply(side: Levels[float], levels: list[tuple[float, float]]) -> None:
    for price, size in levels:
        if size:
            side.put(price, size)
        else:
            side.remove(price)
    side.keep(KEPT_LEVELS_MAX)


def _dump(said: dict[str, object]) -> str:
    return msgspec.json.encode(said).decode()
