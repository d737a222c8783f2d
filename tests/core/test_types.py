"""The nouns are a format: the order of their fields is in every journal ever written, so it is pinned here."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, get_args

import msgspec
import pytest

from oracle.core import types
from oracle.core.types import (
    Action,
    Alert,
    AlertKind,
    Beat,
    BookTop,
    ClockReading,
    Command,
    Depth,
    FundingRate,
    IndexValue,
    Link,
    Liquidation,
    MarkPrice,
    PremiumSample,
    Reason,
    Side,
    State,
    Ticker,
    TickerKind,
    Trade,
    Verdict,
    VerdictChange,
)
from oracle.core.wire import encode

T = 1_700_000_000_000_000_000
INDEX = IndexValue(
    instrument="BTC-USD",
    seq=7,
    at_ns=T,
    price=6_000_400,
    last_good=6_000_400,
    last_good_ns=T,
    carried_forward=False,
    state=State.DEGRADED,
    state_since_ns=T - 1,
    reasons=(Reason.FEW_GROUPS,),
    liquidation_ok=True,
    n_groups=3,
    breakdown_groups=2,
    confidence_bps_e2=125,
    gap_bps_e2=50,
    oldest_input_age_ms=42,
)
MARK = MarkPrice(
    instrument="BTC-USD-PERP",
    seq=8,
    at_ns=T,
    price=6_002_900,
    index=6_000_400,
    index_seq=7,
    basis_leg=None,
    book_leg=6_003_400,
    funding_leg=6_000_700,
    step_binding=False,
    band_binding=True,
    state=State.NORMAL,
    state_since_ns=T - 1,
    reasons=(Reason.CLAMP_BAND,),
    liquidation_ok=True,
    feed_age_ms=5,
    oldest_input_age_ms=42,
)
SAMPLE = PremiumSample(
    instrument="BTC-USD-PERP",
    seq=8,
    instant_ns=T,
    premium_e10=5_000_000,
    impact_bid=6_003_000,
    impact_ask=None,
    index=6_000_400,
    reasons=(Reason.THIN_ASK,),
)
RATE = FundingRate(
    instrument="BTC-USD-PERP",
    seq=8,
    at_ns=T,
    final=True,
    rate_e8=10_000,
    interval_start_ns=T - 28_800,
    settles_ns=T,
    premium_mean_e10=None,
    samples=0,
    expected=5_760,
    interest_e8=10_000,
    inner_binding=False,
    cap_binding=False,
    reasons=(Reason.FUNDING_FALLBACK,),
    index=6_000_400,
)
WRITTEN: list[tuple[Any, str]] = [
    (BookTop(3, 1.5, 2.0, 1.75, 4.0, 0, T), f'["B",3,1.5,2.0,1.75,4.0,0,{T}]'),
    (Depth(3, ((1.5, 2.0),), (), T, T), f'["D",3,[[1.5,2.0]],[],{T},{T}]'),
    (Trade(3, 1.5, 0.1, Side.BUY, T, T), f'["T",3,1.5,0.1,"buy",{T},{T}]'),
    (Liquidation(3, 1.5, 0.1, Side.SELL, T, T), f'["Q",3,1.5,0.1,"sell",{T},{T}]'),
    (Ticker(3, TickerKind.MARK, 1.5, T, T), f'["K",3,"mark",1.5,{T},{T}]'),
    (Link(3, False, "closed", T), f'["L",3,false,"closed",{T}]'),
    (Command(Action.HALT, "*", "officer", "drill", T), f'["C","HALT","*","officer","drill",{T}]'),
    (ClockReading(-5, True, T), f'["O",-5,true,{T}]'),
    (Beat(1, T, (), 2), f'["beat",1,{T},[],2]'),
    (
        INDEX,
        f'["I","BTC-USD",7,{T},6000400,6000400,{T},false,"DEGRADED",{T - 1},["FEW_GROUPS"],true,3,2,125,50,42]',
    ),
    (
        MARK,
        f'["M","BTC-USD-PERP",8,{T},6002900,6000400,7,null,6003400,6000700,false,true,"NORMAL",{T - 1},'
        '["CLAMP_BAND"],true,5,42]',
    ),
    (SAMPLE, f'["P","BTC-USD-PERP",8,{T},5000000,6003000,null,6000400,["THIN_ASK"]]'),
    (
        RATE,
        f'["F","BTC-USD-PERP",8,{T},true,10000,{T - 28_800},{T},null,0,5760,10000,false,false,'
        '["FUNDING_FALLBACK"],6000400]',
    ),
    (
        VerdictChange("BTC-USD", 3, Verdict.USED, Verdict.STALE, T),
        f'["V","BTC-USD",3,"USED","STALE",{T}]',
    ),
    (
        Alert(AlertKind.STATE, "BTC-USD", True, T, T, 1.0, "NORMAL to DEGRADED"),
        f'["A","STATE","BTC-USD",true,{T},{T},1.0,"NORMAL to DEGRADED"]',
    ),
]


@pytest.mark.parametrize(("noun", "text"), WRITTEN, ids=lambda x: type(x).__name__)
def test_the_order_of_the_fields_is_the_format(noun: object, text: str) -> None:
    assert encode(noun).decode() == text


def test_every_noun_is_pinned() -> None:
    pinned = {type(noun) for noun, _ in WRITTEN} - {Beat}
    assert pinned == {*get_args(types.Observation), *get_args(types.Value)}


def test_no_two_nouns_share_a_tag() -> None:
    tags = [noun.__struct_config__.tag for noun, _ in WRITTEN]
    assert len(set(tags)) == len(tags)


@pytest.mark.parametrize("noun", [noun for noun, _ in WRITTEN], ids=lambda x: type(x).__name__)
def test_nouns_do_not_change(noun: Any) -> None:
    with pytest.raises(AttributeError):
        setattr(noun, noun.__struct_fields__[0], None)
    assert msgspec.structs.replace(noun) == noun


@pytest.mark.parametrize("words", [Side, TickerKind, Action, State, Verdict, Reason, AlertKind])
def test_a_word_is_written_as_it_is_named(words: type[StrEnum]) -> None:
    for word in words:
        assert word.value.upper().removeprefix("FALLBACK_") == word.name.removeprefix("FALLBACK_")


def test_the_states_stand_in_order_of_severity() -> None:
    assert [state.value for state in State] == [
        "NORMAL",
        "DEGRADED",
        "FALLBACK_TWO_GROUPS",
        "FALLBACK_PERP_IMPLIED",
        "FALLBACK_LAST_GOOD",
        "HALTED",
        "WARMING",
        "SUSPENDED",
    ]
