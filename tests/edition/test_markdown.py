"""Markdown becomes HTML in which nothing of the source acts, every heading has an anchor, and every table fits."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle import documents
from oracle.edition.markdown import render, softened
from tests import shelves

KNOWN = {"README", "ladder"}


def html(text: str, prefix: str = "") -> str:
    return render(text, lambda name: f"/at/{name}" if name in KNOWN else None, prefix).html


def test_html_and_scripts_in_the_source_are_text() -> None:
    made = html(shelves.HK1)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in made
    assert not re.search(r"<(script|img|iframe|style)", made)
    assert 'href="javascript' not in made
    assert "style=" not in made


def test_markers_leave_no_trace_and_end_a_table() -> None:
    made = html(shelves.HK1)
    assert "&lt;!--" not in made
    assert made.count("<tr>") == 2
    assert "<p>After the table.</p>" in made
    assert html("```\n<!-- kept -->\n```").count("&lt;!-- kept --&gt;") == 1
    assert html("a <!-- b --> c") == "<p>a &lt;!-- b --&gt; c</p>\n"
    assert html("word\n<!-- x -->\nword") == "<p>word</p>\n<p>word</p>\n"


def test_a_column_is_aligned_by_a_class_and_a_table_may_be_wider_than_a_phone() -> None:
    made = html(shelves.HK1)
    assert '<th class="right">Value</th>' in made
    assert '<td class="right">3\u00a0600\u00a0000</td>' in made
    assert '<div class="wide" role="group" aria-label="table" tabindex="0"><table class="columns-2">' in made


def test_a_document_is_linked_to_where_it_stands() -> None:
    made = html("[a](README.md) `ladder.md` [`ladder.md`](other.md) `methodology/ladder.md` [b](ladder.md#x) `no.md`")
    made = made.replace("<wbr>", "")
    assert '<a href="/at/README">a</a> <a href="/at/ladder"><code>ladder.md</code></a>' in made
    assert '<a href="other.md"><code>ladder.md</code></a>' in made, "no link within a link"
    assert made.count('href="/at/ladder"') == 3
    assert "<code>no.md</code>" in made
    assert 'rel="noopener noreferrer"' in html("[a](https://example.org/)")


def test_headings_have_anchors_of_their_own() -> None:
    made = render("# A\n\n## B & `c`\n\n## B c\n\n## b c 2\n\n## ⓐ\n", lambda name: None, "p--")
    assert [(h.level, h.anchor) for h in made.headings] == [
        (1, "p--a"), (2, "p--b-c"), (2, "p--b-c-2"), (2, "p--b-c-2-2"), (2, "p--section"),
    ]  # fmt: skip
    assert made.headings[1].text == "B & c"
    for heading in made.headings:
        assert f'id="{heading.anchor}"' in made.html


@pytest.mark.parametrize(
    ("text", "soft"),
    [
        ("own.rate_decimals", "own.<wbr>rate_<wbr>decimals"),
        ("a < b", "a &lt; b"),
        ("1.0.0", "1.0.0"),
        ("10 000 … 3 600 000", "10\u00a0000 … 3\u00a0600\u00a0000"),
        ("f" * 60, "f" * 28 + "<wbr>" + "f" * 28 + "<wbr>" + "f" * 4),
    ],
)
def test_long_words_may_break_and_numbers_may_not(text: str, soft: str) -> None:
    assert softened(text) == soft


@given(text=st.text(max_size=80))
@settings(max_examples=60)
def test_nothing_written_becomes_a_tag_of_its_own(text: str) -> None:
    made = html(text)
    known = r"</?(p|em|strong|code|pre|a|ul|ol|li|h[1-6]|hr|br|wbr|blockquote|div|table|thead|tbody|tr|th|td)\b"
    assert all(re.match(known, tag) for tag in re.findall(r"<[^>]*", made))


@pytest.mark.parametrize("document", documents.library().documents, ids=lambda d: str(d.id))
def test_every_shipped_document_renders(document: documents.Document) -> None:
    made = render(document.markdown, lambda name: None)
    rows = [line for line in document.markdown.splitlines() if line.startswith("|")]
    assert made.headings[0].text
    assert "&lt;!--" not in re.sub(r"<code[^>]*>.*?</code>", "", made.html, flags=re.DOTALL)
    assert made.html.count("<tr>") <= len(rows)
    assert bool(rows) == ("<table" in made.html)
