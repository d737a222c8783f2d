"""What itBit, Paxos's exchange, says: the book of one market, on the public market data WebSocket, and its top.

Sources, read 2026-11-21: docs.paxos.com/api-reference/websockets/overview and docs.paxos.com/api/websockets (market
data feed), docs.paxos.com/api-reference/endpoints/market-data/get-order-book. A connection is of the market that its
address names, and needs no login: a `SNAPSHOT` of the whole book, best first, then `UPDATE`s, each the new amount of
one level; an amount of zero takes it away. Nothing states a time. Symbols: `BTCUSD`, `ETHUSD`, `PAXGUSD`.

Paxos calls itBit deprecated: the page of the REST book says that who needs market data shall move to a feed for its
customers. No page that was found says when the exchange ends, or names these feeds as retired.

Trades come from another address (`/executiondata/{market}`) and state no side: they are not read.

The updates bear no number, so nothing in a message tells that the one before it is lost. Three things keep the book
honest: a frame that is refused leaves no book behind; an update after which the best bid reaches the best ask cannot
have followed its book, so it is a gap; and a connection is given up after ten minutes, so that a fresh snapshot comes.
That a snapshot may come again on the same connection, and an update name a level that is not there, is assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import msgspec
from msgspec import Struct

from oracle.core.book import Book
from oracle.core.types import BookTop, Nanos, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base

URL = "wss://ws.paxos.com/marketdata/"
UPDATE_KEYS = 5
KEPT_LEVELS_MAX = 5_000  # of a side
EMPTY = (0.0, 0.0)


class _Update(Struct, gc=False):
    type: Literal["UPDATE"]
    market: str
    side: Literal["BUY", "SELL"]
    price: float
    amount: float


class _Level(Struct, gc=False):
    price: float
    amount: float


class _Snapshot(Struct):
    type: Literal["SNAPSHOT"]
    market: str
    bids: list[_Level]
    asks: list[_Level]


_updates: base.Decoder[_Update] = base.Decoder(_Update, keys=(UPDATE_KEYS,))
_snapshots: base.Decoder[_Snapshot] = base.Decoder(_Snapshot)
_any: base.Decoder[dict[str, Any]] = base.Decoder(dict[str, Any])


class Session(base.Session):
    """Reads the top of the book it keeps."""

    venue = "itbit"
    symbols_max = 1
    lifetime_ms = 600_000
    tops: ClassVar = {
        "": base.RestTop(
            url="https://api.paxos.com/v2/markets/{symbol}/order-book",
            bid="bids.0.price",
            bid_size="bids.0.amount",
            ask="asks.0.price",
            ask_size="asks.0.amount",
            symbol="market",
        )
    }

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        if len(feeds) != 1:
            raise ValueError("a connection to itBit is of one market")
        self._book: Book[float] | None = None

    def url(self) -> str:
        """The market's address."""
        return URL + self.feeds[0].symbol

    def open(self) -> list[base.Send]:
        """Nothing: the address says it all."""
        self._book = None
        return []

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The top after one frame. Raises VenueError."""
        book, self._book = self._book, None
        if b'"UPDATE"' in data:
            made = self._changed(book, _updates(data))
        elif b'"SNAPSHOT"' in data:
            made = self._replaced(_snapshots(data))
        else:
            said = _any(data)
            self._book = book  # what is whole, and not of the book, has not changed it
            raise _refusal(said)
        self._book = made
        bid, bid_size = made.bids.best() or EMPTY
        ask, ask_size = made.asks.best() or EMPTY
        return [BookTop(self.feeds[0].source, bid, bid_size, ask, ask_size, 0, recv_ns)]

    def _replaced(self, said: _Snapshot) -> Book[float]:
        self.source_of(said.market)
        book: Book[float] = Book()
        book.bids.replace((base.price(level.price), base.size(level.amount)) for level in said.bids)
        book.asks.replace((base.price(level.price), base.size(level.amount)) for level in said.asks)
        book.bids.keep(KEPT_LEVELS_MAX)
        book.asks.keep(KEPT_LEVELS_MAX)
        return book

    def _changed(self, book: Book[float] | None, said: _Update) -> Book[float]:
        self.source_of(said.market)
        price, amount = base.price(said.price), base.number(said.amount)
        if book is None:
            raise VenueError(Refusal.NO_SNAPSHOT, said.market)
        side = book.bids if said.side == "BUY" else book.asks
        if amount:
            side.put(price, amount)
            side.keep(KEPT_LEVELS_MAX)
        else:
            side.remove(price)
        bid, ask = book.bids.best(), book.asks.best()
        if bid and ask and bid[0] >= ask[0]:
            raise VenueError(Refusal.SEQUENCE_GAP, f"{bid[0]} bid over {ask[0]}")
        return book


class Mimic(base.Mimic):
    """itBit to one client: a snapshot, an update where one level tells the difference, else a snapshot again."""

    venue = "itbit"
    states_book_time = False
    states_trades = False

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._tops: dict[int, BookTop] = {}

    def speak(self, fact: BookTop | Trade) -> list[str]:
        """One frame, or none of a trade."""
        if isinstance(fact, Trade):
            return []
        before, self._tops[fact.source] = self._tops.get(fact.source), fact
        market = self.symbols[fact.source]
        change = None if before is None else _change(before, fact)
        if change is None:
            sides = {"bids": _levels(fact.bid, fact.bid_size), "asks": _levels(fact.ask, fact.ask_size)}
            return [_dump({"type": "SNAPSHOT", "market": market, **sides, "final_snapshot": True})]
        side, price, amount = change
        level = {"price": base.decimal_text(price), "amount": base.decimal_text(amount)}
        return [_dump({"type": "UPDATE", "market": market, "side": side, **level})]


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads a recording made at `url`; there has been one dialect of the feed."""
    return Session(feeds, market)


def _refusal(said: dict[str, Any]) -> VenueError:
    """Why a message is refused that is neither of the feed's two."""
    if "error" in said:
        return VenueError(Refusal.VENUE_ERROR, str(said["error"])[:120])
    return VenueError(Refusal.UNKNOWN_MESSAGE, str(said.get("type"))[:40])


def _change(before: BookTop, fact: BookTop) -> tuple[str, float, float] | None:
    """The level that, put in, makes one top the other: the best of a side changed its amount, or was overbid."""
    if fact.bid and fact.ask and fact.bid >= fact.ask:
        return None
    bids, asks = (before.bid, before.bid_size), (before.ask, before.ask_size)
    if asks == (fact.ask, fact.ask_size) and fact.bid and fact.bid >= before.bid:
        return "BUY", fact.bid, fact.bid_size
    if bids == (fact.bid, fact.bid_size) and fact.ask and (fact.ask <= before.ask or not before.ask):
        return "SELL", fact.ask, fact.ask_size
    return None


def _levels(price: float, amount: float) -> list[dict[str, str]]:
    return [{"price": base.decimal_text(price), "amount": base.decimal_text(amount)}] if price else []


def _dump(said: dict[str, Any]) -> str:
    return msgspec.json.encode(said).decode()
