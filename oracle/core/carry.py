"""What survives a change of configuration: a state made in one world, as the next world may begin with it.

An instrument keeps what it published (sequence, last good value, orders) and the samples of its running interval; it
keeps nothing it inferred from sources. Whatever is new begins as new. A changed methodology never inherits a sample
that was taken under other rules.
"""

from __future__ import annotations

from oracle.core.engine import EngineState, new_state
from oracle.core.params import World
from oracle.core.step_index import IndexState


def carried(before: World, state: EngineState, after: World) -> EngineState:
    """`state` of the world `before`, as far as it means the same in the world `after`."""
    if before == after:
        return state
    made = new_state(after)
    made.seq, made.at_ns, made.clock_offset_ns = state.seq, state.at_ns, state.clock_offset_ns
    old_indices = {i.id: (i, memory) for i, memory in zip(before.indices, state.indices, strict=True)}
    for instrument, fresh in zip(after.indices, made.indices, strict=True):
        if instrument.id in old_indices:
            old, memory = old_indices[instrument.id]
            _keep_published(memory, fresh, same_scale=old.price_decimals == instrument.price_decimals)
    old_perps = {p.id: (p, memory) for p, memory in zip(before.perps, state.perps, strict=True)}
    for perp, new in zip(after.perps, made.perps, strict=True):
        if perp.id in old_perps:
            was, before_perp = old_perps[perp.id]
            new.seq = before_perp.seq
            if was.rules.funding == perp.rules.funding and was.method == perp.method:
                new.funding = before_perp.funding
    excluded = {s.name for s, memory in zip(before.sources, state.sources, strict=True) if memory.excluded}
    for source, remembered in zip(after.sources, made.sources, strict=True):
        remembered.excluded = source.name in excluded
    return made


def _keep_published(memory: IndexState, fresh: IndexState, same_scale: bool) -> None:
    fresh.seq, fresh.rung = memory.seq, memory.rung
    if same_scale:
        fresh.last_good, fresh.last_good_value = memory.last_good, memory.last_good_value
        fresh.last_good_ns = memory.last_good_ns
