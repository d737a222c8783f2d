"""Every captured frame and payload of the eight venues decodes or is refused for a named reason; nothing else comes.

A recording goes through one Session, the one its address calls for, with the REST answers that were recorded beside it.
Payloads are single messages of many years, so each goes through a fresh one. The figures are facts about the
recordings: whoever changes a decoder sees here what it reads more, or less.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

from oracle.collectors.tape import Direction, Frame, read
from oracle.errors import VenueError
from oracle.venues import base
from tests.e2e import rig

pytestmark = pytest.mark.data

SYMBOLS = {  # how a venue names its markets, in whatever it says
    "binance": rb'"(?:s|symbol)":\s*"([A-Z0-9_]+)"|symbol=([A-Z0-9]+)',
    "bitfinex": rb'"symbol":\s*"(t[^"]+)"',
    "bitstamp": rb"((?:diff_)?order_book_[a-z0-9]+)",
    "bybit": rb'"(?:s|symbol)":\s*"([A-Z0-9]+)"',
    "coinbase": rb'"product_id":\s*"([^"]+)"',
    "gemini": rb'"(?:symbol|s)":\s*"([A-Za-z]+)"',
    "kraken": rb'"([A-Z0-9.]+/[A-Z0-9.]+)"',
    "okx": rb'"instId":\s*"([^"]+)"',
}


class Row(NamedTuple):
    """A recording, or a bag of payloads, and what must come of it."""

    venue: str
    files: list[str]
    address: str
    expected: dict[str, int]


# Venue, files, the address where a payload's dialect is not today's, and what comes of them: events and refusals.
TABLE = """
binance binance.ws.1.0+binance.http.0.0 - frames=265 BookTop=84 Depth=176 Request=4 Trade=2 UNKNOWN_MESSAGE=2
binance binance_futures.ws.1.0+binance_futures.http.0.0 - frames=1535 BookTop=613 Depth=756 Request=4 Trade=91
    UNKNOWN_MESSAGE=67
binance binance_us.ws.1.0+binance_us.http.0.0 - frames=480 BookTop=128 Request=4 Trade=11 UNKNOWN_MESSAGE=5
bitfinex bitfinex.ws.11.0 - frames=1693 BookTop=1607
bitstamp 2021-04-17__bitstamp.ws.19.0 - frames=677 Request=10 Trade=16 NO_SNAPSHOT=192
bitstamp bitstamp.ws.1.0+bitstamp.http.0.0 - frames=747 BookTop=625 Request=10 Trade=10
bybit bybit.ws.25.0 - frames=3342 OLD_DIALECT=3342
coinbase coinbase.ws.28.0 - frames=9946 BookTop=9729 Trade=97
gemini 2021-04-17__gemini.ws.36.0 - frames=993 BookTop=935 Trade=51
gemini gemini.ws.1.0 - frames=678 BookTop=655 Trade=16
kraken kraken.ws.48.0 - frames=49 Trade=10
kraken kraken.ws.49.0 - frames=60 BookTop=18
kraken kraken.ws.50.0 - frames=4321 BookTop=4279
okx okx.ws.1.0 - frames=410 BookTop=290 Trade=74
binance binance - frames=12 BookTop=1 Trade=2 UNKNOWN_MESSAGE=9
binance binance-futures wss://fstream.binance.com/stream frames=19 BookTop=1 Request=4 Trade=2 UNKNOWN_MESSAGE=11
bitfinex bitfinex wss://api.bitfinex.com/ws/2 frames=17 UNKNOWN_MESSAGE=12
bitstamp bitstamp - frames=7 Trade=1 UNKNOWN_MESSAGE=2 UNKNOWN_SYMBOL=1
bybit bybit wss://stream.bybit.com/v5/public/linear frames=54 BookTop=1 Trade=4 NO_SNAPSHOT=2 OLD_DIALECT=33
    UNKNOWN_MESSAGE=16
bybit bybit-spot - frames=11 BookTop=1 Trade=5 NO_SNAPSHOT=1 OLD_DIALECT=5 UNKNOWN_MESSAGE=2
coinbase coinbase - frames=8 BookTop=2 Trade=1 NO_SNAPSHOT=3
coinbase coinbase_advanced_trades_ticker - frames=6 UNKNOWN_MESSAGE=6
gemini gemini wss://api.gemini.com/v2/marketdata frames=12 BookTop=1 Trade=1 NO_SNAPSHOT=1 UNKNOWN_MESSAGE=8
kraken kraken - frames=14 BookTop=1 Trade=1 UNKNOWN_MESSAGE=2 UNKNOWN_SYMBOL=1 WRONG_SHAPE=8
kraken kraken wss://ws.kraken.com frames=14 BookTop=3 Trade=3 NO_SNAPSHOT=3 WRONG_SHAPE=6
kraken kraken_v2_ticker - frames=5 BookTop=2
okx okex - frames=13 BookTop=1 Trade=1 OLD_DIALECT=7 UNKNOWN_MESSAGE=3
okx okex-swap - frames=24 BookTop=4 Trade=1 OLD_DIALECT=13 UNKNOWN_MESSAGE=6
"""


def rows() -> Iterator[Row]:
    """The table's rows."""
    for line in re.sub(r"\n +", " ", TABLE).split("\n")[1:-1]:
        venue, files, address, *expected = line.split()
        counts = (pair.split("=") for pair in expected)
        yield Row(venue, files.split("+"), address.strip("-"), {name: int(count) for name, count in counts})


def frames_of(data: Path, files: list[str]) -> list[Frame]:
    """The received frames and REST answers of these files, by time."""
    paths = [data / (f"frames/{n}.txt.gz" if n.endswith(".0") else f"payloads/{n}.jsonl") for n in files]
    found = [f for path in paths for f in read(path) if f.direction in (Direction.RECEIVED, Direction.ANSWER)]
    return sorted(found, key=lambda frame: frame.recv_ns)


def sessions(row: Row, frames: list[Frame]) -> Iterator[base.Session]:
    """A session for each frame: always the same for a recording."""
    module = import_module(f"oracle.venues.{row.venue}")
    heard = b"\n".join(frame.data + frame.url.encode() for frame in frames)
    symbols = dict.fromkeys(b"".join(m.groups(b"")).decode() for m in re.finditer(SYMBOLS[row.venue], heard))
    feeds = [base.Feed(place, symbol) for place, symbol in enumerate(symbols)]
    address = row.address or next((f.url for f in frames if f.url.startswith("wss:")), "")
    session = module.session_for(address, feeds)
    for _ in frames:
        yield session if row.files[0].endswith(".0") else module.session_for(address, feeds)


def judged(session: base.Session, frame: Frame, answers: Mapping[str, Frame]) -> Counter[str]:
    """What comes of one frame, and of the REST answer that it makes the session ask for."""
    try:
        events = session.receive(frame.data, frame.recv_ns)
        for request in [event for event in events if isinstance(event, base.Request)]:
            if (found := answers.get(request.url.partition("?")[0] + request.symbol)) is not None:
                events += session.answer(request, found.data, found.recv_ns)
    except VenueError as error:
        return Counter([error.reason.name])
    except Exception as error:
        return Counter(["unnamed", f"unnamed: {type(error).__name__}: {error} of {frame.data[:200]!r}"])
    return Counter(type(event).__name__ for event in events)


def answered(frames: list[Frame]) -> dict[str, Frame]:
    """The REST answers among the frames, by address and symbol."""
    found = [frame for frame in frames if frame.direction is Direction.ANSWER]
    symbols = [re.findall(r"symbol=([A-Z0-9]+)|([a-z]+)$", frame.url)[0] for frame in found]
    return {f.url.partition("?")[0] + "".join(symbol): f for f, symbol in zip(found, symbols, strict=True)}


@pytest.mark.parametrize("row", list(rows()), ids=lambda row: f"{row.files[0]} {row.address}")
def test_a_recording_is_read_or_refused(data: Path, row: Row) -> None:
    frames = frames_of(data, row.files)
    answers = answered(frames)
    found: Counter[str] = Counter()
    for session, frame in zip(sessions(row, frames), frames, strict=True):
        if frame.direction is Direction.RECEIVED:
            found += judged(session, frame, answers) + Counter(["frames"])
    rig.report(f"{row.venue} {'+'.join(row.files)}: {dict(found)}")
    assert found["unnamed"] == 0, found
    assert dict(found) == row.expected


TICKERS = {"binance": "binance", "coinbase_pro": "coinbase", "kraken": "kraken", "okx": "okx"}


def test_an_answer_nobody_asked_for_is_refused(data: Path) -> None:
    lines = (data / "payloads" / "rest" / "tickers.jsonl").read_text(encoding="utf-8").splitlines()
    bodies = [json.loads(line) for line in lines]
    found: Counter[str] = Counter()
    for body in bodies:
        if body["venue"] in TICKERS:
            session = import_module(f"oracle.venues.{TICKERS[body['venue']]}").session_for(
                "", [base.Feed(0, "BTCUSDT")]
            )
            for ask in (session.receive, partial(session.answer, base.Request("", "BTCUSDT"))):
                with pytest.raises(VenueError) as caught:
                    ask(body["body"].encode(), 0)
                found[caught.value.reason] += 1
    assert found == {"UNKNOWN_MESSAGE": 9, "UNKNOWN_SYMBOL": 2, "WRONG_SHAPE": 1}
