"""A long run of the whole service: what grows, what leaks, which beats are missed.

Three processes: twenty venues of ten symbols (`crowd`), the service with its collectors, engine, journal and doors
(this file as a module, which reports on itself once a second), and whoever looks. Once a minute a line says how much
memory, how many file descriptors and tasks the service has, how many beats it has missed (a beat is missed when a
whole second has none) and how many frames it has handled. The slope of the memory is taken after a third of the time,
at most five minutes, of warming up.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog
import uvloop

from oracle import methods
from oracle.clock import SystemClock
from oracle.collectors.inbox import Inbox
from oracle.collectors.line import Line
from oracle.core.engine import Engine
from oracle.core.params import World
from oracle.core.types import NANOS_PER_S, Action, Command
from oracle.journal import keys
from oracle.journal.recovery import Recovered
from oracle.journal.writer import Opening, Writer
from oracle.live import Live
from oracle.trial.markets import markets_of
from oracle.trial.rig import instruments
from oracle.venues.base import Feed, load
from tests.bench.common import Figure
from tests.bench.crowd import ASSETS, Order, input_closed

ROOT = Path(__file__).resolve().parents[2]
VENUES = (
    "binance", "bitfinex", "bitflyer", "bitget", "bullish", "bybit", "coinbase", "crypto_com", "deribit", "dydx_v4",
    "gate", "gemini", "hashkey", "htx", "hyperliquid", "kraken", "kraken_futures", "okx", "upbit", "bitmex",
)  # fmt: skip
SYMBOLS = 10
MINUTES, RATE = 30.0, 20_000.0
SECONDS_QUICK, RATE_QUICK, SYMBOLS_QUICK = 3.0, 500.0, 2
WARM_SHARE, WARM_S_MAX = 1 / 3, 300.0
START_S = 60.0


class Sample(msgspec.Struct):
    """What the service says of itself once a second. `missed`: whole seconds without a beat, since the start."""

    at_s: float
    rss_bytes: int
    fds: int
    tasks: int
    missed: int
    beats: int
    frames: int
    dropped: int
    reconnects: int
    cpu_s: float
    troubles: dict[str, int]  # connections that ended and frames that were refused, by venue and reason


def bench(quick: bool, minutes: float = MINUTES, rate: float = RATE) -> list[Figure]:
    """The run, and what became of memory, descriptors, tasks and beats."""
    seconds = SECONDS_QUICK if quick else minutes * 60.0
    samples = uvloop.run(_soak(seconds, RATE_QUICK if quick else rate, SYMBOLS_QUICK if quick else SYMBOLS))
    return _figures(samples)


def _figures(samples: Sequence[Sample]) -> list[Figure]:
    first, last = samples[0], samples[-1]
    lasted_s = last.at_s - first.at_s
    settled = [s for s in samples if s.at_s - first.at_s >= min(WARM_S_MAX, lasted_s * WARM_SHARE)]
    mib = [sample.rss_bytes / (1 << 20) for sample in settled]
    slope = slope_of([sample.at_s / 60.0 for sample in settled], mib)
    fds, tasks = sorted(s.fds for s in settled), sorted(s.tasks for s in settled)
    frames = last.frames - first.frames
    return [
        Figure("soak", "memory after warming up, slope", slope, "MiB/min", "", f"{mib[0]:.1f} to {mib[-1]:.1f} MiB"),
        Figure("soak", "file descriptors, most", fds[-1], "open", str(fds[0]), "best: fewest"),
        Figure("soak", "tasks, most", tasks[-1], "running", str(tasks[0]), "best: fewest"),
        Figure("soak", "beats missed", last.missed - first.missed, "seconds", "", f"of {lasted_s:.0f}"),
        Figure("soak", "beats", (last.beats - first.beats) / lasted_s, "a second"),
        Figure("soak", "frames handled", frames / lasted_s, "a second", "", f"{frames:,} in all"),
        Figure("soak", "frames refused by a budget", last.dropped - first.dropped, "frames"),
        Figure("soak", "connections dialled again", last.reconnects - first.reconnects, "dials"),
        Figure("soak", "processor", (last.cpu_s - first.cpu_s) / lasted_s * 100.0, "%"),
    ]


def slope_of(xs: Sequence[float], ys: Sequence[float]) -> float:
    """The slope of the least squares line; 0.0 of a single point."""
    x_mean, y_mean = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - x_mean) ** 2 for x in xs)
    return sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / spread if spread else 0.0


async def _soak(seconds: float, rate: float, symbols: int) -> list[Sample]:
    with tempfile.TemporaryDirectory(prefix="oracle-soak-") as name:
        order = Order(list(VENUES), symbols, rate, time.monotonic_ns())
        crowd = await spawned("tests.bench.crowd", msgspec.json.encode(order).decode())
        service = None
        try:
            assert crowd.stdout is not None
            ports = msgspec.json.decode(await crowd.stdout.readline(), type=dict[str, int])
            service = await spawned("tests.bench.soak", msgspec.json.encode(Setup(name, ports, symbols)).decode())
            return await _watched(service, seconds)
        finally:
            for process in (crowd, service):
                await ended(process)


async def _watched(service: Process, seconds: float) -> list[Sample]:
    """The samples from the moment on at which every venue speaks."""
    assert service.stdout is not None
    samples: list[Sample] = []
    minute = 0
    async with asyncio.timeout(seconds + START_S):
        while not samples or samples[-1].at_s - samples[0].at_s < seconds:
            line = await service.stdout.readline()
            if not line:
                raise RuntimeError("the service ended")
            samples.append(msgspec.json.decode(line, type=Sample))
            if samples[-1].at_s - samples[0].at_s >= 60.0 * (minute + 1):
                minute += 1
                print(told(minute, samples[0], samples[-1]), file=sys.stderr, flush=True)
    if samples[-1].troubles:
        print(f"troubles: {samples[-1].troubles}", file=sys.stderr)
    return samples


def told(minute: int, first: Sample, now: Sample) -> str:
    """The line of a minute."""
    return (
        f"minute {minute}: {now.rss_bytes / (1 << 20):.1f} MiB, {now.fds} fds, {now.tasks} tasks, "
        f"{now.missed - first.missed} beats missed, {now.frames - first.frames:,} frames"
    )


async def spawned(module: str, argument: str) -> Process:
    """A Python process of a module; it ends when its input is closed."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, argument, stdin=PIPE, stdout=PIPE, cwd=ROOT, limit=1 << 20
    )


async def ended(process: Process | None) -> None:
    """Close a process's input and wait until it is gone; it is killed where it does not go."""
    if process is None:
        return
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(15.0):
            await process.communicate()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class Setup(msgspec.Struct):
    """What the service is told: where it may write, where the venues are, how many symbols each has."""

    folder: str
    ports: dict[str, int]
    symbols: int


async def _serve(setup: Setup) -> None:
    """Collectors, engine and journal, telling what they have and do until the input is closed."""
    clock, key = SystemClock(), keys.generate()
    world = instruments(markets_of(list(setup.ports), list(ASSETS)[: setup.symbols]))
    engine, seconds = Engine(world, methods.for_world(world)), dict[int, None]()
    folder = Path(setup.folder) / "journal"
    folder.mkdir()
    opening = Opening(world, None, "soak", clock.now_ns())
    writer = Writer(folder, Recovered(), opening, key, loop=asyncio.get_running_loop())
    live = Live(
        engine,
        writer,
        lambda tick: seconds.setdefault(tick.at_ns // NANOS_PER_S),
        lambda reason, detail: sys.exit(f"halted: {reason} {detail}"),
        clock,
        beat_ms_min=20,
        checkpoint_ms=1_000,
        snapshot_ms=60_000,
    )
    inbox = Inbox(world, live.on_first)
    inbox.put(Command(Action.START, "*", "service", "", clock.now_ns()))
    lines = [_line(world, venue, port, inbox, clock) for venue, port in setup.ports.items()]
    live.start(inbox)
    running = [asyncio.create_task(line.run()) for line in lines]
    gone = asyncio.create_task(input_closed())
    try:
        while not gone.done():
            await asyncio.sleep(1.0)
            if all(line.stats.observations for line in lines):
                print(msgspec.json.encode(_sample(live, lines, seconds)).decode(), flush=True)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        live.stop()
        writer.close()


def _line(world: World, venue: str, port: int, inbox: Inbox, clock: SystemClock) -> Line:
    sources = [source for source in world.sources if source.venue == venue]
    feeds = [Feed(source.id, source.symbol) for source in sources]
    url = f"ws://127.0.0.1:{port}"
    return Line(load(venue)[0], feeds, put=inbox.put, clock=clock, market=sources[0].market, endpoint=url)


def _sample(live: Live, lines: Sequence[Line], seconds: dict[int, None]) -> Sample:
    stats = [line.stats for line in lines]
    return Sample(
        at_s=time.monotonic(),
        rss_bytes=int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
        fds=len(os.listdir("/proc/self/fd")),
        tasks=len(asyncio.all_tasks()),
        missed=max(seconds) - min(seconds) + 1 - len(seconds),
        beats=live.stats.beats,
        frames=sum(each.frames for each in stats),
        dropped=sum(getattr(each, "dropped", 0) for each in stats),
        reconnects=sum(each.dials for each in stats) - len(stats),
        cpu_s=time.process_time(),
        troubles={f"{s.venue} {why}": n for s in stats for why, n in [*s.ended.items(), *s.refused.items()]},
    )


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    uvloop.run(_serve(msgspec.json.decode(sys.argv[1], type=Setup)))
