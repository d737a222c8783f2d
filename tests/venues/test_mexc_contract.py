"""MEXC's dialect of perpetuals: payloads as the documentation writes them, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oracle.core.types import BookTop, Side, Ticker, TickerKind, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, mexc_contract

AT_MS = 1_760_000_000_000
AT = AT_MS * 1_000_000
FEEDS = [base.Feed(3, "BTC_USDT"), base.Feed(5, "ETH_USDT")]
DEAL = {"p": 60000.5, "v": 2096, "T": 1, "O": 1, "M": 1, "t": AT_MS + 2, "i": "16270106116"}


def dump(**fields: Any) -> bytes:
    return json.dumps({key: value for key, value in fields.items() if value is not ...}, separators=(",", ":")).encode()


def push(channel: str, data: object, symbol: str = "BTC_USDT", ts: object = AT_MS) -> bytes:
    return dump(channel=channel, data=data, symbol=symbol, ts=ts)


def book(bids: object = ((60000.5, 12, 3), (59999, 1, 1)), asks: object = ((60001, 7, 1),), **other: Any) -> bytes:
    head = {key: other.pop(key) for key in ("symbol", "ts") if key in other}
    return push("push.depth.full", {"asks": asks, "bids": bids, "version": 96801927, **other}, **head)


def deals(*said: dict[str, Any], symbol: str = "BTC_USDT") -> bytes:
    return push("push.deal", list(said), symbol)


def ticker(**other: Any) -> bytes:
    data = {
        "ask1": 60001, "bid1": 60000.5, "contractId": 10, "fairPrice": 60000.75, "fundingRate": -0.0008,
        "high24Price": 61000, "indexPrice": 60002.5, "lastPrice": 60000.5, "symbol": "BTC_USDT", "timestamp": AT_MS - 9,
        "riseFallRates": {"zone": "UTC+8", "r": 0.014},
    }  # fmt: skip
    return push("push.ticker", data | other)


def session() -> mexc_contract.Session:
    return mexc_contract.Session(FEEDS)


def test_three_channels_of_every_contract_are_asked_for_without_compression() -> None:
    live = mexc_contract.session_for("wss://contract.mexc.com/edge", FEEDS)
    assert live.url() == "wss://contract.mexc.com/edge"
    asked = [json.loads(send.data) for send in live.open()]
    assert asked[:3] == [
        {"method": "sub.depth.full", "param": {"symbol": "BTC_USDT", "limit": 5}, "gzip": False},
        {"method": "sub.deal", "param": {"symbol": "BTC_USDT"}, "gzip": False},
        {"method": "sub.ticker", "param": {"symbol": "BTC_USDT"}, "gzip": False},
    ]
    assert [call["param"]["symbol"] for call in asked[3:]] == ["ETH_USDT"] * 3
    again = [json.loads(send.data)["method"] for send in live.resubscribe(["ETH_USDT"])]
    assert again == ["unsub.depth.full", "unsub.deal", "unsub.ticker", "sub.depth.full", "sub.deal", "sub.ticker"]
    assert live.idle(AT) == [base.Send('{"method":"ping"}')]
    assert live.ping_ms <= 20_000


def test_a_book_is_read_from_its_best_levels() -> None:
    assert session().receive(book(), AT) == [BookTop(3, 60000.5, 12.0, 60001.0, 7.0, AT, AT)]
    assert session().receive(book(cts=AT_MS - 4), AT) == session().receive(book(), AT)
    assert session().receive(book(later=AT_MS - 4), AT) == session().receive(book(), AT)
    assert session().receive(book(bids=[]), AT) == [BookTop(3, 0.0, 0.0, 60001.0, 7.0, AT, AT)]
    assert session().receive(book([], []), AT) == [BookTop(3, 0.0, 0.0, 0.0, 0.0, AT, AT)]
    spaced = json.dumps(json.loads(book())).encode()
    assert session().receive(spaced, AT) == session().receive(book(), AT)


def test_deals_come_in_a_list_or_alone() -> None:
    bought = Trade(3, 60000.5, 2096.0, Side.BUY, AT + 2_000_000, AT)
    sold = Trade(3, 60000.5, 2096.0, Side.SELL, AT + 2_000_000, AT)
    assert session().receive(deals(DEAL, DEAL | {"T": 2, "cts": str(AT_MS)}), AT) == [bought, sold]
    assert session().receive(push("push.deal", DEAL), AT) == [bought]
    short = {key: DEAL[key] for key in ("p", "v", "T", "t")}
    assert session().receive(deals(short, DEAL | {"more": 1}), AT) == [bought, bought]
    assert session().receive(deals(), AT) == []
    spaced = json.dumps(json.loads(deals(DEAL))).encode()
    assert session().receive(spaced, AT) == [bought]


def test_a_trade_of_before_the_acknowledgement_is_passed_over() -> None:
    live = session()
    assert live.receive(dump(channel="rs.sub.deal", data="success", ts=AT_MS), AT + 3_500_000) == []
    assert live.receive(deals(DEAL), AT) == []
    assert len(live.receive(deals(DEAL | {"t": AT_MS + 3}), AT)) == 1
    live.open()
    assert len(live.receive(deals(DEAL), AT)) == 1


def test_a_ticker_states_the_mark_the_index_and_the_funding_rate() -> None:
    assert session().receive(ticker(), AT) == [
        Ticker(3, TickerKind.MARK, 60000.75, AT, AT),
        Ticker(3, TickerKind.INDEX, 60002.5, AT, AT),
        Ticker(3, TickerKind.FUNDING, -0.0008, AT, AT),
    ]


@pytest.mark.parametrize("channel", ["rs.sub.depth.full", "rs.unsub.deal"])
def test_what_says_nothing_of_a_market(channel: str) -> None:
    assert session().receive(dump(channel=channel, data="success", ts=AT_MS), AT) == []
    assert session().receive(dump(channel="pong", data=AT_MS, ts=AT_MS), AT) == []


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (dump(channel="rs.error", data="Contract [NOPE_USDT] not exists", ts=AT_MS), Refusal.VENUE_ERROR),
        (dump(channel="rs.sub.deal", data="fail", ts=AT_MS), Refusal.VENUE_ERROR),
        (dump(channel="rs.login", data="success", ts=AT_MS), Refusal.UNKNOWN_MESSAGE),
        (push("push.depth", {"asks": [], "bids": [], "version": 1}), Refusal.UNKNOWN_MESSAGE),
        (book(symbol="XRP_USDT"), Refusal.UNKNOWN_SYMBOL),
        (deals(DEAL, symbol="XRP_USDT"), Refusal.UNKNOWN_SYMBOL),
        (book(ts=AT_MS // 1000), Refusal.TIME_UNIT),
        (deals(DEAL | {"t": AT}), Refusal.TIME_UNIT),
        (book(bids=[[60000.5, 1]]), Refusal.WRONG_SHAPE),
        (book(bids=None), Refusal.WRONG_SHAPE),
        (book(bids=[[-1, 1, 1]]), Refusal.NOT_POSITIVE),
        (deals(DEAL | {"T": 3}), Refusal.WRONG_SHAPE),
        (deals(DEAL | {"v": 0}), Refusal.NOT_POSITIVE),
        (push("push.deal", "none"), Refusal.WRONG_SHAPE),
        (ticker(fundingRate=2), Refusal.NOT_A_NUMBER),
        (ticker(fairPrice=0), Refusal.NOT_POSITIVE),
        (ticker(indexPrice=None), Refusal.WRONG_SHAPE),
        (b"[]", Refusal.WRONG_SHAPE),
    ],
)
def test_what_is_refused_by_name(contract: Any, frame: bytes, reason: Refusal) -> None:
    assert contract.refusal(session(), frame) == reason


def test_no_key_said_twice_hides_behind_one_left_out(contract: Any) -> None:
    for good in (book(), book(cts=AT_MS), deals(DEAL), deals(DEAL | {"cts": "1"}), push("push.deal", DEAL)):
        assert session().receive(good, AT)
        for key in (b"symbol", b"ts", b"channel"):
            assert contract.refusal(session(), contract.doubled(good, key)) == Refusal.DUPLICATE_KEY
        for frame in contract.traded(good):
            with pytest.raises(VenueError):
                session().receive(frame, AT)


def test_the_mimic_answers_only_what_was_asked() -> None:
    mimic, live = mexc_contract.Mimic(FEEDS), session()
    for send in (*live.open(), *live.idle(AT), *live.resubscribe(["ETH_USDT"])):
        (answer,) = mimic.hear(send.data, AT)
        assert live.receive(answer.encode(), AT) == []
    for ignored in ("no json", dump(method="sub.nope").decode(), dump(method="dance.deal").decode()):
        assert mimic.hear(ignored, AT) == []
    (answer,) = mimic.hear(dump(method="sub.deal", param={"symbol": "NOPE_USDT"}).decode(), AT)
    with pytest.raises(VenueError, match="NOPE_USDT"):
        live.receive(answer.encode(), AT)


def test_rest_states_the_top() -> None:
    live, stands = session(), BookTop(5, 3000.25, 2.0, 3000.5, 1.0, AT, AT)
    asked = live.poll("ETH_USDT")
    assert asked == base.Request("https://api.mexc.com/api/v1/contract/depth/ETH_USDT?limit=5", "ETH_USDT")
    said = {"asks": [[3000.5, 1, 1]], "bids": [[3000.25, 2, 1]], "version": 28111438870, "timestamp": AT_MS}
    assert live.polled(asked, dump(success=True, code=0, data=said), AT) == [stands]
    body = mexc_contract.Mimic(FEEDS).rest("GET", "/api/v1/contract/depth/ETH_USDT?limit=5", AT, {"ETH_USDT": stands})
    assert body is not None
    assert live.polled(asked, body, AT) == [stands]
    with pytest.raises(VenueError, match="VENUE_ERROR"):
        live.polled(asked, dump(success=False, code=1001, message="Contract does not exist!"), AT)
