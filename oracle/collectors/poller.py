"""What stands in for a stream that is silent: the venue's REST, or ccxt, asked for one symbol after another.

An answer is a statement of its own time: it carries the time of its receipt, and the venue's where the venue states
one. It never winds a stream's clock. What the stream says while an answer is on its way outranks it, and so does a
newer statement of the same market; a venue that asks to be left alone is.
"""

from __future__ import annotations

import asyncio
import random as _random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

import structlog

from oracle.clock import Clock
from oracle.collectors.asking import Asker, ask
from oracle.collectors.backoff import Backoff
from oracle.collectors.ccxt import CcxtPoller, retry_after_s
from oracle.collectors.repair import Rung
from oracle.collectors.stats import LineStats
from oracle.core.types import NANOS_PER_S, Nanos, Observation
from oracle.errors import LineError, VenueError
from oracle.venues.base import Request, Send, Session

POLL_NS = 2 * NANOS_PER_S  # between two questions about one symbol
ASK_GAP_NS = NANOS_PER_S // 2  # between two questions
HEARD_NS = NANOS_PER_S  # a stream that spoke so lately needs no substitute
UNTOLD_NS = 60 * NANOS_PER_S


class Told(NamedTuple):
    """How a poller and its line speak to each other."""

    answered: Callable[[int, Rung, Sequence[Observation]], None]
    failed: Callable[[int, Rung, str], None]
    heard_ns: Callable[[int], Nanos]  # when the stream of a source spoke last; 0: not since the repair began


class Poller:
    """The substitute of one line's sources. `look` asks whatever is due; one question is on its way at a time."""

    def __init__(
        self,
        session: Session,
        told: Told,
        *,
        rest: Asker | None,
        rest_base: str | None,
        spare: Callable[[], Awaitable[CcxtPoller]] | None,
        clock: Clock,
        stats: LineStats,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self._session, self._told, self._rest, self._rest_base = session, told, rest, rest_base
        self._spare, self._clock, self._stats = spare, clock, stats
        self._symbols: Mapping[int, str] = {feed.source: feed.symbol for feed in session.feeds}
        self._backoffs = {source: Backoff(random) for source in self._symbols}
        self._due_ns: dict[int, Nanos] = {}
        self._next_ns: Nanos = 0
        self._newest_ns: dict[int, Nanos] = {}
        self._ccxt: CcxtPoller | None = None
        self._task: asyncio.Task[None] | None = None
        self._log = structlog.get_logger().bind(venue=session.venue, market=session.market)
        self._logged_ns: dict[str, Nanos] = {}

    def rungs(self, source: int) -> tuple[Rung, ...]:
        """The substitutes that a source has."""
        try:
            has = self._rest is not None and self._session.poll(self._symbols[source]) is not None
        except Exception as error:  # a venue file's mistake costs its own rung only
            self._log.error("venue.broken", exc_info=error)
            has = False
        return ((Rung.REST,) if has else ()) + ((Rung.CCXT,) if self._spare else ())

    def hold(self, until_ns: Nanos) -> None:
        """The venue asked to be left alone until then."""
        self._next_ns = max(self._next_ns, until_ns)

    def look(self, wanted: Mapping[int, Rung], now_ns: Nanos) -> None:
        """Ask about the source that waits longest, if one is due."""
        if self._task is not None or now_ns < self._next_ns or not wanted:
            return
        quiet = [source for source in wanted if now_ns - self._told.heard_ns(source) >= HEARD_NS]
        source = min(quiet, key=lambda one: self._due_ns.get(one, 0), default=None)
        if source is None or self._due_ns.get(source, 0) > now_ns:
            return
        self._next_ns, self._due_ns[source] = now_ns + ASK_GAP_NS, now_ns + POLL_NS
        self._task = asyncio.ensure_future(self._ask(source, wanted[source], now_ns))

    async def aclose(self) -> None:
        """Ask nothing more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._ccxt is not None:
            await self._ccxt.aclose()

    async def _ask(self, source: int, rung: Rung, asked_ns: Nanos) -> None:
        """Ask about one source."""
        try:
            facts = await (self._by_rest(source) if rung is Rung.REST else self._by_ccxt(source))
        except Exception as error:  # ccxt raises what it likes
            self._fail(source, rung, error)
        else:
            self._backoffs[source].wait_s(1 << 62)  # an answer forgives every failure
            if self._told.heard_ns(source) < asked_ns and not self._is_older(source, facts):
                self._stats.polls += 1
                self._stats.observations += len(facts)
                self._told.answered(source, rung, facts)
        finally:
            self._task = None

    async def _by_rest(self, source: int) -> list[Observation]:
        request = self._session.poll(self._symbols[source])
        if request is None:
            raise LineError("REFUSED", "no REST for this market")
        body = await ask(self._rest, request, self._rest_base)
        events = self._session.polled(request, body, self._clock.now_ns())
        return [event for event in events if not isinstance(event, Send | Request)]

    async def _by_ccxt(self, source: int) -> list[Observation]:
        assert self._spare is not None
        self._ccxt = self._ccxt or await self._spare()
        return await self._ccxt.facts(source)

    def _is_older(self, source: int, facts: Sequence[Observation]) -> bool:
        """Whether the answer is older than one before, as caches sometimes give."""
        stated_ns = max((getattr(fact, "venue_ns", 0) for fact in facts), default=0)
        if stated_ns and stated_ns < self._newest_ns.get(source, 0):
            return True
        self._newest_ns[source] = stated_ns
        return False

    def _fail(self, source: int, rung: Rung, error: Exception) -> None:
        """Count a poll that failed, and wait longer before the next."""
        now_ns = self._clock.now_ns()
        wait_s = self._backoffs[source].wait_s(0, retry_after_s(error))
        self._due_ns[source] = max(self._due_ns[source], now_ns + int(wait_s * NANOS_PER_S))
        if isinstance(error, VenueError):
            name = str(error.reason)
            self._stats.refused[name] += 1
        else:
            name = error.reason if isinstance(error, LineError) else type(error).__name__
            self._stats.note(f"{rung}:{name}", str(error))
        if now_ns - self._logged_ns.get(name, -UNTOLD_NS) >= UNTOLD_NS:
            self._logged_ns[name] = now_ns
            self._log.warning("venue.poll_failed", symbol=self._symbols[source], by=str(rung), reason=name)
        self._told.failed(source, rung, name)
