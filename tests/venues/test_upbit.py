"""Upbit's dialect: payloads as the documentation writes them, what is refused, and the recording."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oracle.core.types import BookTop, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, upbit

AT_MS = 1_760_000_000_000
AT = AT_MS * 1_000_000
FEEDS = [base.Feed(3, "KRW-BTC"), base.Feed(5, "USDT-ETH")]
SHORT = {
    "type": "ty", "code": "cd", "timestamp": "tms", "total_ask_size": "tas", "total_bid_size": "tbs",
    "orderbook_units": "obu", "ask_price": "ap", "bid_price": "bp", "ask_size": "as", "bid_size": "bs", "level": "lv",
    "stream_type": "st", "trade_price": "tp", "trade_volume": "tv", "ask_bid": "ab", "prev_closing_price": "pcp",
    "change": "c", "change_price": "cp", "trade_date": "td", "trade_time": "ttm", "trade_timestamp": "ttms",
    "sequential_id": "sid", "best_ask_price": "bap", "best_ask_size": "bas", "best_bid_price": "bbp",
    "best_bid_size": "bbs",
}  # fmt: skip


def dump(said: Any) -> bytes:
    return json.dumps(said, separators=(",", ":")).encode()


def shortened(said: Any) -> Any:
    if isinstance(said, list):
        return [shortened(one) for one in said]
    return {SHORT[key]: shortened(value) for key, value in said.items()} if isinstance(said, dict) else said


def pair(**other: Any) -> dict[str, Any]:
    return {"ask_price": 60000.6, "bid_price": "60000.5", "ask_size": 2, "bid_size": 1.5} | other


def long_book(*pairs: dict[str, Any], **other: Any) -> dict[str, Any]:
    fields = {
        "type": "orderbook",
        "code": "KRW-BTC",
        "timestamp": AT_MS,
        "total_ask_size": 3.25,
        "total_bid_size": 4,
        "orderbook_units": list(pairs),
        "stream_type": "REALTIME",
        "level": 0,
    } | other
    return {key: value for key, value in fields.items() if value is not ...}


def long_trade(**other: Any) -> dict[str, Any]:
    fields = {
        "type": "trade",
        "code": "KRW-BTC",
        "timestamp": AT_MS + 40,
        "trade_date": "2025-10-09",
        "trade_time": "08:53:20",
        "trade_timestamp": AT_MS,
        "trade_price": "60000.5",
        "trade_volume": 0.025,
        "ask_bid": "ASK",
        "prev_closing_price": 59000,
        "change": "RISE",
        "change_price": 1000.5,
        "sequential_id": 4217,
        "stream_type": "REALTIME",
    } | other
    return {key: value for key, value in fields.items() if value is not ...}


def book(*pairs: dict[str, Any], **other: Any) -> bytes:
    return dump(shortened(long_book(*(pairs or (pair(),)), **other)))


def trade(**other: Any) -> bytes:
    return dump(shortened(long_trade(**other)))


BEST = {"best_ask_price": 60000.6, "best_ask_size": 2, "best_bid_price": 60000.5, "best_bid_size": 1.5}


def session() -> upbit.Session:
    return upbit.Session(FEEDS)


def test_one_message_asks_for_everything() -> None:
    assert session().url() == "wss://api.upbit.com/websocket/v1"
    (send,) = session().open()
    assert json.loads(send.data) == [
        {"ticket": "upbit"},
        {"type": "orderbook", "codes": ["KRW-BTC.1", "USDT-ETH.1"]},
        {"type": "trade", "codes": ["KRW-BTC", "USDT-ETH"], "is_only_realtime": True},
        {"format": "SIMPLE"},
    ]
    assert session().idle(AT) == [base.Send("PING")]


def test_the_first_pair_of_a_book_is_the_top_in_either_format() -> None:
    said = [BookTop(3, 60000.5, 1.5, 60000.6, 2.0, AT, AT)]
    deeper = pair(ask_price=60001, bid_price=60000)
    for frame in (
        book(),
        book(pair(), deeper),
        book(level=...),
        book(stream_type="SNAPSHOT"),
        book(code="KRW-BTC.1"),
        dump(long_book(pair(), deeper)),
        dump(long_book(pair(), level=...)),
        json.dumps(json.loads(book())).encode(),
    ):
        assert session().receive(frame, AT) == said


def test_an_empty_side_is_a_price_of_zero() -> None:
    assert session().receive(book(pair(ask_price=0)), AT) == [BookTop(3, 60000.5, 1.5, 0.0, 0.0, AT, AT)]
    assert session().receive(book(pair(bid_price=0, bid_size=0)), AT) == [BookTop(3, 0.0, 0.0, 60000.6, 2.0, AT, AT)]
    assert session().receive(dump(long_book()), AT) == [BookTop(3, 0.0, 0.0, 0.0, 0.0, AT, AT)]


def test_the_side_of_a_trade_is_the_takers() -> None:
    sold, bought = (Trade(3, 60000.5, 0.025, side, AT, AT) for side in (Side.SELL, Side.BUY))
    for frame in (trade(), trade(**BEST), dump(long_trade()), dump(long_trade(**BEST))):
        assert session().receive(frame, AT) == [sold]
    assert session().receive(trade(ask_bid="BID"), AT) == [bought]


def test_what_is_no_fact_is_nothing() -> None:
    assert session().receive(trade(stream_type="SNAPSHOT"), AT) == []
    assert session().receive(b'{"status":"UP"}', AT) == []


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (dump({"error": {"name": "NO_CODES", "message": "no codes"}}), Refusal.VENUE_ERROR),
        (dump({"ty": "ticker", "cd": "KRW-BTC"}), Refusal.UNKNOWN_MESSAGE),
        (dump({"type": "candle.1s", "code": "KRW-BTC"}), Refusal.UNKNOWN_MESSAGE),
        (dump({"type": "ticker", "code": "orderbook"}), Refusal.WRONG_SHAPE),
        (book(code="KRW-XRP"), Refusal.UNKNOWN_SYMBOL),
        (book(pair(bid_size=-1)), Refusal.NOT_POSITIVE),
        (book(timestamp=AT_MS * 1000), Refusal.TIME_UNIT),
        (book(stream_type="LATE"), Refusal.WRONG_SHAPE),
        (trade(trade_price=0), Refusal.NOT_POSITIVE),
        (trade(trade_volume=-1), Refusal.NOT_POSITIVE),
        (trade(ask_bid="BOTH"), Refusal.WRONG_SHAPE),
        (trade(trade_timestamp=AT_MS // 1000), Refusal.TIME_UNIT),
        (b"[]", Refusal.WRONG_SHAPE),
        (b"", Refusal.NOT_JSON),
    ],
)
def test_what_is_refused_by_name(contract: Any, frame: bytes, reason: Refusal) -> None:
    assert contract.refusal(session(), frame) == reason


def test_a_time_in_another_unit_is_refused_without_a_clock_too(contract: Any) -> None:
    for other in (AT_MS * 1000, AT_MS // 1000):
        assert contract.refusal(session(), book(timestamp=other), 0) == Refusal.TIME_UNIT


def test_a_key_said_twice_is_refused(contract: Any) -> None:
    for good in (book(), book(level=...), book(pair(), pair())):
        for key in (b"ap", b"cd", b"tms", b"st"):
            assert contract.refusal(session(), contract.doubled(good, key)) == Refusal.DUPLICATE_KEY
    for good in (trade(), trade(**BEST)):
        for key in (b"tp", b"ab", b"ttms", b"sid"):
            assert contract.refusal(session(), contract.doubled(good, key)) == Refusal.DUPLICATE_KEY


def test_no_key_said_twice_hides_behind_one_left_out(contract: Any) -> None:
    for good in (book(), book(level=...), trade(), dump(long_book(pair()))):
        for frame in contract.traded(good):
            with pytest.raises(VenueError):
                session().receive(frame, AT)


def test_the_mimic_answers_only_what_was_asked() -> None:
    mimic = upbit.Mimic(FEEDS)
    (send,) = session().open()
    assert mimic.hear(send.data, AT) == mimic.greet("/websocket/v1", AT) == mimic.heartbeat(AT) == []
    (pong,) = mimic.hear("PING", AT)
    assert session().receive(pong.encode(), AT) == []
    ticket = {"ticket": "t"}
    for wrong, name in (
        ("no json", "WRONG_FORMAT"),
        ('[{"type":"trade","codes":["KRW-BTC"]}]', "NO_TICKET"),
        (json.dumps([ticket]), "NO_TYPE"),
        (json.dumps([ticket, {"type": "trade", "codes": ["KRW-XRP"]}]), "INVALID_PARAM"),
        (json.dumps([ticket, {"type": "ticker", "codes": ["KRW-BTC"]}]), "INVALID_PARAM"),
    ):
        (answer,) = mimic.hear(wrong, AT)
        with pytest.raises(VenueError, match=f"VENUE_ERROR.*{name}"):
            session().receive(answer.encode(), AT)
