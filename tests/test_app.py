"""The whole service on simulated venues: how it starts, remembers, refuses to start, and ends."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

from oracle import app, config
from oracle.app import Running, serving
from oracle.clock import SystemClock
from oracle.collectors.ccxt_line import CcxtLine
from oracle.collectors.line import Line
from oracle.core.types import NANOS_PER_S, ClockReading, FundingRate, IndexValue, State
from oracle.errors import JournalError, KeyFileError, ServiceError
from oracle.journal import disk, keys
from oracle.journal.history import History
from oracle.journal.lines import HeadLine, SealLine, StateLine
from oracle.journal.reader import Reader
from oracle.journal.verify import verify
from oracle.simulator.stage import Stage
from oracle.venues import gemini
from tests.service import (
    NOWHERE,
    PERP,
    START_S_MAX,
    VENUES,
    clock_that_stands_before,
    get,
    is_open,
    playing,
    priced,
    process,
    pushing,
    settled,
    told,
    until,
    values_of,
    written,
)

END_S_MAX = 5.0
pytestmark = pytest.mark.anyio
both_loops = pytest.mark.parametrize(
    "anyio_backend",
    [pytest.param(("asyncio", {"use_uvloop": fast}), id="uvloop" if fast else "asyncio") for fast in (False, True)],
)


@pytest.fixture(autouse=True)
def _quiet_again() -> Iterator[None]:
    """`app.run` configures the log of the whole process."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with playing() as made:
        yield made


@both_loops
async def test_it_prices_is_heard_signs_and_ends(tmp_path: Path, stage: Stage) -> None:
    settings = settled(tmp_path, stage)
    with capture_logs() as logs:
        async with serving(settings) as running:
            async with pushing(running):
                await until(lambda: running.hub.perps[PERP].value.book_leg is not None)
            status, value = await get(running.port, f"/v1/key-parameters/{PERP}")
            assert status == 200
            assert 50_000 < float(value["index"]["price"]) < 70_000
            assert value["mark"]["price"] is not None
            assert (await get(running.port, "/readyz"))[0] == 200
            _, status_page = await get(running.port, "/v1/status")
            assert [link["up"] for link in status_page["links"]] == [True] * 5
            assert status_page["journal"]["durable"] is True
            _, metrics = await get(running.metrics_port, "/metrics")
            assert 'oracle_source_link_up{source="kraken:BTC/USD"} 1.0' in metrics
            assert "oracle_feed_accepted_total 0.0" not in metrics
            assert not re.search(r"oracle_scrape_errors_total\{.*\} (?!0\.0)", metrics)
        ports = (running.port, running.feed_port, running.metrics_port)
    assert not any(is_open(port) for port in ports)
    records = [line.record for line in Reader(running.journal)]
    assert isinstance(records[-1], SealLine)
    assert isinstance(records[-2], StateLine)
    found = verify(running.journal, processes=1)
    assert (found.exit_code, found.torn) == (0, None)
    assert [log for log in logs if log["log_level"] not in ("info", "warning")] == []
    assert logs[-1]["event"] == "service.stopped"
    alerts = [log for log in logs if log["event"] == "surveillance.alert" and log["target"] == "BTC-USD"]
    assert ("WARMING to NORMAL", "info") in [(a["detail"].partition(":")[0], a["log_level"]) for a in alerts]


@both_loops
async def test_a_changed_configuration_begins_with_what_is_still_true(tmp_path: Path, stage: Stage) -> None:
    async with serving(settled(tmp_path, stage)) as running:
        async with pushing(running) as sender:
            await until(lambda: running.engine.state.perps[0].funding.samples > 0)
        assert sender.refused == {}
    before = running.engine.state
    price, samples, said = before.indices[0].last_good, before.perps[0].funding.samples, len(values_of(running.journal))
    async with serving(settled(tmp_path, stage, VENUES[:4])) as running:
        after = running.engine.state
        assert (running.hub.boards["BTC-USD"].value.state, priced(running)) == (State.WARMING, False)
        assert after.indices[0].last_good == price
        if after.perps[0].funding.start_ns == before.perps[0].funding.start_ns:
            assert after.perps[0].funding.samples >= samples
        await until(lambda: priced(running))
    values = values_of(running.journal)
    seqs = [v.seq for v in values if isinstance(v, IndexValue)]
    assert seqs == list(range(1, len(seqs) + 1)), "the numbers go on where they stood"
    first = next(v for v in values[said:] if isinstance(v, IndexValue))
    assert (first.state, first.price, first.last_good) == (State.WARMING, None, price)
    heads = [line.record for line in Reader(running.journal) if isinstance(line.record, HeadLine)]
    assert [(head.epoch, len(head.world.indices[0].sources)) for head in heads] == [(1, 5), (2, 4)]
    assert verify(running.journal, processes=1).exit_code == 0


async def test_settled_funding_is_remembered(tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "SystemClock", clock_that_stands_before(2.5))
    history = f"/v1/funding/{PERP}/history"
    async with serving(settled(tmp_path, stage)) as running:
        port, items = running.port, []
        for _ in range(100):
            if items := (await get(port, history))[1]["items"]:
                break
            await asyncio.sleep(0.1)
        assert len(items) == 1
    [final] = [v for v in values_of(running.journal) if isinstance(v, FundingRate) and v.final]
    assert items[0]["seq"] == final.seq
    async with serving(settled(tmp_path, stage)) as running:
        assert (await get(running.port, history))[1]["items"] == items
        _, funding = await get(running.port, f"/v1/funding/{PERP}")
        assert funding["last_settled"] == items[0]


async def test_a_settlement_that_no_database_takes_is_in_the_journal(
    tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object, rate: FundingRate) -> bool:
        raise JournalError("the history database failed: disk I/O error")

    monkeypatch.setattr(app, "SystemClock", clock_that_stands_before(1.0))
    monkeypatch.setattr(History, "add", refuse)
    with capture_logs() as logs:
        async with serving(settled(tmp_path, stage)) as running:
            await until(lambda: any(log["event"] == "history.failed" for log in logs))
            assert not running.live.failed
    assert any(isinstance(v, FundingRate) and v.final for v in values_of(running.journal))


@pytest.mark.parametrize("durability", ["written", "synced"])
async def test_what_cannot_be_written_is_not_said(
    tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch, durability: str
) -> None:
    def refuse(descriptor: int, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with capture_logs() as logs:
        async with serving(settled(tmp_path, stage, ORACLE_SERVICE__DURABILITY=durability)) as running:
            await until(lambda: priced(running))
            monkeypatch.setattr(disk, "put", refuse)
            await until(lambda: running.hub.halted)
            ticks = running.hub.counts().ticks
            for _ in range(100):
                running.inbox.put(running.clock.reading())
            await until(lambda: len(running.inbox) < 50)
            assert running.hub.counts().ticks == ticks
            status, problem = await get(running.port, "/readyz")
            assert (status, problem["reasons"]) == (503, ["journal_not_durable"])
            _, value = await get(running.port, "/v1/index/BTC-USD")
            assert (value["price"], value["state"], value["reasons"]) == (None, "halted", ["journal_not_durable"])
            _, page = await get(running.port, "/v1/status")
            assert (page["service"]["state"], page["journal"]["durable"]) == ("halted", False)
            _, metrics = await get(running.metrics_port, "/metrics")
            assert "oracle_journal_durable 0.0" in metrics
            monkeypatch.undo()
    [halted] = [log for log in logs if log["event"] == "service.halted"]
    assert halted["log_level"] == "critical"
    assert "No space left on device" in halted["detail"]
    assert verify(running.journal, processes=1).exit_code == 0


async def test_a_torn_tail_is_told(tmp_path: Path) -> None:
    settings = settled(tmp_path)
    async with serving(settings) as running:
        await asyncio.sleep(0)
    with (running.journal / "journal-000001.jsonl").open("ab") as stream:
        stream.write(b"torn")
    with capture_logs() as logs:
        async with serving(settings):
            pass
    [torn] = [log for log in logs if log["event"] == "journal.torn_tail"]
    assert (torn["log_level"], torn["bytes"]) == ("warning", 4)


async def test_a_clock_behind_the_journal_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settled(tmp_path)
    async with serving(settings):
        await asyncio.sleep(0)

    class Behind(SystemClock):
        def now_ns(self) -> int:
            return super().now_ns() - 3600 * NANOS_PER_S

    monkeypatch.setattr(app, "SystemClock", Behind)
    with pytest.raises(ServiceError, match=r"clock is 3600 s behind the last beat of .*journal: set the clock"):
        async with serving(settings):
            pass
    assert len(list((tmp_path / "data" / "journal").glob("*.jsonl*"))) == 1, "nothing was begun"


async def test_a_missing_key_is_named(tmp_path: Path) -> None:
    settings = config.load(written(tmp_path), told(tmp_path))
    with pytest.raises(KeyFileError, match=r"signing\.key: .*oracle keygen"):
        async with serving(settings):
            pass


@both_loops
@pytest.mark.parametrize("door", ["SERVICE", "METRICS", "ENGINE_FEED"])
async def test_a_busy_port_leaves_nothing_open(tmp_path: Path, door: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = settled(tmp_path, None, VENUES, **{f"ORACLE_{door}__PORT": str(port)})
        expected = (
            rf"{door.lower()} cannot listen on 127\.0\.0\.1:{port}: address already in use; .*ORACLE_{door}__PORT"
        )
        with pytest.raises(ServiceError, match=expected):
            async with serving(settings):
                pass
    async with serving(settings) as running:
        assert port in (running.port, running.metrics_port, running.feed_port)


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    key = tmp_path / "signing.key"
    keys.save_private(keys.generate(), key)
    settings = config.load(written(tmp_path), told(tmp_path, ORACLE_JOURNAL__KEY_FILE=str(key)))
    with pytest.raises(ServiceError, match=r"data/journal cannot be made: Not a directory; .*--data-dir"):
        async with serving(settings):
            pass


async def test_two_services_do_not_write_one_journal(tmp_path: Path) -> None:
    settings = settled(tmp_path)
    async with serving(settings) as first:
        with pytest.raises(JournalError, match=rf"another process writes this journal \(pid {os.getpid()}\): stop it"):
            async with serving(settings):
                pass
        assert not first.live.failed


async def test_a_feed_without_keys_stays_shut(tmp_path: Path) -> None:
    settled(tmp_path)
    environ = told(tmp_path)
    del environ["ORACLE_ENGINE_FEED__KEYS__PLATFORM"]
    with capture_logs() as logs:
        async with serving(config.load(tmp_path / "oracle.toml", environ)) as running:
            assert (running.feed, running.feed_port) == (None, 0)
    [warning] = [log for log in logs if log["event"] == "feed.disabled"]
    assert warning["log_level"] == "warning"
    assert "ORACLE_ENGINE_FEED__KEYS__" in warning["reason"]
    environ = told(tmp_path, ORACLE_ENGINE_FEED__ENABLED="false", ORACLE_METRICS__ENABLED="false")
    async with serving(config.load(tmp_path / "oracle.toml", environ)) as running:
        assert (running.feed, running.feed_port, running.metrics_port) == (None, 0, 0)


async def test_each_venue_is_reached_as_it_was_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled(tmp_path)
    path = written(tmp_path, ("coinbase", "kraken", "bitstamp"), '"ccxt.bitvavo:BTC/USD"')
    environ = told(
        tmp_path,
        ORACLE_VENUES__COINBASE__ENABLED="false",
        ORACLE_VENUES__KRAKEN__PROXY="http://127.0.0.1:9",
        ORACLE_VENUES__BITSTAMP__LIBRARY="websockets",
    )
    monkeypatch.setattr(CcxtLine, "run", lambda line: asyncio.Event().wait())
    async with serving(config.load(path, environ)) as running:
        lines = {line.stats.venue: line for line in running.lines}
        assert sorted(lines) == ["bitstamp", "bitvavo", "kraken"]
        assert isinstance(lines["bitvavo"], CcxtLine)
        kraken, bitstamp = lines["kraken"], lines["bitstamp"]
        assert isinstance(kraken, Line)
        assert isinstance(bitstamp, Line)
        assert (kraken._wire.library, kraken._wire.proxy) == ("aiohttp", "http://127.0.0.1:9")
        assert (bitstamp._wire.library, bitstamp._wire.rest_base) == ("websockets", NOWHERE)


async def test_a_venue_with_many_symbols_gets_many_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gemini.Session, "symbols_max", 3)
    settled(tmp_path)
    path = written(tmp_path, VENUES, *(f'"gemini:{symbol}=USD"' for symbol in ("btcgusdperp", "btcusdc", "btcrlusd")))
    async with serving(config.load(path, told(tmp_path))) as running:
        parts = [len(line.stats.sources) for line in running.lines if line.stats.venue == "gemini"]
        assert parts == [3, 1]


@pytest.mark.parametrize("enforce", ["true", "false"])
async def test_an_unsynchronised_clock_counts_where_it_is_told_to(
    tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch, enforce: str
) -> None:
    monkeypatch.setattr(SystemClock, "reading", lambda self: ClockReading(1_000, False, self.now_ns()))
    async with serving(settled(tmp_path, stage, ORACLE_CLOCK__ENFORCE=enforce)) as running:
        await until(lambda: priced(running))
        expected = app.UNSYNCHRONISED_NS if enforce == "true" else 1_000
        assert running.engine.state.clock_offset_ns == expected
        state = running.hub.boards["BTC-USD"].value.state
        assert state is (State.DEGRADED if enforce == "true" else State.NORMAL)


async def test_a_part_that_breaks_is_told_and_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "PART_AGAIN_S", 0.0)
    begun: list[int] = []

    async def part() -> None:
        begun.append(len(begun))
        if len(begun) < 3:
            raise RuntimeError("a mistake of ours")
        await asyncio.Event().wait()

    with capture_logs() as logs:
        task = asyncio.create_task(app._kept("kraken", part))
        await until(lambda: len(begun) == 3)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert [(log["event"], log["part"]) for log in logs] == [("service.part_failed", "kraken")] * 2


async def test_once_shows_the_first_values_and_ends(
    tmp_path: Path, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await app.run(settled(tmp_path, stage, ORACLE_SERVICE__LOG_LEVEL="error"), once=True) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["instrument", "price"]
    assert [row.split()[0] for row in rows] == ["BTC-USD", PERP]
    assert all(float(row.split()[1]) > 50_000 for row in rows)


@both_loops
async def test_it_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    stop, seen = asyncio.Event(), list[Running]()

    def ready(running: Running) -> None:
        seen.append(running)
        assert is_open(running.port)
        stop.set()

    settings = settled(tmp_path, ORACLE_SERVICE__LOG_LEVEL="error")
    assert await app.run(settings, ready=ready, stop=stop) == 0
    assert not is_open(seen[0].port)

    def halted(running: Running) -> None:
        running.live.fail("ENGINE_FAULT", "drill")

    assert await app.run(settings, ready=halted, stop=stop) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_in_time_and_in_order(tmp_path: Path, stage: Stage, number: signal.Signals) -> None:
    journal = settled(tmp_path, stage).service.data_dir / "journal"
    async with process(tmp_path, told(tmp_path, stage)) as (child, port):
        async with aiohttp.ClientSession() as http, http.ws_connect(f"http://127.0.0.1:{port}/v1/stream") as line:
            await line.send_str('{"op":"subscribe","instruments":["BTC-USD"]}')
            while '"price":"' not in (await line.receive(START_S_MAX)).data:
                pass
            told_s = time.monotonic()
            child.send_signal(number)
            assert await asyncio.wait_for(child.wait(), END_S_MAX) == 0
            ended_s = time.monotonic() - told_s
            async with asyncio.timeout(1):
                while (last := await line.receive()).type is not aiohttp.WSMsgType.CLOSE:
                    assert last.type is aiohttp.WSMsgType.TEXT, last
        assert ended_s < END_S_MAX
    records = [line.record for line in Reader(journal)]
    assert isinstance(records[-1], SealLine)
    assert isinstance(records[-2], StateLine)
    assert verify(journal, processes=1).exit_code == 0
