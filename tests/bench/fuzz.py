"""Coverage-guided fuzzing of every decoder: `python tests/bench/run.py fuzz [--seconds 20] [--venues kraken,okx]`.

Each venue file is fuzzed in a process of its own, by atheris (the extra `fuzz`) where it is installed and by mutations
without guidance where it is not. Inputs begin as the good frames that `tests.venues.subjects` finds, and are read by
one Session after another: those of each market, the archived ones, what REST states, and the retired ones.

Figures: executions, executions a second, edges that were reached (atheris), what came of the inputs, and crashes: any
exception but VenueError, and any observation that states no number a market has. An input that crashes is printed.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from math import isfinite
from pathlib import Path
from typing import Any

from oracle.core.types import BookTop, Depth, Ticker, TickerKind, Trade
from oracle.errors import VenueError
from oracle.venues import base
from tests.venues import damages, subjects
from tests.venues.damages import AT_NS
from tests.venues.subjects import Stated

ROOT = Path(__file__).resolve().parents[2]
INPUT_BYTES_MAX = 4_096
CRASHES_MAX = 20
STRUCTURED_SHARE = 0.6  # of mutations that know where a value begins and ends
SIGNS = re.compile(rb"""[][{}:,"]""")
CLOCK_EVERY = 64  # executions between two looks at the clock
TOKENS = (
    b"null",
    b"NaN",
    b"1e400",
    b"5e-324",
    b"-1",
    b"0",
    b'""',
    b"[]",
    b"{}",
    b"\\ud800",
    b"\xff",
    b"9" * 41,
    b"1_000",
)


CHILD = """
import sys
from importlib import import_module
venue, seconds, unguided = sys.argv[1:]
try:
    atheris = None if unguided else import_module("atheris")
except ImportError:
    atheris = None
if atheris is not None:
    with atheris.instrument_imports(include=["oracle.venues", "oracle.core.book"]):
        import_module(f"oracle.venues.{venue}")
import_module("tests.bench.fuzz").child(venue, float(seconds), atheris)
"""  # every branch of a venue file is counted only if nothing has imported it before


class Decoder:
    """What reads the inputs of one venue file, and the count of what came of them."""

    def __init__(self, venue: str) -> None:
        module = import_module(f"oracle.venues.{venue}")
        spoken = [one for subject in subjects.subjects_in(module) for one in subjects.stated(subject)]
        self.stated = [*spoken, *subjects.recorded(venue)]
        self.retired = [one for one in subjects.sessions_in(module) if one is not module.Session]
        self.counts: Counter[str] = Counter()
        self.crashes: dict[str, str] = {}

    def seeds(self) -> list[bytes]:
        """Good inputs: the first byte says which Session reads the rest."""
        packed = [one.subject.pack(one.frame) if one.subject.pack else one.frame for one in self.stated]
        return [bytes((place,)) + frame for place, frame in enumerate(packed)]

    def feed(self, data: bytes) -> None:
        """Read one input, and count what comes of it."""
        place, frame = data[0] % (len(self.stated) + len(self.retired)) if data else 0, data[1:]
        try:
            events = self._read(place, frame)
        except VenueError as error:
            self.counts[error.reason] += 1
        except Exception as error:
            self._crash(data, f"{type(error).__name__}: {error}")
        else:
            said = [event for event in events if isinstance(event, BookTop | Depth | Trade | Ticker)]
            self.counts["accepted" if said else "silent"] += 1
            for event in said:
                if not sane(event):
                    self._crash(data, f"states {event}")

    def _read(self, place: int, frame: bytes) -> list[base.Event]:
        if place < len(self.stated):
            stated: Stated = self.stated[place]
            session = stated.heard()
            if stated.asked is not None:
                return session.polled(stated.asked, frame, AT_NS)
            events = session.receive(frame, AT_NS)
            with suppress(VenueError):  # what a later frame meets
                session.receive(stated.frame, AT_NS)
            return events
        session = self.stated[0].subject.session()
        return self.retired[place - len(self.stated)](session.feeds, session.market).receive(frame, AT_NS)

    def _crash(self, data: bytes, what: str) -> None:
        self.counts["crashes"] += 1
        if len(self.crashes) < CRASHES_MAX:
            self.crashes.setdefault(
                re.sub(r"[0-9][0-9.e+-]*", "N", what)[:120], base64.b64encode(data[:2_048]).decode()
            )


def sane(event: base.Event) -> bool:
    """Whether an observation states numbers that a market can have, at a time within a day of the clock, or at none."""
    if isinstance(event, BookTop):
        numbers = [event.bid, event.bid_size, event.ask, event.ask_size]
    elif isinstance(event, Depth):
        numbers = [number for level in (*event.bids, *event.asks) for number in level]
    elif isinstance(event, Trade):
        numbers = [event.price, event.size]
    elif isinstance(event, Ticker) and event.kind is not TickerKind.FUNDING:
        numbers = [event.price]
    else:
        numbers = []  # a rate is of either sign and of any smallness
    stamp = getattr(event, "venue_ns", 0)
    timely = stamp == 0 or abs(stamp - AT_NS) <= base.EVENT_TIME_ERROR_NS_MAX
    return timely and all(isinstance(n, float) and isfinite(n) and (n == 0.0 or 1e-18 <= n < 1e18) for n in numbers)


def main(argv: list[str]) -> int:
    """Fuzz the venues that were asked for, one after another, and print the table; 1 when anything crashed."""
    parser = argparse.ArgumentParser(
        prog="run.py fuzz", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="for each venue file")
    parser.add_argument("--venues", default=",".join(subjects.names()), help="separated by commas")
    parser.add_argument("--json", action="store_true", help="one JSON object a venue instead of the table")
    parser.add_argument("--unguided", action="store_true", help="mutations without guidance, as without atheris")
    args = parser.parse_args(argv)
    rows = []
    for venue in args.venues.split(","):
        rows.append(_fuzzed(venue, args.seconds, args.unguided))
        print(json.dumps(rows[-1]) if args.json else _line(rows[-1]), flush=True)
        for what, data in rows[-1]["crashes"].items():
            print(f"    CRASH {what}\n    input (base64) {data}", file=sys.stderr)
    total = sum(row["executions"] for row in rows)
    crashes = sum(len(row["crashes"]) for row in rows)
    print(f"{len(rows)} venue files, {total:,} executions, {crashes} kinds of crash", file=sys.stderr)
    return 1 if crashes else 0


def _line(row: dict[str, Any]) -> str:
    counts: dict[str, int] = row["counts"]
    refused = {name: count for name, count in sorted(counts.items()) if name.isupper()}
    share = ", ".join(f"{name} {count:,}" for name, count in refused.items())
    edges = f"{row['edges']:,} edges, {row['features']:,} features" if row["edges"] else "no guidance"
    return (
        f"{row['venue']:<15} {row['executions']:>9,} executions {row['per_s']:>7,}/s  {edges}; accepted "
        f"{counts.get('accepted', 0):,}, silent {counts.get('silent', 0):,}, refused {sum(refused.values()):,} "
        f"({share}); crashes {counts.get('crashes', 0)}"
    )


def _fuzzed(venue: str, seconds: float, unguided: bool) -> dict[str, Any]:
    """The figures of one venue file, from a process of its own."""
    run = [sys.executable, "-c", CHILD, venue, str(seconds), "1" if unguided else ""]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=seconds * 3 + 60, check=False)
    told = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not told:
        raise SystemExit(f"{venue}: no figures\n{done.stderr[-2_000:]}")
    row: dict[str, Any] = json.loads(told[-1])
    found = re.findall(r"cov: (\d+) ft: (\d+)", done.stderr)
    row["edges"], row["features"] = map(int, found[-1]) if found else (0, 0)
    return row


def child(venue: str, seconds: float, atheris: Any) -> None:
    """Fuzz here and now; the figures are the last line that is printed."""
    decoder, began = Decoder(venue), time.monotonic()
    (_mutate if atheris is None else _guided)(
        decoder, lambda: time.monotonic() - began > seconds, atheris, venue, began
    )


def _tell(decoder: Decoder, venue: str, executions: int, began: float) -> None:
    taken = time.monotonic() - began
    row = {"venue": venue, "executions": executions, "per_s": int(executions / taken), "seconds": round(taken, 1)}
    print(json.dumps(row | {"counts": decoder.counts, "crashes": decoder.crashes}), flush=True)


def _guided(decoder: Decoder, over: Callable[[], bool], atheris: Any, venue: str, began: float) -> None:
    """Let libFuzzer choose the inputs; it ends the process itself."""
    executions, words = 0, _words(decoder)

    def mutator(data: bytes, size_max: int, seed: int) -> bytes:
        dice = random.Random(seed)
        if data and dice.random() < STRUCTURED_SHARE:
            return _mutated(data, dice, words)[:size_max]
        mutated: bytes = atheris.Mutate(data, size_max)
        return mutated

    def once(data: bytes) -> None:
        nonlocal executions
        decoder.feed(data)
        executions += 1
        if executions % CLOCK_EVERY == 0 and over():
            _tell(decoder, venue, executions, began)
            os._exit(0)

    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder, "inputs")
        inputs.mkdir()
        for place, seed in enumerate(decoder.seeds()):
            (inputs / f"{place:03}").write_bytes(seed)
        known = Path(folder, "words.dict")
        known.write_text("".join(f'"{_escaped(token)}"\n' for token in words), encoding="ascii")
        flags = [f"-dict={known}", f"-max_len={INPUT_BYTES_MAX}", "-mutate_depth=2"]
        atheris.Setup(["fuzz", str(inputs), *flags], once, custom_mutator=mutator)
        atheris.Fuzz()


def _words(decoder: Decoder) -> list[bytes]:
    """The keys, texts and numbers of the good frames, and what seldom stands there."""
    found = {word: None for one in decoder.stated for word in re.findall(rb'"[^"]{1,40}"|[0-9.]{2,30}', one.frame)}
    return [*found, *TOKENS, *(text.encode() for text in damages.NO_NUMBERS.values() if len(text) < 40)]


def _escaped(token: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in token)


def _mutate(decoder: Decoder, over: Callable[[], bool], atheris: Any, venue: str, began: float) -> None:
    """Cut, insert, double and exchange pieces of good inputs, without looking at what they reach."""
    dice, seeds, words, executions = random.Random(venue), decoder.seeds(), _words(decoder), 0
    while executions % CLOCK_EVERY or not over():
        decoder.feed(_mutated(dice.choice(seeds), dice, words)[:INPUT_BYTES_MAX])
        executions += 1
    _tell(decoder, venue, executions, began)


def _mutated(data: bytes, dice: random.Random, words: list[bytes]) -> bytes:
    """The input with a few pieces between signs of structure exchanged, doubled, left out or broken."""
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        ends = [1, *(found.end() for found in SIGNS.finditer(data, 1)), len(data)]
        start = dice.randrange(len(ends))
        at, end = ends[start], ends[min(start + dice.choice((0, 1, 1, 2, 5)), len(ends) - 1)]
        other = dice.randrange(len(ends) - 1)
        put = dice.choice(
            (b"", dice.choice(words), data[ends[other] : ends[other + 1]], dice.randbytes(dice.randrange(3)))
        )
        data = data[:at] + put + data[end:]
    return data
