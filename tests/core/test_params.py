"""Every parameter says what it is, in which unit and within which range, and somebody obeys it."""

from __future__ import annotations

import re
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

import oracle
from oracle.core.params import Contract, ParameterDoc, Role, Rules, SourceRules, documented
from oracle.methods.hk1 import SETS

ROWS = list(documented())
NAMES = [row.name for row in ROWS]
HOUSE = Path(oracle.__file__).parent


def leaves(record: Any, prefix: str = "") -> list[str]:
    """The dotted names of every number in a parameter set."""
    found = []
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, msgspec.Struct):
            found += leaves(value, f"{prefix}{name}.")
        elif name not in ("effective_ns", "version", "own"):
            found.append(prefix + name)
    return found


def test_every_parameter_is_documented_once() -> None:
    assert leaves(SETS[0]) == NAMES
    assert len(set(NAMES)) == len(NAMES)
    assert [row.name for row in documented(SourceRules)] == [n[7:] for n in NAMES if n.startswith("source.")]


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_a_parameter_says_what_it_is(row: ParameterDoc) -> None:
    assert row.text
    assert row.rule
    assert row.minimum < row.maximum
    if "_bps" in row.name:
        assert row.unit == "bps"
    elif "_ms" in row.name:
        assert row.unit == "ms"
    else:
        assert row.unit in {"count", "ratio", "quote", "per 8 h", "per interval"}


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_every_set_lies_within_the_ranges(row: ParameterDoc) -> None:
    for rules in SETS:
        assert row.minimum <= attrgetter(row.name)(rules) <= row.maximum


def changed(name: str, value: object) -> dict[str, Any]:
    """The first set as plain data, with one parameter changed."""
    data: dict[str, Any] = msgspec.to_builtins(SETS[0])
    part, leaf = name.split(".")
    data[part][leaf] = value
    return data


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_a_value_beyond_its_range_is_refused(row: ParameterDoc) -> None:
    for edge in (row.minimum, row.maximum):
        assert attrgetter(row.name)(msgspec.convert(changed(row.name, edge), Rules)) == edge
    for wrong in (row.minimum - 1, row.maximum + 1, "many", None):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(changed(row.name, wrong), Rules)


def test_an_unknown_parameter_is_refused_and_none_is_missing() -> None:
    assert msgspec.convert(msgspec.to_builtins(SETS[0]), Rules) == SETS[0]
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(changed("mark.bandwidth_bps", 1), Rules)
    data = changed("mark.band_bps", 1)
    del data["mark"]["band_bps"]
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(data, Rules)


def test_every_parameter_is_obeyed_somewhere() -> None:
    elsewhere = [p for p in HOUSE.rglob("*.py") if p.name != "params.py" and p.parent.name != "methods"]
    words = {word for path in elsewhere for word in re.findall(r"\w+", path.read_text(encoding="utf-8"))}
    assert [name for name in NAMES if name.split(".")[1] not in words] == []


def test_parameters_are_never_edited() -> None:
    with pytest.raises(AttributeError):
        SETS[0].mark.band_bps = 1.0  # type: ignore[misc]
    assert structs.replace(SETS[0].mark, band_bps=1.0) != SETS[0].mark


def test_the_roles_and_contracts_have_their_written_names() -> None:
    assert [str(role) for role in Role] == ["spot", "perp", "engine", "reference"]
    assert [str(contract) for contract in Contract] == ["linear", "inverse"]
