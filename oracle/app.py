"""The composition root: wires the floors into a running service and takes it down again.

Order of a start: the keys, the journal's end (and the memory it leaves), the engine, the doors, the START order that
makes every instrument warm up, and only then the lines to the venues. Order of an end: the lines, the last snapshot
and seal, the doors.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import structlog
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from oracle import __version__, documents, log, telemetry
from oracle.clock import SystemClock
from oracle.collectors.engine_feed import EngineFeed
from oracle.collectors.inbox import Inbox
from oracle.collectors.orders import OrderDoor
from oracle.collectors.rest import Rest
from oracle.commands.ports import way_out
from oracle.config import Settings
from oracle.config import world as world_of
from oracle.config.keys import feed_keys, feed_tls
from oracle.core.carry import carried
from oracle.core.engine import Engine, EngineState, decode_state, encode_state
from oracle.core.params import World
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Action, Alert, Command, FundingRate, Tick
from oracle.edition.pages import Shelf
from oracle.errors import JournalError, JournalNotDurable, JournalUnreadable, ServiceError
from oracle.journal import keys
from oracle.journal.history import History
from oracle.journal.reader import listed
from oracle.journal.recovery import recover
from oracle.journal.writer import Durability, Opening, Writer
from oracle.lines import Collector, lines_of
from oracle.live import Live
from oracle.methods import for_world
from oracle.publishers.hub import Hub
from oracle.publishers.limits import Limits
from oracle.publishers.metrics import hub_samples, make_metrics_app, web_samples
from oracle.publishers.rest import STREAMS, make_app
from oracle.publishers.web import Requests, serve

_log = structlog.get_logger("oracle.app")
PART_AGAIN_S = 5.0
OTHER_FOLDER = "name another with --data-dir or ORACLE_SERVICE__DATA_DIR"
CLOCK_LEAD_NS_MAX = 5 * NANOS_PER_S
UNSYNCHRONISED_NS = 500 * NANOS_PER_MS  # what an unsynchronised clock counts as where `clock.enforce` says so


class Running(Struct):
    """A service that stands: where its doors are and what it is made of."""

    settings: Settings
    world: World
    clock: SystemClock
    engine: Engine
    live: Live
    hub: Hub
    inbox: Inbox
    lines: list[Collector]
    feed: EngineFeed | None
    journal: Path
    port: int
    feed_port: int
    metrics_port: int


async def run(
    settings: Settings,
    *,
    ready: Callable[[Running], None] | None = None,
    stop: asyncio.Event | None = None,
    once: bool = False,
) -> int:
    """Run the service until `stop`, SIGTERM or SIGINT; with `once`, until the first values stand.

    Answers the exit status, which is 1 when the service had halted. Raises ConfigError, KeyFileError, JournalError and
    ServiceError when it cannot start.
    """
    log.configure(settings.service.log_format, settings.service.log_level)
    ended = stop or asyncio.Event()
    _end_on_signals(ended)
    async with serving(settings) as running:
        if ready is not None:
            ready(running)
        if once:
            from oracle.commands.once import show_first

            return await show_first(running, ended=ended)
        await ended.wait()
    return 1 if running.live.failed else 0


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Running]:
    """The service, standing for as long as the context is entered."""
    async with AsyncExitStack() as stack:
        running = await _start(settings, stack)
        tasks = [asyncio.create_task(_kept(line.stats.venue, line.run)) for line in running.lines]
        tasks.append(asyncio.create_task(_kept("clock", lambda: _watch_clock(settings, running))))
        gc.collect()
        gc.freeze()
        try:
            yield running
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            running.live.stop()
            _log.info("service.stopped", seq=running.engine.state.seq, halted=running.live.failed or None)


async def _kept(part: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run a part that never ends by itself. Our own mistake in one is told, and costs no other part."""
    while True:
        try:
            await run()
        except Exception as error:
            _log.error("service.part_failed", part=part, exc_info=error)
        await asyncio.sleep(PART_AGAIN_S)


async def _start(settings: Settings, stack: AsyncExitStack) -> Running:
    clock = SystemClock()
    world = world_of(settings)
    folder = settings.service.data_dir / "journal"
    _make(folder)
    key = keys.load_private(settings.signing_key_file)
    halting: list[Callable[[str, str], None]] = []

    def on_failure(error: JournalNotDurable) -> None:
        for halt in halting:
            halt("JOURNAL_NOT_DURABLE", str(error))

    before = listed(folder)[-1:]
    engine, writer, replayed = _recovered(settings, world, folder, key, clock, on_failure)
    stack.callback(writer.close)
    history = History(f"sqlite:///{settings.service.data_dir / 'history.sqlite'}")
    stack.callback(history.close)
    if replayed:
        catching_up = asyncio.create_task(_catch_up(history, [segment.path for segment in before]))
        stack.push_async_callback(asyncio.wait, {catching_up})
    hub = Hub(
        world,
        clock,
        settings.limits.stream_resume_max,
        epoch=str(writer.epoch),
        value_age_ms_max=settings.service.value_age_ms_max,
    )
    for perp in world.perps:
        hub.recall(history.latest(perp.id))
    live = _live(settings, engine, writer, hub, history, clock, stack)
    halting.append(live.fail)
    inbox = Inbox(world, live.on_first)
    rest = await stack.enter_async_context(Rest(clock))
    feed = await _open_feed(settings, world, inbox, clock, stack)
    orders = OrderDoor(world, inbox.put, clock, settings.service.data_dir / "orders.sock")
    await orders.start()
    stack.push_async_callback(orders.stop)
    lines = lines_of(settings, world, inbox.put, clock, rest)
    running = Running(
        settings, world, clock, engine, live, hub, inbox, lines, feed, folder, 0, feed.port if feed else 0, 0
    )
    await _open_doors(running, writer, history, clock, stack)
    inbox.put(Command(Action.START, "*", "service", f"version {__version__}, epoch {writer.epoch}", clock.now_ns()))
    live.start(inbox)
    _log.info("service.started", port=running.port, journal=str(folder), epoch=writer.epoch, lines=len(lines))
    return running


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ServiceError(f"{folder} cannot be made: {error.strerror}; {OTHER_FOLDER}") from None


def _recovered(
    settings: Settings,
    world: World,
    folder: Path,
    key: Ed25519PrivateKey,
    clock: SystemClock,
    on_failure: Callable[[JournalNotDurable], object],
) -> tuple[Engine, Writer, int]:
    """The engine with the memory that the journal leaves, a writer to go on with, and how many beats were replayed."""
    found = recover(folder)
    lead_ns = found.last_ns - clock.now_ns()
    if lead_ns > CLOCK_LEAD_NS_MAX:
        raise ServiceError(
            f"this machine's clock is {lead_ns / NANOS_PER_S:.0f} s behind the last beat of {folder}: set the clock"
        )
    state: EngineState | None = None
    if found.state_bytes is not None and found.world is not None:
        state = carried(found.world, decode_state(found.state_bytes), world)
        _log.info("journal.recovered", seq=found.last_seq, replayed=found.replayed, differing=found.differing)
    if found.torn is not None:
        _log.warning("journal.torn_tail", bytes=found.torn.bytes, offset=found.torn.offset)
    engine = Engine(world, for_world(world), state)
    opening = Opening(world, encode_state(engine.state) if state else None, __version__, clock.now_ns())
    writer = Writer(
        folder,
        found,
        opening,
        key,
        durability=Durability(settings.service.durability),
        segment_bytes_max=settings.journal.segment_bytes_max,
        snapshot_ms=settings.journal.snapshot_ms,
        loop=asyncio.get_running_loop(),
        on_failure=on_failure,
    )
    return engine, writer, found.replayed


def _live(
    settings: Settings,
    engine: Engine,
    writer: Writer,
    hub: Hub,
    history: History,
    clock: SystemClock,
    stack: AsyncExitStack,
) -> Live:
    """The loop, which hands each written tick to the hub and each settlement to the history."""
    pending: set[asyncio.Task[None]] = set()

    def publish(tick: Tick) -> None:
        hub.publish(tick)
        settled: list[FundingRate] = []
        for value in tick.values:
            if isinstance(value, FundingRate) and value.final:
                settled.append(value)
            elif isinstance(value, Alert):
                _tell(value)
        if settled:
            task = asyncio.create_task(_keep(history, settled))
            pending.add(task)
            task.add_done_callback(pending.discard)

    def halt(reason: str, detail: str) -> None:
        hub.halt(reason)

    async def drain() -> None:
        await asyncio.gather(*pending, return_exceptions=True)

    stack.push_async_callback(drain)
    return Live(
        engine,
        writer,
        publish,
        halt,
        clock,
        beat_ms_min=settings.service.beat_ms_min,
        checkpoint_ms=settings.journal.checkpoint_ms,
        snapshot_ms=settings.journal.snapshot_ms,
    )


def _tell(alert: Alert) -> None:
    """Log what surveillance reports, and when it is over."""
    tell = _log.warning if alert.active else _log.info
    tell("surveillance.alert", kind=alert.kind, target=alert.target, active=alert.active, detail=alert.detail)


async def _keep(history: History, settled: list[FundingRate]) -> None:
    """Write settlements to the database, off the loop; the journal has them in any case."""
    for rate in settled:
        try:
            await asyncio.to_thread(history.add, rate)
        except JournalError as error:
            _log.error("history.failed", instrument=rate.instrument, error=str(error))


async def _catch_up(history: History, segments: list[Path]) -> None:
    """Add the settlements that a killed process had written to its last segment, but not yet to the database."""
    for path in segments:
        try:
            try:
                found = await asyncio.to_thread(history.catch_up, path)
            except JournalUnreadable:  # it has been compressed meanwhile
                found = await asyncio.to_thread(history.catch_up, path.with_name(path.name + ".gz"))
            _log.info("history.caught_up", settlements=found)
        except JournalError as error:
            _log.error("history.failed", error=str(error))


async def _open_feed(
    settings: Settings, world: World, inbox: Inbox, clock: SystemClock, stack: AsyncExitStack
) -> EngineFeed | None:
    """The platform's door; without a key nobody could pass it, so it stays shut."""
    if not settings.engine_feed.enabled or not world.perps:
        return None
    secrets = feed_keys(settings)
    if not secrets:
        _log.warning("feed.disabled", reason="no keys: set engine_feed.keys_file or ORACLE_ENGINE_FEED__KEYS__<ID>")
        return None
    state = settings.service.data_dir / "engine-feed.json"
    feed = EngineFeed(world, inbox.put, clock, secrets=secrets, state_path=state, tls=feed_tls(settings))
    await feed.start(settings.engine_feed.host, settings.engine_feed.port)
    stack.push_async_callback(feed.stop)
    return feed


async def _open_doors(
    running: Running, writer: Writer, history: History, clock: SystemClock, stack: AsyncExitStack
) -> None:
    """The public API and the metrics, each on its own port."""
    settings, world, live, hub = running.settings, running.world, running.live, running.hub
    limits, requests = settings.limits, Requests()
    used = [*(index.method for index in world.indices), *(perp.method for perp in world.perps)]
    app = make_app(
        hub,
        history,
        documents=Shelf(documents.library(used=used)),
        inside=lambda: telemetry.inside(world, running.lines, live, writer, clock),
        limits=Limits(**{name: getattr(limits, name) for name in Limits._fields}),
        requests=requests,
    )
    running.port = await _listen("service", app, settings.service.host, settings.service.port, stack)
    if settings.metrics.enabled:
        metrics = make_metrics_app(
            {
                "build": telemetry.build_samples(world, writer, clock),
                "lines": telemetry.line_samples(world, running.lines),
                "engine": telemetry.engine_samples(live, writer, running.feed),
                "hub": hub_samples(hub),
                "web": web_samples(requests, app[STREAMS]),
            }
        )
        running.metrics_port = await _listen("metrics", metrics, settings.metrics.host, settings.metrics.port, stack)


async def _listen(section: str, app: web.Application, host: str, port: int, stack: AsyncExitStack) -> int:
    """Open a door; answers its port. Raises ServiceError when it is taken."""
    try:
        runner, bound = await serve(app, host, port)
    except OSError as error:
        why = os.strerror(error.errno).lower() if error.errno and error.errno > 0 else str(error)
        raise ServiceError(f"{section} cannot listen on {host}:{port}: {why}; {way_out(section)}") from error
    stack.push_async_callback(runner.cleanup)
    return bound


async def _watch_clock(settings: Settings, running: Running) -> None:
    """Tell the engine how far this machine's clock is believed to be off."""
    while True:
        reading = running.clock.reading()
        if settings.clock.enforce and not reading.synchronised:
            reading = type(reading)(max(reading.offset_ns, UNSYNCHRONISED_NS), False, reading.recv_ns)
        running.inbox.put(reading)
        await asyncio.sleep(settings.clock.check_ms / 1000)


def _end_on_signals(ended: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError, RuntimeError):  # Windows, or a loop that is not in the main thread
            loop.add_signal_handler(number, ended.set)
