"""The simulated trading engine: tells the oracle's engine feed what the platform's own markets state in the world."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from oracle.core.types import Action, BookTop, Command, Depth, Liquidation, Side, Trade
from oracle.simulator.world import Said


class Sender(Protocol):
    """An open line to an engine feed (`oracle.client.sender`). No method waits."""

    def book(self, instrument: str, bid: float, bid_size: float, ask: float, ask_size: float) -> None:
        """The best bid and ask now."""
        ...

    def depth(self, instrument: str, bids: Sequence[tuple[float, float]], asks: Sequence[tuple[float, float]]) -> None:
        """The visible book now, best first."""
        ...

    def trade(self, instrument: str, price: float, size: float, side: Side) -> None:
        """A trade; `side` is the taker's."""
        ...

    def liquidation(self, instrument: str, price: float, size: float, side: Side) -> None:
        """A forced close."""
        ...

    def status(self, instrument: str, reference_asset: Literal["trading", "suspended"], /) -> None:
        """Whether the platform trades the reference asset."""
        ...


class SimulatedEngine:
    """The platform's trading engine, as far as the oracle can see it. `take` is what a Stage calls."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def take(self, said: Said) -> None:
        """Tell the feed what one of the platform's markets stated."""
        sender, instrument = self._sender, said.market.symbol
        match said.fact:
            case BookTop(bid=bid, bid_size=bid_size, ask=ask, ask_size=ask_size):
                sender.book(instrument, bid, bid_size, ask, ask_size)
            case Depth(bids=bids, asks=asks):
                sender.depth(instrument, bids, asks)
            case Trade(price=price, size=size, side=side):
                sender.trade(instrument, price, size, side)
            case Liquidation(price=price, size=size, side=side):
                sender.liquidation(instrument, price, size, side)
            case Command(action=action):
                sender.status(instrument, "suspended" if action is Action.SUSPEND else "trading")
