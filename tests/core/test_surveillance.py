"""Watches: an alert when a condition has held long enough, one when it ends, and none besides."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oracle.core.index import Candidate
from oracle.core.surveillance import LIQUIDATIONS_KEPT_MAX, Watches, keep_recent, watch_sources
from oracle.core.types import Alert, AlertKind
from oracle.methods.hk1 import SETS

RULES = SETS[0].surveillance
MS = 1_000_000
T0 = 1_700_000_000_000 * MS
KIND = AlertKind.SOURCE_DEVIATION


@given(st.lists(st.tuples(st.integers(1, 4_000), st.booleans()), max_size=40), st.sampled_from([0, 1, 5_000]))
def test_an_alert_begins_once_and_ends_once(looks: list[tuple[int, bool]], after_ms: int) -> None:
    watches, at_ns, held_since, raised = Watches({}), T0, 0, False
    for wait, holds in looks:
        at_ns += wait * MS
        found = watches.see(KIND, "x", holds, after_ms, at_ns, 1.5, "bps")
        if holds:
            held_since = held_since or at_ns
            begins = not raised and at_ns - held_since >= after_ms * MS
            assert found == ([Alert(KIND, "x", True, held_since, at_ns, 1.5, "bps")] if begins else [])
            raised = raised or begins
        else:
            assert found == ([Alert(KIND, "x", False, held_since, at_ns, 1.5, "bps")] if raised else [])
            held_since, raised = 0, False
        assert ("x" in next(iter(watches.held), "")) == bool(held_since)


def test_targets_and_kinds_are_watched_apart() -> None:
    watches = Watches({})
    assert watches.see(KIND, "x", True, 0, T0, 0.0, "")
    assert watches.see(KIND, "y", True, 0, T0, 0.0, "")
    assert watches.see(AlertKind.CLAMP_BINDING, "x", True, 0, T0, 0.0, "")
    assert not watches.see(KIND, "y", True, 0, T0, 0.0, "")


def look(watches: Watches, prices: list[float], second: int, groups: str = "abcdefgh") -> list[tuple[str, str, bool]]:
    candidates = [Candidate(i, groups[i], price, 0, None, True, price, price) for i, price in enumerate(prices)]
    names = [f"v{i}" for i in range(len(prices))]
    found = watch_sources(watches, names, candidates, 100.0, RULES, "BTC-USD", T0 + second * 1_000 * MS)
    return [(str(alert.kind), alert.target, alert.active) for alert in found]


def test_a_source_that_stands_off_the_index_is_reported() -> None:
    watches = Watches({})
    assert look(watches, [100.0, 100.0, 100.31], 0) == []
    assert look(watches, [100.0, 100.0, 100.31], 29) == []
    assert look(watches, [100.0, 100.0, 99.69], 30) == [("SOURCE_DEVIATION", "BTC-USD v2", True)]
    assert look(watches, [100.0, 100.0, 0.0], 31) == [("SOURCE_DEVIATION", "BTC-USD v2", False)], "it has no price"
    assert look(watches, [100.0, 100.0, 100.29], 90) == []


def test_groups_that_stand_off_on_one_side_are_reported_together() -> None:
    watches = Watches({})
    assert look(watches, [100.21, 100.21, 100.0], 0) == []
    assert look(watches, [100.21, 100.21, 100.0], 5) == [("SOURCES_TOGETHER", "BTC-USD", True)]
    assert look(watches, [100.21, 99.79, 100.0], 6) == [("SOURCES_TOGETHER", "BTC-USD", False)], "not on one side"
    assert look(watches, [99.79, 99.79, 100.0], 7) == []
    assert look(watches, [99.79, 99.79, 100.0], 12) == [("SOURCES_TOGETHER", "BTC-USD", True)]
    assert look(watches, [99.79, 100.21, 100.0], 13) == [("SOURCES_TOGETHER", "BTC-USD", False)]


def test_a_price_of_less_than_one_is_a_price() -> None:
    watches = Watches({})
    candidates = [Candidate(0, "a", 0.505, 0, None, True, 0.5, 0.51)]
    for second in (0, 30):
        found = watch_sources(watches, ["v0"], candidates, 0.5, RULES, "DOGE-USD", T0 + second * 1_000 * MS)
    assert [(alert.kind, round(alert.value, 6), alert.detail) for alert in found] == [(KIND, 100.0, "bps")]


def test_two_sources_of_one_owner_are_not_two() -> None:
    watches = Watches({})
    look(watches, [100.21, 100.21, 100.0], 0, groups="aab")
    assert look(watches, [100.21, 100.21, 100.0], 10, groups="aab") == []


def test_liquidations_are_forgotten_after_their_window_and_are_bounded() -> None:
    times = [T0 + n * 1_000 * MS for n in range(100)]
    keep_recent(times, T0 + 99_000 * MS, 60_000)
    assert times[0] == T0 + 39_000 * MS
    assert len(times) == 61
    many = [T0] * (LIQUIDATIONS_KEPT_MAX + 10)
    keep_recent(many, T0, 60_000)
    assert len(many) == LIQUIDATIONS_KEPT_MAX
    none: list[int] = []
    keep_recent(none, T0, 60_000)
    assert none == []
