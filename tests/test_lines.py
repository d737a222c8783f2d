"""A world's sources become lines: by venue and market, in parts where a connection may not carry them all."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from oracle import config, lines
from oracle.clock import ManualClock
from oracle.collectors.ccxt import CcxtPoller
from oracle.collectors.ccxt_line import CcxtLine
from oracle.collectors.line import Line
from oracle.collectors.rest import Rest
from oracle.core.params import Role, Source, World
from oracle.venues.base import load

SHIPPED = Path(__file__).resolve().parents[1] / "deploy" / "oracle.toml"


def sources(*named: tuple[str, str, str]) -> World:
    made = [
        Source(
            id=i, name=f"{v}:{s}", venue=v, symbol=s, market=m, quote="USD", group=v,
            role=Role.ENGINE if v == "engine" else Role.SPOT,
        )
        for i, (v, m, s) in enumerate(named)
    ]  # fmt: skip
    return World(methodology="hk1", configuration_hash="", sources=tuple(made), indices=(), perps=())


@pytest.mark.anyio
async def test_the_shipped_world_has_a_line_for_each_venue_and_market() -> None:
    settings = config.load(SHIPPED, {})
    world, clock = config.world(settings), ManualClock(1)
    async with Rest(clock) as rest:
        made = lines.lines_of(settings, world, lambda _: None, clock, rest)
    dialled = {source.venue for source in world.sources if source.role is not Role.ENGINE}
    assert {line.stats.venue for line in made} == dialled
    carried = sorted(source for line in made for source in line.stats.sources)
    assert carried == [source.id for source in world.sources if source.role is not Role.ENGINE]


@pytest.mark.anyio
async def test_a_disabled_venue_is_not_dialled_and_a_proxy_takes_another_library() -> None:
    proxied = {"ORACLE_VENUES__KRAKEN__PROXY": "http://127.0.0.1:1", "ORACLE_VENUES__OKX__ENABLED": "false"}
    settings, clock = config.load(SHIPPED, proxied), ManualClock(1)
    async with Rest(clock) as rest:
        made = lines.lines_of(settings, config.world(settings), lambda _: None, clock, rest)
    assert "okx" not in {line.stats.venue for line in made}
    [kraken] = [line for line in made if line.stats.venue == "kraken"]
    assert isinstance(kraken, Line)
    assert kraken._wire.library == "aiohttp"
    assert kraken._wire.proxy == "http://127.0.0.1:1"


@pytest.mark.anyio
async def test_many_symbols_take_several_lines_that_share_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    world = sources(*[("kraken", "spot", f"A{i}/USD") for i in range(5)], ("engine", "spot", "P"))
    session_type, _ = load("kraken")
    monkeypatch.setattr(session_type, "symbols_max", 2)
    clock = ManualClock(1)
    async with Rest(clock) as rest:
        made = lines.lines_of(config.load(SHIPPED, {}), world, lambda _: None, clock, rest)
    assert [line.stats.sources for line in made] == [(0, 1), (2, 3), (4,)]
    assert len({id(line._budget) for line in made if isinstance(line, Line)}) == 1


@pytest.mark.anyio
async def test_redundant_lines_share_what_is_up_and_what_was_said() -> None:
    told = {"ORACLE_VENUES__KRAKEN__LINES": "2", "ORACLE_VENUES__KRAKEN__ENDPOINTS": '["wss://other.example"]'}
    settings, clock = config.load(SHIPPED, told), ManualClock(1)
    async with Rest(clock) as rest:
        made = lines.lines_of(settings, config.world(settings), lambda _: None, clock, rest)
    first, second = (line for line in made if line.stats.venue == "kraken" and isinstance(line, Line))
    assert first.stats.sources == second.stats.sources
    assert first._links is second._links
    assert first._merge is second._merge is not None
    assert (first._number, second._number) == (0, 1)
    assert first._urls == ("wss://other.example",)
    [single] = (
        line for line in made if line.stats.venue == "okx" and isinstance(line, Line) and line._market == "spot"
    )
    assert single._merge is None


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("told", "names"),
    [
        ({}, ("kraken",)),
        ({"CCXT": "off"}, None),
        ({"CCXT": "krakenfutures"}, ("krakenfutures",)),
        ({"CCXT": "nosuch"}, None),
        ({"URL": "ws://127.0.0.1:1"}, None),
        ({"URL": "ws://127.0.0.1:1", "CCXT": "kraken"}, ("kraken",)),
    ],
)
async def test_ccxt_is_a_last_resort_where_it_knows_the_venue_at_its_own_address(
    told: dict[str, str], names: tuple[str, ...] | None
) -> None:
    settings = config.load(SHIPPED, {f"ORACLE_VENUES__KRAKEN__{key}": value for key, value in told.items()})
    async with Rest(ManualClock()) as rest:
        made = lines.lines_of(settings, config.world(settings), lambda _: None, ManualClock(1), rest)
    [kraken] = [line for line in made if line.stats.venue == "kraken"]
    assert isinstance(kraken, Line)
    assert (kraken._spare.args[0] if isinstance(kraken._spare, partial) else None) == names


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "table", "kind"),
    [
        ("kraken", "", CcxtLine),
        ("kraken", "stream = false", CcxtPoller),
        ("bitflyer", "", CcxtPoller),  # ccxt.pro has none of that name
    ],
)
async def test_an_exchange_that_ccxt_knows_is_streamed_where_it_can_be_and_else_polled(
    name: str, table: str, kind: type, tmp_path: Path
) -> None:
    written = tmp_path / "oracle.toml"
    written.write_text(
        f'{SHIPPED.read_text(encoding="utf-8")}\n[venues."ccxt.{name}"]\nurl = "ws://127.0.0.1:9"\n{table}'
    )
    world, clock = sources((f"ccxt.{name}", "spot", "BTC/USD")), ManualClock(1)
    async with Rest(clock) as rest:
        [line] = lines.lines_of(config.load(written, {}), world, lambda _: None, clock, rest)
        assert type(line) is kind
        assert line.stats.venue == name
        poller = line._poller if isinstance(line, CcxtLine) else line
        assert isinstance(poller, CcxtPoller)
        assert "//127.0.0.1:9" in str(poller._exchange.urls["api"])
        await poller.aclose()
