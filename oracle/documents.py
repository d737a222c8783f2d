"""The published documents: where they lie, which version each is, and the SHA-256 that every value of theirs carries.

`methodology/<id>.md` is the document in force of the methodology of that id; the other files there support all of
them. The text of a version that is no longer in force stays as `methodology/versions/<id>-<version>.md`. In a clone
the folder stands beside the package, in a wheel inside it. Somebody else's methodology, a dotted name, has its document
beside its module: `acme/index7.md` for `acme.index7`. A document is read once: what a process states as a value's
document is what it serves.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from oracle import methods
from oracle.errors import ConfigError

VERSIONS = "versions"
HEAD_LINES = 12  # the title and the version stand at the top
FIRST, LAST = ("README", "hk1"), ("ladder", "governance", "CHANGES")
_TITLE = re.compile(r"^# +(\S.*?)\s*$", re.MULTILINE)
_VERSION = re.compile(r"^Version ([0-9A-Za-z][\w.+-]*?)\.?(?=\s|$)", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)


class Document(NamedTuple):
    """A published document. `sha256` is that of its bytes; `version` None: it supports others and has none."""

    id: str
    title: str
    version: str | None
    sha256: str
    markdown: str


class Library:
    """Every document in force, in the order of a book, and the versions before them whose text was kept."""

    def __init__(self, documents: Iterable[Document], superseded: Iterable[Document] = ()) -> None:
        self.documents: Sequence[Document] = tuple(sorted(documents, key=_place))
        self.superseded: Sequence[Document] = tuple(sorted(superseded, key=_place))
        self._in_force = {document.id: document for document in self.documents}

    def find(self, name: str, version: str | None = None) -> Document | None:
        """The document of that id: in force, or of that version; None when there is none."""
        found = self._in_force.get(name)
        if version is None or (found is not None and found.version == version):
            return found
        return next((d for d in self.superseded if (d.id, d.version) == (name, version)), None)

    def versions(self, name: str) -> list[str]:
        """The versions whose text can be asked for, the one in force last."""
        told = [*(d for d in self.superseded if d.id == name), self._in_force.get(name)]
        return [document.version for document in told if document is not None and document.version is not None]


def _place(document: Document) -> tuple[int, int, str, str]:
    """README and HK-1 come first, then every other methodology, then what supports them."""
    name, version = document.id, document.version or ""
    if name in FIRST:
        return 0, FIRST.index(name), name, version
    if name in LAST:
        return 2, LAST.index(name), name, version
    return 1, 0, name, version


def folder() -> Path:
    """Where the documents lie. Raises ConfigError when they are nowhere."""
    here = Path(__file__).resolve().parent
    for path in (here / "methodology", here.parent / "methodology"):
        if path.is_dir():
            return path
    raise ConfigError(
        "the methodology documents are missing", file=str(here), remedy="install the wheel, or run from the repository"
    )


def library(place: Path | None = None, used: Iterable[str] = ()) -> Library:
    """All documents of a folder (the shipped one), and those of other people's methodologies that are `used`.

    Raises ConfigError for a document without a title, one that is not UTF-8, and a superseded version whose name does
    not say what it is.
    """
    place = folder() if place is None else place
    documents = [read(path, path.stem) for path in sorted(place.glob("*.md"))]
    beside = [(name, path) for name in sorted(set(used)) if "." in name and (path := _beside(name)) is not None]
    documents += [read(path, name) for name, path in beside]
    known = {document.id: document for document in documents}
    return Library(documents, [_superseded(path, known) for path in sorted((place / VERSIONS).glob("*.md"))])


def hash_of(method: str, place: Path | None = None) -> str:
    """The SHA-256 of the document in force of a methodology, in hex; "" for somebody else's that has none.

    Raises ConfigError when a methodology of ours has no document: nothing is published by rules that nobody can read.
    """
    if "." in method:
        beside = _beside(method)
        return "" if beside is None else read(beside, method).sha256
    path = (folder() if place is None else place) / f"{method}.md"
    if not path.is_file():
        raise ConfigError(
            f"{method} has no document", file=str(path), remedy="publish it before anything is made by it"
        )
    return read(path, method).sha256


@cache
def read(path: Path, name: str) -> Document:
    """A document. Raises ConfigError when it is none, OSError when it cannot be read."""
    if not _NAME.fullmatch(name):
        remedy = "letters, digits, dots, dashes and underscores alone"
        raise ConfigError("is no name of a document", file=str(path), value=name, key="name", remedy=remedy)
    data = path.read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"is not UTF-8 at byte {error.start}", file=str(path), remedy="save it as UTF-8") from None
    head = "\n".join(text.splitlines()[:HEAD_LINES])
    title, version = _TITLE.search(head), _VERSION.search(head)
    if title is None:
        raise ConfigError("has no title", file=str(path), remedy="begin it with a line `# Title`")
    return Document(name, title[1], version[1] if version else None, hashlib.sha256(data).hexdigest(), text)


def _superseded(path: Path, known: dict[str, Document]) -> Document:
    """A version that is no longer in force; its file's name and its own text name the same one."""
    owner = max((name for name in known if path.stem.startswith(f"{name}-")), key=len, default="")
    if not owner:
        raise ConfigError("belongs to no document", file=str(path), remedy="call it <id>-<version>.md")
    found, said = read(path, owner), path.stem.removeprefix(f"{owner}-")
    if found.version != said:
        remedy = f"its name says {said}, its text {found.version or 'nothing'}"
        raise ConfigError("is not the version it is called", file=str(path), remedy=remedy)
    if known[owner].version == said:
        raise ConfigError(
            f"is the version of {owner} in force", file=str(path), remedy="keep superseded ones alone here"
        )
    return found


def _beside(method: str) -> Path | None:
    """The document beside somebody else's module; None when there is none."""
    file = getattr(methods.load(method), "__file__", None)
    path = Path(file).with_suffix(".md") if file else None
    return path if path is not None and path.is_file() else None
