"""`oracle simulate-funding`: costs in every unit, curves as data, and one line for what it cannot read."""

from __future__ import annotations

import csv
import io
import json

import pytest

from oracle.cli import main


def test_a_methodology_answers_in_every_unit(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate-funding", "--method", "hk1", "--premium", "9bp", "--notional", "60000"]) == 0
    out = capsys.readouterr().out
    assert "hk1 1.0.0" in out
    assert "+0.0400000%" in out
    assert "24" in out.splitlines()[-1]
    assert "inner clamp" in out


def test_every_methodology_that_funds_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate-funding", "--premium", "0.05%", "--json"]) == 0
    said = {row["method"]: row for row in json.loads(capsys.readouterr().out)}
    assert said["hk1"]["rate"] == 0.0001
    assert said["hk1"]["binds"] == "flat"
    assert "weighted_median" not in said


def test_the_curve_is_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate-funding", "--method", "hk1", "--curve", "--reach", "100bps", "--points", "5"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [float(row["premium"]) for row in rows] == [-0.01, -0.005, 0.0, 0.005, 0.01]
    assert [row["binds"] for row in rows] == ["cap", "cap", "flat", "cap", "cap"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--method", "hk9"], "no such methodology: hk9"),
        (["--method", "weighted_median"], "weighted_median has no funding rule"),
        (["--premium", "much"], "is no share"),
        (["--at", "someday"], "is no date"),
        (["--curve", "--points", "1"], "two points at least"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate-funding", *arguments]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1


def test_a_date_finds_its_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    for date in ("2024-01-01", "2024-01-01T00:00:00+08:00"):
        assert main(["simulate-funding", "--method", "hk1", "--at", date]) == 0
    assert capsys.readouterr().out.count("hk1 1.0.0") == 2
