"""A source's spelling, and the currency it states."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.config.source import Spelling, instant, instant_ns, parse_source, spelt_quote


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


HONG_KONG = timezone(timedelta(hours=8))


@pytest.mark.parametrize(
    ("written", "text", "seconds"),
    [
        ("2026-12-01T08:00:00Z", "2026-12-01T08:00:00Z", 1_796_112_000),
        ("2026-12-01 16:00:00+08:00", "2026-12-01T08:00:00Z", 1_796_112_000),
        (datetime(2026, 12, 1, 16, tzinfo=HONG_KONG), "2026-12-01T08:00:00Z", 1_796_112_000),
        ("", "", 0),
    ],
)
def test_a_time_is_read_with_its_offset(written: object, text: str, seconds: int) -> None:
    assert instant(written) == text
    assert instant_ns(text) == seconds * 10**9


@given(st.datetimes(datetime(2009, 1, 2), datetime(2100, 12, 30), timezones=st.just(HONG_KONG)))
def test_no_microsecond_is_lost(at: datetime) -> None:
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    assert instant_ns(instant(at)) == (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1_000
    assert instant(instant(at)) == instant(at)


@pytest.mark.parametrize(
    "written",
    [
        "2026-12-01",
        "2026-12-01T08:00:00",
        "tomorrow",
        1_796_112_000,
        datetime(2026, 12, 1),
        "1970-01-01T00:00:00Z",
        None,
    ],
)
def test_what_is_no_time_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="a time"):
        instant(written)
