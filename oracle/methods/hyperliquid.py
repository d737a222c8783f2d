"""Hyperliquid's own perpetuals: validators' oracle, mark of three medians, hourly funding from 5-second premiums.

Published in `methodology/hyperliquid.md`. Sources: hyperliquid.gitbook.io, pages Oracle, Robust price indices, Funding
and Hyperps; settled rates of 2023 (a cassette of the official Python SDK) and of 2024 (an hourly series). A set's date
is that of the first settlement in which its formula was seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum
from typing import Annotated, Literal

from msgspec import Struct, field

from oracle.core import basket, frame, perpetual, premium
from oracle.core.fair import based, live, two_sided
from oracle.core.funding import EIGHT_HOURS_MS, Rated, in_parts
from oracle.core.index import Candidate, Cohort, Memory
from oracle.core.mark import Marked, MarkInputs, MarkState, joined, local_median
from oracle.core.maths import decay, median, quantise
from oracle.core.params import PerpInstrument, Rules, num, word
from oracle.core.premium import Sampled
from oracle.core.types import NANOS_PER_S, Depth, Nanos, Reason
from oracle.core.weighted import weighted_median

ID = "hyperliquid"
READS = (
    "index.breakdown_bps",
    "mark.basis_tau_ms",
    "mark.book_tau_ms",
    "mark.feed_stale_ms",
    "funding.sample_ms",
    "funding.impact_notional",
    "funding.interval_ms",
    "funding.coverage_min",
    "funding.interest_per_8h",
    "funding.cap",
)

SPOT = {"binance": 3.0, "okx": 2.0, "bybit": 2.0, "kraken": 1.0, "kucoin": 1.0, "gate": 1.0, "mexc": 1.0,
        "hyperliquid": 1.0}  # fmt: skip
PERPETUALS = {"binance": 3.0, "okx": 2.0, "bybit": 2.0, "gate": 1.0, "mexc": 1.0}
MINUTE_MS = 60_000
PRICE_DECIMALS_MAX = 6


class Own(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is this methodology's alone."""

    weights: Annotated[
        dict[str, float], word("oracle", "weight of a venue's spot mid; others have none", "weights")
    ] = field(default_factory=lambda: dict(SPOT))
    perp_weights: Annotated[
        dict[str, float], word("mark", "weight of a venue's perpetual mid; others have none", "weights")
    ] = field(default_factory=lambda: dict(PERPETUALS))
    tie: Annotated[
        Literal["lower", "mean"], word("oracle", "what stands when the weight below is exactly half: assumed")
    ] = "lower"
    clamp_8h: Annotated[float, num("funding", "C: how far interest may pull the premium", 0, 0.05, "per 8 h")] = 0.0005
    premium_share: Annotated[float, num("funding", "share of a premium sample that counts", 0, 1, "ratio")] = 1.0
    rate_decimals: perpetual.RateDecimals = 10
    hyperp_tau_ms: Annotated[int, num("hyperps", "time constant of the average of marks", 60_000, 86_400_000, "ms")] = (
        EIGHT_HOURS_MS
    )
    hyperp_minutes: Annotated[int, num("hyperps", "minutely marks averaged", 1, 10_000)] = 1_440
    hyperp_oracle_ratio: Annotated[
        float, num("hyperps", "the oracle is at most so many times the initial mark", 1, 100, "ratio")
    ] = 4.0
    hyperp_mark_ratio: Annotated[
        float, num("hyperps", "the mark is at most so many times its average", 1, 100, "ratio")
    ] = 3.0
    hyperp_outside_ratio: Annotated[
        float, num("hyperps", "the mark is at most so many times the outside median", 1, 100, "ratio")
    ] = 1.5


OWN = Own

SEEN_2023_05_12 = 1_683_849_600 * NANOS_PER_S  # 00:00 UTC, the oldest settlement known
HOURLY_2023_06_08 = 1_686_186_000 * NANOS_PER_S  # 01:00 UTC, the first hourly one
PLAIN_2023_06_16 = 1_686_949_200 * NANOS_PER_S  # 21:00 UTC, the first without interest and clamp
CLAMPED_2023_07_15 = 1_689_390_000 * NANOS_PER_S  # 03:00 UTC, the first with both again
WIDER_2024_01_01 = 1_704_067_200 * NANOS_PER_S  # 00:00 UTC, the oldest seen with 0.05 %: it came after 17 July 2023


def _dated(effective_ns: Nanos, version: str, clamp_8h: float, **funding: float) -> Rules:
    return frame.rules(
        effective_ns,
        version,
        own=Own(clamp_8h=clamp_8h),
        funding={"interval_ms": 3_600_000, "interest_per_8h": 0.0001, "cap": 0.04, **funding},
    )


SETS: tuple[Rules, ...] = (
    _dated(SEEN_2023_05_12, "1.0.0", 0.0003, interval_ms=EIGHT_HOURS_MS),
    _dated(HOURLY_2023_06_08, "1.1.0", 0.0003),
    _dated(PLAIN_2023_06_16, "1.2.0", 0.0, interest_per_8h=0.0),
    _dated(CLAMPED_2023_07_15, "1.3.0", 0.0003),
    _dated(WIDER_2024_01_01, "1.4.0", 0.0005),
)


def index(candidates: Sequence[Candidate], memory: Memory, rules: Rules, at_ns: Nanos) -> Cohort:
    """What one validator submits: the weighted median of spot mids (oracle)."""
    own: Own = rules.own
    found = basket.parts(candidates, own.weights)
    if not found:
        return Cohort()
    price = weighted_median(basket.pairs(found), mean_on_tie=own.tie == "mean")
    return basket.cohort(found, price, rules.index)


def validators_median(submissions: Sequence[tuple[float, int]], rules: Rules) -> float:
    """The chain's oracle price: the median of validators' submissions, each (price, stake), weighted by stake.

    Raises ValueError without a submission of stake above zero.
    """
    staked = [(price, float(stake)) for price, stake in submissions if stake > 0]
    if not staked:
        raise ValueError("submissions: no stake above zero; a validator's weight is its stake")
    own: Own = rules.own
    return weighted_median(staked, mean_on_tie=own.tie == "mean")


def mark(memory: MarkState, now: MarkInputs, perp: PerpInstrument) -> Marked:
    """median(O + EMA(mid − O), median(bid, ask, last), weighted median of outside perpetuals' mids) (mark).

    With exactly two of them the 30 s average of the second joins; one alone stands, without any the oracle does. In a
    fallback of the index the mark is the index (ladder).
    """
    alive, rules = live(now, perp), perp.rules.mark
    made = Marked(0, reasons=[] if alive else [Reason.ENGINE_FEED_STALE])
    value = now.index
    if now.index_usable:
        made.book_leg = local_median(now) if alive else None
        if made.book_leg is not None and two_sided(now):
            memory.basis.add((now.bid + now.ask) / 2.0 - now.index, now.at_ns, rules.basis_tau_ms)
            memory.book.add(made.book_leg, now.at_ns, rules.book_tau_ms)
        made.basis_leg = based(now.index, memory.basis.value()) if alive else None
        made.funding_leg = _outside(now, perp.rules.own)
        legs = (made.basis_leg, made.book_leg, made.funding_leg)
        value = joined(made, memory) if any(leg is not None for leg in legs) else now.index
    made.units = quantise(value, perp.price_decimals, perp.tick_units)
    return made


def _outside(now: MarkInputs, own: Own) -> float | None:
    """The weighted median of the outside perpetuals that have a weight; None: none has."""
    weighted = [(price, own.perp_weights[venue]) for venue, price in now.outside if own.perp_weights.get(venue)]
    return weighted_median(weighted, mean_on_tie=own.tie == "mean") if weighted else None


def sample(depth: Depth, index: float, mark: float | None, perp: PerpInstrument) -> Sampled:
    """[max(IB − O, 0) − max(O − IA, 0)] / O (funding)."""
    notional = perp.rules.funding.impact_notional
    made = premium.sample(depth.bids, depth.asks, index, notional, perp.contract, perp.contract_size)
    if made.premium is not None:
        made.premium *= perp.rules.own.premium_share
    return made


accrue = perpetual.evenly  # every sample counts the same (funding)


def rate(premium: float, rules: Rules) -> Rated:
    """clamp((P̄ + clamp(r − P̄, ±C)) ÷ intervals in 8 h, ±cap) (funding)."""
    funding, own = rules.funding, rules.own
    return in_parts(premium, funding.interest_per_8h, own.clamp_8h, funding.cap, EIGHT_HOURS_MS / funding.interval_ms)


fund = perpetual.of_mean(rate)  # of the plain mean of the interval's samples (funding)


def settled(premium: float, rules: Rules) -> int:
    """The rate of an interval in units of 10^-rate_decimals, half to even: what the venue's history shows (funding)."""
    return quantise(rate(premium, rules).rate, rules.own.rate_decimals)


def payment(size: float, oracle: float, settled_rate: float) -> float:
    """What a position pays at a settlement: size × oracle × rate; a long (size above zero) pays a rate above zero."""
    return size * oracle * settled_rate


def price_decimals(size_decimals: int) -> int:
    """How many decimals a perpetual's price may have at most: 6 − szDecimals. Raises ValueError beyond 0 to 6."""
    if not 0 <= size_decimals <= PRICE_DECIMALS_MAX:
        raise ValueError(f"size_decimals = {size_decimals}: not from 0 to {PRICE_DECIMALS_MAX}")
    return PRICE_DECIMALS_MAX - size_decimals


def hyperp_oracle(marks: Sequence[float], initial: float, rules: Rules, month_mean: float | None = None) -> float:
    """The oracle price of a hyperp: the exponential average of a day's minutely marks, newest first, capped (hyperps).

    Minutes before the listing count as `initial`, the first mark. `month_mean` is the mean mark of a month, which newer
    text caps the price by as well (None: that cap is not asked).
    """
    own: Own = rules.own
    kept = [*marks[: own.hyperp_minutes], *[initial] * (own.hyperp_minutes - len(marks))]
    weights = [decay(minute * MINUTE_MS, own.hyperp_tau_ms) for minute in range(own.hyperp_minutes)]
    average = fsum(price * weight for price, weight in zip(kept, weights, strict=True)) / fsum(weights)
    capped = min(average, initial * own.hyperp_oracle_ratio)
    return capped if month_mean is None else min(capped, month_mean * own.hyperp_oracle_ratio)


def hyperp_mark(value: float, average: float, outside: Mapping[str, float], rules: Rules) -> float:
    """A hyperp's mark, held under multiples of its 8 h average and of the median outside perpetual (hyperps).

    `average` is the exponential average of its own marks, `outside` the prices of outside perpetuals by venue.
    """
    own: Own = rules.own
    held = min(value, average * own.hyperp_mark_ratio)
    return min(held, median(list(outside.values())) * own.hyperp_outside_ratio) if outside else held
