"""Errors say where, what and what to do, in one line."""

from __future__ import annotations

from oracle.errors import ConfigError, FeedError, JournalError, Refusal, VenueError


def test_a_config_error_names_file_line_key_value_and_remedy() -> None:
    error = ConfigError("is out of range", file="o.toml", line=7, key="beat_ms_min", value=-1, remedy="use 0 to 1000")
    assert str(error) == "o.toml:7: beat_ms_min = -1: is out of range (use 0 to 1000)"
    assert str(ConfigError("no such file", file="o.toml")) == "o.toml: no such file"
    assert str(ConfigError("is missing", key="server.port")) == "server.port: is missing"


def test_a_refusal_is_its_reason_and_its_detail() -> None:
    assert str(VenueError(Refusal.CHECKSUM, "BTC/USD")) == "CHECKSUM: BTC/USD"
    assert str(VenueError(Refusal.NOT_JSON)) == "NOT_JSON"
    assert str(FeedError("MAC")) == "MAC"
    assert str(FeedError("MAC", "key 7")) == "MAC: key 7"


def test_a_journal_error_names_its_place() -> None:
    assert str(JournalError("torn", path="a.journal", offset=12, seq=3)) == "a.journal @12 seq 3: torn"
    assert str(JournalError("torn")) == "torn"
