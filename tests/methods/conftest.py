"""Baskets for methodologies: candidates as the engine makes them of fresh sources, and the memory of their index."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from oracle.core.frame import SOURCE_2026_11
from oracle.core.funding import Rated
from oracle.core.index import Candidate, Cohort, Member, Memory
from oracle.core.mark import MarkInputs
from oracle.core.params import PerpInstrument, Role, Rules, Source, World
from oracle.core.sources import SourceState, new_source
from oracle.core.types import NANOS_PER_MS

ROOT = str(Path(__file__).resolve().parents[2])
if ROOT not in sys.path:
    sys.path.append(ROOT)

from tests.core.rig import Rig, make_world  # noqa: E402 - the path stands above

Basket = Callable[..., tuple[list[Candidate], Memory]]


def source(bid: float, ask: float, last: float = 0.0, bid_size: float = 1.0, ask_size: float = 1.0) -> SourceState:
    """What is known of a source that has just stated its book, and its last trade unless that is 0.0."""
    state = new_source(SOURCE_2026_11)
    state.bid, state.ask, state.bid_size, state.ask_size, state.last = bid, ask, bid_size, ask_size, last
    state.stated_ns = state.last_trade_ns = 1
    return state


def candidate(place: int, venue: str, known: SourceState, rate: float = 1.0) -> Candidate:
    """A fresh candidate of its own group."""
    price = (known.bid + known.ask) / 2.0 * rate
    return Candidate(place, venue, price, 0, None, True, known.bid, known.ask, venue, rate, known)


@pytest.fixture(scope="session")
def basket() -> Basket:
    """Makes (candidates, memory) of mids by venue; each book is a ten-thousandth of a bp wide around its mid."""

    def make(mids: Mapping[str, float], lasts: Mapping[str, float] | None = None) -> tuple[list[Candidate], Memory]:
        lasts = lasts or {}
        candidates = []
        for place, (venue, mid) in enumerate(mids.items()):
            half = mid * 2.0**-28
            known = source(mid - half, mid + half, lasts.get(venue, 0.0))
            candidates.append(candidate(place, venue, known))
        return candidates, Memory([Member() for _ in candidates])

    return make


@pytest.fixture(scope="session")
def rig() -> Callable[[str, Rules], Rig]:
    """Makes a warm rig whose index, mark and funding are those of a methodology, as far as it makes them."""

    def make(method: str, rules: Rules) -> Rig:
        made = Rig(make_world(rules=rules, method=method))
        made.quote_all(60_000.0)
        made.engine_price = 60_025.0
        made.run(25)
        return made

    return make


@pytest.fixture(scope="session")
def perp() -> Callable[[str, Rules], PerpInstrument]:
    """Makes a linear perpetual of two decimals, and as fine a tick, that a methodology marks and funds."""
    return lambda method, rules: replace(make_world(rules=rules, method=method).perps[0], tick_units=1)


@pytest.fixture(scope="session")
def reference_world() -> Callable[..., World]:
    """Makes a world of indices that a desk states in the week of foreign exchange, and a perpetual of the first."""

    def make(rates: Mapping[str, float], rules: Rules, age_ms_max: int = 600_000) -> World:
        base = make_world(groups=0, outside=0)
        sources, indices = list(base.sources), []
        for name in rates:
            desk = Source(
                id=len(sources), name=f"{name}:desk", venue="desk", symbol=name, market="reference",
                quote=name.partition("-")[2], group="desk", role=Role.REFERENCE, age_ms_max=age_ms_max, calendar="fx",
            )  # fmt: skip
            sources.append(desk)
            instrument = replace(
                base.indices[0], id=name, base=name.partition("-")[0], quote=desk.quote, price_decimals=4,
                sources=(desk.id,), method="reference", rules=rules,
            )  # fmt: skip
            indices.append(instrument)
        perp = replace(base.perps[0], index=indices[0].id)
        return replace(base, sources=tuple(sources), indices=tuple(indices), perps=(perp,))

    return make


@pytest.fixture(scope="session")
def inputs() -> Callable[..., MarkInputs]:
    """Makes what a mark is made of at a time in ms: an index of 60 000, a book and a trade above it, half an interval
    to go; anything of it may be said otherwise."""
    base = MarkInputs(0, 60_000.0, True, 0, 60_009.0, 60_011.0, 60_020.0, 0.0001, 0.5)
    return lambda at_ms, **changed: replace(base, at_ns=at_ms * NANOS_PER_MS, **changed)


@pytest.fixture(scope="session")
def index_laws(basket: Basket) -> Callable[..., None]:
    """Holds an index to what every average of venues obeys: order means nothing, it scales, it lies between them."""

    def check(index: Callable[..., Cohort], rules: Rules, prices: list[float], random: Any) -> None:
        named = {f"v{place}": price for place, price in enumerate(prices)}

        def price_of(of: Mapping[str, float]) -> float:
            candidates, memory = basket(of, of)
            return index(candidates, memory, rules, 10**18).price

        first = price_of(named)
        assert price_of(dict(random.sample(sorted(named.items()), len(named)))) == first
        assert price_of({name: price * 4.0 for name, price in named.items()}) == first * 4.0
        assert min(prices) * (1 - 1e-15) <= first <= max(prices) * (1 + 1e-15)

    return check


@pytest.fixture(scope="session")
def rate_laws() -> Callable[..., None]:
    """Holds a funding formula to its cap, to growing with the premium, and to being odd where there is no interest."""

    def check(rate: Callable[..., Rated], rules: Rules, premium: float, other: float) -> None:
        cap = rules.funding.cap
        low, high = (rate(value, rules).rate for value in sorted((premium, other)))
        assert -cap <= low <= high <= cap
        without = replace(rules, funding=replace(rules.funding, interest_per_8h=0.0))
        assert rate(-premium, without).rate == -rate(premium, without).rate

    return check
