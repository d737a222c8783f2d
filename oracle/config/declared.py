"""The collectors of stated rates, as the settings declare them: the ECB's fixing, and every feed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from oracle.clock import Clock
from oracle.collectors import reference
from oracle.collectors.asking import rebased
from oracle.collectors.json_source import Declared, JsonPoller, session_type
from oracle.collectors.reference import EcbPoller, ReferencePoller
from oracle.collectors.rest import Rest
from oracle.config.settings import Settings
from oracle.config.venues import ECB, FEED
from oracle.core.types import Observation
from oracle.venues.base import Feed, Session, load


def poller_of(
    settings: Settings,
    venue: str,
    feeds: Sequence[Feed],
    *,
    put: Callable[[Observation], None],
    clock: Clock,
    rest: Rest,
) -> ReferencePoller | None:
    """Who asks for the rates of `ecb` or `feed.<name>` over HTTP; None for whatever is dialled."""
    endpoint = settings.venue(venue).url
    if venue == ECB:
        return EcbPoller(feeds, put=put, clock=clock, rest=rest, url=rebased(reference.URL, endpoint))
    if not venue.startswith(FEED) or settings.feeds[venue.removeprefix(FEED)].streams:
        return None
    told = declared(settings, venue, endpoint)
    return JsonPoller(told, feeds, put=put, clock=clock, rest=rest)


def session_of(settings: Settings, venue: str) -> type[Session]:
    """The Session that reads what is dialled: a venue's file, or a feed over a WebSocket."""
    return session_type(declared(settings, venue)) if venue.startswith(FEED) else load(venue)[0]


def declared(settings: Settings, venue: str, endpoint: str | None = None) -> Declared:
    """The feed `feed.<name>` as its collector takes it, asked at another endpoint where one is given.

    A header has dashes for underscores: the name of a variable in the environment has no dashes.
    """
    desk = settings.feeds[venue.removeprefix(FEED)]
    headers = {header.replace("_", "-"): secret.get_secret_value() for header, secret in desk.headers.items()}
    return Declared(
        name=venue.removeprefix(FEED),
        url=rebased(desk.url, endpoint),
        path=desk.path,
        time_path=desk.time_path,
        time_unit=desk.time_unit,
        symbol_path=desk.symbol_path,
        symbol=desk.symbol,
        scale=desk.scale,
        rate_min=desk.rate_min,
        rate_max=desk.rate_max,
        subscribe=desk.subscribe.get_secret_value(),
        every_ms=desk.every_ms,
        headers=headers,
    )
