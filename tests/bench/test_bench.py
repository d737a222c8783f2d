"""The benches run and give figures. Whether the figures are good is for whoever reads them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

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
