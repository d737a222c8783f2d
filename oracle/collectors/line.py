"""How one connection of one venue is kept: dialled, opened, read, watched, renewed, and dialled again.

A line pumps frames through the venue's Session into the inbox. Whatever goes wrong is counted by its name and costs
this line only: a refused frame is dropped whole; a book that lost its thread, a silent source or a closed connection
is repaired by a new connection with a fresh Session. `Link` tells the engine of every rise and fall.
"""

from __future__ import annotations

import asyncio
import random as _random
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

import structlog
from msgspec import Struct, field

from oracle.clock import Clock
from oracle.collectors import socket
from oracle.collectors.backoff import Backoff, DialBudget
from oracle.collectors.liveness import Liveness
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, BookTop, Link, Nanos, Observation
from oracle.errors import LineError, Refusal, VenueError
from oracle.venues.base import Event, Feed, Request, Send, Session

WATCH_S = 0.25  # how often a line looks at its clocks
SENDS_AT_ONCE = 4  # venues count control messages: the rest of a long greeting is paced
SEND_GAP_S = 0.15
REQUESTS_MAX = 32  # answers that may be awaited at a time
RENEW_SHARE_MIN, RENEW_SHARE_MAX = 0.85, 0.95  # of a connection's lifetime, so that lines do not renew together
BROKEN_BOOK = (Refusal.SEQUENCE_GAP, Refusal.CHECKSUM, Refusal.NO_SNAPSHOT)
DETAIL_CHARS_MAX = 200
TELL_EVERY_NS = 60 * NANOS_PER_S  # a venue that cannot be dialled is logged at once, then this often, with a count


class Getter(Protocol):
    """Whatever answers a Session's requests."""

    async def get(self, url: str) -> bytes:
        """The body. Raises LineError."""
        ...


class LineStats(Struct):
    """What a line has done since the start; read by the metrics and the status page."""

    venue: str
    sources: tuple[int, ...]
    frames: int = 0
    bytes: int = 0
    observations: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # frames, by Refusal
    ended: Counter[str] = field(default_factory=Counter)  # connections and dials, by why they ended
    dials: int = 0
    connected_since_ns: Nanos = 0  # 0: not connected
    last_frame_ns: Nanos = 0
    last_error: str = ""


class Line:
    """One connection of one venue, for a set of feeds. `run` keeps it until it is cancelled."""

    def __init__(
        self,
        session_type: type[Session],
        feeds: Sequence[Feed],
        *,
        put: Callable[[Observation], None],
        clock: Clock,
        budget: DialBudget | None = None,
        rest: Getter | None = None,
        market: str = "spot",
        endpoint: str | None = None,
        tls: ssl.SSLContext | None = None,
        proxy: str | None = None,
        library: str = "picows",
        connect: Callable[..., Awaitable[socket.Socket]] = socket.connect,
        random: Callable[[], float] = _random.random,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._session_type, self._feeds, self._market = session_type, tuple(feeds), market
        self._put, self._clock, self._rest = put, clock, rest
        self._endpoint, self._tls, self._proxy, self._library = endpoint, tls, proxy, library
        self._connect, self._random, self._sleep = connect, random, sleep
        self._budget = budget or DialBudget(session_type.dials_per_minute_max)
        self._backoff = Backoff(random)
        self._liveness = Liveness(feed.source for feed in feeds)
        self._up: bool | None = None
        self._untold = 0
        self._told_ns: Nanos | None = None
        self._log = structlog.get_logger().bind(venue=session_type.venue, market=market)
        self.stats = LineStats(session_type.venue, tuple(feed.source for feed in feeds))

    async def run(self) -> None:
        """Keep the line up. Ends only by being cancelled."""
        try:
            while True:
                wait_ns = self._budget.reserve(self._clock.now_ns())
                if wait_ns:
                    await self._sleep(wait_ns / NANOS_PER_S)
                await self._sleep(await self._connection())
        finally:
            self._down("STOPPED")

    async def _connection(self) -> float:
        """One connection from dial to end; the answer is how long to wait before the next, in seconds."""
        self.stats.dials += 1
        session = self._session_type(self._feeds, self._market)
        pump = _Pump(self, session)
        try:
            line = await self._connect(
                rebased(session.url(), self._endpoint),
                pump,
                frame_bytes_max=session.frame_bytes_max,
                tls=self._tls,
                proxy=self._proxy,
                library=self._library,
            )
        except LineError as error:
            self._tell(error)
            self._note(error.reason, error.detail)
            self._down(error.reason)
            return self._backoff.wait_s(0, error.retry_after_s)
        began_ns = self._clock.now_ns()
        self._rise(began_ns)
        try:
            ending = await pump.serve(line)
        finally:
            self.stats.connected_since_ns = 0
            with suppress(LineError):
                await line.close()
        stood_ns = self._clock.now_ns() - began_ns
        self._note(ending.reason, ending.detail)
        self._down(ending.reason)
        self._log.warning(
            "venue.disconnected", reason=ending.reason, detail=ending.detail, stood_ms=stood_ns // NANOS_PER_MS
        )
        return 0.0 if ending.planned else self._backoff.wait_s(stood_ns)

    def _rise(self, now_ns: Nanos) -> None:
        self._up = True
        self.stats.connected_since_ns = now_ns
        self._liveness.connected(now_ns)
        self._log.info("venue.connected", sources=len(self._feeds), dials=self.stats.dials)
        for feed in self._feeds:
            self._put(Link(feed.source, True, "", now_ns))

    def _down(self, reason: str) -> None:
        """Tell the engine once that its sources have lost their line."""
        if self._up is not False:
            self._up = False
            for feed in self._feeds:
                self._put(Link(feed.source, False, reason, self._clock.now_ns()))

    def _tell(self, error: LineError) -> None:
        """Log a failed dial, unless one was logged a moment ago: then it is counted into the next."""
        self._untold += 1
        now_ns = self._clock.now_ns()
        if self._told_ns is None or now_ns - self._told_ns >= TELL_EVERY_NS:
            self._log.warning("venue.dial_failed", reason=error.reason, detail=error.detail, failures=self._untold)
            self._untold, self._told_ns = 0, now_ns

    def _note(self, reason: str, detail: str) -> None:
        self.stats.ended[reason] += 1
        self.stats.last_error = f"{reason}: {detail}"[:DETAIL_CHARS_MAX]


class _Ending(Struct, frozen=True):
    reason: str
    detail: str = ""
    planned: bool = False


class _Pump:
    """One connection's frames, from the socket to the inbox."""

    def __init__(self, line: Line, session: Session) -> None:
        self._line, self._session, self._stats = line, session, line.stats
        self._receive, self._put, self._said = session.receive, line._put, line._liveness.said
        self._now_ns = line._clock.now_ns
        self._ended: asyncio.Future[_Ending] = asyncio.get_running_loop().create_future()
        self._held = True  # until `serve` knows the socket, and again once the connection is over
        self._early: list[bytes] = []
        self._socket: socket.Socket
        self._requests: dict[Request, asyncio.Task[None]] = {}

    def on_frame(self, data: bytes) -> None:
        if self._held:
            if not self._ended.done():
                self._early.append(data)
            return
        stats = self._stats
        recv_ns = self._now_ns()
        stats.frames += 1
        stats.bytes += len(data)
        stats.last_frame_ns = recv_ns
        try:
            self._take(self._receive(data, recv_ns))
        except VenueError as error:
            self._refuse(error)
        except Exception as error:
            self._blame(error)

    def on_refused(self, reason: Refusal) -> None:
        self._refuse(VenueError(reason, "refused by the socket"))
        self.end(reason)

    def on_close(self, code: int, reason: str) -> None:
        self.end("CLOSED", f"{code} {reason}".rstrip())

    def end(self, reason: str, detail: str = "", *, planned: bool = False) -> None:
        """The connection is over, for the first reason that is given."""
        self._held = True  # what a broken session still says does not count
        if not self._ended.done():
            self._ended.set_result(_Ending(reason, detail[:DETAIL_CHARS_MAX], planned))

    async def serve(self, line: socket.Socket) -> _Ending:
        """Run the connection until it ends."""
        self._socket = line
        early, self._early, self._held = self._early, [], self._ended.done()
        tasks = [asyncio.ensure_future(self._blamed(job)) for job in (self._greet(), self._watch())]
        for data in early:
            self.on_frame(data)
        try:
            return await self._ended
        finally:
            tasks += self._requests.values()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _blamed(self, job: Awaitable[None]) -> None:
        try:
            await job
        except Exception as error:
            self._blame(error)

    def _take(self, events: Sequence[Event]) -> None:
        put, stats = self._put, self._stats
        for event in events:
            kind = type(event)
            if kind is Send or kind is Request:
                self._reply(event)
                continue
            if kind is BookTop:
                self._said(event.source, event.recv_ns)  # type: ignore[union-attr]
            stats.observations += 1
            put(event)  # type: ignore[arg-type]

    def _reply(self, event: Event) -> None:
        if isinstance(event, Send):
            self._send(event)
        elif isinstance(event, Request) and event not in self._requests:
            if len(self._requests) >= REQUESTS_MAX:
                self.end("REST", "too many requests wait")
                return
            self._requests[event] = asyncio.ensure_future(self._ask(event))

    def _send(self, event: Send) -> None:
        try:
            self._socket.send(event.data)
        except LineError as error:
            self.end(error.reason, error.detail)

    async def _ask(self, request: Request) -> None:
        rest = self._line._rest
        try:
            if rest is None:
                raise LineError("UNREACHABLE", "no client for requests")
            body = await rest.get(rebased(request.url, self._line._endpoint))
            self._requests.pop(request, None)
            self._take(self._session.answer(request, body, self._now_ns()))
        except LineError as error:
            self.end("REST", str(error))
        except VenueError as error:
            self._refuse(error)
        except Exception as error:
            self._blame(error)

    def _refuse(self, error: VenueError) -> None:
        first = not self._stats.refused[error.reason]
        self._stats.refused[error.reason] += 1
        self._stats.last_error = str(error)[:DETAIL_CHARS_MAX]
        if first:
            self._line._log.warning("venue.refused", reason=str(error.reason), detail=error.detail[:DETAIL_CHARS_MAX])
        if error.reason in BROKEN_BOOK:
            self.end(error.reason, error.detail)

    def _blame(self, error: Exception) -> None:
        """A venue file raised what it must not: its frame is lost and its state unknown, so it starts afresh."""
        self._stats.refused["INTERNAL"] += 1
        self._line._log.error("venue.broken", exc_info=error)
        self.end("INTERNAL", f"{type(error).__name__}: {error}")

    async def _greet(self) -> None:
        for place, message in enumerate(self._session.open()):
            if place >= SENDS_AT_ONCE:
                await self._line._sleep(SEND_GAP_S)
            self._send(message)

    async def _watch(self) -> None:
        """Ping, renew, and end the connection when a source is silent."""
        session, liveness, line = self._session, self._line._liveness, self._line
        began_ns = pinged_ns = self._now_ns()
        share = RENEW_SHARE_MIN + line._random() * (RENEW_SHARE_MAX - RENEW_SHARE_MIN)
        lifetime_ns = int(session.lifetime_ms * NANOS_PER_MS * share)
        while True:
            await line._sleep(WATCH_S)
            now_ns = self._now_ns()
            if session.ping_ms and now_ns - pinged_ns >= session.ping_ms * NANOS_PER_MS:
                pinged_ns = now_ns
                for message in session.idle(now_ns):
                    self._send(message)
            if lifetime_ns and now_ns - began_ns >= lifetime_ns:
                self.end("RENEWED", planned=True)
            silent = liveness.silent(now_ns)
            if silent:
                symbols = [feed.symbol for feed in line._feeds if feed.source in silent]
                line._log.warning(
                    "venue.silent", symbols=symbols, deadline_ms=[liveness.deadline_ns(s) // 10**6 for s in silent]
                )
                liveness.repaired(silent)
                self.end("SILENT", ", ".join(symbols))
                return


def rebased(url: str, endpoint: str | None) -> str:
    """The address with its scheme, host and port replaced by the endpoint's, whose path is put in front.

    A request keeps to HTTP and a stream to WebSocket, secure exactly when the endpoint is.
    """
    if endpoint is None:
        return url
    to, parts = urlsplit(endpoint), urlsplit(url)
    secure = to.scheme in ("wss", "https")
    scheme = ("wss" if secure else "ws") if parts.scheme in ("ws", "wss") else ("https" if secure else "http")
    return urlunsplit((scheme, to.netloc, to.path.rstrip("/") + parts.path, parts.query, ""))
