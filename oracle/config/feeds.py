"""Rates that are stated: how old they may be, when their markets are open, and feeds that contradict themselves.

The ECB's fixing is known here, everybody else's rates are declared in `[feeds]`.
"""

from __future__ import annotations

from oracle.config.settings import Settings
from oracle.config.venues import ECB, FEED
from oracle.core.calendar import HOUR_NS
from oracle.core.types import NANOS_PER_MS

# A fixing is of the early afternoon, and the next is published a TARGET day and two hours later: after that it is late.
ECB_AGE_MS_MAX = 30 * HOUR_NS // NANOS_PER_MS
ECB_CALENDAR = "target"


def ageing(settings: Settings, venue: str) -> tuple[int, str]:
    """How old a rate may be, in ms of open time, and the calendar of its market."""
    if venue == ECB:
        return ECB_AGE_MS_MAX, ECB_CALENDAR
    desk = settings.feeds[venue.removeprefix(FEED)]
    return desk.age_ms_max, desk.calendar


def check_feeds(settings: Settings) -> None:
    """Refuse feeds that contradict themselves. Raises ConfigError."""
    for name, desk in settings.feeds.items():
        at = ("feeds", name)
        if desk.rate_min >= desk.rate_max:
            problem = f"is not below rate_max {desk.rate_max:g}"
            raise settings.wrong((*at, "rate_min"), desk.rate_min, problem, "give the range of believable rates")
        if desk.streams:
            if desk.headers:
                problem = "a WebSocket is dialled without headers"
                raise settings.wrong((*at, "headers"), None, problem, "log in with subscribe")
            if "{" in desk.url:
                problem = "one WebSocket carries every symbol"
                raise settings.wrong((*at, "url"), desk.url, problem, "use {base}, {quote} or {symbol} in path")
        elif desk.subscribe.get_secret_value():
            raise settings.wrong((*at, "subscribe"), "***", "is only sent over a WebSocket", "remove it")
