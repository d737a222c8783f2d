"""Baskets: who is in them, at which price, with which weight, and what is said of their agreement."""

from __future__ import annotations

import pytest

from oracle.core import basket
from oracle.core.frame import INDEX_2026_11, SOURCE_2026_11
from oracle.core.index import Candidate, Cohort, Memory
from oracle.core.sources import new_source
from oracle.core.types import NANOS_PER_MS, Depth, Verdict


def candidate(venue: str, bid: float, ask: float, last: float = 0.0, rate: float = 1.0) -> Candidate:
    known = new_source(SOURCE_2026_11)
    known.bid, known.ask, known.last = bid, ask, last
    return Candidate(0, venue, (bid + ask) / 2 * rate, 7, None, True, bid, ask, venue, rate, known)


def test_the_price_a_constituent_states_is_the_methodologys_choice() -> None:
    c = candidate("a", 99.0, 101.0, 105.0, rate=2.0)
    assert (basket.mid_of(c), basket.last_of(c), basket.middle_of(c)) == (200.0, 210.0, 202.0)
    silent = candidate("a", 99.0, 101.0)
    assert basket.last_of(silent) == basket.middle_of(silent) == 100.0
    assert basket.known(c) is c.known


def test_a_venue_shares_its_weight_among_its_fresh_sources() -> None:
    voters = [candidate("a", 99, 101), candidate("a", 98, 102), candidate("b", 99, 101), candidate("c", 99, 101)]
    late = candidate("a", 99, 101)
    late.verdict = Verdict.STALE
    shut = candidate("d", 99, 101)
    shut.verdict = Verdict.CLOSED
    found = basket.parts([*voters, late, shut], {"a": 3.0, "b": 2.0, "d": 1.0})
    assert [part.weight for part in found] == [1.5, 1.5, 2.0, 1.0]
    assert [c.verdict for c in (*voters, late, shut)] == [
        Verdict.USED, Verdict.USED, Verdict.USED, Verdict.UNWEIGHTED, Verdict.STALE, Verdict.CLOSED,
    ]  # fmt: skip


def test_who_is_far_is_held_or_dropped() -> None:
    voters = [candidate("a", 99, 101), candidate("b", 119, 121), candidate("c", 79, 81)]
    found = basket.parts(voters, {}, otherwise=1.0)
    around = basket.centre(found)
    assert around == 100.0
    assert [part.price for part in basket.drop(found, around, 0.05)] == [100.0]
    assert [c.verdict for c in voters] == [Verdict.USED, Verdict.OUTLIER, Verdict.OUTLIER]
    basket.cap(found, around, 0.05)
    assert [part.price for part in found] == [100.0, 105.0, 95.0]
    assert [c.verdict for c in voters] == [Verdict.USED, Verdict.CAPPED, Verdict.CAPPED]


def test_the_outcome_is_judged_by_the_groups_that_were_averaged() -> None:
    voters = [candidate("a", 99, 101), candidate("b", 100, 102)]
    found = basket.parts(voters, {}, otherwise=1.0)
    found[1].price = 100.5
    made = basket.cohort(found, 100.25, INDEX_2026_11)
    assert (made.price, made.groups, made.n_anchored, made.oldest_ns) == (100.25, [100.0, 100.5], 2, 7)
    assert (made.low, made.high, made.closed) == (100.0, 100.5, False)
    assert made.confidence == pytest.approx(0.125 / 100.25)
    assert voters[1].price == 100.5, "from here on it is quoted at what it counted for"
    assert basket.cohort([], 0.0, INDEX_2026_11) == Cohort()


def test_a_basket_of_closed_markets_is_closed() -> None:
    shut = candidate("a", 99, 101)
    shut.verdict = Verdict.CLOSED
    found = basket.parts([shut], {}, otherwise=1.0)
    assert basket.cohort(found, 100.0, INDEX_2026_11).closed
    assert basket.pairs(found) == [(100.0, 1.0)]


def test_derived_market_prices_without_those_far_off_their_median() -> None:
    voters = [
        candidate("a", 99.0, 101.0, 100.5),
        candidate("b", 99.0, 101.0, 130.0),
        candidate("c", 105.9, 107.0),
        candidate("d", 99.0, 101.0),
    ]
    found = basket.middles(voters, {"a": 1.0, "b": 1.0, "c": 1.0}, 0.05)
    assert [part.price for part in found] == [100.5, 101.0]
    assert [c.verdict for c in voters] == [Verdict.USED, Verdict.USED, Verdict.OUTLIER, Verdict.UNWEIGHTED]
    assert basket.middles([], {}, 0.05) == []


def test_between_two_instants_of_the_grid_the_price_stands() -> None:
    memory, second = Memory([]), 1_000_000_000

    def vote(mid: float, ms: int) -> Cohort:
        found = basket.parts([candidate("a", mid - 1.0, mid + 1.0)], {"a": 1.0})
        return basket.standing(found, memory, INDEX_2026_11, 60 * second + ms * 1_000_000, 4_000)

    assert [vote(100.0 + ms / 1_000, ms).price for ms in (0, 3_999, 4_000, 7_000)] == [100.0, 100.0, 104.0, 104.0]
    held = vote(120.0, 7_999)
    assert (held.low, held.price, held.high) == (104.0, 104.0, 120.0)
    assert basket.standing([], memory, INDEX_2026_11, 68 * second, 4_000) == Cohort()
    assert vote(90.0, 7_999).price == 90.0


@pytest.mark.parametrize(
    ("bids", "asks", "found"),
    [
        ([], [(1.0, 1.0)], Verdict.ONE_SIDED),
        ([(1.0, 0.0)], [(2.0, 1.0)], Verdict.ONE_SIDED),
        ([(-1.0, 1.0)], [(2.0, 1.0)], Verdict.ONE_SIDED),
        ([(float("nan"), 1.0), (1.0, 1.0)], [(2.0, 1.0)], basket.Sides([(1.0, 1.0)], [(2.0, 1.0)])),
        ([(2.0, 1.0)], [(2.0, 1.0)], Verdict.CROSSED),
    ],
)
def test_a_book_is_sound_or_its_fault_is_named(bids, asks, found) -> None:  # type: ignore[no-untyped-def]
    assert basket.sound(bids, asks) == found


def test_a_book_is_the_depth_in_time_or_else_the_best_levels() -> None:
    c = candidate("a", 99.0, 101.0, rate=2.0)
    assert basket.sides_of(c, 10**18, 10_000) is Verdict.ONE_SIDED  # no size is stated
    known = basket.known(c)
    known.bid_size, known.ask_size = 3.0, 4.0
    top = basket.sides_of(c, 10**18, 10_000)
    assert top == basket.Sides([(198.0, 3.0)], [(202.0, 4.0)])
    assert isinstance(top, basket.Sides)
    assert top.mid == 200.0
    known.depth = Depth(0, ((98.0, 1.0), (97.0, 1.0)), ((100.0, 1.0),), 0, 10**18 - 10_000 * NANOS_PER_MS)
    assert basket.sides_of(c, 10**18, 10_000) == basket.Sides([(196.0, 1.0), (194.0, 1.0)], [(200.0, 1.0)])
    assert basket.sides_of(c, 10**18, 9_999) == top
    c.age_ns = 10_001 * NANOS_PER_MS
    assert basket.sides_of(c, 10**18 + NANOS_PER_MS, 10_000) is Verdict.STALE


def test_whoever_is_older_than_a_methodology_allows_is_late() -> None:
    voters = [candidate("a", 99, 101), candidate("b", 99, 101), candidate("c", 99, 101)]
    voters[1].age_ns, voters[2].age_ns = 1_000 * NANOS_PER_MS, 1_000 * NANOS_PER_MS + 1
    voters[0].verdict = Verdict.WIDE
    basket.late(voters, 1_000)
    assert [c.verdict for c in voters] == [Verdict.WIDE, None, Verdict.STALE]


def test_a_capped_mean_is_ftxs_printed_example() -> None:
    mids = (100.0, 100.1, 100.2, 100.3, 115.0)  # PUB-FTX-1: 30 bp around the median
    found = basket.parts([candidate(f"v{mid}", mid - 1.0, mid + 1.0) for mid in mids], {}, otherwise=0.2)
    assert basket.capped_mean(found, 0.003) == pytest.approx(100.22012, abs=1e-12)
    assert [part.who.verdict for part in found][-1] is Verdict.CAPPED


@pytest.mark.parametrize(("mids", "kept"), [((7.0,), [7.0]), ((7.0, 9.0), [7.0, 9.0]), ((9.0, 7.0, 8.0), [8.0]),
                                            ((5.0, 5.0, 5.0, 6.0, 4.0), [5.0, 5.0, 5.0])])  # fmt: skip
def test_the_lowest_and_the_highest_are_left_out(mids: tuple[float, ...], kept: list[float]) -> None:
    voters = [candidate(f"v{place}", mid - 1.0, mid + 1.0) for place, mid in enumerate(mids)]
    found = basket.parts(voters, {}, otherwise=1.0)
    assert [part.price for part in basket.drop_ends(found)] == kept
    assert sum(c.verdict is Verdict.OUTLIER for c in voters) == len(mids) - len(kept)


def test_of_equal_ends_the_names_decide_not_the_order() -> None:
    voters = [candidate(name, 99, 101) for name in "abcd"]
    for order in (voters, voters[::-1]):
        for c in order:
            c.verdict = None
        assert [part.who.venue for part in basket.drop_ends(basket.parts(order, {}, otherwise=1.0))] == ["b", "c"]


def test_a_liquidity_mid_is_converted() -> None:
    c = candidate("a", 100.0, 102.0, rate=2.0)
    basket.known(c).bid_size, basket.known(c).ask_size = 3.0, 1.0
    assert basket.liquidity_mid_of(c) == 203.0


def test_a_vote_by_the_plain_mean() -> None:
    found = basket.parts([candidate("a", 99, 101), candidate("b", 103, 105)], {"a": 3.0, "b": 1.0})
    assert basket.mean_vote(found, INDEX_2026_11).price == 101.0
    assert basket.mean_vote([], INDEX_2026_11) == Cohort()
