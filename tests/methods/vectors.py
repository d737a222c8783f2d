"""The vectors of venues and oracle networks, list by list: what went in, and what came out.

The class of a vector is the beginning of its id, and nothing of one class is evidence of another. PUB: printed by the
venue or the project itself, or a case of its own test suite. REAL: what a venue's production made of known inputs.
DER, V-DER: computed from the published formula, a regression test and no evidence. `test_vectors.py` holds them
against ours; what is printed beside these lists, and what is printed wrong, stands in `test_printed.py`.

Sources: Hyperliquid's funding page, settled rates in a cassette of its Python SDK (2023) and in public samples of its
info endpoint; the help pages of Lighter, Binance (360033525071), BTSE, Overbit (3755892), Kraken Futures and HTX
(900003172923, and an older copy with 10 %); deribit.freshdesk.com 1000199659; the READMEs and tests of skip-mev/connect
@9f85605, Bothan @e7390cd, Chronicle's gofer @50eb808 and pyth-client @25dd347; Chainlink's page on liquidity-weighted
prices; FTX' post on index caps; OKX' index of SOPH-USDT as seen on 9 September 2026.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest

from oracle.core.maths import quantise


def rows(text: str) -> list[Any]:
    """A line each: the id, then its cells."""
    return [pytest.param(*cells, id=name) for name, *cells in (line.split() for line in text.strip().splitlines())]


def paired(text: str) -> list[Any]:
    """`rows`, of which the cells with an @ are value@weight, or value@weight*times, and are handed on as one list."""
    found = []
    for name, *cells in (line.split() for line in text.strip().splitlines()):
        pairs = []
        for cell in (cell for cell in cells if "@" in cell):
            value, weight, times = re.fullmatch(r"(.+)@([^*]+)(?:\*(.+))?", cell).groups("1")  # type: ignore[union-attr]
            pairs += [(float(value), float(weight))] * int(times)
        found.append(pytest.param(*[cell for cell in cells if "@" not in cell], pairs, id=name))
    return found


def prints(value: float, printed: str) -> bool:
    """Whether a value is the printed one in all of its digits."""
    digits = max(0, -int(Decimal(printed).as_tuple().exponent))
    return quantise(value, digits) == Decimal(printed).scaleb(digits)


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

VOLUME_WEIGHTED_MEDIANS = paired("""
    DER-BRR-1 101 100@1 101@3 102@1
    DER-BRR-2 50000 50000@0.5 50010@0.2 49990@0.1 60000@0.05
""")

# Whose rule, the mean, then price@weight of each venue.
CAPPED_MEANS = paired("""
    PUB-FTX-1 FTX 100.22012 100@0.2 100.1@0.2 100.2@0.2 100.3@0.2 115@0.2
    DER-DERIBIT-IDX DERIBIT 101.0000 100@0.25 101@0.5 120@0.25
    REAL-OKX-SOPH OKX 0.005266 0.005270@0.333 0.005263@0.333 0.005266@0.167 0.005268@0.167
    PUB-HTX-1 HTX10 510.46 560@1 500@1 501@1 502@1 503@1 504@1
    PUB-HTX-2 HTX3 504.59 518@1 500@1 501@1 502@1 503@1 504@1
""")

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

SIZE_WEIGHTED_MEANS = paired("""
    PUB-BTSE-1 6586.65 6586@3467 6587@6533
    PUB-OVB-1 4008.92 4000@100 4010@150 4015@120
    PUB-LWBA-1bid 0.90818 0.99@10 0.90@100
    PUB-LWBA-1ask 1.044 1.01@15 1.05@85
    PUB-LWBA-2bid 0.981 0.98@90 0.99@10
    PUB-LWBA-2ask 1.005 1.00@50 1.01@50
""")

LINEAR_MEANS = rows("""
    DER-LIN-1 0.000233333333 0.0001,0.0002,0.0003
    DER-LIN-2 0.001666666667 0.001,0.002
""")

# The index, the rate, minutes left, minutes of the interval, the price.
FUNDING_BASIS_PRICES = rows("DER-BTSE-P1 60000 0.00015 155 480 60002.90625")

# The price and confidence, or that there is none; then price@confidence of each publisher.
PYTH = paired("""
    PUB-PYTH-1 10000,1000 10000@1000 10000@1000 10000@1000
    PUB-PYTH-4 10500,500 10000@1000 11000@1000 10500@1000
    PUB-PYTH-5 15000,4000 10000@1000 15000@1000 20000@1000
    PUB-PYTH-7 100010,899980 100000@10 100000@10 1000000@10
    PUB-PYTH-9 10510,500 10000@10 10020@10 11000@10 11020@10
    PUB-PYTH-18 11000,250 10000@1000 11000@200 11100@350
    PUB-PYTH-22 10001000,4000 10000000@5000 10010000@5000 10000000@1000
    PUB-PYTH-23 10100,10 9900@10 10100@10*10
    PUB-PYTH-38 unknown 10000@0
    PUB-PYTH-39 115000000,94900000 21000000@100000 209900000@1000000
""")

# Averages after each premium@seconds.
EMAS = paired("DER-HL-EMA 10,10,-0.200653267828,2.100577135576 10@3 10@3 -20@3 4@10")

# Prices of one unit each; λ; the mid.
TOYS = rows("DER-BRTI-1 99.9,99.7,99.5 100.2,100.3,100.4 1.111111111111 100.031011969925")

# As many as each list had when it was gathered.
LEAST = {
    "dampened_rate": (DAMPENED_RATES, 53),
    "median": (MEDIANS, 8),
    "weighted_median": (WEIGHTED_MEDIANS, 8),
    "volume_weighted_median": (VOLUME_WEIGHTED_MEDIANS, 2),
    "capped_mean": (CAPPED_MEANS, 3),
    "cap_value": (CAP_VALUES, 5),
    "size_weighted_mean": (SIZE_WEIGHTED_MEANS, 6),
    "linear_weighted_mean": (LINEAR_MEANS, 2),
    "funding_basis_price": (FUNDING_BASIS_PRICES, 1),
    "ema_150s": (EMAS, 1),
    "brti_toy": (TOYS, 1),
    "pyth": (PYTH, 9),
}
