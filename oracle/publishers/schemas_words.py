"""The words that public answers are made of: decimal text, times, states, and a shape that has exactly its fields.

Prices, rates and quantities are decimal strings, so that no reader's float takes a digit; times are integers of ms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from oracle.core.types import AlertKind, State, Verdict
from oracle.publishers.problems import PROBLEMS


def _among(words: Iterable[str]) -> Callable[[str], str]:
    known = frozenset(words)

    def check(word: str) -> str:
        if word not in known:
            raise ValueError(f"{word!r} is none of {sorted(known)}")
        return word

    return check


def _enum(words: Iterable[str], text: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "enum": list(words), "description": text})


_STATES = [word.lower() for word in State]
_VERDICTS = [word.lower() for word in Verdict]
_ALERTS = [word.lower() for word in AlertKind]

DecimalText = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$", description="a decimal number as text")]
Price = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?$", description="a price as decimal text")]
Rate = Annotated[str, Field(pattern=r"^-?[0-9]+\.[0-9]+$", description="a share as decimal text: 0.0001 is 1 bps")]
Millis = Annotated[int, Field(ge=0, description="UTC, ms since 1970")]
Elapsed = Annotated[int, Field(ge=0, description="ms")]
Count = Annotated[int, Field(ge=0)]
Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
StateWord = Annotated[str, AfterValidator(_among(_STATES)), _enum(_STATES, "the ladder of the methodology")]
VerdictWord = Annotated[str, AfterValidator(_among(_VERDICTS)), _enum(_VERDICTS, "what a source counts for")]
AlertWord = Annotated[str, AfterValidator(_among(_ALERTS)), _enum(_ALERTS, "what surveillance reports")]
CodeWord = Annotated[str, AfterValidator(_among(PROBLEMS)), _enum(PROBLEMS, "stable: switch on it")]


class Shape(BaseModel):
    """An answer has exactly these fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)
