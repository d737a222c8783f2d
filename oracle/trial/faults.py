"""The seven faults: what befalls a venue in each, when the oracle is said to know, and when to be well again.

The first five befall the connections that stand when they begin, for good: a client that asks again, or dials again,
is served. The last two befall the whole venue for a while, and nothing that a client does ends them.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from oracle.errors import ConfigError
from oracle.simulator.faults import Episode, Kind, Script
from oracle.trial.markets import ASSETS

WARM_MS = 20_000  # how long the venues speak before anything befalls them
WARM_CLOCK_MS = 35_000  # where it takes longer to learn what is usual: of a venue's clock
CALM_MS = 5_000  # between two rounds
COHORTS = 3  # in a row, of a fault that is seen by comparing venues: never more than a third suffer at a time
MOVE_SHARE = 0.006  # how far the honest market goes while a book stands still
DRIFT_PER_S = 0.5  # seconds that an event time is off, more every second


class Fault(Struct, frozen=True, kw_only=True):
    """A fault. `lasts_ms` 0: it is bound to the connections that exist. `target_ms` is for knowing of it."""

    name: str
    title: str
    kind: Kind
    target_ms: int
    watch_ms: int
    warm_ms: int = WARM_MS
    lasts_ms: int = 0
    first_asset_only: bool = False


FAULTS = (
    Fault(name="mute", title="total silence", kind=Kind.MUTE, target_ms=3_000, watch_ms=20_000),
    Fault(name="zombie", title="heartbeats only", kind=Kind.LOST, target_ms=3_000, watch_ms=20_000),
    Fault(
        name="symbol",
        title="1 of 2 symbols dies",
        kind=Kind.LOST,
        target_ms=3_000,
        watch_ms=20_000,
        first_asset_only=True,
    ),
    Fault(name="freeze", title="TCP freeze, no FIN", kind=Kind.STALL, target_ms=3_000, watch_ms=20_000),
    Fault(name="drop", title="half are dropped", kind=Kind.DROP_HALF, target_ms=3_000, watch_ms=10_000),
    Fault(
        name="frozen",
        title="best prices frozen",
        kind=Kind.STUCK,
        target_ms=15_000,
        watch_ms=10_000,
        lasts_ms=20_000,
    ),
    Fault(
        name="drift",
        title="event times drift",
        kind=Kind.DRIFT,
        target_ms=15_000,
        watch_ms=10_000,
        warm_ms=WARM_CLOCK_MS,
        lasts_ms=20_000,
    ),
)

DEFINITIONS = """\
  mute    the connection stays open and says nothing, not even a heartbeat or an answer
  zombie  the venue has lost the subscriptions: heartbeats and answers go on, books and trades do not
  symbol  the same for the first of two symbols; the other goes on
  freeze  the venue neither reads nor writes on a connection that nobody closes
  drop    every second frame on the connection is lost
  frozen  the best bid and ask stand still while sizes, trades and pings go on, and the market moves 60 bps away;
          a third of the venues at a time, because only the others can show it
  drift   the event times run away from the clock by half a second every second: half of the venues ahead while the
          other half falls behind, then the other way round; the worse of the two is shown

known     the moment at which the oracle could tell somebody: a Link went down, the line counted a step of repair or
          a drift of the venue's clock, or (for frozen and drift) a verdict of the index spoke against the source. In
          seconds since the fault began.
repaired  for the first five, which spare the next connection: the first book of that symbol, as the venue stated it
          in the last two seconds, that came after the oracle knew; in seconds since the fault began. For the last
          two: the first new book after the fault's end; in seconds since that end.
harmless  nothing was known and nothing was wrong: every book that arrived was one that the venue had just stated. The
          largest time between two of them stands beside it. A venue that sends whole tops without numbers loses
          nothing but pace when half of its frames are lost.
untimed   the venue states no event times by which it could be seen to drift, and none was known.
"""


def faults_of(names: Sequence[str] = ()) -> list[Fault]:
    """The faults of these names; none: all seven. Raises ConfigError for one that does not exist."""
    known = {fault.name: fault for fault in FAULTS}
    for name in names:
        if name not in known:
            raise ConfigError(f"no such fault: {name}", remedy=f"one of {', '.join(known)}")
    return [known[name] for name in names] if names else list(FAULTS)


class Round(Struct, frozen=True):
    """When a fault befalls whom; times are since the venues began to speak."""

    venues: tuple[str, ...]
    begins_ms: int
    ends_ms: int  # of the fault: 0, it has no end
    until_ms: int  # of the watching
    way: int = 1  # of a fault that has two


def plays_of(fault: Fault, venues: Sequence[str]) -> list[list[Round]]:
    """What is played for a fault: each list is a world of its own, with its rounds one after another.

    All the venues suffer at once; where a fault is seen by comparison, a third of them after the other; a drift in
    two worlds, because a clock that ran ahead is remembered for minutes.
    """
    if fault.kind is Kind.STUCK:
        shares = [tuple(venues[n::COHORTS]) for n in range(COHORTS)]
        return [_in_a_row(fault, [share for share in shares if share])]
    if fault.kind is Kind.DRIFT:
        return [_in_a_row(fault, [tuple(venues)], way) for way in (1, -1)]
    return [_in_a_row(fault, [tuple(venues)])]


def _in_a_row(fault: Fault, shares: Sequence[tuple[str, ...]], way: int = 1) -> list[Round]:
    rounds, begins_ms = [], fault.warm_ms
    for share in shares:
        ends_ms = begins_ms + fault.lasts_ms if fault.lasts_ms else 0
        until_ms = begins_ms + fault.lasts_ms + fault.watch_ms
        rounds.append(Round(share, begins_ms, ends_ms, until_ms, way))
        begins_ms, way = until_ms + CALM_MS, -way
    return rounds


def script_of(fault: Fault, rounds: Sequence[Round]) -> Script:
    """What of a fault happens in the simulated world; what happens on the lines is not in it."""
    if fault.kind is Kind.STUCK:
        return Script(tuple(episode for each in rounds for episode in _stuck(each)))
    if fault.kind is Kind.DRIFT:
        return Script(tuple(episode for each in rounds for episode in _drifting(each)))
    return Script()


def _stuck(each: Round) -> list[Episode]:
    """The books of these venues stand while the market goes away from them, and comes back afterwards."""
    at_ms, lasts_ms, asset = each.begins_ms, each.ends_ms - each.begins_ms, ASSETS[0]
    stuck = [
        Episode(at_ms=at_ms, lasts_ms=lasts_ms, kind=Kind.STUCK, target=f"{venue}/spot/{asset}")
        for venue in each.venues
    ]
    move = Episode(
        at_ms=at_ms,
        lasts_ms=lasts_ms + CALM_MS,
        kind=Kind.MOVE,
        target=asset,
        amount=each.way * MOVE_SHARE,
        rise_ms=lasts_ms // 2,
        fall_ms=CALM_MS,
    )
    return [*stuck, move]


def _drifting(each: Round) -> list[Episode]:
    """The event times of every other venue run ahead, those of the rest fall behind, ever farther."""
    at_ms, lasts_ms = each.begins_ms, each.ends_ms - each.begins_ms
    return [
        Episode(
            at_ms=at_ms,
            lasts_ms=lasts_ms,
            kind=Kind.DRIFT,
            target=f"{venue}/*",
            amount=each.way * (1 if place % 2 == 0 else -1) * DRIFT_PER_S * lasts_ms / 1_000,
            rise_ms=lasts_ms,
        )
        for place, venue in enumerate(each.venues)
    ]
