"""`oracle methods`: which methodologies there are, their dated versions, and every parameter with its range.

`--write` makes the tables of a published document anew, between the markers that name them, from the code that obeys
them: `<!-- parameters 1.0.0 -->` for a version's parameters, `<!-- ladder -->` for the states. Without an id it does so
in the documents that support all methodologies: the list of them, the states, what surveillance reports.
"""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime
from pathlib import Path

from oracle import methods
from oracle.commands.common import table
from oracle.core.method import Described
from oracle.core.params import Rules
from oracle.core.tables import (
    alert_table,
    allowed_table,
    call_table,
    ladder_table,
    parameter_table,
    parameters,
    reason_table,
    shown,
    verdict_table,
)
from oracle.core.types import NANOS_PER_S
from oracle.errors import ConfigError
from oracle.publishers import simulating

EXAMPLES = (
    "oracle methods",
    "oracle methods hk1        every parameter of hk1, with unit, range and rule",
    "oracle methods hk1 --write methodology        make the tables of methodology/hk1.md anew",
    "oracle methods --write methodology            and those of the documents that support all of them",
)
SUPPORTING = ("README", "ladder", "governance", "CHANGES")
HOUSE = "hk1"  # whose states and thresholds the supporting documents show: the frame of every methodology

# A published example that the project was given: what a premium of 5 bp on a position of USD 50 000 costs, as at that
# day. An article of 1 June 2026 ("Perps come onshore") says it of these.
PREMIUM, NOTIONAL, EXAMPLE_NS = 0.0005, 50_000.0, 1_795_219_200 * NANOS_PER_S  # 2026-11-21
ARTICLE = {"kalshi": "25 an 8 h interval", "deribit": "25 an 8 h interval", "hyperliquid": "about 3 an hour"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.add_argument("id", metavar="ID", nargs="?", help="show this methodology's parameters")
    parser.add_argument("--write", metavar="FOLDER", type=Path, help="make the tables of its document there anew")


def main(args: argparse.Namespace) -> int:
    """List all, or show or write one. Raises ConfigError for an id that nobody has, OSError for no document."""
    if args.id is None and args.write is not None:
        for name in SUPPORTING:
            _rewrite(args.write / f"{name}.md", methods.load(HOUSE))
        return 0
    if args.id is None:
        rows = [(name, _versions(methods.load(name).SETS), _summary(name)) for name in methods.shipped()]
        print(table(rows, ("id", "versions", "what it is")))
        return 0
    try:
        method = methods.load(args.id)
    except ModuleNotFoundError:
        remedy = f"known: {', '.join(methods.shipped())}"
        raise ConfigError(f"no such methodology: {args.id}", remedy=remedy) from None
    if args.write is not None:
        _rewrite(args.write / f"{args.id}.md", method)
        return 0
    print(f"{args.id}: {_versions(method.SETS)}\n{_summary(args.id)}\n")
    head = ("parameter", *(f"value {rules.version}" for rules in method.SETS), "unit", "allowed", "rule", "meaning")
    print(table(_rows(method), head))
    return 0


def written(text: str, method: Described) -> str:
    """A document with its tables made anew; markers that it does not have are left out."""
    rules = method.SETS[-1]
    made = {f"parameters {dated.version}": parameter_table(dated, method.READS) for dated in method.SETS}
    made["ladder"], made["calls"], made["allowed"] = ladder_table(rules), call_table(rules), allowed_table()
    made["verdicts"], made["reasons"], made["alerts"] = verdict_table(), reason_table(), alert_table(rules)
    made["methodologies"], made["sets"], made["five basis points"] = _shelf(), _dated(), _example()
    for name, content in made.items():
        between = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- /{re.escape(name)} -->)", re.DOTALL)
        text = between.sub(lambda match, content=content: f"{match[1]}{content}\n{match[2]}", text)  # type: ignore[misc]
    return text


def _rewrite(path: Path, method: Described) -> None:
    path.write_text(written(path.read_text(encoding="utf-8"), method), encoding="utf-8")
    print(path)


def _shelf() -> str:
    """Every methodology with the version in force and one line: what its file knows, up to where it is published."""
    rows = []
    for name in methods.shipped():
        last = methods.load(name).SETS[-1]
        line = _summary(name).partition(" Published in ")[0]
        rows.append(f"| [`{name}`]({name}.md) | {last.version} | {_date(last.effective_ns)} | {line} |")
    return "\n".join(["| Methodology | Version | Since | What it is |", "|---|---|---|---|", *rows])


def _dated() -> str:
    """Every dated set of every methodology."""
    rows = [f"| `{name}` | {_versions(methods.load(name).SETS)} |" for name in methods.shipped()]
    return "\n".join(["| Methodology | Sets |", "|---|---|", *rows])


def _example() -> str:
    """What the example's premium costs a long under each methodology, beside what the article says of it."""
    rows = [
        "| Methodology | Interval | Rate an interval | USD an interval | USD in 8 h | What binds | The article says |"
    ]
    rows.append("|---|---|---|---|---|---|---|")
    for name, dated, made in simulating.costs(
        list(simulating.funders(methods.shipped())), PREMIUM, NOTIONAL, EXAMPLE_NS
    ):
        hours, in_8h = f"{made.interval_ms / 3_600_000:g} h", f"{made.per_8h * NOTIONAL:.6g}"
        figures = f"{hours} | {made.rate:+.6%} | {made.cost:.6g} | {in_8h}"
        rows.append(
            f"| {name} {dated.version} | {figures} | {made.binds.replace('_', ' ')} | {ARTICLE.get(name, '–')} |"
        )
    return "\n".join(rows)


def _rows(method: Described) -> list[tuple[str, ...]]:
    """A parameter a row, with its value in every set."""
    docs = [row for row, _ in parameters(method.SETS[-1], method.READS)]
    values = [[shown(value) for _, value in parameters(rules, method.READS)] for rules in method.SETS]
    return [
        (row.name, *(column[place] for column in values), row.unit, row.span(), row.rule, row.text)
        for place, row in enumerate(docs)
    ]


def _versions(sets: tuple[Rules, ...]) -> str:
    return ", ".join(f"{rules.version} since {_date(rules.effective_ns)}" for rules in sets)


def _date(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // NANOS_PER_S, UTC).date().isoformat() if at_ns else "the beginning"


def _summary(name: str) -> str:
    return (methods.load(name).__doc__ or "").partition("\n")[0]
