"""HK-1: the methodology for perpetuals in USD on a licensed Hong Kong platform. Published in `methodology/hk1.md`.

The framework it answers to: SFC, "A high-level framework for virtual asset perpetual contracts", 11 February 2026,
paragraphs 9 and 12 to 15. Each parameter's meaning, unit, range and rule stand in `core.params`; the values are here.
"""

from __future__ import annotations

from collections.abc import Sequence

from oracle.core.funding import Funded, FundingState
from oracle.core.funding import fund as clamped_mean
from oracle.core.index import Candidate, Cohort, Member, judge_anchored, judge_frozen, judge_outliers, vote
from oracle.core.mark import Marked, MarkInputs, MarkState
from oracle.core.mark import mark as median_mark
from oracle.core.params import (
    FundingRules,
    IndexRules,
    LadderRules,
    MarkRules,
    PerpInstrument,
    Rules,
    SourceRules,
    SurveillanceRules,
)
from oracle.core.premium import Sampled
from oracle.core.premium import sample as impact_sample
from oracle.core.types import Depth, Nanos

ID = "hk1"

SETS: tuple[Rules, ...] = (
    Rules(
        effective_ns=0,
        version="1.0.0",
        source=SourceRules(
            trade_anchor_ms=60_000,
            spread_bps_max=100.0,
            conversion_age_ms_max=10_000,
            stale_gap_factor=8,
            stale_window=32,
            stale_ms_min=1_000,
            stale_ms_max=10_000,
            frozen_ms=15_000,
            frozen_bps=10.0,
            future_ms_max=2_000,
            clock_offset_ms_max=5_000,
            clock_window_ms=600_000,
            anchor_peers_min=3,
        ),
        index=IndexRules(
            groups_configured_min=5,
            outlier_mad_factor=4.0,
            outlier_bps_min=100.0,
            outlier_bps_max=500.0,
            readmit_band_share=0.5,
            readmit_ms=60_000,
            breakdown_bps=25.0,
            cohort_bps=25.0,
            jump_bps=500.0,
            jump_window_ms=1_000,
            jump_calm_seconds=3,
            jump_calm_bps=100.0,
        ),
        ladder=LadderRules(
            groups_normal_min=4,
            groups_degraded_min=3,
            confidence_normal_bps_max=50.0,
            confidence_degraded_bps_max=200.0,
            confidence_liquidation_bps_max=100.0,
            dispersion_ms=10_000,
            clock_normal_ms_max=100,
            clock_degraded_ms_max=1_000,
            two_groups_bps=25.0,
            slew_bps_per_s=25.0,
            perp_markets_min=2,
            perp_drift_bps_per_s=10.0,
            perp_drift_bps_max=300.0,
            fallback_ms_max=60_000,
            warm_ms=10_000,
            warm_degraded_ms=20_000,
            fallback_up_ms=10_000,
            normal_up_ms=30_000,
            halt_up_ms=30_000,
            halt_up_bps=25.0,
            acknowledge_after_ms=300_000,
            acknowledge_bps=500.0,
            guard_alert_ms=10_000,
            guard_flag_ms=60_000,
        ),
        mark=MarkRules(
            basis_tau_ms=150_000,
            book_tau_ms=30_000,
            feed_stale_ms=3_000,
            feed_lost_ms=30_000,
            basis_half_life_ms=30_000,
            step_bps=100.0,
            band_bps=150.0,
        ),
        funding=FundingRules(
            sample_ms=5_000,
            sample_late_ms_max=1_000,
            impact_notional=20_000.0,
            interval_ms=28_800_000,
            coverage_min=2 / 3,
            interest_per_8h=0.0001,
            inner_clamp=0.0005,
            cap=0.00375,
        ),
        surveillance=SurveillanceRules(
            divergence_bps=25.0,
            divergence_ms=60_000,
            source_bps=30.0,
            source_ms=30_000,
            together_bps=20.0,
            together_ms=5_000,
            liquidations_min=20,
            liquidations_ms=60_000,
        ),
    ),
)


def index(candidates: Sequence[Candidate], members: Sequence[Member], rules: Rules, at_ns: Nanos) -> Cohort:
    """Freshness, frozen books, outliers, anchoring, then one vote a group (sections 2 and 3)."""
    fresh = [c for c in candidates if c.verdict is None]
    judge_frozen(fresh, members, rules.source, at_ns)
    valid = [c for c in fresh if c.verdict is None]
    judge_outliers(valid, members, rules.index, at_ns)
    accepted = [c for c in valid if c.verdict is None]
    judge_anchored(accepted, sum([c.traded for c in candidates]), rules.source)
    everyone = accepted if len(accepted) == len(candidates) else [c for c in candidates if c.price > 0.0]
    return vote(accepted, everyone, rules.index)


def mark(memory: MarkState, now: MarkInputs, perp: PerpInstrument) -> Marked:
    """The median of three legs, clamped to a step and to the band (section 5)."""
    return median_mark(memory, now, perp.rules.mark, perp.price_decimals, perp.tick_units)


def sample(depth: Depth, index: float, perp: PerpInstrument) -> Sampled:
    """The impact premium (section 6, F1 and F2)."""
    notional = perp.rules.funding.impact_notional
    return impact_sample(depth.bids, depth.asks, index, notional, perp.contract, perp.contract_size)


def fund(state: FundingState, until_ns: Nanos, perp: PerpInstrument) -> Funded:
    """The clamped mean premium (section 6, F3 to F5)."""
    return clamped_mean(state, until_ns, perp.rules.funding)
