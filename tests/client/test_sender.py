"""The sender against the real door: signed so that it is believed, above the floor, never late, never silent."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from oracle.client.sender import DOMAIN, LEVELS_MAX, LIQUIDATIONS_MAX, Sender
from oracle.core.types import Side

pytestmark = pytest.mark.anyio
SECRET = b"a secret of thirty-two bytes.... "
PERP = "BTC-USD-PERP"


class Door:
    """A server that keeps what it is sent, checks the MAC, and answers as it is told."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.floor = (0, 0)
        self.greeting: str | None = None
        self.answers: list[dict[str, object]] = []
        self.lines: list[web.WebSocketResponse] = []
        self.url = ""

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        line = web.WebSocketResponse()
        await line.prepare(request)
        self.keys.append(request.query["key"])
        self.lines.append(line)
        welcome = json.dumps({"type": "welcome", "epoch": self.floor[0], "seq": self.floor[1]})
        await line.send_str(welcome if self.greeting is None else self.greeting)
        async for item in line:
            assert item.type is WSMsgType.TEXT
            mac, data = item.data.split(" ", 1)
            assert mac == hmac.new(SECRET, DOMAIN + data.encode(), hashlib.sha256).hexdigest()
            message = json.loads(data)
            self.heard.append(message)
            self.floor = (message["epoch"], message["seq"])
            answers = self.answers or [{"type": "ack", "epoch": message["epoch"], "seq": message["seq"]}]
            for answer in answers:
                await line.send_str(json.dumps(answer))
        return line

    def said(self) -> list[tuple[str, Any]]:
        return [(message["type"], message["body"]) for message in self.heard]


@asynccontextmanager
async def listening(door: Door, port: int = 0) -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_get("/v1/engine", door.serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    bound: int = runner.addresses[0][1]
    door.url = f"ws://127.0.0.1:{bound}/v1/engine"
    try:
        yield bound
    finally:
        for line in door.lines:
            await line.close()
        await runner.cleanup()


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    door = Door()
    async with listening(door):
        yield door


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def make(door: Door, **options: Any) -> Sender:
    async def soon(_: float) -> None:
        await asyncio.sleep(0.002)

    options.setdefault("sleep", soon)
    return Sender(door.url, "engine 1", SECRET, **options)


async def test_everything_said_arrives_signed_and_numbered(door: Door) -> None:
    async with make(door) as sender:
        await sender.connected.wait()
        sender.book(PERP, 60000.5, 1.0, 60001.0, 2.0)
        sender.depth(PERP, [(60000.5, 1.0)], [(60001.0, 2.0)])
        sender.trade(PERP, 60000.75, 0.25, Side.BUY)
        sender.liquidation(PERP, 59000.0, 1.0, Side.SELL)
        sender.liquidation(PERP, 58999.0, 1.0, Side.SELL)
        sender.status(PERP, "trading")
        await until(lambda: sender.acked[1] == 6)
    assert sorted(door.said(), key=lambda pair: pair[0]) == [
        ("book", {"bid": 60000.5, "bid_size": 1.0, "ask": 60001.0, "ask_size": 2.0}),
        ("depth", {"bids": [[60000.5, 1.0]], "asks": [[60001.0, 2.0]]}),
        ("liquidation", {"price": 59000.0, "size": 1.0, "side": "sell"}),
        ("liquidation", {"price": 58999.0, "size": 1.0, "side": "sell"}),
        ("status", {"reference_asset": "trading"}),
        ("trade", {"price": 60000.75, "size": 0.25, "side": "buy"}),
    ]
    assert [message["seq"] for message in door.heard] == [1, 2, 3, 4, 5, 6]
    assert {message["key"] for message in door.heard} == {"engine 1"} == set(door.keys)
    assert sender.sent == 6


async def test_the_epoch_is_raised_above_the_servers_floor(door: Door) -> None:
    door.floor = (10**15, 77)
    async with make(door) as sender:
        sender.book(PERP, 1.0, 1.0, 2.0, 1.0)
        await until(lambda: len(door.heard) == 1)
    assert (door.heard[0]["epoch"], door.heard[0]["seq"]) == (10**15 + 1, 1)


async def test_a_floor_of_the_same_epoch_raises_the_number(door: Door) -> None:
    async with make(door, now_ms=lambda: 1_000) as sender:
        sender.book(PERP, 1.0, 1.0, 2.0, 1.0)
        await until(lambda: len(door.heard) == 1)
        door.floor = (1_000, 20_000)  # what a server knows of after a crash: its reserved ceiling
        await door.lines[0].close()
        await until(lambda: len(door.lines) == 2)
        sender.book(PERP, 1.0, 1.0, 2.0, 1.0)
        await until(lambda: len(door.heard) == 2)
    assert [message["seq"] for message in door.heard] == [1, 20_001]


async def test_what_waits_for_a_line_is_the_latest_and_what_is_late_is_dropped(door: Door) -> None:
    now = [10_000]
    sender = make(door, now_ms=lambda: now[0])
    sender.status(PERP, "suspended")
    sender.trade(PERP, 1.0, 1.0, Side.BUY)
    sender.liquidation(PERP, 1.0, 1.0, Side.BUY)
    now[0] += 1_501
    for bid in (1.0, 1.1, 1.2):
        sender.book(PERP, bid, 1.0, 2.0, 1.0)
    async with sender:
        await until(lambda: len(door.heard) == 2)
    assert door.said() == [
        ("status", {"reference_asset": "suspended"}),
        ("book", {"bid": 1.2, "bid_size": 1.0, "ask": 2.0, "ask_size": 1.0}),
    ]
    assert door.heard[0]["ts"] == now[0], "a standing fact is as true now"
    assert sender.dropped == {"replaced": 2, "late": 2}


async def test_the_status_is_repeated_on_every_connection(door: Door) -> None:
    async with make(door) as sender:
        sender.status(PERP, "suspended")
        await until(lambda: len(door.heard) == 1)
        await door.lines[0].close()
        await until(lambda: len(door.heard) == 2)
    assert door.said() == [("status", {"reference_asset": "suspended"})] * 2


async def test_refusals_are_counted_and_a_new_floor_is_taken(door: Door) -> None:
    door.answers = [
        {"type": "refused", "reason": "REPLAYED", "detail": "not above", "seq": 1},
        {"type": "welcome", "epoch": 5_000, "seq": 40},
    ]
    async with make(door, now_ms=lambda: 5_000) as sender:
        sender.book(PERP, 1.0, 1.0, 2.0, 1.0)
        await until(lambda: sender.refused["REPLAYED"] == 1)
        await until(lambda: sender._seq == 40)
        sender.book(PERP, 1.0, 1.0, 2.0, 1.0)
        await until(lambda: len(door.heard) == 2)
        assert sender.last_error == "refused: REPLAYED not above"
    assert door.heard[1]["seq"] == 41


async def test_it_backs_off_with_full_jitter_and_comes_back_by_itself() -> None:
    door, waits = Door(), list[float]()
    async with listening(door) as port:
        pass

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0.001)

    async with make(door, random=lambda: 1.0, sleep=sleep) as sender:
        await until(lambda: len(waits) >= 9)
        assert waits[:9] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0]
        assert "Connect" in sender.last_error
        async with listening(door, port):
            await sender.connected.wait()
            sender.book(PERP, 1.0, 1.0, 2.0, 1.0)
            await until(lambda: len(door.heard) == 1)


@pytest.mark.parametrize("greeting", ["nonsense", "[]", '{"type": "welcome", "epoch": "x"}'])
async def test_a_server_that_talks_nonsense_is_left_and_the_reason_kept(door: Door, greeting: str) -> None:
    door.greeting = greeting
    async with make(door) as sender:
        await until(lambda: len(door.lines) >= 2)
        assert sender.last_error
        assert not sender.connected.is_set()


async def test_a_server_that_does_not_welcome_is_left(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    async def shut(request: web.Request) -> web.WebSocketResponse:
        line = web.WebSocketResponse()
        await line.prepare(request)
        door.lines.append(line)
        await line.close()
        return line

    monkeypatch.setattr(door, "serve", shut)
    async with listening(door), make(door) as sender:
        await until(lambda: len(door.lines) >= 2)
        assert "no welcome" in sender.last_error


async def test_what_cannot_be_said_is_refused_at_once(door: Door) -> None:
    sender = make(door)
    nan, inf = float("nan"), float("inf")
    with pytest.raises(ValueError, match="not a book"):
        sender.book(PERP, nan, 1.0, 2.0, 1.0)
    with pytest.raises(ValueError, match="not a book"):
        sender.book(PERP, -1.0, 1.0, 2.0, 1.0)
    with pytest.raises(ValueError, match="not a depth"):
        sender.depth(PERP, [(1.0, 0.0)], [])
    with pytest.raises(ValueError, match="levels"):
        sender.depth(PERP, [(1.0, 1.0)] * (LEVELS_MAX + 1), [])
    with pytest.raises(ValueError, match="not a deal"):
        sender.trade(PERP, inf, 1.0, Side.BUY)
    with pytest.raises(ValueError, match="not a deal"):
        sender.liquidation(PERP, 1.0, 0.0, Side.BUY)
    assert sender.dropped.total() == 0


async def test_liquidations_that_pile_up_are_counted(door: Door) -> None:
    sender = make(door)
    for _ in range(LIQUIDATIONS_MAX + 3):
        sender.liquidation(PERP, 1.0, 1.0, Side.BUY)
    assert sender.dropped == {"liquidation": 3}


async def test_what_cannot_be_encoded_is_told_and_does_not_stop_the_rest(door: Door) -> None:
    async with make(door) as sender:
        await sender.connected.wait()
        sender.trade(PERP, 1.0, 1.0, object())  # type: ignore[arg-type]
        await until(lambda: "TypeError" in sender.last_error)
        await until(lambda: len(door.lines) == 2)
        sender.book(PERP, 1.0, 1.0, 2.0, 1.0)
        await until(lambda: len(door.heard) == 1)
