"""The world the simulated venues live in: true prices, and what each market states about them. Pure and seeded.

Theory of operation. The truth is a geometric random walk of BTC and ETH and a reverting one of the stablecoins, drawn
on a fixed grid. Every market has its own generator, its own small error around the truth, its own pace, and a heap
holds when it speaks next. A script bends both. Nothing here depends on how far one `step` goes, on the clock or on the
order of a hash: the same seed and start give the same facts to the last digit.
"""

from __future__ import annotations

from heapq import heapify, heapreplace
from math import exp, pi, sin, sqrt
from typing import NamedTuple, TypeAlias

from numpy.random import PCG64, Generator, SeedSequence

from oracle.core.params import Role
from oracle.core.types import (
    NANOS_PER_MS,
    NANOS_PER_S,
    Action,
    BookTop,
    Command,
    Depth,
    Liquidation,
    Nanos,
    Side,
    Trade,
)
from oracle.simulator.faults import CALM, Kind, Script
from oracle.simulator.markets import MARKETS, Market

Fact: TypeAlias = BookTop | Trade | Depth | Liquidation | Command

GRID_NS = 100 * NANOS_PER_MS
START_PRICES = {"BTC": 60_000.0, "ETH": 2_700.0}
YEAR_S = 365 * 86_400
VOLATILITY = {"BTC": 0.55, "ETH": 0.75}  # a year's standard deviation of log returns
CORRELATION = 0.8
STABLE_DEVIATION = 1e-4  # a stablecoin's standard deviation around one
STABLE_REVERSION_S = 120.0
ERROR_DEVIATION = 0.7e-4  # a market's standard deviation around the truth: within 2 bps nearly always
ERROR_REVERSION_S = 20.0
BASIS_SWING = 4e-4  # of a perpetual, slowly to and fro
BASIS_PERIOD_S = 900.0
DEPTH_LEVELS = 20
DEPTH_PER_S = 2.0
STRESS = 0.01  # a platform whose market stands this far from the truth liquidates
LIQUIDATION_SHARE = 0.002  # of the platform's trades, when calm
LIQUIDATION_SHARE_STRESSED = 0.4


class Said(NamedTuple):
    """A market stated a fact. The fact's `source` is the market's place in `World.markets`; `recv_ns` is 0."""

    market: Market
    fact: Fact


class World:
    """One simulated world, from `start_ns` on. `step` moves it forward and says what was stated meanwhile."""

    def __init__(
        self, seed: int, start_ns: Nanos, script: Script = CALM, markets: tuple[Market, ...] = MARKETS
    ) -> None:
        self.seed, self.start_ns, self.script, self.markets = seed, start_ns, script, markets
        self._truth = _Truth(seed, script)
        self._voices = [_Voice(seed, place, market, script) for place, market in enumerate(markets)]
        self._due = [first for voice in self._voices for first in voice.first()]
        heapify(self._due)
        self._suspended = [False] * len(markets)

    def step(self, now_ns: Nanos) -> list[Said]:
        """Everything stated since the last step, up to and including `now_ns`, in order of time."""
        said: list[Said] = []
        until_ns = now_ns - self.start_ns
        while self._due[0].elapsed_ns <= until_ns:
            due = self._due[0]
            voice = self._voices[due.place]
            truth = self._truth.at(due.elapsed_ns)
            stated_ns = self.start_ns + due.elapsed_ns + voice.drift_ns(due.elapsed_ns)
            venue_ns = stated_ns // NANOS_PER_MS * NANOS_PER_MS
            said += [Said(voice.market, fact) for fact in self._orders(voice, due.elapsed_ns, venue_ns)]
            said += [Said(voice.market, fact) for fact in voice.speak(due, truth, venue_ns)]
            heapreplace(self._due, voice.next(due))
        return said

    def offset_ns(self, now_ns: Nanos) -> int:
        """The place in the script at a time."""
        return self.script.offset_ns(now_ns - self.start_ns)

    def _orders(self, voice: _Voice, elapsed_ns: int, venue_ns: Nanos) -> list[Command]:
        """What the platform orders about its own market, at the edges of a suspension."""
        offset_ns = self.script.offset_ns(elapsed_ns)
        suspended = any(e.active(offset_ns) for e in voice.suspensions)
        if suspended == self._suspended[voice.place]:
            return []
        self._suspended[voice.place] = suspended
        action = Action.SUSPEND if suspended else Action.UNSUSPEND
        return [Command(action, voice.market.symbol, voice.market.venue, "reference asset", venue_ns)]


class _Due(NamedTuple):
    """When a market does its next thing. Time first, so that a heap orders by it; ties go by place, then by what."""

    elapsed_ns: int
    place: int
    what: int


_TOP, _TRADE, _DEPTH = range(3)


class _Truth:
    """The true USD price of each asset, drawn on a grid and bent by the script's moves."""

    def __init__(self, seed: int, script: Script) -> None:
        self._random = _generator(seed, 0)
        self._moves = {asset: script.of(asset, (Kind.MOVE,)) for asset in ("BTC", "ETH", "USDT", "USDC", "USD")}
        self._script = script
        self._walked = dict.fromkeys(("BTC", "ETH", "USDT", "USDC"), 0.0)
        self._grid = -1
        self._prices: dict[str, float] = {}

    def at(self, elapsed_ns: int) -> dict[str, float]:
        """The prices at a time, which may not be before an earlier question's grid instant."""
        grid = elapsed_ns // GRID_NS
        if grid != self._grid:
            for _ in range(grid - self._grid):
                self._walk()
            self._grid = grid
            self._prices = self._bent(self._script.offset_ns(grid * GRID_NS))
        return self._prices

    def _walk(self) -> None:
        share = sqrt(GRID_NS / NANOS_PER_S / YEAR_S)
        first, other, tether, circle = (float(x) for x in self._random.standard_normal(4))
        second = CORRELATION * first + sqrt(1 - CORRELATION**2) * other
        walked = self._walked
        walked["BTC"] += VOLATILITY["BTC"] * share * first
        walked["ETH"] += VOLATILITY["ETH"] * share * second
        for asset, drawn in (("USDT", tether), ("USDC", circle)):
            walked[asset] = _reverting(
                walked[asset], STABLE_DEVIATION, GRID_NS / NANOS_PER_S / STABLE_REVERSION_S, drawn
            )

    def _bent(self, offset_ns: int) -> dict[str, float]:
        prices = {asset: START_PRICES.get(asset, 1.0) * exp(log) for asset, log in self._walked.items()}
        prices["USD"] = 1.0
        for asset, moves in self._moves.items():
            for move in moves:
                prices[asset] *= 1.0 + move.level(offset_ns)
        return prices


class _Voice:
    """What one market states: its error around the truth, its spread, its pace."""

    def __init__(self, seed: int, place: int, market: Market, script: Script) -> None:
        self.place, self.market = place, market
        self.suspensions = script.of(market.key, (Kind.SUSPEND,))
        self._script = script
        self._premiums = script.of(market.key, (Kind.PREMIUM,))
        self._hushes = script.of(market.key, (Kind.SILENCE, Kind.FREEZE, Kind.REPEAT, Kind.STUCK))
        self._drifts = script.of(market.key, (Kind.DRIFT,))
        self._random = _generator(seed, 1 + place)
        self._error = 0.0
        self._phase = self._draw() * 2 * pi
        self._top: BookTop | None = None
        self._at_ns = 0

    def first(self) -> list[_Due]:
        """When it speaks for the first time, for each kind of word it has."""
        kinds = (_TOP, _TRADE, _DEPTH) if self.market.role is Role.ENGINE else (_TOP, _TRADE)
        return [_Due(int(self._draw() * self._gap_ns(what)), self.place, what) for what in kinds]

    def next(self, due: _Due) -> _Due:
        """When it does the same again: between half and one and a half of its usual gap later."""
        return due._replace(elapsed_ns=due.elapsed_ns + int((0.5 + self._draw()) * self._gap_ns(due.what)))

    def drift_ns(self, elapsed_ns: int) -> int:
        """How far its event times stand from the world's, at a time."""
        if not self._drifts:
            return 0
        offset_ns = self._script.offset_ns(elapsed_ns)
        return int(sum(e.level(offset_ns) for e in self._drifts) * NANOS_PER_S)

    def speak(self, due: _Due, truth: dict[str, float], venue_ns: Nanos) -> list[Fact]:
        """What it states now. Silence draws as many numbers as speech, so a script moves nothing but what it says."""
        offset_ns = self._script.offset_ns(due.elapsed_ns)
        hush = {e.kind for e in self._hushes if e.active(offset_ns)}
        premium = sum(e.level(offset_ns) for e in self._premiums)
        if due.what == _TOP:
            return self._speak_top(self._centre(truth, due.elapsed_ns, premium), hush, venue_ns)
        if due.what == _TRADE:
            return self._speak_trade(self._centre(truth, due.elapsed_ns, premium), premium, hush, venue_ns)
        return self._speak_depth(hush, venue_ns)

    def _centre(self, truth: dict[str, float], elapsed_ns: int, premium: float) -> float:
        market = self.market
        seconds = (elapsed_ns - self._at_ns) / NANOS_PER_S
        self._at_ns = elapsed_ns
        share = min(1.0, seconds / ERROR_REVERSION_S)
        self._error = _reverting(self._error, ERROR_DEVIATION, share, float(self._random.standard_normal()))
        centre = truth[market.asset] / truth[market.quote] * (1.0 + self._error + premium)
        if market.role is not Role.SPOT:
            centre *= 1.0 + BASIS_SWING * sin(2 * pi * elapsed_ns / NANOS_PER_S / BASIS_PERIOD_S + self._phase)
        return centre

    def _speak_top(self, centre: float, hush: set[Kind], venue_ns: Nanos) -> list[Fact]:
        bid_size, ask_size = self._size(), self._size()
        if Kind.SILENCE in hush or Kind.FREEZE in hush:
            return []
        if not hush.isdisjoint((Kind.REPEAT, Kind.STUCK)) and self._top is not None:
            bid, ask = self._top.bid, self._top.ask
        else:
            bid, ask = self._around(centre)
        self._top = BookTop(self.place, bid, bid_size, ask, ask_size, venue_ns, 0)
        return [self._top]

    def _speak_trade(self, centre: float, premium: float, hush: set[Kind], venue_ns: Nanos) -> list[Fact]:
        bought, size, fate = self._draw() < 0.5, self._size(), self._draw()
        if Kind.SILENCE in hush or Kind.REPEAT in hush:
            return []
        bid, ask = self._around(centre)
        price, side = (ask, Side.BUY) if bought else (bid, Side.SELL)
        facts: list[Fact] = [Trade(self.place, price, size, side, venue_ns, 0)]
        stressed = abs(premium) > STRESS
        if self.market.role is Role.ENGINE and fate < (LIQUIDATION_SHARE_STRESSED if stressed else LIQUIDATION_SHARE):
            facts.append(Liquidation(self.place, price, size, side, venue_ns, 0))
        return facts

    def _speak_depth(self, hush: set[Kind], venue_ns: Nanos) -> list[Fact]:
        sizes = [self._size() for _ in range(2 * DEPTH_LEVELS)]
        top = self._top
        if top is None or Kind.SILENCE in hush or Kind.FREEZE in hush:
            return []
        step = max(self._tick(), top.bid * 0.5e-4)
        bids = tuple((self._rounded(top.bid - k * step), sizes[k]) for k in range(DEPTH_LEVELS))
        asks = tuple((self._rounded(top.ask + k * step), sizes[DEPTH_LEVELS + k]) for k in range(DEPTH_LEVELS))
        return [Depth(self.place, bids, asks, venue_ns, 0)]

    def _around(self, centre: float) -> tuple[float, float]:
        """Bid and ask: the half spread away, at least one tick apart."""
        half = centre * self.market.half_spread_bps / 10_000
        bid = self._rounded(centre - half)
        return bid, max(self._rounded(centre + half), self._rounded(bid + self._tick()))

    def _tick(self) -> float:
        return float(10**-self.market.price_decimals)

    def _rounded(self, price: float) -> float:
        return round(price, self.market.price_decimals)

    def _size(self) -> float:
        return max(0.0001, round(self.market.typical_size * exp(0.6 * float(self._random.standard_normal())), 4))

    def _draw(self) -> float:
        return float(self._random.random())

    def _gap_ns(self, what: int) -> float:
        per_s = (self.market.tops_per_s, self.market.trades_per_s, DEPTH_PER_S)[what]
        return NANOS_PER_S / per_s


def _generator(seed: int, stream: int) -> Generator:
    return Generator(PCG64(SeedSequence([seed, stream])))


def _reverting(value: float, deviation: float, share: float, drawn: float) -> float:
    """A step of a walk that reverts to nothing and stays within its deviation in the long run."""
    return value * (1.0 - share) + deviation * sqrt(2.0 * share) * drawn
