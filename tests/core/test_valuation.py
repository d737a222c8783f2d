"""What a position is worth: by hand, exactly, and to nobody's advantage."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.core.params import Contract
from oracle.core.types import Side
from oracle.core.valuation import RULE, position_value

MONEY = st.decimals(Decimal("0.01"), Decimal(1_000_000), places=2)
SIZES = st.sampled_from([1.0, 0.001, 100.0])


def worth(contract: Contract, size: float, side: Side, quantity: str, entry: str, mark: str) -> Decimal:
    return position_value(contract, size, side, Decimal(quantity), Decimal(entry), Decimal(mark))


def test_by_hand() -> None:
    assert worth(Contract.LINEAR, 1.0, Side.BUY, "2", "59000", "60029.0") == Decimal("2058.0")
    assert worth(Contract.LINEAR, 0.001, Side.SELL, "2000", "59000", "60029.0") == Decimal("-2058.0")
    # 1 000 contracts of 100 dollars, bought at 50 000 and marked at 62 500: 2 bitcoin then, 1.6 now.
    assert worth(Contract.INVERSE, 100.0, Side.BUY, "1000", "50000", "62500") == Decimal("0.4")
    assert worth(Contract.INVERSE, 100.0, Side.SELL, "1000", "50000", "40000") == Decimal("0.5")


@given(st.sampled_from(Contract), SIZES, MONEY, MONEY, MONEY)
def test_it_is_the_published_rule_in_exact_numbers(
    contract: Contract, size: float, quantity: Decimal, entry: Decimal, mark: Decimal
) -> None:
    found = position_value(contract, size, Side.BUY, quantity, entry, mark)
    bought, now = Fraction(entry), Fraction(mark)
    move = now - bought if contract is Contract.LINEAR else 1 / bought - 1 / now
    true = Fraction(quantity) * Fraction(repr(size)) * move
    if contract is Contract.LINEAR:
        assert Fraction(found) == true
    else:
        assert abs(Fraction(found) - true) <= Fraction(quantity) * Fraction(repr(size)) / 10**40
    assert position_value(contract, size, Side.SELL, quantity, entry, mark) == -found
    assert (found > 0) == (mark > entry)


@pytest.mark.parametrize(
    ("side", "quantity", "entry", "mark"),
    [
        (Side.UNKNOWN, "1", "1", "1"),
        (Side.BUY, "0", "1", "1"),
        (Side.BUY, "1", "-1", "1"),
        (Side.BUY, "1", "1", "0"),
    ],
)
def test_whoever_asks_has_checked(side: Side, quantity: str, entry: str, mark: str) -> None:
    with pytest.raises(AssertionError):
        worth(Contract.LINEAR, 1.0, side, quantity, entry, mark)


def test_every_contract_has_a_published_rule() -> None:
    assert set(RULE) == set(Contract)
