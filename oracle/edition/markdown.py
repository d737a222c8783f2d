"""Markdown to HTML: CommonMark with tables; HTML in the source is text, an image is a link, a heading has an anchor.

`<!-- … -->` lines, between which tables are made from the code, leave no trace. A link to another document leads to
where that document stands in this edition; so does its name in code style.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, NamedTuple, TypeAlias

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.token import Token

Resolve: TypeAlias = Callable[[str], str | None]
_MARKER = re.compile(r"<!--[^<>]*-->\s*")
_NAMED = re.compile(r"(?:methodology/)?([A-Za-z0-9_.-]+)\.md(#[A-Za-z0-9_-]+)?")
_PARTS = re.compile(r"(?<=[A-Za-z0-9)])([._/=,?&]+)(?=[A-Za-z(])")
_GROUPED = re.compile(r"(?<![0-9.])[0-9]{1,3}(?: [0-9]{3})+(?![0-9])")
_RUN = re.compile(r"[^\s\u200b]{28}(?=[^\s\u200b])")


class Heading(NamedTuple):
    """A heading as a list of contents needs it."""

    level: int
    anchor: str
    text: str


class Rendered(NamedTuple):
    """A text as HTML, without its surroundings."""

    html: str
    headings: list[Heading]


def render(markdown: str, resolve: Resolve, prefix: str = "") -> Rendered:
    """A document as HTML. `resolve` says where another document stands (None: not in this edition); `prefix` begins
    every anchor, so that many documents may stand on one page."""
    tokens = _PARSER.parse(markdown)
    headings = _anchored(tokens, prefix)
    for token in tokens:
        if token.type in ("th_open", "td_open"):
            _aligned(token)
        elif token.children:
            token.children = _linked(token.children, resolve)
    return Rendered(_PARSER.renderer.render(tokens, _PARSER.options, {}), headings)


def _anchored(tokens: Sequence[Token], prefix: str) -> list[Heading]:
    """Give every heading an anchor of its own, made of its words."""
    found: list[Heading] = []
    taken: set[str] = set()
    for place, token in enumerate(tokens):
        if token.type != "heading_open":
            continue
        words = "".join(child.content for child in tokens[place + 1].children or ())
        slug = prefix + (re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-") or "section")
        anchor = next(made for made in (slug, *(f"{slug}-{n}" for n in range(2, len(tokens) + 2))) if made not in taken)
        taken.add(anchor)
        token.attrSet("id", anchor)
        found.append(Heading(int(token.tag[1:]), anchor, words))
    return found


def _aligned(token: Token) -> None:
    """How a column is aligned, as a class: the policy of a page allows no style within the text."""
    style = str(token.attrs.pop("style", ""))
    if style:
        token.attrSet("class", style.removeprefix("text-align:"))


def _linked(children: Sequence[Token], resolve: Resolve) -> list[Token]:
    """Lead links, and names of documents in code style, to where the documents stand here."""
    made: list[Token] = []
    inside = False
    for child in children:
        if child.type == "link_open":
            inside = True
            href = str(child.attrGet("href") or "")
            child.attrSet("href", _target(href, resolve) or href)
            if "//" in href:
                child.attrSet("rel", "noopener noreferrer")
        inside = inside and child.type != "link_close"
        target = _target(child.content, resolve) if child.type == "code_inline" and not inside else None
        if target is None:
            made.append(child)
        else:
            opened, closed = Token("link_open", "a", 1), Token("link_close", "a", -1)
            opened.attrSet("href", target)
            made += [opened, child, closed]
    return made


def _target(said: str, resolve: Resolve) -> str | None:
    match = _NAMED.fullmatch(said)
    return resolve(match[1]) if match else None


def _marker(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A line that is a comment alone ends a table or paragraph, and says nothing."""
    at = state.bMarks[start] + state.tShift[start]
    if not _MARKER.fullmatch(state.src[at : state.eMarks[start]]):
        return False
    if not silent:
        state.line = start + 1
    return True


def softened(text: str) -> str:
    """Text as HTML in which long words may break, where their parts meet and in any case somewhere; `3 600` may not.

    So the width of a table's column is that of its longest part, and no table is wider than a sheet of paper.
    """
    whole = _GROUPED.sub(lambda match: match[0].replace(" ", "\u00a0"), text.replace("\u200b", ""))
    marked = _RUN.sub("\\g<0>\u200b", _PARTS.sub("\\1\u200b", whole))
    return escape(marked).replace("\u200b", "<wbr>")


def _text(renderer: Any, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    return softened(tokens[place].content)


def _code(renderer: Any, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    return f"<code>{softened(tokens[place].content)}</code>"


def _table_open(renderer: Any, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    columns = 0
    for token in tokens[place:]:
        if token.type == "tr_close":
            break
        columns += token.type == "th_open"
    return f'<div class="wide" role="group" aria-label="table" tabindex="0"><table class="columns-{columns}">\n'


def _table_close(renderer: Any, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    return "</table></div>\n"


def _parser() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    made.block.ruler.before("table", "marker", _marker, {"alt": ["paragraph", "reference", "blockquote", "list"]})
    made.add_render_rule("text", _text)
    made.add_render_rule("code_inline", _code)
    made.add_render_rule("table_open", _table_open)
    made.add_render_rule("table_close", _table_close)
    return made


_PARSER = _parser()
