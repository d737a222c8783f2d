"""Seven recordings of six venues, re-timed to one clock, each read by the dialect its address calls for.

What they hold of BTC and ETH, and what that makes of the instruments (all TEST, as if francs and test dollars were
dollars, because what is tested is arithmetic):

BTC-USD: Gemini BTCUSD (2021, 60 700), Bitfinex tTESTBTC:TESTUSD (its paper market of 2021, 60 400; the recording has
no other BTC), Kraken XBT/CHF (2021, first dialect, 56 100), OKX BTC-USDT (2022, 30 200, converted), Bitstamp btcusd
(2021). The last are diffs without the REST snapshot they need, so they never make a price: the line is dialled again
and again, and nobody else notices. BTC-NARROW has the same sources and the narrow band: real prices are outliers.
ETH-USD: Gemini ETHUSD (2021, 2 369), Kraken ETH/CHF (2021, 2 190), Bitstamp ethusd (2022, diffs upon their snapshot).
ALT-BTC: Coinbase recorded no BTC or ETH against dollars, only coins against BTC. DASH-BTC stands beside Kraken KSM/XBT,
Gemini ZECBTC and Bitfinex tMNABTC.
USDT-USD: Bitstamp usdtusd (2022) is the only recorded dollar market of a stablecoin; a second owner plays it too.

The recordings cannot give: one instant of one asset on several venues, trades of Kraken's and Bitfinex's markets here,
event times of Gemini's and Bitfinex's books. The platform's own book is Binance USDⓈ-M (2024), once as a linear and
once as an inverse contract.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from oracle.app import Running, serving
from oracle.collectors.tape import Direction, read
from oracle.simulator.tape import TapeServer
from oracle.venues import binance, bitfinex, bitstamp, coinbase, gemini, kraken, okx
from oracle.venues.base import Feed
from tests.e2e import frames, rig
from tests.e2e.reference import Reference, check

pytestmark = [pytest.mark.anyio, pytest.mark.data]

RULES = """
[index.rules.source]
spread_bps_max = 500
trade_anchor_ms = 1000
stale_ms_min = 60000
stale_ms_max = 60000
frozen_ms = 600000
future_ms_max = 60000
identity_ratio_max = 1000
[index.rules.ladder]
groups_normal_min = 2
groups_degraded_min = 2
warm_ms = 0
warm_degraded_ms = 0
two_groups_bps = 1000
confidence_degraded_bps_max = 5000
dispersion_ms = 600000
"""
WIDE = "[index.rules.index]\noutlier_bps_min = 5000\noutlier_bps_max = 10000\n"
BTC = """sources = [
    "recorded.gemini:BTCUSD", "recorded.bitfinex:tTESTBTC:TESTUSD=USD", "recorded.kraken:XBT/CHF=USD",
    "recorded.okx:BTC-USDT", "recorded.bitstamp_2021:diff_order_book_btcusd=USD",
]
conversions = { USDT = "USDT-USD" }
"""
ETH = '["recorded.gemini:ETHUSD", "recorded.kraken:ETH/CHF=USD", "recorded.bitstamp:diff_order_book_ethusd=USD"]'
ALT = """[
    "recorded.coinbase:DASH-BTC=BTC", "recorded.kraken:KSM/XBT=BTC",
    "recorded.gemini:ZECBTC=BTC", "recorded.bitfinex:tMNABTC=BTC",
]"""
USDT = '["recorded.bitstamp:diff_order_book_usdtusd=USD", "recorded.twin:diff_order_book_usdtusd=USD"]'
PERP = """
[[perp]]
id = "BTC-{0}"
index = "BTC-USD"
contract = "{0}"
contract_size = {1}
tick = "0.05"
[perp.rules]
mark = {{ basis_tau_ms = 2000, book_tau_ms = 1000, band_bps = {2} }}
funding = {{ sample_ms = 200, sample_late_ms_max = 200, interval_ms = 10000, impact_notional = 300000 }}
"""
SETTINGS = "".join(
    (
        f'[[index]]\nid = "USDT-USD"\nbase = "USDT"\nkind = "conversion"\nprice_decimals = 6\n'
        f'status = "TEST"\nsources = {USDT}\n{RULES}',
        f'[[index]]\nid = "BTC-USD"\nbase = "BTC"\nstatus = "TEST"\n{BTC}{RULES}{WIDE}',
        f'[[index]]\nid = "BTC-NARROW"\nbase = "BTC"\nstatus = "TEST"\n{BTC}{RULES}',
        f'[[index]]\nid = "ETH-USD"\nbase = "ETH"\nstatus = "TEST"\nsources = {ETH}\n{RULES}{WIDE}',
        f'[[index]]\nid = "ALT-BTC"\nbase = "ALT"\nquote = "BTC"\nprice_decimals = 8\n'
        f'status = "TEST"\nsources = {ALT}\n{RULES}{WIDE}',
        PERP.format("linear", 1.0, 5000),
        PERP.format("inverse", 10000.0, 150),
    )
)


class Recording(NamedTuple):
    """A venue's recordings, which module reads them, how fast they are played, and how they are decoded here."""

    module: Any
    files: tuple[str, ...]
    speed: float
    decoded: Callable[[Iterable[bytes]], Iterator[frames.Said]]


def undiffed(played: Iterable[bytes]) -> Iterator[frames.Said]:
    """Bitstamp without a snapshot: only its trades say anything."""
    return frames.bitstamp(played, [])


BITSTAMP_2022 = ("bitstamp.ws.1.0.txt.gz",)
BITSTAMP_REST = "bitstamp.http.0.0.txt.gz"
RECORDINGS = {
    "recorded.gemini": Recording(gemini, ("2021-04-17__gemini.ws.36.0.txt.gz",), 4.5, frames.gemini),
    "recorded.bitfinex": Recording(bitfinex, ("bitfinex.ws.11.0.txt.gz",), 4.5, frames.bitfinex),
    "recorded.kraken": Recording(kraken, tuple(f"kraken.ws.{n}.0.txt.gz" for n in (48, 49, 50)), 4.5, frames.kraken),
    "recorded.okx": Recording(okx, ("okx.ws.1.0.txt.gz",), 1.7, frames.okx),
    "recorded.coinbase": Recording(coinbase, ("coinbase.ws.28.0.txt.gz",), 4.5, frames.coinbase),
    "recorded.bitstamp": Recording(bitstamp, BITSTAMP_2022, 3.5, undiffed),
    "recorded.twin": Recording(bitstamp, BITSTAMP_2022, 3.5, undiffed),
    "recorded.bitstamp_2021": Recording(bitstamp, ("2021-04-17__bitstamp.ws.19.0.txt.gz",), 3.5, undiffed),
}


UNREADABLE = "recorded.bitstamp_2021"  # no snapshot: its line never stands for long


class Answers(Mapping[str, bytes]):
    """REST bodies by path, re-timed by the tape they belong to when they are asked for."""

    def __init__(self, path: Path, tape: rig.Tape) -> None:
        found = [frame for frame in read(path) if frame.direction is Direction.ANSWER]
        self._bodies = {"/" + frame.url.split("/", 3)[3]: frame.data for frame in found}
        self._tape = tape
        self.given: dict[str, bytes] = {}

    def __getitem__(self, path: str) -> bytes:
        body = self.given[path.rpartition("/")[2]] = rig.retimed(self._bodies[path], self._tape.shift)
        return body

    def __iter__(self) -> Iterator[str]:
        return iter(self._bodies)

    def __len__(self) -> int:
        return len(self._bodies)


class Play:
    """One run of the service on all recordings at once."""

    def __init__(self, data: Path) -> None:
        self.data = data / "frames"
        self.tapes: dict[str, rig.Tape] = {}
        self.answers: dict[str, Answers] = {}
        for name, recording in RECORDINGS.items():
            paths = [self.data / file for file in recording.files]
            rig.recorded(name, recording.module, next(read(paths[0])).url)
            self.tapes[name] = rig.Tape(rig.received(*paths), recording.speed)
            if recording.files == BITSTAMP_2022:
                self.answers[name] = Answers(self.data / BITSTAMP_REST, self.tapes[name])
        own = rig.received(data / "replay" / "binance_usdm_btcusdt_20240808.gz")
        self.own = {name: rig.Tape(own, 4.5, until_ns=30 * 10**9) for name in ("BTC-linear", "BTC-inverse")}
        self.ended: dict[str, Counter[str]] = {}
        self.refused: dict[str, Counter[str]] = {}
        self.journal = Path()

    async def run(self, folder: Path) -> None:
        """Serve until every tape that can be read to its end has been."""
        async with AsyncExitStack() as stack:
            servers = {
                name: await stack.enter_async_context(
                    TapeServer(tape, tape.speed, asked=True, answers=self.answers.get(name))
                )
                for name, tape in self.tapes.items()
            }
            urls = {name: server.url for name, server in servers.items()}
            settings = rig.settings(folder, SETTINGS, urls, ORACLE_SERVICE__BEAT_MS_MIN="2")
            running = await stack.enter_async_context(serving(settings))
            await self._push(running)
            await rig.heard(running, {name: tape for name, tape in self.tapes.items() if name != UNREADABLE})
            await asyncio.sleep(0.1)
            self.ended = {line.stats.venue: line.stats.ended for line in running.lines}
            self.refused = {line.stats.venue: line.stats.refused for line in running.lines}
            assert not running.live.failed
            self.journal = running.journal

    async def _push(self, running: Running) -> None:
        async with rig.sender(running) as sender:
            await sender.connected.wait()
            pushes = [
                rig.push(tape, binance.Session([Feed(0, "BTCUSDT")], "usdm"), sender, perp)
                for perp, tape in self.own.items()
            ]
            await asyncio.gather(*pushes)

    def compared(self) -> Reference:
        """Every beat computed again."""
        facts: dict[str, dict[str, Any]] = {}
        for name, tape in self.tapes.items():
            given = self.answers[name].given if name in self.answers else {}
            said = frames.bitstamp(tape.played, given.items()) if given else RECORDINGS[name].decoded(tape.played)
            for symbol, kinds in frames.by_source(said).items():
                prefix = "diff_order_book_" if RECORDINGS[name].module is bitstamp else ""
                facts[f"{name}:{prefix}{symbol}"] = kinds
        for perp, tape in self.own.items():
            said = frames.binance(tape.played)
            own = frames.by_source(said, timed=False)
            facts[f"engine:{perp}"] = {**own["BTCUSDT"], "D": own[""]["D"] + own["BTCUSDT"]["D"]}
        return check(self.journal, facts)


async def test_every_digit(data: Path, tmp_path: Path) -> None:
    play = Play(data)
    await play.run(tmp_path)
    found = play.compared()
    rig.report(f"{dict(found.counts)}; ended {play.ended['bitstamp_2021']}")
    for index in found.indices:
        assert found.counts[f"{index} NORMAL"] + found.counts[f"{index} DEGRADED"] > 10, index
    for source in found.names:
        assert (found.counts[f"B {source}"] > 0) is ("bitstamp_2021" not in source), source
    assert found.counts["OUTLIER"] > 0
    assert found.counts["P"] > 10
    assert not {"FUTURE", "STALE", "FROZEN"} & set(found.counts)
    assert min(found.ages) >= 0
    assert set(play.ended.pop("bitstamp_2021")) == {"REST"}
    assert {why for ended in play.ended.values() for why in ended} <= {"SILENT"}  # a slow machine waits for the others
    assert {reason for refused in play.refused.values() for reason in refused} == {"UNKNOWN_SYMBOL"}
    assert rig.clean(play.journal) == found.counts["beats"]
