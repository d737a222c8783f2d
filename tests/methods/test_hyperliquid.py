"""Hyperliquid: a year of settled rates by the set in force at each, its medians and their ties, hyperps."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from oracle.core.mark import MarkInputs, MarkState
from oracle.core.params import Rules
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Depth, FundingRate, Reason, State, Verdict
from oracle.methods import hyperliquid as hl
from oracle.methods import rules_at

TODAY = hl.SETS[-1]
AT = 1_795_219_200 * NANOS_PER_S


def at(text: str) -> int:
    return int(datetime.fromisoformat(f"{text}+00:00").timestamp()) * NANOS_PER_S


def own(base: Rules = TODAY, **changed: Any) -> Rules:
    return replace(base, own=replace(base.own, **changed))


def test_one_hour_of_july_2023_is_not_reproduced() -> None:
    rules = rules_at(hl, at("2023-07-16T01:00"))
    assert hl.rate(0.00032981, rules).rate == pytest.approx(0.0000125)
    assert hl.rate(0.00032981, own(rules, clamp_8h=0.0002)).rate == pytest.approx(0.00001623, abs=1e-8)


DATES = [("2023-07-15T02:59:59", "1.2.0"), ("2023-07-15T03:00", "1.3.0"), ("2023-12-31T23:59:59", "1.3.0"),
         ("2024-01-01T00:00", "1.4.0"), ("2023-06-08T00:59:59", "1.0.0"), ("2020-01-01T00:00", "1.0.0")]  # fmt: skip


@pytest.mark.parametrize(("moment", "version"), DATES)
def test_a_date_finds_its_set(moment: str, version: str) -> None:
    assert rules_at(hl, at(moment)).version == version


@pytest.mark.data
def test_every_settlement_of_2024_is_reproduced(data: Path) -> None:
    """Within half of the last printed digit. Where that half is exact, the digits before it, unprinted, decided."""
    with (data / "series" / "hyperliquid_btc_funding_2024.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    equal = ties = 0
    for row in rows:
        rules = rules_at(hl, int(row["time_ms"]) * NANOS_PER_MS)
        exact, printed = hl.rate(float(row["premium"]), rules).rate * 1e10, Decimal(row["funding_rate"]).scaleb(10)
        assert abs(exact - float(printed)) <= 0.5 + 1e-6, row
        if hl.settled(float(row["premium"]), rules) == printed:
            equal += 1
        else:
            ties += abs(abs(exact % 1.0) - 0.5) < 1e-6
    assert (len(rows), equal, ties) == (6_144, 5_978, 166)


def test_what_binds_a_rate_is_said() -> None:
    hour = hl.rate(0.01, TODAY)
    assert hour.interest == pytest.approx(0.0000125)
    assert (hour.inner_binding, hour.cap_binding) == (True, False)


@given(st.floats(-0.5, 0.5))
def test_a_rate_is_capped_and_turns_about_the_interest(premium: float) -> None:
    rated = hl.rate(premium, TODAY)
    assert abs(rated.rate) <= 0.04
    mirrored = hl.rate(0.0002 - premium, TODAY).rate
    if not rated.cap_binding and abs(mirrored) < 0.04:
        assert rated.rate + mirrored == pytest.approx(0.000025, abs=1e-12)


SEVEN = {"binance": 100.0, "okx": 100.2, "bybit": 99.9, "kraken": 100.5, "kucoin": 99.8, "gate": 103.0, "mexc": 100.1}


@pytest.mark.parametrize(
    ("mids", "tie", "price"),
    [
        (SEVEN, "lower", 100.0),  # V-DER-1
        (SEVEN, "mean", 100.0),
        ({**SEVEN, "hyperliquid": 100.15}, "lower", 100.0),  # V-DER-3: the weight below is exactly half
        ({**SEVEN, "hyperliquid": 100.15}, "mean", 100.05),
        ({**SEVEN, "coinbase": 500.0, "bitstamp": 1.0}, "lower", 100.0),  # those have no weight
    ],
)
def test_a_validator_submits_the_weighted_median(
    basket: Any, mids: Mapping[str, float], tie: str, price: float
) -> None:
    candidates, memory = basket(mids)
    made = hl.index(candidates, memory, own(tie=tie), AT)
    assert made.price == pytest.approx(price, rel=1e-12)
    weighted = [c.verdict for c in candidates if c.venue in hl.SPOT]
    assert set(weighted) == {Verdict.USED}
    assert {c.verdict for c in candidates if c.venue not in hl.SPOT} <= {Verdict.UNWEIGHTED}


def test_nobody_with_a_weight_is_no_oracle(basket: Any) -> None:
    candidates, memory = basket({"coinbase": 100.0})
    assert hl.index(candidates, memory, TODAY, AT).groups == []


def test_the_chain_weighs_submissions_by_stake() -> None:
    assert hl.validators_median([(100.0, 10), (200.0, 20), (300.0, 29)], TODAY) == 200.0
    assert hl.validators_median([(100.0, 50), (200.0, 50), (999.0, 0)], TODAY) == 100.0
    assert hl.validators_median([(100.0, 50), (200.0, 50)], own(tie="mean")) == 150.0
    with pytest.raises(ValueError, match="no stake above zero"):
        hl.validators_median([(100.0, 0)], TODAY)


def now(ms: int, index: float = 60_000.0, basis: float = 0.0, **changed: Any) -> MarkInputs:
    mid = index + basis
    base = MarkInputs(AT + ms * NANOS_PER_MS, index, True, 0, mid - 1.0, mid + 1.0, mid + 3.0, 0.0, 1.0)
    return replace(base, **changed)


@pytest.fixture
def marked(perp: Any) -> Callable[[MarkState, MarkInputs], Any]:
    """Marks with the set of today."""
    return lambda memory, inputs: hl.mark(memory, inputs, perp("hyperliquid", TODAY))


def test_the_mark_is_the_median_of_three(marked: Any) -> None:
    memory = MarkState()
    marked(memory, now(0, basis=20.0))
    made = marked(memory, now(3_000, basis=20.0, outside=(("binance", 60_500.0), ("nobody", 1.0))))
    assert (made.basis_leg, made.book_leg, made.funding_leg) == pytest.approx((60_020.0, 60_021.0, 60_500.0))
    assert (made.units, made.reasons) == (6_002_100, [])


def test_with_exactly_two_the_average_of_the_book_joins(marked: Any) -> None:
    memory = MarkState()
    marked(memory, now(0, basis=0.0))
    marked(memory, now(3_000, basis=0.0))
    made = marked(memory, now(6_000, basis=100.0))
    average = memory.book.value()
    assert average is not None
    assert made.basis_leg < average < made.book_leg
    assert made.units == pytest.approx(average * 100, abs=1)
    assert made.reasons == [Reason.LEG_MISSING]


def test_a_silent_platform_leaves_the_outside_and_then_the_oracle(marked: Any) -> None:
    memory = MarkState()
    marked(memory, now(0))
    silent = {"feed_age_ns": 4_000 * NANOS_PER_MS}
    assert marked(memory, now(3_000, outside=(("okx", 60_400.0),), **silent)).units == 6_040_000
    alone = marked(memory, now(6_000, **silent))
    assert (alone.units, alone.reasons) == (6_000_000, [Reason.ENGINE_FEED_STALE])
    one_sided = marked(memory, now(9_000, bid=0.0))
    assert one_sided.book_leg is None
    fallen = marked(memory, now(12_000, basis=500.0, index_usable=False))
    assert (fallen.units, fallen.basis_leg) == (6_000_000, None)


def test_a_hyperps_premium_counts_a_hundredth(perp: Any) -> None:
    depth = Depth(0, ((60_600.0, 5.0),), ((60_700.0, 5.0),), AT, AT)
    whole, hundredth = perp("hyperliquid", TODAY), perp("hyperliquid", own(premium_share=0.01))
    assert hl.sample(depth, 60_000.0, None, whole).premium == pytest.approx(0.01)
    assert hl.sample(depth, 60_000.0, None, hundredth).premium == pytest.approx(0.0001)
    assert hl.sample(Depth(0, (), (), AT, AT), 60_000.0, None, hundredth).premium is None


def test_a_hyperps_oracle_is_the_average_of_a_days_marks() -> None:
    assert hl.hyperp_oracle([], 2.0, TODAY) == pytest.approx(2.0)
    assert hl.hyperp_oracle([3.0] * 2_000, 2.0, TODAY) == pytest.approx(3.0)
    eight_hours = hl.hyperp_oracle([3.0] * 480, 2.0, TODAY)
    expected = 2.0 + (1 - 2.718281828459045**-1) / (1 - 2.718281828459045**-3)
    assert eight_hours == pytest.approx(expected, rel=1e-12)
    assert hl.hyperp_oracle([100.0] * 1_440, 2.0, TODAY) == 8.0
    assert hl.hyperp_oracle([100.0] * 1_440, 50.0, TODAY, month_mean=20.0) == 80.0


def test_a_hyperps_mark_is_held_under_its_average_and_the_outside() -> None:
    assert hl.hyperp_mark(7.0, 2.0, {}, TODAY) == 6.0
    assert hl.hyperp_mark(7.0, 2.0, {"a": 3.0, "b": 4.0, "c": 2.0}, TODAY) == 4.5
    assert hl.hyperp_mark(1.0, 2.0, {"a": 3.0}, TODAY) == 1.0


def test_a_price_has_six_decimals_less_those_of_a_size() -> None:
    assert [hl.price_decimals(size) for size in (0, 5, 6)] == [6, 1, 0]
    with pytest.raises(ValueError, match="size_decimals = 7"):
        hl.price_decimals(7)


@given(
    st.lists(st.sampled_from(sorted(hl.SPOT)), min_size=1, max_size=8, unique=True), st.floats(0.5, 2.0), st.randoms()
)
def test_order_means_nothing_and_prices_scale(basket: Any, venues: list[str], factor: float, random: Any) -> None:
    mids = {venue: 100.0 + random.random() for venue in venues}
    turned = dict(random.sample(sorted(mids.items()), len(mids)))
    scaled = {venue: mid * factor for venue, mid in mids.items()}
    price, again, times = [hl.index(c, m, TODAY, AT).price for c, m in map(basket, (mids, turned, scaled))]
    assert again == price
    assert times == pytest.approx(price * factor, rel=1e-9)


def test_it_can_be_selected(rig: Callable[..., Any]) -> None:
    rules = own(weights={f"g{n}": 1.0 for n in range(6)}, perp_weights={"q0": 3.0, "q1": 2.0})
    running = rig("hyperliquid", rules)
    index, mark = running.index(), running.mark()
    assert (index.state, index.price) == (State.NORMAL, 5_999_880)
    assert (mark.basis_leg, mark.book_leg) == (6_002_500, 6_002_500)
    assert mark.price == 6_002_500
    assert abs(mark.funding_leg - 6_000_000) < 2_000
    ticks = running.run(3_600, 5_000)
    (final,) = [v for tick in ticks for v in tick.values if isinstance(v, FundingRate) and v.final]
    assert (final.samples, final.expected) == (718, 720)  # two were missing while it warmed up
    assert final.premium_mean_e10 is not None
    assert final.rate_e8 == pytest.approx(hl.settled(final.premium_mean_e10 / 1e10, rules) / 100, abs=1)
    assert (final.rate_e8, final.interest_e8) == (1_250, 1_250)
