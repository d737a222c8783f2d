"""Each stream has a clock of its own, which only its own facts wind; its deadline is its habit's."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from oracle.collectors.liveness import (
    FIRST_NS,
    OPENING_NS,
    PATIENCE_NS_MAX,
    SILENT_NS_MAX,
    SILENT_NS_MIN,
    TRADE_NS_MIN,
    TURN_NS,
    UNHEARD_NS,
    Channel,
    Liveness,
)
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S

WATCH_NS = NANOS_PER_S // 4
DAY_NS = 86_400 * NANOS_PER_S


def ticking(gap_ns: int, count: int = 400, channel: Channel = Channel.BOOK) -> tuple[Liveness, int]:
    """A liveness whose source 0 ticked at a pace, and the time of its last tick. Source 1 never did."""
    liveness = Liveness([0, 1])
    liveness.connected(0)
    for tick in range(1, count + 1):
        liveness.pulses[channel][0].beat(tick * gap_ns)
    return liveness, count * gap_ns


def noticed_ns(liveness: Liveness, source: int, from_ns: int) -> int:
    """When a watch that looks four times a second finds the source silent, from its last word on."""
    for look in range(1, 4 * 3_600):
        if source in liveness.silent(from_ns + look * WATCH_NS):
            return look * WATCH_NS
    raise AssertionError("never")


@pytest.mark.parametrize("gap_ms", [5, 20, 100, 250])
def test_a_quick_stream_that_dies_is_noticed_within_three_seconds(gap_ms: int) -> None:
    liveness, now_ns = ticking(gap_ms * NANOS_PER_MS, 800)
    assert liveness.deadline_ns(0) == SILENT_NS_MIN
    assert noticed_ns(liveness, 0, now_ns) <= 3 * NANOS_PER_S


def test_a_quick_stream_is_known_after_a_few_seconds() -> None:
    liveness, _ = ticking(20 * NANOS_PER_MS, 130)
    assert liveness.deadline_ns(0) == SILENT_NS_MIN
    liveness, _ = ticking(20 * NANOS_PER_MS, 100)
    assert liveness.deadline_ns(0) == FIRST_NS, "two seconds are no habit"
    assert noticed_ns(liveness, 1, 0) <= UNHEARD_NS + 2 * WATCH_NS


def test_a_burst_is_no_habit() -> None:
    liveness, now_ns = ticking(NANOS_PER_MS, 60)
    assert liveness.deadline_ns(0) == FIRST_NS
    liveness.pulses[Channel.BOOK][0].beat(now_ns + 20 * NANOS_PER_S)
    assert liveness.deadline_ns(0) == FIRST_NS, "the gap it has shown is too long for the time it was watched"


def test_a_slow_stream_has_a_deadline_of_its_own_pace() -> None:
    assert ticking(NANOS_PER_S)[0].deadline_ns(0) == 9 * NANOS_PER_S
    assert ticking(20 * NANOS_PER_S)[0].deadline_ns(0) == 180 * NANOS_PER_S
    assert ticking(300 * NANOS_PER_S)[0].deadline_ns(0) == SILENT_NS_MAX


Gap = Callable[[Random], float]
HONEST: dict[str, Gap] = {
    "every 20 s": lambda chance: 20.0,
    "20 s and a quarter": lambda chance: 20.0 + chance.uniform(-5.0, 5.0),
    "at random, 20 s": lambda chance: chance.expovariate(1 / 20),
    "at random, 5 s": lambda chance: chance.expovariate(1 / 5),
}


@pytest.mark.parametrize("name", HONEST)
@pytest.mark.parametrize("seed", range(2))
def test_an_honest_stream_is_never_found_silent_in_a_day(name: str, seed: int) -> None:
    chance, gap = Random(seed), HONEST[name]
    liveness, now_ns = Liveness([0]), 0
    liveness.connected(now_ns)
    pulse, found = liveness.pulses[Channel.BOOK][0], 0
    while now_ns < DAY_NS:
        next_ns = now_ns + int(gap(chance) * NANOS_PER_S)
        found += bool(liveness.silent(next_ns - 1))  # silence only grows: the last look before a word sees the most
        now_ns = next_ns
        pulse.beat(now_ns)
    assert found == 0


def test_one_dead_symbol_is_seen_beside_a_live_one() -> None:
    liveness, now_ns = ticking(100 * NANOS_PER_MS)
    assert liveness.silent(now_ns) == ()
    for tick in range(1, 1_000):
        liveness.pulses[Channel.BOOK][0].beat(now_ns + tick * 100 * NANOS_PER_MS)
    assert liveness.silent(now_ns + 100 * NANOS_PER_S) == (1,)


@pytest.mark.parametrize("channel", [Channel.TRADE, Channel.TICKER, Channel.DEPTH])
def test_no_other_channel_gives_life_to_a_book(channel: Channel) -> None:
    liveness, now_ns = ticking(50 * NANOS_PER_MS)
    for tick in range(1, 100):
        liveness.pulses[channel][0].beat(now_ns + tick * 50 * NANOS_PER_MS)
    assert liveness.channel(0) is Channel.BOOK
    assert 0 in liveness.silent(now_ns + 99 * 50 * NANOS_PER_MS)


def test_a_feed_that_only_states_tickers_is_alive_by_them() -> None:
    liveness, now_ns = ticking(50 * NANOS_PER_MS, channel=Channel.TICKER)
    assert liveness.channel(0) is Channel.TICKER
    assert 0 not in liveness.silent(now_ns + SILENT_NS_MIN)
    assert noticed_ns(liveness, 0, now_ns) <= 3 * NANOS_PER_S


def test_what_is_declared_outweighs_what_is_seen() -> None:
    liveness = Liveness([0], {0: Channel.BOOK})
    liveness.connected(0)
    for tick in range(1, 2_000):
        liveness.pulses[Channel.TICKER][0].beat(tick * 50 * NANOS_PER_MS)
    assert liveness.silent(100 * NANOS_PER_S) == (0,), "its books never came"


def test_a_hiccup_is_forgotten_and_a_slow_habit_is_not() -> None:
    liveness, now_ns = ticking(20 * NANOS_PER_MS)
    pulse = liveness.pulses[Channel.BOOK][0]
    pulse.beat(now_ns := now_ns + 2 * NANOS_PER_S)
    assert liveness.deadline_ns(0) > 6 * NANOS_PER_S
    for _ in range(3):
        for _ in range(300):
            pulse.beat(now_ns := now_ns + 20 * NANOS_PER_MS)
            liveness.silent(now_ns)
        assert liveness.deadline_ns(0) >= SILENT_NS_MIN
        liveness.silent(now_ns + SILENT_NS_MIN)
        pulse.turned_ns -= TURN_NS
    assert liveness.deadline_ns(0) == SILENT_NS_MIN
    slow, now_ns = ticking(20 * NANOS_PER_S)
    for turn in range(5):
        slow.silent(now_ns + turn)
        slow.pulses[Channel.BOOK][0].turned_ns -= TURN_NS
    assert slow.deadline_ns(0) == 180 * NANOS_PER_S


def test_a_source_that_a_repair_did_not_help_gets_ever_more_patience_until_it_is_forgiven() -> None:
    liveness, now_ns = ticking(100 * NANOS_PER_MS)
    patience = []
    for _ in range(20):
        liveness.repaired(0, Channel.BOOK, now_ns)
        liveness.pulses[Channel.BOOK][0].beat(now_ns + 1)  # the snapshot alone
        patience.append(liveness.deadline_ns(0))
    assert patience[:3] == [2 * SILENT_NS_MIN, 4 * SILENT_NS_MIN, 8 * SILENT_NS_MIN]
    assert patience[-1] == PATIENCE_NS_MAX
    liveness.forgive(0)
    assert liveness.deadline_ns(0) == SILENT_NS_MIN


def test_a_silence_that_was_repaired_is_no_habit() -> None:
    liveness, now_ns = ticking(20 * NANOS_PER_MS)
    pulse = liveness.pulses[Channel.BOOK][0]
    liveness.repaired(0, Channel.BOOK, now_ns + 3 * NANOS_PER_S)
    pulse.beat(now_ns + 4 * NANOS_PER_S)
    pulse.beat(now_ns + 4 * NANOS_PER_S + 1)
    liveness.forgive(0)
    assert liveness.deadline_ns(0) == SILENT_NS_MIN


def test_a_connection_winds_every_clock_and_gives_time_to_open() -> None:
    liveness, now_ns = ticking(10 * NANOS_PER_MS)
    later_ns = now_ns + 3_600 * NANOS_PER_S
    assert liveness.silent(later_ns) == (0, 1)
    liveness.connected(later_ns)
    assert liveness.silent(later_ns + OPENING_NS) == ()
    assert liveness.silent(later_ns + OPENING_NS + 1) == (0,)


def trading(book_gap_ns: int, trade_gap_ns: int, until_ns: int) -> Liveness:
    """Books and trades at their paces; the books go on to the end, the trades stop half way."""
    liveness = Liveness([0])
    liveness.connected(0)
    words = [(at, Channel.BOOK) for at in range(book_gap_ns, until_ns, book_gap_ns)]
    words += [(at, Channel.TRADE) for at in range(trade_gap_ns, until_ns // 2, trade_gap_ns)]
    for at, channel in sorted(words):
        liveness.pulses[channel][0].beat(at)
    return liveness


def test_trades_that_cease_beside_a_living_book_are_noticed_with_patience() -> None:
    until_ns = 400 * NANOS_PER_S
    liveness = trading(NANOS_PER_S, NANOS_PER_S, until_ns)
    ceased_ns = 200 * NANOS_PER_S - NANOS_PER_S
    assert liveness.without_trades(ceased_ns + TRADE_NS_MIN) == ()
    assert liveness.without_trades(ceased_ns + TRADE_NS_MIN + 1) == (0,)
    assert liveness.without_trades(until_ns + 300 * NANOS_PER_S) == (), "the book has died too: that is another matter"
    liveness.repaired(0, Channel.TRADE, until_ns)
    assert liveness.without_trades(until_ns + TRADE_NS_MIN + 1) == ()


def test_trades_that_never_were_a_habit_are_not_missed() -> None:
    liveness = trading(NANOS_PER_S, 60 * NANOS_PER_S, 900 * NANOS_PER_S)
    assert liveness.without_trades(900 * NANOS_PER_S) == ()


def test_the_median_gap_is_that_of_the_stream() -> None:
    assert ticking(100 * NANOS_PER_MS)[0].median_ns(0) == 100 * NANOS_PER_MS
    assert ticking(100 * NANOS_PER_MS)[0].median_ns(1) == 0
