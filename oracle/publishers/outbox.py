"""What waits to be sent to one subscriber: bounded in messages and in bytes, and never silently short.

Live messages are shared bytes in a queue; a resumption is a backlog of messages that the hub keeps anyway, made into
bytes one at a time as the reader takes them. When the queue passes a bound it is emptied and the subscriber is cut.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

MESSAGES_MAX = 256
BYTES_MAX = 1 << 20


def _no_pressure() -> int:
    return 0


class Outbox:
    """The queue of one subscriber. `pressure` tells how many bytes already wait in his transport."""

    __slots__ = ("_backlog", "_bytes", "_bytes_max", "_messages_max", "_pressure", "_queue", "_ready", "overflowed")

    def __init__(
        self,
        messages_max: int = MESSAGES_MAX,
        bytes_max: int = BYTES_MAX,
        pressure: Callable[[], int] = _no_pressure,
    ) -> None:
        self.overflowed = False
        self._messages_max, self._bytes_max, self._pressure = messages_max, bytes_max, pressure
        self._queue: deque[tuple[str, bytes]] = deque()
        self._backlog: deque[tuple[str, Callable[[], bytes]]] = deque()
        self._bytes = 0
        self._ready = asyncio.Event()

    def put(self, data: bytes, instrument: str = "") -> bool:
        """Queue a message; False when that was one too many: the subscriber is cut and nothing more is kept."""
        if self.overflowed:
            return False
        self._queue.append((instrument, data))
        self._bytes += len(data)
        waiting = len(self._queue)
        if waiting > self._messages_max or (waiting > 1 and self._bytes + self._pressure() > self._bytes_max):
            self.cut()
        self._ready.set()
        return not self.overflowed

    def replay(self, instrument: str, messages: Iterable[Callable[[], bytes]]) -> None:
        """Send these first: what the subscriber missed of an instrument."""
        self._backlog.extend((instrument, message) for message in messages)
        self._ready.set()

    def forget(self, instrument: str) -> None:
        """Send nothing more of an instrument, not even what waits."""
        self._queue = deque(item for item in self._queue if item[0] != instrument)
        self._backlog = deque(item for item in self._backlog if item[0] != instrument)
        self._bytes = sum(len(data) for _, data in self._queue)

    def cut(self) -> None:
        """The subscriber is too slow: drop what waits and wake whoever sends, so that he is told."""
        self.overflowed = True
        self._queue.clear()
        self._backlog.clear()
        self._bytes = 0
        self._ready.set()

    async def take(self) -> bytes | None:
        """The next message, as soon as there is one; None once the subscriber is cut."""
        while not (self._queue or self._backlog or self.overflowed):
            self._ready.clear()
            await self._ready.wait()
        if self.overflowed:
            return None
        if self._backlog:
            await asyncio.sleep(0)  # a long resumption must not keep the loop from turning
            return self._take_backlog() or await self.take()
        return self._take_queue()

    def _take_backlog(self) -> bytes | None:
        return self._backlog.popleft()[1]() if self._backlog else None

    def _take_queue(self) -> bytes:
        data = self._queue.popleft()[1]
        self._bytes -= len(data)
        return data

    def __len__(self) -> int:
        return len(self._queue) + len(self._backlog)
