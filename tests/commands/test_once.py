"""The first values are shown when all stand; when they never do, that is shown."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from oracle.clock import ManualClock
from oracle.commands.once import show_first
from oracle.core.engine import Engine
from oracle.core.params import World
from oracle.core.types import Beat
from oracle.methods import for_world
from oracle.publishers.hub import Hub

if TYPE_CHECKING:
    from oracle.app import Running

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def hub(world: World, clock: ManualClock) -> Hub:
    return Hub(world, clock, epoch="1")


async def test_a_row_for_every_instrument(
    hub: Hub, world: World, clock: ManualClock, thirty: list[Beat], capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Engine(world, for_world(world), None)

    async def publish() -> None:
        await asyncio.sleep(0.01)
        for beat in thirty:
            clock.advance(beat.at_ns - clock.now_ns())
            hub.publish(engine.step(beat))

    publishing = asyncio.create_task(publish())
    assert await show_first(cast("Running", SimpleNamespace(hub=hub)), 5) == 0
    await publishing
    head, index, mark = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["instrument", "price"]
    assert index.split()[:2] == ["BTC-USD", "60033.00"]
    assert mark.split()[0] == "BTC-USD-PERP"


async def test_what_does_not_stand_in_time_is_shown_as_it_is(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert await show_first(cast("Running", SimpleNamespace(hub=hub)), 0.1) == 1
    said = capsys.readouterr().out
    assert "warming" in said
    assert "oracle check" in said


async def test_it_ends_when_it_is_told_to(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, ended.set)
    async with asyncio.timeout(2):
        assert await show_first(cast("Running", SimpleNamespace(hub=hub)), 60, ended=ended) == 1
    assert "after 0 s" in capsys.readouterr().out


async def test_a_service_that_has_halted_is_not_waited_for(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.halt("JOURNAL_NOT_DURABLE")
    async with asyncio.timeout(2):
        assert await show_first(cast("Running", SimpleNamespace(hub=hub)), 60) == 1
    assert "the service has halted: journal_not_durable" in capsys.readouterr().out
