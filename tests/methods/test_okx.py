"""OKX' table of windows, its observed print, its bands by date, its mark, and rates known an interval ahead."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from oracle.core.funding import FundingState, restart
from oracle.core.index import Cohort
from oracle.core.mark import MarkState
from oracle.core.params import Rules
from oracle.core.types import NANOS_PER_S, Depth, FundingRate, Reason, State, Verdict
from oracle.methods.okx import SETS, accrue, fund, index, mark, rate, sample, window

AT = 10**18
CROSS, TRAIL, _, NOW = SETS
MINUTE_NS = 60 * NANOS_PER_S
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 1_795_219_200 * NANOS_PER_S  # a midnight UTC
FOUR = DAY_NS + 16 * HOUR_NS
PLAIN = Depth(0, ((59_990.0, 1.0), (59_000.0, 9.0)), ((60_050.0, 1.0), (61_000.0, 9.0)), 0, 0)


def own(rules: Rules, **changed: object) -> Rules:
    return replace(rules, own=replace(rules.own, **changed))


def test_real_okx_soph_is_cut_off(basket) -> None:  # type: ignore[no-untyped-def]
    prices = {"binance": 0.005270, "okx": 0.005263, "bitget": 0.005266, "gate": 0.005268}
    weights = {"binance": 0.333, "okx": 0.333, "bitget": 0.167, "gate": 0.167}
    candidates, memory = basket(prices, prices)
    made = index(candidates, memory, own(NOW, weights=weights, decimals=6), AT)
    assert made.price == 0.005266
    assert made.low <= made.price <= made.high
    candidates, memory = basket(prices, prices)
    assert round(index(candidates, memory, own(NOW, weights=weights), AT).price, 6) == 0.005267, (
        "rounding gives another"
    )


def test_a_price_that_all_agree_on_is_cut_off_below_them(basket) -> None:  # type: ignore[no-untyped-def]
    prices = dict.fromkeys("abc", 100.007)
    candidates, memory = basket(prices, prices)
    made = index(candidates, memory, own(NOW, decimals=2), AT)
    assert (made.price, made.low) == (100.0, 100.0)


@pytest.mark.parametrize(("rules", "held"), [(CROSS, 103.0), (TRAIL, 103.0), (SETS[2], 102.0), (NOW, 102.0)])
def test_of_three_a_far_price_is_held_at_the_band_of_its_time(basket, rules: Rules, held: float) -> None:  # type: ignore[no-untyped-def]
    prices = {"a": 100.0, "b": 100.0, "c": 110.0}
    candidates, memory = basket(prices, prices)
    made = index(candidates, memory, rules, AT)
    assert (candidates[2].price, candidates[2].verdict) == (pytest.approx(held), Verdict.CAPPED)
    assert made.price == pytest.approx((200.0 + held) / 3.0)


def test_two_weigh_the_same_and_one_is_the_index(basket) -> None:  # type: ignore[no-untyped-def]
    prices = {"a": 100.0, "b": 130.0}
    candidates, memory = basket(prices, prices)
    assert index(candidates, memory, own(NOW, weights={"a": 9.0, "b": 1.0}), AT).price == 115.0
    assert [c.verdict for c in candidates] == [Verdict.USED, Verdict.USED]
    candidates, memory = basket({"a": 100.0}, {"a": 100.0})
    assert index(candidates, memory, NOW, AT).price == 100.0
    assert index([], memory, NOW, AT) == Cohort()


def test_two_sources_of_one_venue_are_one_venue(basket) -> None:  # type: ignore[no-untyped-def]
    prices = {"a": 100.0, "b": 110.0, "c": 130.0}
    candidates, memory = basket(prices, prices)
    candidates[1].venue = "a"
    assert index(candidates, memory, NOW, AT).price == pytest.approx((105.0 + 130.0) / 2.0)


@given(prices=st.lists(st.floats(50_000, 70_000), min_size=1, max_size=8), random=st.randoms())
def test_an_average_is_an_average(index_laws, prices, random) -> None:  # type: ignore[no-untyped-def]
    index_laws(index, NOW, prices, random)


def test_the_mark_is_the_index_and_the_average_basis(perp, inputs) -> None:  # type: ignore[no-untyped-def]
    memory, instrument = MarkState(), perp("okx", NOW)
    nothing = mark(memory, inputs(0, bid=0.0), instrument)
    assert (nothing.units, nothing.basis_leg, nothing.reasons) == (6_000_000, None, [Reason.LEG_MISSING])
    for second, level in ((1, 60_010.0), (2, 60_040.0)):
        made = mark(memory, inputs(second * 1_000, bid=level - 1.0, ask=level + 1.0, last=90_000.0), instrument)
    assert (made.units, made.basis_leg, made.reasons) == (6_002_500, 60_025.0, [])
    lost = mark(memory, inputs(40_000, feed_age_ns=40 * NANOS_PER_S), instrument)
    assert (lost.units, lost.reasons) == (6_000_000, [Reason.ENGINE_FEED_STALE, Reason.LEG_MISSING])


def test_a_premium_was_of_the_mid_and_is_of_the_impact_prices(perp) -> None:  # type: ignore[no-untyped-def]
    assert sample(PLAIN, 60_000.0, None, perp("okx", CROSS)).premium == pytest.approx(20 / 60_000)
    assert sample(PLAIN, 60_000.0, None, perp("okx", NOW)).premium == 0.0
    above = replace(PLAIN, bids=((60_030.0, 1.0),))
    assert sample(above, 60_000.0, None, perp("okx", NOW)).premium == pytest.approx(30 / 60_000)


def clock(at_ns: int) -> str:
    minutes = at_ns // MINUTE_NS
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"


@pytest.mark.parametrize(
    ("rules", "start", "now", "shown"),
    [
        pytest.param(TRAIL, "16:00", "16:10", "08:11 16:10", id="PUB-OKX-1a"),
        pytest.param(TRAIL, "16:00", "17:00", "09:01 17:00", id="PUB-OKX-1b"),
        pytest.param(TRAIL, "16:00", "23:59", "16:00 23:59", id="PUB-OKX-1c"),
        pytest.param(TRAIL, "00:00", "01:00", "17:01 01:00", id="PUB-OKX-1d"),
        pytest.param(CROSS, "16:00", "16:10", "16:00 16:10", id="before-a"),
        pytest.param(CROSS, "16:00", "17:00", "16:00 17:00", id="before-b"),
        pytest.param(CROSS, "16:00", "23:59", "16:00 23:59", id="before-c"),
        pytest.param(CROSS, "00:00", "01:00", "00:00 01:00", id="before-d"),
    ],
)
def test_pub_okx_1_the_windows(perp, rules: Rules, start: str, now: str, shown: str) -> None:  # type: ignore[no-untyped-def]
    start_ns, now_ns = (
        DAY_NS + int(hour) * HOUR_NS + int(minute) * MINUTE_NS for hour, minute in (start.split(":"), now.split(":"))
    )
    state, instrument = FundingState(start_ns), perp("okx", rules)
    after_ns, until_ns = window(state, now_ns, instrument)
    assert f"{clock(after_ns + MINUTE_NS)} {clock(until_ns)}" == shown
    fill(state, instrument, now_ns - 10 * HOUR_NS, now_ns)
    made = fund(state, now_ns, instrument)
    minutes = [at // MINUTE_NS % 1_000 for at in range(after_ns + MINUTE_NS, until_ns + 1, MINUTE_NS)]
    assert made.premium_mean_e10 == round(Fraction(sum(minutes), len(minutes)) * 1_000)
    assert made.samples == made.expected == len(minutes)


def fill(state: FundingState, instrument, from_ns: int, until_ns: int) -> None:  # type: ignore[no-untyped-def]
    """A premium a minute in [from, until], each another."""
    for at_ns in range(from_ns, until_ns + 1, MINUTE_NS):
        accrue(state, at_ns, at_ns // MINUTE_NS % 1_000 * 1_000, instrument)


def test_what_is_settled_is_what_stood_a_minute_before(perp) -> None:  # type: ignore[no-untyped-def]
    for rules in (CROSS, TRAIL, NOW):
        instrument, state = perp("okx", own(rules, cross_cycle=False)), FundingState(FOUR)
        fill(state, instrument, FOUR - HOUR_NS, FOUR + 8 * HOUR_NS - MINUTE_NS)
        stamped = fund(state, FOUR + 8 * HOUR_NS - MINUTE_NS, instrument)
        accrue(state, FOUR + 8 * HOUR_NS, 90_000_000, instrument)
        settled = fund(state, FOUR + 8 * HOUR_NS, instrument)
        assert (settled.rate_e8, settled.premium_mean_e10) == (stamped.rate_e8, stamped.premium_mean_e10)
        assert settled.samples == 480


def test_linear_weights_are_assumed_since_april_2025(perp) -> None:  # type: ignore[no-untyped-def]
    instrument = perp("okx", replace(NOW, funding=replace(NOW.funding, coverage_min=0.0)))
    state = FundingState(FOUR)
    for minute, premium_e10 in enumerate((1_000_000, 2_000_000, 3_000_000), 1):
        accrue(state, FOUR + minute * MINUTE_NS, premium_e10, instrument)
    assert fund(state, FOUR + 3 * MINUTE_NS, instrument).premium_mean_e10 == 2_333_333


def test_across_cycles_an_interval_pays_what_the_one_before_made(perp) -> None:  # type: ignore[no-untyped-def]
    instrument, state, paid = perp("okx", CROSS), FundingState(FOUR), []
    for premium_e10 in (5_000_000, -90_000_000, 0):
        for minute in range(480):
            accrue(state, state.start_ns + minute * MINUTE_NS, premium_e10, instrument)
        paid.append(fund(state, state.start_ns + 8 * HOUR_NS, instrument))
        restart(state, state.start_ns + 8 * HOUR_NS)
    assert [made.rate_e8 for made in paid] == [0, 50_000, -300_000]
    assert paid[0].reasons == [Reason.FUNDING_FALLBACK]
    assert (paid[2].cap_binding, paid[2].reasons) == (True, [Reason.FUNDING_AT_CAP])
    assert paid[1].premium_mean_e10 == -90_000_000, "beside it stands what the next one will pay"


@pytest.mark.parametrize(("premium", "old", "new"), [("0.0009", "0.0009", "0.0004"), ("0.0003", "0.0003", "0.0001"),
                                                     ("-0.0006", "-0.0006", "-0.0001"), ("0", "0", "0.0001"),
                                                     ("0.01", "0.00375", "0.00375")])  # fmt: skip
def test_the_rate_before_and_since_april_2025(premium: str, old: str, new: str) -> None:
    assert Fraction(rate(float(premium), TRAIL).rate) == Fraction(float(old))
    assert rate(float(premium), NOW).rate == pytest.approx(float(new), abs=1e-18)


@given(premium=st.floats(-0.01, 0.01), other=st.floats(-0.01, 0.01), rules=st.sampled_from(SETS))
def test_the_rate_is_a_rate(rate_laws, premium: float, other: float, rules: Rules) -> None:  # type: ignore[no-untyped-def]
    rate_laws(rate, rules, premium, other)


def test_it_can_be_selected(rig) -> None:  # type: ignore[no-untyped-def]
    running = rig("okx", NOW)
    assert running.index().state is State.NORMAL
    assert running.mark().price == running.mark().basis_leg == pytest.approx(6_002_500, abs=200)
    running.prices["v5"] = 66_000.0
    running.run(1)
    assert running.index().price == pytest.approx(6_000_000 + 6_000_000 * 0.02 / 6, rel=1e-4), "held at 2 %"
    values = [value for tick in running.run(60) for value in tick.values]
    samples = [value for value in values if type(value).__name__ == "PremiumSample"]
    assert [value.instant_ns // NANOS_PER_S % 60 for value in samples] == [0]


def test_the_engine_settles_by_the_rate_of_the_minute_before(rig) -> None:  # type: ignore[no-untyped-def]
    running = rig("okx", own(TRAIL, cross_cycle=False))
    running.beat(35_000)  # on the minute from here on
    running.engine_price = 60_030.0
    rates: list[FundingRate] = []
    for _ in range(480):
        if (running.at_ns + MINUTE_NS) % (8 * HOUR_NS) == 0:
            running.engine_price = 60_600.0  # what the last minute says comes too late
        rates += [value for value in running.beat(60_000).values if isinstance(value, FundingRate)]
    place = next(place for place, value in enumerate(rates) if value.final)
    before, settled = rates[place - 1], rates[place]
    assert (settled.rate_e8, settled.premium_mean_e10) == (before.rate_e8, before.premium_mean_e10)
    assert settled.rate_e8 == pytest.approx(30.4 / 59_999.6 * 1e8, abs=100)
    assert settled.samples >= 478
