"""A source is read with its currency, its unit and its time, or refused where it stands."""

from __future__ import annotations

import pytest

from oracle.config.places import Place, places, repeated
from oracle.config.source import Spelling
from oracle.core.params import Role
from oracle.errors import ConfigError
from tests.config.conftest import Bench

FEED = '[feeds.desk]\nurl = "https://rates.example/"\npath = "mid"\ntime_path = "at"\n'
HOUR_NS = 3_600 * 10**9
AT = "2026-12-01T08:00:00Z"
AT_NS = 1_796_112_000 * 10**9


def read(bench: Bench, *sources: str, own: str = "", field: str = "sources") -> tuple[list[Place], list[str]]:
    settings = bench.settings(sources, own=own, tail=FEED)
    wrong: list[ConfigError] = []
    found = places(settings, 0, field, wrong)
    return found, [error.problem for error in wrong]


def test_a_source_as_text_has_no_dates(bench: Bench) -> None:
    [place], wrong = read(bench, "kraken:BTC/USD")
    assert not wrong
    assert place == Place(
        ("index", 0, "sources", 0), "kraken:BTC/USD", Spelling("kraken", "spot", "BTC/USD", ""), "USD", Role.SPOT
    )
    assert not place.ended(AT_NS)


def test_a_source_as_a_table_is_one_for_a_time_and_in_a_unit(bench: Bench) -> None:
    old = f'{{ source = "gate:OLD_USDT=USD", until = "{AT}" }}'
    new = '{ source = "gate:NEW_USDT=USD", from = 2026-12-01T17:00:00+08:00, ratio = 1000 }'
    (before, after), wrong = read(bench, old, new)
    assert not wrong
    assert (before.from_ns, before.to_ns, before.ratio) == (0, AT_NS, 1.0)
    assert (after.from_ns, after.to_ns, after.ratio) == (AT_NS + HOUR_NS, 0, 1000.0)
    assert before.ended(AT_NS)
    assert not before.ended(AT_NS - 1)
    assert not after.ended(AT_NS)


def test_a_stated_rate_is_a_reference(bench: Bench) -> None:
    found, wrong = read(bench, "ecb:BTC/USD", "feed.desk:BTC/USD", "ecb:GBP/USD=USD")
    assert [(place.venue, place.role) for place in found] == [
        ("feed.desk", Role.REFERENCE),
        ("ecb", Role.REFERENCE),
    ]
    assert wrong == ["the ECB fixes no BTC"]


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("feed.nobody:BTC/USD", "no such feed"),
        ("feed.desk:BTCUSD", "a rate is written venue:BASE/QUOTE"),
        ("ecb/spots:USD/HKD", "a rate is written venue:BASE/QUOTE"),
        ("ecb:USD/XAU", "the ECB fixes no XAU"),
        ("krakn:BTC/USD", "no such venue"),
        ("kraken_v1:XBT/USD=USD", "no such venue"),
        ("kraken", "a source is written venue[/market]:symbol[=QUOTE]"),
        ("kraken:BTC/EUR", "does not spell BTC and one of USD, USDT"),
        ("kraken:BTC/EUR=EUR", "EUR has no conversion"),
        ('{ source = "kraken:BTC/USD", from = "2026-12-01T08:00:00Z", until = "2026-12-01T08:00:00Z" }', "ends at"),
    ],
)
def test_what_cannot_be_read_is_refused_and_costs_no_other_source(bench: Bench, source: str, problem: str) -> None:
    found, wrong = read(bench, source, "gemini:BTCUSD")
    assert [place.venue for place in found] == ["gemini"]
    assert len(wrong) == 1
    assert wrong[0].startswith(problem)


def test_a_stated_rate_is_no_perpetual(bench: Bench) -> None:
    own = 'conversions = { USDT = "USDT-USD" }\nperp_sources = ["feed.desk:BTC/USD", "okx:BTC-USDT-SWAP"]'
    found, wrong = read(bench, "kraken:BTC/USD", own=own, field="perp_sources")
    assert [(place.venue, place.role) for place in found] == [("okx", Role.PERP)]
    assert wrong == ["a stated rate is no perpetual"]


@pytest.mark.parametrize(
    ("symbol", "letters", "derivative"),
    [("BTC-USDT-SWAP", "BTCUSDTSWAP", True), ("BTC/USDT:USDT", "BTCUSDTUSDT", True), ("tBTCUSD", "TBTCUSD", False)],
)
def test_letters_and_kind_of_a_symbol(symbol: str, letters: str, derivative: bool) -> None:
    place = Place((), "", Spelling("v", "spot", symbol, ""), "USD", Role.SPOT)
    assert (place.letters, place.derivative) == (letters, derivative)


def test_a_source_stands_once(bench: Bench) -> None:
    settings = bench.settings(("kraken:BTC/USD", "kraken/spot:BTC/USD"))
    errors = list(repeated(settings, places(settings, 0, "sources", [])))
    assert [error.value for error in errors] == ["kraken/spot:BTC/USD"]
