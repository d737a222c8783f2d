"""Floor 1: one file a methodology, composed from core. `hk1` is `oracle.methods.hk1`, a dotted name anyone's module."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import cast

from oracle.core.method import Described
from oracle.core.params import Rules, World
from oracle.core.types import Nanos


def load(name: str) -> Described:
    """The methodology of that id. Raises ModuleNotFoundError when there is no such file."""
    return cast(Described, import_module(name if "." in name else f"{__name__}.{name}"))


def shipped() -> list[str]:
    """The ids of the methodologies in this folder, sorted. A file with a leading underscore is a part of one."""
    return sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))


def for_world(world: World) -> dict[str, Described]:
    """Every methodology that a world's instruments name."""
    names = {i.method for i in world.indices} | {p.method for p in world.perps}
    return {name: load(name) for name in sorted(names)}


def rules_at(method: Described, at_ns: Nanos) -> Rules:
    """The parameter set in force at a time: the newest that is not later; before the first, the first."""
    in_force = [rules for rules in method.SETS if rules.effective_ns <= at_ns]
    return in_force[-1] if in_force else method.SETS[0]
