"""Keys are made where they are wanted, never over another one."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from oracle import cli
from oracle.config import Settings, feed_keys
from oracle.journal import keys


def test_a_signing_key_and_its_public_half(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new" / "signing.key"
    assert cli.main(["keygen", str(path)]) == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = keys.load_private(path)
    assert keys.public_hex(keys.load_public(path.with_name("signing.key.pub"))) == keys.public_hex(key)
    assert keys.public_hex(key) in capsys.readouterr().out
    assert cli.main(["keygen", str(path)]) == 1
    assert "is not overwritten" in capsys.readouterr().err
    assert keys.public_hex(keys.load_private(path)) == keys.public_hex(key)


def test_without_a_name_it_is_where_the_settings_want_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "oracle.toml").write_text("[service]\ndata_dir = 'state'")
    assert cli.main(["keygen"]) == 0
    assert (tmp_path / "state" / "signing.key").is_file()


def test_a_feed_secret_is_a_line_of_the_keys_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["keygen", "--feed", "engine1"]) == 0
    path = tmp_path / "feed.keys"
    path.write_text(capsys.readouterr().out)
    path.chmod(0o600)
    made = feed_keys(Settings(engine_feed={"keys_file": path}))
    assert list(made) == ["engine1"]
    assert len(made["engine1"]) == 32
