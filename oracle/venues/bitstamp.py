"""What Bitstamp says on its public WebSocket API, and how it is said.

Source: https://www.bitstamp.net/websocket/v2/ and www.bitstamp.net/api/ (order book, ticker), read 2026-11-21. The
channels, without a login: `order_book_<pair>`, the whole best 100 levels a side at every change, best first, and
`live_trades_<pair>`. Event times are microseconds, as text. `type` 0 is a buy, 1 a sell, of the taker. The venue ends a
connection after 90 days, and may ask for a reconnect before (`bts:request_reconnect`) and drop the line seconds later.

Only the top of a snapshot is read: the other levels are checked to be JSON, and no more.

`diff_order_book_<pair>` carries changed levels without a sequence number; `DiffSession` reads it for what was recorded,
and is chosen by feeds that name that channel. It does what the documentation prescribes: hold the diffs back, ask for
the book over REST, and apply those that are newer than it by `microtimestamp`.

Markets: btcusd, ethusd, usdtusd, usdcusd.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, TypeAlias

import msgspec
from msgspec import Raw, Struct

from oracle.core.book import Book
from oracle.core.types import NANOS_PER_S, BookTop, Nanos, Observation, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base

URL = "wss://ws.bitstamp.net"
REST_URL = "https://www.bitstamp.net/api/v2/order_book/"
TICKER_URL = "https://www.bitstamp.net/api/v2/ticker/{symbol}/"  # without sizes; the book comes whole or not at all
BOOK, DIFF, TRADES = "order_book_", "diff_order_book_", "live_trades_"
NANOS_PER_US = 1_000
DAY_MS = 86_400_000
REST_BYTES_MAX = 1 << 23
DIFFS_WAITING_MAX = 64  # a diff a tenth of a second at most: the REST answer has over six seconds to come

Level: TypeAlias = tuple[float, float]


class Levels(Struct, gc=False):
    """The levels of a snapshot, not looked into yet."""

    timestamp: int
    microtimestamp: int
    bids: Raw
    asks: Raw


class BookMessage(Struct, gc=False):
    """A whole snapshot."""

    data: Levels
    channel: str
    event: Literal["data"]


class Diff(Struct, gc=False):
    """Changed levels: price and the level's new size, zero takes it away. Over REST: the whole book."""

    timestamp: int
    microtimestamp: int
    bids: list[Level]
    asks: list[Level]


class DiffMessage(Struct, gc=False):
    """Changed levels of one market."""

    data: Diff
    channel: str
    event: Literal["data"]


class Made(Struct, gc=False):
    """What is said of a trade. The numbers come as JSON numbers and as text; the text is read."""

    id: int
    timestamp: int
    amount: float
    amount_str: float
    price: float
    price_str: float
    type: Literal[0, 1]
    microtimestamp: int
    buy_order_id: int
    sell_order_id: int


class TradeMessage(Struct, gc=False):
    """A trade."""

    data: Made
    channel: str
    event: Literal["trade"]


class Envelope(Struct, gc=False):
    """What every message has."""

    event: str
    channel: str = ""
    data: Raw = Raw(b"null")


_books: base.Decoder[BookMessage] = base.Decoder(BookMessage, keys=(7,))
_diffs: base.Decoder[DiffMessage] = base.Decoder(DiffMessage, keys=(7,))
_trades: base.Decoder[TradeMessage] = base.Decoder(TradeMessage, keys=(13,))
_envelopes: base.Decoder[Envelope] = base.Decoder(Envelope)
_answers: base.Decoder[Diff] = base.Decoder(Diff, keys=(4,), bytes_max=REST_BYTES_MAX)
_first_level: msgspec.json.Decoder[Level] = msgspec.json.Decoder(Level, strict=False)
BENIGN = frozenset({"bts:subscription_succeeded", "bts:unsubscription_succeeded", "bts:heartbeat"})


class Session(base.Session):
    """One connection that reads whole snapshots and trades."""

    venue = "bitstamp"
    ping_ms = 20_000
    lifetime_ms = 90 * DAY_MS
    words = ("bts:subscribe", "bts:unsubscribe")
    tops: ClassVar = {"spot": base.RestTop(url=TICKER_URL, bid="bid", ask="ask", time="timestamp", quoted_time=True,
                                           time_unit_ns=NANOS_PER_S)}  # fmt: skip
    book_channel = BOOK

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._books = {self.book_channel + feed.symbol: feed for feed in feeds}
        self._trades = {TRADES + feed.symbol: feed for feed in feeds}

    def url(self) -> str:
        """The address to dial."""
        return URL

    def open(self) -> list[base.Send]:
        """Subscribe to each channel, one message each, as the venue wants it."""
        return [_send("bts:subscribe", {"channel": name}) for name in (*self._books, *self._trades)]

    def idle(self, now_ns: Nanos) -> list[base.Send]:
        """A heartbeat, whose answer shows that a quiet line is alive."""
        return [_send("bts:heartbeat", {})]

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The facts in one frame. Raises VenueError."""
        if data.endswith(b'"data"}'):
            return self._book(data, recv_ns)
        if data.endswith(b'"trade"}'):
            return [self._trade(_trades(data), recv_ns)]
        said = _envelopes(data)
        if said.event == "data":
            return self._book(data, recv_ns)
        if said.event == "trade":
            return [self._trade(_trades(data), recv_ns)]
        if said.event == "bts:error":
            raise VenueError(Refusal.VENUE_ERROR, bytes(said.data)[:120].decode("utf-8", "replace"))
        if said.event == "bts:request_reconnect":
            raise VenueError(Refusal.VENUE_ERROR, "asks to reconnect")
        if said.event not in BENIGN:
            raise VenueError(Refusal.UNKNOWN_MESSAGE, said.event[:40])
        return self._acknowledged(said)

    def _acknowledged(self, said: Envelope) -> list[base.Event]:
        return []

    def _book(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said = _books(data)
        feed = _feed(self._books, said.channel, self.book_channel)
        venue_ns = base.event_time(said.data.microtimestamp, NANOS_PER_US, recv_ns)
        bid, bid_size = _first(said.data.bids)
        ask, ask_size = _first(said.data.asks)
        return [base.top(feed.source, bid, bid_size, ask, ask_size, venue_ns, recv_ns)]

    def _trade(self, said: TradeMessage, recv_ns: Nanos) -> Observation:
        made = said.data
        source = _feed(self._trades, said.channel, TRADES).source
        venue_ns = base.event_time(made.microtimestamp, NANOS_PER_US, recv_ns)
        side = Side.SELL if made.type else Side.BUY
        return Trade(source, base.price(made.price_str), base.size(made.amount_str), side, venue_ns, recv_ns)


def _feed(channels: dict[str, base.Feed], channel: str, prefix: str) -> base.Feed:
    feed = channels.get(channel)
    if feed is None:
        known = channel.startswith(prefix)
        raise VenueError(Refusal.UNKNOWN_SYMBOL if known else Refusal.UNKNOWN_MESSAGE, channel[:40])
    return feed


def _first(levels: Raw) -> Level:
    """The first level of a side, without reading the others; an empty side is zeros."""
    text = bytes(levels)
    first, bracket, _ = text[1:].partition(b"]")
    if text[:1] != b"[" or not bracket:
        raise VenueError(Refusal.WRONG_SHAPE, "a side is no list of levels")
    if not first.strip():
        return 0.0, 0.0
    try:
        return _first_level.decode(first + bracket)
    except msgspec.DecodeError as error:
        raise VenueError(Refusal.WRONG_SHAPE, str(error)[:120]) from None


class Replica:
    """A book that follows its diffs, or the diffs that wait for it."""

    __slots__ = ("at_us", "book", "lost_us", "waiting")

    def __init__(self) -> None:
        self.book: Book[float] | None = None
        self.at_us = 0
        self.waiting: list[Diff] = []
        self.lost_us = 0  # a diff of this time was given up: only a younger book will do

    def give_up(self, at_us: int) -> None:
        """Believe nothing that is older than `at_us`."""
        self.book = None
        self.waiting.clear()
        self.lost_us = max(self.lost_us, at_us, self.at_us + 1)

    def hold(self, diff: Diff) -> bool:
        """Keep a diff until the book comes; False if it is given up."""
        if not self.lost_us and len(self.waiting) < DIFFS_WAITING_MAX:
            self.waiting.append(diff)
            return True
        self.give_up(diff.microtimestamp)
        return False

    def begin(self, whole: Diff) -> bool:
        """Take the book from REST and what waited for it; False if diffs after it were given up."""
        if whole.microtimestamp < self.lost_us:
            return False
        waiting, self.waiting, self.lost_us = self.waiting, [], 0
        self.book, self.at_us = Book(), whole.microtimestamp
        _apply(self.book, whole)
        for diff in waiting:
            self.follow(diff)
        return True

    def follow(self, diff: Diff) -> bool:
        """Apply a diff that is newer than the book; False if it is not."""
        assert self.book is not None
        if diff.microtimestamp <= self.at_us:
            return False
        _apply(self.book, diff)
        self.at_us = diff.microtimestamp
        return True

    def top(self, source: int, recv_ns: Nanos) -> BookTop:
        """The best of the book."""
        assert self.book is not None
        bid, bid_size = self.book.bids.best() or (0.0, 0.0)
        ask, ask_size = self.book.asks.best() or (0.0, 0.0)
        return BookTop(source, bid, bid_size, ask, ask_size, self.at_us * NANOS_PER_US, recv_ns)


def _apply(book: Book[float], diff: Diff) -> None:
    for levels, changes in ((book.bids, diff.bids), (book.asks, diff.asks)):
        for price, size in changes:
            if size:
                levels.put(price, size)
            else:
                levels.remove(price)


def _check(diff: Diff, recv_ns: Nanos) -> None:
    base.event_time(diff.microtimestamp, NANOS_PER_US, recv_ns)
    for price, size in (*diff.bids, *diff.asks):
        base.price(price)
        base.number(size)


class DiffSession(Session):
    """One connection that keeps books from REST snapshots and diffs."""

    book_channel = DIFF
    keeps_books = True

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._replicas = {feed.symbol: Replica() for feed in feeds}

    def open(self) -> list[base.Send]:
        """Subscribe; the books of an earlier connection are forgotten."""
        self._replicas = {feed.symbol: Replica() for feed in self.feeds}
        return super().open()

    def answer(self, request: base.Request, body: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The top of a book that came over REST, brought up to date. Raises VenueError."""
        source = self.source_of(request.symbol)
        whole = _answers(body)
        _check(whole, recv_ns)
        replica = self._replicas[request.symbol]
        if not replica.begin(whole):
            raise VenueError(
                Refusal.NO_SNAPSHOT, f"the book of {request.symbol} is older than a diff that was given up"
            )
        return [replica.top(source, recv_ns)]

    def _acknowledged(self, said: Envelope) -> list[base.Event]:
        feed = self._books.get(said.channel)
        if feed is None or said.event != "bts:subscription_succeeded":
            return []
        self._replicas[feed.symbol] = Replica()
        return [base.Request(REST_URL + feed.symbol, feed.symbol)]

    def _book(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        try:
            said = _diffs(data)
        except VenueError:
            for replica in self._replicas.values():  # it may have been any book's diff
                replica.give_up(0)
            raise
        feed = _feed(self._books, said.channel, self.book_channel)
        replica = self._replicas[feed.symbol]
        try:
            _check(said.data, recv_ns)
        except VenueError:
            replica.give_up(0)
            raise
        if replica.book is None:
            if not replica.hold(said.data):
                raise VenueError(Refusal.NO_SNAPSHOT, feed.symbol)
            return []
        return [replica.top(feed.source, recv_ns)] if replica.follow(said.data) else []


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads what was recorded: feeds named by their `diff_order_book_` channel were diffs.

    The address is the same for both, so it is the feeds that tell.
    """
    if feeds and all(feed.symbol.startswith(DIFF) for feed in feeds):
        return DiffSession([base.Feed(feed.source, feed.symbol.removeprefix(DIFF)) for feed in feeds], market)
    return Session(feeds, market)


class Mimic(base.Mimic):
    """Bitstamp to one client, on the channels that `Session` asks for. It is silent when the market is."""

    venue = "bitstamp"
    time_unit_ns = NANOS_PER_US

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._channels = {prefix + feed.symbol for feed in feeds for prefix in (BOOK, TRADES)}
        self._ids = 0

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        """Acknowledge a subscription, answer a heartbeat, refuse anything else."""
        try:
            asked = json.loads(data)
            event, channel = asked["event"], asked.get("data", {}).get("channel", "")
        except (ValueError, KeyError, TypeError, AttributeError):
            return [_error("Incorrect JSON format.")]
        if event == "bts:heartbeat":
            return [_text({"event": "bts:heartbeat", "channel": "", "data": {"status": "success"}})]
        if event not in ("bts:subscribe", "bts:unsubscribe") or channel not in self._channels:
            return [_error("Bad subscription string.")]
        return [_text({"event": event.replace("subscribe", "subscription_succeeded"), "channel": channel, "data": {}})]

    def speak(self, fact: BookTop | Trade) -> list[str]:
        """A whole snapshot of one level a side, or a trade."""
        symbol = self.symbols[fact.source]
        microseconds = fact.venue_ns // NANOS_PER_US
        times = {"timestamp": str(microseconds // 1_000_000), "microtimestamp": str(microseconds)}
        if isinstance(fact, Trade):
            return [_text({"data": self._made(fact) | times, "channel": TRADES + symbol, "event": "trade"})]
        sides = {"bids": _levels(fact.bid, fact.bid_size), "asks": _levels(fact.ask, fact.ask_size)}
        return [_text({"data": times | sides, "channel": BOOK + symbol, "event": "data"})]

    def _made(self, fact: Trade) -> dict[str, Any]:
        self._ids += 1
        return {
            "id": self._ids,
            "amount": fact.size,
            "amount_str": base.decimal_text(fact.size),
            "price": fact.price,
            "price_str": base.decimal_text(fact.price),
            "type": int(fact.side is Side.SELL),
            "buy_order_id": self._ids,
            "sell_order_id": self._ids,
        }


def _levels(price: float, size: float) -> list[list[str]]:
    return [[base.decimal_text(price), base.decimal_text(size)]] if size else []


def _error(message: str) -> str:
    return _text({"event": "bts:error", "channel": "", "data": {"code": None, "message": message}})


def _send(event: str, data: dict[str, Any]) -> base.Send:
    return base.Send(_text({"event": event, "data": data}))


def _text(message: dict[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"))
