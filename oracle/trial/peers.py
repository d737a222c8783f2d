"""Other clients under the same faults: ccxt.pro and cryptofeed, pointed at the fake Binance instead of the real one.

A client is said to know of a fault when it dials again, or when it raises at whoever uses it. That its last price grows
old is for its user to find out, and is no knowledge. Both are used as their documentation shows, with their defaults.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from msgspec import Struct, structs

from oracle.clock import SystemClock
from oracle.collectors.ccxt import point
from oracle.core.types import NANOS_PER_MS, Nanos
from oracle.simulator.faults import BOUND_KINDS
from oracle.simulator.stage import TURN_S, Stage
from oracle.simulator.world import World
from oracle.trial.faults import WARM_MS, Fault, Round, script_of
from oracle.trial.markets import ASSETS, markets_of

VENUE = "binance"
OBSERVED_MS = 60_000
SEED = 1
NAMES = {"ccxt.pro": "ccxt", "cryptofeed": "cryptofeed"}  # of the clients and of their packages


class Seen(Struct, frozen=True, kw_only=True):
    """What a client made of a fault. None: not while it was observed; `how` says what it did."""

    client: str
    fault: str
    known_ms: float | None = None
    how: str = ""
    repaired_ms: float | None = None
    observed_ms: int = OBSERVED_MS


def installed() -> dict[str, str]:
    """The clients that can be tried here, with their versions."""
    found = {}
    for name, package in NAMES.items():
        with suppress(PackageNotFoundError):
            found[name] = version(package)
    return found


async def observed(clients: Sequence[str], faults: Sequence[Fault], observed_ms: int = OBSERVED_MS) -> list[Seen]:
    """What becomes of each client under each fault, all at once, observed for so long after it began."""
    trials = [(client, fault) for client in clients for fault in faults]
    return list(await asyncio.gather(*(_tried(client, fault, observed_ms) for client, fault in trials)))


async def _tried(client: str, fault: Fault, observed_ms: int) -> Seen:
    clock = SystemClock()
    lasting = structs.replace(fault, lasts_ms=observed_ms if fault.lasts_ms else 0)
    round_ = Round((VENUE,), WARM_MS, WARM_MS + lasting.lasts_ms, WARM_MS + observed_ms)
    world = World(SEED, clock.now_ns(), script_of(lasting, [round_]), markets_of([VENUE]))
    trial = _Trial(fault, clock)
    async with Stage(world, clock.now_ns) as stage:
        server = stage.servers[VENUE]
        using = asyncio.create_task(_CLIENTS[client](server.url, trial))
        playing = asyncio.create_task(stage.play())
        try:
            await asyncio.sleep(WARM_MS / 1_000)
            if not trial.heard:
                why = f": {using.exception()!r}" if using.done() and not using.cancelled() else ""
                return Seen(client=client, fault=fault.name, how=f"it did not come up{why}", observed_ms=observed_ms)
            if fault.kind in BOUND_KINDS:
                server.strike(fault.kind, [0] if fault.first_asset_only else ())
            trial.begin(server.dialled)
            until_ns = clock.now_ns() + observed_ms * NANOS_PER_MS
            while clock.now_ns() < until_ns and not trial.repaired_ns:
                trial.look(server.dialled)
                await asyncio.sleep(TURN_S)
        finally:
            for task in (using, playing):
                task.cancel()
            await asyncio.gather(using, playing, return_exceptions=True)
    return trial.seen(client, observed_ms)


class _Trial:
    """What one client says and does while it is observed."""

    def __init__(self, fault: Fault, clock: SystemClock) -> None:
        self._fault, self._clock = fault, clock
        self._began_ns = self._known_ns = 0
        self._dialled = 0
        self._how = ""
        self.heard = 0
        self.repaired_ns: Nanos = 0

    def begin(self, dialled: int) -> None:
        """The fault begins."""
        self._began_ns, self._dialled = self._clock.now_ns(), dialled

    def look(self, dialled: int) -> None:
        """See whether the client has dialled again."""
        if dialled > self._dialled:
            self.know("it dialled again")

    def know(self, how: str) -> None:
        """The client dialled again, or told its user."""
        if self._began_ns and not self._known_ns:
            self._known_ns, self._how = self._clock.now_ns(), how

    def hear(self, asset: str) -> None:
        """The client hands a book of an asset to its user."""
        self.heard += 1
        if self._known_ns and asset == ASSETS[0] and not self.repaired_ns:
            self.repaired_ns = self._clock.now_ns()

    def seen(self, client: str, observed_ms: int) -> Seen:
        """What it came to."""
        return Seen(
            client=client,
            fault=self._fault.name,
            known_ms=(self._known_ns - self._began_ns) / NANOS_PER_MS if self._known_ns else None,
            how=self._how,
            repaired_ms=(self.repaired_ns - self._began_ns) / NANOS_PER_MS if self.repaired_ns else None,
            observed_ms=observed_ms,
        )


async def _ccxt(url: str, trial: _Trial) -> None:
    """ccxt.pro's best bids and asks of both symbols, each awaited in its own loop, again after an error."""
    exchange = import_module("ccxt.pro").binance()
    point(exchange, url)
    exchange.set_markets([market(exchange, asset) for asset in ASSETS])
    try:
        await asyncio.gather(*(_watched(exchange, asset, trial) for asset in ASSETS))
    finally:
        await exchange.close()


def market(exchange: Any, asset: str) -> Any:
    """The fake venue's market of an asset, as ccxt's binance would have learnt of it."""
    return exchange.safe_market_structure(
        {
            "id": f"{asset}USDT",
            "lowercaseId": f"{asset.lower()}usdt",
            "symbol": f"{asset}/USDT",
            "base": asset,
            "quote": "USDT",
            "type": "spot",
            "spot": True,
        }
    )


async def _watched(exchange: Any, asset: str, trial: _Trial) -> None:
    while True:
        try:
            await exchange.watch_bids_asks([f"{asset}/USDT"])
        except Exception as error:
            trial.know(f"it raised {type(error).__name__}")
            await asyncio.sleep(1.0)
        else:
            trial.hear(asset)


async def _cryptofeed(url: str, trial: _Trial) -> None:
    """cryptofeed's tickers of both symbols."""
    logging.getLogger("feedhandler").setLevel(logging.CRITICAL)
    module, connection = import_module("cryptofeed.exchanges.binance"), import_module("cryptofeed.connection")
    symbols = {f"{asset}-USDT": f"{asset}USDT" for asset in ASSETS}
    info = {"tick_size": dict.fromkeys(symbols, "0.01"), "instrument_type": dict.fromkeys(symbols, "spot")}
    import_module("cryptofeed.symbols").Symbols.set("BINANCE", symbols, info)

    async def told(ticker: Any, receipt_s: float) -> None:
        trial.hear(ticker.symbol.partition("-")[0])

    class Fake(module.Binance):  # type: ignore[misc, name-defined]
        websocket_endpoints = (connection.WebsocketEndpoint(url.replace("ws:", "wss:")),)

    feed = Fake(symbols=list(symbols), channels=["ticker"], callbacks={"ticker": told})
    feed.start(asyncio.get_running_loop())
    for handler in feed.connection_handlers:  # it takes secure addresses only, and dials in the loop's next turn
        handler.conn.address = handler.conn.address.replace("wss:", "ws:")
    try:
        await asyncio.Event().wait()
    finally:
        await feed.shutdown()


_CLIENTS: dict[str, Callable[[str, _Trial], Coroutine[Any, Any, None]]] = {"ccxt.pro": _ccxt, "cryptofeed": _cryptofeed}
