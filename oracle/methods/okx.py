"""OKX since July 2019: a mean of last prices held at 2 % of their median, a mark of one average, minute premiums.

Published in `methodology/okx.md`. Sources: okx.com/help/i-spot-index-prices (14 August 2024 and later), the notices of
index components of October 2023, /adjustment-of-perpetual-swap-funding-rules (10 July 2019), /360053909272,
/okx-to-optimize-funding-rate-calculation (25 January 2024) and
/okx-to-change-the-funding-rate-formula-for-perpetual-futures (April 2025).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from oracle.core import basket, fair, frame, perpetual, premium
from oracle.core.basket import Part
from oracle.core.funding import (
    Funded,
    FundingState,
    Rated,
    ahead,
    damped,
    fund_over,
    interest,
    less_interest,
    remember,
    stamped_ns,
    take,
)
from oracle.core.index import Candidate, Cohort, Memory
from oracle.core.mark import Marked, MarkInputs, MarkState
from oracle.core.maths import truncated
from oracle.core.params import PerpInstrument, Rules, ms, num, word
from oracle.core.premium import Sampled
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Depth, Nanos
from oracle.core.weighted import linear_mean, plain_mean, weighted_mean

ID = "okx"
READS = frame.VENUE_READS
CAPPING_VENUES_MIN = 3  # of fewer, none is held and all weigh the same


class Own(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is this methodology's alone."""

    weights: basket.Weights = field(default_factory=dict)
    weight_otherwise: basket.WeightOtherwise = 1.0
    band: Annotated[float, num("index", "a price is held within this of the median of all", 0, 1, "ratio")]
    decimals: Annotated[int, num("index", "cut off after so many decimals; -1: not cut off", -1, 16)] = -1
    basis_every_ms: Annotated[int, ms("mark", "grid of the basis points (assumed)", 1_000, 3_600_000)] = 1_000
    basis_window_ms: Annotated[int, ms("mark", "window of the basis average (assumed)", 1_000, 3_600_000)] = 300_000
    premium: Annotated[Literal["mid", "impact"], word("funding", "premium of the mid, or of the impact prices")]
    weighing: perpetual.Weighing
    damped: Annotated[bool, word("funding", "interest pulls within C; else it is taken off", "switch")]
    trailing: Annotated[
        bool, word("funding", "the mean is of the last interval's length; else since its start", "switch")
    ]
    lead_ms: Annotated[int, ms("funding", "so long before a settlement its rate is stamped", 0, 3_600_000)] = 60_000
    cross_cycle: Annotated[bool, word("funding", "an interval pays the rate that the one before made", "switch")]


OWN = Own

_2019 = Own(band=0.03, premium="mid", weighing="equal", damped=False, trailing=False, cross_cycle=True)
_MARCH_2024 = replace(_2019, trailing=True, cross_cycle=False)
_AUGUST_2024 = replace(_MARCH_2024, band=0.02)
_2025 = replace(_AUGUST_2024, premium="impact", weighing="linear", damped=True)


def _set(effective_s: int, version: str, own: Own, cap: float = 0.00375) -> Rules:
    """A dated set for the contracts on BTC; until April 2025 there was no interest and no damper."""
    none = {} if own.damped else {"interest_per_8h": 0.0, "inner_clamp": 0.0}
    funding = {"sample_ms": 60_000, "cap": cap, **none}
    return frame.rules(effective_s * NANOS_PER_S, version, own=own, funding=funding)


SETS: tuple[Rules, ...] = (
    _set(1_563_422_400, "1.0.0", _2019, cap=0.003),  # 2019-07-18 04:00, after the settlement of 12:00 in Hong Kong
    _set(1_709_625_600, "1.1.0", _MARCH_2024),  # 2024-03-05 08:00
    _set(1_723_593_600, "1.2.0", _AUGUST_2024),  # 2024-08-14, the first dated copy of the index rules
    _set(1_744_243_260, "1.3.0", _2025),  # 2025-04-10 00:01, the first of three groups of contracts
)


def index(candidates: Sequence[Candidate], memory: Memory, rules: Rules, at_ns: Nanos) -> Cohort:
    """The weighted mean of held prices; of two venues the plain mean, of one its price (sections 6 and 7)."""
    own: Own = rules.own
    found = basket.parts(candidates, own.weights, basket.last_of, own.weight_otherwise)
    if not found:
        return Cohort()
    price = basket.capped_mean(found, own.band) if _venues(found) >= CAPPING_VENUES_MIN else _plain(found)
    price = price if own.decimals < 0 else truncated(price, own.decimals)
    made = basket.cohort(found, price, rules.index)
    made.low = min(made.low, price)  # cut off, it may lie below them all
    return made


def _venues(found: Sequence[Part]) -> int:
    return len({part.who.venue for part in found})


def _plain(found: Sequence[Part]) -> float:
    """The mean of the venues, each weighing the same; of several sources of one, their mean."""
    sources = [part.who.venue for part in found]
    return weighted_mean([(part.price, 1.0 / sources.count(part.who.venue)) for part in found])


def mark(memory: MarkState, now: MarkInputs, perp: PerpInstrument) -> Marked:
    """I + average(mid − I) (section 8); without an average the index itself."""
    own: Own = perp.rules.own
    return fair.index_and_basis(memory, now, perp, own.basis_every_ms, own.basis_window_ms)


def sample(depth: Depth, index: float, mark: float | None, perp: PerpInstrument) -> Sampled:
    """((b + a)/2 − I)/I, or since April 2025 the one-sided premium of the impact prices (section 9)."""
    own: Own = perp.rules.own
    return premium.of_mid(depth, index) if own.premium == "mid" else premium.of_book(depth, index, perp)


def accrue(state: FundingState, instant_ns: Nanos, premium_e10: int, perp: PerpInstrument) -> None:
    """Note the minute's premium for as long as a window can reach (section 9)."""
    take(state, premium_e10)
    remember(state, instant_ns, premium_e10, perp.rules.funding.interval_ms + perp.rules.own.lead_ms)


def window(state: FundingState, until_ns: Nanos, perp: PerpInstrument) -> tuple[Nanos, Nanos]:
    """(after, until] of the samples that the rate at `until_ns` is made of; a settlement's ends `lead_ms` before it."""
    rules, own = perp.rules.funding, perp.rules.own
    last_ns = stamped_ns(state, until_ns, rules, own.lead_ms)
    if own.trailing:
        return last_ns - rules.interval_ms * NANOS_PER_MS, last_ns
    return state.start_ns - own.lead_ms * NANOS_PER_MS, last_ns


def fund(state: FundingState, until_ns: Nanos, perp: PerpInstrument) -> Funded:
    """The rate of the window's mean; where contracts settle across cycles, the one that the last interval made."""
    rules, own = perp.rules, perp.rules.own
    mean = linear_mean if own.weighing == "linear" else plain_mean
    alone = interest(rules.funding) * (1.0 if own.damped else -1.0)
    over = window(state, until_ns, perp)
    made = fund_over(state, over, rules.funding, mean, lambda p: rate(p, rules), alone)
    return ahead(state, until_ns, made, rules.funding) if own.cross_cycle else made


def rate(premium: float, rules: Rules) -> Rated:
    """F = clamp(P̄ + clamp(r − P̄, ±C), ±cap); until April 2025 clamp(P̄ − r, ±cap) (section 9)."""
    shared = rules.funding
    if rules.own.damped:
        return damped(premium, shared)
    return less_interest(premium, interest(shared), shared.cap)
