"""The live loop's rhythm in simulated time: durable before visible, the leading edge, and a stop that says why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from oracle.clock import ManualClock
from oracle.core.engine import Engine, decode_state
from oracle.core.params import World
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Beat, ClockReading, Nanos, Observation, Tick, Value
from oracle.errors import JournalNotDurable
from oracle.live import WAKE_AFTER_NS, Live

START_NS = 1_700_000_000 * NANOS_PER_S + 300 * NANOS_PER_MS
EMPTY = World(methodology="none", configuration_hash="", sources=(), indices=(), perps=())


class Handle:
    """A call that waits, until it is cancelled."""

    def __init__(self, at_ns: Nanos, call: Callable[[], None]) -> None:
        self.at_ns, self.call, self.cancelled = at_ns, call, False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """An event loop in simulated time."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.waiting: list[Handle] = []

    def call_soon(self, call: Callable[[], None]) -> Handle:
        return self.call_later(0.0, call)

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Handle:
        assert delay_s >= 0.0
        handle = Handle(self.clock.now_ns() + round(delay_s * NANOS_PER_S), call)
        self.waiting.append(handle)
        return handle

    def run(self, nanos: int) -> None:
        """Let so much time pass, and make every call that falls due."""
        end_ns = self.clock.now_ns() + nanos
        while due := [h for h in self.waiting if h.at_ns <= end_ns and not h.cancelled]:
            handle = min(due, key=lambda h: h.at_ns)
            self.waiting.remove(handle)
            self.clock.advance(max(0, handle.at_ns - self.clock.now_ns()))
            handle.call()
        self.clock.advance(end_ns - self.clock.now_ns())


class Inbox:
    """Holds what was put in; tells the loop when it is no longer empty."""

    def __init__(self) -> None:
        self.live: Live | None = None
        self.seen: list[Observation] = []

    def put(self, observation: Observation) -> None:
        self.seen.append(observation)
        if len(self.seen) == 1 and self.live is not None:
            self.live.on_first()

    def close(self, seq: int, at_ns: Nanos) -> Beat:
        seen, self.seen = tuple(self.seen), []
        return Beat(seq, at_ns, seen, 3 * len(seen))


class Writer:
    """A journal that can break; `late` keeps the word back that a beat is durable."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, Any]] = []
        self.broken = ""
        self.late = False
        self.pending: list[Callable[[], None]] = []

    def append(self, beat: Beat, values: tuple[Value, ...], then: Callable[[], None]) -> None:
        self._write("beat", beat)
        if self.late:
            self.pending.append(then)
        else:
            then()

    def seal(self, seq: int, at_ns: Nanos) -> None:
        self._write("seal", seq)

    def snapshot(self, seq: int, state: bytes) -> None:
        assert decode_state(state).seq == seq
        self._write("snapshot", seq)

    def _write(self, kind: str, what: object) -> None:
        if kind == self.broken:
            raise JournalNotDurable("no space left")
        self.lines.append((kind, what))


class Stage:
    """A live loop over an engine of an empty world, with everything around it played."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, beat_ms_min: int = 20) -> None:
        self.clock = ManualClock(START_NS)
        self.loop, self.inbox, self.writer = Loop(self.clock), Inbox(), Writer()
        self.published: list[Tick] = []
        self.halts: list[tuple[str, str]] = []
        self.engine = Engine(EMPTY, {})
        monkeypatch.setattr(asyncio, "get_running_loop", lambda: self.loop)
        self.live = Live(
            self.engine,
            self.writer,
            self.published.append,
            lambda reason, detail: self.halts.append((reason, detail)),
            self.clock,
            beat_ms_min=beat_ms_min,
            checkpoint_ms=1_000,
            snapshot_ms=3_000,
        )
        self.inbox.live = self.live

    def say(self) -> None:
        self.inbox.put(ClockReading(0, True, self.clock.now_ns()))

    def beats(self) -> list[Beat]:
        return [what for kind, what in self.writer.lines if kind == "beat"]

    def offsets_ms(self) -> list[float]:
        """When beats were closed, after the start."""
        return [(beat.at_ns - START_NS) / NANOS_PER_MS for beat in self.beats()]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


def test_time_alone_closes_a_beat_just_after_every_whole_second(stage: Stage) -> None:
    stage.live.start(stage.inbox)
    stage.loop.run(3 * NANOS_PER_S)
    after = WAKE_AFTER_NS / NANOS_PER_MS
    assert stage.offsets_ms() == pytest.approx([0.0, 700 + after, 1_700 + after, 2_700 + after])
    assert [beat.seq for beat in stage.beats()] == [1, 2, 3, 4]
    assert [tick.seq for tick in stage.published] == [1, 2, 3, 4]
    assert stage.live.stats.late_ns_max == WAKE_AFTER_NS


def test_an_idle_loop_answers_at_once_and_a_busy_one_conflates(stage: Stage) -> None:
    stage.live.start(stage.inbox)
    stage.loop.run(100 * NANOS_PER_MS)
    for _ in range(50):
        stage.say()
        stage.loop.run(NANOS_PER_MS)
    assert stage.offsets_ms() == [0.0, 100.0, 120.0, 140.0]
    assert [len(beat.seen) for beat in stage.beats()] == [0, 1, 19, 20]
    assert (stage.live.stats.observations, stage.live.stats.dropped, stage.live.stats.beats) == (40, 120, 4)


def test_a_beat_of_the_second_takes_what_was_waiting(stage: Stage) -> None:
    stage.live.start(stage.inbox)
    stage.loop.run(695 * NANOS_PER_MS)
    stage.say()
    stage.loop.run(NANOS_PER_MS)
    stage.say()
    stage.loop.run(30 * NANOS_PER_MS)
    second = 700 + WAKE_AFTER_NS / NANOS_PER_MS
    assert stage.offsets_ms() == pytest.approx([0.0, 695.0, second])
    assert [len(beat.seen) for beat in stage.beats()] == [0, 1, 1]


def test_nothing_is_seen_before_it_is_durable(stage: Stage) -> None:
    stage.writer.late = True
    stage.live.start(stage.inbox)
    stage.loop.run(NANOS_PER_S)
    assert (len(stage.beats()), stage.published) == (2, [])
    for then in stage.writer.pending:
        then()
    assert [tick.seq for tick in stage.published] == [1, 2]


def test_what_stands_is_signed_each_checkpoint_and_now_and_then_remembered(stage: Stage) -> None:
    stage.live.start(stage.inbox)
    stage.loop.run(8 * NANOS_PER_S)
    kinds = [(kind, what if kind != "beat" else what.seq) for kind, what in stage.writer.lines]
    seals = [seq for kind, seq in kinds if kind == "seal"]
    snapshots = [seq for kind, seq in kinds if kind == "snapshot"]
    assert seals == [3, 4, 5, 6, 7, 8, 9]
    assert snapshots == [5, 8]
    assert kinds.index(("snapshot", 5)) == kinds.index(("seal", 5)) - 1, "a snapshot stands under the next seal"


def test_a_stop_leaves_a_snapshot_and_a_seal_and_closes_nothing_more(stage: Stage) -> None:
    stage.live.start(stage.inbox)
    stage.loop.run(5 * NANOS_PER_MS)
    stage.say()
    stage.live.stop()
    assert [kind for kind, _ in stage.writer.lines] == ["beat", "snapshot", "seal"]
    stage.say()
    stage.live.on_first()
    stage.loop.run(5 * NANOS_PER_S)
    assert len(stage.beats()) == 1


def test_a_loop_that_never_began_writes_nothing(stage: Stage) -> None:
    stage.say()
    stage.live.stop()
    assert (stage.writer.lines, stage.live.failed) == ([], "")
    stage.live._beat()
    assert stage.writer.lines == []


@pytest.mark.parametrize(("broken", "published"), [("beat", 3), ("seal", 4), ("snapshot", 4)])
def test_what_cannot_be_written_stops_everything_and_says_why(stage: Stage, broken: str, published: int) -> None:
    stage.live.start(stage.inbox)
    stage.loop.run(2 * NANOS_PER_S)
    stage.live._snapped_ns = 0
    stage.writer.broken = broken
    stage.loop.run(5 * NANOS_PER_S)
    assert stage.live.failed == "JOURNAL_NOT_DURABLE"
    assert stage.halts == [("JOURNAL_NOT_DURABLE", "no space left")]
    assert len(stage.published) == published
    stage.say()
    stage.loop.run(5 * NANOS_PER_S)
    stage.live.stop()
    assert len(stage.published) == published
    assert stage.loop.waiting == [] or all(h.cancelled for h in stage.loop.waiting)


def test_a_fault_of_the_engine_stops_everything_and_says_why(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.live.start(stage.inbox)

    def fault(beat: Beat) -> Tick:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(stage.engine, "step", fault)
    stage.loop.run(NANOS_PER_S)
    assert stage.halts == [("ENGINE_FAULT", "ZeroDivisionError: by nothing")]
    assert len(stage.beats()) == 1
    stage.live.fail("JOURNAL_NOT_DURABLE", "later")
    assert (stage.live.failed, len(stage.halts)) == ("ENGINE_FAULT", 1), "the first cause stands"


def test_a_stop_that_cannot_be_written_says_so(stage: Stage) -> None:
    stage.live.start(stage.inbox)
    stage.writer.broken = "seal"
    stage.live.stop()
    assert stage.halts == [("JOURNAL_NOT_DURABLE", "no space left")]


def test_beats_never_run_backwards(stage: Stage) -> None:
    stage.engine.state.at_ns = START_NS + 10 * NANOS_PER_S
    stage.live.start(stage.inbox)
    stage.loop.run(2 * NANOS_PER_S)
    assert {beat.at_ns for beat in stage.beats()} == {START_NS + 10 * NANOS_PER_S}
