"""HIP-3: the multiplier and the clamp a deployer sets, the mid of impact, limits on open interest, dated limits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import ValidationError, convert, to_builtins
from msgspec.structs import replace

from oracle.core.mark import MarkInputs, MarkState
from oracle.core.params import Rules
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Depth, FundingRate, MarkPrice, PremiumSample, Reason
from oracle.methods import hip3, rules_at

TODAY = hip3.SETS[-1]
AT = 1_795_219_200 * NANOS_PER_S


def own(base: Rules = TODAY, **changed: Any) -> Rules:
    return replace(base, own=replace(base.own, **changed))


def test_der_hip3_1_a_premium_of_five_basis_points() -> None:
    assert hip3.settled(0.0005, TODAY) == 250_000  # 0.000025 an hour
    assert hip3.settled(0.0005, own(multiplier=0.5)) == 125_000


def test_the_resting_rate_halved_on_the_day_of_the_multiplier() -> None:
    """Every older equity perpetual of XYZ went from 12.5e-6 to 6.25e-6 between 19 and 20 December 2025."""
    assert hip3.settled(0.0001, hip3.SETS[0]) == 125_000
    assert hip3.settled(0.0001, own(hip3.SETS[0], multiplier=0.5)) == 62_500


def test_the_seeds_example_is_another_regimes() -> None:
    """USD 50 000 at five basis points: 3.125 an hour is the premium undivided by a clamp; HIP-3 pays 1.25."""
    assert 50_000 * hip3.settled(0.0005, TODAY) / 1e10 == pytest.approx(1.25)


@pytest.mark.parametrize(("day", "version"), [("2026-05-31", "1.0.0"), ("2026-06-01", "1.1.0")])
def test_a_date_finds_its_set(day: str, version: str) -> None:
    at_ns = int(datetime.fromisoformat(f"{day}T00:00+00:00").timestamp()) * NANOS_PER_S
    assert rules_at(hip3, at_ns).version == version


@given(st.floats(-0.3, 0.3), st.floats(0.0, 10.0), st.floats(0.0, 0.01), st.floats(-0.01, 0.01))
def test_a_rate_is_the_multiple_of_a_dampened_premium(
    premium: float, multiplier: float, clamp: float, interest: float
) -> None:
    rules = own(multiplier=multiplier, clamp_8h=clamp)
    rules = replace(rules, funding=replace(rules.funding, interest_per_8h=interest))
    expected = multiplier * (premium + min(max(interest - premium, -clamp), clamp)) / 8
    assert hip3.rate(premium, rules).rate == pytest.approx(min(max(expected, -0.04), 0.04), abs=1e-15)


def test_what_a_deployer_may_set_is_bounded() -> None:
    plain = to_builtins(TODAY.own)
    for name, wrong in (
        ("multiplier", 10.5),
        ("clamp_8h", 0.02),
        ("update_ms", 2_499),
        ("mark_lists", ["oracle", "basis", "external"]),
        ("mark_lists", ["last"]),
        ("step_holds", "nothing"),
    ):
        with pytest.raises(ValidationError, match=name):
            convert({**plain, name: wrong}, hip3.Own)


def test_the_premium_is_the_middle_of_the_impact_prices(perp: Any) -> None:
    depth = Depth(0, ((99.0, 1e4),), ((103.0, 1e4),), AT, AT)
    assert hip3.sample(depth, 100.0, None, perp("hip3", TODAY)).premium == pytest.approx(0.01)
    thin = Depth(0, ((99.0, 1e4),), ((103.0, 1.0),), AT, AT)
    assert hip3.sample(thin, 100.0, None, perp("hip3", TODAY)).reasons == [Reason.THIN_ASK, Reason.MISSING]


def test_without_an_index_nothing_is_posted(perp: Any) -> None:
    memory, instrument = MarkState(), perp("hip3", TODAY)
    now = MarkInputs(AT, 100.0, True, 0, 100.2, 100.4, 100.3, 0.0, 1.0)
    assert hip3.mark(memory, now, instrument).units == 10_015
    later = replace(now, at_ns=AT + 10_000 * NANOS_PER_MS, index_usable=False, bid=89.0, ask=91.0, last=90.0)
    assert hip3.mark(memory, later, instrument).units == 9_000


@pytest.mark.parametrize(
    ("asked", "open_interest", "may"),
    [(1e6, 0.0, True), (999_999.0, 0.0, False), (2e6, 4e6, True), (2e6, 4.1e6, False), (5e6, 1e6, True)],
)
def test_a_cap_on_open_interest_has_a_floor(asked: float, open_interest: float, may: bool) -> None:
    assert hip3.cap_may_be(asked, open_interest, TODAY) is may


@pytest.mark.parametrize(
    ("mark", "size", "may"), [(100.0, 1e5, True), (100.1, 1e5, False), (0.001, 1e9, True), (0.001, 1.1e9, False)]
)
def test_a_mark_may_not_inflate_open_interest(mark: float, size: float, may: bool) -> None:
    assert hip3.mark_may_be(mark, size, 1e6, TODAY) is may


def test_it_can_be_selected(rig: Callable[..., Any]) -> None:
    running = rig("hip3", TODAY)
    running.run(60)
    mark = running.mark()
    assert mark.price == pytest.approx(6_002_500, abs=1)
    assert (mark.book_leg, mark.funding_leg) == (6_002_500, running.index().price)
    running.engine_price = 66_000.0
    ticks = running.run(3, 100)
    marks = [v.price for tick in ticks for v in tick.values if isinstance(v, MarkPrice)]
    assert len({*marks, mark.price}) == 2, "one post in three seconds"
    assert marks[-1] is not None
    assert 6_002_500 < marks[-1] <= 6_002_500 * 1.01
    samples = [v for tick in ticks for v in tick.values if isinstance(v, PremiumSample)]
    rates = [v for tick in ticks for v in tick.values if isinstance(v, FundingRate)]
    assert all(sample.index is not None for sample in samples)
    assert rates[-1].interest_e8 == 1_250
