"""Builder-deployed perpetuals on Hyperliquid (HIP-3): posted marks, mid-of-impact premiums, settable funding.

Published in `methodology/hip3.md`. Sources: hyperliquid.gitbook.io, pages HIP-3 deployer actions and HIP-3:
builder-deployed perpetuals; official Python SDK (`perp_deploy_set_oracle`); docs.trade.xyz, changelog. A perpetual's
index is whichever methodology the deployer's oracle has; what a deployer would post is built here, and never sent.
"""

from __future__ import annotations

from typing import Annotated

from oracle.core import frame, perpetual
from oracle.core.mark import Marked, MarkInputs, MarkState
from oracle.core.params import PerpInstrument, Rules, num
from oracle.core.posted import (
    DEPLOYER_READS,
    DeployerRules,
    StepHolds,
    deployer_fund,
    deployer_rate,
    deployer_settled,
    posted_mark,
)
from oracle.core.types import NANOS_PER_S, Nanos
from oracle.methods._set_oracle import connection_id as connection_id
from oracle.methods._set_oracle import encoded as encoded
from oracle.methods._set_oracle import set_oracle as set_oracle
from oracle.methods._set_oracle import signing_digest as signing_digest
from oracle.methods._set_oracle import wire as wire

ID = "hip3"
READS = DEPLOYER_READS


class Own(DeployerRules, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the deployer chooses and the chain holds it to, and how open interest is limited."""

    cap_least: Annotated[
        float, num("open interest", "a cap on open interest may not be set below this", 0, 1e9, "quote")
    ] = 1_000_000.0
    cap_share: Annotated[
        float, num("open interest", "nor below this share of the open interest there is", 0, 1, "ratio")
    ] = 0.5
    mark_ratio: Annotated[
        float, num("open interest", "no mark may make open interest exceed so many times its cap", 1, 1_000, "ratio")
    ] = 10.0
    size_max: Annotated[
        float, num("open interest", "largest open interest of an asset, in its base", 1, 1e12, "base")
    ] = 1e9


OWN = Own

NEWER_2026_06_01 = 1_780_272_000 * NANOS_PER_S  # the oldest text at hand in which the step holds the mark alone


def _dated(effective_ns: Nanos, version: str, step_holds: StepHolds, clamp_8h: float) -> Rules:
    own = Own(
        update_ms=3_000,
        silent_ms=10_000,
        update_step_bps=100.0,
        step_holds=step_holds,
        day_ratio=10.0,
        mark_lists=("oracle", "basis"),
        multiplier=1.0,
        clamp_8h=clamp_8h,
    )
    funding = {"interval_ms": 3_600_000, "interest_per_8h": 0.0001, "cap": 0.04, "impact_notional": 6_000.0}
    return frame.rules(effective_ns, version, own=own, funding=funding)


SETS: tuple[Rules, ...] = (
    _dated(0, "1.0.0", "mark_and_oracle", 0.0005),
    _dated(NEWER_2026_06_01, "1.1.0", "mark", 0.0003),
)


def mark(memory: MarkState, now: MarkInputs, perp: PerpInstrument) -> Marked:
    """The median of what the deployer posts and the local mark, held to a step; the local mark when nobody posts."""
    return posted_mark(memory, now, perp, perp.rules.own, lambda: now.index if now.index_usable else None)


sample = perpetual.impact_mid  # (IB + IA) / 2 / O − 1, without a dead band; O is the oracle price as last posted
accrue = perpetual.evenly  # every sample counts the same
fund = deployer_fund  # of the plain mean of the interval's samples
rate = deployer_rate  # clamp(multiplier × (P̄ + clamp(r − P̄, ±C)) ÷ 8, ±cap), for an hourly settlement
settled = deployer_settled  # in units of 10^-rate_decimals, half to even: what the venue's history shows


def cap_may_be(asked: float, open_interest: float, rules: Rules) -> bool:
    """Whether a cap on open interest may be set so: both in quote currency."""
    own: Own = rules.own
    return asked >= max(own.cap_least, own.cap_share * open_interest)


def mark_may_be(mark: float, size: float, cap: float, rules: Rules) -> bool:
    """Whether a mark may be posted: open interest of `size` (base) at it is within the asset's limits.

    `cap` is the cap on open interest in quote currency. The chain asks this of every posted mark; a live engine, which
    is told of no open interest, cannot.
    """
    own: Own = rules.own
    return size <= own.size_max and mark * size <= own.mark_ratio * cap
