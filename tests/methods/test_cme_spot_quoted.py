"""CME spot-quoted futures: settlement tiers, ticks, and a daily adjustment that is ours and says so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.core.method import funds, makes_index
from oracle.methods import cme_spot_quoted
from oracle.methods.cme_spot_quoted import (
    SETS,
    cleared_price,
    daily_adjustment,
    lead_settlement,
    overnight,
    to_tick,
)

RULES = SETS[-1]
CARRY = (90_000.0, 73, 0.05)


@pytest.mark.parametrize(
    ("trades", "quotes", "price", "tier"),
    [
        ([(90_000.0, 3.0), (90_040.0, 1.0)], [(1.0, 2.0)], 90_010.0, 1),
        ([], [(90_000.0, 90_020.0), (90_100.0, 90_130.0)], 90_115.0, 2),
        ([], [(90_000.0, 90_020.0), (0.0, 90_130.0), (90_140.0, 90_130.0)], 90_010.0, 2),
        ([], [(0.0, 90_130.0)], 90_900.0, 3),
        ([], [], 90_900.0, 3),
    ],
)
def test_the_lead_month_settles_by_tiers(
    trades: list[tuple[float, float]], quotes: list[tuple[float, float]], price: float, tier: int
) -> None:
    assert lead_settlement(trades, quotes, CARRY, 89_000.0, RULES) == (price, tier)


@pytest.mark.parametrize(
    ("price", "before", "wanted"),
    [(90_002.5, 89_000.0, 90_000.0), (90_002.5, 91_000.0, 90_005.0), (90_002.51, 89_000.0, 90_005.0)],
)
def test_a_tie_goes_towards_the_day_before(price: float, before: float, wanted: float) -> None:
    assert to_tick(price, 5.0, before) == wanted


@given(st.floats(1.0, 1e6), st.floats(1.0, 1e6), st.sampled_from([0.05, 0.5, 5.0, 25.0]))
def test_a_tick_is_never_more_than_half_a_tick_away(price: float, before: float, tick: float) -> None:
    made = to_tick(price, tick, before)
    assert abs(made - price) <= tick / 2 * (1 + 1e-9)
    assert made / tick == pytest.approx(round(made / tick), abs=1e-6)


def test_a_trade_clears_at_spot_and_the_adjustment() -> None:
    assert cleared_price(90_000.0, 412.5) == 90_412.5


@pytest.mark.parametrize(("lead", "wanted"), [(90_270.0, 9.0), (90_000.0, 0.0), (89_700.0, -10.0)])
def test_the_basis_is_given_up_evenly(lead: float, wanted: float) -> None:
    assert daily_adjustment(lead, 90_000.0, 30) == wanted
    with pytest.raises(ValueError, match="days_to_expiry = 0"):
        daily_adjustment(lead, 90_000.0, 0)


@given(st.floats(-5_000.0, 5_000.0), st.integers(1, 60))
def test_who_holds_to_expiry_has_paid_the_whole_basis(basis: float, days: int) -> None:
    paid = sum(daily_adjustment(90_000.0 + basis / days * left, 90_000.0, left) for left in range(days, 0, -1))
    assert paid == pytest.approx((90_000.0 + basis) - 90_000.0, abs=1e-6)


def test_a_long_pays_while_the_lead_month_is_above_spot() -> None:
    adjustment = daily_adjustment(90_270.0, 90_000.0, 30)
    assert overnight("QBTC", 2, 90_000.0, 90_100.0, adjustment, RULES) == pytest.approx(0.02 * (100.0 - 9.0))
    assert overnight("QBTC", -2, 90_000.0, 90_100.0, adjustment, RULES) == pytest.approx(-0.02 * (100.0 - 9.0))
    with pytest.raises(KeyError):
        overnight("QDOGE", 1, 1.0, 1.0, 0.0, RULES)


def test_the_cost_of_a_night_is_of_the_size_that_cme_states() -> None:
    adjustment = daily_adjustment(90_000.0 * (1 + 0.06 * 30 / 365), 90_000.0, 30)
    share = adjustment / 90_000.0
    assert 0.0001 <= share <= 0.0004, "1 to 4 bp of the notional"
    assert RULES.own.units["QBTC"] == 0.01


def test_it_runs_nothing_live() -> None:
    assert not makes_index(cme_spot_quoted)
    assert not funds(cme_spot_quoted)
