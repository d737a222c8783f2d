"""What MEXC says of its perpetuals: tops of book, trades, mark, index and funding, on its futures WebSocket.

Source: www.mexc.com/api-docs/futures, /market-endpoints and an older copy of its stream pages, read on 2026-11-21; the
list form of `sub.deal` as clients' captures have it. `sub.depth.full` pushes the
best five levels whole, best first, as price, contracts and orders; `ts` is the time of a push. `sub.deal` pushes trades
in a list, in older pages one alone; `T` is 1 for a purchase. `sub.ticker` speaks once a second: from it come the fair
price, which is the mark, the index and the funding rate, which is for the contract's own interval (`collectCycle`, in
hours, over REST); the top that it repeats is late and passed over. Sizes are contracts: of 0.0001 BTC in `BTC_USDT`,
else as `contractSize` says over REST. Times are milliseconds. A push may be compressed unless it is asked for with
`gzip` false. The client pings every 10 to 20 s and is cut off after a minute. Symbols: `BTC_USDT`, `ETH_USDT`.

Not documented: that `T` is the taker's (as on other venues); that levels come best first (so they do in the examples);
how an empty side looks (read: an empty list); how often a book is pushed; whether a subscription repeats old trades:
what is older than its acknowledgement is passed over. The pages call the end of a subscription to books
`usub.depth.full`; what is sent is `unsub.`, as for everything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from oracle.core.types import NANOS_PER_MS, BookTop, Nanos, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base

URL = "wss://contract.mexc.com/edge"
LEVELS = 5
METHODS = ("depth.full", "deal", "ticker")
BOOK_KEYS, PUSH_KEYS, DEAL_KEYS = 7, 4, 4  # of a message without what may be missing
TRADES_MAX = 1024  # a message of more is read all the same, slowly
SIDES = {1: Side.BUY, 2: Side.SELL}
SUCCESS = "success"
TOP = base.RestTop(
    url="https://api.mexc.com/api/v1/contract/depth/{symbol}?limit=5",
    bid="data.bids.0.0", bid_size="data.bids.0.1", ask="data.asks.0.0", ask_size="data.asks.0.1",
    time="data.timestamp", fine=("success", "true"), quoted=False,
)  # fmt: skip

Level = tuple[float, float, int]  # price, contracts, the number of orders


class _Book(Struct, gc=False):
    asks: list[Level]
    bids: list[Level]
    version: int
    cts: Raw | UnsetType = UNSET


class _Books(Struct):
    channel: Literal["push.depth.full"]
    symbol: str
    data: _Book
    time_ms: int = msgspec.field(name="ts")


class _Deal(Struct, gc=False):
    """Price, contracts, side, time; and what is passed over."""

    p: float
    v: float
    T: int
    t: int
    O: Raw | UnsetType = UNSET  # noqa: E741 - the venue's name
    M: Raw | UnsetType = UNSET
    i: Raw | UnsetType = UNSET
    cts: Raw | UnsetType = UNSET


class _Deals(Struct):
    channel: Literal["push.deal"]
    symbol: str
    data: list[_Deal] | _Deal
    ts: Raw


class _Prices(Struct, rename="camel"):
    fair_price: float
    index_price: float
    funding_rate: float


class _Ticker(Struct):
    channel: Literal["push.ticker"]
    symbol: str
    data: _Prices
    time_ms: int = msgspec.field(name="ts")


class _Other(Struct):
    """What any other message says of itself."""

    channel: str
    data: Any = None


_BOOK: base.Decoder[_Books] = base.Decoder(_Books, (BOOK_KEYS, BOOK_KEYS + 1))
_DEALS: base.Decoder[_Deals] = base.Decoder(_Deals, range(PUSH_KEYS, PUSH_KEYS + DEAL_KEYS * TRADES_MAX))
_TICKER: base.Decoder[_Ticker] = base.Decoder(_Ticker)
_OTHER: base.Decoder[_Other] = base.Decoder(_Other)


class Session(base.Session):
    """A public connection to the perpetuals."""

    venue = "mexc_contract"
    ping_ms = 15_000
    words = ('"method":"sub.', '"method":"unsub.')
    tops: ClassVar = {"": TOP}

    def __init__(self, feeds: Sequence[base.Feed], market: str = "contract") -> None:
        super().__init__(feeds, market)
        self._since_ns: Nanos = 0  # when a subscription to trades was acknowledged

    def url(self) -> str:
        """The address to dial."""
        return URL

    def open(self) -> list[base.Send]:
        """A subscription for each channel of each contract."""
        self._since_ns = 0
        return [base.Send(_subscription(method, symbol)) for symbol in self.sources for method in METHODS]

    def idle(self, now_ns: Nanos) -> list[base.Send]:
        """The ping that keeps the connection."""
        return [base.Send('{"method":"ping"}')]

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The facts in one frame. Raises VenueError."""
        if b'"channel":"push.depth.full"' in data:
            return [self._read_book(data, recv_ns)]
        if b'"channel":"push.deal"' in data:
            return self._read_deals(data, recv_ns)
        return self._read_other(data, recv_ns)

    def _read_book(self, data: bytes, recv_ns: Nanos) -> BookTop:
        push = _BOOK(data)
        said = push.data
        if data.count(b'":') != BOOK_KEYS + (said.cts is not UNSET):
            base.check_strictly(data)
        source, venue_ns = self.source_of(push.symbol), base.event_time(push.time_ms, NANOS_PER_MS, recv_ns)
        bid, bid_size, _ = said.bids[0] if said.bids else (0.0, 0.0, 0)
        ask, ask_size, _ = said.asks[0] if said.asks else (0.0, 0.0, 0)
        return base.top(source, bid, bid_size, ask, ask_size, venue_ns, recv_ns)

    def _read_deals(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        push = _DEALS(data)
        deals = push.data if isinstance(push.data, list) else [push.data]
        if data.count(b'":') != PUSH_KEYS + sum(_keys(deal) for deal in deals):
            base.check_strictly(data)
        source = self.source_of(push.symbol)
        trades = [_trade(source, deal, recv_ns) for deal in deals]
        return [trade for trade in trades if trade.venue_ns >= self._since_ns]

    def _read_ticker(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        push = _TICKER(data)
        said, source = push.data, self.source_of(push.symbol)
        venue_ns = base.event_time(push.time_ms, NANOS_PER_MS, recv_ns)
        return [*base.tickers(source, said.fair_price, said.index_price, said.funding_rate, venue_ns, recv_ns)]

    def _read_other(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said = _OTHER(data)
        channel = said.channel
        if channel == "push.ticker":
            return self._read_ticker(data, recv_ns)
        if channel == "push.depth.full":  # written with spaces: the quick look did not know it
            return [self._read_book(data, recv_ns)]
        if channel == "push.deal":
            return self._read_deals(data, recv_ns)
        if channel.startswith("rs.") and said.data != SUCCESS:
            raise VenueError(Refusal.VENUE_ERROR, f"{channel} {said.data}"[:120])
        if channel == "rs.sub.deal":
            self._since_ns = recv_ns // NANOS_PER_MS * NANOS_PER_MS
        if channel.startswith(("rs.sub.", "rs.unsub.")) or channel == "pong":
            return []
        raise VenueError(Refusal.UNKNOWN_MESSAGE, channel[:40])


class Mimic(base.Mimic):
    """MEXC's perpetuals as the simulator plays them."""

    venue = "mexc_contract"

    def __init__(self, feeds: Sequence[base.Feed], market: str = "contract") -> None:
        super().__init__(feeds, market)
        self._count = 0

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        """A pong, an acknowledgement of a contract that exists, or an error; to what is no request, nothing."""
        time_ms = now_ns // NANOS_PER_MS
        try:
            call = msgspec.json.decode(data, type=_Call)
        except msgspec.DecodeError:
            return []
        if call.method == "ping":
            return [_dump({"channel": "pong", "data": time_ms, "ts": time_ms})]
        symbol = call.param.get("symbol")
        if call.method.partition(".")[0] not in ("sub", "unsub") or call.method.partition(".")[2] not in METHODS:
            return []
        if symbol not in self.symbols.values():
            return [_dump({"channel": "rs.error", "data": f"Contract [{symbol}] not exists", "ts": time_ms})]
        return [_dump({"channel": f"rs.{call.method}", "data": SUCCESS, "ts": time_ms})]

    def speak(self, fact: BookTop | Trade) -> list[str]:
        """A push of a whole book, or of a trade."""
        self._count += 1
        symbol, time_ms = self.symbols[fact.source], fact.venue_ns // NANOS_PER_MS
        if isinstance(fact, BookTop):
            sides = {"asks": _side(fact.ask, fact.ask_size), "bids": _side(fact.bid, fact.bid_size)}
            book = {"cts": time_ms, **sides, "version": self._count}
            return [_dump({"symbol": symbol, "data": book, "channel": "push.depth.full", "ts": time_ms})]
        deal = {
            "p": fact.price, "v": fact.size, "T": 2 if fact.side is Side.SELL else 1, "O": 3, "M": 1, "t": time_ms,
            "i": str(self._count),
        }  # fmt: skip
        return [_dump({"symbol": symbol, "data": [deal], "channel": "push.deal", "ts": time_ms})]


class _Call(Struct):
    method: str
    param: dict[str, Any] = {}


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "contract") -> base.Session:
    """The Session that reads a recording made at `url`; there has been one dialect."""
    return Session(feeds, market)


def _keys(deal: _Deal) -> int:
    return DEAL_KEYS + sum(other is not UNSET for other in (deal.O, deal.M, deal.i, deal.cts))


def _trade(source: int, said: _Deal, recv_ns: Nanos) -> Trade:
    side = SIDES.get(said.T)
    if side is None:
        raise VenueError(Refusal.WRONG_SHAPE, f"a side of {said.T}"[:40])
    venue_ns = base.event_time(said.t, NANOS_PER_MS, recv_ns)
    return Trade(source, base.price(said.p), base.size(said.v), side, venue_ns, recv_ns)


def _side(price: float, size: float) -> list[list[float]]:
    return [[price, size, 1]] if price else []


def _subscription(method: str, symbol: str) -> str:
    limit = {"limit": LEVELS} if method == "depth.full" else {}
    return _dump({"method": f"sub.{method}", "param": {"symbol": symbol, **limit}, "gzip": False})


def _dump(said: dict[str, Any]) -> str:
    return msgspec.json.encode(said).decode()
