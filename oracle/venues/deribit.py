"""What Deribit says of its perpetuals, futures and indices on its public JSON-RPC WebSocket.

Source: https://docs.deribit.com/subscriptions/market-data/quoteinstrument_name (and trades, ticker,
deribit_price_index, api-reference/session-management/public-set_heartbeat), read 2026-11-21. For an instrument
(`BTC-PERPETUAL`) three channels: `quote` is the top of the book at every change of it, `trades` at 100 ms, and `ticker`
at 100 ms for the mark price, the index and the current funding, which is a rate for eight hours accrued continuously.
The `raw` interval needs a login. A feed named in lower case (`btc_usd`) is an index: `deribit_price_index`. The top
that a ticker repeats is older than the quote and is passed over. Times are milliseconds. Sizes of inverse contracts are
in USD. A block trade is negotiated away from the book and is passed over.

The venue asks for a sign of life with `test_request` and closes the line of who does not answer.

Over REST the top is that of `public/get_order_book`; an index has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from oracle.core.types import NANOS_PER_MS, BookTop, Nanos, Side, Ticker, TickerKind, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base

URL = "wss://www.deribit.com/ws/api/v2"
HEARTBEAT_S = 30
SUBSCRIBE_ID, HEARTBEAT_ID, TEST_ID, AGAIN_ID = 1, 2, 3, 4
INTERVALS = frozenset({"100ms", "agg2", "raw"})
QUOTE_KEYS, INDEX_KEYS, TRADE_KEYS, ENVELOPE_KEYS = 11, 8, 10, 5
SIDES = {"buy": Side.BUY, "sell": Side.SELL}
TOP = base.RestTop(
    url="https://www.deribit.com/api/v2/public/get_order_book?instrument_name={symbol}&depth=1",
    bid="result.best_bid_price", bid_size="result.best_bid_amount",
    ask="result.best_ask_price", ask_size="result.best_ask_amount",
    time="result.timestamp", symbol="result.instrument_name", quoted=False,
)  # fmt: skip
_NOTICE = b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":"'
_QUOTE_NOTICE = _NOTICE + b"quote."


class _Quote(Struct, gc=False):
    instrument_name: str
    timestamp: int
    best_bid_price: float | None
    best_bid_amount: float | None
    best_ask_price: float | None
    best_ask_amount: float | None


class _Deal(Struct, gc=False):
    instrument_name: str
    timestamp: int
    price: float
    amount: float
    direction: Literal["buy", "sell"]
    trade_seq: int
    trade_id: str
    tick_direction: int
    index_price: float
    mark_price: float | UnsetType = UNSET
    contracts: float | UnsetType = UNSET
    block_trade_id: str | UnsetType = UNSET


class _Ticker(Struct, gc=False):
    instrument_name: str
    timestamp: int
    mark_price: float
    index_price: float
    current_funding: float | None = None


class _Index(Struct, gc=False):
    index_name: str
    timestamp: int
    price: float


class _Quotes(Struct, gc=False):
    channel: str
    data: _Quote


class _Deals(Struct):
    channel: str
    data: list[_Deal]


class _Tickers(Struct, gc=False):
    channel: str
    data: _Ticker


class _Indices(Struct, gc=False):
    channel: str
    data: _Index


class _QuoteNotice(Struct, gc=False):
    jsonrpc: Raw
    method: Literal["subscription"]
    params: _Quotes


class _DealNotice(Struct):
    method: Literal["subscription"]
    params: _Deals


class _TickerNotice(Struct, gc=False):
    method: Literal["subscription"]
    params: _Tickers


class _IndexNotice(Struct, gc=False):
    jsonrpc: Raw
    method: Literal["subscription"]
    params: _Indices


_quotes: base.Decoder[_QuoteNotice] = base.Decoder(_QuoteNotice, keys=(QUOTE_KEYS,))
_deals: base.Decoder[_DealNotice] = base.Decoder(_DealNotice, keys=range(ENVELOPE_KEYS, 16_384))
_tickers: base.Decoder[_TickerNotice] = base.Decoder(_TickerNotice)
_indices: base.Decoder[_IndexNotice] = base.Decoder(_IndexNotice, keys=(INDEX_KEYS,))
_any: base.Decoder[dict[str, Any]] = base.Decoder(dict[str, Any])


class Session(base.Session):
    """Reads tops and trades of instruments, marks and funding of perpetuals, and indices."""

    venue = "deribit"
    symbols_max = 100  # three channels each; one subscription may name five hundred
    tops: ClassVar = {"": TOP}

    def url(self) -> str:
        """The address to dial."""
        return URL

    def open(self) -> list[base.Send]:
        """Ask for heartbeats, and for every channel at once."""
        channels = [channel for symbol in self.sources for channel in _channels(symbol)]
        return [
            _call(HEARTBEAT_ID, "public/set_heartbeat", {"interval": HEARTBEAT_S}),
            _call(SUBSCRIBE_ID, "public/subscribe", {"channels": channels}),
        ]

    def resubscribe(self, symbols: Sequence[str]) -> list[base.Send]:
        """Ends the channels of these symbols and asks for them again; what is granted has been granted before."""
        named = {"channels": [channel for symbol in symbols for channel in _channels(symbol)]}
        return [_call(AGAIN_ID, f"public/{word}", named) for word in ("unsubscribe", "subscribe")]

    def poll(self, symbol: str) -> base.Request | None:
        """The book of an instrument; an index has none."""
        return None if symbol.islower() else super().poll(symbol)

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The facts in one frame, or the answer to the venue's test. Raises VenueError."""
        if data.startswith(_QUOTE_NOTICE):
            return [self._read_quote(_quotes(data).params, recv_ns)]
        if data.startswith(_NOTICE):
            return self._read(data[len(_NOTICE) :].partition(b".")[0], data, recv_ns)
        return self._read_other(data, recv_ns)

    def _read(self, kind: bytes, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        if kind == b"quote":
            return [self._read_quote(_quotes(data).params, recv_ns)]
        if kind == b"trades":
            return self._read_trades(_deals(data).params, data, recv_ns)
        if kind == b"ticker":
            return self._read_ticker(_tickers(data).params, recv_ns)
        if kind == b"deribit_price_index":
            return [self._read_index(_indices(data).params, recv_ns)]
        _any(data)
        raise VenueError(Refusal.UNKNOWN_MESSAGE, kind[:40].decode("ascii", "replace"))

    def _read_quote(self, said: _Quotes, recv_ns: Nanos) -> BookTop:
        quote = said.data
        source = self.source_of(quote.instrument_name)
        if said.channel[len("quote.") :] != quote.instrument_name:
            raise VenueError(Refusal.UNKNOWN_MESSAGE, said.channel[:40])
        venue_ns = base.event_time(quote.timestamp, NANOS_PER_MS, recv_ns)
        return base.top(
            source,
            quote.best_bid_price or 0.0,
            quote.best_bid_amount or 0.0,
            quote.best_ask_price or 0.0,
            quote.best_ask_amount or 0.0,
            venue_ns,
            recv_ns,
        )

    def _read_trades(self, said: _Deals, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        optional = sum((deal.contracts is not UNSET) - (deal.mark_price is UNSET) for deal in said.data)
        if data.count(b'":') != ENVELOPE_KEYS + TRADE_KEYS * len(said.data) + optional:
            base.check_strictly(data)
        events: list[base.Event] = []
        for deal in said.data:
            source = self._source(deal.instrument_name, said.channel, "trades")
            venue_ns = base.event_time(deal.timestamp, NANOS_PER_MS, recv_ns)
            price, size = base.price(deal.price), base.size(deal.amount)
            if deal.block_trade_id is UNSET:
                events.append(Trade(source, price, size, SIDES[deal.direction], venue_ns, recv_ns))
        return events

    def _read_ticker(self, said: _Tickers, recv_ns: Nanos) -> list[base.Event]:
        ticker = said.data
        source = self._source(ticker.instrument_name, said.channel, "ticker")
        venue_ns = base.event_time(ticker.timestamp, NANOS_PER_MS, recv_ns)
        mark, index, funding = ticker.mark_price, ticker.index_price, ticker.current_funding
        return [*base.tickers(source, mark, index, funding, venue_ns, recv_ns)]

    def _read_index(self, said: _Indices, recv_ns: Nanos) -> Ticker:
        source = self.source_of(said.data.index_name)
        if said.channel != f"deribit_price_index.{said.data.index_name}":
            raise VenueError(Refusal.UNKNOWN_MESSAGE, said.channel[:40])
        venue_ns = base.event_time(said.data.timestamp, NANOS_PER_MS, recv_ns)
        return Ticker(source, TickerKind.INDEX, base.price(said.data.price), venue_ns, recv_ns)

    def _source(self, symbol: str, channel: str, kind: str) -> int:
        said, _, interval = channel.removeprefix(kind + ".").partition(".")
        if said != symbol or interval not in INTERVALS:
            raise VenueError(Refusal.UNKNOWN_MESSAGE, channel[:40])
        return self.source_of(symbol)

    def _read_other(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said = _any(data)
        method, params = said.get("method"), said.get("params")
        if "error" in said:
            raise VenueError(Refusal.VENUE_ERROR, str(said["error"])[:120])
        if method == "heartbeat" and isinstance(params, dict):
            return [_call(TEST_ID, "public/test", {})] if params.get("type") == "test_request" else []
        if method == "subscription" and isinstance(params, dict) and "." in str(params.get("channel")):
            return self._read(str(params["channel"]).partition(".")[0].encode(), data, recv_ns)
        if "result" not in said or method is not None:
            raise VenueError(Refusal.UNKNOWN_MESSAGE, str(method)[:40])
        if said.get("id") == SUBSCRIBE_ID:
            self._check_subscribed(said["result"])
        return []

    def _check_subscribed(self, granted: object) -> None:
        """The venue answers with the channels that exist, and says nothing of the others."""
        for symbol in self.sources:
            for channel in _channels(symbol):
                if not isinstance(granted, list) or channel not in granted:
                    raise VenueError(Refusal.VENUE_ERROR, f"not subscribed to {channel[:80]}")


class Mimic(base.Mimic):
    """Speaks quotes and trades, and asks now and then for a sign of life."""

    venue = "deribit"
    ping_ms = HEARTBEAT_S * 1_000

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._seq = 0

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        """The answer to a call: the channels granted, a version, or what is wrong."""
        call = msgspec.json.decode(data, type=dict[str, Any])
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": call.get("id")}
        method, known = call.get("method"), {c for s in self.symbols.values() for c in _channels(s)}
        if method in ("public/subscribe", "public/unsubscribe"):
            return [_dump(answer | {"result": [c for c in call["params"]["channels"] if c in known]})]
        if method == "public/set_heartbeat":
            return [_dump(answer | {"result": "ok"})]
        if method == "public/test":
            return [_dump(answer | {"result": {"version": "1.2.26"}})]
        return [_dump(answer | {"error": {"code": -32601, "message": "Method not found"}})]

    def speak(self, fact: BookTop | Trade) -> list[str]:
        """One notice."""
        symbol, time_ms = self.symbols[fact.source], fact.venue_ns // NANOS_PER_MS
        if isinstance(fact, Trade):
            return [_notice(f"trades.{symbol}.100ms", f"[{self._deal(symbol, fact, time_ms)}]")]
        sides = {
            "best_bid_price": fact.bid, "best_bid_amount": fact.bid_size,
            "best_ask_price": fact.ask, "best_ask_amount": fact.ask_size,
        }  # fmt: skip
        numbers = ",".join(f'"{key}":{base.decimal_text(value)}' for key, value in sides.items())
        return [_notice(f"quote.{symbol}", f'{{"timestamp":{time_ms},"instrument_name":"{symbol}",{numbers}}}')]

    def heartbeat(self, now_ns: Nanos) -> list[str]:
        """A heartbeat, which wants no answer."""
        return [_dump({"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "heartbeat"}})]

    def _deal(self, symbol: str, fact: Trade, time_ms: int) -> str:
        self._seq += 1
        price, side = base.decimal_text(fact.price), "sell" if fact.side is Side.SELL else "buy"
        return (
            f'{{"trade_seq":{self._seq},"trade_id":"{self._seq}","timestamp":{time_ms},"tick_direction":0,'
            f'"price":{price},"mark_price":{price},"instrument_name":"{symbol}","index_price":{price},'
            f'"direction":"{side}","amount":{base.decimal_text(fact.size)}}}'
        )


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads a recording made at `url`; there has been one dialect since 2019."""
    return Session(feeds, market)


def _channels(symbol: str) -> list[str]:
    if symbol.islower():
        return [f"deribit_price_index.{symbol}"]
    return [f"quote.{symbol}", f"trades.{symbol}.100ms", f"ticker.{symbol}.100ms"]


def _call(count: int, method: str, params: dict[str, Any]) -> base.Send:
    return base.Send(_dump({"jsonrpc": "2.0", "id": count, "method": method, "params": params}))


def _notice(channel: str, said: str) -> str:
    return f'{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"{channel}","data":{said}}}}}'


def _dump(said: dict[str, Any]) -> str:
    return msgspec.json.encode(said).decode()
