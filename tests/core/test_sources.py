"""One source, looked at alone: every verdict it can earn by itself, and an age that only its book makes younger."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.core.sources import (
    SourceState,
    apply_book,
    apply_link,
    apply_trade,
    bounds,
    examine,
    new_source,
    stale_after_ns,
)
from oracle.core.types import BookTop, Link, Side, Trade, Verdict
from oracle.methods.hk1 import SETS

RULES = SETS[0].source
WITHIN = bounds(RULES)
MS = 1_000_000
T0 = 1_700_000_000_000 * MS


def said(*tops: tuple[int, float, float, int]) -> SourceState:
    """A source that stated books: (ms, bid, ask, event ms; 0 for none)."""
    state = new_source(RULES)
    for ms, bid, ask, event in tops:
        apply_book(state, BookTop(0, bid, 1.0, ask, 1.0, T0 + event * MS if event else 0, T0 + ms * MS), RULES)
    return state


def test_nothing_is_known_of_a_new_source() -> None:
    state = new_source(RULES)
    assert examine(state, WITHIN, T0).verdict is Verdict.NO_PRICE
    apply_link(state, Link(0, False, "closed", T0))
    assert examine(state, WITHIN, T0).verdict is Verdict.LINK_DOWN


@pytest.mark.parametrize(
    ("bid", "ask", "verdict"),
    [
        (0.0, 101.0, Verdict.ONE_SIDED),
        (100.0, 0.0, Verdict.ONE_SIDED),
        (101.0, 100.0, Verdict.CROSSED),
        (100.0, 100.0, Verdict.CROSSED),
        (99.0, 101.0, Verdict.WIDE),
        (99.49, 100.5, Verdict.WIDE),
        (99.51, 100.5, None),
        (100.0, 100.5, None),
        (0.00010, 0.000101, None),
        (0.000101, 0.0001, Verdict.CROSSED),
        (float("nan"), 100.0, Verdict.ONE_SIDED),
        (100.0, float("nan"), Verdict.ONE_SIDED),
        (100.0, float("inf"), Verdict.ONE_SIDED),
    ],
)
def test_a_book_is_judged_and_never_repaired(bid: float, ask: float, verdict: Verdict | None) -> None:
    seen = examine(said((1, bid, ask, 0)), WITHIN, T0 + 2 * MS)
    assert seen.verdict is verdict
    assert (seen.price > 0) == (verdict is None)


def test_the_price_is_anchored_to_a_recent_trade() -> None:
    state = said((1, 100.0, 100.4, 0))
    assert examine(state, WITHIN, T0 + 2 * MS).price == 100.2
    apply_trade(state, Trade(0, 100.4, 1.0, Side.BUY, 0, T0 + 2 * MS))
    assert examine(state, WITHIN, T0 + 3 * MS).price == 100.4
    apply_trade(state, Trade(0, 250.0, 1.0, Side.BUY, 0, T0 + 2 * MS))
    assert examine(state, WITHIN, T0 + 3 * MS).price == 100.4, "a trade outside the book cannot leave it"
    apply_book(state, BookTop(0, 100.0, 1.0, 100.4, 1.0, 0, T0 + 61_000 * MS), RULES)
    late = examine(state, WITHIN, T0 + 62_003 * MS)
    assert (late.price, late.traded) == (100.2, False)


def test_neither_a_trade_nor_a_link_makes_a_price_younger() -> None:
    state = said((0, 100.0, 100.1, 0))
    apply_trade(state, Trade(0, 100.0, 1.0, Side.BUY, 0, T0 + 9_000 * MS))
    apply_link(state, Link(0, True, "open", T0 + 9_000 * MS))
    assert examine(state, WITHIN, T0 + 9_500 * MS).age_ns == 9_500 * MS
    assert examine(state, WITHIN, T0 + 9_500 * MS).verdict is Verdict.STALE


def test_a_broken_line_ends_the_price() -> None:
    state = said((0, 100.0, 100.1, 0))
    apply_link(state, Link(0, False, "closed", T0 + MS))
    assert examine(state, WITHIN, T0 + 2 * MS).verdict is Verdict.LINK_DOWN
    apply_link(state, Link(0, True, "open", T0 + 3 * MS))
    assert examine(state, WITHIN, T0 + 4 * MS).verdict is Verdict.NO_PRICE


@given(st.integers(10, 5_000), st.integers(0, 40_000))
def test_stale_follows_the_sources_own_gaps_within_bounds(gap: int, silence: int) -> None:
    state = said(*[(n * gap, 100.0, 100.1, 0) for n in range(40)])
    limit = min(max(8 * gap, RULES.stale_ms_min), RULES.stale_ms_max) * MS
    assert stale_after_ns(state, WITHIN) == limit
    seen = examine(state, WITHIN, T0 + (39 * gap + silence) * MS)
    assert (seen.verdict is Verdict.STALE) == (silence * MS > limit)
    assert (seen.price > 0) == (silence <= RULES.stale_ms_max)


def test_the_older_of_the_two_ages_counts() -> None:
    stuck = said(*[(n * 100, 100.0, 100.1, 1 + min(n * 100, 3_000)) for n in range(1, 101)])
    seen = examine(stuck, WITHIN, T0 + 10_000 * MS)
    assert seen.age_ns == pytest.approx(7_000 * MS, abs=2 * MS)
    assert seen.verdict is Verdict.STALE


@pytest.mark.parametrize("skew_ms", [-3_000, -1_270, 0, 1_270, 3_000])
def test_a_clock_that_is_off_is_corrected(skew_ms: int) -> None:
    state = new_source(RULES)
    for n in range(1, 50):
        event = T0 + (n * 100 + skew_ms - 30) * MS
        apply_book(state, BookTop(0, 100.0, 1.0, 100.1, 1.0, event, T0 + n * 100 * MS), RULES)
    seen = examine(state, WITHIN, T0 + 4_950 * MS)
    assert seen.verdict is None
    assert seen.age_ns == 50 * MS


def test_a_clock_that_jumps_ahead_is_not_believed() -> None:
    state = new_source(RULES)
    for n in range(700):
        apply_book(state, BookTop(0, 100.0, 1.0, 100.1, 1.0, T0 + n * 100 * MS, T0 + n * 100 * MS), RULES)
    apply_book(state, BookTop(0, 100.0, 1.0, 100.1, 1.0, T0 + 73_000 * MS, T0 + 70_000 * MS), RULES)
    assert examine(state, WITHIN, T0 + 70_001 * MS).verdict is Verdict.FUTURE


def test_a_clock_farther_off_than_a_clock_may_be_is_the_future() -> None:
    state = new_source(RULES)
    for n in range(50):
        apply_book(state, BookTop(0, 100.0, 1.0, 100.1, 1.0, T0 + (n * 100 + 9_000) * MS, T0 + n * 100 * MS), RULES)
    assert examine(state, WITHIN, T0 + 4_950 * MS).verdict is Verdict.FUTURE


@given(st.lists(st.tuples(st.integers(0, 3_000), st.integers(-20_000, 20_000)), min_size=1, max_size=30))
def test_no_age_is_negative(steps: list[tuple[int, int]]) -> None:
    state, at = new_source(RULES), T0
    for wait, skew in steps:
        at += wait * MS
        apply_book(state, BookTop(0, 100.0, 1.0, 100.1, 1.0, at + skew * MS, at), RULES)
        assert examine(state, WITHIN, at).age_ns >= 0


@pytest.mark.parametrize(("ahead_ms", "verdict"), [(2_000, None), (2_001, Verdict.FUTURE)])
def test_an_event_may_be_so_far_ahead_and_no_farther(ahead_ms: int, verdict: Verdict | None) -> None:
    state = said(*[(n * 100, 100.0, 100.1, n * 100) for n in range(1, 700)])
    event = T0 + (70_000 + ahead_ms) * MS
    apply_book(state, BookTop(0, 100.0, 1.0, 100.1, 1.0, event, T0 + 70_000 * MS), RULES)
    assert examine(state, WITHIN, T0 + 70_000 * MS).verdict is verdict


@given(
    st.lists(st.tuples(st.integers(1, 3_000), st.integers(-10, 9_000), st.integers(-20, 120)), min_size=1, max_size=12),
    st.one_of(st.none(), st.integers(0, 59_000)),
    st.booleans(),
    st.lists(st.integers(0, 30_000), min_size=1, max_size=6),
)
def test_what_a_source_counts_for_stands_until_it_says(
    books: list[tuple[int, int, int]], traded_ms: int | None, excluded: bool, waits_ms: list[int]
) -> None:
    state, at = new_source(RULES), T0
    for wait, lag, width in books:
        at += wait * MS
        venue_ns = at - lag * MS if lag >= 0 else 0
        apply_book(state, BookTop(0, 100.0, 1.0, 100.0 + width / 100, 1.0, venue_ns, at), RULES)
    if traded_ms is not None:
        apply_trade(state, Trade(0, 100.0, 1.0, Side.BUY, 0, at - traded_ms * MS))
    state.excluded = excluded
    first = examine(state, WITHIN, at)
    for later in sorted({at, at + 1, first.until_ns, *(at + ms * MS for ms in waits_ms)}):
        now = examine(state, WITHIN, later)
        assert now.age_ns == max(0, later - now.since_ns)
        if later <= first.until_ns:
            stands = (first.price, first.verdict, first.traded, first.since_ns)
            assert (now.price, now.verdict, now.traded, now.since_ns) == stands


def test_an_excluded_source_is_excluded() -> None:
    state = said((0, 100.0, 100.1, 0))
    state.excluded = True
    assert examine(state, WITHIN, T0 + MS).verdict is Verdict.EXCLUDED
