"""Bitfinex: the documentation's messages, sequence numbers, what must be refused, and what was recorded."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from oracle.collectors import tape
from oracle.core.types import BookTop, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, bitfinex

FEEDS = (base.Feed(1, "tBTCUSD"), base.Feed(2, "tUSTUSD"))
NOW_NS = 1_790_000_000_400_000_000
AT = 1_790_000_000_123
AT_NS = AT * 1_000_000
BOOK, TRADES, OTHER = 17082, 19111, 20000
SNAPSHOT = f"[{BOOK},[[7254.7,3,3.3],[7254.6,1,1],[7254.8,2,-0.5],[7255,1,-2]],1,{AT}]".encode()
EXECUTED = f'[{TRADES},"te",[401597395,{AT},-0.005,7245.3],1,{AT}]'.encode()


def subscribed(channel: str, channel_id: int, symbol: str = "tBTCUSD", **shape: str) -> bytes:
    shape = shape or ({"prec": "P0", "freq": "F0", "len": "25"} if channel == "book" else {})
    event = {"event": "subscribed", "channel": channel, "chanId": channel_id, "symbol": symbol, "pair": symbol[1:]}
    return json.dumps(event | shape).encode()


def listening(kind: type[bitfinex.Session] = bitfinex.Session) -> bitfinex.Session:
    session = kind(FEEDS)
    for channel, channel_id in (("book", BOOK), ("trades", TRADES)):
        assert session.receive(subscribed(channel, channel_id), NOW_NS) == []
    session.receive(subscribed("trades", OTHER, "tETHUSD"), NOW_NS)
    return session


def refusal(session: bitfinex.Session, data: bytes) -> Refusal:
    with pytest.raises(VenueError) as caught:
        session.receive(data, NOW_NS)
    return caught.value.reason


def top(bid: float, bid_size: float, ask: float, ask_size: float, venue_ns: int = AT_NS) -> BookTop:
    return BookTop(1, bid, bid_size, ask, ask_size, venue_ns, NOW_NS)


def test_opens_with_flags_then_books_and_trades() -> None:
    session = bitfinex.Session(FEEDS)
    assert session.url() == "wss://api-pub.bitfinex.com/ws/2"
    conf, *asked = [json.loads(send.data) for send in session.open()]
    assert conf == {"event": "conf", "flags": 32_768 + 65_536 + 536_870_912}
    assert [(a["channel"], a["symbol"]) for a in asked] == [
        ("book", "tBTCUSD"), ("trades", "tBTCUSD"), ("book", "tUSTUSD"), ("trades", "tUSTUSD"),
    ]  # fmt: skip
    assert (asked[0]["prec"], asked[0]["freq"], asked[0]["len"]) == ("P0", "F0", "25")
    assert 2 * session.symbols_max <= 25


def test_a_book_from_snapshot_single_changes_and_changes_of_one_instant() -> None:
    session = listening()
    assert session.receive(SNAPSHOT, NOW_NS) == [top(7254.7, 3.3, 7254.8, 0.5)]
    assert session.receive(f"[{BOOK},[7254.7,0,1],2,{AT}]".encode(), NOW_NS) == [top(7254.6, 1.0, 7254.8, 0.5)]
    assert session.receive(f"[{BOOK},[7254.8,1,-0.25],3,{AT}]".encode(), NOW_NS) == [top(7254.6, 1.0, 7254.8, 0.25)]
    moved = f"[{BOOK},[[7254.6,0,1],[7254.8,0,-1],[7254.9,1,4]],4,{AT}]".encode()
    assert session.receive(moved, NOW_NS) == [top(7254.9, 4.0, 7255.0, 2.0)]
    gone = f"[{BOOK},[[7255,0,-1],[7300,0,-1]],5,{AT}]".encode()
    assert session.receive(gone, NOW_NS) == [top(7254.9, 4.0, 0.0, 0.0)]
    crossed = f'[{BOOK},[[7254,1,-1]],6,{AT},"book","BTCUSD"]'.encode()
    assert session.receive(crossed, NOW_NS) == [top(7254.9, 4.0, 7254.0, 1.0)]
    assert session.receive(f"[{BOOK},[],7]".encode(), NOW_NS) == [top(7254.9, 4.0, 7254.0, 1.0, 0)]


def test_an_executed_trade_counts_once_and_a_past_one_never() -> None:
    session = listening()
    assert session.receive(EXECUTED, NOW_NS) == [Trade(1, 7245.3, 0.005, Side.SELL, AT_NS, NOW_NS)]
    assert session.receive(EXECUTED.replace(b"te", b"tu").replace(b",1,", b",2,"), NOW_NS) == []
    assert session.receive(f"[{TRADES},[[401597393,{AT},0.5,7245.1]],3,{AT}]".encode(), NOW_NS) == []
    bought = f'[{TRADES},"te",[401597396,{AT},2,7245],4,{AT},"trades","BTCUSD"]'.encode()
    assert session.receive(bought, NOW_NS) == [Trade(1, 7245.0, 2.0, Side.BUY, AT_NS, NOW_NS)]


@pytest.mark.parametrize(
    "data",
    [
        b'{"event":"info","version":2,"serverId":"5f0a","platform":{"status":1}}',
        b'{"event":"conf","status":"OK","flags":536969216}',
        b'{"event":"pong","ts":1790000000123,"cid":7}',
        b'{"event":"unsubscribed","status":"OK","chanId":99}',
        f'[{BOOK},"hb",1,{AT}]'.encode(),
        f'[99,"hb",1,{AT}]'.encode(),
    ],
)
def test_what_says_no_price_is_no_observation(data: bytes) -> None:
    assert listening().receive(data, NOW_NS) == []


def test_a_gap_ends_every_book_and_no_later_change_revives_one() -> None:
    session = listening()
    session.receive(SNAPSHOT, NOW_NS)
    assert refusal(session, f'[{TRADES},"hb",3,{AT}]'.encode()) is Refusal.SEQUENCE_GAP
    assert session.receive(f'[{TRADES},"hb",4,{AT}]'.encode(), NOW_NS) == []
    assert refusal(session, f"[{BOOK},[7254.8,1,-0.25],5,{AT}]".encode()) is Refusal.NO_SNAPSHOT
    assert refusal(session, f"[{BOOK},[[7254.8,1,-0.25]],6,{AT}]".encode()) is Refusal.NO_SNAPSHOT
    session.receive(f'{{"event":"unsubscribed","chanId":{BOOK}}}'.encode(), NOW_NS)
    assert refusal(session, SNAPSHOT.replace(b",1,1790", b",7,1790")) is Refusal.UNKNOWN_MESSAGE
    session.receive(subscribed("book", 5), NOW_NS)
    renewed = f"[5,[[1,1,1]],8,{AT}]".encode()
    assert session.receive(renewed, NOW_NS) == [top(1.0, 1.0, 0.0, 0.0)]


def test_a_gap_where_the_snapshot_was_due_leaves_no_book() -> None:
    session = listening()
    session.receive(f'[{TRADES},"hb",1,{AT}]'.encode(), NOW_NS)
    assert refusal(session, SNAPSHOT.replace(b",1,1790", b",3,1790")) is Refusal.SEQUENCE_GAP
    assert refusal(session, f"[{BOOK},[[7254.8,1,-0.25]],4,{AT}]".encode()) is Refusal.NO_SNAPSHOT


def test_a_repeated_message_is_out_of_sequence() -> None:
    session = listening()
    session.receive(SNAPSHOT, NOW_NS)
    assert refusal(session, SNAPSHOT) is Refusal.SEQUENCE_GAP


def test_a_change_before_the_snapshot_or_after_a_refused_one() -> None:
    session = listening()
    assert refusal(session, f"[{BOOK},[7254.8,1,-0.25],1,{AT}]".encode()) is Refusal.NO_SNAPSHOT
    session = listening()
    session.receive(SNAPSHOT, NOW_NS)
    assert refusal(session, f"[{BOOK},[7254.8,1,0],2,{AT}]".encode()) is Refusal.NOT_POSITIVE
    assert refusal(session, f"[{BOOK},[7254.8,1,-0.25],3,{AT}]".encode()) is Refusal.NO_SNAPSHOT
    session.open()
    assert refusal(session, SNAPSHOT) is Refusal.UNKNOWN_MESSAGE


def test_a_book_message_with_spaces_ends_the_book() -> None:
    session = listening()
    session.receive(SNAPSHOT, NOW_NS)
    assert refusal(session, f"[{BOOK}, [7254.8,1,-0.25],2,{AT}]".encode()) is Refusal.UNKNOWN_MESSAGE
    assert refusal(session, f"[{BOOK},[7254.8,1,-0.25],3,{AT}]".encode()) is Refusal.NO_SNAPSHOT


def test_a_book_is_bounded() -> None:
    levels = ",".join(f"[{price},1,1]" for price in range(1, 400))
    session = listening()
    session.receive(f"[{BOOK},[{levels}],1,{AT}]".encode(), NOW_NS)
    gone = ",".join(f"[{price},0,1]" for price in range(400 - bitfinex.LEVELS_MAX, 400))
    assert session.receive(f"[{BOOK},[{gone}],2,{AT}]".encode(), NOW_NS) == [top(0.0, 0.0, 0.0, 0.0)]


def test_maintenance_and_what_the_venue_advises_after_it() -> None:
    for notice in (
        b'{"event":"info","code":20051,"msg":"Stopping. Please try to reconnect"}',
        b'{"event":"info","code":20060,"msg":"Refreshing data from the Trading Engine"}',
        b'{"event":"info","version":2,"platform":{"status":0}}',
    ):
        session = listening()
        session.receive(SNAPSHOT, NOW_NS)
        assert refusal(session, notice) is Refusal.VENUE_ERROR
        assert refusal(session, f"[{BOOK},[7254.8,1,-0.25],2,{AT}]".encode()) is Refusal.NO_SNAPSHOT
    sends = session.receive(b'{"event":"info","code":20061,"msg":"Done"}', NOW_NS)
    said = [json.loads(send.data) for send in sends if isinstance(send, base.Send)]
    assert [s["chanId"] for s in said if s["event"] == "unsubscribe"] == [BOOK, TRADES, OTHER]
    assert [s["symbol"] for s in said if s["event"] == "subscribe"] == ["tBTCUSD"] * 2 + ["tUSTUSD"] * 2


def test_more_channels_than_could_have_been_asked_for_are_refused() -> None:
    session = bitfinex.Session(FEEDS)
    for channel_id in range(bitfinex.CHANNELS_MAX):
        session.receive(subscribed("trades", channel_id), NOW_NS)
    assert refusal(session, subscribed("trades", 1_000)) is Refusal.VENUE_ERROR


def change(level: str = "[7254.8,1,-0.25]", seq: str = "2", at: str = str(AT)) -> bytes:
    return f"[{BOOK},{level},{seq},{at}]".encode()


def executed(body: str) -> bytes:
    return f'[{TRADES},"te",{body},2,{AT}]'.encode()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"event":"error","msg":"symbol: invalid","code":10300}', Refusal.VENUE_ERROR),
        (b'{"event":"conf","status":"FAILED"}', Refusal.VENUE_ERROR),
        (b'{"event":"auth","status":"OK"}', Refusal.UNKNOWN_MESSAGE),
        (b'{"event":"info","version":3}', Refusal.UNKNOWN_MESSAGE),
        (b'{"version":2}', Refusal.WRONG_SHAPE),
        (subscribed("ticker", 9), Refusal.UNKNOWN_MESSAGE),
        (subscribed("book", 9, prec="R0", freq="F0"), Refusal.UNKNOWN_MESSAGE),
        (subscribed("book", 9, prec="P0", freq="F1"), Refusal.UNKNOWN_MESSAGE),
        (f"[12,[1,1,1],2,{AT}]".encode(), Refusal.UNKNOWN_MESSAGE),
        (f'[{BOOK},"cs",123,2,{AT}]'.encode(), Refusal.UNKNOWN_MESSAGE),
        (f'[{TRADES},"fte",[1],2,{AT}]'.encode(), Refusal.UNKNOWN_MESSAGE),
        (f'[{OTHER},"te",[1,{AT},1,1],2,{AT}]'.encode(), Refusal.UNKNOWN_SYMBOL),
        (f"[{OTHER},[],2,{AT}]".encode(), Refusal.UNKNOWN_SYMBOL),
        (b"[]", Refusal.WRONG_SHAPE),
        (b"7", Refusal.WRONG_SHAPE),
        (b"", Refusal.NOT_JSON),
        (f'[{TRADES},"hb"]'.encode(), Refusal.WRONG_SHAPE),
        (change(seq='"x"'), Refusal.WRONG_SHAPE),
        (change("[7254.8,1]"), Refusal.WRONG_SHAPE),
        (change("[7254.8,-1,1]"), Refusal.WRONG_SHAPE),
        (change("[true,1,1]"), Refusal.WRONG_SHAPE),
        (change("[[7254.8,1,1],7]"), Refusal.WRONG_SHAPE),
        (change("[0,1,1]"), Refusal.NOT_POSITIVE),
        (change("[-5,1,1]"), Refusal.NOT_POSITIVE),
        (change(f"[{'9' * 5000},1,1]"), Refusal.NOT_A_NUMBER),
        (change(at="1790000000"), Refusal.TIME_UNIT),
        (change(at="1790000000123456"), Refusal.TIME_UNIT),
        (executed("7"), Refusal.WRONG_SHAPE),
        (executed(f"[1,{AT},1]"), Refusal.WRONG_SHAPE),
        (executed(f'[1,{AT},"1",5]'), Refusal.WRONG_SHAPE),
        (executed(f"[1,{AT},1,true]"), Refusal.WRONG_SHAPE),
        (executed("[1,null,1,5]"), Refusal.WRONG_SHAPE),
        (executed(f"[1,{AT},0,5]"), Refusal.NOT_POSITIVE),
        (executed(f"[1,{AT},1,0]"), Refusal.NOT_POSITIVE),
        (executed("[1,1790000000,1,5]"), Refusal.TIME_UNIT),
        (executed('[{"a":1,"a":2}]'), Refusal.DUPLICATE_KEY),
        (b'{"event":"info","event":"pong"}', Refusal.DUPLICATE_KEY),
        (b"\xff", Refusal.NOT_UTF8),
    ],
)
def test_refusals(data: bytes, reason: Refusal) -> None:
    session = listening()
    session.receive(SNAPSHOT, NOW_NS)
    assert refusal(session, data) is reason


def test_the_old_host_had_tickers_which_count_where_there_is_no_book() -> None:
    session = bitfinex.session_for("wss://api.bitfinex.com/ws/2", FEEDS)
    assert isinstance(session, bitfinex.OldSession)
    ticker = f"[9,[7616.5,31.9,7617.5,43.3,-550.8,-0.06,7617.1,8314.7,8257.8,7500],1,{AT}]".encode()
    session.receive(subscribed("ticker", 9), NOW_NS)
    assert session.receive(ticker, NOW_NS) == [top(7616.5, 31.9, 7617.5, 43.3)]
    assert refusal(session, f"[9,[7616.5,31.9,7617.5],2,{AT}]".encode()) is Refusal.WRONG_SHAPE
    session.receive(subscribed("book", BOOK), NOW_NS)
    assert session.receive(ticker.replace(b",1,1790", b",3,1790"), NOW_NS) == []
    assert type(bitfinex.session_for("wss://api-pub.bitfinex.com/ws/2", FEEDS)) is bitfinex.Session
    assert type(bitfinex.session_for("", FEEDS)) is bitfinex.Session


def test_the_mimic_answers_what_the_session_asks() -> None:
    session, mimic = bitfinex.Session(FEEDS), bitfinex.Mimic(FEEDS)
    heard = mimic.greet("/ws/2", NOW_NS)
    for send in session.open():
        heard += mimic.hear(send.data, NOW_NS)
    heard += mimic.hear('{"event":"ping","cid":4}', NOW_NS) + mimic.heartbeat(NOW_NS)
    assert [event for text in heard for event in session.receive(text.encode(), NOW_NS)] == []
    assert sum("subscribed" in text for text in heard) == 4
    assert sum('"hb"' in text for text in heard) == 4
    first = top(7254.7, 3.3, 7254.8, 0.5)
    assert [e for text in mimic.speak(first) for e in session.receive(text.encode(), NOW_NS)] == [first]


def test_the_mimic_repeats_the_book_to_whoever_subscribes_again() -> None:
    session, mimic = bitfinex.Session(FEEDS), bitfinex.Mimic(FEEDS)
    fact = top(7254.7, 3.3, 7254.8, 0.5)
    for text in mimic.speak(fact):
        session.receive(text.encode(), NOW_NS)
    over = session.receive(b'{"event":"info","code":20061}', NOW_NS)
    heard = [text for send in over if isinstance(send, base.Send) for text in mimic.hear(send.data, NOW_NS)]
    assert [event for text in heard for event in session.receive(text.encode(), NOW_NS)] == [
        top(7254.7, 3.3, 7254.8, 0.5, NOW_NS),
    ]
    assert [e for text in mimic.speak(fact) for e in session.receive(text.encode(), NOW_NS)] == [fact]


def test_who_subscribes_to_what_was_already_spoken_begins_anew() -> None:
    session, mimic = bitfinex.Session(FEEDS), bitfinex.Mimic(FEEDS)
    fact = top(7254.7, 3.3, 7254.8, 0.5)
    heard = mimic.speak(fact)
    for _ in range(2):
        heard += mimic.hear('{"event":"subscribe","channel":"book","symbol":"tBTCUSD"}', NOW_NS)
    *understood, duplicate = heard
    assert [event for text in understood for event in session.receive(text.encode(), NOW_NS)] == [
        fact,
        top(7254.7, 3.3, 7254.8, 0.5, NOW_NS),
    ]
    assert refusal(session, duplicate.encode()) is Refusal.VENUE_ERROR


def test_the_mimic_honours_the_flags_it_hears() -> None:
    mimic = bitfinex.Mimic(FEEDS)
    mimic.hear('{"event":"conf","flags":0}', NOW_NS)
    *_, spoken = mimic.speak(top(1.0, 2.0, 3.0, 4.0))
    assert len(json.loads(spoken)) == 2


@pytest.mark.parametrize(
    "request_",
    [
        {"event": "subscribe", "channel": "book", "symbol": "tETHUSD"},
        {"event": "subscribe", "channel": "candles", "symbol": "tBTCUSD"},
        {"event": "subscribe", "channel": "trades", "symbol": "tBTCUSD"},
        {"event": "unsubscribe", "chanId": 4},
        {"event": "unsubscribe", "chanId": 10_002},
        {"event": "auth"},
    ],
)
def test_the_mimic_refuses_what_it_does_not_have(request_: dict[str, object]) -> None:
    mimic = bitfinex.Mimic(FEEDS)
    for symbol in ("tBTCUSD", "tUSTUSD"):
        mimic.hear(json.dumps({"event": "subscribe", "channel": "trades", "symbol": symbol}), NOW_NS)
    assert "unsubscribed" in mimic.hear('{"event":"unsubscribe","chanId":10002}', NOW_NS)[0]
    [answer] = mimic.hear(json.dumps(request_), NOW_NS)
    assert refusal(listening(), answer.encode()) is Refusal.VENUE_ERROR


@pytest.mark.data
def test_every_recorded_frame_is_read(data: Path) -> None:
    frames = list(tape.read(data / "frames" / "bitfinex.ws.11.0.txt.gz"))
    sent = [json.loads(frame.data) for frame in frames if frame.direction is tape.Direction.SENT]
    symbols = sorted({s["symbol"] for s in sent if s["event"] == "subscribe"})
    session = bitfinex.session_for(frames[0].url, [base.Feed(n, symbol) for n, symbol in enumerate(symbols)])
    seen: Counter[str] = Counter()
    crossed = 0
    for frame in frames:
        if frame.direction is tape.Direction.RECEIVED:
            for event in session.receive(frame.data, frame.recv_ns):
                seen[type(event).__name__] += 1
                crossed += isinstance(event, BookTop) and 0.0 < event.ask <= event.bid
    assert set(seen) == {"BookTop"}
    assert seen["BookTop"] > 1_500
    assert crossed == 0


@pytest.mark.data
def test_the_recorded_messages(data: Path) -> None:
    """Each message is of a connection of its own; only what a connection's acknowledgement names can be read."""
    seen: Counter[str] = Counter()
    session = bitfinex.OldSession(FEEDS)
    for frame in tape.read(data / "payloads" / "bitfinex.jsonl"):
        session.open()
        known = {89: "trades", 6959: "book", 147794: "ticker"}
        for channel_id, channel in known.items():
            session.receive(subscribed(channel, channel_id), 0)
        try:
            seen.update(type(event).__name__ for event in session.receive(frame.data, 0))
        except VenueError as refused:
            seen[refused.reason] += 1
    # Deltas without their snapshot; a ticker beside a book says nothing; the rest is of channels nobody named.
    assert seen == {"Trade": 1, "BookTop": 1, Refusal.NO_SNAPSHOT: 3, Refusal.UNKNOWN_MESSAGE: 4}
