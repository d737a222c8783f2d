"""What every Session and every Mimic promise, found by walking the venue files: a fact that is said is read, and
whatever else comes is read or refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from importlib import import_module
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oracle.core.types import BookTop, Depth, Ticker, Trade
from oracle.errors import VenueError
from oracle.venues import base
from tests.venues import dialects, subjects
from tests.venues.damages import AT_NS
from tests.venues.subjects import Stated, Subject

FEEDS = {
    spelling: (base.Feed(3, spelling), base.Feed(5, spelling.replace("BTC", "ETH"))) for spelling in subjects.SPELLINGS
}
QUIET = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
LOUD = settings(max_examples=24, deadline=None, suppress_health_check=list(HealthCheck))


@cache
def spoken(venue: str) -> tuple[Subject, ...]:
    return tuple(
        subject for subject in subjects.subjects_in(import_module(f"oracle.venues.{venue}")) if not subject.pack
    )


@cache
def heard(venue: str) -> tuple[Stated, ...]:
    """Every good frame of a venue file."""
    return (*(one for subject in spoken(venue) for one in subjects.stated(subject)), *subjects.recorded(venue))


@pytest.mark.parametrize("venue", subjects.names())
@QUIET
@given(draw=st.data())
def test_what_the_mimic_says_is_what_is_read(contract: Any, venue: str, draw: st.DataObject) -> None:
    module = import_module(f"oracle.venues.{venue}")
    subject = draw.draw(st.sampled_from(spoken(venue)))
    market = subject.name.partition("/")[2] or subject.session().market
    feeds = FEEDS[subject.symbol][: module.Session.symbols_max]
    session, mimic = module.Session(feeds, market), module.Mimic(feeds, market)
    session.open()
    contract.round_trip(session, mimic, draw.draw(contract.facts(mimic)))


@pytest.mark.parametrize("venue", subjects.names())
def test_answers_and_heartbeats_state_no_price_and_change_none(contract: Any, venue: str) -> None:
    for subject in spoken(venue):
        session, mimic = subject.session(), subject.mimic()
        asked = [*session.greet(AT_NS), *session.idle(AT_NS)]
        said = [*mimic.greet("/", AT_NS), *(frame for send in asked for frame in mimic.hear(send.data, AT_NS))]
        for frame in (*said, *mimic.heartbeat(AT_NS)):
            for event in session.receive(subjects.encoded(frame), AT_NS):
                empty = isinstance(event, BookTop) and event.bid == event.ask == 0.0
                assert empty or isinstance(event, base.Send | base.Request), frame
        facts = subject.facts()
        if not mimic.states_trades:
            del facts["trade"]
        contract.round_trip(session, mimic, [*facts.values()])


@pytest.mark.parametrize("venue", subjects.names())
@LOUD
@given(draw=st.data())
def test_whatever_comes_is_read_or_refused(contract: Any, venue: str, draw: st.DataObject) -> None:
    """In every Session of the file, the retired and the recorded ones among them, in any order, and over REST."""
    good = heard(venue)
    frames = [one.frame for one in good] + [frame for one in good for frame in one.before]
    symbol = spoken(venue)[0].symbol
    session = draw.draw(st.sampled_from(sessions_of(venue)))()
    session.open()
    asked = session.poll(symbol) or base.Request("https://example.test/", symbol)
    roads = (session.receive, partial(session.polled, asked), partial(session.answer, asked))
    said = st.one_of(contract.damaged(frames), st.sampled_from(frames))
    for frame in draw.draw(st.lists(said, min_size=1, max_size=4)):
        for read in roads:
            with suppress(VenueError):
                for event in read(frame, AT_NS):
                    assert isinstance(event, BookTop | Depth | Ticker | Trade | base.Send | base.Request)
        with suppress(VenueError):
            session.admit(frame)


@pytest.mark.parametrize("venue", subjects.names())
def test_what_says_nothing_is_nothing_in_every_session(contract: Any, venue: str) -> None:
    for make in sessions_of(venue):
        for frame in (b"", b"{}", b"[]", b"null", b'"', b"\xff"):
            assert contract.refuses_or_reads(make(), frame) == []


def sessions_of(venue: str) -> list[Callable[[], base.Session]]:
    """How every Session of a venue file is made."""
    module = import_module(f"oracle.venues.{venue}")
    made = [subject.session for subject in spoken(venue)]
    made += [one.session for one in dialects.of(venue)]
    feeds = FEEDS[spoken(venue)[0].symbol][: module.Session.symbols_max]
    market = spoken(venue)[0].session().market
    made += [partial(one, feeds, market) for one in subjects.sessions_in(module)]
    return [*made, partial(dialects.made, module, spoken(venue)[0].session().url(), feeds, market)]


def test_every_venue_file_is_found() -> None:
    assert len(subjects.names()) > 25
    assert {"binance", "kraken", "mexc"} <= set(subjects.names())
    assert {subject.name for subject in spoken("binance")} == {"binance", "binance/usdm", "binance/coinm"}
    packed = {subject.name for subject in subjects.subjects_in(import_module("oracle.venues.htx")) if subject.pack}
    assert packed == {"htx gzip"}
