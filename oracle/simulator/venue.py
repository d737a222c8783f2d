"""A venue on loopback: a real WebSocket server that speaks the venue's language through its Mimic, and fails on order.

Each client has a Mimic of its own and hears of the symbols it named, in its address or in what it sent. A plain HTTP
request is answered by the Mimic of its market, with the tops that were said last. The server has no clock and no timer:
whoever plays the world says facts with `say` and lets time pass with `tick`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import msgspec
from aiohttp import WSMsgType, web

from oracle.core.types import NANOS_PER_MS, BookTop, Nanos, Side, Trade
from oracle.simulator.faults import BOUND_KINDS, LINE_KINDS, Kind
from oracle.venues import base

HOST = "127.0.0.1"
FRAMES_WAITING_MAX = 4_096  # a client that reads no more than this behind is cut off, as venues do
CLIENT_FRAME_BYTES_MAX = 1 << 16
GARBAGE = '{"this is": no JSON'
DEAF = (Kind.MUTE, Kind.STALL)  # nothing is said while these last


class VenueServer:
    """One venue. `feeds` by the venue's market section; sources are the numbers by which `say` knows its markets.

    An async context manager: the port is bound on entry. Raises OSError when it is taken.
    """

    def __init__(
        self, venue: str, feeds: Mapping[str, Sequence[base.Feed]], now_ns: Callable[[], Nanos], port: int = 0
    ) -> None:
        self._session_type, self._mimic_type = base.load(venue)
        self.venue, self.port = venue, port
        self._feeds = {market: tuple(listed) for market, listed in feeds.items()}
        most = self._session_type.symbols_max
        self._paths = {urlsplit(self._session_type(f[:most], m).url()).path: m for m, f in self._feeds.items()}
        self._now_ns = now_ns
        self._lines: list[_Line] = []
        self._faults: set[Kind] = set()
        self.dialled = 0  # connections since the start
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._answering = asyncio.Event()
        self._answering.set()
        self._mimics = {market: self._mimic_type(listed, market) for market, listed in self._feeds.items()}
        self._stated: dict[int, BookTop] = {}  # by source, what was said last, heard or not
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.2)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flowing.set()
        self._answering.set()
        for line in tuple(self._lines):
            line.abort()
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Where to dial: scheme, host and port."""
        return f"ws://{HOST}:{self.port}"

    @property
    def clients(self) -> int:
        """How many clients are connected."""
        return len(self._lines)

    def say(self, fact: BookTop | Trade) -> None:
        """State a fact to every client that asked for its market, and a top to whoever asks over REST."""
        if isinstance(fact, BookTop):
            self._stated[fact.source] = fact
        if self._faults.isdisjoint(DEAF):
            for line in tuple(self._lines):
                line.say(fact)

    def tick(self, now_ns: Nanos) -> None:
        """Let time pass: send the heartbeats that are due."""
        if self._faults.isdisjoint(DEAF):
            for line in tuple(self._lines):
                line.beat(now_ns)

    def begin(self, fault: Kind) -> None:
        """A fault of the line begins; GARBAGE and OVERSIZED are over as soon as they were sent."""
        assert fault in LINE_KINDS, fault
        self._faults.add(fault)
        match fault:
            case Kind.STALL:
                self._flowing.clear()
            case Kind.MUTE:
                self._answering.clear()
            case Kind.GARBAGE:
                self._send_raw(GARBAGE)
            case Kind.OVERSIZED:
                self._send_raw(f'"{"x" * self._session_type.frame_bytes_max}"')
        for line in tuple(self._lines):
            line.suffer(fault)

    def strike(self, fault: Kind, sources: Sequence[int] = ()) -> None:
        """A fault befalls the connections that stand now, for good; the next ones are sound.

        `sources`: the markets that LOST concerns; none: all.
        """
        assert fault in BOUND_KINDS, fault
        for line in tuple(self._lines):
            line.strike(fault, sources)

    def end(self, fault: Kind) -> None:
        """A fault of the line is over."""
        self._faults.discard(fault)
        if fault is Kind.STALL:
            self._flowing.set()
        elif fault is Kind.MUTE:
            self._answering.set()
        for line in tuple(self._lines):
            line.recover(fault)

    def _send_raw(self, text: str) -> None:
        for line in tuple(self._lines):
            line.put([text])

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        await self._flowing.wait()
        if Kind.DISCONNECT in self._faults:
            return web.Response(status=503)
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return await self._answer(request)
        socket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=CLIENT_FRAME_BYTES_MAX)
        await socket.prepare(request)
        market = self._paths.get(request.path) or next(iter(self._feeds))
        feeds = self._feeds[market]
        line = _Line(socket, request, self._mimic_type(feeds, market), feeds, self._faults)
        self._lines.append(line)
        self.dialled += 1
        try:
            await line.serve(self._now_ns)
        finally:
            self._lines.remove(line)
        return socket

    async def _answer(self, request: web.Request) -> web.Response:
        """The body that one of the markets has for a plain request; 404 when none has one."""
        await self._answering.wait()
        content = await request.text()
        for market, mimic in self._mimics.items():
            tops = {f.symbol: self._stated[f.source] for f in self._feeds[market] if f.source in self._stated}
            body = mimic.rest(request.method, request.path_qs, self._now_ns(), tops, content)
            if body is not None:
                return web.Response(body=body, content_type="application/json")
        return web.Response(status=404)


class _Line:
    """One client's connection: what it asked for, what waits to be sent, and the Mimic that speaks to it."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        request: web.Request,
        mimic: base.Mimic,
        feeds: Sequence[base.Feed],
        faults: set[Kind],
    ) -> None:
        self._socket, self._request, self._mimic, self._faults = socket, request, mimic, faults
        self._own: set[Kind] = set()  # what befell this connection alone
        self._forgotten: dict[int, re.Pattern[str]] = {}
        self._unasked = {feed.source: _naming(feed.symbol) for feed in feeds}
        self._queue: asyncio.Queue[str | bytes] = asyncio.Queue(FRAMES_WAITING_MAX)
        self._held: list[str | bytes] = []
        self._beaten_ns = 0
        self._lost = False

    async def serve(self, now_ns: Callable[[], Nanos]) -> None:
        """Read what the client sends until it goes or is cut off."""
        self._beaten_ns = now_ns()
        self._notice(self._request.path_qs)
        self._answer(self._mimic.greet(self._request.path_qs, now_ns()))
        writer = asyncio.create_task(self._write())
        try:
            async for message in self._socket:
                if message.type is WSMsgType.TEXT:
                    self._notice(message.data)
                    self._answer(self._mimic.hear(message.data, now_ns()))
                elif message.type is WSMsgType.PING and not self._suffers(Kind.MUTE):
                    await self._socket.pong(message.data)
        except ConnectionError:
            pass  # the client went while it was answered
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    def say(self, fact: BookTop | Trade) -> None:
        """State a fact, if the client asked for its market."""
        unasked = fact.source in self._unasked or fact.source in self._forgotten
        if fact.source in self._mimic.symbols and not unasked and self._own.isdisjoint(DEAF):
            self.put(self._mimic.speak(as_stated(fact, self._mimic)))

    def beat(self, now_ns: Nanos) -> None:
        """Send the heartbeat, if one is due."""
        ping_ns = self._mimic.ping_ms * NANOS_PER_MS
        if ping_ns and now_ns - self._beaten_ns >= ping_ns and self._own.isdisjoint(DEAF):
            self._beaten_ns = now_ns
            frames = self._mimic.heartbeat(now_ns)
            self.put([frame for frame in frames if not any(n.search(_text(frame)) for n in self._unasked.values())])

    def put(self, frames: Sequence[str | bytes]) -> None:
        """Send frames when the client takes them; with DROP_HALF, every second one."""
        for frame in frames:
            if self._suffers(Kind.DROP_HALF):
                self._lost = not self._lost
                if self._lost:
                    continue
            if self._queue.full():
                self.abort()
                return
            self._queue.put_nowait(frame)

    def strike(self, fault: Kind, sources: Sequence[int]) -> None:
        """A fault befalls this connection alone, for good."""
        if fault is Kind.LOST:
            self._forget(sources)
            return
        self._own.add(fault)
        self.suffer(fault)

    def suffer(self, fault: Kind) -> None:
        """A fault of the line begins."""
        transport = self._transport()
        if fault is Kind.STALL and transport is not None:
            transport.pause_reading()
        elif fault is Kind.DISCONNECT:
            self.abort()
        elif fault is Kind.LOST:
            self._forget(())

    def recover(self, fault: Kind) -> None:
        """A fault of the line is over: what was held back is answered now."""
        transport = self._transport()
        if fault in self._own:
            return
        if fault is Kind.STALL and transport is not None:
            transport.resume_reading()
        elif fault is Kind.MUTE:
            held, self._held = self._held, []
            self.put(held)

    def abort(self) -> None:
        """End the connection without a closing frame."""
        if (transport := self._transport()) is not None:
            transport.abort()

    def _transport(self) -> asyncio.Transport | None:
        """Whatever the loop calls a transport: uvloop's is no subclass of asyncio's, and can do the same."""
        return self._request.transport

    def _answer(self, frames: Sequence[str | bytes]) -> None:
        if self._suffers(Kind.MUTE):
            self._held += frames
        else:
            self.put(frames)

    def _notice(self, text: str) -> None:
        """Remember which symbols a client named: from now on it is told about them."""
        for waiting in (self._unasked, self._forgotten):
            for source, naming in tuple(waiting.items()):
                if naming.search(text):
                    del waiting[source]

    def _forget(self, sources: Sequence[int]) -> None:
        """Forget that the client subscribed to these markets; none: to any."""
        for source, symbol in self._mimic.symbols.items():
            if not sources or source in sources:
                self._forgotten[source] = _naming(symbol)

    def _suffers(self, fault: Kind) -> bool:
        return fault in self._faults or fault in self._own

    async def _write(self) -> None:
        while True:
            frame = await self._queue.get()
            try:
                await (self._socket.send_str(frame) if isinstance(frame, str) else self._socket.send_bytes(frame))
            except ConnectionError:
                return


def as_stated(fact: BookTop | Trade, mimic: base.Mimic) -> BookTop | Trade:
    """The fact as this venue can state it: its event time in the venue's unit, and nothing that it does not state."""
    states_time = mimic.states_book_time if isinstance(fact, BookTop) else mimic.states_trade_time
    venue_ns = fact.venue_ns // mimic.time_unit_ns * mimic.time_unit_ns if states_time else 0
    unsaid = {"side": Side.UNKNOWN} if isinstance(fact, Trade) and not mimic.states_side else {}
    return msgspec.structs.replace(fact, venue_ns=venue_ns, **unsaid)


def _text(frame: str | bytes) -> str:
    return frame if isinstance(frame, str) else frame.decode("latin-1")


def _naming(symbol: str) -> re.Pattern[str]:
    """What names a symbol and no longer one: `BTC-USDT` is not named by `BTC-USDT-SWAP`."""
    return re.compile(rf"(?<![A-Za-z0-9-]){re.escape(symbol)}(?![A-Za-z0-9-])", re.IGNORECASE)
