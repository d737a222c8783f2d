"""What differs between the values a journal recorded and the values that come out now, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from msgspec import Struct

from oracle.core.types import Alert, FundingRate, IndexValue, MarkPrice, PremiumSample, Value, VerdictChange

ABSENT = "absent"  # one side has a value that the other has not
Numbered: TypeAlias = IndexValue | MarkPrice | PremiumSample | FundingRate


class Difference(Struct, frozen=True):
    """One field of one value. `kind` is the name of the value's type."""

    seq: int
    instrument: str
    kind: str
    field: str
    recorded: object
    recomputed: object

    def __str__(self) -> str:
        return f"{self.instrument} {self.kind}.{self.field}: recorded {self.recorded}, recomputed {self.recomputed}"


def instrument_of(value: Value) -> str:
    """What a value is about."""
    return value.target if isinstance(value, Alert) else value.instrument


def stream_of(value: Numbered) -> str:
    """The stream a value belongs to: one for each type and instrument."""
    return f"{type(value).__name__} {value.instrument}"


def numbered(values: Sequence[Value]) -> Iterator[Numbered]:
    """The values that carry a seq of their own."""
    for value in values:
        if not isinstance(value, VerdictChange | Alert):
            yield value


def differences(seq: int, recorded: Sequence[Value], recomputed: Sequence[Value]) -> Iterator[Difference]:
    """Every field that differs at beat `seq`; values are paired by their place."""
    for place in range(max(len(recorded), len(recomputed))):
        old = recorded[place] if place < len(recorded) else None
        new = recomputed[place] if place < len(recomputed) else None
        if old is not None and new is not None and type(old) is type(new) and instrument_of(old) == instrument_of(new):
            yield from _fields(seq, old, new)
            continue
        for value, is_old in ((old, True), (new, False)):
            if value is not None:
                sides = (value, ABSENT) if is_old else (ABSENT, value)
                yield Difference(seq, instrument_of(value), type(value).__name__, "value", *sides)


def _fields(seq: int, old: Value, new: Value) -> Iterator[Difference]:
    for name in old.__struct_fields__:
        before, now = getattr(old, name), getattr(new, name)
        if before != now:
            yield Difference(seq, instrument_of(old), type(old).__name__, name, before, now)
