"""What is shipped beside the code is true: the locks, the container, the script that checks everything, the runbook."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from oracle import cli

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.lock", "runtime.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def pins(name: str) -> dict[str, Requirement]:
    """Every requirement of a lock, by its name."""
    text = (ROOT / "deploy" / name).read_text(encoding="utf-8")
    lines = re.findall(r"(?m)^([a-z0-9][^\\\n]*?) *\\$", text)
    return {requirement.name: requirement for requirement in map(Requirement, lines)}


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_hashes_and_none_an_address(name: str) -> None:
    text = (ROOT / "deploy" / name).read_text(encoding="utf-8")
    assert not re.search(r"https?://|--index|--find-links|file:| @ ", text)
    for block in re.split(r"(?m)^(?=[a-z0-9])", text)[1:]:
        assert "--hash=sha256:" in block, block.splitlines()[0]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("runtime.lock", PROJECT["dependencies"]),
        ("requirements.lock", PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]),
    ],
)
def test_a_lock_holds_what_the_project_asks_for(name: str, wanted: list[str]) -> None:
    held = pins(name)
    for requirement in map(Requirement, wanted):
        assert requirement.name in held, f"{name} lacks {requirement.name}: compile it again"
        version = next(iter(held[requirement.name].specifier)).version
        assert requirement.specifier.contains(version), f"{name}: {requirement.name} {version} is outside {requirement}"


def test_the_runtime_lock_is_the_part_of_the_other_that_runs() -> None:
    runtime, everything = pins("runtime.lock"), pins("requirements.lock")
    assert {n: str(r.specifier) for n, r in runtime.items()}.items() <= {
        n: str(r.specifier) for n, r in everything.items()
    }.items()
    assert not {"pytest", "mypy", "ruff", "hypothesis"} & set(runtime)


def test_the_container_is_small_and_nobody_special() -> None:
    assert DOCKERFILE.count("FROM python:3.13-slim") == 2
    assert "--require-hashes -r deploy/runtime.lock" in DOCKERFILE
    assert "USER 65532:65532" in DOCKERFILE
    assert "STOPSIGNAL SIGTERM" in DOCKERFILE
    assert ":latest" not in DOCKERFILE
    for copied in re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", DOCKERFILE):
        assert all((ROOT / path).exists() for path in copied.split()), copied


def test_the_containers_commands_exist() -> None:
    entry = re.search(r'ENTRYPOINT \["(\w+)"\]', DOCKERFILE)
    assert entry
    assert entry[1] in PROJECT["scripts"]
    for words in (["run"], re.findall(r'"([^"]+)"', DOCKERFILE.partition("HEALTHCHECK")[2].partition("]")[0])[1:]):
        cli._parser(words).parse_args(words)


def test_the_containers_environment_is_one_the_settings_understand(tmp_path: Path) -> None:
    block = DOCKERFILE.partition("ENV PATH")[2].partition("USER")[0]
    environ = dict(word.split("=", 1) for word in shlex.split(block.replace("\\\n", " ")) if word.startswith("ORACLE_"))
    assert environ.pop("ORACLE_CONFIG") == "/etc/oracle/oracle.toml"
    done = subprocess.run(
        [sys.executable, "-m", "oracle", "config", "show", "--config", str(ROOT / "deploy" / "oracle.toml")],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    assert 'data_dir = "/var/lib/oracle"' in done.stdout
    assert done.stdout.count('host = "0.0.0.0"') == 3


def test_the_check_script_is_sound_and_runs_what_the_readme_says() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- test -->\s*```\w*\n(.+?)\n```", readme, re.DOTALL)
    assert block, "README.md: put the test command into the fenced block after <!-- test -->"
    command = block[1]
    assert command.rstrip().endswith(".venv/bin/pytest")
    assert "--require-hashes -r deploy/requirements.lock" in command


def test_every_heading_of_the_runbook_says_what_to_see_and_what_to_do() -> None:
    runbook = (ROOT / "deploy" / "runbook.md").read_text(encoding="utf-8")
    for section in runbook.split("\n## ")[1:]:
        title = section.partition("\n")[0]
        assert "- Act:" in section, title
        assert "- See:" in section or "- Check:" in section, title


def test_the_runbook_names_no_metric_that_is_not_there() -> None:
    from oracle.publishers.metrics import METRICS

    named = set(re.findall(r"\boracle_[a-z_]+", (ROOT / "deploy" / "runbook.md").read_text(encoding="utf-8")))
    assert named <= set(METRICS)
