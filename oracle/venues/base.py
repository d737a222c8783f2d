"""What a venue file is: a Session that reads the venue's dialect and a Mimic that speaks it. Pure: no socket, no clock.

A Session is given the feeds it shall read, says what to send, and turns each frame into observations and replies. It
raises VenueError and nothing else; a frame is refused whole. A Mimic is the same venue as the simulator plays it, and
`session.receive(mimic.speak(x)) == [x]` for each fact x it can state.

Theory of the strict decoder. msgspec decodes a frame into a typed struct in well under a microsecond, and refuses bad
JSON, wrong types, underscores, foreign digits and overflow; it does not see a key given twice, and skips unknown
fields without looking inside. `Decoder` adds what is missing at the price of one scan: a frame whose count of `":` is
the one that a complete message of this shape has, is ASCII and has no escapes, cannot hold a duplicate of a required
key. Any other frame takes the slow road through the standard library, which sees every key.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from importlib import import_module
from math import isfinite
from typing import Any, ClassVar, Generic, NoReturn, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, BookTop, Nanos, Observation, Trade
from oracle.errors import Refusal, VenueError

T = TypeVar("T")
EVENT_TIME_ERROR_NS_MAX = 86_400 * NANOS_PER_S  # a day off is another unit, not another clock
BACKSLASH = 92  # as an int: looking for one byte is five times as quick as for a string of one


class Feed(Struct, frozen=True):
    """One market a Session shall read: the source it becomes, and the venue's own name for it."""

    source: int
    symbol: str


class Send(Struct, frozen=True):
    """A text frame to send to the venue."""

    data: str


class Request(Struct, frozen=True):
    """What the Session needs answered over REST: a GET unless `method` says otherwise; `symbol` empty: of no market."""

    url: str
    symbol: str
    method: str = "GET"


Event: TypeAlias = Observation | Send | Request


class RestTop(Struct, frozen=True, kw_only=True):
    """Where a venue's REST states the top of a market's book, as data: an address, and paths into the answer.

    `{symbol}` stands in the address for the symbol as `spelling` rewrites it, replacement after replacement. A path is
    keys and places with dots between (`result.0.b`); `*` is the one value of an object whose key is not known before.
    A size without a path is not stated: 0.0 beside a price. A time is an integer of `time_unit_ns`, or RFC 3339 text
    when that is 0. What `symbol` points to must be the symbol as it was asked for.
    """

    url: str
    bid: str
    ask: str
    bid_size: str = ""
    ask_size: str = ""
    time: str = ""
    time_unit_ns: int = NANOS_PER_MS
    symbol: str = ""
    spelling: tuple[tuple[str, str], ...] = ()

    def spell(self, symbol: str) -> str:
        """The symbol as REST spells it."""
        for ours, theirs in self.spelling:
            symbol = symbol.replace(ours, theirs)
        return symbol

    def read(self, source: int, symbol: str, body: bytes, recv_ns: Nanos) -> BookTop:
        """The top of book in a body. Raises VenueError."""
        check_strictly(body)
        said = msgspec.json.decode(body)
        if self.symbol and (named := str(_found(said, self.symbol))) != self.spell(symbol):
            raise VenueError(Refusal.UNKNOWN_SYMBOL, named[:40])
        bid, ask = price(_numeric(said, self.bid)), price(_numeric(said, self.ask))
        bid_size = number(_numeric(said, self.bid_size)) if self.bid_size else 0.0
        ask_size = number(_numeric(said, self.ask_size)) if self.ask_size else 0.0
        return BookTop(source, bid, bid_size, ask, ask_size, self._time(said, recv_ns) if self.time else 0, recv_ns)

    def _time(self, said: object, recv_ns: Nanos) -> Nanos:
        if self.time_unit_ns:
            return event_time(int(_numeric(said, self.time)), self.time_unit_ns, recv_ns)
        return event_time_iso(str(_found(said, self.time)), recv_ns)


def _found(said: Any, path: str) -> Any:
    """What stands at a path of a decoded answer. Raises VenueError."""
    for part in path.split("."):
        try:
            if part == "*":
                (said,) = said.values()
            else:
                said = said[int(part) if isinstance(said, list) else part]
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            raise VenueError(Refusal.WRONG_SHAPE, f"no `{path}` in the answer") from None
    return said


def _numeric(said: object, path: str) -> float:
    try:
        return msgspec.convert(_found(said, path), float, strict=False)
    except msgspec.ValidationError:
        raise VenueError(Refusal.NOT_A_NUMBER, path) from None


class Session(ABC):
    """One connection's worth of a venue's protocol. Subclasses are one file a venue."""

    venue: ClassVar[str]
    symbols_max: ClassVar[int] = 50  # feeds one connection may carry
    frame_bytes_max: ClassVar[int] = 1 << 20
    ping_ms: ClassVar[int] = 0  # how often `idle` wants to be called; 0: the venue needs no client ping
    lifetime_ms: ClassVar[int] = 0  # the venue ends a connection after this; 0: it does not say
    dials_per_minute_max: ClassVar[int] = 30
    frames_per_s_max: ClassVar[int] = 20_000  # above it only the latest frame is read, and the rest counted as dropped
    bytes_per_s_max: ClassVar[int] = 16 << 20
    endpoints: ClassVar[tuple[str, ...]] = ()  # other hosts of the same dialect (scheme and host), best first
    words: ClassVar[tuple[str, str] | None] = None  # how a subscribing message becomes one that unsubscribes
    tops: ClassVar[Mapping[str, RestTop]] = {}  # by market: where REST states the top of book
    retired: ClassVar[tuple[str, ...]] = ()  # words (lower case) by which this venue says that an endpoint is no more

    def __init__(self, feeds: Sequence[Feed], market: str = "spot") -> None:
        if len({f.symbol for f in feeds}) != len(feeds):
            raise ValueError("a session reads a symbol once")
        self.feeds = tuple(feeds)
        self.market = market
        self.sources = {f.symbol: f.source for f in feeds}

    @abstractmethod
    def url(self) -> str:
        """The address to dial, complete with path and query."""

    @abstractmethod
    def open(self) -> list[Send]:
        """What to send once the connection stands."""

    @abstractmethod
    def receive(self, data: bytes, recv_ns: Nanos) -> list[Event]:
        """The facts and replies in one frame. `recv_ns` 0: unknown, so event times are not checked against it.

        Raises VenueError, and nothing else, for a frame that is refused.
        """

    def ticket(self) -> Request | None:
        """What must be asked before dialling, where an address is only given on request; None: nothing."""
        return None

    def admit(self, body: bytes) -> None:
        """The answer to `ticket`: from now on `url` is known. Raises VenueError."""
        raise VenueError(Refusal.UNKNOWN_MESSAGE, f"{self.venue} needs no ticket")

    def greet(self, now_ns: Nanos) -> list[Send]:
        """What to send once the connection stands, at this time: `open`, unless a login needs the time."""
        return self.open()

    def resubscribe(self, symbols: Sequence[str]) -> list[Send]:
        """Messages that end and begin again the subscriptions of these symbols; none: the venue cannot do that.

        By default they are those which a session of these symbols alone would open with, once with the word that
        unsubscribes in place of the one that subscribes (`words`).
        """
        if self.words is None:
            return []
        wanted = set(symbols)
        opening = type(self)([feed for feed in self.feeds if feed.symbol in wanted], self.market).open()
        return [*(Send(message.data.replace(*self.words)) for message in opening), *opening]

    def poll(self, symbol: str) -> Request | None:
        """Where REST states this symbol's top of book; None: it does not, or not in this market."""
        top = self.tops.get(self.market)
        return None if top is None else Request(top.url.format(symbol=top.spell(symbol)), symbol)

    def polled(self, request: Request, body: bytes, recv_ns: Nanos) -> list[Event]:
        """The top of book in a `poll`'s answer. Raises VenueError."""
        return [self.tops[self.market].read(self.source_of(request.symbol), request.symbol, body, recv_ns)]

    def idle(self, now_ns: Nanos) -> list[Send]:
        """What to send when `ping_ms` have passed."""
        return []

    def answer(self, request: Request, body: bytes, recv_ns: Nanos) -> list[Event]:
        """The facts in the body of a Request's answer. Raises VenueError."""
        raise VenueError(Refusal.UNKNOWN_MESSAGE, f"{self.venue} asks for nothing over REST")

    def source_of(self, symbol: str) -> int:
        """The source of a venue symbol. Raises VenueError UNKNOWN_SYMBOL."""
        source = self.sources.get(symbol)
        if source is None:
            raise VenueError(Refusal.UNKNOWN_SYMBOL, symbol[:40])
        return source


class Mimic(ABC):
    """The same venue, as the simulator plays it to one client: it hears what the client sends and speaks facts."""

    venue: ClassVar[str]
    time_unit_ns: ClassVar[int] = NANOS_PER_MS  # resolution of the venue's event times
    states_book_time: ClassVar[bool] = True  # False: its top of book carries no event time (venue_ns 0)
    states_trade_time: ClassVar[bool] = True
    states_one_side: ClassVar[bool] = True  # False: an empty side cannot be said in this dialect
    ping_ms: ClassVar[int] = 0  # how often the venue itself sends a heartbeat frame

    def __init__(self, feeds: Sequence[Feed], market: str = "spot") -> None:
        self.feeds = tuple(feeds)
        self.market = market
        self.symbols = {f.source: f.symbol for f in feeds}

    def greet(self, path: str, now_ns: Nanos) -> Sequence[str | bytes]:
        """What the venue says when a client connects to `path` (with its query)."""
        return []

    def hear(self, data: str, now_ns: Nanos) -> Sequence[str | bytes]:
        """The venue's answers to a client's frame: acknowledgements, pongs, snapshots."""
        return []

    @abstractmethod
    def speak(self, fact: BookTop | Trade) -> Sequence[str | bytes]:
        """The frames by which the venue states this fact to a client that has subscribed."""

    def heartbeat(self, now_ns: Nanos) -> Sequence[str | bytes]:
        """What the venue sends every `ping_ms` to a client that hears nothing else."""
        return []

    def rest(self, method: str, path: str, now_ns: Nanos, tops: Mapping[str, BookTop]) -> bytes | None:
        """The body by which the venue's REST answers; None: there is no such page. `tops`: by symbol, what stands."""
        return None


def load(venue: str) -> tuple[type[Session], type[Mimic]]:
    """The Session and Mimic of a venue: `kraken` is `oracle.venues.kraken`, a dotted name is anyone's module.

    Raises ModuleNotFoundError or AttributeError when there is no such venue file.
    """
    module = import_module(venue if "." in venue else f"oracle.venues.{venue}")
    return module.Session, module.Mimic


class Decoder(Generic[T]):
    """Strict JSON to a typed value. `keys` are the counts of keys that complete messages of this shape have."""

    def __init__(self, shape: type[T] | Any, keys: Sequence[int] = (), bytes_max: int = 1 << 20) -> None:
        self._decode: Callable[[bytes], T] = msgspec.json.Decoder(shape, strict=False).decode
        self._keys = frozenset(keys)
        self._bytes_max = bytes_max

    def __call__(self, data: bytes) -> T:
        """The value. Raises VenueError."""
        if len(data) > self._bytes_max:
            raise VenueError(Refusal.TOO_LARGE, f"{len(data)} bytes")
        try:
            value = self._decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            refuse(data, error)
        if data.count(b'":') not in self._keys or BACKSLASH in data or not data.isascii():
            check_strictly(data)
        return value


def refuse(data: bytes, error: Exception) -> NoReturn:
    """Raise the VenueError that says what is wrong with bytes which did not decode."""
    if isinstance(error, RecursionError):
        raise VenueError(Refusal.TOO_DEEP) from None
    check_strictly(data)
    if isinstance(error, msgspec.ValidationError):
        raise VenueError(Refusal.WRONG_SHAPE, str(error)[:120]) from None
    raise VenueError(Refusal.NOT_JSON, str(error)[:120]) from None


def check_strictly(data: bytes) -> None:
    """Raise VenueError unless the bytes are UTF-8 JSON without duplicate keys, NaN, huge numbers or deep nesting."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise VenueError(Refusal.NOT_UTF8) from None
    try:
        json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_int, parse_float=_float)
    except RecursionError:
        raise VenueError(Refusal.TOO_DEEP) from None
    except ValueError as error:
        raise VenueError(Refusal.NOT_JSON, str(error)[:120]) from None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise VenueError(Refusal.DUPLICATE_KEY, next(k for k, _ in pairs if sum(k == o for o, _ in pairs) > 1)[:40])
    for name in made:
        if not name.isprintable():
            raise VenueError(Refusal.NOT_JSON, "an unprintable key")
    return made


def _no_constant(word: str) -> NoReturn:
    raise VenueError(Refusal.NOT_JSON, word)


def _int(digits: str) -> int:
    if len(digits) > 40:
        raise VenueError(Refusal.NOT_A_NUMBER, f"an integer of {len(digits)} digits")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if not isfinite(value):
        raise VenueError(Refusal.NOT_A_NUMBER, digits[:40])
    return value


def price(value: float) -> float:
    """A price a venue said: finite and above zero, or VenueError."""
    if 0.0 < value < 1e15:  # NaN compares false
        return value
    raise VenueError(Refusal.NOT_POSITIVE if isfinite(value) else Refusal.NOT_A_NUMBER, repr(value))


def size(value: float) -> float:
    """A size a venue said: finite and above zero, or VenueError."""
    if 0.0 < value < 1e18:
        return value
    raise VenueError(Refusal.NOT_POSITIVE if isfinite(value) else Refusal.NOT_A_NUMBER, repr(value))


def number(value: float) -> float:
    """A finite number that may be zero (a level's size in a delta), never negative, or VenueError."""
    if 0.0 <= value < 1e18:
        return value
    raise VenueError(Refusal.NOT_POSITIVE if isfinite(value) else Refusal.NOT_A_NUMBER, repr(value))


def top(
    source: int, bid: float, bid_size: float, ask: float, ask_size: float, venue_ns: Nanos, recv_ns: Nanos
) -> BookTop:
    """A checked BookTop. A side of zero size or price is an empty side; both empty is a fact too."""
    if bid_size == 0.0 or bid == 0.0:
        bid = bid_size = 0.0
    else:
        bid, bid_size = price(bid), size(bid_size)
    if ask_size == 0.0 or ask == 0.0:
        ask = ask_size = 0.0
    else:
        ask, ask_size = price(ask), size(ask_size)
    return BookTop(source, bid, bid_size, ask, ask_size, venue_ns, recv_ns)


def event_time(value: int, unit_ns: int, recv_ns: Nanos) -> Nanos:
    """A venue's integer event time in its pinned unit, as UTC nanoseconds. Raises VenueError TIME_UNIT."""
    venue_ns = value * unit_ns
    if venue_ns <= 0 or (recv_ns and abs(venue_ns - recv_ns) > EVENT_TIME_ERROR_NS_MAX):
        raise VenueError(Refusal.TIME_UNIT, f"{value} x {unit_ns} ns")
    return venue_ns


def decimal_text(value: float) -> str:
    """A double as plain decimal digits, never in scientific notation; reads back to the same double."""
    return format(Decimal(repr(value)), "f")


_SECONDS: dict[str, int] = {}  # the last few distinct seconds: a memo of a pure function


def event_time_iso(text: str, recv_ns: Nanos) -> Nanos:
    """A venue's RFC 3339 event time (`2021-04-17T16:43:37.075351Z`), to the nanosecond. Raises VenueError."""
    second, fraction, digits = text[:19], text[19:-1], text[20:-1]
    if text[-1:] != "Z" or (fraction and (fraction[0] != "." or not digits.isascii() or not digits.isdigit())):
        raise VenueError(Refusal.TIME_UNIT, text[:40])
    seconds = _SECONDS.get(second)
    if seconds is None:
        try:
            seconds = int(datetime.fromisoformat(second + "+00:00").timestamp())
        except ValueError:
            raise VenueError(Refusal.TIME_UNIT, text[:40]) from None
        if len(_SECONDS) > 64:
            _SECONDS.clear()
        _SECONDS[second] = seconds
    return event_time(seconds * NANOS_PER_S + int(digits[:9].ljust(9, "0") or 0), 1, recv_ns)
