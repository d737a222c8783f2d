"""TOML and the environment become settings, or one line that says what is wrong where."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.config.reading import allowed_range, nearest, read
from oracle.config.settings import Service, Settings
from oracle.errors import ConfigError


def written(folder: Path, text: str) -> Path:
    path = folder / "o.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as error:
        read(written(folder, text), environ or {})
    return str(error.value).replace(str(folder) + "/", "")


def test_without_a_file_there_are_defaults() -> None:
    assert read(None, {}) == Settings()


def test_the_environment_stands_over_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "[service]\nport = 1\nhost = 'h'\n[venues.kraken]\nlibrary = 'aiohttp'")
    environ = {
        "ORACLE_SERVICE__PORT": "2",
        "ORACLE_VENUES__KRAKEN__ENABLED": "false",
        "oracle_limits__stream_messages_max": "77",
        "ORACLE_GROUPS": '{"okx": "o"}',
        "ORACLE_ENGINE_FEED__KEYS__A": "ab" * 16,
    }
    made = read(path, environ)
    assert (made.service.port, made.service.host) == (2, "h")
    assert (made.venue("kraken").enabled, made.venue("kraken").library) == (False, "aiohttp")
    assert made.limits.stream_messages_max == 77
    assert made.groups == {"okx": "o"}
    assert "abab" not in repr(made.engine_feed)


def test_names_that_others_set_are_not_ours() -> None:
    others = {
        "ORACLE_HOME": "/opt/ora",
        "ORACLE_SID": "x",
        "ORACLE_SERVICE_HOST": "10.0.0.1",
        "ORACLE_SERVICE_PORT": "tcp://10.0.0.1:80",
        "ORACLE_PORT_8080_TCP_ADDR": "10.0.0.1",
        "ORACLE_CONFIG": "oracle.toml",
        "ORACLE_DATA": "/data",
        "SERVICE__PORT": "1",
    }
    assert read(None, others) == Settings()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[service]\nprot = 1", "o.toml:2: service.prot = 1: unknown setting (did you mean port?)"),
        ("[servce]\nport = 1", "o.toml:1: servce: unknown setting (did you mean service?)"),
        ("\n\n[service]\nport = 99999", "o.toml:4: service.port = 99999: input should be less than or equal to 65535"),
        ("[service]\nport = 99999", "(allowed: at least 0, at most 65535)"),
        ("[service]\nport = 'x'", "o.toml:2: service.port = 'x': input should be a valid integer"),
        ("[service]\ndurability = 'sync'", "not allowed (allowed: written, synced)"),
        (
            "[venues.kraken]\nurl = 'ftp://x'",
            "venues.kraken.url = 'ftp://x': string should match",
        ),
        (
            "[venues.kraken]\nurll = 'x'",
            "urll = 'x': unknown setting (did you mean url?)",
        ),
        ("[[index]]\nid = 'A'\nsources = []", "o.toml:1: index[0].base: is missing (currency that is priced"),
        ("[[index]]\nid = 'A B'\nbase = 'A'\nsources = []", "o.toml:2: index[0].id = 'A B': string should match"),
        (
            "[[index]]\nid = 'A'\nbase = 'A'\nsources = [\n'x',\n3]",
            "o.toml:6: index[0].sources[1] = 3: input should be text, or",
        ),
        ("[[perp]]\nid = 'A'\nindex = 'B'\ntick = 0.1", "o.toml:4: perp[0].tick = 0.1: input should be a valid string"),
        ("[service]\nport = 1\nport = 2", "o.toml:3: not TOML: Cannot overwrite a value"),
        ("[service", "o.toml:1: not TOML"),
        ("a = '", "o.toml:1: not TOML"),
        ('"a\\nb" = 1', '"a\\nb" = 1: unknown setting'),
        ("[groups]\nkraken = { a = 1 }", "o.toml:2: groups.kraken: input should be a valid string"),
        ("[service]\nport = { a = 1 }", "o.toml:2: service.port: input should be a valid integer"),
        ("index = 3", "o.toml:1: index = 3: input should be a valid tuple"),
        (
            "[[index]]\nid = 'A'\nbase = 'A'\nsources = []\n[[index.rules]]",
            "o.toml:5: index[0].rules: input should be a valid dictionary",
        ),
        ("[service]\nlog_level = 1\nport = true\nhost = 3", "o.toml:2: service.log_level"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, text: str, line: str) -> None:
    said = refusal(tmp_path, text)
    assert line in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"ORACLE_SERVICE__PORT": "x"}, "environment: ORACLE_SERVICE__PORT = 'x': input should be a valid integer"),
        ({"ORACLE_SERVCE__PORT": "1"}, "ORACLE_SERVCE__PORT: unknown section (did you mean ORACLE_SERVICE__?)"),
        ({"ORACLE_SERVICE__PROT": "1"}, "ORACLE_SERVICE__PROT = '1': unknown setting (did you mean port?)"),
        ({"ORACLE_OWN_VENUES": "[x"}, "environment: not JSON"),
    ],
)
def test_so_is_one_in_the_environment(tmp_path: Path, environ: dict[str, str], line: str) -> None:
    assert line in refusal(tmp_path, "", environ)


def test_a_secret_is_not_repeated(tmp_path: Path) -> None:
    said = refusal(tmp_path, "[engine_feed]\nkeys = { a = 123456789 }")
    assert "123456789" not in said
    assert "'***'" in said
    said = refusal(tmp_path, '[feeds.x]\nurl = "https://x.example"\npath = "p"\nheaders = { a = 123456789 }')
    assert "123456789" not in said
    assert "feeds.x.headers.a = '***'" in said


def test_a_file_that_cannot_be_read_is_one_line_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        read(tmp_path / "none.toml", {})
    (tmp_path / "o.toml").write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigError, match="is not UTF-8: byte 5"):
        read(tmp_path / "o.toml", {})


def test_the_nearest_name_or_all_when_they_are_few() -> None:
    assert nearest("prot", ["port", "host"]) == "did you mean port?"
    assert nearest("zzz", ["port", "host"]) == "known: host, port"
    assert nearest("zzz", [f"{n}aaaa" for n in range(20)]) == ""


def test_a_range_is_said_in_words() -> None:
    assert allowed_range(Service.model_fields["beat_ms_min"]) == "at least 0, at most 1000"
    assert allowed_range(Service.model_fields["host"]) == ""


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40), st.dictionaries(st.text(max_size=12).map("ORACLE_SERVICE__".__add__), st.text(max_size=8)))
def test_whatever_is_written_the_answer_is_settings_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, text: str, environ: dict[str, str]
) -> None:
    path = tmp_path_factory.mktemp("any") / "o.toml"
    path.write_bytes(text.encode("utf-8", "replace"))
    said = ""
    try:
        read(path, environ)
    except ConfigError as error:
        said = str(error)
    assert len(said.splitlines()) <= 1
