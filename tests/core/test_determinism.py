"""Equal states and equal beats give equal bytes, and what the engine keeps beside its state only saves work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.core.engine import Engine, decode_state, encode_state
from oracle.core.params import Role, Source, World
from oracle.core.types import (
    Action,
    Beat,
    BookTop,
    ClockReading,
    Command,
    Depth,
    Link,
    Observation,
    Side,
    State,
    Trade,
)
from oracle.core.wire import encode
from oracle.methods import for_world

Make = Callable[..., Any]
MS = 1_000_000
WAITS_MS = [0, 7, 130, 480, 1_000, 2_300, 9_000, 16_000]
STORIES = st.lists(
    st.tuples(
        st.sampled_from(WAITS_MS),
        st.lists(st.tuples(st.integers(0, 14), st.integers(0, 12), st.integers(-40, 40)), max_size=12),
    ),
    min_size=5,
    max_size=30,
)


def said(source: Source, kind: int, move: int, at_ns: int) -> Observation:
    """One of the things that may be heard of a source: mostly books, some trades, breaks, orders, clocks."""
    price = (1.0 if source.name.startswith("s") else 60_000.0) * (1 + move / 10_000)
    if kind == 0:
        return Link(source.id, move > 0, "", at_ns)
    if kind == 1:
        action = (Action.EXCLUDE, Action.INCLUDE, Action.SUSPEND, Action.UNSUSPEND)[move % 4]
        return Command(action, source.name if move % 4 < 2 else "BTC-USD", "officer", "drill", at_ns)
    if kind == 2:
        return ClockReading(move * 5 * MS, True, at_ns)
    if kind == 3 and source.role is Role.ENGINE:
        return Depth(source.id, ((price, 9.0),), ((price + 1, 9.0),), 0, at_ns)
    if kind <= 4:
        return Trade(source.id, price, 1.0, Side.BUY, 0, at_ns)
    venue_ns = at_ns - abs(move) * 60 * MS if kind == 5 else 0
    return BookTop(source.id, price * 0.9999, 1.0, price * 1.0001, 1.0, venue_ns, at_ns)


@pytest.fixture(scope="module")
def warm(rig: Make) -> tuple[World, bytes, int]:
    """A world, the state of an engine that has warmed up in it, and the time it is."""
    r = rig(groups=4, usdt=2)
    assert r.index().state is State.NORMAL
    return r.world, encode_state(r.engine.state), r.at_ns


@settings(max_examples=50, deadline=None)
@given(STORIES)
def test_an_engine_that_forgets_all_but_its_state_says_the_same(
    warm: tuple[World, bytes, int], story: list[tuple[int, list[tuple[int, int, int]]]]
) -> None:
    world, state, at_ns = warm
    methods = for_world(world)
    one = Engine(world, methods, decode_state(state))
    for wait, events in story:
        at_ns += wait * MS
        seen = tuple(
            said(world.sources[source % len(world.sources)], kind, move, at_ns) for source, kind, move in events
        )
        beat = Beat(one.state.seq + 1, at_ns, seen, 0)
        twin = Engine(world, methods, decode_state(state))
        assert encode(twin.step(beat)) == encode(one.step(beat))
        state = encode_state(one.state)
        assert encode_state(twin.state) == state


def test_a_snapshot_continues_byte_for_byte(rig: Make) -> None:
    r = rig(groups=5, usdt=3)
    twin = Engine(r.world, for_world(r.world), decode_state(encode_state(r.engine.state)))
    for step in range(300):
        r.prices["v0"] = 60_000.0 + step
        r.at_ns += 70 * MS
        beat = Beat(r.seq + 1 + step, r.at_ns, tuple(r.observations()), 0)
        assert encode(r.engine.step(beat).values) == encode(twin.step(beat).values)
    assert encode_state(r.engine.state) == encode_state(twin.state)
