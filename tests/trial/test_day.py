"""A quiet market is left alone, and simulated time goes as fast as the work in it.

ORACLE_DAY_HOURS sets how much of the day is played (three hours in the suite; `oracle faults --day` plays all of it).
"""

from __future__ import annotations

import asyncio
import os
import time

from oracle.trial import day
from oracle.trial.rig import quiet

HOURS = float(os.environ.get("ORACLE_DAY_HOURS", "3"))


def test_nothing_is_repaired_in_a_quiet_market() -> None:
    quiet()
    seconds = HOURS * 3_600
    played = day.played(seconds)
    assert [each.manner for each in played] == ["regular", "jittered", "exponential"]
    for each in played:
        assert each.repairs == {}
        assert 0.6 < each.books / (seconds / day.GAP_S) < 1.4
    regular, jittered, exponential = (each.longest_gap_s for each in played)
    assert regular <= day.GAP_S + 1 < jittered <= 1.5 * day.GAP_S + 1 < exponential


def test_a_symbol_that_dies_is_seen_to_be_repaired() -> None:
    quiet()
    left = iter([5.0] * 200)
    (dead, _) = day.played(3_600, manners={"dies": lambda draw: next(left, 1e9), "lives": lambda draw: 5.0})
    assert dead.books <= 210
    assert dead.repairs["RECONNECTED"] > 0


def test_time_jumps_to_what_is_due() -> None:
    async def sleeps() -> float:
        began_s = asyncio.get_running_loop().time()
        await asyncio.gather(asyncio.sleep(3_600), asyncio.sleep(60))
        return asyncio.get_running_loop().time() - began_s

    began_s = time.monotonic()
    with asyncio.Runner(loop_factory=day.SimulatedLoop) as runner:
        assert runner.run(sleeps()) >= 3_600
        loop = runner.get_loop()
        assert isinstance(loop, day.SimulatedLoop)
        assert loop.now_ns() - day.START_NS >= 3_600 * 10**9
    assert time.monotonic() - began_s < 60
