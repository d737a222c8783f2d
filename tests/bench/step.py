"""What a beat costs the engine, when it touches an index of so many sources and its perpetual."""

from __future__ import annotations

import time
from statistics import median

from oracle.core.engine import Engine
from oracle.core.types import Beat, IndexValue, State
from oracle.methods import for_world
from tests.bench.common import Figure, beats_of
from tests.core.rig import make_world

BEAT_MS = 10
WARM_BEATS = 5_000


def bench(quick: bool) -> list[Figure]:
    """`Engine.step` in µs with 8 and 16 sources, and how it grows."""
    laps, lap_beats = (3, 300) if quick else (9, 2_000)
    runs = {sources: _Run(sources, laps * lap_beats) for sources in (8, 16)}
    taken: dict[int, list[float]] = {sources: [] for sources in runs}
    for _ in range(laps):
        for sources, run in runs.items():
            taken[sources].append(run.lap(lap_beats))
    eight = median(taken[8])
    return [
        Figure(
            "step",
            f"Engine.step, {sources} sources, index and perpetual touched",
            median(times),
            "µs",
            f"{min(times):.1f}",
            f"{median(times) / eight:.2f} x 8 sources" if sources != 8 else "",
        )
        for sources, times in taken.items()
    ]


class _Run:
    """An engine that has warmed up, and the beats it still has to live."""

    def __init__(self, sources: int, beats: int) -> None:
        world = make_world(sources)
        self._engine = Engine(world, for_world(world))
        self._beats = list(beats_of(world, WARM_BEATS + beats, BEAT_MS))
        self._at = 0
        for beat in self._take(WARM_BEATS):
            tick = self._engine.step(beat)
        index = next(value for value in tick.values if isinstance(value, IndexValue))
        assert index.state is State.NORMAL, index

    def lap(self, beats: int) -> float:
        """µs a beat of the next so many."""
        step = self._engine.step
        todo = self._take(beats)
        began = time.perf_counter()
        for beat in todo:
            step(beat)
        return (time.perf_counter() - began) / beats * 1e6

    def _take(self, count: int) -> list[Beat]:
        self._at += count
        return self._beats[self._at - count : self._at]
