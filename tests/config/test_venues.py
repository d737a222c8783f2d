"""What is known of venues is complete, dated, and about venues that are there."""

from __future__ import annotations

from datetime import date

import pytest

from oracle.config import venues
from oracle.config.venues import authorities, currencies, facts_of, has_file, native, sandboxes, venue_names


def test_every_venue_that_has_a_file_is_known_and_every_known_one_has_a_file() -> None:
    assert sorted(venues.venues()) == venue_names()


@pytest.mark.parametrize("name", sorted({**venues.venues(), **authorities()}))
def test_an_entry_says_who_where_in_what_and_when(name: str) -> None:
    facts = facts_of(name)
    assert facts is not None
    assert facts.group.name
    assert facts.domain.name
    assert facts.quotes
    assert all(quote.isupper() and quote.isalnum() for quote in facts.quotes)
    assert len(set(facts.quotes)) == len(facts.quotes)
    assert date(2026, 1, 1) <= facts.as_of <= date.today()
    assert {facts.group.rests_on, facts.domain.rests_on} <= {"public", "estimate"}
    assert all(host == host.lower() and "/" not in host and "." in host for host in facts.sandboxes)


def test_an_owner_of_several_venues_is_one() -> None:
    owners = {name: facts.group.name for name, facts in venues.venues().items()}
    assert owners["deribit"] == owners["coinbase"] == owners["coinbase_intl"]
    assert owners["kraken"] == owners["kraken_futures"]
    assert owners["gate"] == owners["gate_futures"]
    assert owners["mexc"] == owners["mexc_contract"]
    assert len(set(owners.values())) >= 20


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("kraken", "kraken"),
        ("ccxt.kraken", "kraken"),
        ("ccxt.cryptocom", "crypto_com"),
        ("ccxt.krakenfutures", "kraken_futures"),
        ("ccxt.binanceusdm", "binance"),
        ("ccxt.nobody", "ccxt.nobody"),
        ("my.venue", "my.venue"),
    ],
)
def test_what_ccxt_calls_a_venue_is_the_venue(written: str, name: str) -> None:
    assert native(written) == name
    assert facts_of(written) is facts_of(name)


def test_a_name_of_ccxt_is_one_venues_alone() -> None:
    names = [name for facts in venues.venues().values() for name in facts.ccxt]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", [name for facts in venues.venues().values() for name in facts.ccxt])
def test_ccxt_knows_its_names(name: str) -> None:
    assert has_file(f"ccxt.{name}")


def test_a_dialect_that_was_left_behind_is_no_venue_and_a_version_in_a_name_is() -> None:
    assert not {"base", "kraken_v1", "_strict"} & set(venue_names())
    assert "dydx_v4" in venue_names()
    assert not has_file("kraken_v1")
    assert not has_file("no.such")


def test_longer_currencies_are_looked_for_first() -> None:
    lengths = [len(currency) for currency in currencies()]
    assert lengths == sorted(lengths, reverse=True)
    assert {"USD", "USDT", "USDC", "HKD", "KRW"} <= set(currencies())
    assert "test.deribit.com" in sandboxes()
