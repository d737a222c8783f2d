"""Whatever somebody changes in a journal is found: any byte, and any forgery that makes the digests right again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Raw

from oracle.journal import chain
from oracle.journal.audit import Kind
from oracle.journal.keys import public_hex
from oracle.journal.lines import BeatLine, HeadLine, Record, SealLine, decode
from oracle.journal.verify import Report, verify
from tests.journal.conftest import START_NS, MakeScribe, TallyEngine, kinds, small_journal

PARTS = 4  # a part may run beside another
Change = Callable[[list[Record]], object]


def rewritten(path: Path, key: Ed25519PrivateKey, change: Change) -> Report:
    """What verification says of a journal that its own key holder forged: every digest and seal is right again."""
    records = [decode(line[chain.JSON_AT :]) for line in path.read_bytes().splitlines()]
    change(records)
    first = records[0]
    previous, out = bytes.fromhex(first.previous) if isinstance(first, HeadLine) else chain.GENESIS, b""
    for record in records:
        if isinstance(record, SealLine):
            signature = key.sign(chain.seal_message(previous, record.seq, record.at_ns)).hex()
            record = msgspec.structs.replace(record, signature=signature)
        previous, line = chain.link(previous, msgspec.json.encode(record))
        out += line
    path.write_bytes(out)
    return verify(path, TallyEngine)


def at(records: list[Record], place: int, **fields: object) -> None:
    records[place] = msgspec.structs.replace(records[place], **fields)


@pytest.mark.parametrize("part", range(PARTS))
def test_every_flipped_byte_is_found(scribe: MakeScribe, memory_path: Path, part: int) -> None:
    path = small_journal(scribe, memory_path)
    original = path.read_bytes()
    undetected = []
    for place in range(part, len(original), PARTS):
        flipped = original[place] ^ 1 << place // PARTS % 8
        path.write_bytes(original[:place] + bytes([flipped]) + original[place + 1 :])
        report = verify(path, TallyEngine)
        line = original.rfind(b"\n", 0, place) + 1
        if report.exit_code == 0 or not any(line <= finding.offset <= place + 1 for finding in report.findings):
            undetected.append(place)
    assert undetected == []


def test_the_end_of_a_line_turned_into_another_byte_is_no_torn_tail(scribe: MakeScribe, memory_path: Path) -> None:
    path = small_journal(scribe, memory_path)
    path.write_bytes(path.read_bytes()[:-1] + b"\r")
    assert verify(path, TallyEngine).findings[0].text == "the last line's end was changed"


def test_a_removed_line_is_found(scribe: MakeScribe, memory_path: Path) -> None:
    path = small_journal(scribe, memory_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:20] + lines[21:]))
    report = verify(path, TallyEngine)
    assert kinds(report) == [Kind.CHAIN]
    assert report.findings[0].offset == sum(map(len, lines[:20]))
    assert str(report.findings[0]).startswith(f"{path} @{report.findings[0].offset} seq ")


def test_a_forged_value_is_found_by_computing_it_again(
    scribe: MakeScribe, memory_path: Path, key: Ed25519PrivateKey
) -> None:
    def forge(records: list[Record]) -> None:
        line = records[4]
        assert isinstance(line, BeatLine)
        at(records, 4, values=Raw(bytes(line.values).replace(b",4,null", b",5,null")))

    report = rewritten(small_journal(scribe, memory_path), key, forge)
    assert kinds(report) == [Kind.VALUES]
    assert report.findings[0].seq == 4
    assert "X PremiumSample.premium_e10: recorded 5, recomputed 4" in report.findings[0].text


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda r: at(r, 4, values=Raw(b'[["?"]]')), [Kind.VALUES, Kind.SHAPE]),
        (lambda r: at(r, 4, values=Raw(b"[ ]")), [Kind.VALUES]),
        (lambda r: at(r, 3, seq=99), [Kind.SEQUENCE, Kind.SEQUENCE]),
        (lambda r: at(r, 3, at_ns=START_NS), [Kind.TIME]),
        (lambda r: at(r, 34, state=Raw(b"[1,1]")), [Kind.STATE, Kind.VALUES, Kind.STATE]),
        (lambda r: at(r, 34, state=Raw(b'"?"')), [Kind.STATE, Kind.ENGINE]),
        (lambda r: at(r, 34, seq=29), [Kind.SEQUENCE]),
        (lambda r: at(r, 11, seq=9), [Kind.SEQUENCE]),
        (lambda r: r.insert(5, r[0]), [Kind.SHAPE]),
        (lambda r: at(r, 0, public_key="00"), [Kind.KEY]),
        (lambda r: at(r, 0, previous="00" * 32), []),
        (lambda r: at(r, 0, previous="11" * 32), [Kind.HEAD]),
        (lambda r: r.pop(0), [Kind.SHAPE]),
    ],
)
def test_a_forgery_with_right_digests_is_found(
    scribe: MakeScribe, memory_path: Path, key: Ed25519PrivateKey, change: Change, found: list[Kind]
) -> None:
    report = rewritten(small_journal(scribe, memory_path), key, change)
    assert sorted(set(kinds(report))) == sorted(set(found))


def test_a_beat_that_breaks_the_engine_is_a_finding(
    scribe: MakeScribe, memory_path: Path, key: Ed25519PrivateKey
) -> None:
    def unlucky(records: list[Record]) -> None:
        line = records[4]
        assert isinstance(line, BeatLine)
        at(records, 4, seen=(msgspec.structs.replace(line.seen[0], bid=0.5),))

    report = rewritten(small_journal(scribe, memory_path), key, unlucky)
    assert kinds(report) == [Kind.ENGINE]
    assert "unlucky" in report.findings[0].text
    assert report.counts.recomputed == 57 - 27, "it goes on from the next memory"


def test_a_seq_of_a_value_used_twice_is_found(scribe: MakeScribe, memory_path: Path, key: Ed25519PrivateKey) -> None:
    def twice(records: list[Record]) -> None:
        line = records[8]
        assert isinstance(line, BeatLine)
        at(records, 8, values=Raw(bytes(line.values).replace(b'"X",2', b'"X",1')))

    assert set(kinds(rewritten(small_journal(scribe, memory_path), key, twice))) == {Kind.VALUES, Kind.SEQUENCE}


def test_a_seal_of_another_key_is_found(scribe: MakeScribe, memory_path: Path) -> None:
    report = rewritten(small_journal(scribe, memory_path), Ed25519PrivateKey.generate(), lambda records: None)
    assert kinds(report) == [Kind.SEAL] * 5
    assert report.sealed_seq == 0


def test_a_journal_of_another_key_is_found(scribe: MakeScribe, memory_path: Path) -> None:
    other = public_hex(Ed25519PrivateKey.generate())
    assert kinds(verify(small_journal(scribe, memory_path), TallyEngine, other)) == [Kind.KEY]


def test_missing_seals_are_a_note(scribe: MakeScribe, memory_path: Path, key: Ed25519PrivateKey) -> None:
    def unseal(records: list[Record]) -> None:
        records[:] = [r for r in records if not isinstance(r, SealLine)]

    report = rewritten(small_journal(scribe, memory_path), key, unseal)
    assert report.exit_code == 0
    assert len(report.notes) == 2, "one for each stretch between two memories"
    assert "no seal for more than 2 s before beat 22" in report.notes[0]
