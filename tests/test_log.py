"""The log is one line an event, JSON where nobody looks, and libraries speak through it too."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from oracle import log


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _afterwards() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == "", "standard output belongs to results"
    return [json.loads(line) for line in captured.err.splitlines()]


def test_an_event_is_a_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("auto", "info")
    structlog.get_logger().bind(venue="kraken").warning("venue.silent", silence_ms=10_012)
    [line] = said(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "venue.silent", "level": "warning", "venue": "kraken", "silence_ms": 10_012}


@pytest.mark.parametrize(("level", "heard"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_less_than_was_asked_for_is_not_said(capsys: pytest.CaptureFixture[str], level: str, heard: int) -> None:
    log.configure("json", level)
    logger = structlog.get_logger()
    logger.debug("a.b")
    logger.info("a.b")
    logger.warning("a.b")
    logger.error("a.b")
    assert len(said(capsys)) == heard


def test_an_exception_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json", "info")
    try:
        raise ValueError("two\nlines")
    except ValueError:
        structlog.get_logger().exception("engine.fault", seq=7)
    [line] = said(capsys)
    assert line["seq"] == 7
    assert "ValueError: two\nlines" in line["exception"]


@pytest.mark.parametrize(("form", "terminal", "console"), [("auto", True, True), ("json", True, False)])
def test_a_terminal_gets_text(monkeypatch: pytest.MonkeyPatch, form: str, terminal: bool, console: bool) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    log.configure(form, "info")
    structlog.get_logger().info("service.started", port=8080)
    assert ("\x1b[" in stream.getvalue()) is console
    assert stream.getvalue().startswith("{") is not console


def test_console_may_be_asked_for_anywhere(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("console", "info")
    structlog.get_logger().info("service.started", port=8080)
    assert "service.started" in (text := capsys.readouterr().err)
    assert not text.startswith("{")


def test_libraries_speak_through_it(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json", "debug")
    log.configure("json", "info")
    library = logging.getLogger("asyncio")
    library.info("not worth a line")
    library.error("task %s failed", "a", exc_info=(ValueError, ValueError("why"), None))
    [line] = said(capsys)
    assert (line["event"], line["level"], line["logger"], line["detail"]) == (
        "library.logged",
        "error",
        "asyncio",
        "task a failed",
    )
    assert "ValueError: why" in line["exception"]


def test_a_library_that_cannot_format_its_message_harms_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger().handlers = []
    log.configure("json", "info")
    logging.getLogger("asyncio").error("%d", "no number")
    assert "no number" in capsys.readouterr().err
