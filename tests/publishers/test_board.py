"""What an index says about itself and its sources."""

from __future__ import annotations

from typing import Any

from oracle.clock import ManualClock
from oracle.core.types import Verdict
from oracle.publishers import schemas
from oracle.publishers.hub import Hub


def test_sources_are_judged_as_of_the_last_beat_and_age_since(hub: Hub, make: Any, clock: ManualClock) -> None:
    hub.publish(make.whole())
    clock.advance(500_000_000)
    answer = hub.indices["BTC-USD"].sources(hub.stamp())
    schemas.MODELS["Sources"].model_validate(answer)
    assert [item["age_ms"] for item in answer["items"]] == [600, 601, 602, 603, 604, None]
    assert answer["items"][5]["verdict"] == "no_price"
    assert answer["items"][1]["distance_bps"] == "-0.50"
    assert answer["verdict_changes"] == [
        {"source": "a:XUSD", "previous": "stale", "verdict": "used", "ts": make.clock.now_ns() // 10**6 - 500}
    ]


def test_without_an_index_there_is_no_distance(hub: Hub, make: Any) -> None:
    hub.publish(make.whole())
    hub.publish(make.tick(make.index(price=None)))
    items = hub.indices["BTC-USD"].sources(hub.stamp())["items"]
    assert {item["distance_bps"] for item in items} == {None}
    assert items[0]["price"] == "60000.0000"


def test_the_log_of_changes_is_bounded(hub: Hub, make: Any) -> None:
    for _ in range(3):
        hub.publish(make.tick(make.index(), *(make.change(1, Verdict.WIDE) for _ in range(500))))
    assert len(hub.indices["BTC-USD"].changes) == 1_000


def test_a_body_is_made_once_per_value(hub: Hub, make: Any) -> None:
    board = hub.indices["BTC-USD"]
    hub.publish(make.whole())
    assert board.body() is board.body()
    before = board.body()
    hub.publish(make.whole())
    assert board.body() is not before


def test_an_index_lists_its_independent_owners(hub: Hub) -> None:
    listed = hub.indices["BTC-USD"].listed()
    assert (listed["n_sources"], listed["n_groups"], listed["methodology"]) == (6, 6, "hk1-1.0.0")
