"""Where each value and member of a JSON text stands, so that one can be exchanged and the rest left alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

Path = tuple[str | int, ...]
_SCALAR = re.compile(rb'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|true|false|null')


class Node(NamedTuple):
    """A value: its place, and what it is (`object`, `array`, `text`, `number` or `word`)."""

    path: Path
    start: int
    end: int
    kind: str

    def put(self, frame: bytes, token: bytes) -> bytes:
        """The frame with other bytes where this value stood."""
        return frame[: self.start] + token + frame[self.end :]

    def token(self, frame: bytes) -> bytes:
        """The bytes of this value."""
        return frame[self.start : self.end]

    def text(self, frame: bytes) -> str:
        """A text's characters, or a number's or a word's own."""
        token = self.token(frame)
        return str(json.loads(token)) if self.kind == "text" else token.decode()


class Member(NamedTuple):
    """A key with its value: from `start`, the key's first quote, over `colon` to `end`."""

    path: Path
    start: int
    colon: int
    end: int
    alone: bool

    @property
    def key(self) -> str:
        """The key."""
        return str(self.path[-1])

    def without(self, frame: bytes) -> bytes:
        """The frame without this member."""
        if self.alone:
            return frame[: self.start] + frame[self.end :]
        if frame[self.end : self.end + 1] == b",":
            return frame[: self.start] + frame[self.end + 1 :]
        return frame[: self.start - 1] + frame[self.end :]


def parsed(frame: bytes) -> tuple[list[Node], list[Member]]:
    """Values and members of a compact JSON text, outer before inner. Raises ValueError when it is none."""
    nodes: list[Node] = []
    members: list[Member] = []
    end = _value(frame, 0, (), nodes, members)
    if end != len(frame):
        raise ValueError(f"byte {end} of {frame!r}")
    return sorted(nodes, key=lambda node: (node.start, -node.end)), sorted(members, key=lambda member: member.start)


def _value(frame: bytes, at: int, path: Path, nodes: list[Node], members: list[Member]) -> int:
    first = frame[at : at + 1]
    if first in (b"{", b"["):
        end = (_object if first == b"{" else _array)(frame, at + 1, path, nodes, members)
        nodes.append(Node(path, at, end, "object" if first == b"{" else "array"))
        return end
    end = _scalar(frame, at)
    nodes.append(Node(path, at, end, "text" if first == b'"' else "word" if first.isalpha() else "number"))
    return end


def _object(frame: bytes, at: int, path: Path, nodes: list[Node], members: list[Member]) -> int:
    found: list[Member] = []
    while frame[at : at + 1] != b"}":
        start = at + (frame[at : at + 1] == b",")
        colon = _scalar(frame, start)
        here = (*path, json.loads(frame[start:colon]))
        if frame[colon : colon + 1] != b":":
            raise ValueError(f"no colon at byte {colon}")
        at = _value(frame, colon + 1, here, nodes, members)
        found.append(Member(here, start, colon, at, False))
    members += [one._replace(alone=len(found) == 1) for one in found]
    return at + 1


def _array(frame: bytes, at: int, path: Path, nodes: list[Node], members: list[Member]) -> int:
    place = 0
    while frame[at : at + 1] != b"]":
        at = _value(frame, at + (frame[at : at + 1] == b","), (*path, place), nodes, members)
        place += 1
    return at + 1


def _scalar(frame: bytes, at: int) -> int:
    found = _SCALAR.match(frame, at)
    if found is None:
        raise ValueError(f"no value at byte {at}")
    return found.end()


def structure(frame: bytes) -> Iterator[tuple[int, str]]:
    """Each byte of structure, and what it is called; within texts and numbers, what they are."""
    names = {"{": "an open brace", "}": "a closing brace", "[": "an open bracket", "]": "a closing bracket"}
    names |= {":": "a colon", ",": "a comma"}
    at = 0
    while at < len(frame):
        mark = chr(frame[at])
        if mark in names:
            yield at, names[mark]
            at += 1
            continue
        end = _scalar(frame, at)
        what = (
            "a key"
            if frame[end : end + 1] == b":"
            else "a text"
            if mark == '"'
            else "a word"
            if mark.isalpha()
            else "a number"
        )
        yield from ((place, what) for place in range(at, end))
        at = end
