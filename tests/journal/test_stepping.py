"""The stepper of this version is the engine itself, and its memory is all it needs to go on."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from oracle.core.engine import Engine, encode_state
from oracle.journal.stepping import this_version
from oracle.methods import for_world
from tests.journal.conftest import trading_beats, trading_world


def test_it_is_the_engine() -> None:
    world = trading_world()
    engine, stepper = Engine(world, for_world(world)), this_version(world, None)
    for beat in trading_beats(1, 60):
        assert stepper.step(beat) == engine.step(beat).values
    assert stepper.state() == encode_state(engine.state)


def test_it_goes_on_from_its_memory() -> None:
    world, beats = trading_world(), list(trading_beats(1, 80))
    one = this_version(world, None)
    for beat in beats[:50]:
        one.step(beat)
    other = this_version(world, one.state())
    for beat in beats[50:]:
        assert one.step(beat) == other.step(beat)
    assert one.state() == other.state()


def test_what_is_not_its_memory_or_methodology_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        this_version(trading_world(), b'{"another":"shape"}')
    world = trading_world()
    unknown = replace(world, indices=(replace(world.indices[0], method="no_such_method"),))
    with pytest.raises(ModuleNotFoundError):
        this_version(unknown, None)
