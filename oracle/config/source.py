"""How a source is written in the settings: `venue[/market]:symbol[=QUOTE]`, and what quote currency that states.

`kraken:BTC/USD`, `bybit/linear:BTCUSDT`, `bitfinex:tUSTUSD=USD`. A symbol that spells base and quote needs no `=QUOTE`;
every other one does: a currency is never guessed from how a symbol ends (`BTCFDUSD` is not priced in USD).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct

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
