"""`oracle demo`: simulated venues, a simulated trading engine, and the real service between them."""

from __future__ import annotations

import argparse
from importlib import import_module

EXAMPLES = ("oracle demo", "oracle demo --help        the story and its knobs")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The demo's own arguments."""
    import_module("oracle.demo").add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Run the demo."""
    return int(import_module("oracle.demo").main(args))
