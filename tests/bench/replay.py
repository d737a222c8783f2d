"""How much faster than it was lived a journal is replayed and verified."""

from __future__ import annotations

import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from oracle.core.engine import Engine, encode_state
from oracle.journal.recovery import Recovered
from oracle.journal.replay import replay
from oracle.journal.verify import Report, verify
from oracle.journal.writer import Opening, Writer
from oracle.methods import for_world
from tests.bench.common import START_NS, Figure, beats_of
from tests.core.rig import make_world

SOURCES = 8
DAY_S, PART_S, QUICK_S = 86_400, 900, 30  # PART_S: what stands for a day at the demo's rate
DEMO_BEAT_MS = 50  # the demo closes about twenty beats a second


def bench(quick: bool) -> list[Figure]:
    """A day of one instrument at a beat a second, and a part of one at the demo's rate."""
    figures = []
    for name, every_ms, lived_s in (
        ("a beat a second", 1_000, QUICK_S if quick else DAY_S),
        (f"a beat every {DEMO_BEAT_MS} ms", DEMO_BEAT_MS, QUICK_S if quick else PART_S),
    ):
        with tempfile.TemporaryDirectory(prefix="oracle-bench-") as folder:
            path = Path(folder)
            _live(path, every_ms, lived_s * 1_000 // every_ms)
            figures += _figures(f"{name}, {lived_s} s", path, quick)
    return figures


def _figures(name: str, path: Path, quick: bool) -> list[Figure]:
    made = replay(path)
    assert made.equal == made.beats, made.first
    speed = (made.last_ns - made.first_ns) / 1e9 / made.elapsed_s
    per_beat = f"{made.elapsed_s / made.beats * 1e6:.0f} µs a beat"
    figures = [Figure("replay", f"replay, {name}", speed, "x real time", "", per_beat)]
    one: Report | None = None
    for processes in (1,) if quick else (1, 2):
        report = verify(path, processes=processes)
        assert report.exit_code == 0, report.findings
        one = one or report
        ratio = f"{report.elapsed_s / report.counts.beats * 1e6:.0f} µs a beat"
        if report is not one:
            ratio += f", {one.elapsed_s / report.elapsed_s:.2f} x one process"
        figures.append(
            Figure("replay", f"verify, {name}, {processes} processes", report.times_real_time, "x real time", "", ratio)
        )
    return figures


def _live(path: Path, every_ms: int, beats: int) -> None:
    """Write the journal that a service would have written: a seal a second, a snapshot a minute."""
    world = make_world(SOURCES)
    engine = Engine(world, for_world(world))
    opening = Opening(world, None, "bench", START_NS)
    writer = Writer(path, Recovered(), opening, Ed25519PrivateKey.generate())
    sealed_ns = START_NS
    for beat in beats_of(world, beats, every_ms):
        writer.append(beat, engine.step(beat).values)
        if beat.at_ns - sealed_ns >= 1_000_000_000:
            sealed_ns = beat.at_ns
            if writer.snapshot_due(beat.at_ns):
                writer.snapshot(beat.seq, encode_state(engine.state))
            writer.seal(beat.seq, beat.at_ns)
    writer.close()
