"""One piece of a journal by itself: what it says of its ends, and what it does not hold against its neighbours."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from oracle.core import wire
from oracle.core.types import Beat, PremiumSample, Value
from oracle.errors import JournalSchemaError, JournalUnreadable
from oracle.journal import chain
from oracle.journal.audit import Counts, Kind, Piece, audit, digest_in
from oracle.journal.reader import Reader
from tests.journal.conftest import EMPTY_WORLD, MakeScribe, TallyEngine, beat_of


def piece_of(path: Path, start: int = 0, end: int | None = None, before: bytes | None = None) -> Piece:
    return Piece(path, start, end, end is None, before)


def half_a_minute(scribe: MakeScribe, directory: Path) -> Path:
    """Beats of six seconds with a state after the third."""
    writing = scribe(directory, snapshot_ms=3_000)
    writing.beats(59)
    writing.writer.close()
    return writing.writer.path


def test_a_whole_segment_tells_its_ends(scribe: MakeScribe, memory_path: Path) -> None:
    path = half_a_minute(scribe, memory_path)
    found = audit(piece_of(path), TallyEngine)
    assert (found.findings_total, found.notes, found.torn) == (0, [], None)
    assert (found.order.first_seq, found.order.last_seq, found.seq) == (1, 59, 59)
    assert (found.order.first_values, found.order.last_values) == ({"X": 1}, {"X": 59})
    assert found.head is not None
    assert found.head.world == EMPTY_WORLD
    assert found.memory == sha256(wire.encode([59, sum(range(60))])).digest()
    assert found.follows == (chain.written_digest(path.read_bytes().splitlines()[-1]),)


def test_two_pieces_are_the_whole(scribe: MakeScribe, memory_path: Path) -> None:
    path = half_a_minute(scribe, memory_path)
    lines = list(Reader(path))
    place = next(n for n, line in enumerate(lines) if line.json.startswith(b'["state"'))
    start, end = lines[place].offset, lines[place + 1].offset
    first = audit(piece_of(path, 0, end), TallyEngine)
    second = audit(piece_of(path, start, None, lines[place - 1].digest), TallyEngine)
    whole = audit(piece_of(path), TallyEngine)
    assert first.findings + second.findings == []
    assert (first.order.last_seq, second.order.first_seq) == (30, 31)
    assert second.head is None
    assert (second.follows, second.memory) == (whole.follows, whole.memory)
    total = Counts()
    total.add(first.counts)
    total.add(second.counts)
    assert total == whole.counts


def test_a_piece_behind_a_damaged_memory_is_only_chained(scribe: MakeScribe, memory_path: Path) -> None:
    path = half_a_minute(scribe, memory_path)
    data = path.read_bytes()
    start = data.find(b'["state"') - chain.JSON_AT
    path.write_bytes(data.replace(b'["state"', b'["stade"'))
    found = audit(piece_of(path, start, None, bytes(32)), TallyEngine)
    assert (found.findings_total, found.counts.beats, found.counts.recomputed) == (0, 29, 0)


def test_a_newer_head_is_seen_from_the_middle_too(scribe: MakeScribe, memory_path: Path) -> None:
    path = half_a_minute(scribe, memory_path)
    data = path.read_bytes().replace(b'["head",2,', b'["head",3,')
    path.write_bytes(data)
    with pytest.raises(JournalSchemaError):
        audit(piece_of(path, data.find(b'["state"') - chain.JSON_AT), TallyEngine)


def test_what_is_not_there_or_no_journal_cannot_be_audited(tmp_path: Path) -> None:
    with pytest.raises(JournalUnreadable):
        audit(piece_of(tmp_path / "absent"), TallyEngine)
    (tmp_path / "letter").write_bytes(b"Dear all,\n")
    with pytest.raises(JournalUnreadable, match="no journal"):
        audit(piece_of(tmp_path / "letter"), TallyEngine)


class Stutters(TallyEngine):
    """Says a value twice, the second time with another seq."""

    def step(self, beat: Beat) -> tuple[Value, ...]:
        said = super().step(beat)
        (first,) = (value for value in said if isinstance(value, PremiumSample))
        return (first, PremiumSample("X", first.seq + 1, beat.at_ns, None, None, None, None, ()))


def test_values_of_one_beat_share_their_seq(scribe: MakeScribe, memory_path: Path) -> None:
    writing = scribe(memory_path)
    engine = Stutters(EMPTY_WORLD, None)
    for seq in (1, 2):
        writing.writer.append(beat_of(seq), engine.step(beat_of(seq)))
    found = audit(piece_of(writing.writer.path), Stutters)
    assert [f.kind for f in found.findings] == [Kind.SEQUENCE] * 2
    assert found.findings[0].text == "X: seqs 1 and 2 in one beat"


def test_a_digest_is_hex_or_equals_nothing() -> None:
    assert digest_in("0a" * 32) == b"\n" * 32
    assert digest_in("no hex") == b""
