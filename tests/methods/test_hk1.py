"""The published document is executed: its examples run, its tables are the code's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from oracle.core.tables import ladder_table, parameter_table
from oracle.methods import hk1, load, rules_at, shipped

DOCUMENT = Path(__file__).resolve().parents[2] / "methodology" / "hk1.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("place", range(len(EXAMPLES)))
def test_worked_example(place: int) -> None:
    exec(compile(EXAMPLES[place], f"hk1.md example {place + 1}", "exec"), {})


def test_there_is_an_example_for_each_key_parameter() -> None:
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize(("name", "made"), [("parameters 1.0.0", parameter_table), ("ladder", ladder_table)])
def test_tables_are_made_from_the_code(name: str, made) -> None:  # type: ignore[no-untyped-def]
    printed = TEXT.split(f"<!-- {name} -->\n")[1].split(f"\n<!-- /{name} -->")[0]
    assert printed == made(hk1.SETS[0]), f"run: python -m oracle methods --write {DOCUMENT.name}"


def test_every_parameter_the_prose_names_exists() -> None:
    table = TEXT.split("<!-- parameters 1.0.0 -->")[1]
    names = set(re.findall(r"`[a-z]+\.([a-z_0-9]+)`", table))
    named = set(re.findall(r"`([a-z]+(?:_[a-z0-9]+)+)`", TEXT.split("<!-- parameters 1.0.0 -->")[0]))
    published = {"n_groups", "breakdown_groups", "confidence_bps", "gap_bps", "carried_forward"}
    assert named - published <= names


def test_the_method_is_found_by_its_id() -> None:
    assert load("hk1").ID == "hk1"
    assert "hk1" in shipped()
    assert rules_at(load("hk1"), 10**18) is hk1.SETS[-1]
    assert rules_at(load("hk1"), -1) is hk1.SETS[0]
