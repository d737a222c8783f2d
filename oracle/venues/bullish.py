"""What Bullish says: tops of book, or trades, on its public WebSocket routes.

Source: docs.exchange.bullish.com/websocket/public/multi-orderbook and
mintlify.wiki/bullish-exchange/api-docs/websockets (overview, market-data), read in part on 2026-11-21. `l1Orderbook`
gives the whole top as the book changes; an empty side is zeros. Its time is `timestamp`, when the engine made it, in
milliseconds. Tops and trades have each a route of their own, so that one connection carries one of them: the market
`spot` dials the tops, the market `trades` the trades; either reads both. The first batch of trades, a snapshot,
repeats the last hundred and is of the past. A trade's time is its `createdAtDatetime`, for captures disagree on the
unit of the integer beside it. Not found in those pages, and taken from captures and other clients: that `side` is the
taker's where `isTaker` is true and the maker's where not, and the ping and its answer. Symbols: `BTCUSD`, `BTCUSDC`
and their like; perpetuals stand beside them as `BTC-USDC-PERP`.

Over REST the top is that of the hybrid order book, which can no longer be asked for at a depth (changes of 2025).
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

HOST = "wss://api.exchange.bullish.com/trading-api/v1/market-data/"
ROUTES = {"spot": "orderbook", "trades": "trades"}
TOPICS = {"spot": "l1Orderbook", "trades": "anonymousTrades"}
TOP, TRADES, HEARTBEAT = "V1TALevel1", "V1TAAnonymousTradeUpdate", "V1TAHeartbeat"
TOP_KEYS, BATCH_KEYS, TRADE_KEYS = 9, 7, 9  # without what may be missing
TRADES_MAX = 1024  # a batch may carry so many
MS_MIN, MS_MAX = 10**12, 10**14  # from 2001 on; another unit is outside, even where nobody knows the time
FINE = "200"
REST_TOP = base.RestTop(
    url="https://api.exchange.bullish.com/trading-api/v1/markets/{symbol}/orderbook/hybrid",
    bid="bids.0.price", bid_size="bids.0.priceLevelQuantity", ask="asks.0.price", ask_size="asks.0.priceLevelQuantity",
    time="timestamp", quoted_time=True,
)  # fmt: skip


class _Top(Struct, gc=False):
    time_ms: int = msgspec.field(name="timestamp")
    bid: tuple[float, float]
    ask: tuple[float, float]
    datetime: str
    seq: int = msgspec.field(name="sequenceNumber")
    symbol: str
    published: Raw | UnsetType = msgspec.field(name="publishedAtTimestamp", default=UNSET)


class _Tops(Struct):
    type: Literal["snapshot", "update"]
    kind: Literal["V1TALevel1"] = msgspec.field(name="dataType")
    data: _Top


class _Deal(Struct, gc=False):
    id: Raw = msgspec.field(name="tradeId")
    taker: bool = msgspec.field(name="isTaker")
    price: float
    size: float = msgspec.field(name="quantity")
    side: Literal["BUY", "SELL"]
    symbol: str
    created: Raw = msgspec.field(name="createdAtTimestamp")
    created_at: str = msgspec.field(name="createdAtDatetime")
    published: Raw = msgspec.field(name="publishedAtTimestamp")
    updated: Raw | UnsetType = msgspec.field(name="lastUpdatedTimestamp", default=UNSET)


class _Batch(Struct):
    symbol: str
    trades: list[_Deal]
    created: Raw = msgspec.field(name="createdAtTimestamp")
    published: Raw = msgspec.field(name="publishedAtTimestamp")


class _Batches(Struct):
    type: Literal["snapshot", "update"]
    kind: Literal["V1TAAnonymousTradeUpdate"] = msgspec.field(name="dataType")
    data: _Batch


class _Result(Struct):
    code: str = msgspec.field(name="responseCode", default="")
    message: str = ""


class _Other(Struct):
    """What any other message says of itself."""

    kind: str = msgspec.field(name="dataType", default="")
    result: _Result | None = None
    error: Any = None


_TOPS: base.Decoder[_Tops] = base.Decoder(_Tops, (TOP_KEYS, TOP_KEYS + 1))
_BATCHES: base.Decoder[_Batches] = base.Decoder(_Batches, range(BATCH_KEYS, 1 + BATCH_KEYS + 10 * TRADES_MAX))
_OTHER: base.Decoder[_Other] = base.Decoder(_Other)


class Session(base.Session):
    """A public connection to the route of the tops (`spot`) or of the trades (`trades`)."""

    venue = "bullish"
    symbols_max = 100
    ping_ms = 30_000
    words = ('"method":"subscribe"', '"method":"unsubscribe"')
    markets = tuple(ROUTES)
    tops: ClassVar = {"spot": REST_TOP}

    def url(self) -> str:
        """The address to dial."""
        return HOST + ROUTES[self.market]

    def open(self) -> list[base.Send]:
        """A subscription a symbol."""
        topic = TOPICS[self.market]
        return [
            base.Send(_command("subscribe", count, {"topic": topic, "symbol": symbol}))
            for count, symbol in enumerate(self.sources, 1)
        ]

    def idle(self, now_ns: Nanos) -> list[base.Send]:
        """The ping that keeps the connection."""
        return [base.Send(_command("keepalivePing", now_ns // NANOS_PER_MS, {}))]

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The facts in one frame. Raises VenueError."""
        if b'"V1TALevel1"' in data:
            return [self._read_top(data, recv_ns)]
        if b'"V1TAAnonymousTradeUpdate"' in data:
            return self._read_batch(data, recv_ns)
        _check_other(_OTHER(data))
        return []

    def _read_top(self, data: bytes, recv_ns: Nanos) -> BookTop:
        said = _TOPS(data).data
        if data.count(b'":') != TOP_KEYS + (said.published is not UNSET):
            base.check_strictly(data)
        if not MS_MIN <= said.time_ms < MS_MAX:
            raise VenueError(Refusal.TIME_UNIT, f"{said.time_ms} ms")
        venue_ns = base.event_time(said.time_ms, NANOS_PER_MS, recv_ns)
        return base.top(self.source_of(said.symbol), *said.bid, *said.ask, venue_ns, recv_ns)

    def _read_batch(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        push = _BATCHES(data)
        deals = push.data.trades
        if data.count(b'":') != BATCH_KEYS + sum(TRADE_KEYS + (deal.updated is not UNSET) for deal in deals):
            base.check_strictly(data)
        source = self.source_of(push.data.symbol)
        for deal in deals:
            if deal.symbol != push.data.symbol:
                raise VenueError(Refusal.UNKNOWN_SYMBOL, deal.symbol[:40])
        if push.type == "snapshot":
            return []
        return [_trade(source, deal, recv_ns) for deal in deals]


class Mimic(base.Mimic):
    """Bullish as the simulator plays it: it speaks both routes' messages to whoever asked for a symbol."""

    venue = "bullish"

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._seq = 0

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        """A pong, an acknowledgement of a symbol that exists, or what is wrong with the request."""
        try:
            call = msgspec.json.decode(data, type=_Call)
        except msgspec.DecodeError:
            return [_failed(None, "Invalid request")]
        if call.method == "keepalivePing":
            return [_done(call.id, "Keep alive pong")]
        if call.method not in ("subscribe", "unsubscribe") or call.params.topic not in TOPICS.values():
            return [_failed(call.id, f"Unknown topic {call.params.topic}")]
        if call.params.symbol not in self.symbols.values():
            return [_failed(call.id, f"Unknown symbol {call.params.symbol}")]
        return [_done(call.id, f"Successfully {call.method}d to {call.params.topic}")]

    def speak(self, fact: BookTop | Trade) -> list[str]:
        """One frame of a top or of a batch of one trade."""
        self._seq += 1
        symbol, time_ms = self.symbols[fact.source], str(fact.venue_ns // NANOS_PER_MS)
        if isinstance(fact, BookTop):
            said: dict[str, Any] = {
                "timestamp": time_ms,
                "bid": [base.decimal_text(fact.bid), base.decimal_text(fact.bid_size)],
                "ask": [base.decimal_text(fact.ask), base.decimal_text(fact.ask_size)],
                "publishedAtTimestamp": time_ms,
                "datetime": _iso(fact.venue_ns),
                "sequenceNumber": str(self._seq),
                "symbol": symbol,
            }
            return [_dump({"type": "update", "dataType": TOP, "data": said})]
        deal = {
            "tradeId": str(self._seq),
            "isTaker": True,
            "price": base.decimal_text(fact.price),
            "createdAtTimestamp": time_ms,
            "quantity": base.decimal_text(fact.size),
            "publishedAtTimestamp": time_ms,
            "side": "SELL" if fact.side is Side.SELL else "BUY",
            "createdAtDatetime": _iso(fact.venue_ns),
            "symbol": symbol,
        }
        said = {"trades": [deal], "createdAtTimestamp": time_ms, "publishedAtTimestamp": time_ms, "symbol": symbol}
        return [_dump({"type": "update", "dataType": TRADES, "data": said})]


class _Params(Struct):
    topic: str = ""
    symbol: str = ""


class _Call(Struct):
    method: str
    id: str | None = None
    params: _Params = msgspec.field(default_factory=_Params)


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads a recording made at `url`."""
    return Session(feeds, market)


def _trade(source: int, said: _Deal, recv_ns: Nanos) -> Trade:
    side = Side.BUY if (said.side == "BUY") == said.taker else Side.SELL
    venue_ns = base.event_time_iso(said.created_at, recv_ns)
    return Trade(source, base.price(said.price), base.size(said.size), side, venue_ns, recv_ns)


def _check_other(said: _Other) -> None:
    """Raise VenueError unless the message is an acknowledgement, a pong or a heartbeat."""
    if said.error is not None:
        raise VenueError(Refusal.VENUE_ERROR, str(said.error)[:120])
    if said.result is not None:
        if said.result.code != FINE:
            raise VenueError(Refusal.VENUE_ERROR, f"{said.result.code} {said.result.message}"[:120])
    elif said.kind != HEARTBEAT:
        raise VenueError(Refusal.UNKNOWN_MESSAGE, said.kind[:40])


def _iso(at_ns: Nanos) -> str:
    second = datetime.fromtimestamp(at_ns // NANOS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{second}.{at_ns % NANOS_PER_S // NANOS_PER_MS:03d}Z"


def _command(method: str, number: int, params: dict[str, Any]) -> str:
    return _dump({"jsonrpc": "2.0", "type": "command", "method": method, "params": params, "id": str(number)})


def _done(number: str | None, message: str) -> str:
    result = {"responseCodeName": "OK", "responseCode": FINE, "message": message}
    return _dump({"id": number, "jsonrpc": "2.0", "result": result})


def _failed(number: str | None, message: str) -> str:
    return _dump({"id": number, "jsonrpc": "2.0", "error": {"code": -32602, "message": message}})


def _dump(said: dict[str, Any]) -> str:
    return msgspec.json.encode(said).decode()
