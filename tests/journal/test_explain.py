"""Why a number is what it is: found again from the journal, and divided among those who moved it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from oracle.core.types import IndexValue, MarkPrice, Verdict
from oracle.errors import JournalUnreadable
from oracle.journal.explain import explain, moved, shapley
from oracle.journal.recovery import recover
from tests.journal.conftest import START_NS, trade_on

QUARTER_NS = 250_000_000


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory, key: Ed25519PrivateKey) -> Path:
    """120 beats of the real engine in two segments, with memories in between."""
    folder = tmp_path_factory.mktemp("explained")
    trade_on(folder, key, 80, snapshot_ms=5_000)
    trade_on(folder, key, 40, recover(folder), snapshot_ms=5_000)
    return folder


@pytest.mark.parametrize("seq", [45, 80, 110, 120])
def test_the_inputs_give_the_recorded_number(journal: Path, seq: int) -> None:
    one = explain(journal, "BTC-USD", seq)
    assert one.seq == seq
    [value] = [v for v in one.values if isinstance(v, IndexValue)]
    assert value.price == one.index_units
    used = sorted(i.price for i in one.inputs if i.verdict in (Verdict.USED, Verdict.UNANCHORED))
    if value.price is not None:
        assert value.price == pytest.approx(used[len(used) // 2] * 100, abs=1)
    assert all(i.rule for i in one.inputs)


def test_a_perpetual_is_explained_with_its_index(journal: Path) -> None:
    one = explain(journal, "BTC-USD-PERP", 75)
    assert [v.instrument for v in one.values if isinstance(v, MarkPrice)] == ["BTC-USD-PERP"]
    assert len(one.inputs) == 5


def test_a_time_finds_the_last_beat_until_then(journal: Path) -> None:
    assert explain(journal, "BTC-USD", START_NS + 60 * QUARTER_NS + 1).seq == 60


@pytest.mark.parametrize(("since", "until"), [(50, 51), (50, 55), (60, 79)])
def test_the_shares_sum_to_the_change_exactly(journal: Path, since: int, until: int) -> None:
    found = moved(journal, "BTC-USD", since, until)
    assert found.units == (found.after.index_units or 0) - (found.before.index_units or 0)
    assert sum(share.units for share in found.shares) == found.units
    named = {share.source for share in found.shares}
    assert named <= {i.source for i in found.after.inputs} | {"state, memory and limits"}


@pytest.mark.parametrize(
    ("instrument", "since", "until", "said"),
    [
        ("ETH-USD", 1, 50, "no such instrument: ETH-USD"),
        ("BTC-USD", 50, 50, "is not before"),
        ("BTC-USD", 0, 50, "nothing was said"),
        ("BTC-USD", 1, 50, "had no value"),
    ],
)
def test_what_cannot_be_explained_is_said(journal: Path, instrument: str, since: int, until: int, said: str) -> None:
    with pytest.raises(JournalUnreadable, match=said):
        moved(journal, instrument, since, until)


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=6))
def test_whoever_adds_alone_gets_what_he_adds(gains: list[int]) -> None:
    assert shapley(lambda mask: sum(g for n, g in enumerate(gains) if mask >> n & 1), len(gains)) == gains


@given(st.integers(1, 5).flatmap(lambda n: st.lists(st.integers(-9, 9), min_size=1 << n, max_size=1 << n)))
def test_shares_of_any_game_sum_to_its_whole(worth: list[int]) -> None:
    players = len(worth).bit_length() - 1
    assert sum(shapley(worth.__getitem__, players), Fraction(0)) == worth[-1] - worth[0]
