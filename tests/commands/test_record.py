"""What a venue says is written down as it is said, and what is played back decodes to the same observations."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from oracle import cli
from oracle.clock import SystemClock
from oracle.collectors.tape import Direction, opened, read
from oracle.commands import decode, play, record
from oracle.core.types import BookTop, Side, Trade
from oracle.simulator.tape import Takes, TapeServer
from oracle.simulator.venue import VenueServer
from oracle.venues import base

pytestmark = pytest.mark.anyio
PAIRS = {"kraken": "BTC/USD", "htx": "btcusdt", "binance": "BTCUSDT"}
FACTS = 12


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - nobody sets an event for it
            await asyncio.sleep(0.005)


async def recorded(path: Path, venue: str, url: str, done: Awaitable[object]) -> record.Recorder:
    """A recording of what stands at this address, until then."""
    with opened(path) as stream:
        recorder = record.Recorder(stream)
        await record.record(recorder, venue, [PAIRS[venue]], done, record.How(endpoint=url))
    return recorder


async def say(server: VenueServer, recorder_heard: Callable[[], int]) -> None:
    """Books and trades, when the client has subscribed, each after the one before has arrived."""
    await until(lambda: server.clients > 0)
    await asyncio.sleep(0.1)
    clock = SystemClock()
    for n in range(FACTS):
        heard = recorder_heard()
        at_ns = clock.now_ns() // 10**6 * 10**6
        top = BookTop(0, 100.0 + n, 1.0, 101.0 + n, 2.0, at_ns, 0)
        server.say(top if n % 3 else Trade(0, 100.5 + n, 0.25, Side.BUY, at_ns, 0))
        await until(lambda heard=heard: recorder_heard() > heard)  # type: ignore[misc]


def observed(path: Path, venue: str) -> list[base.Event]:
    """What a recording decodes to, without the times of receipt."""
    module = decode.venue_module(venue)
    events = [event for line in decode.decoded(module, read(path), [PAIRS[venue]], "spot") for event in line.events]
    return [_timeless(event) for event in events if isinstance(event, BookTop | Trade)]


def _timeless(event: Any) -> Any:
    return type(event)(*(getattr(event, name) for name in event.__struct_fields__[:-1]), 0)


@pytest.mark.parametrize("venue", PAIRS)
async def test_what_is_played_back_decodes_to_the_same(tmp_path: Path, venue: str) -> None:
    first = tmp_path / "first.txt.gz"
    async with VenueServer(venue, {"spot": [base.Feed(0, PAIRS[venue])]}, SystemClock().now_ns) as server:
        with opened(first) as stream:
            recorder = record.Recorder(stream)
            said = say(server, lambda: recorder.received)
            await record.record(recorder, venue, [PAIRS[venue]], said, record.How(endpoint=server.url))
    known = observed(first, venue)
    assert len(known) >= FACTS
    whole = play.sorted_out(read(first))
    assert whole.frames == recorder.received
    for speed in (1.0, 100.0):
        again = tmp_path / f"again-{speed}.txt"
        takes = {path: Takes(takes) for path, takes in whole.takes.items()}
        async with TapeServer(takes, speed, answers=whole.answers, asked=whole.asked) as server_again:
            await recorded(again, venue, server_again.url, until(lambda s=server_again: s.played > 0))  # type: ignore[misc]
        assert observed(again, venue) == known


async def test_both_sides_of_a_connection_are_written_down(tmp_path: Path) -> None:
    path = tmp_path / "kraken.txt"
    async with VenueServer("kraken", {"spot": [base.Feed(0, "BTC/USD")]}, SystemClock().now_ns) as server:
        with opened(path) as stream:
            recorder = record.Recorder(stream)
            heard = until(lambda: recorder.sent > 1 and recorder.received > 1)
            await record.record(recorder, "kraken", ["BTC/USD"], heard, record.How(endpoint=server.url))
        frames = list(read(path))
    assert frames[0].direction is Direction.OPENED
    assert frames[0].url == server.url + "/v2"
    assert b"subscribe" in next(frame.data for frame in frames if frame.direction is Direction.SENT)
    assert recorder.summary().endswith(f"{recorder.received} frames received, {recorder.sent} sent, 0 REST answers")


async def test_a_ticket_and_its_answer_are_written_down(tmp_path: Path) -> None:
    path = tmp_path / "kucoin.txt"
    async with VenueServer("kucoin", {"spot": [base.Feed(0, "BTC-USDT")]}, SystemClock().now_ns) as server:
        with opened(path) as stream:
            recorder = record.Recorder(stream)
            heard = until(lambda: recorder.received > 0)
            await record.record(recorder, "kucoin", ["BTC-USDT"], heard, record.How(endpoint=server.url))
    first, second, *_ = read(path)
    assert (first.direction, second.direction) == (Direction.ANSWER, Direction.OPENED)
    assert b"token" in first.data


async def test_a_venue_that_cannot_be_dialled_is_tried_again(tmp_path: Path) -> None:
    with opened(tmp_path / "none.txt") as stream:
        recorder = record.Recorder(stream)
        await record.record(
            recorder, "kraken", ["BTC/USD"], asyncio.sleep(0.2), record.How(endpoint="ws://127.0.0.1:9")
        )
    assert (recorder.connections, recorder.received) == (0, 0)


def test_an_interrupted_recording_is_whole(tmp_path: Path) -> None:
    """The venue is a tape that is held at its end, in a process of its own, as is the recorder."""
    tape, path = tmp_path / "tape.txt", tmp_path / "again.txt.gz"
    tape.write_text('wss://ws.kraken.com/v2 <-> 1700000000.0\n1700000000.5: {"channel":"heartbeat"}\n')
    command = [sys.executable, "-m", "oracle"]
    with subprocess.Popen([*command, "play", str(tape)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as player:
        try:
            assert player.stdout
            url = player.stdout.readline().decode().strip()
            recorder = subprocess.Popen(
                [*command, "record", "kraken", "BTC/USD", "--url", url, "--out", str(path), "--minutes", "2"],
                stderr=subprocess.PIPE,
            )
            assert recorder.stderr
            assert recorder.stderr.readline().startswith(b"the first frame of ws://127.0.0.1:")
            os.kill(recorder.pid, signal.SIGINT)
            _, said = recorder.communicate(timeout=30)
        finally:
            player.send_signal(signal.SIGINT)
            player.wait(30)
    assert recorder.returncode == 0, said
    assert b"1 connections, 1 frames received" in said
    assert [frame.data for frame in read(path) if frame.direction is Direction.RECEIVED] == [b'{"channel":"heartbeat"}']


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["kraken", *(f"{n}/USD" for n in range(60))], "60 pairs are too many"),
        (["kracken", "BTC/USD"], "no such venue: kracken"),
        (["kraken", "BTC/USD", "--out", "{there}"], "exists"),
    ],
)
def test_what_cannot_be_recorded_is_told(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "there.txt"
    there.touch()
    assert cli.main(["record", *(word.format(there=there) for word in arguments)]) == cli.UNUSABLE
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "1e9"])
def test_a_time_that_is_none_is_a_usage_error(minutes: str) -> None:
    with pytest.raises(SystemExit):
        cli.main(["record", "kraken", "BTC/USD", "--minutes", minutes])


def test_a_recording_of_nobody_finds_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "none.txt"
    there = ["kraken", "BTC/USD", "--url", "ws://127.0.0.1:9", "--out", str(path), "--minutes", "0.005"]
    assert cli.main(["record", *there]) == cli.FOUND
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("kraken: UNREACHABLE")
    assert said[-1] == f"{path}: 0 s, 0 connections, 0 frames received, 0 sent, 0 REST answers"
    assert path.read_text() == ""
