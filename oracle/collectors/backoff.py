"""When a line may dial again: full jitter, a cap, and a budget that all the lines of a venue share.

The wait before attempt n is uniform in [0, min(cap, base · 2ⁿ)] (the "full jitter" of Brooker, "Exponential Backoff
And Jitter", AWS Architecture Blog, 2015). Only a connection that stood for a healthy minute forgives past failures,
so a venue that accepts and drops is not hammered. What one line is told to wait, all the lines of its venue wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from oracle.core.types import NANOS_PER_S, Nanos

BASE_S = 0.25
CAP_S = 30.0
HEALTHY_NS = 60 * NANOS_PER_S
DIAL_GAP_NS = NANOS_PER_S  # at most one dial a second a venue
MINUTE_NS = 60 * NANOS_PER_S


class Backoff:
    """The waits of one line. `random` gives numbers uniform in [0, 1)."""

    def __init__(self, random: Callable[[], float], *, base_s: float = BASE_S, cap_s: float = CAP_S) -> None:
        self._random, self._base_s, self._cap_s = random, base_s, cap_s
        self._attempts = 0

    def wait_s(self, stood_ns: int, retry_after_s: float = 0.0) -> float:
        """How long to wait after a connection that stood for `stood_ns` (0: it never did), in seconds.

        What the venue asked for is waited at the least, with jitter on top.
        """
        if stood_ns >= HEALTHY_NS:
            self._attempts = 0
        ceiling_s = min(self._cap_s, self._base_s * (1 << self._attempts))
        if ceiling_s < self._cap_s:
            self._attempts += 1
        return retry_after_s + self._random() * ceiling_s


class DialBudget:
    """How often a venue may be dialled, by all of its lines together."""

    def __init__(self, per_minute: int) -> None:
        assert per_minute > 0, per_minute
        self._dials: deque[Nanos] = deque(maxlen=per_minute)
        self._held_until_ns: Nanos = 0

    def hold(self, until_ns: Nanos) -> None:
        """The venue asked not to be dialled before then."""
        self._held_until_ns = max(self._held_until_ns, until_ns)

    def reserve(self, now_ns: Nanos) -> int:
        """Take the next free dial; the answer is how long to wait for it, in ns."""
        at_ns = max(now_ns, self._held_until_ns)
        if self._dials:
            at_ns = max(at_ns, self._dials[-1] + DIAL_GAP_NS)
            if len(self._dials) == self._dials.maxlen:
                at_ns = max(at_ns, self._dials[0] + MINUTE_NS)
        self._dials.append(at_ns)
        return at_ns - now_ns
