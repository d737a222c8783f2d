"""Weighted median: one price a constituent, half of the weight decides. Published in `methodology/weighted_median.md`.

The aggregation of connect (dYdX), Bothan (Band) and Flare's FTSO providers, which differ in one point: what stands when
the weight below is exactly half. It is here for comparison, and makes an index only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Struct, field

from oracle.core import basket, frame
from oracle.core.index import Candidate, Cohort, Memory
from oracle.core.params import Rules, num, word
from oracle.core.types import Nanos
from oracle.core.weighted import weighted_median

ID = "weighted_median"
READS = ("index.breakdown_bps",)


class Own(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is this methodology's alone."""

    tie: Annotated[str, word("formula", "what stands when the weight below is exactly half: lower, or mean")] = "lower"
    weights: Annotated[dict[str, float], word("weights", "weight of a venue", "weights")] = field(default_factory=dict)
    weight_otherwise: Annotated[float, num("weights", "weight of every other venue", 0, 1e9, "weight")] = 1.0


OWN = Own
SETS: tuple[Rules, ...] = (frame.rules(0, "1.0.0", own=Own()),)


def index(candidates: Sequence[Candidate], memory: Memory, rules: Rules, at_ns: Nanos) -> Cohort:
    """The weighted median of the mids (formula)."""
    own: Own = rules.own
    found = basket.parts(candidates, own.weights, otherwise=own.weight_otherwise)
    if not found:
        return Cohort()
    price = weighted_median(basket.pairs(found), mean_on_tie=own.tie == "mean")
    return basket.cohort(found, price, rules.index)
