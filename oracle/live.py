"""The live loop: closes beats, steps the engine, writes the journal, and only then lets anyone see the values.

A beat closes as soon as something arrived and `beat_ms_min` has passed since the last one (the leading edge: an idle
oracle answers at once, a busy one conflates), and at every whole second in any case, because time alone makes prices
old. If a line cannot be written, nothing more is published: the loop stops and says why, and the doors stay open so
that whoever asks hears it too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog
from msgspec import Struct

from oracle.clock import Clock
from oracle.core.engine import Engine, encode_state
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Beat, Nanos, Tick, Value
from oracle.errors import JournalNotDurable

log = structlog.get_logger("oracle.live")
WAKE_AFTER_NS = NANOS_PER_MS  # timers fire up to a millisecond early


class Inbox(Protocol):
    """Where the observations of the next beat wait."""

    def close(self, seq: int, at_ns: Nanos) -> Beat:
        """Everything that arrived until then."""
        ...


class Writer(Protocol):
    """What makes a beat durable."""

    def append(self, beat: Beat, values: tuple[Value, ...], then: Callable[[], None]) -> None:
        """Write a beat; `then` is called once it is durable. Raises JournalNotDurable."""
        ...

    def seal(self, seq: int, at_ns: Nanos) -> None:
        """Sign what has been written. Raises JournalNotDurable."""
        ...

    def snapshot(self, seq: int, state: bytes) -> None:
        """Write the state, so that recovery need not begin at the beginning. Raises JournalNotDurable."""
        ...


class LiveStats(Struct):
    """What the loop has done, for metrics."""

    beats: int = 0
    observations: int = 0
    dropped: int = 0
    step_ns: int = 0
    append_ns: int = 0
    late_ns_max: int = 0
    last_beat_ns: Nanos = 0


class Live:
    """Owns the rhythm. All of it runs on one event loop; nothing in it waits."""

    def __init__(
        self,
        engine: Engine,
        writer: Writer,
        publish: Callable[[Tick], None],
        halt: Callable[[str, str], None],
        clock: Clock,
        *,
        beat_ms_min: int,
        checkpoint_ms: int,
        snapshot_ms: int,
    ) -> None:
        self.stats = LiveStats()
        self.failed = ""
        self._engine, self._writer, self._publish, self._halt, self._clock = engine, writer, publish, halt, clock
        self._beat_ns_min = beat_ms_min * NANOS_PER_MS
        self._checkpoint_ns, self._snapshot_ns = checkpoint_ms * NANOS_PER_MS, snapshot_ms * NANOS_PER_MS
        self._sealed_ns = self._snapped_ns = clock.now_ns()
        self._inbox: Inbox | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._soon: asyncio.Handle | None = None
        self._second: asyncio.TimerHandle | None = None

    def start(self, inbox: Inbox) -> None:
        """Begin. The inbox calls `on_first` from now on."""
        self._inbox, self._loop = inbox, asyncio.get_running_loop()
        self._on_second()

    def stop(self) -> None:
        """Close no further beat; seal what stands and leave a snapshot, so that the next start is quick."""
        for handle in (self._soon, self._second):
            if handle is not None:
                handle.cancel()
        self._soon = self._second = self._loop = None
        if not self.failed and self.stats.beats:
            try:
                self._writer.snapshot(self._engine.state.seq, encode_state(self._engine.state))
                self._writer.seal(self._engine.state.seq, self._engine.state.at_ns)
            except JournalNotDurable as error:
                self.fail("JOURNAL_NOT_DURABLE", str(error))

    def on_first(self) -> None:
        """The inbox is no longer empty: close a beat as soon as the rhythm allows."""
        if self._loop is None or self._soon is not None:
            return
        wait_ns = self.stats.last_beat_ns + self._beat_ns_min - self._clock.now_ns()
        if wait_ns <= 0:
            self._soon = self._loop.call_soon(self._beat)
        else:
            self._soon = self._loop.call_later(wait_ns / NANOS_PER_S, self._beat)

    def _on_second(self) -> None:
        """Close a beat now and wake again just after the next whole second, never a breath before it."""
        now_ns = self._clock.now_ns()
        self._beat()
        if self._loop is not None and not self.failed:
            past_ns = now_ns % NANOS_PER_S
            if self._second is not None:
                self.stats.late_ns_max = max(self.stats.late_ns_max, past_ns)
            self._second = self._loop.call_later((NANOS_PER_S - past_ns + WAKE_AFTER_NS) / NANOS_PER_S, self._on_second)

    def _beat(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        if self._inbox is None:
            return
        stats, clock = self.stats, self._clock
        if self.failed:
            stats.last_beat_ns = clock.now_ns()
            self._inbox.close(self._engine.state.seq, stats.last_beat_ns)  # or it would fill until it refuses
            return
        at_ns = max(clock.now_ns(), self._engine.state.at_ns)
        try:
            beat = self._inbox.close(self._engine.state.seq + 1, at_ns)
            tick = self._engine.step(beat)
            stepped_ns = clock.now_ns()
            self._writer.append(beat, tick.values, lambda: self._publish(tick))
            stats.step_ns += stepped_ns - at_ns
            stats.append_ns += clock.now_ns() - stepped_ns
            self._keep(beat)
        except JournalNotDurable as error:
            self.fail("JOURNAL_NOT_DURABLE", str(error))
        except Exception as error:
            log.exception("engine.fault", seq=self._engine.state.seq)
            self.fail("ENGINE_FAULT", f"{type(error).__name__}: {error}")
        stats.beats += 1
        stats.last_beat_ns = at_ns

    def _keep(self, beat: Beat) -> None:
        """Count the beat, sign once a checkpoint interval, and snapshot now and then."""
        self.stats.observations += len(beat.seen)
        self.stats.dropped += beat.dropped
        if beat.at_ns - self._sealed_ns >= self._checkpoint_ns:
            self._sealed_ns = beat.at_ns
            if beat.at_ns - self._snapped_ns >= self._snapshot_ns:
                self._snapped_ns = beat.at_ns
                self._writer.snapshot(beat.seq, encode_state(self._engine.state))
            self._writer.seal(beat.seq, beat.at_ns)

    def fail(self, reason: str, detail: str) -> None:
        """Publish nothing more, and say why. The first cause stands."""
        if self.failed:
            return
        self.failed = reason
        log.critical("service.halted", reason=reason, detail=detail)
        self._halt(reason, detail)
