"""What Gate says of its USDT-settled perpetuals: tops of book, trades, marks, indices and funding, on its v4 WebSocket.

Source: www.gate.com/docs/developers/futures/ws/en (best ask/bid, trades, tickers, application ping), read 2026-11-21.
`futures.book_ticker` gives the whole top at every change of it; an empty side is an empty string. `futures.trades` has
a signed size, below zero when the taker sold; an internal trade (the insurance fund, or a deleveraging, takes a
position over) is away from the book and passed over. `futures.tickers`, about once a second, has the mark price, the
index and the funding rate of the running interval, which is 8, 4 or 1 hours, as the contract has it. Times are
milliseconds. Sizes are contracts: 0.0001 BTC, 0.01 ETH. A request shall bear the time; a subscription fails whole when
one of its contracts is unknown, so each is asked by itself. Symbols: `BTC_USDT`, `ETH_USDT`.

Sizes are integers cut towards zero unless the dial bears the header `X-Gate-Size-Decimal`, which a session cannot set:
both spellings are read. A level of less than a contract is therefore a price whose size is not stated, and a trade of
less than one, which has lost its side with its size, is passed over.

Assumed, since no page says so: that trades of the past are not repeated upon subscribing, and that `t` of a ticker is
its time. What was not heard by the next ping is asked for again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Struct, UnsetType

from oracle.core.types import NANOS_PER_MS, BookTop, Nanos, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import _gate, base

URL = "wss://fx-ws.gateio.ws/v4/ws/usdt"
TICKER, TRADES, STATE = "futures.book_ticker", "futures.trades", "futures.tickers"
DIALECT = _gate.Dialect("futures", (TICKER, TRADES, STATE), "contract")
TOP_KEYS, DEAL_KEYS = 7, 6  # of a top, and of a trade without what may be missing
TRADES_MAX = 1024  # a message may carry so many and be read quickly

OrEmpty: TypeAlias = float | Literal[""]


class _Top(Struct, gc=False):
    """Time, update number, contract, bid, its size, ask, its size."""

    t: int
    u: int
    s: str
    b: OrEmpty
    B: OrEmpty
    a: OrEmpty
    A: OrEmpty


class _Deal(Struct, gc=False):
    size: float
    id: int
    created_s: int = msgspec.field(name="create_time")
    created_ms: int = msgspec.field(name="create_time_ms")
    price: float
    symbol: str = msgspec.field(name="contract")
    is_internal: bool | UnsetType = UNSET


class _State(Struct, gc=False):
    symbol: str = msgspec.field(name="contract")
    mark: OrEmpty = msgspec.field(name="mark_price", default="")
    index: OrEmpty = msgspec.field(name="index_price", default="")
    funding: OrEmpty = msgspec.field(name="funding_rate", default="")
    time_ms: int = msgspec.field(name="t", default=0)


class _Tops(_gate.Push, kw_only=True):
    result: _Top


class _Deals(_gate.Push, kw_only=True):
    result: list[_Deal]


class _States(_gate.Push, kw_only=True):
    result: list[_State]


_TOP: base.Decoder[_Tops] = base.Decoder(_Tops, range(_gate.PUSH_KEYS + TOP_KEYS, _gate.PUSH_KEYS + TOP_KEYS + 3))
_DEALS: base.Decoder[_Deals] = base.Decoder(
    _Deals, range(_gate.PUSH_KEYS, 3 + _gate.PUSH_KEYS + (DEAL_KEYS + 1) * TRADES_MAX)
)
_STATES: base.Decoder[_States] = base.Decoder(_States)
_ANY: base.Decoder[dict[str, Any]] = base.Decoder(dict[str, Any])


class Session(_gate.Session):
    """A public connection to the USDT-settled perpetuals."""

    venue = "gate_futures"
    dialect = DIALECT
    ping_ms = 10_000
    tops: ClassVar = {
        "": base.RestTop(
            url="https://api.gateio.ws/api/v4/futures/usdt/order_book?contract={symbol}&limit=1",
            bid="bids.0.p",
            ask="asks.0.p",
            bid_size="bids.0.s",
            ask_size="asks.0.s",
            quoted=False,
        )
    }

    def url(self) -> str:
        """The address to dial."""
        return URL

    def greet(self, now_ns: Nanos) -> list[base.Send]:
        """A subscription a contract and channel, with the time that a request shall bear."""
        return self._ask(_gate.stamp_of(now_ns))

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The facts in one frame. Raises VenueError."""
        if b'"update"' in data:
            if b'"futures.book_ticker"' in data:
                return [self._read_top(data, recv_ns)]
            if b'"futures.trades"' in data:
                return self._read_trades(data, recv_ns)
            if b'"futures.tickers"' in data:
                return self._read_states(data, recv_ns)
        _check_other(_ANY(data))
        return []

    def _read_top(self, data: bytes, recv_ns: Nanos) -> BookTop:
        push = _TOP(data)
        _gate.check_push(push, TICKER, data, TOP_KEYS)
        said = push.result
        source, venue_ns = self.source_of(said.s), base.event_time(said.t, NANOS_PER_MS, recv_ns)
        bid, bid_size = _level(said.b, said.B)
        ask, ask_size = _level(said.a, said.A)
        self._unheard.discard(said.s)
        return BookTop(source, bid, bid_size, ask, ask_size, venue_ns, recv_ns)

    def _read_trades(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        push = _DEALS(data)
        _gate.check_push(push, TRADES, data, sum(DEAL_KEYS + (deal.is_internal is not UNSET) for deal in push.result))
        events: list[base.Event] = []
        for said in push.result:
            source, venue_ns = self.source_of(said.symbol), base.event_time(said.created_ms, NANOS_PER_MS, recv_ns)
            price, size = base.price(said.price), base.number(abs(said.size))
            side = Side.BUY if said.size > 0.0 else Side.SELL
            if size and said.is_internal is not True:
                events.append(Trade(source, price, size, side, venue_ns, recv_ns))
        return events

    def _read_states(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        push = _STATES(data)
        if push.channel != STATE:
            raise VenueError(Refusal.UNKNOWN_MESSAGE, push.channel[:40])
        events: list[base.Event] = []
        for said in push.result:
            source = self.source_of(said.symbol)
            venue_ns = base.event_time(said.time_ms, NANOS_PER_MS, recv_ns) if said.time_ms else 0
            events += base.tickers(source, said.mark, said.index, said.funding, venue_ns, recv_ns)
        return events


class Mimic(_gate.Mimic):
    """Gate's perpetuals as the simulator plays them, to a client whose dial bore the header of decimal sizes."""

    venue = "gate_futures"
    dialect = DIALECT

    def result(self, fact: BookTop | Trade, symbol: str, time_ms: int) -> object:
        """A top, or a list of one trade."""
        if isinstance(fact, BookTop):
            sides = {"b": fact.bid, "B": fact.bid_size, "a": fact.ask, "A": fact.ask_size}
            said = {name: base.decimal_text(value) if value else "" for name, value in sides.items()}
            return {"t": time_ms, "u": self._count, "s": symbol} | said
        deal = {
            "contract": symbol,
            "create_time": time_ms // 1_000,
            "create_time_ms": time_ms,
            "id": self._count,
            "price": base.decimal_text(fact.price),
            "size": base.decimal_text(-fact.size if fact.side is Side.SELL else fact.size),
        }
        return [deal]


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads a recording made at `url`; there has been one dialect of the perpetuals."""
    return Session(feeds, market)


def _level(price: OrEmpty, size: OrEmpty) -> tuple[float, float]:
    """A side of the top; a size of nothing beside a price is one that is not stated."""
    return (base.price(price), base.number(size or 0.0)) if price != "" else (0.0, 0.0)


def _check_other(said: dict[str, Any]) -> None:
    """Raise VenueError unless the message is an acknowledgement or a pong."""
    _gate.check_answer(said)
    channel = said.get("channel")
    if channel != DIALECT.pong and not (channel in DIALECT.channels and said.get("event") in _gate.EVENTS):
        raise VenueError(Refusal.UNKNOWN_MESSAGE, str(channel)[:40])
