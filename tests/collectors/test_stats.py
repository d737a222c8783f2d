"""A line's counts: what was done for each source, and why things ended."""

from __future__ import annotations

from oracle.collectors.repair import Rung
from oracle.collectors.stats import DETAIL_CHARS_MAX, LineStats


def test_a_repair_is_counted_by_its_step_and_remembered_by_its_time() -> None:
    stats = LineStats("kraken", (3, 4))
    stats.stepped(3, Rung.RESUBSCRIBED, 10)
    stats.stepped(3, Rung.RECONNECTED, 20)
    stats.stepped(3, Rung.RECONNECTED, 30)
    assert stats.of(3).steps == {"RESUBSCRIBED": 1, "RECONNECTED": 2}
    assert stats.of(3).last_ns == 30
    assert (stats.of(4).rung, stats.of(4).steps, stats.of(4).last_ns) == (Rung.STREAM, {}, 0)


def test_endings_are_counted_and_the_last_is_told_in_short() -> None:
    stats = LineStats("kraken", ())
    stats.note("CLOSED", "x" * 1_000)
    stats.note("CLOSED", "1006")
    assert stats.ended == {"CLOSED": 2}
    assert stats.last_error == "CLOSED: 1006"
    stats.note("REST", "y" * 1_000)
    assert len(stats.last_error) == DETAIL_CHARS_MAX


def test_a_source_is_up_when_it_is_carried_or_where_no_account_is_kept_with_its_line() -> None:
    stats = LineStats("kraken", (3,))
    assert not stats.is_up(3)
    stats.connected_since_ns = 1
    assert stats.is_up(3)
    stats.of(3)
    assert not stats.is_up(3), "the connection stands, but the source is silent"
    stats.of(3).carried = True
    assert stats.is_up(3)
