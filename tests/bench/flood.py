"""One venue that floods, and what that does to the others: how long their frames take from the wire to the inbox.

Seven venues speak calmly from one process and an eighth, in another, either says nothing or as much as it can. Both
halves take turns, so that a bad moment of the machine meets them alike; the ratio is of one run. A frame's own bid size
says when it was sent.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import quantiles
from typing import NamedTuple

import msgspec
import structlog
import uvloop

from oracle.clock import SystemClock
from oracle.collectors.line import Line
from oracle.core.types import BookTop, Observation
from oracle.trial.markets import SPELLINGS
from oracle.venues.base import Feed, load
from tests.bench.common import Figure
from tests.bench.crowd import ASSETS, Order
from tests.bench.soak import ended, spawned

CALM = ("binance", "bitget", "bybit", "gate", "kraken", "okx", "htx")
FLOODING = "hyperliquid"
SYMBOLS = 2
RATE = 700.0  # of the calm venues together, a second
ROUNDS, ROUNDS_QUICK = 3, 1
ROUND_S, ROUND_S_QUICK = 4.0, 0.5
SETTLE_S = 1.0
START_S = 20.0
MS = 1e3


class Half(NamedTuple):
    """Half a round: µs from the wire to the inbox of each calm frame, and the flood's bytes and seconds."""

    delays: list[float]
    flooded_bytes: int
    seconds: float


def bench(quick: bool) -> list[Figure]:
    """p50 and p99 of the calm venues beside silence and beside a flood."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    return uvloop.run(_bench(ROUNDS_QUICK if quick else ROUNDS, ROUND_S_QUICK if quick else ROUND_S))


async def _bench(rounds: int, seconds: float) -> list[Figure]:
    ear = _Ear()
    quiet: list[Half] = []
    loud: list[Half] = []
    async with _speaking(list(CALM), ear, flood=False):
        for _ in range(rounds):
            quiet.append(await ear.half(seconds))
            async with _speaking([FLOODING], ear, flood=True) as (line,):
                loud.append(await ear.half(seconds, line))
    return _figures(quiet, loud)


def _figures(quiet: list[Half], loud: list[Half]) -> list[Figure]:
    calm, beside = (_cuts([delay for half in halves for delay in half.delays]) for halves in (quiet, loud))
    flood = sum(half.flooded_bytes for half in loud) / sum(half.seconds for half in loud) / 1e6
    frames = sum(len(half.delays) for half in loud)
    return [
        Figure("flood", "wire to inbox, p50, no flood", calm[49], "µs"),
        Figure("flood", "wire to inbox, p50, beside a flood", beside[49], "µs", "", f"{beside[49] / calm[49]:.2f} x"),
        Figure("flood", "wire to inbox, p99, no flood", calm[98], "µs"),
        Figure("flood", "wire to inbox, p99, beside a flood", beside[98], "µs", "", f"{beside[98] / calm[98]:.2f} x"),
        Figure("flood", "what came of the flood", flood, "MB/s", "", f"{frames:,} calm frames measured beside it"),
    ]


def _cuts(delays: list[float]) -> list[float]:
    return quantiles(delays, n=100, method="inclusive")


class _Ear:
    """Where the calm venues' books arrive: as the inbox would be told of them."""

    def __init__(self) -> None:
        self.zero_ns = time.monotonic_ns()
        self.delays: list[float] = []
        self.heard = 0

    def put(self, observation: Observation) -> None:
        """A fact of a calm venue."""
        if isinstance(observation, BookTop):
            self.heard += 1
            self.delays.append((time.monotonic_ns() - self.zero_ns) / 1_000 - observation.bid_size)

    async def half(self, seconds: float, flooding: Line | None = None) -> Half:
        """Listen for so long."""
        before, began = flooding.stats.bytes if flooding else 0, time.monotonic()
        self.delays = []
        await asyncio.sleep(seconds)
        after = flooding.stats.bytes if flooding else 0
        return Half(self.delays, after - before, time.monotonic() - began)


@asynccontextmanager
async def _speaking(venues: list[str], ear: _Ear, *, flood: bool) -> AsyncIterator[list[Line]]:
    """These venues in a process of their own, and a line to each; everything has been asked for and answered."""
    order = Order(venues, SYMBOLS, RATE, ear.zero_ns, flood)
    crowd = await spawned("tests.bench.crowd", msgspec.json.encode(order).decode())
    tasks: list[asyncio.Task[None]] = []
    try:
        assert crowd.stdout is not None
        ports = msgspec.json.decode(await crowd.stdout.readline(), type=dict[str, int])
        lines = [_line(venue, ports[venue], ear, flood) for venue in venues]
        tasks = [asyncio.create_task(line.run()) for line in lines]
        async with asyncio.timeout(START_S):
            while not all(line.stats.observations for line in lines):  # noqa: ASYNC110 - the lines have no event for it
                await asyncio.sleep(0.05)
        await asyncio.sleep(SETTLE_S)
        yield lines
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await ended(crowd)


def _line(venue: str, port: int, ear: _Ear, flood: bool) -> Line:
    session_type, _ = load(venue)
    spelling = SPELLINGS[venue]
    feeds = [Feed(n, spelling.of(asset)) for n, asset in enumerate(list(ASSETS)[:SYMBOLS])]
    put = (lambda fact: None) if flood else ear.put
    url = f"ws://127.0.0.1:{port}"
    return Line(session_type, feeds, put=put, clock=SystemClock(), market=spelling.market, endpoint=url)
