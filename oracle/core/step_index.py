"""One index at one beat: sources are examined, the method votes, the ladder moves, the value of the rung is published.

What each rung publishes (HK-1 section 4): NORMAL and DEGRADED the vote; TWO_GROUPS the vote, moving no faster than the
slew; PERP_IMPLIED the last good value times the median return of outside perpetuals, bounded; LAST_GOOD the last good
value; HALTED and WARMING nothing.
"""

from __future__ import annotations

from collections.abc import Set
from math import isfinite
from typing import NamedTuple

from msgspec import Struct, field

from oracle.core.index import BPS, Candidate, Cohort, Member
from oracle.core.maths import bps_e2, clamp, median, quantise, unscaled
from oracle.core.method import Method
from oracle.core.params import IndexInstrument, Rules, World
from oracle.core.sources import Examined, SourceState, bounds, examine
from oracle.core.status import FALLBACKS, USABLE, Called, Conditions, Rung, advance, call, enter, reasons
from oracle.core.surveillance import Watches, watch_sources
from oracle.core.types import (
    NANOS_PER_MS,
    NANOS_PER_S,
    Action,
    Alert,
    AlertKind,
    IndexValue,
    Nanos,
    Quote,
    Reason,
    State,
    Value,
    Verdict,
    VerdictChange,
)
from oracle.core.windows import Extremes


class IndexState(Struct, array_like=True):
    """What an index remembers. `value` is the last published one, unrounded; `priced_ns` when it was computed.

    `input_ns` is when the oldest input of the published value was said, `good_input_ns` that of the last good one.
    """

    members: list[Member]
    rung: Rung = field(default_factory=Rung)
    seq: int = 0
    units: int | None = None
    value: float = 0.0
    priced_ns: Nanos = 0
    last_good: int | None = None
    last_good_value: float = 0.0
    last_good_ns: Nanos = 0
    perps_then: list[float] = field(default_factory=list)
    extremes: Extremes = field(default_factory=Extremes)
    jumped: bool = False
    calm: list[float] = field(default_factory=list)
    limited_since_ns: Nanos = 0
    liquidation_ok: bool = False
    sampling_ok: bool = False
    reasons: list[Reason] = field(default_factory=list)
    input_ns: Nanos = 0
    good_input_ns: Nanos = 0


CARRIED = (State.PERP_IMPLIED, State.LAST_GOOD)  # rungs whose value no source says now
_UNKNOWN = Examined(0.0, 0, None, False, 0, -1)


class Conversion(NamedTuple):
    """Our own published index for a quote currency: its value (None: there is none), its state and when it was made."""

    value: float | None
    state: State
    priced_ns: Nanos


class Facts(NamedTuple):
    """What a beat is judged with, besides the index's own memory. `heard`: which sources it changed; None: any."""

    at_ns: Nanos
    clock_offset_ns: int
    sources: list[SourceState]
    conversions: dict[str, Conversion]
    watches: Watches
    heard: Set[int] | None = None


class Plan:
    """What never changes about an index: who votes, in which group, in which currency, by which method.

    `examined` (voters first) and `candidates` are no memory: they save doing again what would come out the same.
    """

    def __init__(self, world: World, instrument: IndexInstrument, method: Method) -> None:
        self.instrument = instrument
        self.method = method
        self.sources = [world.sources[i] for i in instrument.sources]
        self.perps = [world.sources[i] for i in instrument.perp_sources]
        self.watched = (*instrument.sources, *instrument.perp_sources)
        self.names = [source.name for source in self.sources]
        self.within = bounds(instrument.rules.source)
        self.examined = [_UNKNOWN] * len(self.watched)
        self.candidates = [Candidate(n, s.group, 0.0, 0, None, False, 0.0, 0.0) for n, s in enumerate(self.sources)]
        self.foreign = [(n, s.quote) for n, s in enumerate(self.sources) if s.quote != instrument.quote]
        self.conversions = sorted({s.quote for s in (*self.sources, *self.perps) if s.quote != instrument.quote})


def new_index(instrument: IndexInstrument) -> IndexState:
    """An index that has published nothing."""
    return IndexState([Member() for _ in instrument.sources], perps_then=[0.0] * len(instrument.perp_sources))


def start(index: IndexState) -> None:
    """The process began: keep what was published, forget what was known."""
    index.members = [Member() for _ in index.members]
    index.units, index.extremes, index.jumped, index.calm = None, Extremes(), False, []
    index.limited_since_ns, index.liquidation_ok, index.sampling_ok = 0, False, False


def order(index: IndexState, action: Action, at_ns: Nanos) -> None:
    """An order concerning this instrument. Orders change states; none of them sets a value."""
    rung = index.rung
    if action is Action.HALT:
        rung.ordered_halt = True
    elif action is Action.RESUME:
        rung.ordered_halt = False
        if rung.state is State.HALTED:
            enter(rung, State.WARMING, at_ns, [])
    elif action is Action.ACKNOWLEDGE:
        rung.acknowledged = True
    elif action is Action.SUSPEND:
        rung.suspended = True
    elif action is Action.UNSUSPEND and rung.suspended:
        rung.suspended = False
        if rung.state is not State.HALTED:
            enter(rung, State.WARMING, at_ns, [])


def published(index: IndexState, instrument: IndexInstrument) -> float | None:
    """The published value as later rules compute with it: the digits the public sees, not more."""
    return None if index.units is None else unscaled(index.units, instrument.price_decimals)


def step(plan: Plan, index: IndexState, facts: Facts, second: bool) -> tuple[list[Value], tuple[Quote, ...]]:
    """The values of an index at a beat, and what each of its sources counted for. `second`: a new one began."""
    at_ns, rules = facts.at_ns, plan.instrument.rules
    _examine(plan, facts)
    rates = _rates(plan, facts)
    candidates = _candidates(plan, facts, rates)
    cohort = plan.method.index(candidates, index.members, rules, at_ns)
    perps = _perp_prices(plan, rates)
    called, before = _called(plan, index, facts, cohort, perps), index.rung.shown()
    advance(index.rung, called, at_ns, rules.ladder)
    found = reasons(index.rung, called)
    value = _price(plan, index, cohort, perps, found, at_ns)
    index.limited_since_ns = (index.limited_since_ns or at_ns) if Reason.RATE_LIMITED in found else 0
    _publishable(plan, index, cohort, perps, value, at_ns)
    _watch_jump(index, rules, at_ns, second, found)
    values: list[Value] = [_made(plan, index, cohort, found, at_ns)]
    quotes = _quotes(plan, index, candidates, values, at_ns)
    if (now := index.rung.shown()) is not before:
        rank = float(list(State).index(now))
        detail = f"{before} to {now}: {' '.join(found)}"
        values.append(Alert(AlertKind.STATE, plan.instrument.id, now is not State.NORMAL, at_ns, at_ns, rank, detail))
    if second:
        values += _watch(plan, index, facts, candidates)
    return values, quotes


def _examine(plan: Plan, facts: Facts) -> None:
    """Look again at every source that was heard of, or that time alone has changed."""
    at_ns, heard, examined = facts.at_ns, facts.heard, plan.examined
    for place, source in enumerate(plan.watched):
        if heard is None or source in heard or at_ns > examined[place].until_ns:
            memory = facts.sources[source]
            seen = examined[place] = examine(memory, plan.within, at_ns)
            if place < len(plan.candidates):
                c = plan.candidates[place]
                c.price, c.traded, c.bid, c.ask = seen.price, seen.traded, memory.bid, memory.ask


def _candidates(plan: Plan, facts: Facts, rates: dict[str, float]) -> list[Candidate]:
    """Every source, examined alone and converted (S1 to S5, S7), with the verdict it has before it meets the others."""
    at_ns, candidates, examined = facts.at_ns, plan.candidates, plan.examined
    for c, seen in zip(candidates, examined, strict=False):  # the perpetuals at the end are no candidates
        c.verdict = seen.verdict
        c.age_ns = at_ns - seen.since_ns if at_ns > seen.since_ns else 0
    for place, quote in plan.foreign:
        if (price := examined[place].price) > 0.0:
            c = candidates[place]
            c.price = price * rates[quote]
            if c.price == 0.0:
                c.verdict = Verdict.NO_CONVERSION
    return candidates


def _rates(plan: Plan, facts: Facts) -> dict[str, float]:
    """What a price in each foreign currency is multiplied by."""
    age_ms_max = plan.instrument.rules.source.conversion_age_ms_max
    return {quote: _rate(facts.conversions[quote], age_ms_max, facts.at_ns) for quote in plan.conversions}


def _rate(conversion: Conversion, age_ms_max: int, at_ns: Nanos) -> float:
    """What a price in that currency is multiplied by; 0.0 when the conversion is not fit to convert (S3)."""
    fit = conversion.state in USABLE and at_ns - conversion.priced_ns <= age_ms_max * NANOS_PER_MS
    return conversion.value if fit and conversion.value is not None else 0.0


def _perp_prices(plan: Plan, rates: dict[str, float]) -> list[float]:
    """The converted prices of the outside perpetuals; 0.0 for one that is not fresh and valid."""
    own = plan.instrument.quote
    found = []
    for source, seen in zip(plan.perps, plan.examined[len(plan.sources) :], strict=True):
        price = seen.price if seen.verdict is None else 0.0
        found.append(price if source.quote == own else price * rates[source.quote])
    return found


def _called(plan: Plan, index: IndexState, facts: Facts, cohort: Cohort, perps: list[float]) -> Called:
    """Tell the ladder what it sees."""
    groups, ladder = cohort.groups, plan.instrument.rules.ladder
    contained = not groups or (isfinite(cohort.price) and 0.0 < groups[0] <= cohort.price <= groups[-1])
    visible = not groups or cohort.price >= unscaled(1, plan.instrument.price_decimals)
    fresh = [p for p, then in zip(perps, index.perps_then, strict=True) if p > 0.0 and then > 0.0]
    now = Conditions(
        facts.at_ns,
        len(groups),
        cohort.n_anchored,
        cohort.confidence,
        cohort.spread,
        cohort.cohort_split,
        not [quote for quote in plan.conversions if facts.conversions[quote].state is not State.NORMAL],
        facts.clock_offset_ns,
        len(fresh),
        cohort.price,
        index.last_good_value,
        not (contained and visible),
    )
    return call(index.rung, now, ladder)


def _price(
    plan: Plan, index: IndexState, cohort: Cohort, perps: list[float], found: list[Reason], at_ns: Nanos
) -> float | None:
    """The value of the rung the index stands on; None: nothing is published."""
    rung, rules = index.rung.state, plan.instrument.rules.ladder
    if rung in USABLE:
        return cohort.price
    if rung not in FALLBACKS:
        return None
    if rung is State.TWO_GROUPS:
        seconds = (at_ns - index.priced_ns) / NANOS_PER_S
        reach = index.value * rules.slew_bps_per_s * seconds / BPS
        value = clamp(cohort.price, index.value - reach, index.value + reach)
        if value != cohort.price:
            found.append(Reason.RATE_LIMITED)
        return value
    returns = [p / then - 1.0 for p, then in zip(perps, index.perps_then, strict=True) if p > 0.0 and then > 0.0]
    if rung is State.LAST_GOOD or len(returns) < rules.perp_markets_min:
        return index.last_good_value
    seconds = (at_ns - index.last_good_ns) / NANOS_PER_S
    bound = min(rules.perp_drift_bps_per_s * seconds, rules.perp_drift_bps_max) / BPS
    implied = median(returns)
    if abs(implied) > bound:
        found.append(Reason.RATE_LIMITED)
    return index.last_good_value * (1.0 + clamp(implied, -bound, bound))


def _publishable(
    plan: Plan, index: IndexState, cohort: Cohort, perps: list[float], value: float | None, at_ns: Nanos
) -> None:
    """Take the value, and remember it as good if its rung is."""
    if value is None:
        index.units = None
        return
    index.units, index.value, index.priced_ns = quantise(value, plan.instrument.price_decimals), value, at_ns
    index.input_ns = at_ns - cohort.oldest_ns
    if index.rung.state in USABLE:
        index.last_good, index.last_good_value, index.last_good_ns = index.units, value, at_ns
        index.perps_then, index.good_input_ns = perps, index.input_ns
    elif index.rung.state is not State.TWO_GROUPS:
        index.input_ns = index.good_input_ns


def _watch_jump(index: IndexState, rules: Rules, at_ns: Nanos, second: bool, found: list[Reason]) -> None:
    """A move within the window stops liquidation until whole-second values agree again (I8). Nothing is smoothed."""
    if index.units is None:
        index.extremes, index.jumped, index.calm = Extremes(), False, []
        return
    index.extremes.add(at_ns, index.value, rules.index.jump_window_ms * NANOS_PER_MS)
    low, high = index.extremes.range()
    if (high - low) * BPS > rules.index.jump_bps * low:
        index.jumped, index.calm = True, []
    elif index.jumped and second:
        index.calm = [*index.calm, index.value][-rules.index.jump_calm_seconds :]
        agree = (max(index.calm) - min(index.calm)) * BPS <= rules.index.jump_calm_bps * min(index.calm)
        if len(index.calm) == rules.index.jump_calm_seconds and agree:
            index.jumped, index.calm = False, []
    if index.jumped:
        found.append(Reason.JUMP)


def _made(plan: Plan, index: IndexState, cohort: Cohort, found: list[Reason], at_ns: Nanos) -> IndexValue:
    """The value as it is published, with everything a reader needs to judge it."""
    rules, shown = plan.instrument.rules.ladder, index.rung.shown()
    pinned = index.limited_since_ns and at_ns - index.limited_since_ns >= rules.guard_flag_ms * NANOS_PER_MS
    if pinned:
        found.append(Reason.GUARD_PINNED)
    trusted = cohort.confidence * BPS <= rules.confidence_liquidation_bps_max and not cohort.cohort_split
    index.sampling_ok = shown in USABLE
    index.liquidation_ok = shown in USABLE and trusted and not index.jumped
    index.seq += 1
    index.reasons = list(dict.fromkeys(found))
    voted = bool(cohort.groups)
    oldest_ms = None if index.units is None else (at_ns - index.input_ns) // NANOS_PER_MS
    return IndexValue(  # in the order of the fields: by name costs four times as much
        plan.instrument.id,
        index.seq,
        at_ns,
        index.units,
        index.last_good,
        index.last_good_ns,
        index.units is not None and index.rung.state in CARRIED,
        shown,
        index.rung.since_ns,
        tuple(index.reasons),
        index.liquidation_ok,
        len(cohort.groups),
        cohort.breakdown_groups,
        bps_e2(cohort.confidence) if voted else None,
        bps_e2(cohort.gap) if voted else None,
        oldest_ms,
    )


def _watch(plan: Plan, index: IndexState, facts: Facts, candidates: list[Candidate]) -> list[Alert]:
    """What surveillance looks at each second: a rate limit that binds, and sources that stand off the value."""
    name, rules, at_ns, since_ns = plan.instrument.id, plan.instrument.rules, facts.at_ns, index.limited_since_ns
    bound_ms = (at_ns - since_ns) / NANOS_PER_MS if since_ns else 0.0
    found = facts.watches.see(
        AlertKind.CLAMP_BINDING, name, since_ns > 0, rules.ladder.guard_alert_ms, at_ns, bound_ms, "ms"
    )
    if index.units is not None:
        found += watch_sources(facts.watches, plan.names, candidates, index.value, rules.surveillance, name, at_ns)
    return found


def _quotes(
    plan: Plan, index: IndexState, candidates: list[Candidate], values: list[Value], at_ns: Nanos
) -> tuple[Quote, ...]:
    """What each source counted for; those that began to count for something else are added to the values."""
    quotes = []
    for source, c, member in zip(plan.watched, candidates, index.members, strict=False):
        verdict = c.verdict
        if verdict is not member.verdict:
            assert verdict is not None, c
            values.append(VerdictChange(plan.instrument.id, source, member.verdict, verdict, at_ns))
            member.verdict = verdict
        quotes.append(Quote(source, c.price, c.age_ns // NANOS_PER_MS, member.verdict))
    return tuple(quotes)
