"""Many venues with many symbols in a process of their own, on real sockets, each at its share of a pace.

It is given an order as JSON in its argument and prints the port of each venue; it ends when its input does. Clients are
spoken to once they have been silent for a moment, so that nobody is told of what he has not asked for yet. A book says
when it was sent: its bid size is the time since the order's `zero_ns` of the monotonic clock, in microseconds.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from functools import partial
from math import sin

import msgspec
import uvloop
from picows import WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from oracle.core.types import BookTop, Side, Trade
from oracle.simulator.venue import as_stated
from oracle.trial.markets import SPELLINGS
from oracle.venues.base import Feed, load
from tests.bench.door import Door

ASSETS = {
    "BTC": 60_000.0, "ETH": 2_700.0, "SOL": 150.0, "XRP": 3.0, "ADA": 2.0,
    "LTC": 80.0, "LINK": 15.0, "AVAX": 30.0, "DOT": 6.0, "BCH": 400.0,
}  # fmt: skip
TURN_S = 0.01
ASKING_S = 0.3
TRADE_EVERY = 5
CATCH_UP_S = 0.1  # what was not said for longer than this, because this process was held up, is never said
WAITING_BYTES_MAX = 1 << 20  # a client that is further behind is not spoken to until it has caught up
FLOOD_BYTES = 1 << 18  # what a flooding venue hands to its sockets at a time


class Order(msgspec.Struct):
    """Which venues, how many symbols each, how many frames a second in all; `flood`: as fast as the client reads."""

    venues: list[str]
    symbols: int
    rate: float
    zero_ns: int
    flood: bool = False


class Client(Door):
    """One client of one venue."""

    def __init__(self, venue: str, order: Order, path: str) -> None:
        self._order = order
        self._prices = list(ASSETS.values())[: order.symbols]
        spelling = SPELLINGS[venue]
        feeds = [Feed(n, spelling.of(asset)) for n, asset in enumerate(list(ASSETS)[: order.symbols])]
        super().__init__(load(venue)[1](feeds, spelling.market), path)
        self._began_s = 0.0
        self._said = 0
        self._flood: list[bytes] = []
        self.open = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.open = True
        super().on_ws_connected(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.open = False

    def speak(self, now_s: float, rate: float) -> None:
        """Say what is due by now."""
        if not self._listens(now_s):
            return
        due = int((now_s - self._began_s) * rate)
        at_ns = time.time_ns() // 1_000_000 * 1_000_000
        for said in range(max(self._said, due - int(rate * CATCH_UP_S) - 1), due):
            place, turn = said % len(self._prices), said // len(self._prices)
            self.say(self.mimic.speak(as_stated(self._fact(place, turn, at_ns), self.mimic)))
        self._said = max(self._said, due)

    def flood(self, now_s: float) -> None:
        """Say the same books again and again, as fast as they are read."""
        if not self._listens(now_s):
            return
        if not self._flood:
            facts = (self._fact(n, n, time.time_ns() // 1_000_000 * 1_000_000) for n in range(len(self._prices)))
            texts = [text for fact in facts for text in self.mimic.speak(as_stated(fact, self.mimic))]
            self._flood = [text if isinstance(text, bytes) else text.encode() for text in texts]
        for _ in range(FLOOD_BYTES // sum(map(len, self._flood))):
            for data in self._flood:
                self._transport.send(WSMsgType.TEXT, data)

    def _listens(self, now_s: float) -> bool:
        """Whether the client has asked for everything, as far as anyone can tell, and takes what it is sent."""
        if not self.open or now_s - self._asked_s < ASKING_S:
            return False
        self._began_s = self._began_s or now_s
        below = self._transport.underlying_transport
        return not below.is_closing() and below.get_write_buffer_size() < WAITING_BYTES_MAX

    def _fact(self, place: int, turn: int, at_ns: int) -> BookTop | Trade:
        price = round(self._prices[place] * (1.0 + sin(turn / 50) / 2_000), 4)
        if turn % TRADE_EVERY == TRADE_EVERY - 1:
            return Trade(place, price, 0.25, Side.BUY, at_ns, 0)
        micros = (time.monotonic_ns() - self._order.zero_ns) // 1_000
        return BookTop(place, round(price * 0.9999, 4), float(micros), round(price * 1.0001, 4), 2.0, at_ns, 0)


async def main(order: Order) -> None:
    """Open the doors and speak until nobody wants it any more."""
    logging.getLogger("picows").setLevel(logging.ERROR)  # a flood is meant to fill the buffers
    here: dict[str, Client] = {}

    def listen(venue: str, request: WSUpgradeRequest) -> Client:
        here[venue] = Client(venue, order, request.path.decode())
        return here[venue]

    ports = {}
    for venue in order.venues:
        server = await ws_create_server(partial(listen, venue), "127.0.0.1", 0)
        ports[venue] = server.sockets[0].getsockname()[1]
    print(msgspec.json.encode(ports).decode(), flush=True)
    ended = asyncio.create_task(input_closed())
    share = order.rate / len(order.venues)
    while not ended.done():
        now_s = time.monotonic()
        for client in here.values():
            if order.flood:
                client.flood(now_s)
            else:
                client.speak(now_s, share)
        await asyncio.sleep(0 if order.flood and any(client.open for client in here.values()) else TURN_S)


async def input_closed() -> None:
    """Wait until whoever started this process wants it to end."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


if __name__ == "__main__":
    uvloop.run(main(msgspec.json.decode(sys.argv[1], type=Order)))
