"""The command line teaches, answers at once, and says a mistake in one line."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from oracle import cli
from oracle.errors import ConfigError, JournalUnreadable, KeyFileError, ServiceError

NAMES = [verb.name for verb in cli.VERBS]
MODULES = {verb.name: verb.module for verb in cli.VERBS}
SLOW = ("pydantic", "aiohttp", "ccxt", "numpy", "cryptography", "sqlalchemy", "asyncio", "msgspec", "structlog")


@pytest.mark.parametrize("name", NAMES)
def test_every_verb_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([name, "--help"])
    assert ended.value.code == 0
    assert f"oracle {name}" in capsys.readouterr().out.partition("examples:")[2]


@pytest.mark.parametrize("name", NAMES)
def test_the_arguments_of_every_example_exist(name: str) -> None:
    module = import_module(MODULES[name])
    for example in module.EXAMPLES:
        call = re.search(rf"oracle ({name}\b.*?)(?:\s{{3,}}| [|>]|$)", example)
        assert call, example
        arguments = shlex.split(call[1])
        if "--help" not in arguments:
            cli._parser(arguments).parse_args(arguments)


def test_every_verb_is_a_file_and_every_file_a_verb() -> None:
    folder = Path(cli.__file__).parent / "commands"
    verbs = {
        f"oracle.commands.{p.stem}" for p in folder.glob("*.py") if "def add_arguments" in p.read_text(encoding="utf-8")
    }
    assert verbs == set(MODULES.values())


def test_help_answers_at_once_because_nothing_is_imported() -> None:
    code = "import sys; from oracle.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += f"print([m for m in {SLOW} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "exit codes:" in done.stdout


def test_without_a_verb_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == cli.UNUSABLE
    assert "usage: oracle" in capsys.readouterr().out


def test_an_unknown_verb_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["rum"])
    assert ended.value.code == cli.UNUSABLE
    assert "invalid choice: 'rum'" in capsys.readouterr().err


def raising(error: BaseException) -> Callable[[argparse.Namespace], int]:
    def main(args: argparse.Namespace) -> int:
        raise error

    return main


@pytest.fixture
def keygen() -> ModuleType:
    return import_module("oracle.commands.keygen")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ConfigError("is odd", file="f", line=3, key="a.b", value=1), 2, "oracle: f:3: a.b = 1: is odd"),
        (JournalUnreadable("is no journal", path="j"), 2, "oracle: j: is no journal"),
        (KeyFileError("no key\nat all"), 1, "oracle: no key at all"),
        (ServiceError("the port is busy"), 1, "oracle: the port is busy"),
        (FileNotFoundError(2, "No such file or directory", "x.txt"), 2, "oracle: x.txt: No such file or directory"),
        (OSError("strange"), 2, "oracle: strange"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_an_error_is_one_line_and_a_documented_code(
    keygen: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    said: str,
) -> None:
    monkeypatch.setattr(keygen, "main", raising(error))
    assert cli.main(["keygen"]) == code
    assert capsys.readouterr().err.strip() == said
    assert f"  {code}  " in cli._EPILOG


def test_a_mistake_of_ours_is_not_hidden(keygen: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keygen, "main", raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        cli.main(["keygen"])


def test_a_reader_that_leaves_is_no_error() -> None:
    code = "import sys; from oracle.cli import main; sys.exit(main(['methods', 'hk1']))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.wait(20) == 0
        assert process.stderr.read() == b""
