"""What a frame costs each venue's Session, beside the same bytes through decoders that check and convert nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import msgspec

from oracle.core.types import NANOS_PER_MS, BookTop, Side, Trade
from oracle.simulator.markets import MARKETS, VENUES, Market
from oracle.simulator.venue import as_stated
from oracle.venues.base import Feed, load
from tests.bench.common import PRICE, START_NS, Figure, together

FRAMES = 256  # of a kind, one after another, as a venue that counts its messages sends them


def bench(quick: bool) -> list[Figure]:
    """µs a message: tops of book and trades of each venue, in its own dialect."""
    figures = []
    for venue in VENUES:
        market = next(m for m in MARKETS if m.venue == venue and m.asset == "BTC")
        figures += _figures(market, "top", [_top(place) for place in range(FRAMES)], quick)
        figures += _figures(market, "trade", [_trade(place) for place in range(FRAMES)], quick)
    return figures


def _top(place: int) -> BookTop:
    at_ns, bid = START_NS + place * NANOS_PER_MS, PRICE + place % 7
    return BookTop(0, bid - 0.4, 0.2514, bid + 0.3, 1.25 + place, at_ns, at_ns)


def _trade(place: int) -> Trade:
    at_ns = START_NS + place * NANOS_PER_MS
    return Trade(0, PRICE + place % 9 / 10, 0.0125 * (place + 1), Side.BUY, at_ns, at_ns)


def _figures(market: Market, what: str, facts: list[BookTop] | list[Trade], quick: bool) -> list[Figure]:
    session_type, mimic_type = load(market.venue)
    feeds = [Feed(0, market.symbol)]
    mimic = mimic_type(feeds, market.market)
    spoken = [mimic.speak(as_stated(fact, mimic)) for fact in facts]
    frames = [f if isinstance(f, bytes) else f.encode() for messages in spoken for f in messages]

    def read() -> None:
        receive = session_type(feeds, market.market).receive
        for frame in frames:
            receive(frame, START_NS)

    jobs: dict[str, Callable[[], object]] = {
        "read": read,
        "msgspec": partial(_each, msgspec.json.Decoder().decode, frames),
        "json": partial(_each, json.loads, frames),
    }
    taken = {name: (middle / len(frames), best / len(frames)) for name, (middle, best) in together(jobs, quick).items()}
    value, best = taken["read"]
    ratio = f"{value / taken['msgspec'][0]:.2f} x msgspec untyped, {value / taken['json'][0]:.2f} x json"
    size = sum(map(len, frames)) // len(frames)
    return [Figure("decode", f"{market.venue} {what}, {size} B", value, "µs a frame", f"{best:.2f}", ratio)]


def _each(decode: Callable[[bytes], object], frames: list[bytes]) -> None:
    for frame in frames:
        decode(frame)
