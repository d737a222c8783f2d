"""Bad messages of a dialect in protobuf: the same damages done to the texts and integers of fields, and the wire's own.

A field's bytes are taken for a message when they read as one and are no plain text, so no schema is needed here.
"""

from __future__ import annotations

import string
from collections.abc import Iterator
from typing import NamedTuple

from oracle.errors import Refusal
from tests.venues import damages as d
from tests.venues import misshapen
from tests.venues.damages import Damage

VARINT, BYTES = 0, 2
PLAIN = frozenset(string.printable.encode()) - frozenset(b"\t\n\r\x0b\x0c")
ANY_SHAPE = (Refusal.WRONG_SHAPE, Refusal.NOT_JSON, Refusal.NOT_UTF8, Refusal.UNKNOWN_MESSAGE, Refusal.TOO_DEEP)
SHAPES = (*ANY_SHAPE, Refusal.UNKNOWN_SYMBOL, Refusal.TIME_UNIT, Refusal.DUPLICATE_KEY, Refusal.NOT_POSITIVE)


class Field(NamedTuple):
    """A field of a message: its number, and an integer, a text or fields of its own."""

    number: int
    value: int | bytes | tuple[Field, ...]

    def wire(self) -> bytes:
        """The field as it is sent."""
        if isinstance(self.value, int):
            return varint(self.number << 3 | VARINT) + varint(self.value)
        body = self.value if isinstance(self.value, bytes) else wire(self.value)
        return varint(self.number << 3 | BYTES) + varint(len(body)) + body


Fields = tuple[Field, ...]
Path = tuple[int, ...]


def wire(fields: Fields) -> bytes:
    """A message as it is sent."""
    return b"".join(field.wire() for field in fields)


def varint(value: int, least: int = 1) -> bytes:
    """An integer in groups of seven bits, in at least so many bytes."""
    made: list[int] = []
    while value > 127 or len(made) < least - 1:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes((*made, value))


def parsed(data: bytes) -> Fields:
    """The fields of a message. Raises ValueError when it is none."""
    fields, at = [], 0
    while at < len(data):
        tag, at = _integer(data, at)
        value: int | bytes | Fields
        number, at = _integer(data, at)
        value = number
        if tag & 7 == BYTES:
            body, at = data[at : at + number], at + number
            if at > len(data):
                raise ValueError("beyond the end")
            value = body if frozenset(body) <= PLAIN else parsed(body)
        elif tag & 7 != VARINT:
            raise ValueError("another wire type")
        fields.append(Field(tag >> 3, value))
    return tuple(fields)


def _integer(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(at, len(data)):
        value |= (data[place] & 127) << 7 * (place - at)
        if data[place] < 128:
            return value, place + 1
    raise ValueError("no end")


def leaves(fields: Fields, here: Path = ()) -> Iterator[tuple[Path, int | bytes]]:
    """The path of every integer and text, by the places of fields in their messages."""
    for place, field in enumerate(fields):
        if isinstance(field.value, tuple):
            yield from leaves(field.value, (*here, place))
        else:
            yield (*here, place), field.value


def put(fields: Fields, path: Path, other: tuple[Field, ...]) -> Fields:
    """The message with other fields where one stood."""
    place, *below = path
    one = fields[place]
    if below:
        assert isinstance(one.value, tuple)
        other = (one._replace(value=put(one.value, tuple(below), other)),)
    return fields[:place] + other + fields[place + 1 :]


def at(fields: Fields, path: Path) -> Field:
    """The field at a path."""
    one = fields[path[0]]
    if len(path) == 1:
        return one
    assert isinstance(one.value, tuple)
    return at(one.value, path[1:])


def of_field(fields: Fields, path: Path, role: str, symbol: bytes, booked: bool) -> Iterator[Damage]:
    """What can stand where a text or an integer stood."""
    where = f"{role} at {'.'.join(map(str, path))}"
    one = at(fields, path)

    def bad(name: str, value: int | bytes, reasons: d.Reasons, *may: str) -> Damage:
        return Damage(name, where, wire(put(fields, path, (one._replace(value=value),))), reasons, may)

    if role in ("price", "size", "bid", "bid_size", "ask", "ask_size"):
        for name, text in d.NO_NUMBERS.items():
            yield bad(f"{name} for a number", text.encode(), (*d.SHAPE, *d.JSON))
        for name, text in d.INFINITE_TEXTS.items():
            yield bad(f"{name} for a number", text.encode(), d.BEYOND)
        for name, (digits, reasons) in d.ABSURD.items():
            yield bad(f"{name} for a number", digits.encode(), reasons)
        for name, digits in d.ZEROS.items():
            yield bad(f"{name} for a number", digits.encode(), d.POSITIVE, *(["empty"] if booked else []))
    elif role == "venue_ns":
        assert isinstance(one.value, int)
        for name, unit_ns in d.UNITS.items():
            if (value := d.AT_NS // unit_ns) != one.value:
                yield bad(f"{name} for a unit for a time", value, d.UNIT)
        for name, apart_s in d.APART_S.items():
            yield bad(f"{name} for a time", one.value + apart_s * 1_000, d.UNIT)
        for name, value in (
            ("zero", 0),
            ("one", 1),
            ("2^31", 1 << 31),
            ("2^63", 1 << 63),
            ("minus one", (1 << 64) - 1),
        ):
            yield bad(f"a time of {name} for a time", value, d.UNIT)
        yield bad("a time of more than 64 bits for a time", 1 << 64, d.SHAPE)
    elif role == "symbol":
        assert isinstance(one.value, bytes)
        for name, form in d.NO_SYMBOLS.items():
            other = one.value.replace(symbol, form.format(symbol.decode()).encode())
            yield bad(f"{name} for a symbol", other, (*d.SYMBOL, *d.UNASKED))
    elif role == "side":
        for name, value in (("zero", 0), ("three", 3), ("2^63", 1 << 63), ("a negative", (1 << 64) - 1)):
            yield bad(f"{name} for a side", value, d.SHAPE)
    if isinstance(one.value, bytes):
        for name, raw in d.NO_UTF8.items():
            yield bad(f"{name} in a text", one.value[:-1] + raw, SHAPES if role != "unread" else d.UTF8, *_unread(role))


def _unread(role: str) -> tuple[str, ...]:
    return ("same",) if role == "unread" else ()


def of_wire(fields: Fields, paths: dict[Path, str]) -> Iterator[Damage]:
    """What can be wrong with each field, and with the bytes that say where it ends."""
    for path, role in paths.items():
        where, one, may = f"{role} at {path}", at(fields, path), _unread(role)
        length = varint(len(one.value)) if isinstance(one.value, bytes) else b""

        def bad(name: str, reasons: d.Reasons, *other: Field, where: str = where, path: Path = path) -> Damage:
            return Damage(name, where, wire(put(fields, path, other)), reasons, ())

        missing = (*d.SHAPE, *d.POSITIVE)  # a text that is empty is not sent, and no price
        yield bad("a field left out", missing)._replace(may=(*may, "empty"))
        if role != "unread":
            yield bad("a field twice", d.TWICE, one, one)
            yield bad("a field of another number", missing, one._replace(number=one.number + 900))._replace(
                may=("empty",)
            )
            yield bad(
                "a field of another type", d.SHAPE, one._replace(value=7 if isinstance(one.value, bytes) else b"7")
            )
        yield bad("a field of number 0", d.SHAPE, one, Field(0, b"x"))
        for kind, name in ((3, "an open group"), (4, "a closed group"), (6, "wire type 6"), (7, "wire type 7")):
            yield _raw(fields, path, where, name, varint(one.number << 3 | kind) + b"\x01")
        yield _raw(fields, path, where, "a tag that does not end", b"\xff" * 11)
        yield _raw(fields, path, where, "an integer that does not end", varint(990 << 3) + b"\xff" * 11)
        yield _raw(
            fields, path, where, "a length beyond the end", varint(one.number << 3 | BYTES) + b"\xff\x7f" + length
        )
        yield _raw(fields, path, where, "a length of 2^63", varint(one.number << 3 | BYTES) + varint(1 << 63))
        yield _raw(fields, path, where, "a negative length", varint(one.number << 3 | BYTES) + varint((1 << 64) - 1))
        yield _raw(fields, path, where, "a fixed number cut off", varint(990 << 3 | 1) + b"\x00" * 3)


def _raw(fields: Fields, path: Path, where: str, name: str, raw: bytes) -> Damage:
    """A message in which raw bytes stand behind everything in the message of a path."""
    if len(path) == 1:
        return Damage(name, where, wire(fields) + raw, d.SHAPE)
    outer = at(fields, path[:-1])
    assert isinstance(outer.value, tuple)
    return Damage(name, where, wire(put(fields, path[:-1], (outer._replace(value=wire(outer.value) + raw),))), d.SHAPE)


def of_frame(frame: bytes, frame_bytes_max: int) -> Iterator[Damage]:
    """What is no message, or not one whole message."""
    for place in range(len(frame)):
        yield Damage("cut off", f"byte {place}", frame[:place], SHAPES, ("silent", "empty"))
    yield Damage("a message twice", "the frame", frame + frame, (*SHAPES, Refusal.DUPLICATE_KEY))
    yield Damage("a message backwards", "the frame", frame[::-1], SHAPES)
    yield Damage("a message with a byte behind", "the frame", frame + b"\x01", SHAPES)
    yield Damage("a message with a byte before", "the frame", b"\x00" + frame, SHAPES)
    yield Damage("a message behind its length", "the frame", varint(len(frame)) + frame, SHAPES)
    yield Damage("a message in a message", "the frame", Field(1, frame).wire(), SHAPES)
    yield Damage("a message in hexadecimal digits", "the frame", frame.hex().encode(), SHAPES)
    for one in misshapen.of_no_message(frame_bytes_max, frame):
        yield one if one.reasons is d.LARGE else one._replace(reasons=SHAPES)
