"""The table says when a fault was known and when it was over, and the exit code whether that was in time."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from oracle import cli
from oracle.commands import faults as verb
from oracle.trial import day, peers, rig
from oracle.trial.case import Outcome
from oracle.trial.faults import FAULTS, Fault, faults_of

KNOWN: dict[str, Any] = {
    "outcome": "known",
    "known_ms": 2_450.0,
    "how": "link SILENT",
    "repaired_ms": 2_700.0,
    "in_time": True,
}


def outcome(fault: str = "mute", venue: str = "kraken", **fields: Any) -> Outcome:
    return Outcome(fault=fault, venue=venue, **{**KNOWN, **fields})


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the trial come out as it is told."""

    def as_told(**fields: Any) -> None:
        async def played(fault: Fault, venues: Sequence[str], progress: Callable[[str], None]) -> list[Outcome]:
            progress(f"{fault.name} of {len(venues)}")
            return [outcome(fault.name, venue, **fields) for venue in venues]

        monkeypatch.setattr(rig, "play", played)

    return as_told


def test_the_table_has_a_row_a_venue_and_a_column_a_fault(
    play: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    play()
    assert cli.main(["faults", "--venues", "kraken, okx", "--faults", "mute,frozen"]) == cli.OK
    said = capsys.readouterr()
    rows = [line.split() for line in said.out.splitlines()[:5]]
    assert rows == [
        ["known/repaired,", "s", "mute", "frozen"],
        ["kraken", "2.5/2.7", "2.5/2.7"],
        ["okx", "2.5/2.7", "2.5/2.7"],
        ["worst", "2.5", "2.5"],
        ["target", "3", "15"],
    ]
    assert "all 4 known in time" in said.out
    assert "harmless" in said.out
    assert said.err.splitlines() == ["mute of 2", "frozen of 2"]


def test_what_was_not_known_in_time_is_found(play: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    play(outcome="missed", known_ms=None, false_books=3, age_ms_max=9_000.0, in_time=False)
    assert cli.main(["faults", "--venues", "kraken", "--faults", "drop"]) == cli.FOUND
    out = capsys.readouterr().out
    assert "MISSED" in out
    assert (
        "kraken under drop: not known while it was watched, 3 false books were taken; no honest book for 9.0 s" in out
    )
    assert "1 of 1 not known in time" in out


def test_a_cell_in_json(play: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    play()
    assert cli.main(["faults", "--venues", "okx", "--faults", "zombie", "--json"]) == cli.OK
    (cell,) = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (cell["fault"], cell["venue"], cell["known_ms"]) == ("zombie", "okx", 2_450.0)


@pytest.mark.parametrize(
    ("fields", "cell", "reason"),
    [
        ({"in_time": False}, "2.5/2.7!", "known after 2.5 s (link SILENT)"),
        ({"repaired_ms": None}, "2.5/never", ""),
        ({"known_ms": None, "outcome": "harmless", "age_ms_max": 1_234.0}, "harmless 1.2", ""),
        ({"known_ms": None, "outcome": "untimed"}, "untimed", ""),
        ({"known_ms": None, "outcome": "down", "in_time": False}, "DOWN", "the venue was not up when the fault began"),
    ],
)
def test_a_cell_in_words(fields: dict[str, Any], cell: str, reason: str) -> None:
    assert verb.cell(outcome(**fields)) == cell
    assert not reason or verb.reason(outcome(**fields)) == reason


def test_nobody_known_has_no_worst() -> None:
    assert verb.worst([outcome(known_ms=None)]) == "-"


@pytest.mark.parametrize("argument", [["--venues", "mtgox"], ["--faults", "flood"], ["--day", "--faults", "flood"]])
def test_a_wrong_name_is_told(argument: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["faults", *argument]) == cli.UNUSABLE
    assert "one of" in capsys.readouterr().err


def test_the_help_says_what_the_words_mean(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["faults", "--help"])
    help_text = capsys.readouterr().out
    assert all(word in help_text for word in ("known  ", "repaired  ", "harmless  ", *(f.name for f in FAULTS)))


@pytest.mark.parametrize(("repairs", "code", "said"), [({}, 0, "none"), ({"RECONNECTED": 2}, 1, "2 RECONNECTED")])
def test_a_day_is_a_line_for_each_manner(
    repairs: dict[str, int], code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(day, "played", lambda: [day.Quiet("regular", 4_319, 20.0, repairs)])
    assert cli.main(["faults", "--day"]) == code
    assert capsys.readouterr().out.splitlines()[1].split(None, 3) == ["regular", "4319", "20", said]
    assert cli.main(["faults", "--day", "--json"]) == code
    assert json.loads(capsys.readouterr().out)["repairs"] == repairs


def test_peers_that_are_not_installed_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def observed(clients: Sequence[str], faults: Sequence[Fault]) -> list[peers.Seen]:
        known = {"known_ms": 10_000.0, "how": "it dialled again", "repaired_ms": 11_000.0}
        return [peers.Seen(client=clients[0], fault="mute", **known), peers.Seen(client=clients[0], fault="drop")]  # type: ignore[arg-type]

    monkeypatch.setattr(peers, "installed", lambda: {"ccxt.pro": "4.5"})
    monkeypatch.setattr(peers, "observed", observed)
    assert cli.main(["faults", "--peers", "--faults", "mute,drop"]) == cli.FOUND
    said = capsys.readouterr()
    assert said.out.splitlines()[1].split(None, 3) == ["ccxt.pro", "4.5", "10.0/11.0", "not in 60"]
    assert "cryptofeed is not installed" in said.err
    assert cli.main(["faults", "--peers", "--faults", "mute,drop", "--json"]) == cli.FOUND
    assert json.loads(capsys.readouterr().out.splitlines()[1])["known_ms"] is None


def test_every_fault_has_a_name_of_its_own() -> None:
    assert len({fault.name for fault in faults_of()}) == len(FAULTS)
