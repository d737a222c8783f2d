"""A recording is taken apart into connections and answers, and served until somebody has had enough."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path

import aiohttp
import pytest

from oracle import cli
from oracle.collectors.tape import read_lines
from oracle.commands import play

LINES = [
    "https://api.example/depth?symbol=A -> 1700000000.0: {}",
    "wss://ws.kraken.com/v2?x=1 <-> 1700000000.1",
    "wss://ws.kraken.com/v2?x=1 <- 1700000000.2: subscribe",
    "1700000000.5: one",
    "https://api.example/depth?symbol=A -> 1700000000.6: [1]",
    "1700000000.75: two",
    "wss://ws.kraken.com/v2?x=1 <-> 1700000002.0",
    "1700000003.0: b'\\x1f'",
]


def test_a_recording_is_its_connections_and_its_answers() -> None:
    recorded = play.sorted_out(read_lines(LINES))
    assert recorded.takes == {"/v2": [[(0, b"one"), (250_000_000, b"two")], [(0, b"\x1f")]]}
    assert recorded.answers == {"/depth?symbol=A": [b"{}", b"[1]"]}
    assert recorded.hosts == ["ws.kraken.com", "ws.kraken.com"]
    assert (recorded.frames, recorded.asked) == (3, True)


def test_frames_without_an_address_are_one_connection() -> None:
    recorded = play.sorted_out(read_lines(["1700000000.5: one", "1700000001.5: two"]))
    assert recorded.takes == {"/": [[(0, b"one"), (1_000_000_000, b"two")]]}
    assert not recorded.asked


def test_the_oracle_is_told_where_to_dial() -> None:
    told = play.told("ws://127.0.0.1:1", "kraken").splitlines()
    assert told[0] == "ws://127.0.0.1:1"
    assert '[venues.kraken]\nurl = "ws://127.0.0.1:1"' in "\n".join(told)
    assert told[-1] == "export ORACLE_VENUES__KRAKEN__URL=ws://127.0.0.1:1"


def test_a_tape_is_played_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free_port = probe.getsockname()[1]
    path = tmp_path / "tape.txt"
    path.write_text("\n".join(LINES[1:2] + LINES[3:4] + LINES[5:6]) + "\n")
    heard: list[str] = []
    client = threading.Thread(target=lambda: heard.extend(asyncio.run(listened(free_port))))
    client.start()
    assert cli.main(["play", str(path), "--once", "--speed", "100", "--port", str(free_port)]) == cli.OK
    client.join(20)
    assert heard == ["one", "two"]
    said = capsys.readouterr()
    assert f'[venues.kraken]\nurl = "ws://127.0.0.1:{free_port}"' in said.out
    assert "2 frames, 1 connections, 100 times as fast" in said.err


async def listened(port: int) -> list[str]:
    """The frames that a client hears until the server goes."""
    async with aiohttp.ClientSession() as http:
        for _ in range(200):
            try:
                async with http.ws_connect(f"http://127.0.0.1:{port}/v2") as line:
                    return [message.data async for message in line if message.type is aiohttp.WSMsgType.TEXT]
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)
    return []


def test_a_file_without_frames_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "empty.txt"
    path.touch()
    assert cli.main(["play", str(path)]) == cli.UNUSABLE
    assert "no received frames" in capsys.readouterr().err


@pytest.mark.parametrize("speed", ["0", "1001", "nan"])
def test_a_speed_that_cannot_be_kept_is_a_usage_error(speed: str) -> None:
    with pytest.raises(SystemExit):
        cli.main(["play", "tape.txt", "--speed", speed])
