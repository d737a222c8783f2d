"""A small journal of the real engine, and the settings it was made with."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from oracle import config
from oracle.core.engine import Engine
from oracle.core.params import World
from oracle.core.types import NANOS_PER_S, Action, Beat, BookTop, Command, Link, Observation
from oracle.journal import keys
from oracle.journal.recovery import Recovered
from oracle.journal.writer import Opening, Writer
from oracle.methods import for_world
from tests.journal.conftest import trade_on

START_NS = 1_790_000_000 * NANOS_PER_S
VENUES = ("coinbase:BTC-USD", "kraken:BTC/USD", "bitstamp:btcusd", "gemini:BTCUSD", "bitfinex:tBTCUSD")
SETTINGS = f"""\
[[index]]
id = "BTC-USD"
base = "BTC"
sources = {list(VENUES)}
[[perp]]
id = "BTC-USD-PERP"
index = "BTC-USD"
tick = "0.1"
""".replace("'", '"')


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    path = tmp_path / "oracle.toml"
    path.write_text(SETTINGS)
    return path


@pytest.fixture
def world(settings_file: Path) -> World:
    return config.world(config.load(settings_file, {}))


def beats(count: int) -> list[Beat]:
    """A start, then a price of every venue each second."""
    started: list[Observation] = [Command(Action.START, "*", "test", "", START_NS)]
    started += [Link(n, True, "", START_NS) for n in range(len(VENUES))]
    made = [Beat(1, START_NS, tuple(started), 0)]
    for seq in range(2, count + 1):
        at_ns = START_NS + (seq - 1) * NANOS_PER_S
        tops = (BookTop(n, 60_000.0 + n + seq, 1.0, 60_002.0 + n + seq, 1.0, 0, at_ns) for n in range(len(VENUES)))
        made.append(Beat(seq, at_ns, tuple(tops), 0))
    return made


@pytest.fixture
def thirty() -> list[Beat]:
    return beats(30)


@pytest.fixture
def journal(tmp_path: Path, world: World) -> Path:
    """A journal of thirty beats, sealed each second, with its public key beside it."""
    folder = tmp_path / "journal"
    folder.mkdir()
    key = keys.generate()
    keys.save_public(key.public_key(), tmp_path / "public.pem")
    writer = Writer(folder, Recovered(), Opening(world, None, "test", START_NS), key)
    engine = Engine(world, for_world(world), None)
    for beat in beats(30):
        writer.append(beat, engine.step(beat).values)
        writer.seal(beat.seq, beat.at_ns)
    writer.close()
    return folder


@pytest.fixture(scope="session")
def traded(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a journal of two hundred beats in which an index, its perpetual's mark and its funding are made."""
    folder: Path = tmp_path_factory.mktemp("traded")
    trade_on(folder, Ed25519PrivateKey.generate(), 200)
    return str(folder)
