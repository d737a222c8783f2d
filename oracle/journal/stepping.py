"""How journal tools drive an engine without knowing it: a stepper takes beats and shows its values and its memory.

Verify, replay and recovery are given a maker of steppers. The maker is sent to other processes, so it has to be a
function of a module, not a closure.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Protocol, TypeAlias

from oracle.core.engine import Engine, decode_state, encode_state
from oracle.core.params import World
from oracle.core.types import Beat, Value
from oracle.methods import for_world, shipped


class Stepper(Protocol):
    """An engine as the journal sees it."""

    def step(self, beat: Beat) -> tuple[Value, ...]:
        """The values of a beat."""
        ...

    def state(self) -> bytes:
        """Everything the next beat is judged with, as JSON: equal memories give equal bytes."""
        ...


MakeEngine: TypeAlias = Callable[[World, bytes | None], Stepper]


class EngineStepper:
    """The engine of this version."""

    def __init__(self, world: World, state: bytes | None) -> None:
        self._engine = Engine(world, for_world(world), None if state is None else decode_state(state))

    def step(self, beat: Beat) -> tuple[Value, ...]:
        """The values of a beat."""
        return self._engine.step(beat).values

    def state(self) -> bytes:
        """The engine's memory."""
        return encode_state(self._engine.state)


def this_version(world: World, state: bytes | None) -> Stepper:
    """The engine of this version, in a world, with the memory that a journal recorded.

    Raises msgspec.DecodeError for a memory of another shape, ModuleNotFoundError for a methodology that is not here.
    A journal may be a stranger's: it is not allowed to name what this process shall import.
    """
    named = {index.method for index in world.indices} | {perp.method for perp in world.perps}
    if strange := sorted(named - set(shipped()) - set(sys.modules)):
        raise ModuleNotFoundError(f"the methodology {strange[0]!r} is not one of {', '.join(shipped())}")
    return EngineStepper(world, state)
