"""The WebSocket at /v1/stream: what clients may say, what they are told, and when they are cut off.

A client says `{"op":"subscribe","instruments":[…],"from_seq":{…}}`, `unsubscribe` or `ping`. It is told `snapshot` or,
with `from_seq`, everything it missed; then each `value`; and a `heartbeat` every second that names the last seq of each
instrument. Who does not read is closed with 4008; who does not make sense is closed with 1008.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Annotated, TypeAlias, cast

import msgspec
from aiohttp import WSMsgType, web
from msgspec import Meta, Struct, field

from oracle.core.types import NANOS_PER_MS
from oracle.core.wire import encode
from oracle.publishers.hub import Hub
from oracle.publishers.limits import Bucket, Limits, Seats
from oracle.publishers.outbox import Outbox
from oracle.publishers.problems import Problem, unknown_instrument

SLOW_READER = 4008
NONSENSE = 1008
GOING_AWAY = 1001
CLIENT_BYTES_MAX = 4_096
INSTRUMENTS_MAX = 100
KERNEL_BYTES_MAX = 131_072  # what the kernel may hold for a reader, so that slowness shows early
TRANSPORT_BYTES_MAX = 65_536
PING_S = 20.0
CLOSE_S = 2.0
PARTING_S = 5.0  # how long a cut reader may take to fetch what was already sent, and his reason

Name = Annotated[str, Meta(max_length=64)]
Seq = Annotated[int, Meta(ge=1, le=2**53)]
Id: TypeAlias = int | Annotated[str, Meta(max_length=64)] | None


class Subscribe(Struct, tag_field="op", tag="subscribe", forbid_unknown_fields=True):
    """`from_seq`: the first seq the client lacks."""

    instruments: Annotated[list[Name], Meta(min_length=1, max_length=INSTRUMENTS_MAX)]
    from_seq: dict[str, Seq] = field(default_factory=dict)
    id: Id = None


class Unsubscribe(Struct, tag_field="op", tag="unsubscribe", forbid_unknown_fields=True):
    """No more of these."""

    instruments: Annotated[list[Name], Meta(min_length=1, max_length=INSTRUMENTS_MAX)]
    id: Id = None


class Ping(Struct, tag_field="op", tag="ping", forbid_unknown_fields=True):
    """Are you there?"""

    id: Id = None


_decoder = msgspec.json.Decoder(Subscribe | Unsubscribe | Ping)


class Streams:
    """Every open stream. `now_s`: seconds that never run backwards."""

    def __init__(self, hub: Hub, limits: Limits, now_s: Callable[[], float]) -> None:
        self.hub, self.limits, self.now_s = hub, limits, now_s
        self.cut = self.opened = 0
        self._seats = Seats(limits.streams_max, limits.streams_per_address_max)
        self._connections: dict[Connection, None] = {}
        self._partings: set[asyncio.Task[None]] = set()

    @property
    def open(self) -> int:
        """How many streams are open."""
        return self._seats.open

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One client, from the handshake to the end."""
        address = request.remote or ""
        made = web.WebSocketResponse(
            timeout=CLOSE_S, heartbeat=PING_S, compress=False, max_msg_size=CLIENT_BYTES_MAX, autoping=True
        )
        self._admit(address, made.can_prepare(request).ok)
        self._seats.take(address)
        self.opened += 1
        try:
            await made.prepare(request)
            if request.transport is None:
                return made  # he left while he was greeted
            connection = Connection(self, made, request)
            self._connections[connection] = None
            try:
                await connection.run()
            finally:
                self._connections.pop(connection, None)
                self.hub.leave(connection.outbox)
        finally:
            self._seats.leave(address)
        return made

    async def running(self, app: web.Application) -> AsyncIterator[None]:
        """Send heartbeats for as long as the application runs, and part from everybody when it stops."""
        app.on_shutdown.append(self.close)
        beating = asyncio.create_task(self._beat())
        yield
        beating.cancel()
        await asyncio.gather(beating, *self._partings, return_exceptions=True)

    async def close(self, app: web.Application) -> None:
        """Tell every client that the service goes away."""
        await asyncio.gather(*(c.part(GOING_AWAY, "the service is stopping") for c in list(self._connections)))

    def beat(self) -> None:
        """Send one heartbeat to everybody, and cut off whoever does not read."""
        made: dict[tuple[str, ...], bytes] = {}
        for connection in list(self._connections):
            if connection.is_slow():
                self._part(connection)
                continue
            names = tuple(connection.instruments)
            if names not in made:
                made[names] = self.hub.heartbeat(names)
            connection.outbox.put(made[names])

    def _admit(self, address: str, upgrade: bool) -> None:
        if not upgrade:
            headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
            raise Problem("upgrade_required", "This path speaks WebSocket version 13.", headers=headers)
        if self._seats.full_for(address):
            detail = f"{self.limits.streams_per_address_max} streams are open from this address."
            raise Problem("too_many_streams", detail, headers={"Retry-After": "5"})
        if self._seats.full():
            detail = f"All {self.limits.streams_max} streams are taken."
            raise Problem("streams_full", detail, headers={"Retry-After": "5"})

    def _part(self, connection: Connection) -> None:
        self.cut += 1
        self._connections.pop(connection, None)
        self.hub.leave(connection.outbox)
        parting = asyncio.create_task(connection.part(SLOW_READER, "too slow: read faster, resume with from_seq"))
        self._partings.add(parting)
        parting.add_done_callback(self._partings.discard)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.limits.stream_heartbeat_ms / 1_000)
            self.beat()


class Connection:
    """One client: what he wants, what waits for him, and how he behaves."""

    def __init__(self, streams: Streams, ws: web.WebSocketResponse, request: web.Request) -> None:
        limits = streams.limits
        self._streams, self._ws, self._hub = streams, ws, streams.hub
        # uvloop's transports are no subclass of asyncio's: what they can do is the same
        transport = cast(asyncio.Transport, request.transport)
        self._transport = transport
        _bound_buffers(transport)
        pressure = transport.get_write_buffer_size
        self.outbox = Outbox(limits.stream_messages_max, limits.stream_bytes_max, pressure)
        self.instruments: dict[str, None] = {}
        self._bucket = Bucket(limits.client_messages_per_s, limits.client_messages_burst, streams.now_s())
        self._errors = 0
        self._sending_since_s = 0.0
        self._sender: asyncio.Task[None] | None = None

    def is_slow(self) -> bool:
        """Whether the client has let too much wait, or let one message wait too long."""
        if self.outbox.overflowed:
            return True
        blocked_ms = (asyncio.get_running_loop().time() - self._sending_since_s) * 1_000
        return self._sending_since_s > 0.0 and blocked_ms > self._streams.limits.stream_blocked_ms_max

    async def run(self) -> None:
        """Hear the client and send what waits for him, until either side ends it."""
        self._sender = asyncio.create_task(self._send())
        try:
            async for message in self._ws:
                await self._hear(message.data if message.type is WSMsgType.TEXT else None)
        except ConnectionError:
            pass  # he left while he was being answered
        finally:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)

    async def part(self, code: int, why: str) -> None:
        """Close with a reason. Whoever does not fetch it in time is dropped."""
        if self._sender is not None:
            self._sender.cancel()
        asyncio.get_running_loop().call_later(PARTING_S, self._transport.abort)
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(CLOSE_S):
                await self._ws.close(code=code, message=why.encode(), drain=False)

    async def _send(self) -> None:
        now_s = asyncio.get_running_loop().time
        with contextlib.suppress(ConnectionError):
            while (data := await self.outbox.take()) is not None:
                self._sending_since_s = now_s()
                await self._ws.send_frame(data, WSMsgType.TEXT)
                self._sending_since_s = 0.0

    async def _hear(self, data: str | None) -> None:
        """Obey one message, or say what is wrong with it."""
        if not self._bucket.take(self._streams.now_s()).allowed:
            await self._refuse("rate_limited", "Too many messages: subscribe to many instruments at once.", None)
            return
        try:
            said = _decoder.decode(data or "")
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            detail = "Only JSON text is understood." if data is None else str(error)[:200]
            await self._refuse("bad_message", detail, None)
            return
        if isinstance(said, Ping):
            await self._reply({"type": "pong", "ts": self._hub.stamp().now_ns // NANOS_PER_MS, "id": said.id})
        elif isinstance(said, Subscribe):
            await self._subscribe(said)
        else:
            await self._unsubscribe(said)

    async def _subscribe(self, said: Subscribe) -> None:
        """All of it, or nothing and why."""
        names = list(dict.fromkeys(said.instruments))
        for name in names:
            if name not in self._hub.boards:
                problem = unknown_instrument(name, self._hub.boards)
                await self._refuse(problem.code, problem.detail, said.id)
                return
            if name in self.instruments:
                await self._refuse("already_subscribed", f"{name} is subscribed; unsubscribe first.", said.id)
                return
        if strange := [name for name in said.from_seq if name not in names]:
            await self._refuse("bad_message", f"from_seq names {strange[0][:64]!r}, instruments does not.", said.id)
            return
        await self._reply({"type": "subscribed", "instruments": names, "id": said.id})
        for name in names:
            self.instruments[name] = None
            self._hub.subscribe(self.outbox, name, said.from_seq.get(name))

    async def _unsubscribe(self, said: Unsubscribe) -> None:
        gone = [name for name in dict.fromkeys(said.instruments) if name in self.instruments]
        for name in gone:
            del self.instruments[name]
            self._hub.unsubscribe(self.outbox, name)
        await self._reply({"type": "unsubscribed", "instruments": gone, "id": said.id})

    async def _refuse(self, code: str, detail: str, ident: Id) -> None:
        """Say what is wrong; close on a client that goes on like this."""
        self._errors += 1
        await self._reply({"type": "error", "code": code, "detail": detail, "id": ident})
        if self._errors >= self._streams.limits.client_errors_max:
            await self.part(NONSENSE, "too many messages that make no sense")

    async def _reply(self, message: dict[str, object]) -> None:
        await self._ws.send_frame(encode(message), WSMsgType.TEXT)


def _bound_buffers(transport: asyncio.Transport) -> None:
    """Let neither the kernel nor the transport hide how slow a reader is. One who has left already needs no bound."""
    with contextlib.suppress(OSError, RuntimeError, ValueError):  # what asyncio and uvloop say of a closed transport
        transport.set_write_buffer_limits(high=TRANSPORT_BYTES_MAX)
        line = transport.get_extra_info("socket")
        if line is not None:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES_MAX)
