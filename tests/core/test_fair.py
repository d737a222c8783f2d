"""Venues' marks: legs, averages on a grid, medians, and what is said when a leg is missing."""

from __future__ import annotations

import pytest
from msgspec import structs

from oracle.core import fair
from oracle.core.frame import rules
from oracle.core.mark import MarkInputs, MarkState
from oracle.core.params import Contract, PerpInstrument
from oracle.core.types import Reason

MS = 1_000_000
PERP = PerpInstrument(
    id="X", index="I", engine_source=0, contract=Contract.LINEAR, contract_size=1.0, price_decimals=2, tick_units=1,
    method="hk1", rules=rules(0, "1"),
)  # fmt: skip
NOW = MarkInputs(1_000 * MS, 60_000.0, True, 0, 60_009.0, 60_011.0, 60_020.0, 0.0001, 0.5)


def at(ms: int, **changed: object) -> MarkInputs:
    return structs.replace(NOW, at_ns=ms * MS, **changed)


def test_the_funding_leg_is_the_published_example() -> None:
    assert fair.funding_leg(60_000.0, 0.00015, 155 / 480) == pytest.approx(60_002.90625)


@pytest.mark.parametrize(("bid", "ask", "good"), [(1.0, 2.0, True), (0.0, 2.0, False), (2.0, 2.0, False)])
def test_a_book_has_two_sides(bid: float, ask: float, good: bool) -> None:
    assert fair.two_sided(structs.replace(NOW, bid=bid, ask=ask)) is good


@pytest.mark.parametrize(("age", "alive"), [(None, False), (3_000 * MS, True), (3_001 * MS, False)])
def test_a_silent_platform_has_no_book(age: int | None, alive: bool) -> None:
    assert fair.live(structs.replace(NOW, feed_age_ns=age), PERP) is alive


def test_the_average_takes_one_point_a_grid_interval_and_forgets_the_oldest() -> None:
    memory = MarkState()
    assert fair.basis_average(memory, at(1_000), PERP, 1_000, 3_000) == 10.0
    assert fair.basis_average(memory, at(1_400, bid=60_099.0, ask=60_101.0), PERP, 1_000, 3_000) == 10.0
    for second, mid in ((2, 60_020.0), (3, 60_030.0), (4, 60_040.0)):
        found = fair.basis_average(memory, at(second * 1_000, bid=mid - 1, ask=mid + 1), PERP, 1_000, 3_000)
    assert found == 30.0


@pytest.mark.parametrize("unfit", [{"index_usable": False}, {"feed_age_ns": None}, {"bid": 0.0}])
def test_an_unfit_moment_leaves_no_point(unfit: dict[str, object]) -> None:
    memory = MarkState()
    assert fair.basis_average(memory, at(1_000, **unfit), PERP, 1_000, 3_000) is None
    assert fair.basis_average(memory, at(1_999), PERP, 1_000, 3_000) is None, "its interval is over"
    assert fair.basis_average(memory, at(2_000), PERP, 1_000, 3_000) == 10.0


def test_the_middle_of_three_and_of_what_is_left() -> None:
    made = fair.middle(NOW, PERP, (60_010.0, 60_020.0, 60_003.0))
    assert (made.units, made.reasons) == (6_001_000, [])
    assert (made.basis_leg, made.book_leg, made.funding_leg) == (60_010.0, 60_020.0, 60_003.0)
    two = fair.middle(NOW, PERP, (None, 60_020.0, 60_003.0))
    assert (two.units, two.reasons) == (6_001_150, [Reason.LEG_MISSING])
    silent = structs.replace(NOW, feed_age_ns=None)
    none = fair.middle(silent, PERP, (None, None, None))
    assert (none.units, none.reasons) == (6_000_000, [Reason.ENGINE_FEED_STALE, Reason.LEG_MISSING])


def test_a_mark_of_one_formula() -> None:
    made = fair.fixed(NOW, PERP, 60_003.004, funded=60_003.004)
    assert (made.units, made.funding_leg, made.reasons) == (6_000_300, 60_003.004, [])
    assert fair.fixed(structs.replace(NOW, feed_age_ns=None), PERP, 1.0).reasons == [Reason.ENGINE_FEED_STALE]


def test_an_average_that_outweighs_a_fallen_index_makes_no_price() -> None:
    assert fair.based(100.0, -30.0) == 70.0
    assert fair.based(30.0, -30.0) is fair.based(100.0, None) is None
    memory = MarkState()
    fair.basis_leg(memory, at(1_000, bid=40_000.0, ask=40_002.0), PERP, 1_000, 3_000)
    assert fair.basis_leg(memory, at(1_500, index=10_000.0), PERP, 1_000, 3_000) is None


def test_an_average_premium_follows_the_book_and_is_held_within_a_band() -> None:
    memory = MarkState()
    first = fair.smoothed(memory, at(1_000), PERP, 60_100.0, 15_000, 0.001)
    assert (first.units, first.basis_leg, first.reasons) == (6_000_000, None, [Reason.LEG_MISSING])
    made = fair.smoothed(memory, at(61_000), PERP, 60_050.0, 15_000, 0.001)
    assert (made.units, made.basis_leg, made.band_binding, made.reasons) == (6_005_000, 60_050.0, False, [])
    wide = fair.smoothed(memory, at(62_000), PERP, 61_000.0, 15_000, 0.001)
    assert (wide.units, wide.band_binding, wide.reasons) == (6_006_000, True, [Reason.CLAMP_BAND])
    assert wide.basis_leg is not None
    assert wide.basis_leg > 60_060.0
    assert fair.smoothed(memory, at(63_000), PERP, None, 15_000, 0.0).basis_leg == wide.basis_leg


@pytest.mark.parametrize("index_usable", [True, False])
def test_without_the_feed_the_average_is_forgotten_and_in_a_fallback_it_is_kept(index_usable: bool) -> None:
    memory = MarkState()
    for ms in (1_000, 61_000):
        fair.smoothed(memory, at(ms), PERP, 60_050.0, 15_000, 0.0)
    unfit = {"index_usable": False} if not index_usable else {"feed_age_ns": None}
    made = fair.smoothed(memory, at(62_000, **unfit), PERP, 60_900.0, 15_000, 0.0)
    assert (made.units, made.basis_leg) == (6_000_000, None)
    after = fair.smoothed(memory, at(62_001), PERP, None, 15_000, 0.0)
    assert after.basis_leg == (None if index_usable else 60_050.0)


def test_a_band_of_zero_holds_nothing() -> None:
    assert fair.banded(NOW, PERP, 90_000.0, 0.0, book=90_000.0).units == 9_000_000
    held = fair.banded(NOW, PERP, 90_000.0, 0.05, book=90_000.0)
    assert (held.units, held.book_leg, held.reasons) == (6_300_000, 90_000.0, [Reason.CLAMP_BAND])


def test_the_last_rate_is_the_settled_one_or_else_the_running() -> None:
    assert fair.last_rate(NOW) == 0.0001
    assert fair.last_rate(structs.replace(NOW, settled_rate=0.0)) == 0.0


@pytest.mark.parametrize(("age_ms", "gone"), [(None, True), (30_000, False), (30_001, True)])
def test_a_platform_is_lost_after_its_time(age_ms: int | None, gone: bool) -> None:
    assert fair.lost(structs.replace(NOW, feed_age_ns=None if age_ms is None else age_ms * MS), PERP) is gone


def test_a_basis_leg_outlives_a_silence_and_not_a_loss() -> None:
    memory = MarkState()
    assert fair.basis_leg(memory, at(1_000), PERP, 1_000, 3_000) == 60_010.0
    assert fair.basis_leg(memory, at(9_000, feed_age_ns=8_000 * MS), PERP, 1_000, 3_000) == 60_010.0
    assert fair.basis_leg(memory, at(40_000, feed_age_ns=39_000 * MS), PERP, 1_000, 3_000) is None
    assert fair.basis_leg(memory, at(41_000, bid=60_049.0, ask=60_051.0), PERP, 1_000, 3_000) == 60_050.0


@pytest.mark.parametrize(
    ("changed", "units", "reasons"),
    [
        ({}, 6_001_000, []),
        ({"last": 59_000.0}, 6_000_600, []),
        ({"last": 0.0}, 6_000_800, [Reason.LEG_MISSING]),
        ({"bid": 0.0}, 6_001_300, [Reason.LEG_MISSING]),
        ({"feed_age_ns": None}, 6_000_600, [Reason.ENGINE_FEED_STALE, Reason.LEG_MISSING]),
    ],
)
def test_three_legs_and_what_is_left_of_them(changed: dict[str, object], units: int, reasons: list[Reason]) -> None:
    made = fair.three_legs(MarkState(), at(1_000, **changed), PERP, 0.0002, 1_000, 3_000)
    assert (made.units, made.reasons) == (units, reasons)
    assert made.funding_leg == pytest.approx(60_006.0)


def test_the_index_and_its_basis_by_themselves() -> None:
    memory = MarkState()
    empty = fair.index_and_basis(memory, at(1_000, ask=0.0), PERP, 1_000, 3_000)
    assert (empty.units, empty.basis_leg, empty.reasons) == (6_000_000, None, [Reason.LEG_MISSING])
    made = fair.index_and_basis(memory, at(2_000), PERP, 1_000, 3_000)
    assert (made.units, made.basis_leg, made.reasons) == (6_001_000, 60_010.0, [])
