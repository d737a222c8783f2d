"""Every way in which a venue dies, on real sockets in simulated time: how soon it is noticed, and what repairs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

import oracle.clock
from oracle.clock import ManualClock, SystemClock
from oracle.collectors.line import Line
from oracle.collectors.links import Links
from oracle.collectors.merge import Merge
from oracle.collectors.repair import Rung
from oracle.collectors.rest import Rest
from oracle.core.types import NANOS_PER_S, BookTop, Link
from oracle.simulator.faults import Kind
from oracle.simulator.venue import VenueServer
from oracle.venues.base import Feed, load
from tests.collectors.conftest import Stage, running

pytestmark = pytest.mark.anyio
FEEDS = (Feed(0, "BTC/USD"), Feed(1, "ETH/USD"))
HEALTHY_S, STEP_S = 8.0, 0.1
BOTH = (0, 1)


class Play:
    """A venue that ticks ten times a second in simulated time, and the line to it."""

    def __init__(self, stage: Stage, server: VenueServer, lines: list[Line]) -> None:
        self.stage, self.server, self.lines, self.said = stage, server, lines, 0

    async def on(self, seconds: float, speaking: Collection[int] = BOTH, *, heartbeats: bool = True) -> None:
        """Let time pass; these sources tick."""
        for _ in range(round(seconds / STEP_S)):
            await self.step(speaking, heartbeats=heartbeats)

    async def until(self, done: Callable[[], bool], speaking: Collection[int] = (), limit_s: float = 60.0) -> float:
        """Let time pass until something has come about; answers how long that took, in s."""
        since_s = self.stage.now_s
        while not done():
            assert self.stage.now_s - since_s < limit_s, self.stage.links()
            await self.step(speaking)
        return self.stage.now_s - since_s

    async def step(self, speaking: Collection[int], *, heartbeats: bool = True) -> None:
        await self.stage.advance(STEP_S)
        now_ns = self.stage.clock.now_ns()
        for source in speaking:
            self.said += 1
            self.server.say(BookTop(source, 100.0 + self.said % 50, 1.0, 200.0, 1.0, now_ns, 0))
        if heartbeats:
            self.server.tick(now_ns)
        await settled()

    def up(self, source: int) -> bool:
        """What the engine was told of a source last."""
        return [link.up for link in self.stage.seen if isinstance(link, Link) and link.source == source][-1]

    def reasons(self, source: int) -> list[str]:
        """Every rise and fall of a source after its first rise, by its reason."""
        return [reason for one, _, reason in self.stage.links() if one == source][1:]


async def settled() -> None:
    """Let the sockets do what they have to do; no simulated time passes."""
    for _ in range(3):
        await asyncio.sleep(0.0007)


@asynccontextmanager
async def playing(lines: int = 1, clock: Any = None, links: Links | None = None, **options: Any) -> AsyncIterator[Play]:
    stage = Stage()
    stage.clock = clock or stage.clock
    async with VenueServer("kraken", {"spot": FEEDS}, stage.clock.now_ns) as server, Rest(stage.clock) as rest:
        shared: dict[str, Any] = {}
        if lines > 1:
            shared = {"links": Links(stage.seen.append, stage.clock), "merge": Merge(BOTH)}
        made = [
            Line(
                load("kraken")[0],
                FEEDS,
                put=stage.seen.append,
                clock=stage.clock,
                sleep=stage.sleep,
                rest=rest,
                endpoint=server.url,
                number=number,
                random=lambda: 0.5,
                **shared,
            )
            for number in range(lines)
        ]
        play = Play(stage, server, made)
        async with AsyncLines(made):
            await play.until(lambda: server.clients == lines, BOTH)
            yield play


class AsyncLines:
    """Several lines that run."""

    def __init__(self, lines: list[Line]) -> None:
        self._running = [running(line) for line in lines]

    async def __aenter__(self) -> None:
        for one in self._running:
            await one.__aenter__()

    async def __aexit__(self, *error: object) -> None:
        for one in self._running:
            await one.__aexit__(None, None, None)


async def test_total_silence_is_noticed_within_three_seconds_and_polled() -> None:
    async with playing() as play:
        await play.on(HEALTHY_S)
        assert await play.until(lambda: not play.up(0), limit_s=3.1) <= 3.0
        assert await play.until(lambda: play.up(0)) < 20.0
        assert play.reasons(0) == ["SILENT", "REST"]
        polled = [one for one in play.stage.seen if isinstance(one, BookTop)][-1]
        assert polled.recv_ns > play.stage.clock.now_ns() - NANOS_PER_S
        await play.on(35.0)
        assert play.lines[0].stats.repairs[0].rung is Rung.STREAM
        assert play.reasons(0) == ["SILENT", "REST"], "the stream took over without a moment between"


async def test_a_zombie_that_only_sends_heartbeats_is_noticed_as_soon() -> None:
    async with playing() as play:
        await play.on(HEALTHY_S)
        frames = play.lines[0].stats.frames
        assert await play.until(lambda: not play.up(1), limit_s=3.1) <= 3.0
        assert play.lines[0].stats.frames > frames, "heartbeats came"


async def test_one_of_two_symbols_dies_and_a_new_subscription_brings_it_back() -> None:
    async with playing() as play:
        await play.on(HEALTHY_S)
        play.server.strike(Kind.LOST, [1])
        assert await play.until(lambda: "SILENT" in play.reasons(1), BOTH, limit_s=3.1) <= 3.0
        assert await play.until(lambda: play.up(1), BOTH) <= 0.5
        await play.on(35.0)
        assert play.reasons(1) == ["SILENT", "RESUBSCRIBED"]
        assert play.reasons(0) == [], "its neighbour lost nothing"
        assert play.lines[0].stats.dials == 1
        assert play.lines[0].stats.repairs[1].rung is Rung.STREAM


@pytest.mark.parametrize("fault", [Kind.STALL, Kind.MUTE])
async def test_a_connection_that_hangs_is_replaced(fault: Kind) -> None:
    async with playing() as play:
        await play.on(HEALTHY_S)
        play.server.strike(fault)
        assert await play.until(lambda: not play.up(0), BOTH, limit_s=3.1) <= 3.0
        assert await play.until(lambda: play.up(0) and play.up(1), BOTH) < 6.0
        assert play.reasons(0) == play.reasons(1) == ["SILENT", "RECONNECTED"]
        assert play.lines[0].stats.dials == 2
        await play.on(2.0)
        assert len(play.lines[0]._legs) == 1, "the one that hangs was let go"


async def test_a_venue_that_is_gone_and_comes_back() -> None:
    async with playing() as play:
        await play.on(HEALTHY_S)
        play.server.begin(Kind.DISCONNECT)
        await play.until(lambda: not play.up(0), limit_s=0.5)
        await play.on(20.0, ())
        play.server.end(Kind.DISCONNECT)
        await play.until(lambda: play.up(0) and play.up(1), BOTH)
        await play.on(40.0)
        assert play.reasons(0)[0] == "CLOSED"
        assert play.lines[0].stats.ended["UNAVAILABLE"] > 1
        assert play.lines[0].stats.repairs[0].rung is Rung.STREAM


async def test_a_slow_symbol_beside_a_quick_one_is_never_repaired() -> None:
    async with playing() as play:
        for beat in range(60):
            await play.stage.advance(1.0)
            now_ns = play.stage.clock.now_ns()
            for source in BOTH if beat % 20 == 0 else (0,):
                play.server.say(BookTop(source, 100.0 + beat, 1.0, 200.0, 1.0, now_ns, 0))
            await settled()
        assert play.reasons(1) == []
        assert not play.lines[0].stats.repairs[1].steps


async def test_of_two_lines_each_fact_comes_once_and_a_source_is_down_when_both_are() -> None:
    async with playing(lines=2) as play:
        await play.on(HEALTHY_S)
        books = [one for one in play.stage.seen if isinstance(one, BookTop)]
        assert len(books) == len({(one.source, one.venue_ns) for one in books}) >= 2 * 75
        assert play.lines[0].stats.duplicates >= 75
        play.lines[0]._leg.pump.end("DRILL")  # type: ignore[union-attr]
        await play.on(3.0)
        assert play.reasons(0) == [], "the other line carries it"
        await play.until(lambda: all(line.stats.connected_since_ns for line in play.lines), BOTH)
        assert await play.until(lambda: not play.up(0), limit_s=4.0) <= 3.5
        assert play.reasons(0) == ["SILENT"]


class Steps:
    """The machine's two clocks, as the standard library tells them: the wall clock can be put forward and back."""

    def __init__(self) -> None:
        self.monotonic, self.wall_step_ns = ManualClock(5_000 * NANOS_PER_S), 0

    def monotonic_ns(self) -> int:
        return self.monotonic.now_ns()

    def time_ns(self) -> int:
        return 1_790_000_000 * NANOS_PER_S + self.monotonic.now_ns() + self.wall_step_ns


class SteppedClock(SystemClock):
    """The service's own clock over those; a stage may move it."""

    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self.advance = steps.monotonic.advance


@pytest.mark.parametrize("step_s", [60, -60])
async def test_a_step_of_the_wall_clock_changes_no_verdict(step_s: int, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps()
    monkeypatch.setattr(oracle.clock, "time", SimpleNamespace(time_ns=steps.time_ns, monotonic_ns=steps.monotonic_ns))
    clock = SteppedClock(steps)
    async with playing(clock=clock) as play:
        await play.on(HEALTHY_S)
        steps.wall_step_ns = step_s * NANOS_PER_S
        assert clock.wall_offset_ns() == step_s * NANOS_PER_S
        await play.on(20.0)
        stats = play.lines[0].stats
        assert play.reasons(0) == play.reasons(1) == []
        assert (stats.drifts, stats.dials) == (0, 1)
        assert stats.offset_ns is not None
        assert abs(stats.offset_ns) < NANOS_PER_S
        assert await play.until(lambda: not play.up(0), limit_s=3.1) <= 3.0
