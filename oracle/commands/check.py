"""`oracle check`: what the configuration would be refused for, and whether everything the service needs is there.

Two tables, each row with what to do: every rule of the configuration on every instrument, all refusals at once; then
this machine and, unless they are left out, whoever is to be read.
"""

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

import msgspec

from oracle.clock import Clock, SystemClock, kernel_offset_ns
from oracle.commands import common, ports
from oracle.commands.probe import Finding, Probe, tried
from oracle.core.params import Role, Source, World
from oracle.core.types import NANOS_PER_MS, BookTop, Observation, Ticker
from oracle.errors import KeyFileError, OracleError
from oracle.journal import keys
from oracle.venues import base

if TYPE_CHECKING:
    from oracle.config import Settings
    from oracle.config.refusals import Docket

EXAMPLES = (
    "oracle check",
    "oracle check --config deploy/oracle.toml --timeout 5",
    "oracle check --no-venues        only this machine: no network is touched",
)
RULES_HEAD = ("rule", "instrument", "outcome", "found", "what to do")
SYNC_MS_MAX = 20.0  # a slower disk is felt when durability is synced


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    common.add_config(parser)
    parser.add_argument("--timeout", type=float, default=10.0, metavar="S", help="how long to wait for a venue, s")
    parser.add_argument("--no-venues", action="store_true", help="leave the venues out")


def main(args: argparse.Namespace) -> int:
    """Print the tables; 1 when the configuration is refused or something must be done. Raises ConfigError."""
    from oracle import config
    from oracle.config.reading import read
    from oracle.config.refusals import judged
    from oracle.config.world import check_service

    clock = SystemClock()
    settings = read(common.config_path(args.config), os.environ)
    check_service(settings)
    docket = judged(settings, clock.now_ns())
    print(rules_table(docket))
    found = [*machine(settings)]
    if not args.no_venues and docket.refusal is None:
        found += asyncio.run(venues(settings, config.world(settings), clock, args.timeout))
    rows = ((row.what, row.found, row.todo or "-") for row in found)
    print("\n" + common.table(rows, ("what", "found", "what to do")))
    return _summary(docket, found)


def rules_table(docket: Docket) -> str:
    """Every rule on every instrument: what was found, and what to do about it."""
    rows = ((r.rule, r.instrument, r.outcome, r.found, r.remedy or "-") for r in docket.rulings)
    return common.table(rows, RULES_HEAD)


def _summary(docket: Docket, found: list[Finding]) -> int:
    refused = sum(ruling.outcome == "refused" for ruling in docket.rulings)
    todo = sum(bool(row.todo) for row in found)
    if refused:
        print(f"\n{refused} of {len(docket.rulings)} rulings refuse: the service would not start", file=sys.stderr)
    well = "all else is well" if refused else "all is well"
    print(f"\n{todo} of {len(found)} need something done" if todo else f"\n{well}", file=sys.stderr)
    return int(refused + todo > 0)


async def venues(settings: Settings, world: World, clock: Clock, timeout_s: float) -> list[Finding]:
    """Try everybody who is configured and enabled, all at once."""
    dialled = (tried(probe, clock, timeout_s) for probe in probes(settings, world))
    asked = (heard(settings, world, name, clock, timeout_s) for name in polled(settings, world))
    return list(await asyncio.gather(*dialled, *asked))


def probes(settings: Settings, world: World) -> list[Probe]:
    """One probe a venue and market, in configured order."""
    feeds: dict[tuple[str, str], list[base.Feed]] = {}
    for source in _read(settings, world):
        if not _is_polled(source):
            feeds.setdefault((source.venue, source.market), []).append(base.Feed(source.id, source.symbol))
    out = []
    for (venue, market), wanted in feeds.items():
        reached = settings.venue(venue)
        library = "picows" if reached.library == "auto" else reached.library
        out.append(Probe(venue, market, wanted, reached.url, reached.proxy, library))
    return out


def polled(settings: Settings, world: World) -> list[str]:
    """Who has no venue file: the ECB, declared feeds, and what ccxt reads; in configured order."""
    return list(dict.fromkeys(source.venue for source in _read(settings, world) if _is_polled(source)))


async def heard(settings: Settings, world: World, venue: str, clock: Clock, timeout_s: float) -> Finding:
    """What came of reading, as the service would, somebody who has no venue file."""
    from oracle.collectors.rest import Rest
    from oracle.lines import lines_of

    first: asyncio.Future[Observation] = asyncio.get_running_loop().create_future()

    def put(fact: Observation) -> None:
        if isinstance(fact, Ticker | BookTop) and not first.done():
            first.set_result(fact)

    alone = tuple(source for source in world.sources if source.venue == venue)
    async with Rest(clock) as rest:
        lines = lines_of(settings, msgspec.structs.replace(world, sources=alone), put, clock, rest)
        tasks = [asyncio.create_task(line.run()) for line in lines]
        try:
            async with asyncio.timeout(timeout_s):
                fact = await first
        except TimeoutError:
            why = next((line.stats.last_error for line in lines if line.stats.last_error), "no answer")
            return Finding(venue, f"no price within {timeout_s:g} s: {why}", "check its address, then its symbols")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    name = next(source.name for source in alone if source.id == getattr(fact, "source", None))
    rate = f"{fact.price:.12g}" if isinstance(fact, Ticker) else ""
    rate = f"{fact.bid:.12g} / {fact.ask:.12g}" if isinstance(fact, BookTop) else rate
    return Finding(venue, f"{name}: {rate}")


def _read(settings: Settings, world: World) -> Iterator[Source]:
    for source in world.sources:
        if source.role is not Role.ENGINE and settings.venue(source.venue).enabled:
            yield source


def _is_polled(source: Source) -> bool:
    from oracle.config.venues import CCXT

    return source.role is Role.REFERENCE or source.venue.startswith(CCXT)


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
