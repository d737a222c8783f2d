"""One fault played for real, short: lost frames of a numbered book are known, and those of whole tops do no harm."""

from __future__ import annotations

import pytest
from msgspec import structs

from oracle.core.params import Role
from oracle.trial import rig
from oracle.trial.faults import faults_of
from oracle.trial.markets import markets_of

pytestmark = pytest.mark.anyio


async def test_half_of_the_frames_are_dropped() -> None:
    (drop,) = faults_of(["drop"])
    told: list[str] = []
    rig.quiet()
    brief = structs.replace(drop, warm_ms=1_500, watch_ms=1_500)
    numbered, whole = await rig.play(brief, ["bitfinex", "kraken"], told.append)
    assert told == ["drop: half are dropped, 2 venues, 3 s at most"]
    assert (numbered.venue, numbered.outcome, numbered.how) == ("bitfinex", "known", "link SEQUENCE_GAP")
    assert numbered.repaired_ms is not None
    assert (whole.venue, whole.outcome, whole.false_books) == ("kraken", "harmless", 0)
    assert whole.age_ms_max > 0.0


async def test_a_venue_that_was_given_no_time_was_not_up() -> None:
    (mute,) = faults_of(["mute"])
    (outcome,) = await rig.play(structs.replace(mute, warm_ms=0, watch_ms=1), ["kraken"])
    assert (outcome.outcome, outcome.in_time) == ("down", False)


def test_every_venue_is_an_owner_of_its_own() -> None:
    world = rig.instruments(markets_of(["kraken", "okx"]))
    assert [index.id for index in world.indices] == ["BTC-USD", "ETH-USD"]
    assert [index.sources for index in world.indices] == [(0, 2), (1, 3)]
    assert [(source.group, source.symbol) for source in world.sources] == [
        ("kraken", "BTC/USD"),
        ("kraken", "ETH/USD"),
        ("okx", "BTC-USDT"),
        ("okx", "ETH-USDT"),
    ]
    assert {source.role for source in world.sources} == {Role.SPOT}
