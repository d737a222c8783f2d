"""Laws of the engine under every dated set of every methodology: it runs, it is recovered from its state, it never
raises, whatever the platform's market states within what a market can have."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from oracle.core import wire
from oracle.core.engine import Engine, decode_state, encode_state
from oracle.core.funding import start_of_interval
from oracle.core.params import Leg, Rules, World
from oracle.core.types import (
    NANOS_PER_MS,
    BookTop,
    Depth,
    FundingRate,
    IndexValue,
    MarkPrice,
    Observation,
    Reason,
    Side,
    Tick,
    Trade,
)
from oracle.methods import for_world
from tests.core.rig import ENGINE, START_NS, Rig, make_world
from tests.methods.cases import COMPOSITE, EVERYTHING, PERPS, venues

BEAT_MS = 500
RATIO = "BTC-USDT"


def world(method: Any, rules: Rules) -> World:
    """Eight venues and two outside perpetuals by names that the set knows; a composite is made of two indices."""
    made = make_world(8, rules, usdt=int(method.ID == COMPOSITE), method=method.ID)
    named = {f"g{place}": name for place, name in enumerate(venues(rules, 8))}
    named |= {"q0": "binance", "q1": "okx"}
    made = replace(made, sources=tuple(replace(s, venue=named.get(s.group, s.venue)) for s in made.sources))
    if method.ID != COMPOSITE:
        return made
    usdt, btc = [replace(index, method="hk1") for index in made.indices]
    btc = replace(btc, sources=btc.sources[:8], conversions={})
    legs = (Leg("BTC-USD"), Leg("USDT-USD", inverse=True))
    ratio = replace(btc, id=RATIO, sources=(), perp_sources=(), legs=legs, method=COMPOSITE)
    sources = tuple(source for source in made.sources if source.quote == "USD")
    places = {source.id: place for place, source in enumerate(sources)}
    usdt, btc = [replace(i, sources=tuple(places[s] for s in i.sources),
                         perp_sources=tuple(places[s] for s in i.perp_sources)) for i in (usdt, btc)]  # fmt: skip
    perp = replace(made.perps[0], index=RATIO, engine_source=places[made.perps[0].engine_source])
    return replace(
        made,
        sources=tuple(replace(source, id=places[source.id]) for source in sources),
        indices=(usdt, btc, ratio),
        perps=(perp,),
    )


def moved(rig: Rig, random: Random, seconds: int) -> list[Tick]:
    """Beats in which every venue and the platform agree but for a few basis points, and wander together."""
    ticks = []
    for _ in range(seconds * 1_000 // BEAT_MS):
        level = 60_000.0 * (1.0 + 0.0005 * random.random())
        rig.quote_all(level, spread=2.0 + 4.0 * random.random())
        rig.engine_price = level * (1.0 + 0.0004 * (random.random() - 0.3))
        ticks.append(rig.beat(BEAT_MS))
    return ticks


def begun(method: Any, rules: Rules) -> Rig:
    """A rig three quarters of a minute before an interval of the methodology ends."""
    rig = Rig(world(method, rules))
    ends_ns = start_of_interval(START_NS, rules.funding) + rules.funding.interval_ms * NANOS_PER_MS
    rig.at_ns = ends_ns - 45_000 * NANOS_PER_MS
    return rig


@pytest.mark.parametrize(("method", "rules"), EVERYTHING)
def test_it_runs_and_is_recovered_in_the_midst_of_it(method: Any, rules: Rules) -> None:
    first = begun(method, rules)
    ticks = moved(first, Random(1), 30)
    state = encode_state(first.engine.state)
    second = Rig(first.world)
    second.engine = Engine(first.world, for_world(first.world), decode_state(state))
    second.at_ns, second.seq = first.at_ns, first.seq
    assert encode_state(second.engine.state) == state
    for _ in range(2):  # over the settlement, and on
        after, recovered = [moved(rig, Random(2), 20) for rig in (first, second)]
        assert [tick.values for tick in recovered] == [tick.values for tick in after]
        assert encode_state(first.engine.state) == encode_state(second.engine.state)
        ticks += after
    values = [value for tick in ticks for value in tick.values]
    assert wire.decode_values(wire.encode(tuple(values))) == tuple(values)
    assert not [value for value in values if isinstance(value, IndexValue) and Reason.INVARIANT in value.reasons]
    assert [value for value in values if isinstance(value, FundingRate) and value.final]
    shown = [value for value in values if isinstance(value, IndexValue) and value.price is not None]
    assert {value.instrument for value in shown} == {index.id for index in first.world.indices}
    marks = [value.price for value in values if isinstance(value, MarkPrice) and value.price is not None]
    assert len(marks) > 60
    assert all(mark % 10 == 0 and abs(mark / 6_000_000 - 1.0) < 0.003 for mark in marks)


def said(random: Random, source: int, at_ns: int) -> list[Observation]:
    """What a platform's feed may let through: a book, a depth and a trade, of any price and size there can be."""

    def price() -> float:
        return random.uniform(59_900.0, 60_100.0) if random.random() < 0.6 else 10.0 ** random.uniform(-18.0, 14.9)

    sides = [
        sorted((price(), 10.0 ** random.uniform(-18.0, 17.9)) for _ in range(random.randint(0, 3))) for _ in range(2)
    ]
    bid, bid_size = sides[0][-1] if sides[0] else (0.0, 0.0)
    ask, ask_size = sides[1][0] if sides[1] else (0.0, 0.0)
    return [
        Depth(source, tuple(sides[0][::-1]), tuple(sides[1]), at_ns, at_ns),
        BookTop(source, bid, bid_size, ask, ask_size, at_ns, at_ns),
        Trade(source, price(), 1.0, Side.SELL, at_ns, at_ns),
    ]


@pytest.mark.parametrize(("method", "rules"), PERPS)
@settings(max_examples=8)
@given(seed=st.integers(0, 2**32 - 1))
def test_nothing_that_the_platform_says_stops_it(method: Any, rules: Rules, seed: int) -> None:
    random, rig = Random(seed), begun(method, rules)
    moved(rig, random, 22)
    rig.engine_price = None
    for _ in range(5):
        ms = random.choice((100, 900, 5_000, 65_000))
        tick = rig.beat(ms, said(random, rig.ids[f"engine:{ENGINE}"], rig.at_ns + ms * NANOS_PER_MS))
        assert wire.decode_values(wire.encode(tick.values)) == tick.values
        state = encode_state(rig.engine.state)
        assert encode_state(decode_state(state)) == state
