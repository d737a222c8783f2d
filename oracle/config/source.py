"""How a source is written in the settings: `venue[/market]:symbol[=QUOTE]`, and what quote currency that states.

`kraken:BTC/USD`, `bybit/linear:BTCUSDT`, `bitfinex:tUSTUSD=USD`. A symbol that spells base and quote needs no `=QUOTE`;
every other one does: a currency is never guessed from how a symbol ends (`BTCFDUSD` is not priced in USD). Where a
symbol means the asset for a time only, the times are RFC 3339 texts with an offset.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from oracle.core.types import Nanos

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
YEAR_MIN, YEAR_MAX = 2009, 2100  # before the first there was no market, and nobody plans beyond the last
SPOT = "spot"
_SPELLING = re.compile(r"^([a-z0-9_.]+)(?:/([a-z0-9_]+))?:([^\s=]+)(?:=([A-Z0-9]+))?$")
_DECORATION = re.compile(r"(?:-SWAP|-PERPETUAL|-PERP|\.P)$")


class Spelling(Struct, frozen=True):
    """A source as it was written. `quote` empty: the symbol must spell it."""

    venue: str
    market: str
    symbol: str
    quote: str

    @property
    def name(self) -> str:
        """The name the source has everywhere: without the quote, and without the market when that is spot."""
        market = "" if self.market == SPOT else f"/{self.market}"
        return f"{self.venue}{market}:{self.symbol}"


def parse_source(text: str) -> Spelling:
    """The parts of a source's spelling. Raises ValueError."""
    match = _SPELLING.match(text)
    if not match:
        raise ValueError("a source is written venue[/market]:symbol[=QUOTE]")
    return Spelling(match[1], match[2] or SPOT, match[3], match[4] or "")


def spelt_quote(symbol: str, base: str, quotes: Iterable[str]) -> str:
    """The one of `quotes` that a symbol spells after its base, or nothing."""
    letters = re.sub(r"[-/_]", "", _DECORATION.sub("", symbol.upper()))
    for quote in quotes:
        if letters in (base + quote, f"T{base}{quote}"):
            return quote
    return ""


def instant(written: object) -> str:
    """A time as it may be written (text, or TOML's offset date-time), as RFC 3339 text in UTC. Raises ValueError.

    An empty text stays empty: without end.
    """
    if written == "":
        return ""
    at: object = written
    if isinstance(written, str):
        with suppress(ValueError):
            at = datetime.fromisoformat(written)
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise ValueError("a time is written with its offset: 2026-12-01T08:00:00Z")
    if not YEAR_MIN <= at.year <= YEAR_MAX:
        raise ValueError(f"a time lies between {YEAR_MIN} and {YEAR_MAX}")
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def instant_ns(text: str) -> Nanos:
    """A time that `instant` has read, as UTC nanoseconds; 0 for an empty text: without end."""
    return (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND * 1_000 if text else 0
