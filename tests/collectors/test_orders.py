"""Orders: taken with a name and a reason, refused with a sentence, and never a way to set a value."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from oracle.clock import ManualClock
from oracle.collectors.orders import ORDERS, OrderDoor
from oracle.core.params import IndexInstrument, Role, Source, World
from oracle.core.types import Action, Command, Observation
from oracle.methods.hk1 import SETS

WORLD = World(
    methodology="hk1",
    configuration_hash="",
    sources=(
        Source(id=0, name="kraken:BTC/USD", venue="kraken", symbol="BTC/USD", market="spot", quote="USD", group="k",
               role=Role.SPOT),
    ),
    indices=(
        IndexInstrument(id="BTC-USD", base="BTC", quote="USD", tier=1, price_decimals=2, sources=(0,), perp_sources=(),
                        conversions={}, method="hk1", rules=SETS[0]),
    ),
    perps=(),
)  # fmt: skip


@asynccontextmanager
async def door(path: Path) -> AsyncIterator[list[Observation]]:
    taken: list[Observation] = []
    made = OrderDoor(WORLD, taken.append, ManualClock(7), path)
    await made.start()
    try:
        yield taken
    finally:
        await made.stop()


async def say(path: Path, data: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(data)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.anyio
async def test_an_order_is_taken_with_the_name_of_who_gave_it(tmp_path: Path) -> None:
    path = tmp_path / "orders.sock"
    async with door(path) as taken:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        order = {"action": "EXCLUDE", "target": "kraken:BTC/USD", "reason": "withdrawals halted"}
        assert json.loads(await say(path, json.dumps(order).encode() + b"\n")) == {"problem": ""}
        [command] = taken
        assert isinstance(command, Command)
        assert (command.action, command.target, command.reason) == (Action.EXCLUDE, "kraken:BTC/USD", order["reason"])
        assert command.by.startswith("operator:")
        assert command.recv_ns == 7
    assert not path.exists()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{}", "not an order"),
        (b"not json", "not an order"),
        (b'{"action":"SET","target":"BTC-USD","reason":"x"}', "not an order"),
        (b'{"action":"START","target":"*","reason":"x"}', "the service's own"),
        (b'{"action":"HALT","target":"BTC","reason":"x"}', "it takes *, BTC-USD"),
        (b'{"action":"EXCLUDE","target":"BTC-USD","reason":"x"}', "it takes kraken:BTC/USD"),
        (b'{"action":"HALT","target":"*","reason":"  "}', "needs a reason"),
        (b'{"action":"HALT","target":"*","reason":"x","price":"1"}', "not an order"),
    ],
)
def test_what_is_no_order_is_refused_in_words(tmp_path: Path, line: bytes, problem: str) -> None:
    taken: list[Observation] = []
    assert problem in OrderDoor(WORLD, taken.append, ManualClock(1), tmp_path / "s").judge(line, "operator:a")
    assert not taken


def test_no_order_sets_a_value() -> None:
    assert set(ORDERS) == set(Action) - {Action.START}
    assert not any(word in action for action in Action for word in ("SET", "PRICE", "VALUE"))


@pytest.mark.anyio
async def test_whoever_says_too_much_has_given_no_order(tmp_path: Path) -> None:
    path = tmp_path / "orders.sock"
    async with door(path) as taken:
        assert await say(path, b"x" * 20_000 + b"\n") == b""
        assert not taken


@pytest.mark.anyio
async def test_a_path_too_long_for_a_socket_is_no_door_but_no_harm(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    async with door(deep / "orders.sock") as taken:
        assert not taken


@pytest.mark.anyio
async def test_a_file_left_by_a_killed_process_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "orders.sock"
    path.write_text("")
    async with door(path):
        assert stat.S_ISSOCK(os.stat(path).st_mode)
