"""Figures say what the program does: every method and dated set, every clamp, every way on the ladder."""

from __future__ import annotations

import re
from math import isfinite
from xml.etree import ElementTree

import pytest

from oracle import methods
from oracle.core.method import funds
from oracle.core.status import CALLS, LADDER, RUNGS
from oracle.edition import figures
from oracle.edition.figures import Figure

SVG = "{http://www.w3.org/2000/svg}"
HK1 = methods.load("hk1").SETS[0]


@pytest.mark.parametrize("name", methods.shipped())
def test_every_dated_set_with_a_funding_rule_is_drawn(name: str) -> None:
    method, drawn = methods.load(name), figures.of(name)
    curves = [figure for figure in drawn if figure.name.startswith("rate-")]
    assert bool(curves) == funds(method)
    for rules in method.SETS if curves else ():
        assert any(f"{rules.version} (" in figure.title for figure in curves), f"{rules.version} is in no figure"
    assert len({figure.name for figure in drawn}) == len(drawn)
    for figure in drawn:
        root = ElementTree.fromstring(figure.svg)
        assert root.tag == f"{SVG}svg"
        places = [number for node in root.iter(f"{SVG}polyline") for number in re.split("[ ,]", node.attrib["points"])]
        assert all(isfinite(float(place)) for place in places)


def _drawn(figure: Figure) -> dict[str, list[tuple[float, float]]]:
    """The points of a figure's polylines, by their looks, without those of the legend."""
    found: dict[str, list[tuple[float, float]]] = {}
    for node in ElementTree.fromstring(figure.svg).iter(f"{SVG}polyline"):
        points = [tuple(map(float, pair.split(","))) for pair in node.attrib["points"].split()]
        found.setdefault(node.attrib["class"], []).extend((x, y) for x, y in points if y < 250)
    return found


def test_the_curve_of_hk1_is_flat_at_interest_and_held_at_the_cap() -> None:
    figure = figures.of("hk1")[0]
    assert figure.caption == (
        "Interest 0.01 % per 8 h. At the interest for premiums from \u22120.04 % to 0.06 %. "
        "Held between \u22120.375 % and 0.375 %."
    )
    drawn = _drawn(figure)
    flat, held = ([y for _, y in drawn[look]] for look in ("curve-1", "curve-2"))
    assert max(flat) - min(flat) < 1.0
    high, low = [y for y in held if y < 125.0], [y for y in held if y > 125.0]
    assert max(high) - min(high) < 2.0
    assert max(low) - min(low) < 2.0, "held at two levels"
    words = [node.text for node in ElementTree.fromstring(figure.svg).iter(f"{SVG}text")]
    assert {"held at the cap", "inner clamp at work", "at the interest"} <= set(words)
    assert "the formula alone" not in words


def test_the_mark_of_hk1_steps_and_stays_in_the_band() -> None:
    method = methods.load("hk1")
    assert funds(method)
    near = dict(figures._marks("hk1", method, HK1, 0.0, 300.0))
    far = dict(figures._marks("hk1", method, HK1, 100.0, 300.0))
    assert near[300.0] == pytest.approx(HK1.mark.step_bps, abs=0.01)
    assert near[-300.0] == pytest.approx(-HK1.mark.step_bps, abs=0.01)
    assert far[300.0] == pytest.approx(HK1.mark.band_bps, abs=0.01)
    assert near[0.0] == pytest.approx(0.0, abs=0.01)
    (figure,) = figures.mark_clamps("hk1", method)
    assert "100 bps" in figure.caption
    assert "150 bps" in figure.caption


def test_the_ladder_has_every_way_once() -> None:
    made = figures.ladder(HK1)
    root = ElementTree.fromstring(made.svg)
    kinds = [node.attrib["class"] for node in root.iter(f"{SVG}path")]
    moves = {(state, *LADDER[state, call]) for state in RUNGS for call in CALLS if LADDER[state, call].target != state}
    assert kinds.count("up") == len([move for move in moves if move[2] is not None])
    assert kinds.count("down") == len([move for move in moves if move[2] is None])
    words = [node.text for node in root.iter(f"{SVG}text")]
    assert {state.value for state in RUNGS} <= set(words)
    assert f"{HK1.ladder.normal_up_ms / 1000:g} s" in words


def test_what_is_no_methodology_has_no_figures() -> None:
    assert figures.of("ladder") == figures.of("acme.index7") == []
    assert list(figures.mark_clamps("weighted_median", methods.load("weighted_median"))) == []
