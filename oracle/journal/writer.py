"""Writes a journal: a line is durable before anyone hears of it, or the service halts.

Not thread-safe: one thread, the loop's, calls a Writer. The Writer reads no clock; times come with the beats.
"""

from __future__ import annotations

import os
from asyncio import AbstractEventLoop
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Raw, Struct

from oracle.core.params import World
from oracle.core.types import NANOS_PER_MS, Beat, Nanos, Value
from oracle.errors import JournalError, JournalNotDurable
from oracle.journal import chain
from oracle.journal.disk import Compressor, DirectoryLock, Sink, Synced, Then, Written
from oracle.journal.keys import public_hex
from oracle.journal.lines import NO_STATE, SCHEMA, HeadLine, SealLine, SpokenBeat, StateLine, Torn, encode
from oracle.journal.reader import listed, segment_name
from oracle.journal.recovery import Recovered

SEGMENT_BYTES_MAX = 64 << 20
SNAPSHOT_MS = 60_000


class Durability(StrEnum):
    """When a line counts as durable."""

    WRITTEN = "written"  # the operating system has it: it survives the death of the process
    SYNCED = "synced"  # the disk has it: it survives the death of the machine


class Opening(Struct, frozen=True):
    """What a process writes into the head of its first segment, and the world into every later one.

    `state` is the engine's memory it begins with: the recovered one, or None when it knows nothing.
    """

    world: World
    state: bytes | None
    code_version: str
    created_ns: Nanos


class Writer:
    """The one writer of a directory. Opening it begins a new epoch in a new segment."""

    def __init__(
        self,
        directory: Path,
        recovered: Recovered,
        opening: Opening,
        key: Ed25519PrivateKey,
        *,
        durability: Durability = Durability.WRITTEN,
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
        snapshot_ms: int = SNAPSHOT_MS,
        loop: AbstractEventLoop | None = None,
        on_failure: Callable[[JournalNotDurable], object] = lambda error: None,
    ) -> None:
        """`loop` is needed for SYNCED alone; `on_failure` is called in it when the thread's writing fails.

        Raises JournalError when another process writes here or wrote since the recovery, JournalNotDurable when the
        head cannot be written.
        """
        assert loop is not None or durability is Durability.WRITTEN, "synced needs a loop"
        self._directory, self._key, self._opening = directory, key, opening
        self._public_key = public_hex(key)
        self._segment_bytes_max, self._snapshot_ns = segment_bytes_max, snapshot_ms * NANOS_PER_MS
        self._epoch, self._segment, self._hash = recovered.epoch + 1, recovered.segment, recovered.last_hash
        self._at_ns = self._snapshot_at_ns = opening.created_ns
        self._bytes = self._bytes_total = self._lines_total = 0
        self._failure: str | None = None
        self._closed = False
        self._lock = DirectoryLock(directory)
        try:
            closed = self._closed_before(recovered)
            descriptor = self._create()
            self._sink: Sink = Written(descriptor, directory)
            if loop is not None and durability is Durability.SYNCED:
                self._sink = Synced(descriptor, directory, loop, on_failure)
        except BaseException:
            self._lock.release()
            raise
        self._compressor = Compressor()
        try:
            self._write_head(opening.state, recovered.torn)
        except JournalNotDurable:
            self.close()
            raise
        for path in closed:
            self._compressor.submit(path)

    @property
    def path(self) -> Path:
        """The segment that is written now."""
        return self._directory / segment_name(self._segment)

    @property
    def segment(self) -> int:
        """The number of the segment that is written now."""
        return self._segment

    @property
    def epoch(self) -> int:
        """Which start of a process this is, counted from 1."""
        return self._epoch

    @property
    def last_hash(self) -> bytes:
        """The digest of the last line."""
        return self._hash

    @property
    def bytes_written(self) -> int:
        """Bytes in the segment that is written now."""
        return self._bytes

    @property
    def lines_total(self) -> int:
        """Lines written since the start."""
        return self._lines_total

    @property
    def bytes_total(self) -> int:
        """Bytes written since the start."""
        return self._bytes_total

    def append(self, beat: Beat, values: tuple[Value, ...], then: Then | None = None) -> None:
        """Write a beat and what it said; `then` is called once the line is durable.

        WRITTEN: `then` has been called when this returns. SYNCED: it is called in the loop, later, in order.
        Raises JournalNotDurable, now and ever after.
        """
        self._at_ns = beat.at_ns
        self._write(encode(SpokenBeat(beat.seq, beat.at_ns, beat.seen, beat.dropped, values)), then)

    def seal(self, seq: int, at_ns: Nanos, then: Then | None = None) -> None:
        """Sign everything so far. `seq` is the last beat's. Raises JournalNotDurable."""
        signature = self._key.sign(chain.seal_message(self._hash, seq, at_ns)).hex()
        self._write(encode(SealLine(seq, at_ns, signature)), then)

    def snapshot_due(self, at_ns: Nanos) -> bool:
        """Whether `snapshot` should be called now: the last one is old, or the segment is full."""
        return at_ns - self._snapshot_at_ns >= self._snapshot_ns or self._bytes >= self._segment_bytes_max

    def snapshot(self, seq: int, state: bytes) -> None:
        """Write the engine's memory after beat `seq`; into the head of a new segment, when this one is full.

        Raises JournalNotDurable.
        """
        self._snapshot_at_ns = self._at_ns
        if self._bytes < self._segment_bytes_max:
            self._write(encode(StateLine(seq, Raw(state))), None)
            return
        self._raise_if_failed()
        full = self.path
        try:
            descriptor = self._create()
        except JournalError as error:
            self._failure = str(error)
            self._raise_if_failed()
        self._sink.turn_to(descriptor, lambda: self._compressor.submit(full))
        self._write_head(state, None)

    def close(self) -> None:
        """Bring everything to the disk, let a running compression finish, and give the directory up. Once is enough."""
        if self._closed:
            return
        self._closed = True
        self._failure = self._failure or "the writer is closed"
        self._sink.close()
        self._compressor.close()
        self._lock.release()

    def _write(self, json: bytes, then: Then | None) -> None:
        if self._failure is not None:
            self._raise_if_failed()
        self._hash, line = chain.link(self._hash, json)
        self._sink.write(line, then)
        self._bytes += len(line)
        self._bytes_total += len(line)
        self._lines_total += 1

    def _raise_if_failed(self) -> None:
        if self._failure is not None:
            raise JournalNotDurable(self._failure, path=self.path)

    def _write_head(self, state: bytes | None, torn: Torn | None) -> None:
        head = HeadLine(
            schema=SCHEMA,
            segment=self._segment,
            epoch=self._epoch,
            code_version=self._opening.code_version,
            created_ns=self._at_ns,
            public_key=self._public_key,
            previous=self._hash.hex(),
            world=self._opening.world,
            state=NO_STATE if state is None else Raw(state),
            torn=torn,
        )
        self._write(encode(head), None)

    def _create(self) -> int:
        """Begin the next segment's file."""
        self._segment += 1
        self._bytes = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        try:
            descriptor = os.open(self.path, flags, 0o644)
        except OSError as error:
            raise JournalNotDurable(f"the segment cannot be made: {error.strerror}", path=self.path) from error
        return descriptor

    def _closed_before(self, recovered: Recovered) -> list[Path]:
        """The closed segments that still wait for compression. Whatever an interrupted compression left, goes."""
        here = listed(self._directory)
        if (here[-1].number if here else 0) != recovered.segment:
            raise JournalError("another process wrote here since the recovery: start again", path=self._directory)
        for unfinished in self._directory.glob("journal-*.jsonl.gz.tmp"):
            unfinished.unlink()
        return [segment.path for segment in here if segment.path.suffix != ".gz"]
