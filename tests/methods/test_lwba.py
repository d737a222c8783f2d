"""Liquidity-weighted bid and ask, and sources that stand for operators; the examples stand in `test_vectors.py`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from oracle.core.basket import Sides, sound
from oracle.core.index import Cohort
from oracle.core.types import NANOS_PER_MS, Depth, State, Verdict
from oracle.methods.lwba import SETS, index, weighted

AT = 10**18


LEVELS = st.lists(st.tuples(st.floats(50.0, 99.0), st.floats(0.01, 1e4)), min_size=1, max_size=12)


@given(LEVELS, LEVELS, st.randoms())
def test_order_means_nothing_and_each_side_lies_within_its_prices(bids, above, random) -> None:  # type: ignore[no-untyped-def]
    asks = [(price + 50.0, size) for price, size in above]
    made = sound(bids, asks)
    assert isinstance(made, Sides)
    again = sound(random.sample(bids, len(bids)), random.sample(asks, len(asks)))
    assert isinstance(again, Sides)
    assert weighted(made) == weighted(again)
    assert min(made.bids)[0] <= weighted(made).bid <= made.bids[0][0]
    assert made.asks[0][0] <= weighted(made).ask <= max(made.asks)[0]
    doubled = Sides(*[[(price * 2, size * 4) for price, size in side] for side in made])
    assert weighted(doubled).mid == weighted(made).mid * 2


def test_only_so_many_levels_are_seen() -> None:
    sides = Sides([(100.0, 1.0), (90.0, 9.0)], [(102.0, 1.0), (112.0, 9.0)])
    assert weighted(sides, 1) == (100.0, 102.0)
    assert weighted(sides, 2) == weighted(sides) == (91.0, 111.0)


def test_the_index_is_the_median_of_the_mids(basket) -> None:  # type: ignore[no-untyped-def]
    candidates, memory = basket({"a": 100.0, "b": 100.0, "c": 110.0, "d": 90.0})
    bids, asks = ((100.0, 1.0), (90.0, 3.0)), ((102.0, 3.0), (110.0, 1.0))
    candidates[0].known.depth = Depth(0, bids, asks, 0, AT)  # 92.5 and 104: a mid of 98.25
    made = index(candidates, memory, SETS[0], AT)
    assert made.price == pytest.approx((98.25 + 100.0) / 2)
    assert candidates[0].price == 98.25


def test_fewer_than_three_operators_make_no_report(basket) -> None:  # type: ignore[no-untyped-def]
    candidates, memory = basket({"a": 100.0, "b": 101.0, "c": 102.0})
    candidates[1].known.bid_size = 0.0
    candidates[2].age_ns = 10_001 * NANOS_PER_MS
    assert index(candidates, memory, SETS[0], AT) == Cohort()
    assert [c.verdict for c in candidates] == [Verdict.USED, Verdict.ONE_SIDED, Verdict.STALE]
    alone = replace(SETS[0], own=replace(SETS[0].own, operators_min=1))
    assert index(basket({"a": 100.0})[0], memory, alone, AT).price == pytest.approx(100.0)


def test_it_can_be_selected(rig) -> None:  # type: ignore[no-untyped-def]
    running = rig("lwba", SETS[0])
    assert running.index().state is State.NORMAL
    assert running.index().price == pytest.approx(6_000_000, abs=700)
