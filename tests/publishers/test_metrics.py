"""What Prometheus reads: every metric declared, no value made on the hot path, no part able to hide the others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from oracle.clock import ManualClock
from oracle.publishers.hub import Hub
from oracle.publishers.limits import Limits
from oracle.publishers.metrics import METRICS, Sample, Supplier, hub_samples, make_metrics_app, web_samples
from oracle.publishers.outbox import Outbox
from oracle.publishers.stream import Streams
from oracle.publishers.web import Requests, serve


@asynccontextmanager
async def scraped(suppliers: Mapping[str, Supplier], **headers: str) -> AsyncIterator[aiohttp.ClientResponse]:
    runner, port = await serve(make_metrics_app(suppliers), "127.0.0.1", 0)
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/metrics", headers=headers) as response,
        ):
            yield response
    finally:
        await runner.cleanup()


async def read(suppliers: Mapping[str, Supplier]) -> dict[tuple[str, tuple[str, ...]], float]:
    async with scraped(suppliers) as response:
        assert response.status == 200
        text = await response.text()
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.parametrize("name", METRICS)
def test_names_follow_the_conventions(name: str) -> None:
    declared = METRICS[name]
    assert re.fullmatch(r"oracle_[a-z_]+", name)
    assert (declared.kind == "counter") == name.endswith("_total")
    assert declared.kind in ("counter", "gauge", "summary")
    assert declared.help
    assert not declared.help.endswith(".")


@pytest.mark.anyio
async def test_the_hub_says_what_it_publishes(hub: Hub, make: Any, clock: ManualClock) -> None:
    hub.publish(make.whole())
    hub.publish(make.tick(make.mark(), make.funding(final=True)))
    clock.advance(500_000_000)
    found = await read({"hub": hub_samples(hub)})
    assert found["oracle_index_price", ("BTC-USD",)] == 60_004.0
    assert found["oracle_mark_price", ("BTC-USD-PERP",)] == 60_029.0
    assert found["oracle_premium", ("BTC-USD-PERP",)] == 0.0005
    assert found["oracle_funding_rate", ("BTC-USD-PERP",)] == 0.0004
    assert found["oracle_state", ("BTC-USD", "normal")] == 1
    assert found["oracle_state", ("BTC-USD", "halted")] == 0
    assert found["oracle_value_age_seconds", ("BTC-USD",)] == 0.5
    assert found["oracle_source_age_seconds", ("BTC-USD", "a:XUSD")] == 0.6
    assert found["oracle_source_verdict", ("BTC-USD", "f:XUSDT", "no_price")] == 1
    assert found["oracle_alert_active", ("state", "BTC-USD a:XUSD")] == 1
    assert found["oracle_liquidation_ok", ("BTC-USD",)] == 1
    assert found["oracle_hub_ticks_total", ()] == 2
    assert ("oracle_funding_settled_timestamp_seconds", ("BTC-USD-PERP",)) in found


@pytest.mark.anyio
async def test_a_halt_leaves_no_price(hub: Hub, make: Any) -> None:
    warming = await read({"hub": hub_samples(hub)})
    assert ("oracle_value_age_seconds", ("BTC-USD",)) not in warming
    hub.publish(make.whole())
    hub.halt("JOURNAL_NOT_DURABLE")
    found = await read({"hub": hub_samples(hub)})
    assert not [name for name, _ in found if name in ("oracle_index_price", "oracle_mark_price")]
    assert found["oracle_service_halted", ("journal_not_durable",)] == 1
    assert found["oracle_state", ("BTC-USD", "halted")] == 1
    assert found["oracle_liquidation_ok", ("BTC-USD",)] == 0


@pytest.mark.anyio
async def test_requests_and_streams_are_counted(hub: Hub) -> None:
    requests, streams = Requests(), Streams(hub, Limits(), lambda: 0.0)
    requests.answered = Counter({("/v1/time", 200): 3})
    streams.cut = 2
    hub.subscribe(Outbox(), "BTC-USD")
    found = await read({"web": web_samples(requests, streams)})
    assert found["oracle_rest_requests_total", ("200", "/v1/time")] == 3
    assert found["oracle_stream_slow_readers_total", ()] == 2
    assert found["oracle_stream_subscribers", ()] == 0


def every_metric() -> Iterable[Sample]:
    for declared in METRICS.values():
        suffixes = ("_sum", "_count") if declared.kind == "summary" else ("",)
        if declared.name != "oracle_scrape_errors_total":
            yield from (Sample(declared.name + suffix, dict.fromkeys(declared.labels, "x"), 1) for suffix in suffixes)


@pytest.mark.anyio
async def test_every_declared_metric_can_be_said_and_keeps_its_name() -> None:
    found = {name for name, _ in await read({"all": every_metric})}
    expected = {name for name, declared in METRICS.items() if declared.kind != "summary"}
    assert expected <= found
    assert {"oracle_engine_step_seconds_sum", "oracle_engine_step_seconds_count"} <= found


def fails() -> Iterable[Sample]:
    yield Sample("oracle_uptime_seconds", {}, 1)
    raise RuntimeError("no")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "broken",
    [
        fails,
        lambda: [Sample("oracle_invented_total", {}, 1)],
        lambda: [Sample("oracle_seq", {"wrong": "x"}, 1)],
    ],
    ids=["raises", "undeclared", "labels"],
)
async def test_a_broken_part_costs_only_its_own_samples(broken: Supplier) -> None:
    found = await read({"broken": broken, "sound": lambda: [Sample("oracle_journal_lines_total", {}, 4)]})
    assert found["oracle_journal_lines_total", ()] == 4
    assert found["oracle_scrape_errors_total", ("broken",)] == 1
    assert found["oracle_scrape_errors_total", ("sound",)] == 0
    assert ("oracle_uptime_seconds", ()) not in found


@pytest.mark.anyio
async def test_the_scraper_chooses_the_form() -> None:
    accept = "application/openmetrics-text; version=1.0.0"
    async with scraped({}, Accept=accept) as response:
        assert response.content_type == "application/openmetrics-text"
        assert (await response.text()).endswith("# EOF\n")
