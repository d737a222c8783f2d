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
    ahead,
    begin,
    damped,
    dampened,
    expected,
    fund,
    fund_over,
    in_parts,
    interest,
    last_instant,
    less_interest,
    margin_cap,
    mean,
    recall,
    remember,
    restart,
    stamped_ns,
    start_of_interval,
    take_placed,
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


def test_a_sample_counts_once_or_by_its_place() -> None:
    state = FundingState(START, START)
    for weighing in ("equal", "linear"):
        take_placed(state, START + 3 * RULES.sample_ms * MS, 7, RULES, weighing)
    assert (state.samples, state.weight, state.sum_e10) == (2, 1 + 3, 7 + 21)


def noted(minutes: range, keep: int = 10) -> FundingState:
    """A state that remembers the premium of each minute, its number times 1e-10."""
    state = FundingState(START, START)
    for minute in minutes:
        remember(state, START + minute * 60_000 * MS, minute, keep * 60_000)
    return state


def test_what_is_noted_is_recalled_for_as_long_as_it_is_kept() -> None:
    state = noted(range(1, 25))
    recalled = recall(state, START + 16 * 60_000 * MS, START + 19 * 60_000 * MS)
    assert recalled == pytest.approx([17e-10, 18e-10, 19e-10], rel=1e-15)
    assert len(recall(state, 0, END)) == 10
    assert recall(state, END, END + 1) == recall(FundingState(), 0, END) == []


def test_a_rate_over_a_window_is_judged_by_the_windows_coverage() -> None:
    rules = structs.replace(RULES, sample_ms=60_000)
    state = noted(range(1, 11))
    window = START, START + 10 * 60_000 * MS
    made = fund_over(state, window, rules, max, lambda premium: dampened(premium, 0.0, 0.0, 1.0))
    assert (made.samples, made.expected, made.premium_mean_e10, made.reasons) == (10, 10, 10, [])
    wider = START, START + 16 * 60_000 * MS
    fallen = fund_over(state, wider, rules, max, lambda premium: dampened(premium, 0.0, 0.0, 1.0), alone=0.00002)
    assert (fallen.rate_e8, fallen.reasons) == (2_000, [Reason.FUNDING_FALLBACK])
    assert state.start_ns == START


def test_a_settlement_is_stamped_before_its_time() -> None:
    assert stamped_ns(FundingState(START), END - 1, RULES, 60_000) == END - 1
    assert stamped_ns(FundingState(START), END, RULES, 60_000) == END - 60_000 * MS


@pytest.mark.parametrize(
    ("premium", "off", "rate"), [(0.001, 0.0, 0.001), (0.001, 0.0004, 0.0006), (0.0, 0.0001, -0.0001), (0.9, 0.0, 0.01)]
)
def test_interest_that_is_taken_off(premium: float, off: float, rate: float) -> None:
    made = less_interest(premium, off, 0.01)
    assert made.rate == pytest.approx(rate)
    assert (made.interest, made.cap_binding) == (off, premium == 0.9)


@pytest.mark.parametrize(
    ("hours", "undivided", "divided"), [(8, 0.0004, 0.0004), (4, 0.0004, 0.0002), (1, 0.0004, 5e-5)]
)
def test_an_interval_of_fewer_hours_is_divided_or_not(hours: int, undivided: float, divided: float) -> None:
    rules = structs.replace(RULES, interval_ms=hours * 3_600_000)
    assert damped(0.0009, rules).rate == pytest.approx(0.0004)
    assert damped(0.0009, rules, divides=True).rate == pytest.approx(divided)
    assert damped(0.0, rules).rate == damped(0.0, rules, divides=True).rate == interest(rules)


def test_a_cap_that_is_a_share_of_a_margin() -> None:
    assert (margin_cap(0.75, 0.005), margin_cap(1.0, 0.0065)) == (0.00375, 0.0065)


def test_a_rate_made_ahead_is_paid_an_interval_later() -> None:
    state, paid = FundingState(START), []
    for rate_e8, capped in ((50_000, False), (375_000, True), (7, False)):
        reasons = [Reason.FUNDING_AT_CAP] if capped else []
        made = Funded(rate_e8, 10_000, 1, DUE, DUE, True, capped, reasons)
        end_ns = state.start_ns + INTERVAL_NS
        paid.append(ahead(state, end_ns, structs.replace(made), RULES))
        assert ahead(state, end_ns, structs.replace(made), RULES) == paid[-1], "asked twice, it pays once"
        restart(state, end_ns)
    assert [(made.rate_e8, made.cap_binding) for made in paid] == [(10_000, False), (50_000, False), (375_000, True)]
    assert [made.reasons for made in paid] == [[Reason.FUNDING_FALLBACK], [], [Reason.FUNDING_AT_CAP]]
    assert len(state.notes.windows) == 2, "nothing older is kept"
    state.start_ns += INTERVAL_NS  # an interval was missed: what was noted counts for another time
    assert ahead(state, state.start_ns, Funded(9, 9, None, 0, 0), RULES).reasons == [Reason.FUNDING_FALLBACK]
