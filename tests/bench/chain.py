"""What a beat costs after the engine: its line in the journal, the seal of each second, and publication."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from oracle.clock import ManualClock
from oracle.core.engine import Engine, encode_state
from oracle.core.params import World
from oracle.core.types import Beat, Tick
from oracle.journal.lines import SpokenBeat, encode
from oracle.journal.recovery import Recovered
from oracle.journal.writer import Opening, Writer
from oracle.methods import for_world
from oracle.publishers.hub import Hub
from oracle.publishers.outbox import Outbox
from tests.bench.common import START_NS, Figure, beats_of, together
from tests.core.rig import make_world

WARM_BEATS = 5_003  # not at a whole second, which has more to say
SOURCES = 8


def bench(quick: bool) -> list[Figure]:
    """µs of each step from a tick to what subscribers are sent, for an index of eight sources and its perpetual."""
    world = make_world(SOURCES)
    engine = Engine(world, for_world(world))
    for beat in beats_of(world, WARM_BEATS, 10):
        tick = engine.step(beat)
    with tempfile.TemporaryDirectory(prefix="oracle-bench-") as folder:
        opening = Opening(world, None, "bench", START_NS)
        writer = Writer(Path(folder), Recovered(), opening, Ed25519PrivateKey.generate())
        try:
            return [*_journal(writer, engine, beat, tick, quick), *_publish(world, tick, quick)]
        finally:
            writer.close()


def _journal(writer: Writer, engine: Engine, beat: Beat, tick: Tick, quick: bool) -> Iterator[Figure]:
    line = encode(SpokenBeat(beat.seq, beat.at_ns, beat.seen, beat.dropped, tick.values))
    taken = together(
        {
            f"append a beat ({len(line)} B), written": lambda: writer.append(beat, tick.values, _nothing),
            "of it, encode": lambda: encode(SpokenBeat(beat.seq, beat.at_ns, beat.seen, beat.dropped, tick.values)),
            "seal (Ed25519)": lambda: writer.seal(beat.seq, beat.at_ns),
            "encode the state for a snapshot": lambda: encode_state(engine.state),
        },
        quick,
    )
    for name, (middle, best) in taken.items():
        yield Figure("chain", name, middle, "µs", f"{best:.1f}")


def _publish(world: World, tick: Tick, quick: bool) -> Iterator[Figure]:
    hubs = {listeners: Hub(world, ManualClock(tick.at_ns), epoch="1") for listeners in (0, 1, 100)}
    heard = {listeners: [Outbox(1 << 30, 1 << 40) for _ in range(listeners)] for listeners in hubs}
    for listeners, hub in hubs.items():
        for outbox in heard[listeners]:
            for instrument in hub.boards:
                hub.subscribe(outbox, instrument)

    def publish(listeners: int) -> None:
        hubs[listeners].publish(tick)
        for outbox in heard[listeners]:
            outbox.forget("BTC-USD")
            outbox.forget("BTC-USD-PERP")

    taken = together({str(listeners): partial(publish, listeners) for listeners in hubs}, quick)
    for name, (middle, best) in taken.items():
        ratio = f"{middle / taken['0'][0]:.1f} x nobody listening" if name != "0" else ""
        yield Figure("chain", f"Hub.publish, two instruments, {name} subscribers", middle, "µs", f"{best:.1f}", ratio)


def _nothing() -> None:
    pass
