"""OKX's dialect: payloads as the documentation writes them, what is refused, and the recordings."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest

from oracle.core.types import BookTop, Side, Ticker, TickerKind, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, okx

AT_MS = 1_760_000_000_000
AT = AT_MS * 1_000_000
FEEDS = [base.Feed(2, "BTC-USDT"), base.Feed(7, "BTC-USDT-SWAP")]
BID = ["60000.5", "1.5", "0", "3"]
ASK = ["60000.6", "2", "0", "1"]


def dump(**fields: Any) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def pushed(channel: str, *said: dict[str, Any], symbol: str = "BTC-USDT", **other: Any) -> bytes:
    return dump(arg={"channel": channel, "instId": symbol}, **other, data=list(said))


def bbo(bids: list[list[str]], asks: list[list[str]], **other: Any) -> dict[str, Any]:
    return {"asks": asks, "bids": bids, "ts": str(AT_MS), "seqId": 363_996_337, **other}


def deal(**other: Any) -> dict[str, Any]:
    fields = {"instId": "BTC-USDT", "tradeId": "130639474", "px": "60000.5", "sz": "0.12", "side": "buy"}
    return {**fields, "ts": str(AT_MS), "count": "3", "source": "0", "seqId": 1234, **other}


def ticker(**other: Any) -> dict[str, Any]:
    fields = {"instType": "SPOT", "instId": "BTC-USDT", "last": "60000", "lastSz": "0.1", "askPx": "60000.6"}
    return {**fields, "askSz": "2", "bidPx": "60000.5", "bidSz": "1.5", "ts": str(AT_MS), **other}


def books(action: str, bids: list[list[str]], asks: list[list[str]], **other: Any) -> bytes:
    return pushed("books", {"asks": asks, "bids": bids, "ts": str(AT_MS), **other}, action=action)


def crc(text: str) -> int:
    unsigned = zlib.crc32(text.encode())
    return unsigned - 2**32 if unsigned >= 2**31 else unsigned


TOP = pushed("bbo-tbt", bbo([BID], [ASK]))
SNAPSHOT = books("snapshot", [BID], [ASK], checksum=0, seqId=10, prevSeqId=-1)


def session() -> okx.Session:
    return okx.Session(FEEDS)


def keeping() -> base.Session:
    return okx.session_for("wss://ws.okx.com:8443/ws/v5/public", FEEDS)


def top(bid: float, bid_size: float, ask: float, ask_size: float) -> BookTop:
    return BookTop(2, bid, bid_size, ask, ask_size, AT, AT)


def test_it_dials_the_public_address_and_asks_for_both_channels() -> None:
    assert session().url() == "wss://ws.okx.com:8443/ws/v5/public"
    call, stated = (json.loads(send.data) for send in session().open())
    assert call["op"] == stated["op"] == "subscribe"
    assert [(arg["channel"], arg["instId"]) for arg in stated["args"]] == [
        ("mark-price", "BTC-USDT-SWAP"),
        ("funding-rate", "BTC-USDT-SWAP"),
        ("index-tickers", "BTC-USDT"),
    ]
    assert len(okx.Session(FEEDS[:1]).open()) == 1
    assert [(arg["channel"], arg["instId"]) for arg in call["args"]] == [
        ("bbo-tbt", "BTC-USDT"),
        ("trades", "BTC-USDT"),
        ("bbo-tbt", "BTC-USDT-SWAP"),
        ("trades", "BTC-USDT-SWAP"),
    ]
    assert session().idle(AT) == [base.Send("ping")]
    assert session().ping_ms < 30_000


def test_the_top_of_book() -> None:
    assert session().receive(TOP, AT) == [top(60000.5, 1.5, 60000.6, 2.0)]
    assert session().receive(pushed("bbo-tbt", bbo([], [ASK])), AT) == [top(0.0, 0.0, 60000.6, 2.0)]
    assert session().receive(pushed("bbo-tbt", bbo([BID], [])), AT) == [top(60000.5, 1.5, 0.0, 0.0)]
    swap = pushed("bbo-tbt", bbo([ASK], [BID]), symbol="BTC-USDT-SWAP")
    assert session().receive(swap, AT) == [BookTop(7, 60000.6, 2.0, 60000.5, 1.5, AT, AT)]
    unnumbered = TOP.replace(b',"seqId":363996337', b"")
    assert session().receive(unnumbered, AT) == [top(60000.5, 1.5, 60000.6, 2.0)]


def test_trades_of_today_and_of_2022() -> None:
    sold = deal(side="sell", ts=str(AT_MS - 5))
    assert session().receive(pushed("trades", deal(), sold), AT) == [
        Trade(2, 60000.5, 0.12, Side.BUY, AT, AT),
        Trade(2, 60000.5, 0.12, Side.SELL, AT - 5_000_000, AT),
    ]
    old = {k: v for k, v in deal().items() if k not in ("count", "source", "seqId")}
    assert session().receive(pushed("trades", old), AT) == [Trade(2, 60000.5, 0.12, Side.BUY, AT, AT)]


def test_a_swap_states_its_mark_its_funding_and_by_the_name_of_its_pair_its_index() -> None:
    mark = {"instType": "SWAP", "instId": "BTC-USDT-SWAP", "markPx": "60000.1", "ts": str(AT_MS)}
    funding = {
        "instId": "BTC-USDT-SWAP",
        "fundingRate": "-0.0001",
        "fundingTime": str(AT_MS + 1),
        "nextFundingRate": "",
    }
    index = {"instId": "BTC-USDT", "idxPx": "60000.4", "open24h": "1", "ts": str(AT_MS)}
    live = session()
    assert live.receive(pushed("mark-price", mark, symbol="BTC-USDT-SWAP"), AT) == [
        Ticker(7, TickerKind.MARK, 60000.1, AT, AT)
    ]
    assert live.receive(pushed("funding-rate", funding, symbol="BTC-USDT-SWAP"), AT) == [
        Ticker(7, TickerKind.FUNDING, -0.0001, 0, AT)
    ]
    assert live.receive(pushed("index-tickers", index), AT) == [Ticker(7, TickerKind.INDEX, 60000.4, AT, AT)]
    assert live.receive(pushed("funding-rate", funding | {"fundingRate": ""}, symbol="BTC-USDT-SWAP"), AT) == []


@pytest.mark.parametrize(
    ("channel", "symbol", "said", "reason"),
    [
        ("mark-price", "BTC-USDT", {"instId": "BTC-USDT", "markPx": "1"}, Refusal.UNKNOWN_MESSAGE),
        ("mark-price", "ETH-USDT-SWAP", {"instId": "ETH-USDT-SWAP", "markPx": "1"}, Refusal.UNKNOWN_SYMBOL),
        ("index-tickers", "ETH-USDT", {"instId": "ETH-USDT", "idxPx": "1"}, Refusal.UNKNOWN_SYMBOL),
        ("mark-price", "BTC-USDT-SWAP", {"instId": "ETH-USDT-SWAP", "markPx": "1"}, Refusal.UNKNOWN_SYMBOL),
        ("mark-price", "BTC-USDT-SWAP", {"instId": "BTC-USDT-SWAP", "markPx": "0"}, Refusal.NOT_POSITIVE),
        ("funding-rate", "BTC-USDT-SWAP", {"instId": "BTC-USDT-SWAP", "fundingRate": "1"}, Refusal.NOT_A_NUMBER),
        ("index-tickers", "BTC-USDT", {"instId": "BTC-USDT", "idxPx": "1", "ts": "1"}, Refusal.TIME_UNIT),
    ],
)
def test_what_is_stated_wrongly_is_refused(
    contract: Any, channel: str, symbol: str, said: dict[str, str], reason: Refusal
) -> None:
    assert contract.refusal(session(), pushed(channel, said, symbol=symbol)) == reason


def test_frames_with_spaces_are_read_all_the_same() -> None:
    assert session().receive(json.dumps(json.loads(TOP)).encode(), AT) == [top(60000.5, 1.5, 60000.6, 2.0)]
    assert len(session().receive(json.dumps(json.loads(pushed("trades", deal()))).encode(), AT)) == 1


def test_what_is_no_fact_is_nothing() -> None:
    for benign in (
        b"pong",
        dump(event="subscribe", arg={"channel": "bbo-tbt", "instId": "BTC-USDT"}, connId="a4d3ae55"),
        dump(event="unsubscribe", arg={"channel": "trades", "instId": "XRP-EUR"}, connId="a4d3ae55"),
        dump(event="notice", code="64008", msg="The connection will soon be closed for a service upgrade."),
        dump(event="channel-conn-count", channel="trades", connCount="2", connId="a4d3ae55"),
    ):
        assert session().receive(benign, AT) == []


def test_a_book_kept_by_update_numbers(contract: Any) -> None:
    live = keeping()
    delta = books(
        "update", [["60000.5", "0", "0", "0"], ["60000.1", "4", "0", "1"]], [], checksum=0, seqId=15, prevSeqId=10
    )
    assert contract.refusal(live, delta) == Refusal.NO_SNAPSHOT
    assert live.receive(SNAPSHOT, AT) == [top(60000.5, 1.5, 60000.6, 2.0)]
    assert live.receive(delta, AT) == [top(60000.1, 4.0, 60000.6, 2.0)]
    still = books("update", [], [], checksum=0, seqId=15, prevSeqId=15)
    assert live.receive(still, AT) == [top(60000.1, 4.0, 60000.6, 2.0)]
    back = books("update", [], [["60000.6", "0", "0", "0"]], checksum=0, seqId=3, prevSeqId=15)
    assert live.receive(back, AT) == [top(60000.1, 4.0, 0.0, 0.0)]
    assert contract.refusal(live, delta) == Refusal.SEQUENCE_GAP
    assert contract.refusal(live, delta) == Refusal.NO_SNAPSHOT
    assert live.receive(SNAPSHOT, AT) == [top(60000.5, 1.5, 60000.6, 2.0)]


def test_a_book_kept_by_its_checksum(contract: Any) -> None:
    live = keeping()
    text = "60000.5:1.50:60000.6:2:60000.1:4"
    bids = [["60000.5", "1.50", "0", "3"], ["60000.1", "4", "0", "1"]]
    assert live.receive(books("snapshot", bids, [ASK], checksum=crc(text)), AT) == [top(60000.5, 1.5, 60000.6, 2.0)]
    delta = books("update", [], [["60000.6", "0", "0", "0"]], checksum=crc("60000.5:1.50:60000.1:4"))
    assert live.receive(delta, AT) == [top(60000.5, 1.5, 0.0, 0.0)]
    wrong = books("update", [["60000.5", "9", "0", "1"]], [], checksum=crc("60000.5:1.50:60000.1:4"))
    assert contract.refusal(live, wrong) == Refusal.CHECKSUM
    assert contract.refusal(live, delta) == Refusal.NO_SNAPSHOT
    assert contract.refusal(live, books("snapshot", bids, [ASK], checksum=0)) == Refusal.CHECKSUM


def test_only_the_best_levels_are_in_the_checksum() -> None:
    bids = [[str(1000 - n), str(n + 1), "0", "1"] for n in range(30)]
    text = ":".join(f"{price}:{size}" for price, size, _, _ in bids[:25])
    assert len(keeping().receive(books("snapshot", bids, [], checksum=crc(text)), AT)) == 1


def test_tickers_speak_where_no_book_does() -> None:
    frame, only = pushed("tickers", ticker()), okx.Session(FEEDS, "spot", ("tickers",))
    acknowledged = dump(event="subscribe", arg={"channel": "bbo-tbt", "instId": "BTC-USDT"})
    only.receive(acknowledged, AT)
    assert only.receive(frame, AT) == [top(60000.5, 1.5, 60000.6, 2.0)]
    every = keeping()
    assert every.receive(frame, AT) == [top(60000.5, 1.5, 60000.6, 2.0)]
    every.receive(acknowledged, AT)
    assert every.receive(frame, AT) == []
    for book in (SNAPSHOT, TOP):
        every = keeping()
        every.receive(book, AT)
        assert every.receive(frame, AT) == []


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (dump(event="error", code="60012", msg="Invalid request", connId="a4d3ae55"), Refusal.VENUE_ERROR),
        (dump(event="channel-conn-count-error", channel="trades", connCount="20"), Refusal.VENUE_ERROR),
        (dump(event="login", code="0"), Refusal.UNKNOWN_MESSAGE),
        (pushed("books5", bbo([], [])), Refusal.UNKNOWN_MESSAGE),
        (pushed("tickers", ticker()), Refusal.UNKNOWN_MESSAGE),
        (SNAPSHOT, Refusal.UNKNOWN_MESSAGE),
        (pushed("tickers", ticker(), symbol="XRP-EUR"), Refusal.UNKNOWN_SYMBOL),
        (dump(arg=None), Refusal.UNKNOWN_MESSAGE),
        (dump(arg={"channel": ["trades"]}), Refusal.UNKNOWN_MESSAGE),
        (dump(table="spot/trade", data=[]), Refusal.OLD_DIALECT),
        (b"[]", Refusal.WRONG_SHAPE),
        (b"ping", Refusal.NOT_JSON),
        (pushed("trades", deal(side="both")), Refusal.WRONG_SHAPE),
        (pushed("trades", deal(instId="ETH-USDT")), Refusal.UNKNOWN_SYMBOL),
        (pushed("trades", deal(sz="0")), Refusal.NOT_POSITIVE),
    ],
)
def test_what_is_refused_by_name(contract: Any, frame: bytes, reason: Refusal) -> None:
    assert contract.refusal(session(), frame) == reason


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (books("partial", [], [], checksum=0), Refusal.WRONG_SHAPE),
        (books("snapshot", [BID], [ASK]), Refusal.WRONG_SHAPE),
        (books("snapshot", [["0", "1", "0", "1"]], [], checksum=0), Refusal.NOT_POSITIVE),
        (books("snapshot", [["-1", "1", "0", "1"]], [], checksum=0), Refusal.NOT_POSITIVE),
        (pushed("tickers", ticker(instId="ETH-USDT")), Refusal.UNKNOWN_SYMBOL),
        (pushed("tickers", ticker(ts=str(AT_MS // 1000))), Refusal.TIME_UNIT),
    ],
)
def test_what_a_keeping_session_refuses(contract: Any, frame: bytes, reason: Refusal) -> None:
    assert contract.refusal(keeping(), frame) == reason


def test_no_key_said_twice_hides_behind_one_left_out(contract: Any) -> None:
    for good in (TOP, pushed("trades", deal())):
        for frame in contract.traded(good):
            with pytest.raises(VenueError):
                session().receive(frame, AT)


def test_the_mimic_answers_only_what_was_asked() -> None:
    mimic, live = okx.Mimic(FEEDS), session()
    acknowledgements = [answer for asked in live.open() for answer in mimic.hear(asked.data, AT)]
    assert [json.loads(a)["arg"] for a in acknowledgements] == [
        arg for asked in live.open() for arg in json.loads(asked.data)["args"]
    ]
    assert mimic.hear("ping", AT) == ["pong"]
    assert mimic.greet("/ws/v5/public", AT) == mimic.heartbeat(AT) == []
    for answer in (*acknowledgements, "pong"):
        assert live.receive(answer.encode(), AT) == []
    for wrong in ("no json", '{"op":"subscribe","args":[{"channel":"trades","instId":"XRP-EUR"}]}'):
        (answer,) = mimic.hear(wrong, AT)
        with pytest.raises(VenueError, match="VENUE_ERROR"):
            live.receive(answer.encode(), AT)


def test_the_session_for_an_address(contract: Any) -> None:
    retired = okx.session_for("wss://real.okex.com:8443/ws/v3", FEEDS)
    assert contract.refusal(retired, TOP) == Refusal.OLD_DIALECT
    assert okx.session_for("", FEEDS).receive(TOP, AT) == session().receive(TOP, AT)
