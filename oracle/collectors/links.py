"""Whether a source has a line: up while anything carries it, down when the last of its carriers is gone.

A carrier is a connection or a poller. Several may carry a source at a time (redundant lines, a connection that is
renewed, a poll that stands in), so the engine hears of the first that comes and of the last that goes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable

from oracle.clock import Clock
from oracle.core.types import Link


class Links:
    """Who carries which source. `put` hears of every rise and fall."""

    def __init__(self, put: Callable[[Link], object], clock: Clock) -> None:
        self._put, self._clock = put, clock
        self._carriers: dict[int, dict[Hashable, None]] = {}
        self._told: dict[int, bool] = {}

    def rise(self, source: int, carrier: Hashable, reason: str = "") -> None:
        """The carrier brings the source. `reason`: what brought it back, when it had been away."""
        self._carriers.setdefault(source, {})[carrier] = None
        if not self._told.get(source, False):
            self._tell(source, True, reason)

    def fall(self, source: int, carrier: Hashable, reason: str) -> None:
        """The carrier brings the source no more, or never could."""
        carriers = self._carriers.setdefault(source, {})
        carriers.pop(carrier, None)
        if not carriers and self._told.get(source, True):
            self._tell(source, False, reason)

    def carried(self, source: int, besides: Collection[Hashable] = ()) -> bool:
        """Whether anything carries the source, `besides` these."""
        return any(carrier not in besides for carrier in self._carriers.get(source, ()))

    def _tell(self, source: int, up: bool, reason: str) -> None:
        self._told[source] = up
        self._put(Link(source, up, reason, self._clock.now_ns()))
