"""What OKX says: tops of book and trades of spot pairs and swaps, on its public v5 WebSocket.

Sources, read 2026-11-21: www.okx.com/help/5399923178253 (`bbo-tbt` needs no login) and
www.okx.com/help/okx-order-book-channels-checksum-field-deprecation; the reference is www.okx.com/docs-v5/en. `bbo-tbt`
gives the top every 10 ms when it changed. Times are milliseconds in strings. Sizes of swaps are contracts. A connection
that hears nothing for 30 s is closed: the client says `ping`, the venue `pong`.

Of a swap three more are read, in which the venue states its mark price (every 200 ms when it changed), the funding rate
of the running interval, and, by the name of the pair, the index.

The channel `books` (400 levels: a snapshot, then deltas) is kept for recordings and verified on every frame: by the
update numbers where the frame has them, and by the CRC32 of its best 25 levels a side where the venue sends one, which
it did until 2026-06-23 (since then the field is 0). `tickers` states the top at most every 100 ms, so it speaks for a
symbol only while no book channel of that symbol has been acknowledged or heard. The v3 dialect (`table`) is refused.

Over REST the top is that of `GET /api/v5/market/books`. The hosts at aws.okx.com ended on 2025-04-28: one is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from oracle.core.types import NANOS_PER_MS, BookTop, Nanos, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base
from oracle.venues._okx_books import Change, Keeper

_CHANNELS = ("bbo-tbt", "trades")
_READABLE = ("bbo-tbt", "books", "tickers", "trades")
_SWAP, _INDEX = "-SWAP", "index-tickers"
_STATES = ("mark-price", "funding-rate", _INDEX)  # of a swap; the index is named by its pair
_BOOK_CHANNELS = ("bbo-tbt", "books")
_NO_LEVEL = (0.0, 0.0, 0, 0)
_SIDES = {"buy": Side.BUY, "sell": Side.SELL}
_REST_TOP = base.RestTop(
    url="https://www.okx.com/api/v5/market/books?instId={symbol}&sz=1",
    bid="data.0.bids.0.0", bid_size="data.0.bids.0.1", ask="data.0.asks.0.0", ask_size="data.0.asks.0.1",
    time="data.0.ts", quoted_time=True, fine=("code", '"0"'),
)  # fmt: skip


class _Arg(Struct, gc=False):
    channel: str
    symbol: str = msgspec.field(name="instId")


class _Top(Struct):
    bids: list[tuple[float, float, int, int]]  # price, size, a retired field, the number of orders
    asks: list[tuple[float, float, int, int]]
    time_ms: int = msgspec.field(name="ts")
    seq: int = msgspec.field(name="seqId", default=-1)


class _Tops(Struct):
    arg: _Arg
    data: list[_Top]


class _Deal(Struct, gc=False):
    symbol: str = msgspec.field(name="instId")
    trade_id: str = msgspec.field(name="tradeId")
    price: float = msgspec.field(name="px")
    size: float = msgspec.field(name="sz")
    side: str
    time_ms: int = msgspec.field(name="ts")
    count: str = ""
    source: str = ""
    seq: int = msgspec.field(name="seqId", default=-1)


class _Deals(Struct):
    arg: _Arg
    data: list[_Deal]


class _Changes(Struct):
    arg: _Arg
    action: str
    data: list[Change]


class _Ticker(Struct, gc=False):
    symbol: str = msgspec.field(name="instId")
    bid: float = msgspec.field(name="bidPx")
    bid_size: float = msgspec.field(name="bidSz")
    ask: float = msgspec.field(name="askPx")
    ask_size: float = msgspec.field(name="askSz")
    time_ms: int = msgspec.field(name="ts")


class _Tickers(Struct):
    arg: _Arg
    data: list[_Ticker]


class _State(Struct, gc=False):
    symbol: str = msgspec.field(name="instId")
    mark: base.Said = msgspec.field(name="markPx", default=None)
    index: base.Said = msgspec.field(name="idxPx", default=None)
    funding: base.Said = msgspec.field(name="fundingRate", default=None)
    time_ms: int = msgspec.field(name="ts", default=0)


class _States(Struct):
    arg: _Arg
    data: list[_State]


_TOP: base.Decoder[_Tops] = base.Decoder(_Tops, (8,))
_TRADE: base.Decoder[_Deals] = base.Decoder(_Deals, (13,))
_BOOK: base.Decoder[_Changes] = base.Decoder(_Changes)
_TICKER: base.Decoder[_Tickers] = base.Decoder(_Tickers)
_STATE: base.Decoder[_States] = base.Decoder(_States)
_ANY: base.Decoder[dict[str, Any]] = base.Decoder(dict[str, Any])


class Session(base.Session):
    """A public connection. `channels` are what is asked of each symbol; swaps and spot pairs may stand side by side."""

    venue = "okx"
    symbols_max = 100
    ping_ms = 20_000
    words = ('"op":"subscribe"', '"op":"unsubscribe"')
    tops: ClassVar = {"": _REST_TOP}

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot", channels: Sequence[str] = _CHANNELS) -> None:
        super().__init__(feeds, market)
        self._channels = tuple(channels)
        self._books = {f.symbol: Keeper(f.symbol) for f in feeds}
        self._has_book: set[str] = set()

    def url(self) -> str:
        """The public address."""
        return "wss://ws.okx.com:8443/ws/v5/public"

    def open(self) -> list[base.Send]:
        """One subscription to everything that trades, another to what is stated of swaps."""
        args = [{"channel": channel, "instId": f.symbol} for f in self.feeds for channel in self._channels]
        swaps = [f.symbol for f in self.feeds if f.symbol.endswith(_SWAP)]
        states = [{"channel": channel, "instId": _stated_of(channel, swap)} for swap in swaps for channel in _STATES]
        return [base.Send(_dump({"op": "subscribe", "args": asked})) for asked in (args, states) if asked]

    def idle(self, now_ns: Nanos) -> list[base.Send]:
        """The ping that keeps the connection."""
        return [base.Send("ping")]

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The facts in one frame. Raises VenueError."""
        if data.startswith(b'{"arg":{"channel":"bbo-tbt"'):
            return self._read_tops(_TOP(data), data, recv_ns)
        if data.startswith(b'{"arg":{"channel":"trades"'):
            return self._read_trades(_TRADE(data), data, recv_ns)
        if data == b"pong":
            return []
        return self._read_other(data, recv_ns)

    def _read_tops(self, frame: _Tops, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        source = self._source(frame.arg, "bbo-tbt")
        self._has_book.add(frame.arg.symbol)
        events: list[base.Event] = []
        for said in frame.data:
            if said.seq < 0:
                base.check_strictly(data)
            venue_ns = base.event_time(said.time_ms, NANOS_PER_MS, recv_ns)
            bid, bid_size, _, _ = said.bids[0] if said.bids else _NO_LEVEL
            ask, ask_size, _, _ = said.asks[0] if said.asks else _NO_LEVEL
            events.append(base.top(source, bid, bid_size, ask, ask_size, venue_ns, recv_ns))
        return events

    def _read_trades(self, frame: _Deals, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        source = self._source(frame.arg, "trades")
        events: list[base.Event] = []
        for said in frame.data:
            if said.seq < 0 or not said.count or not said.source:
                base.check_strictly(data)
            if said.symbol != frame.arg.symbol:
                raise VenueError(Refusal.UNKNOWN_SYMBOL, said.symbol[:40])
            side = _SIDES.get(said.side)
            if side is None:
                raise VenueError(Refusal.WRONG_SHAPE, said.side[:40])
            venue_ns = base.event_time(said.time_ms, NANOS_PER_MS, recv_ns)
            events.append(Trade(source, base.price(said.price), base.size(said.size), side, venue_ns, recv_ns))
        return events

    def _read_other(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said = _ANY(data)
        if "table" in said:
            raise VenueError(Refusal.OLD_DIALECT, str(said["table"])[:40])
        if "event" in said:
            return self._read_event(said)
        arg = said.get("arg")
        channel = arg.get("channel") if isinstance(arg, dict) else None
        if channel == "books":
            return self._read_books(_BOOK(data), recv_ns)
        if channel == "tickers":
            return self._read_tickers(_TICKER(data), recv_ns)
        if channel in _STATES:
            return self._read_states(_STATE(data), recv_ns)
        if channel == "bbo-tbt":  # written with spaces: the quick look did not know it
            return self._read_tops(_TOP(data), data, recv_ns)
        if channel == "trades":
            return self._read_trades(_TRADE(data), data, recv_ns)
        raise VenueError(Refusal.UNKNOWN_MESSAGE, str(channel)[:40])

    def _read_event(self, said: dict[str, Any]) -> list[base.Event]:
        """An acknowledgement, a count of connections or a notice of service; an error is the venue's."""
        event, arg = said["event"], said.get("arg")
        if event in ("error", "channel-conn-count-error"):
            raise VenueError(Refusal.VENUE_ERROR, f"{said.get('code')} {said.get('msg')}"[:120])
        if event not in ("subscribe", "unsubscribe", "notice", "channel-conn-count"):
            raise VenueError(Refusal.UNKNOWN_MESSAGE, str(event)[:40])
        channel = arg.get("channel") if isinstance(arg, dict) else None
        if event == "subscribe" and channel in _BOOK_CHANNELS and channel in self._channels:
            self._has_book.add(str(said["arg"].get("instId")))
        return []

    def _read_books(self, frame: _Changes, recv_ns: Nanos) -> list[base.Event]:
        source = self._source(frame.arg, "books")
        self._has_book.add(frame.arg.symbol)
        keeper = self._books[frame.arg.symbol]
        events: list[base.Event] = []
        for said in frame.data:
            venue_ns = base.event_time(said.time_ms, NANOS_PER_MS, recv_ns)
            if frame.action == "snapshot":
                keeper.restart(said)
            elif frame.action == "update":
                keeper.change(said)
            else:
                raise VenueError(Refusal.WRONG_SHAPE, frame.action[:40])
            events.append(base.top(source, *keeper.best(), venue_ns, recv_ns))
        return events

    def _read_tickers(self, frame: _Tickers, recv_ns: Nanos) -> list[base.Event]:
        source = self._source(frame.arg, "tickers")
        events: list[base.Event] = []
        for said in frame.data:
            if said.symbol != frame.arg.symbol:
                raise VenueError(Refusal.UNKNOWN_SYMBOL, said.symbol[:40])
            venue_ns = base.event_time(said.time_ms, NANOS_PER_MS, recv_ns)
            events.append(base.top(source, said.bid, said.bid_size, said.ask, said.ask_size, venue_ns, recv_ns))
        return [] if frame.arg.symbol in self._has_book else events

    def _read_states(self, frame: _States, recv_ns: Nanos) -> list[base.Event]:
        swap = frame.arg.symbol + _SWAP if frame.arg.channel == _INDEX else frame.arg.symbol
        if not swap.endswith(_SWAP):
            raise VenueError(Refusal.UNKNOWN_MESSAGE, f"{frame.arg.channel} of {swap}"[:60])
        source = self.source_of(swap)
        events: list[base.Event] = []
        for said in frame.data:
            if said.symbol != frame.arg.symbol:
                raise VenueError(Refusal.UNKNOWN_SYMBOL, said.symbol[:40])
            venue_ns = base.event_time(said.time_ms, NANOS_PER_MS, recv_ns) if said.time_ms else 0
            events += base.tickers(source, said.mark, said.index, said.funding, venue_ns, recv_ns)
        return events

    def _source(self, arg: _Arg, channel: str) -> int:
        source = self.source_of(arg.symbol)
        if arg.channel != channel or channel not in self._channels:
            raise VenueError(Refusal.UNKNOWN_MESSAGE, arg.channel[:40])
        return source


class Retired(Session):
    """Reads nothing: every frame of an address that is not v5 is of a dialect OKX has retired."""

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """Raises VenueError OLD_DIALECT."""
        raise VenueError(Refusal.OLD_DIALECT, "before v5")


class Mimic(base.Mimic):
    """OKX as the simulator plays it."""

    venue = "okx"

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._seq = 0

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        """`pong`, an acknowledgement for each channel that exists, or what is wrong with the request."""
        if data == "ping":
            return ["pong"]
        try:
            call = msgspec.json.decode(data, type=_Call)
        except msgspec.DecodeError:
            return [_dump({"event": "error", "code": "60012", "msg": "Invalid request", "connId": "a4d3ae55"})]
        return [self._acknowledge(call.op, arg) for arg in call.args]

    def speak(self, fact: BookTop | Trade) -> list[str]:
        """One frame of `bbo-tbt` or `trades`."""
        self._seq += 1
        symbol = self.symbols[fact.source]
        if isinstance(fact, Trade):
            return [_dump({"arg": {"channel": "trades", "instId": symbol}, "data": [self._deal(symbol, fact)]})]
        said = {
            "asks": _side(fact.ask, fact.ask_size),
            "bids": _side(fact.bid, fact.bid_size),
            "ts": str(fact.venue_ns // NANOS_PER_MS),
            "seqId": self._seq,
        }
        return [_dump({"arg": {"channel": "bbo-tbt", "instId": symbol}, "data": [said]})]

    def _deal(self, symbol: str, fact: Trade) -> dict[str, object]:
        return {
            "instId": symbol,
            "tradeId": str(self._seq),
            "px": base.decimal_text(fact.price),
            "sz": base.decimal_text(fact.size),
            "side": fact.side.value,
            "ts": str(fact.venue_ns // NANOS_PER_MS),
            "count": "1",
            "source": "0",
            "seqId": self._seq,
        }

    def _acknowledge(self, op: str, arg: _Arg) -> str:
        asked = {"channel": arg.channel, "instId": arg.symbol}
        asked_of = [_stated_of(arg.channel, symbol) for symbol in self.symbols.values()]
        known = arg.symbol in asked_of and arg.channel in (*_CHANNELS, *_STATES)
        if op in ("subscribe", "unsubscribe") and known:
            return _dump({"event": op, "arg": asked, "connId": "a4d3ae55"})
        problem = f"Wrong URL or channel:{arg.channel},instId:{arg.symbol} doesn't exist"
        return _dump({"event": "error", "code": "60018", "msg": problem, "connId": "a4d3ae55"})


class _Call(Struct):
    op: str
    args: list[_Arg]


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads a recording made at `url`: every readable channel of v5, nothing of what came before."""
    old = url and "/ws/v5/" not in url
    return Retired(feeds, market) if old else Session(feeds, market, _READABLE)


def _stated_of(channel: str, symbol: str) -> str:
    """By which name a channel is asked about a market: an index is of the pair that a swap is a swap of."""
    return symbol.removesuffix(_SWAP) if channel == _INDEX else symbol


def _side(price: float, size: float) -> list[list[str]]:
    return [[base.decimal_text(price), base.decimal_text(size), "0", "1"]] if price else []


def _dump(said: dict[str, Any]) -> str:
    return msgspec.json.encode(said).decode()
