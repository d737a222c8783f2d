"""Gate by its dates: a mark by funding alone and the middle of three, weights of premiums, divided rates."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from oracle.core.funding import FundingState
from oracle.core.index import Cohort
from oracle.core.mark import MarkState
from oracle.core.params import Rules
from oracle.core.types import NANOS_PER_S, Depth, Reason, State, Verdict
from oracle.methods import gate as method
from oracle.methods import rules_at
from oracle.methods.gate import SETS, accrue, fund, index, mark, rate, sample

AT = 10**18
OLD, MEDIAN, NOW = SETS


def hours(count: int, rules: Rules = NOW) -> Rules:
    return replace(rules, funding=replace(rules.funding, interval_ms=count * 3_600_000))


def test_the_index_is_the_mean_of_last_prices_by_weight(basket) -> None:  # type: ignore[no-untyped-def]
    prices = {"binance": 100.0, "okx": 104.0, "htx": 90.0}
    rules = replace(NOW, own=replace(NOW.own, weights={"binance": 3.0, "okx": 1.0}, weight_otherwise=0.0))
    candidates, memory = basket(dict.fromkeys(prices, 80.0), prices)
    assert index(candidates, memory, rules, AT).price == 101.0
    assert candidates[2].verdict is Verdict.UNWEIGHTED
    assert index([], memory, rules, AT) == Cohort()


def test_a_closed_markets_last_price_stands(basket) -> None:  # type: ignore[no-untyped-def]
    candidates, memory = basket({"nasdaq": 100.0, "nyse": 102.0}, {"nasdaq": 100.0, "nyse": 102.0})
    for c in candidates:
        c.verdict = Verdict.CLOSED
    made = index(candidates, memory, NOW, AT)
    assert (made.price, made.closed) == (101.0, True)


@given(prices=st.lists(st.floats(50_000, 70_000), min_size=1, max_size=8), random=st.randoms())
def test_an_average_is_an_average(index_laws, prices, random) -> None:  # type: ignore[no-untyped-def]
    index_laws(index, NOW, prices, random)


def test_the_mark_was_one_formula(perp, inputs) -> None:  # type: ignore[no-untyped-def]
    made = mark(MarkState(), inputs(0, funding_rate=0.0004, funding_left=0.75), perp("gate", OLD))
    assert (made.units, made.basis_leg, made.book_leg) == (6_001_800, None, None)
    assert mark(MarkState(), inputs(0, feed_age_ns=None), perp("gate", OLD)).reasons == [Reason.ENGINE_FEED_STALE]


def test_the_mark_is_the_middle_of_three(perp, inputs) -> None:  # type: ignore[no-untyped-def]
    made = mark(MarkState(), inputs(0, settled_rate=0.9), perp("gate", MEDIAN))
    assert (made.basis_leg, made.book_leg, made.units) == (60_010.0, 60_020.0, 6_001_000)
    assert made.funding_leg == pytest.approx(60_003.0), "by the running estimate"


def test_the_premium_is_that_of_the_impact_prices(perp) -> None:  # type: ignore[no-untyped-def]
    book = Depth(0, ((59_900.0, 9.0),), ((59_940.0, 9.0),), 0, 0)
    assert sample(book, 60_000.0, None, perp("gate", NOW)).premium == pytest.approx(-60 / 60_000)


@pytest.mark.parametrize(("rules", "mean_e10"), [(MEDIAN, 2_000_000), (NOW, 2_333_333)])
def test_since_may_2026_later_samples_weigh_more(perp, rules: Rules, mean_e10: int) -> None:  # type: ignore[no-untyped-def]
    instrument, state = perp("gate", rules), FundingState()
    for minute in (1, 2, 3):
        accrue(state, minute * 60 * NANOS_PER_S, minute * 1_000_000, instrument)
    assert fund(state, 180 * NANOS_PER_S, instrument).premium_mean_e10 == mean_e10


@pytest.mark.parametrize(
    ("rules", "premium", "expected"),
    [
        (hours(4), "0.0009", "0.0002"),
        (hours(4, MEDIAN), "0.0009", "0.0004"),
        (hours(1), "0", "0.0000125"),
        (hours(1, MEDIAN), "0", "0.0000125"),
        (NOW, "-0.0006", "-0.0001"),
        (NOW, "0.1", "0.003"),
        (OLD, "-0.1", "-0.003"),
    ],
)
def test_the_rate_of_its_time(rules: Rules, premium: str, expected: str) -> None:
    assert abs(Fraction(rate(float(premium), rules).rate) - Fraction(expected)) < Fraction(1, 10**18)


@given(premium=st.floats(-0.01, 0.01), other=st.floats(-0.01, 0.01), rules=st.sampled_from([*SETS, hours(1)]))
def test_the_rate_is_a_rate(rate_laws, premium: float, other: float, rules: Rules) -> None:  # type: ignore[no-untyped-def]
    rate_laws(rate, rules, premium, other)


def test_the_change_of_27_may_2026_is_in_the_time_of_utc_plus_8() -> None:
    at_ns = int(datetime.fromisoformat("2026-05-27T00:00:00+08:00").timestamp()) * NANOS_PER_S
    assert (rules_at(method, at_ns - 1).version, rules_at(method, at_ns).version) == ("1.1.0", "1.2.0")


def test_it_can_be_selected(rig) -> None:  # type: ignore[no-untyped-def]
    running = rig("gate", NOW)
    assert running.index().state is State.NORMAL
    assert running.index().price == pytest.approx(6_000_000, abs=200)
    assert running.mark().basis_leg == pytest.approx(6_002_500, abs=200)
