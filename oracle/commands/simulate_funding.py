"""`oracle simulate-funding`: what a premium would cost under a methodology's funding rule, and which limit binds.

The rate is made by the function that settles. Every methodology with a funding rule can be asked, at any date that its
dated parameters know; `--curve` gives the rate against the premium as data.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Iterator

import msgspec

from oracle import methods
from oracle.commands.common import table
from oracle.core.method import PerpMethod, funds
from oracle.core.params import Rules
from oracle.core.simulation import Simulated
from oracle.core.types import Nanos
from oracle.errors import ConfigError
from oracle.publishers import simulating

EXAMPLES = (
    "oracle simulate-funding --premium 5bp --notional 50000        every methodology, a line each",
    "oracle simulate-funding --method hyperliquid --premium 0.0005 --notional 50000 --at 2023-06-20",
    "oracle simulate-funding --method hk1 --curve --reach 1% --points 201 > curve.csv",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.add_argument("--method", metavar="ID", help="a methodology; without it every one that funds")
    parser.add_argument("--premium", metavar="P", default="5bp", help="mean premium: 0.0005, 0.05%% or 5bp (default)")
    parser.add_argument("--notional", metavar="N", type=float, default=50_000.0, help="position × index, in its quote")
    parser.add_argument("--at", metavar="DATE", help="with the parameters in force then; default now")
    parser.add_argument("--curve", action="store_true", help="the rate against the premium, as CSV")
    parser.add_argument("--reach", metavar="P", default="1%", help="the curve goes so far either way (default 1%%)")
    parser.add_argument("--points", metavar="N", type=int, default=201, help="points of the curve (default 201)")
    parser.add_argument("--json", action="store_true", help="as JSON")


def main(args: argparse.Namespace) -> int:
    """Print what it would cost. Raises ConfigError for an unknown methodology or a premium that is none."""
    at_ns = instant(args.at)
    chosen = list(asked(args.method))
    if args.curve:
        return _curves(chosen, share(args.reach, "--reach"), args.points, args.notional, at_ns)
    premium = share(args.premium, "--premium")
    rows = simulating.costs(chosen, premium, args.notional, at_ns)
    if args.json:
        said = [{"method": name, "version": rules.version, **msgspec.to_builtins(made)} for name, rules, made in rows]
        print(msgspec.json.format(msgspec.json.encode(said), indent=2).decode())
        return 0
    head = ("methodology", "interval", "rate per interval", "per 8 h", "per year", "a long pays", "what binds")
    print(table((_row(name, rules, made) for name, rules, made in rows), head))
    return 0


def asked(name: str | None) -> Iterator[tuple[str, PerpMethod]]:
    """The methodologies to ask: the one of that id, or every shipped one that funds. Raises ConfigError."""
    if name is None:
        yield from simulating.funders(methods.shipped())
        return
    try:
        method = methods.load(name)
    except ModuleNotFoundError:
        remedy = f"known: {', '.join(each for each, _ in asked(None))}"
        raise ConfigError(f"no such methodology: {name}", remedy=remedy) from None
    if not funds(method):
        remedy = f"these do: {', '.join(each for each, _ in asked(None))}"
        raise ConfigError(f"{name} has no funding rule", remedy=remedy)
    yield name, method


def share(text: str, key: str) -> float:
    """A share as people write it: `0.0005`, `0.05%`, `5bp`. Raises ConfigError."""
    if (found := simulating.share(text)) is None:
        raise ConfigError("is no share", key=key, value=text, remedy=f"for example {simulating.SHARE_EXAMPLES}")
    return found


def instant(text: str | None) -> Nanos:
    """A date or date-time in UTC as ns; None is now. Raises ConfigError."""
    if text is None:
        return time.time_ns()
    if (found := simulating.instant(text)) is None:
        raise ConfigError("is no date", key="--at", value=text, remedy=f"for example {simulating.INSTANT_EXAMPLES}")
    return found


def _row(name: str, rules: Rules, made: Simulated) -> tuple[str, ...]:
    hours = f"{made.interval_ms / 3_600_000:g} h"
    percents = (f"{made.rate:+.7%}", f"{made.per_8h:+.6%}", f"{made.per_year:+.3%}")
    return (f"{name} {rules.version}", hours, *percents, f"{made.cost:,.6g}", made.binds.replace("_", " "))


def _curves(chosen: list[tuple[str, PerpMethod]], reach: float, points: int, notional: float, at_ns: Nanos) -> int:
    if points < 2:
        raise ConfigError("a curve has two points at least", key="--points", value=points, remedy="for example 201")
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("method", "version", *Simulated.__struct_fields__))
    for name, method in chosen:
        rules = methods.rules_at(method, at_ns)
        for made in simulating.drawn(method, rules, reach, points, notional):
            writer.writerow((name, rules.version, *msgspec.structs.astuple(made)))
    return 0
