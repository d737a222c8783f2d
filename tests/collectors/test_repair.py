"""The ladder as a table: every rung, phase and happening; and what time makes of it."""

from __future__ import annotations

from itertools import pairwise, product

import pytest

from oracle.collectors.repair import (
    HELP_NS,
    ORDER,
    POLLS,
    RETRY_NS_MAX,
    RETRY_NS_MIN,
    STABLE_NS,
    Happening,
    Ladder,
    Phase,
    Rung,
)
from oracle.core.types import NANOS_PER_S

ALL = ORDER[1:]
NOW_NS = 1_000 * NANOS_PER_S
HELP = max(HELP_NS.values())


def standing(rung: Rung, phase: Phase, rungs: tuple[Rung, ...] = ALL) -> Ladder:
    ladder = Ladder(rungs)
    ladder.rung, ladder.phase, ladder.since_ns = rung, phase, NOW_NS
    return ladder


STATES = [(Rung.STREAM, Phase.WELL), *product(ALL, (Phase.WAITING, Phase.PROBATION))]
ABOVE = dict(pairwise(ORDER[:5])) | {Rung.REST: Rung.REST, Rung.CCXT: Rung.CCXT}


def expected(rung: Rung, phase: Phase, happening: Happening) -> tuple[Rung, Phase]:
    """The ladder once more, as sentences."""
    match happening:
        case Happening.SILENT if phase is not Phase.WAITING:
            return ABOVE[rung], Phase.WAITING  # the next repair; a substitute is its own
        case Happening.LOST if rung in (Rung.STREAM, Rung.RESUBSCRIBED):
            return Rung.RECONNECTED, Phase.WAITING
        case Happening.LOST:
            return rung, Phase.WAITING
        case Happening.SPOKE if phase is Phase.WAITING:
            return rung, Phase.PROBATION
    return rung, phase


@pytest.mark.parametrize(("rung", "phase"), STATES)
@pytest.mark.parametrize("happening", list(Happening))
def test_every_state_meets_every_happening(rung: Rung, phase: Phase, happening: Happening) -> None:
    ladder = standing(rung, phase)
    step = ladder.on(happening, NOW_NS + 1)
    assert (ladder.rung, ladder.phase) == expected(rung, phase, happening)
    climbs = happening is Happening.SILENT and phase is not Phase.WAITING
    assert step == (ladder.rung if climbs else None)
    moved = (ladder.rung, ladder.phase) != (rung, phase)
    held = phase is Phase.WAITING and happening in (Happening.CONNECTED, Happening.ANSWERED)
    if moved or climbs:
        assert ladder.since_ns == NOW_NS + 1
    elif held:
        assert (ladder.since_ns == NOW_NS + 1) == ((happening is Happening.ANSWERED) == (rung in POLLS))
    else:
        assert ladder.since_ns == NOW_NS


@pytest.mark.parametrize("missing", [(), *product(ALL), (Rung.RESUBSCRIBED, Rung.ALTERNATE), POLLS, ALL])
def test_repairs_are_tried_in_order_each_given_its_time_and_those_that_are_not_there_left_out(
    missing: tuple[Rung, ...],
) -> None:
    ladder = Ladder([rung for rung in ALL if rung not in missing])
    steps, now_ns = [ladder.on(Happening.SILENT, NOW_NS)], NOW_NS
    while len(steps) < len(ladder.rungs):
        patience_ns = HELP_NS[ladder.rung]
        assert ladder.later(now_ns + patience_ns - 1) is None
        steps.append(ladder.later(now_ns := now_ns + patience_ns))
        assert ladder.phase is Phase.WAITING
    assert tuple(steps) == ladder.rungs
    assert set(ladder.rungs) == (set(ALL) - set(missing)) | {Rung.RECONNECTED}


def test_a_slow_stream_has_more_time_for_a_repair_but_not_for_a_substitute() -> None:
    slow_ns = 60 * NANOS_PER_S
    for rung in ALL:
        ladder = standing(rung, Phase.WAITING, ALL)
        assert (ladder.later(NOW_NS + HELP_NS[rung], help_ns=slow_ns) is None) == (rung not in POLLS)


def test_a_stream_is_believed_after_a_while_and_not_before() -> None:
    for rung in ALL:
        ladder = standing(rung, Phase.PROBATION)
        assert ladder.later(NOW_NS + STABLE_NS - 1) is None
        assert ladder.polling == (rung in POLLS), "until it is believed, a hole is filled"
        assert ladder.later(NOW_NS + STABLE_NS) is Rung.STREAM
        assert (ladder.rung, ladder.phase, ladder.polling) == (Rung.STREAM, Phase.WELL, False)
    slow = standing(Rung.REST, Phase.PROBATION)
    assert slow.later(NOW_NS + STABLE_NS, 3 * STABLE_NS) is None
    assert slow.later(NOW_NS + 3 * STABLE_NS, 3 * STABLE_NS) is Rung.STREAM


def test_a_relapse_climbs_on_instead_of_beginning_anew() -> None:
    ladder = Ladder(ALL)
    steps, now_ns = [], NOW_NS
    for _ in range(5):
        steps.append(ladder.on(Happening.SILENT, now_ns))
        ladder.on(Happening.SPOKE, now_ns + 1)
        now_ns += 10 * NANOS_PER_S
    assert steps == [Rung.RESUBSCRIBED, Rung.RECONNECTED, Rung.ALTERNATE, Rung.REST, Rung.REST]


def test_nothing_happens_to_a_stream_that_is_well() -> None:
    assert Ladder(ALL).later(NOW_NS + 86_400 * NANOS_PER_S) is None


def test_two_substitutes_give_way_to_each_other_when_they_are_not_answered() -> None:
    ladder, now_ns = standing(Rung.REST, Phase.WAITING), NOW_NS
    ladder._tried_ns = 1 << 62
    steps = [ladder.later(now_ns := now_ns + HELP) for _ in range(3)]
    assert steps == [Rung.CCXT, Rung.REST, Rung.CCXT]
    ladder.on(Happening.ANSWERED, now_ns + HELP - 1)
    assert ladder.later(now_ns + HELP) is None


@pytest.mark.parametrize(
    ("rungs", "top"), [(ALL, Rung.CCXT), ((Rung.REST,), Rung.REST), ((), Rung.RECONNECTED), (ALL[:3], Rung.ALTERNATE)]
)
def test_beyond_the_last_rung_the_stream_is_tried_ever_less_often(rungs: tuple[Rung, ...], top: Rung) -> None:
    ladder = standing(top, Phase.WAITING, rungs)
    ladder._tried_ns = NOW_NS
    tries = []
    for second in range(1, 4_000):
        now_ns = NOW_NS + second * NANOS_PER_S
        if top in POLLS:
            ladder.on(Happening.ANSWERED, now_ns)
        if ladder.later(now_ns) is Rung.RECONNECTED:
            tries.append(second)
        assert (ladder.rung, ladder.phase) == (top, Phase.WAITING)
    gaps = [later - earlier for earlier, later in pairwise([0, *tries])]
    assert gaps[:3] == [RETRY_NS_MIN * 2**n // NANOS_PER_S for n in range(3)]
    assert set(gaps[5:]) == {RETRY_NS_MAX // NANOS_PER_S}


def test_a_stream_that_was_believed_is_tried_as_soon_as_the_first_time_when_it_fails_again() -> None:
    ladder = standing(Rung.REST, Phase.WAITING, (Rung.REST,))
    ladder._retry_ns = RETRY_NS_MAX
    ladder.on(Happening.SPOKE, NOW_NS)
    ladder.later(NOW_NS + STABLE_NS)
    assert ladder._retry_ns == RETRY_NS_MIN
