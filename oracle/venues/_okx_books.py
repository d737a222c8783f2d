"""How a book of OKX's channel `books` is kept and verified: update numbers, and the CRC32 of its best 25 levels a side.

The rules are those of `okx`, which reads the channel. A level's value is its digits as the venue wrote them, for the
checksum, and its size.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from itertools import zip_longest

import msgspec
from msgspec import Struct

from oracle.core.book import Book, Levels
from oracle.errors import Refusal, VenueError
from oracle.venues import base

_KEPT_LEVELS_MAX = 400  # what the channel shows of a side
_CHECKED_LEVELS = 25


class Change(Struct):
    """A snapshot, or what has changed since the one before: price, size, a retired field, the number of orders."""

    bids: list[tuple[str, str, str, str]]
    asks: list[tuple[str, str, str, str]]
    time_ms: int = msgspec.field(name="ts")
    checksum: int | None = None
    seq: int | None = msgspec.field(name="seqId", default=None)
    previous: int | None = msgspec.field(name="prevSeqId", default=None)


class Keeper:
    """One symbol's book."""

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._book: Book[tuple[str, float]] = Book()
        self._stands = False
        self._seq: int | None = None

    def restart(self, said: Change) -> None:
        """Take a snapshot. Raises VenueError CHECKSUM, and then the book does not stand."""
        bids, asks = list(_levels(said.bids)), list(_levels(said.asks))
        self._book.bids.replace(level for level in bids if level[1][1])
        self._book.asks.replace(level for level in asks if level[1][1])
        self._settle(said)

    def change(self, said: Change) -> None:
        """Take a delta. Raises VenueError: without a book, after a gap, or when the checksum differs."""
        if not self._stands:
            raise VenueError(Refusal.NO_SNAPSHOT, self._symbol[:40])
        bids, asks = list(_levels(said.bids)), list(_levels(said.asks))
        if said.previous is not None and self._seq is not None and said.previous != self._seq:
            self._stands = False
            raise VenueError(Refusal.SEQUENCE_GAP, f"{said.previous} after {self._seq}")
        _apply(self._book.bids, bids)
        _apply(self._book.asks, asks)
        self._settle(said)

    def best(self) -> tuple[float, float, float, float]:
        """Bid, its size, ask, its size; zeros for an empty side."""
        bid, ask = self._book.bids.best(), self._book.asks.best()
        return (*((bid[0], bid[1][1]) if bid else (0.0, 0.0)), *((ask[0], ask[1][1]) if ask else (0.0, 0.0)))

    def _settle(self, said: Change) -> None:
        self._stands = False
        numbered = said.seq is not None and said.previous is not None
        if said.checksum is None and not numbered:
            raise VenueError(Refusal.WRONG_SHAPE, "neither a checksum nor an update number")
        if said.checksum is not None and (said.checksum or not numbered) and said.checksum != self._checksum():
            raise VenueError(Refusal.CHECKSUM, self._symbol[:40])
        self._stands, self._seq = True, said.seq

    def _checksum(self) -> int:
        """The signed CRC32 of bid and ask levels in turn, `price:size` each, joined by colons."""
        bids, asks = self._book.bids.first(_CHECKED_LEVELS), self._book.asks.first(_CHECKED_LEVELS)
        digits = [level[1][0] for pair in zip_longest(bids, asks) for level in pair if level]
        unsigned = zlib.crc32(":".join(digits).encode())
        return unsigned - (1 << 32) if unsigned >= 1 << 31 else unsigned


def _levels(side: Iterable[tuple[str, str, str, str]]) -> Iterable[tuple[float, tuple[str, float]]]:
    """Price, then digits and size, of each level. Raises VenueError."""
    for price, size, _, _ in side:
        try:
            said = msgspec.convert(price, float, strict=False), msgspec.convert(size, float, strict=False)
        except msgspec.ValidationError:
            raise VenueError(Refusal.WRONG_SHAPE, f"{price[:40]} {size[:40]}") from None
        yield base.price(said[0]), (f"{price}:{size}", base.number(said[1]))


def _apply(side: Levels[tuple[str, float]], levels: list[tuple[float, tuple[str, float]]]) -> None:
    for price, value in levels:
        if value[1]:
            side.put(price, value)
        else:
            side.remove(price)
    side.keep(_KEPT_LEVELS_MAX)
