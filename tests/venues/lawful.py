"""What may come of a damaged message instead of a refusal, because the dialect says it so: each with its reason.

The corpus knows no dialect; where one has a word for what elsewhere is damage, it stands here. An entry that no
damage needs any more fails a test, so the list cannot rot.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from oracle.errors import Refusal
from tests.venues.damages import Damage


class Lawful(NamedTuple):
    """Of these subjects, kinds, damages and places (patterns), this too may come, or a refusal for these reasons."""

    subjects: str
    names: str
    wheres: str
    may: tuple[str, ...] = ()
    reasons: tuple[Refusal, ...] = ()
    kinds: str = ".*"


SHIFTED = (Refusal.TIME_UNIT, Refusal.NOT_POSITIVE, Refusal.SEQUENCE_GAP)
POLLED = "polled top"
MARKS = "marks|mark|funding|risk of before"
LAWFUL = (
    # What kind of trade it is, futures say since 2021: one away from the book is passed over.
    Lawful("binance/.*", ".*", r".*data\.X", ("silent", "same")),
    # A side that is empty is null, or an empty text, in these dialects; the lax reader takes "null" for null.
    Lawful("bitmex|deribit|coinbase_intl", "null( in quotes)? for a number", ".*", ("empty",)),
    Lawful("gate|gate_futures|gemini", "an empty text for a number", ".*", ("empty", "unsized")),
    # Messages without the flags of today state no time; a text where the body stands is a name, and fields move on.
    Lawful("bitfinex", "null( in quotes)? for a time", ".*", ("untimed",)),
    Lawful("bitfinex", "a list (in|that is) a text|a list with null before", ".*", (), SHIFTED),
    # The venue says when its market is closed; before 2021 it did not. A trade of an auction has no taker.
    Lawful("bitflyer", ".* for a word", r".*message\.state", (), (Refusal.VENUE_ERROR,)),
    Lawful("bitflyer", "a key .*", r".*message\.state", ("same",)),
    Lawful("bitflyer", "an empty text for a side", ".*", ("sideless",)),
    Lawful("kraken_v1", "a time of zero for a time", ".*", ("untimed",)),
    # A time that is an empty text, or that of a market never quoted, is none.
    Lawful("coinbase|kraken", "an empty text for a time|no time in words for a time", ".*", ("untimed",)),
    Lawful("kraken", "a time of the epoch for a time", ".*", ("untimed",)),
    # Tickers had no time once, and snapshots still may not.
    Lawful("kraken|coinbase", "a key .*", r"the key (data\.0\.timestamp|time)", ("untimed",)),
    # A message without an id is of the grammar before v1; one without a result acknowledges.
    Lawful("crypto_com", "a key .*", "the key id", (), (Refusal.OLD_DIALECT,)),
    Lawful("crypto_com", "an object that is a list of its own", "the frame", (), (Refusal.OLD_DIALECT,)),
    Lawful("crypto_com", "a key left out|an object that is null", "(the key )?result", ("silent",)),
    # A change of a book need not speak of both sides, nor of any.
    Lawful("dydx_v4", ".*", r"(the key )?contents(\..*)?", ("partial", "silent")),
    # Sizes are cut to whole contracts: none is a price whose size is not stated, or a trade that lost its side.
    Lawful("gate_futures", ".*(zero|less than any double).* for a number", ".*size at .*", ("unsized", "silent")),
    # Of marks, index and funding a message states what it has; a value that is null or empty is none.
    Lawful(
        ".*",
        "(null|null in quotes|an empty text|no time in words|a time of zero) for a .*|a key .*",
        ".*",
        ("fewer", "untimed"),
        (),
        MARKS,
    ),
    # REST: a size of zero is one that is not stated, a time needs no zone, an answer says whether all is well.
    Lawful(".*", ".*(zero|than any double).* for a number", "(bid|ask)_size at .*", ("unsized",), (), POLLED),
    Lawful(".*", "a time without its zone for a time", ".*", ("same",), (), POLLED),
    Lawful(".*", ".* for a time", ".*", (), (Refusal.TIME_UNIT,), POLLED),
    Lawful(".*", ".* for a word", "word at .*", (), (Refusal.VENUE_ERROR,), POLLED),
    Lawful("kraken", "a list .*", "error", (), (Refusal.VENUE_ERROR,), POLLED),
    Lawful("kraken", "a key .*", r"the key result\.BTCUSDT", ("same",), (), POLLED),  # the pair goes by two names
    Lawful("bitfinex", ".* for a number", "ask_size at 1.2", (), (Refusal.NOT_POSITIVE,), POLLED),
    # Marks and rates are of perpetuals: another symbol has neither.
    Lawful("okx", "another symbol throughout", ".*", (), (Refusal.UNKNOWN_MESSAGE,), MARKS),
    # The newest level is the book's time; a message without a snapshot's keys is a change.
    Lawful("kraken_v1", ".* for a time", r"venue_ns at 1\.(as|bs).*", ("same",), (), "book"),
    Lawful("kraken_v1", "an object .*|a key .*", r".*1(\.as|\.bs)?", ("empty",), (Refusal.NO_SNAPSHOT,), "book"),
    # A ticker without sizes is no top; a side that is not said is empty.
    Lawful("coinbase", "null.* for a number|a key .*", ".*best_(bid|ask)_size", ("silent",), (), "ticker"),
    Lawful("coinbase_intl", "an empty text .*|a key .*", ".*(bid|ask)_(price|qty)", ("empty",), (), "top of before"),
    # The channel names the symbol; the field of its own may be missing.
    Lawful("mexc", "a field (left out|of another number)", r"symbol at \(1,\)", ("same",)),
)


def of(subject: str, kind: str) -> tuple[Lawful, ...]:
    """The entries of a subject and a kind of frame."""
    return tuple(one for one in LAWFUL if re.fullmatch(one.subjects, subject) and re.fullmatch(one.kinds, kind))


def widened(entries: tuple[Lawful, ...], bad: Damage) -> tuple[Damage, list[Lawful]]:
    """The damage with what this dialect makes of it, and the entries that say so."""
    fit = [one for one in entries if re.fullmatch(one.wheres, bad.where) and re.fullmatch(one.names, bad.name)]
    for one in fit:
        bad = bad._replace(may=bad.may + one.may, reasons=bad.reasons + one.reasons)
    return bad, fit
