"""Values as the public reads them: no digit lost, no age understated, no halt hidden."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.core.params import World
from oracle.core.types import Quote, Reason, Verdict
from oracle.publishers import render
from oracle.publishers.render import Stamp

MS = 1_000_000


def test_an_index_body_is_what_was_journaled(world: World, make: Any) -> None:
    body = render.index_body(world.indices[1], make.index(reasons=(Reason.COHORT_SPLIT,)))
    assert body["price"] == body["last_good"] == "60004.00"
    assert (body["state"], body["reasons"]) == ("normal", ["cohort_split"])
    assert (body["confidence_bps"], body["gap_bps"]) == ("1.50", "0.20")
    assert "age_ms" not in body


def test_a_mark_knows_its_legs_clamps_and_last_good(world: World, make: Any) -> None:
    good = make.mark()
    body = render.mark_body(world.perps[0], 2, make.mark(price=None), good, carried=True)
    assert (body["price"], body["last_good"], body["index"]) == (None, "60029.0", None)
    assert body["legs"] == {"basis": "60029.0", "book": "60034.0", "funding": None}
    assert body["clamps"][1] == {"name": "band", "limit_bps": "150", "binding": True}
    assert not body["carried_forward"], "there is nothing that could have been carried"
    assert render.mark_body(world.perps[0], 2, good, None, carried=True)["carried_forward"]


@pytest.mark.parametrize(
    ("premium", "rate", "pull", "raw"),
    [  # the worked examples of HK-1 section 8
        (9_000_000, 40_000, "-0.0008000000", "0.0004000000"),
        (3_000_000, 10_000, "-0.0002000000", "0.0001000000"),
        (-6_000_000, -10_000, "0.0007000000", "-0.0001000000"),
        (100_000_000, 375_000, "-0.0099000000", "0.0095000000"),
    ],
)
def test_funding_clamps_show_what_went_in(
    world: World, make: Any, premium: int, rate: int, pull: str, raw: str
) -> None:
    body = render.funding_body(world.perps[0], make.funding(premium_mean_e10=premium, rate_e8=rate))
    inner, cap = body["clamps"]
    assert (inner["value"], inner["min"], inner["max"]) == (pull, "-0.0005000000", "0.0005000000")
    assert (cap["value"], cap["max"]) == (raw, "0.0037500000")


def test_a_funding_fallback_is_the_interest_alone(world: World, make: Any) -> None:
    fallen = make.funding(reasons=(Reason.FUNDING_FALLBACK,), rate_e8=10_000, expected=0, samples=0)
    body = render.funding_body(world.perps[0], fallen)
    assert body["clamps"][0]["value"] is None
    assert body["clamps"][1]["value"] == "0.0001000000"
    assert body["coverage"] is None


def test_rates_are_prorated_exactly() -> None:
    assert render.rates(10_000, 28_800_000) == {
        "rate": "0.00010000",
        "rate_per_8h": "0.000100000000",
        "rate_per_year": "0.109500000000",
    }
    assert render.rates(-1, 3_600_000)["rate_per_8h"] == "-0.000000080000"


def test_a_source_shows_its_distance_and_its_own_age(world: World) -> None:
    index = world.indices[1]
    body = render.source_body(index, world.sources[0], Quote(0, 60_060.0, 80, Verdict.USED), 60_000.0, 20)
    assert (body["price"], body["native_price"], body["distance_bps"]) == ("60060.0000", "60060.0000", "10.00")
    assert (body["age_ms"], body["verdict"]) == (100, "used")
    converted = render.source_body(index, world.sources[5], Quote(5, 60_000.0, 80, Verdict.USED), None, 0)
    assert (converted["native_price"], converted["conversion"]) == (None, "USDT-USD")
    assert converted["distance_bps"] is None
    silent = render.source_body(index, world.sources[1], None, 60_000.0, 0)
    assert (silent["price"], silent["age_ms"], silent["verdict"]) == (None, None, "no_price")


@given(gap_ms=st.integers(0, 10**7), oldest_ms=st.integers(0, 10**6), age_max=st.integers(1, 10**5))
def test_no_value_looks_fresher_than_it_is(gap_ms: int, oldest_ms: int, age_max: int) -> None:
    at_ns = 1_781_000_000_000 * MS
    body = {"kind": "index", "reasons": [], "liquidation_ok": True, "price": "1"}
    answer = render.dressed(body, at_ns, oldest_ms, Stamp(at_ns + gap_ms * MS, "e", age_max))
    assert (answer["age_ms"], answer["oldest_input_age_ms"]) == (gap_ms, oldest_ms + gap_ms)
    assert answer["liquidation_ok"] == (gap_ms <= age_max)
    assert (answer["reasons"] == ["service_stale"]) == (gap_ms > age_max)
    assert answer["price"] == "1", "an old price is shown, as old as it is"
    assert body["reasons"] == [], "the body is shared"


def test_a_clock_that_is_behind_makes_no_negative_age() -> None:
    assert Stamp(5 * MS).age_ms(9 * MS) == 0
    assert Stamp(5 * MS).age_ms(0) is None


def test_a_halted_service_says_no_price(world: World, make: Any) -> None:
    value = make.index(reasons=(Reason.COHORT_SPLIT,))
    stamp = Stamp(value.at_ns, "e", 3_000, ("journal_not_durable",), value.at_ns)
    answer = render.dressed(render.index_body(world.indices[1], value), value.at_ns, 1, stamp)
    assert (answer["price"], answer["state"], answer["liquidation_ok"]) == (None, "halted", False)
    assert answer["reasons"] == ["journal_not_durable", "cohort_split"]
    assert answer["last_good"] == "60004.00"


def test_parameters_are_plain_text() -> None:
    assert [render.plain(x) for x in (20_000.0, 0.0005, 1.0, 150.0)] == ["20000", "0.0005", "1", "150"]


def test_alerts_and_changes_are_worded_in_public(world: World, make: Any) -> None:
    assert render.alert_body(make.alert())["kind"] == "state"
    assert render.change_body(make.change(2), world.sources) == {
        "source": "c:XUSD", "previous": "stale", "verdict": "used", "ts": make.clock.now_ns() // MS,
    }  # fmt: skip
