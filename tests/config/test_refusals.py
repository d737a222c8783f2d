"""Every rule is heard on every instrument, whatever the others say, and the first refusal is the one that is raised."""

from __future__ import annotations

import pytest

from oracle.config.policy import ALWAYS, LIVE, Heard
from oracle.config.refusals import Docket, judged
from oracle.config.settings import Settings
from oracle.config.world import world
from oracle.errors import ConfigError
from tests.config.conftest import AT_NS, BTC, Bench

PERP = '[[perp]]\nid = "BTC-PERP"\nindex = "BTC-USD"\ntick = "0.1"\n'
EVERY = {"name", "legs", "parameters", "sources", *(rule for rule, _ in (*ALWAYS, *LIVE))}


def test_every_rule_is_heard_on_every_instrument(bench: Bench) -> None:
    rulings = judged(bench.settings(tail=PERP), AT_NS).rulings
    heard = {(r.rule, r.instrument) for r in rulings}
    assert heard >= {(rule, index) for rule in EVERY for index in ("BTC-USD", "USDT-USD")}
    assert heard >= {(rule, "BTC-PERP") for rule in ("name", "legs", "parameters", "tick")}
    assert all(r.found and r.outcome == "passes" for r in rulings)


def test_all_refusals_stand_side_by_side_and_the_first_is_raised(bench: Bench) -> None:
    settings = bench.settings(
        ("krakn:BTC/USD", "gemini:BTCUSD", "ccxt.gemini:BTC/USD"),
        head='own_venues = ["gemini"]',
        tail=PERP.replace("0.1", "0.15") + 'method = "hk2"\n[venues.gemini]\nurl = "wss://uat.gemini.com"',
    )
    docket = judged(settings, AT_NS)
    refused = {(r.instrument, r.rule) for r in docket.rulings if r.outcome == "refused"}
    assert refused >= {
        ("BTC-USD", rule) for rule in ("sources", "own market", "one vote", "sandboxes", "groups", "shares", "domains")
    }
    assert refused >= {("BTC-PERP", "parameters")}
    with pytest.raises(ConfigError) as raised:
        world(settings, AT_NS)
    assert raised.value is not docket.refusal
    assert str(raised.value) == str(docket.refusal)


def test_a_test_instrument_is_exempt_from_what_protects_consumers_and_from_nothing_else(bench: Bench) -> None:
    outcomes = {r.rule: r.outcome for r in bench.rulings(BTC[:1], status="TEST")}
    assert {rule for rule, outcome in outcomes.items() if outcome == "exempt"} == {rule for rule, _ in LIVE}
    assert {outcomes[rule] for rule, _ in ALWAYS} == {"passes"}


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (
            'conversions = { USDT = "USDT-USDD" }',
            "7: index[0].conversions.USDT = 'USDT-USDD': no such index (did you mean",
        ),
        ('conversions = { USDT = "BTC-USD" }', "converts itself (BTC-USD -> BTC-USD)"),
        ('conversions = { USDC = "USDT-USD" }', "prices USDT in USD, not USDC in USD"),
        ('conversions = { USDT = "USDT-USD" }\nmethod = "hk2"', "no such methodology (did you mean hk1?)"),
    ],
)
def test_a_leg_or_a_method_that_is_not_there_is_refused(bench: Bench, own: str, said: str) -> None:
    told = bench.refused(own=own)
    assert any(said in line for line in told), told


OFF = "".join(f"[venues.{venue}]\nenabled = false\n" for venue in ("coinbase", "kraken", "bitstamp", "bitfinex"))


def test_a_leg_that_reads_nobody_is_missing_in_a_test_too(bench: Bench) -> None:
    tail = 'status = "TEST"\n' + OFF
    [said] = bench.refused(tail=tail, status="TEST")
    assert "conversions.USDT = 'USDT-USD': has no source that is enabled (enable one of its venues)" in said


def test_a_perpetual_needs_an_index_that_reads_somebody(bench: Bench) -> None:
    def legs(tail: str) -> list[str]:
        rulings = judged(bench.settings(tail=tail, status="TEST"), AT_NS).rulings
        return [str(r.error) for r in rulings if r.instrument == "BTC-PERP" and r.rule == "legs" and r.error]

    assert legs(PERP) == []
    assert "perp[0].index = 'BTC-USDD': no such index" in legs(PERP.replace("BTC-USD", "BTC-USDD"))[0]
    all_off = OFF + "".join(f"[venues.{venue}]\nenabled = false\n" for venue in ("gemini", "binance"))
    assert "perp[0].index = 'BTC-USD': has no source that is enabled" in legs(PERP + all_off)[0]


@pytest.mark.parametrize(
    ("again", "said"),
    [
        ('"okx:BTC-USDT=USD"', "is a perp source in USDT elsewhere"),
        ('{ source = "gate:BTC_USDT", ratio = 10 }', "has another ratio, from or until elsewhere"),
    ],
)
def test_a_source_is_the_same_everywhere(bench: Bench, again: str, said: str) -> None:
    other = f'[[index]]\nid = "B2"\nbase = "BTC"\nstatus = "TEST"\nsources = [{again}]\n'
    own = 'conversions = { USDT = "USDT-USD" }\nperp_sources = ["okx:BTC-USDT"]'
    tail = other + 'conversions = { USDT = "USDT-USD" }\n'
    rulings = judged(bench.settings((*BTC, "gate:BTC_USDT"), own=own, tail=tail), AT_NS).rulings
    [error] = [r.error for r in rulings if r.instrument == "B2" and r.error]
    assert said in str(error)


def test_a_method_is_asked_for_what_it_makes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oracle.config.refusals.makes_index", lambda method: False)
    monkeypatch.setattr("oracle.config.refusals.funds", lambda method: False)
    said = [r.found for r in judged(bench.settings(tail=PERP), AT_NS).rulings if r.outcome == "refused"]
    assert any("method = 'hk1': makes no index" in line for line in said)
    assert any("method = 'hk1': only makes an index" in line for line in said)


def test_a_name_is_published_once(bench: Bench) -> None:
    rulings = judged(bench.settings(tail=PERP.replace("BTC-PERP", "BTC-USD")), AT_NS).rulings
    [ruling] = [r for r in rulings if r.rule == "name" and r.outcome == "refused"]
    assert "perp[0].id = 'BTC-USD': is published twice" in ruling.found


def test_warnings_refuse_nothing() -> None:
    docket = Docket()
    docket.enter("rule", "X", Heard("found", (), [("thin", "thicken")]))
    assert docket.refusal is None
    assert [(r.outcome, r.found, r.remedy) for r in docket.rulings] == [("warns", "thin", "thicken")]


def test_nothing_to_judge_is_refused() -> None:
    with pytest.raises(ConfigError, match="there is no index to publish"):
        judged(Settings(), AT_NS)
