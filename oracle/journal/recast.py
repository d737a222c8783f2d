"""The same instruments and sources, judged by another methodology: what a replay steps instead of the recorded world.

A conversion stays what it was: every methodology compared converts by the same index. And a methodology that gives
weight to fewer owners than the ladder asks for is asked for no more than those who are there, so that its formula is
compared, and not how many of its constituents the journal happens to hold.
"""

from __future__ import annotations

from msgspec.structs import asdict, replace

from oracle.core.basket import weight_of
from oracle.core.method import funds, makes_index
from oracle.core.params import IndexInstrument, Rules, World
from oracle.core.types import Nanos
from oracle.methods import load, rules_at, shipped

SECTIONS = tuple(name for name in Rules.__struct_fields__ if name not in ("effective_ns", "version", "own"))


def under(world: World, method: str, at_ns: Nanos) -> World:
    """The world judged by a methodology and its rules of that time. Raises ModuleNotFoundError for no such one.

    One that makes no index leaves the indices to their own, one that funds nothing the perpetuals.
    """
    other = load(method)
    rules = rules_at(other, at_ns)
    converting = {name for index in world.indices for name in index.conversions.values()}

    def judged(own: str, used: Rules) -> Rules:
        if own == method:
            return used
        return _with_settings(rules, rules_at(load(own), at_ns), used) if own in shipped() else rules

    def recast(index: IndexInstrument) -> IndexInstrument:
        if index.id in converting or index.legs or index.method == method or not makes_index(other):
            return index
        return replace(index, method=method, rules=_fitted(judged(index.method, index.rules), index, world))

    return replace(
        world,
        methodology=method,
        configuration_hash="",
        indices=tuple(map(recast, world.indices)),
        perps=tuple(replace(p, method=method, rules=judged(p.method, p.rules)) for p in world.perps)
        if funds(other)
        else world.perps,
    )


def left_out(world: World, method: str, at_ns: Nanos) -> dict[str, list[str]]:
    """The venues that a methodology gives no weight to, in configured order, by index; an index it makes of all is not
    there. Raises ModuleNotFoundError for no such methodology."""
    found = {}
    for index in under(world, method, at_ns).indices:
        if index.method == method:
            venues = dict.fromkeys(world.sources[source].venue for source in index.sources)
            if idle := [venue for venue in venues if weight_of(index.rules.own, venue) <= 0.0]:
                found[index.id] = idle
    return found


def _fitted(rules: Rules, index: IndexInstrument, world: World) -> Rules:
    """The rules asking for no more owners than those who have a weight."""
    owners = {s.group for s in (world.sources[i] for i in index.sources) if weight_of(rules.own, s.venue) > 0.0}
    ladder, most = rules.ladder, max(1, len(owners))
    normal, degraded = min(ladder.groups_normal_min, most), min(ladder.groups_degraded_min, most)
    return replace(rules, ladder=replace(ladder, groups_normal_min=normal, groups_degraded_min=degraded))


def _with_settings(rules: Rules, own: Rules, used: Rules) -> Rules:
    """`rules`, with what the settings of an instrument changed in its `own` to those it `used`."""
    changed = {}
    for section in SECTIONS:
        was, now = asdict(getattr(own, section)), asdict(getattr(used, section))
        settings = {name: value for name, value in now.items() if value != was[name]}
        changed[section] = replace(getattr(rules, section), **settings)
    return replace(rules, **changed)
