"""What every decoder makes of every recording: `python tests/bench/run.py conformance [--venues kraken,okx] [--json]`.

A recording goes through one Session, the one its address calls for, with the REST answers that were recorded beside it.
Payloads are single messages of many years, so each goes through a fresh one. Symbols are found as `oracle decode`
finds them: by asking which ones the Session would not have known.

Frames come to observations, to nothing (acknowledgements, heartbeats, the past), or are refused for a reason that has
a name; `unnamed` is what did none of these, and shall be 0. Recordings of venues without a file are listed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from oracle.collectors.tape import Direction, Frame, read
from oracle.commands.decode import find_symbols
from oracle.config.world import venue_names
from oracle.errors import Refusal, VenueError
from oracle.venues import base

DATA = Path(os.environ.get("ORACLE_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
OBSERVATIONS = ("BookTop", "Depth", "Trade", "Ticker")
KEPT = (Refusal.CHECKSUM, Refusal.SEQUENCE_GAP)  # what a book that is kept is refused for when it is not the venue's
VENUES = {  # the venue file of a recording that is called otherwise
    "binance-futures": "binance",
    "binance_futures": "binance",
    "binance_us": "binance",
    "bybit-spot": "bybit",
    "coinbase-international": "coinbase_intl",
    "coinbase_advanced_trades_ticker": "coinbase",
    "crypto-com": "crypto_com",
    "cryptofacilities": "kraken_futures",
    "dydx": "dydx_v4",
    "dydx-v4": "dydx_v4",
    "gate-io": "gate",
    "gateio": "gate",
    "huobi": "htx",
    "coinbase_pro": "coinbase",
    "kraken_v2_ticker": "kraken",
    "okex": "okx",
    "okex-swap": "okx",
}
ADDRESSES = {  # where payloads were heard, if it was not where a Session dials today; several: of several dialects
    "binance-futures": ("wss://fstream.binance.com/stream",),
    "bitfinex": ("wss://api.bitfinex.com/ws/2",),
    "bybit": ("wss://stream.bybit.com/v5/public/linear",),
    "coinbase-international": ("wss://ws-md.international.coinbase.com",),
    "gemini": ("wss://api.gemini.com/v2/marketdata",),
    "kraken": ("", "wss://ws.kraken.com"),
}


SYMBOLS = {  # how symbols are named where a Session cannot be asked for them
    "bitstamp": rb"((?:diff_)?order_book_[a-z0-9]+)",
    "dydx_v4": rb'"([A-Z0-9]+-USD)"',
    "htx": rb"market\.([A-Za-z0-9_-]+)\.",
}


class Recording(NamedTuple):
    """Files that belong together, the venue file that reads them, and the address where they were heard."""

    name: str
    venue: str
    files: tuple[Path, ...]
    address: str

    @property
    def is_whole(self) -> bool:
        """Whether it is a connection, and not a bag of single messages."""
        return self.files[0].parent.name == "frames"


def recordings(data: Path) -> Iterator[Recording]:
    """Every recording and every file of payloads, by name; REST answers stand beside their connection."""
    frames = {path.name.removesuffix(".txt.gz"): path for path in sorted((data / "frames").glob("*.txt.gz"))}
    for name, path in frames.items():
        title = name.partition("__")[2] or name
        word, kind = title.split(".")[:2]
        if kind == "ws":
            beside = [other for known, other in frames.items() if known.startswith(f"{word}.http.") and title == name]
            yield Recording(name, VENUES.get(word, word), (path, *beside), "")
    for path in sorted((data / "payloads").glob("*.jsonl")):
        for address in ADDRESSES.get(path.stem, ("",)):
            name = path.stem + (f" at {address}" if len(ADDRESSES.get(path.stem, "-")) > 1 and address else "")
            yield Recording(name, VENUES.get(path.stem, path.stem), (path,), address)


def counted(recording: Recording) -> Counter[str]:
    """What comes of a recording: frames, REST answers, observations by type, refusals by reason, and `unnamed`."""
    frames = sorted((one for path in recording.files for one in read(path)), key=lambda frame: frame.recv_ns)
    heard = [frame for frame in frames if frame.direction is Direction.RECEIVED]
    answers = answered(frame for frame in frames if frame.direction is Direction.ANSWER)
    found: Counter[str] = Counter(frames=len(heard), answers=len(answers))
    for session, frame in zip(_sessions(recording, frames, heard), heard, strict=True):
        found += _judged(session, frame, answers)
    for symbol, answer in answers.values():
        if answer is not None:
            found[f"answers {_polled(recording.venue, symbol, answer)}"] += 1
    return +found


def _polled(venue: str, symbol: str, answer: Frame) -> str:
    """What comes of an answer that no message made a Session ask for: the top of a book, as if it had been polled."""
    session = import_module(f"oracle.venues.{venue}").session_for("", [base.Feed(0, symbol)])
    try:
        session.polled(base.Request(answer.url, symbol), answer.data, answer.recv_ns)
    except VenueError as error:
        return error.reason.name
    return "read"


def answered(frames: Iterable[Frame]) -> dict[str, tuple[str, Frame | None]]:
    """REST answers by address and symbol, with the symbol; the frame gives way to None once it has been asked for."""
    found: dict[str, tuple[str, Frame | None]] = {}
    for frame in frames:
        symbol = (re.findall(r"(?:symbol|currency_pair)=([A-Za-z0-9_-]+)|/([a-z]+)/?$", frame.url) or [("", "")])[0]
        found[frame.url.partition("?")[0] + "".join(symbol)] = ("".join(symbol), frame)
    return found


def _sessions(recording: Recording, frames: list[Frame], heard: list[Frame]) -> Iterator[base.Session]:
    """A Session for each frame that was heard: always the same for a connection."""
    module = import_module(f"oracle.venues.{recording.venue}")
    address = recording.address or next((f.url for f in frames if f.url.startswith("ws")), "")
    said = b"\n".join(frame.data for frame in frames)
    named = re.findall(SYMBOLS[recording.venue], said) if recording.venue in SYMBOLS else []
    symbols = dict.fromkeys(name.decode() for name in named) or find_symbols(module, heard, "spot", address)
    feeds = [base.Feed(place, symbol) for place, symbol in enumerate(symbols)]
    session = module.session_for(address, feeds)
    for _ in heard:
        yield session if recording.is_whole else module.session_for(address, feeds)


def _judged(session: base.Session, frame: Frame, answers: dict[str, tuple[str, Frame | None]]) -> Counter[str]:
    """What comes of one frame, and of the REST answer that it makes the Session ask for."""
    try:
        events = session.receive(frame.data, frame.recv_ns)
        for request in [event for event in events if isinstance(event, base.Request)]:
            asked = request.url.partition("?")[0] + request.symbol
            symbol, found = answers.get(asked, ("", None))
            if found is not None:
                answers[asked] = (symbol, None)
                events += session.answer(request, found.data, found.recv_ns)
    except VenueError as error:
        return Counter([error.reason.name])
    except Exception as error:
        return Counter(["unnamed", f"unnamed: {type(error).__name__}: {error} of {frame.data[:200]!r}"])
    return Counter(type(event).__name__ for event in events) or Counter(["nothing"])


def tickers(data: Path) -> dict[str, Counter[str]]:
    """What comes of the REST tickers of each venue: as a frame, as an answer, and as the answer to a poll."""
    found: dict[str, Counter[str]] = {}
    for line in (data / "payloads" / "rest" / "tickers.jsonl").read_text(encoding="utf-8").splitlines():
        said = json.loads(line)
        venue, body = VENUES.get(said["venue"], said["venue"]), said["body"].encode()
        session = import_module(f"oracle.venues.{venue}").session_for("", [base.Feed(0, "BTCUSDT")])
        counts = found.setdefault(venue, Counter())
        request = base.Request("", "BTCUSDT")
        for ask in (session.receive, partial(session.answer, request), partial(session.polled, request)):
            counts["frames"] += 1
            try:
                counts.update(type(event).__name__ for event in ask(body, 0))
            except VenueError as error:
                counts[error.reason.name] += 1
            except Exception as error:
                counts.update(["unnamed", f"unnamed: {type(error).__name__}: {error}"])
    return found


def main(argv: list[str]) -> int:
    """Print the table; 1 when anything came to something that has no name, 2 without recordings."""
    parser = argparse.ArgumentParser(
        prog="run.py conformance", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--venues", default="", help="separated by commas; all otherwise")
    parser.add_argument("--json", action="store_true", help="one JSON object a recording instead of the table")
    parser.add_argument("--data", type=Path, default=DATA, help="the folder that holds frames/ and payloads/")
    args = parser.parse_args(argv)
    wanted, known, total = args.venues.split(",") if args.venues else [], venue_names(), Counter[str]()
    for recording in recordings(args.data):
        if recording.venue not in known:
            heard = sum(one.direction is Direction.RECEIVED for path in recording.files for one in read(path))
            print(f"{recording.venue:<15} {recording.name:<40} unsupported: no venue file; {heard} frames")
        elif not wanted or recording.venue in wanted:
            found = counted(recording)
            total += found
            print(
                json.dumps({"venue": recording.venue, "recording": recording.name, **found})
                if args.json
                else _line(recording, found),
                flush=True,
            )
    for venue, found in tickers(args.data).items():
        if not wanted or venue in wanted:
            total += found
            told = {"venue": venue, "recording": "rest/tickers", **found}
            print(json.dumps(told) if args.json else f"{venue:<15} {'rest/tickers':<40} {_sums(found)}")
    print(f"{_sums(total)}; {', '.join(f'{reason} {total[reason]}' for reason in KEPT)}", file=sys.stderr)
    return 2 if not total else 1 if total["unnamed"] else 0


def _line(recording: Recording, found: Mapping[str, int]) -> str:
    answers = f", {found['answers']} answers of REST" if found["answers"] else ""
    return f"{recording.venue:<15} {recording.name:<40} {_sums(found)}{answers}"


def _sums(found: Mapping[str, int]) -> str:
    said = sum(found[name] for name in OBSERVATIONS)
    refused = {reason.name: found[reason.name] for reason in Refusal if found[reason.name]}
    reasons = ", ".join(f"{name} {count:,}" for name, count in refused.items()) or "none"
    return f"{found['frames']:>7,} frames {said:>7,} observations; refused: {reasons}; unnamed {found['unnamed']}"
