"""A methodology is a module with these names; the shipped ones are, to the letter."""

from __future__ import annotations

import inspect
from typing import get_type_hints

import pytest

from oracle.core.method import Method
from oracle.core.params import Rules
from oracle.methods import hk1, load, shipped

HK1: Method = hk1  # the type checker holds a module to the protocol
FUNCTIONS = [name for name, member in vars(Method).items() if inspect.isfunction(member) and not name.startswith("_")]


def test_a_method_has_four_functions() -> None:
    assert FUNCTIONS == ["index", "mark", "sample", "fund"]


@pytest.mark.parametrize("name", shipped())
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_shipped_method_has_the_protocols_signatures(name: str, function: str) -> None:
    wanted, given = getattr(Method, function), getattr(load(name), function)
    assert list(inspect.signature(wanted).parameters)[1:] == list(inspect.signature(given).parameters)
    assert get_type_hints(wanted) == get_type_hints(given)


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_method_has_an_id_and_dated_sets_oldest_first(name: str) -> None:
    method = load(name)
    assert name == method.ID
    assert method.SETS
    assert all(isinstance(rules, Rules) for rules in method.SETS)
    dates = [rules.effective_ns for rules in method.SETS]
    assert dates == sorted(set(dates))
    assert len({rules.version for rules in method.SETS}) == len(method.SETS)
