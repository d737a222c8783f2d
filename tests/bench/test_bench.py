"""The benches run and give figures. Whether the figures are good is for whoever reads them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from oracle.venues._strict import Decoder
from tests.bench import fuzz
from tests.bench.soak import slope_of

RUN = Path(__file__).resolve().parent / "run.py"
LEAST = {"decode": 16, "step": 2, "chain": 7, "wire": 6, "replay": 4, "flood": 5}


def figures_of(section: str) -> list[dict[str, Any]]:
    """What a quick run of a bench says."""
    done = subprocess.run(
        [sys.executable, str(RUN), section, "--quick", "--json"],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_soak_counts_what_may_not_grow() -> None:
    figures = {figure["name"]: figure["value"] for figure in figures_of("soak")}
    assert figures["frames handled"] > 0.0
    assert figures["beats"] > 1.0
    assert figures["beats missed"] >= 0
    assert figures["file descriptors, most"] > 20
    assert "memory after warming up, slope" in figures


def test_a_slope_is_that_of_the_line_through_the_points() -> None:
    assert slope_of([0.0, 1.0, 2.0, 3.0], [5.0, 7.0, 9.0, 11.0]) == 2.0
    assert slope_of([1.0], [5.0]) == 0.0


@pytest.mark.parametrize("section", LEAST)
def test_a_bench_gives_its_figures(section: str) -> None:
    figures = figures_of(section)
    assert len(figures) >= LEAST[section]
    assert all(figure["section"] == section and figure["value"] > 0.0 for figure in figures), figures


def test_the_fuzzer_tells_what_came_of_its_inputs() -> None:
    run = [sys.executable, str(RUN), "fuzz", "--seconds", "0.5", "--venues", "kraken,mexc", "--unguided", "--json"]
    done = subprocess.run(run, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["venue"] for row in rows] == ["kraken", "mexc"]
    for row in rows:
        assert row["executions"] == sum(row["counts"].values()) > 0
        assert row["counts"]["NOT_JSON"] > 0
        assert row["counts"]["accepted"] > 0
        assert row["crashes"] == {}


def test_the_fuzzer_sees_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = fuzz.Decoder("itbit")
    for _ in range(2):
        decoder.feed(decoder.seeds()[0])
    assert decoder.counts == {"accepted": 2}
    monkeypatch.setattr(fuzz, "sane", lambda event: False)
    decoder.feed(decoder.seeds()[0])
    monkeypatch.setattr(Decoder, "__call__", lambda self, data: 1 / 0)
    decoder.feed(decoder.seeds()[0])
    assert decoder.counts["crashes"] == len(decoder.crashes) == 2
    assert any(what.startswith("ZeroDivisionError") for what in decoder.crashes)


@pytest.mark.data
def test_conformance_is_a_command(data: Path) -> None:
    run = [sys.executable, str(RUN), "conformance", "--venues", "htx,upbit", "--json", "--data", str(data)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert {row["recording"] for row in rows} >= {"huobi.ws.44.0", "huobi", "upbit.ws.62.0", "upbit"}
    assert "blockchain.ws.1.0" in done.stdout
    assert "unnamed 0" in done.stderr
