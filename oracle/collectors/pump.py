"""One connection's frames, from the socket through the venue's Session to whoever puts them in the inbox.

Whatever goes wrong is counted by its name. A refused frame is dropped whole; a book that has lost its thread, or a
venue file that raised what it must not, ends the connection, because what its session knows is worth nothing then.

Theory of the flood. A frame costs one look at a counter while the connection stays well below its venue's budget; one
that comes near it pays for every frame. Above the budget the latest frame waits until it may be read, and one that is
replaced while it waits is lost: a session that keeps a book by deltas has then lost its thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from msgspec import Struct

from oracle.clock import Clock
from oracle.collectors import socket
from oracle.collectors.asking import Asker, ask
from oracle.collectors.flow import Flow
from oracle.collectors.liveness import CHANNELS, Channel, Liveness
from oracle.collectors.stats import DETAIL_CHARS_MAX, LineStats
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, BookTop, Nanos, Observation, Ticker, Trade
from oracle.errors import LineError, Refusal, VenueError
from oracle.venues.base import Event, Request, Send, Session

SENDS_AT_ONCE = 4  # venues count control messages: the rest of a long greeting is paced
SEND_GAP_S = 0.15
REQUESTS_MAX = 32  # answers that may be awaited at a time
BROKEN_BOOK = (Refusal.SEQUENCE_GAP, Refusal.CHECKSUM, Refusal.NO_SNAPSHOT)
COOL_FRAMES = 64  # frames that pass between two looks at the rate
COOL_SHARE = 2  # a rate below one part in so many of the budget is nowhere near it
SKEW_GAP_NS = 50 * NANOS_PER_MS  # the clocks are compared no more often than this
UNTIMED_GAP_NS = NANOS_PER_MS  # and a fact without a time is looked past
PAUSE_S = 0.1  # for which a socket is not read that brings far too many bytes


class Ending(Struct, frozen=True):
    """Why a connection is over. `code` and `notice` are the venue's own, where it gave them."""

    reason: str
    detail: str = ""
    planned: bool = False
    code: int = 0
    notice: str = ""


class Gear(NamedTuple):
    """What a line lends to its connections."""

    clock: Clock
    sleep: Callable[[float], Awaitable[object]]
    rest: Asker | None
    rest_base: str | None  # where the venue's REST is reached instead of its own address
    stats: LineStats
    liveness: Liveness
    heed: Callable[[Trade], None]  # hears of every trade, for what it betrays of the book
    skew: Callable[[int, Nanos], None]  # hears of delays, now and then
    first: Callable[[Pump, Observation], bool]  # an awaited source spoke; False: that word does not count
    put: Callable[[Any], object]
    log: Any


class Pump:
    """One connection of a line. `awaited` are the sources whose first word is told to the line."""

    def __init__(self, gear: Gear, session: Session) -> None:
        self.session, self.put = session, gear.put
        self.awaited = {feed.source for feed in session.feeds}
        self.tops: dict[int, BookTop] = {}  # the latest of each source, until somebody collects them
        self.facts_ns: Nanos = 0  # when it stated its first fact; 0: none yet
        self.notice = ""  # what the venue complained of before it stated anything
        self._gear, self._stats = gear, gear.stats
        self._receive, self._now_ns = session.receive, gear.clock.now_ns
        self._beats = {source: pulse.beat for source, pulse in gear.liveness.pulses[Channel.BOOK].items()}
        self._skew_ns: Nanos = 0
        self._ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._held = True  # until `serve` knows the socket, and again once the connection is over
        self._early: list[bytes] = []
        self._socket: socket.Socket
        self._requests: dict[Request, asyncio.Task[None]] = {}
        self._jobs: set[asyncio.Task[None]] = set()
        self._flow = Flow(session.frames_per_s_max, session.bytes_per_s_max)
        self._look_at = self._stats.frames + COOL_FRAMES  # the frame at which the rate is looked at
        self._hot = 0
        self._looked_ns, self._looked_bytes = self._now_ns(), self._stats.bytes
        self._late: bytes | None = None
        self._paused = False

    @property
    def ended(self) -> bool:
        """Whether the connection is over."""
        return self._ended.done()

    def on_frame(self, data: bytes) -> None:
        """Read a frame; nothing of a connection that is over counts."""
        if self._held:
            if not self._ended.done():
                self._early.append(data)
            return
        stats = self._stats
        recv_ns = self._now_ns()
        stats.frames = frames = stats.frames + 1
        stats.bytes += len(data)
        stats.last_frame_ns = recv_ns
        if frames >= self._look_at and not self._affords(data, recv_ns):
            return
        try:
            self._take(self._receive(data, recv_ns), recv_ns)
        except VenueError as error:
            self._refuse(error)
        except Exception as error:
            self._blame(error)

    def on_refused(self, reason: Refusal) -> None:
        """The socket refused a message."""
        self._refuse(VenueError(reason, "refused by the socket"))
        self.end(reason)

    def on_close(self, code: int, reason: str) -> None:
        """The socket is closed."""
        self.end("CLOSED", f"{code} {reason}".rstrip(), code=code, notice=reason)

    def end(self, reason: str, detail: str = "", *, planned: bool = False, code: int = 0, notice: str = "") -> None:
        """The connection is over, for the first reason that is given."""
        self._held = True  # what a broken session still says does not count
        if not self._ended.done():
            told = notice or ("" if self.facts_ns else self.notice)
            self._ended.set_result(Ending(reason, detail[:DETAIL_CHARS_MAX], planned, code, told[:DETAIL_CHARS_MAX]))

    async def serve(self, line: socket.Socket) -> Ending:
        """Run the connection until it ends."""
        self._socket = line
        early, self._early, self._held = self._early, [], self._ended.done()
        self._job(self._send_paced(lambda: self.session.greet(self._now_ns())))
        for data in early:
            self.on_frame(data)
        try:
            return await asyncio.shield(self._ended)
        finally:
            self._held = True
            tasks = [*self._jobs, *self._requests.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def ping(self, now_ns: Nanos) -> None:
        """Send what keeps the connection."""
        self._job(self._send_paced(lambda: self.session.idle(now_ns)))

    def resubscribe(self, symbols: Sequence[str]) -> None:
        """End and begin again the subscriptions of these symbols."""
        self._job(self._send_paced(lambda: self.session.resubscribe(symbols)))

    def _take(self, events: Sequence[Event], recv_ns: Nanos) -> None:
        for event in events:
            if type(event) is BookTop:
                source = event.source
                if source in self.awaited and not self._gear.first(self, event):
                    continue
                self._beats[source](recv_ns)
                self.tops[source] = event
            elif not self._other(event, recv_ns):
                continue
            if recv_ns >= self._skew_ns:
                self._compare(event, recv_ns)
            self._stats.observations += 1
            self.put(event)

    def _other(self, event: Any, recv_ns: Nanos) -> bool:
        """A fact that is no top of book, or a reply. False: there is nothing to put."""
        channel = CHANNELS.get(type(event))
        if channel is None:
            reply = isinstance(event, Send | Request)
            if reply:
                self._reply(event)
            return not reply
        liveness, source = self._gear.liveness, event.source
        liveness.pulses[channel][source].beat(recv_ns)
        if channel is Channel.TRADE:
            if (top := self.tops.pop(source, None)) is not None:
                self._gear.heed(top)  # type: ignore[arg-type]
            self._gear.heed(event)
        elif source in self.awaited and liveness.channel(source) is channel:
            return self._gear.first(self, event)
        return True

    def _compare(self, event: Any, recv_ns: Nanos) -> None:
        self.facts_ns = self.facts_ns or recv_ns
        self._skew_ns = recv_ns + UNTIMED_GAP_NS
        if not isinstance(event, Ticker) and event.venue_ns:
            self._skew_ns = recv_ns + SKEW_GAP_NS
            self._gear.skew(recv_ns - event.venue_ns, recv_ns)

    def _affords(self, data: bytes, recv_ns: Nanos) -> bool:
        """Whether a frame may be read now. One that may not is kept until it may, or until a newer one comes."""
        flow, session, stats = self._flow, self.session, self._stats
        if self._hot <= 0:
            elapsed_ns, came = recv_ns - self._looked_ns, stats.bytes - self._looked_bytes
            self._looked_ns, self._looked_bytes = recv_ns, stats.bytes
            near = elapsed_ns * session.frames_per_s_max < COOL_SHARE * COOL_FRAMES * NANOS_PER_S
            if not near and COOL_SHARE * came * NANOS_PER_S <= elapsed_ns * session.bytes_per_s_max:
                self._look_at = stats.frames + COOL_FRAMES
                return True
            self._hot = COOL_FRAMES
        self._hot -= 1
        if flow.admits(len(data), recv_ns):
            if self._late is not None:
                self._late = None
                self._lose()
            return True
        if self._late is None:
            self._job(self._read_late())
        else:
            self._lose()
        self._late = data
        if flow.dropped_bytes > session.bytes_per_s_max:
            flow.dropped_bytes = 0
            self._job(self._pause())
        return False

    def _lose(self) -> None:
        """A frame will never be read."""
        self._stats.dropped += 1
        if self.session.keeps_books:
            self.end("FLOODED", "frames of a book that is kept by changes were lost")

    async def _read_late(self) -> None:
        """Read the latest of the frames that were too many, when the budget allows."""
        while self._late is not None:
            await self._gear.sleep(max(self._flow.wait_ns(self._now_ns()) / NANOS_PER_S, 0.001))
            data, recv_ns = self._late, self._now_ns()
            if data is None or self._held:
                return
            if self._flow.wait_ns(recv_ns) == 0 and self._flow.admits(len(data), recv_ns):
                self._late = None
                self._read(partial(self._receive, data, recv_ns), recv_ns)

    async def _pause(self) -> None:
        """Let the venue's bytes wait in the network for a moment, where the socket can do that."""
        pause = getattr(self._socket, "pause", None)
        if pause is not None and not self._paused:
            self._paused = True
            pause()
            try:
                await self._gear.sleep(PAUSE_S)
            finally:
                self._paused = False
                self._socket.resume()  # type: ignore[attr-defined]

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
        try:
            body = await ask(self._gear.rest, request, self._gear.rest_base)
        except LineError as error:
            self.end("REST", str(error))
            return
        self._requests.pop(request, None)
        recv_ns = self._now_ns()
        self._read(partial(self.session.answer, request, body, recv_ns), recv_ns)

    def _read(self, events: Callable[[], Sequence[Event]], recv_ns: Nanos) -> None:
        try:
            self._take(events(), recv_ns)
        except VenueError as error:
            self._refuse(error)
        except Exception as error:
            self._blame(error)

    def _refuse(self, error: VenueError) -> None:
        first = not self._stats.refused[error.reason]
        self._stats.refused[error.reason] += 1
        self._stats.last_error = str(error)[:DETAIL_CHARS_MAX]
        if first:
            self._gear.log.warning("venue.refused", reason=str(error.reason), detail=error.detail[:DETAIL_CHARS_MAX])
        if error.reason in (Refusal.VENUE_ERROR, Refusal.OLD_DIALECT):
            self.notice = self.notice or error.detail
        if error.reason in BROKEN_BOOK:
            self.end(error.reason, error.detail)

    def _blame(self, error: Exception) -> None:
        """A venue file raised what it must not: its frame is lost and its state unknown, so it starts afresh."""
        self._stats.refused["INTERNAL"] += 1
        self._gear.log.error("venue.broken", exc_info=error)
        self.end("INTERNAL", f"{type(error).__name__}: {error}")

    def _job(self, work: Awaitable[None]) -> None:
        """Do something beside the frames; it ends with the connection."""
        task = asyncio.ensure_future(self._blamed(work))
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    async def _blamed(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:
            self._blame(error)

    async def _send_paced(self, messages: Callable[[], Sequence[Send]]) -> None:
        for place, message in enumerate(messages()):
            if place >= SENDS_AT_ONCE:
                await self._gear.sleep(SEND_GAP_S)
            self._send(message)
