"""The records a journal is made of, as they stand in its lines. Order of fields is the format; new ones go last.

`head` opens a segment and carries everything its beats are judged by; `beat` is one calculation with what it saw and
what it said; `state` is the engine's memory after a beat; `seal` signs everything before it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import Raw, Struct

from oracle.core import wire
from oracle.core.params import World
from oracle.core.types import Nanos, Observation, Value
from oracle.errors import JournalError, JournalSchemaError

SCHEMA = 2
NO_STATE = Raw(b"null")


class Torn(Struct, frozen=True):
    """The bytes that recovery took off the end of the segment before: how many, from where, and their digest."""

    bytes: int
    offset: int
    sha256: str


class HeadLine(Struct, frozen=True, array_like=True, tag="head"):
    """First line of a segment. `epoch` counts process starts; `state` is the engine's memory, or null: it knew nothing.

    `public_key` is the raw Ed25519 key of the seals, `previous` the digest of the last line before, both in hex.
    """

    schema: int
    segment: int
    epoch: int
    code_version: str
    created_ns: Nanos
    public_key: str
    previous: str
    world: World
    state: Raw
    torn: Torn | None


class BeatLine(Struct, frozen=True, array_like=True, tag="beat"):
    """A beat as it is read back: `values` stay bytes until somebody wants them."""

    seq: int
    at_ns: Nanos
    seen: tuple[Observation, ...]
    dropped: int
    values: Raw


class SpokenBeat(Struct, frozen=True, gc=False, array_like=True, tag="beat"):
    """A beat as it is written: a BeatLine that still holds its values."""

    seq: int
    at_ns: Nanos
    seen: tuple[Observation, ...]
    dropped: int
    values: tuple[Value, ...]


class StateLine(Struct, frozen=True, array_like=True, tag="state"):
    """The engine's memory after beat `seq`."""

    seq: int
    state: Raw


class SealLine(Struct, frozen=True, array_like=True, tag="seal"):
    """An Ed25519 signature, in hex, over `chain.seal_message`."""

    seq: int
    at_ns: Nanos
    signature: str


Record: TypeAlias = HeadLine | BeatLine | StateLine | SealLine

_decoder = msgspec.json.Decoder(Record)
_schema = re.compile(rb'\["head",(\d{1,9})[,\]]')


def encode(record: HeadLine | SpokenBeat | StateLine | SealLine) -> bytes:
    """The json of a record. Equal records give equal bytes."""
    return wire.encode(record)


def decode(json: bytes, path: Path | str = "", offset: int | None = None) -> Record:
    """The record in a line's json. Raises JournalSchemaError for another schema, JournalError for no record.

    A parameter that a schema does not know has no value to compute with, so none but its own is read.
    """
    if (found := _schema.match(json)) and (schema := int(found[1])) != SCHEMA:
        age, remedy = ("newer", "upgrade first") if schema > SCHEMA else ("older", "read it with that version")
        problem = f"written by a {age} version (schema {schema}, this one reads {SCHEMA}): {remedy}"
        raise JournalSchemaError(problem, path=path, offset=offset)
    try:
        return _decoder.decode(json)  # type: ignore[no-any-return]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise JournalError(f"no record of a journal: {error}", path=path, offset=offset) from None


def state_of(raw: Raw) -> bytes | None:
    """The state bytes that a head or state line carries; None for null."""
    state = bytes(raw)
    return None if state == b"null" else state
