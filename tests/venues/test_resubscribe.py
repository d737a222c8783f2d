"""A subscription that has gone silent can be ended and begun again without a new connection, where a venue lets one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pytest

from oracle.config.world import venue_names
from oracle.core.types import NANOS_PER_S, BookTop, Side, Trade
from oracle.venues import base

AT_NS = 1_790_000_000 * NANOS_PER_S
FEEDS = (base.Feed(1, "BTCUSDT"), base.Feed(2, "ETHUSDT"))
BY_ADDRESS_OR_NUMBER = {"binance", "bitfinex"}  # the address names the streams; a subscription has a number


class Talk(NamedTuple):
    """A Session and the Mimic that answers it."""

    venue: str
    session: base.Session
    mimic: base.Mimic

    def hears(self, frames: Iterable[str | bytes]) -> list[base.Event]:
        return [
            event
            for frame in frames
            for event in self.session.receive(frame.encode() if isinstance(frame, str) else frame, AT_NS)
        ]

    def sends(self, messages: Iterable[base.Send]) -> None:
        """What the venue answers must be something the session understands, and none of it an error."""
        for message in messages:
            self.hears(self.mimic.hear(message.data, AT_NS))

    def states(self, fact: BookTop | Trade) -> None:
        assert self.hears(self.mimic.speak(fact)) == [fact], self.venue

    def states_everything(self) -> None:
        book_ns = AT_NS if self.mimic.states_book_time else 0
        trade_ns = AT_NS if self.mimic.states_trade_time else 0
        for feed in self.session.feeds:
            self.states(BookTop(feed.source, 100.0, 1.0, 101.0, 2.0, book_ns, AT_NS))
            if self.mimic.states_trades:
                self.states(Trade(feed.source, 100.0, 1.0, Side.SELL, trade_ns, AT_NS))


def talks() -> Iterator[Talk]:
    for venue in venue_names():
        session_type, mimic_type = base.load(venue)
        for market in dict.fromkeys(market or "spot" for market in session_type.tops):
            try:
                session, mimic = session_type(FEEDS, market), mimic_type(FEEDS, market)
            except ValueError:  # a connection of one market only
                session, mimic = session_type(FEEDS[:1], market), mimic_type(FEEDS[:1], market)
            yield Talk(venue, session, mimic)


TALKS = list(talks())
ABLE = [talk for talk in TALKS if talk.session.resubscribe([FEEDS[0].symbol])]


def test_most_venues_let_one() -> None:
    able = {talk.venue for talk in ABLE}
    assert able >= {"kraken", "coinbase", "bitstamp", "gemini", "okx", "bybit", "bitget", "deribit", "htx"}
    assert not able & BY_ADDRESS_OR_NUMBER


@pytest.mark.parametrize("talk", ABLE, ids=[f"{talk.venue}-{talk.session.market}" for talk in ABLE])
def test_what_is_ended_and_begun_again_is_heard_as_before(talk: Talk) -> None:
    talk.hears(talk.mimic.greet("/", AT_NS))
    talk.sends(talk.session.greet(AT_NS))
    talk.states_everything()
    again = talk.session.resubscribe([FEEDS[0].symbol])
    assert any("unsub" in send.data.lower() for send in again[: len(again) // 2 + 1])
    assert not any(FEEDS[1].symbol.lower() in send.data.lower() for send in again)
    talk.sends(again)
    talk.states_everything()


def test_krakens_unsubscribing_says_nothing_of_snapshots() -> None:
    ticker, trade, *begun = base.load("kraken")[0]([base.Feed(1, "BTC/USD")]).resubscribe(["BTC/USD"])
    assert "unsubscribe" in ticker.data
    assert "unsubscribe" in trade.data
    assert "snapshot" not in ticker.data + trade.data
    assert all("snapshot" in send.data for send in begun)
