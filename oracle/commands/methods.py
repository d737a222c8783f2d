"""`oracle methods`: which methodologies there are, their dated versions, and every parameter with its range.

`--write` makes the tables of a published document anew, between the markers that name them, from the code that obeys
them: `<!-- parameters 1.0.0 -->` for a version's parameters, `<!-- ladder -->` for the states.
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
from oracle.core.tables import ladder_table, parameter_table, parameters, shown
from oracle.core.types import NANOS_PER_S
from oracle.errors import ConfigError

EXAMPLES = (
    "oracle methods",
    "oracle methods hk1        every parameter of hk1, with unit, range and rule",
    "oracle methods hk1 --write methodology        make the tables of methodology/hk1.md anew",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.add_argument("id", metavar="ID", nargs="?", help="show this methodology's parameters")
    parser.add_argument("--write", metavar="FOLDER", type=Path, help="make the tables of its document there anew")


def main(args: argparse.Namespace) -> int:
    """List all, or show or write one. Raises ConfigError for an id that nobody has, OSError for no document."""
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
        path = args.write / f"{args.id}.md"
        path.write_text(written(path.read_text(encoding="utf-8"), method), encoding="utf-8")
        print(path)
        return 0
    print(f"{args.id}: {_versions(method.SETS)}\n{_summary(args.id)}\n")
    head = ("parameter", *(f"value {rules.version}" for rules in method.SETS), "unit", "allowed", "rule", "meaning")
    print(table(_rows(method), head))
    return 0


def written(text: str, method: Described) -> str:
    """A document with its tables made anew."""
    tables = {f"parameters {rules.version}": parameter_table(rules, method.READS) for rules in method.SETS}
    tables["ladder"] = ladder_table(method.SETS[-1])
    for name, made in tables.items():
        between = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- /{re.escape(name)} -->)", re.DOTALL)
        text = between.sub(lambda match, made=made: f"{match[1]}{made}\n{match[2]}", text)  # type: ignore[misc]
    return text


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
