"""Redundant lines are one: in order, nothing twice, nothing lost that was first, and a line alone is left alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from oracle.collectors.merge import (
    LINES_MAX,
    PASSED_REMEMBERED,
    SILENT_NS_MAX,
    SILENT_NS_MIN,
    STUCK_NS,
    TRADES_REMEMBERED,
    Merge,
    State,
)
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, BookTop, Depth, Nanos, Side, Ticker, TickerKind, Trade

AT_NS = 1_790_000_000 * NANOS_PER_S
E = TypeVar("E", BookTop, Trade)


def book(venue_ms: int, bid: float = 100.0, recv_ms: int = 0, size: float = 1.0) -> BookTop:
    """A book; `venue_ms` and `recv_ms` count from the start, a `venue_ms` below 0 is no venue time."""
    venue_ns = AT_NS + venue_ms * NANOS_PER_MS if venue_ms >= 0 else 0
    return BookTop(0, bid, size, bid + 1.0, size, venue_ns, AT_NS + max(venue_ms, recv_ms) * NANOS_PER_MS)


def trade(venue_ms: int, price: float = 100.0, recv_ms: int = 0) -> Trade:
    venue_ns = AT_NS + venue_ms * NANOS_PER_MS if venue_ms >= 0 else 0
    return Trade(0, price, 1.0, Side.BUY, venue_ns, AT_NS + max(venue_ms, recv_ms) * NANOS_PER_MS)


def lines(
    truth: Sequence[E], keep: Sequence[Sequence[bool]], delays_ms: Sequence[Sequence[int]]
) -> list[tuple[int, E]]:
    """What arrives of a sequence over several lines: each in order, late and with holes."""
    arriving: list[tuple[Nanos, int, int, E]] = []
    for line, (kept, delays) in enumerate(zip(keep, delays_ms, strict=True)):
        at_ns = 0
        for n, said in enumerate(truth):
            if kept[n % len(kept)]:
                at_ns = max(at_ns, said.venue_ns + delays[n % len(delays)] * NANOS_PER_MS)
                arriving.append((at_ns, line, n, said))
    arriving.sort(key=lambda one: one[:3])
    return [(line, replace(said, recv_ns=at_ns)) for at_ns, line, _, said in arriving]


gaps = st.lists(st.integers(1, 900), min_size=1, max_size=40)
some_gaps = st.lists(st.one_of(st.just(0), st.integers(0, 900)), min_size=1, max_size=40)
delays = st.lists(st.lists(st.integers(0, 12_000), min_size=1, max_size=7), min_size=2, max_size=2)
holes = st.lists(st.lists(st.booleans(), min_size=1, max_size=9), min_size=2, max_size=2)
WHOLE = [[True], [True]]
values = st.lists(st.sampled_from([100.0, 101.0, 102.0]), min_size=40, max_size=40)


def times(gaps_ms: list[int]) -> list[int]:
    return [sum(gaps_ms[: n + 1]) for n in range(len(gaps_ms))]


@settings(max_examples=150, deadline=None)
@given(gaps, values, holes, delays)
def test_two_lines_with_delays_and_losses_are_one_in_order(
    gaps_ms: list[int], bids: list[float], keep: list[list[bool]], delays_ms: list[list[int]]
) -> None:
    truth = [book(at, bid) for at, bid in zip(times(gaps_ms), bids, strict=False)]
    merge, newest_ns, passed = Merge([0]), 0, []
    arriving = lines(truth, keep, delays_ms)
    for line, said in arriving:
        new = merge.passes(line, said)
        assert new == (said.venue_ns > newest_ns)  # first and newest: never lost; else never again
        newest_ns = max(newest_ns, said.venue_ns)
        passed += [said.venue_ns] * new
    assert passed == sorted(set(passed))
    assert merge.duplicates + merge.outdated == len(arriving) - len(passed)


@settings(max_examples=150, deadline=None)
@given(some_gaps, values, delays)
def test_several_statements_of_one_millisecond_pass_once_each(
    gaps_ms: list[int], bids: list[float], delays_ms: list[list[int]]
) -> None:
    truth = [book(at, bid) for at, bid in zip(times(gaps_ms), bids, strict=False)]
    truth = [said for n, said in enumerate(truth) if n == 0 or said != truth[n - 1]]
    merge = Merge([0])
    passed = [said for line, said in lines(truth, WHOLE, delays_ms) if merge.passes(line, said)]
    assert [(said.venue_ns, said.bid) for said in passed] == [(said.venue_ns, said.bid) for said in truth]
    assert (merge.duplicates, merge.outdated) == (len(truth), 0)


@settings(max_examples=100, deadline=None)
@given(some_gaps, values, delays)
def test_each_trade_counts_once_and_two_of_the_same_line_count_twice(
    gaps_ms: list[int], prices: list[float], delays_ms: list[list[int]]
) -> None:
    truth = [trade(at, price) for at, price in zip(times(gaps_ms), prices, strict=False)]
    merge = Merge([0])
    passed = [said for line, said in lines(truth, WHOLE, delays_ms) if merge.passes(line, said)]
    assert [(said.venue_ns, said.price) for said in passed] == [(said.venue_ns, said.price) for said in truth]


@settings(max_examples=100, deadline=None)
@given(some_gaps, values, holes, delays)
def test_trades_with_losses_are_in_order_and_never_more_than_there_were(
    gaps_ms: list[int], prices: list[float], keep: list[list[bool]], delays_ms: list[list[int]]
) -> None:
    truth = [trade(at, price) for at, price in zip(times(gaps_ms), prices, strict=False)]
    merge, front_ns = Merge([0]), 0
    passed = []
    for line, said in lines(truth, keep, delays_ms):
        new = merge.passes(line, said)
        assert new or said.venue_ns <= front_ns
        front_ns = max(front_ns, said.venue_ns)
        passed += [said] * new
    assert [said.venue_ns for said in passed] == sorted(said.venue_ns for said in passed)
    assert Counter((t.venue_ns, t.price) for t in passed) <= Counter((t.venue_ns, t.price) for t in truth)


moments = st.one_of(st.just(0), st.integers(1, 10**6).map(lambda n: AT_NS + n))
prices = st.sampled_from([100.0, 101.0])
received = st.integers(0, 100 * NANOS_PER_S)
events = st.one_of(
    st.builds(BookTop, st.integers(0, 1), prices, prices, prices, prices, moments, received),
    st.builds(Depth, st.integers(0, 1), st.just(((1.0, 2.0),)), st.just(()), moments, received),
    st.builds(Ticker, st.integers(0, 1), st.sampled_from(list(TickerKind)), prices, moments, received),
    st.builds(Trade, st.integers(0, 1), prices, prices, st.sampled_from(list(Side)), moments, received),
)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 3), st.lists(events, max_size=90))
def test_a_line_alone_is_never_filtered(line: int, said: list[State | Trade]) -> None:
    merge = Merge([0, 1])
    for event in sorted(said, key=lambda event: event.recv_ns):
        assert merge.passes(line, event)
        if event.recv_ns % 7 == 0:
            merge.ended(line)
    assert (merge.duplicates, merge.outdated) == (0, 0)


def test_statements_of_different_kinds_do_not_meet() -> None:
    merge = Merge([0])
    ladder = ((100.0, 1.0),)
    said: list[State | Trade] = [
        book(500),
        Depth(0, ladder, ladder, AT_NS + 400, AT_NS + NANOS_PER_S),
        Ticker(0, TickerKind.LAST, 100.0, AT_NS + 300, AT_NS + NANOS_PER_S),
        Ticker(0, TickerKind.MARK, 100.0, AT_NS + 200, AT_NS + NANOS_PER_S),
        trade(100, recv_ms=1_000),
    ]
    assert all(merge.passes(0, event) for event in said)
    assert not any(merge.passes(1, event) for event in said)
    assert merge.duplicates == len(said)
    depth = Depth(0, ladder, (), AT_NS + 400, AT_NS + NANOS_PER_S)
    assert merge.passes(1, depth)  # another ladder of the same time


def test_without_venue_times_the_first_living_line_has_the_word() -> None:
    merge = Merge([0])
    assert merge.passes(1, book(-1, recv_ms=0))
    assert merge.passes(0, book(-1, recv_ms=100))
    assert not merge.passes(1, book(-1, 200.0, recv_ms=200))
    silent_ms = SILENT_NS_MIN // NANOS_PER_MS
    assert not merge.passes(1, book(-1, recv_ms=100 + silent_ms))
    assert merge.passes(1, book(-1, recv_ms=101 + silent_ms))
    assert merge.passes(0, book(-1, recv_ms=102 + silent_ms))
    assert not merge.passes(1, book(-1, recv_ms=103 + silent_ms))
    assert merge.duplicates == 3


def test_a_slow_line_lives_for_eight_of_its_gaps_but_not_for_minutes() -> None:
    for gap_ms, patience_ms in ((1_000, 8_000), (30_000, SILENT_NS_MAX // NANOS_PER_MS)):
        merge = Merge([0])
        for n in range(10):
            assert merge.passes(0, book(-1, recv_ms=n * gap_ms))
        last_ms = 9 * gap_ms
        assert not merge.passes(1, book(-1, recv_ms=last_ms + patience_ms))
        assert merge.passes(1, book(-1, recv_ms=last_ms + patience_ms + 1))


def test_a_line_whose_connection_ended_has_no_word() -> None:
    merge = Merge([0])
    assert merge.passes(0, book(-1, recv_ms=0))
    assert merge.passes(0, trade(-1, recv_ms=0))
    assert not merge.passes(1, book(-1, recv_ms=1))
    assert not merge.passes(1, trade(-1, recv_ms=1))
    merge.ended(0)
    merge.ended(5)
    assert merge.passes(1, book(-1, recv_ms=2))
    assert merge.passes(1, trade(-1, recv_ms=2))


def test_after_a_new_connection_the_old_order_proves_nothing() -> None:
    merge = Merge([0])
    assert merge.passes(0, book(5_000))
    assert not merge.passes(1, book(4_900, recv_ms=5_001))
    merge.ended(0)
    assert not merge.passes(0, book(3_000, 99.0, recv_ms=5_100))  # a snapshot that lags
    assert merge.outdated == 2
    assert merge.passes(0, book(5_050, 98.0, recv_ms=5_200))


def test_a_first_line_without_times_is_not_outranked_by_a_second_with_times() -> None:
    merge = Merge([0])
    assert merge.passes(0, book(-1, recv_ms=0))
    assert not merge.passes(1, book(100))
    assert merge.passes(1, book(3_000))
    assert merge.passes(0, trade(-1, recv_ms=3_000))
    assert not merge.passes(1, trade(3_001))


def test_a_cached_answer_does_not_replace_a_living_line() -> None:
    merge = Merge([0])
    assert merge.passes(0, book(1_000))
    assert merge.passes(1, book(1_050, 101.0))
    assert not merge.passes(1, book(200, 99.0, recv_ms=1_100))
    assert not merge.passes(1, book(1_050, 101.0, recv_ms=1_200))  # said before, however often
    assert (merge.duplicates, merge.outdated) == (1, 1)
    assert merge.passes(1, book(1_050, 102.0, recv_ms=1_250))
    silent_ms = SILENT_NS_MIN // NANOS_PER_MS
    assert merge.passes(1, book(1_050, 102.0, recv_ms=1_001 + silent_ms))  # alone now: nothing is kept back
    assert merge.passes(1, book(200, 99.0, recv_ms=1_002 + silent_ms))


def test_a_clock_that_is_set_back_is_followed_at_once() -> None:
    merge = Merge([0])
    for line in (0, 1):
        assert merge.passes(line, book(100_000)) == (line == 0)
    assert merge.passes(0, book(40_000, 101.0, recv_ms=100_100))
    assert not merge.passes(1, book(40_000, 101.0, recv_ms=100_150))
    assert merge.passes(1, book(40_100, 102.0, recv_ms=100_200))


def test_a_clock_that_is_set_back_is_followed_by_a_line_that_had_not_come_to_the_end() -> None:
    merge = Merge([0])
    assert merge.passes(0, book(99_900))
    assert merge.passes(1, book(100_000, 101.0))
    assert not merge.passes(0, book(99_500, 99.0, recv_ms=100_010))  # disorder
    assert merge.passes(0, book(40_000, 102.0, recv_ms=100_100))


@pytest.mark.parametrize("say", [book, trade])
def test_a_line_that_cannot_prove_its_order_is_heard_when_nothing_else_passes(
    say: Callable[..., BookTop | Trade],
) -> None:
    merge = Merge([0])
    stuck_ms = STUCK_NS // NANOS_PER_MS
    assert merge.passes(1, say(100_000))
    assert not merge.passes(0, say(40_000, 101.0, 100_000 + stuck_ms))
    assert merge.passes(0, say(40_001, 102.0, 100_001 + stuck_ms))
    assert merge.passes(0, say(40_002, 102.0, 100_002 + stuck_ms))


def test_memory_is_bounded() -> None:
    merge = Merge([0])
    for n in range(10 * TRADES_REMEMBERED):
        assert merge.passes(0, trade(n))
        assert merge.passes(0, book(n))
    assert not merge.passes(1, trade(9 * TRADES_REMEMBERED + 1, recv_ms=10 * TRADES_REMEMBERED))
    assert not merge.passes(1, trade(0, recv_ms=10 * TRADES_REMEMBERED))
    assert (merge.duplicates, merge.outdated) == (1, 1)  # recognised, and forgotten
    trades, sequence = merge._trades[0], merge._states[0][BookTop]
    assert len(trades._said) + len(trades._said_before) <= 2 * TRADES_REMEMBERED
    assert len(sequence._passed) == PASSED_REMEMBERED
    with pytest.raises(AssertionError):
        merge.passes(LINES_MAX, book(0))


def test_a_line_far_behind_is_older_whatever_it_says() -> None:
    merge = Merge([0])
    for n in range(3 * PASSED_REMEMBERED):
        assert merge.passes(0, book(n))
    assert not any(merge.passes(1, book(n, recv_ms=1_000)) for n in range(3 * PASSED_REMEMBERED))
    assert (merge.duplicates, merge.outdated) == (PASSED_REMEMBERED, 2 * PASSED_REMEMBERED)
