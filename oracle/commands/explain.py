"""`oracle explain`: every input, verdict and rule behind one published number, and who moved it.

The journal is computed again up to the beat, and the engine looked at. With `--since`, the change of the index between
two beats is divided among its sources; the shares sum to the change exactly.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from oracle.commands.common import table
from oracle.core.maths import unscaled
from oracle.core.params import PerpInstrument
from oracle.core.types import NANOS_PER_S, FundingRate, IndexValue, MarkPrice, Nanos, PremiumSample
from oracle.core.wire import scaled_text
from oracle.errors import ConfigError
from oracle.journal.explain import Explained, Moved, explain, moved

EXAMPLES = (
    "oracle explain 1234 BTC-USD var/journal",
    "oracle explain 2026-11-21T08:00:00Z BTC-USD-PERP var/journal",
    "oracle explain 1300 BTC-USD var/journal --since 1234        who moved it",
)
HEAD = ("source", "owner", "bid", "ask", "last", "times", "price", "age ms", "verdict", "rule")
_SEQ = re.compile(r"[0-9]{1,15}", re.ASCII)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.add_argument("when", metavar="SEQ|TIME", help="a beat's seq, or a time in UTC: the last beat until then")
    parser.add_argument("instrument", metavar="INSTRUMENT", help="an index or a perpetual")
    parser.add_argument(
        "path", metavar="JOURNAL", type=Path, nargs="?", default=Path("var/journal"), help="default %(default)s"
    )
    parser.add_argument("--since", metavar="SEQ|TIME", help="who moved it since that beat")
    parser.add_argument("--json", action="store_true", help="as JSON; shares as exact fractions")


def main(args: argparse.Namespace) -> int:
    """Print the explanation. Raises ConfigError for a time that is none, JournalError, JournalUnreadable."""
    until = moment(args.when, "SEQ|TIME")
    if args.since is not None:
        found = moved(args.path, args.instrument, moment(args.since, "--since"), until)
        print(_json(_moved_record(found)) if args.json else "\n".join(_moved_lines(found)))
        return 0
    one = explain(args.path, args.instrument, until)
    print(_json(_record(one)) if args.json else "\n".join(_lines(one)))
    return 0


def moment(text: str, key: str) -> int:
    """A beat's seq as it is, or a time as ns. Raises ConfigError."""
    if _SEQ.fullmatch(text):
        return int(text)
    try:
        then = datetime.fromisoformat(text)
    except ValueError:
        remedy = "for example 1234 or 2026-11-21T08:00:00Z"
        raise ConfigError("is neither a beat nor a time", key=key, value=text, remedy=remedy) from None
    utc = then if then.tzinfo else then.replace(tzinfo=UTC)
    return int(utc.timestamp()) * NANOS_PER_S + utc.microsecond * 1_000


def _lines(one: Explained) -> Iterator[str]:
    yield f"{one.instrument.id} at beat {one.seq}, {_time(one.at_ns)}"
    yield f"methodology {one.index.method} {one.index.rules.version} of the index {one.index.id}"
    if isinstance(one.instrument, PerpInstrument):
        yield f"methodology {one.instrument.method} {one.instrument.rules.version} of the mark and the funding"
    yield ""
    yield table(
        _input_rows(one), ("source", "owner", "bid", "ask", "last", "times", "price", "age ms", "verdict", "rule")
    )
    for value in one.values:
        yield ""
        yield from _value_lines(one, value)


def _input_rows(one: Explained) -> Iterator[tuple[str, ...]]:
    for i in one.inputs:
        price = f"{i.price:.10g}" if i.price else "-"
        book = (f"{i.bid:.10g}", f"{i.ask:.10g}", f"{i.last:.10g}" if i.last else "-")
        yield (i.source, i.group, *book, f"{i.rate:.10g}", price, str(i.age_ms), str(i.verdict), i.rule)


def _value_lines(one: Explained, value: IndexValue | MarkPrice | FundingRate | PremiumSample) -> Iterator[str]:
    """A value of the beat: what it is, then everything that made it so."""
    places = one.index.price_decimals
    if isinstance(value, IndexValue):
        yield f"index {value.instrument} = {_text(value.price, places)} ({value.state})"
        yield f"  {value.n_groups} owners, {value.breakdown_groups} of them must collude to move it"
        yield f"  liquidation {'allowed' if value.liquidation_ok else 'forbidden'}; {_why(value.reasons)}"
    elif isinstance(value, MarkPrice):
        yield from _mark_lines(value, one.instrument.price_decimals)
    elif isinstance(value, FundingRate):
        yield from _funding_lines(value)
    else:
        premium = "missing" if value.premium_e10 is None else f"{value.premium_e10 / 1e10:+.10f}"
        own = one.instrument.price_decimals
        sides = f"impact bid {_text(value.impact_bid, own)}, impact ask {_text(value.impact_ask, own)}"
        yield f"premium sample {value.instrument} = {premium}"
        yield f"  {sides}, index {_text(value.index, places)}; {_why(value.reasons)}"


def _mark_lines(value: MarkPrice, places: int) -> Iterator[str]:
    legs = (("basis", value.basis_leg), ("book", value.book_leg), ("funding", value.funding_leg))
    yield f"mark {value.instrument} = {_text(value.price, places)}"
    yield "  legs: " + ", ".join(f"{name} {_text(leg, places)}" for name, leg in legs)
    clamps = f"step clamp {_binds(value.step_binding)}, band {_binds(value.band_binding)}"
    yield f"  {clamps}; {_why(value.reasons)}"


def _funding_lines(value: FundingRate) -> Iterator[str]:
    mean = "none" if value.premium_mean_e10 is None else f"{value.premium_mean_e10 / 1e10:+.10f}"
    kind = "settled" if value.final else "estimate"
    yield f"funding {value.instrument} = {value.rate_e8 / 1e8:+.8f} per interval ({kind})"
    yield f"  mean premium {mean} of {value.samples} samples of {value.expected} due"
    clamps = f"inner clamp {_binds(value.inner_binding)}, cap {_binds(value.cap_binding)}"
    yield f"  interest {value.interest_e8 / 1e8:+.8f}; {clamps}; {_why(value.reasons)}"


def _moved_lines(found: Moved) -> Iterator[str]:
    before, after, places = found.before, found.after, found.after.index.price_decimals
    step = f"{_text(before.index_units, places)} -> {_text(after.index_units, places)}"
    yield f"{after.index.id} from beat {before.seq} ({_time(before.at_ns)}) to beat {after.seq} ({_time(after.at_ns)})"
    yield f"{step}: {unscaled(found.units, places):+.{places}f}"
    yield ""
    prices = {old.source: (old.price, new.price) for old, new in zip(before.inputs, after.inputs, strict=True)}
    rows = []
    for share in found.shares:
        old, new = prices.get(share.source, (0.0, 0.0))
        own = (f"{old:.10g}", f"{new:.10g}") if old or new else ("", "")
        rows.append((share.source, *own, f"{float(share.units) / 10**places:+.{places + 4}f}"))
    rows.append(("sum, exactly", "", "", f"{float(sum(s.units for s in found.shares)) / 10**places:+.{places + 4}f}"))
    yield table(rows, ("source", "said", "says", "moved it by"))


def _record(one: Explained) -> dict[str, Any]:
    """The explanation as data."""
    return {
        "instrument": one.instrument.id,
        "index": one.index.id,
        "seq": one.seq,
        "at_ns": one.at_ns,
        "methodology": f"{one.index.method}-{one.index.rules.version}",
        "parameters": one.index.rules,
        "inputs": one.inputs,
        "values": [{"type": type(v).__name__, **msgspec.structs.asdict(v)} for v in one.values],
    }


def _moved_record(found: Moved) -> dict[str, Any]:
    shares = [{"source": s.source, "units": str(s.units)} for s in found.shares]
    ends = {"before": _record(found.before), "after": _record(found.after)}
    return {"units": found.units, "decimals": found.after.index.price_decimals, "shares": shares, **ends}


def _json(record: dict[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(record), indent=2).decode()


def _text(units: int | None, places: int) -> str:
    return "none" if units is None else scaled_text(units, places)


def _why(reasons: Sequence[str]) -> str:
    return f"reasons: {' '.join(reasons) or 'none'}"


def _binds(binding: bool) -> str:
    return "binds" if binding else "does not bind"


def _time(at_ns: Nanos) -> str:
    whole = datetime.fromtimestamp(at_ns // NANOS_PER_S, UTC)
    return f"{whole:%Y-%m-%d %H:%M:%S}.{at_ns % NANOS_PER_S // 10**6:03d} UTC"
