"""The layout of a line, restated here from the format's description, so that the code cannot agree with itself only."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.journal import chain


def run_of(*records: bytes) -> list[bytes]:
    previous, lines = chain.GENESIS, []
    for record in records:
        previous, line = chain.link(previous, record)
        lines.append(line)
    return lines


def test_a_line_is_laid_out_as_described() -> None:
    json = b'["beat",1]'
    expected = sha256(b"oracle.journal.v1\n" + bytes(32) + bytes([0, 0, 0, 0, 0, 0, 0, 10]) + json)
    made, line = chain.link(chain.GENESIS, json)
    assert made == expected.digest() == chain.digest(chain.GENESIS, json)
    assert line == expected.hexdigest().encode() + b" " + json + b"\n"
    assert line[chain.JSON_AT :] == json + b"\n"


def test_a_seal_signs_the_line_before_the_seq_and_the_time() -> None:
    expected = b"oracle.seal.v1\n" + b"\x07" * 32 + b"\0\0\0\0\0\0\0\x02" + b"\0\0\0\0\0\0\1\0"
    assert chain.seal_message(b"\x07" * 32, 2, 256) == expected


@given(st.lists(st.binary(max_size=20).filter(lambda b: b"\n" not in b), min_size=2, max_size=5))
@settings(max_examples=50)
def test_each_line_follows_the_one_before_and_no_other(records: list[bytes]) -> None:
    lines = run_of(*records)
    digests = [chain.GENESIS, *(chain.written_digest(line) for line in lines)]
    for place, line in enumerate(lines):
        for other, previous in enumerate(digests):
            assert previous is not None
            assert chain.is_next(previous, line) == (other == place)


@pytest.mark.parametrize("line", [b"", b"abc", b"A" * 64 + b" []\n", b"a" * 64 + b"[]\n", b"a" * 63 + b"g []\n"])
def test_what_does_not_begin_as_a_line_claims_no_digest(line: bytes) -> None:
    assert chain.written_digest(line) is None
    assert not chain.is_next(chain.GENESIS, line)


def test_a_line_without_its_end_is_no_line() -> None:
    (line,) = run_of(b'["beat"]')
    assert chain.is_next(chain.GENESIS, line)
    assert not chain.is_next(chain.GENESIS, line[:-1])


def test_rubbish_holds_no_sound_line() -> None:
    lines = run_of(*(b'["beat",%d]' % n for n in range(4)))
    previous = chain.written_digest(lines[0]) or b""
    for tail in (b"\0" * 500, lines[1][:-1], b"rubbish\n", lines[1].replace(b"beat", b"beet"), b"\n\n\n", lines[3]):
        assert chain.sound_line_in(previous, tail) is None


def test_a_sound_line_behind_damage_is_seen_whatever_the_damage() -> None:
    lines = run_of(*(b'["beat",%d]' % n for n in range(5)))
    previous = chain.written_digest(lines[0]) or b""
    tail = b"".join(lines[1:4])
    first = len(lines[1])
    for place in range(first):
        damaged = tail[:place] + bytes([tail[place] ^ 1]) + tail[place + 1 :]
        assert chain.sound_line_in(previous, damaged) is not None, place
    assert chain.sound_line_in(previous, b"put in" + tail) == len(b"put in")
    assert chain.sound_line_in(previous, b"".join(lines[2:4])) == len(lines[2]), "a line was taken out"
    assert chain.sound_line_in(previous, lines[1].replace(b"beat", b"beet") + lines[2][:-1]) is None
