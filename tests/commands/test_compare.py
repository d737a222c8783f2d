"""`oracle compare`: the table, the data, and one line for what is not there."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from oracle.cli import main


def test_a_line_for_each_methodology_and_instrument(traded: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--methods", "hk1,weighted_median", traded]) == 0
    lines = capsys.readouterr().out.splitlines()
    pairs = [[name, method] for name in ("BTC-USD", "BTC-USD-PERP") for method in ("hk1", "weighted_median")]
    assert [line.split()[:2] for line in lines[1:]] == pairs
    assert "normal" in lines[1]


def test_every_second_as_data(traded: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--methods", "hk1,weighted_median", traded, "--csv", "--instrument", "BTC-USD"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["instrument"] for row in rows} == {"BTC-USD"}
    assert all(float(row["hk1"]) > 0 for row in rows)


def test_the_plot_is_a_picture(traded: str, tmp_path: Path) -> None:
    picture = tmp_path / "day.svg"
    assert main(["compare", "--methods", "hk1,weighted_median", traded, "--plot", str(picture)]) == 0
    assert picture.read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--methods", "hk9"], "no such methodology: hk9"),
        (["--methods", "hk1", "--instrument", "X"], "no such instrument: X"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], said: str, traded: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *arguments, traded]) == 2
    assert said in capsys.readouterr().err
