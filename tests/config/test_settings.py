"""The settings know their defaults, their owners and where they were written."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from oracle.config.settings import Origin, Section, Settings, dotted


def test_the_process_environment_is_not_read_behind_the_readers_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORACLE_SERVICE__PORT", "1")
    assert Settings().service.port == 8080


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(Settings().service, "port", 1)  # noqa: B010


def test_a_venue_stands_for_itself_until_an_owner_is_named() -> None:
    made = Settings(groups={"kraken": "payward"}, domains={"okx": "cloud"})
    assert (made.group_of("kraken"), made.group_of("okx")) == ("payward", "okx")
    assert (made.domain_of("kraken"), made.domain_of("okx")) == ("kraken", "cloud")
    assert made.venue("okx").enabled


def test_the_signing_key_lies_in_the_data_folder_unless_named() -> None:
    assert Settings().signing_key_file == Path("var/signing.key")
    assert Settings(journal={"key_file": "/k"}).signing_key_file == Path("/k")


def test_a_wrong_setting_is_blamed_on_where_it_was_written() -> None:
    origin = Origin(
        "f.toml", {("a",): 1, ("a", "b"): 2}, {("a", "c"): "ORACLE_A__C", ("v", "k", "e"): "ORACLE_V__K__E"}
    )
    assert str(origin.wrong(("a", "b"), 3, "is odd", "be even")) == "f.toml:2: a.b = 3: is odd (be even)"
    assert str(origin.wrong(("a", "c"), 3, "is odd")) == "environment: ORACLE_A__C = 3: is odd"
    assert str(origin.wrong(("a", "d"), None, "is missing")) == "f.toml:1: a.d: is missing"
    assert str(origin.wrong(("v", "k"), None, "is unknown")) == "environment: ORACLE_V__K__E: is unknown"


def test_a_path_reads_as_one_would_say_it() -> None:
    assert dotted(("index", 0, "rules", "source", "stale_ms_min")) == "index[0].rules.source.stale_ms_min"


def test_every_setting_is_described() -> None:
    silent = [
        f"{section.__name__}.{name}"
        for section in Section.__subclasses__()
        for name, field in section.model_fields.items()
        if not field.description
    ]
    assert not silent
