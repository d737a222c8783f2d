"""Kraken v2: what the documentation shows, what must be refused, and what was recorded."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from oracle.collectors import tape
from oracle.core.types import BookTop, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, kraken, kraken_v1

FEEDS = (base.Feed(3, "BTC/USD"), base.Feed(4, "USDT/USD"))
NOW_NS = 1_790_000_000_123_456_000  # 2026-09-21T14:13:20.123456Z
AT = "2026-09-21T14:13:20.100000Z"
AT_NS = 1_790_000_000_100_000_000
STATISTICS = {
    "last": 61234.5, "volume": 812.25, "vwap": 61300.1, "low": 60500.0, "high": 62100.0,
    "change": -120.5, "change_pct": -0.2, "trades": 9123,
}  # fmt: skip
TICKER = {"symbol": "BTC/USD", "bid": 61234.4, "bid_qty": 1.5, "ask": 61234.5, "ask_qty": 0.25}
TRADE = {"symbol": "BTC/USD", "side": "sell", "price": 61234.4, "qty": 0.01, "ord_type": "limit", "trade_id": 77}


def message(channel: str, *data: dict[str, object], kind: str = "update") -> bytes:
    return json.dumps({"channel": channel, "type": kind, "data": data}, separators=(",", ":")).encode()


def ticker(**changed: object) -> bytes:
    return message("ticker", TICKER | STATISTICS | {"timestamp": AT} | changed)


def trade(**changed: object) -> bytes:
    return message("trade", TRADE | {"timestamp": AT} | changed)


def refusal(data: bytes, recv_ns: int = NOW_NS) -> Refusal:
    with pytest.raises(VenueError) as caught:
        kraken.Session(FEEDS).receive(data, recv_ns)
    return caught.value.reason


def test_opens_with_the_ticker_of_every_change_and_live_trades() -> None:
    session = kraken.Session(FEEDS)
    assert session.url() == "wss://ws.kraken.com/v2"
    asked = [json.loads(send.data) for send in session.open()]
    assert [a["params"]["channel"] for a in asked] == ["ticker", "trade"]
    assert asked[0]["params"]["event_trigger"] == "bbo"
    assert asked[1]["params"]["snapshot"] is False
    assert all(a["params"]["symbol"] == ["BTC/USD", "USDT/USD"] for a in asked)
    assert json.loads(session.idle(NOW_NS)[0].data) == {"method": "ping"}


@pytest.mark.parametrize("kind", ["snapshot", "update"])
def test_a_ticker_is_a_top(kind: str) -> None:
    data = message("ticker", TICKER | STATISTICS | {"timestamp": AT}, kind=kind)
    assert kraken.Session(FEEDS).receive(data, NOW_NS) == [
        BookTop(3, 61234.4, 1.5, 61234.5, 0.25, AT_NS, NOW_NS),
    ]


@pytest.mark.parametrize(
    ("data", "venue_ns"),
    [
        (message("ticker", TICKER | {"timestamp": AT}), AT_NS),
        (message("ticker", TICKER), 0),
        (message("ticker", TICKER | STATISTICS), 0),
        (ticker(volume_usd=3.5), AT_NS),
        (ticker(vwap=None), AT_NS),
        (ticker(timestamp="1970-01-01T00:00:00.000000Z"), 0),
        (ticker().replace(b'"channel":"ticker","type":"update"', b'"type":"update","channel":"ticker"'), AT_NS),
        (ticker().replace(b",", b" , "), AT_NS),
    ],
)
def test_older_newer_and_reordered_tickers_say_the_same(data: bytes, venue_ns: int) -> None:
    expected = BookTop(3, 61234.4, 1.5, 61234.5, 0.25, venue_ns, NOW_NS)
    assert kraken.Session(FEEDS).receive(data, NOW_NS) == [expected]


def test_an_empty_side_is_zero_and_a_crossed_book_stays_crossed() -> None:
    session = kraken.Session(FEEDS)
    assert session.receive(ticker(bid=0, bid_qty=0), NOW_NS) == [
        BookTop(3, 0.0, 0.0, 61234.5, 0.25, AT_NS, NOW_NS),
    ]
    assert session.receive(ticker(bid=61234.6), NOW_NS) == [BookTop(3, 61234.6, 1.5, 61234.5, 0.25, AT_NS, NOW_NS)]


def test_live_trades_count_and_past_ones_do_not() -> None:
    session = kraken.Session(FEEDS)
    expected = Trade(3, 61234.4, 0.01, Side.SELL, AT_NS, NOW_NS)
    assert session.receive(trade(), NOW_NS) == [expected]
    late = trade().replace(b'"channel":"trade","type":"update"', b'"type":"update","channel":"trade"')
    assert session.receive(late, NOW_NS) == [expected]
    old = {k: v for k, v in TRADE.items() if k != "ord_type"} | {"timestamp": AT}
    assert session.receive(message("trade", old, old | {"side": "buy"}), NOW_NS) == [
        expected,
        Trade(3, 61234.4, 0.01, Side.BUY, AT_NS, NOW_NS),
    ]
    assert session.receive(message("trade", TRADE | {"timestamp": AT}, kind="snapshot"), NOW_NS) == []


@pytest.mark.parametrize(
    "data",
    [
        b'{"channel":"heartbeat"}',
        b'{ "channel": "heartbeat" }',
        b'{"method":"pong","req_id":3,"time_in":"2026-09-21T14:13:20.1Z","time_out":"2026-09-21T14:13:20.1Z"}',
        b'{"method":"subscribe","result":{"channel":"ticker","symbol":"ETH/USD"},"success":true}',
        b'{"channel":"status","type":"update","data":[{"system":"online","api_version":"v2"}]}',
    ],
)
def test_what_says_no_price_is_no_observation(data: bytes) -> None:
    assert kraken.Session(FEEDS).receive(data, NOW_NS) == []


@pytest.mark.parametrize("state", ["maintenance", "cancel_only", "post_only"])
def test_a_system_that_matches_no_orders_is_an_error_of_the_venue(state: str) -> None:
    assert refusal(message("status", {"system": state, "version": "2.0.10"})) is Refusal.VENUE_ERROR


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"error":"Currency pair not supported","method":"subscribe","success":false}', Refusal.VENUE_ERROR),
        (b'{"method":"subscribe","success":false}', Refusal.VENUE_ERROR),
        (b'{"Error":"Exceeded msg rate"}', Refusal.VENUE_ERROR),
        (message("book", TICKER), Refusal.UNKNOWN_MESSAGE),
        (b'{"method":"add_order","success":true}', Refusal.UNKNOWN_MESSAGE),
        (b"{}", Refusal.UNKNOWN_MESSAGE),
        (message("status", {"version": "2.0.10"}), Refusal.WRONG_SHAPE),
        (b"[]", Refusal.WRONG_SHAPE),
        (b"", Refusal.NOT_JSON),
        (b"\xff", Refusal.NOT_UTF8),
        (ticker(symbol="ETH/USD"), Refusal.UNKNOWN_SYMBOL),
        (trade(symbol="ETH/USD"), Refusal.UNKNOWN_SYMBOL),
        (ticker(bid=-1), Refusal.NOT_POSITIVE),
        (ticker(ask_qty=-1), Refusal.NOT_POSITIVE),
        (trade(price=0), Refusal.NOT_POSITIVE),
        (trade(qty=0), Refusal.NOT_POSITIVE),
        (trade(side="b"), Refusal.WRONG_SHAPE),
        (trade(qty=None), Refusal.WRONG_SHAPE),
        (ticker(bid=None), Refusal.WRONG_SHAPE),
        (ticker(bid=True), Refusal.WRONG_SHAPE),
        (ticker().replace(b'"bid":', b'"bid":1.0,"bid":'), Refusal.DUPLICATE_KEY),
        (ticker().replace(b'"vwap":61300.1', b'"bid":1.0'), Refusal.DUPLICATE_KEY),
        (trade().replace(b'"ord_type":"limit"', b'"price":1.0'), Refusal.DUPLICATE_KEY),
        (ticker(timestamp=1_790_000_000_100), Refusal.WRONG_SHAPE),
        (ticker(timestamp="1790000000.100"), Refusal.TIME_UNIT),
        (ticker(timestamp="2026-09-19T14:13:20.1Z"), Refusal.TIME_UNIT),
        (trade(timestamp="1970-01-01T00:00:00Z"), Refusal.TIME_UNIT),
    ],
)
def test_refusals(data: bytes, reason: Refusal) -> None:
    assert refusal(data) is reason


def test_without_a_receive_time_no_event_time_is_doubted() -> None:
    [top] = kraken.Session(FEEDS).receive(ticker(timestamp="2026-09-19T14:13:20Z"), 0)
    assert isinstance(top, BookTop)
    assert (top.venue_ns, top.recv_ns) == (1_789_827_200_000_000_000, 0)


def test_the_address_chooses_the_dialect() -> None:
    assert type(kraken.session_for("wss://ws.kraken.com", FEEDS)) is kraken_v1.Session
    assert type(kraken.session_for("wss://ws.kraken.com/", FEEDS)) is kraken_v1.Session
    assert type(kraken.session_for("wss://ws.kraken.com/v2", FEEDS)) is kraken.Session
    assert type(kraken.session_for("", FEEDS)) is kraken.Session


def test_the_mimic_answers_what_the_session_asks() -> None:
    session, mimic = kraken.Session(FEEDS), kraken.Mimic(FEEDS)
    heard = mimic.greet("/v2", NOW_NS)
    for send in [*session.open(), *session.idle(NOW_NS)]:
        heard += mimic.hear(send.data, NOW_NS)
    heard += mimic.heartbeat(NOW_NS)
    assert [event for text in heard for event in session.receive(text.encode(), NOW_NS)] == []
    acknowledged = [json.loads(text).get("result", {}) for text in heard]
    assert [(r["channel"], r["symbol"]) for r in acknowledged if r] == [
        ("ticker", "BTC/USD"), ("ticker", "USDT/USD"), ("trade", "BTC/USD"), ("trade", "USDT/USD"),
    ]  # fmt: skip


def test_the_mimic_refuses_what_it_does_not_have() -> None:
    mimic = kraken.Mimic(FEEDS)
    asked = {"method": "subscribe", "params": {"channel": "ticker", "symbol": ["ETH/USD"]}}
    for request in (asked, {"method": "cancel_all"}):
        [answer] = mimic.hear(json.dumps(request), NOW_NS)
        assert refusal(answer.encode()) is Refusal.VENUE_ERROR


@pytest.mark.data
def test_the_recorded_messages(data: Path) -> None:
    seen: Counter[str] = Counter()
    feeds = (base.Feed(0, "BTC/USD"), base.Feed(1, "ANETx/USD"))
    for name in ("kraken.jsonl", "kraken_v2_ticker.jsonl"):
        for frame in tape.read(data / "payloads" / name):
            if frame.direction is not tape.Direction.RECEIVED or frame.data.startswith(b"["):
                continue
            try:
                events = kraken.Session(feeds).receive(frame.data, frame.recv_ns)
            except VenueError as refused:
                seen[refused.reason] += 1
            else:
                seen.update(type(event).__name__ for event in events)
    assert seen == {"BookTop": 4, "Trade": 1, Refusal.UNKNOWN_MESSAGE: 2}  # the two are of the book channel
