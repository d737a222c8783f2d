"""The methodology written a second time, in exact numbers and sharing no code: what is published must be equal.

`Said` to `vote` is the second writing, of rules S1 to S5, S7, I2, I3, I5, I6 and of the rounding. The rest makes worlds
of prices, spreads, ages, clocks, trades and USDT conversions, and compares.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction as F
from itertools import combinations
from statistics import median
from typing import Any, NamedTuple

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import structs

from oracle.core.engine import Engine
from oracle.core.params import World
from oracle.core.types import Beat, BookTop, IndexValue, Observation, Side, State, Trade
from oracle.methods import for_world

MS = 1_000_000
SMALL = {3: "1.495", 4: "1.363", 5: "1.206", 6: "1.200", 7: "1.140", 8: "1.129", 9: "1.107"}


class Said(NamedTuple):
    """All that a source has ever said: when it stated its book, the last one, event times if it gives them, a trade."""

    group: str
    times: list[int]
    bid: F
    ask: F
    events: list[tuple[int, int]]  # (receipt, event time) of the statements that had one
    trade: tuple[F, int] | None


class Vote(NamedTuple):
    """What the public is told of a vote, in integers."""

    price: int
    n_groups: int
    breakdown: int
    confidence: int
    gap: int
    age_ms: int


def over(value: F, limit: F) -> bool:
    """Whether a value exceeds a limit; worlds in which that hangs on the last digit of a double are not looked at."""
    assume(abs(value - limit) > limit / 10**9)
    return value > limit


def units(value: F, decimals: int) -> int:
    return round(F(round(value * 10 ** (decimals + 6)), 10**6))


def looked_at(said: Said, at: int) -> tuple[F, int, bool] | None:
    """The price of a source, its age, and whether it is fresh; None when it has no valid price."""
    age, offset = at - said.times[-1], 0
    if said.events:
        delays = [receipt - event for receipt, event in said.events]
        offset = max(-5_000 * MS, min(5_000 * MS, min(delays)))
        age = max(0, age, at - said.events[-1][1] - offset)
        if offset - delays[-1] > 2_000 * MS:
            return None
    mid = (said.bid + said.ask) / 2
    if age > 10_000 * MS or not 0 < said.bid < said.ask or over(said.ask - said.bid, mid / 100):
        return None
    gaps = [later - earlier for earlier, later in zip(said.times, said.times[1:], strict=False)][-32:]
    late = age > max(1_000 * MS, min(10_000 * MS, 8 * median(gaps)))
    anchored = said.trade is not None and at - said.trade[1] <= 60_000 * MS
    return (median([said.bid, said.ask, said.trade[0]]) if said.trade and anchored else mid), age, not late


def by_group(prices: list[tuple[str, F]]) -> list[F]:
    return sorted(median([p for h, p in prices if h == g]) for g in {g for g, _ in prices})


def quartile(ordered: list[F], share: F) -> F:
    place = (len(ordered) - 1) * share
    low = int(place)
    return ordered[low] + (ordered[min(low + 1, len(ordered) - 1)] - ordered[low]) * (place - low)


def colluders(ordered: list[F]) -> int:
    """The fewest groups that can move the median by more than 25 basis points, found by trying them."""
    n, centre = len(ordered), median(ordered)
    for k in range(1, n):
        for liars in combinations(range(n), k):
            for lie in (F(0), 10 * centre):
                moved = median([lie if i in liars else p for i, p in enumerate(ordered)])
                if over(abs(moved - centre), centre / 400):
                    return k
    return n


def vote(sources: list[tuple[Said, F | None]], at: int, decimals: int) -> Vote | None:
    """The index of these sources, each with what its currency is worth (None: nobody knows)."""
    seen = [(s.group, rate, looked_at(s, at)) for s, rate in sources if rate]
    fresh = [(group, rate * found[0], found[1]) for group, rate, found in seen if rate and found and found[2]]
    groups = by_group([(group, price) for group, price, _ in fresh])
    if len(groups) >= 3:
        centre, n = median(groups), len(groups)
        correction = F(SMALL[n]) if n in SMALL else n / (n - F("0.8"))
        spread = 4 * F("1.4826") * correction * median([abs(p - centre) for p in groups]) / centre
        band = max(F(1, 100), min(F(5, 100), spread))
        fresh = [f for f in fresh if not over(abs(f[1] / centre - 1), band)]
        groups = by_group([(group, price) for group, price, _ in fresh])
    if not groups:
        return None
    price, n, half = median(groups), len(groups), len(groups) // 2
    wide = max(quartile(groups, F(3, 4)) - price, price - quartile(groups, F(1, 4))) / price
    gap = (groups[min(half + n % 2, n - 1)] - groups[half - 1]) / price if n > 1 else F(0)
    age_ms = max(age for _, _, age in fresh) // MS
    return Vote(units(price, decimals), n, colluders(groups), units(wide * 10**4, 2), units(gap * 10**4, 2), age_ms)


WARM = 1_699_977_601_000 * MS  # a second after a minute: one tenth of the clock window holds the whole world
NOW = WARM + 57_000 * MS
HISTORY = NOW - 40_000 * MS


@st.composite
def spoken(draw: st.DrawFn, group: str, scale: int, middle: int, apart: int) -> Said:
    """A source around `middle`, in units of 1/`scale`: mostly near (the `apart`th part), fresh, narrow and in time."""
    near, rare = st.integers(-middle // apart, middle // apart), st.integers(-middle // 12, middle // 12)
    mid = middle + draw(st.one_of(near, near, near, near, near, rare))
    narrow, wide = st.integers(1, middle // 2_000), st.integers(-2, middle // 90)
    half = draw(st.one_of(narrow, narrow, narrow, narrow, wide))
    bid, ask = F(mid - half, scale), F(mid + half + draw(st.integers(0, 1)), scale)
    if draw(st.integers(0, 30)) == 30:
        bid = F(0)
    gap = draw(st.one_of(st.integers(20, 400), st.integers(20, 3_000)))
    young = st.integers(0, 900)
    age = draw(st.one_of(young, young, young, young, st.integers(0, 14_000)))
    last = NOW - age * MS - draw(st.integers(0, 999))
    said = [at for k in range(40, -1, -1) if (at := last - k * gap * MS) >= HISTORY]
    events = []
    if draw(st.booleans()):
        skew, lag = draw(st.one_of(st.integers(-4_990, 4_990), st.integers(-7_500, 7_500))), draw(st.integers(0, 4_000))
        events = [(at, at - (skew + k % 7 + 5) * MS) for k, at in enumerate(said)]
        if draw(st.integers(0, 3)) == 3:
            events[-1] = (last, events[-1][1] - lag * MS)
    trade = (F(mid + draw(near), scale), NOW - draw(st.integers(0, 70_000)) * MS) if draw(st.booleans()) else None
    return Said(group, [WARM + k * 1_000 * MS for k in range(13)] + said, bid, ask, events, trade)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Said], list[Said], list[Said]]:
    """USD markets of the asset, USDT markets of owners old and new, and USD markets of USDT."""
    apart = draw(st.sampled_from([60, 300, 3_000]))
    dollars = [draw(spoken(f"g{i}", 100, 6_000_000, apart)) for i in range(draw(st.integers(4, 7)))]
    peg = draw(st.sampled_from([1_000_000, 999_000, 980_000]))
    owners = [draw(st.sampled_from([f"h{i}", f"g{i}"])) for i in range(draw(st.integers(0, 4)))]
    tethers = [draw(spoken(owner, 100, 6_000_000_000_000 // peg, apart)) for owner in owners]
    return dollars, tethers, [draw(spoken(f"k{i}", 1_000_000, peg, 2_000)) for i in range(4)] if tethers else []


def driven(world: World, spoke: dict[int, Said]) -> dict[str, IndexValue]:
    """What the engine publishes of it: warmed up in unison, then told everything in one beat."""
    engine = Engine(world, for_world(world))
    for k in range(13):
        at = WARM + k * 1_000 * MS
        books = [
            BookTop(i, p * 0.99999, 1.0, p * 1.00001, 1.0, 0, at)
            for i, s in spoke.items()
            for p in (1.0 if s.bid < 10 and s.ask < 10 else 60_000.003,)
        ]
        engine.step(Beat(k + 1, at, tuple(books), 0))
    told: list[tuple[int, int, Observation]] = []
    for i, s in spoke.items():
        events = dict(s.events)
        bid, ask = float(s.bid), float(s.ask)
        told += [(at, i, BookTop(i, bid, 1.0, ask, 1.0, events.get(at, 0), at)) for at in s.times[13:]]
        if s.trade is not None:
            told.append((s.trade[1], i, Trade(i, float(s.trade[0]), 1.0, Side.BUY, 0, s.trade[1])))
    tick = engine.step(Beat(14, NOW, tuple(seen for *_, seen in sorted(told, key=lambda t: t[:2])), 0))
    return {value.instrument: value for value in tick.values if isinstance(value, IndexValue)}


def agree(value: IndexValue, true: Vote | None) -> None:
    if true is None:
        assert (value.n_groups, value.confidence_bps_e2, value.gap_bps_e2) == (0, None, None)
        return
    published = (value.n_groups, value.breakdown_groups, value.confidence_bps_e2, value.gap_bps_e2)
    assert published == (true.n_groups, true.breakdown, true.confidence, true.gap)
    if value.state in (State.NORMAL, State.DEGRADED):
        assert (value.price, value.oldest_input_age_ms) == (true.price, true.age_ms)


@settings(max_examples=200, deadline=None)
@given(cases())
def test_the_engine_publishes_what_the_reference_does(
    worlds: Callable[..., Any], case: tuple[list[Said], list[Said], list[Said]]
) -> None:
    dollars, tethers, stable = case
    world = worlds(len(dollars), usdt=len(tethers), outside=0)
    places = [i for i, s in enumerate(world.sources) if s.name[0] in "vts"]
    spoke = dict(zip(places, [*dollars, *tethers, *stable], strict=True))
    owned = [structs.replace(s, group=spoke[s.id].group) if s.id in spoke else s for s in world.sources]
    values = driven(structs.replace(world, sources=tuple(owned)), spoke)
    rate = None
    if stable:
        agree(values["USDT-USD"], vote([(s, F(1)) for s in stable], NOW, 6))
        usable = values["USDT-USD"].state in (State.NORMAL, State.DEGRADED)
        rate = F(values["USDT-USD"].price or 0, 10**6) if usable else None
    agree(values["BTC-USD"], vote([(s, F(1)) for s in dollars] + [(s, rate) for s in tethers], NOW, 2))
