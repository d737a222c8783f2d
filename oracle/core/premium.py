"""The premium at a grid instant, from what it really costs to trade the impact notional (HK-1 rules F1 and F2)."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

from msgspec import Struct, field

from oracle.core.params import Contract, PerpInstrument
from oracle.core.types import Depth, Reason


class Sampled(Struct):
    """A premium sample as a share of the index; None: missing. Impact prices are None on a side too thin."""

    premium: float | None
    impact_bid: float | None
    impact_ask: float | None
    reasons: list[Reason] = field(default_factory=list)


def impact_price(
    levels: Sequence[tuple[float, float]], notional: float, contract: Contract, contract_size: float
) -> float | None:
    """The average price at which `notional` (quote currency) fills against these levels, best first; None: too thin.

    A linear contract is `contract_size` of the base, an inverse one `contract_size` of the quote.
    """
    left, base = notional, 0.0
    for price, size in levels:
        worth = size * contract_size * price if contract is Contract.LINEAR else size * contract_size
        taken = min(worth, left)
        base += taken / price
        left -= taken
        if left <= 0.0:
            return notional / base
    return None


def sample(
    bids: Sequence[tuple[float, float]],
    asks: Sequence[tuple[float, float]],
    index: float,
    notional: float,
    contract: Contract,
    contract_size: float,
) -> Sampled:
    """[max(0, IB − I) − max(0, I − IA)] / I (F1). A thin side's term is zero and flagged; both thin: missing (F2)."""
    fills = (impact_price(side, notional, contract, contract_size) for side in (bids, asks))
    return _one_sided(_priced(*fills), index)


def _one_sided(made: Sampled, index: float) -> Sampled:
    """The premium of impact prices: what the bid is above the index, less what the ask is below it."""
    impact_bid, impact_ask = made.impact_bid, made.impact_ask
    if impact_bid is None and impact_ask is None:
        made.reasons.append(Reason.MISSING)
        return made
    above = 0.0 if impact_bid is None else max(0.0, impact_bid - index)
    below = 0.0 if impact_ask is None else max(0.0, index - impact_ask)
    made.premium = (above - below) / index
    return made


def margin_notional(margin: float, initial_margin: float) -> float:
    """The impact notional that so much margin carries at the highest leverage (Binance and HashKey Global: 200)."""
    return round(margin / initial_margin, 8)


def of_book(depth: Depth, index: float, perp: PerpInstrument) -> Sampled:
    """`sample` of a platform's book with its instrument's own impact notional."""
    notional = perp.rules.funding.impact_notional
    return sample(depth.bids, depth.asks, index, notional, perp.contract, perp.contract_size)


def average_fill(levels: Sequence[tuple[float, float]], quantity: float) -> float | None:
    """The average price of the first `quantity` of these levels, in the unit of their sizes; None: too thin."""
    left, paid = quantity, []
    for price, size in levels:
        taken = min(size, left)
        paid.append(price * taken)
        left -= taken
        if left <= 0.0:
            return fsum(paid) / quantity
    return None


def of_quantity(depth: Depth, index: float, quantity: float) -> Sampled:
    """The one-sided premium where impact prices are of so many contracts, not of a notional (BTSE until 2021)."""
    fills = average_fill(depth.bids, quantity), average_fill(depth.asks, quantity)
    return _one_sided(_priced(*fills), index)


def of_mid(depth: Depth, index: float) -> Sampled:
    """((b + a)/2 − I) / I of the best bid and ask (OKEx and OKX until April 2025). A book without two sides, or a
    crossed one, leaves no mid, and the sample is missing."""
    bid, ask = (levels[0][0] if levels else 0.0 for levels in (depth.bids, depth.asks))
    if not 0.0 < bid < ask:
        thin = [Reason.THIN_BID] * (bid <= 0.0) + [Reason.THIN_ASK] * (ask <= 0.0)
        return Sampled(None, None, None, [*thin, Reason.MISSING])
    return Sampled(((bid + ask) / 2.0 - index) / index, None, None)


def of_mark(mark: float | None, index: float) -> Sampled:
    """(M − I) / I of the mark itself (Deribit, Coinbase International). Without a mark there is no sample."""
    if mark is None:
        return Sampled(None, None, None, [Reason.MISSING, Reason.LEG_MISSING])
    return Sampled((mark - index) / index, None, None)


def mid_of_impact(depth: Depth, index: float, notional: float, perp: PerpInstrument) -> Sampled:
    """(IB + IA) / 2 / I − 1: no dead band inside the impact spread (Hyperliquid HIP-3). A thin side leaves no mid, and
    the sample is missing."""
    fills = (impact_price(side, notional, perp.contract, perp.contract_size) for side in (depth.bids, depth.asks))
    made = _priced(*fills)
    if made.impact_bid is None or made.impact_ask is None:
        made.reasons.append(Reason.MISSING)
        return made
    made.premium = (made.impact_bid + made.impact_ask) / 2.0 / index - 1.0
    return made


def _priced(bid: float | None, ask: float | None) -> Sampled:
    """Both impact prices, and which side is too thin for one; no premium yet."""
    thin = [Reason.THIN_BID] * (bid is None) + [Reason.THIN_ASK] * (ask is None)
    return Sampled(None, bid, ask, thin)
