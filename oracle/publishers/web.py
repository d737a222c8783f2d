"""What every HTTP answer has in common: headers, entity tags, limits, problems in place of errors, and no banner."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping

import structlog
from aiohttp import ETag, hdrs, web
from aiohttp.http_exceptions import BadHttpMessage

from oracle.core.wire import encode
from oracle.publishers import problems
from oracle.publishers.limits import Grant, Limiter
from oracle.publishers.problems import PROBLEMS, Problem
from oracle.publishers.render import Answer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LINE_BYTES_MAX = 4_096
HEADER_BYTES_MAX = 4_096
HEADERS_MAX = 64
BODY_BYTES_MAX = 1_024
SHUTDOWN_S = 2.0
UNLIMITED = ("/livez", "/readyz")  # whoever watches over the service must not be turned away
GRANT = web.RequestKey("grant", Grant)
UNMATCHED = "unmatched"
_ALLOWED = ("GET", "HEAD", "OPTIONS")
_SAFE = {
    hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
    hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: "ETag, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, "
    "Methodology-Hash, Repr-Digest",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_PREFLIGHT = {
    hdrs.ALLOW: ", ".join(_ALLOWED),
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: ", ".join(_ALLOWED),
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "*",
    hdrs.ACCESS_CONTROL_MAX_AGE: "86400",
}
_HANDLER = {
    "max_line_size": LINE_BYTES_MAX,
    "max_field_size": HEADER_BYTES_MAX,
    "max_headers": HEADERS_MAX,
    "access_log": None,
}
log = structlog.get_logger()


class Requests:
    """How many requests were answered, by route and status code: a metric."""

    def __init__(self) -> None:
        self.answered: Counter[tuple[str, int]] = Counter()

    def count(self, request: web.Request, status: int) -> None:
        """One more. Unmatched paths share a name, so that nobody can make new ones."""
        resource = request.match_info.route.resource
        self.answered[UNMATCHED if resource is None else resource.canonical, status] += 1


def application(limiter: Limiter, requests: Requests) -> web.Application:
    """An application whose every answer follows the conventions; routes are added by whoever has answers."""

    @web.middleware
    async def conventions(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await _answered(request, handler, limiter)
        requests.count(request, response.status)
        return response

    app = web.Application(middlewares=[conventions], client_max_size=BODY_BYTES_MAX, handler_args=_HANDLER)
    app.on_response_prepare.append(_dress)
    return app


async def _answered(request: web.Request, handler: Handler, limiter: Limiter) -> web.StreamResponse:
    """The handler's answer, or the problem that stands in its place."""
    try:
        if request.path not in UNLIMITED:
            _admit(request, limiter)
        if request.method == hdrs.METH_OPTIONS:
            return web.Response(status=204, headers=_PREFLIGHT)
        return await handler(request)
    except Problem as problem:
        return refusal(problem, request.path)
    except web.HTTPException as error:
        return refusal(_translated(error, request), request.path)
    except Exception:
        log.exception("rest.failed", path=request.path)
        return refusal(Problem("internal_error", "The service could not answer this."), request.path)


def _admit(request: web.Request, limiter: Limiter) -> None:
    grant = request[GRANT] = limiter.take(request.remote or "")
    if not grant.allowed:
        detail = f"More than {grant.limit} requests at once, or too many a second; wait {grant.reset_s} s."
        raise Problem("rate_limited", detail, headers={hdrs.RETRY_AFTER: str(grant.reset_s)})


def _translated(error: web.HTTPException, request: web.Request) -> Problem:
    """What the framework itself refuses, in our words."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        detail = f"{request.method[:16]} is not answered here."
        return Problem("method_not_allowed", detail, headers={hdrs.ALLOW: ", ".join(_ALLOWED)})
    if error.status == 404:
        return Problem("unknown_path", f"There is nothing at {request.path[:128]}. GET / lists what there is.")
    if error.status == 413:
        return Problem("too_large", f"At most {BODY_BYTES_MAX} bytes are read.")
    return Problem("bad_request", error.reason)


def refusal(problem: Problem, path: str) -> web.Response:
    """A problem as an answer."""
    return web.Response(
        status=problem.kind.status,
        body=encode(problems.document(problem, path)),
        content_type=problems.CONTENT_TYPE,
        headers={hdrs.CACHE_CONTROL: "no-store", **problem.headers},
    )


async def _dress(request: web.Request, response: web.StreamResponse) -> None:
    """The headers of every answer; one that a handler has set itself stays."""
    headers = response.headers
    headers.pop(hdrs.SERVER, None)
    for name, value in _SAFE.items():
        headers.setdefault(name, value)
    grant = request.get(GRANT)
    if grant is not None:
        headers["RateLimit-Limit"] = str(grant.limit)
        headers["RateLimit-Remaining"] = str(grant.remaining)
        headers["RateLimit-Reset"] = str(grant.reset_s)


def answer(request: web.Request, payload: Answer | bytes, version: str | None = None) -> web.Response:
    """A public answer, or 304 when the caller has it already.

    `version` names what the answer says, apart from digits that only the passing of time changes; without it the bytes
    name themselves.
    """
    body = payload if isinstance(payload, bytes) else encode(payload)
    tag = hashlib.sha256(body if version is None else version.encode()).hexdigest()[:32]
    if _has(request.if_none_match, tag):
        response = web.Response(status=304)
    else:
        response = web.Response(body=body, content_type="application/json")
    response.etag = ETag(value=tag, is_weak=version is not None)
    response.headers[hdrs.CACHE_CONTROL] = "public, max-age=1"
    return response


def stored(
    request: web.Request, body: bytes, content_type: str, tag: str, kept_s: int, headers: Mapping[str, str]
) -> web.Response:
    """A text that stands for as long as the process does, under an entity tag of its own, or 304."""
    if _has(request.if_none_match, tag):
        response = web.Response(status=304, headers=headers)
    else:
        response = web.Response(body=body, content_type=content_type, charset="utf-8", headers=headers)
    response.etag = tag
    response.headers[hdrs.CACHE_CONTROL] = f"public, max-age={kept_s}"
    return response


def unkept(payload: Answer, status: int = 200) -> web.Response:
    """An answer that nobody may keep."""
    return web.Response(
        status=status, body=encode(payload), content_type="application/json", headers={hdrs.CACHE_CONTROL: "no-store"}
    )


def _has(tags: Iterable[ETag] | None, tag: str) -> bool:
    return tags is not None and any(known.value in ("*", tag) for known in tags)


class _Visitor(web.RequestHandler):
    """One connection. What is no HTTP is answered as a problem too, without a banner and without a traceback."""

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """The answer to bytes that the parser refuses; closes the connection."""
        if not isinstance(exc, BadHttpMessage):
            log.error("rest.broken", status=status, exc_info=exc)
        code = "bad_request" if status < 500 else "internal_error"
        response = _Bare(
            status=PROBLEMS[code].status,
            body=encode(problems.document(Problem(code, PROBLEMS[code].meaning), "/")),
            content_type=problems.CONTENT_TYPE,
            headers={**_SAFE, hdrs.CACHE_CONTROL: "no-store"},
        )
        response.force_close()
        return response


class _Bare(web.Response):
    """An answer that goes past the application's hooks."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.pop(hdrs.SERVER, None)


class _Door(web.Server):
    """The listening side, which meets each connection with a `_Visitor`."""

    def __call__(self) -> web.RequestHandler:
        return _Visitor(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """Runs an application of this module behind its own door."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Door(made.request_handler, request_factory=made.request_factory, loop=made._loop, **made._kwargs)


async def serve(app: web.Application, host: str, port: int) -> tuple[Runner, int]:
    """Listen; the answer is what to clean up, and the port, which the system chose if asked for 0. Raises OSError."""
    runner = Runner(app, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner, runner.addresses[0][1]
