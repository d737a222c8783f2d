"""What a line has done since the start: read by the metrics and the status page, never pushed."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct, field

from oracle.collectors.repair import Rung
from oracle.core.types import Nanos

DETAIL_CHARS_MAX = 200


class Repairs(Struct):
    """What was done for one source, and where it stands."""

    rung: Rung = Rung.STREAM
    carried: bool = False  # a stream or a poll brings it now
    steps: Counter[str] = field(default_factory=Counter)  # by Rung
    last_ns: Nanos = 0  # of the last step; 0: none yet


class LineStats(Struct):
    """The counts of one line. Those of a source are in `repairs`."""

    venue: str
    sources: tuple[int, ...]
    frames: int = 0
    bytes: int = 0
    observations: int = 0
    dropped: int = 0  # frames above the venue's budget that a newer one replaced, unread
    duplicates: int = 0  # statements that another connection had brought already, or a newer one
    polls: int = 0  # answers that stood in for a silent stream
    drifts: int = 0  # times the venue's timestamps began to drift
    refused: Counter[str] = field(default_factory=Counter)  # frames, by Refusal
    ended: Counter[str] = field(default_factory=Counter)  # connections, dials and polls, by why they ended
    repairs: dict[int, Repairs] = field(default_factory=dict)
    dials: int = 0
    connected_since_ns: Nanos = 0  # 0: not connected
    last_frame_ns: Nanos = 0
    endpoint: str = ""  # what is dialled instead of the venue's own address
    offset_ns: int | None = None  # the venue's clock against ours; None: it states no time
    jitter_ns: int | None = None
    last_error: str = ""

    def stepped(self, source: int, rung: Rung, now_ns: Nanos) -> None:
        """A repair is being done for a source."""
        repairs = self.of(source)
        repairs.steps[rung] += 1
        repairs.last_ns = now_ns

    def of(self, source: int) -> Repairs:
        """What was done for a source."""
        return self.repairs.setdefault(source, Repairs())

    def is_up(self, source: int) -> bool:
        """Whether the source has a line now; a line that keeps no account of its sources carries all or none."""
        repairs = self.repairs.get(source)
        return self.connected_since_ns > 0 if repairs is None else repairs.carried

    def note(self, reason: str, detail: str) -> None:
        """A connection, a dial or a poll ended."""
        self.ended[reason] += 1
        self.last_error = f"{reason}: {detail}"[:DETAIL_CHARS_MAX]
