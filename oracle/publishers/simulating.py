"""What a premium would cost, asked from outside: how shares and instants are written, who can be asked, the answer.

The command line and the API read what people write with the same functions and answer the same numbers; the arithmetic
is `core.simulation`, which asks the function that settles.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from math import isfinite

import msgspec

from oracle import methods
from oracle.core.method import PerpMethod, funds
from oracle.core.params import Rules
from oracle.core.simulation import Simulated, curve, simulated, spread
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Nanos
from oracle.publishers import render
from oracle.publishers.render import Answer

SHARE_EXAMPLES = "0.0005, 0.05% or 5bp"
INSTANT_EXAMPLES = "2023-06-20 or 2023-06-20T08:00:00, in UTC, or ms since 1970"
POINTS_MAX = 1_001
DECIMALS = 12
SHARE_MAX = 1.0  # of the index
PREMIUM, NOTIONAL, REACH = "5bp", "50000", "1%"  # what is meant where nothing is said
_SHARE = re.compile(r"([+-]?[0-9]{1,20}(?:\.[0-9]{1,20})?(?:e[+-]?[0-9]{1,3})?)\s*(%|bps?|)", re.ASCII)
_UNITS = {"": 1.0, "%": 100.0, "bp": 10_000.0, "bps": 10_000.0}
_MILLIS = re.compile(r"[0-9]{12,15}", re.ASCII)
_TEXT_MAX = 40


def share(text: str) -> float | None:
    """A share as people write it: `0.0005`, `0.05%`, `5bp`; None for what is none."""
    match = _SHARE.fullmatch(text.strip())
    if not match:
        return None
    value = float(match[1]) / _UNITS[match[2]]
    return value if isfinite(value) else None


def instant(text: str) -> Nanos | None:
    """A date or date-time in UTC, or ms since 1970, as ns; None for what is neither."""
    if _MILLIS.fullmatch(text):
        return int(text) * NANOS_PER_MS
    try:
        then = datetime.fromisoformat(text[:_TEXT_MAX])
        return int((then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp()) * NANOS_PER_S
    except (ValueError, OverflowError):
        return None


def funders(names: Iterable[str]) -> Iterator[tuple[str, PerpMethod]]:
    """Those of the methodologies that have a funding rule."""
    for name in names:
        method = methods.load(name)
        if funds(method):
            yield name, method


def costs(
    asked: Sequence[tuple[str, PerpMethod]], premium: float, notional: float, at_ns: Nanos
) -> list[tuple[str, Rules, Simulated]]:
    """What the premium would cost under each, by the parameters in force at a time."""
    dated = [(name, method, methods.rules_at(method, at_ns)) for name, method in asked]
    return [(name, rules, rounded(simulated(method, rules, premium, notional))) for name, method, rules in dated]


def drawn(method: PerpMethod, rules: Rules, reach: float, count: int, notional: float) -> list[Simulated]:
    """The rate against the premium, evenly from −reach to +reach."""
    return [rounded(made) for made in curve(method, rules, spread(reach, count), notional)]


def rounded(made: Simulated) -> Simulated:
    """The same to a trillionth, beyond which a double says more than the formula does."""
    shares = ("premium", "rate", "per_8h", "per_year", "cost", "interest")
    return msgspec.structs.replace(made, **{name: round(getattr(made, name), DECIMALS) for name in shares})


def line(name: str, rules: Rules, made: Simulated, document: str) -> Answer:
    """A methodology's answer; `document` is the hash of its document."""
    return {
        "method": name,
        "version": rules.version,
        "effective_ts": rules.effective_ns // NANOS_PER_MS,
        "methodology_hash": document,
        "interval_ms": made.interval_ms,
        "interest": render.plain(made.interest),
        "rate_per_8h": render.plain(made.per_8h),
        "rate_per_year": render.plain(made.per_year),
        **point(made),
        "curve": None,
    }


def point(made: Simulated) -> Answer:
    """One premium: the rate of an interval, what a long of the notional pays, and which limit made it so."""
    return {
        "premium": render.plain(made.premium),
        "rate": render.plain(made.rate),
        "cost": render.plain(made.cost),
        "binds": made.binds,
    }
