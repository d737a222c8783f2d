"""A frame is believed for its MAC, its time and its shape; what it says is as strict as any venue's word."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.collectors.feed_gate import DOMAIN, FRAME_BYTES_MAX, LEVELS_MAX, Gate
from oracle.core.params import World
from oracle.core.types import (
    NANOS_PER_MS,
    Action,
    BookTop,
    Command,
    Depth,
    Liquidation,
    Observation,
    Side,
    Trade,
)
from oracle.errors import FeedError

NOW_MS = 1_790_000_000_000
NOW_NS = NOW_MS * NANOS_PER_MS
SECRET = b"a secret of thirty-two bytes.... "
BOOK: dict[str, object] = {"bid": "60000.5", "bid_size": 1, "ask": 60001, "ask_size": "2.25"}


def sign(text: str | bytes, secret: bytes = SECRET) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return hmac.new(secret, DOMAIN + data, hashlib.sha256).hexdigest().encode() + b" " + data


def fields(kind: str = "book", body: object = None, **changes: object) -> dict[str, object]:
    made: dict[str, object] = {
        "key": "engine-1",
        "ts": NOW_MS,
        "epoch": NOW_MS,
        "seq": 1,
        "instrument": "BTC-USD-PERP",
        "type": kind,
        "body": BOOK if body is None else body,
    }
    return made | changes


def frame(kind: str = "book", body: object = None, **changes: object) -> bytes:
    return sign(json.dumps(fields(kind, body, **changes)))


@pytest.fixture
def gate(world: World) -> Gate:
    return Gate(world, {"engine-1": SECRET})


def judge(gate: Gate, data: bytes) -> Observation | None:
    message = gate.parse(data)
    gate.authenticate(message, data, NOW_NS)
    return gate.read(message, NOW_NS)


def reason(gate: Gate, data: bytes) -> str:
    with pytest.raises(FeedError) as caught:
        judge(gate, data)
    return caught.value.reason


def test_every_type_becomes_its_fact(gate: Gate) -> None:
    at_ns = NOW_NS - 5 * NANOS_PER_MS
    deal = {"price": 60000, "size": "0.5", "side": "sell"}
    depth = {"bids": [["60000", 1], [59999.5, 2]], "asks": [[60001, "1"]]}

    def said(kind: str, body: object) -> Observation | None:
        return judge(gate, frame(kind, body, ts=NOW_MS - 5))

    assert said("book", BOOK) == BookTop(3, 60000.5, 1.0, 60001.0, 2.25, at_ns, NOW_NS)
    assert said("depth", depth) == Depth(3, ((60000.0, 1.0), (59999.5, 2.0)), ((60001.0, 1.0),), at_ns, NOW_NS)
    assert said("trade", deal) == Trade(3, 60000.0, 0.5, Side.SELL, at_ns, NOW_NS)
    assert said("liquidation", deal) == Liquidation(3, 60000.0, 0.5, Side.SELL, at_ns, NOW_NS)
    assert said("heartbeat", {}) is None
    for word, action in (("suspended", Action.SUSPEND), ("trading", Action.UNSUSPEND)):
        command = said("status", {"reference_asset": word})
        assert isinstance(command, Command)
        assert (command.action, command.target, command.by) == (action, "BTC-USD", "engine:engine-1")


def test_an_empty_side_is_a_fact(gate: Gate) -> None:
    fact = judge(gate, frame(body=BOOK | {"bid": 0, "bid_size": 0}))
    assert fact == BookTop(3, 0.0, 0.0, 60001.0, 2.25, NOW_NS, NOW_NS)


def test_a_wrong_mac_is_refused_wherever_the_bit_flips(gate: Gate) -> None:
    good = frame()
    assert reason(gate, sign(json.dumps(fields()), b"another secret")) == "MAC"
    assert reason(gate, good.replace(b"60000.5", b"60000.6")) == "MAC"
    assert reason(gate, good.replace(b", ", b",")) == "MAC", "the bytes exactly as sent"
    assert reason(gate, b"0" * 64 + good[64:]) == "MAC"
    assert reason(gate, good[:64].upper() + good[64:]) == "MAC"
    unlabelled = hmac.new(SECRET, good[65:], hashlib.sha256).hexdigest().encode() + good[64:]
    assert reason(gate, unlabelled) == "MAC", "a MAC of another protocol under the same secret"


def test_an_unknown_key_is_refused_however_well_it_is_signed(gate: Gate) -> None:
    assert reason(gate, frame(key="engine-2")) == "KEY"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"ts": NOW_MS - 2_001}, "OLD"),
        ({"ts": NOW_MS + 2_001}, "FUTURE"),
        ({"epoch": NOW_MS + 2 * 86_400_000}, "FUTURE"),
        ({"ts": 0}, "OLD"),
        ({"instrument": "ETH-USD-PERP"}, "INSTRUMENT"),
        ({"seq": -1}, "SHAPE"),
        ({"seq": 1 << 53}, "SHAPE"),
        ({"seq": 1.5}, "SHAPE"),
        ({"epoch": None}, "SHAPE"),
        ({"type": "order"}, "SHAPE"),
        ({"extra": 1}, "SHAPE"),
        ({"body": []}, "SHAPE"),
    ],
)
def test_envelopes_are_judged_in_order(gate: Gate, changes: dict[str, Any], expected: str) -> None:
    assert reason(gate, frame(**changes)) == expected


@pytest.mark.parametrize("ahead_ms", [-2_000, 2_000])
def test_two_seconds_are_allowed_either_way(gate: Gate, ahead_ms: int) -> None:
    assert judge(gate, frame(ts=NOW_MS + ahead_ms)) is not None


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("book", BOOK | {"bid": "-1"}, "NUMBER"),
        ("book", BOOK | {"bid": "nan"}, "NUMBER"),
        ("book", BOOK | {"bid": "inf"}, "NUMBER"),
        ("book", BOOK | {"bid": "1e400"}, "SHAPE"),
        ("book", BOOK | {"bid": "1_000"}, "SHAPE"),
        ("book", BOOK | {"bid": "٦٠٠"}, "SHAPE"),
        ("book", BOOK | {"bid": True}, "SHAPE"),
        ("book", BOOK | {"bid": None}, "SHAPE"),
        ("book", BOOK | {"mid": 1}, "SHAPE"),
        ("book", {"bid": 1, "ask": 2}, "SHAPE"),
        ("trade", {"price": 0, "size": 1, "side": "buy"}, "NUMBER"),
        ("trade", {"price": 1, "size": 0, "side": "buy"}, "NUMBER"),
        ("trade", {"price": 1, "size": 1, "side": "up"}, "SHAPE"),
        ("liquidation", {"price": 1, "size": 1}, "SHAPE"),
        ("depth", {"bids": [[1, 1], [2, 1]], "asks": []}, "SHAPE"),
        ("depth", {"bids": [], "asks": [[2, 1], [2, 1]]}, "SHAPE"),
        ("depth", {"bids": [[1, 0]], "asks": []}, "NUMBER"),
        ("depth", {"bids": [[2, 1], ["nan", 1]], "asks": []}, "NUMBER"),
        ("depth", {"bids": [], "asks": [[1, 1], ["inf", 1]]}, "NUMBER"),
        ("depth", {"bids": [], "asks": [["-1", 1], [2, 1]]}, "NUMBER"),
        ("depth", {"bids": [], "asks": [[1, "inf"], [2, 1]]}, "NUMBER"),
        ("depth", {"bids": [], "asks": [[1, "nan"], [2, 1]]}, "NUMBER"),
        ("depth", {"bids": [[1, 1, 1]], "asks": []}, "SHAPE"),
        ("depth", {"bids": [[i + 1, 1] for i in range(LEVELS_MAX + 1)], "asks": []}, "SHAPE"),
        ("status", {"reference_asset": "halted"}, "SHAPE"),
        ("heartbeat", {"a": 1}, "SHAPE"),
    ],
)
def test_bodies_are_strict(gate: Gate, kind: str, body: object, expected: str) -> None:
    assert reason(gate, frame(kind, body)) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"{}",
        b"x" * 64 + b" ",
        b"x" * 64 + b" {",
        b"x" * 64 + b" []",
        b"x" * 64 + b" \xff",
        b"x" * 64 + b"  " + b"[" * 5_000,
        b"x" * 64 + b"\t{}",
    ],
)
def test_what_is_no_frame_is_refused(gate: Gate, data: bytes) -> None:
    assert reason(gate, data) == "SHAPE"


def test_a_key_given_twice_is_refused_even_where_the_count_would_fit(gate: Gate) -> None:
    twice = json.dumps(fields("trade", {"price": 1, "size": 1, "side": "buy"}))
    assert reason(gate, sign(twice.replace('"price"', '"price": 9, "price"'))) == "SHAPE"
    assert reason(gate, sign(twice.replace('"seq"', '"seq": 9, "seq"'))) == "SHAPE"
    assert reason(gate, sign(twice.replace('"seq"', '"\\u0073eq": 9, "seq"'))) == "SHAPE"


def test_the_size_is_judged_before_anything_else(gate: Gate) -> None:
    assert reason(gate, b"x" * (FRAME_BYTES_MAX + 1)) == "TOO_LARGE"


@settings(max_examples=100)
@given(st.binary(max_size=300), st.integers(0, 400), st.binary(min_size=1, max_size=4))
def test_no_bytes_do_anything_but_be_refused(world: World, noise: bytes, place: int, patch: bytes) -> None:
    gate = Gate(world, {"engine-1": SECRET})
    good = frame()
    for data in (noise, sign(noise), good[:place] + patch + good[place + len(patch) :]):
        if data != good:
            with pytest.raises(FeedError):
                judge(gate, data)
