"""The frame: what every methodology runs in, and how a set states what it does otherwise."""

from __future__ import annotations

from oracle.core import frame
from oracle.core.params import Rules, documented
from oracle.methods import hk1


def test_hk1_is_the_frame_itself() -> None:
    assert (frame.rules(0, "1.0.0"),) == hk1.SETS


def test_a_set_differs_only_in_what_it_names() -> None:
    made = frame.rules(7, "2", own={"a": 1}, source={"stale_ms_max": 60_000}, funding={"cap": 0.01})
    assert isinstance(made, Rules)
    assert (made.effective_ns, made.version, made.own) == (7, "2", {"a": 1})
    assert (made.source.stale_ms_max, made.funding.cap) == (60_000, 0.01)
    plain = frame.rules(7, "2")
    assert (made.index, made.ladder, made.mark, made.surveillance) == (
        plain.index, plain.ladder, plain.mark, plain.surveillance,
    )  # fmt: skip
    assert made.source.stale_ms_min == plain.source.stale_ms_min
    assert frame.rules(7, "2", index={"breakdown_bps": 1.0}, ladder={"warm_ms": 1}, mark={"band_bps": 9.0}) != plain


def test_what_venues_methods_read_are_shared_parameters() -> None:
    assert set(frame.VENUE_READS) <= {row.name for row in documented()}
