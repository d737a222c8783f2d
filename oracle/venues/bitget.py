"""What Bitget says: tops of book and trades of spot pairs and USDT futures, on its public v2 WebSocket.

Sources, read 2026-11-21: www.bitget.com/api-doc/common/websocket-intro, /api-doc/classic/spot/websocket/public/
Depth-Channel and Trades-Channel, /api-doc/contract/websocket/public/New-Trades-Channel. `books1` gives the whole top
every 10 to 20 ms when it changed; its time is the matching engine's. The first message of `trade` is called a snapshot
and repeats trades of the past: it is passed over. `side` is the taker's. Times are milliseconds, mostly in strings;
sizes are coins in both markets. The client says `ping` every 30 s, the venue `pong`; a connection should carry fewer
than 50 channels. Of the futures `ticker` is read too (contract/websocket/public/Tickers-Channel), a few times a second:
the mark price, the index and the funding rate. Symbols: `BTCUSDT`, `ETHUSDT`, `USDCUSDT`, in both markets.

The dialect of wss://ws.bitget.com/spot/v1 and /mix/v1 is refused; that of v3, for unified accounts, is not asked for.

Over REST the top is that of Get OrderBook Depth (spot, at `step0`) and of Get Merge Depth (futures, unmerged).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from oracle.core.types import NANOS_PER_MS, BookTop, Nanos, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base

URL = "wss://ws.bitget.com/v2/ws/public"
PRODUCTS = {"spot": "SPOT", "usdt": "USDT-FUTURES"}
CHANNELS = {"spot": ("books1", "trade"), "usdt": ("books1", "trade", "ticker")}
PUSH_KEYS, TOP_KEYS, DEAL_KEYS = 7, 3, 5  # of a message of nothing, of what is always said of a top, of a trade
TRADES_MAX = 1024  # a message may carry so many
NO_SUCH_CHANNEL = 30001
NO_LEVEL = (0.0, 0.0)
SIDES = {"buy": Side.BUY, "sell": Side.SELL}
BENIGN_EVENTS = ("subscribe", "unsubscribe")
REST = "https://api.bitget.com/api/v2/"
TOP = base.RestTop(
    url=REST, bid="data.bids.0.0", bid_size="data.bids.0.1", ask="data.asks.0.0", ask_size="data.asks.0.1",
    time="data.ts", quoted_time=True, fine=("code", '"00000"'),
)  # fmt: skip


class _Arg(Struct, gc=False):
    product: str = msgspec.field(name="instType")
    channel: str
    symbol: str = msgspec.field(name="instId")


class _Top(Struct):
    asks: list[tuple[float, float]]
    bids: list[tuple[float, float]]
    time_ms: int = msgspec.field(name="ts")
    checksum: int | UnsetType = UNSET
    seq: int | UnsetType = UNSET


class _Tops(Struct):
    action: str
    arg: _Arg
    data: list[_Top]
    pushed_ms: int = msgspec.field(name="ts")


class _Deal(Struct, gc=False):
    time_ms: int = msgspec.field(name="ts")
    price: float
    size: float
    side: str
    trade_id: str = msgspec.field(name="tradeId")


class _Deals(Struct):
    action: str
    arg: _Arg
    data: list[_Deal]
    pushed_ms: int = msgspec.field(name="ts")


class _State(Struct, gc=False):
    time_ms: int = msgspec.field(name="ts")
    mark: base.Said = msgspec.field(name="markPrice", default=None)
    index: base.Said = msgspec.field(name="indexPrice", default=None)
    funding: base.Said = msgspec.field(name="fundingRate", default=None)


class _States(Struct):
    arg: _Arg
    data: list[_State]


_TOPS: base.Decoder[_Tops] = base.Decoder(_Tops, range(PUSH_KEYS + TOP_KEYS, PUSH_KEYS + TOP_KEYS + 3))
_DEALS: base.Decoder[_Deals] = base.Decoder(_Deals, range(PUSH_KEYS, 1 + PUSH_KEYS + DEAL_KEYS * TRADES_MAX, DEAL_KEYS))
_STATES: base.Decoder[_States] = base.Decoder(_States)
_ANY: base.Decoder[dict[str, Any]] = base.Decoder(dict[str, Any])


class Session(base.Session):
    """A public v2 connection to the `spot` or the `usdt` market."""

    venue = "bitget"
    symbols_max = 16  # three channels each, of fewer than 50
    ping_ms = 25_000
    words = ('"op":"subscribe"', '"op":"unsubscribe"')
    tops: ClassVar = {
        "spot": replace(TOP, url=REST + "spot/market/orderbook?symbol={symbol}&type=step0&limit=1"),
        "usdt": replace(TOP, url=REST + "mix/market/merge-depth?productType=usdt-futures&symbol={symbol}&limit=1"),
    }

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._product = PRODUCTS[market]

    def url(self) -> str:
        """The address of both markets."""
        return URL

    def open(self) -> list[base.Send]:
        """One subscription to everything."""
        args = [
            {"instType": self._product, "channel": channel, "instId": feed.symbol}
            for feed in self.feeds
            for channel in CHANNELS[self.market]
        ]
        return [base.Send(_dump({"op": "subscribe", "args": args}))]

    def idle(self, now_ns: Nanos) -> list[base.Send]:
        """The ping that keeps the connection."""
        return [base.Send("ping")]

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The facts in one frame. Raises VenueError."""
        if b'"data":' in data:
            if b'"channel":"books1"' in data:
                return self._read_tops(data, recv_ns)
            if b'"channel":"trade"' in data:
                return self._read_trades(data, recv_ns)
        if data == b"pong":
            return []
        return self._read_other(data, recv_ns)

    def _read_tops(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        push = _TOPS(data)
        keys = PUSH_KEYS + sum(TOP_KEYS + (top.checksum is not UNSET) + (top.seq is not UNSET) for top in push.data)
        if data.count(b'":') != keys:
            base.check_strictly(data)
        source = self._source(push.arg, "books1")
        if push.action != "snapshot":
            raise VenueError(Refusal.WRONG_SHAPE, push.action[:40])
        return [_top(source, said, recv_ns) for said in push.data]

    def _read_trades(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        push = _DEALS(data)
        if data.count(b'":') != PUSH_KEYS + DEAL_KEYS * len(push.data):
            base.check_strictly(data)
        source = self._source(push.arg, "trade")
        if push.action == "snapshot":
            return []
        if push.action != "update":
            raise VenueError(Refusal.WRONG_SHAPE, push.action[:40])
        return [_trade(source, said, recv_ns) for said in reversed(push.data)]  # it says the newest first

    def _read_states(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        push = _STATES(data)
        source = self._source(push.arg, "ticker")
        events: list[base.Event] = []
        for said in push.data:
            venue_ns = base.event_time(said.time_ms, NANOS_PER_MS, recv_ns)
            events += base.tickers(source, said.mark, said.index, said.funding, venue_ns, recv_ns)
        return events

    def _read_other(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said = _ANY(data)
        event, arg = said.get("event"), said.get("arg")
        if event == "error":
            raise VenueError(Refusal.VENUE_ERROR, f"{said.get('code')} {said.get('msg')}"[:120])
        if event in BENIGN_EVENTS:
            return []
        channel = arg.get("channel") if isinstance(arg, dict) else None
        if channel == "books1":  # written with spaces: the quick look did not know it
            return self._read_tops(data, recv_ns)
        if channel == "trade":
            return self._read_trades(data, recv_ns)
        if channel == "ticker" and channel in CHANNELS[self.market]:
            return self._read_states(data, recv_ns)
        raise VenueError(Refusal.UNKNOWN_MESSAGE, str(channel or event or arg)[:60])

    def _source(self, arg: _Arg, channel: str) -> int:
        if arg.channel != channel or arg.product != self._product:
            raise VenueError(Refusal.UNKNOWN_MESSAGE, f"{arg.product} {arg.channel}"[:60])
        return self.source_of(arg.symbol)


class Retired(Session):
    """Reads nothing: every frame of an address that is v1 is of a dialect Bitget has retired."""

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """Raises VenueError OLD_DIALECT."""
        raise VenueError(Refusal.OLD_DIALECT, "before v2")


class Mimic(base.Mimic):
    """Bitget as the simulator plays it."""

    venue = "bitget"

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._product = PRODUCTS[market]
        self._count = 0

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        """A pong, an acknowledgement or an error for each channel that is asked for."""
        if data == "ping":
            return ["pong"]
        try:
            call = msgspec.json.decode(data, type=_Call)
        except msgspec.DecodeError:
            return [_dump({"event": "error", "code": NO_SUCH_CHANNEL, "msg": "Illegal request"})]
        return [self._acknowledge(call.op, arg) for arg in call.args]

    def speak(self, fact: BookTop | Trade) -> list[str]:
        """One frame of `books1` or of `trade`."""
        self._count += 1
        symbol, time_ms = self.symbols[fact.source], fact.venue_ns // NANOS_PER_MS
        if isinstance(fact, BookTop):
            sides = {"asks": _side(fact.ask, fact.ask_size), "bids": _side(fact.bid, fact.bid_size)}
            top = {**sides, "seq": self._count, "ts": str(time_ms)}
            return [self._push("snapshot", "books1", symbol, top, time_ms)]
        deal = {
            "ts": str(time_ms),
            "price": base.decimal_text(fact.price),
            "size": base.decimal_text(fact.size),
            "side": "sell" if fact.side is Side.SELL else "buy",
            "tradeId": str(self._count),
        }
        return [self._push("update", "trade", symbol, deal, time_ms)]

    def _acknowledge(self, event: str, arg: _Arg) -> str:
        said = {"instType": arg.product, "channel": arg.channel, "instId": arg.symbol}
        known = (
            arg.channel in CHANNELS[self.market]
            and arg.product == self._product
            and arg.symbol in self.symbols.values()
        )
        if known and event in BENIGN_EVENTS:
            return _dump({"event": event, "arg": said})
        reason = f"{arg.product},{arg.channel},{arg.symbol} doesn't exist"
        return _dump({"event": "error", "arg": said, "code": NO_SUCH_CHANNEL, "msg": reason, "op": event})

    def _push(self, action: str, channel: str, symbol: str, said: dict[str, Any], time_ms: int) -> str:
        arg = {"instType": self._product, "channel": channel, "instId": symbol}
        return _dump({"action": action, "arg": arg, "data": [said], "ts": time_ms})


class _Call(Struct):
    op: str
    args: list[_Arg]


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads a recording made at `url`: v2, or nothing of what came before."""
    return Retired(feeds, market) if "/v1/" in url else Session(feeds, market)


def _top(source: int, said: _Top, recv_ns: Nanos) -> BookTop:
    if len(said.bids) > 1 or len(said.asks) > 1:
        raise VenueError(Refusal.WRONG_SHAPE, "more than the top")
    bid, bid_size = said.bids[0] if said.bids else NO_LEVEL
    ask, ask_size = said.asks[0] if said.asks else NO_LEVEL
    venue_ns = base.event_time(said.time_ms, NANOS_PER_MS, recv_ns)
    return base.top(source, bid, bid_size, ask, ask_size, venue_ns, recv_ns)


def _trade(source: int, said: _Deal, recv_ns: Nanos) -> Trade:
    side = SIDES.get(said.side)
    if side is None:
        raise VenueError(Refusal.WRONG_SHAPE, said.side[:40])
    venue_ns = base.event_time(said.time_ms, NANOS_PER_MS, recv_ns)
    return Trade(source, base.price(said.price), base.size(said.size), side, venue_ns, recv_ns)


def _side(price: float, size: float) -> list[list[str]]:
    return [[base.decimal_text(price), base.decimal_text(size)]] if price else []


def _dump(said: dict[str, Any]) -> str:
    return msgspec.json.encode(said).decode()
