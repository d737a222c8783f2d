"""The tables that documents show, made from the code that obeys them: parameters, the ladder, words and verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf
from operator import attrgetter
from typing import Any

from oracle.core.params import ParameterDoc, Rules, documented
from oracle.core.status import CALLS, LADDER, RUNGS


def parameter_table(rules: Rules, reads: Sequence[str] | None = None) -> str:
    """The parameters of a set as a Markdown table: name, value, unit, range, rule and meaning.

    `reads` are dotted names or whole groups; None: everything that is shared. A methodology's own come last.
    """
    rows = ["| Parameter | Value | Unit | Range | Rule | Meaning |", "|---|---|---|---|---|---|"]
    for row, value in parameters(rules, reads):
        span = "–" if row.minimum == -inf else f"{_number(row.minimum)} … {_number(row.maximum)}"
        rows.append(f"| `{row.name}` | {shown(value)} | {row.unit} | {span} | {row.rule} | {row.text} |")
    return "\n".join(rows)


def parameters(rules: Rules, reads: Sequence[str] | None = None) -> Iterator[tuple[ParameterDoc, Any]]:
    """The rows of `parameter_table`: what documents a parameter, and its value."""
    for row in documented():
        if reads is None or any(row.name == name or row.name.startswith(f"{name}.") for name in reads):
            yield row, attrgetter(row.name)(rules)
    if rules.own is not None:
        for row in documented(type(rules.own)):
            yield row._replace(name=f"own.{row.name}"), attrgetter(row.name)(rules.own)


def shown(value: Any) -> str:
    """A parameter's value as a person writes it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {shown(part)}" for name, part in value.items()) or "none"
    if isinstance(value, tuple | list):
        return ", ".join(shown(part) for part in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _number(value) if isinstance(value, int | float) else str(value)


def ladder_table(rules: Rules) -> str:
    """The ladder as a Markdown table: a row for each state, a column for what the conditions call for."""
    rows = ["| State | " + " | ".join(call.value for call in CALLS) + " |", "|---" * (len(CALLS) + 1) + "|"]
    for state in RUNGS:
        cells = []
        for call in CALLS:
            target, dwell = LADDER[state, call]
            if target is state:
                cells.append("stay")
            else:
                when = "at once" if dwell is None else f"after {getattr(rules.ladder, dwell) // 1000} s"
                cells.append(f"{target.value} {when}")
        rows.append(f"| **{state.value}** | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _number(value: float) -> str:
    """A parameter as a person writes it: no exponent, no needless zeros, thirds as thirds."""
    if value == 2 / 3:
        return "2/3"
    return (
        f"{value:,.10f}".rstrip("0").rstrip(".").replace(",", " ")
        if isinstance(value, float)
        else f"{value:,}".replace(",", " ")
    )
