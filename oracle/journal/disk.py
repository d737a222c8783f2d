"""How bytes become durable: a sink for each degree of durability, the lock of a directory, compression of old files.

Fail-stop: after the first error a sink takes nothing more, so a line is never followed by one that skips it. What an
error left half written, recovery takes off.
"""

from __future__ import annotations

import fcntl
import gzip
import os
from asyncio import AbstractEventLoop
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Condition, Thread
from typing import NamedTuple, Protocol, TypeAlias

import structlog

from oracle.errors import JournalError, JournalNotDurable

LINES_WAITING_MAX = 16_384
COPY_BYTES = 1 << 18
LOCK_NAME = "journal.lock"
log = structlog.get_logger()

Then: TypeAlias = Callable[[], object]


class Sink(Protocol):
    """Takes lines in order, each with what is to happen once it is durable."""

    def write(self, line: bytes, then: Then | None) -> None:
        """Take a line. Raises JournalNotDurable."""
        ...

    def turn_to(self, descriptor: int, then: Then) -> None:
        """Close the file, call `then`, and go on in another one."""
        ...

    def close(self) -> None:
        """Make durable what was taken, and close the file. Raises nothing: whoever waits is not told."""
        ...


class Written(Sink):
    """A line is durable when the operating system has it: it survives the death of this process."""

    def __init__(self, descriptor: int, directory: Path) -> None:
        self._descriptor, self._directory = descriptor, directory
        self._failure: str | None = None

    def write(self, line: bytes, then: Then | None) -> None:
        """Write the line and call `then` before returning. Raises JournalNotDurable."""
        if self._failure is not None:
            raise JournalNotDurable(self._failure, path=self._directory)
        try:
            put(self._descriptor, line)
        except OSError as error:
            self._failure = str(error)
            raise JournalNotDurable(self._failure, path=self._directory) from error
        if then is not None:
            then()

    def turn_to(self, descriptor: int, then: Then) -> None:
        """Close the file, call `then`, and go on in another one."""
        os.close(self._descriptor)
        self._descriptor = descriptor
        then()

    def close(self) -> None:
        """Close the file."""
        _close_synced(self._descriptor)


class _Line(NamedTuple):
    data: bytes
    then: Then | None


class _Turn(NamedTuple):
    descriptor: int  # of the file to go on in
    then: Then


class Synced(Sink):
    """A line is durable when the disk has it. A thread writes whatever has gathered and syncs once for all of it.

    `then` and `on_failure` are called in the loop, `then` in the order of the lines.
    """

    def __init__(
        self,
        descriptor: int,
        directory: Path,
        loop: AbstractEventLoop,
        on_failure: Callable[[JournalNotDurable], object],
    ) -> None:
        self._descriptor, self._directory, self._loop, self._on_failure = descriptor, directory, loop, on_failure
        self._waiting: list[_Line | _Turn] = []
        self._changed = Condition()
        self._closing = False
        self._failure: str | None = None
        self._thread = Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def write(self, line: bytes, then: Then | None) -> None:
        """Hand the line to the thread. Raises JournalNotDurable after a failure, or when the disk is too far behind."""
        self._hand_over(_Line(line, then))

    def turn_to(self, descriptor: int, then: Then) -> None:
        """Have the thread close the file, call `then`, and go on in another one."""
        self._hand_over(_Turn(descriptor, then))

    def close(self) -> None:
        """Wait until everything handed over is on the disk, and close the file."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        _close_synced(self._descriptor)

    def _hand_over(self, item: _Line | _Turn) -> None:
        with self._changed:
            if self._failure is None and len(self._waiting) >= LINES_WAITING_MAX:
                self._failure = f"the disk is {LINES_WAITING_MAX} lines behind"
            if self._failure is not None:
                raise JournalNotDurable(self._failure, path=self._directory)
            self._waiting.append(item)
            self._changed.notify()

    def _run(self) -> None:
        try:
            sync_directory(self._directory)
            while batch := self._take():
                self._commit(batch)
        except OSError as error:
            with self._changed:
                self._failure = str(error)
            self._call(self._on_failure, JournalNotDurable(str(error), path=self._directory))

    def _take(self) -> list[_Line | _Turn]:
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            batch, self._waiting = self._waiting, []
            return [] if self._failure is not None else batch

    def _commit(self, batch: list[_Line | _Turn]) -> None:
        """Write and sync what lies between two turns at once, then let the loop tell everyone in order."""
        gathered: list[_Line] = []
        for item in batch:
            if isinstance(item, _Line):
                gathered.append(item)
                continue
            self._sync(gathered)
            gathered = []
            os.close(self._descriptor)
            self._descriptor = item.descriptor
            sync_directory(self._directory)
            item.then()
        self._sync(gathered)

    def _sync(self, gathered: list[_Line]) -> None:
        if not gathered:
            return
        put(self._descriptor, b"".join(line.data for line in gathered))
        os.fdatasync(self._descriptor)
        if waiters := [line.then for line in gathered if line.then is not None]:
            self._call(_call_all, waiters)

    def _call(self, function: Callable[..., object], argument: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, argument)
        except RuntimeError:
            # The loop is closed: the lines are safe, and nobody is left to be told.
            log.warning("journal.nobody_listens", path=str(self._directory))


def _call_all(waiters: list[Then]) -> None:
    for then in waiters:
        then()


def put(descriptor: int, data: bytes) -> None:
    """Write all of the bytes by one call. Raises OSError, also when the system takes only some of them."""
    written = os.write(descriptor, data)
    if written != len(data):
        raise OSError(f"only {written} of {len(data)} bytes were written: the disk is full, or a limit was met")


def _close_synced(descriptor: int) -> None:
    try:
        os.fdatasync(descriptor)
    except OSError as error:
        log.warning("journal.last_sync_failed", error=str(error))
    os.close(descriptor)


class DirectoryLock:
    """The right to write in a directory: one process has it, and loses it when it dies."""

    def __init__(self, directory: Path) -> None:
        """Take the lock; make the directory if need be. Raises JournalError when another process has it."""
        path = directory / LOCK_NAME
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise JournalError(f"cannot be opened for writing: {error.strerror}", path=path) from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            remedy = "stop it, or use another --data-dir"
            raise JournalError(f"another process writes this journal (pid {owner}): {remedy}", path=directory) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give the right up."""
        os.close(self._descriptor)


class Compressor:
    """Compresses closed segments in a thread. The original goes only when its compressed copy is safe on the disk."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "journal-gz")

    def submit(self, path: Path) -> None:
        """Compress a closed segment when its turn comes. A failure is logged, and the original stays as it is."""
        self._pool.submit(self._compress, path)

    def close(self) -> None:
        """Finish what is being done, leave the rest for the next start."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _compress(self, path: Path) -> None:
        try:
            compress(path)
        except OSError as error:
            log.warning("journal.compression_failed", path=str(path), error=str(error))


def compress(path: Path) -> None:
    """Replace a file by its gzip copy, so that at every instant one of them is whole. Raises OSError."""
    unfinished = path.with_name(path.name + ".gz.tmp")
    with path.open("rb") as source, unfinished.open("wb") as raw:
        with gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
            while block := source.read(COPY_BYTES):
                packed.write(block)
        raw.flush()
        os.fsync(raw.fileno())
    unfinished.rename(path.with_name(path.name + ".gz"))
    sync_directory(path.parent)
    path.unlink()


def sync_directory(directory: Path) -> None:
    """Make created, renamed and removed names durable. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def free_bytes(directory: Path) -> int:
    """Bytes that may still be written on the disk of a directory. Raises OSError."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize
