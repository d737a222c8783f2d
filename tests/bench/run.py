"""Figures, not tests: `python tests/bench/run.py [decode|step|chain|wire|replay|flood|all] [--quick]`.

`soak` runs for as long as it is told (`--minutes 30 --rate 20000`) and is not among all. Two sections have arguments
and tables of their own: `fuzz` and `conformance`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.common import Figure, show

SECTIONS = ("decode", "step", "chain", "wire", "replay", "flood")
LONG = "soak"
OWN = ("fuzz", "conformance")


def main() -> int:
    """Run the sections that were asked for and print one table."""
    if sys.argv[1:2] and sys.argv[1] in OWN:
        run: Callable[[list[str]], int] = import_module(f"tests.bench.{sys.argv[1]}").main
        return run(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("section", nargs="?", default="all", choices=(*SECTIONS, LONG, "all"))
    parser.add_argument(
        "--quick", action="store_true", help="seconds instead of minutes: whether it runs, not how fast"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a figure instead of the table")
    parser.add_argument("--minutes", type=float, default=30.0, help="of the soak")
    parser.add_argument("--rate", type=float, default=20_000.0, help="frames a second of the soak")
    args = parser.parse_args()
    figures: list[Figure] = []
    for section in SECTIONS if args.section == "all" else (args.section,):
        began = time.monotonic()
        bench: Callable[..., list[Figure]] = import_module(f"tests.bench.{section}").bench
        figures += bench(args.quick, args.minutes, args.rate) if section == LONG else bench(args.quick)
        print(f"{section}: {time.monotonic() - began:.1f} s", file=sys.stderr)
    if args.json:
        print("\n".join(json.dumps(figure._asdict()) for figure in figures))
        return 0
    print(f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} processors, "
          f"load {os.getloadavg()[0]:.1f}; medians of repeats, best beside them")  # fmt: skip
    print(show(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
