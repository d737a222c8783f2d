"""Token buckets and seats, in a time that the test moves."""

from __future__ import annotations

import pytest

from oracle.publishers.limits import Bucket, Limiter, Seats, home


def test_a_burst_then_a_steady_rate() -> None:
    bucket = Bucket(2.0, 3, 100.0)
    assert [bucket.take(100.0).allowed for _ in range(4)] == [True, True, True, False]
    refused = bucket.take(100.0)
    assert (refused.remaining, refused.reset_s, refused.limit) == (0, 1, 3)
    assert bucket.take(100.5).allowed
    assert not bucket.take(100.6).allowed
    assert bucket.take(1_000.0).remaining == 2, "a bucket holds no more than its burst"


def test_addresses_do_not_share_but_a_home_does() -> None:
    limiter = Limiter(1.0, 1, lambda: 0.0)
    assert limiter.take("10.0.0.1").allowed
    assert limiter.take("10.0.0.2").allowed
    assert not limiter.take("10.0.0.1").allowed
    assert limiter.take("2001:db8:1:2::1").allowed
    assert not limiter.take("2001:db8:1:2:ffff::9").allowed
    assert limiter.take("2001:db8:1:3::1").allowed


def test_the_longest_silent_address_is_forgotten_first() -> None:
    limiter = Limiter(1.0, 1, lambda: 0.0, addresses_max=2)
    for address in ("1.1.1.1", "2.2.2.2", "1.1.1.1", "3.3.3.3"):
        limiter.take(address)
    assert not limiter.take("1.1.1.1").allowed
    assert limiter.take("2.2.2.2").allowed, "it was forgotten, so it begins anew"


def test_seats_are_given_back() -> None:
    seats = Seats(2, 1)
    seats.take("1.1.1.1")
    assert seats.full_for("1.1.1.1")
    assert not seats.full_for("2.2.2.2")
    seats.take("2.2.2.2")
    assert seats.full()
    seats.leave("1.1.1.1")
    assert (seats.open, seats.full(), seats.full_for("1.1.1.1")) == (1, False, False)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("not:an:address", "not:an:address"),
        ("", ""),
    ],
)
def test_what_an_address_counts_as(address: str, expected: str) -> None:
    assert home(address) == expected
