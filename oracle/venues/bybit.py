"""What Bybit says: tops of book and trades of its spot and linear markets, on its public v5 WebSocket.

Sources, read 2026-11-21: bybit-exchange.github.io/docs/v5/ws/connect and /docs/v5/websocket/public/orderbook (and
ticker).
`orderbook.1` gives the top every 10 ms when it changed, and repeats it after 3 s without a change. It is snapshots only
now, and was snapshots and deltas before: both are read. Its time is `ts`, when the message was made: `cts`, the
matching engine's, is not renewed by a repetition. Times are milliseconds. The client pings every 20 s; a subscription
to spot topics may name ten of them. Of the linear market `tickers` is read too, every 100 ms: a snapshot, then what
has changed, and of it the mark price, the index and the funding rate of the running interval.

A block trade is negotiated away from the book and is passed over. The dialects before v5 are refused.

Over REST the top is that of /docs/v5/market/orderbook, at `ts`, which is of the message there too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from oracle.core.types import NANOS_PER_MS, BookTop, Nanos, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base

_ADDRESSES = {
    "spot": "wss://stream.bybit.com/v5/public/spot",
    "linear": "wss://stream.bybit.com/v5/public/linear",
}
_TOPICS_MAX = 10  # a subscribe message may name so many
_TRADES_MAX = 1024  # a message may carry so many
_NO_LEVEL = (0.0, 0.0)
_SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}
_TOP = base.RestTop(
    url="https://api.bybit.com/v5/market/orderbook?symbol={symbol}&limit=1",
    bid="result.b.0.0", bid_size="result.b.0.1", ask="result.a.0.0", ask_size="result.a.0.1",
    time="result.ts", symbol="result.s", fine=("retCode", "0"),
)  # fmt: skip
_OLD_TOPICS = ("trade", "orderBookL2_25", "orderBook_200", "instrument_info", "depth", "bookTicker")


class _Levels(Struct):
    symbol: str = msgspec.field(name="s")
    bids: list[tuple[float, float]] = msgspec.field(name="b")
    asks: list[tuple[float, float]] = msgspec.field(name="a")
    update: int = msgspec.field(name="u")
    seq: int


class _Book(Struct):
    topic: str
    type: str
    time_ms: int = msgspec.field(name="ts")
    data: _Levels
    matched_ms: int = msgspec.field(name="cts", default=0)


class _Deal(Struct, gc=False):
    symbol: str = msgspec.field(name="s")
    side: str = msgspec.field(name="S")
    size: float = msgspec.field(name="v")
    price: float = msgspec.field(name="p")
    time_ms: int = msgspec.field(name="T")
    i: str
    block: bool = msgspec.field(name="BT")
    direction: str | UnsetType = msgspec.field(name="L", default=UNSET)
    rpi: bool | UnsetType = msgspec.field(name="RPI", default=UNSET)
    seq: int | UnsetType = UNSET


class _Deals(Struct):
    topic: str
    type: str
    time_ms: int = msgspec.field(name="ts")
    data: list[_Deal]


class _State(Struct, gc=False):
    symbol: str
    mark: base.Said = msgspec.field(name="markPrice", default=None)
    index: base.Said = msgspec.field(name="indexPrice", default=None)
    funding: base.Said = msgspec.field(name="fundingRate", default=None)


class _States(Struct):
    topic: str
    time_ms: int = msgspec.field(name="ts")
    data: _State


_BOOK: base.Decoder[_Book] = base.Decoder(_Book, (10,))
_DEALS: base.Decoder[_Deals] = base.Decoder(_Deals, range(11, 4 + 10 * _TRADES_MAX))
_STATES: base.Decoder[_States] = base.Decoder(_States)
_ANY: base.Decoder[dict[str, Any]] = base.Decoder(dict[str, Any])


class Session(base.Session):
    """A public v5 connection to the `spot` or the `linear` market."""

    venue = "bybit"
    symbols_max = 100
    ping_ms = 20_000
    words = ('"op":"subscribe"', '"op":"unsubscribe"')
    tops: ClassVar = {market: replace(_TOP, url=_TOP.url + f"&category={market}") for market in _ADDRESSES}

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._address = _ADDRESSES[market]
        self._tops = {f"orderbook.1.{f.symbol}": f for f in feeds}
        self._trades = {f"publicTrade.{f.symbol}": f for f in feeds}
        self._states = {f"tickers.{f.symbol}": f for f in feeds} if market == "linear" else {}
        self._kept: dict[str, _Levels] = {}

    def url(self) -> str:
        """The market's address."""
        return self._address

    def open(self) -> list[base.Send]:
        """As many subscriptions as the limit of topics makes necessary."""
        topics = [*self._tops, *self._trades, *self._states]
        chunks = [topics[at : at + _TOPICS_MAX] for at in range(0, len(topics), _TOPICS_MAX)]
        return [base.Send(_dump({"op": "subscribe", "args": chunk})) for chunk in chunks]

    def idle(self, now_ns: Nanos) -> list[base.Send]:
        """The ping that keeps the connection."""
        return [base.Send('{"op":"ping"}')]

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The facts in one frame. Raises VenueError."""
        if data.startswith(b'{"topic":"orderbook.1.'):
            return [self._read_top(data, recv_ns)]
        if data.startswith(b'{"topic":"publicTrade.'):
            return self._read_trades(data, recv_ns)
        if self._states and data.startswith(b'{"topic":"tickers.'):
            return self._read_state(data, recv_ns)
        return self._read_other(data, recv_ns)

    def _read_top(self, data: bytes, recv_ns: Nanos) -> BookTop:
        frame = _BOOK(data)
        if not frame.matched_ms:
            base.check_strictly(data)
        feed, said = _feed(self._tops, frame.topic, frame.data.symbol), frame.data
        venue_ns = base.event_time(frame.time_ms, NANOS_PER_MS, recv_ns)
        if frame.type == "delta":
            said = self._change(said)
        elif frame.type != "snapshot" or len(said.bids) > 1 or len(said.asks) > 1:
            raise VenueError(Refusal.WRONG_SHAPE, frame.type[:40])
        bid, bid_size = max(said.bids) if said.bids else _NO_LEVEL
        ask, ask_size = min(said.asks) if said.asks else _NO_LEVEL
        top = base.top(feed.source, bid, bid_size, ask, ask_size, venue_ns, recv_ns)
        self._kept[said.symbol] = said
        return top

    def _change(self, said: _Levels) -> _Levels:
        """Both sides after a delta; whatever goes wrong, the symbol is without a book from then on."""
        kept = self._kept.pop(said.symbol, None)
        if kept is None:
            raise VenueError(Refusal.NO_SNAPSHOT, said.symbol[:40])
        if said.update != kept.update + 1:
            raise VenueError(Refusal.SEQUENCE_GAP, f"{said.update} after {kept.update}")
        bids, asks = _merge(kept.bids, said.bids), _merge(kept.asks, said.asks)
        return _Levels(said.symbol, bids, asks, said.update, said.seq)

    def _read_trades(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        frame = _DEALS(data)
        if data.count(b'":') != 4 + sum(_fields(said) for said in frame.data):
            base.check_strictly(data)
        events: list[base.Event] = []
        for said in frame.data:
            feed = _feed(self._trades, frame.topic, said.symbol)
            venue_ns = base.event_time(said.time_ms, NANOS_PER_MS, recv_ns)
            side = _SIDES.get(said.side)
            if side is None:
                raise VenueError(Refusal.WRONG_SHAPE, said.side[:40])
            if not said.block:
                events.append(Trade(feed.source, base.price(said.price), base.size(said.size), side, venue_ns, recv_ns))
        return events

    def _read_state(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        frame = _STATES(data)
        said = frame.data
        feed = _feed(self._states, frame.topic, said.symbol)
        venue_ns = base.event_time(frame.time_ms, NANOS_PER_MS, recv_ns)
        return [*base.tickers(feed.source, said.mark, said.index, said.funding, venue_ns, recv_ns)]

    def _read_other(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said = _ANY(data)
        topic = said.get("topic")
        if str(topic).startswith("orderbook.1."):  # written with spaces: the quick look did not know it
            return [self._read_top(data, recv_ns)]
        if str(topic).startswith("publicTrade."):
            return self._read_trades(data, recv_ns)
        if self._states and str(topic).startswith("tickers."):
            return self._read_state(data, recv_ns)
        if "request" in said or "params" in said or str(topic).partition(".")[0] in _OLD_TOPICS:
            raise VenueError(Refusal.OLD_DIALECT, str(topic)[:40])
        if topic is not None:
            raise VenueError(Refusal.UNKNOWN_MESSAGE, str(topic)[:60])
        if said.get("success") is False:
            raise VenueError(Refusal.VENUE_ERROR, str(said.get("ret_msg"))[:120])
        if said.get("op") in ("subscribe", "unsubscribe", "ping", "pong"):
            return []
        raise VenueError(Refusal.UNKNOWN_MESSAGE, ",".join(said)[:80])


class Retired(Session):
    """Reads nothing: every frame of an address that is not v5 is of a dialect Bybit has retired."""

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """Raises VenueError OLD_DIALECT."""
        raise VenueError(Refusal.OLD_DIALECT, "before v5")


class Mimic(base.Mimic):
    """Bybit as the simulator plays it."""

    venue = "bybit"

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._update = 0

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        """A pong, an acknowledgement of topics that exist, or what is wrong with the request."""
        try:
            call = msgspec.json.decode(data, type=_Call)
        except msgspec.DecodeError:
            return [_answer("", False, "Params Error")]
        if call.op == "ping":
            return [_answer("ping", True, "pong")]
        unknown = [topic for topic in call.args if topic.rpartition(".")[2] not in self.symbols.values()]
        if call.op not in ("subscribe", "unsubscribe") or unknown or len(call.args) > _TOPICS_MAX:
            return [_answer(call.op, False, f"error:handler not found,topic:{','.join(unknown)}")]
        return [_answer(call.op, True, call.op)]

    def speak(self, fact: BookTop | Trade) -> list[str]:
        """One frame of `orderbook.1` (a snapshot) or `publicTrade`."""
        self._update += 1
        symbol, time_ms = self.symbols[fact.source], fact.venue_ns // NANOS_PER_MS
        head = {"type": "snapshot", "ts": time_ms}
        if isinstance(fact, Trade):
            return [_dump({"topic": f"publicTrade.{symbol}", **head, "data": [self._deal(symbol, fact)]})]
        said = {
            "s": symbol,
            "b": _side(fact.bid, fact.bid_size),
            "a": _side(fact.ask, fact.ask_size),
            "u": self._update,
            "seq": self._update,
        }
        return [_dump({"topic": f"orderbook.1.{symbol}", **head, "data": said, "cts": time_ms})]

    def _deal(self, symbol: str, fact: Trade) -> dict[str, object]:
        return {
            "T": fact.venue_ns // NANOS_PER_MS,
            "s": symbol,
            "S": "Buy" if fact.side == Side.BUY else "Sell",
            "v": base.decimal_text(fact.size),
            "p": base.decimal_text(fact.price),
            "i": str(self._update),
            "BT": False,
            "RPI": False,
            "seq": self._update,
        }


class _Call(Struct):
    op: str
    args: list[str] = []


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads a recording made at `url`: v5 and its market, or nothing of what came before."""
    if url and "/v5/public/" not in url:
        return Retired(feeds, market)
    name = url.rpartition("/")[2]
    return Session(feeds, name if name in _ADDRESSES else market)


def _feed(topics: dict[str, base.Feed], topic: str, symbol: str) -> base.Feed:
    feed = topics.get(topic)
    if feed is None or feed.symbol != symbol:
        raise VenueError(Refusal.UNKNOWN_SYMBOL, f"{topic} {symbol}"[:60])
    return feed


def _fields(said: _Deal) -> int:
    return 7 + (said.direction is not UNSET) + (said.rpi is not UNSET) + (said.seq is not UNSET)


def _merge(kept: list[tuple[float, float]], changed: list[tuple[float, float]]) -> list[tuple[float, float]]:
    levels = dict(kept)
    for price, size in changed:
        levels[base.price(price)] = base.number(size)
    return [(price, size) for price, size in levels.items() if size]


def _side(price: float, size: float) -> list[list[str]]:
    return [[base.decimal_text(price), base.decimal_text(size)]] if price else []


def _answer(op: str, success: bool, message: str) -> str:
    return _dump({"success": success, "ret_msg": message, "conn_id": "c0ffee00-0000", "req_id": "", "op": op})


def _dump(said: dict[str, Any]) -> str:
    return msgspec.json.encode(said).decode()
