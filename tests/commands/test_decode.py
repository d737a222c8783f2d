"""Frames become observations or named refusals, whatever stands in the file."""

from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle import cli
from oracle.collectors.tape import Direction, Frame
from oracle.commands import decode
from oracle.venues import base

TICKER = (
    '{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":100.0,"bid_qty":1.5,"ask":101.0,"ask_qty":2.0,'
    '"last":100.5,"volume":1.0,"vwap":1.0,"low":1.0,"high":1.0,"change":0.0,"change_pct":0.0}]}'
)
OTHER = TICKER.replace("BTC/USD", "ETH/USD")


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, list[Any], list[Any], str]:
    """The exit code, the records of both streams, and the summary."""
    code = cli.main(["decode", *map(str, arguments)])
    said = capsys.readouterr()
    *refused, summary = said.err.splitlines()
    return code, [json.loads(line) for line in said.out.splitlines()], [json.loads(line) for line in refused], summary


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_every_symbol_is_found_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "f.txt", TICKER, OTHER, '{"channel":"heartbeat"}')
    code, said, refused, summary = run(capsys, "kraken", path)
    assert (code, refused) == (0, [])
    assert [(r["line"], r["type"], r["symbol"], r["bid"]) for r in said] == [
        (1, "BookTop", "BTC/USD", 100.0),
        (2, "BookTop", "ETH/USD", 100.0),
    ]
    assert summary == "3 frames, 2 observations, refused: none"


def test_with_symbols_the_others_are_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "f.txt", TICKER, OTHER)
    code, said, refused, summary = run(capsys, "kraken", path, "--symbols", "BTC/USD")
    assert (code, len(said)) == (1, 1)
    assert refused == [{"line": 2, "recv_ns": 0, "type": "Refused", "reason": "UNKNOWN_SYMBOL", "detail": "ETH/USD"}]
    assert summary.endswith("UNKNOWN_SYMBOL 1")


def test_all_tells_of_silent_frames_too_on_one_stream(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "f.txt", TICKER, '{"channel":"heartbeat"}', "{broken")
    code, said, refused, _ = run(capsys, "kraken", path, "--all")
    assert (code, refused) == (1, [])
    assert [r["type"] for r in said] == ["BookTop", "Nothing", "Refused"]


def test_a_tape_is_read_with_its_times_and_each_connection_is_a_session(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tape = (
        "wss://ws.kraken.com/v2 <-> 1700000000.0",
        'wss://ws.kraken.com/v2 <- 1700000000.1: {"method":"subscribe"}',
        f"1700000000.5: {TICKER}",
        "wss://ws.kraken.com <-> 1700000001.0",
        '1700000001.5: [7,["100.0","101.0","1700000001.000000","1.0","2.0"],"spread","XBT/USD"]',
    )
    path = tmp_path / "f.txt.gz"
    path.write_bytes(gzip.compress("\n".join(tape).encode()))
    code, said, _, _ = run(capsys, "kraken", path)
    assert code == 0
    assert [(r["line"], r["symbol"], r["recv_ns"]) for r in said] == [
        (3, "BTC/USD", 1_700_000_000_500_000_000),
        (5, "XBT/USD", 1_700_000_001_500_000_000),
    ]


def test_the_input_is_read_when_no_file_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TICKER.encode())))
    code, said, _, _ = run(capsys, "kraken")
    assert (code, len(said)) == (0, 1)


def test_bytes_that_are_no_text_are_refused_and_the_rest_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"1.5: \xff\xfe\n" + TICKER.encode() + b"\n\xff")
    code, said, refused, summary = run(capsys, "kraken", path)
    assert (code, len(said), said[0]["line"]) == (1, 1, 2)
    assert [(r["line"], r["reason"]) for r in refused] == [(1, "NOT_UTF8"), (3, "NOT_UTF8")]
    assert summary.startswith("3 frames")


def test_rest_answers_are_read_by_the_symbol_in_their_address(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = '{"lastUpdateId":5,"bids":[["100.0","1.0"]],"asks":[["101.0","2.0"]]}'
    path = written(tmp_path / "f", f"https://api.binance.com/api/v3/depth?symbol=BTCUSDT -> 1700000000.1: {body}")
    code, _, refused, summary = run(capsys, "binance", path, "--symbols", "BTCUSDT")
    assert summary.startswith("1 frames")
    assert code in (0, 1)
    assert all(r["reason"] for r in refused)


def test_replies_are_shown_on_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = decode.Line(Frame(Direction.RECEIVED, "", 0, b"", 1), [base.Send("pong")], None)
    assert decode._print(line, [], everything=False) == 0
    assert capsys.readouterr().out == ""
    assert decode._print(line, [], everything=True) == 0
    assert json.loads(capsys.readouterr().out) == {"line": 1, "recv_ns": 0, "type": "Send", "data": "pong"}


def test_nothing_to_read_and_nobody_to_read_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "kraken", written(tmp_path / "empty"))[0] == 2
    assert cli.main(["decode", "krakn", "-"]) == 2
    assert "no such venue: krakn (did you mean kraken?)" in capsys.readouterr().err
    assert cli.main(["decode", "kraken", str(tmp_path / "none")]) == 2
    assert "No such file" in capsys.readouterr().err


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=200))
def test_whatever_the_bytes_nothing_but_refusals(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "f"
    path.write_bytes(data)
    assert cli.main(["decode", "kraken", str(path)]) in (0, 1, 2)


VENUES = (
    ("kraken.ws.50.0", "kraken"),
    ("coinbase.ws.28.0", "coinbase"),
    ("2021-04-17__gemini.ws.36.0", "gemini"),
    ("bitfinex.ws.11.0", "bitfinex"),
    ("okx.ws.1.0", "okx"),
)


@pytest.mark.data
@pytest.mark.parametrize(("name", "venue"), VENUES)
def test_a_real_recording_is_decoded(data: Path, capsys: pytest.CaptureFixture[str], name: str, venue: str) -> None:
    code, said, _, summary = run(capsys, venue, data / "frames" / f"{name}.txt.gz")
    assert code in (0, 1)
    assert len(said) > 50, summary
    assert all(0 < r["bid"] < r["ask"] for r in said if r["type"] == "BookTop" and r["bid"] and r["ask"])
