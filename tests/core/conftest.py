"""Worlds to drive the engine in, as fixtures. The rig is a module beside this file, found from the repository."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from oracle.core.params import Rules, World
from oracle.methods import hk1

ROOT = str(Path(__file__).resolve().parents[2])
if ROOT not in sys.path:
    sys.path.append(ROOT)

from tests.core.rig import Rig, make_world  # noqa: E402 - the path stands above


@pytest.fixture(scope="session")
def rig() -> Callable[..., Rig]:
    """A factory of rigs: `rig(groups=6, usdt=3)`; warmed up at 60 000 unless `warm=False`."""

    def make(
        warm: bool = True,
        price: float = 60_000.0,
        groups: int = 6,
        usdt: int = 0,
        rules: Rules = hk1.SETS[0],
        method: str = "hk1",
    ) -> Rig:
        made = Rig(make_world(groups, rules, usdt=usdt, method=method))
        made.quote_all(price)
        made.engine_price = price + 25.0
        if warm:
            made.run(25)
        return made

    return make


@pytest.fixture(scope="session")
def worlds() -> Callable[..., World]:
    """`make_world`, for tests that drive an engine themselves."""
    return make_world
