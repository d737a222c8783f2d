"""What is last known of an index: its value, its sources with their verdicts, and the answers made of them.

A board is written by the hub, tick by tick, and read by REST and by stream snapshots. Bodies are made when first
asked for and kept until the next value.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Generic, NamedTuple, TypeVar

from oracle.core.maths import unscaled
from oracle.core.params import IndexInstrument, PerpInstrument, World
from oracle.core.types import (
    IndexValue,
    MarkPrice,
    Nanos,
    Quote,
    Reason,
    State,
    Value,
    VerdictChange,
)
from oracle.publishers import render
from oracle.publishers.render import Answer, Stamp


class Memory(NamedTuple):
    """What stood on a board when a message's values were published."""

    good: MarkPrice | None
    carried: bool


V = TypeVar("V", IndexValue, MarkPrice)


class Board(Generic[V]):
    """What every board has: the last value of its instrument."""

    def __init__(self, value: V) -> None:
        self.value: V = value

    @property
    def seq(self) -> int:
        """The last published seq; 0 before the first."""
        return self.value.seq

    @property
    def at_ns(self) -> Nanos:
        """When the last value was made; 0 before the first."""
        return self.value.at_ns

    @property
    def state(self) -> State:
        """The state of the last value."""
        return self.value.state


class IndexBoard(Board[IndexValue]):
    """The last value of an index, what its sources counted for, and the log of their verdicts."""

    def __init__(self, world: World, instrument: IndexInstrument, changes_max: int) -> None:
        super().__init__(_no_index(instrument.id))
        self.instrument = instrument
        self.quotes: tuple[Quote, ...] = ()
        self.quotes_ns: Nanos = 0
        self.changes: deque[VerdictChange] = deque(maxlen=changes_max)
        self._sources = world.sources
        self._fixed = fixed(instrument, world)
        self._body: Answer | None = None

    def take(self, value: IndexValue) -> None:
        """A newer value."""
        self.value, self._body = value, None

    def judge(self, quotes: tuple[Quote, ...], at_ns: Nanos) -> None:
        """What the sources counted for at that time."""
        self.quotes, self.quotes_ns = quotes, at_ns

    def body(self) -> Answer:
        """The value as journaled, without age."""
        if self._body is None:
            self._body = {**render.index_body(self.instrument, self.value), **self._fixed}
        return self._body

    def index(self, stamp: Stamp) -> Answer:
        """The reference asset price."""
        return render.dressed(self.body(), self.at_ns, self.value.oldest_input_age_ms, stamp)

    snapshot = index

    def memory(self) -> Memory:
        """What an index message needs besides its values: nothing."""
        return Memory(None, False)

    def share(self, values: Iterable[Value], memory: Memory) -> Answer:
        """An index's part of a stream message."""
        part: Answer = {}
        for value in values:
            if isinstance(value, IndexValue):
                part["index"] = {**render.index_body(self.instrument, value), **self._fixed}
            elif isinstance(value, VerdictChange):
                part.setdefault("verdict_changes", []).append(render.change_body(value, self._sources))
        return part

    def sources(self, stamp: Stamp) -> Answer:
        """Every source with its verdict, and the log of verdict changes, newest last."""
        price = self.value.price
        index = None if price is None else unscaled(price, self.instrument.price_decimals)
        judged = {quote.source: quote for quote in self.quotes}
        since_ms = stamp.age_ms(self.quotes_ns) or 0
        items = []
        for place in self.instrument.sources:
            quote = None if stamp.halted else judged.get(place)
            items.append(render.source_body(self.instrument, self._sources[place], quote, index, since_ms))
        shown = self.index(stamp)
        return {
            **{key: shown[key] for key in (*render.STANDING, "price")},
            "items": items,
            "next": None,
            "verdict_changes": [render.change_body(change, self._sources) for change in self.changes],
        }

    def listed(self) -> Answer:
        """The instrument, as the list of instruments shows it."""
        instrument = self.instrument
        groups = {self._sources[place].group for place in instrument.sources}
        return {
            "instrument": instrument.id,
            "kind": "index",
            "base": instrument.base,
            "quote": instrument.quote,
            "price_decimals": instrument.price_decimals,
            "index": None,
            "contract_type": None,
            "contract_size": None,
            "tick": None,
            "funding_interval_ms": None,
            "n_sources": len(instrument.sources),
            "n_groups": len(groups),
            **self._fixed,
        }


def fixed(instrument: IndexInstrument | PerpInstrument, world: World) -> Answer:
    """What every answer about an instrument names: its rules, their document, and the world they stand in."""
    return {
        "methodology": render.methodology(instrument),
        "methodology_hash": instrument.document,
        "configuration_hash": world.configuration_hash,
    }


def _no_index(instrument: str) -> IndexValue:
    """What stands on the board before the first tick."""
    return IndexValue(
        instrument=instrument,
        seq=0,
        at_ns=0,
        price=None,
        last_good=None,
        last_good_ns=0,
        carried_forward=False,
        state=State.WARMING,
        state_since_ns=0,
        reasons=(Reason.WARMING_UP,),
        liquidation_ok=False,
        n_groups=0,
        breakdown_groups=0,
        confidence_bps_e2=None,
        gap_bps_e2=None,
        oldest_input_age_ms=None,
    )
