"""`oracle order` speaks to the running service, and says in one line when it cannot."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from oracle import cli
from oracle.clock import ManualClock
from oracle.collectors.orders import OrderDoor
from oracle.commands.order import ACTIONS, SOCKET
from oracle.core.params import World
from oracle.core.types import Action, Command, Observation

EMPTY = World(methodology="hk1", configuration_hash="", sources=(), indices=(), perps=())


def test_every_order_has_its_word() -> None:
    assert {action.upper() for action in ACTIONS} == {str(action) for action in Action} - {"START"}


@pytest.mark.anyio
async def test_an_order_reaches_the_service(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken: list[Observation] = []
    door = OrderDoor(EMPTY, taken.append, ManualClock(1), tmp_path / SOCKET)
    await door.start()
    arguments = ["order", "halt", "*", "--reason", "drill", "--data-dir", str(tmp_path)]
    assert await asyncio.to_thread(cli.main, arguments) == cli.OK
    assert "taken: halt *" in capsys.readouterr().out
    [command] = taken
    assert isinstance(command, Command)
    assert command.action is Action.HALT
    arguments[2] = "NOBODY"
    assert await asyncio.to_thread(cli.main, arguments) == cli.FOUND
    assert "refused: HALT knows no 'NOBODY'" in capsys.readouterr().err
    await door.stop()


def test_without_a_service_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["order", "halt", "*", "--reason", "x", "--data-dir", str(tmp_path)]) == cli.FOUND
    assert "no service takes orders" in capsys.readouterr().err
