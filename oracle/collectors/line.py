"""How a venue's market is kept up: one connection, dialled, watched, renewed and repaired, and what stands in for it.

Whatever goes wrong costs this line only and is counted by its name. A connection is replaced before it is given up: the
next one is dialled beside it and delivers before the old one is closed, whether its lifetime ends, one of its sources
ails or a better endpoint is free again. Where none stands, sources are polled while dialling goes on. `Link` tells
the engine of every true rise and fall: a source is down when nothing carries it, or when what carries it is silent.

Several lines may serve the same sources (`number`); they then share `links` and `merge`.
"""

from __future__ import annotations

import asyncio
import random as _random
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog

from oracle.clock import Clock
from oracle.collectors import socket
from oracle.collectors.asking import Asker
from oracle.collectors.backoff import DialBudget
from oracle.collectors.ccxt import CcxtPoller
from oracle.collectors.dialler import Dialler, Wire
from oracle.collectors.keeper import Keeper, Orders
from oracle.collectors.leg import Leg, through
from oracle.collectors.links import Links
from oracle.collectors.liveness import Channel
from oracle.collectors.merge import Merge
from oracle.collectors.poller import Poller, Told
from oracle.collectors.pump import Ending, Gear, Pump
from oracle.collectors.repair import Rung
from oracle.collectors.stats import LineStats
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Nanos, Observation
from oracle.errors import LineError
from oracle.venues.base import Feed, Session

WATCH_S = 0.25  # how often a line looks at its clocks
HELD_UP_NS = 1_500_000_000  # a look this late says that we were held up: the venue's frames still wait to be read
RELIEF_NS = 20 * NANOS_PER_S  # for so long a new connection may take to deliver what the old one does
RELIEF_GAP_NS = 30 * NANOS_PER_S  # between two moves to a better endpoint


class Line:
    """The line of one venue's market, for a set of feeds. `run` keeps it until it is cancelled."""

    def __init__(
        self,
        session_type: type[Session],
        feeds: Sequence[Feed],
        *,
        put: Callable[[Observation], None],
        clock: Clock,
        budget: DialBudget | None = None,
        rest: Asker | None = None,
        market: str = "spot",
        endpoint: str | None = None,
        endpoints: Sequence[str] = (),
        spare: Callable[[], Awaitable[CcxtPoller]] | None = None,
        alive_by: Mapping[int, Channel] | None = None,
        links: Links | None = None,
        merge: Merge | None = None,
        number: int = 0,
        tls: ssl.SSLContext | None = None,
        proxy: str | None = None,
        library: str = "picows",
        connect: Callable[..., Awaitable[socket.Socket]] = socket.connect,
        random: Callable[[], float] = _random.random,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`endpoint` replaces the venue's own address, for REST too; `endpoints` are others, for the stream alone."""
        self._session_type, self._feeds, self._market = session_type, tuple(feeds), market
        self._put, self._clock, self._random, self._sleep = put, clock, random, sleep
        self._wire = Wire(connect, library, proxy, tls, rest, endpoint)
        self._urls, self._spare, self._alive_by = tuple(endpoints), spare, dict(alive_by or {})
        self._budget = budget or DialBudget(session_type.dials_per_minute_max)
        self._links, self._merge, self._number = links or Links(put, clock), merge, number
        self._symbols = {feed.source: feed.symbol for feed in feeds}
        self._log = structlog.get_logger().bind(venue=session_type.venue, market=market)
        self.stats = LineStats(session_type.venue, tuple(feed.source for feed in feeds))
        self._legs_dialled = 0
        self._leg: Leg | None = None  # the one that counts
        self._legs: list[Leg] = []  # all that stand, the newest last
        self._relief: asyncio.Task[None] | None = None
        self._wanted = ""  # why a relief is wanted
        self._moved_ns: Nanos = 0
        self._looked_ns: Nanos = 0
        self._dialler: Dialler
        self._keeper: Keeper
        self._poller: Poller
        self._gear: Gear

    async def run(self) -> None:
        """Keep the line up. Ends only by being cancelled."""
        self._prepare()
        watch = asyncio.ensure_future(self._watch())
        try:
            await self._keep()
        finally:
            tasks = [watch, *(leg.task for leg in self._legs), *([self._relief] if self._relief else ())]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, self._poller.aclose(), return_exceptions=True)
            carriers = [leg.pump for leg in self._legs]
            self._leg, self._legs, self._relief = None, [], None
            self.stats.connected_since_ns = 0
            for source in self._symbols:
                for carrier in (*carriers, self._poller, self):
                    self._links.fall(source, carrier, "STOPPED")
                self.stats.of(source).carried = False

    def _prepare(self) -> None:
        """Ask a session of the venue, which is never dialled, what repairs there are."""
        sample = self._session_type(self._feeds, self._market)
        base = self._wire.rest_base
        urls = (base, *self._urls) if base else (None, *self._urls, *sample.endpoints)
        self._dialler = Dialler(
            self._wire,
            self._budget,
            urls,
            sample.retired,
            clock=self._clock,
            sleep=self._sleep,
            stats=self.stats,
            log=self._log,
            random=self._random,
        )
        self._poller = Poller(
            sample,
            Told(self._answered, self._failed, lambda source: self._keeper.heard_ns(source)),
            rest=self._wire.rest,
            rest_base=base,
            spare=self._spare,
            clock=self._clock,
            stats=self.stats,
            random=self._random,
        )
        rungs = {feed.source: self._rungs(sample, feed) for feed in self._feeds}
        keeps = sample.keeps_books
        self._keeper = Keeper(self._symbols, rungs, self._alive_by, self.stats, self._log, keeps_books=keeps)
        self._gear = Gear(
            clock=self._clock,
            sleep=self._sleep,
            rest=self._wire.rest,
            rest_base=base,
            stats=self.stats,
            liveness=self._keeper.liveness,
            heed=self._keeper.heed,
            skew=self._keeper.skew.add,
            first=self._first,
            put=self._put,
            log=self._log,
        )

    def _rungs(self, sample: Session, feed: Feed) -> list[Rung]:
        rungs = [Rung.ALTERNATE] if len(self._dialler.endpoints.all) > 1 else []
        if self._number == 0:  # of several lines, one asks
            rungs += self._poller.rungs(feed.source)
        with suppress(Exception):  # a venue file's mistake costs its own rung only
            if sample.resubscribe([feed.symbol]):
                rungs.append(Rung.RESUBSCRIBED)
        return rungs

    async def _keep(self) -> None:
        """Dial whenever nothing stands and nothing is on its way."""
        while True:
            if (leg := self._leg) is not None:
                await asyncio.wait([leg.task])
                if self._leg is leg:  # it did not clear up after itself: our own mistake, which `run` raises
                    self._leg = None
                    leg.task.result()
            elif self._relief is not None:
                await asyncio.wait([self._relief])
            else:
                await self._dialler.pause()
                if (leg := await self._dial()) is not None:
                    self._take_over(leg)

    async def _dial(self) -> Leg | None:
        """A connection that is being read; None: there is none now."""
        session = self._session_type(self._feeds, self._market)
        pump = Pump(self._gear, session)
        try:
            line, endpoint = await self._dialler.dial(session, pump)
        except LineError as error:
            self._poller.hold(self._dialler.asked_ns)
            if self._leg is None:
                for source in self._symbols:
                    self._links.fall(source, self, error.reason)
                self._keeper.lost(self._clock.now_ns())
            return None
        self._legs_dialled += 1
        rank = 2 * self._number + self._legs_dialled % 2
        leg = Leg(pump, line, endpoint, rank, self._clock.now_ns(), self._random())
        self._legs.append(leg)
        if self._merge is not None:
            pump.put = through(self._merge, rank, self._put)
        self._log.info("venue.connected", sources=len(self._feeds), dials=self.stats.dials, endpoint=endpoint.url)
        self._keeper.connected(leg.began_ns, first=self._leg is None)
        for source in self._symbols:
            if not self._keeper.is_down(source):
                self._links.rise(source, pump)
        leg.task = asyncio.ensure_future(self._serve(leg))
        return leg

    async def _serve(self, leg: Leg) -> None:
        """Read a connection until it ends, and clear up after it."""
        try:
            ending = await leg.pump.serve(leg.socket)
        except asyncio.CancelledError:
            for source in self._symbols:
                self._links.fall(source, leg.pump, "STOPPED")
            raise
        finally:
            with suppress(LineError):
                await leg.socket.close()
        self._over(leg, ending)

    def _over(self, leg: Leg, ending: Ending) -> None:
        now_ns = self._clock.now_ns()
        fed_ns = now_ns - leg.pump.facts_ns if leg.pump.facts_ns else 0
        retired = self._dialler.over(leg.endpoint, ending, now_ns - leg.began_ns, fed_ns)
        reason = "ENDPOINT_RETIRED" if retired else ending.reason
        self.stats.note(ending.reason, ending.detail)
        tell = self._log.info if ending.planned else self._log.warning
        stood_ms = (now_ns - leg.began_ns) // NANOS_PER_MS
        tell("venue.disconnected", reason=reason, detail=ending.detail, stood_ms=stood_ms)
        self._legs.remove(leg)
        if self._merge is not None:
            self._merge.ended(leg.rank)
        if leg is self._leg:
            self._leg = None
            self.stats.connected_since_ns = 0
        for source in self._symbols:
            self._links.fall(source, leg.pump, reason)
        if not self._legs:
            self._keeper.lost(now_ns)

    def _take_over(self, leg: Leg) -> None:
        """From now on this connection counts."""
        self._leg, self._wanted = leg, ""
        self.stats.connected_since_ns = leg.began_ns
        self.stats.endpoint = leg.endpoint.url or ""

    async def _relieve(self, reason: str) -> None:
        """Replace the connection that stands by one that delivers as much, without a moment between them."""
        merge = self._merge
        if merge is None:
            merge = Merge(self._symbols)
            if self._leg is not None:
                self._leg.pump.put = through(merge, self._leg.rank, self._put)
        new = await self._dial()
        if new is None:
            return
        new.pump.put = through(merge, new.rank, self._put)
        try:
            until_ns = new.began_ns + RELIEF_NS
            while self._leg is not None and not new.task.done() and not self._delivers(new):
                if self._clock.now_ns() >= until_ns:
                    break
                await self._sleep(WATCH_S)
            old, better = self._leg, self._is_better(new, reason)
            if new.task.done():
                return
            if old is None or better:
                self._take_over(new)
            if old is not None:
                over, why = (old, reason) if better else (new, "NO_BETTER")
                if not better:
                    self._dialler.endpoints.leave(new.endpoint, self._clock.now_ns())
                over.pump.end(why, planned=True)
                await asyncio.wait([over.task])
        finally:
            self.stats.duplicates += 0 if self._merge else merge.duplicates + merge.outdated
            if self._merge is None:
                for leg in self._legs:
                    leg.pump.put = self._put

    def _delivers(self, new: Leg) -> bool:
        """Whether the new connection has brought every source that was heard since it stands."""
        owed = [source for source in self._symbols if self._keeper.heard_ns(source) >= new.began_ns]
        return bool(owed) and all(source not in new.pump.awaited for source in owed)

    def _is_better(self, new: Leg, reason: str) -> bool:
        """Whether the new connection is kept instead of the old one, in the end."""
        if self._delivers(new):
            return True
        if reason == "HOME":
            return False
        quiet = not any(self._keeper.heard_ns(source) >= new.began_ns for source in self._symbols)
        return quiet or (reason != "RENEWED" and new.pump.facts_ns > 0)

    def _first(self, pump: Pump, fact: Any) -> bool:
        """An awaited source spoke on a connection. False: that word does not count."""
        source = fact.source
        for leg in reversed(self._legs):
            if leg.pump is pump:
                break
            if source not in leg.pump.awaited:
                return False  # a newer connection has the word
        if not self._keeper.spoke(fact):
            return False
        pump.awaited.discard(source)
        self._links.rise(source, pump, self._keeper.reason(source))
        return True

    def _answered(self, source: int, rung: Rung, facts: Sequence[Observation]) -> None:
        if not self._keeper.answered(source, facts, self._clock.now_ns()):
            return
        self._links.rise(source, self._poller, str(rung))
        for fact in facts:
            self._put(fact)

    def _failed(self, source: int, rung: Rung, reason: str) -> None:
        self._links.fall(source, self._poller, f"{rung}:{reason}")

    async def _watch(self) -> None:
        while True:
            await self._sleep(WATCH_S)
            try:
                self._look(self._clock.now_ns())
            except Exception as error:  # our own mistake must not end the watch over the others
                self._log.error("line.broken", exc_info=error)

    def _look(self, now_ns: Nanos) -> None:
        """Judge the health of every source, and do what is to be done."""
        late_ns, self._looked_ns = now_ns - self._looked_ns, now_ns
        if self._looked_ns and late_ns > HELD_UP_NS:
            return
        for leg in self._legs:
            leg.look(now_ns, self._keeper.heed)
        if self._leg is not None and self._leg.is_due(now_ns):
            self._wanted = self._wanted or "RENEWED"
        self._obey(self._keeper.look(now_ns, standing=self._leg is not None), now_ns)
        self._go_home(now_ns)
        if self._wanted and self._relief is None and self._leg is not None:
            reason, self._wanted = self._wanted, ""
            self._relief = asyncio.ensure_future(self._relieve(reason))
            self._relief.add_done_callback(self._relieved)
        if self._merge is not None and self._number == 0:
            self.stats.duplicates = self._merge.duplicates + self._merge.outdated
        for source in self._symbols:
            self.stats.of(source).carried = self._links.carried(source)
        ours = (self._poller, *(leg.pump for leg in self._legs))
        polls = self._keeper.polls()
        alone = {source: rung for source, rung in polls.items() if not self._links.carried(source, besides=ours)}
        self._poller.look(alone, now_ns)

    def _relieved(self, task: asyncio.Task[None]) -> None:
        self._relief = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("line.broken", exc_info=error)

    def _obey(self, orders: Orders, now_ns: Nanos) -> None:
        for source, reason in orders.down.items():
            lasts = self._alive_by.get(source) is Channel.TICKER  # a stated rate has a time of its own by which it ages
            for leg in self._legs:
                leg.pump.awaited.add(source)
                if not lasts:
                    self._links.fall(source, leg.pump, reason)
        for source in orders.well:
            self._links.fall(source, self._poller, "STREAM")
        if orders.resubscribe and self._leg is not None:
            self._leg.pump.resubscribe([self._symbols[source] for source in orders.resubscribe])
        if orders.alternate:
            newest = self._legs[-1] if self._legs else None
            self._dialler.endpoints.leave_for_another(newest.endpoint if newest else None, now_ns)
            if newest is not None and newest is not self._leg:
                newest.pump.end("NO_BETTER", planned=True)
        if self._leg is not None:
            self._wanted = orders.renew or self._wanted

    def _go_home(self, now_ns: Nanos) -> None:
        """Forgive the endpoint that delivers, and move back to a better one when that is free again."""
        leg, endpoints = self._leg, self._dialler.endpoints
        if leg is None or self._wanted or self._relief is not None or not leg.is_healthy(now_ns):
            return
        endpoints.delivered(leg.endpoint)
        if endpoints.best(now_ns) is not leg.endpoint and now_ns - self._moved_ns >= RELIEF_GAP_NS:
            self._moved_ns = now_ns
            self._wanted = "HOME"
