"""The ladder: eight states as a table, drawn here once, moved by what the conditions call for (HK-1, States).

Down at once, up only after a dwell time without a break. A state machine is a table: `LADDER` has a row for every
(state, call) pair, and the methodology prints it. SUSPENDED lies over the ladder: the platform's order shows on top
while the index goes on underneath, for information.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct, field

from oracle.core.params import LadderRules
from oracle.core.types import NANOS_PER_MS, Nanos, Reason, State

FALLBACKS = (State.TWO_GROUPS, State.PERP_IMPLIED, State.LAST_GOOD)
USABLE = (State.NORMAL, State.DEGRADED)
CALLS = (State.NORMAL, State.DEGRADED, *FALLBACKS, State.HALTED)
RUNGS = (*CALLS, State.WARMING)


class Move(NamedTuple):
    """Where a call leads, and the parameter that says after how long (None: at once)."""

    target: State
    dwell: str | None


def _ladder() -> dict[tuple[State, State], Move]:
    table: dict[tuple[State, State], Move] = {}
    for place, state in enumerate(CALLS[:-1]):
        for rank, call in enumerate(CALLS):
            table[state, call] = Move(call, None) if rank >= place else _up(state, call)
    for call in CALLS:
        ready = call in USABLE
        table[State.HALTED, call] = Move(State.WARMING, "halt_up_ms") if ready else Move(State.HALTED, None)
        table[State.WARMING, call] = Move(State.WARMING, None)
    table[State.WARMING, State.NORMAL] = Move(State.NORMAL, "warm_ms")
    table[State.WARMING, State.DEGRADED] = Move(State.DEGRADED, "warm_degraded_ms")
    table[State.WARMING, State.HALTED] = Move(State.HALTED, None)
    return table


def _up(state: State, call: State) -> Move:
    if state is State.DEGRADED:
        return Move(State.NORMAL, "normal_up_ms")
    return Move(State.DEGRADED if call in USABLE else call, "fallback_up_ms")


LADDER = _ladder()


class Rung(Struct, array_like=True):
    """Where an index stands on the ladder, and the clocks that run."""

    state: State = State.WARMING
    since_ns: Nanos = 0
    target: State = State.WARMING
    target_since_ns: Nanos = 0
    fallback_since_ns: Nanos = 0
    dispersed_since_ns: Nanos = 0
    ordered_halt: bool = False
    acknowledged: bool = False
    suspended: bool = False
    causes: list[Reason] = field(default_factory=list)

    def shown(self) -> State:
        """The state that is published: SUSPENDED on top, unless there is no value to suspend."""
        if self.suspended and self.state not in (State.HALTED, State.WARMING):
            return State.SUSPENDED
        return self.state


class Conditions(Struct):
    """What the ladder is told at a beat. Shares are of one (0.0025 is 25 bps)."""

    at_ns: Nanos
    n_groups: int
    n_anchored: int
    confidence: float
    spread: float
    cohort_split: bool
    conversions_normal: bool
    clock_offset_ns: int
    perps_fresh: int
    price: float
    last_good: float
    invariant_broke: bool
    closed: bool = False


class Called(Struct):
    """The state the conditions call for, and why it is not a better one."""

    state: State
    reasons: list[Reason] = field(default_factory=list)


def call(rung: Rung, now: Conditions, rules: LadderRules) -> Called:
    """What the conditions call for, seen from where the index stands."""
    offset_ms = abs(now.clock_offset_ns) / NANOS_PER_MS
    if rung.ordered_halt:
        return Called(State.HALTED, [Reason.OPERATOR])
    if now.invariant_broke:
        return Called(State.HALTED, [Reason.INVARIANT])
    if offset_ms > rules.clock_degraded_ms_max:
        return Called(State.HALTED, [Reason.CLOCK_OFFSET])
    if rung.fallback_since_ns and now.at_ns - rung.fallback_since_ns > rules.fallback_ms_max * NANOS_PER_MS:
        return Called(State.HALTED, [Reason.FALLBACK_TOO_LONG])
    if rung.state is State.HALTED:
        return _call_from_halt(rung, now, rules)
    called = _call_by_groups(rung, now, rules)
    if called.state in USABLE:
        _degrade(called, now, rules, offset_ms)
    if rung.state is State.WARMING and now.n_groups < rules.groups_normal_min:
        return Called(State.LAST_GOOD, [Reason.FEW_GROUPS])
    return called


def _call_by_groups(rung: Rung, now: Conditions, rules: LadderRules) -> Called:
    agree = now.spread * 10_000.0 <= rules.two_groups_bps
    implied = State.PERP_IMPLIED if now.perps_fresh >= rules.perp_markets_min else State.LAST_GOOD
    reason = Reason.PERP_IMPLIED if implied is State.PERP_IMPLIED else Reason.LAST_GOOD
    if now.confidence * 10_000.0 <= rules.confidence_degraded_bps_max:
        rung.dispersed_since_ns = 0
    elif not rung.dispersed_since_ns:
        rung.dispersed_since_ns = now.at_ns
    if now.n_groups >= rules.groups_degraded_min and (now.n_groups > 2 or agree):
        since_ns = rung.dispersed_since_ns
        if since_ns and now.at_ns - since_ns >= rules.dispersion_ms * NANOS_PER_MS:
            return Called(implied, [Reason.DISPERSION, reason])
        return Called(State.NORMAL)
    if now.n_groups == 2 and agree:
        return Called(State.TWO_GROUPS, [Reason.FEW_GROUPS, Reason.TWO_GROUPS])
    return Called(implied, [Reason.GROUPS_DISAGREE if now.n_groups == 2 else Reason.FEW_GROUPS, reason])


def _degrade(called: Called, now: Conditions, rules: LadderRules, offset_ms: float) -> None:
    """Everything that keeps a sufficient set from being NORMAL."""
    found = called.reasons
    if now.n_groups < rules.groups_normal_min:
        found.append(Reason.FEW_GROUPS)
    elif now.n_anchored < rules.groups_normal_min:
        found.append(Reason.UNANCHORED_GROUPS)
    if now.confidence * 10_000.0 > rules.confidence_normal_bps_max:
        found.append(Reason.DISPERSION)
    if now.cohort_split:
        found.append(Reason.COHORT_SPLIT)
    if not now.conversions_normal:
        found.append(Reason.CONVERSION)
    if now.closed:
        found.append(Reason.MARKET_CLOSED)
    if offset_ms > rules.clock_normal_ms_max:
        found.append(Reason.CLOCK_OFFSET)
    if found:
        called.state = State.DEGRADED


def _call_from_halt(rung: Rung, now: Conditions, rules: LadderRules) -> Called:
    """A halt ends by itself, unless it was long or the price went far: then somebody must have looked."""
    if now.n_groups < rules.groups_normal_min or now.spread * 10_000.0 > rules.halt_up_bps:
        return Called(State.HALTED, [Reason.FEW_GROUPS])
    long = now.at_ns - rung.since_ns > rules.acknowledge_after_ms * NANOS_PER_MS
    far = now.last_good > 0 and abs(now.price / now.last_good - 1.0) * 10_000.0 > rules.acknowledge_bps
    if (long or far) and not rung.acknowledged:
        return Called(State.HALTED, [Reason.UNACKNOWLEDGED])
    return Called(State.NORMAL)


def advance(rung: Rung, called: Called, at_ns: Nanos, rules: LadderRules) -> None:
    """Move along the table: down at once, up when the better call has held for the dwell time without a break."""
    target, dwell = LADDER[rung.state, called.state]
    if target is rung.state:
        rung.target, rung.target_since_ns = rung.state, 0
        return
    if dwell is not None:
        if not rung.target_since_ns or (rung.target is not target and not {rung.target, target} <= set(USABLE)):
            rung.target_since_ns = at_ns
        rung.target = target
        if at_ns - rung.target_since_ns < getattr(rules, dwell) * NANOS_PER_MS:
            return
    enter(rung, target, at_ns, called.reasons)


def enter(rung: Rung, state: State, at_ns: Nanos, causes: list[Reason]) -> None:
    """Stand in a state from now on; a halt remembers its causes for as long as it lasts."""
    if state not in FALLBACKS:
        rung.fallback_since_ns = 0
    elif rung.state not in FALLBACKS:
        rung.fallback_since_ns = at_ns
    rung.state, rung.since_ns = state, at_ns
    rung.target, rung.target_since_ns = state, 0
    rung.acknowledged = False
    rung.causes = list(causes) if state is State.HALTED else []


def reasons(rung: Rung, called: Called) -> list[Reason]:
    """Why the published state is what it is: the call's reasons, the halt's causes, the dwell that runs."""
    found = [*rung.causes, *(r for r in called.reasons if r not in rung.causes)]
    if rung.state is State.WARMING:
        found.insert(0, Reason.WARMING_UP)
    elif rung.target_since_ns:
        found.append(Reason.RECOVERING)
    if rung.suspended:
        found.append(Reason.SUSPENDED)
    return found
