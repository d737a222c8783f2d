"""`oracle check-reports`: direct, crossed, inverted and chained legs in exact fractions; production's own reports."""

from __future__ import annotations

import gzip
import json
from fractions import Fraction
from pathlib import Path

import pytest

from oracle.cli import main
from oracle.commands.check_reports import ORDER, valued

LEGS = {
    "BTC/USD@a": "20000",
    "BTC/USD@b": "20010",
    "BTC/USD@c": "19990",
    "BTC/USDT@a": "20000",
    "USDT/USD@a": "0.5",
    "ETH/BTC@a": "0.1",
    "ETH/NEW@a": "4",
    "STETH/ETH@a": "0.99",
    "WSTETH/STETH@a": "1.1",
}


@pytest.mark.parametrize(
    ("base", "value"),
    [
        ("BTC", Fraction(20_000)),  # direct
        ("USDT", Fraction(3, 4)),  # one direct, one inverted: 20000 / 20000
        ("ETH", Fraction(2_000)),  # crossed
        ("NEW", Fraction(500)),  # crossed and inverted
        ("WSTETH", Fraction(2_000) * Fraction(99, 100) * Fraction(11, 10)),  # a chain of three
        ("GOLD", None),
    ],
)
def test_legs_of_every_kind(base: str, value: Fraction | None) -> None:
    assert valued(base, "USD", LEGS, ORDER.split(",")) == value


def write(path: Path, *lines: object) -> str:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return str(path)


def report(value: str, inputs: dict[str, str], pair: str = "BTCUSD") -> dict[str, object]:
    return {"pair": pair, "value_1e18": value, "time_s": 1, "inputs": inputs}


def test_a_report_that_does_not_come_out_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = report("2" + "0" * 18, {"BTC/USD@a": "1", "BTC/USD@b": "3"})
    bad, lost = report("21" + "0" * 17, {"BTC/USD@a": "2"}), report("1", {"X/Y@a": "1"})
    assert main(["check-reports", write(tmp_path / "r", good, "", bad, lost)]) == 1
    out = capsys.readouterr().out
    assert "3 reports, 1 within 1e-15" in out
    assert "nothing leads to it" in out
    assert main(["check-reports", write(tmp_path / "r", good), "--tolerance", "0"]) == 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "is no report"),
        (report("x", {}), "is no integer"),
        (report("1", {"BTCUSD": "1"}), "is no leg"),
        (report("1", {"BTC/USD@a": "0x5"}), "is no price"),
        (report("1", {"BTC/USD@a": "0"}), "is no price"),
        ("", "holds no report"),
    ],
)
def test_a_mistake_names_file_and_line(
    line: object, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check-reports", write(tmp_path / "r.jsonl", line)]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "r.jsonl" in err


@pytest.mark.data
def test_every_report_of_production_comes_out(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = data / "reports" / "median_reports_20230614.jsonl.gz"
    assert main(["check-reports", str(path)]) == 0
    with gzip.open(path) as stream:
        assert f"{sum(1 for _ in stream)} reports, 265 within 1e-15" in capsys.readouterr().out
