"""The picture of a contest: how far each methodology lay from the first one over the recorded time."""

from __future__ import annotations

from collections.abc import Sequence

from oracle.edition.svg import DASHES, HEIGHT, WIDTH, Axis, Curve, Point, chart, figure
from oracle.journal.contest import BPS, Entry, Track

POINTS_MAX = 600  # of a curve: what lies between two of them is shown by its farthest
ROOM = 1.1
GAP = 60  # below a chart: its legend stands there


def differences(entries: Sequence[Entry], instruments: Sequence[str]) -> str:
    """A chart an instrument, one below another, as one SVG: minutes since the beginning against bps of the first."""
    parts, y = [], 0.0
    for name in instruments:
        drawn = _chart(name, entries)
        parts.append(drawn.replace("<svg ", f'<svg y="{y:g}" width="{WIDTH}" height="{HEIGHT + GAP}" ', 1))
        y += HEIGHT + GAP
    title = f"{', '.join(entry.method for entry in entries[1:])} against {entries[0].method}"
    return figure(title, WIDTH, max(y, 1.0), parts)


def _chart(name: str, entries: Sequence[Entry]) -> str:
    first = entries[0].tracks.get(name, Track())
    began = min(first.prices, default=0)
    curves, most = [], 0.0
    for look, entry in enumerate(entries[1:]):
        points = _thinned(_apart(first, entry.tracks.get(name, Track()), began))
        most = max(most, *(abs(bps) for _, bps in points), 0.0) if points else most
        curves.append(Curve(points, entry.method, look % len(DASHES)))
    minutes = max((point[0] for c in curves for point in c.points), default=1.0) or 1.0
    reach = most * ROOM or 1.0
    title = f"{name}: distance from {entries[0].method}"
    return chart(title, Axis("minutes", 0.0, minutes), Axis(f"{name}, bps", -reach, reach), curves)


def _apart(first: Track, other: Track, began: int) -> list[Point]:
    both = ((second, price, other.prices.get(second)) for second, price in first.prices.items())
    return [((s - began) / 60.0, (theirs / price - 1.0) * BPS) for s, price, theirs in both if theirs is not None]


def _thinned(points: list[Point]) -> list[Point]:
    """As many points as a screen shows, each the farthest of its stretch."""
    size = -(-len(points) // POINTS_MAX) or 1
    return [max(points[at : at + size], key=lambda point: abs(point[1])) for at in range(0, len(points), size)]
