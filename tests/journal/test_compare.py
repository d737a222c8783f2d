"""Differences are told field by field, and a value that one side lacks is told too."""

from __future__ import annotations

import msgspec

from oracle.core.types import Alert, AlertKind, PremiumSample, Verdict, VerdictChange
from oracle.journal.compare import ABSENT, Difference, differences, instrument_of, numbered, stream_of
from tests.journal.conftest import settled

SAMPLE = PremiumSample("X", 4, 5, 6, None, None, None, ())
RATE = settled(4, 5, 6)
ALERT = Alert(AlertKind.STATE, "Y", True, 1, 2, 3.0, "")
CHANGE = VerdictChange("X", 1, Verdict.USED, Verdict.STALE, 5)


def test_equal_values_differ_in_nothing() -> None:
    assert list(differences(1, (SAMPLE, RATE, ALERT), (SAMPLE, RATE, ALERT))) == []


def test_each_field_is_told() -> None:
    other = msgspec.structs.replace(SAMPLE, premium_e10=7, index=1)
    found = list(differences(9, (SAMPLE,), (other,)))
    assert found == [
        Difference(9, "X", "PremiumSample", "premium_e10", 6, 7),
        Difference(9, "X", "PremiumSample", "index", None, 1),
    ]
    assert str(found[0]) == "X PremiumSample.premium_e10: recorded 6, recomputed 7"


def test_a_value_on_one_side_is_told() -> None:
    assert list(differences(9, (SAMPLE, ALERT), (SAMPLE,))) == [Difference(9, "Y", "Alert", "value", ALERT, ABSENT)]
    assert list(differences(9, (), (RATE,))) == [Difference(9, "X", "FundingRate", "value", ABSENT, RATE)]


def test_values_of_other_types_or_instruments_are_not_compared() -> None:
    other = msgspec.structs.replace(SAMPLE, instrument="Z")
    for left, right in ((SAMPLE, RATE), (SAMPLE, other)):
        assert [(d.recorded, d.recomputed) for d in differences(9, (left,), (right,))] == [
            (left, ABSENT),
            (ABSENT, right),
        ]


def test_what_a_value_is_about() -> None:
    assert [instrument_of(value) for value in (SAMPLE, ALERT, CHANGE)] == ["X", "Y", "X"]
    assert list(numbered((SAMPLE, ALERT, CHANGE, RATE))) == [SAMPLE, RATE]
    assert stream_of(RATE) == "FundingRate X"
