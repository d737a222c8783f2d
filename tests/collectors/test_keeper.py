"""What is judged of each source, and which orders follow; the sources' clocks, ladders and evidence together."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from oracle.collectors.keeper import DRIFT_REPAIR_NS, Keeper, Orders
from oracle.collectors.liveness import Channel
from oracle.collectors.repair import STABLE_NS, Rung
from oracle.collectors.stats import LineStats
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, BookTop, Nanos, Side, Trade

RUNGS = (Rung.RESUBSCRIBED, Rung.ALTERNATE, Rung.REST)
TICK_NS = 50 * NANOS_PER_MS


class Kept:
    """A keeper of two sources, with its time."""

    def __init__(self, *, keeps_books: bool = False) -> None:
        self.stats, log = LineStats("tiny", (0, 1)), structlog.get_logger()
        rungs = {0: RUNGS, 1: RUNGS}
        self.keeper = Keeper({0: "A", 1: "B"}, rungs, None, self.stats, log, keeps_books=keeps_books)
        self.now_ns: Nanos = NANOS_PER_S
        self.keeper.connected(self.now_ns, first=True)
        self.tick(160, 0, 1)

    def tick(self, times: int, *sources: int) -> None:
        for _ in range(times):
            self.now_ns += TICK_NS
            for source in sources:
                self.keeper.liveness.pulses[Channel.BOOK][source].beat(self.now_ns)

    def look(self, *, standing: bool = True) -> Orders:
        return self.keeper.look(self.now_ns, standing=standing)

    def book(self, source: int, bid: float = 1.0) -> BookTop:
        return BookTop(source, bid, 1.0, bid + 3.0, 1.0, 0, self.now_ns)


def test_all_is_well_while_all_speak() -> None:
    kept = Kept()
    assert kept.look() == Orders()
    assert kept.keeper.polls() == {}
    assert kept.stats.of(0).rung is Rung.STREAM


def test_what_is_silent_goes_down_once_and_is_repaired_step_by_step() -> None:
    kept = Kept()
    kept.tick(60, 0)
    assert kept.look() == Orders(down={1: "SILENT"}, resubscribe=[1])
    assert kept.keeper.is_down(1)
    assert kept.look() == Orders()
    kept.tick(70, 0)
    assert kept.look() == Orders(renew="SILENT")
    kept.tick(170, 0)
    assert kept.look() == Orders(renew="SILENT", alternate=True)
    kept.tick(170, 0)
    assert kept.look() == Orders()
    assert kept.keeper.polls() == {1: Rung.REST}
    assert kept.stats.of(1).steps == dict.fromkeys(("RESUBSCRIBED", "RECONNECTED", "ALTERNATE", "REST"), 1)


def test_a_stream_that_speaks_again_is_believed_when_it_has_kept_its_pace() -> None:
    kept = Kept()
    kept.tick(60, 0)
    kept.look()
    assert kept.keeper.spoke(kept.book(1))
    assert kept.keeper.reason(1) == "RESUBSCRIBED"
    kept.tick(int(STABLE_NS // TICK_NS), 0, 1)
    assert kept.look().well == [1]
    assert kept.keeper.reason(1) == ""


def test_a_snapshot_alone_is_not_believed() -> None:
    kept = Kept()
    kept.tick(60, 0)
    kept.look()
    kept.keeper.spoke(kept.book(1))
    kept.tick(1, 0, 1)
    orders = Orders()
    for _ in range(int(STABLE_NS // TICK_NS) + 10):
        kept.tick(1, 0)
        orders = kept.look()
        if orders != Orders():
            break
    assert orders == Orders(down={1: "SILENT"}, renew="SILENT")


def test_while_nothing_stands_silence_means_nothing_but_time_passes() -> None:
    kept = Kept()
    kept.keeper.lost(kept.now_ns)
    kept.tick(170)
    assert kept.look(standing=False) == Orders(renew="SILENT", alternate=True)
    assert not kept.keeper.is_down(0)
    kept.tick(170)
    kept.look(standing=False)
    assert kept.keeper.polls() == {0: Rung.REST, 1: Rung.REST}
    assert kept.keeper.reason(0) == "REST"


def test_a_slow_stream_that_lost_its_connection_has_its_own_time_to_speak_on_the_next() -> None:
    kept = Kept()
    for _ in range(260):
        kept.now_ns += 20 * NANOS_PER_S
        for source in (0, 1):
            kept.keeper.liveness.pulses[Channel.BOOK][source].beat(kept.now_ns)
    kept.keeper.lost(kept.now_ns)
    kept.keeper.connected(kept.now_ns, first=True)
    for _ in range(100):
        kept.now_ns += NANOS_PER_S
        assert kept.look() == Orders()


def test_a_frozen_book_goes_down_and_its_restatement_is_no_word() -> None:
    kept = Kept()
    for tick in range(160):
        kept.now_ns += TICK_NS
        kept.keeper.heed(kept.book(0, 1.0 + tick % 2))
        kept.tick(0)
    orders = Orders()
    for _ in range(400):
        kept.tick(1, 0, 1)
        kept.keeper.heed(Trade(0, 9.0, 1.0, Side.BUY, 0, kept.now_ns))
        orders = kept.look()
        if orders.down:
            break
    assert orders.down == {0: "FROZEN"}
    assert orders.resubscribe == [0]
    assert not kept.keeper.spoke(kept.book(0, 2.0))
    assert not kept.keeper.answered(0, [kept.book(0, 2.0)], kept.now_ns)
    assert kept.keeper.is_down(0)
    assert kept.keeper.answered(0, [kept.book(0, 8.0)], kept.now_ns)
    assert kept.keeper.spoke(kept.book(0, 8.1))
    assert not kept.keeper.is_down(0)


def test_trades_that_cease_are_asked_for_again_and_then_by_a_new_connection() -> None:
    kept = Kept()
    trades = kept.keeper.liveness.pulses[Channel.TRADE][0]
    for _ in range(100):
        kept.tick(20, 0, 1)
        trades.beat(kept.now_ns)
    seen: list[Orders] = []
    with capture_logs() as logs:
        for _ in range(400):
            kept.tick(20, 0, 1)
            seen.append(kept.look())
    orders = [one for one in seen if one != Orders()]
    assert orders[0] == Orders(resubscribe=[0])
    assert orders[1] == Orders(renew="SILENT")
    assert {log["channel"] for log in logs} == {"trade"}
    assert not kept.keeper.is_down(0), "its book lives"


@pytest.mark.parametrize("drift_s", [2.0, -2.0])
def test_a_drift_is_told_and_answered_once(drift_s: float) -> None:
    kept = Kept()
    asked, told = [], 0
    for second in range(120):
        for _ in range(10):
            kept.tick(2, 0, 1)
            delay_s = 0.03 + (drift_s if second >= 60 else 0.0)
            kept.keeper.skew.add(int(delay_s * NANOS_PER_S), kept.now_ns)
        with capture_logs() as logs:
            orders = kept.look()
        told += len(logs)
        asked += [orders.renew] if orders.renew else []
    assert asked == ["DRIFTING"]
    assert told == kept.stats.drifts == 1
    assert kept.stats.jitter_ns is not None
    kept.keeper._drifting = False
    assert not kept.look().renew, "not again within the hour"
    kept.keeper._drifting = False
    kept.keeper._drift_ns = kept.now_ns - DRIFT_REPAIR_NS
    assert kept.look().renew in ("DRIFTING", "")


def test_when_a_stream_was_heard_last() -> None:
    kept = Kept()
    assert kept.keeper.heard_ns(1) == kept.now_ns
    kept.tick(60, 0)
    kept.look()
    assert kept.keeper.heard_ns(1) == 0
    assert kept.keeper.is_waiting(1)
    facts: list[Any] = [kept.book(1)]
    assert kept.keeper.answered(1, facts, kept.now_ns)
    assert kept.keeper.heard_ns(1) == 0, "an answer is not the stream"


@pytest.mark.parametrize("keeps", [True, False])
def test_a_book_kept_by_changes_that_stands_crossed_has_lost_one(keeps: bool) -> None:
    kept = Kept(keeps_books=keeps)
    crossed = BookTop(0, 5.0, 1.0, 4.0, 1.0, 0, kept.now_ns)
    kept.keeper.heed(crossed)
    kept.tick(5, 0, 1)
    assert kept.look() == Orders(), "for a moment it may"
    kept.tick(6, 0, 1)
    assert kept.look().down == ({0: "CROSSED"} if keeps else {})
    if keeps:
        assert not kept.keeper.spoke(crossed)
        assert kept.keeper.is_down(0)
        assert kept.keeper.spoke(kept.book(0))
        kept.tick(20, 0, 1)
        assert kept.look() == Orders()


def test_a_book_that_was_crossed_for_a_moment_is_well() -> None:
    kept = Kept(keeps_books=True)
    for _ in range(20):
        kept.tick(5, 0, 1)
        kept.keeper.heed(BookTop(0, 5.0, 1.0, 4.0, 1.0, 0, kept.now_ns))
        kept.tick(5, 0, 1)
        kept.keeper.heed(kept.book(0))
        assert kept.look() == Orders()
