"""Why a published number is what it is: its inputs, their verdicts, and who moved it since another beat.

A journal holds the beats and not the reasoning, so the reasoning is done again: the engine of this version is stepped
to the beat and looked at. Whose change moved an index is answered by Shapley's value (Shapley, "A value for n-person
games", 1953): of the difference between two votes, each source gets the mean of what its change makes over all the
orders in which the sources could have changed. The shares are exact fractions and sum to the difference exactly; what
no source's change explains (a state, a memory, the rounding of a limit) is a share of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from math import factorial
from pathlib import Path

import msgspec
from msgspec import Struct

from oracle.core.candidates import Plan
from oracle.core.engine import Engine, decode_state
from oracle.core.index import Candidate, Memory
from oracle.core.maths import quantise
from oracle.core.meanings import VERDICTS
from oracle.core.method import makes_index
from oracle.core.params import IndexInstrument, PerpInstrument, World
from oracle.core.types import Beat, FundingRate, IndexValue, MarkPrice, Nanos, PremiumSample, Verdict
from oracle.errors import JournalError, JournalUnreadable
from oracle.journal.lines import BeatLine, HeadLine, StateLine, state_of
from oracle.journal.reader import Reader
from oracle.methods import for_world

PLAYERS_MAX = 12  # above it the least of the changes share one place: 4096 votes are enough for a reader's patience
STANDING = (Verdict.CLOSED,)  # verdicts that a source brings to the vote and keeps
BEFORE_THE_VOTE = frozenset(
    (Verdict.NO_PRICE, Verdict.LINK_DOWN, Verdict.ONE_SIDED, Verdict.CROSSED, Verdict.WIDE, Verdict.STALE,
     Verdict.FUTURE, Verdict.NO_CONVERSION, Verdict.EXCLUDED, Verdict.QUARANTINED, Verdict.NOT_LISTED)
)  # fmt: skip


class Input(Struct, frozen=True):
    """One source as it stood: its book in its own currency, what that is worth, and what it counted for.

    `price` is in the index's currency, 0.0 when there is none; `rate` what a price was multiplied by.
    """

    source: str
    group: str
    bid: float
    ask: float
    last: float
    rate: float
    price: float
    age_ms: int
    verdict: Verdict
    rule: str


class Share(Struct, frozen=True):
    """What one source's change did to an index, in units of its scale; exact."""

    source: str
    units: Fraction


class Explained(Struct):
    """One instrument at one beat. `values` are all that the beat said of it; `inputs` are of its index.

    `voters` are the sources as they came to the vote, `memory` what the index remembered before it.
    """

    world: World
    instrument: IndexInstrument | PerpInstrument
    index: IndexInstrument
    seq: int
    at_ns: Nanos
    values: list[IndexValue | MarkPrice | FundingRate | PremiumSample]
    inputs: list[Input]
    index_units: int | None
    voters: list[Candidate]
    memory: Memory


class Moved(Struct):
    """The difference of an index between two beats: `shares` sum to `units` exactly."""

    before: Explained
    after: Explained
    units: int
    shares: list[Share]


def explain(path: Path, instrument: str, wanted: int) -> Explained:
    """An instrument at the last beat that said something of it and is not later than `wanted`: a seq, or a time in ns.

    Raises JournalUnreadable when there is none, or no such instrument; JournalError for a damaged journal.
    """
    seq = _find(path, instrument, wanted)
    [found] = _look(path, instrument, [seq])
    return found


def moved(path: Path, instrument: str, since: int, until: int) -> Moved:
    """Who moved an index between two beats, each as in `explain`. Raises as `explain` does."""
    first, last = _find(path, instrument, since), _find(path, instrument, until)
    if first >= last:
        raise JournalUnreadable(f"beat {first} is not before beat {last}", path=path)
    before, after = _look(path, instrument, [first, last])
    if before.index_units is None or after.index_units is None:
        silent = before if before.index_units is None else after
        raise JournalUnreadable(f"at beat {silent.seq} {silent.index.id} had no value", path=path)
    units = after.index_units - before.index_units
    shares = contributions(before, after)
    rest = Fraction(units) - sum((share.units for share in shares), Fraction(0))
    return Moved(before, after, units, [*shares, Share("state, memory and limits", rest)] if rest else shares)


def contributions(before: Explained, after: Explained) -> list[Share]:
    """Shapley's shares of the sources in the difference between the two votes, in configured order."""
    method = for_world(after.world)[after.index.method]
    assert makes_index(method), method.ID
    changed = [
        place
        for place, (old, new) in enumerate(zip(before.voters, after.voters, strict=True))
        if (old.price, old.verdict) != (new.price, new.verdict)
    ]
    weight = {p: abs(after.voters[p].price - before.voters[p].price) for p in changed}
    apart = sorted(changed, key=lambda place: (-weight[place], place))
    players = [[place] for place in apart[: PLAYERS_MAX - 1]]
    if len(apart) >= PLAYERS_MAX:
        players.append(sorted(apart[PLAYERS_MAX - 1 :]))
    players.sort()

    def vote(mask: int) -> int:
        newer = {place for n, group in enumerate(players) if mask >> n & 1 for place in group}
        mixed = [
            copy.deepcopy(after.voters[place] if place in newer else old) for place, old in enumerate(before.voters)
        ]
        cohort = method.index(mixed, copy.deepcopy(after.memory), after.index.rules, after.at_ns)
        return quantise(cohort.price, after.index.price_decimals)

    names = [after.inputs[group[0]].source if len(group) == 1 else f"{len(group)} others" for group in players]
    shares = shapley(vote, len(players))
    return [Share(name, units) for name, units in zip(names, shares, strict=True)]


def shapley(value: Callable[[int], int], players: int) -> list[Fraction]:
    """Shapley's value of each player in the game that gives every set of players (a bit mask) a whole number."""
    worth = [value(mask) for mask in range(1 << players)]
    share = [Fraction(factorial(size) * factorial(players - size - 1), factorial(players)) for size in range(players)]
    shares = []
    for n in range(players):
        without = (mask for mask in range(1 << players) if not mask >> n & 1)
        gains = (share[mask.bit_count()] * (worth[mask | 1 << n] - worth[mask]) for mask in without)
        shares.append(sum(gains, Fraction(0)))
    return shares


def _find(path: Path, instrument: str, wanted: int) -> int:
    """The seq of the last beat, not later than wanted, that said something of the instrument."""
    in_time = wanted >= 10**15
    needle = msgspec.json.encode(instrument)
    found = 0
    known: dict[str, None] = {}
    for line in Reader(path):
        record = line.record
        if isinstance(record, HeadLine):
            world = record.world
            known.update(dict.fromkeys([*(i.id for i in world.indices), *(p.id for p in world.perps)]))
        elif isinstance(record, BeatLine):
            if (record.at_ns if in_time else record.seq) > wanted:
                break
            if needle in bytes(record.values):
                found = record.seq
    if instrument not in known:
        raise JournalUnreadable(f"no such instrument: {instrument} (known: {', '.join(known)})", path=path)
    if not found:
        raise JournalUnreadable(f"nothing was said of {instrument} until then", path=path)
    return found


def _look(path: Path, instrument: str, seqs: Sequence[int]) -> Iterator[Explained]:
    """The instrument at each of these beats, in order: stepped from the last memory before the first of them."""
    start = _last_memory(path, seqs[0])
    engine: Engine | None = None
    world: World | None = None
    for line in Reader(path):
        record = line.record
        if isinstance(record, HeadLine) and (engine is None or record.world != world):
            state, world = state_of(record.state), record.world
            engine = Engine(world, for_world(world), None if state is None else decode_state(state))
        elif isinstance(record, StateLine) and record.seq == start and world is not None:
            state = state_of(record.state)
            engine = Engine(world, for_world(world), None if state is None else decode_state(state))
        elif isinstance(record, BeatLine) and record.seq > start and engine is not None:
            watched = _watch(engine, instrument) if record.seq in seqs else None
            tick = engine.step(Beat(record.seq, record.at_ns, record.seen, record.dropped))
            if watched is not None:
                yield _explained(engine, instrument, watched, tick.values, record)
            if record.seq == seqs[-1]:
                return


def _last_memory(path: Path, seq: int) -> int:
    """After which beat the last memory before beat `seq` stands; 0: only the journal's beginning does."""
    found = 0
    for line in Reader(path):
        record = line.record
        if isinstance(record, BeatLine) and record.seq >= seq:
            break
        if isinstance(record, StateLine):
            found = record.seq
    return found


def _place(world: World, instrument: str) -> tuple[IndexInstrument | PerpInstrument, int]:
    """The instrument, and the place of the index it is or stands on."""
    places = {index.id: place for place, index in enumerate(world.indices)}
    if instrument in places:
        return world.indices[places[instrument]], places[instrument]
    [perp] = [perp for perp in world.perps if perp.id == instrument]
    return perp, places[perp.index]


def _watch(engine: Engine, instrument: str) -> Memory:
    """What the index remembers before the beat."""
    _, place = _place(engine.world, instrument)
    return copy.deepcopy(engine.state.indices[place].memory)


def _explained(
    engine: Engine, instrument: str, memory: Memory, values: Sequence[object], record: BeatLine
) -> Explained:
    found, place = _place(engine.world, instrument)
    index, plan = engine.world.indices[place], engine.plan(place)
    said = [v for v in values if isinstance(v, IndexValue | MarkPrice | FundingRate | PremiumSample)]
    inputs = [_input(plan, c, at) for at, c in enumerate(plan.candidates)]
    voters = copy.deepcopy(plan.candidates)
    for c in voters:
        if c.verdict not in BEFORE_THE_VOTE and c.verdict not in STANDING:
            c.verdict = None
    return Explained(
        world=engine.world,
        instrument=found,
        index=index,
        seq=record.seq,
        at_ns=record.at_ns,
        values=[v for v in said if v.instrument in (found.id, index.id)],
        inputs=inputs,
        index_units=engine.state.indices[place].units,
        voters=voters,
        memory=memory,
    )


def _input(plan: Plan, c: Candidate, place: int) -> Input:
    if c.verdict is None:
        raise JournalError(f"{plan.names[place]} was not judged")
    last = c.known.last if c.known else 0.0
    rule = VERDICTS[c.verdict].rule
    return Input(plan.names[place], c.group, c.bid, c.ask, last, c.rate, c.price, c.age_ns // 10**6, c.verdict, rule)
