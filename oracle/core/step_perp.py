"""One perpetual at one beat: the premium sample when its instant has passed, the funding rate, then the mark.

Order matters at a settlement: the sample of the settlement instant belongs to the interval that ends there, so it is
taken first; then the interval settles; then the mark is made with the new interval's estimate. An interval that ended
before the sample's instant settles before it.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field

from oracle.core import funding, surveillance
from oracle.core.funding import Funded, FundingState
from oracle.core.index import BPS
from oracle.core.mark import Marked, MarkInputs, MarkState
from oracle.core.maths import quantise, unscaled
from oracle.core.method import PerpMethod
from oracle.core.params import IndexInstrument, PerpInstrument
from oracle.core.premium import Sampled
from oracle.core.sources import SourceState
from oracle.core.status import USABLE
from oracle.core.step_index import IndexState, published
from oracle.core.surveillance import Watches
from oracle.core.types import (
    NANOS_PER_MS,
    PREMIUM_DECIMALS,
    AlertKind,
    Depth,
    FundingRate,
    MarkPrice,
    Nanos,
    PremiumSample,
    Reason,
    Value,
)
from oracle.core.windows import Ema

SETTLEMENTS_PER_BEAT_MAX = 100


class PerpState(Struct, array_like=True):
    """What a perpetual remembers."""

    seq: int = 0
    depth: Depth | None = None
    mark: MarkState = field(default_factory=MarkState)
    funding: FundingState = field(default_factory=FundingState)
    liquidations: list[Nanos] = field(default_factory=list)
    estimate: Funded | None = None


class Reference(Struct):
    """The index a perpetual stands on, as this beat left it, and the outside perpetuals beside it."""

    instrument: IndexInstrument
    index: IndexState
    outside: Sequence[tuple[str, float]] = ()


def start(perp: PerpState) -> None:
    """The process began: averages and books are forgotten, the samples of the running interval are not."""
    perp.depth = None
    perp.mark = MarkState()
    perp.liquidations = []


def step(
    instrument: PerpInstrument, method: PerpMethod, perp: PerpState, feed: SourceState, reference: Reference,
    at_ns: Nanos, second: bool, watches: Watches,
) -> list[Value]:  # fmt: skip
    """The values of a perpetual at a beat."""
    perp.seq += 1
    if not perp.funding.start_ns:
        funding.begin(perp.funding, at_ns, instrument.rules.funding)
    values: list[Value] = []
    instant_ns = funding.last_instant(at_ns, instrument.rules.funding)
    if instant_ns > perp.funding.instant_ns or at_ns >= _settles_ns(instrument, perp):
        values += _settlements(instrument, method, perp, reference, at_ns, instant_ns - 1)
        values += _samples(instrument, method, perp, reference, at_ns, instant_ns)
        values += _settlements(instrument, method, perp, reference, at_ns, at_ns)
    estimate = perp.estimate
    if values or estimate is None:
        estimate = perp.estimate = method.fund(perp.funding, perp.funding.instant_ns, instrument)
    if second or values:
        values.append(_funding_rate(instrument, perp, estimate, at_ns, None))
    mark = _mark(instrument, method, perp, feed, reference, estimate, at_ns)
    if second:
        values += _watch(instrument, perp, mark, estimate, reference, at_ns, watches)
    return [mark, *values]


def _feed_age_ns(perp: PerpState, feed: SourceState, at_ns: Nanos) -> int | None:
    """How long the platform has said nothing about its book; None: it has never spoken."""
    heard_ns = max(feed.stated_ns, perp.depth.recv_ns if perp.depth else 0)
    return max(0, at_ns - heard_ns) if heard_ns else None


def _samples(
    instrument: PerpInstrument,
    method: PerpMethod,
    perp: PerpState,
    reference: Reference,
    at_ns: Nanos,
    instant_ns: Nanos,
) -> list[Value]:
    """The premium sample of a grid instant that has passed since the last beat; a late or unfit one is missing.

    A living best bid and ask does not make the book behind them young, so the depth is judged by its own age.
    """
    if instant_ns <= perp.funding.instant_ns:
        return []
    perp.funding.instant_ns = instant_ns
    price = published(reference.index, reference.instrument)
    if at_ns - instant_ns > instrument.rules.funding.sample_late_ms_max * NANOS_PER_MS:
        return [_missing(instrument, perp, instant_ns, Reason.LATE)]
    if price is None or not reference.index.sampling_ok:
        return [_missing(instrument, perp, instant_ns, Reason.INDEX_UNUSABLE)]
    depth = perp.depth
    if depth is None or at_ns - depth.recv_ns > instrument.rules.mark.feed_stale_ms * NANOS_PER_MS:
        return [_missing(instrument, perp, instant_ns, Reason.ENGINE_FEED_STALE)]
    mark = None if perp.mark.units is None else unscaled(perp.mark.units, instrument.price_decimals)
    units = reference.index.units
    if perp.mark.oracle:
        units = quantise(perp.mark.oracle, reference.instrument.price_decimals)
        price = unscaled(units, reference.instrument.price_decimals)
    made = method.sample(depth, price, mark, instrument)
    return [_sampled(instrument, method, perp, instant_ns, made, units)]


def _missing(instrument: PerpInstrument, perp: PerpState, instant_ns: Nanos, reason: Reason) -> PremiumSample:
    return PremiumSample(instrument.id, perp.seq, instant_ns, None, None, None, None, (Reason.MISSING, reason))


def _sampled(
    instrument: PerpInstrument, method: PerpMethod, perp: PerpState, instant_ns: Nanos, made: Sampled,
    index: int | None,
) -> PremiumSample:  # fmt: skip
    """Count the sample, unless both sides were too thin, and publish it."""
    premium_e10 = None if made.premium is None else quantise(made.premium, PREMIUM_DECIMALS)
    if premium_e10 is not None:
        method.accrue(perp.funding, instant_ns, premium_e10, instrument)
    bid, ask = (
        None if p is None else quantise(p, instrument.price_decimals) for p in (made.impact_bid, made.impact_ask)
    )
    return PremiumSample(instrument.id, perp.seq, instant_ns, premium_e10, bid, ask, index, tuple(made.reasons))


def _settles_ns(instrument: PerpInstrument, perp: PerpState) -> Nanos:
    """When the running interval ends."""
    return perp.funding.start_ns + instrument.rules.funding.interval_ms * NANOS_PER_MS


def _settlements(
    instrument: PerpInstrument, method: PerpMethod, perp: PerpState, reference: Reference, at_ns: Nanos, until_ns: Nanos
) -> list[Value]:
    """Every interval that ended by `until_ns`, settled exactly once; an outage leaves low coverage."""
    rules, state = instrument.rules.funding, perp.funding
    interval_ns = rules.interval_ms * NANOS_PER_MS
    values: list[Value] = []
    while until_ns >= state.start_ns + interval_ns:
        settles_ns = state.start_ns + interval_ns
        if len(values) == SETTLEMENTS_PER_BEAT_MAX:
            funding.restart(state, funding.start_of_interval(until_ns, rules))
            break
        made = method.fund(state, settles_ns, instrument)
        late = at_ns - settles_ns > rules.sample_late_ms_max * NANOS_PER_MS
        if late:
            made.reasons.append(Reason.LATE)
        index = None if late else reference.index.units
        values.append(_funding_rate(instrument, perp, made, at_ns, index, settles_ns))
        state.settled_e8 = made.rate_e8
        funding.restart(state, settles_ns)
    return values


def _funding_rate(
    instrument: PerpInstrument, perp: PerpState, made: Funded, at_ns: Nanos, index: int | None, settled_ns: Nanos = 0
) -> FundingRate:
    start_ns = perp.funding.start_ns
    settles_ns = settled_ns or _settles_ns(instrument, perp)
    return FundingRate(
        instrument=instrument.id,
        seq=perp.seq,
        at_ns=at_ns,
        final=bool(settled_ns),
        rate_e8=made.rate_e8,
        interval_start_ns=start_ns,
        settles_ns=settles_ns,
        premium_mean_e10=made.premium_mean_e10,
        samples=made.samples,
        expected=made.expected,
        interest_e8=made.interest_e8,
        inner_binding=made.inner_binding,
        cap_binding=made.cap_binding,
        reasons=tuple(made.reasons),
        index=index,
    )


def _mark(
    instrument: PerpInstrument, method: PerpMethod, perp: PerpState, feed: SourceState, reference: Reference,
    estimate: Funded, at_ns: Nanos,
) -> MarkPrice:  # fmt: skip
    """The mark of this beat; none while there is no index."""
    index, rules = reference.index, instrument.rules
    feed_age_ns = _feed_age_ns(perp, feed, at_ns)
    price = published(index, reference.instrument)
    if price is None:
        perp.mark = MarkState(basis=Ema(), book=Ema())
        return _mark_price(instrument, perp, reference, None, at_ns, feed_age_ns)
    interval_ns = rules.funding.interval_ms * NANOS_PER_MS
    funding_left = (perp.funding.start_ns + interval_ns - at_ns) / interval_ns
    usable, rate, settled_e8 = index.rung.state in USABLE, estimate.rate_e8 / 1e8, perp.funding.settled_e8
    settled = None if settled_e8 is None else settled_e8 / 1e8
    now = MarkInputs(
        at_ns, price, usable, feed_age_ns, feed.bid, feed.ask, feed.last, rate, funding_left, settled, perp.depth,
        reference.outside, index.backing.closed,
    )  # fmt: skip
    made = method.mark(perp.mark, now, instrument)
    perp.mark.units = made.units
    bound = made.step_binding or made.band_binding
    perp.mark.bound_since_ns = (perp.mark.bound_since_ns or at_ns) if bound else 0
    if bound and at_ns - perp.mark.bound_since_ns >= rules.ladder.guard_flag_ms * NANOS_PER_MS:
        made.reasons.append(Reason.GUARD_PINNED)
    return _mark_price(instrument, perp, reference, made, at_ns, feed_age_ns)


def _mark_price(
    instrument: PerpInstrument, perp: PerpState, reference: Reference, made: Marked | None, at_ns: Nanos,
    feed_age_ns: int | None,
) -> MarkPrice:  # fmt: skip
    """The mark as it is published: its own reasons, then those of the index it stands on."""
    index, decimals = reference.index, instrument.price_decimals
    own = made.reasons if made else [Reason.INDEX_UNUSABLE]
    legs = (made.basis_leg, made.book_leg, made.funding_leg) if made else (None, None, None)
    basis, book, funded = [None if leg is None else quantise(leg, decimals) for leg in legs]
    return MarkPrice(  # in the order of the fields: by name costs four times as much
        instrument.id,
        perp.seq,
        at_ns,
        made.units if made else None,
        index.units,
        index.seq,
        basis,
        book,
        funded,
        made.step_binding if made else False,
        made.band_binding if made else False,
        index.rung.shown(),
        index.rung.since_ns,
        tuple(dict.fromkeys([*own, *index.reasons])),
        index.liquidation_ok and made is not None,
        None if feed_age_ns is None else feed_age_ns // NANOS_PER_MS,
        (at_ns - index.input_ns) // NANOS_PER_MS if made else None,
    )


def _watch(
    instrument: PerpInstrument, perp: PerpState, mark: MarkPrice, estimate: Funded, reference: Reference,
    at_ns: Nanos, watches: Watches,
) -> list[Value]:  # fmt: skip
    """What surveillance looks at each second."""
    rules, ladder, target = instrument.rules.surveillance, instrument.rules.ladder, instrument.id
    price = published(reference.index, reference.instrument)
    distance = 0.0
    if mark.price is not None and price is not None:
        distance = (unscaled(mark.price, instrument.price_decimals) / price - 1.0) * BPS
    bound_ns = at_ns - perp.mark.bound_since_ns if perp.mark.bound_since_ns else 0
    surveillance.keep_recent(perp.liquidations, at_ns, rules.liquidations_ms)
    count = len(perp.liquidations)
    looks = (
        (AlertKind.INDEX_MARK_DIVERGENCE, abs(distance) > rules.divergence_bps, rules.divergence_ms, distance, "bps"),
        (AlertKind.CLAMP_BINDING, perp.mark.bound_since_ns > 0, ladder.guard_alert_ms, bound_ns / NANOS_PER_MS, "ms"),
        (AlertKind.FUNDING_AT_CAP, estimate.cap_binding, 0, estimate.rate_e8 / 1e8, "rate per interval"),
        (AlertKind.LIQUIDATION_CLUSTER, count >= rules.liquidations_min, 0, float(count), "liquidations"),
    )
    found: list[Value] = []
    for kind, holds, after_ms, value, unit in looks:
        found += watches.see(kind, target, holds, after_ms, at_ns, value, unit)
    return found
