"""Computes a journal again, from its beats alone: by its own methodology, or by another one to see what would differ.

Unlike verification, a replay never takes a recorded memory over: from the first head on, only beats move it. A new
memory is taken from a head only where the world itself changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from pathlib import Path

from msgspec import Struct

from oracle.core import wire
from oracle.core.params import World
from oracle.core.types import Beat, FundingRate, IndexValue, MarkPrice, Nanos, Value
from oracle.errors import JournalError
from oracle.journal.compare import Difference, Numbered, differences, numbered, stream_of
from oracle.journal.lines import BeatLine, HeadLine, Torn, state_of
from oracle.journal.reader import Line, Reader
from oracle.journal.recast import under
from oracle.journal.stepping import MakeEngine, Stepper, this_version

FIRST_KEPT_MAX = 10
BPS = 10_000.0


class Deviation(Struct):
    """How far one stream of values comes out from the recorded one, in basis points of the recorded price.

    Rates and premiums are shares already: theirs is the plain difference in basis points. `one_sided` counts the
    values that only one side has; they are in no mean.
    """

    stream: str
    compared: int = 0
    equal: int = 0
    one_sided: int = 0
    sum_bps: float = 0.0
    largest_bps: float = 0.0
    largest_seq: int = 0  # the beat

    @property
    def mean_bps(self) -> float:
        """The mean distance, regardless of its direction."""
        return self.sum_bps / self.compared if self.compared else 0.0


class Replayed(Struct):
    """What a replay found. `first` holds the first differences, `deviations` every stream in order of appearance."""

    beats: int = 0
    equal: int = 0
    different: int = 0
    first: list[Difference] = []
    deviations: dict[str, Deviation] = {}
    methodology: str = ""
    first_ns: Nanos = 0
    last_ns: Nanos = 0
    torn: Torn | None = None
    elapsed_s: float = 0.0


def replay(
    path: Path,
    make_engine: MakeEngine = this_version,
    method: str | None = None,
    progress: Callable[[int], object] = lambda beats: None,
) -> Replayed:
    """Step every beat of a journal and compare the values. `method`: by that methodology instead of the recorded one.

    Raises JournalError: the journal is damaged, or the engine fails on a beat; ModuleNotFoundError: there is no such
    methodology.
    """
    began = time.perf_counter()
    reader = Reader(path)
    made = Replayed(methodology=method or "")
    for line, record, values in stepped(reader, make_engine, method):
        made.beats += 1
        made.first_ns, made.last_ns = made.first_ns or record.at_ns, record.at_ns
        if wire.encode(values) == bytes(record.values):
            made.equal += 1
        else:
            made.different += 1
            _compare(made, line, record, values)
        if method is not None:
            _measure(made, record, values)
        progress(made.beats)
    made.torn = reader.torn
    made.elapsed_s = time.perf_counter() - began
    return made


def stepped(
    reader: Reader, make_engine: MakeEngine = this_version, method: str | None = None
) -> Iterator[tuple[Line, BeatLine, tuple[Value, ...]]]:
    """Every beat line with the values that come out now. Raises as `replay` does."""
    world: World | None = None
    engine: Stepper | None = None
    for line in reader:
        record = line.record
        if isinstance(record, HeadLine) and record.world != world:
            world = record.world
            judged = world if method is None else under(world, method, record.created_ns)
            engine = make_engine(judged, state_of(record.state))
        elif isinstance(record, BeatLine):
            assert engine is not None, "a reader yields a head first"
            try:
                values = engine.step(Beat(record.seq, record.at_ns, record.seen, record.dropped))
            except Exception as error:
                problem = f"the engine fails on this beat: {error!r}"
                raise JournalError(problem, path=line.path, offset=line.offset, seq=record.seq) from error
            yield line, record, values


def _compare(made: Replayed, line: Line, record: BeatLine, values: Sequence[Value]) -> None:
    if len(made.first) < FIRST_KEPT_MAX:
        found = differences(record.seq, wire.decode_values(record.values), values)
        made.first += [next(found, _unexplained(record.seq, line))]


def _unexplained(seq: int, line: Line) -> Difference:
    """Equal values in other bytes: somebody else's encoder wrote them."""
    return Difference(seq, "", "bytes", str(line.path), "as recorded", "as encoded here")


def _measure(made: Replayed, record: BeatLine, values: Sequence[Value]) -> None:
    """Set the recorded and the recomputed values of a beat side by side, stream by stream."""
    recorded = {_key(value): value for value in numbered(wire.decode_values(record.values))}
    recomputed = {_key(value): value for value in numbered(values)}
    for key in dict.fromkeys((*recorded, *recomputed)):
        old, new = recorded.get(key), recomputed.get(key)
        row = made.deviations.setdefault(key[0], Deviation(key[0]))
        before, now = _figure(old), _figure(new)
        if before is None and now is None:
            row.equal += old is not None and new is not None
        elif before is None or now is None:
            row.one_sided += 1
        else:
            _add(row, record.seq, before, now, old)


def _add(row: Deviation, seq: int, before: int, now: int, old: Numbered | None) -> None:
    row.compared += 1
    row.equal += before == now
    whole = abs(before) if isinstance(old, IndexValue | MarkPrice) else _share_of(old)
    bps = abs(now - before) / whole * BPS if whole else 0.0
    row.sum_bps += bps
    if isfinite(bps) and bps > row.largest_bps:
        row.largest_bps, row.largest_seq = bps, seq


def _key(value: Numbered) -> tuple[str, bool]:
    """A beat may carry an estimate and a final rate of one stream."""
    return stream_of(value), isinstance(value, FundingRate) and value.final


def _figure(value: Numbered | None) -> int | None:
    if value is None:
        return None
    if isinstance(value, FundingRate):
        return value.rate_e8
    return value.price if isinstance(value, IndexValue | MarkPrice) else value.premium_e10


def _share_of(value: Numbered | None) -> int:
    """What a whole is, in the unit of a rate or a premium."""
    return 10**8 if isinstance(value, FundingRate) else 10**10
