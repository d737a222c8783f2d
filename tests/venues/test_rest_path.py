"""Every venue's REST top of book: asked as documented, answered by its Mimic, read back, and refused when wrong.

Cases are found by walking the venue files: whoever declares `tops` is tried.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.config.world import venue_names
from oracle.core.types import NANOS_PER_S, BookTop
from oracle.errors import Refusal, VenueError
from oracle.venues import base

AT_NS = 1_790_000_000 * NANOS_PER_S
SHIPPED = {"kraken", "coinbase", "bitfinex", "bitstamp", "gemini", "binance", "okx", "bybit"}
SYMBOL, ANOTHER = "BTC-USD", "ETH-USD"
FEEDS = (base.Feed(3, SYMBOL),)
SAID = BookTop(3, 60_000.5, 1.25, 60_001.25, 2.5, AT_NS, AT_NS)


class Case(NamedTuple):
    """A venue in one of its markets, with a page of its own."""

    venue: str
    session: base.Session
    mimic: base.Mimic
    place: base.RestTop
    asked: base.Request

    @property
    def path(self) -> str:
        """What the venue's host is asked for."""
        parts = urlsplit(self.asked.url)
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def answer(self, top: BookTop = SAID, symbol: str = SYMBOL, method: str = "", path: str = "") -> bytes | None:
        method, path = method or self.asked.method, path or self.path
        return self.mimic.rest(method, path, AT_NS, {symbol: top}, self.asked.content)

    def body(self) -> bytes:
        """A right answer."""
        said = self.answer()
        assert said is not None
        return said

    def read(self, body: bytes) -> list[base.Event]:
        return self.session.polled(self.asked, body, AT_NS)

    def refusal(self, body: bytes) -> Refusal:
        with pytest.raises(VenueError) as caught:
            self.read(body)
        return caught.value.reason

    def stated(self, top: BookTop) -> BookTop:
        """What of a top this page states."""
        unit_ns = self.place.time_unit_ns or 1
        return BookTop(
            top.source,
            top.bid,
            top.bid_size if self.place.bid_size else 0.0,
            top.ask,
            top.ask_size if self.place.ask_size else 0.0,
            top.venue_ns // unit_ns * unit_ns if self.place.time else 0,
            AT_NS,
        )


def cases() -> Iterator[Case]:
    for venue in venue_names():
        session_type, mimic_type = base.load(venue)
        for market in dict.fromkeys(market or "spot" for market in session_type.tops):
            session = session_type(FEEDS, market)
            place, asked = session.rest_top(), session.poll(SYMBOL)
            assert place is not None, venue
            assert asked is not None, venue
            yield Case(venue, session, mimic_type(FEEDS, market), place, asked)


CASES = list(cases())
each = pytest.mark.parametrize("case", CASES, ids=[f"{c.venue}-{c.session.market}" for c in CASES])


def test_every_venue_that_prices_are_made_of_has_a_page() -> None:
    assert {case.venue for case in CASES} >= SHIPPED


@each
def test_an_address_is_complete_and_names_the_symbol(case: Case) -> None:
    parts = urlsplit(case.asked.url)
    assert parts.scheme == "https"
    assert parts.hostname
    assert "{" not in case.asked.url
    assert case.place.spell(SYMBOL) in case.asked.url + case.asked.content
    assert case.asked.method == ("POST" if case.asked.content else "GET")
    assert case.asked.symbol == SYMBOL


@each
@settings(max_examples=15, deadline=None)
@given(
    amounts=st.tuples(*[st.one_of(st.floats(1e-8, 1e12), st.integers(1, 10**9).map(lambda n: n / 100))] * 4),
    late_ns=st.integers(0, 3_600 * NANOS_PER_S),
)
def test_what_a_page_says_is_read_as_it_was_stated(
    case: Case, amounts: tuple[float, float, float, float], late_ns: int
) -> None:
    bid, bid_size, ask, ask_size = amounts
    top = BookTop(3, bid, bid_size, ask, ask_size, AT_NS + late_ns, AT_NS)
    body = case.answer(top)
    assert body is not None
    assert case.read(body) == [case.stated(top)]


@each
def test_a_top_without_a_time_is_said_to_be_of_now(case: Case) -> None:
    body = case.answer(BookTop(3, 1.0, 1.0, 2.0, 1.0, 0, 0))
    assert body is not None
    assert case.read(body) == [case.stated(BookTop(3, 1.0, 1.0, 2.0, 1.0, AT_NS, AT_NS))]


@each
def test_other_pages_are_not_there(case: Case) -> None:
    assert case.answer(method="DELETE") is None
    assert case.answer(path="/elsewhere" + case.path) is None
    assert case.answer(symbol=ANOTHER) is None
    with pytest.raises(VenueError, match="UNKNOWN_SYMBOL"):
        case.session.polled(base.Request(case.asked.url, "XRP-EUR"), case.body(), AT_NS)


def _replaced(body: bytes, path: str, value: object) -> bytes:
    """The answer with another value at a path."""
    said = json.loads(body)
    inner, parts = said, path.removeprefix("-").split(".")
    for part in parts[:-1]:
        inner = next(iter(inner.values())) if part == "*" else inner[int(part) if isinstance(inner, list) else part]
    inner[int(parts[-1]) if isinstance(inner, list) else parts[-1]] = value
    return json.dumps(said).encode()


def _without(body: bytes, path: str) -> bytes:
    """The answer without what stands first on a path."""
    said = json.loads(body)
    first = path.removeprefix("-").split(".")[0]
    del said[int(first) if isinstance(said, list) else first]
    return json.dumps(said).encode()


@each
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html><head><title>503</title></head></html>", Refusal.NOT_JSON),
        (b"", Refusal.NOT_JSON),
        (b"\xff\xfe{\x00}\x00", Refusal.NOT_UTF8),
        (b"[" * 100_000, Refusal.TOO_DEEP),
        (b'{"error":"\\ud800"}', Refusal.NOT_JSON),
        (b'{"message":"no such market"}', Refusal.WRONG_SHAPE),
        (b"{}", Refusal.WRONG_SHAPE),
        (b"[]", Refusal.WRONG_SHAPE),
        (b"null", Refusal.WRONG_SHAPE),
        (b'"bid"', Refusal.WRONG_SHAPE),
        (b"7", Refusal.WRONG_SHAPE),
    ],
)
def test_what_is_no_answer_is_refused(case: Case, body: bytes, reason: Refusal) -> None:
    assert case.refusal(body) == reason


@each
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("NaN", Refusal.NOT_A_NUMBER),
        ("Infinity", Refusal.NOT_A_NUMBER),
        (10**41, Refusal.NOT_A_NUMBER),
        ("1_000", Refusal.WRONG_SHAPE),
        ("١٢٣", Refusal.WRONG_SHAPE),
        ("", Refusal.WRONG_SHAPE),
        (None, Refusal.WRONG_SHAPE),
        (True, Refusal.WRONG_SHAPE),
        ([], Refusal.WRONG_SHAPE),
        ({}, Refusal.WRONG_SHAPE),
        (float("nan"), Refusal.NOT_JSON),
        (0, Refusal.NOT_POSITIVE),
        ("0.00", Refusal.NOT_POSITIVE),
        (-1.5, Refusal.NOT_POSITIVE),
    ],
)
@pytest.mark.parametrize("side", ["bid", "ask"])
def test_a_price_that_is_none_is_refused(case: Case, side: str, value: object, reason: Refusal) -> None:
    assert case.refusal(_replaced(case.body(), getattr(case.place, side), value)) == reason


@each
@pytest.mark.parametrize("side", ["bid_size", "ask_size"])
def test_a_size_that_is_none_is_refused_and_none_at_all_is_zero(case: Case, side: str) -> None:
    if path := getattr(case.place, side):
        wrong = 1.5 if path.startswith("-") else -1.5
        assert case.refusal(_replaced(case.body(), path, wrong)) == Refusal.NOT_POSITIVE
        assert case.refusal(_replaced(case.body(), path, "much")) == Refusal.WRONG_SHAPE
        (top,) = case.read(_replaced(case.body(), path, "0"))
        assert getattr(top, side) == 0.0


@each
def test_an_answer_that_is_cut_off_said_twice_or_endless_is_refused(case: Case) -> None:
    body = case.body()
    for end in range(len(body)):
        assert case.refusal(body[:end]) == Refusal.NOT_JSON
    assert case.refusal(body + b" " * (10 << 20)) == Refusal.TOO_LARGE
    assert case.refusal(body + body) == Refusal.NOT_JSON
    if b"{" in body:
        assert case.refusal(body.replace(b"{", b'{"x":1,"x":2,', 1)) == Refusal.DUPLICATE_KEY


@each
@pytest.mark.parametrize("path", ["bid", "ask", "bid_size", "ask_size", "time", "symbol"])
def test_what_is_missing_is_missed(case: Case, path: str) -> None:
    if place := getattr(case.place, path):
        assert case.refusal(_without(case.body(), place)) == Refusal.WRONG_SHAPE


@each
def test_what_the_venue_reports_or_says_of_another_market_is_refused(case: Case) -> None:
    body = case.body()
    if case.place.fine:
        assert case.refusal(_replaced(body, case.place.fine[0], "went wrong")) == Refusal.VENUE_ERROR
    if case.place.symbol:
        assert case.refusal(_replaced(body, case.place.symbol, "XRP-EUR")) == Refusal.UNKNOWN_SYMBOL
        assert case.refusal(_replaced(body, case.place.symbol, 7)) == Refusal.UNKNOWN_SYMBOL


@each
@pytest.mark.parametrize("wrong", ["soon", 0, -5, 1_790_000_000.5, True, 10**22, "2025-10-09T08:53:20+09:00", None])
def test_a_time_of_another_unit_is_refused(case: Case, wrong: object) -> None:
    if case.place.time:
        assert case.refusal(_replaced(case.body(), case.place.time, wrong)) == Refusal.TIME_UNIT


@each
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_whatever_an_answer_has_become_only_a_venue_error_is_raised(case: Case, contract: Any, data: Any) -> None:
    with suppress(VenueError):
        case.read(data.draw(contract.damaged([case.body()])))


def test_an_index_has_no_page() -> None:
    for venue, index in (("deribit", "btc_usd"), ("bitmex", ".BXBT")):
        session = base.load(venue)[0]([base.Feed(1, index)])
        assert session.poll(index) is None


# Where the recorded endpoint is not the one that is asked today, what it was.
RECORDED = {
    "binance": base.RestTop(
        url="/api/v3/ticker/24hr", bid="bidPrice", bid_size="bidQty", ask="askPrice", ask_size="askQty",
        time="closeTime", symbol="symbol",
    ),
    "coinbase_pro": base.RestTop(url="/ticker", bid="bid", ask="ask", time="time", time_unit_ns=0),
    "huobi": base.RestTop(
        url="/market/tickers", bid="bid", bid_size="bidSize", ask="ask", ask_size="askSize", symbol="symbol", lower=True
    ),
    "kraken": base.RestTop(
        url="/0/public/Ticker", bid="result.XXBTZUSD.b.0", bid_size="result.XXBTZUSD.b.2",
        ask="result.XXBTZUSD.a.0", ask_size="result.XXBTZUSD.a.2", fine=("error", "[]"),
    ),
    "kucoin": base.RestTop(url="/api/v1/market/allTickers", bid="buy", ask="sell", symbol="symbol"),
    "mexc": base.RestTop(url="/open/api/v2/market/ticker", bid="bid", ask="ask", time="time", symbol="symbol"),
    "okx": base.RestTop(
        url="/api/v5/market/ticker", bid="bidPx", bid_size="bidSz", ask="askPx", ask_size="askSz", time="ts",
        symbol="instId",
    ),
}  # fmt: skip
TODAY = {"coinbase_pro": "coinbase", "huobi": "htx"}


@pytest.mark.data
def test_recorded_answers_are_read_where_they_say_it_and_refused_elsewhere(data: Path) -> None:
    lines = (data / "payloads" / "rest" / "tickers.jsonl").read_text(encoding="utf-8").splitlines()
    tops: list[BookTop] = []
    for row in map(json.loads, lines):
        place, body = RECORDED[row["venue"]], row["body"].encode()
        said = json.loads(body)
        symbol = str(said.get(place.symbol, "BTC-USD")) if place.symbol else "BTC-USD"
        tops.append(place.read(1, symbol, body, 0))
        for case in CASES:
            if case.venue == TODAY.get(row["venue"], row["venue"]):
                with suppress(VenueError):  # another endpoint's answer is refused by name, or says the same
                    today = case.place.read(1, symbol, body, 0)
                    assert (today.bid, today.ask) == (tops[-1].bid, tops[-1].ask)
    assert len(tops) == len(lines) == 12
    assert all(0.0 < top.bid < top.ask < top.bid * 1.001 for top in tops)
    assert sum(top.bid_size > 0.0 for top in tops) == 7
    assert sum(top.venue_ns > 0 for top in tops) == 7
