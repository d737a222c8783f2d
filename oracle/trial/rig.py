"""All the venues at once under one fault: simulated venues on real sockets, real lines and REST, inbox and engine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence

import structlog

from oracle import methods
from oracle.clock import SystemClock
from oracle.collectors.backoff import DialBudget
from oracle.collectors.inbox import Inbox
from oracle.collectors.line import Line
from oracle.collectors.rest import Rest
from oracle.core.engine import Engine
from oracle.core.params import IndexInstrument, Role, Source
from oracle.core.params import World as Instruments
from oracle.core.types import NANOS_PER_MS, Action, BookTop, Command, Link, Nanos, Observation, VerdictChange
from oracle.methods import hk1
from oracle.simulator.faults import BOUND_KINDS, Script
from oracle.simulator.markets import Market
from oracle.simulator.stage import TURN_S, Stage
from oracle.simulator.world import Said, World
from oracle.trial.case import COUNTS_FOR, Case, Outcome
from oracle.trial.faults import Fault, Round, plays_of, script_of
from oracle.trial.markets import ASSETS, SPELLINGS, markets_of
from oracle.venues import base

SEED = 1
VENUES_MIN = 6  # with fewer, others play along: a frozen book is only seen beside others that move
PLANNED = ("RENEWED", "HOME", "NO_BETTER")  # ends of connections with which nothing was wrong
BEAT_NS = 20 * NANOS_PER_MS  # as the service beats

Progress = Callable[[str], None]


async def play(fault: Fault, venues: Sequence[str], progress: Progress = lambda text: None) -> list[Outcome]:
    """What becomes of each of these venues under the fault; takes as long as the fault's rounds."""
    outcomes: list[Outcome] = []
    for rounds in plays_of(fault, venues):
        progress(f"{fault.name}: {fault.title}, {len(venues)} venues, {rounds[-1].until_ms / 1_000:.0f} s at most")
        outcomes += await _played(fault, venues, rounds)
    return [_worst([o for o in outcomes if o.venue == venue]) for venue in venues]


async def _played(fault: Fault, venues: Sequence[str], rounds: Sequence[Round]) -> list[Outcome]:
    """One world, from its calm beginning to the end of its last round."""
    clock = SystemClock()
    bystanders = [name for name in SPELLINGS if name not in venues][: max(0, VENUES_MIN - len(venues))]
    world = _Heard(clock, script_of(fault, rounds), markets_of([*venues, *bystanders]))
    async with Stage(world, clock.now_ns) as stage, Rest(clock) as rest:
        rig = _Rig(stage, clock, rest)
        lines = [asyncio.create_task(line.run()) for line in rig.lines]
        try:
            return [outcome for each in rounds for outcome in await rig.play(fault, each)]
        finally:
            for task in lines:
                task.cancel()
            await asyncio.gather(*lines, return_exceptions=True)


def _worst(outcomes: Sequence[Outcome]) -> Outcome:
    """Of several rounds the one that a critic would show."""
    return max(outcomes, key=lambda o: (not o.in_time, o.known_ms is None, o.known_ms or 0.0))


def instruments(markets: Sequence[Market]) -> Instruments:
    """An index an asset, of all the venues, each its own owner."""
    sources = tuple(
        Source(
            id=place,
            name=f"{m.venue}:{m.symbol}",
            venue=m.venue,
            symbol=m.symbol,
            market=m.market,
            quote="USD",
            group=m.venue,
            role=Role.SPOT,
        )
        for place, m in enumerate(markets)
    )
    indices = tuple(
        IndexInstrument(
            id=f"{asset}-USD",
            base=asset,
            quote="USD",
            tier=1,
            price_decimals=2,
            sources=tuple(place for place, m in enumerate(markets) if m.asset == asset),
            perp_sources=(),
            conversions={},
            method=hk1.ID,
            rules=hk1.SETS[-1],
        )
        for asset in dict.fromkeys(m.asset for m in markets)
    )
    return Instruments(methodology=hk1.ID, configuration_hash="", sources=sources, indices=indices, perps=())


class _Heard(World):
    """The simulated world, which tells somebody of every book that a market states."""

    def __init__(self, clock: SystemClock, script: Script, markets: tuple[Market, ...]) -> None:
        super().__init__(SEED, clock.now_ns(), script, markets)
        self.on_top: Callable[[BookTop, Nanos], None] = lambda top, now_ns: None

    def step(self, now_ns: Nanos) -> list[Said]:
        said = super().step(now_ns)
        for each in said:
            if isinstance(each.fact, BookTop):
                self.on_top(each.fact, now_ns)
        return said


class _Rig:
    """The lines, the inbox and the engine of the venues on a stage."""

    def __init__(self, stage: Stage, clock: SystemClock, rest: Rest) -> None:
        self._stage, self._clock = stage, clock
        markets = stage.world.markets
        self._places = {(m.venue, m.asset): place for place, m in enumerate(markets)}
        self._world = instruments(markets)
        self._inbox = Inbox(self._world, lambda: None)
        self._engine = Engine(self._world, methods.for_world(self._world))
        self._beaten_ns = clock.now_ns()
        self._inbox.put(Command(Action.START, "*", "service", "", self._beaten_ns))
        self._cases: dict[int, Case] = {}
        assert isinstance(stage.world, _Heard)
        stage.world.on_top = self._on_top
        self.lines = [line for venue in stage.servers for line in self._lines(venue, rest)]
        self._line_of = {source: line for line in self.lines for source in line.stats.sources}

    def _lines(self, venue: str, rest: Rest) -> Iterator[Line]:
        """One line, or several where one may not carry both symbols."""
        session_type, _ = base.load(venue)
        sources = [source for source in self._world.sources if source.venue == venue]
        budget = DialBudget(session_type.dials_per_minute_max)
        for place in range(0, len(sources), session_type.symbols_max):
            carried = sources[place : place + session_type.symbols_max]
            yield Line(
                session_type,
                [base.Feed(source.id, source.symbol) for source in carried],
                put=self._put,
                clock=self._clock,
                budget=budget,
                rest=rest,
                market=carried[0].market,
                endpoint=self._stage.servers[venue].url,
            )

    def _put(self, observation: Observation) -> None:
        self._inbox.put(observation)
        if isinstance(observation, BookTop | Link) and (case := self._cases.get(observation.source)):
            if isinstance(observation, BookTop):
                case.take(observation)
            elif not observation.up:
                case.know(f"link {observation.reason}", observation.recv_ns)

    def _on_top(self, top: BookTop, now_ns: Nanos) -> None:
        if case := self._cases.get(top.source):
            case.ledger.say(top, now_ns)

    async def play(self, fault: Fault, each: Round) -> list[Outcome]:
        """One round, from the calm before it to its last outcome."""
        start_ns = self._stage.world.start_ns
        begins_ns, ends_ns, until_ns = (
            start_ns + at_ms * NANOS_PER_MS for at_ms in (each.begins_ms, each.ends_ms, each.until_ms)
        )
        self._cases = {case.source: case for case in self._cases_of(fault, each)}
        await self._go_on(begins_ns)
        now_ns = self._clock.now_ns()
        known = {case: _counted(self._line_of[case.source], case.source) for case in self._cases.values()}
        for case in known:
            if fault.kind in BOUND_KINDS:
                self._stage.servers[case.venue].strike(fault.kind, [case.source] if fault.first_asset_only else ())
            case.begin(now_ns)
        if fault.lasts_ms:
            await self._go_on(ends_ns, known)
            for case in known:
                case.end(self._clock.now_ns())
        await self._go_on(until_ns, known)
        return [case.outcome(self._clock.now_ns()) for case in known]

    def _cases_of(self, fault: Fault, each: Round) -> Iterator[Case]:
        for venue in each.venues:
            source = self._world.sources[self._places[venue, ASSETS[0]]]
            mimic = base.load(venue)[1]([base.Feed(source.id, source.symbol)], source.market)
            yield Case(fault, venue, source.id, mimic.states_book_time)

    async def _go_on(self, until_ns: Nanos, known: dict[Case, dict[str, int]] | None = None) -> None:
        """Let the world, the lines and the engine live; with `known`, until every case is settled at the latest."""
        while (now_ns := self._clock.now_ns()) < until_ns:
            self._stage.turn(now_ns)
            if now_ns - self._beaten_ns >= BEAT_NS:
                self._beat(now_ns)
            for case, counts in (known or {}).items():
                if case.going_on and (step := _counted_since(self._line_of[case.source], case.source, counts)):
                    case.know(step, now_ns)
            if known and all(case.settled for case in known):
                return
            await asyncio.sleep(TURN_S)

    def _beat(self, now_ns: Nanos) -> None:
        self._beaten_ns = now_ns
        tick = self._engine.step(self._inbox.close(self._engine.state.seq + 1, now_ns))
        for value in tick.values:
            if isinstance(value, VerdictChange) and value.verdict not in COUNTS_FOR:
                case = self._cases.get(value.source)
                if case is not None and case.fault.lasts_ms:
                    case.know(f"verdict {value.verdict}", now_ns)


def _counted(line: Line, source: int) -> dict[str, int]:
    """How often a line took each step to mend itself, for this source's sake or for all of them."""
    steps = {f"step {rung}": count for rung, count in line.stats.of(source).steps.items()}
    ended = {f"line {why}": count for why, count in line.stats.ended.items() if why not in PLANNED}
    return {**steps, "drift": line.stats.drifts, **ended}


def _counted_since(line: Line, source: int, before: dict[str, int]) -> str:
    """The step that a line took since then; empty: none."""
    return next((step for step, count in _counted(line, source).items() if count > before.get(step, 0)), "")


def quiet() -> None:
    """Let the lines log nothing: what they would say is what the table says."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
