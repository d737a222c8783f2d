"""A configuration that nothing is wrong with, to be changed in one place, and what it is refused for then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from oracle.config.reading import read
from oracle.config.refusals import Ruling, judged
from oracle.config.settings import Settings
from oracle.config.world import check_service

AT_NS = 1_795_000_000 * 10**9  # 2026-11-18T11:06:40Z
BTC = ("coinbase:BTC-USD", "kraken:BTC/USD", "bitstamp:btcusd", "gemini:BTCUSD", "bitfinex:tBTCUSD", "binance:BTCUSDT")
USDT = ("coinbase:USDT-USD", "kraken:USDT/USD", "bitstamp:usdtusd", "bitfinex:tUSTUSD=USD")


class Bench:
    """Writes settings and hears what they are refused for."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def settings(
        self,
        sources: Sequence[str] = BTC,
        *,
        own: str = "",
        head: str = "",
        tail: str = "",
        status: str = "LIVE",
        base: str = "BTC",
    ) -> Settings:
        """Settings of BTC-USD and USDT-USD: `head` before the tables, `own` in the index, `tail` behind them."""
        text = f"""{head}
[[index]]
id = "{base}-USD"
base = "{base}"
status = "{status}"
sources = [{", ".join(s if s.startswith("{") else f'"{s}"' for s in sources)}]
{own or 'conversions = { USDT = "USDT-USD" }'}
[[index]]
id = "USDT-USD"
base = "USDT"
kind = "conversion"
price_decimals = 6
sources = [{", ".join(f'"{s}"' for s in USDT)}]
{tail}
"""
        self.path.write_text(text, encoding="utf-8")
        made = read(self.path, {})
        check_service(made)
        return made

    def rulings(self, *args: Sequence[str], **changed: str) -> list[Ruling]:
        """Everything that is said of the index under test."""
        settings = self.settings(*args, **changed)
        return [r for r in judged(settings, AT_NS).rulings if r.instrument == settings.index[0].id]

    def refused(self, *args: Sequence[str], **changed: str) -> list[str]:
        """Each refusal, without the name of the file."""
        errors = [ruling.error for ruling in self.rulings(*args, **changed) if ruling.error]
        said = [str(error).removeprefix(f"{self.path}:") for error in errors]
        assert all("\n" not in line and line.split(":")[0].isdigit() for line in said), said
        return said

    def warned(self, *args: Sequence[str], **changed: str) -> list[str]:
        """Each warning with its remedy."""
        return [f"{r.found} ({r.remedy})" for r in self.rulings(*args, **changed) if r.outcome == "warns"]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "o.toml")


@pytest.fixture
def refused(bench: Bench) -> Callable[..., list[str]]:
    return bench.refused
