"""When and where a line dials: backoff, the venue's wishes, its endpoints, and the ticket that some want first."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from oracle.errors import LineError, Refusal, VenueError
from oracle.venues.base import Request
from tests.collectors.conftest import Shelf, Stage, Tiny, make, running, spoken

pytestmark = pytest.mark.anyio


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


@pytest.mark.parametrize(
    ("reason", "retry_after_s", "wait_s"),
    [("RATE_LIMITED", 40.0, 40.0), ("RATE_LIMITED", 0.0, 30.0), ("BANNED", 0.0, 120.0), ("BANNED", 300.0, 300.0)],
)
async def test_a_venue_that_asks_for_time_gets_it_at_every_address(
    reason: str, retry_after_s: float, wait_s: float
) -> None:
    stage, shelf = Stage(), Shelf(A=b"book A 5 6")
    stage.refuse = LineError(reason, "HTTP", status=429, retry_after_s=retry_after_s)
    async with running(make(stage, symbols=["A"], rest=shelf, endpoints=["wss://other.example"])):
        await stage.advance(wait_s - 0.1)
        assert len(stage.dials) == 1
        assert bool(shelf.asked) == (reason == "RATE_LIMITED"), "whoever is banned asks nothing at all"
        await stage.advance(2.0)
        assert len(stage.dials) == 2


async def test_an_endpoint_that_is_no_more_is_left_for_the_next() -> None:
    stage = Stage()
    line = make(stage, symbols=["A"], endpoints=["wss://new.example"])
    with capture_logs() as logs:
        async with running(line):
            await spoken(stage, 8.0, "A")
            stage.sockets[0].handler.on_close(1000, "This API is deprecated")
            await stage.advance(3.0)
            assert stage.dials[-1][1] == "wss://new.example/stream?v=2"
            assert (0, False, "ENDPOINT_RETIRED") in stage.links()
    assert line.stats.ended["ENDPOINT_RETIRED"] == 1
    assert [log["event"] for log in logs].count("venue.endpoint_retired") == 1


async def test_an_only_endpoint_that_is_no_more_is_tried_rarely_and_the_source_polled() -> None:
    stage, shelf = Stage(), Shelf(A=b"book A 5 6")
    line = make(stage, symbols=["A"], rest=shelf)
    async with running(line):
        for _ in range(3_000):
            await stage.advance(0.25)
            if not stage.sockets[-1].closed:
                await stage.sockets[-1].close()
        assert line.stats.ended["ENDPOINT_RETIRED"] == 1
        assert len(stage.dials) == 5, "three that made it known, one after a minute and one after eight more"
        assert stage.links()[-1] == (0, True, "REST")


async def test_the_home_endpoint_is_taken_again_when_it_delivers() -> None:
    stage = Stage()
    stage.refuse = LineError("UNREACHABLE", "no route")
    line = make(stage, symbols=["A"], endpoints=["wss://other.example"])
    async with running(line):
        await stage.advance(2.5)
        stage.refuse = None
        await stage.advance(3.0)
        assert "other" in stage.dials[-1][1]
        assert line.stats.endpoint == "wss://other.example"
        await spoken(stage, 150.0, "A", gap_s=0.5)
        assert "tiny" in stage.dials[-1][1]
        stage.say("book A 1 2")
        await stage.advance(1.0)
        assert line.stats.endpoint == ""
        assert stage.links()[-1] == (0, True, "")


class Ticketed(Tiny):
    """A venue that gives its address on request."""

    place = "nowhere"

    def url(self) -> str:
        return f"wss://{self.place}.example/stream"

    def ticket(self) -> Request | None:
        return Request("https://tiny.example/pass", "", "POST", '{"who":"us"}')

    def admit(self, body: bytes) -> None:
        if body == b"no":
            raise VenueError(Refusal.VENUE_ERROR, "go away")
        self.place = body.decode()


async def test_a_ticket_is_asked_for_before_every_dial() -> None:
    stage, shelf = Stage(), Shelf(**{"pass": b"front"})
    async with running(make(stage, Ticketed, symbols=["A"], rest=shelf)):
        await stage.advance(0.5)
        assert stage.dials[-1][1] == "wss://front.example/stream"
        shelf.bodies["pass"] = b"back"
        stage.sockets[-1].handler.on_close(1006, "")
        await stage.advance(2.0)
        assert stage.dials[-1][1] == "wss://back.example/stream"
        assert shelf.asked == ["https://tiny.example/pass"] * 2


@pytest.mark.parametrize(("bodies", "reason"), [({"pass": b"no"}, "TICKET"), ({}, "REFUSED")])
async def test_without_a_ticket_nobody_is_dialled(bodies: dict[str, bytes], reason: str) -> None:
    stage = Stage()
    line = make(stage, Ticketed, symbols=["A"], rest=Shelf(**bodies))
    async with running(line):
        await stage.advance(5.0)
        assert stage.dials == []
        assert stage.links() == [(0, False, reason)]
        assert line.stats.ended[reason] > 1


async def test_what_one_line_is_told_to_wait_all_lines_of_the_venue_wait() -> None:
    stage = Stage()
    first = make(stage, symbols=["A"])
    second = make(stage, symbols=["A"], budget=first._budget)
    stage.refuse = LineError("RATE_LIMITED", "HTTP 429", status=429, retry_after_s=60.0)
    async with running(first):
        await stage.advance(0.5)
        stage.refuse = None
        async with running(second):
            await stage.advance(55.0)
            assert len(stage.dials) == 1
            await stage.advance(10.0)
            assert len(stage.dials) == 3
            assert stage.dials[2][0] - stage.dials[1][0] >= 1.0


async def test_only_a_connection_that_delivered_for_a_minute_forgives() -> None:
    stage = Stage()
    line = make(stage, symbols=["A"], random=lambda: 1.0)
    async with running(line):
        for _ in range(12):
            while not stage.sockets or stage.sockets[-1].closed:
                await stage.advance(0.5)
            await stage.advance(61.0)
            stage.sockets[-1].handler.on_close(1006, "")
            await stage.settle()
        closed_s = stage.now_s
        await stage.advance(40.0)
        mute_wait_s = stage.dials[-1][0] - closed_s
        assert mute_wait_s > 10.0, "it stood for a minute each time, and said nothing"
        await spoken(stage, 61.0, "A", gap_s=0.5)
        await stage.sockets[-1].close()
        closed_s = stage.now_s
        await stage.advance(2.0)
        assert stage.dials[-1][0] - closed_s <= 1.0
