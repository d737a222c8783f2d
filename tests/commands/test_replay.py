"""A journal comes out again byte by byte, or the difference is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from oracle import cli
from oracle.commands import replay
from oracle.journal.compare import Difference
from oracle.journal.lines import Torn
from oracle.journal.replay import Replayed


def test_every_byte_comes_out_again(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["replay", str(journal)]) == 0
    assert capsys.readouterr().out.startswith("30 beats, 30 equal to the byte, 0 different")


def test_another_methodology_is_measured(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["replay", str(journal), "--method", "hk1"]) == 0
    shown = capsys.readouterr().out
    assert "largest bps" in shown
    assert "IndexValue BTC-USD" in shown


def test_a_methodology_that_nobody_has_is_refused(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["replay", str(journal), "--method", "hk9"]) == 2
    assert "no such methodology: hk9" in capsys.readouterr().err


def test_what_is_no_journal_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["replay", str(tmp_path / "none")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_difference_is_named_and_a_torn_line_noted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Replayed(beats=2, equal=1, different=1, first=[Difference(7, "X", "IndexValue", "price", 1, 2)])
    made.torn = Torn(offset=0, bytes=12, sha256="")
    monkeypatch.setattr(replay, "replay", lambda path, method=None: made)
    assert cli.main(["replay", "j"]) == 1
    said = capsys.readouterr()
    assert "beat 7: X IndexValue.price: recorded 1, recomputed 2" in said.out
    assert "12 bytes of a torn last line" in said.err
