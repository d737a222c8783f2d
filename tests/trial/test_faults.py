"""The seven faults as data: who suffers when, and what of it happens in the world."""

from __future__ import annotations

from itertools import pairwise

import pytest

from oracle.core.types import NANOS_PER_MS
from oracle.errors import ConfigError
from oracle.simulator.faults import BOUND_KINDS, Kind
from oracle.trial import faults
from oracle.trial.faults import FAULTS, faults_of, plays_of, script_of

VENUES = ("a", "b", "c", "d")
BY_NAME = {fault.name: fault for fault in FAULTS}


def test_the_definitions_tell_of_each() -> None:
    assert len(FAULTS) == 7
    assert all(f"  {fault.name} " in faults.DEFINITIONS for fault in FAULTS)


def test_a_fault_either_spares_the_next_connection_or_ends_by_itself() -> None:
    assert all((fault.kind in BOUND_KINDS) is (fault.lasts_ms == 0) for fault in FAULTS)


def test_faults_are_chosen_by_name() -> None:
    assert faults_of(["drop", "mute"]) == [BY_NAME["drop"], BY_NAME["mute"]]
    assert faults_of() == list(FAULTS)
    with pytest.raises(ConfigError, match=r"no such fault: flood.*mute, zombie"):
        faults_of(["flood"])


@pytest.mark.parametrize("name", [fault.name for fault in FAULTS if not fault.lasts_ms])
def test_what_is_bound_to_a_connection_befalls_all_at_once(name: str) -> None:
    ((only,),) = plays_of(BY_NAME[name], VENUES)
    assert only.venues == VENUES
    assert (only.begins_ms, only.ends_ms) == (BY_NAME[name].warm_ms, 0)
    assert not script_of(BY_NAME[name], [only]).episodes


def test_frozen_books_are_a_third_at_a_time_while_the_market_moves() -> None:
    fault = BY_NAME["frozen"]
    (rounds,) = plays_of(fault, VENUES)
    assert [each.venues for each in rounds] == [("a", "d"), ("b",), ("c",)]
    assert all(later.begins_ms > each.until_ms for each, later in pairwise(rounds))
    script = script_of(fault, rounds)
    for each in rounds:
        kinds = [e.kind for e in script.active((each.begins_ms + fault.lasts_ms // 2) * NANOS_PER_MS)]
        assert kinds == [Kind.STUCK] * len(each.venues) + [Kind.MOVE]
    assert [plays_of(fault, ["a"])[0][0].venues] == [("a",)]


def test_times_drift_both_ways_each_in_its_own_world() -> None:
    fault = BY_NAME["drift"]
    plays = plays_of(fault, VENUES)
    ways = [[e.amount > 0 for e in script_of(fault, rounds).episodes] for rounds in plays]
    assert ways == [[True, False, True, False], [False, True, False, True]]
    (episode, *_) = script_of(fault, plays[0]).episodes
    half_ns = (episode.at_ms + fault.lasts_ms // 2) * NANOS_PER_MS
    assert episode.level(half_ns) == pytest.approx(faults.DRIFT_PER_S * fault.lasts_ms / 2_000)
