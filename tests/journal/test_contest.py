"""Several methodologies over the same beats: equal where they agree, and measured where they do not."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from oracle.journal.contest import Entry, Track, contest, difference, scales
from tests.journal.conftest import START_NS, trade_on


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory, key: Ed25519PrivateKey) -> Path:
    folder = tmp_path_factory.mktemp("contest")
    trade_on(folder, key, 200)
    return folder


@pytest.fixture(scope="module")
def entries(journal: Path) -> list[Entry]:
    return contest(journal, ["hk1", "weighted_median"])


def test_each_methodology_is_looked_at_once_a_second(entries: list[Entry]) -> None:
    first, other = (entry.tracks["BTC-USD"] for entry in entries)
    assert sum(first.seconds_in.values()) == sum(other.seconds_in.values()) == 51
    assert set(first.prices) <= {START_NS // 10**9 + n for n in range(51)}
    assert first.silent_s == first.seconds_in["WARMING"]
    assert set(entries[0].tracks) == {"BTC-USD", "BTC-USD-PERP"}


def test_what_makes_no_mark_leaves_it_to_its_own(entries: list[Entry]) -> None:
    marks = [entry.tracks["BTC-USD-PERP"] for entry in entries]
    assert marks[1].prices
    assert set(marks[0].prices) == set(marks[1].prices)


def test_differences_are_of_the_seconds_in_which_both_spoke(entries: list[Entry]) -> None:
    first, other = (entry.tracks["BTC-USD"] for entry in entries)
    same = difference(first, first)
    assert same is not None
    assert (same.mean_abs_bps, same.largest_bps) == (0.0, 0.0)
    apart = difference(first, other)
    assert apart is not None
    assert apart.seconds == len(first.prices)
    made = difference(Track({1: 100.0, 2: 100.0, 3: 1.0}), Track({1: 101.0, 2: 99.5}))
    assert made is not None
    assert (made.seconds, made.largest_at_s) == (2, 1)
    assert made.mean_bps == pytest.approx(25.0)
    assert made.mean_abs_bps == pytest.approx(75.0)
    assert difference(Track({1: 1.0}), Track({2: 1.0})) is None


def test_scales_are_those_of_the_journals_world(journal: Path) -> None:
    assert scales(journal) == {"BTC-USD": 2, "BTC-USD-PERP": 2, "index of BTC-USD-PERP": 2}


def test_settled_rates_are_summed_and_paid() -> None:
    track = Track(rates=[(1, 0.0001), (2, -0.0003)])
    assert track.funding == pytest.approx(-0.0002)
