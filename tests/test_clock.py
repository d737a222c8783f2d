"""Time never runs backwards, and a step of the wall clock is seen as an offset instead of as an age."""

from __future__ import annotations

import ctypes
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from oracle import clock
from oracle.clock import ManualClock, SystemClock, kernel_offset_ns
from oracle.core.types import ClockReading

T = 1_700_000_000_000_000_000
UNSYNCHRONISED = 0x0040


class Machine:
    """A machine whose wall and monotonic clocks, and whose kernel, say what they are told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall_ns, self.monotonic_ns = T, 5_000
        self.state, self.status, self.error_us = 0, 0, 120
        times = SimpleNamespace(time_ns=lambda: self.wall_ns, monotonic_ns=lambda: self.monotonic_ns)
        monkeypatch.setattr(clock, "time", times)
        monkeypatch.setattr(ctypes, "CDLL", lambda name, use_errno: SimpleNamespace(adjtimex=self._adjtimex))
        monkeypatch.setattr(sys, "platform", "linux")

    def pass_ns(self, nanos: int) -> None:
        self.wall_ns += nanos
        self.monotonic_ns += nanos

    def _adjtimex(self, asked: Any) -> int:
        timex = asked._obj
        assert timex.modes == 0, "read only"
        timex.status, timex.esterror = self.status, self.error_us
        return self.state


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_a_step_of_the_wall_clock_changes_no_age(machine: Machine) -> None:
    system = SystemClock()
    assert system.now_ns() == T
    machine.pass_ns(1_000)
    assert system.now_ns() == T + 1_000
    machine.wall_ns -= 30 * 86_400 * 10**9
    machine.pass_ns(500)
    assert system.now_ns() == T + 1_500
    assert system.wall_offset_ns() == -30 * 86_400 * 10**9


def test_a_reading_is_the_step_and_the_kernels_own_doubt(machine: Machine) -> None:
    system = SystemClock()
    machine.pass_ns(10)
    machine.wall_ns += 2_000_000
    assert system.reading() == ClockReading(2_000_000 + 120_000, True, T + 10)
    machine.status = UNSYNCHRONISED
    assert system.reading() == ClockReading(2_000_000, False, T + 10)


@pytest.mark.parametrize(
    ("state", "status", "offset_ns"),
    [
        (0, 0, 120_000),
        (0, 0x2001, 120_000),
        (1, 0, 120_000),  # a leap second is announced: that is no error
        (-1, 0, None),
        (5, 0, None),
        (0, UNSYNCHRONISED, None),
    ],
)
def test_what_the_kernel_believes(machine: Machine, state: int, status: int, offset_ns: int | None) -> None:
    machine.state, machine.status = state, status
    assert kernel_offset_ns() == offset_ns


def test_elsewhere_nobody_can_say(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert kernel_offset_ns() is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="adjtimex is Linux's")
def test_this_machines_own_answer_is_sane() -> None:
    assert ctypes.sizeof(clock._Timex) >= 208, "the kernel writes that many bytes"
    offset_ns = kernel_offset_ns()
    assert offset_ns is None or 0 <= offset_ns < 3_600 * 10**9
    system = SystemClock()
    readings = [system.now_ns() for _ in range(1_000)]
    assert readings == sorted(readings)
    assert abs(system.wall_offset_ns()) < 10**9


def test_a_clock_that_is_moved_by_hand() -> None:
    manual = ManualClock(T)
    manual.advance(0)
    manual.advance(7)
    assert manual.now_ns() == T + 7
    assert ManualClock().now_ns() == 0
    with pytest.raises(AssertionError):
        manual.advance(-1)
