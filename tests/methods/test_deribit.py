"""Deribit: three eras of its index, its marks since 2015, funding by the millisecond, and what its feeds said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from oracle.core.basket import middles, pairs
from oracle.core.funding import FundingState, restart
from oracle.core.index import Cohort, Member, Memory
from oracle.core.mark import MarkInputs, MarkState
from oracle.core.params import PerpInstrument, Rules
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Depth, FundingRate, Reason, State, Verdict
from oracle.core.weighted import weighted_mean
from oracle.methods.deribit import (
    PROXY,
    SETS,
    accrue,
    accrued,
    accrued_8h,
    booked_so_far,
    continuous,
    delivery,
    fund,
    halts,
    index,
    mark,
    order_limits,
    rate,
    sample,
)

AT = 1_790_100_000 * NANOS_PER_S
ENDS_2015, WIDER_2017, FAIR_2019, CAPPED_2019, DAMPED_2025, TODAY = SETS
GROUPS = {f"g{n}": 1.0 for n in range(6)}


def rules(of: Rules, **own: object) -> Rules:
    return replace(of, own=replace(of.own, **own))


def vote(basket, mids: Mapping[str, float], of: Rules, **weights: float) -> Cohort:  # type: ignore[no-untyped-def]
    candidates, memory = basket(mids)
    return index(candidates, memory, rules(of, weights=weights or dict.fromkeys(mids, 1.0)), AT)


def book(bid: float, ask: float, last: float = 0.0, index: float = 270.0, at_ns: int = AT, **more: Any) -> MarkInputs:
    return replace(MarkInputs(at_ns, index, True, 0, bid, ask, last, 0.0, 0.5), **more)


def test_pub_the_printed_index(basket) -> None:  # type: ignore[no-untyped-def]
    mids = {"a": 100.0, "b": 101.0, "c": 120.0}
    candidates, memory = basket(mids)
    made = index(candidates, memory, rules(TODAY, weights={"a": 25.0, "b": 50.0, "c": 25.0}), AT)
    assert [round(c.price, 9) for c in candidates] == [100.495, 101.0, 101.505]
    assert [c.verdict for c in candidates] == [Verdict.CAPPED, Verdict.USED, Verdict.CAPPED]
    assert made.price == pytest.approx(101.0, abs=1e-12)


def test_before_december_2019_the_highest_and_the_lowest_did_not_count(basket) -> None:  # type: ignore[no-untyped-def]
    mids = {"a": 100.0, "b": 101.0, "c": 102.0, "d": 103.0, "e": 50.0, "f": 900.0}
    assert vote(basket, mids, ENDS_2015).price == (100.0 + 101.0 + 102.0 + 103.0) / 4
    assert vote(basket, {"a": 100.0, "b": 102.0}, ENDS_2015).price == 101.0
    assert vote(basket, {"a": 100.0}, ENDS_2015).price == 100.0


def test_then_everyone_was_held_to_half_a_percent_with_equal_weights(basket) -> None:  # type: ignore[no-untyped-def]
    mids = {"a": 100.0, "b": 100.0, "c": 101.0}
    assert vote(basket, mids, CAPPED_2019).price == pytest.approx((100.0 + 100.0 + 100.5) / 3)


@pytest.mark.parametrize("of", SETS, ids=[of.version for of in SETS])
def test_one_feed_is_the_index_and_none_is_no_value(basket, of: Rules) -> None:  # type: ignore[no-untyped-def]
    assert vote(basket, {"kraken": 77.0}, of).price == 77.0
    assert index([], Memory([]), of, AT) == Cohort()
    candidates, memory = basket({"kraken": 77.0})
    for c in candidates:
        c.age_ns = 180_001 * NANOS_PER_MS
    assert index(candidates, memory, of, AT) == Cohort()
    assert [c.verdict for c in candidates] == [Verdict.STALE], "three minutes without a word of the book"


@pytest.mark.parametrize(("of", "every_s"), [(ENDS_2015, 6), (CAPPED_2019, 4), (TODAY, 1)])
def test_it_is_calculated_on_its_grid(basket, of: Rules, every_s: int) -> None:  # type: ignore[no-untyped-def]
    memory, seen = Memory([Member()]), []
    for second in range(13):
        candidates, _ = basket({"kraken": 100.0 + second})
        at_ns = (1_790_100_000 + second) * NANOS_PER_S
        seen.append(index(candidates, memory, rules(of, weights={"kraken": 1.0}), at_ns).price - 100.0)
    assert seen == [float(second // every_s * every_s) for second in range(13)]


def test_the_proxy_shares_its_weight_among_those_that_quote(basket) -> None:  # type: ignore[no-untyped-def]
    mids = {"kraken": 100.0, "okx": 100.0, "binance": 100.2, "bybit": 100.4, "gate": 101.0}
    candidates, memory = basket(mids)
    made = index(candidates, memory, TODAY, AT)
    assert made.price == pytest.approx((20 * 100.0 + 20 * 100.0 + 20 * 100.2 + 20 * 100.4) / 80)
    assert candidates[-1].verdict is Verdict.UNWEIGHTED
    candidates, memory = basket({"kraken": 100.0, "binance": 100.3})
    assert index(candidates, memory, TODAY, AT).price == pytest.approx((20 * 100.0 + 40 * 100.3) / 60)
    assert TODAY.own.weights[PROXY] == 40.0


def test_the_coinbase_index_is_the_shared_rule(basket) -> None:  # type: ignore[no-untyped-def]
    lasts = {"a": 100.0, "b": 100.1, "c": 106.0}
    of = rules(TODAY, index_rule="derived", weights=dict.fromkeys(lasts, 1.0))
    candidates, memory = basket(lasts, lasts)
    made = index(candidates, memory, of, AT)
    shared, _ = basket(lasts, lasts)
    assert made.price == weighted_mean(pairs(middles(shared, of.own.weights, 0.05)))
    assert [c.verdict for c in candidates] == [Verdict.USED, Verdict.USED, Verdict.OUTLIER]


@given(st.lists(st.floats(90.0, 110.0), min_size=1, max_size=8), st.randoms())
@pytest.mark.parametrize("of", [ENDS_2015, CAPPED_2019, TODAY])
def test_it_is_an_average_of_venues(index_laws, of: Rules, prices, random) -> None:  # type: ignore[no-untyped-def]
    weights = {f"v{place}": float(random.randint(1, 9)) for place in range(len(prices))}
    index_laws(index, rules(of, weights=weights), prices, random)


@pytest.mark.parametrize(
    ("of", "index_price", "bid", "ask", "last", "price"),
    [
        pytest.param(ENDS_2015, 270.0, 271.0, 271.5, 271.70, 271.50, id="PUB-DER-1"),
        pytest.param(ENDS_2015, 270.0, 271.0, 271.5, 271.20, 271.20, id="PUB-DER-2"),
        pytest.param(ENDS_2015, 270.0, 280.0, 280.5, 280.0, 278.10, id="PUB-DER-3"),
        pytest.param(WIDER_2017, 870.0, 871.0, 871.5, 871.70, 871.50, id="PUB-DER-4a"),
        pytest.param(WIDER_2017, 870.0, 871.0, 871.5, 871.20, 871.20, id="PUB-DER-4b"),
        pytest.param(WIDER_2017, 270.0, 280.0, 280.5, 280.0, 280.00, id="DER-wider"),
    ],
)
def test_the_last_trade_within_the_book_within_a_band(  # type: ignore[no-untyped-def]
    perp, of: Rules, index_price: float, bid: float, ask: float, last: float, price: float
) -> None:
    made = mark(MarkState(), book(bid, ask, last, index_price), perp("deribit", of))
    assert made.units == round(price * 100)
    assert made.band_binding is (price == 278.10)
    silent = mark(MarkState(), book(0.0, ask, last, index_price), perp("deribit", of))
    assert (silent.units, silent.reasons) == (round(index_price * 100), [Reason.LEG_MISSING])


def marks(contract: PerpInstrument, inputs: list[MarkInputs]) -> list[float]:
    memory = MarkState()
    return [mark(memory, now, contract).units / 100 for now in inputs]


def at(second: int, mid: float = 60_060.0, **more: Any) -> MarkInputs:
    return book(mid - 1.0, mid + 1.0, index=60_000.0, at_ns=AT + second * NANOS_PER_S, **more)


def test_sixty_seconds_bring_the_mark_to_the_book(perp) -> None:  # type: ignore[no-untyped-def]
    flat = [at(second, 60_000.0) for second in range(120)]
    moved = [at(120 + second) for second in range(61)]
    seen = marks(perp("deribit", TODAY), [*flat, *moved])
    assert seen[118] == 60_000.0
    assert seen[120] < 60_005.0
    assert 60_058.5 < seen[-1] < 60_060.0, "98 % of the way"


def depth(bids: list[tuple[float, float]], asks: list[tuple[float, float]], at_ns: int) -> Depth:
    return Depth(0, tuple(bids), tuple(asks), at_ns, at_ns)


def settled_fair(contract: PerpInstrument, bids: list[tuple[float, float]], asks: list[tuple[float, float]]) -> float:
    """The mark after ten minutes of one book, over an index of 60 000."""
    bid, ask = bids[0][0] if bids else 0.0, asks[0][0] if asks else 0.0
    times = (AT, AT + 600 * NANOS_PER_S)
    inputs = [book(bid, ask, index=60_000.0, at_ns=at_ns, depth=depth(bids, asks, at_ns)) for at_ns in times]
    return marks(contract, inputs)[-1]


def test_the_fair_price_of_2019_reaches_a_tenth_of_a_percent_into_the_book(perp) -> None:  # type: ignore[no-untyped-def]
    wide = perp("deribit", rules(FAIR_2019, mark_band=0.0))
    deep = settled_fair(wide, [(60_000.0, 5.0)], [(60_010.0, 0.5), (60_030.0, 5.0)])
    assert deep == pytest.approx((60_000.0 + 60_020.0) / 2, abs=0.02)
    thin = settled_fair(wide, [(60_000.0, 5.0)], [(60_010.0, 0.1), (61_000.0, 5.0)])
    assert thin == pytest.approx((60_000.0 + 60_010.0 * 1.001) / 2, abs=0.02), "the limit, not the average"
    empty = settled_fair(wide, [(60_000.0, 0.1)], [(60_010.0, 5.0)])
    assert empty == pytest.approx((60_000.0 * 0.999 + 60_010.0) / 2, abs=0.02), "too thin for the size"
    assert settled_fair(perp("deribit", FAIR_2019), [(60_700.0, 5.0)], [(60_800.0, 5.0)]) == 60_300.0


def test_today_the_mid_stays_within_the_touch(perp) -> None:  # type: ignore[no-untyped-def]
    assert settled_fair(perp("deribit", TODAY), [(60_000.0, 5.0)], [(60_010.0, 0.01), (62_000.0, 5.0)]) == 60_010.0
    assert settled_fair(perp("deribit", TODAY), [(60_000.0, 5.0)], [(60_010.0, 5.0)]) == 60_005.0


def test_an_old_depth_is_not_the_book(perp) -> None:  # type: ignore[no-untyped-def]
    stale = depth([(10.0, 5.0)], [(20.0, 5.0)], AT)
    seen = marks(perp("deribit", TODAY), [at(0), at(100, depth=stale), at(200, depth=None)])
    assert seen == [60_000.0, pytest.approx(60_060.0, abs=0.2), pytest.approx(60_060.0, abs=0.01)]


VECTORS = [
    pytest.param(TODAY, "0.001", "0.00075", id="DER-DERIBIT-1"),
    pytest.param(TODAY, "0.0002", "0", id="DER-DERIBIT-2"),
    pytest.param(TODAY, "-0.01", "-0.005", id="DER-DERIBIT-3"),
    pytest.param(DAMPED_2025, "0.001", "0.00075", id="DER-DERIBIT-2025"),
    pytest.param(FAIR_2019, "0.001", "0.0005", id="DER-DERIBIT-old"),
]


@pytest.mark.parametrize(("of", "premium", "wanted"), VECTORS)
def test_vectors_of_the_rate(of: Rules, premium: str, wanted: str) -> None:
    exact, damper = Fraction(premium), Fraction(str(of.own.damper))
    formula = max(damper, exact) + min(-damper, exact)
    assert max(-Fraction("0.005"), min(Fraction("0.005"), formula)) == Fraction(wanted)
    assert continuous(float(premium), of).rate == pytest.approx(float(wanted), abs=1e-17)
    assert rate(float(premium), of).rate == pytest.approx(3 * float(wanted), abs=1e-16)


@given(st.floats(-0.03, 0.03))
def test_the_rate_is_odd_dampened_and_capped(premium: float) -> None:
    made, mirrored = continuous(premium, TODAY), continuous(-premium, TODAY)
    assert made.rate == -mirrored.rate
    assert abs(made.rate) <= 0.005
    assert (made.rate == 0.0) is (abs(premium) <= 0.00025)
    assert rate(premium, TODAY).dead is (made.rate == 0.0)


def test_funding_is_the_sum_over_every_millisecond() -> None:
    hour = 3_600_000
    path = [(0, 0.001), (2 * hour, 0.0001), (3 * hour, -0.02)]
    assert accrued(path, 0, 8 * hour, TODAY) == pytest.approx((2 * 0.00075 - 5 * 0.005) / 8)
    assert accrued(path, hour, hour + 1, TODAY) == pytest.approx(0.00075 / (8 * hour))
    assert accrued_8h(path, 9 * hour, TODAY) == pytest.approx((1 * 0.00075 - 6 * 0.005) / 8)
    assert accrued(path, -5 * hour, 0, TODAY) == accrued([], 0, hour, TODAY) == 0.0


@given(st.lists(st.tuples(st.integers(1, 10_000_000), st.floats(-0.01, 0.01)), max_size=8), st.integers(0, 40_000_000))
def test_accrual_is_additive(steps: list[tuple[int, float]], cut: int) -> None:
    path, at_ms = [], 0
    for gap, premium in steps:
        at_ms += gap
        path.append((at_ms, premium))
    whole = accrued(path, 0, 90_000_000, TODAY)
    assert accrued(path, 0, cut, TODAY) + accrued(path, cut, 90_000_000, TODAY) == pytest.approx(whole, abs=1e-15)


def test_a_day_pays_the_sum_of_its_rates_not_the_rate_of_its_mean(perp) -> None:  # type: ignore[no-untyped-def]
    contract = perp("deribit", TODAY)
    state = FundingState(AT)
    assert fund(state, AT, contract).reasons == [Reason.NO_SAMPLES]
    assert booked_so_far(state, TODAY) == 0.0
    for second in range(1, 86_401):
        accrue(state, AT + second * NANOS_PER_S, 5_000_000 if second % 2 else 0, contract)
    made = fund(state, AT + 86_400 * NANOS_PER_S, contract)
    assert made.premium_mean_e10 == 2_500_000, "which by itself would pay nothing"
    assert made.rate_e8 == 37_500, "3 × (0.05 % − 0.025 %) / 2"
    assert (made.inner_binding, made.cap_binding, made.reasons) == (True, False, [])
    restart(state, AT + 86_400 * NANOS_PER_S)
    for second in range(1, 43_201):
        accrue(state, state.start_ns + second * NANOS_PER_S, 0, contract)
    accrue(state, state.start_ns + 43_202 * NANOS_PER_S, 900_000_000, contract)
    half = fund(state, state.start_ns + 43_202 * NANOS_PER_S, contract)
    assert half.rate_e8 == round(0.005 / 28_800 * 1e8)
    assert (half.samples, half.expected) == (43_201, 43_202)
    assert (half.cap_binding, half.reasons) == (True, [Reason.MISSING, Reason.FUNDING_AT_CAP])


def test_a_mark_is_the_premium(perp) -> None:  # type: ignore[no-untyped-def]
    made = sample(Depth(0, (), (), 0, 0), 60_000.0, 60_030.0, perp("deribit", TODAY))
    assert (made.premium, made.impact_bid) == (0.0005, None)
    assert sample(Depth(0, (), (), 0, 0), 60_000.0, None, perp("deribit", TODAY)).premium is None


@pytest.mark.parametrize(("of", "count"), [(ENDS_2015, 300), (DAMPED_2025, 450), (TODAY, 1_800)])
def test_the_delivery_price_averages_half_an_hour(of: Rules, count: int) -> None:
    assert delivery([1.0] * (count // 2) + [2.0] * (count // 2), of) == 1.5
    with pytest.raises(ValueError, match=f"have {count}"):
        delivery([1.0] * (count - 1), of)


@pytest.mark.parametrize(("now", "halted"), [(110.0, False), (110.1, True), (90.0, False), (89.9, True)])
def test_a_tenth_in_a_second_halts(now: float, halted: bool) -> None:
    assert halts(100.0, now, TODAY) is halted


REAL = [  # (index, mark, current_funding, min_price, max_price) of BTC-PERPETUAL, 2019-08-01 and 2019-10-01, 00:00 UTC
    pytest.param(10_091.15, 10_094.1, 0.0, 9_942.76, 10_245.58, id="REAL-2019-08"),
    pytest.param(8_305.94, 8_304.39, 0.0, 8_179.57, 8_428.70, id="REAL-2019-10"),
]


@pytest.mark.parametrize(("index_price", "mark_price", "funding", "lowest", "highest"), REAL)
def test_real_tickers(index_price: float, mark_price: float, funding: float, lowest: float, highest: float) -> None:
    premium = (mark_price - index_price) / index_price
    assert continuous(premium, FAIR_2019).rate == funding
    average = lowest / 0.985 - index_price
    low, high = order_limits(index_price, average, FAIR_2019)
    assert low == pytest.approx(lowest, abs=0.005)
    assert high == pytest.approx(highest, abs=0.02)


def test_the_damper_was_0_05_percent_in_august_2019() -> None:
    premium = (10_094.1 - 10_091.15) / 10_091.15
    assert premium == pytest.approx(0.000292, abs=1e-6)
    assert continuous(premium, TODAY).rate > 0.00004, "today's damper would not have left the funding at 0"


@pytest.mark.data
def test_captured_tickers_say_the_same(data: Path) -> None:
    found = 0
    for line in (data / "payloads" / "deribit.jsonl").read_text(encoding="utf-8").splitlines():
        said = json.loads(line)["message"]["params"]["data"]
        if isinstance(said, dict) and "current_funding" in said:
            premium = (said["mark_price"] - said["index_price"]) / said["index_price"]
            assert continuous(premium, FAIR_2019).rate == said["current_funding"]
            found += 1
    assert found == 2


def test_it_can_be_selected(rig) -> None:  # type: ignore[no-untyped-def]
    running = rig("deribit", rules(TODAY, weights=GROUPS))
    assert running.index().state is State.NORMAL
    assert running.index().price == pytest.approx(6_000_000, abs=100)
    made = running.mark()
    assert made.basis_leg is not None
    assert 6_000_000 < made.price <= 6_002_500
    running.run(90, ms=500)
    assert running.mark().price == pytest.approx(6_002_500, abs=60), "the average has reached the book"
    rates = [value for tick in running.run(9, ms=500) for value in tick.values if isinstance(value, FundingRate)]
    assert rates[-1].settles_ns // NANOS_PER_S % 86_400 == 28_800
    assert rates[0].rate_e8 < rates[-1].rate_e8, "it accrues"
    assert rates[-1].inner_binding
