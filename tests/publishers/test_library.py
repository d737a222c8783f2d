"""Documents on a real server: the very bytes that a hash is of, or a page that may do nothing but be read."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from oracle import documents
from oracle.edition.pages import Shelf
from oracle.publishers import library
from oracle.publishers.limits import Limits
from oracle.publishers.problems import Problem
from tests import shelves

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
SHA256 = hashlib.sha256(shelves.HK1.encode()).hexdigest()


@pytest.mark.anyio
async def test_markdown_is_served_byte_for_byte_under_its_hash(serving: Any, shelf: Shelf) -> None:
    async with serving(documents=shelf) as session:
        for path in ("/v1/methodology/hk1", "/v1/methodology/hk1/1.0.0", "/v1/methodology/hk1?format=markdown"):
            async with session.get(path) as response:
                body = await response.read()
                assert body == shelves.HK1.encode()
                assert response.headers["ETag"] == f'"{SHA256}"'
                assert response.headers["Methodology-Hash"] == SHA256
                digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
                assert response.headers["Repr-Digest"] == f"sha-256=:{digest}:"
                assert response.headers["Content-Type"] == "text/markdown; charset=utf-8"
                assert response.headers["Vary"] == "Accept"
        async with session.get("/v1/methodology/hk1", headers={"If-None-Match": f'"{SHA256}"'}) as same:
            assert (same.status, await same.read()) == (304, b"")
        async with session.get("/v1/methodology/hk1/0.9.0") as old:
            assert "As it was." in await old.text()
            assert old.headers["Methodology-Hash"] != SHA256


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "headers"),
    [("/v1/methodology/hk1", HTML), ("/v1/methodology/hk1?format=html", {"Accept": "text/markdown"})],
)
async def test_a_page_may_show_its_style_and_nothing_else(
    serving: Any, shelf: Shelf, path: str, headers: dict[str, str]
) -> None:
    async with serving(documents=shelf) as session, session.get(path, headers=headers) as response:
        page = await response.text()
        policy = response.headers["Content-Security-Policy"]
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert response.headers["Methodology-Hash"] == SHA256
        tag = response.headers["ETag"].strip('"')
    assert tag == hashlib.sha256(page.encode()).hexdigest()
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    allowed = base64.b64encode(hashlib.sha256(style[0].encode()).digest()).decode()
    assert len(style) == 1
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{allowed}'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.anyio
async def test_the_list_has_hashes_versions_and_dated_sets(serving: Any, shelf: Shelf) -> None:
    async with serving(documents=shelf) as session:
        async with session.get("/v1/methodology") as response:
            items = {item["id"]: item for item in (await response.json())["items"]}
        for item in items.values():
            async with session.get(item["url"]) as response:
                assert hashlib.sha256(await response.read()).hexdigest() == item["sha256"]
        async with session.get("/v1/methodology", headers=HTML) as response:
            page = await response.text()
        async with session.get("/v1/methodology?format=json", headers=HTML) as response:
            assert response.content_type == "application/json"
    assert list(items) == ["README", "hk1", "weighted_median", "ladder", "CHANGES"]
    assert items["hk1"]["sets"] == [{"version": "1.0.0", "effective_ts": 0}]
    assert items["hk1"]["versions"] == ["0.9.0", "1.0.0"]
    assert (items["ladder"]["kind"], items["ladder"]["sets"], items["hk1"]["kind"]) == ("supporting", [], "methodology")
    assert all(item["sha256"] in page for item in items.values())


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "status", "code", "said"),
    [
        ("/v1/methodology/hk2", 404, "unknown_methodology", "hk1"),
        ("/v1/methodology/LADDER", 404, "unknown_methodology", "ladder"),
        ("/v1/methodology/..%2Fpyproject", 404, "unknown_methodology", "pyproject"),
        ("/v1/methodology/hk1/0.8.0", 404, "unknown_version", "only where its text was kept"),
        ("/v1/methodology/CHANGES/1.0", 404, "unknown_version", "it has no versions"),
        ("/v1/methodology/hk1?format=pdf", 400, "bad_parameter", "markdown or html"),
        ("/v1/methodology?format=markdown", 400, "bad_parameter", "json or html"),
    ],
)
async def test_what_is_not_there_is_a_problem_that_helps(
    serving: Any, shelf: Shelf, path: str, status: int, code: str, said: str
) -> None:
    async with serving(documents=shelf) as session, session.get(path) as response:
        problem = await response.json(content_type="application/problem+json")
    assert (response.status, problem["code"]) == (status, code)
    assert said in problem["detail"]
    if code == "unknown_version":
        assert problem["versions"] == shelf.versions(path.split("/")[3])


@pytest.mark.anyio
async def test_a_service_without_documents_has_none(serving: Any) -> None:
    async with serving() as session:
        async with session.get("/v1/methodology") as response:
            assert (await response.json())["items"] == []
        async with session.get("/v1/methodology?format=html") as response:
            assert response.status == 404
        async with session.get("/v1/methodology/hk1") as response:
            assert (await response.json(content_type=None))["nearest"] == []
    assert library.NoLibrary().versions("hk1") == []
    with pytest.raises(LookupError):
        library.NoLibrary().page("hk1", None)


@pytest.mark.anyio
async def test_documents_are_under_the_limit_of_requests_too(serving: Any, shelf: Shelf) -> None:
    limits = Limits(requests_per_s=1.0, requests_burst=2)
    async with serving(documents=shelf, limits=limits, now_s=lambda: 1.0) as session:
        statuses = []
        for path in ("/v1/methodology/hk1", "/v1/simulate/funding", "/v1/methodology/hk1"):
            async with session.get(path) as response:
                statuses.append(response.status)
    assert statuses == [200, 200, 429]


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", library.MARKDOWN),
        ("*/*", library.MARKDOWN),
        ("text/html", library.PAGE),
        ("TEXT/HTML;q=0.9", library.PAGE),
        ("text/html;q=0", library.MARKDOWN),
        ("text/html;q=0.4, text/markdown;q=0.5", library.MARKDOWN),
        ("text/markdown;q=0.4, text/html;q=x", library.PAGE),
        ("application/pdf", library.MARKDOWN),
    ],
)
def test_the_type_that_is_preferred(accept: str, wanted: str) -> None:
    request = make_mocked_request("GET", "/v1/methodology/hk1", headers={"Accept": accept})
    assert library.wanted(request) == wanted


@given(accept=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60))
def test_no_accept_header_is_an_error(accept: str) -> None:
    assert library._weight(accept, library.PAGE) >= 0.0


def test_what_is_found_is_what_the_library_has(shelf: Shelf) -> None:
    assert library.found(shelf, "hk1", None).sha256 == SHA256
    with pytest.raises(Problem, match="There is no document"):
        library.found(documents.Library(()), "hk1", None)  # type: ignore[arg-type]
