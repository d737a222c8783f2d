"""Marks as venues publish them: a funding-basis leg, a moving average of the basis, the last trade, and their median.

`P1 = I·(1 + F·τ/T)` and `P2 = I + average(mid − I)` recur at Binance, BTSE, HashKey Global and Bybit; BitMEX' fair mark
is P1 alone, OKX' is P2 alone. What differs (the window, the sampling, which rate F is) is each methodology's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, inf
from typing import Annotated, TypeAlias

from oracle.core.mark import Marked, MarkInputs, MarkState
from oracle.core.maths import clamp, median, quantise
from oracle.core.params import PerpInstrument, ms
from oracle.core.types import NANOS_PER_MS, Reason
from oracle.core.windows import Ema

POINTS = "basis"  # the window of basis points among the notes
BasisEvery: TypeAlias = Annotated[int, ms("mark", "grid of the basis points", 1_000, 3_600_000)]
BasisWindow: TypeAlias = Annotated[int, ms("mark", "window of the basis average", 1_000, 3_600_000)]


def two_sided(now: MarkInputs) -> bool:
    """Whether the platform's book has both sides and is not crossed."""
    return 0.0 < now.bid < now.ask < inf


def live(now: MarkInputs, perp: PerpInstrument) -> bool:
    """Whether the platform's feed is fresh enough for its book to be a leg."""
    return now.feed_age_ns is not None and now.feed_age_ns <= perp.rules.mark.feed_stale_ms * NANOS_PER_MS


def funding_leg(index: float, rate: float, left: float) -> float:
    """I·(1 + F·τ/T): `rate` a share per interval, `left` the share of the interval that is left."""
    return index * (1.0 + rate * left)


def based(index: float, average: float | None) -> float | None:
    """I + an average premium; None without one, and where a fall of the index leaves nothing above zero of the sum."""
    return index + average if average is not None and index + average > 0.0 else None


def lost(now: MarkInputs, perp: PerpInstrument) -> bool:
    """Whether the platform's feed has been silent for so long that nothing it said is a leg any more."""
    return now.feed_age_ns is None or now.feed_age_ns > perp.rules.mark.feed_lost_ms * NANOS_PER_MS


def last_rate(now: MarkInputs) -> float:
    """The rate of the last settlement; until there is one, the running estimate stands in for it."""
    return now.funding_rate if now.settled_rate is None else now.settled_rate


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


def basis_leg(memory: MarkState, now: MarkInputs, perp: PerpInstrument, every_ms: int, window_ms: int) -> float | None:
    """I + average(mid − I), as `basis_average` has it. It stands through a silence of the platform's feed; when the
    feed is lost its points are forgotten, and there is none."""
    average = basis_average(memory, now, perp, every_ms, window_ms)
    if lost(now, perp):
        memory.notes.windows[POINTS].clear()
        return None
    return based(now.index, average)


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


def three_legs(
    memory: MarkState, now: MarkInputs, perp: PerpInstrument, rate: float, every_ms: int, window_ms: int
) -> Marked:
    """median(P1, P2, last trade): P1 by `rate`, a share per interval, P2 the `basis_leg`.

    The last trade is a leg while the platform's feed lives; when the feed is lost P1 stands alone.
    """
    basis = basis_leg(memory, now, perp, every_ms, window_ms)
    last = now.last if live(now, perp) and now.last > 0.0 else None
    return middle(now, perp, (basis, last, funding_leg(now.index, rate, now.funding_left)))


def smoothed(
    memory: MarkState, now: MarkInputs, perp: PerpInstrument, price: float | None, tau_ms: int, band: float
) -> Marked:
    """I + EMA(price − I), held within `band` of the index; `price` is the contract's by the platform's own book.

    None: the book says nothing now, and the average stands as it is; it is forgotten when the feed is lost. Without
    one, and in a fallback of the index, the mark is the index. `tau_ms` is the time constant.
    """
    if lost(now, perp):
        memory.basis = Ema()
    elif price is not None and now.index_usable:
        memory.basis.add(price - now.index, now.at_ns, tau_ms)
    average = memory.basis.value() if now.index_usable else None
    basis = None if average is None else now.index + average
    return banded(now, perp, now.index if basis is None else basis, band, basis=basis)


def banded(
    now: MarkInputs, perp: PerpInstrument, value: float, band: float, *, basis: float | None = None,
    book: float | None = None,
) -> Marked:  # fmt: skip
    """A mark that is one formula, held within `band` (a share) of the index; at 0.0 nothing holds it."""
    width = band or inf
    held = clamp(value, now.index * (1.0 - width), now.index * (1.0 + width))
    made = fixed(now, perp, held, basis=basis, book=book)
    if basis is None and book is None:
        made.reasons.append(Reason.LEG_MISSING)
    if held != value:
        made.band_binding = True
        made.reasons.append(Reason.CLAMP_BAND)
    return made


def fixed(now: MarkInputs, perp: PerpInstrument, value: float, *, basis: float | None = None, book: float | None = None,
          funded: float | None = None) -> Marked:  # fmt: skip
    """A mark that is one formula, rounded to the tick, with the leg it came by."""
    reasons = [] if live(now, perp) else [Reason.ENGINE_FEED_STALE]
    return Marked(quantise(value, perp.price_decimals, perp.tick_units), basis, book, funded, reasons=reasons)


def index_and_basis(memory: MarkState, now: MarkInputs, perp: PerpInstrument, every_ms: int, window_ms: int) -> Marked:
    """The `basis_leg` by itself; while there is none, the index, and that is said (OKX)."""
    basis = basis_leg(memory, now, perp, every_ms, window_ms)
    made = fixed(now, perp, now.index if basis is None else basis, basis=basis)
    if basis is None:
        made.reasons.append(Reason.LEG_MISSING)
    return made
