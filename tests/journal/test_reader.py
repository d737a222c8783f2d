"""The verified walk over a journal's files, and what it says of those that are not whole."""

from __future__ import annotations

import gzip
from hashlib import sha256
from pathlib import Path

import pytest

from oracle.errors import JournalError, JournalSchemaError, JournalUnreadable
from oracle.journal import chain, reader
from oracle.journal.lines import BeatLine, HeadLine
from oracle.journal.reader import Reader, first_previous, listed, raw_lines, read_head, segments
from oracle.journal.recovery import recover
from tests.journal.conftest import MakeScribe, TallyEngine


def lived_twice(scribe: MakeScribe, directory: Path) -> tuple[Path, Path]:
    """A compressed segment and an open one."""
    first = scribe(directory)
    first.beats(12)
    first.writer.close()
    second = scribe(directory, recover(directory, TallyEngine))
    second.beats(3)
    second.writer.close()
    return directory / "journal-000001.jsonl.gz", second.writer.path


def test_all_segments_are_walked_in_order(scribe: MakeScribe, tmp_path: Path) -> None:
    packed, plain = lived_twice(scribe, tmp_path)
    walk = Reader(tmp_path)
    lines = list(walk)
    assert [line.record.seq for line in lines if isinstance(line.record, BeatLine)] == list(range(1, 16))
    assert [line.path for line in lines if isinstance(line.record, HeadLine)] == [packed, plain]
    data = gzip.decompress(packed.read_bytes())
    for line in lines[:14]:
        assert data[line.offset :].startswith(line.digest.hex().encode() + b" " + line.json + b"\n")
    assert walk.torn is None
    assert [line.offset for line in walk] == [line.offset for line in lines], "it can be walked again"


def test_one_file_alone_can_be_walked(scribe: MakeScribe, tmp_path: Path) -> None:
    packed, plain = lived_twice(scribe, tmp_path)
    assert len(list(Reader(packed))) == 14
    assert len(list(Reader(plain))) == 4
    renamed = plain.rename(tmp_path / "sent-by-mail.txt")
    assert segments(renamed)[0].number == 0
    assert len(list(Reader(renamed))) == 4


def test_a_plain_file_wins_over_its_compressed_copy(scribe: MakeScribe, tmp_path: Path) -> None:
    packed, plain = lived_twice(scribe, tmp_path)
    packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    assert [segment.path for segment in listed(tmp_path)] == [packed.with_suffix(""), plain]


def test_a_file_compressed_since_it_was_listed_is_found(scribe: MakeScribe, tmp_path: Path) -> None:
    packed, _ = lived_twice(scribe, tmp_path)
    assert len(list(raw_lines(packed.with_suffix("")))) == 14
    with pytest.raises(JournalUnreadable, match="No such file"):
        list(raw_lines(tmp_path / "journal-000009.jsonl"))


def test_a_torn_end_is_told_and_not_walked(scribe: MakeScribe, tmp_path: Path) -> None:
    _, plain = lived_twice(scribe, tmp_path)
    whole = plain.stat().st_size
    with plain.open("ab") as stream:
        stream.write(b"abc")
    walk = Reader(tmp_path)
    assert len(list(walk)) == 18
    assert walk.torn is not None
    assert (walk.torn.bytes, walk.torn.offset, walk.torn.sha256) == (3, whole, sha256(b"abc").hexdigest())


def test_a_broken_chain_ends_the_walk_with_its_place(scribe: MakeScribe, tmp_path: Path) -> None:
    packed, plain = lived_twice(scribe, tmp_path)
    data = plain.read_bytes()
    second = data.find(b"\n") + 1
    plain.write_bytes(data[:second] + b"0" * 64 + data[second + 64 :])
    with pytest.raises(JournalError, match=f"{plain.name} @{second}: the chain breaks here"):
        list(Reader(tmp_path))
    packed.write_bytes(gzip.compress(gzip.decompress(packed.read_bytes())[:-1]))
    with pytest.raises(JournalError, match=r"000001.jsonl.gz @\d+: the chain breaks here"):
        list(Reader(tmp_path))


def test_a_segment_of_another_journal_does_not_follow(scribe: MakeScribe, tmp_path: Path) -> None:
    _, plain = lived_twice(scribe, tmp_path / "a")
    other = scribe(tmp_path / "b")
    other.beats(12)
    other.writer.seal(12, 1)
    other.writer.close()
    second = scribe(tmp_path / "b", recover(tmp_path / "b", TallyEngine))
    second.writer.close()
    plain.write_bytes(second.writer.path.read_bytes())
    with pytest.raises(JournalError, match=r"000002\.jsonl @0: the chain breaks here"):
        list(Reader(tmp_path / "a"))


def test_damaged_compression_is_an_error_with_its_place(scribe: MakeScribe, tmp_path: Path) -> None:
    packed, _ = lived_twice(scribe, tmp_path)
    data = packed.read_bytes()
    for damaged in (data[:-20], data[:40] + b"\xff\xff\xff\xff" + data[44:], b"no gzip at all"):
        packed.write_bytes(damaged)
        with pytest.raises(JournalError, match="compressed file is damaged"):
            list(raw_lines(packed))


def test_what_is_no_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(JournalUnreadable, match="no journal here"):
        segments(tmp_path)
    with pytest.raises(JournalUnreadable, match="No such file"):
        segments(tmp_path / "absent")
    path = tmp_path / "journal-000001.jsonl"
    monkeypatch.setattr(reader, "LINE_BYTES_MAX", 100)
    path.write_bytes(b"\0" * 200)
    with pytest.raises(JournalUnreadable, match="longer than any"):
        list(raw_lines(path))


def line_of(json: bytes) -> bytes:
    return chain.link(chain.GENESIS, json)[1]


def test_a_segment_begins_with_a_head(tmp_path: Path) -> None:
    path = tmp_path / "journal-000001.jsonl"
    for data in (b"", line_of(b'["seal",1,1,"aa"]')):
        path.write_bytes(data)
        with pytest.raises(JournalError, match="does not begin with a head"):
            read_head(path)
    with pytest.raises(JournalError, match="does not begin with a head"):
        list(Reader(path))
    path.write_bytes(line_of(b'["head",77]'))
    with pytest.raises(JournalSchemaError):
        read_head(path)


@pytest.mark.parametrize("previous", ["", "zz", "00"])
def test_a_head_names_the_digest_it_follows(scribe: MakeScribe, tmp_path: Path, previous: str) -> None:
    writing = scribe(tmp_path).writer
    line = writing.path.read_bytes()
    assert first_previous(line, writing.path) == chain.GENESIS
    forged = line.replace(b'"' + b"00" * 32 + b'"', b'"' + previous.encode() + b'"')
    with pytest.raises(JournalError, match="names no digest"):
        first_previous(forged, writing.path)
