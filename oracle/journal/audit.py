"""Verifies one piece of a journal: chain, seals, order, and every value computed again. Pieces need nobody else.

A piece is a segment, or the part of one between two `state` lines: the engine's memory stands in the file there, so
pieces can be worked on by several processes. Wherever a memory stands, the engine goes on from it; so the findings are
the same however a journal is cut. What concerns two pieces is left to whoever joins them (`verify`).
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import DecodeError, Struct, field

from oracle.core import wire
from oracle.core.types import NANOS_PER_S, Beat, Nanos, Value
from oracle.errors import JournalError, JournalSchemaError, JournalUnreadable, KeyFileError
from oracle.journal import chain
from oracle.journal.compare import differences, numbered
from oracle.journal.keys import public_from_hex
from oracle.journal.lines import BeatLine, HeadLine, Record, SealLine, StateLine, Torn, decode, state_of
from oracle.journal.reader import raw_lines, read_head
from oracle.journal.stepping import MakeEngine, Stepper

UNSEALED_NS_MAX = 2 * NANOS_PER_S
FINDINGS_KEPT_MAX = 200


class Kind(StrEnum):
    """What is wrong."""

    CHAIN = "CHAIN"  # a line does not follow the line before it
    SHAPE = "SHAPE"  # a line is no record, or stands where it must not
    HEAD = "HEAD"  # a segment does not continue the one before
    SEQUENCE = "SEQUENCE"  # a seq is missing, or used twice
    TIME = "TIME"  # time runs backwards
    SEAL = "SEAL"  # a signature is not that of the head's key
    KEY = "KEY"  # the key is not the one it should be
    VALUES = "VALUES"  # the values of a beat come out otherwise
    STATE = "STATE"  # the engine's memory comes out otherwise
    ENGINE = "ENGINE"  # the engine cannot compute a beat at all
    UNREADABLE = "UNREADABLE"


class Finding(Struct, frozen=True):
    """One thing that is wrong. `offset` counts the uncompressed bytes; `seq` is the beat's, or of the last beat."""

    file: str
    offset: int
    seq: int
    kind: Kind
    text: str

    def __str__(self) -> str:
        return f"{self.file} @{self.offset} seq {self.seq}: {self.kind}: {self.text}"


class Counts(Struct):
    """How much was looked at."""

    lines: int = 0
    bytes: int = 0
    beats: int = 0
    values: int = 0
    recomputed: int = 0  # beats
    states: int = 0
    seals: int = 0

    def add(self, other: Counts) -> None:
        """Take another piece's counts in."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Order(Struct):
    """First and last of everything that counts upwards; None where a damaged line leaves it unknown."""

    first_seq: int | None = None
    last_seq: int | None = None
    first_ns: Nanos = 0
    last_ns: Nanos = 0
    first_values: dict[str, int] = {}
    last_values: dict[str, int] = {}
    damaged: bool = False

    def forget(self) -> None:
        """A line could not be trusted: what comes next is not held against what came before."""
        self.damaged = True
        self.last_seq = None
        self.last_values.clear()


class Piece(Struct, frozen=True):
    """Lines of one file. `start` is 0 or the offset of the state line it begins behind; `end` None: the file's end.

    `before` is what the line before that state line claims as its digest.
    """

    path: Path
    start: int
    end: int | None
    ends_journal: bool
    before: bytes | None = None


class Audited(Struct):
    """What a piece gave. `follows` are the digests that the next segment may chain to, `seq` is of the last beat."""

    findings: list[Finding] = []
    findings_total: int = 0
    notes: list[str] = []
    counts: Counts = field(default_factory=Counts)
    order: Order = field(default_factory=Order)
    seq: int = 0
    head: HeadLine | None = None
    follows: tuple[bytes, ...] = ()
    memory: bytes | None = None  # SHA-256 of the engine's memory at the end
    memory_is_null: bool = False  # it may also be written as null: the engine knew nothing and saw no beat
    torn: Torn | None = None
    sealed_seq: int = 0
    sealed_ns: Nanos = 0


def audit(piece: Piece, make_engine: MakeEngine) -> Audited:
    """Verify a piece. Raises JournalSchemaError and JournalUnreadable; everything else becomes a finding."""
    auditor = _Auditor(piece, make_engine)
    try:
        auditor.run()
    except (JournalSchemaError, JournalUnreadable):
        raise
    except JournalError as error:  # the compression is damaged
        auditor.find(error.offset or 0, Kind.CHAIN, error.problem)
        auditor.made.order.forget()
    return auditor.made


class _Auditor:
    def __init__(self, piece: Piece, make_engine: MakeEngine) -> None:
        self.made = Audited()
        self._piece, self._make = piece, make_engine
        self._head: HeadLine | None = None
        self._key: Ed25519PublicKey | None = None
        self._engine: Stepper | None = None
        self._previous: tuple[bytes, ...] = ()  # empty: nothing is known of the line before
        self._seq = 0
        self._unsealed_ns: Nanos | None = None  # the first beat that no seal covers

    def find(self, offset: int, kind: Kind, text: str) -> None:
        """Note something that is wrong."""
        self.made.findings_total += 1
        if len(self.made.findings) < FINDINGS_KEPT_MAX:
            self.made.findings.append(Finding(str(self._piece.path), offset, self._seq, kind, text))

    def run(self) -> None:
        """Every line of the piece."""
        piece, start = self._piece, 0
        if piece.start:
            start = self._begin_behind(piece.start)
        for offset, data in raw_lines(piece.path, start):
            if piece.end is not None and offset >= piece.end:
                break
            self.made.counts.lines += 1
            self.made.counts.bytes += len(data)
            if data.endswith(b"\n"):
                self._line(offset, data)
            else:
                self._unfinished(offset, data)
        if not piece.ends_journal and not self.made.counts.lines and not piece.start:
            self.find(0, Kind.SHAPE, "the segment is empty")
        self.made.follows = self._previous
        if self._engine is not None:
            self.made.memory = sha256(self._engine.state()).digest()
            unmoved = not piece.start and not self.made.counts.beats
            self.made.memory_is_null = unmoved and self._head is not None and state_of(self._head.state) is None

    def _begin_behind(self, offset: int) -> int:
        """Take the memory of the state line there, which the piece before this one verifies."""
        at, data = next(raw_lines(self._piece.path, offset))
        json, claimed = data[chain.JSON_AT : -1], chain.written_digest(data)
        due = [chain.digest(self._piece.before, json)] if self._piece.before is not None else []
        self._previous = (*due, *filter(None, [claimed]))
        try:
            self._know(read_head(self._piece.path))
            record = decode(json) if claimed in due else None
        except JournalSchemaError:
            raise
        except JournalError:
            record = None  # the piece that holds the damaged line finds it
        if isinstance(record, StateLine):
            self._seq = record.seq
            self._remember(at, state_of(record.state))
        return at + len(data)

    def _know(self, head: HeadLine) -> None:
        self._head = head
        try:
            self._key = public_from_hex(head.public_key)
        except KeyFileError:
            self._key = None

    def _line(self, offset: int, data: bytes) -> None:
        json = data[chain.JSON_AT : -1]
        if offset == 0 and chain.written_digest(data) is None and b'["head",' not in data:
            raise JournalUnreadable("this is no journal", path=self._piece.path)
        record = self._decoded(offset, json)
        if offset == 0 and isinstance(record, HeadLine):
            self._know(record)
            self.made.head = record
            self._previous = (digest_in(record.previous),)
        before = self._chained(offset, data, json)
        if before is None or record is None:
            self._engine = None
            self.made.order.forget()
        elif isinstance(record, BeatLine):
            self._beat(offset, record)
        elif isinstance(record, SealLine):
            self._seal(offset, record, before)
        elif isinstance(record, StateLine):
            self._state(offset, record)
        elif offset == 0:
            self._open(record)
        else:
            self.find(offset, Kind.SHAPE, "a head stands in the middle of a segment")

    def _decoded(self, offset: int, json: bytes) -> Record | None:
        try:
            record = decode(json, self._piece.path, offset)
        except JournalSchemaError:
            raise
        except JournalError as error:
            self.find(offset, Kind.SHAPE, error.problem)
            return None
        if offset == 0 and not isinstance(record, HeadLine):
            self.find(offset, Kind.SHAPE, "the segment does not begin with a head")
        return record

    def _chained(self, offset: int, data: bytes, json: bytes) -> bytes | None:
        """The digest of the line before, when this line follows it; else None, and a finding."""
        claimed = chain.written_digest(data)
        due = {chain.digest(previous, json): previous for previous in self._previous}
        if claimed in due:
            self._previous = (claimed,)
            return due[claimed]
        if self._previous or claimed is None:
            self.find(offset, Kind.CHAIN, "this line or the one before it was changed, removed or put in")
        self._previous = (*due, *filter(None, [claimed]))
        return None

    def _unfinished(self, offset: int, data: bytes) -> None:
        """The last line has no line feed: torn by a crash, unless it is whole but for that byte, or more follows."""
        whole = any(chain.is_next(previous, data[:-1] + b"\n") for previous in self._previous)
        if self._piece.ends_journal and not whole:
            self.made.torn = Torn(len(data), offset, sha256(data).hexdigest())
            return
        self.find(offset, Kind.CHAIN, "the last line's end was changed" if whole else "the segment ends within a line")
        self._engine = None
        self.made.order.forget()

    def _open(self, head: HeadLine) -> None:
        if self._key is None:
            self.find(0, Kind.KEY, "the head's public key is none, so no seal can be checked")
        self._remember(0, state_of(head.state))

    def _remember(self, offset: int, state: bytes | None) -> None:
        """Go on from a recorded memory."""
        self._engine = None
        self._unsealed_ns = None
        if self._head is None:
            return
        try:
            self._engine = self._make(self._head.world, state)
        except Exception as error:  # whatever a foreign memory makes the engine raise is a finding, not our end
            self.find(offset, Kind.ENGINE, f"no engine can be made of this memory: {error!r}"[:300])

    def _state(self, offset: int, line: StateLine) -> None:
        self.made.counts.states += 1
        if self.made.order.last_seq not in (None, line.seq):
            self.find(offset, Kind.SEQUENCE, f"a state of beat {line.seq} stands behind beat {self._seq}")
        recorded = bytes(line.state)
        if self._engine is not None and self._engine.state() != recorded:
            self.find(offset, Kind.STATE, "the engine's memory comes out otherwise")
        self._remember(offset, state_of(line.state))

    def _seal(self, offset: int, line: SealLine, before: bytes) -> None:
        self.made.counts.seals += 1
        if self.made.order.last_seq not in (None, line.seq):
            self.find(offset, Kind.SEQUENCE, f"a seal of beat {line.seq} stands behind beat {self._seq}")
        if self._key is None:
            return
        try:
            self._key.verify(bytes.fromhex(line.signature), chain.seal_message(before, line.seq, line.at_ns))
        except (InvalidSignature, ValueError, OverflowError):
            self.find(offset, Kind.SEAL, "the signature is not that of the head's key")
            return
        self._unsealed_ns = None
        self.made.sealed_seq, self.made.sealed_ns = line.seq, line.at_ns

    def _beat(self, offset: int, line: BeatLine) -> None:
        self._in_order(offset, line)
        recorded = bytes(line.values)
        values = self._recompute(offset, line, recorded)
        if values is None:
            try:
                values = wire.decode_values(recorded)
            except DecodeError as error:
                self.find(offset, Kind.SHAPE, f"the values are none: {error}"[:300])
                return
        self.made.counts.values += len(values)
        self._values_in_order(offset, values)

    def _in_order(self, offset: int, line: BeatLine) -> None:
        order = self.made.order
        self._seq = self.made.seq = line.seq
        self.made.counts.beats += 1
        if order.last_seq is not None and line.seq != order.last_seq + 1:
            self.find(offset, Kind.SEQUENCE, f"beat {line.seq} stands behind beat {order.last_seq}")
        if line.at_ns < order.last_ns:
            self.find(offset, Kind.TIME, f"the beat is {order.last_ns - line.at_ns} ns older than the one before")
        if order.first_seq is None and not order.damaged:
            order.first_seq = line.seq
        order.first_ns = order.first_ns or line.at_ns
        order.last_seq, order.last_ns = line.seq, line.at_ns
        if self._unsealed_ns is None:
            self._unsealed_ns = line.at_ns
        elif 0 <= self._unsealed_ns < line.at_ns - UNSEALED_NS_MAX:
            self._unsealed_ns = -1  # said once for each stretch
            self.made.notes.append(f"{self._piece.path} @{offset}: no seal for more than 2 s before beat {line.seq}")

    def _recompute(self, offset: int, line: BeatLine, recorded: bytes) -> tuple[Value, ...] | None:
        """The values, when they come out as recorded; else None, with a finding if there is an engine to ask."""
        if self._engine is None:
            return None
        try:
            values = self._engine.step(Beat(line.seq, line.at_ns, line.seen, line.dropped))
        except Exception as error:  # as above: an engine that refuses a recorded beat is a finding
            self.find(offset, Kind.ENGINE, f"the engine fails on this beat: {error!r}"[:300])
            self._engine = None
            return None
        self.made.counts.recomputed += 1
        if wire.encode(values) == recorded:
            return values
        self.find(offset, Kind.VALUES, _first_difference(line.seq, recorded, values))
        return None

    def _values_in_order(self, offset: int, values: tuple[Value, ...]) -> None:
        """An instrument's values of one beat share one seq, and it is the next one."""
        order = self.made.order
        now: dict[str, int] = {}
        for value in numbered(values):
            instrument, seq = value.instrument, value.seq
            if instrument in now:
                if seq != now[instrument]:
                    self.find(offset, Kind.SEQUENCE, f"{instrument}: seqs {now[instrument]} and {seq} in one beat")
                continue
            now[instrument] = seq
            last = order.last_values.get(instrument)
            if last is not None and seq != last + 1:
                self.find(offset, Kind.SEQUENCE, f"{instrument}: seq {seq} stands behind seq {last}")
            elif last is None and not order.damaged:
                order.first_values[instrument] = seq
        order.last_values.update(now)


def digest_in(text: str) -> bytes:
    """The digest that a head names, or nothing that any digest equals."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _first_difference(seq: int, recorded: bytes, recomputed: tuple[Value, ...]) -> str:
    try:
        first = next(differences(seq, wire.decode_values(recorded), recomputed), None)
    except DecodeError:
        first = None
    return "the values come out otherwise" + (f": {first}" if first is not None else "")
