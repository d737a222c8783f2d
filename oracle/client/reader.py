"""How a consumer reads the oracle: a snapshot, then every value, and never one that is older than it was asked for.

`async with Reader(url) as reader: async for update in reader.stream(["BTC-USD-PERP"]): update.price(age_ms_max=2000)`.
The reader counts each instrument's seq, asks again for what it lacks, and reconnects by itself with full jitter.

Theory of staleness. A value's age is what the server says it was when it was sent, plus the time since it arrived by
this machine's monotonic clock. A message may have waited on the way; the fastest message so far shows how the two
clocks stand to one another, and a value counts as at least as old as that comparison makes it.
"""

from __future__ import annotations

import asyncio
import random as _random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from decimal import Decimal
from math import inf
from typing import Any, Self
from urllib.parse import quote

import aiohttp
import msgspec

from oracle.core.types import State
from oracle.core.wire import encode

USABLE = (State.NORMAL, State.DEGRADED)
AGE_MS_MAX = 2_000
BACKOFF_BASE_S, BACKOFF_CAP_S = 0.25, 10.0
PACE_S = 300.0  # how long a fast message counts
HEALTHY_S = 30.0  # a connection that stood this long forgives earlier failures
SILENCE_S = 3.0  # the server speaks every second
ANSWER_S = 5.0
MESSAGE_BYTES_MAX = 1 << 20
REST_ATTEMPTS = 3


class ReaderError(Exception):
    """The oracle refuses the question, or cannot be reached; `code` is its stable word."""

    def __init__(self, code: str, detail: str) -> None:
        self.code, self.detail = code, detail
        super().__init__(f"{code}: {detail}")


class StaleValue(ReaderError):
    """There is no price that is as fresh and as sound as was asked for. Whoever catches this must not trade on it."""


class _Message(msgspec.Struct):
    """What the server says on the stream."""

    type: str
    instrument: str = ""
    seq: int = 0
    ts: int = 0
    epoch: str = ""
    age_ms: Any = None
    last_seq: dict[str, int] = msgspec.field(default_factory=dict)
    snapshot: dict[str, Any] | None = None
    index: dict[str, Any] | None = None
    mark: dict[str, Any] | None = None
    funding: dict[str, Any] | None = None
    settled: dict[str, Any] | None = None
    premium: dict[str, Any] | None = None
    verdict_changes: list[dict[str, Any]] = msgspec.field(default_factory=list)
    alerts: list[dict[str, Any]] = msgspec.field(default_factory=list)
    code: str = ""
    detail: str = ""


_decode = msgspec.json.Decoder(_Message).decode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode


class Pace:
    """How the server's clock stands to this machine's monotonic one, by the fastest message of the last minutes."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self.now_s = now_s
        self._since_s = now_s()
        self._lead_ms = self._former_ms = inf

    def hear(self, sent_ms: int) -> None:
        """A message that the server made at that time of its clock has just arrived."""
        now_s = self.now_s()
        if now_s - self._since_s > PACE_S:  # clocks drift: what was fastest yesterday says nothing today
            self._since_s, self._former_ms, self._lead_ms = now_s, self._lead_ms, inf
        self._lead_ms = min(self._lead_ms, now_s * 1_000 - sent_ms)

    def age_ms(self, ts: int) -> float:
        """How old something made at that time of the server's clock is at the least."""
        lead_ms = min(self._lead_ms, self._former_ms)
        return 0.0 if lead_ms == inf else self.now_s() * 1_000 - lead_ms - ts


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument's news. Parts that did not change with it are None, except on a snapshot, which has all.

    `value` is what `price` gives: the mark of a perpetual, the index of an index. `gap`: messages before it were lost.
    """

    instrument: str
    seq: int
    ts: int
    epoch: str
    value: dict[str, Any]
    index: dict[str, Any] | None
    mark: dict[str, Any] | None
    funding: dict[str, Any] | None
    settled: dict[str, Any] | None
    premium: dict[str, Any] | None
    verdict_changes: Sequence[dict[str, Any]] = ()
    alerts: Sequence[dict[str, Any]] = ()
    is_snapshot: bool
    gap: bool
    sent_age_ms: int | None
    received_s: float
    pace: Pace

    @property
    def state(self) -> State:
        """Where the instrument stands on the ladder; a word that this client does not know counts as HALTED."""
        try:
            return State(self.value["state"].upper())
        except ValueError:
            return State.HALTED

    @property
    def reasons(self) -> Sequence[str]:
        """Why it is what it is."""
        reasons: Sequence[str] = self.value["reasons"]
        return reasons

    @property
    def liquidation_ok(self) -> bool:
        """Whether anybody may be liquidated on it; says nothing of its age."""
        return bool(self.value["liquidation_ok"])

    def age_ms(self) -> float | None:
        """How old the value is now; None when there never was one."""
        if self.sent_age_ms is None:
            return None
        here_ms = (self.pace.now_s() - self.received_s) * 1_000
        return max(self.sent_age_ms + here_ms, self.pace.age_ms(self.ts))

    def price(self, age_ms_max: int = AGE_MS_MAX, states: Iterable[State] = USABLE) -> Decimal:
        """The price. Raises StaleValue when it is older, missing, carried forward, or its state is another."""
        said, age_ms = self.value["price"], self.age_ms()
        where = f"{self.instrument} seq {self.seq}"
        if said is None or age_ms is None:
            raise StaleValue("no_price", f"{where} has no price: {self.state}, {', '.join(self.reasons)}")
        if age_ms > age_ms_max:
            raise StaleValue("too_old", f"{where} is {age_ms:.0f} ms old, at most {age_ms_max} was asked for")
        if self.state not in tuple(states) or self.value["carried_forward"]:
            raise StaleValue("not_usable", f"{where} is {self.state}: {', '.join(self.reasons)}")
        return Decimal(said)


class Course:
    """How far each instrument was followed, where it broke off, and what has been asked again."""

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}
        self._lost: dict[str, None] = {}
        self._asked: dict[str, None] = {}
        self._gaps: dict[str, None] = {}

    def restart(self) -> None:
        """A new connection: everything is asked for from where it was seen last."""
        self._lost.clear()
        self._asked.clear()
        self._gaps.clear()

    def accepts(self, said: _Message) -> bool:
        """Take note of a message; whether it is the next news of its instrument."""
        name, last = said.instrument, self.seen.get(said.instrument)
        if said.type == "heartbeat":
            self._lost |= {each: None for each, seq in said.last_seq.items() if seq > self.seen.get(each, seq)}
        elif said.type == "gap":
            self._gaps[name] = None
        elif said.type == "snapshot" or (said.type == "value" and last is not None and said.seq == last + 1):
            self._follow(name, said.seq)
            return True
        elif said.type == "value" and last is not None and said.seq > last:
            self._lost[name] = None
        return False

    def holes(self) -> list[str]:
        """Instruments that must be asked for again; each is named once until it goes on."""
        found = [name for name in self._lost if name not in self._asked]
        self._asked |= dict.fromkeys(found)
        return found

    def told_gap(self, name: str) -> bool:
        """Whether the server has said that messages are gone for good; asked once."""
        return self._gaps.pop(name, False) is None

    def _follow(self, name: str, seq: int) -> None:
        self.seen[name] = seq
        self._lost.pop(name, None)
        self._asked.pop(name, None)


class Reader:
    """A consumer's end. One event loop; `now_s`, `random` and `sleep` are for tests."""

    def __init__(
        self,
        url: str,
        *,
        silence_s: float = SILENCE_S,
        now_s: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = _random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.url = url.rstrip("/")
        self.reconnects = self.resyncs = 0
        self.last_error = ""
        self._silence_s, self._now_s, self._random, self._sleep = silence_s, now_s, random, sleep
        self._pace = Pace(now_s)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def key_parameters(self, instrument: str) -> Update:
        """The four Key Parameters of a perpetual, now. Raises ReaderError."""
        return self._snapshot(await self.get(f"/v1/key-parameters/{quote(instrument, safe='')}"), gap=False)

    async def index(self, instrument: str) -> Update:
        """An index, now. Raises ReaderError."""
        return self._snapshot(await self.get(f"/v1/index/{quote(instrument, safe='')}"), gap=False)

    async def get(self, path: str) -> dict[str, Any]:
        """The answer to any GET of the interface. Tries again when the service is busy. Raises ReaderError."""
        for attempt in range(REST_ATTEMPTS):
            try:
                return await self._get(path)
            except ReaderError as error:
                if error.code not in ("unreachable", "rate_limited") or attempt == REST_ATTEMPTS - 1:
                    raise
            await self._sleep(self._random() * BACKOFF_BASE_S * 2**attempt)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def stream(self, instruments: Iterable[str]) -> AsyncGenerator[Update, None]:
        """Every update of these, in order of seq, for ever. Raises ReaderError when the oracle does not know one.

        Wrap it in `contextlib.aclosing` to leave it before its end.
        """
        wanted = list(dict.fromkeys(instruments))
        course = Course()
        attempts = 0
        while True:
            began_s = self._now_s()
            try:
                async with aclosing(self._connected(wanted, course)) as updates:
                    async for update in updates:
                        yield update
            except (aiohttp.ClientError, OSError, TimeoutError, msgspec.DecodeError, KeyError) as error:
                self.last_error = f"{type(error).__name__}: {error}"
            attempts = 0 if self._now_s() - began_s >= HEALTHY_S else attempts + 1
            self.reconnects += 1
            await self._sleep(self._random() * min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2 ** min(attempts, 16)))

    async def _get(self, path: str) -> dict[str, Any]:
        try:
            timeout = aiohttp.ClientTimeout(total=ANSWER_S)
            async with self._open().get(self.url + path, timeout=timeout) as response:
                body = await response.read()
                answer = _decode_object(body)
        except (aiohttp.ClientError, OSError, TimeoutError, msgspec.DecodeError) as error:
            raise ReaderError("unreachable", f"{self.url}{path}: {type(error).__name__}: {error}") from None
        if response.status != 200:
            raise ReaderError(str(answer.get("code", response.status)), str(answer.get("detail", "")))
        return answer

    def _open(self) -> aiohttp.ClientSession:
        assert self._session is not None, "use `async with Reader(...)`"
        return self._session

    async def _connected(self, wanted: list[str], course: Course) -> AsyncGenerator[Update, None]:
        """The updates of one connection, until it ends."""
        self._pace = Pace(self._now_s)
        course.restart()
        async with self._open().ws_connect(f"{self.url}/v1/stream", max_msg_size=MESSAGE_BYTES_MAX) as ws:
            await ws.send_str(_ask("subscribe", wanted, {name: seq + 1 for name, seq in course.seen.items()}))
            while True:
                message = await ws.receive(timeout=self._silence_s)
                if message.type is not aiohttp.WSMsgType.TEXT:
                    self.last_error = f"closed {ws.close_code}: {message.extra or ''}"
                    return
                said = _decode(message.data)
                if said.type == "error":
                    self._refused(said)
                    return
                if said.type == "heartbeat":
                    self._pace.hear(said.ts)
                if course.accepts(said):
                    yield self._update(said, course)
                for name in course.holes():
                    self.resyncs += 1
                    await ws.send_str(_ask("unsubscribe", [name], {}))
                    await ws.send_str(_ask("subscribe", [name], {name: course.seen[name] + 1}))

    def _refused(self, said: _Message) -> None:
        """A question that can never be answered ends the stream; anything else only this connection."""
        if said.code == "unknown_instrument":
            raise ReaderError(said.code, said.detail)
        self.last_error = f"{said.code}: {said.detail}"

    def _update(self, said: _Message, course: Course) -> Update:
        if said.snapshot is not None:
            return self._snapshot(said.snapshot, gap=course.told_gap(said.instrument))
        return self._value(said)

    def _value(self, said: _Message) -> Update:
        """An update made of a value message."""
        value = said.mark or said.index
        if value is None:
            raise msgspec.DecodeError("a value message without a value")
        self._pace.hear(said.ts + int(said.age_ms or 0))
        return Update(
            instrument=said.instrument,
            seq=said.seq,
            ts=said.ts,
            epoch=said.epoch,
            value=value,
            index=said.index,
            mark=said.mark,
            funding=said.funding,
            settled=said.settled,
            premium=said.premium,
            verdict_changes=said.verdict_changes,
            alerts=said.alerts,
            is_snapshot=False,
            gap=False,
            sent_age_ms=said.age_ms,
            received_s=self._now_s(),
            pace=self._pace,
        )

    def _snapshot(self, answer: dict[str, Any], gap: bool) -> Update:
        """An update made of the object that REST and stream snapshots share."""
        whole = answer["kind"] == "perpetual"
        mark, index = (answer["mark"], answer["index"]) if whole else (None, answer)
        value = mark or index
        if value["age_ms"] is not None:
            self._pace.hear(value["ts"] + value["age_ms"])
        funding = answer["funding"] if whole else None
        return Update(
            instrument=answer["instrument"],
            seq=answer["seq"],
            ts=value["ts"] or 0,
            epoch=answer["epoch"],
            value=value,
            index=index,
            mark=mark,
            funding=funding,
            settled=funding["last_settled"] if funding else None,
            premium=funding["last_sample"] if funding else None,
            is_snapshot=True,
            gap=gap,
            sent_age_ms=value["age_ms"],
            received_s=self._now_s(),
            pace=self._pace,
        )


def _ask(op: str, instruments: Sequence[str], from_seq: dict[str, int]) -> str:
    asked: dict[str, Any] = {"op": op, "instruments": instruments}
    if from_seq:
        asked["from_seq"] = from_seq
    return encode(asked).decode()
