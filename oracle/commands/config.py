"""`oracle config show`: the settings in force, as TOML that would give them again, with secrets masked."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from oracle.commands import common

EXAMPLES = (
    "oracle config show",
    "ORACLE_SERVICE__PORT=9000 oracle config show --config deploy/oracle.toml",
)
MASKED = "********"
Table = Mapping[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.add_argument("what", choices=["show"], help="print the settings in force")
    common.add_config(parser)


def main(args: argparse.Namespace) -> int:
    """Print. Raises ConfigError when the settings are wrong."""
    from oracle.config import world

    path = common.config_path(args.config)
    settings = common.settings_of(argparse.Namespace(config=path))
    made = world(settings)
    print(f"# {path} and {len(settings.origin.names)} settings of the environment")
    print(f"# {made.methodology}, {made.configuration_hash}; {len(made.sources)} sources")
    print("\n".join(toml(_plain(settings))))
    return 0


def toml(top: Table) -> Iterator[str]:
    """A tree of plain values as lines of TOML: scalars and lists, then tables, then arrays of tables."""
    yield from _body("", top)


def _body(name: str, table: Table) -> Iterator[str]:
    for key, value in table.items():
        if not _is_table(value) and not _is_tables(value):
            yield f"{_key(key)} = {_inline(value)}"
    for key, value in table.items():
        below = f"{name}.{_key(key)}" if name else _key(key)
        if _is_table(value):
            yield from ("", f"[{below}]")
            yield from _body(below, value)
        elif _is_tables(value):
            for element in value:
                yield from ("", f"[[{below}]]")
                yield from _body(below, element)


def _is_table(value: object) -> bool:
    return isinstance(value, dict) and bool(value)


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(element, dict) for element in value)


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(k)} = {_inline(v)}" for k, v in value.items()) + " }" if value else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value, ensure_ascii=False)  # JSON's strings, numbers and booleans are TOML's


def _key(key: str) -> str:
    return key if key.replace("-", "").replace("_", "").isalnum() and key.isascii() else json.dumps(key)


def _plain(value: Any) -> Any:
    """A settings object as dicts, lists and scalars; what is not set is left out."""
    if isinstance(value, BaseModel):
        fields = {field.alias or name: getattr(value, name) for name, field in type(value).model_fields.items()}
        return {name: _plain(field) for name, field in fields.items() if field is not None}
    if isinstance(value, SecretStr):
        return MASKED if value.get_secret_value() else ""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value
