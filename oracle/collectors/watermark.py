"""The highest (epoch, seq) that each sender was ever accepted with, known again after a kill -9.

Writing each number to the disk would cost a flush a message, so a ceiling is written ahead: numbers below it may be
used without the disk, and after a restart the ceiling itself is what must be exceeded. A file is replaced whole
(write, flush, rename, flush the folder), so a crash leaves the old one or the new one.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec

from oracle.errors import FeedError, ServiceError

BLOCK = 10_000  # numbers reserved at a time
AHEAD = BLOCK // 2  # the next block is reserved when fewer are left
NUMBER_MAX = (1 << 53) - 1  # what every JSON reader can hold

Mark = tuple[int, int]  # (epoch, seq)
_FIRST: Mark = (0, 0)


class Watermark:
    """One file, all keys. One event loop only."""

    def __init__(self, path: Path) -> None:
        """Read the file, if there is one. Raises ServiceError when it cannot be understood: nothing is guessed."""
        self._path = path
        self._ceilings: dict[str, Mark] = _load(path)
        self._last = dict(self._ceilings)
        self._writing = asyncio.Lock()
        self._ahead: dict[str, asyncio.Task[None]] = {}

    def floor(self, key: str) -> Mark:
        """What a message of this key has to exceed."""
        return self._last.get(key, _FIRST)

    async def raise_to(self, key: str, mark: Mark) -> None:
        """Accept `mark`, durably. Raises FeedError REPLAYED, or NOT_DURABLE when the disk refuses."""
        while not self.try_raise(key, mark):
            await self._reserve(key, mark)

    def try_raise(self, key: str, mark: Mark) -> bool:
        """Accept `mark` if no disk is needed for it; False when one is. Raises FeedError REPLAYED."""
        if mark <= self.floor(key):
            raise FeedError("REPLAYED", f"{mark} is not above {self.floor(key)}")
        ceiling = self._ceilings.get(key, _FIRST)
        if mark > ceiling:
            return False
        self._last[key] = mark
        if mark[0] == ceiling[0] and ceiling[1] - mark[1] < AHEAD and key not in self._ahead:
            task = asyncio.get_running_loop().create_task(self._reserve_ahead(key, ceiling))
            self._ahead[key] = task
        return True

    async def close(self) -> None:
        """Wait for what is being written. The file keeps the ceilings: a restart skips numbers, never repeats one."""
        await asyncio.gather(*self._ahead.values())

    async def _reserve_ahead(self, key: str, ceiling: Mark) -> None:
        try:
            await self._reserve(key, ceiling)
        except FeedError:
            pass  # the message that needs the block meets the disk itself, and is refused by name
        finally:
            del self._ahead[key]

    async def _reserve(self, key: str, mark: Mark) -> None:
        """Make the ceiling of `key` a block above `mark`, on the disk before in memory."""
        async with self._writing:
            ceiling = (mark[0], min(mark[1] + BLOCK, NUMBER_MAX))
            if ceiling <= self._ceilings.get(key, _FIRST):
                return
            ceilings = {**self._ceilings, key: ceiling}
            try:
                await asyncio.to_thread(_store, self._path, ceilings)
            except OSError as error:
                raise FeedError("NOT_DURABLE", str(error)) from error
            self._ceilings = ceilings


def _load(path: Path) -> dict[str, Mark]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Mark])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        raise ServiceError(
            f"{path}: cannot be read as the feed's watermark ({error}); without it replays cannot be refused: "
            "restore it, or delete it and change the secrets of every sender"
        ) from error


def _store(path: Path, ceilings: dict[str, Mark]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    with draft.open("wb") as stream:
        stream.write(msgspec.json.encode(ceilings))
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
