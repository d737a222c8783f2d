"""A price-level book kept from snapshots and deltas, best first, bounded.

A level's value is whatever its keeper needs: a size, or the venue's own digits where a checksum is taken over them.
Nothing is ever repaired: a crossed book is reported crossed, and a gap is the keeper's to see.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import Generic, TypeVar

V = TypeVar("V")


class Levels(Generic[V]):
    """One side: price to value, with the prices kept sorted. `best` is the highest for bids, the lowest for asks."""

    __slots__ = ("_descending", "_prices", "_values")

    def __init__(self, descending: bool) -> None:
        self._descending = descending
        self._prices: list[float] = []
        self._values: dict[float, V] = {}

    def __len__(self) -> int:
        return len(self._prices)

    def replace(self, levels: Iterable[tuple[float, V]]) -> None:
        """Forget everything and take these levels; of one price given twice, the last."""
        self._values = dict(levels)
        self._prices = sorted(self._values)

    def put(self, price: float, value: V) -> None:
        """Add or change a level."""
        if price not in self._values:
            insort(self._prices, price)
        self._values[price] = value

    def remove(self, price: float) -> bool:
        """Take a level away; False if there was none."""
        if self._values.pop(price, None) is None:
            return False
        del self._prices[bisect_left(self._prices, price)]
        return True

    def keep(self, depth: int) -> None:
        """Drop every level beyond the best `depth`."""
        excess = len(self._prices) - depth
        if excess <= 0:
            return
        gone = self._prices[:excess] if self._descending else self._prices[-excess:]
        self._prices = self._prices[excess:] if self._descending else self._prices[:-excess]
        for price in gone:
            del self._values[price]

    def best(self) -> tuple[float, V] | None:
        """The best level, or None when the side is empty."""
        if not self._prices:
            return None
        price = self._prices[-1] if self._descending else self._prices[0]
        return price, self._values[price]

    def first(self, depth: int) -> list[tuple[float, V]]:
        """The best `depth` levels, best first."""
        prices = self._prices[: -depth - 1 : -1] if self._descending else self._prices[:depth]
        return [(price, self._values[price]) for price in prices]


class Book(Generic[V]):
    """Both sides of one market."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids: Levels[V] = Levels(descending=True)
        self.asks: Levels[V] = Levels(descending=False)
