"""A connection's frames: what is refused costs one frame, what is broken one connection, a flood only itself."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from oracle.collectors.pump import COOL_FRAMES, PAUSE_S, REQUESTS_MAX, SENDS_AT_ONCE
from oracle.core.types import NANOS_PER_MS
from oracle.errors import Refusal
from oracle.venues.base import Send
from tests.collectors.conftest import Shelf, Stage, Tiny, make, running

pytestmark = pytest.mark.anyio


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


class Narrow(Tiny):
    """A venue that is allowed a hundred frames a second."""

    frames_per_s_max = 100


async def flooded(stage: Stage, frames: int) -> None:
    """Frames come all at once, each with a price of its own."""
    for tick in range(1, frames + 1):
        stage.say(f"book A {tick} {tick + 1}")
    await stage.settle()


async def test_above_the_budget_the_latest_frame_waits_and_the_rest_is_dropped() -> None:
    stage = Stage()
    line = make(stage, Narrow, symbols=["A"])
    async with running(line):
        await stage.advance(5.0)
        await flooded(stage, 1_000)
        read = len(stage.books())
        assert 2 * COOL_FRAMES + 100 >= read >= 100
        assert [book.bid for book in stage.books()] == [float(tick) for tick in range(1, read + 1)]
        await stage.advance(0.1)
        assert stage.books()[-1].bid == 1_000.0, "the latest word is never lost"
        assert line.stats.dropped == 1_000 - read - 1
        assert line.stats.frames == 1_000
        assert len(stage.dials) == 1
        await stage.advance(5.0)
        stage.say("book A 7 8")
        assert stage.books()[-1].bid == 7.0


async def test_a_newer_frame_replaces_the_one_that_waits() -> None:
    stage = Stage()
    line = make(stage, Narrow, symbols=["A"])
    async with running(line):
        await stage.advance(5.0)
        await flooded(stage, 500)
        dropped = line.stats.dropped
        stage.clock.advance(50 * NANOS_PER_MS)
        stage.say("book A 777 778")
        assert stage.books()[-1].bid == 777.0
        assert line.stats.dropped == dropped + 1
        await stage.advance(1.0)
        assert stage.books()[-1].bid == 777.0, "what is older is not read after what is newer"


async def test_a_pace_within_the_budget_is_never_dropped_and_after_a_flood_again_free() -> None:
    stage = Stage()
    line = make(stage, Narrow, symbols=["A"])
    async with running(line):
        await stage.advance(1.0)
        for tick in range(1, 1_001):
            await stage.advance(0.011)
            stage.say(f"book A {tick} {tick + 1}")
        assert len(stage.books()) == 1_000
        for tick in range(1, 501):
            await stage.advance(0.04)
            stage.say(f"book A {tick} {tick + 1}")
        assert line.stats.dropped == 0
        assert len(stage.books()) == 1_500


async def test_a_book_that_is_kept_by_changes_is_worth_nothing_after_a_flood() -> None:
    class Keeping(Narrow):
        keeps_books = True

    stage = Stage()
    line = make(stage, Keeping, symbols=["A"])
    async with running(line):
        await stage.advance(5.0)
        await flooded(stage, 1_000)
        await stage.advance(2.0)
        assert (0, False, "FLOODED") in stage.links()
        assert len(stage.dials) == 2
    assert line.stats.ended["FLOODED"] == 1


async def test_far_too_many_bytes_stop_the_reading_for_a_moment() -> None:
    class Thin(Tiny):
        bytes_per_s_max = 1_000

    stage = Stage()
    calls: list[str] = []
    line = make(stage, Thin, symbols=["A"])
    async with running(line):
        await stage.advance(5.0)
        socket = stage.sockets[0]
        vars(socket).update(pause=lambda: calls.append("pause"), resume=lambda: calls.append("resume"))
        await flooded(stage, 500)
        assert calls == ["pause"]
        await stage.advance(PAUSE_S)
        assert calls == ["pause", "resume"]
        assert line.stats.dropped > 0


async def test_what_an_ailing_source_says_first_is_told_before_it_counts() -> None:
    stage = Stage()
    async with running(make(stage)):
        await stage.advance(0.5)
        stage.say("trade A 1")
        stage.say("book A 1 2")
        stage.say("ticker A 3")
        kinds = [type(one).__name__ for one in stage.seen]
        assert kinds == ["Link", "Link", "Trade", "BookTop", "Ticker"]


async def test_facts_are_counted_once_and_clocks_compared_now_and_then() -> None:
    stage = Stage()
    line = make(stage, symbols=["A"])
    async with running(line):
        for _ in range(100):
            await stage.advance(0.01)
            if stage.sockets:
                stage.say("timed A 1 2 -25")
        await stage.advance(0.5)
        assert line.stats.observations == len(stage.books())
        assert line.stats.offset_ns == 25 * NANOS_PER_MS
        assert line.stats.jitter_ns == 0
