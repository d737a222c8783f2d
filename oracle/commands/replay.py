"""`oracle replay`: computes a journal again from its beats alone, by its own methodology or by another one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from oracle import methods
from oracle.commands.common import table
from oracle.core.types import NANOS_PER_S
from oracle.errors import ConfigError
from oracle.journal.replay import Replayed, replay

EXAMPLES = (
    "oracle replay var/journal                 every byte must come out again",
    "oracle replay var/journal --method hk1    how far another methodology would have been off",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.add_argument("path", metavar="PATH", type=Path, help="a journal's folder, or one of its segments")
    parser.add_argument("--method", metavar="ID", help="compute by this methodology, and compare values")


def main(args: argparse.Namespace) -> int:
    """Replay; 0 all equal (with --method: done), 1 something differs. Raises JournalError, ConfigError."""
    if args.method is not None and args.method not in methods.shipped() and "." not in args.method:
        remedy = f"known: {', '.join(methods.shipped())}"
        raise ConfigError(f"no such methodology: {args.method}", remedy=remedy)
    made = replay(args.path, method=args.method)
    print("\n".join(lines(made)))
    if made.torn is not None:
        print(f"note: {made.torn.bytes} bytes of a torn last line were left out", file=sys.stderr)
    return int(args.method is None and made.different > 0)


def lines(made: Replayed) -> list[str]:
    """The outcome for people."""
    if made.deviations:
        rows = (
            (d.stream, d.compared, d.equal, d.one_sided, f"{d.mean_bps:.4f}", f"{d.largest_bps:.4f}", d.largest_seq)
            for d in made.deviations.values()
        )
        head = ("stream", "compared", "equal", "one-sided", "mean bps", "largest bps", "at beat")
        out = [table(rows, head)]
    else:
        out = [f"beat {difference.seq}: {difference}" for difference in made.first]
    lived_s = (made.last_ns - made.first_ns) / NANOS_PER_S
    pace = f", {lived_s / made.elapsed_s:.0f} x real time" if made.elapsed_s and lived_s else ""
    out.append(f"{made.beats} beats, {made.equal} equal to the byte, {made.different} different{pace}")
    return out
