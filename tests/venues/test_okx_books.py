"""A book of OKX's, kept by itself: what verifies it, and when it stands."""

from __future__ import annotations

import zlib

import pytest

from oracle.errors import Refusal, VenueError
from oracle.venues._okx_books import Change, Keeper

BID, ASK = ("60000.5", "1.50", "0", "3"), ("60000.6", "2", "0", "1")
NO_SIDE = (0.0, 0.0)


def change(bids: list[tuple[str, str, str, str]], asks: list[tuple[str, str, str, str]], **other: int) -> Change:
    return Change(bids, asks, 1_760_000_000_000, **other)


def crc(text: str) -> int:
    unsigned = zlib.crc32(text.encode())
    return unsigned - 2**32 if unsigned >= 2**31 else unsigned


def refusal(keeper: Keeper, said: Change) -> Refusal:
    with pytest.raises(VenueError) as caught:
        keeper.change(said)
    return caught.value.reason


def test_a_book_is_empty_until_a_snapshot_and_then_has_a_best_level_a_side() -> None:
    keeper = Keeper("BTC-USDT")
    assert keeper.best() == (*NO_SIDE, *NO_SIDE)
    assert refusal(keeper, change([BID], [], seq=1, previous=0)) == Refusal.NO_SNAPSHOT
    keeper.restart(change([BID, ("60000.4", "0", "0", "0")], [ASK], seq=10, previous=-1))
    assert keeper.best() == (60000.5, 1.5, 60000.6, 2.0)


def test_levels_are_changed_and_taken_away_in_the_order_of_their_numbers() -> None:
    keeper = Keeper("BTC-USDT")
    keeper.restart(change([BID], [ASK], seq=10, previous=-1))
    keeper.change(change([("60000.5", "0", "0", "0"), ("60000.1", "4", "0", "1")], [], seq=15, previous=10))
    assert keeper.best() == (60000.1, 4.0, 60000.6, 2.0)
    assert refusal(keeper, change([], [], seq=20, previous=16)) == Refusal.SEQUENCE_GAP
    assert refusal(keeper, change([], [], seq=20, previous=15)) == Refusal.NO_SNAPSHOT


def test_a_checksum_is_of_the_digits_as_they_were_written_and_fails_but_once() -> None:
    keeper = Keeper("BTC-USDT")
    keeper.restart(change([BID], [ASK], checksum=crc("60000.5:1.50:60000.6:2")))
    keeper.change(change([], [("60000.7", "1", "0", "1")], checksum=crc("60000.5:1.50:60000.6:2:60000.7:1")))
    assert refusal(keeper, change([], [], checksum=crc("60000.5:1.5:60000.6:2:60000.7:1"))) == Refusal.CHECKSUM
    assert refusal(keeper, change([], [], checksum=0)) == Refusal.NO_SNAPSHOT


def test_what_nothing_verifies_is_no_book() -> None:
    with pytest.raises(VenueError, match="WRONG_SHAPE"):
        Keeper("BTC-USDT").restart(change([BID], [ASK]))


@pytest.mark.parametrize("level", [("1_000", "1", "0", "1"), ("1", "0x3", "0", "1"), ("1", "", "0", "1")])
def test_digits_are_digits(level: tuple[str, str, str, str]) -> None:
    with pytest.raises(VenueError, match="WRONG_SHAPE"):
        Keeper("BTC-USDT").restart(change([level], [], seq=1, previous=0))


def test_no_more_levels_are_kept_than_the_channel_shows() -> None:
    keeper = Keeper("BTC-USDT")
    keeper.restart(change([], [], seq=1, previous=-1))
    keeper.change(change([(str(price), "1", "0", "1") for price in range(1, 502)], [], seq=2, previous=1))
    removed = [(str(price), "0", "0", "0") for price in range(102, 502)]
    keeper.change(change(removed, [], seq=3, previous=2))
    assert keeper.best() == (*NO_SIDE, *NO_SIDE)
