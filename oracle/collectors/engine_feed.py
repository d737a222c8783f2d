"""The door for the platform's own market: an authenticated WebSocket on a port of its own.

Every message is signed, timed and numbered (see `feed_gate`, `watermark`); one that is refused has no effect, is
counted by its reason, and is answered by name. The server greets a sender with the floor it has to start above, and
again when it refuses something as replayed, so an honest sender that restarted finds its place by itself.

Silence is judged by the methodology, from the ages of what was accepted: a sender that reconnects within its limits
leaves no trace, so a lost connection makes no Link.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path

import aiohttp
import msgspec
import structlog
from aiohttp import web
from msgspec import Struct, field

from oracle.clock import Clock
from oracle.collectors.feed_gate import FRAME_BYTES_MAX, Gate
from oracle.collectors.watermark import Watermark
from oracle.core.params import World
from oracle.core.types import Action, Command, Link, Nanos, Observation
from oracle.errors import FeedError, ServiceError

PATH = "/v1/engine"
CONNECTIONS_MAX = 16
ANSWER_GAP_S = 0.1  # acknowledgements and refusals go out at most this often
ANSWERS_MAX = 8  # refusals told in one answer gap; the rest are only counted
REFUSED_IN_ROW_MAX = 1_000  # then the connection is closed
SILENT_S = 60.0  # a connection that says nothing is closed
PING_S = 15.0

_log = structlog.get_logger()


class FeedStats(Struct):
    """What the door has seen since the start; read by the metrics and the status page."""

    connections: int = 0
    accepted: Counter[str] = field(default_factory=Counter)  # by type
    refused: Counter[str] = field(default_factory=Counter)  # by reason
    bytes: int = 0
    last_accepted_ns: Nanos = 0
    last_error: str = ""


class EngineFeed:
    """The server. Construct, `start`, and `stop`."""

    def __init__(
        self,
        world: World,
        put: Callable[[Observation], None],
        clock: Clock,
        *,
        secrets: Mapping[str, bytes],
        state_path: Path,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Raises ServiceError when the watermark file is there and cannot be read."""
        self._put, self._clock, self._tls = put, clock, tls
        self._gate = Gate(world, secrets)
        self._watermark = Watermark(state_path)
        self._sources = {perp.id: perp.engine_source for perp in world.perps}
        self._linked: set[int] = set()
        self._statuses: dict[str, Action] = {}
        self._runner: web.AppRunner | None = None
        self._lines: set[web.WebSocketResponse] = set()
        self.port = 0
        self.stats = FeedStats()

    async def start(self, host: str, port: int) -> None:
        """Listen; `port` 0 takes a free one, which `self.port` then tells. Raises ServiceError when it is taken."""
        app = web.Application()
        app.router.add_get(PATH, self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port, ssl_context=self._tls).start()
        except OSError as error:
            await self._runner.cleanup()
            why = os.strerror(error.errno).lower() if error.errno and error.errno > 0 else str(error)
            remedy = "set ORACLE_ENGINE_FEED__PORT"
            raise ServiceError(f"engine_feed cannot listen on {host}:{port}: {why}; {remedy}") from error
        self.port = self._runner.addresses[0][1]
        _log.info("feed.listening", host=host, port=self.port)

    async def stop(self) -> None:
        """Close every connection and the port."""
        for line in tuple(self._lines):
            await line.close(code=aiohttp.WSCloseCode.GOING_AWAY)
        if self._runner is not None:
            await self._runner.cleanup()
        await self._watermark.close()

    async def accept(self, frame: bytes) -> tuple[int, int]:
        """Judge a frame and let it take effect; the answer is its (epoch, seq). Raises FeedError, without effect."""
        now_ns = self._clock.now_ns()
        message = self._gate.parse(frame)
        try:
            self._gate.authenticate(message, frame, now_ns)
            mark = (message.epoch, message.seq)
            if mark <= self._watermark.floor(message.key):
                raise FeedError("REPLAYED", f"{mark} is not above {self._watermark.floor(message.key)}")
            fact = self._gate.read(message, now_ns)
            if not self._watermark.try_raise(message.key, mark):
                await self._watermark.raise_to(message.key, mark)
            if fact is not None:
                self._take(fact, self._sources[message.instrument], now_ns)
        except FeedError as error:
            raise _Refused(error, message.key, message.seq) from error
        except ServiceError as error:
            raise _Refused(FeedError("BUSY", str(error)), message.key, message.seq) from error
        self.stats.accepted[message.type] += 1
        self.stats.bytes += len(frame)
        self.stats.last_accepted_ns = now_ns
        return mark

    def _take(self, fact: Observation, source: int, now_ns: Nanos) -> None:
        if isinstance(fact, Command):
            if self._statuses.get(fact.target) is fact.action:
                return  # only a change is an order
            self._statuses[fact.target] = fact.action
            _log.warning("feed.status", target=fact.target, action=str(fact.action), by=fact.by)
        elif source not in self._linked:
            self._linked.add(source)
            self._put(Link(source, True, "", now_ns))
        self._put(fact)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if len(self._lines) >= CONNECTIONS_MAX:
            return web.Response(status=503, text="too many senders\n")
        line = web.WebSocketResponse(
            max_msg_size=FRAME_BYTES_MAX + 1, compress=False, heartbeat=PING_S, receive_timeout=SILENT_S
        )
        await line.prepare(request)
        self._lines.add(line)
        self.stats.connections = len(self._lines)
        _log.info("feed.connected", peer=request.remote)
        voice = _Voice(line.send_str)
        speaking = asyncio.ensure_future(voice.run())
        try:
            voice.say(self._welcome(request.query.get("key", "")))
            await self._listen(line, voice)
        finally:
            self._lines.discard(line)
            self.stats.connections = len(self._lines)
            speaking.cancel()
            _log.info("feed.disconnected", peer=request.remote, code=line.close_code)
        return line

    async def _listen(self, line: web.WebSocketResponse, voice: _Voice) -> None:
        in_row = 0
        with suppress(TimeoutError):
            async for item in line:
                try:
                    if item.type is aiohttp.WSMsgType.ERROR:
                        raise FeedError(
                            "TOO_LARGE" if getattr(item.data, "code", 0) == 1009 else "SHAPE", str(item.data)
                        )
                    if item.type is not aiohttp.WSMsgType.TEXT:
                        raise FeedError("SHAPE", "not a text frame")
                    voice.acknowledge(await self.accept(item.data.encode()))
                    in_row = 0
                except FeedError as error:
                    in_row += 1
                    self._refuse(error, voice)
                    if in_row >= REFUSED_IN_ROW_MAX:
                        await line.close(code=aiohttp.WSCloseCode.POLICY_VIOLATION, message=b"nothing is accepted")

    def _refuse(self, error: FeedError, voice: _Voice) -> None:
        if not self.stats.refused[error.reason]:
            _log.warning("feed.refused", reason=error.reason, detail=error.detail)
        self.stats.refused[error.reason] += 1
        self.stats.last_error = str(error)
        key, seq = (error.key, error.seq) if isinstance(error, _Refused) else ("", None)
        voice.say(_json(type="refused", reason=error.reason, detail=error.detail, seq=seq))
        if error.reason == "REPLAYED":
            voice.say(self._welcome(key))

    def _welcome(self, key: str) -> str:
        epoch, seq = self._watermark.floor(key)
        return _json(type="welcome", epoch=epoch, seq=seq)


class _Refused(FeedError):
    """A refusal that knows which message it is about."""

    def __init__(self, error: FeedError, key: str, seq: int) -> None:
        super().__init__(error.reason, error.detail)
        self.key, self.seq = key, seq


class _Voice:
    """What one sender is told: the latest acknowledgement and a few refusals at a time. Never waits for its reader."""

    def __init__(self, send: Callable[[str], Awaitable[None]]) -> None:
        self._send = send
        self._texts: deque[str] = deque()
        self._mark: tuple[int, int] | None = None
        self._wake = asyncio.Event()

    def acknowledge(self, mark: tuple[int, int]) -> None:
        self._mark = mark
        self._wake.set()

    def say(self, text: str) -> None:
        if len(self._texts) < ANSWERS_MAX:
            self._texts.append(text)
            self._wake.set()

    async def run(self) -> None:
        with suppress(ConnectionError):
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._texts:
                    await self._send(self._texts.popleft())
                if self._mark is not None:
                    (epoch, seq), self._mark = self._mark, None
                    await self._send(_json(type="ack", epoch=epoch, seq=seq))
                await asyncio.sleep(ANSWER_GAP_S)


def _json(**fields: object) -> str:
    return msgspec.json.encode(fields).decode()
