"""kill -9, again and again, while somebody listens: nothing was said that is not written, and every start warms up.

The demo runs as its own process on one folder. ORACLE_KILLS sets how many times it is killed (4 in the suite; the
published figure is of 200).
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

KILLS = int(os.environ.get("ORACLE_KILLS", "4"))
START_S_MAX = 30.0
INSTRUMENTS = ("BTC-USD", "USDT-USD", "BTC-USD-PERP")
Said = dict[tuple[str, int], tuple[str | None, str]]


def free_ports(rng: random.Random) -> int:
    """The first of three neighbouring free ports, below those that the system hands out by itself."""
    while True:
        first = rng.randrange(20_000, 30_000)
        if all(_is_free(first + step) for step in range(3)):
            return first


def _is_free(port: int) -> bool:
    with socket.socket() as door:
        return door.connect_ex(("127.0.0.1", port)) != 0


async def listen(port: int, said: Said, first: dict[str, dict[str, object]], until: asyncio.Event) -> None:
    """Subscribe as soon as the door opens and note every value until the line breaks."""
    async with aiohttp.ClientSession() as session:
        for _ in range(int(START_S_MAX / 0.05)):
            try:
                ws = await session.ws_connect(f"http://127.0.0.1:{port}/v1/stream")
                break
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)
        else:
            raise AssertionError(f"the demo did not open port {port} within {START_S_MAX} s")
        await ws.send_str(json.dumps({"op": "subscribe", "instruments": INSTRUMENTS}))
        until.set()
        async for message in ws:
            if message.type is not aiohttp.WSMsgType.TEXT:
                break
            value = json.loads(message.data)
            part = value.get("index") or value.get("mark")
            if value["type"] in ("value", "snapshot") and isinstance(part, dict) and value["seq"]:
                said[value["instrument"], value["seq"]] = (part["price"], part["state"])
                first.setdefault(value["instrument"], part)


def journaled(folder: Path) -> Iterator[tuple[tuple[str, int], tuple[int | None, str]]]:
    """(instrument, seq) and (price in units, state) of every value on whole lines, read without the project's code."""
    for path in sorted(folder.glob("journal-*.jsonl*")):
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for raw in data.split(b"\n")[:-1]:
            record = json.loads(raw[65:])
            if record[0] == "beat":
                for value in record[5]:
                    if value[0] in ("I", "M"):
                        state = value[8] if value[0] == "I" else value[12]
                        yield (value[1], value[2]), (value[4], state)


async def one_life(folder: Path, rng: random.Random, said: Said) -> dict[str, dict[str, object]]:
    """Start the demo, listen, kill it at a random instant; the first value each instrument said."""
    port = free_ports(rng)
    command = [sys.executable, "-m", "oracle", "demo", "--quiet", "--port", str(port), "--data-dir", str(folder)]
    errors = folder / "stderr.txt"
    with errors.open("ab") as stream:
        process = await asyncio.create_subprocess_exec(*command, stdout=DEVNULL, stderr=stream)
    first: dict[str, dict[str, object]] = {}
    try:
        connected = asyncio.Event()
        listening = asyncio.create_task(listen(port, said, first, connected))
        connecting = asyncio.create_task(connected.wait())
        await asyncio.wait({listening, connecting}, return_when=asyncio.FIRST_COMPLETED)
        connecting.cancel()
        await asyncio.sleep(rng.uniform(0.0, 2.0))
        assert process.returncode is None, f"the demo ended by itself: {errors.read_text()[-2_000:]}"
        process.kill()
        await listening
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        await process.wait()
    return first


@pytest.mark.anyio
@pytest.mark.timeout(60 + 40 * KILLS)
async def test_whatever_was_said_is_written(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    rng = random.Random(7)
    said: Said = {}
    highest: dict[str, int] = {}
    lives_heard = 0
    for _ in range(KILLS):
        first = await one_life(tmp_path, rng, said)
        lives_heard += bool(first)  # one that is killed at once may have said nothing
        for name, part in first.items():
            assert part["state"] == "warming", (name, part)
            assert part["price"] is None, (name, part)
            assert part["seq"] > highest.get(name, 0), (name, part)  # type: ignore[operator]
        for name, seq in said:
            highest[name] = max(highest.get(name, 0), seq)
    assert lives_heard > KILLS / 2
    written = dict(journaled(tmp_path / "journal"))
    assert set(said) <= set(written)
    for key, (price, state) in said.items():
        units, recorded = written[key]
        assert recorded.lower() == state
        assert (price is None) == (units is None)
        assert price is None or price.replace(".", "") == str(units)
    command = [sys.executable, "-m", "oracle", "verify", str(tmp_path / "journal")]
    checker = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    out, err = await checker.communicate()
    assert checker.returncode == 0, out.decode() + err.decode()
    record_property("values_heard", len(said))
    record_property("torn_tails", len(list((tmp_path / "journal").glob("*.torn*"))))
    sys.stdout.write(f"\n{KILLS} kills, {len(said)} values heard, all written\n{out.decode()}")
