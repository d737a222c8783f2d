"""`oracle check-series`: recomputes a venue's published series by its methodology, dated as each row is.

Three kinds of file are known by their columns: settled rates beside their premium (`time_ms,premium,funding_rate`);
an instrument capture with index, mark and funding (BitMEX' `symbol,timestamp,indicativeSettlePrice,markPrice,…`); and
settled rates alone (`Timestamp,Rate`), whose premium is only known as bars (`--bars`, `Timestamp,Low,High`): these must
lie between the rates that the bars' lows and highs make.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from math import inf, isfinite
from pathlib import Path
from typing import Any

from msgspec import Struct

from oracle import methods
from oracle.commands.common import table
from oracle.commands.simulate_funding import asked
from oracle.core.fair import funding_leg
from oracle.core.method import PerpMethod
from oracle.core.types import NANOS_PER_MS
from oracle.errors import ConfigError

EXAMPLES = (
    "oracle check-series hyperliquid hyperliquid_btc_funding_2024.csv",
    "oracle check-series bitmex bitmex_perpetuals_20210722.csv",
    "oracle check-series binance funding_8h.csv --bars premium_index_1h.csv.gz",
)
MISSES_SHOWN = 10
ON_THE_BOUND = 1e-5  # of a tolerance: the distance of two doubles of ten digits is no finer
HOUR_MS = 3_600_000
MONTH_ZERO = datetime(2000, 1, 1, tzinfo=UTC)  # BitMEX writes an interval as a time of that day


class Checked(Struct, frozen=True):
    """One published value and what came out: between `low` and `high`, give or take `tolerance`, in its own unit."""

    line: int
    label: str
    published: float
    low: float
    high: float
    tolerance: float

    @property
    def error(self) -> float:
        """How far the published value lies outside what came out; 0.0 within."""
        return max(0.0, self.low - self.published, self.published - self.high)

    @property
    def holds(self) -> bool:
        """Whether it lies within, give or take the tolerance, the bound included whatever a double makes of it."""
        return self.error <= self.tolerance * (1.0 + ON_THE_BOUND)


Row = dict[str, str]
Reader = Callable[[PerpMethod, Path, argparse.Namespace], Iterator[Checked]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.add_argument("method", metavar="METHOD", help="a methodology with a funding rule")
    parser.add_argument("file", metavar="FILE", type=Path, help="published values, CSV; .gz is read through gzip")
    parser.add_argument("--bars", metavar="FILE", type=Path, help="hourly bars of the premium index, for rates alone")
    parser.add_argument("--tolerance", metavar="E", type=float, help="largest error, instead of the format's own")


def main(args: argparse.Namespace) -> int:
    """Print what came out; 1 when a row does not. Raises ConfigError for a file or method that cannot be checked."""
    [(_, method)] = asked(args.method)
    columns = next(_lines(args.file), (0, {}))[1]
    if not columns:
        raise ConfigError("holds no row", file=str(args.file), remedy="a header line and values")
    fitting = [reader for needed, reader in FORMATS if needed <= columns.keys()]
    if not fitting:
        known = "; ".join(",".join(sorted(needed)) for needed, _ in FORMATS)
        raise ConfigError("has columns of no known series", file=str(args.file), line=1, remedy=f"known: {known}")
    rows = list(fitting[0](method, args.file, args))
    if not rows:
        raise ConfigError("holds no row that can be checked", file=str(args.file), remedy="see --help")
    missed = [row for row in rows if not row.holds]
    largest = max(row.error for row in rows)
    print(f"{len(rows)} rows, {len(rows) - len(missed)} matched, largest error {largest:.3g}")
    if missed:
        cells = (
            (r.line, r.label, f"{r.published:.12g}", _span(r), f"{r.error:.3g}", f"{r.tolerance:.3g}")
            for r in missed[:MISSES_SHOWN]
        )
        print(table(cells, ("line", "row", "published", "recomputed", "error", "tolerance")))
        print(f"{len(missed)} do not come out", file=sys.stderr)
    return int(bool(missed))


def _span(row: Checked) -> str:
    return f"{row.low:.12g}" if row.low == row.high else f"{row.low:.12g} to {row.high:.12g}"


def _rates(method: PerpMethod, path: Path, args: argparse.Namespace) -> Iterator[Checked]:
    """Settled rates beside their premium: equal within half of a published rate's last digit.

    The rate is compared before it is rounded: the published premium is rounded too, so a rate that lies beside a tie
    may have been rounded the other way.
    """
    tolerance = 5e-11 if args.tolerance is None else args.tolerance
    for line, row in _lines(path):
        at_ns = int(_number(path, line, row, "time_ms")) * NANOS_PER_MS
        rules = methods.rules_at(method, at_ns)
        premium, published = (_number(path, line, row, name) for name in ("premium", "funding_rate"))
        made = method.rate(premium, rules).rate
        yield Checked(line, row["time_ms"], published, made, made, tolerance)


def _marks(method: PerpMethod, path: Path, args: argparse.Namespace) -> Iterator[Checked]:
    """Fair-price marks, I·(1 + F·τ/T): equal within half a tick, to which the published mark is rounded."""
    if method.ID != "bitmex":
        raise ConfigError(
            f"{method.ID} has no fair-price mark", file=str(path), remedy="only bitmex is checked by marks"
        )
    for line, row in _lines(path):
        at, due, length = (
            _time(path, line, row, name) for name in ("timestamp", "fundingTimestamp", "fundingInterval")
        )
        names = ("indicativeSettlePrice", "fundingRate", "markPrice", "tickSize")
        index, rate, published, tick = (_number(path, line, row, name) for name in names)
        interval_s = (length - MONTH_ZERO).total_seconds()
        made = funding_leg(index, rate, (due - at).total_seconds() / interval_s)
        yield Checked(line, row["symbol"], published, made, made, tick * (args.tolerance or 0.5))


def _bounded(method: PerpMethod, path: Path, args: argparse.Namespace) -> Iterator[Checked]:
    """Settled rates between the rates that the lows and highs of their interval's bars make."""
    bounds: Any = getattr(method, "bounds", None)
    if bounds is None:
        raise ConfigError(f"{method.ID} states no bounds of a rate", file=str(path), remedy="only binance does")
    if args.bars is None:
        raise ConfigError("states no premium", file=str(path), remedy="give its hourly bars: --bars FILE")
    bars = {
        _ms(_time(args.bars, line, row, "Timestamp")): tuple(_number(args.bars, line, row, n) for n in ("Low", "High"))
        for line, row in _lines(args.bars)
    }
    tolerance = 5e-9 if args.tolerance is None else args.tolerance  # half of a rate's last digit
    without = 0
    for line, row in _lines(path):
        end_ms = _ms(_time(path, line, row, "Timestamp"))
        rules = methods.rules_at(method, end_ms * NANOS_PER_MS)
        hours = range(end_ms - rules.funding.interval_ms, end_ms, HOUR_MS)
        if any(hour not in bars for hour in hours):
            without += 1
            continue
        low, high = bounds([bars[hour] for hour in hours], rules)
        yield Checked(line, row["Timestamp"], _number(path, line, row, "Rate"), low, high, tolerance)
    if without:
        print(f"note: {without} rows have no bars for the whole of their interval", file=sys.stderr)


FORMATS: tuple[tuple[frozenset[str], Reader], ...] = (
    (frozenset(("time_ms", "premium", "funding_rate")), _rates),
    (frozenset(("symbol", "timestamp", "indicativeSettlePrice", "markPrice", "fundingRate", "tickSize")), _marks),
    (frozenset(("Timestamp", "Rate")), _bounded),
)


def _lines(path: Path) -> Iterator[tuple[int, Row]]:
    """Every row below the head, with its line. Raises ConfigError for a row of another width, or no text."""
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8", newline="")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8", newline="") as stream
        ):
            reader = csv.DictReader(stream)
            for row in reader:
                if None in row or None in row.values():
                    raise ConfigError(
                        "has another number of columns than its head", file=str(path), line=reader.line_num
                    )
                yield reader.line_num, row
    except (UnicodeDecodeError, csv.Error, gzip.BadGzipFile) as error:
        raise ConfigError(f"is no CSV: {error}", file=str(path)) from None


def _number(path: Path, line: int, row: Row, name: str) -> float:
    try:
        value = float(row[name])
    except ValueError:
        value = inf
    if not isfinite(value) or "_" in row[name]:
        raise ConfigError("is no number", file=str(path), line=line, key=name, value=row[name])
    return value


def _time(path: Path, line: int, row: Row, name: str) -> datetime:
    try:
        then = datetime.fromisoformat(row[name])
    except ValueError:
        raise ConfigError("is no time", file=str(path), line=line, key=name, value=row[name]) from None
    return then if then.tzinfo else then.replace(tzinfo=UTC)


def _ms(then: datetime) -> int:
    return int(then.timestamp()) * 1_000
