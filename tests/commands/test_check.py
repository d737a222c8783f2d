"""Everything the service needs is tried, and what must be done is said."""

from __future__ import annotations

import asyncio
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from oracle import cli, config
from oracle.clock import SystemClock
from oracle.commands import check
from oracle.commands.probe import Finding, Probe
from oracle.core.types import NANOS_PER_MS

QUIET = "[service]\nport = 0\n[metrics]\nport = 0\n[engine_feed]\nport = 0\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings_file: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings_file.write_text(QUIET + settings_file.read_text())
    monkeypatch.setenv("ORACLE_ENGINE_FEED__KEYS__E", "ab" * 16)


def test_a_machine_that_is_ready(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["keygen"]) == 0
    assert cli.main(["check", "--no-venues"]) == 0
    said = capsys.readouterr()
    assert "signing key  " in said.out
    assert "all is well" in said.err


def test_what_is_missing_is_said_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ORACLE_ENGINE_FEED__KEYS__E")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        monkeypatch.setenv("ORACLE_SERVICE__PORT", str(listener.getsockname()[1]))
        assert cli.main(["check", "--no-venues"]) == 1
    said = capsys.readouterr()
    assert "the port is busy" in said.out
    assert "oracle keygen var/signing.key" in said.out
    assert "oracle keygen --feed ID" in said.out
    assert "3 of 7 need something done" in said.err


def test_wrong_settings_are_not_checked(tmp_path: Path) -> None:
    (tmp_path / "oracle.toml").write_text(QUIET)
    assert cli.main(["check"]) == 2


def test_the_venues_are_tried_all_at_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    met = asyncio.Event()
    waiting: list[str] = []

    async def tried(probe: Probe, clock: SystemClock, timeout_s: float) -> Finding:
        waiting.append(probe.venue)
        if len(waiting) == 4:
            met.set()
        await asyncio.wait_for(met.wait(), 5)
        return Finding(probe.venue, "fine")

    monkeypatch.setattr(check, "tried", tried)
    monkeypatch.setenv("ORACLE_VENUES__GEMINI__ENABLED", "false")
    monkeypatch.setenv("ORACLE_VENUES__KRAKEN__LIBRARY", "aiohttp")
    path = Path("oracle.toml")
    path.write_text(path.read_text().replace('id = "BTC-USD"\n', 'id = "BTC-USD"\nstatus = "TEST"\n'))
    assert cli.main(["keygen"]) == 0
    assert cli.main(["check"]) == 0
    assert sorted(waiting) == ["bitfinex", "bitstamp", "coinbase", "kraken"]
    settings = config.load(path, {"ORACLE_VENUES__KRAKEN__LIBRARY": "aiohttp"})
    libraries = {p.venue: p.library for p in check.probes(settings, config.world(settings))}
    assert (libraries["kraken"], libraries["bitstamp"]) == ("aiohttp", "picows")


def test_every_rule_is_shown_and_what_refuses_is_shown_with_all_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.main(["keygen"]) == 0
    path = tmp_path / "oracle.toml"
    path.write_text(
        'own_venues = ["gemini"]\n' + path.read_text().replace("bitfinex:tBTCUSD", "ccxt.kraken:BTC/USD")
        + '[venues.bitstamp]\nurl = "wss://sandbox.bitstamp.net"\n'
    )  # fmt: skip
    monkeypatch.setattr(check, "venues", None)
    assert cli.main(["check"]) == 1
    said = capsys.readouterr()
    lines = [line for line in said.out.splitlines() if "  refused  " in line]
    rules = ["own market", "one vote", "sandboxes", "groups", "shares", "domains"]
    assert [line.split("  ")[0] for line in lines] == rules
    assert f"{path.name}:11: index[0].sources[3] = 'gemini:BTCUSD': stands in own_venues" in lines[0]
    assert lines[0].endswith("  remove it")
    assert all("BTC-USD" in line for line in lines)
    assert "legs        BTC-USD-PERP  passes   marked against BTC-USD" in said.out
    assert "6 of 18 rulings refuse: the service would not start" in said.err
    assert "all else is well" in said.err


STATED = """[[index]]
id = "USD-HKD"
base = "USD"
quote = "HKD"
status = "TEST"
sources = ["feed.desk:USD/HKD", "ecb:USD/HKD"]
[feeds.desk]
url = "http://127.0.0.1:{port}/"
path = "mid"
[venues.ecb]
url = "http://127.0.0.1:{port}"
"""


@pytest.mark.anyio
async def test_who_has_no_venue_file_is_read_as_the_service_would(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        fine = b'200 OK\r\nContent-Length: 12\r\n\r\n{"mid": 7.8}'
        writer.write(b"HTTP/1.1 " + (fine if asked.startswith(b"GET / ") else b"503 No\r\nContent-Length: 0\r\n\r\n"))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        (tmp_path / "oracle.toml").write_text(STATED.format(port=server.sockets[0].getsockname()[1]))
        settings = config.load(tmp_path / "oracle.toml", {})
        found = await check.venues(settings, config.world(settings), SystemClock(), 0.5)
    assert found == [
        Finding("feed.desk", "feed.desk:USD/HKD: 7.8"),
        Finding(
            "ecb",
            "no price within 0.5 s: UNAVAILABLE: HTTP 503",
            "check its address, then its symbols",
        ),
    ]


def test_a_clock_nobody_disciplines_is_a_fault_only_where_that_is_enforced() -> None:
    assert check.clock_finding(False, None).todo == ""
    assert "chrony" in check.clock_finding(True, None).todo
    assert check.clock_finding(True, NANOS_PER_MS) == Finding("clock", "disciplined, within 1.000 ms")


def test_a_disk_that_is_full_slow_or_shut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    assert "ORACLE_SERVICE__DATA_DIR" in check.disk_finding(tmp_path / "file" / "below", 1).todo
    monkeypatch.setattr(check, "SYNC_MS_MAX", -1.0)
    assert "which is slow" in check.disk_finding(tmp_path, 1).found
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=10))
    assert check.disk_finding(tmp_path, 1_000_000_000).todo == "free 2.0 GB: two journal segments"
    assert not list(tmp_path.glob(".check-*"))


def test_a_key_that_is_open_to_others_and_a_secret_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    path.write_text("rubbish")
    path.chmod(0o600)
    assert check.key_finding(path).todo == "move it away and make another"
    path.chmod(0o644)
    assert "chmod 600" in check.key_finding(path).found
    settings = config.Settings(engine_feed={"keys": {"e": "short"}})
    assert "is no secret" in check.feed_finding(settings).found
