"""The ladder: the table on every pair, down at once, up after the dwell, and what the conditions call for."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from oracle.core.status import (
    CALLS,
    FALLBACKS,
    LADDER,
    RUNGS,
    USABLE,
    Called,
    Conditions,
    Rung,
    advance,
    call,
    enter,
    reasons,
)
from oracle.core.types import Reason, State
from oracle.methods.hk1 import SETS

RULES = SETS[0].ladder
MS = 1_000_000
T0 = 1_700_000_000_000 * MS
GOOD = Conditions(
    at_ns=T0,
    n_groups=6,
    n_anchored=6,
    confidence=0.0001,
    spread=0.0002,
    cohort_split=False,
    conversions_normal=True,
    clock_offset_ns=0,
    perps_fresh=2,
    price=100.0,
    last_good=100.0,
    invariant_broke=False,
)


def conditions(**changed: object) -> Conditions:
    return structs.replace(GOOD, **changed)


@pytest.mark.parametrize(("state", "called"), list(product(RUNGS, CALLS)))
def test_every_pair_of_the_table(state: State, called: State) -> None:
    target, dwell = LADDER[state, called]
    if state is State.WARMING:
        expected = called if called in (*USABLE, State.HALTED) else State.WARMING
    elif state is State.HALTED:
        expected = State.WARMING if called in USABLE else State.HALTED
    elif CALLS.index(called) >= CALLS.index(state):
        expected = called
    elif state is State.DEGRADED:
        expected = State.NORMAL
    else:
        expected = State.DEGRADED if called in USABLE else called
    assert target is expected
    worse = state in CALLS and CALLS.index(called) >= CALLS.index(state)
    assert (dwell is None) == (worse or target is state or called is State.HALTED)


@pytest.mark.parametrize(("state", "called"), list(product(RUNGS, CALLS)))
def test_the_dwell_is_served_without_a_break(state: State, called: State) -> None:
    target, dwell = LADDER[state, called]
    rung = Rung(state=state, since_ns=T0)
    advance(rung, Called(called), T0, RULES)
    if dwell is None:
        assert rung.state is target
        return
    wait_ns = getattr(RULES, dwell) * MS
    assert rung.state is state
    advance(rung, Called(called), T0 + wait_ns - 1, RULES)
    assert rung.state is state
    advance(rung, Called(state if state in CALLS else State.LAST_GOOD), T0 + wait_ns - 1, RULES)
    advance(rung, Called(called), T0 + wait_ns, RULES)
    assert rung.state is state, "the break began the dwell anew"
    advance(rung, Called(called), T0 + 2 * wait_ns, RULES)
    assert rung.state is target


@pytest.mark.parametrize(
    ("changed", "state", "reason"),
    [
        ({}, State.NORMAL, None),
        ({"n_groups": 4, "n_anchored": 4}, State.NORMAL, None),
        ({"n_anchored": 3}, State.DEGRADED, Reason.UNANCHORED_GROUPS),
        ({"n_groups": 3, "n_anchored": 3}, State.DEGRADED, Reason.FEW_GROUPS),
        ({"confidence": 0.0051}, State.DEGRADED, Reason.DISPERSION),
        ({"cohort_split": True}, State.DEGRADED, Reason.COHORT_SPLIT),
        ({"conversions_normal": False}, State.DEGRADED, Reason.CONVERSION),
        ({"clock_offset_ns": 100 * MS}, State.NORMAL, None),
        ({"clock_offset_ns": -101 * MS}, State.DEGRADED, Reason.CLOCK_OFFSET),
        ({"clock_offset_ns": -1_000 * MS}, State.DEGRADED, Reason.CLOCK_OFFSET),
        ({"clock_offset_ns": 1_001 * MS}, State.HALTED, Reason.CLOCK_OFFSET),
        ({"n_groups": 2}, State.TWO_GROUPS, Reason.TWO_GROUPS),
        ({"n_groups": 2, "spread": 0.0026}, State.PERP_IMPLIED, Reason.GROUPS_DISAGREE),
        ({"n_groups": 2, "spread": 0.0026, "perps_fresh": 1}, State.LAST_GOOD, Reason.LAST_GOOD),
        ({"n_groups": 1}, State.PERP_IMPLIED, Reason.FEW_GROUPS),
        ({"n_groups": 0, "perps_fresh": 0}, State.LAST_GOOD, Reason.FEW_GROUPS),
        ({"invariant_broke": True}, State.HALTED, Reason.INVARIANT),
    ],
)
def test_what_the_conditions_call_for(changed: dict[str, object], state: State, reason: Reason | None) -> None:
    called = call(Rung(state=State.NORMAL, since_ns=T0), conditions(**changed), RULES)
    assert called.state is state
    assert (called.reasons == []) if reason is None else (reason in called.reasons)


def test_wide_disagreement_is_a_fallback_only_when_it_lasts() -> None:
    rung = Rung(state=State.NORMAL, since_ns=T0)
    assert call(rung, conditions(confidence=0.021), RULES).state is State.DEGRADED
    assert call(rung, conditions(confidence=0.021, at_ns=T0 + 9_999 * MS), RULES).state is State.DEGRADED
    assert call(rung, conditions(confidence=0.021, at_ns=T0 + 10_000 * MS), RULES).state is State.PERP_IMPLIED
    assert call(rung, conditions(at_ns=T0 + 10_001 * MS), RULES).state is State.NORMAL
    assert call(rung, conditions(confidence=0.021, at_ns=T0 + 10_002 * MS), RULES).state is State.DEGRADED


def test_a_conversion_index_lives_with_two_groups_that_agree() -> None:
    rules = structs.replace(RULES, groups_normal_min=3, groups_degraded_min=2)
    rung = Rung(state=State.NORMAL, since_ns=T0)
    assert call(rung, conditions(n_groups=2, n_anchored=2), rules).state is State.DEGRADED
    assert call(rung, conditions(n_groups=2, n_anchored=2, spread=0.01), rules).state is State.PERP_IMPLIED


def test_a_fallback_ends_in_a_halt() -> None:
    rung = Rung(state=State.NORMAL, since_ns=T0)
    advance(rung, call(rung, conditions(n_groups=2), RULES), T0, RULES)
    assert rung.fallback_since_ns == T0
    advance(rung, call(rung, conditions(n_groups=1, at_ns=T0 + 30_000 * MS), RULES), T0 + 30_000 * MS, RULES)
    assert rung.fallback_since_ns == T0, "another rung of the same fallback"
    called = call(rung, conditions(at_ns=T0 + 60_001 * MS), RULES)
    assert called.state is State.HALTED
    advance(rung, called, T0 + 60_001 * MS, RULES)
    assert reasons(rung, Called(State.NORMAL))[0] is Reason.FALLBACK_TOO_LONG


@pytest.mark.parametrize(
    ("after_ms", "changed", "acknowledged", "state"),
    [
        (1_000, {}, False, State.NORMAL),
        (1_000, {"n_groups": 4, "spread": 0.0025}, False, State.NORMAL),
        (1_000, {"n_groups": 3}, False, State.HALTED),
        (1_000, {"spread": 0.0026}, False, State.HALTED),
        (300_001, {}, False, State.HALTED),
        (300_001, {}, True, State.NORMAL),
        (1_000, {"price": 105.1}, False, State.HALTED),
        (1_000, {"price": 105.1}, True, State.NORMAL),
        (1_000, {"last_good": 0.5, "price": 0.6}, False, State.HALTED),
        (1_000, {"last_good": 0.0, "price": 5.0}, False, State.NORMAL),
    ],
)
def test_a_halt_ends_by_itself_unless_long_or_far(
    after_ms: int, changed: dict[str, object], acknowledged: bool, state: State
) -> None:
    rung = Rung(state=State.HALTED, since_ns=T0, acknowledged=acknowledged)
    assert call(rung, conditions(at_ns=T0 + after_ms * MS, **changed), RULES).state is state


def test_an_ordered_halt_waits_for_the_order() -> None:
    rung = Rung(state=State.NORMAL, since_ns=T0, ordered_halt=True)
    assert call(rung, GOOD, RULES) == Called(State.HALTED, [Reason.OPERATOR])


def test_warming_waits_for_enough_groups() -> None:
    rung = Rung(state=State.WARMING, since_ns=T0)
    assert call(rung, conditions(n_groups=3), RULES) == Called(State.LAST_GOOD, [Reason.FEW_GROUPS])
    assert call(rung, conditions(n_groups=4, n_anchored=4), RULES).state is State.NORMAL
    assert call(rung, conditions(confidence=0.01), RULES).state is State.DEGRADED
    assert Reason.WARMING_UP in reasons(rung, Called(State.NORMAL))


def test_warming_up_does_not_begin_again_when_normal_and_degraded_alternate() -> None:
    rung = Rung(state=State.WARMING, since_ns=T0)
    for second in range(11):
        advance(rung, Called(State.DEGRADED if second % 2 else State.NORMAL), T0 + second * 1_000 * MS, RULES)
    assert rung.state is State.NORMAL


def test_suspension_lies_on_top() -> None:
    rung = Rung(state=State.NORMAL, since_ns=T0, suspended=True)
    assert rung.shown() is State.SUSPENDED
    assert Reason.SUSPENDED in reasons(rung, Called(State.NORMAL))
    enter(rung, State.HALTED, T0, [Reason.CLOCK_OFFSET])
    assert rung.shown() is State.HALTED


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(1, 20_000), st.sampled_from(CALLS)), max_size=60))
def test_no_path_rises_without_its_dwell_or_rests_in_a_fallback(path: list[tuple[int, State]]) -> None:
    rung, at = Rung(state=State.NORMAL, since_ns=T0), T0
    entered = at
    for wait, called in path:
        at += wait * MS
        before = rung.state
        advance(rung, Called(called), at, RULES)
        if rung.state is not before:
            rises = CALLS.index(rung.state) < CALLS.index(before) if rung.state in CALLS and before in CALLS else False
            if rises:
                assert at - entered >= RULES.fallback_up_ms * MS
            entered = at
        assert (rung.fallback_since_ns > 0) == (rung.state in FALLBACKS)
