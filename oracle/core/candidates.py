"""A source as an index meets it: examined alone, in the index's currency, and still the asset it is taken for.

What every methodology shares before its own rules begin: whether a source has a price at all (rules S2, S4, S5, S7 by
`core.sources`), what its currency is worth (S3), whether its symbol means the asset now, and whether its price is of
another asset altogether (S9).
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import NamedTuple

from oracle.core.index import Backing, Candidate, Memory, group_prices
from oracle.core.maths import median_sorted
from oracle.core.method import IndexMethod
from oracle.core.params import IndexInstrument, Role, World
from oracle.core.sources import Examined, SourceState, bounds, examine, examine_reference
from oracle.core.status import USABLE
from oracle.core.surveillance import Watches
from oracle.core.types import NANOS_PER_MS, Nanos, State, Verdict

IDENTITY_GROUPS_MIN = 3  # fewer cannot say which of them is the other asset
_UNKNOWN = Examined(0.0, 0, None, False, 0, -1)


class Conversion(NamedTuple):
    """Another index of ours as it stands: its value (None: there is none), its state, when it was made, its backing."""

    value: float | None
    state: State
    priced_ns: Nanos
    backing: Backing = Backing()


class Facts(NamedTuple):
    """What a beat is judged with, besides the index's own memory. `heard`: which sources it changed; None: any."""

    at_ns: Nanos
    clock_offset_ns: int
    sources: list[SourceState]
    conversions: dict[str, Conversion]
    watches: Watches
    heard: Set[int] | None = None
    legs: Sequence[Conversion] = ()


class Plan:
    """What never changes about an index: who votes, in which group, in which currency, by which method.

    `examined` (voters first) and `candidates` are no memory: they save doing again what would come out the same.
    """

    def __init__(self, world: World, instrument: IndexInstrument, method: IndexMethod) -> None:
        self.instrument = instrument
        self.method = method
        self.sources = [world.sources[i] for i in instrument.sources]
        self.perps = [world.sources[i] for i in instrument.perp_sources]
        self.watched = (*instrument.sources, *instrument.perp_sources)
        self.names = [source.name for source in self.sources]
        self.within = bounds(instrument.rules.source)
        self.identity_ratio_max = instrument.rules.source.identity_ratio_max
        self.examined = [_UNKNOWN] * len(self.watched)
        self.candidates = [
            Candidate(n, s.group, 0.0, 0, None, False, 0.0, 0.0, s.venue, s.ratio) for n, s in enumerate(self.sources)
        ]
        both = [*self.sources, *self.perps]
        self.references = [source if source.role is Role.REFERENCE else None for source in both]
        own = instrument.quote
        self.foreign = [(n, s.quote, s.ratio) for n, s in enumerate(self.sources) if s.quote != own or s.ratio != 1.0]
        self.dated = [
            (n, s.valid_from_ns, s.valid_to_ns) for n, s in enumerate(both) if s.valid_from_ns or s.valid_to_ns
        ]
        self.conversions = sorted({s.quote for s in both if s.quote != own})
        self.outside: list[tuple[str, float]] = []  # the fresh outside perpetuals of this beat, each with its venue


def candidates(plan: Plan, facts: Facts, rates: dict[str, float], memory: Memory, value: float) -> list[Candidate]:
    """Every source, examined alone and converted (S1 to S5, S7, S9), with the verdict it has before the vote.

    `value` is the index last published, unrounded (0.0: none): a price in its neighbourhood is of the right asset.
    """
    _examine(plan, facts)
    at_ns, found, examined = facts.at_ns, plan.candidates, plan.examined
    for c, seen in zip(found, examined, strict=False):  # the perpetuals at the end are no candidates
        c.verdict = seen.verdict
        c.age_ns = at_ns - seen.since_ns if at_ns > seen.since_ns else 0
    for place, quote, ratio in plan.foreign:
        c = found[place]
        c.rate = rates[quote] * ratio if quote in rates else ratio
        if (price := examined[place].price) > 0.0:
            c.price = price * c.rate
            if c.price == 0.0:
                c.verdict = Verdict.NO_CONVERSION
    for place, from_ns, to_ns in plan.dated:
        if place < len(found):
            c = found[place]
            if not _listed(from_ns, to_ns, at_ns):
                c.price, c.verdict = 0.0, Verdict.NOT_LISTED
            elif c.verdict is None and c.price == 0.0:  # listed since it was last heard of
                c.price = examined[place].price * c.rate
    _quarantine(plan, found, memory, value)
    return found


def legs(plan: Plan, facts: Facts) -> list[Candidate]:
    """The indices that this one is made of, as candidates: each to its power, without a price while it is unusable.

    The age of a leg is the time since it was calculated: legs of one beat have none.
    """
    found = []
    for place, (leg, now) in enumerate(zip(plan.instrument.legs, facts.legs, strict=True)):
        usable = now.state in USABLE and now.value is not None and now.value > 0.0
        value = (1.0 / now.value if leg.inverse else now.value) if usable and now.value is not None else 0.0
        against = (Verdict.CLOSED if now.backing.closed else None) if usable else Verdict.NO_PRICE
        age_ns = facts.at_ns - now.priced_ns
        found.append(Candidate(place, leg.index, value, age_ns, against, True, 0.0, 0.0, leg.index, leg=now.backing))
    return found


def rates_of(plan: Plan, facts: Facts) -> dict[str, float]:
    """What a price in each foreign currency is multiplied by."""
    age_ms_max = plan.instrument.rules.source.conversion_age_ms_max
    return {quote: _rate(facts.conversions[quote], age_ms_max, facts.at_ns) for quote in plan.conversions}


def perp_prices(plan: Plan, rates: dict[str, float], at_ns: Nanos) -> list[float]:
    """The converted prices of the outside perpetuals; 0.0 for one that is not fresh and valid."""
    own, first = plan.instrument.quote, len(plan.sources)
    unlisted = {place for place, from_ns, to_ns in plan.dated if not _listed(from_ns, to_ns, at_ns)}
    found = []
    for place, (source, seen) in enumerate(zip(plan.perps, plan.examined[first:], strict=True), first):
        price = seen.price * source.ratio if seen.verdict is None and place not in unlisted else 0.0
        found.append(price if source.quote == own else price * rates[source.quote])
    plan.outside = [(source.venue, price) for source, price in zip(plan.perps, found, strict=True) if price > 0.0]
    return found


def _examine(plan: Plan, facts: Facts) -> None:
    """Look again at every source that was heard of, or that time alone has changed."""
    at_ns, heard, examined = facts.at_ns, facts.heard, plan.examined
    for place, source in enumerate(plan.watched):
        if heard is None or source in heard or at_ns > examined[place].until_ns:
            memory, reference = facts.sources[source], plan.references[place]
            if reference is None:
                seen = examine(memory, plan.within, at_ns)
            else:
                seen = examine_reference(memory, reference, at_ns)
            examined[place] = seen
            if place < len(plan.candidates):
                c = plan.candidates[place]
                c.price, c.traded, c.bid, c.ask, c.known = seen.price, seen.traded, memory.bid, memory.ask, memory
                if reference is not None:
                    c.bid = c.ask = seen.price  # a stated rate is both of its sides


def _rate(conversion: Conversion, age_ms_max: int, at_ns: Nanos) -> float:
    """What a price in that currency is multiplied by; 0.0 when the conversion is not fit to convert (S3)."""
    fit = conversion.state in USABLE and at_ns - conversion.priced_ns <= age_ms_max * NANOS_PER_MS
    return conversion.value if fit and conversion.value is not None else 0.0


def _listed(from_ns: Nanos, to_ns: Nanos, at_ns: Nanos) -> bool:
    return from_ns <= at_ns and (not to_ns or at_ns < to_ns)


def _quarantine(plan: Plan, found: list[Candidate], memory: Memory, value: float) -> None:
    """Set aside whoever's price is of another asset: many times, or a small share of, what the others say (S9).

    It stays aside until an operator includes it: a symbol that changed its meaning does not change it back by itself.
    An index judges for itself alone: what one takes for another asset is no verdict on the source elsewhere.
    """
    for place in memory.quarantined:
        c = found[place]
        if c.verdict is None or c.verdict is Verdict.CLOSED:
            c.price, c.verdict = 0.0, Verdict.QUARANTINED
    most = plan.identity_ratio_max
    low, high = value / most, value * most
    suspects = [c for c in found if c.verdict is None and not low <= c.price <= high]
    if not suspects:
        return
    ordered = group_prices([c for c in found if c.verdict is None])
    if len(ordered) < IDENTITY_GROUPS_MIN:
        return
    centre = median_sorted(ordered)
    for c in suspects:
        if not centre / most <= c.price <= centre * most:
            memory.quarantined.append(c.place)
            c.price, c.verdict = 0.0, Verdict.QUARANTINED
