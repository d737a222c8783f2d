"""Durability against real devices that fail: a full one, one that errs, one that takes only some of the bytes."""

from __future__ import annotations

import asyncio
import errno
import gzip
import os
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest

from oracle.errors import JournalError, JournalNotDurable
from oracle.journal import disk
from oracle.journal.disk import Compressor, DirectoryLock, Synced, Written

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
ERRS = Path("/proc/self/mem")  # writing to address 0 is an input/output error
needs_errs = pytest.mark.skipif(not ERRS.exists(), reason="this system has no /proc/self/mem")


def opened(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


def test_written_calls_then_before_it_returns(tmp_path: Path) -> None:
    sink = Written(opened(tmp_path / "a"), tmp_path)
    seen: list[bytes] = []
    sink.write(b"one\n", lambda: seen.append((tmp_path / "a").read_bytes()))
    sink.write(b"two\n", None)
    sink.turn_to(opened(tmp_path / "b"), lambda: seen.append(b"turned"))
    sink.write(b"three\n", None)
    sink.close()
    assert seen == [b"one\n", b"turned"]
    assert (tmp_path / "a").read_bytes() == b"one\ntwo\n"
    assert (tmp_path / "b").read_bytes() == b"three\n"


@pytest.mark.parametrize(
    ("device", "code"),
    [
        pytest.param(FULL, errno.ENOSPC, marks=needs_full),
        pytest.param(ERRS, errno.EIO, marks=needs_errs),
    ],
)
def test_a_failing_device_stops_everything(tmp_path: Path, device: Path, code: int) -> None:
    sink = Written(os.open(device, os.O_WRONLY), tmp_path)
    heard: list[int] = []
    for _ in range(2):
        with pytest.raises(JournalNotDurable, match=os.strerror(code)):
            sink.write(b"line\n", lambda: heard.append(1))
    assert heard == []
    sink.close()


SHORT = """
import os, resource, sys
from pathlib import Path
from oracle.errors import JournalNotDurable
from oracle.journal.disk import Written
path = Path(sys.argv[1])
sink = Written(os.open(path / "a", os.O_WRONLY | os.O_CREAT | os.O_APPEND), path)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
told = []
for n in range(12):
    try:
        sink.write(b"%015d\\n" % n, lambda: told.append(n))
    except JournalNotDurable as error:
        print(n, len(told), error)
"""


def test_a_line_that_is_written_in_part_is_the_last(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SHORT, str(tmp_path)], capture_output=True, text=True, check=True)
    failures = done.stdout.splitlines()
    assert len(failures) == 12 - 6
    assert "only 4 of 16 bytes were written" in failures[0]
    assert all(line.split()[1] == "6" for line in failures), "nobody hears of a line that is not there"
    assert (tmp_path / "a").stat().st_size == 100


def test_bytes_that_are_taken_only_in_part_are_an_error() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with pytest.raises(OSError, match=r"only \d+ of 10000000 bytes were written"):
        disk.put(writing, bytes(10_000_000))
    os.close(reading)
    os.close(writing)


@pytest.mark.anyio
async def test_synced_calls_then_in_order_in_the_loop(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    sink = Synced(opened(tmp_path / "a"), tmp_path, loop, lambda error: pytest.fail(str(error)))
    heard: list[int] = []
    last = asyncio.Event()
    for n in range(100):
        sink.write(b"%d\n" % n, lambda n=n: heard.append(n))  # type: ignore[misc]
    assert heard == [], "not before the loop turns"
    turned = Event()
    sink.turn_to(opened(tmp_path / "c"), lambda: None)
    sink.turn_to(opened(tmp_path / "b"), turned.set)
    sink.write(b"in b\n", last.set)
    sink.write(b"nobody asks\n", None)
    await asyncio.wait_for(last.wait(), 10)
    assert heard == list(range(100))
    assert turned.is_set()
    sink.close()
    assert (tmp_path / "a").read_bytes() == b"".join(b"%d\n" % n for n in range(100))
    assert (tmp_path / "b").read_bytes() == b"in b\nnobody asks\n"


@needs_full
@pytest.mark.anyio
async def test_synced_reports_a_full_device_and_stops(tmp_path: Path) -> None:
    failed: asyncio.Future[JournalNotDurable] = asyncio.get_running_loop().create_future()
    sink = Synced(os.open(FULL, os.O_WRONLY), tmp_path, asyncio.get_running_loop(), failed.set_result)
    heard: list[int] = []
    sink.write(b"line\n", lambda: heard.append(1))
    error = await asyncio.wait_for(failed, 10)
    assert "No space left" in str(error)
    with pytest.raises(JournalNotDurable, match="No space left"):
        sink.write(b"line\n", None)
    assert heard == []
    sink.close()


@pytest.mark.anyio
async def test_a_disk_too_far_behind_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "LINES_WAITING_MAX", 3)
    stuck, go_on = Event(), Event()

    def slow(descriptor: int) -> None:
        stuck.set()
        go_on.wait(10)

    monkeypatch.setattr(os, "fdatasync", slow)
    sink = Synced(opened(tmp_path / "a"), tmp_path, asyncio.get_running_loop(), lambda error: None)
    sink.write(b"0\n", None)
    assert stuck.wait(10)
    for _ in range(3):
        sink.write(b"1\n", None)
    for _ in range(2):
        with pytest.raises(JournalNotDurable, match="3 lines behind"):
            sink.write(b"2\n", None)
    go_on.set()
    sink.close()
    assert (tmp_path / "a").read_bytes() == b"0\n", "nothing is written after a failure"


def test_a_loop_that_is_gone_is_told_nothing(tmp_path: Path) -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    sink = Synced(opened(tmp_path / "a"), tmp_path, loop, lambda error: None)
    sink.write(b"line\n", lambda: None)
    sink.close()
    assert (tmp_path / "a").read_bytes() == b"line\n"


def test_one_directory_has_one_writer(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path / "new" / "journal")
    with pytest.raises(JournalError, match=f"another process writes this journal .pid {os.getpid()}."):
        DirectoryLock(tmp_path / "new" / "journal")
    lock.release()
    DirectoryLock(tmp_path / "new" / "journal").release()


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(JournalError, match="cannot be opened for writing"):
        DirectoryLock(tmp_path / "file")


def test_compression_replaces_a_file_by_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "journal-000001.jsonl"
    data = os.urandom(1 << 19)
    path.write_bytes(data)
    compressor = Compressor()
    compressor.submit(path)
    compressor.close()
    assert [p.name for p in tmp_path.iterdir()] == ["journal-000001.jsonl.gz"]
    assert gzip.decompress((tmp_path / "journal-000001.jsonl.gz").read_bytes()) == data


def test_a_failed_compression_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "journal-000001.jsonl"
    path.write_bytes(b"line\n")
    (tmp_path / "journal-000001.jsonl.gz.tmp").mkdir()
    compressor = Compressor()
    compressor.submit(path)
    compressor.close()
    assert path.read_bytes() == b"line\n"
    assert "journal.compression_failed" in capsys.readouterr().out


def test_a_last_sync_that_fails_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sink = Written(opened(tmp_path / "a"), tmp_path)

    def fails(descriptor: int) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "fdatasync", fails)
    sink.close()
    assert "journal.last_sync_failed" in capsys.readouterr().out


def test_free_bytes_is_what_the_system_says(tmp_path: Path) -> None:
    found = os.statvfs(tmp_path)
    assert abs(disk.free_bytes(tmp_path) - found.f_bavail * found.f_frsize) < 1 << 30
    with pytest.raises(OSError, match="No such file"):
        disk.free_bytes(tmp_path / "absent")
