"""What plays recordings to the whole service: tapes that are re-timed as they start, their venues, and settings.

Re-timing. A frame received at r is played at W + (r − r0) / speed, where W is the wall clock as its tape starts and r0
the first frame's time. An event time e in its text becomes W + skew + (e − r0 − skew) / speed: the offset of the two
clocks (`skew`, 0 where they agreed) is kept as it was, every delay beside it shrinks with the pace, and no two events
change places. At speed 1 all times move by one constant. A frame that states no time is played as it was recorded.
Nothing but digits of the venue's own time fields is touched.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any, ClassVar, overload

import aiohttp

from oracle import config
from oracle.app import Running
from oracle.client.sender import Sender
from oracle.collectors.tape import Direction, Frame, read
from oracle.config import Settings
from oracle.core.types import BookTop, Depth, Nanos, Trade
from oracle.errors import VenueError
from oracle.journal import keys
from oracle.journal.verify import verify
from oracle.simulator.tape import TURN_FRAMES
from oracle.venues import base
from tests.e2e.frames import DEPTH

LATE_S = 0.1  # a machine that cannot keep the pace
FEED_KEY, FEED_SECRET = "platform", "5a" * 32
NS_PER_UNIT = {10: 10**9, 13: 10**6, 16: 10**3, 19: 1}  # of a unix time, by its digits
UNIX = re.compile(rb'("(?:E|T|ts|timestamp|microtimestamp)":\s*"?)(\d{10,19})(?=["},])')
RFC3339 = re.compile(rb'("time":")(\d{4}-[^"]+Z)(?=")')
KRAKEN = re.compile(rb'(")(\d{10}\.\d{6})(?=")')
Shift = Callable[[Nanos], Nanos]


def retimed(data: bytes, shift: Shift) -> bytes:
    """The frame with every event time in it shifted, in the unit and with the digits it had."""

    def unix(match: re.Match[bytes]) -> bytes:
        unit = NS_PER_UNIT[len(match[2])]
        return match[1] + b"%d" % (shift(int(match[2]) * unit) // unit)

    def iso(match: re.Match[bytes]) -> bytes:
        at = datetime.fromisoformat(match[2].decode())
        moved = shift(int(at.timestamp()) * 10**9 + at.microsecond * 1000) // 1000
        return match[1] + f"{datetime.fromtimestamp(moved / 10**6, UTC):%Y-%m-%dT%H:%M:%S.%f}Z".encode()

    def seconds(match: re.Match[bytes]) -> bytes:
        moved = shift(int(match[2].replace(b".", b"")) * 1000) // 1000
        return match[1] + b"%d.%06d" % divmod(moved, 10**6)

    return KRAKEN.sub(seconds, RFC3339.sub(iso, UNIX.sub(unix, data)))


class Tape(Sequence[tuple[int, bytes]]):
    """Frames by the time since the first, re-timed when they begin to be played; `played` keeps each as it was sent."""

    def __init__(
        self, frames: Sequence[Frame], speed: float, *, skew_ns: int = 0, began_ns: Nanos = 0, until_ns: int = 1 << 62
    ) -> None:
        self.began_ns = began_ns or frames[0].recv_ns
        self.frames = [frame for frame in frames if frame.recv_ns - self.began_ns <= until_ns]
        self.speed, self.skew_ns = speed, skew_ns
        self.wall_ns = 0
        self.played: list[bytes] = []

    def shift(self, at_ns: Nanos) -> Nanos:
        """A recorded event time as it is played."""
        return self.wall_ns + self.skew_ns + int((at_ns - self.began_ns - self.skew_ns) / self.speed)

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        self.wall_ns = time.time_ns()
        for frame in self.frames:
            data = retimed(frame.data, self.shift)
            self.played.append(data)
            yield frame.recv_ns - self.began_ns, data

    def __len__(self) -> int:
        return len(self.frames)

    @overload
    def __getitem__(self, place: int) -> tuple[int, bytes]: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[tuple[int, bytes]]: ...
    def __getitem__(self, place: int | slice) -> Any:
        return list(self)[place]


def received(*paths: Path) -> list[Frame]:
    """The received frames of recordings, in the order of their times."""
    frames = [frame for path in paths for frame in read(path) if frame.direction is Direction.RECEIVED]
    return sorted(frames, key=lambda frame: frame.recv_ns)


class Recorded(base.Session):
    """A venue as it was recorded: its frames go to the Session that the venue's own file chooses by the address."""

    module: ClassVar[Any]
    address: ClassVar[str]

    def __init__(self, feeds: Sequence[base.Feed], market: str = "spot") -> None:
        super().__init__(feeds, market)
        self._inner: base.Session = self.module.session_for(self.address, feeds, market)
        vars(self)["frame_bytes_max"] = self._inner.frame_bytes_max

    def url(self) -> str:
        return self._inner.url()

    def open(self) -> list[base.Send]:
        return self._inner.open()

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        return self._inner.receive(data, recv_ns)

    def answer(self, request: base.Request, body: bytes, recv_ns: Nanos) -> list[base.Event]:
        return self._inner.answer(request, body, recv_ns)


def venue_file(name: str, session: type[base.Session]) -> None:
    """Make `name` (dotted) a venue that settings may name, as a file of that name would."""
    for part in (name.partition(".")[0], name):
        spec = ModuleSpec(part, None, is_package=part != name)
        sys.modules[part] = sys.modules.get(part) or module_from_spec(spec)
    vars(sys.modules[name]).update(Session=session, Mimic=base.Mimic)


def recorded(name: str, module: Any, address: str) -> None:
    """Make `name` the venue of `module` as it was recorded at `address`."""
    said = {"module": module, "address": address, "venue": name.rpartition(".")[2], "__doc__": Recorded.__doc__}
    venue_file(name, type("Session", (Recorded,), said))


def settings(folder: Path, text: str, urls: dict[str, str] | None = None, **environ: str) -> Settings:
    """Settings of a service in `folder` whose ports are free ones and whose venues are reached at `urls`."""
    data_dir = folder / "data"
    if not (data_dir / "signing.key").exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        keys.save_private(keys.generate(), data_dir / "signing.key")
    head = f'[service]\nport = 0\ndata_dir = "{data_dir}"\nlog_level = "error"\n'
    venues = "".join(f'[venues."{venue}"]\nurl = "{url}"\n' for venue, url in (urls or {}).items())
    path = folder / "oracle.toml"
    path.write_text(f"{head}[metrics]\nport = 0\n[engine_feed]\nport = 0\n{venues}{text}", encoding="utf-8")
    return config.load(path, {f"ORACLE_ENGINE_FEED__KEYS__{FEED_KEY.upper()}": FEED_SECRET, **environ})


def sender(running: Running, ahead_ms: int = 0) -> Sender:
    """The platform's end of the engine feed; `ahead_ms`: how far its clock is ahead."""
    url = f"ws://127.0.0.1:{running.feed_port}/v1/engine"
    return Sender(url, FEED_KEY, bytes.fromhex(FEED_SECRET), now_ms=lambda: time.time_ns() // 10**6 + ahead_ms)


async def push(tape: Tape, session: base.Session, sender: Sender, perp: str) -> None:
    """Hand what a recording says to the platform's door, when it was said; of old tops, only the last counts."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for count, (offset_ns, data) in enumerate(tape):
        early_s = began_s + offset_ns / 10**9 / tape.speed - loop.time()
        if early_s > 0.001 or count % TURN_FRAMES == 0:
            await asyncio.sleep(max(early_s, 0.0))
        if early_s < -LATE_S and b"@bookTicker" in data:
            continue
        try:
            events = session.receive(data, tape.shift(tape.began_ns + offset_ns))
        except VenueError:
            continue
        for event in events:
            match event:
                case BookTop():
                    sender.book(perp, event.bid, event.bid_size, event.ask, event.ask_size)
                case Depth():
                    sender.depth(perp, event.bids[:DEPTH], event.asks[:DEPTH])
                case Trade():
                    sender.trade(perp, event.price, event.size, event.side)


async def until(holds: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until something holds, and no longer than this."""
    for _ in range(int(seconds / 0.01)):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError(f"not in {seconds} s")


async def heard(running: Running, tapes: Mapping[str, Tape]) -> None:
    """Wait until the service has received every frame of these venues' tapes."""
    lines = {running.world.sources[line.stats.sources[0]].venue: line for line in running.lines}
    await until(lambda: all(lines[venue].stats.frames >= len(tape) for venue, tape in tapes.items()), 90.0)


def report(text: str) -> None:
    """A line of figures, for whoever looks (-s)."""
    sys.stdout.write(f"\n{text}\n")


async def get(running: Running, path: str) -> Any:
    """The JSON answer of the public API."""
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{running.port}{path}") as answer:
        return await answer.json()


async def metrics(running: Running) -> str:
    """What Prometheus would read."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{running.metrics_port}/metrics") as answer,
    ):
        return await answer.text()


def clean(journal: Path) -> int:
    """Verify a journal: exit 0, no torn end. How many beats it holds."""
    report = verify(journal, processes=1)
    assert report.exit_code == 0, report.findings
    assert report.torn is None
    return report.counts.beats
