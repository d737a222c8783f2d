"""A book that its own trades have left behind is found, and no honest book is taken for one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from heapq import merge
from itertools import islice
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.collectors import tape
from oracle.collectors.evidence import Evidence
from oracle.collectors.skew import Skew
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, BookTop, Nanos, Side, Trade
from oracle.errors import VenueError
from oracle.venues import base, binance, coinbase, kraken, okx

START_NS = 1_790_000_000 * NANOS_PER_S
Said: TypeAlias = BookTop | Trade


def at(seconds: float) -> Nanos:
    return START_NS + int(seconds * NANOS_PER_S)


def top(seconds: float, bid: float, ask: float, *, size: float = 1.0, event_s: float | None = None) -> BookTop:
    event_ns = 0 if event_s is None else at(event_s)
    return BookTop(0, bid, size if bid else 0.0, ask, size if ask else 0.0, event_ns, at(seconds))


def trade(seconds: float, price: float, event_s: float | None = None) -> Trade:
    return Trade(0, price, 1.0, Side.UNKNOWN, 0 if event_s is None else at(event_s), at(seconds))


class Market:
    """An honest market: a walk, trades at the touch and through it, and a book that follows late."""

    def __init__(self, seed: int, *, books_per_s: float = 5.0, trades_per_s: float = 2.0) -> None:
        self.random = Random(seed)
        self.books_per_s, self.trades_per_s = books_per_s, trades_per_s
        self.bps_per_s, self.drift_bps_per_s = 1.0, 0.0
        self.tick, self.sweeps, self.lag_s = 0.1, 0.05, 0.1
        self.price = 60_000.0

    def said(self, seconds: float) -> list[Said]:
        """What it says within a time, in the order of receipt."""
        random, now_s, shown_s = self.random, 0.0, 0.0
        heard: list[Said] = []
        while now_s < seconds:
            gap_s = random.expovariate(self.books_per_s + self.trades_per_s)
            now_s += gap_s
            drift = self.drift_bps_per_s * gap_s + random.gauss(0.0, self.bps_per_s * gap_s**0.5)
            self.price *= 1 + drift / 10_000
            bid = int(self.price / self.tick) * self.tick
            ask = bid + self.tick
            if random.random() * (self.books_per_s + self.trades_per_s) < self.trades_per_s:
                levels = random.randrange(2, 60) if random.random() < self.sweeps else 1
                way = random.choice((-1, 1))
                prices = [(ask if way > 0 else bid) + way * n * self.tick for n in range(levels)]
                heard += [trade(now_s + 0.01, price, now_s) for price in prices]
                self.price += way * (levels - 1) * self.tick
                bid, ask = bid + way * (levels - 1) * self.tick, ask + way * (levels - 1) * self.tick
            shown_s = max(shown_s, now_s + self.lag_s * random.uniform(0.5, 2.0))
            heard.append(top(shown_s, bid, ask, size=random.random() + 0.1, event_s=now_s))
        return sorted(heard, key=lambda one: one.recv_ns)


def every(seconds: float, said: Iterable[Said]) -> list[Said]:
    """The same with the book only stated so often."""
    shown: set[int] = set()
    kept: list[Said] = []
    for one in said:
        turn = int((one.recv_ns - START_NS) / (seconds * NANOS_PER_S))
        if isinstance(one, Trade) or turn not in shown:
            kept.append(one)
            if isinstance(one, BookTop):
                shown.add(turn)
    return kept


def standing(said: Iterable[Said], from_s: float, how: str) -> Iterator[Said]:
    """The same with a book that stands still from a time on: silent, restated, or restated with other sizes."""
    last, sizes = None, Random(1)
    for one in said:
        if isinstance(one, Trade) or one.recv_ns < at(from_s) or last is None:
            last = last if isinstance(one, Trade) else one
            yield one
        elif how != "silent":
            size = sizes.random() + 0.1 if how == "stuck" else last.bid_size
            yield BookTop(0, last.bid, size, last.ask, size, one.venue_ns, one.recv_ns)


def accused(said: Iterable[Said]) -> float | None:
    """When the book is first called frozen, in seconds, asked four times a second."""
    evidence, asked_s = Evidence([0]), 0.0
    for one in said:
        while at(asked_s) < one.recv_ns:
            if evidence.frozen(at(asked_s)):
                return asked_s
            asked_s += 0.25
        if isinstance(one, BookTop):
            evidence.said(one)
        else:
            evidence.traded(one)
    return None


@pytest.mark.parametrize("how", ["silent", "restated", "stuck"])
@pytest.mark.parametrize("drift", [1.0, -1.0, 5.0])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_book_that_stands_still_is_found_within_fifteen_seconds(how: str, drift: float, seed: int) -> None:
    market = Market(seed)
    market.drift_bps_per_s = drift
    found_s = accused(standing(market.said(60.0), 40.0, how))
    assert found_s is not None
    assert 40.0 < found_s <= 55.0


@pytest.mark.parametrize("how", ["silent", "restated", "stuck"])
def test_it_is_found_on_a_walk_too_unless_the_price_comes_back(how: str) -> None:
    found = []
    for seed in range(20):
        market = Market(seed)
        market.bps_per_s = 2.0
        found.append(accused(standing(market.said(80.0), 40.0, how)))
    in_time = [seconds for seconds in found if seconds is not None and 40.0 < seconds <= 55.0]
    assert len(in_time) >= 18
    assert None not in found


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from([(5.0, 2.0), (0.05, 0.1), (0.05, 2.0), (1.0, 5.0)]),
    st.sampled_from([0.0, 0.5, 5.0, 20.0]),
    st.sampled_from([0.05, 0.5]),
    st.sampled_from([0.1, 1.0]),
    st.sampled_from([1.0, 10.0]),
)
def test_an_honest_book_is_never_accused(
    seed: int, pace: tuple[float, float], every_s: float, sweeps: float, lag_s: float, bps_per_s: float
) -> None:
    market = Market(seed, books_per_s=pace[0], trades_per_s=pace[1])
    market.sweeps, market.lag_s, market.bps_per_s = sweeps, lag_s, bps_per_s
    said = market.said(150.0)
    assert accused(every(every_s, said) if every_s else said) is None


def changing(evidence: Evidence, seconds: int = 10) -> None:
    """A book that changes every second until then."""
    for n in range(seconds):
        evidence.said(top(n - seconds, 100.0 + n, 101.0 + n))
    evidence.said(top(0, 100.0, 101.0))


def test_prints_inside_wipe_out_prints_outside() -> None:
    evidence = Evidence([0])
    changing(evidence)
    for n in range(1, 40):
        evidence.traded(trade(n * 1.0, 105.0 if n % 2 else 100.5))
    assert evidence.frozen(at(60)) == ()
    for n in range(40, 43):
        evidence.traded(trade(n * 1.0, 105.0))
    assert evidence.frozen(at(60)) == (0,)


def test_a_change_of_the_book_ends_the_accusation() -> None:
    evidence = Evidence([7, 0])
    changing(evidence)
    for n in range(1, 9):
        evidence.said(top(n - 0.5, 100.0, 101.0))  # restated: no change
        evidence.traded(trade(n * 1.0, 99.0))
    assert evidence.frozen(at(4.9)) == ()
    assert evidence.frozen(at(8)) == (0,)
    evidence.said(top(8.5, 100.0, 101.0, size=2.0))  # alive, but its prices are not
    assert evidence.frozen(at(9.5)) == ()
    assert evidence.frozen(at(10)) == (0,)
    evidence.said(top(10, 98.0, 99.0))
    assert evidence.frozen(at(11)) == ()


def test_a_sweep_is_one_print_however_many_levels() -> None:
    evidence = Evidence([0])
    changing(evidence)
    for n in range(100):
        evidence.traded(trade(3.0 + n / 1_000, 101.0 + n))
    assert evidence.frozen(at(60)) == ()


def test_trades_older_than_the_book_say_nothing_of_it() -> None:
    evidence = Evidence([0])
    changing(evidence)
    evidence.said(top(1, 200.0, 201.0, event_s=0.9))
    for n in range(2, 20):
        evidence.traded(trade(n * 1.0, 101.0, event_s=0.8))
    assert evidence.frozen(at(20)) == ()
    for n in range(20, 24):
        evidence.traded(trade(n * 1.0, 101.0, event_s=n - 0.1))
    assert evidence.frozen(at(24)) == (0,)


def test_a_book_of_unknown_habit_has_patience() -> None:
    evidence = Evidence([0])
    evidence.said(top(0, 100.0, 101.0))
    for n in range(1, 46):
        evidence.traded(trade(n * 1.0, 105.0))
    assert evidence.frozen(at(59)) == ()
    assert evidence.frozen(at(60)) == (0,)


@pytest.mark.parametrize(
    ("bid", "ask", "price", "outside"),
    [
        (100.0, 101.0, 101.001, False),
        (100.0, 101.0, 101.01, True),
        (100.0, 101.0, 99.99, True),
        (100.0, 0.0, 200.0, False),
        (100.0, 0.0, 99.0, True),
        (0.0, 101.0, 1.0, False),
        (0.0, 101.0, 102.0, True),
        (0.0, 0.0, 102.0, False),
        (101.0, 100.0, 100.5, False),  # crossed
        (101.0, 100.0, 99.0, True),
        (101.0, 100.0, 102.0, True),
    ],
)
def test_what_is_outside(bid: float, ask: float, price: float, outside: bool) -> None:
    evidence = Evidence([0])
    changing(evidence)
    evidence.said(top(1, bid, ask))
    for n in range(2, 12):
        evidence.traded(trade(n * 1.0, price))
    assert evidence.frozen(at(20)) == ((0,) if outside else ())


RECORDED = {
    "binance": ["binance.ws.1.0"],
    "binance_us": ["binance_us.ws.1.0"],
    "binance_futures": ["binance_futures.ws.1.0"],
    "coinbase": ["coinbase.ws.28.0"],
    "kraken": ["kraken.ws.48.0", "kraken.ws.50.0"],  # its trades on one connection, its books on another
    "okx": ["okx.ws.1.0"],
}  # the one of bybit is in a dialect that nobody is served by any more
VENUES = {"binance": binance, "coinbase": coinbase, "kraken": kraken, "okx": okx}
REPLAYED = ["spot_btcusdt", "spot_ethusdt", "usdm_btcusdt", "coinm_btcusd_perp"]
REPLAYED_FRAMES = 12_000
ASKED: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "coinbase": lambda message: message["product_ids"],
    "kraken": lambda message: message["pair"],
    "okx": lambda message: [arg["instId"] for arg in message["args"]],
}


def heard(venue: ModuleType, symbols: Iterable[str], frames: Sequence[tape.Frame], market: str) -> Iterator[Said]:
    """The books and trades in some frames, as the venue's Session reads them."""
    feeds = [base.Feed(n, symbol) for n, symbol in enumerate(sorted(set(symbols)))]
    session: base.Session = venue.session_for(frames[0].url, feeds, market)
    for frame in frames:
        if frame.direction is tape.Direction.RECEIVED:
            with suppress(VenueError):  # candles, which nobody asked this Session to read
                yield from (e for e in session.receive(frame.data, frame.recv_ns) if isinstance(e, BookTop | Trade))


def connection(path: Path, venue: str) -> Iterator[Said]:
    """The books and trades of a recorded connection, for whoever asked for all of its markets."""
    frames = list(tape.read(path))
    sent = [json.loads(frame.data) for frame in frames if frame.direction is tape.Direction.SENT]
    streams = frames[0].url.partition("streams=")[2].split("/")
    symbols = [symbol for message in sent for symbol in ASKED[venue](message)]
    symbols += [stream.partition("@")[0].upper() for stream in streams if stream]
    return heard(VENUES[venue], symbols, frames, "spot")


def judge(said: Iterable[Said]) -> int:
    """How many events there were, none of which made a book frozen or the clock drift."""
    evidence, skew, judged, asked_ns = Evidence(range(200)), Skew(), 0, 0
    for event in said:
        judged += 1
        if isinstance(event, BookTop):
            evidence.said(event)
        else:
            evidence.traded(event)
        if event.venue_ns:
            skew.add(event.recv_ns - event.venue_ns, event.recv_ns)
        if event.recv_ns - asked_ns > 250 * NANOS_PER_MS:
            asked_ns = event.recv_ns
            assert evidence.frozen(asked_ns) == ()
        assert abs(skew.drifting_ns()) < 500 * NANOS_PER_MS
    return judged


@pytest.mark.data
@pytest.mark.parametrize("name", RECORDED)
def test_no_recorded_book_is_frozen_and_no_recorded_clock_drifts(data: Path, name: str) -> None:
    venue = name.partition("_")[0]
    parts = [connection(data / "frames" / f"{part}.txt.gz", venue) for part in RECORDED[name]]
    assert judge(merge(*parts, key=lambda event: event.recv_ns)) > 80


@pytest.mark.data
@pytest.mark.parametrize("name", REPLAYED)
def test_no_busy_book_is_frozen_and_no_recorded_clock_drifts(data: Path, name: str) -> None:
    frames = list(islice(tape.read(data / "replay" / f"binance_{name}_20240808.gz"), REPLAYED_FRAMES))
    market, symbol = name.split("_", 1)
    assert judge(heard(binance, [symbol.upper()], frames, market)) > 5_000
