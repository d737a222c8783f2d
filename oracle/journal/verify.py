"""Verifies a journal without trusting who wrote it: every digest, every seal, every seq, every value computed again.

The journal is cut into pieces that several processes audit; here they are planned, joined, and reported.
"""

from __future__ import annotations

import mmap
import os
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from oracle.core import wire
from oracle.core.types import NANOS_PER_S, Nanos
from oracle.errors import JournalSchemaError, JournalUnreadable
from oracle.journal import chain
from oracle.journal.audit import Audited, Counts, Finding, Kind, Piece, audit, digest_in
from oracle.journal.lines import HeadLine, Torn, state_of
from oracle.journal.reader import Segment, raw_lines, segments
from oracle.journal.stepping import MakeEngine, this_version

PIECE_BYTES_MIN = 4 << 20  # starting a process costs about as much as verifying this much
PIECES_PER_PROCESS = 4  # so that no process waits long for the slowest
_state_line = re.compile(rb'\n([0-9a-f]{64}) \["state",')


class Report(Struct):
    """What verification found. `notes` are worth knowing and not wrong; `torn` is the crash-torn last line, if any."""

    findings: list[Finding] = []
    findings_total: int = 0
    notes: list[str] = []
    counts: Counts = field(default_factory=Counts)
    segments: int = 0
    epochs: int = 0
    torn: Torn | None = None
    sealed_seq: int = 0
    last_seq: int = 0
    first_ns: Nanos = 0
    last_ns: Nanos = 0
    last_hash: str = ""
    processes: int = 1
    elapsed_s: float = 0.0

    @property
    def exit_code(self) -> int:
        """0: clean; 1: findings; 2: it could not be read."""
        if any(finding.kind is Kind.UNREADABLE for finding in self.findings):
            return 2
        return 1 if self.findings_total else 0

    @property
    def lines_per_s(self) -> float:
        """Lines verified a second."""
        return self.counts.lines / self.elapsed_s if self.elapsed_s else 0.0

    @property
    def times_real_time(self) -> float:
        """How much faster than it was lived the journal was verified."""
        return (self.last_ns - self.first_ns) / NANOS_PER_S / self.elapsed_s if self.elapsed_s else 0.0


def verify(
    path: Path,
    make_engine: MakeEngine = this_version,
    public_key: str | None = None,
    processes: int | None = None,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Report:
    """Verify a journal: a directory, or one segment. Raises nothing: what cannot be read is a finding.

    `public_key` (hex) is the key that the seals should be of; None: whatever the heads say. `processes` None: as many
    as there are processors. `progress` hears of pieces done and pieces in all.
    """
    began = time.perf_counter()
    joiner = _Joiner(public_key)
    try:
        here = segments(path)
        workers = processes or _worthwhile(here)
        pieces = list(_planned(here, workers))
        workers = min(workers, len(pieces))
        joiner.report.processes = workers
        for done, (piece, found) in enumerate(_audited(pieces, make_engine, workers), 1):
            joiner.join(piece, found)
            progress(done, len(pieces))
        if not joiner.report.counts.lines:
            joiner.find(path, 0, Kind.UNREADABLE, "the journal is empty")
    except BrokenExecutor:
        joiner.find(path, 0, Kind.UNREADABLE, "a verifying process died, out of memory perhaps: use fewer processes")
    except (JournalUnreadable, JournalSchemaError) as error:
        joiner.find(Path(error.path or path), error.offset or 0, Kind.UNREADABLE, error.problem)
    joiner.report.elapsed_s = time.perf_counter() - began
    return joiner.report


def _worthwhile(here: list[Segment]) -> int:
    """How many processes a journal of this size deserves."""
    size = sum(segment.path.stat().st_size for segment in here if segment.path.exists())
    return min(os.cpu_count() or 1, 1 + size // PIECE_BYTES_MIN)


def _planned(here: list[Segment], workers: int) -> Iterator[Piece]:
    """A piece for each segment; a plain file that is large is cut at its state lines."""
    for segment in here:
        starts: list[tuple[int, bytes | None]] = [(0, None)]
        if segment.path.suffix != ".gz" and workers > 1:
            starts += _cuts(segment.path, workers * PIECES_PER_PROCESS)
        for place, (start, before) in enumerate(starts):
            behind = place + 1 < len(starts)
            end = _line_end(segment.path, starts[place + 1][0]) if behind else None
            yield Piece(segment.path, start, end, segment is here[-1] and not behind, before)


def _cuts(path: Path, pieces: int) -> Iterator[tuple[int, bytes | None]]:
    """Offsets of state lines about as far apart as a piece is long, with what the line before each claims."""
    try:
        size = path.stat().st_size
        step = max(PIECE_BYTES_MIN, size // pieces)
        if size <= step:
            return
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            at = step
            while found := _state_line.search(data, at):
                before = data.rfind(b"\n", 0, found.start()) + 1
                yield found.start() + 1, chain.written_digest(data[before : found.start()])
                at = found.start() + step
    except OSError:
        return  # compressed in the meantime, or unreadable: then it is one piece, and the audit says so


def _line_end(path: Path, offset: int) -> int:
    at, line = next(raw_lines(path, offset))
    return at + len(line)


def _audited(pieces: list[Piece], make_engine: MakeEngine, workers: int) -> Iterator[tuple[Piece, Audited]]:
    """Every piece with what was found, in order."""
    if workers <= 1:
        for piece in pieces:
            yield piece, audit(piece, make_engine)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from zip(pieces, pool.map(partial(audit, make_engine=make_engine), pieces), strict=True)


class _Joiner:
    """Checks what lies between two pieces, and adds them up."""

    def __init__(self, public_key: str | None) -> None:
        self.report = Report()
        self._public_key = public_key.lower() if public_key else None
        self._head: HeadLine | None = None
        self._last: Audited | None = None
        self._seq: int | None = None
        self._values: dict[str, int] = {}

    def find(self, path: Path, offset: int, kind: Kind, text: str) -> None:
        """Note something that is wrong between pieces."""
        self.report.findings_total += 1
        self.report.findings.append(Finding(str(path), offset, self.report.last_seq, kind, text))

    def join(self, piece: Piece, found: Audited) -> None:
        """Take in the next piece."""
        report = self.report
        new_epoch, found_in = False, [replace(f, seq=f.seq or report.last_seq) for f in found.findings]
        if piece.start == 0:
            report.segments += 1
            new_epoch = self._join_head(piece, found)
        self._join_order(piece, found, new_epoch)
        report.findings += found_in
        report.findings_total += found.findings_total
        report.notes += found.notes
        report.counts.add(found.counts)
        report.torn = found.torn
        report.sealed_seq = found.sealed_seq or report.sealed_seq
        report.last_hash = found.follows[-1].hex() if found.follows else ""
        if found.torn is not None:
            text = f"{found.torn.bytes} bytes of a torn last line, never published (SHA-256 {found.torn.sha256})"
            report.notes.append(f"{piece.path} @{found.torn.offset}: {text}")
        self._last = found

    def _join_head(self, piece: Piece, found: Audited) -> bool:
        """Whether the segment continues the one before; the answer tells whether a new process began."""
        head, before = found.head, self._head
        self._head = head
        if head is None:  # the audit found that
            self.report.epochs = self.report.epochs or 1
            return True
        self._join_key(piece, head, before)
        new_epoch = before is None or head.epoch != before.epoch
        self.report.epochs += new_epoch
        if self._last is None:
            self._join_first(piece, head)
            return True
        if digest_in(head.previous) not in self._last.follows:
            self.find(piece.path, 0, Kind.CHAIN, "the segment does not chain to the one before")
        if before is None:
            return True
        if head.segment != before.segment + 1:
            text = f"segment {head.segment} stands behind segment {before.segment}"
            self.find(piece.path, 0, Kind.HEAD, text)
        if head.epoch not in (before.epoch, before.epoch + 1):
            self.find(piece.path, 0, Kind.HEAD, f"epoch {head.epoch} stands behind epoch {before.epoch}")
        self._join_memory(piece, head, before)
        if head.torn is not None:
            text = f"epoch {head.epoch} began after {head.torn.bytes} torn bytes were set aside @{head.torn.offset}"
            self.report.notes.append(f"{piece.path}: {text} of the segment before")
        return new_epoch

    def _join_first(self, piece: Piece, head: HeadLine) -> None:
        if head.segment > 1:
            self.report.notes.append(f"{piece.path}: the journal begins at segment {head.segment}; nothing before it")
        elif digest_in(head.previous) != chain.GENESIS:
            self.find(piece.path, 0, Kind.HEAD, "the first segment claims to follow something")

    def _join_key(self, piece: Piece, head: HeadLine, before: HeadLine | None) -> None:
        if self._public_key is not None and head.public_key != self._public_key:
            self.find(piece.path, 0, Kind.KEY, f"sealed with {head.public_key}, expected {self._public_key}")
        elif before is not None and head.public_key != before.public_key:
            self.report.notes.append(f"{piece.path}: the sealing key changed to {head.public_key}")

    def _join_memory(self, piece: Piece, head: HeadLine, before: HeadLine) -> None:
        """The memory in a head is that of the last beat before it, unless the world itself was changed."""
        if wire.encode(head.world) != wire.encode(before.world):
            self.report.notes.append(f"{piece.path}: epoch {head.epoch} began in another world (parameters, sources)")
            return
        state, last = state_of(head.state), self._last
        if last is None or last.memory is None or (state is None and last.memory_is_null):
            return
        if state is None or sha256(state).digest() != last.memory:
            self.find(piece.path, 0, Kind.STATE, "the memory in the head is not that of the last beat")

    def _join_order(self, piece: Piece, found: Audited, new_epoch: bool) -> None:
        report, order = self.report, found.order
        if self._seq is not None and order.first_seq is not None and order.first_seq != self._seq + 1:
            text = f"beat {order.first_seq} stands behind beat {self._seq}"
            self.find(piece.path, piece.start, Kind.SEQUENCE, text)
        if order.first_ns and order.first_ns < report.last_ns:
            text = f"the first beat is {report.last_ns - order.first_ns} ns older than the last one before"
            self.find(piece.path, piece.start, Kind.TIME, text)
        for instrument, seq in order.first_values.items():
            last = self._values.get(instrument)
            if last is not None and (seq <= last if new_epoch else seq != last + 1):
                self.find(piece.path, piece.start, Kind.SEQUENCE, f"{instrument}: seq {seq} stands behind seq {last}")
        if order.damaged:
            self._seq, self._values = None, {}
        self._seq = order.last_seq if order.last_seq is not None else self._seq
        self._values |= order.last_values
        report.first_ns = report.first_ns or order.first_ns
        report.last_ns = max(report.last_ns, order.last_ns)
        report.last_seq = max(report.last_seq, found.seq)
