"""The one reducer: `Engine.step` turns a beat into published values. Live, replay, standby and simulation are this.

Nothing but the beat moves a number: no clock is read, no file, no environment. The order is fixed: observations are
applied as they stand in the beat; indices are walked in dependency order, so that USDT-USD is known before anything
quoted in USDT; each index carries its perpetuals. A beat costs only what it touches; the first beat of each second
touches everything, because time alone makes prices old.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct, field

from oracle.core import step_index, step_perp
from oracle.core.candidates import Conversion, Facts, Plan
from oracle.core.method import Described, IndexMethod, PerpMethod, funds, makes_index, typed
from oracle.core.params import IndexInstrument, Rules, World
from oracle.core.sources import (
    SourceState,
    apply_book,
    apply_link,
    apply_reference,
    apply_trade,
    forget_price,
    new_source,
)
from oracle.core.status import enter
from oracle.core.step_index import IndexState
from oracle.core.step_perp import PerpState
from oracle.core.surveillance import Watches
from oracle.core.types import (
    NANOS_PER_S,
    Action,
    Beat,
    BookTop,
    ClockReading,
    Command,
    Depth,
    Link,
    Liquidation,
    Nanos,
    Observation,
    Quote,
    State,
    Tick,
    TickerKind,
    Trade,
    Value,
)


class EngineState(Struct, array_like=True):
    """Everything the next beat is judged with. Equal states give equal values for equal beats."""

    seq: int
    at_ns: Nanos
    clock_offset_ns: int
    sources: list[SourceState]
    indices: list[IndexState]
    perps: list[PerpState]
    watches: Watches = field(default_factory=lambda: Watches({}))


class _Touched(Struct, gc=False):
    """What a beat concerns: by place, the indices and perpetuals; the sources that were heard of, None for any."""

    indices: list[bool]
    perps: list[bool]
    sources: set[int] | None


_decoder = msgspec.json.Decoder(EngineState)
_encoder = msgspec.json.Encoder()


def encode_state(state: EngineState) -> bytes:
    """The state as JSON; equal states give equal bytes."""
    return _encoder.encode(state)


def decode_state(data: bytes | msgspec.Raw) -> EngineState:
    """The state that `encode_state` wrote. Raises msgspec.DecodeError."""
    return _decoder.decode(data)


def new_state(world: World) -> EngineState:
    """A state that knows nothing: every instrument warms up."""
    rules = _source_rules(world)
    return EngineState(
        seq=0,
        at_ns=0,
        clock_offset_ns=0,
        sources=[new_source(rules[source.id].source) for source in world.sources],
        indices=[step_index.new_index(i) for i in world.indices],
        perps=[PerpState() for _ in world.perps],
    )


class Engine:
    """Holds a world, its methods and a state; `step` is the only thing that changes the state."""

    def __init__(self, world: World, methods: Mapping[str, Described], state: EngineState | None = None) -> None:
        self.world = world = _typed(world, methods)
        self.state = state or new_state(world)
        self._rules = _source_rules(world)
        self._names = {source.name: source.id for source in world.sources}
        self._plans = [Plan(world, i, _index_method(methods[i.method])) for i in world.indices]
        self._place = {i.id: place for place, i in enumerate(world.indices)}
        self._perps_of: list[list[int]] = [[] for _ in world.indices]
        for place, perp in enumerate(world.perps):
            self._perps_of[self._place[perp.index]].append(place)
        self._perp_methods = [_perp_method(methods[perp.method]) for perp in world.perps]
        self._engine_perp = {perp.engine_source: place for place, perp in enumerate(world.perps)}
        self._voters: list[list[int]] = [[] for _ in world.sources]
        for place, instrument in enumerate(world.indices):
            for source in (*instrument.sources, *instrument.perp_sources):
                self._voters[source].append(place)
        self._dependents = [
            [p for p, other in enumerate(world.indices) if i.id in _needs(other)] for i in world.indices
        ]

    def plan(self, place: int) -> Plan:
        """How the index at that place was last made: its candidates as the last beat that touched it left them."""
        return self._plans[place]

    def step(self, beat: Beat) -> Tick:
        """The values of a beat. A beat older than the last one is the caller's mistake."""
        state = self.state
        assert beat.at_ns >= state.at_ns, (beat.at_ns, state.at_ns)
        second = beat.at_ns // NANOS_PER_S > state.at_ns // NANOS_PER_S
        touched = _Touched([second] * len(self._plans), [second] * len(state.perps), set())
        if second:
            for memory in state.perps:
                memory.mark.reference = memory.mark.units
        state.seq, state.at_ns = beat.seq, beat.at_ns
        for seen in beat.seen:
            self._apply(seen, touched)
        indices, perps = touched.indices, touched.perps
        values: list[Value] = []
        quotes: dict[str, tuple[Quote, ...]] = {}
        for place, instrument in enumerate(self.world.indices):
            if indices[place]:
                found, quotes[instrument.id] = self._step_index(place, touched.sources, second)
                values += found
                for dependent in self._dependents[place]:
                    indices[dependent] = True
            for perp in self._perps_of[place]:
                if indices[place] or perps[perp]:
                    values += self._step_perp(place, perp, second)
        return Tick(beat.seq, beat.at_ns, tuple(values), quotes)

    def _step_index(self, place: int, heard: set[int] | None, second: bool) -> tuple[list[Value], tuple[Quote, ...]]:
        state, plan = self.state, self._plans[place]
        targets = self.world.indices[place].conversions
        conversions = {quote: self._convert(targets[quote]) for quote in plan.conversions}
        legs = [self._convert(leg.index) for leg in self.world.indices[place].legs]
        facts = Facts(state.at_ns, state.clock_offset_ns, state.sources, conversions, state.watches, heard, legs)
        return step_index.step(plan, state.indices[place], facts, second)

    def _convert(self, target: str) -> Conversion:
        place = self._place[target]
        index = self.state.indices[place]
        value = step_index.published(index, self.world.indices[place])
        return Conversion(value, index.rung.state, index.priced_ns, index.backing)

    def _step_perp(self, place: int, perp: int, second: bool) -> list[Value]:
        return step_perp.step(
            self.world.perps[perp],
            self._perp_methods[perp],
            self.state.perps[perp],
            self.state.sources[self.world.perps[perp].engine_source],
            step_perp.Reference(self.world.indices[place], self.state.indices[place], self._plans[place].outside),
            self.state.at_ns,
            second,
            self.state.watches,
        )

    def _apply(self, seen: Observation, touched: _Touched) -> None:
        """Let one observation change what is known, and note whom it touches."""
        sources = self.state.sources
        if isinstance(seen, BookTop):
            apply_book(sources[seen.source], seen, self._rules[seen.source].source)
        elif isinstance(seen, Trade):
            apply_trade(sources[seen.source], seen)
        elif isinstance(seen, Depth):
            if (perp := self._engine_perp.get(seen.source)) is None:
                sources[seen.source].depth = seen  # for whoever reads it when a second or a top of book calls for it
                return
            self.state.perps[perp].depth = seen
        elif isinstance(seen, Liquidation):
            if (perp := self._engine_perp.get(seen.source)) is None:
                return
            self.state.perps[perp].liquidations.append(seen.recv_ns)
        elif isinstance(seen, Link):
            apply_link(sources[seen.source], seen)
        elif isinstance(seen, Command):
            self._command(seen)
            touched.indices[:] = [True] * len(touched.indices)
            touched.sources = None
            return
        elif isinstance(seen, ClockReading):
            self.state.clock_offset_ns = seen.offset_ns
            return
        elif seen.kind is TickerKind.REFERENCE:
            apply_reference(sources[seen.source], seen)
        else:
            return  # what a venue states of itself; no rule of the engine reads it
        self._touch(seen.source, touched)

    def _touch(self, source: int, touched: _Touched) -> None:
        if touched.sources is not None:
            touched.sources.add(source)
        for place in self._voters[source]:
            touched.indices[place] = True
        if (perp := self._engine_perp.get(source)) is not None:
            touched.perps[perp] = True

    def _command(self, command: Command) -> None:
        """An order changes states and flags, never a value."""
        if command.action in (Action.EXCLUDE, Action.INCLUDE):
            if (source := self._names.get(command.target)) is not None:
                self.state.sources[source].excluded = command.action is Action.EXCLUDE
                for place in self._voters[source]:
                    step_index.readmit(self.state.indices[place], self.world.indices[place], source)
            return
        if command.action is Action.START:
            self._start()
            return
        for place, instrument in enumerate(self.world.indices):
            if command.target in ("*", instrument.id):
                step_index.order(self.state.indices[place], command.action, self.state.at_ns)

    def _start(self) -> None:
        """The process began: nothing that was known is current, and every instrument warms up."""
        for source in self.state.sources:
            forget_price(source)
        for index in self.state.indices:
            step_index.start(index)
            enter(index.rung, State.WARMING, self.state.at_ns, [])
        for perp in self.state.perps:
            step_perp.start(perp)
        self.state.watches.held.clear()


def _needs(instrument: IndexInstrument) -> set[str]:
    """The indices that this one is computed from."""
    return {*instrument.conversions.values(), *(leg.index for leg in instrument.legs)}


def _typed(world: World, methods: Mapping[str, Described]) -> World:
    """The world with every methodology's own parameters in their own type."""
    return msgspec.structs.replace(
        world,
        indices=tuple(msgspec.structs.replace(i, rules=typed(i.rules, methods[i.method])) for i in world.indices),
        perps=tuple(msgspec.structs.replace(p, rules=typed(p.rules, methods[p.method])) for p in world.perps),
    )


def _index_method(method: Described) -> IndexMethod:
    assert makes_index(method), method.ID
    return method


def _perp_method(method: Described) -> PerpMethod:
    assert funds(method), method.ID
    return method


def _source_rules(world: World) -> list[Rules]:
    """The rules each source is judged by: those of the instrument that uses it."""
    found: dict[int, Rules] = {}
    for perp in world.perps:
        found[perp.engine_source] = perp.rules
    for instrument in world.indices:
        for source in (*instrument.sources, *instrument.perp_sources):
            found[source] = instrument.rules
    unused = [source.name for source in world.sources if source.id not in found]
    assert not unused, unused
    return [found[source.id] for source in world.sources]
