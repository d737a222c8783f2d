"""The depth-weighted index against its vector, an independent reference, and the rules that leave a venue out."""

from __future__ import annotations

import statistics
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from oracle.core.basket import Sides
from oracle.core.index import Cohort, Member, Memory
from oracle.core.types import NANOS_PER_MS, Depth, State, Verdict
from oracle.methods.cf_brti import (
    ASSETS,
    SETS,
    STEPS_MAX,
    Own,
    calculate,
    curve,
    depth_weights,
    index,
    order_size_cap,
    utilised,
)

AT = 10**18
NEW, OLD = SETS[-1].own, SETS[0].own
TOY = Sides([(99.9, 1.0), (99.7, 1.0), (99.5, 1.0)], [(100.2, 1.0), (100.3, 1.0), (100.4, 1.0)])


def rules(place: int = -1, **own: object):  # type: ignore[no-untyped-def]
    return replace(SETS[place], own=replace(SETS[place].own, constituents=(), **own))


def reference(books: list[Sides], own: Own) -> Decimal:
    """The published formula in other words: every grid volume is looked up by itself, in fifty digits."""
    bids = sorted((level for book in books for level in book.bids), reverse=True)
    asks = sorted(level for book in books for level in book.asks)
    sizes = sorted(
        [q for p, q in asks[:50] if p <= 1.05 * asks[0][0]] + [q for p, q in bids[:50] if p >= 0.95 * bids[0][0]]
    )
    k = len(sizes) // 100
    kept = sizes[k : len(sizes) - k]
    cap = statistics.fmean(kept) + 5 * statistics.stdev([kept[0]] * k + kept + [kept[-1]] * k)

    exact = {q: Fraction(str(round(min(q, cap), 8))) for _, q in [*bids, *asks]}

    def price_at(volume: int, side: list[tuple[float, float]]) -> float | None:
        total = Fraction(0)
        for price, size in side:
            total += exact[size]
            if total >= volume:
                return price
        return None

    with localcontext() as context:
        context.prec = 50
        mids: list[Decimal] = []
        while (bid := price_at(len(mids) + 1, bids)) and (ask := price_at(len(mids) + 1, asks)):
            mid = (Decimal(bid) + Decimal(ask)) / 2
            if Decimal(ask) / mid - 1 > Decimal("0.005"):
                break
            mids.append(mid)
        rate = 1 / (Decimal("0.3") * len(mids))
        weights = [rate * (-rate * v).exp() for v in range(1, len(mids) + 1)]
        return sum((mid * weight for mid, weight in zip(mids, weights, strict=True)), Decimal(0)) / sum(weights)


def test_der_brti_1() -> None:
    made = calculate([TOY], NEW)
    assert made.price == pytest.approx(100.031011969925, abs=1e-12)
    assert made.depth == 3.0
    assert 1 / (0.3 * made.depth) == pytest.approx(1.111111111111)
    assert float(reference([TOY], NEW)) == pytest.approx(made.price, abs=1e-12)
    assert round(made.price, 2) == 100.03


LEVELS = st.lists(st.tuples(st.integers(0, 300), st.integers(1, 40)), min_size=4, max_size=12)


@settings(max_examples=25)
@given(st.lists(st.tuples(LEVELS, LEVELS), min_size=1, max_size=3))
def test_it_is_the_published_formula(sides) -> None:  # type: ignore[no-untyped-def]
    books = [
        Sides(
            sorted([(60_000.0 - off, size / 8) for off, size in bids], reverse=True),
            sorted([(60_001.0 + off, size / 8) for off, size in asks]),
        )
        for bids, asks in sides
    ]
    made = calculate(books, NEW)
    if made.depth > 1:
        assert made.price == pytest.approx(float(reference(books, NEW)), abs=1e-7)
    assert made.low <= made.price <= made.high
    assert calculate(books[::-1], NEW) == made


@given(st.sampled_from([2.0, 1024.0, 0.25]))
def test_it_scales(factor: float) -> None:
    scaled = Sides(*[[(price * factor, size) for price, size in side] for side in TOY])
    assert calculate([scaled], NEW).price == calculate([TOY], NEW).price * factor


def test_an_order_counts_for_no_more_than_the_cap() -> None:
    sizes = [1.0, 2.0, 3.0, 4.0]
    book = Sides([(100.0 - n, size) for n, size in enumerate(sizes)], [(101.0, 2.0), (110.0, 9.0)])
    near = [*sizes, 2.0]  # the ask at 110 is more than 5 % above the best one, the bids are all near
    assert order_size_cap(*book, NEW) == pytest.approx(statistics.fmean(near) + 5 * statistics.stdev(near))


def test_the_sample_is_trimmed_for_the_mean_and_winsorised_for_the_deviation() -> None:
    bids = [(100.0 - n / 100, 1.0) for n in range(50)]
    asks = [(100.5 + n / 100, 1.0) for n in range(49)] + [(100.99, 1_000.0)] + [(101.0, 5_000.0)]
    assert order_size_cap(bids, asks, NEW) == 1.0  # the one monster in a hundred is cut, the fifty-first is not seen
    assert order_size_cap(bids, asks, replace(NEW, trim_share=0.0)) > 500.0


def test_a_wall_moves_the_old_index_more_than_the_new() -> None:
    thin = [(100.5 + n / 100, 1.0) for n in range(60)]
    wall = Sides([(100.0, 90.0), *[(99.9 - n / 100, 1.0) for n in range(60)]], thin)
    plain = Sides([(100.0, 1.0), *wall.bids[1:]], thin)
    moved = [abs(calculate([wall], own).price - calculate([plain], own).price) for own in (OLD, NEW)]
    assert moved[0] > moved[1]
    assert calculate([wall], OLD).cap == 100.0


def test_a_curve_states_the_marginal_price_on_the_grid() -> None:
    levels = [(1.0, 0.1)] * 10 + [(2.0, 2.5), (3.0, 0.5)]
    assert curve(levels, 100.0, 1.0) == [1.0, 2.0, 2.0, 3.0]  # ten tenths are one
    assert curve(levels, 0.1, 1.0) == [1.0]  # twelve orders of a tenth: the second step is not reached
    assert curve(levels, 100.0, 2.0) == [2.0, 3.0]
    assert curve([(7.0, 0.5)], 100.0, 1.0) == [7.0]  # shorter than a step
    assert len(curve([(1.0, 10.0**8)], 10.0**9, 1.0)) == STEPS_MAX


def test_the_utilised_depth_ends_before_the_first_breach() -> None:
    bids, asks = [100.0, 100.0, 98.0, 100.0], [100.4, 100.6, 100.4, 100.2]
    assert len(utilised(bids, asks, 0.005)) == 2  # the fourth is inside again, and does not count
    assert len(utilised(bids, asks, 0.02)) == 4
    assert utilised([90.0], [110.0], 0.005) == [100.0]


def test_the_weights_fall_as_the_source_says() -> None:
    weights = depth_weights(3)
    expected = [Decimal(-v / Decimal("0.9")).exp() for v in (1, 2, 3)]
    assert [float(weight) for weight in expected] == pytest.approx(list(weights), rel=1e-15)


def verdicts(basket, memory: Memory, of, **mids: float) -> list[Verdict | None]:  # type: ignore[no-untyped-def]
    candidates, _ = basket(mids)
    index(candidates, memory, of, AT)
    return [c.verdict for c in candidates]


def test_a_potentially_erroneous_venue_must_come_closer_than_it_left(basket) -> None:  # type: ignore[no-untyped-def]
    out, back, used = Verdict.OUTLIER, Verdict.READMITTING, Verdict.USED
    memory = Memory([Member() for _ in range(3)])
    seen = [verdicts(basket, memory, rules(), a=100.0, b=100.0, c=c)[2] for c in (104.9, 105.1, 104.0, 102.5, 102.4)]
    assert seen == [used, out, back, back, used]
    memory = Memory([Member() for _ in range(3)])
    seen = [verdicts(basket, memory, rules(3), a=100.0, b=100.0, c=c)[2] for c in (109.9, 110.1, 109.9)]
    assert seen == [used, out, used]  # before September 2020 it came back where it had left


def test_when_all_are_erroneous_nothing_is_published(basket) -> None:  # type: ignore[no-untyped-def]
    candidates, memory = basket({"a": 100.0, "b": 120.0})
    assert index(candidates, memory, rules(), AT) == Cohort()
    assert index([], memory, rules(), AT) == Cohort()


def test_only_constituents_count(basket) -> None:  # type: ignore[no-untyped-def]
    candidates, memory = basket({"coinbase": 100.0, "kraken": 100.1, "lmax": 100.2, "elsewhere": 100.3})
    index(candidates, memory, SETS[4], AT)
    assert [c.verdict for c in candidates] == [Verdict.USED] * 2 + [Verdict.UNWEIGHTED] * 2
    candidates, _ = basket({"coinbase": 100.0, "kraken": 100.1, "lmax": 100.2, "elsewhere": 100.3})
    index(candidates, memory, SETS[5], AT)
    assert [c.verdict for c in candidates] == [Verdict.USED] * 3 + [Verdict.UNWEIGHTED]


def test_a_depth_in_time_is_used_and_an_old_one_is_not(basket) -> None:  # type: ignore[no-untyped-def]
    bids, asks = ((100.0, 1.0), (99.9, 5.0)), ((100.2, 1.0), (100.9, 5.0))
    for age_ms, price in ((10_000, calculate([Sides(bids, asks)], NEW).price), (10_001, 100.1)):
        candidates, memory = basket({"a": 100.1})
        candidates[0].known.depth = Depth(0, bids, asks, 0, AT - age_ms * NANOS_PER_MS)
        assert index(candidates, memory, rules(), AT).price == pytest.approx(price)
    candidates, memory = basket({"a": 100.1})
    candidates[0].age_ns = 10_001 * NANOS_PER_MS
    assert index(candidates, memory, rules(), AT) == Cohort()
    assert candidates[0].verdict is Verdict.STALE
    assert index(basket({"a": 100.1})[0], memory, rules(0), AT).price == pytest.approx(100.1)


def test_a_converted_book_is_priced_in_the_indexs_currency(basket) -> None:  # type: ignore[no-untyped-def]
    candidates, memory = basket({"a": 100.0})
    candidates[0].rate = 0.5
    assert index(candidates, memory, rules(), AT).price == pytest.approx(50.0)


def test_every_asset_has_parameters_that_fit() -> None:
    bitcoin = ASSETS["BTC"]
    assert (NEW.spacing, NEW.spread, NEW.deviation, NEW.lag_ms) == bitcoin
    for asset in ASSETS.values():
        own = replace(NEW, **asset._asdict())
        big = Sides(*[[(price, size * 100 * asset.spacing) for price, size in side] for side in TOY])
        assert 99.5 < calculate([big], own).price < 100.4


def test_it_can_be_selected(rig) -> None:  # type: ignore[no-untyped-def]
    running = rig("cf_brti", rules())
    assert running.index().state is State.NORMAL
    assert running.index().price == pytest.approx(6_000_000, abs=700)
    assert running.index().n_groups == 6
    source = running.ids["v0"]
    top = running.prices["v0"]
    far = Depth(source, ((top - 1, 1.0), (top - 90, 500.0)), ((top + 1, 500.0),), 0, running.at_ns)
    before = running.index().price
    running.beat(extra=[far])
    running.beat()
    assert running.index().price != before
