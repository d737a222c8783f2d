"""Every question on a real server: each answer has its shape, each refusal its reason."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from oracle.clock import ManualClock
from oracle.core.types import FundingRate
from oracle.edition.pages import Shelf
from oracle.publishers import openapi, schemas
from oracle.publishers.hub import Hub
from oracle.publishers.rest import Inside

PERP = "BTC-USD-PERP"
ARGUMENTS = {"key_parameters": PERP, "mark": PERP, "funding": PERP, "funding_history": PERP, "valuation": PERP}


class Remembering:
    """A history of ten settlements, one a second."""

    def __init__(self, rates: list[FundingRate]) -> None:
        self.rates = rates

    def funding(self, instrument: str, start_ns: int, end_ns: int, limit: int) -> list[FundingRate]:
        return [rate for rate in self.rates if start_ns <= rate.settles_ns < end_ns][:limit]


class Broken:
    """A history that cannot be read."""

    def funding(self, instrument: str, start_ns: int, end_ns: int, limit: int) -> list[FundingRate]:
        raise RuntimeError("database is locked")


async def got(session: Any, path: str, status: int = 200) -> Any:
    async with session.get(path) as response:
        assert response.status == status, await response.text()
        return await response.json(content_type=None)


@pytest.mark.anyio
@pytest.mark.parametrize("stage", ["warming", "whole", "stale", "halted"])
@pytest.mark.parametrize("operation", openapi.OPERATIONS, ids=lambda operation: str(operation.name))
async def test_every_answer_has_its_shape(
    serving: Any, hub: Hub, make: Any, clock: ManualClock, shelf: Shelf, operation: openapi.Operation, stage: str
) -> None:
    if stage != "warming":
        hub.publish(make.whole())
        hub.publish(make.tick(make.mark(), make.funding(final=True), make.funding()))
    clock.advance(10_000_000_000 if stage == "stale" else 1)
    if stage == "halted":
        hub.halt("JOURNAL_NOT_DURABLE")
    name = ARGUMENTS.get(operation.name, "BTC-USD")
    path = operation.path.replace("{instrument}", name).replace("{code}", "no_mark")
    path = path.replace("{id}", "hk1").replace("{version}", "0.9.0")
    if operation.name == "valuation":
        path += "?side=buy&quantity=1.5&entry=60000"
    history = Remembering([make.funding(final=True)])
    async with serving(history=history, documents=shelf) as session, session.get(path) as response:
        problem = response.status == 503
        assert problem or response.status == 200
        if operation.model:
            model = schemas.MODELS["ProblemDocument" if problem else operation.model]
            model.model_validate(await response.json(content_type=None))
        else:
            assert response.content_type in operation.texts
            assert await response.text()
    assert problem == ((operation.name, stage) in REFUSED)


REFUSED = {("valuation", "warming"), ("valuation", "halted")} | {
    ("readyz", stage) for stage in ("warming", "stale", "halted")
}


@pytest.mark.anyio
async def test_key_parameters_are_free_and_whole(serving: Any, hub: Hub, make: Any) -> None:
    hub.publish(make.whole())
    async with serving() as session:
        one = await got(session, f"/v1/key-parameters/{PERP}")
        everyone = await got(session, "/v1/key-parameters")
    assert [item["instrument"] for item in everyone["items"]] == [PERP, "BTC-USD-INV"]
    assert everyone["next"] is None
    assert one["index"]["price"] == "60004.00"
    assert one["funding"]["countdown_ms"] > 0


@pytest.mark.anyio
async def test_a_valuation_is_exact(serving: Any, hub: Hub, make: Any) -> None:
    hub.publish(make.whole())
    async with serving() as session:
        found = await got(session, f"/v1/valuation/{PERP}?side=sell&quantity=0.0000000003&entry=60000.0000000001")
    assert Decimal(found["value"]) == Decimal("-0.00000000869999999997")
    assert found["mark"] == "60029.0"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("quantity=1&entry=1", "side"),
        ("side=up&quantity=1&entry=1", "side"),
        ("side=buy&entry=1", "quantity"),
        ("side=buy&quantity=0&entry=1", "quantity"),
        ("side=buy&quantity=-1&entry=1", "quantity"),
        ("side=buy&quantity=1e3&entry=1", "quantity"),
        ("side=buy&quantity=nan&entry=1", "quantity"),
        ("side=buy&quantity=%D9%A1&entry=1", "quantity"),
        ("side=buy&quantity=1_0&entry=1", "quantity"),
        ("side=buy&quantity=1&entry=0.0", "entry"),
        (f"side=buy&quantity=1&entry={'9' * 13}", "entry"),
    ],
)
async def test_bad_input_is_named_with_what_is_allowed(serving: Any, query: str, parameter: str) -> None:
    async with serving() as session:
        problem = await got(session, f"/v1/valuation/{PERP}?{query}", 400)
    assert (problem["code"], problem["parameter"]) == ("bad_parameter", parameter)
    assert problem["allowed"] in problem["detail"]


@pytest.mark.anyio
async def test_an_absurd_inverse_position_is_still_a_number(serving: Any, hub: Hub, make: Any) -> None:
    hub.publish(make.whole())
    async with serving() as session:
        path = "/v1/valuation/BTC-USD-INV?side=buy&quantity=999999999999&entry=0.0000000001"
        found = await got(session, path)
    assert Decimal(found["value"]) > Decimal("9e23")


@pytest.mark.anyio
async def test_no_mark_is_said_with_its_reasons(serving: Any, hub: Hub, make: Any) -> None:
    hub.publish(make.tick(make.mark(price=None)))
    async with serving() as session:
        problem = await got(session, f"/v1/valuation/{PERP}?side=buy&quantity=1&entry=1", 503)
    assert (problem["code"], problem["state"], problem["reasons"]) == ("no_mark", "halted", ["leg_missing"])


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "code", "nearest"),
    [
        ("/v1/index/BTC-UDS", "unknown_instrument", "BTC-USD"),
        ("/v1/key-parameters/btc-usd-perp", "unknown_instrument", PERP),
        ("/v1/key-parameters/BTC-USD", "wrong_kind", PERP),
        ("/v1/sources/BTC-USD-PERP", "wrong_kind", "BTC-USD"),
    ],
)
async def test_an_unknown_name_is_answered_with_the_nearest(serving: Any, path: str, code: str, nearest: str) -> None:
    async with serving() as session:
        problem = await got(session, path, 404)
    assert problem["code"] == code
    assert problem["nearest"][0] == nearest


@pytest.mark.anyio
async def test_an_index_without_a_perpetual_says_so(serving: Any) -> None:
    async with serving() as session:
        problem = await got(session, "/v1/mark/USDT-USD", 404)
        assert (problem["nearest"], problem["detail"]) == ([], "USDT-USD is an index. It has no perpetual.")
        assert (await got(session, "/v1/problems/nothing", 404))["codes"]


@pytest.mark.anyio
async def test_history_comes_in_pages_without_gap_or_duplicate(serving: Any, make: Any, clock: ManualClock) -> None:
    rates = [make.funding(final=True, settles_ns=1_000_000_000 * i, rate_e8=i) for i in range(1, 11)]
    found: list[str] = []
    path = f"/v1/funding/{PERP}/history?start=2000&end=9000&limit=3"
    async with serving(history=Remembering(rates)) as session:
        while path:
            page = await got(session, path)
            schemas.MODELS["FundingHistory"].model_validate(page)
            found += [item["rate"] for item in page["items"]]
            path = page["next"]
    assert found == [f"0.0000000{i}" for i in range(2, 10)]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "start=-1", "start=1.5", "start=5&end=4", "start=9999999999999999"]
)
async def test_a_bad_page_is_refused(serving: Any, query: str) -> None:
    async with serving() as session:
        assert (await got(session, f"/v1/funding/{PERP}/history?{query}", 400))["code"] == "bad_parameter"


@pytest.mark.anyio
async def test_a_history_that_cannot_be_read_costs_only_itself(serving: Any) -> None:
    async with serving(history=Broken()) as session:
        problem = await got(session, f"/v1/funding/{PERP}/history", 503)
        await got(session, f"/v1/funding/{PERP}")
    assert problem["code"] == "history_unavailable"
    assert "locked" not in problem["detail"]


@pytest.mark.anyio
async def test_status_explains(serving: Any, hub: Hub, make: Any, clock: ManualClock) -> None:
    inside = Inside({"durable": True, "seq": 9}, {"offset_ms": 1}, [{"source": "a:XUSD", "up": True}])
    async with serving(inside=lambda: inside, version="9.9") as session:
        assert (await got(session, "/v1/status"))["service"]["state"] == "warming"
        hub.publish(make.whole())
        status = await got(session, "/v1/status")
        assert (status["service"]["state"], status["service"]["version"]) == ("ready", "9.9")
        assert (status["journal"]["seq"], status["links"][0]["up"]) == (9, True)
        assert status["alerts"][0]["target"] == "BTC-USD a:XUSD"
        assert len(status["instruments"]) == 4
        clock.advance(4_000_000_000)
        stale = await got(session, "/v1/status")
        assert (stale["service"]["state"], stale["service"]["uptime_ms"]) == ("stale", 4_000)
        hub.halt("JOURNAL_NOT_DURABLE")
        halted = await got(session, "/v1/status")
        assert halted["service"]["reasons"] == ["journal_not_durable"]
        assert {item["state"] for item in halted["instruments"]} == {"halted"}


@pytest.mark.anyio
async def test_readiness_says_why_not(serving: Any, hub: Hub, make: Any) -> None:
    async with serving() as session:
        problem = await got(session, "/readyz", 503)
        assert (problem["code"], problem["reasons"][0]) == ("not_ready", "USDT-USD is warming")
        await got(session, "/livez")
        hub.publish(make.whole())
        assert await got(session, "/readyz") == {"ready": True}


@pytest.mark.anyio
async def test_home_lists_every_path(serving: Any) -> None:
    async with serving() as session:
        listed = {entry["path"] for entry in (await got(session, "/"))["endpoints"]}
        described = await got(session, "/openapi.json")
        code = next(iter((await got(session, "/v1/problems/no_mark")).values()))
    assert listed == set(described["paths"]) | {"/openapi.json", "/v1/stream"}
    assert code == "no_mark"
