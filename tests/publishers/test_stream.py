"""The WebSocket on a real server: what a client is told, and when he is cut off."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import WSMsgType

from oracle.publishers.hub import Hub
from oracle.publishers.limits import Limits
from oracle.publishers.rest import STREAMS, make_app
from oracle.publishers.stream import CLIENT_BYTES_MAX, Streams, _bound_buffers
from oracle.publishers.web import serve


@pytest.fixture(params=["asyncio", "uvloop"], scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops that the service may run on: their transports differ."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


QUIET = Limits(stream_heartbeat_ms=60_000)


async def said(ws: Any) -> Any:
    return await ws.receive_json(timeout=5)


async def subscribed(ws: Any, *names: str, **from_seq: int) -> None:
    asked: dict[str, Any] = {"op": "subscribe", "instruments": list(names), "id": 1}
    await ws.send_json(
        asked | ({"from_seq": {n.replace("_", "-"): s for n, s in from_seq.items()}} if from_seq else {})
    )
    assert await said(ws) == {"type": "subscribed", "instruments": list(names), "id": 1}


@pytest.mark.anyio
async def test_a_snapshot_then_every_value(serving: Any, hub: Hub, make: Any) -> None:
    hub.publish(make.whole())
    async with serving(limits=QUIET) as session, session.ws_connect("/v1/stream") as ws:
        await subscribed(ws, "BTC-USD-PERP", "BTC-USD")
        first, second = await said(ws), await said(ws)
        assert (first["type"], first["snapshot"]["kind"], second["snapshot"]["kind"]) == (
            "snapshot",
            "perpetual",
            "index",
        )
        hub.publish(make.whole())
        values = [await said(ws), await said(ws)]
        assert {(v["type"], v["instrument"], v["seq"]) for v in values} == {
            ("value", "BTC-USD", 2),
            ("value", "BTC-USD-PERP", 2),
        }
        await ws.send_json({"op": "unsubscribe", "instruments": ["BTC-USD", "ELSE"], "id": "x"})
        assert await said(ws) == {"type": "unsubscribed", "instruments": ["BTC-USD"], "id": "x"}
        hub.publish(make.whole())
        assert (await said(ws))["instrument"] == "BTC-USD-PERP"


@pytest.mark.anyio
async def test_from_seq_resumes_and_a_gap_is_told(serving: Any, hub: Hub, make: Any) -> None:
    for _ in range(3):
        hub.publish(make.whole())
    async with serving(limits=QUIET) as session:
        async with session.ws_connect("/v1/stream") as ws:
            await subscribed(ws, "BTC-USD", BTC_USD=2)
            assert [(await said(ws))["seq"] for _ in range(2)] == [2, 3]
        async with session.ws_connect("/v1/stream") as ws:
            await subscribed(ws, "BTC-USD", BTC_USD=9)
            assert await said(ws) == {"type": "gap", "instrument": "BTC-USD", "from": 9, "to": 3}
            assert (await said(ws))["type"] == "snapshot"


@pytest.mark.anyio
async def test_heartbeats_name_what_was_subscribed(serving: Any, hub: Hub, make: Any) -> None:
    hub.publish(make.whole())
    async with serving(limits=Limits(stream_heartbeat_ms=20)) as session, session.ws_connect("/v1/stream") as ws:
        await subscribed(ws, "BTC-USD")
        messages = [await said(ws) for _ in range(3)]
        beat = messages[-1]
        assert (beat["type"], beat["last_seq"], beat["halted"]) == ("heartbeat", {"BTC-USD": 1}, [])


@pytest.mark.anyio
async def test_a_halt_reaches_subscribers(serving: Any, hub: Hub, make: Any) -> None:
    hub.publish(make.whole())
    async with serving(limits=QUIET) as session, session.ws_connect("/v1/stream") as ws:
        await subscribed(ws, "BTC-USD")
        await said(ws)
        hub.halt("JOURNAL_NOT_DURABLE")
        told = await said(ws)
        assert (told["type"], told["snapshot"]["price"], told["snapshot"]["state"]) == ("snapshot", None, "halted")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", "bad_message"),
        ("[]", "bad_message"),
        ('{"op":"buy"}', "bad_message"),
        ('{"op":"subscribe"}', "bad_message"),
        ('{"op":"subscribe","instruments":[]}', "bad_message"),
        ('{"op":"subscribe","instruments":["BTC-USD"],"more":1}', "bad_message"),
        ('{"op":"subscribe","instruments":["BTC-USD"],"from_seq":{"BTC-USD":0}}', "bad_message"),
        ('{"op":"subscribe","instruments":["BTC-USD"],"from_seq":{"ETH-USD":1}}', "bad_message"),
        ('{"op":"subscribe","instruments":["BTC-USD","BTC-UDS"]}', "unknown_instrument"),
        ("[" * 2_000, "bad_message"),
        (b"\x00", "bad_message"),
    ],
)
async def test_nonsense_is_answered_and_changes_nothing(serving: Any, hub: Hub, message: Any, code: str) -> None:
    async with serving(limits=QUIET) as session, session.ws_connect("/v1/stream") as ws:
        await (ws.send_bytes(message) if isinstance(message, bytes) else ws.send_str(message))
        told = await said(ws)
        assert (told["type"], told["code"]) == ("error", code)
        await ws.send_json({"op": "ping", "id": 5})
        pong = await said(ws)
        assert (pong["type"], pong["id"], pong["ts"]) == ("pong", 5, hub.stamp().now_ns // 10**6)
        await subscribed(ws, "BTC-USD")


@pytest.mark.anyio
async def test_subscribing_twice_is_refused(serving: Any) -> None:
    async with serving(limits=QUIET) as session, session.ws_connect("/v1/stream") as ws:
        await subscribed(ws, "BTC-USD")
        await said(ws)
        await ws.send_json({"op": "subscribe", "instruments": ["BTC-USD"]})
        assert (await said(ws))["code"] == "already_subscribed"


@pytest.mark.anyio
async def test_whoever_goes_on_with_nonsense_is_closed_with_1008(serving: Any) -> None:
    async with serving(limits=Limits(client_errors_max=3)) as session, session.ws_connect("/v1/stream") as ws:
        for _ in range(3):
            await ws.send_str("?")
        assert [(await said(ws))["code"] for _ in range(3)] == ["bad_message"] * 3
        assert (await ws.receive(timeout=5)).type is WSMsgType.CLOSE
        assert ws.close_code == 1008


@pytest.mark.anyio
async def test_too_much_talk_is_refused(serving: Any) -> None:
    limits = Limits(client_messages_burst=2, client_messages_per_s=0.001)
    async with serving(limits=limits) as session, session.ws_connect("/v1/stream") as ws:
        for _ in range(3):
            await ws.send_json({"op": "ping"})
        assert [(await said(ws))["type"] for _ in range(3)] == ["pong", "pong", "error"]


@pytest.mark.anyio
async def test_a_message_that_is_too_long_is_closed_with_1009(serving: Any) -> None:
    async with serving(limits=QUIET) as session, session.ws_connect("/v1/stream") as ws:
        await ws.send_str(" " * (CLIENT_BYTES_MAX + 1))
        assert (await ws.receive(timeout=5)).type is WSMsgType.CLOSE
        assert ws.close_code == 1009


@pytest.mark.anyio
async def test_seats_are_limited_in_all_and_for_each_address(serving: Any) -> None:
    for limits, status, code in (
        (Limits(streams_per_address_max=1), 429, "too_many_streams"),
        (Limits(streams_max=1), 503, "streams_full"),
    ):
        async with serving(limits=limits) as session, session.ws_connect("/v1/stream"):
            headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
            headers["Sec-WebSocket-Key"] = base64.b64encode(bytes(16)).decode()
            async with session.get("/v1/stream", headers=headers) as refused:
                assert refused.status == status
                assert (await refused.json(content_type=None))["code"] == code


@pytest.mark.anyio
async def test_plain_http_is_told_to_upgrade(serving: Any) -> None:
    async with serving() as session, session.get("/v1/stream") as response:
        assert (response.status, response.headers["Upgrade"]) == (426, "websocket")


HELLO = (
    b"GET /v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: " + base64.b64encode(bytes(16)) + b"\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def settled(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came about")


async def slow_reader(
    hub: Hub, limits: Limits, flood: Callable[[Streams], Awaitable[None]]
) -> tuple[list[tuple[int, bytes]], Streams]:
    """Connect with small buffers, subscribe, stop reading until cut, then read what is there, frame by frame."""
    app = make_app(hub, None, limits=limits)  # type: ignore[arg-type]
    streams = app[STREAMS]
    runner, port = await serve(app, "127.0.0.1", 0)
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    line.setblocking(False)
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_connect(line, ("127.0.0.1", port))
        subscribe = masked(b'{"op":"subscribe","instruments":["BTC-USD-PERP"]}')
        await loop.sock_sendall(line, HELLO + subscribe)
        await settled(lambda: bool(hub._channels["BTC-USD-PERP"].outboxes))
        await flood(streams)
        await settled(lambda: streams.cut == 1)
        heard = b""
        with contextlib.suppress(ConnectionError):
            while part := await asyncio.wait_for(loop.sock_recv(line, 1 << 16), 10):
                heard += part
        return frames(heard.partition(b"\r\n\r\n")[2]), streams
    finally:
        line.close()
        await runner.cleanup()


def masked(data: bytes) -> bytes:
    """A client's text frame; a mask of zeros leaves the bytes as they are."""
    return bytes((0x81, 0x80 | len(data))) + bytes(4) + data


def frames(data: bytes) -> list[tuple[int, bytes]]:
    """Opcode and payload of each server frame."""
    found = []
    while len(data) >= 2:
        length, start = data[1], 2
        if length == 126:
            length, start = struct.unpack(">H", data[2:4])[0], 4
        found.append((data[0] & 0x0F, data[start : start + length]))
        data = data[start + length :]
    return found


@pytest.mark.anyio
async def test_a_reader_who_stops_is_told_4008_and_costs_nobody(hub: Hub, make: Any) -> None:
    async def flood(streams: Streams) -> None:
        for _ in range(1_500):
            hub.publish(make.tick(make.mark(), make.funding()))
            await asyncio.sleep(0)

    heard, streams = await slow_reader(hub, Limits(stream_heartbeat_ms=50), flood)
    opcode, payload = heard[-1]
    assert (opcode, struct.unpack(">H", payload[:2])[0]) == (8, 4008)
    assert b"too slow" in payload
    assert hub.counts().overflows == 1
    assert not hub._channels["BTC-USD-PERP"].outboxes
    assert streams.open == 0


@pytest.mark.anyio
async def test_a_reader_whose_socket_is_blocked_too_long_is_told_4008(hub: Hub, make: Any) -> None:
    async def flood(streams: Streams) -> None:
        connection = next(iter(streams._connections))
        while not connection._sending_since_s:
            hub.publish(make.tick(make.mark(), make.funding()))
            await asyncio.sleep(0)

    limits = Limits(stream_heartbeat_ms=50, stream_blocked_ms_max=100, stream_messages_max=100_000)
    heard, _ = await slow_reader(hub, limits, flood)
    assert struct.unpack(">H", heard[-1][1][:2])[0] == 4008
    assert hub.counts().overflows == 0


@pytest.mark.anyio
async def test_a_stop_of_the_service_is_told(hub: Hub) -> None:
    runner, port = await serve(make_app(hub, None), "127.0.0.1", 0)  # type: ignore[arg-type]
    async with aiohttp.ClientSession() as session, session.ws_connect(f"http://127.0.0.1:{port}/v1/stream") as ws:
        await subscribed(ws, "BTC-USD")
        await said(ws)
        reading = asyncio.create_task(ws.receive(timeout=5))
        await asyncio.wait_for(runner.cleanup(), 5)
        assert (await reading).type is WSMsgType.CLOSE
        assert ws.close_code == 1001


@pytest.mark.anyio
async def test_whoever_leaves_leaves_nothing_behind(serving: Any, hub: Hub) -> None:
    async with serving(limits=QUIET) as session:
        ws = await session.ws_connect("/v1/stream")
        await subscribed(ws, "BTC-USD")
        assert hub._channels["BTC-USD"].outboxes
        await ws.close()
        await settled(lambda: not hub._channels["BTC-USD"].outboxes)


@pytest.mark.anyio
async def test_a_reader_who_has_left_needs_no_bound() -> None:
    gone: asyncio.Queue[asyncio.WriteTransport] = asyncio.Queue()
    server = await asyncio.start_server(lambda _, writer: gone.put_nowait(writer.transport), "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    transport = await gone.get()
    transport.abort()
    await asyncio.sleep(0.01)
    assert transport.is_closing()
    _bound_buffers(cast(asyncio.Transport, transport))
    writer.close()
    server.close()
