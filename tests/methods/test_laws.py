"""Laws that hold for every dated set of every methodology: of its average, of its rate, of its mark, of its samples.

An average of venues does not depend on their order, is in no other unit than they are, lies between them, and is moved
by nobody who does not vote. A rate grows with the premium up to its cap, and without interest is odd. Whatever numbers
the platform's market states (a venue's price may be from 1e-18 to 1e15), there is a mark of whole ticks and a rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, isfinite
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from oracle.core.funding import FundingState, restart, start_of_interval
from oracle.core.index import Backing, Candidate, Cohort, Member, Memory
from oracle.core.mark import Marked, MarkInputs, MarkState
from oracle.core.maths import quantise, unscaled
from oracle.core.meanings import VERDICTS
from oracle.core.method import IndexMethod, PerpMethod
from oracle.core.params import Rules
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Depth, Verdict
from oracle.methods import gsr
from tests.methods.cases import AVERAGES, PERPS, venues

AT = 1_795_219_200 * NANOS_PER_S  # a midnight UTC
VOTING = [verdict for verdict, judged in VERDICTS.items() if judged.votes == "yes"] + [Verdict.CLOSED]
REFUSED = [verdict for verdict in Verdict if verdict not in VOTING]
FEW = settings(max_examples=20)
SEEDS = st.integers(0, 2**32 - 1)


class Venues:
    """A basket of venues: a mid and a last trade each, all heard of just now, with books of three levels a side."""

    def __init__(self, basket: Any, mids: Mapping[str, float], lasts: Mapping[str, float]) -> None:
        self.candidates: list[Candidate]
        self.candidates, self.memory = basket(mids, lasts)
        for c in self.candidates:
            assert c.known is not None
            c.known.last_trade_ns = AT
            bids, asks = [
                tuple((mid * (1.0 + way * place * 2.0**-12), float(place)) for place in (1, 2, 3))
                for mid, way in ((c.price, -1.0), (c.price, 1.0))
            ]
            c.known.depth = Depth(0, bids, asks, AT, AT)

    def vote(self, method: IndexMethod, rules: Rules) -> Cohort:
        return method.index(self.candidates, self.memory, rules, AT)

    def verdicts(self) -> dict[str, Verdict | None]:
        return {c.group: c.verdict for c in self.candidates}


def stated(rules: Rules, spread: float, random: Random) -> tuple[dict[str, float], dict[str, float]]:
    """Mids and last trades of one to nine venues, as far apart from one another as `spread`; some are equal."""
    names = random.sample(venues(rules, 12), random.randint(1, 9))
    mids = {name: 60_000.0 * (1.0 + spread * random.randint(-20, 20) / 20) for name in names}
    return mids, {name: mid * (1.0 + random.randint(-4, 4) / 10_000) for name, mid in mids.items()}


def coarse(method: IndexMethod, factor: float) -> float:
    """How far a scaled average may be off: Pyth rounds votes to units of 1e-8 before it counts them, nobody else."""
    return 1e-8 * (1.0 + factor) if method.ID == "pyth" else 0.0


@pytest.mark.parametrize(("method", "rules"), AVERAGES)
@FEW
@given(seed=SEEDS)
def test_an_average_knows_no_order_no_unit_and_no_outside(
    basket: Any, method: IndexMethod, rules: Rules, seed: int
) -> None:
    random = Random(seed)
    mids, lasts = stated(rules, random.choice((0.0005, 0.004, 0.02, 0.08, 0.4)), random)
    first, turned = Venues(basket, mids, lasts), dict(random.sample(sorted(mids.items()), len(mids)))
    made, again = first.vote(method, rules), Venues(basket, turned, lasts)
    assert again.vote(method, rules).price == made.price
    assert again.verdicts() == first.verdicts()
    quadruple = Venues(basket, {n: p * 4.0 for n, p in mids.items()}, {n: p * 4.0 for n, p in lasts.items()})
    assert quadruple.vote(method, rules).price == pytest.approx(made.price * 4.0, rel=1e-15, abs=coarse(method, 4.0))
    assert quadruple.verdicts() == first.verdicts()
    if made.groups:
        assert 0.0 < made.low <= made.price <= made.high
        voted = [c.price for c in first.candidates if c.verdict in VOTING]
        assert voted
        if method.ID != "cf_brti":  # its consolidated book may cross, and then its mid is nobody's
            assert min(voted) - 1e-8 <= made.price <= max(voted) + 1e-8
            assert made.groups == sorted(made.groups)


@pytest.mark.parametrize(("method", "rules"), AVERAGES)
@FEW
@given(factor=st.floats(0.01, 100.0), seed=SEEDS)
def test_an_average_of_prices_that_agree_scales_by_anything(
    basket: Any, method: IndexMethod, rules: Rules, factor: float, seed: int
) -> None:
    mids, lasts = stated(rules, 0.0005, Random(seed))
    made = Venues(basket, mids, lasts).vote(method, rules).price
    scaled = Venues(basket, {n: p * factor for n, p in mids.items()}, {n: p * factor for n, p in lasts.items()})
    assert scaled.vote(method, rules).price == pytest.approx(made * factor, rel=1e-12, abs=coarse(method, factor))


@pytest.mark.parametrize(("method", "rules"), AVERAGES)
@FEW
@given(seed=SEEDS)
def test_nobody_who_is_refused_moves_an_average(basket: Any, method: IndexMethod, rules: Rules, seed: int) -> None:
    random = Random(seed)
    mids, lasts = stated(rules, 0.02, random)
    said = [(random.choice(REFUSED), random.choice((0.0, 1e-18, 60_100.0, 1e15))) for _ in range(random.randint(1, 3))]
    alone = Venues(basket, mids, lasts).vote(method, rules)
    others = {f"{name}.": 60_000.0 for name in venues(rules, len(said))}
    beside = Venues(basket, {**others, **mids}, lasts)
    for c, (verdict, price) in zip(beside.candidates, said, strict=False):
        c.verdict, c.price, c.venue = verdict, price, c.venue.rstrip(".")
        assert c.known is not None
        c.known.last_trade_ns = 0  # else Binance's older rule would take a stale book's young trade
    made = beside.vote(method, rules)
    assert (made.price, made.groups, made.low, made.high) == (alone.price, alone.groups, alone.low, alone.high)


@pytest.mark.parametrize(("method", "rules"), [*AVERAGES, pytest.param(gsr, gsr.SETS[-1], id="gsr")])
def test_of_nothing_comes_nothing(basket: Any, method: IndexMethod, rules: Rules) -> None:
    assert method.index([], Memory([]), rules, AT).groups == []
    mids = dict.fromkeys(venues(rules, 8), 60_000.0)
    nobody = Venues(basket, mids, {})
    for c in nobody.candidates:
        c.verdict, c.price = Verdict.STALE, 0.0
        assert c.known is not None
        c.known.last_trade_ns = 0
    made = nobody.vote(method, rules)
    assert (made.price, made.groups) == (0.0, [])
    assert {c.verdict for c in nobody.candidates} == {Verdict.STALE}


@FEW
@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=5), st.integers(0, 4))
def test_a_ratio_knows_no_order_of_its_legs_and_needs_them_all(values: list[float], missing: int) -> None:
    def product(factors: list[float]) -> Cohort:
        backing = Backing(4, 2, 0.0001)
        legs = [Candidate(0, "", factor, 0, None, True, 0.0, 0.0, "", leg=backing) for factor in factors]
        return gsr.index(legs, Memory([Member() for _ in legs]), gsr.SETS[-1], AT)

    made = product(values)
    assert product(values[missing:] + values[:missing]).price == product(values[::-1]).price == made.price
    assert product([values[0] * 4.0, *values[1:]]).price == pytest.approx(made.price * 4.0, rel=1e-14)
    assert made.low <= made.price <= made.high
    values[missing % len(values)] = 0.0
    assert product(values).groups == []


@pytest.mark.parametrize(("method", "rules"), PERPS)
@FEW
@given(st.floats(-3.0, 3.0), st.floats(-3.0, 3.0), st.sampled_from([1.0, 1e-2, 1e-4]))
def test_a_rate_grows_with_the_premium_up_to_its_cap(
    method: PerpMethod, rules: Rules, one: float, other: float, scale: float
) -> None:
    low, high = sorted((one * scale, other * scale))
    rates = [method.rate(premium, rules) for premium in (low, high)]
    assert rates[0].rate <= rates[1].rate
    cap = largest(rules, method)
    for rated in rates:
        assert abs(rated.rate) <= cap * (1.0 + 1e-12)
        assert not rated.cap_binding or abs(rated.rate) == pytest.approx(cap)
    without = replace(rules, funding=replace(rules.funding, interest_per_8h=0.0))
    assert method.rate(-high, without).rate == -method.rate(high, without).rate


def largest(rules: Rules, method: PerpMethod) -> float:
    """The largest rate of an interval: the shared cap, Deribit's of eight hours, or that none is published."""
    if "funding.cap" in method.READS or "funding" in method.READS:
        return rules.funding.cap
    assert method.ID in ("deribit", "coinbase_intl"), "who reads no cap has one of its own, or none"
    return getattr(rules.own, "cap_8h", inf) * rules.funding.interval_ms / 28_800_000


def any_price(random: Random) -> float:
    """What a venue may state: mostly a price near the index, else one of any size."""
    return random.uniform(59_000.0, 61_000.0) if random.random() < 0.6 else 10.0 ** random.uniform(-18.0, 15.0)


def any_depth(random: Random, at_ns: int = 0) -> Depth:
    """A book, best first on either side, with levels of every size; it may be thin, one-sided or crossed."""
    sides = []
    for _ in range(2):
        sizes = [random.choice((0.0, 1.0, 10.0 ** random.uniform(-18.0, 18.0))) for _ in range(random.randint(0, 4))]
        sides.append(sorted((any_price(random), size) for size in sizes))
    return Depth(0, tuple(sides[0][::-1]), tuple(sides[1]), at_ns, at_ns)


def any_index(random: Random) -> float:
    """A published price of two decimals, at least one of its units."""
    return unscaled(quantise(max(any_price(random) if random.random() < 0.3 else 60_000.0, 0.01), 2), 2)


def look(random: Random, at_ns: int) -> MarkInputs:
    """What a mark may be made of."""
    age_ms = random.choice((None, 0, 0, 0, 2_900, 3_100, 40_000))
    age_ns = None if age_ms is None else age_ms * NANOS_PER_MS
    bid, ask, last = (random.choice((0.0, any_price(random), any_price(random))) for _ in range(3))
    return MarkInputs(
        at_ns,
        any_index(random),
        random.random() < 0.8,
        age_ns,
        bid,
        random.choice((ask, bid * 1.0001)),
        last,
        random.uniform(-0.04, 0.04),
        random.random(),
        random.choice((None, random.uniform(-0.04, 0.04))),
        random.choice((None, any_depth(random, at_ns - (age_ns or 0)))),
        [(random.choice(("binance", "okx", "gate", "q0")), any_price(random)) for _ in range(random.randint(0, 4))],
        random.random() < 0.2,
    )


@pytest.mark.parametrize(("method", "rules"), PERPS)
@FEW
@given(seed=SEEDS)
def test_whatever_a_market_says_there_is_a_mark_of_whole_ticks(
    perp: Any, method: PerpMethod, rules: Rules, seed: int
) -> None:
    random, at_ns = Random(seed), AT
    instrument, memory = replace(perp(method.ID, rules), tick_units=25), MarkState()
    for _ in range(8):
        at_ns += random.choice((1, 100, 5_000, 60_000)) * NANOS_PER_MS
        made: Marked = method.mark(memory, look(random, at_ns), instrument)
        assert made.units % 25 == 0
        assert made.units >= 0
        legs = [leg for leg in (made.basis_leg, made.book_leg, made.funding_leg) if leg is not None]
        assert all(isfinite(leg) for leg in legs)
        memory.reference, memory.units = memory.units, made.units
        assert msgspec.json.decode(msgspec.json.encode(memory), type=MarkState) == memory


@pytest.mark.parametrize(("method", "rules"), PERPS)
@FEW
@given(seed=SEEDS)
def test_whatever_a_book_says_there_is_a_rate(perp: Any, method: PerpMethod, rules: Rules, seed: int) -> None:
    random, at_ns, of = Random(seed), AT, rules.funding
    instrument, index = perp(method.ID, rules), any_index(random)
    settled = random.choice((None, 0, 250_000, -4_000_000))
    state = FundingState(start_of_interval(AT, of), AT, settled_e8=settled)
    interval_ns, grid_ns = of.interval_ms * NANOS_PER_MS, of.sample_ms * NANOS_PER_MS
    for _ in range(6):
        at_ns += random.choice((1, 2, 400)) * grid_ns
        while at_ns > state.start_ns + interval_ns:
            state.settled_e8 = method.fund(state, state.start_ns + interval_ns, instrument).rate_e8
            restart(state, state.start_ns + interval_ns)
        state.instant_ns = at_ns
        mark = random.choice((None, any_price(random)))
        made = method.sample(any_depth(random), index, mark, instrument)
        if made.premium is not None:
            assert isfinite(made.premium)
            method.accrue(state, at_ns, quantise(made.premium, 10), instrument)
        funded = method.fund(state, at_ns, instrument)
        assert abs(funded.rate_e8) <= largest(rules, method) * 1e8 + 1
        assert funded.samples <= funded.expected
        assert msgspec.json.decode(msgspec.json.encode(state), type=FundingState) == state
    assert isinstance(method.fund(state, state.start_ns + interval_ns, instrument).rate_e8, int)
