"""Of what ccxt.pro hands out only news is believed, and of its times only those that it did not read from our clock."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from oracle.collectors import ccxt_stream
from oracle.collectors.ccxt_stream import TRADES_AGAIN_S, TRADES_KNOWN, Ear, Stream
from oracle.collectors.stats import LineStats
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, BookTop, Side, Trade
from oracle.errors import LineError, Refusal, VenueError
from oracle.venues.base import Feed
from tests.collectors.conftest import START_NS, Stage
from tests.collectors.fake_pro import START_MS, SYMBOL, FakePro, book, ticker, trade

pytestmark = pytest.mark.anyio
BOOK, TICKER, TRADES = "watchOrderBook", "watchTicker", "watchTrades"


class Bench:
    """A stream of one market with its world replaced."""

    def __init__(self, exchange: FakePro, attempt: int = 0) -> None:
        self.stage, self.exchange = Stage(), exchange
        self.facts: list[BookTop | Trade] = []
        self.stats = LineStats("binance", (7,))
        self.ear: Ear
        self.stream = Stream(
            Feed(7, SYMBOL),
            lambda stream, fact: self.facts.append(fact),
            make=self._make,
            attempt=attempt,
            clock=self.stage.clock,
            stats=self.stats,
            sleep=self.stage.sleep,
        )
        self.stream.start()

    async def _make(self, ear: Ear) -> Any:
        self.ear = ear
        return self.exchange

    async def say(self, message: dict[str, Any], way: str = "watchBidsAsks") -> None:
        await self.stage.advance(0.05)
        self.exchange.say(message, way)
        await self.stage.advance(0.05)

    async def print(self, *trades: dict[str, Any]) -> None:
        await self.stage.advance(0.05)
        self.exchange.print(*trades)
        await self.stage.advance(0.05)

    def bids(self) -> list[float]:
        return [fact.bid for fact in self.facts if isinstance(fact, BookTop)]

    def ending(self) -> str:
        ending = self.stream.ending(self.stage.clock.now_ns())
        return ending.reason if ending else ""


@pytest.fixture
async def benches() -> AsyncIterator[list[Bench]]:
    made: list[Bench] = []
    yield made
    for bench in made:
        if not bench.stream._closed:
            await bench.stream.close()


@pytest.fixture
def bench_of(benches: list[Bench]) -> Any:
    def make(*has: str, attempt: int = 0, **how: bool) -> Bench:
        benches.append(Bench(FakePro(*has, **how), attempt))
        return benches[-1]

    return make


async def test_a_best_bid_and_ask_is_a_top_with_the_exchanges_own_time(bench_of: Any) -> None:
    bench = bench_of()
    await bench.say(ticker(100.0, at_ms=START_MS - 30))
    at_ns = START_NS + 50 * NANOS_PER_MS
    assert bench.facts == [BookTop(7, 100.0, 2.0, 101.0, 3.0, START_NS - 30 * NANOS_PER_MS, at_ns)]
    assert (bench.stats.frames, bench.stats.last_frame_ns) == (1, at_ns)


async def test_a_time_that_is_absent_or_was_read_from_our_own_clock_is_not_stated(bench_of: Any) -> None:
    bench = bench_of()
    await bench.say(ticker(100.0, at_ms=None, update=1))
    await bench.say(ticker(100.0, at_ms=bench.ear.times.now_ms(), update=2))
    await bench.say(ticker(100.0, at_ms=bench.ear.times.now_ms() - 1, update=3))
    assert [fact.venue_ns > 0 for fact in bench.facts] == [False, False, True]


async def test_the_same_again_is_no_news(bench_of: Any) -> None:
    bench = bench_of()
    for _ in range(3):
        await bench.say(ticker(100.0, at_ms=START_MS, update=5))
    assert bench.bids() == [100.0]
    assert bench.stats.duplicates == 2
    await bench.say(ticker(100.0, at_ms=START_MS, update=6))
    assert bench.bids() == [100.0, 100.0], "the venue has said it again"


async def test_a_book_that_changes_in_place_is_news_and_one_that_is_returned_again_is_not(bench_of: Any) -> None:
    bench = bench_of(BOOK)
    kept = book(100.0, 101.0)
    await bench.say(kept, BOOK)
    await bench.say(kept, BOOK)
    kept["bids"][0][1] = 4.0
    await bench.say(kept, BOOK)
    kept["bids"].append([99.0, 1.0])
    await bench.say(kept, BOOK)
    kept["nonce"] = 8
    await bench.say(kept, BOOK)
    assert [fact.bid_size for fact in bench.facts] == [2.0, 4.0, 4.0, 4.0]
    assert bench.stats.duplicates == 1


async def test_what_is_older_than_what_was_said_before_does_not_count(bench_of: Any) -> None:
    bench = bench_of(BOOK)
    for bid, at_ms, nonce in (
        (1.0, START_MS, 10),
        (2.0, START_MS - 1, 11),  # an earlier time
        (3.0, None, 9),  # no time, and a lower number
        (4.0, START_MS, 9),
        (5.0, START_MS + 1, 2),  # numbers begin anew, at a later time
        (6.0, START_MS + 1, 3),
    ):
        await bench.say(book(bid, 101.0, at_ms=at_ms, nonce=nonce), BOOK)
    assert bench.bids() == [1.0, 5.0, 6.0]
    assert bench.stats.duplicates == 3


async def test_a_time_of_another_minute_is_refused_for_it_says_that_the_stream_is_old(bench_of: Any) -> None:
    bench = bench_of()
    for off_ms in (-61_000, 62_000, -START_MS + START_MS // 1_000):
        await bench.say(ticker(100.0, at_ms=START_MS + off_ms))
    assert not bench.facts
    assert bench.stats.refused == {"TIME_UNIT": 3}


async def test_a_tickers_time_is_believed_for_order_only(bench_of: Any) -> None:
    bench = bench_of(TICKER)
    await bench.say(ticker(100.0, at_ms=START_MS - 3_600_000), TICKER)
    await bench.say(ticker(102.0, at_ms=START_MS - 3_600_001), TICKER)
    assert [(fact.bid, fact.venue_ns) for fact in bench.facts] == [(100.0, 0)]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (ticker(100.0, symbol="ETH/USDT"), "UNKNOWN_SYMBOL"),
        (ticker(100.0, ask=None), "NOT_A_NUMBER"),
        (ticker(100.0, bidVolume=True), "NOT_A_NUMBER"),
        (ticker(float("nan")), "NOT_A_NUMBER"),
        (ticker(-1.0), "NOT_POSITIVE"),
        ([100.0, 101.0], "WRONG_SHAPE"),
    ],
)
async def test_what_is_no_top_of_this_market_is_refused_by_name(bench_of: Any, said: Any, reason: str) -> None:
    bench = bench_of()
    await bench.say(said)
    await bench.say(ticker(50.0))
    assert bench.stats.refused == {reason: 1}
    assert bench.bids() == [50.0]


async def test_a_book_that_is_not_filled_yet_is_no_empty_market(bench_of: Any) -> None:
    bench = bench_of(BOOK)
    await bench.say({"bids": [], "asks": [], "timestamp": None, "nonce": None}, BOOK)
    await bench.say({"bids": [], "asks": [[101.0, 1.0]], "timestamp": None, "nonce": None}, BOOK)
    assert bench.bids() == [0.0]
    assert bench.stats.refused == {"WRONG_SHAPE": 1}


async def test_a_kept_book_that_stands_crossed_has_lost_a_change(bench_of: Any) -> None:
    bench = bench_of(BOOK)
    await bench.say(book(102.0, 101.0, nonce=1), BOOK)
    await bench.say(book(100.0, 101.0, nonce=2), BOOK)
    await bench.say(book(102.0, 101.0, nonce=3), BOOK)
    assert bench.ending() == ""
    await bench.stage.advance(0.5)
    assert bench.ending() == "CROSSED"


async def test_the_latest_is_read_where_ccxt_keeps_it(bench_of: Any) -> None:
    bench = bench_of()
    await bench.stage.advance(0.05)
    for update in (1, 2, 3):  # one waits for the first of a burst, and ccxt keeps the last
        bench.exchange.say(ticker(100.0 + update, update=update))
    await bench.stage.advance(0.05)
    assert bench.bids() == [103.0]
    assert bench.exchange.waits()


async def test_a_flood_neither_starves_the_others_nor_piles_up(bench_of: Any) -> None:
    bench = bench_of()
    bench.exchange.floods = True
    await bench.stage.advance(1.0)
    assert 90 <= len(bench.facts) <= 101
    assert bench.exchange._said <= 102
    assert not bench.ending()


async def test_the_ways_are_gone_in_order(bench_of: Any) -> None:
    for attempt, way in enumerate(("watchBidsAsks", BOOK, TICKER, "watchBidsAsks")):
        bench = bench_of("watchBidsAsks", BOOK, TICKER, attempt=attempt)
        await bench.stage.advance(0.05)
        assert bench.exchange.asked == [way]


async def test_an_exchange_without_any_is_over_at_once(bench_of: Any) -> None:
    bench = bench_of(TRADES)
    await bench.stage.advance(0.05)
    assert bench.ending() == "VenueError"


async def test_an_error_ends_it_with_its_name_and_what_the_venue_asked_for(bench_of: Any) -> None:
    class NetworkError(Exception):
        pass

    bench = bench_of()
    await bench.stage.advance(0.05)
    error = NetworkError("1006")
    error.__cause__ = LineError("BANNED", "418", retry_after_s=90.0)
    bench.exchange.fail(error)
    await bench.stage.advance(0.05)
    assert bench.stream.ending(START_NS) == ("BANNED", "1006", 90.0)
    other = bench_of()
    await other.stage.advance(0.05)
    other.exchange.fail(NetworkError("reset"))
    await other.stage.advance(0.05)
    assert other.stream.ending(START_NS) == ("NetworkError", "reset", 0.0)


async def test_what_ccxt_cancels_by_itself_is_over_too(bench_of: Any) -> None:
    bench = bench_of()
    await bench.stage.advance(0.05)
    bench.exchange.drop()
    await bench.stage.advance(0.05)
    assert bench.ending() == "CLOSED"


async def test_trades_are_told_once_and_not_those_that_were_known_before(bench_of: Any) -> None:
    bench = bench_of("watchBidsAsks", TRADES)
    await bench.print(trade(1), trade(2))
    await bench.print(trade(2), trade(3, at_ms=START_MS))
    await bench.print(trade(3, at_ms=START_MS), trade(4, side=None))
    await bench.print(trade(5, at_ms=START_MS - 61_000), trade(6, price=None))
    now_ns = START_NS
    told = [(fact.price, fact.side, fact.venue_ns) for fact in bench.facts if isinstance(fact, Trade)]
    assert told == [(103.0, Side.BUY, now_ns), (104.0, Side.UNKNOWN, 0)]
    assert bench.stats.refused == {"TIME_UNIT": 1, "NOT_A_NUMBER": 1}
    await bench.print(*(trade(number) for number in range(10, 10 + 3 * TRADES_KNOWN)))
    assert len(bench.stream._trades) == TRADES_KNOWN


async def test_trades_that_fail_cost_the_book_nothing_and_are_asked_again(bench_of: Any) -> None:
    bench = bench_of("watchBidsAsks", TRADES)
    await bench.stage.advance(0.05)
    bench.exchange.fail(RuntimeError("no trades"), TRADES)
    await bench.say(ticker(100.0))
    assert bench.bids() == [100.0]
    assert not bench.ending()
    assert bench.stats.ended == {"RuntimeError": 1}
    await bench.stage.advance(TRADES_AGAIN_S)
    assert bench.exchange.waits(TRADES)


async def test_nothing_is_told_once_it_is_closed(bench_of: Any) -> None:
    bench = bench_of()
    await bench.stage.advance(0.05)
    bench.exchange.say(ticker(100.0))
    assert await bench.stream.close() == []
    await bench.stage.advance(0.05)
    assert not bench.facts
    assert bench.exchange.closed


async def test_a_close_that_hangs_is_left_to_itself(bench_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccxt_stream, "CLOSE_S", 0.01)
    bench = bench_of(hangs_on_close=True)
    session = bench.exchange.session = FakePro()
    await bench.stage.advance(0.05)
    stuck = await bench.stream.close()
    await asyncio.wait(stuck)
    assert [task.cancelled() for task in stuck] == [True]
    assert (bench.exchange.closed, bench.exchange.session, session.closed) == (False, None, True)


class Parent:
    """What an exchange inherits its connections from."""

    clients: dict[str, Any] | None = None

    def client(self, url: str) -> Any:
        self.clients = self.clients or {}
        return self.clients.setdefault(url, SimpleNamespace(handle_message=self.read))

    def read(self, message: Any) -> None:
        if isinstance(message, Exception):
            raise message


@pytest.mark.parametrize(("error", "reason"), [(ValueError("no JSON"), "NOT_JSON"), (KeyError("s"), "WRONG_SHAPE")])
def test_a_frame_that_ccxt_cannot_read_does_not_end_its_reading(error: Exception, reason: str) -> None:
    refused: Counter[str] = Counter()
    ear = Ear(Stage().clock, refused)
    exchange = type("Exchange", (Parent,), {"client": lambda self, url: ear.client(self, url)})()
    for _ in range(2):  # the same connection, asked for twice, is heard once
        exchange.client("wss://a").handle_message(error)
    assert exchange.client("wss://a").handle_message("fine") is None
    assert (ear.unread, refused) == (2, {reason: 2})


async def test_a_kept_book_is_worth_nothing_after_a_change_that_was_not_read(bench_of: Any) -> None:
    for way, reason in ((BOOK, "UNREAD"), ("watchBidsAsks", "")):
        bench = bench_of(way)
        await bench.stage.advance(0.05)
        bench.ear.unread += 1
        assert bench.ending() == reason


async def test_an_object_that_cannot_be_made_is_an_ending(benches: list[Bench]) -> None:
    bench = Bench(FakePro())
    benches.append(bench)

    async def make(ear: Ear) -> Any:
        raise VenueError(Refusal.UNKNOWN_SYMBOL)

    bench.stream._make = make
    await bench.stage.advance(0.05)
    assert bench.ending() == "VenueError"
    assert bench.stage.clock.now_ns() - START_NS < NANOS_PER_S
