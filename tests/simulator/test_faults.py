"""Episodes: when they are active, how they rise and fall, whom they concern, and that a script begins again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.core.types import NANOS_PER_MS
from oracle.simulator.faults import BOUND_KINDS, CALM, LINE_KINDS, WORLD_KINDS, Episode, Kind, Script

CRASH = Episode(at_ms=1_000, lasts_ms=10_000, kind=Kind.MOVE, target="BTC", amount=-0.12, rise_ms=4_000, fall_ms=2_000)


@pytest.mark.parametrize(
    ("at_ms", "level"),
    [(999, 0.0), (1_000, 0.0), (3_000, -0.06), (5_000, -0.12), (8_999, -0.12), (10_000, -0.06), (11_000, 0.0)],
)
def test_an_episode_rises_holds_and_falls(at_ms: int, level: float) -> None:
    assert CRASH.level(at_ms * NANOS_PER_MS) == pytest.approx(level)


def test_an_episode_without_ramps_is_there_at_once_and_gone_at_once() -> None:
    spike = Episode(at_ms=10, lasts_ms=5, kind=Kind.PREMIUM, target="*", amount=0.3)
    levels = [spike.level(ms * NANOS_PER_MS) for ms in (9, 10, 14, 15)]
    assert levels == [0.0, 0.3, 0.3, 0.0]
    assert [spike.active(ms * NANOS_PER_MS) for ms in (9, 10, 14, 15)] == [False, True, True, False]


@settings(max_examples=50)
@given(st.integers(0, 20_000))
def test_the_level_never_exceeds_the_amount(at_ms: int) -> None:
    assert 0.0 <= abs(CRASH.level(at_ms * NANOS_PER_MS)) <= 0.12


def test_a_script_finds_whom_an_episode_concerns() -> None:
    silence = Episode(at_ms=0, lasts_ms=1, kind=Kind.SILENCE, target="kraken/spot/*")
    script = Script((CRASH, silence))
    assert script.of("kraken/spot/BTC", (Kind.SILENCE,)) == (silence,)
    assert script.of("kraken/spot/BTC", (Kind.MOVE,)) == ()
    assert script.of("BTC", (Kind.MOVE,)) == (CRASH,)
    assert list(script.active(0)) == [silence]


def test_a_script_begins_again_unless_it_has_no_length() -> None:
    assert Script((), 600_000).offset_ns(601_000 * NANOS_PER_MS) == 1_000 * NANOS_PER_MS
    assert CALM.offset_ns(601_000 * NANOS_PER_MS) == 601_000 * NANOS_PER_MS


def test_every_kind_happens_in_the_world_or_on_the_line() -> None:
    assert {*WORLD_KINDS, *LINE_KINDS} == set(Kind)
    assert not {*WORLD_KINDS} & {*LINE_KINDS}
    assert {*BOUND_KINDS} < {*LINE_KINDS}
