"""Indices that are made of other indices: a ratio of two metals, a cross through a currency.

Each leg has been through the whole of its own methodology first; only then are they multiplied. The ratio of medians is
not the median of ratios, and it is the first that is published. Nothing is rounded but the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, prod

from oracle.core.index import Backing, Candidate, Cohort
from oracle.core.types import NANOS_PER_MS, Reason, Verdict


def product(legs: Sequence[Candidate], skew_ms_max: int) -> Cohort:
    """The product of legs that are each to their power already, backed as its weakest leg is.

    Without a usable value of every leg there is none (LEG_UNUSABLE), and none of legs that were calculated more than
    `skew_ms_max` apart (LEGS_SKEWED); a leg whose market is closed has no time of its own to differ in. Groups and
    breakdown are the least of the legs', the confidence their sum: relative errors of factors add.
    """
    if not legs or any(c.price <= 0.0 for c in legs):
        return Cohort(reasons=[Reason.LEG_UNUSABLE])
    ages = [c.age_ns for c in legs if c.verdict is not Verdict.CLOSED]
    if ages and max(ages) - min(ages) > skew_ms_max * NANOS_PER_MS:
        return Cohort(reasons=[Reason.LEGS_SKEWED])
    for c in legs:
        c.verdict = c.verdict or Verdict.USED
    price = prod(sorted([c.price for c in legs]))  # so that the order of three or more cannot show in a digit
    backings = [c.leg or Backing() for c in legs]
    n_groups = min(backing.n_groups for backing in backings)
    return Cohort(
        price,
        [price] * n_groups,
        n_groups,
        max(c.age_ns for c in legs),
        fsum(backing.confidence for backing in backings),
        breakdown_groups=min(backing.breakdown_groups for backing in backings),
        low=price,
        high=price,
        closed=any(backing.closed for backing in backings),
    )
