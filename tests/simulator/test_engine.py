"""What the platform's markets state in the world is what the engine feed is told, word for word."""

from __future__ import annotations

from oracle.core.params import Role
from oracle.core.types import NANOS_PER_S, BookTop, Depth, Liquidation, Trade
from oracle.simulator.engine import SimulatedEngine
from oracle.simulator.faults import Episode, Kind, Script
from oracle.simulator.markets import MARKETS
from oracle.simulator.world import World

START = 1_790_000_000 * NANOS_PER_S


class Recorder:
    """A sender that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def __getattr__(self, name: str) -> object:
        return lambda *arguments: self.told.append((name, *arguments))


def test_every_fact_of_the_platform_is_told() -> None:
    own = tuple(m for m in MARKETS if m.role is Role.ENGINE)
    script = Script(
        (
            Episode(at_ms=1_000, lasts_ms=1_000, kind=Kind.SUSPEND, target="engine/*/BTC"),
            Episode(at_ms=0, lasts_ms=20_000, kind=Kind.PREMIUM, target="engine/*", amount=0.05),
        )
    )
    said = World(1, START, script, own).step(START + 20 * NANOS_PER_S)
    recorder = Recorder()
    engine = SimulatedEngine(recorder)  # type: ignore[arg-type]
    for each in said:
        engine.take(each)
    expected: list[tuple[object, ...]] = []
    for market, fact in said:
        match fact:
            case BookTop():
                expected.append(("book", market.symbol, fact.bid, fact.bid_size, fact.ask, fact.ask_size))
            case Depth():
                expected.append(("depth", market.symbol, fact.bids, fact.asks))
            case Trade() | Liquidation():
                name = type(fact).__name__.lower()
                expected.append((name, market.symbol, fact.price, fact.size, fact.side))
            case _:
                expected.append(("status", market.symbol, {"SUSPEND": "suspended"}.get(fact.action, "trading")))
    assert recorder.told == expected
    words = {told[0] for told in recorder.told}
    assert words == {"book", "depth", "trade", "liquidation", "status"}
    assert [told[1:] for told in recorder.told if told[0] == "status"] == [
        ("BTC-USD-PERP", "suspended"),
        ("BTC-USD-PERP", "trading"),
    ]
