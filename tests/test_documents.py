"""The published documents are found, versioned and hashed, and what a value names is what is served."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tomllib
from pathlib import Path

import aiohttp
import pytest

from oracle import config, documents, methods
from oracle.app import serving
from oracle.core.params import World
from oracle.documents import Library, hash_of, library
from oracle.errors import ConfigError
from tests import service, shelves

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shelves.written(tmp_path / "methodology")


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Somebody else's methodology, of which the module alone is there."""
    package = tmp_path / "acme7"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "index7.py").write_text("ID = 'index7'\nSETS = ()\nOWN = None\nREADS = ()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("acme7", "acme7.index7"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return "acme7.index7"


def test_a_library_is_read_in_the_order_of_a_book(folder: Path) -> None:
    found = library(folder)
    assert [d.id for d in found.documents] == ["README", "hk1", "weighted_median", "ladder", "CHANGES"]
    assert [d.version for d in found.documents] == [None, "1.0.0", "1.0.0", "1.0", None]
    assert found.documents[1].title == "HK-1"
    for document in found.documents:
        data = (folder / f"{document.id}.md").read_bytes()
        assert document.markdown.encode() == data
        assert document.sha256 == hashlib.sha256(data).hexdigest()


def test_a_superseded_version_is_kept_beside_the_one_in_force(folder: Path) -> None:
    found = library(folder)
    assert found.versions("hk1") == ["0.9.0", "1.0.0"]
    assert found.versions("CHANGES") == found.versions("nobody") == []
    old, new = found.find("hk1", "0.9.0"), found.find("hk1")
    assert old is not None
    assert "As it was." in old.markdown
    assert new is found.find("hk1", "1.0.0")
    assert new is not old
    assert found.find("hk1", "0.8.0") is found.find("nobody") is found.find("CHANGES", "1") is None


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("x.md", b"no title\n", "has no title"),
        ("x.md", b"# A\xff", "is not UTF-8 at byte 3"),
        ("x y.md", b"# A", "is no name of a document"),
        ("versions/nobody-1.0.md", b"# A\n\nVersion 1.0.", "belongs to no document"),
        ("versions/hk1-0.8.0.md", b"# A\n\nVersion 0.7.0.", "its name says 0.8.0, its text 0.7.0"),
        ("versions/hk1-1.0.0.md", b"# A\n\nVersion 1.0.0.", "is the version of hk1 in force"),
    ],
)
def test_what_is_no_document_is_named(folder: Path, name: str, data: bytes, said: str) -> None:
    (folder / name).write_bytes(data)
    with pytest.raises(ConfigError) as error:
        library(folder)
    assert said in str(error.value)
    assert str(folder / name) in str(error.value)


def test_the_bytes_are_hashed_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "windows.md"
    path.write_bytes(b"# Lines\r\n\r\nVersion 2.1-rc.1. End\r\n")
    found = documents.read(path, "windows")
    assert (found.title, found.version) == ("Lines", "2.1-rc.1")
    assert found.markdown.encode() == path.read_bytes()


def test_ours_without_a_document_is_refused_and_theirs_says_nothing(folder: Path, theirs: str) -> None:
    assert hash_of("hk1", folder) == hashlib.sha256(shelves.HK1.encode()).hexdigest()
    with pytest.raises(ConfigError, match="bitmex has no document"):
        hash_of("bitmex", folder)
    assert hash_of(theirs, folder) == ""
    assert library(folder, [theirs]).find(theirs) is None


def test_theirs_has_its_document_beside_its_module(folder: Path, theirs: str) -> None:
    text = b"# Index 7\n\nVersion 3.\n"
    Path(str(methods.load(theirs).__dict__["__file__"])).with_suffix(".md").write_bytes(text)
    assert hash_of(theirs, folder) == hashlib.sha256(text).hexdigest()
    found = library(folder, [theirs, "hk1"]).find(theirs)
    assert found is not None
    assert (found.title, found.version) == ("Index 7", "3")


def test_a_wheel_has_the_folder_inside_and_a_clone_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "oracle" / "documents.py"
    module.parent.mkdir()
    monkeypatch.setattr(documents, "__file__", str(module))
    with pytest.raises(ConfigError, match="the methodology documents are missing"):
        documents.folder()
    (tmp_path / "methodology").mkdir()
    assert documents.folder() == tmp_path / "methodology"
    (module.parent / "methodology").mkdir()
    assert documents.folder() == module.parent / "methodology"


def test_everything_that_a_wheel_takes_in_is_there_when_the_container_builds_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    taken = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert taken["methodology"] == "oracle/methodology"
    copied = re.findall(r"(?m)^COPY (?!--from)(\S+) (\S+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    for source in taken:
        assert (ROOT / source).exists()
        assert (source, source) in copied, f"the Dockerfile does not copy {source}"


def test_every_instrument_names_the_document_of_its_methodology(tmp_path: Path) -> None:
    made: World = config.world(config.load(service.written(tmp_path), {}))
    shipped = library()
    named = [(i.method, i.document) for i in made.indices] + [(p.method, p.document) for p in made.perps]
    assert len(named) == 2
    for method, stated in named:
        document = shipped.find(method)
        assert document is not None
        assert stated == document.sha256


def test_an_empty_library_has_nothing() -> None:
    assert Library(()).find("hk1") is None


@pytest.mark.anyio
async def test_a_running_service_serves_the_document_its_values_name(tmp_path: Path) -> None:
    async with serving(service.settled(tmp_path)) as running, aiohttp.ClientSession() as http:
        base = f"http://127.0.0.1:{running.port}/v1"
        async with http.get(f"{base}/key-parameters/{service.PERP}") as response:
            stated = json.loads(await response.text())
        method, _, version = stated["methodology"].rpartition("-")
        async with http.get(f"{base}/methodology/{method}/{version}") as response:
            served = await response.read()
            assert response.headers["ETag"] == f'"{stated["methodology_hash"]}"'
        async with http.get(f"{base}/methodology/{method}", headers={"Accept": "text/html"}) as response:
            page = await response.text()
    assert hashlib.sha256(served).hexdigest() == stated["methodology_hash"] == stated["mark"]["methodology_hash"]
    assert stated["methodology_hash"] in page
    assert len(stated["configuration_hash"]) == 64
