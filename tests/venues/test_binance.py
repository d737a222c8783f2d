"""Binance's dialect: payloads as the documentation writes them, what is refused, and the recordings."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from oracle.collectors import tape
from oracle.core.types import BookTop, Depth, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, binance

AT_MS = 1_760_000_000_000
AT = AT_MS * 1_000_000
FEEDS = [base.Feed(1, "BTCUSDT"), base.Feed(4, "ETHUSDT")]
DEEP = ("bookTicker", "trade", "depth@100ms")
Levels = list[list[str]]


def dump(**fields: Any) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def event(channel: str, stream: str = "btcusdt", **said: Any) -> bytes:
    return dump(stream=f"{stream}@{channel}", data=said)


def ticker(**other: Any) -> bytes:
    said = {"u": 400900217, "s": "BTCUSDT", "b": "60000.5", "B": "1.5", "a": "60000.6", "A": "2", **other}
    return event("bookTicker", **said)


def timed_ticker(**other: Any) -> bytes:
    return ticker(**{"e": "bookTicker", "T": AT_MS, "E": AT_MS + 4, **other})


def deal(**other: Any) -> bytes:
    said = {"e": "trade", "E": AT_MS + 1, "s": "BTCUSDT", "t": 12345, "p": "60000.5", "q": "0.25", "T": AT_MS}
    return event("trade", **{**said, "m": True, "M": True, **other})


def futures_deal(kind: str, **other: Any) -> bytes:
    said = {"e": "trade", "E": AT_MS + 1, "T": AT_MS, "s": "BTCUSDT", "t": 12345, "p": "60000.5", "q": "0.25"}
    return event("trade", **{**said, "X": kind, "m": False, **other})


def delta(first: int, last: int, bids: Levels, asks: Levels, channel: str = "depth@100ms", **other: Any) -> bytes:
    said = {"e": "depthUpdate", "E": AT_MS + 4, "s": "BTCUSDT", "U": first, "u": last, "b": bids, "a": asks}
    return event(channel, **{**said, **other})


def futures_delta(previous: int, first: int, last: int, bids: Levels, asks: Levels, **other: Any) -> bytes:
    return delta(first, last, bids, asks, "depth@0ms", **{"T": AT_MS, "pu": previous, **other})


def snapshot(last: int, bids: Levels, asks: Levels, **other: Any) -> bytes:
    return dump(lastUpdateId=last, bids=bids, asks=asks, **other)


def spot(*channels: str) -> binance.Session:
    return binance.Session(FEEDS, "spot", channels) if channels else binance.Session(FEEDS)


def usdm() -> binance.Session:
    return binance.Session(FEEDS, "usdm")


def depth(bids: list[tuple[float, float]], asks: list[tuple[float, float]], venue_ns: int) -> Depth:
    return Depth(1, tuple(bids), tuple(asks), venue_ns, AT)


def test_it_dials_an_address_that_names_every_stream() -> None:
    streams = "btcusdt@bookTicker/btcusdt@trade/ethusdt@bookTicker/ethusdt@trade"
    assert spot().url() == f"wss://stream.binance.com:9443/stream?streams={streams}"
    assert usdm().url() == f"wss://fstream.binance.com/public/stream?streams={streams}"
    assert spot().open() == spot().idle(AT) == []


def test_tops_of_spot_and_of_futures() -> None:
    assert spot().receive(ticker(), AT) == [BookTop(1, 60000.5, 1.5, 60000.6, 2.0, 0, AT)]
    assert usdm().receive(timed_ticker(), AT) == [BookTop(1, 60000.5, 1.5, 60000.6, 2.0, AT, AT)]
    assert spot().receive(ticker(a="0.0", A="0.0"), AT) == [BookTop(1, 60000.5, 1.5, 0.0, 0.0, 0, AT)]
    assert spot().receive(ticker(b="60001"), AT) == [BookTop(1, 60001.0, 1.5, 60000.6, 2.0, 0, AT)]
    coins = binance.Session([base.Feed(1, "BTCUSD_PERP")], "coinm")
    frame = timed_ticker(s="BTCUSD_PERP", ps="BTCUSD").replace(b"btcusdt@", b"btcusd_perp@")
    assert coins.receive(frame, AT) == [BookTop(1, 60000.5, 1.5, 60000.6, 2.0, AT, AT)]


def test_trades_of_spot_and_of_futures() -> None:
    sold, bought = Trade(1, 60000.5, 0.25, Side.SELL, AT, AT), Trade(1, 60000.5, 0.25, Side.BUY, AT, AT)
    assert spot().receive(deal(), AT) == [sold]
    assert spot().receive(deal(b=88, a=50), AT) == [sold]
    assert usdm().receive(futures_deal("MARKET"), AT) == [bought]
    assert usdm().receive(futures_deal("MARKET").replace(b',"X":"MARKET"', b""), AT) == [bought]
    for kind in ("INSURANCE_FUND", "ADL", "NA"):
        assert usdm().receive(futures_deal(kind, p="0", q="0"), AT) == []


def test_a_clock_seconds_behind_the_venue_refuses_nothing() -> None:
    behind = AT - 1_270_000_000
    assert usdm().receive(timed_ticker(), behind) == [BookTop(1, 60000.5, 1.5, 60000.6, 2.0, AT, behind)]
    assert spot().receive(deal(), behind) == [Trade(1, 60000.5, 0.25, Side.SELL, AT, behind)]


def test_aggregate_trades_where_they_are_asked_for(contract: Any) -> None:
    said: dict[str, Any] = {
        "e": "aggTrade",
        "E": AT_MS,
        "s": "BTCUSDT",
        "a": 7,
        "p": "60000.5",
        "q": "0.25",
        "f": 1,
        "l": 2,
    }
    frame = event("aggTrade", **said, T=AT_MS, m=False, M=True)
    assert spot("aggTrade").receive(frame, AT) == [Trade(1, 60000.5, 0.25, Side.BUY, AT, AT)]
    assert contract.refusal(spot(), frame) == Refusal.UNKNOWN_MESSAGE


def test_what_is_no_fact_is_nothing() -> None:
    shutdown = {"e": "serverShutdown", "E": AT_MS}
    for benign in (dump(result=None, id=1), dump(**shutdown), dump(stream="", data=shutdown)):
        assert spot().receive(benign, AT) == []


def test_the_futures_book_waits_for_its_snapshot_and_joins_it() -> None:
    live = usdm()
    (request,) = live.receive(futures_delta(90, 91, 99, [["1", "1"]], []), AT)
    assert request == base.Request("https://fapi.binance.com/fapi/v1/depth?symbol=BTCUSDT&limit=1000", "BTCUSDT")
    assert live.receive(futures_delta(99, 100, 105, [["100", "2"]], [["103", "0"]]), AT) == []
    body = snapshot(102, [["99", "1"], ["98", "5"]], [["103", "4"], ["104", "1"]], E=AT_MS, T=AT_MS - 50)
    assert live.answer(request, body, AT) == [depth([(100.0, 2.0), (99.0, 1.0), (98.0, 5.0)], [(104.0, 1.0)], AT)]
    follows = futures_delta(105, 107, 110, [["98", "0"], ["97", "0"]], [["102", "3"]], T=AT_MS + 2)
    after = depth([(100.0, 2.0), (99.0, 1.0)], [(102.0, 3.0), (104.0, 1.0)], AT + 2_000_000)
    assert live.receive(follows, AT) == [after]


def test_a_delta_may_continue_the_snapshot_directly() -> None:
    live = usdm()
    live.receive(futures_delta(80, 91, 99, [], []), AT)
    live.answer(base.Request("", "BTCUSDT"), snapshot(100, [["99", "1"]], [["101", "1"]]), AT)
    assert live.receive(futures_delta(100, 150, 160, [["100", "2"]], []), AT) == [
        depth([(100.0, 2.0), (99.0, 1.0)], [(101.0, 1.0)], AT)
    ]


def test_the_spot_book_counts_every_update(contract: Any) -> None:
    live = spot(*DEEP)
    assert [type(e) for e in live.receive(delta(96, 100, [], []), AT)] == [base.Request]
    live.receive(delta(101, 103, [["99.5", "7"]], []), AT)
    body = snapshot(100, [["99", "1"]], [["101", "1"]])
    assert live.answer(base.Request("", "BTCUSDT"), body, AT) == [
        depth([(99.5, 7.0), (99.0, 1.0)], [(101.0, 1.0)], AT + 4_000_000)
    ]
    assert live.receive(delta(104, 104, [["99.5", "0"]], []), AT) == [
        depth([(99.0, 1.0)], [(101.0, 1.0)], AT + 4_000_000)
    ]
    assert contract.refusal(live, delta(106, 107, [], [])) == Refusal.SEQUENCE_GAP
    assert contract.refusal(live, delta(108, 108, [], [])) == Refusal.NO_SNAPSHOT
    assert live.answer(base.Request("", "BTCUSDT"), body, AT) == [depth([(99.0, 1.0)], [(101.0, 1.0)], 0)]


def test_a_snapshot_from_before_the_deltas_is_a_gap(contract: Any) -> None:
    live = usdm()
    live.receive(futures_delta(190, 195, 200, [], []), AT)
    with pytest.raises(VenueError, match="SEQUENCE_GAP"):
        live.answer(base.Request("", "BTCUSDT"), snapshot(100, [], []), AT)
    assert contract.refusal(live, futures_delta(200, 201, 202, [], [])) == Refusal.NO_SNAPSHOT


def test_deltas_do_not_wait_for_ever(contract: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binance, "WAITING_DELTAS_MAX", 2)
    live = spot(*DEEP)
    live.receive(delta(1, 1, [], []), AT)
    live.receive(delta(2, 2, [], []), AT)
    assert contract.refusal(live, delta(3, 3, [], [])) == Refusal.NO_SNAPSHOT


def test_a_snapshot_among_the_frames_is_that_of_the_only_market(contract: Any) -> None:
    body = snapshot(100, [["99", "1"]], [["101", "1"]], E=AT_MS, T=AT_MS)
    alone = binance.Session(FEEDS[:1], "usdm")
    assert alone.receive(body, AT) == [depth([(99.0, 1.0)], [(101.0, 1.0)], AT)]
    assert contract.refusal(usdm(), body) == Refusal.UNKNOWN_SYMBOL
    named = snapshot(100, [["99", "1"]], [["101", "1"]], T=AT_MS, symbol="BTCUSDT")
    assert usdm().receive(named, AT) == [depth([(99.0, 1.0)], [(101.0, 1.0)], AT)]
    assert contract.refusal(spot(), body) == Refusal.UNKNOWN_MESSAGE


def test_depth_is_bounded() -> None:
    live = usdm()
    rows = [[str(1000 - n), "1"] for n in range(binance.DEPTH_LEVELS_MAX + 5)]
    (seen,) = live.answer(base.Request("", "BTCUSDT"), snapshot(1, rows, []), AT)
    assert isinstance(seen, Depth)
    assert len(seen.bids) == binance.DEPTH_LEVELS_MAX
    assert seen.bids[0] == (1000.0, 1.0)


def test_a_partial_book_of_the_futures_is_whole() -> None:
    live = binance.Session(FEEDS, "usdm", ("depth5@100ms",))
    frame = delta(5, 9, [["99", "1"]], [["101", "2"]], "depth5@100ms", T=AT_MS, pu=1)
    assert live.receive(frame, AT) == [depth([(99.0, 1.0)], [(101.0, 2.0)], AT)]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (dump(error={"code": 2, "msg": "Invalid request"}, id=1), Refusal.VENUE_ERROR),
        (dump(code=3, msg="Invalid JSON: expected value"), Refusal.VENUE_ERROR),
        (dump(hello=1), Refusal.UNKNOWN_MESSAGE),
        (event("kline_1m", e="kline"), Refusal.UNKNOWN_MESSAGE),
        (event("kline_1m", "xrpeur", e="kline"), Refusal.UNKNOWN_SYMBOL),
        (delta(1, 2, [], []), Refusal.UNKNOWN_MESSAGE),
        (snapshot(1, [], []), Refusal.UNKNOWN_MESSAGE),
        (event("trade"), Refusal.WRONG_SHAPE),
        (event("depth5", lastUpdateId=1), Refusal.UNKNOWN_MESSAGE),
        (event("depthSnapshot"), Refusal.UNKNOWN_MESSAGE),
        (dump(note="@", stream="btcusdt@trade", data={}), Refusal.UNKNOWN_MESSAGE),
        (b"[]", Refusal.WRONG_SHAPE),
        (b"", Refusal.NOT_JSON),
        (ticker(s="ETHUSDT"), Refusal.UNKNOWN_SYMBOL),
        (ticker(A="-1"), Refusal.NOT_POSITIVE),
        (deal(p="0"), Refusal.NOT_POSITIVE),
        (deal(q="0.0"), Refusal.NOT_POSITIVE),
    ],
)
def test_what_is_refused_by_name(contract: Any, frame: bytes, reason: Refusal) -> None:
    assert contract.refusal(spot(), frame) == reason


def test_what_the_futures_refuse_by_name(contract: Any) -> None:
    for frame, reason in (
        (futures_deal("ADL", s="ETHUSDT"), Refusal.UNKNOWN_SYMBOL),
        (futures_delta(1, 2, 3, [["0", "1"]], []), Refusal.NOT_POSITIVE),
        (futures_delta(1, 2, 3, [["1", "-1"]], []), Refusal.NOT_POSITIVE),
        (futures_delta(1, 2, 3, [["1"]], []), Refusal.WRONG_SHAPE),
        (futures_delta(1, 2, 3, [], [], T=AT_MS // 1000), Refusal.TIME_UNIT),
    ):
        assert contract.refusal(usdm(), frame) == reason
    for live, symbol in ((usdm(), "XRPEUR"), (spot(), "BTCUSDT")):
        with pytest.raises(VenueError, match="UNKNOWN_SYMBOL"):
            live.answer(base.Request("", symbol), snapshot(1, [], []), AT)


def test_a_key_said_twice_is_seen_even_when_the_count_of_keys_is_that_of_a_complete_message(contract: Any) -> None:
    without = deal().replace(b',"M":true', b"")
    assert contract.refusal(spot(), contract.doubled(without, b"p")) == Refusal.DUPLICATE_KEY
    without = futures_delta(1, 2, 3, [], []).replace(b',"pu":1', b"")
    assert contract.refusal(usdm(), contract.doubled(without, b"u")) == Refusal.DUPLICATE_KEY


def test_no_key_said_twice_hides_behind_one_left_out(contract: Any) -> None:
    for live, good in (
        (spot(), ticker()),
        (spot(), deal()),
        (usdm(), timed_ticker()),
        (usdm(), futures_deal("MARKET")),
    ):
        for frame in contract.traded(good):
            with pytest.raises(VenueError):
                live.receive(frame, AT)


def test_the_mimic_answers_only_what_was_asked() -> None:
    mimic, live = binance.Mimic(FEEDS), spot()
    assert mimic.greet("/stream?streams=btcusdt@trade", AT) == mimic.heartbeat(AT) == []
    (answer,) = mimic.hear('{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":7}', AT)
    assert json.loads(answer) == {"result": None, "id": 7}
    assert live.receive(answer.encode(), AT) == []
    for wrong in ("no json", '{"method":"DANCE","id":1}'):
        (answer,) = mimic.hear(wrong, AT)
        with pytest.raises(VenueError, match="VENUE_ERROR"):
            live.receive(answer.encode(), AT)


def test_the_session_for_an_address() -> None:
    url = "wss://fstream.binance.com/stream?streams=btcusdt@aggTrade/btcusdt@kline_1m/btcusdt@bookTicker"
    live = binance.session_for(url, FEEDS[:1])
    assert live.market == "usdm"
    assert live.url().endswith("?streams=btcusdt@aggTrade/btcusdt@bookTicker")
    assert binance.session_for("wss://dstream.binance.com/stream?streams=x@trade", FEEDS).market == "coinm"
    assert binance.session_for("", FEEDS, "usdm").url() == usdm().url()


def recorded(data: Path, name: str) -> list[tape.Frame]:
    return list(tape.read(data / "replay" / f"binance_{name}_20240808.gz"))


@pytest.mark.data
def test_the_perpetual_recording_is_read_whole_and_its_two_books_agree(data: Path) -> None:
    counts, compared, different = agreement(binance.Session(FEEDS[:1], "usdm"), recorded(data, "usdm_btcusdt"))
    assert counts == {"BookTop": 66089, "Trade": 21313, "Depth": 6546, "Request": 1}
    assert (compared, different) == (6543, 0)


@pytest.mark.data
def test_the_spot_recordings_with_and_without_their_depth(contract: Any, data: Path) -> None:
    counts, compared, different = agreement(binance.Session(FEEDS[:1], "spot", DEEP), recorded(data, "spot_btcusdt"))
    assert counts == {"BookTop": 28040, "Trade": 9757, "Depth": 3449, "Request": 1}
    assert (compared, different) == (3448, 0)
    shallow = contract.conform(binance.Session(FEEDS[1:]), recorded(data, "spot_ethusdt"))
    assert shallow == {"frames": 33618, "BookTop": 24077, "Trade": 6106, Refusal.UNKNOWN_MESSAGE: 3435}


def agreement(live: base.Session, frames: list[tape.Frame]) -> tuple[Counter[str], int, int]:
    """What came of a recording; how many kept books met a ticker of the same update number, and how many differed."""
    counts: Counter[str] = Counter()
    tops: dict[int, BookTop] = {}
    kept: list[tuple[int, Depth]] = []
    for frame in frames:
        for said in live.receive(frame.data, frame.recv_ns):
            counts[type(said).__name__] += 1
            number = re.search(rb'"u":([0-9]+)', frame.data)
            if number and isinstance(said, BookTop):
                tops[int(number[1])] = said
            elif number and isinstance(said, Depth):
                kept.append((int(number[1]), said))
    numbers = sorted(tops)
    pairs = [(book, tops[numbers[at - 1]]) for u, book in kept if 0 < (at := bisect_right(numbers, u)) < len(numbers)]
    different = sum((t.bid, t.bid_size, t.ask, t.ask_size) != (*d.bids[0], *d.asks[0]) for d, t in pairs)
    return counts, len(pairs), different


@pytest.mark.data
def test_the_coin_margined_recording(contract: Any, data: Path) -> None:
    frames = recorded(data, "coinm_btcusd_perp")[:6_000]
    counts = contract.conform(binance.Session([base.Feed(0, "BTCUSD_PERP")], "coinm"), frames)
    assert set(counts) == {"frames", "BookTop", "Trade", "Depth", "Request"}


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "tops", "trades"), [("binance", 84, 2), ("binance_us", 128, 11), ("binance_futures", 613, 91)]
)
def test_captured_connections_with_the_snapshots_beside_them(
    contract: Any, data: Path, name: str, tops: int, trades: int
) -> None:
    frames = list(tape.read(data / "frames" / f"{name}.ws.1.0.txt.gz"))
    url = frames[0].url
    symbols = dict.fromkeys(part.partition("@")[0].upper() for part in url.partition("streams=")[2].split("/"))
    live = binance.session_for(url, [base.Feed(n, symbol) for n, symbol in enumerate(symbols)])
    for answer in tape.read(data / "frames" / f"{name}.http.0.0.txt.gz"):
        symbol = answer.url.partition("symbol=")[2].partition("&")[0]
        if symbol in symbols:
            live.answer(base.Request(answer.url, symbol), answer.data, answer.recv_ns)
    counts = contract.conform(live, frames)
    assert (counts["BookTop"], counts["Trade"]) == (tops, trades)
    assert counts["Depth"] > 0
    assert set(counts) <= {"frames", "BookTop", "Trade", "Depth", Refusal.UNKNOWN_MESSAGE}


@pytest.mark.data
@pytest.mark.parametrize(("name", "market"), [("binance.jsonl", "spot"), ("binance-futures.jsonl", "usdm")])
def test_captured_payloads_are_read_or_refused_by_name(contract: Any, data: Path, name: str, market: str) -> None:
    frames = list(tape.read(data / "payloads" / name))
    symbols = dict.fromkeys(json.loads(f.data)["stream"].partition("@")[0].upper() for f in frames)
    live = binance.Session([base.Feed(n, symbol) for n, symbol in enumerate(symbols)], market)
    counts = contract.conform(live, frames)
    assert set(counts) <= {"frames", "BookTop", "Trade", "Request", Refusal.UNKNOWN_MESSAGE}
    assert (counts["BookTop"], counts["Trade"]) == (1, 2)
