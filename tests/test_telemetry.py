"""What the parts count is what they are asked for: every metric is declared, and a dead disk hides nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from oracle import __version__, config, telemetry
from oracle.clock import SystemClock
from oracle.collectors.engine_feed import EngineFeed, FeedStats
from oracle.collectors.line import Line
from oracle.collectors.repair import Rung
from oracle.core.engine import Engine
from oracle.core.params import World
from oracle.core.types import NANOS_PER_S, ClockReading
from oracle.errors import Refusal
from oracle.journal import keys
from oracle.journal.recovery import Recovered
from oracle.journal.writer import Opening, Writer
from oracle.live import Live
from oracle.methods import for_world
from oracle.publishers.metrics import METRICS, Supplier
from oracle.venues import kraken
from oracle.venues.base import Feed

START_NS = 1_790_000_000 * NANOS_PER_S
SETTINGS = """\
[[index]]
id = "BTC-USD"
base = "BTC"
status = "TEST"
sources = ["kraken:BTC/USD", "coinbase:BTC-USD", "gemini:BTCUSD", "bitstamp:btcusd", "bitfinex:tBTCUSD"]
[[perp]]
id = "BTC-USD-PERP"
index = "BTC-USD"
"""


class Clock(SystemClock):
    """Stands until it is moved, and is believed to be 5 ms off."""

    def __init__(self) -> None:
        self.at_ns = START_NS

    def now_ns(self) -> int:
        return self.at_ns

    def reading(self) -> ClockReading:
        return ClockReading(5_000_000, True, self.at_ns)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "oracle.toml").write_text(SETTINGS)
    return config.world(config.load(tmp_path / "oracle.toml", {}))


@pytest.fixture
def writer(tmp_path: Path, world: World) -> Iterator[Writer]:
    made = Writer(tmp_path / "journal", Recovered(), Opening(world, None, "test", START_NS), keys.generate())
    yield made
    made.close()


@pytest.fixture
def live(world: World, writer: Writer, clock: Clock) -> Live:
    engine = Engine(world, for_world(world), None)
    made = Live(
        engine,
        writer,
        lambda tick: None,
        lambda reason, detail: None,
        clock,
        beat_ms_min=20,
        checkpoint_ms=1_000,
        snapshot_ms=60_000,
    )
    made.stats.beats, made.stats.dropped, made.stats.step_ns = 7, 2, 3 * NANOS_PER_S
    made.stats.append_ns = NANOS_PER_S // 2
    return made


@pytest.fixture
def line(clock: Clock) -> Line:
    """Connected for a minute, after two failures; heard last two seconds ago; one frame was refused."""
    made = Line(kraken.Session, [Feed(0, "BTC/USD")], put=lambda fact: None, clock=clock)
    stats = made.stats
    stats.frames, stats.observations, stats.dials = 11, 9, 3
    stats.connected_since_ns, stats.last_frame_ns = START_NS - 60 * NANOS_PER_S, START_NS - 2 * NANOS_PER_S
    stats.refused[Refusal.CHECKSUM] += 1
    stats.last_error = "CHECKSUM: 1 is not 2"
    return made


def read(supplier: Supplier) -> dict[tuple[str, ...], float]:
    samples = list(supplier())
    for sample in samples:
        declared = METRICS[re.sub(r"_(sum|count)$", "", sample.name)]
        assert tuple(sample.labels) == declared.labels, sample
    return {(sample.name, *sample.labels.values()): sample.value for sample in samples}


def test_what_runs_and_since_when(world: World, writer: Writer, clock: Clock) -> None:
    supplier = telemetry.build_samples(world, writer, clock)
    clock.at_ns += 90 * NANOS_PER_S
    assert read(supplier) == {
        ("oracle_build_info", __version__, world.methodology, "1"): 1,
        ("oracle_uptime_seconds",): 90.0,
        ("oracle_clock_offset_seconds",): 0.005,
        ("oracle_clock_synchronised",): True,
    }


def test_a_lines_counts_are_those_of_each_of_its_sources(world: World, line: Line) -> None:
    found = read(telemetry.line_samples(world, [line]))
    assert found == {
        ("oracle_source_frames_total", "kraken:BTC/USD"): 11,
        ("oracle_source_observations_total", "kraken:BTC/USD"): 9,
        ("oracle_source_link_up", "kraken:BTC/USD"): True,
        ("oracle_source_reconnects_total", "kraken:BTC/USD"): 2,
        ("oracle_source_refusals_total", "kraken:BTC/USD", "CHECKSUM"): 1,
        ("oracle_source_dropped_total", "kraken:BTC/USD"): 0,
        ("oracle_source_duplicates_total", "kraken:BTC/USD"): 0,
        ("oracle_source_polls_total", "kraken:BTC/USD"): 0,
        ("oracle_venue_drifts_total", "kraken"): 0,
    }
    line.stats.dials, line.stats.connected_since_ns = 0, 0
    found = read(telemetry.line_samples(world, [line]))
    assert found["oracle_source_reconnects_total", "kraken:BTC/USD"] == 0
    assert found["oracle_source_link_up", "kraken:BTC/USD"] is False


def test_several_lines_of_a_source_are_told_as_one(world: World, line: Line, clock: Clock) -> None:
    other = Line(kraken.Session, [Feed(0, "BTC/USD")], put=lambda fact: None, clock=clock, number=1)
    for stats, rung, offset_ns in ((line.stats, Rung.REST, 40_000_000), (other.stats, Rung.RESUBSCRIBED, 30_000_000)):
        stats.of(0).rung = rung
        stats.stepped(0, rung, START_NS + offset_ns)
        stats.stepped(0, Rung.RECONNECTED, START_NS + offset_ns)
        stats.offset_ns, stats.jitter_ns = offset_ns, offset_ns // 2
        stats.note("CLOSED", "1006")
        stats.dropped, stats.polls, stats.drifts = 3, 2, 1
    other.stats.frames, other.stats.duplicates = 5, 4
    found = read(telemetry.line_samples(world, [line, other]))
    name = "kraken:BTC/USD"
    assert found["oracle_source_frames_total", name] == 16
    assert found["oracle_source_link_up", name] is False, "both have said that nothing carries it"
    assert found["oracle_source_rung", name] == 1, "the better of the two"
    assert found["oracle_source_repairs_total", name, "RECONNECTED"] == 2
    assert found["oracle_source_repairs_total", name, "REST"] == 1
    assert found["oracle_source_repaired_timestamp_seconds", name] == START_NS / NANOS_PER_S + 0.04
    assert found["oracle_source_dropped_total", name] == 6
    assert found["oracle_source_duplicates_total", name] == 4
    assert found["oracle_source_polls_total", name] == 4
    assert found["oracle_venue_endings_total", "kraken", "CLOSED"] == 2
    assert found["oracle_venue_offset_seconds", "kraken"] == 0.03
    assert found["oracle_venue_jitter_seconds", "kraken"] == 0.02
    assert found["oracle_venue_drifts_total", "kraken"] == 2
    other.stats.of(0).carried = True
    assert read(telemetry.line_samples(world, [line, other]))["oracle_source_link_up", name] is True


def test_the_loop_the_journal_and_the_door(live: Live, writer: Writer) -> None:
    found = read(telemetry.engine_samples(live, writer, None))
    assert found["oracle_engine_beats_total",] == 7
    assert found["oracle_engine_step_seconds_sum",] == 3.0
    assert found["oracle_engine_dropped_total",] == 2
    assert found["oracle_journal_lines_total",] == 1
    assert found["oracle_journal_bytes_total",] == writer.path.stat().st_size
    assert found["oracle_journal_append_seconds_sum",] == 0.5
    assert found["oracle_journal_append_seconds_count",] == 7
    assert found["oracle_journal_durable",] is True
    assert not any("feed" in name for name, *_ in found)
    stats = FeedStats()
    stats.accepted.update({"book": 3, "trade": 1})
    stats.refused["MAC"] += 5
    live.fail("JOURNAL_NOT_DURABLE", "drill")
    found = read(telemetry.engine_samples(live, writer, cast(EngineFeed, SimpleNamespace(stats=stats))))
    assert found["oracle_feed_accepted_total",] == 4
    assert found["oracle_feed_refused_total", "MAC"] == 5
    assert found["oracle_journal_durable",] is False


def test_the_status_page_tells_of_every_part(
    world: World, live: Live, writer: Writer, clock: Clock, line: Line
) -> None:
    found = telemetry.inside(world, [line], live, writer, clock)
    assert found.journal["path"] == "journal-000001.jsonl"
    assert (found.journal["epoch"], found.journal["lines"], found.journal["durable"]) == (1, 1, True)
    assert found.journal["free_bytes"] > 0
    assert found.clock == {"offset_ms": 5.0, "synchronised": True, "beats": 7, "dropped": 2}
    line.stats.of(0).carried = True
    line.stats.stepped(0, Rung.RESUBSCRIBED, START_NS - NANOS_PER_S)
    line.stats.offset_ns, line.stats.jitter_ns, line.stats.endpoint = 30_000_000, 5_000_000, "wss://other.example"
    line.stats.ended["CLOSED"] += 1
    link: Any = telemetry.inside(world, [line], live, writer, clock).links[0]
    assert link == {
        "venue": "kraken",
        "sources": ["kraken:BTC/USD"],
        "up": True,
        "up_ms": 60_000,
        "endpoint": "wss://other.example",
        "frames": 11,
        "silent_ms": 2_000,
        "dropped": 0,
        "duplicates": 0,
        "polls": 0,
        "refused": {"CHECKSUM": 1},
        "ended": {"CLOSED": 1},
        "dials": 3,
        "offset_ms": 30.0,
        "jitter_ms": 5.0,
        "drifts": 0,
        "repairs": {
            "kraken:BTC/USD": {"up": True, "rung": "STREAM", "steps": {"RESUBSCRIBED": 1}, "last_ms": 1_000},
        },
        "last_error": "CHECKSUM: 1 is not 2",
    }


def test_a_line_that_never_stood_has_no_ages(
    world: World, live: Live, writer: Writer, clock: Clock, line: Line
) -> None:
    line.stats.connected_since_ns = line.stats.last_frame_ns = 0
    [link] = telemetry.inside(world, [line], live, writer, clock).links
    assert (link["up"], link["up_ms"], link["silent_ms"]) == (False, 0, None)


def test_a_disk_that_cannot_be_asked_hides_nothing_else(
    world: World, live: Live, writer: Writer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(folder: Path) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(telemetry, "free_bytes", gone)
    journal = telemetry.inside(world, [], live, writer, clock).journal
    assert (journal["free_bytes"], journal["epoch"]) == (None, 1)
