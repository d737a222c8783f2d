"""The picture of a contest is well-formed, bounded in size, and shows the farthest point of every stretch."""

from __future__ import annotations

from xml.etree import ElementTree

from oracle.edition.contest import POINTS_MAX, _thinned, differences
from oracle.journal.contest import Entry, Track

SECONDS = range(1_000, 1_000 + 7_200)


def test_a_chart_for_each_instrument() -> None:
    first = Track(dict.fromkeys(SECONDS, 100.0))
    other = Track({second: 100.0 + second % 7 / 100 for second in SECONDS})
    entries = [Entry("a", {"X": first, "Y": first}), Entry("b", {"X": other}), Entry("c", {"X": first, "Y": other})]
    drawn = ElementTree.fromstring(differences(entries, ["X", "Y"]))
    assert len([part for part in drawn if part.tag.endswith("svg")]) == 2
    assert "b, c against a" in "".join(drawn.itertext())


def test_nothing_in_common_is_an_empty_chart() -> None:
    entries = [Entry("a", {"X": Track({1: 1.0})}), Entry("b", {"X": Track({2: 1.0})})]
    ElementTree.fromstring(differences(entries, ["X"]))
    ElementTree.fromstring(differences(entries[:1], ["X"]))


def test_what_is_left_out_is_nearer_than_what_is_shown() -> None:
    points = [(float(n), 0.0) for n in range(10_000)]
    points[4_321] = (4_321.0, -9.0)
    kept = _thinned(points)
    assert len(kept) <= POINTS_MAX
    assert (4_321.0, -9.0) in kept
    assert _thinned(points[:3]) == points[:3]
