"""The shape of every public answer: what tests hold the answers against, and what /openapi.json is made of."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from oracle.publishers.schemas_documents import FundingSimulation, MethodologyList
from oracle.publishers.schemas_words import (
    AlertWord,
    CodeWord,
    Count,
    DecimalText,
    Elapsed,
    Millis,
    Price,
    Rate,
    Shape,
    StateWord,
    VerdictWord,
    Word,
)


class Ruled(Shape):
    """Says by which rules it was made."""

    instrument: str
    methodology: str = Field(description="id and version of the published document")
    methodology_hash: str = Field(description="SHA-256 of that document, as /v1/methodology serves it")
    configuration_hash: str = Field(description="SHA-256 of every instrument, source and parameter in force")


class Standing(Ruled):
    """What every published value carries, so that nobody takes it for better than it is."""

    seq: Count = Field(description="per instrument, without gaps; 0 before the first value")
    ts: Millis | None = Field(description="when it was made; null before the first value")
    epoch: str = Field(description="the process that answers; a new one after a restart")
    age_ms: Elapsed | None = Field(description="now − ts, at the moment of this answer")
    oldest_input_age_ms: Elapsed | None = Field(description="age of the oldest price it rests on, now")
    state: StateWord
    state_since_ts: Millis | None
    reasons: list[Word] = Field(description="why it is what it is; service_stale: older than the service vouches for")
    liquidation_ok: bool = Field(description="whether anybody may be liquidated on it")
    carried_forward: bool = Field(description="whether it is an earlier value that still stands")


class GoodPrice(Standing):
    """A price, or null and the last good one."""

    price: Price | None
    last_good: Price | None
    last_good_ts: Millis | None


class Index(GoodPrice):
    """The reference asset price."""

    kind: Literal["index"]
    n_groups: Count = Field(description="independent owners who voted")
    breakdown_groups: Count = Field(description="how many of them must collude to move it")
    confidence_bps: DecimalText | None
    gap_bps: DecimalText | None


class MarkClamp(Shape):
    """A bound on the mark, and whether it holds it."""

    name: Literal["step", "band"]
    limit_bps: DecimalText
    binding: bool


class Mark(GoodPrice):
    """The product price."""

    kind: Literal["mark"]
    index: Price | None
    index_instrument: str
    index_seq: Count
    legs: dict[Literal["basis", "book", "funding"], Price | None] = Field(description="what it is the median of")
    clamps: list[MarkClamp]
    feed_age_ms: Elapsed | None = Field(description="how long the platform's own market has been silent")


class FundingClamp(Shape):
    """A clamp of the funding formula: what went in, between which bounds, and whether it was held."""

    name: Literal["inner", "cap"]
    value: Rate | None
    min: Rate
    max: Rate
    binding: bool


class Settled(Shape):
    """A funding rate that was settled. `ts`: the settlement instant; `index`: the settlement price."""

    instrument: str
    seq: Count
    ts: Millis
    rate: Rate
    rate_per_8h: Rate
    rate_per_year: Rate
    premium_mean: Rate | None
    samples: Count
    expected: Count
    index: Price | None
    reasons: list[Word]


class Premium(Shape):
    """A premium sample; null is a missing one, which is not a zero."""

    ts: Millis
    premium: Rate | None
    impact_bid: Price | None
    impact_ask: Price | None
    index: Price | None
    reasons: list[Word]


class Funding(Standing):
    """The running estimate of the interval that settles next, with everything it is made of."""

    kind: Literal["funding"]
    final: bool
    rate: Rate | None = Field(description="per interval; longs pay shorts when positive")
    rate_per_8h: Rate | None
    rate_per_year: Rate | None = Field(description="simple, 365 days")
    interest: Rate
    premium_mean: Rate | None
    impact_notional: DecimalText
    samples: Count
    expected: Count = Field(description="sampling instants of the interval that have passed")
    coverage: DecimalText | None
    coverage_min: DecimalText
    interval_ms: Elapsed
    interval_start_ts: Millis | None
    settles_ts: Millis | None
    countdown_ms: Elapsed | None
    clamps: list[FundingClamp]
    last_settled: Settled | None
    last_sample: Premium | None


class Terms(Shape):
    """What a contract says about its own value."""

    contract_type: Literal["linear", "inverse"]
    contract_size: DecimalText
    contract_size_currency: str
    formula: str
    value_currency: str


class Rule(Terms):
    """How a position is valued."""

    sides: dict[str, str]
    href: str


class KeyParameters(Standing):
    """All four Key Parameters of a perpetual (SFC framework, paragraph 12)."""

    kind: Literal["perpetual"]
    index: Index
    mark: Mark
    funding: Funding
    valuation: Rule


class KeyParametersList(Shape):
    """Every perpetual's Key Parameters."""

    items: list[KeyParameters]
    next: None


class Valuation(Standing, Terms):
    """What a position is worth at the mark."""

    side: Literal["buy", "sell"]
    quantity: DecimalText
    entry: DecimalText
    mark: Price
    value: DecimalText


class Instrument(Ruled):
    """Something that is published."""

    kind: Literal["index", "perpetual"]
    base: str
    quote: str
    price_decimals: Count
    index: str | None
    contract_type: Literal["linear", "inverse"] | None
    contract_size: DecimalText | None
    tick: DecimalText | None
    funding_interval_ms: Elapsed | None
    n_sources: Count | None
    n_groups: Count | None


class InstrumentList(Shape):
    """Everything that is published."""

    items: list[Instrument]
    next: None


class FundingHistory(Shape):
    """Settled rates, oldest first. `next`: where to go on, null at the end."""

    instrument: str
    items: list[Settled]
    next: str | None


class SourceLine(Shape):
    """A source of an index and what it counts for. `native_price` null: converted, see `conversion`."""

    source: str
    venue: str
    symbol: str
    market: str
    quote: str
    group: str
    role: Word
    price: Price | None
    native_price: Price | None
    conversion: str | None
    distance_bps: DecimalText | None
    age_ms: Elapsed | None
    verdict: VerdictWord


class Change(Shape):
    """A source began to count for something else."""

    source: str
    previous: VerdictWord
    verdict: VerdictWord
    ts: Millis


class Sources(Standing):
    """Every source of an index, judged."""

    price: Price | None
    items: list[SourceLine]
    next: None
    verdict_changes: list[Change]


class AlertLine(Shape):
    """Something that surveillance reported and has not ended."""

    kind: AlertWord
    target: str
    active: bool
    since_ts: Millis | None
    ts: Millis | None
    value: float
    detail: str


class InstrumentState(Standing):
    """How an instrument stands."""

    kind: Literal["index", "perpetual"]


class Service(Shape):
    """How the service as a whole stands."""

    state: Literal["warming", "ready", "stale", "halted"]
    reasons: list[str]
    version: str
    epoch: str
    methodology: str
    configuration_hash: str
    ts: Millis
    started_ts: Millis
    uptime_ms: Elapsed
    streams: Count


class Status(Shape):
    """The whole service, for people who wonder."""

    service: Service
    instruments: list[InstrumentState]
    alerts: list[AlertLine]
    journal: dict[str, Any]
    clock: dict[str, Any]
    links: list[dict[str, Any]]


class Time(Shape):
    """The service's clock."""

    ts: Millis
    ts_ns: Annotated[str, Field(pattern=r"^[0-9]+$")]


class Live(Shape):
    """The loop turns."""

    live: Literal[True]


class Ready(Shape):
    """The service may be used."""

    ready: Literal[True]


class Home(Shape):
    """What there is."""

    service: str
    version: str
    endpoints: list[dict[Literal["path", "summary"], str]]


class ProblemPage(Shape):
    """What a problem means."""

    code: CodeWord
    status: Annotated[int, Field(ge=400, le=599)]
    title: str
    meaning: str


class ProblemDocument(BaseModel):
    """RFC 9457. Further members name what the sentence speaks of."""

    model_config = ConfigDict(extra="allow", frozen=True)
    type: str
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    instance: str
    code: CodeWord
    doc_url: str


MODELS: dict[str, type[BaseModel]] = {
    model.__name__: model
    for model in (
        KeyParameters, KeyParametersList, Valuation, InstrumentList, Index, Mark, Funding, FundingHistory, Sources,
        MethodologyList, FundingSimulation, Status, Time, Live, Ready, Home, ProblemPage, ProblemDocument,
    )
}  # fmt: skip


def components() -> dict[str, Any]:
    """The JSON Schemas of all models, as OpenAPI components."""
    _, found = models_json_schema(
        [(model, "serialization") for model in MODELS.values()], ref_template="#/components/schemas/{model}"
    )
    made: dict[str, Any] = found["$defs"]
    return made
