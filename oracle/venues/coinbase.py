"""What Coinbase Exchange says on its public WebSocket feed, and how it is said.

Source: https://docs.cdp.coinbase.com/exchange/websocket-feed/channels (and `/overview`, `/rate-limits`), read
2026-11-21. Channels: `level2_batch` for the book, `matches` for trades, `heartbeat` so that a quiet market's line can
be told from a dead one. None of the three needs a login; `level2`, `level3` and `full` do since 2023-08-01.

Why this feed and these channels. `ticker` speaks only when there is a match, so a moving book without trades would look
dead; `ticker_batch` lags by seconds. The Advanced Trade feed carries the same books, but its pages advise to log in and
say that channels without updates are closed after 60 to 90 seconds; this one is public without a condition.

The book is kept from one `snapshot` and `l2update` deltas, at most one in 50 ms a product. The deltas carry no sequence
number, so a frame that could not be read may have been a delta of any product: from then on no book is believed, and
deltas are refused NO_SNAPSHOT until a new subscription brings snapshots. What numbers there are stand in the matches:
a product's `trade_id` counts up by one (heartbeats repeat it "to verify no matches were missed", page Channels), so a
match that is missing says that frames were lost, and books with them: SEQUENCE_GAP. `match` names the maker's side. A
delta whose time is Go's zero time states no time.

Markets: BTC-USD, ETH-USD, USDT-USD. USDC is redeemed at par here and not traded against USD.

Over REST the top is that of the product book at level 1 (rest-api, Get product book).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, TypeAlias, get_args

from msgspec import Struct

from oracle.core.book import Book
from oracle.core.types import NANOS_PER_S, BookTop, Nanos, Observation, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base

URL = "wss://ws-feed.exchange.coinbase.com"
CHANNELS = ("level2_batch", "matches", "heartbeat")
SNAPSHOT_BYTES_MAX = 1 << 24  # the whole BTC-USD book is several MiB
NO_TIME = "0001-01-01T00:00:00"
TOP = base.RestTop(
    url="https://api.exchange.coinbase.com/products/{symbol}/book?level=1",
    bid="bids.0.0", bid_size="bids.0.1", ask="asks.0.0", ask_size="asks.0.1", time="time", time_unit_ns=0,
)  # fmt: skip

Level: TypeAlias = tuple[float, float]
Change: TypeAlias = tuple[Literal["buy", "sell"], float, float]


class Snapshot(Struct, gc=False, tag_field="type", tag="snapshot"):
    """The whole book of a product. `time` is not in the documentation's example."""

    product_id: str
    bids: list[Level]
    asks: list[Level]
    time: str = ""


class Update(Struct, gc=False, tag_field="type", tag="l2update"):
    """Changed levels of a product: side, price, the level's new size; zero takes it away."""

    product_id: str
    changes: list[Change]
    time: str


class Match(Struct, gc=False, tag_field="type", tag="match"):
    """A trade. `side` is the maker's."""

    trade_id: int
    maker_order_id: str
    taker_order_id: str
    side: Literal["buy", "sell"]
    size: float
    price: float
    product_id: str
    sequence: int
    time: str


class LastMatch(Struct, gc=False, tag_field="type", tag="last_match"):
    """The trade before the subscription began: history, not news, but where the count of matches begins."""

    product_id: str
    trade_id: int


class Ticker(Struct, gc=False, tag_field="type", tag="ticker"):
    """The top of the book at a match. Sizes are stated since 2022; a top without sizes is no BookTop."""

    product_id: str
    price: float
    best_bid: float
    best_ask: float
    best_bid_size: float | None = None
    best_ask_size: float | None = None
    time: str = ""


class Heartbeat(Struct, gc=False, tag_field="type", tag="heartbeat"):
    """The line is alive, which says nothing of a price."""

    product_id: str


class Subscriptions(Struct, gc=False, tag_field="type", tag="subscriptions"):
    """The acknowledgement: every channel that is now subscribed."""


class Problem(Struct, gc=False, tag_field="type", tag="error"):
    """The venue refuses something."""

    message: str = ""
    reason: str = ""


class Kind(Struct):
    """Only what a message says it is."""

    type: str = ""
    channel: str = ""


Message: TypeAlias = Snapshot | Update | Match | LastMatch | Ticker | Heartbeat | Subscriptions | Problem

_updates: base.Decoder[Update] = base.Decoder(Update, keys=(4,))
_matches: base.Decoder[Match] = base.Decoder(Match, keys=(10,))
_snapshots: base.Decoder[Snapshot] = base.Decoder(Snapshot, keys=(4,), bytes_max=SNAPSHOT_BYTES_MAX)
_messages: base.Decoder[Message] = base.Decoder(Message, bytes_max=SNAPSHOT_BYTES_MAX)
_kinds: base.Decoder[Kind] = base.Decoder(Kind, bytes_max=SNAPSHOT_BYTES_MAX)
KNOWN = frozenset(kind.__struct_config__.tag for kind in get_args(Message))


def decode(data: bytes) -> Message:
    """The message in a frame. Raises VenueError; UNKNOWN_MESSAGE for a type that is not of these channels."""
    if data.startswith(b'{"type":"l2update"'):
        return _updates(data)
    if data.startswith(b'{"type":"match"'):
        return _matches(data)
    if data.startswith(b'{"type":"snapshot"'):
        return _snapshots(data)
    try:
        return _messages(data)
    except VenueError as error:
        if error.reason is Refusal.WRONG_SHAPE:
            kind = _kinds(data)
            if kind.type not in KNOWN:
                raise VenueError(Refusal.UNKNOWN_MESSAGE, (kind.type or kind.channel)[:40]) from None
        raise


class Session(base.Session):
    """One connection to the public feed, and the books it keeps."""

    venue = "coinbase"
    symbols_max = 10
    keeps_books = True
    words = ('"type":"subscribe"', '"type":"unsubscribe"')
    tops: ClassVar = {"spot": TOP}
    frame_bytes_max = SNAPSHOT_BYTES_MAX

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._books: dict[str, Book[float]] = {}
        self._matched: dict[str, int] = {}  # the last match of a product

    def url(self) -> str:
        """The address to dial."""
        return URL

    def open(self) -> list[base.Send]:
        """Subscribe to everything in one message; the books of an earlier connection are forgotten."""
        self._books.clear()
        self._matched.clear()
        products = [feed.symbol for feed in self.feeds]
        return [base.Send(_text({"type": "subscribe", "product_ids": products, "channels": list(CHANNELS)}))]

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The facts in one frame. Raises VenueError."""
        try:
            message = decode(data)
        except VenueError as error:
            if error.reason is not Refusal.UNKNOWN_MESSAGE:
                self._books.clear()
            raise
        match message:
            case Update():
                return [self._change(message, recv_ns)]
            case Match():
                return [self._trade(message, recv_ns)]
            case Snapshot():
                return [self._replace(message, recv_ns)]
            case Ticker():
                return self._ticker(message, recv_ns)
            case LastMatch():
                self.source_of(message.product_id)
                self._matched[message.product_id] = message.trade_id
            case Heartbeat():
                self.source_of(message.product_id)
            case Problem():
                raise VenueError(Refusal.VENUE_ERROR, f"{message.message}: {message.reason}"[:120])
        return []

    def _change(self, update: Update, recv_ns: Nanos) -> Observation:
        source = self.source_of(update.product_id)
        book = self._books.pop(update.product_id, None)
        if book is None:
            raise VenueError(Refusal.NO_SNAPSHOT, update.product_id)
        venue_ns = _time(update.time, recv_ns)
        for side, price, size in update.changes:
            levels = book.bids if side == "buy" else book.asks
            if base.number(size):
                levels.put(base.price(price), size)
            else:
                levels.remove(base.price(price))
        self._books[update.product_id] = book  # only now: a delta that is refused half-way leaves no book behind
        return _top(source, book, venue_ns, recv_ns)

    def _replace(self, snapshot: Snapshot, recv_ns: Nanos) -> Observation:
        source = self.source_of(snapshot.product_id)
        self._books.pop(snapshot.product_id, None)
        venue_ns = _time(snapshot.time, recv_ns) if snapshot.time else 0
        book: Book[float] = Book()
        book.bids.replace((base.price(price), base.size(size)) for price, size in snapshot.bids)
        book.asks.replace((base.price(price), base.size(size)) for price, size in snapshot.asks)
        self._books[snapshot.product_id] = book
        return _top(source, book, venue_ns, recv_ns)

    def _trade(self, said: Match, recv_ns: Nanos) -> Observation:
        taker = Side.SELL if said.side == "buy" else Side.BUY
        source, venue_ns = self.source_of(said.product_id), _time(said.time, recv_ns)
        before = self._matched.get(said.product_id)
        self._matched[said.product_id] = said.trade_id
        if before is not None and said.trade_id != before + 1:
            self._books.clear()
            raise VenueError(Refusal.SEQUENCE_GAP, f"{said.product_id}: match {said.trade_id} after {before}")
        return Trade(source, base.price(said.price), base.size(said.size), taker, venue_ns, recv_ns)

    def _ticker(self, said: Ticker, recv_ns: Nanos) -> list[base.Event]:
        source, venue_ns = self.source_of(said.product_id), _time(said.time, recv_ns) if said.time else 0
        base.price(said.price)
        bid, ask = base.number(said.best_bid), base.number(said.best_ask)
        if said.best_bid_size is None or said.best_ask_size is None:
            return []
        return [base.top(source, bid, said.best_bid_size, ask, said.best_ask_size, venue_ns, recv_ns)]


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads what was recorded at `url`: the grammar has been one since ws-feed.pro.coinbase.com."""
    return Session(feeds, market)


def _top(source: int, book: Book[float], venue_ns: Nanos, recv_ns: Nanos) -> BookTop:
    bid, bid_size = book.bids.best() or (0.0, 0.0)
    ask, ask_size = book.asks.best() or (0.0, 0.0)
    return BookTop(source, bid, bid_size, ask, ask_size, venue_ns, recv_ns)


def _time(text: str, recv_ns: Nanos) -> Nanos:
    return 0 if text[:19] == NO_TIME else base.event_time_iso(text, recv_ns)


class Mimic(base.Mimic):
    """Coinbase Exchange to one client: a snapshot first, deltas from then on."""

    venue = "coinbase"
    time_unit_ns = 1_000
    ping_ms = 1_000

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._tops: dict[str, BookTop] = {}
        self._trades: dict[str, int] = {}  # how many matches of a product were said

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        """Acknowledge a subscription, or its end; its book begins anew with a snapshot. Refuse anything else."""
        try:
            asked = json.loads(data)
        except ValueError:
            return [_problem("Malformed JSON", "")]
        if not isinstance(asked, dict) or asked.get("type") not in ("subscribe", "unsubscribe"):
            return [_problem("Type has to be either subscribe or unsubscribe", "")]
        channels = [_channel(channel, asked.get("product_ids", [])) for channel in asked.get("channels", [])]
        known = set(self.symbols.values())
        for channel in channels:
            for product in channel["product_ids"]:
                if product not in known:
                    return [_problem("Failed to subscribe", f"{product} is not a valid product")]
        for channel in channels:
            for product in channel["product_ids"]:
                self._tops.pop(product, None)
        return [_text({"type": "subscriptions", "channels": channels})]

    def speak(self, fact: BookTop | Trade) -> list[str]:
        """A match, the first snapshot of a product, or the delta from its last top to this one."""
        product = self.symbols[fact.source]
        if isinstance(fact, Trade):
            return [self._match(product, fact)]
        before = self._tops.get(product)
        self._tops[product] = fact
        bids, asks = _levels(fact.bid, fact.bid_size), _levels(fact.ask, fact.ask_size)
        if before is None:
            whole = {"type": "snapshot", "product_id": product, "asks": asks, "bids": bids}
            return [_text(whole | ({"time": _iso(fact.venue_ns)} if fact.venue_ns else {}))]
        changes = _changes("buy", before.bid, fact.bid, bids) + _changes("sell", before.ask, fact.ask, asks)
        return [
            _text({"type": "l2update", "product_id": product, "changes": changes, "time": _iso(fact.venue_ns)}),
        ]

    def heartbeat(self, now_ns: Nanos) -> list[str]:
        """One heartbeat a product, as every second."""
        counts = [(feed.symbol, self._trades.get(feed.symbol, 0)) for feed in self.feeds]
        return [
            _text({"type": "heartbeat", "sequence": n, "last_trade_id": n, "product_id": product, "time": _iso(now_ns)})
            for product, n in counts
        ]

    def _match(self, product: str, fact: Trade) -> str:
        count = self._trades[product] = self._trades.get(product, 0) + 1
        order = f"00000000-0000-4000-8000-{count:012d}"
        return _text(
            {
                "type": "match",
                "trade_id": count,
                "maker_order_id": order,
                "taker_order_id": order,
                "side": "buy" if fact.side is Side.SELL else "sell",
                "size": base.decimal_text(fact.size),
                "price": base.decimal_text(fact.price),
                "product_id": product,
                "sequence": count,
                "time": _iso(fact.venue_ns),
            }
        )


def _text(message: dict[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"))


def _problem(message: str, reason: str) -> str:
    return _text({"type": "error", "message": message, "reason": reason})


def _channel(channel: Any, products: Any) -> dict[str, Any]:
    """A channel is asked for by name, with the products of the whole message, or with its own."""
    if isinstance(channel, dict):
        return {"name": channel.get("name"), "product_ids": list(channel.get("product_ids", products))}
    return {"name": channel, "product_ids": list(products)}


def _levels(price: float, size: float) -> list[list[str]]:
    return [[base.decimal_text(price), base.decimal_text(size)]] if size else []


def _changes(side: str, before: float, after: float, levels: list[list[str]]) -> list[list[str]]:
    gone = [[side, base.decimal_text(before), "0.00000000"]] if before and before != after else []
    return gone + [[side, *level] for level in levels]


def _iso(nanos: Nanos) -> str:
    if not nanos:
        return NO_TIME + ".000000Z"
    seconds, rest = divmod(nanos, NANOS_PER_S)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest // 1_000:06d}Z"
