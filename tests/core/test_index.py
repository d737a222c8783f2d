"""The vote: contained by the honest, blind to order and scale, one voice an owner, and open about its own worth."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import combinations, product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from oracle.core.index import (
    BPS,
    Candidate,
    Cohort,
    Member,
    Memory,
    breakdown,
    group_prices,
    judge_anchored,
    judge_frozen,
    judge_outliers,
    vote,
)
from oracle.core.maths import mad_band, median
from oracle.core.types import Verdict
from oracle.methods.hk1 import SETS
from oracle.methods.hk1 import index as hk1_index

RULES = SETS[0]
MS = 1_000_000
T0 = 1_700_000_000_000 * MS
ANYTHING = st.floats(1e-9, 1e15)
PRICES = st.floats(59_000.0, 61_000.0)


def said(prices: Sequence[float], groups: Sequence[str] = (), verdict: Verdict | None = None) -> list[Candidate]:
    """A fresh source for each price, of an owner of its own unless groups are given."""
    return [
        Candidate(place, groups[place] if groups else f"g{place}", price, 0, verdict, True, price * 0.9999, price)
        for place, price in enumerate(prices)
    ]


def voted(prices: Sequence[float], groups: Sequence[str] = ()) -> Cohort:
    """The vote alone, without any filter before it."""
    accepted = said(prices, groups, Verdict.USED)
    return vote(accepted, accepted, RULES.index)


def judged(prices: Sequence[float], groups: Sequence[str] = ()) -> tuple[Cohort, list[Candidate]]:
    """The whole of sections 2 and 3 by an index that remembers nothing."""
    candidates = said(prices, groups)
    return hk1_index(candidates, Memory([Member() for _ in prices]), RULES, T0), candidates


@settings(max_examples=300)
@given(st.integers(3, 15), st.data())
def test_fewer_than_half_who_lie_never_leave_the_honest_range(n: int, data: st.DataObject) -> None:
    f = data.draw(st.integers(0, (n - 1) // 2))
    honest = data.draw(st.lists(PRICES, min_size=n - f, max_size=n - f))
    liars = data.draw(st.lists(ANYTHING, min_size=f, max_size=f))
    price = voted(data.draw(st.permutations(honest + liars))).price
    assert min(honest) <= price <= max(honest)
    if n % 2:
        ranked, k = sorted(honest), n // 2
        assert ranked[k - f] <= price <= ranked[k], "the sharper bound: by rank"


def test_half_who_lie_do_leave_it() -> None:
    assert voted([100.0, 100.0, 900.0, 900.0, 900.0]).price == 900.0


@settings(max_examples=200)
@given(st.integers(3, 12), st.data())
def test_the_outlier_filter_keeps_honest_sources_that_agree(n: int, data: st.DataObject) -> None:
    f = data.draw(st.integers(0, (n - 1) // 2))
    honest = data.draw(st.lists(st.floats(60_000.0, 60_590.0), min_size=n - f, max_size=n - f))
    liars = data.draw(st.lists(ANYTHING, min_size=f, max_size=f))
    cohort, candidates = judged(honest + liars)
    assert all(c.verdict is Verdict.USED for c in candidates[: n - f])
    assert min(honest) <= cohort.price <= max(honest)


@settings(max_examples=100)
@given(st.lists(PRICES, min_size=1, max_size=10), st.data())
def test_the_order_of_the_sources_means_nothing(prices: list[float], data: st.DataObject) -> None:
    owners = [f"g{data.draw(st.integers(0, 4))}" for _ in prices]
    order = data.draw(st.permutations(range(len(prices))))
    cohort, candidates = judged(prices, owners)
    shuffled, moved = judged([prices[i] for i in order], [owners[i] for i in order])
    assert cohort == shuffled
    assert [candidates[i].verdict for i in order] == [c.verdict for c in moved]


@settings(max_examples=100)
@given(st.lists(PRICES, min_size=1, max_size=10), st.integers(-20, 20))
def test_prices_in_another_unit_give_the_same_answer_in_that_unit(prices: list[float], power: int) -> None:
    scale = 2.0**power
    cohort, candidates = judged(prices)
    scaled, others = judged([price * scale for price in prices])
    assert scaled.price == cohort.price * scale
    assert (scaled.confidence, scaled.gap, scaled.breakdown_groups) == (
        cohort.confidence,
        cohort.gap,
        cohort.breakdown_groups,
    )
    assert [c.verdict for c in candidates] == [c.verdict for c in others]


@settings(max_examples=120)
@given(st.lists(st.floats(59_700.0, 60_300.0), min_size=1, max_size=6), st.sampled_from([5.0, 25.0, 100.0]))
def test_the_breakdown_is_what_trying_everything_finds(prices: list[float], bps: float) -> None:
    centre = statistics.median(prices)
    limit, least = centre * bps / BPS, len(prices)
    for places in (p for k in range(1, len(prices)) for p in combinations(range(len(prices)), k)):
        for lies in product((0.0, 1e12), repeat=len(places)):
            moved = statistics.median([dict(zip(places, lies, strict=True)).get(i, x) for i, x in enumerate(prices)])
            assume(abs(abs(moved - centre) - limit) > 1e-6)
            if abs(moved - centre) > limit:
                least = min(least, len(places))
    assert breakdown(sorted(prices), bps) == least


def test_one_honest_group_apart_costs_the_index_its_breakdown_point() -> None:
    assert breakdown([100.0] * 7, 25.0) == 4
    assert breakdown([100.0] * 4 + [101.0] * 3, 25.0) == 1, "one group that crosses the gap moves the median across it"


@settings(max_examples=100)
@given(st.lists(st.floats(59_700.0, 60_300.0), min_size=2, max_size=7), st.data())
def test_a_source_said_twice_by_its_owner_is_said_once(prices: list[float], data: st.DataObject) -> None:
    owners = [f"g{i}" for i in range(len(prices))]
    again = data.draw(st.lists(st.integers(0, len(prices) - 1), min_size=1, max_size=6))
    cohort, _ = judged(prices, owners)
    repeated, _ = judged([*prices, *(prices[i] for i in again)], [*owners, *(owners[i] for i in again)])
    assert repeated == cohort


@settings(max_examples=100)
@given(st.lists(st.tuples(PRICES, st.integers(0, 3)), min_size=1, max_size=12))
def test_many_sources_of_few_owners_are_few(sources: list[tuple[float, int]]) -> None:
    owners = [f"g{owner}" for _, owner in sources]
    cohort = voted([price for price, _ in sources], owners)
    assert len(cohort.groups) == cohort.n_anchored == len(set(owners))
    assert cohort.breakdown_groups <= len(set(owners))


def test_a_group_speaks_with_the_median_of_its_sources() -> None:
    assert group_prices(said([100.0, 104.0, 90.0, 101.0], ["a", "a", "b", "c"])) == [90.0, 101.0, 102.0]
    assert group_prices(said([3.0, 1.0, 2.0])) == [1.0, 2.0, 3.0]
    assert group_prices([]) == []


def test_nobody_votes() -> None:
    assert vote([], said([100.0]), RULES.index) == Cohort()
    assert Cohort().spread == 0.0


@given(st.lists(PRICES, min_size=2, max_size=12))
def test_confidence_is_the_wider_side_of_the_quartiles(prices: list[float]) -> None:
    cohort, centre = voted(prices), statistics.median(prices)
    low, _, high = statistics.quantiles(prices, n=4, method="inclusive")
    assert cohort.confidence == pytest.approx(max(high - centre, centre - low) / centre, abs=1e-12)
    assert cohort.spread == pytest.approx((max(prices) - min(prices)) / centre)


@pytest.mark.parametrize(
    ("prices", "gap"),
    [
        ([100.0], 0.0),
        ([100.0, 102.0], 2.0),
        ([100.0, 101.0, 104.0], 4.0),
        ([100.0, 101.0, 104.0, 110.0], 3.0),
        ([90.0, 100.0, 101.0, 104.0, 110.0], 4.0),
    ],
)
def test_the_gap_is_between_the_two_beside_the_median(prices: list[float], gap: float) -> None:
    assert voted(prices).gap == pytest.approx(gap / statistics.median(prices))


@pytest.mark.parametrize(
    ("prices", "out"),
    [
        ([100.0, 100.0, 100.0, 100.0, 100.99], []),  # the MAD is nothing, and the band is never narrower than 1 %
        ([100.0, 100.0, 100.0, 100.0, 101.01], [4]),
        ([94.0, 97.0, 100.0, 103.0, 106.0], [0, 4]),  # the MAD is 3 %, and the band is never wider than 5 %
        ([95.1, 97.0, 100.0, 103.0, 104.9], []),
        ([100.0, 150.0], []),  # of two nobody is right
    ],
)
def test_the_band_is_bounded_on_both_sides(prices: list[float], out: list[int]) -> None:
    _, candidates = judged(prices)
    assert [c.place for c in candidates if c.verdict is Verdict.OUTLIER] == out


@given(st.floats(-0.05, 0.05))
def test_within_the_bounds_the_band_follows_the_disagreement(offset: float) -> None:
    prices = [59_800.0, 59_900.0, 60_000.0, 60_100.0, 60_200.0, 60_000.0 * (1 + offset)]
    ordered, centre = sorted(prices), median(prices)
    band = mad_band(ordered, centre, RULES.index.outlier_mad_factor)
    assume(0.01 < band < 0.05)
    _, candidates = judged(prices)
    for c in candidates:
        assert (c.verdict is Verdict.OUTLIER) == (abs(c.price / centre - 1.0) > band)


def rejected_member(prices: Sequence[float]) -> list[Member]:
    """Memories of which the last source's is that it was rejected."""
    return [*(Member() for _ in prices[1:]), Member(rejected=True)]


def test_the_reference_does_not_depend_on_who_was_rejected_before() -> None:
    prices = [100.0, 100.0, 100.0, 103.0, 103.0]
    candidates = said(prices)
    judge_outliers(candidates, [Member(rejected=place < 3) for place in range(5)], RULES.index, T0)
    assert [c.verdict for c in candidates] == [*[Verdict.READMITTING] * 3, Verdict.OUTLIER, Verdict.OUTLIER]


def test_readmission_takes_its_time_to_the_nanosecond() -> None:
    prices = [100.0] * 4 + [100.5]
    members, wait_ns = rejected_member(prices), RULES.index.readmit_ms * MS
    for after_ns, verdict in ((0, Verdict.READMITTING), (wait_ns - 1, Verdict.READMITTING), (wait_ns, None)):
        candidates = said(prices)
        judge_outliers(candidates, members, RULES.index, T0 + after_ns)
        assert candidates[4].verdict is verdict
    assert members[4] == Member()


@pytest.mark.parametrize("between", [101.5, 100.51, None])
def test_whatever_breaks_readmission_begins_it_anew(between: float | None) -> None:
    """Outside the band; inside it, but not near; with no price at all."""
    prices = [100.0] * 4
    members = rejected_member([*prices, 100.5])
    wait_ns = RULES.index.readmit_ms * MS
    judge_outliers(said([*prices, 100.4]), members, RULES.index, T0)
    candidates = said(prices if between is None else [*prices, between])
    judge_outliers(candidates, members, RULES.index, T0 + MS)
    assert all(c.verdict is Verdict.OUTLIER for c in candidates[4:])
    for after_ns, verdict in ((wait_ns, Verdict.READMITTING), (2 * wait_ns, None)):
        candidates = said([*prices, 100.4])
        judge_outliers(candidates, members, RULES.index, T0 + after_ns)
        assert candidates[4].verdict is verdict


def test_with_fewer_than_three_groups_the_rejected_stay_so_and_nobody_joins_them() -> None:
    members = [Member(), Member(rejected=True, inside_since_ns=T0)]
    candidates = said([100.0, 200.0])
    judge_outliers(candidates, members, RULES.index, T0 + RULES.index.readmit_ms * MS)
    assert [c.verdict for c in candidates] == [None, Verdict.OUTLIER]
    judge_outliers([], [], RULES.index, T0)


def frozen_after(
    ms: int, others: float, mine: tuple[float, float] = (100.0, 100.1), start: float = 100.05
) -> Verdict | None:
    """The verdict on a source that stated a book, then another one `ms` later, while the others moved."""
    members = [Member() for _ in range(4)]

    def at(price: float, book: tuple[float, float]) -> list[Candidate]:
        rest = [Candidate(i, f"g{i}", price, 0, None, True, price, price + 0.1) for i in (1, 2, 3)]
        return [Candidate(0, "g0", sum(book) / 2, 0, None, True, *book), *rest]

    judge_frozen(at(start, (100.0, 100.1)), members, RULES.source, T0)
    later = at(others, mine)
    judge_frozen(later, members, RULES.source, T0 + ms * MS)
    assert all(c.verdict is None for c in later[1:])
    return later[0].verdict


@pytest.mark.parametrize(
    ("ms", "others", "mine", "verdict"),
    [
        (15_001, 100.2, (100.0, 100.1), Verdict.FROZEN),
        (15_000, 100.2, (100.0, 100.1), None),
        (15_001, 99.9, (100.0, 100.1), Verdict.FROZEN),
        (600_000, 100.15, (100.0, 100.1), None),  # the others hardly moved: it may be right
        (15_001, 100.2, (100.0, 100.11), None),
        (15_001, 100.2, (99.99, 100.1), None),
    ],
)
def test_a_book_that_stands_while_the_others_move_is_frozen(
    ms: int, others: float, mine: tuple[float, float], verdict: Verdict | None
) -> None:
    assert frozen_after(ms, others, mine) is verdict


@settings(max_examples=100)
@given(st.integers(3, 11), st.data())
def test_fewer_than_half_cannot_freeze_the_honest_whose_books_stand(n: int, data: st.DataObject) -> None:
    f = data.draw(st.integers(0, (n - 1) // 2))
    honest = data.draw(st.lists(st.floats(60_000.0, 60_050.0), min_size=n - f, max_size=n - f))
    members = [Member() for _ in range(n)]
    for round_ in range(3):
        candidates = said([*honest, *data.draw(st.lists(ANYTHING, min_size=f, max_size=f))])
        cohort = hk1_index(candidates, Memory(members), RULES, T0 + round_ * 20_000 * MS)
        assert min(honest) <= cohort.price <= max(honest)
        assert all(c.verdict is Verdict.USED for c in candidates[: n - f])


def test_alone_nobody_is_frozen() -> None:
    members = [Member(bid=1.0, ask=1.0, moved_ns=1, others_low=5.0, others_high=5.0)]
    alone = said([1.0])
    judge_frozen(alone, members, RULES.source, T0)
    assert alone[0].verdict is None


@pytest.mark.parametrize(("traded", "verdict"), [(2, Verdict.USED), (3, Verdict.UNANCHORED)])
def test_a_source_without_trades_is_unanchored_while_enough_peers_trade(traded: int, verdict: Verdict) -> None:
    candidates = said([100.0] * 6)
    for c in candidates[traded:]:
        c.traded = False
    judge_anchored(candidates, traded, RULES.source)
    assert [c.verdict for c in candidates] == [Verdict.USED] * traded + [verdict] * (6 - traded)
    assert vote(candidates, candidates, RULES.index).n_anchored == (6 if verdict is Verdict.USED else 3)


@pytest.mark.parametrize(("late", "split"), [(100.2, False), (100.3, True), (99.7, True)])
def test_those_who_are_merely_late_are_heard_when_they_disagree(late: float, split: bool) -> None:
    fresh = said([100.0] * 3, verdict=Verdict.USED)
    stale = [Candidate(i, f"g{i}", late, 4_000 * MS, Verdict.STALE, True, late, late) for i in range(3, 8)]
    cohort = vote(fresh, [*fresh, *stale], RULES.index)
    assert (cohort.price, cohort.cohort_split, cohort.oldest_ns) == (100.0, split, 0)
