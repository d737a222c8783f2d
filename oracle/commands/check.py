"""`oracle check`: whether everything the service needs is there, as a table that says what to do."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from oracle.clock import Clock, SystemClock, kernel_offset_ns
from oracle.commands import common, ports
from oracle.commands.probe import Finding, Probe, tried
from oracle.core.params import Role, World
from oracle.core.types import NANOS_PER_MS
from oracle.errors import KeyFileError, OracleError
from oracle.journal import keys
from oracle.venues import base

if TYPE_CHECKING:
    from oracle.config import Settings

EXAMPLES = (
    "oracle check",
    "oracle check --config deploy/oracle.toml --timeout 5",
    "oracle check --no-venues        only this machine: no network is touched",
)
SYNC_MS_MAX = 20.0  # a slower disk is felt when durability is synced


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    common.add_config(parser)
    parser.add_argument("--timeout", type=float, default=10.0, metavar="S", help="how long to wait for a venue, s")
    parser.add_argument("--no-venues", action="store_true", help="leave the venues out")


def main(args: argparse.Namespace) -> int:
    """Print the table; 1 when something must be done. Raises ConfigError."""
    from oracle import config

    settings = common.settings_of(args)
    world = config.world(settings)
    found = [*machine(settings)]
    if not args.no_venues:
        found += asyncio.run(venues(settings, world, SystemClock(), args.timeout))
    print(common.table(((row.what, row.found, row.todo or "-") for row in found), ("what", "found", "what to do")))
    todo = sum(bool(row.todo) for row in found)
    print(f"\n{todo} of {len(found)} need something done" if todo else "\nall is well", file=sys.stderr)
    return int(todo > 0)


async def venues(settings: Settings, world: World, clock: Clock, timeout_s: float) -> list[Finding]:
    """Try every venue that is configured and enabled, all at once."""
    return list(await asyncio.gather(*(tried(probe, clock, timeout_s) for probe in probes(settings, world))))


def probes(settings: Settings, world: World) -> list[Probe]:
    """One probe a venue and market, in configured order."""
    feeds: dict[tuple[str, str], list[base.Feed]] = {}
    for source in world.sources:
        if source.role is not Role.ENGINE and settings.venue(source.venue).enabled:
            feeds.setdefault((source.venue, source.market), []).append(base.Feed(source.id, source.symbol))
    out = []
    for (venue, market), wanted in feeds.items():
        reached = settings.venue(venue)
        library = "picows" if reached.library == "auto" else reached.library
        out.append(Probe(venue, market, wanted, reached.url, reached.proxy, library))
    return out


def machine(settings: Settings) -> Iterator[Finding]:
    """What this machine itself must give: time, disk, ports, keys."""
    yield clock_finding(settings.clock.enforce, kernel_offset_ns())
    yield disk_finding(settings.service.data_dir, settings.journal.segment_bytes_max)
    for section, host, port in ports.doors(settings):
        problem = ports.refused(host, port)
        yield Finding(
            f"port {section}", f"{host}:{port} {problem or 'is free'}", ports.way_out(section) * bool(problem)
        )
    yield key_finding(settings.signing_key_file)
    if settings.engine_feed.enabled and settings.perp:
        yield feed_finding(settings)


def clock_finding(enforce: bool, offset_ns: int | None) -> Finding:
    """The kernel's opinion of the clock. Nobody disciplining it is a fault only where that is enforced."""
    if offset_ns is None:
        remedy = "run chrony, systemd-timesyncd or another NTP client"
        return Finding("clock", "nobody disciplines it, or the kernel does not say", remedy if enforce else "")
    return Finding("clock", f"disciplined, within {offset_ns / NANOS_PER_MS:.3f} ms")


def disk_finding(folder: Path, segment_bytes_max: int) -> Finding:
    """Whether the journal could be written, how fast a write reaches the disk, and whether two segments fit."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".check-{os.getpid()}"
        with probe.open("wb") as stream:
            stream.write(b"oracle")
            stream.flush()
            started = time.perf_counter()
            os.fsync(stream.fileno())
            sync_ms = (time.perf_counter() - started) * 1e3
        probe.unlink()
    except OSError as error:
        remedy = "give the service's user this folder, or set ORACLE_SERVICE__DATA_DIR"
        return Finding("disk", f"{folder}: {str(error.strerror).lower()}", remedy)
    free = shutil.disk_usage(folder).free
    found = f"{folder}: {free / 1e9:.1f} GB free, a write is durable after {sync_ms:.1f} ms"
    if free < 2 * segment_bytes_max:
        return Finding("disk", found, f"free {2 * segment_bytes_max / 1e9:.1f} GB: two journal segments")
    slow = sync_ms > SYNC_MS_MAX
    return Finding("disk", found + (", which is slow" if slow else ""))


def key_finding(path: Path) -> Finding:
    """Whether the journal can be signed."""
    try:
        return Finding("signing key", f"{path}: fingerprint {keys.fingerprint(keys.load_private(path))}")
    except KeyFileError as error:
        return Finding(
            "signing key", str(error), "move it away and make another" if path.exists() else f"oracle keygen {path}"
        )


def feed_finding(settings: Settings) -> Finding:
    """Whether the trading engine can authenticate; without it there is no book leg and no funding sample."""
    from oracle.config import feed_keys

    try:
        known = feed_keys(settings)
    except OracleError as error:
        return Finding("feed keys", str(error), "correct the keys, or oracle keygen --feed ID")
    if not known:
        return Finding("feed keys", "none: the trading engine is refused", "oracle keygen --feed ID")
    return Finding("feed keys", ", ".join(sorted(known)))
