"""CF Benchmarks' real-time index (BRTI): one mid of every venue's order book, weighted by depth.

Published in `methodology/cf_brti.md`. Source: CME CF Cryptocurrency Real Time Indices Methodology, versions 2 (2018) to
16.8 (2026), and the administrator's announcements. Sizes are summed in whole units of 1e-8, so that the point at which
a volume is reached is exact; the weights e^(−λv) are e^(−10j/3n) on a grid of n steps, each rounded correctly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import fsum, sqrt
from typing import Annotated, NamedTuple

from msgspec import Struct

from oracle.core import basket, frame
from oracle.core.basket import Part, Sides
from oracle.core.index import Candidate, Cohort, Member, Memory
from oracle.core.maths import decay
from oracle.core.params import Rules, ms, num, word
from oracle.core.types import NANOS_PER_S, Nanos, Verdict
from oracle.core.weighted import weighted_mean
from oracle.methods._cf import BULLISH_S, CRYPTO_COM_S, FIRST_S, GEMINI_S, LMAX_S, TIGHTER_S, constituents

ID = "cf_brti"
READS = ("index.breakdown_bps",)
UNITS_PER_COIN = 100_000_000
STEPS_MAX = 5_000  # grid points of a curve, so that no book can ask for more arithmetic than this

Levels = Sequence[tuple[float, float]]


class Own(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is this methodology's alone. Sizes are in the base currency."""

    constituents: Annotated[tuple[str, ...], word("constituents", "venues that count; none: all", "venues")]
    lag_ms: Annotated[int, ms("5.1", "an older book is left out", 1_000, 600_000)]
    deviation: Annotated[float, num("5.3", "PED: a mid farther off the median is left out", 0, 1, "ratio")]
    readmit_share: Annotated[float, num("5.3", "of PED, within which it comes back", 0.01, 1, "ratio")]
    size_cap: Annotated[float, num("4.1.3", "an order counts for no more; 0: dynamic", 0, 1e9, "base")]
    sample_orders: Annotated[int, num("4.1.3", "orders a side that the cap is taken from", 1, 1_000)] = 50
    sample_width: Annotated[float, num("4.1.3", "so far from the best price, at most", 0, 1, "ratio")] = 0.05
    trim_share: Annotated[float, num("4.1.3", "of the sample, cut off at either end", 0, 0.49, "ratio")] = 0.01
    cap_deviations: Annotated[float, num("4.1.3", "standard deviations above the mean", 0, 100, "ratio")] = 5.0
    spacing: Annotated[float, num("6.2", "s: the grid of volumes", 1e-6, 1e9, "base")] = 1.0
    spread: Annotated[float, num("6.2", "D: how far the curve may stand off its mid", 0, 1, "ratio")] = 0.005


OWN = Own


class Asset(NamedTuple):
    """The parameters of one asset's index as of version 16.6, 18 May 2026."""

    spacing: float
    spread: float
    deviation: float
    lag_ms: int


ASSETS: Mapping[str, Asset] = {
    "BTC": Asset(1.0, 0.005, 0.05, 10_000),
    "ETH": Asset(25.0, 0.01, 0.05, 10_000),
    "SOL": Asset(100.0, 0.01, 0.05, 10_000),
    "XRP": Asset(10_000.0, 0.01, 0.10, 10_000),
    "DOGE": Asset(10_000.0, 0.01, 0.10, 10_000),
    "BNB": Asset(1.0, 0.10, 0.10, 30_000),
    "HYPE": Asset(10.0, 0.10, 0.10, 30_000),
}


def _set(effective_s: int, version: str, lag_ms: int, ped: float, back: float, cap: float) -> Rules:
    own = Own(constituents=constituents(effective_s), lag_ms=lag_ms, deviation=ped, readmit_share=back, size_cap=cap)
    return frame.rules(effective_s * NANOS_PER_S, version, own=own)


SETS: tuple[Rules, ...] = (
    _set(FIRST_S, "1.0.0", 30_000, 0.25, 1.0, 100.0),
    _set(GEMINI_S, "1.1.0", 30_000, 0.25, 1.0, 100.0),
    _set(1_575_304_200, "1.2.0", 30_000, 0.25, 1.0, 0.0),  # 2019-12-02 16:30, dynamic cap
    _set(1_581_292_800, "1.3.0", 30_000, 0.10, 1.0, 0.0),  # 2020-02-10
    _set(1_600_097_400, "1.4.0", 30_000, 0.10, 0.5, 0.0),  # 2020-09-14 15:30, hysteresis
    _set(LMAX_S, "1.5.0", 30_000, 0.10, 0.5, 0.0),
    _set(TIGHTER_S, "1.6.0", 30_000, 0.05, 0.5, 0.0),
    _set(BULLISH_S, "1.7.0", 30_000, 0.05, 0.5, 0.0),
    _set(CRYPTO_COM_S, "1.8.0", 30_000, 0.05, 0.5, 0.0),
    _set(1_779_062_400, "1.9.0", 10_000, 0.05, 0.5, 0.0),  # 2026-05-18
)


class Calculated(NamedTuple):
    """An index and what it was made with: the utilised depth, the cap, and the lowest and highest mid it averages."""

    price: float
    depth: float
    cap: float
    low: float
    high: float


def index(candidates: Sequence[Candidate], memory: Memory, rules: Rules, at_ns: Nanos) -> Cohort:
    """The depth-weighted mid of the books that are in time, sound and not potentially erroneous (section 6)."""
    own: Own = rules.own
    named = dict.fromkeys(own.constituents, 1.0)
    books: dict[int, Sides] = {}
    found = []
    for part in basket.parts(candidates, named, otherwise=0.0 if named else 1.0):
        book = basket.sides_of(part.who, at_ns, own.lag_ms)
        if isinstance(book, Verdict):
            part.who.verdict = book
            continue
        books[part.who.place], part.price = book, book.mid
        found.append(part)
    found = _screened(found, memory.members, own)
    if not found:
        return Cohort()
    made = calculate([books[part.who.place] for part in found], own)
    voted = basket.cohort(found, made.price, rules.index)
    voted.low, voted.high = min(voted.low, made.low), max(voted.high, made.high)
    return voted


def _screened(found: Sequence[Part], members: Sequence[Member], own: Own) -> list[Part]:
    """Those whose mid is not potentially erroneous; one that was must come closer than it left (rule 5.3)."""
    if not found:
        return []
    centre = basket.centre(found)
    for part in found:
        member, off = members[part.who.place], abs(part.price - centre) / centre
        if member.rejected and own.readmit_share < 1.0:
            member.rejected = off >= own.deviation * own.readmit_share
        else:
            member.rejected = off > own.deviation
        if member.rejected:
            part.who.verdict = Verdict.OUTLIER if off > own.deviation else Verdict.READMITTING
    return [part for part in found if not members[part.who.place].rejected]


def calculate(books: Sequence[Sides], own: Own) -> Calculated:
    """The index of these books (rules 4.1.3 and 6.2), unrounded. There must be at least one."""
    asks = sorted(level for book in books for level in book.asks)
    bids = sorted((level for book in books for level in book.bids), reverse=True)
    cap = own.size_cap or order_size_cap(bids, asks, own)
    mids = utilised(curve(bids, cap, own.spacing), curve(asks, cap, own.spacing), own.spread)
    weights = depth_weights(len(mids))
    price = weighted_mean(list(zip(mids, weights, strict=True)))
    return Calculated(price, len(mids) * own.spacing, cap, min(mids), max(mids))


def order_size_cap(bids: Levels, asks: Levels, own: Own) -> float:
    """C: the trimmed mean of the sizes near the top plus so many deviations of the winsorised ones (rule 4.1.3)."""
    lowest, highest = bids[0][0] * (1.0 - own.sample_width), asks[0][0] * (1.0 + own.sample_width)
    near = [size for price, size in bids[: own.sample_orders] if price >= lowest]
    near += [size for price, size in asks[: own.sample_orders] if price <= highest]
    sizes = sorted(near)
    n = len(sizes)
    k = int(own.trim_share * n)
    kept = sizes[k : n - k]
    winsorised = [kept[0]] * k + kept + [kept[-1]] * k
    centre = fsum(winsorised) / n
    variance = fsum((size - centre) * (size - centre) for size in winsorised) / (n - 1)
    return fsum(kept) / len(kept) + own.cap_deviations * sqrt(variance)


def curve(levels: Levels, cap: float, spacing: float) -> list[float]:
    """The marginal price at volumes s, 2s, 3s … while the levels reach; each order counts for no more than the cap.

    A side shorter than one step states its last price for that step.
    """
    step, most = round(spacing * UNITS_PER_COIN), round(cap * UNITS_PER_COIN)
    total = 0
    prices: list[float] = []
    for price, size in levels:
        total += min(round(size * UNITS_PER_COIN), most)
        reached = min(total // step, STEPS_MAX)
        prices += [price] * (reached - len(prices))
        if reached == STEPS_MAX:
            break
    return prices or [levels[-1][0]]


def utilised(bids: Sequence[float], asks: Sequence[float], spread: float) -> list[float]:
    """The mids of the curves up to the utilised depth: the last one before an ask stands off its mid by more than D."""
    mids = [(bid + ask) / 2.0 for bid, ask in zip(bids, asks, strict=False)]
    wide = [place for place, mid in enumerate(mids) if asks[place] / mid - 1.0 > spread]
    return mids[: max(wide[0], 1)] if wide else mids


@lru_cache(maxsize=64)
def depth_weights(steps: int) -> tuple[float, ...]:
    """e^(−λv) at v = s … n·s with λ = 1/(0.3·n·s), so e^(−10j/3n): the factor λ itself falls out of the mean."""
    return tuple(decay(10 * j, 3 * steps) for j in range(1, steps + 1))
