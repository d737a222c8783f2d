"""What a perpetual says: four Key Parameters in one answer, and what a position is worth."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from oracle.clock import ManualClock
from oracle.core.types import NANOS_PER_S, Reason, Side
from oracle.publishers import schemas
from oracle.publishers.hub import Hub
from oracle.publishers.perp_board import PerpBoard


@pytest.fixture
def board(hub: Hub) -> PerpBoard:
    return hub.perps["BTC-USD-PERP"]


def test_key_parameters_hold_all_four(hub: Hub, board: PerpBoard, make: Any) -> None:
    hub.publish(make.whole())
    answer = board.key_parameters(hub.stamp())
    schemas.MODELS["KeyParameters"].model_validate(answer)
    assert answer["index"]["price"] == "60004.00"
    assert answer["mark"]["price"] == "60029.0"
    assert answer["funding"]["rate"] == "0.00040000"
    assert answer["valuation"]["formula"] == "side × quantity × contract_size × (mark − entry)"
    assert answer["configuration_hash"] == "ab" * 32
    assert answer["liquidation_ok"]


def test_the_whole_is_no_better_than_its_worst_part(hub: Hub, board: PerpBoard, make: Any) -> None:
    index = make.index(liquidation_ok=False, oldest_input_age_ms=900, reasons=(Reason.JUMP,))
    hub.publish(make.tick(index, make.mark()))
    answer = board.key_parameters(hub.stamp())
    assert not answer["liquidation_ok"]
    assert answer["oldest_input_age_ms"] == 900
    assert answer["reasons"] == ["leg_missing", "jump"]


def test_before_the_first_tick_it_answers_warming(hub: Hub, board: PerpBoard) -> None:
    answer = board.key_parameters(hub.stamp())
    schemas.MODELS["KeyParameters"].model_validate(answer)
    assert (answer["state"], answer["mark"]["price"], answer["funding"]["rate"]) == ("warming", None, None)
    assert answer["funding"]["interest"] == "0.00010000"
    assert (answer["funding"]["countdown_ms"], answer["age_ms"]) == (None, None)


def test_the_countdown_runs_to_the_settlement(hub: Hub, board: PerpBoard, make: Any, clock: ManualClock) -> None:
    hub.publish(make.tick(make.mark(), make.funding(settles_ns=clock.now_ns() + 5 * NANOS_PER_S)))
    clock.advance(2 * NANOS_PER_S)
    assert board.funding(hub.stamp())["countdown_ms"] == 3_000
    clock.advance(9 * NANOS_PER_S)
    assert board.funding(hub.stamp())["countdown_ms"] == 0


def test_the_last_good_mark_stays_in_its_own_field(hub: Hub, board: PerpBoard, make: Any) -> None:
    hub.publish(make.whole())
    hub.publish(make.tick(make.index(price=None), make.mark(price=None)))
    answer = board.mark(hub.stamp())
    assert (answer["price"], answer["last_good"]) == (None, "60029.0")
    assert board.valuation(Side.BUY, Decimal(1), Decimal(1), hub.stamp()) is None


def test_the_feed_ages_with_the_answer(hub: Hub, board: PerpBoard, make: Any, clock: ManualClock) -> None:
    hub.publish(make.whole())
    clock.advance(10_000_000)
    assert board.mark(hub.stamp())["feed_age_ms"] == 50


@pytest.mark.parametrize(
    ("name", "side", "value", "currency"),
    [
        ("BTC-USD-PERP", Side.BUY, "58.0000", "USD"),
        ("BTC-USD-PERP", Side.SELL, "-58.0000", "USD"),
        ("BTC-USD-INV", Side.BUY, "0.000096619967015942", "BTC"),
    ],
)
def test_a_position_is_valued_exactly(hub: Hub, make: Any, name: str, side: Side, value: str, currency: str) -> None:
    hub.publish(make.whole())
    board = hub.perps[name]
    quantity, entry = (Decimal("2.00"), Decimal("60000")) if currency == "USD" else (Decimal(120), Decimal(60_000))
    answer = board.valuation(side, quantity, entry, hub.stamp())
    assert answer is not None
    schemas.MODELS["Valuation"].model_validate(answer)
    assert (answer["value"], answer["value_currency"]) == (value, currency)
    if currency == "BTC":
        exact = Decimal(120) * 100 * (1 / Decimal(60_000) - 1 / Decimal("60029.0"))
        assert abs(Decimal(value) - exact) < Decimal("1e-17")
