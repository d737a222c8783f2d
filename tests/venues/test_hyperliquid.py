"""Hyperliquid: payloads as the documentation writes them, what is refused, and the captures."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oracle.core.types import BookTop, Side, Ticker, TickerKind, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, hyperliquid

AT_MS = 1_760_000_000_000
AT = AT_MS * 1_000_000
FEEDS = (base.Feed(2, "BTC"), base.Feed(7, "xyz:GOLD"), base.Feed(9, "@107"))
BID = {"px": "60000.5", "sz": "1.5", "n": 3}
ASK = {"px": "60001.0", "sz": "2.0", "n": 1}
DEAL = {
    "coin": "BTC", "side": "A", "px": "60000.5", "sz": "0.12", "time": AT_MS, "hash": "0xdde3", "tid": 118906512,
    "users": ["0x01", "0x02"],
}  # fmt: skip
CONTEXT = {
    "funding": "-0.0000125", "openInterest": "688.11", "prevDayPx": "15.322", "dayNtlVlm": "1169046.29",
    "premium": None, "oraclePx": "60002.5", "markPx": "60000.5", "midPx": "60000.75", "impactPxs": ["1", "2"],
}  # fmt: skip


def message(channel: str, data: object) -> bytes:
    return json.dumps({"channel": channel, "data": data}, separators=(",", ":")).encode()


def bbo(bid: object = BID, ask: object = ASK, coin: str = "BTC", time: object = AT_MS) -> bytes:
    return message("bbo", {"coin": coin, "time": time, "bbo": [bid, ask]})


def trades(*deals: dict[str, Any]) -> bytes:
    return message("trades", list(deals))


def context(channel: str = "activeAssetCtx", coin: str = "BTC", **other: Any) -> bytes:
    return message(channel, {"coin": coin, "ctx": CONTEXT | other})


def acknowledgement(kind: str, coin: str = "BTC") -> bytes:
    asked = {"method": "subscribe", "subscription": {"type": kind, "coin": coin}}
    return message("subscriptionResponse", asked)


def session() -> hyperliquid.Session:
    return hyperliquid.Session(FEEDS)


def test_it_asks_for_three_channels_of_every_coin() -> None:
    assert session().url() == "wss://api.hyperliquid.xyz/ws"
    asked = [json.loads(send.data) for send in session().open()]
    assert all(a["method"] == "subscribe" for a in asked)
    assert [(a["subscription"]["type"], a["subscription"]["coin"]) for a in asked] == [
        (channel, coin) for coin in ("BTC", "xyz:GOLD", "@107") for channel in ("bbo", "trades", "activeAssetCtx")
    ]
    assert session().idle(AT) == [base.Send('{"method":"ping"}')]
    assert session().ping_ms < 60_000


def test_a_bbo_is_a_top() -> None:
    assert session().receive(bbo(), AT) == [BookTop(2, 60000.5, 1.5, 60001.0, 2.0, AT, AT)]
    assert session().receive(bbo(bid=None), AT) == [BookTop(2, 0.0, 0.0, 60001.0, 2.0, AT, AT)]
    assert session().receive(bbo(None, None), AT) == [BookTop(2, 0.0, 0.0, 0.0, 0.0, AT, AT)]
    assert session().receive(bbo(ASK, BID), AT) == [BookTop(2, 60001.0, 2.0, 60000.5, 1.5, AT, AT)]
    assert session().receive(bbo(coin="xyz:GOLD"), AT) == [BookTop(7, 60000.5, 1.5, 60001.0, 2.0, AT, AT)]
    spaced = json.dumps(dict(reversed(json.loads(bbo()).items()))).encode()
    assert session().receive(spaced, AT) == session().receive(bbo(), AT)


def test_trades() -> None:
    bought = {k: v for k, v in DEAL.items() if k != "users"} | {"side": "B", "time": AT_MS - 5}
    expected = [Trade(2, 60000.5, 0.12, Side.SELL, AT, AT), Trade(2, 60000.5, 0.12, Side.BUY, AT - 5_000_000, AT)]
    assert session().receive(trades(DEAL, bought), AT) == expected
    spaced = json.dumps(dict(reversed(json.loads(trades(DEAL, bought)).items()))).encode()
    assert session().receive(spaced, AT) == expected


def test_what_happened_before_the_subscription_is_past() -> None:
    live = session()
    assert live.receive(acknowledgement("trades"), AT + 500) == []
    old, other = DEAL | {"time": AT_MS - 1}, DEAL | {"time": AT_MS - 1, "coin": "xyz:GOLD"}
    assert live.receive(trades(old, DEAL, other), AT) == [
        Trade(2, 60000.5, 0.12, Side.SELL, AT, AT),
        Trade(7, 60000.5, 0.12, Side.SELL, AT - 1_000_000, AT),
    ]


def test_a_context_is_mark_index_and_funding() -> None:
    assert session().receive(context(), AT) == [
        Ticker(2, TickerKind.MARK, 60000.5, 0, AT),
        Ticker(2, TickerKind.INDEX, 60002.5, 0, AT),
        Ticker(2, TickerKind.FUNDING, -0.0000125, 0, AT),
    ]
    spot = message("activeSpotAssetCtx", {"coin": "@107", "ctx": {"prevDayPx": "24.5", "markPx": "24.6"}})
    assert session().receive(spot, AT) == [Ticker(9, TickerKind.MARK, 24.6, 0, AT)]


def test_what_is_no_fact_is_nothing() -> None:
    for benign in (
        b'{"channel":"pong"}',
        acknowledgement("bbo"),
        acknowledgement("trades", "XRP"),
        message("subscriptionResponse", None),
    ):
        assert session().receive(benign, AT) == []


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (message("error", "Invalid subscription"), Refusal.VENUE_ERROR),
        (message("l2Book", {"coin": "BTC"}), Refusal.UNKNOWN_MESSAGE),
        (b'{"channel":["bbo"]}', Refusal.UNKNOWN_MESSAGE),
        (b"{}", Refusal.UNKNOWN_MESSAGE),
        (b"[]", Refusal.WRONG_SHAPE),
        (b"Websocket connection established.", Refusal.NOT_JSON),
        (bbo(coin="ETH"), Refusal.UNKNOWN_SYMBOL),
        (trades(DEAL | {"coin": "ETH"}), Refusal.UNKNOWN_SYMBOL),
        (context(coin="ETH"), Refusal.UNKNOWN_SYMBOL),
        (trades(DEAL | {"side": "S"}), Refusal.WRONG_SHAPE),
        (trades(DEAL | {"sz": "0"}), Refusal.NOT_POSITIVE),
        (bbo(BID | {"sz": "-1"}), Refusal.NOT_POSITIVE),
        (message("bbo", {"coin": "BTC", "time": AT_MS, "bbo": [BID]}), Refusal.WRONG_SHAPE),
        (context(markPx="0"), Refusal.NOT_POSITIVE),
        (context(funding="1.5"), Refusal.NOT_A_NUMBER),
        (context(markPx=None), Refusal.WRONG_SHAPE),
        (bbo(time=AT_MS // 1000), Refusal.TIME_UNIT),
    ],
)
def test_what_is_refused_by_name(contract: Any, frame: bytes, reason: Refusal) -> None:
    assert contract.refusal(session(), frame) == reason


def test_no_key_said_twice_hides_behind_one_left_out(contract: Any) -> None:
    without = {k: v for k, v in DEAL.items() if k != "users"}
    for frame in (bbo(), bbo(ask=None), trades(DEAL), trades(without), trades(without, DEAL), context()):
        assert contract.refusal(session(), contract.doubled(frame, b"coin")) == Refusal.DUPLICATE_KEY
        for bad in contract.traded(frame):
            with pytest.raises(VenueError):
                session().receive(bad, AT)


def test_the_mimic_answers_only_what_was_asked() -> None:
    mimic, live = hyperliquid.Mimic(FEEDS), session()
    asked = [json.loads(send.data) for send in live.open()]
    heard = [answer for send in live.open() for answer in mimic.hear(send.data, AT)]
    assert [json.loads(answer)["data"] for answer in heard] == asked
    assert mimic.greet("/ws", AT) == mimic.heartbeat(AT) == []
    for answer in (*heard, *mimic.hear(live.idle(AT)[0].data, AT)):
        assert live.receive(answer.encode(), AT) == []
    for wrong in ('{"method":"post"}', '{"method":"subscribe","subscription":{"type":"bbo","coin":"ETH"}}'):
        (answer,) = mimic.hear(wrong, AT)
        with pytest.raises(VenueError, match="VENUE_ERROR"):
            live.receive(answer.encode(), AT)
