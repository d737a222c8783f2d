"""A page as a PDF, printed by Chromium without a window, where one is installed.

The dates that the browser writes into the file are set to one instant, so that equal pages make equal files.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from oracle.errors import ServiceError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TIMEOUT_S = 180.0
HOW_TO_GET_ONE = "install Chromium (on Debian: apt install chromium), or print the HTML from any browser"
_DATE = re.compile(rb"(/(?:CreationDate|ModDate) ?\(D:)[0-9]{14}")
_THEN = b"20000101000000"
_FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-extensions",
    "--disable-background-networking",
    "--no-first-run",
    "--no-pdf-header-footer",
    "--generate-pdf-document-outline",
)


def browser() -> str | None:
    """The first Chromium on the path; None when there is none."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def printed(page: bytes, program: str, timeout_s: float = TIMEOUT_S) -> bytes:
    """The page as a PDF. Raises ServiceError when the browser does not make one."""
    with tempfile.TemporaryDirectory(prefix="oracle-pdf-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        source, target = folder / "page.html", folder / "page.pdf"
        source.write_bytes(page)
        # As root a browser refuses its own sandbox; what it prints is our own page, which may load nothing.
        alone = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        where = [f"--user-data-dir={folder / 'profile'}", f"--print-to-pdf={target}", source.as_uri()]
        try:
            done = subprocess.run(
                [program, *_FLAGS, *alone, *where], capture_output=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired:
            raise ServiceError(f"{program} printed nothing in {timeout_s:g} s") from None
        except OSError as error:
            raise ServiceError(f"{program} cannot be run: {error.strerror}") from None
        if done.returncode or not target.is_file():
            raise ServiceError(f"{program} made no PDF: {_last_line(done.stderr) or f'exit code {done.returncode}'}")
        return _DATE.sub(lambda match: match[1] + _THEN, target.read_bytes())


def _last_line(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:200] if lines else ""
