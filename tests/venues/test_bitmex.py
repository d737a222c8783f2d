"""BitMEX: payloads as the documentation writes them, what is refused, and the recordings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oracle.core.types import BookTop, Side, Ticker, TickerKind, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, bitmex

AT = 1_760_000_000_000 * 1_000_000
ISO = "2025-10-09T08:53:20.000Z"
TRADED = (base.Feed(2, "XBTUSD"), base.Feed(7, "ETHUSD"))
FEEDS = (*TRADED, base.Feed(9, ".BXBT"))
QUOTE = {"timestamp": ISO, "symbol": "XBTUSD", "bidSize": 700, "bidPrice": 60000.5, "askPrice": 60001, "askSize": 300}
DEAL = {
    "timestamp": ISO, "symbol": "XBTUSD", "side": "Sell", "size": 100, "price": 60000.5, "tickDirection": "MinusTick",
    "trdMatchID": "1f3a", "grossValue": 166667, "homeNotional": 0.00166667, "foreignNotional": 100,
}  # fmt: skip


def dump(**fields: Any) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def table(name: str, *rows: dict[str, Any], action: str = "insert", **other: Any) -> bytes:
    return dump(table=name, action=action, **other, data=list(rows))


def quote(**other: Any) -> bytes:
    return table("quote", QUOTE | other)


def trade(**other: Any) -> bytes:
    return table("trade", DEAL | other)


def instrument(**fields: Any) -> bytes:
    return table("instrument", {"symbol": "XBTUSD", **fields}, action="update")


def session() -> bitmex.Session:
    return bitmex.Session(FEEDS)


def test_it_asks_for_the_tables_of_every_market_and_the_values_of_every_index() -> None:
    assert session().url() == "wss://ws.bitmex.com/realtime"
    (send,) = session().open()
    assert json.loads(send.data) == {
        "op": "subscribe",
        "args": [
            "quote:XBTUSD", "trade:XBTUSD", "instrument:XBTUSD",
            "quote:ETHUSD", "trade:ETHUSD", "instrument:ETHUSD", "instrument:.BXBT",
        ],
    }  # fmt: skip
    assert session().idle(AT) == [base.Send("ping")]


def test_a_quote_is_a_top() -> None:
    expected = BookTop(2, 60000.5, 700.0, 60001.0, 300.0, AT, AT)
    assert session().receive(quote(), AT) == [expected]
    first = table("quote", QUOTE, action="partial", keys=[], types={"symbol": "symbol"}, filter={"symbol": "XBTUSD"})
    assert session().receive(first, AT) == [expected]
    assert session().receive(quote(bidPrice=None, bidSize=None), AT) == [BookTop(2, 0.0, 0.0, 60001.0, 300.0, AT, AT)]
    crossed = table("quote", QUOTE, QUOTE | {"bidPrice": 60002})
    assert session().receive(crossed, AT) == [expected, BookTop(2, 60002.0, 700.0, 60001.0, 300.0, AT, AT)]


def test_live_trades_count_and_past_ones_do_not() -> None:
    expected = Trade(2, 60000.5, 100.0, Side.SELL, AT, AT)
    assert session().receive(trade(), AT) == [expected]
    both = table("trade", DEAL | {"trdType": "Regular"}, DEAL | {"side": "Buy", "trdType": "Referential"})
    assert session().receive(both, AT) == [expected]
    assert session().receive(table("trade", DEAL, action="partial", keys=[]), AT) == []
    reordered = dump(action="insert", table="trade", data=[DEAL])
    assert session().receive(reordered, AT) == [expected]


def test_an_instrument_says_what_has_changed() -> None:
    said = instrument(markPrice=60000.1, indicativeSettlePrice=60002, fundingRate=-0.0001, timestamp=ISO)
    assert session().receive(said, AT) == [
        Ticker(2, TickerKind.MARK, 60000.1, AT, AT),
        Ticker(2, TickerKind.INDEX, 60002.0, AT, AT),
        Ticker(2, TickerKind.FUNDING, -0.0001, AT, AT),
    ]
    assert session().receive(instrument(lastPrice=60000, timestamp=ISO), AT) == []
    assert session().receive(instrument(markPrice=60000.1), AT) == [Ticker(2, TickerKind.MARK, 60000.1, 0, AT)]
    index = instrument(lastPrice=60002.5, markPrice=60002.5, timestamp=ISO).replace(b"XBTUSD", b".BXBT")
    assert session().receive(index, AT) == [Ticker(9, TickerKind.INDEX, 60002.5, AT, AT)]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (dump(status=400, error="Unknown table", meta={}, request={}), Refusal.VENUE_ERROR),
        (dump(success=False), Refusal.VENUE_ERROR),
        (table("orderBookL2", action="partial"), Refusal.UNKNOWN_MESSAGE),
        (dump(table=["quote"]), Refusal.UNKNOWN_MESSAGE),
        (b"{}", Refusal.UNKNOWN_MESSAGE),
        (b"[]", Refusal.WRONG_SHAPE),
        (b"ping", Refusal.NOT_JSON),
        (quote(symbol="XRPUSD"), Refusal.UNKNOWN_SYMBOL),
        (instrument(markPrice=1).replace(b"XBTUSD", b"XRPUSD"), Refusal.UNKNOWN_SYMBOL),
        (table("quote", QUOTE, action="delete"), Refusal.WRONG_SHAPE),
        (quote(bidPrice=-1), Refusal.NOT_POSITIVE),
        (trade(size=0), Refusal.NOT_POSITIVE),
        (trade(side=""), Refusal.WRONG_SHAPE),
        (instrument(markPrice=0), Refusal.NOT_POSITIVE),
        (instrument(fundingRate=1), Refusal.NOT_A_NUMBER),
        (instrument(fundingRate="inf"), Refusal.NOT_A_NUMBER),
        (quote(timestamp="2025-10-07T08:53:20.000Z"), Refusal.TIME_UNIT),
        (quote(timestamp=1_760_000_000_000), Refusal.WRONG_SHAPE),
        (quote(timestamp="1760000000000"), Refusal.TIME_UNIT),
    ],
)
def test_what_is_refused_by_name(contract: Any, frame: bytes, reason: Refusal) -> None:
    assert contract.refusal(session(), frame) == reason


def test_no_key_said_twice_hides_behind_one_left_out(contract: Any) -> None:
    for frame in (quote(), quote(bidPrice=None), trade(), trade(trdType="Regular"), instrument(markPrice=1)):
        assert contract.refusal(session(), contract.doubled(frame, b"symbol")) == Refusal.DUPLICATE_KEY
        for bad in contract.traded(frame):
            with pytest.raises(VenueError):
                session().receive(bad, AT)


def test_the_mimic_answers_only_what_was_asked() -> None:
    mimic, live = bitmex.Mimic(FEEDS), session()
    (asked,) = live.open()
    heard = [*mimic.greet("/realtime", AT), *mimic.hear(asked.data, AT), *mimic.hear("ping", AT)]
    assert [event for answer in heard for event in live.receive(answer.encode(), AT)] == []
    granted = [json.loads(answer).get("subscribe") for answer in heard[1:-1]]
    assert granted == json.loads(asked.data)["args"]
    assert mimic.heartbeat(AT) == []
    for wrong in ('{"op":"cancelAll"}', '{"op":"subscribe","args":["quote:XRPUSD"]}'):
        (answer,) = mimic.hear(wrong, AT)
        with pytest.raises(VenueError, match="VENUE_ERROR"):
            live.receive(answer.encode(), AT)
