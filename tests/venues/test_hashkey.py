"""HashKey's dialect: payloads in the grammar that is known, and what is refused. There is no recording of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oracle.core.types import BookTop, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, hashkey

AT_MS = 1_760_000_000_000
AT = AT_MS * 1_000_000
FEEDS = [base.Feed(3, "BTCUSD"), base.Feed(5, "BTCHKD")]


def dump(**fields: Any) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def push(topic: str, said: Any, symbol: str = "BTCUSD") -> bytes:
    return dump(topic=topic, params={"symbol": symbol}, data=said)


def bbo(symbol: str = "BTCUSD", **other: Any) -> bytes:
    fields = {"s": "BTCUSD", "b": "60000.5", "bz": "1.5", "a": "60000.6", "az": "2", "t": AT_MS, "v": "55834575325_3"}
    return push("bbo", fields | other, symbol)


def trade(symbol: str = "BTCUSD", **other: Any) -> bytes:
    fields = {"v": "1745922896272048129", "t": AT_MS, "p": "60000.5", "q": "0.025", "m": True}
    return push("trade", fields | other, symbol)


def session() -> hashkey.Session:
    return hashkey.Session(FEEDS)


def test_it_asks_for_each_topic_of_each_symbol() -> None:
    assert session().url() == "wss://stream-pro.hashkey.com/quote/ws/v2"
    assert hashkey.session_for("", FEEDS).url() == session().url()
    asked = [json.loads(send.data) for send in session().open()]
    assert {call["event"] for call in asked} == {"sub"}
    assert [(call["topic"], call["params"]["symbol"]) for call in asked] == [
        ("bbo", "BTCUSD"),
        ("trade", "BTCUSD"),
        ("bbo", "BTCHKD"),
        ("trade", "BTCHKD"),
    ]
    assert session().idle(AT) == [base.Send(f'{{"ping":{AT_MS}}}')]
    with pytest.raises(ValueError, match="spot"):
        hashkey.Session(FEEDS, "perp")


def test_every_bbo_is_the_top() -> None:
    said = [BookTop(3, 60000.5, 1.5, 60000.6, 2.0, AT, AT)]
    for frame in (bbo(), bbo(more=1), json.dumps(json.loads(bbo())).encode()):
        assert session().receive(frame, AT) == said
    assert session().receive(bbo(b="0", bz="0"), AT) == [BookTop(3, 0.0, 0.0, 60000.6, 2.0, AT, AT)]
    assert session().receive(bbo(b="60001"), AT) == [BookTop(3, 60001.0, 1.5, 60000.6, 2.0, AT, AT)]


def test_the_side_of_a_trade_is_the_takers() -> None:
    sold, bought = (Trade(3, 60000.5, 0.025, side, AT, AT) for side in (Side.SELL, Side.BUY))
    assert session().receive(trade(), AT) == [sold]
    assert session().receive(trade(s="BTCUSD"), AT) == [sold]
    assert session().receive(trade(m=False), AT) == [bought]


def test_what_is_no_fact_is_nothing() -> None:
    done = dump(topic="bbo", event="sub", params={"symbol": "BTCUSD"}, code="0", msg="Success")
    assert session().receive(done, AT) == []
    assert session().receive(dump(pong=AT_MS), AT) == []


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (dump(topic="bbo", event="sub", code="-100011", msg="Parameter error!"), Refusal.VENUE_ERROR),
        (dump(code="-10004", desc="Invalid topic!"), Refusal.VENUE_ERROR),
        (push("depth", {"s": "BTCUSD", "t": AT_MS, "b": [], "a": []}), Refusal.UNKNOWN_MESSAGE),
        (push("depth", {"s": "bbo"}), Refusal.WRONG_SHAPE),
        (dump(symbol="BTCUSD", topic="trade", data=[], f=True, sendTime=AT_MS), Refusal.OLD_DIALECT),
        (dump(hello=1), Refusal.UNKNOWN_MESSAGE),
        (bbo(symbol="XRPUSD", s="XRPUSD"), Refusal.UNKNOWN_SYMBOL),
        (bbo(s="BTCHKD"), Refusal.UNKNOWN_SYMBOL),
        (trade(s="BTCHKD"), Refusal.UNKNOWN_SYMBOL),
        (trade(symbol="XRPUSD"), Refusal.UNKNOWN_SYMBOL),
        (bbo(bz="-1"), Refusal.NOT_POSITIVE),
        (trade(p="0"), Refusal.NOT_POSITIVE),
        (trade(q="-1"), Refusal.NOT_POSITIVE),
        (trade(m="maybe"), Refusal.WRONG_SHAPE),
        (trade(t=AT_MS // 1000), Refusal.TIME_UNIT),
        (b"[]", Refusal.WRONG_SHAPE),
        (b"", Refusal.NOT_JSON),
    ],
)
def test_what_is_refused_by_name(contract: Any, frame: bytes, reason: Refusal) -> None:
    assert contract.refusal(session(), frame) == reason


def test_a_time_in_another_unit_is_refused_without_a_clock_too(contract: Any) -> None:
    for other in (AT_MS * 1000, AT_MS // 1000):
        assert contract.refusal(session(), bbo(t=other), 0) == Refusal.TIME_UNIT


def test_a_key_said_twice_is_refused(contract: Any) -> None:
    for key in (b"s", b"b", b"t", b"topic"):
        assert contract.refusal(session(), contract.doubled(bbo(), key)) == Refusal.DUPLICATE_KEY
    for good in (trade(), trade(s="BTCUSD")):
        for key in (b"p", b"m", b"t", b"topic"):
            assert contract.refusal(session(), contract.doubled(good, key)) == Refusal.DUPLICATE_KEY


def test_no_key_said_twice_hides_behind_one_left_out(contract: Any) -> None:
    for good in (bbo(), trade()):
        for frame in contract.traded(good):
            with pytest.raises(VenueError):
                session().receive(frame, AT)


def test_the_mimic_answers_only_what_was_asked() -> None:
    mimic, live = hashkey.Mimic(FEEDS), session()
    for send in (*live.open(), *live.idle(AT)):
        (answer,) = mimic.hear(send.data, AT)
        assert live.receive(answer.encode(), AT) == []
    assert mimic.hear('{"ping":"abc"}', AT) == [f'{{"pong":{AT_MS}}}']
    assert mimic.greet("/quote/ws/v2", AT) == mimic.heartbeat(AT) == []
    unknown = dump(topic="bbo", event="sub", params={"symbol": "XRPUSD"}).decode()
    for wrong in ("no json", unknown, '{"topic":"orders","event":"sub"}', '{"topic":"bbo","event":"sub"}'):
        (answer,) = mimic.hear(wrong, AT)
        with pytest.raises(VenueError, match="VENUE_ERROR"):
            live.receive(answer.encode(), AT)
