"""The tables that documents show, made from the code that obeys them: parameters, the ladder, words and verdicts."""

from __future__ import annotations

from operator import attrgetter

from oracle.core.params import Rules, documented
from oracle.core.status import CALLS, LADDER, RUNGS


def parameter_table(rules: Rules) -> str:
    """Every parameter of a set as a Markdown table: name, value, unit, range, rule and meaning."""
    rows = ["| Parameter | Value | Unit | Range | Rule | Meaning |", "|---|---|---|---|---|---|"]
    for row in documented():
        value = attrgetter(row.name)(rules)
        rows.append(
            f"| `{row.name}` | {_number(value)} | {row.unit} | {_number(row.minimum)} … {_number(row.maximum)} "
            f"| {row.rule} | {row.text} |"
        )
    return "\n".join(rows)


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
