"""Where a journal ends, and the engine's memory at that place. A torn end is set aside, never deleted.

Bytes after the last valid line are a torn tail when nothing valid follows them: a crash leaves that, and recovery moves
them into a side file. When a valid line does follow, something else happened, and recovery refuses to go on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from itertools import count
from pathlib import Path

import msgspec
from msgspec import Struct

from oracle.core import wire
from oracle.core.params import World
from oracle.core.types import Beat, Nanos
from oracle.errors import JournalError, JournalSchemaError
from oracle.journal import chain
from oracle.journal.disk import DirectoryLock, sync_directory
from oracle.journal.lines import BeatLine, HeadLine, Record, StateLine, Torn, decode, state_of
from oracle.journal.reader import Segment, first_previous, listed, raw_lines
from oracle.journal.stepping import MakeEngine, Stepper, this_version


class Recovered(Struct, frozen=True):
    """The end of a journal. All zero and None: there is no journal yet.

    `state_bytes` is the engine's memory after beat `last_seq`, in `world`. `differing` counts the replayed beats whose
    values this version of the program computes differently.
    """

    state_bytes: bytes | None = None
    segment: int = 0
    epoch: int = 0
    last_seq: int = 0
    last_ns: Nanos = 0
    last_hash: bytes = chain.GENESIS
    torn: Torn | None = None
    world: World | None = None
    replayed: int = 0
    differing: int = 0


class _End(Struct):
    """What the walk over a segment found: the last sound line, and the last memory with where its beats begin."""

    path: Path
    offset: int = 0
    digest: bytes = chain.GENESIS
    head: HeadLine | None = None
    state: bytes | None = None
    replay_from: int = 0
    last: BeatLine | None = None


def recover(directory: Path, make_engine: MakeEngine = this_version) -> Recovered:
    """Find the end of the journal in a directory, set a torn tail aside, and bring the engine's memory up to it.

    Raises JournalError: another process writes here, the damage is no torn tail, or the beats cannot be replayed;
    JournalSchemaError: a newer version wrote it; JournalUnreadable.
    """
    lock = DirectoryLock(directory)
    try:
        return _recover(directory, make_engine)
    except OSError as error:
        problem = f"cannot be recovered: {error.strerror or error} (make room or mend the disk, then start again)"
        raise JournalError(problem, path=directory) from error
    finally:
        lock.release()


def _recover(directory: Path, make_engine: MakeEngine) -> Recovered:
    torn: Torn | None = None
    for segment in reversed(listed(directory)):
        end = _walk(segment)
        torn = _set_aside(end) or torn
        if end.head is not None:
            last = end.last or _last_beat_before(directory, segment)
            return _brought_up(end, end.head, last, torn, make_engine)
        end.path.unlink()  # not even its head was written: its bytes, if any, are in the side file
    return Recovered(torn=torn)


def _walk(segment: Segment) -> _End:
    """Follow the chain of a segment as far as it holds."""
    end = _End(segment.path)
    for offset, line in raw_lines(segment.path):
        if not line.endswith(b"\n"):
            break
        if offset == 0:
            try:
                end.digest = first_previous(line, segment.path)
            except JournalSchemaError:
                raise
            except JournalError:
                break
        if not chain.is_next(end.digest, line):
            break
        end.digest, end.offset = bytes.fromhex(line[:64].decode()), offset + len(line)
        _take(end, decode(line[chain.JSON_AT : -1], segment.path, offset))
    return end


def _take(end: _End, record: Record) -> None:
    if isinstance(record, BeatLine):
        end.last = record
    elif isinstance(record, HeadLine | StateLine):
        end.state, end.replay_from = state_of(record.state), end.offset
        if isinstance(record, HeadLine):
            end.head = record


def _set_aside(end: _End) -> Torn | None:
    """Move what follows the last sound line into a side file. Raises JournalError when it holds sound lines."""
    tail = b"".join(line for _, line in raw_lines(end.path, end.offset))
    if not tail:
        return None
    found = chain.sound_line_in(end.digest, tail)
    if found is not None or end.path.suffix == ".gz":
        problem = "damaged here, and sound lines follow: this is no torn tail, so nothing was changed; run verify"
        raise JournalError(problem, path=end.path, offset=end.offset, seq=end.last.seq if end.last else None)
    _keep(end.path, tail)
    with end.path.open("r+b") as stream:
        stream.truncate(end.offset)
        os.fsync(stream.fileno())
    sync_directory(end.path.parent)
    return Torn(len(tail), end.offset, sha256(tail).hexdigest())


def _keep(path: Path, tail: bytes) -> None:
    """Write bytes to the next free side file of a segment."""
    stem = path.name.removesuffix(".jsonl")
    free = next(side for n in count(1) if not (side := path.with_name(f"{stem}.torn-{n}")).exists())
    try:
        with free.open("xb") as stream:
            stream.write(tail)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        free.unlink(missing_ok=True)  # a full disk is tried again and again
        raise


def _last_beat_before(directory: Path, segment: Segment) -> BeatLine | None:
    """The last beat of the segments before one that has none."""
    for earlier in reversed(listed(directory)):
        if earlier.number < segment.number and (last := _walk(earlier).last) is not None:
            return last
    return None


def _brought_up(
    end: _End, head: HeadLine, last: BeatLine | None, torn: Torn | None, make_engine: MakeEngine
) -> Recovered:
    state, replayed, differing = end.state, 0, 0
    if end.last is not None:
        engine = _made(make_engine, head.world, state, end.path)
        for line in _beats(end):
            replayed += 1
            differing += _differs(engine, line, end.path)
        state = engine.state()
    return Recovered(
        state_bytes=state,
        segment=head.segment,
        epoch=head.epoch,
        last_seq=last.seq if last else 0,
        last_ns=last.at_ns if last else 0,
        last_hash=end.digest,
        torn=torn,
        world=head.world,
        replayed=replayed,
        differing=differing,
    )


def _beats(end: _End) -> Iterator[BeatLine]:
    """The beats since the last memory. Their chain has been followed already."""
    for offset, line in raw_lines(end.path, end.replay_from):
        record = decode(line[chain.JSON_AT : -1], end.path, offset)
        if isinstance(record, BeatLine):
            yield record


def _made(make_engine: MakeEngine, world: World, state: bytes | None, path: Path) -> Stepper:
    try:
        return make_engine(world, state)
    except msgspec.DecodeError as error:
        problem = f"the engine's memory has another shape in this version ({error}): use the version that wrote it"
        raise JournalSchemaError(problem, path=path) from error
    except Exception as error:
        raise JournalError(f"no engine can be made of the last memory: {error!r}", path=path) from error


def _differs(engine: Stepper, line: BeatLine, path: Path) -> bool:
    """Step a recorded beat; whether its values come out otherwise than recorded."""
    try:
        values = engine.step(Beat(line.seq, line.at_ns, line.seen, line.dropped))
    except Exception as error:
        raise JournalError(f"the engine fails on a recorded beat: {error!r}", path=path, seq=line.seq) from error
    return wire.encode(values) != bytes(line.values)
