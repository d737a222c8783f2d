"""Coinbase's international perpetuals: the stream of today, the dialect of INTX as it was documented and captured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oracle.collectors import tape
from oracle.core.types import BookTop, Side, Ticker, TickerKind, Trade
from oracle.errors import Refusal
from oracle.venues import base, coinbase_intl

AT_MS = 1_760_000_000_000
AT = AT_MS * 1_000_000
ISO = "2025-10-09T08:53:20Z"
NAME = "BTC_USDC-PERPETUAL"
FEEDS = [base.Feed(3, NAME), base.Feed(5, "ETH_USDC-PERPETUAL")]
OLD = [base.Feed(3, "BTC-PERP")]
INTX = "wss://ws-md.international.coinbase.com"


def dump(**fields: Any) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def notice(channel: str, data: object) -> bytes:
    return dump(jsonrpc="2.0", method="subscription", params={"channel": channel, "data": data})


def said(channel: str, kind: str = "UPDATE", **other: Any) -> bytes:
    head = {"sequence": 106920921, "channel": channel, "type": kind, "time": ISO, "product_id": "BTC-PERP"}
    return dump(**{key: value for key, value in (head | other).items() if value is not ...})


def level1(**other: Any) -> bytes:
    fields = {"bid_price": "60000.5", "bid_qty": "1.5", "ask_price": "60000.6", "ask_qty": "2"}
    return said("LEVEL1", **(fields | other))


def match(**other: Any) -> bytes:
    fields = {"match_id": "374491", "trade_price": "60000.5", "trade_qty": "0.25", "aggressor_side": "SELL"}
    return said("MATCH", **(fields | other))


def session() -> coinbase_intl.Session:
    return coinbase_intl.Session(FEEDS)


def old() -> base.Session:
    return coinbase_intl.session_for(INTX, OLD)


def test_it_dials_the_public_stream_and_asks_for_everything_without_a_login() -> None:
    assert session().url() == "wss://streams.drb.coinbase.com/ws/api/v2"
    asked = [json.loads(send.data) for send in session().greet(AT)]
    assert [call["method"] for call in asked] == ["public/set_heartbeat", "public/subscribe"]
    assert asked[1]["params"]["channels"][:3] == [f"quote.{NAME}", f"trades.{NAME}.100ms", f"ticker.{NAME}.100ms"]


def test_it_gives_a_sign_of_life_well_before_the_line_is_closed() -> None:
    assert session().ping_ms < 30_000
    (alive,) = session().idle(AT)
    assert json.loads(alive.data)["method"] == "public/test"
    (answer,) = coinbase_intl.Mimic(FEEDS).hear(alive.data, AT)
    assert session().receive(answer.encode(), AT) == []


def test_a_quote_a_trade_and_a_ticker_are_read_as_deribit_says_them() -> None:
    quote = {
        "timestamp": AT_MS, "instrument_name": NAME, "best_ask_price": 60000.6, "best_bid_price": 60000.5,
        "best_ask_amount": 0.0136, "best_bid_amount": 0.0407,
    }  # fmt: skip
    assert session().receive(notice(f"quote.{NAME}", quote), AT) == [
        BookTop(3, 60000.5, 0.0407, 60000.6, 0.0136, AT, AT)
    ]
    state = {"timestamp": AT_MS, "instrument_name": NAME, "mark_price": 60000.1, "index_price": 60000.4}
    assert session().receive(notice(f"ticker.{NAME}.100ms", state | {"current_funding": 0.00001}), AT) == [
        Ticker(3, TickerKind.MARK, 60000.1, AT, AT),
        Ticker(3, TickerKind.INDEX, 60000.4, AT, AT),
        Ticker(3, TickerKind.FUNDING, 0.00001, AT, AT),
    ]


def test_a_channel_that_was_not_granted_and_a_refusal_are_the_venues_error(contract: Any) -> None:
    refused = dump(jsonrpc="2.0", id=1, error={"code": -32601, "message": "method not in allowlist"})
    assert contract.refusal(session(), refused) == Refusal.VENUE_ERROR
    assert contract.refusal(session(), dump(jsonrpc="2.0", id=1, result=[f"quote.{NAME}"])) == Refusal.VENUE_ERROR


def test_the_mimic_answers_what_is_asked() -> None:
    mimic, live = coinbase_intl.Mimic(FEEDS), session()
    for send in live.greet(AT):
        for answer in mimic.hear(send.data, AT):
            assert live.receive(answer.encode(), AT) == []


def test_rest_states_the_top_under_coinbases_address() -> None:
    asked = session().poll(NAME)
    assert asked is not None
    assert asked.url == f"https://drb.coinbase.com/api/v2/public/get_order_book?instrument_name={NAME}&depth=1"
    said = {"best_bid_price": 60000.5, "best_bid_amount": 1.5, "best_ask_price": 60000.6, "best_ask_amount": 2.0}
    body = dump(jsonrpc="2.0", result=said | {"timestamp": AT_MS, "instrument_name": NAME})
    assert session().polled(asked, body, AT) == [BookTop(3, 60000.5, 1.5, 60000.6, 2.0, AT, AT)]


def test_the_session_is_of_the_address() -> None:
    assert isinstance(coinbase_intl.session_for("wss://ws-md.n5e2.coinbase.com", OLD), coinbase_intl.International)
    assert isinstance(coinbase_intl.session_for("", FEEDS), coinbase_intl.Session)
    assert old().url() == INTX
    assert old().open() == []


def test_of_intx_level_one_is_the_whole_top() -> None:
    whole = [BookTop(3, 60000.5, 1.5, 60000.6, 2.0, AT, AT)]
    assert old().receive(level1(), AT) == whole
    assert old().receive(level1(type="SNAPSHOT"), AT) == whole
    assert old().receive(json.dumps(json.loads(level1())).encode(), AT) == whole
    assert old().receive(level1(bid_price=..., bid_qty=...), AT) == [BookTop(3, 0.0, 0.0, 60000.6, 2.0, AT, AT)]
    assert old().receive(level1(ask_price="", ask_qty="0"), AT) == [BookTop(3, 60000.5, 1.5, 0.0, 0.0, AT, AT)]


def test_of_intx_a_match_is_a_trade_and_a_snapshot_one_of_the_past() -> None:
    sold = Trade(3, 60000.5, 0.25, Side.SELL, AT, AT)
    assert old().receive(match(), AT) == [sold]
    assert old().receive(json.dumps(json.loads(match())).encode(), AT) == [sold]
    assert old().receive(match(aggressor_side="BUY"), AT) == [Trade(3, 60000.5, 0.25, Side.BUY, AT, AT)]
    assert old().receive(match(aggressor_side="OPENING_FILL"), AT) == [Trade(3, 60000.5, 0.25, Side.UNKNOWN, AT, AT)]
    assert old().receive(match(type="SNAPSHOT"), AT) == []


def test_of_intx_risk_and_funding_are_stated() -> None:
    assert old().receive(said("RISK", index_price="60000.4", mark_price="60000.1", limit_up="1"), AT) == [
        Ticker(3, TickerKind.MARK, 60000.1, AT, AT),
        Ticker(3, TickerKind.INDEX, 60000.4, AT, AT),
    ]
    assert old().receive(said("FUNDING", funding_rate="-0.000017", is_final=True), AT) == [
        Ticker(3, TickerKind.FUNDING, -0.000017, AT, AT)
    ]
    assert old().receive(dump(channels=[], authenticated=True, channel="SUBSCRIPTIONS", type="SNAPSHOT"), AT) == []


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (dump(channel="SUBSCRIPTIONS", type="REJECT", reason="UNAUTHORIZED", message="x"), Refusal.VENUE_ERROR),
        (said("LEVEL2", changes=[["BUY", "0.3444", "15468"]]), Refusal.UNKNOWN_MESSAGE),
        (b"{}", Refusal.UNKNOWN_MESSAGE),
        (b"[]", Refusal.WRONG_SHAPE),
        (level1(product_id="SOL-PERP"), Refusal.UNKNOWN_SYMBOL),
        (level1(bid_price="-1"), Refusal.NOT_POSITIVE),
        (level1(time="2025-10-09"), Refusal.TIME_UNIT),
        (match(trade_qty="0"), Refusal.NOT_POSITIVE),
        (match(type="DELTA"), Refusal.WRONG_SHAPE),
        (said("RISK", product_id="SOL-PERP"), Refusal.UNKNOWN_SYMBOL),
        (said("FUNDING", funding_rate="2"), Refusal.NOT_A_NUMBER),
    ],
)
def test_of_intx_what_is_refused_by_name(contract: Any, frame: bytes, reason: Refusal) -> None:
    assert contract.refusal(old(), frame) == reason


def test_of_intx_a_key_said_twice_is_refused(contract: Any) -> None:
    for good, key in ((level1(), b"bid_qty"), (level1(ask_price=...), b"bid_qty"), (match(), b"trade_price")):
        assert contract.refusal(old(), contract.doubled(good, key)) == Refusal.DUPLICATE_KEY


@pytest.mark.data
def test_captured_payloads_are_read_or_refused_by_name(contract: Any, data: Path) -> None:
    frames = list(tape.read(data / "payloads" / "coinbase-international.jsonl"))
    symbols = sorted({json.loads(frame.data)["product_id"] for frame in frames})
    live = coinbase_intl.session_for(INTX, [base.Feed(n, symbol) for n, symbol in enumerate(symbols)])
    assert contract.conform(live, frames) == {
        "frames": 8,
        "BookTop": 1,
        "Trade": 1,
        "Ticker": 6,
        Refusal.UNKNOWN_MESSAGE: 2,  # deltas of a book, and the snapshot before them
    }
