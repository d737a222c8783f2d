"""Recordings in every format that is read, and that what is written reads back."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.collectors.tape import Direction, Frame, opened, read, read_lines, write

URL = "wss://example.test/stream?streams=a@trade/b@trade"


def only(line: str) -> Frame:
    (frame,) = read_lines([line])
    return frame


def test_a_tape_is_read_line_by_line_with_the_address_of_its_connection() -> None:
    lines = [
        f"{URL} <-> 1700000000.25\n",
        "\n",
        f'{URL} <- 1700000000.5: {{"op":"subscribe"}}\n',
        '1700000000.123456789: {"a":"1: 2"}\n',
        'https://example.test/depth?symbol=A -> 1700000001.0: {"bids":[]}\n',
    ]
    assert list(read_lines(lines)) == [
        Frame(Direction.OPENED, URL, 1_700_000_000_250_000_000, b"", 1),
        Frame(Direction.SENT, URL, 1_700_000_000_500_000_000, b'{"op":"subscribe"}', 3),
        Frame(Direction.RECEIVED, URL, 1_700_000_000_123_456_789, b'{"a":"1: 2"}', 4),
        Frame(Direction.ANSWER, "https://example.test/depth?symbol=A", 1_700_000_001_000_000_000, b'{"bids":[]}', 5),
    ]


def test_nanoseconds_before_a_frame() -> None:
    frame = only('1723161255030314667 {"stream":"x"}')
    assert frame == Frame(Direction.RECEIVED, "", 1_723_161_255_030_314_667, b'{"stream":"x"}', 1)


@pytest.mark.parametrize(
    ("wrapper", "direction", "data"),
    [
        ({"test": "a case", "message": {"p": 1}}, Direction.RECEIVED, b'{"p":1}'),
        ({"test": "a case", "message": "text"}, Direction.RECEIVED, b"text"),
        ({"dir": "in", "msg": [1, 2]}, Direction.RECEIVED, b"[1,2]"),
        ({"dir": "out", "msg": "ping"}, Direction.SENT, b"ping"),
        ({"venue": "v", "file": "f", "body": {"last": "1"}}, Direction.ANSWER, b'{"last":"1"}'),
    ],
)
def test_a_line_that_wraps_a_message(wrapper: dict[str, object], direction: Direction, data: bytes) -> None:
    assert only(json.dumps(wrapper)) == Frame(direction, "", 0, data, 1)


@pytest.mark.parametrize(
    "line",
    [
        '{"message":"no test"}',
        '{"msg":"neither way","dir":"up"}',
        '{"body":"of no venue"}',
        "[1,2]",
        "no json",
        "NaN: nothing",
        "[" * 100_000,
        "\udcff\udcfe",
    ],
)
def test_anything_else_is_a_bare_frame(line: str) -> None:
    assert only(line) == Frame(Direction.RECEIVED, "", 0, line.encode("utf-8", "surrogateescape"), 1)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        (r"b'\x1f\x8b\x08'", b"\x1f\x8b\x08"),
        ('b"it\'s"', b"it's"),
        ("b'no end", b"b'no end"),
        ("b'one' and more", b"b'one' and more"),
        ("b'" + "(" * 10_000, b"b'" + b"(" * 10_000),
    ],
)
def test_a_literal_is_the_bytes_it_means_and_nothing_else_is(text: str, data: bytes) -> None:
    assert only(f"1700000000.5: {text}").data == data


@pytest.mark.parametrize("name", ["tape.txt", "tape.txt.gz"])
def test_a_recording_is_written_to_a_new_file(tmp_path: Path, name: str) -> None:
    frame = Frame(Direction.RECEIVED, "", 1_700_000_000_500_000_000, b"\xff\n", 1)
    with opened(tmp_path / name) as stream:
        write(stream, frame)
    assert list(read(tmp_path / name)) == [frame]
    with pytest.raises(FileExistsError), opened(tmp_path / name):
        pass


def test_a_file_plain_and_packed(tmp_path: Path) -> None:
    text = f"{URL} <-> 1700000000\n1700000000.5: é\n"
    plain, packed = tmp_path / "tape.txt", tmp_path / "tape.txt.gz"
    plain.write_text(text, encoding="utf-8")
    with gzip.open(packed, "wt", encoding="utf-8") as stream:
        stream.write(text)
    assert list(read(plain)) == list(read(packed))
    assert [frame.data for frame in read(plain)] == [b"", "é".encode()]
    with pytest.raises(OSError, match="absent"):
        next(read(tmp_path / "absent"))


def _is_text(text: str) -> bool:
    return not any(0xD800 <= ord(letter) < 0xE000 for letter in text)


ODD = [b"b'looks like a literal'", b'b"', b"two\nlines", b"\r", b"\x1f\x8b\x08\x00", b"", "\u2028\x85".encode()]
DATA = st.one_of(st.text(max_size=40).filter(_is_text).map(str.encode), st.binary(max_size=40), st.sampled_from(ODD))
FRAME = st.builds(
    lambda direction, recv_ns, data: Frame(
        direction,
        "https://example.test/x" if direction is Direction.ANSWER else URL,
        recv_ns,
        b"" if direction is Direction.OPENED else data,
        0,
    ),
    st.sampled_from(list(Direction)),
    st.integers(1, 4_000_000_000_000_000_000),
    DATA,
)


@settings(max_examples=100, deadline=None)
@given(frames=st.lists(FRAME, max_size=6))
def test_what_is_written_reads_back(frames: list[Frame]) -> None:
    stream = io.StringIO()
    for frame in frames:
        write(stream, frame)
    back = list(read_lines(stream.getvalue().split("\n")))
    assert [(f.direction, f.recv_ns, f.data) for f in back] == [(f.direction, f.recv_ns, f.data) for f in frames]
    assert [f.url for f in back if f.direction is not Direction.RECEIVED] == [
        f.url for f in frames if f.direction is not Direction.RECEIVED
    ]


@pytest.mark.data
def test_every_recording_is_read_whole(data: Path) -> None:
    for path in sorted(data.glob("frames/*.gz")):
        frames = list(read(path))
        assert frames, path
        assert all(frame.recv_ns > 10**18 and frame.url for frame in frames), path
