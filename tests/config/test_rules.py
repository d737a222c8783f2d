"""An instrument's own parameters are checked one by one and against each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import pytest

from oracle import methods
from oracle.config.rules import ranges, ruleset
from oracle.config.settings import dotted
from oracle.config.text import Path
from oracle.core.params import Rules
from oracle.errors import ConfigError

BASE = methods.load("hk1").SETS[-1]


def wrong(path: Path, value: object, problem: str, remedy: str) -> ConfigError:
    return ConfigError(problem, key=dotted(path), value=value, remedy=remedy)


def made(own: Mapping[str, Mapping[str, Any]], kind: str = "reference", tier: int = 1) -> Rules:
    return ruleset(BASE, own, kind=kind, tier=tier, wrong=wrong)


def test_without_own_values_the_set_is_the_methodologys() -> None:
    assert made({}) == BASE


def test_own_values_stand_over_those_of_kind_and_tier() -> None:
    rules = made({"mark": {"band_bps": 200}, "ladder": {"warm_ms": 1}}, kind="conversion", tier=2)
    assert (rules.mark.band_bps, type(rules.mark.band_bps)) == (200.0, float)
    assert (rules.ladder.warm_ms, rules.ladder.groups_normal_min, rules.ladder.fallback_ms_max) == (1, 3, 30_000)
    assert (rules.index.groups_configured_min, rules.source.stale_ms_max) == (3, 30_000)


def test_the_tiers_are_those_of_the_methodology() -> None:
    assert made({}, tier=2).mark.band_bps == 300.0
    assert made({}).mark.band_bps == 150.0


@pytest.mark.parametrize(
    ("own", "line"),
    [
        ({"sourc": {}}, "rules.sourc: unknown group of parameters (did you mean source?)"),
        ({"source": {"stale_ms": 3}}, "rules.source.stale_ms = 3: unknown parameter (did you mean stale_ms_m"),
        ({"mark": {"stale_ms_max": 3}}, "unknown parameter (did you mean rules.source.stale_ms_max?)"),
        ({"source": {"stale_ms_max": 1}}, "= 1: out of range (allowed: 100 to 3600000 ms)"),
        ({"source": {"stale_ms_max": 2000.5}}, "not a whole number (allowed: 100 to 3600000 ms)"),
        ({"source": {"stale_ms_max": True}}, "not a whole number"),
        ({"mark": {"band_bps": "wide"}}, "not a number (allowed: 1 to 5000 bps)"),
        ({"mark": {"band_bps": float("nan")}}, "out of range"),
        (
            {"source": {"stale_ms_min": 20_000}},
            "stale_ms_min = 20000: source.stale_ms_min 20000 exceeds source.stale_ms_max",
        ),
        ({"source": {"stale_ms_max": 500}}, "rules.source.stale_ms_max = 500: source.stale_ms_min 1000 exceeds"),
        ({"ladder": {"groups_degraded_min": 5}}, "groups_degraded_min 5 exceeds ladder.groups_normal_min 4"),
        ({"mark": {"feed_lost_ms": 1000}}, "mark.feed_stale_ms 3000 exceeds mark.feed_lost_ms 1000"),
        ({"funding": {"interval_ms": 25_000_000}}, "does not divide 24 h (for example 28800000, 3600000 or 60000)"),
        ({"funding": {"offset_ms": 28_800_000}}, "offset_ms = 28800000: offset_ms 28800000 is no part of an interval"),
        ({"own": {"weights": {}}}, "rules.own: this methodology has no parameters of its own (remove the table)"),
        ({"funding": {"sample_ms": 7_000}}, "sample_ms 7000 does not divide interval_ms 28800000"),
    ],
)
def test_a_mistake_is_one_line(own: dict[str, dict[str, Any]], line: str) -> None:
    with pytest.raises(ConfigError) as error:
        made(own)
    assert line in str(error.value)


@pytest.mark.parametrize("dotted_name", ranges())
def test_the_bounds_of_every_parameter_are_its_own(dotted_name: str) -> None:
    row = ranges()[dotted_name]
    section, _, name = dotted_name.partition(".")
    for beyond in (row.minimum - 1, row.maximum + 1):
        with pytest.raises(ConfigError, match=r"out of range|not a whole number"):
            made({section: {name: beyond}})
    assert row.minimum <= getattr(getattr(BASE, section), name) <= row.maximum


def test_a_contradiction_that_nobody_wrote_is_blamed_on_the_table() -> None:
    broken = made({"funding": {"interval_ms": 60_000, "sample_ms": 10_000}})
    with pytest.raises(ConfigError, match=r"^rules: "):
        ruleset(_with_interval(broken, 25_000), {}, kind="reference", tier=1, wrong=wrong)


class Weighted(msgspec.Struct, frozen=True):
    """The own parameters of a methodology that weighs venues."""

    band: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.1
    weights: dict[str, float] = {}


def test_a_methodologys_own_parameters_are_what_their_type_says() -> None:
    base = msgspec.structs.replace(BASE, own=Weighted(weights={"kraken": 1.0}))

    def own(**values: object) -> Rules:
        return ruleset(base, {"own": values}, kind="reference", tier=1, wrong=wrong)

    assert own(band=0.5).own == Weighted(0.5, {"kraken": 1.0})
    assert own(weights={"gemini": 2}).own == Weighted(0.1, {"gemini": 2.0})
    for values, said in (
        ({"band": 2.0}, "rules.own.band = 2.0: expected `float` <= 1.0"),
        ({"band": "wide"}, "rules.own.band = 'wide': expected `float`, got `str`"),
        ({"bnd": 1.0}, "rules.own.bnd = 1.0: unknown parameter (did you mean band?)"),
    ):
        with pytest.raises(ConfigError) as error:
            own(**values)
        assert said in str(error.value)


def _with_interval(rules: Rules, interval_ms: int) -> Rules:
    funding = msgspec.structs.replace(rules.funding, interval_ms=interval_ms)
    return msgspec.structs.replace(rules, funding=funding)


def test_a_conversion_needs_no_more_than_its_methodology() -> None:
    stated = methods.load("reference").SETS[-1]
    rules = ruleset(stated, {}, kind="conversion", tier=1, wrong=wrong)
    assert (rules.index.groups_configured_min, rules.ladder.groups_normal_min) == (1, 1)
