"""bitFlyer's dialect: payloads as the documentation writes them, what is refused, and the recording."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oracle.core.types import BookTop, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, bitflyer

AT = 1_760_000_000_000_000_000
SECOND = "2025-10-09T08:53:20"
FEEDS = [base.Feed(3, "BTC_JPY"), base.Feed(5, "ETH_JPY")]


def dump(**fields: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **fields}, separators=(",", ":")).encode()


def push(channel: str, message: Any, method: str = "channelMessage") -> bytes:
    return dump(method=method, params={"channel": channel, "message": message})


def ticker(channel: str = "lightning_ticker_BTC_JPY", **other: Any) -> bytes:
    fields = {
        "product_code": "BTC_JPY",
        "state": "RUNNING",
        "timestamp": f"{SECOND}.0000000Z",
        "tick_id": 3579,
        "best_bid": "60000.5",
        "best_ask": 60000.6,
        "best_bid_size": 1.5,
        "best_ask_size": 2,
        "total_bid_depth": 1581.64414981,
        "total_ask_depth": 1415.32079982,
        "market_bid_size": 0,
        "market_ask_size": 0,
        "ltp": 60000.5,
        "volume": 6703.96837634,
        "volume_by_product": 6703.96837634,
    } | other
    return push(channel, {key: value for key, value in fields.items() if value is not ...})


def deal(**other: Any) -> dict[str, Any]:
    return {
        "id": 39361,
        "side": "SELL",
        "price": "60000.5",
        "size": 0.025,
        "exec_date": f"{SECOND}.0000000Z",
        "buy_child_order_acceptance_id": "JRF20251009-085320-232896",
        "sell_child_order_acceptance_id": "JRF20251009-085320-232927",
    } | other


def trades(*deals: dict[str, Any]) -> bytes:
    return push("lightning_executions_BTC_JPY", list(deals))


def session() -> bitflyer.Session:
    return bitflyer.Session(FEEDS)


def test_it_asks_for_each_channel_of_each_symbol() -> None:
    assert session().url() == "wss://ws.lightstream.bitflyer.com/json-rpc"
    asked = [json.loads(send.data) for send in session().open()]
    assert {call["method"] for call in asked} == {"subscribe"}
    assert [call["id"] for call in asked] == [1, 2, 3, 4]
    assert [call["params"]["channel"] for call in asked] == [
        "lightning_ticker_BTC_JPY",
        "lightning_executions_BTC_JPY",
        "lightning_ticker_ETH_JPY",
        "lightning_executions_ETH_JPY",
    ]
    assert session().idle(AT) == []


def test_every_ticker_is_the_top() -> None:
    said = [BookTop(3, 60000.5, 1.5, 60000.6, 2.0, AT, AT)]
    older = ticker(state=..., market_bid_size=..., market_ask_size=...)
    for frame in (ticker(), older, ticker(state=...), ticker(circuit_break_end=None)):
        assert session().receive(frame, AT) == said
        assert session().receive(json.dumps(json.loads(frame)).encode(), AT) == said
    fine = ticker(timestamp=f"{SECOND}.1371457Z")
    assert session().receive(fine, AT) == [BookTop(3, 60000.5, 1.5, 60000.6, 2.0, AT + 137_145_700, AT)]
    empty = ticker(best_ask=0, best_ask_size=0)
    assert session().receive(empty, AT) == [BookTop(3, 60000.5, 1.5, 0.0, 0.0, AT, AT)]


def test_the_side_of_a_trade_is_the_takers_and_an_auction_has_none() -> None:
    frame = trades(deal(), deal(side="BUY"), deal(side="", exec_date=f"{SECOND}.9692063Z"))
    assert session().receive(frame, AT) == [
        Trade(3, 60000.5, 0.025, Side.SELL, AT, AT),
        Trade(3, 60000.5, 0.025, Side.BUY, AT, AT),
        Trade(3, 60000.5, 0.025, Side.UNKNOWN, AT + 969_206_300, AT),
    ]
    assert session().receive(trades(), AT) == []
    assert len(session().receive(trades(deal(**{f"new_{n}": n for n in range(7)})), AT)) == 1


def test_an_acknowledgement_is_no_fact() -> None:
    assert session().receive(dump(id=1, result=True), AT) == []


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (dump(id=1, error={"code": -32602, "message": "Invalid params"}), Refusal.VENUE_ERROR),
        (dump(id=1, result=False), Refusal.VENUE_ERROR),
        (ticker(state="CIRCUIT BREAK"), Refusal.VENUE_ERROR),
        (push("lightning_board_BTC_JPY", {"mid_price": 1, "bids": [], "asks": []}), Refusal.UNKNOWN_MESSAGE),
        (push("lightning_board_snapshot_BTC_JPY", {"mid_price": 1}), Refusal.UNKNOWN_MESSAGE),
        (ticker("a_lightning_ticker_", product_code="lightning_ticker_"), Refusal.UNKNOWN_MESSAGE),
        (push("x", [], "lightning_executions_"), Refusal.WRONG_SHAPE),
        (push("lightning_ticker_BTC_JPY", {}, "channelMessage"), Refusal.WRONG_SHAPE),
        (dump(method="dance"), Refusal.UNKNOWN_MESSAGE),
        (ticker("lightning_ticker_XRP_JPY"), Refusal.UNKNOWN_SYMBOL),
        (ticker(product_code="ETH_JPY"), Refusal.UNKNOWN_SYMBOL),
        (push("lightning_executions_XRP_JPY", []), Refusal.UNKNOWN_SYMBOL),
        (ticker(best_bid_size=-1), Refusal.NOT_POSITIVE),
        (ticker(timestamp="2025-10-09T08:53:20.1371457"), Refusal.TIME_UNIT),
        (trades(deal(price=0)), Refusal.NOT_POSITIVE),
        (trades(deal(size=-1)), Refusal.NOT_POSITIVE),
        (trades(deal(side="BOTH")), Refusal.WRONG_SHAPE),
        (b"[]", Refusal.WRONG_SHAPE),
        (b"", Refusal.NOT_JSON),
    ],
)
def test_what_is_refused_by_name(contract: Any, frame: bytes, reason: Refusal) -> None:
    assert contract.refusal(session(), frame) == reason


def test_a_key_said_twice_is_refused(contract: Any) -> None:
    for good in (ticker(), ticker(state=...)):
        for key in (b"best_bid", b"timestamp", b"channel", b"ltp"):
            assert contract.refusal(session(), contract.doubled(good, key)) == Refusal.DUPLICATE_KEY
    for key in (b"price", b"side", b"exec_date"):
        assert contract.refusal(session(), contract.doubled(trades(deal(), deal()), key)) == Refusal.DUPLICATE_KEY


def test_no_key_said_twice_hides_behind_one_left_out(contract: Any) -> None:
    for good in (ticker(), trades(deal())):
        for frame in contract.traded(good):
            with pytest.raises(VenueError):
                session().receive(frame, AT)


def test_the_mimic_speaks_of_an_auction_too(contract: Any) -> None:
    auction = Trade(5, 4000.0, 1.25, Side.UNKNOWN, AT + 700, AT)
    contract.round_trip(session(), bitflyer.Mimic(FEEDS), [auction])


def test_the_mimic_answers_only_what_was_asked() -> None:
    mimic, live = bitflyer.Mimic(FEEDS), session()
    for send in live.open():
        (answer,) = mimic.hear(send.data, AT)
        assert json.loads(answer) == {"jsonrpc": "2.0", "id": json.loads(send.data)["id"], "result": True}
        assert live.receive(answer.encode(), AT) == []
    assert mimic.greet("/json-rpc", AT) == mimic.heartbeat(AT) == []
    unknown = dump(method="subscribe", params={"channel": "lightning_ticker_XRP_JPY"}).decode()
    for wrong in ("no json", '{"method":"dance"}', '{"method":"subscribe"}', unknown):
        (answer,) = mimic.hear(wrong, AT)
        with pytest.raises(VenueError, match="VENUE_ERROR"):
            live.receive(answer.encode(), AT)
