"""The demo's story has every kind of trouble in it, and leaves the methodology the time it needs."""

from __future__ import annotations

import pytest

from oracle.core.params import Role
from oracle.core.types import NANOS_PER_MS
from oracle.methods import hk1
from oracle.simulator.faults import WORLD_KINDS, Episode, Kind
from oracle.simulator.markets import MARKETS
from oracle.simulator.story import DEMO, LENGTH_MS, RETURN_MS

LADDER = hk1.SETS[-1].ladder
MARK = hk1.SETS[-1].mark


def voices(asset: str, at_ms: int) -> set[str]:
    """The venues whose spot market of an asset is not silenced."""
    silenced = [e for e in DEMO.active(at_ms * NANOS_PER_MS) if e.kind is Kind.SILENCE]
    spot = [m for m in MARKETS if m.role is Role.SPOT and m.asset == asset]
    return {m.venue for m in spot if not any(e.concerns(m.key) for e in silenced)}


def test_every_kind_of_the_world_occurs_and_ends_within_the_story() -> None:
    assert {e.kind for e in DEMO.episodes} == set(WORLD_KINDS) - {Kind.STUCK, Kind.DRIFT}  # nobody would see these
    assert all(e.at_ms + e.lasts_ms <= LENGTH_MS == DEMO.length_ms for e in DEMO.episodes)


@pytest.mark.parametrize("episode", DEMO.episodes)
def test_every_episode_concerns_somebody(episode: Episode) -> None:
    names = [m.key for m in MARKETS] + [m.asset for m in MARKETS]
    assert any(episode.concerns(name) for name in names)


def test_it_begins_and_ends_calm() -> None:
    assert not list(DEMO.active(0))
    assert not list(DEMO.active((LENGTH_MS - 1) * NANOS_PER_MS))


@pytest.mark.parametrize("asset", ["BTC", "ETH"])
def test_the_ladder_is_gone_down_rung_by_rung(asset: str) -> None:
    counts = [len(voices(asset, at_ms)) for at_ms in (361_000, 381_000, 383_000, 395_000, 407_000, 419_000, RETURN_MS)]
    assert counts == [8, 7, 3, 2, 1, 0, 8]
    assert len(voices("USDT", 431_000)) == 4


def test_the_fallback_lasts_long_enough_to_halt_and_the_rest_long_enough_to_recover() -> None:
    two_groups_ms, next_act_ms = 394_000, min(e.at_ms for e in DEMO.episodes if e.at_ms >= RETURN_MS)
    stale_ms = hk1.SETS[-1].source.stale_ms_min
    assert two_groups_ms + stale_ms + LADDER.fallback_ms_max < RETURN_MS
    assert RETURN_MS + LADDER.halt_up_ms + LADDER.warm_ms + 10_000 < next_act_ms


def test_the_platforms_own_feed_is_silent_until_it_counts_as_lost() -> None:
    own = [e for e in DEMO.episodes if e.kind is Kind.SILENCE and e.concerns("engine/engine/BTC")]
    assert [e.lasts_ms > MARK.feed_lost_ms + 5_000 for e in own] == [True]
