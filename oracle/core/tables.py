"""The tables that documents show, made from the code that obeys them: parameters, the ladder, the public words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf
from operator import attrgetter
from typing import Any

from oracle.core.meanings import ALERTS, ALLOWED, REASONS, VERDICTS
from oracle.core.params import LadderRules, ParameterDoc, Rules, documented
from oracle.core.status import CALLS, LADDER, RUNGS
from oracle.core.types import AlertKind, Reason, State, Verdict

_CALLS: Mapping[State, str] = {  # when the conditions call for a state, by `core.status.call`
    State.NORMAL: "at least {groups_normal_min} anchored groups, confidence within {confidence_normal_bps_max}, "
    "conversions and legs NORMAL, a market open, clock offset within {clock_normal_ms_max}",
    State.DEGRADED: "at least {groups_degraded_min} groups, but not all of the above; or `COHORT_SPLIT`",
    State.TWO_GROUPS: "exactly 2 groups within {two_groups_bps} of one another",
    State.PERP_IMPLIED: "fewer groups, or two that disagree, or confidence beyond {confidence_degraded_bps_max} for "
    "{dispersion_ms}; and at least {perp_markets_min} outside perpetual markets fresh",
    State.LAST_GOOD: "the same, without such markets",
    State.HALTED: "a fallback for longer than {fallback_ms_max}, a clock offset beyond {clock_degraded_ms_max}, "
    "a broken invariant, an order",
}


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


def call_table(rules: Rules) -> str:
    """What the conditions call for, with the thresholds of these rules."""
    thresholds = {name: _measure(f"ladder.{name}", rules) for name in LadderRules.__struct_fields__}
    rows = [(f"**{state}**", _CALLS[state].format(**thresholds)) for state in CALLS]
    return _table(("Called for", "When"), rows)


def allowed_table() -> str:
    """What a consumer may do in each state, from the best to the worst."""
    head = ("State", "Show it", "Demand margin by it", "Liquidate by it", "Sample premiums", "Settle at it", "Note")
    rows = []
    for state in State:
        *may, note = ALLOWED[state]
        rows.append((f"**{state}**", *("yes" if allowed else "no" for allowed in may), note))
    return _table(head, rows)


def verdict_table() -> str:
    """Every verdict on a source, in the order of the code."""
    rows = [(f"`{verdict}`", *VERDICTS[verdict]) for verdict in Verdict]
    return _table(("Verdict", "Votes", "Rule", "Meaning"), rows)


def reason_table() -> str:
    """Every reason that a published value may carry."""
    rows = [(f"`{reason}`", *REASONS[reason]) for reason in Reason]
    return _table(("Reason", "Said of", "Rule", "Meaning"), rows)


def alert_table(rules: Rules) -> str:
    """What surveillance reports, with the thresholds of these rules."""
    rows = []
    for kind in AlertKind:
        watched = ALERTS[kind]
        beyond = _measure(watched.beyond, rules) if watched.beyond else "–"
        lasting = _measure(watched.lasting, rules) if watched.lasting else "at once"
        rows.append((f"`{kind}`", watched.text, beyond, lasting))
    return _table(("Alert", "Raised when", "Beyond", "For, or within"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown of a table."""
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _measure(name: str, rules: Rules) -> str:
    """A parameter of these rules with its unit, as a reader of a sentence wants it: `25 bps`, `60 s`, `4`."""
    row, value = next(parameters(rules, (name,)))  # a methodology's own parameters follow it
    if row.unit == "ms" and value % 1_000 == 0:
        return f"{_number(value // 1_000)} s"
    return _number(value) if row.unit == "count" else f"{_number(value)} {row.unit}"


def _number(value: float) -> str:
    """A parameter as a person writes it: no exponent, no needless zeros, thirds as thirds."""
    if value == 2 / 3:
        return "2/3"
    return (
        f"{value:,.10f}".rstrip("0").rstrip(".").replace(",", " ")
        if isinstance(value, float)
        else f"{value:,}".replace(",", " ")
    )
