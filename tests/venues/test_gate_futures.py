"""Gate's perpetuals: payloads as the documentation writes them, sizes in contracts whole and cut, what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oracle.core.types import BookTop, Side, Ticker, TickerKind, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, gate_futures
from tests.venues.gate_frames import AT, AT_MS, conversation, dump, push

FEEDS = [base.Feed(3, "BTC_USDT"), base.Feed(5, "ETH_USDT")]


def ticker(head: dict[str, Any] | None = None, **other: Any) -> bytes:
    fields = {"t": AT_MS, "u": 2517661076, "s": "BTC_USDT", "b": "60000.5", "B": 37000, "a": "60000.6", "A": 47061}
    return push("futures.book_ticker", fields | other, **(head or {}))


def deal(**other: Any) -> dict[str, Any]:
    fields = {"size": -108, "id": 27753479, "create_time": AT_MS // 1000, "create_time_ms": AT_MS, "price": "60000.5"}
    return fields | {"contract": "BTC_USDT"} | other


def trades(*deals: dict[str, Any], **head: Any) -> bytes:
    return push("futures.trades", list(deals), **head)


def state(**other: Any) -> bytes:
    fields = {
        "contract": "BTC_USDT", "last": "60000.5", "mark_price": "60000.1", "index_price": "60000.4",
        "funding_rate": "-0.000033", "funding_rate_indicative": "0.0001", "quanto_base_rate": "", "t": AT_MS,
    }  # fmt: skip
    return push("futures.tickers", [{key: value for key, value in (fields | other).items() if value is not ...}])


def session() -> gate_futures.Session:
    return gate_futures.Session(FEEDS)


def top(bid: float, bid_size: float, ask: float, ask_size: float) -> BookTop:
    return BookTop(3, bid, bid_size, ask, ask_size, AT, AT)


def test_it_asks_for_each_contract_by_itself_and_says_the_time_when_it_knows_it() -> None:
    assert session().url() == "wss://fx-ws.gateio.ws/v4/ws/usdt"
    asked = [json.loads(send.data) for send in session().open()]
    assert [(call["event"], call["channel"], call["payload"]) for call in asked] == [
        ("subscribe", channel, [symbol])
        for symbol in ("BTC_USDT", "ETH_USDT")
        for channel in ("futures.book_ticker", "futures.trades", "futures.tickers")
    ]
    greeted = [json.loads(send.data) for send in session().greet(AT)]
    assert greeted == [{"time": AT_MS // 1000, **call} for call in asked]


def test_a_contract_that_was_not_heard_is_asked_for_again() -> None:
    live = session()
    ping, *again = [json.loads(send.data) for send in live.idle(AT)]
    assert ping == {"time": AT_MS // 1000, "channel": "futures.ping"}
    assert again == [json.loads(send.data) for send in live.greet(AT)]
    live.receive(ticker(), AT)
    assert [json.loads(send.data).get("payload") for send in live.idle(AT)] == [None, *([["ETH_USDT"]] * 3)]
    live.greet(AT)
    assert len(live.idle(AT)) == 7


def test_a_book_ticker_is_the_top_in_contracts() -> None:
    assert session().receive(ticker(), AT) == [top(60000.5, 37000.0, 60000.6, 47061.0)]
    assert session().receive(ticker(B="1.5", A="0.25"), AT) == [top(60000.5, 1.5, 60000.6, 0.25)]
    assert session().receive(ticker(b="60001"), AT) == [top(60001.0, 37000.0, 60000.6, 47061.0)]
    assert session().receive(ticker({"time_ms": ...}), AT) == [top(60000.5, 37000.0, 60000.6, 47061.0)]


def test_an_empty_side_is_an_empty_text_and_a_level_of_less_than_a_contract_a_size_that_is_not_stated() -> None:
    assert session().receive(ticker(b="", B=0), AT) == [top(0.0, 0.0, 60000.6, 47061.0)]
    assert session().receive(ticker(a="", A=""), AT) == [top(60000.5, 37000.0, 0.0, 0.0)]
    assert session().receive(ticker(A=0), AT) == [top(60000.5, 37000.0, 60000.6, 0.0)]
    assert session().receive(ticker(B=""), AT) == [top(60000.5, 0.0, 60000.6, 47061.0)]


def test_the_sign_of_a_trade_is_its_takers_side() -> None:
    sold = Trade(3, 60000.5, 108.0, Side.SELL, AT, AT)
    bought = Trade(3, 60000.25, 1.5, Side.BUY, AT + 7_000_000, AT)
    assert session().receive(trades(deal()), AT) == [sold]
    later = deal(size="1.5", price="60000.25", create_time_ms=AT_MS + 7)
    assert session().receive(trades(deal(), later), AT) == [sold, bought]
    assert session().receive(trades(deal(is_internal=False)), AT) == [sold]


def test_a_trade_away_from_the_book_and_one_without_size_or_side_are_passed_over() -> None:
    assert session().receive(trades(deal(is_internal=True), deal(size=0)), AT) == []


def test_a_ticker_states_mark_index_and_funding_as_far_as_it_has_them() -> None:
    assert session().receive(state(), AT) == [
        Ticker(3, TickerKind.MARK, 60000.1, AT, AT),
        Ticker(3, TickerKind.INDEX, 60000.4, AT, AT),
        Ticker(3, TickerKind.FUNDING, -0.000033, AT, AT),
    ]
    assert session().receive(state(t=..., index_price="", funding_rate=...), AT) == [
        Ticker(3, TickerKind.MARK, 60000.1, 0, AT)
    ]


def test_what_is_no_fact_is_nothing() -> None:
    done = {"status": "success"}
    for benign in (
        dump(time=1, channel="futures.pong", event="", error=None, result=None),
        dump(time=1, channel="futures.trades", event="subscribe", error=None, result=done),
        dump(time=1, channel="futures.tickers", event="unsubscribe", result=done),
    ):
        assert session().receive(benign, AT) == []


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (dump(channel="futures.trades", event="subscribe", error={"code": 2}, result=None), Refusal.VENUE_ERROR),
        (dump(channel="futures.trades", event="subscribe", result={"status": "fail"}), Refusal.VENUE_ERROR),
        (push("futures.order_book", {}), Refusal.UNKNOWN_MESSAGE),
        (dump(channel="futures.orders", event="subscribe", result={"status": "success"}), Refusal.UNKNOWN_MESSAGE),
        (push("futures.obu", {}, note="futures.book_ticker"), Refusal.WRONG_SHAPE),
        (b"[]", Refusal.WRONG_SHAPE),
        (ticker(s="XRP_USDT"), Refusal.UNKNOWN_SYMBOL),
        (ticker(b="0"), Refusal.NOT_POSITIVE),
        (ticker(B=-1), Refusal.NOT_POSITIVE),
        (trades(deal(contract="XRP_USDT")), Refusal.UNKNOWN_SYMBOL),
        (trades(deal(size="NaN")), Refusal.NOT_A_NUMBER),
        (trades(deal(price="0")), Refusal.NOT_POSITIVE),
        (trades(deal(create_time_ms=AT_MS // 1000)), Refusal.TIME_UNIT),
        (state(contract="XRP_USDT"), Refusal.UNKNOWN_SYMBOL),
        (state(funding_rate="1.5"), Refusal.NOT_A_NUMBER),
        (state(mark_price="0"), Refusal.NOT_POSITIVE),
    ],
)
def test_what_is_refused_by_name(contract: Any, frame: bytes, reason: Refusal) -> None:
    assert contract.refusal(session(), frame) == reason


def test_a_channel_that_only_looks_like_another_is_refused(contract: Any) -> None:
    for good, named in (
        (ticker(), b"book_ticker"),
        (trades(deal()), b"trades"),
        (state(), b"tickers"),
    ):
        frame = good.replace(b"futures." + named, b"options." + named).replace(
            b"}", b',"x":"futures.' + named + b'"}', 1
        )
        assert contract.refusal(session(), frame) == Refusal.UNKNOWN_MESSAGE


def test_a_key_said_twice_is_refused_even_where_one_is_left_out(contract: Any) -> None:
    for good in (ticker(), trades(deal()), trades(deal(), deal(is_internal=True))):
        for frame in contract.traded(good):
            with pytest.raises(VenueError):
                session().receive(frame, AT)
    for good, key in ((ticker({"time": ...}), b"t"), (trades(deal(), time=...), b"price"), (state(), b"t")):
        assert contract.refusal(session(), contract.doubled(good, key)) == Refusal.DUPLICATE_KEY


def test_the_mimic_answers_only_what_was_asked() -> None:
    mimic, live = gate_futures.Mimic(FEEDS), session()
    conversation(
        live,
        mimic,
        (*live.open(), *live.greet(AT), *live.idle(AT), *live.resubscribe(["BTC_USDT"])),
        "futures.trades",
        "XRP_USDT",
    )


def test_rest_states_the_top_in_contracts() -> None:
    asked = session().poll("BTC_USDT")
    assert asked is not None
    assert asked.url == "https://api.gateio.ws/api/v4/futures/usdt/order_book?contract=BTC_USDT&limit=1"
    body = (
        b'{"current":1760000000.1,"update":1760000000.0,"asks":[{"p":"60000.6","s":2}],"bids":[{"p":"60000.5","s":1}]}'
    )
    assert session().polled(asked, body, AT) == [BookTop(3, 60000.5, 1.0, 60000.6, 2.0, 0, AT)]


def test_there_is_one_dialect() -> None:
    assert gate_futures.session_for("wss://fx-ws.gateio.ws/v4/ws/usdt", FEEDS).receive(ticker(), AT)
