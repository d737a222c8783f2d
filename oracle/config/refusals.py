"""What a configuration is refused for, rule by rule and instrument by instrument, all of it at once.

The rules that protect consumers hold for LIVE instruments; TEST is exempt from them. `judged` hears every rule on every
instrument and stops at none, so that `oracle check` can show the whole table; the service starts on the first refusal
of it not at all. What the rules stand on is `policy`; here is the order in which they are heard, and what an instrument
must be before any policy can be asked: named once, spelt, dated, made of parts that exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Literal

from msgspec import Struct, field

from oracle import methods
from oracle.config import policy
from oracle.config.places import Place, places, repeated
from oracle.config.policy import Case, Heard
from oracle.config.reading import nearest
from oracle.config.rules import ruleset
from oracle.config.settings import Index, Perp, Settings
from oracle.config.text import Path
from oracle.core.method import Described, funds, makes_index
from oracle.core.params import Rules
from oracle.core.types import Nanos
from oracle.errors import ConfigError

REMEMBERED = ("stale_window", "clock_window_ms", "clock_offset_ms_max")  # how long and how a source is remembered
Outcome = Literal["passes", "refused", "warns", "exempt"]


class Ruling(Struct, frozen=True):
    """What one rule says of one instrument: what was found, and the error when it is refused."""

    rule: str
    instrument: str
    outcome: Outcome
    found: str
    remedy: str = ""
    error: ConfigError | None = None


class Docket(Struct):
    """Every ruling, and what an instrument was read as; `cases` and `rules` are whole only when nothing is refused."""

    rulings: list[Ruling] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    perp_rules: list[Rules] = field(default_factory=list)

    def enter(self, rule: str, instrument: str, heard: Heard) -> None:
        """Write down what a rule found."""
        found, errors, warnings = heard
        for error in errors:
            bare = ConfigError(error.problem, file=error.file, line=error.line, key=error.key, value=error.value)
            self.rulings.append(Ruling(rule, instrument, "refused", str(bare), error.remedy, error))
        for warning, remedy in warnings:
            self.rulings.append(Ruling(rule, instrument, "warns", warning, remedy))
        if not errors and not warnings:
            self.rulings.append(Ruling(rule, instrument, "passes", found))

    @property
    def refusal(self) -> ConfigError | None:
        """The first refusal, in the order in which the rules are heard."""
        return next((ruling.error for ruling in self.rulings if ruling.error), None)


def judged(settings: Settings, at_ns: Nanos) -> Docket:
    """Every rule on every instrument, under the parameter sets in force at `at_ns`.

    Raises ConfigError only where there is nothing to judge: no instrument at all.
    """
    if not settings.index:
        raise settings.wrong(("index",), None, "there is no index to publish", "add an [[index]] table")
    docket = Docket()
    _hear_names(settings, docket)
    order = _hear_legs(settings, docket)
    elsewhere: dict[str, Place] = {}
    for i in order:
        _hear_index(settings, i, at_ns, docket, elsewhere)
    for i in range(len(settings.perp)):
        _hear_perp(settings, i, at_ns, docket)
    return docket


def _hear_names(settings: Settings, docket: Docket) -> None:
    seen: set[str] = set()
    for table in ("index", "perp"):
        for i, instrument in enumerate(getattr(settings, table)):
            errors = []
            if instrument.id in seen:
                where: Path = (table, i, "id")
                errors = [settings.wrong(where, instrument.id, "is published twice", "name it otherwise")]
            docket.enter("name", instrument.id, Heard(f"{table} {instrument.id}", errors))
            seen.add(instrument.id)


def _hear_legs(settings: Settings, docket: Docket) -> list[int]:
    """Whether every index that another names is there and can convert; conversions first, otherwise as configured."""
    done: list[int] = []
    graph = _Legs(settings)
    for i in range(len(settings.index)):
        graph.visit(i, (), done)
    for i, index in enumerate(settings.index):
        found = ", ".join([*(f"{currency} by {leg}" for currency, leg in index.conversions.items()), *index.legs])
        found = found or "it has none"
        docket.enter("legs", index.id, Heard(found, graph.errors.get(i, [])))
    return done


class _Legs:
    """The indices that indices name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._place = {index.id: i for i, index in enumerate(settings.index)}
        self.errors: dict[int, list[ConfigError]] = {}

    def visit(self, i: int, above: tuple[int, ...], done: list[int]) -> None:
        """Add index `i` to `done`, after what it names."""
        if i in done:
            return
        for currency, leg in self._settings.index[i].conversions.items():
            error = self._judge(i, currency, leg, (*above, i))
            if error is not None:
                self.errors.setdefault(i, []).append(error)
            elif self._place[leg] not in (*above, i):
                self.visit(self._place[leg], (*above, i), done)
        for k, leg in enumerate(self._settings.index[i].legs):
            name = leg.removeprefix("1/")
            error = self._judge_factor(i, k, name, (*above, i))
            if error is not None:
                self.errors.setdefault(i, []).append(error)
            else:
                self.visit(self._place[name], (*above, i), done)
        done.append(i)

    def _judge_factor(self, i: int, k: int, leg: str, above: tuple[int, ...]) -> ConfigError | None:
        """What is wrong with an index of which another is made."""
        settings, index = self._settings, self._settings.index[i]
        path: Path = ("index", i, "legs", k)
        if index.sources or index.perp_sources or index.conversions:
            return settings.wrong(path, leg, "has sources of its own too", "an index is made of sources, or of legs")
        if leg not in self._place:
            return settings.wrong(path, leg, "no such index", nearest(leg, self._place))
        if self._place[leg] in above:
            names = [settings.index[j].id for j in above]
            return settings.wrong(path, leg, "is made of itself", " -> ".join((*names, leg)))
        other = settings.index[self._place[leg]]
        if index.status == "LIVE" and other.status != "LIVE":
            return settings.wrong(path, leg, "a LIVE index is made of a TEST one", "make both LIVE")
        return None

    def _judge(self, i: int, currency: str, leg: str, above: tuple[int, ...]) -> ConfigError | None:
        settings, index = self._settings, self._settings.index[i]
        path: Path = ("index", i, "conversions", currency)
        if policy.is_number(leg):
            remedy = f'publish an index of its price and name it: {currency} = "{currency}-{index.quote}"'
            return settings.wrong(path, leg, f"is a constant: {currency} is never worth so much by decree", remedy)
        if leg not in self._place:
            return settings.wrong(path, leg, "no such index", nearest(leg, self._place))
        if self._place[leg] in above:
            names = [settings.index[k].id for k in above]
            return settings.wrong(path, leg, "converts itself", " -> ".join((*names, leg)))
        other = settings.index[self._place[leg]]
        if (other.base, other.quote) != (currency, index.quote):
            problem = f"prices {other.base} in {other.quote}, not {currency} in {index.quote}"
            return settings.wrong(path, leg, problem, f"name an index of {currency} in {index.quote}")
        if other.kind != "conversion":
            return settings.wrong(path, leg, "is not of kind conversion", 'give it kind = "conversion"')
        if index.status == "LIVE" and other.status != "LIVE":
            return settings.wrong(path, leg, "a LIVE index rests on a TEST conversion", "make both LIVE")
        if not policy.is_read(settings, other):
            return settings.wrong(path, leg, "has no source that is enabled", "enable one of its venues")
        return None


def _hear_index(settings: Settings, i: int, at_ns: Nanos, docket: Docket, elsewhere: dict[str, Place]) -> None:
    index, at = settings.index[i], ("index", i)
    rules = _hear_rules(settings, at, index, at_ns, docket)
    errors: list[ConfigError] = []
    votes, outside = (places(settings, i, name, errors) for name in ("sources", "perp_sources"))
    if not index.sources and not index.legs:
        errors.append(settings.wrong((*at, "sources"), None, "is made of nothing", "name its sources, or its legs"))
    errors += repeated(settings, [*votes, *outside])
    errors += _contradicted(settings, [*votes, *outside], elsewhere)
    docket.enter("sources", index.id, Heard(f"{len(votes)} sources, {len(outside)} outside perpetuals", errors))
    if rules is None:
        return
    case = Case(settings, at, index, rules, votes, outside, at_ns)
    docket.enter("memory", index.id, Heard("each source is remembered by one rule", list(_remembered(case, docket))))
    docket.cases.append(case)
    for rule, hear in policy.ALWAYS:
        docket.enter(rule, index.id, hear(case))
    for rule, hear in policy.LIVE:
        if index.legs:
            docket.rulings.append(Ruling(rule, index.id, "exempt", "judged leg by leg"))
        elif index.status == "LIVE":
            docket.enter(rule, index.id, hear(case))
        else:
            docket.rulings.append(Ruling(rule, index.id, "exempt", index.status))


def _remembered(case: Case, docket: Docket) -> Iterator[ConfigError]:
    """A source is remembered once, whoever reads it: a TEST index must not change what a LIVE one knows."""
    mine = {place.spelling.name for place in (*case.votes, *case.outside)}
    for other in docket.cases:
        shared = [p.spelling.name for p in (*other.votes, *other.outside) if p.spelling.name in mine]
        for name in REMEMBERED:
            here, there = getattr(case.rules.source, name), getattr(other.rules.source, name)
            if shared and here != there:
                problem = f"is {there:g} for {other.index.id}, which reads {shared[0]} too"
                path: Path = (*case.at, "rules", "source", name)
                yield case.settings.wrong(path, here, problem, "the same for every index that shares a source")


def _contradicted(settings: Settings, found: Sequence[Place], elsewhere: dict[str, Place]) -> Iterator[ConfigError]:
    """A source that another instrument takes for something else."""
    for place in found:
        known = elsewhere.setdefault(place.spelling.name, place)
        if (known.role, known.quote) != (place.role, place.quote):
            problem = f"is a {known.role} source in {known.quote} elsewhere"
            yield settings.wrong(place.path, place.text, problem, "say the same everywhere")
        elif (known.ratio, known.from_ns, known.to_ns) != (place.ratio, place.from_ns, place.to_ns):
            problem = "has another ratio, from or until elsewhere"
            yield settings.wrong(place.path, place.text, problem, "say the same everywhere")


def _hear_perp(settings: Settings, i: int, at_ns: Nanos, docket: Docket) -> None:
    perp, at = settings.perp[i], ("perp", i)
    errors: list[ConfigError] = []
    known = {index.id: index for index in settings.index}
    index = known.get(perp.index)
    if index is None:
        errors = [settings.wrong((*at, "index"), perp.index, "no such index", nearest(perp.index, known))]
    elif not policy.is_read(settings, index):
        problem = "has no source that is enabled"
        errors = [settings.wrong((*at, "index"), perp.index, problem, "enable one of its venues")]
    docket.enter("legs", perp.id, Heard(f"marked against {perp.index}", errors))
    units = Decimal(perp.tick).scaleb(perp.price_decimals)
    whole = units >= 1 and units == units.to_integral_value()
    problem = f"no multiple of the scale of price_decimals = {perp.price_decimals}"
    wrong = [] if whole else [settings.wrong((*at, "tick"), perp.tick, problem, "add decimals")]
    docket.enter("tick", perp.id, Heard(f"{perp.tick}, {units:f} of the scale", wrong))
    rules = _hear_rules(settings, at, perp, at_ns, docket, tier=index.tier if index else 1)
    if rules is not None:
        docket.perp_rules.append(rules)


def _hear_rules(
    settings: Settings, at: tuple[str, int], instrument: Index | Perp, at_ns: Nanos, docket: Docket, tier: int = 0
) -> Rules | None:
    """The parameters an instrument has in the end; None when they are refused."""

    def wrong(path: Path, value: object, problem: str, remedy: str) -> ConfigError:
        return settings.wrong((*at, *path), value, problem, remedy)

    kind, tier = (instrument.kind, instrument.tier) if isinstance(instrument, Index) else ("reference", tier)
    try:
        method = _method(settings, at, instrument)
        rules = ruleset(methods.rules_at(method, at_ns), instrument.rules, kind=kind, tier=tier, wrong=wrong)
    except ConfigError as error:
        docket.enter("parameters", instrument.id, Heard("", [error]))
        return None
    own = sum(len(values) for values in instrument.rules.values())
    found = f"{instrument.method}-{rules.version}" + (f", {own} of its own" if own else "")
    docket.enter("parameters", instrument.id, Heard(found))
    return rules


def _method(settings: Settings, at: tuple[str, int], instrument: Index | Perp) -> Described:
    name, path = instrument.method, (*at, "method")
    try:
        method = methods.load(name)
    except ModuleNotFoundError:
        raise settings.wrong(path, name, "no such methodology", nearest(name, methods.shipped())) from None
    if isinstance(instrument, Index) and not makes_index(method):
        raise settings.wrong(path, name, "makes no index: it only marks and funds", "see `oracle methods`")
    if isinstance(instrument, Perp) and not funds(method):
        raise settings.wrong(path, name, "only makes an index: it marks and funds nothing", "see `oracle methods`")
    return method
