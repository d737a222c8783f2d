"""Frames of Gate's v4 WebSocket, of whichever market, and what its Mimic makes of requests that are wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from oracle.errors import VenueError
from oracle.venues import base

AT_MS = 1_760_000_000_000
AT = AT_MS * 1_000_000


def dump(**fields: Any) -> bytes:
    """A message of these fields."""
    return json.dumps(fields, separators=(",", ":")).encode()


def push(named: str, result: Any, **other: Any) -> bytes:
    """A fact in its envelope; a field that is `...` is left out."""
    head = {"time": AT_MS // 1000, "time_ms": AT_MS + 5, "channel": named, "event": "update", "result": result}
    return dump(**{key: value for key, value in (head | other).items() if value is not ...})


def conversation(
    live: base.Session, mimic: base.Mimic, asked: Sequence[base.Send], channel: str, stranger: str
) -> None:
    """What the session asks is granted with a time; what nobody asks so is answered with an error."""
    for send in asked:
        (answer,) = mimic.hear(send.data, AT)
        assert json.loads(answer)["time"] == AT_MS // 1000
        assert live.receive(str(answer).encode(), AT) == []
    unknown = dump(channel=channel, event="subscribe", payload=[stranger]).decode()
    orders = channel.replace("trades", "orders")
    for wrong in ("no json", unknown, dump(channel=orders).decode(), dump(channel=channel, event="dance").decode()):
        (answer,) = mimic.hear(wrong, AT)
        with pytest.raises(VenueError, match="VENUE_ERROR"):
            live.receive(str(answer).encode(), AT)
