"""Ratio indices, of gold in silver before all, and perpetuals whose market closes while they do not.

Published in `methodology/gsr.md`. Sources: the Gold/Silver Ratio specification of May 2026 as its author describes it;
docs.trade.xyz, pages Oracle price, Discovery bounds and Changelog; docs.roxom.com for the cross index;
hyperliquid.gitbook.io for what a HIP-3 deployer is held to. A cross of currencies is the same index of other legs.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Annotated

from oracle.core import frame, perpetual
from oracle.core.composite import product
from oracle.core.fair import live
from oracle.core.index import Candidate, Cohort, Memory
from oracle.core.mark import Marked, MarkInputs, MarkState
from oracle.core.maths import decay
from oracle.core.params import PerpInstrument, Rules, ms, num
from oracle.core.posted import (
    DEPLOYER_READS,
    DeployerRules,
    deployer_fund,
    deployer_rate,
    deployer_settled,
    posted_mark,
    since_post_ms,
)
from oracle.core.premium import impact_price
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Depth, Nanos, Reason

ID = "gsr"
READS = DEPLOYER_READS


class Own(DeployerRules, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a deployer chooses, how far apart legs may be, and what moves the oracle price while a market is closed."""

    skew_ms_max: Annotated[int, ms("index", "legs that were calculated further apart are not multiplied", 0, 60_000)]
    internal_tau_ms: Annotated[
        int, ms("off-hours", "time constant at which the closed oracle follows the book", 60_000, 86_400_000)
    ]
    internal_share: Annotated[
        float, num("off-hours", "c: a step counts as at most this share of the time constant", 0.001, 1, "ratio")
    ]
    max_leverage: Annotated[
        float, num("off-hours", "the closed mark stays within 1/this of the last open price", 1, 1_000, "ratio")
    ]
    reset_share: Annotated[
        float, num("off-hours", "share of the way to a bound at which the bound is anchored anew", 0.1, 1, "ratio")
    ]
    resets_up_max: Annotated[int, num("off-hours", "how often upwards, while closed", 0, 100)]
    resets_down_max: Annotated[int, num("off-hours", "how often downwards, while closed", 0, 100)]


OWN = Own

HOUR_2025_11_21 = 1_763_683_200 * NANOS_PER_S  # trade.xyz: the time constant of 8 h became 1 h
HALF_2026_11_21 = 1_795_219_200 * NANOS_PER_S  # trade.xyz: the page, on the day it was read, says 30 min


def _dated(effective_ns: Nanos, version: str, internal_tau_ms: int) -> Rules:
    own = Own(
        update_ms=3_000,
        silent_ms=10_000,
        update_step_bps=100.0,
        step_holds="mark",
        day_ratio=10.0,
        mark_lists=("oracle", "basis"),
        multiplier=1.0,
        clamp_8h=0.0003,
        skew_ms_max=1_000,
        internal_tau_ms=internal_tau_ms,
        internal_share=0.1,
        max_leverage=20.0,
        reset_share=0.9,
        resets_up_max=0,
        resets_down_max=0,
    )
    return frame.rules(
        effective_ns,
        version,
        own=own,
        index={"groups_configured_min": 1},
        ladder={"groups_normal_min": 1, "groups_degraded_min": 1},
        funding={"interval_ms": 3_600_000, "interest_per_8h": 0.0, "cap": 0.04, "impact_notional": 6_000.0},
    )


SETS: tuple[Rules, ...] = (
    _dated(0, "1.0.0", 28_800_000),
    _dated(HOUR_2025_11_21, "1.1.0", 3_600_000),
    _dated(HALF_2026_11_21, "1.2.0", 1_800_000),
)


def index(candidates: Sequence[Candidate], memory: Memory, rules: Rules, at_ns: Nanos) -> Cohort:
    """The product of the legs, each through the whole of its own methodology first, and none without the others."""
    return product(candidates, rules.own.skew_ms_max)


def mark(memory: MarkState, now: MarkInputs, perp: PerpInstrument) -> Marked:
    """The posted mark; while the market is closed, around an oracle price that follows the book, and within bounds.

    The bounds are 1/leverage either way of the last open price, or of where they were anchored anew.
    """
    own, numbers, within = perp.rules.own, memory.notes.numbers, (0.0, inf)
    if now.closed:
        anchor = _anchored(memory, now.index, own)
        within = anchor * (1.0 - 1.0 / own.max_leverage), anchor * (1.0 + 1.0 / own.max_leverage)
    elif now.index_usable:
        numbers.update(anchor=now.index, resets_up=0.0, resets_down=0.0)
    made = posted_mark(memory, now, perp, own, lambda: _oracle(memory, now, perp), within)
    if now.closed:
        made.reasons.append(Reason.MARKET_CLOSED)
    return made


def internal_oracle(
    before: float, impact_bid: float | None, impact_ask: float | None, elapsed_ms: int, own: Own
) -> float:
    """The oracle price of a closed market, `elapsed_ms` after `before` (off-hours).

    S = β·S₀ + (1 − β)·(S₀ + IPD), IPD = max(IB − S₀, 0) − max(S₀ − IA, 0), β = e^(−min(Δt, c·τ)/τ). A side that is too
    thin for an impact price (None) pulls nowhere.
    """
    above = 0.0 if impact_bid is None else max(impact_bid - before, 0.0)
    below = 0.0 if impact_ask is None else max(before - impact_ask, 0.0)
    counted_ms = min(elapsed_ms, int(own.internal_share * own.internal_tau_ms))
    return before + (1.0 - decay(counted_ms, own.internal_tau_ms)) * (above - below)


def _oracle(memory: MarkState, now: MarkInputs, perp: PerpInstrument) -> float | None:
    """What the deployer posts: the index while it is open, then what the book makes of the last open price."""
    if not now.index_usable:
        return None
    if not now.closed:
        return now.index
    before, elapsed_ms, depth = memory.oracle or now.index, int(since_post_ms(memory, now.at_ns)), now.depth
    if depth is None or not live(now, perp) or not _young(depth, now.at_ns, perp):
        return internal_oracle(before, None, None, elapsed_ms, perp.rules.own)
    notional = perp.rules.funding.impact_notional
    bid = impact_price(depth.bids, notional, perp.contract, perp.contract_size)
    ask = impact_price(depth.asks, notional, perp.contract, perp.contract_size)
    return internal_oracle(before, bid, ask, elapsed_ms, perp.rules.own)


def _young(depth: Depth, at_ns: Nanos, perp: PerpInstrument) -> bool:
    return at_ns - depth.recv_ns <= perp.rules.mark.feed_stale_ms * NANOS_PER_MS


def _anchored(memory: MarkState, last: float, own: Own) -> float:
    """What the bounds stand around: it moves onto a bound that the oracle price has nearly reached, if it still may."""
    numbers = memory.notes.numbers
    anchor, far = numbers.setdefault("anchor", last), own.reset_share / own.max_leverage
    moved = memory.oracle / anchor - 1.0 if memory.oracle else 0.0
    for name, reached, most, bound in (
        ("resets_up", moved >= far, own.resets_up_max, 1.0 + 1.0 / own.max_leverage),
        ("resets_down", moved <= -far, own.resets_down_max, 1.0 - 1.0 / own.max_leverage),
    ):
        if reached and numbers.get(name, 0.0) < most:
            numbers[name] = numbers.get(name, 0.0) + 1.0
            numbers["anchor"] = anchor * bound
    return numbers["anchor"]


sample = perpetual.impact_mid  # (IB + IA) / 2 / O − 1, without a dead band; O is the oracle price as last posted
accrue = perpetual.evenly  # every sample counts the same
fund = deployer_fund  # of the plain mean of the interval's samples
rate = deployer_rate  # clamp(multiplier × (P̄ + clamp(−P̄, ±C)) ÷ 8, ±cap), for an hourly settlement without interest
settled = deployer_settled  # in units of 10^-rate_decimals, half to even
