"""Bitfinex spot, WebSocket API 2: tops from the `book` channel, trades from `trades`.

Source: docs.bitfinex.com/docs/ws-general and /docs/ws-public, /reference/ws-public-books (-trades, rest-public-book),
read 2026-11-21. Symbols: `tBTCUSD`, `tETHUSD`, `tUSTUSD` (USDT), `tUDCUSD` (USDC). Times are milliseconds.

The `ticker` channel lags, by the word of the venue's own engineers, so the top comes from the aggregated book at full
precision (P0) and without delay (F0), 25 levels deep: deeper than one, because a level that goes leaves the next one in
hand instead of an empty side until the venue speaks again.

Three flags of `conf` make it whole: every message carries its time and a number that counts the messages of the
connection, heartbeats included, and all changes of a book at one instant come in one message, so that no moment
between a removal and the addition which belongs to it is ever taken for the market. A message that does not follow
its predecessor is refused and ends every book. Under these flags a snapshot and a change look alike: a snapshot is the
first message of a subscription and nothing else is, so a lost book needs a new subscription.

Fields may be appended to any array at any time (the venue appends the channel's name and the pair by now).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from oracle.core.book import Book
from oracle.core.types import NANOS_PER_MS, BookTop, Nanos, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base

URL, REST_URL = "wss://api-pub.bitfinex.com/ws/2", "https://api-pub.bitfinex.com/v2/book/{symbol}/P0?len=1"
OLD_HOST = "api.bitfinex.com"  # it served public channels too, until it was kept for authenticated ones
DIALECT = 2
TIMESTAMPS, SEQUENCE, BULK = 32_768, 65_536, 536_870_912
FLAGS = TIMESTAMPS + SEQUENCE + BULK
BOOK_SHAPE = {"prec": "P0", "freq": "F0"}
BOOK_LENGTH = "25"
LEVELS_MAX = 250  # the longest book the venue sells
CHANNELS_MAX = 100  # of one connection, over its life
RESTART, MAINTENANCE, MAINTENANCE_OVER = 20_051, 20_060, 20_061

B = TypeVar("B")
Top: TypeAlias = tuple[float, float, float, float]
NOTHING = (0.0, 0.0)  # the best level of an empty side
EMPTY: Top = (*NOTHING, *NOTHING)


class _Level(Struct, array_like=True, gc=False):
    """`count` orders of `amount` in all, above zero a bid, below an ask; none are left when `count` is 0."""

    price: float
    count: int
    amount: float


class _Change(Struct, Generic[B], array_like=True, gc=False):
    """A message of a book: one level, or as many as changed at an instant (or make the snapshot)."""

    channel_id: int
    body: B
    seq: int
    at_ms: int | None = None


class _Frame(Struct, array_like=True, gc=False):
    """`[id, body, seq, time …]`, or `[id, "te", body, seq, time …]` for what has a name."""

    channel_id: int
    body: str | list[Any]
    third: Any = None
    fourth: Any = None
    fifth: Any = None


class _Event(Struct):
    event: str
    channel: str = ""
    chanId: int = 0
    symbol: str = ""
    prec: str = ""
    freq: str = ""
    status: str = ""
    flags: int = 0
    code: int = 0
    msg: str = ""
    version: int = DIALECT
    platform: dict[str, Any] = msgspec.field(default_factory=dict)


class _Channel(Struct):
    """A subscription. `fresh`: nothing has come on it, so the next message is its snapshot."""

    name: str
    symbol: str
    fresh: bool = True


_change: base.Decoder[_Change[_Level]] = base.Decoder(_Change[_Level], keys=(0,))
_changes: base.Decoder[_Change[list[_Level]]] = base.Decoder(_Change[list[_Level]], keys=(0,))
_frame: base.Decoder[_Frame] = base.Decoder(_Frame, keys=(0,))
_event: base.Decoder[_Event] = base.Decoder(_Event)


class Session(base.Session):
    """Reads the API: a top from every message of a book, a trade from every executed one."""

    venue = "bitfinex"
    symbols_max = 12  # a connection carries 25 channels, and a symbol takes two
    dials_per_minute_max = 20
    channels: ClassVar[tuple[str, ...]] = ("book", "trades")
    tops: ClassVar = {"spot": base.RestTop(
        url=REST_URL, bid="0.0", bid_size="0.2", ask="1.0", ask_size="-1.2", quoted=False)}  # fmt: skip

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._channels: dict[bytes, _Channel] = {}  # by the id's digits, as a frame begins with them
        self._books: dict[str, Book[float]] = {}
        self._seq = -1  # of the last message; -1: none has come

    def url(self) -> str:
        """The address to dial."""
        return URL

    def open(self) -> list[base.Send]:
        """Set the flags, then ask for the book and the trades of every feed; a new connection has no past."""
        self._channels.clear()
        self._books.clear()
        self._seq = -1
        return [base.Send(_json({"event": "conf", "flags": FLAGS})), *self._subscribe()]

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The facts in one frame, or the new subscriptions the venue advises. Raises VenueError."""
        if data[:1] == b"{":
            return self._hear(_event(data))
        end = data.find(b",")
        channel = self._channels.get(data[1:end])
        if channel is None or channel.name != "book" or data[end + 1 : end + 2] != b"[":
            return self._read_frame(data, recv_ns)
        try:
            return [self._read_book(channel, data, data[end + 2 : end + 3] not in b"[]", recv_ns)]
        except VenueError:
            self._books.pop(channel.symbol, None)
            raise
        finally:
            channel.fresh = False

    def _read_book(self, channel: _Channel, data: bytes, single: bool, recv_ns: Nanos) -> BookTop:
        message: _Change[Any] = _change(data) if single else _changes(data)
        self._follow(message.seq)
        source = self.source_of(channel.symbol)
        venue_ns = 0 if message.at_ms is None else base.event_time(message.at_ms, NANOS_PER_MS, recv_ns)
        book = self._books.get(channel.symbol)
        if channel.fresh and not single:
            book = self._books[channel.symbol] = Book()
        elif channel.fresh or book is None:
            raise VenueError(Refusal.NO_SNAPSHOT, channel.symbol)
        for level in (message.body,) if single else message.body:
            _apply(book, level)
        bid, ask = book.bids.best() or NOTHING, book.asks.best() or NOTHING
        return base.top(source, bid[0], bid[1], ask[0], ask[1], venue_ns, recv_ns)

    def _read_frame(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        frame = _frame(data)
        name = frame.body if isinstance(frame.body, str) else ""
        self._follow(_integer(frame.fourth if name not in ("", "hb") else frame.third))
        if name == "hb":
            return []  # also of a channel whose acknowledgement is yet to come
        channel = self._channels.get(b"%d" % frame.channel_id)
        if channel is None:
            raise VenueError(Refusal.UNKNOWN_MESSAGE, f"channel {frame.channel_id}")
        source = self.source_of(channel.symbol)
        if channel.name == "trades" and name in ("", "te", "tu"):
            # Without a name it is the snapshot, of the past; `tu` is the same trade again, once it has been booked.
            return [_trade(source, frame.third, recv_ns)] if name == "te" else []
        if channel.name == "ticker" and not name:
            top = _ticker(source, frame.body, frame.fourth, recv_ns)
            kept = any(c.name == "book" and c.symbol == channel.symbol for c in self._channels.values())
            return [] if kept else [top]  # beside a book it would say again, later, what the book has said
        if channel.name == "book" and not name:  # unusual spaces: whatever it changes is lost
            self._forget()
        raise VenueError(Refusal.UNKNOWN_MESSAGE, f"{name[:20]!r} on {channel.name}")

    def _follow(self, seq: int) -> None:
        """Take the next message's number. A gap is refused once: what follows it is a row of its own."""
        last, self._seq = self._seq, seq
        if seq != last + 1 and last >= 0:
            self._forget()
            raise VenueError(Refusal.SEQUENCE_GAP, f"{seq} after {last}")

    def _forget(self) -> None:
        self._books.clear()
        for channel in self._channels.values():
            channel.fresh = False

    def _hear(self, message: _Event) -> list[base.Event]:
        if message.event == "subscribed":
            return self._subscribed(message)
        if message.event == "info":
            return self._informed(message)
        if message.event == "unsubscribed":
            self._channels.pop(b"%d" % message.chanId, None)
        if message.event in ("unsubscribed", "pong") or (message.event, message.status) == ("conf", "OK"):
            return []
        reason = Refusal.VENUE_ERROR if message.event in ("conf", "error") else Refusal.UNKNOWN_MESSAGE
        raise VenueError(reason, f"{message.event[:20]} {message.code} {message.msg[:80]}")

    def _subscribed(self, message: _Event) -> list[base.Event]:
        shape = {"prec": message.prec, "freq": message.freq} if message.channel == "book" else BOOK_SHAPE
        if message.channel not in self.channels or shape != BOOK_SHAPE:
            raise VenueError(Refusal.UNKNOWN_MESSAGE, f"channel {message.channel[:20]} {message.prec[:4]}")
        if len(self._channels) >= CHANNELS_MAX:
            raise VenueError(Refusal.VENUE_ERROR, f"more than {CHANNELS_MAX} channels")
        self._channels[b"%d" % message.chanId] = _Channel(message.channel, message.symbol)
        return []

    def _informed(self, message: _Event) -> list[base.Event]:
        if message.code == MAINTENANCE_OVER:
            ids, self._channels = [int(digits) for digits in self._channels], {}
            self._books.clear()
            return [*(base.Send(_json({"event": "unsubscribe", "chanId": chan})) for chan in ids), *self._subscribe()]
        if message.code in (RESTART, MAINTENANCE) or message.platform.get("status") == 0:
            self._forget()
            raise VenueError(Refusal.VENUE_ERROR, f"info {message.code} {message.msg[:80]}")
        if message.version != DIALECT:
            raise VenueError(Refusal.UNKNOWN_MESSAGE, f"version {message.version}")
        return []

    def _subscribe(self) -> list[base.Send]:
        book = {"event": "subscribe", "channel": "book", **BOOK_SHAPE, "len": BOOK_LENGTH}
        trades = {"event": "subscribe", "channel": "trades"}
        return [base.Send(_json(asked | {"symbol": name})) for name in self.sources for asked in (book, trades)]


class OldSession(Session):
    """Reads what was recorded from the old host, where the ticker was asked for too; alone it states the top."""

    channels = ("book", "trades", "ticker")


class Mimic(base.Mimic):
    """Speaks the API under the flags it has heard; until it hears any, under all that a Session sets."""

    venue = "bitfinex"
    ping_ms = 15_000

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._flags = FLAGS
        self._seq, self._last_id = 0, 10_000
        self._ids: dict[tuple[str, str], int] = {}  # channel and symbol to the id of the subscription
        self._unasked: set[tuple[str, str]] = set()  # those begun by speaking
        self._tops: dict[str, Top] = {}  # what was last said of a symbol, whoever heard it
        self._told: set[str] = set()  # symbols whose book has had its snapshot

    def greet(self, path: str, now_ns: Nanos) -> list[str]:
        """The version of the API and the state of the platform."""
        return [_json({"event": "info", "version": DIALECT, "serverId": str(now_ns), "platform": {"status": 1}})]

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        """Acknowledges flags and subscriptions (with the snapshot, where there is one to give), answers pings."""
        message = msgspec.json.decode(data, type=dict[str, Any])
        event = message.get("event")
        if event == "conf":
            self._flags = message["flags"]
            return [_json({"event": "conf", "status": "OK", "flags": self._flags})]
        if event == "ping":
            return [_json({"event": "pong", "ts": now_ns // NANOS_PER_MS, "cid": message.get("cid", 0)})]
        if event == "subscribe":
            return self._subscribe(message, now_ns)
        if event == "unsubscribe":
            return self._unsubscribe(message["chanId"])
        return [_json({"event": "error", "msg": "event: invalid", "code": 10_000})]

    def speak(self, fact: BookTop | Trade) -> list[str]:
        """A book's snapshot or changes, or a trade as executed and as booked; the subscription, if nobody asked."""
        symbol = self.symbols[fact.source]
        name = "trades" if isinstance(fact, Trade) else "book"
        frames = []
        if (name, symbol) not in self._ids:
            frames.append(self._subscribed(name, symbol))
            self._unasked.add((name, symbol))
        if isinstance(fact, Trade):
            return frames + self._trade(symbol, fact)
        last = self._tops[symbol] if symbol in self._told else EMPTY
        self._tops[symbol] = (fact.bid, fact.bid_size, fact.ask, fact.ask_size)
        self._told.add(symbol)
        body = f"[{','.join(_gone(last, self._tops[symbol]) + _levels(self._tops[symbol]))}]"
        return [*frames, self._message(self._ids[name, symbol], body, fact.venue_ns)]

    def heartbeat(self, now_ns: Nanos) -> list[str]:
        """One for every subscription."""
        return [self._message(channel_id, '"hb"', now_ns) for channel_id in self._ids.values()]

    def _subscribe(self, message: dict[str, Any], now_ns: Nanos) -> list[str]:
        name, symbol = message["channel"], message["symbol"]
        refusal = {"event": "error", "channel": name, "symbol": symbol, "pair": symbol[1:]}
        if symbol not in self.symbols.values() or name not in Session.channels:
            return [_json(refusal | {"msg": "symbol: invalid", "code": 10_300})]
        if (name, symbol) in self._ids and (name, symbol) not in self._unasked:
            return [_json(refusal | {"msg": "subscribe: dup", "code": 10_301})]
        self._unasked.discard((name, symbol))
        frames = [self._subscribed(name, symbol)]
        if name == "trades":
            frames.append(self._message(self._ids[name, symbol], "[]", now_ns))
        elif symbol in self._tops:
            self._told.add(symbol)
            levels = ",".join(_levels(self._tops[symbol]))
            frames.append(self._message(self._ids[name, symbol], f"[{levels}]", now_ns))
        return frames

    def _subscribed(self, name: str, symbol: str) -> str:
        self._last_id += 1
        self._ids[name, symbol] = self._last_id
        shape = {**BOOK_SHAPE, "len": BOOK_LENGTH} if name == "book" else {}
        answer = {"event": "subscribed", "channel": name, "chanId": self._last_id, "symbol": symbol}
        return _json(answer | shape | {"pair": symbol[1:]})

    def _unsubscribe(self, channel_id: int) -> list[str]:
        ended = [key for key, known in self._ids.items() if known == channel_id]
        if not ended:
            return [_json({"event": "error", "msg": "unsubscribe: invalid", "code": 10_400})]
        del self._ids[ended[0]]
        self._told -= {symbol for name, symbol in ended if name == "book"}
        return [_json({"event": "unsubscribed", "status": "OK", "chanId": channel_id})]

    def _trade(self, symbol: str, fact: Trade) -> list[str]:
        trade_id, at = self._seq + 1, fact.venue_ns // NANOS_PER_MS
        amount = base.decimal_text(-fact.size if fact.side is Side.SELL else fact.size)
        body = f"[{trade_id},{at},{amount},{base.decimal_text(fact.price)}]"
        return [self._message(self._ids["trades", symbol], f'"{n}",{body}', fact.venue_ns) for n in ("te", "tu")]

    def _message(self, channel_id: int, body: str, at_ns: Nanos) -> str:
        self._seq += 1
        seq = f",{self._seq}" if self._flags & SEQUENCE else ""
        at = f",{at_ns // NANOS_PER_MS}" if self._flags & TIMESTAMPS and at_ns else ""
        return f"[{channel_id},{body}{seq}{at}]"


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads what was recorded from `url`."""
    return OldSession(feeds, market) if urlsplit(url).hostname == OLD_HOST else Session(feeds, market)


def _apply(book: Book[float], level: _Level) -> None:
    """Put or remove one level. Raises VenueError."""
    price, size = base.price(level.price), base.size(abs(level.amount))
    levels = book.bids if level.amount > 0.0 else book.asks
    if level.count == 0:
        levels.remove(price)
    elif level.count > 0:
        levels.put(price, size)
        levels.keep(LEVELS_MAX)
    else:
        raise VenueError(Refusal.WRONG_SHAPE, f"{level.count} orders")


def _trade(source: int, body: Any, recv_ns: Nanos) -> Trade:
    if type(body) is not list or len(body) < 4:
        raise VenueError(Refusal.WRONG_SHAPE, "a trade of less than four fields")
    venue_ns = base.event_time(_integer(body[1]), NANOS_PER_MS, recv_ns)
    amount, price = _number(body[2]), base.price(_number(body[3]))
    return Trade(source, price, base.size(abs(amount)), Side.BUY if amount > 0.0 else Side.SELL, venue_ns, recv_ns)


def _ticker(source: int, body: Any, at_ms: Any, recv_ns: Nanos) -> BookTop:
    if len(body) < 4:
        raise VenueError(Refusal.WRONG_SHAPE, "a ticker of less than four fields")
    venue_ns = 0 if at_ms is None else base.event_time(_integer(at_ms), NANOS_PER_MS, recv_ns)
    bid, bid_size, ask, ask_size = map(_number, body[:4])
    return base.top(source, bid, bid_size, ask, ask_size, venue_ns, recv_ns)


def _number(value: Any) -> float:
    if type(value) is float or (type(value) is int and abs(value) < 1 << 63):
        return float(value)
    raise VenueError(Refusal.WRONG_SHAPE, f"{value!r:.40} is no number")


def _integer(value: Any) -> int:
    if type(value) is int and value >= 0:
        return value
    raise VenueError(Refusal.WRONG_SHAPE, f"{value!r:.40} is no count")


def _gone(last: Top, now: Top) -> list[str]:
    """The removals that lead from one top to the other."""
    gone = [(last[0], 1)] * (last[1] > 0.0 and last[0] != now[0])
    gone += [(last[2], -1)] * (last[3] > 0.0 and last[2] != now[2])
    return [f"[{base.decimal_text(level)},0,{sign}]" for level, sign in gone]


def _levels(top: Top) -> list[str]:
    sides = [(top[0], top[1])] * (top[1] > 0.0) + [(top[2], -top[3])] * (top[3] > 0.0)
    return [f"[{base.decimal_text(level)},1,{base.decimal_text(amount)}]" for level, amount in sides]


def _json(message: object) -> str:
    return msgspec.json.encode(message).decode()
