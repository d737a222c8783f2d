"""`oracle run`: the service itself, until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from pathlib import Path

from oracle.commands import common, ports

EXAMPLES = (
    "oracle run",
    "oracle run --config deploy/oracle.toml --port 0",
    "oracle run --once        print index, mark and funding as soon as they stand, then end",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    common.add_config(parser)
    parser.add_argument("--once", action="store_true", help="print the first published values and end")
    parser.add_argument("--port", type=int, help="port of the public API; 0 lets the system choose")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of journal, snapshots and state")


def main(args: argparse.Namespace) -> int:
    """Run the service. Raises ConfigError, ServiceError and what else of the tree stops it."""
    more = {}
    if args.port is not None:
        more["ORACLE_SERVICE__PORT"] = str(args.port)
    if args.data_dir is not None:
        more["ORACLE_SERVICE__DATA_DIR"] = str(args.data_dir)
    settings = common.settings_of(args, more)
    ports.require_free(settings)
    from oracle import app

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return int(runner.run(app.run(settings, once=args.once)) or 0)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop where there is one."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
