"""What a position is worth against the mark: the fourth Key Parameter (SFC framework of 2026-02-11, paragraph 12).

Linear: side × quantity × contract_size × (mark − entry), in the quote currency. Inverse: side × contracts × face ×
(1/entry − 1/mark), in the base currency; the quantity counts contracts and the contract size is their face value.
"""

from __future__ import annotations

from decimal import Context, Decimal

from oracle.core.params import Contract
from oracle.core.types import Side

_CONTEXT = Context(prec=50)

RULE = {
    Contract.LINEAR: "side × quantity × contract_size × (mark − entry)",
    Contract.INVERSE: "side × quantity × contract_size × (1/entry − 1/mark)",
}


def position_value(
    contract: Contract, contract_size: float, side: Side, quantity: Decimal, entry: Decimal, mark: Decimal
) -> Decimal:
    """The unrealised value of a position: positive is a gain. Exact for linear contracts, 50 digits for inverse ones.

    `quantity`, `entry` and `mark` are above zero: whoever asks has checked.
    """
    assert side in (Side.BUY, Side.SELL), side
    assert quantity > 0, quantity
    assert entry > 0, entry
    assert mark > 0, mark
    size = Decimal(repr(contract_size))
    if contract is Contract.LINEAR:
        move = _CONTEXT.subtract(mark, entry)
    else:
        move = _CONTEXT.subtract(_CONTEXT.divide(Decimal(1), entry), _CONTEXT.divide(Decimal(1), mark))
    value = _CONTEXT.multiply(_CONTEXT.multiply(quantity, size), move)
    return value if side is Side.BUY else -value
