"""Printing: where the browser is found, what its failures say, and that equal pages make equal files."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from oracle.edition import pdf
from oracle.errors import ServiceError

PAGE = b"<!doctype html><title>t</title><h1>Eins</h1>"


def program(path: Path, script: str) -> str:
    """A browser that does what the script says; `$out` is the file it is asked to print to."""
    cases = '--print-to-pdf=*) out="${a#*=}";; file://*) in="${a#file://}";;'
    path.write_text(f'#!/bin/sh\nfor a in "$@"; do case "$a" in {cases} esac; done\n{script}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_what_is_printed_is_the_page_without_the_time(tmp_path: Path) -> None:
    made = pdf.printed(
        PAGE, program(tmp_path / "b", 'cat "$in" > "$out"; printf "/CreationDate (D:20261121124531+00)" >> "$out"')
    )
    assert made == PAGE + b"/CreationDate (D:20000101000000+00)"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo first >&2; echo no display >&2; exit 3", "made no PDF: no display"),
        ("exit 4", "made no PDF: exit code 4"),
        ("exit 0", "made no PDF: exit code 0"),
        ("exec sleep 30", "printed nothing in 0.2 s"),
    ],
)
def test_a_browser_that_fails_says_why(tmp_path: Path, script: str, said: str) -> None:
    with pytest.raises(ServiceError, match=said):
        pdf.printed(PAGE, program(tmp_path / "b", script), timeout_s=0.2 if "sleep" in script else 20.0)


def test_what_is_no_program_says_so(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="cannot be run"):
        pdf.printed(PAGE, str(tmp_path / "nothing"))


def test_the_first_browser_on_the_path_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert pdf.browser() is None
    found = program(tmp_path / "google-chrome", "exit 0")
    assert pdf.browser() == found


@pytest.mark.skipif(pdf.browser() is None, reason=f"no browser: {pdf.HOW_TO_GET_ONE}")
def test_a_real_browser_prints_equal_pages_equally() -> None:
    found = pdf.browser()
    assert found is not None
    once = pdf.printed(PAGE, found)
    assert once.startswith(b"%PDF-")
    assert once == pdf.printed(PAGE, found)
