"""Every byte of a journal counts: verification finds any that changed, and names the place."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Raw

from oracle.core.params import World
from oracle.journal import chain
from oracle.journal import verify as verify_module
from oracle.journal.audit import FINDINGS_KEPT_MAX, Kind, Piece, audit
from oracle.journal.keys import public_hex
from oracle.journal.lines import HeadLine, Record, decode
from oracle.journal.reader import segment_name
from oracle.journal.recovery import recover
from oracle.journal.verify import verify
from tests.journal.conftest import EMPTY_WORLD, START_NS, MakeScribe, TallyEngine, kinds, small_journal, trade_on

PARTS = 4  # a part may run beside another
Change = Callable[[list[Record]], object]


def test_a_clean_journal_is_clean(scribe: MakeScribe, memory_path: Path, key: Ed25519PrivateKey) -> None:
    path = small_journal(scribe, memory_path)
    heard: list[tuple[int, int]] = []
    report = verify(memory_path, TallyEngine, public_hex(key).upper(), progress=lambda *p: heard.append(p))
    assert (report.exit_code, report.findings, report.notes, report.torn) == (0, [], [], None)
    counts = report.counts
    assert (counts.lines, counts.beats, counts.recomputed, counts.values) == (64, 57, 57, 14)
    assert (counts.states, counts.seals, counts.bytes) == (1, 5, path.stat().st_size)
    assert (report.segments, report.epochs, report.last_seq, report.sealed_seq) == (1, 1, 57, 50)
    assert report.last_ns - report.first_ns == 5_600_000_000
    assert report.last_hash.encode() == path.read_bytes().splitlines()[-1][:64]
    assert report.lines_per_s > 0
    assert report.times_real_time > 1
    assert heard == [(1, 1)]


def test_a_torn_last_line_is_a_note(scribe: MakeScribe, memory_path: Path) -> None:
    path = small_journal(scribe, memory_path)
    data = path.read_bytes()
    torn = data[data.rfind(b"\n", 0, -1) + 1 : -7]
    path.write_bytes(data[:-7])
    report = verify(path, TallyEngine)
    assert report.exit_code == 0
    assert report.torn is not None
    assert (report.torn.bytes, report.torn.offset) == (len(torn), len(data) - 7 - len(torn))
    assert report.torn.sha256 == sha256(torn).hexdigest()
    assert "never published" in report.notes[-1]


def test_findings_are_counted_and_the_first_are_kept(scribe: MakeScribe, memory_path: Path) -> None:
    writing = scribe(memory_path)
    writing.beats(FINDINGS_KEPT_MAX + 20)
    writing.writer.close()
    report = verify(memory_path, OffByOne)
    assert len(report.findings) == FINDINGS_KEPT_MAX
    assert report.findings_total == FINDINGS_KEPT_MAX + 20


class OffByOne(TallyEngine):
    """An engine that computes otherwise."""

    def __init__(self, world: World, state: bytes | None) -> None:
        super().__init__(world, state)
        self.memory.total += 1


def two_epochs(scribe: MakeScribe, directory: Path, **options: object) -> list[Path]:
    """A crash after 25 beats, and a second life of 25 more."""
    first = scribe(directory)
    first.beats(25)
    first.writer.close()
    second = scribe(directory, recover(directory, TallyEngine), **options)
    second.beats(25)
    second.writer.close()
    return sorted(directory.glob("journal-*"))


def test_epochs_and_compressed_segments_are_one_chain(scribe: MakeScribe, memory_path: Path) -> None:
    paths = two_epochs(scribe, memory_path)
    assert paths[0].name == segment_name(1) + ".gz"
    report = verify(memory_path, TallyEngine)
    assert (report.exit_code, report.notes) == (0, [])
    assert (report.segments, report.epochs, report.counts.beats) == (2, 2, 50)


def test_one_segment_alone_can_be_verified(scribe: MakeScribe, memory_path: Path) -> None:
    paths = two_epochs(scribe, memory_path)
    report = verify(paths[1], TallyEngine)
    assert report.exit_code == 0
    assert "begins at segment 2" in report.notes[0]


def test_a_damaged_compressed_file_is_found(scribe: MakeScribe, memory_path: Path) -> None:
    packed = two_epochs(scribe, memory_path)[0]
    data = packed.read_bytes()
    packed.write_bytes(data[: len(data) // 2])
    report = verify(memory_path, TallyEngine)
    assert Kind.CHAIN in kinds(report)
    assert report.exit_code == 1


def test_a_segment_that_ends_within_a_line_is_found(scribe: MakeScribe, memory_path: Path) -> None:
    packed = two_epochs(scribe, memory_path)[0]
    packed.write_bytes(gzip.compress(gzip.decompress(packed.read_bytes())[:-3]))
    found = {finding.text for finding in verify(memory_path, TallyEngine).findings}
    assert found == {"the segment ends within a line", "the segment does not chain to the one before"}


def test_an_empty_segment_in_the_middle_is_found(scribe: MakeScribe, memory_path: Path) -> None:
    two_epochs(scribe, memory_path)[0].write_bytes(gzip.compress(b""))
    report = verify(memory_path, TallyEngine)
    assert "the segment is empty" in [finding.text for finding in report.findings]


def forge_second(path: Path, **fields: object) -> None:
    """Change the head of a segment and make its chain right again."""
    lines = path.read_bytes().splitlines()
    record = msgspec.structs.replace(decode(lines[0][chain.JSON_AT :]), **fields)
    assert isinstance(record, HeadLine)
    previous, out = bytes.fromhex(record.previous), b""
    for json_bytes in (msgspec.json.encode(record), *(line[chain.JSON_AT :] for line in lines[1:])):
        previous, line = chain.link(previous, json_bytes)
        out += line
    path.write_bytes(out)


@pytest.mark.parametrize(
    ("fields", "kind", "text"),
    [
        ({"segment": 4}, Kind.HEAD, "segment 4 stands behind segment 1"),
        ({"epoch": 7}, Kind.HEAD, "epoch 7 stands behind epoch 1"),
        ({"epoch": 1}, Kind.SEAL, "the signature is not that of the head's key"),
        ({"previous": "22" * 32}, Kind.CHAIN, "the segment does not chain to the one before"),
        ({"state": Raw(b"[25,326]")}, Kind.STATE, "the memory in the head is not that of the last beat"),
        ({"state": Raw(b"null")}, Kind.STATE, "the memory in the head is not that of the last beat"),
    ],
)
def test_a_segment_that_does_not_continue_is_found(
    scribe: MakeScribe, memory_path: Path, fields: dict[str, object], kind: Kind, text: str
) -> None:
    forge_second(two_epochs(scribe, memory_path)[1], **fields)
    found = [(finding.kind, finding.text) for finding in verify(memory_path, TallyEngine).findings]
    assert (kind, text) in found


def test_a_lost_segment_is_found(scribe: MakeScribe, memory_path: Path) -> None:
    two_epochs(scribe, memory_path)
    third = scribe(memory_path, recover(memory_path, TallyEngine))
    third.beats(5)
    third.writer.close()
    (memory_path / (segment_name(2) + ".gz")).unlink()
    found = {finding.kind for finding in verify(memory_path, TallyEngine).findings}
    assert found == {Kind.CHAIN, Kind.HEAD, Kind.SEQUENCE, Kind.STATE}


def test_a_process_that_forgets_reuses_seqs_and_is_found(scribe: MakeScribe, memory_path: Path) -> None:
    two_epochs(scribe, memory_path, state=None)
    report = verify(memory_path, TallyEngine)
    assert kinds(report) == [Kind.STATE, Kind.SEQUENCE]
    assert "X: seq 1 stands behind seq 25" in report.findings[1].text


def test_time_that_runs_backwards_between_processes_is_found(
    scribe: MakeScribe, memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = scribe(memory_path)
    first.beats(25)
    first.writer.close()
    recovered = recover(memory_path, TallyEngine)
    monkeypatch.setattr("tests.journal.conftest.START_NS", START_NS - 10**10)
    second = scribe(memory_path, recovered)
    second.beats(1)
    second.writer.close()
    assert kinds(verify(memory_path, TallyEngine)) == [Kind.TIME]


def test_another_world_and_another_key_are_notes(scribe: MakeScribe, memory_path: Path) -> None:
    other = msgspec.structs.replace(EMPTY_WORLD, configuration_hash="next")
    two_epochs(scribe, memory_path, world=other, key=Ed25519PrivateKey.generate())
    report = verify(memory_path, TallyEngine)
    assert report.exit_code == 0
    assert len(report.notes) == 2


def test_a_recovered_torn_tail_is_a_note(scribe: MakeScribe, memory_path: Path) -> None:
    first = scribe(memory_path)
    first.beats(5)
    first.writer.close()
    with first.writer.path.open("ab") as stream:
        stream.write(b"half a li")
    second = scribe(memory_path, recover(memory_path, TallyEngine))
    second.writer.close()
    report = verify(memory_path, TallyEngine)
    assert report.exit_code == 0
    assert "9 torn bytes were set aside" in report.notes[0]


def test_what_cannot_be_read(scribe: MakeScribe, memory_path: Path) -> None:
    assert verify(memory_path, TallyEngine).exit_code == 2
    assert verify(memory_path / "nothing", TallyEngine).exit_code == 2
    (memory_path / segment_name(1)).write_bytes(b"")
    assert verify(memory_path, TallyEngine).findings[0].text == "the journal is empty"
    (memory_path / segment_name(1)).write_bytes(b"to whom it may concern\n")
    report = verify(memory_path, TallyEngine)
    assert (report.exit_code, report.findings[0].text) == (2, "this is no journal")


def test_a_newer_schema_is_not_guessed_at(scribe: MakeScribe, memory_path: Path) -> None:
    path = small_journal(scribe, memory_path)
    forge_second(path, schema=3)
    report = verify(path, TallyEngine)
    assert report.exit_code == 2
    assert "newer version (schema 3" in report.findings[0].text


def test_a_head_that_is_no_record_leaves_the_rest_to_the_chain(scribe: MakeScribe, memory_path: Path) -> None:
    path = small_journal(scribe, memory_path)
    path.write_bytes(path.read_bytes().replace(b'{"methodology', b'?"methodology'))
    report = verify(path, TallyEngine)
    assert kinds(report) == [Kind.SHAPE]
    assert (report.counts.beats, report.counts.recomputed, report.epochs) == (57, 0, 1)


def damaged_copies(path: Path) -> list[bytes]:
    """A journal, and the same with a byte changed at places that matter to the cutting."""
    data = path.read_bytes()
    state = data.find(b'["state"')
    places = [
        data.find(b'{"meth'),
        state - 60,
        state + 3,
        state + 20,
        data.find(b"\n", state) + 5,
        state - 65 - 40,
        state - 66,
        900,
    ]
    return [data, *(data[:p] + bytes([data[p] ^ 1]) + data[p + 1 :] for p in places)]


def test_the_findings_do_not_depend_on_the_cutting(
    scribe: MakeScribe, memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_module, "PIECE_BYTES_MIN", 1)
    for number, data in enumerate(damaged_copies(small_journal(scribe, memory_path / "whole"))):
        path = memory_path / f"{number}.jsonl"
        path.write_bytes(data)
        whole = verify(path, TallyEngine, processes=1)
        monkeypatch.setattr(verify_module, "_audited", in_this_process)
        cut = verify(path, TallyEngine, processes=3)
        monkeypatch.undo()
        monkeypatch.setattr(verify_module, "PIECE_BYTES_MIN", 1)
        assert cut.findings == whole.findings, number
        assert cut.counts == whole.counts, number
        assert (cut.last_hash, cut.notes) == (whole.last_hash, whole.notes)


def in_this_process(pieces: list[Piece], make_engine: object, workers: int) -> object:
    return ((piece, audit(piece, TallyEngine)) for piece in pieces)


def test_the_real_engine_in_several_processes(
    memory_path: Path, key: Ed25519PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    trade_on(memory_path, key, 200, snapshot_ms=10_000)
    path = trade_on(memory_path, key, 200, recover(memory_path), snapshot_ms=10_000)
    monkeypatch.setattr(verify_module, "PIECE_BYTES_MIN", 1)
    report = verify(memory_path, processes=2)
    assert (report.exit_code, report.findings) == (0, [])
    assert (report.processes, report.counts.recomputed, report.epochs) == (2, 400, 2)
    data = path.read_bytes()
    place = data.rfind(b'["I"') + 60
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    assert verify(memory_path, processes=2).exit_code == 1


def test_a_file_that_was_compressed_meanwhile_is_one_piece(scribe: MakeScribe, memory_path: Path) -> None:
    path = small_journal(scribe, memory_path)
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert list(verify_module._cuts(path, 4)) == []


def test_a_report_is_json(scribe: MakeScribe, memory_path: Path) -> None:
    report = verify(small_journal(scribe, memory_path), TallyEngine)
    assert json.loads(msgspec.json.encode(report))["counts"]["beats"] == 57


def test_a_small_file_is_not_cut(scribe: MakeScribe, memory_path: Path) -> None:
    assert list(verify_module._cuts(small_journal(scribe, memory_path), 4)) == []
    assert verify(memory_path, TallyEngine, processes=4).processes == 1


def test_a_verifying_process_that_dies_is_told(
    scribe: MakeScribe, memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> object:
        raise BrokenProcessPool("killed")

    small_journal(scribe, memory_path)
    monkeypatch.setattr(verify_module, "_audited", broken)
    report = verify(memory_path, TallyEngine)
    assert report.exit_code == 2
    assert "use fewer processes" in report.findings[0].text
