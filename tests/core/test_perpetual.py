"""What methodologies of perpetuals have in common is a PerpMethod's own function, and computes what it says."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest
from msgspec import Struct
from msgspec.structs import replace

from oracle.core import perpetual
from oracle.core.funding import FundingState, Rated
from oracle.core.method import PerpMethod
from oracle.core.params import ParameterDoc, PerpInstrument, Rules, World, documented
from oracle.core.premium import Sampled
from oracle.core.types import Depth, Reason

BOOK = Depth(0, ((99.0, 1e6),), ((103.0, 1e6),), 0, 0)


class Own(Struct, frozen=True, kw_only=True):
    """The parameters that some methodologies share."""

    weighing: perpetual.Weighing
    divides: perpetual.Divides = False
    rate_decimals: perpetual.RateDecimals = 10


def tenth(premium: float, rules: Rules) -> Rated:
    """A rate that nobody has."""
    return Rated(premium / 10.0, 0.0)


@pytest.fixture
def perp(worlds: Callable[..., World]) -> PerpInstrument:
    return worlds().perps[0]


def weighing(perp: PerpInstrument, how: Any) -> PerpInstrument:
    return replace(perp, rules=replace(perp.rules, own=Own(weighing=how)))


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("sample", perpetual.impact_premium),
        ("sample", perpetual.impact_mid),
        ("accrue", perpetual.evenly),
        ("accrue", perpetual.linearly),
        ("accrue", perpetual.weighed),
        ("fund", perpetual.of_mean(tenth)),
    ],
)
def test_they_are_a_methods_own_functions(name: str, ours: Callable[..., object]) -> None:
    wanted = getattr(PerpMethod, name)
    assert list(inspect.signature(wanted).parameters)[1:] == list(inspect.signature(ours).parameters)
    assert get_type_hints(wanted) == get_type_hints(ours)


def test_a_premium_is_by_the_instruments_own_notional(perp: PerpInstrument) -> None:
    assert perpetual.impact_premium(BOOK, 98.0, None, perp).premium == pytest.approx(1.0 / 98.0)
    assert perpetual.impact_mid(BOOK, 100.0, None, perp).premium == pytest.approx(0.01)
    greedy = replace(perp, rules=replace(perp.rules, funding=replace(perp.rules.funding, impact_notional=1e12)))
    nothing = Sampled(None, None, None, [Reason.THIN_BID, Reason.THIN_ASK, Reason.MISSING])
    assert perpetual.impact_premium(BOOK, 100.0, None, greedy) == nothing
    assert perpetual.impact_mid(BOOK, 100.0, None, greedy) == nothing


def accrued(accrue: Callable[..., None], perp: PerpInstrument) -> FundingState:
    """What becomes of samples of 100, 200 and 400 at the first, second and fourth instant of an interval."""
    state = FundingState(0, 0)
    grid_ns = perp.rules.funding.sample_ms * 1_000_000
    for place, premium_e10 in ((1, 100), (2, 200), (4, 400)):
        accrue(state, place * grid_ns, premium_e10, perp)
    return state


def test_samples_count_the_same_or_by_their_place(perp: PerpInstrument) -> None:
    even, linear = accrued(perpetual.evenly, perp), accrued(perpetual.linearly, perp)
    assert (even.samples, even.sum_e10, even.weight) == (3, 700, 3)
    assert (linear.samples, linear.sum_e10, linear.weight) == (3, 2_100, 7)
    assert accrued(perpetual.weighed, weighing(perp, "equal")) == even
    assert accrued(perpetual.weighed, weighing(perp, "linear")) == linear


def test_a_rate_is_of_the_weighted_mean_or_the_interest_alone(perp: PerpInstrument) -> None:
    fund, state = perpetual.of_mean(tenth), FundingState(0, 0)
    assert fund(state, 0, perp).reasons == [Reason.NO_SAMPLES]
    grid_ns = perp.rules.funding.sample_ms * 1_000_000
    for place, premium_e10 in ((1, 10_000_000), (2, 40_000_000)):
        perpetual.linearly(state, place * grid_ns, premium_e10, perp)
    made = fund(state, 2 * grid_ns, perp)
    assert (made.premium_mean_e10, made.rate_e8, made.reasons) == (30_000_000, 30_000, [])
    alone = fund(state, 200 * grid_ns, perp)
    assert (alone.rate_e8, alone.reasons) == (alone.interest_e8, [Reason.FUNDING_FALLBACK])


def test_the_common_parameters_are_documented() -> None:
    rows = {row.name: row for row in documented(Own)}
    assert list(rows) == ["weighing", "divides", "rate_decimals"]
    assert rows["rate_decimals"] == ParameterDoc(
        "rate_decimals", "funding", "decimals", 0, 12, "decimals of a settled rate"
    )
