"""When markets are open: in integers, against the standard library's own calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.core.calendar import DAY_NS, HOUR_NS, civil, day_of, is_open, open_ns

EPOCH = date(1970, 1, 1)
INSTANTS = st.integers(0, 60_000 * DAY_NS)


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


@given(st.integers(-20_000, 60_000))
def test_dates_are_those_of_the_standard_library(day: int) -> None:
    then = EPOCH + timedelta(days=day)
    assert civil(day) == (then.year, then.month, then.day)
    assert day_of(then.year, then.month, then.day) == day


@pytest.mark.parametrize(
    ("calendar", "at", "opened"),
    [
        ("fx", "2026-11-20T21:59:59", True),  # a Friday
        ("fx", "2026-11-20T22:00:00", False),
        ("fx", "2026-11-21T12:00:00", False),
        ("fx", "2026-11-22T21:59:59", False),
        ("fx", "2026-11-22T22:00:00", True),
        ("fx", "2026-11-25T03:00:00", True),
        ("target", "2026-11-20T23:59:59", True),
        ("target", "2026-11-21T00:00:00", False),
        ("target", "2026-04-03T12:00:00", False),  # Good Friday
        ("target", "2026-04-06T12:00:00", False),  # Easter Monday
        ("target", "2026-04-07T12:00:00", True),
        ("target", "2024-03-29T12:00:00", False),
        ("target", "2026-05-01T12:00:00", False),
        ("target", "2025-12-26T12:00:00", False),
        ("target", "2026-12-24T12:00:00", True),
        ("always", "2026-11-21T12:00:00", True),
        ("", "2026-11-21T12:00:00", True),
    ],
)
def test_markets_open_and_close(calendar: str, at: str, opened: bool) -> None:
    assert is_open(calendar, ns(at)) is opened


def test_open_time_leaves_the_weekend_out() -> None:
    friday, monday = ns("2026-11-20T21:00:00"), ns("2026-11-23T01:00:00")
    assert open_ns("fx", friday, monday) == HOUR_NS + 3 * HOUR_NS
    assert open_ns("target", friday, monday) == 3 * HOUR_NS + HOUR_NS
    assert open_ns("always", friday, monday) == monday - friday
    assert open_ns("fx", monday, friday) == 0
    assert open_ns("fx", 0, monday) == monday, "so long ago that it is old by any rule"


@given(INSTANTS, st.integers(0, 30 * DAY_NS), st.integers(0, 30 * DAY_NS), st.sampled_from(["", "fx", "target"]))
def test_open_time_adds_up_and_never_exceeds_time(since: int, first: int, second: int, calendar: str) -> None:
    middle, end = since + first, since + first + second
    whole = open_ns(calendar, since, end)
    assert whole == open_ns(calendar, since, middle) + open_ns(calendar, middle, end)
    assert 0 <= whole <= end - since


def test_a_calendar_that_nobody_has() -> None:
    with pytest.raises(KeyError):
        is_open("lunar", 0)
