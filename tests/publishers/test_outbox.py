"""What waits for a subscriber: in order, bounded, and never silently short."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from oracle.publishers.outbox import Outbox


@pytest.mark.anyio
async def test_messages_leave_in_order_a_backlog_first() -> None:
    outbox = Outbox()
    assert outbox.put(b"live", "a")
    outbox.replay("b", [partial(bytes, b"1"), partial(bytes, b"2")])
    assert len(outbox) == 3
    assert [await outbox.take() for _ in range(3)] == [b"1", b"2", b"live"]


@pytest.mark.anyio
async def test_a_reader_waits_until_there_is_something() -> None:
    outbox = Outbox()
    waiting = asyncio.create_task(outbox.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    outbox.put(b"x")
    assert await waiting == b"x"


@pytest.mark.anyio
@pytest.mark.parametrize(("messages_max", "bytes_max"), [(3, 1_000), (100, 35)])
async def test_one_too_many_cuts_and_keeps_nothing(messages_max: int, bytes_max: int) -> None:
    outbox = Outbox(messages_max, bytes_max)
    assert [outbox.put(b"0123456789") for _ in range(4)] == [True, True, True, False]
    assert outbox.overflowed
    assert len(outbox) == 0
    assert not outbox.put(b"more")
    assert await outbox.take() is None


def test_bytes_that_wait_in_the_transport_count() -> None:
    waiting = 0
    outbox = Outbox(100, 50, lambda: waiting)
    waiting = 100
    assert outbox.put(b"x"), "a single message is always taken: whoever drains it drains the transport"
    assert not outbox.put(b"x")


@pytest.mark.anyio
async def test_what_is_forgotten_is_not_sent() -> None:
    outbox = Outbox(3, 25)
    outbox.put(b"0123456789", "a")
    outbox.put(b"0123456789", "b")
    outbox.replay("a", [partial(bytes, b"1")])
    outbox.forget("a")
    assert outbox.put(b"0123456789", "b"), "the bytes that were forgotten no longer count"
    assert [await outbox.take() for _ in range(2)] == [b"0123456789"] * 2
    assert len(outbox) == 0


@pytest.mark.anyio
async def test_forgetting_while_a_backlog_is_taken_leads_to_the_next_message() -> None:
    outbox = Outbox()
    outbox.replay("a", [partial(bytes, b"1")])
    taking = asyncio.create_task(outbox.take())
    await asyncio.sleep(0)
    outbox.forget("a")
    outbox.put(b"live")
    assert await taking == b"live"
