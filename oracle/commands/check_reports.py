"""`oracle check-reports`: recomputes published medians from their inputs, in exact fractions.

A report is a JSON line: `pair`, `value_1e18` (the published value, an integer of 1e-18), `time_s`, and `inputs`, prices
by `BASE/QUOTE@origin`. The value of a currency is the median of what its legs say, each leg times (or, the other way
round, into) the value of the currency it leads to: so a leg may be direct, crossed, inverted or part of a chain. Each
currency is priced from those before it in the order of pricing, so that nothing is priced by itself.
"""

from __future__ import annotations

import argparse
import gzip
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import msgspec
from msgspec import Struct

from oracle.commands.common import table
from oracle.errors import ConfigError

EXAMPLES = (
    "oracle check-reports reports.jsonl.gz",
    "oracle check-reports reports.jsonl --tolerance 0        to the last of the eighteen digits",
    "oracle check-reports reports.jsonl --order USD,BTC,ETH",
)
ORDER = "USD,BTC,USDT,KRW,ETH,STETH,WSTETH"
MISSES_SHOWN = 10
_LEG = re.compile(r"^([A-Z0-9]+)/([A-Z0-9]+)@(\S+)$")
_DECIMAL = re.compile(r"^[0-9]+(\.[0-9]+)?(e[+-]?[0-9]{1,3})?$", re.ASCII)


class Report(Struct, frozen=True):
    """A published value and what it was made of."""

    pair: str
    value_1e18: str
    time_s: int
    inputs: dict[str, str]


class Miss(Struct, frozen=True):
    """A report that does not come out."""

    line: int
    pair: str
    published: str
    recomputed: str
    error: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.add_argument("file", metavar="FILE", type=Path, help="reports, one a line; .gz is read through gzip")
    parser.add_argument("--tolerance", metavar="E", type=float, default=1e-15, help="largest relative error (1e-15)")
    parser.add_argument("--order", metavar="C,C,…", default=ORDER, help=f"order of pricing (default {ORDER})")


def main(args: argparse.Namespace) -> int:
    """Print what came out; 1 when a report does not. Raises ConfigError for a file that is none, OSError."""
    order = [name for name in args.order.split(",") if name]
    rows = misses = 0
    largest, shown = Fraction(0), []
    for line, report in reports(args.file):
        rows += 1
        published = Fraction(int(report.value_1e18), 10**18)
        found = recomputed(report, order)
        error = abs(found / published - 1) if found is not None and published else Fraction(1)
        largest = max(largest, error)
        if error > Fraction(args.tolerance):
            misses += 1
            text = "nothing leads to it" if found is None else f"{float(found):.18g}"
            shown.append(Miss(line, report.pair, f"{float(published):.18g}", text, float(error)))
    if not rows:
        raise ConfigError("holds no report", file=str(args.file), remedy="one JSON object a line")
    print(f"{rows} reports, {rows - misses} within {args.tolerance:g}, largest relative error {float(largest):.3g}")
    if shown:
        cells = ((str(m.line), m.pair, m.published, m.recomputed, f"{m.error:.3g}") for m in shown[:MISSES_SHOWN])
        print(table(cells, ("line", "pair", "published", "recomputed", "error")))
        print(f"{misses} do not come out", file=sys.stderr)
    return int(misses > 0)


def reports(path: Path) -> Iterable[tuple[int, Report]]:
    """Every report with its line. Raises ConfigError naming the line that is none."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
        for line, data in enumerate(stream, 1):
            if data.strip():
                yield line, _report(path, line, data)


def _report(path: Path, line: int, data: bytes) -> Report:
    try:
        report = msgspec.json.decode(data, type=Report)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"is no report: {error}", file=str(path), line=line) from None
    if not report.value_1e18.isascii() or not report.value_1e18.isdigit():
        raise ConfigError("is no integer", file=str(path), line=line, key="value_1e18", value=report.value_1e18)
    for leg, price in report.inputs.items():
        if not _LEG.match(leg):
            problem = "is no leg"
            raise ConfigError(problem, file=str(path), line=line, key="inputs", value=leg, remedy="BASE/QUOTE@origin")
        if not _DECIMAL.match(price) or not Fraction(price):
            raise ConfigError(
                "is no price", file=str(path), line=line, key=leg, value=price, remedy="a decimal above 0"
            )
    return report


def recomputed(report: Report, order: Sequence[str]) -> Fraction | None:
    """The value of a report's pair from its inputs; None when no leg leads from its base to its quote."""
    for split in range(1, len(report.pair)):
        base, quote = report.pair[:split], report.pair[split:]
        if quote in order and any(base in leg.partition("@")[0].split("/") for leg in report.inputs):
            return valued(base, quote, report.inputs, order)
    return None


def valued(base: str, quote: str, inputs: Mapping[str, str], order: Sequence[str]) -> Fraction | None:
    """The value of `base` in `quote`: currencies are priced in order, each from those priced before it."""
    legs = []
    for leg, price in inputs.items():
        of, _, to = leg.partition("@")[0].partition("/")
        legs.append((of, to, Fraction(price)))
    values = {quote: Fraction(1)}
    before = order[: order.index(base)] if base in order else order
    for currency in (*(name for name in before if name != quote), base):
        said = [rate * values[to] for of, to, rate in legs if of == currency and to in values]
        said += [values[of] / rate for of, to, rate in legs if to == currency and of in values]
        if said:
            values[currency] = _median(said)
    return values.get(base)


def _median(values: list[Fraction]) -> Fraction:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
