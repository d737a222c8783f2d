"""`oracle decode`: raw frames of a venue, one a line, become observations as JSON lines, or refusals with a reason.

Reads every format that a recording comes in (`collectors.tape`). Symbols need not be named: a first reading asks the
venue's own session which symbols it would not have known.
"""

from __future__ import annotations

import argparse
import gzip
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import msgspec
from msgspec import Struct

from oracle.collectors import tape
from oracle.collectors.tape import Direction, Frame
from oracle.errors import ConfigError, Refusal, VenueError
from oracle.venues import base

EXAMPLES = (
    "oracle decode kraken frames.txt.gz",
    "oracle decode binance frames.txt --symbols BTCUSDT,ETHUSDT",
    "zcat frames.gz | oracle decode okx - --all | jq .reason",
)
READINGS_MAX = 8  # a symbol may hide another: a channel is only named once its subscription was understood


class Line(Struct, frozen=True):
    """What a frame came to: its observations and replies, or why it was refused."""

    frame: Frame
    events: list[base.Event]
    refusal: VenueError | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.add_argument("venue", metavar="VENUE", help="kraken, or a module's dotted name")
    parser.add_argument("file", metavar="FILE", nargs="?", default="-", help="frames, one a line; - is the input")
    parser.add_argument("--symbols", help="read these only, separated by commas; otherwise every symbol that is found")
    parser.add_argument("--market", default="spot", help="the venue's market, for example linear")
    parser.add_argument("--url", default="", help="address the frames came from, where the recording does not say it")
    parser.add_argument("--all", action="store_true", help="refusals, replies and silent frames too, all on the output")


def main(args: argparse.Namespace) -> int:
    """Decode; 0 everything was read, 1 something was refused, 2 there was nothing to read. Raises ConfigError."""
    module = venue_module(args.venue)
    lines = list(_opened(args.file))
    frames = [*tape.read_lines(line if _is_text(line) else "" for line in lines)]
    garbage = [Frame(Direction.RECEIVED, "", 0, b"", n) for n, line in enumerate(lines, 1) if not _is_text(line)]
    symbols = args.symbols.split(",") if args.symbols else find_symbols(module, frames, args.market, args.url)
    counts: Counter[str] = Counter()
    said = 0
    for line in decoded(module, frames, symbols, args.market, args.url):
        said += _print(line, symbols, args.all)
        counts.update([str(line.refusal.reason)] if line.refusal else [])
    for frame in garbage:
        said += _print(Line(frame, [], VenueError(Refusal.NOT_UTF8)), symbols, args.all)
        counts[str(Refusal.NOT_UTF8)] += 1
    refused = ", ".join(f"{reason} {count}" for reason, count in counts.most_common()) or "none"
    print(f"{len(frames) + len(garbage)} frames, {said} observations, refused: {refused}", file=sys.stderr)
    return 2 if not frames and not garbage else 1 if counts else 0


def venue_module(name: str) -> Any:
    """A venue's file. Raises ConfigError with the nearest name when there is none."""
    try:
        base.load(name)
    except (ModuleNotFoundError, AttributeError):
        from oracle.config.reading import nearest
        from oracle.config.world import venue_names

        raise ConfigError(f"no such venue: {name}", remedy=nearest(name, venue_names())) from None
    return import_module(name if "." in name else f"oracle.venues.{name}")


def find_symbols(module: Any, frames: Iterable[Frame], market: str, url: str = "") -> list[str]:
    """Every symbol of which the frames state something the venue's session can read, in the order they appear."""
    frames = list(frames)
    found: dict[str, None] = {}
    for _ in range(READINGS_MAX):
        refusals = (line.refusal for line in decoded(module, frames, found, market, url) if line.refusal)
        details = dict.fromkeys(r.detail for r in refusals if r.reason is Refusal.UNKNOWN_SYMBOL)
        unknown = [symbol for detail in details for symbol in _symbols_in(detail) if symbol not in found]
        if not unknown:
            break
        found.update(dict.fromkeys(unknown))
    return list(found)


def _symbols_in(detail: str) -> Iterator[str]:
    """The symbol that a refusal names: alone, or within a channel (`live_trades_btcusd`, `btcusdt@trade`)."""
    word = detail.rpartition(" ")[2]
    yield word
    if "@" in word:
        yield word.partition("@")[0].upper()
    if "_" in word:
        yield word.rpartition("_")[2]
    if "." in word:
        yield word.rpartition(".")[2]


def decoded(module: Any, frames: Iterable[Frame], symbols: Iterable[str], market: str, url: str = "") -> Iterator[Line]:
    """What each frame comes to. A connection of the recording is a session; source n is the n-th symbol."""
    feeds = [base.Feed(n, symbol) for n, symbol in enumerate(symbols)]
    session = _session(module, url, feeds, market)
    dialled = url
    for frame in frames:
        if frame.direction is Direction.OPENED or (frame.url.startswith("ws") and frame.url != dialled):
            dialled = frame.url
            session = _session(module, frame.url, feeds, market)
        if frame.direction not in (Direction.RECEIVED, Direction.ANSWER):
            continue
        try:
            yield Line(frame, _events(session, frame), None)
        except VenueError as error:
            yield Line(frame, [], error)


def _session(module: Any, url: str, feeds: list[base.Feed], market: str) -> base.Session:
    """The session for a recorded address: an older dialect where the venue's file keeps one."""
    if hasattr(module, "session_for"):
        return module.session_for(url, feeds, market)  # type: ignore[no-any-return]
    return module.Session(feeds, market)  # type: ignore[no-any-return]


def _events(session: base.Session, frame: Frame) -> list[base.Event]:
    if frame.direction is Direction.RECEIVED:
        return session.receive(frame.data, frame.recv_ns)
    named = [feed.symbol for feed in session.feeds if feed.symbol.lower() in frame.url.lower()]
    return session.answer(base.Request(frame.url, named[0] if named else ""), frame.data, frame.recv_ns)


def _print(line: Line, symbols: list[str], everything: bool) -> int:
    """Write what a frame came to; the answer is how many observations that was."""
    place = {"line": line.frame.line, "recv_ns": line.frame.recv_ns}
    count = 0
    if line.refusal:
        refusal = {**place, "type": "Refused", "reason": line.refusal.reason, "detail": line.refusal.detail}
        _write(refusal, sys.stdout if everything else sys.stderr)
    elif everything and not line.events:
        _write({**place, "type": "Nothing"}, sys.stdout)
    for event in line.events:
        fields = {k: v for k, v in msgspec.structs.asdict(event).items() if k != "recv_ns"}
        if isinstance(event, base.Send | base.Request):
            if everything:
                _write({**place, "type": type(event).__name__, **fields}, sys.stdout)
            continue
        count += 1
        source = fields.pop("source", None)
        symbol = {"symbol": symbols[source]} if source is not None else {}
        _write({**place, "type": type(event).__name__, **symbol, **fields}, sys.stdout)
    return count


def _write(record: dict[str, Any], stream: IO[str]) -> None:
    stream.write(msgspec.json.encode(record).decode() + "\n")


def _opened(name: str) -> Iterator[str]:
    """Lines of a file or of the input; bytes that are not UTF-8 stay recognisable."""
    data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    for line in data.split(b"\n"):
        yield line.decode("utf-8", "surrogateescape")


def _is_text(line: str) -> bool:
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True
