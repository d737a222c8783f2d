"""Which markets the simulated world has: eight venues' spot, the outside perpetuals, and the platform's own."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from oracle.core.params import Role

ENGINE = "engine"


class Market(Struct, frozen=True, kw_only=True):
    """One market as its venue names it. `market` is the venue's own section (`spot`, `linear`), as Sessions take it."""

    venue: str
    symbol: str
    asset: str
    quote: str
    role: Role = Role.SPOT
    market: str = "spot"
    price_decimals: int = 2
    half_spread_bps: float = 0.5
    typical_size: float = 0.4
    tops_per_s: float = 10.0
    trades_per_s: float = 2.0

    @property
    def key(self) -> str:
        """What a script's globs are matched with: `okx/perp/BTC`."""
        return f"{self.venue}/{self.role.value}/{self.asset}"


# venue: quote currency, decimals of BTC and ETH prices, half spread in bps, name of BTC and of ETH
_SPOT = {
    "coinbase": ("USD", 2, 0.4, "BTC-USD", "ETH-USD"),
    "kraken": ("USD", 1, 0.5, "BTC/USD", "ETH/USD"),
    "bitstamp": ("USD", 0, 1.0, "btcusd", "ethusd"),
    "gemini": ("USD", 2, 1.2, "BTCUSD", "ETHUSD"),
    "bitfinex": ("USD", 0, 0.9, "tBTCUSD", "tETHUSD"),
    "binance": ("USDT", 2, 0.2, "BTCUSDT", "ETHUSDT"),
    "okx": ("USDT", 1, 0.2, "BTC-USDT", "ETH-USDT"),
    "bybit": ("USDT", 1, 0.3, "BTCUSDT", "ETHUSDT"),
}
_STABLE = (
    ("coinbase", "USDT-USD", "USDT"),
    ("kraken", "USDT/USD", "USDT"),
    ("kraken", "USDC/USD", "USDC"),
    ("bitstamp", "usdtusd", "USDT"),
    ("bitstamp", "usdcusd", "USDC"),
    ("bitfinex", "tUSTUSD", "USDT"),
    ("bitfinex", "tUDCUSD", "USDC"),
)


def _spot() -> Iterator[Market]:
    for venue, (quote, decimals, half_spread_bps, btc, eth) in _SPOT.items():
        for asset, symbol in (("BTC", btc), ("ETH", eth)):
            yield Market(
                venue=venue,
                symbol=symbol,
                asset=asset,
                quote=quote,
                price_decimals=decimals if asset == "BTC" else decimals + 1,
                half_spread_bps=half_spread_bps,
                typical_size=0.4 if asset == "BTC" else 6.0,
                tops_per_s=10.0 if asset == "BTC" else 8.0,
            )


def _stable() -> Iterator[Market]:
    for venue, symbol, asset in _STABLE:
        yield Market(
            venue=venue,
            symbol=symbol,
            asset=asset,
            quote="USD",
            price_decimals=5,
            half_spread_bps=0.6,
            typical_size=40_000.0,
            tops_per_s=4.0,
            trades_per_s=0.5,
        )


def _perps() -> Iterator[Market]:
    for asset, size in (("BTC", 0.8), ("ETH", 12.0)):
        for venue, market, symbol in (("okx", "spot", f"{asset}-USDT-SWAP"), ("bybit", "linear", f"{asset}USDT")):
            yield Market(
                venue=venue,
                symbol=symbol,
                asset=asset,
                quote="USDT",
                role=Role.PERP,
                market=market,
                price_decimals=1 if asset == "BTC" else 2,
                half_spread_bps=0.2,
                typical_size=size,
            )
        yield Market(
            venue=ENGINE,
            symbol=f"{asset}-USD-PERP",
            asset=asset,
            quote="USD",
            role=Role.ENGINE,
            market="perp",
            price_decimals=1 if asset == "BTC" else 2,
            half_spread_bps=0.5,
            typical_size=size / 4,
        )


MARKETS: tuple[Market, ...] = (*_spot(), *_stable(), *_perps())
VENUES: tuple[str, ...] = tuple(_SPOT)
