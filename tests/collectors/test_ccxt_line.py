"""A source is carried by ccxt's stream while that lives, else by its REST, at once; nothing of ccxt is trusted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import respx
from structlog.testing import capture_logs

from oracle.clock import SystemClock
from oracle.collectors import ccxt_line, ccxt_stream
from oracle.collectors.ccxt_line import CcxtLine
from oracle.collectors.ccxt_stream import Ear
from oracle.collectors.liveness import Channel
from oracle.collectors.repair import Rung
from oracle.collectors.rest import Rest
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, BookTop, Link, Nanos, Observation, Side, Trade
from oracle.errors import LineError
from oracle.simulator.faults import Kind
from oracle.simulator.venue import VenueServer
from oracle.trial import peers
from oracle.venues.base import Feed
from tests.collectors.conftest import START_NS, Stage
from tests.collectors.fake_pro import START_MS, SYMBOL, FakePro, ticker, trade

pytestmark = pytest.mark.anyio
POLLED = 50.0  # the bid that only REST states


class Bench:
    """A line of one market, whose exchange objects are fakes and whose REST answers `answer`."""

    def __init__(self, rest: Rest, stage: Stage, *has: str, sources: Sequence[int] = (7,), **how: bool) -> None:
        self.stage, self.objects, self.asked_s = stage, list[FakePro](), list[float]()
        self.answer: Exception | list[Observation] | None = None
        self.slow = asyncio.Event()
        self.slow.set()
        self._has, self._how = has, how
        self._said = 0
        self.line = CcxtLine(
            "binance",
            [Feed(source, SYMBOL) for source in sources],
            put=stage.seen.append,
            clock=stage.clock,
            rest=rest,
            make=self._make,
            random=lambda: 1.0,
            sleep=stage.sleep,
        )
        self.line._poller.facts = self._facts  # type: ignore[method-assign]

    async def _make(self, ear: Ear) -> Any:
        self.objects.append(FakePro(*self._has, **self._how))
        return self.objects[-1]

    async def _facts(self, source: int) -> list[Observation]:
        self.asked_s.append(self.stage.now_s)
        await self.slow.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or [top(POLLED, self.stage.clock.now_ns(), source=source)]

    async def speak(self, seconds: float, gap_s: float = 0.1) -> None:
        """The stream ticks for a while."""
        for _ in range(round(seconds / gap_s)):
            self._said += 1
            self.objects[-1].say(ticker(100.0, update=self._said))
            await self.stage.advance(gap_s)

    def sides(self) -> list[bool]:
        """Of each book, whether REST has stated it."""
        return [fact.bid == POLLED for fact in self.stage.books()]


def top(bid: float, recv_ns: Nanos, venue_ns: Nanos = 0, source: int = 7) -> BookTop:
    return BookTop(source, bid, 1.0, bid + 1.0, 1.0, venue_ns, recv_ns)


@asynccontextmanager
async def running(line: CcxtLine) -> AsyncIterator[None]:
    task = asyncio.create_task(line.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def bench_of(*has: str, **how: Any) -> AsyncIterator[Bench]:
    stage = Stage()
    async with Rest(stage.clock) as rest:
        bench = Bench(rest, stage, *has, **how)
        async with running(bench.line):
            await stage.advance(0.01)
            yield bench


async def test_rest_carries_until_the_stream_speaks_and_is_not_asked_while_it_does() -> None:
    async with bench_of() as bench:
        await bench.stage.advance(3.0)
        assert bench.asked_s == [0.0, 2.0]
        assert bench.sides() == [True, True]
        await bench.speak(10.0)
        assert bench.asked_s == [0.0, 2.0]
        assert not any(bench.sides()[2:])
        assert bench.stage.links() == [(7, True, "")]
        stats = bench.line.stats
        assert (stats.polls, stats.of(7).carried, stats.of(7).rung) == (2, True, Rung.STREAM)
        assert stats.connected_since_ns == START_NS
    assert bench.stage.links()[-1] == (7, False, "STOPPED")
    assert (stats.connected_since_ns, stats.of(7).carried) == (0, False)
    assert [one.closed for one in bench.objects] == [True]


async def test_a_stream_that_falls_silent_is_closed_and_its_source_polled_at_once() -> None:
    async with bench_of() as bench:
        await bench.speak(8.0)
        silent_s = bench.stage.now_s
        with capture_logs() as logs:
            await bench.stage.advance(3.5)
        assert "venue.silent" in [log["event"] for log in logs]
        assert bench.objects[0].closed
        assert len(bench.objects) == 2
        assert bench.stage.links() == [(7, True, ""), (7, False, "SILENT"), (7, True, "")]
        assert silent_s + 2.5 <= bench.asked_s[-1] <= silent_s + 3.0
        assert bench.sides()[-1]
        assert bench.line.stats.ended == {"SILENT": 1}
        assert bench.line.stats.of(7).steps == {Rung.RECONNECTED: 1}


async def test_answers_over_rest_wind_no_clock_of_the_stream_and_it_is_tried_ever_less_often() -> None:
    async with bench_of() as bench:
        await bench.speak(8.0)
        await bench.stage.advance(700.0)
        assert len(bench.asked_s) >= 340
        assert len(bench.objects) == 5  # at once, then after one minute, two, four
        assert all(one.closed for one in bench.objects[:-1])
        assert bench.line.stats.of(7).rung is Rung.CCXT
        await bench.speak(60.0)
        assert bench.line.stats.of(7).rung is Rung.STREAM
        asked = len(bench.asked_s)
        await bench.speak(10.0)
        assert len(bench.asked_s) == asked
        assert bench.stage.links()[-1][1]


async def test_one_source_that_hangs_costs_its_neighbour_nothing() -> None:
    async with bench_of(sources=(7, 8)) as bench:
        await bench.stage.advance(1.5)  # two dials of one venue are a second apart
        lives, dies = bench.objects
        for turn in range(130):
            lives.say(ticker(100.0, update=turn))
            if turn < 80:
                dies.say(ticker(100.0, update=turn))
            await bench.stage.advance(0.1)
        assert bench.stage.links() == [(7, True, ""), (8, True, ""), (8, False, "SILENT"), (8, True, "")]
        assert (lives.closed, dies.closed, len(bench.objects)) == (False, True, 3)
        assert {fact.source for fact in bench.stage.books()[-30:] if fact.bid == POLLED} == {8}


async def test_a_book_that_is_only_repeated_is_silent() -> None:
    async with bench_of() as bench:
        await bench.speak(8.0)
        for _ in range(40):
            bench.objects[0].say(ticker(100.0, update=bench._said))
            await bench.stage.advance(0.1)
        assert bench.stage.links()[1] == (7, False, "SILENT")
        assert bench.line.stats.duplicates >= 25


async def test_trades_do_not_make_a_dead_book_look_alive() -> None:
    async with bench_of("watchBidsAsks", "watchTrades") as bench:
        await bench.speak(8.0)
        bench.objects[0].print(trade(0))
        for number in range(1, 40):
            await bench.stage.advance(0.1)
            bench.objects[0].print(trade(number))
        assert len([fact for fact in bench.stage.seen if isinstance(fact, Trade)]) >= 20
        assert bench.stage.links()[1] == (7, False, "SILENT")


async def test_a_book_that_its_own_trades_have_left_is_worth_nothing_however_often_it_is_said_again() -> None:
    async with bench_of("watchBidsAsks", "watchTrades") as bench:
        bench.objects[0].print(trade(0))
        for turn in range(80):
            bench.objects[0].say(ticker(100.0 + turn % 2, update=turn))
            await bench.stage.advance(0.1)
        bench.answer = [top(101.0, START_NS)]
        for turn in range(80, 300):
            bench.objects[0].say(ticker(101.0, update=turn))
            bench.objects[0].print(trade(turn))
            await bench.stage.advance(0.1)
            if bench.line.stats.ended:
                break
        assert bench.line.stats.ended == {"FROZEN": 1}
        assert bench.stage.links()[1] == (7, False, "FROZEN")


async def test_a_stream_whose_habit_is_not_known_is_stood_in_for_in_every_pause() -> None:
    async with bench_of() as bench:
        await bench.speak(0.3)
        await bench.stage.advance(10.0)
        assert len(bench.objects) == 1
        assert len(bench.asked_s) >= 4
        assert bench.stage.links() == [(7, True, "")]


async def test_a_stream_that_hangs_from_the_start_is_given_up_and_another_way_is_gone() -> None:
    async with bench_of("watchBidsAsks", "watchOrderBook") as bench:
        await bench.stage.advance(95.0)
        assert [one.asked[0] for one in bench.objects] == ["watchBidsAsks", "watchOrderBook"]
        assert bench.line.stats.of(7).carried
        assert all(bench.sides())


async def test_an_error_is_counted_and_dialled_after_a_wait() -> None:
    async with bench_of() as bench:
        await bench.speak(8.0)
        asked = len(bench.asked_s)
        error = ConnectionError("closed")
        error.__cause__ = LineError("BANNED", retry_after_s=20.0)
        bench.objects[0].fail(error)
        await bench.stage.advance(1.0)
        assert len(bench.asked_s) == asked + 1
        assert bench.line.stats.ended == {"BANNED": 1}
        assert bench.stage.links()[1:] == [(7, False, "BANNED"), (7, True, "")]
        await bench.stage.advance(19.5)
        assert len(bench.objects) == 1
        await bench.stage.advance(1.5)
        assert len(bench.objects) == 2


async def test_when_neither_answers_the_source_is_down_and_its_failures_are_named() -> None:
    async with bench_of() as bench:
        await bench.speak(8.0)
        bench.answer = LineError("TIMEOUT")
        with capture_logs():
            await bench.stage.advance(10.0)
        assert bench.stage.links() == [(7, True, ""), (7, False, "SILENT")]
        stats = bench.line.stats
        assert stats.ended["TIMEOUT"] >= 1
        assert (stats.of(7).carried, stats.connected_since_ns) == (False, 0)
        bench.answer = None
        await bench.stage.advance(40.0)
        assert bench.stage.links()[-1] == (7, True, "")


async def test_what_the_stream_says_while_an_answer_is_on_its_way_outranks_it() -> None:
    async with bench_of() as bench:
        bench.slow.clear()
        await bench.stage.advance(2.5)
        assert len(bench.asked_s) == 2
        await bench.speak(0.3)
        bench.slow.set()
        await bench.stage.advance(0.5)
        assert bench.sides()[-3:] == [False, False, False]
        assert bench.line.stats.duplicates == 1


async def test_an_answer_that_is_older_than_what_the_stream_said_does_not_count() -> None:
    async with bench_of() as bench:
        await bench.stage.advance(0.2)
        bench.objects[0].say(ticker(100.0, at_ms=START_MS + 200))
        bench.answer = [top(POLLED, START_NS, START_NS)]
        await bench.stage.advance(8.0)
        assert not any(bench.sides()[1:])
        bench.answer = [top(POLLED, START_NS, START_NS + NANOS_PER_S)]
        await bench.stage.advance(4.0)
        assert bench.sides()[-1]


async def test_a_close_that_hangs_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccxt_stream, "CLOSE_S", 0.01)
    async with bench_of(hangs_on_close=True) as bench:
        await bench.speak(8.0)
        await bench.stage.advance(3.5)
        assert bench.sides()[-1]
        assert len(bench.objects) == 2
        await asyncio.sleep(0.1)
        assert bench.line.stats.ended["UNCLOSED"] == 1
    assert not bench.line._stuck or all(task.done() for task in bench.line._stuck)


async def test_with_too_many_that_would_not_close_no_stream_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccxt_line, "STUCK_MAX", 0)
    async with bench_of() as bench:
        await bench.stage.advance(5.0)
        assert not bench.objects
        assert all(bench.sides())


async def test_a_line_that_was_held_up_judges_nobody() -> None:
    async with bench_of() as bench:
        await bench.speak(8.0)
        bench.stage.clock.advance(30 * NANOS_PER_S)
        bench.objects[0].say(ticker(100.0, update=9_999))
        await bench.stage.advance(0.3)
        assert bench.stage.links() == [(7, True, "")]
        assert len(bench.objects) == 1


class Loopback:
    """The fake Binance with its line, and what reached the inbox."""

    def __init__(self, server: VenueServer, line: CcxtLine, seen: Sequence[Observation]) -> None:
        self.server, self.line, self.seen = server, line, seen
        self._clock = SystemClock()
        self._said = 0

    async def until(self, is_so: Any) -> None:
        """The venue's market goes on until that is so."""
        async with asyncio.timeout(30):
            while not is_so():
                self._said += 1
                now_ns = self._clock.now_ns()
                bid = 60_000.0 + self._said % 2
                self.server.say(BookTop(0, bid, 1.5, bid + 0.5, 2.0, now_ns, now_ns))
                self.server.say(Trade(0, bid, 0.25, Side.SELL, now_ns, now_ns))
                await asyncio.sleep(0.02)

    def has_a_habit(self) -> bool:
        """Whether it is known how long the stream's book is usually silent."""
        return self.line._kept[0].keeper.liveness.pulses[Channel.BOOK][0].habit_ns() is not None

    def tops(self, *, polled: bool = False) -> list[BookTop]:
        return [fact for fact in self.seen if isinstance(fact, BookTop) and (fact.bid == POLLED) is polled]


@asynccontextmanager
async def loopback() -> AsyncIterator[Loopback]:
    clock, seen = SystemClock(), list[Observation]()
    with respx.mock(assert_all_called=False) as router:
        router.get(url__regex=r"http://127\.0\.0\.1:[0-9]+/api/v3/depth.*").respond(
            json={"lastUpdateId": 1, "bids": [[str(POLLED), "1"]], "asks": [[str(POLLED + 1), "1"]]}
        )
        router.get(url__regex=r"http://127\.0\.0\.1:[0-9]+/api/v3/.*rades.*").respond(json=[])
        async with VenueServer("binance", {"spot": [Feed(0, "BTCUSDT")]}, clock.now_ns) as server, Rest(clock) as rest:
            line = CcxtLine("binance", [Feed(0, SYMBOL)], put=seen.append, clock=clock, rest=rest, endpoint=server.url)
            exchange = line._poller._exchange
            exchange.set_markets([peers.market(exchange, "BTC")])
            async with running(line):
                yield Loopback(server, line, seen)


async def test_the_real_ccxt_reads_binances_dialect_falls_silent_and_is_dialled_again() -> None:
    async with loopback() as world:
        await world.until(lambda: any(isinstance(fact, Trade) for fact in world.seen) and world.has_a_habit())
        first = world.tops()[0]
        assert (first.bid_size, first.ask - first.bid, first.ask_size, first.venue_ns) == (1.5, 0.5, 2.0, 0)
        traded = next(fact for fact in world.seen if isinstance(fact, Trade))
        assert (traded.size, traded.side, traded.venue_ns % NANOS_PER_MS) == (0.25, Side.SELL, 0)
        assert abs(traded.venue_ns - traded.recv_ns) < 30 * NANOS_PER_S
        world.server.begin(Kind.GARBAGE)
        heard, polled = len(world.tops()), len(world.tops(polled=True))
        await world.until(lambda: len(world.tops()) > heard + 20)
        assert world.line.stats.refused["NOT_JSON"] >= 1
        world.server.begin(Kind.MUTE)  # the sockets go on standing
        dialled = world.server.dialled
        await world.until(lambda: world.server.dialled > dialled and len(world.tops(polled=True)) > polled)
        world.server.end(Kind.MUTE)
        heard = len(world.tops())
        await world.until(lambda: len(world.tops()) > heard + 20)
    reasons = [fact.reason for fact in world.seen if isinstance(fact, Link) and not fact.up]
    assert reasons[0] == "SILENT"
    assert world.line.stats.ended["SILENT"] >= 1
