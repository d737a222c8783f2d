"""Kalshi: a dead band that takes nothing off, a cap, two readings of the average, and intervals by New York's clock."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from oracle.core.funding import Funded, FundingState, restart, start_of_interval
from oracle.core.params import PerpInstrument, Rules
from oracle.core.types import NANOS_PER_S, Depth, Reason, State
from oracle.core.weighted import linear_mean
from oracle.methods.kalshi import SETS, Own, accrue, dated, eastern_ns, fund, rate, sample, settlement

SUMMER, WINTER = SETS
AT = 1_795_219_200 * NANOS_PER_S
MINUTE_NS = 60 * NANOS_PER_S


def rules(**own: object) -> Rules:
    return replace(WINTER, own=replace(WINTER.own, **own))


@pytest.mark.parametrize(
    ("premium", "wanted", "dead", "capped"),
    [
        pytest.param(-0.0003971378687289, -0.0003971378687289, False, False, id="REAL-KXBCHPERP-2026-06-11"),
        pytest.param(0.0001, 0.0001, False, False, id="REAL-smallest"),
        pytest.param(0.00009999, 0.0, True, False, id="DER-dead"),
        pytest.param(0.0005, 0.0005, False, False, id="DER-nothing-taken-off"),
        pytest.param(-0.03, -0.02, False, True, id="DER-capped"),
    ],
)
def test_the_rate(premium: float, wanted: float, dead: bool, capped: bool) -> None:
    made = rate(premium, WINTER)
    assert (made.rate, made.dead, made.cap_binding, made.interest) == (wanted, dead, capped, 0.0)


@given(st.floats(-0.05, 0.05))
def test_the_rate_is_odd_and_never_small(premium: float) -> None:
    made = rate(premium, WINTER)
    assert made.rate == -rate(-premium, WINTER).rate
    assert made.rate == 0.0 or 0.0001 <= abs(made.rate) <= 0.02


def interval(state: FundingState, premiums: dict[int, int], contract: PerpInstrument) -> Funded:
    """Run an interval with the premium (e10) of each minute, from 1 to 480, that has one, and settle it."""
    for minute in range(1, 481):
        if minute in premiums:
            accrue(state, state.start_ns + minute * MINUTE_NS, premiums[minute], contract)
    until_ns = state.start_ns + 480 * MINUTE_NS
    made = fund(state, until_ns, contract)
    restart(state, until_ns)
    return made


def test_480_minutes_make_a_rate(perp) -> None:  # type: ignore[no-untyped-def]
    contract = perp("kalshi", rules(window="to_end"))
    state = FundingState(start_of_interval(AT, WINTER.funding))
    made = interval(state, dict.fromkeys(range(1, 481), 4_000_000), contract)
    assert (made.rate_e8, made.samples, made.expected, made.interest_e8, made.reasons) == (40_000, 480, 480, 0, [])


@pytest.mark.parametrize(("window", "paid"), [("to_end", [100_000, 0]), ("from_start", [0, 100_000])])
def test_whose_the_sample_of_the_settlement_is(perp, window: str, paid: list[int]) -> None:  # type: ignore[no-untyped-def]
    contract = perp("kalshi", rules(window=window))
    state = FundingState(start_of_interval(AT, WINTER.funding))
    last = {**dict.fromkeys(range(1, 480), 0), 480: 4_800_000_000}
    seen = [interval(state, last, contract), interval(state, dict.fromkeys(range(1, 480), 0), contract)]
    assert [made.rate_e8 for made in seen] == paid
    assert [made.samples for made in seen] == ([480, 479] if window == "to_end" else [479, 480])
    assert [made.expected for made in seen] == [480, 480]
    begun = fund(state, state.start_ns + 2 * MINUTE_NS, contract)
    assert begun.expected == (2 if window == "to_end" else 3), "its beginning is an instant of it, or of the one before"


def test_a_sample_of_an_interval_that_was_missed_counts_nowhere(perp) -> None:  # type: ignore[no-untyped-def]
    contract = perp("kalshi", WINTER)
    state = FundingState(start_of_interval(AT, WINTER.funding))
    accrue(state, state.start_ns + 480 * MINUTE_NS, 4_800_000_000, contract)
    restart(state, state.start_ns + 3 * 480 * MINUTE_NS)
    assert fund(state, state.start_ns + 60 * MINUTE_NS, contract).samples == 0


@pytest.mark.parametrize("window", ["to_end", "from_start"])
def test_linear_weights_make_the_latest_the_heaviest(perp, window: str) -> None:  # type: ignore[no-untyped-def]
    contract = perp("kalshi", rules(weights="linear", window=window))
    state = FundingState(start_of_interval(AT, WINTER.funding))
    first = 1 if window == "to_end" else 0
    values = [Fraction(n, 10**6) for n in range(480)]
    if window == "from_start":  # the sample that begins the interval was taken as the one before it ended
        restart(state, state.start_ns - 480 * MINUTE_NS)
        accrue(state, state.start_ns + 480 * MINUTE_NS, 0, contract)
        restart(state, state.start_ns + 480 * MINUTE_NS)
    for place, value in enumerate(values):
        if place + first:
            accrue(state, state.start_ns + (place + first) * MINUTE_NS, int(value * 10**10), contract)
    made = fund(state, state.start_ns + 480 * MINUTE_NS, contract)
    exact = sum(i * value for i, value in enumerate(values, 1)) / sum(range(1, 481))
    assert made.samples == 480
    assert made.rate_e8 == round(exact * 10**8)
    assert float(exact) == pytest.approx(linear_mean([float(value) for value in values]))


def test_pub_bit_1_bitnomials_weights() -> None:
    assert sum(range(1, 1_921)) == 1_844_160


@pytest.mark.parametrize(("minutes", "paid"), [(320, 40_000), (319, 0)])
def test_without_the_reference_funding_is_paused(perp, minutes: int, paid: int) -> None:  # type: ignore[no-untyped-def]
    contract = perp("kalshi", rules(window="to_end"))
    state = FundingState(start_of_interval(AT, WINTER.funding))
    made = interval(state, dict.fromkeys(range(1, minutes + 1), 4_000_000), contract)
    assert made.rate_e8 == paid
    assert (Reason.FUNDING_FALLBACK in made.reasons) is (paid == 0)


@given(st.integers(1_780_444_800, 2_000_000_000))
def test_new_yorks_offset_is_that_of_the_time_zones(second: int) -> None:
    local = datetime.fromtimestamp(second, UTC).astimezone(ZoneInfo("America/New_York"))
    offset = local.utcoffset()
    assert offset is not None
    assert eastern_ns(second * NANOS_PER_S) == int(offset.total_seconds()) * NANOS_PER_S


@pytest.mark.parametrize("second", [1_793_512_800, 1_805_007_600, 1_793_512_799, 1_805_007_599])
def test_the_clocks_change_at_two(second: int) -> None:
    local = datetime.fromtimestamp(second, UTC).astimezone(ZoneInfo("America/New_York"))
    assert eastern_ns(second * NANOS_PER_S) // NANOS_PER_S == local.utcoffset().total_seconds()  # type: ignore[union-attr]


@pytest.mark.parametrize("of", SETS, ids=[of.version for of in SETS])
def test_intervals_begin_at_midnight_eight_and_four_in_new_york(of: Rules) -> None:
    zone = ZoneInfo("America/New_York")
    for hour in range(0, 24, 5):
        at_ns = of.effective_ns + (48 + hour) * 3_600 * NANOS_PER_S
        start = datetime.fromtimestamp(start_of_interval(at_ns, of.funding) // NANOS_PER_S, zone)
        assert (start.hour, start.minute, start.second) in {(0, 0, 0), (8, 0, 0), (16, 0, 0)}


def test_the_next_change_is_a_set_that_anyone_can_make() -> None:
    march = dated(1_805_007_600, "1.2.0", Own(dead_band=0.0001))  # 2027-03-14 07:00 UTC
    assert march.funding == SUMMER.funding
    assert WINTER.funding.offset_ms - SUMMER.funding.offset_ms == 3_600_000


def test_the_premium_is_the_marks(perp) -> None:  # type: ignore[no-untyped-def]
    made = sample(Depth(0, (), (), 0, 0), 80_000.0, 80_008.0, perp("kalshi", WINTER))
    assert made.premium == pytest.approx(0.0001)


@pytest.mark.parametrize(("window", "units"), [("to_end", 10_003_050), ("from_start", 10_002_950)])
def test_the_last_minute_settles(window: str, units: int) -> None:
    values = [(1_000 + second, 100_000.0 + second) for second in range(120)]
    of = rules(window=window)
    assert settlement(values[::-1], 1_060, of) == units
    with pytest.raises(ValueError, match="not one of each second"):
        settlement([value for value in values if value[0] != 1_030], 1_060, of)
    with pytest.raises(ValueError, match="not one of each second"):
        settlement([*values, values[30]], 1_060, of)


def test_real_a_mean_is_rounded_to_the_cent() -> None:
    values = [(second, 83_817.707_333_33) for second in range(60)]
    assert settlement(values, 60, WINTER) == 8_381_771


def test_it_can_be_selected(rig) -> None:  # type: ignore[no-untyped-def]
    of = replace(WINTER, funding=replace(WINTER.funding, sample_ms=1_000))
    running = rig("kalshi", of)
    assert running.index().state is State.NORMAL, "the reference is another methodology's"
    assert running.mark().price is not None
    assert running.mark().price > 6_000_000
    running.run(2)
    assert running.engine.state.perps[0].funding.samples > 10
    assert running.engine.state.perps[0].estimate.interest_e8 == 0
