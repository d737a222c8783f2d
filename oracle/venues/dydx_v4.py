"""What dYdX v4 says through its indexer's WebSocket, and the book kept from it.

Source: https://docs.dydx.exchange/api_integration-indexer/indexer_websocket, and for the order of messages the
indexer's own source, github.com/dydxprotocol/v4-chain (indexer/services/socks), read 2026-11-21. `v4_orderbook` is a
snapshot in the acknowledgement, then changes of levels; it states no time. `v4_trades` states the time of the block;
its acknowledgement repeats trades of the past. `v4_markets` states every market's oracle price, which is both the index
and the price that positions are marked at, and the funding rate, which is for an hour. Names are `BTC-USD`.

Messages are numbered for each connection. A subscription takes its number when it is asked for and is answered later,
so that only acknowledgements may be late: any other number that is missing, or comes twice, is a gap, and no book
stands after it. A book that this venue shows crossed is handed on crossed.

A deleveraging happens away from the book and is passed over. What was recorded of v3, which is shut, is refused.

Over REST the top is that of the indexer's order book of a perpetual market, which states no time either.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from oracle.core.book import Book, Levels
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, BookTop, Nanos, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base

URL = "wss://indexer.dydx.trade/v4/ws"
BOOK, TRADES, MARKETS = "v4_orderbook", "v4_trades", "v4_markets"
DATA_KEYS, TRADE_KEYS = 7, 5
KEYS_MAX = 16_384  # a message of more is read all the same, slowly
KEPT_LEVELS_MAX = 5_000  # of a side
AWAY_FROM_THE_BOOK = "DELEVERAGED"
SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
TOP = base.RestTop(
    url="https://indexer.dydx.trade/v4/orderbooks/perpetualMarket/{symbol}",
    bid="bids.0.price", bid_size="bids.0.size", ask="asks.0.price", ask_size="asks.0.size",
)  # fmt: skip


class _Level(Struct, gc=False):
    price: float
    size: float


class _Deal(Struct, gc=False):
    id: Raw
    side: Literal["BUY", "SELL"]
    size: float
    price: float
    createdAt: str
    type: str | UnsetType = UNSET


class _Market(Struct, gc=False):
    oraclePrice: float | None = None
    nextFundingRate: float | None = None
    effectiveAt: str = ""


class _Contents(Struct):
    bids: list[tuple[float, float]] | UnsetType = UNSET
    asks: list[tuple[float, float]] | UnsetType = UNSET
    trades: list[_Deal] | UnsetType = UNSET
    trading: dict[str, _Market] | UnsetType = UNSET
    oraclePrices: dict[str, _Market] | UnsetType = UNSET


class _Data(Struct):
    type: Literal["channel_data"]
    connection_id: Raw
    message_id: int
    channel: str
    version: Raw
    contents: _Contents
    id: str | UnsetType = UNSET


class _Batch(Struct):
    message_id: int
    channel: str
    contents: list[_Contents]
    id: str | UnsetType = UNSET


class _Whole(Struct):
    bids: list[_Level] = []
    asks: list[_Level] = []
    markets: dict[str, _Market] = {}


class _Subscribed(Struct):
    message_id: int
    channel: str
    contents: _Whole
    id: str | UnsetType = UNSET


class _Other(Struct):
    type: str
    message_id: int = -1
    message: str = ""


_data: base.Decoder[_Data] = base.Decoder(_Data, keys=range(DATA_KEYS, KEYS_MAX))
_batches: base.Decoder[_Batch] = base.Decoder(_Batch)
_subscribed: base.Decoder[_Subscribed] = base.Decoder(_Subscribed)
_other: base.Decoder[_Other] = base.Decoder(_Other)


class Session(base.Session):
    """Reads tops from the books it keeps, trades, oracle prices and funding."""

    venue = "dydx_v4"
    symbols_max = 30  # a connection may have 32 subscriptions of one channel
    tops: ClassVar = {"": TOP}

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._books: dict[str, Book[float]] = {}  # of the markets whose book stands
        self._last: int | None = None
        self._late: set[int] = set()  # numbers passed over, which acknowledgements may still fill
        self._awaited = 2 * len(feeds) + 1

    def url(self) -> str:
        """The address to dial."""
        return URL

    def open(self) -> list[base.Send]:
        """A subscription for each channel of each market, and one for the oracle prices of all."""
        self._awaited = 2 * len(self.feeds) + 1
        asked = [{"channel": channel, "id": symbol} for symbol in self.sources for channel in (BOOK, TRADES)]
        return [base.Send(_dump({"type": "subscribe"} | one)) for one in [*asked, {"channel": MARKETS}]]

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The facts in one frame. Raises VenueError."""
        if data.startswith(b'{"type":"channel_data"'):
            return self._read_data(data, recv_ns)
        return self._read_other(data, recv_ns)

    def _read_data(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said = _data(data)
        self._check_keys(said, data)
        self._follow(said.message_id, False)
        return self._read_contents(said.channel, said.id, [said.contents], recv_ns)

    def _check_keys(self, said: _Data, data: bytes) -> None:
        """Whatever may have keys that are not read, or lacks one, is looked through key by key."""
        contents = said.contents
        keys = DATA_KEYS + (contents.bids is not UNSET) + (contents.asks is not UNSET)
        if contents.trades is not UNSET:
            keys += 1 + sum(TRADE_KEYS + (deal.type is not UNSET) for deal in contents.trades)
        if said.id is UNSET or data.count(b'":') != keys:
            base.check_strictly(data)

    def _read_contents(
        self, channel: str, symbol: str | UnsetType, said: Sequence[_Contents], recv_ns: Nanos
    ) -> list[base.Event]:
        if channel == MARKETS:
            parts = [part for one in said for part in (one.trading, one.oraclePrices) if part is not UNSET]
            return [event for part in parts for event in self._read_markets(part, recv_ns)]
        if symbol is UNSET or channel not in (BOOK, TRADES):
            raise VenueError(Refusal.UNKNOWN_MESSAGE, channel[:40])
        source = self.source_of(symbol)
        if channel == BOOK:
            return [self._change(source, symbol, one, recv_ns) for one in said]
        deals = [deal for one in said if one.trades is not UNSET for deal in one.trades]
        trades = [(deal.type, _trade(source, deal, recv_ns)) for deal in deals]
        return [trade for kind, trade in trades if kind != AWAY_FROM_THE_BOOK]

    def _change(self, source: int, symbol: str, said: _Contents, recv_ns: Nanos) -> BookTop:
        """The top after a change; whatever goes wrong, the market is without a book from then on."""
        book = self._books.pop(symbol, None)
        if book is None:
            raise VenueError(Refusal.NO_SNAPSHOT, symbol[:40])
        _apply(book.bids, said.bids or ())
        _apply(book.asks, said.asks or ())
        top = _top(source, book, recv_ns)
        self._books[symbol] = book
        return top

    def _read_markets(self, said: dict[str, _Market], recv_ns: Nanos) -> list[base.Event]:
        """What is said of the markets asked for; the channel speaks of every one."""
        events: list[base.Event] = []
        for symbol, market in said.items():
            source = self.sources.get(symbol)
            if source is None:
                continue
            venue_ns = base.event_time_iso(market.effectiveAt, recv_ns) if market.effectiveAt else 0
            events += base.tickers(source, None, market.oraclePrice, market.nextFundingRate, venue_ns, recv_ns)
        return events

    def _read_other(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said = _other(data)
        if said.type == "channel_data":  # written with spaces: the quick look did not know it
            return self._read_data(data, recv_ns)
        if said.type == "channel_batch_data":
            batch = _batches(data)
            self._follow(batch.message_id, False)
            return self._read_contents(batch.channel, batch.id, batch.contents, recv_ns)
        if said.type == "subscribed":
            return self._read_subscribed(_subscribed(data), recv_ns)
        if said.type == "error":
            raise VenueError(Refusal.VENUE_ERROR, said.message[:120])
        if said.type == "connected":
            self._books.clear()
            self._late.clear()
            self._last = None
        elif said.type != "unsubscribed":
            raise VenueError(Refusal.UNKNOWN_MESSAGE, said.type[:40])
        self._follow(said.message_id, False)
        return []

    def _read_subscribed(self, said: _Subscribed, recv_ns: Nanos) -> list[base.Event]:
        self._follow(said.message_id, True)
        if said.channel == MARKETS:
            return self._read_markets(said.contents.markets, recv_ns)
        if said.id is UNSET or said.channel not in (BOOK, TRADES):
            raise VenueError(Refusal.UNKNOWN_MESSAGE, said.channel[:40])
        source = self.source_of(said.id)
        if said.channel == TRADES:
            return []
        self._books.pop(said.id, None)
        book: Book[float] = Book()
        _apply(book.bids, [(level.price, level.size) for level in said.contents.bids])
        _apply(book.asks, [(level.price, level.size) for level in said.contents.asks])
        top = _top(source, book, recv_ns)
        self._books[said.id] = book
        return [top]

    def _follow(self, number: int, acknowledges: bool) -> None:
        """Take note of a message's number. Raises VenueError SEQUENCE_GAP, and then no book stands."""
        last = self._last
        if acknowledges and self._awaited:
            self._awaited -= 1
        if last is None or number == last + 1:
            self._last, in_order = number, True
        elif number > last:
            self._last, in_order = number, number - last - 1 + len(self._late) <= self._awaited
            self._late.update(range(last + 1, number) if in_order else ())
        else:
            in_order = acknowledges and number in self._late
            self._late.discard(number)
        if not in_order or len(self._late) > self._awaited:
            self._books.clear()
            self._late.clear()
            raise VenueError(Refusal.SEQUENCE_GAP, f"{number} after {last}")


class Retired(Session):
    """Reads nothing: v3 is shut."""

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """Raises VenueError OLD_DIALECT."""
        raise VenueError(Refusal.OLD_DIALECT, "v3")


class Mimic(base.Mimic):
    """Speaks a snapshot of one level first, and changes of it then."""

    venue = "dydx_v4"
    states_book_time = False

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._number = -1
        self._tops: dict[str, BookTop] = {}

    def greet(self, path: str, now_ns: Nanos) -> list[str]:
        """The number of the connection."""
        return [self._message({"type": "connected"})]

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        """The acknowledgement, which holds what there is already, or what is wrong with the request."""
        call = msgspec.json.decode(data, type=dict[str, Any])
        kind, channel, symbol = call.get("type"), call.get("channel"), call.get("id")
        known = channel == MARKETS or (channel in (BOOK, TRADES) and symbol in self.symbols.values())
        if kind not in ("subscribe", "unsubscribe") or not known:
            error = {"type": "error", "message": f"Invalid message {data}", "connection_id": "", "message_id": 0}
            return [_dump(error)]
        asked = {"channel": channel} | ({"id": symbol} if symbol else {})
        if kind == "unsubscribe":
            return [self._message({"type": "unsubscribed"} | asked)]
        contents: dict[str, Any] = {"markets": {}} if channel == MARKETS else {"trades": []}
        if channel == BOOK:
            top = self._tops.setdefault(str(symbol), BookTop(0, 0.0, 0.0, 0.0, 0.0, 0, 0))
            contents = {"bids": _levels(top.bid, top.bid_size), "asks": _levels(top.ask, top.ask_size)}
        return [self._message({"type": "subscribed"} | asked, {"contents": contents})]

    def speak(self, fact: BookTop | Trade) -> list[str]:
        """One message."""
        symbol = self.symbols[fact.source]
        if isinstance(fact, Trade):
            deal = {
                "id": "0165e5e3", "size": base.decimal_text(fact.size), "price": base.decimal_text(fact.price),
                "side": "SELL" if fact.side is Side.SELL else "BUY", "createdAt": _iso(fact.venue_ns), "type": "LIMIT",
            }  # fmt: skip
            return [self._data(TRADES, symbol, {"trades": [deal]})]
        before, self._tops[symbol] = self._tops.get(symbol), fact
        if before is None:
            contents = {"bids": _levels(fact.bid, fact.bid_size), "asks": _levels(fact.ask, fact.ask_size)}
            asked = {"type": "subscribed", "channel": BOOK, "id": symbol}
            return [self._message(asked, {"contents": contents})]
        bids = _changes(before.bid, fact.bid, fact.bid_size)
        asks = _changes(before.ask, fact.ask, fact.ask_size)
        return [self._data(BOOK, symbol, {"bids": bids, "asks": asks})]

    def _data(self, channel: str, symbol: str, contents: dict[str, Any]) -> str:
        return self._message(
            {"type": "channel_data"}, {"id": symbol, "channel": channel, "version": "1.0.0", "contents": contents}
        )

    def _message(self, head: dict[str, Any], rest: dict[str, Any] | None = None) -> str:
        self._number += 1
        return _dump(head | {"connection_id": "2ddf629d", "message_id": self._number} | (rest or {}))


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads a recording made at `url`: v4, or nothing of v3."""
    return Retired(feeds, market) if "/v3/" in url else Session(feeds, market)


def _apply(side: Levels[float], said: Iterable[tuple[float, float]]) -> None:
    """Set, or with a size of zero remove, levels. Raises VenueError."""
    for price, size in said:
        if base.number(size):
            side.put(base.price(price), size)
        else:
            side.remove(base.price(price))
    side.keep(KEPT_LEVELS_MAX)


def _top(source: int, book: Book[float], recv_ns: Nanos) -> BookTop:
    return base.top(source, *(book.bids.best() or (0.0, 0.0)), *(book.asks.best() or (0.0, 0.0)), 0, recv_ns)


def _trade(source: int, deal: _Deal, recv_ns: Nanos) -> Trade:
    venue_ns = base.event_time_iso(deal.createdAt, recv_ns)
    return Trade(source, base.price(deal.price), base.size(deal.size), SIDES[deal.side], venue_ns, recv_ns)


def _levels(price: float, size: float) -> list[dict[str, str]]:
    return [{"price": base.decimal_text(price), "size": base.decimal_text(size)}] if price else []


def _changes(before: float, price: float, size: float) -> list[list[str]]:
    gone = [[base.decimal_text(before), "0"]] if before and before != price else []
    return gone + ([[base.decimal_text(price), base.decimal_text(size)]] if price else [])


def _iso(at_ns: Nanos) -> str:
    second = datetime.fromtimestamp(at_ns // NANOS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{second}.{at_ns % NANOS_PER_S // NANOS_PER_MS:03d}Z"


def _dump(said: dict[str, Any]) -> str:
    return msgspec.json.encode(said).decode()
