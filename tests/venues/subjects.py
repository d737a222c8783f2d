"""Which decoders there are, found by walking `oracle/venues`, and what each one's Mimic says for it to be tried with.

A subject is a Session in one of its markets with its Mimic, or a Session without one (an older dialect), whose frames
stand in `WITHOUT_MIMIC`. A venue file is a subject on the day it is added: nothing here is kept by hand but that.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import NamedTuple

import msgspec

import oracle.venues
from oracle.core.types import BookTop, Side, Trade
from oracle.errors import VenueError
from oracle.venues import base
from oracle.venues._resttop import BODY_BYTES_MAX
from tests.venues import dialects
from tests.venues.damages import AT_NS

SOURCE = 3
SPELLINGS = ("BTCUSDT", "tBTCUSD", "BTC-USD", "BTC/USD", "BTC_USDT", "BTC-USDT", "KRW-BTC", "BTC")
POLLED_WHOLLY = "kraken"  # REST is read by one piece of code, whose kinds of path this venue has all of
MARKETS = ("spot", "linear", "usdt", "perp", "swap")
_DIGITS = re.compile(rb"[0-9]+(\.[0-9]+)?")
COMPRESSED = (gzip.compress, zlib.compress)

# Numbers that no dialect says of its own, each its own, so that a number in a frame tells what it is.
TOP = (60_000.5, 1.25, 60_001.25, 2.5)
LATER = (60_000.75, 1.375, 60_001.125, 2.625)
RESIZED = (60_000.5, 1.375, 60_001.25, 2.5)
AFTER = (60_000.25, 1.625, 60_001.5, 2.875)
DEAL, DEAL_SIZE = 60_000.875, 0.375


class Subject(NamedTuple):
    """A decoder: how a new Session and a new Mimic of it are made."""

    name: str
    session: Callable[[], base.Session]
    made: Callable[[], base.Mimic] | None
    symbol: str
    pack: Callable[[bytes], bytes] | None = None

    def mimic(self) -> base.Mimic:
        """A new Mimic."""
        assert self.made is not None
        return self.made()

    def facts(self) -> dict[str, BookTop | Trade]:
        """What is said of the market, by the kind of frame: a first top, a later one and a trade."""
        mimic = self.mimic()
        book_ns = AT_NS if mimic.states_book_time else 0
        deal_ns = AT_NS if mimic.states_trade_time else 0
        return {
            "top": BookTop(SOURCE, *TOP, book_ns, AT_NS),
            "later top": BookTop(SOURCE, *LATER, book_ns, AT_NS),
            "top of another size": BookTop(SOURCE, *RESIZED, book_ns, AT_NS),
            "trade": Trade(SOURCE, DEAL, DEAL_SIZE, Side.SELL if mimic.states_side else Side.UNKNOWN, deal_ns, AT_NS),
            "after": BookTop(SOURCE, *AFTER, book_ns, AT_NS),
        }


class Stated(NamedTuple):
    """A good frame of a subject: what goes before it, what comes of it, and what is said when it is over.

    Frames are as they are before they are compressed.
    """

    subject: Subject
    kind: str
    before: tuple[bytes, ...]
    frame: bytes
    said: list[base.Event]
    after: tuple[bytes, ...]
    after_said: list[base.Event]
    asked: base.Request | None = None  # the frame is the body of REST's answer to this
    keeps: bool = False  # what is said later depends on what was said before

    @property
    def signed(self) -> bool:
        """Whether the sign of a size is a side."""
        fact = self.said[0]
        size = fact.size if isinstance(fact, Trade) else fact.ask_size if isinstance(fact, BookTop) else 0.0
        return f"-{size}".encode() in self.frame

    @property
    def is_json(self) -> bool:
        """Whether the frame is JSON; the other dialect that there is, is protobuf."""
        return self.frame[:1] in (b"{", b"[")

    @property
    def is_told_before(self) -> bool:
        """Whether a part of the damages will do: the bytes go the way of the venue's other frames, or of all REST's."""
        polled = self.asked is not None and self.subject.name != POLLED_WHOLLY
        return polled or "/" in self.subject.name or self.subject.made is None

    @property
    def frame_bytes_max(self) -> int:
        """What is longer is refused unread."""
        return BODY_BYTES_MAX if self.asked else self.subject.session().frame_bytes_max

    def heard(self) -> base.Session:
        """A new Session that has heard what goes before."""
        session = self.subject.session()
        if self.before:
            session.open()
        for frame in self.before:
            session.receive(frame, AT_NS)
        return session

    def read(self, session: base.Session, frame: bytes) -> list[base.Event]:
        """What comes of a frame. Raises VenueError."""
        if self.asked is not None:
            return session.polled(self.asked, frame, AT_NS)
        return session.receive(self.subject.pack(frame) if self.subject.pack else frame, AT_NS)


def encoded(frame: str | bytes) -> bytes:
    """A frame as it is on the wire."""
    return frame.encode() if isinstance(frame, str) else frame


def names() -> list[str]:
    """Every venue file, by name: neither the contract nor what venue files share."""
    found = (module.name for module in iter_modules(oracle.venues.__path__))
    return sorted(name for name in found if name != "base" and not name.startswith("_"))


def modules() -> Iterator[ModuleType]:
    """Every venue file."""
    for name in names():
        yield import_module(f"oracle.venues.{name}")


def sessions_in(module: ModuleType) -> list[type[base.Session]]:
    """Every Session that a venue file makes itself."""
    made = (thing for thing in vars(module).values() if isinstance(thing, type) and issubclass(thing, base.Session))
    return [one for one in made if one.__module__ == module.__name__]


def markets_of(module: ModuleType) -> list[str]:
    """The markets that a venue's Session takes: those of its tables that have one called as it calls its first."""
    first = next(market for market in MARKETS if _made(module, market, SPELLINGS[0]) is not None)
    tables = [table for table in (*vars(module).values(), module.Session.tops) if isinstance(table, dict)]
    named = dict.fromkeys([first, *(key for table in tables if first in table for key in table)])
    return [market for market in named if isinstance(market, str) and _made(module, market, SPELLINGS[0]) is not None]


def subjects() -> Iterator[Subject]:
    """Every decoder that has a Mimic, in each of its markets."""
    for module in modules():
        yield from subjects_in(module)


def subjects_in(module: ModuleType) -> Iterator[Subject]:
    """A venue file's Session in each of its markets, and once more as it comes compressed where it may."""
    for market in markets_of(module):
        plain = _spelt(module, market)
        yield plain
        for pack in COMPRESSED:
            if _reads(packed := plain._replace(name=f"{plain.name} {pack.__module__}", pack=pack)):
                yield packed


def _made(module: ModuleType, market: str, symbol: str) -> tuple[base.Session, base.Mimic] | None:
    feeds = [base.Feed(SOURCE, symbol)]
    try:
        return module.Session(feeds, market), module.Mimic(feeds, market)
    except (ValueError, KeyError):
        return None


def _spelt(module: ModuleType, market: str) -> Subject:
    """The subject under the first spelling of a symbol by which its Session and its Mimic understand each other."""
    name = module.__name__.rpartition(".")[2] + ("" if market == "spot" else f"/{market}")
    for symbol in SPELLINGS:
        feeds = [base.Feed(SOURCE, symbol)]
        subject = Subject(name, partial(module.Session, feeds, market), partial(module.Mimic, feeds, market), symbol)
        if _reads(subject):
            return subject
    raise AssertionError(f"{name}: no spelling of BTC is understood, add one to SPELLINGS")


def _reads(subject: Subject) -> bool:
    with suppress(VenueError, ValueError, KeyError):
        return all(one.read(one.heard(), one.frame) == one.said for one in stated(subject))
    return False


def stated(subject: Subject) -> list[Stated]:
    """The good frames of a subject. Where a fact takes several, the one of which it comes.

    A later top, of which all has changed or one size, is one of its own where it is said otherwise than the first.
    """
    found: list[Stated] = []
    shapes: list[bytes] = []
    tops = ("top", "later top", "top of another size")
    for kind in (*tops, "trade") if subject.mimic().states_trades else tops:
        mimic, facts = subject.mimic(), subject.facts()
        before = [encoded(frame) for frame in _answers(subject.session(), mimic)]
        if kind in tops[1:]:
            before += _said(mimic, facts["top"])
        frames, after = _said(mimic, facts[kind]), _said(mimic, facts["after"])
        place = _telling(subject, before, frames)
        rest = (*frames[place + 1 :], *after)
        if (shape := _DIGITS.sub(b"0", frames[place])) in shapes:
            continue
        shapes.append(shape)
        whole = Stated(subject, kind, (*before, *frames[:place]), frames[place], [facts[kind]], rest, [facts["after"]])
        found.append(_lean(whole))
    keeps = len(shapes) > 2 or any(one.before for one in found)
    return [*(one._replace(keeps=keeps) for one in found), *_polled(subject)]


def recorded(venue: str) -> Iterator[Stated]:
    """The frames of a venue file that no Mimic says; when it is over the same is said again."""
    for one in dialects.of(venue):
        subject = Subject(venue, one.session, None, one.symbol)
        before, frame = tuple(map(one.text, one.before)), one.text(one.frame)
        silent = Stated(subject, one.what, before, frame, [], (frame,), [])
        said = silent.read(silent.heard(), frame)
        yield silent._replace(said=said, after_said=said, keeps=bool(before))


def _polled(subject: Subject) -> Iterator[Stated]:
    """What REST states of the top, where it does; in the compressed dialects it is the same."""
    session, facts = subject.session(), subject.facts()
    asked, place = session.poll(subject.symbol), session.rest_top()
    if asked is None or place is None or subject.pack:
        return
    bodies: list[bytes] = []
    tops: list[base.Event] = []
    for kind in ("top", "after"):
        top = facts[kind]
        assert isinstance(top, BookTop)
        stated = msgspec.structs.replace(top, venue_ns=AT_NS)
        body = place.say(subject.symbol, stated)
        unsized = {} if place.bid_size else {"bid_size": 0.0, "ask_size": 0.0}
        bodies.append(body)
        tops.append(msgspec.structs.replace(stated, venue_ns=AT_NS if place.time else 0, **unsized))
    yield Stated(subject, "polled top", (), bodies[0], tops[:1], (bodies[1],), tops[1:], asked)


def _lean(stated: Stated) -> Stated:
    """The same without what need not go before: every damage is done to a Session of its own."""
    for frame in stated.before:
        less = stated._replace(before=tuple(other for other in stated.before if other is not frame))
        with suppress(VenueError):
            session = less.heard()
            events = [event for said in (less.frame, *less.after) for event in less.read(session, said)]
            if events == [*stated.said, *stated.after_said]:
                stated = less
    return stated


def _answers(session: base.Session, mimic: base.Mimic) -> Iterator[str | bytes]:
    """What the venue says until it has acknowledged everything."""
    yield from mimic.greet("/", AT_NS)
    for send in session.greet(AT_NS):
        yield from mimic.hear(send.data, AT_NS)


def _said(mimic: base.Mimic, fact: BookTop | Trade) -> list[bytes]:
    return [encoded(frame) for frame in mimic.speak(fact)]


def _telling(subject: Subject, before: Sequence[bytes], frames: Sequence[bytes]) -> int:
    """The place of the frame of which the fact comes."""
    session = subject.session()
    session.open()
    for frame in before:
        session.receive(frame, AT_NS)
    return next((place for place, frame in enumerate(frames) if session.receive(frame, AT_NS)), 0)
