"""How the service logs: stable dotted events with fields, JSON for machines, colours on a terminal.

What libraries log through the standard library comes out the same way, as `library.logged`, from warnings upward.
"""

from __future__ import annotations

import logging
import sys

import structlog

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(form: str, level: str) -> None:
    """Log to standard error. `form` is auto, json or console; auto is console on a terminal."""
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    renderer = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, _Libraries)] + [_Libraries()]
    root.setLevel(max(LEVELS[level], logging.WARNING))


class _Libraries(logging.Handler):
    """Hands what a library says to our own log."""

    def emit(self, record: logging.LogRecord) -> None:
        """One record. A library whose message does not fit its arguments must not bring the service down."""
        try:
            structlog.get_logger().log(
                record.levelno,
                "library.logged",
                logger=record.name,
                detail=record.getMessage(),
                exc_info=record.exc_info,
            )
        except Exception:
            self.handleError(record)
