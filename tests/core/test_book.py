"""A book of levels against the plainest model of one: a dict that is sorted whenever it is asked."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.core.book import Book, Levels

PRICE = st.integers(1, 12).map(float)
SIZE = st.integers(1, 9).map(float)
STEP = st.one_of(
    st.tuples(st.just("put"), PRICE, SIZE),
    st.tuples(st.just("remove"), PRICE, SIZE),
    st.tuples(st.just("keep"), st.integers(0, 8), SIZE),
    st.tuples(st.just("replace"), st.lists(st.tuples(PRICE, SIZE), max_size=6), SIZE),
)


@settings(max_examples=200, deadline=None)
@given(descending=st.booleans(), steps=st.lists(STEP, max_size=25))
def test_levels_do_as_the_model_does(descending: bool, steps: list[tuple[str, object, float]]) -> None:
    levels: Levels[float] = Levels(descending)
    model: dict[float, float] = {}
    for name, what, size in steps:
        if name == "put":
            assert isinstance(what, float)
            levels.put(what, size)
            model[what] = size
        elif name == "remove":
            assert isinstance(what, float)
            assert levels.remove(what) == (model.pop(what, None) is not None)
        elif name == "keep":
            assert isinstance(what, int)
            levels.keep(what)
            model = dict(ordered(model, descending)[:what])
        else:
            assert isinstance(what, list)
            levels.replace(what)
            model = dict(what)
        best_first = ordered(model, descending)
        assert len(levels) == len(model)
        assert levels.best() == (best_first[0] if best_first else None)
        for depth in (0, 1, 3, 50):
            assert levels.first(depth) == best_first[:depth]


def ordered(model: dict[float, float], descending: bool) -> list[tuple[float, float]]:
    return sorted(model.items(), reverse=descending)


@pytest.mark.parametrize("descending", [True, False])
def test_an_empty_side_has_no_best(descending: bool) -> None:
    levels: Levels[str] = Levels(descending)
    assert levels.best() is None
    assert levels.first(5) == []
    assert levels.remove(1.0) is False
    levels.keep(0)
    assert len(levels) == 0


def test_of_a_price_given_twice_the_last_counts() -> None:
    levels: Levels[str] = Levels(descending=False)
    levels.replace([(2.0, "a"), (1.0, "b"), (2.0, "c")])
    assert levels.first(5) == [(1.0, "b"), (2.0, "c")]


def test_a_crossed_book_stays_crossed() -> None:
    book: Book[float] = Book()
    book.bids.put(101.0, 1.0)
    book.bids.put(99.0, 1.0)
    book.asks.put(100.0, 2.0)
    book.asks.put(102.0, 2.0)
    assert book.bids.best() == (101.0, 1.0)
    assert book.asks.best() == (100.0, 2.0)
