"""Deribit: payloads as the documentation writes them, what is refused, and the recordings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oracle.core.types import BookTop, Side, Ticker, TickerKind, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, deribit

AT_MS = 1_760_000_000_000
AT = AT_MS * 1_000_000
NAME = "BTC-PERPETUAL"
TRADED = (base.Feed(2, NAME), base.Feed(7, "ETH_USDC-PERPETUAL"))
FEEDS = (*TRADED, base.Feed(9, "btc_usd"))
QUOTE = {
    "timestamp": AT_MS, "instrument_name": NAME, "best_bid_price": 60000.5, "best_bid_amount": 40.0,
    "best_ask_price": 60001.0, "best_ask_amount": 50.0,
}  # fmt: skip
DEAL = {
    "trade_seq": 30289442, "trade_id": "48079269", "timestamp": AT_MS, "tick_direction": 2, "price": 60000.5,
    "mark_price": 60000.1, "instrument_name": NAME, "index_price": 60002.0, "direction": "sell", "amount": 30.0,
}  # fmt: skip
TICKER = {
    "timestamp": AT_MS, "stats": {"volume": 7871.0, "low": 35213.5}, "state": "open", "mark_price": 60000.1,
    "last_price": 60000.5, "instrument_name": NAME, "index_price": 60002.0, "funding_8h": 0.0000211,
    "current_funding": -0.00001, "best_bid_price": 1.0, "best_bid_amount": 1.0,
}  # fmt: skip


def dump(**fields: Any) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def notice(channel: str, data: object) -> bytes:
    return dump(jsonrpc="2.0", method="subscription", params={"channel": channel, "data": data})


def quote(**other: Any) -> bytes:
    return notice(f"quote.{NAME}", QUOTE | other)


def trades(*deals: dict[str, Any]) -> bytes:
    return notice(f"trades.{NAME}.100ms", list(deals))


def ticker(**other: Any) -> bytes:
    return notice(f"ticker.{NAME}.100ms", TICKER | other)


def index(**other: Any) -> bytes:
    said = {"timestamp": AT_MS, "price": 60002.5, "index_name": "btc_usd"} | other
    return notice("deribit_price_index.btc_usd", said)


def session() -> deribit.Session:
    return deribit.Session(FEEDS)


def test_it_asks_for_heartbeats_and_for_every_channel() -> None:
    assert session().url() == "wss://www.deribit.com/ws/api/v2"
    beat, asked = (json.loads(send.data) for send in session().open())
    assert (beat["method"], beat["params"]) == ("public/set_heartbeat", {"interval": 30})
    assert asked["method"] == "public/subscribe"
    assert asked["params"]["channels"] == [
        "quote.BTC-PERPETUAL", "trades.BTC-PERPETUAL.100ms", "ticker.BTC-PERPETUAL.100ms",
        "quote.ETH_USDC-PERPETUAL", "trades.ETH_USDC-PERPETUAL.100ms", "ticker.ETH_USDC-PERPETUAL.100ms",
        "deribit_price_index.btc_usd",
    ]  # fmt: skip


def test_a_quote_is_a_top() -> None:
    assert session().receive(quote(), AT) == [BookTop(2, 60000.5, 40.0, 60001.0, 50.0, AT, AT)]
    one_sided = quote(best_bid_price=None, best_bid_amount=0.0)
    assert session().receive(one_sided, AT) == [BookTop(2, 0.0, 0.0, 60001.0, 50.0, AT, AT)]
    crossed = quote(best_bid_price=60002)
    assert session().receive(crossed, AT) == [BookTop(2, 60002.0, 40.0, 60001.0, 50.0, AT, AT)]
    spaced = json.dumps(json.loads(quote())).encode()
    assert session().receive(spaced, AT) == session().receive(quote(), AT)


def test_trades_but_not_those_away_from_the_book() -> None:
    block = DEAL | {"block_trade_id": "61"}
    bought = DEAL | {"direction": "buy", "contracts": 3.0, "timestamp": AT_MS - 5}
    assert session().receive(trades(DEAL, block, bought), AT) == [
        Trade(2, 60000.5, 30.0, Side.SELL, AT, AT),
        Trade(2, 60000.5, 30.0, Side.BUY, AT - 5_000_000, AT),
    ]
    old = {k: v for k, v in DEAL.items() if k != "mark_price"}
    assert len(session().receive(trades(old), AT)) == 1


def test_a_ticker_is_mark_index_and_funding() -> None:
    expected = [
        Ticker(2, TickerKind.MARK, 60000.1, AT, AT),
        Ticker(2, TickerKind.INDEX, 60002.0, AT, AT),
        Ticker(2, TickerKind.FUNDING, -0.00001, AT, AT),
    ]
    assert session().receive(ticker(), AT) == expected
    dated = notice(f"ticker.{NAME}.agg2", {k: v for k, v in TICKER.items() if k != "current_funding"})
    assert session().receive(dated, AT) == expected[:2]


def test_an_index_is_an_index() -> None:
    assert session().receive(index(), AT) == [Ticker(9, TickerKind.INDEX, 60002.5, AT, AT)]


def test_the_venue_is_answered_when_it_asks() -> None:
    asked = dump(jsonrpc="2.0", method="heartbeat", params={"type": "test_request"})
    (answer,) = session().receive(asked, AT)
    assert isinstance(answer, base.Send)
    assert json.loads(answer.data)["method"] == "public/test"
    assert session().receive(dump(jsonrpc="2.0", method="heartbeat", params={"type": "heartbeat"}), AT) == []
    assert session().receive(dump(jsonrpc="2.0", id=2, result="ok", usDiff=9), AT) == []


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (dump(jsonrpc="2.0", id=1, error={"code": 13778, "message": "raw_subscriptions"}), Refusal.VENUE_ERROR),
        (dump(jsonrpc="2.0", id=1, result=["quote.BTC-PERPETUAL"]), Refusal.VENUE_ERROR),
        (dump(jsonrpc="2.0", id=1, result="ok"), Refusal.VENUE_ERROR),
        (dump(jsonrpc="2.0", method="public/hello"), Refusal.UNKNOWN_MESSAGE),
        (dump(jsonrpc="2.0", method="subscription"), Refusal.UNKNOWN_MESSAGE),
        (notice("platform_state", {}), Refusal.UNKNOWN_MESSAGE),
        (notice("book.BTC-PERPETUAL.100ms", {}), Refusal.UNKNOWN_MESSAGE),
        (notice("quote.ETH-PERPETUAL", QUOTE), Refusal.UNKNOWN_MESSAGE),
        (notice("trades.BTC-PERPETUAL.1m", [DEAL]), Refusal.UNKNOWN_MESSAGE),
        (notice("deribit_price_index.eth_usd", {"timestamp": 1, "price": 1, "index_name": "btc_usd"}),
         Refusal.UNKNOWN_MESSAGE),
        (notice("quote.XRP", QUOTE | {"instrument_name": "XRP"}), Refusal.UNKNOWN_SYMBOL),
        (index(index_name="eth_usd"), Refusal.UNKNOWN_SYMBOL),
        (index(price=0), Refusal.NOT_POSITIVE),
        (trades(DEAL | {"price": 0}), Refusal.NOT_POSITIVE),
        (trades(DEAL | {"direction": "both"}), Refusal.WRONG_SHAPE),
        (ticker(mark_price=-1), Refusal.NOT_POSITIVE),
        (ticker(current_funding=1.5), Refusal.NOT_A_NUMBER),
        (ticker().replace(b'"low":35213.5', b'"volume":1'), Refusal.DUPLICATE_KEY),
        (b"[]", Refusal.WRONG_SHAPE),
        (b"", Refusal.NOT_JSON),
    ],
)  # fmt: skip
def test_what_is_refused_by_name(contract: Any, frame: bytes, reason: Refusal) -> None:
    assert contract.refusal(session(), frame) == reason


def test_no_key_said_twice_hides_behind_one_left_out(contract: Any) -> None:
    good = (quote(), quote(best_bid_price=None), trades(DEAL), trades(DEAL | {"contracts": 3.0}), index(), ticker())
    for frame in good:
        for key in (b"timestamp", b"channel"):
            assert contract.refusal(session(), contract.doubled(frame, key)) == Refusal.DUPLICATE_KEY
        for bad in contract.traded(frame):
            with pytest.raises(VenueError):
                session().receive(bad, AT)


def test_the_mimic_answers_only_what_was_asked() -> None:
    mimic, live = deribit.Mimic(FEEDS), session()
    heard = [answer for send in live.open() for answer in mimic.hear(send.data, AT)]
    heard += mimic.hear('{"id":3,"method":"public/test","params":{}}', AT) + mimic.heartbeat(AT)
    assert [event for answer in heard for event in live.receive(answer.encode(), AT)] == []
    assert json.loads(heard[1])["result"] == json.loads(live.open()[1].data)["params"]["channels"]
    more = deribit.Session([*FEEDS, base.Feed(11, "XRP_USDC-PERPETUAL")])
    for request in (more.open()[1].data, '{"id":5,"method":"private/buy"}'):
        (answer,) = mimic.hear(request, AT)
        with pytest.raises(VenueError, match="VENUE_ERROR"):
            more.receive(answer.encode(), AT)
