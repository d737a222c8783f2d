"""The operators' door: a socket file in the data folder, for orders that change states and never a value.

Whoever may use the file may give orders; the operating system says who that is, and the order carries the name into
the journal, so no order is anonymous. One line of JSON asks: `{"action", "target", "reason"}`; one line answers.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

from oracle.clock import Clock
from oracle.core.params import Role, World
from oracle.core.types import Action, Command, Observation

LINE_BYTES_MAX = 4_096
ASK_S = 5.0
REASON_CHARS_MAX = 500
ON_SOURCES = (Action.EXCLUDE, Action.INCLUDE)
ORDERS = (Action.HALT, Action.RESUME, Action.ACKNOWLEDGE, Action.SUSPEND, Action.UNSUSPEND, *ON_SOURCES)

_log = structlog.get_logger()


class Order(Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked for."""

    action: Action
    target: str
    reason: str


class Answer(Struct, frozen=True):
    """What became of it; `problem` is empty when it was taken."""

    problem: str = ""


_decode = msgspec.json.Decoder(Order).decode


class OrderDoor:
    """Listens on a socket file that only its owner may use. Construct, `start`, `stop`."""

    def __init__(self, world: World, put: Callable[[Observation], None], clock: Clock, path: Path) -> None:
        self._put, self._clock, self._path = put, clock, path
        self._instruments = {"*", *(index.id for index in world.indices)}
        self._sources = {source.name for source in world.sources if source.role is not Role.ENGINE}
        self._server: asyncio.AbstractServer | None = None

    async def start(self) -> None:
        """Listen. Where there are no socket files, or the path is too long, there is no door, and a log line."""
        with suppress(FileNotFoundError):
            self._path.unlink()
        mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=LINE_BYTES_MAX)
        except (OSError, NotImplementedError) as error:
            _log.warning("orders.disabled", path=str(self._path), reason=str(error))
        finally:
            os.umask(mask)

    async def stop(self) -> None:
        """Stop listening and take the file away."""
        if self._server is not None:
            self._server.close()
            with suppress(FileNotFoundError):
                self._path.unlink()

    def judge(self, line: bytes, by: str) -> str:
        """Take an order into the next beat; the answer is what is wrong with it, or empty."""
        try:
            order = _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return f"not an order: {error}"
        if order.action not in ORDERS:
            return f"{order.action} is the service's own: an order is one of {', '.join(ORDERS)}"
        known = self._sources if order.action in ON_SOURCES else self._instruments
        if order.target not in known:
            return f"{order.action} knows no {order.target!r}: it takes {', '.join(sorted(known))}"
        if not order.reason.strip() or len(order.reason) > REASON_CHARS_MAX:
            return f"an order needs a reason of 1 to {REASON_CHARS_MAX} characters"
        self._put(Command(order.action, order.target, by, order.reason.strip(), self._clock.now_ns()))
        _log.warning("orders.taken", action=str(order.action), target=order.target, by=by, reason=order.reason.strip())
        return ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(ASK_S):
                line = await reader.readline()
            problem = self.judge(line, _peer(writer))
            writer.write(msgspec.json.encode(Answer(problem)) + b"\n")
            await writer.drain()
        except (TimeoutError, ValueError, ConnectionError):
            pass  # whoever says nothing, too much, or leaves has given no order
        finally:
            writer.close()


def _peer(writer: asyncio.StreamWriter) -> str:
    """The user at the other end, as the kernel knows him."""
    if not hasattr(socket, "SO_PEERCRED"):
        return "operator"
    import pwd  # where there are peer credentials there are users

    line = writer.get_extra_info("socket")
    _, user, _ = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    try:
        return f"operator:{pwd.getpwuid(user).pw_name}"
    except KeyError:
        return f"operator:uid {user}"
