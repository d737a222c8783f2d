"""The contract of a venue file: what a Session and a Mimic do by default, and how a venue is found."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import ClassVar

import pytest

from oracle.core.types import BookTop, Trade
from oracle.errors import VenueError
from oracle.venues import base

AT = 1_760_000_000_000_000_000
FEEDS = [base.Feed(1, "BTC-USD"), base.Feed(2, "ETH-USD")]


class Still(base.Session):
    """A session that says nothing of its own."""

    venue = "still"

    def url(self) -> str:
        return "wss://still.example/ws"

    def open(self) -> list[base.Send]:
        return []

    def receive(self, data: bytes, recv_ns: int) -> list[base.Event]:
        return []


class Mute(base.Mimic):
    """A mimic that says nothing of its own."""

    venue = "mute"

    def speak(self, fact: BookTop | Trade) -> list[str]:
        return []


def test_the_defaults_of_a_session() -> None:
    session = Still(FEEDS, "perp")
    assert (session.market, session.sources) == ("perp", {"BTC-USD": 1, "ETH-USD": 2})
    assert session.idle(AT) == []
    assert session.source_of("ETH-USD") == 2
    with pytest.raises(VenueError, match="UNKNOWN_SYMBOL: XRP-EUR"):
        session.source_of("XRP-EUR")
    with pytest.raises(VenueError, match="UNKNOWN_MESSAGE: still asks for nothing"):
        session.answer(base.Request("https://example.test", "BTC-USD"), b"{}", AT)


@pytest.mark.parametrize("lacking", ["url", "open", "receive"])
def test_a_session_that_lacks_a_part_cannot_be_made(lacking: str) -> None:
    parts = {name: getattr(Still, name) for name in ("url", "open", "receive") if name != lacking}
    with pytest.raises(TypeError, match=lacking):
        type("Lacking", (base.Session,), parts)(FEEDS)


def test_a_session_reads_a_symbol_once() -> None:
    with pytest.raises(ValueError, match="once"):
        Still([base.Feed(1, "BTC-USD"), base.Feed(2, "BTC-USD")])


def test_a_market_that_a_venue_does_not_read_is_refused() -> None:
    class Choosy(Still):
        venue = "choosy"
        markets = ("spot", "perp")

    assert Choosy(FEEDS, "perp").market == "perp"
    with pytest.raises(ValueError, match="of choosy the market options is not read, only spot and perp"):
        Choosy(FEEDS, "options")


def test_the_defaults_of_a_mimic() -> None:
    mimic = Mute(FEEDS)
    assert mimic.symbols == {1: "BTC-USD", 2: "ETH-USD"}
    assert mimic.greet("/", AT) == mimic.hear("{}", AT) == mimic.heartbeat(AT) == []
    with pytest.raises(TypeError, match="speak"):
        type("Lacking", (base.Mimic,), {})(FEEDS)


def test_a_venue_is_loaded_by_its_name_or_by_a_module_of_anyones() -> None:
    by_name, by_module = base.load("binance"), base.load("oracle.venues.binance")
    assert by_name == by_module
    assert issubclass(by_name[0], base.Session)
    assert issubclass(by_name[1], base.Mimic)
    with pytest.raises(ModuleNotFoundError):
        base.load("nowhere")
    with pytest.raises(AttributeError):
        base.load("oracle.errors")


class Polled(Still):
    """A session whose venue has a page for its tops in one market, and one for every other."""

    words = ("sub", "unsub")
    tops: ClassVar = {
        "spot": base.RestTop(url="https://still.example/top?s={symbol}&depth=1", bid="b", ask="a"),
        "": base.RestTop(url="https://still.example/info", content='{"coin":"{symbol}"}', bid="b", ask="a"),
    }

    def open(self) -> list[base.Send]:
        return [base.Send(f"sub {feed.symbol}") for feed in self.feeds]


@pytest.fixture
def polled(monkeypatch: pytest.MonkeyPatch) -> base.Mimic:
    """A mimic beside a session that polls: its module is one that has both."""
    made = ModuleType("still.venue")
    vars(made).update(Session=Polled)
    monkeypatch.setitem(sys.modules, "still.venue", made)
    monkeypatch.setattr(Mute, "__module__", "still.venue")
    return Mute(FEEDS)


def test_what_a_venue_does_not_have_it_does_not_do() -> None:
    session = Still(FEEDS)
    assert session.ticket() is None
    with pytest.raises(VenueError, match="UNKNOWN_MESSAGE: still needs no ticket"):
        session.admit(b"{}")
    assert session.greet(AT) == session.open() == session.resubscribe(["BTC-USD"]) == []
    assert session.poll("BTC-USD") is None
    with pytest.raises(VenueError, match="UNKNOWN_SYMBOL: BTC-USD"):
        session.polled(base.Request("https://example.test", "BTC-USD"), b"{}", AT)


def test_a_subscription_is_ended_and_begun_again_by_the_words_of_the_venue() -> None:
    assert [send.data for send in Polled(FEEDS).resubscribe(["ETH-USD", "XRP-EUR"])] == ["unsub ETH-USD", "sub ETH-USD"]


def test_a_top_is_polled_where_the_market_has_its_page() -> None:
    spot, other = Polled(FEEDS), Polled(FEEDS, "perp")
    asked = base.Request("https://still.example/top?s=ETH-USD&depth=1", "ETH-USD")
    assert spot.poll("ETH-USD") == asked
    assert other.poll("ETH-USD") == base.Request("https://still.example/info", "ETH-USD", "POST", '{"coin":"ETH-USD"}')
    assert spot.polled(asked, b'{"b":1,"a":2}', AT) == [BookTop(2, 1.0, 0.0, 2.0, 0.0, 0, AT)]
    with pytest.raises(VenueError, match="UNKNOWN_SYMBOL: XRP-EUR"):
        spot.polled(base.Request("https://still.example", "XRP-EUR"), b'{"b":1,"a":2}', AT)


def test_a_mimic_answers_the_pages_that_its_session_polls(polled: base.Mimic) -> None:
    tops = {"BTC-USD": BookTop(1, 1.0, 1.0, 2.0, 1.0, AT, AT), "ETH-USD": BookTop(2, 3.0, 1.0, 4.0, 1.0, AT, AT)}
    body = b'{"b":"3.0","a":"4.0"}'
    assert polled.rest("GET", "/top?s=ETH-USD&depth=1", AT, tops) == body
    assert polled.rest("GET", "/top?depth=1&s=ETH-USD", AT, tops) == body
    for method, path in (("GET", "/top?s=XRP-EUR&depth=1"), ("GET", "/top"), ("POST", "/top?s=ETH-USD&depth=1")):
        assert polled.rest(method, path, AT, tops) is None
    assert polled.rest("GET", "/top?s=ETH-USD&depth=1", AT, {}) is None
    posting = Mute(FEEDS, "perp")
    assert posting.rest("POST", "/info", AT, tops, '{"coin":"ETH-USD"}') == body
    assert posting.rest("POST", "/info", AT, tops) is None


def test_a_mimic_without_a_session_beside_it_has_no_pages() -> None:
    assert Mute(FEEDS).rest("GET", "/", AT, {"BTC-USD": BookTop(1, 1.0, 1.0, 2.0, 1.0, AT, AT)}) is None
