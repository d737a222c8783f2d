"""The weighted median as a methodology: weights by venue, the tie rule, nobody without a weight."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from oracle.core.index import Cohort
from oracle.core.types import State, Verdict
from oracle.methods.weighted_median import SETS, Own, index

AT = 10**18


def rules(**own: object):  # type: ignore[no-untyped-def]
    return replace(SETS[0], own=Own(**own))  # type: ignore[arg-type]


def test_half_of_the_weight_decides(basket) -> None:  # type: ignore[no-untyped-def]
    for weights, price in (({"a": 5.0}, 100.0), ({}, 101.0), ({"c": 3.0}, 102.0)):
        candidates, memory = basket({"a": 100.0, "b": 101.0, "c": 102.0})
        assert index(candidates, memory, rules(weights=weights), AT).price == price


@pytest.mark.parametrize(("tie", "price"), [("lower", 100.0), ("mean", 100.5)])
def test_a_tie_is_settled_as_the_parameter_says(basket, tie: str, price: float) -> None:  # type: ignore[no-untyped-def]
    candidates, memory = basket({"a": 100.0, "b": 101.0})
    assert index(candidates, memory, rules(tie=tie), AT).price == price


def test_without_weight_nobody_votes(basket) -> None:  # type: ignore[no-untyped-def]
    candidates, memory = basket({"a": 100.0, "b": 101.0})
    assert index(candidates, memory, rules(weights={"b": 0.0}), AT).price == 100.0
    assert [c.verdict for c in candidates] == [Verdict.USED, Verdict.UNWEIGHTED]
    assert index([], memory, rules(), AT) == Cohort()


@given(st.lists(st.floats(59_000, 61_000), min_size=1, max_size=9), st.randoms())
def test_order_means_nothing_and_the_price_is_somebodys(basket, prices, random) -> None:  # type: ignore[no-untyped-def]
    named = {f"v{n}": price for n, price in enumerate(prices)}
    weights = {name: float(random.randint(1, 9)) for name in named}
    shuffled = dict(random.sample(sorted(named.items()), len(named)))
    first, memory = basket(named)
    again, _ = basket(shuffled)
    price = index(first, memory, rules(weights=weights), AT).price
    assert price == index(again, memory, rules(weights=weights), AT).price
    assert price in [c.price for c in first]


def test_it_can_be_selected(rig) -> None:  # type: ignore[no-untyped-def]
    running = rig("weighted_median", SETS[0])
    assert running.index().state is State.NORMAL
    assert running.index().price == 5_999_880  # the lower of the two beside the gap
