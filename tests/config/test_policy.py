"""Each rule that protects consumers refuses what it is for, where it stands, with what to do; and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.config.policy import SHARE_MAX, Case, is_number, is_sandbox, shares
from oracle.config.refusals import judged
from oracle.config.venues import sandboxes
from tests.config.conftest import AT_NS, BTC, Bench

FX = ("feed.one:USD/HKD", "feed.two:USD/HKD", "ecb:USD/HKD")
FEED = '[feeds.{0}]\nurl = "https://{0}.example/{{symbol}}"\npath = "mid"\ntime_path = "at"\n'
OWNERS = '[groups]\n"feed.one" = "bank"\n"feed.two" = "broker"\n[domains]\n"feed.one" = "bank"\n"feed.two" = "broker"\n'
HKD = 'quote = "HKD"\nkind = "conversion"\n'


@dataclass
class Weighted:
    """The parameters of a methodology that weighs venues."""

    weights: dict[str, float]
    weight_otherwise: float = 0.0


def case(bench: Bench, sources: tuple[str, ...] = BTC, own: Any = None, **changed: str) -> Case:
    made = judged(bench.settings(sources, **changed), AT_NS).cases[-1]
    return msgspec.structs.replace(made, rules=msgspec.structs.replace(made.rules, own=own))


def hkd(bench: Bench, tail: str, sources: tuple[str, ...] = FX) -> list[str]:
    """The refusals of an index of stated rates; lines count from the file's beginning."""
    return bench.refused(sources, own=HKD, tail=tail, base="USD")


def test_nothing_is_wrong_with_the_bench(bench: Bench) -> None:
    assert bench.refused() == []
    assert hkd(bench, FEED.format("one") + FEED.format("two") + OWNERS) == []
    assert {ruling.outcome for ruling in bench.rulings()} == {"passes"}


def test_groups_share_the_vote_equally_however_many_venues_they_run(bench: Bench) -> None:
    made = shares(case(bench, (*BTC, "deribit:BTC-PERPETUAL=USD", "gate:BTC_USDT")))
    assert made == dict.fromkeys(("coinbase", "payward", "robinhood", "gemini", "ifinex", "binance", "gate"), 1 / 7)


def test_a_methodology_that_weighs_venues_gives_a_group_the_sum_of_its_own(bench: Bench) -> None:
    sources = ("coinbase:BTC-USD", "deribit:BTC-PERPETUAL=USD", "kraken:BTC/USD", "gemini:BTCUSD")
    weighed = case(bench, sources, Weighted({"coinbase": 1.0, "deribit": 1.0, "kraken": 2.0}), status="TEST")
    assert shares(weighed) == {"coinbase": 0.5, "payward": 0.5, "gemini": 0.0}
    assert shares(case(bench, sources, Weighted({}, 1.0), status="TEST")) == {
        "coinbase": 0.5,
        "payward": 0.25,
        "gemini": 0.25,
    }
    assert set(shares(case(bench, sources, Weighted({}), status="TEST")).values()) == {0.0}


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=len(BTC)))
def test_shares_sum_to_one(weights: list[float]) -> None:
    given_ = dict(zip((source.partition(":")[0] for source in BTC), weights, strict=False))
    made = shares(
        msgspec.structs.replace(_CASE[0], rules=msgspec.structs.replace(_CASE[0].rules, own=Weighted(given_)))
    )
    assert sum(made.values()) == pytest.approx(1.0)
    assert all(0.0 <= share <= 1.0 for share in made.values())


_CASE: list[Case] = []


@pytest.fixture(autouse=True, scope="module")
def _one_case(tmp_path_factory: pytest.TempPathFactory) -> None:
    _CASE.append(case(Bench(tmp_path_factory.mktemp("policy") / "o.toml")))


def test_a_quarter_of_the_vote_is_too_much(bench: Bench) -> None:
    own = (
        'conversions = { USDT = "USDT-USD" }\n[index.rules]\n'
        "index = { groups_configured_min = 4 }\nladder = { groups_normal_min = 4 }"
    )
    [said] = bench.refused(BTC[1:5], own=own)
    assert said.startswith("6: index[0].sources: payward with 25.0% and robinhood with 25.0% and")
    assert said.endswith("of the votes (every owner below 25%: add owners or lower the weight)")
    assert bench.refused(BTC[:5], own=own) == []
    assert SHARE_MAX["conversion"] > 1 / 3, "the indices that convert are configured with three groups"


def test_an_own_or_related_venue_is_refused_with_everything_that_its_owner_runs(bench: Bench) -> None:
    perps = 'conversions = { USDT = "USDT-USD" }\nperp_sources = ["gate_futures:BTC_USDT"]'
    [said] = bench.refused(own=perps, head='own_venues = ["gate"]')
    assert said.startswith(
        "8: index[0].perp_sources[0] = 'gate_futures:BTC_USDT': is of gate, whose gate stands in own_v"
    )
    [said] = bench.refused((*BTC, "ccxt.okx:BTC/USDT"), head='affiliates = ["okx"]')
    assert "sources[6] = 'ccxt.okx:BTC/USDT': stands in affiliates: nobody prices by his own market (remove it)" in said
    [said] = bench.refused(head='own_venues = ["binance", "hk.platform"]', status="TEST")
    assert "'binance:BTCUSDT': stands in own_venues" in said


def test_a_venue_of_unknown_owner_is_refused_until_he_is_named(bench: Bench) -> None:
    sources = (*BTC, "xml.dom:BTC/USD")
    [said] = bench.refused(sources)
    assert (
        '\'xml.dom:BTC/USD\': the owner and domain of xml.dom is not known ([groups] "xml.dom" = "…", [domains]' in said
    )
    [said] = bench.refused(sources, tail='[groups]\n"xml.dom" = "w3c"')
    assert "the failure domain of xml.dom is not known ([domains]" in said
    assert bench.refused(sources, tail='[groups]\n"xml.dom" = "w3c"\n[domains]\n"xml.dom" = "w3c"') == []
    assert bench.refused(sources, status="TEST") == []


@pytest.mark.parametrize(
    ("again", "first"),
    [
        ("ccxt.kraken:BTC/USD", "kraken:BTC/USD"),
        ("kraken/other:BTC/USD", "kraken:BTC/USD"),
        ("kraken:XBT/USD=USD", "kraken:BTC/USD"),
        ("binance:btcusdt", "binance:BTCUSDT"),
        ("binance/usdm:BTCUSDT", "binance:BTCUSDT"),
        ("ccxt.bitfinex:BTC/USD", "bitfinex:tBTCUSD"),
    ],
)
def test_one_market_is_read_once(bench: Bench, again: str, first: str) -> None:
    [said] = bench.refused((*BTC, again))
    assert said.startswith(
        f"6: index[0].sources[6] = {again!r}: is {first} once more: one owner, one market, one vote ("
    )


def test_the_same_perpetual_is_read_once_and_another_of_the_venue_is_another(bench: Bench) -> None:
    own = 'conversions = {{ USDT = "USDT-USD" }}\nperp_sources = ["okx:BTC-USDT-SWAP", "{}"]'
    [said] = bench.refused(own=own.format("ccxt.okx:BTC-USDT-SWAP"))
    assert "perp_sources[1] = 'ccxt.okx:BTC-USDT-SWAP': is okx:BTC-USDT-SWAP once more" in said
    assert bench.refused(own=own.format("okx:BTC-USD-SWAP")) == []


def test_markets_of_one_owner_merge_into_one_vote(bench: Bench) -> None:
    sources = (*BTC, "deribit:BTC-PERPETUAL=USD", "binance:BTCUSD")
    assert bench.refused(sources) == []
    found = {r.rule: r.found for r in bench.rulings(sources)}
    assert found["one vote"] == "no market twice; 2 merge into their owner's vote"
    assert found["groups"] == "6 owner groups, at least 5"


def test_a_feeds_address_has_one_owner(bench: Bench) -> None:
    same = FEED.format("two").replace("https://two.", "https://one.").replace("mid", "other")
    [said] = hkd(bench, FEED.format("one") + same + OWNERS)
    assert "'feed.two:USD/HKD': asks one.example like feed.one:USD/HKD, as if another owned it" in said
    twin = FEED.format("two").replace("https://two.", "https://one.")
    told = hkd(bench, FEED.format("one") + twin + OWNERS)
    assert len(told) == 2
    assert "is feed.one:USD/HKD once more" in told[0]


@pytest.mark.parametrize(
    ("sources", "own", "said"),
    [
        (
            (*BTC, "okx:BTC-USDT=USD"),
            "",
            "'okx:BTC-USDT=USD': spells USDT and is taken for USD at one to one (convert it",
        ),
        ((*BTC, "kraken:BTC/USDC=USD"), "", "spells USDC and is taken for USD at one to one"),
        ((*BTC, "bybit:BTCUSDE=USD"), "", "spells USDE and is taken for USD"),
        (BTC, 'conversions = { USDT = "1" }', "conversions.USDT = '1': is a constant: USDT is never worth so much by"),
        (BTC, "conversions = { USDT = 1.0 }", "conversions.USDT = '1.0': is a constant"),
        (BTC, 'conversions = { USDT = "USDT-USD" }\nquote = "BTC"', "index[0].quote = 'BTC': BTC in BTC is a constant"),
    ],
)
def test_nothing_is_worth_a_constant(bench: Bench, sources: tuple[str, ...], own: str, said: str) -> None:
    told = bench.refused(sources, own=own)
    assert any(said in line for line in told), told


def test_a_constant_conversion_is_refused_in_a_test_too(bench: Bench) -> None:
    [said] = bench.refused(own='conversions = { USDT = "1" }', status="TEST")
    assert "is a constant" in said
    assert 'name it: USDT = "USDT-USD")' in said


@pytest.mark.parametrize(
    ("feed", "said"),
    [
        (FEED.replace("mid", "1.0"), "feeds.one.path = '1.0': states a constant, not a rate"),
        (FEED.replace('"at"', '"mid"'), "feeds.one.path = 'mid': states a constant"),
        (FEED.replace('time_path = "at"', ""), "feeds.one: no time_path: a rate that never changes would look new for"),
    ],
)
def test_a_feed_that_could_be_a_constant_is_refused(bench: Bench, feed: str, said: str) -> None:
    told = hkd(bench, feed.format("one") + FEED.format("two") + OWNERS)
    assert len(told) == 1
    assert said in told[0]


def test_one_place_of_a_feed_is_not_read_as_two_rates(bench: Bench) -> None:
    bare = FEED.format("one").replace("{symbol}", "")
    gold = '[[index]]\nid = "XAU-USD"\nbase = "XAU"\nstatus = "TEST"\nsources = ["feed.one:XAU/USD"]\n'
    [said] = hkd(bench, gold + bare + FEED.format("two") + OWNERS)
    assert "feeds.one.path = 'mid': one place for several sources: each would state the other's rate" in said
    assert hkd(bench, gold + bare + 'symbol_path = "pair"\n' + FEED.format("two") + OWNERS) == []


PLAYED = (
    "wss://sandbox.kraken.com",
    "wss://beta-testnet.kraken.com:8443/v2",
    "wss://user@SANDBOX.kraken.com",
    "wss://demo-futures.kraken.com",
    "wss://test.deribit.com/ws/api/v2",
    "wss://a.b.v4testnet.dydx.exchange/v4/ws",
    "wss://stream.binancefuture.com",
    "wss://uat-stream.3ona.co",
    "wss://ws-md.n5e2.coinbase.com",
    "wss://wspap.okx.com:8443/ws/v5/public",
    "wss://ws.okx.com:8443/ws/v5/public?brokerId=9999",
    "https://api.example/sandbox/v1",
    "https://api.example/paper",
    "wss://stream-pro.sim.hashkeydev.com/quote",
    "wss://[nowhere",
)
TRADED = (
    "wss://ws.kraken.com/v2",
    "wss://stream.binance.com:9443",
    "wss://latest.example",
    "wss://contest.example/attestation",
    "ws://127.0.0.1:8080",
    "ws://[::1]:8080",
    "wss://devon.example",
    "wss://ws.okx.com:8443/ws/v5/public?brokerId=99990",
)


@pytest.mark.parametrize("address", [*PLAYED, *(f"wss://x.{host}:1/y" for host in sandboxes())])
def test_where_a_venue_plays_is_known(address: str) -> None:
    assert is_sandbox(address)


@pytest.mark.parametrize("address", TRADED)
def test_where_it_trades_is_not_taken_for_that(address: str) -> None:
    assert not is_sandbox(address)


def test_a_sandbox_prices_nothing_live(bench: Bench) -> None:
    tail = '[venues.kraken]\nurl = "wss://sandbox.kraken.com:8443"'
    [said] = bench.refused(tail=tail)
    assert "venues.kraken.url = 'wss://sandbox.kraken.com:8443': is no market, and a LIVE instrument" in said
    assert said.endswith('(or status = "TEST")')
    tail = '[venues.kraken]\nendpoints = ["wss://ws.kraken.com", "wss://uat.kraken.com"]'
    [said] = bench.refused(tail=tail)
    assert "venues.kraken.endpoints[1] = 'wss://uat.kraken.com': is no market" in said
    told = hkd(bench, FEED.format("one").replace("one.ex", "uat.ex") + FEED.format("two") + OWNERS)
    assert "feeds.one.url = 'https://uat.example/{symbol}': is no market" in told[0]


def test_too_few_owners_are_refused_and_a_venue_that_is_not_dialled_is_none(bench: Bench) -> None:
    told = bench.refused(tail="[venues.kraken]\nenabled = false\n[venues.gemini]\nenabled = false")
    assert told[0].startswith(
        "6: index[0].sources: 4 owner groups behind a LIVE index: coinbase, robinhood, ifinex, binance (at least 5, or"
    )


def test_one_domain_must_leave_enough(bench: Bench) -> None:
    venues = ("kraken", "binance", "gemini", "bitstamp")
    [said] = bench.refused(tail="[domains]\n" + "\n".join(f'{venue} = "tokyo"' for venue in venues))
    assert "losing tokyo leaves 2 owner groups (at least 3 must remain: spread the sources)" in said


OLD = '{ source = "gate:OLD_USDT=USDT", until = "2026-12-01T08:00:00Z" }'
NEW = '{{ source = "gate:NEW_USDT=USDT", from = "{}", ratio = 1000 }}'


def test_a_symbol_that_becomes_another_stands_beside_it_for_its_own_time(bench: Bench) -> None:
    sources = (*BTC, OLD, NEW.format("2026-12-01T08:00:00Z"))
    assert bench.refused(sources) == []
    assert bench.warned(sources) == []
    found = {r.rule: r.found for r in bench.rulings(sources)}
    assert found["identity"] == "2 dated sources"


def test_both_at_once_and_a_week_of_neither_are_refused_and_less_is_told(bench: Bench) -> None:
    [said] = bench.refused((*BTC, OLD, NEW.format("2026-12-01T07:59:59Z")), status="TEST")
    assert "sources[7] = 'gate:NEW_USDT=USDT': stands at the same time as gate:OLD_USDT=USDT (let it begin" in said
    [said] = bench.refused((*BTC, OLD, NEW.format("2026-12-10T08:00:00Z")))
    assert "begins 9 days after gate:OLD_USDT=USDT ends" in said
    assert bench.warned((*BTC, OLD, NEW.format("2026-12-01T10:30:00Z"))) == [
        "gate:NEW_USDT=USDT begins 150 min after gate:OLD_USDT=USDT ends (no vote of it in between)"
    ]


def test_what_has_ended_is_told_and_does_not_vote(bench: Bench) -> None:
    ended = '{ source = "gate:OLD_USDT=USDT", until = "2026-11-01T08:00:00Z" }'
    assert bench.warned((*BTC, ended)) == ["gate:OLD_USDT=USDT has ended (remove it when gate is changed next)"]
    assert "4 owner groups behind a LIVE index" in bench.refused((*BTC[:4], ended))[0]


def test_a_time_at_which_too_few_would_be_left_is_told(bench: Bench) -> None:
    sources = [f'{{ source = "{source}", until = "2026-12-0{k + 1}T00:00:00Z" }}' for k, source in enumerate(BTC[:2])]
    assert bench.warned((*sources, *BTC[2:])) == [
        "from 2026-12-02T00:00:00Z on 4 owner groups vote (at least 5: change the venues one after another)"
    ]


@pytest.mark.parametrize(
    ("text", "number"), [("1", True), ("1.0", True), ("1e0", True), ("USDT-USD", False), ("", False)]
)
def test_a_number_is_a_number(text: str, number: bool) -> None:
    assert is_number(text) is number
