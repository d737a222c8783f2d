"""Coinbase Exchange's feed: its payloads, its books, what it refuses, and the recordings of its former address."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from oracle.collectors.tape import Direction, read
from oracle.core.types import BookTop, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, coinbase

NOW = 1_760_000_000_000_000_000
STAMP = "2025-10-09T08:53:20.123456Z"
STAMP_NS = NOW + 123_456_000
RECV = NOW + 150_000_000
FEEDS = (base.Feed(3, "BTC-USD"), base.Feed(7, "USDT-USD"))


def text(**fields: Any) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def snapshot(product: str = "BTC-USD", **more: Any) -> bytes:
    bids, asks = [["100.00", "1.5"], ["99.50", "2"]], [["100.01", "0.25"], ["101.00", "4"]]
    return text(type="snapshot", product_id=product, asks=asks, bids=bids, **more)


def update(*changes: list[str], product: str = "BTC-USD", time: str = STAMP) -> bytes:
    return text(type="l2update", product_id=product, changes=list(changes), time=time)


def match(kind: str = "match", **other: Any) -> bytes:
    fields: dict[str, Any] = {
        "type": kind,
        "trade_id": 10,
        "maker_order_id": "ac928c66-ca53-498f-9c13-a110027a60e8",
        "taker_order_id": "132fb6ae-456b-4654-b4e0-d681ac05cea1",
        "side": "sell",
        "size": "5.23512",
        "price": "400.23",
        "product_id": "BTC-USD",
        "sequence": 50,
        "time": STAMP,
    }
    return text(**(fields | other))


def ticker(**more: Any) -> bytes:
    fields = {"type": "ticker", "sequence": 37475248783, "product_id": "BTC-USD", "price": "1285.22"}
    return text(**(fields | {"best_bid": "1285.04", "best_ask": "1285.27", "time": STAMP} | more))


def session() -> coinbase.Session:
    return coinbase.Session(FEEDS)


def running() -> coinbase.Session:
    live = session()
    for feed in FEEDS:
        live.receive(snapshot(feed.symbol), RECV)
    return live


def refusal(live: base.Session, frame: bytes, recv_ns: int = RECV) -> Refusal:
    with pytest.raises(VenueError) as caught:
        live.receive(frame, recv_ns)
    return caught.value.reason


def test_it_dials_the_public_feed_and_subscribes_in_one_message() -> None:
    live = session()
    assert live.url() == "wss://ws-feed.exchange.coinbase.com"
    assert [json.loads(send.data) for send in live.open()] == [
        {
            "type": "subscribe",
            "product_ids": ["BTC-USD", "USDT-USD"],
            "channels": ["level2_batch", "matches", "heartbeat"],
        }
    ]
    assert live.idle(NOW) == []


def test_a_snapshot_states_the_top_and_its_time_if_it_has_one() -> None:
    assert session().receive(snapshot(), RECV) == [BookTop(3, 100.0, 1.5, 100.01, 0.25, 0, RECV)]
    assert session().receive(snapshot(time=STAMP), RECV) == [BookTop(3, 100.0, 1.5, 100.01, 0.25, STAMP_NS, RECV)]


def test_every_delta_states_the_top_even_an_unchanged_one() -> None:
    live = running()
    deep = update(["buy", "90.00", "7"])
    assert live.receive(deep, RECV) == [BookTop(3, 100.0, 1.5, 100.01, 0.25, STAMP_NS, RECV)]
    moved = update(["buy", "100.00", "0.00000000"], ["sell", "100.00", "3"])
    assert live.receive(moved, RECV) == [BookTop(3, 99.5, 2.0, 100.0, 3.0, STAMP_NS, RECV)]


def test_books_of_products_are_apart() -> None:
    live = running()
    live.receive(update(["buy", "100.00", "9"], product="USDT-USD"), RECV)
    assert live.receive(update(), RECV) == [BookTop(3, 100.0, 1.5, 100.01, 0.25, STAMP_NS, RECV)]


def test_a_crossed_book_is_said_as_it_is() -> None:
    assert running().receive(update(["buy", "100.50", "1"]), RECV) == [
        BookTop(3, 100.5, 1.0, 100.01, 0.25, STAMP_NS, RECV)
    ]


def test_an_empty_side_is_zeros() -> None:
    live = session()
    live.receive(text(type="snapshot", product_id="BTC-USD", bids=[], asks=[["101", "1"]]), RECV)
    assert live.receive(update(["sell", "101", "0"]), RECV) == [BookTop(3, 0.0, 0.0, 0.0, 0.0, STAMP_NS, RECV)]


def test_a_level_that_is_not_there_may_be_taken_away() -> None:
    assert running().receive(update(["buy", "1.00", "0"]), RECV) == [
        BookTop(3, 100.0, 1.5, 100.01, 0.25, STAMP_NS, RECV)
    ]


def test_a_snapshot_leaves_nothing_of_the_book_before() -> None:
    live = running()
    live.receive(update(["buy", "100.005", "1"]), RECV)
    assert live.receive(snapshot(), RECV) == [BookTop(3, 100.0, 1.5, 100.01, 0.25, 0, RECV)]


def test_the_zero_time_is_no_time() -> None:
    assert running().receive(update(time="0001-01-01T00:00:00.000000Z"), RECV) == [
        BookTop(3, 100.0, 1.5, 100.01, 0.25, 0, RECV)
    ]


@pytest.mark.parametrize(("maker", "taker"), [("sell", Side.BUY), ("buy", Side.SELL)])
def test_a_match_names_the_maker_and_the_trade_its_taker(maker: str, taker: Side) -> None:
    assert session().receive(match(side=maker), RECV) == [Trade(3, 400.23, 5.23512, taker, STAMP_NS, RECV)]


def test_a_ticker_with_sizes_is_a_top_and_one_without_is_none() -> None:
    sized = ticker(best_bid_size="0.46688654", best_ask_size="1.56637040", volume_24h="245532.79", trade_id=1)
    assert session().receive(sized, RECV) == [BookTop(3, 1285.04, 0.46688654, 1285.27, 1.5663704, STAMP_NS, RECV)]
    assert session().receive(ticker(), RECV) == []
    assert session().receive(text(**(json.loads(sized) | {"time": ""})), RECV) == [
        BookTop(3, 1285.04, 0.46688654, 1285.27, 1.5663704, 0, RECV)
    ]


@pytest.mark.parametrize(
    "frame",
    [
        match("last_match"),
        text(type="heartbeat", sequence=90, last_trade_id=20, product_id="BTC-USD", time=STAMP),
        text(type="subscriptions", channels=[{"name": "level2_50", "product_ids": ["BTC-USD"], "account_ids": None}]),
        text(type="subscriptions", channels=[{"name": "level2_50", "product_ids": ["DOGE-USD"]}]),
    ],
)
def test_history_heartbeats_and_acknowledgements_are_no_observations(frame: bytes) -> None:
    assert running().receive(frame, RECV) == []


def test_a_delta_without_a_book_is_refused() -> None:
    assert refusal(session(), update()) is Refusal.NO_SNAPSHOT


def test_a_new_connection_starts_from_empty_books() -> None:
    live = running()
    live.open()
    assert refusal(live, update()) is Refusal.NO_SNAPSHOT


def test_an_unreadable_frame_may_have_been_any_delta_so_no_book_is_believed() -> None:
    live = running()
    assert refusal(live, b"{") is Refusal.NOT_JSON
    assert refusal(live, update()) is Refusal.NO_SNAPSHOT
    assert refusal(live, update(product="USDT-USD")) is Refusal.NO_SNAPSHOT
    live.receive(snapshot(), RECV)
    assert len(live.receive(update(), RECV)) == 1


def test_a_refused_delta_or_snapshot_leaves_no_book_of_that_product() -> None:
    live = running()
    assert refusal(live, update(["buy", "100.20", "1"], ["buy", "-1", "1"])) is Refusal.NOT_POSITIVE
    assert refusal(live, update()) is Refusal.NO_SNAPSHOT
    assert len(live.receive(update(product="USDT-USD"), RECV)) == 1
    assert refusal(live, snapshot("USDT-USD", time="yesterday")) is Refusal.TIME_UNIT
    assert refusal(live, update(product="USDT-USD")) is Refusal.NO_SNAPSHOT


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (text(type="error", message="Failed to subscribe", reason="x is not a valid product"), Refusal.VENUE_ERROR),
        (text(type="received", product_id="BTC-USD"), Refusal.UNKNOWN_MESSAGE),
        (text(channel="ticker", timestamp=STAMP, sequence_num=0, events=[]), Refusal.UNKNOWN_MESSAGE),
        (update(product="DOGE-USD"), Refusal.UNKNOWN_SYMBOL),
        (snapshot("DOGE-USD"), Refusal.UNKNOWN_SYMBOL),
        (match(product_id="DOGE-USD"), Refusal.UNKNOWN_SYMBOL),
        (
            text(type="heartbeat", sequence=1, last_trade_id=2, product_id="DOGE-USD", time=STAMP),
            Refusal.UNKNOWN_SYMBOL,
        ),
    ],
)
def test_what_leaves_the_books_alone(frame: bytes, reason: Refusal) -> None:
    live = running()
    assert refusal(live, frame) is reason
    assert len(live.receive(update(), RECV)) == 1


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (match(price="0"), Refusal.NOT_POSITIVE),
        (match(price="-1"), Refusal.NOT_POSITIVE),
        (match(size="0.00000000"), Refusal.NOT_POSITIVE),
        (match(price=None), Refusal.WRONG_SHAPE),
        (match(side="block"), Refusal.WRONG_SHAPE),
        (match(time="2025-10-09 08:53:20"), Refusal.TIME_UNIT),
        (match(time="1760000000123"), Refusal.TIME_UNIT),
        (match(time="1970-01-01T00:00:01Z"), Refusal.TIME_UNIT),
        (match().replace(b'"sequence":50', b'"sequence":50,"price":"1"'), Refusal.DUPLICATE_KEY),
        (match().replace(b'"sequence":50', b'"pri\\u0063e":"1"'), Refusal.DUPLICATE_KEY),
        (match().replace(b"BTC-USD", b"BTC\x00USD"), Refusal.NOT_JSON),
        (match().replace(b"BTC-USD", b"\xed\xa0\x80"), Refusal.NOT_UTF8),
        (match().replace(b"BTC-USD", b"\xff"), Refusal.NOT_UTF8),
        (b" " * (coinbase.SNAPSHOT_BYTES_MAX + 1), Refusal.TOO_LARGE),
        (text(type="snapshot", product_id="BTC-USD", bids=[["1", "0"]], asks=[]), Refusal.NOT_POSITIVE),
        (text(type=["l2update"]), Refusal.WRONG_SHAPE),
        (text(type="heartbeat"), Refusal.WRONG_SHAPE),
        (ticker(best_bid="-1"), Refusal.NOT_POSITIVE),
        (ticker(price="0"), Refusal.NOT_POSITIVE),
        (b"[]", Refusal.WRONG_SHAPE),
        (b"", Refusal.NOT_JSON),
    ],
)
def test_bad_input_is_refused_for_a_named_reason(frame: bytes, reason: Refusal) -> None:
    assert refusal(session(), frame) is reason


def test_the_mimic_acknowledges_what_was_asked_and_nothing_else() -> None:
    mimic = coinbase.Mimic(FEEDS)
    assert mimic.greet("/", NOW) == []
    (frame,) = mimic.hear(session().open()[0].data, NOW)
    heard = json.loads(frame)
    assert [channel["name"] for channel in heard["channels"]] == ["level2_batch", "matches", "heartbeat"]
    assert heard["channels"][0]["product_ids"] == ["BTC-USD", "USDT-USD"]
    assert session().receive(frame.encode(), RECV) == []
    own = {"type": "subscribe", "channels": [{"name": "heartbeat", "product_ids": ["BTC-USD"]}]}
    assert json.loads(mimic.hear(json.dumps(own), NOW)[0])["channels"] == own["channels"]


@pytest.mark.parametrize(
    "said", ["{", "[]", '{"type":"hello"}', '{"type":"subscribe","product_ids":["X-USD"],"channels":["matches"]}']
)
def test_the_mimic_refuses_as_the_venue_does(said: str) -> None:
    (frame,) = coinbase.Mimic(FEEDS).hear(said, NOW)
    assert refusal(session(), frame.encode()) is Refusal.VENUE_ERROR


def test_the_mimic_begins_with_a_snapshot_and_so_does_a_new_subscription() -> None:
    mimic, top = coinbase.Mimic(FEEDS), BookTop(3, 100.0, 1.0, 101.0, 1.0, STAMP_NS, RECV)

    def kind() -> str:
        return str(json.loads(mimic.speak(top)[0])["type"])

    assert [kind(), kind()] == ["snapshot", "l2update"]
    mimic.hear(session().open()[0].data, NOW)
    assert kind() == "snapshot"


def test_the_mimic_can_leave_the_time_out() -> None:
    live, mimic = session(), coinbase.Mimic(FEEDS)
    for _ in range(2):
        top = BookTop(3, 100.0, 1.0, 101.0, 1.0, 0, RECV)
        assert live.receive(mimic.speak(top)[0].encode(), RECV) == [top]


def test_heartbeats_are_understood_and_prove_nothing() -> None:
    frames = coinbase.Mimic(FEEDS).heartbeat(NOW)
    assert [json.loads(frame)["product_id"] for frame in frames] == ["BTC-USD", "USDT-USD"]
    assert [session().receive(frame.encode(), RECV) for frame in frames] == [[], []]


@pytest.mark.data
def test_every_recorded_frame_of_the_former_address_decodes(data: Path) -> None:
    frames = list(read(data / "frames" / "coinbase.ws.28.0.txt.gz"))
    sent = [json.loads(frame.data) for frame in frames if frame.direction is Direction.SENT]
    products = sorted({product for message in sent for product in message["product_ids"]})
    live = coinbase.session_for(frames[0].url, [base.Feed(n, product) for n, product in enumerate(products)])
    seen: Counter[str] = Counter()
    for frame in frames:
        if frame.direction is Direction.RECEIVED:
            events = live.receive(frame.data, frame.recv_ns)
            seen.update(type(event).__name__ for event in events)
            assert not any(isinstance(event, BookTop) and event.bid >= event.ask for event in events)
    assert seen["BookTop"] > 9_000
    assert seen["Trade"] == 97


@pytest.mark.data
@pytest.mark.parametrize("name", ["coinbase", "coinbase_advanced_trades_ticker"])
def test_every_payload_decodes_or_is_refused_for_a_named_reason(data: Path, name: str) -> None:
    products = ["BTC-USD", "BTC-EUR", "ETC-GBP", "ETH-USD", "BAT-USDC"]
    live = coinbase.Session([base.Feed(n, product) for n, product in enumerate(products)])
    seen: Counter[str] = Counter()
    for frame in read(data / "payloads" / f"{name}.jsonl"):
        if frame.direction is Direction.RECEIVED:
            try:
                seen.update([type(event).__name__ for event in live.receive(frame.data, 0)] or ["nothing"])
            except VenueError as error:
                seen[error.reason] += 1
    if name == "coinbase":
        # Deltas stand alone there, and two of the three tickers are from before sizes were stated.
        assert seen == {"Trade": 1, "BookTop": 2, "nothing": 2, Refusal.NO_SNAPSHOT: 3}
    else:
        assert set(seen) == {Refusal.UNKNOWN_MESSAGE}


def test_a_missing_match_says_that_frames_were_lost() -> None:
    live = running()
    live.receive(match("last_match", trade_id=9), RECV)
    assert len(live.receive(match("match", trade_id=10), RECV)) == 1
    assert refusal(live, match("match", trade_id=12)) is Refusal.SEQUENCE_GAP
    assert refusal(live, update(["buy", "100.00", "1"])) is Refusal.NO_SNAPSHOT
    assert len(live.receive(match("match", trade_id=13), RECV)) == 1, "the count goes on from here"
