"""What bitFlyer says: tops of book and trades, on Lightning's realtime API, JSON-RPC 2.0 over a WebSocket.

Source: bf-lightning-api.readme.io/docs/endpoint-json-rpc and lightning.bitflyer.com/docs (realtime playground), read
in part on 2026-11-21; the pages on the channels were read in a copy of their text. `lightning_ticker_$product` gives
the whole top, and the state of its market: while that is not RUNNING it is closed, restarting, in an auction or in a
circuit break, and a book is no price. The snapshots of the board are thinned out and its differences bear no number
that would show a gap, so neither is asked. `lightning_executions_$product` gives the trades from the connection on;
`side` is read as the taker's, and an empty one as that of an auction. Times are ISO 8601 in UTC, to 100 ns. A
subscription is answered by `true`. No ping of the venue's own grammar was found. Symbols: `BTC_JPY`, `ETH_JPY`,
`ETH_BTC`. `FX_BTC_JPY` is no spot market.

Over REST the top is `GET /v1/ticker` of the same documentation, whose time names no zone and is read as UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from oracle.core.types import NANOS_PER_S, BookTop, Nanos, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base

URL = "wss://ws.lightstream.bitflyer.com/json-rpc"
TICKER, EXECUTIONS = "lightning_ticker_", "lightning_executions_"
CHANNELS = (TICKER, EXECUTIONS)
TICK_NS = 100
MATCHING = "RUNNING"
TICKER_KEYS, TRADES_KEYS, TRADE_KEYS = 17, 5, 7  # a ticker without what older ones lack, a message of no trades
TRADES_MAX = 1024  # a message may carry so many
SIDES = {"BUY": Side.BUY, "SELL": Side.SELL, "": Side.UNKNOWN}
TOP = base.RestTop(
    url="https://api.bitflyer.com/v1/ticker?product_code={symbol}",
    bid="best_bid", bid_size="best_bid_size", ask="best_ask", ask_size="best_ask_size",
    time="timestamp", time_unit_ns=0, symbol="product_code", fine=("state", '"RUNNING"'), quoted=False,
)  # fmt: skip


class _Ticker(Struct, gc=False):
    symbol: str = msgspec.field(name="product_code")
    at: str = msgspec.field(name="timestamp")
    id: Raw = msgspec.field(name="tick_id")
    bid: float = msgspec.field(name="best_bid")
    ask: float = msgspec.field(name="best_ask")
    bid_size: float = msgspec.field(name="best_bid_size")
    ask_size: float = msgspec.field(name="best_ask_size")
    bids_total: Raw = msgspec.field(name="total_bid_depth")
    asks_total: Raw = msgspec.field(name="total_ask_depth")
    last: Raw = msgspec.field(name="ltp")
    volume: Raw
    product_volume: Raw = msgspec.field(name="volume_by_product")
    state: str | UnsetType = UNSET
    market_bids: Raw | UnsetType = msgspec.field(name="market_bid_size", default=UNSET)
    market_asks: Raw | UnsetType = msgspec.field(name="market_ask_size", default=UNSET)


class _TickerParams(Struct):
    channel: str
    message: _Ticker


class _TickerPush(Struct):
    jsonrpc: str
    method: Literal["channelMessage"]
    params: _TickerParams


class _Deal(Struct, gc=False):
    id: Raw
    side: Literal["BUY", "SELL", ""]
    price: float
    size: float
    at: str = msgspec.field(name="exec_date")
    buyer: Raw = msgspec.field(name="buy_child_order_acceptance_id")
    seller: Raw = msgspec.field(name="sell_child_order_acceptance_id")


class _DealsParams(Struct):
    channel: str
    message: list[_Deal]


class _DealsPush(Struct):
    jsonrpc: str
    method: Literal["channelMessage"]
    params: _DealsParams


class _AnyParams(Struct):
    channel: str = ""


class _Other(Struct):
    """What any other message says of itself."""

    method: str = ""
    params: _AnyParams | None = None
    result: Any = None
    error: Any = None


_TICKER: base.Decoder[_TickerPush] = base.Decoder(_TickerPush, range(TICKER_KEYS, TICKER_KEYS + 4))
_DEALS: base.Decoder[_DealsPush] = base.Decoder(
    _DealsPush, range(TRADES_KEYS, 1 + TRADES_KEYS + TRADE_KEYS * TRADES_MAX, TRADE_KEYS)
)
_OTHER: base.Decoder[_Other] = base.Decoder(_Other)


class Session(base.Session):
    """A public connection."""

    venue = "bitflyer"
    words = ('"method":"subscribe"', '"method":"unsubscribe"')
    tops: ClassVar = {"spot": TOP}

    def url(self) -> str:
        """The address to dial."""
        return URL

    def open(self) -> list[base.Send]:
        """A subscription a symbol and channel."""
        channels = [prefix + symbol for symbol in self.sources for prefix in CHANNELS]
        return [
            base.Send(_dump({"jsonrpc": "2.0", "id": count, "method": "subscribe", "params": {"channel": channel}}))
            for count, channel in enumerate(channels, 1)
        ]

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The facts in one frame. Raises VenueError."""
        if b'"lightning_ticker_' in data:
            return [self._read_ticker(data, recv_ns)]
        if b'"lightning_executions_' in data:
            return self._read_trades(data, recv_ns)
        self._check_other(_OTHER(data))
        return []

    def _read_ticker(self, data: bytes, recv_ns: Nanos) -> BookTop:
        push = _TICKER(data).params
        said = push.message
        later = (said.state, said.market_bids, said.market_asks)
        if data.count(b'":') != TICKER_KEYS + 3 - later.count(UNSET):
            base.check_strictly(data)
        source = self._source(push.channel, TICKER)
        if said.symbol != push.channel[len(TICKER) :]:
            raise VenueError(Refusal.UNKNOWN_SYMBOL, said.symbol[:40])
        if said.state is not UNSET and said.state != MATCHING:
            raise VenueError(Refusal.VENUE_ERROR, f"the market is {said.state[:40]}")
        venue_ns = base.event_time_iso(said.at, recv_ns)
        return base.top(source, said.bid, said.bid_size, said.ask, said.ask_size, venue_ns, recv_ns)

    def _read_trades(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        push = _DEALS(data).params
        if data.count(b'":') != TRADES_KEYS + TRADE_KEYS * len(push.message):
            base.check_strictly(data)
        source = self._source(push.channel, EXECUTIONS)
        return [_trade(source, deal, recv_ns) for deal in push.message]

    def _source(self, channel: str, prefix: str) -> int:
        if not channel.startswith(prefix):
            raise VenueError(Refusal.UNKNOWN_MESSAGE, channel[:60])
        return self.source_of(channel[len(prefix) :])

    def _check_other(self, said: _Other) -> None:
        """Raise VenueError unless the message is the acknowledgement of a subscription."""
        if said.error is not None or said.result is False:
            raise VenueError(Refusal.VENUE_ERROR, str(said.error)[:120])
        if said.result is not True:
            raise VenueError(Refusal.UNKNOWN_MESSAGE, (said.params.channel if said.params else said.method)[:60])


class Mimic(base.Mimic):
    """bitFlyer as the simulator plays it."""

    venue = "bitflyer"
    time_unit_ns = TICK_NS

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._count = 0

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        """`true` to a channel that exists, or what is wrong with the request."""
        try:
            call = msgspec.json.decode(data, type=_Call)
        except msgspec.DecodeError:
            return [_failed(None, -32700, "Parse error")]
        if call.method not in ("subscribe", "unsubscribe"):
            return [_failed(call.id, -32601, "Method not found")]
        if call.params.channel not in {prefix + symbol for symbol in self.symbols.values() for prefix in CHANNELS}:
            return [_failed(call.id, -32602, "Invalid params")]
        return [_dump({"jsonrpc": "2.0", "id": call.id, "result": True})]

    def speak(self, fact: BookTop | Trade) -> list[str]:
        """One frame of the ticker or of the executions."""
        self._count += 1
        symbol, at = self.symbols[fact.source], _iso(fact.venue_ns)
        if isinstance(fact, Trade):
            deal = {
                "id": self._count,
                "side": "" if fact.side is Side.UNKNOWN else fact.side.value.upper(),
                "price": _bare(fact.price),
                "size": _bare(fact.size),
                "exec_date": at,
                "buy_child_order_acceptance_id": f"JRF-{self._count}-B",
                "sell_child_order_acceptance_id": f"JRF-{self._count}-S",
            }
            return [_push(EXECUTIONS + symbol, [deal])]
        bid, bid_size, ask, ask_size = map(_bare, (fact.bid, fact.bid_size, fact.ask, fact.ask_size))
        told = {"product_code": symbol, "state": MATCHING, "timestamp": at, "tick_id": self._count}
        best = {"best_bid": bid, "best_ask": ask, "best_bid_size": bid_size, "best_ask_size": ask_size}
        depth = {"total_bid_depth": bid_size, "total_ask_depth": ask_size, "market_bid_size": 0, "market_ask_size": 0}
        day = {"ltp": bid, "volume": bid_size, "volume_by_product": bid_size}
        return [_push(TICKER + symbol, told | best | depth | day)]


class _Call(Struct):
    method: str
    id: int | str | None = None
    params: _AnyParams = msgspec.field(default_factory=_AnyParams)


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads a recording made at `url`."""
    return Session(feeds, market)


def _trade(source: int, said: _Deal, recv_ns: Nanos) -> Trade:
    venue_ns = base.event_time_iso(said.at, recv_ns)
    return Trade(source, base.price(said.price), base.size(said.size), SIDES[said.side], venue_ns, recv_ns)


def _iso(at_ns: Nanos) -> str:
    second = datetime.fromtimestamp(at_ns // NANOS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{second}.{at_ns % NANOS_PER_S // TICK_NS:07d}Z"


def _bare(value: float) -> Raw:
    """A number as this venue writes it: without quotes."""
    return Raw(base.decimal_text(value).encode())


def _push(channel: str, message: object) -> str:
    params = {"channel": channel, "message": message}
    return _dump({"jsonrpc": "2.0", "method": "channelMessage", "params": params})


def _failed(number: int | str | None, code: int, problem: str) -> str:
    return _dump({"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": problem}})


def _dump(said: dict[str, Any]) -> str:
    return msgspec.json.encode(said).decode()
