"""What the writer writes, when others hear of it, and that it never goes on after a failure."""

from __future__ import annotations

import asyncio
import gzip
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from oracle.errors import JournalError, JournalNotDurable
from oracle.journal import chain
from oracle.journal.keys import public_from_hex
from oracle.journal.lines import BeatLine, HeadLine, SealLine, StateLine
from oracle.journal.reader import Reader
from oracle.journal.recovery import Recovered, recover
from oracle.journal.verify import verify
from oracle.journal.writer import Durability, Opening, Writer
from tests.journal.conftest import EMPTY_WORLD, START_NS, MakeScribe, TallyEngine, beat_of

NOTHING: tuple[()] = ()


def test_every_kind_of_line_is_written(scribe: MakeScribe, tmp_path: Path, key: Ed25519PrivateKey) -> None:
    writing = scribe(tmp_path, snapshot_ms=500)
    writing.beats(10)
    lines = list(Reader(tmp_path))
    kinds = [type(line.record) for line in lines]
    assert kinds == [HeadLine, *[BeatLine] * 5, StateLine, *[BeatLine] * 5, SealLine, StateLine]
    head = lines[0].record
    assert isinstance(head, HeadLine)
    assert (head.segment, head.epoch, head.code_version, head.created_ns) == (1, 1, "test", START_NS)
    assert (head.previous, head.world, bytes(head.state)) == ("00" * 32, EMPTY_WORLD, b"null")
    seal = lines[12].record
    assert isinstance(seal, SealLine)
    message = chain.seal_message(lines[11].digest, seal.seq, seal.at_ns)
    public_from_hex(head.public_key).verify(bytes.fromhex(seal.signature), message)
    assert writing.writer.last_hash == lines[-1].digest
    assert writing.writer.bytes_written == writing.writer.path.stat().st_size


def test_a_line_is_in_the_file_before_anyone_hears_of_it(scribe: MakeScribe, tmp_path: Path) -> None:
    writing = scribe(tmp_path).writer
    seen: list[bool] = []
    writing.append(beat_of(1), NOTHING, lambda: seen.append(b'["beat",1,' in writing.path.read_bytes()))
    assert seen == [True]


def test_a_full_segment_is_followed_by_another_and_compressed(scribe: MakeScribe, tmp_path: Path) -> None:
    writing = scribe(tmp_path, segment_bytes_max=4_000, snapshot_ms=1_000_000)
    writing.beats(100)
    writing.writer.close()
    assert writing.writer.segment > 4
    report = verify(tmp_path, TallyEngine)
    assert (writing.writer.lines_total, writing.writer.bytes_total) == (report.counts.lines, report.counts.bytes)
    names = sorted(path.name for path in tmp_path.glob("journal-*"))
    assert names[-1] == f"journal-{writing.writer.segment:06d}.jsonl"
    assert names[0] == "journal-000001.jsonl.gz"
    report = verify(tmp_path, TallyEngine)
    assert (report.exit_code, report.notes, report.epochs) == (0, [], 1)
    assert (report.segments, report.counts.beats) == (writing.writer.segment, 100)


def test_segments_left_open_by_the_last_process_are_compressed(scribe: MakeScribe, tmp_path: Path) -> None:
    scribe(tmp_path).writer.close()
    (tmp_path / "journal-000001.jsonl.gz.tmp").write_bytes(b"half")
    writing = scribe(tmp_path, recover(tmp_path, TallyEngine)).writer
    assert (writing.segment, writing.epoch) == (2, 2)
    writing.close()
    writing.close()
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "journal.lock") == [
        "journal-000001.jsonl.gz",
        "journal-000002.jsonl",
    ]


def test_a_snapshot_is_due_by_time_and_by_size(scribe: MakeScribe, tmp_path: Path) -> None:
    writing = scribe(tmp_path, snapshot_ms=1_000, segment_bytes_max=1_000).writer
    assert not writing.snapshot_due(START_NS + 999_999_999)
    assert writing.snapshot_due(START_NS + 1_000_000_000)
    for seq in range(1, 8):
        writing.append(beat_of(seq), NOTHING)
    assert writing.snapshot_due(START_NS)


def test_two_writers_are_refused(scribe: MakeScribe, tmp_path: Path) -> None:
    scribe(tmp_path)
    with pytest.raises(JournalError, match="another process writes this journal"):
        scribe(tmp_path)
    with pytest.raises(JournalError, match="another process writes this journal"):
        recover(tmp_path, TallyEngine)


def test_a_writer_in_another_process_is_refused(scribe: MakeScribe, tmp_path: Path) -> None:
    scribe(tmp_path)
    code = "import sys, pathlib; from oracle.journal.disk import DirectoryLock as L; L(pathlib.Path(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert f"another process writes this journal (pid {os.getpid()})" in done.stderr


def test_a_recovery_that_is_out_of_date_is_refused(scribe: MakeScribe, tmp_path: Path) -> None:
    recovered = recover(tmp_path, TallyEngine)
    scribe(tmp_path).writer.close()
    with pytest.raises(JournalError, match="since the recovery"):
        scribe(tmp_path, recovered)
    scribe(tmp_path, recover(tmp_path, TallyEngine))  # and the lock was given back


def test_a_head_that_cannot_be_written_leaves_nothing_held(
    scribe: MakeScribe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def full(path: str, flags: int, mode: int = 0o777) -> int:
        return real("/dev/full", os.O_WRONLY) if str(path).endswith(".jsonl") else real(path, flags, mode)

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(JournalNotDurable, match="No space left"):
        scribe(tmp_path)
    monkeypatch.undo()
    scribe(tmp_path)


def test_a_segment_that_cannot_be_made_stops_everything(scribe: MakeScribe, tmp_path: Path) -> None:
    writing = scribe(tmp_path, segment_bytes_max=1)
    writing.writer.append(beat_of(1), NOTHING)
    (tmp_path / "journal-000002.jsonl").mkdir()
    for _ in range(2):
        with pytest.raises(JournalNotDurable, match="cannot be made"):
            writing.writer.snapshot(1, b"[1,1]")
    with pytest.raises(JournalNotDurable, match="cannot be made"):
        writing.writer.append(beat_of(2), NOTHING)
    with pytest.raises(JournalNotDurable, match="cannot be made"):
        writing.writer.seal(2, START_NS)


def test_a_closed_writer_writes_nothing(scribe: MakeScribe, tmp_path: Path) -> None:
    writing = scribe(tmp_path).writer
    writing.close()
    with pytest.raises(JournalNotDurable, match="the writer is closed"):
        writing.append(beat_of(1), NOTHING)


LIMITED = """
import resource, sys
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from oracle.core.params import World
from oracle.core.types import Beat
from oracle.errors import JournalNotDurable
from oracle.journal.recovery import Recovered
from oracle.journal.writer import Opening, Writer
world = World(methodology="m", configuration_hash="", sources=(), indices=(), perps=())
writer = Writer(Path(sys.argv[1]), Recovered(), Opening(world, None, "t", 1), Ed25519PrivateKey.generate())
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
told, failed = [], 0
for seq in range(1, 40):
    try:
        writer.append(Beat(seq, seq, (), 0), (), lambda: told.append(seq))
    except JournalNotDurable:
        failed += 1
print(told[-1], failed)
"""


def test_a_full_disk_stops_the_writer_and_recovery_goes_on_from_there(scribe: MakeScribe, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True)
    last, failed = map(int, done.stdout.split())
    assert last + failed == 39
    recovered = recover(tmp_path, TallyEngine)
    assert recovered.last_seq == last, "all that was published is there"
    assert recovered.torn is not None
    assert recovered.torn.offset + recovered.torn.bytes == 2000
    scribe(tmp_path, recovered).writer.close()
    assert verify(tmp_path, TallyEngine).exit_code == 0


@pytest.mark.anyio
async def test_synced_is_one_chain_too(scribe: MakeScribe, tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    options = {"durability": Durability.SYNCED, "loop": loop, "segment_bytes_max": 4_000, "snapshot_ms": 1_000_000}
    writing = scribe(tmp_path, **options)
    writing.beats(60)
    published = asyncio.Event()
    writing.writer.append(beat_of(61, quiet=True), NOTHING, published.set)
    await asyncio.wait_for(published.wait(), 10)
    writing.writer.close()
    report = verify(tmp_path, TallyEngine)
    assert (report.exit_code, report.counts.beats) == (0, 61)
    assert report.segments == writing.writer.segment > 2
    assert gzip.decompress((tmp_path / "journal-000001.jsonl.gz").read_bytes()).endswith(b"\n")


@pytest.mark.anyio
async def test_synced_tells_of_a_failure(
    tmp_path: Path, key: Ed25519PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    failed: asyncio.Future[JournalNotDurable] = loop.create_future()
    real = os.open

    def full(path: str, flags: int, mode: int = 0o777) -> int:
        return real("/dev/full", os.O_WRONLY) if str(path).endswith(".jsonl") else real(path, flags, mode)

    monkeypatch.setattr(os, "open", full)
    opening = Opening(EMPTY_WORLD, None, "test", START_NS)
    made = Writer(
        tmp_path, Recovered(), opening, key, durability=Durability.SYNCED, loop=loop, on_failure=failed.set_result
    )
    assert "No space left" in str(await asyncio.wait_for(failed, 10))
    with pytest.raises(JournalNotDurable):
        made.append(beat_of(1), NOTHING)
    made.close()


KILLED = """
import asyncio, sys
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from oracle.core.params import World
from oracle.core.types import Beat
from oracle.journal.recovery import recover
from oracle.journal.writer import Durability, Opening, Writer
directory, durability = Path(sys.argv[1]), Durability(sys.argv[2])
world = World(methodology="m", configuration_hash="", sources=(), indices=(), perps=())
class Silent:
    def __init__(self, world, state): pass
    def step(self, beat): return ()
    def state(self): return b"[0,0]"
async def main():
    found = recover(directory, Silent)
    opening = Opening(world, found.state_bytes, "t", 1)
    loop = asyncio.get_running_loop()
    writer = Writer(directory, found, opening, Ed25519PrivateKey.generate(), durability=durability, loop=loop,
                    segment_bytes_max=50_000, snapshot_ms=1)
    seq = found.last_seq
    while True:
        seq += 1
        writer.append(Beat(seq, seq * 10**5, (), 0), (), lambda seq=seq: print(seq, flush=True))
        if writer.snapshot_due(seq * 10**5):
            writer.snapshot(seq, b"[0,0]")
        await asyncio.sleep(0)
asyncio.run(main())
"""


@pytest.mark.parametrize("durability", list(Durability))
def test_killed_at_any_instant_nothing_published_is_lost(memory_path: Path, durability: Durability) -> None:
    last = 0
    for life in range(4):
        command = [sys.executable, "-c", KILLED, str(memory_path), durability.value]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            heard = [int(process.stdout.readline()) for _ in range(200 * life + 37)]
            process.send_signal(signal.SIGKILL)
            heard += [int(line) for line in process.stdout if line.endswith("\n")]
        assert heard == list(range(last + 1, heard[-1] + 1)), "no gap, and nothing twice"
        recovered = recover(memory_path, TallyEngine)
        assert recovered.last_seq >= heard[-1]
        assert recovered.epoch == life + 1
        last = recovered.last_seq
    report = verify(memory_path, TallyEngine)
    assert (report.exit_code, report.counts.beats, report.epochs) == (0, last, 4)
