"""Every parameter of a methodology: its name, unit, range and the rule it belongs to. Values live in `methods/`.

A parameter's `Meta` is its documentation: the configuration checks its range, the methodology prints its table, both
from here. Units are in the names: `_ms`, `_bps`, `_ns`; money is in the instrument's quote currency.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from math import inf
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

from msgspec import Meta, Struct


def ms(rule: str, text: str, ge: int, le: int) -> Meta:
    """The documentation of a time in milliseconds: its rule, its meaning, its range."""
    return Meta(ge=ge, le=le, description=text, extra={"unit": "ms", "rule": rule})


def bps(rule: str, text: str, ge: float, le: float) -> Meta:
    """The documentation of a share in basis points."""
    return Meta(ge=ge, le=le, description=text, extra={"unit": "bps", "rule": rule})


def num(rule: str, text: str, ge: float, le: float, unit: str = "count") -> Meta:
    """The documentation of any other number."""
    return Meta(ge=ge, le=le, description=text, extra={"unit": unit, "rule": rule})


def word(rule: str, text: str, unit: str = "word") -> Meta:
    """The documentation of what is no number: a choice, a switch, a table of weights."""
    return Meta(description=text, extra={"unit": unit, "rule": rule})


class SourceRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a source's price counts (HK-1 S1 to S9)."""

    trade_anchor_ms: Annotated[int, ms("S1, S8", "a trade this young anchors the price", 1_000, 3_600_000)]
    spread_bps_max: Annotated[float, bps("S2", "a wider book is WIDE", 1, 10_000)]
    conversion_age_ms_max: Annotated[int, ms("S3", "an older conversion does not convert", 1_000, 60_000)]
    stale_gap_factor: Annotated[int, num("S5", "multiple of the median gap at which a source is late", 2, 100)]
    stale_window: Annotated[int, num("S5", "updates the median gap is taken over", 4, 256)]
    stale_ms_min: Annotated[int, ms("S5", "no source is STALE before this age", 100, 3_600_000)]
    stale_ms_max: Annotated[int, ms("S5", "every source is STALE after this age", 100, 3_600_000)]
    frozen_ms: Annotated[int, ms("S6", "how long a book may stand while the others move", 1_000, 600_000)]
    frozen_bps: Annotated[float, bps("S6", "how far the others must have moved", 1, 1_000)]
    future_ms_max: Annotated[int, ms("S7", "how far ahead an event time may be", 0, 60_000)]
    clock_offset_ms_max: Annotated[int, ms("S4", "a venue clock's offset is corrected up to this", 0, 60_000)]
    clock_window_ms: Annotated[int, ms("S4", "how long a venue clock's offset is remembered", 10_000, 3_600_000)]
    identity_ratio_max: Annotated[
        float,
        num("S9", "a price so many times the others', or below, is another asset's", 2, 1_000, "ratio"),
    ]
    anchor_peers_min: Annotated[int, num("S8", "peers that traded while this one did not", 1, 100)]


class IndexRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How prices become an index (HK-1 I1 to I8)."""

    groups_configured_min: Annotated[int, num("I1", "independent groups an instrument must be configured with", 1, 100)]
    outlier_mad_factor: Annotated[float, num("I3", "width of the band in robust standard deviations", 1, 20, "ratio")]
    outlier_bps_min: Annotated[float, bps("I3", "the band is never narrower", 1, 5_000)]
    outlier_bps_max: Annotated[float, bps("I3", "the band is never wider", 1, 10_000)]
    readmit_band_share: Annotated[
        float, num("I4", "share of the band a readmitted source must be within", 0.05, 1, "ratio")
    ]
    readmit_ms: Annotated[int, ms("I4", "how long it must be within it, without a break", 0, 3_600_000)]
    breakdown_bps: Annotated[float, bps("I6", "the move that colluding groups are counted for", 1, 1_000)]
    cohort_bps: Annotated[float, bps("I7", "fresh index against the index of everyone not hopelessly old", 1, 1_000)]
    jump_bps: Annotated[float, bps("I8", "a move within the jump window that stops liquidation", 10, 10_000)]
    jump_window_ms: Annotated[int, ms("I8", "the jump window", 100, 60_000)]
    jump_calm_seconds: Annotated[int, num("I8", "whole-second values that must agree afterwards", 1, 60)]
    jump_calm_bps: Annotated[float, bps("I8", "how closely they must agree", 1, 1_000)]


class LadderRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The thresholds and dwell times of the states (HK-1, States)."""

    groups_normal_min: Annotated[int, num("NORMAL", "anchored groups", 1, 100)]
    groups_degraded_min: Annotated[int, num("DEGRADED", "groups", 1, 100)]
    confidence_normal_bps_max: Annotated[float, bps("NORMAL", "confidence", 1, 1_000)]
    confidence_degraded_bps_max: Annotated[float, bps("DEGRADED", "confidence", 1, 5_000)]
    confidence_liquidation_bps_max: Annotated[
        float, bps("DEGRADED", "confidence above which nobody is liquidated", 1, 5_000)
    ]
    dispersion_ms: Annotated[int, ms("FALLBACK", "confidence beyond DEGRADED for this long is a fallback", 0, 600_000)]
    clock_normal_ms_max: Annotated[int, ms("NORMAL", "clock offset", 1, 10_000)]
    clock_degraded_ms_max: Annotated[int, ms("DEGRADED", "clock offset; beyond it HALTED", 1, 60_000)]
    two_groups_bps: Annotated[float, bps("TWO_GROUPS", "two groups this close agree", 1, 1_000)]
    slew_bps_per_s: Annotated[float, bps("TWO_GROUPS", "their mean moves no faster, a second", 1, 1_000)]
    perp_markets_min: Annotated[int, num("PERP_IMPLIED", "fresh outside perpetual markets", 1, 100)]
    perp_drift_bps_per_s: Annotated[
        float, bps("PERP_IMPLIED", "the implied return is bounded by this, a second", 1, 1_000)
    ]
    perp_drift_bps_max: Annotated[float, bps("PERP_IMPLIED", "and by this in all", 1, 5_000)]
    fallback_ms_max: Annotated[int, ms("HALTED", "a fallback lasts no longer", 1_000, 600_000)]
    warm_ms: Annotated[int, ms("up", "WARMING to NORMAL", 0, 600_000)]
    warm_degraded_ms: Annotated[int, ms("up", "WARMING to DEGRADED: conversions warm up too", 0, 600_000)]
    fallback_up_ms: Annotated[int, ms("up", "FALLBACK to DEGRADED, or to a better rung", 0, 600_000)]
    normal_up_ms: Annotated[int, ms("up", "DEGRADED to NORMAL", 0, 600_000)]
    halt_up_ms: Annotated[int, ms("up", "HALTED to WARMING", 0, 600_000)]
    halt_up_bps: Annotated[float, bps("up", "HALTED to WARMING: the groups lie within this", 1, 1_000)]
    acknowledge_after_ms: Annotated[int, ms("up", "a longer halt needs an operator", 0, 86_400_000)]
    acknowledge_bps: Annotated[float, bps("up", "so does a larger move during the halt", 1, 10_000)]
    guard_alert_ms: Annotated[int, ms("guards", "a guard that binds this long raises an alert", 0, 600_000)]
    guard_flag_ms: Annotated[int, ms("guards", "and this long a public flag", 0, 600_000)]


class MarkRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The product price (HK-1 M1 to M8)."""

    basis_tau_ms: Annotated[int, ms("M1", "time constant of the basis EMA", 1_000, 3_600_000)]
    book_tau_ms: Annotated[int, ms("M4", "time constant of the book-leg EMA that joins two legs", 1_000, 3_600_000)]
    feed_stale_ms: Annotated[int, ms("M5", "the platform's feed is silent: its book leg is out", 100, 60_000)]
    feed_lost_ms: Annotated[int, ms("M5", "the platform's feed is lost: mark = index", 1_000, 600_000)]
    basis_half_life_ms: Annotated[int, ms("M5", "the basis halves, while silent or in a fallback", 1_000, 600_000)]
    step_bps: Annotated[float, bps("M6", "largest step from the mark of the previous whole second", 1, 10_000)]
    band_bps: Annotated[float, bps("M7", "largest distance from the index; applied last", 1, 5_000)]


class FundingRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Premium and funding (HK-1 F1 to F7)."""

    sample_ms: Annotated[int, ms("F1", "grid of the premium samples", 100, 3_600_000)]
    sample_late_ms_max: Annotated[
        int, ms("F1", "a sample taken later than this after its instant is missing", 1, 60_000)
    ]
    impact_notional: Annotated[
        float, num("F1", "notional whose average fill price is the impact price", 1, 1e9, "quote")
    ]
    interval_ms: Annotated[int, ms("F3, F6", "funding interval; a divisor of 24 h", 10_000, 86_400_000)]
    offset_ms: Annotated[int, ms("F6", "after midnight UTC, when an interval begins", 0, 86_399_999)]
    coverage_min: Annotated[
        float, num("F4", "below this share of samples the rate is the interest alone", 0, 1, "ratio")
    ]
    interest_per_8h: Annotated[float, num("F5", "interest rate r", -0.01, 0.01, "per 8 h")]
    inner_clamp: Annotated[float, num("F5", "C: how far interest may pull the premium", 0, 0.05, "per interval")]
    cap: Annotated[float, num("F5", "largest rate either way", 0, 0.1, "per interval")]


class SurveillanceRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is reported (SFC framework, paragraph 23; figures of the project)."""

    divergence_bps: Annotated[float, bps("index-mark", "distance that is reported", 1, 5_000)]
    divergence_ms: Annotated[int, ms("index-mark", "when it lasts this long", 0, 3_600_000)]
    source_bps: Annotated[float, bps("source", "distance of a source from the index that is reported", 1, 5_000)]
    source_ms: Annotated[int, ms("source", "when it lasts this long", 0, 3_600_000)]
    together_bps: Annotated[float, bps("sources together", "two groups this far off the median on one side", 1, 5_000)]
    together_ms: Annotated[int, ms("sources together", "when it lasts this long", 0, 3_600_000)]
    liquidations_min: Annotated[int, num("cluster", "liquidations that make a cluster", 1, 100_000)]
    liquidations_ms: Annotated[int, ms("cluster", "within this time", 100, 3_600_000)]


class Rules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One dated set of parameters. A change is a new set with its own date, never an edit.

    The groups are what a methodology may share with others; `own` are the parameters that are its alone, a Struct of
    the type that its `OWN` names (None: it has none).
    """

    effective_ns: int
    version: str
    source: SourceRules
    index: IndexRules
    ladder: LadderRules
    mark: MarkRules
    funding: FundingRules
    surveillance: SurveillanceRules
    own: Any = None


class Role(StrEnum):
    """What a source is for."""

    SPOT = "spot"  # votes in an index
    PERP = "perp"  # an outside perpetual: carries the PERP_IMPLIED rung
    ENGINE = "engine"  # the platform's own perpetual market
    REFERENCE = "reference"  # a rate that an authority or a desk states: it has a time of its own and no book


class Source(Struct, frozen=True, kw_only=True):
    """One (venue, venue symbol, quote currency). `id` is its place in `World.sources`: an int in hot code.

    A symbol means this asset in [valid_from_ns, valid_to_ns) alone (0: without end); outside it says nothing. What it
    states is multiplied by `ratio`: 1000.0 where a symbol was renamed and one new unit is a thousandth of the old.
    `age_ms_max` and `calendar` are those of a REFERENCE: how old its rate may be while its market is open, and when
    that is ("": always).
    """

    id: int
    name: str
    venue: str
    symbol: str
    market: str
    quote: str
    group: str
    role: Role
    ratio: float = 1.0
    valid_from_ns: int = 0
    valid_to_ns: int = 0
    age_ms_max: int = 0
    calendar: str = ""


class Leg(Struct, frozen=True):
    """An index of ours that another is made of: it multiplies, or with `inverse` divides."""

    index: str
    inverse: bool = False


class IndexInstrument(Struct, frozen=True, kw_only=True):
    """An index that is published: its voting sources, in configured order, and the conversions they need.

    One that has `legs` is made of other indices and has no sources: a ratio, or a cross of currencies. `document` is
    the SHA-256 of the published document of its methodology, in hex.
    """

    id: str
    base: str
    quote: str
    tier: int
    price_decimals: int
    sources: tuple[int, ...]
    perp_sources: tuple[int, ...]
    conversions: dict[str, str]
    method: str
    rules: Rules
    legs: tuple[Leg, ...] = ()
    document: str = ""


class Contract(StrEnum):
    """How a position is valued."""

    LINEAR = "linear"
    INVERSE = "inverse"


class PerpInstrument(Struct, frozen=True, kw_only=True):
    """A perpetual that is marked and funded against an index. `tick_units`: the tick in units of the scale."""

    id: str
    index: str
    engine_source: int
    contract: Contract
    contract_size: float
    price_decimals: int
    tick_units: int
    method: str
    rules: Rules
    document: str = ""


class World(Struct, frozen=True, kw_only=True):
    """Everything a beat is judged by; the journal's first line carries it. Indices stand in dependency order.

    `configuration_hash` is the SHA-256 of all of it: instruments, sources, parameters and documents.
    """

    methodology: str
    configuration_hash: str
    sources: tuple[Source, ...]
    indices: tuple[IndexInstrument, ...]
    perps: tuple[PerpInstrument, ...]


class ParameterDoc(NamedTuple):
    """One row of the generated parameter table."""

    name: str
    rule: str
    unit: str
    minimum: float
    maximum: float
    text: str

    def span(self) -> str:
        """The range in words; a dash for what is no number."""
        return "–" if self.minimum == -inf else f"{self.minimum:g} to {self.maximum:g}"


# What the engine reads of an instrument's rules, whichever methodology it has: freshness, the ladder, surveillance, the
# rhythm of samples and settlements, and for how long the platform's own feed may be silent.
ENGINE_READS = (
    "source",
    "ladder",
    "surveillance",
    "index.groups_configured_min",
    "index.jump_bps",
    "index.jump_window_ms",
    "index.jump_calm_seconds",
    "index.jump_calm_bps",
    "mark.feed_stale_ms",
    "funding.sample_ms",
    "funding.sample_late_ms_max",
    "funding.interval_ms",
    "funding.offset_ms",
)


def documented(rules_type: type[Struct] = Rules) -> Iterator[ParameterDoc]:
    """Every parameter of `rules_type`, nested names joined by dots, in declaration order.

    What is no number has the whole line for its range.
    """
    for name, hint in get_type_hints(rules_type, include_extras=True).items():
        if isinstance(hint, type) and issubclass(hint, Struct):
            for row in documented(hint):
                yield row._replace(name=f"{name}.{row.name}")
        elif get_origin(hint) is Annotated:
            meta: Any = get_args(hint)[1]
            extra = meta.extra or {}
            low, high = -inf if meta.ge is None else meta.ge, inf if meta.le is None else meta.le
            yield ParameterDoc(name, extra["rule"], extra["unit"], low, high, meta.description)
