"""The methodologies are listed, and one is shown with every parameter."""

from __future__ import annotations

import pytest

from oracle import cli, methods
from oracle.core.params import documented


def test_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["methods"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in methods.shipped())


def test_one_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["methods", "hk1"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len([row for row in documented() if any(line.startswith(row.name + " ") for line in shown)]) == len(
        list(documented())
    )
    assert any(line.split()[:4] == ["mark.band_bps", "150", "bps", "1"] for line in shown)


def test_what_nobody_has_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["methods", "hk9"]) == 2
    assert "no such methodology: hk9 (known: " in capsys.readouterr().err
