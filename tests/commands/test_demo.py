"""`oracle demo` is the demo's own main, reached late."""

from __future__ import annotations

import argparse
import sys
from types import ModuleType

import pytest

from oracle import cli


def test_the_demo_gets_its_arguments_and_gives_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("oracle.demo")
    heard: list[argparse.Namespace] = []

    def main(args: argparse.Namespace) -> int:
        heard.append(args)
        return 7

    monkeypatch.setattr(module, "add_arguments", lambda parser: parser.add_argument("--seed", type=int), raising=False)
    monkeypatch.setattr(module, "main", main, raising=False)
    monkeypatch.setitem(sys.modules, "oracle.demo", module)
    assert cli.main(["demo", "--seed", "3"]) == 7
    assert heard[0].seed == 3
