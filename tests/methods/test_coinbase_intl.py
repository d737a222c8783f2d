"""Coinbase International: derived market prices, smoothed hourly funding, price limits as its feed states them."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from oracle.core.funding import FundingState, restart
from oracle.core.index import Cohort, Memory
from oracle.core.mark import MarkState
from oracle.core.params import Rules
from oracle.core.types import NANOS_PER_S, Depth, Reason, State, Verdict
from oracle.methods.coinbase_intl import SETS, accrue, alpha, fund, index, mark, order_limits, rate, sample, settled

AT = 1_730_858_400 * NANOS_PER_S
RULES = SETS[-1]


def rules(**own: object) -> Rules:
    return replace(RULES, own=replace(RULES.own, **own))


def test_a_venue_states_the_median_of_last_bid_and_ask(basket) -> None:  # type: ignore[no-untyped-def]
    mids = {"coinbase": 100.0, "kraken": 101.0, "gemini": 102.0, "gate": 50.0}
    candidates, memory = basket(mids, {"coinbase": 100.0, "kraken": 500.0, "gemini": 0.0, "gate": 50.0})
    made = index(candidates, memory, RULES, AT)
    assert made.price == pytest.approx((100.0 + 101.0 + 102.0) / 3, rel=1e-8)
    assert [c.verdict for c in candidates] == [*[Verdict.USED] * 3, Verdict.UNWEIGHTED]
    assert index([], Memory([]), RULES, AT) == Cohort()


def test_one_that_is_five_percent_off_the_median_is_out(basket) -> None:  # type: ignore[no-untyped-def]
    candidates, memory = basket({"coinbase": 100.0, "kraken": 100.0, "gemini": 105.1, "okx": 95.1})
    assert index(candidates, memory, RULES, AT).price == pytest.approx((100.0 + 100.0 + 95.1) / 3)
    assert candidates[2].verdict is Verdict.OUTLIER


def test_two_that_disagree_leave_nobody(basket) -> None:  # type: ignore[no-untyped-def]
    candidates, memory = basket({"coinbase": 90.0, "kraken": 100.0})
    assert index(candidates, memory, RULES, AT) == Cohort()
    assert [c.verdict for c in candidates] == [Verdict.OUTLIER] * 2


@given(st.lists(st.floats(97.0, 102.0), min_size=1, max_size=8), st.randoms())
def test_it_is_an_average_of_venues(index_laws, prices, random) -> None:  # type: ignore[no-untyped-def]
    index_laws(index, rules(weights={f"v{place}": 1.0 for place in range(len(prices))}), prices, random)


def test_it_is_calculated_each_second(basket) -> None:  # type: ignore[no-untyped-def]
    memory = basket({"kraken": 1.0})[1]
    seen = [
        index(basket({"kraken": 100.0 + ms / 1_000})[0], memory, RULES, AT + ms * 1_000_000).price
        for ms in (0, 400, 999, 1_000)
    ]
    assert seen == [100.0, 100.0, 100.0, 101.0]


def test_the_mark_is_the_books_within_the_price_limits(inputs, perp) -> None:  # type: ignore[no-untyped-def]
    contract = perp("coinbase_intl", RULES)
    made = mark(MarkState(), inputs(1_000), contract)
    assert (made.units, made.book_leg, made.basis_leg) == (6_001_100, 60_011.0, None)
    far = mark(MarkState(), inputs(1_000, bid=64_000.0, ask=64_010.0, last=64_005.0), contract)
    assert (far.units, far.reasons) == (6_300_000, [Reason.CLAMP_BAND])
    silent = mark(MarkState(), inputs(1_000, feed_age_ns=None), contract)
    assert (silent.units, silent.reasons) == (6_000_000, [Reason.ENGINE_FEED_STALE, Reason.LEG_MISSING])


def test_the_weight_of_an_hour_is_three_quarters() -> None:
    assert alpha(RULES) == 0.75
    assert alpha(rules(smooth=2.0)) == 0.25


@pytest.mark.parametrize(
    ("premium", "before", "wanted"),
    [
        pytest.param("0.0024", "0", "0.000075", id="DER-INTX-1"),
        pytest.param("0.0024", "0.0001", "0.0001", id="DER-INTX-2"),
        pytest.param("-0.0048", "0.0001", "-0.000125", id="DER-INTX-3"),
        pytest.param("0.0024", None, "0.0001", id="DER-INTX-first"),
    ],
)
def test_an_hour_is_smoothed_with_the_one_before(premium: str, before: str | None, wanted: str) -> None:
    own = Fraction(premium) / 24
    exact = own if before is None else own * Fraction(3, 4) + Fraction(before) * Fraction(1, 4)
    assert exact == Fraction(wanted)
    assert settled(float(premium), None if before is None else float(before), RULES) == round(float(wanted) * 1e6)


@given(st.floats(-0.05, 0.05))
def test_a_premium_that_stands_comes_to_a_twenty_fourth(premium: float) -> None:
    made = rate(premium, RULES)
    assert made.rate == -rate(-premium, RULES).rate
    assert made.rate == pytest.approx(premium / 24)
    assert not made.cap_binding


def test_the_engine_smooths_with_what_it_settled(perp) -> None:  # type: ignore[no-untyped-def]
    contract = perp("coinbase_intl", RULES)
    state = FundingState(AT)
    seen = []
    for premium_e10 in (24_000_000, 24_000_000, 0, 0):
        for second in range(1, 3_601):
            accrue(state, state.start_ns + second * NANOS_PER_S, premium_e10, contract)
        made = fund(state, state.start_ns + 3_600 * NANOS_PER_S, contract)
        seen.append(made.rate_e8)
        state.settled_e8 = made.rate_e8
        restart(state, state.start_ns + 3_600 * NANOS_PER_S)
    assert seen == [10_000, 10_000, 2_500, 625]
    assert fund(state, state.start_ns, contract).rate_e8 == 0


def test_a_premium_is_the_marks(perp) -> None:  # type: ignore[no-untyped-def]
    assert sample(Depth(0, (), (), 0, 0), 60_000.0, 60_030.0, perp("coinbase_intl", RULES)).premium == 0.0005


@pytest.mark.data
def test_the_price_limits_are_five_percent_of_the_index(data: Path) -> None:
    found = 0
    for line in (data / "payloads" / "coinbase-international.jsonl").read_text(encoding="utf-8").splitlines():
        said = json.loads(line)["message"]
        if said["channel"] == "RISK":
            low, high = order_limits(float(said["index_price"]), RULES)
            assert float(said["limit_down"]) == pytest.approx(low, rel=3e-4)
            assert float(said["limit_up"]) == pytest.approx(high, rel=3e-4)
            found += 1
    assert found == 2


def test_real_price_limits_of_november_2024() -> None:
    low, high = order_limits(3.925562264285714, RULES)
    assert (round(low, 3), int(high * 1_000) / 1_000) == (3.729, 4.121)


def test_it_can_be_selected(rig) -> None:  # type: ignore[no-untyped-def]
    running = rig("coinbase_intl", rules(weights={f"g{n}": 1.0 for n in range(6)}))
    assert running.index().state is State.NORMAL
    assert running.index().price == pytest.approx(6_000_000, abs=100)
    made = running.mark()
    assert (made.book_leg, made.basis_leg) == (6_002_500, None)
    assert made.price == 6_002_500
