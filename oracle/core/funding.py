"""The funding rate of an interval: the mean premium, pulled towards interest within a clamp, capped (HK-1 section 6).

Samples are summed as the integers they are published as, so the mean is exact and anyone can repeat it.
"""

from __future__ import annotations

from msgspec import Struct, field

from oracle.core.maths import clamp, quantise
from oracle.core.params import FundingRules
from oracle.core.types import NANOS_PER_MS, PREMIUM_DECIMALS, RATE_DECIMALS, Nanos, Reason

EIGHT_HOURS_MS = 28_800_000


class FundingState(Struct, array_like=True):
    """The interval that runs: when it began, the last grid instant passed, and the sum of its samples."""

    start_ns: Nanos = 0
    instant_ns: Nanos = 0
    samples: int = 0
    sum_e10: int = 0


class Funded(Struct, array_like=True):
    """A funding rate and everything it is made of. Rates are shares per interval, unrounded only inside."""

    rate_e8: int
    interest_e8: int
    premium_mean_e10: int | None
    samples: int
    expected: int
    inner_binding: bool = False
    cap_binding: bool = False
    reasons: list[Reason] = field(default_factory=list)


def start_of_interval(at_ns: Nanos, rules: FundingRules) -> Nanos:
    """The settlement instant at or before a time: intervals are counted from midnight UTC, which they divide."""
    interval_ns = rules.interval_ms * NANOS_PER_MS
    return at_ns - at_ns % interval_ns


def last_instant(at_ns: Nanos, rules: FundingRules) -> Nanos:
    """The sampling instant at or before a time."""
    grid_ns = rules.sample_ms * NANOS_PER_MS
    return at_ns - at_ns % grid_ns


def expected(state: FundingState, until_ns: Nanos, rules: FundingRules) -> int:
    """How many sampling instants lie in (start of the interval, until]."""
    grid_ns = rules.sample_ms * NANOS_PER_MS
    return until_ns // grid_ns - state.start_ns // grid_ns


def fund(state: FundingState, until_ns: Nanos, rules: FundingRules) -> Funded:
    """The rate that the samples up to `until_ns` make (F3 to F5).

    F = clamp(P̄ + clamp(r − P̄, ±C), ±cap). Below the least coverage it is the interest alone, never an older rate (F4).
    """
    interest = rules.interest_per_8h * rules.interval_ms / EIGHT_HOURS_MS
    due = expected(state, until_ns, rules)
    made = Funded(0, quantise(interest, RATE_DECIMALS), None, state.samples, due)
    if state.samples:
        mean = state.sum_e10 / state.samples / 1e10
        made.premium_mean_e10 = quantise(mean, PREMIUM_DECIMALS)
    if not state.samples or state.samples / max(due, 1) < rules.coverage_min:
        made.reasons.append(Reason.FUNDING_FALLBACK if state.samples or due else Reason.NO_SAMPLES)
        raw = interest
    else:
        pull = interest - mean
        held = clamp(pull, -rules.inner_clamp, rules.inner_clamp)
        made.inner_binding = held != pull
        raw = mean + held
    rate = clamp(raw, -rules.cap, rules.cap)
    if rate != raw:
        made.cap_binding = True
        made.reasons.append(Reason.FUNDING_AT_CAP)
    made.rate_e8 = quantise(rate, RATE_DECIMALS)
    return made


def begin(state: FundingState, at_ns: Nanos, rules: FundingRules) -> None:
    """The first beat of all: the interval that runs is joined in its midst, and what it has missed it lacks."""
    state.start_ns, state.instant_ns = start_of_interval(at_ns, rules), last_instant(at_ns, rules)


def restart(state: FundingState, start_ns: Nanos) -> None:
    """A new interval begins; nothing of the old one counts in it."""
    state.start_ns, state.samples, state.sum_e10 = start_ns, 0, 0
