"""What is watched for, and when it becomes an alert (SFC framework, paragraph 23); replay raises the same.

A watch is a condition that must hold for some time: then an Alert says that it began, and another that it ended.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from oracle.core.index import BPS, Candidate
from oracle.core.params import SurveillanceRules
from oracle.core.types import NANOS_PER_MS, Alert, AlertKind, Nanos

LIQUIDATIONS_KEPT_MAX = 4_096


class Watch(Struct, array_like=True):
    """Since when a condition holds, and whether it has been reported."""

    since_ns: Nanos
    raised: bool


class Watches(Struct, array_like=True):
    """Every condition that holds now, by kind and target."""

    held: dict[str, Watch]

    def see(
        self, kind: AlertKind, target: str, holds: bool, after_ms: int, at_ns: Nanos, value: float, detail: str
    ) -> list[Alert]:
        """The alert that this beat's look at a condition gives: it has held long enough, or it ended."""
        key = f"{kind}/{target}"
        watch = self.held.get(key)
        if not holds:
            if watch is None:
                return []
            del self.held[key]
            return [Alert(kind, target, False, watch.since_ns, at_ns, value, detail)] if watch.raised else []
        if watch is None:
            watch = self.held[key] = Watch(at_ns, False)
        if watch.raised or at_ns - watch.since_ns < after_ms * NANOS_PER_MS:
            return []
        watch.raised = True
        return [Alert(kind, target, True, watch.since_ns, at_ns, value, detail)]


def watch_sources(
    watches: Watches, names: Sequence[str], candidates: Sequence[Candidate], index: float, rules: SurveillanceRules,
    instrument: str, at_ns: Nanos,
) -> list[Alert]:  # fmt: skip
    """Sources that stand off the index, and groups that do so together on one side."""
    found: list[Alert] = []
    above: set[str] = set()
    below: set[str] = set()
    for name, c in zip(names, candidates, strict=True):
        distance = (c.price / index - 1.0) * BPS if c.price > 0.0 else 0.0
        off = abs(distance) > rules.source_bps
        target = f"{instrument} {name}"
        found += watches.see(AlertKind.SOURCE_DEVIATION, target, off, rules.source_ms, at_ns, distance, "bps")
        if abs(distance) > rules.together_bps:
            (above if distance > 0 else below).add(c.group)
    together = max(len(above), len(below))
    found += watches.see(
        AlertKind.SOURCES_TOGETHER, instrument, together >= 2, rules.together_ms, at_ns, float(together), "groups"
    )
    return found


def keep_recent(times: list[Nanos], at_ns: Nanos, window_ms: int) -> None:
    """Forget the liquidations that are older than the window; the memory is bounded."""
    oldest = at_ns - window_ms * NANOS_PER_MS
    while times and (times[0] < oldest or len(times) > LIQUIDATIONS_KEPT_MAX):
        del times[0]
