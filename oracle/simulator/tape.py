"""Plays recorded frames through a real local socket, at the pace at which they came or many times as fast."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self, TypeAlias

from aiohttp import WSMsgType, web
from msgspec import Struct

from oracle.core.types import NANOS_PER_S

HOST = "127.0.0.1"
SPEED_MAX = 1_000.0
NAP_S = 0.001  # the shortest wait that is worth one: what is due sooner is sent together
TURN_FRAMES = 64  # frames in one turn of the event loop: a tape that is late must not starve who shares it
Frames: TypeAlias = Sequence[tuple[int, bytes]]  # (nanoseconds since the first, frame), in order


class Takes(Struct, frozen=True):
    """Several recorded connections to one address: each client that comes gets the next, after the last the first."""

    frames: Sequence[Frames]


class TapeServer:
    """A WebSocket server that plays a tape to every client, from the beginning.

    `tapes` is one tape for every path, or a tape by path; `answers` are the bodies of REST requests by path, with its
    query or without; of several bodies each request gets the next, and after the last the last again. `speed` 1 is the
    recorded pace, up to `SPEED_MAX`; 0 sends as fast as the client reads. With `hold` the connection stays open at the
    end, silent; else it is closed. `asked` waits for the client's first message before the tape begins.
    """

    def __init__(
        self,
        tapes: Frames | Mapping[str, Frames | Takes],
        speed: float = 1.0,
        *,
        answers: Mapping[str, bytes | Sequence[bytes]] | None = None,
        hold: bool = True,
        asked: bool = False,
        port: int = 0,
    ) -> None:
        if not 0.0 <= speed <= SPEED_MAX:
            raise ValueError(f"a tape's speed is 0 to {SPEED_MAX:g}, not {speed}")
        self._tapes = tapes
        self._speed, self._answers, self._hold, self._asked, self.port = speed, answers or {}, hold, asked, port
        self._sockets: set[web.WebSocketResponse] = set()
        self._served: Counter[str] = Counter()  # clients and requests, by path
        self.played = 0  # tapes played to their end
        app = web.Application()
        app.router.add_get("/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.2)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for socket in tuple(self._sockets):
            await socket.close()
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Where to dial: scheme, host and port."""
        return f"ws://{HOST}:{self.port}"

    @property
    def rest_url(self) -> str:
        """Where to ask for the REST answers."""
        return f"http://{HOST}:{self.port}"

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            body = self._answer(request)
            return web.Response(status=404) if body is None else web.Response(body=body)
        frames = self._frames(request.path)
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        self._sockets.add(socket)
        try:
            await self._attend(socket, frames)
        finally:
            self._sockets.discard(socket)
        return socket

    def _answer(self, request: web.Request) -> bytes | None:
        body = self._answers.get(request.path_qs)
        body = self._answers.get(request.path) if body is None else body
        if body is None or isinstance(body, bytes):
            return body
        self._served[request.path_qs] += 1
        return body[min(self._served[request.path_qs], len(body)) - 1]

    def _frames(self, path: str) -> Frames:
        tape = self._tapes.get(path, ()) if isinstance(self._tapes, Mapping) else self._tapes
        if not isinstance(tape, Takes):
            return tape
        self._served[path] += 1
        return tape.frames[(self._served[path] - 1) % len(tape.frames)]

    async def _attend(self, socket: web.WebSocketResponse, frames: Frames) -> None:
        """Play the tape while the client's own messages are read and ignored."""
        if self._asked and (await socket.receive()).type is not WSMsgType.TEXT:
            return
        player = asyncio.create_task(self._play(socket, frames))
        try:
            async for _ in socket:
                pass
        finally:
            player.cancel()
            await asyncio.gather(player, return_exceptions=True)

    async def _play(self, socket: web.WebSocketResponse, frames: Frames) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for count, (offset_ns, data) in enumerate(frames, 1):
            early_s = began_s + offset_ns / NANOS_PER_S / self._speed - loop.time() if self._speed else 0.0
            if early_s > NAP_S:
                await asyncio.sleep(early_s)
            elif count % TURN_FRAMES == 0:
                await asyncio.sleep(0)
            await _send(socket, data)
        self.played += 1
        if not self._hold:
            await socket.close()


async def _send(socket: web.WebSocketResponse, data: bytes) -> None:
    """As text, which every venue sends; bytes that are no text go as they are."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        await socket.send_bytes(data)
    else:
        await socket.send_str(text)
