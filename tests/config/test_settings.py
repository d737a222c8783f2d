"""The settings know their defaults, their owners and where they were written."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from oracle.config.settings import DatedSource, Feed, Index, Origin, Section, Settings, dotted


def test_the_process_environment_is_not_read_behind_the_readers_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORACLE_SERVICE__PORT", "1")
    assert Settings().service.port == 8080


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(Settings().service, "port", 1)  # noqa: B010


def test_what_is_set_stands_over_what_is_known_and_a_venue_of_neither_for_itself() -> None:
    made = Settings(groups={"gemini": "twins"}, domains={"okx": "cloud"})
    assert [made.group_of(v) for v in ("gemini", "kraken", "ccxt.kraken", "my.venue")] == [
        "twins",
        "payward",
        "payward",
        "my.venue",
    ]
    assert [made.domain_of(v) for v in ("okx", "ccxt.okx", "binance", "my.venue")] == [
        "cloud",
        "cloud",
        "aws-ap-northeast-1",
        "my.venue",
    ]
    assert made.venue("okx").enabled


def test_a_source_is_text_or_a_table_of_known_keys() -> None:
    table = {"source": "gate:B", "from": "2026-12-01T08:00:00+08:00", "until": "2027-01-01T00:00:00Z", "ratio": 1000}
    made = Index(id="X", base="A", sources=["kraken:A/USD", table])
    dated = made.sources[1]
    assert isinstance(dated, DatedSource)
    assert made.sources[0] == "kraken:A/USD"
    assert (dated.since, dated.until, dated.ratio) == ("2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z", 1000.0)
    assert made == Index.model_validate(made.model_dump() | {"sources": made.sources})


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"source": "a:b", "form": "x"}, "form: Extra inputs are not permitted"),
        ({"from": "2026-12-01T08:00:00Z"}, "source: Field required"),
        ({"source": "a:b", "from": "2026-12-01T08:00:00"}, "from: a time is written with its offset"),
        ({"source": "a:b", "until": 1_796_112_000}, "until: a time is written with its offset"),
        ({"source": "a:b", "ratio": 0}, "ratio: Input should be greater than or equal to"),
        (3, "input should be text, or a table of source, from, until and ratio"),
    ],
)
def test_a_table_that_is_wrong_is_told_by_its_key(written: object, said: str) -> None:
    with pytest.raises(ValidationError) as error:
        Index(id="X", base="A", sources=[written])
    assert said in str(error.value)


def test_a_conversion_that_is_a_number_stays_readable() -> None:
    assert Index(id="X", base="A", sources=[], conversions={"USDT": 1.0}).conversions == {"USDT": "1.0"}
    with pytest.raises(ValidationError, match="valid string"):
        Index(id="X", base="A", sources=[], conversions={"USDT": True})


def test_a_feed_streams_or_is_asked_and_shows_no_secret() -> None:
    made = Feed(url="wss://x.example", path="a", subscribe="token 7", headers={"A": "token 8"})
    assert (made.streams, Feed(url="https://x.example", path="a").streams) == (True, False)
    assert "token" not in repr(made)
    with pytest.raises(ValidationError, match="pattern"):
        Feed(url="file:///etc/passwd", path="a")


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
