"""A source is up while anything carries it; the engine hears of the first that comes and of the last that goes."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.clock import ManualClock
from oracle.collectors.links import Links
from oracle.core.types import Link


def made() -> tuple[Links, list[Link]]:
    told: list[Link] = []
    return Links(told.append, ManualClock(7)), told


def test_the_first_carrier_raises_and_the_last_one_lowers() -> None:
    links, told = made()
    links.rise(1, "one", "RESUBSCRIBED")
    links.rise(1, "two", "REST")
    links.fall(1, "one", "CLOSED")
    assert links.carried(1)
    links.fall(1, "two", "SILENT")
    assert told == [Link(1, True, "RESUBSCRIBED", 7), Link(1, False, "SILENT", 7)]


def test_a_source_that_could_never_be_carried_is_told_once() -> None:
    links, told = made()
    links.fall(1, "one", "UNREACHABLE")
    links.fall(1, "one", "UNREACHABLE")
    assert told == [Link(1, False, "UNREACHABLE", 7)]


def test_whether_others_carry_a_source() -> None:
    links, _ = made()
    assert not links.carried(1)
    links.rise(1, "one")
    assert links.carried(1)
    assert not links.carried(1, besides=["one"])
    assert links.carried(1, besides=["two"])


Steps = st.lists(st.tuples(st.booleans(), st.integers(0, 2), st.sampled_from("abc")), max_size=40)


@settings(max_examples=60)
@given(Steps)
def test_what_is_told_is_what_is_true_and_changes_every_time(steps: list[tuple[bool, int, str]]) -> None:
    links, told = made()
    carriers: dict[int, set[str]] = {source: set() for source in range(3)}
    for up, source, carrier in steps:
        if up:
            links.rise(source, carrier)
            carriers[source].add(carrier)
        else:
            links.fall(source, carrier, "x")
            carriers[source].discard(carrier)
        said = [link.up for link in told if link.source == source]
        assert said[-1] == bool(carriers[source])
        assert all(before != after for before, after in pairwise(said))
