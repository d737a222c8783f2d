"""A small world with the platform's own market, and a stage: simulated time and a network of strings for a line."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar, Self

import pytest

from oracle.clock import ManualClock
from oracle.collectors.line import Line
from oracle.collectors.rest import Rest
from oracle.collectors.socket import Handler, Socket
from oracle.core.params import Contract, IndexInstrument, PerpInstrument, Role, Rules, Source, World
from oracle.core.types import (
    NANOS_PER_MS,
    NANOS_PER_S,
    BookTop,
    Link,
    Nanos,
    Observation,
    Side,
    Ticker,
    TickerKind,
    Trade,
)
from oracle.errors import LineError, Refusal, VenueError
from oracle.methods import hk1
from oracle.venues.base import Event, Feed, Request, Send, Session, top

START_NS = 1_790_000_000 * NANOS_PER_S


@pytest.fixture(scope="session")
def world() -> World:
    rules: Rules = hk1.SETS[0]
    sources = tuple(
        Source(
            id=i,
            name=f"v{i}",
            venue=f"v{i}",
            symbol="BTC-USD",
            market="spot",
            quote="USD",
            group=f"g{i}",
            role=Role.ENGINE if i == 3 else Role.SPOT,
        )
        for i in range(4)
    )
    index = IndexInstrument(
        id="BTC-USD",
        base="BTC",
        quote="USD",
        tier=1,
        price_decimals=2,
        sources=(0, 1, 2),
        perp_sources=(),
        conversions={},
        method="hk1",
        rules=rules,
    )
    perp = PerpInstrument(
        id="BTC-USD-PERP",
        index="BTC-USD",
        engine_source=3,
        contract=Contract.LINEAR,
        contract_size=1.0,
        price_decimals=2,
        tick_units=1,
        method="hk1",
        rules=rules,
    )
    return World(methodology="hk1", configuration_hash="", sources=sources, indices=(index,), perps=(perp,))


class Tiny(Session):
    """A dialect of one word and its arguments."""

    venue = "tiny"
    symbols_max = 2
    ping_ms: ClassVar[int] = 20_000
    lifetime_ms: ClassVar[int] = 3_600_000
    frame_bytes_max = 1_000
    words = ("subscribe", "unsubscribe")

    def url(self) -> str:
        return "wss://tiny.example/stream?v=2"

    def open(self) -> list[Send]:
        return [Send(f"subscribe {feed.symbol}") for feed in self.feeds]

    def receive(self, data: bytes, recv_ns: Nanos) -> list[Event]:
        word, *rest = data.decode().split()
        match word:
            case "book":
                return [top(self.source_of(rest[0]), float(rest[1]), 1.0, float(rest[2]), 1.0, 0, recv_ns)]
            case "timed":  # with how many ms after its receipt it says to have happened
                venue_ns = recv_ns + int(rest[3]) * NANOS_PER_MS
                return [top(self.source_of(rest[0]), float(rest[1]), 1.0, float(rest[2]), 1.0, venue_ns, recv_ns)]
            case "trade":
                return [Trade(self.source_of(rest[0]), float(rest[1]), 1.0, Side.BUY, 0, recv_ns)]
            case "ticker":
                return [Ticker(self.source_of(rest[0]), TickerKind.INDEX, float(rest[1]), 0, recv_ns)]
            case "ping":
                return [Send("pong")]
            case "snapshot":
                return [Request(f"https://rest.tiny.example/book/{symbol}", symbol) for symbol in rest]
            case "heartbeat":
                return []
            case "gap":
                raise VenueError(Refusal.SEQUENCE_GAP, "7 after 5")
            case "bug":
                raise RuntimeError("a venue file's mistake")
        raise VenueError(Refusal.UNKNOWN_MESSAGE, word)

    def idle(self, now_ns: Nanos) -> list[Send]:
        return [Send("are you there")]

    def poll(self, symbol: str) -> Request | None:
        return Request(f"https://rest.tiny.example/top/{symbol}", symbol)

    def polled(self, request: Request, body: bytes, recv_ns: Nanos) -> list[Event]:
        return self.receive(body, recv_ns)

    def answer(self, request: Request, body: bytes, recv_ns: Nanos) -> list[Event]:
        return self.receive(body, recv_ns)


class Stage:
    """Simulated time, a network of strings, and what reached the inbox."""

    def __init__(self) -> None:
        self.clock = ManualClock(START_NS)
        self.seen: list[Observation] = []
        self.dials: list[tuple[float, str]] = []
        self.sockets: list[FakeSocket] = []
        self.refuse: LineError | None = None
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._count = 0

    @property
    def now_s(self) -> float:
        return (self.clock.now_ns() - START_NS) / NANOS_PER_S

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self.clock.now_ns() + int(seconds * NANOS_PER_S), self._count, future))
        await future

    async def advance(self, seconds: float) -> None:
        """Let time pass, waking whoever sleeps at his time."""
        until_ns = self.clock.now_ns() + int(seconds * NANOS_PER_S)
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= until_ns:
            at_ns, _, future = heapq.heappop(self._sleepers)
            self.clock.advance(max(0, at_ns - self.clock.now_ns()))
            if not future.done():
                future.set_result(None)
                await self.settle()
        self.clock.advance(until_ns - self.clock.now_ns())

    async def settle(self) -> None:
        for _ in range(12):
            await asyncio.sleep(0)

    async def connect(self, url: str, handler: Handler, **_: object) -> Socket:
        self.dials.append((self.now_s, url))
        if self.refuse:
            raise self.refuse
        self.sockets.append(FakeSocket(handler))
        return self.sockets[-1]

    def say(self, text: str) -> None:
        self.sockets[-1].handler.on_frame(text.encode())

    def links(self) -> list[tuple[int, bool, str]]:
        return [(o.source, o.up, o.reason) for o in self.seen if isinstance(o, Link)]

    def books(self) -> list[BookTop]:
        return [o for o in self.seen if isinstance(o, BookTop)]


class FakeSocket:
    def __init__(self, handler: Handler) -> None:
        self.handler, self.sent, self.closed = handler, list[str](), False
        self.full = False

    def send(self, text: str) -> None:
        if self.full:
            raise LineError("UNREACHABLE", "the venue does not read")
        self.sent.append(text)

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.handler.on_close(1000, "")


class Shelf:
    """Answers requests from memory."""

    def __init__(self, **bodies: bytes) -> None:
        self.bodies, self.asked = bodies, list[str]()
        self.open = asyncio.Event()
        self.open.set()

    async def ask(self, request: Request) -> bytes:
        self.asked.append(request.url)
        await self.open.wait()
        if (name := request.url.rsplit("/", 1)[1]) not in self.bodies:
            raise LineError("REFUSED", "HTTP 404", status=404)
        return self.bodies[name]


class Asking:
    """What a poller asks with and tells to: a clock that its naps move, REST, and what was put into the inbox."""

    def __init__(self, at_ns: Nanos) -> None:
        self.clock, self.seen, self.waits = ManualClock(at_ns), list[Observation](), list[float]()
        self.rest = Rest(self.clock, rate_per_s=1_000.0, sleep=self.sleep)
        self.tools: dict[str, Any] = {
            "put": self.seen.append, "clock": self.clock, "rest": self.rest, "random": lambda: 0.5, "sleep": self.sleep,
        }  # fmt: skip

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.rest.aclose()

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.advance(int(seconds * NANOS_PER_S))

    def tickers(self) -> list[Ticker]:
        return [fact for fact in self.seen if isinstance(fact, Ticker)]


@asynccontextmanager
async def running(line: Line) -> AsyncIterator[None]:
    task = asyncio.create_task(line.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def make(stage: Stage, session: type[Session] = Tiny, symbols: Sequence[str] = ("A", "B"), **options: Any) -> Line:
    feeds = [Feed(source, symbol) for source, symbol in enumerate(symbols)]
    options.setdefault("random", lambda: 0.5)
    return Line(
        session, feeds, put=stage.seen.append, clock=stage.clock, connect=stage.connect, sleep=stage.sleep, **options
    )


async def spoken(stage: Stage, seconds: float, *symbols: str, gap_s: float = 0.05) -> float:
    """The symbols tick for a while; answers when they last did."""
    for _ in range(int(seconds / gap_s)):
        await stage.advance(gap_s)
        for symbol in symbols:
            stage.say(f"book {symbol} 1 2")
    return stage.now_s
