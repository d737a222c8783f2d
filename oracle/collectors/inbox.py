"""Where observations wait for the next beat: within one beat the latest word of a source replaces its earlier ones.

Theory of operation. A book, depth, trade or ticker is a source's present state, so only the latest counts and the rest
is conflated: counted, never queued. Links, commands, clock readings and liquidations are events: each is kept, in
order. A link fences its source, so that nothing said before it is moved behind it or the other way round.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from oracle.core.params import World
from oracle.core.types import Beat, BookTop, Depth, Link, Liquidation, Nanos, Observation, Ticker, TickerKind, Trade
from oracle.errors import ServiceError

ORDERS_MAX = 16_384  # links with what they fence, commands, clock readings: far above any storm of links
LIQUIDATIONS_MAX = 4_096  # in one beat; what is above is counted as dropped

_STATES: dict[type, int] = {BookTop: 0, Depth: 1, Trade: 2}
_TICKERS = {kind: len(_STATES) + place for place, kind in enumerate(TickerKind)}
_SLOTS = len(_STATES) + len(_TICKERS)
_received = attrgetter("recv_ns")


class Inbox:
    """Collects observations between beats. One thread only. `on_first` hears when the empty inbox is no longer so."""

    def __init__(self, world: World, on_first: Callable[[], None]) -> None:
        self._on_first = on_first
        self._slots: list[Observation | None] = [None] * (_SLOTS * len(world.sources))
        self._touched: list[int] = []
        self._events: list[Observation] = []
        self._liquidations = 0
        self._dropped = 0
        self._empty = True

    def put(self, observation: Observation) -> None:
        """Take an observation in. Raises ServiceError when more orders wait than any beat can have."""
        state: Any = observation
        kind = type(state)
        slot = _STATES.get(kind)
        if slot is None:
            if kind is not Ticker:
                self._put_event(observation)
                return
            slot = _TICKERS[state.kind]
        place = state.source * _SLOTS + slot
        if self._slots[place] is None:
            self._touched.append(place)
            if self._empty:
                self._empty = False
                self._on_first()
        else:
            self._dropped += 1
        self._slots[place] = observation

    def close(self, seq: int, at_ns: Nanos) -> Beat:
        """Everything that arrived until `at_ns`, in the order of receipt. What is later waits for the next beat."""
        slots = self._slots
        seen = self._events
        for place in self._touched:
            observation = slots[place]
            if observation is not None:
                seen.append(observation)
                slots[place] = None
        seen.sort(key=_received)
        dropped = self._dropped
        self._touched, self._events = [], []
        self._liquidations = self._dropped = 0
        self._empty = True
        later = len(seen)
        while later and seen[later - 1].recv_ns > at_ns:
            later -= 1
        for observation in seen[later:]:
            self.put(observation)
        return Beat(seq, at_ns, tuple(seen[:later]), dropped)

    def __len__(self) -> int:
        """How many observations the next beat would see."""
        return len(self._events) + sum(self._slots[place] is not None for place in set(self._touched))

    def _put_event(self, observation: Observation) -> None:
        if isinstance(observation, Liquidation):
            if self._liquidations == LIQUIDATIONS_MAX:
                self._dropped += 1
                return
            self._liquidations += 1
        elif len(self._events) - self._liquidations >= ORDERS_MAX:
            raise ServiceError(f"{ORDERS_MAX} links and commands wait for a beat: the engine does not keep up")
        elif isinstance(observation, Link):
            self._fence(observation.source)
        self._events.append(observation)
        if self._empty:
            self._empty = False
            self._on_first()

    def _fence(self, source: int) -> None:
        """Make what the source said until now an event, which nothing later replaces."""
        for place in range(source * _SLOTS, (source + 1) * _SLOTS):
            said = self._slots[place]
            if said is not None:
                self._events.append(said)
                self._slots[place] = None
