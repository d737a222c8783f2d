"""Methods are found by their names, and a date finds its parameters."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
from msgspec import structs

from oracle.core.params import IndexInstrument, World
from oracle.methods import for_world, hk1, load, rules_at, shipped


def test_a_method_is_a_file_here_or_a_module_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load("hk1").SETS is hk1.SETS
    assert "hk1" in shipped()
    assert shipped() == sorted(shipped())
    elsewhere = ModuleType("somebody.method")
    monkeypatch.setitem(sys.modules, "somebody", ModuleType("somebody"))
    monkeypatch.setitem(sys.modules, "somebody.method", elsewhere)
    assert vars(load("somebody.method")) is vars(elsewhere)
    with pytest.raises(ModuleNotFoundError):
        load("hk0")


def test_the_set_in_force_is_the_newest_that_is_not_later() -> None:
    method = ModuleType("dated")
    dated = [structs.replace(hk1.SETS[0], effective_ns=date, version=f"1.{date}") for date in (100, 200, 300)]
    method.SETS = tuple(dated)  # type: ignore[attr-defined]
    for at_ns, place in ((0, 0), (99, 0), (100, 0), (199, 0), (200, 1), (300, 2), (10**19, 2)):
        assert rules_at(method, at_ns) is dated[place]


def test_a_world_is_given_every_method_it_names() -> None:
    instrument = IndexInstrument(
        id="BTC-USD",
        base="BTC",
        quote="USD",
        tier=1,
        price_decimals=2,
        sources=(),
        perp_sources=(),
        conversions={},
        method="hk1",
        rules=hk1.SETS[0],
    )
    world = World(methodology="", configuration_hash="", sources=(), indices=(instrument,), perps=())
    assert [method.ID for method in for_world(world).values()] == ["hk1"]
    assert for_world(structs.replace(world, indices=())) == {}
