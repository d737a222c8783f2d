"""Where a venue can be dialled: its endpoints in order of preference, and which of them are left aside for how long.

An endpoint that fails twice in a row is left aside, for ever longer while it keeps failing; one that says it is no
more (in the words of its closing, or by closing politely right after every dial) is retired: it is tried rarely, and
comes back when it delivers.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from oracle.core.types import NANOS_PER_S, Nanos

NOTICES = ("deprecated", "discontinued", "retired", "no longer", "migrat")
CLOSED_POLITELY, GONE = 1000, 410
AT_ONCE_NS = 5 * NANOS_PER_S  # a connection that stood no longer was closed at once
CLOSED_AT_ONCE_MAX = 3  # in a row; then the endpoint is retired
FAILURES_MAX = 2
ASIDE_NS_MIN, ASIDE_NS_MAX = 60 * NANOS_PER_S, 3_600 * NANOS_PER_S
ASIDE_GROWTH, RETIRED_GROWTH = 2, 8


class Endpoint(Struct):
    """One address, and what came of dialling it. `url` None: the venue's own."""

    url: str | None
    failures: int = 0  # in a row
    closed_at_once: int = 0  # in a row
    asides: int = 0  # in a row
    free_ns: Nanos = 0  # left aside until then
    retired: bool = False


class Endpoints:
    """The endpoints of one line. `words` are those by which this venue says that an endpoint is no more."""

    def __init__(self, urls: Sequence[str | None] = (None,), words: Sequence[str] = ()) -> None:
        self.all = tuple(Endpoint(url) for url in dict.fromkeys(urls))
        assert self.all, "a venue has an address"
        self._words = (*words, *NOTICES)

    def best(self, now_ns: Nanos) -> Endpoint:
        """The one to dial: the first that is not left aside, else the first that will be free."""
        free = [endpoint for endpoint in self.all if endpoint.free_ns <= now_ns]
        return free[0] if free else min(self.all, key=lambda endpoint: endpoint.free_ns)

    def wait_ns(self, now_ns: Nanos) -> int:
        """How long nobody may be dialled, because every endpoint is retired; 0 otherwise."""
        if not all(endpoint.retired for endpoint in self.all):
            return 0
        return max(0, min(endpoint.free_ns for endpoint in self.all) - now_ns)

    def failed(self, endpoint: Endpoint, now_ns: Nanos) -> None:
        """It could not be dialled, or its connection ended without a single fact."""
        endpoint.failures += 1
        if endpoint.failures >= FAILURES_MAX:
            self.leave(endpoint, now_ns)

    def leave(self, endpoint: Endpoint, now_ns: Nanos) -> None:
        """Prefer any other for a while."""
        growth = RETIRED_GROWTH if endpoint.retired else ASIDE_GROWTH
        endpoint.free_ns = now_ns + min(ASIDE_NS_MIN * growth ** min(endpoint.asides, 8), ASIDE_NS_MAX)
        endpoint.asides += 1
        endpoint.failures = 0

    def leave_for_another(self, endpoint: Endpoint | None, now_ns: Nanos) -> None:
        """It does not help to dial this one; None: the first, unless it is left aside already."""
        if endpoint is not None or self.all[0].free_ns <= now_ns:
            self.leave(endpoint or self.all[0], now_ns)

    def delivered(self, endpoint: Endpoint) -> None:
        """A connection to it has been healthy."""
        endpoint.failures = endpoint.closed_at_once = endpoint.asides = 0
        endpoint.free_ns, endpoint.retired = 0, False

    def is_notice(self, text: str) -> bool:
        """Whether these are the words of an endpoint that is no more."""
        said = text.lower()
        return any(word in said for word in self._words)

    def closed(self, endpoint: Endpoint, code: int, text: str, stood_ns: int, now_ns: Nanos) -> bool:
        """It ended a connection that stood so long, or refused one. True when it is retired now, and was not before."""
        if code == CLOSED_POLITELY and stood_ns < AT_ONCE_NS:
            endpoint.closed_at_once += 1
        elif stood_ns >= AT_ONCE_NS:
            endpoint.closed_at_once = 0
        if code != GONE and not self.is_notice(text) and endpoint.closed_at_once < CLOSED_AT_ONCE_MAX:
            return False
        news = not endpoint.retired
        if news:
            endpoint.retired, endpoint.asides = True, 0
        self.leave(endpoint, now_ns)
        return news
