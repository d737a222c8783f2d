"""How a line gets a connection: when it may dial, where, with which ticket, and what a failure means for the next.

A venue that says it is asked too often is left alone by all of its lines for as long as it wants, and no other of its
addresses is tried meanwhile. An endpoint that is no more is told once.
"""

from __future__ import annotations

import random as _random
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from msgspec import Struct

from oracle.clock import Clock
from oracle.collectors import socket
from oracle.collectors.asking import Asker, ask, rebased
from oracle.collectors.backoff import Backoff, DialBudget
from oracle.collectors.endpoints import Endpoint, Endpoints
from oracle.collectors.pump import Ending
from oracle.collectors.stats import LineStats
from oracle.core.types import NANOS_PER_S, Nanos
from oracle.errors import LineError, VenueError
from oracle.venues.base import Session

DIAL_TIMEOUT_S = 5.0
PAUSES_S = {"RATE_LIMITED": 30.0, "BANNED": 120.0}  # where the venue does not say how long
TELL_EVERY_NS = 60 * NANOS_PER_S  # a venue that cannot be dialled is logged at once, then this often, with a count


class Wire(Struct, frozen=True):
    """How bytes are carried. `rest_base` replaces the venue's own address for REST."""

    connect: Callable[..., Awaitable[socket.Socket]] = socket.connect
    library: str = "picows"
    proxy: str | None = None
    tls: ssl.SSLContext | None = None
    rest: Asker | None = None
    rest_base: str | None = None


class Dialler:
    """The dials of one line. `pause_s` is how long to wait before the next, after an ending or a failure."""

    def __init__(
        self,
        wire: Wire,
        budget: DialBudget,
        urls: Sequence[str | None],
        words: Sequence[str],
        *,
        clock: Clock,
        sleep: Callable[[float], Awaitable[object]],
        stats: LineStats,
        log: Any,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self.endpoints = Endpoints(urls, words)
        self.pause_s = 0.0
        self.asked_ns: Nanos = 0  # the venue wants to be left alone, by REST too, until then
        self._wire, self._budget, self._clock, self._sleep = wire, budget, clock, sleep
        self._stats, self._log, self._backoff = stats, log, Backoff(random)
        self._untold = 0
        self._told_ns: Nanos | None = None

    async def pause(self) -> None:
        """Wait as long as the last ending makes necessary."""
        pause_s, self.pause_s = self.pause_s, 0.0
        if pause_s:
            await self._sleep(pause_s)

    async def dial(self, session: Session, handler: socket.Handler) -> tuple[socket.Socket, Endpoint]:
        """A connection for the handler, and where it leads. Raises LineError once the failure has been counted."""
        for wait_ns in (self.endpoints.wait_ns, self._budget.reserve):
            if asked_ns := wait_ns(self._clock.now_ns()):
                await self._sleep(asked_ns / NANOS_PER_S)
        self._stats.dials += 1
        endpoint, wire = self.endpoints.best(self._clock.now_ns()), self._wire
        try:
            await self._admitted(session)
            connected = await wire.connect(
                rebased(session.url(), endpoint.url),
                handler,
                frame_bytes_max=session.frame_bytes_max,
                tls=wire.tls,
                timeout_s=DIAL_TIMEOUT_S,
                proxy=wire.proxy,
                library=wire.library,
            )
        except LineError as error:
            self._failed(endpoint, error)
            raise
        return connected, endpoint

    def over(self, endpoint: Endpoint, ending: Ending, stood_ns: int, fed_ns: int) -> bool:
        """A connection ended, which stood and brought facts so long. True when its endpoint proves to be no more."""
        self.pause_s = 0.0 if ending.planned else self._backoff.wait_s(fed_ns)
        if ending.planned:
            return False
        if self._retires(endpoint, ending.code, ending.notice, stood_ns):
            return True
        if not fed_ns:
            self.endpoints.failed(endpoint, self._clock.now_ns())
        return False

    async def _admitted(self, session: Session) -> None:
        ticket = session.ticket()
        if ticket is None:
            return
        body = await ask(self._wire.rest, ticket, self._wire.rest_base)
        try:
            session.admit(body)
        except VenueError as error:
            raise LineError("TICKET", str(error)) from error

    def _failed(self, endpoint: Endpoint, error: LineError) -> None:
        now_ns = self._clock.now_ns()
        self._untold += 1
        if self._told_ns is None or now_ns - self._told_ns >= TELL_EVERY_NS:
            self._log.warning("venue.dial_failed", reason=error.reason, detail=error.detail, failures=self._untold)
            self._untold, self._told_ns = 0, now_ns
        self._stats.note(error.reason, error.detail)
        self.pause_s = self._backoff.wait_s(0, error.retry_after_s)
        pause_s = PAUSES_S.get(error.reason)
        if pause_s is not None:
            until_ns = now_ns + int((error.retry_after_s or pause_s) * NANOS_PER_S)
            self._budget.hold(until_ns)
            self.asked_ns = until_ns if error.reason == "BANNED" else self.asked_ns
        elif not self._retires(endpoint, error.status, error.detail if error.status else "", 0):
            self.endpoints.failed(endpoint, now_ns)

    def _retires(self, endpoint: Endpoint, code: int, notice: str, stood_ns: int) -> bool:
        if not self.endpoints.closed(endpoint, code, notice, stood_ns, self._clock.now_ns()):
            return False
        self._stats.ended["ENDPOINT_RETIRED"] += 1
        self._log.error("venue.endpoint_retired", endpoint=endpoint.url or "its own", code=code, notice=notice)
        return True
