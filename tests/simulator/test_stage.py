"""The stage says each fact through its venue's server, hands the platform's own over, and turns faults on and off."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from oracle.clock import ManualClock
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, BookTop, Trade
from oracle.errors import VenueError
from oracle.simulator.faults import CALM, Episode, Kind, Script
from oracle.simulator.stage import Stage
from oracle.simulator.world import Said, World
from oracle.venues import base

START = 1_790_000_000 * NANOS_PER_S
pytestmark = pytest.mark.anyio
KRAKEN = (base.Feed(0, "BTC/USD"), base.Feed(1, "USDT/USD"))


async def heard(stage: Stage, clock: ManualClock, seconds: float) -> tuple[list[BookTop | Trade], int]:
    """What a real Kraken session read while the world went on, and how many frames carried no fact."""
    session_type, _ = base.load("kraken")
    session = session_type(KRAKEN)
    facts: list[BookTop | Trade] = []
    empty = 0
    async with aiohttp.ClientSession() as http, http.ws_connect(stage.servers["kraken"].url + "/v2") as socket:
        for send in session.open():
            await socket.send_str(send.data)
        await asyncio.sleep(0.05)
        for _ in range(int(seconds * 10)):
            clock.advance(100 * NANOS_PER_MS)
            stage.turn(clock.now_ns())
        while True:
            try:
                async with asyncio.timeout(0.1):
                    frame = await socket.receive_str()
            except TimeoutError:
                return facts, empty
            events = [e for e in session.receive(frame.encode(), clock.now_ns()) if isinstance(e, BookTop | Trade)]
            facts += events
            empty += not events


async def test_a_session_reads_the_facts_of_its_own_world() -> None:
    clock, own = ManualClock(START), list[Said]()
    async with Stage(World(1, START), clock.now_ns, own.append) as stage:
        facts, _ = await heard(stage, clock, 2.0)
    wanted = {"BTC": 0, "USDT": 1}
    same = World(1, START).step(START + 2 * NANOS_PER_S)
    expected = [
        (wanted[s.market.asset], s.fact.venue_ns)
        for s in same
        if s.market.venue == "kraken" and s.market.asset in wanted and isinstance(s.fact, BookTop | Trade)
    ]
    assert [(f.source, f.venue_ns) for f in facts] == expected
    assert own == [s for s in same if s.market.venue == "engine"]


async def test_heartbeats_flow_while_prices_are_frozen() -> None:
    frozen = Script((Episode(at_ms=0, lasts_ms=60_000, kind=Kind.SILENCE, target="kraken/*"),))
    clock = ManualClock(START)
    async with Stage(World(1, START, frozen), clock.now_ns) as stage:
        facts, empty = await heard(stage, clock, 5.0)
    assert facts == []
    assert empty >= 5


async def test_a_mute_venue_sends_no_heartbeat_either() -> None:
    mute = Script((Episode(at_ms=0, lasts_ms=60_000, kind=Kind.MUTE, target="kraken"),))
    clock = ManualClock(START)
    async with Stage(World(1, START, mute), clock.now_ns) as stage:
        stage.turn(clock.now_ns())
        assert await heard(stage, clock, 5.0) == ([], 0)


async def test_faults_of_a_line_begin_and_end_with_their_episode() -> None:
    garbage = Episode(at_ms=500, lasts_ms=200, kind=Kind.GARBAGE, target="kr*")
    clock = ManualClock(START)
    async with Stage(World(1, START, Script((garbage,), 1_000)), clock.now_ns) as stage:
        with pytest.raises(VenueError, match="NOT_JSON"):
            await heard(stage, clock, 1.0)


async def test_play_goes_on_until_it_is_cancelled() -> None:
    clock, spoke = ManualClock(START), asyncio.Event()
    async with Stage(World(1, START, CALM), clock.now_ns, lambda said: spoke.set()) as stage:
        playing = asyncio.create_task(stage.play())
        clock.advance(NANOS_PER_S)
        async with asyncio.timeout(5):
            await spoke.wait()
        playing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await playing


async def test_a_port_that_cannot_be_had_leaves_nothing_open() -> None:
    stage = Stage(World(1, START), ManualClock(START).now_ns)
    async with Stage(World(1, START), ManualClock(START).now_ns) as other:
        list(stage.servers.values())[-1].port = other.servers["kraken"].port
        with pytest.raises(OSError, match="address already in use"):
            await stage.__aenter__()
