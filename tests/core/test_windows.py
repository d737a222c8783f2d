"""Bounded memories: they hold what they should, and nothing for ever."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.core.maths import decay
from oracle.core.windows import ClockOffset, Ema, Extremes, Gaps

MS = 1_000_000


@given(st.lists(st.integers(1, 10**10), max_size=80))
def test_gaps_keep_the_last_ones(gaps: list[int]) -> None:
    memory = Gaps(32)
    for gap in gaps:
        memory.add(gap)
    assert memory.median_ns() == (statistics.median(gaps[-32:]) if gaps else 0.0)


@given(st.lists(st.integers(1, 100), max_size=20))
def test_the_oldest_gap_is_the_first_to_go(gaps: list[int]) -> None:
    memory = Gaps(4)
    for gap in gaps:
        memory.add(gap)
    assert sorted(memory.gaps) == sorted(gaps[-4:])


def test_the_window_holds_its_own_edge() -> None:
    memory = Extremes()
    for at_ms, value in ((0, 1.0), (500, 9.0), (1_000, 5.0)):
        memory.add(at_ms * MS, value, 1_000 * MS)
    assert memory.range() == (1.0, 9.0)
    memory.add(1_000 * MS + 1, 5.0, 1_000 * MS)
    assert memory.range() == (5.0, 9.0)
    memory.add(1_500 * MS + 1, 5.0, 1_000 * MS)
    assert memory.range() == (5.0, 5.0)


@given(st.lists(st.tuples(st.integers(0, 800), st.floats(1, 100)), min_size=1, max_size=60))
def test_extremes_are_those_of_the_window(steps: list[tuple[int, float]]) -> None:
    memory, at, said = Extremes(), 0, []
    for wait, value in steps:
        at += wait * MS
        said.append((at, value))
        memory.add(at, value, 1000 * MS)
        within = [v for t, v in said if t >= at - 1000 * MS]
        assert memory.range() == (min(within), max(within))


def test_a_clock_offset_is_the_least_delay_of_finished_tenths() -> None:
    clock = ClockOffset()
    for second in range(59):
        clock.add(30 * MS + second % 7 * MS, second * 1_000 * MS, 600_000)
    assert clock.offset_ns == 30 * MS
    clock.add(-3_000 * MS, 59_500 * MS, 600_000)
    assert clock.offset_ns == -3_000 * MS, "while no tenth is finished the least so far is all there is"


def test_a_message_from_the_future_cannot_excuse_itself() -> None:
    clock = ClockOffset()
    for second in range(61):
        clock.add(30 * MS, second * 1_000 * MS, 600_000)
    clock.add(-3_000 * MS, 62_000 * MS, 600_000)
    assert clock.offset_ns == 30 * MS
    for second in range(120, 1_000, 10):
        clock.add(-3_000 * MS, second * 1_000 * MS, 600_000)
    assert clock.offset_ns == -3_000 * MS, "what lasts is a clock"
    assert len(clock.finished) <= 10


def test_an_old_offset_is_forgotten() -> None:
    clock = ClockOffset()
    for second in range(0, 1_500, 5):
        clock.add((10 if second < 60 else 500) * MS, second * 1_000 * MS, 600_000)
    assert clock.offset_ns == 500 * MS


def test_a_least_delay_is_remembered_for_the_window_and_no_longer() -> None:
    clock = ClockOffset()
    clock.add(5 * MS, 0, 600_000)
    for minute in range(1, 30):
        clock.add(500 * MS, minute * 60_000 * MS, 600_000)
        clock.add(400 * MS, (minute * 60_000 + 59_999) * MS, 600_000)
        assert clock.offset_ns == (5 if minute <= 10 else 400) * MS
        assert len(clock.finished) == min(minute, 10)


def test_an_average_over_irregular_times() -> None:
    ema = Ema()
    assert ema.value() is None
    ema.add(10.0, 1_000 * MS, 150_000)
    assert ema.value() is None
    ema.add(10.0, 1_000 * MS, 150_000)
    assert ema.value() is None, "no time has passed"
    ema.add(10.0, 3_000 * MS, 150_000)
    assert ema.value() == 10.0
    ema.add(20.0, 5_000 * MS, 150_000)
    keep = decay(2_000, 150_000)
    assert ema.value() == pytest.approx((10 * 2_000 * keep + 20 * 2_000) / (2_000 * keep + 2_000))
    ema.skip(6_000 * MS, 0.5)
    assert ema.at_ns == 6_000 * MS
    assert ema.value() == pytest.approx((10 * 2_000 * keep + 20 * 2_000) / (2_000 * keep + 2_000) / 2)


@given(st.lists(st.tuples(st.integers(1, 5_000), st.floats(-50, 50)), min_size=2, max_size=40))
def test_an_average_stays_within_what_it_averages(steps: list[tuple[int, float]]) -> None:
    ema, at = Ema(), 1
    ema.add(steps[0][1], at, 30_000)
    for wait, value in steps:
        at += wait * MS
        ema.add(value, at, 30_000)
    values = [v for _, v in steps]
    average = ema.value()
    assert average is not None
    assert min(values) - 1e-9 <= average <= max(values) + 1e-9
