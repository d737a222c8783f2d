"""Kraken spot, WebSocket API v2: tops from `ticker`, trades from `trade`, both whole in every message.

Source: https://docs.kraken.com/api/docs/websocket-v2/ticker (and trade, status, heartbeat, ping), read 2026-11-21.
`ticker` with the trigger `bbo` speaks whenever the best bid or offer changes, at once and whole, so no book is kept;
its default trigger speaks only on trades. Prices are JSON numbers, times RFC 3339 to the microsecond. Symbols are
`BTC/USD`, `ETH/USD`, `USDT/USD`, `USDC/USD`. The first dialect, for what was recorded in it, is in `kraken_v1`.

A ticker or a trade is decoded by a shape that requires every key of today's complete message; one that lacks some, as
older ones do, takes the slow road through a shape that requires what is read.

Over REST the top is that of `GET /0/public/Depth` (docs.kraken.com/api-reference/market-data/get-order-book), which
answers to `BTCUSD` under its own name, `XXBTZUSD`; the times of its levels are not those of the top.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Raw, Struct

from oracle.core.types import NANOS_PER_S, BookTop, Nanos, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, kraken_v1

URL = "wss://ws.kraken.com/v2"
MICROSECOND_NS = 1_000
MATCHING = "online"  # in every other state of the system no orders match, and a book is no price
HEARTBEAT = b'{"channel":"heartbeat"}'
TICKER_KEYS, TRADE_KEYS = 17, 10  # of a message that holds one, complete
SIDES = {"buy": Side.BUY, "sell": Side.SELL}
TOP = base.RestTop(
    url="https://api.kraken.com/0/public/Depth?pair={symbol}&count=1", spelling=(("/", ""),), fine=("error", "[]"),
    bid="result.*.bids.0.0", bid_size="result.*.bids.0.1", ask="result.*.asks.0.0", ask_size="result.*.asks.0.1",
)  # fmt: skip
BENIGN_METHODS = frozenset({"subscribe", "unsubscribe", "pong"})
NEVER = "1970-01-01T00:00:00"  # the time of a market that has not been quoted


class _Ticker(Struct, gc=False):
    symbol: str
    bid: float
    bid_qty: float
    ask: float
    ask_qty: float
    timestamp: str = ""


class _WholeTicker(Struct, gc=False):
    symbol: str
    bid: float
    bid_qty: float
    ask: float
    ask_qty: float
    last: float | None
    volume: float | None
    vwap: float | None
    low: float | None
    high: float | None
    change: float | None
    change_pct: float | None
    trades: float | None
    timestamp: str


class _Trade(Struct, gc=False):
    symbol: str
    side: Literal["buy", "sell"]
    price: float
    qty: float
    timestamp: str


class _WholeTrade(_Trade, gc=False):
    ord_type: Raw
    trade_id: Raw


class _Tickers(Struct, gc=False):
    channel: Literal["ticker"]
    type: Literal["snapshot", "update"]
    data: list[_Ticker]


class _WholeTickers(Struct, gc=False):
    channel: Literal["ticker"]
    type: Literal["snapshot", "update"]
    data: list[_WholeTicker]


class _Trades(Struct, gc=False):
    channel: Literal["trade"]
    type: Literal["snapshot", "update"]
    data: list[_Trade]


class _WholeTrades(Struct, gc=False):
    channel: Literal["trade"]
    type: Literal["snapshot", "update"]
    data: list[_WholeTrade]


class _System(Struct):
    system: str


class _Status(Struct):
    data: list[_System]


class _Other(Struct):
    """What any other message says of itself."""

    channel: str = ""
    method: str = ""
    success: bool = True
    error: str = ""
    throttled: str = msgspec.field(default="", name="Error")


_whole_tickers: base.Decoder[_WholeTickers] = base.Decoder(_WholeTickers, keys=(TICKER_KEYS,))
_tickers: base.Decoder[_Tickers] = base.Decoder(_Tickers)
_whole_trades: base.Decoder[_WholeTrades] = base.Decoder(_WholeTrades, keys=(TRADE_KEYS,))
_trades: base.Decoder[_Trades] = base.Decoder(_Trades)
_status: base.Decoder[_Status] = base.Decoder(_Status)
_other: base.Decoder[_Other] = base.Decoder(_Other)


class Session(base.Session):
    """Reads v2: a top from every ticker, a trade from every live trade."""

    venue = "kraken"
    ping_ms = 30_000  # an idle line is closed after about a minute
    dials_per_minute_max = 15  # about 150 in ten minutes for one address
    words = ('"method":"subscribe"', '"method":"unsubscribe"')
    tops: ClassVar = {"spot": TOP}

    def url(self) -> str:
        """The address to dial."""
        return URL

    def open(self) -> list[base.Send]:
        """Ask for the ticker, with a snapshot, and for the trades, without one, of every feed."""
        symbols = list(self.sources)
        asked: list[dict[str, Any]] = [
            {"channel": "ticker", "symbol": symbols, "event_trigger": "bbo", "snapshot": True},
            {"channel": "trade", "symbol": symbols, "snapshot": False},
        ]
        return [
            base.Send(_json({"method": "subscribe", "params": params, "req_id": count}))
            for count, params in enumerate(asked, 1)
        ]

    def resubscribe(self, symbols: Sequence[str]) -> list[base.Send]:
        """The same messages twice; one that unsubscribes has nothing to say of snapshots."""
        asked = super().resubscribe(symbols)
        ended = [base.Send(re.sub(r',"snapshot":(true|false)', "", send.data)) for send in asked[: len(asked) // 2]]
        return [*ended, *asked[len(ended) :]]

    def idle(self, now_ns: Nanos) -> list[base.Send]:
        """A ping, which the venue answers."""
        return [base.Send(_json({"method": "ping"}))]

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The facts in one frame. Raises VenueError."""
        if data.startswith(b'{"channel":"ticker"'):
            return self._read_tickers(data, recv_ns)
        if data.startswith(b'{"channel":"trade"'):
            return self._read_trades(data, recv_ns)
        if data == HEARTBEAT:
            return []
        return self._read_other(data, recv_ns)

    def _read_tickers(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        try:
            message: _WholeTickers | _Tickers = _whole_tickers(data)
        except VenueError as refused:
            if refused.reason is not Refusal.WRONG_SHAPE:
                raise
            message = _tickers(data)
        return [
            base.top(
                self.source_of(ticker.symbol),
                ticker.bid,
                ticker.bid_qty,
                ticker.ask,
                ticker.ask_qty,
                _ticker_time(ticker.timestamp, recv_ns),
                recv_ns,
            )
            for ticker in message.data
        ]

    def _read_trades(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        try:
            message: _WholeTrades | _Trades = _whole_trades(data)
        except VenueError as refused:
            if refused.reason is not Refusal.WRONG_SHAPE:
                raise
            message = _trades(data)
        trades: list[base.Event] = [self._read_trade(trade, recv_ns) for trade in message.data]
        return trades if message.type == "update" else []  # a snapshot repeats trades of the past

    def _read_trade(self, trade: _Trade, recv_ns: Nanos) -> Trade:
        source, venue_ns = self.source_of(trade.symbol), base.event_time_iso(trade.timestamp, recv_ns)
        return Trade(source, base.price(trade.price), base.size(trade.qty), SIDES[trade.side], venue_ns, recv_ns)

    def _read_other(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        message = _other(data)
        if message.error or message.throttled or not message.success:
            raise VenueError(Refusal.VENUE_ERROR, (message.error or message.throttled)[:120])
        if message.channel == "ticker":
            return self._read_tickers(data, recv_ns)
        if message.channel == "trade":
            return self._read_trades(data, recv_ns)
        if message.channel == "status":
            return _heard(_status(data))
        if message.channel == "heartbeat" or message.method in BENIGN_METHODS:
            return []
        raise VenueError(Refusal.UNKNOWN_MESSAGE, (message.channel or message.method)[:40])


class Mimic(base.Mimic):
    """Speaks v2: each fact is one whole message, with the day's statistics of what was spoken."""

    venue = "kraken"
    time_unit_ns = MICROSECOND_NS
    ping_ms = 1_000

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._traded = {symbol: deque[Trade](maxlen=100) for symbol in self.symbols.values()}
        self._trade_id = 0

    def greet(self, path: str, now_ns: Nanos) -> list[str]:
        """The state of the system."""
        system = {"version": "2.0.10", "system": MATCHING, "api_version": "v2", "connection_id": now_ns}
        return [_json({"channel": "status", "type": "update", "data": [system]})]

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        """Acknowledges subscriptions symbol by symbol, refuses what it does not have, answers pings."""
        message = msgspec.json.decode(data, type=dict[str, Any])
        method, at = message.get("method", ""), _iso(now_ns)
        answer = {k: v for k, v in message.items() if k in ("method", "req_id")} | {"time_in": at, "time_out": at}
        if method == "ping":
            return [_json(answer | {"method": "pong"})]
        if method not in ("subscribe", "unsubscribe"):
            return [_json(answer | {"error": "Unsupported method", "success": False})]
        params = message["params"]
        return [self._acknowledge(answer, params, symbol) for symbol in params["symbol"]]

    def speak(self, fact: BookTop | Trade) -> list[str]:
        """One frame."""
        symbol, at = self.symbols[fact.source], _iso(fact.venue_ns)
        return [self._trade(symbol, fact, at) if isinstance(fact, Trade) else self._ticker(symbol, fact, at)]

    def heartbeat(self, now_ns: Nanos) -> list[str]:
        """What comes after a second of silence."""
        return [HEARTBEAT.decode()]

    def _acknowledge(self, answer: dict[str, Any], params: dict[str, Any], symbol: str) -> str:
        if symbol not in self._traded:
            error = f"Currency pair not supported {symbol}"
            return _json(answer | {"error": error, "success": False, "symbol": symbol})
        return _json(answer | {"result": params | {"symbol": symbol}, "success": True})

    def _ticker(self, symbol: str, fact: BookTop, at: str) -> str:
        prices = [trade.price for trade in self._traded[symbol]] or [fact.bid or fact.ask]
        volume = sum(trade.size for trade in self._traded[symbol])
        numbers = {
            "bid": fact.bid, "bid_qty": fact.bid_size, "ask": fact.ask, "ask_qty": fact.ask_size,
            "last": prices[-1], "volume": volume, "vwap": sum(prices) / len(prices), "low": min(prices),
            "high": max(prices), "change": prices[-1] - prices[0], "change_pct": 0.0,
        }  # fmt: skip
        body = ",".join(f'"{key}":{base.decimal_text(value)}' for key, value in numbers.items())
        count = len(self._traded[symbol])
        data = f'"symbol":"{symbol}",{body},"trades":{count},"timestamp":"{at}"'
        return f'{{"channel":"ticker","type":"update","data":[{{{data}}}]}}'

    def _trade(self, symbol: str, fact: Trade, at: str) -> str:
        self._trade_id += 1
        self._traded[symbol].append(fact)
        price, size = base.decimal_text(fact.price), base.decimal_text(fact.size)
        side = "sell" if fact.side is Side.SELL else "buy"
        data = (
            f'"symbol":"{symbol}","side":"{side}","price":{price},"qty":{size},'
            f'"ord_type":"market","trade_id":{self._trade_id},"timestamp":"{at}"'
        )
        return f'{{"channel":"trade","type":"update","data":[{{{data}}}]}}'


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads what was recorded from `url`: v2, or at the bare host the first dialect."""
    path = urlsplit(url).path.rstrip("/")
    return kraken_v1.Session(feeds, market) if url and not path else Session(feeds, market)


def _heard(message: _Status) -> list[base.Event]:
    for status in message.data:
        if status.system != MATCHING:
            raise VenueError(Refusal.VENUE_ERROR, f"the system is {status.system[:40]}")
    return []


def _ticker_time(text: str, recv_ns: Nanos) -> Nanos:
    """The event time, or 0 where none is stated: older messages have none, unquoted markets never had one."""
    if not text or text.startswith(NEVER):
        return 0
    return base.event_time_iso(text, recv_ns)


def _iso(at_ns: Nanos) -> str:
    second = datetime.fromtimestamp(at_ns // NANOS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{second}.{at_ns % NANOS_PER_S // MICROSECOND_NS:06d}Z"


def _json(message: object) -> str:
    return msgspec.json.encode(message).decode()
