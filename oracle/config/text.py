"""Where each key and value of a TOML text stands: the line numbers that `tomllib` does not keep.

The scanner presumes a text that `tomllib` has already accepted; on anything else its answer is merely useless.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import TypeAlias

from msgspec import Struct

Path: TypeAlias = tuple[str | int, ...]

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r]+|\#[^\n]*)
      | (?P<string>\"\"\"(?:\\.|[^\\])*?\"{3,5}|'''.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*')
      | (?P<newline>\n)
      | (?P<mark>[\[\]{}=,])
      | (?P<bare>[^\s\[\]{}=,\#"']+)""",
    re.VERBOSE | re.DOTALL,
)
_ENDS_VALUE = frozenset({",", "]", "}", "\n", ""})


class _Token(Struct, frozen=True):
    kind: str
    text: str
    line: int


def lines_of(text: str) -> dict[Path, int]:
    """The line, counted from 1, of every table, key and array element. Array elements are ints in a path."""
    return _Scanner(text).scan()


def line_of(lines: dict[Path, int], path: Path) -> int:
    """The line of a path, or of the nearest thing around it that was written; 0 when nothing was."""
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return 0


class _Scanner:
    def __init__(self, text: str) -> None:
        self._tokens = [*_tokens(text), _Token("end", "", text.count("\n") + 1)]
        self._at = 0
        self._lines: dict[Path, int] = {}
        self._array_tables: dict[Path, int] = {}

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        while self._next.kind != "end":
            if self._next.kind == "newline":
                self._take()
            elif self._next.text == "[":
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _header(self) -> Path:
        line = self._take().line
        repeated = self._next.text == "["
        if repeated:
            self._take()
        names = self._key()
        path = self._resolved(names)
        if repeated:
            path = (*self._resolved(names[:-1]), names[-1])
            self._array_tables[path] = self._array_tables.get(path, -1) + 1
            self._lines.setdefault(path, line)
            path = (*path, self._array_tables[path])
        while self._next.text == "]":
            self._take()
        self._lines.setdefault(path, line)
        return path

    def _resolved(self, names: list[str]) -> Path:
        path: Path = ()
        for name in names:
            path = self._element((*path, name))
        return path

    def _element(self, path: Path) -> Path:
        """`path`, or its newest element when it is an array of tables."""
        return (*path, self._array_tables[path]) if path in self._array_tables else path

    def _key(self) -> list[str]:
        names: list[str] = []
        while self._next.kind in ("bare", "string"):
            token = self._take()
            names += [_unquoted(token.text)] if token.kind == "string" else [n for n in token.text.split(".") if n]
        return names

    def _pair(self, table: Path) -> None:
        line = self._next.line
        path = (*table, *self._key())
        self._take()
        self._value(path, line)

    def _value(self, path: Path, line: int) -> None:
        self._lines.setdefault(path, line)
        opening = self._next.text
        if opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline_table(path)
        else:
            while self._next.text not in _ENDS_VALUE:
                self._take()

    def _array(self, path: Path) -> None:
        self._take()
        count = 0
        while self._next.text != "]" and self._next.kind != "end":
            if self._next.kind == "newline" or self._next.text == ",":
                self._take()
            else:
                self._value((*path, count), self._next.line)
                count += 1
        self._take()

    def _inline_table(self, path: Path) -> None:
        self._take()
        while self._next.text != "}" and self._next.kind != "end":
            if self._next.kind == "newline" or self._next.text == ",":
                self._take()
            else:
                self._pair(path)
        self._take()


def _unquoted(text: str) -> str:
    try:
        return str(tomllib.loads(f"name = {text}")["name"])
    except tomllib.TOMLDecodeError:
        return text


def _tokens(text: str) -> Iterator[_Token]:
    line = 1
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if kind != "space":
            yield _Token(kind, match[0], line)
        line += match[0].count("\n")
