"""Indices of indices: the product of legs, no better than the weakest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.core.composite import product
from oracle.core.index import Backing, Candidate
from oracle.core.types import Reason, Verdict

MS = 1_000_000


def leg(value: float, age_ms: int = 0, backing: Backing | None = None, verdict: Verdict | None = None) -> Candidate:
    backing = backing or Backing(5, 3, 0.001)
    return Candidate(0, "leg", value, age_ms * MS, verdict, True, 0.0, 0.0, "leg", leg=backing)


def test_gold_in_silver() -> None:
    made = product([leg(2_400.0), leg(1 / 30.0, backing=Backing(4, 2, 0.002))], 1_000)
    assert made.price == pytest.approx(80.0)
    assert (len(made.groups), made.n_anchored, made.breakdown_groups) == (4, 4, 2)
    assert made.confidence == pytest.approx(0.003)
    assert made.low == made.high == made.price
    assert not made.closed


def test_the_order_of_legs_is_nobodys() -> None:
    legs = [leg(63.0), leg(33288.389952579746), leg(1.5)]
    assert product(legs, 1_000).price == product([legs[0], legs[2], legs[1]], 1_000).price
    assert product([], 1_000).reasons == [Reason.LEG_UNUSABLE]


def test_every_leg_is_needed() -> None:
    made = product([leg(2_400.0), leg(0.0, verdict=Verdict.NO_PRICE)], 1_000)
    assert (made.price, made.groups, made.reasons) == (0.0, [], [Reason.LEG_UNUSABLE])


def test_legs_of_different_times_are_not_multiplied() -> None:
    assert product([leg(2.0, 0), leg(3.0, 1_000)], 1_000).price == 6.0
    late = product([leg(2.0, 0), leg(3.0, 1_001)], 1_000)
    assert (late.price, late.reasons) == (0.0, [Reason.LEGS_SKEWED])


def test_a_closed_leg_has_no_time_to_differ_in() -> None:
    shut = leg(3.0, 86_400_000, Backing(5, 3, 0.0, closed=True), Verdict.CLOSED)
    made = product([leg(2.0), shut], 1_000)
    assert (made.price, made.closed) == (6.0, True)
    assert shut.verdict is Verdict.CLOSED


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=4), st.randoms())
def test_order_means_nothing_but_a_last_bit(values: list[float], random) -> None:  # type: ignore[no-untyped-def]
    legs = [leg(value) for value in values]
    assert product(random.sample(legs, len(legs)), 0).price == pytest.approx(product(legs, 0).price, rel=1e-14)
