"""Every vector of `vectors.py` against the rule of ours that must reproduce it: the method's own, and the shared one.

Where a vector states a quantum, the comparison is of whole units of it, where a tolerance, that; else it is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from oracle.core import fair, premium, windows
from oracle.core.basket import Sides
from oracle.core.funding import FundingState, in_parts, mean
from oracle.core.mark import MarkInputs, MarkState
from oracle.core.maths import median, quantise
from oracle.core.params import Rules
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Verdict
from oracle.core.weighted import linear_mean, weighted_mean, weighted_median
from oracle.methods import (
    binance,
    bitmex,
    btse,
    bybit,
    cf_brr,
    cf_brti,
    deribit,
    dydx_v4,
    gsr,
    hip3,
    hk1,
    kraken_futures,
    lwba,
    okx,
    pyth,
    rules_at,
)
from oracle.methods import hyperliquid as hl
from oracle.methods import weighted_median as weighted
from tests.methods.vectors import (
    CAP_VALUES,
    CAPPED_MEANS,
    DAMPENED_RATES,
    EMAS,
    FUNDING_BASIS_PRICES,
    LEAST,
    LINEAR_MEANS,
    MEDIANS,
    PYTH,
    SIZE_WEIGHTED_MEANS,
    TOYS,
    VOLUME_WEIGHTED_MEDIANS,
    WEIGHTED_MEDIANS,
    prints,
)

AT = 1_795_219_200 * NANOS_PER_S  # a midnight UTC


def own(rules: Rules, **changed: object) -> Rules:
    return replace(rules, own=replace(rules.own, **changed))


def funding(rules: Rules, **changed: object) -> Rules:
    return replace(rules, funding=replace(rules.funding, **changed))


def price(basket: Any, method: Any, rules: Rules, prices: Mapping[str, float]) -> float:
    """The index of venues whose mids and last trades are these."""
    candidates, memory = basket(prices, prices)
    made: float = method.index(candidates, memory, rules, AT).price
    return made


class Dampened(NamedTuple):
    """(P + clamp(r − P, ±C)) ÷ parts, then ±cap; `made` are the rules of ours, `within` the tolerance (none: exact)."""

    interest: str
    clamp: str
    parts: int
    cap: str
    made: Sequence[Callable[[float], float]]
    digits: int = 16
    within: str = ""


def of_method(method: Any, rules: Rules) -> Callable[[float], float]:
    return lambda mean_premium: method.rate(mean_premium, rules).rate


def history(since: str, until: str) -> list[Callable[[float], float]]:
    """Hyperliquid's rule as of the first and the last settlement in which a formula was seen, stamped 118 ms late."""
    seen = [int(datetime.fromisoformat(f"{text}+00:00").timestamp()) for text in (since, until)]
    return [of_method(hl, rules_at(hl, at_s * NANOS_PER_S + 118 * NANOS_PER_MS)) for at_s in seen]


EIGHT_HOURS = funding(hl.SETS[-1], interval_ms=28_800_000, cap=0.1)
FORMULAS = {
    "flat": Dampened("0.0001", "0.0005", 1, "1", [of_method(m, m.SETS[-1]) for m in (hk1, binance, bybit, okx)]),
    "HL": Dampened("0.0001", "0.0005", 8, "0.04", [lambda p: hl.settled(p, hl.SETS[-1]) / 1e10], digits=10),
    "HL23a": Dampened("0.0001", "0.0003", 1, "1", history("2023-05-12T00:00", "2023-06-08T00:00"), within="1e-8"),
    "HL23b": Dampened("0.0001", "0.0003", 8, "1", history("2023-06-08T01:00", "2023-06-16T20:00"), within="1e-8"),
    "HL23c": Dampened("0", "0", 8, "1", history("2023-06-16T21:00", "2023-07-15T02:00"), within="1.01e-8"),
    "HL8": Dampened("0.0001", "0.0005", 1, "1", [of_method(hl, EIGHT_HOURS)]),
    "LIT": Dampened("0.0001", "0.0005", 8, "0.005", [of_method(hl, funding(hl.SETS[-1], cap=0.005))]),
    "4h": Dampened("0.0001", "0.0005", 2, "1", [of_method(binance, funding(binance.SETS[-1], interval_ms=14_400_000))]),
    "1h": Dampened("0.0001", "0.0005", 8, "1", [of_method(binance, funding(binance.SETS[-1], interval_ms=3_600_000))]),
    "HIP3": Dampened("0.0001", "0.0003", 8, "0.04", [of_method(hip3, hip3.SETS[-1])]),
    "GSR": Dampened("0", "0.0003", 8, "0.04", [of_method(gsr, gsr.SETS[-1])]),
    "DER": Dampened("0", "0.00025", 1, "0.005", [lambda p: deribit.continuous(p, deribit.SETS[-1]).rate]),
    "DER19": Dampened("0", "0.0005", 1, "0.005", [lambda p: deribit.continuous(p, deribit.SETS[3]).rate]),
    "KRK": Dampened("0", "0", 24, "0.0025", [lambda p: kraken_futures.hourly(p, kraken_futures.SETS[1])]),
}


@pytest.mark.parametrize(("formula", "premium", "printed"), DAMPENED_RATES)
def test_dampened_rates(formula: str, premium: str, printed: str) -> None:
    of, exact = FORMULAS[formula], Fraction(premium)
    r, c, cap = (Fraction(text) for text in (of.interest, of.clamp, of.cap))
    published = max(-cap, min(cap, (exact + max(-c, min(c, r - exact))) / of.parts))
    shared = in_parts(float(premium), float(r), float(c), float(cap), of.parts).rate
    rates: list[float | Fraction] = [published, shared, *[made(float(premium)) for made in of.made]]
    for rate in rates:
        if of.within:
            assert abs(Fraction(rate) - Fraction(printed)) <= Fraction(of.within)
        else:
            units = quantise(rate, of.digits) if isinstance(rate, float) else round(rate * 10**of.digits)
            assert units == Decimal(printed).scaleb(of.digits)


@pytest.mark.parametrize(("printed", "listed"), MEDIANS)
def test_medians(basket: Any, perp: Any, request: pytest.FixtureRequest, printed: str, listed: str) -> None:
    values = [float(text) for text in listed.split(",")]
    assert prints(median(values), printed)
    if min(values) > 0.0:  # the prices of providers
        lasts = {f"v{place}": value for place, value in enumerate(values)}
        assert prints(price(basket, dydx_v4, dydx_v4.SETS[-1], lasts), printed)
    if "PUB-DER" in request.node.name:  # best bid, best ask and last trade, the index a little below
        bid, ask, last = values
        now = MarkInputs(AT, bid - 1.0, True, 0, bid, ask, last, 0.0, 0.5)
        assert deribit.mark(MarkState(), now, perp("deribit", deribit.SETS[0])).units == Decimal(printed) * 100


@pytest.mark.parametrize(("lower", "mean_on_tie", "pairs"), WEIGHTED_MEDIANS)
def test_weighted_medians(
    basket: Any, perp: Any, request: pytest.FixtureRequest, lower: str, mean_on_tie: str, pairs: list[Any]
) -> None:
    weights = {f"v{place}": weight for place, (_, weight) in enumerate(pairs)}
    mids = {f"v{place}": value for place, (value, _) in enumerate(pairs)}
    stakes = [(value, int(weight)) for value, weight in pairs]
    outside = "perp" in request.node.name
    venues = hl.PERPETUALS if outside else hl.SPOT
    for tie, printed in (("lower", lower), ("mean", mean_on_tie)):
        named = own(weighted.SETS[0], weights=weights, tie=tie)
        today = own(hl.SETS[-1], tie=tie)
        found = [weighted_median(pairs, mean_on_tie=tie == "mean"), hl.validators_median(stakes, today)]
        found.append(price(basket, weighted, named, mids))
        if "-HL" in request.node.name:
            assert [*venues.values()][: len(pairs)] == [weight for _, weight in pairs], "the weights of the page"
            prices = dict(zip(venues, mids.values(), strict=False))
            now = MarkInputs(AT, 100.0, True, 0, 0.0, 0.0, 0.0, 0.0, 0.5, outside=[*prices.items()])
            leg = hl.mark(MarkState(), now, perp("hyperliquid", today)).funding_leg or 0.0
            found.append(leg if outside else price(basket, hl, today, prices))
        assert [quantise(value, 9) for value in found] == [Decimal(printed).scaleb(9)] * len(found)


@pytest.mark.parametrize(("printed", "pairs"), VOLUME_WEIGHTED_MEDIANS)
def test_volume_weighted_medians(printed: str, pairs: list[tuple[float, float]]) -> None:
    assert cf_brr.volume_weighted_median([(0, value, size) for value, size in pairs]) == float(printed)


CAP_3 = own(binance.SETS[-1], outliers="cap", band=0.03)
CAPPED: Mapping[str, tuple[Any, dict[str, object]]] = {
    "FTX": (binance, {"outliers": "cap", "band": 0.003}),
    "DERIBIT": (deribit, {}),
    "OKX": (okx, {"decimals": 6}),
    "HTX10": (binance, {"outliers": "cap", "band": 0.1}),
    "HTX3": (okx, {"band": 0.03, "decimals": 2}),
}


@pytest.mark.parametrize(("rule", "printed", "pairs"), CAPPED_MEANS)
def test_capped_means(basket: Any, rule: str, printed: str, pairs: list[tuple[float, float]]) -> None:
    """The median of all, every price held near it, then the weighted mean; OKX and HTX cut off what follows."""
    method, changed = CAPPED[rule]
    prices = {f"v{place}": price for place, (price, _) in enumerate(pairs)}
    weights = {f"v{place}": weight for place, (_, weight) in enumerate(pairs)}
    rules = own(method.SETS[-1], weights=weights, **changed)
    assert prints(price(basket, method, rules, prices), printed)


@pytest.mark.parametrize(("centre", "band", "far", "printed"), CAP_VALUES)
def test_capped_values(
    basket: Any, perp: Any, request: pytest.FixtureRequest, centre: str, band: str, far: str, printed: str
) -> None:
    if "PUB-DER" in request.node.name:  # a mark near its index
        now = MarkInputs(AT, float(centre), True, 0, float(far), float(far) + 0.5, float(far), 0.0, 0.5)
        assert deribit.mark(MarkState(), now, perp("deribit", deribit.SETS[0])).units == Decimal(printed) * 100
        return
    versions = {"PUB-BIN-1": binance.SETS[3], "PUB-BIN-2": binance.SETS[-1]}
    of_another = own(binance.SETS[-1], band=float(band))
    rules = versions.get(request.node.callspec.id[:9], of_another)
    assert rules.own.band == float(band), "the band of that copy of the text"
    lasts = {"a": float(centre), "b": float(centre), "c": float(far)}
    candidates, memory = basket(lasts, lasts)
    binance.index(candidates, memory, rules, AT)
    assert candidates[2].verdict is Verdict.CAPPED
    assert prints(candidates[2].price, printed)


@pytest.mark.parametrize(("printed", "pairs"), SIZE_WEIGHTED_MEANS)
def test_size_weighted_means(printed: str, pairs: list[tuple[float, float]]) -> None:
    filled = premium.average_fill(pairs, sum(size for _, size in pairs))
    assert filled is not None
    for value in (weighted_mean(pairs), filled, *lwba.weighted(Sides(pairs, pairs))):
        assert prints(value, printed)


@pytest.mark.parametrize(("printed", "listed"), LINEAR_MEANS)
def test_linear_means(perp: Any, printed: str, listed: str) -> None:
    values, state = [float(text) for text in listed.split(",")], FundingState(AT)
    for second, value in enumerate(values, 1):
        binance.accrue(state, AT + second * 5 * NANOS_PER_S, round(value * 1e10), perp("binance", binance.SETS[-1]))
    assert prints(linear_mean(values), printed)
    assert prints(mean(state) or 0.0, printed)


@pytest.mark.parametrize(("index", "rate", "left", "whole", "printed"), FUNDING_BASIS_PRICES)
def test_the_price_of_a_funding_basis(perp: Any, index: str, rate: str, left: str, whole: str, printed: str) -> None:
    share = float(left) / float(whole)
    now = MarkInputs(AT, float(index), True, 0, 0.0, 0.0, 0.0, float(rate), share)
    legs: list[float | None] = [fair.funding_leg(float(index), float(rate), share)]
    legs += [method.mark(MarkState(), now, perp(method.ID, method.SETS[-1])).funding_leg for method in (btse, bitmex)]
    assert legs == [float(printed)] * 3


@pytest.mark.parametrize(("printed", "samples"), EMAS)
def test_an_average_over_irregular_times(perp: Any, printed: str, samples: list[tuple[float, float]]) -> None:
    average, memory, at_ns, instrument = windows.Ema(), MarkState(), AT, perp("hyperliquid", hl.SETS[-1])
    average.add(0.0, at_ns, 150_000)
    hl.mark(memory, MarkInputs(at_ns, 100.0, True, 0, 99.0, 101.0, 0.0, 0.0, 0.5), instrument)
    for (basis, seconds), wanted in zip(samples, printed.split(","), strict=True):
        at_ns += int(seconds) * NANOS_PER_S
        average.add(basis, at_ns, 150_000)
        assert abs((average.value() or 0.0) - float(wanted)) <= 1e-12
        now = MarkInputs(at_ns, 100.0, True, 0, 99.0 + basis, 101.0 + basis, 0.0, 0.0, 0.5)
        leg = hl.mark(memory, now, instrument).basis_leg
        assert abs((leg or 0.0) - 100.0 - float(wanted)) <= 1e-11


@pytest.mark.parametrize(("bids", "asks", "rate", "printed"), TOYS)
def test_a_depth_weighted_mid(bids: str, asks: str, rate: str, printed: str) -> None:
    """One of the base at each price, s = 1, D = 0.005, so that the utilised depth is 3 and λ = 1/(0.3 · 3)."""
    sides = Sides(*[[(float(price), 1.0) for price in side.split(",")] for side in (bids, asks)])
    today: cf_brti.Own = cf_brti.SETS[-1].own
    made = cf_brti.calculate([sides], today)
    assert (today.spacing, today.spread, made.depth) == (1.0, 0.005, 3.0)
    assert prints(1.0 / (0.3 * made.depth), rate)
    assert abs(made.price - float(printed)) <= 1e-12


@pytest.mark.parametrize(("printed", "quotes"), PYTH)
def test_publishers_votes(printed: str, quotes: list[tuple[float, float]]) -> None:
    made = pyth.aggregate([pyth.Quote(int(price), int(conf)) for price, conf in quotes])
    assert ("unknown" if made is None else f"{made.price},{made.conf}") == printed


@pytest.mark.parametrize(("listed", "least"), LEAST.values(), ids=list(LEAST))
def test_no_vector_was_lost(listed: list[Any], least: int) -> None:
    """At least as many as when the lists were gathered, each with an id that names its class, and none twice."""
    names = [str(vector.id) for vector in listed]
    assert len(set(names)) == len(names) >= least
    assert all(name.startswith(("PUB-", "REAL-", "DER-", "V-DER-")) for name in names)
