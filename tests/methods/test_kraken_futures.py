"""Kraken Futures: rates of three dated formulas, one interval ahead, absolute and relative, and what it has printed."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from oracle.core.funding import FundingState, restart, start_of_interval
from oracle.core.mark import MarkState
from oracle.core.params import Contract, PerpInstrument, Rules
from oracle.core.types import NANOS_PER_S, Depth, PremiumSample, Reason, State
from oracle.methods.kraken_futures import SETS, absolute, accrue, fund, hourly, mark, rate, sample, settlement

FOUR_HOURS, HOURLY, SEEN_2026 = SETS
AT = 1_700_000_000 // 3_600 * 3_600 * NANOS_PER_S


def test_pub_krk_1_the_printed_rate_is_that_of_the_method_before_september_2022() -> None:
    """Index 7 000, contract 7 010: 0.01785 % an hour, 17.85 on 100 000, is n = 8, and not the n = 24 that followed."""
    premium = 10 / 7_000
    assert Fraction(10, 7_000) * 100 == pytest.approx(0.1428, abs=1e-4)
    assert hourly(premium, FOUR_HOURS) * 100 == pytest.approx(0.01785, abs=1e-5)
    assert hourly(premium, FOUR_HOURS) * 100_000 == pytest.approx(17.857, abs=1e-3)
    assert hourly(premium, HOURLY) * 100 == pytest.approx(0.00595, abs=1e-5), "not what is printed beside it"


def test_pub_krk_2_the_rate_is_capped() -> None:
    premium = float(Fraction("0.071428571428571428571428571428"))
    made = rate(premium, HOURLY)
    assert (made.rate, made.cap_binding) == (0.0025, True)
    assert premium / 24 == pytest.approx(0.002975, abs=2e-6)


def test_pub_a_premium_is_realised_in_eight_hours() -> None:
    assert hourly(0.0032, FOUR_HOURS) == pytest.approx(0.0004)
    assert 8 * hourly(0.0032, FOUR_HOURS) == pytest.approx(0.0032)


@pytest.mark.parametrize(
    ("of", "hours", "cap_hour"), [(FOUR_HOURS, 8, "0.001"), (HOURLY, 24, "0.0025"), (SEEN_2026, 8, "0.005")]
)
@given(premium=st.floats(-0.2, 0.2))
def test_the_rate_is_a_share_of_the_premium_within_its_cap(
    of: Rules, hours: int, cap_hour: str, premium: float
) -> None:
    cap = float(cap_hour)
    assert hourly(premium, of) == -hourly(-premium, of)
    assert hourly(premium, of) == pytest.approx(max(-cap, min(cap, premium / hours)), abs=1e-12)
    assert rate(premium, of).cap_binding is (
        abs(hourly(premium, of)) >= cap * (1 - 1e-12) and abs(premium) > cap * hours
    )


REAL = [  # relative rates as the ticker stated them, and how many minutes of premium they were the mean of
    pytest.param("0.000104908704166667", 8, 240, id="REAL-LTC-2019-04-01"),
    pytest.param("-0.000057456135416667", 8, 240, id="REAL-LTC-2019-09-01"),
    pytest.param("-0.00009711", 8, 240, id="REAL-LTC-2019-09-01-prediction"),
    pytest.param("0.000156359265625", 8, 240, id="REAL-LTC-2021-04-01"),
    pytest.param("-0.000015670191666667", 24, 60, id="REAL-BCH-2023-04-01"),
    pytest.param("-0.000017773051388889", 24, 60, id="REAL-BCH-2023-04-01-prediction"),
]


@pytest.mark.parametrize(("relative", "hours", "minutes"), REAL)
def test_real_rates_are_sums_of_minutes_with_nine_decimals(relative: str, hours: int, minutes: int) -> None:
    total = Fraction(relative) * hours * minutes
    nearest = Fraction(round(total * 10**9), 10**9)
    assert nearest / hours / minutes == pytest.approx(float(relative), abs=5e-19)
    assert round(float(nearest / hours / minutes), 18) == float(relative)


def test_a_rate_of_2023_is_no_eighth() -> None:
    total = Fraction("-0.000017773051388889") * 8 * 60
    assert abs(total * 10**9 - round(total * 10**9)) > Fraction(1, 4), "n = 8 would leave a third of a digit"


@pytest.mark.parametrize(
    ("relative", "index", "stated"),
    [
        pytest.param(0.000104908704166667, 60.31, 1.739491032443e-06, id="REAL-2019-04-01"),
        pytest.param(-5.7456135416667e-05, 64.36, -8.92730506785e-07, id="REAL-2019-09-01"),
        pytest.param(0.000156359265625, 196.82, 7.94427729016e-07, id="REAL-2021-04-01"),
    ],
)
def test_real_absolute_rates_of_inverse_contracts(relative: float, index: float, stated: float) -> None:
    assert absolute(relative, index, Contract.INVERSE) == pytest.approx(stated, rel=1e-11)
    assert absolute(absolute(relative, index, Contract.LINEAR), index, Contract.INVERSE) == pytest.approx(relative)


@pytest.mark.data
def test_captured_tickers_give_an_index_that_is_a_price(data: Path) -> None:
    found = 0
    for line in (data / "payloads" / "cryptofacilities.jsonl").read_text(encoding="utf-8").splitlines():
        said = json.loads(line)["message"]
        if said.get("funding_rate"):
            index = said["relative_funding_rate"] / said["funding_rate"]
            assert index == pytest.approx(said["index"], rel=0.004)
            assert abs(index * 100 - round(index * 100)) < 1e-6, "a price of two decimals"
            found += 1
    assert found == 4


def test_the_impact_size_is_money_or_base_as_the_contract_is(perp) -> None:  # type: ignore[no-untyped-def]
    linear_perp = perp("kraken_futures", HOURLY)
    inverse_perp = replace(linear_perp, contract=Contract.INVERSE)
    inverse = Depth(0, ((6_990.0, 999.0), (6_000.0, 1e6)), ((7_010.0, 1_000.0),), 0, 0)
    assert sample(inverse, 7_000.0, None, inverse_perp).premium == pytest.approx(-1e-4, abs=2e-4)
    exact = Depth(0, ((6_990.0, 1_000.0),), ((7_010.0, 1_000.0),), 0, 0)
    assert sample(exact, 7_000.0, None, inverse_perp).premium == pytest.approx(0.0, abs=1e-12)
    linear = Depth(0, ((6_990.0, 0.0061),), ((7_030.0, 0.0061),), 0, 0)
    assert sample(linear, 7_000.0, None, linear_perp).premium == pytest.approx(10 / 7_000)
    thin = Depth(0, ((6_990.0, 0.005),), ((7_030.0, 0.0061),), 0, 0)
    assert sample(thin, 7_000.0, None, linear_perp).reasons == [Reason.THIN_BID, Reason.MISSING]


def interval(state: FundingState, premium_e10: int, contract: PerpInstrument) -> int:
    """Run an interval with one premium throughout and settle it; the answer is what it paid."""
    minutes = contract.rules.funding.interval_ms // 60_000
    for minute in range(1, minutes + 1):
        accrue(state, state.start_ns + minute * 60 * NANOS_PER_S, premium_e10, contract)
    until_ns = state.start_ns + minutes * 60 * NANOS_PER_S
    made = fund(state, until_ns, contract)
    assert made.samples == minutes
    restart(state, until_ns)
    return made.rate_e8


def test_what_an_hour_makes_the_next_one_pays(perp) -> None:  # type: ignore[no-untyped-def]
    hourly_perp, fourth_perp = perp("kraken_futures", HOURLY), perp("kraken_futures", FOUR_HOURS)
    state = FundingState(AT)
    assert [interval(state, premium, hourly_perp) for premium in (24_000_000, -48_000_000, 900_000_000, 0)] == [
        0, 10_000, -20_000, 250_000,
    ]  # fmt: skip
    fourth = FundingState(start_of_interval(AT, FOUR_HOURS.funding))
    paid = [interval(fourth, premium, fourth_perp) for premium in (8_000_000, 0)]
    assert paid == [0, 40_000], "four hours of 0.01 %"


def test_the_mark_is_the_index_and_the_average_premium_within_a_hundredth(inputs, perp) -> None:  # type: ignore[no-untyped-def]
    memory, contract = MarkState(), perp("kraken_futures", HOURLY)

    def at(ms: int, bid: float, ask: float, size: float = 5.0, age_ms: int = 0) -> int:
        recv_ns = (ms - age_ms) * 1_000_000
        book = Depth(0, ((bid, size),), ((ask, size),), recv_ns, recv_ns)
        return mark(memory, inputs(ms, bid=bid, ask=ask, depth=book), contract).units

    assert at(1_000, 60_059.0, 60_061.0) == 600_0000
    assert at(601_000, 60_059.0, 60_061.0) == 600_6000
    assert at(602_000, 70_000.0, 70_001.0, age_ms=3_001) == 600_6000, "an old depth says nothing"
    assert at(603_000, 70_000.0, 70_001.0, size=0.001) == 600_6000, "nor does one too thin for the size"
    assert at(1_203_000, 61_000.0, 61_010.0) == 606_0000
    silent = mark(memory, inputs(1_204_000, feed_age_ns=None), contract)
    assert (silent.units, silent.reasons) == (600_0000, [Reason.ENGINE_FEED_STALE, Reason.LEG_MISSING])
    alive = mark(MarkState(), inputs(1_204_000), contract)
    assert alive.reasons == [Reason.LEG_MISSING], "no depth has been seen"


def test_a_maturity_settles_at_the_mean_of_thirty_minutes() -> None:
    start_ms, end_ms = 0, 1_800_000
    values = [(start_ms + 60_000 * minute, 100.0 + minute) for minute in range(30)]
    values += [(60_000 * minute + 500, 100.0 + minute) for minute in range(30)] + [(59_999, 107.0)]
    exact = (Fraction(307, 3) + sum(range(101, 130))) / 30
    assert settlement(values, end_ms, HOURLY) == pytest.approx(float(exact))
    assert settlement([*values, (end_ms, 9e9), (-1, 9e9)][::-1], end_ms, HOURLY) == settlement(values, end_ms, HOURLY)
    with pytest.raises(ValueError, match="minute 3 of 30"):
        settlement([value for value in values if not 120_000 <= value[0] < 180_000], end_ms, HOURLY)


def test_it_can_be_selected(rig) -> None:  # type: ignore[no-untyped-def]
    running = rig("kraken_futures", HOURLY)
    assert running.index().state is State.NORMAL, "the index is another methodology's"
    running.run(90, ms=500)
    made = running.mark()
    assert made.basis_leg is not None
    assert made.price == pytest.approx(6_002_500, abs=60)
    samples = [value for tick in running.run(60, ms=500) for value in tick.values if isinstance(value, PremiumSample)]
    assert samples[-1].premium_e10 == pytest.approx(25 / 60_000 * 1e10, rel=0.05)
