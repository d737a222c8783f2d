"""The shapes of documents and simulations refuse what such an answer must never be."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from oracle.edition.pages import Shelf
from oracle.publishers import library, schemas


@pytest.mark.parametrize(
    "wrong", [{"sha256": "AB" * 32}, {"sha256": ""}, {"kind": "book"}, {"version": 1}, {"sets": [{"version": "1"}]}]
)
def test_a_document_of_another_shape_is_refused(shelf: Shelf, wrong: dict[str, Any]) -> None:
    good = library.listed(shelf)
    schemas.MODELS["MethodologyList"].model_validate(good)
    with pytest.raises(ValidationError):
        schemas.MODELS["MethodologyList"].model_validate({**good, "items": [good["items"][0] | wrong]})


@pytest.mark.parametrize("wrong", [{"binds": "fear"}, {"rate": 0.1}, {"rate": "1e-9"}, {"more": 1}])
def test_a_simulated_point_of_another_shape_is_refused(wrong: dict[str, Any]) -> None:
    from oracle.publishers.schemas_documents import SimulatedPoint

    good = {"premium": "0.0005", "rate": "0.0001", "cost": "5", "binds": "flat"}
    SimulatedPoint.model_validate(good)
    with pytest.raises(ValidationError):
        SimulatedPoint.model_validate(good | wrong)
