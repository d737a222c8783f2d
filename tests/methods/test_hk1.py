"""HK-1's own document: its order, its tables, the venues it names, the tests it points at, nothing promised in vain."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from oracle import config
from oracle.commands.methods import written
from oracle.config.settings import Settings
from oracle.config.venues import facts_of
from oracle.core.params import IndexInstrument, Role, World
from oracle.errors import ConfigError
from oracle.methods import hk1, load, rules_at, shipped
from oracle.publishers.openapi import OPERATIONS, OTHERS

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "methodology" / "hk1.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
SECTIONS = (
    "1. Benchmark statement and limits",
    "2. Version history and hash",
    "3. Definitions",
    "4. What is measured",
    "5. Eligibility of venues and pairs, ownership groups, failure domains",
    "6. Input hierarchy",
    "7. Input validation",
    "8. Freshness and frozen rules",
    "9. Quote conversion",
    "10. Index formula, rounding, tie rules",
    "11. Exclusion and readmission",
    "12. Mark price",
    "13. Funding",
    "14. Position valuation",
    "15. States, fallback, halt, resume",
    "16. Expert judgement",
    "17. Errors, restatement, notices",
    "18. Publication calendar, endpoints, signatures, how to verify",
    "19. Corporate actions",
    "20. Governance, oversight, conflicts",
    "21. Changes, consultation, the NEXT series",
    "22. Cessation and successor",
    "23. Complaints",
    "24. Audit, records, regulators",
    "25. Surveillance",
    "Appendix A. Parameters",
    "Appendix B. Worked examples",
    "Appendix C. Constituents",
    "Appendix D. Test evidence",
    "Appendix E. SFC framework and IOSCO principles",
)
LABELS = ["S", 9], ["I", 8], ["M", 8], ["F", 7]
PUBLISHED = {"n_groups", "breakdown_groups", "confidence_bps", "gap_bps", "carried_forward"}
SAID_OF_VALUES = {"methodology_hash", "configuration_hash", "liquidation_ok", "oracle_alert_active"}
SETTINGS = {"own_venues", "beat_ms_min"}


def test_its_sections_stand_in_their_order() -> None:
    assert tuple(re.findall(r"^## (.*)$", TEXT, re.MULTILINE)) == SECTIONS


def test_there_is_an_example_for_each_key_parameter() -> None:
    assert len(EXAMPLES) >= 5


def test_tables_are_made_from_the_code() -> None:
    assert written(TEXT, hk1) == TEXT, "run: python -m oracle methods hk1 --write methodology"
    for name in ("parameters 1.0.0", "verdicts", "reasons", "calls", "ladder", "alerts"):
        assert f"<!-- {name} -->\n|" in TEXT, f"no table of {name}"


@pytest.mark.parametrize(("letter", "last"), LABELS)
def test_every_rule_has_its_label_once(letter: str, last: int) -> None:
    bold = " ".join(re.findall(r"\*\*([^*]+?)\*\*", TEXT))
    stated = re.findall(rf"\b{letter}[0-9]\b", bold)
    assert sorted(stated) == [f"{letter}{n}" for n in range(1, last + 1)]


def test_every_parameter_the_prose_names_exists() -> None:
    names = {row.group(1) for row in re.finditer(r"^\| `[a-z]+\.([a-z_0-9]+)` \|", TEXT, re.MULTILINE)}
    named = set(re.findall(r"`([a-z]+(?:_[a-z0-9]+)+)`", TEXT))
    assert named - PUBLISHED - SAID_OF_VALUES - SETTINGS <= names


def test_the_endpoints_it_names_exist() -> None:
    known = {operation.path for operation in OPERATIONS} | {path for path, _ in OTHERS}
    for path in re.findall(r"`(?:GET |WS )?(/v1/[^`?]*)`", TEXT):
        assert path.replace("/hk1", "/{id}") in known, path


def test_the_sections_it_points_at_exist() -> None:
    numbers = {int(title.partition(".")[0]) for title in SECTIONS if title[0].isdigit()}
    said = {int(n) for n in re.findall(r"sections? ([0-9]+)|(?:and|to) ([0-9]+)[;:]", TEXT) for n in n if n}
    assert said <= numbers


def shipped_world() -> tuple[Settings, World]:
    settings = config.load(ROOT / "deploy" / "oracle.toml", {})
    return settings, config.world(settings)


def constituents() -> Iterator[str]:
    """The rows of Appendix C, of the settings that are shipped."""
    settings, world = shipped_world()
    for index in world.indices:
        for source in (*index.sources, *index.perp_sources):
            one = world.sources[source]
            facts = facts_of(one.venue)
            assert facts is not None, one.venue
            use = "votes" if one.role is Role.SPOT else "PERP_IMPLIED"
            owner, domain = (f"{fact.name} ({fact.rests_on})" for fact in (facts.group, facts.domain))
            assert (facts.group.name, facts.domain.name) == (one.group, settings.domain_of(one.venue))
            yield f"| {index.id} | `{one.name}` | {use} | {owner} | {domain} |"


def test_its_constituents_are_the_shipped_ones() -> None:
    printed = TEXT.split("| Index | Source | For | Owner | Failure domain |\n|---|---|---|---|---|\n")[1].split("\n\n")[
        0
    ]
    made = "\n".join(constituents())
    assert printed == made, f"Appendix C should be:\n{made}"


def test_the_tests_it_names_exist() -> None:
    named = re.findall(r"`(tests/[a-z_0-9/]+\.py)::([a-z_0-9]+)`", TEXT)
    assert len(named) > 25
    for file, function in named:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        defined = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert function in defined, f"{file} has no {function}"


def test_what_it_says_of_conversions_and_thin_markets_is_configured() -> None:
    _, world = shipped_world()
    indices: dict[str, IndexInstrument] = {index.id: index for index in world.indices}
    rules = indices["USDT-USD"].rules
    assert (rules.ladder.groups_normal_min, rules.ladder.groups_degraded_min) == (3, 2)
    assert rules.index.groups_configured_min == 3
    assert indices["BTC-USD"].rules == hk1.SETS[-1]
    thin = config.rules.ruleset(hk1.SETS[-1], {}, kind="reference", tier=2, wrong=lambda *said: ConfigError(str(said)))
    assert (thin.source.stale_ms_max, thin.ladder.fallback_ms_max, thin.mark.band_bps) == (30_000, 30_000, 300.0)


def test_the_method_is_found_by_its_id() -> None:
    assert load("hk1").ID == "hk1"
    assert "hk1" in shipped()
    assert rules_at(load("hk1"), 10**18) is hk1.SETS[-1]
    assert rules_at(load("hk1"), -1) is hk1.SETS[0]
