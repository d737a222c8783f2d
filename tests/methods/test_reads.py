"""A methodology says which shared parameters it reads: changing any other one changes nothing that it makes."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from oracle.core.funding import FundingState
from oracle.core.index import Candidate, Member, Memory
from oracle.core.mark import MarkInputs, MarkState
from oracle.core.method import Described, IndexMethod, PerpMethod, funds, makes_index
from oracle.core.params import ParameterDoc, PerpInstrument, Rules, documented
from oracle.core.types import NANOS_PER_MS, Depth
from oracle.methods import load, shipped

START_NS = 1_795_219_200_000_000_000  # midnight UTC
MIDS = {
    "binance": 60_000.0,
    "okx": 60_030.0,
    "bybit": 59_990.0,
    "kraken": 60_010.0,
    "kucoin": 61_500.0,
    "gate": 60_700.0,
    "mexc": 58_000.0,
    "coinbase": 60_015.0,
    "bitstamp": 60_020.0,
    "gemini": 66_500.0,
    "lmax": 60_025.0,
    "somebody": 59_950.0,
}


def levels(price: float, step: float, size: float) -> tuple[tuple[float, float], ...]:
    return tuple((price + step * place, size) for place in range(5))


def depth(middle: float, size: float, at_ns: int) -> Depth:
    return Depth(0, levels(middle - 2.0, -3.0, size), levels(middle + 2.0, 3.0, size), at_ns, at_ns)


def indices(basket: Any, method: IndexMethod, rules: Rules) -> list[str]:
    """What the methodology makes of three beats of the same venues, some of them far off, one of them late."""
    memory = Memory([Member() for _ in MIDS])
    made = []
    for beat in range(3):
        candidates: list[Candidate] = basket({name: mid + 7.0 * beat for name, mid in MIDS.items()}, MIDS)[0]
        at_ns = START_NS + beat * 1_000 * NANOS_PER_MS
        for c in candidates:
            assert c.known is not None
            c.age_ns = c.place * 200 * NANOS_PER_MS
            c.known.depth = depth(c.price, 1.0, at_ns)
        made.append(repr(method.index(candidates, memory, rules, at_ns)) + str([c.verdict for c in candidates]))
    return made


def marks(method: PerpMethod, perp: PerpInstrument) -> list[str]:
    """Its marks over a minute in which the book moves, falls silent and one-sided, and the index closes and fails."""
    memory, made = MarkState(), []
    for beat in range(40):
        at_ns = START_NS + beat * 1_500 * NANOS_PER_MS
        middle = 60_000.0 + 40.0 * (beat % 7) + (900.0 if beat > 30 else 0.0)
        now = MarkInputs(
            at_ns,
            60_000.0 + beat,
            beat not in (20, 21),
            None if beat == 0 else 20_000 * NANOS_PER_MS if beat in (10, 11) else 400 * NANOS_PER_MS,
            0.0 if beat == 12 else middle - 1.0,
            middle + 1.0,
            middle + 0.5,
            0.0001,
            0.5,
            0.0002,
            depth(middle, 2.0, at_ns),
            () if beat % 5 == 4 else (("binance", 60_050.0), ("okx", 60_080.0 + beat), ("gate", 59_000.0)),
            beat in (25, 26, 27, 28, 29, 30),
        )
        marked = method.mark(memory, now, perp)
        memory.units = marked.units
        if beat % 2:
            memory.reference = marked.units
        made.append(repr(marked))
    return made


def fundings(method: PerpMethod, perp: PerpInstrument) -> list[str]:
    """Its samples of three books, the rates of their sums, and of premiums of every size."""
    books = [depth(60_050.0, 2.0, START_NS), depth(60_000.0, 0.01, START_NS), Depth(0, (), ((60_001.0, 5.0),), 0, 0)]
    made = [repr(method.sample(book, 60_000.0, 60_010.0, perp)) for book in books]
    state = FundingState(START_NS, START_NS)
    for place, premium_e10 in enumerate((9_000_000, -2_000_000, 4_000_000), 1):
        state.instant_ns = START_NS + place * 60_000 * NANOS_PER_MS
        method.accrue(state, state.instant_ns, premium_e10, perp)
        made.append(repr(method.fund(state, state.instant_ns, perp)))
    premiums = (0.0, 0.00025, -0.0007, 0.004, -0.02, 0.4)
    return made + [repr(method.rate(premium, perp.rules)) for premium in premiums]


def everything(basket: Any, perp: Any, method: Described, rules: Rules) -> list[str]:
    made = indices(basket, method, rules) if makes_index(method) else []
    if funds(method):
        instrument = perp(method.ID, rules)
        made += marks(method, instrument) + fundings(method, instrument)
    return made


def altered(rules: Rules, row: ParameterDoc) -> Rules:
    """The rules with that parameter at one end of its range."""
    group, name = row.name.split(".")
    old = getattr(getattr(rules, group), name)
    end = row.minimum if old != row.minimum else row.maximum
    return structs.replace(rules, **{group: structs.replace(getattr(rules, group), **{name: type(old)(end)})})


@pytest.mark.parametrize("name", shipped())
def test_what_is_read_has_a_name(name: str) -> None:
    known = [row.name for row in documented()]
    groups = sorted({row.split(".")[0] for row in known})
    assert [read for read in load(name).READS if read not in known and read not in groups] == []


@pytest.mark.parametrize("name", [name for name in shipped() if name != "hk1"])  # HK-1 reads everything
def test_no_rule_reads_what_it_does_not_say(basket: Any, perp: Any, name: str) -> None:
    method = load(name)
    rules = method.SETS[-1]
    true = everything(basket, perp, method, rules)
    unread = [row for row in documented() if not {row.name, row.name.split(".")[0]} & set(method.READS)]
    read = [row.name for row in unread if everything(basket, perp, method, altered(rules, row)) != true]
    assert not read, "READS is silent on these"
    assert unread
