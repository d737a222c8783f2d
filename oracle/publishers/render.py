"""How a published value looks in public: pure functions from the engine's values to the objects of the API.

Theory of operation. A *body* says what the journal says: it has no age, so it is made once per value and shared by
every answer and stream message. *Dressing* a body for an answer adds what depends on the moment: the age, which only
grows, and what the service itself knows against the value: that it is old, or that the service has halted.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

from oracle.core.maths import quantise
from oracle.core.params import IndexInstrument, PerpInstrument, Source
from oracle.core.types import (
    NANOS_PER_MS,
    PREMIUM_DECIMALS,
    RATE_DECIMALS,
    Alert,
    FundingRate,
    IndexValue,
    MarkPrice,
    Nanos,
    PremiumSample,
    Quote,
    Reason,
    VerdictChange,
)
from oracle.core.wire import scaled_text

Answer: TypeAlias = dict[str, Any]
EIGHT_HOURS_MS = 28_800_000
YEAR_MS = 365 * 86_400_000
PRORATED_DECIMALS = 12
SOURCE_EXTRA_DECIMALS = 2  # a source's price is shown finer than the index it votes in
SERVICE_STALE = "service_stale"
STANDING = (  # what every answer says about the value it gives
    "instrument", "methodology", "methodology_hash", "configuration_hash", "seq", "ts", "epoch", "age_ms",
    "oldest_input_age_ms", "state", "state_since_ts", "reasons", "liquidation_ok", "carried_forward",
)  # fmt: skip
_FALLEN_BACK = (Reason.FUNDING_FALLBACK, Reason.NO_SAMPLES)
_NULL_LEGS = {"basis": None, "book": None, "funding": None}
_WITHHELD: dict[str, Answer] = {  # what a halted service does not say
    "index": {"price": None, "carried_forward": False},
    "mark": {"price": None, "index": None, "legs": _NULL_LEGS, "carried_forward": False},
    "funding": {"rate": None, "rate_per_8h": None, "rate_per_year": None},
    "perpetual": {"carried_forward": False},
}


class Stamp(NamedTuple):
    """The moment of an answer. `halted`: the words of service-level halts, in the order they came."""

    now_ns: Nanos
    epoch: str = ""
    value_age_ms_max: int = 3_000
    halted: tuple[str, ...] = ()
    halted_ns: Nanos = 0

    def age_ms(self, at_ns: Nanos) -> int | None:
        """How long ago something was made, never negative; None when it never was."""
        return max(0, self.now_ns - at_ns) // NANOS_PER_MS if at_ns else None

    def is_stale(self, at_ns: Nanos) -> bool:
        """Whether a value made at that time is older than an answer may vouch for."""
        return at_ns > 0 and self.now_ns - at_ns > self.value_age_ms_max * NANOS_PER_MS


def words(found: Iterable[str]) -> list[str]:
    """Enum words as the public reads them: lower snake case."""
    return [word.lower() for word in found]


def millis(at_ns: Nanos) -> int | None:
    """A time in ms; None for the zero that stands for never."""
    return at_ns // NANOS_PER_MS if at_ns else None


def text(units: int | None, decimals: int) -> str | None:
    """A published integer as decimal text; None stays None."""
    return None if units is None else scaled_text(units, decimals)


def plain(value: float) -> str:
    """A parameter as the shortest decimal text, never in scientific notation."""
    return format(Decimal(repr(value + 0.0)).normalize(), "f")  # a negative zero is a zero


def methodology(instrument: IndexInstrument | PerpInstrument) -> str:
    """The name of the rules an instrument is computed by: method and version."""
    return f"{instrument.method}-{instrument.rules.version}"


def index_body(instrument: IndexInstrument, value: IndexValue) -> Answer:
    """The reference asset price, as journaled."""
    decimals = instrument.price_decimals
    return {
        "instrument": value.instrument,
        "kind": "index",
        "seq": value.seq,
        "ts": millis(value.at_ns),
        "price": text(value.price, decimals),
        "last_good": text(value.last_good, decimals),
        "last_good_ts": millis(value.last_good_ns),
        "carried_forward": value.carried_forward,
        "state": value.state.lower(),
        "state_since_ts": millis(value.state_since_ns),
        "reasons": words(value.reasons),
        "liquidation_ok": value.liquidation_ok,
        "n_groups": value.n_groups,
        "breakdown_groups": value.breakdown_groups,
        "confidence_bps": text(value.confidence_bps_e2, 2),
        "gap_bps": text(value.gap_bps_e2, 2),
    }


def mark_body(
    perp: PerpInstrument, index_decimals: int, value: MarkPrice, good: MarkPrice | None, carried: bool
) -> Answer:
    """The product price, as journaled. `good`: the last one made in a usable state; `carried`: its index is."""
    decimals, rules = perp.price_decimals, perp.rules.mark
    return {
        "instrument": value.instrument,
        "kind": "mark",
        "seq": value.seq,
        "ts": millis(value.at_ns),
        "price": text(value.price, decimals),
        "last_good": text(good.price, decimals) if good else None,
        "last_good_ts": millis(good.at_ns) if good else None,
        "carried_forward": carried and value.price is not None,
        "index": text(value.index, index_decimals),
        "index_instrument": perp.index,
        "index_seq": value.index_seq,
        "legs": {
            "basis": text(value.basis_leg, decimals),
            "book": text(value.book_leg, decimals),
            "funding": text(value.funding_leg, decimals),
        },
        "clamps": [
            {"name": "step", "limit_bps": plain(rules.step_bps), "binding": value.step_binding},
            {"name": "band", "limit_bps": plain(rules.band_bps), "binding": value.band_binding},
        ],
        "state": value.state.lower(),
        "state_since_ts": millis(value.state_since_ns),
        "reasons": words(value.reasons),
        "liquidation_ok": value.liquidation_ok,
    }


def funding_body(perp: PerpInstrument, value: FundingRate) -> Answer:
    """A funding rate with everything it is made of, as journaled: the running estimate or a settled one."""
    rules = perp.rules.funding
    return {
        "instrument": value.instrument,
        "kind": "funding",
        "seq": value.seq,
        "ts": millis(value.at_ns),
        "final": value.final,
        **rates(value.rate_e8, rules.interval_ms),
        "interest": scaled_text(value.interest_e8, RATE_DECIMALS),
        "premium_mean": text(value.premium_mean_e10, PREMIUM_DECIMALS),
        "impact_notional": plain(rules.impact_notional),
        "samples": value.samples,
        "expected": value.expected,
        "coverage": f"{value.samples / value.expected:.4f}" if value.expected else None,
        "coverage_min": f"{rules.coverage_min:.4f}",
        "interval_ms": rules.interval_ms,
        "interval_start_ts": value.interval_start_ns // NANOS_PER_MS,
        "settles_ts": value.settles_ns // NANOS_PER_MS,
        "clamps": _funding_clamps(perp, value),
        "reasons": words(value.reasons),
    }


def no_funding_body(perp: PerpInstrument) -> Answer:
    """What is said of funding before there was an estimate."""
    rules = perp.rules.funding
    absent = dict.fromkeys(("ts", *rates(0, rules.interval_ms), "premium_mean", "coverage", "interval_start_ts"))
    return {
        "instrument": perp.id,
        "kind": "funding",
        "seq": 0,
        "final": False,
        **absent,
        "interest": scaled_text(
            quantise(rules.interest_per_8h * rules.interval_ms / EIGHT_HOURS_MS, RATE_DECIMALS), RATE_DECIMALS
        ),
        "impact_notional": plain(rules.impact_notional),
        "samples": 0,
        "expected": 0,
        "coverage_min": f"{rules.coverage_min:.4f}",
        "interval_ms": rules.interval_ms,
        "settles_ts": None,
        "clamps": [],
        "reasons": words((Reason.WARMING_UP,)),
    }


def rates(rate_e8: int, interval_ms: int) -> Answer:
    """A rate per interval, per 8 h and per year of 365 days; simple, not compounded."""
    return {
        "rate": scaled_text(rate_e8, RATE_DECIMALS),
        "rate_per_8h": _prorated(rate_e8, EIGHT_HOURS_MS, interval_ms),
        "rate_per_year": _prorated(rate_e8, YEAR_MS, interval_ms),
    }


def _prorated(rate_e8: int, period_ms: int, interval_ms: int) -> str:
    scale: int = 10 ** (PRORATED_DECIMALS - RATE_DECIMALS)
    return scaled_text(round(Fraction(rate_e8 * scale * period_ms, interval_ms)), PRORATED_DECIMALS)


def _funding_clamps(perp: PerpInstrument, value: FundingRate) -> list[Answer]:
    """Both clamps of F5: what went in, between which bounds, and whether it was held."""
    rules = perp.rules.funding
    fine: int = 10 ** (PREMIUM_DECIMALS - RATE_DECIMALS)
    interest = value.interest_e8 * fine
    inner, cap = quantise(rules.inner_clamp, PREMIUM_DECIMALS), quantise(rules.cap, PREMIUM_DECIMALS)
    if value.premium_mean_e10 is None or any(reason in _FALLEN_BACK for reason in value.reasons):
        pull, raw = None, interest
    else:
        pull = interest - value.premium_mean_e10
        raw = value.premium_mean_e10 + max(-inner, min(inner, pull))
    return [
        _clamp("inner", pull, inner, value.inner_binding),
        _clamp("cap", raw, cap, value.cap_binding),
    ]


def _clamp(name: str, value_e10: int | None, limit_e10: int, binding: bool) -> Answer:
    return {
        "name": name,
        "value": text(value_e10, PREMIUM_DECIMALS),
        "min": scaled_text(-limit_e10, PREMIUM_DECIMALS),
        "max": scaled_text(limit_e10, PREMIUM_DECIMALS),
        "binding": binding,
    }


def settled_body(perp: PerpInstrument, index_decimals: int, value: FundingRate) -> Answer:
    """A settled rate, as history lists it. `index`: the settlement price, None when the settlement was late."""
    return {
        "instrument": value.instrument,
        "seq": value.seq,
        "ts": millis(value.settles_ns),
        **rates(value.rate_e8, perp.rules.funding.interval_ms),
        "premium_mean": text(value.premium_mean_e10, PREMIUM_DECIMALS),
        "samples": value.samples,
        "expected": value.expected,
        "index": text(value.index, index_decimals),
        "reasons": words(value.reasons),
    }


def sample_body(perp: PerpInstrument, index_decimals: int, value: PremiumSample) -> Answer:
    """A premium sample; `premium` None is a missing one."""
    return {
        "ts": millis(value.instant_ns),
        "premium": text(value.premium_e10, PREMIUM_DECIMALS),
        "impact_bid": text(value.impact_bid, perp.price_decimals),
        "impact_ask": text(value.impact_ask, perp.price_decimals),
        "index": text(value.index, index_decimals),
        "reasons": words(value.reasons),
    }


def source_body(
    instrument: IndexInstrument, source: Source, quote: Quote | None, index: float | None, age_ms: int
) -> Answer:
    """What a source counts for. `age_ms`: how long ago it was judged; a source that never was has no price."""
    decimals = instrument.price_decimals + SOURCE_EXTRA_DECIMALS
    price = quote.price if quote is not None and quote.price > 0.0 else None
    shown = None if price is None else scaled_text(quantise(price, decimals), decimals)
    return {
        "source": source.name,
        "venue": source.venue,
        "symbol": source.symbol,
        "market": source.market,
        "quote": source.quote,
        "group": source.group,
        "role": source.role.lower(),
        "price": shown,
        "native_price": shown if source.quote == instrument.quote else None,
        "conversion": instrument.conversions.get(source.quote) if source.quote != instrument.quote else None,
        "distance_bps": f"{(price / index - 1.0) * 10_000.0:.2f}" if price and index else None,
        "age_ms": quote.age_ms + age_ms if quote is not None and price else None,
        "verdict": quote.verdict.lower() if quote is not None else "no_price",
    }


def change_body(change: VerdictChange, sources: tuple[Source, ...]) -> Answer:
    """A line of the public constituent log."""
    return {
        "source": sources[change.source].name,
        "previous": change.previous.lower(),
        "verdict": change.verdict.lower(),
        "ts": millis(change.at_ns),
    }


def alert_body(alert: Alert) -> Answer:
    """Something that surveillance reported. `value` is in the unit that `detail` names."""
    return {
        "kind": alert.kind.lower(),
        "target": alert.target,
        "active": alert.active,
        "since_ts": millis(alert.since_ns),
        "ts": millis(alert.at_ns),
        "value": alert.value,
        "detail": alert.detail,
    }


def dressed(body: Answer, at_ns: Nanos, oldest_ms: int | None, stamp: Stamp) -> Answer:
    """A body as it is answered now: with its true age, and with everything the service knows against it.

    `oldest_ms`: the age of the oldest input at `at_ns`; it grows with the value's own age.
    """
    age_ms = stamp.age_ms(at_ns)
    oldest = None if oldest_ms is None or age_ms is None else oldest_ms + age_ms
    answer = {**body, "epoch": stamp.epoch, "age_ms": age_ms, "oldest_input_age_ms": oldest}
    if stamp.halted:
        _withhold(answer, stamp)
    elif stamp.is_stale(at_ns):
        answer["reasons"] = [*answer["reasons"], SERVICE_STALE]
        answer["liquidation_ok"] = False
    return answer


def _withhold(answer: Answer, stamp: Stamp) -> None:
    """A halted service says no price, and why."""
    answer.update(_WITHHELD[answer["kind"]])
    answer["state"], answer["state_since_ts"] = "halted", millis(stamp.halted_ns)
    answer["reasons"] = list(dict.fromkeys([*stamp.halted, *answer["reasons"]]))
    answer["liquidation_ok"] = False
