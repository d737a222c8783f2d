"""Pages are whole in themselves, name what they show, and are made once."""

from __future__ import annotations

import hashlib
import re

import pytest

from oracle.documents import Library
from oracle.edition import pages
from oracle.edition.pages import Shelf
from tests import shelves


def test_a_page_names_its_version_and_hash_and_has_its_figures(shelf: Shelf) -> None:
    made = shelf.page("hk1")
    assert made is shelf.page("hk1", "1.0.0"), "made once"
    assert hashlib.sha256(shelves.HK1.encode()).hexdigest() in made.html
    assert made.html.count("<h1") == 1
    assert 'href="#1-prices-script-alert-1-script"' in made.html
    assert 'href="/v1/methodology/ladder"' in made.html
    assert 'id="figure-rate-1.0.0"' in made.html
    assert 'id="figure-ladder"' not in made.html, "it is where the ladder is written of"
    assert 'id="figure-ladder"' in shelf.page("ladder").html
    assert "superseded" not in made.html


def test_a_superseded_page_says_so_and_has_no_figures_of_todays_code(shelf: Shelf) -> None:
    made = shelf.page("hk1", "0.9.0").html
    assert '<a href="/v1/methodology/hk1">the version in force</a>' in made
    assert "<svg" not in made


def test_without_a_ladder_document_its_figure_stands_in_hk1(shelf: Shelf) -> None:
    alone = Shelf(Library([d for d in shelf.documents if d.id != "ladder"]))
    assert 'id="figure-ladder"' in alone.page("hk1").html


def test_a_page_asks_nobody_for_anything(shelf: Shelf) -> None:
    everything = [shelf.page(d.id).html for d in shelf.documents] + [shelf.contents().html]
    for html in everything:
        assert not re.search(r"<(script|img|iframe|object|embed|form|base)\b", html)
        assert not re.search(r"<[^>]*\s(src|srcset|onload|onerror|style)=", html)
        assert not re.search(r"url\(|@import", html)
        assert re.findall(r"<link [^>]*>", html) == ['<link rel="icon" href="data:,">']
        assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in html


def test_the_list_leads_to_every_document(shelf: Shelf) -> None:
    html = shelf.contents().html
    for document in shelf.documents:
        assert f'<a href="/v1/methodology/{document.id}">{document.title}</a>' in html
        assert document.sha256 in html


def test_what_is_not_there_has_no_page(shelf: Shelf) -> None:
    for name, version in (("nobody", None), ("hk1", "0.8.0")):
        with pytest.raises(LookupError):
            shelf.page(name, version)


def test_the_style_reads_in_the_dark_on_a_phone_and_on_paper() -> None:
    assert "@media (prefers-color-scheme: dark)" in pages.STYLE
    assert "@media print" in pages.STYLE
    assert "overflow-x: auto" in pages.STYLE
