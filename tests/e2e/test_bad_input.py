"""What no venue should ever say, said to the running service by each of eight: refused by name and counted.

All eight speak their real dialects over real sockets. In turn each says every message of the corpus while the others
move on after every one; the index follows them at once, and every beat equals the brute-force vote over what was said
in good faith. A book that is crossed or one-sided is no bad message but a fact: its source does not vote. Where a
dialect is a stream of changes, a refused frame costs the connection, and only that.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from oracle.app import Running, serving
from oracle.clock import SystemClock
from oracle.core.maths import unscaled
from oracle.core.types import BookTop, Side, Trade, Verdict
from oracle.simulator.venue import VenueServer, as_stated
from oracle.venues.base import Feed
from tests.e2e import rig
from tests.e2e.reference import check

pytestmark = pytest.mark.anyio

SYMBOLS = {
    "binance": "BTCUSDT",
    "bitfinex": "tBTCUSD",
    "bitstamp": "btcusd",
    "bybit": "BTCUSDT",
    "coinbase": "BTC-USD",
    "gemini": "BTCUSD",
    "kraken": "BTC/USD",
    "okx": "BTC-USDT",
}
STATEFUL = ("bitfinex", "coinbase")  # one refused frame costs the connection: what it would have changed is lost
SOURCES = ", ".join(f'"{venue}:{symbol}=USD"' for venue, symbol in SYMBOLS.items())
SETTINGS = f"""
[[index]]
id = "BTC-USD"
base = "BTC"
status = "TEST"
sources = [{SOURCES}]
[index.rules]
source = {{ stale_ms_min = 60000, stale_ms_max = 60000, frozen_ms = 600000 }}
ladder = {{ groups_normal_min = 2, groups_degraded_min = 2, warm_ms = 0 }}
"""
BID, ASK = 50001.5, 50002.5  # of the facts that are spoilt
TOKEN = re.compile(r'"?50001\.5"?')
Spoil = Callable[[str, str], str | bytes]  # of a frame and the symbol


def price_as(text: str) -> Spoil:
    """The bid replaced."""
    return lambda frame, symbol: TOKEN.sub(lambda _: text, frame, count=1)


def doubled(frame: str, symbol: str) -> str:
    """The first key said twice."""
    found = re.search(r'\{("[^"]+":)', frame)
    assert found is not None, frame
    return frame[: found.start(1)] + found[1] + "null," + frame[found.start(1) :]


def renamed(frame: str, symbol: str) -> str:
    """Another market."""
    return frame.replace(symbol, "XRPEUR").replace(symbol.lower(), "xrpeur")


def in_seconds(frame: str, symbol: str) -> str:
    """Every time in another unit than the venue's."""
    integers = re.sub(r"(?<=[:\"\[,])(1[6-9]\d{8})\d{3,9}(?=[\",\]}])", r"\1", frame)
    return re.sub(r'"\d{4}-\d\d-\d\dT[^"]+"', '"1790000000"', integers)


LONG = "9" * 5_000
CORPUS: dict[str, tuple[Spoil, str]] = {  # the message, and the reasons for which it may be refused
    "NaN": (price_as("NaN"), "NOT_JSON"),
    "NaN in quotes": (price_as('"NaN"'), "NOT_A_NUMBER"),
    "Infinity": (price_as("Infinity"), "NOT_JSON"),
    "-Infinity": (price_as("-Infinity"), "NOT_JSON"),
    "Infinity in quotes": (price_as('"Infinity"'), "NOT_A_NUMBER"),
    "1e400": (price_as("1e400"), "NOT_A_NUMBER WRONG_SHAPE"),
    "1e400 in quotes": (price_as('"1e400"'), "WRONG_SHAPE"),
    "duplicate key": (doubled, "DUPLICATE_KEY"),
    "5000 digits": (price_as(LONG), "NOT_A_NUMBER WRONG_SHAPE"),
    "5000 digits in quotes": (price_as(f'"{LONG}"'), "WRONG_SHAPE"),
    "100000 deep": (price_as("[" * 100_000), "TOO_DEEP"),
    "byte order mark": (lambda frame, symbol: "\ufeff" + frame, "NOT_JSON"),
    "NUL": (lambda frame, symbol: frame + "\0", "NOT_JSON"),
    "lone surrogate": (lambda frame, symbol: re.sub(f"(?i){symbol}", r"\\ud800", frame, count=1), "NOT_JSON"),
    "not UTF-8": (lambda frame, symbol: frame.encode().replace(b"5", b"\xff\xfe"), "NOT_UTF8"),
    "underscore": (price_as('"1_000"'), "WRONG_SHAPE"),
    "Arabic digits": (price_as('"٥٠٠٠١"'), "WRONG_SHAPE"),
    "negative": (price_as("-50001.5"), "NOT_POSITIVE"),
    "negative in quotes": (price_as('"-50001.5"'), "NOT_POSITIVE"),
    "null": (price_as("null"), "WRONG_SHAPE"),
    "a word": (price_as('"cheap"'), "WRONG_SHAPE"),
    "cut off": (lambda frame, symbol: frame[:-1], "NOT_JSON"),
    "empty": (lambda frame, symbol: "", "NOT_JSON"),
    "another symbol": (renamed, "UNKNOWN_SYMBOL"),
    "another unit of time": (in_seconds, "TIME_UNIT"),
}
DEEP, _ = CORPUS["100000 deep"]
HUGE = price_as(f'"{"x" * (64 << 20)}"')


class Liar(VenueServer):
    """A venue that can be made to say anything."""

    @property
    def asked(self) -> bool:
        """Whether a client is there and has asked for everything."""
        return bool(self._lines) and not any(line._unasked for line in self._lines)

    @property
    def states_one_side(self) -> bool:
        """Whether the dialect has words for an empty side."""
        return self._mimic_type.states_one_side

    async def spoil(self, fact: BookTop | Trade, spoil: Spoil, symbol: str) -> None:
        """Say a fact, spoilt."""
        for line in tuple(self._lines):
            for frame in line._mimic.speak(as_stated(fact, line._mimic)):
                assert isinstance(frame, str), "these venues speak text"
                said = spoil(frame, symbol)
                with suppress(ConnectionError):  # who hears too much hangs up in the middle of it
                    await (line._socket.send_bytes(said) if isinstance(said, bytes) else line._socket.send_str(said))


class Stage:
    """The eight venues, the service between them, and what each venue has said in good faith."""

    def __init__(self, running: Running, servers: dict[str, Liar]) -> None:
        self.running, self.servers = running, servers
        self.now_ns = SystemClock().now_ns
        self.said: dict[str, list[tuple[tuple[float, ...], None]]] = {venue: [] for venue in servers}
        self.moves = 0
        self.lines = {line.stats.venue: line for line in running.lines}

    def say(self, venue: str, bid: float, ask: float) -> None:
        """A venue states its book."""
        top = (bid, 1.25 if bid else 0.0, ask, 2.5 if ask else 0.0)
        self.said[venue].append((top, None))
        self.servers[venue].say(BookTop(0, *top, venue_ns=self.now_ns(), recv_ns=0))

    async def move(self, *but: str) -> None:
        """Everyone else moves up, and the index with them."""
        self.moves += 1
        honest = [venue for venue in self.servers if venue not in but]
        for place, venue in enumerate(honest):
            self.say(venue, 60_000.0 + self.moves + place / 10, 60_000.5 + self.moves + place / 10)
        await rig.until(lambda: self.price() > 60_000.25 + self.moves, 5.0)

    def price(self) -> float:
        """The index, as last computed."""
        return unscaled(self.running.engine.state.indices[0].units or 0, 2)

    def refused(self, venue: str) -> Counter[str]:
        """Why frames of a venue have been refused."""
        return Counter({str(reason): count for reason, count in self.lines[venue].stats.refused.items()})

    async def recover(self, venue: str) -> None:
        """The venue tells the truth again: its line stands, or comes back, and its source votes."""
        bid = 0.0
        for _ in range(400):
            bid = 60_000.0 + self.moves
            self.say(venue, bid, bid + 0.5)
            await asyncio.sleep(0.05)
            if self.verdict(venue) is Verdict.USED and self.running.engine.state.sources[self.place(venue)].bid == bid:
                return
        raise TimeoutError(self.lines[venue].stats)

    def place(self, venue: str) -> int:
        """The number of a venue's source."""
        return list(SYMBOLS).index(venue)

    def verdict(self, venue: str) -> Verdict:
        """What a venue's source counts for."""
        return self.running.engine.state.indices[0].memory.members[self.place(venue)].verdict

    async def becomes(self, venue: str, verdict: Verdict) -> None:
        """Wait until a venue's source counts for this."""
        await rig.until(lambda: self.verdict(venue) is verdict, 5.0)

    async def refuses(self, venue: str, name: str) -> None:
        """A venue says one message of the corpus."""
        spoil, reasons = CORPUS[name]
        before, at_ns = self.refused(venue), self.now_ns()
        trade, top = Trade(0, BID, 1.0, Side.BUY, at_ns, 0), BookTop(0, BID, 1.0, ASK, 1.0, at_ns, 0)
        await self.servers[venue].spoil(trade if spoil is in_seconds else top, spoil, SYMBOLS[venue])
        await self.move(venue)
        await rig.until(lambda: self.refused(venue) != before, 5.0)
        (reason,) = (self.refused(venue) - before).elements()
        assert reason in reasons.split(), (venue, name, reason)

    async def counts_for_nothing(self, venue: str) -> None:
        """A crossed, a locked and a one-sided book, and a price of zero: said, heard, and without a vote."""
        for bid, ask, verdict in (
            (BID + 2, ASK, Verdict.CROSSED),
            (ASK, ASK, Verdict.CROSSED),
            (0, ASK, Verdict.ONE_SIDED),
        ):
            if bid or self.servers[venue].states_one_side:
                self.say(venue, bid, ask)
                await self.becomes(venue, verdict)
                await self.move(venue)
        await self.recover(venue)
        if venue not in STATEFUL:
            self.said[venue].append(((0.0, 0.0, ASK, 1.0), None))
            await self.servers[venue].spoil(
                BookTop(0, BID, 1.0, ASK, 1.0, self.now_ns(), 0), price_as("0"), SYMBOLS[venue]
            )
            await rig.until(
                lambda: self.verdict(venue) is Verdict.ONE_SIDED or self.refused(venue)["NOT_POSITIVE"], 5.0
            )
            await self.recover(venue)


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    """The venues and the service, once everyone votes; when it is over, every beat is computed again."""
    async with AsyncExitStack() as stack:
        clock = SystemClock()
        servers = {
            venue: await stack.enter_async_context(Liar(venue, {"spot": [Feed(0, symbol)]}, clock.now_ns))
            for venue, symbol in SYMBOLS.items()
        }
        settings = rig.settings(folder, SETTINGS, {venue: server.url for venue, server in servers.items()})
        running = await stack.enter_async_context(serving(settings))
        await rig.until(lambda: all(server.asked for server in servers.values()))
        play = Stage(running, servers)
        await play.move()
        yield play
        assert not running.live.failed
    facts = {f"{venue}:{SYMBOLS[venue]}": {"B": said, "T": []} for venue, said in play.said.items()}
    counts = check(running.journal, facts).counts
    assert counts["BTC-USD NORMAL"] > 0.6 * counts["beats"]
    assert rig.clean(running.journal) == counts["beats"]
    rig.report(str(dict(counts)))


async def test_bad_messages_are_refused_by_name(tmp_path: Path) -> None:
    async with staged(tmp_path) as play:
        for venue in SYMBOLS:
            if venue not in STATEFUL:
                for name in CORPUS:
                    await play.refuses(venue, name)
                await play.recover(venue)
            await play.counts_for_nothing(venue)
        assert all(line.stats.dials == 1 for line in play.running.lines)
        links = {link["venue"]: link for link in (await rig.get(play.running, "/v1/status"))["links"]}
        seen = await rig.metrics(play.running)
        for venue, symbol in SYMBOLS.items():
            assert links[venue]["refused"] == play.refused(venue)
            for reason, count in play.refused(venue).items():
                labels = f'{{reason="{reason}",source="{venue}:{symbol}"}}'
                assert f"oracle_source_refusals_total{labels} {count:.1f}" in seen


async def test_a_line_that_cannot_go_on_is_dialled_again(tmp_path: Path) -> None:
    async with staged(tmp_path) as play:
        top = BookTop(0, BID, 1.0, ASK, 1.0, play.now_ns(), 0)
        await play.servers["binance"].spoil(top, HUGE, "")
        for venue in STATEFUL:
            await play.servers[venue].spoil(top, DEEP, "")
            await play.move("binance", *STATEFUL)
        await rig.until(lambda: all(play.refused(venue)["TOO_DEEP"] for venue in STATEFUL), 5.0)
        await asyncio.gather(*(play.recover(venue) for venue in ("binance", *STATEFUL)))
        ended = {line.stats.venue: dict(line.stats.ended) for line in play.running.lines if line.stats.ended}
        assert ended == {
            "binance": {"TOO_LARGE": 1},
            "bitfinex": {"SEQUENCE_GAP": 1},
            "coinbase": {"NO_SNAPSHOT": 1},
        }
        assert play.refused("binance") == {"TOO_LARGE": 1}
        assert [line.stats.dials for line in play.running.lines if line.stats.venue in ended] == [2, 2, 2]
