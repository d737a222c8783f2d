"""Any exchange that ccxt knows, asked over REST: for venues that have no file of their own.

ccxt signs, parses and names errors; the socket, the budget and the limits are ours, because its `fetch` is replaced by
one that goes through `rest.Rest`. ccxt invents timestamps on some venues, so a time it states is a claim: it is kept
as the event time only while it lies within a minute of our own clock and is none of the milliseconds that ccxt has
read from that clock lately, else the event has none.

A poll asks for the top of the book and the last trades. The trades of the first poll may be any age, so they only say
what is already known; later ones happened between two polls.
"""

from __future__ import annotations

import asyncio
import random as _random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from oracle.clock import Clock
from oracle.collectors.asking import rebased
from oracle.collectors.backoff import Backoff
from oracle.collectors.links import Links
from oracle.collectors.rest import Rest
from oracle.collectors.stats import DETAIL_CHARS_MAX, LineStats
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, BookTop, Nanos, Observation, Side, Trade
from oracle.errors import LineError, Refusal, ServiceError, VenueError
from oracle.venues.base import Feed, price, size, top

CLAIM_NS_MAX = 60 * NANOS_PER_S
TIME_MS_BOUND = 1 << 53
LEVELS = 20  # depth asked for; some venues accept no less
MARKETS_BYTES_MAX = 32 << 20  # the list of markets, once a start
BODY_BYTES_MAX = 4 << 20
TIMES_REMEMBERED = 1_024


class LocalTimes:
    """ccxt's clock, which is ours: what it is told is remembered, so that it is not taken for a venue's time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: deque[int] = deque(maxlen=TIMES_REMEMBERED)

    def now_ms(self) -> int:
        """The time, for ccxt."""
        now_ms = self._clock.now_ns() // NANOS_PER_MS
        if not self._told or self._told[-1] != now_ms:
            self._told.append(now_ms)
        return now_ms

    def stated_ms(self, claim: object) -> int:
        """A `timestamp` of ccxt's where somebody else than ccxt has stated it; 0 where nobody has."""
        if isinstance(claim, bool) or not isinstance(claim, int | float) or not 0 < claim < TIME_MS_BOUND:
            return 0
        claim_ms = int(claim)
        return 0 if claim_ms in self._told else claim_ms


class Aside(NamedTuple):
    """What a poller that only stands in for streams shares with them, and what it asks them."""

    links: Links
    stats: LineStats
    wanted: Callable[[int], bool]  # whether a source has to be polled now
    takes: Callable[[int, Sequence[Observation], Nanos], bool]  # whether an answer, asked for then, is still of use


class CcxtPoller:
    """Polls one exchange for a set of feeds, whose symbols are ccxt's (`BTC/USD`). `run` goes on until cancelled."""

    def __init__(
        self,
        exchange_id: str,
        feeds: Sequence[Feed],
        *,
        put: Callable[[Observation], None],
        clock: Clock,
        rest: Rest,
        poll_s: float = 2.0,
        options: Mapping[str, object] | None = None,
        endpoint: str | None = None,
        aside: Aside | None = None,
        random: Callable[[], float] = _random.random,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`options` go to ccxt as they are. `endpoint` replaces the exchange's own addresses; `aside`: what else asks.

        Raises ServiceError when ccxt has no such exchange.
        """
        self._feeds, self._put, self._clock = tuple(feeds), put, clock
        self._symbols = {feed.source: feed.symbol for feed in feeds}
        self._poll_s, self._sleep = poll_s, sleep
        self._backoff = Backoff(random)
        self._times = LocalTimes(clock)
        self._exchange = exchange_of(exchange_id, rest, self._times, options, endpoint=endpoint)
        self._aside = aside
        self._links = aside.links if aside else Links(put, clock)
        self._failed: set[int] = set()  # told already
        self._last_trade: dict[int, str] = {}
        self._log = structlog.get_logger().bind(venue=exchange_id)
        self.stats = aside.stats if aside else LineStats(exchange_id, tuple(feed.source for feed in feeds))

    async def run(self) -> None:
        """Poll until cancelled."""
        healthy_ns = 0
        try:
            while True:
                failure = await self.poll()
                if failure is None:
                    healthy_ns = healthy_ns or self._clock.now_ns()
                    await self._sleep(self._poll_s)
                    continue
                stood_ns = self._clock.now_ns() - healthy_ns if healthy_ns else 0
                healthy_ns = 0
                await self._sleep(self._poll_s + self._backoff.wait_s(stood_ns, retry_after_s(failure)))
        finally:
            for feed in self._feeds:
                self._links.fall(feed.source, self, "STOPPED")
            self.stats.connected_since_ns = 0
            await self.aclose()

    async def aclose(self) -> None:
        """Let go of what ccxt holds."""
        await self._exchange.close()

    async def poll(self) -> Exception | None:
        """Ask once for every feed; the answer is the last failure, which has been counted and logged."""
        failure: Exception | None = None
        for feed in self._feeds:
            if self._aside is not None and not self._aside.wanted(feed.source):
                continue
            try:
                await self._ask(feed)
            except Exception as error:  # ccxt raises what it likes; one market must not cost the others
                failure = error
                self._count(feed, error)
        return failure

    async def _ask(self, feed: Feed) -> None:
        self.stats.dials += 1
        asked_ns = self._clock.now_ns()
        facts = await self.facts(feed.source)
        if self._aside is not None and not self._aside.takes(feed.source, facts, asked_ns):
            return
        self._links.rise(feed.source, self)
        self.stats.connected_since_ns = self.stats.connected_since_ns or self._clock.now_ns()
        self.stats.frames += 1
        self.stats.last_frame_ns = facts[0].recv_ns
        for fact in facts:
            self.stats.observations += 1
            self._put(fact)

    async def facts(self, source: int) -> list[Observation]:
        """What the exchange states of a source now, its book first. Raises ccxt's, VenueError, ServiceError."""
        symbol = self._symbols.get(source)
        if symbol is None:
            raise ServiceError(f"{self._exchange.id} has no such market in ccxt")
        book = await self._exchange.fetch_order_book(symbol, LEVELS)
        facts: list[Observation] = [self._top(source, book, self._clock.now_ns())]
        if self._exchange.has.get("fetchTrades"):
            trades = await self._exchange.fetch_trades(symbol)
            if trade := self._new_trade(source, trades, self._clock.now_ns()):
                facts.append(trade)
        return facts

    async def translate(self, market: str) -> bool:
        """Read the feeds' symbols as the venue's own names, and find ccxt's; False when no feed has one."""
        await self._exchange.load_markets()
        found = {feed.source: _translated(self._exchange, feed.symbol, market) for feed in self._feeds}
        self._symbols = {source: symbol for source, symbol in found.items() if symbol}
        return bool(self._symbols)

    async def lend_markets(self, exchange: Any) -> None:
        """Have another object of the same exchange know its markets without asking for them again."""
        await asyncio.shield(self._exchange.load_markets())  # which others wait for as well
        exchange.set_markets_from_exchange(self._exchange)

    def forget_trades(self, source: int) -> None:
        """Somebody else has told of the trades meanwhile: the next answer only says what is already known."""
        self._last_trade.pop(source, None)

    def _top(self, source: int, book: Mapping[str, Any], recv_ns: Nanos) -> BookTop:
        bid, bid_size = level(book.get("bids"))
        ask, ask_size = level(book.get("asks"))
        return top(source, bid, bid_size, ask, ask_size, self._claimed_ns(book.get("timestamp"), recv_ns), recv_ns)

    def _claimed_ns(self, claim: object, recv_ns: Nanos) -> Nanos:
        claim_ns = self._times.stated_ms(claim) * NANOS_PER_MS
        return claim_ns if abs(claim_ns - recv_ns) <= CLAIM_NS_MAX else 0

    def _new_trade(self, source: int, trades: Sequence[Mapping[str, Any]], recv_ns: Nanos) -> Trade | None:
        if not trades:
            return None
        last = trades[-1]
        name = trade_name(last)
        known, self._last_trade[source] = self._last_trade.get(source), name
        if known in (None, name):
            return None
        return trade_of(source, last, self._claimed_ns(last.get("timestamp"), recv_ns), recv_ns)

    def _count(self, feed: Feed, error: Exception) -> None:
        if isinstance(error, VenueError):
            self.stats.refused[error.reason] += 1
            name = str(error.reason)
        else:
            name = name_of(error)
            self.stats.ended[name] += 1
        self.stats.last_error = f"{name}: {error}"[:DETAIL_CHARS_MAX]
        if self._links.carried(feed.source) or feed.source not in self._failed:
            self._failed.add(feed.source)
            self._log.warning(
                "venue.poll_failed", symbol=feed.symbol, reason=name, detail=str(error)[:DETAIL_CHARS_MAX]
            )
        self._links.fall(feed.source, self, name)
        if not any(self._links.carried(feed.source) for feed in self._feeds):
            self.stats.connected_since_ns = 0


def is_known(exchange_id: str, part: str = "async_support") -> bool:
    """Whether ccxt, or its part `pro`, has an exchange of that name, without loading ccxt."""
    place = find_spec("ccxt")
    folders = place.submodule_search_locations if place else None
    named = exchange_id.isalnum()
    return named and any(Path(folder, part, f"{exchange_id}.py").is_file() for folder in folders or ())


async def spare(names: Sequence[str], feeds: Sequence[Feed], market: str, *, clock: Clock, rest: Rest) -> CcxtPoller:
    """A poller that is asked source by source, for feeds in the venue's own symbols.

    `names`: the exchanges in ccxt that the venue may be; the first that knows one of the markets is it. ccxt takes a
    second to load, which happens beside the event loop. Raises ServiceError when none does, and what ccxt raises.
    """
    await asyncio.to_thread(import_module, "ccxt.async_support")
    for name in names:
        poller = CcxtPoller(name, feeds, put=lambda fact: None, clock=clock, rest=rest)
        try:
            if await poller.translate(market):
                return poller
        except BaseException:
            await poller.aclose()
            raise
        await poller.aclose()
    raise ServiceError(f"ccxt has no {market} market of {', '.join(names)} by these names")


def _translated(exchange: Any, symbol: str, market: str) -> str:
    """ccxt's name of a market that the venue calls `symbol`; empty when it knows none."""
    kind = "spot" if market == "spot" else "contract"
    for name in dict.fromkeys((symbol, symbol.upper())):
        found = [exchange.markets[name]] if name in exchange.markets else exchange.markets_by_id.get(name, [])
        for each in found:
            if each.get(kind):
                return str(each["symbol"])
    return ""


def exchange_of(
    exchange_id: str,
    rest: Rest,
    times: LocalTimes,
    options: Mapping[str, object] | None = None,
    *,
    endpoint: str | None = None,
    library: str = "ccxt.async_support",
    own: Mapping[str, object] | None = None,
) -> Any:
    """ccxt's client of that name, with our way of asking and our clock. `own`: other methods of it that are ours.

    ccxt is large, so it is imported only when it is wanted. Raises ServiceError when it has no such exchange.
    """
    ccxt = import_module(library)
    base = getattr(ccxt, exchange_id, None)
    if exchange_id not in ccxt.exchanges or base is None:
        raise ServiceError(f"ccxt has no exchange {exchange_id!r}")

    async def fetch(
        self: Any, url: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: str | None = None
    ) -> Any:
        limit = BODY_BYTES_MAX if self.markets else MARKETS_BYTES_MAX
        asked = self.prepare_request_headers(headers)
        content = body.encode() if body else None
        try:
            answer = await rest.fetch(method, url, headers=asked, content=content, body_bytes_max=limit)
        except LineError as error:
            named = ccxt.RequestTimeout if error.reason == "TIMEOUT" else ccxt.NetworkError
            raise named(f"{self.id} {method} {error}") from error
        text = answer.body.decode("utf-8", "replace")
        facts = (answer.status, answer.reason, url, method)
        text = self.on_rest_response(*facts, answer.headers, text, asked, body)
        decoded = self.parse_json(text)
        self.handle_errors(*facts, answer.headers, text, decoded, asked, body)
        self.handle_http_status_code(*facts, text)
        return text if decoded is None else decoded

    ours = {"fetch": fetch, "milliseconds": staticmethod(times.now_ms), **(own or {})}
    exchange = type(exchange_id, (base,), ours)({"enableRateLimit": False, **(options or {})})
    if endpoint is not None:
        point(exchange, endpoint)
    return exchange


def point(exchange: Any, endpoint: str) -> None:
    """Have a client of ccxt's ask and dial this scheme, host and port in place of the exchange's own."""
    exchange.urls["api"] = _pointed(exchange.urls["api"], endpoint)


def _pointed(place: Any, endpoint: str) -> Any:
    if isinstance(place, Mapping):
        return {name: _pointed(below, endpoint) for name, below in place.items()}
    return rebased(place, endpoint) if isinstance(place, str) and "://" in place else place


def level(levels: object) -> tuple[float, float]:
    """Price and size of the best of some levels, zero where there is none. Raises VenueError."""
    if not isinstance(levels, list):
        raise VenueError(Refusal.WRONG_SHAPE, "no levels")
    return (as_float(levels[0][0]), as_float(levels[0][1])) if levels else (0.0, 0.0)


def as_float(value: object) -> float:
    """A number that ccxt has parsed. Raises VenueError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise VenueError(Refusal.NOT_A_NUMBER, repr(value)[:40])
    return float(value)


def trade_name(said: Mapping[str, Any]) -> str:
    """What tells a trade from every other of its market, as far as ccxt's trades can be told apart."""
    return f"{said.get('id')} {said.get('timestamp')} {said.get('price')} {said.get('amount')}"


def trade_of(source: int, said: Mapping[str, Any], venue_ns: Nanos, recv_ns: Nanos) -> Trade:
    """A trade as ccxt states it. Raises VenueError."""
    side = {"buy": Side.BUY, "sell": Side.SELL}.get(str(said.get("side")), Side.UNKNOWN)
    paid, amount = price(as_float(said.get("price"))), size(as_float(said.get("amount")))
    return Trade(source, paid, amount, side, venue_ns, recv_ns)


def name_of(error: BaseException) -> str:
    """What an error of ccxt's is counted as: the reason of ours that stands behind it, else its own name."""
    cause = _cause(error)
    return cause.reason if cause else type(error).__name__


def _cause(error: BaseException | None) -> LineError | None:
    while error is not None and not isinstance(error, LineError):
        error = error.__cause__
    return error


def retry_after_s(error: BaseException) -> float:
    """How long the venue asked to wait, where that stands behind an error; 0.0 when it did not."""
    cause = _cause(error)
    return cause.retry_after_s if cause else 0.0
