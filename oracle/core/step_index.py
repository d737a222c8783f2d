"""One index at one beat: sources are examined, the method votes, the ladder moves, the value of the rung is published.

What each rung publishes (HK-1, States): NORMAL and DEGRADED the vote; TWO_GROUPS the vote, moving no faster than the
slew; PERP_IMPLIED the last good value times the median return of outside perpetuals, bounded; LAST_GOOD the last good
value; HALTED and WARMING nothing.
"""

from __future__ import annotations

from math import isfinite

from msgspec import Struct, field

from oracle.core.candidates import Facts, Plan, candidates, legs, perp_prices, rates_of
from oracle.core.index import BPS, Backing, Candidate, Cohort, Member, Memory
from oracle.core.maths import bps_e2, clamp, median, quantise, unscaled
from oracle.core.params import IndexInstrument, Rules
from oracle.core.status import FALLBACKS, USABLE, Called, Conditions, Rung, advance, call, enter, reasons
from oracle.core.surveillance import watch_sources
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
    VerdictChange,
)
from oracle.core.windows import Extremes


class IndexState(Struct, array_like=True):
    """What an index remembers. `value` is the last published one, unrounded; `priced_ns` when it was computed.

    `input_ns` is when the oldest input of the published value was said, `good_input_ns` that of the last good one.
    """

    memory: Memory
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
    backing: Backing = Backing()


CARRIED = (State.PERP_IMPLIED, State.LAST_GOOD)  # rungs whose value no source says now


def new_index(instrument: IndexInstrument) -> IndexState:
    """An index that has published nothing."""
    members = [Member() for _ in instrument.legs or instrument.sources]
    return IndexState(Memory(members), perps_then=[0.0] * len(instrument.perp_sources))


def start(index: IndexState) -> None:
    """The process began: keep what was published, forget what was known."""
    index.memory = Memory([Member() for _ in index.memory.members])
    index.units, index.extremes, index.jumped, index.calm = None, Extremes(), False, []
    index.limited_since_ns, index.liquidation_ok, index.sampling_ok = 0, False, False


def readmit(index: IndexState, instrument: IndexInstrument, source: int) -> None:
    """An operator has looked at a source: it is no longer taken for another asset (S9)."""
    if source in instrument.sources:
        place = instrument.sources.index(source)
        index.memory.quarantined = [other for other in index.memory.quarantined if other != place]


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
    rates = rates_of(plan, facts)
    found_sources = (
        legs(plan, facts) if plan.instrument.legs else candidates(plan, facts, rates, index.memory, index.value)
    )
    cohort = plan.method.index(found_sources, index.memory, rules, at_ns)
    perps = perp_prices(plan, rates, at_ns)
    called, before = _called(plan, index, facts, cohort, perps), index.rung.shown()
    advance(index.rung, called, at_ns, rules.ladder)
    found = [*reasons(index.rung, called), *cohort.reasons]
    index.backing = Backing(len(cohort.groups), cohort.breakdown_groups, cohort.confidence, cohort.closed)
    value = _price(plan, index, cohort, perps, found, at_ns)
    index.limited_since_ns = (index.limited_since_ns or at_ns) if Reason.RATE_LIMITED in found else 0
    _publishable(plan, index, cohort, perps, value, at_ns)
    _watch_jump(index, rules, at_ns, second, found)
    values: list[Value] = [_made(plan, index, cohort, found, at_ns)]
    quotes = _quotes(plan, index, found_sources, values, at_ns)
    if (now := index.rung.shown()) is not before:
        rank = float(list(State).index(now))
        detail = f"{before} to {now}: {' '.join(found)}"
        values.append(Alert(AlertKind.STATE, plan.instrument.id, now is not State.NORMAL, at_ns, at_ns, rank, detail))
    if second:
        values += _watch(plan, index, facts, found_sources)
    return values, quotes


def _called(plan: Plan, index: IndexState, facts: Facts, cohort: Cohort, perps: list[float]) -> Called:
    """Tell the ladder what it sees."""
    groups, ladder = cohort.groups, plan.instrument.rules.ladder
    contained = not groups or (isfinite(cohort.price) and 0.0 < cohort.low <= cohort.price <= cohort.high)
    visible = not groups or cohort.price >= unscaled(1, plan.instrument.price_decimals)
    fresh = [p for p, then in zip(perps, index.perps_then, strict=True) if p > 0.0 and then > 0.0]
    now = Conditions(
        facts.at_ns,
        len(groups),
        cohort.n_anchored,
        cohort.confidence,
        cohort.spread,
        cohort.cohort_split,
        not [quote for quote in plan.conversions if facts.conversions[quote].state is not State.NORMAL]
        and not [leg for leg in facts.legs if leg.state is not State.NORMAL],
        facts.clock_offset_ns,
        len(fresh),
        cohort.price,
        index.last_good_value,
        not (contained and visible),
        cohort.closed,
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
    if index.units is not None and not plan.instrument.legs:
        found += watch_sources(facts.watches, plan.names, candidates, index.value, rules.surveillance, name, at_ns)
    return found


def _quotes(
    plan: Plan, index: IndexState, candidates: list[Candidate], values: list[Value], at_ns: Nanos
) -> tuple[Quote, ...]:
    """What each source counted for; those that began to count for something else are added to the values."""
    quotes = []
    for source, c, member in zip(plan.watched, candidates, index.memory.members, strict=False):
        verdict = c.verdict
        if verdict is not member.verdict:
            assert verdict is not None, c
            values.append(VerdictChange(plan.instrument.id, source, member.verdict, verdict, at_ns))
            member.verdict = verdict
        quotes.append(Quote(source, c.price, c.age_ns // NANOS_PER_MS, member.verdict))
    return tuple(quotes)
