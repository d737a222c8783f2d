"""ccxt parses, our client asks: kraken's REST dialect, read through ccxt and httpx."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
import respx
from structlog.testing import capture_logs

from oracle.clock import ManualClock
from oracle.collectors.ccxt import Aside, CcxtPoller, LocalTimes, exchange_of, is_known, point, spare
from oracle.collectors.links import Links
from oracle.collectors.rest import Rest
from oracle.collectors.stats import LineStats
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, BookTop, Link, Observation, Side, Trade
from oracle.errors import ServiceError
from oracle.venues.base import Feed

pytestmark = pytest.mark.anyio
NOW_NS = 1_790_000_000 * NANOS_PER_S
BASE = "https://api.kraken.com/0/public"
ASSETS = {"XXBT": {"aclass": "currency", "altname": "XBT", "decimals": 10, "display_decimals": 5, "status": "enabled"}}
ASSETS |= {"ZUSD": {"aclass": "currency", "altname": "USD", "decimals": 4, "display_decimals": 2, "status": "enabled"}}
PAIR = {
    "altname": "XBTUSD",
    "wsname": "XBT/USD",
    "aclass_base": "currency",
    "base": "XXBT",
    "aclass_quote": "currency",
    "quote": "ZUSD",
    "pair_decimals": 1,
    "cost_decimals": 5,
    "lot_decimals": 8,
    "lot_multiplier": 1,
    "leverage_buy": [],
    "leverage_sell": [],
    "fees": [[0, 0.4]],
    "fees_maker": [[0, 0.25]],
    "ordermin": "0.00005",
    "costmin": "0.5",
    "tick_size": "0.1",
    "status": "online",
}


def ok(result: object) -> dict[str, object]:
    return {"error": [], "result": result}


def depth(bids: list[list[Any]], asks: list[list[Any]]) -> dict[str, object]:
    return ok({"XXBTZUSD": {"bids": bids, "asks": asks}})


def trades(*rows: list[Any]) -> dict[str, object]:
    return ok({"XXBTZUSD": list(rows), "last": "1"})


class Bench:
    """A poller of kraken with its world replaced."""

    def __init__(self, router: respx.MockRouter) -> None:
        self.clock, self.seen = ManualClock(NOW_NS), list[Observation]()
        self.rest = Rest(self.clock, rate_per_s=1_000.0)
        self.poller = CcxtPoller(
            "kraken", [Feed(5, "BTC/USD")], put=self.seen.append, clock=self.clock, rest=self.rest, random=lambda: 1.0
        )
        router.get(f"{BASE}/Assets").respond(json=ok(ASSETS))
        self.pairs = router.get(f"{BASE}/AssetPairs").respond(json=ok({"XXBTZUSD": PAIR}))
        self.depth = router.get(f"{BASE}/Depth").respond(json=depth([["60000.1", "1.5", 1]], [["60000.2", "2", 1]]))
        self.trades = router.get(f"{BASE}/Trades").respond(json=trades(["60000.1", "0.5", 1.0, "b", "l", "", 1]))


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    with respx.mock(assert_all_called=False) as router:
        bench = Bench(router)
        yield bench
        await bench.poller._exchange.close()
        await bench.rest.aclose()


async def test_a_book_becomes_a_top_with_our_time(bench: Bench) -> None:
    assert await bench.poller.poll() is None
    assert bench.seen == [Link(5, True, "", NOW_NS), BookTop(5, 60000.1, 1.5, 60000.2, 2.0, 0, NOW_NS)]
    assert (bench.poller.stats.frames, bench.poller.stats.observations) == (1, 1)
    assert bench.poller.stats.connected_since_ns == NOW_NS


async def test_only_a_trade_between_two_polls_is_news_and_its_time_is_a_claim(bench: Bench) -> None:
    await bench.poller.poll()
    await bench.poller.poll()
    assert not [o for o in bench.seen if isinstance(o, Trade)], "the first trades may be any age; the same is no news"
    recent_s = NOW_NS / NANOS_PER_S - 3
    bench.trades.respond(json=trades(["60001.0", "0.25", recent_s, "s", "m", "", 2]))
    await bench.poller.poll()
    bench.trades.respond(json=trades(["60002.0", "0.25", recent_s - 3600, "?", "m", "", 3]))
    await bench.poller.poll()
    bench.trades.respond(json=trades())
    assert await bench.poller.poll() is None
    at_ns = int(recent_s * 1_000) * NANOS_PER_MS
    first, second = [o for o in bench.seen if isinstance(o, Trade)]
    assert first == Trade(5, 60001.0, 0.25, Side.SELL, at_ns, NOW_NS)
    assert (second.price, second.venue_ns, second.recv_ns) == (60002.0, 0, NOW_NS)


async def test_an_empty_side_is_a_fact(bench: Bench) -> None:
    bench.depth.respond(json=depth([], [["60000.2", "2", 1]]))
    await bench.poller.poll()
    assert bench.seen[-1] == BookTop(5, 0.0, 0.0, 60000.2, 2.0, 0, NOW_NS)


@pytest.mark.parametrize("level", [["-1", "1", 1], ["nan", "1", 1], ["x", "1", 1]])
async def test_a_bad_number_is_refused(bench: Bench, level: list[Any]) -> None:
    bench.depth.respond(json=depth([level], [["60000.2", "2", 1]]))
    assert await bench.poller.poll() is not None
    assert not [o for o in bench.seen if isinstance(o, BookTop)]
    assert bench.poller.stats.refused.total() + bench.poller.stats.ended.total() == 1


async def test_every_failure_is_named_and_takes_the_link_down_once(bench: Bench) -> None:
    await bench.poller.poll()
    with capture_logs() as logs:
        bench.depth.mock(side_effect=httpx.ReadTimeout("slow"))
        await bench.poller.poll()
        bench.depth.mock(side_effect=None, return_value=httpx.Response(502))
        await bench.poller.poll()
        bench.depth.respond(json={"error": ["EAPI:Rate limit exceeded"]})
        await bench.poller.poll()
        bench.depth.respond(json={"error": ["EGeneral:Internal error"]})
        await bench.poller.poll()
        bench.depth.respond(content=b"x" * (5 << 20))
        await bench.poller.poll()
    assert bench.poller.stats.ended == {
        "TIMEOUT": 1,
        "ExchangeNotAvailable": 2,
        "DDoSProtection": 1,
        "TOO_LARGE": 1,
    }
    assert [o for o in bench.seen if isinstance(o, Link)][1:] == [Link(5, False, "TIMEOUT", NOW_NS)]
    assert [log["reason"] for log in logs] == ["TIMEOUT"]
    bench.depth.respond(json=depth([["1", "1", 1]], [["2", "1", 1]]))
    assert await bench.poller.poll() is None
    assert bench.seen[-2] == Link(5, True, "", NOW_NS)


async def test_an_unknown_symbol_does_not_cost_its_neighbour(bench: Bench) -> None:
    bench.poller._feeds = (Feed(4, "NO/SUCH"), Feed(5, "BTC/USD"))
    bench.poller._symbols = {4: "NO/SUCH", 5: "BTC/USD"}
    await bench.poller.poll()
    assert bench.poller.stats.ended == {"BadSymbol": 1}
    assert [o.source for o in bench.seen if isinstance(o, BookTop)] == [5]


async def test_polls_keep_their_pace_and_back_off(bench: Bench) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        bench.clock.advance(int(seconds * NANOS_PER_S))
        if len(waits) == 2:
            bench.depth.respond(429, headers={"retry-after": "9"})
        if len(waits) == 5:
            await asyncio.Event().wait()

    bench.poller._sleep = sleep
    task = asyncio.create_task(bench.poller.run())
    async with asyncio.timeout(5):
        while len(waits) < 5:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert waits == [2.0, 2.0, 2.25, 2.0 + (9.0 - 2.25) + 0.5, 3.0]
    assert bench.seen[-1] == Link(5, False, "RateLimitExceeded", bench.seen[-1].recv_ns)


async def test_a_time_that_ccxt_read_from_our_clock_is_nobodys(bench: Bench) -> None:
    await bench.poller.poll()
    for number, off_ms in ((2, 0), (3, 1)):
        at_s = (bench.poller._times.now_ms() - off_ms) / 1_000
        bench.trades.respond(json=trades(["60001.0", "0.25", at_s, "s", "m", "", number]))
        await bench.poller.poll()
    assert [o.venue_ns for o in bench.seen if isinstance(o, Trade)] == [0, NOW_NS - NANOS_PER_MS]


@pytest.mark.parametrize("claim", [None, True, "1790000000000", 0, -5, float("nan"), float("inf"), 1 << 60])
def test_what_is_no_time_is_not_stated(claim: object) -> None:
    assert LocalTimes(ManualClock(NOW_NS)).stated_ms(claim) == 0


async def test_ccxts_clock_is_ours_and_its_memory_is_bounded(bench: Bench) -> None:
    times = bench.poller._times
    assert bench.poller._exchange.milliseconds() == NOW_NS // NANOS_PER_MS == times.now_ms()
    for _ in range(2_000):
        bench.clock.advance(NANOS_PER_MS)
        bench.poller._exchange.milliseconds()
    assert len(times._told) < 2_000
    assert times.stated_ms(NOW_NS // NANOS_PER_MS) == NOW_NS // NANOS_PER_MS, "long forgotten"


async def test_one_that_stands_in_asks_for_what_is_wanted_and_tells_what_is_taken(bench: Bench) -> None:
    wanted, taken = {5}, list[int]()
    stats, links = LineStats("kraken", (4, 5)), Links(bench.seen.append, bench.clock)

    def takes(source: int, facts: object, asked_ns: int) -> bool:
        taken.append(asked_ns - NOW_NS)
        return len(taken) > 1

    aside = Aside(links, stats, lambda source: source in wanted, takes)
    feeds = [Feed(4, "ETH/USD"), Feed(5, "BTC/USD")]
    poller = CcxtPoller("kraken", feeds, put=bench.seen.append, clock=bench.clock, rest=bench.rest, aside=aside)
    assert await poller.poll() is None
    assert (bench.seen, taken, stats.dials) == ([], [0], 1)
    await poller.poll()
    assert [type(fact) for fact in bench.seen] == [Link, BookTop]
    assert poller.stats is stats
    assert links.carried(5)
    wanted.clear()
    await poller.poll()
    assert stats.dials == 2
    await poller.aclose()


async def test_trades_of_which_somebody_else_has_told_are_no_news(bench: Bench) -> None:
    await bench.poller.poll()
    bench.poller.forget_trades(5)
    bench.trades.respond(json=trades(["60001.0", "0.25", 1.0, "s", "m", "", 2]))
    await bench.poller.poll()
    assert not [o for o in bench.seen if isinstance(o, Trade)]


async def test_markets_are_lent_and_whoever_gives_up_waiting_for_them_spoils_nobodys(bench: Bench) -> None:
    asked, wanted = asyncio.Event(), asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        asked.set()
        await wanted.wait()
        return httpx.Response(200, json=ok({"XXBTZUSD": PAIR}))

    bench.pairs.mock(side_effect=slow)
    exchange = exchange_of("kraken", bench.rest, LocalTimes(bench.clock), library="ccxt.pro")
    given_up = asyncio.create_task(bench.poller.lend_markets(exchange))
    polling = asyncio.create_task(bench.poller.poll())
    async with asyncio.timeout(10):
        await asked.wait()
        given_up.cancel()
        wanted.set()
        assert await polling is None
    assert given_up.cancelled()
    await bench.poller.lend_markets(exchange)
    assert exchange.markets is bench.poller._exchange.markets
    assert bench.pairs.call_count == 1
    await exchange.close()


async def test_another_endpoint_replaces_every_address_of_an_exchange(bench: Bench) -> None:
    poller = CcxtPoller("kraken", [], put=print, clock=bench.clock, rest=bench.rest, endpoint="ws://127.0.0.1:9/fake")
    assert poller._exchange.urls["api"]["public"] == "http://127.0.0.1:9/fake"
    exchange = exchange_of("binance", bench.rest, LocalTimes(bench.clock), library="ccxt.pro")
    point(exchange, "ws://127.0.0.1:9")
    assert exchange.urls["api"]["ws"]["spot"] == "ws://127.0.0.1:9/ws"
    left = [url for url in addresses(exchange.urls["api"]) if not url.partition("://")[2].startswith("127.0.0.1:9")]
    assert not left
    for one in (poller._exchange, exchange):
        await one.close()


def addresses(place: Any) -> list[str]:
    if isinstance(place, dict):
        return [url for below in place.values() for url in addresses(below)]
    return [place] if isinstance(place, str) else []


async def test_an_exchange_ccxt_does_not_know_is_refused_at_the_start() -> None:
    async with Rest(ManualClock()) as rest:
        for name in ("nosuch", "Exchange"):
            with pytest.raises(ServiceError, match="no exchange"):
                CcxtPoller(name, [], put=print, clock=ManualClock(), rest=rest)


def test_what_ccxt_knows_is_told_without_loading_it() -> None:
    assert is_known("kraken")
    assert not is_known("nosuch")
    assert not is_known("../base/exchange")


@pytest.mark.parametrize("symbol", ["BTC/USD", "XXBTZUSD", "xxbtzusd"])
async def test_a_venues_own_symbol_is_found_among_ccxts(bench: Bench, symbol: str) -> None:
    feeds = [Feed(5, symbol), Feed(6, "NO/SUCH")]
    poller = await spare(["kraken"], feeds, "spot", clock=bench.clock, rest=bench.rest)
    try:
        assert await poller.facts(5) == [BookTop(5, 60000.1, 1.5, 60000.2, 2.0, 0, NOW_NS)]
        with pytest.raises(ServiceError, match="no such market"):
            await poller.facts(6)
    finally:
        await poller.aclose()


@pytest.mark.parametrize(("symbol", "market"), [("NO/SUCH", "spot"), ("BTC/USD", "linear")])
async def test_a_market_that_ccxt_does_not_know_is_refused(bench: Bench, symbol: str, market: str) -> None:
    with pytest.raises(ServiceError, match=f"no {market} market of kraken"):
        await spare(["kraken"], [Feed(5, symbol)], market, clock=bench.clock, rest=bench.rest)


async def test_an_exchange_that_cannot_be_asked_for_its_markets_leaves_nothing_behind(bench: Bench) -> None:
    bench.pairs.mock(side_effect=httpx.ConnectError("down"))
    with pytest.raises(Exception, match="kraken GET UNREACHABLE"):
        await spare(["kraken"], [Feed(5, "BTC/USD")], "spot", clock=bench.clock, rest=bench.rest)
