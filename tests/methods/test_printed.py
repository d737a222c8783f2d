"""What venues print beside the lists of `vectors.py`: single figures, scenarios, production prints, and known mistakes.

PUB, REAL and DER mean the same as there. Sources besides those of `vectors.py`: BitMEX' blog (protections of April
2017, re-entry, margins of 17 April 2020) and examples page; Bybit on its index and its minute weights; OKX' table of
windows of January 2024; Bitnomial's weights; dYdX' documentation and `funding_test.go` of v4-chain @84d4664; Roxom on
cross indices; the OKEx article of December 2018; `ema/1.csv` of pyth-client and Pyth's page on exchange fees; HTX,
article 360000143082; a community document on Hyperliquid's example; settlement and funding prints of Kalshi's that
observers noted in 2026, and a year of resting rates at Hyperliquid, Binance and Bybit.

One printed example has no rule of ours to stand against: Ojo's filter by standard deviations (29.93 three times and
27.10), which cannot reject anyone of five or fewer at two of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from oracle.core.basket import Sides
from oracle.core.funding import FundingState
from oracle.core.index import Backing, Candidate, Member, Memory
from oracle.core.maths import truncated
from oracle.core.params import Contract, Rules
from oracle.core.premium import margin_notional
from oracle.core.types import NANOS_PER_S, Depth, Side
from oracle.core.valuation import position_value
from oracle.core.weighted import plain_mean
from oracle.methods import (
    binance,
    bitmex,
    btse,
    bybit,
    dydx_v4,
    gsr,
    kalshi,
    kraken_futures,
    lwba,
    okex_2018,
    okx,
    pyth,
)
from oracle.methods import hyperliquid as hl
from tests.methods.vectors import prints

AT = 1_795_219_200 * NANOS_PER_S  # a midnight UTC
MINUTE_NS, HOUR_NS = 60 * NANOS_PER_S, 3_600 * NANOS_PER_S


def product(*factors: float) -> float:
    """The ratio index of these legs."""
    backing = Backing(3, 2, 0.0)
    legs = [Candidate(0, "", factor, 0, None, True, 0.0, 0.0, "", leg=backing) for factor in factors]
    return gsr.index(legs, Memory([]), gsr.SETS[-1], AT).price


def resting(method: Any, hours: int) -> float:
    """The rate of an interval of so many hours whose premium is zero."""
    rules = method.SETS[-1]
    of = replace(rules, funding=replace(rules.funding, interval_ms=hours * 3_600_000))
    rate: float = method.rate(0.0, of).rate
    return rate


def one_a_second(mean: float) -> list[tuple[int, float]]:
    """A minute of values around their mean, as (second, value)."""
    return [(second, mean + (second - 29.5) / 100.0) for second in range(60)]


BOUGHT = Decimal(15_000) / 750
GAINED = position_value(Contract.INVERSE, 1.0, Side.BUY, Decimal(15_000), Decimal(750), Decimal(800))
CAP, STEP = bitmex.limits(bitmex.SETS[0].own)
IMF_10 = replace(dydx_v4.SETS[-1].own, initial_margin=0.10)
ASKS_2020, BIDS_2020 = [(6586.0, 3467.0), (6587.0, 6533.0)], [(6584.5, 10_000.0)]

FIGURES: Mapping[str, tuple[float | None, str]] = {
    "PUB-BYB-1": (product(0.1, 20_000.0), "2000"),
    "PUB-ROX-1": (product(3_000.0, 1 / 100_000.0), "0.03"),
    "PUB-BTSE-1-mid": (btse.depth_mid(BIDS_2020, ASKS_2020, 10_000.0), "6585.58"),
    "PUB-LWBA-2-spread": (lwba.weighted(Sides([(0.99, 10.0), (0.98, 90.0)], [(1.0, 50.0), (1.01, 50.0)])).spread,
                          "0.024"),
    "PUB-PYTH-FEE-price": (pyth.quoted(50_000.00, 50_000.01, 0.001)[0], "50000.005005"),
    "PUB-PYTH-FEE-conf": (pyth.quoted(50_000.00, 50_000.01, 0.001)[1], "50.005"),
    "PUB-MEX-3-value": (float(BOUGHT), "20"),
    "PUB-MEX-3-funding": (float(BOUGHT * Decimal("0.0025")), "0.05"),
    "PUB-MEX-3-gain": (float(GAINED), "1.25"),
    "PUB-MEX-3-net": (float(GAINED - BOUGHT * Decimal("0.0025")), "1.20"),
    "PUB-MEX-4-cap": (CAP, "0.00375"),
    "PUB-MEX-4-day": (CAP * 24 / 8, "0.01125"),
    "PUB-MEX-4-day-of-2h": (CAP * 24 / 2, "0.0450"),
    "PUB-BMX-RATE": (bitmex.interest_of(0.0006, 0.0003), "0.0001"),
    "PUB-BNB-1": (margin_notional(200.0, 0.05), "4000"),
    "PUB-DYDX-1": (dydx_v4.impact_notional(IMF_10), "5000"),
    "PUB-DYDX-2": (dydx_v4.rate(0.5, dydx_v4.SETS[-1]).rate * 8, "0.12"),
    "PUB-OKEX-1": (okex_2018.contracts_to_close(30_005, 19_999), "10006"),
    "REAL-REST-HL": (resting(hl, 1), "0.0000125"),
    "REAL-REST-BNB-8h": (resting(binance, 8), "0.0001"),
    "REAL-REST-BNB-4h": (resting(binance, 4), "0.00005"),
    "REAL-REST-BYB-8h": (resting(bybit, 8), "0.0001"),
    "REAL-REST-BYB-4h": (resting(bybit, 4), "0.00005"),
    "REAL-REST-BYB-1h": (resting(bybit, 1), "0.0000125"),
    "REAL-KALSHI-settlement": (kalshi.settlement(one_a_second(83817.70733333), 60, kalshi.SETS[-1]) / 100, "83817.71"),
    "REAL-KXBCHPERP": (kalshi.rate(-0.0003971378687289, kalshi.SETS[-1]).rate, "-0.0003971378687289"),
}  # fmt: skip


@pytest.mark.parametrize(("value", "printed"), FIGURES.values(), ids=list(FIGURES))
def test_printed_figures(value: float | None, printed: str) -> None:
    assert value is not None
    assert prints(value, printed)


@pytest.mark.parametrize(
    ("price", "exponent", "resolution", "ppm", "elapsed_s", "delta"),
    [
        pytest.param(1_000, 0, -12, 1_001_999, 28_800, 1_001, id="PUB-DYDX-3"),
        pytest.param(1_000, 0, -12, -1_001_999, 28_800, -1_001, id="PUB-DYDX-3-negative"),
        pytest.param(1_000, 2, -4, -1_001_999, 14_400, -5_009_995_000_000, id="PUB-DYDX-4"),
        pytest.param(1_000, -6, 0, -1_001_999, 3_600, -125_249_875, id="PUB-DYDX-5"),
    ],
)
def test_a_chains_funding_indices(  # each argument is one of the vector's
    price: int, exponent: int, resolution: int, ppm: int, elapsed_s: int, delta: int
) -> None:
    assert dydx_v4.funding_index_delta(price, exponent, resolution, ppm, elapsed_s) == delta


@pytest.mark.parametrize(
    ("method", "sample_ms", "samples", "total"),
    [
        pytest.param(binance, 5_000, 5_760, 16_591_680, id="PUB-BNB-weights"),
        pytest.param(binance, 15_000, 1_920, 1_844_160, id="PUB-BIT-1"),
        pytest.param(bybit, 60_000, 480, 115_440, id="PUB-BYB-2"),
    ],
)
def test_the_weights_of_an_interval(perp: Any, method: Any, sample_ms: int, samples: int, total: int) -> None:
    rules = method.SETS[-1]
    instrument = perp(method.ID, replace(rules, funding=replace(rules.funding, sample_ms=sample_ms)))
    state = FundingState(AT)
    for place in range(1, samples + 1):
        method.accrue(state, AT + place * sample_ms * 1_000_000, 1, instrument)
    assert (state.weight, state.sum_e10, state.samples) == (total, total, samples)


@pytest.mark.parametrize(
    ("start", "now", "first"),
    [
        pytest.param(16 * 60, 16 * 60 + 10, 8 * 60 + 11, id="PUB-OKX-1a"),
        pytest.param(16 * 60, 17 * 60, 9 * 60 + 1, id="PUB-OKX-1b"),
        pytest.param(16 * 60, 23 * 60 + 59, 16 * 60, id="PUB-OKX-1c"),
        pytest.param(24 * 60, 25 * 60, 17 * 60 + 1, id="PUB-OKX-1d"),
    ],
)
def test_the_minutes_of_a_trailing_window(perp: Any, start: int, now: int, first: int) -> None:
    """All in minutes after a midnight: when the interval began, the present one, and the first that counts."""
    state = FundingState(AT + start * MINUTE_NS)
    after_ns, until_ns = okx.window(state, AT + now * MINUTE_NS, perp("okx", okx.SETS[1]))
    assert (after_ns, until_ns) == (AT + (first - 1) * MINUTE_NS, AT + now * MINUTE_NS)


def calculated(basket: Any, memory: Memory, prices: tuple[float, ...], at_ns: int, rules: Rules) -> float:
    """BitMEX' index of the last trades of three venues, made just now."""
    lasts = dict(zip("abc", prices, strict=True))
    candidates, _ = basket(lasts, lasts)
    for candidate in candidates:
        candidate.known.last_trade_ns = at_ns
    return bitmex.index(candidates, memory, rules, at_ns).price


def thirds(place: int) -> Rules:
    """A set of BitMEX' with three venues that weigh the same."""
    rules = bitmex.SETS[place]
    return replace(rules, own=replace(rules.own, weights=dict.fromkeys("abc", 1.0)))


def a_far_constituent_is_removed(basket: Any, perp: Any) -> None:
    memory = Memory([Member() for _ in "abc"])
    assert calculated(basket, memory, (100.0, 100.0, 50.0), AT, thirds(0)) == 100.0
    assert [member.rejected for member in memory.members] == [False, False, True]


def it_comes_back_after_more_than_a_quarter_of_an_hour(basket: Any, perp: Any) -> None:
    """Out at 15:00:00, first within 2 % at 15:20:00, not yet back at 15:35:00, back at 15:35:05."""
    memory, active = Memory([Member() for _ in "abc"]), {}
    for second in range(15 * 3_600 - 5, 15 * 3_600 + 35 * 60 + 10, 5):
        minute = second // 60 - 15 * 60
        prices = (100.0, 100.0, 100.0) if minute < 0 else (150.0, 100.0, 100.0)
        prices = (122.0, 120.0, 120.0) if minute >= 20 else prices
        prices = (130.0, 131.0, 129.0) if minute >= 35 else prices
        calculated(basket, memory, prices, AT + second * NANOS_PER_S, thirds(2))
        active[second] = not memory.members[0].rejected
    changes = [second for second in active if active[second] is not active.get(second - 5, True)]
    assert changes == [15 * 3_600, 15 * 3_600 + 35 * 60 + 5]


def an_average_forgets_by_the_slot(basket: Any, perp: Any) -> None:
    """(price, confidence, slots since the last), and both averages after each."""
    said = [(100, 10, 5_000), (147, 48, 1), (191, 74, 1), (235, 99, 1), (100, 10, 1)]
    made, shown = None, []
    for price, conf, slots in said:
        made = pyth.average(made, pyth.Aggregate(price, conf), slots)
        shown.append((made.price, made.conf))
    assert shown == [(100, 10), (108, 16), (116, 22), (124, 27), (114, 20)]


def providers_are_converted(basket: Any, perp: Any) -> None:
    """71 000, and in another currency at 1.05 70 000 and 70 500: the third is 74 025, where 73 575 is printed."""
    lasts = {"a": 71_000.0, "b": 70_000.0, "c": 70_500.0}
    candidates, memory = basket(lasts, lasts)
    candidates[1].rate = candidates[2].rate = 1.05
    assert prints(dydx_v4.index(candidates, memory, dydx_v4.SETS[-1], AT).price, "73500")
    assert prints(candidates[2].price, "74025")
    assert not prints(candidates[2].price, "73575")


def a_premium_is_cut_off_where_it_is_printed(basket: Any, perp: Any) -> None:
    """An index of 7 000 and an impact mid of 7 010: 0.1428 %."""
    instrument = perp("kraken_futures", kraken_futures.SETS[1])
    made = kraken_futures.sample(Depth(0, ((7_009.0, 9.0),), ((7_011.0, 9.0),), AT, AT), 7_000.0, None, instrument)
    assert made.premium is not None
    assert truncated(made.premium * 100, 4) == 0.1428


SCENARIOS: Mapping[str, Callable[[Any, Any], None]] = {
    "PUB-MEX-1": a_far_constituent_is_removed,
    "PUB-MEX-2": it_comes_back_after_more_than_a_quarter_of_an_hour,
    "PUB-PYTH-EMA": an_average_forgets_by_the_slot,
    "PUB-CON-1": providers_are_converted,
    "PUB-KRK-1-premium": a_premium_is_cut_off_where_it_is_printed,
}


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=list(SCENARIOS))
def test_scenarios(basket: Any, perp: Any, scenario: Callable[[Any, Any], None]) -> None:
    scenario(basket, perp)


LWBA_1 = lwba.weighted(Sides([(0.99, 10.0), (0.90, 100.0)], [(1.01, 15.0), (1.05, 85.0)]))
ON_HL_1 = hl.settled(0.01, hl.SETS[-1]) / 1e10

# What is ours, what is printed and not to be reproduced, and what it should be.
WRONG: Mapping[str, tuple[float, str, str]] = {
    # 0.01785 % an hour is premium/8, as it was until September 2022; the text beside it divides by 24.
    "PUB-KRK-1": (kraken_futures.hourly(10 / 7_000, kraken_futures.SETS[1]) * 100, "0.01785", "0.00595"),
    # The rate of eight hours, of which an hour pays an eighth; and the payment that follows from reading it as hourly.
    "PUB-HL-1-hourly": (ON_HL_1 * 100, "0.95000", "0.11875"),
    "PUB-HL-2": (hl.payment(10.0, 10_000.0, ON_HL_1), "950.00", "118.75"),
    "PUB-LWBA-1-bid": (LWBA_1.bid, "0.909", "0.908"),
    "PUB-LWBA-1-spread": (LWBA_1.spread, "0.135", "0.136"),
    # Exactly half of the stake is reached at 200; the mean with 300 is Bothan's rule, not Connect's.
    "PUB-CON-4": (hl.validators_median([(100.0, 10), (200.0, 20), (300.0, 30)], hl.SETS[-1]), "250", "200"),
    # 502.5 is the median of all six, in a text that takes the mean of the other five.
    "PUB-HTX-mean": (plain_mean([500.0, 501.0, 502.0, 503.0, 504.0]), "502.5", "502.0"),
}


@pytest.mark.parametrize(("ours", "printed", "right"), WRONG.values(), ids=list(WRONG))
def test_what_is_printed_wrong_is_not_ours(ours: float, printed: str, right: str) -> None:
    assert not prints(ours, printed)
    assert prints(ours, right)
