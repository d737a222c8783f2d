"""Eight venues in a process of their own, on real sockets: frames made beforehand, sent at a pace, one a segment.

It prints the port of each venue, then obeys lines of JSON: `{"rate": 10000, "frames": 30000}` (rate 0: as fast as the
other side reads) is answered by `{}` when the frames are made; any line then has them sent, and what was sent and when
is the answer to that.

One venue is the beacon. Three others stay far below it and four above, one of them always at the same price, so the
median of eight is the mean of the beacon's price and that one: each price published tells which frame it came from.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from functools import partial

import msgspec
import uvloop
from picows import WSTransport, WSUpgradeRequest, ws_create_server

from oracle.core.types import BookTop
from oracle.simulator.markets import MARKETS, VENUES
from oracle.simulator.venue import as_stated
from oracle.venues.base import Feed, load
from tests.bench.common import PRICE
from tests.bench.door import Door

BEACON, STEADY = "binance", "coinbase"
CODES = 4_800  # prices of the beacon, one after another: as many of its frames can be told apart
CODE_STEP, REACH = 0.02, 50.0
LOW, HIGH = ("kraken", "bitstamp", "gemini"), ("bitfinex", "okx", "bybit")
BATCH = 32  # frames a send, where the pace is the reader's
SPIN_S = 0.00002  # a shorter wait is not slept; a longer one is, or the subscriber beside would be starved
IDLE_S = 0.02
ASKING_S = 0.3
MAKING_NS = 15_000  # about what it takes to make a frame
ALIVE_EVERY = 20_000


class Order(msgspec.Struct):
    """What to send."""

    rate: float
    frames: int


class Sent(msgspec.Struct):
    """What was sent: all frames, the seconds it took, how late the last frame was; of the beacon, code and time."""

    frames: int
    seconds: float
    late_s: float
    beacons: list[tuple[int, int]]


class Venue(Door):
    """One client of one venue."""

    def __init__(self, name: str, path: str) -> None:
        market = next(m for m in MARKETS if m.venue == name and m.asset == "BTC")
        _, mimic_type = load(name)
        super().__init__(mimic_type([Feed(0, market.symbol)], market.market), path)
        self.name = name
        self.said = 0
        self.line: socket.socket | None = None

    @property
    def speaks(self) -> bool:
        """Whether the client has asked for everything, as far as anyone can tell."""
        return self.line is not None and time.monotonic() - self._asked_s > ASKING_S

    def on_ws_connected(self, transport: WSTransport) -> None:
        number = transport.underlying_transport.get_extra_info("socket").fileno()
        self.line = socket.socket(fileno=os.dup(number))
        self.line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().on_ws_connected(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self.line is not None:
            self.line.close()
            self.line = None

    def next_frame(self, at_ns: int) -> tuple[int, bytes]:
        """What the venue says at that time, framed; of the beacon its code, of others -1."""
        self.said += 1
        code = self.said % CODES
        wander, half = self.said % 37 / 10, 0.05 + self.said % 3 / 100
        if self.name == BEACON:
            middle = PRICE - REACH + 2.0 + code * CODE_STEP
        elif self.name == STEADY:
            middle = PRICE + REACH
        else:
            middle = PRICE + REACH + 2.0 + wander if self.name in HIGH else PRICE - REACH - 2.0 - wander
        top = BookTop(0, middle - half, 0.25 + self.said % 11, middle + half, 1.5, at_ns, at_ns)
        texts = self.mimic.speak(as_stated(top, self.mimic))
        return code if self.name == BEACON else -1, b"".join(_framed(str(text).encode()) for text in texts)


def published(code: int) -> float:
    """The index that a frame of the beacon with this code makes."""
    middle: float = PRICE + 1.0 + code * CODE_STEP / 2
    return middle


def _framed(data: bytes) -> bytes:
    size = len(data)
    head = bytes((0x81, size)) if size < 126 else b"\x81\x7e" + size.to_bytes(2, "big")
    return head + data


def made(venues: list[Venue], order: Order) -> list[tuple[socket.socket, int, bytes]]:
    """The frames of an order, venues taking turns, stamped with about the time at which they will be sent.

    That takes a while, in which the first of them are sent now and then, so that no venue falls silent.
    """
    began_ns, gap_ns = time.time_ns() + order.frames * MAKING_NS, 1e9 / (order.rate or 100_000)
    out: deque[tuple[socket.socket, int, bytes]] = deque()
    for place in range(order.frames + order.frames // ALIVE_EVERY * len(venues)):
        venue = venues[place % len(venues)]
        code, data = venue.next_frame(began_ns + int(place * gap_ns))
        assert venue.line is not None
        out.append((venue.line, code, data))
        if place % ALIVE_EVERY == ALIVE_EVERY - 1:
            for _ in venues:
                line, _, data = out.popleft()
                _send(line, data)
    return list(out)


def paced(frames: list[tuple[socket.socket, int, bytes]], rate: float) -> Sent:
    """Send frame by frame at a rate."""
    beacons: list[tuple[int, int]] = []
    now, gap_s = time.perf_counter, 1.0 / rate
    began = now()
    for place, (line, code, data) in enumerate(frames):
        due = began + place * gap_s
        while (wait_s := due - now()) > 0.0:
            if wait_s > SPIN_S:
                time.sleep(wait_s - SPIN_S)
        if code >= 0:
            beacons.append((code, time.monotonic_ns()))
        _send(line, data)
    ended = now()
    return Sent(len(frames), ended - began, ended - began - len(frames) * gap_s, beacons)


def flooded(frames: list[tuple[socket.socket, int, bytes]]) -> Sent:
    """Send as fast as the other side reads, some frames at a time."""
    lines = list(dict.fromkeys(line for line, _, _ in frames))
    batches = {line: list(_batches([data for other, _, data in frames if other is line])) for line in lines}
    began = time.perf_counter()
    for place in range(max(map(len, batches.values()))):
        for line in lines:
            if place < len(batches[line]):
                _send(line, batches[line][place])
    return Sent(len(frames), time.perf_counter() - began, 0.0, [])


def _batches(frames: list[bytes]) -> Iterator[bytes]:
    return (b"".join(frames[place : place + BATCH]) for place in range(0, len(frames), BATCH))


def _send(line: socket.socket, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[line.send(view) :]
        except BlockingIOError:
            select.select([], [line], [])


async def main() -> None:
    """Open the doors, keep the sources alive, and obey."""
    here: dict[str, Venue] = {}

    def listen(name: str, request: WSUpgradeRequest) -> Venue:
        here[name] = Venue(name, request.path.decode())
        return here[name]

    ports = {}
    for name in VENUES:
        server = await ws_create_server(partial(listen, name), "127.0.0.1", 0)
        ports[name] = server.sockets[0].getsockname()[1]
    print(msgspec.json.encode(ports).decode(), flush=True)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    reading = asyncio.ensure_future(orders.readline())
    while True:
        venues = [venue for name in VENUES if (venue := here.get(name)) is not None and venue.speaks]
        if reading.done():
            if not (line := reading.result()):
                return
            order = msgspec.json.decode(line, type=Order)
            frames = made(venues, order)
            print("{}", flush=True)
            await orders.readline()
            sent = paced(frames, order.rate) if order.rate else flooded(frames)
            print(msgspec.json.encode(sent).decode(), flush=True)
            reading = asyncio.ensure_future(orders.readline())
        for venue in venues:
            assert venue.line is not None
            _send(venue.line, venue.next_frame(time.time_ns())[1])
        await asyncio.sleep(IDLE_S)


if __name__ == "__main__":
    uvloop.run(main())
