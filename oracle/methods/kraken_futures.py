"""Kraken Futures: perpetuals on a real-time index, funded by the mean of the impact mid's premium, one interval ahead.

Published in `methodology/kraken_futures.md`. Sources: support.kraken.com, articles Perpetual Contracts - Funding Rate
Method Prior to September 29, 2022; Inverse and Linear Perpetual Contract Specifications; Linear Multi-Collateral Fixed
Maturity Contract Specifications; the instruments endpoint of the futures API as others read it in September 2026. A
perpetual's index is CF Benchmarks' real-time index (`cf_brti`): this methodology makes none.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import Annotated

from msgspec import Struct

from oracle.core import fair, frame, perpetual
from oracle.core.funding import Funded, FundingState, Rated, ahead, mean
from oracle.core.funding import fund as fund_mean
from oracle.core.mark import Marked, MarkInputs, MarkState
from oracle.core.maths import clamp
from oracle.core.params import Contract, PerpInstrument, Rules, num
from oracle.core.premium import Sampled, mid_of_impact
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Depth, Nanos
from oracle.core.weighted import plain_mean

ID = "kraken_futures"
READS = (
    "mark.basis_tau_ms",
    "mark.feed_stale_ms",
    "mark.feed_lost_ms",
    "mark.band_bps",
    "funding.sample_ms",
    "funding.interval_ms",
    "funding.coverage_min",
    "funding.interest_per_8h",
    "funding.cap",
)
BPS = 10_000.0
HOUR_MS = 3_600_000
MINUTE_MS = 60_000


class Own(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is this methodology's alone."""

    hours: Annotated[float, num("funding", "n: hours in which a premium that stands is paid once", 1, 1_000, "h")]
    impact_quote: Annotated[float, num("premium", "size of an inverse contract's impact mid", 1, 1e9, "quote")] = (
        1_000.0
    )
    impact_base: Annotated[float, num("premium", "size of a linear contract's impact mid", 1e-9, 1e9, "base")] = 0.006
    settlement_minutes: Annotated[int, num("settlement", "minutes before maturity that are averaged", 1, 1_440)] = 30


OWN = Own


def _set(effective_s: int, version: str, *, hours: float, cap_hour: float, interval_ms: int) -> Rules:
    """A dated set; `cap_hour` is the published limit, a share an hour."""
    funding = {
        "sample_ms": MINUTE_MS,
        "interval_ms": interval_ms,
        "interest_per_8h": 0.0,
        "cap": round(cap_hour * interval_ms / HOUR_MS, 10),
    }
    mark = {"basis_tau_ms": 15_000, "band_bps": 100.0}
    return frame.rules(effective_s * NANOS_PER_S, version, own=Own(hours=hours), funding=funding, mark=mark)


SETS: tuple[Rules, ...] = (
    _set(1_535_673_600, "1.0.0", hours=8.0, cap_hour=0.001, interval_ms=14_400_000),  # 2018-08-31, PI_XBTUSD opened
    _set(1_664_452_800, "1.1.0", hours=24.0, cap_hour=0.0025, interval_ms=HOUR_MS),  # 2022-09-29 12:00, as announced
    _set(1_788_739_200, "1.2.0", hours=8.0, cap_hour=0.005, interval_ms=HOUR_MS),  # 2026-09-07, first seen
)


def mark(memory: MarkState, now: MarkInputs, perp: PerpInstrument) -> Marked:
    """The index plus the average premium of the impact mid, within 1 % of the index (section 8)."""
    rules = perp.rules.mark
    return fair.smoothed(memory, now, perp, _impact_mid(now, perp), rules.basis_tau_ms, rules.band_bps / BPS)


def _impact_mid(now: MarkInputs, perp: PerpInstrument) -> float | None:
    """The impact mid of the platform's book as it stands; None: it says nothing now, or is too thin."""
    depth = now.depth
    if not fair.live(now, perp) or depth is None:
        return None
    if now.at_ns - depth.recv_ns > perp.rules.mark.feed_stale_ms * NANOS_PER_MS:
        return None
    made = sample(depth, now.index, None, perp)
    return None if made.premium is None else now.index * (1.0 + made.premium)


def sample(depth: Depth, index: float, mark: float | None, perp: PerpInstrument) -> Sampled:
    """(impact mid − I) / I each minute; the impact size is money for an inverse contract, base for a linear one."""
    own: Own = perp.rules.own
    notional = own.impact_quote if perp.contract is Contract.INVERSE else own.impact_base * index
    return mid_of_impact(depth, index, notional, perp)


accrue = perpetual.evenly  # every minute counts the same (section 9)


def fund(state: FundingState, until_ns: Nanos, perp: PerpInstrument) -> Funded:
    """What the running interval pays: the rate that the interval before it made (section 9)."""
    rules = perp.rules
    made = fund_mean(state, until_ns, rules.funding, mean(state), lambda premium: rate(premium, rules))
    return ahead(state, until_ns, made, rules.funding)


def rate(premium: float, rules: Rules) -> Rated:
    """clamp(P̄ × hours of the interval ÷ n, ±cap): no interest, no dead band (section 9)."""
    own: Own = rules.own
    raw = premium * (rules.funding.interval_ms / HOUR_MS) / own.hours
    held = clamp(raw, -rules.funding.cap, rules.funding.cap)
    return Rated(held, 0.0, cap_binding=held != raw)


def hourly(premium: float, rules: Rules) -> float:
    """The relative funding rate of an hour, as the venue states it: that of the interval, divided by its hours."""
    return rate(premium, rules).rate * HOUR_MS / rules.funding.interval_ms


def absolute(relative: float, index: float, contract: Contract) -> float:
    """The absolute funding rate per contract: in the base currency for an inverse contract of one unit of the quote
    (relative ÷ index), in the quote currency for a linear contract of one unit of the base (relative × index).

    `index` is the real-time index when the rate is set.
    """
    return relative / index if contract is Contract.INVERSE else relative * index


def settlement(values: Sequence[tuple[int, float]], maturity_ms: int, rules: Rules) -> float:
    """The settlement price of a fixed maturity: the mean of the means of each of the last thirty minutes.

    `values` are (ms, real-time index) in any order; those outside [maturity − 30 min, maturity) do not count. Raises
    ValueError for a minute without a value: what happens then is not published.
    """
    own: Own = rules.own
    minutes: list[list[float]] = [[] for _ in range(own.settlement_minutes)]
    start_ms = maturity_ms - own.settlement_minutes * MINUTE_MS
    for at_ms, value in values:
        if start_ms <= at_ms < maturity_ms:
            minutes[(at_ms - start_ms) // MINUTE_MS].append(value)
    if empty := [place for place, minute in enumerate(minutes) if not minute]:
        raise ValueError(f"values: none in minute {empty[0] + 1} of {own.settlement_minutes} before maturity")
    return fsum(plain_mean(minute) for minute in minutes) / len(minutes)
