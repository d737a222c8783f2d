"""What the tests of the whole service stand on: simulated venues, a trading engine, settings, and a process."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from oracle import config
from oracle.app import Running
from oracle.client.sender import Sender
from oracle.clock import SystemClock
from oracle.config import Settings
from oracle.core import wire
from oracle.core.params import Role
from oracle.core.types import NANOS_PER_S, Value
from oracle.journal import keys
from oracle.journal.lines import BeatLine
from oracle.journal.reader import Reader
from oracle.simulator.markets import ENGINE, MARKETS
from oracle.simulator.stage import Stage
from oracle.simulator.world import World

VENUES = ("coinbase", "kraken", "bitstamp", "gemini", "bitfinex")
SPOT = tuple(m for m in MARKETS if m.asset == "BTC" and m.venue in VENUES and m.role is Role.SPOT)
OWN = tuple(m for m in MARKETS if m.asset == "BTC" and m.venue == ENGINE)
PERP = "BTC-USD-PERP"
SECRET = "5a" * 32
INTERVAL_S = 10
NOWHERE = "ws://127.0.0.1:9"
START_S_MAX = 30.0


@asynccontextmanager
async def playing() -> AsyncIterator[Stage]:
    """Five venues, each with its BTC market, and the world going on."""
    clock = SystemClock()
    async with Stage(World(1, clock.now_ns(), markets=SPOT + OWN), clock.now_ns) as made:
        going_on = asyncio.create_task(made.play())
        yield made
        going_on.cancel()
        await asyncio.gather(going_on, return_exceptions=True)


def told(folder: Path, stage: Stage | None = None, **changed: str) -> dict[str, str]:
    """What the environment says: free ports, venues on a stage or nowhere, a secret, and what is `changed`."""
    urls = dict.fromkeys(VENUES, NOWHERE)
    if stage is not None:
        urls |= {venue: server.url for venue, server in stage.servers.items()}
    return {
        "ORACLE_SERVICE__PORT": "0",
        "ORACLE_METRICS__PORT": "0",
        "ORACLE_ENGINE_FEED__PORT": "0",
        "ORACLE_ENGINE_FEED__KEYS__PLATFORM": SECRET,
        "ORACLE_SERVICE__DATA_DIR": str(folder / "data"),
        **{f"ORACLE_VENUES__{venue.upper()}__URL": url for venue, url in urls.items()},
        **changed,
    }


def written(folder: Path, venues: tuple[str, ...] = VENUES, *more: str) -> Path:
    """A settings file of one index and its perpetual, which warms up in a second."""
    sources = ", ".join([*(f'"{m.venue}:{m.symbol}"' for m in SPOT if m.venue in venues), *more])
    path = folder / "oracle.toml"
    path.write_text(
        f"""\
[[index]]
id = "BTC-USD"
base = "BTC"
status = "TEST"
sources = [{sources}]
[index.rules.ladder]
groups_normal_min = 4
groups_degraded_min = 3
warm_ms = 1000
warm_degraded_ms = 1000
[[perp]]
id = "{PERP}"
index = "BTC-USD"
tick = "0.1"
[perp.rules.funding]
sample_ms = 1000
interval_ms = {INTERVAL_S * 1000}
""",
        encoding="utf-8",
    )
    return path


def settled(folder: Path, stage: Stage | None = None, venues: tuple[str, ...] = VENUES, **changed: str) -> Settings:
    """Settings in force, with a signing key."""
    made = config.load(written(folder, venues), told(folder, stage, **changed))
    if not made.signing_key_file.exists():
        made.service.data_dir.mkdir(parents=True, exist_ok=True)
        keys.save_private(keys.generate(), made.signing_key_file)
    return made


async def until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    for _ in range(int(seconds / 0.01)):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError(f"not in {seconds} s")


async def get(port: int, path: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}{path}") as answer:
        text = await answer.text()
        return answer.status, json.loads(text) if "json" in answer.content_type else text


def priced(running: Running, name: str = "BTC-USD") -> bool:
    return running.hub.boards[name].value.price is not None


@asynccontextmanager
async def pushing(running: Running) -> AsyncIterator[Sender]:
    """A trading engine that states its book ten times a second."""
    url = f"ws://127.0.0.1:{running.feed_port}/v1/engine"

    async def push(sender: Sender) -> None:
        while True:
            sender.book(PERP, 60_010.0, 1.0, 60_011.0, 1.0)
            sender.depth(PERP, [(60_010.0, 9.0)], [(60_011.0, 9.0)])
            await asyncio.sleep(0.1)

    async with Sender(url, "platform", bytes.fromhex(SECRET)) as sender:
        pusher = asyncio.create_task(push(sender))
        yield sender
        pusher.cancel()
        await asyncio.gather(pusher, return_exceptions=True)


def is_open(port: int) -> bool:
    with socket.socket() as door:
        return door.connect_ex(("127.0.0.1", port)) == 0


def values_of(journal: Path) -> list[Value]:
    lines = [line.record for line in Reader(journal)]
    return [v for record in lines if isinstance(record, BeatLine) for v in wire.decode_values(record.values)]


def clock_that_stands_before(settlement_in_s: float) -> type[SystemClock]:
    """A clock whose next funding settlement is near. It believes itself to be right."""
    ahead_ns = int((INTERVAL_S - settlement_in_s) * NANOS_PER_S) - time.time_ns() % (INTERVAL_S * NANOS_PER_S)

    class Near(SystemClock):
        def now_ns(self) -> int:
            return super().now_ns() + ahead_ns

        def wall_offset_ns(self) -> int:
            return 0

    return Near


@asynccontextmanager
async def process(folder: Path, environ: Mapping[str, str]) -> AsyncIterator[tuple[Process, int]]:
    """`oracle run` as its users start it, and the port it said it listens on."""
    command = (sys.executable, "-m", "oracle", "run", "--config", str(folder / "oracle.toml"))
    child = await asyncio.create_subprocess_exec(*command, env={**os.environ, **environ}, stdout=PIPE, stderr=PIPE)
    assert child.stderr is not None
    try:
        async with asyncio.timeout(START_S_MAX):
            while (said := json.loads(await child.stderr.readline()))["event"] != "service.started":
                pass
        yield child, said["port"]
    finally:
        with suppress(ProcessLookupError):
            child.kill()
        await child.communicate()
