"""Memories of bounded size: the gaps of a stream, the offset of a venue's clock, the extremes of the last second.

All of them are plain Structs, so that a snapshot of the engine holds them exactly.
"""

from __future__ import annotations

from msgspec import Struct, field

from oracle.core.maths import decay, median
from oracle.core.types import NANOS_PER_MS, Nanos

CLOCK_BUCKETS = 10


class Gaps(Struct, array_like=True):
    """The last `size` gaps between updates of one stream, in ns, oldest overwritten first."""

    size: int
    gaps: list[int] = field(default_factory=list)
    place: int = 0

    def add(self, gap_ns: int) -> None:
        """Remember a gap."""
        if len(self.gaps) < self.size:
            self.gaps.append(gap_ns)
            return
        self.gaps[self.place] = gap_ns
        self.place = (self.place + 1) % self.size

    def median_ns(self) -> float:
        """The median gap; 0.0 while there is none."""
        return median(self.gaps) if self.gaps else 0.0


class ClockOffset(Struct, array_like=True):
    """How far a venue's clock stands behind ours: the least delay (receipt minus event time) seen of late.

    The least delay of each tenth of the window is kept. The estimate is the least of the finished tenths, so one
    message from the future cannot excuse itself; while there is no finished tenth, the least so far.
    """

    bucket: int = 0
    least_ns: int = 0
    finished: list[int] = field(default_factory=list)
    offset_ns: int = 0

    def add(self, delay_ns: int, recv_ns: Nanos, window_ms: int) -> None:
        """Take a message's delay into the estimate."""
        bucket = recv_ns * CLOCK_BUCKETS // (window_ms * NANOS_PER_MS) + 1
        if bucket != self.bucket:
            if self.bucket:
                self.finished = [*self.finished[1 - CLOCK_BUCKETS :], self.least_ns]
                self.offset_ns = min(self.finished)
            else:
                self.offset_ns = delay_ns
            self.bucket, self.least_ns = bucket, delay_ns
        elif delay_ns < self.least_ns:
            self.least_ns = delay_ns
            if not self.finished:
                self.offset_ns = delay_ns


class Extremes(Struct, array_like=True):
    """The lowest and highest value of the last `window`, each as a queue that only ever improves backwards."""

    lows: list[tuple[Nanos, float]] = field(default_factory=list)
    highs: list[tuple[Nanos, float]] = field(default_factory=list)

    def add(self, at_ns: Nanos, value: float, window_ns: int) -> None:
        """Remember a value and forget those older than the window."""
        oldest = at_ns - window_ns
        lows, highs = self.lows, self.highs
        while lows and lows[-1][1] >= value:
            lows.pop()
        lows.append((at_ns, value))
        while highs and highs[-1][1] <= value:
            highs.pop()
        highs.append((at_ns, value))
        while lows[0][0] < oldest:
            del lows[0]
        while highs[0][0] < oldest:
            del highs[0]

    def range(self) -> tuple[float, float]:
        """(lowest, highest) of what is remembered; at least one value must have been added."""
        return self.lows[0][1], self.highs[0][1]


class Notes(Struct, array_like=True):
    """What a methodology remembers beyond what every one does: named numbers, and named windows, oldest first."""

    numbers: dict[str, float] = field(default_factory=dict)
    windows: dict[str, list[float]] = field(default_factory=dict)

    def push(self, name: str, value: float, size: int) -> list[float]:
        """Add to a window and forget what is beyond its size; the answer is the window."""
        window = self.windows.setdefault(name, [])
        window.append(value)
        del window[:-size]
        return window


class Ema(Struct, array_like=True):
    """An exponential average over irregular times: num ← num·d + x·t, den ← den·d + t, d = e^(−t/τ), t in ms.

    (HK-1 rule M1; the form is that of Hyperliquid's mark.) It has no value before some time has passed.
    """

    num: float = 0.0
    den: float = 0.0
    at_ns: Nanos = 0

    def add(self, value: float, at_ns: Nanos, tau_ms: int) -> None:
        """Let `value` stand for the time since the last one. The first only starts the clock."""
        if self.at_ns == 0:
            self.at_ns = at_ns
            return
        elapsed_ms = (at_ns - self.at_ns) // NANOS_PER_MS
        if elapsed_ms <= 0:
            return
        keep = decay(elapsed_ms, tau_ms)
        self.num = self.num * keep + value * elapsed_ms
        self.den = self.den * keep + elapsed_ms
        self.at_ns += elapsed_ms * NANOS_PER_MS

    def skip(self, at_ns: Nanos, factor: float) -> None:
        """Time passed without a value to average: the average shrinks by `factor`, and the clock goes on."""
        self.num *= factor
        self.at_ns = at_ns

    def value(self) -> float | None:
        """The average, or None."""
        return self.num / self.den if self.den else None
