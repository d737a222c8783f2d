"""What a methodology is to the engine: a name, a version, its dated parameters, and four pure functions.

The engine owns order and memory: it applies observations to sources, walks the instruments in dependency order, moves
the ladder, numbers the values. A method owns the arithmetic: how quotes become an index, an index a mark, samples a
rate. It is composed from the functions of `core` where its rule is a shared one.
"""

from __future__ import annotations

from typing import Protocol

from oracle.core.params import Rules


class Method(Protocol):
    """One methodology. `SETS` are its dated parameter sets, oldest first."""

    ID: str
    SETS: tuple[Rules, ...]
