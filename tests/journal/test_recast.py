"""A world judged by another methodology: conversions stay, and nobody is asked for constituents that are not there."""

from __future__ import annotations

from msgspec.structs import replace

from oracle.core.params import Leg, World
from oracle.journal.recast import left_out, under
from tests.core.rig import make_world

AT = 1_800_000_000 * 10**9


def renamed(world: World, names: list[str]) -> World:
    """The world with its first sources at these venues."""
    sources = [replace(s, venue=names[s.id]) if s.id < len(names) else s for s in world.sources]
    return replace(world, sources=tuple(sources))


def test_conversions_and_composites_keep_their_methodology() -> None:
    world = make_world(6, usdt=3)
    cross = replace(world.indices[1], id="X", legs=(Leg("BTC-USD"),), sources=(), perp_sources=(), conversions={})
    world = replace(world, indices=(*world.indices, cross))
    made = under(world, "weighted_median", AT)
    assert [i.method for i in made.indices] == ["hk1", "weighted_median", "hk1"]
    assert [p.method for p in made.perps] == ["hk1"], "it funds nothing"
    assert made.methodology == "weighted_median"


def test_no_more_owners_are_asked_for_than_have_a_weight() -> None:
    world = renamed(make_world(6), ["kraken", "okx", "nobody", "noone", "none", "nil"])
    made = under(world, "hyperliquid", AT)
    [index] = made.indices
    assert (index.rules.ladder.groups_normal_min, index.rules.ladder.groups_degraded_min) == (2, 2)
    assert left_out(world, "hyperliquid", AT) == {"BTC-USD": ["nobody", "noone", "none", "nil"]}
    assert left_out(world, "hk1", AT) == {}


def test_its_own_world_is_left_as_it_is() -> None:
    world = make_world(6)
    assert under(world, "hk1", AT).indices == world.indices
