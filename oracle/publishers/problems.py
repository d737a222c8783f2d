"""What can go wrong for a caller: every problem's stable code, HTTP status and meaning, as RFC 9457 documents.

https://www.rfc-editor.org/rfc/rfc9457 (read 2026-11-21). Each code has a page of its own under `/v1/problems/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from oracle.publishers.render import Answer

CONTENT_TYPE = "application/problem+json"


class Kind(NamedTuple):
    """One problem: its status, and what it means to whoever meets it."""

    status: int
    title: str
    meaning: str


PROBLEMS: Mapping[str, Kind] = {
    "bad_parameter": Kind(
        400, "A parameter is wrong", "The answer names the parameter, its value and what is allowed."
    ),
    "bad_request": Kind(400, "The request is no HTTP", "The bytes are malformed, or a line or header is too long."),
    "unknown_path": Kind(404, "There is nothing at this path", "GET / lists everything that can be asked for."),
    "unknown_instrument": Kind(404, "No such instrument", "GET /v1/instruments lists what is published."),
    "unknown_methodology": Kind(404, "No such document", "GET /v1/methodology lists what is published."),
    "unknown_version": Kind(404, "No text of that version", "The answer names the versions whose text was kept."),
    "wrong_kind": Kind(404, "The instrument has no such answer", "An index has no mark, a perpetual no sources."),
    "method_not_allowed": Kind(405, "Only GET, HEAD and OPTIONS are answered", "Nothing can be changed from outside."),
    "too_large": Kind(413, "The request has a body", "Questions here have no body, or a very small one."),
    "upgrade_required": Kind(426, "This path speaks WebSocket", "Connect with a WebSocket client."),
    "rate_limited": Kind(429, "Too many requests", "Wait as long as Retry-After says, or use the stream."),
    "too_many_streams": Kind(429, "Too many streams from this address", "Subscribe to many instruments on one stream."),
    "internal_error": Kind(500, "A fault of the service", "It has been logged; try again."),
    "no_mark": Kind(503, "There is no mark price", "The state and its reasons are in the answer; positions wait."),
    "not_ready": Kind(503, "The service may not be used", "It is warming up, stale, or has halted; it says which."),
    "streams_full": Kind(503, "No room for another stream", "Try again later, or poll /v1/key-parameters."),
    "history_unavailable": Kind(503, "History cannot be read", "Current values are not affected; try again later."),
}


class Problem(Exception):
    """Raised by a handler, answered as a problem document. `extra` goes into the document as it is."""

    def __init__(self, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.kind = PROBLEMS[code]
        self.code, self.detail, self.extra = code, detail, extra
        self.headers: Mapping[str, str] = headers or {}


def document(problem: Problem, path: str) -> Answer:
    """The problem as the caller reads it; `path` is what was asked for."""
    page = f"/v1/problems/{problem.code}"
    return {
        "type": page,
        "title": problem.kind.title,
        "status": problem.kind.status,
        "detail": problem.detail,
        "instance": path,
        "code": problem.code,
        "doc_url": page,
        **problem.extra,
    }


def page(code: str) -> Answer:
    """The page that `doc_url` leads to."""
    kind = PROBLEMS[code]
    return {"code": code, "status": kind.status, "title": kind.title, "meaning": kind.meaning}


def unknown_instrument(name: str, known: Iterable[str]) -> Problem:
    """No such instrument; the nearest names are in the answer."""
    return _unknown("unknown_instrument", f"There is no instrument {name[:64]!r}.", name, known)


def unknown_methodology(name: str, known: Iterable[str]) -> Problem:
    """No such document; the nearest names are in the answer."""
    return _unknown("unknown_methodology", f"There is no document {name[:64]!r}.", name, known)


def _unknown(code: str, said: str, name: str, known: Iterable[str]) -> Problem:
    near = nearest(name, known)
    hint = f"Did you mean {' or '.join(near)}?" if near else PROBLEMS[code].meaning
    return Problem(code, f"{said} {hint}", nearest=near)


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """The known names that are most like one, three at most, whichever case they are written in."""
    folded = {n.upper(): n for n in sorted(known)}
    return [folded[n] for n in get_close_matches(name[:64].upper(), folded, n=3, cutoff=0.4)]


def bad_parameter(name: str, value: str | None, allowed: str, **extra: Any) -> Problem:
    """A parameter is missing or wrong. `extra` goes into the answer too."""
    said = f"{name} = {value[:64]!r} is not allowed" if value is not None else f"{name} is missing"
    shown = None if value is None else value[:64]
    return Problem(
        "bad_parameter", f"{said}: it must be {allowed}.", parameter=name, value=shown, allowed=allowed, **extra
    )
