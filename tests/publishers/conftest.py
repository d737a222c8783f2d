"""A small world and its values, made by hand: two indices, a linear and an inverse perpetual, nine sources."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import msgspec
import pytest

from oracle.clock import ManualClock
from oracle.core.params import Contract, IndexInstrument, PerpInstrument, Role, Source, World
from oracle.core.types import (
    NANOS_PER_S,
    Alert,
    AlertKind,
    FundingRate,
    IndexValue,
    MarkPrice,
    PremiumSample,
    Quote,
    Reason,
    State,
    Tick,
    Value,
    Verdict,
    VerdictChange,
)
from oracle.documents import library
from oracle.edition.pages import Shelf
from oracle.methods import hk1
from oracle.publishers.hub import Hub
from oracle.publishers.rest import make_app
from oracle.publishers.web import serve
from tests import shelves

NOW_NS = 1_781_000_000 * NANOS_PER_S
Serve: TypeAlias = Callable[..., AbstractAsyncContextManager[aiohttp.ClientSession]]


def _source(place: int, venue: str, quote: str = "USD", role: Role = Role.SPOT) -> Source:
    return Source(
        id=place, name=f"{venue}:X{quote}", venue=venue, symbol=f"X{quote}", market="spot", quote=quote, group=venue,
        role=role,
    )  # fmt: skip


def _world() -> World:
    rules = hk1.SETS[0]
    spot = [_source(i, venue) for i, venue in enumerate("abcde")]
    tether = _source(5, "f", "USDT")
    engine, other = _source(6, "engine", role=Role.ENGINE), _source(7, "engine2", role=Role.ENGINE)
    dollars = _source(8, "g")
    index = IndexInstrument(
        id="BTC-USD", base="BTC", quote="USD", tier=1, price_decimals=2, sources=(0, 1, 2, 3, 4, 5), perp_sources=(),
        conversions={"USDT": "USDT-USD"}, method="hk1", rules=rules,
    )  # fmt: skip
    tethers = IndexInstrument(
        id="USDT-USD", base="USDT", quote="USD", tier=1, price_decimals=6, sources=(8,), perp_sources=(),
        conversions={}, method="hk1", rules=rules,
    )  # fmt: skip
    linear = PerpInstrument(
        id="BTC-USD-PERP", index="BTC-USD", engine_source=6, contract=Contract.LINEAR, contract_size=1.0,
        price_decimals=1, tick_units=1, method="hk1", rules=rules,
    )  # fmt: skip
    inverse = msgspec.structs.replace(
        linear, id="BTC-USD-INV", engine_source=7, contract=Contract.INVERSE, contract_size=100.0
    )
    return World(
        methodology="hk1-1.0.0", configuration_hash="ab" * 32,
        sources=(*spot, tether, engine, other, dollars), indices=(tethers, index), perps=(linear, inverse),
    )  # fmt: skip


class Maker:
    """Makes values as the engine does: one seq an instrument and tick, times of a clock that the test moves."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.beat = 0
        self.seqs: dict[str, int] = {}

    def next(self, instrument: str) -> int:
        self.seqs[instrument] = self.seqs.get(instrument, 0) + 1
        return self.seqs[instrument]

    def index(self, instrument: str = "BTC-USD", price: int | None = 6_000_400, **other: Any) -> IndexValue:
        at_ns = self.clock.now_ns()
        value = IndexValue(
            instrument=instrument, seq=self.next(instrument), at_ns=at_ns, price=price, last_good=price,
            last_good_ns=at_ns if price else 0, carried_forward=False, state=State.NORMAL if price else State.HALTED,
            state_since_ns=at_ns - 5 * NANOS_PER_S, reasons=() if price else (Reason.FEW_GROUPS,),
            liquidation_ok=price is not None, n_groups=6, breakdown_groups=3, confidence_bps_e2=150, gap_bps_e2=20,
            oldest_input_age_ms=120 if price else None,
        )  # fmt: skip
        return msgspec.structs.replace(value, **other)

    def mark(self, instrument: str = "BTC-USD-PERP", price: int | None = 600_290, **other: Any) -> MarkPrice:
        at_ns = self.clock.now_ns()
        value = MarkPrice(
            instrument=instrument, seq=self.next(instrument), at_ns=at_ns, price=price,
            index=6_000_400 if price else None, index_seq=self.seqs.get("BTC-USD", 0), basis_leg=600_290,
            book_leg=600_340, funding_leg=None, step_binding=False, band_binding=True,
            state=State.NORMAL if price else State.HALTED, state_since_ns=at_ns - NANOS_PER_S,
            reasons=(Reason.LEG_MISSING,), liquidation_ok=price is not None, feed_age_ms=40,
            oldest_input_age_ms=120 if price else None,
        )  # fmt: skip
        return msgspec.structs.replace(value, **other)

    def funding(self, instrument: str = "BTC-USD-PERP", **other: Any) -> FundingRate:
        at_ns = self.clock.now_ns()
        start_ns = at_ns - at_ns % (28_800 * NANOS_PER_S)
        value = FundingRate(
            instrument=instrument, seq=self.seqs.get(instrument, 1), at_ns=at_ns, final=False, rate_e8=40_000,
            interval_start_ns=start_ns, settles_ns=start_ns + 28_800 * NANOS_PER_S, premium_mean_e10=9_000_000,
            samples=90, expected=100, interest_e8=10_000, inner_binding=True, cap_binding=False, reasons=(), index=None,
        )  # fmt: skip
        return msgspec.structs.replace(value, **other)

    def sample(self, instrument: str = "BTC-USD-PERP", **other: Any) -> PremiumSample:
        value = PremiumSample(
            instrument, self.seqs.get(instrument, 1), self.clock.now_ns(), 5_000_000, 600_300, 600_400, 6_000_400, ()
        )
        return msgspec.structs.replace(value, **other)

    def change(self, source: int = 0, verdict: Verdict = Verdict.USED) -> VerdictChange:
        return VerdictChange("BTC-USD", source, Verdict.STALE, verdict, self.clock.now_ns())

    def alert(self, target: str = "BTC-USD", active: bool = True, kind: AlertKind = AlertKind.STATE) -> Alert:
        return Alert(kind, target, active, self.clock.now_ns(), self.clock.now_ns(), 3.0, "rank")

    def tick(self, *values: Value, quotes: dict[str, tuple[Quote, ...]] | None = None) -> Tick:
        self.beat += 1
        return Tick(self.beat, self.clock.now_ns(), values, quotes or {})

    def whole(self) -> Tick:
        """A tick in which everything speaks."""
        quotes = [Quote(i, 60_000.0 + i, 100 + i, Verdict.USED) for i in range(5)]
        quotes.append(Quote(5, 0.0, 0, Verdict.NO_PRICE))
        values: Sequence[Value] = (
            self.index("USDT-USD", 999_800), self.index(), self.change(), self.alert("BTC-USD a:XUSD"), self.mark(),
            self.sample(), self.funding(), self.mark("BTC-USD-INV"), self.funding("BTC-USD-INV"),
        )  # fmt: skip
        return self.tick(*values, quotes={"BTC-USD": tuple(quotes)})


class NoHistory:
    """Remembers nothing."""

    def funding(self, instrument: str, start_ns: int, end_ns: int, limit: int) -> list[FundingRate]:
        return []


@pytest.fixture
def world() -> World:
    return _world()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_NS)


@pytest.fixture
def make(clock: ManualClock) -> Maker:
    return Maker(clock)


@pytest.fixture
def hub(world: World, clock: ManualClock) -> Hub:
    return Hub(world, clock, epoch="7")


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """A few documents."""
    return Shelf(library(shelves.written(tmp_path)))


@pytest.fixture
def serving(hub: Hub) -> Serve:
    """Serve the hub on a port of the loopback; what is given is a session whose base is the server."""

    @asynccontextmanager
    async def served(**options: Any) -> AsyncIterator[aiohttp.ClientSession]:
        history = options.pop("history", NoHistory())
        runner, port = await serve(make_app(hub, history, **options), "127.0.0.1", 0)
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
                yield session
        finally:
            await runner.cleanup()

    return served
