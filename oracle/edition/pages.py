"""Pages: a document to be read in a browser, and the list of them, each whole in itself.

A page has one style sheet, within it, and a policy that allows that and nothing else: no script runs on it, and it asks
nobody for anything. A page is made when it is first asked for, and kept.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from oracle import methods
from oracle.documents import Document, Library
from oracle.edition import figures
from oracle.edition.figures import Figure
from oracle.edition.markdown import Heading, render

STYLE = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
ROOT = "/v1/methodology"
LADDER, FIRST = "ladder", "hk1"
_WIDE = ' class="whole"'
_FROM_CODE = "Drawn from the code that computes the values; the SHA-256 above is of the text alone."


class Page(NamedTuple):
    """A page and the Content-Security-Policy it is served under."""

    html: str
    policy: str


def _policy() -> str:
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


POLICY = _policy()
SERVED = f"{POLICY}; frame-ancestors 'none'"  # who frames a page only its server can say


class Shelf(Library):
    """A library that also makes pages. Safe to ask from many threads."""

    def __init__(self, library: Library) -> None:
        super().__init__(library.documents, library.superseded)
        self._lock = Lock()
        self._made: dict[tuple[str, str | None], Page] = {}

    def page(self, name: str, version: str | None = None) -> Page:
        """A document of this library as a page. Raises LookupError for what is not in it."""
        document = self.find(name, version)
        if document is None:
            raise LookupError(f"{name} {version or ''}".strip())
        key = document.id, document.version
        with self._lock:
            if key not in self._made:
                self._made[key] = Page(self._page(document), SERVED)
            return self._made[key]

    def contents(self) -> Page:
        """Every document in force, with its version and hash."""
        body = f"<h1>Methodology</h1>\n{overview(self.documents, lambda document: f'{ROOT}/{document.id}')}"
        return Page(whole("Methodology", body), SERVED)

    def _page(self, document: Document) -> str:
        made = render(document.markdown, lambda name: f"{ROOT}/{name}" if self.find(name) else None)
        title, end, rest = made.html.partition("</h1>\n")
        in_force = document is self.find(document.id)
        links = [f'<a href="{ROOT}?format=html">All documents</a>']
        if not in_force:
            links.append(f'<strong>superseded</strong>: <a href="{ROOT}/{document.id}">the version in force</a>')
        header = f"<header>{' · '.join(links)}</header>\n"
        drawn = drawn_for(self, document) if in_force else []
        nav = f'<nav class="contents"><p>Contents</p>\n{outline(made.headings)}</nav>\n'
        return whole(document.title, header + title + end + facts(document) + nav + rest + gallery(drawn))


def drawn_for(library: Library, document: Document) -> list[Figure]:
    """The figures of a document: a methodology's own; the ladder once, where it is written of."""
    drawn = figures.of(document.id)
    if document.id == (LADDER if library.find(LADDER) else FIRST):
        drawn.append(figures.ladder(methods.load(FIRST).SETS[-1]))
    return drawn


def whole(title: str, body: str) -> str:
    """A page of its own."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n'
        f"<body>\n{body}</body>\n</html>\n"
    )


def facts(document: Document) -> str:
    """What a reader compares: the version and the hash."""
    version = f"Version {escape(document.version)}. " if document.version else ""
    return f'<p class="facts">{version}SHA-256 of the Markdown: <code>{document.sha256}</code></p>\n'


def overview(documents: Iterable[Document], href: Callable[[Document], str]) -> str:
    """A table of documents with their versions and hashes."""
    rows = "".join(
        f'<tr><td><a href="{href(document)}">{escape(document.title)}</a></td><td>{escape(document.version or "–")}'
        f'</td><td class="hash"><code>{document.sha256}</code></td></tr>\n'
        for document in documents
    )
    head = "<thead><tr><th>Document</th><th>Version</th><th>SHA-256</th></tr></thead>"
    return f'<div class="wide" tabindex="0"><table>{head}\n<tbody>\n{rows}</tbody></table></div>\n'


def outline(headings: Sequence[Heading]) -> str:
    """The sections of a text, as a list."""
    items = "".join(f'<li><a href="#{h.anchor}">{escape(h.text)}</a></li>\n' for h in headings if h.level == 2)
    return f"<ol>\n{items}</ol>\n" if items else ""


def gallery(drawn: Sequence[Figure], prefix: str = "") -> str:
    """The figures of a text, under a heading of their own."""
    if not drawn:
        return ""
    shown = "".join(
        f'<figure id="{prefix}figure-{escape(figure.name)}"{_WIDE if figure.wide else ""}>{figure.svg}\n'
        f"<figcaption><b>{escape(figure.title)}.</b> {escape(figure.caption)}</figcaption></figure>\n"
        for figure in drawn
    )
    heading = f'<h2 id="{prefix}figures">Figures</h2>\n<p class="before">{_FROM_CODE}</p>\n'
    return f'{heading}<div class="figures">\n{shown}</div>\n'
