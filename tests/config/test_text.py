"""The scanner finds the line of everything that tomllib reads."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.commands.config import toml
from oracle.config.text import Path, line_of, lines_of

TEXT = '''\
# a comment with "quotes" and [brackets]
top = 1
"quoted key" = "a # is no comment, nor is ] or ,"

[service]   # trailing
port = 8080
nested.deep = 1979-05-27 07:32:00
text = """
[not a table]
x = 1
"""
raw = \'\'\'
it's
\'\'\'

[[index]]
id = "A"
sources = [
    "one", # first
    "two",

    "three",
]
conversions = { USDT = "X", deep = { er = [1, 2] } }

[[index]]
id = "B"
[index.rules.source]
stale_ms_max = 3
[[index.parts]]
n = 1
[[index.parts]]
n = 2
'''

EXPECTED: dict[Path, int] = {
    ("top",): 2,
    ("quoted key",): 3,
    ("service",): 5,
    ("service", "port"): 6,
    ("service", "nested", "deep"): 7,
    ("service", "text"): 8,
    ("service", "raw"): 12,
    ("index", 0): 16,
    ("index", 0, "id"): 17,
    ("index", 0, "sources"): 18,
    ("index", 0, "sources", 0): 19,
    ("index", 0, "sources", 1): 20,
    ("index", 0, "sources", 2): 22,
    ("index", 0, "conversions"): 24,
    ("index", 0, "conversions", "USDT"): 24,
    ("index", 0, "conversions", "deep", "er", 1): 24,
    ("index", 1, "id"): 27,
    ("index", 1, "rules", "source", "stale_ms_max"): 29,
    ("index", 1, "parts", 1, "n"): 33,
}


@pytest.mark.parametrize(("path", "line"), EXPECTED.items())
def test_every_kind_of_place_has_its_line(path: Path, line: int) -> None:
    assert lines_of(TEXT)[path] == line


def test_what_was_not_written_stands_where_it_would_belong() -> None:
    lines = lines_of(TEXT)
    assert line_of(lines, ("service", "host")) == 5
    assert line_of(lines, ("index", 0, "conversions", "USDC")) == 24
    assert line_of(lines, ("metrics", "port")) == 0


def leaves(value: Any, path: Path = ()) -> set[Path]:
    if isinstance(value, dict):
        return {leaf for k, v in value.items() for leaf in leaves(v, (*path, k))} | ({path} if path else set())
    if isinstance(value, list):
        return {leaf for i, v in enumerate(value) for leaf in leaves(v, (*path, i))} | {path}
    return {path}


words = st.text(st.sampled_from("ab-_ .#\"'[]{}=,é"), min_size=1, max_size=6)
values = st.recursive(
    st.integers(-9, 9) | st.booleans() | words | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


def settable(value: Any) -> bool:
    """Whether the writer can say it: it writes no table inside a list of other things."""
    if isinstance(value, list):
        return (
            all(settable(v) for v in value)
            and len({isinstance(v, dict) for v in value}) <= 1
            and not any(isinstance(v, list) and any(isinstance(x, dict) for x in v) for v in value)
        )
    return all(map(settable, value.values())) if isinstance(value, dict) else True


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(words, values.filter(settable), max_size=4))
def test_whatever_can_be_written_is_found(tree: dict[str, Any]) -> None:
    text = "\n".join(toml(tree))
    assert tomllib.loads(text) == tree
    found = lines_of(text)
    missing = {path for path in leaves(tree) if path not in found and not isinstance(_value(tree, path), dict | list)}
    assert not missing


def _value(tree: Any, path: Path) -> Any:
    for part in path:
        tree = tree[part]
    return tree


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_nonsense_ends(text: str) -> None:
    lines_of(text)
