"""The safety that every published instrument has, whichever methodology prices it, as dated sets of parameters.

When a source's word is fresh, when an index may be used, what surveillance reports: these are the oracle's own rules
(HK-1 S1 to S9, and its states), and a venue's methodology runs within them, so that its index cannot look alive when
its sources are dead. A change is a new constant with its own date, never an edit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from oracle.core.params import (
    FundingRules,
    IndexRules,
    LadderRules,
    MarkRules,
    Rules,
    SourceRules,
    SurveillanceRules,
)

# What a methodology reads that is made of core.basket's vote, a mark of core.fair and a damped rate of impact premiums.
VENUE_READS = (
    "index.breakdown_bps",
    "mark.feed_stale_ms",
    "mark.feed_lost_ms",
    "funding.sample_ms",
    "funding.impact_notional",
    "funding.interval_ms",
    "funding.coverage_min",
    "funding.interest_per_8h",
    "funding.inner_clamp",
    "funding.cap",
)
SOURCE_2026_11 = SourceRules(
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
    identity_ratio_max=10.0,
    anchor_peers_min=3,
)
INDEX_2026_11 = IndexRules(
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
)
LADDER_2026_11 = LadderRules(
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
)
MARK_2026_11 = MarkRules(
    basis_tau_ms=150_000,
    book_tau_ms=30_000,
    feed_stale_ms=3_000,
    feed_lost_ms=30_000,
    basis_half_life_ms=30_000,
    step_bps=100.0,
    band_bps=150.0,
)
FUNDING_2026_11 = FundingRules(
    sample_ms=5_000,
    sample_late_ms_max=1_000,
    impact_notional=20_000.0,
    interval_ms=28_800_000,
    offset_ms=0,
    coverage_min=2 / 3,
    interest_per_8h=0.0001,
    inner_clamp=0.0005,
    cap=0.00375,
)
SURVEILLANCE_2026_11 = SurveillanceRules(
    divergence_bps=25.0,
    divergence_ms=60_000,
    source_bps=30.0,
    source_ms=30_000,
    together_bps=20.0,
    together_ms=5_000,
    liquidations_min=20,
    liquidations_ms=60_000,
)


def rules(
    effective_ns: int,
    version: str,
    *,
    own: Any = None,
    source: Mapping[str, Any] | None = None,
    index: Mapping[str, Any] | None = None,
    ladder: Mapping[str, Any] | None = None,
    mark: Mapping[str, Any] | None = None,
    funding: Mapping[str, Any] | None = None,
) -> Rules:
    """A dated set of parameters: the frame of November 2026 with what a methodology states otherwise.

    `effective_ns` is when the set came into force, `own` the methodology's own parameters.
    """
    replace = msgspec.structs.replace
    return Rules(
        effective_ns=effective_ns,
        version=version,
        source=replace(SOURCE_2026_11, **(source or {})),
        index=replace(INDEX_2026_11, **(index or {})),
        ladder=replace(LADDER_2026_11, **(ladder or {})),
        mark=replace(MARK_2026_11, **(mark or {})),
        funding=replace(FUNDING_2026_11, **(funding or {})),
        surveillance=SURVEILLANCE_2026_11,
        own=own,
    )
