"""The funding rate of an interval: the mean premium, pulled towards interest within a clamp, capped (HK-1 F3 to F7).

Samples are summed as the integers they are published as, so the mean is exact and anyone can repeat it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from math import inf

from msgspec import Struct, field
from msgspec.structs import replace

from oracle.core.maths import clamp, quantise
from oracle.core.params import FundingRules
from oracle.core.types import NANOS_PER_MS, PREMIUM_DECIMALS, RATE_DECIMALS, Nanos, Reason
from oracle.core.windows import Notes

EIGHT_HOURS_MS = 28_800_000
INSTANTS, PREMIUMS = "instants", "premiums"  # among the notes: when samples were taken (ms), and what they were (e10)
FROM = "rate from "  # and, by the time from which it counts, a rate that was made an interval ahead


class FundingState(Struct, array_like=True):
    """The interval that runs: when it began, the last grid instant passed, and the weighted sum of its samples.

    `settled_e8` is the rate of the interval before; `notes` are of the methodology and outlive an interval unless it
    forgets them.
    """

    start_ns: Nanos = 0
    instant_ns: Nanos = 0
    samples: int = 0
    sum_e10: int = 0
    weight: int = 0
    settled_e8: int | None = None
    notes: Notes = field(default_factory=Notes)


class Rated(Struct, frozen=True):
    """A rate made of a mean premium, both as shares: per interval, as it would be paid. What binds it is said.

    `inner_binding`: the premium is beyond what interest pulls back; `cap_binding`: the rate is held at its limit;
    `dead`: the premium is too small to count.
    """

    rate: float
    interest: float
    inner_binding: bool = False
    cap_binding: bool = False
    dead: bool = False


class Funded(Struct, array_like=True):
    """A funding rate and everything it is made of. Rates are shares per interval, unrounded only inside."""

    rate_e8: int
    interest_e8: int
    premium_mean_e10: int | None
    samples: int
    expected: int
    inner_binding: bool = False
    cap_binding: bool = False
    reasons: list[Reason] = field(default_factory=list)


def start_of_interval(at_ns: Nanos, rules: FundingRules) -> Nanos:
    """The settlement instant at or before a time: intervals divide a day that begins `offset_ms` after midnight UTC."""
    interval_ns = rules.interval_ms * NANOS_PER_MS
    return at_ns - (at_ns - rules.offset_ms * NANOS_PER_MS) % interval_ns


def last_instant(at_ns: Nanos, rules: FundingRules) -> Nanos:
    """The sampling instant at or before a time."""
    grid_ns = rules.sample_ms * NANOS_PER_MS
    return at_ns - at_ns % grid_ns


def expected(state: FundingState, until_ns: Nanos, rules: FundingRules) -> int:
    """How many sampling instants lie in (start of the interval, until]."""
    grid_ns = rules.sample_ms * NANOS_PER_MS
    return until_ns // grid_ns - state.start_ns // grid_ns


def take(state: FundingState, premium_e10: int, weight: int = 1) -> None:
    """Count a sample into the mean, so many times as its weight says."""
    state.samples += 1
    state.sum_e10 += premium_e10 * weight
    state.weight += weight


def remember(state: FundingState, instant_ns: Nanos, premium_e10: int, keep_ms: int) -> None:
    """Note a sample by its instant, and forget what is `keep_ms` old: for a mean whose window is not the interval."""
    windows = state.notes.windows
    instants, premiums = windows.setdefault(INSTANTS, []), windows.setdefault(PREMIUMS, [])
    instants.append(float(instant_ns // NANOS_PER_MS))
    premiums.append(float(premium_e10))
    gone = bisect_right(instants, instants[-1] - keep_ms)
    del instants[:gone], premiums[:gone]


def recall(state: FundingState, after_ns: Nanos, until_ns: Nanos) -> list[float]:
    """The noted premiums of (after, until], oldest first, as shares."""
    instants = state.notes.windows.get(INSTANTS, [])
    first, last = bisect_right(instants, after_ns / NANOS_PER_MS), bisect_right(instants, until_ns / NANOS_PER_MS)
    return [premium / 1e10 for premium in state.notes.windows.get(PREMIUMS, [])[first:last]]


def place(state: FundingState, instant_ns: Nanos, rules: FundingRules) -> int:
    """Which sampling instant of the running interval this is, from 1: the weight of a linear mean."""
    return (instant_ns - state.start_ns) // (rules.sample_ms * NANOS_PER_MS)


def take_placed(state: FundingState, instant_ns: Nanos, premium_e10: int, rules: FundingRules, weighing: str) -> None:
    """Count a sample once (`equal`), or as many times as its place in the interval says (`linear`)."""
    take(state, premium_e10, place(state, instant_ns, rules) if weighing == "linear" else 1)


def mean(state: FundingState) -> float | None:
    """The (weighted) mean of the samples, as a share; None while there is none (F3)."""
    return state.sum_e10 / state.weight / 1e10 if state.weight else None


def interest(rules: FundingRules) -> float:
    """The interest of one interval, as a share."""
    return rules.interest_per_8h * rules.interval_ms / EIGHT_HOURS_MS


def dampened(premium: float, toward: float, inner_clamp: float, cap: float) -> Rated:
    """F = clamp(P + clamp(r − P, ±C), ±cap): flat at r while P is within C of it, P − C·sign beyond (F5).

    `toward` is r; all are shares of one period, whichever that is.
    """
    pull = toward - premium
    held = clamp(pull, -inner_clamp, inner_clamp)
    raw = premium + held if held != pull else toward  # within the clamp the sum is r, to the last digit
    rate = clamp(raw, -cap, cap)
    return Rated(rate, toward, held != pull, rate != raw)


def less_interest(premium: float, off: float, cap: float) -> Rated:
    """F = clamp(P − r, ±cap): interest is taken off, and nothing is flat (OKEx and OKX until April 2025)."""
    raw = premium - off
    rate = clamp(raw, -cap, cap)
    return Rated(rate, off, cap_binding=rate != raw)


def in_parts(
    premium: float, toward: float, inner_clamp: float, cap: float, parts: float, multiplier: float = 1.0
) -> Rated:
    """F = clamp((P + clamp(r − P, ±C)) × m ÷ n, ±cap): a rate of a base period, of which each interval pays one part.

    P, r and C are of the base period; the cap, and the interest that is answered, of one interval. The clamp comes
    before the division: dividing first is a known mistake (Hyperliquid; Binance and Gate for intervals under 8 h).
    """
    whole = dampened(premium, toward, inner_clamp, inf)
    raw = whole.rate * multiplier / parts
    rate = clamp(raw, -cap, cap)
    return Rated(rate, toward * multiplier / parts, whole.inner_binding, rate != raw)


def damped(premium: float, rules: FundingRules, *, divides: bool = False) -> Rated:
    """F of an interval of N hours, within the cap: P + clamp(r − P, ±C), r that of N hours (Bybit, BTSE, OKX).

    With `divides` it is that of eight hours, r and all, ÷ (8/N) (Binance since September 2025, Gate since May 2026).
    """
    if not divides:
        return dampened(premium, interest(rules), rules.inner_clamp, rules.cap)
    return in_parts(premium, rules.interest_per_8h, rules.inner_clamp, rules.cap, EIGHT_HOURS_MS / rules.interval_ms)


def margin_cap(share: float, maintenance_margin: float) -> float:
    """A cap that is a share of the maintenance margin rate at the highest leverage (Binance, HashKey Global)."""
    return round(share * maintenance_margin, 10)


def fund(
    state: FundingState, until_ns: Nanos, rules: FundingRules, premium: float | None, rate: Callable[[float], Rated],
    alone: float | None = None,
) -> Funded:  # fmt: skip
    """The rate that the samples up to `until_ns` make (F3 to F5): `rate` of their mean, `premium`.

    Below the least coverage it is the interest alone, within the cap, never an older rate (F4). `alone` is that
    interest as a share of an interval, where it is not the rules'.
    """
    alone = interest(rules) if alone is None else alone
    due = expected(state, until_ns, rules)
    made = Funded(0, quantise(alone, RATE_DECIMALS), None, state.samples, due)
    if premium is not None:
        made.premium_mean_e10 = quantise(premium, PREMIUM_DECIMALS)
    if premium is None or state.samples / max(due, 1) < rules.coverage_min:
        made.reasons.append(Reason.FUNDING_FALLBACK if state.samples or due else Reason.NO_SAMPLES)
        held = clamp(alone, -rules.cap, rules.cap)
        found = Rated(held, alone, cap_binding=held != alone)
    else:
        found = rate(premium)
    made.inner_binding, made.cap_binding = found.inner_binding, found.cap_binding
    if found.cap_binding:
        made.reasons.append(Reason.FUNDING_AT_CAP)
    made.rate_e8 = quantise(found.rate, RATE_DECIMALS)
    return made


def stamped_ns(state: FundingState, until_ns: Nanos, rules: FundingRules, lead_ms: int) -> Nanos:
    """Up to when the samples of the rate at `until_ns` reach: that of a settlement is stamped `lead_ms` before it."""
    settles = until_ns >= state.start_ns + rules.interval_ms * NANOS_PER_MS
    return until_ns - lead_ms * NANOS_PER_MS if settles else until_ns


def fund_over(
    state: FundingState, window: tuple[Nanos, Nanos], rules: FundingRules, mean: Callable[[list[float]], float],
    rate: Callable[[float], Rated], alone: float | None = None,
) -> Funded:  # fmt: skip
    """`fund` by the noted samples of a window (after, until] instead of the interval's; coverage is the window's."""
    after_ns, until_ns = window
    seen = recall(state, after_ns, until_ns)
    covered = replace(state, start_ns=after_ns, samples=len(seen))
    return fund(covered, until_ns, rules, mean(seen) if seen else None, rate, alone)


def ahead(state: FundingState, until_ns: Nanos, made: Funded, rules: FundingRules) -> Funded:
    """What the running interval pays where the interval before it has made the rate; `made` is of its own samples.

    At the interval's end what its samples made is noted, under the time from which it counts. Where nothing was noted
    for the running one (a first start, a long outage) it is the interest alone, within the cap, and that is said.
    """
    windows = state.notes.windows
    paid = windows.get(f"{FROM}{state.start_ns}")
    if until_ns == state.start_ns + rules.interval_ms * NANOS_PER_MS:
        for name in [name for name in windows if name.startswith(FROM) and name != f"{FROM}{state.start_ns}"]:
            del windows[name]
        fallback = bool({Reason.FUNDING_FALLBACK, Reason.NO_SAMPLES} & {*made.reasons})
        noted = (made.rate_e8, made.inner_binding, made.cap_binding, fallback)
        windows[f"{FROM}{until_ns}"] = [float(part) for part in noted]
    held = clamp(interest(rules), -rules.cap, rules.cap)
    alone = (quantise(held, RATE_DECIMALS), 0.0, held != interest(rules), 1.0)
    rate_e8, inner, capped, fallen = paid or alone
    made.rate_e8, made.inner_binding, made.cap_binding = int(rate_e8), bool(inner), bool(capped)
    made.reasons = [Reason.FUNDING_FALLBACK] * bool(fallen) + [Reason.FUNDING_AT_CAP] * bool(capped)
    return made


def begin(state: FundingState, at_ns: Nanos, rules: FundingRules) -> None:
    """The first beat of all: the interval that runs is joined in its midst, and what it has missed it lacks."""
    state.start_ns, state.instant_ns = start_of_interval(at_ns, rules), last_instant(at_ns, rules)


def restart(state: FundingState, start_ns: Nanos) -> None:
    """A new interval begins; nothing of the old one counts in it."""
    state.start_ns, state.samples, state.sum_e10, state.weight = start_ns, 0, 0, 0
