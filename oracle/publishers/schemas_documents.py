"""The shapes of answers about documents and their rules: what is published, and what a premium would cost by it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from oracle.publishers.schemas_words import DecimalText, Elapsed, Millis, Shape


class DatedSet(Shape):
    """A dated set of parameters. `effective_ts` 0: since the beginning."""

    version: str
    effective_ts: Millis


class Methodology(Shape):
    """A published document; `versions`: those whose text can be asked for, `sets`: those it describes."""

    id: str
    title: str
    kind: Literal["methodology", "supporting"]
    version: str | None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="of the bytes that are served as Markdown")]
    url: str
    versions: list[str]
    sets: list[DatedSet]


class MethodologyList(Shape):
    """Everything that is published, in the order of a book."""

    items: list[Methodology]
    next: None


class SimulatedPoint(Shape):
    """A premium and the rate it makes; `cost`: what a long of the notional pays in one interval."""

    premium: DecimalText
    rate: DecimalText = Field(description="per interval; longs pay shorts when positive")
    cost: DecimalText
    binds: Literal["dead_band", "flat", "inner_clamp", "cap", "none"]


class SimulatedFunding(SimulatedPoint):
    """What a premium would cost under a methodology, by the parameters in force at the time asked for."""

    method: str
    version: str
    effective_ts: Millis
    methodology_hash: str
    interval_ms: Elapsed
    interest: DecimalText
    rate_per_8h: DecimalText
    rate_per_year: DecimalText
    curve: list[SimulatedPoint] | None


class FundingSimulation(Shape):
    """What a premium would cost. `ts`: the time whose parameters were asked for, negative before 1970."""

    ts: int
    premium: DecimalText
    notional: DecimalText
    items: list[SimulatedFunding]
    next: None
