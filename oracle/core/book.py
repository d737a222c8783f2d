"""A price-level book kept from snapshots and deltas, best first, bounded.

A level's value is whatever its keeper needs: a size, or the venue's own digits where a checksum is taken over them.
Nothing is ever repaired: a crossed book is reported crossed, and a gap is the keeper's to see.

Prices are kept sorted with the best last, asks by their negative: the top is where books change, and the end of a
list is where a change is cheap.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import Generic, TypeVar

V = TypeVar("V")


class Levels(Generic[V]):
    """One side: price to value. `best` is the highest for bids (`descending`), the lowest for asks."""

    __slots__ = ("_keys", "_sign", "_values")

    def __init__(self, descending: bool) -> None:
        self._sign = 1.0 if descending else -1.0
        self._keys: list[float] = []
        self._values: dict[float, V] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def replace(self, levels: Iterable[tuple[float, V]]) -> None:
        """Forget everything and take these levels; of one price given twice, the last."""
        self._values = dict(levels)
        sign = self._sign
        self._keys = sorted([sign * price for price in self._values])

    def put(self, price: float, value: V) -> None:
        """Add or change a level."""
        if price not in self._values:
            insort(self._keys, self._sign * price)
        self._values[price] = value

    def remove(self, price: float) -> bool:
        """Take a level away; False if there was none."""
        if self._values.pop(price, None) is None:
            return False
        del self._keys[bisect_left(self._keys, self._sign * price)]
        return True

    def keep(self, depth: int) -> None:
        """Drop every level beyond the best `depth`."""
        excess = len(self._keys) - depth
        if excess <= 0:
            return
        for key in self._keys[:excess]:
            del self._values[self._sign * key]
        del self._keys[:excess]

    def best(self) -> tuple[float, V] | None:
        """The best level, or None when the side is empty."""
        if not self._keys:
            return None
        price = self._sign * self._keys[-1]
        return price, self._values[price]

    def first(self, depth: int) -> list[tuple[float, V]]:
        """The best `depth` levels, best first."""
        sign, values = self._sign, self._values
        return [(sign * key, values[sign * key]) for key in self._keys[: -depth - 1 : -1]]


class Book(Generic[V]):
    """Both sides of one market."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids: Levels[V] = Levels(descending=True)
        self.asks: Levels[V] = Levels(descending=False)
