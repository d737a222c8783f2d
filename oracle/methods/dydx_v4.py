"""dYdX v4: a median oracle, premium votes in parts per million, their medians a minute, their mean an hour.

Published in `methodology/dydx_v4.md`. Source: the chain's own rules, dydxprotocol/v4-chain @84d4664 (`protocol/x/
perpetuals/keeper/perpetual.go`, `funding/funding.go`, `protocol/lib/math.go`), restated. Everything between a vote and
a rate is an integer of parts per million, rounded as the chain rounds: medians away from zero, means towards it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Struct

from oracle.core import basket, frame
from oracle.core.fair import fixed
from oracle.core.funding import EIGHT_HOURS_MS, Funded, FundingState, Rated, take
from oracle.core.funding import fund as fund_mean
from oracle.core.index import Candidate, Cohort, Memory
from oracle.core.mark import Marked, MarkInputs, MarkState
from oracle.core.maths import quantise, towards_zero
from oracle.core.params import FundingRules, PerpInstrument, Rules, num
from oracle.core.premium import Sampled
from oracle.core.premium import sample as impact_sample
from oracle.core.types import NANOS_PER_S, PREMIUM_DECIMALS, Depth, Nanos, Reason

ID = "dydx_v4"
READS = (
    "index.breakdown_bps",
    "mark.feed_stale_ms",
    "funding.sample_ms",
    "funding.interval_ms",
    "funding.coverage_min",
    "funding.interest_per_8h",
    "funding.cap",
)
PPM = 1_000_000
E10_PER_PPM = 10_000
MINUTE_NS = 60 * NANOS_PER_S
QUOTE_RESOLUTION = -6  # one quantum of USDC is a millionth
VOTES, SAMPLES, MINUTES = "votes", "samples", "minutes"  # among the notes: ppm of this minute; of each closed one


class Own(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is this methodology's alone."""

    providers_min: Annotated[int, num("oracle", "fewer providers make no price", 1, 100)] = 3
    votes_min: Annotated[int, num("sample", "a minute's votes are filled up to this with zeros", 1, 10_000)] = 15
    tail_share: Annotated[float, num("mean", "of the samples, cut off at either end", 0, 0.49, "ratio")] = 0.0
    initial_margin: Annotated[float, num("limits", "IMF", 0.001, 1, "ratio")] = 0.05
    maintenance_margin: Annotated[float, num("limits", "MMF", 0.0001, 1, "ratio")] = 0.03
    rate_factor: Annotated[float, num("limits", "times (IMF − MMF): the largest rate of 8 h", 0, 1_000, "ratio")] = 6.0
    vote_factor: Annotated[float, num("limits", "times (IMF − MMF): the largest vote", 0, 10_000, "ratio")] = 60.0
    impact_margin: Annotated[float, num("premium", "impact notional × IMF", 1, 1e6, "quote")] = 500.0
    rate_decimals: Annotated[int, num("funding", "of the hourly rate in series checks", 0, 18, "decimals")] = 9


OWN = Own


def limits_ppm(own: Own) -> tuple[int, int]:
    """(rate, vote): the largest rate of eight hours and the largest vote, factor × (IMF − MMF), in ppm."""
    room = round(own.initial_margin * PPM) - round(own.maintenance_margin * PPM)
    return int(own.rate_factor * room), int(own.vote_factor * room)


def impact_notional(own: Own) -> float:
    """The notional whose average fill price is the impact price: 500 USDC / IMF."""
    return own.impact_margin / own.initial_margin


_OWN = Own()
_FUNDING = {
    "sample_ms": 1_000,
    "interval_ms": 3_600_000,
    "coverage_min": 0.0,
    "interest_per_8h": 0.0,
    "cap": limits_ppm(_OWN)[0] / PPM / 8,
}
SETS: tuple[Rules, ...] = (frame.rules(0, "1.0.0", own=_OWN, funding=_FUNDING),)


def index(candidates: Sequence[Candidate], memory: Memory, rules: Rules, at_ns: Nanos) -> Cohort:
    """The plain median of the providers' last prices, converted (section 6)."""
    own: Own = rules.own
    found = basket.parts(candidates, {}, basket.last_of, otherwise=1.0)
    if len(found) < own.providers_min:
        return Cohort()
    return basket.cohort(found, basket.centre(found), rules.index)


def mark(memory: MarkState, now: MarkInputs, perp: PerpInstrument) -> Marked:
    """The oracle price: the chain margins and liquidates by it (section 8)."""
    return fixed(now, perp, now.index)


def sample(depth: Depth, index: float, mark: float | None, perp: PerpInstrument) -> Sampled:
    """One vote: the impact premium in whole ppm, cut off towards zero, within the limit of votes (section 9).

    A book too thin on both sides votes zero, as on the chain, and that it was too thin is said.
    """
    own: Own = perp.rules.own
    notional = impact_notional(own)
    made = impact_sample(depth.bids, depth.asks, index, notional, perp.contract, perp.contract_size)
    limit = limits_ppm(own)[1]
    made.premium = max(-limit, min(limit, to_ppm(made.premium or 0.0))) / PPM
    made.reasons = [reason for reason in made.reasons if reason is not Reason.MISSING]
    return made


def accrue(state: FundingState, instant_ns: Nanos, premium_e10: int, perp: PerpInstrument) -> None:
    """Count a vote into its minute; the first vote of a minute closes the one before (section 9)."""
    take(state, premium_e10)
    own: Own = perp.rules.own
    notes, minute = state.notes, float((instant_ns - 1) // MINUTE_NS)
    open_minute = notes.numbers.get(MINUTES, minute)
    if open_minute != minute:
        notes.push(SAMPLES, float(median_ppm(_votes(state), own.votes_min)), _minutes(perp.rules.funding))
        notes.push(MINUTES, open_minute, _minutes(perp.rules.funding))
        notes.windows[VOTES] = []
    notes.numbers[MINUTES] = minute
    notes.windows.setdefault(VOTES, []).append(float(towards_zero(premium_e10, E10_PER_PPM)))


def fund(state: FundingState, until_ns: Nanos, perp: PerpInstrument) -> Funded:
    """The rate of the minutes so far; of the whole hour, of sixty, those without a vote as zeros (section 9)."""
    ppm = _mean_of_minutes(state, until_ns, perp)
    premium = None if ppm is None else ppm / PPM
    return fund_mean(state, until_ns, perp.rules.funding, premium, lambda mean: rate(mean, perp.rules))


def rate(premium: float, rules: Rules) -> Rated:
    """The rate of an interval: clamp(P̄ + default, ±limit) of eight hours, an eighth of it an hour (section 9)."""
    funding = rules.funding
    share = EIGHT_HOURS_MS // funding.interval_ms
    default = quantise(funding.interest_per_8h, 6)
    raw = to_ppm(premium) + default
    limit = round(funding.cap * share * PPM)
    held = max(-limit, min(limit, raw))
    return Rated(held / PPM / share, default / PPM / share, cap_binding=held != raw)


def settled(premium: float, rules: Rules) -> int:
    """The rate of `rate` in units of 10^−rate_decimals: an eighth of a ppm does not fit into 1e-8."""
    return quantise(rate(premium, rules).rate, rules.own.rate_decimals)


def to_ppm(share: float) -> int:
    """A share in whole parts per million, cut off towards zero; what lies within 1e-10 of a whole one is that one."""
    return towards_zero(quantise(share, PREMIUM_DECIMALS), E10_PER_PPM)


def median_ppm(votes: Sequence[int], votes_min: int) -> int:
    """The median of a minute's votes, filled up with zeros; of an even number the mean of two, away from zero."""
    padded = sorted([*votes, *[0] * (votes_min - len(votes))])
    half = len(padded) // 2
    if len(padded) % 2:
        return padded[half]
    total = padded[half - 1] + padded[half]
    return (total + 1) // 2 if total > 0 else -((1 - total) // 2)


def mean_ppm(samples: Sequence[int], samples_min: int, tail_share: float = 0.0) -> int:
    """The mean of the samples, filled up with zeros and without their tails, towards zero."""
    padded = sorted([*samples, *[0] * (samples_min - len(samples))])
    removed = int(2 * tail_share * len(padded))
    kept = padded[removed // 2 : len(padded) - (removed - removed // 2)]
    return towards_zero(sum(kept), len(kept))


def funding_index_delta(price: int, exponent: int, resolution: int, rate_8h_ppm: int, elapsed_s: int) -> int:
    """By how much the funding index moves: ppm of quote quanta for one base quantum, cut off towards zero.

    The oracle price is `price` · 10^`exponent`; a base quantum is 10^`resolution` of the coin.
    """
    power = exponent + resolution - QUOTE_RESOLUTION
    numerator = price * rate_8h_ppm * elapsed_s * 10 ** max(power, 0)
    return towards_zero(numerator, 28_800 * 10 ** max(-power, 0))


def _mean_of_minutes(state: FundingState, until_ns: Nanos, perp: PerpInstrument) -> int | None:
    """The mean of the minutes of (start, until] that have ended; None while there is none with a vote."""
    own: Own = perp.rules.own
    windows, ends = state.notes.windows, until_ns // MINUTE_NS
    first = state.start_ns // MINUTE_NS
    closed = zip(windows.get(MINUTES, []), windows.get(SAMPLES, []), strict=True)
    samples = [int(ppm) for minute, ppm in closed if first <= minute < ends]
    votes, minute = _votes(state), state.notes.numbers.get(MINUTES, -1.0)
    if votes and first <= minute < ends:
        samples.append(median_ppm(votes, own.votes_min))
    return mean_ppm(samples, ends - first, own.tail_share) if samples else None


def _votes(state: FundingState) -> list[int]:
    return [int(ppm) for ppm in state.notes.windows.get(VOTES, [])]


def _minutes(funding: FundingRules) -> int:
    """How many minutes an interval has."""
    return funding.interval_ms // 60_000
