"""From ticks to what anyone may hear: boards, messages that are made once, resumption, halts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from oracle.clock import ManualClock
from oracle.core.params import World
from oracle.core.types import AlertKind, State
from oracle.publishers.hub import Hub
from oracle.publishers.outbox import Outbox


async def drained(outbox: Outbox) -> list[dict[str, Any]]:
    return [msgspec.json.decode(await outbox.take() or b"null") for _ in range(len(outbox))]


def test_before_the_first_tick_everything_warms_up(hub: Hub) -> None:
    answer = hub.indices["BTC-USD"].index(hub.stamp())
    assert (answer["state"], answer["price"], answer["age_ms"], answer["seq"]) == ("warming", None, None, 0)
    assert len(hub.unready()) == 4


@pytest.mark.anyio
async def test_one_message_is_made_for_all_subscribers(hub: Hub, make: Any) -> None:
    first, second = Outbox(), Outbox()
    for outbox in (first, second):
        hub.subscribe(outbox, "BTC-USD-PERP")
        await outbox.take()
    hub.publish(make.whole())
    data = await first.take()
    assert data is await second.take(), "the bytes are shared"
    message = msgspec.json.decode(data or b"")
    assert (message["type"], message["seq"], message["beat"], message["age_ms"]) == ("value", 1, 1, 0)
    assert message["mark"]["price"] == "60029.0"
    assert message["funding"]["rate"] == "0.00040000"
    assert message["premium"]["premium"] == "0.0005000000"
    assert (message["epoch"], message["oldest_input_age_ms"], message["replayed"]) == ("7", 120, False)
    assert hub.counts().messages == 2


@pytest.mark.anyio
async def test_an_index_message_has_its_changes_and_alerts(hub: Hub, make: Any) -> None:
    outbox = Outbox()
    hub.subscribe(outbox, "BTC-USD")
    hub.publish(make.whole())
    snapshot, message = await drained(outbox)
    assert (snapshot["type"], snapshot["snapshot"]["state"]) == ("snapshot", "warming")
    assert message["index"]["price"] == "60004.00"
    assert message["verdict_changes"][0]["source"] == "a:XUSD"
    assert message["alerts"][0]["target"] == "BTC-USD a:XUSD"


@pytest.mark.anyio
async def test_a_settlement_is_told_and_remembered(hub: Hub, make: Any) -> None:
    outbox = Outbox()
    hub.subscribe(outbox, "BTC-USD-PERP")
    hub.publish(make.tick(make.mark(), make.funding(final=True, index=6_000_400, rate_e8=7), make.funding()))
    message = (await drained(outbox))[1]
    assert (message["settled"]["rate"], message["settled"]["index"]) == ("0.00000007", "60004.00")
    assert hub.perps["BTC-USD-PERP"].funding(hub.stamp())["last_settled"]["rate"] == "0.00000007"


@pytest.mark.anyio
async def test_resumption_has_neither_gap_nor_duplicate_and_true_ages(hub: Hub, make: Any, clock: ManualClock) -> None:
    outbox = Outbox()
    for _ in range(5):
        hub.publish(make.tick(make.index()))
        clock.advance(1_000_000_000)
    hub.subscribe(outbox, "BTC-USD", from_seq=3)
    hub.publish(make.tick(make.index()))
    messages = await drained(outbox)
    assert [m["seq"] for m in messages] == [3, 4, 5, 6]
    assert [m["age_ms"] for m in messages] == [3_000, 2_000, 1_000, 0]
    assert [m["oldest_input_age_ms"] for m in messages] == [3_120, 2_120, 1_120, 120]
    assert [m["replayed"] for m in messages] == [True, True, True, False]


@pytest.mark.anyio
async def test_whoever_has_everything_is_sent_nothing_twice(hub: Hub, make: Any) -> None:
    outbox = Outbox()
    hub.publish(make.tick(make.index()))
    hub.subscribe(outbox, "BTC-USD", from_seq=2)
    assert len(outbox) == 0
    hub.publish(make.tick(make.index()))
    assert [m["seq"] for m in await drained(outbox)] == [2]


@pytest.mark.anyio
@pytest.mark.parametrize("from_seq", [1, 99])
async def test_a_gap_is_told_and_a_snapshot_stands_for_it(
    world: World, clock: ManualClock, make: Any, from_seq: int
) -> None:
    hub, outbox = Hub(world, clock, 2), Outbox()
    for _ in range(4):
        hub.publish(make.tick(make.index()))
    hub.subscribe(outbox, "BTC-USD", from_seq)
    gap, snapshot = await drained(outbox)
    assert gap == {"type": "gap", "instrument": "BTC-USD", "from": from_seq, "to": 4}
    assert (snapshot["type"], snapshot["seq"], snapshot["snapshot"]["price"]) == ("snapshot", 4, "60004.00")


def test_a_message_is_made_as_things_stood_not_as_they_stand(hub: Hub, make: Any) -> None:
    hub.publish(make.tick(make.index(), make.mark()))
    hub.publish(make.tick(make.index(carried_forward=True), make.mark(price=None)))
    records = hub._channels["BTC-USD-PERP"].records
    first, second = (msgspec.json.decode(record.message(hub.stamp())) for record in records)
    assert (first["mark"]["carried_forward"], first["mark"]["last_good"]) == (False, "60029.0")
    assert (second["mark"]["price"], second["mark"]["last_good"]) == (None, "60029.0")
    assert second["oldest_input_age_ms"] is None


def test_a_slow_subscriber_is_left_behind(hub: Hub, make: Any) -> None:
    slow, quick = Outbox(messages_max=2), Outbox()
    for outbox in (slow, quick):
        hub.subscribe(outbox, "BTC-USD")
    for _ in range(5):
        hub.publish(make.tick(make.index()))
    assert slow.overflowed
    assert (len(slow), len(quick)) == (0, 6)
    assert hub.counts().overflows == 1


def test_leaving_ends_everything(hub: Hub, make: Any) -> None:
    outbox = Outbox()
    hub.subscribe(outbox, "BTC-USD")
    hub.subscribe(outbox, "BTC-USD-PERP")
    hub.unsubscribe(outbox, "BTC-USD")
    hub.publish(make.whole())
    assert len(outbox) == 2, "the snapshot and the value of the perpetual"
    hub.leave(outbox)
    hub.publish(make.whole())
    assert len(outbox) == 2


@pytest.mark.anyio
async def test_a_halt_withholds_every_price_at_once(hub: Hub, make: Any, clock: ManualClock) -> None:
    outbox = Outbox()
    hub.publish(make.whole())
    hub.subscribe(outbox, "BTC-USD-PERP", from_seq=1)
    hub.publish(make.whole())
    hub.halt("JOURNAL_NOT_DURABLE")
    hub.halt("JOURNAL_NOT_DURABLE")
    hub.halt("key is missing")
    hub.publish(make.whole())
    assert [m["type"] for m in await drained(outbox)] == ["snapshot"], "what waited is withheld too"
    answer = hub.perps["BTC-USD-PERP"].key_parameters(hub.stamp())
    assert answer["mark"]["price"] is answer["index"]["price"] is answer["funding"]["rate"] is None
    assert answer["reasons"][:2] == ["journal_not_durable", "key_is_missing"]
    assert (answer["state"], answer["liquidation_ok"]) == ("halted", False)
    assert answer["seq"] == 2, "what was not durable was never said"
    assert answer["funding"]["last_sample"]["impact_bid"] is None
    assert all(item["price"] is None for item in hub.indices["BTC-USD"].sources(hub.stamp())["items"])
    assert hub.unready() == ["journal_not_durable", "key_is_missing"]
    assert hub.counts().withheld == 1
    hub.subscribe(late := Outbox(), "BTC-USD", from_seq=1)
    gap, snapshot = await drained(late)
    assert (gap["type"], snapshot["snapshot"]["price"]) == ("gap", None), "nothing is replayed after a halt"
    assert msgspec.json.decode(hub.heartbeat(["BTC-USD"]))["halted"] == ["journal_not_durable", "key_is_missing"]


def test_readiness_needs_one_instrument_that_may_be_used(hub: Hub, make: Any, clock: ManualClock) -> None:
    hub.publish(make.tick(make.index(price=None)))
    assert "BTC-USD is halted" in hub.unready()
    hub.publish(make.tick(make.index(state=State.DEGRADED)))
    assert hub.unready() == []
    clock.advance(3_000_000_001)
    assert "BTC-USD is service_stale" in hub.unready()


def test_a_heartbeat_names_the_last_seq_and_its_age(hub: Hub, make: Any, clock: ManualClock) -> None:
    hub.publish(make.whole())
    clock.advance(250_000_000)
    beat = msgspec.json.decode(hub.heartbeat(["BTC-USD", "BTC-USD-PERP"]))
    assert beat["last_seq"] == {"BTC-USD": 1, "BTC-USD-PERP": 1}
    assert beat["age_ms"] == {"BTC-USD": 250, "BTC-USD-PERP": 250}
    assert beat["ts"] == clock.now_ns() // 1_000_000


def test_alerts_stand_until_they_end_and_are_bounded(hub: Hub, make: Any) -> None:
    hub.publish(make.tick(make.alert(), make.alert("*", kind=AlertKind.SOURCES_TOGETHER)))
    assert len(list(hub.active_alerts())) == 2
    hub.publish(make.tick(make.alert(active=False)))
    assert [alert.target for alert in hub.active_alerts()] == ["*"]
    hub.publish(make.tick(*(make.alert(f"t{i}") for i in range(1_500))))
    assert len(hub.alerts) == 1_000


def test_history_recalls_the_latest_settlement(hub: Hub, make: Any) -> None:
    old, new = (make.funding(final=True, settles_ns=ns, rate_e8=ns) for ns in (1, 2))
    hub.recall([new, old, make.funding("ELSE", final=True)])
    assert hub.perps["BTC-USD-PERP"].settled == new


def test_an_epoch_must_be_plain(world: World, clock: ManualClock) -> None:
    with pytest.raises(AssertionError):
        Hub(world, clock, epoch='"')
