"""Another client is dialled up to the fake venue, and what it does about a fault is seen."""

from __future__ import annotations

import asyncio
from importlib import import_module

import aiohttp
import pytest

from oracle.clock import SystemClock
from oracle.trial import peers
from oracle.trial.faults import faults_of

pytestmark = pytest.mark.anyio


def test_ccxt_is_there() -> None:
    assert "ccxt.pro" in peers.installed()


async def test_a_client_that_does_not_notice_is_seen_not_to(monkeypatch: pytest.MonkeyPatch) -> None:
    import_module("ccxt.pro")  # takes its time
    monkeypatch.setattr(peers, "WARM_MS", 3_000)
    (seen,) = await peers.observed(["ccxt.pro"], faults_of(["symbol"]), observed_ms=300)
    assert (seen.how, seen.known_ms, seen.observed_ms) == ("", None, 300)


async def test_a_client_that_dials_again_is_seen_to(monkeypatch: pytest.MonkeyPatch) -> None:
    async def impatient(url: str, trial: peers._Trial) -> None:
        async with aiohttp.ClientSession() as http:
            while True:
                async with http.ws_connect(f"{url}/stream?streams=btcusdt@bookTicker") as socket:
                    for _ in range(2):
                        async with asyncio.timeout(2):
                            await socket.receive()
                        trial.hear("BTC")

    monkeypatch.setitem(peers._CLIENTS, "impatient", impatient)
    monkeypatch.setattr(peers, "WARM_MS", 500)
    (seen,) = await peers.observed(["impatient"], faults_of(["drop"]), observed_ms=3_000)
    assert seen.how == "it dialled again"
    assert seen.known_ms is not None
    assert seen.repaired_ms is not None
    assert seen.known_ms <= seen.repaired_ms


async def test_a_client_that_does_not_come_up_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(url: str, trial: peers._Trial) -> None:
        raise ValueError("no such address")

    monkeypatch.setitem(peers._CLIENTS, "broken", broken)
    monkeypatch.setattr(peers, "WARM_MS", 10)
    (frozen,) = faults_of(["frozen"])
    (seen,) = await peers.observed(["broken"], [frozen], observed_ms=10)
    assert seen.how == "it did not come up: ValueError('no such address')"


def test_what_a_client_tells_its_user_is_knowledge() -> None:
    trial = peers._Trial(faults_of(["mute"])[0], SystemClock())
    trial.know("too early")
    trial.begin(dialled=1)
    trial.look(dialled=1)
    trial.know("it raised NetworkError")
    trial.hear("ETH")
    assert not trial.repaired_ns
    trial.hear("BTC")
    seen = trial.seen("x", 60_000)
    assert (seen.how, seen.known_ms is not None, seen.repaired_ms is not None) == ("it raised NetworkError", True, True)
