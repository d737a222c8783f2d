"""Pyth's on-chain aggregation: three votes a publisher, quartiles of the votes, a confidence and a weighted average.

Published in `methodology/pyth.md`. Source: the rules of the oracle program (pyth-network/pyth-client @25dd347:
`upd_aggregate.h`, `model/price_model.c`, `pd.h`), restated. Prices are integers of one exponent, as on chain, and so
they are in the live index: there is one aggregation, and the published vectors are its tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

from msgspec import Struct

from oracle.core import basket, frame
from oracle.core.index import Candidate, Cohort, Memory
from oracle.core.maths import quantise, towards_zero, unscaled
from oracle.core.params import Rules, ms, num
from oracle.core.types import NANOS_PER_MS, Nanos, Verdict

ID = "pyth"
READS = ("index.breakdown_bps",)
INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)
WEIGHT_ONE = 10**18  # the weight 1 of the average, in its integers
DECAY_ONE = 10**9
DECAY_PER_SLOT = 117_065  # 1e9 × ln 2 / 5921: half of an old value is left after 5 921 slots
RESET_SLOTS = 4_145


class Own(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is this methodology's alone."""

    decimals: Annotated[int, num("votes", "prices are integers of this many decimals", 0, 12, "decimals")] = 8
    publishers_min: Annotated[int, num("validity", "fewer valid publishers make no price", 1, 100)] = 3
    latency_slots: Annotated[int, num("validity", "an older quote is not valid", 1, 1_000, "slots")] = 25
    slot_ms: Annotated[int, ms("validity", "length of a slot", 50, 10_000)] = 400
    fee: Annotated[float, num("confidence", "trading fee by which a source's spread is widened", 0, 0.1, "ratio")] = 0.0


OWN = Own
SETS: tuple[Rules, ...] = (frame.rules(0, "1.0.0", own=Own()),)


class Quote(NamedTuple):
    """What a publisher said: price and confidence in units of one exponent, how old it is, whether it is trading."""

    price: int
    conf: int
    lag_slots: int = 0
    trading: bool = True


class Aggregate(NamedTuple):
    """A price and its confidence, in the same units."""

    price: int
    conf: int


class Average(NamedTuple):
    """The weighted average of a price and of its confidence: two numerators and the denominator they share."""

    price: int
    conf: int
    price_sum: int
    conf_sum: int
    weight: int


def valid(quote: Quote, latency_slots: int) -> bool:
    """Whether a quote votes: trading, with a confidence above zero, young enough, its votes 64-bit integers."""
    fits = INT64_MIN + quote.conf <= quote.price <= INT64_MAX - quote.conf
    return quote.trading and quote.conf > 0 and fits and quote.lag_slots <= latency_slots


def aggregate(quotes: Sequence[Quote], publishers_min: int = 1, latency_slots: int = 25) -> Aggregate | None:
    """The median of the votes p − c, p, p + c, and the wider side of their quartiles; None: status unknown.

    Of an even number of votes the median is the floor of the middle two's mean; the quartiles are the votes n >> 2
    from either end. Where there is none, the program keeps the price that was, with the status unknown.
    """
    voters = [quote for quote in quotes if valid(quote, latency_slots)]
    if not voters or len(voters) < publishers_min:
        return None
    votes = sorted(vote for q in voters for vote in (q.price - q.conf, q.price, q.price + q.conf))
    n = len(votes)
    half, quarter = n >> 1, n >> 2
    price = votes[half] if n & 1 else (votes[half - 1] + votes[half]) // 2
    return Aggregate(price, max(price - votes[quarter], votes[n - 1 - quarter] - price))


def average(before: Average | None, now: Aggregate, slots: int) -> Average:
    """The exponential average after `slots` since the last: weight 1/confidence, decay linear in the slots.

    It begins anew after more than 4 145 slots. What is shown is cut off towards zero.
    """
    weight = WEIGHT_ONE // now.conf if now.conf else WEIGHT_ONE
    price_sum, conf_sum, total = now.price * weight, now.conf * weight, weight
    if before is not None and slots <= RESET_SLOTS:
        keep = DECAY_ONE - DECAY_PER_SLOT * slots
        price_sum += towards_zero(before.price_sum * keep, DECAY_ONE)
        conf_sum += towards_zero(before.conf_sum * keep, DECAY_ONE)
        total += before.weight * keep // DECAY_ONE
    shown = [towards_zero(numerator, total) for numerator in (price_sum, conf_sum)]
    return Average(shown[0], shown[1], price_sum, conf_sum, total)


def quoted(bid: float, ask: float, fee: float = 0.0) -> tuple[float, float]:
    """(price, confidence) of a market after its fee: the middle and half the width of bid·(1 − fee), ask·(1 + fee)."""
    low, high = bid * (1.0 - fee), ask * (1.0 + fee)
    return (low + high) / 2.0, (high - low) / 2.0


def index(candidates: Sequence[Candidate], memory: Memory, rules: Rules, at_ns: Nanos) -> Cohort:
    """The aggregate of the sources as publishers, each with half its spread for a confidence (section 6).

    The confidence that is published is the aggregate's own.
    """
    own: Own = rules.own
    found = []
    quotes: list[Quote] = []
    for part in basket.parts(candidates, {}, otherwise=1.0):
        c = part.who
        price, conf = quoted(c.bid * c.rate, c.ask * c.rate, own.fee)
        units = max(quantise(conf, own.decimals), 1)
        quote = Quote(quantise(price, own.decimals), units, c.age_ns // (own.slot_ms * NANOS_PER_MS))
        if valid(quote, own.latency_slots):
            found.append(part)
            quotes.append(quote)
        else:
            c.verdict = Verdict.STALE
    made = aggregate(quotes, own.publishers_min, own.latency_slots)
    if made is None:
        return Cohort()
    voted = basket.cohort(found, unscaled(made.price, own.decimals), rules.index)
    voted.confidence = made.conf / made.price
    voted.low = unscaled(min(quote.price - quote.conf for quote in quotes), own.decimals)
    voted.high = unscaled(max(quote.price + quote.conf for quote in quotes), own.decimals)
    return voted
