"""The book holds every document, leads only to places that are in it, and is the same when it is made again."""

from __future__ import annotations

import hashlib
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

from oracle import documents, methods
from oracle.core.method import funds
from oracle.edition import book
from oracle.edition.pages import Shelf

VOID = {"meta", "link", "br", "hr", "wbr", "img", "input"}


class Balanced(HTMLParser):
    """Every tag that is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [str(value) for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_book_holds_every_shipped_document_and_figure() -> None:
    library = documents.library()
    made = book.book(library)
    for document in library.documents:
        assert document.sha256 in made
        assert f'id="document-{document.id}"' in made
    figures = re.findall(r"<svg.*?</svg>", made, re.DOTALL)
    for figure in figures:
        ElementTree.fromstring(figure)
    funding = [name for name in methods.shipped() if funds(methods.load(name)) and library.find(name)]
    for name in funding:
        assert f'id="document-{name}--figure-rate-' in made
    assert made.count('figure-ladder"') == 1


def test_the_book_is_sound_and_every_link_within_it_leads_somewhere(shelf: Shelf) -> None:
    for library in (shelf, documents.library()):
        made = book.book(library)
        parser = Balanced()
        parser.feed(made)
        parser.close()
        assert parser.open == []
        assert len(parser.ids) == len(set(parser.ids))
        targets = set(re.findall(r'href="#([^"]*)"', made))
        assert targets
        assert targets <= set(parser.ids)


def test_the_book_asks_nobody_for_anything(shelf: Shelf) -> None:
    made = book.book(shelf)
    assert not re.search(r"<(script|img|iframe)\b", made)
    assert "Content-Security-Policy" in made
    assert "frame-ancestors" not in made, "browsers refuse it within a page"


def test_equal_documents_make_equal_bytes_and_only_the_date_asked_for(shelf: Shelf) -> None:
    assert book.files(shelf) == book.files(shelf)
    dated = book.book(shelf, "21 November <2026>")
    assert '<p class="facts">21 November &lt;2026&gt;</p>' in dated
    assert dated.replace('<p class="facts">21 November &lt;2026&gt;</p>\n', "") == book.book(shelf)


def test_the_files_are_the_book_the_texts_and_their_sums(shelf: Shelf) -> None:
    made = book.files(shelf)
    assert set(made) == {
        "methodology.html", "README.md", "hk1.md", "weighted_median.md", "ladder.md", "CHANGES.md",
        "versions/hk1-0.9.0.md",
    }  # fmt: skip
    lines = book.sums(made).decode().splitlines()
    assert lines == sorted(lines, key=lambda line: line.split()[1])
    for line in lines:
        digest, _, name = line.partition("  ")
        assert hashlib.sha256(made[name]).hexdigest() == digest
