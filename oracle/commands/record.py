"""`oracle record`: writes down every frame that a venue and the oracle say to each other, to be decoded or played.

The venue is dialled as the service dials it, and heard through the same pump: tickets, greetings, pings and REST
answers are there. There is one connection at a time, because the tape format does not say to which one a frame belongs.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from oracle.collectors import tape
from oracle.collectors.tape import Direction, Frame
from oracle.core.types import NANOS_PER_S
from oracle.errors import ConfigError, LineError, VenueError

if TYPE_CHECKING:
    from oracle.clock import Clock
    from oracle.collectors.pump import Gear, Pump
    from oracle.collectors.rest import Rest
    from oracle.collectors.socket import Handler, Socket
    from oracle.errors import Refusal
    from oracle.venues.base import Feed, Request, Session

EXAMPLES = (
    "oracle record kraken BTC/USD ETH/USD --minutes 10",
    "oracle record binance BTCUSDT --market usdm --minutes 1 --out tape.txt.gz",
    "oracle record kraken BTC/USD --out t.txt.gz       then: oracle decode kraken t.txt.gz, or oracle play t.txt.gz",
)
TOLD_EVERY_S = 10.0
MINUTES_MAX = 7 * 24 * 60.0


class How(NamedTuple):
    """How a venue is dialled; None: as its file says."""

    market: str = "spot"
    endpoint: str | None = None
    proxy: str | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.add_argument("venue", metavar="VENUE", help="kraken, or a module's dotted name")
    parser.add_argument("pairs", metavar="PAIR", nargs="+", help="a market as the venue names it: BTC/USD, btcusdt")
    parser.add_argument("--minutes", metavar="N", type=_minutes, default=1.0, help="how long; 1. Ctrl-C ends it sooner")
    parser.add_argument(
        "--out", metavar="FILE", type=Path, help="a new file, packed when it ends in .gz; a name is made"
    )
    parser.add_argument("--market", default="spot", help="the venue's market, for example linear")
    parser.add_argument("--url", metavar="URL", help="dial this scheme, host and port instead of the venue's own")
    parser.add_argument("--proxy", metavar="URL", help="an HTTP proxy to dial through")


def main(args: argparse.Namespace) -> int:
    """Record; 0 when frames were received, 1 when none. Raises ConfigError, OSError."""
    from oracle.commands.decode import venue_module

    session_type = venue_module(args.venue).Session
    if len(args.pairs) > session_type.symbols_max:
        remedy = f"a connection to {args.venue} carries {session_type.symbols_max}; make several recordings"
        raise ConfigError(f"{len(args.pairs)} pairs are too many", remedy=remedy)
    path = args.out or Path(f"{args.venue.rpartition('.')[2]}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.txt.gz")
    try:
        with tape.opened(path) as stream:
            recorder = Recorder(stream)
            asyncio.run(_recorded(recorder, args))
    except FileExistsError:
        raise ConfigError(f"{path} exists", remedy="name another file with --out") from None
    print(f"{path}: {recorder.summary()}", file=sys.stderr)
    return int(recorder.received == 0)


async def _recorded(recorder: Recorder, args: argparse.Namespace) -> None:
    """Record until the time is up or somebody interrupts."""
    stop = asyncio.Event()
    with suppress(NotImplementedError):  # a loop without signals: Ctrl-C ends the program, and the file is closed
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    telling = asyncio.create_task(_told(recorder))
    how = How(args.market, args.url, args.proxy)
    try:
        await record(recorder, args.venue, args.pairs, _until(stop, args.minutes * 60.0), how)
    finally:
        telling.cancel()


async def record(recorder: Recorder, venue: str, pairs: Sequence[str], until: Awaitable[object], how: How) -> None:
    """Keep a connection to the venue for these markets until then, one after another."""
    from oracle.clock import SystemClock
    from oracle.collectors.rest import Rest

    clock = SystemClock()
    async with Rest(clock, proxy=how.proxy) as rest:
        recorder.attach(clock, rest)
        keeping = asyncio.create_task(_kept(recorder, venue, pairs, clock, how))
        ending = asyncio.ensure_future(until)
        try:
            await asyncio.wait([keeping, ending], return_when=asyncio.FIRST_COMPLETED)
            if keeping.done():
                keeping.result()
            await ending
        finally:
            for task in (keeping, ending):
                task.cancel()
            await asyncio.gather(keeping, ending, return_exceptions=True)


async def _kept(recorder: Recorder, venue: str, pairs: Sequence[str], clock: Clock, how: How) -> None:
    """Dial, listen, and dial again when a connection has ended, never in a hurry."""
    from oracle.collectors.backoff import Backoff, DialBudget
    from oracle.collectors.pump import Pump
    from oracle.venues import base

    session_type, _ = base.load(venue)
    feeds = [base.Feed(source, pair) for source, pair in enumerate(pairs)]
    gear = _gear(recorder, session_type.venue, feeds, clock, how)
    backoff, budget = Backoff(random.random), DialBudget(session_type.dials_per_minute_max)
    while True:
        await asyncio.sleep(budget.reserve(clock.now_ns()) / NANOS_PER_S)
        session = session_type(feeds, how.market)
        pump, retry_after_s = Pump(gear, session), 0.0
        try:
            await _served(recorder, session, pump, clock, how)
        except (LineError, VenueError) as error:
            print(f"{venue}: {error}", file=sys.stderr, flush=True)
            retry_after_s = getattr(error, "retry_after_s", 0.0)
        fed_ns = clock.now_ns() - pump.facts_ns if pump.facts_ns else 0
        await asyncio.sleep(backoff.wait_s(fed_ns, retry_after_s))


async def _served(recorder: Recorder, session: Session, pump: Pump, clock: Clock, how: How) -> None:
    """One connection from its ticket to its end. Raises LineError, and VenueError for a ticket that is none."""
    from oracle.collectors.asking import ask, rebased

    if (ticket := session.ticket()) is not None:
        session.admit(await ask(recorder, ticket, how.endpoint))
    url, library = rebased(session.url(), how.endpoint), "aiohttp" if how.proxy else "picows"
    most = session.frame_bytes_max
    socket = await recorder.connect(url, pump, frame_bytes_max=most, proxy=how.proxy, library=library)
    pinging = asyncio.create_task(_pinged(pump, session.ping_ms / 1_000, clock))
    try:
        await pump.serve(socket)
    finally:
        pinging.cancel()
        with suppress(LineError):
            await socket.close()


def _gear(recorder: Recorder, venue: str, feeds: Sequence[Feed], clock: Clock, how: How) -> Gear:
    """What a pump needs where nobody listens to the facts."""
    import structlog

    from oracle.collectors.liveness import Liveness
    from oracle.collectors.pump import Gear
    from oracle.collectors.stats import LineStats

    sources = tuple(feed.source for feed in feeds)
    return Gear(
        clock=clock,
        sleep=asyncio.sleep,
        rest=recorder,
        rest_base=how.endpoint,
        stats=LineStats(venue, sources),
        liveness=Liveness(sources),
        heed=lambda fact: None,
        skew=lambda delay_ns, recv_ns: None,
        first=lambda pump, fact: True,
        put=lambda fact: None,
        log=structlog.get_logger().bind(venue=venue),
    )


async def _pinged(pump: Pump, every_s: float, clock: Clock) -> None:
    while every_s:
        await asyncio.sleep(every_s)
        pump.ping(clock.now_ns())


async def _until(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


async def _told(recorder: Recorder) -> None:
    while True:
        await asyncio.sleep(TOLD_EVERY_S)
        print(recorder.summary(), file=sys.stderr, flush=True)


def _minutes(text: str) -> float:
    minutes = float(text)
    if not 0.0 < minutes <= MINUTES_MAX:
        raise argparse.ArgumentTypeError(f"minutes are above 0 and at most {MINUTES_MAX:g}")
    return minutes


class Recorder:
    """Stands between a line and its sockets and REST client, and writes down what passes."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._now_ns: Callable[[], int] = lambda: 0
        self._began_ns = 0
        self._rest: Rest
        self.connections = self.sent = self.received = self.answers = 0

    def attach(self, clock: Clock, rest: Rest) -> None:
        """What tells the time and who answers requests."""
        self._now_ns, self._rest = clock.now_ns, rest
        self._began_ns = clock.now_ns()

    def write(self, direction: Direction, url: str, data: bytes = b"") -> None:
        """One line of the recording."""
        tape.write(self._stream, Frame(direction, url, self._now_ns(), data, 0))

    def summary(self) -> str:
        """What was written so far, for people."""
        lasted_s = (self._now_ns() - self._began_ns) / NANOS_PER_S
        return (
            f"{lasted_s:.0f} s, {self.connections} connections, {self.received} frames received, {self.sent} sent, "
            f"{self.answers} REST answers"
        )

    async def ask(self, request: Request) -> bytes:
        """The answer to a request, written down. Raises LineError."""
        body = await self._rest.ask(request)
        self.answers += 1
        self.write(Direction.ANSWER, request.url, body)
        return body

    async def connect(self, url: str, handler: Handler, **how: Any) -> Socket:
        """Dial as the line would, and listen on both sides. Raises LineError."""
        from oracle.collectors import socket

        tapped = _Tapped(self, url, handler)
        tapped.socket = await socket.connect(url, tapped, **how)
        tapped.stand()
        return tapped


class _Tapped:
    """Both ends of a connection: the handler that the socket knows and the socket that the line knows."""

    def __init__(self, recorder: Recorder, url: str, handler: Handler) -> None:
        self._recorder, self._url, self._handler = recorder, url, handler
        self._stands = False
        self.socket: Socket

    def stand(self) -> None:
        """The connection stands; a frame may have come before whoever dialled hears of it."""
        if not self._stands:
            self._stands = True
            self._recorder.connections += 1
            self._recorder.write(Direction.OPENED, self._url)

    def on_frame(self, data: bytes) -> None:
        self.stand()
        if not self._recorder.received:
            print(f"the first frame of {self._url}", file=sys.stderr, flush=True)
        self._recorder.received += 1
        self._recorder.write(Direction.RECEIVED, self._url, data)
        self._handler.on_frame(data)

    def on_refused(self, reason: Refusal) -> None:
        self._handler.on_refused(reason)

    def on_close(self, code: int, reason: str) -> None:
        self._handler.on_close(code, reason)

    def send(self, text: str) -> None:
        self.socket.send(text)
        self._recorder.sent += 1
        self._recorder.write(Direction.SENT, self._url, text.encode())

    async def close(self) -> None:
        await self.socket.close()
