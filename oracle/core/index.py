"""How prices become an index: groups, outliers, readmission, the median, its trustworthiness (HK-1 I2 to I8).

One owner has one vote: a group's price is the median of its sources, the index the median of the groups.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from msgspec import Struct, field

from oracle.core.maths import clamp, mad_band, median, median_sorted, middle_without, quartile
from oracle.core.params import IndexRules, SourceRules
from oracle.core.sources import SourceState
from oracle.core.types import NANOS_PER_MS, Nanos, Reason, Verdict
from oracle.core.windows import Notes

BPS = 10_000.0


class Member(Struct, array_like=True):
    """What an index remembers of one of its sources."""

    verdict: Verdict = Verdict.NO_PRICE
    rejected: bool = False
    inside_since_ns: Nanos = 0
    bid: float = 0.0
    ask: float = 0.0
    moved_ns: Nanos = 0
    others_low: float = 0.0
    others_high: float = 0.0


class Memory(Struct, array_like=True):
    """What an index remembers of its sources, in configured order, and what its methodology notes besides.

    `quarantined` are the places of those whose price was another asset's (S9).
    """

    members: list[Member]
    notes: Notes = field(default_factory=Notes)
    quarantined: list[int] = field(default_factory=list)


class Backing(Struct, array_like=True, frozen=True):
    """How well a published index is backed: by how many groups, how many must collude to move it, how far they differ.

    `closed`: no market behind it is open, and its last rate stands.
    """

    n_groups: int = 0
    breakdown_groups: int = 0
    confidence: float = 0.0
    closed: bool = False


class Candidate(Struct, gc=False):
    """One source as the index meets it: its converted price (0.0: none), and what is already against it.

    `leg` is the backing of a candidate that is another index of ours, raised to its power; it has no source.
    `bid` and `ask` are in the source's own currency, like everything in `known`, what is known of the source; times
    `rate` they are in the index's (0.0: nothing converts them).
    """

    place: int
    group: str
    price: float
    age_ns: int
    verdict: Verdict | None
    traded: bool
    bid: float
    ask: float
    venue: str = ""
    rate: float = 1.0
    known: SourceState | None = None
    leg: Backing | None = None


class Cohort(Struct, gc=False):
    """The outcome of a beat's vote. `price` 0.0 and `groups` empty: nobody voted.

    `low` and `high` are the prices between which an honest computation must lie: the lowest and the highest that voted.
    `closed`: no market that voted is open. `reasons` are published with the value.
    """

    price: float = 0.0
    groups: list[float] = field(default_factory=list)
    n_anchored: int = 0
    oldest_ns: int = 0
    confidence: float = 0.0
    gap: float = 0.0
    breakdown_groups: int = 0
    cohort_split: bool = False
    low: float = 0.0
    high: float = 0.0
    closed: bool = False
    reasons: list[Reason] = field(default_factory=list)

    @property
    def spread(self) -> float:
        """The widest difference between two groups, as a share of the price."""
        return (self.groups[-1] - self.groups[0]) / self.price if self.groups else 0.0


def group_prices(members: Sequence[Candidate]) -> list[float]:
    """The sorted prices of the groups: each the median of its own sources (I5)."""
    alone = {member.group: member.price for member in members}
    if len(alone) == len(members):
        return sorted(alone.values())
    by_group: dict[str, list[float]] = {}
    for member in members:
        by_group.setdefault(member.group, []).append(member.price)
    return sorted([median(prices) for prices in by_group.values()])


def judge_frozen(fresh: Sequence[Candidate], members: Sequence[Member], rules: SourceRules, at_ns: Nanos) -> None:
    """Mark as FROZEN whoever's book stands while the others move (S6). Changes verdicts and memories.

    Of an even number of others both in the middle must have moved: their mean would let one half of them, which may
    lie, silence the honest whose books stand.
    """
    if len(fresh) < 2:
        return
    ordered: list[float] = []  # the prices, as soon as somebody is held against the others
    due_ns, moved = at_ns - rules.frozen_ms * NANOS_PER_MS, rules.frozen_bps / BPS
    for c in fresh:
        member = members[c.place]
        if c.bid == member.bid and c.ask == member.ask and member.moved_ns >= due_ns:
            continue
        ordered = ordered or sorted([c.price for c in fresh])
        low, high = middle_without(ordered, bisect_left(ordered, c.price))
        if c.bid != member.bid or c.ask != member.ask:
            member.bid, member.ask, member.moved_ns = c.bid, c.ask, at_ns
            member.others_low, member.others_high = low, high
        elif low / member.others_high - 1.0 > moved or 1.0 - high / member.others_low > moved:
            c.verdict = Verdict.FROZEN


def judge_outliers(valid: Sequence[Candidate], members: Sequence[Member], rules: IndexRules, at_ns: Nanos) -> None:
    """Reject whoever is too far from the median of all, and readmit whoever has long been near (I2 to I4).

    The median is of all fresh valid sources, rejected ones included, so it does not depend on past rejections. With
    fewer than three groups nobody new is rejected. A source that has no valid price now is not near: its time inside is
    broken. Changes verdicts and memories.
    """
    if len(valid) < len(members):
        present = {c.place for c in valid}
        for place, member in enumerate(members):
            if place not in present:
                member.inside_since_ns = 0
    ordered = group_prices(valid)
    if not ordered:
        return
    centre = median_sorted(ordered)
    judging = len(ordered) >= 3
    low, high = rules.outlier_bps_min / BPS, rules.outlier_bps_max / BPS
    near = not judging or (
        len(ordered) == len(valid) and ordered[-1] / centre - 1.0 <= low >= 1.0 - ordered[0] / centre
    )
    if near and not [member for member in members if member.rejected]:
        return  # nobody is outside the narrowest band there can be, and nobody serves his time
    band = clamp(mad_band(ordered, centre, rules.outlier_mad_factor), low, high) if judging else low
    for c in valid:
        member, distance = members[c.place], abs(c.price / centre - 1.0)
        if judging and distance > band:
            member.rejected, member.inside_since_ns = True, 0
            c.verdict = Verdict.OUTLIER
        elif member.rejected:
            c.verdict = _readmit(member, judging and distance <= band * rules.readmit_band_share, rules, at_ns)


def _readmit(member: Member, inside: bool, rules: IndexRules, at_ns: Nanos) -> Verdict | None:
    """The verdict on a rejected source that is no outlier now: its time within the narrow band must be unbroken."""
    if not inside:
        member.inside_since_ns = 0
        return Verdict.OUTLIER
    if not member.inside_since_ns:
        member.inside_since_ns = at_ns
    if at_ns - member.inside_since_ns < rules.readmit_ms * NANOS_PER_MS:
        return Verdict.READMITTING
    member.rejected, member.inside_since_ns = False, 0
    return None


def judge_anchored(accepted: Sequence[Candidate], traded: int, rules: SourceRules) -> None:
    """Mark as UNANCHORED whoever has not traded while enough peers did (S8). `traded`: sources that did."""
    for c in accepted:
        unanchored = not c.traded and traded >= rules.anchor_peers_min
        c.verdict = Verdict.UNANCHORED if unanchored else Verdict.USED


def vote(accepted: Sequence[Candidate], everyone: Sequence[Candidate], rules: IndexRules) -> Cohort:
    """The index of the accepted sources (I5, I6) and whether those who are merely late would say otherwise (I7)."""
    ordered = group_prices(accepted)
    if not ordered:
        return Cohort()
    price = median_sorted(ordered)
    wide = price if len(everyone) == len(accepted) else median_sorted(group_prices(everyone))
    return Cohort(
        price,
        ordered,
        _anchored(accepted, len(ordered)),
        max([c.age_ns for c in accepted]),
        confidence(price, ordered),
        gap(ordered) / price,
        breakdown(ordered, rules.breakdown_bps),
        abs(wide / price - 1.0) * BPS > rules.cohort_bps,
        ordered[0],
        ordered[-1],
    )


def _anchored(accepted: Sequence[Candidate], groups: int) -> int:
    """In how many of these groups somebody is anchored."""
    anchored = [c.group for c in accepted if c.verdict is Verdict.USED]
    return groups if len(anchored) == len(accepted) else len(set(anchored))


def confidence(price: float, ordered: Sequence[float]) -> float:
    """The wider side of the quartiles of the sorted group prices around the index, as a share of it (I6)."""
    return max(quartile(ordered, 3) - price, price - quartile(ordered, 1)) / price


def gap(ordered: Sequence[float]) -> float:
    """The distance between the two prices beside the median; of an even count, the two it is the mean of."""
    n = len(ordered)
    if n < 2:
        return 0.0
    half = n >> 1
    return ordered[half + 1] - ordered[half - 1] if n & 1 else ordered[half] - ordered[half - 1]


def breakdown(ordered: Sequence[float], bps: float) -> int:
    """How many groups must collude to move the median of these sorted prices by more than `bps` (I6).

    The worst that k of them can do upwards is to leave the lowest k places for the sky; downwards, likewise.
    """
    n = len(ordered)
    centre = median_sorted(ordered)
    limit = centre * bps / BPS
    least = n - (n >> 1)  # from here on the median itself is theirs
    if _reach(ordered, least - 1, centre, limit):
        return next(k for k in range(1, least) if _reach(ordered, k, centre, limit))
    return least


def _reach(ordered: Sequence[float], k: int, centre: float, limit: float) -> bool:
    """Whether `k` groups, fewer than have the median, can move it farther than the limit, one way or the other."""
    last = len(ordered) - 1
    up, down = (len(ordered) >> 1) + k, last - (len(ordered) >> 1) - k
    above, below = ordered[up], ordered[down]
    if last & 1:
        above, below = (ordered[up - 1] + above) / 2.0, (below + ordered[down + 1]) / 2.0
    return above > centre + limit or below < centre - limit
