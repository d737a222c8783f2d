"""Kalshi's perpetual futures (BTCPERP): funding from the mean of one-minute premiums, with a dead band and a cap.

Published in `methodology/kalshi.md`. Sources: docs.kalshi.com, Get Funding Rate Estimate and the OpenAPI of the perps;
the CFTC filings and help pages as two public repositories quote them (September 2026). The reference is CF Benchmarks'
real-time index (`cf_brti`): this methodology makes none. Its marks are not published.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Struct

from oracle.core import frame
from oracle.core import premium as premiums
from oracle.core.calendar import DAY_NS, HOUR_NS, civil, day_of
from oracle.core.funding import Funded, FundingState, Rated, mean, place, take
from oracle.core.funding import fund as fund_mean
from oracle.core.mark import Marked, MarkInputs, MarkState
from oracle.core.mark import mark as median_mark
from oracle.core.maths import clamp, quantise
from oracle.core.params import PerpInstrument, Rules, num, word
from oracle.core.premium import Sampled
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Depth, Nanos
from oracle.core.weighted import plain_mean

ID = "kalshi"
READS = ("mark", "funding.sample_ms", "funding.interval_ms", "funding.coverage_min", "funding.cap")
HOUR_MS = 3_600_000
CARRIED = "carried"  # among the notes: a sample of the instant at which the interval it belongs to begins


class Own(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is this methodology's alone."""

    dead_band: Annotated[float, num("funding", "a mean premium smaller than this is none", 0, 0.01, "per interval")]
    weights: Annotated[
        Literal["plain", "linear"], word("funding", "plain: every sample the same; linear: the latest the heaviest")
    ] = "plain"
    window: Annotated[
        Literal["from_start", "to_end"], word("windows", "from_start: [t − W, t); to_end: (t − W, t]")
    ] = "from_start"
    settlement_s: Annotated[int, num("settlement", "one-second values that are averaged", 1, 86_400, "s")] = 60
    settlement_decimals: Annotated[int, num("settlement", "decimals of a settlement value", 0, 12, "decimals")] = 2


OWN = Own


def eastern_ns(at_ns: Nanos) -> int:
    """New York's offset from UTC at a time, in ns: −4 h from the second Sunday of March to the first of November, 2:00
    local time each, and −5 h otherwise (Energy Policy Act of 2005, in force since 2007)."""
    year = civil(at_ns // DAY_NS)[0]
    begins = _sunday(day_of(year, 3, 8)) * DAY_NS + 7 * HOUR_NS
    ends = _sunday(day_of(year, 11, 1)) * DAY_NS + 6 * HOUR_NS
    return -4 * HOUR_NS if begins <= at_ns < ends else -5 * HOUR_NS


def _sunday(day: int) -> int:
    """The first Sunday on or after a day counted from 1970, which began on a Thursday."""
    return day + (3 - day) % 7


def dated(effective_s: int, version: str, own: Own) -> Rules:
    """The parameters of BTCPERP from a time on: intervals end at 00:00, 08:00 and 16:00 in New York."""
    at_ns = effective_s * NANOS_PER_S
    offset_ms = -eastern_ns(at_ns) // NANOS_PER_MS % (8 * HOUR_MS)
    funding = {"sample_ms": 60_000, "offset_ms": offset_ms, "interest_per_8h": 0.0, "cap": 0.02}
    return frame.rules(at_ns, version, own=own, funding=funding)


SETS: tuple[Rules, ...] = (
    dated(1_780_444_800, "1.0.0", Own(dead_band=0.0001)),  # 2026-06-03, the first funding; daylight saving time
    dated(1_793_512_800, "1.1.0", Own(dead_band=0.0001)),  # 2026-11-01 06:00, standard time
)


def mark(memory: MarkState, now: MarkInputs, perp: PerpInstrument) -> Marked:
    """HK-1's mark, in the place of one that is not published (section 8)."""
    return median_mark(memory, now, perp.rules.mark, perp.price_decimals, perp.tick_units)


def sample(depth: Depth, index: float, mark: float | None, perp: PerpInstrument) -> Sampled:
    """(settlement mark − reference) / reference each minute: assumed (section 9)."""
    return premiums.of_mark(mark, index)


def accrue(state: FundingState, instant_ns: Nanos, premium_e10: int, perp: PerpInstrument) -> None:
    """Take a sample into the interval that its window says it is of (section 9)."""
    rules, own = perp.rules.funding, perp.rules.own
    _begin(state, perp)
    number = place(state, instant_ns, rules)
    if own.window == "from_start":
        number += 1
        if instant_ns == state.start_ns + rules.interval_ms * NANOS_PER_MS:
            state.notes.windows[CARRIED] = [float(instant_ns // NANOS_PER_MS), float(premium_e10)]
            return
    take(state, premium_e10, number if own.weights == "linear" else 1)


def _begin(state: FundingState, perp: PerpInstrument) -> None:
    """Take in the sample that was carried to the beginning of the interval that runs."""
    kept = state.notes.windows.get(CARRIED)
    if kept is not None and kept[0] <= state.start_ns // NANOS_PER_MS:
        del state.notes.windows[CARRIED]
        if kept[0] == state.start_ns // NANOS_PER_MS:
            take(state, int(kept[1]))


def fund(state: FundingState, until_ns: Nanos, perp: PerpInstrument) -> Funded:
    """The mean premium of the interval; below the least coverage nothing is paid: funding is paused (section 9)."""
    _begin(state, perp)
    rules = perp.rules
    made = fund_mean(state, until_ns, rules.funding, mean(state), lambda premium: rate(premium, rules), 0.0)
    ends_ns = state.start_ns + rules.funding.interval_ms * NANOS_PER_MS
    made.expected += rules.own.window == "from_start" and until_ns < ends_ns  # its beginning is one of its instants
    return made


def rate(premium: float, rules: Rules) -> Rated:
    """0 within the dead band, else clamp(P̄, ±cap): outside it nothing is taken off (section 9)."""
    own: Own = rules.own
    if abs(premium) < own.dead_band:
        return Rated(0.0, 0.0, dead=True)
    held = clamp(premium, -rules.funding.cap, rules.funding.cap)
    return Rated(held, 0.0, cap_binding=held != premium)


def settlement(values: Sequence[tuple[int, float]], at_s: int, rules: Rules) -> int:
    """The mean of the reference's last minute, in units of 10^-settlement_decimals: what a dated contract settles at.

    `values` are (UTC second, value) in any order; the window is [t − 60, t) or (t − 60, t] by `own.window`. Raises
    ValueError where a second is missing or stated twice.
    """
    own: Own = rules.own
    first = at_s - own.settlement_s + (own.window == "to_end")
    inside = sorted((second, value) for second, value in values if first <= second < first + own.settlement_s)
    if [second for second, _ in inside] != list(range(first, first + own.settlement_s)):
        raise ValueError(f"values: not one of each second from {first} to {first + own.settlement_s - 1}")
    return quantise(plain_mean([value for _, value in inside]), own.settlement_decimals)
