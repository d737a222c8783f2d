"""What the parts of a running service count, for metrics and the status page: read when asked, never pushed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from oracle import __version__
from oracle.clock import SystemClock
from oracle.collectors.ccxt import CcxtPoller
from oracle.collectors.engine_feed import EngineFeed
from oracle.collectors.line import Line
from oracle.core.params import World
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Nanos
from oracle.journal.disk import free_bytes
from oracle.journal.writer import Writer
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


def line_samples(world: World, lines: Sequence[Line | CcxtPoller]) -> Supplier:
    """The lines to the venues; a line's counts are those of each source it carries."""

    def samples() -> Iterator[Sample]:
        for line in lines:
            stats = line.stats
            for source in stats.sources:
                named = {"source": world.sources[source].name}
                yield Sample("oracle_source_frames_total", named, stats.frames)
                yield Sample("oracle_source_observations_total", named, stats.observations)
                yield Sample("oracle_source_link_up", named, stats.connected_since_ns > 0)
                yield Sample("oracle_source_reconnects_total", named, max(0, stats.dials - 1))
                for reason, count in stats.refused.items():
                    yield Sample("oracle_source_refusals_total", {**named, "reason": str(reason)}, count)

    return samples


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


def inside(world: World, lines: Sequence[Line | CcxtPoller], live: Live, writer: Writer, clock: SystemClock) -> Inside:
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


def _link(world: World, line: Line | CcxtPoller, now_ns: Nanos) -> dict[str, Any]:
    stats = line.stats
    return {
        "venue": stats.venue,
        "sources": [world.sources[source].name for source in stats.sources],
        "up": stats.connected_since_ns > 0,
        "up_ms": (now_ns - stats.connected_since_ns) // NANOS_PER_MS if stats.connected_since_ns else 0,
        "frames": stats.frames,
        "silent_ms": (now_ns - stats.last_frame_ns) // NANOS_PER_MS if stats.last_frame_ns else None,
        "refused": {str(reason): count for reason, count in stats.refused.items()},
        "dials": stats.dials,
        "last_error": stats.last_error,
    }
