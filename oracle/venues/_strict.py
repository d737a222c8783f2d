"""How bytes of a venue are read strictly: JSON without surprises, checked numbers, event times in a pinned unit.

Theory of the strict decoder. msgspec decodes a frame into a typed struct in well under a microsecond, and refuses bad
JSON, wrong types, underscores, foreign digits and overflow; it does not see a key given twice, and skips unknown
fields without looking inside. `Decoder` adds what is missing at the price of one scan: a frame whose count of `":` is
the one that a complete message of this shape has, is ASCII and has no escapes, and no white space before a colon,
cannot hold a duplicate of a required key. Any other frame takes the slow road through the standard library, which sees
every key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from math import inf, isfinite
from typing import Any, Generic, Literal, NoReturn, TypeAlias, TypeVar

import msgspec

from oracle.core.types import NANOS_PER_S, BookTop, Nanos, Ticker, TickerKind
from oracle.errors import Refusal, VenueError

T = TypeVar("T")
Said: TypeAlias = float | Literal[""] | None  # a number, or one of the ways to say none
EVENT_TIME_ERROR_NS_MAX = 86_400 * NANOS_PER_S  # a day off is another unit, not another clock
AMOUNT_MIN = 1e-18  # the finest unit that a ledger counts in: below it stand underflows and denormals
PRICE_BOUND, SIZE_BOUND = 1e15, 1e18  # of no market
BACKSLASH = 92  # as an int: looking for one byte is five times as quick as for a string of one
TAB, LINE_FEED, CARRIAGE_RETURN, SPACE = 9, 10, 13, 32
_APART = re.compile(rb"[ \t\n\r]:")  # a key that is not counted; looking for the spaces first costs far less


class Decoder(Generic[T]):
    """Strict JSON to a typed value. `keys` are the counts of keys that complete messages of this shape have."""

    def __init__(self, shape: type[T] | Any, keys: Sequence[int] = (), bytes_max: int = 1 << 20) -> None:
        self._decode: Callable[[bytes], T] = msgspec.json.Decoder(shape, strict=False).decode
        self._keys = frozenset(keys)
        self._bytes_max = bytes_max

    def __call__(self, data: bytes) -> T:
        """The value. Raises VenueError."""
        if len(data) > self._bytes_max:
            raise VenueError(Refusal.TOO_LARGE, f"{len(data)} bytes")
        try:
            value = self._decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            refuse(data, error)
        if (
            data.count(b'":') not in self._keys
            or BACKSLASH in data
            or not data.isascii()
            or ((SPACE in data or LINE_FEED in data or CARRIAGE_RETURN in data or TAB in data) and _APART.search(data))
        ):
            check_strictly(data)
        return value


def refuse(data: bytes, error: Exception) -> NoReturn:
    """Raise the VenueError that says what is wrong with bytes which did not decode."""
    if isinstance(error, RecursionError):
        raise VenueError(Refusal.TOO_DEEP) from None
    check_strictly(data)
    if isinstance(error, msgspec.ValidationError):
        raise VenueError(Refusal.WRONG_SHAPE, str(error)[:120]) from None
    raise VenueError(Refusal.NOT_JSON, str(error)[:120]) from None


def check_strictly(data: bytes) -> None:
    """Raise VenueError unless the bytes are UTF-8 JSON without duplicate keys, NaN, huge numbers or deep nesting."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise VenueError(Refusal.NOT_UTF8) from None
    try:
        json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_int, parse_float=_float)
    except RecursionError:
        raise VenueError(Refusal.TOO_DEEP) from None
    except ValueError as error:
        raise VenueError(Refusal.NOT_JSON, str(error)[:120]) from None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise VenueError(Refusal.DUPLICATE_KEY, next(k for k, _ in pairs if sum(k == o for o, _ in pairs) > 1)[:40])
    for name in made:
        if not name.isprintable():
            raise VenueError(Refusal.NOT_JSON, "an unprintable key")
    return made


def _no_constant(word: str) -> NoReturn:
    raise VenueError(Refusal.NOT_JSON, word)


def _int(digits: str) -> int:
    if len(digits) > 40:
        raise VenueError(Refusal.NOT_A_NUMBER, f"an integer of {len(digits)} digits")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if not isfinite(value):
        raise VenueError(Refusal.NOT_A_NUMBER, digits[:40])
    return value


def price(value: float) -> float:
    """A price a venue said: above zero and within what a market can have, or VenueError."""
    if AMOUNT_MIN <= value < PRICE_BOUND:  # NaN compares false
        return value
    raise _no_amount(value)


def size(value: float) -> float:
    """A size a venue said: above zero and within what a market can have, or VenueError."""
    if AMOUNT_MIN <= value < SIZE_BOUND:
        return value
    raise _no_amount(value)


def number(value: float) -> float:
    """A size that may be zero (a level's in a delta), never negative, or VenueError."""
    if value == 0.0 or AMOUNT_MIN <= value < SIZE_BOUND:
        return value
    raise _no_amount(value)


def _no_amount(value: float) -> VenueError:
    """Negative and zero are not positive; an infinity, NaN, and what is beyond any market's range are no amounts."""
    return VenueError(Refusal.NOT_POSITIVE if -inf < value <= 0.0 else Refusal.NOT_A_NUMBER, repr(value))


def top(
    source: int, bid: float, bid_size: float, ask: float, ask_size: float, venue_ns: Nanos, recv_ns: Nanos
) -> BookTop:
    """A checked BookTop. A side of zero size or price is an empty side; both empty is a fact too."""
    if bid_size == 0.0 or bid == 0.0:
        bid = bid_size = 0.0
    else:
        bid, bid_size = price(bid), size(bid_size)
    if ask_size == 0.0 or ask == 0.0:
        ask = ask_size = 0.0
    else:
        ask, ask_size = price(ask), size(ask_size)
    return BookTop(source, bid, bid_size, ask, ask_size, venue_ns, recv_ns)


def tickers(source: int, mark: Said, index: Said, funding: Said, venue_ns: Nanos, recv_ns: Nanos) -> Iterator[Ticker]:
    """The mark price, the index and the funding rate, as far as a venue states them; a rate is a fraction of one.

    An empty text is nothing said. Raises VenueError.
    """
    for kind, said in ((TickerKind.MARK, mark), (TickerKind.INDEX, index)):
        if said is not None and said != "":
            yield Ticker(source, kind, price(said), venue_ns, recv_ns)
    if funding is not None and funding != "":
        if not -1.0 < funding < 1.0:
            raise VenueError(Refusal.NOT_A_NUMBER, repr(funding))
        yield Ticker(source, TickerKind.FUNDING, funding, venue_ns, recv_ns)


def event_time(value: int, unit_ns: int, recv_ns: Nanos) -> Nanos:
    """A venue's integer event time in its pinned unit, as UTC nanoseconds. Raises VenueError TIME_UNIT."""
    venue_ns = value * unit_ns
    if venue_ns <= 0 or (recv_ns and abs(venue_ns - recv_ns) > EVENT_TIME_ERROR_NS_MAX):
        raise VenueError(Refusal.TIME_UNIT, f"{value} x {unit_ns} ns")
    return venue_ns


def decimal_text(value: float) -> str:
    """A double as plain decimal digits, never in scientific notation; reads back to the same double."""
    return format(Decimal(repr(value)), "f")


_SECONDS: dict[str, int] = {}  # the last few distinct seconds: a memo of a pure function


def event_time_iso(text: str, recv_ns: Nanos) -> Nanos:
    """A venue's RFC 3339 event time (`2021-04-17T16:43:37.075351Z`), to the nanosecond. Raises VenueError."""
    second, fraction, digits = text[:19], text[19:-1], text[20:-1]
    if text[-1:] != "Z" or (fraction and (fraction[0] != "." or not digits.isascii() or not digits.isdigit())):
        raise VenueError(Refusal.TIME_UNIT, text[:40])
    seconds = _SECONDS.get(second)
    if seconds is None:
        try:
            seconds = int(datetime.fromisoformat(second + "+00:00").timestamp())
        except ValueError:
            raise VenueError(Refusal.TIME_UNIT, text[:40]) from None
        if len(_SECONDS) > 64:
            _SECONDS.clear()
        _SECONDS[second] = seconds
    return event_time(seconds * NANOS_PER_S + int(digits[:9].ljust(9, "0") or 0), 1, recv_ns)
