"""The vectors of venues and oracle networks, list by list, each against the rule of ours that must reproduce it.

The class of a vector is the beginning of its id, and nothing of one class is evidence of another. PUB: printed by the
venue or the project itself, or a case of its own test suite. REAL: what a venue's production made of known inputs.
DER, V-DER: computed from the published formula, a regression test and no evidence. What is printed beside these lists,
and what is printed wrong, stands in `test_printed.py`.

Sources: Hyperliquid's funding page, settled rates in a cassette of its Python SDK (2023) and in public samples of its
info endpoint; the help pages of Lighter, Binance (360033525071), BTSE, Overbit (3755892), Kraken Futures and HTX
(900003172923, and an older copy with 10 %); deribit.freshdesk.com 1000199659; the READMEs and tests of skip-mev/connect
@9f85605, Bothan @e7390cd, Chronicle's gofer @50eb808 and pyth-client @25dd347; Chainlink's page on liquidity-weighted
prices; FTX' post on index caps; OKX' index of SOPH-USDT as seen on 9 September 2026.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

AT = 1_795_219_200 * NANOS_PER_S  # a midnight UTC


def own(rules: Rules, **changed: object) -> Rules:
    return replace(rules, own=replace(rules.own, **changed))


def funding(rules: Rules, **changed: object) -> Rules:
    return replace(rules, funding=replace(rules.funding, **changed))


def rows(text: str) -> list[Any]:
    """A line each: the id, then its cells."""
    return [pytest.param(*cells, id=name) for name, *cells in (line.split() for line in text.strip().splitlines())]


def paired(text: str) -> list[Any]:
    """`rows`, where cells with an @ are (value, weight) pairs, and the others come before them."""
    found = []
    for name, *cells in (line.split() for line in text.strip().splitlines()):
        pairs = [(float(value), float(weight)) for value, _, weight in (c.partition("@") for c in cells if "@" in c)]
        found.append(pytest.param(*[cell for cell in cells if "@" not in cell], pairs, id=name))
    return found


def prints(value: float, printed: str) -> bool:
    """Whether a value is the printed one in all of its digits."""
    digits = max(0, -int(Decimal(printed).as_tuple().exponent))
    return quantise(value, digits) == Decimal(printed).scaleb(digits)


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
# The id, the formula, the mean premium, the rate.
DAMPENED_RATES = rows("""
    REAL-HL-1 HL -0.0005591732 -0.0000073966
    REAL-HL-2 HL -0.0008259503 -0.0000407438
    REAL-HL-3 HL -0.0005417009 -0.0000052126
    REAL-HL-4 HL -0.0006335144 -0.0000166893
    REAL-HL-5 HL -0.0015780078 -0.000134751
    REAL-HL-6 HL -0.0020076087 -0.0001884511
    REAL-HL-7 HL -0.0066321638 -0.0007665205
    REAL-HL-8 HL -0.0039166507 -0.0004270813
    REAL-HL-9 HL -0.0044885611 -0.0004985701
    REAL-HL-10 HL -0.0026663561 -0.0002707945
    REAL-HL-11 HL -0.0026423986 -0.0002677998
    REAL-HL-12 HL -0.0023966113 -0.0002370764
    REAL-HL-13 HL -0.0045867951 -0.0005108494
    REAL-HL-14 HL -0.0053289682 -0.000603621
    REAL-HL-15 HL 0.0006047904 0.0000130988
    REAL-HL-16 HL -0.0002290303 0.0000125
    REAL-HL-17 HL -0.0003124745 0.0000125
    REAL-HL-18 HL -0.0003741219 0.0000125
    REAL-HL-19 HL -0.0003515834 0.0000125
    REAL-HL-20 HL -0.0003230716 0.0000125
    REAL-HL23a-1 HL23a -0.00111798 -0.00081798
    REAL-HL23a-2 HL23a -0.00104503 -0.00074503
    REAL-HL23a-3 HL23a -0.00091334 -0.00061334
    REAL-HL23a-4 HL23a -0.00035308 -0.00005308
    REAL-HL23a-5 HL23a 0.0002841 0.0001
    REAL-HL23a-6 HL23a 0.00029564 0.0001
    REAL-HL23b-1 HL23b -0.00006557 0.0000125
    REAL-HL23b-2 HL23b 0.00044190 0.00001774
    REAL-HL23b-3 HL23b 0.00044719 0.0000184
    REAL-HL23b-4 HL23b 0.00101334 0.00008917
    REAL-HL23b-5 HL23b 0.0010662 0.00009577
    REAL-HL23b-6 HL23b 0.00128462 0.00012308
    REAL-HL23c-1 HL23c -0.00023166 -0.00002896
    REAL-HL23c-2 HL23c 0.00025418 0.00003177
    REAL-HL23c-3 HL23c 0.00102324 0.00012791
    REAL-HL23c-4 HL23c 0.00105434 0.00013179
    REAL-HL23c-5 HL23c 0.00108786 0.00013598
    PUB-HL-1 HL8 0.01 0.0095
    DER-HL-1h HL 0.01 0.0011875
    PUB-LIT-1 LIT 0.001 0.0000625
    DER-EDGE-1 flat 0.0006 0.0001
    DER-EDGE-2 flat -0.0004 0.0001
    DER-EDGE-3 flat 0.00061 0.00011
    DER-EDGE-4 flat -0.00041 0.00009
    DER-BNB-4h 4h 0.0009 0.0002
    DER-BNB-1h 1h 0.0009 0.00005
    DER-HIP3-1 HIP3 0.0005 0.000025
    DER-GSR-1 GSR 0.0005 0.000025
    DER-DERIBIT-1 DER 0.001 0.00075
    DER-DERIBIT-2 DER 0.0002 0
    DER-DERIBIT-3 DER -0.01 -0.005
    DER-DERIBIT-old DER19 0.001 0.0005
    PUB-KRK-2 KRK 0.071428571428571428571428571428 0.0025
""")


@pytest.mark.parametrize(("formula", "premium", "printed"), DAMPENED_RATES)
def test_dampened_rates(formula: str, premium: str, printed: str) -> None:
    of, exact = FORMULAS[formula], Fraction(premium)
    r, c, cap = (Fraction(text) for text in (of.interest, of.clamp, of.cap))
    published = max(-cap, min(cap, (exact + max(-c, min(c, r - exact))) / of.parts))
    shared = in_parts(float(premium), float(r), float(c), float(cap), of.parts).rate
    for rate in (published, shared, *[made(float(premium)) for made in of.made]):
        if of.within:
            assert abs(Fraction(rate) - Fraction(printed)) <= Fraction(of.within)
        else:
            units = quantise(rate, of.digits) if isinstance(rate, float) else round(rate * 10**of.digits)
            assert units == Decimal(printed).scaleb(of.digits)


MEDIANS = rows("""
    PUB-CON-2a 5 -2,0,10,100
    PUB-CON-2b 0 10,-2,100,0,0
    PUB-CON-2c 0.5 -2,0,0,1,10,100
    PUB-CON-1 73500 71000,73500,74025
    PUB-CHR-1 45287.18 45298.02,45287.18,45282.53,45266.13,45291.20
    PUB-DER-1 271.5 271,271.5,271.70
    PUB-DER-2 271.20 271,271.5,271.20
    PUB-DER-4a 871.5 871,871.5,871.70
    PUB-DER-4b 871.2 871,871.5,871.20
""")


@pytest.mark.parametrize(("printed", "listed"), MEDIANS)
def test_medians(basket: Any, perp: Any, request: pytest.FixtureRequest, printed: str, listed: str) -> None:
    values = [float(text) for text in listed.split(",")]
    assert prints(median(values), printed)
    if min(values) > 0.0:  # the prices of providers
        lasts = {f"v{place}": value for place, value in enumerate(values)}
        assert prints(dydx_v4.index(*basket(lasts, lasts), dydx_v4.SETS[-1], AT).price, printed)
    if "PUB-DER" in request.node.name:  # best bid, best ask and last trade, the index a little below
        now = MarkInputs(AT, values[0] - 1.0, True, 0, *values, 0.0, 0.5)
        assert deribit.mark(MarkState(), now, perp("deribit", deribit.SETS[0])).units == Decimal(printed) * 100


WEIGHTED_MEDIANS = paired("""
    PUB-BOT-1 4 4 1@15 2@10 3@20 4@30 5@25
    PUB-BOT-2 2 2.5 1@49 2@1 3@25 4@25
    PUB-CON-3a 100 150 100@50 200@50
    PUB-CON-3b 200 200 100@10 200@20
    PUB-CON-3c 200 200 100@33 200@33 300@33
    V-DER-1-HL11 100.0 100.0 100.0@3 100.2@2 99.9@2 100.5@1 99.8@1 103.0@1 100.1@1
    V-DER-2-HLperp9 100.0 100.0 100.0@3 100.2@2 99.9@2 100.3@1 99.7@1
    V-DER-3-HL12-tie 100.0 100.05 100.0@3 100.2@2 99.9@2 100.5@1 99.8@1 103.0@1 100.1@1 100.15@1
""")


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
        found.append(weighted.index(*basket(mids), named, AT).price)
        if "-HL" in request.node.name:
            assert [*venues.values()][: len(pairs)] == [weight for _, weight in pairs], "the weights of the page"
            prices = dict(zip(venues, mids.values(), strict=False))
            now = MarkInputs(AT, 100.0, True, 0, 0.0, 0.0, 0.0, 0.0, 0.5, outside=[*prices.items()])
            leg = hl.mark(MarkState(), now, perp("hyperliquid", today)).funding_leg
            found.append(leg if outside else hl.index(*basket(prices), today, AT).price)
        assert [quantise(value, 9) for value in found] == [Decimal(printed).scaleb(9)] * len(found)


VOLUME_WEIGHTED_MEDIANS = paired("""
    DER-BRR-1 101 100@1 101@3 102@1
    DER-BRR-2 50000 50000@0.5 50010@0.2 49990@0.1 60000@0.05
""")


@pytest.mark.parametrize(("printed", "pairs"), VOLUME_WEIGHTED_MEDIANS)
def test_volume_weighted_medians(printed: str, pairs: list[tuple[float, float]]) -> None:
    assert cf_brr.volume_weighted_median([(0, value, size) for value, size in pairs]) == float(printed)


CAP_3 = own(binance.SETS[-1], outliers="cap", band=0.03)
CAPPED_MEANS = [pytest.param(*vector, id=name) for name, *vector in (
    ("PUB-FTX-1", binance, own(CAP_3, band=0.003), "100 100.1 100.2 100.3 115", "", "100.22012"),
    ("DER-DERIBIT-IDX", deribit, deribit.SETS[-1], "100 101 120", "0.25 0.5 0.25", "101.0000"),
    ("REAL-OKX-SOPH", okx, own(okx.SETS[-1], decimals=6), "0.005270 0.005263 0.005266 0.005268",
     "0.333 0.333 0.167 0.167", "0.005266"),
    ("PUB-HTX-1", binance, own(CAP_3, band=0.1), "560 500 501 502 503 504", "", "510.46"),
    ("PUB-HTX-2", okx, own(okx.SETS[-1], band=0.03, decimals=2), "518 500 501 502 503 504", "", "504.59"),
)]  # fmt: skip


@pytest.mark.parametrize(("method", "rules", "listed", "weights", "printed"), CAPPED_MEANS)
def test_capped_means(basket: Any, method: Any, rules: Rules, listed: str, weights: str, printed: str) -> None:
    """The median of all, every price held near it, then the weighted mean; OKX and HTX cut off what follows."""
    prices = {f"v{place}": float(text) for place, text in enumerate(listed.split())}
    shares = dict(zip(prices, [float(text) for text in weights.split()] or [1.0] * len(prices), strict=True))
    assert prints(method.index(*basket(prices, prices), own(rules, weights=shares), AT).price, printed)


CAP_VALUES = rows("""
    PUB-BIN-1a 20000 0.05 21400 21000
    PUB-BIN-1b 20000 0.05 18800 19000
    PUB-BIN-2a 20000 0.03 21400 20600
    PUB-BIN-2b 20000 0.03 18800 19400
    PUB-DER-3 270 0.03 280 278.1
    PUB-FTX-1-cap 100.2 0.003 115 100.5006
    PUB-HTX-1-cap 502.5 0.1 560 552.75
    PUB-HTX-2-cap 502.5 0.03 518 517.575
""")


@pytest.mark.parametrize(("centre", "band", "far", "printed"), CAP_VALUES)
def test_capped_values(
    basket: Any, perp: Any, request: pytest.FixtureRequest, centre: str, band: str, far: str, printed: str
) -> None:
    if "PUB-DER" in request.node.name:  # a mark near its index
        now = MarkInputs(AT, float(centre), True, 0, float(far), float(far) + 0.5, float(far), 0.0, 0.5)
        assert deribit.mark(MarkState(), now, perp("deribit", deribit.SETS[0])).units == Decimal(printed) * 100
        return
    versions = {"PUB-BIN-1": binance.SETS[3], "PUB-BIN-2": binance.SETS[-1]}
    rules = versions.get(request.node.callspec.id[:9], own(CAP_3, band=float(band)))
    assert rules.own.band == float(band), "the band of that copy of the text"
    lasts = {"a": float(centre), "b": float(centre), "c": float(far)}
    candidates, memory = basket(lasts, lasts)
    binance.index(candidates, memory, rules, AT)
    assert candidates[2].verdict is Verdict.CAPPED
    assert prints(candidates[2].price, printed)


SIZE_WEIGHTED_MEANS = paired("""
    PUB-BTSE-1 6586.65 6586@3467 6587@6533
    PUB-OVB-1 4008.92 4000@100 4010@150 4015@120
    PUB-LWBA-1bid 0.90818 0.99@10 0.90@100
    PUB-LWBA-1ask 1.044 1.01@15 1.05@85
    PUB-LWBA-2bid 0.981 0.98@90 0.99@10
    PUB-LWBA-2ask 1.005 1.00@50 1.01@50
""")


@pytest.mark.parametrize(("printed", "pairs"), SIZE_WEIGHTED_MEANS)
def test_size_weighted_means(printed: str, pairs: list[tuple[float, float]]) -> None:
    filled = premium.average_fill(pairs, sum(size for _, size in pairs))
    assert filled is not None
    for value in (weighted_mean(pairs), filled, *lwba.weighted(Sides(pairs, pairs))):
        assert prints(value, printed)


LINEAR_MEANS = rows("""
    DER-LIN-1 0.000233333333 0.0001,0.0002,0.0003
    DER-LIN-2 0.001666666667 0.001,0.002
""")


@pytest.mark.parametrize(("printed", "listed"), LINEAR_MEANS)
def test_linear_means(perp: Any, printed: str, listed: str) -> None:
    values, state = [float(text) for text in listed.split(",")], FundingState(AT)
    for second, value in enumerate(values, 1):
        binance.accrue(state, AT + second * 5 * NANOS_PER_S, round(value * 1e10), perp("binance", binance.SETS[-1]))
    assert prints(linear_mean(values), printed)
    assert prints(mean(state) or 0.0, printed)


# The index, the rate, minutes left, minutes of the interval, the price.
FUNDING_BASIS_PRICES = rows("DER-BTSE-P1 60000 0.00015 155 480 60002.90625")


@pytest.mark.parametrize(("index", "rate", "left", "whole", "printed"), FUNDING_BASIS_PRICES)
def test_the_price_of_a_funding_basis(perp: Any, index: str, rate: str, left: str, whole: str, printed: str) -> None:
    share = float(left) / float(whole)
    now = MarkInputs(AT, float(index), True, 0, 0.0, 0.0, 0.0, float(rate), share)
    legs: list[float | None] = [fair.funding_leg(float(index), float(rate), share)]
    for method in (btse, bitmex):
        legs.append(method.mark(MarkState(), now, perp(method.ID, method.SETS[-1])).funding_leg)
    assert legs == [float(printed)] * 3


# (seconds, premium) pairs, and the average after each.
EMAS = [pytest.param(((3, 10.0), (3, 10.0), (3, -20.0), (10, 4.0)), "10 10 -0.200653267828 2.100577135576",
                     id="DER-HL-EMA")]  # fmt: skip


@pytest.mark.parametrize(("samples", "printed"), EMAS)
def test_an_average_over_irregular_times(perp: Any, samples: Any, printed: str) -> None:
    average, memory, at_ns, instrument = windows.Ema(), MarkState(), AT, perp("hyperliquid", hl.SETS[-1])
    average.add(0.0, at_ns, 150_000)
    hl.mark(memory, MarkInputs(at_ns, 100.0, True, 0, 99.0, 101.0, 0.0, 0.0, 0.5), instrument)
    for (seconds, basis), wanted in zip(samples, printed.split(), strict=True):
        at_ns += seconds * NANOS_PER_S
        average.add(basis, at_ns, 150_000)
        assert abs((average.value() or 0.0) - float(wanted)) <= 1e-12
        now = MarkInputs(at_ns, 100.0, True, 0, 99.0 + basis, 101.0 + basis, 0.0, 0.0, 0.5)
        leg = hl.mark(memory, now, instrument).basis_leg
        assert abs((leg or 0.0) - 100.0 - float(wanted)) <= 1e-11


TOYS = [pytest.param("99.9 99.7 99.5", "100.2 100.3 100.4", "1.111111111111", "100.031011969925", id="DER-BRTI-1")]


@pytest.mark.parametrize(("bids", "asks", "rate", "printed"), TOYS)
def test_a_depth_weighted_mid(bids: str, asks: str, rate: str, printed: str) -> None:
    """One of the base at each price, s = 1, D = 0.005, so that the utilised depth is 3 and λ = 1/(0.3 · 3)."""
    sides = Sides(*[[(float(price), 1.0) for price in side.split()] for side in (bids, asks)])
    own_of = cf_brti.SETS[-1].own
    made = cf_brti.calculate([sides], own_of)
    assert (own_of.spacing, own_of.spread, made.depth) == (1.0, 0.005, 3.0)
    assert prints(1.0 / (0.3 * made.depth), rate)
    assert abs(made.price - float(printed)) <= 1e-12


# The price and confidence, or that there is none; then price@confidence of each publisher.
PYTH = paired("""
    PUB-PYTH-1 10000,1000 10000@1000 10000@1000 10000@1000
    PUB-PYTH-4 10500,500 10000@1000 11000@1000 10500@1000
    PUB-PYTH-5 15000,4000 10000@1000 15000@1000 20000@1000
    PUB-PYTH-7 100010,899980 100000@10 100000@10 1000000@10
    PUB-PYTH-9 10510,500 10000@10 10020@10 11000@10 11020@10
    PUB-PYTH-18 11000,250 10000@1000 11000@200 11100@350
    PUB-PYTH-22 10001000,4000 10000000@5000 10010000@5000 10000000@1000
    PUB-PYTH-23 10100,10 9900@10 10100@10 10100@10 10100@10 10100@10 10100@10 10100@10 10100@10 10100@10 10100@10 10100@10
    PUB-PYTH-38 unknown 10000@0
    PUB-PYTH-39 115000000,94900000 21000000@100000 209900000@1000000
""")


@pytest.mark.parametrize(("printed", "quotes"), PYTH)
def test_publishers_votes(printed: str, quotes: list[tuple[float, float]]) -> None:
    made = pyth.aggregate([pyth.Quote(int(price), int(conf)) for price, conf in quotes])
    assert ("unknown" if made is None else f"{made.price},{made.conf}") == printed


@pytest.mark.parametrize(
    ("listed", "least"),
    [
        (DAMPENED_RATES, 53),
        (MEDIANS, 8),
        (WEIGHTED_MEDIANS, 8),
        (VOLUME_WEIGHTED_MEDIANS, 2),
        (CAPPED_MEANS, 3),
        (CAP_VALUES, 5),
        (SIZE_WEIGHTED_MEANS, 6),
        (LINEAR_MEANS, 2),
        (FUNDING_BASIS_PRICES, 1),
        (EMAS, 1),
        (TOYS, 1),
        (PYTH, 9),
    ],
    ids="dampened_rate median weighted_median volume_weighted_median capped_mean cap_value size_weighted_mean "
    "linear_weighted_mean funding_basis_price ema_150s brti_toy pyth".split(),
)
def test_no_vector_was_lost(listed: list[Any], least: int) -> None:
    """At least as many as the lists had when they were gathered, each with an id that names its class, none twice."""
    names = [str(vector.id) for vector in listed]
    assert len(set(names)) == len(names) >= least
    assert all(name.startswith(("PUB-", "REAL-", "DER-", "V-DER-")) for name in names)
