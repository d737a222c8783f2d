"""The recorded frames decoded once more, by json and nothing of the oracle's: what each of them says, in order.

A decoder takes the frames of a tape as they were played and yields (symbol, kind, fact, time). Kind B is a top (bid,
its size, ask, its size), T a trade (price, size, the taker's side), D a depth (bids, asks). Numbers are the frame's
own text; times are nanoseconds, 0 where the venue states none.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

Said: TypeAlias = tuple[str, str, Any, int]
Level: TypeAlias = tuple[Any, Any]  # price, size: text, or an exact number
MS, US, S = 10**6, 10**3, 10**9
DEPTH = 40  # levels of a side that the rig hands to the platform's door
TAKER = {True: "sell", False: "buy"}  # by whether the buyer made
_json = json.JSONDecoder(parse_float=Decimal)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Side:
    """The levels of one side, best last: bids by price, asks by its negative. Doubles only put them in order."""

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[float] = []
        self.levels: dict[float, tuple[Any, Any]] = {}

    def put(self, price: Any, size: Any) -> None:
        """A level's new size; zero takes it away."""
        key = self.sign * float(price)
        if float(size):
            if key not in self.levels:
                insort(self.keys, key)
            self.levels[key] = (price, size)
        elif self.levels.pop(key, None) is not None:
            del self.keys[bisect_left(self.keys, key)]

    def first(self, count: int) -> list[Level]:
        """The best levels."""
        return [self.levels[key] for key in self.keys[: -count - 1 : -1]]


class Sides:
    """A whole book."""

    def __init__(self, bids: Iterable[Any] = (), asks: Iterable[Any] = ()) -> None:
        self.bids, self.asks = Side(1), Side(-1)
        self.apply(bids, asks)

    def apply(self, bids: Iterable[Any], asks: Iterable[Any]) -> None:
        """Changed levels, each beginning with price and size."""
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for price, size, *_ in levels:
                side.put(price, size)

    def top(self) -> tuple[Any, ...]:
        """Bid, its size, ask, its size; zeros for an empty side."""
        return (*(self.bids.first(1) or [(0, 0)])[0], *(self.asks.first(1) or [(0, 0)])[0])


def loads(frame: bytes) -> Any:
    """A frame, its numbers exact."""
    return _json.decode(frame.decode())


def binance(frames: Iterable[bytes]) -> Iterator[Said]:
    """Spot and futures: tops, trades, and the futures' depth from its deltas and the snapshot among them."""
    waiting: list[Any] = []
    book: Sides | None = None
    for frame in frames:
        said = loads(frame)
        if "lastUpdateId" in said:
            book = Sides(said["bids"], said["asks"])
            for data in waiting:
                if data["u"] >= said["lastUpdateId"]:
                    book.apply(data["b"], data["a"])
            yield "", "D", (book.bids.first(DEPTH), book.asks.first(DEPTH)), 0
            continue
        data, channel = said["data"], said["stream"].partition("@")[2]
        at, symbol = data.get("T", 0) * MS, data["s"]
        if channel == "bookTicker":
            yield symbol, "B", (data["b"], data["B"], data["a"], data["A"]), at
        elif channel == "trade" and data.get("X", "MARKET") == "MARKET":
            yield symbol, "T", (data["p"], data["q"], TAKER[data["m"]]), at
        elif channel.startswith("depth") and "pu" in data:
            if book is None:
                waiting.append(data)
                continue
            book.apply(data["b"], data["a"])
            yield symbol, "D", (book.bids.first(DEPTH), book.asks.first(DEPTH)), at


def gemini(frames: Iterable[bytes]) -> Iterator[Said]:
    """The archived marketdata v2: books from changes, without a time."""
    books: dict[str, Sides] = {}
    for frame in frames:
        said = loads(frame)
        if said["type"] == "l2_updates":
            symbol = said["symbol"]
            if "trades" in said or "auction_events" in said:
                books[symbol] = Sides()
            for side, *level in said["changes"]:
                books[symbol].apply([level] if side == "buy" else [], [level] if side == "sell" else [])
            yield symbol, "B", books[symbol].top(), 0
        elif said["type"] == "trade" and said["side"] != "block":
            deal = (said["price"], said["quantity"], said["side"])
            yield said["symbol"], "T", deal, said["timestamp"] * MS


def okx(frames: Iterable[bytes]) -> Iterator[Said]:
    """v5: books, trades, and tickers until the symbol's book speaks."""
    books: dict[str, Sides] = {}
    booked: set[str] = set()
    for frame in frames:
        said = loads(frame)
        channel, symbol = said["arg"]["channel"], said["arg"]["instId"]
        if channel == "books":
            booked.add(symbol)
        for data in said.get("data", ()):
            at = int(data["ts"]) * MS
            if channel == "books":
                if said["action"] == "snapshot":
                    books[symbol] = Sides()
                books[symbol].apply(data["bids"], data["asks"])
                yield symbol, "B", books[symbol].top(), at
                sides = books[symbol]
                yield symbol, "D", (sides.bids.first(DEPTH), sides.asks.first(DEPTH)), at
            elif channel == "trades":
                yield symbol, "T", (data["px"], data["sz"], data["side"]), at
            elif channel == "tickers" and symbol not in booked:
                yield symbol, "B", (data["bidPx"], data["bidSz"], data["askPx"], data["askSz"]), at


def coinbase(frames: Iterable[bytes]) -> Iterator[Said]:
    """Snapshots, level changes, and matches, which name the maker's side."""
    books: dict[str, Sides] = {}
    for frame in frames:
        said = loads(frame)
        symbol = said.get("product_id", "")
        if said["type"] == "snapshot":
            books[symbol] = Sides(said["bids"], said["asks"])
            yield symbol, "B", books[symbol].top(), 0
        elif said["type"] == "l2update":
            for side, *level in said["changes"]:
                books[symbol].apply([level] if side == "buy" else [], [level] if side == "sell" else [])
            yield symbol, "B", books[symbol].top(), rfc3339(said["time"])
        elif said["type"] == "match":
            deal = (said["price"], said["size"], TAKER[said["side"] == "buy"])
            yield symbol, "T", deal, rfc3339(said["time"])


def kraken(frames: Iterable[bytes]) -> Iterator[Said]:
    """The first dialect: tickers, trades, and books whose levels carry the times."""
    books: dict[str, Sides] = {}
    newest: dict[str, int] = defaultdict(int)
    for frame in frames:
        said = loads(frame)
        if isinstance(said, dict):
            continue
        *parts, channel, symbol = said[1:]
        if channel == "ticker":
            bid, ask = parts[0]["b"], parts[0]["a"]
            yield symbol, "B", (bid[0], bid[2], ask[0], ask[2]), 0
        elif channel == "trade":
            for price, size, at, side, *_ in parts[0]:
                yield symbol, "T", (price, size, TAKER[side == "s"]), int(Decimal(at) * S)
        else:
            if "as" in parts[0]:
                books[symbol] = Sides()
                newest[symbol] = 0
            for part in parts:
                bids, asks = part.get("bs", part.get("b", [])), part.get("as", part.get("a", []))
                books[symbol].apply(bids, asks)
                newest[symbol] = max([newest[symbol], *(int(Decimal(level[2]) * S) for level in (*bids, *asks))])
            yield symbol, "B", books[symbol].top(), newest[symbol]


def bitfinex(frames: Iterable[bytes]) -> Iterator[Said]:
    """Channels by number; the ticker speaks until the symbol's book is subscribed."""
    channels: dict[int, tuple[str, str]] = {}
    books: dict[int, Sides] = {}
    for frame in frames:
        said = loads(frame)
        if isinstance(said, dict):
            if said["event"] == "subscribed":
                channels[said["chanId"]] = (said["channel"], said["symbol"])
            continue
        number, body = said[:2]
        channel, symbol = channels.get(number, ("", ""))
        if channel == "ticker" and ("book", symbol) not in channels.values() and body != "hb":
            yield symbol, "B", tuple(body[:4]), 0
        elif channel == "book" and body != "hb":
            if isinstance(body[0], list):
                books[number] = Sides()
            for price, count, amount in body if isinstance(body[0], list) else [body]:
                side = books[number].bids if amount > 0 else books[number].asks
                side.put(price, abs(amount) if count else 0)
            yield symbol, "B", books[number].top(), 0


def bitstamp(frames: Iterable[bytes], answers: Iterable[tuple[str, bytes]]) -> Iterator[Said]:
    """Diffs upon the book that came over REST: the state after each, whatever had arrived when the answer came."""
    books: dict[str, Sides] = {}
    newest: dict[str, int] = {}
    for symbol, body in answers:
        said = loads(body)
        books[symbol], newest[symbol] = Sides(said["bids"], said["asks"]), int(said["microtimestamp"])
        yield symbol, "B", books[symbol].top(), newest[symbol] * US
    for frame in frames:
        said = loads(frame)
        symbol = re.sub(r"^(diff_order_book|live_trades)_", "", said["channel"])
        if said["event"] == "trade":
            data = said["data"]
            deal = (data["price_str"], data["amount_str"], TAKER[bool(data["type"])])
            yield symbol, "T", deal, int(data["microtimestamp"]) * US
        elif said["event"] == "data" and int(said["data"]["microtimestamp"]) > newest.get(symbol, 1 << 60):
            newest[symbol] = int(said["data"]["microtimestamp"])
            books[symbol].apply(said["data"]["bids"], said["data"]["asks"])
            yield symbol, "B", books[symbol].top(), newest[symbol] * US


def rfc3339(text: str) -> int:
    """A time with microseconds."""
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1) * US


def by_source(said: Iterable[Said], timed: bool = True) -> dict[str, dict[str, list[tuple[Any, int | None]]]]:
    """Facts by symbol and kind, in order. Untimed: the time is the sender's, not the frame's."""
    found: dict[str, dict[str, list[tuple[Any, int | None]]]] = defaultdict(lambda: defaultdict(list))
    for symbol, kind, fact, at in said:
        found[symbol][kind].append((fact, at if timed else None))
    return found
