"""The law of the waits: full jitter, capped, forgiven by a healthy minute; and never two dials in a second."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.collectors.backoff import HEALTHY_NS, Backoff, DialBudget
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S


def test_the_ceiling_doubles_from_a_quarter_second_to_thirty() -> None:
    backoff = Backoff(lambda: 1.0)
    assert [backoff.wait_s(0) for _ in range(9)] == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_the_wait_is_uniform_below_the_ceiling() -> None:
    backoff = Backoff(Random(7).random)
    for _ in range(10):
        backoff.wait_s(0)
    waits = [backoff.wait_s(0) for _ in range(2_000)]
    assert 0.0 <= min(waits) < 1.0
    assert 29.0 < max(waits) < 30.0
    assert 14.0 < sum(waits) / len(waits) < 16.0


def test_only_a_healthy_minute_forgives() -> None:
    backoff = Backoff(lambda: 1.0)
    for _ in range(4):
        backoff.wait_s(0)
    assert backoff.wait_s(HEALTHY_NS - 1) == 4.0
    assert backoff.wait_s(HEALTHY_NS) == 0.25
    assert backoff.wait_s(0) == 0.5


def test_what_a_venue_asks_for_is_waited_at_the_least() -> None:
    assert Backoff(lambda: 0.0).wait_s(0, 12.0) == 12.0
    assert Backoff(lambda: 1.0).wait_s(0, 12.0) == 12.25


@settings(max_examples=50)
@given(st.lists(st.integers(0, 3_000), min_size=2, max_size=60), st.integers(1, 40))
def test_dials_are_a_second_apart_and_bounded_by_the_minute(gaps_ms: list[int], per_minute: int) -> None:
    budget, now_ns, dials = DialBudget(per_minute), 0, []
    for gap_ms in gaps_ms:
        now_ns += gap_ms * NANOS_PER_MS
        dials.append(now_ns + budget.reserve(now_ns))
    assert all(later - dial >= NANOS_PER_S for dial, later in pairwise(dials))
    for place in range(len(dials) - per_minute):
        assert dials[place + per_minute] - dials[place] >= 60 * NANOS_PER_S
