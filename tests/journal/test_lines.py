"""Records read back as they were written, and nothing newer is guessed at."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Raw

from oracle.errors import JournalError, JournalSchemaError
from oracle.journal.lines import (
    NO_STATE,
    SCHEMA,
    BeatLine,
    HeadLine,
    SealLine,
    SpokenBeat,
    StateLine,
    Torn,
    decode,
    encode,
    state_of,
)
from tests.journal.conftest import beat_of, settled, trading_world


def head(**fields: object) -> HeadLine:
    plain = HeadLine(SCHEMA, 3, 2, "1.0", 5, "aa", "bb", trading_world(), Raw(b"[1,2]"), Torn(3, 4, "cc"))
    return msgspec.structs.replace(plain, **fields)


def test_a_head_reads_back() -> None:
    json = encode(head())
    assert json.startswith(b'["head",2,3,2,"1.0",5,"aa","bb",{"methodology":"hk1",')
    assert json.endswith(b',[1,2],{"bytes":3,"offset":4,"sha256":"cc"}]')
    read = decode(json)
    assert isinstance(read, HeadLine)
    assert read.world == trading_world()
    assert state_of(read.state) == b"[1,2]"
    assert encode(read) == json


def test_no_state_and_no_torn_tail_are_null() -> None:
    json = encode(head(state=NO_STATE, torn=None))
    assert json.endswith(b",null,null]")
    read = decode(json)
    assert isinstance(read, HeadLine)
    assert state_of(read.state) is None


def test_a_beat_reads_back_with_its_values_still_bytes() -> None:
    beat = beat_of(7)
    value = settled(7, beat.at_ns, 1)
    json = encode(SpokenBeat(7, beat.at_ns, beat.seen, 2, (value,)))
    read = decode(json)
    assert isinstance(read, BeatLine)
    assert (read.seq, read.at_ns, read.seen, read.dropped) == (7, beat.at_ns, beat.seen, 2)
    assert bytes(read.values) == msgspec.json.encode((value,))


def test_states_and_seals_read_back() -> None:
    assert decode(b'["seal",1,2,"ab"]') == SealLine(1, 2, "ab")
    read = decode(encode(StateLine(9, Raw(b'{"a":1}'))))
    assert isinstance(read, StateLine)
    assert (read.seq, bytes(read.state)) == (9, b'{"a":1}')


def test_a_newer_schema_is_refused_before_anything_else_is_read() -> None:
    with pytest.raises(JournalSchemaError, match=r"j @0: written by a newer version \(schema 3"):
        decode(b'["head",3,"nobody knows what stands here"]', "j", 0)


@pytest.mark.parametrize(
    "json", [b"", b"[]", b'["beat"]', b'["what",1]', b"\xff", b'["seal",1,2,3]', b"[" * 5000, b'["head","1"]']
)
def test_what_is_no_record_is_refused(json: bytes) -> None:
    with pytest.raises(JournalError, match="no record of a journal"):
        decode(json)


def test_a_field_added_at_the_end_is_read_over() -> None:
    assert decode(b'["seal",1,2,"ab","later"]') == SealLine(1, 2, "ab")
