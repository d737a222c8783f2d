"""How much one address may ask for: a token bucket each, remembered for a bounded number of addresses."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from math import ceil
from typing import NamedTuple

ADDRESSES_MAX = 10_000
_IPV6_HOME_BITS = 64  # what a household or a machine is given: its addresses share a bucket


class Limits(NamedTuple):
    """Bounds on what one consumer may ask for; generous for people, tight for loops."""

    requests_per_s: float = 60.0
    requests_burst: int = 120
    streams_max: int = 1_000
    streams_per_address_max: int = 50
    stream_messages_max: int = 256
    stream_bytes_max: int = 1 << 20
    stream_blocked_ms_max: int = 5_000
    stream_heartbeat_ms: int = 1_000
    client_messages_per_s: float = 5.0
    client_messages_burst: int = 20
    client_errors_max: int = 5


class Grant(NamedTuple):
    """Whether one more is allowed, of how many; how many are left, and when all are back (or, if none is, the next)."""

    allowed: bool
    limit: int
    remaining: int
    reset_s: int


class Bucket:
    """Tokens that come back at a steady rate, up to a burst."""

    __slots__ = ("_at_s", "_burst", "_per_s", "_tokens")

    def __init__(self, per_s: float, burst: int, now_s: float) -> None:
        self._per_s, self._burst, self._tokens, self._at_s = per_s, burst, float(burst), now_s

    def take(self, now_s: float) -> Grant:
        """Spend a token, if there is one."""
        self._tokens = min(self._burst, self._tokens + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if self._tokens < 1.0:
            return Grant(False, self._burst, 0, ceil((1.0 - self._tokens) / self._per_s))
        self._tokens -= 1.0
        remaining = int(self._tokens)
        return Grant(True, self._burst, remaining, ceil((self._burst - self._tokens) / self._per_s))


class Limiter:
    """A bucket for each address. `now_s`: seconds that never run backwards."""

    def __init__(
        self, per_s: float, burst: int, now_s: Callable[[], float], addresses_max: int = ADDRESSES_MAX
    ) -> None:
        self._per_s, self._burst, self._now_s, self._addresses_max = per_s, burst, now_s, addresses_max
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, address: str) -> Grant:
        """Spend a token of this address. The address that was longest silent is forgotten first."""
        key, now_s = home(address), self._now_s()
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(self._per_s, self._burst, now_s)
            if len(self._buckets) > self._addresses_max:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return bucket.take(now_s)


class Seats:
    """How many of something are open, in all and for each address."""

    def __init__(self, seats_max: int, per_address_max: int) -> None:
        self._seats_max, self._per_address_max = seats_max, per_address_max
        self._taken: Counter[str] = Counter()
        self.open = 0

    def full(self) -> bool:
        """Whether there is no seat for anybody."""
        return self.open >= self._seats_max

    def full_for(self, address: str) -> bool:
        """Whether this address has all the seats it may have."""
        return self._taken[home(address)] >= self._per_address_max

    def take(self, address: str) -> None:
        """Sit down."""
        self._taken[home(address)] += 1
        self.open += 1

    def leave(self, address: str) -> None:
        """Stand up."""
        key = home(address)
        self._taken[key] -= 1
        if not self._taken[key]:
            del self._taken[key]
        self.open -= 1


def home(address: str) -> str:
    """What an address is counted as: itself, or the network of an IPv6 one."""
    if ":" not in address:
        return address
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped) if mapped else str(ip_network((found, _IPV6_HOME_BITS), strict=False))
