"""Which connections a world needs: a line for each venue and market, or several where one may not carry all symbols.

An exchange that only ccxt knows has a line of ccxt's. With `lines` above 1 a venue's symbols are carried by so many
connections at a time, which share one account of what is up and of what has been said.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import TypeAlias

from oracle.clock import Clock
from oracle.collectors.backoff import DialBudget
from oracle.collectors.ccxt import CcxtPoller, is_known, spare
from oracle.collectors.ccxt_line import CcxtLine
from oracle.collectors.line import Line
from oracle.collectors.links import Links
from oracle.collectors.liveness import Channel
from oracle.collectors.merge import Merge
from oracle.collectors.reference import ReferencePoller
from oracle.collectors.rest import Rest
from oracle.config import Settings
from oracle.config.declared import poller_of, session_of
from oracle.config.venues import facts_of
from oracle.core.params import Role, Source, World
from oracle.core.types import Observation
from oracle.venues.base import Feed, Session

Collector: TypeAlias = Line | CcxtLine | CcxtPoller | ReferencePoller
CCXT = "ccxt."  # `ccxt.kraken:BTC/USD`: an exchange that ccxt knows, read by its streams or polled over REST


def lines_of(
    settings: Settings, world: World, put: Callable[[Observation], None], clock: Clock, rest: Rest
) -> list[Collector]:
    """Every line, not yet dialled. The lines of one venue share its budget of dials."""
    groups: dict[tuple[str, str], list[Source]] = {}
    for source in world.sources:
        if source.role is not Role.ENGINE and settings.venue(source.venue).enabled:
            groups.setdefault((source.venue, source.market), []).append(source)
    budgets: dict[str, DialBudget] = {}
    lines: list[Collector] = []
    for (venue, _), sources in groups.items():
        feeds = [Feed(source.id, source.symbol) for source in sources]
        if venue.startswith(CCXT):
            lines.append(_by_ccxt(settings, venue, feeds, put, clock, rest))
            continue
        stated = poller_of(settings, venue, feeds, put=put, clock=clock, rest=rest)
        if stated is not None:
            lines.append(stated)
            continue
        session_type = session_of(settings, venue)
        budget = budgets.setdefault(venue, DialBudget(session_type.dials_per_minute_max))
        for place in range(0, len(sources), session_type.symbols_max):
            part = sources[place : place + session_type.symbols_max]
            lines.extend(_dialled(settings, session_type, part, budget, put, clock, rest))
    return lines


def _dialled(
    settings: Settings,
    session_type: type[Session],
    sources: Sequence[Source],
    budget: DialBudget,
    put: Callable[[Observation], None],
    clock: Clock,
    rest: Rest,
) -> Iterator[Line]:
    """The lines that carry these sources, which are of one venue and market."""
    venue, market = sources[0].venue, sources[0].market
    how = settings.venue(venue)
    feeds = [Feed(source.id, source.symbol) for source in sources]
    links, merge = Links(put, clock), Merge([feed.source for feed in feeds]) if how.lines > 1 else None
    for number in range(how.lines):
        yield Line(
            session_type,
            feeds,
            put=put,
            clock=clock,
            budget=budget,
            rest=rest,
            market=market,
            endpoint=how.url,
            endpoints=how.endpoints,
            spare=_spare(settings, feeds, venue, market, clock, rest),
            alive_by={s.id: Channel.TICKER if s.role is Role.REFERENCE else Channel.BOOK for s in sources},
            links=links,
            merge=merge,
            number=number,
            proxy=how.proxy,
            library=how.library if how.library != "auto" else "aiohttp" if how.proxy else "picows",
        )


def _by_ccxt(
    settings: Settings,
    venue: str,
    feeds: Sequence[Feed],
    put: Callable[[Observation], None],
    clock: Clock,
    rest: Rest,
) -> CcxtLine | CcxtPoller:
    """What reads an exchange that ccxt knows: streams too where ccxt.pro knows it and the settings want them."""
    how, name = settings.venue(venue), venue.removeprefix(CCXT)
    if how.stream and is_known(name, "pro"):
        return CcxtLine(name, feeds, put=put, clock=clock, rest=rest, endpoint=how.url, proxy=how.proxy)
    return CcxtPoller(name, feeds, put=put, clock=clock, rest=rest, endpoint=how.url)


def _spare(
    settings: Settings, feeds: Sequence[Feed], venue: str, market: str, clock: Clock, rest: Rest
) -> Callable[[], Awaitable[CcxtPoller]] | None:
    """How ccxt is asked about these feeds, where it knows the venue; not by itself of one that has another address."""
    how = settings.venue(venue)
    facts = facts_of(venue)
    by_itself = facts.ccxt if facts is not None and how.url is None else ()
    names = {"off": (), "auto": by_itself}.get(how.ccxt, (how.ccxt,))
    names = tuple(name for name in names if is_known(name))
    return partial(spare, names, feeds, market, clock=clock, rest=rest) if names else None
