"""What a venue file is: a Session that reads the venue's dialect and a Mimic that speaks it. Pure: no socket, no clock.

A Session is given the feeds it shall read, says what to send, and turns each frame into observations and replies. It
raises VenueError and nothing else; a frame is refused whole. A Mimic is the same venue as the simulator plays it, and
`session.receive(mimic.speak(x)) == [x]` for each fact x it can state.

The tools that venue files share are here by name too: strict decoding is in `_strict`, tops over REST in `_resttop`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import ClassVar, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
from msgspec import Struct

from oracle.core.types import NANOS_PER_MS, BookTop, Nanos, Observation, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues._resttop import RestTop
from oracle.venues._strict import (
    EVENT_TIME_ERROR_NS_MAX,
    Decoder,
    Said,
    T,
    check_strictly,
    decimal_text,
    event_time,
    event_time_iso,
    number,
    price,
    refuse,
    size,
    tickers,
    top,
)

__all__ = [
    "EVENT_TIME_ERROR_NS_MAX",
    "Decoder",
    "Event",
    "Feed",
    "Mimic",
    "Request",
    "RestTop",
    "Said",
    "Send",
    "Session",
    "T",
    "check_strictly",
    "decimal_text",
    "event_time",
    "event_time_iso",
    "load",
    "number",
    "price",
    "refuse",
    "size",
    "tickers",
    "top",
]


class Feed(Struct, frozen=True):
    """One market a Session shall read: the source it becomes, and the venue's own name for it."""

    source: int
    symbol: str


class Send(Struct, frozen=True):
    """A text frame to send to the venue."""

    data: str


class Request(Struct, frozen=True):
    """What the Session needs answered over REST: a GET unless `method` says otherwise; `symbol` empty: of no market.

    `content` is what a POST carries, in JSON.
    """

    url: str
    symbol: str
    method: str = "GET"
    content: str = ""


Event: TypeAlias = Observation | Send | Request


class Session(ABC):
    """One connection's worth of a venue's protocol. Subclasses are one file a venue."""

    venue: ClassVar[str]
    markets: ClassVar[tuple[str, ...]] = ()  # those it reads; none named: it reads alike whatever the market
    symbols_max: ClassVar[int] = 50  # feeds one connection may carry
    frame_bytes_max: ClassVar[int] = 1 << 20
    ping_ms: ClassVar[int] = 0  # how often `idle` wants to be called; 0: the venue needs no client ping
    lifetime_ms: ClassVar[int] = 0  # the venue ends a connection after this; 0: it does not say
    dials_per_minute_max: ClassVar[int] = 30
    frames_per_s_max: ClassVar[int] = 20_000  # above it only the latest frame is read, and the rest counted as dropped
    bytes_per_s_max: ClassVar[int] = 16 << 20
    endpoints: Sequence[str] = ()  # other hosts of the same stream (scheme and host), best first; REST has its own
    words: ClassVar[tuple[str, str] | None] = None  # how a subscribing message becomes one that unsubscribes
    tops: ClassVar[Mapping[str, RestTop]] = {}  # by market ("": every other): where REST states the top of book
    retired: ClassVar[tuple[str, ...]] = ()  # words (lower case) by which this venue says that an endpoint is no more
    keeps_books: ClassVar[bool] = False  # by changes that carry no number: after one that was not read no book stands

    def __init__(self, feeds: Sequence[Feed], market: str = "spot") -> None:
        if len({f.symbol for f in feeds}) != len(feeds):
            raise ValueError("a session reads a symbol once")
        if self.markets and market not in self.markets:
            raise ValueError(f"of {self.venue} the market {market} is not read, only {' and '.join(self.markets)}")
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
        top = self.rest_top()
        if top is None:
            return None
        question = top.question(symbol)
        return Request(top.address(symbol), symbol, "POST" if question else "GET", question)

    def polled(self, request: Request, body: bytes, recv_ns: Nanos) -> list[Event]:
        """The top of book in a `poll`'s answer. Raises VenueError."""
        top = self.rest_top()
        source = next((feed.source for feed in self.feeds if feed.symbol == request.symbol), None)
        if top is None or source is None:
            raise VenueError(Refusal.UNKNOWN_SYMBOL, request.symbol[:40])
        return [top.read(source, request.symbol, body, recv_ns)]

    def rest_top(self) -> RestTop | None:
        """Where REST states the top of this market's books, if it does."""
        return self.tops.get(self.market, self.tops.get(""))

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
    states_side: ClassVar[bool] = True  # False: of a trade it does not say who took (Side.UNKNOWN)
    states_trades: ClassVar[bool] = True  # False: its connection carries no trades, and `speak` says nothing of one
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

    def rest(
        self, method: str, path: str, now_ns: Nanos, tops: Mapping[str, BookTop], content: str = ""
    ) -> bytes | None:
        """The body by which the venue's REST answers; None: there is no such page. `tops`: by symbol, what stands.

        By default the venue has the pages that the Session beside it polls, and says there what stands.
        """
        session_type: type[Session] | None = getattr(import_module(type(self).__module__), "Session", None)
        if session_type is None:
            return None
        for symbol, stated in tops.items():
            session = session_type(self.feeds, self.market)
            asked, place = session.poll(symbol), session.rest_top()
            if asked and place and (asked.method, asked.content) == (method, content) and _same(asked.url, path):
                said = stated if stated.venue_ns else msgspec.structs.replace(stated, venue_ns=now_ns)
                return place.say(symbol, said)
        return None


def _same(url: str, path: str) -> bool:
    """Whether a path with its query is that of the address, whatever the order of the query's parts."""
    ours, theirs = urlsplit(url), urlsplit(path)
    return unquote(ours.path) == unquote(theirs.path) and sorted(parse_qsl(ours.query)) == sorted(
        parse_qsl(theirs.query)
    )


def load(venue: str) -> tuple[type[Session], type[Mimic]]:
    """The Session and Mimic of a venue: `kraken` is `oracle.venues.kraken`, a dotted name is anyone's module.

    Raises ModuleNotFoundError or AttributeError when there is no such venue file.
    """
    module = import_module(venue if "." in venue else f"oracle.venues.{venue}")
    return module.Session, module.Mimic
