"""The tables that documents show have a row for everything, in figures that people write."""

from __future__ import annotations

import pytest
from msgspec import structs

from oracle.core.meanings import ALLOWED, REASONS, VERDICTS
from oracle.core.params import Rules, documented
from oracle.core.status import CALLS, LADDER, RUNGS
from oracle.core.tables import (
    alert_table,
    allowed_table,
    call_table,
    ladder_table,
    parameter_table,
    reason_table,
    verdict_table,
)
from oracle.core.types import AlertKind, Reason, State, Verdict
from oracle.methods.hk1 import SETS
from oracle.methods.weighted_median import SETS as WITH_OWN

RULES = SETS[0]


def cells(table: str) -> list[list[str]]:
    """The rows below the head, as lists of what stands in them."""
    head, rule, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    assert set(rule) == {"---"}
    assert all(len(row) == len(head) == len(rule) for row in rows)
    return rows


def test_every_parameter_has_its_row() -> None:
    rows = cells(parameter_table(RULES))
    assert [row[0] for row in rows] == [f"`{doc.name}`" for doc in documented()]
    by_name = {row[0]: row[1:] for row in rows}
    assert by_name["`source.trade_anchor_ms`"] == [
        "60 000",
        "ms",
        "1 000 … 3 600 000",
        "S1, S8",
        "a trade this young anchors the price",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00375, "0.00375"),
        (0.0001, "0.0001"),
        (-0.01, "-0.01"),
        (1e-10, "0.0000000001"),
        (100.0, "100"),
        (2 / 3, "2/3"),
        (1_000_000_000.0, "1 000 000 000"),
        (28_800_000, "28 800 000"),
        (0, "0"),
        (0.0, "0"),
    ],
)
def test_a_figure_is_written_as_people_write_it(value: float, text: str) -> None:
    rules = structs.replace(RULES, funding=structs.replace(RULES.funding, cap=value))
    row = next(row for row in cells(parameter_table(rules)) if row[0] == "`funding.cap`")
    assert row[1] == text


def test_the_ladder_is_printed_whole() -> None:
    rows = cells(ladder_table(RULES))
    assert [row[0] for row in rows] == [f"**{state.value}**" for state in RUNGS]
    for state, row in zip(RUNGS, rows, strict=True):
        for call, cell in zip(CALLS, row[1:], strict=True):
            target, dwell = LADDER[state, call]
            if target is state:
                assert cell == "stay"
            else:
                assert cell.startswith(f"{target.value} ")
                assert ("at once" in cell) == (dwell is None)
                assert dwell is None or cell.endswith(f"after {getattr(RULES.ladder, dwell) // 1000} s")


def test_a_methodologys_own_parameters_are_in_no_figure_of_the_frame() -> None:
    with_own = structs.replace(SETS[0], own=WITH_OWN[0].own)
    assert call_table(with_own) == call_table(SETS[0])
    assert alert_table(with_own) == alert_table(SETS[0])


def changed(section: str, **values: float) -> Rules:
    return structs.replace(RULES, **{section: structs.replace(getattr(RULES, section), **values)})


def test_every_verdict_and_reason_has_its_row_with_its_meaning() -> None:
    rows = cells(verdict_table())
    assert [row[0] for row in rows] == [f"`{verdict}`" for verdict in Verdict]
    assert [tuple(row[1:]) for row in rows] == [tuple(VERDICTS[verdict]) for verdict in Verdict]
    rows = cells(reason_table())
    assert [row[0] for row in rows] == [f"`{reason}`" for reason in Reason]
    assert [tuple(row[1:]) for row in rows] == [tuple(REASONS[reason]) for reason in Reason]


def test_a_state_allows_what_it_allows() -> None:
    rows = cells(allowed_table())
    assert [row[0] for row in rows] == [f"**{state}**" for state in State]
    for state, row in zip(State, rows, strict=True):
        assert [cell == "yes" for cell in row[1:6]] == list(ALLOWED[state][:5])


@pytest.mark.parametrize(
    ("section", "values", "state", "text"),
    [
        ("ladder", {"groups_normal_min": 7}, State.NORMAL, "at least 7 anchored groups"),
        ("ladder", {"clock_normal_ms_max": 250}, State.NORMAL, "within 250 ms"),
        ("ladder", {"two_groups_bps": 12.5}, State.TWO_GROUPS, "within 12.5 bps"),
        ("ladder", {"dispersion_ms": 20_000}, State.PERP_IMPLIED, "for 20 s"),
        ("ladder", {"fallback_ms_max": 1_500}, State.HALTED, "longer than 1 500 ms"),
    ],
)
def test_what_is_called_for_has_the_thresholds_of_the_rules(
    section: str, values: dict[str, float], state: State, text: str
) -> None:
    rows = {row[0]: row[1] for row in cells(call_table(changed(section, **values)))}
    assert list(rows) == [f"**{call}**" for call in CALLS]
    assert text in rows[f"**{state}**"]
    assert text not in {row[0]: row[1] for row in cells(call_table(RULES))}[f"**{state}**"]


def test_alerts_have_the_thresholds_of_the_rules() -> None:
    rows = {row[0]: row[2:] for row in cells(alert_table(changed("surveillance", source_bps=31.0, source_ms=7_000)))}
    assert list(rows) == [f"`{kind}`" for kind in AlertKind]
    assert rows["`SOURCE_DEVIATION`"] == ["31 bps", "7 s"]
    assert rows["`LIQUIDATION_CLUSTER`"] == ["20", "60 s"]
    assert rows["`STATE`"] == ["–", "at once"]
