"""What every bench shares: how a figure is taken and shown, and beats to drive a world of a given size.

A figure is the median of several repeats; the best of them stands beside it, because a shared machine only ever adds.
Ratios are of figures taken in one run, a repeat of one after a repeat of the other.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from oracle.core.params import World
from oracle.core.types import NANOS_PER_MS, Action, Beat, BookTop, Command, Depth, Side, Trade

START_NS = 1_790_000_040_000_000_000
PRICE = 60_000.0
REPEATS, REPEATS_QUICK = 9, 3
REPEAT_S, REPEAT_S_QUICK = 0.05, 0.004


class Figure(NamedTuple):
    """One line of the table. `best` and `ratio` may be empty; `ratio` says to what."""

    section: str
    name: str
    value: float
    unit: str
    best: str = ""
    ratio: str = ""


def show(figures: Sequence[Figure]) -> str:
    """The table."""
    rows = [("section", "figure", "value", "unit", "best", "ratio")]
    rows += [(f.section, f.name, f"{f.value:,.4g}" if f.value < 1e4 else f"{f.value:,.0f}", *f[3:]) for f in figures]
    widths = [max(len(row[place]) for row in rows) for place in range(6)]
    return "\n".join(
        "  ".join(
            cell.rjust(w) if place == 2 else cell.ljust(w)
            for place, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def together(jobs: dict[str, Callable[[], object]], quick: bool) -> dict[str, tuple[float, float]]:
    """(median, best) µs a call of each job; the jobs take turns, so that a bad moment of the machine meets them all."""
    repeats, seconds = (REPEATS_QUICK, REPEAT_S_QUICK) if quick else (REPEATS, REPEAT_S)
    counts = {name: _calls_in(job, seconds) for name, job in jobs.items()}
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    gc.collect()
    gc.disable()
    try:
        for _ in range(repeats):
            for name, job in jobs.items():
                taken[name].append(_timed(job, counts[name]))
    finally:
        gc.enable()
    return {name: (statistics.median(times), min(times)) for name, times in taken.items()}


def _calls_in(job: Callable[[], object], seconds: float) -> int:
    count = 1
    while (spent := _timed(job, count) * count / 1e6) < seconds / 4:
        count *= 4
    return max(1, int(count * seconds / spent))


def _timed(job: Callable[[], object], count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        job()
    return (time.perf_counter() - began) / count * 1e6


def beats_of(world: World, count: int, every_ms: int) -> Iterator[Beat]:
    """Beats in which one voter and the platform state their books by turns, and everyone trades now and then.

    Whoever is not in a beat spoke a few beats ago; where beats are seconds apart everyone speaks in each.
    """
    voters, others = world.indices[0].sources, world.indices[0].perp_sources
    engine = world.perps[0].engine_source
    everyone = (*voters, *others)
    for seq in range(1, count + 1):
        at_ns = START_NS + seq * every_ms * NANOS_PER_MS
        middle = PRICE + (seq * 7919) % 997 / 50
        start = (Command(Action.START, "*", "service", "bench", at_ns),) if seq == 1 else ()
        speaking = everyone if seq == 1 or every_ms >= 500 else (everyone[seq % len(everyone)],)
        tops = [BookTop(s, middle - 1.5 - s / 8, 2.0, middle + 0.5 - s / 8, 3.0, at_ns, at_ns) for s in speaking]
        deals = [Trade(s, middle, 0.25, Side.BUY, at_ns, at_ns) for s in everyone] if seq % 100 == 1 else []
        own = BookTop(engine, middle + 3.0, 4.0, middle + 5.0, 5.0, at_ns, at_ns)
        book = Depth(engine, ((middle + 3.0, 4.0),), ((middle + 5.0, 5.0),), at_ns, at_ns)
        yield Beat(seq, at_ns, (*start, *tops, *deals, own, book), 0)
