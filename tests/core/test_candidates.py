"""Sources as an index meets them: renamed, not yet listed, another asset's, stated by an authority, or made of legs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec import structs

from oracle.core.engine import Engine
from oracle.core.params import Leg, Role, World
from oracle.core.types import Action, Beat, Command, Reason, State, Ticker, TickerKind, Verdict
from oracle.methods import for_world
from tests.core.rig import START_NS, Rig

S = 10**9
Make = Callable[..., Rig]


def with_source(world: World, name: str, **changed: object) -> World:
    sources = tuple(structs.replace(s, **changed) if s.name == name else s for s in world.sources)
    return structs.replace(world, sources=sources)


def running(world: World, price: float = 60_000.0) -> Rig:
    made = Rig(world)
    made.quote_all(price)
    made.run(25)
    return made


def verdict(rig: Rig, place: int) -> Verdict:
    return rig.engine.state.indices[0].memory.members[place].verdict


@pytest.mark.parametrize("factor", [1e-4, 1e4, 0.0999, 10.1])
def test_another_assets_price_is_quarantined_at_once_and_until_an_operator_includes_it(
    worlds: Callable[..., World], factor: float
) -> None:
    rig = running(worlds(6))
    before = rig.index().price
    rig.prices["v0"] = 60_000.0 * factor
    rig.beat()
    assert verdict(rig, 0) is Verdict.QUARANTINED
    assert rig.index().price == pytest.approx(before, rel=1e-4)
    assert rig.index().state is State.NORMAL
    rig.prices["v0"] = 60_000.0
    rig.run(120)
    assert verdict(rig, 0) is Verdict.QUARANTINED, "the symbol may mean anything now"
    rig.beat(extra=[Command(Action.INCLUDE, "v0", "officer", "checked", rig.at_ns)])
    rig.beat()
    assert verdict(rig, 0) is Verdict.USED


def test_a_crash_of_everything_is_no_mistaken_identity(worlds: Callable[..., World]) -> None:
    rig = running(worlds(6))
    rig.quote_all(5_000.0)
    rig.beat()
    assert [verdict(rig, place) for place in range(6)] == [Verdict.USED] * 6
    assert Reason.JUMP in rig.index().reasons


def test_two_sources_cannot_say_which_of_them_is_the_other_asset(worlds: Callable[..., World]) -> None:
    rig = Rig(worlds(2))
    rig.prices = {"v0": 60_000.0, "v1": 6.0}
    rig.run(2)
    assert Verdict.QUARANTINED not in [verdict(rig, place) for place in range(2)]


def test_a_rename_with_a_ratio_changes_nothing_at_its_instant(worlds: Callable[..., World]) -> None:
    change = START_NS + 30 * S
    world = with_source(worlds(6), "v0", valid_to_ns=change)
    world = with_source(world, "v1", valid_from_ns=change, ratio=1_000.0)
    rig = running(world)
    rig.prices["v1"] = 60.0
    rig.beat()
    assert (verdict(rig, 0), verdict(rig, 1)) == (Verdict.USED, Verdict.NOT_LISTED)
    rig.run(10)
    assert rig.at_ns > change
    assert (verdict(rig, 0), verdict(rig, 1)) == (Verdict.NOT_LISTED, Verdict.USED)
    assert rig.index().price == pytest.approx(6_000_000, rel=1e-4)
    quote = rig.beat().quotes["BTC-USD"][1]
    assert quote.price == pytest.approx(60_000.0, rel=1e-9)


def test_an_outside_perpetual_that_is_not_listed_implies_nothing(worlds: Callable[..., World]) -> None:
    rig = running(with_source(worlds(6), "p0", valid_from_ns=START_NS + 3_600 * S))
    assert [price > 0.0 for price in rig.engine.state.indices[0].perps_then] == [False, True]


def reference_world(worlds: Callable[..., World], calendar: str) -> World:
    """BTC-USD whose first source is an authority's rate, good for ten minutes of open market."""
    return with_source(worlds(6), "v0", role=Role.REFERENCE, age_ms_max=600_000, calendar=calendar)


@pytest.mark.parametrize(("calendar", "after_s", "expected"), [("fx", 601, Verdict.STALE), ("fx", 599, Verdict.USED)])
def test_a_stated_rate_ages_by_its_own_time(
    worlds: Callable[..., World], calendar: str, after_s: int, expected: Verdict
) -> None:
    world = reference_world(worlds, calendar)
    rig = Rig(world)
    rig.quote_all(60_000.0)
    rig.prices["v0"] = None
    rate = Ticker(0, TickerKind.REFERENCE, 60_010.0, START_NS, START_NS + S)
    rig.beat(1_000, extra=[rate])
    assert verdict(rig, 0) is Verdict.USED
    rig.beat(after_s * 1_000 - 1_000)
    assert verdict(rig, 0) is expected


def test_a_closed_market_is_not_stale(worlds: Callable[..., World]) -> None:
    """START_NS is a Tuesday; the next Friday the market closes at 22:00 and the rate of 21:59 stands."""
    close = START_NS // (86_400 * S) * 86_400 * S + (3 * 24 + 22) * 3_600 * S
    rig = Rig(reference_world(worlds, "fx"))
    rig.at_ns = close - 60 * S
    rig.quote_all(60_000.0)
    rig.prices["v0"] = None
    rig.beat(1_000, extra=[Ticker(0, TickerKind.REFERENCE, 60_010.0, rig.at_ns, rig.at_ns)])
    rig.beat(3_600_000)
    assert verdict(rig, 0) is Verdict.UNANCHORED or rig.engine.state.sources[0].last == 60_010.0
    found = rig.beat(1_000).quotes["BTC-USD"][0]
    assert found.price == 60_010.0
    rig.beat(1_000, extra=[Command(Action.EXCLUDE, "v0", "officer", "", rig.at_ns)])
    rig.beat(1_000)
    assert verdict(rig, 0) is Verdict.EXCLUDED


def test_an_authority_that_has_said_nothing_has_no_price(worlds: Callable[..., World]) -> None:
    rig = Rig(reference_world(worlds, "target"))
    rig.quote_all(60_000.0)
    rig.prices["v0"] = None
    rig.run(2)
    assert verdict(rig, 0) is Verdict.NO_PRICE


def test_an_index_of_legs_follows_them(worlds: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    from types import ModuleType

    from oracle.core.composite import product
    from oracle.methods import hk1

    method = ModuleType("ratio_of_tests")
    method.__dict__.update(
        ID="ratio_of_tests", OWN=None, READS=(), SETS=hk1.SETS,
        index=lambda candidates, memory, rules, at_ns: product(candidates, 1_000),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "somewhere", ModuleType("somewhere"))
    monkeypatch.setitem(sys.modules, "somewhere.ratio", method)
    world = worlds(6, usdt=3)
    btc = world.indices[1]
    cross = structs.replace(
        btc, id="BTC-USDT", quote="USDT", sources=(), perp_sources=(), conversions={}, method="somewhere.ratio",
        legs=(Leg("BTC-USD"), Leg("USDT-USD", inverse=True)),
    )  # fmt: skip
    world = structs.replace(world, indices=(*world.indices, cross))
    rig = Rig(world)
    rig.engine = Engine(world, for_world(world))
    rig.quote_all(60_000.0)
    rig.run(45)
    made, legs = rig.index("BTC-USDT"), (rig.index(), rig.index("USDT-USD"))
    assert (made.state, made.n_groups) == (State.NORMAL, 4)
    assert made.price == pytest.approx((legs[0].price or 0) / (legs[1].price or 1) * 1e6, abs=1)
    for name in [f"s{n}" for n in range(4)]:
        rig.prices[name] = None
    rig.run(12)
    assert rig.index("BTC-USDT").state is State.LAST_GOOD
    assert Reason.LEG_UNUSABLE in rig.index("BTC-USDT").reasons
    assert rig.engine.step(Beat(rig.seq + 1, rig.at_ns, (), 0)).values == ()


def test_an_index_quarantines_for_itself_alone(worlds: Callable[..., World]) -> None:
    world = worlds(6)
    strict = structs.replace(
        world.indices[0].rules, source=structs.replace(world.indices[0].rules.source, identity_ratio_max=2.0)
    )
    world = structs.replace(world, indices=(*world.indices, structs.replace(world.indices[0], id="T", rules=strict)))
    rig = running(world)
    rig.prices["v0"] = 60_000.0 * 3.0
    rig.beat()
    seen = [index.memory.members[0].verdict for index in rig.engine.state.indices]
    assert seen == [Verdict.OUTLIER, Verdict.QUARANTINED]


def test_a_symbol_counts_from_its_first_instant_without_a_new_word(worlds: Callable[..., World]) -> None:
    begins = START_NS + 30 * S
    rig = running(with_source(worlds(6), "v0", valid_from_ns=begins))
    rig.at_ns = begins - 200_000_000
    rig.beat(100)
    assert verdict(rig, 0) is Verdict.NOT_LISTED
    rig.beat(150, quiet=True)
    assert verdict(rig, 0) is Verdict.USED
    assert rig.index().n_groups == 6
