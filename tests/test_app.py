"""The whole service on simulated venues: it starts, prices, remembers, refuses to start, halts and ends as it should."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from oracle import app, config
from oracle.app import Running, serving
from oracle.client.sender import Sender
from oracle.clock import SystemClock
from oracle.collectors.ccxt import CcxtPoller
from oracle.collectors.line import Line
from oracle.config import Settings
from oracle.core.params import Role
from oracle.core.types import NANOS_PER_S, ClockReading, State
from oracle.errors import JournalError, KeyFileError, ServiceError
from oracle.journal import keys
from oracle.journal.lines import SealLine, StateLine
from oracle.journal.reader import Reader
from oracle.journal.verify import verify
from oracle.simulator.markets import ENGINE, MARKETS
from oracle.simulator.stage import Stage
from oracle.simulator.world import World

pytestmark = pytest.mark.anyio

VENUES = ("coinbase", "kraken", "bitstamp", "gemini", "bitfinex")
SPOT = tuple(m for m in MARKETS if m.asset == "BTC" and m.venue in VENUES and m.role is Role.SPOT)
OWN = tuple(m for m in MARKETS if m.asset == "BTC" and m.venue == ENGINE)
SECRET = "5a" * 32
INTERVAL_S = 10
END_S_MAX = 5.0


@pytest.fixture(params=["asyncio", "uvloop"], scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops that the service may run on."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """Five venues, each with its BTC market, playing."""
    clock = SystemClock()
    made = Stage(World(1, clock.now_ns(), markets=SPOT + OWN), clock.now_ns)
    async with made:
        playing = asyncio.create_task(made.play())
        yield made
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)


def written(folder: Path, stage: Stage | None, venues: tuple[str, ...] = VENUES, more: str = "") -> Path:
    """A settings file whose ports are free ones, whose venues are the stage's, and which warms up at once."""
    sources = ", ".join(f'"{m.venue}:{m.symbol}"' for m in SPOT if m.venue in venues)
    urls = {} if stage is None else {venue: server.url for venue, server in stage.servers.items()}
    dials = "".join(f'[venues.{venue}]\nurl = "{url}"\n' for venue, url in urls.items())
    text = f"""\
{more}
[service]
port = 0
data_dir = "{folder / "data"}"
log_level = "error"
[metrics]
port = 0
[engine_feed]
port = 0
{dials}
[[index]]
id = "BTC-USD"
base = "BTC"
sources = [{sources}]
[index.rules.ladder]
warm_ms = 1000
warm_degraded_ms = 1000
[[perp]]
id = "BTC-USD-PERP"
index = "BTC-USD"
tick = "0.1"
[perp.rules.funding]
sample_ms = 1000
interval_ms = {INTERVAL_S * 1000}
"""
    path = folder / "oracle.toml"
    path.write_text(text, encoding="utf-8")
    return path


def settled(folder: Path, stage: Stage | None = None, key: bool = True, **changed: Any) -> Settings:
    """Settings in force, with a signing key unless told otherwise. `changed`: what the environment says."""
    venues = changed.pop("venues", VENUES)
    path = written(folder, stage, venues, changed.pop("more", ""))
    environ = {"ORACLE_ENGINE_FEED__KEYS__PLATFORM": SECRET, **changed}
    made = config.load(path, {name: text for name, text in environ.items() if text is not None})
    if key and not made.signing_key_file.exists():
        made.service.data_dir.mkdir(parents=True)
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


async def test_it_prices_marks_signs_and_ends(tmp_path: Path, stage: Stage) -> None:
    settings = settled(tmp_path, stage)
    async with serving(settings) as running:
        await until(lambda: priced(running))
        status, value = await get(running.port, "/v1/key-parameters/BTC-USD-PERP")
        assert status == 200
        print(value["index"]["price"])
    records = [line.record for line in Reader(running.journal)]
    assert isinstance(records[-1], SealLine)
    assert isinstance(records[-2], StateLine)
