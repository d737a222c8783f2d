"""What is shown are the settings in force, in a form that gives them again, and never a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from oracle import cli, config

SHIPPED = Path(__file__).resolve().parents[2] / "deploy" / "oracle.toml"


def test_what_is_shown_gives_the_same_world(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORACLE_SERVICE__PORT", "9000")
    monkeypatch.setenv("ORACLE_ENGINE_FEED__KEYS_FILE", "feed.keys")
    assert cli.main(["config", "show", "--config", str(SHIPPED)]) == 0
    path = tmp_path / "again.toml"
    path.write_text(capsys.readouterr().out)
    again = config.load(path, {})
    environ = {"ORACLE_SERVICE__PORT": "9000", "ORACLE_ENGINE_FEED__KEYS_FILE": "feed.keys"}
    assert again.model_dump() == config.load(SHIPPED, environ).model_dump()
    assert config.world(again) == config.world(config.load(SHIPPED, {}))


def test_a_secret_is_masked(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORACLE_ENGINE_FEED__KEYS__ENGINE1", "c0ffee" * 8)
    assert cli.main(["config", "show", "--config", str(SHIPPED)]) == 0
    shown = capsys.readouterr().out
    assert "c0ffee" not in shown
    assert 'engine1 = "********"' in shown


def test_own_parameters_and_venues_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "o.toml"
    more = (
        '[[perp]]\nid = "X-PERP"\nindex = "BTC-USD"\n[perp.rules.mark]\nband_bps = 200\n[venues.kraken]\nenabled = true'
    )
    path.write_text(SHIPPED.read_text() + more)
    assert cli.main(["config", "show", "--config", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "[perp.rules.mark]\nband_bps = 200" in shown
    assert "[venues.kraken]\nenabled = true" in shown


def test_dated_sources_and_feeds_are_shown_so_that_they_can_be_read_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "o.toml"
    path.write_text(
        """[[index]]
id = "USD-HKD"
base = "USD"
quote = "HKD"
status = "TEST"
sources = ["ecb:USD/HKD", { source = "feed.desk:USD/HKD", from = 2026-12-01T16:00:00+08:00, ratio = 10 }]
[feeds.desk]
url = "https://rates.example/"
path = "mid"
headers = { A = "token" }
"""
    )
    assert cli.main(["config", "show", "--config", str(path)]) == 0
    shown = capsys.readouterr().out
    assert '{ source = "feed.desk:USD/HKD", from = "2026-12-01T08:00:00Z", until = "", ratio = 10.0 }]' in shown
    assert "token" not in shown
    (tmp_path / "again.toml").write_text(shown)
    again, first = (config.world(config.load(tmp_path / name, {})) for name in ("again.toml", "o.toml"))
    assert again == first


def test_wrong_settings_are_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "o.toml"
    path.write_text("[service]\nprot = 1")
    assert cli.main(["config", "show", "--config", str(path)]) == 2
    assert capsys.readouterr().err == f"oracle: {path}:2: service.prot = 1: unknown setting (did you mean port?)\n"
