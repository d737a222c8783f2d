"""`oracle explain`: a number with everything behind it, as people and as programs read it."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from oracle.cli import main


def test_a_perpetual_with_every_leg_and_clamp(traded: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "120", "BTC-USD-PERP", traded]) == 0
    out = capsys.readouterr().out
    assert "BTC-USD-PERP at beat 120, 2025-06-15" in out
    assert "legs: basis" in out
    assert "mean premium" in out
    assert "step clamp does not bind" in out
    assert out.count("USED") >= 4


def test_the_same_as_data(traded: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "2025-06-15T15:07:00Z", "BTC-USD", traded, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["seq"] == 80
    assert [i["verdict"] for i in said["inputs"]] == ["USED"] * 5
    assert said["parameters"]["version"] == "1.0.0"


def test_who_moved_it(traded: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "110", "BTC-USD", traded, "--since", "100"]) == 0
    assert "sum, exactly" in capsys.readouterr().out
    assert main(["explain", "110", "BTC-USD", traded, "--since", "100", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert sum(Fraction(share["units"]) for share in said["shares"]) == said["units"]


@pytest.mark.parametrize("when", ["soon", "12.5", "-3x"])
def test_a_moment_that_is_none(when: str, traded: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--", when, "BTC-USD", traded]) == 2
    assert "neither a beat nor a time" in capsys.readouterr().err
