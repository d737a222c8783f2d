"""Crypto.com's dialect: payloads as the documentation writes them, what is refused, and captured payloads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oracle.core.types import BookTop, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, crypto_com

AT_MS = 1_760_000_000_000
AT = AT_MS * 1_000_000
FEEDS = [base.Feed(3, "BTC_USD"), base.Feed(5, "ETHUSD-PERP")]
Levels = list[list[str]]


def dump(said: dict[str, Any]) -> bytes:
    return json.dumps(said, separators=(",", ":")).encode()


def push(channel: str, rest: dict[str, Any], **other: Any) -> bytes:
    subscription = "trade.BTC_USD" if channel == "trade" else "book.BTC_USD.10"
    result = {"instrument_name": "BTC_USD", "subscription": subscription, "channel": channel, **rest}
    return dump({"id": -1, "method": "subscribe", "code": 0, "result": result, **other})


def snapshot(bids: Levels, asks: Levels, number: int, **other: Any) -> bytes:
    data = {"asks": asks, "bids": bids, "t": AT_MS, "tt": AT_MS - 4, "u": number, "cs": -457_275_660, **other}
    return push("book", {"depth": 10, "data": [data]})


def delta(bids: Levels, asks: Levels, number: int, previous: int, **other: Any) -> bytes:
    data = {"update": {"asks": asks, "bids": bids}, "t": AT_MS, "tt": AT_MS - 4, "u": number, "pu": previous, "cs": 7}
    return push("book.update", {"depth": 10, "data": [data | other]})


def deal(**other: Any) -> dict[str, Any]:
    fields = {"d": "1760000000577193105", "t": AT_MS, "p": "60000.5", "q": "0.001", "s": "BUY", "i": "BTC_USD"}
    return {**fields, "m": "4611686018688057717", **other}


def trades(*deals: dict[str, Any], **other: Any) -> bytes:
    return push("trade", {"data": list(deals)}, **other)


SNAPSHOT = snapshot([["60000.5", "1.5", "1"], ["60000.4", "3", "2"]], [["60000.6", "2", "1"]], 100)
DELTA = delta([["60000.5", "0", "0"]], [["60000.55", "0.25", "1"]], 140, 100)


def session() -> crypto_com.Session:
    return crypto_com.Session(FEEDS)


def top(bid: float, bid_size: float, ask: float, ask_size: float) -> BookTop:
    return BookTop(3, bid, bid_size, ask, ask_size, AT, AT)


def test_it_asks_for_everything_in_one_request() -> None:
    assert session().url() == "wss://stream.crypto.com/exchange/v1/market"
    (send,) = session().open()
    said = json.loads(send.data)
    assert (said["id"], said["method"]) == (1, "subscribe")
    assert said["params"] == {
        "channels": ["book.BTC_USD.10", "book.ETHUSD-PERP.10", "trade.BTC_USD", "trade.ETHUSD-PERP"],
        "book_subscription_type": "SNAPSHOT_AND_UPDATE",
        "book_update_frequency": 10,
    }


def test_a_book_that_did_not_come_is_asked_for_again_with_a_nonce() -> None:
    live = session()
    live.receive(SNAPSHOT, AT)
    (send,) = live.idle(AT)
    said = json.loads(send.data)
    assert (said["method"], said["nonce"]) == ("subscribe", AT_MS)
    assert said["params"]["channels"] == ["book.ETHUSD-PERP.10", "trade.ETHUSD-PERP"]
    live.receive(SNAPSHOT.replace(b"BTC_USD", b"ETHUSD-PERP"), AT)
    assert live.idle(AT) == []
    live.open()
    assert len(live.receive(trades(deal()), AT)) == 1
    assert len(json.loads(live.idle(AT)[0].data)["params"]["channels"]) == 4
    assert live.receive(trades(deal(), deal()), AT) == []


def test_a_book_begins_whole_and_follows_its_deltas() -> None:
    live = session()
    assert live.receive(SNAPSHOT, AT) == [top(60000.5, 1.5, 60000.6, 2.0)]
    assert live.receive(DELTA, AT) == [top(60000.4, 3.0, 60000.55, 0.25)]
    assert live.receive(delta([], [], 140, 140), AT) == [top(60000.4, 3.0, 60000.55, 0.25)]
    crossed = delta([["60001", "1", "1"]], [["60000.55", "0", "0"]], 141, 140)
    assert live.receive(crossed, AT) == [top(60001.0, 1.0, 60000.6, 2.0)]
    bare = delta([], [["60000.6", "0", "0"], ["61000", "0", "0"]], 142, 141)
    assert live.receive(bare, AT) == [top(60001.0, 1.0, 0.0, 0.0)]
    assert live.receive(SNAPSHOT, AT) == [top(60000.5, 1.5, 60000.6, 2.0)]
    assert live.receive(snapshot([], [], 200), AT) == [top(0.0, 0.0, 0.0, 0.0)]


def test_a_level_that_left_the_ten_is_forgotten() -> None:
    live = session()
    live.receive(snapshot([[str(100 - n), "1", "1"] for n in range(10)], [], 1), AT)
    live.receive(delta([["101", "1", "1"]], [], 2, 1), AT)
    emptied = delta([[str(101 - n), "0", "0"] for n in range(10)], [], 3, 2)
    assert live.receive(emptied, AT) == [top(0.0, 0.0, 0.0, 0.0)]


def test_a_gap_leaves_the_symbol_without_a_book_until_a_snapshot(contract: Any) -> None:
    live = session()
    assert contract.refusal(live, DELTA) == Refusal.NO_SNAPSHOT
    live.receive(SNAPSHOT, AT)
    assert contract.refusal(live, delta([], [], 141, 101)) == Refusal.SEQUENCE_GAP
    assert contract.refusal(live, DELTA) == Refusal.NO_SNAPSHOT
    live.receive(SNAPSHOT, AT)
    assert len(live.receive(DELTA, AT)) == 1
    live.open()
    assert contract.refusal(live, delta([], [], 141, 140)) == Refusal.NO_SNAPSHOT


@pytest.mark.parametrize("level", [["-1", "1", "1"], ["1", "-1", "1"], ["NaN", "1", "1"], ["1", "Infinity", "1"]])
def test_a_bad_level_ends_the_book(contract: Any, level: list[str]) -> None:
    live = session()
    live.receive(SNAPSHOT, AT)
    assert contract.refusal(live, delta([level], [], 140, 100)) in (Refusal.NOT_POSITIVE, Refusal.NOT_A_NUMBER)
    assert contract.refusal(live, delta([], [], 141, 140)) == Refusal.NO_SNAPSHOT
    live.receive(SNAPSHOT, AT)
    assert contract.refusal(live, snapshot([], [level], 140)) in (Refusal.NOT_POSITIVE, Refusal.NOT_A_NUMBER)
    assert contract.refusal(live, DELTA) == Refusal.NO_SNAPSHOT


def test_the_checksum_may_be_left_out(contract: Any) -> None:
    live = session()
    bare = SNAPSHOT.replace(b',"cs":-457275660', b"")
    assert live.receive(bare, AT) == [top(60000.5, 1.5, 60000.6, 2.0)]
    assert live.receive(DELTA.replace(b',"cs":7', b""), AT) == [top(60000.4, 3.0, 60000.55, 0.25)]
    assert contract.refusal(live, contract.doubled(bare, b"u")) == Refusal.DUPLICATE_KEY
    doubled = contract.doubled(DELTA.replace(b',"cs":7', b""), b"u")
    assert contract.refusal(live, doubled) == Refusal.DUPLICATE_KEY


def test_trades_come_oldest_first_and_those_of_the_past_are_none() -> None:
    newest, oldest = deal(s="SELL", q="2"), deal(t=AT_MS - 30)
    first = Trade(3, 60000.5, 0.001, Side.BUY, AT - 30_000_000, AT)
    second = Trade(3, 60000.5, 2.0, Side.SELL, AT, AT)
    live = session()
    for past in (trades(newest, oldest, id=1), trades(newest, id=1), trades(newest, oldest)):
        live.open()
        assert live.receive(past, AT) == []
        assert live.receive(trades(newest, id=1), AT) == live.receive(trades(newest), AT) == [second]
        assert live.receive(trades(newest, oldest), AT) == [first, second]
    old = {key: value for key, value in oldest.items() if key != "m"}
    assert session().receive(trades(old), AT) == [first]


def test_a_heartbeat_is_answered_with_its_number() -> None:
    (reply,) = session().receive(dump({"id": 1587523073344, "method": "public/heartbeat", "code": 0}), AT)
    assert isinstance(reply, base.Send)
    assert json.loads(reply.data) == {"id": 1587523073344, "method": "public/respond-heartbeat"}
    assert session().receive(dump({"id": 1, "method": "subscribe", "code": 0}), AT) == []


def test_frames_with_spaces_are_read_all_the_same() -> None:
    live = session()
    for frame in (SNAPSHOT, DELTA, trades(deal())):
        assert len(live.receive(json.dumps(json.loads(frame)).encode(), AT)) == 1


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (dump({"id": 1, "method": "subscribe", "code": 40003, "message": "Unknown symbol"}), Refusal.VENUE_ERROR),
        (dump({"id": "x", "method": "public/heartbeat", "code": 0}), Refusal.WRONG_SHAPE),
        (push("ticker", {"data": []}), Refusal.UNKNOWN_MESSAGE),
        (dump({"id": 1, "method": "public/auth", "code": 0}), Refusal.UNKNOWN_MESSAGE),
        (dump({"id": 1, "method": "subscribe", "code": 0, "result": [1]}), Refusal.UNKNOWN_MESSAGE),
        (SNAPSHOT.replace(b"book.BTC_USD.10", b"book.BTC_USD.50"), Refusal.UNKNOWN_MESSAGE),
        (SNAPSHOT.replace(b"BTC_USD", b"XRP_USD"), Refusal.UNKNOWN_SYMBOL),
        (trades(deal(i="ETHUSD-PERP")), Refusal.UNKNOWN_SYMBOL),
        (trades(deal(s="BOTH")), Refusal.WRONG_SHAPE),
        (trades(deal(p="0")), Refusal.NOT_POSITIVE),
        (trades(deal(q="0")), Refusal.NOT_POSITIVE),
        (trades(deal(p="0"), id=1), Refusal.NOT_POSITIVE),
        (trades(deal()).replace(b'"id":-1,', b""), Refusal.OLD_DIALECT),
        (SNAPSHOT.replace(b'"id":-1,', b""), Refusal.OLD_DIALECT),
        (b"[]", Refusal.WRONG_SHAPE),
    ],
)
def test_what_is_refused_by_name(contract: Any, frame: bytes, reason: Refusal) -> None:
    assert contract.refusal(session(), frame) == reason


def test_a_key_said_twice_is_refused(contract: Any) -> None:
    for key in (b"t", b"u", b"subscription", b"id"):
        assert contract.refusal(session(), contract.doubled(SNAPSHOT, key)) == Refusal.DUPLICATE_KEY
        assert contract.refusal(session(), contract.doubled(DELTA, key)) == Refusal.DUPLICATE_KEY
    for key in (b"p", b"t", b"s"):
        assert contract.refusal(session(), contract.doubled(trades(deal()), key)) == Refusal.DUPLICATE_KEY
    frame = contract.doubled(trades(deal()).replace(b',"m":"4611686018688057717"', b""), b"p")
    assert contract.refusal(session(), frame) == Refusal.DUPLICATE_KEY


def test_no_key_said_twice_hides_behind_one_left_out(contract: Any) -> None:
    live = session()
    live.receive(SNAPSHOT, AT)
    for good in (SNAPSHOT, DELTA, trades(deal())):
        for frame in contract.traded(good):
            with pytest.raises(VenueError):
                live.receive(frame, AT)


def test_the_mimic_answers_only_what_was_asked() -> None:
    mimic, live = crypto_com.Mimic(FEEDS), session()
    (send,) = live.open()
    (answer,) = mimic.hear(send.data, AT)
    assert json.loads(answer) == {"id": 1, "method": "subscribe", "code": 0}
    assert live.receive(answer.encode(), AT) == []
    (beat,) = mimic.heartbeat(AT)
    (reply,) = live.receive(beat.encode(), AT)
    assert isinstance(reply, base.Send)
    assert mimic.hear(reply.data, AT) == mimic.greet("/exchange/v1/market", AT) == []
    unknown = dump({"id": 2, "method": "subscribe", "params": {"channels": ["trade.XRP_USD"]}}).decode()
    for wrong in ("no json", unknown, '{"id":3,"method":"dance"}'):
        (answer,) = mimic.hear(wrong, AT)
        with pytest.raises(VenueError, match="VENUE_ERROR"):
            live.receive(answer.encode(), AT)
