"""The methodologies are listed, and one is shown with every parameter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from oracle import cli, methods
from oracle.commands.methods import SUPPORTING, written
from oracle.core.params import documented
from oracle.core.tables import reason_table, verdict_table
from oracle.methods import hk1


def test_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["methods"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in methods.shipped())


def test_one_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["methods", "hk1"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len([row for row in documented() if any(line.startswith(row.name + " ") for line in shown)]) == len(
        list(documented())
    )
    assert any(line.split()[:4] == ["mark.band_bps", "150", "bps", "1"] for line in shown)


def test_what_nobody_has_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["methods", "hk9"]) == 2
    assert "no such methodology: hk9 (known: " in capsys.readouterr().err


def between(text: str, name: str) -> str:
    return text.split(f"<!-- {name} -->\n")[1].split(f"\n<!-- /{name} -->")[0]


def test_a_document_gets_its_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "hk1.md"
    path.write_text(
        "# Ours\n\n<!-- verdicts -->\nOUTDATED\n<!-- /verdicts -->\nkept\n<!-- reasons -->\n<!-- /reasons -->\n",
        "utf-8",
    )
    assert cli.main(["methods", "hk1", "--write", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == str(path)
    text = path.read_text("utf-8")
    assert between(text, "verdicts") == verdict_table()
    assert between(text, "reasons") == reason_table()
    assert "\nkept\n" in text
    assert "OUTDATED" not in text
    assert written(text, hk1) == text


def test_supporting_documents_get_theirs(tmp_path: Path) -> None:
    for name in SUPPORTING:
        markers = ("methodologies", "sets", "five basis points", "calls", "ladder", "allowed", "alerts")
        body = "\n".join(f"<!-- {marker} -->\n<!-- /{marker} -->" for marker in markers)
        (tmp_path / f"{name}.md").write_text(f"# {name}\n\n{body}\n", "utf-8")
    assert cli.main(["methods", "--write", str(tmp_path)]) == 0
    text = (tmp_path / "README.md").read_text("utf-8")
    shelf, dated = between(text, "methodologies").splitlines(), between(text, "sets").splitlines()
    assert [line.split("`")[1] for line in shelf[2:]] == methods.shipped()
    assert [line.split("`")[1] for line in dated[2:]] == methods.shipped()
    assert all((tmp_path / f"{name}.md").read_text("utf-8").count("\n|") > 20 for name in SUPPORTING)


def test_the_example_is_what_simulate_funding_says(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["simulate-funding", "--premium", "5bp", "--notional", "50000", "--at", "2026-11-21"]
    assert cli.main(asked) == 0
    said = [re.split(r"\s{2,}", line.strip()) for line in capsys.readouterr().out.splitlines()[1:]]
    paid = {row[0]: row[5] for row in said}
    table = between(written("<!-- five basis points -->\n<!-- /five basis points -->\n", hk1), "five basis points")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    assert {row[0]: row[3] for row in rows} == paid
    by_name = {row[0].split()[0]: row for row in rows}
    assert by_name["deribit"][-1] == by_name["kalshi"][-1] == "25 an 8 h interval"
    assert by_name["hyperliquid"][3:] == ["0.625", "5", "flat", "about 3 an hour"]
    assert by_name["hk1"][3:] == ["5", "5", "flat", "–"]


def test_a_folder_without_the_documents_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["methods", "hk1", "--write", str(tmp_path)]) != 0
    assert "hk1.md" in capsys.readouterr().err
