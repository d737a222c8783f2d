"""What stands in for a silent stream: asked politely, told honestly, outranked by the stream itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from oracle.clock import ManualClock
from oracle.collectors.poller import ASK_GAP_NS, POLL_NS, Poller, Told
from oracle.collectors.repair import Rung
from oracle.collectors.stats import LineStats
from oracle.core.types import NANOS_PER_S, BookTop, Nanos, Observation
from oracle.errors import LineError
from oracle.venues.base import Feed, Request, Session
from tests.collectors.conftest import START_NS, Shelf, Tiny

pytestmark = pytest.mark.anyio
REST = {0: Rung.REST}


class Spare:
    """ccxt as a line's poller sees it."""

    def __init__(self, facts: Sequence[Observation], error: Exception | None = None) -> None:
        self.said, self.error, self.closed = list(facts), error, False

    async def facts(self, source: int) -> list[Observation]:
        if self.error:
            raise self.error
        return self.said

    async def aclose(self) -> None:
        self.closed = True


class Table:
    """A poller with everything around it."""

    def __init__(self, bodies: dict[str, bytes], session: type[Session] = Tiny, spare: Spare | None = None) -> None:
        self.clock, self.shelf, self.stats = ManualClock(START_NS), Shelf(**bodies), LineStats("tiny", (0, 1))
        self.answers: list[tuple[int, Rung, BookTop]] = []
        self.failures: list[tuple[int, Rung, str]] = []
        self.heard_ns: Nanos = 0

        async def made() -> Any:
            return spare

        self.poller = Poller(
            session([Feed(0, "A"), Feed(1, "B")]),
            Told(self.answered, lambda *failure: self.failures.append(failure), lambda source: self.heard_ns),
            rest=self.shelf,
            rest_base=None,
            spare=made if spare else None,
            clock=self.clock,
            stats=self.stats,
            random=lambda: 1.0,
        )

    def answered(self, source: int, rung: Rung, facts: Sequence[Any]) -> None:
        self.answers += [(source, rung, fact) for fact in facts]

    async def look(self, wanted: dict[int, Rung], seconds: float = 0.0) -> None:
        """Let time pass, look every quarter of a second, and let answers come in."""
        for _ in range(max(1, round(seconds * 4))):
            self.poller.look(wanted, self.clock.now_ns())
            for _ in range(6):
                await asyncio.sleep(0)
            self.clock.advance(NANOS_PER_S // 4)

    @property
    def asked(self) -> list[str]:
        return [url.rsplit("/", 1)[1] for url in self.shelf.asked]


async def test_a_symbol_is_asked_for_every_two_seconds_and_two_in_turn() -> None:
    table = Table({"A": b"book A 1 2", "B": b"book B 3 4"})
    await table.look(REST, 10.0)
    assert table.asked == ["A"] * 5
    await table.look({0: Rung.REST, 1: Rung.REST}, 8.0)
    assert (table.asked[5:].count("A"), table.asked[5:].count("B")) == (4, 4)
    assert (POLL_NS, ASK_GAP_NS) == (2 * NANOS_PER_S, NANOS_PER_S // 2)
    assert table.stats.polls == len(table.asked) == 13


async def test_an_answer_has_the_time_of_its_receipt_and_the_venues_own_where_it_is_stated() -> None:
    table = Table({"A": b"timed A 1 2 -700"})
    table.shelf.open.clear()
    await table.look(REST)
    table.shelf.open.set()
    table.clock.advance(NANOS_PER_S)
    answer_ns = table.clock.now_ns()
    await table.look({})
    assert table.answers == [
        (0, Rung.REST, BookTop(0, 1.0, 1.0, 2.0, 1.0, answer_ns - 7 * NANOS_PER_S // 10, answer_ns))
    ]


async def test_one_question_is_on_its_way_at_a_time() -> None:
    table = Table({"A": b"book A 1 2"})
    table.shelf.open.clear()
    await table.look({0: Rung.REST, 1: Rung.REST}, 20.0)
    assert len(table.asked) == 1
    await table.poller.aclose()


async def test_what_the_stream_says_outranks_what_was_asked_before() -> None:
    table = Table({"A": b"book A 1 2"})
    table.shelf.open.clear()
    await table.look(REST)
    table.heard_ns = table.clock.now_ns()
    table.shelf.open.set()
    await table.look({})
    assert table.answers == []
    await table.look(REST, 0.75)
    assert len(table.asked) == 1, "a stream that has just spoken needs no substitute"
    await table.look(REST, 2.0)
    assert len(table.answers) == 1, "one that leaves a hole does"


async def test_an_answer_older_than_the_one_before_is_not_told() -> None:
    table = Table({"A": b"timed A 1 2 0"})
    await table.look(REST)
    table.shelf.bodies["A"] = b"timed A 3 4 -60000"
    await table.look(REST, 3.0)
    assert [fact.bid for _, _, fact in table.answers] == [1.0]
    table.shelf.bodies["A"] = b"timed A 5 6 0"
    await table.look(REST, 3.0)
    assert table.answers[-1][2].bid == 5.0


async def test_failures_are_named_logged_once_a_minute_and_asked_again_later_and_later() -> None:
    table = Table({})
    with capture_logs() as logs:
        await table.look(REST, 55.0)
    assert set(table.failures) == {(0, Rung.REST, "REFUSED")}
    assert 6 <= len(table.asked) <= 15, "less often than every two seconds"
    assert table.stats.ended == {"REST:REFUSED": len(table.asked)}
    assert len(logs) == 1
    table.shelf.bodies["A"] = b"book A 1 2"
    await table.look(REST, 40.0)
    asked = len(table.asked)
    await table.look(REST, 10.0)
    assert len(table.asked) == asked + 5, "an answer forgives"


async def test_a_refused_answer_is_counted_as_what_is_wrong_with_it() -> None:
    table = Table({"A": b"nonsense"})
    await table.look(REST)
    assert table.failures == [(0, Rung.REST, "UNKNOWN_MESSAGE")]
    assert table.stats.refused == {"UNKNOWN_MESSAGE": 1}


async def test_a_venue_that_wants_to_be_left_alone_is() -> None:
    table = Table({"A": b"book A 1 2"})
    table.poller.hold(START_NS + 30 * NANOS_PER_S)
    await table.look(REST, 29.0)
    assert table.asked == []
    await table.look(REST, 3.0)
    assert table.asked == ["A"]


async def test_a_venue_that_asks_for_time_gets_it() -> None:
    table = Table({"A": b"book A 1 2"})

    async def limited(request: Request) -> bytes:
        table.shelf.asked.append(request.url)
        raise LineError("RATE_LIMITED", "HTTP 429", status=429, retry_after_s=20.0)

    table.poller._rest = type("Limited", (), {"ask": staticmethod(limited)})()
    await table.look(REST, 20.0)
    assert len(table.asked) == 1


async def test_ccxt_is_asked_where_rest_has_failed() -> None:
    top = BookTop(0, 7.0, 1.0, 8.0, 1.0, 0, START_NS)
    spare = Spare([top])
    table = Table({}, spare=spare)
    await table.look({0: Rung.CCXT})
    assert table.answers == [(0, Rung.CCXT, top)]
    spare.error = RuntimeError("whatever ccxt raises")
    await table.look({0: Rung.CCXT}, 3.0)
    assert table.failures == [(0, Rung.CCXT, "RuntimeError")]
    assert table.asked == []
    await table.poller.aclose()
    assert spare.closed


async def test_the_substitutes_are_those_that_the_venue_has() -> None:
    class Poor(Tiny):
        def poll(self, symbol: str) -> Request | None:
            return None

    class Wrong(Tiny):
        def poll(self, symbol: str) -> Request | None:
            raise RuntimeError("a venue file's mistake")

    assert Table({}).poller.rungs(0) == (Rung.REST,)
    assert Table({}, Poor).poller.rungs(0) == ()
    assert Table({}, Wrong).poller.rungs(0) == ()
    assert Table({}, Poor, Spare([])).poller.rungs(0) == (Rung.CCXT,)
    with pytest.raises(LineError, match="no REST"):
        await Table({}, Poor).poller._by_rest(0)


async def test_a_session_refuses_what_is_not_its_own() -> None:
    table = Table({"A": b"book B 1 2"})
    table.poller._session = Tiny([Feed(0, "A")])
    await table.look(REST)
    assert table.stats.refused == {"UNKNOWN_SYMBOL": 1}
