"""Coinbase International Exchange: an equal mean of derived market prices, and hourly funding that is smoothed.

Published in `methodology/coinbase_intl.md`. Sources: help.coinbase.com, International Exchange, articles How is the
funding rate determined, What is a derived market price, List of terms; docs.cdp.coinbase.com (launch on 2 May 2023);
captured RISK and FUNDING messages of November 2024. What is not published is assumed and named so in the document.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Struct, field

from oracle.core import basket, fair, frame, perpetual
from oracle.core import premium as premiums
from oracle.core.funding import Funded, FundingState, Rated, mean
from oracle.core.funding import fund as fund_mean
from oracle.core.index import Candidate, Cohort, Memory
from oracle.core.mark import Marked, MarkInputs, MarkState, local_median
from oracle.core.maths import quantise
from oracle.core.params import PerpInstrument, Rules, ms, num, word
from oracle.core.premium import Sampled
from oracle.core.types import NANOS_PER_S, Depth, Nanos

ID = "coinbase_intl"
READS = (
    "index.breakdown_bps",
    "mark.feed_stale_ms",
    "funding.sample_ms",
    "funding.interval_ms",
    "funding.coverage_min",
)
VENUES = ("coinbase", "binance", "bitstamp", "bybit", "kraken", "lmax", "gemini", "okx")
DAY_MS = 86_400_000


class Own(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is this methodology's alone."""

    weights: Annotated[dict[str, float], word("index", "venues that count, each with the same weight", "weights")] = (
        field(default_factory=lambda: dict.fromkeys(VENUES, 1.0))
    )
    outlier: Annotated[float, num("index", "a price farther off the median is out", 0, 1, "ratio")] = 0.05
    calculation_ms: Annotated[int, ms("index", "grid on which the index is calculated", 100, 60_000)] = 1_000
    price_limit: Annotated[
        float, num("mark", "largest distance of orders, and so of the mark, from the index: assumed", 0, 1, "ratio")
    ] = 0.05
    smooth: Annotated[float, num("funding", "α = smooth / (periods + 1)", 0.01, 1_000, "ratio")] = 6.0
    periods: Annotated[int, num("funding", "n of α: earlier intervals", 0, 1_000)] = 7
    rate_decimals: perpetual.RateDecimals = 6


OWN = Own

SETS: tuple[Rules, ...] = (
    frame.rules(
        1_682_985_600 * NANOS_PER_S,  # 2023-05-02, the launch
        "1.0.0",
        own=Own(),
        funding={"sample_ms": 1_000, "interval_ms": 3_600_000, "interest_per_8h": 0.0},
    ),
)


def index(candidates: Sequence[Candidate], memory: Memory, rules: Rules, at_ns: Nanos) -> Cohort:
    """The mean of the venues' derived market prices, without those far off their median (section 6)."""
    own: Own = rules.own
    found = basket.middles(candidates, own.weights, own.outlier)
    return basket.standing(found, memory, rules.index, at_ns, own.calculation_ms)


def mark(memory: MarkState, now: MarkInputs, perp: PerpInstrument) -> Marked:
    """The median of best bid, best ask and last trade, within the price limits around the index (section 8)."""
    own: Own = perp.rules.own
    book = local_median(now) if fair.live(now, perp) and now.index_usable else None
    return fair.banded(now, perp, now.index if book is None else book, own.price_limit, book=book)


def order_limits(index: float, rules: Rules) -> tuple[float, float]:
    """(lowest, highest) price that an order may have: the `limit_down` and `limit_up` of the RISK channel, unrounded.

    No live engine of ours limits orders.
    """
    own: Own = rules.own
    return index * (1.0 - own.price_limit), index * (1.0 + own.price_limit)


def sample(depth: Depth, index: float, mark: float | None, perp: PerpInstrument) -> Sampled:
    """(M − I) / I each second; the division by 24 comes with the rate (section 9)."""
    return premiums.of_mark(mark, index)


accrue = perpetual.evenly  # every second counts the same (section 9)


def fund(state: FundingState, until_ns: Nanos, perp: PerpInstrument) -> Funded:
    """The rate of the hour's mean premium, smoothed with that of the hour before (section 9)."""
    rules = perp.rules
    before = None if state.settled_e8 is None else state.settled_e8 / 1e8
    return fund_mean(
        state, until_ns, rules.funding, mean(state), lambda premium: smoothed(rate(premium, rules), before, rules), 0.0
    )


def rate(premium: float, rules: Rules) -> Rated:
    """P̄ ÷ 24 for an hour: what a premium that stands comes to. The smoothing needs the rate before: see `smoothed`."""
    return Rated(premium * rules.funding.interval_ms / DAY_MS, 0.0)


def alpha(rules: Rules) -> float:
    """The weight of the hour's own mean: smooth ÷ (periods + 1), 0.75 by the published figures."""
    own: Own = rules.own
    return own.smooth / (own.periods + 1)


def smoothed(made: Rated, before: float | None, rules: Rules) -> Rated:
    """α × the hour's own + (1 − α) × the rate before it; the hour's own alone where none is known."""
    if before is None:
        return made
    weight = alpha(rules)
    return Rated(made.rate * weight + before * (1.0 - weight), made.interest)


def settled(premium: float, before: float | None, rules: Rules) -> int:
    """The rate of an interval in units of 10^-rate_decimals, half to even, `before` being the rate of the last one."""
    return quantise(smoothed(rate(premium, rules), before, rules).rate, rules.own.rate_decimals)
