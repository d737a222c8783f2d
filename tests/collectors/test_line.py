"""A line is dialled, greeted, read, watched, renewed and dialled again; what goes wrong costs that line only."""

from __future__ import annotations

import asyncio

import pytest
import websockets.asyncio.server as ws
from structlog.testing import capture_logs

from oracle.collectors.line import REQUESTS_MAX, SENDS_AT_ONCE, Line, rebased
from oracle.core.types import BookTop
from oracle.errors import LineError, Refusal
from oracle.venues.base import Feed, Send
from tests.collectors.conftest import START_NS, Shelf, Stage, Tiny, make, running

pytestmark = pytest.mark.anyio


async def test_a_line_dials_greets_reads_and_answers() -> None:
    stage = Stage()
    line = make(stage)
    with capture_logs() as logs:
        async with running(line):
            await stage.advance(0.5)
            stage.say("book A 1.5 2.5")
            stage.say("ping")
            stage.say("heartbeat")
            assert stage.sockets[0].sent == ["subscribe A", "subscribe B", "pong"]
            assert line.stats.connected_since_ns == START_NS
    assert stage.dials == [(0.0, "wss://tiny.example/stream?v=2")]
    assert stage.links() == [(0, True, ""), (1, True, ""), (0, False, "STOPPED"), (1, False, "STOPPED")]
    assert stage.books() == [BookTop(0, 1.5, 1.0, 2.5, 1.0, 0, stage.clock.now_ns())]
    stats = line.stats
    assert (stats.frames, stats.bytes, stats.observations, stats.dials) == (3, 27, 1, 1)
    assert stats.last_frame_ns == stage.clock.now_ns()
    assert stats.connected_since_ns == 0
    assert stage.sockets[0].closed
    assert [log["event"] for log in logs] == ["venue.connected"]


async def test_a_refused_frame_is_counted_logged_once_and_costs_nothing_else() -> None:
    stage = Stage()
    line = make(stage)
    with capture_logs() as logs:
        async with running(line):
            await stage.advance(0.5)
            for text in ("nonsense", "nonsense", "book X 1 2", "book A 0 2", "book A -1 2", "book A 1 2"):
                stage.say(text)
            await stage.advance(0.5)
    assert line.stats.refused == {"UNKNOWN_MESSAGE": 2, "UNKNOWN_SYMBOL": 1, "NOT_POSITIVE": 1}
    assert len(stage.books()) == 2, "an empty side is a fact, a negative one is none"
    assert len(stage.dials) == 1
    assert [log["reason"] for log in logs if log["event"] == "venue.refused"] == list(line.stats.refused)


async def test_a_book_that_lost_its_thread_gets_a_fresh_session_and_nothing_more_from_the_old_one() -> None:
    stage = Stage()
    line = make(stage)
    async with running(line):
        await stage.advance(0.5)
        stage.say("gap")
        stage.say("book A 1 2")
        assert stage.books() == []
        await stage.advance(2.0)
        assert len(stage.dials) == 2
        assert stage.dials[1][0] >= 1.0, "never two dials in a second"
        assert (0, False, "SEQUENCE_GAP") in stage.links()
        assert stage.links()[-2:] == [(0, True, ""), (1, True, "")]
        stage.sockets[0].handler.on_frame(b"book A 1 2")
        stage.say("book A 3 4")
        assert [book.bid for book in stage.books()] == [3.0]
    assert line.stats.ended == {"SEQUENCE_GAP": 1}


async def test_a_mistake_in_a_venue_file_is_blamed_and_the_line_starts_afresh() -> None:
    stage = Stage()
    line = make(stage)
    with capture_logs() as logs:
        async with running(line):
            await stage.advance(0.5)
            stage.say("bug")
            await stage.advance(2.0)
    assert line.stats.refused == {"INTERNAL": 1}
    assert "a venue file's mistake" in line.stats.last_error
    assert len(stage.dials) == 2
    assert "venue.broken" in [log["event"] for log in logs]


async def test_an_oversized_frame_ends_the_connection_and_is_counted() -> None:
    stage = Stage()
    line = make(stage)
    async with running(line):
        await stage.advance(0.5)
        stage.sockets[0].handler.on_refused(Refusal.TOO_LARGE)
        stage.sockets[0].handler.on_close(1009, "")
        await stage.advance(2.0)
    assert line.stats.refused == {"TOO_LARGE": 1}
    assert line.stats.ended == {"TOO_LARGE": 1}
    assert len(stage.dials) == 2


async def test_heartbeats_do_not_feed_a_source() -> None:
    stage = Stage()
    line = make(stage)
    with capture_logs() as logs:
        async with running(line):
            await stage.advance(0.1)
            while stage.links()[-1][1]:
                stage.say("book A 1 2")
                stage.say("heartbeat")
                await stage.advance(0.1)
            assert stage.links()[-1] == (1, False, "SILENT"), "B never spoke"
            assert 15.0 < stage.now_s < 15.5
    silent = [log for log in logs if log["event"] == "venue.silent"]
    assert [log["symbols"] for log in silent] == [["B"]]
    assert line.stats.ended == {"SILENT": 1}


async def test_a_ticking_source_is_found_silent_after_five_seconds() -> None:
    stage = Stage()
    line = make(stage, symbols=["A"])
    async with running(line):
        await stage.advance(0.1)
        for _ in range(50):
            stage.say("book A 1 2")
            await stage.advance(0.05)
        quiet_since_s = stage.now_s - 0.05
        while len(stage.links()) == 1:
            stage.say("heartbeat")
            await stage.advance(0.05)
        assert stage.links()[-1] == (0, False, "SILENT")
        assert 5.0 < stage.now_s - quiet_since_s < 5.4


async def test_pings_are_sent_on_time_and_the_connection_is_renewed_before_its_end() -> None:
    stage = Stage()
    line = make(stage, symbols=["A"])
    async with running(line):
        await stage.advance(0.1)
        while len(stage.dials) == 1:
            stage.say("book A 1 2")
            await stage.advance(4.0)
        pings = stage.sockets[0].sent.count("are you there")
        assert line.stats.ended == {"RENEWED": 1}
        assert 0.85 * 3600 <= stage.dials[1][0] <= 0.95 * 3600
        assert pings == pytest.approx(stage.dials[1][0] / 20, abs=3)
        assert stage.links()[1:] == [(0, False, "RENEWED"), (0, True, "")]


async def test_dials_back_off_and_the_engine_hears_of_the_fall_once() -> None:
    stage = Stage()
    stage.refuse = LineError("UNREACHABLE", "no route")
    line = make(stage, symbols=["A"], random=lambda: 1.0)
    with capture_logs() as logs:
        async with running(line):
            await stage.advance(200.0)
    gaps = [later - earlier for (earlier, _), (later, _) in zip(stage.dials, stage.dials[1:], strict=False)]
    assert gaps[:8] == pytest.approx([1.0, 1.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0])
    assert set(gaps[7:]) == {30.0}
    assert stage.links() == [(0, False, "UNREACHABLE")]
    assert line.stats.ended["UNREACHABLE"] == line.stats.dials == len(stage.dials)
    assert line.stats.last_error == "UNREACHABLE: no route"
    told = [log["failures"] for log in logs if log["event"] == "venue.dial_failed"]
    assert told == [1, 8, 2, 2], "the first at once, then one a minute with how many it stands for"


async def test_a_venue_that_asks_for_time_gets_it() -> None:
    stage = Stage()
    stage.refuse = LineError("RATE_LIMITED", "HTTP 429", status=429, retry_after_s=40.0)
    async with running(make(stage, symbols=["A"])):
        await stage.advance(39.9)
        assert len(stage.dials) == 1
        await stage.advance(1.0)
        assert len(stage.dials) == 2


async def test_requests_are_asked_once_and_their_answers_read() -> None:
    stage, shelf = Stage(), Shelf(A=b"book A 1 2", B=b"nonsense")
    line = make(stage, rest=shelf, endpoint="ws://127.0.0.1:9/sim")
    async with running(line):
        await stage.advance(0.1)
        shelf.open.clear()
        stage.say("snapshot A")
        stage.say("snapshot A")
        await stage.settle()
        shelf.open.set()
        stage.say("snapshot B")
        await stage.advance(0.1)
        assert shelf.asked == ["http://127.0.0.1:9/sim/book/A", "http://127.0.0.1:9/sim/book/B"]
        assert [book.bid for book in stage.books()] == [1.0]
        assert line.stats.refused == {"UNKNOWN_MESSAGE": 1}
        assert len(stage.dials) == 1


@pytest.mark.parametrize(
    ("shelf", "text", "reason"),
    [
        (None, "snapshot A", "REST"),
        ({}, "snapshot A", "REST"),
        ({"A": b"bug"}, "snapshot A", "INTERNAL"),
        ({"A": b"gap"}, "snapshot A", "SEQUENCE_GAP"),
        ({}, "snapshot " + " ".join(map(str, range(REQUESTS_MAX + 1))), "REST"),
    ],
)
async def test_a_request_that_fails_ends_the_connection(shelf: dict[str, bytes] | None, text: str, reason: str) -> None:
    stage = Stage()
    line = make(stage, rest=None if shelf is None else Shelf(**shelf))
    async with running(line):
        await stage.advance(0.1)
        stage.say(text)
        await stage.advance(2.0)
        assert len(stage.dials) == 2
    assert line.stats.ended == {reason: 1}


async def test_a_long_greeting_is_paced() -> None:
    stage = Stage()
    async with running(make(stage, symbols=[str(i) for i in range(10)])):
        await stage.settle()
        assert len(stage.sockets[0].sent) == SENDS_AT_ONCE
        await stage.advance(2.0)
        assert len(stage.sockets[0].sent) == 10


async def test_a_venue_that_does_not_read_is_left() -> None:
    stage = Stage()
    line = make(stage)
    async with running(line):
        await stage.advance(0.1)
        stage.sockets[0].full = True
        stage.say("ping")
        await stage.advance(2.0)
    assert line.stats.ended == {"UNREACHABLE": 1}


async def test_a_session_that_cannot_greet_is_blamed() -> None:
    class Mute(Tiny):
        def open(self) -> list[Send]:
            raise RuntimeError("no greeting")

    stage = Stage()
    line = make(stage, Mute)
    async with running(line):
        await stage.advance(0.1)
    assert line.stats.refused == {"INTERNAL": 1}


def test_an_endpoint_replaces_where_but_not_what() -> None:
    assert rebased("wss://a.example:9443/ws?x=1", None) == "wss://a.example:9443/ws?x=1"
    assert rebased("wss://a.example:9443/ws?x=1", "ws://127.0.0.1:80") == "ws://127.0.0.1:80/ws?x=1"
    assert rebased("https://a.example/book?x=1", "ws://127.0.0.1:80/a/") == "http://127.0.0.1:80/a/book?x=1"
    assert rebased("https://a.example/book", "https://proxy") == "https://proxy/book"
    assert rebased("wss://a.example/ws", "https://proxy") == "wss://proxy/ws"


@pytest.mark.parametrize("library", ["picows", "aiohttp", "websockets"])
async def test_a_broken_venue_does_not_disturb_its_neighbour_on_real_sockets(library: str) -> None:
    """One venue floods with garbage and drops; the other's books all arrive, in order."""
    done = asyncio.Event()

    async def healthy(line: ws.ServerConnection) -> None:
        assert [await line.recv() for _ in range(2)] == ["subscribe A", "subscribe B"]
        for tick in range(1, 201):
            await line.send(f"book A {tick} {tick + 1}")
            await asyncio.sleep(0)
        await done.wait()

    async def broken(line: ws.ServerConnection) -> None:
        for _ in range(200):
            await line.send("nonsense " * 20)
        await line.send("x" * 2_000)
        await line.wait_closed()

    async with ws.serve(healthy, "127.0.0.1", 0) as good, ws.serve(broken, "127.0.0.1", 0) as bad:
        stages = [Stage(), Stage()]
        made = [
            Line(
                Tiny,
                [Feed(0, "A"), Feed(1, "B")],
                put=stage.seen.append,
                clock=stage.clock,
                sleep=stage.sleep,
                library=library,
                endpoint=f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}",
            )
            for stage, server in zip(stages, (good, bad), strict=True)
        ]
        async with running(made[0]), running(made[1]), asyncio.timeout(10):
            while made[0].stats.observations < 200 or not made[1].stats.ended:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        done.set()
    assert [book.bid for book in stages[0].books()] == [float(tick) for tick in range(1, 201)]
    assert made[0].stats.refused == {}
    assert made[1].stats.refused["TOO_LARGE"] == 1
    assert made[1].stats.refused["UNKNOWN_MESSAGE"] >= 199, "picows does not hand over the frame before the last straw"
    assert made[1].stats.ended == {"TOO_LARGE": 1}
