"""How a Session's requests are put to the venue's REST, at its own address or at the one it is reached by."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

from msgspec.structs import replace

from oracle.errors import LineError
from oracle.venues.base import Request


class Asker(Protocol):
    """Whatever answers a Session's requests."""

    async def ask(self, request: Request) -> bytes:
        """The body. Raises LineError."""
        ...


async def ask(rest: Asker | None, request: Request, endpoint: str | None) -> bytes:
    """The body of the answer. Raises LineError when there is none, or it is a refusal."""
    if rest is None:
        raise LineError("UNREACHABLE", "no client for requests")
    return await rest.ask(replace(request, url=rebased(request.url, endpoint)))


def rebased(url: str, endpoint: str | None) -> str:
    """The address with its scheme, host and port replaced by the endpoint's, whose path is put in front.

    A request keeps to HTTP and a stream to WebSocket, secure exactly when the endpoint is.
    """
    if endpoint is None:
        return url
    to, parts = urlsplit(endpoint), urlsplit(url)
    secure = to.scheme in ("wss", "https")
    scheme = ("wss" if secure else "ws") if parts.scheme in ("ws", "wss") else ("https" if secure else "http")
    return urlunsplit((scheme, to.netloc, to.path.rstrip("/") + parts.path, parts.query, ""))
