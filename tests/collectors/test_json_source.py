"""A declared feed is read strictly, scaled once and believed within its range, over HTTP and over a WebSocket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
import respx
import websockets.asyncio.server as ws
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from oracle.clock import SystemClock
from oracle.collectors.json_source import OLD_NS_MAX, Declared, JsonPoller, session_type
from oracle.collectors.line import Line
from oracle.collectors.rest import Rest
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Link, Observation, Ticker, TickerKind
from oracle.errors import VenueError
from oracle.venues.base import Feed
from tests.collectors.conftest import Asking

NOW_NS = 1_795_190_400 * NANOS_PER_S
NOW_MS = NOW_NS // NANOS_PER_MS
URL = "https://rates.example/latest"
HKD, GOLD = Feed(0, "USD/HKD"), Feed(1, "XAU/USD")
DESK = Declared(name="desk", url=URL, path="mid.{symbol}", time_path="at", rate_min=0.1, rate_max=10_000.0)


def body(at: object = NOW_MS, **mid: object) -> bytes:
    return json.dumps({"mid": {name.replace("_", "/"): rate for name, rate in mid.items()}, "at": at}).encode()


def refusal(declared: Declared, said: bytes, feed: Feed = HKD) -> str:
    with pytest.raises(VenueError) as error:
        declared.read(feed, said, NOW_NS)
    return str(error.value.reason)


@pytest.mark.parametrize("rate", [7.7865, "7.7865"])
def test_a_rate_and_its_time_are_found_as_number_or_text(rate: object) -> None:
    assert DESK.read(HKD, body(USD_HKD=rate), NOW_NS) == (7.7865, NOW_NS)


@pytest.mark.parametrize(
    ("unit", "at", "at_ns"),
    [
        ("s", NOW_NS // NANOS_PER_S, NOW_NS),
        ("ms", str(NOW_MS), NOW_NS),
        ("us", NOW_NS // 1_000 - 1, NOW_NS - 1_000),
        ("ns", NOW_NS - 1, NOW_NS - 1),
        ("rfc3339", "2026-11-20T15:59:59.5Z", NOW_NS - NANOS_PER_S // 2),
    ],
)
def test_its_time_is_in_the_unit_that_was_declared(unit: str, at: object, at_ns: int) -> None:
    declared = Declared(name="d", url=URL, path="mid.{symbol}", time_path="at", time_unit=unit)
    assert declared.read(HKD, body(at, USD_HKD=7.8), NOW_NS) == (7.8, at_ns)


def test_the_scale_is_applied_in_decimals_and_rounded_once() -> None:
    grams = Declared(name="d", url=URL, path="p", scale=31.1034768, rate_max=1e6)
    assert pytest.approx(4096.32789456, rel=1e-12) == 131.7 * 31.1034768
    assert grams.read(GOLD, b'{"p": 131.7}', NOW_NS) == (4096.32789456, 0)
    cents = Declared(name="d", url=URL, path="p", scale=0.01)
    assert cents.read(HKD, b'{"p": 779}', NOW_NS) == (7.79, 0)


def test_an_address_and_a_path_are_filled_with_the_sources_own_words() -> None:
    declared = Declared(
        name="d", url=URL + "/{base}?to={quote}&pair={symbol}", path="{quote}.0", symbol="{quote}{base}"
    )
    assert declared.address("XAU/USD") == f"{URL}/XAU?to=USD&pair=USDXAU"
    assert declared.read(GOLD, b'{"USD": [4000.5]}', NOW_NS)[0] == 4000.5
    assert DESK.address("A/B") == URL
    assert Declared(name="d", url="https://h/{symbol}", path="p").address("A/B") == "https://h/A%2FB"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"", "NOT_JSON"),
        (b"[]", "WRONG_SHAPE"),
        (b"\xff", "NOT_UTF8"),
        (b"[" * 5_000, "TOO_DEEP"),
        (body(), "WRONG_SHAPE"),
        (body(XAU_USD=4_000), "WRONG_SHAPE"),
        (body(USD_HKD=None), "WRONG_SHAPE"),
        (body(USD_HKD=True), "WRONG_SHAPE"),
        (body(USD_HKD="7_8"), "WRONG_SHAPE"),
        (b'{"mid": {"USD/HKD": NaN}, "at": 1}', "NOT_JSON"),
        (b'{"mid": {"USD/HKD": 7.8, "USD/HKD": 7.9}, "at": 1795190400000}', "DUPLICATE_KEY"),
        (body(USD_HKD=0), "NOT_POSITIVE"),
        (body(USD_HKD=-7.8), "NOT_POSITIVE"),
        (body(USD_HKD=0.09), "OUT_OF_RANGE"),
        (body(USD_HKD=10_001), "OUT_OF_RANGE"),
        (body(NOW_MS // 1_000, USD_HKD=7.8), "TIME_UNIT"),
        (body(NOW_MS * 1_000, USD_HKD=7.8), "TIME_UNIT"),
        (body(NOW_MS + 61_000, USD_HKD=7.8), "TIME_UNIT"),
        (body(NOW_MS - OLD_NS_MAX // NANOS_PER_MS - 1, USD_HKD=7.8), "TIME_UNIT"),
        (body("soon", USD_HKD=7.8), "TIME_UNIT"),
        (body(0, USD_HKD=7.8), "TIME_UNIT"),
    ],
)
def test_what_cannot_be_a_rate_is_refused_by_name(said: bytes, reason: str) -> None:
    assert refusal(DESK, said) == reason


def test_the_rate_of_another_symbol_is_refused() -> None:
    named = Declared(name="d", url=URL, path="mid", symbol_path="pair", symbol="{base}{quote}")
    assert named.read(HKD, b'{"pair": "USDHKD", "mid": 7.8}', NOW_NS) == (7.8, 0)
    assert refusal(named, b'{"pair": "USDHKD", "mid": 7.8}', GOLD) == "UNKNOWN_SYMBOL"


def test_a_rate_of_last_friday_is_one_on_monday() -> None:
    assert DESK.read(HKD, body(NOW_MS - 3 * 86_400_000, USD_HKD=7.8), NOW_NS)[0] == 7.8


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("mid", "at", "USD/HKD", "x")), inner),
    max_leaves=8,
)


@given(JSON | st.binary(max_size=40))
def test_whatever_is_said_the_answer_is_a_rate_or_a_refusal(said: Any) -> None:
    with suppress(VenueError):
        rate, _ = DESK.read(HKD, said if isinstance(said, bytes) else json.dumps(said).encode(), NOW_NS)
        assert 0.1 <= rate <= 10_000.0


class Bench(Asking):
    """A poller with its world replaced."""

    def __init__(self, declared: Declared = DESK) -> None:
        super().__init__(NOW_NS)
        self.poller = JsonPoller(declared, (HKD, GOLD), **self.tools)

    def rates(self) -> list[tuple[int, float]]:
        return [(fact.source, fact.price) for fact in self.tickers()]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with Bench() as made:
        yield made


@pytest.mark.anyio
@respx.mock
async def test_one_answer_serves_every_source_and_only_news_is_told(bench: Bench) -> None:
    route = respx.get(URL).respond(content=body(USD_HKD=7.8, XAU_USD=4_000))
    assert await bench.poller.look() == 5.0
    assert bench.seen[:2] == [Link(0, True, "", NOW_NS), Ticker(0, TickerKind.REFERENCE, 7.8, NOW_NS, NOW_NS)]
    await bench.poller.look()
    assert bench.rates() == [(0, 7.8), (1, 4_000.0)]
    assert route.call_count == 2
    bench.clock.advance(NANOS_PER_S)
    route.respond(content=body(NOW_MS + 1_000, USD_HKD=7.8, XAU_USD=0))
    await bench.poller.look()
    assert bench.rates()[2:] == [(0, 7.8)]
    assert bench.poller.stats.refused == {"NOT_POSITIVE": 1}
    assert bench.poller.stats.connected_since_ns == NOW_NS


@pytest.mark.anyio
@respx.mock
async def test_a_rate_without_a_time_is_as_old_as_its_answer() -> None:
    timeless = Bench(Declared(name="d", url=URL, path="mid.{symbol}"))
    respx.get(URL).respond(content=body(USD_HKD=7.8, XAU_USD=4_000))
    for _ in range(2):
        await timeless.poller.look()
        timeless.clock.advance(NANOS_PER_S)
    said = [(fact.venue_ns, fact.recv_ns) for fact in timeless.seen if isinstance(fact, Ticker) and fact.source == 0]
    assert said == [(0, NOW_NS), (0, NOW_NS + NANOS_PER_S)]
    await timeless.rest.aclose()


@pytest.mark.anyio
@respx.mock
async def test_one_address_does_not_cost_the_other() -> None:
    two = Bench(Declared(name="d", url=URL + "/{base}", path="p"))
    respx.get(f"{URL}/USD").mock(side_effect=httpx.ConnectError("no route"))
    gold = respx.get(f"{URL}/XAU").respond(json={"p": 4_000})
    assert await two.poller.look() == 1.0 + 0.5
    assert two.rates() == [(1, 4_000.0)]
    gold.respond(503)
    assert await two.poller.look() == 1.0 + 1.0
    gold.respond(content=b"{}")
    assert await two.poller.look() == 1.0 + 2.0
    assert two.poller.stats.ended == {"UNREACHABLE": 3, "UNAVAILABLE": 1}
    assert two.poller.stats.refused == {"WRONG_SHAPE": 1}
    assert two.poller.stats.connected_since_ns == 0
    assert [fact.up for fact in two.seen if isinstance(fact, Link)] == [True]
    await two.rest.aclose()


@pytest.mark.anyio
async def test_over_a_real_socket_with_a_secret_header() -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.headers.get("X-Api-Key") != "secret":
            return web.Response(status=403)
        return web.Response(body=body(clock.now_ns() // NANOS_PER_MS, USD_HKD=7.8, XAU_USD=4_000))

    app = web.Application()
    app.router.add_get("/latest", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/latest"
    clock, seen = SystemClock(), list[Observation]()
    async with Rest(clock) as rest:
        for headers in ({"X-Api-Key": "secret"}, {}):
            declared = Declared(name="d", url=url, path="mid.{symbol}", time_path="at", headers=headers)
            poller = JsonPoller(declared, (HKD,), put=seen.append, clock=clock, rest=rest)
            await poller.look()
    assert poller.stats.ended == {"BLOCKED": 1}
    assert [fact.price for fact in seen if isinstance(fact, Ticker)] == [7.8]
    await runner.cleanup()


STREAM = Declared(
    name="stream",
    url="ws://stream.example/v1",
    path="mid",
    symbol_path="pair",
    subscribe='{"op": "subscribe"}',
    rate_max=10_000.0,
)


def test_a_frame_is_about_one_of_the_symbols_or_refused() -> None:
    session = session_type(STREAM)([HKD, GOLD])
    assert session.venue == "feed.stream"
    assert [send.data for send in session.open()] == ['{"op": "subscribe"}']
    assert session.receive(b'{"pair": "XAU/USD", "mid": "4000.5"}', NOW_NS) == [
        Ticker(1, TickerKind.REFERENCE, 4000.5, 0, NOW_NS)
    ]
    for said, reason in (
        (b'{"pair": "EUR/USD", "mid": 1.1}', "UNKNOWN_SYMBOL"),
        (b'{"op": "subscribed"}', "WRONG_SHAPE"),
        (b'{"pair": "USD/HKD", "mid": 70000}', "OUT_OF_RANGE"),
        (b"pong", "NOT_JSON"),
    ):
        with pytest.raises(VenueError) as error:
            session.receive(said, NOW_NS)
        assert error.value.reason == reason
    assert not session_type(DESK)([HKD]).open()


@pytest.mark.anyio
async def test_a_stream_is_dialled_read_and_counted_by_a_line() -> None:
    heard, enough = list[str](), asyncio.Event()

    async def speak(connection: ws.ServerConnection) -> None:
        heard.append(str(await connection.recv()))
        for said in ('{"op": "subscribed"}', '{"pair": "USD/HKD", "mid": 7.8}', '{"pair": "XAU/USD", "mid": 4000}'):
            await connection.send(said)
        await connection.wait_closed()

    def put(fact: Observation) -> None:
        seen.append(fact)
        if len([one for one in seen if isinstance(one, Ticker)]) == 2:
            enough.set()

    seen: list[Observation] = []
    async with ws.serve(speak, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        line = Line(session_type(STREAM), [HKD, GOLD], put=put, clock=SystemClock(), endpoint=f"ws://127.0.0.1:{port}")
        going_on = asyncio.create_task(line.run())
        async with asyncio.timeout(10):
            await enough.wait()
        going_on.cancel()
        await asyncio.gather(going_on, return_exceptions=True)
    assert heard == ['{"op": "subscribe"}']
    assert [(fact.source, fact.price) for fact in seen if isinstance(fact, Ticker)] == [(0, 7.8), (1, 4_000.0)]
    assert line.stats.refused == {"WRONG_SHAPE": 1}
    assert line.stats.venue == "feed.stream"
