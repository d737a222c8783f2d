"""A session's request goes to the venue's REST, or to the endpoint by which the venue is reached."""

from __future__ import annotations

import pytest

from oracle.collectors.asking import ask, rebased
from oracle.errors import LineError
from oracle.venues.base import Request


class Answering:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    async def ask(self, request: Request) -> bytes:
        self.asked.append(request)
        return b"said"


@pytest.mark.anyio
async def test_a_request_is_put_as_it_is_to_wherever_the_venue_is_reached() -> None:
    rest, request = Answering(), Request("https://a.example/pass?x=1", "BTC", "POST", '{"a":1}')
    assert await ask(rest, request, None) == b"said"
    await ask(rest, request, "ws://127.0.0.1:80/sim")
    assert rest.asked == [request, Request("http://127.0.0.1:80/sim/pass?x=1", "BTC", "POST", '{"a":1}')]


@pytest.mark.anyio
async def test_without_a_client_nothing_can_be_asked() -> None:
    with pytest.raises(LineError, match="no client"):
        await ask(None, Request("https://a.example/", ""), None)


def test_an_endpoint_replaces_where_but_not_what() -> None:
    assert rebased("wss://a.example:9443/ws?x=1", None) == "wss://a.example:9443/ws?x=1"
    assert rebased("wss://a.example:9443/ws?x=1", "ws://127.0.0.1:80") == "ws://127.0.0.1:80/ws?x=1"
    assert rebased("https://a.example/book?x=1", "ws://127.0.0.1:80/a/") == "http://127.0.0.1:80/a/book?x=1"
    assert rebased("https://a.example/book", "https://proxy") == "https://proxy/book"
    assert rebased("wss://a.example/ws", "https://proxy") == "wss://proxy/ws"
