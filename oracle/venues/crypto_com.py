"""What Crypto.com Exchange says: books and trades of spot pairs and perpetuals, on its public v1 WebSocket.

Source: exchange-developer.crypto.com/exchange/v1/docs/api/websocket, the pages of `book.{instrument_name}.{depth}`,
`trade.{instrument_name}` and `public/heartbeat`, read 2026-11-21. `ticker` is the day's statistics and promises no
pace, and whole books come every 500 ms, so the book of ten levels is kept from its deltas: one every 10 ms when it
changed, an empty one after 5 s when it did not. `pu` of a delta must be `u` of what was heard before it; `cs` is a
checksum whose rule is not published and is not taken. The event time is `t`, when the message was made: `tt`, the
book's last change, is not renewed by an empty delta. Times are milliseconds. What the venue answers to a request bears
the request's id, what it says by itself -1. A subscription to trades begins with the last fifty, which are of the past:
its first message counts only when it is no answer and holds one trade. The venue's heartbeat, every 30 s, is answered
within 5 s.

A request shall bear a nonce, the time, not a minute off. There is no clock at hand when a connection opens, and the
venue has served public channels without it. It also advises to wait a second before the first request, because its
limit is counted by the calendar second. So everything is asked in one request, and what has no book by the next look
is asked for again, with the nonce. Symbols: `BTC_USD`, `ETH_USD`, `USDT_USD`, `BTCUSD-PERP`.
The dialect before v1 names no id: it is refused.

Over REST the top is that of `public/get-book`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from oracle.core.book import Book, Levels
from oracle.core.types import NANOS_PER_MS, BookTop, Nanos, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base

URL = "wss://stream.crypto.com/exchange/v1/market"
UNASKED = -1  # the id of what the venue says by itself
DEPTH = 10
KINDS = (f"book.{{}}.{DEPTH}", "trade.{}")  # of channels, by symbol
SNAPSHOT_KEYS, TRADES_KEYS = 15, 8  # of a snapshot with its checksum, of a message of no trades
DELTA_KEYS = SNAPSHOT_KEYS + 2
TRADES_MAX = 1024  # a message may carry so many
UPDATE_MS = 10
UNKNOWN = 40003
SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
TOP = base.RestTop(
    url="https://api.crypto.com/exchange/v1/public/get-book?instrument_name={symbol}&depth=1",
    bid="result.data.0.bids.0.0", bid_size="result.data.0.bids.0.1",
    ask="result.data.0.asks.0.0", ask_size="result.data.0.asks.0.1",
    time="result.data.0.t", symbol="result.instrument_name", fine=("code", "0"),
)  # fmt: skip

Level = tuple[float, float, int]  # price, size, the number of orders


class _Sides(Struct):
    bids: list[Level]
    asks: list[Level]


class _Snapshot(_Sides):
    time_ms: int = msgspec.field(name="t")
    changed_ms: int = msgspec.field(name="tt")
    update_id: int = msgspec.field(name="u")
    checksum: int | UnsetType = msgspec.field(name="cs", default=UNSET)


class _Delta(Struct):
    update: _Sides
    time_ms: int = msgspec.field(name="t")
    changed_ms: int = msgspec.field(name="tt")
    update_id: int = msgspec.field(name="u")
    previous_id: int = msgspec.field(name="pu")
    checksum: int | UnsetType = msgspec.field(name="cs", default=UNSET)


class _Deal(Struct, gc=False):
    deal_id: str = msgspec.field(name="d")
    time_ms: int = msgspec.field(name="t")
    price: float = msgspec.field(name="p")
    size: float = msgspec.field(name="q")
    side: str = msgspec.field(name="s")
    symbol: str = msgspec.field(name="i")
    match_id: str | UnsetType = msgspec.field(name="m", default=UNSET)


class _Result(Struct):
    symbol: str = msgspec.field(name="instrument_name")
    subscription: str
    channel: str


class _SnapshotResult(_Result):
    depth: int
    data: list[_Snapshot]


class _DeltaResult(_Result):
    depth: int
    data: list[_Delta]


class _DealsResult(_Result):
    data: list[_Deal]


class _Frame(Struct):
    id: int
    method: str
    code: int


class _Snapshots(_Frame):
    result: _SnapshotResult


class _Deltas(_Frame):
    result: _DeltaResult


class _Deals(_Frame):
    result: _DealsResult


_SNAPSHOT: base.Decoder[_Snapshots] = base.Decoder(_Snapshots, (SNAPSHOT_KEYS,))
_DELTA: base.Decoder[_Deltas] = base.Decoder(_Deltas, (DELTA_KEYS,))
_DEALS: base.Decoder[_Deals] = base.Decoder(_Deals, range(TRADES_KEYS + 6, TRADES_KEYS + 7 * TRADES_MAX))
_ANY: base.Decoder[dict[str, Any]] = base.Decoder(dict[str, Any])


class _Keeper:
    """One symbol's ten levels, and the number of the update they stand at."""

    __slots__ = ("book", "update_id")

    def __init__(self, update_id: int) -> None:
        self.book: Book[float] = Book()
        self.update_id = update_id

    def apply(self, said: _Sides) -> None:
        """Change both sides. Raises VenueError, and then the book is of no use."""
        if said.bids:
            _change(self.book.bids, said.bids)
        if said.asks:
            _change(self.book.asks, said.asks)


class Session(base.Session):
    """A public connection; spot pairs and perpetuals may stand side by side."""

    venue = "crypto_com"
    symbols_max = 200  # of the 400 channels that a connection may carry
    ping_ms = 5_000  # the venue wants none: it is when a subscription that brought nothing is looked at again
    dials_per_minute_max = 20
    tops: ClassVar = {"": TOP}

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._book_channels = {KINDS[0].format(f.symbol): f for f in feeds}
        self._trade_channels = {KINDS[1].format(f.symbol): f for f in feeds}
        self._kept: dict[str, _Keeper] = {}
        self._answered: set[str] = set()

    def url(self) -> str:
        """The address to dial."""
        return URL

    def open(self) -> list[base.Send]:
        """One subscription to everything; the books of an earlier connection are forgotten."""
        self._kept.clear()
        self._answered.clear()
        return [_subscription([*self._book_channels, *self._trade_channels], {"id": 1})]

    def resubscribe(self, symbols: Sequence[str]) -> list[base.Send]:
        """Ends the channels of these symbols and asks for them again: trades begin with those of the past once more."""
        channels = [kind.format(symbol) for kind in KINDS for symbol in symbols]
        self._answered.difference_update(channels)
        ended = {"id": 1, "method": "unsubscribe", "params": {"channels": channels}}
        return [base.Send(_dump(ended)), _subscription(channels, {"id": 1})]

    def idle(self, now_ns: Nanos) -> list[base.Send]:
        """Ask again for the books, and their trades, that did not come."""
        missing = [feed.symbol for feed in self.feeds if feed.symbol not in self._kept]
        channels = [kind.format(symbol) for kind in KINDS for symbol in missing]
        self._answered.difference_update(channels)
        return [_subscription(channels, {"id": 2, "nonce": now_ns // NANOS_PER_MS})] if channels else []

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The facts and replies in one frame. Raises VenueError."""
        if b'"channel":"book.update"' in data:
            return self._read_deltas(data, recv_ns)
        if b'"channel":"trade"' in data:
            return self._read_trades(data, recv_ns)
        if b'"channel":"book"' in data:
            return self._read_snapshots(data, recv_ns)
        return self._read_other(data, recv_ns)

    def _read_deltas(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        result = _decoded(_DELTA, data).result
        feed = self._feed(self._book_channels, result)
        events: list[base.Event] = []
        for said in result.data:
            if said.checksum is UNSET:
                base.check_strictly(data)
            venue_ns = base.event_time(said.time_ms, NANOS_PER_MS, recv_ns)
            kept = self._kept.pop(feed.symbol, None)  # whatever goes wrong, the symbol is without a book from then on
            if kept is None:
                raise VenueError(Refusal.NO_SNAPSHOT, feed.symbol[:40])
            if said.previous_id != kept.update_id:
                raise VenueError(Refusal.SEQUENCE_GAP, f"{said.previous_id} after {kept.update_id}")
            kept.apply(said.update)
            kept.update_id = said.update_id
            self._kept[feed.symbol] = kept
            events.append(_top(feed.source, kept.book, venue_ns, recv_ns))
        return events

    def _read_snapshots(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        result = _decoded(_SNAPSHOT, data).result
        feed = self._feed(self._book_channels, result)
        events: list[base.Event] = []
        for said in result.data:
            if said.checksum is UNSET:
                base.check_strictly(data)
            venue_ns = base.event_time(said.time_ms, NANOS_PER_MS, recv_ns)
            self._kept.pop(feed.symbol, None)
            kept = _Keeper(said.update_id)
            kept.apply(said)
            self._kept[feed.symbol] = kept
            events.append(_top(feed.source, kept.book, venue_ns, recv_ns))
        return events

    def _read_trades(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        frame = _decoded(_DEALS, data)
        said = frame.result.data
        if data.count(b'":') != TRADES_KEYS + sum(6 + (deal.match_id is not UNSET) for deal in said):
            base.check_strictly(data)
        feed = self._feed(self._trade_channels, frame.result)
        trades: list[base.Event] = [_trade(feed, deal, recv_ns) for deal in reversed(said)]  # it says the newest first
        if frame.result.subscription in self._answered:
            return trades
        self._answered.add(frame.result.subscription)
        return trades if frame.id == UNASKED and len(trades) == 1 else []

    def _read_other(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said = _ANY(data)
        if said.get("code", 0) != 0:
            raise VenueError(Refusal.VENUE_ERROR, f"{said.get('code')} {said.get('message')}"[:120])
        method, result = said.get("method"), said.get("result")
        if method == "public/heartbeat":
            return [base.Send(_dump({"id": _number(said.get("id")), "method": "public/respond-heartbeat"}))]
        if result is None and method in ("subscribe", "unsubscribe"):
            return []
        channel = result.get("channel") if isinstance(result, dict) else None
        if channel == "book":  # written with spaces: the quick look did not know it
            return self._read_snapshots(data, recv_ns)
        if channel == "book.update":
            return self._read_deltas(data, recv_ns)
        if channel == "trade":
            return self._read_trades(data, recv_ns)
        raise VenueError(Refusal.UNKNOWN_MESSAGE, str(channel or method)[:40])

    def _feed(self, channels: dict[str, base.Feed], result: _Result) -> base.Feed:
        feed = channels.get(result.subscription)
        if feed is None or feed.symbol != result.symbol:
            self.source_of(result.symbol)
            raise VenueError(Refusal.UNKNOWN_MESSAGE, result.subscription[:60])
        return feed


class Mimic(base.Mimic):
    """Crypto.com as the simulator plays it. Each top is said as the snapshot of a book of one level a side."""

    venue = "crypto_com"
    ping_ms = 30_000

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._channels = {kind.format(feed.symbol) for feed in feeds for kind in KINDS}
        self._count = 0

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        """An acknowledgement of channels that exist, or what is wrong with the request."""
        try:
            call = msgspec.json.decode(data, type=_Call)
        except msgspec.DecodeError:
            return [_dump({"id": UNASKED, "code": UNKNOWN, "message": "Invalid request"})]
        answer = {"id": call.id, "method": call.method}
        if call.method == "public/respond-heartbeat":
            return []
        unknown = [channel for channel in call.params.channels if channel not in self._channels]
        if call.method not in ("subscribe", "unsubscribe") or unknown:
            return [_dump({**answer, "code": UNKNOWN, "message": f"Unknown channel {','.join(unknown)}"})]
        return [_dump({**answer, "code": 0})]

    def speak(self, fact: BookTop | Trade) -> list[str]:
        """One frame of `book` or of `trade`."""
        self._count += 1
        symbol, time_ms = self.symbols[fact.source], fact.venue_ns // NANOS_PER_MS
        if isinstance(fact, Trade):
            deal = {
                "d": str(self._count),
                "t": time_ms,
                "p": base.decimal_text(fact.price),
                "q": base.decimal_text(fact.size),
                "s": "SELL" if fact.side is Side.SELL else "BUY",
                "i": symbol,
                "m": str(self._count),
            }
            return [_push(symbol, f"trade.{symbol}", "trade", {"data": [deal]})]
        book = {
            "asks": _side(fact.ask, fact.ask_size),
            "bids": _side(fact.bid, fact.bid_size),
            "t": time_ms,
            "tt": time_ms,
            "u": self._count,
            "cs": 0,
        }
        return [_push(symbol, f"book.{symbol}.{DEPTH}", "book", {"depth": DEPTH, "data": [book]})]

    def heartbeat(self, now_ns: Nanos) -> list[str]:
        """What the client must answer."""
        return [_dump({"id": now_ns // NANOS_PER_MS, "method": "public/heartbeat", "code": 0})]


class _Params(Struct):
    channels: list[str] = []


class _Call(Struct):
    method: str
    id: int = UNASKED
    params: _Params = msgspec.field(default_factory=_Params)


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads a recording made at `url`."""
    return Session(feeds, market)


def _subscription(channels: list[str], head: dict[str, int]) -> base.Send:
    params = {
        "channels": channels,
        "book_subscription_type": "SNAPSHOT_AND_UPDATE",
        "book_update_frequency": UPDATE_MS,
    }
    return base.Send(_dump({**head, "method": "subscribe", "params": params}))


def _decoded(decoder: base.Decoder[base.T], data: bytes) -> base.T:
    try:
        return decoder(data)
    except VenueError as error:
        if error.reason is Refusal.WRONG_SHAPE and b'"id"' not in data:
            raise VenueError(Refusal.OLD_DIALECT, "before v1") from None
        raise


def _change(levels: Levels[float], said: list[Level]) -> None:
    for price, size, _ in said:
        if base.number(size):
            levels.put(base.price(price), size)
        else:
            levels.remove(base.price(price))
    levels.keep(DEPTH)


def _top(source: int, book: Book[float], venue_ns: Nanos, recv_ns: Nanos) -> BookTop:
    bid, bid_size = book.bids.best() or (0.0, 0.0)
    ask, ask_size = book.asks.best() or (0.0, 0.0)
    return BookTop(source, bid, bid_size, ask, ask_size, venue_ns, recv_ns)


def _trade(feed: base.Feed, said: _Deal, recv_ns: Nanos) -> Trade:
    side = SIDES.get(said.side)
    if side is None:
        raise VenueError(Refusal.WRONG_SHAPE, said.side[:40])
    if said.symbol != feed.symbol:
        raise VenueError(Refusal.UNKNOWN_SYMBOL, said.symbol[:40])
    venue_ns = base.event_time(said.time_ms, NANOS_PER_MS, recv_ns)
    return Trade(feed.source, base.price(said.price), base.size(said.size), side, venue_ns, recv_ns)


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise VenueError(Refusal.WRONG_SHAPE, "a heartbeat without a number")
    return value


def _push(symbol: str, subscription: str, channel: str, rest: dict[str, Any]) -> str:
    result = {"instrument_name": symbol, "subscription": subscription, "channel": channel, **rest}
    return _dump({"id": UNASKED, "method": "subscribe", "code": 0, "result": result})


def _side(price: float, size: float) -> list[list[str]]:
    return [[base.decimal_text(price), base.decimal_text(size), "1"]] if price else []


def _dump(said: dict[str, Any]) -> str:
    return msgspec.json.encode(said).decode()
