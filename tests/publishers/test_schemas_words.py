"""The words of answers: decimal text that no float has touched, and words that are known."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from oracle.core.types import State
from oracle.publishers import schemas_words as words


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (words.DecimalText, ["0", "-1.5", "10"], ["1e3", "", ".5", "nan", "+1"]),
        (words.Price, ["60000.10"], ["-1", "1,5"]),
        (words.Rate, ["-0.0001"], ["0", "1e-4"]),
        (words.Millis, [0, 10**12], [-1]),
        (words.Word, ["a_b1"], ["A", "1a", ""]),
        (words.StateWord, [state.lower() for state in State], ["NORMAL", "fine"]),
    ],
)
def test_a_word_is_one_or_is_refused(kind: Any, good: list[Any], bad: list[Any]) -> None:
    adapter = TypeAdapter(kind)
    for value in good:
        assert adapter.validate_python(value) == value
    for value in bad:
        with pytest.raises(ValidationError):
            adapter.validate_python(value)


def test_a_shape_has_exactly_its_fields() -> None:
    class Two(words.Shape):
        a: int

    with pytest.raises(ValidationError):
        Two.model_validate({"a": 1, "b": 2})
