"""Ratios: legs first, then the product; a market that closes while its perpetual goes on; a cross of currencies."""

from __future__ import annotations

import csv
from collections.abc import Callable
from math import exp
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from oracle.core.composite import product
from oracle.core.funding import in_parts
from oracle.core.index import Backing, Candidate, Cohort, Memory
from oracle.core.mark import MarkInputs, MarkState
from oracle.core.params import Leg, Rules, World
from oracle.core.types import (
    NANOS_PER_MS,
    NANOS_PER_S,
    Depth,
    PremiumSample,
    Reason,
    State,
    Ticker,
    TickerKind,
    Verdict,
)
from oracle.methods import gsr, hip3, reference, rules_at
from tests.core.rig import START_NS, Rig

TODAY = gsr.SETS[-1]
OWN: gsr.Own = TODAY.own
DAY_NS = 86_400 * NANOS_PER_S
CLOSE_NS = START_NS // DAY_NS * DAY_NS + (3 * 24 + 22) * 3_600 * NANOS_PER_S  # the rig begins on a Tuesday
THIN = replace(TODAY, funding=replace(TODAY.funding, impact_notional=100.0))


def leg(value: float, age_ms: int = 0, closed: bool = False) -> Candidate:
    verdict = Verdict.CLOSED if closed else None
    backing = Backing(1, 1, 0.0, closed)
    return Candidate(0, "leg", value, age_ms * NANOS_PER_MS, verdict, True, 0.0, 0.0, "leg", leg=backing)


def ratio(*legs: Candidate, rules: Rules = TODAY) -> Cohort:
    return gsr.index(list(legs), Memory([]), rules, START_NS)


def test_gold_in_silver() -> None:
    assert ratio(leg(2_400.0), leg(1 / 30.0)).price == pytest.approx(80.0)


def test_legs_of_different_times_are_not_multiplied() -> None:
    assert ratio(leg(2.0), leg(3.0, 1_000)).price == 6.0
    assert ratio(leg(2.0), leg(3.0, 1_001)).reasons == [Reason.LEGS_SKEWED]
    wider = replace(TODAY, own=replace(OWN, skew_ms_max=3_000))
    assert ratio(leg(2.0), leg(3.0, 3_000), rules=wider).price == 6.0
    assert ratio(leg(2.0), leg(3.0, 10**7, closed=True)).closed


def test_the_ratio_of_medians_is_not_the_median_of_ratios() -> None:
    gold, silver = [2_400.0, 2_410.0, 2_460.0], [30.5, 30.0, 30.1]
    assert sorted(x / y for x, y in zip(gold, silver, strict=True))[1] == pytest.approx(80.333, abs=1e-3)
    assert ratio(leg(2_410.0), leg(1 / 30.1)).price == pytest.approx(80.066, abs=1e-3)


def test_der_gsr_1_a_premium_of_five_basis_points() -> None:
    assert gsr.settled(0.0005, TODAY) == hip3.settled(0.0005, hip3.SETS[-1]) == 250_000
    assert gsr.settled(0.0002, TODAY) == 0, "without interest the flat zone is about zero"
    assert gsr.settled(0.0002, replace(TODAY, own=replace(OWN, multiplier=10.0))) == 0


@given(st.floats(-0.5, 0.5), st.floats(0.0, 10.0))
def test_without_interest_a_rate_is_odd(premium: float, multiplier: float) -> None:
    rules = replace(TODAY, own=replace(OWN, multiplier=multiplier))
    assert gsr.rate(-premium, rules).rate == -gsr.rate(premium, rules).rate
    assert gsr.rate(premium, rules).rate == in_parts(premium, 0.0, 0.0003, 0.04, 8, multiplier).rate


@pytest.mark.parametrize(
    ("at_s", "tau_ms"), [(0, 28_800_000), (1_763_683_199, 28_800_000), (1_763_683_200, 3_600_000), (2**31, 1_800_000)]
)
def test_a_date_finds_its_time_constant(at_s: int, tau_ms: int) -> None:
    assert rules_at(gsr, at_s * NANOS_PER_S).own.internal_tau_ms == tau_ms


def test_the_closed_oracle_goes_part_of_the_way_to_the_book() -> None:
    moved = gsr.internal_oracle(80.0, 82.0, 84.0, 3_000, OWN)
    assert moved == pytest.approx(80.0 + 2.0 * (1 - exp(-3 / 1_800)), rel=1e-14)
    assert gsr.internal_oracle(80.0, 76.0, 78.0, 3_000, OWN) == pytest.approx(160.0 - moved, rel=1e-14)
    assert gsr.internal_oracle(80.0, 79.0, 81.0, 3_000, OWN) == 80.0
    assert gsr.internal_oracle(80.0, None, None, 3_000, OWN) == 80.0
    assert gsr.internal_oracle(80.0, None, 78.0, 3_000, OWN) < 80.0 < gsr.internal_oracle(80.0, 82.0, None, 3_000, OWN)


@given(st.floats(1.0, 200.0), st.floats(1.0, 200.0), st.floats(0.0, 5.0), st.integers(0, 10**9))
def test_no_step_goes_further_than_a_tenth(before: float, bid: float, width: float, elapsed_ms: int) -> None:
    """However long nothing was posted: at most 1 − e^(−0.1), 9.5 % of the gap."""
    after = gsr.internal_oracle(before, bid, bid + width, elapsed_ms, OWN)
    gap = max(bid - before, 0.0) - max(before - bid - width, 0.0)
    assert abs(after - before) <= abs(gap) * 0.0951626
    assert (after - before) * gap >= 0.0


def now(ms: int, index: float = 80.0, book: float = 80.0, **changed: Any) -> MarkInputs:
    at_ns = CLOSE_NS + ms * NANOS_PER_MS
    depth = Depth(0, ((book - 0.1, 1e4),), ((book + 0.1, 1e4),), at_ns, at_ns)
    return replace(MarkInputs(at_ns, index, True, 0, book - 0.1, book + 0.1, book, 0.0, 1.0, depth=depth), **changed)


@pytest.fixture
def marked(perp: Any) -> Callable[..., Any]:
    """Marks with the set of today, or with own parameters changed."""

    def make(memory: MarkState, inputs: MarkInputs, **own: Any) -> Any:
        rules = replace(TODAY, own=replace(OWN, **own))
        return gsr.mark(memory, inputs, perp("gsr", rules))

    return make


def closed_run(marked: Any, memory: MarkState, posts: int, book: float, **own: Any) -> Any:
    marked(memory, now(0), **own)
    made = None
    for post in range(1, posts + 1):
        made = marked(memory, now(3_000 * post, book=book, closed=True), **own)
    return made


def test_while_closed_the_mark_stays_within_one_over_the_leverage(marked: Any) -> None:
    memory = MarkState()
    made = closed_run(marked, memory, 200, 120.0)
    assert (made.units, made.band_binding) == (8_400, True)
    assert made.reasons == [Reason.CLAMP_STEP, Reason.CLAMP_BAND, Reason.MARKET_CLOSED]
    down = closed_run(marked, MarkState(), 200, 40.0)
    assert (down.units, down.band_binding) == (7_600, True)
    assert 80.0 < memory.oracle < 120.0


def test_when_the_market_opens_the_oracle_is_the_index_again(marked: Any) -> None:
    memory = MarkState()
    closed_run(marked, memory, 20, 83.0)
    assert memory.oracle > 80.0
    made = marked(memory, now(63_000, index=81.0, book=83.0))
    assert (memory.oracle, made.funding_leg, made.band_binding) == (81.0, 81.0, False)
    assert memory.notes.numbers["anchor"] == 81.0


def test_a_bound_nearly_reached_is_anchored_anew_as_often_as_it_may(marked: Any) -> None:
    memory = MarkState()
    own = {"resets_up_max": 1, "internal_tau_ms": 60_000}
    made = closed_run(marked, memory, 200, 120.0, **own)
    assert memory.notes.numbers["anchor"] == pytest.approx(84.0)
    assert (made.units, memory.notes.numbers["resets_up"]) == (8_820, 1.0)
    memory = MarkState()
    down = closed_run(marked, memory, 200, 40.0, **own)
    assert (down.units, memory.notes.numbers["anchor"]) == (7_600, 80.0), "downwards it may not"


def test_a_book_nobody_tells_of_moves_nothing(marked: Any) -> None:
    for silent in ({"depth": None}, {"feed_age_ns": 10**11}, {"depth": Depth(0, ((90.0, 1e4),), ((91.0, 1e4),), 0, 0)}):
        memory = MarkState()
        marked(memory, now(0))
        marked(memory, now(3_000, closed=True, **silent))
        assert memory.oracle == 80.0


def test_one_that_starts_while_the_market_is_closed_begins_at_the_last_rate(marked: Any) -> None:
    memory = MarkState()
    made = marked(memory, now(0, book=100.0, closed=True))
    assert (memory.oracle, memory.notes.numbers["anchor"], made.units) == (80.0, 80.0, 8_400)
    assert marked(MarkState(), now(0, index_usable=False)).units == 8_000


@pytest.fixture
def world(reference_world: Callable[..., World]) -> World:
    """Gold and silver of one desk each, their ratio, and a perpetual of it."""
    made = reference_world({"XAU-USD": 2_400.0, "XAG-USD": 30.0}, reference.SETS[-1])
    legs = (Leg("XAU-USD"), Leg("XAG-USD", inverse=True))
    cross = replace(made.indices[0], id="GSR", sources=(), method="gsr", rules=THIN, legs=legs)
    perp = replace(made.perps[0], index="GSR", method="gsr", rules=THIN, tick_units=1)
    return replace(made, indices=(*made.indices, cross), perps=(perp,))


class Metals:
    """The rig with desks that state gold and silver."""

    def __init__(self, world: World) -> None:
        self.rig = Rig(world)
        self.rig.at_ns = CLOSE_NS - 600 * NANOS_PER_S

    def beat(self, ms: int, *rates: tuple[str, float]) -> Any:
        at_ns = self.rig.at_ns + ms * NANOS_PER_MS
        said = [Ticker(self.rig.ids[f"{n}:desk"], TickerKind.REFERENCE, price, at_ns, at_ns) for n, price in rates]
        return self.rig.beat(ms, extra=said)


def test_it_can_be_selected_and_goes_on_over_the_weekend(world: World) -> None:
    metals = Metals(world)
    rig, open_rates = metals.rig, (("XAU-USD", 2_400.0), ("XAG-USD", 30.0))
    rig.engine_price = 80.0
    for _ in range(45):
        metals.beat(1_000, *open_rates)
    index, mark = rig.index("GSR"), rig.mark()
    assert (index.state, index.price, index.n_groups) == (State.NORMAL, 800_000, 1)
    assert (mark.price, mark.funding_leg) == (8_000, 8_000)
    metals.beat(CLOSE_NS // NANOS_PER_MS - rig.at_ns // NANOS_PER_MS - 60_000, *open_rates)
    rig.engine_price = 83.0  # its bid, 82, is above the last ratio
    ticks = [metals.beat(1_000) for _ in range(240)]
    index, mark = rig.index("GSR"), rig.mark()
    assert (index.state, index.price) == (State.DEGRADED, 800_000)
    assert {Reason.MARKET_CLOSED} <= {*index.reasons, *mark.reasons}
    assert mark.funding_leg is not None
    assert mark.price is not None
    assert 8_000 < mark.funding_leg < 8_200
    assert 8_000 < mark.price <= 8_400
    samples = [v for tick in ticks for v in tick.values if isinstance(v, PremiumSample)]
    last = samples[-1]
    assert last.index is not None, "the premium is taken over the oracle price as it was last posted"
    assert last.premium_e10 is not None
    assert last.index == pytest.approx(mark.funding_leg * 100, abs=2_000)
    assert last.premium_e10 == pytest.approx((83.0 / (last.index / 1e4) - 1.0) * 1e10, abs=1e6)
    assert last.index > 800_000


def test_a_leg_that_nobody_states_leaves_no_ratio(world: World) -> None:
    metals = Metals(world)
    for _ in range(45):
        metals.beat(1_000, ("XAU-USD", 2_400.0))
    assert metals.rig.index("GSR").price is None
    assert Reason.LEG_UNUSABLE in metals.rig.index("GSR").reasons


def test_a_cross_of_currencies_is_the_same_rule(reference_world: Callable[..., World]) -> None:
    """BTC-HKD is BTC-USD times USD-HKD: the index of a ratio with another leg, and no division."""
    made = reference_world({"BTC-USD": 60_000.0, "USD-HKD": 7.8}, reference.SETS[-1])
    legs = (Leg("BTC-USD"), Leg("USD-HKD"))
    cross = replace(
        made.indices[0], id="BTC-HKD", quote="HKD", sources=(), method="gsr", rules=TODAY, legs=legs, price_decimals=2
    )
    metals = Metals(replace(made, indices=(*made.indices, cross)))
    for _ in range(45):
        metals.beat(1_000, ("BTC-USD", 60_000.0), ("USD-HKD", 7.8451))
    assert metals.rig.index("BTC-HKD").price == 47_070_600


@pytest.mark.data
def test_dollars_in_hong_kong_from_the_ecbs_fixings(data: Path) -> None:
    """USD-HKD is EUR-HKD over EUR-USD: since the peg's band of May 2005 it stays within it, as far as digits go."""
    with (data / "series" / "ecb_reference_rates.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["date"] > "2005-06"]
    made = [product([leg(float(row["eurhkd"])), leg(1.0 / float(row["eurusd"]))], 0).price for row in rows]
    assert len(rows) > 5_000
    assert min(made) > 7.745
    assert max(made) < 7.855
