"""What the house asks over HTTP is bounded and verified; whoever answers otherwise is named."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import respx

from oracle.clock import ManualClock
from oracle.collectors.rest import Rest
from oracle.core.types import NANOS_PER_S
from oracle.errors import LineError

pytestmark = pytest.mark.anyio
URL = "https://venue.example/book"


class Sleeper:
    """Sleeping moves the clock."""

    def __init__(self) -> None:
        self.clock, self.slept = ManualClock(NANOS_PER_S), list[float]()

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(int(seconds * NANOS_PER_S))


@pytest.fixture
def sleeper() -> Sleeper:
    return Sleeper()


@pytest.fixture
async def rest(sleeper: Sleeper) -> AsyncIterator[Rest]:
    async with Rest(sleeper.clock, sleep=sleeper, rate_per_s=2.0, burst=3, body_bytes_max=100) as rest:
        yield rest


@respx.mock
async def test_a_body_comes_back_as_bytes_and_nothing_fancy_is_asked_for(rest: Rest) -> None:
    route = respx.get(URL).respond(200, content=b'{"bid": 1}')
    assert await rest.get(URL) == b'{"bid": 1}'
    request = route.calls.last.request
    assert request.headers["accept-encoding"] == "identity"
    assert "cookie" not in request.headers


@respx.mock
@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (204, "REFUSED"),
        (301, "REDIRECT"),
        (403, "BLOCKED"),
        (404, "REFUSED"),
        (418, "BANNED"),
        (429, "RATE_LIMITED"),
        (451, "BLOCKED"),
        (500, "UNAVAILABLE"),
        (503, "UNAVAILABLE"),
    ],
)
async def test_every_other_answer_is_named(rest: Rest, status: int, reason: str) -> None:
    respx.get(URL).respond(status, headers={"location": "https://elsewhere.example/"})
    with pytest.raises(LineError) as caught:
        await rest.get(URL)
    assert (caught.value.reason, caught.value.status) == (reason, status)


@respx.mock
@pytest.mark.parametrize("status", [429, 418, 503])
async def test_who_asks_for_time_is_left_alone_until_then(rest: Rest, sleeper: Sleeper, status: int) -> None:
    route = respx.get(URL).respond(status, headers={"retry-after": "20"})
    other = respx.get("https://other.example/").respond(200, content=b"{}")
    with pytest.raises(LineError) as caught:
        await rest.get(URL)
    assert caught.value.retry_after_s == 20.0
    with pytest.raises(LineError, match="asked to wait") as caught:
        await rest.get(URL)
    assert caught.value.retry_after_s == pytest.approx(20.0)
    assert route.call_count == 1
    assert await rest.get("https://other.example/") == b"{}"
    assert other.called
    sleeper.clock.advance(20 * NANOS_PER_S)
    route.respond(200, content=b"ok")
    assert await rest.get(URL) == b"ok"


@respx.mock
async def test_a_429_without_a_time_still_makes_a_pause(rest: Rest, sleeper: Sleeper) -> None:
    respx.get(URL).respond(429)
    for _ in range(2):
        with pytest.raises(LineError, match="RATE_LIMITED"):
            await rest.get(URL)
    assert respx.calls.call_count == 1


@respx.mock
async def test_a_body_beyond_the_bound_is_refused_whether_it_is_declared_or_not(rest: Rest) -> None:
    async def drip() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"x" * 10

    respx.get(URL).respond(200, content=b"x" * 101)
    with pytest.raises(LineError, match="TOO_LARGE: 101 bytes"):
        await rest.get(URL)
    respx.get(URL).mock(return_value=httpx.Response(200, stream=_Stream(drip())))
    with pytest.raises(LineError, match="TOO_LARGE: more than 100"):
        await rest.get(URL)
    respx.get(URL).respond(200, content=b"x" * 101)
    assert len(await rest.get(URL, body_bytes_max=101)) == 101


class _Stream(httpx.AsyncByteStream):
    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._chunks:
            yield chunk


@respx.mock
async def test_an_encoding_nobody_asked_for_is_refused(rest: Rest) -> None:
    respx.get(URL).respond(200, headers={"content-encoding": "gzip"}, content=b"\x1f\x8b")
    with pytest.raises(LineError, match="encoding"):
        await rest.get(URL)


@respx.mock
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (httpx.ReadTimeout("slow"), "TIMEOUT"),
        (httpx.ConnectError("no route"), "UNREACHABLE"),
        (OSError(), "UNREACHABLE"),
    ],
)
async def test_who_does_not_answer_is_named(rest: Rest, error: Exception, reason: str) -> None:
    respx.get(URL).mock(side_effect=error)
    with pytest.raises(LineError, match=reason):
        await rest.get(URL)


async def test_an_address_that_is_none_is_named(rest: Rest) -> None:
    with pytest.raises(LineError, match="UNREACHABLE"):
        await rest.get("https://[nowhere/")


@respx.mock
async def test_the_budget_paces_a_host_and_refuses_a_crowd(rest: Rest, sleeper: Sleeper) -> None:
    respx.get(URL).respond(200, content=b"{}")
    for _ in range(5):
        await rest.get(URL)
    assert sleeper.slept == pytest.approx([0.5, 0.5])
    sleeper.slept.clear()

    async def stuck(_: float) -> None:
        await asyncio.Event().wait()

    rest._sleep = stuck
    waiting = [asyncio.ensure_future(rest.get(URL)) for _ in range(60)]
    await asyncio.sleep(0)
    with pytest.raises(LineError, match="BUDGET"):
        await rest.get(URL)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_the_number_of_hosts_is_bounded(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oracle.collectors.rest.HOSTS_MAX", 0)
    with pytest.raises(LineError, match="BUDGET"):
        await rest.get(URL)


@respx.mock
async def test_a_post_carries_its_headers_and_content(rest: Rest) -> None:
    route = respx.post(URL).respond(400, json={"code": 7}, headers={"X-Limit": "3"})
    answer = await rest.fetch("POST", URL, headers={"X-A": "1", "Accept-Encoding": "gzip"}, content=b"{}")
    assert (answer.status, answer.body, answer.headers["x-limit"]) == (400, b'{"code":7}', "3")
    assert answer.reason == "Bad Request"
    request = route.calls.last.request
    assert (request.headers["x-a"], request.headers["accept-encoding"], request.content) == ("1", "identity", b"{}")


async def test_a_slow_drip_is_cut_off() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n")
        await reader.read()
        writer.close()
        await writer.wait_closed()
        over.set()

    over = asyncio.Event()
    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with server:
        async with Rest(ManualClock(), timeout_s=0.05) as rest:
            with pytest.raises(LineError, match="TIMEOUT"):
                await rest.get(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        await over.wait()
