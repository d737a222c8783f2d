"""Strict reading: bytes decoded or refused by name, checked numbers, pinned times."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from oracle.core.types import BookTop, Ticker, TickerKind
from oracle.errors import Refusal, VenueError
from oracle.venues import base

AT = 1_760_000_000_000_000_000


class Said(Struct):
    price: float
    count: int


DECODE: base.Decoder[Said] = base.Decoder(Said, (2,), bytes_max=200_000)


def reason_of(data: bytes) -> Refusal:
    with pytest.raises(VenueError) as caught:
        DECODE(data)
    return caught.value.reason


@pytest.mark.parametrize(
    "data",
    [
        b'{"price":1.5,"count":2}',
        b'{"price":"1.5","count":"2"}',
        b'{ "price" : 1.5, "count" : 2 }',
        b'{"count":2,"price":1.5,"other":{"deep":[null,true]}}',
        '{"price":1.5,"count":2,"näme":"é"}'.encode(),
        b'{"price":1.5,"count":2,"name":"a\\"b\\u00e9"}',
    ],
)
def test_good_frames_are_decoded_on_either_road(data: bytes) -> None:
    assert DECODE(data) == Said(1.5, 2)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"price":1,"count":2}' + b" " * 200_000, Refusal.TOO_LARGE),
        (b"[" * 100_000, Refusal.TOO_DEEP),
        (b'{"price":1,"other":' + b"[" * 100_000, Refusal.TOO_DEEP),
        (b'{"price":1,"other":' + b"[" * 90_000 + b"]" * 90_000 + b"}", Refusal.TOO_DEEP),
        (b'{"price":1,"name":"\xff"}', Refusal.NOT_UTF8),
        (b"\xff\xfe{\x00}\x00", Refusal.NOT_UTF8),
        (b"", Refusal.NOT_JSON),
        (b"{", Refusal.NOT_JSON),
        (b'{"price":1} {}', Refusal.NOT_JSON),
        (b'\xef\xbb\xbf{"price":1}', Refusal.NOT_JSON),
        (b'{"price":1}\x00', Refusal.NOT_JSON),
        (b'{"price":NaN}', Refusal.NOT_JSON),
        (b'{"price":1,"other":-Infinity}', Refusal.NOT_JSON),
        (b'{"price":1,"name":"\\ud800"}', Refusal.NOT_JSON),
        (b'{"price":1,"a\\u0000b":2}', Refusal.NOT_JSON),
        (b'{"price":01}', Refusal.NOT_JSON),
        (b'{"price":1e400}', Refusal.NOT_A_NUMBER),
        (b'{"price":1,"other":1e400}', Refusal.NOT_A_NUMBER),
        (b'{"price":1,"count":' + b"9" * 5_000 + b"}", Refusal.NOT_A_NUMBER),
        (b'{"price":1,"price":2}', Refusal.DUPLICATE_KEY),
        (b'{"price":1,"pric\\u0065":2,"count":1}', Refusal.DUPLICATE_KEY),
        (b'{"price":1,"count":2,"other":{"a":1,"a":1}}', Refusal.DUPLICATE_KEY),
        (b'{"price":"1_000"}', Refusal.WRONG_SHAPE),
        ('{"price":"١"}'.encode(), Refusal.WRONG_SHAPE),
        (b'{"price":null}', Refusal.WRONG_SHAPE),
        (b'{"price":true}', Refusal.WRONG_SHAPE),
        (b'{"count":1}', Refusal.WRONG_SHAPE),
        (b"[]", Refusal.WRONG_SHAPE),
        (b'{"price":"1","count":1.5}', Refusal.WRONG_SHAPE),
    ],
)
def test_bad_frames_are_refused_by_name(data: bytes, reason: Refusal) -> None:
    assert reason_of(data) == reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(frame=st.one_of(st.binary(max_size=80), JSON.map(lambda value: json.dumps(value).encode())))
def test_whatever_comes_is_decoded_or_refused(frame: bytes) -> None:
    try:
        said = DECODE(frame)
    except VenueError:
        return
    assert isinstance(said, Said)


@pytest.mark.parametrize("check", [base.price, base.size, base.number])
def test_numbers_are_finite_and_never_negative(check: object) -> None:
    assert callable(check)
    for good in (1e-12, 1.0, 60000.5, 1e14):
        assert check(good) == good
    for bad, reason in ((-1.0, Refusal.NOT_POSITIVE), (nan, Refusal.NOT_A_NUMBER), (inf, Refusal.NOT_A_NUMBER)):
        with pytest.raises(VenueError) as caught:
            check(bad)
        assert caught.value.reason == reason


def test_only_a_levels_size_may_be_zero() -> None:
    assert base.number(0.0) == 0.0
    for check in (base.price, base.size):
        with pytest.raises(VenueError, match="NOT_POSITIVE"):
            check(0.0)
    for check, absurd in ((base.price, 1e15), (base.size, 1e18), (base.number, 1e18)):
        for beyond in (absurd, 5e-324, 1e-30, nan, -inf):
            with pytest.raises(VenueError, match="NOT_A_NUMBER"):
                check(beyond)


def test_a_top_with_an_empty_side_and_a_crossed_one_are_said_as_they_are() -> None:
    assert base.top(1, 10.0, 1.0, 11.0, 2.0, AT, AT) == BookTop(1, 10.0, 1.0, 11.0, 2.0, AT, AT)
    assert base.top(1, 10.0, 0.0, 11.0, 2.0, 0, AT) == BookTop(1, 0.0, 0.0, 11.0, 2.0, 0, AT)
    assert base.top(1, 10.0, 1.0, 0.0, 2.0, 0, AT) == BookTop(1, 10.0, 1.0, 0.0, 0.0, 0, AT)
    assert base.top(1, 0.0, 0.0, 0.0, 0.0, 0, AT) == BookTop(1, 0.0, 0.0, 0.0, 0.0, 0, AT)
    assert base.top(1, 12.0, 1.0, 11.0, 2.0, 0, AT).bid == 12.0
    for sides in ((-1.0, 1.0, 11.0, 2.0), (10.0, nan, 11.0, 2.0), (10.0, 1.0, inf, 2.0), (10.0, 1.0, 11.0, -2.0)):
        with pytest.raises(VenueError):
            base.top(1, *sides, AT, AT)


def test_the_unit_of_a_time_is_pinned() -> None:
    assert base.event_time(AT // 1_000_000, 1_000_000, AT + 5) == AT
    assert base.event_time(AT // 1_000_000, 1_000_000, 0) == AT
    day_ns = base.EVENT_TIME_ERROR_NS_MAX
    assert base.event_time(AT + day_ns, 1, AT) == AT + day_ns
    for value, recv_ns in ((AT // 1_000, AT), (AT + day_ns + 1, AT), (0, 0), (-5, 0), (10**30, AT)):
        with pytest.raises(VenueError, match="TIME_UNIT"):
            base.event_time(value, 1, recv_ns)


def test_times_in_words_are_read_to_the_nanosecond() -> None:
    second = int(datetime(2025, 10, 9, 8, 53, 20, tzinfo=UTC).timestamp()) * 1_000_000_000
    assert base.event_time_iso("2025-10-09T08:53:20Z", 0) == second
    assert base.event_time_iso("2025-10-09T08:53:20.5Z", 0) == second + 500_000_000
    assert base.event_time_iso("2025-10-09T08:53:20.123456789Z", second) == second + 123_456_789
    assert base.event_time_iso("2025-10-09T08:53:20.1234567899Z", second) == second + 123_456_789


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2025-10-09T08:53:20",
        "2025-10-09T08:53:20+00:00",
        "2025-10-09T08:53:20.12_3Z",
        "2025-10-09T08:53:20.١Z",
        "2025-10-09T08:53:20,5Z",
        "2025-13-09T08:53:20Z",
        "2025-10-09T08:53:61Z",
        "yesterday, at noonish.5Z",
        "1925-10-09T08:53:20Z",
    ],
)
def test_other_words_are_no_times(text: str) -> None:
    with pytest.raises(VenueError, match="TIME_UNIT"):
        base.event_time_iso(text, 0)


@settings(max_examples=150, deadline=None)
@given(nanos=st.integers(1_000_000_000, 2_000_000_000_000_000_000))
def test_a_time_in_words_reads_back_as_the_time(nanos: int) -> None:
    second = datetime.fromtimestamp(nanos // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    assert base.event_time_iso(f"{second}.{nanos % 1_000_000_000:09d}Z", nanos) == nanos


@settings(max_examples=200, deadline=None)
@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_decimal_text_is_plain_and_reads_back(value: float) -> None:
    text = base.decimal_text(value)
    assert float(text) == value
    assert "e" not in text.lower()


def test_what_a_venue_states_is_a_ticker_each_and_nothing_where_it_says_nothing() -> None:
    assert [*base.tickers(2, 60_000.5, 60_001.0, -0.0001, 7, AT)] == [
        Ticker(2, TickerKind.MARK, 60_000.5, 7, AT),
        Ticker(2, TickerKind.INDEX, 60_001.0, 7, AT),
        Ticker(2, TickerKind.FUNDING, -0.0001, 7, AT),
    ]
    assert [*base.tickers(2, None, "", 0.0, 0, AT)] == [Ticker(2, TickerKind.FUNDING, 0.0, 0, AT)]
    assert [*base.tickers(2, "", None, "", 0, AT)] == []


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        ((0.0, None, None), Refusal.NOT_POSITIVE),
        ((None, nan, None), Refusal.NOT_A_NUMBER),
        ((None, None, 1.0), Refusal.NOT_A_NUMBER),
        ((None, None, nan), Refusal.NOT_A_NUMBER),
    ],
)
def test_a_statement_out_of_all_proportion_is_refused(
    stated: tuple[base.Said, base.Said, base.Said], reason: Refusal
) -> None:
    with pytest.raises(VenueError) as caught:
        list(base.tickers(2, *stated, 0, AT))
    assert caught.value.reason is reason
