"""Kraken's derivatives: payloads as the documentation writes them, what is refused, and the recordings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oracle.core.types import BookTop, Side, Ticker, TickerKind, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, kraken_futures

AT_MS = 1_760_000_000_000
AT = AT_MS * 1_000_000
NAME = "PF_XBTUSD"
FEEDS = (base.Feed(2, NAME), base.Feed(7, "PI_ETHUSD"))
DELTA = {
    "feed": "book", "product_id": NAME, "side": "buy", "seq": 11, "price": 60000.5, "qty": 1.5, "timestamp": AT_MS,
}  # fmt: skip
DEAL = {
    "feed": "trade", "product_id": NAME, "uid": "05af78ac", "side": "sell", "type": "fill", "seq": 653355,
    "time": AT_MS, "qty": 1.5, "price": 60000.5,
}  # fmt: skip
TICKER = {
    "time": AT_MS, "product_id": NAME, "feed": "ticker", "bid": 60000, "ask": 60001, "bid_size": 1, "index": 60002.5,
    "markPrice": 60000.5, "funding_rate": 1.2, "relative_funding_rate": -0.00002, "suspended": False,
}  # fmt: skip


def dump(**fields: Any) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def delta(**other: Any) -> bytes:
    return dump(**DELTA | other)


def trade(**other: Any) -> bytes:
    return dump(**DEAL | other)


def ticker(**other: Any) -> bytes:
    return dump(**TICKER | other)


def snapshot(**other: Any) -> bytes:
    bids = [{"price": 60000, "qty": 2}, {"price": 59999, "qty": 0}]
    said = {"timestamp": AT_MS, "seq": 10, "tickSize": None, "bids": bids, "asks": [{"price": 60001, "qty": 3}]}
    return dump(**{"feed": "book_snapshot", "product_id": NAME} | said | other)


def session() -> kraken_futures.Session:
    return kraken_futures.Session(FEEDS)


def keeping() -> kraken_futures.Session:
    live = session()
    assert live.receive(snapshot(), AT) == [top(60000.0, 2.0, 60001.0, 3.0)]
    return live


def top(bid: float, bid_size: float, ask: float, ask_size: float) -> BookTop:
    return BookTop(2, bid, bid_size, ask, ask_size, AT, AT)


def test_it_asks_for_the_book_the_trades_and_the_ticker() -> None:
    assert session().url() == "wss://futures.kraken.com/ws/v1"
    asked = [json.loads(send.data) for send in session().open()]
    assert [a["feed"] for a in asked] == ["book", "trade", "ticker", "heartbeat"]
    assert all(a["event"] == "subscribe" for a in asked)
    assert all(a["product_ids"] == [NAME, "PI_ETHUSD"] for a in asked[:3])
    assert session().idle(AT) == [session().open()[-1]]
    assert session().ping_ms < 60_000


def test_the_book_is_kept_and_its_top_stated_at_every_change() -> None:
    live = keeping()
    assert live.receive(delta(), AT) == [top(60000.5, 1.5, 60001.0, 3.0)]
    assert live.receive(delta(seq=12, price=59000), AT) == [top(60000.5, 1.5, 60001.0, 3.0)]
    assert live.receive(delta(seq=13, qty=0), AT) == [top(60000.0, 2.0, 60001.0, 3.0)]
    assert live.receive(delta(seq=14, side="sell", price=60001, qty=0), AT) == [top(60000.0, 2.0, 0.0, 0.0)]
    assert live.receive(delta(seq=15, side="sell", price=59999.5), AT) == [top(60000.0, 2.0, 59999.5, 1.5)]
    assert live.receive(snapshot(seq=3, bids=[], asks=[]), AT) == [top(0.0, 0.0, 0.0, 0.0)]
    reordered = dump(**dict(reversed((DELTA | {"seq": 4}).items())))
    assert live.receive(reordered, AT) == [top(60000.5, 1.5, 0.0, 0.0)]


def test_a_gap_ends_the_book_until_a_snapshot(contract: Any) -> None:
    live = keeping()
    assert contract.refusal(live, delta(seq=12)) == Refusal.SEQUENCE_GAP
    assert contract.refusal(live, delta(seq=13)) == Refusal.NO_SNAPSHOT
    assert contract.refusal(live, snapshot(bids=[{"price": 0, "qty": 1}])) == Refusal.NOT_POSITIVE
    assert contract.refusal(live, delta()) == Refusal.NO_SNAPSHOT
    assert live.receive(snapshot(), AT) == [top(60000.0, 2.0, 60001.0, 3.0)]
    assert contract.refusal(live, delta(price=-1)) == Refusal.NOT_POSITIVE
    assert contract.refusal(live, delta(seq=12)) == Refusal.SEQUENCE_GAP  # what was refused is missed
    assert contract.refusal(session(), delta()) == Refusal.NO_SNAPSHOT


def test_live_trades_count_but_not_past_ones_nor_blocks() -> None:
    expected = Trade(2, 60000.5, 1.5, Side.SELL, AT, AT)
    assert session().receive(trade(), AT) == [expected]
    assert session().receive(trade(type="liquidation"), AT) == [expected]
    assert session().receive(trade(type="block"), AT) == []
    old = dump(**{k: v for k, v in reversed(DEAL.items()) if k != "uid"})
    assert session().receive(old, AT) == [expected]
    assert session().receive(dump(feed="trade_snapshot", product_id=NAME, trades=[DEAL]), AT) == []


def test_a_ticker_is_mark_index_and_funding() -> None:
    assert session().receive(ticker(), AT) == [
        Ticker(2, TickerKind.MARK, 60000.5, AT, AT),
        Ticker(2, TickerKind.INDEX, 60002.5, AT, AT),
        Ticker(2, TickerKind.FUNDING, -0.00002, AT, AT),
    ]
    assert session().receive(ticker(markPrice=None, index=None, relative_funding_rate=None), AT) == []


def test_what_is_no_fact_is_nothing() -> None:
    for benign in (
        dump(event="info", version=1),
        dump(event="subscribed", feed="ticker", product_ids=["PI_BCHUSD"]),
        dump(feed="heartbeat", time=1534262350627),
    ):
        assert session().receive(benign, AT) == []


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (dump(event="error", message="Invalid product id"), Refusal.VENUE_ERROR),
        (dump(event="alert", message="Bad websocket message"), Refusal.VENUE_ERROR),
        (dump(event="subscribed_failed", feed="book"), Refusal.VENUE_ERROR),
        (dump(event="challenge", message="226aee50"), Refusal.UNKNOWN_MESSAGE),
        (dump(event=["info"]), Refusal.UNKNOWN_MESSAGE),
        (dump(feed="ticker_lite", product_id=NAME), Refusal.UNKNOWN_MESSAGE),
        (b"{}", Refusal.UNKNOWN_MESSAGE),
        (b"[]", Refusal.WRONG_SHAPE),
        (b"", Refusal.NOT_JSON),
        (delta(product_id="PF_XRPUSD"), Refusal.UNKNOWN_SYMBOL),
        (snapshot(product_id="PF_XRPUSD"), Refusal.UNKNOWN_SYMBOL),
        (ticker(product_id="PF_XRPUSD"), Refusal.UNKNOWN_SYMBOL),
        (delta(side="both"), Refusal.WRONG_SHAPE),
        (delta(qty=-1), Refusal.NOT_POSITIVE),
        (trade(qty=0), Refusal.NOT_POSITIVE),
        (ticker(markPrice=0), Refusal.NOT_POSITIVE),
        (ticker(relative_funding_rate=-1), Refusal.NOT_A_NUMBER),
        (ticker(time=AT_MS // 1000), Refusal.TIME_UNIT),
        (snapshot(timestamp=AT_MS * 1000), Refusal.TIME_UNIT),
    ],
)
def test_what_is_refused_by_name(contract: Any, frame: bytes, reason: Refusal) -> None:
    assert contract.refusal(keeping(), frame) == reason


def test_no_key_said_twice_hides_behind_one_left_out(contract: Any) -> None:
    without = dump(**{k: v for k, v in DEAL.items() if k != "uid"})
    for frame in (delta(), trade(), without, ticker()):
        assert contract.refusal(keeping(), contract.doubled(frame, b"product_id")) == Refusal.DUPLICATE_KEY
        for bad in contract.traded(frame):
            with pytest.raises(VenueError):
                keeping().receive(bad, AT)


def test_the_mimic_answers_only_what_was_asked() -> None:
    mimic, live = kraken_futures.Mimic(FEEDS), session()
    heard = mimic.greet("/ws/v1", AT)
    for send in live.open():
        heard += mimic.hear(send.data, AT)
    heard += mimic.heartbeat(AT)
    assert [event for answer in heard for event in live.receive(answer.encode(), AT)] == []
    assert [json.loads(a).get("product_ids") for a in heard[1:7]] == [[NAME], ["PI_ETHUSD"]] * 3
    for wrong in (
        '{"event":"subscribe","feed":"fills"}',
        '{"event":"subscribe","feed":"book","product_ids":["PF_XRPUSD"]}',
    ):
        (answer,) = mimic.hear(wrong, AT)
        with pytest.raises(VenueError, match="VENUE_ERROR"):
            live.receive(answer.encode(), AT)
