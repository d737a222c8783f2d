"""The tables that documents show have a row for everything, in figures that people write."""

from __future__ import annotations

import pytest
from msgspec import structs

from oracle.core.params import documented
from oracle.core.status import CALLS, LADDER, RUNGS
from oracle.core.tables import alert_table, call_table, ladder_table, parameter_table
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
