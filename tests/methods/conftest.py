"""Baskets for methodologies: candidates as the engine makes them of fresh sources, and the memory of their index."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from oracle.core.frame import SOURCE_2026_11
from oracle.core.index import Candidate, Member, Memory
from oracle.core.params import Rules
from oracle.core.sources import SourceState, new_source

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
