"""LMAX Digital's dialect: payloads as the documentation writes them, what is refused, and what closes a market."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oracle.core.types import BookTop, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, lmax

AT_MS = 1_760_000_000_748
AT = AT_MS * 1_000_000
AT_TEXT = "2025-10-09T08:53:20.748Z"
FEEDS = [base.Feed(3, "btc-usd"), base.Feed(5, "eth-usd")]
BID = {"price": "60000.500000", "quantity": "1.5000"}
ASK = {"price": "60001.000000", "quantity": "2.0000"}
DEEPER = {"price": "59999.000000", "quantity": "9.0000"}
TICKER = {
    "type": "TICKER", "instrument_id": "btc-usd", "timestamp": AT_TEXT, "best_bid": "60000.250000",
    "best_ask": "60001.000000", "trade_id": "0B5WMAAAAAAAAAAS", "last_quantity": "0.0100",
    "last_price": "60000.500000", "session_open": "60100.000000", "session_low": "59000.000000",
    "session_high": "61000.000000",
}  # fmt: skip


def dump(**fields: Any) -> bytes:
    return json.dumps({key: value for key, value in fields.items() if value is not ...}, separators=(",", ":")).encode()


def book(bids: object = (BID, DEEPER), asks: object = (ASK,), **other: Any) -> bytes:
    head = {"type": "ORDER_BOOK", "instrument_id": "btc-usd", "timestamp": AT_TEXT, "status": "OPEN"}
    return dump(**{**head, "bids": bids, "asks": asks, **other})


def ticker(**other: Any) -> bytes:
    return dump(**{**TICKER, **other})


def trade(at_ns: int = AT) -> Trade:
    return Trade(3, 60000.5, 0.01, Side.UNKNOWN, at_ns, AT)


def session() -> lmax.Session:
    return lmax.Session(FEEDS)


def test_everything_is_asked_for_in_one_request_and_nothing_again() -> None:
    live = session()
    assert live.url() == "wss://public-data-api.london-digital.lmax.com/v1/web-socket"
    (send,) = live.open()
    symbols = ["btc-usd", "eth-usd"]
    assert json.loads(send.data) == {
        "type": "SUBSCRIBE",
        "channels": [{"name": "ORDER_BOOK", "instruments": symbols}, {"name": "TICKER", "instruments": symbols}],
    }
    assert live.idle(AT) == live.resubscribe(symbols) == []
    assert live.ping_ms == 0  # one ping in 30 s is what the venue takes, and it pings itself


def test_another_market_is_not_read() -> None:
    with pytest.raises(ValueError, match="spot"):
        lmax.Session(FEEDS, "fx")


def test_a_book_is_read_from_its_best_levels() -> None:
    assert session().receive(book(), AT) == [BookTop(3, 60000.5, 1.5, 60001.0, 2.0, AT, AT)]
    assert session().receive(book(bids=[]), AT) == [BookTop(3, 0.0, 0.0, 60001.0, 2.0, AT, AT)]
    assert session().receive(book([], []), AT) == [BookTop(3, 0.0, 0.0, 0.0, 0.0, AT, AT)]
    assert session().receive(book([BID] * 2_000), AT) == session().receive(book(), AT)
    assert session().receive(book(added=1, later=2), AT) == session().receive(book(), AT)
    spaced = json.dumps(json.loads(book())).encode()
    assert session().receive(spaced, AT) == session().receive(book(), AT)


@pytest.mark.parametrize("status", ["SUSPENDED", "CLOSED", "SETTLED", "WITHDRAWN"])
def test_the_price_of_a_book_that_is_not_open_is_no_price(status: str) -> None:
    assert session().receive(book(status=status), AT) == [BookTop(3, 0.0, 0.0, 0.0, 0.0, AT, AT)]


def test_a_ticker_is_a_trade_whose_taker_is_not_known() -> None:
    assert session().receive(ticker(), AT) == [trade()]
    assert session().receive(ticker(session_open=..., best_bid=None), AT) == [trade()]
    spaced = json.dumps(TICKER).encode()
    assert session().receive(spaced, AT) == [trade()]


def test_a_trade_that_is_said_again_or_was_before_the_subscription_is_passed_over() -> None:
    live = session()
    assert live.receive(ticker(), AT) == [trade()]
    assert live.receive(ticker(best_bid="60000.750000"), AT) == []
    assert live.receive(ticker(trade_id="0B5WMAAAAAAAAAAT"), AT) == [trade()]
    assert live.receive(dump(type="SUBSCRIPTIONS", channels=[]), AT + 5_400_000) == []
    assert live.receive(ticker(trade_id="0B5WMAAAAAAAAAAV"), AT) == []
    later = ticker(trade_id="0B5WMAAAAAAAAAAW", timestamp="2025-10-09T08:53:20.753Z")
    assert live.receive(later, AT) == [trade(AT + 5_000_000)]
    live.open()
    assert live.receive(ticker(), AT) == [trade()]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (dump(type="ERROR", error_code="INSTRUMENT_NOT_FOUND", error_message="Not found."), Refusal.VENUE_ERROR),
        (dump(type="ERROR", error_code="TOO_MANY_REQUESTS"), Refusal.VENUE_ERROR),
        (dump(type="STATUS", description="not available", status="MAINTENANCE"), Refusal.VENUE_ERROR),
        (dump(type="HEARTBEAT"), Refusal.UNKNOWN_MESSAGE),
        (book(status="AUCTION"), Refusal.WRONG_SHAPE),
        (book(status=...), Refusal.WRONG_SHAPE),
        (book(bids=None), Refusal.WRONG_SHAPE),
        (book(bids=[["60000", "1"]]), Refusal.WRONG_SHAPE),
        (book(instrument_id="eur-usd"), Refusal.UNKNOWN_SYMBOL),
        (book(timestamp=AT_TEXT[:-1]), Refusal.TIME_UNIT),
        (book(timestamp=str(AT_MS)), Refusal.TIME_UNIT),
        (book(timestamp="2025-10-11T08:53:20.748Z"), Refusal.TIME_UNIT),
        (ticker(instrument_id="eur-usd"), Refusal.UNKNOWN_SYMBOL),
        (ticker(trade_id=...), Refusal.WRONG_SHAPE),
        (ticker(last_price=""), Refusal.WRONG_SHAPE),
        (ticker(last_quantity="0.0000"), Refusal.NOT_POSITIVE),
        (ticker(last_price="-60000.5"), Refusal.NOT_POSITIVE),
        (b"[]", Refusal.WRONG_SHAPE),
    ],
)
def test_what_is_refused_by_name(contract: Any, frame: bytes, reason: Refusal) -> None:
    assert contract.refusal(session(), frame) == reason


def test_the_service_is_online_says_nothing_of_a_market() -> None:
    assert session().receive(dump(type="STATUS", description="back", status="ONLINE"), AT) == []


def test_no_key_said_twice_hides_behind_one_left_out(contract: Any) -> None:
    for good in (book([BID]), ticker(), ticker(session_low=...)):
        assert session().receive(good, AT)
        for key in (b"instrument_id", b"timestamp", b"type"):
            assert contract.refusal(session(), contract.doubled(good, key)) == Refusal.DUPLICATE_KEY
    for frame in contract.traded(book([BID])):
        with pytest.raises(VenueError):
            session().receive(frame, AT)
    for frame in contract.traded(ticker()):
        with pytest.raises(VenueError):
            session().receive(frame, AT)


def test_the_mimic_answers_with_all_that_stands() -> None:
    mimic, live = lmax.Mimic(FEEDS), session()
    (asked,) = live.open()
    (answer,) = mimic.hear(asked.data, AT)
    assert json.loads(answer)["channels"] == json.loads(asked.data)["channels"]
    assert live.receive(answer.encode(), AT) == []
    part = dump(type="UNSUBSCRIBE", channels=[{"name": "TICKER", "instruments": ["btc-usd", "eth-usd"]}]).decode()
    (answer,) = mimic.hear(part, AT)
    assert [channel["name"] for channel in json.loads(answer)["channels"]] == ["ORDER_BOOK"]
    for wrong, code in (
        ("no json", "PARSING_ERROR"),
        (dump(type="SUBSCRIBE", channels=[{"name": "TRADES", "instruments": []}]).decode(), "CHANNEL_UNAVAILABLE"),
        (dump(type="SUBSCRIBE", channels=[{"name": "TICKER", "instruments": ["x"]}]).decode(), "INSTRUMENT_NOT_FOUND"),
    ):
        (answer,) = mimic.hear(wrong, AT)
        with pytest.raises(VenueError, match=code):
            live.receive(answer.encode(), AT)


def test_rest_states_the_top_of_an_open_book() -> None:
    live = lmax.session_for("wss://public-data-api.london-digital.lmax.com/v1/web-socket", FEEDS)
    asked = live.poll("btc-usd")
    assert asked == base.Request("https://public-data-api.london-digital.lmax.com/v1/orderbook/btc-usd", "btc-usd")
    assert live.polled(asked, book(type=...), AT) == live.receive(book(), AT)
    stands = BookTop(3, 60000.5, 1.5, 60001.0, 2.0, AT, AT)
    body = lmax.Mimic(FEEDS).rest("GET", "/v1/orderbook/btc-usd", AT, {"btc-usd": stands})
    assert body is not None
    assert live.polled(asked, body, AT) == [stands]
    for bad, reason in (
        (book(type=..., status="CLOSED"), "VENUE_ERROR"),
        (book(type=..., instrument_id="eth-usd"), "UNKNOWN_SYMBOL"),
        (dump(error_message="Not found"), "WRONG_SHAPE"),
    ):
        with pytest.raises(VenueError, match=reason):
            live.polled(asked, bad, AT)
