"""A rate that anybody states as JSON, over HTTP or a WebSocket, declared in the settings: a desk's own FX or metals.

Where the rate, its time and its symbol stand is data (`Declared`), read by the same strict reader as the venues' tops
over REST: a duplicate key, NaN, a number beyond any market, a symbol nobody asked for are refused by name. A rate has
its own time, which asking again does not change; without one it is as old as its answer. It is scaled in decimal
arithmetic and rounded once, and refused outside its range.

Over HTTP a feed is a `JsonPoller`; over a WebSocket it is a Session, so that a Line dials, watches and repairs it.
"""

from __future__ import annotations

import asyncio
import random as _random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import ClassVar
from urllib.parse import quote as quoted

from msgspec import Struct

from oracle.clock import Clock
from oracle.collectors.reference import AHEAD_NS_MAX, ReferencePoller
from oracle.collectors.rest import Rest
from oracle.collectors.socket import refused_by
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Nanos, Observation, Ticker, TickerKind
from oracle.errors import LineError, Refusal, VenueError
from oracle.venues.base import Event, Feed, RestTop, Send, Session

BODY_BYTES_MAX = 64 << 10
OLD_NS_MAX = 62 * 86_400 * NANOS_PER_S  # older than any market is closed: the time is in another unit
NOT_IN_FRAME = (Refusal.WRONG_SHAPE, Refusal.UNKNOWN_SYMBOL)  # a stream's frame may be about another of our symbols
TIME_UNITS_NS: Mapping[str, int] = {"s": NANOS_PER_S, "ms": NANOS_PER_MS, "us": 1_000, "ns": 1, "rfc3339": 0}


class Declared(Struct, frozen=True, kw_only=True):
    """Where a feed states what. `{base}`, `{quote}` and `{symbol}` stand in `url` and `path` for the source's.

    `symbol` is how the feed spells a symbol, made of its base and quote; where `symbol_path` points it must stand.
    """

    name: str
    url: str
    path: str
    time_path: str = ""
    time_unit: str = "ms"
    symbol_path: str = ""
    symbol: str = "{base}/{quote}"
    scale: float = 1.0
    rate_min: float = 1e-9
    rate_max: float = 1e9
    subscribe: str = ""
    every_ms: int = 5_000
    headers: Mapping[str, str] = {}

    @property
    def streams(self) -> bool:
        """Whether it is a WebSocket."""
        return self.url.startswith(("ws://", "wss://"))

    def address(self, symbol: str) -> str:
        """What is asked for a source's symbol."""
        return self._filled(self.url, symbol, escaped=True)

    def read(self, feed: Feed, body: bytes, recv_ns: Nanos) -> tuple[float, Nanos]:
        """The rate of a source in a body, and the time it states, 0 when it states none. Raises VenueError."""
        path = self._filled(self.path, feed.symbol)
        top = RestTop(
            url=self.url,
            bid=path,
            ask=path,
            time=self.time_path,
            time_unit_ns=TIME_UNITS_NS[self.time_unit],
            symbol=self.symbol_path,
            named=self._filled(self.symbol, feed.symbol),
        ).read(feed.source, feed.symbol, body, 0)
        if top.venue_ns and not recv_ns - OLD_NS_MAX <= top.venue_ns <= recv_ns + AHEAD_NS_MAX:
            raise VenueError(Refusal.TIME_UNIT, f"{top.venue_ns} ns at {recv_ns} ns")
        rate = float(Decimal(repr(top.bid)) * Decimal(repr(self.scale)))
        if not self.rate_min <= rate <= self.rate_max:
            raise VenueError(Refusal.OUT_OF_RANGE, f"{feed.symbol} {rate:g}")
        return rate, top.venue_ns

    def _filled(self, template: str, symbol: str, *, escaped: bool = False) -> str:
        base, _, currency = symbol.partition("/")
        spelt = self.symbol.replace("{base}", base).replace("{quote}", currency)
        for word, value in (("{base}", base), ("{quote}", currency), ("{symbol}", spelt)):
            template = template.replace(word, quoted(value, safe="") if escaped else value)
        return template


class JsonPoller(ReferencePoller):
    """Asks a feed over HTTP, once for all sources that share an address."""

    backoff_s: ClassVar[tuple[float, float]] = (1.0, 30.0)

    def __init__(
        self,
        declared: Declared,
        feeds: Sequence[Feed],
        *,
        put: Callable[[Observation], None],
        clock: Clock,
        rest: Rest,
        random: Callable[[], float] = _random.random,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        super().__init__(f"feed.{declared.name}", feeds, put=put, clock=clock, rest=rest, random=random, sleep=sleep)
        self._declared = declared
        self._told: dict[int, tuple[float, Nanos]] = {}

    async def _ask(self) -> None:
        asked: dict[str, list[Feed]] = {}
        for feed in self._feeds:
            asked.setdefault(self._declared.address(feed.symbol), []).append(feed)
        failure: LineError | VenueError | None = None
        for url, feeds in asked.items():
            try:
                await self._ask_at(url, feeds)
            except (LineError, VenueError) as error:  # one address must not cost the others
                if failure is not None:
                    self.count(failure)
                failure = error
        if failure is not None:
            raise failure

    async def _ask_at(self, url: str, feeds: Sequence[Feed]) -> None:
        answer = await self._rest.fetch("GET", url, headers=self._declared.headers, body_bytes_max=BODY_BYTES_MAX)
        if answer.status != 200:
            raise refused_by(answer.status, answer.headers.get("retry-after"))
        recv_ns = self.answered(answer.body)
        refusals: list[VenueError] = []
        for feed in feeds:
            try:
                said = rate, venue_ns = self._declared.read(feed, answer.body, recv_ns)
            except VenueError as error:
                refusals.append(error)
                continue
            if venue_ns == 0 or said != self._told.get(feed.source):
                self._told[feed.source] = said
                self.tell(feed.source, rate, venue_ns, recv_ns)
        if len(refusals) == len(feeds):
            raise refusals.pop()
        for refusal in refusals:
            self.count(refusal)

    def _pause_s(self) -> float:
        return self._declared.every_ms / 1_000


def session_type(declared: Declared) -> type[Session]:
    """The Session that reads a feed's WebSocket. A frame without any of our rates is refused."""

    class JsonSession(Session):
        """One connection to a declared feed."""

        venue = f"feed.{declared.name}"
        frame_bytes_max = BODY_BYTES_MAX

        def url(self) -> str:
            return declared.url

        def open(self) -> list[Send]:
            return [Send(declared.subscribe)] if declared.subscribe else []

        def receive(self, data: bytes, recv_ns: Nanos) -> list[Event]:
            found: list[Event] = []
            absent: VenueError | None = None
            for feed in self.feeds:
                try:
                    rate, venue_ns = declared.read(feed, data, recv_ns)
                except VenueError as error:
                    if error.reason not in NOT_IN_FRAME:
                        raise
                    absent = error
                else:
                    found.append(Ticker(feed.source, TickerKind.REFERENCE, rate, venue_ns, recv_ns))
            if absent is not None and not found:
                raise absent
            return found

    return JsonSession
