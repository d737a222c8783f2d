"""How the house asks over HTTP: bounded in size, time and rate, verified, never redirected, every refusal named.

Each host has a budget of requests; whoever is told to wait (429, 418, 503 with Retry-After) is not asked again before.
Retry-After is a number of seconds or a date (RFC 9110 section 10.2.3); a date is measured against our own clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from math import ceil
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
from msgspec import Struct

from oracle.clock import Clock
from oracle.collectors.socket import refused_by
from oracle.core.types import NANOS_PER_S, Nanos
from oracle.errors import LineError
from oracle.venues.base import Request

TIMEOUT_S = 10.0
BODY_BYTES_MAX = 1 << 20
RATE_PER_S = 2.0
BURST = 8
WAIT_S_MAX = 30.0  # a request that would wait longer for its budget is refused at once
HOSTS_MAX = 256
PAUSE_S = 30.0  # after a 429 or 418 that does not say how long


class Answer(NamedTuple):
    """What a host answered. Header names are lower case."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes


class _Budget(Struct):
    """A token bucket; `free_ns` is when the bucket will be full, so one integer is the whole state."""

    free_ns: Nanos = 0
    closed_until_ns: Nanos = 0


class Rest:
    """One HTTP client for all venues. Use as an async context manager, or call `aclose`."""

    def __init__(
        self,
        clock: Clock,
        *,
        rate_per_s: float = RATE_PER_S,
        burst: int = BURST,
        timeout_s: float = TIMEOUT_S,
        body_bytes_max: int = BODY_BYTES_MAX,
        proxy: str | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._token_ns = int(NANOS_PER_S / rate_per_s)
        self._depth_ns = self._token_ns * burst
        self._timeout_s, self._body_bytes_max = timeout_s, body_bytes_max
        self._budgets: dict[str, _Budget] = {}
        self._client = httpx.AsyncClient(
            timeout=timeout_s,
            follow_redirects=False,
            trust_env=False,
            proxy=proxy,
            headers={"Accept-Encoding": "identity", "User-Agent": "oracle"},
        )

    async def __aenter__(self) -> Rest:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def get(self, url: str, *, body_bytes_max: int | None = None) -> bytes:
        """The body of a 200. Raises LineError for everything else."""
        return await self.ask(Request(url, ""), body_bytes_max=body_bytes_max)

    async def ask(self, request: Request, *, body_bytes_max: int | None = None) -> bytes:
        """The body of a 200 to what a Session wants answered, JSON in a POST. Raises LineError for everything else."""
        answer = await self.fetch(
            request.method,
            request.url,
            headers={"Content-Type": "application/json"} if request.content else None,
            content=request.content.encode() or None,
            body_bytes_max=body_bytes_max,
        )
        if answer.status != 200:
            detail = answer.body[:80].decode("utf-8", "replace")
            raise refused_by(answer.status, self._seconds(answer.headers.get("retry-after")), detail)
        return answer.body

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        body_bytes_max: int | None = None,
    ) -> Answer:
        """Whatever the host answers, redirects excepted. Raises LineError when it does not, or may not be asked."""
        try:
            host = urlsplit(url).netloc
        except ValueError as error:
            raise LineError("UNREACHABLE", str(error)) from error
        budget = await self._admit(host)
        asked = {k: v for k, v in (headers or {}).items() if k.lower() != "accept-encoding"}
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._client.stream(method, url, headers=asked, content=content) as response,
            ):
                self._judge(response, budget)
                body = await _bounded(response, body_bytes_max or self._body_bytes_max)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise LineError("TIMEOUT", f"{method} {url}"[:200]) from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise LineError("UNREACHABLE", f"{type(error).__name__}: {error}"[:200]) from error
        return Answer(response.status_code, response.reason_phrase, dict(response.headers), body)

    async def _admit(self, host: str) -> _Budget:
        """Wait for the host's budget."""
        if host not in self._budgets and len(self._budgets) >= HOSTS_MAX:
            raise LineError("BUDGET", f"more than {HOSTS_MAX} hosts")
        budget = self._budgets.setdefault(host, _Budget())
        now_ns = self._clock.now_ns()
        if now_ns < budget.closed_until_ns:
            left_s = (budget.closed_until_ns - now_ns) / NANOS_PER_S
            raise LineError("RATE_LIMITED", f"{host} asked to wait", retry_after_s=left_s)
        free_ns = max(budget.free_ns, now_ns) + self._token_ns
        wait_ns = free_ns - self._depth_ns - now_ns
        if wait_ns > WAIT_S_MAX * NANOS_PER_S:
            raise LineError("BUDGET", f"{host} is asked more often than it may be", retry_after_s=WAIT_S_MAX)
        budget.free_ns = free_ns
        if wait_ns > 0:
            await self._sleep(wait_ns / NANOS_PER_S)
        return budget

    def _judge(self, response: httpx.Response, budget: _Budget) -> None:
        status = response.status_code
        refusal = refused_by(status, self._seconds(response.headers.get("retry-after")))
        if refusal.reason in ("RATE_LIMITED", "BANNED") or (status == 503 and refusal.retry_after_s):
            pause_s = refusal.retry_after_s or PAUSE_S
            budget.closed_until_ns = self._clock.now_ns() + int(pause_s * NANOS_PER_S)
        if 300 <= status < 400:
            raise refusal
        if response.headers.get("content-encoding", "identity") != "identity":
            raise LineError("REFUSED", "an encoding nobody asked for", status=status)

    def _seconds(self, retry_after: str | None) -> str | None:
        """A Retry-After in whole seconds from now, when it was a date; else as it was said."""
        try:
            until = parsedate_to_datetime(retry_after or "")
        except (ValueError, OverflowError):
            return retry_after
        zoned = until if until.tzinfo else until.replace(tzinfo=UTC)
        return str(max(0, ceil(zoned.timestamp() - self._clock.now_ns() / NANOS_PER_S)))


async def _bounded(response: httpx.Response, bytes_max: int) -> bytes:
    declared = response.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > bytes_max:
        raise LineError("TOO_LARGE", f"{declared} bytes", status=response.status_code)
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > bytes_max:
            raise LineError("TOO_LARGE", f"more than {bytes_max} bytes", status=response.status_code)
    return bytes(body)
