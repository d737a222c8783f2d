"""Each source has a clock of its own, which only its own books wind."""

from __future__ import annotations

from oracle.collectors.liveness import FIRST_NS, PATIENCE_NS_MAX, SILENT_NS_MAX, SILENT_NS_MIN, Liveness
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S


def ticking(gap_ns: int, count: int = 40) -> tuple[Liveness, int]:
    """A liveness whose source 0 ticked at a pace, and the time of its last tick. Source 1 never did."""
    liveness = Liveness([0, 1])
    liveness.connected(0)
    for tick in range(1, count + 1):
        liveness.said(0, tick * gap_ns)
    return liveness, count * gap_ns


def test_the_deadline_is_twenty_median_gaps_between_five_and_sixty_seconds() -> None:
    for gap_ms, deadline_ns in [(10, SILENT_NS_MIN), (1_000, 20 * NANOS_PER_S), (20_000, SILENT_NS_MAX)]:
        assert ticking(gap_ms * NANOS_PER_MS)[0].deadline_ns(0) == deadline_ns


def test_one_dead_symbol_is_seen_beside_a_live_one() -> None:
    liveness, now_ns = ticking(100 * NANOS_PER_MS)
    assert liveness.silent(now_ns) == ()
    for tick in range(1, 200):
        liveness.said(0, now_ns + tick * 100 * NANOS_PER_MS)
    assert liveness.silent(now_ns + 20 * NANOS_PER_S) == (1,)


def test_a_silence_is_seen_just_after_the_deadline() -> None:
    liveness, now_ns = ticking(10 * NANOS_PER_MS)
    assert 0 not in liveness.silent(now_ns + SILENT_NS_MIN)
    assert 0 in liveness.silent(now_ns + SILENT_NS_MIN + 1)


def test_a_slow_symbol_is_not_repaired_while_it_keeps_its_pace() -> None:
    liveness = Liveness([0])
    liveness.connected(0)
    for tick in range(1, 100):
        now_ns = tick * 12 * NANOS_PER_S
        assert liveness.silent(now_ns) == ()
        liveness.said(0, now_ns)


def test_a_market_that_stays_closed_gets_ever_more_patience() -> None:
    liveness = Liveness([0])
    patience = []
    for _ in range(20):
        patience.append(liveness.deadline_ns(0))
        liveness.connected(0)
        liveness.said(0, 1)  # the snapshot alone is no sign of life
        liveness.repaired(liveness.silent(PATIENCE_NS_MAX * 2))
    assert patience[:3] == [FIRST_NS, FIRST_NS * 2, FIRST_NS * 4]
    assert patience[-1] == PATIENCE_NS_MAX


def test_patience_ends_when_the_source_ticks_at_its_pace_again() -> None:
    liveness, now_ns = ticking(100 * NANOS_PER_MS)
    liveness.repaired([0])
    assert liveness.deadline_ns(0) == 2 * SILENT_NS_MIN
    liveness.connected(now_ns)
    liveness.said(0, now_ns + 1)
    assert liveness.deadline_ns(0) == 2 * SILENT_NS_MIN
    liveness.said(0, now_ns + 2)
    assert liveness.deadline_ns(0) == SILENT_NS_MIN


def test_a_connection_winds_every_clock() -> None:
    liveness, now_ns = ticking(10 * NANOS_PER_MS)
    later_ns = now_ns + 3_600 * NANOS_PER_S
    assert liveness.silent(later_ns) == (0, 1)
    liveness.connected(later_ns)
    assert liveness.silent(later_ns + SILENT_NS_MIN) == ()
