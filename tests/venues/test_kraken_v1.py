"""Kraken's first dialect: the documentation's book and checksum, what must be refused, and what was recorded."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.collectors import tape
from oracle.core.types import BookTop, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, kraken, kraken_v1

FEEDS = (base.Feed(5, "XBT/USD"), base.Feed(6, "ETH/USD"))
NOW_NS = 1_582_905_488_900_000_000
SPREAD = b'[7,["5698.40000","5700.00000","1582905488.545897","1.01234567","0.98765432"],"spread","XBT/USD"]'
TRADE = b'[7,[["5541.20000","0.15850568","1582905488.321597","s","l",""]],"trade","XBT/USD"]'
TICKER = (
    b'[7,{"a":["5525.40000",1,"1.000"],"b":["5525.10000",1,"2.500"],"c":["5525.10000","0.00398963"],'
    b'"v":["2634.11501494","3591.17907851"],"p":["5631.44067","5653.78939"],"t":[11493,16267],'
    b'"l":["5505.00000","5505.00000"],"h":["5783.00000","5783.00000"],"o":["5760.70000","5763.40000"]},'
    b'"ticker","XBT/USD"]'
)
# The documentation's example book; its checksum is printed there as 974947235.
ASKS = [f"0.0{5005 + 5 * step}" for step in range(10)]
BIDS = ["0.05000", "0.04995", "0.04990", "0.04980", "0.04975", "0.04970", "0.04965", "0.04960", "0.04955", "0.04950"]
DOCUMENTED = "974947235"
CUT = "0.05051"  # an ask beyond the ten


def level(price: str, size: str = "0.00000500", at: str = "1582905488.100000") -> list[str]:
    return [price, size, at]


def book(*maps: object, depth: int = 10) -> bytes:
    return json.dumps([7, *maps, f"book-{depth}", "XBT/USD"], separators=(",", ":")).encode()


def snapshot() -> bytes:
    return book({"as": [level(p) for p in ASKS], "bs": [level(p) for p in BIDS]})


def digits_checksum(asks: list[tuple[str, str]], bids: list[tuple[str, str]]) -> str:
    bare = [text.replace(".", "").lstrip("0") for pair in asks + bids for text in pair]
    return str(crc32("".join(bare).encode()))


def refusal(data: bytes, session: kraken_v1.Session | None = None) -> Refusal:
    with pytest.raises(VenueError) as caught:
        (session or kraken_v1.Session(FEEDS)).receive(data, NOW_NS)
    return caught.value.reason


def test_opens_with_spread_and_trades() -> None:
    session = kraken_v1.session_for("wss://ws.kraken.com", FEEDS)
    assert session.url() == "wss://ws.kraken.com"
    asked = [json.loads(send.data) for send in session.open()]
    assert [a["subscription"] for a in asked] == [{"name": "spread"}, {"name": "trade"}]
    assert all(a["pair"] == ["XBT/USD", "ETH/USD"] for a in asked)
    assert json.loads(session.idle(NOW_NS)[0].data) == {"event": "ping"}


def test_spread_ticker_and_trade() -> None:
    session = kraken_v1.Session(FEEDS)
    assert session.receive(SPREAD, NOW_NS) == [
        BookTop(5, 5698.4, 1.01234567, 5700.0, 0.98765432, 1_582_905_488_545_897_000, NOW_NS),
    ]
    assert session.receive(TICKER, NOW_NS) == [BookTop(5, 5525.1, 2.5, 5525.4, 1.0, 0, NOW_NS)]
    assert session.receive(TRADE, NOW_NS) == [
        Trade(5, 5541.2, 0.15850568, Side.SELL, 1_582_905_488_321_597_000, NOW_NS),
    ]


def test_a_market_never_quoted_has_two_empty_sides() -> None:
    data = b'[1,["0.000000000","0.000000000","0.000000","0.00000000","0.00000000"],"spread","ETH/USD"]'
    assert kraken_v1.Session(FEEDS).receive(data, NOW_NS) == [BookTop(6, 0.0, 0.0, 0.0, 0.0, 0, NOW_NS)]


def test_the_documented_book_has_the_documented_checksum() -> None:
    session = kraken_v1.Session(FEEDS)
    [first] = session.receive(snapshot(), NOW_NS)
    assert first == BookTop(5, 0.05, 5e-06, 0.05005, 5e-06, 1_582_905_488_100_000_000, NOW_NS)
    # A level that changes and changes back in one message, in the order given; then one that falls out of the ten.
    there_and_back = {"b": [level("0.05000", "0.00000304"), level("0.05000")]}
    out_of_depth = {"a": [level(CUT, at="1582905488.200000")], "c": DOCUMENTED}
    [top] = session.receive(book(there_and_back, out_of_depth), NOW_NS)
    assert top == BookTop(5, 0.05, 5e-06, 0.05005, 5e-06, 1_582_905_488_200_000_000, NOW_NS)


def test_a_level_that_goes_leaves_the_next_best_and_time_does_not_go_back() -> None:
    session = kraken_v1.Session(FEEDS)
    session.receive(snapshot(), NOW_NS)
    left = [(p, "0.00000500") for p in ASKS[1:]], [(p, "0.00000500") for p in BIDS]
    gone = {"a": [level(ASKS[0], "0.00000000", "1582905480.000000"), level("0.06", "0", "1582905480.000000")]}
    [top] = session.receive(book(gone | {"c": digits_checksum(*left)}), NOW_NS)
    assert top == BookTop(5, 0.05, 5e-06, 0.0501, 5e-06, 1_582_905_488_100_000_000, NOW_NS)


def test_a_wrong_checksum_ends_the_book_until_a_snapshot() -> None:
    session = kraken_v1.Session(FEEDS)
    session.receive(snapshot(), NOW_NS)
    good = book({"a": [level(CUT)], "c": DOCUMENTED})
    assert refusal(book({"b": [level("0.05001")], "c": DOCUMENTED}), session) is Refusal.CHECKSUM
    assert refusal(good, session) is Refusal.NO_SNAPSHOT
    session.receive(snapshot(), NOW_NS)
    assert len(session.receive(good, NOW_NS)) == 1


def test_a_refused_delta_ends_the_book_too() -> None:
    session = kraken_v1.Session(FEEDS)
    session.receive(snapshot(), NOW_NS)
    assert refusal(book({"a": [level("-1")]}), session) is Refusal.NOT_POSITIVE
    assert refusal(book({"a": [level(CUT)]}), session) is Refusal.NO_SNAPSHOT
    session.receive(snapshot(), NOW_NS)
    session.open()
    assert refusal(book({"a": [level(CUT)]}), session) is Refusal.NO_SNAPSHOT


def test_the_oldest_books_have_a_placeholder_and_no_checksum() -> None:
    session = kraken_v1.Session(FEEDS)
    session.receive(book({"as": [level("2.0")], "bs": []}, None, depth=1000), NOW_NS)
    [top] = session.receive(book({"b": [level("1.5", "3")]}, depth=1000), NOW_NS)
    assert top == BookTop(5, 1.5, 3.0, 2.0, 5e-06, 1_582_905_488_100_000_000, NOW_NS)


@pytest.mark.parametrize(
    "data",
    [
        b'{"event":"heartbeat"}',
        b'{"event":"pong","reqid":4}',
        b'{"event":"systemStatus","status":"online","version":"1.9.1","connectionID":8628615390848610000}',
        b'{"channelID":7,"channelName":"trade","event":"subscriptionStatus","pair":"ADA/USD","status":"subscribed",'
        b'"subscription":{"name":"trade"}}',
    ],
)
def test_what_says_no_price_is_no_observation(data: bytes) -> None:
    assert kraken_v1.Session(FEEDS).receive(data, NOW_NS) == []


def spread(**changed: str) -> bytes:
    fields = {"bid": "5698.4", "ask": "5700.0", "at": "1582905488.5", "bid_size": "1.0", "ask_size": "2.0"} | changed
    return json.dumps([7, list(fields.values()), "spread", "XBT/USD"], separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"event":"systemStatus","status":"maintenance"}', Refusal.VENUE_ERROR),
        (b'{"event":"subscriptionStatus","status":"error","errorMessage":"no such pair"}', Refusal.VENUE_ERROR),
        (b'{"event":"error","errorMessage":"Unsupported event"}', Refusal.VENUE_ERROR),
        (b'{"event":"addOrderStatus","status":"ok"}', Refusal.UNKNOWN_MESSAGE),
        (b'{"status":"ok"}', Refusal.WRONG_SHAPE),
        (SPREAD.replace(b"spread", b"ohlc-5"), Refusal.UNKNOWN_MESSAGE),
        (SPREAD.replace(b"spread", b"book-7"), Refusal.UNKNOWN_MESSAGE),
        (SPREAD.replace(b"XBT/USD", b"XBT/EUR"), Refusal.UNKNOWN_SYMBOL),
        (b'["spread","XBT/USD"]', Refusal.WRONG_SHAPE),
        (SPREAD.replace(b'"XBT/USD"', b"7"), Refusal.WRONG_SHAPE),
        (b'[7,["1","2","3"],"spread","XBT/USD"]', Refusal.WRONG_SHAPE),
        (b'[7,{"a":["1"],"b":["1"]},"ticker","XBT/USD"]', Refusal.WRONG_SHAPE),
        (b'[7,{"a":[1,1,"1"],"b":["1",1,"1"]},"ticker","XBT/USD"]', Refusal.WRONG_SHAPE),
        (TRADE.replace(b'"s"', b'"x"'), Refusal.WRONG_SHAPE),
        (book({"as": [["1", "2"]], "bs": []}), Refusal.WRONG_SHAPE),
        (book({"a": [level("1")]}), Refusal.NO_SNAPSHOT),
        (spread(bid="-1"), Refusal.NOT_POSITIVE),
        (spread(bid="1" * 20), Refusal.NOT_A_NUMBER),
        (TRADE.replace(b"5541.20000", b"0.00000"), Refusal.NOT_POSITIVE),
        (SPREAD.replace(b'"5698.40000"', b"5698.4"), Refusal.WRONG_SHAPE),
        (spread(at="1582905488545"), Refusal.TIME_UNIT),
        (spread(at="1582805488.5"), Refusal.TIME_UNIT),
        (spread(at=""), Refusal.TIME_UNIT),
        (spread(at="0x5e"), Refusal.TIME_UNIT),
        (book({"as": [level("1")], "as2": 1, "bs": []}).replace(b"as2", b"as"), Refusal.DUPLICATE_KEY),
        (b"\xff" + SPREAD, Refusal.NOT_UTF8),
    ],
)
def test_refusals(data: bytes, reason: Refusal) -> None:
    assert refusal(data) is reason


def test_the_mimic_answers_what_the_session_asks() -> None:
    session, mimic = kraken_v1.Session(FEEDS), kraken_v1.Mimic(FEEDS)
    heard = mimic.greet("/", NOW_NS)
    for send in [*session.open(), *session.idle(NOW_NS)]:
        heard += mimic.hear(send.data, NOW_NS)
    heard += mimic.heartbeat(NOW_NS)
    assert [event for text in heard for event in session.receive(text.encode(), NOW_NS)] == []
    assert [json.loads(text).get("pair") for text in heard if "subscribed" in text] == ["XBT/USD", "ETH/USD"] * 2
    stop = {"event": "unsubscribe", "pair": ["XBT/USD"], "subscription": {"name": "trade"}}
    assert '"unsubscribed"' in mimic.hear(json.dumps(stop), NOW_NS)[0]
    assert json.loads(mimic.hear('{"event":"ping","reqid":9}', NOW_NS)[0]) == {"event": "pong", "reqid": 9}


def test_the_mimic_refuses_what_it_does_not_have() -> None:
    mimic = kraken_v1.Mimic(FEEDS)
    asked = {"event": "subscribe", "pair": ["ADA/USD"], "subscription": {"name": "trade"}}
    for request in (asked, {"event": "addOrder"}):
        [answer] = mimic.hear(json.dumps(request), NOW_NS)
        assert refusal(answer.encode()) is Refusal.VENUE_ERROR


cents = st.integers(1, 60).map(lambda n: f"{n / 100:.2f}")
quantities = st.integers(0, 3).map(lambda n: f"{n}.00000000")
deltas = st.lists(st.tuples(st.sampled_from("ab"), cents, quantities), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.lists(deltas, max_size=15))
def test_the_book_is_the_one_a_plain_dictionary_keeps(rounds: list[list[tuple[str, str, str]]]) -> None:
    session = kraken_v1.Session(FEEDS)
    kept: dict[str, dict[str, str]] = {"a": {"0.40": "1.00000000"}, "b": {"0.20": "1.00000000"}}
    session.receive(book({"as": [level("0.40", "1.00000000")], "bs": [level("0.20", "1.00000000")]}), NOW_NS)
    for changes in rounds:
        for side, price, size in changes:
            kept[side][price] = size
            if float(size) == 0:
                del kept[side][price]
        for side in "ab":
            best_first = sorted(kept[side], key=float, reverse=side == "b")
            kept[side] = {price: kept[side][price] for price in best_first[:10]}
        checksum = digits_checksum(list(kept["a"].items()), list(kept["b"].items()))
        maps = [{side: [level(price, size)]} for side, price, size in changes]
        [top] = session.receive(book(*maps, {"c": checksum}), NOW_NS)
        bid, ask = next(iter(kept["b"].items()), ("0", "0")), next(iter(kept["a"].items()), ("0", "0"))
        assert isinstance(top, BookTop)
        assert (top.bid, top.bid_size, top.ask, top.ask_size) == (*map(float, bid), *map(float, ask))


def read(path: Path) -> tuple[Counter[str], Counter[Refusal]]:
    """What a recording says and what of it is refused, as whoever asked for its pairs would hear it."""
    frames = list(tape.read(path))
    sent = [json.loads(frame.data) for frame in frames if frame.direction is tape.Direction.SENT]
    feeds = [base.Feed(count, pair) for count, pair in enumerate(sorted({p for s in sent for p in s["pair"]}))]
    seen: Counter[str] = Counter()
    refused: Counter[Refusal] = Counter()
    session = kraken.session_for(frames[0].url, feeds)
    for frame in frames:
        if frame.direction is tape.Direction.RECEIVED:
            try:
                seen.update(type(event).__name__ for event in session.receive(frame.data, frame.recv_ns))
            except VenueError as error:
                refused[error.reason] += 1
    return seen, refused


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "expected"), [("kraken.ws.48", {"Trade": 10}), ("kraken.ws.49", {"BookTop": 18}), ("kraken.ws.50", None)]
)
def test_every_recorded_frame_is_read(data: Path, name: str, expected: dict[str, int] | None) -> None:
    path = data / "frames" / f"{name}.0.txt.gz"
    seen, refused = read(path)
    assert refused == {}
    if expected is None:
        books = sum(b'"book-1000"' in f.data and f.data.startswith(b"[") for f in tape.read(path))
        assert seen == {"BookTop": books}
        assert books > 4_000
    else:
        assert seen == expected


@pytest.mark.data
def test_the_recorded_messages(data: Path) -> None:
    seen: Counter[str] = Counter()
    for frame in tape.read(data / "payloads" / "kraken.jsonl"):
        if not frame.data.startswith(b"["):
            continue
        symbol = json.loads(frame.data)[-1]
        try:
            events = kraken_v1.Session([base.Feed(0, symbol)]).receive(frame.data, frame.recv_ns)
        except VenueError as refused:
            seen[refused.reason] += 1
        else:
            seen.update(type(event).__name__ for event in events)
    # Three deltas whose snapshots are not among the messages; three trades in two messages.
    assert seen == {"Trade": 3, "BookTop": 3, Refusal.NO_SNAPSHOT: 3}
