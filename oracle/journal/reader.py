"""Reads journals: which files a journal is, their lines, and the verified walk over all of them in order.

A journal is a directory of segments `journal-000001.jsonl`, the closed ones compressed to `.jsonl.gz`; one file alone
is a journal too. Offsets are those of the uncompressed bytes.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import IO, NamedTuple

from oracle.errors import JournalError, JournalUnreadable
from oracle.journal import chain
from oracle.journal.lines import HeadLine, Record, Torn, decode

LINE_BYTES_MAX = 1 << 26
_name = re.compile(r"journal-(\d{6,12})\.jsonl(\.gz)?$")


class Segment(NamedTuple):
    """One file of a journal. `number` 0: the file's name does not say."""

    number: int
    path: Path


class Line(NamedTuple):
    """One verified line: where it stands, its digest, its json as written, and the record in it."""

    path: Path
    offset: int
    digest: bytes
    json: bytes
    record: Record


def segment_name(number: int) -> str:
    """The file name of a segment while it is written."""
    return f"journal-{number:06d}.jsonl"


def segments(path: Path) -> list[Segment]:
    """The files of a journal, in order; a plain file wins over its compressed copy. Raises JournalUnreadable."""
    if path.is_file():
        found = _name.search(path.name)
        return [Segment(int(found[1]) if found else 0, path)]
    here = listed(path)
    if not here:
        raise JournalUnreadable("there is no journal here", path=path)
    return here


def listed(directory: Path) -> list[Segment]:
    """The segments in a directory, in order; none is an answer too. Raises JournalUnreadable."""
    try:
        names = sorted(directory.iterdir(), reverse=True)
    except OSError as error:
        raise JournalUnreadable(f"cannot be read: {error.strerror}", path=directory) from None
    made: dict[int, Path] = {}
    for path in names:  # the plain file sorts after the compressed one here, so it stays
        if found := _name.fullmatch(path.name):
            made[int(found[1])] = path
    return [Segment(number, made[number]) for number in sorted(made)]


def raw_lines(path: Path, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Offset and bytes of every line from an offset on, unverified; the last may lack its line feed.

    Raises JournalUnreadable when the file cannot be opened, JournalError when its compression is damaged.
    """
    offset = start
    try:
        with _open(path) as stream:
            stream.seek(start)
            while line := stream.readline(LINE_BYTES_MAX):
                if len(line) == LINE_BYTES_MAX:
                    raise JournalUnreadable("a line longer than any journal's", path=path, offset=offset)
                yield offset, line
                offset += len(line)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise JournalError(f"the compressed file is damaged: {error}", path=path, offset=offset) from None
    except OSError as error:
        raise JournalUnreadable(f"cannot be read: {error.strerror}", path=path) from None


def _open(path: Path) -> IO[bytes] | gzip.GzipFile:
    """A segment that was compressed since it was listed is found under its new name."""
    if path.suffix != ".gz":
        try:
            return path.open("rb")
        except FileNotFoundError:
            if not (path := path.with_name(path.name + ".gz")).exists():
                raise
    return gzip.open(path, "rb")


def read_head(path: Path) -> HeadLine:
    """The head of a segment, unverified. Raises JournalError, JournalSchemaError or JournalUnreadable."""
    for _, line in raw_lines(path):
        record = decode(line[chain.JSON_AT :], path, 0)
        if isinstance(record, HeadLine):
            return record
        break
    raise JournalError("the segment does not begin with a head", path=path, offset=0)


class Reader:
    """Walks a journal line by line and believes nothing: an iteration raises JournalError at the first line that does
    not follow the one before. An unfinished last line of the last segment is not an error; `torn` tells of it."""

    def __init__(self, path: Path) -> None:
        self.segments = segments(path)
        self.torn: Torn | None = None

    def __iter__(self) -> Iterator[Line]:
        previous: bytes | None = None
        self.torn = None
        for segment in self.segments:
            for line in self._walk(segment, previous):
                previous = line.digest
                yield line

    def _walk(self, segment: Segment, previous: bytes | None) -> Iterator[Line]:
        for offset, data in raw_lines(segment.path):
            if not data.endswith(b"\n") and segment is self.segments[-1]:
                self.torn = Torn(len(data), offset, sha256(data).hexdigest())
                return
            if previous is None:
                previous = first_previous(data, segment.path)
            if not chain.is_next(previous, data):
                raise JournalError("the chain breaks here: run verify", path=segment.path, offset=offset)
            json = data[chain.JSON_AT : -1]
            previous = bytes.fromhex(data[:64].decode())
            yield Line(segment.path, offset, previous, json, decode(json, segment.path, offset))


def first_previous(line: bytes, path: Path) -> bytes:
    """The digest that a segment's first line says it follows. Raises JournalError or JournalSchemaError."""
    record = decode(line[chain.JSON_AT : -1], path, 0)
    if not isinstance(record, HeadLine):
        raise JournalError("the segment does not begin with a head", path=path, offset=0)
    try:
        previous = bytes.fromhex(record.previous)
    except ValueError:
        previous = b""
    if len(previous) != len(chain.GENESIS):
        raise JournalError("the head names no digest that it follows", path=path, offset=0)
    return previous
