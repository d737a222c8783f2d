"""What the indices of venues are made of: a basket of constituents, each with one price and one weight.

A methodology chooses which price a constituent states (`mid_of`, `last_of`, `middle_of`), gives it a weight, judges it
against the median of the others, and names the average. The vote's trustworthiness (groups, confidence, gap,
breakdown) is that of HK-1 for every methodology, so that the ladder can judge any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Annotated, NamedTuple, TypeAlias

from msgspec import Struct

from oracle.core.index import Candidate, Cohort, Memory, breakdown, confidence, gap, group_prices
from oracle.core.maths import median, median3
from oracle.core.params import IndexRules, num, word
from oracle.core.sources import SourceState
from oracle.core.types import NANOS_PER_MS, Nanos, Verdict
from oracle.core.weighted import liquidity_mid, weighted_mean

Weights: TypeAlias = Annotated[dict[str, float], word("index", "weight of a venue", "weights")]
WeightOtherwise: TypeAlias = Annotated[
    float, num("index", "weight of a venue without an entry; 0: it does not count", 0, 100, "weight")
]
OnlyWeights: TypeAlias = Annotated[dict[str, float], word("index", "weight of a venue; nobody else counts", "weights")]


class Part(Struct, gc=False):
    """A constituent at a beat: who it is, the price it states in the index's currency, and its weight."""

    who: Candidate
    price: float
    weight: float


def known(c: Candidate) -> SourceState:
    """What is known of a candidate that has been looked at."""
    assert c.known is not None, c
    return c.known


def mid_of(c: Candidate) -> float:
    """The middle of best bid and ask, converted."""
    return (c.bid + c.ask) / 2.0 * c.rate


def last_of(c: Candidate) -> float:
    """The last trade, converted; the mid while none is known."""
    last = known(c).last
    return last * c.rate if last > 0.0 else mid_of(c)


def middle_of(c: Candidate) -> float:
    """The median of last trade, best bid and best ask, converted; the mid while no trade is known."""
    last = known(c).last
    return median3(c.bid, c.ask, last) * c.rate if last > 0.0 else mid_of(c)


def liquidity_mid_of(c: Candidate) -> float:
    """The mid that leans towards the thinner side of the best bid and ask, converted."""
    state = known(c)
    return liquidity_mid(c.bid, state.bid_size, c.ask, state.ask_size) * c.rate


def parts(
    candidates: Sequence[Candidate],
    weights: Mapping[str, float],
    price_of: Callable[[Candidate], float] = mid_of,
    otherwise: float = 0.0,
) -> list[Part]:
    """The constituents that state a fresh price, in configured order.

    A venue's weight is its entry in `weights`, or else `otherwise`; with 0.0 it is set aside as UNWEIGHTED. A venue
    with several sources shares its weight among those that are fresh. Everyone else is marked USED, for now.
    """
    fresh = [c for c in candidates if c.verdict is None or c.verdict is Verdict.CLOSED]
    shares: dict[str, int] = {}
    for c in fresh:
        shares[c.venue] = shares.get(c.venue, 0) + 1
    found = []
    for c in fresh:
        weight = weights.get(c.venue, otherwise)
        if weight <= 0.0:
            c.verdict = Verdict.UNWEIGHTED
            continue
        c.verdict = c.verdict or Verdict.USED
        found.append(Part(c, price_of(c), weight / shares[c.venue]))
    return found


def late(candidates: Sequence[Candidate], stale_ms: int) -> None:
    """Set aside as STALE whoever's price is older than a methodology allows, where the frame has not done so before."""
    for c in candidates:
        if c.verdict is None and c.age_ns > stale_ms * NANOS_PER_MS:
            c.verdict = Verdict.STALE


def weight_of(own: object, venue: str) -> float:
    """What a methodology's own parameters give a venue: its entry in `weights`, or else `weight_otherwise` (0.0).

    Without a table of weights every venue counts the same.
    """
    weights = getattr(own, "weights", None)
    if not isinstance(weights, Mapping):
        return 1.0
    return float(weights.get(venue, getattr(own, "weight_otherwise", 0.0)))


def pairs(found: Sequence[Part]) -> list[tuple[float, float]]:
    """(price, weight) of each constituent."""
    return [(part.price, part.weight) for part in found]


def centre(found: Sequence[Part]) -> float:
    """The plain median of the constituents' prices."""
    return median([part.price for part in found])


def cap(found: Sequence[Part], around: float, band: float) -> None:
    """Hold every price within `band` (a share) of `around`; whoever is held is marked CAPPED. Changes the parts."""
    low, high = around * (1.0 - band), around * (1.0 + band)
    for part in found:
        held = min(max(part.price, low), high)
        if held != part.price:
            part.price, part.who.verdict = held, Verdict.CAPPED


def capped_mean(found: Sequence[Part], band: float) -> float:
    """The weighted mean of prices that are each held within `band` of the plain median of all. Changes the parts."""
    cap(found, centre(found), band)
    return weighted_mean(pairs(found))


def drop(found: Sequence[Part], around: float, band: float) -> list[Part]:
    """Those within `band` (a share) of `around`, the bound included; the others are marked OUTLIER."""
    kept = []
    for part in found:
        if abs(part.price / around - 1.0) > band:
            part.who.verdict = Verdict.OUTLIER
        else:
            kept.append(part)
    return kept


def drop_ends(found: Sequence[Part]) -> list[Part]:
    """Everyone but one of the lowest and one of the highest price, who are marked OUTLIER; of fewer than three,
    everyone."""
    if len(found) < 3:
        return list(found)
    ordered = sorted(found, key=lambda part: (part.price, part.who.venue))
    for part in (ordered[0], ordered[-1]):
        part.who.verdict = Verdict.OUTLIER
    return ordered[1:-1]


def middles(candidates: Sequence[Candidate], weights: Mapping[str, float], band: float) -> list[Part]:
    """The constituents at their `middle_of`, without those more than `band` (a share) off the median of them all.

    This is Coinbase's derived market price, and what becomes of one that is far (Coinbase International; the Coinbase
    Index that Deribit prices perpetuals without options by).
    """
    found = parts(candidates, weights, middle_of)
    return drop(found, centre(found), band) if found else []


def standing(found: Sequence[Part], memory: Memory, rules: IndexRules, at_ns: Nanos, every_ms: int) -> Cohort:
    """The vote whose price is the weighted mean, calculated once in each interval of the clock's grid of `every_ms`.

    In between the price stands, while its constituents move on; without any there is none, and nothing is kept.
    """
    numbers = memory.notes.numbers
    if not found:
        numbers.pop("index", None)
        return Cohort()
    instant = float(at_ns // (every_ms * NANOS_PER_MS))
    if numbers.get("instant") != instant or "index" not in numbers:
        numbers["instant"], numbers["index"] = instant, weighted_mean(pairs(found))
    price = numbers["index"]
    made = cohort(found, price, rules)
    made.low, made.high = min(made.low, price), max(made.high, price)
    return made


def cohort(found: Sequence[Part], price: float, rules: IndexRules) -> Cohort:
    """The outcome of a vote whose price is `price`: how far the constituents' groups back it, by HK-1's measures.

    From here on a candidate's price is what it was averaged with.
    """
    if not found:
        return Cohort()
    for part in found:
        part.who.price = part.price
    ordered = group_prices([part.who for part in found])
    stated = [part.price for part in found]
    return Cohort(
        price,
        ordered,
        len(ordered),
        max(part.who.age_ns for part in found),
        confidence(price, ordered),
        gap(ordered) / price,
        breakdown(ordered, rules.breakdown_bps),
        low=min(stated),
        high=max(stated),
        closed=all(part.who.verdict is Verdict.CLOSED for part in found),
    )


class Sides(NamedTuple):
    """What is seen of one source's book, in the index's currency: best first, only levels that state something."""

    bids: Sequence[tuple[float, float]]
    asks: Sequence[tuple[float, float]]

    @property
    def mid(self) -> float:
        """The middle of best bid and ask."""
        return (self.bids[0][0] + self.asks[0][0]) / 2.0


def sides_of(c: Candidate, at_ns: Nanos, age_ms_max: int) -> Sides | Verdict:
    """The book of a source: its depth where that is young enough, or else its best levels; or why there is none.

    A level without a price and a size above zero does not count (sizes that are not stated among them).
    """
    seen, age_ns_max = known(c), age_ms_max * NANOS_PER_MS
    if seen.depth is not None and at_ns - seen.depth.recv_ns <= age_ns_max:
        return sound(seen.depth.bids, seen.depth.asks, c.rate)
    if c.age_ns > age_ns_max:
        return Verdict.STALE
    return sound(((c.bid, seen.bid_size),), ((c.ask, seen.ask_size),), c.rate)


def sound(
    bids: Sequence[tuple[float, float]], asks: Sequence[tuple[float, float]], rate: float = 1.0
) -> Sides | Verdict:
    """A book without levels that are no numbers or not positive, its prices times `rate`; or what is wrong with it."""
    kept = [[(p * rate, size) for p, size in side if 0.0 < p < inf and 0.0 < size < inf] for side in (bids, asks)]
    if not kept[0] or not kept[1]:
        return Verdict.ONE_SIDED
    found = Sides(sorted(kept[0], reverse=True), sorted(kept[1]))
    return Verdict.CROSSED if found.bids[0][0] >= found.asks[0][0] else found


def mean_vote(found: Sequence[Part], rules: IndexRules) -> Cohort:
    """The vote whose price is the weighted mean of the constituents as they are; without any, nobody's."""
    return cohort(found, weighted_mean(pairs(found)), rules) if found else Cohort()
