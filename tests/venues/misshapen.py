"""Bad messages that are bad as a whole: keys, nesting, cuts, encodings, compression, and what is no message at all."""

from __future__ import annotations

import base64
import gzip
import json
import random
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence

from oracle.errors import Refusal
from tests.venues import damages as d
from tests.venues.damages import DEEP_LEVELS, Damage
from tests.venues.jsontext import Member, Node, Path, structure

NO_SPACES = {
    "a vertical tab": b"\x0b",
    "a form feed": b"\x0c",
    "a no-break space": "\u00a0".encode(),
    "a line separator": "\u2028".encode(),
    "an ideographic space": "\u3000".encode(),
    "a zero-width space": "\u200b".encode(),
    "a NUL": b"\x00",
    "a byte order mark": b"\xef\xbb\xbf",
    "an escape byte": b"\x1b",
    "a DEL": b"\x7f",
    "a backslash": b"\\",
    "a block comment": b"/* 1 */",
    "a line comment": b"// 1\n",
    "a comment of a shell": b"# 1\n",
    "a semicolon": b";",
}
STRAY_BYTES = {"0xff": b"\xff", "0x80": b"\x80", "half a character": b"\xe2\x82"}
ENCODINGS = {
    "UTF-16 with its mark": ("utf-16", d.UTF8),
    "UTF-16, big end first, with its mark": ("utf-16-be", d.UTF8),
    "UTF-16 without its mark": ("utf-16-le", d.JSON),
    "UTF-16, big end first": ("utf-16-be", d.JSON),
    "UTF-32 with its mark": ("utf-32", d.UTF8),
    "UTF-32 without its mark": ("utf-32-le", d.JSON),
    "UTF-7": ("utf-7", d.JSON),
    "EBCDIC": ("cp037", (*d.UTF8, *d.JSON)),
    "UTF-8 with its mark": ("utf-8-sig", d.JSON),
}
NO_MESSAGES = {
    "nothing": b"",
    "a space": b" ",
    "line feeds": b"\r\n\r\n",
    "a page of HTML": b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body></body></html>",
    "a document of XML": b'<?xml version="1.0"?><price>60000.5</price>',
    "a line of text": b"Service Unavailable",
    "an answer of HTTP": b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\n\r\n",
    "an event of a stream": b"data: {}\n\n",
    "a row of figures": b"BTCUSD,60000.5,1.25,60001.25,2.5",
    "a document of YAML": b"bid: 60000.5\nask: 60001.25\n",
    "a document of TOML": b"bid = 60000.5\n",
    "a call of a script": b"callback({})",
    "an object of Python": b"{'bid': 60000.5, 'ask': None}",
    "an object of JavaScript": b"{bid:60000.5}",
    "a frame of Socket.IO": b'42["ticker",{"bid":60000.5}]',
    "a frame of SockJS": b'a["{}"]',
    "a frame of STOMP": b"CONNECTED\nversion:1.2\n\n\x00",
    "a frame of Engine.IO": b"0{}",
    "a close code": b"\x03\xe8bye",
    "MessagePack": b"\x82\xa3bid\xcb\x40\xed\x4c\x10\x00\x00\x00\x00\xa3ask\x01",
    "CBOR": b"\xa2cbid\xfb\x40\xed\x4c\x10\x00\x00\x00\x00cask\x01",
    "BSON": b"\x16\x00\x00\x00\x01bid\x00\x00\x00\x00\x00\x10\x4c\xed\x40\x00",
    "a picture": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "a program": b"\x7fELF\x02\x01\x01\x00",
    "a hundred NULs": b"\x00" * 100,
    "a hundred times 0xff": b"\xff" * 100,
    "a thousand bytes of noise": random.Random(1).randbytes(1_000),
    "fifty thousand bytes of noise": random.Random(2).randbytes(50_000),
    "a thousand digits": b"1" * 1_000,
    "an open list": b"[",
    "an open object": b"{",
    "an open text": b'"',
    "a closed list": b"]",
    "a comma": b",",
    "NaN": b"NaN",
    "-Infinity": b"-Infinity",
}
JSON_NO_MESSAGES = {
    "null": b"null",
    "true": b"true",
    "zero": b"0",
    "a number": b"60000.5",
    "a text": b'"hello"',
    "an empty text": b'""',
    "an empty list": b"[]",
    "an empty object": b"{}",
    "a list of nothing": b"[null]",
    "lists in lists": b"[[[]]]",
    "an object of nothing": b'{"":null}',
    "an object of another service": b'{"status":"ok","uptime":12}',
}
MEANING = (Refusal.WRONG_SHAPE, Refusal.UNKNOWN_MESSAGE, Refusal.UNKNOWN_SYMBOL)
UNKNOWN_KEY = (*MEANING, *d.TWICE)  # another case may be another key of the dialect
NO_COLONS = {"no colon": b"", "two colons": b"::", "an arrow": b"=>", "an equals sign": b"=", "a comma": b","}


def of_keys(
    frame: bytes, nodes: Sequence[Node], members: Sequence[Member], read: Sequence[Path], pairs: bool
) -> Iterator[Damage]:
    """What can be wrong with a key. `read` are the paths of the values that mean something.

    `pairs`: also one key said twice while another is left out, wherever, so that the count of keys stays the same.
    """
    ends = {node.path: node.end for node in nodes}
    for one in members:
        may = () if any(path[: len(one.path)] == one.path for path in read) else ("same",)
        where = f"the key {'.'.join(map(str, one.path))}"
        for name, bad in _twice(frame, one, ends[one.path[:-1]] - 1):
            yield Damage(name, where, bad, d.TWICE)
        for other in members if pairs else ():
            if other.end <= one.start or one.end <= other.start:
                yield Damage("a key twice while another is left out", where, _traded(frame, one, other), d.TWICE)
                if not any(path[: len(other.path)] == other.path for path in read):
                    escaped = _traded(frame, one, other, b'"\\u%04x' % frame[one.start + 1])
                    yield Damage("a key twice, once escaped, while another is left out", where, escaped, d.TWICE)
        yield Damage("a key left out", where, one.without(frame), MEANING, may)
        for name, key, reasons in _other_keys(frame[one.start : one.colon]):
            bad = frame[: one.start] + key + frame[one.colon :]
            yield Damage(name, where, bad, reasons, may if reasons is UNKNOWN_KEY else ())
        for name, sign in NO_COLONS.items():
            yield Damage(f"{name} behind a key", where, frame[: one.colon] + sign + frame[one.colon + 1 :], d.JSON)


def _traded(frame: bytes, twice: Member, gone: Member, first: bytes = b"") -> bytes:
    """The frame with one member said twice, perhaps with its `first` letter escaped, and another left out."""
    said = b"," + (first or frame[twice.start : twice.start + 2]) + frame[twice.start + 2 : twice.end]
    if gone.start < twice.start:
        return gone.without(frame[: twice.end] + said + frame[twice.end :])
    less = gone.without(frame)
    return less[: twice.end] + said + less[twice.end :]


def _twice(frame: bytes, one: Member, end: int) -> Iterator[tuple[str, bytes]]:
    """A member said more than once: beside itself, at the `end` of its object, under another spelling."""
    key, member = frame[one.start : one.colon], frame[one.start : one.end]
    head, tail = frame[: one.start], frame[one.end :]
    yield "a key twice", head + member + b"," + member + tail
    yield "a key twice, first with null", head + key + b":null," + member + tail
    yield "a key twice, then with null", head + member + b"," + key + b":null" + tail
    yield "a key twice, then escaped", head + member + b',"\\u%04x' % key[1] + key[2:] + b":0" + tail
    for name, space in (("a space", b" "), ("a tab", b"\t"), ("a line feed", b"\n"), ("a carriage return", b"\r")):
        yield f"a key twice, once with {name} behind it", head + key + space + b":0," + member + tail
    yield "a key twice, far apart", frame[:end] + b"," + member + frame[end:]
    yield "a key three times", head + b",".join([member] * 3) + tail


def _other_keys(key: bytes) -> Iterator[tuple[str, bytes, d.Reasons]]:
    """A key that is another, or none."""
    bare = key.strip(b'"')
    if key.swapcase() != key:
        yield "a key in the other case", key.swapcase(), UNKNOWN_KEY
    yield "a key with a letter more", key[:-1] + b'x"', UNKNOWN_KEY
    yield "a key with a space behind", key[:-1] + b' "', UNKNOWN_KEY
    yield "a key with no letters", b'""', UNKNOWN_KEY
    yield "a key that is not UTF-8", key[:-1] + b'\xff"', d.UTF8
    yield "a key with a NUL", key[:-1] + b'\\u0000"', d.JSON
    yield "a key with a lone surrogate", key[:-1] + b'\\ud800"', d.JSON
    yield "a key with a raw tab", key[:-1] + b'\t"', d.JSON
    yield "a key with a raw NUL", key[:-1] + b'\x00"', d.JSON
    yield "a key without quotes", bare, d.JSON
    yield "a key in single quotes", b"'" + bare + b"'", d.JSON
    yield "a key in back quotes", b"`" + bare + b"`", d.JSON
    yield "a key without its end", key[:-1], d.JSON
    yield "a key that is a number", b"1", d.JSON
    yield "a key that is null", b"null", d.JSON
    yield "a key that is a list", b"[]", d.JSON


def of_structure(frame: bytes, nodes: Sequence[Node], read: Sequence[Path]) -> Iterator[Damage]:
    """What can be wrong with the nesting, and with each of its signs."""
    for node in nodes:
        if node.kind in ("object", "array"):
            means = any(path[: len(node.path)] == node.path for path in read)
            yield from _of_container(frame, node, () if means else ("same",))
    seen: Counter[str] = Counter()
    for at, what in structure(frame):
        seen[what] += 1
        yield Damage(
            f"cut off before {what}" if frame[at : at + 1] in b'{}[]:,"' else f"cut off in {what}",
            f"byte {at}",
            frame[:at],
            d.JSON,
        )
        if len(what) > 9 and frame[at : at + 1] in b"{}[]:,":
            mark, rest = frame[at : at + 1], frame[at + 1 :]
            yield Damage(f"{what} missing", f"byte {at}", frame[:at] + rest, (*d.JSON, *d.SHAPE, *d.TWICE))
            yield Damage(f"{what} twice", f"byte {at}", frame[:at] + mark * 2 + rest, d.JSON)
            other = mark.translate(bytes.maketrans(b"{}[]:,", b"[]{},;"))
            yield Damage(f"{what} mistaken", f"byte {at}", frame[:at] + other + rest, (*d.JSON, *d.SHAPE))
            for name, stray in NO_SPACES.items() if seen[what] == 1 else ():
                yield Damage(f"{name} beside {what}", f"byte {at}", frame[:at] + stray + mark + rest, d.JSON)
    for node in nodes:
        if node.kind in ("object", "array") and node.end - node.start > 2:
            yield Damage(
                "a comma at an end", f"byte {node.end}", frame[: node.end - 1] + b"," + frame[node.end - 1 :], d.JSON
            )
            yield Damage(
                "a comma at a beginning",
                f"byte {node.start}",
                frame[: node.start + 1] + b"," + frame[node.start + 1 :],
                d.JSON,
            )


def _of_container(frame: bytes, node: Node, gone: tuple[str, ...]) -> Iterator[Damage]:
    where, token = ".".join(map(str, node.path)) or "the frame", node.token(frame)
    kind = "an object" if node.kind == "object" else "a list"
    inner = token[1:-1]

    def put(name: str, other: bytes, reasons: d.Reasons, *may: str) -> Damage:
        return Damage(name, where, node.put(frame, other), reasons, (*gone, *may))

    yield put(f"{kind} in a list", b"[" + token + b"]", MEANING)
    yield put(f"{kind} in an object", b'{"data":' + token + b"}", MEANING)
    yield put(f"{kind} in a text", d.quoted(token.decode()), MEANING)
    yield put(f"{kind} that is a list of null", b"[null]", MEANING)
    for name, other in (("true", b"true"), ("a number", b"7"), ("a text", b'"x"'), ("an empty text", b'""')):
        yield put(f"{kind} that is {name}", other, MEANING)
    if node.kind == "object":
        yield put("an object that is an empty list", b"[]", MEANING, "silent")
        yield put("an object that is empty", b"{}", MEANING)
        yield put("an object that is a list of its own", b"[" + b",".join(_values(token)) + b"]", MEANING)
    else:
        yield put("a list that is an empty object", b"{}", MEANING)
        yield put(
            "a list that is an object by place",
            b'{"0":' + b',"1":'.join([inner] if inner else [b"0"]) + b"}",
            (*MEANING, *d.JSON),
        )
        yield put("a list with null before", b"[null" + (b"," if inner else b"") + inner + b"]", MEANING)
    yield put(f"{kind} that is null", b"null", MEANING, "empty")


def _values(token: bytes) -> Iterator[bytes]:
    for value in json.loads(token).values():
        yield json.dumps(value, separators=(",", ":")).encode()


def of_text(frame: bytes) -> Iterator[Damage]:
    """What can be wrong with the bytes of a whole frame."""
    text = frame.decode()
    for name, (encoding, reasons) in ENCODINGS.items():
        mark = b"\xfe\xff" if name.startswith("UTF-16, big") and reasons is d.UTF8 else b""
        bad = mark + text.encode(encoding)
        if bad != frame:
            yield Damage(f"a frame in {name}", "the frame", bad, reasons)
    for name, stray in STRAY_BYTES.items():
        for place, bad in (
            ("before", stray + frame),
            ("behind", frame + stray),
            ("within", frame[:1] + stray + frame[1:]),
        ):
            yield Damage(f"{name} {place} the frame", "the frame", bad, d.UTF8)
    for name, stray in NO_SPACES.items():
        yield Damage(f"{name} behind the frame", "the frame", frame + stray, d.JSON)
    for name, joint in (
        ("", b""),
        (" by a line feed", b"\n"),
        (" by a comma", b","),
        (" by a NUL", b"\x00"),
        (" by a record separator", b"\x1e"),
    ):
        yield Damage(f"two messages, parted{name or ' by nothing'}", "the frame", frame + joint + frame, d.JSON)
    yield Damage("two messages in a list", "the frame", b"[" + frame + b"," + frame + b"]", MEANING)
    yield Damage("a message in a call", "the frame", b"callback(" + frame + b")", d.JSON)
    yield Damage("a message as an event of a stream", "the frame", b"data: " + frame + b"\n\n", d.JSON)
    yield Damage("a message in base64", "the frame", base64.b64encode(frame), d.JSON)
    yield Damage("a message quoted", "the frame", d.quoted(text), MEANING)
    yield Damage("a message as Python shows bytes", "the frame", repr(frame).encode(), d.JSON)
    yield Damage("a message backwards", "the frame", frame[::-1], d.JSON)
    yield (
        Damage("a message in single quotes", "the frame", frame.replace(b'"', b"'"), d.JSON)
        if b'"' in frame
        else Damage("a message in brackets", "the frame", b"(" + frame + b")", d.JSON)
    )
    yield (
        Damage("a message with its quotes escaped", "the frame", frame.replace(b'"', b'\\"'), d.JSON)
        if b'"' in frame
        else Damage("a message in quotes that do not end", "the frame", b'"' + frame, d.JSON)
    )
    for name, bad in (
        ("lists", b"[" * DEEP_LEVELS),
        ("objects", b'{"a":' * DEEP_LEVELS),
        ("lists, closed again,", b"[" * DEEP_LEVELS + b"]" * DEEP_LEVELS),
    ):
        yield Damage(f"100000 {name} for a frame", "the frame", bad, d.DEEP)


def of_members(frame: bytes) -> Iterator[Damage]:
    """What can be wrong with a member that no dialect knows."""
    if not frame.startswith(b"{"):
        return
    bad: dict[str, tuple[bytes, d.Reasons]] = {name: (token, d.JSON) for name, token in d.NO_JSON_TOKENS.items()}
    bad |= {f"{name} in a text": (b'"' + raw + b'"', d.UTF8) for name, raw in d.NO_UTF8.items()}
    bad |= {f"{name} in a text": (b'"' + raw + b'"', d.JSON) for name, raw in d.CONTROLS.items()}
    bad |= {"100000 lists": (b"[" * DEEP_LEVELS, d.DEEP), "100000 objects": (b'{"a":' * DEEP_LEVELS, d.DEEP)}
    bad |= {
        "1e400": (b"1e400", d.NUMBER),
        "5000 digits": (b"9" * 5_000, d.NUMBER),
        "a key twice": (b'{"a":1,"a":1}', d.TWICE),
    }
    for name, (token, reasons) in bad.items():
        yield Damage(f"{name} in an unknown member", "the frame", b'{"zzz":' + token + b"," + frame[1:], reasons)


def of_no_message(frame_bytes_max: int, frame: bytes) -> Iterator[Damage]:
    """What is no message of any venue, and what is too large to be one."""
    for name, bad in NO_MESSAGES.items():
        try:
            bad.decode()
        except UnicodeDecodeError:
            yield Damage(f"{name} for a frame", "the frame", bad, d.UTF8)
        else:
            yield Damage(f"{name} for a frame", "the frame", bad, (*d.JSON, *d.NUMBER))
    for name, bad in JSON_NO_MESSAGES.items():
        yield Damage(f"JSON that is {name}", "the frame", bad, MEANING)
    room = frame_bytes_max + 1
    yield Damage("too many spaces", "the frame", frame + b" " * room, d.LARGE)
    yield Damage("too many spaces before", "the frame", b" " * room + frame, d.LARGE)
    yield Damage("too long a text", "the frame", b'"' + b"x" * room + b'"', d.LARGE)
    yield Damage("too many digits", "the frame", b"1" * room, d.LARGE)
    yield Damage("too many lists", "the frame", b"[" * room, d.LARGE)
    yield Damage("too many NULs", "the frame", b"\x00" * room, d.LARGE)


def of_packing(good: bytes, pack: str) -> Iterator[Damage]:
    """What can be wrong with a compressed frame."""
    packed = zlib.compress(good) if pack == "zlib" else gzip.compress(good)
    head = packed[:10] if pack == "gzip" else packed[:2]
    bad: dict[str, bytes] = {f"a stream cut off at byte {at}": packed[:at] for at in range(len(head), len(packed), 7)}
    bad |= {"a stream without its end": packed[:-1], "a stream without its check": packed[:-4]}
    bad |= {
        "a byte behind a stream": packed + b"x",
        "two streams": packed + packed,
        "a stream and its text": packed + good,
    }
    bad |= {"a header alone": head, "a header and text": head + good, "a header and noise": head + b"\xff" * 40}
    bad |= (
        {"a stream with a wrong check": packed[:-5] + bytes((packed[-5] ^ 1,)) + packed[-4:]} if pack == "gzip" else {}
    )
    bad |= {"a stream of nothing": zlib.compress(b"") if pack == "zlib" else gzip.compress(b"")}
    bad |= {"a stream in a stream": gzip.compress(packed) if pack == "gzip" else zlib.compress(packed)}
    for name, frame in bad.items():
        yield Damage(name, "the stream", frame, (*d.JSON, *d.UTF8), packed=True)
    for size in (2 << 20, 16 << 20):
        bomb = b" " * size
        frame = zlib.compress(bomb) if pack == "zlib" else gzip.compress(bomb, 9)
        yield Damage(f"a bomb of {size >> 20} MiB", "the stream", frame, d.LARGE, packed=True)
