"""What is known about every venue: its owner, its failure domain, its currencies, since when, and on what that rests.

The facts stand in `venues.toml` beside this file. `native` brings what ccxt calls a venue back to the venue's own name,
so that one venue read twice is never taken for two.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Literal

import msgspec
from msgspec import Struct

import oracle.venues

FILE = Path(__file__).with_name("venues.toml")
CCXT = "ccxt."  # `ccxt.kraken:BTC/USD`: an exchange that ccxt knows, read by its streams or polled
FEED = "feed."  # `feed.desk:XAU/USD`: a JSON source that the settings declare
ECB = "ecb"


class Named(Struct, frozen=True, forbid_unknown_fields=True):
    """An owner or a failure domain, and whether that is publicly known or an estimate."""

    name: str
    rests_on: Literal["public", "estimate"]


class Facts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One venue. `as_of`: the day on which all of it was held to be true."""

    group: Named
    domain: Named
    quotes: tuple[str, ...]
    as_of: date
    ccxt: tuple[str, ...] = ()
    sandboxes: tuple[str, ...] = ()


class _Tables(Struct, frozen=True, forbid_unknown_fields=True):
    venue: dict[str, Facts]
    authority: dict[str, Facts]


@cache
def venues() -> Mapping[str, Facts]:
    """Every venue that is known, by the name of its file."""
    return _tables().venue


@cache
def authorities() -> Mapping[str, Facts]:
    """Everybody who states a reference rate without being a venue."""
    return _tables().authority


def facts_of(venue: str) -> Facts | None:
    """What is known of a venue as a source names it; None: nothing."""
    name = native(venue)
    return venues().get(name) or authorities().get(name)


def native(venue: str) -> str:
    """The venue's own name: `ccxt.cryptocom` is `crypto_com`. A name nobody knows is its own."""
    if not venue.startswith(CCXT):
        return venue
    return _by_ccxt().get(venue.removeprefix(CCXT), venue)


@cache
def currencies() -> tuple[str, ...]:
    """Every currency that some venue is known to price in, longest first: `USDT` is looked for before `USD`."""
    known = {quote for facts in (*venues().values(), *authorities().values()) for quote in facts.quotes}
    return tuple(sorted(known, key=lambda quote: (-len(quote), quote)))


@cache
def sandboxes() -> tuple[str, ...]:
    """Every host on which a venue is known to play."""
    return tuple(host for facts in venues().values() for host in facts.sandboxes)


def venue_names() -> list[str]:
    """The venues that have a file, sorted: neither what they share nor a dialect that a venue has left behind."""
    names = {module.name for module in iter_modules(oracle.venues.__path__)}
    return sorted(n for n in names if n != "base" and not n.startswith("_") and not _is_old_dialect(n, names))


def has_file(venue: str) -> bool:
    """Whether there is code that reads a venue: ours, anyone's module by its dotted name, or ccxt's."""
    if "." not in venue:
        return venue in venue_names()
    try:
        return find_spec(venue) is not None
    except ModuleNotFoundError:
        return False


def _is_old_dialect(name: str, names: set[str]) -> bool:
    """`kraken_v1` beside `kraken`; `dydx_v4` is a venue's own name."""
    current, _, version = name.rpartition("_v")
    return version.isdigit() and current in names


@cache
def _tables() -> _Tables:
    return msgspec.convert(tomllib.loads(FILE.read_text(encoding="utf-8")), _Tables)


@cache
def _by_ccxt() -> dict[str, str]:
    return {name: venue for venue, facts in venues().items() for name in facts.ccxt}
