"""What Gate says: tops of book and trades of spot pairs, on its public v4 WebSocket.

Source: www.gate.com/docs/developers/apiv4/ws/en (best bid or ask, public trades, application ping), read 2026-11-21.
`spot.book_ticker` gives the whole top every 10 ms when it changed; a side that is empty is an empty string. `t` is its
time, in milliseconds. The time of a trade is `create_time_ms`, milliseconds in a string with a fraction; `side` is the
taker's. A subscription fails whole when one of its pairs is unknown, so each pair is asked by itself. A request shall
bear the time, not a minute off. There is no clock at hand when a connection opens, and the venue has served public
channels without it; a pair of which nothing was heard by the first ping is asked for again, with the time. The venue
pings by the protocol; the ping of its own grammar is sent as well. Symbols: `BTC_USDT`, `ETH_USDT`, `USDC_USDT`.

The perpetuals are read by `gate_futures`. The dialects before v4 (`method`, `params`) are refused.

Over REST the top is that of `GET /spot/order_book`, at `current`, when the answer was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from oracle.core.types import NANOS_PER_MS, BookTop, Nanos, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import _gate, base

URL = "wss://api.gateio.ws/ws/v4/"
TICKER, TRADES = "spot.book_ticker", "spot.trades"
DIALECT = _gate.Dialect("spot", (TICKER, TRADES), "currency pair")
TOP_KEYS, DEAL_KEYS = 7, 7  # of a top, and of a trade without what may be missing
SIDES = {"buy": Side.BUY, "sell": Side.SELL}
TOP = base.RestTop(
    url="https://api.gateio.ws/api/v4/spot/order_book?currency_pair={symbol}&limit=1",
    bid="bids.0.0", bid_size="bids.0.1", ask="asks.0.0", ask_size="asks.0.1", time="current",
)  # fmt: skip


class _Top(Struct, gc=False):
    """Time, update number, symbol, bid, its size, ask, its size."""

    t: int
    u: int
    s: str
    b: float
    B: float
    a: float
    A: float


class _TopText(Struct, gc=False):
    """The same as text, because an empty string is no number."""

    t: int
    u: int
    s: str
    b: str
    B: str
    a: str
    A: str


class _Deal(Struct, gc=False):
    id: int
    created_s: int = msgspec.field(name="create_time")
    created_ms: str = msgspec.field(name="create_time_ms")
    side: str
    symbol: str = msgspec.field(name="currency_pair")
    size: float = msgspec.field(name="amount")
    price: float
    id_market: int | UnsetType = UNSET
    range: str | UnsetType = UNSET


class _Tops(_gate.Push, kw_only=True):
    result: _Top


class _TopTexts(_gate.Push, kw_only=True):
    result: _TopText


class _Deals(_gate.Push, kw_only=True):
    result: _Deal


_TOP: base.Decoder[_Tops] = base.Decoder(_Tops, range(_gate.PUSH_KEYS + TOP_KEYS, _gate.PUSH_KEYS + TOP_KEYS + 3))
_TOP_TEXT: base.Decoder[_TopTexts] = base.Decoder(_TopTexts)
_DEAL: base.Decoder[_Deals] = base.Decoder(_Deals, range(_gate.PUSH_KEYS + DEAL_KEYS, _gate.PUSH_KEYS + DEAL_KEYS + 5))
_ANY: base.Decoder[dict[str, Any]] = base.Decoder(dict[str, Any])


class Session(_gate.Session):
    """A public connection to the spot market."""

    venue = "gate"
    dialect = DIALECT
    ping_ms = 5_000
    markets = ("spot",)
    tops: ClassVar = {"spot": TOP}

    def url(self) -> str:
        """The address to dial."""
        return URL

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The fact in one frame. Raises VenueError."""
        if b'"update"' in data:
            if b'"spot.book_ticker"' in data:
                return [self._read_top(data, recv_ns)]
            if b'"spot.trades"' in data:
                return [self._read_trade(data, recv_ns)]
        _check_other(_ANY(data))
        return []

    def _read_top(self, data: bytes, recv_ns: Nanos) -> BookTop:
        push = _decoded_top(data)
        _gate.check_push(push, TICKER, data, TOP_KEYS)
        said = push.result
        source, venue_ns = self.source_of(said.s), base.event_time(said.t, NANOS_PER_MS, recv_ns)
        top = base.top(source, said.b, said.B, said.a, said.A, venue_ns, recv_ns)
        self._unheard.discard(said.s)
        return top

    def _read_trade(self, data: bytes, recv_ns: Nanos) -> Trade:
        push = _DEAL(data)
        said = push.result
        _gate.check_push(push, TRADES, data, DEAL_KEYS + (said.id_market is not UNSET) + (said.range is not UNSET))
        side = SIDES.get(said.side)
        if side is None:
            raise VenueError(Refusal.WRONG_SHAPE, said.side[:40])
        source, venue_ns = self.source_of(said.symbol), _created_ns(said.created_ms, recv_ns)
        return Trade(source, base.price(said.price), base.size(said.size), side, venue_ns, recv_ns)


class Mimic(_gate.Mimic):
    """Gate as the simulator plays it."""

    venue = "gate"
    dialect = DIALECT

    def result(self, fact: BookTop | Trade, symbol: str, time_ms: int) -> object:
        """A top or a trade."""
        if isinstance(fact, BookTop):
            bid = {"b": _or_empty(fact.bid), "B": base.decimal_text(fact.bid_size)}
            ask = {"a": _or_empty(fact.ask), "A": base.decimal_text(fact.ask_size)}
            return {"t": time_ms, "u": self._count, "s": symbol, **bid, **ask}
        return {
            "id": self._count,
            "id_market": self._count,
            "create_time": time_ms // 1_000,
            "create_time_ms": f"{time_ms}.0",
            "side": "sell" if fact.side is Side.SELL else "buy",
            "currency_pair": symbol,
            "amount": base.decimal_text(fact.size),
            "price": base.decimal_text(fact.price),
            "range": f"{self._count}-{self._count}",
        }


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads a recording made at `url`."""
    return Session(feeds, market)


def _decoded_top(data: bytes) -> _Tops:
    try:
        return _TOP(data)
    except VenueError as error:
        if error.reason is not Refusal.WRONG_SHAPE or b'""' not in data:
            raise
    push = _TOP_TEXT(data)
    text = push.result
    top = _Top(text.t, text.u, text.s, _float(text.b), _float(text.B), _float(text.a), _float(text.A))
    return _Tops(push.channel, push.event, push.time, push.time_ms, result=top)


def _float(text: str) -> float:
    try:
        return msgspec.convert(text, float, strict=False) if text else 0.0
    except msgspec.ValidationError:
        raise VenueError(Refusal.WRONG_SHAPE, text[:40]) from None


def _created_ns(text: str, recv_ns: Nanos) -> Nanos:
    """Milliseconds with a fraction, to the nanosecond. Raises VenueError TIME_UNIT."""
    whole, _, fraction = text.partition(".")
    digits = whole + fraction
    if not whole or len(digits) > 30 or not digits.isascii() or not digits.isdigit():
        raise VenueError(Refusal.TIME_UNIT, text[:40])
    return base.event_time(int(whole) * NANOS_PER_MS + int(fraction[:6].ljust(6, "0")), 1, recv_ns)


def _check_other(said: dict[str, Any]) -> None:
    """Raise VenueError unless the message is an acknowledgement or a pong."""
    if "method" in said or "params" in said:
        raise VenueError(Refusal.OLD_DIALECT, str(said.get("method"))[:40])
    _gate.check_answer(said)
    if said.get("event") not in _gate.EVENTS and said.get("channel") != DIALECT.pong:
        raise VenueError(Refusal.UNKNOWN_MESSAGE, str(said.get("channel"))[:40])


def _or_empty(value: float) -> str:
    return base.decimal_text(value) if value else ""
