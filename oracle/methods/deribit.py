"""Deribit: a capped median of venues' mids, a smoothed mark, and funding that accrues every millisecond.

Published in `methodology/deribit.md`. Sources: support.deribit.com, articles Index Prices, Prices of Virtual Assets,
Mark Prices, Funding Specifications, Inverse, Linear and RWA Perpetual; insights.deribit.com "New Deribit Index"
(December 2019); www.deribit.com/docs and deribit.freshdesk.com (index and mark before 2019). Read November 2026.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import fsum
from typing import Annotated, Literal

from msgspec import Struct
from msgspec.structs import replace

from oracle.core import basket, fair, frame, premium
from oracle.core.basket import Part
from oracle.core.funding import EIGHT_HOURS_MS, Funded, FundingState, Rated, dampened, expected, mean, take
from oracle.core.index import Candidate, Cohort, Memory
from oracle.core.mark import Marked, MarkInputs, MarkState, local_median
from oracle.core.maths import clamp, quantise
from oracle.core.params import PerpInstrument, Rules, ms, num, word
from oracle.core.premium import Sampled
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, PREMIUM_DECIMALS, RATE_DECIMALS, Depth, Nanos, Reason
from oracle.core.weighted import plain_mean

ID = "deribit"
READS = (
    "index.breakdown_bps",
    "mark.feed_stale_ms",
    "mark.feed_lost_ms",
    "funding.sample_ms",
    "funding.interval_ms",
)
PROXY = "proxy_usdt"
DAMPERS = {"BTC": 0.00025, "ETH": 0.00025, "PAXG": 0.001, "pre-IPO": 0.001}  # per 8 h, today; others 0.00025
CAPS = {"BTC-PERPETUAL": 0.005, "ETH-PERPETUAL": 0.01, "USDC-settled": 0.05, "pre-IPO": 0.02}  # per 8 h, today


class Own(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is this methodology's alone. Shares are of a price; a damper and a cap are rates of eight hours."""

    index_rule: Annotated[
        Literal["ends", "capped", "derived"],
        word("index", "ends: without highest and lowest; capped: held to a band; derived: the Coinbase Index"),
    ]
    weights: basket.OnlyWeights
    proxies: Annotated[
        tuple[str, ...], word("index", f"venues that share the weight of `{PROXY}`: assumed", "venues")
    ] = ()
    calculation_ms: Annotated[int, ms("index", "grid on which the index is calculated", 100, 60_000)]
    silent_ms: Annotated[int, ms("index", "without a word of the book for longer, a venue is out", 1_000, 3_600_000)]
    band: Annotated[float, num("index", "a price is held this close to the median", 0, 1, "ratio")] = 0.005
    outlier: Annotated[float, num("index", "derived: farther off the median is out", 0, 1, "ratio")] = 0.05
    halt_move: Annotated[float, num("index", "a larger move between two calculations halts", 0, 1, "ratio")] = 0.10
    delivery_ms: Annotated[int, ms("delivery", "time over which the index is averaged", 60_000, 86_400_000)] = 1_800_000
    mark_rule: Annotated[
        Literal["last", "fair", "bounded"],
        word("mark", "last: the last trade within the book; fair: of impact prices near the touch; bounded: within it"),
    ]
    mark_band: Annotated[float, num("mark", "largest distance from the index; 0: none", 0, 1, "ratio")]
    ema_ms: Annotated[int, ms("mark", "time constant of the average of premiums", 1_000, 3_600_000)] = 15_000
    fair_size: Annotated[float, num("mark", "size whose average price is an impact price", 1e-6, 1e9, "base")] = 1.0
    fair_width: Annotated[float, num("mark", "fair: an impact price is this near the touch", 0, 1, "ratio")] = 0.001
    order_band: Annotated[float, num("orders", "around the index and its average premium", 0, 1, "ratio")] = 0.015
    order_band_fixed: Annotated[float, num("orders", "around the index", 0, 1, "ratio")] = 0.075
    damper: Annotated[float, num("funding", "a smaller premium costs nothing", 0, 0.05, "per 8 h")]
    cap_8h: Annotated[float, num("funding", "largest rate either way", 0, 0.1, "per 8 h")] = 0.005


OWN = Own

_SIX = dict.fromkeys(("bitstamp", "okcoin", "bitfinex", "itbit", "coinbase", "kraken"), 1.0)
_EIGHT = dict.fromkeys(("bitstamp", "gemini", "bitfinex", "bittrex", "itbit", "coinbase", "lmax", "kraken"), 1.0)
_FOUR = dict.fromkeys(("bitstamp", "coinbase", "kraken", "lmax"), 1.0)
_BTC_2026 = {"kraken": 20.0, "lmax": 20.0, "okx": 20.0, PROXY: 40.0}


def _set(effective_s: int, version: str, own: Own) -> Rules:
    funding = {"sample_ms": 1_000, "interval_ms": 86_400_000, "offset_ms": 28_800_000, "interest_per_8h": 0.0}
    return frame.rules(effective_s * NANOS_PER_S, version, own=own, funding=funding)


def _ends(weights: dict[str, float], mark_rule: Literal["last", "fair"], mark_band: float) -> Own:
    """Own parameters while the highest and the lowest venue were left out, every six seconds."""
    return Own(
        index_rule="ends",
        weights=weights,
        calculation_ms=6_000,
        silent_ms=180_000,
        mark_rule=mark_rule,
        mark_band=mark_band,
        damper=0.0005,
    )


_2019 = Own(
    index_rule="capped",
    weights=_EIGHT,
    calculation_ms=4_000,
    silent_ms=180_000,
    mark_rule="fair",
    mark_band=0.005,
    damper=0.0005,
)
_2025 = replace(_2019, weights=_FOUR, mark_rule="bounded", mark_band=0.075, damper=0.00025)
_2026 = replace(_2025, weights=_BTC_2026, proxies=("binance", "bitget", "bybit"), calculation_ms=1_000)

SETS: tuple[Rules, ...] = (
    _set(0, "1.0.0", _ends(_SIX, "last", 0.03)),  # the texts of 2015 and 2016
    _set(1_483_228_800, "1.1.0", _ends(_SIX, "last", 0.10)),  # 2017-01-01, when its example's 870 was the price
    _set(1_564_617_600, "1.2.0", _ends(_EIGHT, "fair", 0.005)),  # 2019-08-01, the oldest capture of a perpetual
    _set(1_575_331_200, "1.3.0", _2019),  # 2019-12-03, as announced
    _set(1_752_537_600, "1.4.0", _2025),  # 2025-07-15, the day that the article on today's damper names
    _set(1_790_035_200, "1.5.0", _2026),  # 2026-09-22, first seen
)


def index(candidates: Sequence[Candidate], memory: Memory, rules: Rules, at_ns: Nanos) -> Cohort:
    """The weighted mean of what the set's rule leaves of the venues' prices, as of the grid's last instant."""
    own: Own = rules.own
    basket.late(candidates, own.silent_ms)
    return basket.standing(_found(candidates, own), memory, rules.index, at_ns, own.calculation_ms)


def _found(candidates: Sequence[Candidate], own: Own) -> list[Part]:
    """The constituents at the prices and weights that they are averaged with."""
    if own.index_rule == "derived":
        return basket.middles(candidates, own.weights, own.outlier)
    found = basket.parts(candidates, _weights(candidates, own))
    if own.index_rule == "ends":
        return basket.drop_ends(found)
    if found:
        basket.cap(found, basket.centre(found), own.band)
    return found


def _weights(candidates: Sequence[Candidate], own: Own) -> dict[str, float]:
    """The weights, that of the proxy divided among those of its venues that state a fresh price."""
    share = own.weights.get(PROXY, 0.0)
    there = [venue for venue in own.proxies if any(c.venue == venue and c.verdict is None for c in candidates)]
    return {**own.weights, **dict.fromkeys(there, share / max(len(there), 1))} if share else own.weights


def halts(before: float, now: float, rules: Rules) -> bool:
    """Whether Deribit halts what stands on an index that moved so between two calculations: by more than 10 %.

    Here nothing is halted by it; what a live index does on a jump is the ladder's (rule I8).
    """
    own: Own = rules.own
    return abs(now - before) > own.halt_move * before


def delivery(values: Sequence[float], rules: Rules) -> float:
    """The delivery price: the mean of the index over the last half hour, one value a calculation, oldest first.

    Raises ValueError for another number of values than half an hour of calculations has.
    """
    own: Own = rules.own
    wanted = own.delivery_ms // own.calculation_ms
    if len(values) != wanted:
        raise ValueError(f"values: {len(values)} of them; {own.delivery_ms} ms of calculations have {wanted}")
    return plain_mean(values)


def mark(memory: MarkState, now: MarkInputs, perp: PerpInstrument) -> Marked:
    """The last trade within the book, or the index plus the average premium, within a band (section 8)."""
    own: Own = perp.rules.own
    if own.mark_rule != "last":
        return fair.smoothed(memory, now, perp, _fair(now, perp), own.ema_ms, own.mark_band)
    book = local_median(now) if fair.live(now, perp) and now.index_usable else None
    return fair.banded(now, perp, now.index if book is None else book, own.mark_band, book=book)


def _fair(now: MarkInputs, perp: PerpInstrument) -> float | None:
    """What the platform's book says the contract is worth; None: it says nothing now."""
    if not fair.live(now, perp) or not fair.two_sided(now):
        return None
    own: Own = perp.rules.own
    notional, depth = own.fair_size * now.index, now.depth
    if depth is None or now.at_ns - depth.recv_ns > perp.rules.mark.feed_stale_ms * NANOS_PER_MS:
        return (now.bid + now.ask) / 2.0
    bid, ask = (
        premium.impact_price(side, notional, perp.contract, perp.contract_size) for side in (depth.bids, depth.asks)
    )
    low, high = now.bid * (1.0 - own.fair_width), now.ask * (1.0 + own.fair_width)
    if own.mark_rule == "fair":  # a side too thin for the size is at its limit
        return (max(low, bid or low) + min(high, ask or high)) / 2.0
    return clamp(((bid or now.bid) + (ask or now.ask)) / 2.0, now.bid, now.ask)


def order_limits(index: float, average: float, rules: Rules) -> tuple[float, float]:
    """(lowest, highest) price that Deribit takes an order at: both bands hold.

    `average` is the one-minute average of the bounded mid less the index. No live engine of ours limits orders.
    """
    own: Own = rules.own
    centre = index + average
    low = max(centre * (1.0 - own.order_band), index * (1.0 - own.order_band_fixed))
    return low, min(centre * (1.0 + own.order_band), index * (1.0 + own.order_band_fixed))


def sample(depth: Depth, index: float, mark: float | None, perp: PerpInstrument) -> Sampled:
    """(M − I) / I (funding)."""
    return premium.of_mark(mark, index)


def accrue(state: FundingState, instant_ns: Nanos, premium_e10: int, perp: PerpInstrument) -> None:
    """Take a premium in, and the rate that it makes: what is averaged is the rate, not the premium (funding)."""
    numbers, start_s = state.notes.numbers, float(state.start_ns // NANOS_PER_S)
    if numbers.get("start_s") != start_s:
        numbers.update(start_s=start_s, sum_e10=0.0, over=0.0, capped=0.0)
    made = continuous(premium_e10 / 10**PREMIUM_DECIMALS, perp.rules)
    numbers["sum_e10"] += quantise(made.rate, PREMIUM_DECIMALS)
    numbers["over"] += made.inner_binding
    numbers["capped"] += made.cap_binding
    take(state, premium_e10)


def fund(state: FundingState, until_ns: Nanos, perp: PerpInstrument) -> Funded:
    """What has accrued since 08:00 UTC: at the interval's end what is booked, before it what is not booked yet.

    `inner_binding`: some premium exceeded the damper; `cap_binding`: some rate was held at the cap. Time without a
    sample accrues nothing, and is said (MISSING).
    """
    rules = perp.rules
    due = expected(state, until_ns, rules.funding)
    made = Funded(quantise(booked_so_far(state, rules), RATE_DECIMALS), 0, None, state.samples, due)
    if (average := mean(state)) is None:
        made.reasons = [Reason.NO_SAMPLES]
        return made
    numbers = state.notes.numbers
    made.premium_mean_e10 = quantise(average, PREMIUM_DECIMALS)
    made.inner_binding, made.cap_binding = numbers["over"] > 0.0, numbers["capped"] > 0.0
    made.reasons = [Reason.MISSING] * (state.samples < due) + [Reason.FUNDING_AT_CAP] * made.cap_binding
    return made


def rate(premium: float, rules: Rules) -> Rated:
    """The rate of an interval in which this premium stands throughout: its rate of eight hours, for the interval."""
    made = continuous(premium, rules)
    return Rated(
        made.rate * rules.funding.interval_ms / EIGHT_HOURS_MS,
        0.0,
        made.inner_binding,
        made.cap_binding,
        not made.inner_binding,
    )


def continuous(premium: float, rules: Rules) -> Rated:
    """F8 = clamp(max(d, P) + min(−d, P), ±cap): the rate of eight hours that a premium makes at its moment."""
    own: Own = rules.own
    return dampened(premium, 0.0, own.damper, own.cap_8h)


def accrued(path: Sequence[tuple[int, float]], since_ms: int, until_ms: int, rules: Rules) -> float:
    """The share of a position's value that a long pays over [since, until), exact to the millisecond.

    `path` are (ms from which it stands, premium), oldest first; before the first of them nothing accrues.
    """
    spans = _spans(path, since_ms, until_ms)
    return fsum(continuous(stood, rules).rate * span for stood, span in spans) / EIGHT_HOURS_MS


def accrued_8h(path: Sequence[tuple[int, float]], at_ms: int, rules: Rules) -> float:
    """What accrued over the eight hours before: the `funding_8h` of Deribit's ticker."""
    return accrued(path, at_ms - EIGHT_HOURS_MS, at_ms, rules)


def _spans(path: Sequence[tuple[int, float]], since_ms: int, until_ms: int) -> Iterator[tuple[float, int]]:
    """Each premium, with the milliseconds for which it stood within the span."""
    ends = [*(at for at, _ in path[1:]), until_ms][: len(path)]
    for (begin, stood), end in zip(path, ends, strict=True):
        span = min(end, until_ms) - max(begin, since_ms)
        if span > 0:
            yield stood, span


def booked_so_far(state: FundingState, rules: Rules) -> float:
    """The share of a position's value that has accrued in the interval that runs, by the samples that were taken."""
    return state.notes.numbers["sum_e10"] / 1e10 * rules.funding.sample_ms / EIGHT_HOURS_MS if state.samples else 0.0
