"""The rate of an authority: one is enough, a weekend is not staleness, and the ECB's own days are TARGET's."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from oracle.core.calendar import is_open
from oracle.core.index import Candidate, Cohort, Member, Memory
from oracle.core.method import funds, makes_index
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Reason, State, Ticker, TickerKind, Verdict
from oracle.methods import load
from oracle.methods.reference import SETS, index
from tests.core.rig import START_NS, Rig

RULES = SETS[-1]
DAY_NS = 86_400 * NANOS_PER_S


def stated(place: int, group: str, price: float, verdict: Verdict | None = None) -> Candidate:
    return Candidate(place, group, price, 0, verdict, True, price, price, group)


def voted(*candidates: Candidate) -> Cohort:
    return index(list(candidates), Memory([Member() for _ in candidates]), RULES, DAY_NS)


def test_one_authority_is_an_index() -> None:
    made = voted(stated(0, "ecb", 1.1172))
    assert (made.price, made.groups, made.n_anchored, made.closed) == (1.1172, [1.1172], 1, False)


def test_a_closed_markets_rate_stands_and_a_stale_one_does_not() -> None:
    assert voted(stated(0, "ecb", 1.1172, Verdict.CLOSED)).closed
    assert voted(stated(0, "ecb", 0.0, Verdict.STALE)) == Cohort()


def test_several_authorities_have_one_vote_each() -> None:
    made = voted(stated(0, "ecb", 1.0), stated(1, "desk", 1.2), stated(2, "desk", 1.4), stated(3, "fed", 1.1))
    assert made.price == 1.1
    assert len(made.groups) == 3


def test_it_makes_no_mark_and_no_funding() -> None:
    assert makes_index(load("reference"))
    assert not funds(load("reference"))


def day_of(text: str) -> int:
    return date.fromisoformat(text).toordinal() - date(1970, 1, 1).toordinal()


@pytest.mark.data
def test_the_ecb_states_rates_on_the_calendars_days(data: Path) -> None:
    """Since 2002 on every TARGET day and no other, but for two that this series lacks."""
    with (data / "series" / "ecb_reference_rates.csv").open(encoding="utf-8") as file:
        days = sorted(day_of(row["date"]) for row in csv.DictReader(file))
    kept = [day for day in days if day >= day_of("2002-01-01")]
    opened = [day for day in range(kept[0], kept[-1] + 1) if is_open("target", day * DAY_NS)]
    assert [day for day in kept if day not in opened] == []
    assert [day for day in opened if day not in kept] == [day_of("2009-03-26"), day_of("2013-04-02")]


CLOSE_NS = START_NS // DAY_NS * DAY_NS + (3 * 24 + 22) * 3_600 * NANOS_PER_S  # the rig begins on a Tuesday


@pytest.fixture
def desk(reference_world: Callable[..., Any]) -> Callable[..., Any]:
    """A running world of one rate: `desk(ms, price)` closes a beat so much later in which it is stated, if it is."""
    running = Rig(reference_world({"EUR-USD": 1.1172}, RULES))
    running.at_ns = CLOSE_NS - 3_600 * NANOS_PER_S
    source = running.ids["EUR-USD:desk"]

    def beat(ms: int, price: float = 0.0, times: int = 1) -> Any:
        for _ in range(times):
            at_ns = running.at_ns + ms * NANOS_PER_MS
            running.beat(ms, extra=[Ticker(source, TickerKind.REFERENCE, price, at_ns, at_ns)] if price else ())
        return running.index("EUR-USD")

    return beat


def test_it_can_be_selected(desk: Any) -> None:
    made = desk(1_000, 1.1172, times=15)
    assert (made.state, made.price, made.n_groups) == (State.NORMAL, 11_172, 1)
    assert desk(599_000).price == 11_172, "ten minutes of open time it is good for"
    assert desk(2_000).state is State.LAST_GOOD


def test_over_a_weekend_the_last_rate_stands(desk: Any) -> None:
    desk(1_000, 1.12, times=15)
    desk(60_000, 1.12, times=59)
    made = desk(3_600_000, times=40)
    assert (made.state, made.price, made.carried_forward) == (State.DEGRADED, 11_200, False)
    assert Reason.MARKET_CLOSED in made.reasons
    opened = desk(8 * 3_600_000 + 700_000)
    assert opened.n_groups == 0, "the market has opened again, and nobody has spoken"
