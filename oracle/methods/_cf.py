"""Who the constituents of CF Benchmarks' bitcoin indices were, and since when: the daily and the real-time one agree.

Source: the administrator's announcements of additions; Bitfinex and OKCoin left in April 2017, before the first day.
"""

from __future__ import annotations

from bisect import bisect_right

FIRST_S = 1_493_596_800  # 2017-05-01
GEMINI_S = 1_567_123_200  # 2019-08-30
LMAX_S = 1_620_000_000  # 2021-05-03
BULLISH_S = 1_735_516_800  # 2024-12-30
CRYPTO_COM_S = 1_743_379_200  # 2025-03-31
TIGHTER_S = 1_718_064_000  # 2024-06-11: PED 5 %, restatement 0.10 %

_FIRST = ("coinbase", "kraken", "bitstamp", "itbit")
_JOINED = ((GEMINI_S, "gemini"), (LMAX_S, "lmax"), (BULLISH_S, "bullish"), (CRYPTO_COM_S, "crypto_com"))


def constituents(at_s: int) -> tuple[str, ...]:
    """The venues that counted at a time (UTC seconds, from May 2017 on), in the order in which they came."""
    joined = bisect_right([since_s for since_s, _ in _JOINED], at_s)
    return (*_FIRST, *(venue for _, venue in _JOINED[:joined]))
