"""One connection among those that a line has: usually one, two while one relieves the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from oracle.collectors.backoff import HEALTHY_NS
from oracle.collectors.endpoints import Endpoint
from oracle.collectors.liveness import CHANNELS
from oracle.collectors.merge import Merge
from oracle.collectors.pump import Pump
from oracle.collectors.socket import Socket
from oracle.core.types import NANOS_PER_MS, BookTop, Nanos

RENEW_SHARE_MIN, RENEW_SHARE_MAX = 0.85, 0.95  # of a connection's lifetime, so that lines do not renew together
RENEW_AGAIN_NS = 60_000 * NANOS_PER_MS  # after a renewal that failed


class Leg:
    """A connection, where it leads, and when it wants what. `rank` is its number where lines are merged."""

    task: asyncio.Task[None]

    def __init__(
        self, pump: Pump, socket: Socket, endpoint: Endpoint, rank: int, began_ns: Nanos, chance: float
    ) -> None:
        """`chance`: uniform in [0, 1)."""
        self.pump, self.socket, self.endpoint, self.rank, self.began_ns = pump, socket, endpoint, rank, began_ns
        share = RENEW_SHARE_MIN + chance * (RENEW_SHARE_MAX - RENEW_SHARE_MIN)
        lifetime_ns = int(pump.session.lifetime_ms * NANOS_PER_MS * share)
        self._due_ns = began_ns + lifetime_ns if lifetime_ns else 0
        self._ping_ns = pump.session.ping_ms * NANOS_PER_MS
        self._pinged_ns = began_ns

    def look(self, now_ns: Nanos, heed: Callable[[BookTop], None]) -> None:
        """Send the ping that is due, and hand over the tops that came."""
        if self._ping_ns and now_ns - self._pinged_ns >= self._ping_ns:
            self._pinged_ns = now_ns
            self.pump.ping(now_ns)
        tops, self.pump.tops = self.pump.tops, {}
        for top in tops.values():
            heed(top)

    def is_due(self, now_ns: Nanos) -> bool:
        """Whether its lifetime is about to end. It is asked again only after a while."""
        if not self._due_ns or now_ns < self._due_ns:
            return False
        self._due_ns = now_ns + RENEW_AGAIN_NS
        return True

    def is_healthy(self, now_ns: Nanos) -> bool:
        """Whether it has been delivering for long enough to be trusted."""
        return self.pump.facts_ns > 0 and now_ns - self.pump.facts_ns >= HEALTHY_NS


def through(merge: Merge, rank: int, put: Callable[[Any], object]) -> Callable[[Any], object]:
    """What a connection says, as far as it is new to the others."""

    def passed(fact: Any) -> None:
        if type(fact) not in CHANNELS or merge.passes(rank, fact):
            put(fact)

    return passed
