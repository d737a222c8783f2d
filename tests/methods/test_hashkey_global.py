"""HashKey Global: five equal venues, the middle of three every five seconds, the cap that is published."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from oracle.core.funding import FundingState
from oracle.core.index import Cohort
from oracle.core.mark import MarkState
from oracle.core.types import NANOS_PER_S, Depth, State, Verdict
from oracle.methods.hashkey_global import SETS, accrue, fund, index, mark, rate, sample

AT = 10**18
RULES = SETS[0]


def test_five_venues_weigh_the_same(basket) -> None:  # type: ignore[no-untyped-def]
    prices = {"kraken": 100.0, "binance": 101.0, "bybit": 102.0, "coinbase": 103.0, "okx": 109.0, "gate": 7.0}
    candidates, memory = basket(prices, prices)
    assert index(candidates, memory, RULES, AT).price == pytest.approx(103.0, rel=1e-15)
    assert candidates[5].verdict is Verdict.UNWEIGHTED
    candidates, memory = basket(prices, prices)
    candidates[4].verdict = Verdict.STALE
    assert index(candidates, memory, RULES, AT).price == pytest.approx(101.5, rel=1e-15), "the others share its weight"
    assert index([], memory, RULES, AT) == Cohort()


@given(prices=st.lists(st.floats(50_000, 70_000), min_size=1, max_size=5), random=st.randoms())
def test_an_average_is_an_average(index_laws, prices, random) -> None:  # type: ignore[no-untyped-def]
    weights = {f"v{place}": 0.2 for place in range(5)}
    index_laws(index, replace(RULES, own=replace(RULES.own, weights=weights)), prices, random)


def test_the_mark_is_the_middle_of_three_and_the_basis_one_of_sixty_points(perp, inputs) -> None:  # type: ignore[no-untyped-def]
    memory, instrument = MarkState(), perp("hashkey_global", RULES)
    for second in range(0, 5 * 64, 1):
        level = 60_000.0 + second // 5
        made = mark(memory, inputs(second * 1_000, bid=level - 1, ask=level + 1), instrument)
    assert made.basis_leg == pytest.approx(60_000.0 + 4 + 59 / 2)
    assert made.funding_leg == pytest.approx(60_003.0)
    assert made.units == 6_002_000, "the last trade is in the middle"


def test_the_premium_is_of_what_200_of_margin_carry(perp) -> None:  # type: ignore[no-untyped-def]
    book = Depth(0, ((60_030.0, 4_000 / 60_030.0), (10.0, 9.0)), ((60_040.0, 9.0),), 0, 0)
    assert sample(book, 60_000.0, None, perp("hashkey_global", RULES)).premium == pytest.approx(30 / 60_000)


@pytest.mark.parametrize(("weighing", "mean_e10"), [("equal", 2_000_000), ("linear", 2_333_333)])
def test_every_minute_counts_the_same_unless_it_is_said_otherwise(perp, weighing: str, mean_e10: int) -> None:  # type: ignore[no-untyped-def]
    instrument = perp("hashkey_global", replace(RULES, own=replace(RULES.own, weighing=weighing)))
    state = FundingState()
    for minute in (1, 2, 3):
        accrue(state, minute * 60 * NANOS_PER_S, minute * 1_000_000, instrument)
    assert fund(state, 180 * NANOS_PER_S, instrument).premium_mean_e10 == mean_e10


@pytest.mark.parametrize(
    ("premium", "expected"), [("0.0009", "0.0004"), ("0.0003", "0.0001"), ("-0.0006", "-0.0001"), ("0.1", "0.00375")]
)
def test_the_rate_and_its_published_cap(premium: str, expected: str) -> None:
    assert abs(Fraction(rate(float(premium), RULES).rate) - Fraction(expected)) < Fraction(1, 10**18)


@given(premium=st.floats(-0.01, 0.01), other=st.floats(-0.01, 0.01))
def test_the_rate_is_a_rate(rate_laws, premium: float, other: float) -> None:  # type: ignore[no-untyped-def]
    rate_laws(rate, RULES, premium, other)


def test_it_can_be_selected(rig) -> None:  # type: ignore[no-untyped-def]
    weights = {f"g{place}": 0.2 for place in range(5)}
    running = rig("hashkey_global", replace(RULES, own=replace(RULES.own, weights=weights)))
    assert running.index().state is State.NORMAL
    assert running.index().n_groups == 5
    assert running.mark().basis_leg == pytest.approx(6_002_500, abs=200)
