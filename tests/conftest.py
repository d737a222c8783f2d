"""Shared fixtures: where the real recordings lie, and that they must be there in CI."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """What a test configures of the log, by running a command, is not the next one's."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real recordings. Absent: the test is skipped with the reason; in CI it fails."""
    path = Path(os.environ.get("ORACLE_DATA", ROOT.parent / "shared" / "data"))
    if path.is_dir():
        return path
    reason = f"no recordings at {path}: set ORACLE_DATA to the folder that holds frames/, payloads/, replay/, series/"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
