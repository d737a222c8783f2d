"""What Gemini says on its public WebSocket API, and how it was said before.

Source: https://developer.gemini.com/websocket/streams, `/websocket/message-format` and the machine-readable contract
https://developer.gemini.com/specs/asyncapi/websocket.yaml (version 0.10.7), read 2026-11-21. Streams, without a login:
`{symbol}@bookTicker`, the whole top of the book at every change of it, and `{symbol}@trade`. Event times are
nanoseconds. A side of the book that is empty is an empty string. `m` says that the buyer made, so that the seller took.
The other streams do not serve: partial depth names no symbol and no time, differential depth is a delta.

The API before, wss://api.gemini.com/v2/marketdata, is archived (https://developer.gemini.com/websocket/archived/v2):
new integrations are told to use this one. `MarketDataV2` reads it for what was recorded. Its `l2` channel begins each
symbol with the whole book, told from a delta by the keys `trades` and `auction_events`; no sequence number, no event
time. A connection must start from empty books, or levels that went away in between stay for ever.

Markets: btcusd, ethusd, usdtusd, usdcusd. The streams say them in lower case, the archived API in upper case; a feed of
the streams may be configured in either.

Over REST the top is that of `GET /v1/book/{symbol}`; the times of its levels are not to be used, by its own word.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from oracle.core.book import Book
from oracle.core.types import NANOS_PER_MS, BookTop, Nanos, Observation, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base

URL = "wss://ws.gemini.com/"
V2_URL = "wss://api.gemini.com/v2/marketdata"
STREAMS = ("bookTicker", "trade")
TOP = base.RestTop(
    url="https://api.gemini.com/v1/book/{symbol}?limit_bids=1&limit_asks=1", lower=True,
    bid="bids.0.price", bid_size="bids.0.amount", ask="asks.0.price", ask_size="asks.0.amount",
)  # fmt: skip
V2_SNAPSHOT_BYTES_MAX = 1 << 23

Change: TypeAlias = tuple[Literal["buy", "sell"], float, float]


class BookTicker(Struct, gc=False):
    """The top of the book: update id, time, symbol, bid, its size, ask, its size."""

    u: int
    E: int
    s: str
    b: float
    B: float
    a: float
    A: float


class TradedBookTicker(BookTicker, gc=False):
    """The same, once the book has traded: with the last trade's price and size."""

    c: float
    C: float


class BookTickerText(Struct, gc=False):
    """The same as text, because an empty string is no number."""

    u: int
    E: int
    s: str
    b: str
    B: str
    a: str
    A: str


class TradeEvent(Struct, gc=False):
    """A trade: time, symbol, id, price, size, whether the buyer made."""

    E: int
    s: str
    t: int
    p: float
    q: float
    m: bool


class Problem(Struct):
    """Why a request was refused."""

    code: int = 0
    msg: str = ""


class Reply(Struct):
    """The answer to a request, or an event (`e`) of a stream that was not asked for."""

    id: int | str | None = None
    status: int = 0
    error: Problem | None = None
    e: str = ""
    lastUpdateId: int = 0


_tickers: base.Decoder[BookTicker] = base.Decoder(BookTicker, keys=(7,))
_traded_tickers: base.Decoder[TradedBookTicker] = base.Decoder(TradedBookTicker, keys=(9,))
_ticker_texts: base.Decoder[BookTickerText] = base.Decoder(BookTickerText)
_trades: base.Decoder[TradeEvent] = base.Decoder(TradeEvent, keys=(6,))
_replies: base.Decoder[Reply] = base.Decoder(Reply)


class Session(base.Session):
    """One connection to wss://ws.gemini.com."""

    venue = "gemini"
    ping_ms = 20_000
    words = ('"method":"subscribe"', '"method":"unsubscribe"')
    tops: ClassVar = {"spot": TOP}

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self.sources = {feed.symbol.lower(): feed.source for feed in feeds}
        if len(self.sources) != len(self.feeds):
            raise ValueError("a session reads a symbol once")

    def url(self) -> str:
        """The address to dial."""
        return URL

    def open(self) -> list[base.Send]:
        """Subscribe to every stream in one request."""
        params = [f"{symbol}@{stream}" for symbol in self.sources for stream in STREAMS]
        return [base.Send(_text({"id": "subscribe", "method": "subscribe", "params": params}))]

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The fact in one frame. Raises VenueError."""
        if b'"B":' in data:
            said = _ticker(data)
            source, venue_ns = self.source_of(said.s), base.event_time(said.E, 1, recv_ns)
            return [base.top(source, said.b, said.B, said.a, said.A, venue_ns, recv_ns)]
        if b'"m":' in data:
            return [self._trade(_trades(data), recv_ns)]
        _check_reply(_replies(data))
        return []

    def idle(self, now_ns: Nanos) -> list[base.Send]:
        """A ping, whose answer shows that a quiet line is alive."""
        return [base.Send(_text({"id": "ping", "method": "ping"}))]

    def _trade(self, said: TradeEvent, recv_ns: Nanos) -> Observation:
        source, venue_ns = self.source_of(said.s), base.event_time(said.E, 1, recv_ns)
        side = Side.SELL if said.m else Side.BUY
        return Trade(source, base.price(said.p), base.size(said.q), side, venue_ns, recv_ns)


def _ticker(data: bytes) -> BookTicker:
    try:
        return _traded_tickers(data) if b'"C":' in data else _tickers(data)
    except VenueError as error:
        if error.reason is not Refusal.WRONG_SHAPE or b'""' not in data:
            raise
    text = _ticker_texts(data)
    return BookTicker(text.u, text.E, text.s, _float(text.b), _float(text.B), _float(text.a), _float(text.A))


def _float(text: str) -> float:
    try:
        return msgspec.convert(text, float, strict=False) if text else 0.0
    except msgspec.ValidationError:
        raise VenueError(Refusal.WRONG_SHAPE, text[:40]) from None


def _check_reply(reply: Reply) -> None:
    if reply.error is not None or (reply.status and reply.status != 200):
        problem = reply.error or Problem()
        raise VenueError(Refusal.VENUE_ERROR, f"{reply.status} {problem.code} {problem.msg}"[:120])
    if not reply.status:
        raise VenueError(Refusal.UNKNOWN_MESSAGE, reply.e[:40] or "neither a reply nor a stream that was asked for")


class L2Updates(Struct, gc=False):
    """Changed levels; the whole book when it comes with `trades` or `auction_events`."""

    type: Literal["l2_updates"]
    symbol: str
    changes: list[Change]
    trades: Raw | UnsetType = UNSET
    auction_events: Raw | UnsetType = UNSET


class V2Trade(Struct, gc=False):
    """A trade. Side is the taker's; a block trade was agreed away from the book."""

    type: Literal["trade"]
    symbol: str
    event_id: int
    timestamp: int
    price: float
    quantity: float
    side: Literal["buy", "sell", "auction", "block"]


class V2Other(Struct, gc=False):
    """What else the archived API says."""

    type: str = ""
    result: str = ""
    reason: str = ""


V2_BENIGN = frozenset({"heartbeat", "auction_open", "auction_indicative", "auction_result"})
V2_SIDES = {"buy": Side.BUY, "sell": Side.SELL, "auction": Side.UNKNOWN}

_l2_updates: base.Decoder[L2Updates] = base.Decoder(L2Updates, keys=(3,), bytes_max=V2_SNAPSHOT_BYTES_MAX)
_v2_trades: base.Decoder[V2Trade] = base.Decoder(V2Trade, keys=(7,))
_v2_others: base.Decoder[V2Other] = base.Decoder(V2Other, bytes_max=V2_SNAPSHOT_BYTES_MAX)


class MarketDataV2(base.Session):
    """One connection to the archived wss://api.gemini.com/v2/marketdata, and the books it keeps."""

    venue = "gemini"
    frame_bytes_max = V2_SNAPSHOT_BYTES_MAX
    keeps_books = True

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._books: dict[str, Book[float]] = {}

    def url(self) -> str:
        """The address that was dialled."""
        return V2_URL

    def open(self) -> list[base.Send]:
        """Subscribe to the `l2` channel of every symbol; the books of an earlier connection are forgotten."""
        self._books.clear()
        wanted = [{"name": "l2", "symbols": [feed.symbol for feed in self.feeds]}]
        return [base.Send(_text({"type": "subscribe", "subscriptions": wanted}))]

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The facts in one frame. Raises VenueError."""
        try:
            if b'"l2_updates"' in data:
                return [self._update(_l2_updates(data), recv_ns)]
            if b'"trade"' in data:
                return self._trade(_v2_trades(data), recv_ns)
            other = _v2_others(data)
        except VenueError as error:
            if error.reason not in (Refusal.UNKNOWN_SYMBOL, Refusal.NO_SNAPSHOT):
                self._books.clear()  # without sequence numbers, what was refused may have been any book's delta
            raise
        if other.result == "error":
            raise VenueError(Refusal.VENUE_ERROR, other.reason[:120])
        if other.type not in V2_BENIGN:
            raise VenueError(Refusal.UNKNOWN_MESSAGE, other.type[:40])
        return []

    def _update(self, said: L2Updates, recv_ns: Nanos) -> Observation:
        source = self.source_of(said.symbol)
        if said.trades is not UNSET or said.auction_events is not UNSET:
            self._books[said.symbol] = Book()
        book = self._books.get(said.symbol)
        if book is None:
            raise VenueError(Refusal.NO_SNAPSHOT, said.symbol)
        for side, price, size in said.changes:
            levels = book.bids if side == "buy" else book.asks
            if base.number(size):
                levels.put(base.price(price), size)
            else:
                levels.remove(base.price(price))
        bid, bid_size = book.bids.best() or (0.0, 0.0)
        ask, ask_size = book.asks.best() or (0.0, 0.0)
        return BookTop(source, bid, bid_size, ask, ask_size, 0, recv_ns)

    def _trade(self, said: V2Trade, recv_ns: Nanos) -> list[base.Event]:
        source, venue_ns = self.source_of(said.symbol), base.event_time(said.timestamp, NANOS_PER_MS, recv_ns)
        price, size = base.price(said.price), base.size(said.quantity)
        if said.side == "block":
            return []
        return [Trade(source, price, size, V2_SIDES[said.side], venue_ns, recv_ns)]


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads what was recorded at `url`."""
    return (MarketDataV2 if "/v2/marketdata" in url else Session)(feeds, market)


class Mimic(base.Mimic):
    """Gemini's current API to one client. It sends nothing by itself when the market is quiet."""

    venue = "gemini"
    time_unit_ns = 1

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._streams = {f"{feed.symbol.lower()}@{stream}" for feed in feeds for stream in STREAMS}
        self._ids = 0

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        """Answer a request: 200, or 400 with the reason."""
        try:
            request = json.loads(data)
        except ValueError:
            request = None
        if not isinstance(request, dict):
            return [_refused(None, -1000, "Malformed request")]
        number, method = request.get("id"), request.get("method")
        if method == "ping":
            return [_text({"id": number, "status": 200, "result": {}})]
        if method not in ("subscribe", "unsubscribe"):
            return [_refused(number, -1002, "Unknown method")]
        unknown = [stream for stream in request.get("params", []) if stream not in self._streams]
        if unknown:
            return [_refused(number, -1013, f"Unknown stream {unknown[0]}")]
        return [_text({"id": number, "status": 200})]

    def speak(self, fact: BookTop | Trade) -> list[str]:
        """A book ticker, or a trade."""
        self._ids += 1
        symbol = self.symbols[fact.source].lower()
        if isinstance(fact, Trade):
            price, size = base.decimal_text(fact.price), base.decimal_text(fact.size)
            made = {"p": price, "q": size, "m": fact.side is Side.SELL}
            return [_text({"E": fact.venue_ns, "s": symbol, "t": self._ids} | made)]
        bid = {"b": _or_empty(fact.bid), "B": _or_empty(fact.bid_size)}
        ask = {"a": _or_empty(fact.ask), "A": _or_empty(fact.ask_size)}
        return [_text({"u": self._ids, "E": fact.venue_ns, "s": symbol} | bid | ask)]


def _or_empty(value: float) -> str:
    return base.decimal_text(value) if value else ""


def _refused(number: Any, code: int, reason: str) -> str:
    return _text({"id": number, "status": 400, "error": {"code": code, "msg": reason}})


def _text(message: dict[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"))
