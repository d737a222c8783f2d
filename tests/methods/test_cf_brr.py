"""The daily reference rate: its medians, the screens, the windows of three cities, an hour against a slow twin."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from oracle.core.method import funds, makes_index
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Side, Trade
from oracle.methods import load
from oracle.methods.cf_brr import (
    SETS,
    ZONES,
    Own,
    offset_hours,
    reference_rate,
    restated,
    volume_weighted_median,
    window,
)

START = 1_717_000_000 * NANOS_PER_S
MINUTE = 60 * NANOS_PER_S
END = START + 60 * MINUTE
OPEN = replace(SETS[-1].own, constituents=())
VENUES = {0: "a", 1: "b", 2: "c"}


def trade(minute: float, price: float, size: float = 1.0, source: int = 0) -> Trade:
    at_ns = START + int(minute * MINUTE)
    return Trade(source, price, size, Side.BUY, at_ns, at_ns)


@pytest.mark.parametrize(
    ("pairs", "price"),
    [
        pytest.param([(100, 0.1), (100, 0.2), (101, 0.3)], 100, id="an exact half is the lower price's"),
        pytest.param([(101, 0.31), (100, 0.3)], 101, id="half is not yet reached"),
        pytest.param([(7, 1e-9)], 7, id="less than a unit is one"),
    ],
)
def test_the_volume_weighted_median(pairs: list[tuple[float, float]], price: float) -> None:
    assert volume_weighted_median([(0, value, size) for value, size in pairs]) == price


def test_twelve_medians_count_the_same_and_empty_ones_do_not() -> None:
    trades = [trade(0, 100.0, 1_000.0), trade(4.99, 90.0, 1.0), trade(5, 110.0), trade(59.99, 130.0, 0.01)]
    made = reference_rate(trades, VENUES, START, END, OPEN)
    assert made is not None
    assert made.medians == (100.0, 110.0, *[None] * 9, 130.0)
    assert made.price == pytest.approx(340 / 3)
    assert (made.units, made.trades, made.venues) == (11_333, 4, ("a",))


def test_only_sound_trades_of_constituents_within_the_window_count() -> None:
    late = replace(trade(6, 1.0), recv_ns=START + 4 * MINUTE)  # stamped two minutes ahead of its receipt
    silent = replace(trade(7, 102.0), venue_ns=0)
    odd = [trade(1, price, size) for price, size in ((0.0, 1.0), (5.0, 0.0), (float("nan"), 1.0), (5.0, float("inf")))]
    strangers = [trade(1, 5.0, source=9), trade(1, 6.0, source=1)]
    outside = [trade(-0.01, 5.0), trade(60, 5.0)]
    named = replace(OPEN, constituents=("a",))
    made = reference_rate([trade(1, 100.0), late, silent, *odd, *strangers, *outside], VENUES, START, END, named)
    assert made is not None
    assert [value for value in made.medians if value is not None] == [100.0, 102.0]
    assert made.trades == 2


def test_a_venue_off_the_others_is_left_out_that_day() -> None:
    trades = [trade(1, 100.0), trade(2, 101.0, source=1), trade(3, 106.1, source=2)]
    made = reference_rate(trades, VENUES, START, END, OPEN)
    assert made is not None
    assert (made.venues, made.excluded, made.trades) == (("a", "b"), ("c",), 2)
    before = reference_rate(trades, VENUES, START, END, replace(OPEN, deviation=SETS[0].own.deviation))
    assert before is not None
    assert before.excluded == ()


def test_without_a_trade_there_is_no_rate() -> None:
    assert reference_rate([], VENUES, START, END, OPEN) is None
    assert (
        reference_rate([trade(1, 100.0), trade(1, 200.0, source=1)], VENUES, START, END, OPEN) is None
    )  # both are far


def twin(trades: Sequence[Trade]) -> Fraction:
    """The same rate, by looking: for each partition every price is tried, in exact fractions."""
    medians = []
    for part in range(12):
        inside = [t for t in trades if part * 5 * MINUTE <= t.venue_ns - START < (part + 1) * 5 * MINUTE]
        total = sum(Fraction(str(t.size)) for t in inside)
        for price in sorted({t.price for t in inside}):
            if 2 * sum(Fraction(str(t.size)) for t in inside if t.price <= price) >= total:
                medians.append(Fraction(price))
                break
    return sum(medians, Fraction(0)) / len(medians)


TRADES = st.lists(
    st.tuples(st.integers(0, 3_599), st.integers(9_950, 10_050), st.integers(1, 500), st.integers(0, 2)),
    min_size=1,
    max_size=60,
)


@given(TRADES, st.randoms())
def test_an_hour_against_its_twin(said, random) -> None:  # type: ignore[no-untyped-def]
    trades = [trade(second / 60, price / 10, size / 1000, source) for second, price, size, source in said]
    made = reference_rate(trades, VENUES, START, END, OPEN)
    assert made is not None
    assert made.price == pytest.approx(float(twin(trades)), abs=1e-9)
    assert made == reference_rate(random.sample(trades, len(trades)), VENUES, START, END, OPEN)
    doubled = [replace(t, price=t.price * 2, size=t.size * 3) for t in trades]
    again = reference_rate(doubled, VENUES, START, END, OPEN)
    assert again is not None
    assert again.price == made.price * 2


@pytest.mark.parametrize(
    ("zone", "day", "utc_hour"),
    [
        ("london", date(2024, 3, 30), 15),
        ("london", date(2024, 3, 31), 14),
        ("london", date(2024, 10, 26), 14),
        ("london", date(2024, 10, 27), 15),
        ("london", date(2026, 3, 29), 14),
        ("new_york", date(2024, 3, 9), 20),
        ("new_york", date(2024, 3, 10), 19),
        ("new_york", date(2024, 11, 2), 19),
        ("new_york", date(2024, 11, 3), 20),
        ("new_york", date(2026, 11, 1), 20),
        ("hong_kong", date(2024, 7, 1), 7),
        ("hong_kong", date(2024, 1, 1), 7),
    ],
)
def test_the_window_is_three_to_four_in_the_afternoon(zone: str, day: date, utc_hour: int) -> None:
    start_ns, end_ns = window((day - date(1970, 1, 1)).days, replace(OPEN, zone=zone))
    assert datetime.fromtimestamp(start_ns / NANOS_PER_S, UTC) == datetime(
        day.year, day.month, day.day, utc_hour, tzinfo=UTC
    )
    assert end_ns - start_ns == 60 * MINUTE


def test_only_known_zones_have_a_clock() -> None:
    assert [offset_hours(zone, 20_000) for zone in ZONES] == [1, -4, 8]
    with pytest.raises(KeyError):
        offset_hours("paris", 20_000)


@pytest.mark.parametrize(
    ("place", "off", "said"), [(0, 0.0019, False), (0, 0.0021, True), (-1, 0.0011, True), (-1, 0.0009, False)]
)
def test_a_restatement_needs_an_error_beyond_the_threshold(place: int, off: float, said: bool) -> None:
    own: Own = SETS[place].own
    assert restated(60_000.0, 60_000.0 * (1 + off), own) is said
    assert restated(60_000.0, 60_000.0 * (1 - off), own) is said


def test_it_makes_no_live_index() -> None:
    assert not makes_index(load("cf_brr"))
    assert not funds(load("cf_brr"))


@pytest.mark.data
def test_real_trades_against_the_twin(data: Path) -> None:
    with gzip.open(data / "replay" / "binance_spot_btcusdt_20240808.gz", "rt", encoding="utf-8") as file:
        frames = [json.loads(line.split(" ", 1)[1])["data"] for line in file if '"e":"trade"' in line]
    first_ns = frames[0]["T"] * NANOS_PER_MS
    trades = [
        Trade(0, float(f["p"]), float(f["q"]), Side.UNKNOWN, START + (f["T"] * NANOS_PER_MS - first_ns) * 10, 2 * END)
        for f in frames[::10]  # stretched tenfold, so that five and a half minutes fill an hour; the twin is slow
    ]
    within = [t for t in trades if t.venue_ns < END]
    assert len(within) > 500
    made = reference_rate(trades, {0: "a"}, START, END, OPEN)
    assert made is not None
    assert made.trades == len(within)
    assert made.price == pytest.approx(float(twin(within)), abs=1e-9)
