"""Every public word has its meaning, and what a state is said to allow is what the engine does in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path

import pytest
from msgspec import structs

from oracle.core.index import Candidate, Member, Memory
from oracle.core.meanings import ALERTS, ALLOWED, REASONS, VERDICTS
from oracle.core.params import Rules, documented
from oracle.core.status import USABLE
from oracle.core.types import (
    NANOS_PER_S,
    Action,
    AlertKind,
    Command,
    FundingRate,
    IndexValue,
    MarkPrice,
    PremiumSample,
    Reason,
    State,
    Verdict,
)
from oracle.methods import hk1
from tests.core.rig import START_NS, Rig, make_world

RULES = structs.replace(hk1.SETS[0], funding=structs.replace(hk1.SETS[0].funding, sample_ms=1_000, interval_ms=10_000))
TEXT = (Path(__file__).resolve().parents[2] / "methodology" / "hk1.md").read_text(encoding="utf-8")
LABEL = re.compile(r"[SIMF][0-9]")


def test_every_word_has_its_meaning() -> None:
    assert list(VERDICTS) == list(Verdict)
    assert list(REASONS) == list(Reason)
    assert list(ALERTS) == list(AlertKind)
    assert list(ALLOWED) == list(State)


@pytest.mark.parametrize("rule", sorted({v.rule for v in VERDICTS.values()} | {r.rule for r in REASONS.values()}))
def test_a_label_is_one_that_is_published(rule: str) -> None:
    for label in LABEL.findall(rule):
        assert re.search(rf"\*\*[^*]*\b{label}\b", TEXT), f"hk1.md has no rule {label}"


def test_what_an_alert_is_measured_by_is_a_parameter() -> None:
    known = {row.name for row in documented()}
    named = [name for watched in ALERTS.values() for name in (watched.beyond, watched.lasting) if name]
    assert named
    assert set(named) <= known
    assert all(attrgetter(name)(RULES) for name in named)


@pytest.mark.parametrize("verdict", [v for v in Verdict if VERDICTS[v].votes != "yes"])
def test_who_does_not_vote_does_not_vote_in_ours(verdict: Verdict) -> None:
    said = [Candidate(n, str(n), 100.0 + n, 0, None, True, 99.0 + n, 101.0 + n) for n in range(6)]
    said[5].verdict = verdict
    cohort = hk1.index(said, Memory([Member() for _ in said]), RULES, START_NS)
    assert len(cohort.groups) == 5
    assert said[5].verdict is verdict


def bring(rig: Rig, state: State) -> None:
    """Lead an index that is NORMAL to a state, within a fallback's minute."""
    sources = [name for name in rig.prices if name.startswith("v")]
    leave = {State.DEGRADED: 3, State.TWO_GROUPS: 2, State.PERP_IMPLIED: 1, State.LAST_GOOD: 1}
    if state in leave:
        for name in sources[leave[state] :]:
            rig.prices[name] = None
    if state is State.LAST_GOOD:
        rig.prices.update(dict.fromkeys((name for name in rig.prices if name.startswith("p")), None))
    orders = {State.HALTED: [Action.HALT], State.WARMING: [Action.START], State.SUSPENDED: [Action.SUSPEND]}
    rig.beat(extra=[Command(action, "*", "test", "", rig.at_ns) for action in orders.get(state, [])])
    if state in leave:
        rig.run(12.0, ms=500)
    assert rig.index().state is state


@pytest.fixture(scope="module")
def live() -> Callable[[Rules], Rig]:
    """Makes a rig whose index is NORMAL, with a mark and a funding interval of ten seconds."""

    def make(rules: Rules) -> Rig:
        rig = Rig(make_world(rules=rules))
        rig.quote_all(60_000.0)
        rig.engine_price = 60_025.0
        rig.run(25, ms=500)
        assert rig.index().state is State.NORMAL
        return rig

    return make


@pytest.mark.parametrize("state", list(State))
def test_a_state_allows_what_it_is_said_to_allow(state: State, live: Callable[[Rules], Rig]) -> None:
    rig, allowed = live(RULES), ALLOWED[state]
    bring(rig, state)
    values = [value for tick in rig.run(10.0, ms=500) for value in tick.values]
    while any(isinstance(v, IndexValue) and v.state is not state for v in values):
        values.pop(0)
    made = [v for v in values if isinstance(v, IndexValue | MarkPrice)]
    assert {value.price is not None for value in made} == {allowed.show}
    assert {value.liquidation_ok for value in made} == {allowed.liquidate}
    samples = [v for v in values if isinstance(v, PremiumSample)]
    assert {sample.premium_e10 is not None for sample in samples} == {allowed.sample}
    settled = [v for v in values if isinstance(v, FundingRate) and v.final]
    assert {rate.index is not None for rate in settled} == {allowed.settle}
    assert allowed.margin == (state in USABLE)
    assert rig.at_ns > START_NS + 30 * NANOS_PER_S
