"""What BitMEX says of its perpetuals, futures and indices on its realtime WebSocket.

Source: https://www.bitmex.com/app/wsAPI (Connecting, Subscriptions, Heartbeats), read 2026-11-21. Three tables of a
market: `quote`, the top of the book at every change, `trade`, and `instrument`, of which a row says what has changed:
the mark price, `indicativeSettlePrice`, which is the index, and the funding rate of the eight hours that run. A feed
whose name begins with a point (`.BXBT`) is an index, and only its `instrument` is read: its last price is the index.
A table begins with a `partial`, which repeats trades of the past. Times are ISO 8601 to the millisecond. Sizes are
contracts. The client pings with the word `ping` when it has heard nothing for five seconds.

Over REST the top is the newest row of `GET /api/v1/quote`, in the words of the table.
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

URL = "wss://ws.bitmex.com/realtime"
TABLES = ("quote", "trade", "instrument")
INDEX_MARK = "."
QUOTE_KEYS, TRADE_KEYS, ENVELOPE_KEYS = 6, 10, 3
ROWS_MAX = 2_048  # a message of more is read all the same, slowly
AWAY_FROM_THE_BOOK = frozenset({"Referential", "BlockTrade", "InsuranceFund", "Settlement"})
SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}
TOP = base.RestTop(
    url="https://www.bitmex.com/api/v1/quote?symbol={symbol}&count=1&reverse=true",
    bid="0.bidPrice", bid_size="0.bidSize", ask="0.askPrice", ask_size="0.askSize",
    time="0.timestamp", time_unit_ns=0, symbol="0.symbol", quoted=False,
)  # fmt: skip


class _Quote(Struct, gc=False):
    timestamp: str
    symbol: str
    bidSize: float | None
    bidPrice: float | None
    askPrice: float | None
    askSize: float | None


class _Deal(Struct, gc=False):
    timestamp: str
    symbol: str
    side: str
    size: float
    price: float
    tickDirection: Raw
    trdMatchID: Raw
    grossValue: Raw
    homeNotional: Raw
    foreignNotional: Raw
    trdType: str | UnsetType = UNSET


class _Instrument(Struct, gc=False):
    symbol: str
    timestamp: str = ""
    markPrice: float | None = None
    indicativeSettlePrice: float | None = None
    fundingRate: float | None = None
    lastPrice: float | None = None


class _Quotes(Struct):
    table: Literal["quote"]
    action: Literal["partial", "insert"]
    data: list[_Quote]


class _Deals(Struct):
    table: Literal["trade"]
    action: Literal["partial", "insert"]
    data: list[_Deal]


class _Instruments(Struct):
    table: Literal["instrument"]
    action: Literal["partial", "insert", "update", "delete"]
    data: list[_Instrument]


_quotes: base.Decoder[_Quotes] = base.Decoder(_Quotes, keys=range(ENVELOPE_KEYS, QUOTE_KEYS * ROWS_MAX))
_deals: base.Decoder[_Deals] = base.Decoder(_Deals, keys=range(ENVELOPE_KEYS, TRADE_KEYS * ROWS_MAX))
_instruments: base.Decoder[_Instruments] = base.Decoder(_Instruments)
_any: base.Decoder[dict[str, Any]] = base.Decoder(dict[str, Any])


class Session(base.Session):
    """Reads tops and trades of markets, marks, indices and funding."""

    venue = "bitmex"
    ping_ms = 5_000
    words = ('"op":"subscribe"', '"op":"unsubscribe"')
    tops: ClassVar = {"": TOP}

    def url(self) -> str:
        """The address to dial."""
        return URL

    def open(self) -> list[base.Send]:
        """One subscription to everything."""
        return [base.Send(_dump({"op": "subscribe", "args": [t for s in self.sources for t in _topics(s)]}))]

    def poll(self, symbol: str) -> base.Request | None:
        """The latest quote of a market; an index has none."""
        return None if symbol.startswith(INDEX_MARK) else super().poll(symbol)

    def idle(self, now_ns: Nanos) -> list[base.Send]:
        """A ping, which the venue answers."""
        return [base.Send("ping")]

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The facts in one frame. Raises VenueError."""
        if data.startswith(b'{"table":"quote","action":"insert"'):
            return self._read_quotes(data, recv_ns)
        if data.startswith(b'{"table":"trade","action":"insert"'):
            return self._read_trades(data, recv_ns)
        if data == b"pong":
            return []
        return self._read_other(data, recv_ns)

    def _read_quotes(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said = _quotes(data)
        if data.count(b'":') != ENVELOPE_KEYS + QUOTE_KEYS * len(said.data):
            base.check_strictly(data)
        return [
            base.top(
                self.source_of(row.symbol),
                row.bidPrice or 0.0,
                row.bidSize or 0.0,
                row.askPrice or 0.0,
                row.askSize or 0.0,
                base.event_time_iso(row.timestamp, recv_ns),
                recv_ns,
            )
            for row in said.data
        ]

    def _read_trades(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said = _deals(data)
        typed = sum(row.trdType is not UNSET for row in said.data)
        if data.count(b'":') != ENVELOPE_KEYS + TRADE_KEYS * len(said.data) + typed:
            base.check_strictly(data)
        events: list[base.Event] = []
        for row in said.data:
            source, venue_ns = self.source_of(row.symbol), base.event_time_iso(row.timestamp, recv_ns)
            trade = Trade(source, base.price(row.price), base.size(row.size), _side(row.side), venue_ns, recv_ns)
            if row.trdType not in AWAY_FROM_THE_BOOK:
                events.append(trade)
        return events if said.action == "insert" else []

    def _read_instruments(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said = _instruments(data)
        return [event for row in said.data for event in self._read_instrument(row, recv_ns)]

    def _read_instrument(self, row: _Instrument, recv_ns: Nanos) -> list[base.Event]:
        source = self.source_of(row.symbol)
        index = row.lastPrice if row.symbol.startswith(INDEX_MARK) else row.indicativeSettlePrice
        mark = None if row.symbol.startswith(INDEX_MARK) else row.markPrice
        venue_ns = base.event_time_iso(row.timestamp, recv_ns) if row.timestamp else 0
        return [*base.tickers(source, mark, index, row.fundingRate, venue_ns, recv_ns)]

    def _read_other(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said = _any(data)
        table = said.get("table")
        if "error" in said or said.get("success") is False:
            raise VenueError(Refusal.VENUE_ERROR, str(said.get("error"))[:120])
        if table == "quote":
            return self._read_quotes(data, recv_ns)
        if table == "trade":
            return self._read_trades(data, recv_ns)
        if table == "instrument":
            return self._read_instruments(data, recv_ns)
        if table is None and ("info" in said or "success" in said):
            return []
        raise VenueError(Refusal.UNKNOWN_MESSAGE, str(table)[:40])


class Mimic(base.Mimic):
    """Speaks quotes and trades, each a row inserted."""

    venue = "bitmex"

    def greet(self, path: str, now_ns: Nanos) -> list[str]:
        """The welcome, with what of the limit remains."""
        welcome = {"info": "Welcome to the BitMEX Realtime API.", "version": "2.0.0", "timestamp": _iso(now_ns)}
        return [_dump(welcome | {"docs": "https://www.bitmex.com/app/wsAPI", "limit": {"remaining": 39}})]

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        """`pong`, an acknowledgement for each table of a market that exists, or what is wrong with the request."""
        if data == "ping":
            return ["pong"]
        request = msgspec.json.decode(data, type=dict[str, Any])
        if request.get("op") not in ("subscribe", "unsubscribe"):
            return [_dump({"status": 400, "error": "Unknown operation", "meta": {}, "request": request})]
        known = {topic for symbol in self.symbols.values() for topic in _topics(symbol)}
        return [
            _dump({"success": True, request["op"]: topic, "request": request})
            if topic in known
            else _dump({"status": 400, "error": f"Unknown or expired symbol: {topic}", "meta": {}, "request": request})
            for topic in request["args"]
        ]

    def speak(self, fact: BookTop | Trade) -> list[str]:
        """One row."""
        head = f'"timestamp":"{_iso(fact.venue_ns)}","symbol":"{self.symbols[fact.source]}"'
        if isinstance(fact, Trade):
            price, size = base.decimal_text(fact.price), base.decimal_text(fact.size)
            row = (
                f'{head},"side":"{"Sell" if fact.side is Side.SELL else "Buy"}","size":{size},"price":{price},'
                '"tickDirection":"PlusTick","trdMatchID":"8f8fe9db","grossValue":null,"homeNotional":null,'
                '"foreignNotional":null,"trdType":"Regular"'
            )
            return [f'{{"table":"trade","action":"insert","data":[{{{row}}}]}}']
        bid, ask = (
            base.decimal_text(fact.bid) if fact.bid else "null",
            base.decimal_text(fact.ask) if fact.ask else "null",
        )
        row = (
            f'{head},"bidSize":{base.decimal_text(fact.bid_size)},"bidPrice":{bid},'
            f'"askPrice":{ask},"askSize":{base.decimal_text(fact.ask_size)}'
        )
        return [f'{{"table":"quote","action":"insert","data":[{{{row}}}]}}']


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads a recording made at `url`; the dialect has not changed since 2019."""
    return Session(feeds, market)


def _topics(symbol: str) -> list[str]:
    return [f"{table}:{symbol}" for table in (TABLES[2:] if symbol.startswith(INDEX_MARK) else TABLES)]


def _side(word: str) -> Side:
    side = SIDES.get(word)
    if side is None:
        raise VenueError(Refusal.WRONG_SHAPE, word[:40])
    return side


def _iso(at_ns: Nanos) -> str:
    second = datetime.fromtimestamp(at_ns // NANOS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{second}.{at_ns % NANOS_PER_S // NANOS_PER_MS:03d}Z"


def _dump(said: dict[str, Any]) -> str:
    return msgspec.json.encode(said).decode()
