"""Where settings are looked for, and how a table is laid out."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from oracle.commands import common
from oracle.errors import ConfigError


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ORACLE_CONFIG", raising=False)


def test_the_settings_are_found_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no settings file here"):
        common.config_path(None)
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "oracle.toml").touch()
    assert common.config_path(None) == Path("deploy/oracle.toml")
    (tmp_path / "oracle.toml").touch()
    assert common.config_path(None) == Path("oracle.toml")
    monkeypatch.setenv("ORACLE_CONFIG", "elsewhere.toml")
    assert common.config_path(None) == Path("elsewhere.toml")
    assert common.config_path(Path("given.toml")) == Path("given.toml")


def test_arguments_stand_over_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "oracle.toml").write_text("[service]\nport = 1\nhost = 'h'")
    monkeypatch.setenv("ORACLE_SERVICE__PORT", "2")
    args = argparse.Namespace(config=None)
    assert common.settings_of(args).service.port == 2
    assert common.settings_of(args, {"ORACLE_SERVICE__PORT": "3"}).service.port == 3
    assert common.settings_of(args).service.host == "h"


def test_columns_are_aligned() -> None:
    assert common.table([("a", 1), ("bbb", "")], ("x", "yy")) == "x    yy\na    1\nbbb"
