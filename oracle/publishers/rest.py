"""The public HTTP interface: every question anyone may ask, answered from the hub's boards. No key, no state.

Nothing here computes a price. An answer is what is last known, dressed with its age at the moment it is given.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

import structlog
from aiohttp import hdrs, web

import oracle
from oracle import methods
from oracle.core.method import PerpMethod
from oracle.core.types import NANOS_PER_MS, FundingRate, Nanos, Side
from oracle.core.wire import encode
from oracle.publishers import library, openapi, problems, render, simulating
from oracle.publishers.board import IndexBoard
from oracle.publishers.hub import Hub
from oracle.publishers.library import Library, NoLibrary
from oracle.publishers.limits import Limiter, Limits
from oracle.publishers.perp_board import PerpBoard
from oracle.publishers.problems import Problem, bad_parameter, unknown_instrument
from oracle.publishers.render import Answer, Stamp
from oracle.publishers.stream import Streams
from oracle.publishers.web import Requests, answer, application, unkept

HISTORY_READERS_MAX = 4
_DECIMAL = re.compile(openapi.DECIMAL_PATTERN, re.ASCII)
_MILLIS = re.compile(r"[0-9]{1,15}", re.ASCII)
_DECIMAL_ALLOWED = "a decimal number above 0 with at most 12 digits before and 10 after the point"
log = structlog.get_logger()


class History(Protocol):
    """Whoever remembers settled rates."""

    def funding(self, instrument: str, start_ns: Nanos, end_ns: Nanos, limit: int) -> Sequence[FundingRate]:
        """Settled rates with start_ns ≤ settlement < end_ns, oldest first, at most `limit`. Called in a thread."""
        ...


class Inside(NamedTuple):
    """What other parts of the service say about themselves, as JSON objects."""

    journal: Mapping[str, Any]
    clock: Mapping[str, Any]
    links: Sequence[Mapping[str, Any]]


def _nothing_inside() -> Inside:
    return Inside({}, {}, ())


class Rest:
    """The handlers. Each method named in `openapi.OPERATIONS` answers one path."""

    def __init__(
        self,
        hub: Hub,
        history: History,
        streams: Streams,
        inside: Callable[[], Inside],
        version: str,
        documents: Library,
    ) -> None:
        self._hub, self._history, self._streams = hub, history, streams
        self._inside, self._version, self._library = inside, version, documents
        self._started_ns = hub.stamp().now_ns
        self._readers = asyncio.Semaphore(HISTORY_READERS_MAX)
        self._described = encode(openapi.document(version))

    async def home(self, request: web.Request) -> web.Response:
        """What can be asked for."""
        listed = [(operation.path, operation.summary) for operation in openapi.OPERATIONS]
        endpoints = [{"path": path, "summary": summary} for path, summary in (*listed, *openapi.OTHERS)]
        return answer(request, {"service": "oracle", "version": self._version, "endpoints": endpoints})

    async def description(self, request: web.Request) -> web.Response:
        """OpenAPI 3.1."""
        return answer(request, self._described)

    async def all_key_parameters(self, request: web.Request) -> web.Response:
        """Every perpetual's Key Parameters."""
        stamp = self._hub.stamp()
        items = [board.key_parameters(stamp) for board in self._hub.perps.values()]
        return answer(request, {"items": items, "next": None}, _version(items))

    async def key_parameters(self, request: web.Request) -> web.Response:
        """One perpetual's Key Parameters."""
        return _valued(request, self._perp(request).key_parameters(self._hub.stamp()))

    async def index(self, request: web.Request) -> web.Response:
        """The reference asset price."""
        return _valued(request, self._index(request).index(self._hub.stamp()))

    async def mark(self, request: web.Request) -> web.Response:
        """The product price."""
        return _valued(request, self._perp(request).mark(self._hub.stamp()))

    async def funding(self, request: web.Request) -> web.Response:
        """The running funding rate."""
        return _valued(request, self._perp(request).funding(self._hub.stamp()))

    async def sources(self, request: web.Request) -> web.Response:
        """The sources of an index."""
        return _valued(request, self._index(request).sources(self._hub.stamp()))

    async def valuation(self, request: web.Request) -> web.Response:
        """What a position is worth."""
        board, stamp = self._perp(request), self._hub.stamp()
        side = request.query.get("side")
        if side not in (Side.BUY, Side.SELL):
            raise bad_parameter("side", side, "buy or sell")
        quantity, entry = _decimal(request, "quantity"), _decimal(request, "entry")
        found = board.valuation(Side(side), quantity, entry, stamp)
        if found is None:
            mark = board.mark(stamp)
            detail = f"{board.instrument.id} is {mark['state']}: {', '.join(mark['reasons'])}."
            raise Problem("no_mark", detail, headers={"Retry-After": "1"}, state=mark["state"], reasons=mark["reasons"])
        return _valued(request, found)

    async def instruments(self, request: web.Request) -> web.Response:
        """Everything that is published."""
        items = [board.listed() for board in self._hub.boards.values()]
        return answer(request, {"items": items, "next": None})

    async def funding_history(self, request: web.Request) -> web.Response:
        """Settled rates, a page at a time."""
        board = self._perp(request)
        start_ms = _integer(request, "start", 0, 0, 10**15)
        end_ms = _integer(request, "end", self._hub.stamp().now_ns // NANOS_PER_MS, 0, 10**15)
        limit = _integer(request, "limit", openapi.HISTORY_LIMIT, 1, openapi.HISTORY_LIMIT_MAX)
        if end_ms < start_ms:
            raise bad_parameter("end", str(end_ms), f"at least start ({start_ms})")
        found = await self._settled(board.instrument.id, start_ms, end_ms, limit)
        onward = None
        if len(found) >= limit:
            begin_ms = found[-1].settles_ns // NANOS_PER_MS + 1
            onward = f"/v1/funding/{board.instrument.id}/history?start={begin_ms}&end={end_ms}&limit={limit}"
        items = [board.settled_body(rate) for rate in found]
        return answer(request, {"instrument": board.instrument.id, "items": items, "next": onward})

    async def methodologies(self, request: web.Request) -> web.Response:
        """Every published document."""
        if library.wanted(request, library.LIST) == library.PAGE:
            return library.shown(request, await asyncio.to_thread(self._library.contents))
        found = answer(request, library.listed(self._library))
        found.headers[hdrs.VARY] = hdrs.ACCEPT
        return found

    async def methodology(self, request: web.Request) -> web.Response:
        """A document, as Markdown or as a page; of one version where the path names it."""
        name, version = request.match_info["id"], request.match_info.get("version")
        document = library.found(self._library, name, version)
        if library.wanted(request) == library.MARKDOWN:
            return library.text(request, document)
        page = await asyncio.to_thread(self._library.page, name, version)
        return library.shown(request, page, document)

    methodology_version = methodology

    async def simulate_funding(self, request: web.Request) -> web.Response:
        """What a premium would cost."""
        asked = self._funders(request.query.get("method"))
        at_ns = _instant(request, self._hub.stamp().now_ns)
        premium = _share(request, "premium", simulating.PREMIUM)
        notional = _decimal(request, "notional", simulating.NOTIONAL)
        count = _integer(request, "points", 0, 2, simulating.POINTS_MAX)
        reach = _share(request, "reach", simulating.REACH)
        if count and len(asked) != 1:
            raise bad_parameter("method", None, "the id of one methodology where points are asked for")
        items = []
        for (name, method), (_, rules, made) in zip(
            asked, simulating.costs(asked, premium, float(notional), at_ns), strict=True
        ):
            item = simulating.line(name, rules, made, getattr(self._library.find(name), "sha256", ""))
            if count:
                found = simulating.drawn(method, rules, reach, count, float(notional))
                item["curve"] = [simulating.point(made) for made in found]
            items.append(item)
        said = {"ts": at_ns // NANOS_PER_MS, "premium": render.plain(premium), "notional": format(notional, "f")}
        return answer(request, {**said, "items": items, "next": None})

    async def status(self, request: web.Request) -> web.Response:
        """How the service and every instrument stand."""
        hub, stamp, inside = self._hub, self._hub.stamp(), self._inside()
        return unkept(
            {
                "service": self._service(stamp),
                "instruments": [_standing(board, stamp) for board in hub.boards.values()],
                "alerts": [render.alert_body(alert) for alert in hub.active_alerts()],
                "journal": dict(inside.journal),
                "clock": dict(inside.clock),
                "links": [dict(link) for link in inside.links],
            }
        )

    async def time(self, request: web.Request) -> web.Response:
        """The service's clock."""
        now_ns = self._hub.stamp().now_ns
        return unkept({"ts": now_ns // NANOS_PER_MS, "ts_ns": str(now_ns)})

    async def problem(self, request: web.Request) -> web.Response:
        """What a problem means."""
        code = request.match_info["code"]
        if code not in problems.PROBLEMS:
            raise Problem("unknown_path", f"There is no problem {code[:64]!r}.", codes=list(problems.PROBLEMS))
        return answer(request, problems.page(code))

    async def livez(self, request: web.Request) -> web.Response:
        """The loop turns, or this would not be answered."""
        return unkept({"live": True})

    async def readyz(self, request: web.Request) -> web.Response:
        """Whether the service may be used."""
        if reasons := self._hub.unready():
            raise Problem("not_ready", f"Not ready: {'; '.join(reasons)}.", reasons=reasons)
        return unkept({"ready": True})

    def _funders(self, name: str | None) -> list[tuple[str, PerpMethod]]:
        """Whom to ask: the methodologies shipped or in use, and no other module. Raises Problem."""
        known = dict.fromkeys([*methods.shipped(), *(perp.instrument.method for perp in self._hub.perps.values())])
        funders = list(simulating.funders(known if name is None else [name] if name in known else ()))
        if not funders:
            can = [each for each, _ in simulating.funders(known)]
            near = problems.nearest(name or "", can)
            raise bad_parameter("method", name, f"a methodology that funds: {', '.join(can)}", nearest=near)
        return funders

    def _service(self, stamp: Stamp) -> Answer:
        world, unready = self._hub.world, self._hub.unready()
        stale = any(render.SERVICE_STALE in reason for reason in unready)
        state = "halted" if stamp.halted else "stale" if stale else "warming" if unready else "ready"
        return {
            "state": state,
            "reasons": unready,
            "version": self._version,
            "epoch": stamp.epoch,
            "methodology": world.methodology,
            "configuration_hash": world.configuration_hash,
            "ts": stamp.now_ns // NANOS_PER_MS,
            "started_ts": self._started_ns // NANOS_PER_MS,
            "uptime_ms": (stamp.now_ns - self._started_ns) // NANOS_PER_MS,
            "streams": self._streams.open,
        }

    async def _settled(self, instrument: str, start_ms: int, end_ms: int, limit: int) -> Sequence[FundingRate]:
        """Ask history in a thread, a few at a time."""
        start_ns, end_ns = start_ms * NANOS_PER_MS, (end_ms + 1) * NANOS_PER_MS  # `end` is asked for too
        async with self._readers:
            try:
                return await asyncio.to_thread(self._history.funding, instrument, start_ns, end_ns, limit)
            except Exception as error:
                log.exception("rest.history", instrument=instrument)
                raise Problem("history_unavailable", f"The history of {instrument} cannot be read now.") from error

    def _index(self, request: web.Request) -> IndexBoard:
        name = request.match_info["instrument"]
        if (board := self._hub.indices.get(name)) is not None:
            return board
        if (perp := self._hub.perps.get(name)) is not None:
            near = perp.instrument.index
            raise Problem("wrong_kind", f"{name} is a perpetual; its index is {near}.", nearest=[near])
        raise unknown_instrument(name, self._hub.indices)

    def _perp(self, request: web.Request) -> PerpBoard:
        name = request.match_info["instrument"]
        if (board := self._hub.perps.get(name)) is not None:
            return board
        if name in self._hub.indices:
            near = [perp.instrument.id for perp in self._hub.perps.values() if perp.instrument.index == name]
            detail = f"{name} is an index. " + (
                f"Did you mean {' or '.join(near)}?" if near else "It has no perpetual."
            )
            raise Problem("wrong_kind", detail, nearest=near)
        raise unknown_instrument(name, self._hub.perps)


def make_app(
    hub: Hub,
    history: History,
    *,
    inside: Callable[[], Inside] = _nothing_inside,
    documents: Library | None = None,
    limits: Limits | None = None,
    requests: Requests | None = None,
    version: str = oracle.__version__,
    now_s: Callable[[], float] = time.monotonic,
) -> web.Application:
    """The public application: REST and the stream. `now_s` drives the rate limit; `requests` counts for metrics."""
    limits = limits or Limits()
    limiter = Limiter(limits.requests_per_s, limits.requests_burst, now_s)
    app = application(limiter, Requests() if requests is None else requests)
    streams = Streams(hub, limits, now_s)
    rest = Rest(hub, history, streams, inside, version, documents or NoLibrary())
    for operation in openapi.OPERATIONS:
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]] = getattr(rest, operation.name)
        app.router.add_get(operation.path, handler)
    app.router.add_get("/openapi.json", rest.description)
    app.router.add_get("/v1/stream", streams.serve, allow_head=False)
    app.cleanup_ctx.append(streams.running)
    app[STREAMS] = streams
    return app


STREAMS = web.AppKey("streams", Streams)


def _valued(request: web.Request, payload: Answer) -> web.Response:
    return answer(request, payload, _version([payload]) + str(request.rel_url.raw_query_string))


def _version(items: Sequence[Answer]) -> str:
    """What answers say, but for digits that only the passing of a fraction of a second changes."""
    parts = []
    for item in items:
        age_s = None if item["age_ms"] is None else item["age_ms"] // 1_000
        parts.append(f"{item['epoch']} {item['instrument']} {item['seq']} {age_s} {item['state']} {item['reasons']}")
    return "\n".join(parts)


def _standing(board: IndexBoard | PerpBoard, stamp: Stamp) -> Answer:
    shown = board.snapshot(stamp)
    return {key: shown[key] for key in (*render.STANDING, "kind")}


def _decimal(request: web.Request, name: str, default: str | None = None) -> Decimal:
    """A query parameter that must be a positive decimal. Raises Problem."""
    said = request.query.get(name, default)
    if said is None or not _DECIMAL.fullmatch(said) or not (value := Decimal(said)):
        raise bad_parameter(name, said, _DECIMAL_ALLOWED)
    return value


def _share(request: web.Request, name: str, default: str) -> float:
    """A query parameter that must be a share of the index. Raises Problem."""
    said = request.query.get(name, default)
    found = simulating.share(said)
    if found is None or abs(found) > simulating.SHARE_MAX:
        allowed = f"a share from -{simulating.SHARE_MAX:g} to {simulating.SHARE_MAX:g}: {simulating.SHARE_EXAMPLES}"
        raise bad_parameter(name, said, allowed)
    return found


def _instant(request: web.Request, default_ns: Nanos) -> Nanos:
    """The query parameter `at`. Raises Problem."""
    said = request.query.get("at")
    if said is None:
        return default_ns
    if (found := simulating.instant(said)) is None:
        raise bad_parameter("at", said, simulating.INSTANT_EXAMPLES)
    return found


def _integer(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    """A query parameter that may be an integer within bounds. Raises Problem."""
    said = request.query.get(name)
    if said is None:
        return default
    if not _MILLIS.fullmatch(said) or not low <= int(said) <= high:
        raise bad_parameter(name, said, f"an integer from {low} to {high}")
    return int(said)
