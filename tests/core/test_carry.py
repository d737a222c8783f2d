"""A new configuration keeps what was published and the samples taken under its own rules, and nothing inferred."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from oracle.core.carry import carried
from oracle.core.engine import Engine, new_state
from oracle.core.params import World
from oracle.core.types import Action, Beat, Command, State
from oracle.methods import for_world

Make = Callable[..., Any]


def with_index(world: World, **changed: Any) -> World:
    return structs.replace(world, indices=(structs.replace(world.indices[0], **changed),))


def with_perp(world: World, **changed: Any) -> World:
    return structs.replace(world, perps=(structs.replace(world.perps[0], **changed),))


def test_the_same_world_keeps_everything(rig: Make) -> None:
    r = rig()
    assert carried(r.world, r.engine.state, r.world) is r.engine.state


def test_a_new_source_keeps_what_was_published_and_nothing_inferred(rig: Make, worlds: Make) -> None:
    r = rig()
    r.beat(extra=[Command(Action.EXCLUDE, "v2", "officer", "drill", r.at_ns)])
    r.beat(extra=[Command(Action.SUSPEND, "BTC-USD", "platform", "drill", r.at_ns)])
    before, after = r.engine.state, worlds(7)
    state = carried(r.world, before, after)
    assert (state.seq, state.at_ns) == (before.seq, before.at_ns)
    was, now = before.indices[0], state.indices[0]
    assert (now.seq, now.last_good, now.last_good_value, now.last_good_ns) == (
        was.seq,
        was.last_good,
        was.last_good_value,
        was.last_good_ns,
    )
    assert now.rung.suspended
    assert (now.units, len(now.memory.members), now.perps_then) == (None, 7, [0.0, 0.0])
    assert state.perps[0].seq == before.perps[0].seq
    assert state.perps[0].funding == before.perps[0].funding
    assert (state.perps[0].depth, state.perps[0].mark.units) == (None, None)
    excluded = [source.name for source, memory in zip(after.sources, state.sources, strict=True) if memory.excluded]
    assert excluded == ["v2"]
    assert all(source.stated_ns == 0 for source in state.sources)


def test_a_service_goes_on_from_what_was_carried(rig: Make, worlds: Make) -> None:
    r = rig()
    seq, at_ns, world = r.index().seq, r.at_ns, worlds(7)
    r.world = world
    r.engine = Engine(world, for_world(world), carried(rig(warm=False).world, r.engine.state, world))
    r.ids = {source.name: source.id for source in world.sources}
    r.engine.step(Beat(r.seq + 1, at_ns, (Command(Action.START, "*", "service", "boot", at_ns),), 0))
    r.seq += 1
    r.quote_all(60_000.0)
    r.run(9)
    assert (r.index().state, r.index().price) == (State.WARMING, None)
    assert r.index().last_good == pytest.approx(6_000_000, rel=1e-4)
    r.run(2)
    assert r.index().state is State.NORMAL
    assert r.index().seq == seq + 1 + 110


def test_another_scale_keeps_the_sequence_and_not_the_price(rig: Make) -> None:
    r = rig()
    state = carried(r.world, r.engine.state, with_index(r.world, price_decimals=1))
    assert (state.indices[0].seq, state.indices[0].last_good) == (r.index().seq, None)


def test_samples_are_not_inherited_by_other_rules(rig: Make) -> None:
    r = rig()
    rules = r.world.perps[0].rules
    before = r.engine.state.perps[0]
    other = structs.replace(rules, funding=structs.replace(rules.funding, impact_notional=10_000.0))
    for after in (with_perp(r.world, rules=other), with_perp(r.world, method="hk2")):
        now = carried(r.world, r.engine.state, after).perps[0]
        assert (now.seq, now.funding.samples) == (before.seq, 0)
    same = with_perp(r.world, rules=structs.replace(rules, mark=structs.replace(rules.mark, band_bps=300.0)))
    assert carried(r.world, r.engine.state, same).perps[0].funding == before.funding


def test_a_new_instrument_begins_as_new(rig: Make) -> None:
    r = rig()
    after = with_perp(with_index(r.world, id="ETH-USD"), id="ETH-USD-PERP", index="ETH-USD")
    state, fresh = carried(r.world, r.engine.state, after), new_state(after)
    assert state.indices == fresh.indices
    assert state.perps == fresh.perps
