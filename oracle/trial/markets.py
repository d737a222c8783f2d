"""What each venue file calls its markets, so that the simulator can play any of them with any asset.

A spelling holds `{A}` for the asset in capitals, `{a}` in small letters, `{X}` in capitals with XBT for Bitcoin. The
simulated world knows dollars only: a market against won or yen is played as if it were one against dollars.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from oracle.errors import ConfigError
from oracle.simulator.markets import Market

ASSETS = ("BTC", "ETH")
TOPS_PER_S, TRADES_PER_S = 5.0, 2.0
PRICE_DECIMALS = {"BTC": 1}
PRICE_DECIMALS_ELSE = 2


class Spelling(NamedTuple):
    """How a venue names a market, and in which of its sections that market is."""

    symbol: str
    market: str = "spot"

    def of(self, asset: str) -> str:
        """The symbol of an asset."""
        return self.symbol.format(A=asset, a=asset.lower(), X="XBT" if asset == "BTC" else asset)


SPELLINGS = {
    "binance": Spelling("{A}USDT"),
    "bitfinex": Spelling("t{A}USD"),
    "bitflyer": Spelling("{A}_JPY"),
    "bitget": Spelling("{A}USDT"),
    "bitmex": Spelling("{X}USD"),
    "bitstamp": Spelling("{a}usd"),
    "bullish": Spelling("{A}USD"),
    "bybit": Spelling("{A}USDT"),
    "coinbase": Spelling("{A}-USD"),
    "coinbase_intl": Spelling("{A}_USDC-PERPETUAL"),
    "crypto_com": Spelling("{A}_USD"),
    "deribit": Spelling("{A}_USDC-PERPETUAL"),
    "dydx_v4": Spelling("{A}-USD"),
    "gate": Spelling("{A}_USDT"),
    "gate_futures": Spelling("{A}_USDT"),
    "gemini": Spelling("{A}USD"),
    "hashkey": Spelling("{A}USD"),
    "htx": Spelling("{a}usdt"),
    "hyperliquid": Spelling("{A}"),
    "itbit": Spelling("{A}USD"),
    "kraken": Spelling("{A}/USD"),
    "kraken_futures": Spelling("PF_{X}USD"),
    "kucoin": Spelling("{A}-USDT"),
    "lmax": Spelling("{a}-usd"),
    "mexc": Spelling("{A}USDT"),
    "mexc_contract": Spelling("{A}_USDT"),
    "okx": Spelling("{A}-USDT"),
    "upbit": Spelling("USDT-{A}"),
}


def venues_of(names: Sequence[str] = ()) -> list[str]:
    """The venues of these names; none: all that can be played. Raises ConfigError for one that cannot."""
    for name in names:
        if name not in SPELLINGS:
            raise ConfigError(f"no such venue to play: {name}", remedy=f"one of {', '.join(SPELLINGS)}")
    return list(names or SPELLINGS)


def markets_of(
    venues: Sequence[str],
    assets: Sequence[str] = ASSETS,
    *,
    tops_per_s: float = TOPS_PER_S,
    trades_per_s: float = TRADES_PER_S,
) -> tuple[Market, ...]:
    """A market an asset and venue, as the simulated world plays them, which has prices of BTC and ETH alone."""
    return tuple(
        Market(
            venue=venue,
            symbol=SPELLINGS[venue].of(asset),
            asset=asset,
            quote="USD",
            market=SPELLINGS[venue].market,
            price_decimals=PRICE_DECIMALS.get(asset, PRICE_DECIMALS_ELSE),
            tops_per_s=tops_per_s,
            trades_per_s=trades_per_s,
        )
        for venue in venues
        for asset in assets
    )
