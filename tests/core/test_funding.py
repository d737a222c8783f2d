"""Funding: the clamped mean of published digits, honest about its coverage, scaled to its interval, capped."""

from __future__ import annotations

import random
import statistics
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import structs

from oracle.core.funding import (
    EIGHT_HOURS_MS,
    Funded,
    FundingState,
    begin,
    dampened,
    expected,
    fund,
    in_parts,
    interest,
    last_instant,
    mean,
    restart,
    start_of_interval,
)
from oracle.core.params import FundingRules
from oracle.core.types import Reason
from oracle.methods.hk1 import SETS

RULES = SETS[0].funding
MS = 1_000_000
INTERVAL_NS = RULES.interval_ms * MS
DUE = RULES.interval_ms // RULES.sample_ms
START = 20_000 * INTERVAL_NS
END = START + INTERVAL_NS


def settled(state: FundingState, until_ns: int, rules: FundingRules) -> Funded:
    """What HK-1 makes of the samples of an interval."""
    rated = lambda premium: dampened(premium, interest(rules), rules.inner_clamp, rules.cap)  # noqa: E731
    return fund(state, until_ns, rules, mean(state), rated)


def funded(samples: int, sum_e10: int, rules: FundingRules = RULES, until_ns: int = END) -> Funded:
    return settled(FundingState(START, END, samples, sum_e10, samples), until_ns, rules)


@pytest.mark.parametrize(
    ("premium", "rate", "inner", "cap"),
    [
        (0.0009, 0.0004, True, False),
        (0.0003, 0.0001, False, False),
        (-0.0006, -0.0001, True, False),
        (0.01, 0.00375, True, True),
        (-0.01, -0.00375, True, True),
        (0.0, 0.0001, False, False),
    ],
)
def test_the_worked_example(premium: float, rate: float, inner: bool, cap: bool) -> None:
    made = funded(DUE, round(premium * 10**10) * DUE)
    assert made.rate_e8 == round(rate * 10**8)
    assert made.premium_mean_e10 == round(premium * 10**10)
    assert (made.inner_binding, made.cap_binding) == (inner, cap)
    assert made.reasons == ([Reason.FUNDING_AT_CAP] if cap else [])
    assert (made.samples, made.expected, made.interest_e8) == (DUE, DUE, 10_000)


@pytest.mark.parametrize("percent", [0, 5, 40, 60, 100])
def test_below_two_thirds_of_the_samples_the_rate_is_the_interest(percent: int) -> None:
    samples = DUE * percent // 100
    made = funded(samples, 9_000_000 * samples)
    assert made.samples / made.expected == pytest.approx(percent / 100)
    assert made.rate_e8 == (40_000 if percent == 100 else 10_000)
    assert made.reasons == ([] if percent == 100 else [Reason.FUNDING_FALLBACK])
    assert made.premium_mean_e10 == (9_000_000 if samples else None), "what there was is shown all the same"


def test_the_least_coverage_is_enough() -> None:
    assert funded(DUE * 2 // 3, 9_000_000 * (DUE * 2 // 3)).rate_e8 == 40_000
    assert funded(DUE * 2 // 3 - 1, 9_000_000 * (DUE * 2 // 3 - 1)).rate_e8 == 10_000


@pytest.mark.parametrize("seed", range(5))
def test_losing_samples_at_random_costs_precision_and_nothing_else(seed: int) -> None:
    lots = random.Random(seed)
    premiums = [round(lots.gauss(0.0009, 0.0003) * 10**10) for _ in range(DUE)]
    kept = lots.sample(premiums, DUE * 7 // 10)
    whole, part = funded(DUE, sum(premiums)), funded(len(kept), sum(kept))
    error = statistics.stdev(premiums) * (0.3 / len(kept)) ** 0.5
    assert abs(part.rate_e8 - whole.rate_e8) <= 4 * error / 100 + 1
    assert part.samples / part.expected == pytest.approx(0.7)


def clamp(value: Fraction, bound: Fraction) -> Fraction:
    return max(-bound, min(bound, value))


@settings(max_examples=200)
@given(st.integers(1, DUE), st.integers(-(10**8), 10**8), st.sampled_from([3_600_000, 14_400_000, 28_800_000]))
def test_the_rate_is_the_formula_in_exact_numbers(samples: int, mean_e10: int, interval_ms: int) -> None:
    rules = structs.replace(RULES, interval_ms=interval_ms, coverage_min=0.0)
    sum_e10 = mean_e10 * samples + samples // 3
    made = settled(FundingState(START, END, samples, sum_e10, samples), END, rules)
    mean = Fraction(sum_e10, samples * 10**10)
    interest = Fraction(1, 10_000) * interval_ms / EIGHT_HOURS_MS
    rate = clamp(mean + clamp(interest - mean, Fraction(5, 10_000)), Fraction(375, 100_000))
    near_tie = abs((rate * 10**8) % 1 - Fraction(1, 2)) < Fraction(1, 10**5)
    assume(not near_tie or rate * 2 * 10**8 == round(rate * 2 * 10**8))
    assert made.rate_e8 == round(rate * 10**8)
    assert made.premium_mean_e10 is not None
    assert abs(made.premium_mean_e10 - mean * 10**10) <= Fraction(1, 2) + Fraction(1, 10**5)


@given(st.integers(1, DUE), st.integers(-(10**12), 10**12))
def test_without_interest_both_sides_pay_alike(samples: int, sum_e10: int) -> None:
    rules = structs.replace(RULES, interest_per_8h=0.0)
    longs, shorts = funded(samples, sum_e10, rules), funded(samples, -sum_e10, rules)
    assert longs.rate_e8 == -shorts.rate_e8
    assert (longs.inner_binding, longs.cap_binding) == (shorts.inner_binding, shorts.cap_binding)


@pytest.mark.parametrize(("hours", "interest_e8"), [(8, 10_000), (4, 5_000), (1, 1_250), (24, 30_000)])
def test_interest_is_scaled_to_the_interval(hours: int, interest_e8: int) -> None:
    made = funded(0, 0, structs.replace(RULES, interval_ms=hours * 3_600_000))
    assert (made.interest_e8, made.rate_e8) == (interest_e8, interest_e8)


def test_interest_alone_is_capped_too() -> None:
    made = funded(0, 0, structs.replace(RULES, interest_per_8h=0.01))
    assert made.rate_e8 == 375_000
    assert made.reasons == [Reason.FUNDING_FALLBACK, Reason.FUNDING_AT_CAP]


def test_at_the_beginning_of_an_interval_nothing_is_due() -> None:
    made = funded(0, 0, until_ns=START)
    assert (made.rate_e8, made.expected, made.reasons) == (10_000, 0, [Reason.NO_SAMPLES])


@given(st.integers(1, 10**19), st.sampled_from([(28_800_000, 5_000), (3_600_000, 60_000), (10_000, 3_000)]))
def test_intervals_and_instants_are_counted_from_midnight(at_ns: int, grid: tuple[int, int]) -> None:
    rules = structs.replace(RULES, interval_ms=grid[0], sample_ms=grid[1])
    interval_ns, sample_ns = grid[0] * MS, grid[1] * MS
    start, instant = start_of_interval(at_ns, rules), last_instant(at_ns, rules)
    assert 0 <= at_ns - start < interval_ns
    assert 0 <= at_ns - instant < sample_ns
    assert (start % interval_ns, instant % sample_ns) == (0, 0)
    state = FundingState(start_ns=start)
    due = expected(state, start + interval_ns, rules)
    assert due == sum(1 for n in range(due + 2) if start < (start // sample_ns + n) * sample_ns <= start + interval_ns)


def test_an_interval_is_joined_in_its_midst_and_left_behind() -> None:
    state = FundingState()
    begin(state, START + 12_345 * MS, RULES)
    assert state == FundingState(START, START + 10_000 * MS, 0, 0)
    state.samples, state.sum_e10 = 7, 70
    restart(state, END)
    assert state == FundingState(END, START + 10_000 * MS, 0, 0)


def test_a_part_of_a_base_period_is_clamped_before_it_is_divided() -> None:
    made = in_parts(0.01, 0.0001, 0.0005, 0.04, 8)
    assert (made.rate, made.interest) == pytest.approx((0.0011875, 0.0000125))
    assert (made.inner_binding, made.cap_binding) == (True, False)
    assert made.rate != pytest.approx(0.01 / 8 - 0.0005)
    doubled = in_parts(0.4, 0.0001, 0.0005, 0.04, 8, 2.0)
    assert (doubled.rate, doubled.cap_binding) == (0.04, True)


@given(st.floats(-0.5, 0.5), st.floats(0.0, 0.01), st.sampled_from([1, 2, 8]))
def test_a_part_without_interest_is_odd(premium: float, clamp: float, parts: int) -> None:
    assert in_parts(-premium, 0.0, clamp, 0.04, parts).rate == -in_parts(premium, 0.0, clamp, 0.04, parts).rate


def test_interest_that_a_methodology_scales_stands_alone_as_it_says() -> None:
    made = fund(FundingState(START, END), END, RULES, None, lambda premium: dampened(premium, 0.0, 0.0, 0.0), 0.00002)
    assert (made.rate_e8, made.interest_e8, made.reasons) == (2_000, 2_000, [Reason.FUNDING_FALLBACK])
