"""The constituents by date."""

from __future__ import annotations

import pytest

from oracle.methods._cf import BULLISH_S, CRYPTO_COM_S, FIRST_S, GEMINI_S, LMAX_S, constituents


@pytest.mark.parametrize(
    ("at_s", "count"), [(FIRST_S, 4), (GEMINI_S, 5), (LMAX_S, 6), (BULLISH_S, 7), (CRYPTO_COM_S, 8)]
)
def test_a_constituent_counts_from_its_day_on(at_s: int, count: int) -> None:
    assert len(constituents(at_s)) == count
    assert constituents(at_s - 1) == constituents(at_s)[: max(count - 1, 4)]


def test_the_last_to_come_is_the_last_named() -> None:
    assert constituents(2 * 10**9)[-1] == "crypto_com"
