"""`oracle methods`: which methodologies there are, their dated versions, and every parameter with its range."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from oracle import methods
from oracle.commands.common import table
from oracle.core.params import Rules, documented
from oracle.core.types import NANOS_PER_S
from oracle.errors import ConfigError

EXAMPLES = ("oracle methods", "oracle methods hk1        every parameter of hk1, with unit, range and rule")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.add_argument("id", metavar="ID", nargs="?", help="show this methodology's parameters")


def main(args: argparse.Namespace) -> int:
    """List all, or show one. Raises ConfigError for an id that nobody has."""
    if args.id is None:
        rows = [(name, _versions(methods.load(name).SETS), _summary(name)) for name in methods.shipped()]
        print(table(rows, ("id", "versions", "what it is")))
        return 0
    try:
        method = methods.load(args.id)
    except ModuleNotFoundError:
        remedy = f"known: {', '.join(methods.shipped())}"
        raise ConfigError(f"no such methodology: {args.id}", remedy=remedy) from None
    print(f"{args.id}: {_versions(method.SETS)}\n{_summary(args.id)}\n")
    head = ("parameter", *(f"value {rules.version}" for rules in method.SETS), "unit", "allowed", "rule", "meaning")
    print(table((_row(row.name, method.SETS) for row in documented()), head))
    return 0


def _row(name: str, sets: tuple[Rules, ...]) -> tuple[str, ...]:
    row = next(r for r in documented() if r.name == name)
    section, _, field = name.partition(".")
    values = [f"{getattr(getattr(rules, section), field):.12g}" for rules in sets]
    return (name, *values, row.unit, f"{row.minimum:g} to {row.maximum:g}", row.rule, row.text)


def _versions(sets: tuple[Rules, ...]) -> str:
    return ", ".join(f"{rules.version} since {_date(rules.effective_ns)}" for rules in sets)


def _date(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // NANOS_PER_S, UTC).date().isoformat() if at_ns else "the beginning"


def _summary(name: str) -> str:
    return (methods.load(name).__doc__ or "").partition("\n")[0]
