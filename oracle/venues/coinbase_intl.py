"""What Coinbase says of its international perpetuals, today in Deribit's words, until 2026-10-01 in its own.

Sources, read 2026-11-21: docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/guides/derivatives/overview and
/technical, /coinbase-app/advanced-trade-apis/websocket/websocket-endpoints (Global Derivatives),
/api-reference/market-data/public-get_order_book, /international-exchange/websocket-feed (overview, channels),
docs.deribit.com/articles/intx-api-migration.

Coinbase International Exchange (INTX) ended on 2026-10-01: its market, and that of the `-PERP-INTX` products of
Advanced Trade, went into Deribit's, which Coinbase owns. `BTC-PERP` became `BTC_USDC-PERPETUAL`, in unified order
books. What is read is the public stream of that market under Coinbase's address, which needs no login and speaks
Deribit's dialect: `quote`, `trades` and `ticker` at 100 ms, sizes in the coin. It is the same book as
`deribit:BTC_USDC-PERPETUAL`: the two belong in one group, and are one price. What no page says, clients of the stream
report: a line on which the client says nothing for 30 s is closed, so `public/test` is called, and a channel that does
not exist is left out of the answer to a subscription.

`International` reads recordings of INTX: `LEVEL1` is the whole top, `MATCH` a trade with the aggressor's side, `RISK`
the mark price and the index, `FUNDING` the rate for an hour. Times are RFC 3339. The deltas of `LEVEL2` are not read.
A subscription there had to be signed by an API key; there is nobody left to sign for. Its refusals had the type
`REJECT`, as its clients read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import msgspec
from msgspec import Struct

from oracle.core.types import BookTop, Nanos, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, deribit

URL = "wss://streams.drb.coinbase.com/ws/api/v2"
INTERNATIONAL_URL = "wss://ws-md.international.coinbase.com"
INTERNATIONAL_HOSTS = ("international.coinbase.com", "n5e2.coinbase.com")
SIGN_OF_LIFE = '{"jsonrpc":"2.0","id":3,"method":"public/test","params":{}}'
SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
LEVEL1_KEYS, MATCH_KEYS = 9, 9


class Session(deribit.Session):
    """Reads tops, trades, marks, indices and funding of the perpetuals from the public stream."""

    venue = "coinbase_intl"
    ping_ms = 15_000
    tops: ClassVar = {
        "": msgspec.structs.replace(deribit.TOP, url=deribit.TOP.url.replace("www.deribit.com", "drb.coinbase.com"))
    }

    def url(self) -> str:
        """The address to dial."""
        return URL

    def idle(self, now_ns: Nanos) -> list[base.Send]:
        """A sign of life, which the venue answers."""
        return [base.Send(SIGN_OF_LIFE)]


class Mimic(deribit.Mimic):
    """Speaks as Deribit does."""

    venue = "coinbase_intl"


class _Level1(Struct, gc=False):
    sequence: int
    channel: Literal["LEVEL1"]
    type: Literal["SNAPSHOT", "UPDATE"]
    time: str
    product_id: str
    bid_price: base.Said = None
    bid_qty: base.Said = None
    ask_price: base.Said = None
    ask_qty: base.Said = None


class _Match(Struct, gc=False):
    sequence: int
    channel: Literal["MATCH"]
    type: Literal["SNAPSHOT", "UPDATE"]
    time: str
    product_id: str
    match_id: str
    trade_price: float
    trade_qty: float
    aggressor_side: str


class _State(Struct, gc=False):
    """Of `RISK` the mark price and the index, of `FUNDING` the rate."""

    time: str
    product_id: str
    mark_price: base.Said = None
    index_price: base.Said = None
    funding_rate: base.Said = None


_level1s: base.Decoder[_Level1] = base.Decoder(_Level1, keys=(LEVEL1_KEYS,))
_matches: base.Decoder[_Match] = base.Decoder(_Match, keys=(MATCH_KEYS,))
_states: base.Decoder[_State] = base.Decoder(_State)
_any: base.Decoder[dict[str, Any]] = base.Decoder(dict[str, Any])


class International(base.Session):
    """Reads what was recorded of Coinbase International Exchange. It asks for nothing: the exchange is no more."""

    venue = "coinbase_intl"

    def url(self) -> str:
        """The address that was dialled."""
        return INTERNATIONAL_URL

    def open(self) -> list[base.Send]:
        """Nothing."""
        return []

    def receive(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        """The facts in one frame. Raises VenueError."""
        if b'"channel":"LEVEL1"' in data:
            return [self._read_top(data, recv_ns)]
        if b'"channel":"MATCH"' in data:
            return self._read_match(data, recv_ns)
        return self._read_other(data, recv_ns)

    def _read_top(self, data: bytes, recv_ns: Nanos) -> BookTop:
        said = _level1s(data)
        sides = (said.bid_price, said.bid_qty, said.ask_price, said.ask_qty)
        if None in sides:
            base.check_strictly(data)
        source, venue_ns = self.source_of(said.product_id), base.event_time_iso(said.time, recv_ns)
        bid, bid_size, ask, ask_size = (side or 0.0 for side in sides)
        return base.top(source, bid, bid_size, ask, ask_size, venue_ns, recv_ns)

    def _read_match(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said = _matches(data)
        source, venue_ns = self.source_of(said.product_id), base.event_time_iso(said.time, recv_ns)
        side = SIDES.get(said.aggressor_side, Side.UNKNOWN)
        trade = Trade(source, base.price(said.trade_price), base.size(said.trade_qty), side, venue_ns, recv_ns)
        return [trade] if said.type == "UPDATE" else []  # a snapshot is the trade before the subscription

    def _read_other(self, data: bytes, recv_ns: Nanos) -> list[base.Event]:
        said = _any(data)
        channel = said.get("channel")
        if channel == "LEVEL1":  # written with spaces: the quick look did not know it
            return [self._read_top(data, recv_ns)]
        if channel == "MATCH":
            return self._read_match(data, recv_ns)
        if channel in ("RISK", "FUNDING"):
            state = _states(data)
            source, venue_ns = self.source_of(state.product_id), base.event_time_iso(state.time, recv_ns)
            mark, index, funding = state.mark_price, state.index_price, state.funding_rate
            return [*base.tickers(source, mark, index, funding, venue_ns, recv_ns)]
        if said.get("type") == "REJECT":
            raise VenueError(Refusal.VENUE_ERROR, f"{said.get('reason')} {said.get('message')}"[:120])
        if channel == "SUBSCRIPTIONS":
            return []
        raise VenueError(Refusal.UNKNOWN_MESSAGE, str(channel)[:40])


def session_for(url: str, feeds: Sequence[base.Feed], market: str = "spot") -> base.Session:
    """The Session that reads a recording made at `url`: INTX where the address says so, else what is there now."""
    if any(host in url for host in INTERNATIONAL_HOSTS):
        return International(feeds, market)
    return Session(feeds, market)
