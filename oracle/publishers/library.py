"""The published documents as the API answers them: which there are, which version is meant, as Markdown or as a page.

What is served as Markdown is byte for byte what the hash of a value is of. A page is the same text made readable, and
has a policy of its own: it may show its one style sheet and nothing else, from nowhere else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Protocol

from aiohttp import hdrs, web

from oracle import methods
from oracle.core.types import NANOS_PER_MS
from oracle.publishers.problems import Problem, bad_parameter, unknown_methodology
from oracle.publishers.render import Answer
from oracle.publishers.web import stored

MARKDOWN, PAGE, LIST = "text/markdown", "text/html", "application/json"
FORMATS = {"markdown": MARKDOWN, "html": PAGE}
KEPT_S = 60
HASH_HEADER = "Methodology-Hash"
ACCEPT_PARTS_MAX = 32


class Document(Protocol):
    """A published document; `version` None: it supports others and has none."""

    @property
    def id(self) -> str:
        """What it is asked for by."""
        ...

    @property
    def title(self) -> str:
        """What it is called."""
        ...

    @property
    def version(self) -> str | None:
        """The version of its text."""
        ...

    @property
    def sha256(self) -> str:
        """The SHA-256 of its bytes, in hex."""
        ...

    @property
    def markdown(self) -> str:
        """Its text."""
        ...


class Page(Protocol):
    """A document, or the list of them, as HTML: its text, and what its style sheet's hash is in a policy."""

    @property
    def html(self) -> str:
        """The page, whole."""
        ...

    @property
    def policy(self) -> str:
        """Its Content-Security-Policy."""
        ...


class Library(Protocol):
    """Whoever keeps the documents and makes pages of them. Pages are asked for in a thread."""

    @property
    def documents(self) -> Sequence[Document]:
        """Those in force, in order."""
        ...

    def find(self, name: str, version: str | None = None) -> Document | None:
        """The one of that id: in force, or of that version."""
        ...

    def versions(self, name: str) -> list[str]:
        """The versions whose text can be asked for, the one in force last."""
        ...

    def page(self, name: str, version: str | None) -> Page:
        """One that `find` finds, to be read."""
        ...

    def contents(self) -> Page:
        """All of them, to choose from."""
        ...


class NoLibrary:
    """Nothing is published."""

    documents: Sequence[Document] = ()

    def find(self, name: str, version: str | None = None) -> Document | None:
        """None."""
        return None

    def versions(self, name: str) -> list[str]:
        """None."""
        return []

    def page(self, name: str, version: str | None) -> Page:
        """Nobody asks for a page of what is not found."""
        raise LookupError(name)

    def contents(self) -> Page:
        """There is nothing to choose from."""
        raise Problem("unknown_path", "This service publishes no documents.")


def listed(library: Library) -> Answer:
    """Every document, with its version, its hash and the dated sets of parameters it describes."""
    shipped = methods.shipped()
    lines = [_line(library, each, each.id in shipped or "." in each.id) for each in library.documents]
    return {"items": lines, "next": None}


def _line(library: Library, document: Document, is_method: bool) -> Answer:
    sets = methods.load(document.id).SETS if is_method else ()
    return {
        "id": document.id,
        "title": document.title,
        "kind": "methodology" if is_method else "supporting",
        "version": document.version,
        "sha256": document.sha256,
        "url": f"/v1/methodology/{document.id}",
        "versions": library.versions(document.id),
        "sets": [{"version": rules.version, "effective_ts": rules.effective_ns // NANOS_PER_MS} for rules in sets],
    }


def found(library: Library, name: str, version: str | None) -> Document:
    """The document that is asked for. Raises Problem: the nearest names, or the versions there are."""
    document = library.find(name, version)
    if document is not None:
        return document
    in_force = library.find(name)
    if in_force is None:
        raise unknown_methodology(name, (known.id for known in library.documents))
    kept = library.versions(name)
    stands = f"in force is {in_force.version}" if in_force.version else "it has no versions"
    detail = (
        f"There is no text of {name} {(version or '')[:64]!r} here: {stands}. A superseded version is answered only "
        f"where its text was kept; these can be asked for: {', '.join(kept) or 'none'}."
    )
    raise Problem("unknown_version", detail, versions=kept)


def wanted(request: web.Request, otherwise: str = MARKDOWN) -> str:
    """The media type that is asked for: `format` before Accept, and a page only for who prefers one. Raises Problem."""
    said = request.query.get("format")
    known = FORMATS if otherwise == MARKDOWN else {"json": LIST, "html": PAGE}
    if said is not None:
        if said not in known:
            raise bad_parameter("format", said, " or ".join(known))
        return known[said]
    accept = request.headers.get(hdrs.ACCEPT, "")
    page, plain = _weight(accept, PAGE), _weight(accept, otherwise)
    return PAGE if page > 0.0 and page > plain else otherwise


def _weight(accept: str, media_type: str) -> float:
    """How much a caller wants a type that it names itself (RFC 9110, 12.5.1); 0 when it does not."""
    for part in accept.split(",")[:ACCEPT_PARTS_MAX]:
        name, *parameters = (word.strip().lower() for word in part.split(";"))
        if name != media_type:
            continue
        weight = next((word.removeprefix("q=") for word in parameters if word.startswith("q=")), "1")
        return float(weight) if weight.replace(".", "", 1).isascii() and weight.replace(".", "", 1).isdigit() else 1.0
    return 0.0


def text(request: web.Request, document: Document) -> web.Response:
    """The document as Markdown: the very bytes that its hash is of, under that hash as entity tag."""
    body = document.markdown.encode()
    return stored(request, body, MARKDOWN, document.sha256, KEPT_S, _headers(document, body))


def shown(request: web.Request, page: Page, document: Document | None = None) -> web.Response:
    """A page, under the hash of its own bytes; it names the document's hash too."""
    body = page.html.encode()
    headers = {**_headers(document, body), "Content-Security-Policy": page.policy}
    return stored(request, body, PAGE, hashlib.sha256(body).hexdigest(), KEPT_S, headers)


def _headers(document: Document | None, body: bytes) -> dict[str, str]:
    """What may be compared: the digest of what is sent (RFC 9530), and the document's own hash."""
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    named = {} if document is None else {HASH_HEADER: document.sha256}
    return {hdrs.VARY: hdrs.ACCEPT, "Repr-Digest": f"sha-256=:{digest}:", **named}
