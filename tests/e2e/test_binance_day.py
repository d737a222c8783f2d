"""Binance as it was on 2024-08-08, played to the whole service: every published digit equals a brute-force one.

Spot BTCUSDT and ETHUSDT (346 s, 74 867 frames) are the source `binance`; USDⓈ-M BTCUSDT is the platform's own market
and goes through the authenticated door. One owner has one vote and an index needs two, so two more groups are played
beside it: the same spot recording 120 ms later, and COIN-M's BTCUSD_PERP, whose top states an event time. (That it is
a dollar perpetual is of no account here: what is tested is arithmetic.) The recorder's clock is 1.27 s behind the
venue's and stays so; the platform's clock, which stamps the engine feed, is ahead by as much. The platform falls silent
before the end, so that the mark loses its book leg and then its basis.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from oracle.app import Running, serving
from oracle.collectors.stats import LineStats
from oracle.collectors.tape import Frame
from oracle.simulator.tape import TapeServer
from oracle.venues import binance
from oracle.venues.base import Feed
from tests.e2e import rig
from tests.e2e.frames import binance as decoded
from tests.e2e.frames import by_source
from tests.e2e.reference import Reference, check

pytestmark = [pytest.mark.anyio, pytest.mark.data]

SKEW_NS = 1_270_000_000
LAG_NS = 120_000_000  # recorded time by which the second owner is late
SILENT_S = 1.4  # before the end, in the time of the run, the platform says no more
PERP = "BTC-USDT-PERP"
SETTINGS = f"""
[[index]]
id = "BTC-USDT"
base = "BTC"
quote = "USDT"
status = "TEST"
sources = ["binance:BTCUSDT", "played.twin:BTCUSDT", "played.coinm/coinm:BTCUSD_PERP=USDT"]
[index.rules]
{{source}}
ladder = {{ groups_normal_min = 2, groups_degraded_min = 2, warm_ms = 0 }}
[[index]]
id = "ETH-USDT"
base = "ETH"
quote = "USDT"
status = "TEST"
sources = ["binance:ETHUSDT", "played.twin:ETHUSDT"]
[index.rules]
{{source}}
ladder = {{ groups_normal_min = 2, groups_degraded_min = 2, warm_ms = 0 }}
[[perp]]
id = "{PERP}"
index = "BTC-USDT"
tick = "0.1"
[perp.rules.mark]
basis_tau_ms = 3000
book_tau_ms = 1000
basis_half_life_ms = 1000
feed_stale_ms = 300
feed_lost_ms = 1000
[perp.rules.funding]
sample_ms = 100
sample_late_ms_max = 100
interval_ms = 10000
impact_notional = 500000
coverage_min = 0.0
inner_clamp = 0.00001
"""


SOURCE = "source = {{ trade_anchor_ms = 1000, stale_ms_min = 60000, stale_ms_max = 60000, frozen_ms = 600000{} }}"


class Twin(binance.Session):
    """The same venue under another owner."""

    venue = "twin"


class CoinM(binance.Session):
    """The venue's coin-margined market under another owner."""

    venue = "coinm"


@pytest.fixture(scope="module")
def tapes(data: Path) -> dict[str, list[Frame]]:
    """The recordings, each in the order of its times."""
    folder = data / "replay"
    name = "binance_{}_20240808.gz"
    spot = rig.received(folder / name.format("spot_btcusdt"), folder / name.format("spot_ethusdt"))
    return {
        "spot": spot,
        "coinm": rig.received(folder / name.format("coinm_btcusd_perp")),
        "usdm": rig.received(folder / name.format("usdm_btcusdt")),
    }


class Play:
    """One run of the service on the recordings, up to `until_s` of recorded time, `speed` times as fast."""

    def __init__(self, tapes: dict[str, list[Frame]], speed: float, until_s: float, future_ms_max: int) -> None:
        self.settings = SETTINGS.replace("{source}", SOURCE.format(f", future_ms_max = {future_ms_max}"))
        began_ns = tapes["spot"][0].recv_ns
        how: dict[str, Any] = {"skew_ns": SKEW_NS, "until_ns": int(until_s * 10**9)}
        asked = [frame for frame in tapes["spot"] if b"@depth" not in frame.data and b"@" in frame.data]
        self.tapes = {
            "binance": rig.Tape(tapes["spot"], speed, began_ns=began_ns, **how),
            "played.twin": rig.Tape(asked, speed, began_ns=began_ns - LAG_NS, **how),
            "played.coinm": rig.Tape(
                [frame for frame in tapes["coinm"] if b"@depth" not in frame.data and b"@" in frame.data],
                speed, began_ns=began_ns, **how,
            ),
        }  # fmt: skip
        ends_ns = min(how["until_ns"], tapes["usdm"][-1].recv_ns - began_ns) - int(SILENT_S * speed * 10**9)
        self.own = rig.Tape(tapes["usdm"], speed, began_ns=began_ns, skew_ns=SKEW_NS, until_ns=ends_ns)
        self.stats: dict[str, LineStats] = {}
        self.refused: dict[str, Counter[str]] = {}
        self.feed: Counter[str] = Counter()
        self.journal = Path()

    async def run(self, folder: Path) -> None:
        """Serve until every tape has been played."""
        rig.venue_file("played.twin", Twin)
        rig.venue_file("played.coinm", CoinM)
        async with AsyncExitStack() as stack:
            servers = {
                venue: await stack.enter_async_context(TapeServer(tape, tape.speed))
                for venue, tape in self.tapes.items()
            }
            urls = {venue: server.url for venue, server in servers.items()}
            settings = rig.settings(folder, self.settings, urls, ORACLE_SERVICE__BEAT_MS_MIN="2")
            running = await stack.enter_async_context(serving(settings))
            await self._push(running)
            await rig.heard(running, self.tapes)
            self.stats = {line.stats.venue: msgspec.structs.replace(line.stats) for line in running.lines}
            self.refused = {venue: Counter(stats.refused) for venue, stats in self.stats.items()}
            assert not running.live.failed
            self.journal = running.journal

    async def _push(self, running: Running) -> None:
        async with rig.sender(running, SKEW_NS // 10**6) as sender:
            await sender.connected.wait()
            session = binance.Session([Feed(0, "BTCUSDT")], "usdm")
            await rig.push(self.own, session, sender, PERP)
            await asyncio.sleep(0.05)
            assert not sender.refused, sender.refused
            self.feed = sender.dropped

    def compared(self) -> Reference:
        """Every beat computed again."""
        spot, twin, coinm = (by_source(decoded(tape.played)) for tape in self.tapes.values())
        own = by_source(decoded(self.own.played), timed=False)
        facts = {
            "binance:BTCUSDT": spot["BTCUSDT"],
            "binance:ETHUSDT": spot["ETHUSDT"],
            "played.twin:BTCUSDT": twin["BTCUSDT"],
            "played.twin:ETHUSDT": twin["ETHUSDT"],
            "played.coinm/coinm:BTCUSD_PERP": coinm["BTCUSD_PERP"],
            f"engine:{PERP}": {
                "B": own["BTCUSDT"]["B"],
                "T": own["BTCUSDT"]["T"],
                "D": own[""]["D"] + own["BTCUSDT"]["D"],
            },
        }
        return check(self.journal, facts)


@pytest.mark.parametrize(
    ("speed", "until_s", "future_ms_max", "lag_ns_max"),
    [
        pytest.param(36.0, 400.0, 60_000, 10**11, id="the day"),  # a slow machine's lag is not the clocks'
        pytest.param(1.0, 5.0, 2_000, 200_000_000, id="as recorded"),
    ],
)
async def test_every_digit(
    tapes: dict[str, list[Frame]], tmp_path: Path, speed: float, until_s: float, future_ms_max: int, lag_ns_max: int
) -> None:
    play = Play(tapes, speed, until_s, future_ms_max)
    await play.run(tmp_path)
    heard = play.tapes["binance"].played[: play.stats["binance"].frames]
    unasked = sum(b"@depth" in frame or b"@" not in frame for frame in heard)
    assert {venue: set(why) for venue, why in play.refused.items()} == {
        "binance": {"UNKNOWN_MESSAGE"}, "twin": set(), "coinm": set(),
    }  # fmt: skip
    # A machine so slow that a tape comes in bursts reads the newest frames alone, above the venue's budget; one so slow
    # that a tape's end looked like silence dials again, and loses the frames that were on their way.
    stats = play.stats["binance"]
    assert play.refused["binance"]["UNKNOWN_MESSAGE"] == unasked or stats.dropped or stats.dials > 1
    found = play.compared()
    rig.report(f"speed {speed}: {dict(found.counts)}; the sender replaced {play.feed['replaced']}")
    assert min(found.ages) >= 0
    assert SKEW_NS - lag_ns_max < max(found.ahead) < SKEW_NS + 50_000_000
    assert found.counts["P"] > 10
    assert not {"FUTURE", "STALE", "OUTLIER", "FROZEN"} & set(found.counts)
    assert rig.clean(play.journal) == found.counts["beats"]
