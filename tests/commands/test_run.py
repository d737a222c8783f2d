"""`oracle run` hands its arguments to the service as settings and runs it on the fastest loop there is."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path
from types import ModuleType

import pytest

from oracle import cli
from oracle.commands import run
from oracle.config import Settings


class App(ModuleType):
    def __init__(self) -> None:
        super().__init__("oracle.app")
        self.calls: list[tuple[Settings, bool, str]] = []
        self.answer: int | None = None

    async def run(self, settings: Settings, *, once: bool) -> int | None:
        self.calls.append((settings, once, type(asyncio.get_running_loop()).__module__.partition(".")[0]))
        return self.answer


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> App:
    made = App()
    monkeypatch.setitem(sys.modules, "oracle.app", made)
    monkeypatch.setattr("oracle.app", made, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "oracle.toml").write_text("[metrics]\nport = 0\n[engine_feed]\nport = 0\n")
    return made


def test_the_arguments_become_settings(app: App, tmp_path: Path) -> None:
    assert cli.main(["run", "--once", "--port", "0", "--data-dir", str(tmp_path / "d")]) == 0
    [(settings, once, loop)] = app.calls
    assert (settings.service.port, settings.service.data_dir, once) == (0, tmp_path / "d", True)
    assert loop == ("uvloop" if run.loop_factory() else "asyncio")


def test_the_services_code_is_the_commands(app: App) -> None:
    app.answer = 1
    assert cli.main(["run", "--port", "0"]) == 1


def test_a_busy_port_is_said_before_anything_starts(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert cli.main(["run", "--port", str(listener.getsockname()[1])]) == 1
    assert "the port is busy" in capsys.readouterr().err
    assert not app.calls


def test_without_settings_nothing_runs(app: App, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "oracle.toml").unlink()
    assert cli.main(["run"]) == 2
    assert "no settings file here" in capsys.readouterr().err


def test_without_uvloop_the_standard_loop_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert run.loop_factory() is None
