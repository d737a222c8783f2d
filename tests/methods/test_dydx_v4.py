"""dYdX v4: votes of a minute, samples of an hour, and integers that round as there."""

from __future__ import annotations

from fractions import Fraction
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from oracle.core.funding import FundingState
from oracle.core.index import Cohort
from oracle.core.mark import MarkInputs, MarkState
from oracle.core.params import PerpInstrument
from oracle.core.types import NANOS_PER_S, Depth, FundingRate, Reason, State
from oracle.methods.dydx_v4 import (
    SETS,
    accrue,
    fund,
    index,
    limits_ppm,
    mark,
    mean_ppm,
    median_ppm,
    rate,
    sample,
    settled,
    to_ppm,
)

RULES = SETS[0]
HOUR = 3_600 * NANOS_PER_S
START = 1_700_000 * HOUR
PPM = st.integers(-(10**6), 10**6)


def test_pub_dydx_2_the_limit_of_a_rate() -> None:
    assert limits_ppm(RULES.own) == (120_000, 1_200_000)
    assert RULES.funding.cap * 8 == pytest.approx(0.12)
    assert rate(0.5, RULES).rate * 8 == pytest.approx(0.12)


@pytest.mark.parametrize(
    ("votes", "votes_min", "ppm"),
    [([], 15, 0), ([7] * 7, 15, 0), ([7] * 8, 15, 7), ([1, 2], 2, 2), ([-1, -2], 2, -2), ([-2, 1], 2, -1)],
)
def test_a_minute_is_the_median_of_its_votes_filled_up_with_zeros(votes: list[int], votes_min: int, ppm: int) -> None:
    assert median_ppm(votes, votes_min) == ppm


@given(st.lists(PPM, min_size=1, max_size=40))
def test_a_median_of_two_goes_away_from_zero(votes: list[int]) -> None:
    true = Fraction(median([Fraction(vote) for vote in votes]))
    away = true if true.denominator == 1 else true + (Fraction(1, 2) if true > 0 else Fraction(-1, 2))
    assert median_ppm(votes, 1) == away
    assert median_ppm([-vote for vote in votes], 1) == -median_ppm(votes, 1)


@given(st.lists(PPM, min_size=1, max_size=60))
def test_an_hour_is_the_mean_of_sixty_towards_zero(samples: list[int]) -> None:
    assert mean_ppm(samples, 60) == int(Fraction(sum(samples), 60))
    assert mean_ppm(samples[::-1], 60) == mean_ppm(samples, 60)


def test_tails_are_cut_off_as_the_chain_can() -> None:
    samples = [-1_000, *[10] * 58, 5_000]
    assert mean_ppm(samples, 60, 0.0) == (580 + 4_000) // 60
    assert mean_ppm(samples, 60, 0.02) == 10  # one below, one above
    assert mean_ppm([0, 0, 30], 3, 0.17) == 0  # an odd number of removed ones takes the more from the top


@pytest.mark.parametrize(("share", "ppm"), [(0.0012349, 1_234), (-0.0012349, -1_234), (0.001, 1_000), (3e-7, 0)])
def test_shares_are_cut_off_to_ppm(share: float, ppm: int) -> None:
    assert to_ppm(share) == ppm


@given(st.floats(-1.0, 1.0))
def test_the_rate_is_antisymmetric_and_limited(premium: float) -> None:
    made = rate(premium, RULES)
    assert abs(made.rate) <= 0.015
    assert rate(-premium, RULES).rate == -made.rate
    if not made.cap_binding:
        assert made.rate * 8 == pytest.approx(to_ppm(premium) / 1e6)


def test_isolated_markets_have_a_default_of_an_eighth_of_a_basis_point_an_hour() -> None:
    isolated = replace(RULES, funding=replace(RULES.funding, interest_per_8h=0.0001))
    assert rate(0.0, isolated).rate == 0.0000125
    assert rate(0.12, isolated).rate == pytest.approx(0.015)  # the limit holds the sum
    assert rate(0.0, isolated).interest == 0.0000125


def test_an_eighth_of_a_ppm_needs_nine_decimals() -> None:
    assert settled(0.000001, RULES) == 125
    assert settled(-0.000003, RULES) == -375


def book(bid: float, ask: float, size: float = 10.0) -> Depth:
    return Depth(0, ((bid, size),), ((ask, size),), 0, 0)


def test_a_vote_is_the_impact_premium_in_whole_ppm(rig) -> None:  # type: ignore[no-untyped-def]
    perp = rig("dydx_v4", RULES).world.perps[0]
    assert sample(book(60_010.0, 60_020.0), 60_000.0, None, perp).premium == 0.000166
    assert sample(book(59_980.0, 59_990.0), 60_000.0, None, perp).premium == -0.000166
    assert sample(book(59_990.0, 60_010.0), 60_000.0, None, perp).premium == 0.0
    assert sample(book(600_000.0, 600_001.0), 60_000.0, None, perp).premium == 1.2
    thin = sample(book(60_010.0, 60_020.0, 0.1), 60_000.0, None, perp)
    assert (thin.premium, thin.reasons) == (0.0, [Reason.THIN_BID, Reason.THIN_ASK])


def vote(perp: PerpInstrument, state: FundingState, second: int, ppm: int) -> None:
    state.instant_ns = START + second * NANOS_PER_S
    accrue(state, state.instant_ns, ppm * 10_000, perp)


def test_sixty_samples_of_sixty_votes_make_the_rate_of_an_hour(rig) -> None:  # type: ignore[no-untyped-def]
    perp = rig("dydx_v4", RULES).world.perps[0]
    state = FundingState(START, START)
    for second in range(1, 3_601):
        vote(perp, state, second, (second - 1) // 60 * 10)
        if second == 150:  # two minutes have ended: 0 and 10 ppm
            assert fund(state, state.instant_ns, perp).premium_mean_e10 == 5 * 10_000
    made = fund(state, START + HOUR, perp)
    assert made.premium_mean_e10 == 295 * 10_000
    assert (made.rate_e8, made.samples, made.expected, made.reasons) == (3688, 3600, 3600, [])


def test_minutes_without_votes_are_zeros_and_the_missing_are_told(rig) -> None:  # type: ignore[no-untyped-def]
    perp = rig("dydx_v4", RULES).world.perps[0]
    state = FundingState(START, START)
    for second in range(1, 61):
        vote(perp, state, second, 6_000)
    for second in range(121, 128):  # seven votes of fifteen: the median of the filled-up minute is zero
        vote(perp, state, second, 6_000)
    made = fund(state, START + HOUR, perp)
    assert made.premium_mean_e10 == 100 * 10_000
    assert (made.samples, made.expected) == (67, 3600)


def test_an_hour_without_a_vote_pays_the_default_and_says_so(rig) -> None:  # type: ignore[no-untyped-def]
    perp = rig("dydx_v4", RULES).world.perps[0]
    state = FundingState(START, START)
    for second in (1, 60):
        vote(perp, state, second, 500)
    state.start_ns += HOUR  # the next hour: what was voted before does not count
    made = fund(state, START + 2 * HOUR, perp)
    assert (made.rate_e8, made.premium_mean_e10, made.reasons) == (0, None, [Reason.FUNDING_FALLBACK])


def test_the_oracle_is_the_median_of_at_least_three(basket) -> None:  # type: ignore[no-untyped-def]
    lasts = {"a": 100.0, "b": 101.0, "c": 105.0, "d": 102.0}
    candidates, memory = basket(dict.fromkeys(lasts, 90.0), lasts)
    assert index(candidates, memory, RULES, 0).price == 101.5
    candidates, memory = basket(dict.fromkeys("ab", 90.0), lasts)
    assert index(candidates, memory, RULES, 0) == Cohort()


def test_the_mark_is_the_oracle(rig) -> None:  # type: ignore[no-untyped-def]
    perp = rig("dydx_v4", RULES).world.perps[0]
    now = MarkInputs(START, 60_000.1, True, 0, 61_000.0, 61_001.0, 61_000.0, 0.01, 0.5)
    assert mark(MarkState(), now, perp).units == 6_000_010


def test_it_can_be_selected(rig) -> None:  # type: ignore[no-untyped-def]
    running = rig("dydx_v4", RULES)
    assert running.index().state is State.NORMAL
    assert running.mark().price == pytest.approx(running.index().price, abs=5)
    ticks = running.run(100, ms=500)
    estimates = [value for tick in ticks for value in tick.values if isinstance(value, FundingRate)]
    assert estimates[-1].samples >= 100
    assert estimates[-1].expected == pytest.approx(125, abs=1)
    assert estimates[-1].premium_mean_e10 is not None
    assert estimates[-1].premium_mean_e10 % 10_000 == 0
    assert estimates[-1].premium_mean_e10 > 3_000_000
