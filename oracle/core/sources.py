"""What is known of each source, and what its price counts for before it meets the others (HK-1 S1 to S7).

Age is the heart of it. Only a message that states this source's book makes its price younger: no heartbeat, no other
symbol, and no trade either, because a price is bounded by the book and a dead book channel with living trades must
not look alive. Where the venue states an event time, the older of the two ages counts, corrected by the offset of the
venue's clock as measured from its own messages.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from msgspec import Struct, field

from oracle.core.calendar import is_open, open_ns
from oracle.core.maths import clamp
from oracle.core.params import Source, SourceRules
from oracle.core.types import NANOS_PER_MS, BookTop, Depth, Link, Nanos, Ticker, Trade, Verdict
from oracle.core.windows import ClockOffset, Gaps

NEVER_NS = 1 << 62  # later than any beat


class SourceState(Struct, array_like=True):
    """The memory of one source. Times are 0 while nothing is known."""

    gaps: Gaps
    link_up: bool = True
    excluded: bool = False
    bid: float = 0.0
    ask: float = 0.0
    stated_ns: Nanos = 0
    event_ns: Nanos = 0
    ahead_ns: int = 0
    last: float = 0.0
    last_trade_ns: Nanos = 0
    clock: ClockOffset = field(default_factory=ClockOffset)
    bid_size: float = 0.0
    ask_size: float = 0.0
    depth: Depth | None = None


class Examined(Struct, frozen=True, gc=False):
    """A source's own price in its own currency (0.0: none), its age, and a verdict that concerns it alone.

    `verdict` None: nothing against it yet. A STALE source keeps its price while it is younger than `stale_ms_max`.
    All but the age, which counts from `since_ns`, stands until `until_ns`, unless the source is heard of before.
    """

    price: float
    age_ns: int
    verdict: Verdict | None
    traded: bool
    since_ns: Nanos
    until_ns: Nanos


class Bounds(NamedTuple):
    """The rules of a source in nanoseconds and shares, worked out once for every source and beat."""

    trade_anchor_ns: int
    stale_ns_min: int
    stale_ns_max: int
    stale_gap_factor: int
    future_ns_max: int
    offset_ns_max: int
    spread_max: float


def bounds(rules: SourceRules) -> Bounds:
    """The bounds that these rules are."""
    return Bounds(
        rules.trade_anchor_ms * NANOS_PER_MS,
        rules.stale_ms_min * NANOS_PER_MS,
        rules.stale_ms_max * NANOS_PER_MS,
        rules.stale_gap_factor,
        rules.future_ms_max * NANOS_PER_MS,
        rules.clock_offset_ms_max * NANOS_PER_MS,
        rules.spread_bps_max / 10_000.0,
    )


def new_source(rules: SourceRules) -> SourceState:
    """A source of which nothing is known."""
    return SourceState(Gaps(rules.stale_window))


def apply_book(state: SourceState, top: BookTop, rules: SourceRules) -> None:
    """The source stated its book."""
    recv_ns = top.recv_ns
    if state.stated_ns:
        state.gaps.add(recv_ns - state.stated_ns)
    state.bid, state.ask, state.stated_ns = top.bid, top.ask, recv_ns
    state.bid_size, state.ask_size = top.bid_size, top.ask_size
    state.link_up = True
    state.event_ns = top.venue_ns
    if top.venue_ns:
        delay_ns = recv_ns - top.venue_ns
        state.clock.add(delay_ns, recv_ns, rules.clock_window_ms)
        state.ahead_ns = _offset_ns(state, rules.clock_offset_ms_max * NANOS_PER_MS) - delay_ns
    else:
        state.ahead_ns = 0


def apply_trade(state: SourceState, trade: Trade) -> None:
    """The source reported a trade."""
    state.last, state.last_trade_ns = trade.price, trade.recv_ns


def apply_reference(state: SourceState, said: Ticker) -> None:
    """An authority or a desk stated its rate."""
    state.last, state.stated_ns, state.event_ns = said.price, said.recv_ns, said.venue_ns or said.recv_ns
    state.link_up = True


def apply_link(state: SourceState, link: Link) -> None:
    """The line went up or down. What was said before a break is not the price after it."""
    state.link_up = link.up
    if not link.up:
        forget_price(state)


def forget_price(state: SourceState) -> None:
    """Nothing that was said so far is current: after a broken line, or a start."""
    state.bid = state.ask = state.last = state.bid_size = state.ask_size = 0.0
    state.depth = None
    state.stated_ns = state.event_ns = state.last_trade_ns = 0
    state.ahead_ns = 0


def examine(state: SourceState, within: Bounds, at_ns: Nanos) -> Examined:
    """The source's price at `at_ns` and what is against it, looked at alone (rules S1, S2, S4, S5, S7)."""
    if not state.stated_ns:
        return Examined(0.0, 0, Verdict.NO_PRICE if state.link_up else Verdict.LINK_DOWN, False, NEVER_NS, NEVER_NS)
    since_ns = _since_ns(state, within)
    age_ns = at_ns - since_ns if at_ns > since_ns else 0
    anchored_ns = state.last_trade_ns + within.trade_anchor_ns
    traded = state.last_trade_ns > 0 and at_ns <= anchored_ns
    until_ns = anchored_ns if traded else NEVER_NS
    if state.excluded or age_ns > within.stale_ns_max:
        verdict = Verdict.EXCLUDED if state.excluded else Verdict.STALE
        return Examined(0.0, age_ns, verdict, traded, since_ns, until_ns)
    if (against := _against_book(state, within)) is not None:
        return Examined(0.0, age_ns, against, traded, since_ns, min(until_ns, since_ns + within.stale_ns_max))
    bid, ask = state.bid, state.ask
    price = clamp(state.last, bid, ask) if traded else (bid + ask) / 2.0  # of three, the median
    late_ns = since_ns + within.stale_ns_min
    if at_ns > late_ns:  # the median gap is dear, and seldom needed
        late_ns = since_ns + int(stale_after_ns(state, within))
        if at_ns > late_ns:
            until_ns = min(until_ns, since_ns + within.stale_ns_max)
            return Examined(price, age_ns, Verdict.STALE, traded, since_ns, until_ns)
    return Examined(price, age_ns, None, traded, since_ns, until_ns if until_ns < late_ns else late_ns)


def examine_reference(state: SourceState, source: Source, at_ns: Nanos) -> Examined:
    """A stated rate at `at_ns`: it ages only while its market is open, and a closed market's last rate stands.

    It is STALE beyond the source's `age_ms_max` of open time since the moment the rate itself names.
    """
    if not state.stated_ns:
        return Examined(0.0, 0, Verdict.NO_PRICE if state.link_up else Verdict.LINK_DOWN, False, NEVER_NS, at_ns)
    since_ns = min(state.event_ns, state.stated_ns)
    if state.excluded:
        return Examined(0.0, at_ns - since_ns, Verdict.EXCLUDED, False, since_ns, at_ns)
    stale = open_ns(source.calendar, since_ns, at_ns) > source.age_ms_max * NANOS_PER_MS
    closed = not is_open(source.calendar, at_ns)
    found = Verdict.STALE if stale else Verdict.CLOSED if closed else None
    return Examined(0.0 if stale else state.last, at_ns - since_ns, found, True, since_ns, at_ns)


def _against_book(state: SourceState, within: Bounds) -> Verdict | None:
    bid, ask = state.bid, state.ask
    if not 0.0 < bid < ask < inf:  # NaN is on no side either
        return Verdict.CROSSED if 0.0 < ask <= bid < inf else Verdict.ONE_SIDED
    if ask - bid > within.spread_max * ((bid + ask) / 2.0):
        return Verdict.WIDE
    return Verdict.FUTURE if state.ahead_ns > within.future_ns_max else None


def _since_ns(state: SourceState, within: Bounds) -> Nanos:
    """From when this source's price ages: from its receipt, or from its event time if that is older (S4)."""
    if state.event_ns:
        by_event_ns = state.event_ns + _offset_ns(state, within.offset_ns_max)
        if by_event_ns < state.stated_ns:
            return by_event_ns
    return state.stated_ns


def stale_after_ns(state: SourceState, within: Bounds) -> float:
    """The age at which this source is STALE: a multiple of its own median gap, within bounds (S5)."""
    return clamp(within.stale_gap_factor * state.gaps.median_ns(), within.stale_ns_min, within.stale_ns_max)


def _offset_ns(state: SourceState, bound: int) -> int:
    """The venue clock's offset, corrected for no more than a clock may honestly be wrong."""
    offset_ns = state.clock.offset_ns
    return offset_ns if -bound <= offset_ns <= bound else max(-bound, min(bound, offset_ns))
