"""A connection's own clocks: its pings, its lifetime, and since when it can be trusted."""

from __future__ import annotations

import pytest

from oracle.collectors.backoff import HEALTHY_NS
from oracle.collectors.endpoints import Endpoint
from oracle.collectors.leg import RENEW_AGAIN_NS, RENEW_SHARE_MAX, RENEW_SHARE_MIN, Leg, through
from oracle.collectors.merge import Merge
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, BookTop, Link, Nanos
from oracle.venues.base import Feed, Session
from tests.collectors.conftest import Tiny

NOW_NS = 1_000 * NANOS_PER_S
LIFETIME_NS = Tiny.lifetime_ms * NANOS_PER_MS


class FakePump:
    """A pump that only remembers when it was pinged."""

    def __init__(self, session: Session) -> None:
        self.session, self.pings, self.facts_ns = session, list[Nanos](), 0
        self.tops: dict[int, BookTop] = {}

    def ping(self, now_ns: Nanos) -> None:
        self.pings.append(now_ns)


def made(session_type: type[Session] = Tiny, chance: float = 0.0) -> tuple[Leg, FakePump]:
    pump = FakePump(session_type([Feed(0, "A")]))
    return Leg(pump, None, Endpoint(None), 0, NOW_NS, chance), pump  # type: ignore[arg-type]


def test_pings_are_sent_as_often_as_the_venue_wants_them() -> None:
    leg, pump = made()
    for look in range(1, 240):
        leg.look(NOW_NS + look * NANOS_PER_S // 4, lambda top: None)
    assert pump.pings == [NOW_NS + 20 * NANOS_PER_S, NOW_NS + 40 * NANOS_PER_S]

    class Quiet(Tiny):
        ping_ms = 0

    leg, pump = made(Quiet)
    leg.look(NOW_NS + 3_600 * NANOS_PER_S, lambda top: None)
    assert pump.pings == []


@pytest.mark.parametrize(("chance", "share"), [(0.0, RENEW_SHARE_MIN), (1.0, RENEW_SHARE_MAX)])
def test_it_wants_to_be_renewed_before_its_end_and_again_after_a_while(chance: float, share: float) -> None:
    leg, _ = made(chance=chance)
    due_ns = NOW_NS + int(LIFETIME_NS * share)
    assert not leg.is_due(due_ns - 1)
    assert leg.is_due(due_ns)
    assert not leg.is_due(due_ns + 1)
    assert leg.is_due(due_ns + RENEW_AGAIN_NS)


def test_without_a_lifetime_it_is_never_due() -> None:
    class Lasting(Tiny):
        lifetime_ms = 0

    assert not made(Lasting)[0].is_due(1 << 62)


def test_it_is_trusted_after_it_has_delivered_for_a_minute() -> None:
    leg, pump = made()
    assert not leg.is_healthy(NOW_NS + 2 * HEALTHY_NS), "it has said nothing"
    pump.facts_ns = NOW_NS
    assert not leg.is_healthy(NOW_NS + HEALTHY_NS - 1)
    assert leg.is_healthy(NOW_NS + HEALTHY_NS)


def test_tops_are_handed_over_once() -> None:
    leg, pump = made()
    top = BookTop(0, 1.0, 1.0, 2.0, 1.0, 0, NOW_NS)
    pump.tops[0] = top
    heard: list[BookTop] = []
    leg.look(NOW_NS, heard.append)
    leg.look(NOW_NS + 1, heard.append)
    assert heard == [top]


def test_of_two_connections_each_fact_passes_once_and_what_is_no_fact_always() -> None:
    merge, seen = Merge([0]), list[object]()
    one, two = through(merge, 0, seen.append), through(merge, 1, seen.append)
    top = BookTop(0, 1.0, 1.0, 2.0, 1.0, NOW_NS, NOW_NS)
    link = Link(0, True, "", NOW_NS)
    for fact in (top, link):
        one(fact)
        two(fact)
    assert seen == [top, link, link]
