"""The European Central Bank's daily fixing: rates between any two of its currencies, each with the fixing's own time.

Source: "Euro foreign exchange reference rates", https://www.ecb.europa.eu/stats/eurofxref/eurofxref-daily.xml, and the
CSV of the same rates (`eurofxref.csv`, which the bank packs into a zip); the page beside them, read 2026-11-21. It is
one euro in each currency, from a concertation that "normally takes place around 14:10 CET", published "at around 16:00
CET every working day, except on TARGET closing days", for information; the bank discourages its use for transactions.
"CET" is taken as Frankfurt's time, in summer CEST, which changes on the last Sundays of March and October (Directive
2000/84/EC).

A cross of two currencies is the quotient of their rates, computed exactly and rounded once. A fixing is told once, when
it is new; what was fixed yesterday is not made younger by asking again. The file is asked for when the next fixing is
due, not before. A question that fails takes nothing back: the last fixing stands until it is too old for its source.
"""

from __future__ import annotations

import asyncio
import random as _random
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import ClassVar
from xml.etree import ElementTree

import structlog
from msgspec import Struct

from oracle.clock import Clock
from oracle.collectors.backoff import Backoff
from oracle.collectors.rest import Rest
from oracle.collectors.stats import LineStats
from oracle.core.calendar import DAY_NS, HOUR_NS, civil, day_of, is_open
from oracle.core.types import NANOS_PER_S, Link, Nanos, Observation, Ticker, TickerKind
from oracle.errors import LineError, Refusal, VenueError
from oracle.venues.base import Feed

ECB = "ecb"
URL = "https://www.ecb.europa.eu/stats/eurofxref/eurofxref-daily.xml"
BODY_BYTES_MAX = 256 << 10  # ninety days of it are less
AHEAD_NS_MAX = 60 * NANOS_PER_S  # a rate of the future is refused, but for a little clock
NAP_S_MAX = 3_600.0  # a machine that slept through the night looks at its clock again
RETRY_S, RETRY_CAP_S = 60.0, 900.0
LATE_S = 300.0  # how often a fixing that is due, or to be corrected, is asked for
JITTER_S = 120.0  # after publication, so that not everybody asks in the same second

# One euro is believed to be worth: from the extremes since 1999 with room for a crisis. Others: anything above zero.
BELIEVED: Mapping[str, tuple[Fraction, Fraction]] = {
    "USD": (Fraction(1, 2), Fraction(5, 2)),
    "HKD": (Fraction(7, 2), Fraction(20)),
    "JPY": (Fraction(50), Fraction(500)),
    "KRW": (Fraction(500), Fraction(5_000)),
}
_FIXED_NS, _PUBLISHED_NS = 14 * HOUR_NS + 10 * 60 * NANOS_PER_S, 16 * HOUR_NS  # Frankfurt's time
_RATE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})|([0-9]{1,2}) ([A-Z][a-z]{2,8}) ([0-9]{4})")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_SUNDAY_OF_DAY_0 = 4  # days from a Sunday to 1 January 1970


class Fixing(Struct, frozen=True):
    """One day's rates: what one euro is worth in each currency. `day` counts from 1970."""

    day: int
    rates: Mapping[str, Fraction]

    def cross(self, symbol: str) -> float:
        """What a unit of BASE is worth in QUOTE, of `BASE/QUOTE`. Raises VenueError."""
        base, _, quote = symbol.partition("/")
        return float(self._believed(quote) / self._believed(base))

    def _believed(self, currency: str) -> Fraction:
        rate = self.rates.get(currency)
        if rate is None:
            raise VenueError(Refusal.UNKNOWN_SYMBOL, f"no {currency} in the fixing")
        low, high = BELIEVED.get(currency, (rate, rate))
        if not low <= rate <= high:
            raise VenueError(Refusal.OUT_OF_RANGE, f"EUR/{currency} {float(rate):g}")
        return rate


class ReferencePoller(ABC):
    """Asks for rates that somebody states, and tells them as facts. `run` goes on until cancelled.

    The link to its sources rises with the first answer and falls only at the end; `stats.connected_since_ns` says
    whether the last question was answered. After a failure it waits the first of `backoff_s` and a jitter that grows
    up to the second.
    """

    backoff_s: ClassVar[tuple[float, float]] = (RETRY_S, RETRY_CAP_S)

    def __init__(
        self,
        venue: str,
        feeds: Sequence[Feed],
        *,
        put: Callable[[Observation], None],
        clock: Clock,
        rest: Rest,
        random: Callable[[], float] = _random.random,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._feeds, self._put, self._clock, self._rest = tuple(feeds), put, clock, rest
        self._random, self._sleep = random, sleep
        self._backoff = self._fresh_backoff()
        self._up: set[int] = set()
        self._log = structlog.get_logger().bind(venue=venue)
        self.stats = LineStats(venue, tuple(feed.source for feed in feeds))

    async def run(self) -> None:
        """Look again and again."""
        try:
            while True:
                due_ns = self._clock.now_ns() + int(await self.look() * NANOS_PER_S)
                while (left_ns := due_ns - self._clock.now_ns()) > 0:
                    await self._sleep(min(left_ns / NANOS_PER_S, NAP_S_MAX))
        finally:
            self.stats.connected_since_ns = 0
            for source in sorted(self._up):
                self._put(Link(source, False, "STOPPED", self._clock.now_ns()))
            self._up.clear()

    async def look(self) -> float:
        """Ask once and tell what is new; how long to wait before the next look, in seconds."""
        self.stats.dials += 1
        try:
            await self._ask()
        except (LineError, VenueError) as error:
            self.count(error)
            self.stats.connected_since_ns = 0
            retry_after_s = error.retry_after_s if isinstance(error, LineError) else 0.0
            return self.backoff_s[0] + self._backoff.wait_s(0, retry_after_s)
        self._backoff = self._fresh_backoff()
        self.stats.connected_since_ns = self.stats.connected_since_ns or self._clock.now_ns()
        return self._pause_s()

    @abstractmethod
    async def _ask(self) -> None:
        """Ask, and `tell` what is new. Raises LineError and VenueError."""

    @abstractmethod
    def _pause_s(self) -> float:
        """How long to wait after an answer, in seconds."""

    def tell(self, source: int, rate: float, venue_ns: Nanos, recv_ns: Nanos) -> None:
        """A rate as a fact, behind the rise of its link."""
        if source not in self._up:
            self._up.add(source)
            self._put(Link(source, True, "", recv_ns))
        self.stats.observations += 1
        self._put(Ticker(source, TickerKind.REFERENCE, rate, venue_ns, recv_ns))

    def answered(self, body: bytes) -> Nanos:
        """Count an answer; when it was received."""
        recv_ns = self._clock.now_ns()
        self.stats.frames += 1
        self.stats.bytes += len(body)
        self.stats.last_frame_ns = recv_ns
        return recv_ns

    def count(self, error: LineError | VenueError) -> None:
        """Count what failed by its name, and log the first of its kind."""
        name, detail = str(error.reason), error.detail
        counter = self.stats.refused if isinstance(error, VenueError) else self.stats.ended
        if not counter[name]:
            self._log.warning("reference.refused", reason=name, detail=detail)
        counter[name] += 1
        self.stats.last_error = str(error)[:200]

    def _fresh_backoff(self) -> Backoff:
        first_s, cap_s = self.backoff_s
        return Backoff(self._random, base_s=first_s, cap_s=cap_s)


class EcbPoller(ReferencePoller):
    """Asks for the ECB's file once a day. A feed's symbol is `BASE/QUOTE`."""

    def __init__(
        self,
        feeds: Sequence[Feed],
        *,
        put: Callable[[Observation], None],
        clock: Clock,
        rest: Rest,
        url: str = URL,
        random: Callable[[], float] = _random.random,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        super().__init__(ECB, feeds, put=put, clock=clock, rest=rest, random=random, sleep=sleep)
        self._url = url
        self._told: Fixing | None = None
        self._whole = False  # everything that is asked for could be told

    async def _ask(self) -> None:
        body = await self._rest.get(self._url, body_bytes_max=BODY_BYTES_MAX)
        recv_ns = self.answered(body)
        fixing = read_fixing(body)
        at_ns = fixed_ns(fixing.day)
        if at_ns > recv_ns + AHEAD_NS_MAX:
            raise VenueError(Refusal.TIME_UNIT, "a fixing of the future")
        if self._told is not None and fixing.day < self._told.day:
            raise VenueError(Refusal.TIME_UNIT, "an older fixing than the last")
        if fixing == self._told:
            return
        self._told, self._whole = fixing, True
        for feed in self._feeds:
            try:
                self.tell(feed.source, fixing.cross(feed.symbol), at_ns, recv_ns)
            except VenueError as error:
                self._whole = False
                self.count(error)

    def _pause_s(self) -> float:
        now_ns = self._clock.now_ns()
        due_ns = next_publication_ns(self._told.day if self._told else None, now_ns)
        if due_ns <= now_ns or not self._whole:
            return LATE_S
        return (due_ns - now_ns) / NANOS_PER_S + self._random() * JITTER_S


def read_fixing(body: bytes) -> Fixing:
    """The newest fixing in a file of the ECB, XML or CSV. Raises VenueError, and then nothing of the file counts."""
    if len(body) > BODY_BYTES_MAX:
        raise VenueError(Refusal.TOO_LARGE, f"{len(body)} bytes")
    try:
        text = body.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise VenueError(Refusal.NOT_UTF8) from None
    days = list(_xml_days(text) if text.startswith("<") else _csv_days(text))
    date, pairs = max(days, key=lambda day: day[0], default=(0, []))
    if not pairs:
        raise VenueError(Refusal.WRONG_SHAPE, "no rates of any day in the file")
    rates = {"EUR": Fraction(1)}
    for currency, rate in pairs:
        if not _CURRENCY.fullmatch(currency):
            raise VenueError(Refusal.WRONG_SHAPE, f"currency {currency[:20]!r}")
        if currency in rates:
            raise VenueError(Refusal.DUPLICATE_KEY, currency)
        if not _RATE.fullmatch(rate):
            raise VenueError(Refusal.NOT_A_NUMBER, f"{currency} {rate[:40]!r}")
        rates[currency] = Fraction(rate)
        if not rates[currency]:
            raise VenueError(Refusal.NOT_POSITIVE, currency)
    return Fixing(date, rates)


def fixed_ns(day: int) -> Nanos:
    """When the fixing of a day was made."""
    return day * DAY_NS + _FIXED_NS - _frankfurt_ns(day)


def next_publication_ns(told_day: int | None, now_ns: Nanos) -> Nanos:
    """When the first fixing after `told_day` is published; without one, the last that is out by now. May be past."""
    if told_day is None:
        day = now_ns // DAY_NS + 1
        while not _is_fixed_on(day) or _published_ns(day) > now_ns:
            day -= 1
        return _published_ns(day)
    day = told_day + 1
    while not _is_fixed_on(day):
        day += 1
    return _published_ns(day)


def _published_ns(day: int) -> Nanos:
    return day * DAY_NS + _PUBLISHED_NS - _frankfurt_ns(day)


def _is_fixed_on(day: int) -> bool:
    return is_open("target", day * DAY_NS)


def _frankfurt_ns(day: int) -> int:
    """How far Frankfurt's clocks are ahead of UTC in the afternoon of a day, in ns."""
    year = civil(day)[0]
    summer = _last_sunday(day_of(year, 3, 31)) <= day < _last_sunday(day_of(year, 10, 31))
    return (2 if summer else 1) * HOUR_NS


def _last_sunday(last_day: int) -> int:
    return last_day - (last_day + _SUNDAY_OF_DAY_0) % 7


def _xml_days(text: str) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """Each day of `<Cube time="…"><Cube currency="…" rate="…"/>…</Cube>`."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise VenueError(Refusal.WRONG_SHAPE, "a document type, which the ECB's files have not")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise VenueError(Refusal.WRONG_SHAPE, f"no XML: {error}"[:120]) from None
    except RecursionError:
        raise VenueError(Refusal.TOO_DEEP) from None
    for cube in root.iter():
        if "time" in cube.attrib:
            yield _day(cube.attrib["time"]), [(c.get("currency", ""), c.get("rate", "")) for c in cube]


def _csv_days(text: str) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """Each day of `Date, USD, …` and rows of as many fields; a rate that was not fixed is `N/A`."""
    lines = ([field.strip() for field in line.rstrip(", \r").split(",")] for line in text.splitlines())
    head, *rows = [*lines] or [[""]]
    if head[0] != "Date":
        raise VenueError(Refusal.WRONG_SHAPE, "neither XML nor a CSV that begins with Date")
    for row in rows:
        if len(row) != len(head):
            raise VenueError(Refusal.WRONG_SHAPE, f"{len(row)} fields under a head of {len(head)}")
        yield _day(row[0]), [(c, rate) for c, rate in zip(head[1:], row[1:], strict=True) if rate != "N/A"]


def _day(text: str) -> int:
    """A date as the files write it (2024-06-28, 28 June 2024), counted from 1970. Raises VenueError."""
    match = _DATE.fullmatch(text)
    month = 0
    if match and match[1]:
        year, month, date = int(match[1]), int(match[2]), int(match[3])
    elif match and match[5] in _MONTHS:
        year, month, date = int(match[6]), _MONTHS.index(match[5]) + 1, int(match[4])
    if not 1 <= month <= 12 or civil(day_of(year, month, date)) != (year, month, date):
        raise VenueError(Refusal.TIME_UNIT, f"date {text[:40]!r}")
    return day_of(year, month, date)
