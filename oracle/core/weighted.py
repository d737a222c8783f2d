"""Means and medians with weights, as venues and oracle networks publish them. Order of the pairs never matters.

Each function takes (value, weight) pairs with weights above zero; none of them takes an empty list. Sums are exact
(`math.fsum`), so that the order in which sources are configured cannot show in a digit.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

from oracle.core.maths import clamp

Pairs = Sequence[tuple[float, float]]


def weighted_median(pairs: Pairs, *, mean_on_tie: bool = False) -> float:
    """The value at which half of the weight is reached.

    Where the weight below is exactly half, the lower value stands (connect `pkg/math/voteweighted`, Flare FTSO), or
    with `mean_on_tie` the mean of the two beside the gap (Band's Bothan). Weights are compared doubled, so that half
    of an odd total is no rounding.
    """
    ordered = sorted(pairs)
    total, below = fsum(weight for _, weight in ordered), 0.0
    weights: list[float] = []
    for place, (value, weight) in enumerate(ordered):
        weights.append(weight)
        below = fsum(weights)
        if 2.0 * below > total:
            return value
        if 2.0 * below == total:
            return (value + ordered[place + 1][0]) / 2.0 if mean_on_tie else value
    return ordered[-1][0]


def weighted_mean(pairs: Pairs) -> float:
    """Σ value·weight / Σ weight."""
    values = [value for value, _ in pairs]
    return _between(values, fsum(value * weight for value, weight in pairs), fsum(weight for _, weight in pairs))


def plain_mean(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return _between(values, fsum(values), float(len(values)))


def _between(values: Sequence[float], total: float, weight: float) -> float:
    """A mean lies between its values, though the last digit of a quotient may say otherwise."""
    return clamp(total / weight, min(values), max(values))


def linear_mean(values: Sequence[float]) -> float:
    """The mean with weights 1 … n, the latest the heaviest: Σ i·v_i / Σ i (Binance and Bybit premium index)."""
    n = len(values)
    return fsum(i * value for i, value in enumerate(values, 1)) / (n * (n + 1) // 2)


def capped(value: float, centre: float, band: float) -> float:
    """`value` held within `band` (a share) of `centre`."""
    return clamp(value, centre * (1.0 - band), centre * (1.0 + band))


def liquidity_mid(bid: float, bid_size: float, ask: float, ask_size: float) -> float:
    """The mid that leans towards the thinner side: (b·askSize + a·bidSize) / (bidSize + askSize).

    Without any stated size it is the plain mid. (BTSE index engine of 2020; elsewhere known as the micro-price.)
    """
    total = bid_size + ask_size
    return (bid * ask_size + ask * bid_size) / total if total > 0.0 else (bid + ask) / 2.0
