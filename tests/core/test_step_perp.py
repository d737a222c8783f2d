"""One perpetual, beat by beat: samples on their instants, intervals settled once, and alerts that say why."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from oracle.core.step_perp import SETTLEMENTS_PER_BEAT_MAX
from oracle.core.types import (
    NANOS_PER_MS,
    NANOS_PER_S,
    Action,
    Alert,
    AlertKind,
    BookTop,
    Command,
    Depth,
    FundingRate,
    Link,
    Liquidation,
    MarkPrice,
    PremiumSample,
    Reason,
    Side,
    Tick,
)
from oracle.methods.hk1 import SETS

Make = Callable[..., Any]
RULES = SETS[0]
INTERVAL_NS = RULES.funding.interval_ms * NANOS_PER_MS
GRID_NS = RULES.funding.sample_ms * NANOS_PER_MS


def of(kind: type, *ticks: Tick) -> list[Any]:
    return [value for tick in ticks for value in tick.values if isinstance(value, kind)]


def finals(*ticks: Tick) -> list[FundingRate]:
    return [rate for rate in of(FundingRate, *ticks) if rate.final]


def quick(**funding: Any) -> Any:
    """Rules whose intervals end soon."""
    return structs.replace(RULES, funding=structs.replace(RULES.funding, **funding))


def test_a_sample_is_taken_at_each_instant_and_no_other(rig: Make) -> None:
    r = rig()
    samples = of(PremiumSample, *r.run(30))
    assert [s.instant_ns % GRID_NS for s in samples] == [0] * 6
    assert [b.instant_ns - a.instant_ns for a, b in pairwise(samples)] == [GRID_NS] * 5
    assert all(s.premium_e10 is not None and s.reasons == () for s in samples)
    index = r.index().price / 100
    assert samples[-1].premium_e10 == pytest.approx((r.engine_price - 1 - index) / index * 1e10, rel=1e-3)
    assert (samples[-1].impact_bid, samples[-1].impact_ask) == (6_002_400, 6_002_600)


def next_instant(r: Any, after_ms: int) -> list[PremiumSample]:
    """What the beat so long after the next instant samples, when none has come since."""
    r.at_ns += GRID_NS - r.at_ns % GRID_NS
    return of(PremiumSample, r.beat(after_ms))


def test_a_beat_that_comes_too_late_has_missed_the_instant(rig: Make) -> None:
    r = rig()
    samples = r.engine.state.perps[0].funding.samples
    (late,) = next_instant(r, RULES.funding.sample_late_ms_max + 1)
    assert (late.premium_e10, late.reasons) == (None, (Reason.MISSING, Reason.LATE))
    (timely,) = next_instant(r, RULES.funding.sample_late_ms_max)
    assert timely.premium_e10 is not None
    assert r.engine.state.perps[0].funding.samples == samples + 1


def test_without_an_index_to_measure_against_the_sample_is_missing(rig: Make) -> None:
    r = rig()
    r.beat(extra=[Command(Action.SUSPEND, "*", "platform", "drill", r.at_ns)])
    (suspended,) = next_instant(r, 10)
    assert suspended.reasons == (Reason.MISSING, Reason.INDEX_UNUSABLE)
    r.beat(extra=[Command(Action.HALT, "*", "officer", "drill", r.at_ns)])
    (halted,) = next_instant(r, 10)
    assert halted.reasons == (Reason.MISSING, Reason.INDEX_UNUSABLE)


def test_a_living_top_does_not_make_an_old_depth_young(rig: Make) -> None:
    r = rig()
    price, r.engine_price = r.engine_price, None
    source = r.ids["engine:BTC-USD-PERP"]

    def top() -> BookTop:
        return BookTop(source, price - 1, 1.0, price + 1, 1.0, 0, r.at_ns)

    for _ in range(31):
        r.beat(extra=[top()])
    assert r.mark().book_leg is not None
    (old,) = of(PremiumSample, *(r.beat(extra=[top()]) for _ in range(50)))
    assert old.reasons == (Reason.MISSING, Reason.ENGINE_FEED_STALE)
    r.engine.state.perps[0].depth = None
    (none,) = of(PremiumSample, *(r.beat(extra=[top()]) for _ in range(50)))
    assert none.reasons == (Reason.MISSING, Reason.ENGINE_FEED_STALE)


def test_thin_sides_are_flagged_and_two_are_no_sample(rig: Make) -> None:
    r = rig()
    price, r.engine_price = r.engine_price, None
    source, funding = r.ids["engine:BTC-USD-PERP"], r.engine.state.perps[0].funding
    thin, thick = ((price - 1, 0.01),), ((price + 1, 5.0),)
    r.at_ns += GRID_NS - r.at_ns % GRID_NS
    r.beat(1, extra=[Depth(source, thin, thick, 0, r.at_ns)])
    samples = funding.samples
    r.at_ns += GRID_NS - 2 * NANOS_PER_MS
    (one,) = of(PremiumSample, r.beat(2, extra=[Depth(source, thin, thick, 0, r.at_ns)]))
    assert (one.premium_e10, one.impact_bid, one.reasons) == (0, None, (Reason.THIN_BID,))
    assert funding.samples == samples + 1
    r.at_ns += GRID_NS - 2 * NANOS_PER_MS
    (none,) = of(PremiumSample, r.beat(2, extra=[Depth(source, thin, (), 0, r.at_ns)]))
    assert (none.premium_e10, none.reasons) == (None, (Reason.THIN_BID, Reason.THIN_ASK, Reason.MISSING))
    assert funding.samples == samples + 1


def test_the_sample_of_the_settlement_instant_is_the_last_of_its_interval(rig: Make) -> None:
    r = rig(rules=quick(interval_ms=60_000, coverage_min=0.5))
    ticks = r.run(120)
    settled = finals(*ticks)
    assert [f.settles_ns % (60 * NANOS_PER_S) for f in settled] == [0, 0]
    for rate in settled:
        inside = [s for s in of(PremiumSample, *ticks) if rate.interval_start_ns < s.instant_ns <= rate.settles_ns]
        assert rate.expected == 12
        if rate.interval_start_ns >= ticks[0].at_ns:
            assert rate.samples == len(inside) == 12
            assert rate.premium_mean_e10 == pytest.approx(sum(s.premium_e10 for s in inside) / 12, abs=1)
        assert rate.index is not None


def test_an_interval_may_end_between_two_instants(rig: Make) -> None:
    r = rig(rules=quick(interval_ms=10_000, sample_ms=3_000))
    ticks = r.run(60)
    taken = [s for s in of(PremiumSample, *ticks) if s.premium_e10 is not None]
    settled = [rate for rate in finals(*ticks) if rate.interval_start_ns >= ticks[0].at_ns]
    assert len(settled) == 5
    for rate in settled:
        inside = [s for s in taken if rate.interval_start_ns < s.instant_ns <= rate.settles_ns]
        assert rate.samples == rate.expected == len(inside)
    assert {rate.expected for rate in settled} == {3, 4}


def test_a_sample_after_the_settlement_belongs_to_the_next_interval(rig: Make) -> None:
    r = rig()
    r.at_ns += INTERVAL_NS - r.at_ns % INTERVAL_NS - 3 * NANOS_PER_S
    r.beat()
    before = r.engine.state.perps[0].funding.samples
    r.at_ns += 8 * NANOS_PER_S
    tick = r.beat()
    (rate,), (sample,) = finals(tick), of(PremiumSample, tick)
    assert sample.instant_ns == rate.settles_ns + GRID_NS
    assert rate.samples == before, "it came five seconds after the interval had ended"
    funding = r.engine.state.perps[0].funding
    assert (funding.start_ns, funding.samples) == (rate.settles_ns, 1)
    assert tick.values.index(rate) < tick.values.index(sample)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([40, 900, 1_000, 3_100, 9_800, 20_000, 64_000, 250_000]), min_size=5, max_size=40))
def test_every_interval_settles_exactly_once_with_its_own_samples(rig: Make, waits: list[int]) -> None:
    r = rig(rules=quick(interval_ms=60_000), warm=False)
    ticks = [r.beat(ms) for ms in waits]
    settled = finals(*ticks)
    ends = [rate.settles_ns for rate in settled]
    first = ticks[0].at_ns - ticks[0].at_ns % (60 * NANOS_PER_S)
    assert ends == list(range(first + 60 * NANOS_PER_S, ticks[-1].at_ns + 1, 60 * NANOS_PER_S))
    taken = [s for s in of(PremiumSample, *ticks) if s.premium_e10 is not None]
    for rate in settled:
        inside = [s for s in taken if rate.interval_start_ns < s.instant_ns <= rate.settles_ns]
        assert (rate.samples, rate.expected) == (len(inside), 12)
        late = rate.at_ns - rate.settles_ns > RULES.funding.sample_late_ms_max * NANOS_PER_MS
        assert (Reason.LATE in rate.reasons) == late
        assert rate.index is None or not late


@pytest.mark.parametrize(("after_ms", "late"), [(0, False), (1_000, False), (1_001, True)])
def test_a_late_settlement_knows_no_price_of_its_second(rig: Make, after_ms: int, late: bool) -> None:
    r = rig()
    r.at_ns += INTERVAL_NS - r.at_ns % INTERVAL_NS - 500 * NANOS_PER_MS
    r.beat(1)
    (rate,) = finals(r.beat(499 + after_ms))
    assert (rate.at_ns - rate.settles_ns, rate.final) == (after_ms * NANOS_PER_MS, True)
    assert (Reason.LATE in rate.reasons) == (rate.index is None) == late


def test_an_endless_outage_settles_only_so_many_intervals(rig: Make) -> None:
    r = rig()
    r.at_ns += (SETTLEMENTS_PER_BEAT_MAX + 20) * INTERVAL_NS
    tick = r.beat(quiet=True)
    assert len(finals(tick)) == SETTLEMENTS_PER_BEAT_MAX
    funding = r.engine.state.perps[0].funding
    assert funding.start_ns == r.at_ns - r.at_ns % INTERVAL_NS
    assert finals(*r.run(3)) == []


def test_the_estimate_is_published_each_second_and_whenever_it_changed(rig: Make) -> None:
    r = rig()
    ticks = r.run(20)
    for tick in ticks:
        estimates = [rate for rate in of(FundingRate, tick) if not rate.final]
        second = tick.at_ns // NANOS_PER_S > (tick.at_ns - 100 * NANOS_PER_MS) // NANOS_PER_S
        assert len(estimates) == (1 if second or of(PremiumSample, tick) else 0)
    assert all(e.settles_ns == e.interval_start_ns + INTERVAL_NS and e.index is None for e in of(FundingRate, *ticks))


def alerts(kind: AlertKind, *ticks: Tick) -> list[bool]:
    return [alert.active for alert in of(Alert, *ticks) if alert.kind is kind]


def test_a_clamp_that_binds_is_reported_after_ten_seconds_and_shown_after_sixty(rig: Make) -> None:
    r = rig()
    r.engine_price = 66_000.0
    ticks = r.run(90)
    marks = of(MarkPrice, *ticks)
    bound_ns = next(m.at_ns for m in marks if m.step_binding or m.band_binding)
    (alert,) = [a for a in of(Alert, *ticks) if a.kind is AlertKind.CLAMP_BINDING]
    assert 10 * NANOS_PER_S <= alert.at_ns - bound_ns < 11 * NANOS_PER_S
    for mark in marks:
        assert (Reason.GUARD_PINNED in mark.reasons) == (mark.at_ns >= bound_ns + 60 * NANOS_PER_S)
    r.engine_price = 60_025.0
    ticks = r.run(60)
    assert alerts(AlertKind.CLAMP_BINDING, *ticks) == [False]
    assert Reason.GUARD_PINNED not in r.mark().reasons


def test_a_mark_that_stays_away_from_the_index_is_reported(rig: Make) -> None:
    r = rig()
    r.engine_price = 60_300.0
    ticks = r.run(150)
    (alert,) = [a for a in of(Alert, *ticks) if a.kind is AlertKind.INDEX_MARK_DIVERGENCE]
    assert alert.value == pytest.approx((r.mark().price / r.index().price - 1) * 10_000, abs=5)
    assert (alert.at_ns - alert.since_ns) // NANOS_PER_MS == RULES.surveillance.divergence_ms


def test_a_cluster_of_liquidations_is_reported(rig: Make) -> None:
    r = rig()
    source = r.ids["engine:BTC-USD-PERP"]
    blow = [Liquidation(source, 60_000.0, 1.0, Side.SELL, 0, r.at_ns) for _ in range(19)]
    assert alerts(AlertKind.LIQUIDATION_CLUSTER, r.beat(extra=blow), *r.run(2)) == []
    assert alerts(AlertKind.LIQUIDATION_CLUSTER, r.beat(extra=blow[:1]), *r.run(2)) == [True]
    assert alerts(AlertKind.LIQUIDATION_CLUSTER, *r.run(62, ms=1_000)) == [False]
    assert r.engine.state.perps[0].liquidations == []


def test_funding_at_its_cap_is_reported(rig: Make) -> None:
    r = rig(rules=quick(interval_ms=60_000, cap=0.00005, inner_clamp=0.0))
    ticks = r.run(20)
    assert alerts(AlertKind.FUNDING_AT_CAP, *ticks) == [True]
    estimate = of(FundingRate, *ticks)[-1]
    assert (estimate.rate_e8, estimate.reasons) == (5_000, (Reason.FUNDING_AT_CAP,))
    assert alerts(AlertKind.FUNDING_AT_CAP, *r.run(16)) == [False], "a new interval begins with nothing"


def test_what_was_said_before_a_start_is_forgotten_and_the_samples_are_not(rig: Make) -> None:
    r = rig()
    r.beat(extra=[Liquidation(r.ids["engine:BTC-USD-PERP"], 60_000.0, 1.0, Side.SELL, 0, r.at_ns)])
    perp = r.engine.state.perps[0]
    samples, sum_e10 = perp.funding.samples, perp.funding.sum_e10
    r.beat(quiet=True, extra=[Command(Action.START, "*", "service", "boot", r.at_ns)])
    assert (perp.depth, perp.liquidations, perp.mark.units) == (None, [], None)
    assert (perp.funding.samples, perp.funding.sum_e10) == (samples, sum_e10)
    assert r.mark().feed_age_ms is None


def test_a_broken_line_to_the_platform_takes_its_book_away(rig: Make) -> None:
    r = rig()
    r.engine_price = None
    r.beat(extra=[Link(r.ids["engine:BTC-USD-PERP"], False, "closed", r.at_ns)])
    assert r.mark().book_leg is None
    assert Reason.LEG_MISSING in r.mark().reasons


def test_an_interval_may_end_where_no_sample_is_due(rig: Make) -> None:
    r = rig(rules=quick(sample_ms=60_000, interval_ms=10_000), warm=False)
    ticks = r.run(25, 500)
    assert [rate.settles_ns % (10 * NANOS_PER_S) for rate in finals(*ticks)] == [0, 0]
    assert of(PremiumSample, *ticks) == []
