"""A rate that an authority states: one group is enough, its market closes, and nothing but its own word moves it.

Published in `methodology/reference.md`. For the European Central Bank's euro reference rates and their like: sources
with the role REFERENCE, which have a time of their own, no book and no trades. It makes an index only.
"""

from __future__ import annotations

from collections.abc import Sequence

from oracle.core import basket, frame
from oracle.core.index import Candidate, Cohort, Memory, group_prices
from oracle.core.maths import median_sorted
from oracle.core.params import Rules
from oracle.core.types import Nanos

ID = "reference"
OWN = None
READS = ("index.breakdown_bps",)

SETS: tuple[Rules, ...] = (
    frame.rules(
        0,
        "1.0.0",
        index={"groups_configured_min": 1},
        ladder={"groups_normal_min": 1, "groups_degraded_min": 1},
    ),
)


def index(candidates: Sequence[Candidate], memory: Memory, rules: Rules, at_ns: Nanos) -> Cohort:
    """The rate as it was stated; of several authorities, one vote each, the median."""
    found = basket.parts(candidates, {}, price_of=lambda c: c.price, otherwise=1.0)
    if not found:
        return Cohort()
    price = median_sorted(group_prices([part.who for part in found]))
    return basket.cohort(found, price, rules.index)
