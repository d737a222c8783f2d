"""How a trading engine tells the oracle about its own market: signed, numbered, and never late.

`async with Sender(url, key_id, secret) as sender: sender.book(...)`. The methods do not wait: they replace what was not
sent yet, so a slow line costs old news, not memory. Prices and trades are stamped when they are given and are dropped,
counted, once they are too old to be believed; the status is a standing fact and is repeated on every connection.
The sender reconnects by itself and starts above whatever number the server last accepted.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random as _random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from math import isfinite
from typing import Any, Literal, Self
from urllib.parse import quote

import aiohttp
import msgspec

from oracle.core.types import Side
from oracle.core.wire import encode

DOMAIN = b"oracle.engine-feed.v1\n"
AGE_MS_MAX = 1_500  # the server refuses what is 2 s old
LEVELS_MAX = 1_000
LIQUIDATIONS_MAX = 1_024
BACKOFF_BASE_S, BACKOFF_CAP_S = 0.1, 10.0
WELCOME_S = 5.0
PING_S = 10.0
ANSWER_BYTES_MAX = 1 << 16

Status = Literal["trading", "suspended"]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class _Answer(msgspec.Struct):
    type: str
    epoch: int = 0
    seq: int | None = None
    reason: str = ""
    detail: str = ""


_decode = msgspec.json.Decoder(_Answer).decode


class Sender:
    """One sender of one key. All methods belong to one event loop.

    How it goes is told by `connected`, `sent`, `acked` (epoch, seq), `dropped` (by why), `refused` (by the server's
    reason) and `last_error`. Two senders of one key would fence each other out in turn: give each its own.
    """

    def __init__(
        self,
        url: str,
        key_id: str,
        secret: bytes,
        *,
        now_ms: Callable[[], int] = _now_ms,
        random: Callable[[], float] = _random.random,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._url, self._key, self._secret = f"{url}?key={quote(key_id, safe='')}", key_id, secret
        self._now_ms, self._random, self._sleep = now_ms, random, sleep
        self._epoch, self._seq = now_ms(), 0
        self._latest: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}
        self._statuses: dict[str, Status] = {}
        self._liquidations: list[tuple[str, int, dict[str, Any]]] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.connected = asyncio.Event()
        self.sent = 0
        self.acked: tuple[int, int] = (0, 0)
        self.dropped: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.last_error = ""

    async def __aenter__(self) -> Self:
        self._task = asyncio.get_running_loop().create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    def book(self, instrument: str, bid: float, bid_size: float, ask: float, ask_size: float) -> None:
        """The best bid and ask now. An empty side is 0.0, 0.0. Raises ValueError for what is no number."""
        body = {"bid": bid, "bid_size": bid_size, "ask": ask, "ask_size": ask_size}
        if not all(isfinite(value) and value >= 0.0 for value in body.values()):
            raise ValueError(f"not a book: {body}")
        self._state("book", instrument, body)

    def depth(self, instrument: str, bids: Sequence[tuple[float, float]], asks: Sequence[tuple[float, float]]) -> None:
        """The visible book now, best first, at most LEVELS_MAX (price, size) a side. Raises ValueError."""
        if max(len(bids), len(asks)) > LEVELS_MAX:
            raise ValueError(f"not a depth: more than {LEVELS_MAX} levels")
        if not all(isfinite(p) and isfinite(s) and p > 0.0 and s > 0.0 for side in (bids, asks) for p, s in side):
            raise ValueError("not a depth: prices and sizes are above zero")
        self._state("depth", instrument, {"bids": bids, "asks": asks})

    def trade(self, instrument: str, price: float, size: float, side: Side) -> None:
        """A trade that just happened; `side` is the taker's. Raises ValueError."""
        self._state("trade", instrument, _deal(price, size, side))

    def liquidation(self, instrument: str, price: float, size: float, side: Side) -> None:
        """A forced close that just happened. Every one is sent, in order, while it is fresh. Raises ValueError."""
        if len(self._liquidations) >= LIQUIDATIONS_MAX:
            self.dropped["liquidation"] += 1
            return
        self._liquidations.append((instrument, self._now_ms(), _deal(price, size, side)))
        self._wake.set()

    def status(self, instrument: str, reference_asset: Status) -> None:
        """Whether the platform trades the reference asset. Stands until it is changed."""
        self._statuses[instrument] = reference_asset
        self._state("status", instrument, {"reference_asset": reference_asset})

    def _state(self, kind: str, instrument: str, body: dict[str, Any]) -> None:
        if (kind, instrument) in self._latest:
            self.dropped["replaced"] += 1
        self._latest[kind, instrument] = (self._now_ms(), body)
        self._wake.set()

    async def _run(self) -> None:
        attempts = 0
        async with aiohttp.ClientSession(trust_env=False) as session:
            while True:
                acked = self.acked
                try:
                    await self._connection(session)
                except (aiohttp.ClientError, OSError, msgspec.MsgspecError, ValueError) as error:
                    self.last_error = f"{type(error).__name__}: {error}"
                attempts = 0 if self.acked != acked else min(attempts + 1, 16)
                await self._sleep(self._random() * min(BACKOFF_CAP_S, BACKOFF_BASE_S * (1 << attempts)))

    async def _connection(self, session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(
            self._url,
            heartbeat=PING_S,
            max_msg_size=ANSWER_BYTES_MAX,
            compress=0,
            timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
        ) as line:
            greeting = await line.receive(WELCOME_S)
            if greeting.type is not aiohttp.WSMsgType.TEXT:
                raise ConnectionError(f"no welcome: {greeting.type.name}")
            self._hear(greeting.data)
            for instrument, status in self._statuses.items():
                self._latest["status", instrument] = (self._now_ms(), {"reference_asset": status})
            self._wake.set()
            self.connected.set()
            speaking = asyncio.ensure_future(self._speak(line))
            try:
                async for item in line:
                    if item.type is aiohttp.WSMsgType.TEXT:
                        self._hear(item.data)
            finally:
                self.connected.clear()
                speaking.cancel()
                await asyncio.gather(speaking, return_exceptions=True)
            self.last_error = self.last_error or f"closed by the server: {line.close_code}"

    async def _speak(self, line: aiohttp.ClientWebSocketResponse) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._flush(line)
        except (aiohttp.ClientError, OSError, msgspec.MsgspecError, TypeError) as error:
            self.last_error = f"{type(error).__name__}: {error}"
            await line.close()

    async def _flush(self, line: aiohttp.ClientWebSocketResponse) -> None:
        liquidations, self._liquidations = self._liquidations, []
        for instrument, at_ms, body in liquidations:
            await self._send(line, "liquidation", instrument, at_ms, body)
        while self._latest:
            kind, instrument = next(iter(self._latest))
            at_ms, body = self._latest.pop((kind, instrument))
            await self._send(line, kind, instrument, at_ms, body)

    async def _send(
        self, line: aiohttp.ClientWebSocketResponse, kind: str, instrument: str, at_ms: int, body: dict[str, Any]
    ) -> None:
        now_ms = self._now_ms()
        if kind == "status":
            at_ms = now_ms
        elif now_ms - at_ms > AGE_MS_MAX:
            self.dropped["late"] += 1
            return
        self._seq += 1
        await line.send_str(self._signed(kind, instrument, at_ms, body))
        self.sent += 1

    def _signed(self, kind: str, instrument: str, at_ms: int, body: dict[str, Any]) -> str:
        data = encode(
            {
                "key": self._key,
                "ts": at_ms,
                "epoch": self._epoch,
                "seq": self._seq,
                "instrument": instrument,
                "type": kind,
                "body": body,
            }
        )
        return f"{hmac.new(self._secret, DOMAIN + data, hashlib.sha256).hexdigest()} {data.decode()}"

    def _hear(self, text: str) -> None:
        answer = _decode(text)
        if answer.type == "welcome":
            self._start_above(answer.epoch, answer.seq or 0)
        elif answer.type == "ack":
            self.acked = (answer.epoch, answer.seq or 0)
        elif answer.type == "refused":
            self.refused[answer.reason] += 1
            self.last_error = f"refused: {answer.reason} {answer.detail}".rstrip()

    def _start_above(self, epoch: int, seq: int) -> None:
        if epoch > self._epoch:
            self._epoch, self._seq = epoch + 1, 0
        elif epoch == self._epoch:
            self._seq = max(self._seq, seq)


def _deal(price: float, size: float, side: Side) -> dict[str, Any]:
    if not (isfinite(price) and isfinite(size) and price > 0.0 and size > 0.0):
        raise ValueError(f"not a deal: {price} x {size}")
    return {"price": price, "size": size, "side": side}
