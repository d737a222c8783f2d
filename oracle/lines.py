"""Which connections a world needs: a line for each venue and market, or several where one may not carry all symbols."""

from __future__ import annotations

from collections.abc import Callable

from oracle.clock import Clock
from oracle.collectors.backoff import DialBudget
from oracle.collectors.ccxt import CcxtPoller
from oracle.collectors.line import Line
from oracle.collectors.rest import Rest
from oracle.config import Settings
from oracle.core.params import Role, Source, World
from oracle.core.types import Observation
from oracle.venues.base import Feed, load

CCXT = "ccxt."  # `ccxt.kraken:BTC/USD`: an exchange that ccxt knows, polled over REST


def lines_of(
    settings: Settings, world: World, put: Callable[[Observation], None], clock: Clock, rest: Rest
) -> list[Line | CcxtPoller]:
    """Every line, not yet dialled. The lines of one venue share its budget of dials."""
    groups: dict[tuple[str, str], list[Source]] = {}
    for source in world.sources:
        if source.role is not Role.ENGINE and settings.venue(source.venue).enabled:
            groups.setdefault((source.venue, source.market), []).append(source)
    budgets: dict[str, DialBudget] = {}
    lines: list[Line | CcxtPoller] = []
    for (venue, market), sources in groups.items():
        feeds = [Feed(source.id, source.symbol) for source in sources]
        if venue.startswith(CCXT):
            lines.append(CcxtPoller(venue.removeprefix(CCXT), feeds, put=put, clock=clock, rest=rest))
            continue
        session_type, _ = load(venue)
        how = settings.venue(venue)
        library = how.library if how.library != "auto" else "aiohttp" if how.proxy else "picows"
        budget = budgets.setdefault(venue, DialBudget(session_type.dials_per_minute_max))
        lines.extend(
            Line(
                session_type,
                feeds[place : place + session_type.symbols_max],
                put=put,
                clock=clock,
                budget=budget,
                rest=rest,
                market=market,
                endpoint=how.url,
                proxy=how.proxy,
                library=library,
            )
            for place in range(0, len(feeds), session_type.symbols_max)
        )
    return lines
