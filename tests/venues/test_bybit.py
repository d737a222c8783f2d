"""Bybit's dialect: payloads as the documentation writes them, what is refused, and the recordings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oracle.core.types import BookTop, Side, Ticker, TickerKind, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, bybit

AT_MS = 1_760_000_000_000
AT = AT_MS * 1_000_000
FEEDS = [base.Feed(3, "BTCUSDT"), base.Feed(5, "ETHUSDT")]


def book(kind: str, bids: list[list[str]], asks: list[list[str]], update: int, **other: Any) -> bytes:
    said = {"s": "BTCUSDT", "b": bids, "a": asks, "u": update, "seq": 7_961_638_724}
    fields = {"topic": "orderbook.1.BTCUSDT", "ts": AT_MS, "type": kind, "data": said, "cts": AT_MS - 3}
    return dump(**{**fields, **other})


def deal(**other: Any) -> dict[str, Any]:
    fields = {"T": AT_MS - 3, "s": "BTCUSDT", "S": "Buy", "v": "0.001", "p": "60000.5", "i": "20f4", "BT": False}
    return {**fields, **other}


def trades(*deals: dict[str, Any], **other: Any) -> bytes:
    return dump(**{"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": AT_MS, "data": list(deals), **other})


def dump(**fields: Any) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


SNAPSHOT = book("snapshot", [["60000.5", "1.5"]], [["60000.6", "2"]], 100)


def session() -> bybit.Session:
    return bybit.Session(FEEDS)


def top(bid: float, bid_size: float, ask: float, ask_size: float) -> BookTop:
    return BookTop(3, bid, bid_size, ask, ask_size, AT, AT)


def test_it_dials_its_market_and_names_ten_topics_a_message() -> None:
    assert session().url() == "wss://stream.bybit.com/v5/public/spot"
    assert bybit.Session(FEEDS, "linear").url() == "wss://stream.bybit.com/v5/public/linear"
    many = bybit.Session([base.Feed(n, f"S{n}USDT") for n in range(7)])
    asked = [json.loads(send.data) for send in many.open()]
    assert [len(call["args"]) for call in asked] == [10, 4]
    assert {call["op"] for call in asked} == {"subscribe"}
    assert asked[0]["args"][0] == "orderbook.1.S0USDT"
    assert asked[1]["args"][-1] == "publicTrade.S6USDT"
    assert [json.loads(send.data) for send in many.idle(AT)] == [{"op": "ping"}]


def test_a_snapshot_is_the_top_even_when_it_repeats() -> None:
    live = session()
    assert live.receive(SNAPSHOT, AT) == [top(60000.5, 1.5, 60000.6, 2.0)]
    assert live.receive(SNAPSHOT, AT) == [top(60000.5, 1.5, 60000.6, 2.0)]
    assert live.receive(book("snapshot", [], [["60000.6", "2"]], 101), AT) == [top(0.0, 0.0, 60000.6, 2.0)]
    assert live.receive(book("snapshot", [["61000", "1"]], [["60999", "1"]], 102), AT) == [
        top(61000.0, 1.0, 60999.0, 1.0)
    ]


def test_deltas_change_the_top_they_follow() -> None:
    live = session()
    live.receive(SNAPSHOT, AT)
    assert live.receive(book("delta", [["60000.5", "0.25"]], [], 101), AT) == [top(60000.5, 0.25, 60000.6, 2.0)]
    moved = book("delta", [["60000.5", "0"], ["60000.1", "4"]], [["60000.6", "0"], ["60000.4", "5"]], 102)
    assert live.receive(moved, AT) == [top(60000.1, 4.0, 60000.4, 5.0)]
    assert live.receive(book("delta", [], [["60000.4", "0"]], 103), AT) == [top(60000.1, 4.0, 0.0, 0.0)]


def test_a_gap_leaves_the_symbol_without_a_book_until_a_snapshot(contract: Any) -> None:
    live = session()
    delta = book("delta", [["60000.5", "1"]], [], 101)
    assert contract.refusal(live, delta) == Refusal.NO_SNAPSHOT
    live.receive(SNAPSHOT, AT)
    assert contract.refusal(live, book("delta", [["60000.5", "1"]], [], 102)) == Refusal.SEQUENCE_GAP
    assert contract.refusal(live, delta) == Refusal.NO_SNAPSHOT
    live.receive(SNAPSHOT, AT)
    assert live.receive(delta, AT) == [top(60000.5, 1.0, 60000.6, 2.0)]


def test_a_bad_delta_ends_the_book(contract: Any) -> None:
    live = session()
    live.receive(SNAPSHOT, AT)
    assert contract.refusal(live, book("delta", [["-1", "1"]], [], 101)) == Refusal.NOT_POSITIVE
    assert contract.refusal(live, book("delta", [["60000.5", "1"]], [], 102)) == Refusal.NO_SNAPSHOT


def test_before_the_matching_time_was_stated() -> None:
    frame = SNAPSHOT.replace(b',"cts":1759999999997', b"")
    assert session().receive(frame, AT) == [top(60000.5, 1.5, 60000.6, 2.0)]


def test_trades_of_spot_and_of_linear() -> None:
    first = Trade(3, 60000.5, 0.001, Side.BUY, AT - 3_000_000, AT)
    assert session().receive(trades(deal(seq=1, RPI=False)), AT) == [first]
    sold = deal(S="Sell", L="PlusTick", seq=2)
    second = Trade(3, 60000.5, 0.001, Side.SELL, AT - 3_000_000, AT)
    assert session().receive(trades(deal(seq=1), sold, deal(BT=True)), AT) == [first, second]
    assert session().receive(trades(deal(), id="a request's"), AT) == [first]


def test_of_the_linear_market_what_is_stated_is_read_as_far_as_it_changed(contract: Any) -> None:
    said = {"symbol": "BTCUSDT", "markPrice": "60000.1", "indexPrice": "60000.4", "fundingRate": "-0.0001"}
    whole = dump(topic="tickers.BTCUSDT", type="snapshot", data=said | {"bid1Price": "1"}, cs=24987956059, ts=AT_MS)
    live = bybit.Session(FEEDS, "linear")
    assert json.loads(live.open()[0].data)["args"][-2:] == ["tickers.BTCUSDT", "tickers.ETHUSDT"]
    marked, indexed = Ticker(3, TickerKind.MARK, 60000.1, AT, AT), Ticker(3, TickerKind.INDEX, 60000.4, AT, AT)
    assert live.receive(whole, AT) == [marked, indexed, Ticker(3, TickerKind.FUNDING, -0.0001, AT, AT)]
    spaced = json.dumps(json.loads(whole)).encode()
    assert live.receive(spaced, AT) == live.receive(whole, AT)
    changed = {"symbol": "BTCUSDT", "markPrice": "60000.1", "fundingRate": ""}
    assert live.receive(dump(topic="tickers.BTCUSDT", type="delta", data=changed, ts=AT_MS), AT) == [marked]
    assert live.receive(dump(topic="tickers.BTCUSDT", type="delta", data={"symbol": "BTCUSDT"}, ts=AT_MS), AT) == []
    assert contract.refusal(live, whole.replace(b"BTCUSDT", b"XRPUSDT")) == Refusal.UNKNOWN_SYMBOL
    assert contract.refusal(live, contract.doubled(whole, b"markPrice")) == Refusal.DUPLICATE_KEY
    assert contract.refusal(session(), whole) == Refusal.UNKNOWN_MESSAGE


def test_what_is_no_fact_is_nothing() -> None:
    for benign in (
        dump(success=True, ret_msg="subscribe", conn_id="2324d924", req_id="", op="subscribe"),
        dump(success=True, ret_msg="pong", conn_id="465772b1", req_id="", op="ping"),
        dump(op="pong", args=["1672916271846"], conn_id="cfcb4ocsvfriu23r3er0"),
    ):
        assert session().receive(benign, AT) == []


def test_frames_with_spaces_are_read_all_the_same() -> None:
    spaced = json.dumps(json.loads(SNAPSHOT)).encode()
    assert session().receive(spaced, AT) == [top(60000.5, 1.5, 60000.6, 2.0)]
    spaced = json.dumps(json.loads(trades(deal()))).encode()
    assert len(session().receive(spaced, AT)) == 1


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (dump(success=False, ret_msg="error:handler not found", conn_id="c", op="subscribe"), Refusal.VENUE_ERROR),
        (dump(topic="orderbook.50.BTCUSDT", type="snapshot"), Refusal.UNKNOWN_MESSAGE),
        (dump(topic="tickers.BTCUSDT", type="snapshot"), Refusal.UNKNOWN_MESSAGE),
        (dump(hello=1), Refusal.UNKNOWN_MESSAGE),
        (dump(op="auth", success=True), Refusal.UNKNOWN_MESSAGE),
        (b"[]", Refusal.WRONG_SHAPE),
        (book("partial", [], [], 1), Refusal.WRONG_SHAPE),
        (book("snapshot", [["2", "1"], ["1", "1"]], [], 1), Refusal.WRONG_SHAPE),
        (trades(deal(S="Both")), Refusal.WRONG_SHAPE),
        (trades(deal(s="ETHUSDT")), Refusal.UNKNOWN_SYMBOL),
        (trades(deal(p="0")), Refusal.NOT_POSITIVE),
        (dump(topic="trade.BTCUSDT", data=[]), Refusal.OLD_DIALECT),
        (dump(topic="orderBookL2_25.BTCUSDT", type="delta", data={}), Refusal.OLD_DIALECT),
        (dump(topic="depth", params={"symbol": "BTCUSDT"}, data={}), Refusal.OLD_DIALECT),
        (dump(success=True, ret_msg="", request={"op": "subscribe"}), Refusal.OLD_DIALECT),
    ],
)
def test_what_is_refused_by_name(contract: Any, frame: bytes, reason: Refusal) -> None:
    assert contract.refusal(session(), frame) == reason


def test_a_key_said_twice_is_seen_even_when_the_count_of_keys_is_that_of_a_complete_message(contract: Any) -> None:
    frame = contract.doubled(SNAPSHOT.replace(b',"cts":1759999999997', b""), b"ts")
    assert contract.refusal(session(), frame) == Refusal.DUPLICATE_KEY
    frame = contract.doubled(trades(deal(seq=1)).replace(b',"seq":1', b""), b"p")
    assert contract.refusal(session(), frame) == Refusal.DUPLICATE_KEY


def test_no_key_said_twice_hides_behind_one_left_out(contract: Any) -> None:
    for good in (SNAPSHOT, trades(deal(seq=1, RPI=False)), trades(deal(), deal(L="PlusTick"))):
        for frame in contract.traded(good):
            with pytest.raises(VenueError):
                session().receive(frame, AT)


def test_the_mimic_answers_only_what_was_asked() -> None:
    mimic = bybit.Mimic(FEEDS)
    live = session()
    for send in (*live.open(), *live.idle(AT)):
        for answer in mimic.hear(send.data, AT):
            assert json.loads(answer)["success"] is True
            assert live.receive(answer.encode(), AT) == []
    assert mimic.greet("/v5/public/spot", AT) == mimic.heartbeat(AT) == []
    for wrong in ("no json", '{"op":"dance"}', '{"op":"subscribe","args":["orderbook.1.XRPUSDT"]}'):
        (answer,) = mimic.hear(wrong, AT)
        with pytest.raises(VenueError, match="VENUE_ERROR"):
            live.receive(answer.encode(), AT)


def test_the_session_for_an_address() -> None:
    assert bybit.session_for("wss://stream.bybit.com/v5/public/linear", FEEDS).market == "linear"
    assert bybit.session_for("", FEEDS, "spot").market == "spot"
    assert isinstance(bybit.session_for("wss://stream.bybit.com/realtime_public", FEEDS), bybit.Retired)
