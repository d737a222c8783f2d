"""A line is dialled, greeted, read, watched, renewed and dialled again; what goes wrong costs that line only."""

from __future__ import annotations

import asyncio

import pytest
import websockets.asyncio.server as ws
from structlog.testing import capture_logs

from oracle.collectors.line import Line
from oracle.collectors.liveness import Channel
from oracle.collectors.repair import Rung
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, BookTop
from oracle.errors import LineError
from oracle.venues.base import Feed
from tests.collectors.conftest import START_NS, Shelf, Stage, Tiny, make, running, spoken

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


async def test_one_of_two_symbols_that_dies_is_noticed_and_costs_its_neighbour_nothing() -> None:
    stage = Stage()
    line = make(stage)
    with capture_logs() as logs:
        async with running(line):
            last_s = await spoken(stage, 8.0, "A", "B")
            while stage.links()[-1][1]:
                stage.say("heartbeat")
                await spoken(stage, 0.05, "A")
            assert stage.links() == [(0, True, ""), (1, True, ""), (1, False, "SILENT")]
            assert stage.now_s - last_s <= 3.0
            assert stage.sockets[0].sent[-2:] == ["unsubscribe B", "subscribe B"]
            stage.say("book B 1 2")
            assert stage.links()[-1] == (1, True, "RESUBSCRIBED")
            assert stage.books()[-1].source == 1
            await spoken(stage, 40.0, "A", "B")
    assert len(stage.dials) == 1
    repairs = line.stats.repairs
    assert (repairs[0].steps, repairs[1].steps) == ({}, {"RESUBSCRIBED": 1})
    assert (repairs[1].rung, repairs[1].last_ns) == (Rung.STREAM, START_NS + int((last_s + 2.75) * NANOS_PER_S))
    assert [log["symbol"] for log in logs if log["event"] == "venue.silent"] == ["B"]


async def test_a_repair_that_does_not_help_is_followed_by_a_connection_beside_the_old_one() -> None:
    stage = Stage()
    line = make(stage)
    async with running(line):
        await spoken(stage, 8.0, "A", "B")
        while len(stage.sockets) < 2:
            stage.say("book A 1 2")
            await stage.advance(0.1)
        old, new = stage.sockets
        for _ in range(20):
            old.handler.on_frame(b"book A 1 2")
            await stage.advance(0.05)
        assert not old.closed, "the new one has not delivered yet"
        new.handler.on_frame(b"book A 3 4")
        new.handler.on_frame(b"book B 3 4")
        await stage.advance(0.5)
        assert old.closed
        assert not new.closed
        assert stage.links()[2:] == [(1, False, "SILENT"), (1, True, "RECONNECTED")]
        await spoken(stage, 40.0, "A", "B")
        assert len(stage.dials) == 2
    assert line.stats.ended["SILENT"] == 1
    assert line.stats.repairs[1].steps == {"RESUBSCRIBED": 1, "RECONNECTED": 1}


async def test_a_silent_venue_is_polled_and_tried_until_it_speaks_again() -> None:
    stage, shelf = Stage(), Shelf(A=b"book A 5 6")
    line = make(stage, symbols=["A"], rest=shelf, endpoints=["wss://other.example"])
    async with running(line):
        await spoken(stage, 8.0, "A")
        silent_s = stage.now_s
        while shelf.asked == []:
            await stage.advance(0.25)
        await stage.settle()
        assert stage.now_s - silent_s < 30.0
        assert stage.links()[1:] == [(0, False, "SILENT"), (0, True, "REST")]
        assert stage.books()[-1] == BookTop(0, 5.0, 1.0, 6.0, 1.0, 0, stage.clock.now_ns())
        assert stage.dials[-1][1].startswith("wss://other.example/")
        assert list(line.stats.repairs[0].steps) == ["RESUBSCRIBED", "RECONNECTED", "ALTERNATE", "REST"]
        asked = len(shelf.asked)
        await stage.advance(20.0)
        assert 8 <= len(shelf.asked) - asked <= 10, "politely"
        dials = len(stage.dials)
        await stage.advance(120.0)
        assert len(stage.dials) > dials, "the better line is tried in the background"
        asked = len(shelf.asked)
        await spoken(stage, 40.0, "A")
        assert len(shelf.asked) - asked <= 1
        assert line.stats.repairs[0].rung is Rung.STREAM
        assert len(stage.links()) == 3


async def test_a_line_that_cannot_be_dialled_is_polled_too() -> None:
    stage, shelf = Stage(), Shelf(A=b"book A 5 6")
    line = make(stage, symbols=["A"], rest=shelf)
    async with running(line):
        await spoken(stage, 8.0, "A")
        stage.refuse = LineError("UNREACHABLE", "no route")
        stage.sockets[0].handler.on_close(1006, "")
        await stage.advance(15.0)
        assert stage.links()[1:] == [(0, False, "CLOSED"), (0, True, "REST")]
        stage.refuse = None
        await stage.advance(60.0)
        await spoken(stage, 40.0, "A")
        stage.sockets[-1].handler.on_close(1006, "")
        await stage.settle()
        assert stage.links()[3:] == [(0, False, "CLOSED")], "by then it was carried by the stream alone"


async def test_a_connection_is_renewed_ahead_of_its_end_without_a_moment_between() -> None:
    stage = Stage()
    line = make(stage, symbols=["A"])
    async with running(line):
        await spoken(stage, 40.0, "A")
        while len(stage.dials) == 1:
            stage.say("book A 1 2")
            await stage.advance(2.0)
        assert 0.85 * 3600 <= stage.dials[1][0] <= 0.95 * 3600
        old, new = stage.sockets
        assert old.sent.count("are you there") == pytest.approx(stage.dials[1][0] / 20, abs=3)
        for tick in range(8):
            old.handler.on_frame(f"timed A {tick + 1} 20 {tick}".encode())
            if tick >= 4:
                new.handler.on_frame(f"timed A {tick + 1} 20 {tick}".encode())
            await stage.advance(0.1)
        assert (old.closed, new.closed) == (True, False)
        assert [book.bid for book in stage.books()[-8:]] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], "each once"
        assert stage.links() == [(0, True, "")]
        assert line.stats.ended == {"RENEWED": 1}
        assert line.stats.duplicates > 0


async def test_a_renewal_that_brings_nothing_is_given_up_and_tried_again() -> None:
    stage = Stage()
    line = make(stage, symbols=["A"])
    async with running(line):
        await spoken(stage, 40.0, "A")
        while len(stage.dials) < 3:
            stage.sockets[0].handler.on_frame(b"book A 1 2")
            await stage.advance(1.0)
        assert not stage.sockets[0].closed
        assert stage.sockets[1].closed
        assert line.stats.ended == {"NO_BETTER": 1}
        assert stage.links() == [(0, True, "")]


async def test_a_frozen_book_is_repaired_like_a_silent_one_and_its_restatements_do_not_count() -> None:
    stage = Stage()
    line = make(stage, symbols=["A"])
    async with running(line):
        for tick in range(200):
            await stage.advance(0.05)
            stage.say(f"book A {1 + tick % 2} 4")
        while stage.links()[-1][1]:
            stage.say("book A 1 2")
            stage.say("trade A 3")
            await stage.advance(0.5)
            assert stage.now_s < 60.0
        assert stage.links()[-1] == (0, False, "FROZEN")
        books = len(stage.books())
        stage.say("book A 1 2")
        assert len(stage.books()) == books
        stage.say("book A 2.9 3.1")
        assert stage.links()[-1][1]
        assert stage.books()[-1].bid == 2.9


async def test_trades_that_cease_beside_a_living_book_are_asked_for_again() -> None:
    stage = Stage()
    line = make(stage, symbols=["A"])
    async with running(line):
        await stage.advance(0.1)
        for _ in range(100):
            stage.say("trade A 1.5")
            await spoken(stage, 1.0, "A", gap_s=0.2)
        await spoken(stage, 70.0, "A", gap_s=0.2)
        assert stage.sockets[0].sent.count("unsubscribe A") == 1
        assert stage.sockets[0].sent.count("subscribe A") == 2
        assert stage.links() == [(0, True, "")], "the book lives"
        assert line.stats.repairs[0].steps == {"RESUBSCRIBED": 1}
        await spoken(stage, 300.0, "A", gap_s=0.2)
        assert line.stats.repairs[0].steps == {"RESUBSCRIBED": 1, "RECONNECTED": 1}
        assert stage.links() == [(0, True, "")]


async def test_a_venue_whose_timestamps_drift_gets_one_new_connection() -> None:
    stage = Stage()
    line = make(stage, symbols=["A"])
    async with running(line):
        await stage.advance(0.1)
        for tick in range(700):
            late_ms = 0 if tick < 400 else 2_000
            stage.say(f"timed A 1 2 {-late_ms - 30}")
            await stage.advance(0.1)
        assert line.stats.drifts == 1
        assert len(stage.dials) == 2
        assert line.stats.offset_ns == 30 * NANOS_PER_MS
        for tick in range(3_000):
            stage.say(f"timed A 1 2 {-2_030 - 2_000 * (tick // 600 % 2)}")
            await stage.advance(0.1)
        assert len(stage.dials) == 2


async def test_a_line_that_was_held_up_itself_blames_nobody() -> None:
    stage = Stage()
    line = make(stage, symbols=["A"])
    async with running(line):
        await spoken(stage, 8.0, "A")
        stage.clock.advance(10 * NANOS_PER_S)
        await stage.advance(0.0)
        await spoken(stage, 3.0, "A")
    assert stage.links() == [(0, True, ""), (0, False, "STOPPED")]


async def test_when_the_old_connection_ends_first_the_new_one_takes_over_at_once() -> None:
    stage = Stage()
    line = make(stage, symbols=["A"])
    async with running(line):
        await spoken(stage, 40.0, "A")
        while len(stage.sockets) == 1:
            stage.say("book A 1 2")
            await stage.advance(2.0)
        stage.sockets[0].handler.on_close(1006, "")
        await stage.advance(0.5)
        assert stage.links() == [(0, True, "")], "the new connection carries it already"
        stage.say("book A 3 4")
        assert stage.books()[-1].bid == 3.0
        await stage.advance(2.0)
        assert len(stage.dials) == 2
        assert line.stats.connected_since_ns > 0


async def test_a_relief_that_ends_or_cannot_be_dialled_leaves_the_old_connection_alone() -> None:
    stage = Stage()
    line = make(stage, symbols=["A"])
    async with running(line):
        await spoken(stage, 40.0, "A")
        old = stage.sockets[0].handler
        while len(stage.sockets) == 1:
            old.on_frame(b"book A 1 2")
            await stage.advance(2.0)
        stage.sockets[1].handler.on_close(1006, "")
        stage.refuse = LineError("UNREACHABLE", "no route")
        dials = len(stage.dials)
        while len(stage.dials) == dials:
            old.on_frame(b"book A 1 2")
            await stage.advance(2.0)
        old.on_frame(b"book A 5 6")
        assert stage.books()[-1].bid == 5.0
        assert stage.links() == [(0, True, "")]


async def test_a_newer_connection_has_the_word_about_what_ailed() -> None:
    stage = Stage()
    async with running(make(stage)):
        await spoken(stage, 8.0, "A", "B")
        while len(stage.sockets) < 2:
            stage.say("book A 1 2")
            await stage.advance(0.1)
        old, new = stage.sockets
        new.handler.on_frame(b"book B 3 4")
        old.handler.on_frame(b"book B 1 2")
        assert stage.books()[-1].bid == 3.0


async def test_our_own_mistakes_are_told_and_end_neither_the_watch_nor_in_a_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage()
    line = make(stage, symbols=["A"])

    def broken(*_: object) -> None:
        raise RuntimeError("our own mistake")

    async with asyncio.timeout(5):
        task = asyncio.create_task(line.run())
        await stage.advance(0.3)
        with capture_logs() as logs:
            monkeypatch.setattr(line._keeper, "look", broken)
            await stage.advance(0.6)
            assert [log["event"] for log in logs] == ["line.broken"] * 2
            monkeypatch.setattr(line._dialler, "over", broken)
            stage.sockets[0].handler.on_close(1006, "")
        with pytest.raises(RuntimeError, match="our own mistake"):
            await task
    assert stage.links()[-1][1] is False


async def test_a_rate_that_is_stated_outlives_the_silence_of_its_line() -> None:
    stage = Stage()
    line = make(stage, symbols=["A"], alive_by={0: Channel.TICKER})
    async with running(line):
        await stage.advance(0.1)
        for _ in range(100):
            stage.say("ticker A 7.8")
            await stage.advance(0.1)
        await stage.advance(5.0)
        assert "unsubscribe A" in stage.sockets[0].sent
        assert stage.links() == [(0, True, "")], "it has a time of its own by which it ages"
        stage.say("ticker A 7.9")
        await stage.advance(1.0)
        assert line.stats.repairs[0].steps["RESUBSCRIBED"] == 1


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
