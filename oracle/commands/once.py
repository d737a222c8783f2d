"""`oracle run --once`: wait for the first values, print them as a table, end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from oracle.commands.common import table
from oracle.core.types import PREMIUM_DECIMALS, RATE_DECIMALS
from oracle.core.wire import scaled_text

if TYPE_CHECKING:
    from oracle.app import Running

WAIT_S_MAX = 45.0
LOOK_S = 0.2


async def show_first(running: Running, wait_s_max: float = WAIT_S_MAX, *, ended: asyncio.Event | None = None) -> int:
    """Print every instrument's value as soon as all stand; else what stands after `wait_s_max`, when the service has
    halted, or when it was told to end. 0 when all stand, else 1."""
    waited_s = 0.0
    told = ended or asyncio.Event()
    while not (_all_stand(running) or running.hub.halted or told.is_set() or waited_s >= wait_s_max):
        await asyncio.sleep(LOOK_S)
        waited_s += LOOK_S
    print(table(_rows(running), ("instrument", "price", "funding", "premium", "state", "why")))
    if _all_stand(running):
        return 0
    if running.hub.halted:
        print(f"the service has halted: {', '.join(running.hub.halted)}: `oracle check --no-venues` says what is wrong")
    else:
        print(f"not every instrument has a price after {waited_s:.0f} s: `oracle check` says what is wrong")
    return 1


def _all_stand(running: Running) -> bool:
    return all(board.value.price is not None for board in running.hub.boards.values())


def _rows(running: Running) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, board in running.hub.boards.items():
        value, perp = board.value, running.hub.perps.get(name)
        price = "-" if value.price is None else scaled_text(value.price, board.instrument.price_decimals)
        funding = "" if perp is None or perp.running is None else scaled_text(perp.running.rate_e8, RATE_DECIMALS)
        sample = None if perp is None or perp.sample is None else perp.sample.premium_e10
        premium = "" if sample is None else scaled_text(sample, PREMIUM_DECIMALS)
        why = " ".join(reason.lower() for reason in value.reasons)
        rows.append((name, price, funding, premium, value.state.lower(), why))
    return rows
