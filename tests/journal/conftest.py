"""A tiny engine and a writer of small journals, so that a test of the journal is about the journal."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from oracle.core.params import Contract, IndexInstrument, PerpInstrument, Role, Source, World
from oracle.core.types import (
    NANOS_PER_S,
    Action,
    Beat,
    BookTop,
    Command,
    Depth,
    FundingRate,
    PremiumSample,
    Side,
    Trade,
    Value,
)
from oracle.journal.audit import Kind
from oracle.journal.recovery import Recovered
from oracle.journal.stepping import this_version
from oracle.journal.verify import Report
from oracle.journal.writer import Opening, Writer
from oracle.methods import hk1

START_NS = 1_750_000_000 * NANOS_PER_S
STEP_NS = 100_000_000
EMPTY_WORLD = World(methodology="tally", configuration_hash="", sources=(), indices=(), perps=())


class Tally(Struct, array_like=True):
    """All that the tiny engine remembers."""

    said: int = 0
    total: int = 0


class TallyEngine:
    """Adds up the bids it sees, and says the sum. A bid of 0.5 breaks it; every 50th time a rate settles too."""

    def __init__(self, world: World, state: bytes | None) -> None:
        self.memory = Tally() if state is None else msgspec.json.decode(state, type=Tally)

    def step(self, beat: Beat) -> tuple[Value, ...]:
        memory = self.memory
        if not beat.seen:
            return ()
        memory.said += 1
        for seen in beat.seen:
            assert isinstance(seen, BookTop)
            if seen.bid == 0.5:
                raise ZeroDivisionError("unlucky")
            memory.total += int(seen.bid)
        said = PremiumSample("X", memory.said, beat.at_ns, memory.total, None, None, None, ())
        return (said, settled(memory.said, beat.at_ns, memory.total)) if memory.said % 50 == 0 else (said,)

    def state(self) -> bytes:
        return msgspec.json.encode(self.memory)


def settled(seq: int, at_ns: int, rate: int, instrument: str = "X", final: bool = True) -> FundingRate:
    """A settled funding rate."""
    return FundingRate(
        instrument=instrument,
        seq=seq,
        at_ns=at_ns,
        final=final,
        rate_e8=rate,
        interval_start_ns=at_ns - 10 * NANOS_PER_S,
        settles_ns=at_ns,
        premium_mean_e10=None,
        samples=1,
        expected=2,
        interest_e8=0,
        inner_binding=False,
        cap_binding=False,
        reasons=(),
        index=None,
    )


def beat_of(seq: int, bid: float | None = None, quiet: bool = False) -> Beat:
    """Beat `seq`, a tenth of a second after the one before. A quiet one saw nothing."""
    at_ns = START_NS + seq * STEP_NS
    if quiet:
        return Beat(seq, at_ns, (), 0)
    return Beat(seq, at_ns, (BookTop(0, float(seq) if bid is None else bid, 1.0, 9.0, 1.0, 0, at_ns),), 0)


class Scribe:
    """A process's worth of journal: the tiny engine, and the writer that writes what it says."""

    def __init__(self, directory: Path, key: Ed25519PrivateKey, recovered: Recovered | None = None, **options: Any):
        recovered = recovered or Recovered()
        world = options.pop("world", EMPTY_WORLD)
        state = options.pop("state", recovered.state_bytes)
        self.engine = TallyEngine(world, state)
        self.seq = recovered.last_seq
        opening = Opening(world, state, "test", START_NS + self.seq * STEP_NS)
        self.writer = Writer(directory, recovered, opening, key, **options)

    def beats(self, count: int, loud_every: int = 1) -> None:
        """Write that many beats, a seal each second, and a memory when one is due."""
        for _ in range(count):
            self.seq += 1
            beat = beat_of(self.seq, quiet=self.seq % loud_every != 0)
            self.writer.append(beat, self.engine.step(beat))
            if self.seq % 10 == 0:
                self.writer.seal(self.seq, beat.at_ns)
            if self.writer.snapshot_due(beat.at_ns):
                self.writer.snapshot(self.seq, self.engine.state())


def trading_world() -> World:
    """A world for the real engine: one index of five venues, one perpetual."""
    rules = hk1.SETS[0]
    spots = tuple(_source(place, name, Role.SPOT) for place, name in enumerate(("a", "b", "c", "d", "e")))
    index = IndexInstrument(
        id="BTC-USD",
        base="BTC",
        quote="USD",
        tier=1,
        price_decimals=2,
        sources=(0, 1, 2, 3, 4),
        perp_sources=(),
        conversions={},
        method="hk1",
        rules=rules,
    )
    perp = PerpInstrument(
        id="BTC-USD-PERP",
        index="BTC-USD",
        engine_source=5,
        contract=Contract.LINEAR,
        contract_size=1.0,
        price_decimals=2,
        tick_units=10,
        method="hk1",
        rules=rules,
    )
    sources = (*spots, _source(5, "own", Role.ENGINE))
    return World(methodology="hk1", configuration_hash="h", sources=sources, indices=(index,), perps=(perp,))


def _source(place: int, name: str, role: Role) -> Source:
    return Source(id=place, name=name, venue=name, symbol="BTC", market=role.value, quote="USD", group=name, role=role)


def trading_beats(first_seq: int, count: int) -> Iterator[Beat]:
    """Beats a quarter of a second apart, in which the venues take turns to state a wandering price."""
    for seq in range(first_seq, first_seq + count):
        at_ns = START_NS + seq * 250_000_000
        bid = 60_000.0 + (seq * 7919) % 53 / 10
        tops = [BookTop(s, bid + s, 1.0, bid + s + 2, 1.0, at_ns, at_ns) for s in (seq % 5, (seq + 2) % 5)]
        book = (((bid + 1, 3.0),), ((bid + 3, 3.0),))
        own = (BookTop(5, bid + 1, 3.0, bid + 3, 3.0, at_ns, at_ns), Depth(5, *book, at_ns, at_ns))
        trade = Trade(seq % 5, bid + 1, 0.1, Side.BUY, at_ns, at_ns)
        start = (Command(Action.START, "*", "service", "start", at_ns),) if seq == first_seq else ()
        yield Beat(seq, at_ns, (*start, *tops, trade, *(own if seq % 3 == 0 else ())), 0)


def trade_on(
    directory: Path, key: Ed25519PrivateKey, count: int, recovered: Recovered | None = None, **options: Any
) -> Path:
    """Let the real engine live for that many beats and write its journal; the segment it ended in."""
    recovered = recovered or Recovered()
    world = trading_world()
    engine = this_version(world, recovered.state_bytes)
    opening = Opening(world, recovered.state_bytes, "test", START_NS)
    writer = Writer(directory, recovered, opening, key, **options)
    for beat in trading_beats(recovered.last_seq + 1, count):
        writer.append(beat, engine.step(beat))
        if beat.seq % 4 == 0:
            writer.seal(beat.seq, beat.at_ns)
        if writer.snapshot_due(beat.at_ns):
            writer.snapshot(beat.seq, engine.state())
    writer.close()
    return writer.path


MakeScribe: TypeAlias = Callable[..., Scribe]


def small_journal(scribe: MakeScribe, directory: Path) -> Path:
    """A journal of 64 lines in one segment: head, beats, seals and a state."""
    writing = scribe(directory, snapshot_ms=3_000)
    writing.beats(57, loud_every=4)
    writing.writer.close()
    assert len(writing.writer.path.read_bytes().splitlines()) == 64
    return writing.writer.path


def kinds(report: Report) -> list[Kind]:
    """What kinds of findings a report has."""
    return [finding.kind for finding in report.findings]


@pytest.fixture(scope="session")
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
def memory_path() -> Iterator[Path]:
    """A folder in memory where there is such a thing: tests that sync thousands of times stay quick."""
    shm = Path("/dev/shm")
    path = Path(tempfile.mkdtemp(prefix="oracle-journal-", dir=shm if shm.is_dir() else None))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def scribe(key: Ed25519PrivateKey) -> Iterator[MakeScribe]:
    """Makes Scribes; closes their writers at the end."""
    made: list[Scribe] = []

    def make(directory: Path, recovered: Recovered | None = None, **options: Any) -> Scribe:
        made.append(Scribe(directory, options.pop("key", key), recovered, **options))
        return made[-1]

    yield make
    for each in made:
        each.writer.close()
