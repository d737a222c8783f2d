"""HTX's dialect: payloads as the documentation writes them, compression, what is refused, and the recordings."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from oracle.core.types import BookTop, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, htx

AT_MS = 1_760_000_000_000
AT = AT_MS * 1_000_000
FEEDS = [base.Feed(3, "btcusdt"), base.Feed(5, "USDCUSDT")]


def dump(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def bbo(**other: Any) -> bytes:
    tick: dict[str, Any] = {"seqId": 137005210233, "ask": 60000.6, "askSize": 2, "bid": 60000.5, "bidSize": 1.5}
    tick |= {"quoteTime": AT_MS - 1, "symbol": "btcusdt"}
    fields = {key: value for key, value in (tick | other).items() if value is not ...}
    return dump({"ch": "market.btcusdt.bbo", "ts": AT_MS, "tick": fields})


def deal(**other: Any) -> dict[str, Any]:
    fields = {"id": 99999999999920536699999992, "ts": AT_MS, "tradeId": 102523573486, "amount": 0.006754}
    return {**fields, "price": 60000.5, "direction": "buy", **other}


def trades(*deals: dict[str, Any]) -> bytes:
    tick = {"id": 137005445109, "ts": AT_MS, "data": list(deals)}
    return dump({"ch": "market.btcusdt.trade.detail", "ts": AT_MS, "tick": tick})


def session() -> htx.Session:
    return htx.Session(FEEDS)


def top(bid: float, bid_size: float, ask: float, ask_size: float) -> BookTop:
    return BookTop(3, bid, bid_size, ask, ask_size, AT, AT)


def test_it_asks_for_each_topic() -> None:
    assert session().url() == "wss://api.huobi.pro/ws"
    asked = [json.loads(send.data)["sub"] for send in session().open()]
    assert sorted(asked) == sorted(
        f"market.{symbol}.{kind}" for symbol in ("btcusdt", "usdcusdt") for kind in ("bbo", "trade.detail")
    )
    assert session().idle(AT) == []


def test_feeds_are_of_spot_and_read_once() -> None:
    with pytest.raises(ValueError, match="spot"):
        htx.Session(FEEDS, "linear")
    with pytest.raises(ValueError, match="once"):
        htx.Session([base.Feed(1, "btcusdt"), base.Feed(2, "BTCUSDT")])


def test_a_compressed_top_is_the_top() -> None:
    assert session().receive(gzip.compress(bbo()), AT) == [top(60000.5, 1.5, 60000.6, 2.0)]
    assert session().receive(bbo(), AT) == [top(60000.5, 1.5, 60000.6, 2.0)]
    assert session().receive(bbo(bid=60001), AT) == [top(60001.0, 1.5, 60000.6, 2.0)]
    assert session().receive(bbo(bid=0, bidSize=0), AT) == [top(0.0, 0.0, 60000.6, 2.0)]
    assert session().receive(bbo(seqId=...), AT) == [top(60000.5, 1.5, 60000.6, 2.0)]


def test_a_stream_must_be_one_and_whole(contract: Any) -> None:
    packed = gzip.compress(bbo())
    for damaged in (packed[:-1], packed + b"x", packed + packed, packed[:5] + b"\xff" * 40, htx.GZIP):
        assert contract.refusal(session(), damaged) == Refusal.NOT_JSON


def test_a_bomb_is_refused_before_it_has_grown(contract: Any) -> None:
    bomb = gzip.compress(b" " * (8 << 20))
    assert len(bomb) < htx.FRAME_BYTES_MAX
    assert contract.refusal(session(), bomb) == Refusal.TOO_LARGE
    assert contract.refusal(session(), gzip.compress(bbo() + b" " * (1 << 20))) == Refusal.TOO_LARGE


def test_trades_come_oldest_first() -> None:
    first = Trade(3, 60000.5, 0.006754, Side.BUY, AT - 4_000_000, AT)
    second = Trade(3, 60000.5, 2.0, Side.SELL, AT, AT)
    frame = gzip.compress(trades(deal(direction="sell", amount=2), deal(ts=AT_MS - 4)))
    assert session().receive(frame, AT) == [first, second]
    old = {key: value for key, value in deal(id="10020171792852100010452").items() if key != "tradeId"}
    assert len(session().receive(trades(old), AT)) == 1


def test_a_trade_before_the_acknowledgement_is_of_the_past() -> None:
    live = session()
    acknowledged = {"id": "1", "status": "ok", "subbed": "market.btcusdt.trade.detail", "ts": AT_MS}
    assert live.receive(dump(acknowledged), AT) == []
    assert live.receive(dump(acknowledged | {"subbed": "market.btcusdt.bbo"}), AT) == []
    assert live.receive(dump({"id": "1", "status": "ok", "unsubbed": "market.btcusdt.bbo", "ts": AT_MS}), AT) == []
    assert live.receive(trades(deal(ts=AT_MS - 30 * 86_400_000)), AT) == []
    assert len(live.receive(trades(deal(), deal(ts=AT_MS - 1)), AT)) == 1
    live.open()
    assert len(live.receive(trades(deal(ts=AT_MS - 1)), AT)) == 1


def test_a_ping_is_answered_with_its_number() -> None:
    (reply,) = session().receive(gzip.compress(b'{"ping":1492420473027}'), AT)
    assert reply == base.Send('{"pong":1492420473027}')


def test_frames_with_spaces_are_read_all_the_same() -> None:
    for frame in (bbo(), trades(deal())):
        assert len(session().receive(json.dumps(json.loads(frame)).encode(), AT)) == 1


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (dump({"status": "error", "err-code": "bad-request", "err-msg": "invalid topic"}), Refusal.VENUE_ERROR),
        (dump({"ch": "market.btcusdt.depth.step0", "ts": AT_MS, "tick": {}}), Refusal.UNKNOWN_MESSAGE),
        (dump({"ch": "market.xrpusdt.depth.step0", "ts": AT_MS, "tick": {}}), Refusal.UNKNOWN_SYMBOL),
        (dump({"status": "ok", "rep": "market.btcusdt.mbp.150", "data": {}}), Refusal.UNKNOWN_MESSAGE),
        (dump({"subbed": "market.btcusdt.trade.detail", "ts": AT_MS // 1000}), Refusal.TIME_UNIT),
        (trades(deal()).replace(b"btcusdt", b"xrpusdt"), Refusal.UNKNOWN_SYMBOL),
        (bbo(symbol="ethusdt"), Refusal.UNKNOWN_SYMBOL),
        (trades(deal(direction="both")), Refusal.WRONG_SHAPE),
        (trades(deal(ts=AT_MS // 1000)), Refusal.TIME_UNIT),
        (trades(deal(price=0)), Refusal.NOT_POSITIVE),
        (trades(deal(amount=-1)), Refusal.NOT_POSITIVE),
        (bbo(bidSize=-1), Refusal.NOT_POSITIVE),
        (bbo(bid=None), Refusal.WRONG_SHAPE),
        (b"[]", Refusal.WRONG_SHAPE),
        (b"", Refusal.NOT_JSON),
    ],
)
def test_what_is_refused_by_name(contract: Any, frame: bytes, reason: Refusal) -> None:
    assert contract.refusal(session(), frame) == reason
    assert contract.refusal(session(), gzip.compress(frame)) == reason


def test_a_key_said_twice_is_refused(contract: Any) -> None:
    for good in (bbo(), bbo(seqId=...)):
        for key in (b"bid", b"ts", b"ch", b"symbol"):
            assert contract.refusal(session(), contract.doubled(good, key)) == Refusal.DUPLICATE_KEY
    for key in (b"price", b"ch", b"direction"):
        assert contract.refusal(session(), contract.doubled(trades(deal()), key)) == Refusal.DUPLICATE_KEY


def test_no_key_said_twice_hides_behind_one_left_out(contract: Any) -> None:
    for good in (bbo(), trades(deal())):
        for frame in contract.traded(good):
            with pytest.raises(VenueError):
                session().receive(frame, AT)


def test_the_mimic_answers_only_what_was_asked() -> None:
    mimic, live = htx.Mimic(FEEDS), session()
    for send in live.open():
        (answer,) = mimic.hear(send.data, AT)
        assert json.loads(answer)["subbed"] == json.loads(send.data)["sub"]
        assert live.receive(answer.encode(), AT) == []
    (beat,) = mimic.heartbeat(AT)
    (reply,) = live.receive(beat.encode(), AT)
    assert reply == base.Send(f'{{"pong":{AT_MS}}}')
    assert mimic.hear(reply.data, AT) == mimic.greet("/ws", AT) == []
    assert mimic.hear('{"ping":7}', AT) == ['{"pong":7}']
    for wrong in ("no json", '{"sub":"market.xrpusdt.bbo","id":1}', '{"req":"market.btcusdt.bbo"}'):
        (answer,) = mimic.hear(wrong, AT)
        with pytest.raises(VenueError, match="VENUE_ERROR"):
            live.receive(answer.encode(), AT)
