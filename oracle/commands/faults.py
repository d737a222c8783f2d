"""`oracle faults`: seven ways in which a venue fails, played on this machine, and how long the oracle took to notice.

Everything between the venue's socket and the engine is the real thing; only the venues are simulated.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from oracle.commands.common import table
from oracle.trial import faults

if TYPE_CHECKING:
    from oracle.trial.case import Outcome
    from oracle.trial.peers import Seen

EXAMPLES = (
    "oracle faults                                    every venue under every fault: some minutes",
    "oracle faults --venues kraken,okx --faults mute,freeze",
    "oracle faults --json | jq 'select(.in_time | not)'",
    "oracle faults --day                              a quiet market for a day: nothing may be repaired",
    "oracle faults --peers                            the same for ccxt.pro and cryptofeed, where installed",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.epilog = f"{faults.DEFINITIONS}\n{parser.epilog or ''}"
    parser.add_argument("--venues", metavar="A,B", help="these venues only, separated by commas")
    parser.add_argument("--faults", metavar="A,B", help="these faults only, separated by commas")
    parser.add_argument("--json", action="store_true", help="one JSON object a cell instead of the table")
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--day", action="store_true", help="instead: a simulated day of symbols that speak every 20 s")
    other.add_argument("--peers", action="store_true", help="instead: other clients of the same fake venue")


def main(args: argparse.Namespace) -> int:
    """Play; 0 everything was known in time, 1 something was not. Raises ConfigError."""
    wanted = faults.faults_of(_listed(args.faults))
    if args.day:
        return _day(args.json)
    if args.peers:
        return _peers(wanted, args.json)
    return _faults(wanted, _listed(args.venues), args.json)


def _listed(text: str | None) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()] if text else []


def _faults(wanted: Sequence[faults.Fault], names: Sequence[str], as_json: bool) -> int:
    from oracle.commands.run import loop_factory
    from oracle.trial import markets, rig

    venues = markets.venues_of(names)
    rig.quiet()
    outcomes: list[Outcome] = []
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        for fault in wanted:
            outcomes += runner.run(rig.play(fault, venues, _progress))
    if as_json:
        print("\n".join(msgspec.json.encode(outcome).decode() for outcome in outcomes))
    else:
        print(shown(wanted, venues, outcomes))
    return int(not all(outcome.in_time for outcome in outcomes))


def _day(as_json: bool) -> int:
    from oracle.trial import day, rig

    rig.quiet()
    _progress(f"a day of {day.VENUE} in simulated time; a minute or so")
    quiet = day.played()
    if as_json:
        print("\n".join(msgspec.json.encode(each).decode() for each in quiet))
    else:
        rows = [(q.manner, q.books, f"{q.longest_gap_s:.0f}", _counts(q.repairs)) for q in quiet]
        print(table(rows, ["every 20 s", "books", "longest gap, s", "repairs of the line"]))
    return int(any(each.repairs for each in quiet))


def _counts(repairs: dict[str, int]) -> str:
    return ", ".join(f"{count} {step}" for step, count in repairs.items()) or "none"


def _peers(wanted: Sequence[faults.Fault], as_json: bool) -> int:
    from oracle.trial import peers, rig

    rig.quiet()
    found = peers.installed()
    for name in peers.NAMES:
        if name not in found:
            _progress(f"{name} is not installed: pip install 'oracle[bench-peers]'")
    seconds = (faults.WARM_MS + peers.OBSERVED_MS) / 1_000
    _progress(f"{', '.join(found)}: {len(wanted)} faults of a fake {peers.VENUE} at once, {seconds:.0f} s")
    seen = asyncio.run(peers.observed(list(found), wanted))
    if as_json:
        print("\n".join(msgspec.json.encode(each).decode() for each in seen))
    else:
        cells = {(each.client, each.fault): peer_cell(each) for each in seen}
        rows = [[f"{name} {found[name]}", *(cells[name, fault.name] for fault in wanted)] for name in found]
        print(table(rows, ["known/repaired, s", *(fault.name for fault in wanted)]))
    return int(any(each.known_ms is None for each in seen))


def peer_cell(seen: Seen) -> str:
    """What a cell says of another client."""
    if seen.known_ms is None:
        return seen.how or f"not in {seen.observed_ms / 1_000:.0f}"
    repaired = "never" if seen.repaired_ms is None else f"{seen.repaired_ms / 1_000:.1f}"
    return f"{seen.known_ms / 1_000:.1f}/{repaired}"


def shown(wanted: Sequence[faults.Fault], venues: Sequence[str], outcomes: Sequence[Outcome]) -> str:
    """The table, what is missed in it, and what its words mean."""
    cells = {(o.venue, o.fault): o for o in outcomes}
    rows = [[venue, *(cell(cells[venue, fault.name]) for fault in wanted)] for venue in venues]
    rows.append(["worst", *(worst([cells[venue, f.name] for venue in venues]) for f in wanted)])
    rows.append(["target", *(f"{fault.target_ms / 1_000:.0f}" for fault in wanted)])
    missed = [f"{o.venue} under {o.fault}: {reason(o)}" for o in outcomes if not o.in_time]
    verdict = f"{len(missed)} of {len(outcomes)} not known in time" if missed else f"all {len(outcomes)} known in time"
    text = table(rows, ["known/repaired, s", *(fault.name for fault in wanted)])
    return "\n".join([text, "", *missed, verdict, "", faults.DEFINITIONS.rstrip()])


def cell(outcome: Outcome) -> str:
    """What a cell says: when it was known and when it was well again, or in one word why there is no such time."""
    if outcome.known_ms is None:
        age = f" {outcome.age_ms_max / 1_000:.1f}" if outcome.outcome == "harmless" else ""
        return (outcome.outcome if outcome.in_time else outcome.outcome.upper()) + age
    repaired = "never" if outcome.repaired_ms is None else f"{outcome.repaired_ms / 1_000:.1f}"
    return f"{outcome.known_ms / 1_000:.1f}/{repaired}{'' if outcome.in_time else '!'}"


def worst(outcomes: Iterable[Outcome]) -> str:
    """The longest time to knowledge among those which have one."""
    times = [outcome.known_ms for outcome in outcomes if outcome.known_ms is not None]
    return f"{max(times) / 1_000:.1f}" if times else "-"


def reason(outcome: Outcome) -> str:
    """What went wrong with a cell, for people."""
    if outcome.outcome == "down":
        return "the venue was not up when the fault began"
    if outcome.known_ms is not None:
        return f"known after {outcome.known_ms / 1_000:.1f} s ({outcome.how})"
    false = f", {outcome.false_books} false books were taken" if outcome.false_books else ""
    return f"not known while it was watched{false}; no honest book for {outcome.age_ms_max / 1_000:.1f} s"


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
