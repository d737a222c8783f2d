"""Binance' printed caps, its outlier rules by date, its mark, its linear weights, and 1 944 of its settlements."""

from __future__ import annotations

import csv
import gzip
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from oracle.core.funding import FundingState, margin_cap
from oracle.core.index import Cohort
from oracle.core.mark import MarkState
from oracle.core.params import Rules
from oracle.core.premium import margin_notional
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Depth, Reason, State, Verdict
from oracle.methods import binance as method
from oracle.methods import rules_at
from oracle.methods.binance import SETS, accrue, bounds, fund, index, mark, rate, sample

AT = 10**18
OLD, CAP_5, NOW = SETS[0], SETS[3], SETS[-1]


def hours(count: int, rules: Rules = NOW) -> Rules:
    return replace(rules, funding=replace(rules.funding, interval_ms=count * 3_600_000))


@pytest.mark.parametrize(
    ("rules", "far", "held"),
    [
        pytest.param(CAP_5, 21_400.0, 21_000.0, id="PUB-BIN-1a"),
        pytest.param(CAP_5, 18_800.0, 19_000.0, id="PUB-BIN-1b"),
        pytest.param(NOW, 21_400.0, 20_600.0, id="PUB-BIN-2a"),
        pytest.param(NOW, 18_800.0, 19_400.0, id="PUB-BIN-2b"),
    ],
)
def test_a_price_beyond_the_band_counts_as_its_edge(basket, rules: Rules, far: float, held: float) -> None:  # type: ignore[no-untyped-def]
    prices = {"a": 20_000.0, "b": 20_000.0, "c": far}
    candidates, memory = basket(prices, prices)
    made = index(candidates, memory, rules, AT)
    assert (candidates[2].price, candidates[2].verdict) == (held, Verdict.CAPPED)
    assert made.price == pytest.approx((40_000.0 + held) / 3.0, rel=1e-15)


@pytest.mark.parametrize(
    ("lasts", "price", "verdicts"),
    [
        ((100.0, 101.0, 102.0, 110.0), 101.0, "USED USED USED OUTLIER"),
        ((100.0, 101.0, 102.0, 106.4), 102.35, "USED USED USED USED"),  # the median 101.5 is 4.8 % away
        ((80.0, 101.0, 102.0, 120.0), 101.5, "USED USED USED USED"),  # two beyond 5 %: the index is the median
    ],
)
def test_until_2025_one_outlier_was_dropped_and_several_made_it_the_median(  # type: ignore[no-untyped-def]
    basket, lasts: tuple[float, ...], price: float, verdicts: str
) -> None:
    prices = dict(zip("abcd", lasts, strict=True))
    candidates, memory = basket(prices, prices)
    assert index(candidates, memory, OLD, AT).price == pytest.approx(price, rel=1e-15)
    assert [c.verdict for c in candidates] == verdicts.split()


def test_weights_are_by_venue_and_prices_are_the_last_trades(basket) -> None:  # type: ignore[no-untyped-def]
    lasts = {"a": 100.0, "b": 101.0, "c": 102.0}
    candidates, memory = basket(dict.fromkeys("abc", 90.0), {"a": 100.0, "b": 101.0, "c": 102.0})
    own = replace(NOW.own, weights={"a": 3.0, "b": 1.0}, weight_otherwise=0.0)
    assert index(candidates, memory, replace(NOW, own=own), AT).price == pytest.approx(100.25)
    assert candidates[2].verdict is Verdict.UNWEIGHTED
    candidates, memory = basket(lasts)
    assert index(candidates, memory, NOW, AT).price == pytest.approx(101.0), "without a trade, the mids"


@pytest.mark.parametrize(("rules", "age_ms", "counts"), [(OLD, 10_000, True), (OLD, 10_001, False), (NOW, 10_001, True),
                                                         (NOW, 300_000, True), (NOW, 300_001, False)])  # fmt: skip
def test_an_old_price_has_no_weight(basket, rules: Rules, age_ms: int, counts: bool) -> None:  # type: ignore[no-untyped-def]
    candidates, memory = basket({"a": 100.0, "b": 104.0})
    candidates[1].age_ns = age_ms * NANOS_PER_MS
    assert index(candidates, memory, rules, AT).price == pytest.approx(102.0 if counts else 100.0)
    assert candidates[1].verdict is (Verdict.USED if counts else Verdict.STALE)


@pytest.mark.parametrize(
    ("rules", "age_ms", "counts"), [(OLD, 10_000, True), (OLD, 10_001, False), (NOW, 1_000, False)]
)
def test_until_2025_a_silent_book_counted_at_a_young_trade(basket, rules: Rules, age_ms: int, counts: bool) -> None:  # type: ignore[no-untyped-def]
    candidates, memory = basket({"a": 100.0, "b": 90.0}, {"a": 100.0, "b": 102.0})
    candidates[1].verdict = Verdict.STALE
    candidates[1].known.last_trade_ns = AT - age_ms * NANOS_PER_MS
    assert index(candidates, memory, rules, AT).price == pytest.approx(101.0 if counts else 100.0)


def test_without_anyone_there_is_no_index(basket) -> None:  # type: ignore[no-untyped-def]
    assert index([], basket({})[1], NOW, AT) == Cohort()


@pytest.mark.parametrize("rules", [OLD, CAP_5, NOW])
@given(prices=st.lists(st.floats(50_000, 70_000), min_size=1, max_size=8), random=st.randoms())
def test_an_average_is_an_average(index_laws, rules: Rules, prices, random) -> None:  # type: ignore[no-untyped-def]
    index_laws(index, rules, prices, random)


def test_the_mark_is_the_middle_of_three(perp, inputs) -> None:  # type: ignore[no-untyped-def]
    made = mark(MarkState(), inputs(0, settled_rate=0.0002), perp("binance", NOW))
    assert made.funding_leg == pytest.approx(60_006.0), "by the rate of the last settlement"
    assert (made.basis_leg, made.book_leg, made.units, made.reasons) == (60_010.0, 60_020.0, 6_001_000, [])
    assert mark(MarkState(), inputs(0), perp("binance", NOW)).funding_leg == pytest.approx(60_003.0)


@pytest.mark.parametrize(
    ("place", "window_s", "points"), [(0, 1_800, 30), (1, 300, 60), (2, 150, 30), (3, 60, 60), (4, 30, 30), (5, 30, 30)]
)
def test_the_basis_is_averaged_over_the_windows_of_its_time(perp, inputs, place, window_s, points) -> None:  # type: ignore[no-untyped-def]
    own = SETS[place].own
    assert (own.basis_window_ms, own.basis_window_ms // own.basis_every_ms) == (window_s * 1_000, points)
    memory, instrument = MarkState(), perp("binance", SETS[place])
    for point in range(points + 10):  # the first ten have left the window at the end
        level = 60_010.0 + point
        made = mark(memory, inputs(point * own.basis_every_ms, bid=level - 1, ask=level + 1), instrument)
    assert made.basis_leg == pytest.approx(60_010.0 + 10 + (points - 1) / 2)


def test_a_lost_platform_leaves_the_funding_leg(perp, inputs) -> None:  # type: ignore[no-untyped-def]
    memory, instrument = MarkState(), perp("binance", NOW)
    mark(memory, inputs(0), instrument)
    silent = mark(memory, inputs(4_000, feed_age_ns=4 * NANOS_PER_S), instrument)
    assert (silent.basis_leg, silent.book_leg) == (60_010.0, None)
    assert silent.reasons == [Reason.ENGINE_FEED_STALE, Reason.LEG_MISSING]
    lost = mark(memory, inputs(31_000, feed_age_ns=31 * NANOS_PER_S), instrument)
    assert (lost.basis_leg, lost.book_leg, lost.units) == (None, None, 6_000_300)


def test_pub_bnb_1_the_impact_notional(perp) -> None:  # type: ignore[no-untyped-def]
    assert margin_notional(200.0, 0.05) == 4_000.0
    assert margin_notional(200.0, 0.008) == NOW.funding.impact_notional == 25_000.0
    book = Depth(0, ((60_030.0, 0.2), (60_000.0, 1.0)), ((60_040.0, 9.0),), 0, 0)
    made = sample(book, 59_990.0, None, perp("binance", NOW))
    base = Fraction("0.2") + (25_000 - Fraction("0.2") * 60_030) / 60_000
    assert made.premium == pytest.approx(float((25_000 / base - 59_990) / 59_990))


@pytest.mark.parametrize(
    ("values", "mean"),
    [
        pytest.param((1_000_000, 2_000_000, 3_000_000), Fraction(14_000_000, 6), id="DER-LIN-1"),
        pytest.param((10_000_000, 20_000_000), Fraction(50_000_000, 3), id="DER-LIN-2"),
    ],
)
def test_a_later_sample_weighs_more(perp, values: tuple[int, ...], mean: Fraction) -> None:  # type: ignore[no-untyped-def]
    instrument, state = perp("binance", NOW), FundingState()
    for place, premium_e10 in enumerate(values, 1):
        accrue(state, place * 5 * NANOS_PER_S, premium_e10, instrument)
    made = fund(state, len(values) * 5 * NANOS_PER_S, instrument)
    assert made.premium_mean_e10 == round(mean)


def test_a_missing_sample_leaves_both_sums(perp) -> None:  # type: ignore[no-untyped-def]
    instrument, state = perp("binance", NOW), FundingState()
    for place in (1, 3):
        accrue(state, place * 5 * NANOS_PER_S, place * 1_000_000, instrument)
    assert (state.weight, state.sum_e10) == (4, 10_000_000)
    full = FundingState()
    for place in range(1, 5_761):
        accrue(full, place * 5 * NANOS_PER_S, 0, instrument)
    assert full.weight == 16_591_680


@pytest.mark.parametrize(
    ("count", "premium", "expected"),
    [
        pytest.param(4, "0.0009", "0.0002", id="DER-BNB-4h"),
        pytest.param(1, "0.0009", "0.00005", id="DER-BNB-1h"),
        pytest.param(8, "0.0006", "0.0001", id="DER-EDGE-1"),
        pytest.param(8, "-0.0004", "0.0001", id="DER-EDGE-2"),
        pytest.param(8, "0.00061", "0.00011", id="DER-EDGE-3"),
        pytest.param(8, "-0.00041", "0.00009", id="DER-EDGE-4"),
        pytest.param(4, "0.0001", "0.00005", id="REAL-4h-resting"),
        pytest.param(8, "0.1", "0.003", id="cap"),
    ],
)
def test_since_september_2025_the_rate_is_divided(count: int, premium: str, expected: str) -> None:
    assert abs(Fraction(rate(float(premium), hours(count)).rate) - Fraction(expected)) < Fraction(1, 10**18)


def test_before_it_the_interest_was_scaled_and_nothing_divided() -> None:
    assert rate(0.0009, hours(4, CAP_5)).rate == pytest.approx(0.0004)
    assert rate(0.0001, hours(4, CAP_5)).rate == 0.00005
    for premium in (0.0009, 0.0, -0.002):
        assert rate(premium, CAP_5) == rate(premium, NOW), "of eight hours both are one"


@given(premium=st.floats(-0.01, 0.01), other=st.floats(-0.01, 0.01), count=st.sampled_from([1, 4, 8]))
def test_the_rate_is_a_rate(rate_laws, premium: float, other: float, count: int) -> None:  # type: ignore[no-untyped-def]
    rate_laws(rate, hours(count), premium, other)
    rate_laws(rate, hours(count, OLD), premium, other)


def test_caps_are_shares_of_the_maintenance_margin() -> None:
    assert [of.funding.cap for of in SETS] == [0.004, 0.004, 0.003, 0.003, 0.003, 0.003]
    assert margin_cap(0.75, 0.0065) == 0.004875


def test_the_change_of_18_september_2025_came_at_one_minute_past_eight() -> None:
    at_ns = int(datetime.fromisoformat("2025-09-18T08:01:00+00:00").timestamp()) * NANOS_PER_S
    assert (rules_at(method, at_ns - 1).version, rules_at(method, at_ns).version) == ("1.3.0", "1.4.0")


@pytest.mark.parametrize("seed", range(5))
def test_a_rate_lies_within_the_bounds_of_its_own_bars(seed: int) -> None:
    random = Random(seed)
    premiums = [random.gauss(0.0004, 0.0008) for _ in range(5_760)]
    bars = [(min(hour), max(hour)) for hour in (premiums[720 * n : 720 * (n + 1)] for n in range(8))]
    mean = sum(Fraction(i) * Fraction(value) for i, value in enumerate(premiums, 1)) / 16_591_680
    low, high = bounds(bars, NOW)
    assert low <= rate(float(mean), NOW).rate <= high
    flat = [(value, value) for value in random.sample(premiums, 8)]
    low, high = bounds(flat, NOW)
    weights = [sum(range(720 * n + 1, 720 * n + 721)) for n in range(8)]
    mean = sum(w * Fraction(v[0]) for w, v in zip(weights, flat, strict=True)) / 16_591_680
    assert low == high == pytest.approx(rate(float(mean), NOW).rate, abs=1e-15)


@pytest.mark.parametrize("count", [0, 7])
def test_bars_that_do_not_divide_an_interval_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"5760 samples cannot be divided evenly among {count} bars"):
        bounds([(0.0, 0.0)] * count, NOW)


def settlements(data: Path) -> list[tuple[list[tuple[float, float]], float]]:
    """Each settled rate of BTCUSDT with the eight hourly bars of its premium index, where there are eight."""
    series = data / "series"
    with gzip.open(series / "binance_btcusdt_premium_index_1h.csv.gz", "rt", encoding="utf-8", newline="") as file:
        bars = {
            datetime.fromisoformat(row["Timestamp"]): (float(row["Low"]), float(row["High"]))
            for row in csv.DictReader(file)
        }
    found = []
    with (series / "binance_btcusdt_funding_8h.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            at = datetime.fromisoformat(row["Timestamp"]).replace(minute=0, second=0, microsecond=0)
            of = [bars.get(at - timedelta(hours=back)) for back in range(8, 0, -1)]
            if None not in of:
                found.append(([bar for bar in of if bar], float(row["Rate"])))
    return found


@pytest.mark.data
def test_every_settled_rate_lies_inside_what_its_bars_allow(data: Path) -> None:
    rules, found = SETS[2], settlements(data)
    assert len(found) == 1_944

    def outside(of: Rules) -> int:
        limits = [(bounds(bars, of), settled) for bars, settled in found]
        return sum(not low - 1e-8 <= settled <= high + 1e-8 for (low, high), settled in limits)

    assert outside(rules) == 0
    undamped = replace(rules, funding=replace(rules.funding, interest_per_8h=0.0, inner_clamp=0.0))
    assert outside(undamped) == 769, "the check can fail: without the damper it does"


def test_it_can_be_selected(rig) -> None:  # type: ignore[no-untyped-def]
    running = rig("binance", NOW)
    assert running.index().state is State.NORMAL
    assert running.index().price == pytest.approx(6_000_000, abs=200)
    made = running.mark()
    assert made.basis_leg == pytest.approx(6_002_500, abs=200)
    assert made.price == pytest.approx((made.basis_leg + made.funding_leg) / 2, abs=6), "no trade of its own: two legs"
    running.prices["v5"] = 66_000.0
    running.run(1)
    assert running.index().price == pytest.approx(6_000_000 + 6_000_000 * 0.03 / 6, rel=1e-4), "held at 3 %"
