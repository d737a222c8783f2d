"""What Kraken's derivatives market says of perpetuals and dated futures on its WebSocket, and the book kept from it.

Source: https://docs.kraken.com/exchange/api-reference/futures-websocket/book (and trade, ticker, heartbeat), read
2026-11-21. The top comes from `book`: a snapshot, then one level a message, numbered without gaps for each product.
`ticker` speaks once a second, too late for a top: from it come the mark price, the index and the relative funding rate,
which is for an hour. Names are `PF_XBTUSD` (linear, sizes in the coin), `PI_XBTUSD` (inverse, sizes in USD). Times are
milliseconds. The venue wants to hear from the client every 60 s; asking for `heartbeat` again says so.

A component of a block trade is negotiated away from the book and is passed over.

Over REST the top is that of `GET /derivatives/api/v3/tickers/{symbol}`, at the time of its server.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from oracle.core.book import Book, Levels
from oracle.core.types import NANOS_PER_MS, BookTop, Nanos, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base

URL = "wss://futures.kraken.com/ws/v1"
FEEDS = ("book", "trade", "ticker")
DELTA_KEYS, TRADE_KEYS = 7, 9
KEPT_LEVELS_MAX = 5_000  # of a side: many times the fullest recorded
SIDES = {"buy": Side.BUY, "sell": Side.SELL}
TOP = base.RestTop(
    url="https://futures.kraken.com/derivatives/api/v3/tickers/{symbol}",
    bid="ticker.bid", bid_size="ticker.bidSize", ask="ticker.ask", ask_size="ticker.askSize",
    time="serverTime", time_unit_ns=0, symbol="ticker.symbol", fine=("result", '"success"'), quoted=False,
)  # fmt: skip
BENIGN_EVENTS = frozenset({"info", "subscribed", "unsubscribed"})


class _Delta(Struct, gc=False):
    feed: Literal["book"]
    product_id: str
    side: Literal["buy", "sell"]
    seq: int
    price: float
    qty: float
    timestamp: int


class _Level(Struct, gc=False):
    price: float
    qty: float


class _Snapshot(Struct):
    product_id: str
    timestamp: int
    seq: int
    bids: list[_Level]
    asks: list[_Level]


class _Deal(Struct, gc=False):
    feed: Literal["trade"]
    product_id: str
    side: Literal["buy", "sell"]
    type: str
    seq: int
    time: int
    qty: float
    price: float
    uid: Raw | UnsetType = UNSET


class _Ticker(Struct, gc=False):
    product_id: str
    time: int
    markPrice: float | None = None
    index: float | None = None
    relative_funding_rate: float | None = None


_deltas: base.Decoder[_Delta] = base.Decoder(_Delta, keys=(DELTA_KEYS,))
_snapshots: base.Decoder[_Snapshot] = base.Decoder(_Snapshot)
_deals: base.Decoder[_Deal] = base.Decoder(_Deal, keys=(TRADE_KEYS,))
_tickers: base.Decoder[_Ticker] = base.Decoder(_Ticker)
_any: base.Decoder[dict[str, Any]] = base.Decoder(dict[str, Any])


class Session(base.Session):
    """Reads tops from the book it keeps, trades, marks, indices and funding."""

    venue = "kraken_futures"
    ping_ms = 30_000
    words = ('"event":"subscribe"', '"event":"unsubscribe"')
    tops: ClassVar = {"": TOP}

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._keepers: dict[str, _Keeper] = {}  # of the products whose book stands

    def url(self) -> str:
        """The address to dial."""
        return URL

    def open(self) -> list[base.Send]:
        """Ask for the three feeds of every product, and for heartbeats."""
        asked = [_subscribe(feed, {"product_ids": list(self.sources)}) for feed in FEEDS]
        return [*asked, _subscribe("heartbeat", {})]

    def idle(self, now_ns: Nanos) -> list[base.Send]:
        """A sign of life."""
        return [_subscribe("heartbeat", {})]

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The facts in one frame. Raises VenueError."""
        if data.startswith(b'{"feed":"book","'):
            return [self._read_delta(_deltas(data), recv_ns)]
        if data.startswith(b'{"feed":"trade","'):
            return self._read_trade(data, recv_ns)
        return self._read_other(data, recv_ns)

    def _read_delta(self, said: _Delta, recv_ns: Nanos) -> BookTop:
        source = self.source_of(said.product_id)
        keeper = self._keepers.get(said.product_id)
        if keeper is None:
            raise VenueError(Refusal.NO_SNAPSHOT, said.product_id[:40])
        venue_ns = base.event_time(said.timestamp, NANOS_PER_MS, recv_ns)
        price, size = base.price(said.price), base.number(said.qty)
        if said.seq != keeper.seq + 1:
            del self._keepers[said.product_id]
            raise VenueError(Refusal.SEQUENCE_GAP, f"{said.seq} after {keeper.seq}")
        keeper.change(said.side == "buy", price, size)
        return base.top(source, *keeper.best(), venue_ns, recv_ns)

    def _read_snapshot(self, said: _Snapshot, recv_ns: Nanos) -> BookTop:
        source = self.source_of(said.product_id)
        self._keepers.pop(said.product_id, None)
        venue_ns = base.event_time(said.timestamp, NANOS_PER_MS, recv_ns)
        keeper = _Keeper(said)
        top = base.top(source, *keeper.best(), venue_ns, recv_ns)
        self._keepers[said.product_id] = keeper
        return top

    def _read_trade(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said = _deals(data)
        if said.uid is UNSET:
            base.check_strictly(data)
        source, venue_ns = self.source_of(said.product_id), base.event_time(said.time, NANOS_PER_MS, recv_ns)
        trade = Trade(source, base.price(said.price), base.size(said.qty), SIDES[said.side], venue_ns, recv_ns)
        return [] if said.type == "block" else [trade]

    def _read_ticker(self, said: _Ticker, recv_ns: Nanos) -> list[base.Event]:
        source, venue_ns = self.source_of(said.product_id), base.event_time(said.time, NANOS_PER_MS, recv_ns)
        return [*base.tickers(source, said.markPrice, said.index, said.relative_funding_rate, venue_ns, recv_ns)]

    def _read_other(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said = _any(data)
        event, feed = said.get("event"), said.get("feed")
        if event is not None:
            if event in ("error", "alert") or str(event).endswith("_failed"):
                raise VenueError(Refusal.VENUE_ERROR, f"{event} {said.get('message')}"[:120])
            if not isinstance(event, str) or event not in BENIGN_EVENTS:
                raise VenueError(Refusal.UNKNOWN_MESSAGE, str(event)[:40])
            return []
        if feed == "book":
            return [self._read_delta(_deltas(data), recv_ns)]
        if feed == "book_snapshot":
            return [self._read_snapshot(_snapshots(data), recv_ns)]
        if feed == "trade":
            return self._read_trade(data, recv_ns)
        if feed == "ticker":
            return self._read_ticker(_tickers(data), recv_ns)
        if feed in ("heartbeat", "trade_snapshot"):
            return []  # the snapshot repeats trades of the past
        raise VenueError(Refusal.UNKNOWN_MESSAGE, str(feed)[:40])


class _Keeper:
    """One product's book, and the number of the message that changed it last."""

    def __init__(self, said: _Snapshot) -> None:
        self.seq = said.seq
        self._book: Book[float] = Book()
        self._book.bids.replace(_levels(said.bids))
        self._book.asks.replace(_levels(said.asks))

    def change(self, bid: bool, price: float, size: float) -> None:
        """Set or, with a size of zero, remove a level."""
        side: Levels[float] = self._book.bids if bid else self._book.asks
        self.seq += 1
        if size:
            side.put(price, size)
            side.keep(KEPT_LEVELS_MAX)
        else:
            side.remove(price)

    def best(self) -> tuple[float, float, float, float]:
        """Bid, its size, ask, its size; zeros for an empty side."""
        return *(self._book.bids.best() or (0.0, 0.0)), *(self._book.asks.best() or (0.0, 0.0))


class Mimic(base.Mimic):
    """Speaks each top as a new snapshot of the book, and each trade as a trade."""

    venue = "kraken_futures"
    ping_ms = 1_000

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._seq = 0

    def greet(self, path: str, now_ns: Nanos) -> list[str]:
        """The version of the dialect."""
        return [_dump({"event": "info", "version": 1})]

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        """An acknowledgement for each product that exists, or what is wrong with the request."""
        request = msgspec.json.decode(data, type=dict[str, Any])
        event, feed = request.get("event"), request.get("feed")
        if event not in ("subscribe", "unsubscribe") or feed not in (*FEEDS, "heartbeat"):
            return [_dump({"event": "error", "message": "Invalid feed"})]
        if feed == "heartbeat":
            return [_dump({"event": f"{event}d", "feed": feed})]
        return [
            _dump({"event": f"{event}d", "feed": feed, "product_ids": [product]})
            if product in self.symbols.values()
            else _dump({"event": "error", "message": "Invalid product id"})
            for product in request["product_ids"]
        ]

    def speak(self, fact: BookTop | Trade) -> list[str]:
        """One frame."""
        self._seq += 1
        product, time_ms = self.symbols[fact.source], fact.venue_ns // NANOS_PER_MS
        if isinstance(fact, Trade):
            side = "sell" if fact.side is Side.SELL else "buy"
            amounts = f'"qty":{base.decimal_text(fact.size)},"price":{base.decimal_text(fact.price)}'
            return [
                f'{{"feed":"trade","product_id":"{product}","uid":"caa9c653","side":"{side}","type":"fill",'
                f'"seq":{self._seq},"time":{time_ms},{amounts}}}'
            ]
        bids, asks = _side(fact.bid, fact.bid_size), _side(fact.ask, fact.ask_size)
        return [
            f'{{"feed":"book_snapshot","product_id":"{product}","timestamp":{time_ms},"seq":{self._seq},'
            f'"tickSize":null,"bids":{bids},"asks":{asks}}}'
        ]

    def heartbeat(self, now_ns: Nanos) -> list[str]:
        """The venue's time."""
        return [_dump({"feed": "heartbeat", "time": now_ns // NANOS_PER_MS})]


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads a recording made at `url`; there has been one dialect since 2019."""
    return Session(feeds, market)


def _levels(side: list[_Level]) -> list[tuple[float, float]]:
    """Price and size of each level that is not empty. Raises VenueError."""
    levels = [(base.price(level.price), base.number(level.qty)) for level in side]
    return [level for level in levels if level[1]]


def _side(price: float, size: float) -> str:
    return f'[{{"price":{base.decimal_text(price)},"qty":{base.decimal_text(size)}}}]' if price else "[]"


def _subscribe(feed: str, more: dict[str, Any]) -> base.Send:
    return base.Send(_dump({"event": "subscribe", "feed": feed, **more}))


def _dump(said: dict[str, Any]) -> str:
    return msgspec.json.encode(said).decode()
