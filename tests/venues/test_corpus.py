"""No bad message of the corpus is accepted, crashes a decoder, or is refused for another reason than its own."""

from __future__ import annotations

import sys
from collections import Counter
from functools import cache
from importlib import import_module

import pytest

from oracle.core.types import BookTop
from oracle.errors import Refusal
from tests.venues import corpus, lawful, subjects
from tests.venues.damages import AT_NS, Damage
from tests.venues.jsontext import parsed
from tests.venues.subjects import Stated, Subject

NAMES_MIN = 300  # of distinct damages, in every dialect of JSON
BINARY_NAMES_MIN = 200
SHOWN_MAX = 30


@cache
def subjects_of(venue: str) -> tuple[Subject, ...]:
    return tuple(subjects.subjects_in(import_module(f"oracle.venues.{venue}")))


def frames_of(venue: str) -> list[Stated]:
    spoken = [stated for subject in subjects_of(venue) for stated in subjects.stated(subject)]
    return [*spoken, *subjects.recorded(venue)]


@pytest.mark.parametrize("venue", subjects.names())
def test_every_damage_is_refused_by_name(venue: str) -> None:
    wrong: list[str] = []
    names: dict[str, set[str]] = {}
    needed: Counter[lawful.Lawful] = Counter()
    listed: dict[lawful.Lawful, None] = {}
    cases = 0
    for stated in frames_of(venue):
        entries = lawful.of(stated.subject.name, stated.kind)
        listed |= dict.fromkeys(entries)
        for bad in corpus.damages(stated):
            widened, fit = lawful.widened(entries, bad)
            cases += 1
            names.setdefault(stated.subject.name, set()).add(bad.name)
            if problem := corpus.judged(stated, widened):
                wrong.append(f"{stated.subject.name} {stated.kind}: {bad.name}, {bad.where}: {problem[:200]}")
            elif any(one not in needed for one in fit) and corpus.judged(stated, bad):
                needed.update(fit)
    assert not wrong, "\n".join((f"{len(wrong)} of {cases}", *wrong[:SHOWN_MAX]))
    idle = [one for one in listed if one not in needed and one.subjects != ".*"]
    assert not idle, f"nothing needs {idle} any more"
    every = corpus.every_name()
    for name, found in names.items():
        sys.stdout.write(f"\n{name}: {len(found)} names, {len(every - found)} that this dialect cannot say")
    sys.stdout.write(f"\n{venue}: {cases} bad messages\n")
    assert min(map(len, names.values())) >= (BINARY_NAMES_MIN if venue == "mexc" else NAMES_MIN)


@pytest.mark.parametrize("venue", subjects.names())
def test_every_number_that_is_stated_is_found_where_it_stands(venue: str) -> None:
    for subject in subjects_of(venue):
        for stated in subjects.stated(subject):
            if stated.is_json and stated.kind in ("top", "trade"):
                found = {read.role for read in corpus.roles(stated, parsed(stated.frame)[0])}
                fact = stated.said[0]
                wanted = {"bid", "bid_size", "ask", "ask_size"} if isinstance(fact, BookTop) else {"price", "size"}
                wanted |= {"venue_ns"} if getattr(fact, "venue_ns", 0) else set()
                assert wanted <= found, (stated.frame, found)
                assert "symbol" in found or stated.subject.symbol.lower().encode() not in stated.frame.lower()


@pytest.fixture(scope="module")
def good() -> Stated:
    """A good frame of a dialect that has everything."""
    return frames_of("binance")[0]


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (Damage("", "", b"{}", (Refusal.NOT_JSON,)), "not NOT_JSON"),
        (Damage("", "", b"{", (Refusal.WRONG_SHAPE,)), "NOT_JSON, not WRONG_SHAPE"),
        (Damage("", "", b"{", (Refusal.NOT_JSON,)), ""),
    ],
)
def test_the_judge_knows_reasons(good: Stated, bad: Damage, problem: str) -> None:
    assert problem in corpus.judged(good, bad)
    assert bool(problem) == bool(corpus.judged(good, bad))


def test_the_judge_sees_what_is_accepted_and_what_crashes(good: Stated, monkeypatch: pytest.MonkeyPatch) -> None:
    as_it_is = Damage("", "", good.frame, (Refusal.NOT_JSON,))
    assert corpus.judged(good, as_it_is).startswith("accepted as [BookTop")
    assert corpus.judged(good, as_it_is._replace(may=("same",))) == ""
    assert corpus.judged(good, as_it_is._replace(may=("empty", "untimed", "silent", "unsized"))).startswith("accepted")
    monkeypatch.setattr(Subject, "pack", lambda self, frame: 1 / 0)
    assert corpus.judged(good, as_it_is).startswith("crashed: ZeroDivisionError")


def test_the_judge_sees_a_book_that_was_left_damaged() -> None:
    later = next(stated for stated in frames_of("coinbase") if stated.kind == "later top")
    silent = Damage("", "", later.frame, (), ("same",))
    assert corpus.judged(later, silent) == ""
    lost = later._replace(after_said=[BookTop(3, 1.0, 1.0, 2.0, 2.0, AT_NS, AT_NS)])
    assert corpus.judged(lost, silent).startswith("afterwards [BookTop")
