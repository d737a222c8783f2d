"""From a venue's frame to a subscriber: eight venues, the whole service as `oracle run` starts it, one subscriber.

Three processes on real sockets: the venues, the service (on a processor of its own where there is more than one) and,
here, a subscriber of /v1/stream. Latency is from just before a frame is sent until the update that it made is read; a
frame that a newer one of its source replaced before a beat counts until that newer one's update.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

import aiohttp
import msgspec
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from oracle.journal import keys
from tests.bench.common import Figure
from tests.bench.venues import CODES, Order, Sent, published

ROOT = Path(__file__).resolve().parents[2]
INSTRUMENT = "BTC-USD"
SETTLE_S = 0.4
START_S = 20.0
LOAD_S, FLOOD_FRAMES = 4, 400_000
MS, US = 1e6, 1e3
SETTINGS = """
[service]
port = {port}
data_dir = "{folder}"
beat_ms_min = 0
log_level = "error"
[metrics]
port = {metrics}
[limits]
stream_messages_max = 100000
stream_bytes_max = 268435456
[engine_feed]
enabled = false
[groups]
{groups}
[domains]
{groups}
[[index]]
id = "BTC-USD"
base = "BTC"
status = "TEST"
sources = [{sources}]
[index.rules.ladder]
warm_ms = 0
warm_degraded_ms = 0
[index.rules.source]
stale_ms_min = 20000
stale_ms_max = 30000
future_ms_max = 60000
[[perp]]
id = "BTC-USD-PERP"
index = "BTC-USD"
tick = "0.1"
{venues}
"""
SOURCES = {
    "coinbase": "coinbase:BTC-USD",
    "kraken": "kraken:BTC/USD",
    "bitstamp": "bitstamp:btcusd",
    "gemini": "gemini:BTCUSD",
    "bitfinex": "bitfinex:tBTCUSD",
    "binance": "binance:BTCUSDT=USD",
    "okx": "okx:BTC-USDT=USD",
    "bybit": "bybit:BTCUSDT=USD",
}


class Value(msgspec.Struct):
    """What the bench reads of an index."""

    price: str | None
    state: str
    n_groups: int


class Message(msgspec.Struct):
    """What the bench reads of a stream message."""

    type: str
    seq: int = 0
    index: Value | None = None


class Counted(NamedTuple):
    """What the service says of itself, and the processor time it used, in s."""

    frames: float
    beats: float
    dropped: float
    cpu_s: float


class Run(NamedTuple):
    """One load: what was sent, what was heard and when, and what the service did with it."""

    sent: Sent
    heard: list[tuple[int, bytes]]
    handled: Counted
    drained_s: float


def bench(quick: bool) -> list[Figure]:
    """Latency at three rates, and what a flood makes of it."""
    return asyncio.run(_bench(quick))


async def _bench(quick: bool) -> list[Figure]:
    figures: list[Figure] = []
    async with _standing() as rig:
        for rate in (1_000,) if quick else (1_000, 10_000, 50_000):
            figures += _paced(rate, await rig.load(rate, int(rate * (0.4 if quick else LOAD_S))))
        figures += _flooded(await rig.load(0, 4_000 if quick else FLOOD_FRAMES))
    return figures


def _paced(rate: int, run: Run) -> list[Figure]:
    name = f"{rate:,} frames/s"
    delays, gaps = _delays(run)
    cuts = quantiles(delays, n=1000, method="inclusive")
    conflated = 1.0 - run.handled.beats / run.handled.frames
    kept = f"{run.handled.frames / run.sent.seconds:,.0f} handled/s, {conflated:.0%} conflated, sender late "
    kept += f"{run.sent.late_s * 1e3:.0f} ms, drained in {run.drained_s * 1e3:.0f} ms, {gaps} seq gaps"
    busy = run.handled.cpu_s / (run.sent.seconds + run.drained_s)
    return [
        Figure("wire", f"wire to published, p50 at {name}", cuts[499] / US, "µs", f"{min(delays) / US:.0f}"),
        Figure(
            "wire", f"wire to published, p99 at {name}", cuts[989] / US, "µs", "", f"p99.9 {cuts[998] / US:,.0f} µs"
        ),
        Figure("wire", f"processor used at {name}", busy * 100, "%", "", kept),
        Figure("wire", f"processor time at {name}", run.handled.cpu_s / run.handled.beats * 1e6, "µs a beat"),
    ]


def _flooded(run: Run) -> list[Figure]:
    """How many frames a second the service takes when it is given as many as it can."""
    seconds = run.sent.seconds + run.drained_s
    _, gaps = _delays(run)
    beats, frames = run.handled.beats, run.handled.frames
    kept = f"{frames:,.0f} of {run.sent.frames:,} frames, {beats:,.0f} beats, {gaps} seq gaps, "
    kept += f"drained in {run.drained_s * 1e3:.0f} ms"
    return [
        Figure("wire", "flooded, one core", frames / seconds, "frames/s", "", kept),
        Figure("wire", "flooded, a second of its processor", frames / run.handled.cpu_s, "frames/s"),
    ]


def _delays(run: Run) -> tuple[list[float], int]:
    """ns from each beacon until it, or a newer one, was heard; and how many seqs the stream left out."""
    prices = {f"{published(code):.2f}": code for code, _ in run.sent.beacons}
    waiting = run.sent.beacons
    at, gaps, last = 0, 0, 0
    delays: list[float] = []
    decode = msgspec.json.Decoder(Message).decode
    for heard_ns, data in run.heard:
        message = decode(data)
        if message.type != "value" or message.index is None:
            continue
        gaps += bool(last) and message.seq != last + 1
        last = message.seq
        code = prices.get(message.index.price or "") if message.index.n_groups == len(SOURCES) else None
        if code is None or at == len(waiting):
            continue
        found = at + (code - waiting[at][0]) % CODES  # the beacon counts, so its next frame with this code is that one
        if found < len(waiting) and waiting[found][1] < heard_ns:
            delays += [heard_ns - sent_ns for _, sent_ns in waiting[at : found + 1]]
            at = found + 1
    return delays, gaps


class _Rig:
    """The three processes, standing."""

    def __init__(self, venues: Process, service: Process, metrics: int, ear: _Ear) -> None:
        self._venues, self._service, self._metrics, self._ear = venues, service, metrics, ear

    async def load(self, rate: float, frames: int) -> Run:
        """Give the service so many frames and see what becomes of them."""
        assert self._venues.stdin is not None
        assert self._venues.stdout is not None
        await asyncio.sleep(SETTLE_S)
        self._venues.stdin.write(msgspec.json.encode(Order(rate, frames)) + b"\n")
        await self._venues.stdout.readline()
        before = await self._counted()
        self._ear.heard.clear()
        self._venues.stdin.write(b"go\n")
        sent = msgspec.json.decode(await self._venues.stdout.readline(), type=Sent)
        began = time.perf_counter()
        while (after := await self._counted()).frames - before.frames < sent.frames:
            if time.perf_counter() - began > 10.0:
                break
        drained_s = time.perf_counter() - began
        await asyncio.sleep(SETTLE_S)
        handled = Counted(*(now - then for now, then in zip(after, before, strict=True)))
        return Run(sent, list(self._ear.heard), handled, drained_s)

    async def _counted(self) -> Counted:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self._metrics}/metrics") as answer,
        ):
            text = await answer.text()
        sums: dict[str, float] = {}
        for line in text.splitlines():
            name, _, value = line.partition(" ") if "{" not in line else (*line.partition("{")[:2], line.split()[-1])
            if not line.startswith("#"):
                sums[name] = sums.get(name, 0.0) + float(value)
        return Counted(
            sums["oracle_source_frames_total"],
            sums["oracle_engine_beats_total"],
            sums["oracle_engine_dropped_total"],
            _processor_s(self._service.pid),
        )


class _Ear(WSListener):
    """The subscriber: notes when each message came."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, bytes]] = []

    def on_ws_connected(self, transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, msgspec.json.encode({"op": "subscribe", "instruments": [INSTRUMENT]}))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            self.heard.append((time.monotonic_ns(), frame.get_payload_as_bytes()))
        elif frame.msg_type == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())


@asynccontextmanager
async def _standing() -> AsyncIterator[_Rig]:
    with tempfile.TemporaryDirectory(prefix="oracle-bench-") as name:
        folder, (port, metrics) = Path(name), _free_ports(2)
        keys.save_private(keys.generate(), folder / "signing.key")
        venues = await _spawn("-m", "tests.bench.venues", stdin=PIPE, stdout=PIPE, processor=1)
        assert venues.stdout is not None
        ports = msgspec.json.decode(await venues.stdout.readline(), type=dict[str, int])
        (folder / "bench.toml").write_text(_settings(folder, port, metrics, ports), encoding="utf-8")
        service = await _spawn("-m", "oracle", "run", "--config", str(folder / "bench.toml"), processor=0)
        transport = None
        try:
            transport, ear = await _subscribed(port)
            await _ready(ear)
            yield _Rig(venues, service, metrics, ear)
        finally:
            if transport is not None:
                transport.disconnect()
                await transport.wait_disconnected()
            for process in (service, venues):
                with suppress(ProcessLookupError):
                    process.terminate()
                await process.wait()


def _settings(folder: Path, port: int, metrics: int, ports: dict[str, int]) -> str:
    return SETTINGS.format(
        port=port,
        metrics=metrics,
        folder=folder,
        groups="\n".join(f'{venue} = "{venue}"' for venue in SOURCES),
        sources=", ".join(f'"{source}"' for source in SOURCES.values()),
        venues="\n".join(f'[venues.{venue}]\nurl = "ws://127.0.0.1:{ports[venue]}"' for venue in SOURCES),
    )


async def _spawn(*arguments: str, stdin: int | None = None, stdout: int | None = None, processor: int = 0) -> Process:
    """A Python process on one processor."""
    made = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdin=stdin, stdout=stdout, cwd=ROOT, limit=1 << 26
    )
    if hasattr(os, "sched_setaffinity"):
        here = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(made.pid, {here[processor % len(here)]})
    return made


def _processor_s(pid: int) -> float:
    """Processor time that a process has used."""
    spent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(spent[11]) + int(spent[12])) / os.sysconf("SC_CLK_TCK")


async def _subscribed(port: int) -> tuple[WSTransport, _Ear]:
    deadline = time.monotonic() + START_S
    while True:
        try:
            transport, listener = await ws_connect(_Ear, f"ws://127.0.0.1:{port}/v1/stream")
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
        else:
            assert isinstance(listener, _Ear)
            return transport, listener


async def _ready(ear: _Ear) -> None:
    """Wait until every venue votes."""
    decode = msgspec.json.Decoder(Message).decode
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        await asyncio.sleep(0.1)
        heard = [decode(data) for _, data in ear.heard[-4:]]
        if any(message.index is not None and message.index.n_groups == len(SOURCES) for message in heard):
            return
    raise TimeoutError(f"not all venues vote after {START_S} s: {ear.heard[-1:]}")


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    found = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return found
