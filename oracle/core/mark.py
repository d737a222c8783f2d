"""The mark price: the median of a basis leg, a book leg and a funding leg, clamped twice (HK-1 M1 to M8).

Nothing the platform's own feed says can move the mark further from the index than the band: the band comes last and
always wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from msgspec import Struct, field

from oracle.core.maths import clamp, halving, median3, quantise, unscaled
from oracle.core.params import MarkRules
from oracle.core.types import NANOS_PER_MS, Depth, Nanos, Reason
from oracle.core.windows import Ema, Notes

BPS = 10_000.0


class MarkState(Struct, array_like=True):
    """What the mark remembers. `reference` is the mark in force at the last whole second.

    `oracle` is what premiums are taken over where a methodology holds or moves the index's price (0.0: the index).
    """

    basis: Ema = field(default_factory=Ema)
    book: Ema = field(default_factory=Ema)
    units: int | None = None
    reference: int | None = None
    bound_since_ns: Nanos = 0
    notes: Notes = field(default_factory=Notes)
    oracle: float = 0.0


class MarkInputs(Struct):
    """What the mark is made of at a beat. `feed_age_ns` None: the platform has never spoken.

    `funding_rate` is the running estimate, `settled_rate` what the last interval settled at (None: none has), both
    shares per interval; `funding_left` the share of the interval that is left. `depth` is the platform's book,
    `outside` the fresh outside perpetuals, each with its venue, in the index's currency; `closed`: a market behind the
    index is closed, and its last rate stands.
    """

    at_ns: Nanos
    index: float
    index_usable: bool
    feed_age_ns: int | None
    bid: float
    ask: float
    last: float
    funding_rate: float
    funding_left: float
    settled_rate: float | None = None
    depth: Depth | None = None
    outside: Sequence[tuple[str, float]] = ()
    closed: bool = False


class Marked(Struct):
    """The mark in units of the scale, its legs in quote currency (None: out), the clamps, and why."""

    units: int
    basis_leg: float | None = None
    book_leg: float | None = None
    funding_leg: float | None = None
    step_binding: bool = False
    band_binding: bool = False
    reasons: list[Reason] = field(default_factory=list)


def mark(memory: MarkState, now: MarkInputs, rules: MarkRules, decimals: int, tick_units: int) -> Marked:
    """The mark at a beat (rules M1 to M8). In a fallback of the index, and without the platform's feed, it is the
    index itself."""
    live = now.feed_age_ns is not None and now.feed_age_ns <= rules.feed_stale_ms * NANOS_PER_MS
    lost = now.feed_age_ns is None or now.feed_age_ns > rules.feed_lost_ms * NANOS_PER_MS
    book_leg = local_median(now) if live and now.index_usable else None
    _remember(memory, now, rules, book_leg)
    if not now.index_usable or lost:
        reasons = [Reason.ENGINE_FEED_STALE] if lost else []
        return Marked(quantise(now.index, decimals, tick_units), reasons=reasons)
    basis = memory.basis.value()
    made = Marked(
        0,
        basis_leg=None if basis is None else now.index + basis,
        book_leg=book_leg,
        funding_leg=now.index * (1.0 + now.funding_rate * now.funding_left),
        reasons=[] if live else [Reason.ENGINE_FEED_STALE],
    )
    raw = joined(made, memory)
    made.units = _clamped(made, raw, memory, now.index, rules, decimals, tick_units)
    return made


def local_median(now: MarkInputs) -> float | None:
    """The median of bid, ask and last of the platform's book (M2); a one-sided or crossed book is no leg."""
    if not 0.0 < now.bid < now.ask < inf:
        return None
    return median3(now.bid, now.ask, now.last) if now.last > 0.0 else (now.bid + now.ask) / 2.0


def _remember(memory: MarkState, now: MarkInputs, rules: MarkRules, book_leg: float | None) -> None:
    """Let the averages take the beat in; without a book leg the basis shrinks by half each half-life (M5)."""
    if book_leg is not None:
        memory.basis.add((now.bid + now.ask) / 2.0 - now.index, now.at_ns, rules.basis_tau_ms)
        memory.book.add(book_leg, now.at_ns, rules.book_tau_ms)
        return
    if memory.basis.at_ns:
        elapsed_ms = (now.at_ns - memory.basis.at_ns) // NANOS_PER_MS
        through_ns = memory.basis.at_ns + elapsed_ms * NANOS_PER_MS
        memory.basis.skip(through_ns, halving(elapsed_ms, rules.basis_half_life_ms))
        memory.book.skip(through_ns, 1.0)


def joined(made: Marked, memory: MarkState) -> float:
    """The median of the legs, of which there is one at least; where exactly two are left, the average of the book leg
    joins them (M4)."""
    legs = [leg for leg in (made.basis_leg, made.book_leg, made.funding_leg) if leg is not None]
    if len(legs) < 3:
        made.reasons.append(Reason.LEG_MISSING)
    if len(legs) == 2 and (joined := memory.book.value()) is not None:
        legs.append(joined)
    legs.sort()
    return legs[1] if len(legs) == 3 else sum(legs) / len(legs)


def _clamped(
    made: Marked, raw: float, memory: MarkState, index: float, rules: MarkRules, decimals: int, tick_units: int
) -> int:
    """The raw mark within a step of the last whole second's, then within the band of the index, then rounded."""
    value = raw
    if memory.reference is not None:
        reference, step = unscaled(memory.reference, decimals), rules.step_bps / BPS
        value = clamp(raw, reference * (1.0 - step), reference * (1.0 + step))
        if value != raw:
            made.step_binding = True
            made.reasons.append(Reason.CLAMP_STEP)
    band = rules.band_bps / BPS
    held = clamp(value, index * (1.0 - band), index * (1.0 + band))
    if held != value:
        made.band_binding = True
        made.reasons.append(Reason.CLAMP_BAND)
    return quantise(held, decimals, tick_units)
