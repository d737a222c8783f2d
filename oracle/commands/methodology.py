"""`oracle methodology`: the published documents, listed, shown, or bound into a book that needs no program.

`export` writes the Markdown of every document, one HTML book of them with figures drawn from the code, their SHA-256
sums, and the book as a PDF where a Chromium is at hand.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from oracle import documents
from oracle.commands.common import table
from oracle.config.reading import nearest
from oracle.documents import Document
from oracle.edition import book, pdf
from oracle.edition.pages import Shelf
from oracle.errors import ConfigError, ServiceError

EXAMPLES = (
    "oracle methodology list",
    "oracle methodology show hk1",
    "oracle methodology show hk1 --html > hk1.html",
    "oracle methodology export book --date 2026-11-21        the book, its Markdown, SHA256SUMS and a PDF",
)
PDF = "methodology.pdf"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    below = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    below.add_parser("list", help="every document with its version and SHA-256")
    show = below.add_parser("show", help="print a document")
    show.add_argument("id", metavar="ID", help="its name in the list")
    show.add_argument("version", metavar="VERSION", nargs="?", help="a version whose text was kept; default in force")
    show.add_argument("--html", action="store_true", help="as a page for a browser")
    export = below.add_parser("export", help="write the whole set to a folder")
    export.add_argument("folder", metavar="DIR", type=Path, help="made when it is not there")
    export.add_argument("--date", metavar="TEXT", default="", help="the date on the book's first page; default none")
    export.add_argument("--pdf", action="store_true", help="fail when no PDF can be made")
    export.add_argument("--no-pdf", action="store_true", help="make none")


def main(args: argparse.Namespace) -> int:
    """List, show or export. Raises ConfigError for a document nobody has, ServiceError for a PDF that failed."""
    shelf = Shelf(documents.library())
    if args.what == "list":
        rows = [(document.id, document.version or "-", document.sha256, document.title) for document in shelf.documents]
        print(table(rows, ("id", "version", "SHA-256", "title")))
        return 0
    if args.what == "show":
        document = _wanted(shelf, args.id, args.version)
        text = shelf.page(document.id, document.version).html if args.html else document.markdown
        sys.stdout.write(text)
        return 0
    return _export(shelf, args)


def _wanted(shelf: Shelf, name: str, version: str | None) -> Document:
    found = shelf.find(name, version)
    if found is not None:
        return found
    if shelf.find(name) is None:
        names = [document.id for document in shelf.documents]
        raise ConfigError(f"no such document: {name}", remedy=nearest(name, names))
    kept = ", ".join(shelf.versions(name)) or "none"
    raise ConfigError(f"no text of {name} {version}", remedy=f"kept are: {kept}")


def _export(shelf: Shelf, args: argparse.Namespace) -> int:
    if args.pdf and args.no_pdf:
        raise ConfigError("is the opposite of --no-pdf", key="--pdf", remedy="give one of them")
    made = book.files(shelf, args.date)
    program = None if args.no_pdf else pdf.browser()
    if program is not None:
        made[PDF] = pdf.printed(made[book.BOOK], program)
    elif args.pdf:
        raise ServiceError(f"there is no browser to print a PDF with: {pdf.HOW_TO_GET_ONE}")
    made[book.SUMS] = book.sums(made)
    for name, data in made.items():
        path = args.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    print(f"{len(made)} files in {args.folder}: {book.BOOK}, {len(shelf.documents)} documents, {book.SUMS}")
    if program is not None:
        print(f"{PDF}: {len(made[PDF]):,} bytes, printed by {program}")
    elif not args.no_pdf:
        print(f"no PDF: {pdf.HOW_TO_GET_ONE}")
    return 0
