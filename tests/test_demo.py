"""The demo: its story passes every state of the ladder, its settings read its world, its start explains itself."""

from __future__ import annotations

import argparse
import asyncio
import io
import socket
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import aiohttp
import msgspec
import pytest

from oracle import config, demo, methods
from oracle.clock import SystemClock
from oracle.collectors.engine_feed import EngineFeed
from oracle.config.keys import feed_keys
from oracle.core.engine import Engine
from oracle.core.params import Role
from oracle.core.types import (
    NANOS_PER_MS,
    NANOS_PER_S,
    Action,
    Alert,
    AlertKind,
    Beat,
    BookTop,
    Command,
    Depth,
    FundingRate,
    IndexValue,
    MarkPrice,
    Observation,
    Reason,
    State,
    Trade,
    Value,
    Verdict,
    VerdictChange,
)
from oracle.errors import ConfigError, ServiceError
from oracle.journal import keys
from oracle.simulator.markets import MARKETS
from oracle.simulator.story import DEMO, LENGTH_MS
from oracle.simulator.world import World

START = 1_790_000_040 * NANOS_PER_S  # a whole minute, so that funding intervals are the story's minutes
BEAT_MS = 200
LINE_NS = 5 * NANOS_PER_MS


def played() -> list[tuple[float, Value]]:
    """The whole story through the real engine, in simulated time: when, and what was published."""
    settings = config.load(demo.settings_file(), {})
    world = config.world(settings, START)
    ids = {(s.venue, s.market, s.symbol): s.id for s in world.sources}
    indices = {perp.id: perp.index for perp in world.perps}
    engine = Engine(world, methods.for_world(world))
    engine.step(Beat(1, START, (Command(Action.START, "*", "service", "", START),), 0))
    simulated = World(1, START, DEMO)
    found: list[tuple[float, Value]] = []
    for count in range(1, LENGTH_MS // BEAT_MS + 1):
        at_ns = START + count * BEAT_MS * NANOS_PER_MS
        latest: dict[object, Observation] = {}
        for market, fact in simulated.step(at_ns - LINE_NS):
            source = ids[market.venue, market.market, market.symbol]
            if isinstance(fact, Command):
                latest[source, fact.action] = msgspec.structs.replace(fact, target=indices[fact.target])
            else:
                latest[source, type(fact)] = msgspec.structs.replace(
                    fact, source=source, recv_ns=fact.venue_ns + LINE_NS
                )
        seen = tuple(sorted(latest.values(), key=lambda fact: fact.recv_ns))
        tick = engine.step(Beat(count + 1, at_ns, seen, 0))
        found += [((at_ns - START) / NANOS_PER_S, value) for value in tick.values]
    return found


@pytest.fixture(scope="module")
def story() -> list[tuple[float, Value]]:
    return played()


def states(story: list[tuple[float, Value]], instrument: str, since_s: float = 0.0) -> list[State]:
    """The states of an instrument in the order in which they were entered."""
    found = [v.state for t, v in story if isinstance(v, IndexValue) and v.instrument == instrument and t >= since_s]
    return [state for state, _ in groupby(found)]


def marks(story: list[tuple[float, Value]], begin_s: float, end_s: float) -> list[MarkPrice]:
    return [v for t, v in story if isinstance(v, MarkPrice) and v.instrument == "BTC-USD-PERP" and begin_s <= t < end_s]


def test_every_state_of_the_ladder_occurs(story: list[tuple[float, Value]]) -> None:
    assert set(states(story, "BTC-USD")) == set(State)


@pytest.mark.parametrize("instrument", ["BTC-USD", "ETH-USD"])
def test_the_ladder_is_gone_down_and_up_again(story: list[tuple[float, Value]], instrument: str) -> None:
    assert states(story, instrument, 360.0)[:8] == [
        State.NORMAL,
        State.DEGRADED,
        State.TWO_GROUPS,
        State.PERP_IMPLIED,
        State.LAST_GOOD,
        State.HALTED,
        State.WARMING,
        State.NORMAL,
    ]


def test_each_trouble_of_a_source_has_its_verdict(story: list[tuple[float, Value]]) -> None:
    verdicts = {v.verdict for _, v in story if isinstance(v, VerdictChange) and v.instrument == "BTC-USD"}
    assert {Verdict.STALE, Verdict.OUTLIER, Verdict.READMITTING, Verdict.FROZEN, Verdict.USED} <= verdicts


def test_a_spike_and_a_depeg_do_not_move_the_index(story: list[tuple[float, Value]]) -> None:
    for begin_s, end_s in ((70, 92), (198, 280)):
        prices = [
            v.price
            for t, v in story
            if isinstance(v, IndexValue) and v.instrument == "BTC-USD" and begin_s < t < end_s and v.price
        ]
        assert max(prices) / min(prices) < 1.005
    depegged = [v.price for t, v in story if isinstance(v, IndexValue) and v.instrument == "USDT-USD" and 231 < t < 244]
    assert all(price == pytest.approx(950_000, rel=0.002) for price in depegged)


def test_the_crash_binds_both_clamps_and_the_cap(story: list[tuple[float, Value]]) -> None:
    crash = marks(story, 285, 375)
    assert any(m.step_binding for m in crash)
    assert any(m.band_binding for m in crash)
    assert all(m.price and m.index and abs(m.price / m.index - 1) < 0.01501 for m in crash)
    raised = {v.kind for _, v in story if isinstance(v, Alert) and v.active}
    assert {AlertKind.CLAMP_BINDING, AlertKind.FUNDING_AT_CAP, AlertKind.LIQUIDATION_CLUSTER} <= raised


def test_the_mark_is_the_index_while_the_platforms_feed_is_lost(story: list[tuple[float, Value]]) -> None:
    lost = marks(story, 183, 192)
    assert lost
    assert all(Reason.ENGINE_FEED_STALE in m.reasons for m in lost)
    assert all(m.price and m.index and abs(m.price - m.index) <= 5 for m in lost)


def test_funding_settles_every_minute(story: list[tuple[float, Value]]) -> None:
    settled = [v for _, v in story if isinstance(v, FundingRate) and v.final and v.instrument == "BTC-USD-PERP"]
    assert [v.settles_ns for v in settled] == [START + minute * 60 * NANOS_PER_S for minute in range(1, 11)]
    assert any(v.cap_binding for v in settled)
    assert any(Reason.FUNDING_FALLBACK in v.reasons for v in settled)


def test_the_settings_read_markets_that_the_world_has_and_all_of_them() -> None:
    sources = config.world(config.load(demo.settings_file(), {})).sources
    assert {(s.venue, s.market, s.symbol, s.quote, s.role) for s in sources} == {
        (m.venue, m.market, m.symbol, m.quote, m.role) for m in MARKETS
    }


def asked(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    demo.add_arguments(parser)
    return parser.parse_args(words)


def plan(folder: Path, **changes: object) -> demo.Demo:
    environ = {"ORACLE_SERVICE__DATA_DIR": str(folder), **demo._doors(0)}
    return demo.Demo(seed=7, duration_s=0.0, quiet=False, environ=environ)._replace(**changes)  # type: ignore[arg-type]


class FakeOracle:
    """Stands for `app.run`: looks at the settings it is given, and stays until it is told to stop."""

    def __init__(self) -> None:
        self.settings: config.Settings
        self.clients: list[str] = []

    async def __call__(self, settings: config.Settings, *, ready: Callable[[object], None], stop: asyncio.Event) -> int:
        self.settings = settings
        async with aiohttp.ClientSession() as http:
            for venue, how in settings.venues.items():
                assert how.url is not None
                async with http.ws_connect(how.url):
                    self.clients.append(venue)
        ready(self)
        await stop.wait()
        return 0


@pytest.mark.anyio
async def test_the_oracle_is_given_the_venues_and_the_engines_key_and_is_stopped_in_time(tmp_path: Path) -> None:
    oracle, out = FakeOracle(), io.StringIO()
    async with asyncio.timeout(20):
        assert await demo.play(plan(tmp_path, duration_s=0.05), oracle, out) == 0
    venues = {m.venue for m in MARKETS if m.role is not Role.ENGINE}
    assert set(oracle.clients) == venues
    assert list(feed_keys(oracle.settings)) == [demo.FEED_KEY_ID]
    keys.load_private(oracle.settings.signing_key_file)
    said = out.getvalue()
    assert len(said.splitlines()) <= 12
    for word in ("SIMULATED", "seed 7", "curl", "/v1/stream", "/metrics", "oracle verify", str(tmp_path), "Ctrl-C"):
        assert word in said
    assert f"http://127.0.0.1:{oracle.settings.service.port}/" in said


@pytest.mark.anyio
async def test_what_the_simulated_engine_sends_is_believed(tmp_path: Path) -> None:
    heard: set[type] = set()

    async def listening(settings: config.Settings, *, ready: Callable[[object], None], stop: asyncio.Event) -> int:
        world, complete = config.world(settings), asyncio.Event()

        def put(fact: Observation) -> None:
            heard.add(type(fact))
            if {BookTop, Depth, Trade} <= heard:
                complete.set()

        state = settings.service.data_dir / "engine-feed.json"
        feed = EngineFeed(world, put, SystemClock(), secrets=feed_keys(settings), state_path=state)
        await feed.start(settings.engine_feed.host, settings.engine_feed.port)
        ready(feed)
        await complete.wait()
        await feed.stop()
        return 3 if feed.stats.refused else 0

    async with asyncio.timeout(20):
        assert await demo.play(plan(tmp_path), listening, io.StringIO()) == 0
    assert {BookTop, Depth, Trade} <= heard


@pytest.mark.anyio
async def test_a_second_start_keeps_the_keys_and_quiet_says_nothing(tmp_path: Path) -> None:
    out, made = io.StringIO(), []
    for _ in range(2):
        await demo.play(plan(tmp_path, duration_s=0.01, quiet=True), FakeOracle(), out)
        made.append([(tmp_path / name).read_bytes() for name in ("signing.key", "signing.key.pub", "feed.keys")])
    assert made[0] == made[1]
    assert out.getvalue() == ""
    assert (tmp_path / "feed.keys").stat().st_mode & 0o077 == 0


@pytest.mark.anyio
async def test_a_key_file_of_somebody_else_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "feed.keys"
    path.write_text(f"other {'ab' * 32}\n")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="demo-engine"):
        await demo.play(plan(tmp_path), FakeOracle(), io.StringIO())


@pytest.mark.anyio
async def test_an_oracle_that_fails_or_a_stage_that_fails_ends_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(settings: config.Settings, **_: object) -> int:
        raise ServiceError("no door")

    with pytest.raises(ServiceError, match="no door"):
        await demo.play(plan(tmp_path), broken, io.StringIO())

    def fall(stage: object, now_ns: int) -> None:
        raise RuntimeError("the stage fell")

    monkeypatch.setattr("oracle.simulator.stage.Stage.turn", fall)
    with pytest.raises(RuntimeError, match="the stage fell"):
        await demo.play(plan(tmp_path), FakeOracle(), io.StringIO())


def test_the_command_runs_the_service_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    oracle = FakeOracle()
    monkeypatch.setattr("oracle.app.run", oracle)
    assert demo.main(asked("--port", "0", "--duration", "0.05", "--seed", "9", "--data-dir", str(tmp_path))) == 0
    assert oracle.settings.service.data_dir == tmp_path
    assert "seed 9" in capsys.readouterr().out


def test_a_busy_port_names_a_free_one() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        settings = config.load(demo.settings_file(), {**demo._doors(0), "ORACLE_SERVICE__PORT": str(port)})
        with pytest.raises(ServiceError, match=rf"127\.0\.0\.1:{port}: the port is busy.*oracle demo --port \d+"):
            demo.require_free(settings)


def test_no_free_port_offers_the_systems_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oracle.commands.ports.refused", lambda host, port: "the port is busy")
    with pytest.raises(ServiceError, match="oracle demo --port 0"):
        demo.require_free(config.load(demo.settings_file(), {}))


def test_the_port_argument_moves_all_three_doors() -> None:
    assert demo._doors(None) == {}
    assert list(demo._doors(9_000).values()) == ["9000", "9001", "9002"]
    assert len(set(demo._doors(0).values())) == 3


@pytest.mark.parametrize("seed", ["-1", "x"])
def test_a_seed_is_a_whole_number(seed: str) -> None:
    with pytest.raises((argparse.ArgumentError, SystemExit)):
        asked("--seed", seed)


def test_the_defaults() -> None:
    args = asked()
    assert (args.seed, args.duration, args.port, args.data_dir, args.quiet) == (1, 0.0, None, None, False)


def test_settings_that_are_nowhere_are_missed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo, "__file__", str(tmp_path / "oracle" / "demo.py"))
    with pytest.raises(ConfigError, match=r"demo\.toml is missing"):
        demo.settings_file()
