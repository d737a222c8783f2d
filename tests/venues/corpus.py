"""The corpus of bad messages: every named damage of `damages`, done to what each venue's own Mimic says.

What a value of a frame means is found out by changing it: the field of the fact that changes with it is its role. So
nothing here knows a dialect, and a venue file is covered on the day it is added.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import msgspec

from oracle.core.types import BookTop, Side, Ticker, TickerKind, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base
from tests.venues import binary, misshapen, subjects
from tests.venues import damages as d
from tests.venues.damages import AT_NS
from tests.venues.jsontext import Node, parsed
from tests.venues.subjects import Stated

FIELDS = ("bid", "bid_size", "ask", "ask_size", "price", "size", "side", "venue_ns")
NUMBERS = FIELDS[:6]
_DIGITS = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]+)?Z")
OTHER_SECOND, OTHER_DAY = "2025-10-09T08:53:21", "2025-10-09"


class Read(NamedTuple):
    """A value of a frame, and what it means."""

    node: Node
    role: str

    @property
    def where(self) -> str:
        """How a failure calls it."""
        return f"{self.role} at {'.'.join(map(str, self.node.path))}"


def events_of(stated: Stated, frame: bytes) -> list[base.Event] | VenueError:
    """What comes of a frame in place of the good one."""
    try:
        return stated.read(stated.heard(), frame)
    except VenueError as error:
        return error


def roles(stated: Stated, nodes: list[Node]) -> Iterator[Read]:
    """Every value that is neither an object nor a list, with its role; `unread` when nothing depends on it."""
    for node in nodes:
        if node.kind not in ("object", "array"):
            yield Read(node, _role(stated, node))


def _role(stated: Stated, node: Node) -> str:
    text, frame = node.text(stated.frame), stated.frame
    if stated.subject.symbol.lower() in text.lower():
        return "symbol" if events_of(stated, node.put(frame, b'"?"')) != stated.said else "unread"
    for other in _others(node, text):
        events = events_of(stated, node.put(frame, other))
        if isinstance(events, VenueError):
            continue
        if changed := _changed(stated, events):
            return changed
    if node.kind != "text":
        return "unread"
    return "word" if events_of(stated, node.put(frame, b'"dance"')) != stated.said else "unread"


def _others(node: Node, text: str) -> Iterator[bytes]:
    """Other values that might stand there."""
    quote = b'"' if node.kind == "text" else b""
    if _ISO.fullmatch(text):
        yield quote + OTHER_SECOND.encode() + text[19:].encode() + quote
    elif _DIGITS.fullmatch(text):
        whole, point, fraction = text.partition(".")
        if fraction:
            yield quote + text.encode() + b"5" + quote
        for step in {13: 1_000, 16: 10**6, 19: 10**9}.get(len(whole), 1), -1, 1:
            yield quote + (str(int(whole) + step) + point + fraction).encode() + quote
    elif text in ("true", "false"):
        yield b"false" if text == "true" else b"true"
    else:
        for word in (("buy", "sell"), ("bid", "ask"), ("b", "s"), ("a", "b")):
            for one, other in (word, word[::-1]):
                if text.lower() == one:
                    said = other.upper() if text.isupper() else other.title() if text.istitle() else other
                    yield d.quoted(said)


def damages(stated: Stated) -> Iterator[d.Damage]:
    """Every bad message that this good one can be made into."""
    frame, pack = stated.frame, stated.subject.pack
    if not stated.is_json:
        yield from _of_binary(stated)
        return
    nodes, members = parsed(frame)
    found = list(roles(stated, nodes))
    read = [one.node.path for one in found if one.role != "unread"]
    seen: Counter[str] = Counter(dict.fromkeys(FIELDS, 1) if stated.is_told_before else {})
    for one in found:
        kind = ALIKE.get(one.role, one.role)
        yield from (bad for place, bad in enumerate(of_value(stated, one)) if _wanted(bad, place, seen[kind]))
        seen[kind] += 1
    yield from _renamed(stated, found)
    yield from misshapen.of_keys(frame, nodes, members, read, not stated.is_told_before)
    if stated.is_told_before:
        return
    yield from misshapen.of_structure(frame, nodes, read)
    yield from misshapen.of_text(frame)
    yield from misshapen.of_members(frame)
    yield from misshapen.of_no_message(stated.frame_bytes_max, frame)
    if pack is not None:
        yield from misshapen.of_packing(frame, pack.__module__)


def _wanted(bad: d.Damage, place: int, before: int) -> bool:
    """Of values read alike the first has every damage, the others those of value and a part of those of spelling."""
    if not before:
        return True
    return bad.name.rpartition(" for a ")[0] in OF_VALUE or place % SPARSE == before % SPARSE


ALIKE = {"ask": "bid", "price": "bid", "bid_size": "size", "ask_size": "size"}
OF_VALUE = frozenset((*d.NO_NUMBERS_AT_ALL, *d.ABSURD, *d.ZEROS, *d.APART_S))
SPARSE = 10
MANIFOLD = ("binance", "bitflyer", "htx gzip", "mexc", "okx")  # what these cannot say, no dialect can
ANOTHER = (*d.SYMBOL, *d.UNASKED)  # a message that names one symbol here and another there has no right shape
ELSEWHERE = (Refusal.UNKNOWN_SYMBOL, Refusal.UNKNOWN_MESSAGE)  # it was no message to this book, which stands as it was
LOST = (Refusal.NO_SNAPSHOT, Refusal.SEQUENCE_GAP, Refusal.CHECKSUM)


def judged(stated: Stated, bad: d.Damage) -> str:
    """What is wrong with what came of a bad message, and of the good ones that followed; empty: nothing."""
    session = stated.heard()
    try:
        events = session.receive(bad.frame, AT_NS) if bad.packed else stated.read(session, bad.frame)
    except VenueError as error:
        if error.reason not in bad.reasons:
            return f"{error.reason}, not {' or '.join(bad.reasons)} ({error.detail})"
        if error.reason in ELSEWHERE:
            return ""
    except Exception as error:
        return f"crashed: {type(error).__name__}: {error}"
    else:
        if not any(events == lawful for lawful in _lawful(stated, bad)) and not _partial(stated, bad, events):
            return f"accepted as {events}"
        if "silent" in bad.may or "partial" in bad.may:
            return ""
    return _afterwards(stated, session) if stated.keeps or len(bad.frame) % SPARSE == 0 else ""


def _lawful(stated: Stated, bad: d.Damage) -> Iterator[list[base.Event]]:
    """What may come of a bad message instead of a refusal."""
    fact = stated.said[0]
    if "same" in bad.may:
        yield stated.said
    if "silent" in bad.may:
        yield []
    if "fewer" in bad.may:
        yield from (stated.said[:place] + stated.said[place + 1 :] for place in range(len(stated.said)))
    if "untimed" in bad.may and getattr(fact, "venue_ns", None):
        yield [msgspec.structs.replace(one, venue_ns=0) for one in stated.said]
    if "sideless" in bad.may and isinstance(fact, Trade):
        yield [msgspec.structs.replace(fact, side=Side.UNKNOWN)]
    if "unsized" in bad.may and isinstance(fact, BookTop):
        yield [msgspec.structs.replace(fact, bid_size=0.0)]
        yield [msgspec.structs.replace(fact, ask_size=0.0)]
    if "empty" in bad.may and isinstance(fact, BookTop):
        yield [msgspec.structs.replace(fact, bid=0.0, bid_size=0.0)]
        yield [msgspec.structs.replace(fact, ask=0.0, ask_size=0.0)]
        yield [msgspec.structs.replace(fact, bid=0.0, bid_size=0.0, ask=0.0, ask_size=0.0)]


def _partial(stated: Stated, bad: d.Damage, events: list[base.Event]) -> bool:
    """Whether a change of part of a book left nothing but numbers that were said."""
    said = {*subjects.TOP, *subjects.LATER, 0.0} if "partial" in bad.may else set()
    return all(isinstance(e, BookTop) and {e.bid, e.bid_size, e.ask, e.ask_size} <= said for e in events) and bool(said)


def _afterwards(stated: Stated, session: base.Session) -> str:
    """The next top is read as it is, or the book is lost; never is it another."""
    events: list[base.Event] = []
    for frame in stated.after:
        try:
            events += stated.read(session, frame)
        except VenueError as error:
            if error.reason not in LOST:
                return f"afterwards refused {error}"
            return ""
        except Exception as error:
            return f"afterwards crashed: {type(error).__name__}: {error}"
    return "" if events == stated.after_said else f"afterwards {events}"


@cache
def every_name() -> frozenset[str]:
    """Every damage that some dialect can say."""
    spoken = (subject for subject in subjects.subjects() if subject.name in MANIFOLD)
    frames = [*(one for subject in spoken for one in subjects.stated(subject)), *subjects.recorded("deribit")]
    return frozenset(bad.name for stated in frames for bad in damages(stated))


def _of_binary(stated: Stated) -> Iterator[d.Damage]:
    fields = binary.parsed(stated.frame)
    paths = {path: _field_role(stated, fields, path, value) for path, value in binary.leaves(fields)}
    symbol = stated.subject.symbol.encode()
    for path, role in paths.items():
        yield from binary.of_field(fields, path, role, symbol, isinstance(stated.said[0], BookTop))
    yield from binary.of_wire(fields, paths)
    yield from binary.of_frame(stated.frame, stated.frame_bytes_max)


def _field_role(stated: Stated, fields: binary.Fields, path: binary.Path, value: int | bytes) -> str:
    """What a field's text or integer means."""

    def events(other: int | bytes) -> list[base.Event] | VenueError:
        one = binary.at(fields, path)._replace(value=other)
        return events_of(stated, binary.wire(binary.put(fields, path, (one,))))

    if isinstance(value, bytes) and stated.subject.symbol.encode() in value:
        return "symbol" if events(b"?") != stated.said else "unread"
    others = [value + 1_000, value - 1, value + 1] if isinstance(value, int) else [b"1%b" % value]
    for other in others:
        said = events(other)
        if not isinstance(said, VenueError) and (changed := _changed(stated, said)):
            return changed
    return "unread" if events(b"dance") == stated.said or isinstance(value, int) else "word"


def _changed(stated: Stated, events: list[base.Event]) -> str:
    """The one field of the fact that is another; empty: none, or more."""
    changed: set[str] = set()
    for now, good in zip(events, stated.said, strict=False):
        names = [name for name in FIELDS if getattr(now, name, None) != getattr(good, name, None)]
        rate = isinstance(good, Ticker) and good.kind is TickerKind.FUNDING
        changed |= {"rate" if rate and name == "price" else name for name in names}
    return changed.pop() if len(changed) == 1 and len(events) == len(stated.said) else ""


def of_value(stated: Stated, read: Read) -> Iterator[d.Damage]:
    """What can stand where a value stood."""
    frame, node = stated.frame, read.node
    kind = {"venue_ns": "a time"}.get(read.role, "a number" if read.role in NUMBERS else f"a {read.role}")

    def put(name: str, token: bytes, reasons: d.Reasons, *may: str) -> d.Damage:
        return d.Damage(f"{name} for {kind}", read.where, node.put(frame, token), reasons, may)

    for name, token in d.NO_JSON_TOKENS.items():
        if not (name == "no value" and frame[node.start - 1 : node.end + 1] == b"[]"):
            yield put(name, token, (*d.JSON, *(d.SHAPE if token.isspace() else ())))
    yield put("100000 lists", b"[" * d.DEEP_LEVELS, d.DEEP)
    yield put("100000 lists, closed again", b"[" * d.DEEP_LEVELS + b"]" * d.DEEP_LEVELS, d.DEEP)
    yield put("100000 objects", b'{"a":' * d.DEEP_LEVELS, d.DEEP)
    for name, raw in d.NO_UTF8.items():
        yield put(f"{name} in a text", b'"' + raw + b'"', d.UTF8)
    for name, raw in d.CONTROLS.items():
        yield put(f"{name} in a text", b'"a' + raw + b'"', d.JSON)
    if read.role == "rate":
        yield from (put(*args) for args in _rates(node.kind == "text"))
    elif read.role in NUMBERS:
        yield from (put(*args) for args in _numbers(stated, read))
    elif read.role == "venue_ns":
        yield from (put(*args) for args in _times(node.kind == "text", node.text(frame)))
    elif read.role != "unread":
        yield from (put(*args) for args in _words(node.kind, read.role, node.text(frame), stated.subject.symbol))


def _renamed(stated: Stated, found: list[Read]) -> Iterator[d.Damage]:
    """The whole message of another symbol."""
    symbol = stated.subject.symbol
    if any(one.role == "symbol" for one in found):
        for name, form in d.NO_SYMBOLS.items():
            text = json.dumps(form.format(symbol), ensure_ascii=False)[1:-1]
            bad = stated.frame.replace(symbol.encode(), text.encode())
            bad = bad.replace(symbol.lower().encode(), text.lower().encode()) if bad == stated.frame else bad
            reasons = d.SYMBOL if name == "another symbol" else (*d.SYMBOL, Refusal.UNKNOWN_MESSAGE)
            yield d.Damage(f"{name} throughout", "the frame", bad, reasons)


_Put = tuple[str, bytes, d.Reasons] | tuple[str, bytes, d.Reasons, str]


def _numbers(stated: Stated, read: Read) -> Iterator[_Put]:
    """Names, tokens, reasons, and whether a book's side may be empty by it."""
    quote, booked = read.node.kind == "text", isinstance(stated.said[0], BookTop)
    yield from _no_numbers()
    signed = read.role in ("size", "bid_size", "ask_size") and stated.signed
    for name, (digits, reasons) in d.ABSURD.items():
        if not (signed and digits.startswith("-")):
            yield name, d.quoted(digits) if quote else digits.encode(), reasons
    for name, digits in d.ZEROS.items():
        token = d.quoted(digits) if quote else digits.encode()
        yield (name, token, d.POSITIVE, "empty") if booked else (name, token, d.POSITIVE)


def _rates(quote: bool) -> Iterator[_Put]:
    """A funding rate is of either sign, and a fraction of one."""
    yield from _no_numbers()
    for name, digits in d.NO_FRACTIONS.items():
        yield name, _number(quote, digits), d.BEYOND


def _no_numbers() -> Iterator[_Put]:
    """What no number is, whichever it stands for."""
    for name, text in d.NO_NUMBERS.items():
        yield name, d.quoted(text), d.SHAPE
    for name, text in d.INFINITE_TEXTS.items():
        yield name, d.quoted(text), d.BEYOND
    for name, token in d.NO_NUMBERS_AT_ALL.items():
        yield name, token, d.SHAPE


def _times(quote: bool, text: str) -> Iterator[_Put]:
    shapes = (*d.UNIT, *d.SHAPE)
    for name, token in d.NO_NUMBERS_AT_ALL.items():
        yield name, token, shapes if token == b'""' else d.SHAPE
    if _ISO.fullmatch(text):
        for name, form in d.NO_TIMES.items():
            yield name, d.quoted(form.format(second=text[:19], day=text[:10])), d.UNIT
        for name, apart_s in d.APART_S.items():
            yield name, d.quoted(_iso(apart_s) + text[19:]), d.UNIT
        yield "a time of the epoch", d.quoted("1970-01-01T00:00:00" + text[19:]), d.UNIT
        yield "seconds of the epoch", b"1760000000", d.SHAPE
        yield "milliseconds of the epoch", b"1760000000000", d.SHAPE
        return
    whole, point, fraction = text.partition(".")
    unit_ns = AT_NS // int(whole)
    for name, form in d.NO_NUMBERS.items():
        yield name, d.quoted(form), shapes
    for name, other_ns in d.UNITS.items():
        if other_ns != unit_ns:
            yield f"{name} for a unit", _number(quote, str(AT_NS // other_ns) + point + fraction), d.UNIT
    for name, apart_s in d.APART_S.items():
        yield name, _number(quote, str(int(whole) + apart_s * 10**9 // unit_ns) + point + fraction), d.UNIT
    for name, digits in d.ODD_INTEGERS.items():
        yield name, _number(quote, digits + point + fraction), shapes
    yield "a time of zero", _number(quote, "0" + point + fraction), d.UNIT
    yield "a time of 5000 digits", _number(quote, "9" * 5_000 + point + fraction), (*shapes, *d.NUMBER)
    yield "a time of 1e400", _number(quote, "1e400"), (*shapes, *d.NUMBER)


def _words(kind: str, role: str, text: str, symbol: str) -> Iterator[_Put]:
    for name, token in d.NO_NUMBERS_AT_ALL.items():
        if kind != "word" or not token.isalpha() or token == b"null":
            yield name, token, (Refusal.WRONG_SHAPE, Refusal.UNKNOWN_MESSAGE, Refusal.UNKNOWN_SYMBOL)
    if role == "symbol":
        own = re.search(re.escape(symbol), text, re.IGNORECASE)
        assert own is not None
        for name, form in d.NO_SYMBOLS.items():
            other = form.format(own[0])
            other = other.lower() if own[0].islower() else other
            yield name, d.quoted(text[: own.start()] + other + text[own.end() :]), ANOTHER
        return
    reasons = d.SHAPE if role == "side" else d.UNASKED
    for name, form in d.NO_WORDS.items():
        yield name, d.quoted(form.format(text)), reasons


def _number(quote: bool, digits: str) -> bytes:
    return d.quoted(digits) if quote else digits.encode()


def _iso(apart_s: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(AT_NS // 10**9 + apart_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")
