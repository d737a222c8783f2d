"""The servers over plain HTTP: a venue's own page for the top of a market, and its faults."""

from __future__ import annotations

import asyncio

import aiohttp
import msgspec
import pytest

from oracle.clock import ManualClock
from oracle.core.types import NANOS_PER_S, BookTop, Nanos, Side, Trade
from oracle.simulator.faults import Kind
from oracle.simulator.venue import VenueServer
from oracle.venues import base

START = 1_790_000_000 * NANOS_PER_S
pytestmark = pytest.mark.anyio


def top(source: int, bid: float) -> BookTop:
    return BookTop(source, bid, 1.0, bid + 1, 2.0, START, 0)


async def asked(http: aiohttp.ClientSession, venue: VenueServer, path: str) -> tuple[int, bytes]:
    async with http.get(venue.url.replace("ws", "http", 1) + path) as answer:
        return answer.status, await answer.read()


TOP_PATH = "/0/public/Depth?count=1&pair=BTCUSD"
KRAKEN = {"spot": [base.Feed(0, "BTC/USD"), base.Feed(1, "ETH/USD")]}


def kraken_server() -> VenueServer:
    return VenueServer("kraken", KRAKEN, ManualClock(START).now_ns)


async def test_a_plain_request_is_answered_with_the_top_that_was_said_last() -> None:
    session = base.load("kraken")[0](KRAKEN["spot"])
    request = session.poll("BTC/USD")
    assert request is not None
    async with kraken_server() as venue, aiohttp.ClientSession() as http:
        assert (await asked(http, venue, TOP_PATH))[0] == 404
        for bid in (1.0, 2.0):
            venue.say(top(0, bid))
        venue.say(Trade(0, 9.0, 1.0, Side.BUY, START, 0))
        status, body = await asked(http, venue, TOP_PATH)
        assert (status, session.polled(request, body, 5)) == (200, [BookTop(0, 2.0, 1.0, 3.0, 2.0, 0, 5)])
        assert (await asked(http, venue, "/0/public/Depth?pair=ETHUSD&count=1"))[0] == 404
        assert (await asked(http, venue, "/0/public/Time"))[0] == 404


async def test_a_question_that_is_posted_is_answered_by_what_it_says() -> None:
    feeds = [base.Feed(0, "BTC"), base.Feed(1, "ETH")]
    session = base.load("hyperliquid")[0](feeds)
    request = session.poll("ETH")
    assert request is not None
    async with (
        VenueServer("hyperliquid", {"spot": feeds}, ManualClock(START).now_ns) as venue,
        aiohttp.ClientSession() as http,
    ):
        venue.say(top(0, 10.0))
        venue.say(top(1, 20.0))
        async with http.post(venue.url.replace("ws", "http", 1) + "/info", data=request.content) as answer:
            assert answer.content_type == "application/json"
            assert session.polled(request, await answer.read(), START) == [top_at(1, 20.0, START)]
        assert (await asked(http, venue, "/info"))[0] == 404


def top_at(source: int, bid: float, recv_ns: Nanos) -> BookTop:
    return msgspec.structs.replace(top(source, bid), recv_ns=recv_ns)


@pytest.mark.parametrize("fault", [Kind.MUTE, Kind.STALL])
async def test_a_venue_that_says_nothing_answers_nothing_until_it_is_over(fault: Kind) -> None:
    async with kraken_server() as venue, aiohttp.ClientSession() as http:
        venue.say(top(0, 1.0))
        venue.begin(fault)
        asking = asyncio.ensure_future(asked(http, venue, TOP_PATH))
        await asyncio.sleep(0.02)
        assert not asking.done()
        venue.say(top(0, 7.0))
        venue.end(fault)
        status, body = await asking
        assert status == 200
        assert b'"7.0"' in body


async def test_a_venue_that_is_down_says_so() -> None:
    async with kraken_server() as venue, aiohttp.ClientSession() as http:
        venue.say(top(0, 1.0))
        venue.begin(Kind.DISCONNECT)
        assert (await asked(http, venue, TOP_PATH))[0] == 503
        venue.end(Kind.DISCONNECT)
        assert (await asked(http, venue, TOP_PATH))[0] == 200


async def test_a_venue_that_is_closed_while_it_is_mute_lets_go_of_who_waits() -> None:
    async with aiohttp.ClientSession() as http:
        async with kraken_server() as venue:
            venue.begin(Kind.MUTE)
            asking = asyncio.ensure_future(asked(http, venue, TOP_PATH))
            await asyncio.sleep(0.02)
        async with asyncio.timeout(5):
            await asyncio.gather(asking, return_exceptions=True)
