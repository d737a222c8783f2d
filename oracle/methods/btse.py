"""BTSE: the engine of 2020, which leans towards thin sides and drops both ends, and today's, which halves and waits.

Published in `methodology/btse.md`. Sources: the platform's page on perpetual contracts of about 2021, support.btse.com
articles 43000557589 (index and mark) and 43000460020 (funding) in their dated copies, and copies of the 2020 text at
btzosupport.zohodesk.in and woaiqun.com/10963.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from oracle.core import basket, fair, frame, perpetual, premium
from oracle.core.basket import Part
from oracle.core.funding import EIGHT_HOURS_MS, Funded, FundingState, Rated, damped, mean
from oracle.core.funding import fund as fund_mean
from oracle.core.index import Candidate, Cohort, Memory
from oracle.core.mark import Marked, MarkInputs, MarkState
from oracle.core.maths import clamp
from oracle.core.params import PerpInstrument, Rules, ms, num, word
from oracle.core.premium import Sampled, average_fill
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Depth, Nanos, Reason, Verdict
from oracle.core.weighted import liquidity_mid

ID = "btse"
READS = frame.VENUE_READS
DAY_MS = 3 * EIGHT_HOURS_MS


class Own(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is this methodology's alone."""

    engine: Annotated[Literal["2020", "now"], word("all", "which of BTSE's two engines makes index, mark and funding")]
    weights: basket.OnlyWeights = field(default_factory=dict)
    band: Annotated[float, num("index", "farther off the median a price is held and its weight halved", 0, 1, "ratio")]
    persist_ms: Annotated[int, ms("index", "after so long beyond the band a venue is out", 0, 3_600_000)]
    depth_contracts: Annotated[
        float, num("2020", "contracts on each side that a depth price is the average of", 1, 1e9)
    ] = 10_000.0
    depth_share: Annotated[float, num("2020", "share of the own depth mid in the mark", 0, 1, "ratio")] = 0.1
    mark_spread: Annotated[
        float, num("2020", "so far off the own liquidity mid the mark is the index", 0, 1, "ratio")
    ] = 0.02
    floor: Annotated[float, num("2020", "smallest rate either way that is not zero", 0, 0.01, "per interval")] = 0.0
    basis_every_ms: Annotated[int, ms("now", "grid of the basis points", 1_000, 3_600_000)] = 1_000
    basis_window_ms: Annotated[int, ms("now", "window of the basis average", 1_000, 3_600_000)] = 300_000


OWN = Own

_2020 = Own(
    engine="2020",
    weights=dict.fromkeys(("bitfinex", "bitstamp", "bittrex", "coinbase", "kraken"), 1.0),
    band=0.03,
    persist_ms=30_000,
)
_HOURLY = replace(_2020, floor=0.00001)
_NOW = replace(
    _2020, engine="now", weights=dict.fromkeys(("btse", "binance", "bitget", "bybit", "gate", "mexc", "okx"), 1.0)
)


def _set(effective_s: int, version: str, own: Own, hours: int) -> Rules:
    funding = {"sample_ms": 60_000, "interval_ms": hours * 3_600_000}
    three = {"groups_normal_min": 3, "groups_degraded_min": 2}  # the engine of 2020 drops two of its five venues
    ladder = three if own.engine == "2020" else None
    return frame.rules(effective_s * NANOS_PER_S, version, own=own, funding=funding, ladder=ladder)


SETS: tuple[Rules, ...] = (
    _set(1_577_836_800, "1.0.0", _2020, 8),  # 2020-01-01, assumed
    _set(1_594_080_000, "1.1.0", _HOURLY, 1),  # 2020-07-07, as announced
    _set(1_735_689_600, "1.2.0", _NOW, 8),  # 2025-01-01, assumed
)


def index(candidates: Sequence[Candidate], memory: Memory, rules: Rules, at_ns: Nanos) -> Cohort:
    """The mean of the set's venues, by the rule of its engine (sections 6 and 7)."""
    own: Own = rules.own
    if own.engine == "2020":
        kept = basket.drop_ends(basket.parts(candidates, own.weights, basket.liquidity_mid_of))
    else:
        kept = _halve(basket.parts(candidates, own.weights), memory, own, at_ns)
    return basket.mean_vote(kept, rules.index)


def _halve(found: Sequence[Part], memory: Memory, own: Own, at_ns: Nanos) -> list[Part]:
    """Hold whoever is beyond the band and halve its weight; after some time of it, leave it out (section 7)."""
    if not found:
        memory.notes.numbers.clear()
        return []
    centre = basket.centre(found)
    far = {str(part.who.place): part for part in found if abs(part.price / centre - 1.0) > own.band}
    before, at_ms = memory.notes.numbers, float(at_ns // NANOS_PER_MS)
    memory.notes.numbers = {name: before.get(name, at_ms) for name in far}
    basket.cap(found, centre, own.band)
    for name, part in far.items():
        part.weight /= 2.0
        if at_ms - memory.notes.numbers[name] >= own.persist_ms:
            part.who.verdict = Verdict.OUTLIER
    return [part for part in found if part.who.verdict is not Verdict.OUTLIER]


def mark(memory: MarkState, now: MarkInputs, perp: PerpInstrument) -> Marked:
    """Mostly the index and a little of the own depth (2020), or median(P1, P2, last trade) (section 8)."""
    own: Own = perp.rules.own
    if own.engine == "now":
        return fair.three_legs(memory, now, perp, now.funding_rate, own.basis_every_ms, own.basis_window_ms)
    return _blended(now, perp, own)


def _blended(now: MarkInputs, perp: PerpInstrument, own: Own) -> Marked:
    """The engine of 2020: without a living book of the platform, or far from its mid, the mark is the index."""
    bids, asks = (now.depth.bids, now.depth.asks) if now.depth and fair.live(now, perp) else ((), ())
    deep = depth_mid(bids, asks, own.depth_contracts)
    if deep is None:
        made = fair.fixed(now, perp, now.index)
        made.reasons.append(Reason.LEG_MISSING)
        return made
    blended = (1.0 - own.depth_share) * now.index + own.depth_share * deep
    own_mid = liquidity_mid(*bids[0], *asks[0])
    far = abs(blended / own_mid - 1.0) >= own.mark_spread
    made = fair.fixed(now, perp, now.index if far else blended, book=deep)
    if far:
        made.band_binding = True
        made.reasons.append(Reason.CLAMP_BAND)
    return made


def depth_mid(
    bids: Sequence[tuple[float, float]], asks: Sequence[tuple[float, float]], contracts: float
) -> float | None:
    """The middle of the average prices of so many contracts on each side; None: one of them is too thin."""
    bid, ask = average_fill(bids, contracts), average_fill(asks, contracts)
    return None if bid is None or ask is None else (bid + ask) / 2.0


def sample(depth: Depth, index: float, mark: float | None, perp: PerpInstrument) -> Sampled:
    """[max(0, IB − I) − max(0, I − IA)] / I, in 2020 of so many contracts on each side (section 9)."""
    own: Own = perp.rules.own
    if own.engine == "2020":
        return premium.of_quantity(depth, index, own.depth_contracts)
    return premium.of_book(depth, index, perp)


accrue = perpetual.evenly  # every minute counts the same (section 9)


def fund(state: FundingState, until_ns: Nanos, perp: PerpInstrument) -> Funded:
    """The rate of the mean premium (section 9). The engine of 2020 had no interest to fall back upon: zero."""
    rules = perp.rules
    alone = 0.0 if rules.own.engine == "2020" else None
    return fund_mean(state, until_ns, rules.funding, mean(state), lambda p: rate(p, rules), alone)


def rate(premium: float, rules: Rules) -> Rated:
    """2020: P̄ for the interval's share of a day, at least the floor. Now: F = P̄ + clamp(r − P̄, ±C) (section 9)."""
    shared, own = rules.funding, rules.own
    if own.engine == "now":
        return damped(premium, shared)
    raw = premium * shared.interval_ms / DAY_MS
    floored = raw if raw == 0.0 or abs(raw) >= own.floor else own.floor if raw > 0.0 else -own.floor
    held = clamp(floored, -shared.cap, shared.cap)
    return Rated(held, 0.0, cap_binding=held != floored)
