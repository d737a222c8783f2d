"""Charts are well-formed, say what they show, and lose no point that matters."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.edition.svg import Axis, Curve, chart, figure, label, number, signed, straightened, ticks

X, Y = Axis("premium & <share>", -1.0, 1.0), Axis("rate", -0.5, 0.5)
finite = st.floats(-1e6, 1e6, allow_nan=False)


def test_a_chart_is_xml_with_its_words() -> None:
    made = chart('a "title" <1>', X, Y, [Curve([(-1, -0.5), (0, 0), (1, 0.5)], "a & b", 1)], [(0.25, "level")])
    root = ElementTree.fromstring(made)
    words = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert root.attrib["aria-label"] == 'a "title" <1>'
    assert {"premium & <share>", "rate", "a & b", "level", "\u22120.5", "0.0"} <= set(words)
    lines = [node.attrib for node in root.iter("{http://www.w3.org/2000/svg}polyline")]
    assert [line["class"] for line in lines] == ["curve-1", "curve-1"]
    assert len(lines[0]["points"].split()) == 2, "the middle point lies on the line"


def test_kinds_have_one_line_of_the_legend_each() -> None:
    curves = [Curve([(x, x)], kind, look) for x, kind, look in ((0.1, "a", 0), (0.2, "b", 1), (0.3, "a", 0))]
    root = ElementTree.fromstring(chart("t", X, Y, curves))
    words = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert (words.count("a"), words.count("b")) == (1, 1)


@pytest.mark.parametrize(
    ("low", "high", "found", "decimals"),
    [
        (-1.0, 1.0, [-1.0, -0.5, 0.0, 0.5, 1.0], 1),
        (0.0, 100.0, [0.0, 20.0, 40.0, 60.0, 80.0, 100.0], 0),
        (-0.0042, 0.0042, [-0.004, -0.002, 0.0, 0.002, 0.004], 3),
        (10.0, 10.4, [10.0, 10.1, 10.2, 10.3, 10.4], 1),
    ],
)
def test_ticks_are_round(low: float, high: float, found: list[float], decimals: int) -> None:
    values, places = ticks(low, high)
    assert values == pytest.approx(found)
    assert places == decimals


@given(low=finite, width=st.floats(1e-6, 1e6))
@settings(max_examples=60)
def test_ticks_lie_within_the_axis(low: float, width: float) -> None:
    values, decimals = ticks(low, low + width)
    slack = width * 1e-6 + 10.0**-decimals
    assert 1 <= len(values) <= 12
    assert all(low - slack <= value <= low + width + slack for value in values)


@given(ys=st.lists(st.integers(-5, 5), min_size=2, max_size=30))
@settings(max_examples=60)
def test_a_straightened_line_is_the_same_line(ys: list[int]) -> None:
    points = [(float(x), float(y)) for x, y in enumerate(ys)]
    kept = straightened(points)
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    for x, y in points:
        left = max(p for p in kept if p[0] <= x)
        right = min(p for p in kept if p[0] >= x)
        share = 0.0 if right[0] == left[0] else (x - left[0]) / (right[0] - left[0])
        assert left[1] + share * (right[1] - left[1]) == pytest.approx(y, abs=1e-6)


def test_points_above_one_another_do_not_divide_by_zero() -> None:
    assert straightened([(0.0, 0.0), (0.0, 1.0), (0.0, 2.0)]) == [(0.0, 0.0), (0.0, 2.0)]


def test_numbers_are_short_and_have_true_minuses() -> None:
    assert [number(v) for v in (1.0, -0.001, 2.346, -10.5, -0.25)] == ["1", "0", "2.35", "-10.5", "-0.25"]
    assert (signed(-0.0, 1), signed(-1.25, 2)) == ("0.0", "\u22121.25")


def test_a_figure_escapes_its_words() -> None:
    root = ElementTree.fromstring(figure("<t>", 10, 10, [label((1, 2), "<&>", "end", ' class="x"')]))
    text = root.find("{http://www.w3.org/2000/svg}text")
    assert text is not None
    assert (text.text, text.attrib["class"]) == ("<&>", "x")
