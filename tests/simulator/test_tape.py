"""A tape is played whole, in order, at its pace or many times as fast, to every client that comes."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest

from oracle.core.types import NANOS_PER_MS, NANOS_PER_S
from oracle.simulator.tape import Takes, TapeServer

pytestmark = pytest.mark.anyio
FRAMES = tuple((i * 10 * NANOS_PER_MS, f'{{"n":{i}}}'.encode()) for i in range(20))


async def played(url: str, *, first: str = "") -> list[bytes]:
    """Every frame until the server closes."""
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as socket, asyncio.timeout(5):
        if first:
            await socket.send_str(first)
        return [m.data if isinstance(m.data, bytes) else m.data.encode() async for m in socket]


@pytest.mark.parametrize("speed", [0.0, 1.0, 1_000.0])
async def test_every_frame_comes_in_order(speed: float) -> None:
    async with TapeServer(FRAMES, speed, hold=False) as tape:
        assert await played(tape.url) == [data for _, data in FRAMES]
        assert tape.played == 1


async def test_a_tape_is_not_played_faster_than_it_says() -> None:
    async with TapeServer(FRAMES, 2.0, hold=False) as tape:
        began_s = time.monotonic()
        await played(tape.url)
        assert time.monotonic() - began_s >= 0.19 / 2 - 0.005


async def test_every_client_and_every_path_has_its_own_tape() -> None:
    async with TapeServer({"/a": FRAMES[:2], "/b": FRAMES[2:3]}, 0.0, hold=False) as tape:
        assert await played(tape.url + "/a") == await played(tape.url + "/a?again") == [d for _, d in FRAMES[:2]]
        assert await played(tape.url + "/b") == [FRAMES[2][1]]
        assert await played(tape.url + "/c") == []


async def test_a_held_tape_stays_open_and_silent_at_its_end() -> None:
    async with TapeServer(FRAMES[:1], 0.0) as tape, aiohttp.ClientSession() as http:
        socket = await http.ws_connect(tape.url)
        assert await socket.receive_str() == '{"n":0}'
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await socket.receive()


async def test_a_tape_may_wait_until_it_is_asked() -> None:
    async with TapeServer(FRAMES, 0.0, hold=False, asked=True) as tape:
        assert len(await played(tape.url, first="subscribe")) == len(FRAMES)
        async with aiohttp.ClientSession() as http:
            await (await http.ws_connect(tape.url)).close()
        assert tape.played == 1


async def test_a_client_that_leaves_early_ends_its_own_tape() -> None:
    async with TapeServer([(0, b"1"), (3_600 * NANOS_PER_S, b"2")]) as tape, aiohttp.ClientSession() as http:
        socket = await http.ws_connect(tape.url)
        assert await socket.receive_str() == "1"
        await socket.close()
        assert tape.played == 0


async def test_bytes_that_are_no_text_are_sent_as_they_are() -> None:
    async with TapeServer([(0, b"\xff\xfe")], 0.0, hold=False) as tape:
        assert await played(tape.url) == [b"\xff\xfe"]


async def test_rest_answers_are_given_by_path() -> None:
    async with TapeServer((), answers={"/depth": b"{}"}) as tape, aiohttp.ClientSession() as http:
        async with http.get(tape.rest_url + "/depth?symbol=A") as answer:
            assert await answer.read() == b"{}"
        async with http.get(tape.rest_url + "/other") as answer:
            assert answer.status == 404


async def test_each_client_gets_the_next_recorded_connection_and_then_the_first_again() -> None:
    async with TapeServer({"/a": Takes((FRAMES[:2], FRAMES[2:3]))}, 0.0, hold=False) as tape:
        heard = [await played(tape.url + "/a") for _ in range(3)]
        assert heard == [[d for _, d in take] for take in (FRAMES[:2], FRAMES[2:3], FRAMES[:2])]


async def test_of_several_answers_each_request_gets_the_next_and_then_the_last_again() -> None:
    answers: dict[str, bytes | list[bytes]] = {"/depth?symbol=A": [b"1", b"2"], "/depth": b"other"}
    async with TapeServer((), answers=answers) as tape, aiohttp.ClientSession() as http:
        bodies = []
        for page in ("/depth?symbol=A", "/depth?symbol=A", "/depth?symbol=A", "/depth?symbol=B"):
            async with http.get(tape.rest_url + page) as answer:
                bodies.append(await answer.read())
        assert bodies == [b"1", b"2", b"2", b"other"]


@pytest.mark.parametrize("speed", [-1.0, 1_001.0, float("nan")])
def test_a_speed_that_cannot_be_kept_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        TapeServer((), speed)
