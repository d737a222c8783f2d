"""How a venue is tried: its name, its line, its first price, each timed, with what to do about what fails."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

import httpx
from msgspec import Struct

from oracle.clock import Clock
from oracle.collectors.asking import rebased
from oracle.collectors.socket import connect
from oracle.core.types import NANOS_PER_MS, BookTop, Trade
from oracle.errors import LineError, Refusal, VenueError
from oracle.venues import base

EVENT_AGE_MS_MAX = 2_000  # an older first event: the line is slow, or one of the two clocks is wrong
LOST = 1006

# What to do about a LineError, by its reason.
_WAY_OUT = {
    "TIMEOUT": "let outgoing TCP 443 through",
    "TLS": "install the system's root certificates (ca-certificates), and check the clock",
    "UNREACHABLE": "check the network, then the venue's status page",
    "RATE_LIMITED": "wait, and dial less often from this address",
    "BANNED": "wait: the venue has banned this address for a while",
    "BLOCKED": "the venue refuses this place: run elsewhere, or set ORACLE_VENUES__{VENUE}__ENABLED=false",
}


class Finding(Struct, frozen=True):
    """One row of the table. `todo` empty: nothing."""

    what: str
    found: str
    todo: str = ""


class Probe(Struct, frozen=True):
    """A venue to try: its feeds on one market, and another address where one is configured."""

    venue: str
    market: str
    feeds: Sequence[base.Feed]
    endpoint: str | None = None
    proxy: str | None = None
    library: str = "picows"


async def tried(probe: Probe, clock: Clock, timeout_s: float) -> Finding:
    """What came of dialling a venue and waiting for its first price."""
    what = probe.venue if probe.market == "spot" else f"{probe.venue}/{probe.market}"
    session = base.load(probe.venue)[0](list(probe.feeds), probe.market)
    url = rebased(session.url(), probe.endpoint)
    parts = urlsplit(url)
    started_ns = clock.now_ns()
    try:
        port = parts.port or (443 if parts.scheme == "wss" else 80)
        await asyncio.get_running_loop().getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return Finding(what, f"no address for {parts.hostname}: {error.strerror}", "check the resolver and the network")
    named_ns = clock.now_ns()
    listener = _Listener(session, clock)
    try:
        line = await connect(
            url,
            listener,
            frame_bytes_max=session.frame_bytes_max,
            timeout_s=timeout_s,
            proxy=probe.proxy,
            library=probe.library,
        )
    except LineError as error:
        way_out = _WAY_OUT.get(error.reason, "see the venue's status page").format(VENUE=probe.venue.upper())
        return Finding(what, f"no line to {parts.hostname}: {error}", way_out)
    connected_ns = clock.now_ns()
    try:
        await _first_price(listener, session, line.send, probe, timeout_s)
    finally:
        await line.close()
    timed = f"name {_ms(named_ns - started_ns)}, line {_ms(connected_ns - named_ns)}"
    return _judged(what, timed, connected_ns, listener)


class _Listener:
    """Reads frames until the first price."""

    def __init__(self, session: base.Session, clock: Clock) -> None:
        self._session, self._clock = session, clock
        self.price: BookTop | None = None
        self.price_ns = self.event_ns = self.event_recv_ns = 0
        self.requests: list[base.Request] = []
        self.sends: list[base.Send] = []
        self.refusals: list[str] = []
        self.ended = ""
        self.changed = asyncio.Event()

    def on_frame(self, data: bytes) -> None:
        recv_ns = self._clock.now_ns()
        try:
            self.take(self._session.receive(data, recv_ns), recv_ns)
        except VenueError as error:
            self.refusals.append(str(error))

    def take(self, events: Sequence[base.Event], recv_ns: int) -> None:
        """Remember the first price, the first event time, and what the session wants sent or asked."""
        for event in events:
            if isinstance(event, base.Request):
                self.requests.append(event)
            elif isinstance(event, base.Send):
                self.sends.append(event)
            elif isinstance(event, BookTop | Trade):
                if event.venue_ns and not self.event_ns:
                    self.event_ns, self.event_recv_ns = event.venue_ns, recv_ns
                if isinstance(event, BookTop) and event.bid and event.ask and not self.price:
                    self.price, self.price_ns = event, recv_ns
        self.changed.set()

    def on_refused(self, reason: Refusal) -> None:
        self.refusals.append(str(reason))

    def on_close(self, code: int, reason: str) -> None:
        self.ended = self.ended or f"the venue closed the line ({code or LOST} {reason})".replace(" )", ")")
        self.changed.set()


async def _first_price(
    listener: _Listener, session: base.Session, send: object, probe: Probe, timeout_s: float
) -> None:
    assert callable(send)
    for opening in session.open():
        send(opening.data)
    try:
        async with asyncio.timeout(timeout_s), httpx.AsyncClient(timeout=timeout_s) as rest:
            while not listener.price and not listener.ended:
                await listener.changed.wait()
                listener.changed.clear()
                while listener.sends:
                    send(listener.sends.pop(0).data)
                while listener.requests:
                    await _answer(listener, session, listener.requests.pop(0), rest, probe)
    except TimeoutError:
        listener.ended = f"no price within {timeout_s:g} s"
    except httpx.HTTPError as error:
        listener.ended = f"a REST answer failed: {type(error).__name__} {error}"


async def _answer(
    listener: _Listener, session: base.Session, request: base.Request, rest: httpx.AsyncClient, probe: Probe
) -> None:
    response = await rest.get(rebased(request.url, probe.endpoint))
    recv_ns = listener._clock.now_ns()
    try:
        listener.take(session.answer(request, response.content, recv_ns), recv_ns)
    except VenueError as error:
        listener.refusals.append(str(error))


def _judged(what: str, timed: str, connected_ns: int, listener: _Listener) -> Finding:
    if not listener.price:
        refused = f"; refused: {listener.refusals[0]}" if listener.refusals else ""
        return Finding(what, f"{timed}, {listener.ended}{refused}", "check the symbols, then the venue's status page")
    top = listener.price
    found = f"{timed}, first price {_ms(listener.price_ns - connected_ns)}: {top.bid:.12g} / {top.ask:.12g}"
    if not listener.event_ns:
        return Finding(what, found)
    age_ms = (listener.event_recv_ns - listener.event_ns) / NANOS_PER_MS
    todo = "" if abs(age_ms) <= EVENT_AGE_MS_MAX else "check this machine's clock, then the line"
    return Finding(what, f"{found}, event age {age_ms:.0f} ms", todo)


def _ms(nanos: int) -> str:
    return f"{nanos / NANOS_PER_MS:.0f} ms"
