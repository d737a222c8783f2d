"""Addresses and paths as data: what is asked, what is found in an answer, and what an answer is made of."""

from __future__ import annotations

import json

import pytest

from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, BookTop
from oracle.errors import Refusal, VenueError
from oracle.venues import base
from oracle.venues._resttop import BODY_BYTES_MAX

AT = 1_790_000_000 * NANOS_PER_S
LEVELS = base.RestTop(
    url="https://v.example/book?pair={symbol}&n=1",
    bid="result.*.bids.0.0",
    bid_size="result.*.bids.0.1",
    ask="result.*.asks.0.0",
    ask_size="result.*.asks.0.1",
    spelling=(("/", ""), ("BTC", "XBT")),
    fine=("error", "[]"),
)
ROW = base.RestTop(url="https://v.example/{symbol}", bid="0.0", bid_size="0.2", ask="1.0", ask_size="-1.2")


def refusal(place: base.RestTop, body: bytes, symbol: str = "BTC/USD", recv_ns: int = AT) -> Refusal:
    with pytest.raises(VenueError) as caught:
        place.read(1, symbol, body, recv_ns)
    return caught.value.reason


def test_a_symbol_is_spelt_and_quoted_in_the_address_and_plain_in_the_question() -> None:
    assert LEVELS.address("BTC/USD") == "https://v.example/book?pair=XBTUSD&n=1"
    assert ROW.address("a b/c&d") == "https://v.example/a%20b%2Fc%26d"
    assert ROW.question("BTC") == ""
    posted = base.RestTop(url="https://v.example/info", content='{"coin":"{symbol}"}', bid="b", ask="a", lower=True)
    assert (posted.address("BTC"), posted.question("BTC")) == ("https://v.example/info", '{"coin":"btc"}')


def test_an_answer_is_read_by_its_paths() -> None:
    body = b'{"error":[],"result":{"XXBTZUSD":{"asks":[["11","2.5",1]],"bids":[[10.0,0,1]]}}}'
    assert LEVELS.read(1, "BTC/USD", body, AT) == BookTop(1, 10.0, 0.0, 11.0, 2.5, 0, AT)
    assert ROW.read(1, "BTC", b"[[10,1,2],[11,1,-3,9]]", AT) == BookTop(1, 10.0, 2.0, 11.0, 3.0, 0, AT)
    bare = base.RestTop(url="", bid="b", ask="a")
    assert bare.read(1, "BTC", b'{"a":11,"b":10}', AT) == BookTop(1, 10.0, 0.0, 11.0, 0.0, 0, AT)


def test_what_is_not_found_or_no_number_is_named() -> None:
    for body in (b'{"error":[],"result":{}}', b'{"error":[],"result":{"A":{},"B":{}}}', b'{"error":[],"result":[]}'):
        assert refusal(LEVELS, body) == Refusal.WRONG_SHAPE
    assert refusal(LEVELS, b'{"error":["EQuery:Unknown asset pair"]}') == Refusal.VENUE_ERROR
    assert refusal(LEVELS, b'{"error":["' + "é".encode() * 200 + b'"]}') == Refusal.VENUE_ERROR
    assert refusal(ROW, b"[[10,1,2],[11,1,3]]") == Refusal.NOT_POSITIVE
    assert refusal(ROW, b'[[10,1,2],[11,1,"x"]]') == Refusal.WRONG_SHAPE
    assert refusal(ROW, b"[]") == Refusal.WRONG_SHAPE
    assert refusal(ROW, b'"text"') == Refusal.WRONG_SHAPE
    assert refusal(ROW, b"[" + b" " * BODY_BYTES_MAX + b"]") == Refusal.TOO_LARGE


@pytest.mark.parametrize("unit_ns", [1, 1_000, NANOS_PER_MS, NANOS_PER_S])
@pytest.mark.parametrize("quoted", [False, True])
def test_a_time_is_read_in_its_unit_and_exactly(unit_ns: int, quoted: bool) -> None:
    place = base.RestTop(url="", bid="b", ask="a", time="t", time_unit_ns=unit_ns, quoted_time=quoted)
    top = BookTop(1, 10.0, 0.0, 11.0, 0.0, AT + 123_456_789, AT)
    body = place.say("BTC", top)
    assert isinstance(json.loads(body)["t"], str if quoted else int)
    assert place.read(1, "BTC", body, AT).venue_ns == (AT + 123_456_789) // unit_ns * unit_ns
    assert refusal(place, b'{"a":11,"b":10,"t":"12.5"}') == Refusal.TIME_UNIT
    assert refusal(place, b'{"a":11,"b":10,"t":true}') == Refusal.TIME_UNIT
    assert refusal(place, b'{"a":11,"b":10,"t":1}') == Refusal.TIME_UNIT


def test_a_time_in_words_is_utc_unless_it_says_another_zone() -> None:
    place = base.RestTop(url="", bid="b", ask="a", time="t", time_unit_ns=0)
    for text in ("2026-09-21T14:13:20.25Z", "2026-09-21T14:13:20.25"):
        said = json.dumps({"a": 11, "b": 10, "t": text}).encode()
        assert place.read(1, "BTC", said, AT).venue_ns == AT + 250_000_000
    assert refusal(place, b'{"a":11,"b":10,"t":"2026-09-21T14:13:20+09:00"}') == Refusal.TIME_UNIT
    assert refusal(place, b'{"a":11,"b":10,"t":1790000000}') == Refusal.TIME_UNIT


def test_the_symbol_must_be_the_one_that_was_asked_for() -> None:
    place = base.RestTop(url="", bid="b", ask="a", symbol="ch", named="market.{symbol}.depth", lower=True)
    body = b'{"ch":"market.btcusdt.depth","a":11,"b":10}'
    assert place.read(1, "BTCUSDT", body, AT).bid == 10.0
    assert refusal(place, body, "ETHUSDT") == Refusal.UNKNOWN_SYMBOL
    assert refusal(place, b'{"ch":7,"a":11,"b":10}', "7") == Refusal.UNKNOWN_SYMBOL


def test_a_body_says_what_is_read_where_it_is_read() -> None:
    top = BookTop(1, 10.5, 0.25, 11.0, 1e-7, AT, AT)
    assert json.loads(LEVELS.say("BTC/USD", top)) == {
        "error": [],
        "result": {"XBTUSD": {"bids": [["10.5", "0.25"]], "asks": [["11.0", "0.0000001"]]}},
    }
    assert json.loads(ROW.say("BTC", top)) == [["10.5", 1, "0.25"], ["11.0", 1, "-0.0000001"]]
    rows = base.RestTop(url="", bid="0.x.p", ask="0.y.p", symbol="0.s", quoted=False)
    assert json.loads(rows.say("BTC", top)) == [{"s": "BTC", "x": {"p": 10.5}, "y": {"p": 11.0}}]
    ordered = base.RestTop(url="", bid="1.p", ask="0.p", quoted=False)
    assert json.loads(ordered.say("BTC", top)) == [{"p": 11.0}, {"p": 10.5}]
