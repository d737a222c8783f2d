"""`oracle verify`: whether a journal is whole, signed, in order, and comes out the same when it is computed again."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from oracle.core.types import NANOS_PER_S
from oracle.journal import keys
from oracle.journal.verify import Report, verify

UNREADABLE = 2
EXAMPLES = (
    "oracle verify var/journal",
    "oracle verify journal-000003.jsonl.gz --key signing.key.pub",
    "oracle verify var/journal --json | jq '.findings[] | .offset'",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.add_argument("path", metavar="PATH", type=Path, help="a journal's folder, or one of its segments")
    parser.add_argument(
        "--key", help="the public key that must have signed it: a file, or hex; without it, the journal's own"
    )
    parser.add_argument(
        "--processes", type=int, metavar="N", help="how many to share the work; without it, one a processor"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def main(args: argparse.Namespace) -> int:
    """Verify; 0 clean, 1 findings, 2 unreadable. Raises KeyFileError for a key that is none."""
    public_key = public_key_hex(args.key) if args.key else None
    report = verify(args.path, public_key=public_key, processes=args.processes)
    if args.json:
        import msgspec

        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        print("\n".join(lines(report)))
    return report.exit_code


def public_key_hex(given: str) -> str:
    """A public key in hex, given as hex or as the name of a file. Raises KeyFileError."""
    if Path(given).exists():
        return keys.public_hex(keys.load_public(Path(given)))
    return keys.public_hex(keys.public_from_hex(given))


def lines(report: Report) -> list[str]:
    """The report for people: every finding with its place, then what was looked at."""
    counts = report.counts
    out = [str(finding) for finding in report.findings]
    hidden = report.findings_total - len(report.findings)
    out += [f"and {hidden} more findings"] * (hidden > 0)
    out += [f"note: {note}" for note in report.notes]
    if report.exit_code == UNREADABLE and not counts.lines:
        return [*out, "UNREADABLE"]
    out.append(
        f"{report.segments} segments, {report.epochs} epochs, {counts.lines} lines, {counts.beats} beats, "
        f"{counts.values} values, {counts.recomputed} beats recomputed, {counts.seals} seals"
    )
    if report.last_ns:
        out.append(f"{_time(report.first_ns)} to {_time(report.last_ns)}, last beat {report.last_seq}")
    out.append(
        f"{report.elapsed_s:.2f} s, {report.lines_per_s:.0f} lines a second, {report.times_real_time:.0f} x real time"
    )
    verdict = {0: "OK", 1: f"{report.findings_total} FINDINGS", UNREADABLE: "UNREADABLE"}[report.exit_code]
    sealed = f"; sealed up to beat {report.sealed_seq}" if report.sealed_seq else ""
    return [*out, verdict + sealed]


def _time(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / NANOS_PER_S, UTC).isoformat(timespec="milliseconds")
