"""The conventions of every HTTP answer, on a real server."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from aiohttp import web

from oracle.publishers.limits import Limiter, Limits
from oracle.publishers.web import HEADER_BYTES_MAX, Requests, answer, application, serve


@pytest.mark.anyio
async def test_every_answer_is_open_to_browsers_and_says_nothing_of_the_server(serving: Any) -> None:
    async with serving() as session:
        for path in ("/v1/key-parameters", "/nothing", "/readyz"):
            async with session.get(path, headers={"Origin": "https://elsewhere.example"}) as response:
                assert response.headers["Access-Control-Allow-Origin"] == "*"
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
                assert "Server" not in response.headers


@pytest.mark.anyio
async def test_a_preflight_is_answered(serving: Any) -> None:
    async with serving() as session, session.options("/v1/time") as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS"


@pytest.mark.anyio
async def test_what_the_caller_has_is_not_sent_again(serving: Any, hub: Any, make: Any, clock: Any) -> None:
    hub.publish(make.whole())
    async with serving() as session:
        async with session.get("/v1/index/BTC-USD") as first:
            tag = first.headers["ETag"]
            assert tag.startswith('W/"')
            assert first.headers["Cache-Control"] == "public, max-age=1"
        clock.advance(100_000_000)
        async with session.get("/v1/index/BTC-USD", headers={"If-None-Match": f'"x", {tag}'}) as same:
            assert (same.status, same.headers["ETag"], await same.read()) == (304, tag, b"")
        clock.advance(1_000_000_000)
        async with session.get("/v1/index/BTC-USD", headers={"If-None-Match": tag}) as older:
            assert older.status == 200, "an answer that became older by a second is another answer"
        async with session.get("/openapi.json") as fixed:
            assert fixed.headers["ETag"].startswith('"')
        async with session.get("/v1/instruments", headers={"If-None-Match": "*"}) as anything:
            assert anything.status == 304


@pytest.mark.anyio
async def test_head_has_the_headers_alone(serving: Any) -> None:
    async with serving() as session, session.head("/v1/instruments") as response:
        assert (response.status, await response.read()) == (200, b"")
        assert int(response.headers["Content-Length"]) > 100


@pytest.mark.anyio
async def test_too_many_requests_are_told_when_to_come_back(serving: Any) -> None:
    now_s = 50.0
    async with serving(limits=Limits(requests_per_s=1.0, requests_burst=3), now_s=lambda: now_s) as session:
        for left in (2, 1, 0):
            async with session.get("/v1/time") as response:
                assert response.headers["RateLimit-Limit"] == "3"
                assert response.headers["RateLimit-Remaining"] == str(left)
        async with session.get("/v1/time") as response:
            problem = await response.json(content_type="application/problem+json")
            assert (response.status, problem["code"]) == (429, "rate_limited")
            assert response.headers["Retry-After"] == response.headers["RateLimit-Reset"] == "1"
        async with session.get("/livez") as watched:
            assert watched.status == 200, "whoever watches over the service is not turned away"
        now_s = 51.0
        async with session.get("/v1/time") as response:
            assert response.status == 200


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v2", 404, "unknown_path"),
        ("GET", "/v1/index/", 404, "unknown_path"),
        ("POST", "/v1/time", 405, "method_not_allowed"),
        ("DELETE", "/v1/key-parameters", 405, "method_not_allowed"),
    ],
)
async def test_refusals_are_problem_documents(serving: Any, method: str, path: str, status: int, code: str) -> None:
    async with serving() as session, session.request(method, path) as response:
        problem = await response.json(content_type="application/problem+json")
        assert (response.status, problem["status"], problem["code"]) == (status, status, code)
        assert (problem["instance"], problem["doc_url"]) == (path, f"/v1/problems/{code}")
        assert response.headers["Cache-Control"] == "no-store"
        if status == 405:
            assert response.headers["Allow"] == "GET, HEAD, OPTIONS"


async def spoken(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"GET /v1/time HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * (HEADER_BYTES_MAX + 1) + b"\r\n\r\n",
        b"GET /" + b"x" * 5_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/time HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: 1\r\n" % i for i in range(80)) + b"\r\n",
    ],
    ids=["tls", "header", "line", "headers"],
)
async def test_what_is_no_http_is_refused_without_a_banner(serving: Any, data: bytes) -> None:
    async with serving() as session:
        text = await spoken(session._base_url.port, data)
    head, _, body = text.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400") or head.startswith(b"HTTP/1.0 400")
    assert b"\r\nServer:" not in head
    assert b'"code":"bad_request"' in body
    assert b"Traceback" not in body


def _app(requests: Requests) -> web.Application:
    app = application(Limiter(100.0, 100, lambda: 0.0), requests)

    async def breaks(request: web.Request) -> web.Response:
        raise RuntimeError("secret detail")

    async def reads(request: web.Request) -> web.Response:
        return answer(request, {"length": len(await request.read())})

    async def refuses(request: web.Request) -> web.Response:
        raise web.HTTPBadRequest(reason="no")

    app.router.add_get("/breaks", breaks)
    app.router.add_get("/reads", reads)
    app.router.add_get("/refuses", refuses)
    return app


@pytest.mark.anyio
async def test_a_fault_is_told_without_its_details_and_counted() -> None:
    requests = Requests()
    runner, port = await serve(_app(requests), "127.0.0.1", 0)
    try:
        text = await spoken(port, b"GET /breaks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        large = b"GET /reads HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\nConnection: close\r\n\r\n" + b"x" * 5_000
        assert b"413" in (await spoken(port, large)).split(b"\r\n")[0]
        refused = await spoken(port, b"GET /refuses HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b'"code":"bad_request"' in refused
        await spoken(port, b"GET /else HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    finally:
        await runner.cleanup()
    assert b'"code":"internal_error"' in text
    assert b"secret" not in text
    assert requests.answered == {("/breaks", 500): 1, ("/reads", 413): 1, ("/refuses", 400): 1, ("unmatched", 404): 1}


@pytest.mark.anyio
async def test_a_busy_port_is_an_error_and_leaves_nothing_behind() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="address already in use"):
            await serve(_app(Requests()), "127.0.0.1", taken.getsockname()[1])
