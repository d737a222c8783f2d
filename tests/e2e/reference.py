"""What the oracle must have published, computed by brute force in exact fractions; no code is shared with it.

Of the journal only this is taken: its head (who votes, under which parameters), each beat's time, the state, and how
far into each source's frames the beat had come. Every journaled observation is looked up in the frames of its source,
onwards from the last one, and the frame's own decimal text is what is computed with: an observation that no frame
states is an error. No source is old in these runs, so S4 to S7 have nothing to say; the caller sees to that.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.e2e.exact import MS, Ema, exact, held, impact, median, published

SECOND = 10**9
EIGHT_HOURS_MS = 28_800_000
USABLE = ("NORMAL", "DEGRADED")
SMALL = {3: "1.495", 4: "1.363", 5: "1.206", 6: "1.200", 7: "1.140", 8: "1.129", 9: "1.107"}
# Doubles carry a premium to about 1e-15: only an exact value this near a tie of the tenth digit may fall either way.
TIE = Fraction(1, 10**5)
EVERYTHING, NOTHING = -1, -2  # what an observation of no source touches


DOUBLES: dict[str, Callable[[Any], list[Any]]] = {  # a fact as the journal writes it
    "B": lambda top: [float(number) for number in top],
    "T": lambda trade: [float(trade[0]), float(trade[1]), trade[2]],
    "D": lambda depth: [[[float(price), float(size)] for price, size in side] for side in depth],
}


class Market:
    """One source: what its frames said last."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """A broken line, or a start."""
        self.bid = self.ask = self.last = Fraction(0)
        self.traded = self.stated = 0

    def price(self, rules: dict[str, Any], at: int) -> Fraction | None:
        """S1 and S2."""
        mid = (self.bid + self.ask) / 2
        if not 0 < self.bid < self.ask or (self.ask - self.bid) * 10_000 > mid * rules["spread_bps_max"]:
            return None
        traded = self.last and at - self.traded <= rules["trade_anchor_ms"] * MS
        return median([self.bid, self.ask, self.last]) if traded else mid


class Perp:
    """One perpetual: its book, its averages, its running interval."""

    def __init__(self) -> None:
        self.bids: list[tuple[Any, Any]] = []
        self.asks: list[tuple[Any, Any]] = []
        self.depth_at = self.start = self.instant = self.samples = self.sum = self.rate = 0
        self.forget()

    def forget(self) -> None:
        """There is no index, or the process began."""
        self.basis, self.book = Ema(), Ema()
        self.mark: int | None = None
        self.reference: int | None = None


class Reference:
    """Walks a journal. `facts`: of each source by name, its tops (B), trades (T) and depths (D) in order."""

    def __init__(self, world: dict[str, Any], facts: Mapping[str, Mapping[str, Iterator[Any]]]) -> None:
        self.world, self.facts = world, facts
        self.counts: Counter[str] = Counter()
        self.markets = [Market() for _ in world["sources"]]
        self.names = [source["name"] for source in world["sources"]]
        self.indices = {i["id"]: i for i in world["indices"]}
        self.perps = {p["id"]: (p, Perp()) for p in world["perps"]}
        self.of_engine = {p["engine_source"]: memory for p, memory in self.perps.values()}
        self.said: dict[str, tuple[str, Fraction | None, int]] = {}  # an index's state, price and time
        self.rejected: dict[tuple[str, int], int] = {}  # since when inside the narrow band; 0: not
        self.ages: list[int] = []  # every one that was published
        self.ahead: list[int] = []  # how far event times of tops lie ahead of their receipt, ns
        self.at = 0

    def beat(self, at: int, seen: list[Any], values: list[Any]) -> None:
        """One line of the journal."""
        second = at // SECOND > self.at // SECOND
        self.at = at
        if second:
            for _, memory in self.perps.values():
                memory.reference = memory.mark
        touched = {self.see(observation) for observation in seen}
        whole = second or EVERYTHING in touched
        due = {i for i, index in self.indices.items() if whole or touched & set(index["sources"])}
        due |= {i for i, index in self.indices.items() if due & set(index["conversions"].values())}
        assert [v[1] for v in values if v[0] == "I"] == [i for i in self.indices if i in due], (at, due)
        marked = [p for p, (perp, _) in self.perps.items() if perp["index"] in due or perp["engine_source"] in touched]
        assert [v[1] for v in values if v[0] == "M"] == marked, (at, marked)
        for value in values:
            if value[0] in "IM":
                self.ages += [age for age in value[16:] if age is not None]
            if value[0] == "I":
                self.check_index(value)
            elif value[0] == "M":
                others = [v for v in values if v[0] in "PF" and v[1] == value[1]]
                self.check_perp(value, others, second)
            elif value[0] == "V":
                self.counts[value[4]] += 1
        self.counts["beats"] += 1

    def see(self, seen: list[Any]) -> int:
        """Find the observation among its source's frames and take what the frame says; the source it touches."""
        kind, source = seen[0], seen[1]
        if kind == "C":
            assert source == "START", seen
            self.rejected.clear()
            for market in self.markets:
                market.forget()
            for _, memory in self.perps.values():
                memory.forget()
                memory.depth_at = 0
            return EVERYTHING
        if kind == "O":
            return NOTHING
        market = self.markets[source]
        if kind == "L":
            if not seen[2]:
                market.forget()
        elif kind == "D":
            memory = self.of_engine[source]
            memory.bids, memory.asks = self.find(kind, source, seen[2:4], 0)
            memory.depth_at = seen[5]
        elif kind == "B":
            market.bid, _, market.ask, _ = exact(self.find(kind, source, seen[2:6], seen[6]))
            market.stated = seen[7]
            self.ahead += [seen[6] - seen[7]] if seen[6] else []
        else:
            market.last = Fraction(self.find(kind, source, seen[2:5], seen[5])[0])
            market.traded = seen[6]
        return int(source)

    def find(self, kind: str, source: int, wanted: list[Any], venue_ns: int) -> Any:
        """The next frame of the source that says this, in its own text."""
        for fact, at in self.facts[self.names[source]][kind]:
            self.counts["frames"] += 1
            if at in (venue_ns, None) and DOUBLES[kind](fact) == wanted:
                self.counts[kind] += 1
                self.counts[f"{kind} {self.names[source]}"] += 1
                return fact
        raise AssertionError(f"no frame of {self.names[source]} says {wanted} of {venue_ns}")

    def check_index(self, value: list[Any]) -> None:
        """I2 to I5 of a beat whose rung publishes the vote."""
        name, state = value[1], value[8]
        index = self.indices[name]
        groups = self.vote(index)
        assert value[12] == len(groups), (self.at, value, groups)
        if state in USABLE:
            assert value[4] == published(median(groups), index["price_decimals"]), (self.at, value, groups)
        self.counts[f"{name} {state if state in USABLE else 'unusable'}"] += 1
        shown = None if value[4] is None else Fraction(value[4], 10 ** index["price_decimals"])
        self.said[name] = (state, shown, self.at)

    def vote(self, index: dict[str, Any]) -> list[Fraction]:
        """The prices of the groups that are no outliers."""
        rules, prices = index["rules"]["index"], {}
        for source in index["sources"]:
            price = self.markets[source].price(index["rules"]["source"], self.at)
            rate = self.rate(index, self.world["sources"][source]["quote"])
            if price is not None and rate is not None:
                prices[source] = price * rate
            elif (index["id"], source) in self.rejected:
                self.rejected[index["id"], source] = 0
        if not prices:
            return []
        groups = self.groups(prices)
        centre, n = median(groups), len(groups)
        low, high = rules["outlier_bps_min"] / 10_000, rules["outlier_bps_max"] / 10_000
        factor = Fraction(SMALL[n]) if n in SMALL else n / (n - Fraction("0.8"))
        mad = median(abs(price - centre) for price in groups)
        band = held(rules["outlier_mad_factor"] * Fraction("1.4826") * factor * mad / centre, low, high)
        accepted = {s: p for s, p in prices.items() if self.accepts(index, s, abs(p / centre - 1), band, n >= 3)}
        return self.groups(accepted)

    def accepts(self, index: dict[str, Any], source: int, distance: Fraction, band: Fraction, judging: bool) -> bool:
        """I3 and I4 for one source."""
        key, rules = (index["id"], source), index["rules"]["index"]
        if judging and distance > band:
            self.rejected[key] = 0
        elif key in self.rejected:
            inside = judging and distance <= band * rules["readmit_band_share"]
            self.rejected[key] = (self.rejected[key] or self.at) if inside else 0
            if inside and self.at - self.rejected[key] >= rules["readmit_ms"] * MS:
                del self.rejected[key]
        return key not in self.rejected

    def rate(self, index: dict[str, Any], quote: str) -> Fraction | None:
        """S3: what converts a currency now, in the digits the public sees."""
        if quote == index["quote"]:
            return Fraction(1)
        state, price, at = self.said.get(index["conversions"][quote], ("", None, 0))
        late = self.at - at > index["rules"]["source"]["conversion_age_ms_max"] * MS
        return None if state not in USABLE or late else price

    def groups(self, prices: Mapping[int, Fraction]) -> list[Fraction]:
        """One price for each owner."""
        owners: dict[str, list[Fraction]] = {}
        for source, price in prices.items():
            owners.setdefault(self.world["sources"][source]["group"], []).append(price)
        return [median(owned) for owned in owners.values()]

    def check_perp(self, value: list[Any], others: list[Any], second: bool) -> None:
        """The premium sample, the settlement, the estimate and the mark of a beat, in that order."""
        perp, memory = self.perps[value[1]]
        rules, funding = perp["rules"], perp["rules"]["funding"]
        instant = self.at - self.at % (funding["sample_ms"] * MS)
        if not memory.start:
            memory.start, memory.instant = self.at - self.at % (funding["interval_ms"] * MS), instant
        samples, finals = [v for v in others if v[0] == "P"], [v for v in others if v[0] == "F" and v[4]]
        self.settle(memory, funding, instant - 1, finals)
        if instant > memory.instant:
            memory.instant = instant
            self.check_sample(perp, memory, samples.pop())
        self.settle(memory, funding, self.at, finals)
        assert not samples, samples
        assert not finals, finals
        memory.rate = self.fund(memory, memory.instant, funding)
        for estimate in (v for v in others if v[0] == "F" and not v[4]):
            assert estimate[5] == memory.rate, (self.at, estimate, memory.rate)
            self.counts["estimates"] += 1
        assert value[4] == self.mark(perp, memory, rules["mark"], value), (self.at, value)
        memory.mark = value[4]
        self.counts["M" if value[4] is not None else "M none"] += 1

    def settle(self, memory: Perp, rules: dict[str, Any], until: int, said: list[Any]) -> None:
        """F6: the intervals that ended by then."""
        while until >= (end := memory.start + rules["interval_ms"] * MS):
            assert said.pop(0)[5] == self.fund(memory, end, rules), (self.at, end)
            memory.start, memory.samples, memory.sum = end, 0, 0
            self.counts["settlements"] += 1

    def feed_age(self, perp: dict[str, Any], memory: Perp) -> int | None:
        """How long the platform has said nothing."""
        heard = max(self.markets[perp["engine_source"]].stated, memory.depth_at)
        return max(0, self.at - heard) if heard else None

    def check_sample(self, perp: dict[str, Any], memory: Perp, said: list[Any]) -> None:
        """F1 and F2."""
        rules, (state, index, _) = perp["rules"], self.said[perp["index"]]
        late = self.at - memory.instant > rules["funding"]["sample_late_ms_max"] * MS
        silent = self.at - memory.depth_at > rules["mark"]["feed_stale_ms"] * MS
        assert said[3] == memory.instant, said
        if late or silent or state not in USABLE or index is None:
            assert said[4] is None, (self.at, said)
            self.counts["P missing"] += 1
            return
        bid, ask = impact(memory.bids, perp), impact(memory.asks, perp)
        assert said[5:7] == [None if p is None else published(p, perp["price_decimals"]) for p in (bid, ask)], said
        if bid is None and ask is None:
            assert said[4] is None, said
            return
        above = max(Fraction(0), bid - index) if bid is not None else Fraction(0)
        below = max(Fraction(0), index - ask) if ask is not None else Fraction(0)
        premium = (above - below) / index
        made = published(premium, 10)
        if said[4] != made:
            assert abs(said[4] - made) == 1, (self.at, said, float(premium))
            assert abs(abs(premium * 10**10 - made) - Fraction(1, 2)) < TIE, (self.at, said, float(premium))
            self.counts["P tie"] += 1
        self.counts["P thin" if bid is None or ask is None else "P"] += 1
        memory.samples, memory.sum = memory.samples + 1, memory.sum + said[4]

    def fund(self, memory: Perp, until: int, rules: dict[str, Any]) -> int:
        """F3 to F5."""
        interest = rules["interest_per_8h"] * Fraction(rules["interval_ms"], EIGHT_HOURS_MS)
        grid, rate = rules["sample_ms"] * MS, interest
        due = max(until // grid - memory.start // grid, 1)
        if memory.samples and Fraction(memory.samples, due) >= rules["coverage_min"]:
            mean = Fraction(memory.sum, memory.samples * 10**10)
            rate = mean + held(interest - mean, -rules["inner_clamp"], rules["inner_clamp"])
        return published(held(rate, -rules["cap"], rules["cap"]), 8)

    def mark(self, perp: dict[str, Any], memory: Perp, rules: dict[str, Any], said: list[Any]) -> int | None:
        """M1 to M8."""
        feed, decimals = self.markets[perp["engine_source"]], perp["price_decimals"]
        state, index, _ = self.said[perp["index"]]
        if index is None:
            memory.forget()
            return None
        age = self.feed_age(perp, memory)
        live = age is not None and age <= rules["feed_stale_ms"] * MS
        book = None
        if live and state in USABLE and 0 < feed.bid < feed.ask:
            mid = (feed.bid + feed.ask) / 2
            book = median([feed.bid, feed.ask, feed.last]) if feed.last else mid
            memory.basis.add(mid - index, self.at, rules["basis_tau_ms"])
            memory.book.add(book, self.at, rules["book_tau_ms"])
        elif memory.basis.at:
            memory.basis.halve((self.at - memory.basis.at) // MS, rules["basis_half_life_ms"])
            memory.book.at = memory.basis.at
        if state not in USABLE or age is None or age > rules["feed_lost_ms"] * MS:
            return published(index, decimals, perp["tick_units"])
        interval = perp["rules"]["funding"]["interval_ms"] * MS
        left = Fraction(memory.start + interval - self.at, interval)
        basis = memory.basis.value()
        legs = (None if basis is None else index + basis, book, index * (1 + Fraction(memory.rate, 10**8) * left))
        assert said[7:10] == [None if leg is None else published(leg, decimals) for leg in legs], (self.at, said)
        known = [leg for leg in legs if leg is not None]
        if len(known) == 2 and (joined := memory.book.value()) is not None:
            known.append(joined)
        raw = median(known)
        if memory.reference is not None:
            reference, step = Fraction(memory.reference, 10**decimals), rules["step_bps"] / 10_000
            raw = held(raw, reference * (1 - step), reference * (1 + step))
        band = rules["band_bps"] / 10_000
        return published(held(raw, index * (1 - band), index * (1 + band)), decimals, perp["tick_units"])


def lines(journal: Path) -> Iterator[list[Any]]:
    """The records of a journal's segments, in order."""
    for path in sorted(journal.glob("journal-*.jsonl*")):
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as stream:
            for line in stream:
                yield json.loads(line[65:], parse_float=Fraction if line.startswith('["head"', 65) else float)


def check(journal: Path, facts: Mapping[str, Mapping[str, Iterable[Any]]]) -> Reference:
    """Compute every beat of a journal again; raises AssertionError where it differs. The answer has the counts."""
    reference: Reference | None = None
    for record in lines(journal):
        if record[0] == "head" and reference is None:
            in_order = {name: {kind: iter(those) for kind, those in kinds.items()} for name, kinds in facts.items()}
            reference = Reference(record[8], in_order)
        elif record[0] == "beat":
            assert reference is not None
            reference.beat(record[2], record[3], record[5])
    assert reference is not None, journal
    return reference
