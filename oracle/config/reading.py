"""How the text of settings is read: TOML, then `ORACLE_<SECTION>__<KEY>` over it, then types and ranges.

Only names with a double underscore, or of a whole section, are taken for ours: schedulers set `ORACLE_SERVICE_PORT` for
a service called oracle, and a database vendor has its own `ORACLE_HOME`.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource, SettingsError

from oracle.config.settings import Origin, Settings
from oracle.config.text import Path as KeyPath
from oracle.config.text import line_of, lines_of
from oracle.errors import ConfigError

PREFIX = "ORACLE_"
SECRETS = re.compile(r"engine_feed\.keys\b|feeds\.[^.]+\.(headers|subscribe)\b")  # values that are never repeated
_COMPARISONS = (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below"))


def read(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Settings of the right types and ranges; what contradicts something else is not looked at here.

    Raises ConfigError.
    """
    text = _text(path) if path else ""
    file = str(path) if path else ""
    tables = _tables(text, file)
    origin = Origin(file, lines_of(text), _names(environ))
    for section, name in ((key[0], name) for key, name in origin.names.items()):
        if section not in Settings.model_fields:
            known = [PREFIX + field.upper() + "__" for field in Settings.model_fields]
            raise ConfigError("unknown section", file="environment", key=repr(name)[1:-1], remedy=nearest(name, known))
    try:
        settings = Settings(**_merged(tables, _Environment(environ)()))
    except SettingsError as error:
        raise ConfigError(f"not JSON: {error}", file="environment") from None
    except ValidationError as error:
        raise _first(error.errors(include_url=False), origin) from None
    settings._origin = origin
    return settings


def nearest(word: str, known: Iterable[str]) -> str:
    """The remedy for a misspelt word: the nearest known ones, or all of them when they are few."""
    names = sorted(set(known))
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]}?"
    return f"known: {', '.join(names)}" if 0 < len(names) <= 12 else ""


class _Environment(EnvSettingsSource):
    """The environment that `read` was given, instead of the process's own."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._given = {k.lower(): v for k, v in environ.items() if k.upper().startswith(PREFIX)}
        super().__init__(Settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._given


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path)) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"is not UTF-8: byte {error.start}", file=str(path)) from None


def _tables(text: str, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        raise ConfigError(f"not TOML: {error}", file=file, line=line) from None


def _names(environ: Mapping[str, str]) -> dict[KeyPath, str]:
    names: dict[KeyPath, str] = {}
    for name in environ:
        upper = name.upper()
        if upper.startswith(PREFIX):
            path = tuple(upper[len(PREFIX) :].lower().split("__"))
            if len(path) > 1 or path[0] in Settings.model_fields:
                names[path] = name
    return names


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`above` over `below`, table by table."""
    out = dict(below)
    for key, value in above.items():
        old = out.get(key)
        out[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return out


def _first(errors: list[ErrorDetails], origin: Origin) -> ConfigError:
    """The mistake that stands first in the file, as one line."""

    def place(error: ErrorDetails) -> int:
        return line_of(origin.lines, error["loc"])

    error = min(errors, key=place)
    path: KeyPath = error["loc"]
    value: object = None if error["type"] == "missing" else error["input"]
    if SECRETS.match(".".join(map(str, path))):
        value = "***"
    elif isinstance(value, dict | list):
        value = None
    problem, remedy = _explained(error, path)
    return origin.wrong(path, value, problem, remedy)


def _explained(error: ErrorDetails, path: KeyPath) -> tuple[str, str]:
    kind = error["type"]
    field = _field(path)
    if kind == "extra_forbidden":
        return "unknown setting", nearest(str(path[-1]), _siblings(path))
    if kind == "missing":
        return "is missing", (field.description or "") if field else ""
    if kind == "literal_error" and field:
        allowed = [str(choice) for choice in get_args(field.annotation)]
        return "not allowed", "allowed: " + ", ".join(allowed)
    remedy = f"allowed: {allowed_range(field)}" if field and allowed_range(field) else ""
    message = error["msg"]
    return message[:1].lower() + message[1:], remedy


def allowed_range(field: FieldInfo) -> str:
    """The range of a setting in words, or nothing."""
    bounds: dict[str, object] = {}
    for metadata in field.metadata:
        for name, _ in _COMPARISONS:
            if getattr(metadata, name, None) is not None:
                bounds[name] = getattr(metadata, name)
    return ", ".join(f"{word} {bounds[name]}" for name, word in _COMPARISONS if name in bounds)


def _siblings(path: KeyPath) -> list[str]:
    parent = _annotation(path[:-1])
    return list(parent.model_fields) if isinstance(parent, type) and issubclass(parent, BaseModel) else []


def _field(path: KeyPath) -> FieldInfo | None:
    parent = _annotation(path[:-1])
    if isinstance(parent, type) and issubclass(parent, BaseModel):
        return parent.model_fields.get(str(path[-1]))
    return None


def _annotation(path: KeyPath) -> Any:
    """The type that stands at a path, or None."""
    found: Any = Settings
    for part in path:
        if isinstance(found, type) and issubclass(found, BaseModel):
            field = found.model_fields.get(str(part))
            found = field.annotation if field else None
        elif get_origin(found) in (dict, tuple):
            found = get_args(found)[1 if get_origin(found) is dict else 0]
        else:
            return None
    return found
