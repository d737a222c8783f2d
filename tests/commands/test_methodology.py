"""`oracle methodology`: a list with hashes, a document as it is, and a folder that checks itself."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from oracle import cli, documents
from oracle.edition import pdf


def test_the_list_has_every_document_with_its_hash(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["methodology", "list"]) == 0
    out = capsys.readouterr().out
    for document in documents.library().documents:
        assert document.sha256 in out
        assert document.title in out


def test_a_document_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["methodology", "show", "hk1"]) == 0
    shown = capsys.readouterr().out
    assert hashlib.sha256(shown.encode()).hexdigest() == documents.hash_of("hk1")
    assert cli.main(["methodology", "show", "hk1", "1.0.0", "--html"]) == 0
    assert capsys.readouterr().out.startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "hk2"], "no such document: hk2"),
        (["show", "hk1", "0.0.1"], "no text of hk1 0.0.1 (kept are: "),
        (["export", "x", "--pdf", "--no-pdf"], "--pdf: is the opposite of --no-pdf"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["methodology", *arguments]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1


def test_two_exports_are_equal_and_check_themselves(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert cli.main(["methodology", "export", str(tmp_path / name), "--no-pdf", "--date", "2026-11-21"]) == 0
    made = {
        path.relative_to(tmp_path / "a"): path.read_bytes() for path in (tmp_path / "a").rglob("*") if path.is_file()
    }
    assert made == {p.relative_to(tmp_path / "b"): p.read_bytes() for p in (tmp_path / "b").rglob("*") if p.is_file()}
    for document in documents.library().documents:
        assert made[Path(f"{document.id}.md")] == document.markdown.encode()
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path / "a", check=True)


def test_without_a_browser_the_rest_is_written_and_the_way_to_one_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pdf, "browser", lambda: None)
    assert cli.main(["methodology", "export", str(tmp_path / "a")]) == 0
    assert "no PDF: install Chromium (on Debian: apt install chromium)" in capsys.readouterr().out
    assert (tmp_path / "a" / "methodology.html").is_file()
    assert cli.main(["methodology", "export", str(tmp_path / "b"), "--pdf"]) == 1
    assert "there is no browser to print a PDF with" in capsys.readouterr().err
    assert not (tmp_path / "b").exists(), "half a set is none"


def test_with_a_browser_the_pdf_is_part_of_the_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "browser", lambda: "/usr/bin/browser")
    monkeypatch.setattr(pdf, "printed", lambda page, program: b"%PDF-" + page[:3])
    assert cli.main(["methodology", "export", str(tmp_path), "--pdf"]) == 0
    assert (tmp_path / "methodology.pdf").read_bytes() == b"%PDF-<!d"
    digest = hashlib.sha256(b"%PDF-<!d").hexdigest()
    assert f"{digest}  methodology.pdf" in (tmp_path / "SHA256SUMS").read_text()
