"""A clean journal is OK; a changed one is not, and the report says where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oracle import cli
from oracle.commands import verify
from oracle.journal import keys
from oracle.journal.verify import Report


def run(*arguments: str | Path) -> int:
    return cli.main(["verify", *map(str, arguments), "--processes", "1"])


def test_a_clean_journal_is_ok(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(journal) == 0
    shown = capsys.readouterr().out
    assert "30 beats" in shown
    assert "30 beats recomputed" in shown
    assert shown.splitlines()[-1] == "OK; sealed up to beat 30"


def test_a_flipped_byte_is_found_with_its_place(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [path] = journal.glob("*.jsonl")
    data = bytearray(path.read_bytes())
    place = data.index(b"60010")
    data[place] = ord("7")
    path.write_bytes(data)
    assert run(journal) == 1
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{path} @")
    assert "CHAIN" in first
    assert "FINDINGS" in last
    assert run(journal, "--json") == 1
    assert json.loads(capsys.readouterr().out)["findings"][0]["offset"] <= place


def test_the_key_must_be_the_one_that_was_published(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    public = tmp_path / "public.pem"
    assert run(journal, "--key", public) == 0
    assert run(journal, "--key", keys.public_hex(keys.load_public(public))) == 0
    assert run(journal, "--key", keys.public_hex(keys.generate())) == 1
    assert run(journal, "--key", "no key") == 1
    assert "not an Ed25519 public key" in capsys.readouterr().err


def test_what_is_no_journal_is_unreadable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "none") == 2
    why, verdict = capsys.readouterr().out.splitlines()
    assert "cannot be read" in why
    assert verdict == "UNREADABLE"


def test_findings_that_were_not_kept_are_counted() -> None:
    shown = verify.lines(Report(findings_total=5, notes=["a note"]))
    assert "and 5 more findings" in shown
    assert "note: a note" in shown
    assert shown[-1] == "5 FINDINGS"
