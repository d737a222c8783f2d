"""What KuCoin says: tops of book and trades of its spot pairs, on its public WebSocket.

Sources, read 2026-11-21: www.kucoin.com/docs-new/3470067w0 (level 1), /3470072w0 (trade), /3470063w0 (ticker),
/websocket-api/base-info/introduction (connection, ping, requests), /error-code/websocket, and www.kucoin.com/docs/rest/
spot-trading/market-data/get-part-order-book-aggregated-. The address is given on request: a POST to `bullet-public`
answers a token, which is good for 24 hours, and the servers. `/spotMarket/level1` is the top as it stands every 10 ms,
if it changed; its time is milliseconds, that of a trade nanoseconds in a string. A request names up to 100 symbols, a
session bears 300 subscriptions. The client pings every `pingInterval`, 18 s. Symbols: `BTC-USDT`, `ETH-USDT`,
`USDC-USDT`.

Not documented: what an empty side looks like (read: an empty list); whose side a trade states (read: the taker's); what
is answered for a symbol that does not exist. `/market/ticker`, which recordings of 2021 and 2022 have, states the time
of the last trade: of the tops read from it no time is known. Futures have another ticket and are not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal
from urllib.parse import urlencode, urlsplit

import msgspec
from msgspec import Raw, Struct

from oracle.core.types import NANOS_PER_MS, BookTop, Nanos, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base

URL = "wss://ws-api-spot.kucoin.com/"  # without a ticket nobody is let in
REST_URL = "https://api.kucoin.com"
TICKET_PATH = "/api/v1/bullet-public"
LEVEL1, TICKER, MATCHES = "/spotMarket/level1:", "/market/ticker:", "/market/match:"
TOP_KEYS, TICKER_KEYS, MATCH_KEYS = 7, 12, 14
FINE = "200000"
NO_TOPIC = 404
NO_LEVEL = (0.0, 0.0)
SIDES = {"buy": Side.BUY, "sell": Side.SELL}
TOP = base.RestTop(
    url=REST_URL + "/api/v1/market/orderbook/level2_20?symbol={symbol}",
    bid="data.bids.0.0", bid_size="data.bids.0.1", ask="data.asks.0.0", ask_size="data.asks.0.1",
    time="data.time", fine=("code", f'"{FINE}"'),
)  # fmt: skip


class _Best(Struct, gc=False):
    """A side is a price and a size, or nothing."""

    asks: list[float]
    bids: list[float]
    time_ms: int = msgspec.field(name="timestamp")


class _Top(Struct):
    type: Literal["message"]
    subject: Literal["level1"]
    topic: str
    data: _Best


class _Quote(Struct, gc=False, rename="camel"):
    best_bid: float
    best_bid_size: float
    best_ask: float
    best_ask_size: float
    sequence: Raw
    price: Raw
    size: Raw
    time: Raw


class _Ticker(Struct):
    type: Literal["message"]
    subject: Literal["trade.ticker"]
    topic: str
    data: _Quote


class _Deal(Struct, gc=False, rename="camel"):
    symbol: str
    side: str
    price: float
    size: float
    time_ns: int = msgspec.field(name="time")
    type: Literal["match"]
    sequence: Raw
    trade_id: Raw
    maker_order_id: Raw
    taker_order_id: Raw


class _Match(Struct):
    type: Literal["message"]
    subject: Literal["trade.l3match"]
    topic: str
    data: _Deal


class _Other(Struct):
    """What any other message says of itself."""

    type: str
    subject: str = ""
    topic: str = ""
    code: int | str = ""
    data: Any = None


class _Server(Struct, rename="camel"):
    endpoint: str
    protocol: str
    ping_interval: int


class _Pass(Struct, rename="camel"):
    token: str
    instance_servers: list[_Server]


class _Ticket(Struct):
    code: str
    data: _Pass | None = None
    msg: str = ""


_TOP: base.Decoder[_Top] = base.Decoder(_Top, (TOP_KEYS,))
_TICKER: base.Decoder[_Ticker] = base.Decoder(_Ticker, (TICKER_KEYS,))
_MATCH: base.Decoder[_Match] = base.Decoder(_Match, (MATCH_KEYS,))
_OTHER: base.Decoder[_Other] = base.Decoder(_Other)
_TICKET: base.Decoder[_Ticket] = base.Decoder(_Ticket)


class Session(base.Session):
    """A public connection to the spot market."""

    venue = "kucoin"
    symbols_max = 100
    ping_ms = 9_000
    lifetime_ms = 86_400_000  # that of the token, which the venue advises to change
    words = ('"type":"subscribe"', '"type":"unsubscribe"')
    markets = ("spot",)
    tops: ClassVar = {"spot": TOP}
    top_topic, top_subject = LEVEL1, "level1"

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._tops = {self.top_topic + symbol: source for symbol, source in self.sources.items()}
        self._mark = f'"subject":"{self.top_subject}"'.encode()
        self._url = URL

    def ticket(self) -> base.Request:
        """The question for a token and a server."""
        return base.Request(REST_URL + TICKET_PATH, "", "POST")

    def admit(self, body: bytes) -> None:
        """Take the token and the first server. Raises VenueError."""
        said = _TICKET(body)
        if said.code != FINE or said.data is None:
            raise VenueError(Refusal.VENUE_ERROR, f"{said.code} {said.msg}"[:120])
        server = next((server for server in said.data.instance_servers if server.protocol == "websocket"), None)
        if server is None or not _is_safe(server.endpoint):
            raise VenueError(Refusal.WRONG_SHAPE, "no server with TLS in the ticket")
        if server.ping_interval < self.ping_ms:
            raise VenueError(Refusal.WRONG_SHAPE, f"a ping every {server.ping_interval} ms is asked for")
        self._url = f"{server.endpoint}?{urlencode({'token': said.data.token})}"

    def url(self) -> str:
        """The address to dial, with the token once there is one."""
        return self._url

    def open(self) -> list[base.Send]:
        """A request a topic."""
        symbols = ",".join(self.sources)
        return [
            base.Send(_dump({"id": str(place), "type": "subscribe", "topic": topic + symbols, "response": True}))
            for place, topic in enumerate((self.top_topic, MATCHES), 1)
        ]

    def idle(self, now_ns: Nanos) -> list[base.Send]:
        """The ping that keeps the connection."""
        return [base.Send(_dump({"id": str(now_ns // NANOS_PER_MS), "type": "ping"}))]

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The fact in one frame. Raises VenueError."""
        if self._mark in data:
            return [self._read_top(data, recv_ns)]
        if b'"subject":"trade.l3match"' in data:
            return [self._read_match(data, recv_ns)]
        return self._read_other(data, recv_ns)

    def _read_top(self, data: bytes, recv_ns: Nanos) -> BookTop:
        push = _TOP(data)
        said, source = push.data, self._source(push.topic)
        (bid, bid_size), (ask, ask_size) = _level(said.bids), _level(said.asks)
        venue_ns = base.event_time(said.time_ms, NANOS_PER_MS, recv_ns)
        return base.top(source, bid, bid_size, ask, ask_size, venue_ns, recv_ns)

    def _read_match(self, data: bytes, recv_ns: Nanos) -> Trade:
        push = _MATCH(data)
        said, source = push.data, self.source_of(push.data.symbol)
        side = SIDES.get(said.side)
        if side is None or push.topic != MATCHES + said.symbol:
            raise VenueError(Refusal.WRONG_SHAPE, f"{push.topic} {said.side}"[:80])
        venue_ns = base.event_time(said.time_ns, 1, recv_ns)
        return Trade(source, base.price(said.price), base.size(said.size), side, venue_ns, recv_ns)

    def _read_other(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said = _OTHER(data)
        if said.type in ("welcome", "ack", "pong"):
            return []
        if said.subject == self.top_subject:  # written with spaces: the quick look did not know it
            return [self._read_top(data, recv_ns)]
        if said.subject == "trade.l3match":
            return [self._read_match(data, recv_ns)]
        if said.type == "error":
            raise VenueError(Refusal.VENUE_ERROR, f"{said.code} {said.data}"[:120])
        raise VenueError(Refusal.UNKNOWN_MESSAGE, f"{said.type} {said.topic}"[:60])

    def _source(self, topic: str) -> int:
        source = self._tops.get(topic)
        if source is None:
            raise VenueError(Refusal.UNKNOWN_SYMBOL, topic.removeprefix(self.top_topic)[:40])
        return source


class Tickers(Session):
    """Reads tops from the ticker, as recordings made before level 1 was read have them."""

    top_topic, top_subject = TICKER, "trade.ticker"

    def _read_top(self, data: bytes, recv_ns: Nanos) -> BookTop:
        push = _TICKER(data)
        said, source = push.data, self._source(push.topic)
        return base.top(source, said.best_bid, said.best_bid_size, said.best_ask, said.best_ask_size, 0, recv_ns)


class Mimic(base.Mimic):
    """KuCoin as the simulator plays it."""

    venue = "kucoin"

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._count = 0

    def greet(self, path: str, now_ns: Nanos) -> list[str]:
        """The message after which requests are heard."""
        return [_dump({"id": str(now_ns // NANOS_PER_MS), "type": "welcome"})]

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        """A pong, an acknowledgement of a topic whose symbols exist, or an error."""
        try:
            call = msgspec.json.decode(data, type=_Call)
        except msgspec.DecodeError:
            return [_dump({"id": "", "type": "error", "code": 415, "data": "type is not supported"})]
        if call.type == "ping":
            return [_dump({"id": call.id, "type": "pong"})]
        topic, _, symbols = call.topic.partition(":")
        known = set(symbols.split(",")) <= set(self.symbols.values()) and f"{topic}:" in (LEVEL1, MATCHES)
        if known and call.type in ("subscribe", "unsubscribe"):
            return [_dump({"id": call.id, "type": "ack"})]
        return [_dump({"id": call.id, "type": "error", "code": NO_TOPIC, "data": f"topic {call.topic} is not found"})]

    def speak(self, fact: BookTop | Trade) -> list[str]:
        """One push of level 1 or of matches."""
        symbol = self.symbols[fact.source]
        if isinstance(fact, BookTop):
            sides = {"asks": _side(fact.ask, fact.ask_size), "bids": _side(fact.bid, fact.bid_size)}
            return [_push(LEVEL1 + symbol, "level1", {**sides, "timestamp": fact.venue_ns // NANOS_PER_MS})]
        self._count += 1
        deal = {
            "makerOrderId": f"{2 * self._count:024x}",
            "price": base.decimal_text(fact.price),
            "sequence": str(self._count),
            "side": "sell" if fact.side is Side.SELL else "buy",
            "size": base.decimal_text(fact.size),
            "symbol": symbol,
            "takerOrderId": f"{2 * self._count + 1:024x}",
            "time": str(fact.venue_ns),
            "tradeId": str(self._count),
            "type": "match",
        }
        return [_push(MATCHES + symbol, "trade.l3match", deal)]

    def rest(
        self, method: str, path: str, now_ns: Nanos, tops: Mapping[str, BookTop], content: str = ""
    ) -> bytes | None:
        """The ticket, or the top of a market."""
        if (method, path) != ("POST", TICKET_PATH):
            return super().rest(method, path, now_ns, tops, content)
        server = {"endpoint": URL, "encrypt": True, "protocol": "websocket", "pingInterval": 18_000}
        ticket = {"token": f"mimic=={now_ns // NANOS_PER_MS}", "instanceServers": [{**server, "pingTimeout": 10_000}]}
        return _dump({"code": FINE, "data": ticket}).encode()


class _Call(Struct):
    id: int | str
    type: str
    topic: str = ""


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads a recording made at `url`: one whose host is no longer given out has tickers."""
    return Tickers(feeds, market) if "push-private" in url else Session(feeds, market)


def _is_safe(endpoint: str) -> bool:
    try:
        parts = urlsplit(endpoint)
        return parts.scheme == "wss" and bool(parts.hostname) and not parts.query
    except ValueError:
        return False


def _level(said: list[float]) -> tuple[float, float]:
    if not said:
        return NO_LEVEL
    if len(said) != 2:
        raise VenueError(Refusal.WRONG_SHAPE, "a side is a price and a size")
    return said[0], said[1]


def _side(price: float, size: float) -> list[str]:
    return [base.decimal_text(price), base.decimal_text(size)] if price else []


def _push(topic: str, subject: str, said: dict[str, Any]) -> str:
    return _dump({"topic": topic, "type": "message", "subject": subject, "data": said})


def _dump(said: dict[str, Any]) -> str:
    return msgspec.json.encode(said).decode()
