"""The nouns: what venues say, the beat that carries it, and what the oracle publishes.

Times are UTC nanoseconds (`Nanos`), stamped by a clock that never runs backwards. Prices that venues say are
doubles; prices that the oracle publishes are integers of the instrument's scale (`price_decimals`), rates are
integers of 1e-8 (`_e8`), premiums of 1e-10 (`_e10`), basis points of 1e-2 (`_bps_e2`). Order of fields is the
order in the journal: a field may be added at the end, never moved.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias, TypeVar

from msgspec import Struct

Nanos: TypeAlias = int
NANOS_PER_MS = 1_000_000
NANOS_PER_S = 1_000_000_000
RATE_DECIMALS = 8
PREMIUM_DECIMALS = 10


W = TypeVar("W", bound=type[StrEnum])


def at_hand(words: W) -> W:
    """Let the members of an enumeration be found as plain attributes: Python 3.11 asks a slow descriptor for them."""
    for name, member in words.__members__.items():
        type.__setattr__(words, name, member)
    return words


@at_hand
class Side(StrEnum):
    """Of a trade: who took. Of a position: which way."""

    BUY = "buy"
    SELL = "sell"
    UNKNOWN = "unknown"


@at_hand
class TickerKind(StrEnum):
    """Which price a venue states itself."""

    LAST = "last"
    MARK = "mark"
    INDEX = "index"
    FUNDING = "funding"
    REFERENCE = "reference"  # a rate that an authority or a desk states


@at_hand
class Action(StrEnum):
    """What an operator, the platform or the service itself orders."""

    START = "START"  # the process began: everything warms up again
    HALT = "HALT"
    RESUME = "RESUME"
    ACKNOWLEDGE = "ACKNOWLEDGE"
    SUSPEND = "SUSPEND"  # the platform suspended the reference asset (SFC framework, paragraph 9)
    UNSUSPEND = "UNSUSPEND"
    EXCLUDE = "EXCLUDE"  # a source, by name
    INCLUDE = "INCLUDE"


@at_hand
class State(StrEnum):
    """The ladder of HK-1; the order of the members is the order of severity."""

    NORMAL = "NORMAL"
    DEGRADED = "DEGRADED"
    TWO_GROUPS = "FALLBACK_TWO_GROUPS"
    PERP_IMPLIED = "FALLBACK_PERP_IMPLIED"
    LAST_GOOD = "FALLBACK_LAST_GOOD"
    HALTED = "HALTED"
    WARMING = "WARMING"
    SUSPENDED = "SUSPENDED"


@at_hand
class Verdict(StrEnum):
    """What a source counts for at a beat, and why."""

    USED = "USED"
    UNANCHORED = "UNANCHORED"  # votes, does not count towards NORMAL (S8)
    NO_PRICE = "NO_PRICE"  # has not said a price since the start or the last break
    LINK_DOWN = "LINK_DOWN"
    ONE_SIDED = "ONE_SIDED"
    CROSSED = "CROSSED"
    WIDE = "WIDE"
    STALE = "STALE"
    FROZEN = "FROZEN"
    FUTURE = "FUTURE"
    NO_CONVERSION = "NO_CONVERSION"
    OUTLIER = "OUTLIER"
    READMITTING = "READMITTING"  # was an outlier, is inside again, serves its time
    EXCLUDED = "EXCLUDED"  # by an operator's recorded order
    CAPPED = "CAPPED"  # votes with its price held at a methodology's limit
    UNWEIGHTED = "UNWEIGHTED"  # the methodology gives it no weight
    QUARANTINED = "QUARANTINED"  # a price of another asset under the same symbol; until an operator includes it (S9)
    NOT_LISTED = "NOT_LISTED"  # outside the time in which the symbol means this asset
    CLOSED = "CLOSED"  # its market is closed: its last rate stands, and is not stale


@at_hand
class Reason(StrEnum):
    """Why a published value is what it is. Stable words: consumers switch on them."""

    WARMING_UP = "WARMING_UP"
    FEW_GROUPS = "FEW_GROUPS"
    UNANCHORED_GROUPS = "UNANCHORED_GROUPS"
    DISPERSION = "DISPERSION"
    COHORT_SPLIT = "COHORT_SPLIT"
    CONVERSION = "CONVERSION"
    CLOCK_OFFSET = "CLOCK_OFFSET"
    TWO_GROUPS = "TWO_GROUPS"
    GROUPS_DISAGREE = "GROUPS_DISAGREE"
    PERP_IMPLIED = "PERP_IMPLIED"
    LAST_GOOD = "LAST_GOOD"
    RECOVERING = "RECOVERING"  # the conditions are better than the state: the dwell time runs
    FALLBACK_TOO_LONG = "FALLBACK_TOO_LONG"
    INVARIANT = "INVARIANT"
    OPERATOR = "OPERATOR"
    UNACKNOWLEDGED = "UNACKNOWLEDGED"
    SUSPENDED = "SUSPENDED"
    JUMP = "JUMP"
    RATE_LIMITED = "RATE_LIMITED"
    INDEX_UNUSABLE = "INDEX_UNUSABLE"
    ENGINE_FEED_STALE = "ENGINE_FEED_STALE"
    LEG_MISSING = "LEG_MISSING"
    CLAMP_STEP = "CLAMP_STEP"
    CLAMP_BAND = "CLAMP_BAND"
    GUARD_PINNED = "GUARD_PINNED"  # a guard has bound for a minute
    THIN_BID = "THIN_BID"
    THIN_ASK = "THIN_ASK"
    MISSING = "MISSING"
    NO_SAMPLES = "NO_SAMPLES"
    FUNDING_FALLBACK = "FUNDING_FALLBACK"
    FUNDING_AT_CAP = "FUNDING_AT_CAP"
    LATE = "LATE"
    MARKET_CLOSED = "MARKET_CLOSED"
    LEG_UNUSABLE = "LEG_UNUSABLE"  # an index that this one is made of has no usable value
    LEGS_SKEWED = "LEGS_SKEWED"  # the legs were made too far apart in time


@at_hand
class AlertKind(StrEnum):
    """What surveillance reports (SFC framework, paragraph 23)."""

    STATE = "STATE"
    CLAMP_BINDING = "CLAMP_BINDING"
    INDEX_MARK_DIVERGENCE = "INDEX_MARK_DIVERGENCE"
    FUNDING_AT_CAP = "FUNDING_AT_CAP"
    SOURCE_DEVIATION = "SOURCE_DEVIATION"
    SOURCES_TOGETHER = "SOURCES_TOGETHER"
    LIQUIDATION_CLUSTER = "LIQUIDATION_CLUSTER"


class BookTop(Struct, frozen=True, gc=False, array_like=True, tag="B"):
    """Best bid and ask of a source. An empty side is price 0.0, size 0.0; a size of 0.0 beside a price is not stated.

    `venue_ns` 0: the venue states no time.
    """

    source: int
    bid: float
    bid_size: float
    ask: float
    ask_size: float
    venue_ns: Nanos
    recv_ns: Nanos


class Depth(Struct, frozen=True, gc=False, array_like=True, tag="D"):
    """The whole visible book, best first, bounded; replaces the previous one. Levels are (price, size)."""

    source: int
    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]
    venue_ns: Nanos
    recv_ns: Nanos


class Trade(Struct, frozen=True, gc=False, array_like=True, tag="T"):
    """A trade that happened on a venue; `side` is the taker's."""

    source: int
    price: float
    size: float
    side: Side
    venue_ns: Nanos
    recv_ns: Nanos


class Liquidation(Struct, frozen=True, gc=False, array_like=True, tag="Q"):
    """A forced close on the platform; `side` is that of the order which closed the position."""

    source: int
    price: float
    size: float
    side: Side
    venue_ns: Nanos
    recv_ns: Nanos


class Ticker(Struct, frozen=True, gc=False, array_like=True, tag="K"):
    """A price or rate that the venue states itself."""

    source: int
    kind: TickerKind
    price: float
    venue_ns: Nanos
    recv_ns: Nanos


class Link(Struct, frozen=True, gc=False, array_like=True, tag="L"):
    """The line to a source went up, or down for a reason. Up never makes a price fresh; down ends it."""

    source: int
    up: bool
    reason: str
    recv_ns: Nanos


class Command(Struct, frozen=True, gc=False, array_like=True, tag="C"):
    """An order of an operator, the platform or the service. `target`: an instrument, a source's name, or `*`."""

    action: Action
    target: str
    by: str
    reason: str
    recv_ns: Nanos


class ClockReading(Struct, frozen=True, gc=False, array_like=True, tag="O"):
    """How far this machine's UTC is believed to be from true UTC; `synchronised` False: nobody knows."""

    offset_ns: int
    synchronised: bool
    recv_ns: Nanos


Observation: TypeAlias = BookTop | Depth | Trade | Liquidation | Ticker | Link | Command | ClockReading


class Beat(Struct, frozen=True, gc=False, array_like=True, tag="beat"):
    """One calculation: a time, everything that arrived since the last one, and how many were conflated away."""

    seq: int
    at_ns: Nanos
    seen: tuple[Observation, ...]
    dropped: int


class Quote(Struct, frozen=True, gc=False, array_like=True):
    """What a source counts for at a beat. `price` is converted to the instrument's currency; 0.0 when there is none."""

    source: int
    price: float
    age_ms: int
    verdict: Verdict


class IndexValue(Struct, frozen=True, array_like=True, tag="I"):
    """The reference asset price. `price` None: there is none, and `last_good` says what was last published as good."""

    instrument: str
    seq: int
    at_ns: Nanos
    price: int | None
    last_good: int | None
    last_good_ns: Nanos
    carried_forward: bool
    state: State
    state_since_ns: Nanos
    reasons: tuple[Reason, ...]
    liquidation_ok: bool
    n_groups: int
    breakdown_groups: int
    confidence_bps_e2: int | None
    gap_bps_e2: int | None
    oldest_input_age_ms: int | None


class MarkPrice(Struct, frozen=True, array_like=True, tag="M"):
    """The product price of a perpetual, with the three legs it is the median of and the clamps that bind."""

    instrument: str
    seq: int
    at_ns: Nanos
    price: int | None
    index: int | None
    index_seq: int
    basis_leg: int | None
    book_leg: int | None
    funding_leg: int | None
    step_binding: bool
    band_binding: bool
    state: State
    state_since_ns: Nanos
    reasons: tuple[Reason, ...]
    liquidation_ok: bool
    feed_age_ms: int | None
    oldest_input_age_ms: int | None


class PremiumSample(Struct, frozen=True, array_like=True, tag="P"):
    """The premium at a grid instant; None is a missing sample, which is not a zero."""

    instrument: str
    seq: int
    instant_ns: Nanos
    premium_e10: int | None
    impact_bid: int | None
    impact_ask: int | None
    index: int | None
    reasons: tuple[Reason, ...]


class FundingRate(Struct, frozen=True, array_like=True, tag="F"):
    """The running estimate, or (`final`) what an interval settled at. `index` is the settlement price, when final."""

    instrument: str
    seq: int
    at_ns: Nanos
    final: bool
    rate_e8: int
    interval_start_ns: Nanos
    settles_ns: Nanos
    premium_mean_e10: int | None
    samples: int
    expected: int
    interest_e8: int
    inner_binding: bool
    cap_binding: bool
    reasons: tuple[Reason, ...]
    index: int | None


class VerdictChange(Struct, frozen=True, array_like=True, tag="V"):
    """A source began to count for something else: the public constituent log is made of these."""

    instrument: str
    source: int
    previous: Verdict
    verdict: Verdict
    at_ns: Nanos


class Alert(Struct, frozen=True, array_like=True, tag="A"):
    """Something a surveillance officer wants to know began or ended. `value` is in the unit that `detail` names."""

    kind: AlertKind
    target: str
    active: bool
    since_ns: Nanos
    at_ns: Nanos
    value: float
    detail: str


Value: TypeAlias = IndexValue | MarkPrice | PremiumSample | FundingRate | VerdictChange | Alert


class Tick(Struct, frozen=True):
    """The answer to a beat. `values` are journaled, then published; `quotes`, per index, can be recomputed."""

    seq: int
    at_ns: Nanos
    values: tuple[Value, ...]
    quotes: dict[str, tuple[Quote, ...]]
