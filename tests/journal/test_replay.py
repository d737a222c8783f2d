"""A replay computes every beat again from the beats alone, by the same or another methodology."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Raw
from msgspec.structs import replace

from oracle.core.params import World
from oracle.core.types import Beat, Value
from oracle.errors import JournalError
from oracle.journal import chain
from oracle.journal.compare import Difference
from oracle.journal.lines import BeatLine, decode
from oracle.journal.recast import under
from oracle.journal.recovery import recover
from oracle.journal.replay import FIRST_KEPT_MAX, Deviation, replay
from tests.journal.conftest import EMPTY_WORLD, MakeScribe, TallyEngine, beat_of, settled, trade_on, trading_world


class Shifted(TallyEngine):
    """An engine that computes one more."""

    def __init__(self, world: World, state: bytes | None) -> None:
        super().__init__(world, state)
        self.memory.total += 1


class Mute(TallyEngine):
    """An engine that says nothing, and now and then something nobody asked for."""

    def step(self, beat: Beat) -> tuple[Value, ...]:
        super().step(beat)
        return (settled(beat.seq, beat.at_ns, 5, "NEW"),) if beat.seq == 3 else ()


class Patient(TallyEngine):
    """An engine that bears anything."""

    def step(self, beat: Beat) -> tuple[Value, ...]:
        return ()


def test_a_replay_of_the_same_engine_is_equal(tmp_path: Path, key: Ed25519PrivateKey) -> None:
    trade_on(tmp_path, key, 120, snapshot_ms=10_000)
    trade_on(tmp_path, key, 60, recover(tmp_path), snapshot_ms=10_000)
    heard: list[int] = []
    found = replay(tmp_path, progress=heard.append)
    assert (found.beats, found.equal, found.different, found.first) == (180, 180, 0, [])
    assert found.last_ns - found.first_ns == 179 * 250_000_000
    assert found.elapsed_s > 0
    assert heard[-1] == 180


def test_differences_are_counted_and_the_first_told(scribe: MakeScribe, tmp_path: Path) -> None:
    scribe(tmp_path).beats(30)
    found = replay(tmp_path, Shifted)
    assert (found.beats, found.equal, found.different) == (30, 0, 30)
    assert len(found.first) == FIRST_KEPT_MAX
    assert found.first[1] == Difference(2, "X", "PremiumSample", "premium_e10", 3, 4)


def test_a_memory_taken_over_would_hide_what_a_replay_shows(scribe: MakeScribe, tmp_path: Path) -> None:
    first = scribe(tmp_path, snapshot_ms=1_000)
    first.beats(25)
    first.writer.close()
    scribe(tmp_path, recover(tmp_path, TallyEngine), snapshot_ms=1_000).beats(25)
    assert replay(tmp_path, Shifted).different == 50


def test_another_world_begins_with_the_memory_in_its_head(scribe: MakeScribe, tmp_path: Path) -> None:
    first = scribe(tmp_path)
    first.beats(5)
    first.writer.close()
    other = msgspec.structs.replace(EMPTY_WORLD, methodology="next")
    scribe(tmp_path, recover(tmp_path, TallyEngine), world=other, state=b"[5,1000]").beats(5)
    assert replay(tmp_path, TallyEngine).equal == 10


def test_a_torn_end_is_told(scribe: MakeScribe, tmp_path: Path) -> None:
    writing = scribe(tmp_path)
    writing.beats(5)
    writing.writer.close()
    with writing.writer.path.open("ab") as stream:
        stream.write(b"torn")
    found = replay(tmp_path, TallyEngine)
    assert found.torn is not None
    assert (found.beats, found.torn.bytes) == (5, 4)


def test_damage_and_broken_engines_are_errors(scribe: MakeScribe, tmp_path: Path) -> None:
    writing = scribe(tmp_path)
    writing.writer.append(beat_of(1, 0.5), ())
    with pytest.raises(JournalError, match="seq 1: the engine fails on this beat: ZeroDivisionError"):
        replay(tmp_path, TallyEngine)
    writing.writer.close()
    with writing.writer.path.open("ab") as stream:
        stream.write(b"more\n")
    with pytest.raises(JournalError, match="the chain breaks here"):
        replay(tmp_path, Patient)


def test_equal_values_in_other_bytes_are_a_difference(scribe: MakeScribe, tmp_path: Path) -> None:
    writing = scribe(tmp_path)
    writing.beats(1)
    writing.writer.close()
    head, beat = (decode(line[chain.JSON_AT :]) for line in writing.writer.path.read_bytes().splitlines())
    assert isinstance(beat, BeatLine)
    spaced = msgspec.structs.replace(beat, values=Raw(bytes(beat.values).replace(b",", b", ")))
    previous, first = chain.link(chain.GENESIS, msgspec.json.encode(head))
    writing.writer.path.write_bytes(first + chain.link(previous, msgspec.json.encode(spaced))[1])
    found = replay(tmp_path, TallyEngine)
    assert (found.different, found.first[0].kind) == (1, "bytes")


METHOD = """
from msgspec.structs import replace
from oracle.methods.hk1 import *
from oracle.methods import hk1
ID = "wide"
SETS = tuple(replace(rules, version="9", mark=replace(rules.mark, band_bps=1.0)) for rules in hk1.SETS)
"""


@pytest.fixture
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "__init__.py").write_text("")
    (tmp_path / "elsewhere" / "wide.py").write_text(METHOD)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("elsewhere.wide")


@pytest.mark.usefixtures("_elsewhere")
def test_another_methodology_is_measured_in_basis_points(tmp_path: Path, key: Ed25519PrivateKey) -> None:
    trade_on(tmp_path / "journal", key, 120)
    same = replay(tmp_path / "journal", method="hk1")
    assert same.different == 0
    assert {row.largest_bps for row in same.deviations.values()} == {0.0}
    other = replay(tmp_path / "journal", method="elsewhere.wide")
    assert other.methodology == "elsewhere.wide"
    assert other.beats == 120
    index, mark = other.deviations["IndexValue BTC-USD"], other.deviations["MarkPrice BTC-USD-PERP"]
    assert (index.largest_bps, index.equal) == (0.0, 120)
    assert mark.compared + mark.equal >= 120


@pytest.mark.usefixtures("_elsewhere")
def test_what_the_settings_changed_stays_changed() -> None:
    world = trading_world()
    [index], [perp] = world.indices, world.perps
    own = perp.rules
    changed = replace(own, funding=replace(own.funding, interval_ms=60_000), mark=replace(own.mark, step_bps=7.0))
    world = replace(world, perps=(replace(perp, rules=changed),))
    assert under(world, "hk1", 0).perps == world.perps
    other = under(world, "elsewhere.wide", 0)
    [rules] = [perp.rules for perp in other.perps]
    assert (rules.version, rules.mark.band_bps) == ("9", 1.0), "the other methodology's own"
    assert (rules.mark.step_bps, rules.funding) == (7.0, changed.funding), "and the settings"
    assert other.indices[0].rules.ladder == index.rules.ladder
    strange = replace(world, perps=(replace(perp, method="gone.away", rules=changed),))
    assert under(strange, "hk1", 0).perps[0].rules == own, "whose settings cannot be told from its rules"


def test_figures_are_set_side_by_side(scribe: MakeScribe, tmp_path: Path) -> None:
    scribe(tmp_path).beats(100)
    found = replay(tmp_path, Shifted, method="hk1").deviations
    sample, rate = found["PremiumSample X"], found["FundingRate X"]
    assert (sample.compared, sample.equal, sample.one_sided) == (100, 0, 0)
    assert sample.mean_bps == pytest.approx(1e-6)
    assert (rate.compared, rate.largest_seq) == (2, 50)
    assert rate.largest_bps == pytest.approx(1e-4)
    silent = replay(tmp_path, Mute, method="hk1").deviations
    assert (silent["PremiumSample X"].one_sided, silent["PremiumSample X"].mean_bps) == (100, 0.0)
    assert silent["FundingRate NEW"] == Deviation("FundingRate NEW", one_sided=1)


def test_a_methodology_that_is_not_here(scribe: MakeScribe, tmp_path: Path) -> None:
    scribe(tmp_path).beats(1)
    with pytest.raises(ModuleNotFoundError):
        replay(tmp_path, TallyEngine, method="nobody")
