"""A small world to drive the engine with: groups that quote around a price, a platform, and time in steps."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from oracle.core.engine import Engine
from oracle.core.method import funds, makes_index
from oracle.core.params import Contract, IndexInstrument, PerpInstrument, Role, Rules, Source, World
from oracle.core.types import (
    NANOS_PER_MS,
    Beat,
    BookTop,
    Depth,
    IndexValue,
    MarkPrice,
    Observation,
    Side,
    Tick,
    Trade,
)
from oracle.methods import for_world, hk1, load

START_NS = 1_699_977_600_000_000_000  # a settlement instant: midnight, eight or sixteen o'clock UTC
ENGINE = "BTC-USD-PERP"


def make_world(
    groups: int = 6, rules: Rules = hk1.SETS[0], outside: int = 2, usdt: int = 0, method: str = "hk1"
) -> World:
    """BTC-USD on `groups` USD venues and `usdt` USDT venues, `outside` perpetuals, and the platform's perpetual.

    With `usdt`, USDT-USD is there too, on four venues of its own, with a conversion's thresholds. `method` makes the
    index, the mark and the funding of whichever it can; HK-1 the rest.
    """
    sources: list[Source] = []

    def add(name: str, quote: str, group: str, role: Role) -> int:
        sources.append(
            Source(
                id=len(sources), name=name, venue=group, symbol=name, market="spot", quote=quote, group=group, role=role
            )
        )
        return len(sources) - 1

    voters = [add(f"v{i}", "USD", f"g{i}", Role.SPOT) for i in range(groups)]
    voters += [add(f"t{i}", "USDT", f"h{i}", Role.SPOT) for i in range(usdt)]
    perps = [add(f"p{i}", "USD", f"q{i}", Role.PERP) for i in range(outside)]
    engine = add(f"engine:{ENGINE}", "USD", "platform", Role.ENGINE)
    indices = []
    if usdt:
        stable = [add(f"s{i}", "USD", f"k{i}", Role.SPOT) for i in range(4)]
        ladder = structs.replace(rules.ladder, groups_normal_min=3, groups_degraded_min=2)
        indices.append(_index("USDT-USD", "USDT", 6, stable, [], {}, structs.replace(rules, ladder=ladder)))
    indices.append(_index("BTC-USD", "BTC", 2, voters, perps, {"USDT": "USDT-USD"} if usdt else {}, rules))
    chosen = load(method)
    if makes_index(chosen):
        indices[-1] = structs.replace(indices[-1], method=method)
    perp = PerpInstrument(
        id=ENGINE,
        index="BTC-USD",
        engine_source=engine,
        contract=Contract.LINEAR,
        contract_size=1.0,
        price_decimals=2,
        tick_units=10,
        method=method if funds(chosen) else "hk1",
        rules=rules,
    )
    return World(
        methodology="hk1", configuration_hash="0" * 64, sources=tuple(sources), indices=tuple(indices), perps=(perp,)
    )


def _index(
    name: str, base: str, decimals: int, sources: list[int], perps: list[int], conversions: dict[str, str], rules: Rules
) -> IndexInstrument:
    return IndexInstrument(
        id=name,
        base=base,
        quote="USD",
        tier=1,
        price_decimals=decimals,
        sources=tuple(sources),
        perp_sources=tuple(perps),
        conversions=conversions,
        method="hk1",
        rules=rules,
    )


class Rig:
    """An engine, a time, and what every source would say now: a price by source name (None: it is silent)."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.engine = Engine(world, for_world(world))
        self.at_ns = START_NS
        self.seq = 0
        self.ids = {source.name: source.id for source in world.sources}
        self.prices: dict[str, float | None] = {}
        self.trading: set[str] = set()
        self.event_lag_ms: dict[str, int] = {}
        self.engine_price: float | None = None
        self.last: dict[str, IndexValue | MarkPrice] = {}

    def quote_all(self, price: float, spread: float = 2.0) -> None:
        """Every outside source says this price, two basis points apart from one another at most, and trades."""
        for place, source in enumerate(s for s in self.world.sources if s.role is not Role.ENGINE):
            scale = 1.0 if source.name.startswith("s") else price
            self.prices[source.name] = scale * (1.0 + (place % 5 - 2) * spread / 10 / 10_000.0)
            self.trading.add(source.name)

    def observations(self) -> list[Observation]:
        """What everyone says at this moment."""
        said: list[Observation] = []
        for name, price in self.prices.items():
            if price is None:
                continue
            lag = self.event_lag_ms.get(name)
            venue_ns = 0 if lag is None else self.at_ns - lag * NANOS_PER_MS
            half = price * 0.5 / 10_000.0
            said.append(BookTop(self.ids[name], price - half, 1.0, price + half, 1.0, venue_ns, self.at_ns))
            if name in self.trading:
                said.append(Trade(self.ids[name], price, 0.1, Side.BUY, venue_ns, self.at_ns))
        if self.engine_price is not None:
            source, price = self.ids[f"engine:{ENGINE}"], self.engine_price
            said.append(BookTop(source, price - 1.0, 5.0, price + 1.0, 5.0, self.at_ns, self.at_ns))
            said.append(Depth(source, ((price - 1.0, 5.0),), ((price + 1.0, 5.0),), self.at_ns, self.at_ns))
        return said

    def beat(self, ms: int = 100, extra: Iterable[Observation] = (), quiet: bool = False) -> Tick:
        """Move time and close a beat over what everyone says."""
        self.at_ns += ms * NANOS_PER_MS
        self.seq += 1
        said = [] if quiet else self.observations()
        tick = self.engine.step(Beat(self.seq, self.at_ns, (*said, *extra), 0))
        for value in tick.values:
            if isinstance(value, IndexValue | MarkPrice):
                self.last[value.instrument] = value
        return tick

    def run(self, seconds: float, ms: int = 100) -> list[Tick]:
        """Beats for so long."""
        return [self.beat(ms) for _ in range(round(seconds * 1000 / ms))]

    def index(self, name: str = "BTC-USD") -> IndexValue:
        """The last index value."""
        value = self.last[name]
        assert isinstance(value, IndexValue)
        return value

    def mark(self) -> MarkPrice:
        """The last mark."""
        value = self.last[ENGINE]
        assert isinstance(value, MarkPrice)
        return value
