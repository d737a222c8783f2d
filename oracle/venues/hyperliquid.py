"""What Hyperliquid says of its perpetuals, its own and those that others deploy, on its public WebSocket.

Source: https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/websocket (subscriptions, timeouts and
heartbeats), which was not to be had on 2026-11-21: what stands here rests on the schemas of its clients and on
captured messages, and has not been compared with the page. For each coin three channels: `bbo` is the top whenever a
block changed it, `trades`, and `activeAssetCtx` for the mark price, the oracle price, which is the index, and the
funding rate, which is for an hour. A coin is `BTC`; of a deployer of HIP-3 `xyz:GOLD`; a spot pair `@107`, whose
context is `activeSpotAssetCtx` and has a mark price only. A context states no time. Times are milliseconds. Prices
are text. A line on which the client says nothing for 60 s is closed, so it pings.

The first `trades` message after a subscription repeats trades of the past and is not marked. What happened before the
acknowledgement was received is therefore passed over.

Over REST the top is that of the `l2Book` that is posted to /info.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from oracle.core.types import NANOS_PER_MS, BookTop, Nanos, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base

URL = "wss://api.hyperliquid.xyz/ws"
CHANNELS = ("bbo", "trades", "activeAssetCtx")
BBO_KEYS, LEVEL_KEYS, TRADE_KEYS, ENVELOPE_KEYS = 5, 3, 7, 2
TRADES_MAX = 2_048  # a message of more is read all the same, slowly
SIDES = {"B": Side.BUY, "A": Side.SELL}
TOP = base.RestTop(
    url="https://api.hyperliquid.xyz/info", content='{"type":"l2Book","coin":"{symbol}"}',
    bid="levels.0.0.px", bid_size="levels.0.0.sz", ask="levels.1.0.px", ask_size="levels.1.0.sz",
    time="time", symbol="coin",
)  # fmt: skip


class _Level(Struct, gc=False):
    px: float
    sz: float
    n: int


class _Bbo(Struct, gc=False):
    coin: str
    time: int
    bbo: tuple[_Level | None, _Level | None]


class _Deal(Struct, gc=False):
    coin: str
    side: Literal["A", "B"]
    px: float
    sz: float
    time: int
    hash: Raw
    tid: int
    users: Raw | UnsetType = UNSET


class _Context(Struct, gc=False):
    markPx: float
    oraclePx: float | None = None
    funding: float | None = None


class _Asset(Struct, gc=False):
    coin: str
    ctx: _Context


class _Bbos(Struct):
    channel: Literal["bbo"]
    data: _Bbo


class _Deals(Struct):
    channel: Literal["trades"]
    data: list[_Deal]


class _Assets(Struct):
    data: _Asset


_bbos: base.Decoder[_Bbos] = base.Decoder(_Bbos, keys=(ENVELOPE_KEYS + BBO_KEYS - 2 + 2 * LEVEL_KEYS,))
_deals: base.Decoder[_Deals] = base.Decoder(_Deals, keys=range(ENVELOPE_KEYS, TRADE_KEYS * TRADES_MAX))
_assets: base.Decoder[_Assets] = base.Decoder(_Assets)
_any: base.Decoder[dict[str, Any]] = base.Decoder(dict[str, Any])


class Session(base.Session):
    """Reads tops, trades, marks, oracle prices and funding."""

    venue = "hyperliquid"
    ping_ms = 30_000
    words = ('"method":"subscribe"', '"method":"unsubscribe"')
    tops: ClassVar = {"": TOP}

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._since: dict[str, Nanos] = {}  # when the subscription to a coin's trades was acknowledged

    def url(self) -> str:
        """The address to dial."""
        return URL

    def open(self) -> list[base.Send]:
        """A subscription for each channel of each coin."""
        return [
            base.Send(_dump({"method": "subscribe", "subscription": {"type": channel, "coin": coin}}))
            for coin in self.sources
            for channel in CHANNELS
        ]

    def idle(self, now_ns: Nanos) -> list[base.Send]:
        """A ping, which the venue answers."""
        return [base.Send('{"method":"ping"}')]

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The facts in one frame. Raises VenueError."""
        if data.startswith(b'{"channel":"bbo"'):
            return [self._read_bbo(data, recv_ns)]
        if data.startswith(b'{"channel":"trades"'):
            return self._read_trades(data, recv_ns)
        return self._read_other(data, recv_ns)

    def _read_bbo(self, data: bytes, recv_ns: Nanos) -> BookTop:
        said = _bbos(data).data
        bid, ask = said.bbo
        if bid is None or ask is None:
            base.check_strictly(data)
        source, venue_ns = self.source_of(said.coin), base.event_time(said.time, NANOS_PER_MS, recv_ns)
        bid_price, bid_size = (bid.px, bid.sz) if bid else (0.0, 0.0)
        ask_price, ask_size = (ask.px, ask.sz) if ask else (0.0, 0.0)
        return base.top(source, bid_price, bid_size, ask_price, ask_size, venue_ns, recv_ns)

    def _read_trades(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said = _deals(data).data
        with_users = sum(deal.users is not UNSET for deal in said)
        if data.count(b'":') != ENVELOPE_KEYS + TRADE_KEYS * len(said) + with_users:
            base.check_strictly(data)
        events: list[base.Event] = []
        for deal in said:
            source, venue_ns = self.source_of(deal.coin), base.event_time(deal.time, NANOS_PER_MS, recv_ns)
            trade = Trade(source, base.price(deal.px), base.size(deal.sz), SIDES[deal.side], venue_ns, recv_ns)
            if venue_ns >= self._since.get(deal.coin, 0):
                events.append(trade)
        return events

    def _read_context(self, said: _Asset, recv_ns: Nanos) -> list[base.Event]:
        source, context = self.source_of(said.coin), said.ctx
        return [*base.tickers(source, context.markPx, context.oraclePx, context.funding, 0, recv_ns)]

    def _read_other(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said = _any(data)
        channel = said.get("channel")
        if channel in ("activeAssetCtx", "activeSpotAssetCtx"):
            return self._read_context(_assets(data).data, recv_ns)
        if channel == "bbo":
            return [self._read_bbo(data, recv_ns)]
        if channel == "trades":
            return self._read_trades(data, recv_ns)
        if channel == "subscriptionResponse":
            return self._read_acknowledgement(said.get("data"), recv_ns)
        if channel == "pong":
            return []
        if channel == "error":
            raise VenueError(Refusal.VENUE_ERROR, str(said.get("data"))[:120])
        raise VenueError(Refusal.UNKNOWN_MESSAGE, str(channel)[:40])

    def _read_acknowledgement(self, said: object, recv_ns: Nanos) -> list[base.Event]:
        asked = said.get("subscription") if isinstance(said, dict) else None
        if isinstance(asked, dict) and asked.get("type") == "trades":
            self._since[str(asked.get("coin"))] = recv_ns // NANOS_PER_MS * NANOS_PER_MS
        return []


class Mimic(base.Mimic):
    """Speaks `bbo` and `trades`."""

    venue = "hyperliquid"

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._tid = 0

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        """`pong`, the acknowledgement of a subscription to a coin that exists, or an error."""
        call = msgspec.json.decode(data, type=dict[str, Any])
        if call.get("method") == "ping":
            return ['{"channel":"pong"}']
        asked = call.get("subscription", {})
        known = asked.get("type") in CHANNELS and asked.get("coin") in self.symbols.values()
        if call.get("method") not in ("subscribe", "unsubscribe") or not known:
            return [_dump({"channel": "error", "data": f"Invalid subscription {data}"})]
        return [_dump({"channel": "subscriptionResponse", "data": call})]

    def speak(self, fact: BookTop | Trade) -> list[str]:
        """One message."""
        coin, time_ms = self.symbols[fact.source], fact.venue_ns // NANOS_PER_MS
        if isinstance(fact, Trade):
            self._tid += 1
            deal = {
                "coin": coin, "side": "A" if fact.side is Side.SELL else "B", "px": base.decimal_text(fact.price),
                "sz": base.decimal_text(fact.size), "time": time_ms, "hash": "0x00", "tid": self._tid,
                "users": ["0x01", "0x02"],
            }  # fmt: skip
            return [_dump({"channel": "trades", "data": [deal]})]
        sides = [_level(fact.bid, fact.bid_size), _level(fact.ask, fact.ask_size)]
        return [_dump({"channel": "bbo", "data": {"coin": coin, "time": time_ms, "bbo": sides}})]


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads a recording made at `url`; there has been one dialect."""
    return Session(feeds, market)


def _level(price: float, size: float) -> dict[str, object] | None:
    return {"px": base.decimal_text(price), "sz": base.decimal_text(size), "n": 1} if price else None


def _dump(said: dict[str, Any]) -> str:
    return msgspec.json.encode(said).decode()
