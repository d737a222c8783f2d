"""The one place that reads time: UTC nanoseconds that never run backwards, and how far the wall clock has strayed.

`SystemClock.now_ns` is the wall clock's reading at construction plus the monotonic clock since then. A step of the
wall clock therefore changes no age and no verdict; it shows up as `wall_offset_ns`, which the service feeds to the
engine as a ClockReading.
"""

from __future__ import annotations

import ctypes
import sys
import time
from typing import Protocol

from oracle.core.types import ClockReading, Nanos

_STA_UNSYNC = 0x0040
_TIME_ERROR = 5


class Clock(Protocol):
    """Whatever tells the time: the system, or a simulation."""

    def now_ns(self) -> Nanos:
        """UTC nanoseconds; never less than the last answer."""
        ...


class SystemClock:
    """UTC by the monotonic clock, anchored to the wall clock once."""

    def __init__(self) -> None:
        self._anchor_ns = time.time_ns() - time.monotonic_ns()

    def now_ns(self) -> Nanos:
        """UTC nanoseconds; never less than the last answer."""
        return self._anchor_ns + time.monotonic_ns()

    def wall_offset_ns(self) -> int:
        """How far the wall clock now stands from this clock: drift, or a step by whoever disciplines it."""
        return time.time_ns() - self.now_ns()

    def reading(self) -> ClockReading:
        """The offset as the engine hears of it: the wall clock's step plus the kernel's own estimate of its error."""
        estimate = kernel_offset_ns()
        offset_ns = self.wall_offset_ns() + (estimate or 0)
        return ClockReading(offset_ns, estimate is not None, self.now_ns())


class ManualClock:
    """A clock that stands until it is moved: for simulations and tests."""

    def __init__(self, now_ns: Nanos = 0) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> Nanos:
        """The time it was set to."""
        return self._now_ns

    def advance(self, nanos: int) -> None:
        """Move forward. A clock never runs backwards: a negative step is the caller's mistake."""
        assert nanos >= 0, nanos
        self._now_ns += nanos


class _Timex(ctypes.Structure):
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("_rest", ctypes.c_byte * 256),
    )


def kernel_offset_ns() -> int | None:
    """What the kernel believes its clock's error to be, in ns; None where nobody disciplines it or it cannot say.

    Linux `adjtimex(2)`, read only: `esterror` is in microseconds.
    """
    if not sys.platform.startswith("linux"):
        return None
    timex = _Timex()
    state = int(ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex)))
    if state in (-1, _TIME_ERROR) or timex.status & _STA_UNSYNC:
        return None
    return int(timex.esterror) * 1000
