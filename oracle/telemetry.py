"""What the parts of a running service count, for metrics and the status page: read when asked, never pushed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from oracle import __version__
from oracle.clock import SystemClock
from oracle.collectors.engine_feed import EngineFeed
from oracle.collectors.repair import ORDER
from oracle.collectors.stats import LineStats
from oracle.core.params import World
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Nanos
from oracle.journal.disk import free_bytes
from oracle.journal.writer import Writer
from oracle.lines import Collector
from oracle.live import Live
from oracle.publishers.metrics import Sample, Supplier
from oracle.publishers.rest import Inside


def build_samples(world: World, writer: Writer, clock: SystemClock) -> Supplier:
    """What runs, and since when."""
    began_ns = clock.now_ns()

    def samples() -> Iterator[Sample]:
        labels = {"version": __version__, "methodology": world.methodology, "epoch": str(writer.epoch)}
        yield Sample("oracle_build_info", labels, 1)
        yield Sample("oracle_uptime_seconds", {}, (clock.now_ns() - began_ns) / NANOS_PER_S)
        reading = clock.reading()
        yield Sample("oracle_clock_offset_seconds", {}, reading.offset_ns / NANOS_PER_S)
        yield Sample("oracle_clock_synchronised", {}, reading.synchronised)

    return samples


def line_samples(world: World, lines: Sequence[Collector]) -> Supplier:
    """The lines to the venues. A line's counts are those of each of its sources; those of several lines are added."""

    def samples() -> Iterator[Sample]:
        for source, carrying in sorted(_by_source(lines).items()):
            yield from _source_samples({"source": world.sources[source].name}, source, carrying)
        for venue, stats in sorted(_by_venue(lines).items()):
            yield from _venue_samples({"venue": venue}, stats)

    return samples


def _by_source(lines: Sequence[Collector]) -> dict[int, list[LineStats]]:
    found: dict[int, list[LineStats]] = {}
    for line in lines:
        for source in line.stats.sources:
            found.setdefault(source, []).append(line.stats)
    return found


def _by_venue(lines: Sequence[Collector]) -> dict[str, list[LineStats]]:
    found: dict[str, list[LineStats]] = {}
    for line in lines:
        found.setdefault(line.stats.venue, []).append(line.stats)
    return found


def _source_samples(named: dict[str, str], source: int, carrying: Sequence[LineStats]) -> Iterator[Sample]:
    yield Sample("oracle_source_frames_total", named, sum(stats.frames for stats in carrying))
    yield Sample("oracle_source_observations_total", named, sum(stats.observations for stats in carrying))
    yield Sample("oracle_source_link_up", named, any(stats.is_up(source) for stats in carrying))
    yield Sample("oracle_source_reconnects_total", named, sum(max(0, stats.dials - 1) for stats in carrying))
    for reason, count in _added(stats.refused for stats in carrying).items():
        yield Sample("oracle_source_refusals_total", {**named, "reason": str(reason)}, count)
    yield Sample("oracle_source_dropped_total", named, sum(stats.dropped for stats in carrying))
    yield Sample("oracle_source_duplicates_total", named, sum(stats.duplicates for stats in carrying))
    yield Sample("oracle_source_polls_total", named, sum(stats.polls for stats in carrying))
    kept = [stats.repairs[source] for stats in carrying if source in stats.repairs]
    if not kept:
        return
    yield Sample("oracle_source_rung", named, min(ORDER.index(repairs.rung) for repairs in kept))
    for step, count in _added(repairs.steps for repairs in kept).items():
        yield Sample("oracle_source_repairs_total", {**named, "step": str(step)}, count)
    if last_ns := max(repairs.last_ns for repairs in kept):
        yield Sample("oracle_source_repaired_timestamp_seconds", named, last_ns / NANOS_PER_S)


def _venue_samples(named: dict[str, str], lines: Sequence[LineStats]) -> Iterator[Sample]:
    """A venue's clock is judged by its quickest line, its jitter by its worst."""
    for reason, count in _added(stats.ended for stats in lines).items():
        yield Sample("oracle_venue_endings_total", {**named, "reason": str(reason)}, count)
    yield Sample("oracle_venue_drifts_total", named, sum(stats.drifts for stats in lines))
    offsets = [stats.offset_ns for stats in lines if stats.offset_ns is not None]
    jitters = [stats.jitter_ns for stats in lines if stats.jitter_ns is not None]
    if offsets and jitters:
        yield Sample("oracle_venue_offset_seconds", named, min(offsets) / NANOS_PER_S)
        yield Sample("oracle_venue_jitter_seconds", named, max(jitters) / NANOS_PER_S)


def _added(counts: Iterable[Counter[str]]) -> Counter[str]:
    return sum(counts, Counter[str]())


def engine_samples(live: Live, writer: Writer, feed: EngineFeed | None) -> Supplier:
    """The loop, the journal and the platform's door."""

    def samples() -> Iterator[Sample]:
        stats = live.stats
        yield Sample("oracle_engine_beats_total", {}, stats.beats)
        yield Sample("oracle_engine_step_seconds_sum", {}, stats.step_ns / NANOS_PER_S)
        yield Sample("oracle_engine_step_seconds_count", {}, stats.beats)
        yield Sample("oracle_engine_dropped_total", {}, stats.dropped)
        yield Sample("oracle_journal_lines_total", {}, writer.lines_total)
        yield Sample("oracle_journal_bytes_total", {}, writer.bytes_total)
        yield Sample("oracle_journal_append_seconds_sum", {}, stats.append_ns / NANOS_PER_S)
        yield Sample("oracle_journal_append_seconds_count", {}, stats.beats)
        yield Sample("oracle_journal_durable", {}, not live.failed)
        if feed is not None:
            yield Sample("oracle_feed_accepted_total", {}, feed.stats.accepted.total())
            for reason, count in feed.stats.refused.items():
                yield Sample("oracle_feed_refused_total", {"reason": reason}, count)

    return samples


def inside(world: World, lines: Sequence[Collector], live: Live, writer: Writer, clock: SystemClock) -> Inside:
    """The parts of the service as the status page tells them."""
    now_ns = clock.now_ns()
    reading = clock.reading()
    journal = {
        "path": writer.path.name,
        "epoch": writer.epoch,
        "lines": writer.lines_total,
        "bytes": writer.bytes_total,
        "durable": not live.failed,
        "free_bytes": _free_bytes(writer),
    }
    beats = {
        "offset_ms": reading.offset_ns / NANOS_PER_MS,
        "synchronised": reading.synchronised,
        "beats": live.stats.beats,
        "dropped": live.stats.dropped,
    }
    return Inside(journal, beats, [_link(world, line, now_ns) for line in lines])


def _free_bytes(writer: Writer) -> int | None:
    """None while the disk itself cannot be asked: just then somebody will look at the status."""
    try:
        return free_bytes(writer.path.parent)
    except OSError:
        return None


def _link(world: World, line: Collector, now_ns: Nanos) -> dict[str, Any]:
    stats = line.stats
    return {
        "venue": stats.venue,
        "sources": [world.sources[source].name for source in stats.sources],
        "up": stats.connected_since_ns > 0,
        "up_ms": _since_ms(stats.connected_since_ns, now_ns) or 0,
        "endpoint": stats.endpoint or None,
        "frames": stats.frames,
        "silent_ms": _since_ms(stats.last_frame_ns, now_ns),
        "dropped": stats.dropped,
        "duplicates": stats.duplicates,
        "polls": stats.polls,
        "refused": {str(reason): count for reason, count in stats.refused.items()},
        "ended": {str(reason): count for reason, count in stats.ended.items()},
        "dials": stats.dials,
        "offset_ms": None if stats.offset_ns is None else stats.offset_ns / NANOS_PER_MS,
        "jitter_ms": None if stats.jitter_ns is None else stats.jitter_ns / NANOS_PER_MS,
        "drifts": stats.drifts,
        "repairs": {
            world.sources[source].name: {
                "up": repairs.carried,
                "rung": str(repairs.rung),
                "steps": {str(step): count for step, count in repairs.steps.items()},
                "last_ms": _since_ms(repairs.last_ns, now_ns),
            }
            for source, repairs in stats.repairs.items()
        },
        "last_error": stats.last_error,
    }


def _since_ms(at_ns: Nanos, now_ns: Nanos) -> int | None:
    return (now_ns - at_ns) // NANOS_PER_MS if at_ns else None
