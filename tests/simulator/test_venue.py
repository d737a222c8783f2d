"""The servers over real sockets: real Sessions read what they say, and every fault of a line does what it names."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import ModuleType

import aiohttp
import msgspec
import pytest
import uvloop

from oracle.clock import ManualClock
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, BookTop, Nanos, Side, Trade
from oracle.errors import VenueError
from oracle.simulator import venue as module
from oracle.simulator.faults import Kind
from oracle.simulator.venue import VenueServer, as_stated
from oracle.venues import base

START = 1_790_000_000 * NANOS_PER_S
pytestmark = pytest.mark.anyio


class PlainMimic(base.Mimic):
    """A venue with the simplest possible dialect: facts as JSON arrays."""

    venue = "plain"
    ping_ms = 1_000

    def greet(self, path: str, now_ns: Nanos) -> list[str]:
        return ['"hello"']

    def hear(self, data: str, now_ns: Nanos) -> list[str]:
        return [f'"heard {len(data)}"']

    def speak(self, fact: BookTop | Trade) -> list[str]:
        return [msgspec.json.encode(fact).decode()]

    def heartbeat(self, now_ns: Nanos) -> list[str]:
        return [f'"beat {feed.symbol}"' for feed in self.feeds]


class PlainSession(base.Session):
    """Reads the simplest possible dialect."""

    venue = "plain"
    frame_bytes_max = 2_048

    def url(self) -> str:
        return f"wss://plain.example/{self.market}"

    def open(self) -> list[base.Send]:
        return []

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        raise AssertionError("the server asks its session for an address only")


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    made = ModuleType("plain.venue")
    vars(made).update(Session=PlainSession, Mimic=PlainMimic)
    monkeypatch.setitem(sys.modules, "plain.venue", made)


def top(source: int, bid: float = 100.0, at_ns: Nanos = START) -> BookTop:
    return BookTop(source, bid, 1.0, bid + 1, 2.0, at_ns, 0)


def server(clock: ManualClock) -> VenueServer:
    feeds = {"spot": [base.Feed(1, "BTC-USDT"), base.Feed(2, "BTC-USDT-SWAP")], "linear": [base.Feed(3, "BTCUSDT")]}
    return VenueServer("plain.venue", feeds, clock.now_ns)


async def next_text(socket: aiohttp.ClientWebSocketResponse) -> str:
    async with asyncio.timeout(5):
        return await socket.receive_str()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - nobody sets an event for it
            await asyncio.sleep(0.001)


async def nothing_came(socket: aiohttp.ClientWebSocketResponse) -> None:
    """A round trip of our own: what the server sent before its answer would have come first."""
    await socket.send_str("?")
    assert await next_text(socket) == '"heard 1"'


@asynccontextmanager
async def dialled(path: str) -> AsyncIterator[tuple[VenueServer, aiohttp.ClientWebSocketResponse]]:
    """The venue, and a client that has been greeted."""
    async with (
        server(ManualClock(START)) as venue,
        aiohttp.ClientSession() as http,
        http.ws_connect(venue.url + path) as socket,
    ):
        assert await next_text(socket) == '"hello"'
        yield venue, socket


def fact(text: str) -> BookTop:
    return msgspec.json.decode(text, type=BookTop)


@pytest.mark.usefixtures("plain")
async def test_a_client_hears_of_what_it_named_and_of_nothing_else() -> None:
    clock = ManualClock(START)
    async with server(clock) as venue, aiohttp.ClientSession() as http, http.ws_connect(venue.url + "/spot") as socket:
        assert await next_text(socket) == '"hello"'
        venue.say(top(1))
        await socket.send_str('{"subscribe": "btc-usdt"}')
        assert (await next_text(socket)).startswith('"heard')
        for source in (1, 2, 3, 1):
            venue.say(top(source))
        assert [fact(await next_text(socket)).source for _ in range(2)] == [1, 1]
        venue.tick(START + NANOS_PER_S)
        assert await next_text(socket) == '"beat BTC-USDT"'
    assert venue.clients == 0


@pytest.mark.usefixtures("plain")
async def test_the_address_chooses_the_section_and_may_name_symbols() -> None:
    clock = ManualClock(START)
    async with server(clock) as venue, aiohttp.ClientSession() as http:
        async with http.ws_connect(venue.url + "/linear?streams=btcusdt@top") as socket:
            assert await next_text(socket) == '"hello"'
            venue.say(top(3))
            assert fact(await next_text(socket)).source == 3
        async with http.ws_connect(venue.url + "/elsewhere?BTC-USDT-SWAP") as socket:
            assert await next_text(socket) == '"hello"'
            venue.say(top(1))
            venue.say(top(2))
            assert fact(await next_text(socket)).source == 2


@pytest.mark.usefixtures("plain")
async def test_heartbeats_are_sent_when_due_and_not_before() -> None:
    async with dialled("/linear?BTCUSDT") as (venue, socket):
        venue.tick(START + NANOS_PER_S - 1)
        await nothing_came(socket)
        venue.tick(START + NANOS_PER_S)
        venue.tick(START + NANOS_PER_S + 1)
        assert await next_text(socket) == '"beat BTCUSDT"'
        await nothing_came(socket)


@pytest.mark.usefixtures("plain")
async def test_a_mute_line_answers_when_it_is_over() -> None:
    async with dialled("/linear?BTCUSDT") as (venue, socket):
        venue.begin(Kind.MUTE)
        await socket.send_str("hi")
        await socket.ping()
        venue.say(top(3, 1.0))
        venue.tick(START + NANOS_PER_S)
        await asyncio.sleep(0.02)
        venue.end(Kind.MUTE)
        assert await next_text(socket) == '"heard 2"'
        venue.say(top(3, 2.0))
        assert fact(await next_text(socket)).bid == 2.0


@pytest.mark.usefixtures("plain")
async def test_a_stalled_line_stays_open_and_neither_reads_nor_writes() -> None:
    async with dialled("/linear?BTCUSDT") as (venue, socket):
        venue.begin(Kind.STALL)
        venue.say(top(3, 1.0))
        await socket.send_str("hi")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await socket.receive()
        async with aiohttp.ClientSession() as http:
            dialling = asyncio.ensure_future(http.ws_connect(venue.url + "/linear?BTCUSDT"))
            await asyncio.sleep(0.02)
            assert not dialling.done()
            venue.end(Kind.STALL)
            await (await dialling).close()


@pytest.mark.usefixtures("plain")
async def test_a_stalled_line_reads_on_when_it_is_over() -> None:
    async with dialled("/linear?BTCUSDT") as (venue, socket):
        venue.begin(Kind.STALL)
        await socket.send_str("hi")
        venue.end(Kind.STALL)
        assert await next_text(socket) == '"heard 2"'


@pytest.mark.usefixtures("plain")
async def test_half_the_messages_are_lost_evenly() -> None:
    async with dialled("/linear?BTCUSDT") as (venue, socket):
        venue.begin(Kind.DROP_HALF)
        for bid in range(1, 7):
            venue.say(top(3, float(bid)))
        venue.end(Kind.DROP_HALF)
        venue.say(top(3, 7.0))
        assert [fact(await next_text(socket)).bid for _ in range(4)] == [2.0, 4.0, 6.0, 7.0]


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("fault", [Kind.MUTE, Kind.STALL, Kind.LOST])
async def test_what_befalls_a_connection_spares_the_next(fault: Kind) -> None:
    async with dialled("/linear?BTCUSDT") as (venue, socket), aiohttp.ClientSession() as http:
        venue.strike(fault)
        venue.say(top(3, 1.0))
        if fault is not Kind.LOST:
            await socket.send_str("?")
            venue.tick(START + NANOS_PER_S)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await socket.receive()
        async with http.ws_connect(venue.url + "/linear?BTCUSDT") as another:
            assert await next_text(another) == '"hello"'
            venue.say(top(3, 2.0))
            assert fact(await next_text(another)).bid == 2.0
        assert venue.dialled == 2


@pytest.mark.usefixtures("plain")
async def test_half_of_what_one_connection_is_told_is_lost() -> None:
    async with dialled("/linear?BTCUSDT") as (venue, socket):
        venue.strike(Kind.DROP_HALF)
        for bid in range(1, 5):
            venue.say(top(3, float(bid)))
        assert [fact(await next_text(socket)).bid for _ in range(2)] == [2.0, 4.0]


@pytest.mark.usefixtures("plain")
async def test_a_lost_subscription_comes_back_when_it_is_asked_for() -> None:
    async with dialled("/spot?BTC-USDT&BTC-USDT-SWAP") as (venue, socket):
        venue.strike(Kind.LOST, [1])
        for source in (1, 2):
            venue.say(top(source))
        assert fact(await next_text(socket)).source == 2
        venue.tick(START + NANOS_PER_S)
        assert [await next_text(socket) for _ in range(2)] == ['"beat BTC-USDT"', '"beat BTC-USDT-SWAP"']
        await socket.send_str("subscribe BTC-USDT")
        assert (await next_text(socket)).startswith('"heard')
        venue.say(top(1))
        assert fact(await next_text(socket)).source == 1
        venue.begin(Kind.LOST)
        venue.say(top(1))
        await nothing_came(socket)


@pytest.mark.usefixtures("plain")
async def test_only_what_a_connection_can_suffer_befalls_it() -> None:
    with pytest.raises(AssertionError):
        server(ManualClock(START)).strike(Kind.DISCONNECT)


@pytest.mark.usefixtures("plain")
async def test_a_disconnected_venue_ends_its_connections_and_refuses_new_ones() -> None:
    clock = ManualClock(START)
    async with server(clock) as venue, aiohttp.ClientSession() as http:
        socket = await http.ws_connect(venue.url + "/linear?BTCUSDT")
        await until(lambda: venue.clients == 1)
        venue.begin(Kind.DISCONNECT)
        async with asyncio.timeout(5):
            while not socket.closed:
                await socket.receive()
        assert socket.close_code == 1006
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(venue.url + "/linear?BTCUSDT")
        assert refused.value.status == 503
        await until(lambda: venue.clients == 0)
        venue.end(Kind.DISCONNECT)
        async with http.ws_connect(venue.url + "/linear?BTCUSDT") as again:
            assert await next_text(again) == '"hello"'


@pytest.mark.usefixtures("plain")
async def test_a_garbage_frame_and_an_oversized_frame_are_what_sessions_refuse() -> None:
    async with dialled("/linear?BTCUSDT") as (venue, socket):
        venue.begin(Kind.GARBAGE)
        with pytest.raises(VenueError, match="NOT_JSON"):
            base.Decoder(dict)((await next_text(socket)).encode())
        venue.begin(Kind.OVERSIZED)
        assert len(await next_text(socket)) > PlainSession.frame_bytes_max
        venue.say(top(3))
        assert fact(await next_text(socket)).source == 3


@pytest.mark.usefixtures("plain")
async def test_a_client_that_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FRAMES_WAITING_MAX", 8)
    async with dialled("/linear?BTCUSDT") as (venue, _):
        for _ in range(20):
            venue.say(top(3))
        await until(lambda: venue.clients == 0)


@pytest.mark.usefixtures("plain")
async def test_no_fault_of_the_world_is_one_of_a_line() -> None:
    with pytest.raises(AssertionError):
        server(ManualClock(START)).begin(Kind.SILENCE)


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("fault", [Kind.STALL, Kind.DISCONNECT])
def test_a_line_fails_in_the_same_way_on_the_services_own_loop(fault: Kind) -> None:
    """uvloop's transports are of another kind than asyncio's."""

    async def fails() -> None:
        async with dialled("/linear?BTCUSDT") as (venue, socket):
            venue.begin(fault)
            await socket.send_str("?")
            if fault is Kind.DISCONNECT:
                async with asyncio.timeout(5):
                    assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
                return
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await socket.receive()
            venue.end(fault)
            assert await next_text(socket) == '"heard 1"'

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(fails())


def test_a_fact_is_stated_in_the_venues_unit_or_without_a_time() -> None:
    class Seconds(PlainMimic):
        time_unit_ns = NANOS_PER_S
        states_trade_time = False

    mimic = Seconds([base.Feed(1, "A")])
    assert as_stated(top(1, at_ns=START + 1_234 * NANOS_PER_MS), mimic).venue_ns == START + NANOS_PER_S
    assert as_stated(Trade(1, 1.0, 1.0, Side.BUY, START, 0), mimic).venue_ns == 0


SECTIONS = {
    "kraken": {"spot": [base.Feed(0, "BTC/USD"), base.Feed(1, "USDT/USD")]},
    "coinbase": {"spot": [base.Feed(0, "BTC-USD"), base.Feed(1, "ETH-USD")]},
    "bitfinex": {"spot": [base.Feed(0, "tBTCUSD"), base.Feed(1, "tUSTUSD")]},
    "bitstamp": {"spot": [base.Feed(0, "btcusd"), base.Feed(1, "usdtusd")]},
    "gemini": {"spot": [base.Feed(0, "BTCUSD"), base.Feed(1, "ETHUSD")]},
    "binance": {"spot": [base.Feed(0, "BTCUSDT"), base.Feed(1, "ETHUSDT")]},
    "okx": {"spot": [base.Feed(0, "BTC-USDT"), base.Feed(1, "BTC-USDT-SWAP")]},
    "bybit": {"spot": [base.Feed(0, "BTCUSDT")], "linear": [base.Feed(1, "BTCUSDT")]},
}


@pytest.mark.parametrize("name", SECTIONS)
async def test_a_real_session_reads_what_the_venue_says(name: str) -> None:
    """Every market's top and trade come out of the Session as the world stated them."""
    clock, sections = ManualClock(START), SECTIONS[name]
    session_type, mimic_type = base.load(name)
    async with VenueServer(name, sections, clock.now_ns) as venue, aiohttp.ClientSession() as http:
        for market, feeds in sections.items():
            session, mimic = session_type(feeds, market), mimic_type(feeds, market)
            stated: list[BookTop | Trade] = [top(feed.source, 100.0 + feed.source) for feed in feeds]
            stated += [Trade(feed.source, 100.0, 0.5, Side.SELL, START, 0) for feed in feeds]
            path = "/" + session.url().split("/", 3)[3] if session.url().count("/") > 2 else "/"
            async with http.ws_connect(venue.url + path, compress=0, max_msg_size=0) as socket:
                for send in session.open():
                    await socket.send_str(send.data)
                await asyncio.sleep(0.05)
                for said in stated:
                    venue.say(said)
                heard: list[object] = []
                async with asyncio.timeout(5):
                    while len(heard) < len(stated):
                        message = await socket.receive()
                        assert isinstance(message.data, str | bytes), message
                        data = message.data.encode() if isinstance(message.data, str) else message.data
                        heard += [e for e in session.receive(data, START) if isinstance(e, BookTop | Trade)]
            expected = [msgspec.structs.replace(as_stated(said, mimic), recv_ns=START) for said in stated]
            assert heard == expected
