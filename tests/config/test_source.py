"""A source's spelling, and the currency it states."""

from __future__ import annotations

import pytest

from oracle.config.source import Spelling, parse_source, spelt_quote


@pytest.mark.parametrize(
    ("text", "spelling", "name"),
    [
        ("kraken:BTC/USD", Spelling("kraken", "spot", "BTC/USD", ""), "kraken:BTC/USD"),
        ("bybit/linear:BTCUSDT", Spelling("bybit", "linear", "BTCUSDT", ""), "bybit/linear:BTCUSDT"),
        ("bitfinex:tUSTUSD=USD", Spelling("bitfinex", "spot", "tUSTUSD", "USD"), "bitfinex:tUSTUSD"),
        ("my.venues.here:A:B", Spelling("my.venues.here", "spot", "A:B", ""), "my.venues.here:A:B"),
    ],
)
def test_a_spelling_is_taken_apart(text: str, spelling: Spelling, name: str) -> None:
    assert parse_source(text) == spelling
    assert spelling.name == name


@pytest.mark.parametrize("text", ["", "kraken", "kraken:", ":BTC", "Kraken:BTC", "kraken:BTC USD", "kraken:BTC=usd"])
def test_what_is_no_spelling_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="venue"):
        parse_source(text)


@pytest.mark.parametrize(
    ("symbol", "base", "quote"),
    [
        ("BTC/USD", "BTC", "USD"),
        ("btcusd", "BTC", "USD"),
        ("BTCUSDT", "BTC", "USDT"),
        ("tETHUSD", "ETH", "USD"),
        ("BTC-USDT-SWAP", "BTC", "USDT"),
        ("BTC-PERPETUAL", "BTC", ""),
        ("BTCFDUSD", "BTC", ""),  # ends in USD and is not priced in it
        ("PYUSDUSD", "USD", ""),
        ("tUSTUSD", "USDT", ""),
        ("XBT/USD", "BTC", ""),
        ("WBTCUSD", "BTC", ""),
    ],
)
def test_a_currency_is_spelt_or_unknown_but_never_guessed(symbol: str, base: str, quote: str) -> None:
    assert spelt_quote(symbol, base, ("USD", "USDT", "USDC")) == quote
