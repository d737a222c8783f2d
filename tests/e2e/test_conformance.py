"""Every captured frame and payload decodes or is refused for a named reason; nothing else comes of any.

The figures are facts about the recordings, as `tests/bench/conformance.py` counts them: whoever changes a decoder sees
here what it reads more, or less. What came to nothing (acknowledgements, heartbeats, the past) is not written down.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from oracle.config.world import venue_names
from tests.bench import conformance

pytestmark = pytest.mark.data

UNSUPPORTED = {"blockchain.ws.1.0"}  # venues without a file
# A recording, its address where it is read in two dialects, and what comes of it: observations, requests, refusals.
TABLE = """
binance.ws.1.0 frames=265 answers=4 BookTop=84 Depth=176 Trade=2 Request=4 UNKNOWN_MESSAGE=2
binance_futures.ws.1.0 frames=1535 answers=4 BookTop=613 Depth=756 Trade=91 Request=4 UNKNOWN_MESSAGE=67
binance_us.ws.1.0 frames=480 answers=4 BookTop=128 Trade=11 Request=4 UNKNOWN_MESSAGE=5 answers_WRONG_SHAPE=4
binance-futures frames=19 BookTop=1 Trade=2 Request=4 UNKNOWN_MESSAGE=11
binance frames=12 BookTop=1 Trade=2 UNKNOWN_MESSAGE=9
bitfinex.ws.11.0 frames=1693 BookTop=1607
bitfinex frames=17 UNKNOWN_MESSAGE=12
bitflyer.ws.1.0 frames=1103 BookTop=249 Trade=162 UNKNOWN_MESSAGE=782  # boards and their differences
bitflyer frames=5 BookTop=2 Trade=2 UNKNOWN_MESSAGE=2
bitget.ws.1.0 frames=684 OLD_DIALECT=684
bitget frames=14 BookTop=1 Trade=2 UNKNOWN_MESSAGE=8  # deeper books, the dialect of unified accounts
2021-04-17__bitmex.ws.17.0 frames=2021 BookTop=429 Trade=8 UNKNOWN_MESSAGE=1862  # books
bitmex.ws.1.0 frames=2120 BookTop=436 Trade=17 UNKNOWN_MESSAGE=1979  # books
bitmex frames=18 BookTop=3 Trade=1 Ticker=4 UNKNOWN_MESSAGE=11  # books and liquidations
2021-04-17__bitstamp.ws.19.0 frames=677 Trade=16 NO_SNAPSHOT=192 Request=10
bitstamp.ws.1.0 frames=747 answers=10 BookTop=625 Trade=10 Request=10
bitstamp frames=7 Trade=1 UNKNOWN_MESSAGE=2 UNKNOWN_SYMBOL=1
bullish frames=30 BookTop=3 Trade=4 TIME_UNIT=1 UNKNOWN_MESSAGE=21  # a stamp cut short; whole books, statistics
bybit.ws.25.0 frames=3342 OLD_DIALECT=3342
bybit-spot frames=11 BookTop=1 Trade=5 NO_SNAPSHOT=1 OLD_DIALECT=5 UNKNOWN_MESSAGE=2
bybit frames=54 BookTop=1 Trade=4 Ticker=9 NO_SNAPSHOT=2 OLD_DIALECT=33 UNKNOWN_MESSAGE=11
coinbase.ws.28.0 frames=9946 BookTop=9729 Trade=97
coinbase frames=8 BookTop=2 Trade=1 NO_SNAPSHOT=3
coinbase_advanced_trades_ticker frames=6 UNKNOWN_MESSAGE=6
coinbase-international frames=8 BookTop=1 Trade=1 Ticker=6 UNKNOWN_MESSAGE=2
crypto-com frames=11 Trade=1 OLD_DIALECT=5 UNKNOWN_MESSAGE=3  # before v1; tickers, a book of another depth
deribit.ws.1.0 frames=136 Ticker=178 UNKNOWN_MESSAGE=46  # books
deribit frames=18 BookTop=1 Trade=4 Ticker=20 NOT_POSITIVE=1 UNKNOWN_MESSAGE=4
dydx.ws.1.0 frames=4733 OLD_DIALECT=4733  # v3
dydx-v4 frames=8 BookTop=1 Trade=3 Ticker=5 NO_SNAPSHOT=2
gateio.ws.1.0 frames=239 answers=10 Trade=9 UNKNOWN_MESSAGE=208 answers_WRONG_SHAPE=10
    # deltas of books, candles, statistics
gate-io frames=13 BookTop=1 Trade=1 OLD_DIALECT=6 UNKNOWN_MESSAGE=4  # books
2021-04-17__gemini.ws.36.0 frames=993 BookTop=935 Trade=51
gemini.ws.1.0 frames=678 BookTop=655 Trade=16
gemini frames=12 BookTop=1 Trade=1 NO_SNAPSHOT=1 UNKNOWN_MESSAGE=8
huobi.ws.44.0 frames=362 Trade=62 Send=6 UNKNOWN_MESSAGE=292  # pongs are sent; whole books
huobi frames=24 BookTop=2 Trade=4 UNKNOWN_MESSAGE=11 UNKNOWN_SYMBOL=6  # books; contracts
hyperliquid frames=10 BookTop=1 Trade=6 Ticker=4 UNKNOWN_MESSAGE=2 WRONG_SHAPE=1
    # books; a top of one level, of neither side
kraken.ws.48.0 frames=49 Trade=10
kraken.ws.49.0 frames=60 BookTop=18
kraken.ws.50.0 frames=4321 BookTop=4279
kraken frames=14 BookTop=2 Trade=1 UNKNOWN_MESSAGE=2 WRONG_SHAPE=8
kraken@wss://ws.kraken.com frames=14 BookTop=3 Trade=3 NO_SNAPSHOT=3 WRONG_SHAPE=6
kraken_v2_ticker frames=5 BookTop=2
2021-04-17__kraken_futures.ws.46.0 frames=7123 BookTop=6538 Trade=3 UNKNOWN_MESSAGE=541  # ticker_lite
kraken_futures.ws.1.0 frames=7175 BookTop=7024 Trade=3 UNKNOWN_MESSAGE=107  # ticker_lite
cryptofacilities frames=15 BookTop=1 Trade=4 Ticker=19 NO_SNAPSHOT=2 WRONG_SHAPE=1
    # a delta of a time when they had none
kucoin.ws.1.0 frames=4721 answers=9 BookTop=830 Trade=18 UNKNOWN_MESSAGE=3859 answers_read=9
    # deltas of books, candles
kucoin frames=16 Trade=3 UNKNOWN_MESSAGE=10
mexc frames=23 OLD_DIALECT=22  # JSON, as a recorder wrote what came in protobuf
okx.ws.1.0 frames=410 BookTop=290 Trade=74
okex-swap frames=24 BookTop=4 Trade=1 Ticker=3 OLD_DIALECT=13 UNKNOWN_MESSAGE=2
okex frames=13 BookTop=1 Trade=1 OLD_DIALECT=7 UNKNOWN_MESSAGE=3
upbit.ws.62.0 frames=449 BookTop=145 Trade=304
upbit frames=3 BookTop=1 Trade=1 TIME_UNIT=1  # microseconds, as the venue said for a while in 2023
"""


def rows() -> Iterator[tuple[str, dict[str, int]]]:
    """The table's rows: a recording's name and its figures; behind a # stands what is refused."""
    for line in re.sub(r"\n +", " ", TABLE).split("\n")[1:-1]:
        name, *expected = line.partition(" # ")[0].split()
        counts = (pair.split("=") for pair in expected)
        yield (
            name.replace("@", " at "),
            {what.replace("_", " ", what.startswith("answers_")): int(n) for what, n in counts},
        )


@pytest.mark.parametrize(("name", "expected"), list(rows()), ids=lambda value: value if isinstance(value, str) else "")
def test_a_recording_is_read_or_refused(data: Path, name: str, expected: dict[str, int]) -> None:
    (recording,) = (one for one in conformance.recordings(data) if one.name == name)
    found = conformance.counted(recording)
    del found["nothing"]
    sys.stdout.write(f"\n{recording.venue} {name}: {dict(found)}\n")
    assert found["unnamed"] == 0, found
    assert dict(found) == expected


def test_the_table_has_every_recording(data: Path) -> None:
    found = {one.name: one.venue for one in conformance.recordings(data)}
    assert set(found) == {name for name, _ in rows()} | UNSUPPORTED
    assert {found[name] for name in UNSUPPORTED}.isdisjoint(venue_names())


def test_no_recorded_book_breaks_its_checksum_or_its_numbers() -> None:
    figures = dict(rows())
    assert not any("CHECKSUM" in found or "SEQUENCE_GAP" in found for found in figures.values())
    kept = ("kraken.ws.50.0", "okx.ws.1.0", "bitfinex.ws.11.0", "kraken_futures.ws.1.0", "binance_futures.ws.1.0")
    assert sum(figures[name]["BookTop"] for name in kept) > 10_000


def test_an_answer_nobody_asked_for_is_refused(data: Path) -> None:
    found = conformance.tickers(data)
    assert set(found) == {"binance", "coinbase", "htx", "kraken", "kucoin", "mexc", "okx"}
    assert sum(found.values(), Counter()) == {
        "frames": 36,
        "BookTop": 1,  # of Kraken, whose answers name a pair otherwise than it was asked for
        "UNKNOWN_MESSAGE": 19,
        "UNKNOWN_SYMBOL": 5,
        "WRONG_SHAPE": 11,
    }
