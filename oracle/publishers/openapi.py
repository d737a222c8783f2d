"""Everything that can be asked for: one table, from which come the routes, the list at `/`, and /openapi.json."""

from __future__ import annotations

from typing import Any, NamedTuple

from oracle.publishers import schemas
from oracle.publishers.problems import CONTENT_TYPE, PROBLEMS
from oracle.publishers.render import Answer
from oracle.publishers.simulating import INSTANT_EXAMPLES, POINTS_MAX, SHARE_EXAMPLES


class Parameter(NamedTuple):
    """Something a caller may say in the query."""

    name: str
    schema: dict[str, Any]
    text: str
    required: bool = False


class Operation(NamedTuple):
    """One GET: `name` is its handler, `model` the shape of its answer, `problems` what else it may answer.

    `texts` are the media types of answers that have no model: of all of them, where `model` is "".
    """

    path: str
    name: str
    summary: str
    model: str
    problems: tuple[str, ...] = ()
    query: tuple[Parameter, ...] = ()
    texts: tuple[str, ...] = ()


DECIMAL_PATTERN = r"^[0-9]{1,12}(\.[0-9]{1,10})?$"  # few enough digits that the value of a position stays exact
_DECIMAL = {"type": "string", "pattern": DECIMAL_PATTERN}
_TIME = {"type": "integer", "minimum": 0}
_SHARE = {"type": "string", "maxLength": 48}
_DOCUMENTS = ("unknown_methodology", "bad_parameter")
_TEXTS = ("text/markdown", "text/html")
_FORMAT = Parameter("format", {"type": "string", "enum": ["markdown", "html"]}, "before what Accept says")
_NAMED = ("unknown_instrument", "wrong_kind")
HISTORY_LIMIT_MAX = 1_000
HISTORY_LIMIT = 100

OPERATIONS = (
    Operation("/", "home", "What can be asked for", "Home"),
    Operation("/v1/key-parameters", "all_key_parameters", "Key Parameters of every perpetual", "KeyParametersList"),
    Operation("/v1/key-parameters/{instrument}", "key_parameters", "The four Key Parameters", "KeyParameters", _NAMED),
    Operation(
        "/v1/valuation/{instrument}",
        "valuation",
        "What a position is worth at the mark",
        "Valuation",
        (*_NAMED, "bad_parameter", "no_mark"),
        (
            Parameter("side", {"type": "string", "enum": ["buy", "sell"]}, "buy is long, sell is short", True),
            Parameter("quantity", _DECIMAL, "contracts, above zero", True),
            Parameter("entry", _DECIMAL, "entry price, above zero", True),
        ),
    ),
    Operation("/v1/instruments", "instruments", "Everything that is published", "InstrumentList"),
    Operation("/v1/index/{instrument}", "index", "The reference asset price", "Index", _NAMED),
    Operation("/v1/mark/{instrument}", "mark", "The product price", "Mark", _NAMED),
    Operation("/v1/funding/{instrument}", "funding", "The running funding rate and its inputs", "Funding", _NAMED),
    Operation(
        "/v1/funding/{instrument}/history",
        "funding_history",
        "Settled funding rates, oldest first",
        "FundingHistory",
        (*_NAMED, "bad_parameter", "history_unavailable"),
        (
            Parameter("start", _TIME, "settled at or after this time, ms"),
            Parameter("end", _TIME, "settled at or before this time, ms; default now"),
            Parameter(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": HISTORY_LIMIT_MAX, "default": HISTORY_LIMIT},
                "how many at most",
            ),
        ),
    ),
    Operation("/v1/sources/{instrument}", "sources", "Every source of an index, judged", "Sources", _NAMED),
    Operation(
        "/v1/methodology",
        "methodologies",
        "Every published document, with its version and hash",
        "MethodologyList",
        ("bad_parameter",),
        (Parameter("format", {"type": "string", "enum": ["json", "html"]}, "before what Accept says"),),
        ("text/html",),
    ),
    Operation("/v1/methodology/{id}", "methodology", "A document in force", "", _DOCUMENTS, (_FORMAT,), _TEXTS),
    Operation(
        "/v1/methodology/{id}/{version}",
        "methodology_version",
        "A version of a document",
        "",
        (*_DOCUMENTS, "unknown_version"),
        (_FORMAT,),
        _TEXTS,
    ),
    Operation(
        "/v1/simulate/funding",
        "simulate_funding",
        "What a premium would cost, under one methodology or every one that funds",
        "FundingSimulation",
        ("bad_parameter",),
        (
            Parameter("method", {"type": "string"}, "the id of a methodology; without it all that fund"),
            Parameter("premium", _SHARE, f"mean premium: {SHARE_EXAMPLES}; default 5bp"),
            Parameter("notional", _DECIMAL, "position × index, in its quote currency; default 50000"),
            Parameter("at", {"type": "string"}, f"by the parameters in force then: {INSTANT_EXAMPLES}; default now"),
            Parameter(
                "points",
                {"type": "integer", "minimum": 2, "maximum": POINTS_MAX},
                "with a method: its curve, of so many points",
            ),
            Parameter("reach", _SHARE, "the curve goes so far either way; default 1%"),
        ),
    ),
    Operation("/v1/status", "status", "How the service stands", "Status"),
    Operation("/v1/time", "time", "The service's clock", "Time"),
    Operation("/v1/problems/{code}", "problem", "What a problem means", "ProblemPage", ("unknown_path",)),
    Operation("/livez", "livez", "The loop turns", "Live"),
    Operation("/readyz", "readyz", "The service may be used", "Ready", ("not_ready",)),
)
OTHERS = (  # paths whose answers have no model
    ("/openapi.json", "This description of the interface"),
    ("/v1/stream", "WebSocket: every value as it is made"),
)
COMMON = ("rate_limited", "internal_error")


def document(version: str) -> Answer:
    """The OpenAPI 3.1 description of the interface."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "oracle",
            "version": version,
            "summary": "Index prices, mark prices and funding rates that anyone can recompute",
            "description": "Free, without a key, and with CORS *. Prices and rates are decimal strings, times are ms.",
        },
        "paths": {operation.path: {"get": _get(operation)} for operation in OPERATIONS},
        "components": {"schemas": schemas.components()},
    }


def _get(operation: Operation) -> Answer:
    names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    path = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    query = [
        {"name": p.name, "in": "query", "required": p.required, "schema": p.schema, "description": p.text}
        for p in operation.query
    ]
    return {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": [*path, *query],
        "responses": {"200": _answered(operation), **_refusals(operation)},
    }


def _answered(operation: Operation) -> Answer:
    """What a good answer is: of a model, a text, or either."""
    made = _answer(operation.summary, operation.model) if operation.model else {}
    texts = {media_type: {"schema": {"type": "string"}} for media_type in operation.texts}
    return {"description": operation.summary, "content": {**made.get("content", {}), **texts}}


def _answer(text: str, model: str, content_type: str = "application/json") -> Answer:
    return {
        "description": text,
        "content": {content_type: {"schema": {"$ref": f"#/components/schemas/{model}"}}},
    }


def _refusals(operation: Operation) -> Answer:
    """The problems of an operation, by status: several codes may share one."""
    titles: dict[int, list[str]] = {}
    for code in (*operation.problems, *COMMON):
        titles.setdefault(PROBLEMS[code].status, []).append(f"{code}: {PROBLEMS[code].title}")
    return {
        str(status): _answer("; ".join(found), "ProblemDocument", CONTENT_TYPE)
        for status, found in sorted(titles.items())
    }
