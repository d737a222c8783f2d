"""Recorded frames: reads every format a recording comes in, one frame at a time, and writes the tape format.

The tape format is a text line a frame, times in the receiver's unix seconds (source: the recorder of cryptofeed):
`<url> <-> <t>` a connection, `<url> <- <t>: <text>` sent, `<t>: <text>` received, `<url> -> <t>: <body>` a REST answer.
What is no single line of text (a binary frame, a line break) stands as a Python bytes literal, `b'...'`, as that
recorder wrote the binary frames of Huobi and Upbit; whatever reads as such a literal is the bytes that it means.
Also read: `<ns> <frame>` lines, JSON lines that wrap one message (`message`, `msg` or `body`), and bare frames.
A file that ends in .gz is read through gzip.
"""

from __future__ import annotations

import ast
import gzip
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import IO

from msgspec import Struct

from oracle.core.types import Nanos

_OPENED = re.compile(r"^(wss?://.*) <-> ([0-9.]+)$")
_SENT = re.compile(r"^(wss?://\S*(?: \S+)*?) <- ([0-9.]+): (.*)$", re.DOTALL)
_ANSWER = re.compile(r"^(https?://\S+) -> ([0-9.]+): (.*)$", re.DOTALL)
_RECEIVED = re.compile(r"^([0-9]+\.[0-9]+): (.*)$", re.DOTALL)
_NANOS = re.compile(r"^([0-9]{19}) (.*)$", re.DOTALL)
_LITERALS = ("b'", 'b"')


class Direction(StrEnum):
    """Which way a frame went."""

    OPENED = "opened"
    SENT = "sent"
    RECEIVED = "received"
    ANSWER = "answer"  # the body of a REST answer


class Frame(Struct, frozen=True):
    """One frame of a recording. `recv_ns` 0: the recording does not say when. `line` counts from 1."""

    direction: Direction
    url: str
    recv_ns: Nanos
    data: bytes
    line: int


def read(path: Path) -> Iterator[Frame]:
    """Every frame of a recording, in order. Raises OSError."""
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            yield from read_lines(stream)
    else:
        with path.open(encoding="utf-8") as stream:
            yield from read_lines(stream)


def read_lines(lines: Iterable[str]) -> Iterator[Frame]:
    """Every frame of a recording given as lines; an empty line is nothing."""
    url = ""
    for count, raw in enumerate(lines, 1):
        line = raw.rstrip("\n")
        if not line:
            continue
        frame = _parse(line, url, count)
        url = frame.url
        yield frame


def write(stream: IO[str], frame: Frame) -> None:
    """Append a frame in the tape format."""
    seconds = format(Decimal(frame.recv_ns).scaleb(-9), "f")
    text = _text(frame.data)
    prefix = {
        Direction.OPENED: f"{frame.url} <-> {seconds}",
        Direction.SENT: f"{frame.url} <- {seconds}: {text}",
        Direction.RECEIVED: f"{seconds}: {text}",
        Direction.ANSWER: f"{frame.url} -> {seconds}: {text}",
    }
    stream.write(prefix[frame.direction] + "\n")


@contextmanager
def opened(path: Path) -> Iterator[IO[str]]:
    """A new recording to `write` to; packed when its name ends in .gz. Raises OSError, also where one exists."""
    if path.suffix == ".gz":
        with gzip.open(path, "xt", encoding="utf-8", newline="\n") as stream:
            yield stream
    else:
        with path.open("x", encoding="utf-8", newline="\n") as stream:
            yield stream


def _parse(line: str, url: str, count: int) -> Frame:
    if match := _RECEIVED.match(line):
        return Frame(Direction.RECEIVED, url, _nanos(match[1]), _bytes(match[2]), count)
    if match := _NANOS.match(line):
        return Frame(Direction.RECEIVED, url, int(match[1]), match[2].encode(), count)
    if match := _OPENED.match(line):
        return Frame(Direction.OPENED, match[1], _nanos(match[2]), b"", count)
    if match := _SENT.match(line):
        return Frame(Direction.SENT, match[1], _nanos(match[2]), _bytes(match[3]), count)
    if match := _ANSWER.match(line):
        return Frame(Direction.ANSWER, match[1], _nanos(match[2]), _bytes(match[3]), count)
    return _wrapped(line, url, count)


def _text(data: bytes) -> str:
    """The bytes as they stand on a line: as text where it reads back to the same bytes, else as a literal."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return repr(data)
    return repr(data) if text.startswith(_LITERALS) or "\n" in text or "\r" in text else text


def _bytes(text: str) -> bytes:
    """What `_text` wrote. Text that only begins like a literal is text."""
    if text.startswith(_LITERALS):
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            value = None
        if isinstance(value, bytes):
            return value
    return text.encode()


def _wrapped(line: str, url: str, count: int) -> Frame:
    """A JSON line that wraps a message, or else a bare frame: what it is is the venue's to judge."""
    try:
        wrapper = json.loads(line)
    except (ValueError, RecursionError):
        wrapper = None
    if isinstance(wrapper, dict):
        if "message" in wrapper and "test" in wrapper:
            return Frame(Direction.RECEIVED, url, 0, _dump(wrapper["message"]), count)
        if "msg" in wrapper and wrapper.get("dir") in ("in", "out"):
            direction = Direction.RECEIVED if wrapper["dir"] == "in" else Direction.SENT
            return Frame(direction, url, 0, _dump(wrapper["msg"]), count)
        if "body" in wrapper and "venue" in wrapper:
            return Frame(Direction.ANSWER, url, 0, _dump(wrapper["body"]), count)
    return Frame(Direction.RECEIVED, url, 0, line.encode("utf-8", "surrogateescape"), count)


def _dump(message: object) -> bytes:
    return message.encode() if isinstance(message, str) else json.dumps(message, separators=(",", ":")).encode()


def _nanos(seconds: str) -> Nanos:
    return int(Decimal(seconds).scaleb(9))
