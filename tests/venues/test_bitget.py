"""Bitget's dialect: payloads as the documentation writes them, what is refused, and the recordings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oracle.core.types import BookTop, Side, Ticker, TickerKind, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, bitget

AT_MS = 1_760_000_000_000
AT = AT_MS * 1_000_000
FEEDS = [base.Feed(3, "BTCUSDT"), base.Feed(5, "ETHUSDT")]


def dump(**fields: Any) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def push(action: str, channel: str, data: list[dict[str, Any]], **other: Any) -> bytes:
    arg = {"instType": "SPOT", "channel": channel, "instId": "BTCUSDT", **other}
    return dump(action=action, arg=arg, data=data, ts=AT_MS + 1)


def book(bids: list[list[str]], asks: list[list[str]], action: str = "snapshot", **other: Any) -> bytes:
    said = {"asks": asks, "bids": bids, "seq": 123, "ts": str(AT_MS), **other}
    return push(action, "books1", [{key: value for key, value in said.items() if value is not ...}])


def deal(**other: Any) -> dict[str, Any]:
    fields = {"ts": str(AT_MS), "price": "60000.5", "size": "0.001", "side": "buy", "tradeId": "1111111111"}
    return {**fields, **other}


def trades(*deals: dict[str, Any], action: str = "update") -> bytes:
    return push(action, "trade", list(deals))


TOP = book([["60000.5", "1.5"]], [["60000.6", "2"]])


def session(market: str = "spot") -> bitget.Session:
    return bitget.Session(FEEDS, market)


def top(bid: float, bid_size: float, ask: float, ask_size: float) -> BookTop:
    return BookTop(3, bid, bid_size, ask, ask_size, AT, AT)


@pytest.mark.parametrize(
    ("market", "product", "channels"),
    [("spot", "SPOT", ["books1", "trade"]), ("usdt", "USDT-FUTURES", ["books1", "trade", "ticker"])],
)
def test_it_asks_for_everything_in_one_request(market: str, product: str, channels: list[str]) -> None:
    live = session(market)
    assert live.url() == "wss://ws.bitget.com/v2/ws/public"
    (send,) = live.open()
    said = json.loads(send.data)
    assert said["op"] == "subscribe"
    assert [(arg["instType"], arg["channel"], arg["instId"]) for arg in said["args"]] == [
        (product, channel, symbol) for symbol in ("BTCUSDT", "ETHUSDT") for channel in channels
    ]
    assert len(channels) * live.symbols_max < 50
    assert [send.data for send in live.idle(AT)] == ["ping"]


def test_each_message_is_the_whole_top() -> None:
    live = session()
    assert live.receive(TOP, AT) == [top(60000.5, 1.5, 60000.6, 2.0)]
    assert live.receive(TOP, AT) == [top(60000.5, 1.5, 60000.6, 2.0)]
    assert live.receive(book([], [["60000.6", "2"]]), AT) == [top(0.0, 0.0, 60000.6, 2.0)]
    assert live.receive(book([["60001", "1"]], []), AT) == [top(60001.0, 1.0, 0.0, 0.0)]
    assert live.receive(book([["60001", "1"]], [["60000", "1"]]), AT) == [top(60001.0, 1.0, 60000.0, 1.0)]


def test_a_checksum_or_a_number_may_be_said_or_not() -> None:
    for other in ({"checksum": 0}, {"checksum": 0, "seq": ...}, {"seq": ...}, {"pseq": 0}):
        frame = book([["60000.5", "1.5"]], [["60000.6", "2"]], **other)
        assert session().receive(frame, AT) == [top(60000.5, 1.5, 60000.6, 2.0)]


def test_trades_come_oldest_first_and_a_snapshot_is_of_the_past() -> None:
    first = Trade(3, 60000.5, 0.001, Side.BUY, AT - 4_000_000, AT)
    second = Trade(3, 60000.5, 2.0, Side.SELL, AT, AT)
    said = (deal(side="sell", size="2"), deal(ts=str(AT_MS - 4)))
    assert session().receive(trades(*said), AT) == [first, second]
    assert session().receive(trades(*said, action="snapshot"), AT) == []
    assert session().receive(trades(deal(ts="1"), action="snapshot"), AT) == []
    assert len(session().receive(trades(deal(isRPI="no")), AT)) == 1


def test_of_the_futures_what_is_stated_is_read(contract: Any) -> None:
    said = {
        "instId": "BTCUSDT",
        "bidPr": "1",
        "markPrice": "60000.1",
        "indexPrice": "60000.4",
        "fundingRate": "-0.0001",
    }
    frame = push("snapshot", "ticker", [said | {"ts": str(AT_MS)}], instType="USDT-FUTURES")
    assert session("usdt").receive(frame, AT) == [
        Ticker(3, TickerKind.MARK, 60000.1, AT, AT),
        Ticker(3, TickerKind.INDEX, 60000.4, AT, AT),
        Ticker(3, TickerKind.FUNDING, -0.0001, AT, AT),
    ]
    assert contract.refusal(session("usdt"), frame.replace(b"BTCUSDT", b"XRPUSDT")) == Refusal.UNKNOWN_SYMBOL
    assert contract.refusal(session("usdt"), frame.replace(b"-FUTURES", b"-OPTIONS")) == Refusal.UNKNOWN_MESSAGE
    assert contract.refusal(session(), frame) == Refusal.UNKNOWN_MESSAGE


def test_what_is_no_fact_is_nothing() -> None:
    arg = {"instType": "SPOT", "channel": "trade", "instId": "BTCUSDT"}
    for benign in (b"pong", dump(event="subscribe", arg=arg), dump(event="unsubscribe", arg=arg)):
        assert session().receive(benign, AT) == []


def test_frames_with_spaces_are_read_all_the_same() -> None:
    for frame in (TOP, trades(deal())):
        assert len(session().receive(json.dumps(json.loads(frame)).encode(), AT)) == 1


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (dump(event="error", arg={}, code=30001, msg="doesn't exist", op="subscribe"), Refusal.VENUE_ERROR),
        (dump(event="login", code=0), Refusal.UNKNOWN_MESSAGE),
        (push("snapshot", "ticker", []), Refusal.UNKNOWN_MESSAGE),
        (push("snapshot", "books1", [], instType="USDT-FUTURES"), Refusal.UNKNOWN_MESSAGE),
        (push("update", "trade", [], instType="USDT-FUTURES"), Refusal.UNKNOWN_MESSAGE),
        (push("snapshot", "books5", [], note="books1"), Refusal.UNKNOWN_MESSAGE),
        (dump(action="snapshot", arg={"topic": "books1", "symbol": "BTCUSDT"}, data=[]), Refusal.UNKNOWN_MESSAGE),
        (book([["1", "1"]], [], action="update"), Refusal.WRONG_SHAPE),
        (book([["2", "1"], ["1", "1"]], []), Refusal.WRONG_SHAPE),
        (book([], [["1", "1"], ["2", "1"]]), Refusal.WRONG_SHAPE),
        (book([["1", "-1"]], []), Refusal.NOT_POSITIVE),
        (trades(deal(), action="delete"), Refusal.WRONG_SHAPE),
        (trades(deal(side="both")), Refusal.WRONG_SHAPE),
        (trades(deal(price="0")), Refusal.NOT_POSITIVE),
        (trades(deal(size="-1")), Refusal.NOT_POSITIVE),
        (b"[]", Refusal.WRONG_SHAPE),
    ],
)
def test_what_is_refused_by_name(contract: Any, frame: bytes, reason: Refusal) -> None:
    assert contract.refusal(session(), frame) == reason


def test_a_key_said_twice_is_refused(contract: Any) -> None:
    for other in ({}, {"checksum": 0}, {"seq": ...}):
        good = book([["60000.5", "1.5"]], [], **other)
        for key in (b"ts", b"instId", b"action"):
            assert contract.refusal(session(), contract.doubled(good, key)) == Refusal.DUPLICATE_KEY
    for key in (b"price", b"side", b"instId"):
        assert contract.refusal(session(), contract.doubled(trades(deal()), key)) == Refusal.DUPLICATE_KEY


def test_no_key_said_twice_hides_behind_one_left_out(contract: Any) -> None:
    for good in (TOP, book([], [], checksum=0), trades(deal()), trades(deal(), deal())):
        for frame in contract.traded(good):
            with pytest.raises(VenueError):
                session().receive(frame, AT)


def test_the_mimic_answers_only_what_was_asked() -> None:
    mimic, live = bitget.Mimic(FEEDS), session()
    (send,) = live.open()
    answers = mimic.hear(send.data, AT)
    assert [json.loads(answer)["arg"] for answer in answers] == json.loads(send.data)["args"]
    for answer in (*answers, *mimic.hear("ping", AT)):
        assert live.receive(answer.encode(), AT) == []
    assert mimic.greet("/v2/ws/public", AT) == mimic.heartbeat(AT) == []
    unknown = {"instType": "SPOT", "channel": "trade", "instId": "XRPEUR"}
    for wrong in ("no json", dump(op="subscribe", args=[unknown]).decode(), send.data.replace("subscribe", "login")):
        for answer in mimic.hear(wrong, AT):
            with pytest.raises(VenueError, match="VENUE_ERROR"):
                live.receive(answer.encode(), AT)
