"""What Prometheus may read: one table of every metric, and a collector that asks for values only when it is scraped.

Parts of the service say what they count as plain samples, so that none of them needs to know this file. A metric that
is not in the table is refused, and a part that fails costs only its own samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from oracle.core.maths import unscaled
from oracle.core.types import NANOS_PER_S, PREMIUM_DECIMALS, RATE_DECIMALS, State
from oracle.publishers.board import IndexBoard
from oracle.publishers.hub import Hub
from oracle.publishers.stream import Streams
from oracle.publishers.web import Requests

log = structlog.get_logger()


class Sample(NamedTuple):
    """One number of one metric. A summary is two: its name with `_sum` and with `_count`."""

    name: str
    labels: Mapping[str, str]
    value: float


class Declared(NamedTuple):
    """A metric: `kind` is counter, gauge or summary; a counter's name ends in _total."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()


Supplier = Callable[[], Iterable[Sample]]

_DECLARED = (
    Declared("oracle_build_info", "gauge", "1, with what runs in the labels", ("version", "methodology", "epoch")),
    Declared("oracle_uptime_seconds", "gauge", "Time since the process began"),
    Declared("oracle_source_frames_total", "counter", "Frames received for a source", ("source",)),
    Declared("oracle_source_observations_total", "counter", "Facts read from a source's frames", ("source",)),
    Declared("oracle_source_refusals_total", "counter", "Frames refused, by reason", ("source", "reason")),
    Declared("oracle_source_age_seconds", "gauge", "Time since a source stated its price", ("instrument", "source")),
    Declared("oracle_source_verdict", "gauge", "1 for what a source counts for", ("instrument", "source", "verdict")),
    Declared("oracle_source_link_up", "gauge", "1 while the line to a source stands", ("source",)),
    Declared("oracle_source_reconnects_total", "counter", "Times the line to a source was dialled again", ("source",)),
    Declared("oracle_source_rung", "gauge", "0 a sound stream, 1 to 5 what was done for it", ("source",)),
    Declared("oracle_source_repairs_total", "counter", "Repairs of a source, by step", ("source", "step")),
    Declared("oracle_source_repaired_timestamp_seconds", "gauge", "When a source was last repaired", ("source",)),
    Declared("oracle_source_polls_total", "counter", "Answers that stood in for a silent stream", ("source",)),
    Declared("oracle_source_dropped_total", "counter", "Frames above a venue's budget, never read", ("source",)),
    Declared("oracle_source_duplicates_total", "counter", "Facts that another connection had brought", ("source",)),
    Declared("oracle_venue_endings_total", "counter", "Connections, dials and polls that ended", ("venue", "reason")),
    Declared("oracle_venue_offset_seconds", "gauge", "Least delay of a venue's messages: its clock's", ("venue",)),
    Declared("oracle_venue_jitter_seconds", "gauge", "How the delays of a venue's messages vary", ("venue",)),
    Declared("oracle_venue_drifts_total", "counter", "Times a venue's timestamps began to drift", ("venue",)),
    Declared("oracle_engine_beats_total", "counter", "Beats calculated"),
    Declared("oracle_engine_step_seconds", "summary", "Time one beat's calculation takes"),
    Declared("oracle_engine_dropped_total", "counter", "Observations conflated away before a beat saw them"),
    Declared("oracle_journal_lines_total", "counter", "Lines written to the journal"),
    Declared("oracle_journal_bytes_total", "counter", "Bytes written to the journal"),
    Declared("oracle_journal_append_seconds", "summary", "Time the journal takes to accept the line of one beat"),
    Declared("oracle_journal_durable", "gauge", "1 while the journal can be written"),
    Declared("oracle_clock_offset_seconds", "gauge", "How far this machine's UTC is believed to be off"),
    Declared("oracle_clock_synchronised", "gauge", "1 while somebody disciplines the clock"),
    Declared("oracle_feed_accepted_total", "counter", "Messages of the trading engine that were accepted"),
    Declared("oracle_feed_refused_total", "counter", "Messages of the trading engine refused, by reason", ("reason",)),
    Declared("oracle_index_price", "gauge", "Index price; absent while there is none", ("instrument",)),
    Declared("oracle_mark_price", "gauge", "Mark price; absent while there is none", ("instrument",)),
    Declared("oracle_premium", "gauge", "Last premium sample; absent when it is missing", ("instrument",)),
    Declared("oracle_funding_rate", "gauge", "Running funding estimate per interval", ("instrument",)),
    Declared("oracle_funding_settled_timestamp_seconds", "gauge", "When funding was last settled", ("instrument",)),
    Declared("oracle_state", "gauge", "1 for the state an instrument is in", ("instrument", "state")),
    Declared("oracle_seq", "gauge", "Last published seq", ("instrument",)),
    Declared("oracle_value_age_seconds", "gauge", "Time since the last value was made", ("instrument",)),
    Declared("oracle_liquidation_ok", "gauge", "1 while anybody may be liquidated on it", ("instrument",)),
    Declared("oracle_groups", "gauge", "Independent owners behind an index", ("instrument",)),
    Declared("oracle_alert_active", "gauge", "1 for what surveillance reports", ("kind", "target")),
    Declared("oracle_service_halted", "gauge", "1 for each reason why the service has halted", ("reason",)),
    Declared("oracle_hub_ticks_total", "counter", "Ticks published"),
    Declared("oracle_hub_ticks_withheld_total", "counter", "Ticks not published because the service had halted"),
    Declared("oracle_stream_subscribers", "gauge", "Open streams"),
    Declared("oracle_stream_opened_total", "counter", "Streams opened"),
    Declared("oracle_stream_messages_total", "counter", "Messages queued for stream subscribers"),
    Declared("oracle_stream_slow_readers_total", "counter", "Streams cut because nobody read them"),
    Declared("oracle_rest_requests_total", "counter", "Requests answered, by route and status", ("route", "code")),
    Declared("oracle_scrape_errors_total", "counter", "Times a part failed to say its numbers", ("part",)),
)
METRICS = {declared.name: declared for declared in _DECLARED}
_FAMILY = {  # the name of a sample to the metric it belongs to
    name: declared
    for declared in _DECLARED
    for name in ((f"{declared.name}_sum", f"{declared.name}_count") if declared.kind == "summary" else (declared.name,))
}


class Asking(Collector):
    """Asks every supplier at each scrape. `suppliers`: name of the part to what it says."""

    def __init__(self, suppliers: Mapping[str, Supplier]) -> None:
        self._suppliers = dict(suppliers)
        self._errors = dict.fromkeys(self._suppliers, 0)

    def collect(self) -> Iterator[Metric]:
        """Every metric of which there is a sample, in the order of the table."""
        found: dict[str, Metric] = {}
        for part in self._suppliers:
            for sample in self._ask(part):
                family = _FAMILY[sample.name]
                metric = found.get(family.name)
                if metric is None:
                    metric = found[family.name] = Metric(_stem(family), family.help, family.kind)
                metric.add_sample(sample.name, dict(sample.labels), sample.value)
        errors = Metric("oracle_scrape_errors", METRICS["oracle_scrape_errors_total"].help, "counter")
        for part, count in self._errors.items():
            errors.add_sample("oracle_scrape_errors_total", {"part": part}, count)
        found["oracle_scrape_errors_total"] = errors
        yield from (found[name] for name in METRICS if name in found)

    def describe(self) -> Iterator[Metric]:
        """Nothing in advance: registering must not ask anybody."""
        return iter(())

    def _ask(self, part: str) -> list[Sample]:
        """What a part says, all of it or nothing."""
        try:
            samples = list(self._suppliers[part]())
            for sample in samples:
                if tuple(sample.labels) != _FAMILY[sample.name].labels:
                    raise ValueError(f"{sample.name} has other labels than {tuple(sample.labels)}")
        except Exception:
            log.exception("metrics.part_failed", part=part)
            self._errors[part] += 1
            return []
        return samples


def _stem(family: Declared) -> str:
    """The library adds a counter's suffix itself."""
    return family.name.removesuffix("_total") if family.kind == "counter" else family.name


def make_metrics_app(suppliers: Mapping[str, Supplier]) -> web.Application:
    """The application that serves /metrics, on a port of its own."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Asking(suppliers))

    async def metrics(request: web.Request) -> web.Response:
        """Every metric, in the form that the scraper prefers."""
        encoder, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encoder(registry), headers={"Content-Type": content_type})

    app = web.Application(handler_args={"access_log": None})
    app.router.add_get("/metrics", metrics)
    return app


def hub_samples(hub: Hub) -> Supplier:
    """The published values, their states and ages, and the alerts."""

    def samples() -> Iterator[Sample]:
        counts, stamp = hub.counts(), hub.stamp()
        yield Sample("oracle_hub_ticks_total", {}, counts.ticks)
        yield Sample("oracle_hub_ticks_withheld_total", {}, counts.withheld)
        yield Sample("oracle_stream_messages_total", {}, counts.messages)
        for reason in stamp.halted:
            yield Sample("oracle_service_halted", {"reason": reason}, 1)
        for alert in hub.active_alerts():
            yield Sample("oracle_alert_active", {"kind": alert.kind.lower(), "target": alert.target}, 1)
        for name, board in hub.boards.items():
            yield from _standing(hub, name, board.state, bool(board.value.liquidation_ok))
        for name, index in hub.indices.items():
            yield from _index(hub, name, index)
        for name in hub.perps:
            yield from _perp(hub, name)

    return samples


def _standing(hub: Hub, name: str, state: State, liquidation_ok: bool) -> Iterator[Sample]:
    named, board, stamp = {"instrument": name}, hub.boards[name], hub.stamp()
    shown = State.HALTED if stamp.halted else state
    for each in State:
        yield Sample("oracle_state", {**named, "state": each.lower()}, each is shown)
    usable = liquidation_ok and not stamp.halted and not stamp.is_stale(board.at_ns)
    yield Sample("oracle_liquidation_ok", named, usable)
    yield Sample("oracle_seq", named, board.seq)
    if board.at_ns:
        yield Sample("oracle_value_age_seconds", named, (stamp.now_ns - board.at_ns) / NANOS_PER_S)


def _index(hub: Hub, name: str, board: IndexBoard) -> Iterator[Sample]:
    named, stamp = {"instrument": name}, hub.stamp()
    if board.value.price is not None and not stamp.halted:
        yield Sample("oracle_index_price", named, unscaled(board.value.price, board.instrument.price_decimals))
    yield Sample("oracle_groups", named, board.value.n_groups)
    for quote in board.quotes:
        labels = {**named, "source": hub.world.sources[quote.source].name}
        if quote.price > 0.0:
            since_ms = stamp.age_ms(board.quotes_ns) or 0
            yield Sample("oracle_source_age_seconds", labels, (quote.age_ms + since_ms) / 1_000)
        yield Sample("oracle_source_verdict", {**labels, "verdict": quote.verdict.lower()}, 1)


def _perp(hub: Hub, name: str) -> Iterator[Sample]:
    named, board = {"instrument": name}, hub.perps[name]
    if board.value.price is not None and not hub.halted:
        yield Sample("oracle_mark_price", named, unscaled(board.value.price, board.instrument.price_decimals))
    if board.sample and board.sample.premium_e10 is not None:
        yield Sample("oracle_premium", named, unscaled(board.sample.premium_e10, PREMIUM_DECIMALS))
    if board.running:
        yield Sample("oracle_funding_rate", named, unscaled(board.running.rate_e8, RATE_DECIMALS))
    if board.settled:
        settled_s = board.settled.settles_ns / NANOS_PER_S
        yield Sample("oracle_funding_settled_timestamp_seconds", named, settled_s)


def web_samples(requests: Requests, streams: Streams) -> Supplier:
    """What was asked for, and who listens."""

    def samples() -> Iterator[Sample]:
        for (route, code), count in requests.answered.items():
            yield Sample("oracle_rest_requests_total", {"route": route, "code": str(code)}, count)
        yield Sample("oracle_stream_subscribers", {}, streams.open)
        yield Sample("oracle_stream_opened_total", {}, streams.opened)
        yield Sample("oracle_stream_slow_readers_total", {}, streams.cut)

    return samples
