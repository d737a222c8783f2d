"""What MEXC says of its spot pairs: tops of book and trades, in protobuf, and which dialect its other market has.

Sources, read in part on 2026-11-21: www.mexc.com/api-docs/spot-v3/websocket-market-streams (limits, requests, channels)
and the published trade schema of github.com/mexcdevelop/websocket-proto (PushDataV3ApiWrapper, PublicAggreDealsV3Api);
the top's schema (PublicAggreBookTickerV3Api) as client code restates it; REST's bookTicker from memory. Requests and
their answers are JSON text, everything else is a wrapper: channel 1, symbol 3, `sendTime` 6 in milliseconds, and one
body, 314 for trades and 315 for the top. Prices and sizes are text, a text that is empty is not sent: such a side is
empty. The book ticker is pushed every 10 ms when it changed; `tradeType` 1 is a purchase. A connection bears 30
subscriptions and lasts 24 hours; it is ended after a minute without data, so the client pings. Symbols: `BTCUSDT`,
`ETHUSDT`, `USDCUSDT`.

Theory of the reader. Of a message the fields that are used are declared with their wire type. A field of another type,
one said twice, a varint beyond 64 bits, a length beyond the end, a group and field 0 are refused; fields that are not
declared are measured and passed over, as the schemas grow.

Not documented: that `tradeType` is the taker's side; whether a subscription repeats old trades (what is older than its
acknowledgement is passed over); a push without a body, which captures have for quiet pairs, states nothing. A refused
subscription was seen to be answered with code 0 and `Not Subscribed successfully`. JSON pushes, of before protobuf or
as a recorder writes them, are refused. The market `contract` is read by mexc_contract.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from oracle.core.types import NANOS_PER_MS, BookTop, Nanos, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, mexc_contract

URL = "wss://wbs-api.mexc.com/ws"
BOOK_TICKER, DEALS = "spot@public.aggre.bookTicker.v3.api.pb@10ms@", "spot@public.aggre.deals.v3.api.pb@10ms@"
CONTRACT = "contract"
SUBSCRIBE, UNSUBSCRIBE = "SUBSCRIPTION", "UNSUBSCRIPTION"
REFUSED = "Not Subscribed"
SIDES = {1: Side.BUY, 2: Side.SELL}
TOP = base.RestTop(
    url="https://api.mexc.com/api/v3/ticker/bookTicker?symbol={symbol}",
    bid="bidPrice", bid_size="bidQty", ask="askPrice", ask_size="askQty", symbol="symbol",
)  # fmt: skip

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
VARINT_BYTES_MAX, VARINT_MAX = 10, 1 << 64
CHANNEL, SYMBOL, SENT, DEALS_BODY, TOP_BODY = 1, 3, 6, 314, 315
WRAPPER: Final = {CHANNEL: BYTES, SYMBOL: BYTES, SENT: VARINT, DEALS_BODY: BYTES, TOP_BODY: BYTES}
BID, BID_SIZE, ASK, ASK_SIZE = 1, 2, 3, 4
BOOK: Final = {BID: BYTES, BID_SIZE: BYTES, ASK: BYTES, ASK_SIZE: BYTES}
DEAL, EVENT_TYPE = 1, 2
DEAL_LIST: Final = {DEAL: BYTES}
PRICE, SIZE, SIDE, TIME = 1, 2, 3, 4
DEAL_ITEM: Final = {PRICE: BYTES, SIZE: BYTES, SIDE: VARINT, TIME: VARINT}


class _Answer(Struct):
    """What is said in JSON. Of the last two a dialect has one whose pushes are no answers."""

    code: int | UnsetType = UNSET
    msg: str = ""
    c: Raw | UnsetType = UNSET
    channel: Raw | UnsetType = UNSET


_NUMBER: base.Decoder[float] = base.Decoder(float, (0,))
_ANSWER: base.Decoder[_Answer] = base.Decoder(_Answer)


class Session(base.Session):
    """A public connection to the spot market, or to the perpetuals."""

    venue = "mexc"
    symbols_max = 15  # two channels each, of the 30 that a connection may carry
    ping_ms = 15_000
    lifetime_ms = 86_400_000
    words = (SUBSCRIBE, UNSUBSCRIBE)
    markets = ("spot", CONTRACT)
    tops: ClassVar = {"spot": TOP, CONTRACT: mexc_contract.TOP}

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._contract = mexc_contract.Session(feeds, market) if market == CONTRACT else None
        self._channels = {
            (channel + symbol).encode(): (body, symbol.encode(), source)
            for symbol, source in self.sources.items()
            for channel, body in ((BOOK_TICKER, TOP_BODY), (DEALS, DEALS_BODY))
        }
        self._since_ns: Nanos = 0  # when the subscriptions were acknowledged

    def url(self) -> str:
        """The address to dial."""
        return self._contract.url() if self._contract else URL

    def open(self) -> list[base.Send]:
        """One subscription to everything."""
        if self._contract:
            return self._contract.open()
        self._since_ns = 0
        return [base.Send(_dump({"method": SUBSCRIBE, "params": [channel.decode() for channel in self._channels]}))]

    def resubscribe(self, symbols: Sequence[str]) -> list[base.Send]:
        """Messages that end and begin again the subscriptions of these symbols."""
        return self._contract.resubscribe(symbols) if self._contract else super().resubscribe(symbols)

    def idle(self, now_ns: Nanos) -> list[base.Send]:
        """The ping that keeps the connection."""
        return self._contract.idle(now_ns) if self._contract else [base.Send('{"method":"PING"}')]

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The facts in one frame. Raises VenueError."""
        if self._contract:
            return self._contract.receive(data, recv_ns)
        if len(data) > self.frame_bytes_max:
            raise VenueError(Refusal.TOO_LARGE, f"{len(data)} bytes")
        if data.startswith((b"{", b"[")):  # as a field of protobuf these would be groups, which no schema has
            return self._read_answer(data, recv_ns)
        return self._read_wrapper(data, recv_ns)

    def _read_wrapper(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said = read_message(data, WRAPPER)
        channel = _need(said, CHANNEL)
        asked = self._channels.get(channel)
        if asked is None:
            raise _unasked(channel)
        place, symbol, source = asked
        if said.get(SYMBOL, symbol) != symbol or (DEALS_BODY + TOP_BODY - place) in said:
            raise VenueError(Refusal.WRONG_SHAPE, "a body or symbol of another channel")
        sent_ns = base.event_time(_need(said, SENT), NANOS_PER_MS, recv_ns)
        body = said.get(place)
        if body is None:
            return []
        if place == TOP_BODY:
            return [_top(source, read_message(body, BOOK), sent_ns, recv_ns)]
        deals = read_message(body, DEAL_LIST, repeated=DEAL)[DEAL]
        trades = [_trade(source, read_message(deal, DEAL_ITEM), recv_ns) for deal in deals]
        return [trade for trade in trades if trade.venue_ns >= self._since_ns]

    def _read_answer(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said = _ANSWER(data)
        if said.code is UNSET:
            if said.c is not UNSET or said.channel is not UNSET:
                raise VenueError(Refusal.OLD_DIALECT, "a push in JSON")
            raise VenueError(Refusal.UNKNOWN_MESSAGE, said.msg[:60])
        if said.code != 0 or REFUSED in said.msg:
            raise VenueError(Refusal.VENUE_ERROR, f"{said.code} {said.msg}"[:120])
        if DEALS in said.msg:
            self._since_ns = recv_ns // NANOS_PER_MS * NANOS_PER_MS
        return []


class Mimic(base.Mimic):
    """MEXC as the simulator plays it."""

    venue = "mexc"

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._contract = mexc_contract.Mimic(feeds, market) if market == CONTRACT else None
        self._count = 0

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        """A pong, an acknowledgement of channels that exist, or what is wrong with the request."""
        if self._contract:
            return self._contract.hear(data, now_ns)
        try:
            call = msgspec.json.decode(data, type=_Call)
        except msgspec.DecodeError:
            return [_dump({"id": 0, "code": 1, "msg": "msg is not json"})]
        if call.method == "PING":
            return [_dump({"id": 0, "code": 0, "msg": "PONG"})]
        known = [channel + symbol for symbol in self.symbols.values() for channel in (BOOK_TICKER, DEALS)]
        wrong = [param for param in call.params if param not in known]
        if call.method not in (SUBSCRIBE, UNSUBSCRIBE) or wrong:
            return [
                _dump({"id": 0, "code": 0, "msg": f"{REFUSED} successfully! [{','.join(wrong)}]. Reason: Blocked! "})
            ]
        return [_dump({"id": 0, "code": 0, "msg": ",".join(call.params)})]

    def speak(self, fact: BookTop | Trade) -> Sequence[str | bytes]:
        """One wrapper with a book ticker or with a trade."""
        if self._contract:
            return self._contract.speak(fact)
        self._count += 1
        symbol, time_ms = self.symbols[fact.source], fact.venue_ns // NANOS_PER_MS
        if isinstance(fact, BookTop):
            texts = ((BID, fact.bid), (BID_SIZE, fact.bid_size), (ASK, fact.ask), (ASK_SIZE, fact.ask_size))
            body = b"".join(_text(field, base.decimal_text(value)) for field, value in texts if value)
            return [_wrapper(BOOK_TICKER, symbol, time_ms, TOP_BODY, body)]
        deal = (
            _text(PRICE, base.decimal_text(fact.price))
            + _text(SIZE, base.decimal_text(fact.size))
            + _integer(SIDE, 2 if fact.side is Side.SELL else 1)
            + _integer(TIME, time_ms)
        )
        deals = _bytes(DEAL, deal) + _text(EVENT_TYPE, DEALS.removesuffix("@"))
        return [_wrapper(DEALS, symbol, time_ms, DEALS_BODY, deals)]


class _Call(Struct):
    method: str
    params: list[str] = []


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads a recording made at `url`: the host of the perpetuals tells them."""
    return Session(feeds, CONTRACT if "//contract." in url else market)


def read_message(data: bytes, fields: dict[int, int], repeated: int = 0) -> dict[int, Any]:
    """The declared fields of a protobuf message (number to wire type) that are there; `repeated` is one, as a list.

    Raises VenueError.
    """
    found: dict[int, Any] = {repeated: []} if repeated else {}
    at, end = 0, len(data)
    while at < end:
        tag, at = data[at], at + 1
        if tag > 127:
            tag, at = _varint(data, at - 1)
        field, wire = tag >> 3, tag & 7
        value: int | bytes = b""
        if wire == BYTES:
            length, at = _varint(data, at)
            at += length
            value = data[at - length : at]
        elif wire == VARINT:
            value, at = _varint(data, at)
        elif wire in (FIXED64, FIXED32):
            at += 8 if wire == FIXED64 else 4
        else:
            raise VenueError(Refusal.WRONG_SHAPE, f"wire type {wire}")
        if at > end or not field:
            raise VenueError(Refusal.WRONG_SHAPE, f"field {field} ends beyond its message"[:60])
        declared = fields.get(field)
        if declared is None:
            continue
        if declared != wire:
            raise VenueError(Refusal.WRONG_SHAPE, f"field {field} of wire type {wire}")
        if field == repeated:
            found[field].append(value)
        elif field in found:
            raise VenueError(Refusal.DUPLICATE_KEY, f"field {field}")
        else:
            found[field] = value
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at a place, and the place after it. Raises VenueError."""
    byte = data[at] if at < len(data) else 128
    if byte < 128:
        return byte, at + 1
    value = shift = 0
    for byte in data[at : at + VARINT_BYTES_MAX]:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128 and value < VARINT_MAX:
            return value, at + shift // 7
    raise VenueError(Refusal.WRONG_SHAPE, "no varint")


def _need(said: dict[int, Any], field: int) -> Any:
    try:
        return said[field]
    except KeyError:
        raise VenueError(Refusal.WRONG_SHAPE, f"field {field} is missing") from None


def _number(said: dict[int, Any], field: int) -> float:
    """The number in a field of text; an empty text is not sent, and is nothing."""
    text = said.get(field)
    return _NUMBER(b'"' + text + b'"') if text else 0.0


def _top(source: int, said: dict[int, Any], venue_ns: Nanos, recv_ns: Nanos) -> BookTop:
    bid, bid_size, ask, ask_size = (_number(said, field) for field in BOOK)
    return base.top(source, bid, bid_size, ask, ask_size, venue_ns, recv_ns)


def _trade(source: int, said: dict[int, Any], recv_ns: Nanos) -> Trade:
    side = SIDES.get(_need(said, SIDE))
    if side is None:
        raise VenueError(Refusal.WRONG_SHAPE, f"a trade of type {said[SIDE]}"[:40])
    venue_ns = base.event_time(_need(said, TIME), NANOS_PER_MS, recv_ns)
    return Trade(source, base.price(_number(said, PRICE)), base.size(_number(said, SIZE)), side, venue_ns, recv_ns)


def _unasked(channel: bytes) -> VenueError:
    try:
        name = channel.decode()
    except UnicodeDecodeError:
        return VenueError(Refusal.NOT_UTF8)
    asked = name.startswith((BOOK_TICKER, DEALS))
    return VenueError(Refusal.UNKNOWN_SYMBOL if asked else Refusal.UNKNOWN_MESSAGE, name[:60])


def _integer(field: int, value: int) -> bytes:
    return _as_varint(field << 3 | VARINT) + _as_varint(value)


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return _as_varint(field << 3 | BYTES) + _as_varint(len(value)) + value


def _as_varint(value: int) -> bytes:
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    made.append(value)
    return bytes(made)


def _wrapper(channel: str, symbol: str, time_ms: int, place: int, body: bytes) -> bytes:
    return _text(CHANNEL, channel + symbol) + _text(SYMBOL, symbol) + _integer(SENT, time_ms) + _bytes(place, body)


def _dump(said: dict[str, Any]) -> str:
    return msgspec.json.encode(said).decode()
