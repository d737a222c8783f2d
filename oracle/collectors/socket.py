"""How bytes come from a venue: one small interface over three WebSocket libraries.

`picows` is the fast one and the default; `aiohttp` serves behind an HTTP proxy or where picows cannot be installed;
`websockets` is the reference that the other two are checked against. Whatever the library: certificates are verified,
redirects are refused, proxies from the environment are ignored, compression is not offered (it costs more than the
bytes it saves, and there is no bomb to defuse), pings are answered, fragments are joined, and a message above
`frame_bytes_max` ends the connection with 1009.

One venue that floods must not starve the others: the kernel's receive buffer bounds what one turn of the loop can be
handed by one connection, and TCP slows the venue down.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Protocol

import aiohttp
import picows
import websockets.asyncio.client as ws
from picows import WSCloseCode, WSMsgType
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from oracle.errors import LineError, Refusal

DIAL_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
RECEIVE_BUFFER_BYTES = 128 << 10  # the kernel doubles it; some thousand frames, a few milliseconds of work
SENDS_MAX = 1_024  # messages that wait for a venue which does not read
TOO_BIG = 1009
PROTOCOL_BROKEN = 1002
LOST = 1006  # no closing handshake
CLOSED = 1000
HTTP_RATE_LIMITED, HTTP_BANNED = 429, 418
RETRY_AFTER_S_MAX = 600.0


class Handler(Protocol):
    """What a connection is opened for. All calls come from the event loop; `on_close` is the last, and comes once."""

    def on_frame(self, data: bytes) -> None:
        """A whole message, text or binary, as it was sent."""
        ...

    def on_refused(self, reason: Refusal) -> None:
        """A message was refused before it was whole; the connection ends."""
        ...

    def on_close(self, code: int, reason: str) -> None:
        """The connection is over: the peer's close code, or ours when we refused, or 1006."""
        ...


class Socket(Protocol):
    """An open connection."""

    def send(self, text: str) -> None:
        """Send a text message. Without effect once the connection is over. Raises LineError when too many wait."""
        ...

    async def close(self) -> None:
        """Say goodbye and wait, a little, until `on_close` was called. Harmless when it is over already."""
        ...


async def connect(
    url: str,
    handler: Handler,
    *,
    frame_bytes_max: int,
    tls: ssl.SSLContext | None = None,
    timeout_s: float = DIAL_TIMEOUT_S,
    proxy: str | None = None,
    library: str = "picows",
) -> Socket:
    """Open a connection. `tls` None: the system's roots. Raises LineError when it cannot be opened in time."""
    if proxy:
        library = "aiohttp"
    dial: Coroutine[Any, Any, Socket]
    if library == "picows":
        dial = _connect_picows(url, handler, frame_bytes_max, tls, timeout_s)
        timeout_s *= 2  # picows leaks a connection whose handshake is cancelled, so it has to end the wait itself
    elif library == "aiohttp":
        dial = _connect_aiohttp(url, handler, frame_bytes_max, tls, proxy)
    else:
        dial = _connect_websockets(url, handler, frame_bytes_max, tls)
    try:
        async with asyncio.timeout(timeout_s):
            return await dial
    except TimeoutError:
        raise LineError("TIMEOUT", "no connection in time") from None
    except ssl.SSLError as error:
        raise LineError("TLS", str(error)[:200]) from error
    except (OSError, aiohttp.ClientError, InvalidHandshake, picows.WSError, ValueError) as error:
        raise LineError("UNREACHABLE", f"{type(error).__name__}: {error}"[:200]) from error


def refused_by(status: int, retry_after: str | None, detail: str = "") -> LineError:
    """The error for an HTTP status that is not the wanted one; Retry-After is honoured when it is in seconds."""
    reason = {HTTP_RATE_LIMITED: "RATE_LIMITED", HTTP_BANNED: "BANNED", 403: "BLOCKED", 451: "BLOCKED"}.get(status)
    if reason is None:
        reason = "REDIRECT" if 300 <= status < 400 else "UNAVAILABLE" if status >= 500 else "REFUSED"
    asked_s = float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else 0.0
    text = f"HTTP {status} {detail}".rstrip()[:200]
    return LineError(reason, text, status=status, retry_after_s=min(asked_s, RETRY_AFTER_S_MAX))


async def _connect_picows(
    url: str, handler: Handler, frame_bytes_max: int, tls: ssl.SSLContext | None, timeout_s: float
) -> Socket:
    try:
        _, listener = await picows.ws_connect(
            lambda: _Picows(handler, frame_bytes_max),
            url,
            ssl_context=tls,
            websocket_handshake_timeout=timeout_s,
            max_frame_size=frame_bytes_max,
            max_redirects=0,
        )
    except picows.WSHandshakeError as error:
        if error.response is None:
            raise
        raise refused_by(int(error.response.status), error.response.headers.get("Retry-After")) from error
    assert isinstance(listener, _Picows)
    return listener


class _Picows(picows.WSListener):
    def __init__(self, handler: Handler, frame_bytes_max: int) -> None:
        self._handler, self._frame_bytes_max = handler, frame_bytes_max
        self._on_frame = handler.on_frame
        self._parts: list[bytes] = []
        self._parts_bytes = 0

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._transport = transport
        _bound_turn(transport.underlying_transport.get_extra_info("socket"))
        self._ending = asyncio.get_running_loop().create_task(self._end())

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        kind = frame.msg_type
        if transport.is_close_frame_sent:
            return  # nothing counts after we said goodbye
        if frame.rsv1 and kind != WSMsgType.CLOSE:
            raise picows.WSProtocolError(WSCloseCode.PROTOCOL_ERROR, "compression was not negotiated")
        if kind == WSMsgType.TEXT or kind == WSMsgType.BINARY:
            if self._parts:
                raise picows.WSProtocolError(WSCloseCode.PROTOCOL_ERROR, "a message inside another")
            if frame.fin:
                self._on_frame(frame.get_payload_as_bytes())
            else:
                self._join(frame)
        elif kind == WSMsgType.CONTINUATION:
            if not self._parts:
                raise picows.WSProtocolError(WSCloseCode.PROTOCOL_ERROR, "the rest of nothing")
            self._join(frame)
        elif kind == WSMsgType.CLOSE:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()

    def send(self, text: str) -> None:
        if not self._transport.is_disconnected:
            self._transport.send(WSMsgType.TEXT, text)

    def pause(self) -> None:
        """Let the venue's bytes wait in the network until `resume`."""
        if not self._transport.is_disconnected:
            self._transport.underlying_transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if not self._transport.is_disconnected:
            self._transport.underlying_transport.resume_reading()

    async def close(self) -> None:
        if not self._transport.is_disconnected:
            self._transport.send_close(WSCloseCode.OK)
            self._transport.disconnect()
        done, _ = await asyncio.wait({self._ending}, timeout=CLOSE_TIMEOUT_S)
        if not done:
            self._transport.disconnect(False)
            await self._ending

    def _join(self, frame: picows.WSFrame) -> None:
        self._parts_bytes += frame.payload_size
        if self._parts_bytes > self._frame_bytes_max:
            raise picows.WSProtocolError(WSCloseCode.MESSAGE_TOO_BIG, "a message in too many parts")
        self._parts.append(frame.get_payload_as_bytes())
        if frame.fin:
            whole = b"".join(self._parts)
            self._parts, self._parts_bytes = [], 0
            self._on_frame(whole)

    async def _end(self) -> None:
        code, reason = LOST, ""
        try:
            await self._transport.wait_disconnected()
        except picows.WSProtocolError as error:
            code, reason = _number(error.code), str(error)
            self._handler.on_refused(Refusal.TOO_LARGE if code == TOO_BIG else Refusal.WRONG_SHAPE)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        else:
            shake = self._transport.close_handshake
            if shake is not None and shake.recv is not None:
                code, reason = _number(shake.recv.code), shake.recv.reason
            elif shake is not None and shake.sent is not None:
                code = _number(shake.sent.code)
        self._handler.on_close(code, reason)


def _number(code: object) -> int:
    """A close code outside the enumeration comes as a plain integer."""
    return int(getattr(code, "value", code))  # type: ignore[call-overload, no-any-return]


async def _connect_aiohttp(
    url: str, handler: Handler, frame_bytes_max: int, tls: ssl.SSLContext | None, proxy: str | None
) -> Socket:
    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_no_redirect)
    session = aiohttp.ClientSession(trace_configs=[trace], trust_env=False)
    try:
        line = await session.ws_connect(
            url,
            max_msg_size=frame_bytes_max + 1,  # aiohttp refuses what is not below the bound
            compress=0,
            ssl=tls or True,
            proxy=proxy,
            timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S),
        )
    except aiohttp.WSServerHandshakeError as error:
        await session.close()
        raise refused_by(error.status, error.headers.get("Retry-After") if error.headers else None) from error
    except BaseException:
        await session.close()
        raise
    _bound_turn(line.get_extra_info("socket"))
    return _Aiohttp(session, line, handler)


async def _no_redirect(_session: object, _context: object, params: aiohttp.TraceRequestRedirectParams) -> None:
    raise refused_by(params.response.status, None)


class _Aiohttp:
    def __init__(self, session: aiohttp.ClientSession, line: aiohttp.ClientWebSocketResponse, handler: Handler) -> None:
        self._session, self._line = session, line
        self._sender = _Sender(line.send_str)
        self._reading = asyncio.get_running_loop().create_task(self._read(handler))

    def send(self, text: str) -> None:
        self._sender.send(text)

    async def close(self) -> None:
        await self._line.close()
        await self._reading

    async def _read(self, handler: Handler) -> None:
        reason = ""
        broken: object = None
        try:
            while not self._line.closed:
                message = await self._line.receive()
                if message.type is aiohttp.WSMsgType.TEXT:
                    handler.on_frame(message.data.encode())
                elif message.type is aiohttp.WSMsgType.BINARY:
                    handler.on_frame(message.data)
                elif message.type is aiohttp.WSMsgType.CLOSE:
                    reason = message.extra or ""
                elif message.type is aiohttp.WSMsgType.ERROR:
                    broken = message.data
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        finally:
            self._sender.stop()
            await self._line.close()
            await self._session.close()
        code = int(self._line.close_code or LOST)
        if isinstance(broken, aiohttp.WebSocketError):
            code, reason = int(broken.code), str(broken)
            handler.on_refused(Refusal.TOO_LARGE if code == TOO_BIG else Refusal.WRONG_SHAPE)
        handler.on_close(code, reason)


async def _connect_websockets(url: str, handler: Handler, frame_bytes_max: int, tls: ssl.SSLContext | None) -> Socket:
    try:
        line = await _Straight(
            url,
            max_size=frame_bytes_max,
            compression=None,
            ping_interval=None,
            proxy=None,
            open_timeout=None,
            close_timeout=CLOSE_TIMEOUT_S,
            ssl=tls or (ssl.create_default_context() if url.startswith("wss:") else None),
        )
    except InvalidStatus as error:
        raise refused_by(error.response.status_code, error.response.headers.get("Retry-After")) from error
    _bound_turn(line.transport.get_extra_info("socket"))
    return _Websockets(line, handler)


class _Straight(ws.connect):
    """Follows no redirect."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class _Websockets:
    def __init__(self, line: ws.ClientConnection, handler: Handler) -> None:
        self._line = line
        self._sender = _Sender(line.send)
        self._reading = asyncio.get_running_loop().create_task(self._read(handler))

    def send(self, text: str) -> None:
        self._sender.send(text)

    async def close(self) -> None:
        await self._line.close()
        await self._reading

    async def _read(self, handler: Handler) -> None:
        code, reason = LOST, ""
        try:
            while True:
                handler.on_frame(await self._line.recv(decode=False))
        except ConnectionClosed as error:
            ours, theirs = error.sent, error.rcvd
            if ours is not None and ours.code in (TOO_BIG, PROTOCOL_BROKEN) and not error.rcvd_then_sent:
                code, reason = ours.code, ours.reason
                handler.on_refused(Refusal.TOO_LARGE if code == TOO_BIG else Refusal.WRONG_SHAPE)
            elif theirs is not None or ours is not None:
                code, reason = (theirs or ours).code, (theirs or ours).reason  # type: ignore[union-attr]
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            await self._line.close()
        self._sender.stop()
        handler.on_close(code, reason)


class _Sender:
    """Sends in order, from code that does not wait, through a library whose `send` is a coroutine."""

    def __init__(self, send: Callable[[str], Coroutine[Any, Any, None]]) -> None:
        self._send = send
        self._queue: asyncio.Queue[str] = asyncio.Queue(SENDS_MAX)
        self._task = asyncio.get_running_loop().create_task(self._run())

    def send(self, text: str) -> None:
        try:
            self._queue.put_nowait(text)
        except asyncio.QueueFull:
            raise LineError("UNREACHABLE", f"{SENDS_MAX} messages wait: the venue does not read") from None

    def stop(self) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        with suppress(ConnectionError, ConnectionClosed):  # the reader tells how the connection ended
            while True:
                await self._send(await self._queue.get())


def _bound_turn(line: socket.socket | None) -> None:
    if line is not None:
        with suppress(OSError, AttributeError, ValueError):  # closed already, as asyncio and as uvloop say it
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
