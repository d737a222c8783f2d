"""Every venue that has a file can be played: its symbols are spelt as its Session and its Mimic read them."""

from __future__ import annotations

import pytest

from oracle.config.venues import venue_names
from oracle.core.types import BookTop
from oracle.errors import ConfigError
from oracle.simulator.venue import as_stated
from oracle.trial.markets import ASSETS, SPELLINGS, Spelling, markets_of, venues_of
from oracle.venues import base

AT_NS = 1_790_000_000 * 10**9


def test_every_venue_is_spelt() -> None:
    assert set(venue_names()) <= set(SPELLINGS), "say in oracle/trial/markets.py how this venue spells its symbols"


def test_a_spelling_has_capitals_small_letters_and_an_old_name() -> None:
    assert [Spelling(s).of("BTC") for s in ("{A}-USD", "{a}usd", "PF_{X}USD")] == ["BTC-USD", "btcusd", "PF_XBTUSD"]
    assert Spelling("PF_{X}USD").of("ETH") == "PF_ETHUSD"


@pytest.mark.parametrize("venue", SPELLINGS)
def test_both_symbols_are_read_as_they_are_said(venue: str) -> None:
    session_type, mimic_type = base.load(venue)
    feeds = [base.Feed(n, market.symbol) for n, market in enumerate(markets_of([venue]))]
    shares = [feeds[n : n + session_type.symbols_max] for n in range(0, len(feeds), session_type.symbols_max)]
    heard = [top for share in shares for top in tops_heard(session_type(share), mimic_type(share))]
    assert [top.source for top in heard] == list(range(len(ASSETS)))


def tops_heard(session: base.Session, mimic: base.Mimic) -> list[BookTop]:
    """The books that a session reads after the greeting, when each symbol states one."""
    frames = list(mimic.greet("/", AT_NS))
    frames += [answer for sent in session.open() for answer in mimic.hear(sent.data, AT_NS)]
    for feed in session.feeds:
        frames += mimic.speak(as_stated(BookTop(feed.source, 99.5, 1.0, 100.5, 2.0, AT_NS, 0), mimic))
    data = [frame if isinstance(frame, bytes) else frame.encode() for frame in frames]
    heard = [event for frame in data for event in session.receive(frame, AT_NS)]
    return [event for event in heard if isinstance(event, BookTop) and event.bid]


def test_venues_are_chosen_by_name() -> None:
    assert venues_of(["okx", "kraken"]) == ["okx", "kraken"]
    assert venues_of() == list(SPELLINGS)
    with pytest.raises(ConfigError, match="no such venue to play: mtgox"):
        venues_of(["mtgox"])
