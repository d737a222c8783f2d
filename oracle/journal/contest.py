"""One recorded time under several methodologies: what each would have published, side by side.

Every methodology is given the same beats. What it would have said is looked at once a second, so that a methodology
that speaks oftener counts no more; differences are taken against the first one, in basis points of its value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct, field

from oracle.core.maths import unscaled
from oracle.core.types import NANOS_PER_S, FundingRate, IndexValue, MarkPrice, Nanos
from oracle.journal.reader import Reader, read_head, segments
from oracle.journal.replay import stepped

BPS = 10_000.0


class Track(Struct):
    """What one methodology said of one instrument: `prices` by second (UTC), and how long each state lasted."""

    prices: dict[int, float] = field(default_factory=dict)
    seconds_in: dict[str, int] = field(default_factory=dict)
    silent_s: int = 0
    rates: list[tuple[Nanos, float]] = field(default_factory=list)
    paid: float = 0.0  # by a long of one unit of the base, in the index's quote, over the settled intervals

    @property
    def funding(self) -> float:
        """The sum of the settled rates, a share."""
        return sum(rate for _, rate in self.rates)


class Entry(Struct):
    """One methodology's day: its tracks by instrument."""

    method: str
    tracks: dict[str, Track] = field(default_factory=dict)


class Difference(Struct, frozen=True):
    """How far two tracks lie apart, in bps of the first: over the seconds in which both had a price."""

    seconds: int
    mean_bps: float
    mean_abs_bps: float
    largest_bps: float
    largest_at_s: int


def contest(
    path: Path, methods: Sequence[str], progress: Callable[[str, int], object] = lambda method, second: None
) -> list[Entry]:
    """Every methodology's day. Raises JournalError, JournalUnreadable; ModuleNotFoundError for no such methodology."""
    return [_entry(path, method, progress) for method in methods]


def difference(first: Track, other: Track) -> Difference | None:
    """How far `other` lies from `first`; None when they never spoke in the same second."""
    both = [(second, price, other.prices[second]) for second, price in first.prices.items() if second in other.prices]
    if not both:
        return None
    apart = [(second, (theirs / price - 1.0) * BPS) for second, price, theirs in both]
    at, largest = max(apart, key=lambda row: abs(row[1]))
    n = len(apart)
    return Difference(n, sum(d for _, d in apart) / n, sum(abs(d) for _, d in apart) / n, largest, at)


def scales(path: Path) -> dict[str, int]:
    """The decimals of every instrument's price; under `index of NAME` those of a perpetual's index.

    Raises JournalError, JournalUnreadable.
    """
    world = read_head(segments(path)[0].path).world
    found = {index.id: index.price_decimals for index in world.indices}
    of_perps = {f"index of {perp.id}": found[perp.index] for perp in world.perps}
    return found | of_perps | {perp.id: perp.price_decimals for perp in world.perps}


def _entry(path: Path, method: str, progress: Callable[[str, int], object]) -> Entry:
    """Step the beats and look at what stands at the end of each second."""
    made = Entry(method)
    places = scales(path)
    standing: dict[str, IndexValue | MarkPrice] = {}
    second = 0
    for _, record, values in stepped(Reader(path), method=method):
        now = record.at_ns // NANOS_PER_S
        if now != second:
            _look(made, standing, places, second)
            second = now
            progress(method, now)
        for value in values:
            if isinstance(value, IndexValue | MarkPrice):
                standing[value.instrument] = value
            elif isinstance(value, FundingRate) and value.final:
                _settle(made, value, places)
    _look(made, standing, places, second)
    return made


def _look(made: Entry, standing: dict[str, IndexValue | MarkPrice], places: dict[str, int], second: int) -> None:
    for name, value in standing.items():
        track = made.tracks.setdefault(name, Track())
        state = str(value.state)
        track.seconds_in[state] = track.seconds_in.get(state, 0) + 1
        if value.price is None:
            track.silent_s += 1
        else:
            track.prices[second] = unscaled(value.price, places[name])


def _settle(made: Entry, value: FundingRate, places: dict[str, int]) -> None:
    track = made.tracks.setdefault(value.instrument, Track())
    rate = value.rate_e8 / 1e8
    track.rates.append((value.settles_ns, rate))
    if value.index is not None:
        track.paid += rate * unscaled(value.index, places[f"index of {value.instrument}"])
