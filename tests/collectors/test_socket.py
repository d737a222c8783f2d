"""The three libraries behind the socket behave alike, on real connections over loopback."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import pytest
import websockets.asyncio.server as ws
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from oracle.collectors.socket import RECEIVE_BUFFER_BYTES, Socket, connect, refused_by
from oracle.errors import LineError, Refusal

LIBRARIES = ["picows", "aiohttp", "websockets"]
FRAME_BYTES_MAX = 1_000
pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("library", LIBRARIES)]
Peer = Callable[[ws.ServerConnection], Awaitable[None]]


class Ear:
    """A handler that remembers."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.refused: list[Refusal] = []
        self.closed: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        self.heard = asyncio.Event()

    def on_frame(self, data: bytes) -> None:
        self.frames.append(data)
        self.heard.set()

    def on_refused(self, reason: Refusal) -> None:
        self.refused.append(reason)

    def on_close(self, code: int, reason: str) -> None:
        self.closed.set_result((code, reason))


@asynccontextmanager
async def venue(peer: Peer, **options: object) -> AsyncIterator[str]:
    """A venue on loopback that treats each client as `peer` does."""

    async def treat(line: ws.ServerConnection) -> None:
        try:
            await peer(line)
        except ConnectionClosed:
            return

    async with ws.serve(treat, "127.0.0.1", 0, **options) as server:  # type: ignore[arg-type]
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/feed?x=1"


@asynccontextmanager
async def raw(peer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """A server of bare bytes, which takes one client and ends with it."""
    over = asyncio.Event()

    async def treat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer(reader, writer)
        writer.close()
        await writer.wait_closed()
        over.set()

    server = await asyncio.start_server(treat, "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        await over.wait()


async def open_to(url: str, ear: Ear, library: str, **options: object) -> Socket:
    return await connect(url, ear, frame_bytes_max=FRAME_BYTES_MAX, library=library, **options)  # type: ignore[arg-type]


async def test_text_binary_and_fragments_arrive_whole_as_bytes(library: str) -> None:
    async def peer(line: ws.ServerConnection) -> None:
        assert line.request is not None
        await line.send(line.request.path)
        await line.send(b"\x1f\x8b")
        await line.send(["a", "b", "ć"])
        await line.send("x" * FRAME_BYTES_MAX)
        assert await line.recv() == "bye"
        await line.close(4001, "we are done")

    async with venue(peer) as url:
        ear = Ear()
        line = await open_to(url, ear, library)
        line.send("bye")
        assert await ear.closed == (4001, "we are done")
        await line.close()
        line.send("into the void")
    assert ear.frames == [b"/feed?x=1", b"\x1f\x8b", "abć".encode(), b"x" * FRAME_BYTES_MAX]
    assert ear.refused == []


@pytest.mark.parametrize("message", ["x" * (FRAME_BYTES_MAX + 1), ["x" * 400, "y" * 400, "z" * 400]])
async def test_an_oversized_message_is_refused_and_ends_the_connection_with_1009(
    library: str, message: str | list[str]
) -> None:
    seen: list[int | None] = []

    async def peer(line: ws.ServerConnection) -> None:
        await line.send(message)
        await line.wait_closed()
        seen.append(line.close_code)

    async with venue(peer) as url:
        ear = Ear()
        line = await open_to(url, ear, library)
        code, _ = await ear.closed
        await line.close()
    assert (code, ear.refused, ear.frames, seen) == (1009, [Refusal.TOO_LARGE], [], [1009])


async def test_pings_are_answered(library: str) -> None:
    async def peer(line: ws.ServerConnection) -> None:
        await (await line.ping())
        await line.send("the pong came")
        await line.wait_closed()

    async with venue(peer) as url:
        ear = Ear()
        line = await open_to(url, ear, library)
        await ear.heard.wait()
        await line.close()
    assert ear.frames == [b"the pong came"]
    assert (await ear.closed)[0] == 1000


async def test_a_line_that_is_cut_ends_with_1006(library: str) -> None:
    async def peer(line: ws.ServerConnection) -> None:
        line.transport.abort()

    async with venue(peer) as url:
        ear = Ear()
        line = await open_to(url, ear, library)
        assert (await ear.closed)[0] == 1006
        await line.close()


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (HTTPStatus.FOUND, "REDIRECT"),
        (HTTPStatus.TOO_MANY_REQUESTS, "RATE_LIMITED"),
        (HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS, "BLOCKED"),
        (HTTPStatus.BAD_GATEWAY, "UNAVAILABLE"),
        (HTTPStatus.NOT_FOUND, "REFUSED"),
    ],
)
async def test_a_venue_that_answers_otherwise_is_named(library: str, status: HTTPStatus, reason: str) -> None:
    def answer(line: ws.ServerConnection, request: Request) -> Response:
        response = line.respond(status, "")
        response.headers["Retry-After"] = "7"
        if reason == "REDIRECT":
            response.headers["Location"] = "/elsewhere"
        assert request.path != "/elsewhere", "a redirect was followed"
        return response

    async def never(line: ws.ServerConnection) -> None:
        raise AssertionError("no client gets here")

    async with venue(never, process_request=answer) as url:
        with pytest.raises(LineError) as caught:
            await open_to(url, Ear(), library)
    assert (caught.value.reason, caught.value.status) == (reason, int(status))
    assert caught.value.retry_after_s == (0.0 if reason == "REDIRECT" and library == "aiohttp" else 7.0)


async def test_a_venue_that_does_not_answer_is_given_up_in_time(library: str) -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw(mute) as url:
        with pytest.raises(LineError, match="TIMEOUT"):
            await open_to(url, Ear(), library, timeout_s=0.05)
    with pytest.raises(LineError, match="UNREACHABLE"):
        await open_to(url, Ear(), library)


async def test_a_certificate_nobody_vouches_for_is_refused(library: str, tmp_path: Path) -> None:
    async def peer(line: ws.ServerConnection) -> None:
        await line.send("hello")
        await line.wait_closed()

    server, trusting = _certificate(tmp_path)
    async with venue(peer, ssl=server) as url:
        secure = url.replace("ws:", "wss:").replace("127.0.0.1", "localhost")
        with pytest.raises(LineError, match=r"TLS|CERTIFICATE"):
            await open_to(secure, Ear(), library)
        ear = Ear()
        line = await open_to(secure, ear, library, tls=trusting)
        await ear.heard.wait()
        await line.close()
    assert ear.frames == [b"hello"]


async def test_compression_is_not_offered_nor_taken(library: str) -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        assert b"extensions" not in request.lower()
        key = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
        writer.write(_upgrade(key.split(b": ")[1]) + b"\xc1\x02ab")  # RSV1 set: a compressed frame
        await reader.read(100)  # the goodbye

    async with raw(peer) as url:
        ear = Ear()
        line = await open_to(url, ear, library)
        await ear.closed
        await line.close()
    assert (ear.frames, ear.refused) == ([], [Refusal.WRONG_SHAPE])


async def test_a_flood_does_not_starve_the_loop(library: str) -> None:
    frame = bytes([0x82, 126, 0, 200]) + b"x" * 200
    frames, turns = 30_000, 0

    async def peer(line: ws.ServerConnection) -> None:
        for _ in range(frames // 500):
            line.transport.write(frame * 500)
            await asyncio.sleep(0)
        await line.send("end")
        await line.wait_closed()

    async def turn() -> None:
        nonlocal turns
        heard = 0
        while not ear.frames or ear.frames[-1] != b"end":  # the turns of the loop are what is counted
            turns += 1
            most.append(len(ear.frames) - heard)
            heard = len(ear.frames)
            await asyncio.sleep(0)

    async with venue(peer) as url:
        ear, most = Ear(), [0]
        line = await open_to(url, ear, library)
        await turn()
        await line.close()
    assert len(ear.frames) == frames + 1
    assert max(most) <= 2 * RECEIVE_BUFFER_BYTES // len(frame) * 4


def _upgrade(key: bytes) -> bytes:
    from base64 import b64encode
    from hashlib import sha1

    accept = b64encode(sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def _certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate of its own making, and a client's that trusts it."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "venue.pem", folder / "venue.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem, secret)
    return server, ssl.create_default_context(cafile=str(pem))


def test_retry_after_is_taken_in_seconds_only_and_is_bounded(library: str) -> None:
    assert refused_by(429, "30").retry_after_s == 30.0
    assert refused_by(429, "999999").retry_after_s == 600.0
    assert refused_by(503, "Wed, 21 Oct 2026 07:28:00 GMT").retry_after_s == 0.0
    assert refused_by(418, None).reason == "BANNED"


async def test_a_paused_line_hands_over_nothing_until_it_is_resumed(library: str) -> None:
    asked = asyncio.Event()

    async def peer(line: ws.ServerConnection) -> None:
        await asked.wait()
        await line.send("one")
        await line.wait_closed()

    async with venue(peer) as url:
        ear = Ear()
        line = await connect(url, ear, frame_bytes_max=FRAME_BYTES_MAX, library=library)
        if library != "picows":
            assert not hasattr(line, "pause"), "the other two bound what they take in by themselves"
            asked.set()
            await line.close()
            return
        line.pause()  # type: ignore[attr-defined]
        asked.set()
        await asyncio.sleep(0.05)
        assert ear.frames == []
        line.resume()  # type: ignore[attr-defined]
        async with asyncio.timeout(5):
            await ear.heard.wait()
        assert ear.frames == [b"one"]
        await line.close()
        line.pause()  # type: ignore[attr-defined]
        line.resume()  # type: ignore[attr-defined]
