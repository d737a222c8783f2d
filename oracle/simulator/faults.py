"""What can go wrong in a simulated world, as data: when, for how long, what, to whom, how much.

An episode of the first family happens in the world, so every venue and every client sees the same; one of the second
happens on the line between one venue and its clients. A script is a list of episodes that begins again at its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from fnmatch import fnmatchcase

from msgspec import Struct

from oracle.core.types import NANOS_PER_MS


class Kind(StrEnum):
    """What happens. The comment says what `target` matches and what `amount` means."""

    MOVE = "MOVE"  # an asset's true price, times 1 + amount: a rally, a crash, a depeg
    PREMIUM = "PREMIUM"  # markets stand this far from the truth, as a fraction: a spike, an overshoot
    FREEZE = "FREEZE"  # markets' books stand still and are not restated; their trades go on
    REPEAT = "REPEAT"  # markets restate the same prices with other sizes; no trades
    STUCK = "STUCK"  # markets restate the same prices with other sizes, and trade on where the truth is
    DRIFT = "DRIFT"  # markets' event times run away from the clock by this many seconds; below 0 they fall behind
    SILENCE = "SILENCE"  # markets state nothing; the venue's heartbeats and other markets go on
    SUSPEND = "SUSPEND"  # the platform suspends the reference asset of its own markets
    MUTE = "MUTE"  # a venue's line says nothing at all, and answers nothing until it is over
    STALL = "STALL"  # a venue stops to read and to write; the connection stays open
    DROP_HALF = "DROP_HALF"  # a venue loses every second frame
    LOST = "LOST"  # a venue has forgotten what was subscribed, until it is asked again; its heartbeats go on
    DISCONNECT = "DISCONNECT"  # a venue ends its connections and accepts none
    GARBAGE = "GARBAGE"  # a venue sends one frame that is no JSON
    OVERSIZED = "OVERSIZED"  # a venue sends one frame larger than any of its frames


WORLD_KINDS = (
    Kind.MOVE,
    Kind.PREMIUM,
    Kind.FREEZE,
    Kind.REPEAT,
    Kind.STUCK,
    Kind.DRIFT,
    Kind.SILENCE,
    Kind.SUSPEND,
)
LINE_KINDS = (Kind.MUTE, Kind.STALL, Kind.DROP_HALF, Kind.LOST, Kind.DISCONNECT, Kind.GARBAGE, Kind.OVERSIZED)
BOUND_KINDS = (Kind.MUTE, Kind.STALL, Kind.DROP_HALF, Kind.LOST)  # may befall one connection and spare the next


class Episode(Struct, frozen=True, kw_only=True):
    """One thing that happens, `at_ms` after the script began.

    `target` is a glob: over a market's key (`kraken/spot/*`), over an asset (`USDT`) for a MOVE, over a venue's name
    for a fault of its line. The level climbs linearly to `amount` within `rise_ms` and falls back to nothing within the
    last `fall_ms`.
    """

    at_ms: int
    lasts_ms: int
    kind: Kind
    target: str
    amount: float = 0.0
    rise_ms: int = 0
    fall_ms: int = 0

    def active(self, offset_ns: int) -> bool:
        """Whether it is going on, this long after the script began."""
        return self.at_ms * NANOS_PER_MS <= offset_ns < (self.at_ms + self.lasts_ms) * NANOS_PER_MS

    def level(self, offset_ns: int) -> float:
        """How much of it there is: 0 outside, `amount` at its height."""
        if not self.active(offset_ns):
            return 0.0
        since_ms = offset_ns / NANOS_PER_MS - self.at_ms
        left_ms = self.lasts_ms - since_ms
        risen = since_ms / self.rise_ms if since_ms < self.rise_ms else 1.0
        remaining = left_ms / self.fall_ms if left_ms < self.fall_ms else 1.0
        return self.amount * min(risen, remaining)

    def concerns(self, name: str) -> bool:
        """Whether `target` matches the name of a market, an asset or a venue."""
        return fnmatchcase(name, self.target)


class Script(Struct, frozen=True):
    """Episodes, and after how long they begin again; 0: never."""

    episodes: tuple[Episode, ...] = ()
    length_ms: int = 0

    def offset_ns(self, elapsed_ns: int) -> int:
        """The place in the script, this long after it began for the first time."""
        return elapsed_ns % (self.length_ms * NANOS_PER_MS) if self.length_ms else elapsed_ns

    def of(self, name: str, kinds: tuple[Kind, ...]) -> tuple[Episode, ...]:
        """The episodes of these kinds that concern a market, an asset or a venue."""
        return tuple(e for e in self.episodes if e.kind in kinds and e.concerns(name))

    def active(self, offset_ns: int) -> Iterator[Episode]:
        """What is going on at a place in the script."""
        return (e for e in self.episodes if e.active(offset_ns))


CALM = Script()
