"""Bullish's dialect: payloads as the documentation writes them, what is refused, and what was captured."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oracle.core.types import BookTop, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, bullish

AT_MS = 1_760_000_000_000
AT = AT_MS * 1_000_000
SECOND = "2025-10-09T08:53:20"
FEEDS = [base.Feed(3, "BTCUSD"), base.Feed(5, "USDCUSD")]


def dump(**fields: Any) -> bytes:
    kept = {key: value for key, value in fields.items() if value is not ...}
    return json.dumps(kept, separators=(",", ":")).encode()


def top(kind: str = "update", **other: Any) -> bytes:
    fields = {
        "symbol": "BTCUSD",
        "bid": ["60000.5", "1.5"],
        "ask": ["60000.6", "2.0"],
        "sequenceNumber": "8",
        "datetime": f"{SECOND}.000Z",
        "timestamp": str(AT_MS),
        "publishedAtTimestamp": str(AT_MS + 3),
    }
    return dump(type=kind, dataType="V1TALevel1", data=json.loads(dump(**(fields | other))))


def deal(**other: Any) -> dict[str, Any]:
    fields = {
        "tradeId": "100086000000609304",
        "isTaker": True,
        "price": "60000.5",
        "createdAtTimestamp": str(AT_MS),
        "quantity": "0.025",
        "publishedAtTimestamp": str(AT_MS + 3),
        "side": "SELL",
        "createdAtDatetime": f"{SECOND}.000Z",
        "symbol": "BTCUSD",
    }
    return {key: value for key, value in (fields | other).items() if value is not ...}


def trades(*deals: dict[str, Any], kind: str = "update", symbol: str = "BTCUSD") -> bytes:
    times = {"createdAtTimestamp": str(AT_MS), "publishedAtTimestamp": str(AT_MS + 3)}
    return dump(type=kind, dataType="V1TAAnonymousTradeUpdate", data={"trades": list(deals), **times, "symbol": symbol})


def session() -> bullish.Session:
    return bullish.Session(FEEDS)


def test_each_market_has_its_route_and_its_topic() -> None:
    for market, route, topic in (("spot", "orderbook", "l1Orderbook"), ("trades", "trades", "anonymousTrades")):
        live = bullish.Session(FEEDS, market)
        assert live.url() == f"wss://api.exchange.bullish.com/trading-api/v1/market-data/{route}"
        asked = [json.loads(send.data) for send in live.open()]
        assert [call["params"] for call in asked] == [
            {"topic": topic, "symbol": "BTCUSD"},
            {"topic": topic, "symbol": "USDCUSD"},
        ]
        assert {(call["jsonrpc"], call["type"], call["method"]) for call in asked} == {("2.0", "command", "subscribe")}
        assert len({call["id"] for call in asked}) == 2
    (ping,) = session().idle(AT)
    assert json.loads(ping.data)["method"] == "keepalivePing"
    with pytest.raises(ValueError, match="spot and trades"):
        bullish.Session(FEEDS, "perp")


def test_every_level_one_message_is_the_top() -> None:
    said = BookTop(3, 60000.5, 1.5, 60000.6, 2.0, AT, AT)
    for frame in (top(), top("snapshot"), top(publishedAtTimestamp=...), json.dumps(json.loads(top())).encode()):
        assert session().receive(frame, AT) == [said]
    zero = ["0.00000000", "0.00000000"]
    assert session().receive(top(bid=zero), AT) == [BookTop(3, 0.0, 0.0, 60000.6, 2.0, AT, AT)]
    assert session().receive(top(bid=zero, ask=zero), AT) == [BookTop(3, 0.0, 0.0, 0.0, 0.0, AT, AT)]
    crossed = BookTop(3, 60001.0, 1.0, 60000.6, 2.0, AT, AT)
    assert session().receive(top(bid=["60001", "1"]), AT) == [crossed]


def test_the_side_of_a_trade_is_the_takers() -> None:
    batch = trades(deal(), deal(side="BUY", lastUpdatedTimestamp=str(AT_MS)), deal(isTaker=False))
    assert session().receive(batch, AT) == [
        Trade(3, 60000.5, 0.025, side, AT, AT) for side in (Side.SELL, Side.BUY, Side.BUY)
    ]
    late = deal(createdAtDatetime=f"{SECOND}.158Z", side="BUY", isTaker=False)
    assert session().receive(trades(late), AT) == [Trade(3, 60000.5, 0.025, Side.SELL, AT + 158_000_000, AT)]


def test_what_is_no_fact_is_nothing() -> None:
    done = {"responseCodeName": "OK", "responseCode": "200", "message": "Keep alive pong"}
    assert session().receive(trades(), AT) == []
    assert session().receive(trades(deal(), kind="snapshot"), AT) == []
    assert session().receive(dump(id="7", jsonrpc="2.0", result=done), AT) == []
    assert session().receive(dump(type="update", dataType="V1TAHeartbeat", data={"sequenceNumber": "1"}), AT) == []


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (dump(id="1", jsonrpc="2.0", error={"code": -32602, "message": "no"}), Refusal.VENUE_ERROR),
        (dump(id="1", jsonrpc="2.0", result={"responseCode": "400", "message": "no"}), Refusal.VENUE_ERROR),
        (dump(type="update", dataType="V1TALevel2", data={"symbol": "BTCUSD"}), Refusal.UNKNOWN_MESSAGE),
        (dump(type="update", dataType="V1TATickerResponse", data=None), Refusal.UNKNOWN_MESSAGE),
        (dump(hello=1), Refusal.UNKNOWN_MESSAGE),
        (top("delta"), Refusal.WRONG_SHAPE),
        (top(bid=[]), Refusal.WRONG_SHAPE),
        (top(bid=["60000.5", "-1"]), Refusal.NOT_POSITIVE),
        (top(timestamp=str(AT)), Refusal.TIME_UNIT),
        (trades(deal(price="0")), Refusal.NOT_POSITIVE),
        (trades(deal(quantity="-1")), Refusal.NOT_POSITIVE),
        (trades(deal(side="BOTH")), Refusal.WRONG_SHAPE),
        (trades(deal(symbol="ETHUSD")), Refusal.UNKNOWN_SYMBOL),
        (trades(symbol="ETHUSD"), Refusal.UNKNOWN_SYMBOL),
        (trades(deal(createdAtDatetime="yesterday")), Refusal.TIME_UNIT),
        (b"[]", Refusal.WRONG_SHAPE),
        (b"", Refusal.NOT_JSON),
    ],
)
def test_what_is_refused_by_name(contract: Any, frame: bytes, reason: Refusal) -> None:
    assert contract.refusal(session(), frame) == reason


def test_a_time_in_another_unit_is_refused_without_a_clock_too(contract: Any) -> None:
    for other in (AT_MS * 1000, AT_MS // 1000):
        assert contract.refusal(session(), top(timestamp=str(other)), 0) == Refusal.TIME_UNIT


def test_a_key_said_twice_is_refused(contract: Any) -> None:
    for good in (top(), top(publishedAtTimestamp=...)):
        for key in (b"symbol", b"timestamp", b"dataType"):
            assert contract.refusal(session(), contract.doubled(good, key)) == Refusal.DUPLICATE_KEY
    for good in (trades(deal()), trades(deal(lastUpdatedTimestamp="1"))):
        for key in (b"price", b"side", b"isTaker"):
            assert contract.refusal(session(), contract.doubled(good, key)) == Refusal.DUPLICATE_KEY


def test_no_key_said_twice_hides_behind_one_left_out(contract: Any) -> None:
    for good in (top(), top(publishedAtTimestamp=...), trades(deal())):
        for frame in contract.traded(good):
            with pytest.raises(VenueError):
                session().receive(frame, AT)


def test_the_mimic_answers_only_what_was_asked() -> None:
    mimic = bullish.Mimic(FEEDS)
    for live in (session(), bullish.Session(FEEDS, "trades")):
        for send in (*live.open(), *live.idle(AT)):
            (answer,) = mimic.hear(send.data, AT)
            assert json.loads(answer)["id"] == json.loads(send.data)["id"]
            assert live.receive(answer.encode(), AT) == []
    assert mimic.greet("/", AT) == mimic.heartbeat(AT) == []
    unknown = {"method": "subscribe", "params": {"topic": "l1Orderbook", "symbol": "XRPEUR"}}
    topic = {"method": "subscribe", "params": {"topic": "orders", "symbol": "BTCUSD"}}
    for wrong in ("no json", json.dumps(unknown), json.dumps(topic), '{"method":"dance"}'):
        (answer,) = mimic.hear(wrong, AT)
        with pytest.raises(VenueError, match="VENUE_ERROR"):
            session().receive(answer.encode(), AT)
