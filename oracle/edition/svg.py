"""Drawing: a chart with axes, a grid and labelled curves, as SVG text. Equal input makes equal bytes.

Nothing here knows what is drawn. Lines take the colour of the text around them, so that a figure reads in light, in
dark and on paper; what kind a curve is of shows in its dashes too, for who sees no colours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from math import ceil, floor, log10
from typing import NamedTuple, TypeAlias

Point: TypeAlias = tuple[float, float]
WIDTH, HEIGHT = 420, 264
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 30, 40
LEGEND_ROW, LEGEND_COLUMNS = 17, 2
FONT = 'font-family="system-ui, sans-serif" font-size="11"'
DASHES = ("", "6 3", "2 3", "9 3 2 3")  # one a look
TICKS_ABOUT = 5
STRAIGHT = 1e-9  # of the figure's height: three points that lie so close to a line are on it


class Axis(NamedTuple):
    """What an axis says and from where to where it goes, in the units it shows."""

    label: str
    low: float
    high: float


class Curve(NamedTuple):
    """A line, the kind it is of, which the legend names once, and the look of that kind: a place in `DASHES`."""

    points: Sequence[Point]
    kind: str
    look: int = 0


def chart(title: str, x: Axis, y: Axis, curves: Sequence[Curve], levels: Iterable[tuple[float, str]] = ()) -> str:
    """A chart. `levels` are horizontal lines with a word each; `title` is what a screen reader says."""
    kinds = list(dict.fromkeys((curve.kind, curve.look) for curve in curves))
    rows = -(-len(kinds) // LEGEND_COLUMNS)
    parts = [*_grid(x, y)]
    for level, text in levels:
        across = _place(level, y, HEIGHT - BOTTOM, TOP)
        parts.append(
            line((LEFT, across), (WIDTH - RIGHT, across), 'class="level" stroke-dasharray="4 4" opacity="0.7"')
        )
        parts.append(label((WIDTH - RIGHT - 4, across - 4), text, "end"))
    for curve in curves:
        drawn = " ".join(
            f"{number(_place(px, x, LEFT, WIDTH - RIGHT))},{number(_place(py, y, HEIGHT - BOTTOM, TOP))}"
            for px, py in straightened(curve.points)
        )
        parts.append(f'<polyline points="{drawn}" {_look(curve.look)}/>')
    for place, (kind, look) in enumerate(kinds):
        at_x = LEFT + (place % LEGEND_COLUMNS) * (WIDTH - LEFT) / LEGEND_COLUMNS
        at_y = HEIGHT + 6 + place // LEGEND_COLUMNS * LEGEND_ROW
        drawn = f"{number(at_x)},{number(at_y)} {number(at_x + 22)},{number(at_y)}"
        parts.append(f'<polyline points="{drawn}" {_look(look)}/>')
        parts.append(label((at_x + 27, at_y + 4), kind, "start"))
    return figure(title, WIDTH, HEIGHT + 6 + rows * LEGEND_ROW, parts)


def figure(title: str, width: float, height: float, parts: Iterable[str]) -> str:
    """A whole SVG of parts."""
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(title)}" '
        f'viewBox="0 0 {number(width)} {number(height)}" fill="none" stroke="currentColor" stroke-width="1" {FONT}>\n'
        f"<title>{escape(title)}</title>\n{body}\n</svg>"
    )


def label(at: Point, text: str, anchor: str, more: str = "") -> str:
    """A text at a place; `anchor` is start, middle or end."""
    where = f'x="{number(at[0])}" y="{number(at[1])}"'
    return f'<text {where} text-anchor="{anchor}" fill="currentColor" stroke="none"{more}>{escape(text)}</text>'


def line(start: Point, end: Point, look: str) -> str:
    """A straight line."""
    ends = f'x1="{number(start[0])}" y1="{number(start[1])}" x2="{number(end[0])}" y2="{number(end[1])}"'
    return f"<line {ends} {look}/>"


def number(value: float) -> str:
    """A coordinate, to a hundredth."""
    return f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")


def ticks(low: float, high: float, about: int = TICKS_ABOUT) -> tuple[list[float], int]:
    """Round values from low to high, about so many, and how many decimals they need."""
    rough = (high - low) / about
    power = floor(log10(rough))
    step = next(factor for factor in (1, 2, 5, 10) if factor * 10.0**power >= rough * 0.999) * 10.0**power
    decimals = max(0, -floor(log10(step) + 1e-9))
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [round(place * step, decimals) + 0.0 for place in range(first, last + 1)], decimals


def straightened(points: Sequence[Point]) -> list[Point]:
    """The points without those that lie on the straight line between their neighbours."""
    scale = max((abs(py) for _, py in points), default=1.0) or 1.0
    kept: list[Point] = []
    for point in points:
        while len(kept) > 1 and _on_line(kept[-2], kept[-1], point, scale):
            kept.pop()
        kept.append(point)
    return kept


def _on_line(a: Point, b: Point, c: Point, scale: float) -> bool:
    if c[0] == a[0]:
        return True
    between = a[1] + (c[1] - a[1]) * (b[0] - a[0]) / (c[0] - a[0])
    return abs(between - b[1]) <= STRAIGHT * scale


def _grid(x: Axis, y: Axis) -> Iterable[str]:
    """The lines behind the curves with their numbers, and what the axes are called."""
    quiet, zero = 'opacity="0.15"', 'opacity="0.6"'
    values, decimals = ticks(x.low, x.high)
    for value in values:
        at = _place(value, x, LEFT, WIDTH - RIGHT)
        yield line((at, TOP), (at, HEIGHT - BOTTOM), zero if value == 0 else quiet)
        yield label((at, HEIGHT - BOTTOM + 15), signed(value, decimals), "middle")
    values, decimals = ticks(y.low, y.high)
    for value in values:
        at = _place(value, y, HEIGHT - BOTTOM, TOP)
        yield line((LEFT, at), (WIDTH - RIGHT, at), zero if value == 0 else quiet)
        yield label((LEFT - 6, at + 4), signed(value, decimals), "end")
    yield label(((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8), x.label, "middle")
    yield label((4, 14), y.label, "start")


def signed(value: float, decimals: int) -> str:
    """A number as a chart shows it: with a true minus, and none before a zero."""
    return f"{value + 0.0:.{decimals}f}".replace("-", "\u2212")


def _look(place: int) -> str:
    dash = f' stroke-dasharray="{DASHES[place]}"' if DASHES[place] else ""
    return f'class="curve-{place}" stroke-width="2"{dash}'


def _place(value: float, axis: Axis, start: float, end: float) -> float:
    return start + (value - axis.low) / (axis.high - axis.low) * (end - start)
