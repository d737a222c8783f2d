"""Settings: a TOML file and the environment become core Structs here; everything wrong dies here, with its line.

`load` reads and checks; `world` gives what beats are judged by. Nothing else in the house reads a setting's text.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from oracle.config.keys import feed_keys, feed_tls
from oracle.config.reading import read
from oracle.config.rules import ruleset
from oracle.config.settings import Settings
from oracle.config.source import parse_source
from oracle.config.world import check_service, world

__all__ = ["Settings", "feed_keys", "feed_tls", "load", "parse_source", "ruleset", "world"]


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings of a TOML file, overridden by `ORACLE_<SECTION>__<KEY>`, with every refusal already made.

    Without a path there are only defaults and the environment. Raises ConfigError, one line, on the first mistake.
    """
    settings = read(path, environ)
    check_service(settings)
    if settings.index or settings.perp:
        world(settings)
    return settings
