"""Posted marks: what stands between two posts, what the limits let through, and what stands when nobody posts."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from oracle.core.funding import FundingState, take
from oracle.core.mark import Marked, MarkInputs, MarkState
from oracle.core.params import PerpInstrument, World
from oracle.core.posted import (
    DeployerRules,
    deployer_fund,
    deployer_rate,
    deployer_settled,
    held,
    posted_mark,
    posts,
    since_post_ms,
)
from oracle.core.types import NANOS_PER_MS, Reason
from oracle.methods import hip3
from tests.core.rig import make_world

RULES: DeployerRules = hip3.SETS[-1].own
DAY_NS = 86_400_000 * NANOS_PER_MS
T0 = 20_000 * DAY_NS + DAY_NS // 2
PRICE = st.floats(1.0, 1e6)


@pytest.fixture
def perp(worlds: Callable[..., World]) -> PerpInstrument:
    """A perpetual whose tick is one unit of its scale."""
    return structs.replace(worlds(rules=hip3.SETS[-1], method="hip3").perps[0], tick_units=1)


def now(ms: int = 0, **changed: Any) -> MarkInputs:
    at_ns = T0 + ms * NANOS_PER_MS
    base = MarkInputs(at_ns, 100.0, True, 0, 100.2, 100.4, 100.3, 0.0, 1.0)
    return structs.replace(base, **changed)


def marked(
    perp: PerpInstrument, memory: MarkState, inputs: MarkInputs, oracle: float | None = 100.0, **rules: Any
) -> Marked:
    return posted_mark(memory, inputs, perp, structs.replace(RULES, **rules), lambda: oracle)


def test_the_mark_is_the_median_of_what_is_posted_and_the_local_one(perp: PerpInstrument) -> None:
    memory = MarkState()
    first = marked(perp, memory, now())
    assert (first.units, first.basis_leg) == (10_015, None)  # of the oracle and the local mark: there is no average yet
    second = marked(perp, memory, now(3_000))
    assert second.basis_leg == pytest.approx(100.3)
    assert (second.units, second.book_leg, second.funding_leg) == (10_030, 100.3, 100.0)
    assert second.reasons == []


def test_nothing_moves_between_two_posts(perp: PerpInstrument) -> None:
    memory = MarkState()
    first = marked(perp, memory, now())
    assert marked(perp, memory, now(2_999, bid=100.8, ask=101.0, last=100.9), 100.9).units == first.units
    assert memory.oracle == 100.0
    assert since_post_ms(memory, T0 + 2_999 * NANOS_PER_MS) == 2_999.0
    moved = marked(perp, memory, now(3_000, bid=100.8, ask=101.0, last=100.9), 100.9)
    assert moved.units > first.units
    assert memory.oracle == 100.9


def test_a_post_moves_the_mark_by_a_step_at_most(perp: PerpInstrument) -> None:
    memory = MarkState()
    marked(perp, memory, now(bid=99.9, ask=100.1, last=100.0))
    up = now(3_000, bid=149.0, ask=151.0, last=150.0)
    made = marked(perp, memory, up, 150.0, mark_lists=("oracle",))
    assert (made.units, made.step_binding, made.reasons) == (10_100, True, [Reason.CLAMP_STEP])
    assert marked(perp, memory, now(4_000), 150.0).step_binding, "a mark that stands is still the one that was held"
    assert memory.oracle == 150.0


def test_older_texts_hold_the_oracle_price_too(perp: PerpInstrument) -> None:
    memory = MarkState()
    marked(perp, memory, now(), step_holds="mark_and_oracle")
    marked(perp, memory, now(3_000), 150.0, step_holds="mark_and_oracle")
    assert memory.oracle == 101.0


def test_no_price_exceeds_ten_times_its_first_of_the_day(perp: PerpInstrument) -> None:
    memory = MarkState()
    loose: dict[str, Any] = {"update_step_bps": 10_000_000.0, "mark_lists": ("oracle",)}
    marked(perp, memory, now(bid=99.9, ask=100.1, last=100.0), **loose)
    far = {"bid": 4_999.0, "ask": 5_001.0, "last": 5_000.0}
    assert marked(perp, memory, now(3_000, **far), 5_000.0, **loose).units == 100_000
    assert memory.oracle == 1_000.0
    next_day = now(43_200_000, **far)
    assert marked(perp, memory, next_day, 5_000.0, **loose).units == 500_000, "the day begins at what was in force"
    assert memory.oracle == 5_000.0


def test_without_a_post_for_ten_seconds_the_local_mark_stands(perp: PerpInstrument) -> None:
    memory = MarkState()
    first = marked(perp, memory, now())
    assert marked(perp, memory, now(9_999, bid=120.0, ask=122.0, last=121.0), None).units == first.units
    fallen = marked(perp, memory, now(10_000, bid=120.0, ask=122.0, last=121.0), None)
    assert (fallen.units, fallen.book_leg, fallen.step_binding) == (12_100, 121.0, False)
    assert marked(perp, memory, now(12_900), 100.0).units == 12_100, "the fallback counts as an update"
    assert marked(perp, memory, now(13_000), 100.0).units == 11_979  # one per cent below


def test_without_posts_and_without_a_book_the_mark_stays(perp: PerpInstrument) -> None:
    memory = MarkState()
    silent = {"feed_age_ns": 10**12}
    alone = marked(perp, MarkState(), now(**silent), None)
    assert (alone.units, alone.reasons) == (10_000, [Reason.ENGINE_FEED_STALE, Reason.LEG_MISSING])
    first = marked(perp, memory, now())
    assert marked(perp, memory, now(20_000, **silent), None).units == first.units
    empty = marked(perp, MarkState(), now(**silent), 100.0, mark_lists=())
    assert empty.units == 10_000, "nothing is offered: the oracle price"


def test_bounds_come_last(perp: PerpInstrument) -> None:
    made = posted_mark(MarkState(), now(), perp, RULES, lambda: 100.0, (50.0, 99.0))
    assert (made.units, made.band_binding, made.step_binding) == (9_900, True, False)
    assert made.reasons == [Reason.CLAMP_BAND]


def test_the_marks_a_deployer_posts_are_those_it_names(perp: PerpInstrument) -> None:
    outside = (("a", 101.0), ("b", 103.0), ("c", 102.0))
    rules = structs.replace(RULES, mark_lists=("external", "oracle"))
    assert posts(MarkState(), now(outside=outside), perp, rules, 100.0).marks == [102.0, 100.0]
    assert posts(MarkState(), now(), perp, rules, 100.0).marks == [100.0]
    one_sided = posts(MarkState(), now(bid=0.0), perp, structs.replace(RULES, mark_lists=("basis",)), 100.0)
    assert (one_sided.marks, one_sided.basis) == ([], None)


@given(PRICE, PRICE, st.floats(0.0, 0.5), PRICE, st.floats(1.0, 20.0))
def test_a_held_price_is_within_its_limits(
    price: float, before: float, step: float, first: float, ratio: float
) -> None:
    value = held(price, before, step, first, ratio)
    assert value <= first * ratio
    assert value <= before * (1.0 + step)
    assert value >= min(before * (1.0 - step), first * ratio)
    assert held(price, None, step, None, ratio) == price
    assert held(price, before, inf, None, ratio) == price


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 12_000), st.floats(50.0, 200.0)), min_size=2, max_size=30))
def test_no_post_steps_further_than_it_may(walk: list[tuple[int, float]]) -> None:
    perp = structs.replace(make_world(rules=hip3.SETS[-1], method="hip3").perps[0], tick_units=1)
    memory, ms, before = MarkState(), 0, None
    for gap_ms, price in walk:
        ms += gap_ms
        inputs = now(ms, index=price, bid=price - 0.1, ask=price + 0.1, last=price)
        units = posted_mark(memory, inputs, perp, RULES, lambda price=price: price).units  # type: ignore[misc]
        assert before is None or abs(units / before - 1.0) <= 0.01 + 1.01 / before  # both are rounded
        before = units


def test_the_multiplier_holds_for_interest_alone(perp: PerpInstrument) -> None:
    half = structs.replace(perp.rules, own=structs.replace(RULES, multiplier=0.5))
    halved = structs.replace(perp, rules=half)
    assert deployer_rate(0.0001, half).rate == pytest.approx(6.25e-6)
    assert deployer_settled(0.0001, half) == 62_500, "in units of 1e-10"
    state = FundingState(T0, T0)
    assert deployer_fund(state, T0 + 3_600_000 * NANOS_PER_MS, halved).rate_e8 == 625
    take(state, 1_000_000)
    made = deployer_fund(state, T0 + 5_000 * NANOS_PER_MS, halved)
    assert (made.rate_e8, made.interest_e8, made.reasons) == (625, 625, [])
    assert deployer_fund(state, T0 + 5_000 * NANOS_PER_MS, perp).rate_e8 == 1_250
