"""A budget in integers: never more than it says, and nothing refused to whoever keeps within it."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.collectors.flow import Flow
from oracle.core.types import NANOS_PER_S

START_NS = 1_790_000_000 * NANOS_PER_S
budgets = st.tuples(st.integers(1, 50), st.integers(1, 5_000))
arrivals = st.lists(st.tuples(st.integers(0, 400_000_000), st.integers(0, 3_000)), min_size=1, max_size=60)


class Exact:
    """The same budget in fractions of frames and bytes."""

    def __init__(self, frames_per_s: int, bytes_per_s: int) -> None:
        self.rates = Fraction(frames_per_s), Fraction(bytes_per_s)
        self.frames, self.bytes = self.rates

    def admits(self, size: int, gap_ns: int) -> bool:
        passed_s = Fraction(gap_ns, NANOS_PER_S)
        self.frames = min(self.rates[0], self.frames + self.rates[0] * passed_s)
        self.bytes = min(self.rates[1], self.bytes + self.rates[1] * passed_s)
        admitted = self.frames >= 1 and self.bytes >= min(Fraction(size), self.rates[1])
        if admitted:
            self.frames -= 1
            self.bytes -= size
        return admitted


@settings(max_examples=80, deadline=None)
@given(budgets, arrivals)
def test_it_admits_what_exact_arithmetic_admits(budget: tuple[int, int], frames: list[tuple[int, int]]) -> None:
    flow, exact, now_ns = Flow(*budget), Exact(*budget), START_NS
    refused = []
    for gap_ns, size in frames:
        now_ns += gap_ns
        admitted = flow.admits(size, now_ns)
        assert admitted == exact.admits(size, gap_ns)
        if not admitted:
            refused.append(size)
    assert (flow.dropped, flow.dropped_bytes) == (len(refused), sum(refused))


@settings(max_examples=60, deadline=None)
@given(budgets, arrivals)
def test_no_stretch_of_time_has_more_than_its_share_and_a_second_at_once(
    budget: tuple[int, int], frames: list[tuple[int, int]]
) -> None:
    flow, now_ns = Flow(*budget), START_NS
    admitted: list[tuple[int, int]] = []
    for gap_ns, size in frames:
        now_ns += gap_ns
        if flow.admits(min(size, budget[1]), now_ns):
            admitted.append((now_ns, min(size, budget[1])))
    for first in range(len(admitted)):
        for last in range(first, len(admitted)):
            spans_s = Fraction(admitted[last][0] - admitted[first][0], NANOS_PER_S) + 1
            assert last - first + 1 <= budget[0] * spans_s
            assert sum(size for _, size in admitted[first : last + 1]) <= budget[1] * spans_s


@settings(max_examples=60, deadline=None)
@given(budgets, arrivals)
def test_the_wait_is_neither_short_nor_long(budget: tuple[int, int], frames: list[tuple[int, int]]) -> None:
    flow, now_ns = Flow(*budget), START_NS
    for gap_ns, size in frames:
        now_ns += gap_ns
        while not flow.admits(size, now_ns):
            wait_ns = flow.wait_ns(now_ns)
            assert wait_ns > 0
            assert flow.wait_ns(now_ns + wait_ns // 2) == wait_ns - wait_ns // 2
            assert not flow.admits(size, now_ns + wait_ns - 1)
            now_ns += wait_ns
            assert flow.wait_ns(now_ns) == 0


def test_whoever_keeps_within_the_budget_loses_nothing() -> None:
    flow = Flow(20, 2_000)
    assert all(flow.admits(100, START_NS + n * NANOS_PER_S // 20) for n in range(2_000))
    assert flow.dropped == 0


def test_a_flood_costs_all_but_the_budget() -> None:
    flow = Flow(20, 1 << 20)
    assert sum(flow.admits(10, START_NS + n * 1_000_000) for n in range(10_000)) == 20 + 199
    assert flow.dropped == 10_000 - 219


def test_a_frame_larger_than_a_second_is_late_and_leaves_a_debt() -> None:
    flow = Flow(100, 1_000)
    assert flow.admits(1, START_NS)
    assert not flow.admits(3_000, START_NS)
    assert flow.wait_ns(START_NS) == NANOS_PER_S // 1_000
    assert flow.admits(3_000, START_NS + NANOS_PER_S)
    assert not flow.admits(1_000, START_NS + 3 * NANOS_PER_S)
    assert flow.admits(1_000, START_NS + 4 * NANOS_PER_S)


def test_a_clock_that_runs_back_fills_nothing() -> None:
    flow = Flow(1, 1_000)
    assert flow.admits(1, START_NS)
    assert not flow.admits(1, START_NS - 5 * NANOS_PER_S)
    assert flow.wait_ns(START_NS - 5 * NANOS_PER_S) == NANOS_PER_S
    assert not flow.admits(1, START_NS)


def test_a_budget_of_nothing_is_a_mistake() -> None:
    for frames, size in ((0, 1), (1, 0)):
        with pytest.raises(AssertionError):
            Flow(frames, size)
