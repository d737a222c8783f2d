"""What is last known of a perpetual: its mark, funding and premium, and the four Key Parameters as one answer."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal

from oracle.core.params import Contract, PerpInstrument, World
from oracle.core.status import USABLE
from oracle.core.types import (
    NANOS_PER_MS,
    FundingRate,
    MarkPrice,
    PremiumSample,
    Reason,
    Side,
    State,
    Value,
)
from oracle.core.valuation import RULE, position_value
from oracle.core.wire import scaled_text
from oracle.publishers import render
from oracle.publishers.board import Board, IndexBoard, Memory, fixed
from oracle.publishers.render import Answer, Stamp

VALUE_DECIMALS = 18  # an inverse contract's value has no end of digits
_FINE = Decimal(1).scaleb(-VALUE_DECIMALS)
_WIDE = Context(prec=100, rounding=ROUND_HALF_EVEN)


class PerpBoard(Board[MarkPrice]):
    """The last mark, funding and premium of a perpetual, above the board of the index it stands on."""

    def __init__(self, world: World, instrument: PerpInstrument, index: IndexBoard) -> None:
        super().__init__(_no_mark(instrument.id))
        self.instrument = instrument
        self.index_board = index
        self.good: MarkPrice | None = None
        self.running: FundingRate | None = None
        self.settled: FundingRate | None = None
        self.sample: PremiumSample | None = None
        self._decimals = index.instrument.price_decimals
        self._fixed = fixed(instrument, world)
        self._mark: Answer | None = None
        self._funding: Answer | None = None

    def take(self, value: MarkPrice) -> None:
        """A newer mark."""
        self.value, self._mark = value, None
        if value.price is not None and value.state in USABLE:
            self.good = value

    def fund(self, rate: FundingRate) -> None:
        """A newer estimate, or a settled rate."""
        if rate.final:
            self.settle(rate)
        else:
            self.running, self._funding = rate, None

    def settle(self, rate: FundingRate) -> None:
        """The rate that was settled last."""
        self.settled, self._funding = rate, None

    def premium(self, sample: PremiumSample) -> None:
        """A newer premium sample."""
        self.sample, self._funding = sample, None

    def mark_body(self) -> Answer:
        """The mark as journaled, without age."""
        if self._mark is None:
            carried = self.index_board.value.carried_forward
            body = render.mark_body(self.instrument, self._decimals, self.value, self.good, carried)
            self._mark = {**body, **self._fixed}
        return self._mark

    def funding_body(self) -> Answer:
        """The running estimate as journaled, with the last settled rate and the last sample."""
        if self._funding is None:
            perp, settled, sample = self.instrument, self.settled, self.sample
            body = render.funding_body(perp, self.running) if self.running else render.no_funding_body(perp)
            self._funding = {
                **body,
                "last_settled": self.settled_body(settled) if settled else None,
                "last_sample": self.sample_body(sample) if sample else None,
                **self._fixed,
            }
        return self._funding

    def settled_body(self, rate: FundingRate) -> Answer:
        """A settled rate of this perpetual, as history lists it."""
        return render.settled_body(self.instrument, self._decimals, rate)

    def sample_body(self, sample: PremiumSample) -> Answer:
        """A premium sample of this perpetual."""
        return render.sample_body(self.instrument, self._decimals, sample)

    def mark(self, stamp: Stamp) -> Answer:
        """The product price."""
        answer = render.dressed(self.mark_body(), self.at_ns, self.value.oldest_input_age_ms, stamp)
        feed_age_ms, age_ms = self.value.feed_age_ms, answer["age_ms"]
        answer["feed_age_ms"] = None if feed_age_ms is None or age_ms is None else feed_age_ms + age_ms
        return answer

    def funding(self, stamp: Stamp) -> Answer:
        """The running estimate, its inputs, and when it settles."""
        mark, at_ns = self.value, self.running.at_ns if self.running else 0
        standing = {
            "carried_forward": False,
            "state": mark.state.lower(),
            "state_since_ts": render.millis(mark.state_since_ns),
            "liquidation_ok": mark.liquidation_ok,
        }
        answer = render.dressed({**self.funding_body(), **standing}, at_ns, mark.oldest_input_age_ms, stamp)
        settles_ns = self.running.settles_ns if self.running else 0
        answer["countdown_ms"] = max(0, settles_ns - stamp.now_ns) // NANOS_PER_MS if settles_ns else None
        if stamp.halted and answer["last_sample"]:
            answer["last_sample"] = {**answer["last_sample"], "impact_bid": None, "impact_ask": None, "index": None}
        return answer

    def key_parameters(self, stamp: Stamp) -> Answer:
        """All four Key Parameters (SFC framework, paragraph 12) in one answer."""
        index, mark = self.index_board.index(stamp), self.mark(stamp)
        ages = [part["age_ms"] for part in (index, mark) if part["age_ms"] is not None]
        oldest = [part["oldest_input_age_ms"] for part in (index, mark) if part["oldest_input_age_ms"] is not None]
        return {
            **{key: mark[key] for key in render.STANDING},
            "kind": "perpetual",
            "age_ms": max(ages, default=None),
            "oldest_input_age_ms": max(oldest, default=None),
            "reasons": list(dict.fromkeys([*mark["reasons"], *index["reasons"]])),
            "liquidation_ok": mark["liquidation_ok"] and index["liquidation_ok"],
            "index": index,
            "mark": mark,
            "funding": self.funding(stamp),
            "valuation": self.rule(),
        }

    snapshot = key_parameters

    def memory(self) -> Memory:
        """What a mark's message needs besides its values, as it is now: the message may be made later."""
        return Memory(self.good, self.index_board.value.carried_forward)

    def share(self, values: Iterable[Value], memory: Memory) -> Answer:
        """A perpetual's part of a stream message."""
        perp = self.instrument
        part: Answer = {}
        for value in values:
            if isinstance(value, MarkPrice):
                body = render.mark_body(perp, self._decimals, value, memory.good, memory.carried)
                part["mark"] = {**body, **self._fixed}
            elif isinstance(value, FundingRate) and value.final:
                part["settled"] = self.settled_body(value)
            elif isinstance(value, FundingRate):
                part["funding"] = {**render.funding_body(perp, value), **self._fixed}
            elif isinstance(value, PremiumSample):
                part["premium"] = self.sample_body(value)
        return part

    def rule(self) -> Answer:
        """How a position is valued: the fourth Key Parameter."""
        perp, index = self.instrument, self.index_board.instrument
        linear = perp.contract is Contract.LINEAR
        return {
            "contract_type": perp.contract.lower(),
            "contract_size": render.plain(perp.contract_size),
            "contract_size_currency": index.base if linear else index.quote,
            "formula": RULE[perp.contract],
            "sides": {"buy": "+1", "sell": "-1"},
            "value_currency": index.quote if linear else index.base,
            "href": f"/v1/valuation/{perp.id}",
        }

    def valuation(self, side: Side, quantity: Decimal, entry: Decimal, stamp: Stamp) -> Answer | None:
        """What a position is worth at the mark; None while there is no mark. `quantity`, `entry` > 0."""
        mark, perp = self.mark(stamp), self.instrument
        if mark["price"] is None:
            return None
        value = position_value(perp.contract, perp.contract_size, side, quantity, entry, Decimal(mark["price"]))
        if perp.contract is Contract.INVERSE:
            value = value.quantize(_FINE, context=_WIDE)
        return {
            **{key: mark[key] for key in render.STANDING},
            "side": side.lower(),
            "quantity": format(quantity, "f"),
            "entry": format(entry, "f"),
            "mark": mark["price"],
            "value": format(value, "f"),
            **{key: value for key, value in self.rule().items() if key not in ("sides", "href")},
        }

    def listed(self) -> Answer:
        """The instrument, as the list of instruments shows it."""
        perp, index = self.instrument, self.index_board.instrument
        return {
            "instrument": perp.id,
            "kind": "perpetual",
            "base": index.base,
            "quote": index.quote,
            "price_decimals": perp.price_decimals,
            "index": perp.index,
            "contract_type": perp.contract.lower(),
            "contract_size": render.plain(perp.contract_size),
            "tick": scaled_text(perp.tick_units, perp.price_decimals),
            "funding_interval_ms": perp.rules.funding.interval_ms,
            "n_sources": None,
            "n_groups": None,
            **self._fixed,
        }


def _no_mark(instrument: str) -> MarkPrice:
    """What stands on the board before the first tick."""
    return MarkPrice(
        instrument=instrument,
        seq=0,
        at_ns=0,
        price=None,
        index=None,
        index_seq=0,
        basis_leg=None,
        book_leg=None,
        funding_leg=None,
        step_binding=False,
        band_binding=False,
        state=State.WARMING,
        state_since_ns=0,
        reasons=(Reason.WARMING_UP,),
        liquidation_ok=False,
        feed_age_ms=None,
        oldest_input_age_ms=None,
    )
