"""BitMEX: an index of last prices with protections, the fair-price mark, funding fixed one interval ahead.

Published in `methodology/bitmex.md`. Sources: bitmex.com/app/indices, /app/fairPriceMarking and
/app/perpetualContractsGuide; blog.bitmex.com "New protections for BitMEX indices" (April 2017), "Index constituent
reintroduction" (14 August), "Parameter updates" (16 December 2020) and the quarterly index weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import Annotated, Any

from msgspec import Struct

from oracle.core import basket, frame, perpetual
from oracle.core.basket import Part
from oracle.core.fair import fixed, funding_leg
from oracle.core.funding import FROM, Funded, FundingState, Rated, ahead, dampened, interest, mean
from oracle.core.funding import fund as fund_mean
from oracle.core.index import Candidate, Cohort, Member, Memory
from oracle.core.mark import Marked, MarkInputs, MarkState
from oracle.core.maths import clamp
from oracle.core.params import PerpInstrument, Rules, ms, num
from oracle.core.premium import Sampled
from oracle.core.premium import sample as impact_sample
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Depth, Nanos, Reason, Verdict
from oracle.core.weighted import weighted_mean

ID = "bitmex"
READS = (
    "index.breakdown_bps",
    "mark.feed_stale_ms",
    "funding.sample_ms",
    "funding.interval_ms",
    "funding.coverage_min",
    "funding.interest_per_8h",
    "funding.inner_clamp",
    "funding.cap",
)


class Own(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is this methodology's alone. Shares are of a price; margins are shares of a position's value."""

    weights: basket.OnlyWeights
    calculation_ms: Annotated[int, ms("index", "grid on which the index is calculated", 100, 60_000)] = 5_000
    silent_ms: Annotated[int, ms("index", "an older last trade does not count", 1_000, 3_600_000)] = 900_000
    outlier: Annotated[float, num("protection 1", "of three or more: so far off the median is out", 0, 1, "ratio")]
    disagreement: Annotated[float, num("protection 2", "of two: so far off their median holds", 0, 1, "ratio")]
    jump: Annotated[float, num("protection 3", "of one: so far off the last index holds it", 0, 1, "ratio")]
    readmit: Annotated[float, num("protection 4", "within this of the others' median; 0: never", 0, 1, "ratio")]
    readmit_alone: Annotated[float, num("protection 4", "within this of a held index", 0, 1, "ratio")]
    readmit_ms: Annotated[int, ms("protection 4", "for longer than this, unbroken", 0, 3_600_000)] = 900_000
    refresh_ms: Annotated[int, ms("mark", "grid on which the funding basis is renewed", 1_000, 3_600_000)] = 60_000
    impact_margin: Annotated[float, num("premium", "margin behind the impact notional", 0.001, 100, "base")]
    initial_margin: Annotated[float, num("premium", "IM, of impact notional and cap", 0.001, 1, "ratio")] = 0.01
    maintenance_margin: Annotated[float, num("funding", "MM, of the cap and of the step", 0.0001, 1, "ratio")]
    margin_share: Annotated[float, num("funding", "of a margin, that a rate may be", 0, 1, "ratio")] = 0.75


OWN = Own


def limits(own: Own) -> tuple[float, float]:
    """(cap, step): the largest rate, share × (IM − MM), and the largest change between intervals, share × MM."""
    cap = own.margin_share * (own.initial_margin - own.maintenance_margin)
    return round(cap, 10), round(own.margin_share * own.maintenance_margin, 10)


def interest_of(quote: float, base: float) -> float:
    """r of eight hours: a third of the difference between the daily rates of the quote and of the base currency."""
    return round((quote - base) / 3.0, 10)


def _set(effective_s: int, version: str, own: Own) -> Rules:
    funding = {
        "sample_ms": 60_000,
        "offset_ms": 14_400_000,
        "interest_per_8h": interest_of(0.0006, 0.0003),
        "inner_clamp": 0.0005,
        "cap": limits(own)[0],
    }
    three: dict[str, Any] = {
        "index": {"groups_configured_min": 3},
        "ladder": {"groups_normal_min": 3, "groups_degraded_min": 2},
    }
    thin = three if len(own.weights) == 3 else {}  # an index of three constituents never has four groups
    return frame.rules(effective_s * NANOS_PER_S, version, own=own, funding=funding, **thin)


def _own(weights: dict[str, float], wide: bool, margin: float, impact: float, readmit: float = 0.02) -> Own:
    """Own parameters: before 16 December 2020 (`wide`) the tolerances were 25 %, since then 10 %."""
    x = 0.25 if wide else 0.10
    return Own(
        weights=weights,
        outlier=x,
        disagreement=x / 2.0,
        jump=x,
        readmit=readmit,
        readmit_alone=x,
        impact_margin=impact,
        maintenance_margin=margin,
    )


_THIRDS = {"bitstamp": 1.0, "coinbase": 1.0, "kraken": 1.0}
_Q1_2020 = {"bitstamp": 10.61, "bittrex": 2.53, "coinbase": 52.30, "gemini": 6.89, "itbit": 4.21, "kraken": 23.46}
_Q4_2020 = {"bitstamp": 27.00, "bittrex": 6.29, "coinbase": 41.01, "gemini": 7.57, "kraken": 18.13}
_Q1_2021 = {"bitstamp": 28.81, "bittrex": 5.50, "coinbase": 38.07, "gemini": 7.34, "kraken": 20.28}

SETS: tuple[Rules, ...] = (
    _set(1_572_609_605, "1.0.0", _own(_THIRDS, True, 0.005, 0.1, readmit=0.0)),  # 2019-11-01 12:00:05
    _set(1_577_448_005, "1.1.0", _own(_Q1_2020, True, 0.005, 0.1, readmit=0.0)),  # 2019-12-27 12:00:05
    _set(1_601_035_205, "1.2.0", _own(_Q4_2020, True, 0.0035, 0.1)),  # 2020-09-25 12:00:05
    _set(1_608_080_400, "1.3.0", _own(_Q4_2020, False, 0.0035, 0.2)),  # 2020-12-16 01:00:00
    _set(1_610_683_205, "1.4.0", _own(_Q1_2021, False, 0.0035, 0.2)),  # 2021-01-15 04:00:05
    _set(1_732_507_200, "1.5.0", _own(_Q1_2021, False, 0.005, 0.2)),  # 2024-11-25 04:00:00
)


def index(candidates: Sequence[Candidate], memory: Memory, rules: Rules, at_ns: Nanos) -> Cohort:
    """The weighted mean of last prices as of the last instant of the grid, under the protections (section 6)."""
    own: Own = rules.own
    _silence(candidates, own, at_ns)
    found = basket.parts(candidates, own.weights, basket.last_of)
    numbers = memory.notes.numbers
    instant = float(at_ns // (own.calculation_ms * NANOS_PER_MS))
    if numbers.get("instant") != instant or "index" not in numbers:
        numbers["instant"] = instant
        _calculate(found, memory, own, at_ns)
    active = _active(found, memory.members)
    for part in found:
        member = memory.members[part.who.place]
        if member.rejected:
            part.who.verdict = Verdict.READMITTING if member.inside_since_ns else Verdict.OUTLIER
    price = numbers.get("index")
    if price is None or not active:
        return Cohort()
    made = basket.cohort(active, price, rules.index)
    made.low, made.high = min(made.low, price), max(made.high, price)  # a held index may lie outside
    return made


def _silence(candidates: Sequence[Candidate], own: Own, at_ns: Nanos) -> None:
    """Set aside whoever has no last price, or an old one."""
    due_ns = at_ns - own.silent_ms * NANOS_PER_MS
    for c in candidates:
        if c.verdict is None and (traded_ns := basket.known(c).last_trade_ns) < max(due_ns, 1):
            c.verdict = Verdict.STALE if traded_ns else Verdict.NO_PRICE


def _active(found: Sequence[Part], members: Sequence[Member]) -> list[Part]:
    return [part for part in found if not members[part.who.place].rejected]


def _calculate(found: Sequence[Part], memory: Memory, own: Own, at_ns: Nanos) -> None:
    """One calculation of the grid: re-entries, exclusions, then the index or the reason to hold it."""
    numbers, members = memory.notes.numbers, memory.members
    _readmit(found, memory, own, at_ns)
    active = _active(found, members)
    if len(active) >= 3:
        centre = basket.centre(active)
        for part in active:
            if abs(part.price - centre) >= own.outlier * centre:
                member = members[part.who.place]
                member.rejected, member.inside_since_ns = True, 0
        active = _active(found, members)
    held = _held(active, numbers.get("index"), own)
    numbers["held"] = float(held)
    if not held:
        numbers["index"] = weighted_mean(basket.pairs(active))


def _held(active: Sequence[Part], last: float | None, own: Own) -> bool:
    """Whether the last calculated index stands (protections 2 and 3; without anyone it does)."""
    if len(active) == 2:
        centre = basket.centre(active)
        return any(abs(part.price - centre) >= own.disagreement * centre for part in active)
    if len(active) == 1:
        return last is not None and abs(active[0].price - last) >= own.jump * last
    return not active


def _readmit(found: Sequence[Part], memory: Memory, own: Own, at_ns: Nanos) -> None:
    """Let the excluded serve their time, or begin it anew (protection 4). A price that is missing breaks it."""
    members, numbers = memory.members, memory.notes.numbers
    active = _active(found, members)
    held = bool(numbers.get("held"))
    alone = not active or (len(active) == 1 and held)
    reference = numbers.get("index") if alone else basket.centre(active)
    width = own.readmit_alone if alone else own.readmit
    prices = {part.who.place: part.price for part in found}
    for place, member in enumerate(members):
        if not member.rejected:
            continue
        price = prices.get(place)
        inside = price is not None and reference is not None and abs(price - reference) <= width * reference
        if not inside or own.readmit <= 0.0:
            member.inside_since_ns = 0
        elif not member.inside_since_ns:
            member.inside_since_ns = at_ns
        elif at_ns - member.inside_since_ns > own.readmit_ms * NANOS_PER_MS:
            member.rejected, member.inside_since_ns = False, 0


def mark(memory: MarkState, now: MarkInputs, perp: PerpInstrument) -> Marked:
    """I × (1 + F·τ/T), τ as of the last refresh (section 8). F is the rate that the running interval will pay."""
    own: Own = perp.rules.own
    since_refresh_ns = now.at_ns % (own.refresh_ms * NANOS_PER_MS)
    left = now.funding_left + since_refresh_ns / (perp.rules.funding.interval_ms * NANOS_PER_MS)
    value = funding_leg(now.index, now.funding_rate, left)
    return fixed(now, perp, value, funded=value)


def sample(depth: Depth, index: float, mark: float | None, perp: PerpInstrument) -> Sampled:
    """[max(0, IB − M) − max(0, M − IA)] / I + fair basis, the basis being M/I − 1 (section 9).

    Without a mark there is no sample. A thin side counts as in HK-1 (F2): its term is zero, and it is said.
    """
    own: Own = perp.rules.own
    if mark is None:
        return Sampled(None, None, None, [Reason.MISSING, Reason.LEG_MISSING])
    notional = own.impact_margin / own.initial_margin * index
    made = impact_sample(depth.bids, depth.asks, mark, notional, perp.contract, perp.contract_size)
    if made.premium is not None:
        made.premium = fsum((made.premium * mark, mark, -index)) / index
    return made


accrue = perpetual.evenly  # every minute: the mean is the eight-hour time-weighted average (section 9)


def fund(state: FundingState, until_ns: Nanos, perp: PerpInstrument) -> Funded:
    """What the running interval pays: the rate that the interval before it made, no further than a step from its own
    (section 9)."""
    rules = perp.rules
    paid = state.notes.windows.get(f"{FROM}{state.start_ns}")
    before = paid[0] / 1e8 if paid else None
    made = fund_mean(
        state, until_ns, rules.funding, mean(state), lambda premium: stepped(rate(premium, rules), before, rules.own)
    )
    return ahead(state, until_ns, made, rules.funding)


def stepped(made: Rated, before: float | None, own: Own) -> Rated:
    """The rate held within a step of the one before it, both as shares; None: there is none before."""
    if before is None:
        return made
    step = limits(own)[1]
    held = clamp(made.rate, before - step, before + step)
    return Rated(held, made.interest, made.inner_binding, made.cap_binding or held != made.rate)


def rate(premium: float, rules: Rules) -> Rated:
    """F = clamp(P̄ + clamp(r − P̄, ±C), ±cap) (section 9); the limit on steps needs the rate before, see `stepped`."""
    return dampened(premium, interest(rules.funding), rules.funding.inner_clamp, rules.funding.cap)
