"""Where to dial: the first endpoint that is not left aside, and what makes one be left aside, retire and come back."""

from __future__ import annotations

import pytest

from oracle.collectors.endpoints import ASIDE_NS_MAX, ASIDE_NS_MIN, AT_ONCE_NS, Endpoints
from oracle.core.types import NANOS_PER_S

NOW_NS = 1_000 * NANOS_PER_S
LONG_NS = 60 * NANOS_PER_S


def test_the_first_is_preferred_and_two_failures_leave_it_aside_for_ever_longer() -> None:
    endpoints = Endpoints((None, "wss://b"))
    home, other = endpoints.all
    now_ns = NOW_NS
    for round_ in range(9):
        assert endpoints.best(now_ns) is home
        endpoints.failed(home, now_ns)
        assert endpoints.best(now_ns) is home
        endpoints.failed(home, now_ns)
        aside_ns = min(ASIDE_NS_MIN * 2**round_, ASIDE_NS_MAX)
        assert endpoints.best(now_ns + aside_ns - 1) is other
        now_ns += aside_ns
    endpoints.delivered(home)
    endpoints.leave(home, now_ns)
    assert home.free_ns == now_ns + ASIDE_NS_MIN


def test_when_all_are_left_aside_the_first_to_be_free_is_dialled() -> None:
    endpoints = Endpoints((None, "wss://b"))
    endpoints.leave(endpoints.all[0], NOW_NS)
    endpoints.leave(endpoints.all[1], NOW_NS - 1)
    assert endpoints.best(NOW_NS) is endpoints.all[1]
    assert endpoints.wait_ns(NOW_NS) == 0, "an endpoint that merely fails is dialled at the pace of the backoff"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (1000, "This endpoint is DEPRECATED, see our docs"),
        (1001, "service discontinued"),
        (4000, "The v1 API has been retired."),
        (1000, "no longer available"),
        (1012, "migrating to wss://new.example"),
        (1000, "end of the line, friend"),
        (410, "HTTP 410"),
    ],
)
def test_a_notice_retires_an_endpoint_once(code: int, text: str) -> None:
    endpoints = Endpoints((None, "wss://b"), ("end of the line",))
    home = endpoints.all[0]
    assert endpoints.closed(home, code, text, LONG_NS, NOW_NS)
    assert home.retired
    assert endpoints.best(NOW_NS) is endpoints.all[1]
    assert not endpoints.closed(home, code, text, LONG_NS, NOW_NS), "told already"


@pytest.mark.parametrize(("code", "text"), [(1000, ""), (1001, "going away"), (1006, ""), (503, "HTTP 503")])
def test_an_ordinary_ending_retires_nothing(code: int, text: str) -> None:
    endpoints = Endpoints()
    assert not any(endpoints.closed(endpoints.all[0], code, text, LONG_NS, NOW_NS) for _ in range(10))


def test_closing_politely_after_every_dial_retires_and_delivering_in_between_does_not() -> None:
    endpoints = Endpoints()
    [home] = endpoints.all
    for _ in range(2):
        assert not endpoints.closed(home, 1000, "", 0, NOW_NS)
    assert not endpoints.closed(home, 1000, "", AT_ONCE_NS, NOW_NS)
    assert [endpoints.closed(home, 1000, "bye", 1, NOW_NS) for _ in range(3)] == [False, False, True]


def test_a_retired_endpoint_is_tried_rarely_and_comes_back_when_it_delivers() -> None:
    endpoints = Endpoints()
    [home] = endpoints.all
    waits, now_ns = [], NOW_NS
    for _ in range(4):
        endpoints.closed(home, 1000, "deprecated", 0, now_ns)
        waits.append(endpoints.wait_ns(now_ns) // ASIDE_NS_MIN)
        now_ns += endpoints.wait_ns(now_ns)
        assert endpoints.wait_ns(now_ns) == 0
    assert waits == [1, 8, 60, 60]
    endpoints.delivered(home)
    assert not home.retired
    assert endpoints.closed(home, 1000, "deprecated", 0, now_ns), "it is news again"


def test_the_same_address_counts_once() -> None:
    assert [endpoint.url for endpoint in Endpoints((None, "wss://b", None, "wss://b")).all] == [None, "wss://b"]
