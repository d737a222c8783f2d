"""What several verbs share: where the settings lie, and a table for people."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from oracle.errors import ConfigError

if TYPE_CHECKING:
    from oracle.config import Settings

SEARCHED = (Path("oracle.toml"), Path("deploy/oracle.toml"))


def add_config(parser: argparse.ArgumentParser) -> None:
    """The option that names the settings file."""
    places = ", ".join(map(str, SEARCHED))
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help=f"settings; without it $ORACLE_CONFIG, else the first of {places}"
    )


def settings_of(args: argparse.Namespace, more: Mapping[str, str] | None = None) -> Settings:
    """The settings that the arguments and the environment mean; `more` overrides the environment.

    Raises ConfigError.
    """
    from oracle import config

    return config.load(config_path(args.config), {**os.environ, **(more or {})})


def config_path(given: Path | None) -> Path:
    """The settings file that is meant. Raises ConfigError when there is none."""
    if given:
        return given
    if os.environ.get("ORACLE_CONFIG"):
        return Path(os.environ["ORACLE_CONFIG"])
    for path in SEARCHED:
        if path.is_file():
            return path
    raise ConfigError("there is no settings file here", remedy="give --config FILE, or see deploy/oracle.toml")


def table(rows: Iterable[Sequence[object]], head: Sequence[str]) -> str:
    """Rows in aligned columns, under a head."""
    cells = [tuple(map(str, head)), *(tuple(map(str, row)) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in cells)
