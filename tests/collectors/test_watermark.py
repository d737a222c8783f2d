"""No number is accepted twice, whatever happened to the process in between."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from oracle.collectors import watermark
from oracle.collectors.watermark import BLOCK, NUMBER_MAX, Watermark
from oracle.errors import FeedError, ServiceError

pytestmark = pytest.mark.anyio


def stored(path: Path) -> dict[str, tuple[int, int]]:
    return msgspec.json.decode(path.read_bytes(), type=dict[str, tuple[int, int]])


async def test_the_disk_is_ahead_of_what_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "state" / "feed.json"
    mark = Watermark(path)
    assert mark.floor("k") == (0, 0)
    for seq in range(1, 3 * BLOCK, 1_000):
        await mark.raise_to("k", (7, seq))
        assert stored(path)["k"] >= (7, seq)
        assert mark.floor("k") == (7, seq)
    await mark.close()


async def test_after_a_crash_everything_accepted_is_refused_and_the_next_block_is_not(tmp_path: Path) -> None:
    path = tmp_path / "feed.json"
    before = Watermark(path)
    for seq in range(1, BLOCK + 50):
        await before.raise_to("k", (7, seq))
    after = Watermark(path)  # the old one was never closed: that is what kill -9 leaves
    for seq in range(1, BLOCK + 50):
        with pytest.raises(FeedError, match="REPLAYED"):
            await after.raise_to("k", (7, seq))
    epoch, seq = after.floor("k")
    await after.raise_to("k", (epoch, seq + 1))
    await after.raise_to("k", (epoch + 1, 0))
    with pytest.raises(FeedError, match="REPLAYED"):
        await after.raise_to("k", (epoch, seq + 2))
    await before.close()
    await after.close()


async def test_within_a_block_the_disk_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = Watermark(tmp_path / "feed.json")
    await mark.raise_to("k", (7, 1))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(watermark, "_store", full)
    assert all(mark.try_raise("k", (7, seq)) for seq in range(2, BLOCK + 2))
    await mark.close()
    assert not mark.try_raise("k", (7, BLOCK + 2))
    with pytest.raises(FeedError, match="NOT_DURABLE"):
        await mark.raise_to("k", (7, BLOCK + 2))
    assert mark.floor("k") == (7, BLOCK + 1)


async def test_the_next_block_is_reserved_before_it_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "feed.json"
    mark = Watermark(path)
    await mark.raise_to("k", (7, 1))
    for seq in range(2, BLOCK):
        assert mark.try_raise("k", (7, seq))
    await mark.close()
    assert stored(path)["k"] == (7, 1 + 2 * BLOCK)
    assert mark.try_raise("k", (7, BLOCK + 2))


async def test_keys_do_not_disturb_one_another(tmp_path: Path) -> None:
    path = tmp_path / "feed.json"
    mark = Watermark(path)
    await asyncio.gather(*(mark.raise_to(key, (1, 5)) for key in "abc"))
    assert stored(path) == dict.fromkeys("abc", (1, 5 + BLOCK))
    with pytest.raises(FeedError, match="REPLAYED"):
        await mark.raise_to("a", (1, 5))
    await mark.raise_to("b", (1, 6))


async def test_two_that_race_over_the_edge_of_a_block_are_both_taken_in_order(tmp_path: Path) -> None:
    mark = Watermark(tmp_path / "feed.json")
    await asyncio.gather(mark.raise_to("k", (1, 1)), mark.raise_to("k", (1, 2)), mark.raise_to("k", (2, 0)))
    assert mark.floor("k") == (2, 0)


async def test_the_last_number_is_the_last(tmp_path: Path) -> None:
    mark = Watermark(tmp_path / "feed.json")
    await mark.raise_to("k", (1, NUMBER_MAX))
    with pytest.raises(FeedError, match="REPLAYED"):
        await mark.raise_to("k", (1, NUMBER_MAX))
    await mark.raise_to("k", (2, 0))
    await mark.close()


@pytest.mark.parametrize("text", [b"", b"{", b'{"k": 5}', b'{"k": [1, -1.5]}', b'{"k": ["a", "b"]}'])
def test_a_file_that_cannot_be_understood_stops_the_start(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "feed.json"
    path.write_bytes(text)
    with pytest.raises(ServiceError, match="watermark"):
        Watermark(path)
