"""A venue is tried over a real socket, and what fails is said with what to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from oracle.clock import SystemClock
from oracle.commands.probe import Finding, Probe, tried
from oracle.core.types import NANOS_PER_S, BookTop
from oracle.simulator.venue import VenueServer
from oracle.venues import base

pytestmark = pytest.mark.anyio
FEEDS = (base.Feed(0, "BTC/USD"),)


@pytest.fixture
async def kraken() -> AsyncIterator[VenueServer]:
    async with VenueServer("kraken", {"spot": FEEDS}, SystemClock().now_ns) as server:
        yield server


def probe(server: Any, **more: Any) -> Probe:
    return Probe("kraken", more.pop("market", "spot"), FEEDS, getattr(server, "url", server), **more)


async def tell(server: VenueServer, clock: SystemClock, late_ns: int = 0) -> None:
    """State a price again and again, until nobody listens any more."""
    while True:
        server.say(BookTop(0, 100.0, 1.0, 101.0, 1.0, clock.now_ns() - late_ns, 0))
        await asyncio.sleep(0.02)


async def with_prices(server: VenueServer, late_ns: int = 0, **more: Any) -> Finding:
    clock = SystemClock()
    telling = asyncio.create_task(tell(server, clock, late_ns))
    try:
        return await tried(probe(server, **more), clock, 5.0)
    finally:
        telling.cancel()


@pytest.mark.parametrize("library", ["picows", "websockets", "aiohttp"])
async def test_a_venue_that_speaks_is_well(kraken: VenueServer, library: str) -> None:
    found = await with_prices(kraken, library=library)
    assert found.what == "kraken"
    assert ": 100 / 101, event age" in found.found
    assert found.todo == ""


async def test_an_event_from_another_time_asks_for_the_clock(kraken: VenueServer) -> None:
    found = await with_prices(kraken, late_ns=5 * NANOS_PER_S)
    assert found.todo == "check this machine's clock, then the line"


async def test_a_venue_that_says_no_price_is_named(kraken: VenueServer) -> None:
    found = await tried(probe(kraken), SystemClock(), 0.2)
    assert "no price within 0.2 s" in found.found
    assert found.todo.startswith("check the symbols")


async def test_a_name_that_nobody_has() -> None:
    found = await tried(probe("wss://no-such-host.invalid"), SystemClock(), 0.2)
    assert found == Finding("kraken", found.found, "check the resolver and the network")
    assert found.found.startswith("no address for no-such-host.invalid")


async def test_a_line_that_is_refused() -> None:
    found = await tried(probe("ws://127.0.0.1:1"), SystemClock(), 0.5)
    assert "no line to 127.0.0.1: UNREACHABLE" in found.found
    assert found.todo == "check the network, then the venue's status page"


async def served(handler: Any) -> tuple[web.AppRunner, str]:
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"ws://127.0.0.1:{runner.addresses[0][1]}"


async def test_a_venue_that_refuses_this_place() -> None:
    async def forbidden(_: web.Request) -> web.Response:
        return web.Response(status=403)

    runner, url = await served(forbidden)
    found = await tried(probe(url), SystemClock(), 2.0)
    await runner.cleanup()
    assert "BLOCKED" in found.found
    assert "ORACLE_VENUES__KRAKEN__ENABLED=false" in found.todo


async def test_a_venue_that_hangs_up_and_speaks_rubbish() -> None:
    async def rubbish(request: web.Request) -> web.WebSocketResponse:
        line = web.WebSocketResponse()
        await line.prepare(request)
        await line.send_str("{rubbish")
        await line.close(code=1008, message=b"go away")
        return line

    runner, url = await served(rubbish)
    found = await tried(probe(url), SystemClock(), 2.0)
    await runner.cleanup()
    assert "the venue closed the line (1008 go away); refused: NOT_JSON" in found.found


class Asking(base.Session):
    """Knows its book from an answer only."""

    venue = "asking"

    def url(self) -> str:
        return "wss://asking.example/ws?a=1"

    def open(self) -> list[base.Send]:
        return [base.Send("hello")]

    def receive(self, data: bytes, recv_ns: int) -> list[base.Event]:
        if data == b"hello":
            return [base.Send("more"), base.Request("https://asking.example/book", "X")]
        return []

    def answer(self, request: base.Request, body: bytes, recv_ns: int) -> list[base.Event]:
        if body != b"book":
            return super().answer(request, body, recv_ns)
        return [BookTop(0, 1.0, 1.0, 2.0, 1.0, 0, recv_ns)]


@pytest.mark.parametrize(("body", "said"), [("book", ": 1 / 2"), ("rubbish", "asks for nothing over REST")])
async def test_what_a_session_asks_for_is_asked(monkeypatch: pytest.MonkeyPatch, body: str, said: str) -> None:
    async def venue(request: web.Request) -> web.StreamResponse:
        if request.path == "/book":
            return web.Response(text=body)
        line = web.WebSocketResponse()
        await line.prepare(request)
        async for message in line:
            await line.send_str(message.data)
        return line

    monkeypatch.setattr(base, "load", lambda name: (Asking, base.Mimic))
    runner, url = await served(venue)
    found = await tried(probe(url, market="linear"), SystemClock(), 0.3)
    await runner.cleanup()
    assert found.what == "kraken/linear"
    assert said in found.found


async def test_an_answer_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    async def venue(request: web.Request) -> web.StreamResponse:
        if request.path == "/book":
            assert request.transport
            request.transport.abort()
            return web.Response()
        line = web.WebSocketResponse()
        await line.prepare(request)
        async for message in line:
            await line.send_str(message.data)
        return line

    monkeypatch.setattr(base, "load", lambda name: (Asking, base.Mimic))
    runner, url = await served(venue)
    found = await tried(probe(url), SystemClock(), 2.0)
    await runner.cleanup()
    assert "a REST answer failed" in found.found
