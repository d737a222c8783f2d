"""What a stream betrays of itself: a book that stands still while its own trades print outside of it.

A trade happens at a price of the book, so when trades leave a book behind, the book follows or it is not the market's
any more, however often it is restated and however fresh its times. A book can die whole, or keep its prices and go on
changing their sizes, so that is asked twice (`DEAD`, `STUCK`): has it stood for so long, and for so many of its usual
gaps between changes, while so many prints more were outside of it than inside?

An honest book is outrun too, for a moment: a sweep prints through several levels before the book follows, and trades
older than a change arrive after it. So of the prints one is looked at in a second, or in the book's usual gap where
that is longer, none before that has passed since the change, none whose venue time is older than the change, and only
what is further than `BEYOND` from the book is outside. A change of the book wipes out all that was counted.

It cannot see a book that stands still where nothing trades, where the price has not left it, or whose trades stand
still with it. It wrongly accuses a book at rest when a venue prints trades made elsewhere (blocks, auctions) more often
than its own, or prints them many seconds late without venue times on both.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from msgspec import Struct, field

from oracle.core.maths import median
from oracle.core.types import NANOS_PER_S, BookTop, Nanos, Trade

BEYOND = 0.00005  # of the price: half a basis point
PACE_NS_MIN = NANOS_PER_S
GAPS_REMEMBERED = 32
GAPS_NEEDED = 4  # fewer say nothing about a habit
PACE_NS_UNKNOWN = 15 * NANOS_PER_S


class _Rule(Struct, frozen=True):
    outside: int  # prints outside less prints inside
    stands_ns: int
    stands_gaps: int


DEAD = _Rule(3, 5 * NANOS_PER_S, 4)  # nothing of the top changes
STUCK = _Rule(4, 10 * NANOS_PER_S, 8)  # neither price changes


class _Watch(Struct):
    """Since when something of a book stands, and what was printed since."""

    rule: _Rule
    gaps: deque[int] = field(default_factory=lambda: deque(maxlen=GAPS_REMEMBERED))  # ns
    since_ns: Nanos = 0  # the change, by receipt
    event_ns: Nanos = 0  # and by the venue's time; 0: not stated
    pace_ns: float = 0.0  # the usual gap; 0.0: not worked out since the change
    outside: int = 0
    print_ns: Nanos = 0  # the last one looked at, or the change

    def change(self, top: BookTop) -> None:
        """The book moves: it is not left behind."""
        if self.since_ns:
            self.gaps.append(top.recv_ns - self.since_ns)
        self.since_ns = self.print_ns = top.recv_ns
        self.event_ns = top.venue_ns
        self.pace_ns = 0.0
        self.outside = 0

    def traded(self, trade: Trade, outside: bool) -> None:
        """A trade printed, outside of the book or inside."""
        passed_ns = trade.recv_ns - self.print_ns
        if passed_ns < PACE_NS_MIN or 0 < trade.venue_ns <= self.event_ns:
            return
        if not self.pace_ns:
            known = len(self.gaps) >= GAPS_NEEDED
            self.pace_ns = max(median(tuple(self.gaps)), PACE_NS_MIN) if known else PACE_NS_UNKNOWN
        if passed_ns >= self.pace_ns:
            self.print_ns = trade.recv_ns
            self.outside = self.outside + 1 if outside else max(0, self.outside - 1)

    def accuses(self, now_ns: Nanos) -> bool:
        """Whether the book stands where the market is not."""
        rule = self.rule
        if self.outside < rule.outside:
            return False
        return now_ns - self.since_ns >= max(rule.stands_ns, rule.stands_gaps * self.pace_ns)


class _Book(Struct):
    """The standing top of one source, and the two watches on it."""

    bid: float = 0.0
    bid_size: float = 0.0
    ask: float = 0.0
    ask_size: float = 0.0
    dead: _Watch = field(default_factory=lambda: _Watch(DEAD))
    stuck: _Watch = field(default_factory=lambda: _Watch(STUCK))


class Evidence:
    """The evidence against the books of some sources. Times of receipt must not run backwards from call to call."""

    def __init__(self, sources: Iterable[int]) -> None:
        self._books = {source: _Book() for source in sources}

    def said(self, top: BookTop) -> None:
        """A book was stated, whether or not it says anything new."""
        book = self._books[top.source]
        moved = top.bid != book.bid or top.ask != book.ask
        if moved:
            book.stuck.change(top)
        elif top.bid_size == book.bid_size and top.ask_size == book.ask_size:
            return
        book.dead.change(top)
        book.bid, book.bid_size, book.ask, book.ask_size = top.bid, top.bid_size, top.ask, top.ask_size

    def traded(self, trade: Trade) -> None:
        """A trade was reported."""
        book = self._books[trade.source]
        outside = _outside(book, trade.price)
        book.dead.traded(trade, outside)
        book.stuck.traded(trade, outside)

    def frozen(self, now_ns: Nanos) -> tuple[int, ...]:
        """The sources whose book stands still at `now_ns` while its trades have left it, in the order they came in."""
        return tuple(
            source for source, book in self._books.items() if book.dead.accuses(now_ns) or book.stuck.accuses(now_ns)
        )


def _outside(book: _Book, price: float) -> bool:
    """Whether a price is clearly above or below the book. An empty side bounds nothing, a crossed book both ways."""
    margin = price * BEYOND
    if price - margin > max(book.bid, book.ask):
        return book.ask > 0.0
    return price + margin < (min(book.bid, book.ask) if book.ask else book.bid)
