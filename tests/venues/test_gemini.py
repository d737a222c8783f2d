"""Gemini's streams and its archived market data: payloads, refusals, and the recordings of the archived one."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from oracle.collectors.tape import Direction, read
from oracle.core.types import BookTop, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, gemini

NOW = 1_760_000_000_000_000_000
AT = NOW + 117_161
RECV = NOW + 20_000_000
FEEDS = (base.Feed(4, "btcusd"), base.Feed(5, "USDCUSD"))
V2_URL = "wss://api.gemini.com/v2/marketdata/"


def text(**fields: Any) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def ticker(**other: Any) -> bytes:
    fields = {"u": 1751505576085, "E": AT, "s": "btcusd", "b": "45000.50", "B": "1.25", "a": "45001.00", "A": "0.75"}
    return text(**(fields | other))


def trade(**other: Any) -> bytes:
    return text(**({"E": AT, "s": "btcusd", "t": 2840140956529623, "p": "45000.50", "q": "0.5", "m": True} | other))


def session() -> gemini.Session:
    return gemini.Session(FEEDS)


def refusal(live: base.Session, frame: bytes, recv_ns: int = RECV) -> Refusal:
    with pytest.raises(VenueError) as caught:
        live.receive(frame, recv_ns)
    return caught.value.reason


def test_it_dials_the_current_api_and_subscribes_in_one_request() -> None:
    assert session().url() == "wss://ws.gemini.com/"
    assert [json.loads(send.data) for send in session().open()] == [
        {
            "id": "subscribe",
            "method": "subscribe",
            "params": ["btcusd@bookTicker", "btcusd@trade", "usdcusd@bookTicker", "usdcusd@trade"],
        }
    ]
    assert [json.loads(send.data)["method"] for send in session().idle(NOW)] == ["ping"]


def test_a_symbol_in_two_cases_is_one_symbol() -> None:
    with pytest.raises(ValueError, match="once"):
        gemini.Session([base.Feed(1, "btcusd"), base.Feed(2, "BTCUSD")])


def test_a_book_ticker_is_the_top() -> None:
    top = BookTop(4, 45000.5, 1.25, 45001.0, 0.75, AT, RECV)
    assert session().receive(ticker(), RECV) == [top]
    assert session().receive(ticker(c="45000.75", C="2"), RECV) == [top]
    assert session().receive(ticker(s="usdcusd"), RECV)[0] == BookTop(5, 45000.5, 1.25, 45001.0, 0.75, AT, RECV)


def test_a_crossed_book_is_said_as_it_is() -> None:
    assert session().receive(ticker(b="45002"), RECV) == [BookTop(4, 45002.0, 1.25, 45001.0, 0.75, AT, RECV)]


def test_an_empty_side_is_an_empty_string_and_becomes_zeros() -> None:
    assert session().receive(ticker(b="", B=""), RECV) == [BookTop(4, 0.0, 0.0, 45001.0, 0.75, AT, RECV)]
    assert session().receive(ticker(a="", A="0"), RECV) == [BookTop(4, 45000.5, 1.25, 0.0, 0.0, AT, RECV)]
    assert session().receive(ticker(b="", B="", a="", A=""), RECV) == [BookTop(4, 0.0, 0.0, 0.0, 0.0, AT, RECV)]


@pytest.mark.parametrize(("buyer_made", "taker"), [(True, Side.SELL), (False, Side.BUY)])
def test_a_trade_is_told_from_who_made(buyer_made: bool, taker: Side) -> None:
    assert session().receive(trade(m=buyer_made), RECV) == [Trade(4, 45000.5, 0.5, taker, AT, RECV)]


@pytest.mark.parametrize(
    "frame", [text(id="subscribe", status=200), text(id=1, status=200), text(id="ping", status=200, result={})]
)
def test_acknowledgements_and_pongs_are_no_observations(frame: bytes) -> None:
    assert session().receive(frame, RECV) == []


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (text(id="subscribe", status=400, error={"code": -1013, "msg": "unknown"}), Refusal.VENUE_ERROR),
        (text(id="subscribe", status=500), Refusal.VENUE_ERROR),
        (text(e="depthUpdate", E=AT, s="btcusd", U=1, u=2, b=[["1", "2"]], a=[]), Refusal.UNKNOWN_MESSAGE),
        (text(e="contractStatus", E=AT, s="gemi-x", k="x"), Refusal.UNKNOWN_MESSAGE),
        (text(lastUpdateId=1, bids=[["1", "1"]], asks=[]), Refusal.UNKNOWN_MESSAGE),
        (text(u=1, E=AT, s="btcusd"), Refusal.UNKNOWN_MESSAGE),
        (ticker(s="dogeusd"), Refusal.UNKNOWN_SYMBOL),
        (trade(s="dogeusd"), Refusal.UNKNOWN_SYMBOL),
        (ticker(b="1_000", a="", A=""), Refusal.WRONG_SHAPE),
        (ticker(b="-1"), Refusal.NOT_POSITIVE),
        (ticker(B="-1"), Refusal.NOT_POSITIVE),
        (ticker(b=None), Refusal.WRONG_SHAPE),
        (trade(p="0"), Refusal.NOT_POSITIVE),
        (trade(q="-0.1"), Refusal.NOT_POSITIVE),
        (trade(m="perhaps"), Refusal.WRONG_SHAPE),
        (ticker(E=AT // 1_000), Refusal.TIME_UNIT),
        (ticker(E=AT // 1_000_000), Refusal.TIME_UNIT),
        (ticker(E=-AT), Refusal.TIME_UNIT),
        (ticker().replace(b'"u":1751505576085', b'"u":1,"b":"2"'), Refusal.DUPLICATE_KEY),
        (ticker(c="1", C="1").replace(b'"c":"1"', b'"b":"1"'), Refusal.DUPLICATE_KEY),
        (trade().replace(b'"s":', b'"p":"1","s":'), Refusal.DUPLICATE_KEY),
        (ticker().replace(b"btcusd", b"btc\x00usd"), Refusal.NOT_JSON),
        (ticker().replace(b"btcusd", b"\xed\xa0\x80"), Refusal.NOT_UTF8),
        (b"[]", Refusal.WRONG_SHAPE),
        (b"", Refusal.NOT_JSON),
    ],
)
def test_bad_input_is_refused_for_a_named_reason(frame: bytes, reason: Refusal) -> None:
    assert refusal(session(), frame) is reason


def test_the_mimic_answers_as_the_venue_does() -> None:
    mimic, live = gemini.Mimic(FEEDS), session()
    assert mimic.greet("/", NOW) == []
    assert mimic.heartbeat(NOW) == []
    for send in (*live.open(), *live.idle(NOW)):
        (frame,) = mimic.hear(send.data, NOW)
        assert json.loads(frame)["id"] == json.loads(send.data)["id"]
        assert live.receive(frame.encode(), RECV) == []


@pytest.mark.parametrize(
    "said", ["{", "[]", '{"id":1,"method":"order.place"}', '{"id":1,"method":"subscribe","params":["dogeusd@trade"]}']
)
def test_the_mimic_refuses_as_the_venue_does(said: str) -> None:
    (frame,) = gemini.Mimic(FEEDS).hear(said, NOW)
    assert refusal(session(), frame.encode()) is Refusal.VENUE_ERROR


def l2(*changes: list[str], **other: Any) -> bytes:
    return text(**({"type": "l2_updates", "symbol": "BTCUSD", "changes": list(changes)} | other))


def l2_snapshot(symbol: str = "BTCUSD") -> bytes:
    past = {"type": "trade", "symbol": symbol, "event_id": 1, "timestamp": 1, "price": "9", "quantity": "1"}
    return l2(["buy", "100.00", "1"], ["sell", "100.02", "2"], symbol=symbol, trades=[past], auction_events=[])


def v2_trade(**other: Any) -> bytes:
    fields = {"type": "trade", "symbol": "BTCUSD", "event_id": 3, "timestamp": NOW // 1_000_000}
    return text(**(fields | {"price": "9122.04", "quantity": "0.0073173", "side": "sell"} | other))


def archived() -> base.Session:
    live = gemini.session_for(V2_URL, [base.Feed(4, "BTCUSD"), base.Feed(5, "ETHUSD")])
    assert isinstance(live, gemini.MarketDataV2)
    return live


def test_the_recorded_address_tells_the_dialect() -> None:
    assert type(gemini.session_for("wss://ws.gemini.com", FEEDS)) is gemini.Session
    live = archived()
    assert live.url() == "wss://api.gemini.com/v2/marketdata"
    assert json.loads(live.open()[0].data) == {
        "type": "subscribe",
        "subscriptions": [{"name": "l2", "symbols": ["BTCUSD", "ETHUSD"]}],
    }


def test_the_archived_book_begins_whole_and_follows_its_deltas() -> None:
    live = archived()
    assert live.receive(l2_snapshot(), RECV) == [BookTop(4, 100.0, 1.0, 100.02, 2.0, 0, RECV)]
    assert live.receive(l2(["buy", "100.00", "0"], ["sell", "100.01", "3"]), RECV) == [
        BookTop(4, 0.0, 0.0, 100.01, 3.0, 0, RECV)
    ]
    assert live.receive(l2(["sell", "100.01", "0"], ["sell", "100.02", "0"]), RECV) == [
        BookTop(4, 0.0, 0.0, 0.0, 0.0, 0, RECV)
    ]
    assert live.receive(l2_snapshot(), RECV) == [BookTop(4, 100.0, 1.0, 100.02, 2.0, 0, RECV)]


def test_no_level_survives_a_new_connection() -> None:
    live = archived()
    live.receive(l2_snapshot(), RECV)
    live.open()
    assert refusal(live, l2(["buy", "1", "1"])) is Refusal.NO_SNAPSHOT


def test_a_refused_delta_of_the_archived_api_leaves_no_book() -> None:
    live = archived()
    live.receive(l2_snapshot(), RECV)
    assert refusal(live, l2(["buy", "1", "1"], symbol="ETHUSD")) is Refusal.NO_SNAPSHOT
    assert refusal(live, l2(["buy", "1", "1"], symbol="DOGEUSD")) is Refusal.UNKNOWN_SYMBOL
    assert len(live.receive(l2(), RECV)) == 1
    assert refusal(live, l2(["buy", "1", "-1"])) is Refusal.NOT_POSITIVE
    assert refusal(live, l2()) is Refusal.NO_SNAPSHOT


@pytest.mark.parametrize(
    ("side", "taker"), [("buy", Side.BUY), ("sell", Side.SELL), ("auction", Side.UNKNOWN), ("block", None)]
)
def test_trades_of_the_archived_api_except_blocks(side: str, taker: Side | None) -> None:
    expected = [] if taker is None else [Trade(4, 9122.04, 0.0073173, taker, NOW, RECV)]
    assert archived().receive(v2_trade(side=side), RECV) == expected


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (text(type="heartbeat", timestamp=1), None),
        (text(type="auction_result", symbol="BTCUSD"), None),
        (text(type="candles_1m_updates", symbol="BTCUSD"), Refusal.UNKNOWN_MESSAGE),
        (text(result="error", reason="InvalidJson"), Refusal.VENUE_ERROR),
        (v2_trade(timestamp=NOW // 1_000), Refusal.TIME_UNIT),
        (b"{", Refusal.NOT_JSON),
    ],
)
def test_what_else_the_archived_api_says(frame: bytes, reason: Refusal | None) -> None:
    if reason is None:
        assert archived().receive(frame, RECV) == []
    else:
        assert refusal(archived(), frame) is reason


@pytest.mark.data
@pytest.mark.parametrize(("name", "trades"), [("gemini.ws.1.0", 16), ("2021-04-17__gemini.ws.36.0", 51)])
def test_every_recorded_frame_of_the_archived_api_decodes(data: Path, name: str, trades: int) -> None:
    frames = list(read(data / "frames" / f"{name}.txt.gz"))
    sent = [json.loads(frame.data) for frame in frames if frame.direction is Direction.SENT]
    symbols = [symbol for message in sent for wanted in message["subscriptions"] for symbol in wanted["symbols"]]
    live = gemini.session_for(frames[0].url, [base.Feed(n, symbol) for n, symbol in enumerate(symbols)])
    seen: Counter[str] = Counter()
    for frame in frames:
        if frame.direction is Direction.RECEIVED:
            events = live.receive(frame.data, frame.recv_ns)
            seen.update([type(event).__name__ for event in events] or ["nothing"])
            assert not any(isinstance(event, BookTop) and event.bid >= event.ask > 0.0 for event in events)
    assert seen["Trade"] == trades
    assert seen["BookTop"] > 600
    assert seen["nothing"] == 7  # the heartbeats


@pytest.mark.data
def test_every_payload_decodes_or_is_refused_for_a_named_reason(data: Path) -> None:
    names = ["ZECLTC", "BTCUSD", "ETHBTC", "ETHUSD", "wifusd", "btcrlusd", "xrpgusd", "linkrlusd", "gusdgbp"]
    feeds = [base.Feed(n, name) for n, name in enumerate(names)]
    seen: Counter[str] = Counter()
    for frame in read(data / "payloads" / "gemini.jsonl"):
        url = V2_URL if b'"type":' in frame.data else gemini.URL
        try:
            events = gemini.session_for(url, feeds).receive(frame.data, 0)
            seen.update([type(event).__name__ for event in events] or ["nothing"])
        except VenueError as error:
            seen[error.reason] += 1
    assert seen == {
        "BookTop": 2,
        "Trade": 2,
        "nothing": 2,  # a block trade and an acknowledgement
        Refusal.NO_SNAPSHOT: 1,
        Refusal.UNKNOWN_MESSAGE: 5,  # depth and contract status, which nobody asked for
    }
