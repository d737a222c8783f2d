"""Kraken's first WebSocket dialect, wss://ws.kraken.com: positional arrays, quoted decimals, `XBT/USD`.

Source: https://docs.kraken.com/api/docs/websocket-v1/spread (and ticker, trade, book, systemstatus) and
https://docs.kraken.com/exchange/guides/websockets/book-checksum-v1, read 2026-11-21. The venue has frozen it in favour
of v2; it is kept to read what was recorded in it, and whatever channel a recording asked for: `ticker`, `spread`,
`trade`, `book-N`. A connection of today asks for `spread` and `trade`.

Theory of the book. A frame holds levels as text, because the checksum is a CRC32 over the digits of the ten best asks
and bids. The book is cut to the subscribed depth after each frame: the venue never says that a level fell out. Levels
are applied in the order given; their times are not an order. A frame that does not add up ends the book until the next
snapshot, and so does one that is refused, since what it would have changed is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias, TypeVar
from zlib import crc32

import msgspec
from msgspec import Raw, Struct

from oracle.core.book import Book, Levels
from oracle.core.types import NANOS_PER_S, BookTop, Nanos, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base

URL = "wss://ws.kraken.com"
DEPTHS = {f"book-{depth}": depth for depth in (10, 25, 100, 500, 1000)}
CHECKED_LEVELS = 10
MICROSECOND_NS = 1_000
SIDES = {"b": Side.BUY, "s": Side.SELL}
MATCHING = "online"  # in every other state of the system no orders match, and a book is no price
BENIGN_EVENTS = frozenset({"heartbeat", "pong"})

T = TypeVar("T")
Level: TypeAlias = tuple[str, float]  # its digits as the checksum takes them, its size
Change: TypeAlias = tuple[float, Level]


class _Event(Struct):
    event: str
    status: str = ""
    errorMessage: str = ""


class _Ticker(Struct):
    a: list[Any]
    b: list[Any]


class _Sides(Struct):
    """One of the maps of a book frame: a snapshot's `as` and `bs`, or a delta's `a`, `b` and checksum."""

    snapshot_asks: list[list[str]] | None = msgspec.field(default=None, name="as")
    snapshot_bids: list[list[str]] | None = msgspec.field(default=None, name="bs")
    asks: list[list[str]] = msgspec.field(default_factory=list, name="a")
    bids: list[list[str]] = msgspec.field(default_factory=list, name="b")
    checksum: str = msgspec.field(default="", name="c")


_event: base.Decoder[_Event] = base.Decoder(_Event)
_frame: base.Decoder[list[Raw]] = base.Decoder(list[Raw], keys=(0,))
_text = msgspec.json.Decoder(str)
_ticker = msgspec.json.Decoder(_Ticker)
_spread = msgspec.json.Decoder(list[str])
_trades = msgspec.json.Decoder(list[list[str]])
_sides = msgspec.json.Decoder(_Sides | None)


class Session(base.Session):
    """Reads the first dialect: a top from every spread, ticker and book frame, a trade from every trade."""

    venue = "kraken_v1"
    ping_ms = 30_000
    dials_per_minute_max = 15  # about 150 in ten minutes for one address
    words = ('"event":"subscribe"', '"event":"unsubscribe"')

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._books: dict[str, Book[Level]] = {}
        self._newest: dict[str, Nanos] = {}  # the newest time any level of a book has been given

    def url(self) -> str:
        """The address to dial."""
        return URL

    def open(self) -> list[base.Send]:
        """Ask for the spread and the trades of every feed; a new connection has no books."""
        self._books.clear()
        return [
            base.Send(_json({"event": "subscribe", "pair": list(self.sources), "subscription": {"name": name}}))
            for name in ("spread", "trade")
        ]

    def idle(self, now_ns: Nanos) -> list[base.Send]:
        """A ping, which the venue answers."""
        return [base.Send(_json({"event": "ping"}))]

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The facts in one frame. Raises VenueError."""
        if data[:1] == b"{":
            return _heard(_event(data))
        parts = _frame(data)
        if len(parts) < 4:
            raise VenueError(Refusal.WRONG_SHAPE, f"{len(parts)} parts")
        channel, symbol = _typed(_text, parts[-2]), _typed(_text, parts[-1])
        source = self.source_of(symbol)
        if channel == "spread":
            return [_read_spread(source, _typed(_spread, parts[1]), recv_ns)]
        if channel == "trade":
            return [_read_trade(source, fields, recv_ns) for fields in _typed(_trades, parts[1])]
        if channel == "ticker":
            return [_read_ticker(source, _typed(_ticker, parts[1]), recv_ns)]
        if channel in DEPTHS:
            return [self._read_book(symbol, source, parts[1:-2], DEPTHS[channel], recv_ns)]
        raise VenueError(Refusal.UNKNOWN_MESSAGE, channel[:40])

    def _read_book(self, symbol: str, source: int, parts: Sequence[Raw], depth: int, recv_ns: Nanos) -> BookTop:
        try:
            maps = [sides for part in parts if (sides := _typed(_sides, part)) is not None]
            book = self._applied(symbol, maps, depth)
            venue_ns = base.event_time(self._newest[symbol], 1, recv_ns)
            bid, ask = book.bids.best(), book.asks.best()
            return base.top(source, *_priced(bid), *_priced(ask), venue_ns, recv_ns)
        except VenueError:
            self._books.pop(symbol, None)
            raise

    def _applied(self, symbol: str, maps: Sequence[_Sides], depth: int) -> Book[Level]:
        book = self._books.get(symbol)
        if any(sides.snapshot_asks is not None or sides.snapshot_bids is not None for sides in maps):
            book = self._books[symbol] = Book()
            self._newest[symbol] = 0
        elif book is None:
            raise VenueError(Refusal.NO_SNAPSHOT, symbol)
        checksum, newest = "", self._newest[symbol]
        for sides in maps:
            newest = max(newest, _put(book.asks, sides.snapshot_asks or sides.asks))
            newest = max(newest, _put(book.bids, sides.snapshot_bids or sides.bids))
            checksum = sides.checksum or checksum
        book.asks.keep(depth)
        book.bids.keep(depth)
        self._newest[symbol] = newest
        if checksum and checksum != str(checksum_of(book)):
            raise VenueError(Refusal.CHECKSUM, f"{symbol} {checksum[:20]}")
        return book


class Mimic(base.Mimic):
    """Speaks the first dialect: tops as `spread`, trades as `trade`."""

    venue = "kraken_v1"
    time_unit_ns = MICROSECOND_NS
    ping_ms = 1_000

    def greet(self, path: str, now_ns: Nanos) -> list[str]:
        """The state of the system."""
        return [_json({"connectionID": now_ns, "event": "systemStatus", "status": MATCHING, "version": "1.9.6"})]

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        """Acknowledges subscriptions pair by pair, refuses what it does not have, answers pings."""
        message = msgspec.json.decode(data, type=dict[str, Any])
        if message.get("event") == "ping":
            return [_json({"event": "pong"} | {k: v for k, v in message.items() if k == "reqid"})]
        if message.get("event") not in ("subscribe", "unsubscribe"):
            return [_json({"errorMessage": "Unsupported event", "event": "error"})]
        return [self._status(message, pair) for pair in message["pair"]]

    def speak(self, fact: BookTop | Trade) -> list[str]:
        """One frame: the dialect has no deltas but in its book."""
        symbol, at = self.symbols[fact.source], _seconds_text(fact.venue_ns)
        if isinstance(fact, Trade):
            side = "s" if fact.side is Side.SELL else "b"
            fields = [base.decimal_text(fact.price), base.decimal_text(fact.size), at, side, "m", ""]
            return [_json([self._channel_id(symbol), [fields], "trade", symbol])]
        bid, ask, bid_size, ask_size = map(base.decimal_text, (fact.bid, fact.ask, fact.bid_size, fact.ask_size))
        return [_json([self._channel_id(symbol), [bid, ask, at, bid_size, ask_size], "spread", symbol])]

    def heartbeat(self, now_ns: Nanos) -> list[str]:
        """What comes after a second of silence."""
        return [_json({"event": "heartbeat"})]

    def _status(self, message: dict[str, Any], pair: str) -> str:
        status = {"event": "subscriptionStatus", "pair": pair, "subscription": message["subscription"]}
        if pair not in self.symbols.values():
            return _json(status | {"errorMessage": f"Currency pair not supported {pair}", "status": "error"})
        named = {"channelID": self._channel_id(pair), "channelName": message["subscription"]["name"]}
        return _json(named | status | {"status": message["event"] + "d"})

    def _channel_id(self, symbol: str) -> int:
        return 100 + list(self.symbols.values()).index(symbol)


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads what was recorded from `url`."""
    return Session(feeds, market)


def checksum_of(book: Book[Level]) -> int:
    """CRC32 over the digits of the ten best asks, then the ten best bids."""
    best = book.asks.first(CHECKED_LEVELS) + book.bids.first(CHECKED_LEVELS)
    return crc32("".join(digits for _, (digits, _) in best).encode())


def _heard(message: _Event) -> list[base.Event]:
    if message.errorMessage or message.status == "error" or message.event == "error":
        raise VenueError(Refusal.VENUE_ERROR, message.errorMessage[:120])
    if message.event == "systemStatus" and message.status != MATCHING:
        raise VenueError(Refusal.VENUE_ERROR, f"the system is {message.status[:40]}")
    if message.event in BENIGN_EVENTS or message.event in ("systemStatus", "subscriptionStatus"):
        return []
    raise VenueError(Refusal.UNKNOWN_MESSAGE, message.event[:40])


def _read_spread(source: int, fields: list[str], recv_ns: Nanos) -> BookTop:
    if len(fields) < 5:
        raise VenueError(Refusal.WRONG_SHAPE, f"a spread of {len(fields)} fields")
    bid, ask, at, bid_size, ask_size = fields[:5]
    top = _number(bid), _number(bid_size), _number(ask), _number(ask_size)
    # A market that has never been quoted is stated with zeros, its time among them.
    venue_ns = base.event_time(nanos, 1, recv_ns) if (nanos := _nanos(at)) else 0
    return base.top(source, *top, venue_ns, recv_ns)


def _read_ticker(source: int, ticker: _Ticker, recv_ns: Nanos) -> BookTop:
    if len(ticker.a) < 3 or len(ticker.b) < 3:
        raise VenueError(Refusal.WRONG_SHAPE, "a ticker's side of fewer than three fields")
    (bid, _, bid_size), (ask, _, ask_size) = ticker.b[:3], ticker.a[:3]
    return base.top(source, _number(bid), _number(bid_size), _number(ask), _number(ask_size), 0, recv_ns)


def _read_trade(source: int, fields: list[str], recv_ns: Nanos) -> Trade:
    if len(fields) < 4 or fields[3] not in SIDES:
        raise VenueError(Refusal.WRONG_SHAPE, "a trade without its side")
    price, size = base.price(_number(fields[0])), base.size(_number(fields[1]))
    venue_ns = base.event_time(_nanos(fields[2]), 1, recv_ns)
    return Trade(source, price, size, SIDES[fields[3]], venue_ns, recv_ns)


def _put(levels: Levels[Level], given: Iterable[list[str]]) -> Nanos:
    """Apply levels in the order given; the newest time among them."""
    newest = 0
    for fields in given:
        if len(fields) < 3:
            raise VenueError(Refusal.WRONG_SHAPE, f"a level of {len(fields)} fields")
        price, size = base.price(_number(fields[0])), base.number(_number(fields[1]))
        newest = max(newest, _nanos(fields[2]))
        if size == 0.0:
            levels.remove(price)
        else:
            levels.put(price, (_digits(fields[0]) + _digits(fields[1]), size))
    return newest


def _priced(best: Change | None) -> tuple[float, float]:
    return (0.0, 0.0) if best is None else (best[0], best[1][1])


def _digits(text: str) -> str:
    return text.replace(".", "").lstrip("0")


def _number(text: object) -> float:
    """A decimal the venue wrote, in quotes."""
    if not isinstance(text, str):
        raise VenueError(Refusal.WRONG_SHAPE, "a number that is not quoted")
    try:
        return msgspec.convert(text, float, strict=False)
    except msgspec.ValidationError:
        raise VenueError(Refusal.WRONG_SHAPE, text[:40]) from None


def _nanos(text: str) -> Nanos:
    """Decimal seconds since 1970 as nanoseconds, without a detour through a double."""
    seconds, _, fraction = text.partition(".")
    digits = seconds + fraction
    if len(seconds) > 12 or not digits.isascii() or not digits.isdigit():
        raise VenueError(Refusal.TIME_UNIT, text[:40])
    return int(seconds or 0) * NANOS_PER_S + int(fraction[:9].ljust(9, "0"))


def _typed(decoder: msgspec.json.Decoder[T], raw: Raw) -> T:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        base.refuse(bytes(raw), error)


def _seconds_text(at_ns: Nanos) -> str:
    return f"{at_ns // NANOS_PER_S}.{at_ns % NANOS_PER_S // MICROSECOND_NS:06d}"


def _json(message: object) -> str:
    return msgspec.json.encode(message).decode()
