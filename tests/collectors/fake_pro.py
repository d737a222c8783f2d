"""An exchange object of ccxt.pro as a stream meets it: it says what a test says, hangs, repeats, raises or floods."""

from __future__ import annotations

import asyncio
from typing import Any

from oracle.core.types import NANOS_PER_MS
from tests.collectors.conftest import START_NS

SYMBOL = "BTC/USDT"
START_MS = START_NS // NANOS_PER_MS


def ticker(bid: float, *, at_ms: int | None = None, update: int = 0, **changed: Any) -> dict[str, Any]:
    """A ticker as ccxt parses it, an ask of one above its bid; `update` is the venue's own number of the message."""
    said = {"symbol": SYMBOL, "timestamp": at_ms, "bid": bid, "bidVolume": 2.0, "ask": bid + 1.0, "askVolume": 3.0}
    return said | {"info": {"u": update}} | changed


def book(bid: float, ask: float, *, at_ms: int | None = None, nonce: int | None = None) -> dict[str, Any]:
    """An order book as ccxt keeps it."""
    return {"symbol": SYMBOL, "timestamp": at_ms, "nonce": nonce, "bids": [[bid, 2.0]], "asks": [[ask, 3.0]]}


def trade(number: int, *, at_ms: int | None = None, **changed: Any) -> dict[str, Any]:
    """A trade as ccxt parses it."""
    said = {"id": str(number), "timestamp": at_ms, "price": 100.0 + number, "amount": 0.5, "side": "buy"}
    return said | changed


class FakePro:
    """Says a message once to whoever waits for it, as ccxt does; who does not wait finds what it holds, no more."""

    def __init__(self, *has: str, hangs_on_close: bool = False) -> None:
        self.has: dict[str, bool | None] = dict.fromkeys(has or ("watchBidsAsks",), True) | {"watchTicker": None}
        self.has |= dict.fromkeys(has, True)
        self.bidsasks: dict[str, Any] = {}
        self.tickers: dict[str, Any] = {}
        self.asked: list[str] = []
        self.floods = False
        self.closed = False
        self.session: Any = None
        self._hangs_on_close = hangs_on_close
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._said = 0

    def say(self, message: dict[str, Any], way: str = "watchBidsAsks") -> None:
        """A message comes: a ticker or a book."""
        if way != "watchOrderBook":
            (self.bidsasks if way == "watchBidsAsks" else self.tickers)[SYMBOL] = message
        self._settle(way, message)

    def print(self, *trades: dict[str, Any]) -> None:
        """Trades come."""
        self._settle("watchTrades", list(trades))

    def fail(self, error: Exception, way: str = "watchBidsAsks") -> None:
        """Whoever waits is told of an error."""
        if (waiting := self._waiting.pop(way, None)) is not None:
            waiting.set_exception(error)

    def drop(self) -> None:
        """What is waited for is cancelled, as ccxt does with the futures of a connection that it closes."""
        for waiting in self._waiting.values():
            waiting.cancel()
        self._waiting.clear()

    def waits(self, way: str = "watchBidsAsks") -> bool:
        """Whether somebody waits for a message."""
        return way in self._waiting

    async def watch_bids_asks(self, symbols: list[str]) -> Any:
        """The next ticker, by its symbol."""
        assert symbols == [SYMBOL]
        if self.floods:
            self._said += 1
            self.bidsasks[SYMBOL] = ticker(100.0, update=self._said)
            return self.bidsasks
        return {SYMBOL: await self._next("watchBidsAsks")}

    async def watch_order_book(self, symbol: str) -> Any:
        """The book after its next change."""
        return await self._next("watchOrderBook")

    async def watch_ticker(self, symbol: str) -> Any:
        """The next ticker."""
        return await self._next("watchTicker")

    async def watch_trades(self, symbol: str) -> Any:
        """The next trades."""
        return await self._next("watchTrades")

    async def close(self) -> None:
        """Close, or never come back."""
        if self._hangs_on_close:
            await asyncio.Event().wait()
        self.closed = True

    async def _next(self, way: str) -> Any:
        self.asked.append(way)
        self._waiting[way] = asyncio.get_running_loop().create_future()
        return await self._waiting[way]

    def _settle(self, way: str, message: Any) -> None:
        waiting = self._waiting.pop(way, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(message)
