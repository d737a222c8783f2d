"""Where a venue's REST states the top of a market's book, as data: an address, and paths into the answer.

The same data reads an answer (`read`) and makes one (`say`), so that a simulated venue answers in the real one's words.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, BookTop, Nanos
from oracle.errors import Refusal, VenueError
from oracle.venues._strict import Decoder, decimal_text, event_time, event_time_iso, number, price

BODY_BYTES_MAX = 1 << 20
SYMBOL = "{symbol}"
ONLY = "*"
BELOW_ZERO = "-"

_ANY: Decoder[Any] = Decoder(Any, bytes_max=BODY_BYTES_MAX)


class RestTop(Struct, frozen=True, kw_only=True):
    """An address and what its answer says where.

    `{symbol}` stands in the address, and in the `content` of a question that is posted, for the symbol as `spelling`
    rewrites it, replacement after replacement (`lower`: in lower case). A path is keys and places with dots between
    (`result.0.b`); `*` is the one value of an object whose key is not known before; a minus before it points to a
    number that is said below zero. A size without a path is not stated: 0.0 beside a price. A time is an integer of
    `time_unit_ns`, or RFC 3339 text when that is 0, which without a zone is UTC. What `symbol` points to must be
    `named`, the symbol as it was asked for. `fine` is a path and the JSON that stands there when nothing is wrong.
    `quoted` and `quoted_time` say whether numbers, and the time, are said as text: both are read, one is said.
    """

    url: str
    bid: str
    ask: str
    bid_size: str = ""
    ask_size: str = ""
    time: str = ""
    time_unit_ns: int = NANOS_PER_MS
    symbol: str = ""
    spelling: tuple[tuple[str, str], ...] = ()
    lower: bool = False
    named: str = SYMBOL
    fine: tuple[str, str] | None = None
    content: str = ""
    quoted: bool = True
    quoted_time: bool = False

    def spell(self, symbol: str) -> str:
        """The symbol as REST spells it."""
        for ours, theirs in self.spelling:
            symbol = symbol.replace(ours, theirs)
        return symbol.lower() if self.lower else symbol

    def address(self, symbol: str) -> str:
        """The address that is asked for this symbol."""
        return self.url.replace(SYMBOL, quote(self.spell(symbol), safe=""))

    def question(self, symbol: str) -> str:
        """What is posted to the address; empty: it is asked with a GET."""
        return self.content.replace(SYMBOL, self.spell(symbol))

    def read(self, source: int, symbol: str, body: bytes, recv_ns: Nanos) -> BookTop:
        """The top of book in a body. Raises VenueError."""
        said = _ANY(body)
        if self.fine and msgspec.json.encode(_found(said, self.fine[0])).decode() != self.fine[1]:
            raise VenueError(Refusal.VENUE_ERROR, body[:120].decode("utf-8", "replace"))
        if self.symbol and (named := _found(said, self.symbol)) != self.named.replace(SYMBOL, self.spell(symbol)):
            raise VenueError(Refusal.UNKNOWN_SYMBOL, str(named)[:40])
        bid, ask = price(_numeric(said, self.bid)), price(_numeric(said, self.ask))
        bid_size = number(_numeric(said, self.bid_size)) if self.bid_size else 0.0
        ask_size = number(_numeric(said, self.ask_size)) if self.ask_size else 0.0
        return BookTop(source, bid, bid_size, ask, ask_size, self._time(said, recv_ns) if self.time else 0, recv_ns)

    def say(self, symbol: str, top: BookTop) -> bytes:
        """A body that states this top and nothing that is not read; a time it has only if the venue states one."""
        spelt = self.spell(symbol)
        parts: list[tuple[str, object]] = [(self.fine[0], msgspec.Raw(self.fine[1].encode()))] if self.fine else []
        parts += [(self.symbol, self.named.replace(SYMBOL, spelt)), (self.time, self._stamp(top.venue_ns))]
        amounts = (
            (self.bid, top.bid),
            (self.bid_size, top.bid_size),
            (self.ask, top.ask),
            (self.ask_size, top.ask_size),
        )
        for path, amount in amounts:
            signed = -amount if path.startswith(BELOW_ZERO) else amount
            parts.append((path.removeprefix(BELOW_ZERO), decimal_text(signed) if self.quoted else signed))
        said: Any = None
        for path, value in parts:
            said = _put(said, path.replace(ONLY, spelt), value)
        return msgspec.json.encode(said)

    def _time(self, said: object, recv_ns: Nanos) -> Nanos:
        stamp = _found(said, self.time)
        if not self.time_unit_ns:
            text = str(stamp)
            return event_time_iso(text if text.endswith("Z") else text + "Z", recv_ns)
        try:
            whole = msgspec.convert(stamp, int, strict=False)
        except msgspec.ValidationError:
            raise VenueError(Refusal.TIME_UNIT, str(stamp)[:40]) from None
        return event_time(whole, self.time_unit_ns, recv_ns)

    def _stamp(self, venue_ns: Nanos) -> int | str:
        if not self.time_unit_ns:
            second = datetime.fromtimestamp(venue_ns // NANOS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            return f"{second}.{venue_ns % NANOS_PER_S:09d}Z"
        whole = venue_ns // self.time_unit_ns
        return str(whole) if self.quoted_time else whole


def _found(said: Any, path: str) -> Any:
    """What stands at a path of a decoded answer. Raises VenueError."""
    for part in path.split("."):
        try:
            if part == ONLY:
                (said,) = said.values()
            elif part.isdecimal() == isinstance(said, list):
                said = said[int(part) if isinstance(said, list) else part]
            else:
                raise KeyError(part)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            raise VenueError(Refusal.WRONG_SHAPE, f"no `{path}` in the answer") from None
    return said


def _numeric(said: object, path: str) -> float:
    value = _found(said, path.removeprefix(BELOW_ZERO))
    try:
        amount = msgspec.convert(value, float, strict=False)
    except msgspec.ValidationError:
        raise VenueError(Refusal.WRONG_SHAPE, f"no number at `{path}`") from None
    return -amount if path.startswith(BELOW_ZERO) else amount


def _put(said: Any, path: str, value: object) -> Any:
    """The answer with a value at a path, which is made as far as it is not there; no path: the answer as it is."""
    if not path:
        return said
    part, _, rest = path.partition(".")
    if part.isdigit():
        row = list(said or ())
        row += [1] * (int(part) + 1 - len(row))  # what is passed over: how many orders a level has, and the like
        row[int(part)] = _put(_inner(row[int(part)]), rest, value) if rest else value
        return row
    made = dict(said or {})
    made[part] = _put(_inner(made.get(part)), rest, value) if rest else value
    return made


def _inner(said: object) -> object:
    return said if isinstance(said, list | dict) else None
