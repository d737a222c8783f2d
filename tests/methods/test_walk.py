"""The reviewer's walk: the steps of the published README are taken, word for word, on a journal of the real engine."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stdout
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from oracle import config
from oracle.cli import main
from oracle.core.engine import Engine
from oracle.core.params import Role, World
from oracle.core.types import (
    NANOS_PER_MS,
    NANOS_PER_S,
    Action,
    Beat,
    BookTop,
    Command,
    Depth,
    Observation,
    Side,
    Trade,
)
from oracle.journal import keys
from oracle.journal.recovery import Recovered
from oracle.journal.writer import Opening, Writer
from oracle.methods import for_world

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "methodology" / "README.md").read_text(encoding="utf-8")
STEPS = re.findall(r"```(sh|python) walk\n(.*?)```", TEXT, re.DOTALL)
START_NS = 1_795_247_880 * NANOS_PER_S  # 2026-11-21 07:58:00 UTC
BEATS = 600
BEAT_NS = 250 * NANOS_PER_MS
USDT = 0.9992
LIES_FROM, SILENT_FROM = 360, 420  # beats


def story(world: World) -> Iterator[Beat]:
    """Two and a half minutes around a settlement: a venue prints too high, another falls silent, the rest trade."""
    for seq in range(1, BEATS + 1):
        at_ns = START_NS + seq * BEAT_NS
        seen: list[Observation] = [Command(Action.START, "*", "service", "start", at_ns)] if seq == 1 else []
        for source in world.sources:
            if source.venue != "bybit" or seq < SILENT_FROM:
                seen += said(source.id, source.name, source.quote, source.role, seq, at_ns)
        yield Beat(seq, at_ns, tuple(seen), 0)


def said(source: int, name: str, quote: str, role: Role, seq: int, at_ns: int) -> Iterator[Observation]:
    """A book and, once a second, a trade of a source; nothing of markets that the walk does not visit."""
    place, symbol = source * 5 % 11, name.partition(":")[2].upper()
    price = 60_000.0 + place + (seq * 4999) % 53 / 10
    if "BTC" not in symbol:
        if "USDT" not in symbol and "UST" not in symbol:
            return
        price = USDT + (place - 4) / 100_000
    elif role is Role.ENGINE:
        price += 50.0
    elif quote == "USDT":
        price = round(price / USDT, 1) * (1.06 if name.startswith("okx:") and seq >= LIES_FROM else 1.0)
    half = 1.0 if price > 2.0 else 0.00002
    bid, ask = round(price - half, 6), round(price + half, 6)
    yield BookTop(source, bid, 3.0, ask, 3.0, at_ns, at_ns)
    if role is Role.ENGINE:
        yield Depth(source, ((bid, 3.0),), ((ask, 3.0),), at_ns, at_ns)
    if seq % 4 == place % 4:
        yield Trade(source, round(price + half / 2, 6), 0.1, Side.BUY, at_ns, at_ns)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reviewer's folder: a journal of the shipped configuration, the public key of its seals, nothing else."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "journal").mkdir()
    key = keys.generate()
    keys.save_public(key.public_key(), folder / "public.pem")
    world = config.world(config.load(ROOT / "deploy" / "oracle.toml", {}), START_NS)
    engine = Engine(world, for_world(world))
    writer = Writer(folder / "journal", Recovered(), Opening(world, None, "test", START_NS), key)
    for beat in story(world):
        writer.append(beat, engine.step(beat).values)
        if beat.seq % 4 == 0:
            writer.seal(beat.seq, beat.at_ns)
    writer.close()
    return folder


def shell(lines: str) -> None:
    """Obey what a reader would type: `oracle` verbs, one a line, with `> FILE`."""
    for line in lines.splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        assert words[0] == "oracle", line
        target = Path(words.pop()) if words[-2:-1] == [">"] else Path(os.devnull)
        words = [word for word in words if word != ">"]
        with target.open("w", encoding="utf-8") as stream, redirect_stdout(stream):
            assert main(words[1:]) == 0, line


def test_the_walk_arrives_at_the_published_digits(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step in its order; the steps themselves assert what they arrive at."""
    monkeypatch.chdir(desk)
    memory: dict[str, Any] = {}
    for language, code in STEPS:
        if language == "sh":
            shell(code)
        else:
            exec(compile(code, "the walk", "exec"), memory)
    assert (memory["index"], memory["mark"], memory["rate"]) == tuple(memory["published"])
    assert all(isinstance(memory[name], Decimal) for name in ("index", "mark", "rate"))


def test_the_walk_is_whole() -> None:
    assert [language for language, _ in STEPS].count("python") >= 6
    assert STEPS[0][0] == "sh"
    code = "".join(code for _, code in STEPS)
    assert not re.search(r"^(import|from) (?!json|hashlib|decimal|pathlib)", code, re.MULTILINE), "the walk is by hand"
