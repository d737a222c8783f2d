"""How the sources of an exchange that ccxt knows are kept up: by its streams while they live, and by its REST.

ccxt.pro is not trusted to know whether it is alive. Each source has a stream of its own, so that one that hangs costs
its source only, watched as every line's are: by a clock that nothing but news of its own winds, and by what it betrays.
A stream that is silent, over or worthless is closed at once and its source polled at once, as it is before the first
word and, until the habit of the stream is known, in every longer pause of it. The stream is tried again by a new object
of ccxt's: at once, then as the ladder of repair says, and after an error as the backoff and the venue's budget of dials
say; one that ended without a word is tried in the next way that the exchange has. An answer over REST is no sign of
life of a stream, and does not count where the stream spoke meanwhile or has said something newer.
"""

from __future__ import annotations

import asyncio
import random as _random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import structlog
from msgspec import Struct

from oracle.clock import Clock
from oracle.collectors.backoff import Backoff, DialBudget
from oracle.collectors.ccxt import Aside, CcxtPoller
from oracle.collectors.ccxt_stream import Ear, Ending, Stream, opened
from oracle.collectors.keeper import Keeper
from oracle.collectors.line import HELD_UP_NS, WATCH_S
from oracle.collectors.links import Links
from oracle.collectors.liveness import CHANNELS
from oracle.collectors.pump import SKEW_GAP_NS
from oracle.collectors.repair import Rung
from oracle.collectors.rest import Rest
from oracle.collectors.stats import LineStats
from oracle.core.types import NANOS_PER_S, BookTop, Nanos, Observation, Trade
from oracle.venues.base import Feed, Session

POLL_S = 2.0
QUIET_NS = 2 * NANOS_PER_S  # a stream whose habit is not known is stood in for when it is silent for longer
RETRY_S, RETRY_S_MAX = 1.0, 300.0
STUCK_MAX = 16  # objects of ccxt's that would not close: with more of them no stream is tried


class _Kept(Struct):
    """One source, and where its stream stands."""

    feed: Feed
    keeper: Keeper
    backoff: Backoff
    stream: Stream | None = None
    attempt: int = 0
    due_ns: Nanos = 0  # when a new stream is due
    is_reserved: bool = False  # in the budget of dials
    spoke_ns: Nanos = 0  # when this stream first said something that counts; 0: not yet
    newest_ns: Nanos = 0  # of the times that were stated
    skew_ns: Nanos = 0  # when the clocks are compared next

    def heard_ns(self) -> Nanos:
        """When the stream that stands spoke last; 0: it has not."""
        return self.keeper.heard_ns(self.feed.source) if self.spoke_ns else 0


class CcxtLine:
    """The line of one exchange for a set of feeds, whose symbols are ccxt's. `run` keeps it until it is cancelled."""

    def __init__(
        self,
        exchange_id: str,
        feeds: Sequence[Feed],
        *,
        put: Callable[[Observation], None],
        clock: Clock,
        rest: Rest,
        endpoint: str | None = None,
        proxy: str | None = None,
        options: Mapping[str, object] | None = None,
        make: Callable[[Ear], Awaitable[Any]] | None = None,
        random: Callable[[], float] = _random.random,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`endpoint` replaces the exchange's own addresses, `proxy` is for its streams; `make` makes other objects.

        Raises ServiceError when ccxt has no such exchange.
        """
        self._put, self._clock, self._sleep = put, clock, sleep
        self.stats = LineStats(exchange_id, tuple(feed.source for feed in feeds), endpoint=endpoint or "")
        self._links = Links(put, clock)
        self._poller = CcxtPoller(
            exchange_id,
            feeds,
            put=put,
            clock=clock,
            rest=rest,
            poll_s=POLL_S,
            options=options,
            endpoint=endpoint,
            aside=Aside(self._links, self.stats, self._wanted, self._takes),
            random=random,
            sleep=self._nap,
        )
        self._make = make or partial(
            opened, exchange_id, self._poller, rest=rest, endpoint=endpoint, proxy=proxy, options=options
        )
        self._budget = DialBudget(Session.dials_per_minute_max)
        self._log = structlog.get_logger().bind(venue=exchange_id)
        self._kept = {feed.source: self._keep_of(feed, random) for feed in feeds}
        self._parting: set[asyncio.Task[None]] = set()
        self._stuck: set[asyncio.Task[Any]] = set()
        self._urgent = False  # a source has lost its stream since the poller last looked
        self._looked_ns: Nanos = 0

    async def run(self) -> None:
        """Keep the line up. Ends only by being cancelled."""
        tasks = [asyncio.ensure_future(self._poller.run()), asyncio.ensure_future(self._watch())]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for kept in self._kept.values():
                self._part(kept, "STOPPED")
                self.stats.of(kept.feed.source).carried = False
            self.stats.connected_since_ns = 0
            await asyncio.gather(*self._parting, return_exceptions=True)

    def _keep_of(self, feed: Feed, random: Callable[[], float]) -> _Kept:
        symbols = {feed.source: feed.symbol}
        keeper = Keeper(symbols, {feed.source: (Rung.CCXT,)}, None, self.stats, self._log)
        return _Kept(feed, keeper, Backoff(random, base_s=RETRY_S, cap_s=RETRY_S_MAX))

    async def _watch(self) -> None:
        while True:
            now_ns = self._clock.now_ns()
            was_held_up = 0 < self._looked_ns < now_ns - HELD_UP_NS  # what came meanwhile still waits to be read
            self._looked_ns = now_ns
            for kept in () if was_held_up else self._kept.values():
                try:
                    self._look(kept, now_ns)
                except Exception as error:  # our own mistake must not end the watch over the others
                    self._log.error("line.broken", exc_info=error)
            await self._sleep(WATCH_S)

    def _look(self, kept: _Kept, now_ns: Nanos) -> None:
        """Judge the health of a source, and do what is to be done."""
        source = kept.feed.source
        if kept.stream is not None and (ending := kept.stream.ending(now_ns)) is not None:
            self._over(kept, ending, now_ns)
        orders = kept.keeper.look(now_ns, standing=kept.stream is not None)
        why = orders.down.get(source) or orders.renew
        if why and kept.stream is not None:
            self.stats.note(why, kept.feed.symbol)
            self._part(kept, why)
            kept.due_ns = now_ns
        if kept.stream is None and now_ns >= kept.due_ns:
            self._dial(kept, now_ns)
        if not self._wanted(source):
            self._links.fall(source, self._poller, "STREAM")
        self.stats.of(source).carried = self._links.carried(source)

    def _dial(self, kept: _Kept, now_ns: Nanos) -> None:
        """Begin a new stream, when the budget allows."""
        if len(self._stuck) >= STUCK_MAX:
            return
        wait_ns = 0 if kept.is_reserved else self._budget.reserve(now_ns)
        if wait_ns:
            kept.due_ns, kept.is_reserved = now_ns + wait_ns, True
            return
        kept.is_reserved, kept.spoke_ns = False, 0
        self.stats.dials += 1
        kept.stream = Stream(
            kept.feed,
            self._heard,
            make=self._make,
            attempt=kept.attempt,
            clock=self._clock,
            stats=self.stats,
            sleep=self._sleep,
        )
        kept.keeper.connected(now_ns, first=True)
        kept.stream.start()

    def _heard(self, stream: Stream, fact: BookTop | Trade) -> None:
        """A stream says something. Nothing of a stream that was given up comes here."""
        source, recv_ns = fact.source, fact.recv_ns
        kept = self._kept[source]
        if isinstance(fact, BookTop):
            if not kept.spoke_ns:
                if not kept.keeper.spoke(fact):
                    return
                kept.spoke_ns = recv_ns
                self._links.rise(source, stream, kept.keeper.reason(source))
                self.stats.connected_since_ns = self.stats.connected_since_ns or recv_ns
                self._log.info("venue.connected", symbol=kept.feed.symbol, dials=self.stats.dials)
            kept.newest_ns = max(kept.newest_ns, fact.venue_ns)
        kept.keeper.liveness.pulses[CHANNELS[type(fact)]][source].beat(recv_ns)
        kept.keeper.heed(fact)
        if fact.venue_ns and recv_ns >= kept.skew_ns:
            kept.skew_ns = recv_ns + SKEW_GAP_NS
            kept.keeper.skew.add(recv_ns - fact.venue_ns, recv_ns)
        self.stats.observations += 1
        self._put(fact)

    def _over(self, kept: _Kept, ending: Ending, now_ns: Nanos) -> None:
        """A stream has ended."""
        self.stats.note(ending.reason, ending.detail)
        self._log.warning("venue.disconnected", symbol=kept.feed.symbol, reason=ending.reason, detail=ending.detail)
        wait_s = kept.backoff.wait_s(now_ns - kept.spoke_ns if kept.spoke_ns else 0, ending.retry_after_s)
        self._part(kept, ending.reason)
        kept.keeper.lost(now_ns)
        kept.due_ns = now_ns + int(wait_s * NANOS_PER_S)

    def _part(self, kept: _Kept, reason: str) -> None:
        """Close what stands, which nobody waits for, and have the source polled."""
        stream, kept.stream = kept.stream, None
        if stream is None:
            return
        kept.attempt += not kept.spoke_ns
        kept.spoke_ns = 0
        self._links.fall(kept.feed.source, stream, reason)
        if not any(self._links.carried(source) for source in self._kept):
            self.stats.connected_since_ns = 0
        self._poller.forget_trades(kept.feed.source)
        self._urgent = True
        closing = asyncio.ensure_future(self._closed(stream))
        self._parting.add(closing)
        closing.add_done_callback(self._parting.discard)

    async def _closed(self, stream: Stream) -> None:
        stuck = await stream.close()
        self._stuck.update(stuck)
        for task in stuck:
            task.add_done_callback(self._stuck.discard)
            self.stats.note("UNCLOSED", stream.symbol)

    def _wanted(self, source: int) -> bool:
        """Whether a source has to be polled now."""
        kept = self._kept[source]
        heard_ns = kept.heard_ns()
        if not heard_ns:
            return True
        liveness = kept.keeper.liveness
        is_known = liveness.pulses[liveness.channel(source)][source].habit_ns() is not None
        is_believed = is_known and not kept.keeper.polls()
        return not is_believed and self._clock.now_ns() - heard_ns > QUIET_NS

    def _takes(self, source: int, facts: Sequence[Observation], asked_ns: Nanos) -> bool:
        """Whether an answer over REST is still of use: the stream outranks it, and so does whatever is newer."""
        kept = self._kept[source]
        stated_ns = max((fact.venue_ns for fact in facts if isinstance(fact, BookTop)), default=0)
        if kept.heard_ns() >= asked_ns or 0 < stated_ns < kept.newest_ns:
            self.stats.duplicates += 1
            return False
        if not kept.keeper.answered(source, facts, self._clock.now_ns()):
            return False
        kept.newest_ns = max(kept.newest_ns, stated_ns)
        self.stats.polls += 1
        return True

    async def _nap(self, seconds: float) -> None:
        """The poller's pause, which is over as soon as a source loses its stream; a wait after a failure is not."""
        until_ns = self._clock.now_ns() + int(seconds * NANOS_PER_S)
        while (left_ns := until_ns - self._clock.now_ns()) > 0:
            if self._urgent and seconds <= POLL_S:
                break
            await self._sleep(min(WATCH_S, left_ns / NANOS_PER_S))
        self._urgent = False
