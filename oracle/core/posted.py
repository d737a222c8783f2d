"""Marks that a deployer posts at a rhythm, as builder-deployed perpetuals on Hyperliquid (HIP-3) have them.

Every few seconds the deployer posts an oracle price and up to two marks of its own; the mark in force becomes the
median of those and of the local one (median of best bid, best ask and last trade), within a step of the mark before and
under a multiple of the day's first. Between two posts nothing moves. When nobody posts for some time, the local mark
stands by itself. Funding is the hourly part of a dampened 8 h rate, times a multiplier that the deployer sets.
(hyperliquid.gitbook.io, pages HIP-3 deployer actions and HIP-3: builder-deployed perpetuals, read in November 2026.)
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Annotated, Literal, NamedTuple, TypeAlias

from msgspec import Meta, Struct

from oracle.core.fair import based, live, two_sided
from oracle.core.funding import EIGHT_HOURS_MS, Funded, FundingState, Rated, fund, in_parts, interest, mean
from oracle.core.mark import BPS, Marked, MarkInputs, MarkState, local_median
from oracle.core.maths import clamp, median, quantise
from oracle.core.params import PerpInstrument, Rules, bps, ms, num, word
from oracle.core.perpetual import RateDecimals
from oracle.core.types import NANOS_PER_MS, Nanos, Reason
from oracle.core.windows import Notes

DAY_MS = 86_400_000
DEPLOYER_READS = (  # the shared parameters that a deployer's perpetual is marked and funded by
    "mark.basis_tau_ms",
    "mark.feed_stale_ms",
    "funding.sample_ms",
    "funding.impact_notional",
    "funding.interval_ms",
    "funding.coverage_min",
    "funding.interest_per_8h",
    "funding.cap",
)
StepHolds: TypeAlias = Literal["mark", "mark_and_oracle"]


class DeployerRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the deployer of a perpetual chooses, and what the chain holds it to."""

    update_ms: Annotated[int, ms("mark", "rhythm of the posts; the chain refuses one sooner than 2 500", 2_500, 60_000)]
    silent_ms: Annotated[int, ms("mark", "without a post for so long the local mark stands", 2_500, 600_000)]
    update_step_bps: Annotated[float, bps("mark", "largest step of the mark a post", 1, 10_000)]
    step_holds: Annotated[StepHolds, word("mark", "what the step holds: mark, or mark_and_oracle")]
    day_ratio: Annotated[
        float, num("mark", "no posted price exceeds so many times its first of the day (UTC)", 1, 1_000, "ratio")
    ]
    mark_lists: Annotated[
        tuple[Literal["oracle", "basis", "external"], ...],
        Meta(
            max_length=2,
            description="the marks the deployer posts: oracle; basis, the oracle and its average basis; external, the "
            "median of outside perpetuals",
            extra={"unit": "words", "rule": "mark"},
        ),
    ]
    multiplier: Annotated[float, num("funding", "funding multiplier", 0, 10, "ratio")]
    clamp_8h: Annotated[float, num("funding", "C: how far interest may pull the premium", 0, 0.01, "per 8 h")]
    rate_decimals: RateDecimals = 10


class Posts(NamedTuple):
    """The marks that a deployer posts, and the oracle plus its average basis, whether or not it is one (None: none)."""

    marks: list[float]
    basis: float | None = None


def posts(memory: MarkState, now: MarkInputs, perp: PerpInstrument, rules: DeployerRules, oracle: float) -> Posts:
    """The marks that `rules.mark_lists` name, as far as they can be made; the basis is averaged from post to post."""
    if live(now, perp) and two_sided(now):
        memory.basis.add((now.bid + now.ask) / 2.0 - oracle, now.at_ns, perp.rules.mark.basis_tau_ms)
    basis = based(oracle, memory.basis.value())
    outside = [price for _, price in now.outside]
    made = {"oracle": oracle, "basis": basis, "external": median(outside) if outside else None}
    return Posts([price for name in rules.mark_lists if (price := made[name]) is not None], basis)


def held(price: float, before: float | None, step: float, day_first: float | None, day_ratio: float) -> float:
    """A posted price within ±`step` (a share) of the one before, and at most `day_ratio` times the day's first.

    Without an earlier price, or a day's first, that limit does not bind. No lower limit of the day is published.
    """
    value = price if before is None else clamp(price, before * (1.0 - step), before * (1.0 + step))
    return value if day_first is None else min(value, day_first * day_ratio)


def posted_mark(
    memory: MarkState,
    now: MarkInputs,
    perp: PerpInstrument,
    rules: DeployerRules,
    oracle: Callable[[], float | None],
    within: tuple[float, float] = (0.0, inf),
) -> Marked:
    """The mark in force at a beat. `oracle`, asked once a post, is what the deployer posts (None: it has nothing to).

    `within` are bounds of the posted mark, applied last. A local mark that stands by itself is held by no limit: of
    none it is written.
    """
    notes, local = memory.notes, local_median(now) if live(now, perp) else None
    at_ms, numbers = now.at_ns // NANOS_PER_MS, notes.numbers
    since_ms = at_ms - numbers["posted_ms"] if "posted_ms" in numbers else inf
    price = oracle() if since_ms >= rules.update_ms else None
    if price is not None:
        _post(memory, now, perp, rules, _limited(memory, at_ms, rules, price), local, within)
    elif since_ms >= rules.silent_ms:
        fallen = local if local is not None else numbers.get("mark", now.index)
        numbers.update(posted_ms=float(at_ms), mark=fallen, step=0.0, band=0.0)
        _note(notes, "basis_leg", None)
        _note(notes, "book_leg", local)
    return _shown(memory, perp, alive=live(now, perp))


def since_post_ms(memory: MarkState, at_ns: Nanos) -> float:
    """How long ago the last post was, in ms; 0.0 before the first."""
    numbers = memory.notes.numbers
    return at_ns // NANOS_PER_MS - numbers["posted_ms"] if "posted_ms" in numbers else 0.0


def deployer_rate(premium: float, rules: Rules) -> Rated:
    """clamp(m × (P̄ + clamp(r − P̄, ±C)) ÷ intervals in 8 h, ±cap): `own` are DeployerRules."""
    funding, own = rules.funding, rules.own
    parts = EIGHT_HOURS_MS / funding.interval_ms
    return in_parts(premium, funding.interest_per_8h, own.clamp_8h, funding.cap, parts, own.multiplier)


def deployer_fund(state: FundingState, until_ns: Nanos, perp: PerpInstrument) -> Funded:
    """The rate of the plain mean of the interval's samples. The multiplier holds for interest alone, too."""
    rules, alone = perp.rules, interest(perp.rules.funding) * perp.rules.own.multiplier
    return fund(state, until_ns, rules.funding, mean(state), lambda p: deployer_rate(p, rules), alone)


def deployer_settled(premium: float, rules: Rules) -> int:
    """The rate of an interval in units of 10^-rate_decimals, half to even: what the venue's history shows."""
    return quantise(deployer_rate(premium, rules).rate, rules.own.rate_decimals)


def _limited(memory: MarkState, at_ms: int, rules: DeployerRules, asked: float) -> float:
    """The oracle price as the limits let it through. A new day begins with the prices then in force."""
    numbers, before = memory.notes.numbers, memory.oracle or None
    if numbers.get("day") != float(at_ms // DAY_MS):
        numbers["day"] = float(at_ms // DAY_MS)
        _note(memory.notes, "day_mark", numbers.get("mark"))
        _note(memory.notes, "day_oracle", before)
    step = rules.update_step_bps / BPS if rules.step_holds == "mark_and_oracle" else inf
    memory.oracle = held(asked, before, step, numbers.get("day_oracle"), rules.day_ratio)
    numbers.setdefault("day_oracle", memory.oracle)
    return memory.oracle


def _post(
    memory: MarkState, now: MarkInputs, perp: PerpInstrument, rules: DeployerRules, oracle: float,
    local: float | None, within: tuple[float, float],
) -> None:  # fmt: skip
    """A post: the median of what it offers and the local mark, as the limits let it through."""
    notes, numbers = memory.notes, memory.notes.numbers
    offered = posts(memory, now, perp, rules, oracle)
    there = offered.marks if local is None else [*offered.marks, local]
    raw = median(there) if there else oracle
    stepped = held(raw, numbers.get("mark"), rules.update_step_bps / BPS, numbers.get("day_mark"), rules.day_ratio)
    mark = clamp(stepped, *within)
    posted_ms = float(now.at_ns // NANOS_PER_MS)
    numbers.update(posted_ms=posted_ms, mark=mark, step=float(stepped != raw), band=float(mark != stepped))
    numbers.setdefault("day_mark", mark)
    _note(notes, "basis_leg", offered.basis)
    _note(notes, "book_leg", local)


def _shown(memory: MarkState, perp: PerpInstrument, *, alive: bool) -> Marked:
    """The mark in force, with the legs of its post and the limits that bound it; the third leg is the oracle price."""
    numbers = memory.notes.numbers
    made = Marked(
        quantise(numbers["mark"], perp.price_decimals, perp.tick_units),
        numbers.get("basis_leg"),
        numbers.get("book_leg"),
        memory.oracle or None,
        numbers["step"] > 0.0,
        numbers["band"] > 0.0,
        [] if alive else [Reason.ENGINE_FEED_STALE],
    )
    if "book_leg" not in numbers:
        made.reasons.append(Reason.LEG_MISSING)
    if made.step_binding:
        made.reasons.append(Reason.CLAMP_STEP)
    if made.band_binding:
        made.reasons.append(Reason.CLAMP_BAND)
    return made


def _note(notes: Notes, name: str, value: float | None) -> None:
    """Remember a number, or that there is none."""
    if value is None:
        notes.numbers.pop(name, None)
    else:
        notes.numbers[name] = value
