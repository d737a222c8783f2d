"""What counts as known, as repaired, as false and as harmless."""

from __future__ import annotations

import pytest

from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, BookTop
from oracle.trial.case import Case, Ledger
from oracle.trial.faults import faults_of

START = 1_790_000_000 * NANOS_PER_S
MS = NANOS_PER_MS


def top(bid: float, at_ms: int) -> BookTop:
    return BookTop(0, bid, 1.0, bid + 1.0, 1.0, 0, START + at_ms * MS)


def begun(name: str, *, timed: bool = True) -> Case:
    """A case whose market spoke a moment before the fault began, at 0 ms."""
    case = Case(faults_of([name])[0], "kraken", 0, timed)
    heard(case, 100.0, -200)
    case.begin(START)
    return case


def heard(case: Case, bid: float, at_ms: int) -> None:
    """The market states a book, and it arrives."""
    said = top(bid, at_ms)
    case.ledger.say(said, said.recv_ns)
    case.take(said)


def test_a_ledger_knows_what_was_stated_a_moment_ago_and_where_the_market_stands() -> None:
    ledger = Ledger()
    assert not ledger.honest(top(1.0, 0))
    for bid, at_ms in ((1.0, 0), (2.0, 500), (3.0, 1_000)):
        ledger.say(top(bid, at_ms), START + at_ms * MS)
    assert ledger.honest(top(1.0, 1_900))
    assert not ledger.honest(top(1.0, 2_100))
    assert not ledger.honest(top(1.5, 1_900))
    assert ledger.honest(top(3.0, 60_000))
    ledger.clear()
    assert not ledger.honest(top(3.0, 1_000))


def test_known_and_repaired_count_from_the_beginning() -> None:
    case = begun("mute")
    assert case.going_on
    case.know("link SILENT", START + 2_500 * MS)
    case.know("step RECONNECTED", START + 2_600 * MS)
    assert not case.settled
    heard(case, 101.0, 2_900)
    assert case.settled
    outcome = case.outcome(START + 20_000 * MS)
    assert (outcome.outcome, outcome.known_ms, outcome.how) == ("known", 2_500.0, "link SILENT")
    assert (outcome.repaired_ms, outcome.age_ms_max, outcome.in_time) == (2_900.0, 2_900.0, True)


def test_what_is_known_too_late_is_not_in_time() -> None:
    case = begun("zombie")
    case.know("link SILENT", START + 3_001 * MS)
    assert not case.outcome(START + 20_000 * MS).in_time
    assert case.outcome(START + 20_000 * MS).repaired_ms is None


def test_a_venue_that_was_not_up_is_not_judged() -> None:
    case = Case(faults_of(["mute"])[0], "kraken", 0, True)
    case.begin(START)
    case.know("link SILENT", START + 1)
    assert (case.outcome(START + 2).outcome, case.outcome(START + 2).in_time) == ("down", False)


@pytest.mark.parametrize(
    ("books", "outcome"),
    [
        ([(101.0, 400), (102.0, 900)], "harmless"),
        ([(101.0, 400), (102.0, 3_600)], "missed"),
    ],
)
def test_half_of_the_frames_may_be_lost_without_harm(books: list[tuple[float, int]], outcome: str) -> None:
    case = begun("drop")
    for bid, at_ms in books:
        heard(case, bid, at_ms)
    assert case.outcome(START + (books[-1][1] + 10) * MS).outcome == outcome


def test_a_false_book_that_nobody_notices_is_missed() -> None:
    case = begun("drop")
    heard(case, 101.0, 100)
    case.take(top(999.0, 200))
    heard(case, 102.0, 300)
    outcome = case.outcome(START + 400 * MS)
    assert (outcome.outcome, outcome.false_books, outcome.in_time) == ("missed", 1, False)


def test_a_fault_of_the_venue_is_over_when_it_speaks_anew() -> None:
    case = begun("frozen")
    heard(case, 100.0, 1_000)
    assert not case.settled
    case.know("verdict FROZEN", START + 9_000 * MS)
    case.end(START + 20_000 * MS)
    case.take(top(100.0, 20_100))
    assert not case.settled
    heard(case, 105.0, 20_300)
    outcome = case.outcome(START + 21_000 * MS)
    assert (outcome.known_ms, outcome.repaired_ms, outcome.in_time) == (9_000.0, 300.0, True)


def test_what_is_only_known_after_the_end_was_missed() -> None:
    case = begun("frozen")
    case.end(START + 20_000 * MS)
    case.know("verdict FROZEN", START + 20_001 * MS)
    assert case.outcome(START + 21_000 * MS).outcome == "missed"


def test_what_states_no_time_cannot_drift() -> None:
    assert begun("drift", timed=False).outcome(START + 1).outcome == "untimed"
    assert begun("drift").outcome(START + 1).outcome == "missed"
