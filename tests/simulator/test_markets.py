"""The markets of the simulated world are those that the demo's settings read, and each has its own name."""

from __future__ import annotations

from collections import Counter

from oracle.core.params import Role
from oracle.simulator.markets import MARKETS, VENUES


def test_a_key_and_a_symbol_name_one_market() -> None:
    assert max(Counter(m.key for m in MARKETS).values()) == 1
    assert max(Counter((m.venue, m.market, m.symbol) for m in MARKETS).values()) == 1


def test_every_venue_has_btc_and_eth_and_two_have_outside_perpetuals() -> None:
    spot = {(m.venue, m.asset) for m in MARKETS if m.role is Role.SPOT}
    assert len(VENUES) == 8
    assert {(venue, asset) for venue in VENUES for asset in ("BTC", "ETH")} <= spot
    assert {m.venue for m in MARKETS if m.role is Role.PERP} == {"okx", "bybit"}


def test_the_conversions_have_their_groups() -> None:
    venues = {asset: {m.venue for m in MARKETS if m.asset == asset} for asset in ("USDT", "USDC")}
    assert (len(venues["USDT"]), len(venues["USDC"])) == (4, 3)
