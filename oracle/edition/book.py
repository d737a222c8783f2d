"""The book: every document on one page that needs nothing else, to be read, searched and printed without the program.

Equal documents and code make equal bytes: the only date in it is the one that is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from html import escape
from typing import NamedTuple

from oracle.documents import VERSIONS, Document, Library
from oracle.edition.markdown import Rendered, render
from oracle.edition.pages import drawn_for, facts, gallery, outline, overview, whole

TITLE = "Methodology"
BOOK, SUMS = "methodology.html", "SHA256SUMS"
_ABOUT = (
    "How the reference asset prices, product prices and funding rates of this oracle are made: every document in "
    "force, with the SHA-256 that each published value names as its <code>methodology_hash</code>. The Markdown of "
    "each, of which these are the hashes, stands beside this book."
)


class _Chapter(NamedTuple):
    document: Document
    text: Rendered


def book(library: Library, date: str = "") -> str:
    """All documents in force as one page. `date` is printed on its first page; "" leaves it undated."""

    def link(name: str) -> str | None:
        return f"#{_anchor(name)}" if library.find(name) else None

    chapters = [_Chapter(d, render(d.markdown, link, f"{_anchor(d.id)}--")) for d in library.documents]
    return whole(TITLE, _cover(library, date) + _contents(chapters) + "".join(_chapter(library, c) for c in chapters))


def _anchor(name: str) -> str:
    return f"document-{name}"


def _cover(library: Library, date: str) -> str:
    dated = f'<p class="facts">{escape(date)}</p>\n' if date else ""
    table = overview(library.documents, lambda document: f"#{_anchor(document.id)}")
    return f'<section class="cover">\n<h1>{TITLE}</h1>\n{dated}<p>{_ABOUT}</p>\n{table}</section>\n'


def _contents(chapters: list[_Chapter]) -> str:
    items = "".join(
        f'<li><a href="#{_anchor(chapter.document.id)}"><b>{escape(chapter.document.title)}</b></a>\n'
        f"{outline(chapter.text.headings)}</li>\n"
        for chapter in chapters
    )
    return f'<nav class="contents"><p>Contents</p>\n<ol>\n{items}</ol></nav>\n'


def _chapter(library: Library, chapter: _Chapter) -> str:
    document = chapter.document
    title, end, rest = chapter.text.html.partition("</h1>\n")
    drawn = gallery(drawn_for(library, document), f"{_anchor(document.id)}--")
    body = title + end + facts(document) + rest + drawn
    return f'<section class="chapter" id="{_anchor(document.id)}">\n{body}</section>\n'


def files(library: Library, date: str = "") -> dict[str, bytes]:
    """Everything that is written beside a PDF, by its path: the book, the Markdown of every document and version."""
    made = {f"{document.id}.md": document.markdown.encode() for document in library.documents}
    for document in library.superseded:
        made[f"{VERSIONS}/{document.id}-{document.version}.md"] = document.markdown.encode()
    return {BOOK: book(library, date).encode(), **made}


def sums(made: Mapping[str, bytes]) -> bytes:
    """The SHA-256 of every file, as `sha256sum --check` reads it."""
    return "".join(f"{hashlib.sha256(made[name]).hexdigest()}  {name}\n" for name in sorted(made)).encode()
