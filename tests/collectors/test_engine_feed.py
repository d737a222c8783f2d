"""The door on real sockets: what is refused is counted and answered, and has no effect, before and after a crash."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from oracle.clock import ManualClock
from oracle.collectors import engine_feed
from oracle.collectors.engine_feed import CONNECTIONS_MAX, PATH, EngineFeed
from oracle.collectors.feed_gate import DOMAIN, FRAME_BYTES_MAX
from oracle.core.params import World
from oracle.core.types import NANOS_PER_MS, Action, BookTop, Command, Link, Observation, Trade
from oracle.errors import FeedError, ServiceError

pytestmark = pytest.mark.anyio
NOW_MS = 1_790_000_000_000
SECRET = b"a secret of thirty-two bytes.... "
BOOK = {"bid": 1, "bid_size": 1, "ask": 2, "ask_size": 1}
DEAL = {"price": 1.5, "size": 1, "side": "buy"}


def frame(seq: int, kind: str = "book", body: object = None, secret: bytes = SECRET, **changes: object) -> str:
    fields = {
        "key": "engine-1",
        "ts": NOW_MS,
        "epoch": NOW_MS,
        "seq": seq,
        "instrument": "BTC-USD-PERP",
        "type": kind,
        "body": BOOK if body is None else body,
    }
    data = json.dumps(fields | changes)
    return f"{hmac.new(secret, DOMAIN + data.encode(), hashlib.sha256).hexdigest()} {data}"


class Door:
    """A feed on loopback, and what reached the inbox."""

    def __init__(self, world: World, path: Path) -> None:
        self.clock, self.seen = ManualClock(NOW_MS * NANOS_PER_MS), list[Observation]()
        self.feed = EngineFeed(world, self.put, self.clock, secrets={"engine-1": SECRET}, state_path=path)
        self.full = False

    def put(self, observation: Observation) -> None:
        if self.full:
            raise ServiceError("the engine does not keep up")
        self.seen.append(observation)

    def facts(self) -> list[Observation]:
        return [o for o in self.seen if not isinstance(o, Link)]


@pytest.fixture
async def door(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    monkeypatch.setattr(engine_feed, "ANSWER_GAP_S", 0.005)
    door = Door(world, tmp_path / "feed.json")
    await door.feed.start("127.0.0.1", 0)
    yield door
    await door.feed.stop()


class Peer:
    """A sender made by hand."""

    def __init__(self, line: aiohttp.ClientWebSocketResponse) -> None:
        self.line = line

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(5):
            answer: dict[str, Any] = json.loads(await self.line.receive_str())
        return answer

    async def ask(self, text: str) -> dict[str, Any]:
        await self.line.send_str(text)
        return await self.hear()


@asynccontextmanager
async def peer(door: Door, key: str = "engine-1") -> AsyncIterator[Peer]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"ws://127.0.0.1:{door.feed.port}{PATH}?key={key}", max_msg_size=0) as line,
    ):
        yield Peer(line)


async def test_a_sender_is_welcomed_with_its_floor_and_its_messages_acknowledged(door: Door) -> None:
    async with peer(door) as sender:
        assert await sender.hear() == {"type": "welcome", "epoch": 0, "seq": 0}
        assert await sender.ask(frame(1)) == {"type": "ack", "epoch": NOW_MS, "seq": 1}
        assert await sender.ask(frame(2, "trade", DEAL)) == {"type": "ack", "epoch": NOW_MS, "seq": 2}
        assert await sender.ask(frame(3, "heartbeat", {})) == {"type": "ack", "epoch": NOW_MS, "seq": 3}
        assert door.feed.stats.connections == 1
    link, book, trade = door.seen
    assert link == Link(3, True, "", door.clock.now_ns())
    assert isinstance(book, BookTop)
    assert isinstance(trade, Trade)
    assert book.venue_ns == NOW_MS * NANOS_PER_MS
    assert door.feed.stats.accepted == {"book": 1, "trade": 1, "heartbeat": 1}
    assert door.feed.stats.last_accepted_ns == door.clock.now_ns()
    async with peer(door) as again:
        assert await again.hear() == {"type": "welcome", "epoch": NOW_MS, "seq": 3}


@pytest.mark.parametrize(
    ("text", "reason", "seq"),
    [
        (frame(1, secret=b"wrong"), "MAC", 1),
        (frame(2, key="engine-2"), "KEY", 2),
        (frame(3, ts=NOW_MS - 2_001), "OLD", 3),
        (frame(4, ts=NOW_MS + 2_001), "FUTURE", 4),
        (frame(5, instrument="X"), "INSTRUMENT", 5),
        (frame(6, body=BOOK | {"bid": -1}), "NUMBER", 6),
        (frame(7, body={}), "SHAPE", 7),
        ("{}", "SHAPE", None),
    ],
)
async def test_a_refused_message_is_counted_answered_and_without_effect(
    door: Door, text: str, reason: str, seq: int | None
) -> None:
    async with peer(door) as sender:
        await sender.hear()
        answer = await sender.ask(text)
        assert (answer["type"], answer["reason"], answer["seq"]) == ("refused", reason, seq)
        assert door.feed.stats.refused == {reason: 1}
        assert door.seen == []
        assert door.feed.stats.accepted == {}
        assert (await sender.ask(frame(1)))["type"] == "ack", "the number was not used up"


async def test_a_replay_is_refused_and_the_floor_told(door: Door) -> None:
    async with peer(door) as sender:
        await sender.hear()
        await sender.ask(frame(5))
        for seq in (5, 4):
            assert (await sender.ask(frame(seq)))["reason"] == "REPLAYED"
            assert await sender.hear() == {"type": "welcome", "epoch": NOW_MS, "seq": 5}
        assert (await sender.ask(frame(9, epoch=NOW_MS - 1)))["reason"] == "REPLAYED"
    assert len(door.facts()) == 1
    assert door.feed.stats.refused == {"REPLAYED": 3}


async def test_after_kill_9_the_last_ten_thousand_messages_are_all_refused(world: World, tmp_path: Path) -> None:
    path = tmp_path / "feed.json"
    before, frames = Door(world, path), [frame(seq).encode() for seq in range(1, 10_101)]
    for data in frames:
        await before.feed.accept(data)
    assert len(before.facts()) == len(frames)
    after = Door(world, path)  # the old one is not closed: nothing more was written
    for data in frames[-10_000:]:
        with pytest.raises(FeedError) as caught:
            await after.feed.accept(data)
        assert caught.value.reason == "REPLAYED"
    assert after.seen == []
    await after.feed.start("127.0.0.1", 0)
    async with peer(after) as sender:
        floor = await sender.hear()
        assert (floor["epoch"], floor["seq"]) >= (NOW_MS, 10_100)
        assert (await sender.ask(frame(floor["seq"] + 1)))["type"] == "ack"
    await after.feed.stop()
    await before.feed.stop()


async def test_an_oversized_frame_is_counted_and_ends_its_connection_only(door: Door) -> None:
    async with peer(door) as neighbour, peer(door) as sender:
        await neighbour.hear()
        await sender.hear()
        await sender.line.send_str("x" * (FRAME_BYTES_MAX + 1))
        while (await sender.line.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
        assert sender.line.close_code == 1009
        assert (await neighbour.ask(frame(1)))["type"] == "ack"
    assert door.feed.stats.refused == {"TOO_LARGE": 1}


async def test_a_largest_depth_fits_and_binary_frames_do_not(door: Door) -> None:
    levels = [[60_000.25 + i, 1.23456789] for i in range(1_000)]
    async with peer(door) as sender:
        await sender.hear()
        assert (await sender.ask(frame(1, "depth", {"bids": levels[::-1], "asks": levels})))["type"] == "ack"
        await sender.line.send_bytes(frame(2).encode())
        assert (await sender.hear())["reason"] == "SHAPE"


async def test_the_status_becomes_an_order_when_it_changes(door: Door) -> None:
    async with peer(door) as sender:
        await sender.hear()
        for seq, word in enumerate(["trading", "trading", "suspended", "suspended", "trading"], 1):
            await sender.ask(frame(seq, "status", {"reference_asset": word}))
    orders = [(o.action, o.target, o.by) for o in door.seen if isinstance(o, Command)]
    assert orders == [
        (action, "BTC-USD", "engine:engine-1") for action in (Action.UNSUSPEND, Action.SUSPEND, Action.UNSUSPEND)
    ]


async def test_a_full_inbox_is_told_to_the_sender(door: Door) -> None:
    async with peer(door) as sender:
        await sender.hear()
        door.full = True
        assert (await sender.ask(frame(1)))["reason"] == "BUSY"
        door.full = False
        assert (await sender.ask(frame(2)))["type"] == "ack"


async def test_who_only_sends_nonsense_is_closed(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_feed, "REFUSED_IN_ROW_MAX", 30)
    async with peer(door) as sender:
        await sender.hear()
        for _ in range(30):
            await sender.line.send_str("nonsense")
        answers = 0
        while (await sender.line.receive()).type is aiohttp.WSMsgType.TEXT:
            answers += 1
        assert sender.line.close_code == 1008
    assert answers <= 2 * engine_feed.ANSWERS_MAX, "answers are rationed"
    assert door.feed.stats.refused == {"SHAPE": 30}


async def test_who_says_nothing_is_closed(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_feed, "SILENT_S", 0.02)
    async with peer(door) as sender:
        await sender.hear()
        async with asyncio.timeout(5):
            assert (await sender.line.receive()).type is not aiohttp.WSMsgType.TEXT


async def test_the_number_of_connections_is_bounded(door: Door) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(CONNECTIONS_MAX):
            await (await stack.enter_async_context(peer(door))).hear()
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await stack.enter_async_context(peer(door))
        assert caught.value.status == 503


async def test_a_sender_that_does_not_read_costs_a_few_answers_and_no_waiting() -> None:
    sent: list[str] = []

    async def stuck(text: str) -> None:
        sent.append(text)
        await asyncio.Event().wait()

    voice = engine_feed._Voice(stuck)
    task = asyncio.create_task(voice.run())
    for seq in range(1_000):
        voice.acknowledge((1, seq))
        voice.say("refused")
        await asyncio.sleep(0)
    assert sent == ["refused"]
    assert len(voice._texts) <= engine_feed.ANSWERS_MAX
    task.cancel()


async def test_a_taken_port_stops_the_start(door: Door, world: World, tmp_path: Path) -> None:
    other = Door(world, tmp_path / "other.json")
    with pytest.raises(ServiceError, match="cannot listen"):
        await other.feed.start("127.0.0.1", door.feed.port)
    await other.feed.stop()


async def test_stopping_says_goodbye(door: Door) -> None:
    async with peer(door) as sender:
        await sender.hear()
        stopping = asyncio.create_task(door.feed.stop())
        message = await sender.line.receive()
        assert message.type is aiohttp.WSMsgType.CLOSE or sender.line.close_code == 1001
        await sender.line.close()
        await stopping
