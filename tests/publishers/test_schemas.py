"""The shapes refuse what the answers must never be."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from oracle.core.types import State
from oracle.publishers import schemas
from oracle.publishers.hub import Hub


@pytest.mark.parametrize("state", list(State))
def test_every_state_of_the_ladder_is_known(hub: Hub, make: Any, state: State) -> None:
    hub.publish(make.tick(make.index(state=state)))
    schemas.MODELS["Index"].model_validate(hub.indices["BTC-USD"].index(hub.stamp()))


@pytest.mark.parametrize(
    "wrong",
    [
        {"price": 60004.0},
        {"price": "6e4"},
        {"state": "NORMAL"},
        {"state": "fine"},
        {"reasons": ["Because"]},
        {"ts": -1},
        {"age_ms": None, "surprise": 1},
        {"liquidation_ok": None},
    ],
)
def test_an_index_of_another_shape_is_refused(hub: Hub, make: Any, wrong: dict[str, Any]) -> None:
    hub.publish(make.whole())
    answer = hub.indices["BTC-USD"].index(hub.stamp())
    schemas.MODELS["Index"].model_validate(answer)
    with pytest.raises(ValidationError):
        schemas.MODELS["Index"].model_validate(answer | wrong)


def test_every_field_that_must_be_there_must_be_there(hub: Hub, make: Any) -> None:
    hub.publish(make.whole())
    answer = hub.perps["BTC-USD-PERP"].key_parameters(hub.stamp())
    for name in answer:
        with pytest.raises(ValidationError):
            schemas.MODELS["KeyParameters"].model_validate({k: v for k, v in answer.items() if k != name})


def test_components_name_the_enumerations() -> None:
    made = schemas.components()
    assert made["Index"]["properties"]["state"]["enum"] == [state.lower() for state in State]
    assert made["Index"]["additionalProperties"] is False
