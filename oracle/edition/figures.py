"""The figures of the documents, drawn from the code that obeys them: funding curves, the clamps of a mark, the ladder.

A curve asks `PerpMethod.rate`, the function that settles; a mark's figure asks `PerpMethod.mark`; the ladder is
`core.status.LADDER`. So a figure cannot say other than the program does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from html import escape
from itertools import groupby
from typing import NamedTuple

from oracle import methods
from oracle.core.mark import BPS, MarkInputs, MarkState
from oracle.core.maths import quantise, unscaled
from oracle.core.method import Described, PerpMethod, funds
from oracle.core.params import Contract, PerpInstrument, Rules
from oracle.core.simulation import Simulated, curve, simulated, spread
from oracle.core.status import CALLS, LADDER, RUNGS
from oracle.core.types import NANOS_PER_S
from oracle.edition.svg import Axis, Curve, chart, figure, label, number, signed

REACHES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)  # how far a curve may go, as shares
BEYOND = 2  # places in `REACHES`
POINTS = 401
ROOM = 1.12  # of a figure's height beyond what is drawn in it
INDEX, DECIMALS = 10_000.0, 6  # at this index a basis point is one
BINDS = {  # what limits a rate: its words and its look
    "none": ("the formula alone", 3),
    "flat": ("at the interest", 1),
    "inner_clamp": ("inner clamp at work", 0),
    "cap": ("held at the cap", 2),
    "dead_band": ("in the dead band", 1),
}
BOX_W, BOX_H, ROW_H, MIDDLE, ARC = 172, 30, 56, 245, 25.5


class Figure(NamedTuple):
    """A drawing with its words. `name` is an anchor; one that is `wide` has a row of its own."""

    name: str
    title: str
    caption: str
    svg: str
    wide: bool = False


def of(name: str) -> list[Figure]:
    """The figures of a methodology: none of one that neither funds nor clamps, or of what is no methodology."""
    if name not in methods.shipped():
        return []
    method = methods.load(name)
    return [*rate_curves(name, method), *mark_clamps(name, method)]


def rate_curves(name: str, method: Described) -> Iterator[Figure]:
    """The rate against the premium, a figure for each dated set; sets with one and the same curve share it."""
    if not funds(method):
        return
    for _, group in groupby(((rules, _sampled(method, rules)) for rules in method.SETS), key=lambda pair: pair[1]):
        drawn = list(group)
        yield _rate_curve(name, [rules for rules, _ in drawn], drawn[0][1])


def _sampled(method: PerpMethod, rules: Rules) -> list[Simulated]:
    """The curve, as far as it takes to show the cap, or without one a few times the range that changes nothing."""
    binds = [simulated(method, rules, reach, 1.0).binds for reach in REACHES]
    if "cap" in binds:
        reach = REACHES[binds.index("cap")]
    else:
        free = next((place for place, word in enumerate(binds) if word not in ("flat", "dead_band")), 0)
        reach = REACHES[min(free + BEYOND, len(REACHES) - 1)]
    return curve(method, rules, spread(reach, POINTS), 1.0)


def _rate_curve(name: str, sets: list[Rules], points: list[Simulated]) -> Figure:
    versions = ", ".join(f"{rules.version} ({_since(rules)})" for rules in sets)
    first, hours = points[0], f"{points[0].interval_ms / 3_600_000:g} h"
    top = max(abs(made.rate) for made in points) * 100.0 * ROOM or 0.01
    reach = -first.premium * 100.0
    curves, before = [], None
    for binds, group in groupby(zip(_kinds(points), points, strict=True), key=lambda pair: pair[0]):
        part = [(made.premium * 100.0, made.rate * 100.0) for _, made in group]
        curves.append(Curve(part if before is None else [before, *part], *BINDS[binds]))
        before = part[-1]
    x, y = Axis("mean premium, %", -reach, reach), Axis(f"rate per {hours}, %", -top, top)
    title = f"{name} {versions}: rate against premium"
    return Figure(
        f"rate-{sets[0].version}", f"Funding rate, {versions}", _words(points, hours), chart(title, x, y, curves)
    )


def _kinds(points: list[Simulated]) -> list[str]:
    """What limits each point. Where the premium is the interest itself nothing binds, which is no kind of its own."""
    found = [made.binds for made in points]
    for place in range(1, len(found) - 1):
        if found[place] == "none" and found[place - 1] == found[place + 1]:
            found[place] = found[place - 1]
    return found


def _words(points: list[Simulated], hours: str) -> str:
    """What a curve shows, in words."""
    said = [f"Interest {_percent(points[0].interest)} per {hours}."]
    for binds, text in (("flat", "At the interest"), ("dead_band", "In the dead band")):
        found = [made.premium for made in points if made.binds == binds]
        if found:
            said.append(f"{text} for premiums from {_percent(found[0])} to {_percent(found[-1])}.")
    held = [made.rate for made in points if made.binds == "cap"]
    said.append(
        f"Held between {_percent(min(held))} and {_percent(max(held))}." if held else "No cap within the figure."
    )
    return " ".join(said)


def mark_clamps(name: str, method: Described) -> Iterator[Figure]:
    """Where the clamps hold a mark: its distance from the index against that of the platform's market."""
    reads = {"mark.step_bps", "mark.band_bps"}
    if not funds(method) or not (set(method.READS) & (reads | {"mark"})):
        return
    for rules in method.SETS:
        band, step = rules.mark.band_bps, rules.mark.step_bps
        reach = 2.0 * max(band, step)
        stood = min(band, step)
        curves = [
            Curve(_marks(name, method, rules, 0.0, reach), "last mark at the index", 0),
            Curve(_marks(name, method, rules, stood, reach), f"last mark {stood:g} bps above", 1),
        ]
        x = Axis("platform's market, bps from the index", -reach, reach)
        y = Axis("mark, bps from the index", -band * 1.3, band * 1.3)
        bounds = [(band, "band"), (-band, "band")]
        title = f"{name} {rules.version}: how far the mark follows the platform's own market"
        words = (
            f"Step: at most {step:g} bps from the mark of the last whole second. Band: at most {band:g} bps from the "
            "index, applied last."
        )
        shown = f"Clamps of the mark, {rules.version} ({_since(rules)})"
        yield Figure(f"mark-{rules.version}", shown, words, chart(title, x, y, curves, bounds))


def _marks(name: str, method: PerpMethod, rules: Rules, stood_bps: float, reach: float) -> list[tuple[float, float]]:
    """The first mark after one that stood somewhere, for each place of the platform's market."""
    perp = PerpInstrument(
        id=name,
        index=name,
        engine_source=0,
        contract=Contract.LINEAR,
        contract_size=1.0,
        price_decimals=DECIMALS,
        tick_units=1,
        method=name,
        rules=rules,
    )
    found = []
    for distance in (reach * BPS * share / BPS for share in spread(1.0, 161)):
        middle = INDEX * (1.0 + distance / BPS)
        half = middle * 1e-7
        now = MarkInputs(NANOS_PER_S, INDEX, True, 0, middle - half, middle + half, middle, 0.0, 0.5)
        stood = quantise(INDEX * (1.0 + stood_bps / BPS), DECIMALS)
        made = method.mark(MarkState(units=stood, reference=stood), now, perp)
        found.append((distance, (unscaled(made.units, DECIMALS) / INDEX - 1.0) * BPS))
    return found


def ladder(rules: Rules) -> Figure:
    """The ladder as a diagram: on the right every way down, on the left every way up, with how long it takes."""
    height = len(RUNGS) * ROW_H + 34
    parts = [label((MIDDLE + 70, 18), "down: at once", "start"), label((MIDDLE - 70, 18), "up: after", "end")]
    moves = dict.fromkeys((state, *LADDER[state, call]) for state in RUNGS for call in CALLS)
    for state, target, dwell in moves:
        if state is not target:
            wait = "" if dwell is None else f"{getattr(rules.ladder, dwell) / 1000:g} s"
            parts += _arc(RUNGS.index(state), RUNGS.index(target), wait)
    for place, state in enumerate(RUNGS):
        y = 28 + place * ROW_H
        box = f'x="{MIDDLE - BOX_W / 2:g}" y="{y}" width="{BOX_W}" height="{BOX_H}" rx="6"'
        parts.append(f'<rect class="box" {box} fill="none"/>')
        parts.append(label((MIDDLE, y + 19), escape(state.value), "middle"))
    words = (
        "Every way an index may go when the conditions call for another state. SUSPENDED is an order that lies over "
        "the ladder: the index goes on underneath, for information."
    )
    return Figure("ladder", "The ladder", words, figure("the ladder of states", 2 * MIDDLE, height, parts), wide=True)


def _arc(start: int, end: int, wait: str) -> Iterable[str]:
    """An arrow from a state to another: on the left with its wait, or on the right."""
    way = -1 if wait else 1
    down = 1 if end > start else -1
    edge, out = MIDDLE + way * BOX_W / 2, way * (14 + ARC * abs(end - start))
    middle = 28 + BOX_H / 2
    y1 = start * ROW_H + middle + down * (3 + abs(end - start) * 1.6)
    y2 = end * ROW_H + middle - down * (3 + abs(end - start) * 1.6)
    tip = edge + way * 6
    path = f"M{number(edge)} {number(y1)}C{number(edge + out)} {number(y1)} {number(edge + out)} {number(y2)} "
    kind = "up" if wait else "down"
    yield f'<path class="{kind}" d="{path}{number(tip)} {number(y2)}"/>'
    head = f"{number(edge)},{number(y2)} {number(tip)},{number(y2 - 3.5)} {number(tip)},{number(y2 + 3.5)}"
    yield f'<polygon class="{kind}-head" points="{head}" fill="currentColor" stroke="none"/>'
    if wait:
        yield label((edge + 0.75 * out - 3, (y1 + y2) / 2 + 4), wait, "end", ' class="wait"')


def _since(rules: Rules) -> str:
    if not rules.effective_ns:
        return "since the beginning"
    return f"since {datetime.fromtimestamp(rules.effective_ns // NANOS_PER_S, UTC).date().isoformat()}"


def _percent(share: float) -> str:
    whole, _, part = signed(share * 100.0, 6).partition(".")
    return f"{whole}.{part.rstrip('0'):0<2} %"
