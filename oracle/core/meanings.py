"""What every public word means: verdicts, reasons, alerts, and what a state allows. Documents print these tables.

A verdict or a reason without an entry here cannot be published: the tests hold the tables complete. A rule is a label
of HK-1 (`methodology/hk1.md`), a word for what has none there, or the parameters that bound it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from oracle.core.types import AlertKind, Reason, State, Verdict


class Judged(NamedTuple):
    """A verdict: whether the source votes, by which rule, and what that means."""

    votes: str
    rule: str
    text: str


class Meaning(NamedTuple):
    """A reason: which values say it, by which rule, and what it means."""

    of: str
    rule: str
    text: str


class Watched(NamedTuple):
    """An alert: what is watched, and the parameters of how far and for how long ("": none)."""

    text: str
    beyond: str = ""
    lasting: str = ""


class Allowed(NamedTuple):
    """What a consumer may do with a value in a state, and what limits it.

    `show`: there is a price to show; `margin`: to demand margin by; `liquidate`: to close a position by, where the
    value's own `liquidation_ok` says so too; `sample`: premiums are sampled; `settle`: a settlement has its price.
    """

    show: bool
    margin: bool
    liquidate: bool
    sample: bool
    settle: bool
    note: str


VERDICTS: Mapping[Verdict, Judged] = {
    Verdict.USED: Judged("yes", "I5", "votes"),
    Verdict.UNANCHORED: Judged("yes", "S8", "votes without a recent trade of its own; does not count towards NORMAL"),
    Verdict.NO_PRICE: Judged("no", "S4", "has stated no price since the start or since its line broke"),
    Verdict.LINK_DOWN: Judged("no", "S4", "its line is broken; what it said before is not the price after"),
    Verdict.ONE_SIDED: Judged("no", "S2", "its book lacks a bid or an ask, or states no number"),
    Verdict.CROSSED: Judged("no", "S2", "its bid is not below its ask"),
    Verdict.WIDE: Judged("no", "S2", "its spread is beyond the limit"),
    Verdict.STALE: Judged("no", "S5", "its book, or its rate, is older than it may be"),
    Verdict.FROZEN: Judged("no", "S6", "its book stands still while the others move"),
    Verdict.FUTURE: Judged("no", "S7", "it dates its book into the future"),
    Verdict.NO_CONVERSION: Judged("no", "S3", "nothing fit converts the currency it quotes in"),
    Verdict.OUTLIER: Judged("no", "I3", "stands farther from the median of all than the band"),
    Verdict.READMITTING: Judged("no", "I4", "was an outlier, is near again, and serves its time"),
    Verdict.EXCLUDED: Judged("no", "an order", "an operator's recorded order leaves it out"),
    Verdict.CAPPED: Judged("yes", "the methodology's cap", "votes with its price held at the methodology's limit"),
    Verdict.UNWEIGHTED: Judged("no", "the methodology's weights", "the methodology gives it no weight"),
    Verdict.QUARANTINED: Judged("no", "S9", "says another asset's price under this symbol, until an order includes it"),
    Verdict.NOT_LISTED: Judged("no", "S9", "its symbol does not mean this asset at this time"),
    Verdict.CLOSED: Judged(
        "by the methodology",
        "S9",
        "its market is closed: its last rate stands and is not stale; HK-1's vote leaves it out",
    ),
}

REASONS: Mapping[Reason, Meaning] = {
    Reason.WARMING_UP: Meaning("index", "ladder", "nothing is published yet after a start, a halt or a suspension"),
    Reason.FEW_GROUPS: Meaning("index", "ladder", "fewer groups vote than a better state needs"),
    Reason.UNANCHORED_GROUPS: Meaning("index", "S8", "groups enough vote, but too few of them have traded of late"),
    Reason.DISPERSION: Meaning("index", "I6", "the groups differ: confidence is beyond the limit of a better state"),
    Reason.COHORT_SPLIT: Meaning("index", "I7", "with the merely late sources the index would be another"),
    Reason.CONVERSION: Meaning("index", "S3", "an index that converts, or a leg, is not NORMAL"),
    Reason.CLOCK_OFFSET: Meaning("index", "ladder", "this machine's clock is off by more than the limit"),
    Reason.TWO_GROUPS: Meaning("index", "ladder", "two groups that agree make the value"),
    Reason.GROUPS_DISAGREE: Meaning("index", "ladder", "two groups are left, and they disagree"),
    Reason.PERP_IMPLIED: Meaning("index", "ladder", "outside perpetuals carry the last good value on"),
    Reason.LAST_GOOD: Meaning("index", "ladder", "nothing carries the last good value on"),
    Reason.RECOVERING: Meaning("index", "ladder", "a better state is called for, and its dwell time runs"),
    Reason.FALLBACK_TOO_LONG: Meaning("index", "ladder", "a fallback lasted longer than it may"),
    Reason.INVARIANT: Meaning(
        "index", "ladder", "the value lies outside the votes it is made of, or is too small to show"
    ),
    Reason.OPERATOR: Meaning("index", "an order", "an operator ordered the halt"),
    Reason.UNACKNOWLEDGED: Meaning("index", "ladder", "the halt was long or the price went far: an operator must look"),
    Reason.SUSPENDED: Meaning("index", "an order", "the platform suspended the reference asset"),
    Reason.JUMP: Meaning("index", "I8", "the index moved far within the jump window; liquidation waits"),
    Reason.RATE_LIMITED: Meaning("index", "ladder", "a fallback's value moves no faster than it may"),
    Reason.INDEX_UNUSABLE: Meaning("mark, sample", "F2", "there is no index, or none that may be sampled against"),
    Reason.ENGINE_FEED_STALE: Meaning("mark, sample", "M5", "the platform's own market has been silent"),
    Reason.LEG_MISSING: Meaning("mark, sample", "M4", "a leg of the mark is missing, or the mark a sample is taken of"),
    Reason.CLAMP_STEP: Meaning(
        "mark", "M6", "the mark is held to its step, or to the methodology's own limit of moves"
    ),
    Reason.CLAMP_BAND: Meaning("mark", "M7", "the mark is held to its band around the index"),
    Reason.GUARD_PINNED: Meaning(
        "index, mark", "ladder", "a guard has held the value for so long that it is said aloud"
    ),
    Reason.THIN_BID: Meaning("sample", "F2", "the bids are too thin for the impact notional"),
    Reason.THIN_ASK: Meaning("sample", "F2", "the asks are too thin for the impact notional"),
    Reason.MISSING: Meaning("sample", "F2", "there is no sample of this instant, which is not a zero"),
    Reason.NO_SAMPLES: Meaning("funding", "F4", "the interval has not reached its first sampling instant"),
    Reason.FUNDING_FALLBACK: Meaning("funding", "F4", "too few samples: the rate is the interest alone"),
    Reason.FUNDING_AT_CAP: Meaning("funding", "F5", "the rate is held at its cap"),
    Reason.LATE: Meaning("sample, funding", "F1, F6", "taken or settled later than it may be"),
    Reason.MARKET_CLOSED: Meaning("index, mark", "S9", "no market behind the value is open"),
    Reason.LEG_UNUSABLE: Meaning("index", "legs", "an index that this one is made of has no usable value"),
    Reason.LEGS_SKEWED: Meaning("index", "legs", "the indices that this one is made of were calculated too far apart"),
}

ALERTS: Mapping[AlertKind, Watched] = {
    AlertKind.STATE: Watched("an index changed its state; the alert ends with NORMAL"),
    AlertKind.CLAMP_BINDING: Watched(
        "a clamp of the mark, or the rate limit of a fallback, binds", "", "ladder.guard_alert_ms"
    ),
    AlertKind.INDEX_MARK_DIVERGENCE: Watched(
        "index and mark stand apart", "surveillance.divergence_bps", "surveillance.divergence_ms"
    ),
    AlertKind.FUNDING_AT_CAP: Watched("the running estimate is held at its cap", "funding.cap"),
    AlertKind.SOURCE_DEVIATION: Watched(
        "a source stands off the index", "surveillance.source_bps", "surveillance.source_ms"
    ),
    AlertKind.SOURCES_TOGETHER: Watched(
        "two groups or more stand off the index on one side", "surveillance.together_bps", "surveillance.together_ms"
    ),
    AlertKind.LIQUIDATION_CLUSTER: Watched(
        "so many forced closes, counted over the time beside", "surveillance.liquidations_min",
        "surveillance.liquidations_ms",
    ),
}  # fmt: skip

ALLOWED: Mapping[State, Allowed] = {
    State.NORMAL: Allowed(True, True, True, True, True, "liquidation not while `JUMP`"),
    State.DEGRADED: Allowed(
        True, True, True, True, True,
        "liquidation not while `COHORT_SPLIT`, `JUMP`, or confidence beyond `confidence_liquidation_bps_max`",
    ),
    State.TWO_GROUPS: Allowed(True, False, False, False, True, "the mark is the index"),
    State.PERP_IMPLIED: Allowed(True, False, False, False, True, "the mark is the index; `carried_forward`"),
    State.LAST_GOOD: Allowed(True, False, False, False, True, "the mark is the index; `carried_forward`"),
    State.HALTED: Allowed(False, False, False, False, False, "a rate still settles; its settlement price is missing"),
    State.WARMING: Allowed(False, False, False, False, False, "a rate still settles; its settlement price is missing"),
    State.SUSPENDED: Allowed(True, False, False, False, True, "values go on, for information"),
}  # fmt: skip
