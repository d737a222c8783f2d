"""dYdX v4: payloads as the documentation writes them, what is refused, and the recordings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oracle.collectors import tape
from oracle.core.types import BookTop, Side, Ticker, TickerKind, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, dydx_v4

AT_MS = 1_760_000_000_000
AT = AT_MS * 1_000_000
ISO = "2025-10-09T08:53:20.000Z"
FEEDS = (base.Feed(2, "BTC-USD"), base.Feed(7, "ETH-USD"))
DEAL = {"id": "02b6148d", "size": "0.12", "price": "60000.5", "side": "BUY", "createdAt": ISO, "type": "LIMIT"}
BOOK = {"bids": [{"price": "60000", "size": "2"}], "asks": [{"price": "60001", "size": "3"}]}


def dump(**fields: Any) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def subscribed(number: int = 1, channel: str = "v4_orderbook", contents: object = BOOK, **id: str) -> bytes:
    named = id or ({} if channel == "v4_markets" else {"id": "BTC-USD"})
    head = {"type": "subscribed", "connection_id": "d600a0d2", "message_id": number, "channel": channel}
    return dump(**head, **named, contents=contents)


def update(contents: object, number: int = 2, channel: str = "v4_orderbook", **id: str) -> bytes:
    named = id or ({} if channel == "v4_markets" else {"id": "BTC-USD"})
    head = {"type": "channel_data", "connection_id": "d600a0d2", "message_id": number}
    return dump(**head, **named, channel=channel, version="1.0.0", contents=contents)


def delta(number: int = 2, **sides: Any) -> bytes:
    return update(sides or {"bids": [["60000.5", "1.5"]]}, number)


def trade(number: int = 2, **other: Any) -> bytes:
    return update({"trades": [DEAL | other]}, number, "v4_trades")


def session() -> dydx_v4.Session:
    return dydx_v4.Session(FEEDS)


def keeping() -> dydx_v4.Session:
    live = session()
    assert live.receive(subscribed(), AT) == [top(60000.0, 2.0, 60001.0, 3.0)]
    return live


def top(bid: float, bid_size: float, ask: float, ask_size: float) -> BookTop:
    return BookTop(2, bid, bid_size, ask, ask_size, 0, AT)


def test_it_asks_for_the_books_the_trades_and_the_markets() -> None:
    assert session().url() == "wss://indexer.dydx.trade/v4/ws"
    asked = [json.loads(send.data) for send in session().open()]
    assert [(a["type"], a["channel"], a.get("id")) for a in asked] == [
        ("subscribe", "v4_orderbook", "BTC-USD"),
        ("subscribe", "v4_trades", "BTC-USD"),
        ("subscribe", "v4_orderbook", "ETH-USD"),
        ("subscribe", "v4_trades", "ETH-USD"),
        ("subscribe", "v4_markets", None),
    ]


def test_the_book_is_kept_and_its_top_stated_at_every_change() -> None:
    live = keeping()
    assert live.receive(delta(), AT) == [top(60000.5, 1.5, 60001.0, 3.0)]
    assert live.receive(delta(3, asks=[["60000.2", "1"], ["60001", "0"]]), AT) == [top(60000.5, 1.5, 60000.2, 1.0)]
    gone = delta(4, bids=[["60000.5", "0"], ["60000", "0"]], asks=[])
    assert live.receive(gone, AT) == [top(0.0, 0.0, 60000.2, 1.0)]
    batch = json.loads(delta(5)) | {"type": "channel_batch_data"}
    batch["contents"] = [{"bids": [["59999", "1"]]}, {"bids": [["59999", "2"]]}]
    assert live.receive(dump(**batch), AT) == [top(59999.0, 1.0, 60000.2, 1.0), top(59999.0, 2.0, 60000.2, 1.0)]
    spaced = json.dumps(json.loads(delta(6))).replace("{", "{ ", 1).encode()
    assert live.receive(spaced, AT) == [top(60000.5, 1.5, 60000.2, 1.0)]


def test_live_trades_count_but_not_past_ones_nor_deleveragings() -> None:
    expected = Trade(2, 60000.5, 0.12, Side.BUY, AT, AT)
    assert session().receive(trade(), AT) == [expected]
    untyped = {k: v for k, v in DEAL.items() if k != "type"} | {"side": "SELL"}
    both = update({"trades": [DEAL | {"type": "DELEVERAGED"}, untyped]}, 2, "v4_trades")
    assert session().receive(both, AT) == [Trade(2, 60000.5, 0.12, Side.SELL, AT, AT)]
    assert session().receive(subscribed(1, "v4_trades", {"trades": [DEAL]}), AT) == []


def test_the_oracle_price_is_the_index() -> None:
    market = {"ticker": "BTC-USD", "oraclePrice": "60002.5", "nextFundingRate": "-0.00001", "status": "ACTIVE"}
    first = subscribed(1, "v4_markets", {"markets": {"BTC-USD": market, "XRP-USD": {"oraclePrice": "0"}}})
    index, funding = Ticker(2, TickerKind.INDEX, 60002.5, 0, AT), Ticker(2, TickerKind.FUNDING, -0.00001, 0, AT)
    assert session().receive(first, AT) == [index, funding]
    prices = {"BTC-USD": {"oraclePrice": "60002.5", "effectiveAt": ISO, "marketId": 0}}
    later = update({"trading": {"ETH-USD": {"openInterest": "1"}}, "oraclePrices": prices}, 2, "v4_markets")
    assert session().receive(later, AT) == [Ticker(2, TickerKind.INDEX, 60002.5, AT, AT)]


def test_only_acknowledgements_may_be_late(contract: Any) -> None:
    live = session()
    assert live.receive(dump(type="connected", connection_id="d6", message_id=0), AT) == []
    assert live.receive(subscribed(1), AT) == [top(60000.0, 2.0, 60001.0, 3.0)]
    assert live.receive(delta(4), AT) == [top(60000.5, 1.5, 60001.0, 3.0)]
    assert live.receive(subscribed(3, "v4_trades", {"trades": []}), AT) == []
    assert live.receive(subscribed(2, "v4_markets", {"markets": {}}), AT) == []
    assert contract.refusal(live, delta(8)) == Refusal.SEQUENCE_GAP  # two acknowledgements cannot be three messages
    assert contract.refusal(live, delta(9)) == Refusal.NO_SNAPSHOT
    assert live.receive(dump(type="connected", connection_id="d7", message_id=0), AT) == []
    assert live.receive(subscribed(1), AT) == [top(60000.0, 2.0, 60001.0, 3.0)]


@pytest.mark.parametrize("number", [1, 0])
def test_a_number_twice_is_a_gap(contract: Any, number: int) -> None:
    live = keeping()
    assert contract.refusal(live, delta(number)) == Refusal.SEQUENCE_GAP
    assert contract.refusal(live, delta(2)) == Refusal.NO_SNAPSHOT


def test_a_number_still_missing_when_all_is_acknowledged_is_a_gap(contract: Any) -> None:
    live = dydx_v4.Session(FEEDS[:1])
    live.open()
    assert live.receive(subscribed(1), AT)
    assert live.receive(subscribed(3, "v4_trades", {"trades": []}), AT) == []
    assert contract.refusal(live, subscribed(4, "v4_markets", {"markets": {}})) == Refusal.SEQUENCE_GAP


def test_a_refused_change_ends_the_book(contract: Any) -> None:
    live = keeping()
    assert contract.refusal(live, delta(2, bids=[["0", "1"]])) == Refusal.NOT_POSITIVE
    assert contract.refusal(live, delta(3)) == Refusal.NO_SNAPSHOT
    assert contract.refusal(live, subscribed(4, contents={"bids": [{"price": "1", "size": "-1"}]}))
    assert contract.refusal(live, delta(5)) == Refusal.NO_SNAPSHOT
    assert live.receive(dump(type="unsubscribed", message_id=6, channel="v4_orderbook", id="BTC-USD"), AT) == []
    assert live.receive(subscribed(7), AT) == [top(60000.0, 2.0, 60001.0, 3.0)]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (dump(type="error", message="Invalid channel", message_id=1), Refusal.VENUE_ERROR),
        (dump(type="pong", message_id=2), Refusal.UNKNOWN_MESSAGE),
        (subscribed(2, "v4_candles", {}), Refusal.UNKNOWN_MESSAGE),
        (update({}, 2, "v4_candles"), Refusal.UNKNOWN_MESSAGE),
        (dump(type="subscribed", message_id=2, channel="v4_trades", contents={}), Refusal.UNKNOWN_MESSAGE),
        (b"{}", Refusal.WRONG_SHAPE),
        (b"[]", Refusal.WRONG_SHAPE),
        (b"", Refusal.NOT_JSON),
        (update({}, id="XRP-USD"), Refusal.UNKNOWN_SYMBOL),
        (subscribed(2, id="XRP-USD"), Refusal.UNKNOWN_SYMBOL),
        (trade(side="buy"), Refusal.WRONG_SHAPE),
        (trade(size="0"), Refusal.NOT_POSITIVE),
        (trade(createdAt="1760000000"), Refusal.TIME_UNIT),
        (delta(bids=[["60000", "-1"]]), Refusal.NOT_POSITIVE),
        (update({"trading": {"BTC-USD": {"oraclePrice": "0"}}}, 2, "v4_markets"), Refusal.NOT_POSITIVE),
        (update({"trading": {"BTC-USD": {"nextFundingRate": "2"}}}, 2, "v4_markets"), Refusal.NOT_A_NUMBER),
    ],
)
def test_what_is_refused_by_name(contract: Any, frame: bytes, reason: Refusal) -> None:
    assert contract.refusal(keeping(), frame) == reason


def test_no_key_said_twice_hides_behind_one_left_out(contract: Any) -> None:
    untyped = update({"trades": [{k: v for k, v in DEAL.items() if k != "type"}]}, 2, "v4_trades")
    market = update({"trading": {"BTC-USD": {"oraclePrice": "1"}}}, 2, "v4_markets")
    for frame in (delta(), delta(bids=[["1", "1"]], asks=[]), trade(), untyped, market):
        assert contract.refusal(keeping(), contract.doubled(frame, b"message_id")) == Refusal.DUPLICATE_KEY
        for bad in contract.traded(frame):
            with pytest.raises(VenueError):
                keeping().receive(bad, AT)


def test_the_mimic_answers_only_what_was_asked(contract: Any) -> None:
    mimic, live = dydx_v4.Mimic(FEEDS), session()
    heard = mimic.greet("/v4/ws", AT)
    for send in live.open():
        heard += mimic.hear(send.data, AT)
    assert [json.loads(a)["message_id"] for a in heard] == [0, 1, 2, 3, 4, 5]
    empty = [BookTop(n, 0.0, 0.0, 0.0, 0.0, 0, AT) for n in (2, 7)]
    assert [event for answer in heard for event in live.receive(answer.encode(), AT)] == empty
    facts = [top(1.0, 2.0, 3.0, 4.0), top(1.0, 5.0, 2.5, 4.0), top(0.0, 0.0, 2.5, 1.0)]
    contract.round_trip(live, mimic, facts)
    (left,) = mimic.hear('{"type":"unsubscribe","channel":"v4_orderbook","id":"BTC-USD"}', AT)
    assert live.receive(left.encode(), AT) == []
    (again,) = mimic.hear(live.open()[0].data, AT)
    assert live.receive(again.encode(), AT) == [facts[-1]]
    assert mimic.heartbeat(AT) == []
    for wrong in ('{"type":"hello"}', '{"type":"subscribe","channel":"v4_trades","id":"XRP-USD"}'):
        (answer,) = mimic.hear(wrong, AT)
        with pytest.raises(VenueError, match="VENUE_ERROR"):
            live.receive(answer.encode(), AT)


@pytest.mark.data
def test_the_numbers_of_the_recording_have_no_gap_but_late_acknowledgements(data: Path) -> None:
    frames = [f for f in tape.read(data / "frames" / "dydx.ws.1.0.txt.gz") if f.direction is tape.Direction.RECEIVED]
    asked = 20  # subscriptions of this recording
    live = dydx_v4.Session([base.Feed(n, str(n)) for n in range(asked // 2)])
    for frame in frames:
        said = json.loads(frame.data)
        form = {"type": said["type"], "connection_id": "", "message_id": said["message_id"], "channel": "v4_markets"}
        assert live.receive(dump(**form, version="", contents={}), 0) == []
