"""A consumer's end, against the real service and against a server that breaks its promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from aiohttp import WSMsgType, web

from oracle.client import Reader, ReaderError, StaleValue, Update
from oracle.client.reader import Course, Pace, _Message
from oracle.clock import ManualClock
from oracle.core.params import IndexInstrument, Role, Source, World
from oracle.core.types import NANOS_PER_S, IndexValue, State, Tick
from oracle.methods import hk1
from oracle.publishers.hub import Hub
from oracle.publishers.limits import Limits
from oracle.publishers.rest import make_app
from oracle.publishers.web import serve

NAME = "BTC-USD"


@pytest.fixture
def hub() -> Hub:
    source = Source(
        id=0, name="a", venue="a", symbol="BTC", market="spot", quote="USD", group="a", role=Role.SPOT
    )  # fmt: skip
    index = IndexInstrument(
        id=NAME, base="BTC", quote="USD", tier=1, price_decimals=2, sources=(0,), perp_sources=(), conversions={},
        method="hk1", rules=hk1.SETS[0],
    )  # fmt: skip
    world = World(methodology="hk1", configuration_hash="0", sources=(source,), indices=(index,), perps=())
    return Hub(world, ManualClock(1_781_000_000 * NANOS_PER_S), 4)


def tick(hub: Hub, seq: int, price: int | None = 6_000_000, state: State = State.NORMAL) -> Tick:
    at_ns = hub.stamp().now_ns
    value = IndexValue(
        NAME, seq, at_ns, price, price, at_ns, False, state, at_ns, (), price is not None, 5, 2, 100, 10, 5
    )  # fmt: skip
    return Tick(seq, at_ns, (value,), {})


class Time:
    """A monotonic clock that the test moves; sleeping moves it too."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0.001)


@asynccontextmanager
async def service(hub: Hub, port: int = 0) -> AsyncIterator[int]:
    app = make_app(hub, None, limits=Limits(stream_heartbeat_ms=50))  # type: ignore[arg-type]
    runner, chosen = await serve(app, "127.0.0.1", port)
    try:
        yield chosen
    finally:
        await runner.cleanup()


async def following(updates: AsyncIterator[Update], count: int) -> list[Update]:
    return [await asyncio.wait_for(anext(updates), 5) for _ in range(count)]


@pytest.mark.anyio
async def test_a_snapshot_and_then_every_value(hub: Hub) -> None:
    hub.publish(tick(hub, 1))
    async with service(hub) as port, Reader(f"http://127.0.0.1:{port}/") as reader:
        snapshot = await reader.index(NAME)
        assert snapshot.price() == Decimal("60000.00")
        async with aclosing(reader.stream([NAME])) as updates:
            first = await anext(updates)
            assert (first.is_snapshot, first.seq, first.gap) == (True, 1, False)
            for seq in (2, 3):
                hub.publish(tick(hub, seq, 6_000_000 + seq))
            found = await following(updates, 2)
    assert [(u.seq, u.price(), u.is_snapshot) for u in found] == [
        (2, Decimal("60000.02"), False),
        (3, Decimal("60000.03"), False),
    ]
    assert found[0].liquidation_ok


@pytest.mark.anyio
async def test_a_restarted_server_costs_neither_gap_nor_duplicate(hub: Hub) -> None:
    time = Time()
    hub.publish(tick(hub, 1))
    async with AsyncExitStack() as stack:
        async with service(hub) as port:
            url = f"http://127.0.0.1:{port}"
            reader = await stack.enter_async_context(Reader(url, sleep=time.sleep, random=lambda: 0.5))
            updates = await stack.enter_async_context(aclosing(reader.stream([NAME])))
            assert (await anext(updates)).seq == 1
        for seq in (2, 3):
            hub.publish(tick(hub, seq))
        async with service(hub, port):
            assert [u.seq for u in await following(updates, 2)] == [2, 3]
            for outbox in list(hub._channels[NAME].outboxes):
                outbox.cut()
            hub.publish(tick(hub, 4))
            hub.publish(tick(hub, 5))
            assert [u.seq for u in await following(updates, 2)] == [4, 5]
    assert "4008" in reader.last_error


@pytest.mark.anyio
async def test_what_the_server_has_forgotten_is_told_as_a_gap(hub: Hub) -> None:
    time = Time()
    hub.publish(tick(hub, 1))
    async with (
        service(hub) as port,
        Reader(f"http://127.0.0.1:{port}", sleep=time.sleep) as reader,
        aclosing(reader.stream([NAME])) as updates,
    ):
        await anext(updates)
        for outbox in list(hub._channels[NAME].outboxes):
            outbox.cut()
            hub.leave(outbox)
        for seq in range(2, 12):
            hub.publish(tick(hub, seq))
        update = await asyncio.wait_for(anext(updates), 5)
    assert (update.is_snapshot, update.gap, update.seq) == (True, True, 11)


@pytest.mark.anyio
async def test_an_unknown_instrument_ends_the_stream(hub: Hub) -> None:
    async with service(hub) as port, Reader(f"http://127.0.0.1:{port}") as reader:
        with pytest.raises(ReaderError, match="Did you mean BTC-USD"):
            await anext(reader.stream(["BTC-UDS"]))
        with pytest.raises(ReaderError, match="unknown_instrument"):
            await reader.key_parameters("BTC-UDS")


@pytest.mark.anyio
async def test_a_halt_leaves_no_price_to_act_on(hub: Hub) -> None:
    hub.publish(tick(hub, 1))
    async with (
        service(hub) as port,
        Reader(f"http://127.0.0.1:{port}") as reader,
        aclosing(reader.stream([NAME])) as updates,
    ):
        (await anext(updates)).price()
        hub.halt("JOURNAL_NOT_DURABLE")
        halted = await asyncio.wait_for(anext(updates), 5)
    with pytest.raises(StaleValue, match="journal_not_durable") as caught:
        halted.price()
    assert caught.value.code == "no_price"
    assert halted.state is State.HALTED


def update(time: Time, pace: Pace | None = None, **other: Any) -> Update:
    value = {"price": "5.0", "state": "normal", "reasons": ["jump"], "liquidation_ok": True, "carried_forward": False}
    made = Update(
        instrument=NAME, seq=1, ts=10_000, epoch="", value=value | other.pop("value", {}), index=None, mark=None,
        funding=None, settled=None, premium=None, is_snapshot=False, gap=False, sent_age_ms=100,
        received_s=time.now, pace=pace or Pace(time),
    )  # fmt: skip
    return msgspec.structs.replace(made, **other)


def test_a_price_ages_while_it_is_held() -> None:
    time = Time()
    held = update(time)
    time.now += 1.5
    assert held.age_ms() == pytest.approx(1_600)
    assert held.price(age_ms_max=1_700) == Decimal("5.0")
    with pytest.raises(StaleValue, match="1600 ms old") as caught:
        held.price(age_ms_max=1_500)
    assert caught.value.code == "too_old"


def test_a_message_that_waited_on_the_way_does_not_look_young() -> None:
    time = Time()
    pace = Pace(time)
    pace.hear(10_000)  # the fastest message: made at 10 000 by the server, heard now
    time.now += 4.0
    late = update(time, pace, ts=10_500, sent_age_ms=0)
    assert late.age_ms() == pytest.approx(3_500)
    with pytest.raises(StaleValue):
        late.price()


def test_a_fast_message_is_forgotten_in_time() -> None:
    time = Time()
    pace = Pace(time)
    pace.hear(1_000_000)
    for drift_ms in (0, 50, 100):
        time.now += 301.0
        pace.hear(int(time.now * 1_000) - drift_ms)
    assert pace.age_ms(int(time.now * 1_000) - 100) == pytest.approx(50)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"state": "fallback_two_groups"}, "not_usable"),
        ({"state": "a_word_of_the_future"}, "not_usable"),
        ({"carried_forward": True}, "not_usable"),
        ({"price": None}, "no_price"),
    ],
)
def test_an_unsound_price_is_not_given(value: dict[str, Any], code: str) -> None:
    with pytest.raises(StaleValue) as caught:
        update(Time(), value=value).price()
    assert caught.value.code == code


def test_whoever_insists_may_take_another_state() -> None:
    fallen = update(Time(), value={"state": "fallback_two_groups"})
    assert fallen.price(states=(State.TWO_GROUPS,)) == Decimal("5.0")
    with pytest.raises(StaleValue):
        update(Time(), sent_age_ms=None).price()


@asynccontextmanager
async def scripted(play: Callable[[web.WebSocketResponse], Awaitable[None]]) -> AsyncIterator[str]:
    """A server that says what the test wants."""

    async def stream(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await play(ws)
        return ws

    async def busy(request: web.Request) -> web.StreamResponse:
        return web.json_response({"code": "rate_limited", "detail": "later"}, status=429)

    app = web.Application()
    app.router.add_get("/v1/stream", stream)
    app.router.add_get("/v1/index/{name}", busy)
    runner, port = await serve(app, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


def snapshot(seq: int) -> dict[str, Any]:
    answer = {
        "instrument": NAME, "kind": "index", "seq": seq, "ts": 1, "age_ms": 0, "epoch": "", "price": "1.0",
        "state": "normal", "reasons": [], "liquidation_ok": True, "carried_forward": False,
    }  # fmt: skip
    return {"type": "snapshot", "instrument": NAME, "seq": seq, "snapshot": answer}


def value(seq: int) -> dict[str, Any]:
    return {"type": "value", "instrument": NAME, "seq": seq, "ts": 1, "age_ms": 0, "index": snapshot(seq)["snapshot"]}


@pytest.mark.anyio
@pytest.mark.parametrize("sign", [value(5), {"type": "heartbeat", "ts": 1, "last_seq": {NAME: 5}}], ids=["seq", "beat"])
async def test_a_hole_is_asked_for_once_and_closed(sign: dict[str, Any]) -> None:
    heard: list[Any] = []

    async def play(ws: web.WebSocketResponse) -> None:
        heard.append(await ws.receive_json())
        for message in (snapshot(1), value(2), value(2), sign, sign):
            await ws.send_json(message)
        heard.extend([await ws.receive_json(), await ws.receive_json()])
        for seq in (3, 4, 5):
            await ws.send_json(value(seq))
        await ws.receive()

    async with scripted(play) as url, Reader(url) as reader, aclosing(reader.stream([NAME])) as updates:
        found = await following(updates, 5)
    assert [u.seq for u in found] == [1, 2, 3, 4, 5]
    assert reader.resyncs == 1
    assert heard == [
        {"op": "subscribe", "instruments": [NAME]},
        {"op": "unsubscribe", "instruments": [NAME]},
        {"op": "subscribe", "instruments": [NAME], "from_seq": {NAME: 3}},
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("fault", ["nonsense", "no value", "error", "silence", "binary"])
async def test_a_server_that_breaks_its_word_is_left_and_dialled_again(fault: str) -> None:
    time, dials = Time(), 0

    async def play(ws: web.WebSocketResponse) -> None:
        nonlocal dials
        dials += 1
        await ws.receive_json()
        if dials <= 3:
            if fault == "nonsense":
                await ws.send_str("{")
            elif fault == "no value":
                await ws.send_json({"type": "snapshot", "instrument": NAME, "seq": 1})
            elif fault == "error":
                await ws.send_json({"type": "error", "code": "rate_limited", "detail": "later"})
            elif fault == "binary":
                await ws.send_bytes(b"1")
            await ws.receive()
        else:
            await ws.send_json(snapshot(1))
            await ws.receive()

    async with scripted(play) as url:
        silence_s = 0.05 if fault == "silence" else 5.0
        reader = Reader(url, silence_s=silence_s, now_s=time, sleep=time.sleep, random=lambda: 1.0)
        async with reader, aclosing(reader.stream([NAME])) as updates:
            assert (await asyncio.wait_for(anext(updates), 5)).seq == 1
    assert (dials, reader.reconnects) == (4, 3)
    assert time.slept == [0.5, 1.0, 2.0], "each failure doubles the bound of the wait"
    assert reader.last_error


@pytest.mark.anyio
async def test_a_busy_service_is_asked_again_and_an_absent_one_named(hub: Hub) -> None:
    time = Time()

    async def play(ws: web.WebSocketResponse) -> None:
        assert (await ws.receive()).type is WSMsgType.CLOSE

    async with scripted(play) as url, Reader(url, sleep=time.sleep) as reader:
        with pytest.raises(ReaderError, match="rate_limited: later"):
            await reader.index(NAME)
    assert len(time.slept) == 2
    async with Reader("http://127.0.0.1:1", sleep=time.sleep) as reader:
        with pytest.raises(ReaderError, match="unreachable"):
            await reader.index(NAME)


def test_values_before_a_snapshot_are_not_news() -> None:
    course = Course()
    assert not course.accepts(_Message(type="value", instrument=NAME, seq=7))
    assert not course.accepts(_Message(type="pong"))
    assert course.holes() == []
