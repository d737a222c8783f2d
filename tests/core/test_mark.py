"""The mark: three legs and their median, what happens when a leg is out, two clamps of which the band is the last."""

from __future__ import annotations

from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from oracle.core.mark import Marked, MarkInputs, MarkState, mark
from oracle.core.types import Reason
from oracle.core.windows import Ema
from oracle.methods.hk1 import SETS

RULES = SETS[0].mark
MS = 1_000_000
T0 = 1_700_000_000_000 * MS
NOW = MarkInputs(
    at_ns=T0,
    index=60_000.0,
    index_usable=True,
    feed_age_ns=0,
    bid=60_030.0,
    ask=60_034.0,
    last=60_040.0,
    funding_rate=0.0001,
    funding_left=0.5,
)


def now(**changed: object) -> MarkInputs:
    return structs.replace(NOW, **changed)


def memory(basis: float = 25.0, book: float = 60_034.0, at_ns: int = T0) -> MarkState:
    """Averages that stand at these values."""
    return MarkState(basis=Ema(basis, 1.0, at_ns), book=Ema(book, 1.0, at_ns))


def marked(inputs: MarkInputs, state: MarkState | None = None, tick_units: int = 10) -> Marked:
    return mark(state if state is not None else memory(), inputs, RULES, 2, tick_units)


def test_the_basis_leg_is_the_index_and_the_average_distance_of_the_mid() -> None:
    state = MarkState()
    for second in range(5):
        marked(now(at_ns=T0 + second * 1_000 * MS, bid=60_000.0 + 10 * second, ask=60_002.0 + 10 * second), state)
    expected = Ema()
    for second in range(5):
        expected.add(1.0 + 10 * second, T0 + second * 1_000 * MS, RULES.basis_tau_ms)
    assert state.basis == expected
    assert marked(now(at_ns=T0 + 4_000 * MS), state).basis_leg == 60_000.0 + (expected.value() or 0.0)


@pytest.mark.parametrize(
    ("bid", "ask", "last", "leg"),
    [
        (60_030.0, 60_034.0, 60_040.0, 60_034.0),
        (60_030.0, 60_034.0, 60_031.0, 60_031.0),
        (60_030.0, 60_034.0, 59_000.0, 60_030.0),
        (60_030.0, 60_034.0, 0.0, 60_032.0),  # never traded: the mid
        (0.0, 60_034.0, 60_031.0, None),
        (60_030.0, 0.0, 60_031.0, None),
        (60_034.0, 60_030.0, 60_031.0, None),
        (60_030.0, 60_030.0, 60_031.0, None),
        (float("nan"), 60_034.0, 60_031.0, None),
        (60_030.0, float("inf"), 60_031.0, None),
    ],
)
def test_the_book_leg_is_the_median_of_a_two_sided_book(bid: float, ask: float, last: float, leg: float | None) -> None:
    made = marked(now(bid=bid, ask=ask, last=last))
    assert made.book_leg == leg
    assert (Reason.LEG_MISSING in made.reasons) == (leg is None)


def test_the_funding_leg_is_what_is_left_to_pay() -> None:
    assert marked(now(funding_rate=-0.002, funding_left=0.25)).funding_leg == 60_000.0 * (1 - 0.0005)


def test_the_mark_is_the_median_of_the_legs() -> None:
    made = marked(now())
    assert (made.basis_leg, made.book_leg) == (60_025.0, 60_034.0)
    assert made.funding_leg == pytest.approx(60_003.0)
    assert made.units == 6_002_500
    assert made.reasons == []


def test_with_two_legs_the_average_of_the_book_joins_them() -> None:
    stale = now(feed_age_ns=(RULES.feed_stale_ms + 1) * MS)
    made = marked(stale, memory(basis=50.0, book=60_034.0))
    assert (made.basis_leg, made.book_leg) == (60_050.0, None)
    assert made.funding_leg == pytest.approx(60_003.0)
    assert made.units == 6_003_400
    assert made.reasons == [Reason.ENGINE_FEED_STALE, Reason.LEG_MISSING]


def test_before_there_is_an_average_two_legs_are_halved_and_one_is_itself() -> None:
    two = marked(now(), MarkState())
    assert (two.basis_leg, two.book_leg) == (None, 60_034.0)
    assert two.units == 6_001_850
    one = marked(now(bid=0.0), MarkState())
    assert (one.book_leg, one.units) == (None, 6_000_300)
    assert one.reasons == [Reason.LEG_MISSING]


@pytest.mark.parametrize(
    ("age_ms", "book", "units", "reasons"),
    [
        (3_000, 60_034.0, 6_002_500, []),
        (3_001, None, 6_002_500, [Reason.ENGINE_FEED_STALE, Reason.LEG_MISSING]),
        (30_000, None, 6_002_500, [Reason.ENGINE_FEED_STALE, Reason.LEG_MISSING]),
        (30_001, None, 6_000_000, [Reason.ENGINE_FEED_STALE]),
        (None, None, 6_000_000, [Reason.ENGINE_FEED_STALE]),
    ],
)
def test_a_silent_platform_loses_its_leg_and_then_its_mark(
    age_ms: int | None, book: float | None, units: int, reasons: list[Reason]
) -> None:
    made = marked(now(feed_age_ns=None if age_ms is None else age_ms * MS))
    assert (made.book_leg, made.units, made.reasons) == (book, units, reasons)


def test_a_platform_that_never_spoke_leaves_no_memory() -> None:
    state = MarkState()
    marked(now(feed_age_ns=None), state)
    assert state == MarkState()


@pytest.mark.parametrize("silenced", [{"feed_age_ns": 4_000 * MS}, {"index_usable": False}, {"bid": 0.0}])
def test_without_a_book_leg_the_basis_halves_every_half_life(silenced: dict[str, object]) -> None:
    state = memory(basis=40.0)
    for half_life in (1, 2, 3):
        marked(now(at_ns=T0 + half_life * RULES.basis_half_life_ms * MS, **silenced), state)
        assert state.basis.value() == pytest.approx(40.0 / 2**half_life)
        assert state.book.value() == 60_034.0
    steps = memory(basis=40.0)
    for step in range(1, 101):
        marked(now(at_ns=T0 + step * 300 * MS + step, **silenced), steps)
    assert steps.basis.value() == pytest.approx(20.0), "however many beats it takes"


def test_in_a_fallback_of_the_index_the_mark_is_the_index() -> None:
    state = memory()
    state.reference = 5_000_000
    made = marked(now(index=60_000.03, index_usable=False), state, tick_units=1)
    assert made == Marked(6_000_003)


@pytest.mark.parametrize(
    ("reference", "units", "reasons"),
    [
        (None, 6_002_500, []),
        (6_000_000, 6_002_500, []),
        (5_900_000, 5_959_000, [Reason.CLAMP_STEP]),
        (6_100_000, 6_039_000, [Reason.CLAMP_STEP]),
        (5_000_000, 5_910_000, [Reason.CLAMP_STEP, Reason.CLAMP_BAND]),  # the step would be 50 500; the band wins
        (9_000_000, 6_090_000, [Reason.CLAMP_STEP, Reason.CLAMP_BAND]),
    ],
)
def test_the_step_is_bounded_and_the_band_wins(reference: int | None, units: int, reasons: list[Reason]) -> None:
    state = memory()
    state.reference = reference
    made = marked(now(), state)
    assert (made.units, made.reasons) == (units, reasons)
    assert (made.step_binding, made.band_binding) == (Reason.CLAMP_STEP in reasons, Reason.CLAMP_BAND in reasons)


@pytest.mark.parametrize(
    ("basis", "tick", "units"),
    [(25.0449, 10, 6_002_500), (25.05, 10, 6_002_500), (25.15, 10, 6_002_520), (25.006, 1, 6_002_501)],
)
def test_rounded_to_the_tick_half_to_even_at_the_end(basis: float, tick: int, units: int) -> None:
    made = marked(now(), memory(basis=basis), tick_units=tick)
    assert made.basis_leg == 60_000.0 + basis
    assert made.units == units


WHATEVER = st.one_of(st.floats(0.0, 1e9), st.sampled_from([0.0, 5e-324, 1e-9, 1e300]))
MOMENTS = st.tuples(
    st.integers(0, 40_000),
    st.floats(1.0, 1e6),
    st.booleans(),
    st.one_of(st.none(), st.integers(0, 60_000)),
    WHATEVER,
    WHATEVER,
    WHATEVER,
    st.floats(-0.1, 0.1),
    st.floats(0.0, 1.0),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(MOMENTS, min_size=10, max_size=20), st.sampled_from([1, 5, 10, 50]))
def test_whatever_the_platform_says_the_mark_is_within_the_band(
    moments: list[tuple[int, float, bool, int | None, float, float, float, float, float]], tick: int
) -> None:
    state, at_ns = MarkState(), T0
    for wait, index, usable, age_ms, bid, ask, last, rate, left in moments:
        at_ns += wait * MS
        age_ns = None if age_ms is None else age_ms * MS
        inputs = MarkInputs(at_ns, index, usable, age_ns, bid, ask, last, rate, left)
        made = mark(state, inputs, RULES, 2, tick)
        state.units = state.reference = made.units
        assert made.units % tick == 0
        assert abs(made.units - index * 100) <= index * 100 * RULES.band_bps / 10_000 + tick / 2 + 1e-3
        legs = [leg for leg in (made.basis_leg, made.book_leg, made.funding_leg) if leg is not None]
        assert all(leg == leg for leg in legs), "no leg is NaN"
        if len(legs) == 3 and not made.step_binding and not made.band_binding:
            assert made.units == pytest.approx(median(legs) * 100, abs=tick / 2 + 1e-3)
