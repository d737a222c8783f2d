"""MEXC's spot dialect: protobuf as its specification and the schemas write it, what is refused, and the captures."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from oracle.collectors import tape
from oracle.core.types import BookTop, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, mexc

AT_MS = 1_760_000_000_000
AT = AT_MS * 1_000_000
FEEDS = [base.Feed(3, "BTCUSDT"), base.Feed(5, "ETHUSDT")]
CONTRACTS = [base.Feed(3, "BTC_USDT"), base.Feed(5, "ETH_USDT")]
TICKER, DEALS = "spot@public.aggre.bookTicker.v3.api.pb@10ms@", "spot@public.aggre.deals.v3.api.pb@10ms@"


def varint(value: int) -> bytes:
    """Seven bits a byte, least first, as the specification of protobuf writes it."""
    groups = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])


def field(number: int, value: str | bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def message(**fields: Any) -> bytes:
    """A message of fields `f<number>`, in that order; a list is a repeated field."""
    made = b""
    for name, value in fields.items():
        made += b"".join(field(int(name[1:]), one) for one in (value if isinstance(value, list) else [value]))
    return made


def wrapper(channel: str, symbol: str = "BTCUSDT", sent_ms: int = AT_MS, **body: Any) -> bytes:
    return message(f1=channel + symbol, f3=symbol, f6=sent_ms, **body)


def book(symbol: str = "BTCUSDT", bid: str = "60000.5", ask: str = "60001.0", **other: Any) -> bytes:
    return wrapper(TICKER, symbol, **other, f315=message(f1=bid, f2="1.25", f3=ask, f4="2", f5="36913565463"))


def deal(price: str = "60000.5", size: str = "0.25", kind: int = 1, at_ms: int = AT_MS + 1, **other: Any) -> bytes:
    return message(f1=price, f2=size, f3=kind, f4=at_ms, f5="698165549569396736X0", **other)


def deals(*said: bytes, symbol: str = "BTCUSDT") -> bytes:
    return wrapper(DEALS, symbol, f314=message(f1=list(said), f2="spot@public.aggre.deals.v3.api.pb@10ms"))


def answer(**fields: Any) -> bytes:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def session() -> mexc.Session:
    return mexc.Session(FEEDS)


def test_everything_is_asked_for_in_one_subscription() -> None:
    assert session().url() == "wss://wbs-api.mexc.com/ws"
    (send,) = session().open()
    assert json.loads(send.data) == {
        "method": "SUBSCRIPTION",
        "params": [channel + symbol for symbol in ("BTCUSDT", "ETHUSDT") for channel in (TICKER, DEALS)],
    }
    assert session().idle(AT) == [base.Send('{"method":"PING"}')]
    again = [json.loads(send.data) for send in session().resubscribe(["ETHUSDT"])]
    assert [call["method"] for call in again] == ["UNSUBSCRIPTION", "SUBSCRIPTION"]
    assert [call["params"] for call in again] == [[TICKER + "ETHUSDT", DEALS + "ETHUSDT"]] * 2
    assert 2 * session().symbols_max == 30


def test_there_are_two_markets() -> None:
    with pytest.raises(ValueError, match="spot and contract"):
        mexc.Session(FEEDS, "options")
    assert mexc.session_for("wss://wbs-api.mexc.com/ws", FEEDS).market == "spot"
    live = mexc.session_for("wss://contract.mexc.com/edge", CONTRACTS)
    assert (live.market, live.url()) == ("contract", "wss://contract.mexc.com/edge")
    mimic = mexc.Mimic(CONTRACTS, "contract")
    for send in (*live.open(), *live.idle(AT), *live.resubscribe(["ETH_USDT"])):
        for frame in mimic.hear(send.data, AT):
            assert live.receive(base_bytes(frame), AT) == []
    stands = BookTop(3, 60000.5, 12.0, 60001.0, 7.0, AT, AT)
    assert [e for frame in mimic.speak(stands) for e in live.receive(base_bytes(frame), AT)] == [stands]
    asked = live.poll("BTC_USDT")
    assert asked is not None
    body = mimic.rest("GET", asked.url.removeprefix("https://api.mexc.com"), AT, {"BTC_USDT": stands})
    assert body is not None
    assert live.polled(asked, body, AT) == [stands]


def base_bytes(frame: str | bytes) -> bytes:
    return frame.encode() if isinstance(frame, str) else frame


def test_a_book_ticker_is_the_top() -> None:
    assert session().receive(book(), AT) == [BookTop(3, 60000.5, 1.25, 60001.0, 2.0, AT, AT)]
    assert session().receive(book("ETHUSDT", ask=""), AT) == [BookTop(5, 60000.5, 1.25, 0.0, 0.0, AT, AT)]
    assert session().receive(wrapper(TICKER, f315=b""), AT) == [BookTop(3, 0.0, 0.0, 0.0, 0.0, AT, AT)]
    assert session().receive(wrapper(TICKER), AT) == []
    shuffled = message(f315=message(f4="2", f3="60001.0", f2="1.25", f1="60000.5"), f6=AT_MS, f1=TICKER + "BTCUSDT")
    assert session().receive(shuffled, AT) == session().receive(book(), AT)


def test_fields_that_schemas_may_gain_are_passed_over() -> None:
    fixed = varint(40 << 3 | 1) + b"8 bytes." + varint(41 << 3 | 5) + b"four"
    grown = book(f4="1f2e", f5=AT_MS - 5, f2000="x" * 300, f2001=1 << 63) + fixed
    assert session().receive(grown, AT) == session().receive(book(), AT)


def test_deals_are_trades() -> None:
    assert session().receive(deals(deal(), deal("60000", "1", 2, f6=1)), AT) == [
        Trade(3, 60000.5, 0.25, Side.BUY, AT + 1_000_000, AT),
        Trade(3, 60000.0, 1.0, Side.SELL, AT + 1_000_000, AT),
    ]
    assert session().receive(deals(symbol="ETHUSDT"), AT) == []


def test_a_trade_of_before_the_acknowledgement_is_passed_over() -> None:
    live = session()
    assert live.receive(answer(id=0, code=0, msg=f"{TICKER}BTCUSDT,{DEALS}BTCUSDT"), AT + 2_000_000) == []
    assert live.receive(deals(deal(), deal(at_ms=AT_MS + 2)), AT) == [
        Trade(3, 60000.5, 0.25, Side.BUY, AT + 2_000_000, AT)
    ]
    live.open()
    assert len(live.receive(deals(deal()), AT)) == 1


def test_protobuf_is_read_as_its_specification_writes_it() -> None:
    # Worked examples of https://protobuf.dev/programming-guides/encoding/, read 2026-11-21.
    assert mexc.read_message(bytes.fromhex("089601"), {1: mexc.VARINT}) == {1: 150}
    assert mexc.read_message(bytes.fromhex("120774657374696e67"), {2: mexc.BYTES}) == {2: b"testing"}
    assert mexc.read_message(bytes.fromhex("08feffffffffffffffff01"), {1: mexc.VARINT}) == {1: (1 << 64) - 2}
    assert mexc.read_message(b"\x0a\x01a\x0a\x01b", {1: mexc.BYTES}, repeated=1) == {1: [b"a", b"b"]}
    assert mexc.read_message(b"", {1: mexc.BYTES}) == {}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("08", Refusal.WRONG_SHAPE),  # a field without a value
        ("0896", Refusal.WRONG_SHAPE),  # a varint that goes on
        ("08ffffffffffffffffff02", Refusal.WRONG_SHAPE),  # of more than 64 bits
        ("08ffffffffffffffffffff01", Refusal.WRONG_SHAPE),  # of more than ten bytes
        ("0a", Refusal.WRONG_SHAPE),
        ("0a0261", Refusal.WRONG_SHAPE),  # a length beyond the end
        ("0affffffffffffffffff0161", Refusal.WRONG_SHAPE),
        ("1100000000000000", Refusal.WRONG_SHAPE),  # a fixed number cut short
        ("0b0c", Refusal.WRONG_SHAPE),  # a group
        ("0001", Refusal.WRONG_SHAPE),  # field 0
        ("0a00", Refusal.WRONG_SHAPE),  # declared a number, sent as text
        ("08010802", Refusal.DUPLICATE_KEY),
        ("808080808080808080808001", Refusal.WRONG_SHAPE),  # a tag that goes on
    ],
)
def test_protobuf_that_is_none_is_refused_by_name(data: str, reason: Refusal) -> None:
    with pytest.raises(VenueError) as caught:
        mexc.read_message(bytes.fromhex(data), {1: mexc.VARINT})
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", Refusal.WRONG_SHAPE),
        (b"<html>", Refusal.WRONG_SHAPE),
        (book("XRPUSDT"), Refusal.UNKNOWN_SYMBOL),
        (wrapper("spot@public.aggre.depth.v3.api.pb@10ms@", f313=b""), Refusal.UNKNOWN_MESSAGE),
        (message(f1=b"\xff\xfe", f6=AT_MS), Refusal.NOT_UTF8),
        (message(f3="BTCUSDT", f6=AT_MS), Refusal.WRONG_SHAPE),
        (message(f1=TICKER + "BTCUSDT", f3="BTCUSDT"), Refusal.WRONG_SHAPE),
        (message(f1=TICKER + "BTCUSDT", f3="ETHUSDT", f6=AT_MS), Refusal.WRONG_SHAPE),
        (wrapper(TICKER, f314=message(f1=deal())), Refusal.WRONG_SHAPE),
        (wrapper(DEALS, f315=message(f1="60000.5")), Refusal.WRONG_SHAPE),
        (wrapper(TICKER, f315=[b"", b""]), Refusal.DUPLICATE_KEY),
        (book(sent_ms=AT_MS // 1000), Refusal.TIME_UNIT),
        (book(sent_ms=(1 << 64) - AT_MS), Refusal.TIME_UNIT),
        (deals(deal(at_ms=AT_MS * 1000)), Refusal.TIME_UNIT),
        (book(bid="1_000"), Refusal.WRONG_SHAPE),
        (book(bid="cheap"), Refusal.WRONG_SHAPE),
        (book(bid='1","'), Refusal.NOT_JSON),
        (book(bid="١٢٣"), Refusal.WRONG_SHAPE),
        (wrapper(TICKER, f315=message(f1=b"\xff", f2="1")), Refusal.NOT_UTF8),
        (book(bid="NaN"), Refusal.NOT_A_NUMBER),
        (book(bid="Infinity"), Refusal.NOT_A_NUMBER),
        (book(bid="-60000.5"), Refusal.NOT_POSITIVE),
        (deals(deal(price="")), Refusal.NOT_POSITIVE),
        (deals(deal(size="0")), Refusal.NOT_POSITIVE),
        (deals(deal(kind=3)), Refusal.WRONG_SHAPE),
        (deals(message(f1="60000.5", f2="1", f4=AT_MS)), Refusal.WRONG_SHAPE),
        (deals(message(f1="60000.5", f2="1", f3=1)), Refusal.WRONG_SHAPE),
        (deals(deal() + field(1, "60000.5")), Refusal.DUPLICATE_KEY),
        (book() + b"\x00" * (1 << 20), Refusal.TOO_LARGE),
        (answer(id=0, code=30001, msg="rate limited"), Refusal.VENUE_ERROR),
        (answer(id=0, code=0, msg="Not Subscribed successfully! [x].  Reason： Blocked! "), Refusal.VENUE_ERROR),
        (answer(c="spot@public.deals.v3.api@BTCUSDT", d={}, t=AT_MS), Refusal.OLD_DIALECT),
        (answer(channel=TICKER + "BTCUSDT", symbol="BTCUSDT"), Refusal.OLD_DIALECT),
        (answer(msg="who are you"), Refusal.UNKNOWN_MESSAGE),
        (b"[1]", Refusal.WRONG_SHAPE),
        (b'{"code":0,"code":1}', Refusal.DUPLICATE_KEY),
    ],
)
def test_what_is_refused_by_name(contract: Any, frame: bytes, reason: Refusal) -> None:
    assert contract.refusal(session(), frame) == reason


def test_a_pong_says_nothing_of_a_market() -> None:
    assert session().receive(answer(id=0, code=0, msg="PONG"), AT) == []


def test_the_mimic_writes_what_the_specification_says() -> None:
    (said,) = mexc.Mimic(FEEDS).speak(BookTop(3, 60000.5, 1.25, 0.0, 0.0, AT, AT))
    assert said == wrapper(TICKER, f315=message(f1="60000.5", f2="1.25"))
    (said,) = mexc.Mimic(FEEDS).speak(Trade(5, 60000.5, 0.25, Side.SELL, AT, AT))
    item = message(f1="60000.5", f2="0.25", f3=2, f4=AT_MS)
    assert said == wrapper(DEALS, "ETHUSDT", f314=message(f1=item, f2="spot@public.aggre.deals.v3.api.pb@10ms"))


@pytest.mark.parametrize("good", [book(), deals(deal())])
def test_a_frame_cut_short_anywhere_states_no_price(good: bytes) -> None:
    for end in range(len(good)):
        with suppress(VenueError):
            assert session().receive(good[:end], AT) == []


def test_the_mimic_answers_only_what_was_asked() -> None:
    mimic, live = mexc.Mimic(FEEDS), session()
    for send in (*live.open(), *live.idle(AT), *live.resubscribe(["BTCUSDT"])):
        (heard,) = mimic.hear(send.data, AT)
        assert live.receive(heard.encode(), AT) == []
    unknown = answer(method="SUBSCRIPTION", params=[TICKER + "XRPEUR"]).decode()
    for wrong in ("no json", unknown, answer(method="DANCE").decode()):
        (heard,) = mimic.hear(wrong, AT)
        with pytest.raises(VenueError, match="VENUE_ERROR"):
            live.receive(heard.encode(), AT)


def test_rest_states_the_top() -> None:
    live, stands = session(), BookTop(5, 3000.25, 2.0, 3000.5, 1.0, 0, AT)
    asked = live.poll("ETHUSDT")
    assert asked == base.Request("https://api.mexc.com/api/v3/ticker/bookTicker?symbol=ETHUSDT", "ETHUSDT")
    said = answer(symbol="ETHUSDT", bidPrice="3000.25", bidQty="2", askPrice="3000.5", askQty="1")
    assert live.polled(asked, said, AT) == [stands]
    body = mexc.Mimic(FEEDS).rest("GET", "/api/v3/ticker/bookTicker?symbol=ETHUSDT", AT, {"ETHUSDT": stands})
    assert body is not None
    assert live.polled(asked, body, AT) == [stands]


@pytest.mark.data
def test_captured_payloads_are_read_or_refused_by_name(contract: Any, data: Path) -> None:
    """The recorder wrote pushes as JSON, which nobody sends; written back as protobuf they are read."""
    frames = list(tape.read(data / "payloads" / "mexc.jsonl"))
    feeds = [base.Feed(0, "BTCUSDT"), base.Feed(1, "XENUSDT")]
    assert contract.conform(mexc.Session(feeds), frames) == {"frames": 23, Refusal.OLD_DIALECT: 22}
    live = mexc.Session(feeds)
    written = [as_protobuf(json.loads(frame.data)) for frame in frames]
    read = [event for frame in written if frame for event in live.receive(frame, 0)]
    assert [type(event).__name__ for event in read] == ["Trade"] * 2 + ["BookTop"] * 3 + ["Trade"] * 5
    one_sided = [event for event in read if isinstance(event, BookTop) and event.ask == 0.0]
    assert [(top.bid, top.bid_size, top.ask_size) for top in one_sided] == [(100.0, 4.0, 0.0)]


def as_protobuf(said: dict[str, Any]) -> bytes:
    """A wrapper with the book ticker or the deals that a recorder wrote as JSON; of anything else nothing."""
    top, list_ = said.get("publicAggreBookTicker"), said.get("publicAggreDeals")
    if top is not None:
        names = ("bidPrice", "bidQuantity", "askPrice", "askQuantity")
        body = {"f315": message(**{f"f{place}": top[name] for place, name in enumerate(names, 1) if top[name]})}
    elif list_ is not None:
        items = [message(f1=d["price"], f2=d["quantity"], f3=d["tradeType"], f4=int(d["time"])) for d in list_["deals"]]
        body = {"f314": message(f1=items, f2=list_["eventType"])}
    else:
        return b""
    return message(f1=said["channel"], f3=said["symbol"], f6=int(said["sendTime"]), **body)
