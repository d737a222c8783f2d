"""What the house asks over HTTP is bounded and verified; whoever answers otherwise is named."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import format_datetime

import httpx
import pytest
import respx

from oracle.clock import ManualClock
from oracle.collectors.rest import PAUSE_S, Rest
from oracle.collectors.socket import RETRY_AFTER_S_MAX
from oracle.core.types import NANOS_PER_S, BookTop
from oracle.errors import LineError, VenueError
from oracle.venues import base, kraken

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
@pytest.mark.parametrize("status", [429, 418, 503])
async def test_a_date_is_as_good_as_seconds(rest: Rest, sleeper: Sleeper, status: int) -> None:
    """RFC 9110 lets Retry-After be a date; a fraction of a second is rounded up."""
    sleeper.clock.advance(1_790_000_000 * NANOS_PER_S - NANOS_PER_S // 2 - sleeper.clock.now_ns())
    date = format_datetime(datetime.fromtimestamp(1_790_000_019, UTC), usegmt=True)
    route = respx.get(URL).respond(status, headers={"retry-after": date})
    with pytest.raises(LineError) as caught:
        await rest.get(URL)
    assert (caught.value.status, caught.value.retry_after_s) == (status, 20.0)
    sleeper.clock.advance(19 * NANOS_PER_S)
    with pytest.raises(LineError, match="asked to wait"):
        await rest.get(URL)
    sleeper.clock.advance(NANOS_PER_S)
    route.respond(200, content=b"ok")
    assert await rest.get(URL) == b"ok"


@respx.mock
@pytest.mark.parametrize(
    "said",
    [
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Thu, 01 Jan 1970 00:00:00",
        "Fri, 31 Nov 2026 10:00:00 GMT",
        "Fri, 21 Nov 2026 10:00:00 +99999999999999",
        "soon",
        "-5",
        "1e9",
        "",
    ],
)
async def test_a_time_that_is_past_or_none_is_no_time(rest: Rest, sleeper: Sleeper, said: str) -> None:
    respx.get(URL).respond(503, headers={"retry-after": said})
    for _ in range(2):
        with pytest.raises(LineError, match="UNAVAILABLE") as caught:
            await rest.get(URL)
        assert caught.value.retry_after_s == 0.0
    respx.get(URL).respond(429, headers={"retry-after": said})
    with pytest.raises(LineError, match="RATE_LIMITED"):
        await rest.get(URL)
    sleeper.clock.advance(int(PAUSE_S - 1) * NANOS_PER_S)
    with pytest.raises(LineError, match="asked to wait"):
        await rest.get(URL)


@respx.mock
async def test_nobody_is_made_to_wait_for_ever(rest: Rest, sleeper: Sleeper) -> None:
    respx.get(URL).respond(429, headers={"retry-after": "999999999999"})
    with pytest.raises(LineError) as caught:
        await rest.get(URL)
    assert 0.0 < caught.value.retry_after_s <= RETRY_AFTER_S_MAX


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
        (httpx.ConnectTimeout("slow"), "TIMEOUT"),
        (httpx.PoolTimeout("crowded"), "TIMEOUT"),
        (httpx.RemoteProtocolError("half an answer"), "UNREACHABLE"),
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


@respx.mock
async def test_what_a_session_wants_answered_is_asked_as_it_says(rest: Rest) -> None:
    """A top over GET, a ticket over an empty POST, a question in JSON."""
    got = respx.get(URL).respond(200, content=b"got")
    posted = respx.post(URL).respond(200, content=b"posted")
    assert await rest.ask(base.Request(URL, "BTC-USD")) == b"got"
    assert "content-type" not in got.calls.last.request.headers
    assert await rest.ask(base.Request(URL, "", "POST")) == b"posted"
    ticket = posted.calls.last.request
    assert (ticket.content, ticket.headers["content-length"]) == (b"", "0")
    assert await rest.ask(base.Request(URL, "BTC", "POST", '{"coin":"BTC"}')) == b"posted"
    question = posted.calls.last.request
    assert (question.content, question.headers["content-type"]) == (b'{"coin":"BTC"}', "application/json")


@respx.mock
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("status", "reason"),
    [(302, "REDIRECT"), (400, "REFUSED"), (401, "REFUSED"), (403, "BLOCKED"), (451, "BLOCKED"), (502, "UNAVAILABLE")],
)
async def test_an_answer_that_is_none_says_why_and_is_not_followed(
    rest: Rest, method: str, status: int, reason: str
) -> None:
    elsewhere = respx.route(host="elsewhere.example").respond(200)
    headers = {"location": "https://elsewhere.example/"}
    respx.route(method=method, url=URL).respond(status, headers=headers, text="because")
    with pytest.raises(LineError, match=f"{reason}: HTTP {status}") as caught:
        await rest.ask(base.Request(URL, "", method))
    assert ("because" in caught.value.detail) == (status != 302)
    assert not elsewhere.called


@respx.mock
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html><body>Just a moment...</body></html>", "NOT_JSON"),
        (b"", "NOT_JSON"),
        (b'{"error":[],"result":{"XXBTZUSD":{"asks":[["2"', "NOT_JSON"),
        (b'{"error":["EGeneral:Too many requests"]}', "VENUE_ERROR"),
    ],
)
async def test_a_200_that_is_no_answer_is_the_sessions_to_refuse(rest: Rest, body: bytes, reason: str) -> None:
    session = kraken.Session([base.Feed(1, "BTC/USD")])
    asked = session.poll("BTC/USD")
    assert asked is not None
    route = respx.get(asked.url).respond(200, content=body, headers={"content-type": "text/html"})
    with pytest.raises(VenueError, match=reason):
        session.polled(asked, await rest.ask(asked), NANOS_PER_S)
    route.respond(200, content=b'{"error":[],"result":{"XXBTZUSD":{"asks":[["2","1",0]],"bids":[["1","1",0]]}}}')
    assert session.polled(asked, await rest.ask(asked), 7) == [BookTop(1, 1.0, 1.0, 2.0, 1.0, 0, 7)]


@pytest.mark.parametrize(
    "answer",
    [
        b'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"bid":',
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{"bid":',
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"no HTTP at all\r\n\r\n",
        b"",
    ],
)
async def test_an_answer_that_breaks_off_is_none(answer: bytes) -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()
        await writer.wait_closed()
        over.set()

    over = asyncio.Event()
    server = await asyncio.start_server(break_off, "127.0.0.1", 0)
    async with server:
        async with Rest(ManualClock()) as rest:
            with pytest.raises(LineError, match="UNREACHABLE"):
                await rest.get(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        await over.wait()


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
