"""The benches run and give figures. Whether the figures are good is for whoever reads them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parent / "run.py"
LEAST = {"decode": 16, "step": 2, "chain": 7, "wire": 6, "replay": 4}


@pytest.mark.parametrize("section", LEAST)
def test_a_bench_gives_its_figures(section: str) -> None:
    done = subprocess.run(
        [sys.executable, str(RUN), section, "--quick", "--json"],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(figures) >= LEAST[section]
    assert all(figure["section"] == section and figure["value"] > 0.0 for figure in figures), figures
