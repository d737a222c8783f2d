"""What Upbit says: tops of book and trades, on its public v1 WebSocket.

Source: docs.upbit.com (websocket-guide, websocket-trade, connection) and global-docs.upbit.com (websocket-orderbook),
read in part on 2026-11-21. Every `orderbook` message carries the visible book, best first, as pairs of an ask and a
bid; what is asked is one pair, `KRW-BTC.1`, which the global pages document. Whether the answer repeats the `.1` they
do not say: both spellings are read. A side that is empty is read from a price of zero. Frames are binary and hold
JSON. Of the formats, SIMPLE is asked, with short keys, and DEFAULT is read as well, with long ones. Times are
milliseconds: `tms` of a book, `ttms` of a trade. `ab` is the taker's side: ASK sold. Trades are asked without a
snapshot, for it repeats the last, however old; one that comes all the same is skipped. The venue ends a line that is
silent for about 120 s, and answers `PING` with its status. One message asks for everything: it is not known whether a
later one adds or replaces. Symbols begin with the quote: `KRW-BTC`, `KRW-ETH`, `KRW-USDT`, `BTC-ETH`, `USDT-BTC`.

Over REST the top is that of `GET /v1/orderbook`.
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

URL = "wss://api.upbit.com/websocket/v1"
ONE_PAIR = ".1"
BOOK_KEYS, PAIR_KEYS, TRADE_KEYS = 7, 4, 14  # of complete messages without what came later
PAIRS_MAX = 30
MS_MIN, MS_MAX = 10**12, 10**14  # from 2001 on; another unit is outside, even where nobody knows the time
SIDES = {"ASK": Side.SELL, "BID": Side.BUY}
TOP = base.RestTop(
    url="https://api.upbit.com/v1/orderbook?markets={symbol}",
    bid="0.orderbook_units.0.bid_price", bid_size="0.orderbook_units.0.bid_size",
    ask="0.orderbook_units.0.ask_price", ask_size="0.orderbook_units.0.ask_size",
    time="0.timestamp", symbol="0.market", quoted=False,
)  # fmt: skip


class _Pair(Struct, gc=False):
    ask: float = msgspec.field(name="ap")
    bid: float = msgspec.field(name="bp")
    ask_size: float = msgspec.field(name="as")
    bid_size: float = msgspec.field(name="bs")


class _LongPair(Struct, gc=False):
    ask: float = msgspec.field(name="ask_price")
    bid: float = msgspec.field(name="bid_price")
    ask_size: float
    bid_size: float


class _Book(Struct):
    type: Literal["orderbook"] = msgspec.field(name="ty")
    symbol: str = msgspec.field(name="cd")
    time_ms: int = msgspec.field(name="tms")
    asks_total: Raw = msgspec.field(name="tas")
    bids_total: Raw = msgspec.field(name="tbs")
    pairs: list[_Pair] = msgspec.field(name="obu")
    stream: Literal["SNAPSHOT", "REALTIME"] = msgspec.field(name="st")
    level: Raw | UnsetType = msgspec.field(name="lv", default=UNSET)


class _LongBook(Struct):
    type: Literal["orderbook"]
    symbol: str = msgspec.field(name="code")
    time_ms: int = msgspec.field(name="timestamp")
    asks_total: Raw = msgspec.field(name="total_ask_size")
    bids_total: Raw = msgspec.field(name="total_bid_size")
    pairs: list[_LongPair] = msgspec.field(name="orderbook_units")
    stream: Literal["SNAPSHOT", "REALTIME"] = msgspec.field(name="stream_type")
    level: Raw | UnsetType = UNSET


class _Deal(Struct, gc=False):
    type: Literal["trade"] = msgspec.field(name="ty")
    symbol: str = msgspec.field(name="cd")
    said_ms: Raw = msgspec.field(name="tms")
    date: Raw = msgspec.field(name="td")
    clock: Raw = msgspec.field(name="ttm")
    time_ms: int = msgspec.field(name="ttms")
    price: float = msgspec.field(name="tp")
    size: float = msgspec.field(name="tv")
    side: Literal["ASK", "BID"] = msgspec.field(name="ab")
    id: Raw = msgspec.field(name="sid")
    stream: Literal["SNAPSHOT", "REALTIME"] = msgspec.field(name="st")
    closed: Raw = msgspec.field(name="pcp")
    change: Raw = msgspec.field(name="c")
    changed: Raw = msgspec.field(name="cp")
    best_ask: Raw | UnsetType = msgspec.field(name="bap", default=UNSET)
    best_ask_size: Raw | UnsetType = msgspec.field(name="bas", default=UNSET)
    best_bid: Raw | UnsetType = msgspec.field(name="bbp", default=UNSET)
    best_bid_size: Raw | UnsetType = msgspec.field(name="bbs", default=UNSET)


class _LongDeal(Struct, gc=False):
    type: Literal["trade"]
    symbol: str = msgspec.field(name="code")
    said_ms: Raw = msgspec.field(name="timestamp")
    date: Raw = msgspec.field(name="trade_date")
    clock: Raw = msgspec.field(name="trade_time")
    time_ms: int = msgspec.field(name="trade_timestamp")
    price: float = msgspec.field(name="trade_price")
    size: float = msgspec.field(name="trade_volume")
    side: Literal["ASK", "BID"] = msgspec.field(name="ask_bid")
    id: Raw = msgspec.field(name="sequential_id")
    stream: Literal["SNAPSHOT", "REALTIME"] = msgspec.field(name="stream_type")
    closed: Raw = msgspec.field(name="prev_closing_price")
    change: Raw
    changed: Raw = msgspec.field(name="change_price")
    best_ask: Raw | UnsetType = msgspec.field(name="best_ask_price", default=UNSET)
    best_ask_size: Raw | UnsetType = UNSET
    best_bid: Raw | UnsetType = msgspec.field(name="best_bid_price", default=UNSET)
    best_bid_size: Raw | UnsetType = UNSET


class _Other(Struct):
    """What any other message says of itself."""

    type: str = ""
    ty: str = ""
    status: str = ""
    error: Any = None


_COUNTS = range(BOOK_KEYS, 2 + BOOK_KEYS + PAIR_KEYS * PAIRS_MAX)
_BOOK: base.Decoder[_Book] = base.Decoder(_Book, _COUNTS)
_LONG_BOOK: base.Decoder[_LongBook] = base.Decoder(_LongBook, _COUNTS)
_DEAL: base.Decoder[_Deal] = base.Decoder(_Deal, range(TRADE_KEYS, TRADE_KEYS + 5))
_LONG_DEAL: base.Decoder[_LongDeal] = base.Decoder(_LongDeal, range(TRADE_KEYS, TRADE_KEYS + 5))
_OTHER: base.Decoder[_Other] = base.Decoder(_Other)


class Session(base.Session):
    """A public connection to the Korean exchange."""

    venue = "upbit"
    symbols_max = 50
    ping_ms = 60_000
    tops: ClassVar = {"spot": TOP}

    def url(self) -> str:
        """The address to dial."""
        return URL

    def open(self) -> list[base.Send]:
        """One message asks for every book and every trade."""
        symbols = list(self.sources)
        asked: list[dict[str, Any]] = [
            {"ticket": self.venue},
            {"type": "orderbook", "codes": [symbol + ONE_PAIR for symbol in symbols]},
            {"type": "trade", "codes": symbols, "is_only_realtime": True},
            {"format": "SIMPLE"},
        ]
        return [base.Send(_dump(asked))]

    def idle(self, now_ns: Nanos) -> list[base.Send]:
        """The ping that keeps the connection."""
        return [base.Send("PING")]

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The facts in one frame. Raises VenueError."""
        if b'"orderbook"' in data:
            return [self._read_book(data, recv_ns)]
        if b'"trade"' in data:
            return self._read_trade(data, recv_ns)
        said = _OTHER(data)
        if said.error is not None:
            raise VenueError(Refusal.VENUE_ERROR, str(said.error)[:120])
        if said.status != "UP":
            raise VenueError(Refusal.UNKNOWN_MESSAGE, (said.type or said.ty or said.status)[:40])
        return []

    def _read_book(self, data: bytes, recv_ns: Nanos) -> BookTop:
        said: _Book | _LongBook = _LONG_BOOK(data) if b'"orderbook_units"' in data else _BOOK(data)
        if data.count(b'":') != BOOK_KEYS + PAIR_KEYS * len(said.pairs) + (said.level is not UNSET):
            base.check_strictly(data)
        source, venue_ns = self.source_of(said.symbol.removesuffix(ONE_PAIR)), _time_ns(said.time_ms, recv_ns)
        if not said.pairs:
            return base.top(source, 0.0, 0.0, 0.0, 0.0, venue_ns, recv_ns)
        best = said.pairs[0]
        return base.top(source, best.bid, best.bid_size, best.ask, best.ask_size, venue_ns, recv_ns)

    def _read_trade(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said: _Deal | _LongDeal = _LONG_DEAL(data) if b'"trade_price"' in data else _DEAL(data)
        later = (said.best_ask, said.best_ask_size, said.best_bid, said.best_bid_size)
        if data.count(b'":') != TRADE_KEYS + 4 - later.count(UNSET):
            base.check_strictly(data)
        source, venue_ns = self.source_of(said.symbol), _time_ns(said.time_ms, recv_ns)
        trade = Trade(source, base.price(said.price), base.size(said.size), SIDES[said.side], venue_ns, recv_ns)
        return [trade] if said.stream == "REALTIME" else []


class Mimic(base.Mimic):
    """Upbit as the simulator plays it: in SIMPLE format, as text."""

    venue = "upbit"

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._count = 0

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        """The status to a ping, nothing to a request that can be met, or what is wrong with it."""
        if data == "PING":
            return [_dump({"status": "UP"})]
        try:
            parts = msgspec.json.decode(data, type=list[_Part])
        except msgspec.DecodeError:
            return [_failed("WRONG_FORMAT")]
        if not any(part.ticket for part in parts):
            return [_failed("NO_TICKET")]
        kinds = [part for part in parts if part.type]
        if not kinds:
            return [_failed("NO_TYPE")]
        known = {*self.symbols.values(), *(symbol + ONE_PAIR for symbol in self.symbols.values())}
        if any(part.type not in ("orderbook", "trade") or not part.codes or set(part.codes) - known for part in kinds):
            return [_failed("INVALID_PARAM")]
        return []

    def speak(self, fact: BookTop | Trade) -> list[str]:
        """One frame of a book of one pair, or of a trade."""
        self._count += 1
        symbol, time_ms = self.symbols[fact.source], fact.venue_ns // NANOS_PER_MS
        if isinstance(fact, BookTop):
            ask, ask_size, bid, bid_size = map(_bare, (fact.ask, fact.ask_size, fact.bid, fact.bid_size))
            pair = {"ap": ask, "bp": bid, "as": ask_size, "bs": bid_size}
            totals = {"tms": time_ms, "tas": ask_size, "tbs": bid_size}
            return [_dump({"ty": "orderbook", "cd": symbol, **totals, "obu": [pair], "st": "REALTIME", "lv": 0})]
        date, clock = _date_and_time(fact.venue_ns)
        times = {"tms": time_ms, "td": date, "ttm": clock, "ttms": time_ms}
        price, side = _bare(fact.price), "ASK" if fact.side is Side.SELL else "BID"
        change = {"pcp": price, "c": "EVEN", "cp": 0}
        told = {"tp": price, "tv": _bare(fact.size), "ab": side, **change, "sid": self._count, "st": "REALTIME"}
        return [_dump({"ty": "trade", "cd": symbol, **times, **told})]


class _Part(Struct):
    ticket: str = ""
    type: str = ""
    codes: list[str] = []
    format: str = ""


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads a recording made at `url`."""
    return Session(feeds, market)


def _time_ns(time_ms: int, recv_ns: Nanos) -> Nanos:
    if not MS_MIN <= time_ms < MS_MAX:
        raise VenueError(Refusal.TIME_UNIT, f"{time_ms} ms")
    return base.event_time(time_ms, NANOS_PER_MS, recv_ns)


def _date_and_time(at_ns: Nanos) -> tuple[str, str]:
    date, _, clock = datetime.fromtimestamp(at_ns // NANOS_PER_S, UTC).strftime("%Y-%m-%d %H:%M:%S").partition(" ")
    return date, clock


def _bare(value: float) -> Raw:
    """A number as this venue writes it: without quotes."""
    return Raw(base.decimal_text(value).encode())


def _failed(name: str) -> str:
    return _dump({"error": {"name": name, "message": name.replace("_", " ").lower()}})


def _dump(said: object) -> str:
    return msgspec.json.encode(said).decode()
