"""A beat holds the latest word of every source, every event, in order, and a count of what was conflated away."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.collectors import inbox
from oracle.collectors.inbox import Inbox
from oracle.core.params import World
from oracle.core.types import (
    Action,
    BookTop,
    ClockReading,
    Command,
    Depth,
    Link,
    Liquidation,
    Observation,
    Side,
    Ticker,
    TickerKind,
    Trade,
)
from oracle.errors import ServiceError


def book(source: int, at: int, bid: float = 1.0) -> BookTop:
    return BookTop(source, bid, 1.0, bid + 1, 1.0, 0, at)


def trade(source: int, at: int) -> Trade:
    return Trade(source, 5.0, 1.0, Side.BUY, 0, at)


def silent() -> None:
    """Nobody listens."""


def test_only_the_latest_state_of_a_source_survives_a_beat(world: World) -> None:
    box = Inbox(world, silent)
    said: list[Observation] = [
        book(0, 1),
        trade(0, 2),
        book(1, 3),
        book(0, 4),
        Ticker(0, TickerKind.MARK, 5.0, 0, 5),
        Ticker(0, TickerKind.INDEX, 5.0, 0, 6),
        Ticker(0, TickerKind.MARK, 6.0, 0, 7),
        Depth(0, ((1.0, 1.0),), (), 0, 8),
        trade(0, 9),
    ]
    for observation in said:
        box.put(observation)
    assert len(box) == 6
    beat = box.close(7, 100)
    assert beat.seen == tuple(said[i] for i in (2, 3, 5, 6, 7, 8))
    assert (beat.seq, beat.at_ns, beat.dropped) == (7, 100, 3)
    assert len(box) == 0
    assert box.close(8, 101).seen == ()


def test_a_link_fences_what_was_said_before_it(world: World) -> None:
    box = Inbox(world, silent)
    said: list[Observation] = [
        book(0, 1),
        book(1, 1),
        Link(0, False, "SILENT", 2),
        Link(0, True, "", 3),
        book(0, 3, 9.0),
    ]
    for observation in said:
        box.put(observation)
    assert len(box) == 5
    beat = box.close(1, 10)
    assert [o for o in beat.seen if o.recv_ns != 1 or o == said[0]] == [said[i] for i in (0, 2, 3, 4)]
    assert said[1] in beat.seen
    assert beat.dropped == 0


def test_events_are_all_kept_in_order(world: World) -> None:
    box = Inbox(world, silent)
    said: list[Observation] = [
        Command(Action.HALT, "*", "me", "", 1),
        Command(Action.HALT, "*", "me", "", 1),
        ClockReading(0, True, 2),
        Liquidation(3, 1.0, 1.0, Side.SELL, 0, 3),
        Liquidation(3, 1.0, 1.0, Side.SELL, 0, 3),
    ]
    for observation in said:
        box.put(observation)
    assert box.close(1, 10).seen == tuple(said)


def test_the_first_observation_is_announced_once(world: World) -> None:
    calls: list[int] = []
    box = Inbox(world, lambda: calls.append(1))
    for observation in (Command(Action.HALT, "*", "me", "", 1), book(0, 1), book(0, 2)):
        box.put(observation)
    assert len(calls) == 1
    box.close(1, 10)
    box.put(book(0, 11))
    assert len(calls) == 2


def test_what_is_later_than_the_beat_waits_for_the_next(world: World) -> None:
    calls: list[int] = []
    box = Inbox(world, lambda: calls.append(1))
    late: list[Observation] = [book(1, 20), Link(2, True, "", 21)]
    for observation in (book(0, 10), *late):
        box.put(observation)
    assert box.close(1, 19).seen == (book(0, 10),)
    assert len(calls) == 2, "what waits is announced again"
    assert box.close(2, 30).seen == tuple(late)


def test_liquidations_beyond_the_bound_are_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "LIQUIDATIONS_MAX", 3)
    box = Inbox(world, silent)
    for i in range(5):
        box.put(Liquidation(3, 1.0, 1.0, Side.SELL, 0, i))
    beat = box.close(1, 10)
    assert (len(beat.seen), beat.dropped) == (3, 2)
    box.put(Liquidation(3, 1.0, 1.0, Side.SELL, 0, 11))
    assert len(box.close(2, 12).seen) == 1


def test_orders_beyond_the_bound_are_an_error_not_a_loss(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "ORDERS_MAX", 2)
    box = Inbox(world, silent)
    box.put(Link(0, True, "", 1))
    box.put(Liquidation(3, 1.0, 1.0, Side.SELL, 0, 1))
    box.put(Link(1, True, "", 1))
    with pytest.raises(ServiceError, match="does not keep up"):
        box.put(Command(Action.HALT, "*", "me", "", 1))
    box.put(book(0, 2))
    assert len(box.close(1, 10).seen) == 4


KINDS: list[Callable[[int, int], Observation]] = [
    book,
    trade,
    lambda source, at: Depth(source, (), (), 0, at),
    lambda source, at: Link(source, at % 2 == 0, "", at),
    lambda source, at: Liquidation(source, 1.0, 1.0, Side.BUY, 0, at),
]


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, len(KINDS) - 1)), max_size=40))
def test_nothing_is_lost_uncounted_and_nothing_overtakes(world: World, steps: list[tuple[int, int]]) -> None:
    box = Inbox(world, silent)
    said = [KINDS[kind](source, at) for at, (source, kind) in enumerate(steps)]
    for observation in said:
        box.put(observation)
    beat = box.close(1, 1_000)
    assert len(beat.seen) + beat.dropped == len(said)
    assert [o.recv_ns for o in beat.seen] == sorted(o.recv_ns for o in beat.seen)
    for kind in (BookTop, Trade, Depth):
        latest = {o.source: o for o in said if isinstance(o, kind)}
        kept = {o.source: o for o in beat.seen if isinstance(o, kind)}
        assert kept == latest
    assert [o for o in said if isinstance(o, Link | Liquidation)] == [
        o for o in beat.seen if isinstance(o, Link | Liquidation)
    ]
