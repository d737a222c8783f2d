"""A day of a quiet market in simulated time: three symbols of one line that speak every 20 s, each in its own manner.

Nothing is wrong with any of them, so every step of repair that the line takes is a false alarm. The venue speaks its
dialect through its Mimic, heartbeats included, over an in-memory connection; the line is the real one. Time is the
event loop's own, which jumps to whatever is due next.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

from msgspec import Struct

from oracle.collectors.line import Line
from oracle.collectors.socket import Handler
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, BookTop, Nanos, Observation
from oracle.simulator.venue import as_stated
from oracle.venues import base

VENUE = "kraken"
SYMBOLS = ("BTC/USD", "ETH/USD", "SOL/USD")
GAP_S = 20.0
DAY_S = 86_400
START_NS = 1_790_000_040 * NANOS_PER_S
SEED = 1
Manner: TypeAlias = Callable[[random.Random], float]  # seconds until a symbol speaks again
MANNERS: dict[str, Manner] = {
    "regular": lambda draw: GAP_S,
    "jittered": lambda draw: GAP_S * draw.uniform(0.5, 1.5),
    "exponential": lambda draw: draw.expovariate(1 / GAP_S),
}


class Quiet(Struct, frozen=True):
    """What a symbol said in the time, and how often its line was repaired for it, or for a neighbour."""

    manner: str
    books: int
    longest_gap_s: float
    repairs: dict[str, int]


def played(seconds: float = DAY_S, seed: int = SEED, manners: Mapping[str, Manner] = MANNERS) -> list[Quiet]:
    """The outcome for each manner of speaking, three at most, after so many simulated seconds."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(_played(seconds, seed, manners))


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next thing that is due. Real sockets never delay it."""

    def __init__(self) -> None:
        self._jumps = _Jumps()
        super().__init__(self._jumps)

    def time(self) -> float:
        """Simulated seconds since the loop was made."""
        return self._jumps.now_s

    def now_ns(self) -> Nanos:
        """The same as UTC nanoseconds: the loop is a Clock."""
        return START_NS + round(self._jumps.now_s * NANOS_PER_S)


class _Jumps(selectors.DefaultSelector):
    """Does not wait for what is due in a while: it is then."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0.0:
            self.now_s += timeout
            timeout = 0.0
        return super().select(timeout)


async def _played(seconds: float, seed: int, manners: Mapping[str, Manner]) -> list[Quiet]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulatedLoop)
    session_type, mimic_type = base.load(VENUE)
    feeds = [base.Feed(place, symbol) for place, symbol in enumerate(SYMBOLS[: len(manners)])]
    venue = _Venue(loop, mimic_type, feeds)
    heard: list[list[float]] = [[loop.time()] for _ in feeds]

    def put(observation: Observation) -> None:
        if isinstance(observation, BookTop):
            heard[observation.source].append(loop.time())

    line = Line(session_type, feeds, put=put, clock=loop, connect=venue.connect, random=random.Random(seed).random)
    draws = [random.Random(f"{seed} {name}") for name in manners]
    said = [venue.speak(n, manner, draw) for n, (manner, draw) in enumerate(zip(manners.values(), draws, strict=True))]
    tasks = [asyncio.create_task(work) for work in (line.run(), venue.beat(), *said)]
    await asyncio.sleep(seconds)
    repairs = repairs_of(line)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return [Quiet(name, len(at) - 1, max(gaps(at)), repairs) for name, at in zip(manners, heard, strict=True)]


def gaps(at: Sequence[float]) -> list[float]:
    """The times between."""
    return [later - earlier for earlier, later in pairwise(at)] or [0.0]


def repairs_of(line: Line) -> dict[str, int]:
    """Every step that the line took to mend itself: connections that ended, and what it counts besides."""
    steps = sum((repairs.steps for repairs in line.stats.repairs.values()), Counter[str]())
    return {str(step): count for step, count in (line.stats.ended + steps).items()}


class _Venue:
    """The venue at the other end of the in-memory connection."""

    def __init__(self, loop: SimulatedLoop, mimic_type: type[base.Mimic], feeds: Sequence[base.Feed]) -> None:
        self._loop, self._mimic_type, self._feeds = loop, mimic_type, feeds
        self._connection: _Connection | None = None

    async def connect(self, url: str, handler: Handler, **_: Any) -> _Connection:
        """Be dialled."""
        path = "/" + url.split("/", 3)[3] if url.count("/") > 2 else "/"
        self._connection = _Connection(self._loop, handler, self._mimic_type(self._feeds))
        self._connection.say(self._connection.mimic.greet(path, self._loop.now_ns()))
        return self._connection

    async def beat(self) -> None:
        """Send the venue's heartbeats."""
        while True:
            await asyncio.sleep(self._mimic_type.ping_ms / 1_000)
            if self._connection is not None:
                self._connection.say(self._connection.mimic.heartbeat(self._loop.now_ns()))

    async def speak(self, source: int, manner: Manner, draw: random.Random) -> None:
        """State a symbol's book again and again, in its manner."""
        while True:
            price = draw.uniform(99.0, 101.0)
            now_ns = self._loop.now_ns() // NANOS_PER_MS * NANOS_PER_MS
            if self._connection is not None:
                top = BookTop(source, round(price, 1), 1.0, round(price + 0.5, 1), 2.0, now_ns, 0)
                stated = as_stated(top, self._connection.mimic)
                self._connection.say(self._connection.mimic.speak(stated))
            await asyncio.sleep(manner(draw))


class _Connection:
    """One connection: what a side says, the other hears in the loop's next turn."""

    def __init__(self, loop: SimulatedLoop, handler: Handler, mimic: base.Mimic) -> None:
        self._loop, self._handler, self.mimic = loop, handler, mimic
        self._open = True

    def say(self, frames: Sequence[str | bytes]) -> None:
        for frame in frames:
            self._loop.call_soon(self._arrive, frame if isinstance(frame, bytes) else frame.encode())

    def send(self, text: str) -> None:
        self._loop.call_soon(lambda: self.say(self.mimic.hear(text, self._loop.now_ns())))

    async def close(self) -> None:
        if self._open:
            self._open = False
            self._handler.on_close(1000, "")

    def _arrive(self, data: bytes) -> None:
        if self._open:
            self._handler.on_frame(data)
