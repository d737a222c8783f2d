"""CF Benchmarks' daily reference rate (BRR): the mean of twelve volume-weighted medians of an hour's trades.

Published in `methodology/cf_brr.md`. Source: CME CF Cryptocurrency Reference Rates Methodology, versions 1 to 3, and
the administrator's announcements. It is a function of every trade of an hour. A beat carries only the last trade of
each source, so no live index can follow it: here are pure functions over any list of trades.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Annotated, NamedTuple

from msgspec import Struct

from oracle.core import frame
from oracle.core.calendar import DAY_NS, HOUR_NS, civil, day_of
from oracle.core.maths import median, quantise
from oracle.core.params import Rules, ms, num, word
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Nanos, Trade
from oracle.core.weighted import plain_mean, weighted_median
from oracle.methods._cf import BULLISH_S, CRYPTO_COM_S, FIRST_S, GEMINI_S, LMAX_S, TIGHTER_S, constituents

ID = "cf_brr"
READS: tuple[str, ...] = ()
UNITS_PER_COIN = 100_000_000  # sizes are added as whole units, so that half of a volume is exact
ZONES = ("london", "new_york", "hong_kong")
_WEEKDAY_OF_DAY_0, _SUNDAY = 3, 6


class Own(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is this methodology's alone."""

    constituents: Annotated[tuple[str, ...], word("constituents", "venues that count; none: all", "venues")]
    zone: Annotated[str, word("window", "whose clock: london, new_york or hong_kong")] = "london"
    opens_ms: Annotated[int, ms("window", "after local midnight, when it begins", 0, 86_400_000)] = 54_000_000
    window_ms: Annotated[int, ms("window", "its length", 1_000, 86_400_000)] = 3_600_000
    partitions: Annotated[int, num("formula", "equal parts of the window", 1, 1_000)] = 12
    deviation: Annotated[float, num("screen", "PED: a venue's median farther off is left out", 0, 1, "ratio")]
    future_ms: Annotated[int, ms("screen", "a trade stamped farther ahead is erroneous", 0, 3_600_000)] = 60_000
    restatement: Annotated[float, num("restatement", "an error beyond this is restated", 0, 1, "ratio")]
    decimals: Annotated[int, num("publication", "of the published rate", 0, 12, "decimals")] = 2


OWN = Own


def _set(effective_s: int, version: str, ped: float, restatement: float) -> Rules:
    own = Own(constituents=constituents(effective_s), deviation=ped, restatement=restatement)
    return frame.rules(effective_s * NANOS_PER_S, version, own=own)


SETS: tuple[Rules, ...] = (
    _set(FIRST_S, "1.0.0", 0.10, 0.0020),
    _set(GEMINI_S, "1.1.0", 0.10, 0.0020),
    _set(LMAX_S, "1.2.0", 0.10, 0.0020),
    _set(TIGHTER_S, "1.3.0", 0.05, 0.0010),
    _set(BULLISH_S, "1.4.0", 0.05, 0.0010),
    _set(CRYPTO_COM_S, "1.5.0", 0.05, 0.0010),
)


class Daily(NamedTuple):
    """A reference rate and what it was made of. `medians`: of each partition in order; None: it had no trade.

    `units` are of 10^-decimals; `venues` counted, `excluded` were left out by the screen.
    """

    price: float
    units: int
    medians: tuple[float | None, ...]
    venues: tuple[str, ...]
    excluded: tuple[str, ...]
    trades: int


def reference_rate(
    trades: Iterable[Trade], venues: Mapping[int, str], start_ns: Nanos, end_ns: Nanos, own: Own
) -> Daily | None:
    """The rate of the trades in [start, end), in any order; None: a calculation failure, there is no rate.

    `venues` says whose a source is. A trade is at the time its venue states, or if that states none, at its receipt.
    """
    by_venue = relevant(trades, venues, start_ns, end_ns, own)
    kept, excluded = screened(by_venue, own)
    everything = [(at_ns, price, size) for venue in kept for at_ns, price, size in by_venue[venue]]
    medians = partition_medians(everything, start_ns, end_ns, own.partitions)
    there = [value for value in medians if value is not None]
    if not there:
        return None
    price = plain_mean(there)
    return Daily(price, quantise(price, own.decimals), tuple(medians), kept, excluded, len(everything))


Placed = Sequence[tuple[Nanos, float, float]]


def relevant(
    trades: Iterable[Trade], venues: Mapping[int, str], start_ns: Nanos, end_ns: Nanos, own: Own
) -> dict[str, list[tuple[Nanos, float, float]]]:
    """(time, price, size) of the trades that count, by venue: sound ones of constituents, within the window."""
    found: dict[str, list[tuple[Nanos, float, float]]] = {}
    for trade in trades:
        venue, at_ns = venues.get(trade.source, ""), trade.venue_ns or trade.recv_ns
        named = bool(venue) and (not own.constituents or venue in own.constituents)
        ahead = at_ns - trade.recv_ns > own.future_ms * NANOS_PER_MS
        is_sound = 0.0 < trade.price < inf and 0.0 < trade.size < inf
        if named and is_sound and not ahead and start_ns <= at_ns < end_ns:
            found.setdefault(venue, []).append((at_ns, trade.price, trade.size))
    return found


def screened(by_venue: Mapping[str, Placed], own: Own) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(venues that count, venues left out): a venue's own median may stand at most PED off the median of all."""
    own_medians = {venue: volume_weighted_median(by_venue[venue]) for venue in sorted(by_venue)}
    if not own_medians:
        return (), ()
    centre = median(list(own_medians.values()))
    far = [venue for venue, value in own_medians.items() if abs(value - centre) > own.deviation * centre]
    return tuple(venue for venue in own_medians if venue not in far), tuple(far)


def partition_medians(trades: Placed, start_ns: Nanos, end_ns: Nanos, partitions: int) -> list[float | None]:
    """The volume-weighted median of each of so many equal parts of the window; None where nobody traded."""
    parts: list[list[tuple[Nanos, float, float]]] = [[] for _ in range(partitions)]
    for trade in trades:
        parts[(trade[0] - start_ns) * partitions // (end_ns - start_ns)].append(trade)
    return [volume_weighted_median(part) if part else None for part in parts]


def volume_weighted_median(trades: Placed) -> float:
    """The lowest price at which half of the volume has been traded at that price or below."""
    sizes: dict[float, int] = {}
    for _, price, size in trades:
        sizes[price] = sizes.get(price, 0) + max(round(size * UNITS_PER_COIN), 1)
    return weighted_median([(price, float(units)) for price, units in sizes.items()])


def restated(published: float, corrected: float, own: Own) -> bool:
    """Whether an error found on the same day is corrected: when it is larger than the threshold."""
    return abs(corrected - published) > own.restatement * published


def window(day: int, own: Own) -> tuple[Nanos, Nanos]:
    """[start, end) of the observation window on a day (counted from 1970, of the local date), in UTC ns.

    Raises KeyError for a zone that is none of `ZONES`.
    """
    start_ns = day * DAY_NS + own.opens_ms * NANOS_PER_MS - offset_hours(own.zone, day) * HOUR_NS
    return start_ns, start_ns + own.window_ms * NANOS_PER_MS


def offset_hours(zone: str, day: int) -> int:
    """By how much local time is ahead of UTC on the afternoon of a day.

    London: summer time from the last Sunday of March to that of October (Summer Time Act as amended in 2002). New York:
    from the second Sunday of March to the first of November (Energy Policy Act of 2005, since 2007). Hong Kong has had
    none since 1979.
    """
    year = civil(day)[0]
    if zone == "london":
        return int(_sunday(year, 4, -1) <= day < _sunday(year, 11, -1))
    if zone == "new_york":
        return -4 if _sunday(year, 3, 1) <= day < _sunday(year, 11, 0) else -5
    return {"hong_kong": 8}[zone]


def _sunday(year: int, month: int, place: int) -> int:
    """A Sunday counted from the first of a month: 0 is the first one, -1 the last of the month before."""
    first = day_of(year, month, 1)
    return first + (_SUNDAY - first - _WEEKDAY_OF_DAY_0) % 7 + 7 * place
