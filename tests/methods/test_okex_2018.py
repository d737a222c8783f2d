"""OKEx' first perpetual: its formula, its hours, the minute before, and the one worked example that was printed."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from oracle.core.funding import FundingState, start_of_interval
from oracle.core.mark import MarkState
from oracle.core.params import Contract
from oracle.core.types import NANOS_PER_S, Depth, FundingRate, Reason
from oracle.methods.okex_2018 import (
    SETS,
    accrue,
    contracts_to_close,
    fund,
    funding_fee,
    mark,
    position_value,
    rate,
    sample,
)

RULES = SETS[0]
MINUTE_NS = 60 * NANOS_PER_S
HOUR_NS = 60 * MINUTE_NS
START_NS = start_of_interval(RULES.effective_ns, RULES.funding)


def test_pub_okex_1_contracts_closed_down_to_the_first_tier() -> None:
    assert contracts_to_close(30_005, 19_999) == 10_006
    assert contracts_to_close(5, 19_999) == 0


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_an_inverse_position_is_worth_less_when_the_mark_is_higher(contracts: int, mark_price: int) -> None:
    worth = position_value(Decimal(100), contracts, Decimal(mark_price))
    assert worth * mark_price == pytest.approx(Decimal(100 * contracts))
    assert position_value(Decimal(100), contracts, Decimal(2 * mark_price)) == pytest.approx(worth / 2)
    assert funding_fee(Decimal(100), contracts, Decimal(mark_price), Decimal("-0.0025")) == worth * Decimal("-0.0025")


@pytest.mark.parametrize(
    ("hour", "start"), [(1, 14 - 24), (2, 2), (13, 2), (14, 14), (23, 14)], ids=lambda hour: f"{hour % 24:02}:00 UTC"
)
def test_intervals_end_at_three_and_fifteen_cet(hour: int, start: int) -> None:
    assert start_of_interval(hour * HOUR_NS, RULES.funding) == start * HOUR_NS


@pytest.mark.parametrize(
    ("premium", "interest", "expected"),
    [
        ("0.001", "0", "0.001"),
        ("0.001", "0.0002", "0.0007"),  # of twelve hours: half as much again as of eight
        ("0", "0.0002", "-0.0003"),
        ("0.01", "0", "0.0025"),
        ("-0.01", "0", "-0.0025"),
    ],
)
def test_interest_is_taken_off_and_nothing_is_flat(premium: str, interest: str, expected: str) -> None:
    rules = replace(RULES, funding=replace(RULES.funding, interest_per_8h=float(interest)))
    made = rate(float(premium), rules)
    assert abs(Fraction(made.rate) - Fraction(expected)) < Fraction(1, 10**18)
    assert made.cap_binding is (abs(float(premium)) > 0.0025)


@given(premium=st.floats(-0.01, 0.01), other=st.floats(-0.01, 0.01))
def test_the_rate_is_a_rate(rate_laws, premium: float, other: float) -> None:  # type: ignore[no-untyped-def]
    rate_laws(rate, RULES, premium, other)


def test_the_premium_is_that_of_the_mid(perp) -> None:  # type: ignore[no-untyped-def]
    book = Depth(0, ((3_990.0, 1.0),), ((4_030.0, 1.0),), 0, 0)
    assert sample(book, 4_000.0, None, perp("okex_2018", RULES)).premium == pytest.approx(0.0025)
    assert sample(replace(book, asks=()), 4_000.0, None, perp("okex_2018", RULES)).premium is None


def test_what_is_settled_at_three_was_stamped_a_minute_before(perp) -> None:  # type: ignore[no-untyped-def]
    instrument, state = replace(perp("okex_2018", RULES), contract=Contract.INVERSE), FundingState(START_NS)
    for minute in range(720):  # 02:00 to 13:59 UTC
        accrue(state, START_NS + minute * MINUTE_NS, 1_000_000 + minute * 1_000, instrument)
    accrue(state, START_NS + 12 * HOUR_NS, 90_000_000, instrument)
    made = fund(state, START_NS + 12 * HOUR_NS, instrument)
    assert (made.samples, made.expected, made.premium_mean_e10) == (720, 720, 1_359_500)
    assert made.rate_e8 == 13_595
    assert state.notes.windows["instants"][0] == START_NS / 1e6, "nothing older is kept than a window can reach"


def test_without_samples_it_pays_the_interest_that_is_taken_off(perp) -> None:  # type: ignore[no-untyped-def]
    rules = replace(RULES, funding=replace(RULES.funding, interest_per_8h=0.0002))
    made = fund(FundingState(START_NS), START_NS + HOUR_NS, perp("okex_2018", rules))
    assert (made.rate_e8, made.reasons) == (-30_000, [Reason.FUNDING_FALLBACK])


def test_the_mark_is_assumed_to_be_the_index_and_its_average_basis(perp, inputs) -> None:  # type: ignore[no-untyped-def]
    made = mark(MarkState(), inputs(0), perp("okex_2018", RULES))
    assert (made.units, made.basis_leg) == (6_001_000, 60_010.0)


def test_it_can_be_selected(rig) -> None:  # type: ignore[no-untyped-def]
    running = rig("okex_2018", RULES)
    assert running.world.indices[0].method == "hk1", "it makes no index"
    assert running.mark().price == pytest.approx(6_002_500, abs=200)
    rates = [value for tick in running.run(61) for value in tick.values if isinstance(value, FundingRate)]
    settles_ns = rates[-1].settles_ns
    assert settles_ns // HOUR_NS % 24 in (2, 14)
    assert (rates[-1].expected, rates[-1].reasons) == (720, (Reason.FUNDING_FALLBACK,))
