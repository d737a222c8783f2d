"""The world played on real local sockets: one server a venue, each fact said by its venue when its time has come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from oracle.core.params import Role
from oracle.core.types import BookTop, Nanos, Trade
from oracle.simulator.faults import LINE_KINDS, Kind
from oracle.simulator.venue import VenueServer
from oracle.simulator.world import Said, World
from oracle.venues.base import Feed

TURN_S = 0.01  # how late a fact may be said


class Stage:
    """The venues of a world. The platform's own market has no server: what it states goes to `on_own`.

    An async context manager that binds one free port a venue.
    """

    def __init__(
        self, world: World, now_ns: Callable[[], Nanos], on_own: Callable[[Said], None] = lambda said: None
    ) -> None:
        self.world = world
        self._now_ns, self._on_own = now_ns, on_own
        self.servers = {venue: VenueServer(venue, feeds, now_ns) for venue, feeds in _feeds(world).items()}
        self._faults: frozenset[tuple[str, Kind]] = frozenset()
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            for server in self.servers.values():
                await opening.enter_async_context(server)
            self._open = opening.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def play(self) -> None:
        """Let the world go on until cancelled."""
        while True:
            self.turn(self._now_ns())
            await asyncio.sleep(TURN_S)

    def turn(self, now_ns: Nanos) -> None:
        """Say everything whose time has come, and begin and end the faults of the lines."""
        self._turn_faults(self.world.offset_ns(now_ns))
        for said in self.world.step(now_ns):
            server = self.servers.get(said.market.venue)
            if server is None:
                self._on_own(said)
            elif isinstance(said.fact, BookTop | Trade):
                server.say(said.fact)
        for server in self.servers.values():
            server.tick(now_ns)

    def _turn_faults(self, offset_ns: int) -> None:
        going_on = [e for e in self.world.script.active(offset_ns) if e.kind in LINE_KINDS]
        faults = frozenset((venue, e.kind) for venue in self.servers for e in going_on if e.concerns(venue))
        for venue, kind in sorted(self._faults - faults):
            self.servers[venue].end(kind)
        for venue, kind in sorted(faults - self._faults):
            self.servers[venue].begin(kind)
        self._faults = faults


def _feeds(world: World) -> dict[str, dict[str, list[Feed]]]:
    """By venue and section: a market's number in the world is the source its server knows it by."""
    feeds: dict[str, dict[str, list[Feed]]] = {}
    for place, market in enumerate(world.markets):
        if market.role is not Role.ENGINE:
            feeds.setdefault(market.venue, {}).setdefault(market.market, []).append(Feed(place, market.symbol))
    return feeds
