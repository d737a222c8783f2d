"""A methodology is a module with these names; the shipped ones are, to the letter."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import get_type_hints

import msgspec
import pytest

from oracle.core.method import Described, IndexMethod, PerpMethod, funds, makes_index, typed
from oracle.core.params import Rules
from oracle.methods import hk1, load, shipped

HK1_INDEX: IndexMethod = hk1  # the type checker holds a module to the protocol
HK1_PERP: PerpMethod = hk1


def functions(protocol: type) -> list[str]:
    return [name for name, member in vars(protocol).items() if inspect.isfunction(member) and not name.startswith("_")]


def promised(method: Described) -> list[tuple[str, Callable[..., object]]]:
    """The functions of the protocols that a methodology takes on, each with the protocol's own."""
    taken = [protocol for protocol, yes in ((IndexMethod, makes_index(method)), (PerpMethod, funds(method))) if yes]
    return [(name, getattr(protocol, name)) for protocol in taken for name in functions(protocol)]


def test_a_method_makes_an_index_with_one_function_and_a_perpetual_with_five() -> None:
    assert functions(IndexMethod) == ["index"]
    assert functions(PerpMethod) == ["mark", "sample", "accrue", "fund", "rate"]


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_method_has_the_protocols_signatures(name: str) -> None:
    method = load(name)
    for function, wanted in promised(method):
        given = getattr(method, function)
        assert list(inspect.signature(wanted).parameters)[1:] == list(inspect.signature(given).parameters), function
        assert get_type_hints(wanted) == get_type_hints(given), function


@pytest.mark.parametrize("name", shipped())
def test_own_parameters_survive_being_written_down(name: str) -> None:
    method = load(name)
    for rules in method.SETS:
        assert isinstance(rules.own, method.OWN or type(None))
        read = msgspec.json.decode(msgspec.json.encode(rules), type=Rules)
        assert typed(read, method) == rules


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_method_has_an_id_and_dated_sets_oldest_first(name: str) -> None:
    method = load(name)
    assert name == method.ID
    assert method.SETS
    assert all(isinstance(rules, Rules) for rules in method.SETS)
    dates = [rules.effective_ns for rules in method.SETS]
    assert dates == sorted(set(dates))
    assert len({rules.version for rules in method.SETS}) == len(method.SETS)
