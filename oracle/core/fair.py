"""Marks as venues publish them: a funding-basis leg, a moving average of the basis, the last trade, and their median.

`P1 = I·(1 + F·τ/T)` and `P2 = I + average(mid − I)` recur at Binance, BTSE, HashKey Global and Bybit; BitMEX' fair mark
is P1 alone, OKX' is P2 alone. What differs (the window, the sampling, which rate F is) is each methodology's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, inf

from oracle.core.mark import Marked, MarkInputs, MarkState
from oracle.core.maths import median, quantise
from oracle.core.params import PerpInstrument
from oracle.core.types import NANOS_PER_MS, Reason

POINTS = "basis"  # the window of basis points among the notes


def two_sided(now: MarkInputs) -> bool:
    """Whether the platform's book has both sides and is not crossed."""
    return 0.0 < now.bid < now.ask < inf


def live(now: MarkInputs, perp: PerpInstrument) -> bool:
    """Whether the platform's feed is fresh enough for its book to be a leg."""
    return now.feed_age_ns is not None and now.feed_age_ns <= perp.rules.mark.feed_stale_ms * NANOS_PER_MS


def funding_leg(index: float, rate: float, left: float) -> float:
    """I·(1 + F·τ/T): `rate` a share per interval, `left` the share of the interval that is left."""
    return index * (1.0 + rate * left)


def basis_average(
    memory: MarkState, now: MarkInputs, perp: PerpInstrument, every_ms: int, window_ms: int
) -> float | None:
    """The plain mean of mid − index over a window of points, one every `every_ms` on the clock's grid; None: none.

    A point is taken at the first beat of each grid interval, from a living two-sided book in a usable index; an
    interval without one leaves no point, and its older points go on ageing out by count.
    """
    points = memory.notes.windows.setdefault(POINTS, [])
    instant = float(now.at_ns // (every_ms * NANOS_PER_MS))
    if memory.notes.numbers.get("instant") != instant:
        memory.notes.numbers["instant"] = instant
        if now.index_usable and live(now, perp) and two_sided(now):
            memory.notes.push(POINTS, (now.bid + now.ask) / 2.0 - now.index, max(1, window_ms // every_ms))
    return fsum(points) / len(points) if points else None


def middle(now: MarkInputs, perp: PerpInstrument, legs: Sequence[float | None]) -> Marked:
    """The median of the legs that exist, rounded to the instrument's tick; with none, the index itself.

    `legs` are in the order basis, book, funding: that is how they are published. A missing one is said.
    """
    basis, book, funded = legs
    there = [leg for leg in legs if leg is not None]
    made = Marked(0, basis, book, funded)
    if now.feed_age_ns is None or not live(now, perp):
        made.reasons.append(Reason.ENGINE_FEED_STALE)
    if len(there) < len(legs):
        made.reasons.append(Reason.LEG_MISSING)
    made.units = quantise(median(there) if there else now.index, perp.price_decimals, perp.tick_units)
    return made


def fixed(now: MarkInputs, perp: PerpInstrument, value: float, *, basis: float | None = None, book: float | None = None,
          funded: float | None = None) -> Marked:  # fmt: skip
    """A mark that is one formula, rounded to the tick, with the leg it came by."""
    reasons = [] if live(now, perp) else [Reason.ENGINE_FEED_STALE]
    return Marked(quantise(value, perp.price_decimals, perp.tick_units), basis, book, funded, reasons=reasons)
