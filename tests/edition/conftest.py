"""A few documents, and what they are made into."""

from __future__ import annotations

from pathlib import Path

import pytest

from oracle.documents import library
from oracle.edition.pages import Shelf
from tests import shelves


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shelves.written(tmp_path / "methodology")


@pytest.fixture
def shelf(folder: Path) -> Shelf:
    return Shelf(library(folder))
