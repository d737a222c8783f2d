"""The world is a pure function of seed, start and script; each trouble of a script shows in what is stated."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from itertools import pairwise
from statistics import median
from typing import TypeVar

import pytest

from oracle.core import wire
from oracle.core.params import Role
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Action, BookTop, Command, Depth, Liquidation, Side, Trade
from oracle.simulator.faults import CALM, Episode, Kind, Script
from oracle.simulator.markets import MARKETS
from oracle.simulator.story import DEMO
from oracle.simulator.world import DEPTH_LEVELS, START_PRICES, Said, World

T = TypeVar("T")
START = 1_700_000_000 * NANOS_PER_S


def digest(seed: int, seconds: int, step_ms: int) -> str:
    world, made = World(seed, START, DEMO), hashlib.sha256()
    for at_ms in range(step_ms, seconds * 1_000 + 1, step_ms):
        for said in world.step(START + at_ms * NANOS_PER_MS):
            made.update(wire.encode(said.fact))
    return made.hexdigest()


def stated(script: Script, seconds: float, seed: int = 3) -> list[Said]:
    return World(seed, START, script).step(START + int(seconds * NANOS_PER_S))


def of(said: list[Said], key: str, kind: type[T]) -> list[T]:
    return [s.fact for s in said if s.market.key == key and isinstance(s.fact, kind)]


def mid(top: BookTop) -> float:
    return (top.bid + top.ask) / 2


def during(kind: Kind, target: str, amount: float = 0.0) -> Script:
    """Between the second and the fourth second."""
    return Script((Episode(at_ms=2_000, lasts_ms=2_000, kind=kind, target=target, amount=amount),))


def elapsed_s(fact: BookTop | Trade) -> float:
    return (fact.venue_ns - START) / NANOS_PER_S


def test_the_same_seed_gives_the_same_facts_however_far_a_step_goes() -> None:
    assert digest(1, 6, 10) == digest(1, 6, 2_000)
    assert digest(1, 6, 2_000) != digest(2, 6, 2_000)


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_the_same_seed_gives_the_same_facts_under_any_hash_seed(hash_seed: str) -> None:
    program = (
        "import hashlib; from oracle.core import wire; from oracle.simulator.world import World\n"
        "from oracle.simulator.story import DEMO\n"
        f"world, made = World(1, {START}, DEMO), hashlib.sha256()\n"
        f"for said in world.step({START + 6 * NANOS_PER_S}): made.update(wire.encode(said.fact))\n"
        "print(made.hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == digest(1, 6, 6_000)


def test_time_goes_forward_in_whole_milliseconds_and_nothing_is_said_twice() -> None:
    world = World(5, START)
    first, second = world.step(START + NANOS_PER_S), world.step(START + 2 * NANOS_PER_S)
    times = [s.fact.venue_ns for s in first + second if not isinstance(s.fact, Command)]
    assert times == sorted(times)
    assert all(START <= t <= START + 2 * NANOS_PER_S and t % NANOS_PER_MS == 0 for t in times)
    assert world.step(START + 2 * NANOS_PER_S) == []
    assert first + second == stated(CALM, 2.0, seed=5)


def test_calm_markets_agree_and_are_never_crossed() -> None:
    said = stated(CALM, 20.0)
    tops = [(s.market, s.fact) for s in said if isinstance(s.fact, BookTop)]
    assert all(0 < top.bid < top.ask and top.bid_size > 0 < top.ask_size for _, top in tops)
    for asset in ("BTC", "ETH"):
        mids = [median(map(mid, of(said, m.key, BookTop))) for m in MARKETS if m.asset == asset]
        assert max(mids) / min(mids) - 1 < 0.0025
        assert median(mids) == pytest.approx(START_PRICES[asset], rel=0.01)
    for asset in ("USDT", "USDC"):
        assert median(mid(top) for market, top in tops if market.asset == asset) == pytest.approx(1.0, abs=0.001)


def test_markets_keep_their_pace() -> None:
    said = stated(CALM, 30.0)
    btc = of(said, "kraken/spot/BTC", BookTop)
    assert len(btc) == pytest.approx(300, rel=0.1)
    assert len(of(said, "kraken/spot/BTC", Trade)) == pytest.approx(60, rel=0.2)
    gaps = [b.venue_ns - a.venue_ns for a, b in pairwise(btc)]
    assert max(gaps) < NANOS_PER_S / 2


def test_trades_happen_at_the_bid_or_the_ask() -> None:
    for trade in of(stated(CALM, 10.0), "okx/spot/BTC", Trade):
        assert trade.side in (Side.BUY, Side.SELL)
        assert trade.size > 0
        assert trade.price == pytest.approx(START_PRICES["BTC"], rel=0.01)


def test_a_frozen_market_says_no_books_but_goes_on_to_trade() -> None:
    said = stated(during(Kind.FREEZE, "kraken/*"), 5.0)
    assert not [t for t in of(said, "kraken/spot/BTC", BookTop) if 2 < elapsed_s(t) < 4]
    assert [t for t in of(said, "kraken/spot/BTC", Trade) if 2 < elapsed_s(t) < 4]
    assert [t for t in of(said, "kraken/spot/BTC", BookTop) if elapsed_s(t) > 4]
    assert [t for t in of(said, "gemini/spot/BTC", BookTop) if 2 < elapsed_s(t) < 4]


def test_a_repeating_market_states_the_same_prices_with_other_sizes_and_trades_nothing() -> None:
    said = stated(during(Kind.REPEAT, "bitstamp/spot/BTC"), 5.0)
    repeated = [t for t in of(said, "bitstamp/spot/BTC", BookTop) if 2 < elapsed_s(t) < 4]
    assert len({(t.bid, t.ask) for t in repeated}) == 1
    assert len({t.bid_size for t in repeated}) > 1
    assert not [t for t in of(said, "bitstamp/spot/BTC", Trade) if 2 < elapsed_s(t) < 4]


def test_a_stuck_market_states_the_same_prices_and_trades_on_where_the_truth_is() -> None:
    move = Episode(at_ms=2_000, lasts_ms=2_000, kind=Kind.MOVE, target="BTC", amount=0.01)
    script = Script((*during(Kind.STUCK, "bitstamp/spot/BTC").episodes, move))
    said = stated(script, 5.0)
    stuck = [t for t in of(said, "bitstamp/spot/BTC", BookTop) if 2.2 < elapsed_s(t) < 4]
    assert len({(t.bid, t.ask) for t in stuck}) == 1
    assert len({t.bid_size for t in stuck}) > 1
    trades = [t.price for t in of(said, "bitstamp/spot/BTC", Trade) if 2.2 < elapsed_s(t) < 4]
    assert trades
    assert min(trades) > 1.005 * stuck[0].ask


def test_event_times_that_drift_run_away_evenly_and_move_nothing_else() -> None:
    drift = Episode(at_ms=2_000, lasts_ms=2_000, kind=Kind.DRIFT, target="okx/spot/BTC", amount=1.0, rise_ms=2_000)
    drifting, calm = stated(Script((drift,)), 5.0), stated(CALM, 5.0)
    pairs = list(zip(of(drifting, "okx/spot/BTC", BookTop), of(calm, "okx/spot/BTC", BookTop), strict=True))
    assert [(a.bid, a.ask) for a, _ in pairs] == [(b.bid, b.ask) for _, b in pairs]
    for drifted, true in pairs:
        expected = (elapsed_s(true) - 2) / 2 if 2 <= elapsed_s(true) < 4 else 0.0
        assert elapsed_s(drifted) - elapsed_s(true) == pytest.approx(expected, abs=0.0021)


def test_a_market_that_repeats_before_it_ever_spoke_has_to_begin_somewhere() -> None:
    script = Script((Episode(at_ms=0, lasts_ms=2_000, kind=Kind.REPEAT, target="*"),))
    assert len({(t.bid, t.ask) for t in of(stated(script, 2.0), "okx/spot/BTC", BookTop)}) == 1


def test_a_silent_market_says_nothing_and_the_others_say_what_they_would_have_said() -> None:
    silenced, calm = stated(during(Kind.SILENCE, "kraken/spot/BTC"), 5.0), stated(CALM, 5.0)
    spoken = of(silenced, "kraken/spot/BTC", BookTop) + of(silenced, "kraken/spot/BTC", Trade)
    quiet = [t for t in spoken if 2 < elapsed_s(t) < 4]
    assert not quiet
    others = [[s.fact for s in said if s.market.key != "kraken/spot/BTC"] for said in (silenced, calm)]
    assert others[0] == others[1]
    later = [[t for t in of(said, "kraken/spot/BTC", BookTop) if elapsed_s(t) > 4] for said in (silenced, calm)]
    assert later[0] == later[1]


def test_a_spike_moves_one_market_only() -> None:
    said = stated(during(Kind.PREMIUM, "gemini/spot/BTC", 0.3), 5.0)
    spiked = [t for t in of(said, "gemini/spot/BTC", BookTop) if 2 < elapsed_s(t) < 4]
    assert all(mid(t) == pytest.approx(78_000, rel=0.01) for t in spiked)
    assert all(mid(t) == pytest.approx(60_000, rel=0.01) for t in of(said, "coinbase/spot/BTC", BookTop))


def test_a_depeg_shows_in_the_pair_itself_and_in_every_price_quoted_in_it() -> None:
    said = stated(during(Kind.MOVE, "USDT", -0.05), 4.0)
    late = [s for s in said if isinstance(s.fact, BookTop) and elapsed_s(s.fact) > 2.2]
    pair = [mid(s.fact) for s in late if s.market.asset == "USDT" and isinstance(s.fact, BookTop)]
    tether = [mid(s.fact) for s in late if s.market.key == "binance/spot/BTC" and isinstance(s.fact, BookTop)]
    dollar = [mid(s.fact) for s in late if s.market.key == "coinbase/spot/BTC" and isinstance(s.fact, BookTop)]
    assert median(pair) == pytest.approx(0.95, abs=0.001)
    assert median(tether) * 0.95 == pytest.approx(median(dollar), rel=0.001)


def test_the_platforms_market_has_a_depth_that_continues_its_top() -> None:
    said = [s.fact for s in stated(CALM, 5.0) if s.market.key == "engine/engine/BTC"]
    depths = [f for f in said if isinstance(f, Depth)]
    assert len(depths) == pytest.approx(10, abs=3)
    for depth in depths:
        assert len(depth.bids) == len(depth.asks) == DEPTH_LEVELS
        assert list(depth.bids) == sorted(depth.bids, key=lambda level: -level[0])
        assert list(depth.asks) == sorted(depth.asks, key=lambda level: level[0])
        assert depth.bids[0][0] < depth.asks[0][0]
        for side in (depth.bids, depth.asks):
            assert len({price for price, _ in side}) == DEPTH_LEVELS
            assert sum(price * size for price, size in side) > 20_000


def test_a_silent_platform_states_nothing_at_all() -> None:
    said = stated(Script((Episode(at_ms=0, lasts_ms=60_000, kind=Kind.SILENCE, target="engine/*"),)), 10.0)
    assert not [s for s in said if s.market.venue == "engine"]


def test_the_platform_liquidates_when_its_market_is_far_from_the_truth() -> None:
    perps = tuple(m for m in MARKETS if m.asset == "BTC" and m.role is not Role.SPOT)
    stress = Script((Episode(at_ms=0, lasts_ms=60_000, kind=Kind.PREMIUM, target="*", amount=-0.09),))
    stressed, calm = (World(3, START, s, perps).step(START + 60 * NANOS_PER_S) for s in (stress, CALM))
    assert len(of(stressed, "engine/engine/BTC", Liquidation)) >= 20
    assert len(of(calm, "engine/engine/BTC", Liquidation)) <= 3
    assert not of(stressed, "okx/perp/BTC", Liquidation)


def test_a_suspension_is_ordered_at_its_edges_and_only_for_its_market() -> None:
    said = stated(during(Kind.SUSPEND, "engine/*/BTC"), 6.0)
    orders = [s.fact for s in said if isinstance(s.fact, Command)]
    assert [(o.action, o.target) for o in orders] == [
        (Action.SUSPEND, "BTC-USD-PERP"),
        (Action.UNSUSPEND, "BTC-USD-PERP"),
    ]
    assert [(o.recv_ns - START) / NANOS_PER_S for o in orders] == pytest.approx([2.0, 4.0], abs=0.2)


def test_a_script_that_begins_again_happens_again() -> None:
    spike = Episode(at_ms=1_000, lasts_ms=1_000, kind=Kind.PREMIUM, target="gemini/spot/BTC", amount=0.3)
    said = stated(Script((spike,), 3_000), 6.0)
    spiked = {int(elapsed_s(t)) for t in of(said, "gemini/spot/BTC", BookTop) if mid(t) > 70_000}
    assert spiked == {1, 4}
