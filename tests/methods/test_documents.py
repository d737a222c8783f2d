"""The published documents are executed: their examples run, their tables are the code's own, their order is one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from oracle import methods
from oracle.commands.methods import SUPPORTING, written
from oracle.core.params import Rules
from oracle.core.tables import parameter_table
from oracle.methods import hk1

FOLDER = Path(__file__).resolve().parents[2] / "methodology"
SECTIONS = (
    "1. Benchmark statement and limits",
    "2. Definitions",
    "3. Eligibility and input hierarchy",
    "4. Validation and freshness",
    "5. Conversion",
    "6. Index",
    "7. Exclusion",
    "8. Mark",
    "9. Funding",
    "10. States",
    "11. What is not published, and what was done about it",
    "12. Changes",
    "Appendix A. Parameters",
    "Appendix B. Sources",
)
OTHERS = [name for name in methods.shipped() if name != "hk1"]


def text_of(name: str) -> str:
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")


def examples(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text_of(name), re.DOTALL)


DOCUMENTS = sorted(path.stem for path in FOLDER.glob("*.md"))
EXAMPLES = [(name, place) for name in DOCUMENTS for place in range(len(examples(name)))]
DATED = [(name, rules) for name in OTHERS for rules in methods.load(name).SETS]


@pytest.mark.parametrize(("name", "place"), EXAMPLES, ids=[f"{name}-{place + 1}" for name, place in EXAMPLES])
def test_every_example_runs(name: str, place: int) -> None:
    exec(compile(examples(name)[place], f"{name}.md example {place + 1}", "exec"), {})


@pytest.mark.parametrize("name", OTHERS)
def test_a_methods_document_has_its_sections_in_order(name: str) -> None:
    found = re.findall(r"^## (.*)$", text_of(name), re.MULTILINE)
    assert found == list(SECTIONS)
    assert examples(name), "a document without a worked example"


@pytest.mark.parametrize("name", OTHERS)
def test_a_document_says_the_version_in_force(name: str) -> None:
    assert f"\nVersion {methods.load(name).SETS[-1].version}." in text_of(name)


@pytest.mark.parametrize(("name", "rules"), DATED, ids=[f"{name}-{rules.version}" for name, rules in DATED])
def test_every_dated_table_is_made_from_the_code(name: str, rules: Rules) -> None:
    mark = f"parameters {rules.version}"
    assert f"<!-- {mark} -->\n" in text_of(name), f"no table of version {rules.version}"
    printed = text_of(name).split(f"<!-- {mark} -->\n")[1].split(f"<!-- /{mark} -->")[0]
    made = parameter_table(rules, methods.load(name).READS)
    assert printed == f"{made}\n", f"run: python -m oracle methods {name} --write"


@pytest.mark.parametrize("name", OTHERS)
def test_every_own_parameter_is_spoken_of_in_the_prose(name: str) -> None:
    method = methods.load(name)
    prose = text_of(name).split("## Appendix A")[0]
    fields = method.OWN.__struct_fields__ if method.OWN else ()
    silent = [f for f in fields if f"`own.{f}`" not in prose]
    assert not silent, "the prose says nothing of these"


@pytest.mark.parametrize("name", SUPPORTING)
def test_supporting_tables_are_made_from_the_code(name: str) -> None:
    assert written(text_of(name), hk1) == text_of(name), "run: python -m oracle methods --write methodology"


@pytest.mark.parametrize("name", methods.shipped())
def test_every_methodology_is_on_the_shelf_and_among_the_changes(name: str) -> None:
    assert f"[`{name}`]({name}.md)" in text_of("README")
    last = methods.load(name).SETS[-1].version
    [dated] = re.findall(rf"^\| `{name}` \| (.*) \|$", text_of("CHANGES"), re.MULTILINE)
    assert f"{last} since " in dated.split(", ")[-1]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_documents_it_names_are_there(name: str) -> None:
    named = re.findall(r"`([A-Za-z0-9_]+)\.md`", text_of(name)) + re.findall(
        r"\]\(([A-Za-z0-9_]+)\.md\)", text_of(name)
    )
    missing = sorted(set(named) - set(DOCUMENTS))
    assert not missing


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_a_deployer_must_fill_in_stands_in_one_document(name: str) -> None:
    opened = text_of(name).count("[DEPLOYER")
    marked = re.findall(r"\[DEPLOYER:\s[^\[\]]+\]", text_of(name))
    if name == "governance":
        assert opened == len(marked) + 1, "an open place; the first only says what they look like"
        assert len(marked) > 20
    else:
        assert not opened, "names and addresses of a deployer belong in governance.md"


def test_the_ladder_says_what_every_state_is() -> None:
    for marker in ("calls", "ladder", "allowed"):
        assert f"<!-- {marker} -->\n|" in text_of("ladder")
    assert "<!-- alerts -->\n|" in text_of("governance")
