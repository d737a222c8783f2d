"""What a source may spend: frames and bytes a second, with one second's worth at once.

Two token buckets that fill together, in integers: a bucket's unit is a frame (or a byte) times a nanosecond, so that
filling is one multiplication and nothing is rounded away. What is refused is counted here and forgotten; to keep the
latest of it is the caller's.
"""

from __future__ import annotations

from oracle.core.types import NANOS_PER_S, Nanos


class Flow:
    """The budget of one source. A time that runs backwards fills nothing."""

    def __init__(self, frames_per_s_max: int, bytes_per_s_max: int) -> None:
        assert frames_per_s_max > 0, frames_per_s_max
        assert bytes_per_s_max > 0, bytes_per_s_max
        self._frames_per_s, self._bytes_per_s = frames_per_s_max, bytes_per_s_max
        self._frames_full, self._bytes_full = frames_per_s_max * NANOS_PER_S, bytes_per_s_max * NANOS_PER_S
        self._frames, self._bytes = self._frames_full, self._bytes_full
        self._at_ns: Nanos = 0
        self._refused_cost = 0
        self.dropped = 0
        self.dropped_bytes = 0

    def admits(self, size: int, now_ns: Nanos) -> bool:
        """Spend a frame of `size` bytes, or count it as dropped.

        A frame larger than a second's bytes needs the full bucket and leaves a debt: it is late, not impossible.
        """
        elapsed_ns = now_ns - self._at_ns
        if elapsed_ns > 0:
            self._at_ns = now_ns
            frames = self._frames + elapsed_ns * self._frames_per_s
            self._frames = frames if frames < self._frames_full else self._frames_full
            amount = self._bytes + elapsed_ns * self._bytes_per_s
            self._bytes = amount if amount < self._bytes_full else self._bytes_full
        cost = size * NANOS_PER_S
        if self._frames >= NANOS_PER_S and (self._bytes >= cost or self._bytes == self._bytes_full):
            self._frames -= NANOS_PER_S
            self._bytes -= cost
            return True
        self.dropped += 1
        self.dropped_bytes += size
        self._refused_cost = cost
        return False

    def wait_ns(self, now_ns: Nanos) -> int:
        """How long until a frame as large as the one refused last would be admitted, in ns; 0: it would be now."""
        frames_ns = _until(NANOS_PER_S - self._frames, self._frames_per_s)
        bytes_ns = _until(min(self._refused_cost, self._bytes_full) - self._bytes, self._bytes_per_s)
        return max(0, max(frames_ns, bytes_ns) - max(0, now_ns - self._at_ns))


def _until(missing: int, per_ns: int) -> int:
    """How many ns until what is missing has come in; 0 or less when nothing is."""
    return -(-missing // per_ns)
