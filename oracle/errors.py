"""Every exception the house raises, drawn as one tree.

OracleError
├── ConfigError          a setting is wrong: file, line, key, value, and what to write instead
├── VenueError           a venue's frame is refused, for a named reason (the only error a Session raises)
├── LineError            a venue cannot be dialled, or does not answer, for a named reason
├── FeedError            a message of the trading engine is refused, for a named reason
├── JournalError         a journal file is wrong: path, offset and seq say where
│   ├── JournalUnreadable    it cannot be opened, or is no journal
│   ├── JournalSchemaError   it was written by a newer version: nothing is guessed
│   └── JournalNotDurable    it cannot be written: the service halts
├── KeyFileError         a signing or verifying key is missing, malformed or readable by others
└── ServiceError         the service cannot start or go on: a busy port, a full disk

A bad price is a value (a verdict), a bad peer is an exception, a bad programmer is an assert.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Refusal(StrEnum):
    """Why a frame was refused. One word, one meaning; each is a metric label."""

    TOO_LARGE = "TOO_LARGE"  # more bytes than the venue's frames ever have
    TOO_DEEP = "TOO_DEEP"  # nested beyond any venue's grammar
    NOT_UTF8 = "NOT_UTF8"
    NOT_JSON = "NOT_JSON"  # malformed, NaN, Infinity, BOM, NUL, lone surrogates
    DUPLICATE_KEY = "DUPLICATE_KEY"
    WRONG_SHAPE = "WRONG_SHAPE"  # a field is missing or of another type; text that is no number ("1_000")
    NOT_A_NUMBER = "NOT_A_NUMBER"  # an infinity, NaN, more digits or another magnitude than any market's number has
    NOT_POSITIVE = "NOT_POSITIVE"  # a price or size of zero or below
    OUT_OF_RANGE = "OUT_OF_RANGE"  # a stated rate outside the range it is believed in
    UNKNOWN_SYMBOL = "UNKNOWN_SYMBOL"  # a symbol nobody asked for
    UNKNOWN_MESSAGE = "UNKNOWN_MESSAGE"  # a channel or event nobody asked for
    TIME_UNIT = "TIME_UNIT"  # an event time that cannot be in this venue's unit
    SEQUENCE_GAP = "SEQUENCE_GAP"
    CHECKSUM = "CHECKSUM"
    NO_SNAPSHOT = "NO_SNAPSHOT"  # a delta before the book it changes
    OLD_DIALECT = "OLD_DIALECT"  # a grammar the venue has retired and nobody is served by
    VENUE_ERROR = "VENUE_ERROR"  # the venue itself says that something is wrong


class OracleError(Exception):
    """The root: catch it at the edge of a command, never in between."""


class ConfigError(OracleError):
    """A setting is wrong. One line says where, what, and what would be right."""

    def __init__(
        self, problem: str, *, file: str = "", line: int = 0, key: str = "", value: object = None, remedy: str = ""
    ) -> None:
        self.problem, self.file, self.line, self.key, self.value, self.remedy = problem, file, line, key, value, remedy
        where = f"{file}:{line}: " if file and line else f"{file}: " if file else ""
        what = f"{key} = {value!r}: " if key and value is not None else f"{key}: " if key else ""
        super().__init__(f"{where}{what}{problem}" + (f" ({remedy})" if remedy else ""))


class VenueError(OracleError):
    """A frame is refused whole: nothing of it counts. `reason` is the metric label."""

    def __init__(self, reason: Refusal, detail: str = "") -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}" if detail else str(reason))


class LineError(OracleError):
    """A venue cannot be dialled, or an HTTP request is not answered. `reason` is the metric label.

    `status` is the HTTP status, 0 when there is none; `retry_after_s` is what the venue asked for, 0.0 when nothing.
    """

    def __init__(self, reason: str, detail: str = "", *, status: int = 0, retry_after_s: float = 0.0) -> None:
        self.reason, self.detail, self.status, self.retry_after_s = reason, detail, status, retry_after_s
        super().__init__(f"{reason}: {detail}" if detail else reason)


class FeedError(OracleError):
    """A message of the trading engine is refused and has no effect. `reason` is the metric label."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}" if detail else reason)


class JournalError(OracleError):
    """A journal is wrong at a place."""

    def __init__(
        self, problem: str, *, path: Path | str = "", offset: int | None = None, seq: int | None = None
    ) -> None:
        self.problem, self.path, self.offset, self.seq = problem, str(path), offset, seq
        place = str(path) + (f" @{offset}" if offset is not None else "") + (f" seq {seq}" if seq is not None else "")
        super().__init__(f"{place}: {problem}" if place else problem)


class JournalUnreadable(JournalError):
    """It cannot be opened, or is no journal."""


class JournalSchemaError(JournalError):
    """It was written by a newer version of the program."""


class JournalNotDurable(JournalError):
    """It cannot be written. Whoever catches this publishes nothing more."""


class KeyFileError(OracleError):
    """A key file is missing, malformed or too widely readable."""


class ServiceError(OracleError):
    """The service cannot start or go on; the message says what to do."""
