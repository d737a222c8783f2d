"""What ccxt.pro says of one market, for as long as one exchange object of it lives, and what of that is believed.

ccxt.pro goes on handing out what it holds, or hangs, without an error (ccxt/ccxt#17081, #23214, #23932), and a frame it
cannot read ends its reading for good. So a stream has an exchange object of its own, which is thrown away with
it; whether it is silent is judged by whoever keeps it (`ccxt_line`), and nothing of ccxt is awaited without a limit.

Believed are: that something came, where what is stated differs from the last in its number, its time, its levels or, of
a ticker, in the raw message; the same again is no news, however often it is returned. That it is new, where neither its
time nor, without a newer time, its number is less than the last. That its `timestamp` is the exchange's, where there is
one that ccxt has not just read from our own clock; without one the fact has no time, and one of more than a minute ago
or to come is refused. The time of a `watchTicker` is believed for order only: at some exchanges it is the last trade's.
The first trades may be any age, so they only say what is already known.

Between two calls ccxt keeps the latest and nothing else, so the latest is read from where it keeps it, and a market
that speaks faster than `PACE_S` is read at that pace.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from enum import StrEnum
from importlib import import_module
from typing import Any, NamedTuple

from oracle.clock import Clock
from oracle.collectors.ccxt import (
    CLAIM_NS_MAX,
    LEVELS,
    CcxtPoller,
    LocalTimes,
    as_float,
    exchange_of,
    level,
    name_of,
    retry_after_s,
    trade_name,
    trade_of,
)
from oracle.collectors.keeper import CROSSED_NS
from oracle.collectors.rest import Rest
from oracle.collectors.stats import DETAIL_CHARS_MAX, LineStats
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, BookTop, Nanos, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues.base import Feed, top

LIBRARY = "ccxt.pro"
PACE_S = 0.01  # between two looks at one market
PACE_NS = int(PACE_S * NANOS_PER_S)
CLOSE_S = 3.0  # for so long a close is awaited, then it is left to itself
TRADES_AGAIN_S = 30.0  # after trades that failed beside a book that goes on
TRADES_KNOWN = 1_000  # as many as ccxt keeps


class Way(StrEnum):
    """How ccxt.pro states a top of book, by the names it has for that, best first."""

    BIDS_ASKS = "watchBidsAsks"
    ORDER_BOOK = "watchOrderBook"
    TICKER = "watchTicker"


class Ending(NamedTuple):
    """Why a stream is over."""

    reason: str
    detail: str = ""
    retry_after_s: float = 0.0


class Ear:
    """What an exchange object lets be known of itself beside its answers: its times, and frames that it cannot read."""

    def __init__(self, clock: Clock, refused: Counter[str]) -> None:
        self.times = LocalTimes(clock)
        self.unread = 0
        self._refused = refused

    def client(self, exchange: Any, url: str) -> Any:
        """In place of an exchange's `client`: one connection, which goes on reading after a frame it cannot read."""
        is_new = url not in (exchange.clients or {})
        parent: Any = super(type(exchange), exchange)
        client = parent.client(url)
        if is_new:
            client.handle_message = self._reading(client.handle_message)
        return client

    def _reading(self, read: Callable[[Any], None]) -> Callable[[Any], None]:
        def handle_message(message: Any) -> None:
            try:
                read(message)
            except Exception as error:
                self.unread += 1
                self._refused[Refusal.NOT_JSON if isinstance(error, ValueError) else Refusal.WRONG_SHAPE] += 1

        return handle_message


async def opened(
    exchange_id: str,
    poller: CcxtPoller,
    ear: Ear,
    *,
    rest: Rest,
    endpoint: str | None = None,
    proxy: str | None = None,
    options: Mapping[str, object] | None = None,
) -> Any:
    """A new exchange object of ccxt.pro that knows the markets. ccxt takes its time to load, beside the event loop.

    Raises ServiceError when ccxt has no such exchange, and what ccxt raises.
    """
    await asyncio.to_thread(import_module, LIBRARY)
    told = {**(options or {}), **({"wssProxy": proxy} if proxy else {})}
    own = {"client": lambda self, url: ear.client(self, url)}
    exchange = exchange_of(exchange_id, rest, ear.times, told, endpoint=endpoint, library=LIBRARY, own=own)
    await poller.lend_markets(exchange)
    return exchange


class Stream:
    """One market's stream, once. `start` it, ask it for its `ending`, and `close` it in any case.

    `put` hears of every fact, and of nothing more once `close` is called. `make` makes the exchange object, with its
    markets; `attempt` says which of the ways it has is gone.
    """

    def __init__(
        self,
        feed: Feed,
        put: Callable[[Stream, BookTop | Trade], None],
        *,
        make: Callable[[Ear], Awaitable[Any]],
        attempt: int,
        clock: Clock,
        stats: LineStats,
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self.source, self.symbol = feed.source, feed.symbol
        self._put, self._make, self._attempt = put, make, attempt
        self._clock, self._stats, self._sleep = clock, stats, sleep
        self._ear = Ear(clock, stats.refused)
        self._exchange: Any = None
        self._way: Way | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False
        self._looked_ns: Nanos = 0
        self._last: object = None  # all that the last book states
        self._newest_ms = self._number = 0
        self._crossed_ns: Nanos = 0  # since when; 0: it is not
        self._trades: dict[str, None] = {}  # by name, the newest last

    def start(self) -> None:
        """Begin to read."""
        self._tasks.append(asyncio.ensure_future(self._run()))

    def ending(self, now_ns: Nanos) -> Ending | None:
        """Why there is nothing more to expect of it; None: there is, as far as ccxt lets be known."""
        if self._way is Way.ORDER_BOOK and self._ear.unread:
            return Ending("UNREAD", "a change of the book could not be read")
        if self._crossed_ns and now_ns - self._crossed_ns >= CROSSED_NS:
            return Ending("CROSSED", "a book that is kept by changes has lost one")
        reading = self._tasks[0]
        if not reading.done():
            return None
        if reading.cancelled():
            return Ending("CLOSED", "ccxt has cancelled what was asked")
        error = reading.exception()
        assert error is not None
        return Ending(name_of(error), str(error)[:DETAIL_CHARS_MAX], retry_after_s(error))

    async def close(self) -> list[asyncio.Task[Any]]:
        """Let go of it, within `CLOSE_S`. What has not ended by then is cancelled and handed back."""
        self._closed = True
        tasks: list[asyncio.Task[Any]] = [task for task in self._tasks if not task.done()]
        for task in tasks:
            task.cancel()
        if self._exchange is not None:
            tasks.append(asyncio.ensure_future(self._exchange.close()))
        if not tasks:
            return []
        done, stuck = await asyncio.wait(tasks, timeout=CLOSE_S)
        for task in done:
            _look_past(task)
        for task in stuck:
            task.add_done_callback(_look_past)
            task.cancel()
        if stuck and (session := getattr(self._exchange, "session", None)) is not None:
            self._exchange.session = None
            with suppress(Exception):  # its sockets are closed with it, whatever ccxt still waits for
                await asyncio.wait_for(session.close(), CLOSE_S)
        return list(stuck)

    async def _run(self) -> None:
        exchange = self._exchange = await self._make(self._ear)
        ways = [way for way in Way if exchange.has.get(way) is True]
        if not ways:
            raise VenueError(Refusal.UNKNOWN_MESSAGE, "ccxt.pro streams no top of book of this exchange")
        self._way = way = ways[self._attempt % len(ways)]
        if exchange.has.get("watchTrades") is True:
            self._tasks.append(asyncio.ensure_future(self._read_trades()))
        while True:
            answer = await self._asked(way)
            since_ns = self._clock.now_ns() - self._looked_ns
            await self._sleep(PACE_S if since_ns < PACE_NS else 0.0)
            self._take(self._latest(way, answer), way)

    def _asked(self, way: Way) -> Awaitable[Any]:
        exchange, symbol = self._exchange, self.symbol
        match way:
            case Way.BIDS_ASKS:
                return exchange.watch_bids_asks([symbol])  # type: ignore[no-any-return]
            case Way.ORDER_BOOK:
                return exchange.watch_order_book(symbol)  # type: ignore[no-any-return]
            case Way.TICKER:
                return exchange.watch_ticker(symbol)  # type: ignore[no-any-return]

    def _latest(self, way: Way, answer: Any) -> Any:
        """What ccxt holds now; an answer is of the first message since it was asked, and a book changes in place."""
        if way is Way.ORDER_BOOK:
            return answer
        held = getattr(self._exchange, "bidsasks" if way is Way.BIDS_ASKS else "tickers", None)
        for place in (held, answer):
            if isinstance(place, Mapping) and self.symbol in place:
                return place[self.symbol]
        return answer

    def _take(self, said: Any, way: Way) -> None:
        recv_ns = self._looked_ns = self._clock.now_ns()
        self._stats.frames += 1
        self._stats.last_frame_ns = recv_ns
        try:
            fact = self._believed(said, way, recv_ns)
        except VenueError as error:
            self._refuse(error)
        else:
            if fact is None:
                self._stats.duplicates += 1
            elif not self._closed:
                self._put(self, fact)

    def _believed(self, said: Any, way: Way, recv_ns: Nanos) -> BookTop | None:
        """The top of book in what ccxt holds; None: that is no news. Raises VenueError."""
        if not isinstance(said, Mapping):
            raise VenueError(Refusal.WRONG_SHAPE, f"{way} {type(said).__name__}")
        if said.get("symbol") not in (None, self.symbol):
            raise VenueError(Refusal.UNKNOWN_SYMBOL, str(said["symbol"])[:40])
        stated_ms = self._ear.times.stated_ms(said.get("timestamp"))
        nonce = said.get("nonce")
        number = nonce if isinstance(nonce, int) and nonce > 0 else 0
        if way is Way.ORDER_BOOK:
            bids, asks = said.get("bids"), said.get("asks")
            (bid, bid_size), (ask, ask_size) = level(bids), level(asks)
            if not bid and not ask:
                raise VenueError(Refusal.WRONG_SHAPE, "a book without a level, as one is that is not filled yet")
            whole: object = [[tuple(one[:2]) for one in side[:LEVELS]] for side in (bids or (), asks or ())]
        else:
            bid, bid_size, ask, ask_size = (as_float(said.get(k)) for k in ("bid", "bidVolume", "ask", "askVolume"))
            whole = (bid, bid_size, ask, ask_size, said.get("info"))
        last = (stated_ms, number, whole)
        if last == self._last or self._is_older(stated_ms, number):
            return None
        believed_ns = 0 if way is Way.TICKER else _checked_ns(stated_ms, recv_ns)
        fact = top(self.source, bid, bid_size, ask, ask_size, believed_ns, recv_ns)
        self._last, self._newest_ms, self._number = last, stated_ms or self._newest_ms, number
        is_crossed = way is Way.ORDER_BOOK and fact.bid >= fact.ask > 0.0
        self._crossed_ns = (self._crossed_ns or recv_ns) if is_crossed else 0
        return fact

    def _is_older(self, stated_ms: int, number: int) -> bool:
        if stated_ms and stated_ms != self._newest_ms:
            return stated_ms < self._newest_ms
        return 0 < number < self._number

    async def _read_trades(self) -> None:
        """Read the trades beside the book, which does not need them."""
        is_first = True
        while True:
            try:
                answer = await self._exchange.watch_trades(self.symbol)
                await self._sleep(PACE_S)
                self._take_trades(answer, is_first)
                is_first = False
            except Exception as error:  # ccxt raises what it likes
                self._stats.note(name_of(error), str(error))
                await self._sleep(TRADES_AGAIN_S)

    def _take_trades(self, answer: Any, is_first: bool) -> None:
        recv_ns = self._clock.now_ns()
        for said in self._new_trades(answer):
            if is_first or self._closed:
                continue
            try:
                venue_ns = _checked_ns(self._ear.times.stated_ms(said.get("timestamp")), recv_ns)
                self._put(self, trade_of(self.source, said, venue_ns, recv_ns))
            except VenueError as error:
                self._refuse(error)

    def _new_trades(self, answer: Any) -> Iterator[Mapping[str, Any]]:
        for said in list(answer)[-TRADES_KNOWN:]:
            name = trade_name(said)
            if name not in self._trades:
                self._trades[name] = None
                if len(self._trades) > TRADES_KNOWN:
                    del self._trades[next(iter(self._trades))]
                yield said

    def _refuse(self, error: VenueError) -> None:
        self._stats.refused[error.reason] += 1
        self._stats.last_error = str(error)[:DETAIL_CHARS_MAX]


def _checked_ns(stated_ms: int, recv_ns: Nanos) -> Nanos:
    """A stated time in ns, 0 where none is stated. Raises VenueError TIME_UNIT for one that no live market states."""
    stated_ns = stated_ms * NANOS_PER_MS
    if stated_ns and abs(stated_ns - recv_ns) > CLAIM_NS_MAX:
        raise VenueError(Refusal.TIME_UNIT, f"{(stated_ns - recv_ns) / NANOS_PER_S:+.0f} s from our clock")
    return stated_ns


def _look_past(task: asyncio.Task[Any]) -> None:
    """Nobody asks any more how this ended."""
    if not task.cancelled():
        task.exception()
