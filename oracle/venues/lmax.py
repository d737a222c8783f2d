"""What LMAX Digital says: tops of book and trades of its pairs, on the WebSocket of its Public Data API.

Source: docs.lmax.com/public-data-api (version 0.1), read 2026-11-21. `ORDER_BOOK` is a snapshot of the book, best price
first, at most once a second for each instrument; when the book is not `OPEN` it states the closing price, at which
nobody trades: the top is then empty. `TICKER` comes with every trade and does not say who took; that it repeats the
best prices, without sizes, makes no price younger and is passed over. Times are RFC 3339 with milliseconds. Numbers are
text, quantities in the instrument's unit of measure. The venue pings by the protocol every 3 s and wants its pong
within a second; a client may ping once in 30 s and has no need to. One request a second is taken, so everything is
asked for in one; for the same reason nothing is asked for again on a standing line. Over REST too it is one request a
second for an address, and who asks more is refused for up to an hour. Symbols: `btc-usd`, `eth-usd`.

Not documented: how many levels a book has; how an empty side looks (read: an empty list); whether the first ticker
after a subscription repeats a trade of the past. What is older than the acknowledgement is therefore passed over, and
so is a ticker that repeats the last trade's number. The demonstration environment has other prices and is not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, BookTop, Nanos, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base

URL = "wss://public-data-api.london-digital.lmax.com/v1/web-socket"
CHANNELS = ("ORDER_BOOK", "TICKER")
BOOK_KEYS, LEVEL_KEYS, TICKER_KEYS = 6, 2, 6  # of a ticker those without which there is no trade
LEVELS_MAX = 1024  # a book of more is read all the same, slowly
OPEN = "OPEN"
TOP = base.RestTop(
    url="https://public-data-api.london-digital.lmax.com/v1/orderbook/{symbol}",
    bid="bids.0.price", bid_size="bids.0.quantity", ask="asks.0.price", ask_size="asks.0.quantity",
    time="timestamp", time_unit_ns=0, symbol="instrument_id", fine=("status", f'"{OPEN}"'),
)  # fmt: skip


class _Level(Struct, gc=False):
    price: float
    quantity: float


class _Book(Struct):
    type: Literal["ORDER_BOOK"]
    instrument_id: str
    timestamp: str
    status: Literal["OPEN", "SUSPENDED", "CLOSED", "SETTLED", "WITHDRAWN"]
    bids: list[_Level]
    asks: list[_Level]


class _Ticker(Struct, gc=False):
    type: Literal["TICKER"]
    instrument_id: str
    timestamp: str
    trade_id: str
    last_quantity: float
    last_price: float
    best_bid: Raw | UnsetType = UNSET
    best_ask: Raw | UnsetType = UNSET
    session_open: Raw | UnsetType = UNSET
    session_low: Raw | UnsetType = UNSET
    session_high: Raw | UnsetType = UNSET


class _Other(Struct):
    """What any other message says of itself."""

    type: str
    status: str = ""
    description: str = ""
    error_code: str = ""
    error_message: str = ""


_BOOK: base.Decoder[_Book] = base.Decoder(_Book, range(BOOK_KEYS, BOOK_KEYS + LEVEL_KEYS * LEVELS_MAX, LEVEL_KEYS))
_TICKER: base.Decoder[_Ticker] = base.Decoder(_Ticker, range(TICKER_KEYS, TICKER_KEYS + 6))
_OTHER: base.Decoder[_Other] = base.Decoder(_Other)


class Session(base.Session):
    """A public connection."""

    venue = "lmax"
    dials_per_minute_max = 20
    markets = ("spot",)
    tops: ClassVar = {"spot": TOP}

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._since_ns: Nanos = 0  # when the subscriptions were acknowledged
        self._last: dict[int, str] = {}  # by source, the number of the last trade

    def url(self) -> str:
        """The address to dial."""
        return URL

    def open(self) -> list[base.Send]:
        """One request for everything."""
        self._since_ns = 0
        self._last.clear()
        return [base.Send(_dump({"type": "SUBSCRIBE", "channels": _channels(list(self.sources))}))]

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The fact in one frame. Raises VenueError."""
        if b'"type":"ORDER_BOOK"' in data:
            return [self._read_book(data, recv_ns)]
        if b'"type":"TICKER"' in data:
            return self._read_ticker(data, recv_ns)
        return self._read_other(data, recv_ns)

    def _read_book(self, data: bytes, recv_ns: Nanos) -> BookTop:
        said = _BOOK(data)
        if data.count(b'":') != BOOK_KEYS + LEVEL_KEYS * (len(said.bids) + len(said.asks)):
            base.check_strictly(data)
        source, venue_ns = self.source_of(said.instrument_id), base.event_time_iso(said.timestamp, recv_ns)
        is_open = said.status == OPEN
        bid, bid_size = _best(said.bids) if is_open else (0.0, 0.0)
        ask, ask_size = _best(said.asks) if is_open else (0.0, 0.0)
        return base.top(source, bid, bid_size, ask, ask_size, venue_ns, recv_ns)

    def _read_ticker(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said = _TICKER(data)
        others = (said.best_bid, said.best_ask, said.session_open, said.session_low, said.session_high)
        if data.count(b'":') != TICKER_KEYS + sum(other is not UNSET for other in others):
            base.check_strictly(data)
        source, venue_ns = self.source_of(said.instrument_id), base.event_time_iso(said.timestamp, recv_ns)
        price, size = base.price(said.last_price), base.size(said.last_quantity)
        if venue_ns < self._since_ns or self._last.get(source) == said.trade_id:
            return []
        self._last[source] = said.trade_id
        return [Trade(source, price, size, Side.UNKNOWN, venue_ns, recv_ns)]

    def _read_other(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said = _OTHER(data)
        if said.type == "SUBSCRIPTIONS":
            self._since_ns = recv_ns // NANOS_PER_MS * NANOS_PER_MS
            return []
        if said.type == "ORDER_BOOK":  # written with spaces: the quick look did not know it
            return [self._read_book(data, recv_ns)]
        if said.type == "TICKER":
            return self._read_ticker(data, recv_ns)
        if said.type == "STATUS" and said.status == "ONLINE":
            return []
        if said.type in ("ERROR", "STATUS"):
            reasons = (said.error_code, said.error_message, said.status, said.description)
            raise VenueError(Refusal.VENUE_ERROR, " ".join(filter(None, reasons))[:120])
        raise VenueError(Refusal.UNKNOWN_MESSAGE, said.type[:40])


class Mimic(base.Mimic):
    """LMAX Digital as the simulator plays it."""

    venue = "lmax"
    states_side = False

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._count = 0
        self._asked: dict[str, list[str]] = {}

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        """All subscriptions that stand now, or what is wrong with the request."""
        try:
            call = msgspec.json.decode(data, type=_Call)
        except msgspec.DecodeError:
            return [_error("PARSING_ERROR", "Unable to parse the message.")]
        if any(channel.name not in CHANNELS for channel in call.channels):
            return [_error("CHANNEL_UNAVAILABLE", "Channel is not available.")]
        if any(symbol not in self.symbols.values() for channel in call.channels for symbol in channel.instruments):
            return [_error("INSTRUMENT_NOT_FOUND", "Instrument not found.")]
        for channel in call.channels:
            others = [s for s in self._asked.get(channel.name, []) if s not in channel.instruments]
            self._asked[channel.name] = others + (channel.instruments if call.type == "SUBSCRIBE" else [])
        standing = [{"name": name, "instruments": symbols} for name, symbols in self._asked.items() if symbols]
        return [_dump({"type": "SUBSCRIPTIONS", "channels": standing})]

    def speak(self, fact: BookTop | Trade) -> list[str]:
        """A whole book of one level, or a ticker."""
        said = {"instrument_id": self.symbols[fact.source], "timestamp": _iso(fact.venue_ns)}
        if isinstance(fact, BookTop):
            sides = {"bids": _side(fact.bid, fact.bid_size), "asks": _side(fact.ask, fact.ask_size)}
            return [_dump({"type": "ORDER_BOOK", **said, "status": OPEN, **sides})]
        self._count += 1
        price = base.decimal_text(fact.price)
        ticker = {
            "best_bid": price,
            "best_ask": price,
            "trade_id": f"{self._count:016X}",
            "last_quantity": base.decimal_text(fact.size),
            "last_price": price,
            "session_open": price,
            "session_low": price,
            "session_high": price,
        }
        return [_dump({"type": "TICKER", **said, **ticker})]


class _Channel(Struct):
    name: str
    instruments: list[str]


class _Call(Struct):
    type: Literal["SUBSCRIBE", "UNSUBSCRIBE"]
    channels: list[_Channel]


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads a recording made at `url`; there has been one dialect."""
    return Session(feeds, market)


def _best(levels: list[_Level]) -> tuple[float, float]:
    return (levels[0].price, levels[0].quantity) if levels else (0.0, 0.0)


def _side(price: float, size: float) -> list[dict[str, str]]:
    return [{"price": base.decimal_text(price), "quantity": base.decimal_text(size)}] if price else []


def _channels(symbols: list[str]) -> list[dict[str, Any]]:
    return [{"name": name, "instruments": symbols} for name in CHANNELS]


def _iso(at_ns: Nanos) -> str:
    second = datetime.fromtimestamp(at_ns // NANOS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{second}.{at_ns % NANOS_PER_S // NANOS_PER_MS:03d}Z"


def _error(code: str, reason: str) -> str:
    return _dump({"type": "ERROR", "error_code": code, "error_message": reason})


def _dump(said: dict[str, Any]) -> str:
    return msgspec.json.encode(said).decode()
