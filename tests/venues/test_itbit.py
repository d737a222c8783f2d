"""itBit: payloads as the documentation writes them, how a book without numbers is kept honest, what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oracle.core.types import BookTop, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, itbit

AT = 1_760_000_000_000_000_000
FEEDS = [base.Feed(3, "BTCUSD")]


def dump(**fields: Any) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def levels(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"price": price, "amount": amount} for price, amount in pairs]


def snapshot(bids: list[dict[str, str]], asks: list[dict[str, str]], **other: Any) -> bytes:
    return dump(**{"type": "SNAPSHOT", "market": "BTCUSD", "bids": bids, "asks": asks, "final_snapshot": True} | other)


def update(side: str, price: str, amount: str, **other: Any) -> bytes:
    return dump(**{"type": "UPDATE", "market": "BTCUSD", "side": side, "price": price, "amount": amount} | other)


SNAPSHOT = snapshot(levels(("60000.50", "1.5"), ("60000.25", "4")), levels(("60000.75", "2"), ("60001.00", "3")))


def session() -> itbit.Session:
    return itbit.Session(FEEDS)


def standing() -> itbit.Session:
    live = session()
    live.open()
    live.receive(SNAPSHOT, AT)
    return live


def top(bid: float, bid_size: float, ask: float, ask_size: float) -> list[base.Event]:
    return [BookTop(3, bid, bid_size, ask, ask_size, 0, AT)]


def test_the_address_is_the_market_and_nothing_is_said() -> None:
    assert session().url() == "wss://ws.paxos.com/marketdata/BTCUSD"
    assert session().open() == session().idle(AT) == session().resubscribe(["BTCUSD"]) == []
    assert itbit.Session.symbols_max == 1
    with pytest.raises(ValueError, match="one market"):
        itbit.Session([*FEEDS, base.Feed(5, "ETHUSD")])


def test_a_connection_is_given_up_in_time_for_a_fresh_snapshot() -> None:
    assert 0 < itbit.Session.lifetime_ms <= 15 * 60_000


def test_a_snapshot_is_the_whole_book() -> None:
    assert session().receive(SNAPSHOT, AT) == top(60000.5, 1.5, 60000.75, 2.0)
    assert session().receive(snapshot([], levels(("1", "2"))), AT) == top(0.0, 0.0, 1.0, 2.0)
    assert session().receive(snapshot([], [], final_snapshot="true"), AT) == top(0.0, 0.0, 0.0, 0.0)
    live = standing()
    assert live.receive(snapshot(levels(("59000", "1")), []), AT) == top(59000.0, 1.0, 0.0, 0.0)


def test_a_crossed_snapshot_is_what_the_venue_says() -> None:
    assert session().receive(snapshot(levels(("61000", "1")), levels(("60999", "1"))), AT) == top(
        61e3, 1.0, 60999.0, 1.0
    )


def test_updates_change_one_level_and_zero_takes_it_away() -> None:
    live = standing()
    assert live.receive(update("BUY", "60000.50", "0.25"), AT) == top(60000.5, 0.25, 60000.75, 2.0)
    assert live.receive(update("BUY", "60000.50", "0"), AT) == top(60000.25, 4.0, 60000.75, 2.0)
    assert live.receive(update("SELL", "60000.75", "0.00000000"), AT) == top(60000.25, 4.0, 60001.0, 3.0)
    assert live.receive(update("SELL", "60000.30", "1"), AT) == top(60000.25, 4.0, 60000.3, 1.0)
    assert live.receive(update("SELL", "70000", "0"), AT) == top(60000.25, 4.0, 60000.3, 1.0)
    assert live.receive(update("SELL", "70000", "9"), AT) == top(60000.25, 4.0, 60000.3, 1.0)


@pytest.mark.parametrize("frame", [update("BUY", "60000.75", "1"), update("SELL", "60000.1", "1")])
def test_an_update_that_crosses_the_book_says_that_one_before_it_is_lost(contract: Any, frame: bytes) -> None:
    live = standing()
    assert contract.refusal(live, frame) == Refusal.SEQUENCE_GAP
    assert contract.refusal(live, update("BUY", "59000", "1")) == Refusal.NO_SNAPSHOT
    assert live.receive(SNAPSHOT, AT) == top(60000.5, 1.5, 60000.75, 2.0)


def test_no_update_is_believed_before_a_snapshot_or_after_a_new_connection(contract: Any) -> None:
    assert contract.refusal(session(), update("BUY", "60000", "1")) == Refusal.NO_SNAPSHOT
    live = standing()
    live.open()
    assert contract.refusal(live, update("BUY", "60000", "1")) == Refusal.NO_SNAPSHOT


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (update("BUY", "-1", "1"), Refusal.NOT_POSITIVE),
        (update("BUY", "1", "-1"), Refusal.NOT_POSITIVE),
        (update("BOTH", "1", "1"), Refusal.WRONG_SHAPE),
        (update("BUY", "1_000", "1"), Refusal.WRONG_SHAPE),
        (update("BUY", "1", "1", market="ETHUSD"), Refusal.UNKNOWN_SYMBOL),
        (snapshot(levels(("0", "1")), []), Refusal.NOT_POSITIVE),
        (snapshot([], levels(("1", "0"))), Refusal.NOT_POSITIVE),
        (snapshot([], [], market="ETHUSD"), Refusal.UNKNOWN_SYMBOL),
        (update("BUY", "1", "1")[:-1], Refusal.NOT_JSON),
        (b"UPDATE", Refusal.NOT_JSON),
    ],
)
def test_a_frame_that_is_refused_leaves_no_book_behind(contract: Any, frame: bytes, reason: Refusal) -> None:
    live = standing()
    assert contract.refusal(live, frame) == reason
    assert contract.refusal(live, update("BUY", "60000", "1")) == Refusal.NO_SNAPSHOT


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (dump(type="TRADE", market="BTCUSD"), Refusal.UNKNOWN_MESSAGE),
        (b"{}", Refusal.UNKNOWN_MESSAGE),
        (dump(market="BTCUSD", price="1", amount="1", executed_at="x", match_number="1"), Refusal.UNKNOWN_MESSAGE),
        (dump(error="Not Found"), Refusal.VENUE_ERROR),
    ],
)
def test_what_is_not_of_the_book_is_refused_and_the_book_stands(contract: Any, frame: bytes, reason: Refusal) -> None:
    live = standing()
    assert contract.refusal(live, frame) == reason
    assert live.receive(update("BUY", "60000.60", "1"), AT) == top(60000.6, 1.0, 60000.75, 2.0)


def test_a_key_said_twice_is_refused_even_where_one_is_left_out(contract: Any) -> None:
    for good in (update("BUY", "60000", "1"), snapshot(levels(("1", "1")), [])):
        for frame in contract.traded(good):
            live = standing()
            with pytest.raises(VenueError):
                live.receive(frame, AT)


def test_no_more_levels_are_kept_than_any_book_has() -> None:
    live = session()
    most = itbit.KEPT_LEVELS_MAX
    live.receive(snapshot(levels(*((str(price), "1") for price in range(1, most + 1))), []), AT)
    live.receive(update("BUY", str(most + 1), "1"), AT)
    for price in range(most + 1, 1, -1):
        last = live.receive(update("BUY", str(price), "0"), AT)
    assert last == top(0.0, 0.0, 0.0, 0.0)


def test_the_mimic_says_by_an_update_what_one_level_tells_and_nothing_of_trades() -> None:
    mimic, live = itbit.Mimic(FEEDS), session()
    tops = [
        (BookTop(3, 100.0, 1.0, 101.0, 1.0, 0, AT), "SNAPSHOT"),
        (BookTop(3, 100.0, 2.0, 101.0, 1.0, 0, AT), "UPDATE"),
        (BookTop(3, 100.5, 2.0, 101.0, 1.0, 0, AT), "UPDATE"),
        (BookTop(3, 100.5, 2.0, 100.75, 1.0, 0, AT), "UPDATE"),
        (BookTop(3, 100.0, 2.0, 100.75, 1.0, 0, AT), "SNAPSHOT"),
        (BookTop(3, 100.75, 2.0, 100.75, 1.0, 0, AT), "SNAPSHOT"),
        (BookTop(3, 100.75, 2.0, 0.0, 0.0, 0, AT), "SNAPSHOT"),
        (BookTop(3, 100.75, 2.0, 101.0, 1.0, 0, AT), "UPDATE"),
    ]
    for fact, kind in tops:
        (frame,) = mimic.speak(fact)
        assert json.loads(frame)["type"] == kind
        assert live.receive(frame.encode(), AT) == [fact]
    assert mimic.speak(Trade(3, 100.0, 1.0, Side.BUY, AT, AT)) == []
    assert not mimic.states_trades


def test_rest_states_the_top() -> None:
    asked = session().poll("BTCUSD")
    assert asked is not None
    assert asked.url == "https://api.paxos.com/v2/markets/BTCUSD/order-book"
    body = dump(market="BTCUSD", bids=levels(("60000.5", "1.5")), asks=levels(("60000.75", "2")))
    assert session().polled(asked, body, AT) == top(60000.5, 1.5, 60000.75, 2.0)


def test_there_is_one_dialect() -> None:
    assert itbit.session_for("wss://ws.paxos.com/marketdata/BTCUSD", FEEDS).receive(SNAPSHOT, AT)
