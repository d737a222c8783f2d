"""Frames that no Mimic says: marks, indices and funding rates, and the dialects that recordings are of.

Each is a message of the venue's documentation with numbers of our own, and what it comes to is what its Session makes
of it; the tests of the venue say whether that is right. `SYMBOL` stands for the symbol.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

from oracle.venues import base

ARCHIVED, OKX_V5 = "wss://api.gemini.com/v2/marketdata", "wss://ws.okx.com:8443/ws/v5/public"


class Dialect(NamedTuple):
    """A frame, the address by which its Session is chosen, its market and symbol, and the frames before it."""

    venue: str
    what: str
    frame: Any
    market: str = "spot"
    symbol: str = "BTC_USDT"
    address: str = ""
    before: tuple[Any, ...] = ()
    make: str = "session_for"

    def text(self, said: Any) -> bytes:
        """A frame as it is on the wire."""
        return json.dumps(said, separators=(",", ":")).replace("SYMBOL", self.symbol).encode()

    def session(self) -> base.Session:
        """A new Session that reads this."""
        module = import_module(f"oracle.venues.{self.venue}")
        feeds = [base.Feed(3, self.symbol)]
        if self.make != "session_for":
            session: base.Session = getattr(module, self.make)(feeds, self.market)
            return session
        return made(module, self.address, feeds, self.market)


def made(module: ModuleType, address: str, feeds: Sequence[base.Feed], market: str) -> base.Session:
    """The Session that a venue file chooses for an address."""
    choose: Callable[[str, Sequence[base.Feed], str], base.Session] = module.session_for
    return choose(address, feeds, market)


STATE = "marks"
# fmt: off
DIALECTS = (
    Dialect("bitget", STATE,
            {"action": "snapshot",
             "arg": {"instType": "USDT-FUTURES", "channel": "ticker", "instId": "SYMBOL"},
             "data": [{"instId": "SYMBOL",
                       "markPrice": "60000.125",
                       "indexPrice": "60000.375",
                       "fundingRate": "0.0001",
                       "ts": "1760000000000"}],
             "ts": 1760000000000},
            market="usdt"),
    Dialect("bitmex", STATE,
            {"table": "instrument",
             "action": "update",
             "data": [{"symbol": "SYMBOL",
                       "markPrice": 60000.125,
                       "indicativeSettlePrice": 60000.375,
                       "fundingRate": 0.0001,
                       "timestamp": "2025-10-09T08:53:20.000Z"}]}),
    Dialect("bybit", STATE,
            {"topic": "tickers.SYMBOL",
             "type": "snapshot",
             "data": {"symbol": "SYMBOL", "markPrice": "60000.125", "indexPrice": "60000.375", "fundingRate": "0.0001"},
             "cs": 1,
             "ts": 1760000000000},
            market="linear"),
    Dialect("deribit", STATE,
            {"jsonrpc": "2.0",
             "method": "subscription",
             "params": {"channel": "ticker.SYMBOL.100ms",
                        "data": {"timestamp": 1760000000000,
                                 "instrument_name": "SYMBOL",
                                 "mark_price": 60000.125,
                                 "index_price": 60000.375,
                                 "current_funding": 0.0001}}},
            symbol="BTC_USDC-PERPETUAL"),
    Dialect("dydx_v4", STATE,
            {"type": "subscribed",
             "connection_id": "d600a0d2",
             "message_id": 1,
             "channel": "v4_markets",
             "contents": {"markets": {"SYMBOL": {"ticker": "SYMBOL",
                                                 "oraclePrice": "60000.375",
                                                 "nextFundingRate": "0.0001"}}}}),
    Dialect("gate_futures", STATE,
            {"time": 1760000000,
             "time_ms": 1760000000000,
             "channel": "futures.tickers",
             "event": "update",
             "result": [{"contract": "SYMBOL",
                         "mark_price": "60000.125",
                         "index_price": "60000.375",
                         "funding_rate": "0.0001",
                         "t": 1760000000000}]}),
    Dialect("hyperliquid", STATE,
            {"channel": "activeAssetCtx",
             "data": {"coin": "SYMBOL", "ctx": {"funding": "0.0001", "oraclePx": "60000.375", "markPx": "60000.125"}}},
            symbol="BTC"),
    Dialect("kraken_futures", STATE,
            {"time": 1760000000000,
             "product_id": "SYMBOL",
             "feed": "ticker",
             "index": 60000.375,
             "markPrice": 60000.125,
             "relative_funding_rate": 0.0001,
             "suspended": False},
            symbol="PF_XBTUSD"),
    Dialect("mexc_contract", STATE,
            {"channel": "push.ticker",
             "data": {"fairPrice": 60000.125,
                      "fundingRate": 0.0001,
                      "indexPrice": 60000.375,
                      "symbol": "SYMBOL",
                      "timestamp": 1760000000000},
             "symbol": "SYMBOL",
             "ts": 1760000000000},
            market="contract"),
    Dialect("okx", "mark",
            {"arg": {"channel": "mark-price", "instId": "SYMBOL"},
             "data": [{"instType": "SWAP", "instId": "SYMBOL", "markPx": "60000.125", "ts": "1760000000000"}]},
            symbol="BTC-USDT-SWAP"),
    Dialect("okx", "funding",
            {"arg": {"channel": "funding-rate", "instId": "SYMBOL"},
             "data": [{"instId": "SYMBOL", "fundingRate": "0.0001", "fundingTime": "1760000000000"}]},
            symbol="BTC-USDT-SWAP"),
    Dialect("okx", "book",
            {"arg": {"channel": "books", "instId": "SYMBOL"},
             "action": "snapshot",
             "data": [{"bids": [["60000.5", "1.25", "0", "1"]],
                       "asks": [["60001.25", "2.5", "0", "1"]],
                       "ts": "1760000000000",
                       "seqId": 1,
                       "prevSeqId": -1}]},
            address=OKX_V5),
    Dialect("okx", "changed book",
            {"arg": {"channel": "books", "instId": "SYMBOL"},
             "action": "update",
             "data": [{"bids": [["60000.5", "1.25", "0", "1"]],
                       "asks": [["60001.25", "2.5", "0", "1"]],
                       "ts": "1760000000000",
                       "seqId": 2,
                       "prevSeqId": 1}]},
            address=OKX_V5,
            before=({"arg": {"channel": "books", "instId": "SYMBOL"},
             "action": "snapshot",
             "data": [{"bids": [["60000.5", "1.25", "0", "1"]],
                       "asks": [["60001.25", "2.5", "0", "1"]],
                       "ts": "1760000000000",
                       "seqId": 1,
                       "prevSeqId": -1}]},)),
    Dialect("okx", "ticker",
            {"arg": {"channel": "tickers", "instId": "SYMBOL"},
             "data": [{"instType": "SPOT",
                       "instId": "SYMBOL",
                       "askPx": "60001.25",
                       "askSz": "2.5",
                       "bidPx": "60000.5",
                       "bidSz": "1.25",
                       "ts": "1760000000000"}]},
            address=OKX_V5),
    Dialect("kraken_v1", "book",
            [100, {"as": [["60001.25", "2.5", "1760000000.000000"]], "bs": [["60000.5", "1.25", "1760000000.000000"]]},
             "book-10", "SYMBOL"],
            symbol="XBT/USD"),
    Dialect("kraken_v1", "ticker",
            [100, {"a": ["60001.25", 2, "2.5"], "b": ["60000.5", 1, "1.25"]}, "ticker", "SYMBOL"],
            symbol="XBT/USD"),
    Dialect("gemini", "book of v2",
            {"type": "l2_updates",
             "symbol": "SYMBOL",
             "changes": [["buy", "60000.5", "1.25"], ["sell", "60001.25", "2.5"]],
             "trades": [],
             "auction_events": []},
            address=ARCHIVED),
    Dialect("gemini", "changed book of v2",
            {"type": "l2_updates",
             "symbol": "SYMBOL",
             "changes": [["buy", "60000.5", "1.25"], ["sell", "60001.25", "2.5"]]},
            address=ARCHIVED,
            before=({"type": "l2_updates",
             "symbol": "SYMBOL",
             "changes": [["buy", "60000.5", "1.25"], ["sell", "60001.25", "2.5"]],
             "trades": [],
             "auction_events": []},)),
    Dialect("bitfinex", "ticker",
            [9, [60000.5, 1.25, 60001.25, 2.5, 1, 0.1, 60000.5, 9, 60001, 60000], 1, 1760000000000],
            address="wss://api.bitfinex.com/ws/2",
            before=({"event": "subscribed", "channel": "ticker", "chanId": 9, "symbol": "SYMBOL", "pair": "BTCUSD"},)),
    Dialect("coinbase", "ticker",
            {"type": "ticker",
             "sequence": 1,
             "product_id": "SYMBOL",
             "price": "60000.5",
             "best_bid": "60000.5",
             "best_bid_size": "1.25",
             "best_ask": "60001.25",
             "best_ask_size": "2.5",
             "time": "2025-10-09T08:53:20.000000Z"}),
    Dialect("coinbase_intl", "risk of before",
            {"sequence": 1,
             "channel": "RISK",
             "type": "UPDATE",
             "time": "2025-10-09T08:53:20Z",
             "product_id": "SYMBOL",
             "index_price": "60000.375",
             "mark_price": "60000.125"},
            make="International"),
    Dialect("coinbase_intl", "top of before",
            {"sequence": 1,
             "channel": "LEVEL1",
             "type": "UPDATE",
             "time": "2025-10-09T08:53:20Z",
             "product_id": "SYMBOL",
             "bid_price": "60000.5",
             "bid_qty": "1.25",
             "ask_price": "60001.25",
             "ask_qty": "2.5"},
            make="International"),
    Dialect("kucoin", "ticker",
            {"topic": "/market/ticker:SYMBOL",
             "type": "message",
             "subject": "trade.ticker",
             "data": {"sequence": "1",
                      "price": "60000.5",
                      "size": "0.01",
                      "bestAsk": "60001.25",
                      "bestAskSize": "2.5",
                      "bestBid": "60000.5",
                      "bestBidSize": "1.25",
                      "time": 1760000000000}},
            make="Tickers"),
)
# fmt: on


def of(venue: str) -> Iterator[Dialect]:
    """The frames of a venue file."""
    return (one for one in DIALECTS if one.venue == venue)
