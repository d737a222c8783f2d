"""Bybit: six markets weighted by volume, a median mark, minute premiums that weigh more towards the settlement.

Published in `methodology/bybit.md`. Sources: Bybit help articles 360039261094 (index, copies of 2019 and 2020), its
successors of 20 July 2022, 8 October 2024 and 18 September 2025, 360039261114 (funding, 2020) and *Introduction to
funding rate*.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Struct, field

from oracle.core import basket, fair, frame, perpetual
from oracle.core.basket import Part
from oracle.core.funding import Rated, damped
from oracle.core.index import Candidate, Cohort, Memory
from oracle.core.mark import Marked, MarkInputs, MarkState
from oracle.core.params import PerpInstrument, Rules, ms, num, word
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Nanos, Verdict
from oracle.core.weighted import Pairs, weighted_mean

ID = "bybit"
READS = frame.VENUE_READS


class Own(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is this methodology's alone."""

    weights: Annotated[dict[str, float], word("index", "volume of a venue", "weights")] = field(default_factory=dict)
    weight_otherwise: Annotated[
        float, num("index", "volume of a venue without an entry; 0: it does not count", 0, 1e12, "weight")
    ] = 1.0
    markets_max: Annotated[int, num("index", "so many markets of the largest volume count", 1, 100)]
    distance: Annotated[bool, word("index", "volumes are divided by the squared distance from their mean", "switch")]
    frozen_ms: Annotated[int, ms("index", "a price that stands longer is out; 0: never", 0, 3_600_000)]
    basis_every_ms: fair.BasisEvery = 1_000
    basis_window_ms: fair.BasisWindow = 300_000
    weighing: Annotated[Literal["equal", "linear"], word("funding", "weights of the minutes of a mean")]


OWN = Own

_2019 = Own(weight_otherwise=0.0, markets_max=5, distance=True, frozen_ms=60_000, weighing="equal",
            weights=dict.fromkeys(("bitstamp", "coinbase", "kraken", "gemini", "bittrex"), 1.0))  # fmt: skip
_2022 = Own(markets_max=6, distance=False, frozen_ms=0, weighing="linear")

SETS: tuple[Rules, ...] = (
    frame.rules(1_546_300_800 * NANOS_PER_S, "1.0.0", own=_2019, funding={"sample_ms": 60_000}),  # 2019-01-01, assumed
    frame.rules(1_658_275_200 * NANOS_PER_S, "1.1.0", own=_2022, funding={"sample_ms": 60_000}),  # 2022-07-20
)


def index(candidates: Sequence[Candidate], memory: Memory, rules: Rules, at_ns: Nanos) -> Cohort:
    """The mean of the largest markets by volume; until 2020, less of whoever is far from it (sections 6 and 7)."""
    own: Own = rules.own
    if own.frozen_ms:
        _frozen(candidates, memory, own.frozen_ms, at_ns)
    found = basket.parts(candidates, own.weights, basket.last_of, own.weight_otherwise)
    kept = _largest(found, own.markets_max)
    if not kept:
        return Cohort()
    pairs = basket.pairs(kept)
    return basket.cohort(kept, distance_mean(pairs) if own.distance else weighted_mean(pairs), rules.index)


def _frozen(candidates: Sequence[Candidate], memory: Memory, frozen_ms: int, at_ns: Nanos) -> None:
    """Set aside whoever's last price has not changed for longer than a minute (section 7)."""
    numbers, due_ns = memory.notes.numbers, at_ns - frozen_ms * NANOS_PER_MS
    for c in candidates:
        price, since = f"price {c.place}", f"since_ms {c.place}"
        last = basket.known(c).last or c.bid + c.ask
        if numbers.get(price) != last:
            numbers[price], numbers[since] = last, float(at_ns // NANOS_PER_MS)
        elif c.verdict is None and numbers[since] * NANOS_PER_MS < due_ns:
            c.verdict = Verdict.FROZEN


def _largest(found: Sequence[Part], markets_max: int) -> list[Part]:
    """Those of the largest volume, by name where it is the same; the others are UNWEIGHTED."""
    ordered = sorted(found, key=lambda part: (-part.weight, part.who.venue))
    for part in ordered[markets_max:]:
        part.who.verdict = Verdict.UNWEIGHTED
    return ordered[:markets_max]


def distance_mean(pairs: Pairs) -> float:
    """The mean with weights volume ÷ (price − m)², m the mean by volume; whoever states m itself is the index."""
    centre = weighted_mean(pairs)
    exact = [(price, volume) for price, volume in pairs if price == centre]
    return weighted_mean(exact or [(price, volume / (price - centre) ** 2) for price, volume in pairs])


def mark(memory: MarkState, now: MarkInputs, perp: PerpInstrument) -> Marked:
    """median(P1, P2, last trade), P1 by the rate of the last settlement (section 8)."""
    own: Own = perp.rules.own
    return fair.three_legs(memory, now, perp, fair.last_rate(now), own.basis_every_ms, own.basis_window_ms)


sample = perpetual.impact_premium  # [max(0, IB − I) − max(0, I − IA)] / I (section 9)
accrue = perpetual.weighed  # the n-th minute counts n times; until 2020, every minute the same (section 9)


def rate(premium: float, rules: Rules) -> Rated:
    """F = P̄ + clamp(r − P̄, ±C), r that of the interval, within the cap (section 9)."""
    return damped(premium, rules.funding)


fund = perpetual.of_mean(rate)  # of the mean of the minutes (section 9)
