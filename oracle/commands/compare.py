"""`oracle compare`: one recorded day under several methodologies, as a table, as data, and as a plot."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from oracle import methods
from oracle.commands.common import table
from oracle.core.types import State
from oracle.errors import ConfigError
from oracle.journal.contest import Entry, Track, contest, difference
from oracle.journal.reader import read_head, segments
from oracle.journal.recast import left_out

EXAMPLES = (
    "oracle compare --methods hk1,deribit,binance var/journal",
    "oracle compare --methods hk1,hyperliquid var/journal --instrument BTC-USD-PERP --plot day.svg",
    "oracle compare --methods hk1,weighted_median var/journal --csv > day.csv",
)
HEAD = ("instrument", "methodology", "mean bps", "mean |bps|", "largest bps", "at", "states", "settled", "rate", "paid")
PROGRESS_S = 3_600  # of recorded time between two words on the standard error
_SHORT = {
    State.NORMAL: "normal", State.DEGRADED: "degraded", State.HALTED: "halted", State.WARMING: "warming",
    State.SUSPENDED: "suspended",
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.add_argument("path", metavar="JOURNAL", type=Path, help="a journal's folder, or one of its segments")
    parser.add_argument("--methods", metavar="ID,ID,…", required=True, help="the first is what the others differ from")
    parser.add_argument("--instrument", metavar="ID", help="this one alone")
    parser.add_argument("--csv", action="store_true", help="every second's price of each methodology, as CSV")
    parser.add_argument("--plot", metavar="FILE", type=Path, help="write the differences over time as an SVG")


def main(args: argparse.Namespace) -> int:
    """Compare. Raises ConfigError for an unknown methodology or instrument; JournalError, JournalUnreadable."""
    names = [name for name in args.methods.split(",") if name]
    if strange := [name for name in names if name not in methods.shipped()]:
        remedy = f"known: {', '.join(methods.shipped())}"
        raise ConfigError(f"no such methodology: {strange[0]}", key="--methods", remedy=remedy)
    entries = contest(args.path, names, _progress())
    tracked = list(dict.fromkeys(name for entry in entries for name in entry.tracks))
    wanted = [name for name in tracked if args.instrument in (None, name)]
    if not wanted:
        problem = f"no such instrument: {args.instrument}" if tracked else "the journal holds no value"
        raise ConfigError(problem, key="--instrument", remedy=f"known: {', '.join(tracked) or 'none'}")
    if args.plot is not None:
        from oracle.edition.contest import differences

        args.plot.write_text(differences(entries, wanted), encoding="utf-8")
        print(f"oracle: wrote {args.plot}", file=sys.stderr)
    if args.csv:
        _write_csv(entries, wanted)
        return 0
    print(table((row for name in wanted for row in _rows(entries, name)), HEAD))
    for line in _notes(args.path, names, wanted):
        print(line, file=sys.stderr)
    return 0


def _notes(path: Path, names: list[str], wanted: list[str]) -> Iterator[str]:
    """What a reader must know of the comparison: whose constituents the journal does not hold, or holds in vain."""
    head = read_head(segments(path)[0].path)
    for name in names:
        for index, venues in left_out(head.world, name, head.created_ns).items():
            if index in wanted:
                yield f"note: {name} gives no weight in {index} to {', '.join(venues)}"


def _rows(entries: list[Entry], instrument: str) -> Iterator[tuple[str, ...]]:
    first = entries[0].tracks.get(instrument, Track())
    for entry in entries:
        track = entry.tracks.get(instrument, Track())
        apart = difference(first, track)
        if entry is entries[0] or apart is None:
            figures = ("", "", "", "")
        else:
            at = datetime.fromtimestamp(apart.largest_at_s, UTC)
            figures = (
                f"{apart.mean_bps:+.3f}", f"{apart.mean_abs_bps:.3f}", f"{apart.largest_bps:+.3f}", f"{at:%H:%M:%S}",
            )  # fmt: skip
        funding = (
            (str(len(track.rates)), f"{track.funding:+.8f}", f"{track.paid:+.4f}") if track.rates else ("", "", "")
        )
        yield (instrument, entry.method, *figures, _states(track), *funding)


def _states(track: Track) -> str:
    """The share of the time in each state."""
    whole = sum(track.seconds_in.values())
    shares = {State(state): count / whole for state, count in track.seconds_in.items()} if whole else {}
    words: dict[str, float] = {}
    for state, share in shares.items():
        word = _SHORT.get(state, "fallback")
        words[word] = words.get(word, 0.0) + share
    return ", ".join(f"{word} {share:.1%}" for word, share in words.items())


def _write_csv(entries: list[Entry], wanted: list[str]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("instrument", "time_s", *(entry.method for entry in entries)))
    for name in wanted:
        tracks = [entry.tracks.get(name, Track()).prices for entry in entries]
        for second in sorted(dict.fromkeys(second for prices in tracks for second in prices)):
            writer.writerow((name, second, *(prices.get(second, "") for prices in tracks)))


def _progress() -> Callable[[str, int], None]:
    """A word on the standard error for each recorded hour of each methodology."""
    told: dict[str, int] = {}

    def tell(method: str, second: int) -> None:
        if second - told.setdefault(method, second) >= PROGRESS_S:
            told[method] = second
            print(f"oracle: {method}, {datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M}", file=sys.stderr)

    return tell
