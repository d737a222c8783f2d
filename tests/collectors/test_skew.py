"""A clock that drifts moves every second and for good; delays, bursts and single falsehoods move single messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.collectors.skew import DELAYS_REMEMBERED, WINDOW_S, Skew
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S

START_S = 1_790_000_000
BOUND_NS = 500 * NANOS_PER_MS
WAY_S = 0.03

Message = tuple[float, float]  # (received, stated by the venue), in seconds from the start


def stream(
    seed: int, *, seconds: float = 150.0, per_s: float = 7.0, delay_s: float = 0.02, in_order: bool = True
) -> list[Message]:
    """An honest venue: Poisson messages with exponential delays, in order as over one connection, or not."""
    random, sent_s, last_s, messages = Random(seed), 0.0, 0.0, []
    while sent_s < seconds:
        sent_s += random.expovariate(per_s)
        at_s = sent_s + WAY_S + random.expovariate(1 / delay_s)
        last_s = max(last_s, at_s) if in_order else at_s
        messages.append((last_s, sent_s))
    return sorted(message for message in messages if message[0] < seconds)


def heard(messages: Iterable[Message], skew: Skew | None = None) -> Iterator[tuple[float, int]]:
    """(time of receipt, what is said of the drift then), for each message."""
    skew = skew or Skew()
    for received_s, stated_s in messages:
        skew.add(int((received_s - stated_s) * NANOS_PER_S), int((START_S + received_s) * NANOS_PER_S))
        yield received_s, skew.drifting_ns()


def worst_ns(messages: Iterable[Message]) -> int:
    return max(abs(drift_ns) for _, drift_ns in heard(messages))


def drifting(messages: list[Message], from_s: float, per_s: float) -> list[Message]:
    """The same venue with a clock that runs away from `from_s` on, by so much a second."""
    return [(at_s, stated_s + per_s * max(0.0, stated_s - from_s)) for at_s, stated_s in messages]


@pytest.mark.parametrize("per_s", [0.1, -0.1, 0.3, -0.3])
@pytest.mark.parametrize(("rate", "delay_s"), [(4, 0.02), (7, 0.1), (30, 0.1)])
@pytest.mark.parametrize("from_s", [30.0, 100.0])
def test_a_clock_that_runs_away_is_seen_within_fifteen_seconds(
    per_s: float, rate: float, delay_s: float, from_s: float
) -> None:
    messages = drifting(stream(7, per_s=rate, delay_s=delay_s), from_s, per_s)
    told = [(at_s, drift_ns) for at_s, drift_ns in heard(messages) if abs(drift_ns) > BOUND_NS]
    assert from_s < told[0][0] <= from_s + 15.0
    assert all(drift_ns * per_s < 0 for _, drift_ns in told)  # a clock that runs ahead makes delays shrink
    settled = [drift_ns for at_s, drift_ns in heard(messages) if at_s > from_s + 15.0]
    assert min(map(abs, settled)) > BOUND_NS  # for as long as it drifts


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from([0.3, 1.0, 4.0, 12.0]),
    st.sampled_from([0.02, 0.3, 1.0]),
    st.booleans(),
)
def test_honest_delays_of_seconds_are_no_drift(seed: int, rate: float, delay_s: float, in_order: bool) -> None:
    assert worst_ns(stream(seed, per_s=rate, delay_s=delay_s, in_order=in_order)) < BOUND_NS


def late_second(messages: list[Message]) -> list[Message]:
    return sorted((at_s + (2.0 if 60 <= at_s < 61 else 0.0), stated_s) for at_s, stated_s in messages)


def held_up(messages: list[Message]) -> list[Message]:
    """What arrives within these twelve seconds is delivered at once when they are over, the oldest first."""
    return [(72.0 + (at_s - 60.0) * 0.05 if 60 <= at_s < 72.6 else at_s, s) for at_s, s in messages]


def one_from_the_future(messages: list[Message]) -> list[Message]:
    return [(at_s, stated_s + (3_600.0 if n == 400 else 0.0)) for n, (at_s, stated_s) in enumerate(messages)]


def many_from_the_past(messages: list[Message]) -> list[Message]:
    return [(at_s, stated_s - (3_600.0 if n % 3 == 0 else 0.0)) for n, (at_s, stated_s) in enumerate(messages)]


def interrupted(messages: list[Message]) -> list[Message]:
    return [message for message in messages if not 50 <= message[0] < 90]


@pytest.mark.parametrize("harm", [late_second, held_up, one_from_the_future, many_from_the_past, interrupted])
@pytest.mark.parametrize("seed", [1, 2])
def test_what_happens_once_is_no_drift(harm: Callable[[list[Message]], list[Message]], seed: int) -> None:
    assert worst_ns(harm(stream(seed))) < BOUND_NS


def test_nothing_is_judged_before_enough_is_known() -> None:
    messages = drifting(stream(3, seconds=15), 0.0, 1.0)
    assert worst_ns(messages) == 0
    assert worst_ns(drifting(stream(3, per_s=0.1, seconds=1_000), 200.0, 1.0)) == 0  # speaks too seldom


GAPS_NS = [0, 1, NANOS_PER_S // 3, 40 * NANOS_PER_S, (WINDOW_S + 1) * NANOS_PER_S]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-(10**9), 10**10), st.sampled_from(GAPS_NS)), min_size=1, max_size=80))
def test_the_offset_is_the_least_delay_of_the_window(steps: list[tuple[int, int]]) -> None:
    skew, at_ns = Skew(), START_S * NANOS_PER_S
    assert skew.offset_ns is None
    said: list[tuple[int, int]] = []
    for delay_ns, gap_ns in steps:
        at_ns += gap_ns
        said.append((at_ns // NANOS_PER_S, delay_ns))
        skew.add(delay_ns, at_ns)
        now = at_ns // NANOS_PER_S
        finished = [delay for second, delay in said if now - WINDOW_S <= second < now]
        assert skew.offset_ns == min(finished or [delay for second, delay in said if second == now])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-(10**9), 10**10), min_size=1, max_size=2 * DELAYS_REMEMBERED + 9))
def test_the_jitter_is_that_of_the_last_messages(delays: list[int]) -> None:
    skew = Skew()
    assert skew.jitter_ns is None
    for n, delay_ns in enumerate(delays):
        skew.add(delay_ns, START_S * NANOS_PER_S + n * NANOS_PER_MS)
    last = sorted(delays[-DELAYS_REMEMBERED:])
    assert skew.jitter_ns is not None
    above = sum(delay - last[0] > skew.jitter_ns for delay in last)
    assert above <= len(last) * 0.1 + 1
    assert last[0] + skew.jitter_ns in last


def test_a_receipt_of_the_second_before_counts_with_this_one() -> None:
    skew = Skew()
    skew.add(5, START_S * NANOS_PER_S)
    skew.add(3, (START_S - 1) * NANOS_PER_S)
    assert skew.offset_ns == 3
