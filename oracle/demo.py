"""`oracle demo`: eight simulated venues, a simulated trading engine, and the real oracle between them, in one process.

Only the prices are simulated. The venues speak their real dialects over real sockets of this machine, the engine signs
its messages, and the oracle is `app.run` with the settings of `deploy/demo.toml`: nothing in it knows of the demo.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from oracle import config
from oracle.client.sender import Sender
from oracle.clock import SystemClock
from oracle.commands import ports
from oracle.config import Settings
from oracle.config.keys import feed_keys
from oracle.errors import ConfigError, ServiceError
from oracle.journal import keys
from oracle.simulator.engine import SimulatedEngine
from oracle.simulator.stage import Stage
from oracle.simulator.story import DEMO
from oracle.simulator.world import World

DEFAULT_SEED = 1
FEED_KEY_ID = "demo-engine"
FEED_SECRET_BYTES = 32
FEED_PATH = "/v1/engine"
DOORS = ("SERVICE", "ENGINE_FEED", "METRICS")  # with --port, they take this port and the two after it
OFFERED_FROM, OFFERED_STEP, OFFERS_MAX = 8180, 100, 50
STORY = (
    "0:48 frozen venue, 1:15 spike, 2:30 own feed lost, 3:20 depeg, 4:45 crash, 6:22 ladder to a halt, 9:00 suspension"
)
Run = Callable[..., Awaitable[int]]


class Demo(NamedTuple):
    """What a demo was asked to be. `duration_s` 0: until it is stopped."""

    seed: int
    duration_s: float
    quiet: bool
    environ: Mapping[str, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `oracle demo`."""
    parser.add_argument(
        "--seed", type=_seed, default=DEFAULT_SEED, help="another seed, other prices; the same, the same"
    )
    parser.add_argument("--duration", type=float, default=0.0, metavar="S", help="stop after so many seconds")
    parser.add_argument("--port", type=int, help="public API here, engine feed and metrics on the next two; 0: any")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of journal and keys (oracle-demo)")
    parser.add_argument("--quiet", action="store_true", help="print nothing")


def main(args: argparse.Namespace) -> int:
    """Run the demo until it is stopped. Raises ServiceError for a busy port, and what else of the tree stops it."""
    environ = {**os.environ, **_doors(args.port)}
    if args.data_dir is not None:
        environ["ORACLE_SERVICE__DATA_DIR"] = str(args.data_dir)
    demo = Demo(args.seed, args.duration, args.quiet, environ)
    require_free(config.load(settings_file(), environ))
    from oracle import app
    from oracle.commands.run import loop_factory

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return int(runner.run(play(demo, app.run, sys.stdout)))


def settings_file() -> Path:
    """The demo's settings, beside this file in an installation and in `deploy/` in the repository.

    Raises ConfigError.
    """
    here = Path(__file__).resolve().parent
    for path in (here / "demo.toml", here.parent / "deploy" / "demo.toml"):
        if path.is_file():
            return path
    raise ConfigError("demo.toml is missing", file=str(here), remedy="run the demo from the repository")


def require_free(settings: Settings) -> None:
    """Raise ServiceError for the first of the demo's ports that cannot be had, with who has it and one that can."""
    for section, host, port in ports.doors(settings):
        if problem := ports.refused(host, port):
            offer = _free_base(host)
            remedy = f"; oracle demo --port {offer}" if offer else "; oracle demo --port 0"
            raise ServiceError(f"{section} cannot listen on {host}:{port}: {problem}{remedy}")


async def play(demo: Demo, run: Run, out: TextIO) -> int:
    """The demo on the running event loop; the answer is the oracle's exit code. `run` is `app.run`."""
    settings = config.load(settings_file(), demo.environ)
    secret = _secrets_of(settings)
    clock, stop = SystemClock(), asyncio.Event()
    sender = Sender(_feed_url(settings), FEED_KEY_ID, secret)
    engine = SimulatedEngine(sender)
    stage = Stage(World(demo.seed, clock.now_ns(), DEMO), clock.now_ns, engine.take)

    def ready(_: object) -> None:
        if not demo.quiet:
            out.write(banner(settings, demo))
            out.flush()

    async with stage:
        settings = config.load(settings_file(), {**demo.environ, **_addresses(stage), **_keys_file(settings)})
        oracle = run(settings, ready=ready, stop=stop)
        async with sender:
            return await _first_of(oracle, stage.play(), _expire(demo.duration_s, stop))


def banner(settings: Settings, demo: Demo) -> str:
    """What the user reads once everything stands: what runs, where to look, how to verify, how to stop."""
    service, data = settings.service, settings.service.data_dir
    base = f"http://{service.host}:{service.port}"
    venues = len({source.venue for source in config.world(settings).sources}) - 1
    return (
        f"SIMULATED PRICES (seed {demo.seed}): {venues} simulated venues, a simulated engine, and the real oracle.\n"
        f"  values    {base}/v1/key-parameters\n"
        f"  more      {base}/ lists every address\n"
        f"  stream    ws://{service.host}:{service.port}/v1/stream\n"
        f"  metrics   http://{settings.metrics.host}:{settings.metrics.port}/metrics\n"
        f"  try       curl -s {base}/v1/index/BTC-USD\n"
        f"  story     {STORY}\n"
        f"  journal   {data / 'journal'}\n"
        f"  verify    {_program()} verify {data / 'journal'}\n"
        f"  stop      Ctrl-C\n"
    )


def _program() -> str:
    """How the user started us, so that he can paste it again: `oracle`, with its folder if he named one."""
    return sys.argv[0] if Path(sys.argv[0]).name == "oracle" else "oracle"


def _seed(text: str) -> int:
    seed = int(text)
    if seed < 0:
        raise argparse.ArgumentTypeError("a seed is a whole number from 0")
    return seed


def _doors(first: int | None) -> dict[str, str]:
    """The ports of the three doors, as settings. A port of 0 is chosen here, so that the banner can name it."""
    if first is None:
        return {}
    chosen = [first + place for place in range(len(DOORS))] if first else _free_ports(len(DOORS))
    return {f"ORACLE_{door}__PORT": str(port) for door, port in zip(DOORS, chosen, strict=True)}


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _free_base(host: str) -> int:
    """A port of which it and the next two are free; 0 when none was found."""
    bases = range(OFFERED_FROM, OFFERED_FROM + OFFERED_STEP * OFFERS_MAX, OFFERED_STEP)
    return next((b for b in bases if not any(ports.refused(host, b + place) for place in range(len(DOORS)))), 0)


def _secrets_of(settings: Settings) -> bytes:
    """The secret of the engine feed. It and the signing key are made at the first start. Raises KeyFileError."""
    folder = settings.service.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ServiceError(f"{folder} cannot be made: {error.strerror}; name another with --data-dir") from None
    signing = settings.signing_key_file
    if not signing.exists():
        key = keys.generate()
        keys.save_private(key, signing)
        keys.save_public(key.public_key(), signing.with_name(signing.name + ".pub"))
    path = _feed_keys_path(settings)
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            stream.write(f"{FEED_KEY_ID} {secrets.token_hex(FEED_SECRET_BYTES)}\n")
    feed = settings.engine_feed.model_copy(update={"keys_file": path})
    found = feed_keys(settings.model_copy(update={"engine_feed": feed}))
    if FEED_KEY_ID not in found:
        raise ConfigError(f"there is no key {FEED_KEY_ID}", file=str(path), remedy="remove the file: a new one is made")
    return found[FEED_KEY_ID]


def _feed_keys_path(settings: Settings) -> Path:
    return settings.service.data_dir / "feed.keys"


def _keys_file(settings: Settings) -> dict[str, str]:
    return {"ORACLE_ENGINE_FEED__KEYS_FILE": str(_feed_keys_path(settings))}


def _feed_url(settings: Settings) -> str:
    return f"ws://{settings.engine_feed.host}:{settings.engine_feed.port}{FEED_PATH}"


def _addresses(stage: Stage) -> dict[str, str]:
    """The simulated venues' addresses, as settings."""
    return {f"ORACLE_VENUES__{venue.upper()}__URL": server.url for venue, server in stage.servers.items()}


async def _expire(duration_s: float, stop: asyncio.Event) -> None:
    """Ask the oracle to stop when its time has come; then wait for it to do so."""
    if duration_s > 0:
        await asyncio.sleep(duration_s)
        stop.set()
    await asyncio.Event().wait()


async def _first_of(oracle: Awaitable[int], *helpers: Coroutine[Any, Any, None]) -> int:
    """The oracle's answer. A helper that fails ends the demo: half a simulation would mislead."""
    main = asyncio.ensure_future(oracle)
    tasks = [asyncio.create_task(helper) for helper in helpers]
    try:
        await asyncio.wait([main, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
        return await main
    finally:
        main.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(main, *tasks, return_exceptions=True)
