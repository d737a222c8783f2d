"""What several methodologies of perpetuals do to the letter: functions that are a PerpMethod's own (`core.method`).

A methodology that has such a rule names it (`accrue = perpetual.evenly`), beside the section of its document; whatever
is its alone it writes out. The parameters that these rules have in common are declared here once, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, Protocol, TypeAlias

from oracle.core import premium
from oracle.core.funding import Funded, FundingState, Rated, fund, mean, take, take_placed
from oracle.core.params import PerpInstrument, Rules, num, word
from oracle.core.premium import Sampled
from oracle.core.types import Depth, Nanos

Weighing: TypeAlias = Annotated[
    Literal["equal", "linear"], word("funding", "weights of the samples of a mean (linear: assumed)")
]
Divides: TypeAlias = Annotated[
    bool, word("funding", "the rate is that of 8 h, divided by 8/N; else r alone is", "switch")
]
RateDecimals: TypeAlias = Annotated[int, num("funding", "decimals of a settled rate", 0, 12, "decimals")]


class Fund(Protocol):
    """`PerpMethod.fund` as a value."""

    def __call__(self, state: FundingState, until_ns: Nanos, perp: PerpInstrument) -> Funded:
        """The rate that the samples of the interval up to a time make."""
        ...


def impact_premium(depth: Depth, index: float, mark: float | None, perp: PerpInstrument) -> Sampled:
    """[max(0, IB − I) − max(0, I − IA)] / I, by the instrument's own impact notional (HK-1 F1 and F2)."""
    return premium.of_book(depth, index, perp)


def impact_mid(depth: Depth, index: float, mark: float | None, perp: PerpInstrument) -> Sampled:
    """(IB + IA) / 2 / I − 1, without a dead band, by the instrument's own impact notional."""
    return premium.mid_of_impact(depth, index, perp.rules.funding.impact_notional, perp)


def evenly(state: FundingState, instant_ns: Nanos, premium_e10: int, perp: PerpInstrument) -> None:
    """Every sample counts the same."""
    take(state, premium_e10)


def linearly(state: FundingState, instant_ns: Nanos, premium_e10: int, perp: PerpInstrument) -> None:
    """The n-th sample of an interval counts n times."""
    take_placed(state, instant_ns, premium_e10, perp.rules.funding, "linear")


def weighed(state: FundingState, instant_ns: Nanos, premium_e10: int, perp: PerpInstrument) -> None:
    """`evenly` or `linearly`, as the methodology's own parameter `weighing` says."""
    take_placed(state, instant_ns, premium_e10, perp.rules.funding, perp.rules.own.weighing)


def of_mean(rate: Callable[[float, Rules], Rated]) -> Fund:
    """A `fund` by the (weighted) mean of the interval's samples; `rate` is the methodology's."""

    def fund_mean(state: FundingState, until_ns: Nanos, perp: PerpInstrument) -> Funded:
        """The rate of the mean premium; below the least coverage, the interest alone (HK-1 F3 to F5)."""
        return fund(state, until_ns, perp.rules.funding, mean(state), lambda premium: rate(premium, perp.rules))

    return fund_mean
