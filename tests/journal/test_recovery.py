"""Recovery keeps the longest valid prefix, sets the rest aside, and comes back with the memory of its last beat."""

from __future__ import annotations

import gzip
import os
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from oracle.core.params import World
from oracle.core.types import Beat, Value
from oracle.errors import JournalError, JournalSchemaError
from oracle.journal.chain import GENESIS
from oracle.journal.lines import BeatLine, HeadLine, StateLine
from oracle.journal.reader import Reader
from oracle.journal.recovery import Recovered, recover
from oracle.journal.stepping import this_version
from oracle.journal.verify import verify
from tests.journal.conftest import (
    EMPTY_WORLD,
    START_NS,
    STEP_NS,
    MakeScribe,
    TallyEngine,
    small_journal,
    trade_on,
    trading_beats,
    trading_world,
)

PARTS = 4  # a part may run beside another


def test_where_there_is_no_journal_everything_begins(tmp_path: Path) -> None:
    assert recover(tmp_path / "new", TallyEngine) == Recovered()


def test_the_memory_of_the_last_beat_comes_back(scribe: MakeScribe, tmp_path: Path) -> None:
    writing = scribe(tmp_path, snapshot_ms=3_000)
    writing.beats(47)
    writing.writer.close()
    found = recover(tmp_path, TallyEngine)
    assert found == Recovered(
        state_bytes=writing.engine.state(),
        segment=1,
        epoch=1,
        last_seq=47,
        last_ns=START_NS + 47 * STEP_NS,
        last_hash=writing.writer.last_hash,
        world=EMPTY_WORLD,
        replayed=17,
    )


def test_the_memory_of_the_real_engine_comes_back(tmp_path: Path, key: Ed25519PrivateKey) -> None:
    trade_on(tmp_path, key, 100, snapshot_ms=10_000)
    engine = this_version(trading_world(), None)
    for beat in trading_beats(1, 100):
        engine.step(beat)
    found = recover(tmp_path)
    assert (found.last_seq, found.differing, found.replayed) == (100, 0, 20)
    assert found.state_bytes == engine.state()


@pytest.mark.parametrize("part", range(PARTS))
def test_every_truncation_keeps_the_longest_valid_prefix(scribe: MakeScribe, memory_path: Path, part: int) -> None:
    data = small_journal(scribe, memory_path / "whole").read_bytes()
    lines = list(Reader(memory_path / "whole"))
    assert len(lines) == 64
    ends = [line.offset for line in lines[1:]] + [len(data)]
    expected = _memories(memory_path / "whole")
    directory = memory_path / "cut"
    directory.mkdir()
    path, side = directory / "journal-000001.jsonl", directory / "journal-000001.torn-1"
    for size in range(part, len(data) + 1, PARTS):
        path.write_bytes(data[:size])
        found = recover(directory, TallyEngine)
        whole = max((end for end in ends if end <= size), default=0)
        seq, memory = expected[whole]
        assert (found.last_seq, found.state_bytes) == (seq, memory)
        if whole == size:
            assert found.torn is None
            assert not side.exists()
        else:
            tail = data[whole:size]
            assert found.torn is not None
            assert (found.torn.offset, found.torn.bytes) == (whole, size - whole)
            assert found.torn.sha256 == sha256(tail).hexdigest()
            assert side.read_bytes() == tail, "nothing is deleted"
            side.unlink()
        assert path.exists() == (whole > 0)
        assert not whole or path.read_bytes() == data[:whole]


def _memories(directory: Path) -> dict[int, tuple[int, bytes | None]]:
    """The last seq and the memory after each line, by where the line ends."""
    made: dict[int, tuple[int, bytes | None]] = {0: (0, None)}
    engine, seq, memory = TallyEngine(EMPTY_WORLD, None), 0, None
    for line in Reader(directory):
        if isinstance(line.record, BeatLine):
            engine.step(msgspec.convert(("beat", *msgspec.structs.astuple(line.record)[:4]), type=Beat))
            seq, memory = line.record.seq, engine.state()
        elif isinstance(line.record, StateLine):
            memory = engine.state()
        made[line.offset + len(line.json) + 66] = (seq, memory)
    return made


def test_every_flip_before_the_last_lines_is_refused(scribe: MakeScribe, memory_path: Path) -> None:
    path = small_journal(scribe, memory_path)
    data = path.read_bytes()
    third_last = [line.offset for line in Reader(path)][-3]
    head = data.find(b"\n") + 1
    for place in range(0, third_last, 7):
        damaged = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        path.write_bytes(damaged)
        with pytest.raises(JournalError, match=r"this is no torn tail, so nothing was changed; run verify|newer"):
            recover(memory_path, TallyEngine)
        assert path.read_bytes() == damaged
    assert head < third_last


def test_rubbish_behind_the_last_line_is_set_aside_and_told_in_the_next_head(
    scribe: MakeScribe, memory_path: Path
) -> None:
    path = small_journal(scribe, memory_path)
    size = path.stat().st_size
    (memory_path / "journal-000001.torn-1").write_bytes(b"from another day")
    with path.open("ab") as stream:
        stream.write(b"\0" * 4096 + b"\n\xff\n")
    found = recover(memory_path, TallyEngine)
    assert (memory_path / "journal-000001.torn-2").read_bytes() == b"\0" * 4096 + b"\n\xff\n"
    scribe(memory_path, found).writer.close()
    head = list(Reader(memory_path))[-1].record
    assert isinstance(head, HeadLine)
    assert head.torn == found.torn
    assert head.torn is not None
    assert head.torn.offset == size
    assert verify(memory_path, TallyEngine).exit_code == 0


@pytest.mark.parametrize("begun", [b"", b"0123", b"0" * 64 + b' ["head",1,2,'])
def test_a_segment_whose_head_was_torn_is_begun_again(scribe: MakeScribe, memory_path: Path, begun: bytes) -> None:
    path = small_journal(scribe, memory_path)
    (memory_path / "journal-000002.jsonl").write_bytes(begun)
    found = recover(memory_path, TallyEngine)
    assert (found.segment, found.last_seq) == (1, 57)
    assert (found.torn.bytes if found.torn else 0) == len(begun)
    assert not (memory_path / "journal-000002.jsonl").exists()
    scribe(memory_path, found).writer.close()
    report = verify(memory_path, TallyEngine)
    assert (report.exit_code, report.segments) == (0, 2)
    assert path.name == "journal-000001.jsonl"


def test_a_segment_without_beats_takes_the_last_seq_from_before(scribe: MakeScribe, memory_path: Path) -> None:
    small_journal(scribe, memory_path)
    for _ in range(2):
        scribe(memory_path, recover(memory_path, TallyEngine)).writer.close()
    found = recover(memory_path, TallyEngine)
    assert (found.segment, found.epoch, found.last_seq, found.replayed) == (3, 3, 57, 0)
    assert found.state_bytes is not None


def test_a_journal_of_a_head_alone_has_no_beat(scribe: MakeScribe, memory_path: Path) -> None:
    scribe(memory_path).writer.close()
    found = recover(memory_path, TallyEngine)
    assert (found.last_seq, found.last_ns, found.state_bytes) == (0, 0, None)
    assert found.last_hash != GENESIS


def test_a_compressed_last_segment_is_read_and_never_cut(scribe: MakeScribe, memory_path: Path) -> None:
    path = small_journal(scribe, memory_path)
    data = path.read_bytes()
    path.unlink()
    packed = memory_path / "journal-000001.jsonl.gz"
    packed.write_bytes(gzip.compress(data))
    assert recover(memory_path, TallyEngine).last_seq == 57
    packed.write_bytes(gzip.compress(data[:-5]))
    with pytest.raises(JournalError, match="nothing was changed"):
        recover(memory_path, TallyEngine)


def test_beats_that_come_out_otherwise_are_counted(scribe: MakeScribe, memory_path: Path) -> None:
    small_journal(scribe, memory_path)
    assert recover(memory_path, Louder).differing == 7


class Louder(TallyEngine):
    """An engine that computes otherwise."""

    def __init__(self, world: World, state: bytes | None) -> None:
        super().__init__(world, state)
        self.memory.total += 1


class Fails(TallyEngine):
    """An engine that cannot compute."""

    def step(self, beat: Beat) -> tuple[Value, ...]:
        raise ArithmeticError("no")


def foreign(world: World, state: bytes | None) -> TallyEngine:
    raise msgspec.ValidationError("another shape")


def impossible(world: World, state: bytes | None) -> TallyEngine:
    raise ModuleNotFoundError("no such method")


def test_what_cannot_be_replayed_is_an_error(scribe: MakeScribe, memory_path: Path) -> None:
    small_journal(scribe, memory_path)
    with pytest.raises(JournalError, match="seq 31: the engine fails on a recorded beat: ArithmeticError"):
        recover(memory_path, Fails)
    with pytest.raises(JournalSchemaError, match="use the version that wrote it"):
        recover(memory_path, foreign)
    with pytest.raises(JournalError, match="no engine can be made"):
        recover(memory_path, impossible)


def test_a_newer_schema_is_refused_and_nothing_is_changed(scribe: MakeScribe, memory_path: Path) -> None:
    path = small_journal(scribe, memory_path)
    newer = path.read_bytes().replace(b'["head",2,', b'["head",3,')
    path.write_bytes(newer)
    with pytest.raises(JournalSchemaError, match="newer version"):
        recover(memory_path, TallyEngine)
    assert path.read_bytes() == newer


def test_a_system_that_fails_is_an_error(
    scribe: MakeScribe, memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = small_journal(scribe, memory_path)
    with path.open("ab") as stream:
        stream.write(b"torn")

    def fails(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(JournalError, match=r"cannot be recovered: .*Input/output error"):
        recover(memory_path, TallyEngine)
    assert path.read_bytes().endswith(b"torn"), "what could not be set aside stays where it is"
    assert not list(memory_path.glob("*.torn-*")), "and a service that is started again and again leaves no trace"
