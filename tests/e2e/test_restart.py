"""Stops and starts: what a service remembers, what it refuses to start on, and what it says when it cannot write."""

from __future__ import annotations

import asyncio
import resource
import socket
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from oracle.app import Running, serving
from oracle.clock import SystemClock
from oracle.config import Settings
from oracle.core.types import BookTop, State
from oracle.errors import JournalSchemaError, KeyFileError, ServiceError
from oracle.journal.verify import verify
from oracle.simulator.venue import VenueServer
from oracle.venues.base import Feed
from tests.e2e import rig
from tests.e2e.reference import lines

pytestmark = pytest.mark.anyio

SYMBOLS = {"binance": "BTCUSDT", "kraken": "BTC/USD", "okx": "BTC-USDT"}
SETTINGS = """
[[index]]
id = "BTC-USD"
base = "BTC"
status = "TEST"
sources = ["binance:BTCUSDT=USD", "kraken:BTC/USD", "okx:BTC-USDT=USD"]
[index.rules]
ladder = { groups_normal_min = 2, groups_degraded_min = 2, warm_ms = 500 }
[[perp]]
id = "BTC-USD-PERP"
index = "BTC-USD"
"""
FILE_BYTES_MAX = 80_000


class Market:
    """Three venues of one mind. `price` None: they are silent."""

    def __init__(self, servers: dict[str, VenueServer]) -> None:
        self.servers = servers
        self.price: float | None = None
        self.urls = {venue: server.url for venue, server in servers.items()}

    async def talk(self) -> None:
        """State the price again and again."""
        while True:
            for server in self.servers.values():
                if self.price is not None:
                    at_ns = SystemClock().now_ns()
                    server.say(BookTop(0, self.price - 0.5, 1.0, self.price + 0.5, 1.0, at_ns, 0))
            await asyncio.sleep(0.02)


@asynccontextmanager
async def market() -> AsyncIterator[Market]:
    """The venues, talking."""
    async with AsyncExitStack() as stack:
        clock = SystemClock()
        servers = {
            venue: await stack.enter_async_context(VenueServer(venue, {"spot": [Feed(0, symbol)]}, clock.now_ns))
            for venue, symbol in SYMBOLS.items()
        }
        made = Market(servers)
        talking = asyncio.create_task(made.talk())
        try:
            yield made
        finally:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)


def state(running: Running) -> State:
    """The index's state, as last computed."""
    return running.engine.state.indices[0].rung.state


async def normal(settings: Settings) -> Path:
    """Serve until the index is NORMAL, and stop."""
    async with serving(settings) as running:
        await rig.until(lambda: state(running) is State.NORMAL, 10.0)
    return running.journal


def beats(journal: Path) -> int:
    """How many beats a journal holds."""
    return sum(record[0] == "beat" for record in lines(journal))


def indices(journal: Path) -> list[list[Any]]:
    """Every index value of a journal, in order."""
    return [value for record in lines(journal) if record[0] == "beat" for value in record[5] if value[0] == "I"]


async def test_a_restart_warms_up_first_and_republishes_nothing(tmp_path: Path) -> None:
    async with market() as venues:
        settings = rig.settings(tmp_path, SETTINGS, venues.urls)
        venues.price = 60_000.0
        journal = await normal(settings)
        before = indices(journal)
        venues.price = None
        async with serving(settings) as running:
            await asyncio.sleep(0.2)
            index = await rig.get(running, "/v1/index/BTC-USD")
            parameters = await rig.get(running, "/v1/key-parameters/BTC-USD-PERP")
            ready = await rig.get(running, "/readyz")
            venues.price = 61_000.0
            await rig.until(lambda: state(running) is State.NORMAL, 10.0)
    assert (index["price"], index["state"], index["epoch"]) == (None, "warming", "2")
    assert (index["last_good"], index["last_good_ts"]) == ("60000.00", before[-1][6] // 10**6)
    assert (parameters["mark"]["price"], parameters["index"]["price"]) == (None, None)
    assert ready["status"] == 503
    after = indices(journal)[len(before) :]
    assert [v[2] for v in before + after] == list(range(1, len(before + after) + 1))
    assert {v[4] for v in after} == {None, 6_100_000}
    assert [v[8] for v in after] == sorted((v[8] for v in after), reverse=True)  # WARMING, then NORMAL
    assert rig.clean(journal) == beats(journal)


async def test_a_torn_line_is_set_aside_and_the_numbers_go_on(tmp_path: Path) -> None:
    async with market() as venues:
        settings = rig.settings(tmp_path, SETTINGS, venues.urls)
        venues.price = 60_000.0
        journal = await normal(settings)
        whole = indices(journal)
        with (journal / "journal-000001.jsonl").open("ab") as stream:
            stream.write(b"the beginning of a line that was never fin")
        assert verify(journal, processes=1).exit_code == 0
        await normal(settings)
    assert (journal / "journal-000001.torn-1").read_bytes() == b"the beginning of a line that was never fin"
    both = indices(journal)
    assert both[: len(whole)] == whole
    assert [v[2] for v in both] == list(range(1, len(both) + 1))
    assert rig.clean(journal) == beats(journal)


async def test_a_newer_journal_is_not_guessed_at(tmp_path: Path) -> None:
    async with market() as venues:
        settings = rig.settings(tmp_path, SETTINGS, venues.urls)
        venues.price = 60_000.0
        segment = await normal(settings) / "journal-000001.jsonl"
        newer = segment.read_bytes().replace(b'["head",2,', b'["head",3,', 1)
        segment.write_bytes(newer)
        with pytest.raises(JournalSchemaError, match="written by a newer version"):
            await normal(settings)
        assert segment.read_bytes() == newer
        assert [path.name for path in segment.parent.glob("*.jsonl*")] == [segment.name]


@pytest.mark.parametrize("door", ["SERVICE", "METRICS", "ENGINE_FEED"])
async def test_a_busy_port_is_named_and_nothing_stays_open(tmp_path: Path, door: str) -> None:
    async with market() as venues:
        venues.price = 60_000.0
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            settings = rig.settings(tmp_path, SETTINGS, venues.urls, **{f"ORACLE_{door}__PORT": str(port)})
            with pytest.raises(ServiceError, match=f"cannot listen on 127.0.0.1:{port}"):
                await normal(settings)
        journal = await normal(rig.settings(tmp_path, SETTINGS, venues.urls))
    rig.clean(journal)


async def test_without_its_key_the_service_does_not_start(tmp_path: Path) -> None:
    settings = rig.settings(tmp_path, SETTINGS)
    settings.signing_key_file.unlink()
    with pytest.raises(KeyFileError, match=r"signing\.key"):
        await normal(settings)


async def test_a_full_disk_halts_publishing_and_says_why(tmp_path: Path) -> None:
    """The program itself, in a process whose files may not grow: a disk that fills up."""
    async with market() as venues:
        venues.price = 60_000.0
        settings = rig.settings(tmp_path, SETTINGS, venues.urls)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "oracle", "run", "--config", str(tmp_path / "oracle.toml"), "--port", str(port),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES_MAX, FILE_BYTES_MAX)),
            stdout=DEVNULL, stderr=DEVNULL,
        )  # fmt: skip
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
                status = await answer_when(http, "/v1/status", lambda said: said["service"]["state"] == "halted")
                parameters = await answer_when(http, "/v1/key-parameters/BTC-USD-PERP", bool)
                await asyncio.sleep(0.2)
                later = await answer_when(http, "/v1/index/BTC-USD", bool)
        finally:
            program.terminate()
            ended = await program.wait()
        assert status["service"]["reasons"] == ["journal_not_durable"]
        assert (status["journal"]["durable"], ended) == (False, 1)
        for said in (parameters, parameters["index"], parameters["mark"], later):
            assert said["state"] == "halted"
            assert said["reasons"][0] == "journal_not_durable"
            assert said.get("price") is None
        assert later["seq"] == status["instruments"][0]["seq"]
        journal = settings.service.data_dir / "journal"
        report = verify(journal, processes=1)
        assert report.exit_code == 0, report.findings
        await normal(settings)
    assert later["seq"] in [v[2] for v in indices(journal)]
    assert rig.clean(journal) == beats(journal)


async def answer_when(http: aiohttp.ClientSession, path: str, fits: Callable[[Any], object]) -> Any:
    """The first answer that fits, of a program that is perhaps still starting."""
    for _ in range(600):
        with suppress(aiohttp.ClientConnectionError):
            async with http.get(path) as answer:
                if fits(said := await answer.json()):
                    return said
        await asyncio.sleep(0.05)
    raise TimeoutError(path)
