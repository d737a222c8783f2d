"""Gate's dialect: payloads as the documentation writes them, what is refused, and the recordings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oracle.core.types import BookTop, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, gate
from tests.venues.gate_frames import AT, AT_MS, conversation, dump, push

FEEDS = [base.Feed(3, "BTC_USDT"), base.Feed(5, "USDC_USDT")]


def ticker(head: dict[str, Any] | None = None, **other: Any) -> bytes:
    fields = {"t": AT_MS, "u": 48733182, "s": "BTC_USDT", "b": "60000.5", "B": "1.5", "a": "60000.6", "A": "2"}
    return push("spot.book_ticker", fields | other, **(head or {}))


def trade(head: dict[str, Any] | None = None, **other: Any) -> bytes:
    fields = {
        "id": 309143071,
        "create_time": AT_MS // 1000,
        "create_time_ms": f"{AT_MS}.4578",
        "side": "sell",
        "currency_pair": "BTC_USDT",
        "amount": "0.0250000000",
        "price": "60000.5",
    }
    return push("spot.trades", fields | other, **(head or {}))


def session() -> gate.Session:
    return gate.Session(FEEDS)


def top(bid: float, bid_size: float, ask: float, ask_size: float) -> BookTop:
    return BookTop(3, bid, bid_size, ask, ask_size, AT, AT)


def test_it_asks_for_each_pair_by_itself() -> None:
    assert session().url() == "wss://api.gateio.ws/ws/v4/"
    asked = [json.loads(send.data) for send in session().open()]
    assert {call["event"] for call in asked} == {"subscribe"}
    assert [(call["channel"], call["payload"]) for call in asked] == [
        ("spot.book_ticker", ["BTC_USDT"]),
        ("spot.trades", ["BTC_USDT"]),
        ("spot.book_ticker", ["USDC_USDT"]),
        ("spot.trades", ["USDC_USDT"]),
    ]


def test_a_pair_that_was_not_heard_is_asked_for_again_with_the_time() -> None:
    live = session()
    ping, *again = [json.loads(send.data) for send in live.idle(AT)]
    assert ping == {"time": AT_MS // 1000, "channel": "spot.ping"}
    assert [call.pop("time") for call in again] == [AT_MS // 1000] * 4
    assert again == [json.loads(send.data) for send in live.open()]
    live.receive(ticker(), AT)
    assert [json.loads(send.data).get("payload") for send in live.idle(AT)] == [None, ["USDC_USDT"], ["USDC_USDT"]]
    live.receive(ticker(s="USDC_USDT"), AT)
    assert len(live.idle(AT)) == 1
    live.open()
    assert len(live.idle(AT)) == 5


def test_perpetuals_are_not_read() -> None:
    with pytest.raises(ValueError, match="spot"):
        gate.Session(FEEDS, "usdt")


def test_a_book_ticker_is_the_top() -> None:
    assert session().receive(ticker(), AT) == [top(60000.5, 1.5, 60000.6, 2.0)]
    assert session().receive(ticker(b="60001"), AT) == [top(60001.0, 1.5, 60000.6, 2.0)]
    assert session().receive(ticker({"time": ...}), AT) == [top(60000.5, 1.5, 60000.6, 2.0)]
    assert session().receive(ticker({"conn_id": "06a3248d8f02479a"}), AT) == [top(60000.5, 1.5, 60000.6, 2.0)]


def test_an_empty_side_is_an_empty_string_and_becomes_zeros() -> None:
    assert session().receive(ticker(b="", B="0"), AT) == [top(0.0, 0.0, 60000.6, 2.0)]
    assert session().receive(ticker(a="", A=""), AT) == [top(60000.5, 1.5, 0.0, 0.0)]
    assert session().receive(ticker(b="", B="", a="", A=""), AT) == [top(0.0, 0.0, 0.0, 0.0)]


def test_a_trade_states_its_time_to_a_fraction_of_a_millisecond() -> None:
    sold = Trade(3, 60000.5, 0.025, Side.SELL, AT + 457_800, AT)
    assert session().receive(trade(), AT) == [sold]
    assert session().receive(trade(id_market=2390902, range="2390902-2390902"), AT) == [sold]
    assert session().receive(trade({"time_ms": ...}), AT) == [sold]
    bought = Trade(3, 60000.5, 0.025, Side.BUY, AT, AT)
    assert session().receive(trade(side="buy", create_time_ms=str(AT_MS)), AT) == [bought]


def test_what_is_no_fact_is_nothing() -> None:
    done = dump(time=1, channel="spot.trades", event="subscribe", payload=["BTC_USDT"], result={"status": "success"})
    pong = dump(time=1, channel="spot.pong", event="", error=None, result=None)
    assert session().receive(done, AT) == session().receive(pong, AT) == []


def test_frames_with_spaces_are_read_all_the_same() -> None:
    for frame in (ticker(), trade()):
        assert len(session().receive(json.dumps(json.loads(frame)).encode(), AT)) == 1


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (dump(channel="spot.trades", event="subscribe", error={"code": 2}, result=None), Refusal.VENUE_ERROR),
        (dump(channel="spot.trades", event="subscribe", result={"status": "fail"}), Refusal.VENUE_ERROR),
        (push("spot.tickers", {"currency_pair": "BTC_USDT"}), Refusal.UNKNOWN_MESSAGE),
        (ticker({"channel": "spot.tickers", "id": "spot.book_ticker"}), Refusal.UNKNOWN_MESSAGE),
        (trade({"channel": "spot.tickers", "id": "spot.trades"}), Refusal.UNKNOWN_MESSAGE),
        (dump(hello=1), Refusal.UNKNOWN_MESSAGE),
        (dump(method="trades.update", params=["BTC_USDT", []], id=None), Refusal.OLD_DIALECT),
        (dump(method="ticker.update", params=["BTC_USDT", {}], id=None), Refusal.OLD_DIALECT),
        (trade(side="both"), Refusal.WRONG_SHAPE),
        (trade(price="0"), Refusal.NOT_POSITIVE),
        (trade(amount="-1"), Refusal.NOT_POSITIVE),
        (ticker(B="-1"), Refusal.NOT_POSITIVE),
        (ticker(b="1_000", a="", A=""), Refusal.WRONG_SHAPE),
        (ticker(b="NaN", a="", A=""), Refusal.NOT_A_NUMBER),
        (trade(create_time_ms=".5"), Refusal.TIME_UNIT),
        (trade(create_time_ms="9" * 5_000), Refusal.TIME_UNIT),
        (trade(create_time_ms="١٧٦٠٠٠٠٠٠٠٠٠٠"), Refusal.TIME_UNIT),
        (trade(create_time_ms="-1760000000000"), Refusal.TIME_UNIT),
        (b"[]", Refusal.WRONG_SHAPE),
    ],
)
def test_what_is_refused_by_name(contract: Any, frame: bytes, reason: Refusal) -> None:
    assert contract.refusal(session(), frame) == reason


def test_a_key_said_twice_is_refused(contract: Any) -> None:
    for good in (ticker(), ticker({"time": ...}), ticker(b="", B="")):
        for key in (b"s", b"a", b"t", b"channel"):
            assert contract.refusal(session(), contract.doubled(good, key)) == Refusal.DUPLICATE_KEY
    for good in (trade(), trade({"time_ms": ...}), trade(id_market=1, range="1-1")):
        for key in (b"price", b"side", b"event"):
            assert contract.refusal(session(), contract.doubled(good, key)) == Refusal.DUPLICATE_KEY


def test_no_key_said_twice_hides_behind_one_left_out(contract: Any) -> None:
    for good in (ticker(), trade(), trade(id_market=1, range="1-1")):
        for frame in contract.traded(good):
            with pytest.raises(VenueError):
                session().receive(frame, AT)


def test_the_mimic_answers_only_what_was_asked() -> None:
    mimic, live = gate.Mimic(FEEDS), session()
    conversation(live, mimic, (*live.open(), *live.idle(AT)), "spot.trades", "XRP_EUR")
    assert mimic.greet("/ws/v4/", AT) == mimic.heartbeat(AT) == []
