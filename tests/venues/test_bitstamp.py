"""Bitstamp's channels: payloads, refusals, books from REST and diffs, and the recordings of those."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from oracle.collectors.tape import Direction, Frame, read
from oracle.core.types import BookTop, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, bitstamp

NOW = 1_760_000_000_000_000_000
AT_US = NOW // 1_000 + 117_161
AT = AT_US * 1_000
RECV = AT + 20_000_000
FEEDS = (base.Feed(4, "btcusd"), base.Feed(5, "usdtusd"))
BIDS, ASKS = [["100.00", "1.5"], ["99.00", "2"]], [["100.01", "0.25"], ["101", "4"]]


def text(**fields: Any) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def book(bids: Any = BIDS, asks: Any = ASKS, channel: str = "order_book_btcusd", at_us: int = AT_US) -> bytes:
    said = {"timestamp": str(at_us // 1_000_000), "microtimestamp": str(at_us), "bids": bids, "asks": asks}
    return text(data=said, channel=channel, event="data")


def trade(channel: str = "live_trades_btcusd", **other: Any) -> bytes:
    made = {
        "id": 1201,
        "timestamp": str(AT_US // 1_000_000),
        "amount": 0.5,
        "amount_str": "0.50000000",
        "price": 2500.25,
        "price_str": "2500.25",
        "type": 0,
        "microtimestamp": str(AT_US),
        "buy_order_id": 31,
        "sell_order_id": 32,
    }
    return text(data=made | other, channel=channel, event="trade")


def event(name: str, channel: str = "", data: Any = None) -> bytes:
    return text(event=name, channel=channel, data={} if data is None else data)


def session() -> bitstamp.Session:
    return bitstamp.Session(FEEDS)


def refusal(live: base.Session, frame: bytes, recv_ns: int = RECV) -> Refusal:
    with pytest.raises(VenueError) as caught:
        live.receive(frame, recv_ns)
    return caught.value.reason


def test_it_dials_and_subscribes_to_each_channel() -> None:
    assert session().url() == "wss://ws.bitstamp.net"
    assert [json.loads(send.data) for send in session().open()] == [
        {"event": "bts:subscribe", "data": {"channel": channel}}
        for channel in ("order_book_btcusd", "order_book_usdtusd", "live_trades_btcusd", "live_trades_usdtusd")
    ]
    assert [json.loads(send.data)["event"] for send in session().idle(NOW)] == ["bts:heartbeat"]
    assert bitstamp.Session.lifetime_ms == 90 * 24 * 3_600 * 1_000


def test_a_snapshot_is_the_top_of_its_first_levels() -> None:
    assert session().receive(book(), RECV) == [BookTop(4, 100.0, 1.5, 100.01, 0.25, AT, RECV)]
    other = book(channel="order_book_usdtusd")
    assert session().receive(other, RECV) == [BookTop(5, 100.0, 1.5, 100.01, 0.25, AT, RECV)]


def test_an_empty_side_is_zeros_and_a_crossed_book_is_said_as_it_is() -> None:
    assert session().receive(book(bids=[]), RECV) == [BookTop(4, 0.0, 0.0, 100.01, 0.25, AT, RECV)]
    spaced = book(asks=[]).replace(b'"asks":[]', b'"asks": [ ]')
    assert session().receive(spaced, RECV) == [BookTop(4, 100.0, 1.5, 0.0, 0.0, AT, RECV)]
    assert session().receive(book(bids=[["102", "1"]]), RECV) == [BookTop(4, 102.0, 1.0, 100.01, 0.25, AT, RECV)]


@pytest.mark.parametrize(("kind", "taker"), [(0, Side.BUY), (1, Side.SELL)])
def test_a_trade_names_its_taker(kind: int, taker: Side) -> None:
    assert session().receive(trade(type=kind), RECV) == [Trade(4, 2500.25, 0.5, taker, AT, RECV)]


def test_the_order_of_keys_does_not_matter() -> None:
    swapped = text(**dict(sorted(json.loads(book()).items(), reverse=True)))
    assert session().receive(swapped, RECV) == session().receive(book(), RECV)
    swapped = text(**dict(sorted(json.loads(trade()).items(), reverse=True)))
    assert session().receive(swapped, RECV) == session().receive(trade(), RECV)


@pytest.mark.parametrize(
    "frame",
    [
        event("bts:subscription_succeeded", "order_book_btcusd"),
        event("bts:unsubscription_succeeded", "order_book_btcusd"),
        event("bts:heartbeat", "", {"status": "success"}),
    ],
)
def test_acknowledgements_and_heartbeats_are_no_observations(frame: bytes) -> None:
    assert session().receive(frame, RECV) == []


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (event("bts:error", "", {"code": 4009, "message": "Connection is unauthorized."}), Refusal.VENUE_ERROR),
        (event("bts:request_reconnect"), Refusal.VENUE_ERROR),
        (event("order_created", "live_orders_btcusd"), Refusal.UNKNOWN_MESSAGE),
        (book(channel="detail_order_book_btcusd"), Refusal.UNKNOWN_MESSAGE),
        (book(channel="diff_order_book_btcusd"), Refusal.UNKNOWN_MESSAGE),
        (book(channel="order_book_dogeusd"), Refusal.UNKNOWN_SYMBOL),
        (trade(channel="live_trades_dogeusd"), Refusal.UNKNOWN_SYMBOL),
        (book(bids=[["-1", "1"]]), Refusal.NOT_POSITIVE),
        (book(bids=[["1", "-1"]]), Refusal.NOT_POSITIVE),
        (book(bids=[["1"]]), Refusal.WRONG_SHAPE),
        (book(bids=[5]), Refusal.WRONG_SHAPE),
        (book(bids=[["1]", "1"]]), Refusal.WRONG_SHAPE),
        (book(bids={}), Refusal.WRONG_SHAPE),
        (book(bids="[]"), Refusal.WRONG_SHAPE),
        (book(bids=[["1", "1"], [float("nan"), "1"]]), Refusal.NOT_JSON),
        (book().replace(b'"timestamp"', b'"bids":[],"x"'), Refusal.DUPLICATE_KEY),
        (book().replace(b'"channel"', b'"event":"data","channel"'), Refusal.DUPLICATE_KEY),
        (book(at_us=AT_US // 1_000), Refusal.TIME_UNIT),
        (book(at_us=AT), Refusal.TIME_UNIT),
        (trade(microtimestamp=str(AT)), Refusal.TIME_UNIT),
        (trade(price_str="0"), Refusal.NOT_POSITIVE),
        (trade(amount_str="-1"), Refusal.NOT_POSITIVE),
        (trade(price_str="nan"), Refusal.NOT_A_NUMBER),
        (trade(type=2), Refusal.WRONG_SHAPE),
        (trade().replace(b'"id":', b'"price_str":"1","id":'), Refusal.DUPLICATE_KEY),
        (book().replace(b"btcusd", b"btc\x00usd"), Refusal.NOT_JSON),
        (book().replace(b"btcusd", b"\xed\xa0\x80"), Refusal.NOT_UTF8),
        (b"[]", Refusal.WRONG_SHAPE),
        (b"", Refusal.NOT_JSON),
    ],
)
def test_bad_input_is_refused_for_a_named_reason(frame: bytes, reason: Refusal) -> None:
    assert refusal(session(), frame) is reason


def test_nothing_is_asked_over_rest_for_snapshots() -> None:
    with pytest.raises(VenueError):
        session().answer(base.Request("x", "btcusd"), b"{}", RECV)


def test_the_mimic_acknowledges_each_channel() -> None:
    mimic, live = bitstamp.Mimic(FEEDS), session()
    assert mimic.greet("/", NOW) == []
    assert mimic.heartbeat(NOW) == []
    for send in (*live.open(), *live.idle(NOW)):
        (frame,) = mimic.hear(send.data, NOW)
        assert json.loads(frame)["channel"] == json.loads(send.data)["data"].get("channel", "")
        assert live.receive(frame.encode(), RECV) == []


@pytest.mark.parametrize(
    "said",
    ["{", "[]", '{"event":"bts:subscribe","data":{"channel":"order_book_dogeusd"}}', '{"event":"hello","data":5}'],
)
def test_the_mimic_refuses_as_the_venue_does(said: str) -> None:
    (frame,) = bitstamp.Mimic(FEEDS).hear(said, NOW)
    assert refusal(session(), frame.encode()) is Refusal.VENUE_ERROR


def diffs() -> base.Session:
    named = [base.Feed(feed.source, f"diff_order_book_{feed.symbol}") for feed in FEEDS]
    live = bitstamp.session_for("wss://ws.bitstamp.net/", named)
    assert isinstance(live, bitstamp.DiffSession)
    return live


def diff(at_us: int, *, bids: Any = (), asks: Any = (), symbol: str = "btcusd") -> bytes:
    return book(list(bids), list(asks), f"diff_order_book_{symbol}", AT_US + at_us)


def whole(at_us: int, bids: Any = BIDS, asks: Any = ASKS) -> bytes:
    at = AT_US + at_us
    return text(timestamp=str(at // 1_000_000), microtimestamp=str(at), bids=bids, asks=asks)


def asked(live: base.Session, symbol: str = "btcusd") -> base.Request:
    (request,) = live.receive(event("bts:subscription_succeeded", f"diff_order_book_{symbol}"), RECV)
    assert isinstance(request, base.Request)
    return request


def test_the_feeds_tell_the_dialect() -> None:
    assert type(bitstamp.session_for("wss://ws.bitstamp.net/", FEEDS)) is bitstamp.Session
    live = diffs()
    assert json.loads(live.open()[0].data)["data"]["channel"] == "diff_order_book_btcusd"
    assert live.source_of("btcusd") == 4


def test_diffs_wait_for_the_book_and_the_older_ones_are_left_out() -> None:
    live = diffs()
    request = asked(live)
    assert request == base.Request("https://www.bitstamp.net/api/v2/order_book/btcusd", "btcusd")
    assert live.receive(event("bts:subscription_succeeded", "live_trades_btcusd"), RECV) == []
    assert live.receive(event("bts:unsubscription_succeeded", "diff_order_book_btcusd"), RECV) == []
    assert live.receive(diff(-2, bids=[["200", "1"]]), RECV) == []
    assert live.receive(diff(0, bids=[["300", "1"]]), RECV) == []
    assert live.receive(diff(3, asks=[["100.01", "0"]]), RECV) == []
    assert live.answer(request, whole(0), RECV) == [BookTop(4, 100.0, 1.5, 101.0, 4.0, AT + 3_000, RECV)]
    assert live.receive(diff(2, bids=[["400", "1"]]), RECV) == []
    assert live.receive(diff(4, bids=[["100.5", "1"]]), RECV) == [
        BookTop(4, 100.5, 1.0, 101.0, 4.0, AT + 4_000, RECV),
    ]
    emptied = diff(5, bids=[["100.5", "0"], ["100.00", "0"], ["99.00", "0"]], asks=[["101", "0"]])
    assert live.receive(emptied, RECV) == [BookTop(4, 0.0, 0.0, 0.0, 0.0, AT + 5_000, RECV)]
    assert live.receive(trade(), RECV) == [Trade(4, 2500.25, 0.5, Side.BUY, AT, RECV)]


def test_too_many_waiting_diffs_are_given_up_until_a_younger_book_comes() -> None:
    live = diffs()
    request = asked(live)
    for n in range(bitstamp.DIFFS_WAITING_MAX):
        assert live.receive(diff(n), RECV) == []
    last = bitstamp.DIFFS_WAITING_MAX + 1
    assert refusal(live, diff(last - 1)) is Refusal.NO_SNAPSHOT
    assert refusal(live, diff(last)) is Refusal.NO_SNAPSHOT
    with pytest.raises(VenueError) as caught:
        live.answer(request, whole(last - 1), RECV)
    assert caught.value.reason is Refusal.NO_SNAPSHOT
    assert live.answer(request, whole(last), RECV) == [
        BookTop(4, 100.0, 1.5, 100.01, 0.25, AT + last * 1_000, RECV),
    ]
    assert len(live.receive(diff(last + 1), RECV)) == 1


@pytest.mark.parametrize("bad", [b'{"data"}', diff(1, bids=[["-1", "1"]]), diff(1, bids=[["1", "-1"]])])
def test_a_refused_diff_leaves_no_book(bad: bytes) -> None:
    live = diffs()
    live.answer(asked(live), whole(0), RECV)
    assert refusal(live, bad) in (Refusal.NOT_JSON, Refusal.NOT_POSITIVE)
    assert refusal(live, diff(2)) is Refusal.NO_SNAPSHOT


def test_a_new_subscription_or_connection_starts_from_nothing() -> None:
    for again in ("subscription", "connection"):
        live = diffs()
        live.answer(asked(live), whole(0), RECV)
        if again == "subscription":
            asked(live)
        else:
            live.open()
        assert live.receive(diff(1, bids=[["500", "1"]]), RECV) == []


def test_diffs_of_other_markets_and_bad_answers_are_refused() -> None:
    live = diffs()
    request = asked(live)
    assert refusal(live, diff(1, symbol="dogeusd")) is Refusal.UNKNOWN_SYMBOL
    for body, reason in (
        (b"<html>", Refusal.NOT_JSON),
        (whole(0, bids=[["0", "1"]]), Refusal.NOT_POSITIVE),
        (whole(-AT_US + 1), Refusal.TIME_UNIT),
    ):
        with pytest.raises(VenueError) as caught:
            live.answer(request, body, RECV)
        assert caught.value.reason is reason
    with pytest.raises(VenueError) as caught:
        live.answer(base.Request("x", "dogeusd"), whole(0), RECV)
    assert caught.value.reason is Refusal.UNKNOWN_SYMBOL


def recording(path: Path) -> tuple[list[Frame], base.Session]:
    frames = list(read(path))
    sent = [json.loads(frame.data)["data"]["channel"] for frame in frames if frame.direction is Direction.SENT]
    channels = [channel for channel in sent if channel.startswith("diff_order_book_")]
    feeds = [base.Feed(n, channel) for n, channel in enumerate(channels)]
    return frames, bitstamp.session_for(frames[0].url, feeds)


def counted(live: base.Session, frames: list[Frame], books: dict[str, bytes]) -> Counter[str]:
    seen: Counter[str] = Counter()
    for frame in frames:
        if frame.direction is not Direction.RECEIVED:
            continue
        try:
            events = live.receive(frame.data, frame.recv_ns)
        except VenueError as error:
            seen[error.reason] += 1
            continue
        for said in list(events):
            if isinstance(said, base.Request) and said.url in books:
                events += live.answer(said, books[said.url], frame.recv_ns)
        tops = [said for said in events if isinstance(said, BookTop)]
        seen["crossed"] += sum(top.bid >= top.ask > 0.0 for top in tops)
        seen.update(type(said).__name__ for said in events)
    return +seen


@pytest.mark.data
def test_the_recorded_diffs_follow_the_recorded_books(data: Path) -> None:
    frames, live = recording(data / "frames" / "bitstamp.ws.1.0.txt.gz")
    answers = read(data / "frames" / "bitstamp.http.0.0.txt.gz")
    seen = counted(live, frames, {frame.url: frame.data for frame in answers})
    assert set(seen) == {"BookTop", "Trade", "Request"}
    assert seen["Trade"] == seen["Request"] == 10
    assert seen["BookTop"] > 500


@pytest.mark.data
def test_recorded_diffs_without_a_book_are_refused_once_they_waited_too_long(data: Path) -> None:
    frames, live = recording(data / "frames" / "2021-04-17__bitstamp.ws.19.0.txt.gz")
    seen = counted(live, frames, {})
    assert set(seen) == {"Trade", "Request", Refusal.NO_SNAPSHOT}
    assert seen["Trade"] == 16


@pytest.mark.data
def test_every_payload_decodes_or_is_refused_for_a_named_reason(data: Path) -> None:
    seen: Counter[str] = Counter()
    for frame in read(data / "payloads" / "bitstamp.jsonl"):
        feeds = [base.Feed(1, "btceur"), base.Feed(2, "btcusd"), base.Feed(3, "bchusd")]
        try:
            seen.update([type(said).__name__ for said in bitstamp.Session(feeds).receive(frame.data, 0)] or ["nothing"])
        except VenueError as error:
            seen[error.reason] += 1
    assert seen == {"Trade": 2, "nothing": 1, Refusal.UNKNOWN_MESSAGE: 4}
